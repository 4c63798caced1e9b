// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/signed_revisions.h"

#include <algorithm>

#include "cluster/schema/resource.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "delivery/git/signatures.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kKnownMax = 10'000;
constexpr std::size_t kKeyIdMin = 16;  // shorter ids are easily forged

bool names(const std::string& key_id, const std::string& fingerprint) {
  return key_id.size() >= kKeyIdMin && to_lower(fingerprint).ends_with(to_lower(key_id));
}

}  // namespace

Result<std::vector<std::string>> gpg_keys(kube::Client& client, const std::string& home_namespace) {
  std::vector<std::string> out;
  const auto map = client.get(schema::kConfigMaps, {home_namespace, "argocd-gpg-keys-cm"});
  if (!map.ok()) {
    if (map.error().code == ErrorCode::not_found) return out;
    return map.error();
  }
  for (const auto& [id, key] : (*map)["data"].entries()) out.push_back(key.str());
  return out;
}

std::vector<std::string> signature_keys(const kube::Object* project) {
  std::vector<std::string> out;
  if (!project) return out;
  for (const Value& one : project->spec()["signatureKeys"].items()) out.push_back(one["keyID"].str());
  return out;
}

Result<void> SignedRevisions::check_one(const Source& source, const std::string& commit,
                                        const std::vector<std::string>& allowed,
                                        const std::vector<std::string>& keys) const {
  if (!source.chart.empty()) return {};
  const git::Repository repository = TRY(repositories_.find(source.repo_url));
  const git::Signer signer = TRY(git::verify_commit(repository, commit, keys).in("signature required by the project"));
  const bool fine = std::any_of(allowed.begin(), allowed.end(), [&](const std::string& id) {
    return names(id, signer.fingerprint) || names(id, signer.primary);
  });
  if (fine) return {};
  return Error{ErrorCode::invalid, "revision " + commit + " has a good signature of key " + signer.primary +
                                       ", which the project's signatureKeys do not name"};
}

Result<void> SignedRevisions::check(const Source& source, const std::string& commits,
                                    const std::vector<std::string>& allowed) {
  if (allowed.empty()) return {};
  const std::vector<std::string> keys = TRY(keys_());
  const std::string seen =
      sha256_hex(source.repo_url + "\n" + commits + "\n" + join(allowed, ",") + "\n" + join(keys, "\n"));
  {
    const std::lock_guard lock(mutex_);
    if (good_.contains(seen)) return {};
  }
  std::vector<const Source*> all{&source};
  for (const Source& other : source.more) all.push_back(&other);
  const auto each = split(commits, ',');
  for (std::size_t i = 0; i < all.size() && i < each.size(); ++i)
    TRY(check_one(*all[i], std::string(each[i]), allowed, keys));
  const std::lock_guard lock(mutex_);
  if (good_.size() >= kKnownMax) good_.clear();
  good_.insert(seen);
  return {};
}

}  // namespace caisson::gitops
