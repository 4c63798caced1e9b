// SPDX-License-Identifier: Apache-2.0
// Needs root, runc, conmon and busybox (static): what becomes of pods when the machine is shut down.
#include "machine/node/testing/bench_test.h"

using namespace caisson;
using namespace caisson::node;
using namespace caisson::node::testing;

namespace {

// A pod that writes its name when it is told to end, and then does `ends`. It is ready when it can be told.
std::string pod(const std::string& name, const std::string& directory, const std::string& spec,
                const std::string& ends) {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", annotations: {" +
         std::string(kTraceparentAnnotation) + ": " + TraceContext::start().traceparent() + "}}\nspec:\n  " + spec +
         "\n  containers: [{name: c, image: busybox, volumeMounts: [{name: order, mountPath: /order}], command: [sh, "
         "-c, \"trap 'echo " +
         name + " >>/order/log; " + ends + "' TERM; : >/order/" + name +
         "; while :; do sleep 0.05; done\"], readinessProbe: {exec: {command: [sh, -c, '[ -e /order/" + name +
         " ]']}, periodSeconds: 1}}]\n  volumes: [{name: order, hostPath: {path: " + directory + "}}]\n";
}

}  // namespace

TEST_CASE("at a shutdown critical pods end last, who does not end is killed, and all start again with the next agent") {
  Bench bench;
  const std::string order = bench.dir.path() + "/order";
  REQUIRE(make_dirs(order, 0777).ok());
  bench.apply(pod("critical", order, "priorityClassName: system-cluster-critical", "exit 0"));
  bench.apply(pod("stubborn", order, "terminationGracePeriodSeconds: 2", ":"));
  bench.apply(pod("usual", order, "terminationGracePeriodSeconds: 30", "exit 0"));
  for (const char* name : {"critical", "stubborn", "usual"}) bench.wait_ready(name);

  constexpr std::size_t kSpans = 3 * 4;  // sandbox, image, start, ready
  REQUIRE(bench.spans.come(kSpans));
  CHECK(bench.node->shut_down({.usual = 20s, .critical = 10s}).empty());

  const auto log = read_file(order + "/log");
  REQUIRE(log.ok());
  CHECK_MESSAGE((*log == "usual\nstubborn\ncritical\n" || *log == "stubborn\nusual\ncritical\n"), *log);
  const kube::Object stubborn = bench.pod("stubborn");
  CHECK(bench.container_status(stubborn)["state"]["terminated"]["exitCode"].as_int() == 137);
  CHECK(bench.container_status(bench.pod("critical"))["state"]["terminated"]["exitCode"].as_int() == 0);
  for (const char* name : {"critical", "stubborn", "usual"}) {
    CHECK_FALSE(kube::condition_is_true(bench.pod(name), "Ready"));
    CHECK_FALSE(bench.pod(name).deleting());
  }

  bench.stop();
  bench.start();
  for (const char* name : {"critical", "stubborn", "usual"}) {
    bench.wait_ready(name);
    CHECK(bench.container_status(bench.pod(name))["restartCount"].as_int() == 1);
  }
  CHECK(bench.spans.size() == kSpans);  // the trace is of what made the pods, not of their next start
}
