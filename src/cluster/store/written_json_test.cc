// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/written_json.h"

#include <doctest/doctest.h>

#include <random>

#include "core/document/json.h"

namespace caisson::store {
namespace {

const char* const kDocument =
    R"({"kind":"Pod","metadata":{"name":"a\"b","labels":{"app":"web","tier.x/y":"é"},"annotations":{"e":""}},)"
    R"("spec":{"nodeName":"n1","containers":[{"nodeName":"not this"},-1.5,1e3,0,true,null,"\u00e9\n"]},)"
    R"("status":{"phase":"Running","spec":{"nodeName":"nor this"}}})";

}  // namespace

TEST_CASE("what is said to be JSON is what the parser takes, of whole and of damaged documents") {
  CHECK(is_json("[-12.5, 0, {\"a\": [] }]\n"));
  for (const char* text : {"", "{", "[1,]", "{\"a\":1,}", "01", "-", "1.", "\"\x01\"", "\"\\x\"", "\"\\u12g4\"", "tru",
                           "\"\xff\"", "[1 2]", "{1:2}", "{} {}", "nul"})
    CHECK_MESSAGE(!is_json(text), text);
  CHECK(is_json(std::string(200, '[') + std::string(200, ']')));
  CHECK(!is_json(std::string(201, '[') + std::string(201, ']')));
  std::mt19937 random(7);
  const std::string whole = json::write(*json::parse(kDocument));
  CHECK(is_json(whole));
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = whole;
    for (std::uint32_t times = 1 + random() % 3; times > 0; --times)
      damaged[random() % damaged.size()] = static_cast<char>(random() % 4 == 0 ? random() % 256 : "\"\\{}[],:0e"[random() % 10]);
    const bool parses = json::parse(damaged).ok();
    if (!parses) ++refused;
    if (is_json(damaged)) CHECK_MESSAGE(parses, damaged);
  }
  CHECK(refused > 10'000);
}

TEST_CASE("members are counted as they stand, doubles too") {
  CHECK(count_members(R"({"a":1,"b":{"c":[{"d":"x:y"}, {}],"c":null}})") == 5);
  CHECK(count_members("[1, \"a\"]") == 0);
  CHECK(count_members(R"({"a":1,)") == 0);
}

TEST_CASE("what is selected is what the whole document has there, and nothing else") {
  const std::string text = json::write(*json::parse(kDocument));
  const Value whole = *json::parse(text);
  const std::vector<std::string> paths{"metadata.labels", "metadata.name", "spec.nodeName", "status.phase", "status.none",
                                       "kind.below", "metadata.annotations"};
  const Value selected = select(text, paths);
  CHECK(selected["metadata"]["labels"] == whole["metadata"]["labels"]);
  CHECK(selected["metadata"]["name"].str() == "a\"b");
  CHECK(selected["spec"] == Value{{"nodeName", "n1"}});
  CHECK(selected["status"] == Value{{"phase", "Running"}});
  CHECK(selected["kind"]["below"].is_null());
  CHECK(select(text, std::vector<std::string>{"spec.containers"})["spec"]["containers"] == whole["spec"]["containers"]);
  CHECK(select(text, std::vector<std::string>{"spec", "spec.nodeName"})["spec"] == whole["spec"]);
  CHECK(select(text, {}).empty());
}

TEST_CASE("of what is no JSON, what came before the fault is selected") {
  const std::vector<std::string> paths{"a", "b"};
  CHECK(select(R"({"a":1,"b":)", paths) == Value{{"a", 1}, {"b", nullptr}});
  CHECK(select("", paths).is_null());
  CHECK(select("[1]", paths).is_null());
}

}  // namespace caisson::store
