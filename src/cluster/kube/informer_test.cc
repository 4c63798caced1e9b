// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <thread>

#include "cluster/kube/informer.h"
#include "cluster/kube/testing_client.h"

namespace caisson::kube {
namespace {
const ObjectKey kA{"n", "a"}, kB{"n", "b"}, kC{"m", "c"};
constexpr Duration kSoon = std::chrono::seconds(10);

// Writes down what a handler hears: "+n/a", "~n/a", "-n/a".
struct Ear {
  std::mutex mutex;
  std::vector<std::string> heard;
  Informer::Handler handler() {
    return [this](const Object* before, const Object* after) {
      const std::lock_guard lock(mutex);
      heard.push_back((!before ? "+" : after ? "~" : "-") + (after ? after : before)->key().str());
    };
  }
  bool has(const std::string& what) {
    const std::lock_guard lock(mutex);
    return std::find(heard.begin(), heard.end(), what) != heard.end();
  }
};
}  // namespace

TEST_CASE("an informer lists in pages, then follows the watch") {
  TestingClient client;
  client.page_items = 2;
  for (const ObjectKey& key : {kA, kB, kC}) client.put(key, "1");
  Informer informer(client, schema::kConfigMaps);
  Ear ear;
  informer.on_change(ear.handler());
  informer.start();
  REQUIRE(informer.wait_synced(kSoon));
  CHECK_EQ(informer.list().size(), 3);
  CHECK_EQ(informer.list("n").size(), 2);
  CHECK_EQ(informer.list("m")[0].name(), "c");
  REQUIRE(eventually([&] { return client.watch_count() == 1; }));
  client.put(kA, "2");
  client.erase(kB);
  REQUIRE(eventually([&] { return ear.has("-n/b"); }));
  CHECK(ear.has("~n/a"));
  CHECK_EQ(informer.find(kA)->get({"data", "text"}).str(), "2");
  CHECK_FALSE(informer.find(kB));
}

TEST_CASE("what was deleted while nobody watched is noticed by the next list") {
  TestingClient client;
  client.put(kA, "1");
  client.put(kB, "1");
  Informer informer(client, schema::kConfigMaps);
  Ear ear;
  informer.on_change(ear.handler());
  informer.start();
  REQUIRE(informer.wait_synced(kSoon));
  REQUIRE(eventually([&] { return client.watch_count() == 1; }));
  client.erase(kB, false);
  client.put(kC, "1", false);
  client.cut(Error{ErrorCode::expired, "too old resource version"});
  REQUIRE(eventually([&] { return ear.has("-n/b") && ear.has("+m/c"); }));
  CHECK_FALSE(ear.has("~n/a"));  // the same version is no change
}

TEST_CASE("a watch that breaks otherwise is opened again without a list") {
  TestingClient client;
  Informer informer(client, schema::kConfigMaps);
  informer.start();
  REQUIRE(informer.wait_synced(kSoon));
  REQUIRE(eventually([&] { return client.watch_count() == 1; }));
  client.cut(Error{ErrorCode::unavailable, "connection reset"});
  REQUIRE(eventually([&] { return client.watch_count() == 2; }));
  CHECK_EQ(client.lists, 1);
}

TEST_CASE("a failing list is tried again after a pause of the clock") {
  TestingClient client;
  client.put(kA, "1");
  client.list_errors = {{ErrorCode::unavailable, "no connection"}, {ErrorCode::unavailable, "no connection"}};
  FakeClock clock;
  Informer informer(client, schema::kConfigMaps, {}, clock);
  informer.start();
  REQUIRE(eventually([&] {
    clock.advance(std::chrono::milliseconds(50));
    return informer.synced();
  }));
  CHECK(informer.find(kA));
}

TEST_CASE("a kind that is not served counts as empty until it is served") {
  TestingClient client;
  client.put(kA, "1");
  client.list_errors = {{ErrorCode::not_found, "the server could not find the requested resource"}};
  FakeClock clock;
  Informer informer(client, schema::kConfigMaps, {}, clock);
  informer.start();
  REQUIRE(informer.wait_synced(kSoon));
  CHECK(informer.list().empty());
  REQUIRE(eventually([&] {
    clock.advance(std::chrono::milliseconds(50));
    return informer.find(kA).has_value();
  }));
}

TEST_CASE("a late handler hears what there is, and indexes follow changes") {
  TestingClient client;
  client.put(kA, "red");
  Informer informer(client, schema::kConfigMaps);
  informer.add_index("text", [](const Object& o) { return std::vector<std::string>{o.get({"data", "text"}).str()}; });
  informer.start();
  REQUIRE(informer.wait_synced(kSoon));
  REQUIRE(eventually([&] { return client.watch_count() == 1; }));
  Ear late;
  informer.on_change(late.handler());
  CHECK(late.has("+n/a"));
  CHECK_EQ(informer.by_index("text", "red").size(), 1);
  client.put(kA, "blue");
  REQUIRE(eventually([&] { return late.has("~n/a"); }));
  CHECK(informer.by_index("text", "red").empty());
  CHECK_EQ(informer.by_index("text", "blue").size(), 1);
}

TEST_CASE("after its destructor an informer calls nobody") {
  TestingClient client;
  std::atomic<bool> alive = true;
  std::atomic<int> late_calls = 0;
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) client.put(kA, std::to_string(i));
  });
  {
    Informer informer(client, schema::kConfigMaps);
    informer.on_change([&](const Object*, const Object*) { late_calls += alive ? 0 : 1; });
    informer.start();
    REQUIRE(informer.wait_synced(kSoon));
    REQUIRE(eventually([&] { return client.watch_count() == 1; }));
  }
  alive = false;
  client.put(kB, "1");
  stop = true;
  writer.join();
  CHECK_EQ(late_calls, 0);
}

}  // namespace caisson::kube
