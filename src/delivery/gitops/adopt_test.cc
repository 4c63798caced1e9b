// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/adopt.h"

#include <doctest/doctest.h>

#include "core/document/json.h"
#include "core/document/yaml.h"

namespace caisson::gitops {
namespace {

Value of(const char* text) {
  return yaml::read(text).value();
}

constexpr const char* kFile = R"(# The shop.
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}  # 2
spec:
  replicas: 2   # two are enough
  template:
    spec:
      containers:
        - {name: log, image: "log:2"}
        - name: web
          image: "web:2"   # 2
          args: ["2"]
---
kind: ConfigMap
metadata: {name: replicas, annotations: {replicas: "2"}}
)";

TEST_CASE("only what differs is adopted, and a single value is replaced where it stands") {
  const Value in_file = yaml::read_all(kFile).value()[1];
  const Value live = of(R"(
spec:
  replicas: 5
  paused: false
  template: {spec: {containers: [{name: web, image: "web:3", args: ["2"]}, {name: log, image: "log:9"}]}})");
  const Value wanted = adopted(in_file, live, {"spec.replicas", "spec.template.spec.containers[1].image"});
  CHECK(wanted["spec"]["template"]["spec"]["containers"][0]["image"].as_string() == "log:2");
  bool rewritten = true;
  const std::string text = edit_document(kFile, 1, wanted, rewritten).value();
  CHECK_FALSE(rewritten);
  std::string expected = kFile;
  expected.replace(expected.find("replicas: 2"), 11, "replicas: 5");
  expected.replace(expected.find("\"web:2\""), 7, "web:3");
  CHECK(text == expected);
}

TEST_CASE("what is gone goes, and the document is written anew") {
  const Value in_file = of("kind: ConfigMap\ndata: {a: '1', b: '2'}\n");
  const Value wanted = adopted(in_file, of("data: {a: '1'}"), {"data.b"});
  CHECK(wanted == of("kind: ConfigMap\ndata: {a: '1'}"));
  bool rewritten = false;
  CHECK(yaml::read(edit_document("kind: ConfigMap\ndata: {a: '1', b: '2'}\n", 0, wanted, rewritten).value()).value() ==
        wanted);
  CHECK(rewritten);
  CHECK(edit_document("a: 1\n", 3, wanted, rewritten).error().code == ErrorCode::bad_request);
}

TEST_CASE("an adoption as a patch has the object's identity and the difference") {
  const Value before =
      of("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: n}, data: {x: '1', y: '2', z: '3'}}");
  const Value after =
      of("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: n}, data: {x: '9', z: '3'}}");
  CHECK(json::write(adoption_patch(before, after)) ==
        R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"n"},"data":{"x":"9","y":null}})");
  CHECK(adoption_patch(before, before).is_null());
}

}  // namespace
}  // namespace caisson::gitops
