// SPDX-License-Identifier: Apache-2.0
// Bytes that must not be shown: no stream operator, no implicit conversion, wiped on destruction.
#pragma once
#include <string>
#include <string_view>

namespace caisson {

class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::string bytes) : bytes_(std::move(bytes)) {}
  SecretBytes(const SecretBytes&) = default;
  SecretBytes(SecretBytes&&) noexcept = default;
  SecretBytes& operator=(const SecretBytes&) = default;
  SecretBytes& operator=(SecretBytes&&) noexcept = default;
  ~SecretBytes();
  std::string_view reveal() const { return bytes_; }  // named so that a reader's eye stops at it
  std::string str() const { return "***"; }
  bool empty() const { return bytes_.empty(); }

 private:
  std::string bytes_;
};

}  // namespace caisson
