// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/schema.h"

#include <doctest/doctest.h>

#include <unistd.h>
#include <chrono>
#include <cstdio>

#include "cluster/schema/cells.h"
#include "cluster/schema/defaults.h"
#include "cluster/schema/discovery.h"
#include "cluster/schema/table.h"
#include "cluster/schema/validate.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

using namespace caisson;
using namespace caisson::schema;

namespace {

const Schema& built_in() {
  static const Schema kSchema = [] {
    auto made = Schema::built_in();
    if (!made.ok()) MESSAGE(made.error().message);
    REQUIRE(made.ok());
    return std::move(made).value();
  }();
  return kSchema;
}

Value yaml_value(std::string_view text) {
  auto value = yaml::read(text);
  if (!value.ok()) MESSAGE(value.error().message);
  REQUIRE(value.ok());
  return std::move(value).value();
}

std::string errors_of(std::string_view text) {
  Value object = yaml_value(text);
  const KindPtr kind = built_in().find_object(object);
  REQUIRE(kind);
  object = with_defaults(*kind, pruned(*kind, std::move(object)));
  std::string out;
  for (const FieldError& error : validate(*kind, object)) out += error.str() + "\n";
  return out;
}

long resident_kib() {
  auto text = read_file("/proc/self/statm");
  long size = 0, resident = 0;
  std::sscanf(text.ok() ? (*text).c_str() : "", "%ld %ld", &size, &resident);
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

}  // namespace

TEST_CASE("the kind files compile, quickly and small") {
  const long before = resident_kib();
  const auto start = std::chrono::steady_clock::now();
  auto made = Schema::built_in();
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
  if (!made.ok()) MESSAGE(made.error().message);
  REQUIRE(made.ok());
  MESSAGE("built in " << took << " ms, " << resident_kib() - before << " KiB, " << made->all().size() << " kinds");
  CHECK(resident_kib() - before < 6 * 1024);
}

TEST_CASE("every column has its printer") {
  for (const KindPtr& kind : built_in().all()) {
    for (const Column& column : kind->columns) {
      CAPTURE(kind->resource.group_resource() + " " + column.name);
      CHECK(column.path.empty() != column.computed.empty());
      if (!column.computed.empty()) CHECK(has_cell(column.computed));
    }
  }
}

TEST_CASE("kinds are found by kind and by plural") {
  const KindPtr deployment = built_in().find("apps", "v1", "Deployment");
  REQUIRE(deployment);
  CHECK(deployment == built_in().find_plural("apps", "v1", "deployments"));
  CHECK(deployment == built_in().find_api_version("apps/v1", "Deployment"));
  CHECK(deployment->has_status());
  CHECK(deployment->subresource("scale")->kind == "Scale");
  CHECK(built_in().find("apps", "v2", "Deployment") == nullptr);
  CHECK(built_in().find("autoscaling", "v2", "HorizontalPodAutoscaler")->preferred);
  CHECK_FALSE(built_in().find("autoscaling", "v1", "HorizontalPodAutoscaler")->preferred);
  for (const Resource& r : {kPods, kDeployments, kPipelineRuns, kEventListeners, kApplications, kRepositories, kBuilds,
                            kSpans, kTokenReviews}) {
    const KindPtr kind = built_in().find(r.group, r.version, r.kind);
    REQUIRE_MESSAGE(kind, r.kind);
    CHECK(kind->resource == r);
  }
}

TEST_CASE("strategic merge keys come from the kind") {
  const KindPtr pod = built_in().find("", "v1", "Pod");
  const document::MergeSchema* containers = merge_schema(*pod)->field("spec")->field("containers");
  CHECK(containers->merge_keys() == std::vector<std::string>{"name"});
  CHECK(containers->item()->field("ports")->merge_keys() == std::vector<std::string>{"containerPort"});
  CHECK(merge_schema(*pod)->field("metadata")->field("finalizers")->merges_as_set());
  CHECK(merge_schema(*built_in().find("argoproj.io", "v1alpha1", "Application")) == nullptr);
}

TEST_CASE("unknown fields are pruned and named") {
  std::vector<std::string> unknown;
  const KindPtr kind = built_in().find("apps", "v1", "Deployment");
  const Value object = yaml_value(
      "metadata: {name: a, foo: 1}\nspec: {replica: 2, template: {spec: {containers: [{name: a, imag: b, command: "
      "null}]}}}\n");
  const Value out = pruned(*kind, object, &unknown);
  CHECK(unknown == std::vector<std::string>{"metadata.foo", "spec.replica", "spec.template.spec.containers[0].imag"});
  CHECK(out == yaml_value("metadata: {name: a}\nspec: {template: {spec: {containers: [{name: a}]}}}\n"));
}

TEST_CASE("wrong types are refused in the words of Go's decoder") {
  const KindPtr kind = built_in().find("apps", "v1", "Deployment");
  const auto error = decode_error(*kind, yaml_value("spec: {replicas: three}"));
  REQUIRE(error);
  CHECK(error->message ==
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32");
  CHECK_FALSE(decode_error(
      *kind,
      yaml_value("spec: {replicas: 3, template: {spec: {containers: [{name: a, resources: {limits: {cpu: 1}}}]}}}")));
}

TEST_CASE("validation speaks as Kubernetes does") {
  CHECK(errors_of("{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: -1, selector: "
                  "{matchLabels: {a: b}}, "
                  "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}") ==
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0\n");
  CHECK(errors_of("{apiVersion: v1, kind: Pod, metadata: {name: A_}, spec: {containers: []}}")
            .find("spec.containers: Required value") != std::string::npos);
  CHECK(errors_of("{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: Odd, ports: [{port: 80}]}}") ==
        "spec.type: Unsupported value: \"Odd\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", "
        "\"NodePort\"\n");
  CHECK(
      errors_of("{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchLabels: {a: x}}, "
                "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}") ==
      "spec.template.metadata.labels: Invalid value: map[string]string{\"a\":\"b\"}: `selector` does not match "
      "template `labels`\n");
  CHECK(errors_of("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: i, "
                  "volumeMounts: [{name: v, mountPath: /v}]}]}}") ==
        "spec.containers[0].volumeMounts[0].name: Not found: \"v\"\n");
}

TEST_CASE("immutable fields stay") {
  const KindPtr kind = built_in().find("apps", "v1", "Deployment");
  Value before = with_defaults(
      *kind,
      yaml_value("{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchLabels: {a: b}}, "
                 "template: {metadata: {labels: {a: b, c: d}}, spec: {containers: [{name: c, image: i}]}}}}"));
  Value after = before;
  after.edit({"spec", "selector", "matchLabels"}).set("c", "d");
  const auto errors = validate_update(*kind, before, after);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].field == "spec.selector");
  CHECK(errors[0].detail == "field is immutable");
}

TEST_CASE("a CustomResourceDefinition adds a kind, and its removal leaves what was handed out") {
  auto own = Schema::built_in();
  REQUIRE(own.ok());
  Schema all = std::move(own).value();
  const Value crd = yaml_value(R"(
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [w]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1}
              mode: {type: string, enum: [a, b], default: a}
)");
  REQUIRE(all.add_crd(crd).ok());
  const KindPtr widget = all.find("example.com", "v1", "Widget");
  REQUIRE(widget);
  all.remove_crd("widgets.example.com");
  CHECK(all.find("example.com", "v1", "Widget") == nullptr);
  Value object = yaml_value("{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, spec: {size: 0, x: 1}}");
  object = with_defaults(*widget, pruned(*widget, object));
  CHECK(object["spec"] == yaml_value("{size: 0, mode: a}"));
  const auto errors = validate(*widget, object);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].str() == "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1");
  object.edit({"spec"}).set("size", "big");
  CHECK(validate(*widget, object)[0].str() ==
        "spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\"");
  CHECK(table_cells(*widget, yaml_value("{metadata: {name: a}, spec: {size: 3}}"), Time())[1] == Value(3));
}

TEST_CASE("a pod's row is kubectl's") {
  const Value pod = yaml_value(R"(
metadata: {name: web, creationTimestamp: "2023-11-14T22:13:20Z"}
spec: {containers: [{name: a}, {name: b}], nodeName: n1}
status:
  phase: Running
  podIP: 10.42.0.7
  containerStatuses:
  - {name: a, ready: true, restartCount: 2, state: {running: {}}, lastState: {terminated: {finishedAt: "2023-11-14T22:13:10Z"}}}
  - {name: b, ready: false, restartCount: 0, state: {waiting: {reason: CrashLoopBackOff}}}
)");
  FakeClock clock;
  const auto cells = table_cells(*built_in().find("", "v1", "Pod"), pod, clock.now());
  CHECK(json::write(Value(cells)) ==
        R"row(["web","1/2","CrashLoopBackOff","2 (10s ago)","0s","10.42.0.7","n1","<none>","<none>"])row");
}

TEST_CASE("discovery lists what there is") {
  const auto list = api_resource_list(built_in(), "apps", "v1");
  REQUIRE(list);
  CHECK((*list)["resources"].size() == 12);
  CHECK((*list)["resources"][3]["storageVersionHash"].as_string() == "8aSe+NMegvE=");
  CHECK(aggregated_discovery(built_in(), true)["items"].size() == 1);
}
