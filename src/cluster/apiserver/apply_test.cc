// SPDX-License-Identifier: Apache-2.0
// Server-side apply and managedFields: what structured-merge-diff's own tests state, on real kinds.
#include "cluster/apiserver/field_set.h"
#include "cluster/apiserver/managed_fields.h"
#include "cluster/apiserver/testing_test.h"

using namespace caisson;
using namespace caisson::apiserver;
using kube::Object;
using schema::kDeployments;

namespace {

Object deployment(std::string_view spec) {
  return object("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: " +
                std::string(spec) + "}");
}

std::string spec_of(std::string_view image, std::string_view more = "", std::string_view container_more = "") {
  return "{selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: "
         "app, image: " +
         std::string(image) + std::string(container_more) + "}]}}" + std::string(more) + "}";
}

struct Applied : TestServer {
  Applied() { make_namespace("shop"); }
  Result<Object> apply(const Object& config, const std::string& manager, bool force = false) {
    return admin->apply(config, {.field_manager = manager, .force = force});
  }
  Object get() { return admin->get(kDeployments, {"shop", "web"}).value(); }
  Value owned_by(std::string_view manager) {
    const Object live = get();
    for (const Value& entry : live.metadata()["managedFields"].items())
      if (entry["manager"].as_string() == manager) return entry["fieldsV1"];
    return {};
  }
};

}  // namespace

TEST_CASE("apply creates, and its manager owns what it named") {
  Applied s;
  const auto made = s.apply(deployment(spec_of("'nginx:1'", ", replicas: 2")), "gitops");
  REQUIRE_MESSAGE(made.ok(), failure(made));
  CHECK(made->spec()["replicas"].as_int() == 2);
  const Value fields = s.owned_by("gitops");
  CHECK(fields.get({"f:spec", "f:replicas"}).is_map());
  CHECK(fields.get({"f:spec", "f:template", "f:spec", "f:containers", "k:{\"name\":\"app\"}", "f:image"}).is_map());
  CHECK(fields.get({"f:spec", "f:template", "f:spec", "f:containers", "k:{\"name\":\"app\"}", "."}).is_map());
  CHECK(fields.get({"f:spec", "f:strategy"}).is_null());  // a default belongs to nobody
}

TEST_CASE("applying the same again writes nothing") {
  Applied s;
  const auto first = s.apply(deployment(spec_of("'nginx:1'")), "gitops");
  REQUIRE(first.ok());
  const store::Revision before = s.store->revision();
  const auto again = s.apply(deployment(spec_of("'nginx:1'")), "gitops");
  REQUIRE_MESSAGE(again.ok(), failure(again));
  CHECK(s.store->revision() == before);
}

TEST_CASE("a field that the manager no longer names goes, unless another owns it") {
  Applied s;
  REQUIRE(s.apply(deployment(spec_of("'nginx:1'", ", replicas: 2, minReadySeconds: 5")), "gitops").ok());
  REQUIRE(s.apply(deployment(spec_of("'nginx:1'", ", replicas: 2")), "other").ok());
  const auto less = s.apply(deployment(spec_of("'nginx:1'")), "gitops");
  REQUIRE_MESSAGE(less.ok(), failure(less));
  CHECK(less->spec()["minReadySeconds"].is_null());
  CHECK(less->spec()["replicas"].as_int() == 2);
}

TEST_CASE("items of keyed lists are merged by key and taken away by key") {
  Applied s;
  REQUIRE(
      s.apply(deployment(spec_of("'nginx:1'", "", ", ports: [{containerPort: 80}, {containerPort: 443}]")), "gitops")
          .ok());
  REQUIRE(s.admin
              ->patch(kDeployments, {"shop", "web"}, kube::PatchType::strategic,
                      yaml::read("{spec: {template: {spec: {containers: [{name: side, image: busybox}]}}}}").value(),
                      {.field_manager = "injector"})
              .ok());
  const auto applied = s.apply(deployment(spec_of("'nginx:1'", "", ", ports: [{containerPort: 80}]")), "gitops");
  REQUIRE_MESSAGE(applied.ok(), failure(applied));
  const Value& containers = applied->get({"spec", "template", "spec", "containers"});
  REQUIRE(containers.size() == 2);
  for (const Value& container : containers.items())
    if (container["name"].as_string() == "app") CHECK(container["ports"].size() == 1);
}

TEST_CASE("what another manager set differently is a conflict that names it; force takes it over") {
  Applied s;
  REQUIRE(s.apply(deployment(spec_of("'nginx:1'", ", replicas: 2")), "alice").ok());
  const auto refused = s.apply(deployment(spec_of("'nginx:1'", ", replicas: 3")), "bob");
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::conflict);
  CHECK(refused.error().message == "Apply failed with 1 conflict: conflict with \"alice\": .spec.replicas");
  REQUIRE(s.apply(deployment(spec_of("'nginx:1'", ", replicas: 3")), "bob", true).ok());
  CHECK(s.get().spec()["replicas"].as_int() == 3);
  CHECK(s.owned_by("alice").get({"f:spec", "f:replicas"}).is_null());
  // The one that lost it may leave it out without removing it.
  REQUIRE(s.apply(deployment(spec_of("'nginx:1'")), "alice").ok());
  CHECK(s.get().spec()["replicas"].as_int() == 3);
}

TEST_CASE("an update takes ownership, and apply then conflicts with it") {
  Applied s;
  REQUIRE(s.apply(deployment(spec_of("'nginx:1'", ", replicas: 2")), "gitops").ok());
  Object live = s.get();
  live.edit({"spec", "replicas"}) = 7;
  REQUIRE(s.admin->update(live, {.field_manager = "kubectl-edit"}).ok());
  CHECK(s.owned_by("kubectl-edit").get({"f:spec", "f:replicas"}).is_map());
  CHECK(failure(s.apply(deployment(spec_of("'nginx:1'", ", replicas: 2")), "gitops")) ==
        "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1: .spec.replicas");
}

TEST_CASE("a controller's status is owned apart and never conflicts with spec") {
  Applied s;
  REQUIRE(s.apply(deployment(spec_of("'nginx:1'")), "gitops").ok());
  Object live = s.get();
  live.edit({"status", "replicas"}) = 1;
  REQUIRE(s.admin->update(live, {.field_manager = "kube-controller-manager", .subresource = "status"}).ok());
  const Value fields = s.owned_by("kube-controller-manager");
  CHECK(fields.contains("f:status"));
  CHECK_FALSE(fields.contains("f:spec"));
  CHECK(s.apply(deployment(spec_of("'nginx:2'")), "gitops").ok());
  CHECK(s.get().status()["replicas"].as_int() == 1);
}

TEST_CASE("apply refuses what it can't understand") {
  Applied s;
  CHECK(failure(s.apply(deployment("{replicas: 1, frobs: 2}"), "x")) ==
        "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): .spec.frobs: field not declared in "
        "schema");
  CHECK(
      failure(s.apply(deployment(spec_of("'nginx:1'", "", ", ports: [{containerPort: 80}, {containerPort: 80}]")), "x"))
          .find("duplicate entries for key") != std::string::npos);
  Object with_fields = deployment(spec_of("'nginx:1'"));
  with_fields.edit({"metadata", "managedFields"}) = Value::list();
  CHECK(failure(s.apply(with_fields, "x")) == "metadata.managedFields must be nil");
}

TEST_CASE("field sets print as fieldsV1 and read back") {
  const char* const text =
      R"({"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}}})";
  const Value value = json::parse(text).value();
  const FieldSet set = FieldSet::from_value(value);
  CHECK(set.to_value() == value);
  CHECK(set.paths() == std::vector<std::string>{".metadata.labels", ".metadata.labels.app",
                                                ".spec.ports[port=80,protocol=\"TCP\"]",
                                                ".spec.ports[port=80,protocol=\"TCP\"].port"});
  FieldSet less = set;
  less.subtract(FieldSet::from_value(json::parse(R"({"f:metadata":{"f:labels":{"f:app":{}}}})").value()));
  CHECK(less.to_value()["f:metadata"]["f:labels"] == Value::map());
  FieldSet none = set;
  none.subtract(set);
  CHECK(none.empty());
}

TEST_CASE("a creator's fields are those that differ from an empty object of the kind") {
  const schema::Schema schema = schema::Schema::built_in().value();
  const struct {
    const char *group, *kind, *object;
  } cases[] = {
      {"", "ConfigMap", R"({"metadata":{"name":"a","labels":{"z":"1","a":"2"},"annotations":{}},"data":{}})"},
      {"", "ConfigMap", R"({"kind":"ConfigMap","metadata":{"finalizers":["b/x","a/x"]},"data":{"k":"","j":null}})"},
      {"", "Pod", R"({"metadata":{"creationTimestamp":null,"generateName":"p-"},"spec":{"containers":[
         {"name":"w","image":"i","ports":[{"containerPort":80},{"containerPort":81,"protocol":"UDP"}],"resources":{}},
         {"name":"b","image":"i","env":[{"name":"E","value":"1"},{"name":"A"}],"resources":{"limits":{"cpu":"1"}}}],
         "tolerations":[{"operator":"Exists"}],"nodeSelector":{"a":"b"}},"status":{"phase":"Pending"}})"},
      {"", "Pod", R"({"metadata":{"name":"a"},"spec":{"containers":[{"image":"has no key"},{"name":"c"}]}})"},
      {"", "Service", R"({"metadata":{"name":"s"},"spec":{"ports":[{"port":80}],"selector":{"a":"b"}}})"},
      {"apps", "Deployment", R"({"metadata":{"name":"d"},"spec":{"replicas":0,"template":{"metadata":{"labels":{
         "a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}},"strategy":{}}})"},
      {"rbac.authorization.k8s.io", "Role", R"({"metadata":{"name":"r"},"rules":[{"verbs":["get"]}]})"},
      {"rbac.authorization.k8s.io", "Role", R"({"metadata":{"name":"r"},"rules":null})"},
      {"discovery.k8s.io", "EndpointSlice", R"({"addressType":"IPv4","endpoints":[],"ports":null})"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.object);
    const auto kind = schema.find(c.group, "v1", c.kind);
    REQUIRE(kind);
    const FieldManager manager{"tester", "", "2026-01-01T00:00:00Z"};
    Value object = json::parse(c.object).value();
    Value owned_before = object;
    track_update(*kind, Value(), object, manager);
    // An owner of nothing makes it go the way of all other changes, by sets of fields.
    const Value nobody{{"manager", "nobody"}, {"operation", "Update"}, {"fieldsV1", Value::map()}};
    owned_before.edit({"metadata", "managedFields"}) = Value(std::vector<Value>{nobody});
    track_update(*kind, Value(), owned_before, manager);
    CHECK(json::write(object["metadata"]["managedFields"]) == json::write(owned_before["metadata"]["managedFields"]));
  }
}

TEST_CASE("who writes managedFields writes them, by the main resource; who leaves them out keeps them") {
  Applied s;
  REQUIRE(s.apply(deployment(spec_of("'nginx:1'", ", replicas: 2")), "gitops").ok());
  Object live = s.get();
  // What kubectl does to go over to server-side apply: one manager's fields become another's.
  Value renamed = live.metadata()["managedFields"];
  renamed.edit(0).set("manager", "taker");
  const Value patch{{"metadata", Value{{"managedFields", renamed}}}};
  const auto patched =
      s.admin->patch(kDeployments, {"shop", "web"}, kube::PatchType::merge, patch, {.field_manager = "x"});
  REQUIRE_MESSAGE(patched.ok(), failure(patched));
  CHECK(s.owned_by("gitops").is_null());
  CHECK(!s.owned_by("taker").is_null());
  live = s.get();
  live.edit({"metadata"}).erase("managedFields");
  live.edit({"spec"}).set("replicas", 3);
  REQUIRE(s.admin->update(live, {.field_manager = "hand"}).ok());
  CHECK(s.owned_by("taker").get({"f:spec", "f:template"}).is_map());
  CHECK(s.owned_by("hand").get({"f:spec", "f:replicas"}).is_map());
  live = s.get();
  live.edit({"metadata"}).set("managedFields", renamed);
  REQUIRE(s.admin->update(live, {.field_manager = "hand", .subresource = "status"}).ok());  // not by a sub-resource
  CHECK(!s.owned_by("hand").is_null());
}
