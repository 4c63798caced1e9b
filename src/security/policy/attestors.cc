// SPDX-License-Identifier: Apache-2.0
#include "security/policy/attestors.h"

#include "core/base/text.h"

namespace caisson::policy {
namespace {

constexpr int kDepthMax = 5;
constexpr std::size_t kEntriesMax = 100;

// Entries with several public keys become one entry for each.
std::vector<Value> expanded(const Value& entries) {
  constexpr std::string_view kEnd = "-----END PUBLIC KEY-----";
  std::vector<Value> out;
  for (const Value& entry : entries.items()) {
    std::string_view keys = entry["keys"]["publicKeys"].as_string();
    std::vector<std::string> parts;
    for (std::size_t end; (end = keys.find(kEnd)) != std::string_view::npos; keys.remove_prefix(end + kEnd.size()))
      parts.emplace_back(trim(keys.substr(0, end + kEnd.size())));
    if (parts.size() < 2) {
      out.push_back(entry);
      continue;
    }
    for (std::string& part : parts) {
      Value one = entry;
      one.edit("keys").set("publicKeys", part);
      out.push_back(std::move(one));
    }
  }
  return out;
}

std::string_view form_of(const Value& entry) {
  for (const std::string_view form : {"keys", "certificates", "keyless", "attestor"})
    if (entry[form].is_map()) return form;
  return "";
}

}  // namespace

Result<const Signatures*> AttestorCheck::signatures_in(const std::string& repository) {
  const auto known = known_.find(repository);
  if (known != known_.end()) return &known->second;
  Signatures list;
  for (Signature& one : TRY(read_(repository))) list.push_back(std::make_shared<const Signature>(std::move(one)));
  return &known_.emplace(repository, std::move(list)).first->second;
}

Result<Signatures> AttestorCheck::check_entry(const Value& entry, const std::string& path, int depth) {
  const std::string here = path + (form_of(entry).empty() ? "" : "." + std::string(form_of(entry)));
  if (entry["attestor"].is_map()) return check_set(entry["attestor"], here, depth + 1);
  const Authority authority = TRY(parse_authority(entry, lookups_).in(path));
  const Signatures* all =
      TRY(signatures_in(authority.repository.empty() ? repository_ : authority.repository).in(here));
  Signatures good;
  std::string why;
  for (const auto& one : *all) {
    const auto done = verify_signature(authority, *one, now_);
    if (done.ok())
      good.push_back(one);
    else if (why.find(done.error().message) == std::string::npos)
      why += (why.empty() ? "" : "; ") + done.error().message;
  }
  if (!good.empty()) return good;
  return Error{ErrorCode::unauthorized,
               here + ": " + (all->empty() ? "no signatures found" : "no matching signatures: " + why)};
}

Result<Signatures> AttestorCheck::check_set(const Value& set, const std::string& path, int depth) {
  if (depth > kDepthMax) return Error{ErrorCode::bad_request, path + ": attestors are nested too deeply"};
  const auto entries = expanded(set["entries"]);
  if (entries.empty() || entries.size() > kEntriesMax)
    return Error{ErrorCode::bad_request, path + ".entries: needs 1 to " + std::to_string(kEntriesMax) + " entries"};
  const std::size_t wanted = set.contains("count")
                                 ? static_cast<std::size_t>(std::max<std::int64_t>(set["count"].as_int(), 1))
                                 : entries.size();
  Signatures out;
  std::size_t held = 0;
  std::string why;
  for (std::size_t i = 0; i < entries.size() && held < wanted; ++i) {
    auto one = check_entry(entries[i], path + ".entries[" + std::to_string(i) + "]", depth);
    // What can't be asked (a registry that is away) is no verdict.
    if (!one.ok() && one.error().code != ErrorCode::unauthorized) return one;
    if (!one.ok()) {
      why += (why.empty() ? "" : "; ") + one.error().message;
      continue;
    }
    ++held;
    for (const auto& signature : *one) out.push_back(signature);
  }
  if (held >= wanted) return out;
  return Error{ErrorCode::unauthorized, why};
}

Result<Signatures> AttestorCheck::check_all(const Value& sets, const std::string& path) {
  Signatures out;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const auto found = TRY(check_set(sets[i], path + "[" + std::to_string(i) + "]", 0));
    out.insert(out.end(), found.begin(), found.end());
  }
  return out;
}

}  // namespace caisson::policy
