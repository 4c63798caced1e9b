// SPDX-License-Identifier: Apache-2.0
// Digest: the name of content by its hash, "sha256:<64 hex>" or "sha512:<128 hex>". Source: OCI image-spec 1.1,
// descriptor.md "Digests".
// Invariant: a Digest that parse() or of() gave is well formed, so its hex is safe as a file name. Any thread.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::content {

struct Digest {
  std::string algorithm = "sha256";
  std::string hex;

  // Errors: bad_request, which quotes the text.
  static Result<Digest> parse(std::string_view text);
  static Digest of(std::string_view bytes);  // sha256
  std::string str() const { return algorithm + ":" + hex; }
  bool empty() const { return hex.empty(); }
  auto operator<=>(const Digest&) const = default;
};

// Streaming hash of one of the two algorithms. One thread at a time.
class Hasher {
 public:
  explicit Hasher(std::string_view algorithm = "sha256");  // CHECKs that it is a known one
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  void update(std::string_view bytes);
  Digest finish();  // the object can't be used afterwards

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::content
