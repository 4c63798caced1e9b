// SPDX-License-Identifier: Apache-2.0
// Events, interceptors, bindings and templates without an API server.
#include <doctest/doctest.h>

#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/pipeline/interceptors.h"
#include "delivery/pipeline/listener_service.h"
#include "delivery/pipeline/run_triggers.h"

namespace caisson::pipeline {
namespace {

constexpr const char* kTriggerId = "namespaces/shop/triggers/push";

Value parse(const std::string& text) {
  return yaml::read(text).value();
}

TriggerEvent event_of(const std::string& body, http::Headers headers = {}) {
  TriggerEvent event;
  event.input.body = parse(body);
  event.input.extensions = Value::map();
  event.input.headers = std::move(headers);
  event.raw_body = json::write(event.input.body);
  event.id = "ev-1";
  return event;
}

Result<Value> nothing(const std::string& kind, const std::string& name) {
  return Error{ErrorCode::not_found, kind + " \"" + name + "\" not found"};
}
Result<std::string> the_secret(const std::string&, const std::string&) {
  return std::string("s3cret");
}

// "passes", "filtered" or why not.
std::string outcome(const std::string& interceptor, TriggerEvent& event, const TriggerParts& parts) {
  const auto result = intercept(parse("{interceptors: [" + interceptor + "]}"), kTriggerId, event, parts);
  return result.ok() ? std::string(*result ? "passes" : "filtered") : result.error().message;
}

TEST_CASE("an event goes through interceptors, bindings and template") {
  TriggerEvent event;
  event.input.body = parse(
      "{ref: refs/heads/main, n: 3, head_commit: {id: abc, message: \"say \\\"hi\\\"\\nline\"}, commits: [{id: abc}], "
      "list: [1, 2]}");
  event.input.extensions = Value::map();
  event.input.headers = {{"X-GitHub-Event", "push"}};
  event.raw_body = "{}";
  event.id = "ev-1";
  const Value trigger_template = parse(R"yaml(
params: [{name: sha}, {name: message}, {name: depth, default: "1"}, {name: branch}]
resourcetemplates:
- apiVersion: tekton.dev/v1beta1
  kind: PipelineRun
  metadata: {generateName: build-}
  spec:
    serviceAccountName: builder
    pipelineRef: {name: ship}
    params: [{name: sha, value: $(tt.params.sha)}, {name: m, value: "$(tt.params.message)"}, {name: d, value: $(tt.params.depth)}, {name: b, value: $(tt.params.branch)}]
)yaml");
  const TriggerParts parts{
      [&](const std::string& kind, const std::string& name) -> Result<Value> {
        if (kind == "TriggerTemplate" && name == "t") return trigger_template;
        if (kind == "TriggerBinding" && name == "b")
          return parse(
              "{params: [{name: sha, value: $(body.head_commit.id)}, {name: message, value: "
              "$(body.head_commit.message)}]}");
        return Error{ErrorCode::not_found, kind + " \"" + name + "\" not found"};
      },
      [](const std::string&, const std::string&) -> Result<std::string> { return std::string("s3cret"); }};
  const Value trigger = parse(R"yaml(
name: push
interceptors:
- {ref: {name: github}, params: [{name: eventTypes, value: [push]}]}
- ref: {name: cel}
  params: [{name: filter, value: "body.ref.startsWith('refs/heads/')"}, {name: overlays, value: [{key: branch, expression: "body.ref.split('/')[2]"}]}]
bindings: [{ref: b}, {name: branch, value: $(extensions.branch)}]
template: {ref: t}
)yaml");
  const auto passes = intercept(trigger, kTriggerId, event, parts);
  REQUIRE(passes.ok());
  CHECK(*passes);
  const auto objects = instantiate(trigger, "listener", "shop", event, parts).value();
  REQUIRE(objects.size() == 1);
  const kube::Object& run = objects[0];
  CHECK(run.api_version() == "tekton.dev/v1beta1");  // the API server knows what v1 makes of it
  CHECK(run.ns() == "shop");
  CHECK(run.name().starts_with("build-"));
  CHECK(run.name() ==
        instantiate(trigger, "listener", "shop", event, parts).value()[0].name());  // the same event, the same name
  CHECK(run.spec()["serviceAccountName"].as_string() == "builder");
  CHECK(run.spec()["params"][0]["value"].as_string() == "abc");
  CHECK(run.spec()["params"][1]["value"].as_string() == "say \"hi\"\nline");
  CHECK(run.spec()["params"][2]["value"].as_string() == "1");
  CHECK(run.spec()["params"][3]["value"].as_string() == "main");
  CHECK(run.label("triggers.tekton.dev/eventlistener") == "listener");

  CHECK(binding_value("body.commits[0].id", event)->as_string() == "abc");
  CHECK(binding_value("header.x-github-event", event)->as_string() == "push");
  CHECK(binding_value("context.eventID", event)->as_string() == "ev-1");
  for (const char* bad : {"body.nothing", "body.commits[1]", "header.none", "other.x"})
    CHECK_FALSE(binding_value(bad, event).ok());

  const auto refused = [&](const std::string& interceptor) {
    TriggerEvent copy = event;
    const auto result = intercept(parse("{interceptors: [" + interceptor + "]}"), kTriggerId, copy, parts);
    return result.ok() ? std::string(*result ? "passes" : "filtered") : result.error().message;
  };
  CHECK(refused("{ref: {name: github}, params: [{name: eventTypes, value: [pull_request]}]}") == "filtered");
  CHECK(refused("{ref: {name: cel}, params: [{name: filter, value: 'body.n == 4'}]}") == "filtered");
  CHECK(refused("{ref: {name: own}}").find("ClusterInterceptor \"own\" not found") != std::string::npos);
  CHECK(refused("{cel: {filter: 'body.n == 4'}}") == "filtered");  // as v1alpha1 writes it
  CHECK(refused("{cel: {filter: 'body.n == 3'}}") == "passes");
  const std::string signed_github =
      "{ref: {name: github}, params: [{name: secretRef, value: {secretName: s, secretKey: k}}]}";
  CHECK(refused(signed_github).find("no X-Hub-Signature-256") != std::string::npos);
  event.input.headers.set("X-Hub-Signature-256", "sha256=" + hex(hmac_sha256("wrong", "{}")));
  CHECK(refused(signed_github).find("does not match") != std::string::npos);
  event.input.headers.set("X-Hub-Signature-256", "sha256=" + hex(hmac_sha256("s3cret", "{}")));
  CHECK(refused(signed_github) == "passes");
}

TEST_CASE("a binding's path reaches keys, places from both ends, and all items") {
  const TriggerEvent event = event_of("{a: {'b.c': 1, list: [{n: x}, {n: y}]}, d: [1, 2, 3]}",
                                      {{"X-Two", "1"}, {"x-two", "2"}, {"Content-Type", "application/json"}});
  const auto text = [&](const char* path) {
    const auto value = binding_value(path, event);
    return value.ok() ? json::write(*value) : value.error().message;
  };
  CHECK(text("body.a.b\\.c") == "1");
  CHECK(text("body.a['b.c']") == "1");
  CHECK(text("body['d'][-1]") == "3");
  CHECK(text("body.a.list[*].n") == R"(["x","y"])");
  CHECK(text("body.a.none[*].n") == "[]");
  CHECK(text("header['Content-Type']") == R"("application/json")");
  CHECK(text("header.X-Two") == R"("1,2")");
  CHECK(text("body.d[7]").find("is not in the event") != std::string::npos);
  CHECK(text("body.d[").find("'[' without ']'") != std::string::npos);
  CHECK(text("body.d[?(@.x)]").find("is no index, key or *") != std::string::npos);
}

TEST_CASE("what an event lacks is the template's default, or the event is refused") {
  const TriggerEvent event = event_of("{}");
  const TriggerParts parts{nothing, the_secret, {}};
  const auto made = [&](const std::string& declared) {
    return instantiate(parse("{bindings: [{name: sha, value: $(body.sha)}], template: {spec: {params: [" + declared +
                             "], resourcetemplates: [{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {s: "
                             "$(tt.params.sha)}}]}}}"),
                       "l", "shop", event, parts);
  };
  CHECK(made("{name: sha, default: main}").value()[0]["data"]["s"].as_string() == "main");
  CHECK(made("{name: sha}").error().message.find("$(body.sha) is not in the event") != std::string::npos);
}

TEST_CASE("interceptors of Git hosts and Slack read their own headers") {
  const TriggerParts parts{nothing, the_secret, {}};
  const std::string secret = "{name: secretRef, value: {secretName: s, secretKey: k}}";
  TriggerEvent event = event_of("{commits: [{added: [a], modified: [b], removed: []}, {added: [c]}]}");
  const std::string good = "sha256=" + hex(hmac_sha256("s3cret", event.raw_body));

  event.input.headers = {{"X-Event-Key", "repo:push"}, {"X-Hub-Signature", good}};
  CHECK(outcome("{ref: {name: bitbucket}, params: [" + secret + ", {name: eventTypes, value: ['repo:push']}]}", event,
                parts) == "passes");
  event.input.headers = {{"X-Hub-Signature", "sha1=00"}};
  CHECK(outcome("{ref: {name: bitbucket}, params: [" + secret + "]}", event, parts).find("is no SHA-256 signature") !=
        std::string::npos);

  event.input.headers = {{"X-Gitlab-Event", "Push Hook"}, {"X-GitLab-Token", "s3cret"}};
  CHECK(outcome("{ref: {name: gitlab}, params: [" + secret + "]}", event, parts) == "passes");
  event.input.headers = {{"X-GitLab-Token", "wrong"}};
  CHECK(outcome("{ref: {name: gitlab}, params: [" + secret + "]}", event, parts).find("does not match") !=
        std::string::npos);

  event.input.headers = {{"X-GitHub-Event", "push"}};
  CHECK(outcome("{ref: {name: github}, params: [{name: addChangedFiles, value: {enabled: true}}]}", event, parts) ==
        "passes");
  CHECK(event.input.extensions["changed_files"].as_string() == "a,b,c");
  event.input.headers = {{"X-GitHub-Event", "pull_request"}};
  CHECK(outcome("{ref: {name: github}, params: [{name: githubOwners, value: {enabled: true}}]}", event, parts)
            .find("githubOwners asks GitHub's API") != std::string::npos);

  TriggerEvent command = event_of("{text: [deploy], user_name: [kim]}", {{"X-Slack-Signature", "v0=1"}});
  CHECK(outcome("{ref: {name: slack}, params: [{name: requestedFields, value: [text]}]}", command, parts) == "passes");
  CHECK(command.input.extensions == Value{{"text", Value::list_of({"deploy"})}});
  CHECK(outcome("{ref: {name: slack}, params: [{name: requestedFields, value: [none]}]}", command, parts)
            .find("has no field \"none\"") != std::string::npos);
}

TEST_CASE("a server behind an interceptor sees the event and decides") {
  http::Request seen;
  http::Response answer{200, {}, R"({"continue":true,"extensions":{"size":3}})"};
  const TriggerParts parts{[](const std::string& kind, const std::string& name) -> Result<Value> {
                             if (kind == "ClusterInterceptor" && name == "size")
                               return parse("{clientConfig: {service: {name: sizes, namespace: ops, path: v1}}}");
                             if (kind == "Interceptor" && name == "size")
                               return parse("{clientConfig: {service: {name: own}}}");
                             return nothing(kind, name);
                           },
                           the_secret,
                           [&](const http::Request& request, const std::string&) -> Result<http::Response> {
                             seen = request;
                             return answer;
                           }};
  TriggerEvent event = event_of("{n: 1}", {{"X-A", "1"}});
  CHECK(outcome("{ref: {name: size}, params: [{name: most, value: 5}]}", event, parts) == "passes");
  CHECK(event.input.extensions["size"].as_int() == 3);
  CHECK(seen.method == "POST");
  CHECK(seen.url == "http://sizes.ops.svc:80/v1");
  const Value sent = json::parse(seen.body).value();
  CHECK(sent["body"].as_string() == R"({"n":1})");
  CHECK(sent["header"] == Value{{"X-A", Value::list_of({"1"})}});
  CHECK(sent["interceptor_params"] == Value{{"most", 5}});
  CHECK(sent["context"]["trigger_id"].as_string() == kTriggerId);

  CHECK(outcome("{ref: {name: size, kind: NamespacedInterceptor}}", event, parts) == "passes");
  CHECK(seen.url == "http://own.shop.svc:80/");
  answer.body = R"({"continue":false,"status":{"code":9,"message":"too large"}})";
  CHECK(outcome("{ref: {name: size}}", event, parts).find("too large") != std::string::npos);
  answer.body = R"({"continue":false})";
  CHECK(outcome("{ref: {name: size}}", event, parts) == "filtered");
  answer = {500, {}, ""};
  CHECK(outcome("{ref: {name: size}}", event, parts).find("its server answered 500") != std::string::npos);
}

TEST_CASE("a webhook's answer is the event from there on") {
  http::Request seen;
  const TriggerParts parts{nothing, the_secret,
                           [&](const http::Request& request, const std::string&) -> Result<http::Response> {
                             seen = request;
                             return http::Response{200, {{"X-New", "yes"}}, R"({"n":2})"};
                           }};
  TriggerEvent event = event_of("{n: 1}", {{"X-A", "1"}, {"Content-Length", "7"}});
  event.input.extensions.set("e", true);
  CHECK(outcome("{webhook: {objectRef: {kind: Service, apiVersion: v1, name: check, namespace: ops}, header: [{name: "
                "X-B, value: [x, y]}]}}",
                event, parts) == "passes");
  CHECK(seen.url == "http://check.ops.svc/");
  CHECK(seen.body == R"({"n":1,"extensions":{"e":true}})");
  CHECK(seen.headers.get("X-A") == "1");
  CHECK_FALSE(seen.headers.contains("Content-Length"));
  CHECK(seen.headers.get("X-B") == "x");
  CHECK(event.input.body["n"].as_int() == 2);
  CHECK(event.input.headers.get("X-New") == "yes");
  CHECK(outcome("{webhook: {objectRef: {kind: Deployment, name: x}}}", event, parts)
            .find("has to name a Service of v1") != std::string::npos);
}

TEST_CASE("a listener's Service has the type and port that it asks for") {
  const kube::Object plain(parse("{metadata: {name: hook, namespace: shop, uid: u}, spec: {}}"));
  const kube::Object service = listener_service(plain, false, 40001);
  CHECK(service.name() == "el-hook");
  CHECK(service.spec()["ports"][0] == Value{{"name", "http-listener"}, {"port", 8080}, {"protocol", "TCP"}, {"targetPort", 40001}});
  CHECK(service.controller()->uid == "u");
  const kube::Object slice = listener_slice(plain, service, "10.0.0.1");
  CHECK(slice["endpoints"][0]["addresses"][0].as_string() == "10.0.0.1");
  CHECK(slice["ports"][0]["port"].as_int() == 40001);
  const kube::Object asked(parse("{metadata: {name: hook, namespace: shop}, spec: {resources: {kubernetesResource: "
                                 "{serviceType: NodePort, servicePort: 80, spec: {template: {spec: "
                                 "{serviceAccountName: robot}}}}}}}"));
  CHECK(listener_service(asked, true, 1).spec()["type"].as_string() == "NodePort");
  CHECK(listener_service(asked, true, 1).spec()["ports"][0]["port"].as_int() == 80);
  CHECK(listener_service(plain, true, 1).spec()["ports"][0]["port"].as_int() == 8443);
  CHECK(account_of(asked) == "robot");
  CHECK(account_of(plain) == "default");
}

}  // namespace
}  // namespace caisson::pipeline
