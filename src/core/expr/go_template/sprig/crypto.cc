// SPDX-License-Identifier: Apache-2.0
// Sprig's hashes, passwords and AES. Follows crypto.go of Sprig 3.3.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <memory>

#include "core/base/check.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/expr/go_template/sprig/bcrypt.h"
#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"

namespace caisson::go_template::sprig {
namespace {

constexpr std::size_t kBlock = 16, kKeySize = 32;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

std::string digest_hex(const EVP_MD* digest, std::string_view text) {
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  CHECK(EVP_Digest(text.data(), text.size(), bytes_of(out), &size, digest, nullptr) == 1);
  out.resize(size);
  return hex(out);
}

std::string bcrypted(std::string_view password) {
  const auto hash = bcrypt_hash(password, random_bytes(kBlock));
  return hash.ok() ? *hash : "failed to encrypt string with bcrypt: " + hash.error().message;
}

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

// AES-256-CBC without padding; the key is the password, cut or filled with zeros.
std::string aes(std::string_view password, std::string_view iv, std::string_view text, bool encrypts) {
  std::string key(password.substr(0, kKeySize));
  key.resize(kKeySize, '\0');
  const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  CHECK(cipher != nullptr);
  CHECK(EVP_CipherInit_ex(cipher.get(), EVP_aes_256_cbc(), nullptr, bytes_of(key), bytes_of(iv), encrypts ? 1 : 0) ==
        1);
  EVP_CIPHER_CTX_set_padding(cipher.get(), 0);
  std::string out(text.size() + kBlock, '\0');
  int size = 0, rest = 0;
  CHECK(EVP_CipherUpdate(cipher.get(), bytes_of(out), &size, bytes_of(text), static_cast<int>(text.size())) == 1);
  CHECK(EVP_CipherFinal_ex(cipher.get(), bytes_of(out) + size, &rest) == 1);
  out.resize(static_cast<std::size_t>(size + rest));
  return out;
}

// --- derivePassword: the Master Password algorithm

constexpr std::string_view kSeed = "com.lyndir.masterpassword";

struct PasswordType {
  std::string_view name, templates;  // templates parted by blanks
};
constexpr PasswordType kPasswordTypes[] = {
    {"maximum", "anoxxxxxxxxxxxxxxxxx axxxxxxxxxxxxxxxxxno"},
    {"long",
     "CvcvnoCvcvCvcv CvcvCvcvnoCvcv CvcvCvcvCvcvno CvccnoCvcvCvcv CvccCvcvnoCvcv CvccCvcvCvcvno CvcvnoCvccCvcv "
     "CvcvCvccnoCvcv CvcvCvccCvcvno CvcvnoCvcvCvcc CvcvCvcvnoCvcc CvcvCvcvCvccno CvccnoCvccCvcv CvccCvccnoCvcv "
     "CvccCvccCvcvno CvcvnoCvccCvcc CvcvCvccnoCvcc CvcvCvccCvccno CvccnoCvcvCvcc CvccCvcvnoCvcc CvccCvcvCvccno"},
    {"medium", "CvcnoCvc CvcCvcno"},
    {"short", "Cvcn"},
    {"basic", "aaanaaan aannaaan aaannaaa"},
    {"pin", "nnnn"},
};

std::string_view characters_of(char letter) {
  switch (letter) {
    case 'V':
      return "AEIOU";
    case 'C':
      return "BCDFGHJKLMNPQRSTVWXYZ";
    case 'v':
      return "aeiou";
    case 'c':
      return "bcdfghjklmnpqrstvwxyz";
    case 'a':
      return "AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
    case 'n':
      return "0123456789";
    case 'o':
      return "@&%?,=[]_:-+*$#!'^~;()/.";
    default:
      return "AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()";
  }
}

std::string big_endian(std::uint64_t number) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift);
  return out;
}

std::string scrypt_key(std::string_view password, std::string_view salt) {
  constexpr std::uint64_t kCost = 32'768, kBlockSize = 8, kParallel = 2, kMemoryMax = 64u << 20;
  std::string key(64, '\0');
  CHECK(EVP_PBE_scrypt(password.data(), password.size(), bytes_of(salt), salt.size(), kCost, kBlockSize, kParallel,
                       kMemoryMax, bytes_of(key), key.size()) == 1);
  return key;
}

}  // namespace

Result<Datum> sha1sum(Call& call) {
  return Datum(digest_hex(EVP_sha1(), call.text(0)));
}
Result<Datum> sha256sum(Call& call) {
  return Datum(sha256_hex(call.text(0)));
}
Result<Datum> sha512sum(Call& call) {
  return Datum(digest_hex(EVP_sha512(), call.text(0)));
}

Result<Datum> adler32sum(Call& call) {
  constexpr std::uint32_t kModulus = 65'521;
  std::uint32_t low = 1, high = 0;
  for (const char c : call.text(0)) {
    low = (low + static_cast<unsigned char>(c)) % kModulus;
    high = (high + low) % kModulus;
  }
  return Datum(std::to_string(high << 16 | low));
}

Result<Datum> bcrypt(Call& call) {
  TRY(call.execution.spend(100'000));
  return Datum(bcrypted(call.text(0)));
}

Result<Datum> htpasswd(Call& call) {
  TRY(call.execution.spend(100'000));
  if (call.text(0).find(':') != std::string_view::npos) return Datum("invalid username: " + std::string(call.text(0)));
  return Datum(std::string(call.text(0)) + ":" + bcrypted(call.text(1)));
}

Result<Datum> derive_password(Call& call) {
  TRY(call.execution.spend(100'000));
  const std::string_view type = call.text(1), password = call.text(2), user = call.text(3), site = call.text(4);
  const auto* found = std::begin(kPasswordTypes);
  while (found != std::end(kPasswordTypes) && found->name != type) ++found;
  if (found == std::end(kPasswordTypes)) return Datum("cannot find password template " + std::string(type));
  const std::string key = scrypt_key(password, std::string(kSeed) + big_endian(user.size()) + std::string(user));
  const std::string seed = hmac_sha256(
      key, std::string(kSeed) + big_endian(site.size()) + std::string(site) + big_endian(call[0].as_uint()));
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(seed[i])); };
  const std::size_t size =
      found->templates.find(' ') == std::string_view::npos ? found->templates.size() : found->templates.find(' ');
  const std::size_t count = (found->templates.size() + 1) / (size + 1);
  const std::string_view letters = found->templates.substr(byte(0) % count * (size + 1), size);
  std::string out;
  for (std::size_t i = 0; i < letters.size(); ++i) {
    const std::string_view characters = characters_of(letters[i]);
    out += characters[byte(i + 1) % characters.size()];
  }
  return Datum(out);
}

Result<Datum> encrypt_aes(Call& call) {
  if (call.text(1).empty()) return Datum("");
  std::string text(call.text(1));
  const std::size_t padding = kBlock - text.size() % kBlock;
  text.append(padding, static_cast<char>(padding));
  const std::string iv = random_bytes(kBlock);
  return Datum(base64(iv + aes(call.text(0), iv, text, true)));
}

Result<Datum> decrypt_aes(Call& call) {
  if (call.text(1).empty()) return Datum("");
  const auto bytes = unbase64(call.text(1));
  if (!bytes.ok()) return invalid("illegal base64 data at input byte 0");
  const std::string_view all = *bytes;
  if (all.size() < kBlock)
    return invalid("runtime error: slice bounds out of range [:16] with capacity " + std::to_string(all.size()));
  if (all.size() % kBlock != 0) return invalid("crypto/cipher: input not full blocks");
  const std::string text = aes(call.text(0), all.substr(0, kBlock), all.substr(kBlock), false);
  if (text.empty()) return invalid("runtime error: index out of range [-1]");
  const std::size_t padding = static_cast<unsigned char>(text.back());
  if (padding > text.size())
    return invalid("runtime error: slice bounds out of range [:-" + std::to_string(padding - text.size()) + "]");
  return Datum(std::string_view(text).substr(0, text.size() - padding));
}

}  // namespace caisson::go_template::sprig
