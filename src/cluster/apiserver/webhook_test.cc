// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <future>

#include "cluster/apiserver/testing_test.h"
#include "core/base/encoding.h"

namespace caisson::apiserver {
namespace {

const http::KeyPair& hooks_ca() {
  static const http::KeyPair ca = http::make_ca("hooks CA", system_clock().now()).value();
  return ca;
}

// A server of webhooks at https://hooks.ops.svc, which stands on a port of loopback. `answer` makes the response of a
// review's request, without uid.
struct HookServer {
  explicit HookServer(std::function<Value(const std::string& path, const Value& request)> answer_)
      : answer(std::move(answer_)) {}

  void handle(const http::ExchangePtr& exchange) {
    const Value review = json::parse(exchange->read_body(1 << 20).value()).value();
    ++calls;
    Value response = answer(exchange->path, review["request"]);
    response.set("uid", review["request"]["uid"]);
    const Value out{{"kind", review["kind"]}, {"apiVersion", review["apiVersion"]}, {"response", response}};
    exchange->respond({.status = 200, .headers = {{"Content-Type", "application/json"}}, .body = json::write(out)});
  }

  std::function<Value(const std::string&, const Value&)> answer;
  std::atomic<int> calls = 0;
  http::KeyPair pair =
      http::make_certificate(hooks_ca(), {.common_name = "hooks", .dns_names = {"hooks.ops.svc"}, .server = true},
                             system_clock().now())
          .value();
  http::TlsOptions tls{pair.certificate_pem, std::string(pair.key_pem.reveal()), ""};
  http::Server server = http::Server::start({}).value();
  int port = server
                 .listen(
                     "127.0.0.1", 0, [this](http::ExchangePtr exchange) { handle(exchange); }, &tls)
                 .value();

  ApiServerOptions options() const {
    ApiServerOptions out;
    out.service_resolver = [this](const WebhookTarget& target) -> Result<ServiceAddress> {
      if (target.service != "hooks") return Error{ErrorCode::not_found, "service \"" + target.service + "\" not found"};
      return ServiceAddress{"127.0.0.1", port};
    };
    return out;
  }
};

std::string client_config(const std::string& path, const std::string& service = "hooks") {
  return "clientConfig: {service: {namespace: ops, name: " + service + ", path: " + path +
         "}, caBundle: " + base64(hooks_ca().certificate_pem) + "}";
}

// A webhook on ConfigMaps and scales of Deployments; `more` is what it has beside.
std::string hook(const std::string& name, const std::string& path, const std::string& more = "") {
  return "{name: " + name +
         ".example.com, sideEffects: None, admissionReviewVersions: [v1], rules: [{apiGroups: ['', "
         "apps], apiVersions: [v1], operations: ['*'], resources: [configmaps, deployments/scale]}], " +
         (more.find("clientConfig") == std::string::npos ? client_config(path) + ", " : "") + more + "}";
}

void configure(TestServer& server, const std::string& kind, const std::string& hooks) {
  server.create("{apiVersion: admissionregistration.k8s.io/v1, kind: " + kind +
                "WebhookConfiguration, metadata: {name: c}, webhooks: [" + hooks + "]}");
}

Value allow() {
  return Value{{"allowed", true}};
}

Value patch(const std::string& operations) {
  return Value{{"allowed", true}, {"patchType", "JSONPatch"}, {"patch", base64(operations)}};
}

Result<kube::Object> create_map(TestServer& server, const std::string& data = "{}", bool dry_run = false) {
  return server.admin->create(
      object("{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop, labels: {team: a}}, data: " +
             data + "}"),
      {.dry_run = dry_run});
}

}  // namespace

TEST_CASE("a mutating webhook's patch is applied; it is reached by its Service under the name that TLS checks") {
  HookServer hooks([](const std::string& path, const Value& request) {
    CHECK(path == "/mutate");
    CHECK(request["operation"] == Value("CREATE"));
    CHECK(request["object"]["data"]["a"] == Value("1"));
    CHECK(request["oldObject"].is_null());
    CHECK(request["userInfo"]["username"] == Value("admin"));
    CHECK(request["options"]["kind"] == Value("CreateOptions"));
    CHECK(request["name"] == Value("c"));
    return patch(R"([{"op": "add", "path": "/data/b", "value": "2"}])");
  });
  TestServer server(hooks.options());
  server.make_namespace("shop");
  configure(server, "Mutating", hook("m", "/mutate"));
  const auto made = create_map(server, "{a: '1'}");
  REQUIRE_MESSAGE(made.ok(), made.error().message);
  CHECK((*made)["data"] == Value{{"a", "1"}, {"b", "2"}});
}

TEST_CASE("a webhook whose certificate is another's fails the request; with failurePolicy Ignore it passes") {
  HookServer hooks([](const std::string&, const Value&) { return allow(); });
  TestServer server(hooks.options());
  server.make_namespace("shop");
  const std::string other = base64(http::make_ca("other", system_clock().now()).value().certificate_pem);
  const std::string config =
      "clientConfig: {service: {namespace: ops, name: hooks, path: /v}, caBundle: " + other + "}";
  configure(server, "Validating", hook("v", "/v", config + ", failurePolicy: Fail"));
  const std::string failed = failure(create_map(server));
  CHECK(
      failed.starts_with("Internal error occurred: failed calling webhook \"v.example.com\": failed to call webhook: "
                         "Post \"https://hooks.ops.svc:443/v?timeout=10s\": "));
  CHECK(failed.find("certificate") != std::string::npos);
  CHECK(hooks.calls == 0);
  REQUIRE(
      server.admin
          ->patch({"admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration",
                   "validatingwebhookconfigurations", false},
                  {"", "c"}, kube::PatchType::json,
                  json::parse(R"([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}])").value(),
                  {})
          .ok());
  CHECK(failure(create_map(server)).empty());
}

TEST_CASE("a Service that is not there is named") {
  HookServer hooks([](const std::string&, const Value&) { return allow(); });
  TestServer server(hooks.options());
  server.make_namespace("shop");
  configure(server, "Validating", hook("v", "/v", client_config("/v", "none")));
  CHECK(
      failure(create_map(server)) ==
      "Internal error occurred: failed calling webhook \"v.example.com\": failed to call webhook: service \"none\" not "
      "found");
}

TEST_CASE("a refusal is answered with the webhook's status, and its warnings become headers") {
  HookServer hooks([](const std::string&, const Value& request) {
    if (request["operation"] != Value("CREATE")) return allow();
    return Value{{"allowed", false},
                 {"warnings", Value::list_of(std::vector<std::string>{"think again"})},
                 {"status", Value{{"code", 418}, {"reason", "Teapot"}, {"message", "no tea"}}}};
  });
  HttpTestServer server;
  TestServer hooked(hooks.options());
  hooked.make_namespace("shop");
  configure(hooked, "Validating", hook("v", "/v"));
  http::Server listener = http::Server::start({}).value();
  server.port =
      listener.listen("127.0.0.1", 0, [&](http::ExchangePtr exchange) { hooked.api->handle(std::move(exchange)); })
          .value();
  server.token = hooked.api->make_user_token("root", {"system:masters"}).value();
  const auto answer = server.send("POST", "/api/v1/namespaces/shop/configmaps",
                                  R"({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}})",
                                  {{"Content-Type", "application/json"}});
  CHECK(answer.status == 418);
  CHECK(answer.body["reason"] == Value("Teapot"));
  CHECK(answer.body["message"] == Value("admission webhook \"v.example.com\" denied the request: no tea"));
  CHECK(answer.headers.get("Warning") == "299 - \"think again\"");
}

TEST_CASE("rules, selectors and match conditions choose what a webhook is asked") {
  HookServer hooks([](const std::string&, const Value&) { return Value{{"allowed", false}}; });
  TestServer server(hooks.options());
  server.make_namespace("shop");
  configure(server, "Validating",
            hook("a", "/a", "objectSelector: {matchLabels: {team: b}}") + ", " +
                hook("b", "/b", "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}") + ", " +
                hook("c", "/c",
                     "matchConditions: [{name: not-admin, expression: request.userInfo.username != 'admin'}, {name: "
                     "broken, expression: object.nothing == 1}]"));
  CHECK(failure(create_map(server)).empty());
  CHECK(hooks.calls == 0);
  const auto other = server.client("eve", {"system:masters"})
                         ->create(object("{apiVersion: v1, kind: ConfigMap, metadata: {name: d, namespace: shop}}"));
  CHECK(failure(other).find("resulted in error: no such key: nothing") != std::string::npos);
}

TEST_CASE("a condition that does not compile is refused with its field") {
  TestServer server;
  const auto made =
      server.admin->create(object("{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, "
                                  "metadata: {name: c}, webhooks: [" +
                                  hook("m", "/m", "matchConditions: [{name: a, expression: 1 + 1}]") + "]}"));
  CHECK(failure(made) ==
        "MutatingWebhookConfiguration.admissionregistration.k8s.io \"c\" is invalid: "
        "webhooks[0].matchConditions[0].expression: Invalid value: \"1 + 1\": must evaluate to bool but got int");
}

TEST_CASE("a webhook that wants to be asked again is, when a later one changed the object, and once") {
  HookServer hooks([](const std::string& path, const Value& request) {
    if (path == "/late") return patch(R"([{"op": "add", "path": "/data/late", "value": "yes"}])");
    const bool seen = request["object"]["data"].contains("late");
    return patch(seen ? R"([{"op": "add", "path": "/data/seen", "value": "late"}])"
                      : R"([{"op": "add", "path": "/data/early", "value": "yes"}])");
  });
  TestServer server(hooks.options());
  server.make_namespace("shop");
  configure(server, "Mutating", hook("early", "/early", "reinvocationPolicy: IfNeeded") + ", " + hook("late", "/late"));
  const auto made = create_map(server, "{a: '1'}");
  REQUIRE_MESSAGE(made.ok(), made.error().message);
  CHECK((*made)["data"]["seen"] == Value("late"));
  CHECK(hooks.calls == 3);
}

TEST_CASE("a dry run asks only webhooks that have no side effects") {
  HookServer hooks([](const std::string&, const Value& request) {
    CHECK(request["dryRun"] == Value(true));
    return allow();
  });
  TestServer server(hooks.options());
  server.make_namespace("shop");
  configure(server, "Validating", hook("v", "/v"));
  CHECK(failure(create_map(server, "{}", true)).empty());
  CHECK(hooks.calls == 1);
}

TEST_CASE("a deletion shows the object that goes, and a patch of one is refused by what it was") {
  HookServer hooks([](const std::string&, const Value& request) {
    if (request["operation"] != Value("DELETE")) return allow();
    CHECK(request["object"].is_null());
    return Value{{"allowed", request["oldObject"]["data"]["keep"] != Value("yes")}};
  });
  TestServer server(hooks.options());
  server.make_namespace("shop");
  configure(server, "Validating", hook("v", "/v"));
  REQUIRE(create_map(server, "{keep: 'yes'}").ok());
  CHECK(failure(server.admin->remove(schema::kConfigMaps, {"shop", "c"})) ==
        "admission webhook \"v.example.com\" denied the request without explanation");
}

TEST_CASE("a change of /scale is shown as a Scale") {
  std::promise<Value> seen;
  HookServer hooks([&](const std::string&, const Value& request) {
    seen.set_value(request);
    return patch(R"([{"op": "replace", "path": "/spec/replicas", "value": 3}])");
  });
  TestServer server(hooks.options());
  server.make_namespace("shop");
  configure(server, "Mutating", hook("m", "/m"));
  server.create(
      "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {selector: {matchLabels: "
      "{a: "
      "b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}");
  const auto scaled =
      server.admin->patch(schema::kDeployments, {"shop", "web"}, kube::PatchType::merge,
                          json::parse(R"({"spec": {"replicas": 9}})").value(), {.subresource = "scale"});
  REQUIRE_MESSAGE(scaled.ok(), scaled.error().message);
  const Value request = seen.get_future().get();
  CHECK(request["kind"] == Value{{"group", "autoscaling"}, {"version", "v1"}, {"kind", "Scale"}});
  CHECK(request["resource"]["resource"] == Value("deployments"));
  CHECK(request["subResource"] == Value("scale"));
  CHECK(request["object"]["spec"]["replicas"] == Value(9));
  CHECK(request["oldObject"]["spec"]["replicas"] == Value(1));
  CHECK((*scaled)["spec"]["replicas"] == Value(3));
}

TEST_CASE("an answer to another review, of another kind or with another patch type is a failure") {
  Value response = allow();
  HookServer hooks([&](const std::string&, const Value&) { return response; });
  TestServer server(hooks.options());
  server.make_namespace("shop");
  configure(server, "Mutating", hook("m", "/m"));
  response = Value{{"allowed", true}, {"patch", base64("[]")}};
  CHECK(failure(create_map(server)).find("invalid response.patchType") != std::string::npos);
  response = patch(R"([{"op": "replace", "path": "/metadata/name", "value": "other"}])");
  CHECK(failure(create_map(server)).find("response.patch changes metadata.name") != std::string::npos);
  response = patch("not JSON");
  CHECK(failure(create_map(server)).find("response.patch") != std::string::npos);
}

TEST_CASE("exec is admitted like a write: a policy sees the command") {
  HttpTestServer server;
  server.make_namespace("shop");
  server.create(
      "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: p}, spec: "
      "{matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CONNECT], resources: "
      "[pods/exec]}]}, validations: [{expression: \"!('sh' in object.command)\", message: no shells}]}}");
  server.create(
      "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: b}, "
      "spec: {policyName: p, validationActions: [Deny]}}");
  const std::string path = "/api/v1/namespaces/shop/pods/p/exec?container=c&command=";
  const auto refused = server.send("GET", path + "sh");
  CHECK(refused.status == 422);
  CHECK(refused.body["message"].str().ends_with("denied request: no shells"));
  CHECK(server.send("GET", path + "ls").status == 404);  // there is no such Pod
}

}  // namespace caisson::apiserver
