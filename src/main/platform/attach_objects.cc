// SPDX-License-Identifier: Apache-2.0
#include "main/platform/attach_objects.h"

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "cluster/schema/resource.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/yaml.h"

namespace caisson::platform {
namespace {

constexpr Duration kServedMax = std::chrono::seconds(30);
constexpr std::string_view kName = "caisson-gitops";

struct Definition {
  std::string_view kind, plural, singular;
  std::vector<std::string> short_names;
  bool status;  // has a status subresource; upstream's Application has none
};

std::vector<Definition> definitions() {
  return {{"Application", "applications", "application", {"app", "apps"}, false},
          {"ApplicationSet", "applicationsets", "applicationset", {"appset", "appsets"}, true},
          {"AppProject", "appprojects", "appproject", {"appproj", "appprojs"}, false}};
}

kube::Resource resource(std::string group, std::string version, std::string kind, std::string plural, bool namespaced) {
  return {std::move(group), std::move(version), std::move(kind), std::move(plural), namespaced};
}

Value definition(const Definition& one) {
  Value open{{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
  Value properties{{"apiVersion", Value{{"type", "string"}}},
                   {"kind", Value{{"type", "string"}}},
                   {"metadata", Value{{"type", "object"}}},
                   {"spec", open},
                   {"status", open}};
  if (one.kind == "Application") properties.set("operation", open);
  Value schema{{"type", "object"}, {"required", Value::list_of({"metadata", "spec"})}, {"properties", properties}};
  Value version{{"name", "v1alpha1"},
                {"served", true},
                {"storage", true},
                {"schema", Value{{"openAPIV3Schema", std::move(schema)}}}};
  if (one.status) version.set("subresources", Value{{"status", Value::map()}});
  if (one.kind == "Application") {
    Value columns = Value::list();
    columns.push_back(Value{{"name", "Sync Status"}, {"type", "string"}, {"jsonPath", ".status.sync.status"}});
    columns.push_back(Value{{"name", "Health Status"}, {"type", "string"}, {"jsonPath", ".status.health.status"}});
    version.set("additionalPrinterColumns", std::move(columns));
  }
  Value versions = Value::list();
  versions.push_back(std::move(version));
  Value names{{"kind", one.kind},
              {"listKind", std::string(one.kind) + "List"},
              {"plural", one.plural},
              {"singular", one.singular},
              {"shortNames", Value::list_of(one.short_names)}};
  Value spec{{"group", "argoproj.io"}, {"scope", "Namespaced"}, {"names", std::move(names)}, {"versions", versions}};
  return Value{{"apiVersion", "apiextensions.k8s.io/v1"},
               {"kind", "CustomResourceDefinition"},
               {"metadata", Value{{"name", std::string(one.plural) + ".argoproj.io"}}},
               {"spec", std::move(spec)}};
}

Result<void> wait_served(kube::Client& client, std::string_view kind) {
  const Duration end = system_clock().monotonic() + kServedMax;
  for (;;) {
    const auto served = client.resource_for("argoproj.io/v1alpha1", kind);
    if (served.ok()) return {};
    if (served.error().code != ErrorCode::not_found) return served.error();
    if (system_clock().monotonic() > end)
      return Error{ErrorCode::timeout, "the definition of " + std::string(kind) + " was made, but is not served"};
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // discovery can't be watched
  }
}

Error refused(const Error& error, const std::string& what) {
  Error out = Error(error).in(what);
  if (error.code == ErrorCode::forbidden)
    out.message += "; give this user the rights that 'caisson attach --print-rbac' prints";
  return out;
}

Value rule(const std::vector<std::string>& groups, const std::vector<std::string>& resources,
           const std::vector<std::string>& verbs, const std::vector<std::string>& names = {}) {
  Value out{{"apiGroups", Value::list_of(groups)},
            {"resources", Value::list_of(resources)},
            {"verbs", Value::list_of(verbs)}};
  if (!names.empty()) out.set("resourceNames", Value::list_of(names));
  return out;
}

std::vector<std::string> watch_verbs() {
  return {"get", "list", "watch"};
}
std::vector<std::string> manage_verbs() {
  return {"get", "list", "watch", "create", "update", "patch", "delete"};
}

// Plurals by group: what Applications have; where nobody can say, what most of them have.
Result<std::map<std::string, std::set<std::string>>> managed_kinds(kube::Client* client) {
  std::map<std::string, std::set<std::string>> out;
  if (client == nullptr) {
    out[""] = {"configmaps", "secrets", "services", "serviceaccounts", "persistentvolumeclaims", "pods", "namespaces"};
    out["apps"] = {"deployments", "statefulsets", "daemonsets"};
    out["batch"] = {"jobs", "cronjobs"};
    out["networking.k8s.io"] = {"ingresses", "networkpolicies"};
    out["autoscaling"] = {"horizontalpodautoscalers"};
    out["policy"] = {"poddisruptionbudgets"};
    return out;
  }
  const auto applications = client->list(schema::kApplications, {});
  if (!applications.ok() && applications.error().code != ErrorCode::not_found) return applications.error();
  std::set<std::pair<std::string, std::string>> kinds;
  for (const kube::Object& one : applications.ok() ? applications->items : std::vector<kube::Object>{}) {
    for (const Value& entry : one.status()["resources"].items()) {
      const std::string group = entry["group"].str();
      kinds.emplace((group.empty() ? "" : group + "/") + entry["version"].str(), entry["kind"].str());
    }
  }
  if (kinds.empty()) return managed_kinds(nullptr);
  for (const auto& [api_version, kind] : kinds) {
    const auto found = client->resource_for(api_version, kind);
    if (found.ok()) out[found->group].insert(found->plural);
  }
  out[""].insert("namespaces");  // CreateNamespace=true
  out["autoscaling"].insert("horizontalpodautoscalers");
  return out;
}

Value document(std::string_view api_version, std::string_view kind, const std::string& ns) {
  Value metadata{{"name", kName}};
  if (!ns.empty()) metadata.set("namespace", ns);
  return Value{{"apiVersion", api_version}, {"kind", kind}, {"metadata", std::move(metadata)}};
}

Value binding(std::string_view kind, std::string_view role, const std::string& ns, const std::string& home) {
  Value out = document("rbac.authorization.k8s.io/v1", kind, ns);
  Value subjects = Value::list();
  subjects.push_back(Value{{"kind", "ServiceAccount"}, {"name", kName}, {"namespace", home}});
  out.set("subjects", std::move(subjects));
  out.set("roleRef", Value{{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", role}, {"name", kName}});
  return out;
}

}  // namespace

Result<void> ensure_definitions(kube::Client& client) {
  const kube::Resource crds =
      resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false);
  for (const Definition& one : definitions()) {
    if (client.resource_for("argoproj.io/v1alpha1", one.kind).ok()) continue;  // Argo CD's own, or another Caisson's
    const auto made = client.create(kube::Object(definition(one)));
    if (!made.ok() && made.error().code != ErrorCode::already_exists)
      return refused(made.error(), "definition of " + std::string(one.kind));
    TRY(wait_served(client, one.kind));
  }
  return {};
}

Result<void> ensure_home(kube::Client& client, const std::string& home_namespace) {
  const auto there = client.get(schema::kNamespaces, {"", home_namespace});
  if (!there.ok() && there.error().code == ErrorCode::not_found) {
    const auto made = client.create(kube::Object::make(schema::kNamespaces, "", home_namespace));
    if (!made.ok() && made.error().code != ErrorCode::already_exists)
      return refused(made.error(), "namespace " + home_namespace);
  } else if (!there.ok()) {
    return refused(there.error(), "namespace " + home_namespace);
  }
  const auto project = client.get(schema::kAppProjects, {home_namespace, "default"});
  if (project.ok()) return {};
  if (project.error().code != ErrorCode::not_found) return refused(project.error(), "project default");
  kube::Object object = kube::Object::make(schema::kAppProjects, home_namespace, "default");
  Value everything{{"group", "*"}, {"kind", "*"}}, everywhere{{"server", "*"}, {"namespace", "*"}};
  object.edit({"spec"}) = Value{{"sourceRepos", Value::list_of({"*"})},
                                {"destinations", Value(std::vector<Value>{everywhere})},
                                {"clusterResourceWhitelist", Value(std::vector<Value>{everything})}};
  const auto made = client.create(object);
  if (!made.ok() && made.error().code != ErrorCode::already_exists) return refused(made.error(), "project default");
  return {};
}

Result<std::vector<kube::Object>> running_argocd(kube::Client& client) {
  kube::ListOptions options;
  options.label_selector =
      "app.kubernetes.io/name in "
      "(argocd-application-controller,argocd-applicationset-controller,argocd-notifications-controller)";
  std::vector<kube::Object> out;
  for (const auto& [kind, plural] : {std::pair("StatefulSet", "statefulsets"), {"Deployment", "deployments"}}) {
    const auto found = client.list(resource("apps", "v1", kind, plural, true), options);
    if (!found.ok()) return refused(found.error(), "look for an Argo CD");
    for (const kube::Object& one : found->items) {
      if (one.spec()["replicas"].as_int(1) > 0) out.push_back(one);
    }
  }
  return out;
}

std::string describe_controllers(const std::vector<kube::Object>& controllers) {
  std::vector<std::string> names;
  for (const kube::Object& one : controllers) names.push_back(one.kind() + " " + one.key().str());
  return join(names, ", ");
}

Result<void> stop_argocd(kube::Client& client, const std::vector<kube::Object>& controllers) {
  for (const kube::Object& one : controllers) {
    const kube::Resource kind = TRY(client.resource_for(one.api_version(), one.kind()));
    TRY(client.patch(kind, one.key(), kube::PatchType::merge, Value{{"spec", Value{{"replicas", 0}}}})
            .in("stop " + one.kind() + " " + one.key().str()));
    log::info("Argo CD's controller stopped", {{"kind", one.kind()}, {"name", one.key().str()}});
  }
  return {};
}

Result<std::string> rbac_manifest(kube::Client* client, const std::string& home) {
  Value in_home = Value::list(), everywhere = Value::list();
  in_home.push_back(rule({""}, {"secrets", "configmaps"}, watch_verbs()));
  in_home.push_back(rule({"coordination.k8s.io"}, {"leases"}, {"create"}));
  in_home.push_back(rule({"coordination.k8s.io"}, {"leases"}, {"get", "update"}, {std::string(kName)}));
  everywhere.push_back(rule(
      {"argoproj.io"}, {"applications", "applicationsets", "applicationsets/status", "appprojects"}, manage_verbs()));
  everywhere.push_back(rule({"apiextensions.k8s.io"}, {"customresourcedefinitions"}, {"create"}));
  everywhere.push_back(rule({""}, {"namespaces"}, {"get"}));
  everywhere.push_back(rule({""}, {"configmaps"}, watch_verbs()));                  // argocd-cm is found among them
  everywhere.push_back(rule({"apps"}, {"statefulsets", "deployments"}, {"list"}));  // is an Argo CD there?
  for (const auto& [group, plurals] : TRY(managed_kinds(client)))
    everywhere.push_back(rule({group}, {plurals.begin(), plurals.end()}, manage_verbs()));
  Value role = document("rbac.authorization.k8s.io/v1", "Role", home);
  role.set("rules", std::move(in_home));
  Value cluster_role = document("rbac.authorization.k8s.io/v1", "ClusterRole", "");
  cluster_role.set("rules", std::move(everywhere));
  std::string out;
  for (const Value& one : {document("v1", "ServiceAccount", home), role, binding("RoleBinding", "Role", home, home),
                           cluster_role, binding("ClusterRoleBinding", "ClusterRole", "", home)})
    out += (out.empty() ? "" : "---\n") + yaml::write(one);
  return out;
}

}  // namespace caisson::platform
