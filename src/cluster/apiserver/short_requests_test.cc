// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/testing_test.h"

using namespace caisson;
using namespace caisson::apiserver;

namespace {

// A request that nobody answers.
struct Asked : http::Exchange {
  Asked(std::string how, const std::string& what, std::size_t body_bytes = 0) {
    method = std::move(how);
    target = what;
    path = what.substr(0, what.find('?'));
    if (path != what) query = http::parse_query(what.substr(path.size() + 1));
    if (body_bytes > 0) headers.set("Content-Length", std::to_string(body_bytes));
  }
  Result<std::string> read_body(std::size_t) override { return std::string(); }
  Result<std::string> read_some() override { return std::string(); }
  void respond(http::Response) override {}
  std::shared_ptr<http::Stream> stream(int, http::Headers, std::optional<std::uint64_t>) override { return nullptr; }
  Result<std::shared_ptr<http::WebSocket>> websocket(std::string_view) override {
    return Error{ErrorCode::bad_request, ""};
  }
};

struct Plugin : Admission {
  std::string_view name() const override { return "Test"; }
  bool may_take_long() const override { return busy; }
  std::atomic<bool> busy = false;
};

const std::string kMaps = "/api/v1/namespaces/shop/configmaps";

}  // namespace

TEST_CASE("a request for one small object that waits for nobody is short, and no other") {
  TestServer s;
  s.make_namespace("shop");
  struct Case {
    bool is_short;
    const char *method, *path;
    std::size_t body_bytes = 0;
  };
  for (const Case& c : std::initializer_list<Case>{
           {true, "GET", "/api/v1/namespaces/shop/configmaps/a"},
           {true, "GET", "/apis/apps/v1/namespaces/shop/deployments/a"},
           {true, "GET", "/api/v1/nodes/a"},
           {true, "POST", "/api/v1/namespaces/shop/configmaps", 200},
           {true, "PUT", "/api/v1/namespaces/shop/configmaps/a", 200},
           {true, "PATCH", "/api/v1/namespaces/shop/configmaps/a", 200},
           {true, "DELETE", "/api/v1/namespaces/shop/configmaps/a"},
           {true, "PATCH", "/api/v1/nodes/a/status", 200},
           {false, "POST", "/api/v1/namespaces/shop/configmaps", 1 << 20},           // long to parse
           {false, "GET", "/api/v1/namespaces/shop/configmaps"},                     // a list
           {false, "DELETE", "/api/v1/namespaces/shop/configmaps"},                  // of many
           {false, "GET", "/api/v1/namespaces/shop/configmaps?watch=1"},             // a stream
           {false, "GET", "/api/v1/namespaces/shop/pods/a/log"},                     // asks an agent
           {false, "GET", "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/a"},    // asks agents
           {false, "POST", "/api/v1/namespaces/shop/pods/a/eviction", 200},          // counts Pods
           {false, "POST", "/api/v1/namespaces/shop/services", 200},                 // holds the pool of addresses
           {false, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", 200},  // fills others
           {false, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", 200},
           {false, "GET", "/openapi/v2"},
           {false, "GET", "/apis"},
       }) {
    CAPTURE(c.method);
    CAPTURE(c.path);
    CHECK(s.api->is_short(Asked(c.method, c.path, c.body_bytes)) == c.is_short);
  }
}

TEST_CASE("an object that is big is not changed where requests are read") {
  TestServer s;
  s.make_namespace("shop");
  const kube::Object big(Value{{"apiVersion", "v1"},
                               {"kind", "ConfigMap"},
                               {"metadata", Value{{"name", "big"}, {"namespace", "shop"}}},
                               {"data", Value{{"k", std::string(100'000, 'x')}}}});
  REQUIRE(s.admin->create(big).ok());
  CHECK_FALSE(s.api->is_short(Asked("PATCH", kMaps + "/big", 20)));
  CHECK_FALSE(s.api->is_short(Asked("GET", kMaps + "/big")));
  CHECK(s.api->is_short(Asked("PATCH", kMaps + "/small", 20)));
}

TEST_CASE("writes that somebody is asked about are not short; reads still are") {
  const auto plugin = std::make_shared<Plugin>();
  ApiServerOptions options;
  options.admission = {plugin};
  TestServer s(std::move(options));
  const auto writes_are_short = [&] { return s.api->is_short(Asked("POST", kMaps, 200)); };
  CHECK(writes_are_short());
  plugin->busy = true;
  CHECK_FALSE(writes_are_short());
  CHECK(s.api->is_short(Asked("GET", kMaps + "/a")));
  plugin->busy = false;
  CHECK(writes_are_short());
  REQUIRE(s.admin
              ->create(kube::Object(Value{{"apiVersion", "admissionregistration.k8s.io/v1"},
                                          {"kind", "ValidatingWebhookConfiguration"},
                                          {"metadata", Value{{"name", "asks"}}}}))
              .ok());
  CHECK_FALSE(writes_are_short());
  CHECK(s.api->is_short(Asked("GET", kMaps + "/a")));
}
