// SPDX-License-Identifier: Apache-2.0
// metrics.k8s.io over an agent that is a few lines of HTTP here.
#include "cluster/apiserver/resource_metrics.h"

#include "cluster/apiserver/testing_test.h"
#include "core/base/process.h"

using namespace caisson;
using namespace caisson::apiserver;

namespace {

constexpr std::string_view kSummary = R"({"node":{"nodeName":"one","cpu":{"time":"2023-11-14T22:13:10Z",
 "usageNanoCores":250000000},"memory":{"workingSetBytes":2147483648}},
 "pods":[
 {"podRef":{"name":"web","namespace":"shop"},"containers":[
  {"name":"main","cpu":{"time":"2023-11-14T22:13:10Z","usageNanoCores":1234567},"memory":{"workingSetBytes":12582912}},
  {"name":"side","cpu":{"time":"2023-11-14T22:13:09Z","usageNanoCores":8765433},"memory":{"workingSetBytes":1048576}}]},
 {"podRef":{"name":"half","namespace":"shop"},"containers":[
  {"name":"main","cpu":{"time":"2023-11-14T22:13:10Z","usageNanoCores":1},"memory":{"workingSetBytes":1}},
  {"name":"side","cpu":{"time":"2023-11-14T22:13:10Z"},"memory":{"workingSetBytes":1}}]},
 {"podRef":{"name":"gone","namespace":"shop"},"containers":[
  {"name":"main","cpu":{"time":"2023-11-14T22:13:10Z","usageNanoCores":1},"memory":{"workingSetBytes":1}}]}]})";

struct Agent {
  TempDir home = TempDir::make("agent").value();
  std::string socket = home.path() + "/agent.sock";
  std::atomic<int> asked = 0;
  std::atomic<int> status = 200;
  http::Server listener = http::Server::start({}).value();

  Agent() {
    const auto answer = [this](http::ExchangePtr exchange) {
      ++asked;
      CHECK(exchange->path == "/stats/summary");
      exchange->respond({.status = status, .headers = {}, .body = std::string(kSummary)});
    };
    REQUIRE(listener.listen_unix(socket, answer, 0600).ok());
  }
  ApiServerOptions options() const {
    ApiServerOptions options;
    options.node_proxy = [this](const std::string&) -> Result<http::ClientOptions> {
      return http::ClientOptions{.unix_socket = socket};
    };
    return options;
  }
};

// Two nodes of which one is measured, and pods on it of which one is.
struct Cluster : Agent, HttpTestServer {
  Cluster() : HttpTestServer(Agent::options()) {
    for (const char* node : {"one", "two"})
      create(std::string("{apiVersion: v1, kind: Node, metadata: {name: ") + node + ", labels: {disk: " + node + "}}}");
    make_namespace("shop");
    for (const char* pod : {"web", "half", "unmeasured"})
      create(std::string("{apiVersion: v1, kind: Pod, metadata: {namespace: shop, name: ") + pod +
             ", labels: {app: " + pod + "}}, spec: {nodeName: one, containers: [{name: main, image: i}]}}");
  }
};

const std::string kMetrics = "/apis/metrics.k8s.io/v1beta1";
const std::string kTableType = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

}  // namespace

TEST_CASE("metrics.k8s.io is discovered like an aggregated API") {
  Cluster c;
  const Value group = c.send("GET", "/apis/metrics.k8s.io").body;
  CHECK(group["preferredVersion"]["version"].str() == "v1beta1");
  const Value list = c.send("GET", kMetrics).body;
  REQUIRE(list["resources"].size() == 2);
  CHECK(list["resources"][0]["name"].str() == "nodes");
  CHECK(list["resources"][0]["namespaced"].as_bool() == false);
  CHECK(list["resources"][1]["kind"].str() == "PodMetrics");
  CHECK(list["resources"][1]["verbs"] == Value::list_of({"get", "list"}));
  const auto aggregated =
      c.send("GET", "/apis", "", {{"Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}});
  CHECK(aggregated.text.find(R"("resource":"pods","responseKind":{"group":"","version":"","kind":"PodMetrics"})") !=
        std::string::npos);
  CHECK(c.send("GET", "/openapi/v3/apis/metrics.k8s.io/v1beta1").status == 200);
}

TEST_CASE("a pod's metrics are the readings of its containers") {
  Cluster c;
  const Value pod = c.send("GET", kMetrics + "/namespaces/shop/pods/web").body;
  CHECK(pod["kind"].str() == "PodMetrics");
  CHECK(pod["metadata"]["labels"]["app"].str() == "web");
  CHECK(pod["timestamp"].str() == "2023-11-14T22:13:09Z");
  CHECK(pod["window"].str() == "10s");
  CHECK(pod["containers"][0] == json::parse(R"({"name":"main","usage":{"cpu":"1234567n","memory":"12Mi"}})").value());
}

TEST_CASE("lists hold what is measured, chosen by the selectors of what is measured") {
  Cluster c;
  const auto names = [&c](const std::string& path) {
    std::string out;
    for (const Value& item : c.send("GET", kMetrics + path).body["items"].items())
      out += item["metadata"]["name"].str() + " ";
    return out;
  };
  CHECK(names("/pods") == "web ");  // "half" lacks a reading, "unmeasured" and "gone" are one-sided
  CHECK(names("/namespaces/shop/pods?labelSelector=app%3Dweb") == "web ");
  CHECK(names("/namespaces/shop/pods?labelSelector=app%3Dhalf") == "");
  CHECK(names("/pods?fieldSelector=spec.nodeName%3Dtwo") == "");
  CHECK(names("/namespaces/default/pods") == "");
  CHECK(names("/nodes") == "one ");
  CHECK(names("/nodes?labelSelector=disk%3Dtwo") == "");
  c.asked = 0;
  names("/nodes");
  CHECK(c.asked == 1);  // one agent, two nodes
}

TEST_CASE("metrics as a table show the sum of a pod") {
  Cluster c;
  const Value pods = c.send("GET", kMetrics + "/pods", "", {{"Accept", kTableType}}).body;
  REQUIRE(pods["rows"].size() == 1);
  CHECK(pods["rows"][0]["cells"] == Value::list_of({"web", "10m", "13Mi", "10s"}));
  const Value node = c.send("GET", kMetrics + "/nodes/one", "", {{"Accept", kTableType}}).body;
  CHECK(node["rows"][0]["cells"] == Value::list_of({"one", "250m", "2Gi", "10s"}));
}

TEST_CASE("what nobody measures is not found, and nothing can be written") {
  Cluster c;
  struct Case {
    const char *method, *path;
    int status;
    const char* message;
  };
  for (const Case& one : std::initializer_list<Case>{
           {"GET", "/namespaces/shop/pods/unmeasured", 404, "podmetrics.metrics.k8s.io \"shop/unmeasured\" not found"},
           {"GET", "/namespaces/shop/pods/absent", 404, "podmetrics.metrics.k8s.io \"shop/absent\" not found"},
           {"GET", "/nodes/two", 404, "nodemetrics.metrics.k8s.io \"two\" not found"},
           {"DELETE", "/namespaces/shop/pods/web", 405,
            "the server does not allow this method on the requested resource"},
           {"GET", "/pods?watch=1", 405, "the server does not allow this method on the requested resource"},
           {"GET", "/pods?labelSelector=a%3D%3D%3Db", 400, nullptr}}) {
    CAPTURE(one.path);
    const auto answer = c.send(one.method, kMetrics + one.path);
    CHECK(answer.status == one.status);
    if (one.message) CHECK(answer.body["message"].str() == one.message);
  }
  c.status = 500;
  CHECK(c.send("GET", kMetrics + "/nodes/one").status == 503);
  CHECK(c.send("GET", kMetrics + "/nodes").body["items"].size() == 0);
}

TEST_CASE("metrics need the right to read them, which view has") {
  Cluster c;
  const auto ann = c.client("ann");
  const kube::Resource pods{"metrics.k8s.io", "v1beta1", "PodMetrics", "pods"};
  CHECK(
      failure(ann->list(pods, {.ns = "shop"})).find("cannot list resource \"pods\" in API group \"metrics.k8s.io\"") !=
      std::string::npos);
  c.create(
      "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: shop, name: v}, "
      "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: [{kind: User, name: "
      "ann}]}");
  const auto seen = ann->list(pods, {.ns = "shop"});
  REQUIRE_MESSAGE(seen.ok(), failure(seen));
  CHECK(seen->items.size() == 1);
  CHECK(failure(ann->remove(pods, {"shop", "web"})) ==
        "the server does not allow this method on the requested resource");
}

TEST_CASE("kubectl top shows nodes and pods") {
  const std::string kubectl = find_program("kubectl");
  if (kubectl.empty()) {
    MESSAGE("skipped: no kubectl");
    return;
  }
  Cluster c;
  c.send("PATCH", "/api/v1/nodes/one/status", R"({"status":{"allocatable":{"cpu":"1","memory":"4Gi"}}})",
         {{"Content-Type", "application/merge-patch+json"}});
  const std::string config = c.kubeconfig();
  const auto top = [&](std::vector<std::string> args) {
    std::vector<std::string> all = {kubectl, "--kubeconfig=" + config, "--cache-dir=" + c.dir.path(), "top"};
    all.insert(all.end(), args.begin(), args.end());
    const auto ran = run({.args = all, .time_max = std::chrono::seconds(30)});
    REQUIRE(ran.ok());
    return ran->out + ran->err;
  };
  CHECK(top({"nodes", "--no-headers"}).starts_with("one   250m        25%         2048Mi      50% "));
  CHECK(top({"pods", "-n", "shop", "--containers", "--no-headers"}) ==
        "web   main   2m    12Mi   \nweb   side   9m    1Mi    \n");
  CHECK(top({"pods", "-A", "--sort-by=cpu", "-l", "app=web", "--no-headers"}) == "shop   web   10m   13Mi   \n");
  CHECK(top({"pod", "absent", "-n", "shop"}).find("podmetrics.metrics.k8s.io \"shop/absent\" not found") !=
        std::string::npos);
}
