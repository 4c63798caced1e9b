// SPDX-License-Identifier: Apache-2.0
#include "main/platform/system_objects.h"

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/document/yaml.h"
#include "delivery/pipeline/pipeline.h"
#include "main/platform/nodes.h"
#include "main/platform/pki.h"

namespace caisson::platform {
namespace {

struct SystemService {
  const char *ns, *name;
  int offset;  // in the service range (docs/architecture.md)
  const char* port_name;
  int port, target;
  bool udp;  // besides TCP
};

constexpr SystemService kServices[] = {
    {"default", "kubernetes", 1, "https", 443, kNodeApiPort, false},
    {"caisson-system", "git", 2, "https", 443, kNodePortalPort, false},
    {"caisson-system", "registry", 3, "https", 5000, kNodeRegistryPort, false},
    {"kube-system", "kube-dns", 10, "dns", 53, 53, true},
};

Value ports_of(const SystemService& service, const char* number_key, int number) {
  std::vector<Value> ports;
  for (const char* protocol : {"UDP", "TCP"}) {
    if (protocol[0] == 'U' && !service.udp) continue;
    const std::string name =
        service.udp && protocol[0] == 'T' ? std::string(service.port_name) + "-tcp" : service.port_name;
    Value port{{"name", name}, {"protocol", protocol}};
    port.set(number_key, number);
    ports.push_back(std::move(port));
  }
  return Value(std::move(ports));
}

kube::WriteOptions as_platform() {
  return {.field_manager = "caisson", .force = true};
}

Result<void> ensure_namespace(kube::Client& client, const char* name) {
  TRY(client.apply(kube::Object::make(schema::kNamespaces, "", name), as_platform())
          .in(std::string("namespace ") + name));
  return {};
}

Result<void> ensure_service(kube::Client& client, const Instance& instance, const SystemService& service) {
  kube::Object object = kube::Object::make(schema::kServices, service.ns, service.name);
  object.edit({"spec", "clusterIP"}) = Value(instance.service_address(service.offset));
  object.edit({"spec", "ports"}) = ports_of(service, "port", service.port);
  TRY(client.apply(object, as_platform()).in("service " + object.key().str()));
  kube::Object slice = kube::Object::make(schema::kEndpointSlices, service.ns, std::string(service.name) + "-caisson");
  slice.set_label("kubernetes.io/service-name", service.name);
  slice.set_label("endpointslice.kubernetes.io/managed-by", "caisson");
  slice.edit({"addressType"}) = Value("IPv4");
  Value endpoint{{"addresses", Value::list_of({instance.node_address()})},
                 {"conditions", Value{{"ready", true}, {"serving", true}, {"terminating", false}}}};
  slice.edit({"endpoints"}) = Value(std::vector<Value>{std::move(endpoint)});
  slice.edit({"ports"}) = ports_of(service, "port", service.target);
  TRY(client.apply(slice, as_platform()).in("endpoint slice " + slice.key().str()));
  return {};
}

Result<void> ensure_project(kube::Client& client) {
  kube::Object project = kube::Object::make(schema::kAppProjects, "argocd", "default");
  const auto there = client.get(schema::kAppProjects, project.key());
  if (there.ok() || there.error().code != ErrorCode::not_found)
    return there.ok() ? Result<void>{} : Result<void>(there.error());
  project.edit({"spec", "sourceRepos"}) = Value::list_of({"*"});
  project.edit({"spec", "destinations"}) = Value(std::vector<Value>{Value{{"namespace", "*"}, {"server", "*"}}});
  project.edit({"spec", "clusterResourceWhitelist"}) = Value(std::vector<Value>{Value{{"group", "*"}, {"kind", "*"}}});
  TRY(client.create(project).in("project default"));
  return {};
}

// Nodes that there were when more shared this machine; with them what was bound to them, which nobody runs any more.
Result<void> remove_former_nodes(kube::Client& client, const Instance& instance) {
  const kube::ObjectList nodes = TRY(client.list(schema::kNodes, {}));
  for (const kube::Object& node : nodes.items) {
    if (node_number(instance, node.name()) <= instance.settings.nodes) continue;
    const kube::ObjectList pods = TRY(client.list(schema::kPods, {.field_selector = "spec.nodeName=" + node.name()}));
    for (const kube::Object& pod : pods.items) {
      const auto removed = client.remove(schema::kPods, pod.key(), {.grace_period_seconds = 0});
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    }
    const auto lease = client.remove(schema::kLeases, {"kube-node-lease", node.name()}, {});
    if (!lease.ok() && lease.error().code != ErrorCode::not_found) return lease.error();
    TRY(client.remove(schema::kNodes, node.key(), {}).in("node " + node.name() + ", which there is no more"));
  }
  return {};
}

Result<void> ensure_tekton_roles(kube::Client& client) {
  for (const Value& role : TRY(yaml::read_all(pipeline::shipped_roles())))
    TRY(client.apply(kube::Object(role), as_platform()).in("cluster role " + role["metadata"]["name"].str()));
  return {};
}

// The administrator's token, hashed: the server never saw the token itself.
Result<void> ensure_admin(kube::Client& client, const Instance& instance) {
  const std::string hash = TRY(read_file(instance.path("pki/admin-token.sha256")));
  kube::Object secret = kube::Object::make(schema::kSecrets, "caisson-system", "user-" + std::string(kAdminUser));
  secret.edit({"type"}) = Value("caisson.dev/user-token");
  secret.edit({"data"}) =
      Value{{"user", base64(kAdminUser)}, {"groups", base64("system:masters")}, {"hash", base64(hash)}};
  TRY(client.apply(secret, as_platform()).in("administrator's token"));
  return {};
}

}  // namespace

Result<void> ensure_system_objects(kube::Client& client, const Instance& instance) {
  for (const char* name : {"caisson-system", "argocd"}) TRY(ensure_namespace(client, name));
  TRY(ensure_admin(client, instance));
  for (const SystemService& service : kServices) TRY(ensure_service(client, instance, service));
  TRY(remove_former_nodes(client, instance));
  TRY(ensure_tekton_roles(client));
  return ensure_project(client);
}

}  // namespace caisson::platform
