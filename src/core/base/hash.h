// SPDX-License-Identifier: Apache-2.0
// SHA-256, through OpenSSL (which uses the processor's instructions; see docs/benchmarks.md).
#pragma once
#include <memory>
#include <string>
#include <string_view>

namespace caisson {

// Streaming hash. One thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::string_view bytes);
  std::string finish();      // the 32 raw bytes; the object can't be used afterwards
  std::string finish_hex();  // the 64 characters

 private:
  void* context_;
};

std::string sha256(std::string_view bytes);  // raw
std::string sha256_hex(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes);  // raw
bool equals_in_constant_time(std::string_view a, std::string_view b);   // for secrets and signatures

}  // namespace caisson
