// SPDX-License-Identifier: Apache-2.0
// Ports of listeners: which one is open with which certificate, and when one closes.
#include "delivery/pipeline/listener_service.h"

#include <doctest/doctest.h>

#include "core/base/encoding.h"
#include "delivery/git/platform_test.h"

namespace caisson::pipeline {
namespace {

constexpr const char* kListener = R"yaml(
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: hook, namespace: shop}
spec:
  triggers: [{template: {ref: any}}]
  resources:
    kubernetesResource:
      spec:
        template:
          spec:
            containers:
            - env:
              - {name: TLS_CERT, valueFrom: {secretKeyRef: {name: hook-tls, key: tls.crt}}}
              - {name: TLS_KEY, valueFrom: {secretKeyRef: {name: hook-tls, key: tls.key}}}
)yaml";

// A listener with a certificate whose ports are numbers in a row.
struct Ports {
  git::Platform platform;
  FakeClock clock;
  kube::Runtime runtime{*platform.client, clock};
  int last = 1000;
  std::vector<int> closed;
  ListenerReconciler reconciler{runtime,
                                {.listen = [this](const http::Handler&, const http::TlsOptions*) { return ++last; },
                                 .stop_listening = [this](int port) { closed.push_back(port); },
                                 .node_address = "10.0.0.1"}};

  Ports() {
    platform.make_organization("shop");
    REQUIRE(platform.create("{apiVersion: v1, kind: Secret, metadata: {name: hook-tls, namespace: shop}}") == "");
    set_certificate("first");
    REQUIRE(platform.create(kListener) == "");
  }
  void set_certificate(const std::string& text) {
    REQUIRE(kube::modify(*platform.client, schema::kSecrets, {"shop", "hook-tls"}, [&](kube::Object& secret) {
              secret.edit({"data", "tls.crt"}) = Value(base64(text));
              secret.edit({"data", "tls.key"}) = Value(base64("key of " + text));
              return true;
            }).ok());
  }
  void reconcile() {
    const auto done = reconciler.reconcile({"shop", "hook"});
    REQUIRE_MESSAGE(done.ok(), done.error().message);
  }
  std::int64_t told_port() const {
    const auto slice = platform.client->get(schema::kEndpointSlices, {"shop", "el-hook-caisson"});
    return slice.ok() ? (*slice)["ports"][0]["port"].as_int() : 0;
  }
};

TEST_CASE("a renewed certificate gets a new port, and the old one closes when nobody looks for it any more") {
  Ports p;
  p.reconcile();
  p.reconcile();
  CHECK(p.told_port() == 1001);
  p.set_certificate("second");
  p.reconcile();
  CHECK(p.told_port() == 1002);
  CHECK(p.closed.empty());
  p.clock.advance(std::chrono::seconds(29));
  p.reconcile();
  CHECK(p.closed.empty());
  p.clock.advance(std::chrono::seconds(1));
  p.reconcile();
  p.reconcile();
  CHECK(p.closed == std::vector<int>{1001});
  CHECK(p.told_port() == 1002);
}

TEST_CASE("a listener that is gone leaves no port open") {
  Ports p;
  p.reconcile();
  p.set_certificate("second");
  p.reconcile();
  REQUIRE(p.platform.client->remove(schema::kEventListeners, {"shop", "hook"}).ok());
  p.reconcile();
  CHECK(p.closed == std::vector<int>{1002, 1001});
}

}  // namespace
}  // namespace caisson::pipeline
