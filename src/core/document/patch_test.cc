// SPDX-License-Identifier: Apache-2.0
#include "core/document/patch.h"

#include <doctest/doctest.h>

#include "core/document/generate_test.h"
#include "core/document/json.h"

namespace caisson::document {
namespace {

Value parse(std::string_view text) {
  auto value = json::parse(text);
  REQUIRE_MESSAGE(value.ok(), text);
  return *value;
}

// A schema for tests: {containers: merged by name, ports: by containerPort and protocol, finalizers: a set}.
class Schema : public MergeSchema {
 public:
  explicit Schema(std::vector<std::string> keys = {}, bool set = false) : keys_(std::move(keys)), set_(set) {}
  const MergeSchema* field(std::string_view name) const override {
    static const Schema plain, containers({"name"}), ports({"containerPort", "protocol"}), finalizers({}, true);
    return name == "containers" ? &containers : name == "ports" ? &ports : name == "finalizers" ? &finalizers : &plain;
  }
  const MergeSchema* item() const override {
    static const Schema plain;
    return &plain;
  }
  const std::vector<std::string>& merge_keys() const override { return keys_; }
  bool merges_as_set() const override { return set_; }

 private:
  std::vector<std::string> keys_;
  bool set_;
};

}  // namespace

TEST_CASE("a strategic merge patch follows the schema and its directives") {
  struct Case {
    std::string_view name, document, patch, want;
  };
  const Case cases[] = {
      {"keeps list items the patch does not name", R"({"containers":[{"name":"a","image":"x"},{"name":"b"}]})",
       R"({"containers":[{"name":"a","image":"y"}]})", R"({"containers":[{"name":"a","image":"y"},{"name":"b"}]})"},
      {"puts a new item before what the patch does not name", R"({"containers":[{"name":"a"}]})",
       R"({"containers":[{"name":"b"}]})", R"({"containers":[{"name":"b"},{"name":"a"}]})"},
      {"deletes an item", R"({"containers":[{"name":"a"},{"name":"b"}]})",
       R"({"containers":[{"name":"a","$patch":"delete"}]})", R"({"containers":[{"name":"b"}]})"},
      {"replaces a list", R"({"containers":[{"name":"a"}]})", R"({"containers":[{"$patch":"replace"},{"name":"c"}]})",
       R"({"containers":[{"name":"c"}]})"},
      {"replaces a map", R"({"a":{"b":1}})", R"({"a":{"$patch":"replace","c":2}})", R"({"a":{"c":2}})"},
      {"drops what treats a map that is not there", R"({"b":1})", R"({"a":{"$patch":"replace","c":2}})", R"({"b":1})"},
      {"null deletes", R"({"a":1,"b":{"c":1,"d":2}})", R"({"a":null,"b":{"c":null}})", R"({"b":{"d":2}})"},
      {"lists without keys are replaced", R"({"args":["a","b"]})", R"({"args":["c"]})", R"({"args":["c"]})"},
      {"sets are joined", R"({"finalizers":["a"]})", R"({"finalizers":["b","a"]})", R"({"finalizers":["a","b"]})"},
      {"deletes from a set", R"({"finalizers":["a","b"]})", R"({"$deleteFromPrimitiveList/finalizers":["a"]})",
       R"({"finalizers":["b"]})"},
      {"orders items", R"({"containers":[{"name":"a"},{"name":"b"}]})",
       R"({"$setElementOrder/containers":[{"name":"b"},{"name":"a"}],"containers":[{"name":"a","x":1}]})",
       R"({"containers":[{"name":"b"},{"name":"a","x":1}]})"},
      {"retains keys", R"({"strategy":{"type":"Rolling","rolling":{"max":1}}})",
       R"({"strategy":{"$retainKeys":["type"],"type":"Recreate"}})", R"({"strategy":{"type":"Recreate"}})"},
      {"knows an item by two keys",
       R"({"ports":[{"containerPort":53,"protocol":"TCP"},{"containerPort":53,"protocol":"UDP"}]})",
       R"({"ports":[{"containerPort":53,"protocol":"UDP","name":"dns"}]})",
       R"({"ports":[{"containerPort":53,"protocol":"TCP"},{"containerPort":53,"protocol":"UDP","name":"dns"}]})"},
  };
  const Schema schema;
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const auto have = strategic_merge(parse(c.document), parse(c.patch), &schema);
    REQUIRE(have.ok());
    CHECK(json::write(*have) == c.want);
  }
}

TEST_CASE("a strategic merge patch is refused where it is unclear") {
  const Schema schema;
  const auto refused = [&](std::string_view patch) {
    return strategic_merge(parse(R"({"containers":[{"name":"a"}]})"), parse(patch), &schema).error().message;
  };
  CHECK(refused(R"({"containers":[{"image":"x"}]})") == R"(containers[0]: has no merge key name: {"image":"x"})");
  CHECK(refused(R"({"a":{"$patch":"erase"}})") == R"(a: unknown directive $patch: "erase")");
  CHECK(refused(R"({"containers":["a"]})") == "containers[0]: must be a map, for the list is merged by name");
}

TEST_CASE("without a schema maps merge and lists are replaced") {
  const auto have = strategic_merge(parse(R"({"spec":{"a":1,"containers":[{"name":"a"}]}})"),
                                    parse(R"({"spec":{"containers":[{"name":"b"}]}})"), nullptr);
  CHECK(json::write(*have) == R"({"spec":{"a":1,"containers":[{"name":"b"}]}})");
}

TEST_CASE("merge patches follow RFC 7386's examples") {
  struct Case {
    std::string_view document, patch, want;
  };
  const Case cases[] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", "{}"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"a":"foo"})", "null", "null"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {"{}", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.patch);
    CHECK(json::write(merge_patch(parse(c.document), parse(c.patch))) == c.want);
  }
}

TEST_CASE("a JSON patch that cannot be applied names operation and path") {
  CHECK(json_patch(parse("{}"), parse(R"([{"op":"add","path":"/a","value":1},{"op":"remove","path":"/b"}])"))
            .error()
            .message == "operation 1 (remove /b): the path does not exist");
  CHECK(json_patch(parse("{}"), parse(R"([{"op":"move","from":"/a","path":"/a/b"}])")).error().code ==
        ErrorCode::invalid);
}

TEST_CASE("the merge patch between two documents leads from one to the other") {
  const std::uint64_t seed = generate::seed();
  MESSAGE("seed " << seed);
  generate::Source source(seed);
  const auto without_nulls = [](auto&& self, const Value& value) -> Value {
    if (!value.is_map()) return value;
    Value out = Value::map();
    for (const MapEntry& entry : value.entries()) {
      if (!entry.value.is_null()) out.set(entry.key, self(self, entry.value));
    }
    return out;
  };
  for (int i = 0; i < 1000; ++i) {
    const Value from = without_nulls(without_nulls, source.value(4)),
                to = without_nulls(without_nulls, source.value(4));
    REQUIRE(merge_patch(from, merge_patch_between(from, to)) == to);
  }
}

TEST_CASE("differences name the path, and tell absent from null") {
  const auto found = differences(parse(R"({"spec":{"a":1,"list":[1,{"x":2}],"gone":null}})"),
                                 parse(R"({"spec":{"a":1,"list":[1,{"x":3},4],"new":5}})"));
  REQUIRE(found.size() == 4);
  CHECK(found[0].path == "spec.list[1].x");
  CHECK(found[1].path == "spec.list[2]");
  CHECK(found[1].was_absent);
  CHECK(found[2].path == "spec.gone");
  CHECK(found[2].is_absent);
  CHECK(found[3].path == "spec.new");
}

TEST_CASE("a unified diff shows changes with three lines around them") {
  CHECK(unified_diff("a\nb\n", "a\nb\n", "x", "y").empty());
  CHECK(unified_diff("1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\nfive\n6\n7\n8\n", "old", "new") ==
        "--- old\n+++ new\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
  CHECK(unified_diff("", "a\n", "o", "n") == "--- o\n+++ n\n@@ -0,0 +1 @@\n+a\n");
  CHECK(unified_diff("a", "a\n", "o", "n") == "--- o\n+++ n\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
}

TEST_CASE("a unified diff's lines rebuild both texts") {
  generate::Source source(generate::seed());
  for (int i = 0; i < 500; ++i) {
    std::string a, b;
    for (std::size_t n = source.below(40); n > 0; --n) {
      const std::string line = std::to_string(source.below(6)) + "\n";
      if (source.below(5) != 0) a += line;
      if (source.below(5) != 0) b += line;
    }
    // With more context than lines a hunk holds all; here changed lines are enough to check the counts.
    const std::string diff = unified_diff(a, b, "a", "b");
    const auto count = [](std::string_view text, char first) {
      std::ptrdiff_t lines = 0;
      for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) lines += text[at] == first;
      return lines;
    };
    const auto lines = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
    REQUIRE(count(diff, '+') - count(diff, '-') == lines(b) - lines(a));
  }
}

}  // namespace caisson::document
