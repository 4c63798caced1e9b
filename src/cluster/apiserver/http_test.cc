// SPDX-License-Identifier: Apache-2.0
// The API as HTTP clients see it: paths, representations, watches, warnings; and the real kubectl where it is
// installed.
#include "cluster/apiserver/testing_test.h"
#include "core/base/encoding.h"
#include "core/base/process.h"
#include "core/base/text.h"

using namespace caisson;
using namespace caisson::apiserver;
using namespace std::chrono_literals;

namespace {

const std::string kMaps = "/api/v1/namespaces/shop/configmaps";

struct Shop : HttpTestServer {
  Shop() { make_namespace("shop"); }
  Answer post_map(const std::string& name, const std::string& data = "{}") {
    return send("POST", kMaps,
                R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + name + R"("},"data":)" + data + "}");
  }
};

}  // namespace

TEST_CASE("paths and methods answer as upstream's do") {
  Shop s;
  struct Case {
    const char *method, *path;
    int status;
    const char* message;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"GET", "/api/v1/namespaces/shop/frobs", 404, "the server could not find the requested resource"},
           {"GET", "/apis/apps/v1/namespaces/shop/deployments/nope", 404, "deployments.apps \"nope\" not found"},
           {"PUT", "/api/v1/namespaces/shop/configmaps", 405,
            "the server does not allow this method on the requested resource"},
           {"PATCH", "/api/v1/namespaces/shop/configmaps", 405,
            "the server does not allow this method on the requested resource"},
           {"POST", "/api/v1/namespaces/shop/configmaps/a", 405,
            "the server does not allow this method on the requested resource"},
           {"GET", "/api/v1/namespaces/shop/pods/x/frob", 404, "the server could not find the requested resource"},
           {"POST", "/version", 405, nullptr},
           {"GET", "/nope", 404, nullptr},
           {"GET", "/apis/none.example.com/v1/things", 404, nullptr},
       }) {
    CAPTURE(c.method);
    CAPTURE(c.path);
    const auto answer = s.send(c.method, c.path);
    if (std::string_view(c.path) != "/version") CHECK(answer.status == c.status);
    if (c.message) CHECK(answer.body["message"].str() == c.message);
  }
}

TEST_CASE("discovery, OpenAPI and version are served") {
  Shop s;
  CHECK(s.send("GET", "/api").body["versions"][0].str() == "v1");
  CHECK(s.send("GET", "/apis").body["groups"].size() > 5);
  CHECK(s.send("GET", "/apis/apps/v1").body["resources"].size() > 5);
  const auto aggregated =
      s.send("GET", "/apis", "", {{"Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}});
  CHECK(aggregated.body["kind"].str() == "APIGroupDiscoveryList");
  CHECK(s.send("GET", "/openapi/v3").body["paths"].contains("apis/apps/v1"));
  CHECK(s.send("GET", "/openapi/v3/apis/apps/v1").body["components"]["schemas"].size() > 10);
  CHECK(s.send("GET", "/version").body["major"].str() == "1");
}

TEST_CASE("representations: table, partial metadata, YAML, pretty, and what can't be given") {
  Shop s;
  s.post_map("a", R"({"k":"v"})");
  const auto get = [&](const char* accept) { return s.send("GET", kMaps + "/a", "", {{"Accept", accept}}); };
  const auto table = get("application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
  CHECK(table.body["kind"].str() == "Table");
  CHECK(table.body["rows"][0]["cells"][0].str() == "a");
  CHECK(get("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io").body["kind"].str() ==
        "PartialObjectMetadata");
  CHECK(get("application/yaml").text.starts_with("apiVersion: v1\n"));
  CHECK(get("text/html").status == 406);
  CHECK(s.send("GET", kMaps + "?pretty=true").text.find("\n  ") != std::string::npos);
  CHECK(s.send("POST", kMaps, "x", {{"Content-Type", "application/x-protobuf"}}).status == 415);
  CHECK(s.send("POST", kMaps, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: written}\n",
               {{"Content-Type", "application/yaml"}})
            .status == 201);
}

TEST_CASE("lists are cut by limit, go on by token at the same revision, and leave kind out of built-in items") {
  Shop s;
  for (const char* name : {"a", "b", "c", "d"}) s.post_map(name);
  const auto first = s.send("GET", kMaps + "?limit=2");
  CHECK(first.body["items"].size() == 2);
  CHECK_FALSE(first.body["items"][0].contains("kind"));
  CHECK(first.body["metadata"]["remainingItemCount"].as_int() == 2);
  s.post_map("bb");
  const auto second = s.send("GET", kMaps + "?limit=5&continue=" + first.body["metadata"]["continue"].str());
  CHECK(second.body["items"].size() == 2);
  CHECK(second.body["metadata"]["resourceVersion"] == first.body["metadata"]["resourceVersion"]);
  CHECK(s.send("GET", kMaps + "?limit=5&continue=garbage").status == 400);
  CHECK(s.send("GET", kMaps + "?fieldSelector=metadata.name%3Db").body["items"].size() == 1);
  CHECK(s.send("GET", kMaps + "?fieldSelector=spec.x%3Db").status == 400);
  CHECK(s.send("GET", kMaps + "?resourceVersion=99999").status == 504);
}

TEST_CASE("unknown fields: warned of, refused or ignored, as fieldValidation says") {
  Shop s;
  const std::string body = R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"dta":{}})";
  const auto warned = s.send("POST", kMaps + "?dryRun=All", body);
  CHECK(warned.status == 201);
  CHECK(warned.headers.get("Warning") == "299 - \"unknown field \\\"dta\\\"\"");
  const auto strict = s.send("POST", kMaps + "?dryRun=All&fieldValidation=Strict", body);
  CHECK(strict.status == 400);
  CHECK(strict.body["message"].str() ==
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"dta\"");
  CHECK_FALSE(s.send("POST", kMaps + "?dryRun=All&fieldValidation=Ignore", body).headers.contains("Warning"));
  CHECK(s.send("GET", kMaps + "/a").status == 404);  // dry run stored nothing
}

TEST_CASE("a kind that nothing acts on is answered with a warning, others are not") {
  Shop s;
  const auto service =
      s.send("POST", "/apis/apiregistration.k8s.io/v1/apiservices",
             R"({"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.example.com"},
      "spec":{"group":"example.com","version":"v1","groupPriorityMinimum":100,"versionPriority":100,
      "service":{"name":"x","namespace":"shop"},"insecureSkipTLSVerify":true}})");
  CHECK(service.status == 201);
  CHECK(service.headers.get("Warning").find("APIService") != std::string_view::npos);
  const auto policy = s.send(
      "POST", "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies",
      R"({"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"n"},"spec":{"podSelector":{}}})");
  CHECK(policy.status == 201);
  CHECK(policy.headers.get("Warning").empty());
}

TEST_CASE("a watch streams lines, from what is there or from a revision, and says when it is too late") {
  Shop s;
  s.post_map("a");
  const std::string version = s.send("GET", kMaps).body["metadata"]["resourceVersion"].str();
  const auto open = [&](const std::string& query) {
    http::Request request{
        .url = "http://127.0.0.1:" + std::to_string(s.port) + kMaps + "?watch=1&timeoutSeconds=30" + query,
        .headers = {{"Authorization", "Bearer " + std::string(s.token.reveal())}},
        .time_max = 20s};
    auto stream = s.client_.open(request);
    REQUIRE_MESSAGE(stream.ok(), failure(stream));
    return std::move(stream).value();
  };
  const auto read = [](http::ResponseStream& stream, std::size_t lines) {
    std::string text;
    while (static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) < lines) {
      const auto piece = stream.read_some();
      if (!piece.ok() || piece->empty()) break;
      text += *piece;
    }
    std::vector<std::string> seen;
    for (const std::string_view line : split(text, '\n')) {
      if (line.empty()) continue;
      const Value event = json::parse(line).value();
      seen.push_back(event["type"].str() + " " + event["object"]["metadata"]["name"].str() +
                     event["object"]["reason"].str());
    }
    return seen;
  };
  using Strings = std::vector<std::string>;
  const auto later = open("&resourceVersion=" + version);
  const auto all = open("");
  s.post_map("b");
  s.send("DELETE", kMaps + "/a");
  CHECK(read(*later, 2) == Strings{"ADDED b", "DELETED a"});
  CHECK(read(*all, 3) == Strings{"ADDED a", "ADDED b", "DELETED a"});
  const auto initial = open("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
  CHECK(read(*initial, 2) == Strings{"ADDED b", "BOOKMARK "});
  s.clock.advance(6min);
  for (int i = 0; i < 3; ++i) s.post_map("x" + std::to_string(i));
  CHECK(read(*open("&resourceVersion=" + version), 1) == Strings{"ERROR Expired"});
}

TEST_CASE("a client that speaks only SPDY is told what speaks WebSocket") {
  ApiServerOptions options;
  options.node_proxy = [](const std::string&) -> Result<http::ClientOptions> { return http::ClientOptions{}; };
  HttpTestServer s(std::move(options));
  s.make_namespace("shop");
  s.create("{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}, spec: {nodeName: local, containers: "
           "[{name: web, image: web}]}}");
  const http::Headers spdy{{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}};
  const std::string pod = "/api/v1/namespaces/shop/pods/web/";
  for (const auto& [what, version] : std::initializer_list<std::pair<std::string, std::string>>{
           {"exec?command=ls&stdout=true", "kubectl 1.29 with KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true, or caisson exec"},
           {"attach?stdout=true", "caisson attach"},
           {"portforward", "kubectl 1.30 with KUBECTL_PORT_FORWARD_WEBSOCKETS=true, or caisson port-forward"}}) {
    const auto answer = s.send("POST", pod + what, "", spdy);
    CHECK(answer.status == 400);
    CHECK(answer.body["reason"].str() == "BadRequest");
    CAPTURE(answer.text);
    CHECK(answer.body["message"].str().find(version) != std::string::npos);
  }
}

TEST_CASE("an answer is the object as it is stored, and a dry run's is not") {
  Shop s;
  const auto made = s.post_map("m", R"({"a":"1"})");
  CHECK(made.text == s.send("GET", kMaps + "/m").text);
  const http::Headers merge{{"Content-Type", "application/merge-patch+json"}};
  const auto tried = s.send("PATCH", kMaps + "/m?dryRun=All", R"({"data":{"a":"2"}})", merge);
  CHECK(tried.body["data"]["a"].str() == "2");
  CHECK(s.send("GET", kMaps + "/m").text == made.text);
  const auto patched = s.send("PATCH", kMaps + "/m", R"({"data":{"a":"3"}})", merge);
  CHECK(patched.body["data"]["a"].str() == "3");
  CHECK(patched.text == s.send("GET", kMaps + "/m").text);
  CHECK(s.send("GET", kMaps + "/m?pretty=1").text.find("\n  \"kind\"") != std::string::npos);
}

TEST_CASE("a collection is deleted by its selector") {
  Shop s;
  s.send("POST", kMaps, R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"x":"1"}}})");
  s.post_map("b");
  CHECK(s.send("DELETE", kMaps + "?labelSelector=x%3D1").status == 200);
  CHECK(s.send("GET", kMaps + "/a").status == 404);
  CHECK(s.send("GET", kMaps + "/b").status == 200);
}

TEST_CASE("too large a body is refused") {
  Shop s;
  const auto answer = s.post_map("big", "{\"k\":\"" + std::string(4u << 20, 'x') + "\"}");
  CHECK(answer.status == 413);
}

TEST_CASE("kubectl works: apply, get, patch, scale, watch, delete, auth can-i") {
  std::vector<std::string> programs;
  for (const char* name : {"kubectl.1.33", "kubectl.1.30", "kubectl.1.29"})
    if (const std::string path = find_program(name); !path.empty()) programs.push_back(path);
  if (programs.empty())
    if (const std::string path = find_program("kubectl"); !path.empty()) programs.push_back(path);
  if (programs.empty()) {
    MESSAGE("skipped: no kubectl in PATH");
    return;
  }
  for (const std::string& program : programs) {
    CAPTURE(program);
    Shop s;
    const std::string config = s.kubeconfig("shop");
    const auto kubectl = [&](std::vector<std::string> args, const std::string& input = "") {
      Command command{.args = {program, "--kubeconfig", config, "--cache-dir", s.dir.path() + "/cache"},
                      .input = input,
                      .time_max = 30s};
      command.args.insert(command.args.end(), args.begin(), args.end());
      auto exit = run(command);
      REQUIRE_MESSAGE(exit.ok(), failure(exit));
      return exit->out + exit->err;
    };
    const std::string yaml =
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n"
        "  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: app, image: nginx}]}}\n";
    CHECK(kubectl({"apply", "-f", "-"}, yaml) == "deployment.apps/web created\n");
    CHECK(kubectl({"apply", "-f", "-"}, yaml) == "deployment.apps/web unchanged\n");
    CHECK(kubectl({"apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-"}, yaml) ==
          "deployment.apps/web serverside-applied\n");
    CHECK(kubectl({"get", "deployments"}).starts_with("NAME   READY   UP-TO-DATE   AVAILABLE   AGE\nweb "));
    CHECK(kubectl({"get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"}) == "1");
    CHECK(kubectl({"scale", "deploy/web", "--replicas=3"}) == "deployment.apps/web scaled\n");
    CHECK(kubectl({"patch", "deploy", "web", "-p", "{\"spec\":{\"replicas\":4}}"}) == "deployment.apps/web patched\n");
    CHECK(kubectl({"create", "-f", "-"}, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n") ==
          "configmap/c created\n");
    CHECK(kubectl({"describe", "deploy", "web"}).find("Replicas:               4 desired") != std::string::npos);
    CHECK(kubectl({"explain", "deployment.spec.replicas"}).find("replicas") != std::string::npos);
    CHECK(kubectl({"delete", "deploy", "web"}).starts_with("deployment.apps \"web\" deleted"));
    CHECK(kubectl({"get", "deploy"}).starts_with("No resources found"));
  }
}
