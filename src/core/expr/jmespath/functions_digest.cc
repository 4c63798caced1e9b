// SPDX-License-Identifier: Apache-2.0
// Kyverno's functions of digests and certificates.
#include <openssl/evp.h>

#include "core/base/encoding.h"
#include "core/expr/jmespath/functions.h"
#include "core/expr/jmespath/x509.h"

namespace caisson::jmespath {
namespace {

Result<Value> digest(const Call& call, const EVP_MD* algorithm) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  const std::string_view text = call.text(0);
  if (EVP_Digest(text.data(), text.size(), bytes, &length, algorithm, nullptr) != 1)
    return call.fail("the digest is not available");
  return Value(hex({reinterpret_cast<const char*>(bytes), length}));
}
Result<Value> run_md5(const Call& call) {
  return digest(call, EVP_md5());
}
Result<Value> run_sha1(const Call& call) {
  return digest(call, EVP_sha1());
}
Result<Value> run_sha256(const Call& call) {
  return digest(call, EVP_sha256());
}
Result<Value> run_x509_decode(const Call& call) {
  auto value = decode_x509(call.text(0));
  if (!value.ok()) return call.fail(value.error().message);
  return value;
}

constexpr Function kTable[] = {
    {"md5", 1, false, {kString}, "string", run_md5, "the MD5 digest in hexadecimal"},
    {"sha1", 1, false, {kString}, "string", run_sha1, "the SHA-1 digest in hexadecimal"},
    {"sha256", 1, false, {kString}, "string", run_sha256, "the SHA-256 digest in hexadecimal"},
    {"x509_decode", 1, false, {kString}, "object", run_x509_decode, "the members of a PEM certificate or request"},
};

}  // namespace

std::span<const Function> digest_functions() {
  return kTable;
}

}  // namespace caisson::jmespath
