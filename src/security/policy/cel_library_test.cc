// SPDX-License-Identifier: Apache-2.0
// Kyverno's functions in CEL, by expression.
#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/test_dirs.h"
#include "core/document/yaml.h"
#include "security/policy/cel_environment.h"
#include "security/policy/test_files.h"

namespace caisson::policy {
namespace {

std::string shown(std::string_view expression, const CelInput& input = {}) {
  const auto program = cel_environment().compile(expression);
  if (!program.ok()) return "refused: " + program.error().message;
  const auto value = CelScope(input, {}).evaluate(*program);
  return value.ok() ? value->debug_string() : "error: " + value.error().message;
}

// A service that answers with what it was asked.
class Echo final : public Lookups {
 public:
  Result<std::optional<Value>> api_call(const Value& call) const override {
    asked = call;
    if (call["urlPath"].is_string()) return std::optional<Value>(Value{{"status", Value{{"allowed", true}}}});
    return std::optional<Value>(Value{{"statusCode", 404}, {"body", call["body"]}});
  }
  Result<std::optional<Value>> config_map(const std::string&, const std::string&) const override { return none(); }
  Result<std::optional<Value>> global_entry(const std::string&) const override { return none(); }
  Result<std::optional<Value>> image(const std::string&) const override { return none(); }
  Result<Value> object(const std::string&, const std::string&, const std::string&, const std::string&) const override {
    return Value();
  }
  Result<std::vector<Value>> objects(const std::string&, const std::string&, const std::string&) const override {
    return std::vector<Value>{};
  }
  Result<std::string> kind_of(const std::string&, const std::string& plural) const override { return plural; }
  mutable Value asked;

 private:
  static Result<std::optional<Value>> none() { return std::optional<Value>(); }
};

}  // namespace

TEST_CASE("functions over values give what Kyverno's give") {
  constexpr std::pair<std::string_view, std::string_view> kCases[] = {
      {R"(json.unmarshal('{"a": [1, true]}').a[0])", "1"},
      {R"(json.marshal({'b': '<', 'a': [1, 2.5, null]}))", R"("{"a":[1,2.5,null],"b":"\u003c"}")"},
      {R"(yaml.parse('a: {b: c}').a.b)", R"("c")"},
      {"hash.sha256('a') == sha256('a') && sha256('a').startsWith('ca978112')", "true"},
      {"hash.sha1('a')", R"("86f7e437faa5a7fce15d1ddcb9eaeaea377667b8")"},
      {"hash.md5('a')", R"("0cc175b9c0f1b6a831c399e269772661")"},
      {"random().matches('^[0-9a-z]{8}$') && random('[A-F]{3}-x').matches('^[A-F]{3}-x$')", "true"},
      {"random.random() != random.random()", "true"},
      {"time.now() > timestamp('2026-01-01T00:00:00Z') && time.now() - time.now() <= duration('0s')", "true"},
      {"time.toCron(timestamp('2022-04-11T03:14:05Z'))", R"("14 3 11 4 1")"},
      {"string(time.truncate(timestamp('2023-11-14T22:13:20.5Z'), duration('1h')))", R"("2023-11-14T22:00:00Z")"},
      {"time.truncate(timestamp('2023-11-14T22:13:20Z'), duration('0s')) == timestamp('2023-11-14T22:13:20Z')", "true"},
      {"math.round(2.345, 2) == 2.35 && math.round(-1.5, 0) == -2.0", "true"},
      {"parseServiceAccount('system:serviceaccount:shop:bot').Name", R"("bot")"},
      {"user.parseServiceAccount('system:serviceaccount:shop:a:b').Name", R"("a:b")"},
      {"user.parseServiceAccount('system:serviceaccount:shop').Namespace", R"("")"},
      {"parseServiceAccount('jane').Namespace", R"("")"},
      {"gzip.decompress(gzip.compress('many words'))", R"("many words")"},
      {"listObjToMap([{'k': 'a'}, {'k': 'b'}], [{'v': 1}, {'v': 2}], 'k', 'v')", R"({"a": 1, "b": 2})"},
      {"transform.listObjToMap([{'k': 'a'}], [], 'k', 'v')",
       "error: listObjToMap must take lists of equal length. list1: 1, list2: 0"},
      {"parseImageReference('nginx:1.27').identifierWithSeparator()", R"(":1.27")"},
      {"image('ghcr.io/org/app').registry() + image('nginx').repository()", R"("ghcr.iolibrary/nginx")"},
      {"gzip.decompress(b'plain')", "error: gzip: invalid header"},
  };
  for (const auto& [expression, want] : kCases) {
    CAPTURE(expression);
    CHECK(shown(expression) == want);
  }
  CHECK(shown("x509.decode('no certificate')").starts_with("error: "));
  CHECK(shown("listObjToMap([{'n': 1}], [{'v': 1}], 'k', 'v')").starts_with("error: the passed key name"));
  CHECK(shown("time.later()").starts_with("refused: "));
}

TEST_CASE("a service's answer is its body beside the status, whatever that is") {
  const Echo echo;
  CelInput input;
  input.lookups = &echo;
  CHECK(shown("http.Post('https://a/', {'x': 1}, {'Authorization': 'me'})", input) ==
        R"({"x": 1, "body": {"x": 1}, "statusCode": 404})");
  CHECK(echo.asked["service"]["headers"][0]["key"].as_string() == "Authorization");
  CHECK(echo.asked["method"].as_string() == "POST");
  CHECK(shown("http.get('https://a/').statusCode", input) == "404");
  CHECK(echo.asked["body"].is_null());
  CHECK(shown("http.client('PEM').get('https://a/').statusCode == 404", input) == "true");
  CHECK(echo.asked["service"]["caBundle"].as_string() == "PEM");
  CHECK(shown("http.get('https://a/')").starts_with("error: http can't be asked here"));
}

TEST_CASE("resources are asked for by version and plural, or by what ToGVR makes") {
  TestInputs inputs;
  for (const char* text :
       {"{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop, labels: {app: web}}}",
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: prod, labels: {app: db}}}"})
    inputs.world.push_back(yaml::read(text).value());
  const auto lookups = make_test_lookups(inputs);
  CelInput input;
  input.lookups = lookups.get();
  for (const char* expression :
       {"resource.Get('apps/v1', 'deployments', 'shop', 'web').metadata.labels.app == 'web'",
        "resource.get(resource.toGVR('apps/v1', 'Deployment'), 'prod', 'web').metadata.labels.app == 'db'",
        "resource.List('apps/v1', 'deployments', 'shop').items.size() == 1",
        "resource.list('apps/v1', 'deployments', '').items.size() == 2",
        "resource.list('apps/v1', 'deployments', '', {'app': 'db'}).items[0].metadata.namespace == 'prod'",
        "resource.List(resource.ToGVR('apps/v1', 'Deployment'), {'app': 'x'}).items.size() == 0"}) {
    CAPTURE(expression);
    CHECK(shown(expression, input) == "true");
  }
  CHECK(shown("resource.Get('apps/v1', 'deployments', 'shop', 'no')", input) == "error: Deployment \"no\" not found");
  const Echo echo;
  input.lookups = &echo;
  CHECK(shown("resource.Post('authorization.k8s.io/v1', 'subjectaccessreviews', {'spec': {'user': 'x'}}).status.allowed",
              input) == "true");
  CHECK(echo.asked["urlPath"].as_string() == "/apis/authorization.k8s.io/v1/subjectaccessreviews");
  CHECK(echo.asked["body"]["spec"]["user"].as_string() == "x");
}

}  // namespace caisson::policy
