// SPDX-License-Identifier: Apache-2.0
// Bodies recorded from kubectl 1.33.1 (kubectl create configmap|deployment …) and messages written here by hand.
#include "cluster/schema/protobuf.h"

#include <doctest/doctest.h>

#include "core/base/encoding.h"
#include "core/document/json.h"

using namespace caisson;
using namespace caisson::schema;

namespace {

const Schema& built_in() {
  static const Schema kSchema = [] {
    auto made = Schema::built_in();
    REQUIRE(made.ok());
    return std::move(made).value();
  }();
  return kSchema;
}

// Messages shorter than 128 bytes: one byte of length.
std::string field(int number, std::string_view bytes) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + std::string(bytes);
}
std::string field(int number, int value) {
  return {static_cast<char>(number << 3), static_cast<char>(value)};
}
std::string body(std::string_view api_version, std::string_view kind, std::string_view raw) {
  return std::string("k8s\0", 4) + field(1, field(1, api_version) + field(2, kind)) + field(2, raw);
}

void decodes_to(std::string_view bytes, std::string_view want) {
  const auto got = from_protobuf(built_in(), bytes);
  REQUIRE_MESSAGE(got.ok(), got.error().message);
  const auto wanted = json::parse(want);
  REQUIRE(wanted.ok());
  CHECK_MESSAGE(*got == *wanted, json::write(*got));
}

void is_refused(std::string_view bytes, std::string_view why) {
  const auto got = from_protobuf(built_in(), bytes);
  REQUIRE(!got.ok());
  CHECK(got.error().code == ErrorCode::bad_request);
  CHECK_MESSAGE(got.error().message.find(why) != std::string::npos, got.error().message);
}

}  // namespace

TEST_CASE("a ConfigMap that kubectl sends as protobuf is the one it would send as JSON") {
  const auto bytes =
      unbase64("azhzAAoPCgJ2MRIJQ29uZmlnTWFwEiwKIgoBYRIAGhFwcm90b2J1Zi1yZXF1ZXN0cyIAKgAyADgAQgASBgoBaxIBdhoAIgA=");
  REQUIRE(bytes.ok());
  decodes_to(*bytes, R"({"kind":"ConfigMap","apiVersion":"v1","data":{"k":"v"},
    "metadata":{"name":"a","namespace":"protobuf-requests","creationTimestamp":null}})");
}

TEST_CASE("zeros of pointers are kept, zeros that JSON leaves out are not") {
  // replicas is a pointer, minReadySeconds is not (apps/v1 DeploymentSpec 1 and 5).
  decodes_to(body("apps/v1", "Deployment", field(2, field(1, 0) + field(5, 0))),
             R"({"kind":"Deployment","apiVersion":"apps/v1","spec":{"replicas":0}})");
}

TEST_CASE("embedded Go structs, quantities, ports and byte maps have their JSON shapes") {
  const std::string source = field(1, "data") + field(2, field(6, field(1, "creds")));  // Volume{name, secret}
  const std::string limits = field(1, field(1, "cpu") + field(2, field(1, "500m")));
  const std::string probe = field(1, field(2, field(2, field(1, 1) + field(3, "http"))));
  const std::string container = field(1, "c") + field(8, limits) + field(10, probe);
  decodes_to(body("v1", "Pod", field(2, field(1, source) + field(2, container))),
             R"({"kind":"Pod","apiVersion":"v1","spec":{"volumes":[{"name":"data","secret":{"secretName":"creds"}}],
    "containers":[{"name":"c","resources":{"limits":{"cpu":"500m"}},"livenessProbe":{"httpGet":{"port":"http"}}}]}})");
  decodes_to(body("v1", "Secret", field(2, field(1, "k") + field(2, std::string("\0\1", 2)))),
             R"({"kind":"Secret","apiVersion":"v1","data":{"k":"AAE="}})");
}

TEST_CASE("options and bodies of sub-resources are known by their own kinds") {
  decodes_to(body("v1", "DeleteOptions", field(1, 0)),
             R"({"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0})");
  decodes_to(body("autoscaling/v1", "Scale", field(2, field(1, 3))),
             R"({"kind":"Scale","apiVersion":"autoscaling/v1","spec":{"replicas":3}})");
}

TEST_CASE("fields of a newer version are passed over") {
  decodes_to(body("v1", "ConfigMap", std::string("\xf8\x07\x01", 3)), R"({"kind":"ConfigMap","apiVersion":"v1"})");
}

TEST_CASE("what is no such message is refused") {
  is_refused("{}", "expected prefix");
  is_refused(body("example.com/v1", "Widget", ""), "no kind \"Widget\" is registered");
  is_refused(body("v1", "ConfigMap", std::string("\x12\x7f", 2)), "unexpected end");
  is_refused(body("v1", "ConfigMap", std::string("\xfb\x07", 2)), "wireType 3");
  is_refused(body("v1", "ConfigMap", field(2, field(1, "\xff") + field(2, "v"))), "UTF-8");
  is_refused(body("v1", "Pod", field(2, 1)), "wireType");
}
