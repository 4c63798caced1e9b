// SPDX-License-Identifier: Apache-2.0
#include "main/cli/policy_cluster.h"

#include "cluster/schema/resource.h"

namespace caisson::cli {

Result<void> read_namespaces(kube::Client& client, policy::TestInputs& inputs) {
  const auto list = TRY(client.list(schema::kNamespaces, {}).in("read namespaces"));
  for (const kube::Object& one : list.items) inputs.namespaces[one.name()] = one.value();
  return {};
}

Result<std::vector<Value>> read_cluster(kube::Client& client, const policy::PolicySet& policies,
                                        const std::string& ns) {
  constexpr std::int64_t kPage = 500;
  std::vector<Value> out;
  for (const schema::Resource& kind : TRY(client.resources())) {
    if (!policies.speaks_of(kind.group, kind.version, kind.kind, kind.plural)) continue;
    if (!ns.empty() && !kind.namespaced) continue;
    kube::ListOptions options{.ns = ns, .limit = kPage};
    do {
      auto page = client.list(kind, options);
      // Kinds that can only be made (reviews) have no list.
      if (!page.ok() && page.error().code == ErrorCode::method_not_allowed) break;
      const auto list = TRY(std::move(page).in("read " + kind.plural));
      for (const kube::Object& one : list.items) {
        Value object = one.value();
        object.set("apiVersion", kind.api_version()).set("kind", kind.kind);
        out.push_back(std::move(object));
      }
      options.continue_token = list.continue_token;
    } while (!options.continue_token.empty());
  }
  return out;
}

}  // namespace caisson::cli
