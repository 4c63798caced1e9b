// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/value_cache.h"

#include <doctest/doctest.h>

#include "cluster/store/store.h"
#include "core/base/file.h"

namespace caisson::store {
namespace {

Change thing(int number) {
  const std::string name = "thing-" + std::to_string(number);
  return {.key = {"things", "a", name},
          .value = Value{{"metadata", Value{{"name", name}}}, {"number", number}, {"pad", std::string(1'000, 'x')}}};
}

struct Things {
  TempDir dir = TempDir::make("values").value();
  FakeClock clock;
  std::unique_ptr<Store> store =
      Store::open(dir.path() + "/store.db", clock, {.parsed_bytes_max = 20'000}).value();

  void put(int number) { REQUIRE(store->commit({thing(number)}).ok()); }
  ItemPtr get(int number) { return store->get("things", "a", "thing-" + std::to_string(number)); }
};

}  // namespace

TEST_CASE("parsed forms are kept as far as there is room, and every object can be parsed again") {
  Things f;
  for (int i = 0; i < 200; ++i) f.put(i);
  CHECK(f.store->stats().objects_bytes > 200'000);
  CHECK(f.store->stats().parsed_bytes <= 20'000);
  for (int i = 0; i < 200; ++i) {
    CHECK(f.get(i)->value()["number"].as_int() == i);
    CHECK(f.store->stats().parsed_bytes <= 20'000);
  }
}

TEST_CASE("what is asked for stays parsed while others come and go") {
  Things f;
  f.put(0);
  for (int i = 1; i < 200; ++i) {
    f.put(i);
    CHECK_MESSAGE(!f.get(0)->parsed().is_null(), i);
  }
  CHECK(f.get(1)->parsed().is_null());
  CHECK(!f.get(199)->parsed().is_null());
}

TEST_CASE("items outlive their store and the cache's interest") {
  ItemPtr kept;
  {
    Things f;
    for (int i = 0; i < 50; ++i) f.put(i);
    kept = f.get(3);
  }
  CHECK(kept->parsed().is_null());
  CHECK(kept->value()["number"].as_int() == 3);
}

}  // namespace caisson::store
