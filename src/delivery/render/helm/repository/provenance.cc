// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/repository/provenance.h"

#include "core/base/clock.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/repository/download.h"
#include "delivery/render/helm/repository/openpgp.h"
#include "delivery/render/helm/repository/package.h"

namespace caisson::render::helm {
namespace {

constexpr std::string_view kSeparator = "\n...\n";

Result<std::vector<PgpEntity>> load_ring(const std::string& path) {
  const auto bytes = read_file(path);
  if (!bytes.ok() && bytes.error().code == ErrorCode::not_found)
    return Error{ErrorCode::not_found, "open " + path + ": no such file or directory"};
  return read_key_ring(TRY(Result<std::string>(bytes)));
}

// The entity whose identity is `key`, or else the one whose identity holds it.
Result<const PgpEntity*> find_entity(const std::vector<PgpEntity>& ring, const std::string& key) {
  const PgpEntity* candidate = nullptr;
  bool vague = false;
  for (const PgpEntity& entity : ring) {
    for (const std::string& identity : entity.identities) {
      if (identity == key) return &entity;
      if (identity.find(key) == std::string::npos) continue;
      vague |= candidate != nullptr;
      candidate = &entity;
    }
  }
  if (vague) return Error{ErrorCode::bad_request, "more than one key contain the id " + go_quote(key)};
  if (candidate == nullptr) return Error{ErrorCode::not_found, "private key not found"};
  return candidate;
}

}  // namespace

std::string Verification::str() const {
  std::string out;
  for (const std::string& identity : identities) out += "Signed by: " + identity + "\n";
  return out + "Using Key With Fingerprint: " + fingerprint + "\nChart Hash Verified: " + file_hash + "\n";
}

Result<Verification> verify_provenance(const std::string& file_name, const std::string& archive,
                                       const std::string& provenance, const std::string& keyring) {
  const auto ring = TRY(load_ring(keyring).in("failed to load keyring"));
  const ClearSigned message = TRY(read_clear_signed(provenance).in("failed to decode signature"));
  const PgpEntity* by = TRY(check_signature(ring, message));
  const std::size_t at = message.text.find(kSeparator);
  if (at == std::string::npos) return Error{ErrorCode::invalid, "message block must have at least two parts"};
  std::string sums = message.text.substr(at + kSeparator.size());
  sums = sums.substr(0, sums.find(kSeparator));
  const Value files = TRY(read_yaml(sums, false))["files"];
  const Value* said = files.find(file_name);
  if (said == nullptr)
    return Error{ErrorCode::forbidden, "provenance does not contain a SHA for a file named " + go_quote(file_name)};
  Verification out;
  out.file_hash = "sha256:" + sha256_hex(archive);
  if (said->as_string() != out.file_hash) {
    return Error{ErrorCode::forbidden, "sha256 sum does not match for " + file_name + ": " +
                                           go_quote(said->as_string()) + " != " + go_quote(out.file_hash)};
  }
  out.identities = by->identities;
  for (char c : hex(by->keys[0].fingerprint)) out.fingerprint += c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

Result<Verification> verify_chart_file(const std::string& path, const std::string& keyring) {
  if (!exists(path)) return Error{ErrorCode::not_found, "stat " + path + ": no such file or directory"};
  if (is_directory(path)) return Error{ErrorCode::bad_request, "unpacked charts cannot be verified"};
  if (!to_lower(path).ends_with(".tgz")) return Error{ErrorCode::bad_request, "chart must be a tgz file"};
  const std::string provenance_file = path + ".prov";
  if (!exists(provenance_file)) {
    return Error{ErrorCode::not_found, "could not load provenance file " + provenance_file + ": stat " +
                                           provenance_file + ": no such file or directory"};
  }
  const std::string archive = TRY(read_file(path, kArchiveBytesMax));
  const std::string provenance = TRY(read_file(provenance_file, 1u << 20));
  return verify_provenance(path_base(path), archive, provenance, keyring);
}

Result<std::string> sign_chart(const std::string& file_name, const std::string& archive, const std::string& keyring,
                               const std::string& key,
                               const std::function<Result<SecretBytes>(const std::string& identity)>& passphrase) {
  const auto ring = TRY(load_ring(keyring));
  const PgpEntity* entity = TRY(find_entity(ring, key));
  SecretBytes secret;
  if (is_encrypted(entity->keys[0]))
    secret = TRY(passphrase(entity->identities.empty() ? "Unknown" : entity->identities[0]));
  std::vector<std::string> warnings;
  const Chart chart = TRY(load_archive(archive, warnings));
  const Value sums{{"files", Value{{file_name, "sha256:" + sha256_hex(archive)}}}};
  const std::string text = metadata_yaml(chart.metadata) + std::string(kSeparator) + yaml::write(sums);
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(system_clock().now().time_since_epoch()).count();
  return clear_sign(text, entity->keys[0], secret, static_cast<std::uint32_t>(now));
}

}  // namespace caisson::render::helm
