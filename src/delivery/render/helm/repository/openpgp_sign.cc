// SPDX-License-Identifier: Apache-2.0
// Signing: secret keys (RFC 4880 section 5.5.3, plain or encrypted with AES in CFB under a passphrase) and clear-signed
// text.
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/owner.h"
#include "core/base/text.h"
#include "delivery/render/helm/repository/openpgp.h"

namespace caisson::render::helm {
namespace {

constexpr int kEdDsa = 22;
constexpr PgpHash kSignatureHash{10, "SHA512"};

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::string big_endian(std::uint32_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

std::string integer(std::string_view bytes) {
  while (!bytes.empty() && bytes[0] == 0) bytes.remove_prefix(1);
  std::uint32_t bits = static_cast<std::uint32_t>(bytes.size()) * 8;
  if (!bytes.empty()) bits -= static_cast<std::uint32_t>(__builtin_clz(static_cast<unsigned char>(bytes[0])) - 24);
  return big_endian(bits, 2) + std::string(bytes);
}

// Iterated and salted: the salt and the passphrase again and again, `count` bytes in all (section 3.7.1.3).
std::string key_from_passphrase(const PgpHash& hash, std::string_view salt, std::size_t count,
                                std::string_view passphrase, std::size_t size) {
  const std::string unit = std::string(salt) + std::string(passphrase);
  std::string material;
  count = std::max(count, unit.size());
  material.reserve(count + unit.size());
  while (material.size() < count) material += unit;
  material.resize(count);
  std::string out;
  for (std::size_t zeros = 0; out.size() < size; ++zeros) {
    const std::string piece = hash_bytes(hash.name, std::string(zeros, '\0') + material);
    if (piece.empty()) return {};
    out += piece;
  }
  out.resize(size);
  return out;
}

Result<std::string> decrypt(const EVP_CIPHER* cipher, std::string_view key, std::string_view iv,
                            std::string_view text) {
  std::string out(text.size() + 32, '\0');
  int length = 0;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  const bool done = EVP_DecryptInit_ex(context, cipher, nullptr, raw(key), raw(iv)) == 1 &&
                    EVP_DecryptUpdate(context, reinterpret_cast<unsigned char*>(out.data()), &length, raw(text),
                                      static_cast<int>(text.size())) == 1;
  EVP_CIPHER_CTX_free(context);
  if (!done) return Error{ErrorCode::invalid, "openpgp: the key can't be decrypted"};
  out.resize(static_cast<std::size_t>(length));
  return out;
}

// The secret numbers, in the clear.
Result<std::string> secret_numbers(const PgpKey& key, const SecretBytes& passphrase) {
  PgpReader in{key.secret};
  const std::uint32_t usage = in.number(1);
  if (usage == 0) return std::string(in.rest.substr(0, in.rest.size() - std::min<std::size_t>(2, in.rest.size())));
  if (usage != 254) return Error{ErrorCode::invalid, "openpgp: unsupported feature: this protection of a secret key"};
  const std::uint32_t cipher_id = in.number(1);
  const EVP_CIPHER* cipher = cipher_id == 7   ? EVP_aes_128_cfb128()
                             : cipher_id == 8 ? EVP_aes_192_cfb128()
                             : cipher_id == 9 ? EVP_aes_256_cfb128()
                                              : nullptr;
  const std::uint32_t kind = in.number(1);
  const PgpHash* hash = pgp_hash(static_cast<int>(in.number(1)));
  if (kind != 3 || hash == nullptr || cipher == nullptr)
    return Error{ErrorCode::invalid, "openpgp: unsupported feature: this protection of a secret key"};
  const std::string_view salt = in.take(8);
  const std::uint32_t coded = in.number(1);
  const std::size_t count = static_cast<std::size_t>(16 + (coded & 15)) << ((coded >> 4) + 6);
  const std::string_view iv = in.take(16);
  if (in.failed) return Error{ErrorCode::invalid, "openpgp: invalid data: a key is cut off"};
  const std::string secret = key_from_passphrase(*hash, salt, count, passphrase.reveal(),
                                                 static_cast<std::size_t>(EVP_CIPHER_key_length(cipher)));
  std::string numbers = TRY(decrypt(cipher, secret, iv, in.rest));
  if (numbers.size() < 20 || hash_bytes("SHA1", std::string_view(numbers).substr(0, numbers.size() - 20)) !=
                                 numbers.substr(numbers.size() - 20))
    return Error{ErrorCode::forbidden, "openpgp: invalid data: private key checksum failure"};
  numbers.resize(numbers.size() - 20);
  return numbers;
}

Owned<EVP_PKEY, EVP_PKEY_free> rsa_key(const PgpKey& key, std::string_view private_exponent) {
  OSSL_PARAM_BLD* builder = OSSL_PARAM_BLD_new();
  BIGNUM* numbers[3];
  const std::string_view parts[3] = {key.modulus, key.exponent, private_exponent};
  const char* const names[3] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_RSA_D};
  for (int i = 0; i < 3; ++i) {
    numbers[i] = BN_bin2bn(raw(parts[i]), static_cast<int>(parts[i].size()), nullptr);
    OSSL_PARAM_BLD_push_BN(builder, names[i], numbers[i]);
  }
  OSSL_PARAM* parameters = OSSL_PARAM_BLD_to_param(builder);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
  EVP_PKEY* out = nullptr;
  if (EVP_PKEY_fromdata_init(context) > 0) EVP_PKEY_fromdata(context, &out, EVP_PKEY_KEYPAIR, parameters);
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(builder);
  for (BIGNUM* number : numbers) BN_clear_free(number);
  return Owned<EVP_PKEY, EVP_PKEY_free>(out);
}

// The signature's numbers over `digest`.
Result<std::string> sign_digest(const PgpKey& key, const SecretBytes& passphrase, std::string_view digest) {
  const std::string numbers = TRY(secret_numbers(key, passphrase));
  PgpReader in{numbers};
  const std::string_view secret = in.integer();
  const Error failed{ErrorCode::invalid, "openpgp: the key does not sign"};
  std::string signature(key.algorithm == kEdDsa ? 64 : key.modulus.size(), '\0');
  std::size_t size = signature.size();
  bool done = false;
  if (key.algorithm == kEdDsa) {
    const std::string seed = std::string(32 - std::min<std::size_t>(32, secret.size()), '\0') + std::string(secret);
    const Owned<EVP_PKEY, EVP_PKEY_free> pkey(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(seed), 32));
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    done = pkey && EVP_DigestSignInit(context, nullptr, nullptr, nullptr, pkey.get()) > 0 &&
           EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size, raw(digest),
                          digest.size()) == 1;
    EVP_MD_CTX_free(context);
    if (!done) return failed;
    return integer(std::string_view(signature).substr(0, 32)) + integer(std::string_view(signature).substr(32));
  }
  const auto pkey = rsa_key(key, secret);
  if (!pkey) return failed;
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(pkey.get(), nullptr);
  done = EVP_PKEY_sign_init(context) > 0 && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0 &&
         EVP_PKEY_CTX_set_signature_md(context, EVP_sha512()) > 0 &&
         EVP_PKEY_sign(context, reinterpret_cast<unsigned char*>(signature.data()), &size, raw(digest),
                       digest.size()) == 1;
  EVP_PKEY_CTX_free(context);
  if (!done) return failed;
  signature.resize(size);
  return integer(signature);
}

std::uint32_t checksum(std::string_view bytes) {  // CRC-24, section 6.1
  std::uint32_t crc = 0xB704CE;
  for (const char c : bytes) {
    crc ^= static_cast<std::uint32_t>(static_cast<unsigned char>(c)) << 16;
    for (int i = 0; i < 8; ++i) {
      crc <<= 1;
      if ((crc & 0x1000000) != 0) crc ^= 0x1864CFB;
    }
  }
  return crc & 0xFFFFFF;
}

}  // namespace

bool is_encrypted(const PgpKey& key) {
  return !key.secret.empty() && key.secret[0] != 0;
}

std::string armor(std::string_view kind, std::string_view bytes) {
  const std::string encoded = base64(bytes);
  std::string out = "-----BEGIN " + std::string(kind) + "-----\n\n";
  for (std::size_t at = 0; at < encoded.size(); at += 64) out += encoded.substr(at, 64) + "\n";
  return out + "=" + base64(big_endian(checksum(bytes), 3)) + "\n-----END " + std::string(kind) + "-----";
}

Result<std::string> clear_sign(std::string_view text, const PgpKey& key, const SecretBytes& passphrase,
                               std::uint32_t unix_time) {
  if (key.secret.empty())
    return Error{ErrorCode::invalid, "provided key is not a private key. Try providing a keyring with secret keys"};
  const std::string id = key.fingerprint.substr(12);
  const std::string hashed = std::string("\x05\x02", 2) + big_endian(unix_time, 4) + "\x09\x10" + id;
  const std::string head = std::string("\x04\x01", 2) + static_cast<char>(key.algorithm) +
                           static_cast<char>(kSignatureHash.id) +
                           big_endian(static_cast<std::uint32_t>(hashed.size()), 2) + hashed;
  const std::string trailer = "\x04\xFF" + big_endian(static_cast<std::uint32_t>(head.size()), 4);
  const std::string digest = hash_bytes(kSignatureHash.name, canonical_text(text) + head + trailer);
  const std::string body = head + big_endian(0, 2) + digest.substr(0, 2) + TRY(sign_digest(key, passphrase, digest));
  const std::string packet = "\xC2\xFF" + big_endian(static_cast<std::uint32_t>(body.size()), 4) + body;
  std::string out = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: " + std::string(kSignatureHash.name) + "\n\n";
  for (const std::string_view line : split(text, '\n')) {
    out += line.starts_with('-') ? "- " : "";
    out += line;
    out += '\n';
  }
  return out + armor("PGP SIGNATURE", packet);
}

}  // namespace caisson::render::helm
