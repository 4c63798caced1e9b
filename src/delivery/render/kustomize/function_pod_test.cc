// SPDX-License-Identifier: Apache-2.0
// KRM functions that are containers: what is allowed to them, and the Pod they become.
#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "delivery/render/function_pod.h"
#include "delivery/render/render.h"

namespace caisson::render {
namespace {

FunctionCall labeller() {
  FunctionCall call;
  call.name = "Labeller.v1.example.com/l.[noNs]";
  call.image = "example.com/labeller:v1";
  return call;
}

FunctionMount bind(std::string source, std::string target) {
  return {FunctionMount::Kind::bind, std::move(source), std::move(target), false};
}

// Gives back what it was asked.
class Recorder final : public FunctionRunner {
 public:
  Result<std::string> run(const FunctionCall& call) override {
    seen = call;
    return call.input;
  }
  FunctionCall seen;
};

}  // namespace

TEST_CASE("a function's container is a pod of nobody, without network, with stdin for one attachment") {
  FunctionPodOptions options;
  options.name = "krm-1";
  options.env = {{"COLOR", "red"}, {"LOG_TO_STDERR", "no"}};
  const auto made = function_pod(labeller(), options);
  REQUIRE(made.ok());
  CHECK(made->pod == *yaml::read(R"(
apiVersion: v1
kind: Pod
metadata: {name: krm-1, labels: {caisson.dev/krm-function: krm-1}}
spec:
  restartPolicy: Never
  activeDeadlineSeconds: 300
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  enableServiceLinks: false
  containers:
  - name: function
    image: example.com/labeller:v1
    imagePullPolicy: IfNotPresent
    stdin: true
    stdinOnce: true
    env:
    - {name: LOG_TO_STDERR, value: "no"}
    - {name: STRUCTURED_RESULTS, value: "true"}
    - {name: COLOR, value: red}
    securityContext:
      runAsUser: 65534
      runAsGroup: 65534
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
      seccompProfile: {type: RuntimeDefault}
)"));
  CHECK(made->network_policy == *yaml::read(R"(
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: krm-1, labels: {caisson.dev/krm-function: krm-1}}
spec:
  podSelector: {matchLabels: {caisson.dev/krm-function: krm-1}}
  policyTypes: [Ingress, Egress]
)"));
}

TEST_CASE("a function gets the network only when it asks for it and the caller allows it") {
  FunctionCall call = labeller();
  FunctionPodOptions options;
  options.network_allowed = true;
  CHECK(!function_pod(call, options)->network_policy.is_null());
  call.wants_network = true;
  CHECK(function_pod(call, options)->network_policy.is_null());
  options.network_allowed = false;
  const auto refused = function_pod(call, options);
  REQUIRE(!refused.ok());
  CHECK(refused.error().message == call.name + ": network required but not enabled with --network");
}

TEST_CASE("a function's own mounts are refused until the caller names the same") {
  FunctionCall call = labeller();
  call.mounts = {bind("/srv/data", "/data")};
  FunctionPodOptions options;
  const auto refused = function_pod(call, options);
  REQUIRE(!refused.ok());
  CHECK(refused.error().message.find("type=bind,src=/srv/data,dst=/data as --mount allows it") != std::string::npos);
  options.mounts = {bind("/srv", "/data")};
  CHECK(!function_pod(call, options).ok());
  options.mounts = {bind("/srv/data", "/data"), {FunctionMount::Kind::tmpfs, "", "/tmp", false}};
  const auto made = function_pod(call, options);
  REQUIRE(made.ok());
  const Value& spec = made->pod["spec"];
  CHECK(spec["volumes"][0]["hostPath"]["path"].as_string() == "/srv/data");
  CHECK(spec["containers"][0]["volumeMounts"][0]["readOnly"].as_bool());
  CHECK(spec["volumes"][1]["emptyDir"]["medium"].as_string() == "Memory");
  CHECK(!spec["containers"][0]["volumeMounts"][1]["readOnly"].as_bool(true));
}

TEST_CASE("mounts are read as docker writes them") {
  CHECK(*parse_function_mount("type=bind,source=/a,target=/b,rw=true") ==
        FunctionMount{FunctionMount::Kind::bind, "/a", "/b", true});
  CHECK(*parse_function_mount("type=volume,src=claim,destination=/b") ==
        FunctionMount{FunctionMount::Kind::volume, "claim", "/b", false});
  for (const char* text : {"", "type=bind", "type=bind,src=a,dst=/b", "type=bind,src=/a,dst=b", "type=volume,dst=/b",
                           "type=npipe,src=/a,dst=/b", "type=bind,src=/a,dst=/b,size=3"}) {
    CHECK_MESSAGE(!parse_function_mount(text).ok(), text);
  }
  const FunctionMount one{FunctionMount::Kind::bind, "/a", "/b", true};
  CHECK(*parse_function_mount(one.str()) == one);
}

TEST_CASE("a generator's annotation names image, environment, network and mounts") {
  const MemorySource files({{"kustomization.yaml", "generators: [g.yaml]\n"}, {"g.yaml", R"(apiVersion: example.com/v1
kind: Labeller
metadata:
  name: l
  annotations:
    config.kubernetes.io/function: |
      container:
        image: example.com/labeller:v1
        network: true
        envs: [COLOR=red]
        mounts:
        - {type: bind, src: /srv, dst: /data, rw: true}
)"}});
  Recorder recorder;
  Options options;
  options.functions = &recorder;
  REQUIRE(kustomize(files, ".", options).ok());
  CHECK(recorder.seen.image == "example.com/labeller:v1");
  CHECK(recorder.seen.wants_network);
  CHECK(recorder.seen.env == std::vector<std::string>{"COLOR=red"});
  CHECK(recorder.seen.mounts == std::vector<FunctionMount>{{FunctionMount::Kind::bind, "/srv", "/data", true}});
}

}  // namespace caisson::render
