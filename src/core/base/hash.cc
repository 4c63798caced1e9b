// SPDX-License-Identifier: Apache-2.0
#include "core/base/hash.h"

// SHA256_Update itself, not EVP: the first EVP digest of a process fetches OpenSSL's providers, which takes a
// millisecond and 2 MiB, and each later one several times what hashing a short text does.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <atomic>
#include <utility>

#include "core/base/check.h"
#include "core/base/encoding.h"
#include "core/base/short_sha256.h"

namespace caisson {
namespace {

// `caisson` opens OpenSSL when it is needed first (main/openssl); elsewhere it is there from the start.
bool is_openssl_loaded() {
  static std::atomic<bool> loaded = false;
  if (loaded.load(std::memory_order_relaxed)) return true;
  if (::dlopen("libcrypto.so.3", RTLD_LAZY | RTLD_NOLOAD) == nullptr) return false;
  loaded.store(true, std::memory_order_relaxed);
  return true;
}

}  // namespace

Sha256::Sha256() : context_(new SHA256_CTX) {
  CHECK(SHA256_Init(static_cast<SHA256_CTX*>(context_)) == 1);
}
Sha256::~Sha256() {
  delete static_cast<SHA256_CTX*>(context_);
}
Sha256::Sha256(Sha256&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
Sha256& Sha256::operator=(Sha256&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

void Sha256::update(std::string_view bytes) {
  CHECK(SHA256_Update(static_cast<SHA256_CTX*>(context_), bytes.data(), bytes.size()) == 1);
}

std::string Sha256::finish() {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  CHECK(SHA256_Final(reinterpret_cast<unsigned char*>(out.data()), static_cast<SHA256_CTX*>(context_)) == 1);
  return out;
}

std::string Sha256::finish_hex() {
  return hex(finish());
}

std::string sha256(std::string_view bytes) {
  constexpr std::size_t kShortBytesMax = 64u << 10;  // to hash more takes as long as to open OpenSSL
  if (bytes.size() <= kShortBytesMax && !is_openssl_loaded()) return short_sha256(bytes);
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

std::string sha256_hex(std::string_view bytes) {
  return hex(sha256(bytes));
}

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  std::string out(32, '\0');
  unsigned length = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
             reinterpret_cast<unsigned char*>(out.data()), &length) != nullptr);
  return out;
}

bool equals_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace caisson
