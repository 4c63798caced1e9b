// SPDX-License-Identifier: Apache-2.0
// Objects that are refused, in the words of a real kube-apiserver (testdata/refusals.json, script/record-refusals).
#include <algorithm>

#include "cluster/apiserver/testing_test.h"
#include "core/base/test_dirs.h"
#include "core/base/text.h"

using namespace caisson;
using namespace caisson::apiserver;

namespace {

// "KIND "NAME" is invalid: [a, b]": upstream's order of a and b is that of its code, and no promise.
std::vector<std::string> parts_of(std::string_view message) {
  std::string text(message);
  std::erase_if(text, [](char c) { return c == '[' || c == ']'; });
  std::vector<std::string> parts;
  const std::size_t head = text.find(" is invalid: ");
  const std::size_t start = head == std::string::npos ? 0 : head + std::string_view(" is invalid: ").size();
  parts.push_back(text.substr(0, start));
  std::string_view rest = std::string_view(text).substr(start);
  for (std::size_t comma = rest.find(", "); comma != std::string_view::npos; comma = rest.find(", ")) {
    parts.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(comma + 2);
  }
  parts.emplace_back(rest);
  std::sort(parts.begin(), parts.end());
  return parts;
}

std::string collection_of(const schema::Schema& schema, const Value& body) {
  const auto kind = schema.find_object(body);
  REQUIRE(kind != nullptr);
  return kind->resource.path(kind->resource.namespaced ? "shop" : "");
}

Value recorded(const std::string& name) {
  const auto text = read_file(test_room_dir() + "/testdata/" + name);
  REQUIRE(text.ok());
  auto data = json::parse(*text);
  REQUIRE(data.ok());
  return std::move(data).value()["cases"];
}

// Without the object that a patch gave and the diff of Go values, which script/record-refusals leaves out too.
std::string comparable(std::string says) {
  says.resize(std::min(says.find('\n'), says.size()));
  constexpr std::string_view kObject = "patch: Invalid value: \"{";
  const std::size_t start = says.find(kObject), end = says.rfind("}\": ");
  if (start != std::string::npos && end != std::string::npos)
    says.replace(start + kObject.size() - 2, end + 2 - (start + kObject.size() - 2), "OBJECT");
  return says;
}

}  // namespace

TEST_CASE("objects are refused in the words of kube-apiserver") {
  HttpTestServer s;
  s.make_namespace("shop");
  const Value cases = recorded("refusals.json");
  CHECK(cases.size() > 70);
  for (const Value& one : cases.items()) {
    const Value& body = one["body"];
    const std::string path = collection_of(s.schema, body);
    const auto answer = s.send("POST", path + "?dryRun=All&fieldValidation=Strict", json::write(body));
    const std::string says = answer.body["kind"].as_string() == "Status" ? answer.body["message"].str() : "";
    INFO(json::write(body));
    INFO(says);
    CHECK(parts_of(says) == parts_of(one["says"].as_string()));
  }
}

TEST_CASE("changes are refused in the words of kube-apiserver, with its causes as often as it names them") {
  HttpTestServer s;
  s.make_namespace("shop");
  const Value cases = recorded("refused_updates.json");
  CHECK(cases.size() > 60);
  for (const Value& one : cases.items()) {
    const std::string collection = collection_of(s.schema, one["stored"]), type = one["type"].str();
    s.send("POST", collection, json::write(one["stored"]));  // 409 after the first of its cases
    const std::string content = type == "PUT"
                                    ? "application/json"
                                    : "application/" + type + (type == "strategic" ? "-merge" : "") + "-patch+json";
    const auto answer =
        s.send(type == "PUT" ? "PUT" : "PATCH",
               collection + "/" + one["stored"]["metadata"]["name"].str() + "?dryRun=All&fieldValidation=Strict",
               json::write(one["change"]), {{"Content-Type", content}});
    INFO(json::write(one["stored"]));
    INFO(type << " " << json::write(one["change"]));
    const std::string says = answer.body["kind"].as_string() == "Status" ? answer.body["message"].str() : "";
    INFO(says);
    CHECK(parts_of(comparable(says)) == parts_of(one["says"].as_string()));
    std::vector<std::string> causes, wanted;
    for (const Value& cause : answer.body["details"]["causes"].items())
      causes.push_back(cause["reason"].str() + " " + cause["field"].str());
    for (const Value& cause : one["causes"].items()) wanted.push_back(cause.str());
    std::sort(causes.begin(), causes.end());
    std::sort(wanted.begin(), wanted.end());
    CHECK(causes == wanted);
  }
}

TEST_CASE("bodies of sub-resources are decoded as strictly as objects") {
  HttpTestServer s;
  s.make_namespace("shop");
  const auto says = [&](const std::string& path, std::string_view body) {
    return s.send("POST", "/api/v1/namespaces/shop/" + path, std::string(body)).body["message"].str();
  };
  CHECK(says("pods/p/binding?fieldValidation=Strict",
             R"({"apiVersion":"v1","kind":"Binding","target":{"name":"n"},"x":1})") ==
        "Binding in version \"v1\" cannot be handled as a Binding: strict decoding error: unknown field \"x\"");
  CHECK(
      says("pods/p/eviction",
           R"({"apiVersion":"policy/v1","kind":"Eviction","deleteOptions":{"gracePeriodSeconds":"x"}})") ==
      "Eviction in version \"v1\" cannot be handled as a Eviction: json: cannot unmarshal string into Go struct field "
      "DeleteOptions.deleteOptions.gracePeriodSeconds of type int64");
  CHECK(says("serviceaccounts/default/token",
             R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"audiences":"x"}})") ==
        "TokenRequest in version \"v1\" cannot be handled as a TokenRequest: json: cannot unmarshal string into Go "
        "struct "
        "field TokenRequestSpec.spec.audiences of type []string");
}

TEST_CASE("a DaemonSet counts the changes of its template") {
  TestServer s;
  s.make_namespace("shop");
  const schema::Resource sets{"apps", "v1", "DaemonSet", "daemonsets"};
  s.create(R"(
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: d, namespace: shop}
spec:
  selector: {matchLabels: {app: d}}
  template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c, image: i}]}})");
  const auto counted = [&](const std::function<void(kube::Object&)>& change) {
    kube::Object set = s.admin->get(sets, {"shop", "d"}).value();
    change(set);
    REQUIRE(s.admin->update(set).ok());
    return s.admin->get(sets, {"shop", "d"})
        .value()
        .metadata()["annotations"]["deprecated.daemonset.template.generation"]
        .str();
  };
  CHECK(counted([](kube::Object& set) { set.edit({"spec", "minReadySeconds"}) = 5; }) == "1");
  CHECK(counted([](kube::Object& set) {
          set.edit({"spec", "template", "metadata", "annotations", "a"}) = "b";
        }) == "2");
  CHECK(counted([](kube::Object& set) { set.edit({"metadata"}).erase("annotations"); }) == "2");
}

TEST_CASE("a Lease or a budget is updated only by who says which version was seen; a ConfigMap by anybody") {
  HttpTestServer s;
  s.make_namespace("shop");
  struct Case {
    const char *collection, *body, *refusal;
  };
  for (
      const Case& c : std::initializer_list<Case>{
          {"/apis/coordination.k8s.io/v1/namespaces/shop/leases",
           R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"a"},"spec":{}})",
           "leases.coordination.k8s.io \"a\" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be "
           "specified for an update"},
          {"/apis/policy/v1/namespaces/shop/poddisruptionbudgets",
           R"({"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"a"},"spec":{"minAvailable":1}})",
           "poddisruptionbudgets.policy \"a\" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be "
           "specified for an update"},
          {"/api/v1/namespaces/shop/configmaps", R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}})",
           ""}}) {
    INFO(c.collection);
    REQUIRE(s.send("POST", c.collection, c.body).status == 201);
    const auto answer = s.send("PUT", std::string(c.collection) + "/a", c.body);
    CHECK(answer.status == (c.refusal[0] == '\0' ? 200 : 422));
    if (c.refusal[0] != '\0') CHECK(answer.body["message"].as_string() == c.refusal);
  }
}

TEST_CASE("false, 0 and empty texts that Go leaves out are left out; those it can tell from nothing stay") {
  TestServer s;
  s.make_namespace("shop");
  const kube::Object pod = s.create(R"(
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop}
spec:
  hostNetwork: false
  nodeName: ""
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: i, stdin: false, workingDir: "", ports: [{containerPort: 80, hostPort: 0}]}])");
  for (const char* absent : {"hostNetwork", "nodeName"}) CHECK_FALSE(pod.spec().contains(absent));
  CHECK(pod.spec()["automountServiceAccountToken"] == Value(false));
  CHECK(pod.spec()["terminationGracePeriodSeconds"] == Value(0));
  const Value& container = pod.spec()["containers"][0];
  for (const char* absent : {"stdin", "workingDir"}) CHECK_FALSE(container.contains(absent));
  CHECK_FALSE(container["ports"][0].contains("hostPort"));
}

TEST_CASE("an Indexed Job grows and shrinks when its parallelism goes with it") {
  TestServer s;
  s.make_namespace("shop");
  const schema::Resource jobs{"batch", "v1", "Job", "jobs"};
  s.create(R"(
apiVersion: batch/v1
kind: Job
metadata: {name: j, namespace: shop}
spec:
  completionMode: Indexed
  completions: 2
  parallelism: 2
  template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}})");
  const auto with = [&](int completions, int parallelism) {
    kube::Object job = s.admin->get(jobs, {"shop", "j"}).value();
    job.edit({"spec", "completions"}) = completions;
    job.edit({"spec", "parallelism"}) = parallelism;
    return failure(s.admin->update(job));
  };
  CHECK(with(3, 3) == "");
  CHECK(with(4, 3) ==
        "Job.batch \"j\" is invalid: spec.completions: Invalid value: 4: can only be modified in tandem with "
        "spec.parallelism");
}
