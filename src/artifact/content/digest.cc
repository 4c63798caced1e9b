// SPDX-License-Identifier: Apache-2.0
// Digests; hashing through OpenSSL's EVP, which uses the processor's SHA instructions.
#include "artifact/content/digest.h"

#include <openssl/evp.h>

#include "core/base/check.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"

namespace caisson::content {

Result<Digest> Digest::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  const auto bad = [&](std::string_view why) {
    return Error{ErrorCode::bad_request,
                 "invalid digest \"" + std::string(text.substr(0, 200)) + "\": " + std::string(why)};
  };
  if (colon == std::string_view::npos) return bad("want algorithm:hex");
  const std::string_view algorithm = text.substr(0, colon), hex = text.substr(colon + 1);
  if (algorithm != "sha256" && algorithm != "sha512") return bad("unsupported algorithm (sha256 and sha512 are)");
  if (hex.size() != (algorithm == "sha256" ? 64u : 128u)) return bad("wrong length");
  for (const char c : hex) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return bad("want lower case hex digits");
  }
  return Digest{std::string(algorithm), std::string(hex)};
}

Digest Digest::of(std::string_view bytes) {
  return Digest{"sha256", sha256_hex(bytes)};
}

struct Hasher::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  std::string algorithm;
  ~Impl() { EVP_MD_CTX_free(context); }
};

Hasher::Hasher(std::string_view algorithm) : impl_(std::make_unique<Impl>()) {
  CHECK(algorithm == "sha256" || algorithm == "sha512");
  impl_->algorithm = algorithm;
  CHECK(EVP_DigestInit_ex(impl_->context, algorithm == "sha256" ? EVP_sha256() : EVP_sha512(), nullptr) == 1);
}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()) == 1);
}

Digest Hasher::finish() {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  CHECK(EVP_DigestFinal_ex(impl_->context, out, &length) == 1);
  return Digest{impl_->algorithm, hex(std::string_view(reinterpret_cast<const char*>(out), length))};
}

}  // namespace caisson::content
