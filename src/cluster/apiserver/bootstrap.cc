// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/bootstrap.h"

#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/bootstrap_policy.h"
#include "cluster/apiserver/client.h"
#include "cluster/apiserver/service_addresses.h"
#include "cluster/kube/selector.h"
#include "core/base/log.h"
#include "core/document/yaml.h"

namespace caisson::apiserver {
namespace {

using kube::Object;

constexpr std::string_view kDeveloperLabel = "caisson.dev/aggregate-to-developer";
const User kBootstrapUser{"system:apiserver", {"system:masters"}, "", {}};

std::string aggregate_label(std::string_view role) {
  return "rbac.authorization.k8s.io/aggregate-to-" + std::string(role);
}

Value selector(const std::string& label) {
  return Value{{"matchLabels", Value{{label, "true"}}}};
}

Value role_object(const Value& brief) {
  Value labels{{"kubernetes.io/bootstrapping", "rbac-defaults"}};
  for (const Value& role : brief["to"].items()) labels.set(aggregate_label(role.as_string()), "true");
  if (brief["developer"].as_bool()) labels.set(kDeveloperLabel, "true");
  Value role{{"apiVersion", "rbac.authorization.k8s.io/v1"},
             {"kind", "ClusterRole"},
             {"metadata", Value{{"name", brief["name"]},
                                {"labels", std::move(labels)},
                                {"annotations", Value{{"rbac.authorization.kubernetes.io/autoupdate", "true"}}}}}};
  if (brief["from"].empty()) {
    role.set("rules", brief["rules"]);
    return role;
  }
  std::vector<Value> selectors;
  for (const Value& from : brief["from"].items()) selectors.push_back(selector(aggregate_label(from.as_string())));
  if (brief["fromDeveloper"].as_bool()) selectors.push_back(selector(std::string(kDeveloperLabel)));
  role.set("aggregationRule", Value{{"clusterRoleSelectors", Value(std::move(selectors))}});
  role.set("rules", Value::list());
  return role;
}

Value binding_object(const Value& brief) {
  std::vector<Value> subjects;
  for (const Value& group : brief["groups"].items())
    subjects.push_back(Value{{"kind", "Group"}, {"apiGroup", "rbac.authorization.k8s.io"}, {"name", group}});
  return Value{
      {"apiVersion", "rbac.authorization.k8s.io/v1"},
      {"kind", "ClusterRoleBinding"},
      {"metadata", Value{{"name", brief["name"]},
                         {"labels", Value{{"kubernetes.io/bootstrapping", "rbac-defaults"}}},
                         {"annotations", Value{{"rbac.authorization.kubernetes.io/autoupdate", "true"}}}}},
      {"roleRef", Value{{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "ClusterRole"}, {"name", brief["role"]}}},
      {"subjects", Value(std::move(subjects))}};
}

// Creates what is absent; a role that lacks rules it should have gets them (a newer version of this program).
Result<void> ensure(Core& core, kube::Client& client, const Value& object) {
  const auto kind = core.schema.find_object(object);
  if (!kind) return Error{ErrorCode::internal, "bootstrap: the schema has no " + object["kind"].str()};
  const kube::ObjectKey key{object["metadata"]["namespace"].str(), object["metadata"]["name"].str()};
  const auto live = client.get(kind->resource, key);
  if (!live.ok() && live.error().code != ErrorCode::not_found) return live.error();
  if (!live.ok()) {
    TRY(client.create(Object(object), {.field_manager = "kube-apiserver"}));
    return {};
  }
  if (kind->resource.plural != "clusterroles" || object["rules"].empty()) return {};
  if (live->metadata()["annotations"]["rbac.authorization.kubernetes.io/autoupdate"].as_string() != "true") return {};
  PolicyRules held, wanted;
  for (const Value& rule : (*live)["rules"].items()) held.push_back(PolicyRule::parse(rule));
  for (const Value& rule : object["rules"].items()) wanted.push_back(PolicyRule::parse(rule));
  const PolicyRules missing = Authorizer::missing(held, wanted);
  if (missing.empty()) return {};
  Object changed = *live;
  for (const PolicyRule& rule : missing) changed.edit({"rules"}).push_back(rule.to_value());
  TRY(client.update(changed, {.field_manager = "kube-apiserver"}));
  return {};
}

Value service_object(const std::string& ip) {
  const Value port{{"name", "https"}, {"port", 443}, {"protocol", "TCP"}, {"targetPort", 6443}};
  return Value{{"apiVersion", "v1"},
               {"kind", "Service"},
               {"metadata", Value{{"name", "kubernetes"},
                                  {"namespace", "default"},
                                  {"labels", Value{{"component", "apiserver"}, {"provider", "kubernetes"}}}}},
               {"spec", Value{{"clusterIP", ip},
                              {"type", "ClusterIP"},
                              {"sessionAffinity", "None"},
                              {"ports", Value(std::vector<Value>{port})}}}};
}

Value priority_object(std::string_view name, std::int64_t value, std::string_view description) {
  return Value{{"apiVersion", "scheduling.k8s.io/v1"},
               {"kind", "PriorityClass"},
               {"metadata", Value{{"name", name}}},
               {"value", value},
               {"description", description}};
}

Value namespace_object(std::string_view name) {
  return Value{{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", Value{{"name", name}}}};
}

}  // namespace

Result<void> make_bootstrap_objects(Core& core) {
  const auto client = make_client(core, kBootstrapUser);
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease", "caisson-system"})
    TRY(ensure(core, *client, namespace_object(name)));
  TRY(ensure(core, *client,
             priority_object("system-node-critical", 2'000'001'000,
                             "Used for system critical pods that must not be moved from their current node.")));
  TRY(ensure(core, *client,
             priority_object("system-cluster-critical", 2'000'000'000,
                             "Used for system critical pods that must run in the cluster, but can be moved to another "
                             "node if necessary.")));
  const Value roles = TRY(yaml::read(kBootstrapRoles, {.name = "bootstrap roles"}));
  for (const Value& brief : roles.items()) TRY(ensure(core, *client, role_object(brief)));
  const Value bindings = TRY(yaml::read(kBootstrapBindings, {.name = "bootstrap bindings"}));
  for (const Value& brief : bindings.items()) TRY(ensure(core, *client, binding_object(brief)));
  TRY(aggregate_cluster_roles(core));
  return ensure(core, *client, service_object(core.addresses->at(1)));
}

Result<void> aggregate_cluster_roles(Core& core) {
  const std::string resource = "clusterroles.rbac.authorization.k8s.io";
  const auto client = make_client(core, kBootstrapUser);
  // A role that is made of others may itself be a part (edit of admin): until nothing changes, at most as deep as
  // people nest them.
  for (int round = 0; round < 5; ++round) {
    const store::Listing listing = TRY(core.store.list(resource));
    bool changed = false;
    for (const store::ItemPtr& item : listing.items) {
      const Value role = item->value();
      const Value selectors = role["aggregationRule"]["clusterRoleSelectors"];
      if (selectors.empty()) continue;
      std::vector<Value> rules;
      for (const Value& text : selectors.items()) {
        const kube::LabelSelector wanted = TRY(kube::LabelSelector::from(text));
        for (const store::ItemPtr& part : listing.items) {
          if (part == item || !wanted.matches(part->value()["metadata"]["labels"])) continue;
          const Value source = part->value();
          for (const Value& rule : source["rules"].items())
            if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(rule);
        }
      }
      if (Value(rules) == role["rules"] || (rules.empty() && role["rules"].empty())) continue;
      Object next(role);
      next.edit({"rules"}) = Value(std::move(rules));
      const auto updated = client->update(next, {.field_manager = std::string(kAggregationManager)});
      if (!updated.ok() && updated.error().code != ErrorCode::conflict) return updated.error();
      changed = true;
    }
    if (!changed) return {};
  }
  return {};
}

}  // namespace caisson::apiserver
