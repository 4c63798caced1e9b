// SPDX-License-Identifier: Apache-2.0
#include "core/document/value.h"

#include <doctest/doctest.h>

#include <thread>

#include "core/document/json.h"

namespace caisson::document {

TEST_CASE("a copy keeps its contents while the original is edited") {
  Value original{{"a", 1}, {"list", Value(std::vector<Value>{1, 2})}};
  const Value copy = original;
  CHECK(copy.shares_with(original));
  original.edit("list").push_back(3);
  original.set("b", "new");
  CHECK(json::write(copy) == R"({"a":1,"list":[1,2]})");
  CHECK(json::write(original) == R"({"a":1,"list":[1,2,3],"b":"new"})");
}

TEST_CASE("strings of every length around the inline limit are kept whole") {
  for (std::size_t length = 0; length < 40; ++length) {
    std::string text(length, 'x');
    if (length > 2) text[1] = '\0';
    const Value value(text);
    const Value copy = value;
    CHECK(copy.as_string() == text);
    CHECK(copy == value);
  }
}

TEST_CASE("reading never fails: what is absent reads as null, empty or zero") {
  const Value value{{"name", "web"}, {"replicas", 2.0}};
  CHECK(value["absent"]["deeper"][7].is_null());
  CHECK(value.get({"a", "b"}).is_null());
  CHECK(value["name"].as_int(9) == 9);
  CHECK(value["replicas"].as_int() == 2);
  CHECK(value.find("absent") == nullptr);
  CHECK(Value(1.5).as_int(7) == 7);
  CHECK(kNull.entries().empty());
}

TEST_CASE("a map finds, replaces and erases its members at every size") {
  Value map;
  for (int i = 0; i < 300; ++i) map.set("key-" + std::to_string(i), i);
  CHECK(map.size() == 300);
  for (int i = 0; i < 300; i += 3) CHECK(map.erase("key-" + std::to_string(i)));
  CHECK_FALSE(map.erase("key-0"));
  for (int i = 0; i < 300; ++i) {
    const Value* found = map.find("key-" + std::to_string(i));
    CHECK((found == nullptr) == (i % 3 == 0));
    if (found != nullptr) CHECK(found->as_int() == i);
  }
  CHECK(map.entries()[0].key == "key-1");
}

TEST_CASE("a map keeps the order of insertion until its keys are sorted") {
  Value map{{"b", 1}, {"a", Value{{"z", 1}, {"y", 2}}}};
  CHECK(json::write(map) == R"({"b":1,"a":{"z":1,"y":2}})");
  map.sort_keys();
  CHECK(json::write(map) == R"({"a":{"y":2,"z":1},"b":1})");
  CHECK(map == Value{{"b", 1}, {"a", Value{{"y", 2}, {"z", 1}}}});
}

TEST_CASE("numbers compare by value and remember their source text") {
  CHECK(Value(1) == Value(1.0));
  CHECK(Value(1) != Value("1"));
  CHECK(Value::number(std::int64_t{8}, "0o10") == Value(8));
  CHECK(Value::number(1000.0, "1e3").number_text() == "1e3");
  CHECK(Value::number(std::int64_t{8}, "010").as_int() == 8);
}

TEST_CASE("a value may be put inside itself") {
  Value map{{"a", 1}};
  map.set("self", map);
  CHECK(json::write(map) == R"({"a":1,"self":{"a":1}})");
  map = map["self"];
  CHECK(json::write(map) == R"({"a":1})");
  Value list(std::vector<Value>{1, 2});
  list.push_back(list[0]);
  list.insert(0, list);
  list.erase_at(1);
  CHECK(json::write(list) == "[[1,2,1],2,1]");
}

TEST_CASE("threads may copy and read one value at once") {
  const Value shared = *json::parse(R"({"spec":{"containers":[{"name":"a long enough string"}]}})");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&shared, t] {
      for (int i = 0; i < 2000; ++i) {
        Value mine = shared;
        mine.edit({"spec", "key-" + std::to_string(i % 50)}) = t;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(shared["spec"].size() == 1);
}

TEST_CASE("the parsed form of an object stays within a small multiple of its JSON") {
  const std::string text =
      R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"frontend","namespace":"shop","labels":{"app":"frontend"}},)"
      R"("spec":{"replicas":2,"selector":{"matchLabels":{"app":"frontend"}},"template":{"metadata":{"labels":{"app":"frontend"}},)"
      R"("spec":{"containers":[{"name":"frontend","image":"registry.caisson.internal:5000/shop/frontend:20260101","ports":)"
      R"([{"containerPort":8080}],"resources":{"limits":{"cpu":"100m","memory":"64Mi"}}}]}}}})";
  const Value value = *json::parse(text);
  MESSAGE("JSON " << text.size() << " bytes, parsed " << value.memory_bytes() << " bytes");
  CHECK(value.memory_bytes() < text.size() * 3);
}

}  // namespace caisson::document
