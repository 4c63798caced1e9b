// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/substitute.h"

#include <doctest/doctest.h>

#include "core/document/json.h"
#include "delivery/pipeline/cel.h"
#include "delivery/pipeline/params.h"

namespace caisson::pipeline {
namespace {

Value parse(std::string_view text) {
  return json::parse(text).value();
}

TEST_CASE("variables become what the scope says, and what it does not know stays") {
  Scope scope;
  scope.set("params.url", "https://git/x");
  scope.set("params.list", parse(R"(["a","b"])"));
  scope.set("params.object", parse(R"({"key":"v","dotted.key":"w"})"));
  scope.set("params.dotted.name", "dots");
  scope.set("tasks.build.results.digest", "sha256:1");
  struct Case {
    const char *in, *want;
  };
  const Case cases[] = {
      {R"j("$(params.url)")j", R"j("https://git/x")j"},
      {R"j("a $(params.url) b $(params.url)")j", R"j("a https://git/x b https://git/x")j"},
      {R"j("$(params['url'])")j", R"j("https://git/x")j"},
      {R"j("$(params[\"dotted.name\"])")j", R"j("dots")j"},
      {R"j("$(params.dotted.name)")j", R"j("dots")j"},
      {R"j("$(params.list[1])")j", R"j("b")j"},
      {R"j(["x","$(params.list[*])","y"])j", R"j(["x","a","b","y"])j"},
      {R"j(["x","$(params.list)"])j", R"j(["x","a","b"])j"},
      {R"j("$(params.list[*])")j", R"j(["a","b"])j"},
      {R"j("$(params.object.key)")j", R"j("v")j"},
      {R"j("$(params.object[*])")j", R"j({"key":"v","dotted.key":"w"})j"},
      {R"j("$(tasks.build.results.digest)")j", R"j("sha256:1")j"},
      {R"j("$(HOME) $(date) $$(params.url)")j", R"j("$(HOME) $(date) $https://git/x")j"},
      {R"j("$(echo $(params.url))")j", R"j("$(echo https://git/x)")j"},
      {R"j("$(params.none)")j", R"j("$(params.none)")j"},
      {R"j("$(unclosed")j", R"j("$(unclosed")j"},
      {R"j({"k":{"a":["$(params.url)"]},"n":3,"b":true})j", R"j({"k":{"a":["https://git/x"]},"n":3,"b":true})j"},
      {R"j({"$(params.list[0])":"v"})j", R"j({"a":"v"})j"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.in);
    const auto out = substitute(parse(c.in), scope);
    REQUIRE(out.ok());
    CHECK(json::write(*out) == c.want);
  }
  for (const char* bad : {R"j("$(params.list[2])")j", R"j("a $(params.list[*])")j", R"j("x $(params.object) y")j",
                          R"j("$(params.url[0])")j"}) {
    CAPTURE(bad);
    CHECK_FALSE(substitute(parse(bad), scope).ok());
  }
  CHECK(references(parse(R"j(["$(params.a) $(params['b'])",{"k":"$(tasks.t.results.r[0])"}])j")) ==
        std::vector<std::string>{"params.a", "params.b", "tasks.t.results.r[0]"});
}

TEST_CASE("params take their value from the run, else their default, and say what is wrong") {
  struct Case {
    const char *name, *declared, *given, *want;  // want: the scope as JSON, or the error
  };
  const Case cases[] = {
      {"given", R"([{"name":"a"}])", R"([{"name":"a","value":"1"}])", R"({"params.a":"1"})"},
      {"default", R"([{"name":"a","default":"d"}])", "[]", R"({"params.a":"d"})"},
      {"empty default", R"([{"name":"a","default":""}])", "[]", R"({"params.a":""})"},
      {"missing", R"([{"name":"a"},{"name":"b"}])", "[]",
       "missing values for these params which have no default values: [a b]"},
      {"array", R"([{"name":"a","type":"array"}])", R"([{"name":"a","value":["1","2"]}])", R"({"params.a":["1","2"]})"},
      {"array by default", R"([{"name":"a","default":["x"]}])", "[]", R"({"params.a":["x"]})"},
      {"string for array", R"([{"name":"a","type":"array"}])", R"([{"name":"a","value":"1"}])",
       "param \"a\" is of type array, but its value is a string"},
      {"object with default keys", R"([{"name":"a","type":"object","properties":{"x":{},"y":{}},"default":{"y":"2"}}])",
       R"([{"name":"a","value":{"x":"1"}}])", R"({"params.a":{"x":"1","y":"2"}})"},
      {"object lacks a key", R"([{"name":"a","type":"object","properties":{"x":{},"y":{}}}])",
       R"([{"name":"a","value":{"x":"1"}}])", "param \"a\" lacks the key \"y\""},
      {"enum", R"([{"name":"a","enum":["x","y"]}])", R"([{"name":"a","value":"z"}])",
       "param \"a\" value z is not one of its enum"},
      {"extra", "[]", R"([{"name":"more","value":"1"}])", R"({"params.more":"1"})"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Scope scope;
    const auto added = add_params(scope, parse(c.declared), parse(c.given));
    if (!added.ok()) {
      CHECK(added.error().message == c.want);
      continue;
    }
    Value out = Value::map();
    for (const auto& [name, value] : scope.values()) out.set(name, value);
    CHECK(json::write(out) == c.want);
  }
}

TEST_CASE("a when expression in CEL decides whether a task runs") {
  CHECK(*when_cel_holds("'main' in ['main', 'release']"));
  CHECK_FALSE(*when_cel_holds("'feature/x'.matches('^release/')"));
  CHECK_FALSE(when_cel_holds("'main'").ok());
  CHECK_FALSE(when_cel_holds("body.ref == 'main'").ok());
}

TEST_CASE("CEL filters hold, do not hold, or are refused by name") {
  CelInput input;
  input.body =
      parse(R"({"ref":"refs/heads/main","action":"opened","n":3,"commits":[{"id":"abcdef0123","added":["a.txt"]}],
                         "repository":{"full_name":"shop/app"},"deleted":false,"empty":""})");
  input.extensions = parse(R"({"branch":"main"})");
  input.headers = {{"X-GitHub-Event", "push"}};
  input.request_url = "http://localhost/hooks/shop/build";
  input.secret = [](const std::string&, const std::string& name, const std::string& key) -> Result<std::string> {
    if (name == "hook" && key == "token") return std::string("s3cret");
    return Error{ErrorCode::not_found, "secret " + name + " has no key " + key};
  };
  struct Case {
    const char *expression, *want;  // JSON, or a part of what the error says
  };
  const Case cases[] = {
      {"body.ref == 'refs/heads/main'", "true"},
      {"body.ref != \"refs/heads/main\"", "false"},
      {"body.ref.startsWith('refs/heads/') && !body.deleted", "true"},
      {"body.action in ['opened', 'synchronize']", "true"},
      {"body.action in []", "false"},
      {"'ref' in body", "true"},
      {"header.match('x-github-event', 'push')", "true"},
      {"header.canonical('X-GitHub-Event') == 'push'", "true"},
      {"body.n > 2 && body.n <= 3 && body.n == 3.0", "true"},
      {"body.commits[0].id.truncate(7)", "\"abcdef0\""},
      {"body.ref.split('/')[2]", "\"main\""},
      {"'refs/heads/' + extensions.branch == body.ref", "true"},
      {"size(body.commits) == 1 && body.commits.size() == 1", "true"},
      {"body.n == 3 ? 'three' : 'other'", "\"three\""},
      {"false ? body.nothing : 'x'", "\"x\""},
      {"has(body.repository.full_name)", "true"},
      {"has(body.repository.nothing)", "false"},
      {"has(body.nothing.deeper) || body.n == 3", "true"},
      {"body.nothing == 1 || true", "true"},
      {"true || body.nothing == 1", "true"},
      {"body.nothing == 1 && false", "false"},
      {"!(body.nothing == 1) || true", "true"},
      {"(body.ref == 'x' || body.n == 3) && true", "true"},
      {"body['repository']['full_name'].contains('app')", "true"},
      {"body.ref.endsWith('main') && body.ref.lowerAscii() == body.ref", "true"},
      {"-1 < 0", "true"},
      {"null == null", "true"},
      {"'it\\'s'", "\"it's\""},
      {"body.nothing == 1", "no such key: nothing"},
      {"body.commits[3].id", "index out of bounds: 3"},
      {"body.nothing == 1 || false", "no such key: nothing"},
      {"nobody.ref", "undeclared reference to 'nobody' (in container '')"},
      {"body.commits.exists(c, c.id == 'abcdef0123')", "true"},
      {"body.ref.matches('^refs/heads/m.*n$')", "true"},
      {"'s3cret'.compareSecret('token', 'hook')", "true"},
      {"'other'.compareSecret('token', 'hook', 'shop')", "false"},
      {"'s3cret'.compareSecret('nothing', 'hook')", "no key nothing"},
      {"compareSecret('a')", "found no matching overload for 'compareSecret' applied to '(string)'"},
      {"'{\"a\": [1, 2.5]}'.parseJSON().a[1]", "2.5"},
      {"'a: [x, y]'.parseYAML().a[1]", "\"y\""},
      {"'{'.parseJSON()", "parseJSON: line 1"},
      {"body.commits[0].marshalJSON()", "\"{\\\"added\\\":[\\\"a.txt\\\"],\\\"id\\\":\\\"abcdef0123\\\"}\""},
      {"'https://u@host:8080/p?a=1&a=2'.parseURL().queryStrings.a[1]", "\"2\""},
      {"'this-is/a_name'.translate('[^a-z0-9]+', '')", "\"thisisaname\""},
      {"'refs/heads/main'.translate('refs/(heads)/', '$1-')", "\"heads-main\""},
      {"string('aGk='.decodeB64())", "\"hi\""},
      {"[1, 2, 3].last() + [1, 2].first()", "4"},
      {"header['X-GitHub-Event'][0]", "\"push\""},
      {"requestURL.endsWith('/hooks/shop/build')", "true"},
      {"body.n - 1", "2"},
      {"body.n < 'a'", "no such overload"},
      {"body.ref &&", "Syntax error: mismatched input '<EOF>'"},
      {"body.ref && true", "no such overload"},
      {"'open", "Syntax error: token recognition error"},
      {"", "Syntax error: mismatched input '<EOF>'"},
      {"true true", "Syntax error: mismatched input 'true'"},
      {"(true", "Syntax error: mismatched input '<EOF>' expecting ')'"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.expression);
    const auto value = evaluate_cel(c.expression, input);
    if (value.ok()) {
      CHECK(json::write(*value) == c.want);
    } else {
      CAPTURE(value.error().message);
      CHECK(value.error().message.find(c.want) != std::string::npos);
    }
  }
  CHECK_FALSE(cel_holds("body.ref", input).ok());
  CHECK_FALSE(evaluate_cel(std::string(500, '('), input).ok());
  CHECK(*cel_holds(std::string(500, '!') + "true", input));
}

}  // namespace
}  // namespace caisson::pipeline
