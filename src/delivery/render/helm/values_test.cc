// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/render/helm/ignore.h"
#include "delivery/render/helm/json_schema.h"
#include "delivery/render/helm/values.h"
#include "delivery/render/helm/version.h"

namespace caisson::render::helm {
namespace {

Value yaml_of(std::string_view text) {
  auto value = read_yaml(text);
  REQUIRE(value.ok());
  return *value;
}

std::string set_to(SetKind kind, std::string_view text, std::string_view start = "{}") {
  Value values = yaml_of(start);
  const auto done =
      set_values(values, text, kind, [](const std::string& path) -> Result<std::string> { return "<" + path + ">"; });
  return done.ok() ? json::write(values, {.sort_keys = true}) : "error: " + done.error().message;
}

Chart chart_named(const std::string& name, std::string_view values, std::vector<Chart> dependencies = {}) {
  Chart chart;
  chart.metadata.name = name;
  chart.metadata.version = "1.0.0";
  chart.values = yaml_of(values);
  chart.files = std::make_shared<ChartFiles>();
  chart.dependencies = std::move(dependencies);
  return chart;
}

std::string coalesced(const Chart& chart, std::string_view values, Nulls nulls = Nulls::removed) {
  std::vector<std::string> warnings;
  const auto out = coalesce(chart, yaml_of(values), nulls, warnings);
  return out.ok() ? json::write(*out, {.sort_keys = true}) : "error: " + out.error().message;
}

}  // namespace

// The answers are those of helm v3.22 (pkg/strvals).
TEST_CASE("--set reads names, indices, lists, escapes and types") {
  struct Case {
    const char *text, *want;
  };
  for (const Case& c : {
           Case{"a=1,b=true,c=null,d=1.5,e=01", R"({"a":1,"b":true,"c":null,"d":"1.5","e":"01"})"},
           Case{"a.b.c=x,a.b.d=y", R"({"a":{"b":{"c":"x","d":"y"}}})"},
           Case{"a={1,x,},b={}", R"({"a":[1,"x",""],"b":[""]})"},
           Case{"a[1]=x", R"({"a":[null,"x"]})"},
           Case{"a[0].n=x,a[0].m=y,a[1].n=z", R"({"a":[{"m":"y","n":"x"},{"n":"z"}]})"},
           Case{"a[0][1]=x", R"({"a":[[null,"x"]]})"},
           Case{R"(a=x\,y,b\.c=d)", R"({"a":"x,y","b.c":"d"})"},
           Case{"a=", R"({"a":""})"},
           Case{"", "{}"},
           Case{"a", "error: key \"a\" has no value"},
           Case{"a,b=1", "error: key \"a\" has no value (cannot end with ,)"},
           Case{"a={x", "error: list must terminate with '}'"},
           Case{"a[x]=1", "error: error parsing index: strconv.Atoi: parsing \"x\": invalid syntax"},
           Case{"a[-1]=1", "error: negative -1 index not allowed"},
           Case{"a[65537]=1", "error: index of 65537 is greater than maximum supported index of 65536"},
       }) {
    CAPTURE(c.text);
    CHECK(set_to(SetKind::value, c.text) == c.want);
  }
}

TEST_CASE("--set-string, --set-json, --set-file and --set-literal read the right side their own way") {
  CHECK(set_to(SetKind::string, "a=1,b=true") == R"({"a":"1","b":"true"})");
  CHECK(set_to(SetKind::json, R"(a={"b":[1,null]},c="x",d=)") == R"({"a":{"b":[1,null]},"c":"x","d":null})");
  CHECK(set_to(SetKind::json, R"(a={)").starts_with("error: "));
  CHECK(set_to(SetKind::file, "a=x.txt,b={y,z}") == R"({"a":"<x.txt>","b":["<y>","<z>"]})");
  CHECK(set_to(SetKind::literal, R"(a.b=x,c={d}\e)") == R"({"a":{"b":"x,c={d}\\e"}})");
}

TEST_CASE("--set changes what is there, and refuses to take a scalar for a map") {
  CHECK(set_to(SetKind::value, "a.b=2", "a: {b: 1, c: 1}") == R"({"a":{"b":2,"c":1}})");
  CHECK(set_to(SetKind::value, "a[0]=z", "a: [x, w]") == R"({"a":["z","w"]})");
  CHECK(set_to(SetKind::value, "a.b=2", "a: x").starts_with("error: unable to parse key: interface conversion"));
}

TEST_CASE("names nest to thirty levels") {
  std::string deep = "a";
  for (int i = 0; i < 31; ++i) deep += ".a";
  CHECK(set_to(SetKind::value, deep + "=1").starts_with("error: value name nested level"));
}

TEST_CASE("given values win over defaults, and null removes a default") {
  const Chart chart = chart_named("top", "a: 1\nb: {c: 1, d: 2}\ne: x");
  CHECK(coalesced(chart, "b: {c: 9}") == R"({"a":1,"b":{"c":9,"d":2},"e":"x"})");
  CHECK(coalesced(chart, "a: null\nb: {d: null}") == R"({"b":{"c":1},"e":"x"})");
  CHECK(coalesced(chart, "m: null") == R"({"a":1,"b":{"c":1,"d":2},"e":"x","m":null})");
  CHECK(coalesced(chart, "a: null", Nulls::kept) == R"({"a":null,"b":{"c":1,"d":2},"e":"x"})");
}

TEST_CASE("a subchart has its own values, its parent's for it, and the globals") {
  const Chart chart =
      chart_named("top", "sub: {x: 1}\nglobal: {g: 1}", {chart_named("sub", "x: 5\nz: 6\nglobal: {h: 2}")});
  CHECK(coalesced(chart, "{}") == R"({"global":{"g":1},"sub":{"global":{"g":1,"h":2},"x":1,"z":6}})");
  CHECK(coalesced(chart, "sub: 3") == "error: type mismatch on sub: 3");
}

// Helm's tables within a global table are one object for parent and child.
TEST_CASE("what a subchart adds deep in a global is seen by its parent and by the subcharts after it") {
  const Chart chart =
      chart_named("top", "global: {img: {reg: {host: a}}}",
                  {chart_named("one", "global: {img: {reg: {port: 1}, other: 1}}"), chart_named("two", "{}")});
  CHECK(
      coalesced(chart, "{}") ==
      R"({"global":{"img":{"reg":{"host":"a","port":1}}},"one":{"global":{"img":{"other":1,"reg":{"host":"a","port":1}}}},)"
      R"("two":{"global":{"img":{"reg":{"host":"a","port":1}}}}})");
}

TEST_CASE("conditions and tags choose subcharts, aliases name them, import-values lifts what they export") {
  Chart chart =
      chart_named("top", "b: {enabled: false}\ntags: {front: false}",
                  {chart_named("a", "exports: {data: {port: 1}}"), chart_named("b", "{}"), chart_named("c", "{}")});
  chart.metadata.dependencies = {{.name = "a", .version = "1.x", .alias = "first", .import_values = {Value("data")}},
                                 {.name = "b", .version = ">=1", .condition = "b.enabled"},
                                 {.name = "c", .version = "^1.0.0", .tags = {"front"}}};
  std::vector<std::string> warnings;
  REQUIRE(process_dependencies(chart, Value::map(), warnings).ok());
  REQUIRE(chart.dependencies.size() == 1);
  CHECK(chart.dependencies[0].name() == "first");
  CHECK(chart.values["port"].as_int() == 1);
  chart.metadata.dependencies.push_back({.name = "gone"});
  CHECK(check_dependencies(chart).error().message == "found in Chart.yaml, but missing in charts/ directory: gone");
}

TEST_CASE("ranges of versions are read as Masterminds/semver reads them") {
  struct Case {
    std::string range, version;
    bool want;
  };
  for (const Case& c : {
           Case{">=1.20.0-0", "1.30.0", true},
           Case{">=1.20", "v1.30.0-eks", false},
           Case{">=1.20-0", "v1.30.0-eks", true},
           Case{"^1.2.3", "1.9.0", true},
           Case{"^1.2.3", "2.0.0", false},
           Case{"^0.2.3", "0.3.0", false},
           Case{"~1.2.3", "1.2.9", true},
           Case{"~1.2.3", "1.3.0", false},
           Case{"~1", "1.9.9", true},
           Case{"1.x", "1.4.0", true},
           Case{"*", "3.0.0", true},
           Case{"", "3.0.0", false},
           Case{"1.2 - 2.0", "1.5.0", true},
           Case{"1.2 - 2.0", "2.1.0", false},
           Case{"<1 || >=2", "2.0.0", true},
           Case{">1, <2", "1.5.0", false},
           Case{"!=1.5.0", "1.5.0", false},
           Case{"=1.5.0", "1.5.0", true},
           Case{">11", "11.1.0", false},
           Case{"<=11", "11.9.0", true},
           Case{"nonsense", "1.0.0", false},
       }) {
    CAPTURE(c.range);
    CAPTURE(c.version);
    CHECK(version_satisfies(c.range, c.version) == c.want);
  }
  CHECK(is_version("1.2"));
  CHECK_FALSE(is_version("1.2.3.4"));
  CHECK_FALSE(is_version("latest"));
}

TEST_CASE(".helmignore's first matching rule decides, and a negated one ignores all else") {
  const auto rules = IgnoreRules::parse("# comment\n*.bak\n/root.txt\nsub/*.tmp\nbuild/\n");
  REQUIRE(rules.ok());
  CHECK(rules->ignores("a/b.bak", false));
  CHECK(rules->ignores("root.txt", false));
  CHECK_FALSE(rules->ignores("a/root.txt", false));
  CHECK(rules->ignores("sub/x.tmp", false));
  CHECK(rules->ignores("a/build", true));
  CHECK_FALSE(rules->ignores("a/build", false));
  CHECK(rules->ignores("templates/.swp", false));
  CHECK(IgnoreRules::parse("!*.yaml")->ignores("notes.txt", false));
  CHECK_FALSE(IgnoreRules::parse("**/x").ok());
  CHECK_FALSE(IgnoreRules::parse("[a").ok());
  CHECK(path_matches("a/*[!b]", "a/x").value() == false);
  CHECK_FALSE(path_matches("[]a]", "a").has_value());
}

TEST_CASE("values are held to their schema, with the reference's words") {
  struct Case {
    const char *schema, *values, *want;
  };
  for (
      const Case& c : {
          Case{R"({"required":["a","b"]})", "c: 1", "- at '': missing properties 'a', 'b'"},
          Case{R"({"properties":{"a":{"type":["string","null"]}}})", "a: 1",
               "- at '/a': got number, want null or string"},
          Case{R"({"properties":{"a":{"type":"integer","maximum":5}}})", "a: 5.0", ""},
          Case{R"({"properties":{"a":{"enum":["x",1,null]}}})", "a: y",
               "- at '/a': value must be one of 'x', 1, <nil>"},
          Case{R"({"properties":{"a":{"anyOf":[{"type":"string"},{"minimum":3}]}}})", "a: 1",
               "- at '/a': 'anyOf' failed\n  - at '/a': got number, want string\n  - at '/a': minimum: got 1, want 3"},
          Case{R"({"properties":{"a":{"oneOf":[{"type":"number"},{"minimum":0}]}}})", "a: 1",
               "- at '/a': 'oneOf' failed, subschemas 0, 1 matched"},
          Case{R"({"$defs":{"p":{"minLength":2}},"properties":{"a":{"$ref":"#/$defs/p"}}})", "a: x",
               "- at '/a': minLength: got 1, want 2"},
          Case{R"({"if":{"required":["a"]},"then":{"required":["b"]}})", "a: 1", "- at '': missing property 'b'"},
          Case{R"({"properties":{"a":{}},"unevaluatedProperties":false})", "a: 1\nb: 2", "- at '/b': false schema"},
          Case{
              R"({"$schema":"http://json-schema.org/draft-07/schema#","items":{},"properties":{"a":{"format":"ipv4"}}})",
              "a: 1.2.3", "- at '/a': '1.2.3' is not valid ipv4: expected four decimals"},
          Case{R"({"properties":{"a":{"multipleOf":0.1}}})", "a: 0.3", ""},
          Case{R"({"properties":{"a":{"maximum":100000}}})", "a: 2000000",
               "- at '/a': maximum: got 2×10⁰⁶, want 100,000"},
          Case{R"({"dependentRequired":{"a":["b"]},"properties":{"a":{"minLength":2}}})", "a: x",
               "- at '/a': minLength: got 1, want 2\n- at '': properties 'b' required, if 'a' exists"},
          Case{R"({"propertyNames":{"pattern":"^b"}})", "a: 1",
               "- at '': invalid propertyName 'a'\n  - at '': 'a' does not match pattern '^b'"},
      }) {
    CAPTURE(c.schema);
    const auto found = schema_violations(c.schema, yaml_of(c.values));
    REQUIRE(found.ok());
    CHECK(*found == c.want);
  }
}

TEST_CASE("a schema that refers to itself without end, or elsewhere, is an error and no hang") {
  CHECK_FALSE(schema_violations(R"({"$ref":"#"})", Value::map()).ok());
  CHECK_FALSE(schema_violations(R"({"$ref":"https://example.com/x.json"})", Value::map()).ok());
  CHECK_FALSE(schema_violations(R"({"properties":{"a":{"pattern":"["}}})", Value{{"a", "x"}}).ok());
}

}  // namespace caisson::render::helm
