// SPDX-License-Identifier: Apache-2.0
// Reading: key rings, clear-signed text, signatures.
#include "delivery/render/helm/repository/openpgp.h"
#include "core/base/owner.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "core/base/encoding.h"
#include "core/base/text.h"

namespace caisson::render::helm {
namespace {

constexpr std::size_t kRingBytesMax = 16u << 20;
constexpr PgpHash kHashes[] = {{2, "SHA1"}, {8, "SHA256"}, {9, "SHA384"}, {10, "SHA512"}, {11, "SHA224"}};
constexpr int kRsa = 1, kRsaSignOnly = 3, kEdDsa = 22;

struct Packet {
  int tag = 0;
  std::string_view body;
};

Error invalid(const std::string& what) {
  return {ErrorCode::invalid, "openpgp: invalid data: " + what};
}

// RFC 4880 section 4.2, without partial lengths, which keys and signatures do not have.
Result<Packet> next_packet(PgpReader& in) {
  const std::uint32_t head = in.number(1);
  if ((head & 0x80) == 0) return invalid("tag byte does not have MSB set");
  Packet out;
  std::size_t length = 0;
  if ((head & 0x40) != 0) {
    out.tag = head & 0x3F;
    const std::uint32_t first = in.number(1);
    length = first < 192 ? first : first < 224 ? ((first - 192) << 8) + in.number(1) + 192 : in.number(4);
    if (first >= 224 && first < 255) return invalid("partial length");
  } else {
    out.tag = head >> 2 & 0x0F;
    const int kind = head & 3;
    length = kind == 3 ? in.rest.size() : in.number(1 << kind);
  }
  out.body = in.take(length);
  if (in.failed) return invalid("unexpected EOF");
  return out;
}

std::string sha1_fingerprint(std::string_view public_part) {
  std::string framed = "\x99";
  framed += static_cast<char>(public_part.size() >> 8);
  framed += static_cast<char>(public_part.size());
  return hash_bytes("SHA1", framed + std::string(public_part));
}

// A version 4 key; others are left out by the caller.
Result<PgpKey> read_key(std::string_view body) {
  PgpReader in{body};
  PgpKey key;
  if (in.number(1) != 4) return Error{ErrorCode::invalid, "openpgp: unsupported feature: public key version"};
  in.number(4);  // when it was made
  key.algorithm = static_cast<int>(in.number(1));
  if (key.algorithm == kEdDsa) {
    in.take(in.number(1));  // the curve: of EdDSA in version 4 there is one
    std::string_view point = in.integer();
    if (point.size() == 33 && point[0] == 0x40) point.remove_prefix(1);
    key.modulus = point;
  } else if (key.algorithm == kRsa || key.algorithm == kRsaSignOnly || key.algorithm == 2) {
    key.modulus = in.integer();
    key.exponent = in.integer();
  } else {
    return Error{ErrorCode::invalid, "openpgp: unsupported feature: public key type: " + std::to_string(key.algorithm)};
  }
  if (in.failed) return invalid("a key is cut off");
  key.public_part = body.substr(0, body.size() - in.rest.size());
  key.secret = in.rest;
  key.fingerprint = sha1_fingerprint(key.public_part);
  return key;
}

using OpensslKey = Owned<EVP_PKEY, EVP_PKEY_free>;

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

OpensslKey rsa_key(const PgpKey& key) {
  BIGNUM* n = BN_bin2bn(raw(key.modulus), static_cast<int>(key.modulus.size()), nullptr);
  BIGNUM* e = BN_bin2bn(raw(key.exponent), static_cast<int>(key.exponent.size()), nullptr);
  OSSL_PARAM_BLD* builder = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e);
  OSSL_PARAM* parameters = OSSL_PARAM_BLD_to_param(builder);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
  EVP_PKEY* out = nullptr;
  if (EVP_PKEY_fromdata_init(context) > 0) EVP_PKEY_fromdata(context, &out, EVP_PKEY_PUBLIC_KEY, parameters);
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(builder);
  BN_free(n);
  BN_free(e);
  return OpensslKey(out);
}

bool rsa_holds(const PgpKey& key, std::string_view hash, std::string_view digest, std::string_view signature) {
  const OpensslKey pkey = rsa_key(key);
  if (!pkey || signature.size() > key.modulus.size()) return false;
  std::string padded(key.modulus.size() - signature.size(), '\0');  // an MPI loses its leading zeros
  padded += signature;
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(pkey.get(), nullptr);
  const bool holds = EVP_PKEY_verify_init(context) > 0 &&
                     EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0 &&
                     EVP_PKEY_CTX_set_signature_md(context, EVP_get_digestbyname(std::string(hash).c_str())) > 0 &&
                     EVP_PKEY_verify(context, raw(padded), padded.size(), raw(digest), digest.size()) == 1;
  EVP_PKEY_CTX_free(context);
  return holds;
}

std::string left_padded(std::string_view bytes, std::size_t size) {
  return bytes.size() >= size ? std::string(bytes) : std::string(size - bytes.size(), '\0') + std::string(bytes);
}

bool eddsa_holds(const PgpKey& key, std::string_view digest, std::string_view r, std::string_view s) {
  const OpensslKey pkey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(key.modulus), key.modulus.size()));
  if (!pkey) return false;
  const std::string signature = left_padded(r, 32) + left_padded(s, 32);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const bool holds = EVP_DigestVerifyInit(context, nullptr, nullptr, nullptr, pkey.get()) > 0 &&
                     EVP_DigestVerify(context, raw(signature), signature.size(), raw(digest), digest.size()) == 1;
  EVP_MD_CTX_free(context);
  return holds;
}

// The key id that a signature names, in its hashed or its other part.
std::string issuer_of(std::string_view hashed, std::string_view other) {
  for (const std::string_view part : {hashed, other}) {
    PgpReader in{part};
    while (!in.rest.empty() && !in.failed) {
      const std::uint32_t first = in.number(1);
      const std::size_t length = first < 192   ? first
                                 : first < 255 ? ((first - 192) << 8) + in.number(1) + 192
                                               : in.number(4);
      const std::string_view body = in.take(length);
      if (in.failed || body.empty()) break;
      const int type = body[0] & 0x7F;
      if (type == 16 && body.size() == 9) return std::string(body.substr(1));
      if (type == 33 && body.size() == 22) return std::string(body.substr(14));
    }
  }
  return {};
}

}  // namespace

std::uint32_t PgpReader::number(int bytes) {
  std::uint32_t out = 0;
  for (const char c : take(static_cast<std::size_t>(bytes))) out = out << 8 | static_cast<unsigned char>(c);
  return out;
}

std::string_view PgpReader::take(std::size_t bytes) {
  if (bytes > rest.size()) {
    failed = true;
    rest = {};
    return {};
  }
  const std::string_view out = rest.substr(0, bytes);
  rest.remove_prefix(bytes);
  return out;
}

std::string_view PgpReader::integer() {
  return take((number(2) + 7) / 8);
}

const PgpHash* pgp_hash(int id) {
  for (const PgpHash& hash : kHashes) {
    if (hash.id == id) return &hash;
  }
  return nullptr;
}

std::string hash_bytes(std::string_view name, std::string_view bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  const EVP_MD* digest = EVP_get_digestbyname(std::string(name).c_str());
  if (digest == nullptr || EVP_Digest(bytes.data(), bytes.size(), out, &length, digest, nullptr) != 1) return {};
  return std::string(reinterpret_cast<char*>(out), length);
}

std::string canonical_text(std::string_view text) {
  std::string out;
  for (std::string_view line : split(text, '\n')) {
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) line.remove_suffix(1);
    out += line;
    out += "\r\n";
  }
  out.resize(out.size() - 2);
  return out;
}

Result<std::vector<PgpEntity>> read_key_ring(std::string_view bytes) {
  if (bytes.size() > kRingBytesMax) return Error{ErrorCode::too_large, "openpgp: the key ring is too large"};
  PgpReader in{bytes};
  std::vector<PgpEntity> ring;
  bool known = false;  // whether the packets that come now belong to an entity that is kept
  while (!in.rest.empty()) {
    const Packet packet = TRY(next_packet(in));
    const bool primary = packet.tag == 5 || packet.tag == 6, subkey = packet.tag == 7 || packet.tag == 14;
    if (primary || (subkey && known)) {
      auto key = read_key(packet.body);
      if (primary) known = key.ok();
      if (!key.ok()) continue;  // a kind that is not read: signatures by it are by an unknown entity
      if (primary) ring.emplace_back();
      ring.back().keys.push_back(std::move(key).value());
    } else if (packet.tag == 13 && known) {
      ring.back().identities.emplace_back(packet.body);
    }
  }
  return ring;
}

Result<ClearSigned> read_clear_signed(std::string_view message) {
  constexpr std::string_view kBegin = "-----BEGIN PGP SIGNED MESSAGE-----",
                             kSignature = "-----BEGIN PGP SIGNATURE-----", kEnd = "-----END PGP SIGNATURE-----";
  const Error absent{ErrorCode::invalid, "signature block not found"};
  std::vector<std::string_view> lines = split(message, '\n');
  for (std::string_view& line : lines) {
    if (line.ends_with('\r')) line.remove_suffix(1);
  }
  std::size_t at = 0;
  while (at < lines.size() && lines[at] != kBegin) ++at;
  while (at < lines.size() && !trim(lines[at]).empty()) ++at;  // that line and the headers
  if (at == lines.size()) return absent;
  ClearSigned out;
  for (++at; at < lines.size() && lines[at] != kSignature; ++at) {
    out.text += lines[at].starts_with("- ") ? lines[at].substr(2) : lines[at];
    out.text += '\n';
  }
  if (at == lines.size()) return absent;
  if (!out.text.empty()) out.text.pop_back();
  while (at < lines.size() && !trim(lines[at]).empty()) ++at;
  std::string encoded;
  for (; at < lines.size() && lines[at] != kEnd; ++at) {
    if (!lines[at].starts_with('=')) encoded += lines[at];  // the line with '=' is a checksum
  }
  if (at == lines.size()) return absent;
  out.signature = TRY(unbase64(encoded));
  return out;
}

Result<const PgpEntity*> check_signature(const std::vector<PgpEntity>& ring, const ClearSigned& message) {
  const auto bad = [](const std::string& why) {
    return Error{ErrorCode::forbidden, "openpgp: invalid signature: " + why};
  };
  PgpReader packets{message.signature};
  const Packet packet = TRY(next_packet(packets));
  PgpReader in{packet.body};
  if (packet.tag != 2 || in.number(1) != 4) return bad("not a signature of version 4");
  const std::uint32_t type = in.number(1);
  const int algorithm = static_cast<int>(in.number(1));
  const PgpHash* hash = pgp_hash(static_cast<int>(in.number(1)));
  const std::string_view hashed = in.take(in.number(2));
  const std::string_view head = packet.body.substr(0, 6 + hashed.size());
  const std::string_view other = in.take(in.number(2));
  const std::string_view tag = in.take(2);
  const std::string_view first = in.integer();
  const std::string_view second = algorithm == kEdDsa ? in.integer() : std::string_view();
  if (in.failed || hash == nullptr || type > 1) return bad("its form is not known");
  const std::string issuer = issuer_of(hashed, other);
  std::string signed_bytes = canonical_text(message.text) + std::string(head) + "\x04\xFF";
  for (int shift = 24; shift >= 0; shift -= 8) signed_bytes += static_cast<char>(head.size() >> shift);
  const std::string digest = hash_bytes(hash->name, signed_bytes);
  for (const PgpEntity& entity : ring) {
    for (const PgpKey& key : entity.keys) {
      if (key.algorithm != algorithm || !std::string_view(key.fingerprint).ends_with(issuer) || issuer.empty())
        continue;
      if (digest.substr(0, 2) != tag) return bad("hash tag doesn't match");
      const bool holds =
          algorithm == kEdDsa ? eddsa_holds(key, digest, first, second) : rsa_holds(key, hash->name, digest, first);
      if (!holds) return bad(algorithm == kEdDsa ? "EdDSA verification failure" : "RSA verification failure");
      return &entity;
    }
  }
  return Error{ErrorCode::forbidden, "openpgp: signature made by unknown entity"};
}

}  // namespace caisson::render::helm
