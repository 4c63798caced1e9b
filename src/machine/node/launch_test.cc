// SPDX-License-Identifier: Apache-2.0
#include "machine/node/launch.h"

#include <doctest/doctest.h>

#include "core/base/text.h"
#include "core/document/yaml.h"

using namespace caisson;
using namespace caisson::node;

namespace {

kube::Object pod_from(const std::string& spec) {
  return kube::Object(*yaml::read("{metadata: {name: p, namespace: ns, uid: u}, spec: " + spec + "}"));
}

}  // namespace

TEST_CASE("command and args stand over ENTRYPOINT and CMD") {
  content::ImageConfig image;
  image.entrypoint = {"/entry"};
  image.cmd = {"cmd"};
  const std::pair<const char*, const char*> cases[] = {{"{}", "/entry cmd"},
                                                       {"{args: [x]}", "/entry x"},
                                                       {"{command: [y]}", "y"},
                                                       {"{command: [y], args: ['$(V)']}", "y 1"}};
  for (const auto& [container, want] : cases)
    CHECK(join(command_of(*yaml::read(container), image, {{"V", "1"}}), " ") == want);
}

TEST_CASE("resources become shares, quota and memory") {
  const auto limits =
      limits_of(*yaml::read("{resources: {requests: {cpu: 250m}, limits: {cpu: '1.5', memory: 64Mi}}}"));
  CHECK(limits.cpu_shares == 256);
  CHECK(limits.cpu_quota_us == 150'000);
  CHECK(limits.memory_bytes_max == 64 << 20);
  CHECK(limits_of(*yaml::read("{}")).cpu_shares == 2);
  CHECK(limits_of(*yaml::read("{resources: {limits: {cpu: 2}}}")).cpu_shares == 2048);
  // Without a limit on one container the pod has none.
  CHECK(pod_limits(pod_from("{containers: [{resources: {limits: {memory: 1Mi}}}, {}]}")).memory_bytes_max == 0);
  CHECK(
      pod_limits(pod_from("{containers: [{resources: {limits: {memory: 1Mi}}}, {resources: {limits: {memory: 2Mi}}}]}"))
          .memory_bytes_max == 3 << 20);
  // What a RuntimeClass costs is the pod's, beside its containers'.
  const auto with_overhead = pod_limits(
      pod_from("{overhead: {memory: 16Mi, cpu: 50m}, containers: [{resources: {limits: {memory: 1Mi, cpu: 100m}}}]}"));
  CHECK(with_overhead.memory_bytes_max == 17 << 20);
  CHECK(with_overhead.cpu_quota_us == 15'000);
}

TEST_CASE("who dies first when memory runs out") {
  const std::int64_t node = 1000ll << 20;
  const auto score = [&](const char* resources) {
    const kube::Object pod = pod_from(std::string("{containers: [{name: a, resources: ") + resources + "}]}");
    return oom_score_adj(pod, pod.spec()["containers"][0], node);
  };
  CHECK(score("{}") == 1000);
  CHECK(score("{limits: {cpu: 1, memory: 1Mi}}") == -997);
  CHECK(score("{requests: {memory: 500Mi}}") == 500);
  CHECK(score("{requests: {memory: 1000Mi}}") == 3);
}

TEST_CASE("users: numbers over the image's USER, groups, and the refusal to run as root") {
  content::ImageConfig image;
  image.user = "app:app";
  const kube::Object plain = pod_from("{securityContext: {fsGroup: 2000, supplementalGroups: [7]}}");
  CHECK(user_text(plain, Value::map(), image) == "app:app");
  CHECK(user_text(pod_from("{securityContext: {runAsUser: 5}}"), Value::map(), image) == "5");
  CHECK(user_text(pod_from("{securityContext: {runAsUser: 5, runAsGroup: 6}}"),
                  *yaml::read("{securityContext: {runAsUser: 8}}"), image) == "8:6");
  const auto user = effective_user(plain, Value::map(), {1, 1, {}}, "1");
  REQUIRE(user.ok());
  CHECK(user->additional_gids == std::vector<std::uint32_t>{1, 7, 2000});
  const auto root = effective_user(pod_from("{securityContext: {runAsNonRoot: true}}"), Value::map(), {}, "");
  REQUIRE_FALSE(root.ok());
  CHECK(root.error().message.find("container has runAsNonRoot and image will run as root") == 0);
}

TEST_CASE("security settings reach the container") {
  const kube::Object pod = pod_from("{containers: [{name: a}]}");
  content::ImageConfig image;
  image.cmd = {"x"};
  const auto spec = [&](const char* container) {
    const Value value = *yaml::read(container);
    LaunchInput in;
    in.pod = &pod;
    in.container = &value;
    in.image = &image;
    in.id = "i";
    auto made = container_spec(in);
    REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
    return std::move(made).value();
  };
  const auto plain = spec("{name: a}");
  CHECK(plain.no_new_privileges);
  CHECK_FALSE(plain.seccomp.is_null());
  CHECK(plain.cgroup == "podu/i");
  const auto tight = spec(
      "{name: a, securityContext: {readOnlyRootFilesystem: true, capabilities: {drop: [ALL], add: "
      "[NET_BIND_SERVICE]}}}");
  CHECK(tight.read_only_root);
  CHECK(tight.capabilities == std::vector<std::string>{"CAP_NET_BIND_SERVICE"});
  const auto loose =
      spec("{name: a, securityContext: {allowPrivilegeEscalation: true, seccompProfile: {type: Unconfined}}}");
  CHECK_FALSE(loose.no_new_privileges);
  CHECK(loose.seccomp.is_null());
}

TEST_CASE("resolv.conf by policy") {
  const std::string host = "# c\nsearch corp.example\nnameserver 192.0.2.53\noptions edns0\n";
  struct Case {
    const char *spec, *want;
  };
  for (const auto& c : {
           Case{"{}",
                "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example\nnameserver "
                "10.43.0.10\noptions ndots:5\n"},
           Case{"{dnsPolicy: Default}", "search corp.example\nnameserver 192.0.2.53\noptions edns0\n"},
           Case{"{hostNetwork: true}", "search corp.example\nnameserver 192.0.2.53\noptions edns0\n"},
           Case{"{dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.1], searches: [x], options: [{name: ndots, value: "
                "'2'}]}}",
                "search x\nnameserver 192.0.2.1\noptions ndots:2\n"},
           Case{"{dnsConfig: {options: [{name: ndots, value: '1'}]}}",
                "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example\nnameserver "
                "10.43.0.10\noptions ndots:1\n"},
       }) {
    CHECK_MESSAGE(resolv_conf(pod_from(c.spec), "10.43.0.10", "cluster.local", host) == c.want, c.spec);
  }
}
