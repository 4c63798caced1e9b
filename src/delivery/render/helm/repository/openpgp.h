// SPDX-License-Identifier: Apache-2.0
// As much of OpenPGP (RFC 4880; EdDSA by RFC 6637's successors as gpg writes it) as provenance files need: binary key
// rings, version 4 keys and signatures by RSA and Ed25519, clear-signed text. Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/secret.h"

namespace caisson::render::helm {

struct PgpKey {
  int algorithm = 0;              // 1, 3: RSA; 22: EdDSA
  std::string fingerprint;        // 20 bytes; the last 8 are the key's id
  std::string modulus, exponent;  // RSA, big endian; of EdDSA `modulus` is the 32 bytes of the point
  std::string secret;             // what follows the public part in a secret key's packet; empty: a public key
  std::string public_part;        // the packet's bytes up to `secret`
};

struct PgpEntity {
  std::vector<PgpKey> keys;  // the primary one first
  std::vector<std::string> identities;
};

// Errors: invalid "openpgp: invalid data: …".
Result<std::vector<PgpEntity>> read_key_ring(std::string_view bytes);

struct ClearSigned {
  std::string text;       // as written, dash-escapes undone, lines ended by "\n" but for the last
  std::string signature;  // the packet's bytes
};
// Errors: invalid "signature block not found".
Result<ClearSigned> read_clear_signed(std::string_view message);

// Who signed. Errors: forbidden "openpgp: signature made by unknown entity", "openpgp: invalid signature: …".
Result<const PgpEntity*> check_signature(const std::vector<PgpEntity>& ring, const ClearSigned& message);

// `key` has a secret part; `passphrase` is for one that is encrypted. Errors: invalid; forbidden for a wrong
// passphrase.
Result<std::string> clear_sign(std::string_view text, const PgpKey& key, const SecretBytes& passphrase,
                               std::uint32_t unix_time);
bool is_encrypted(const PgpKey& key);

// --- shared by the two files of this header
struct PgpHash {
  int id;
  std::string_view name;  // as OpenSSL and the "Hash:" header know it
};
const PgpHash* pgp_hash(int id);
std::string hash_bytes(std::string_view name, std::string_view bytes);  // empty when OpenSSL does not have it
std::string canonical_text(std::string_view text);                      // CRLF, no blanks at line ends
std::string armor(std::string_view kind, std::string_view bytes);

// Reads big-endian fields from the front; a short read sets `failed` and gives zeros.
struct PgpReader {
  std::string_view rest;
  bool failed = false;
  std::uint32_t number(int bytes);
  std::string_view take(std::size_t bytes);
  std::string_view integer();  // an MPI
};

}  // namespace caisson::render::helm
