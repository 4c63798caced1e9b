// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/testing_test.h"
#include "core/base/encoding.h"

namespace caisson::apiserver {
namespace {

const kube::Resource kDefinition{"apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
                                 false};
const kube::Resource kThings{"example.com", "v1", "Thing", "things", true};
const kube::Resource kNewThings{"example.com", "v2", "Thing", "things", true};

std::string definition(const std::string& plural, const std::string& kind, const std::string& more = "") {
  const auto version = [](const std::string& name, bool storage) {
    return "{name: " + name + ", served: true, storage: " + (storage ? "true" : "false") +
           ", schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, "
           "x-kubernetes-preserve-unknown-fields: true}}}}}";
  };
  return "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: " + plural +
         ".example.com}, spec: {group: example.com, scope: Namespaced, names: {plural: " + plural + ", kind: " + kind +
         "}, versions: [" + version("v1", true) + ", " + version("v2", false) + "]" + more + "}}";
}

std::string thing(const std::string& version, const std::string& spec, const std::string& metadata = "") {
  return "{apiVersion: example.com/" + version + ", kind: Thing, metadata: {name: t, namespace: shop" + metadata +
         "}, spec: " + spec + "}";
}

std::string condition(TestServer& server, const std::string& name, const std::string& type) {
  const auto found = server.admin->get(kDefinition, {"", name});
  if (!found.ok()) return found.error().message;
  for (const Value& one : (*found)["status"]["conditions"].items())
    if (one["type"].as_string() == type) return one["status"].str() + " " + one["reason"].str();
  return "";
}

// Turns spec.size of v1 into spec.big of v2 and back.
struct Converter {
  http::KeyPair ca = http::make_ca("converter CA", system_clock().now()).value();
  http::KeyPair pair =
      http::make_certificate(ca, {.common_name = "converter", .ip_addresses = {"127.0.0.1"}, .server = true},
                             system_clock().now())
          .value();
  http::TlsOptions tls{pair.certificate_pem, std::string(pair.key_pem.reveal()), ""};
  http::Server server = http::Server::start({}).value();
  bool refuses = false;
  int reviews = 0;
  int port = server
                 .listen(
                     "127.0.0.1", 0,
                     [this](const http::ExchangePtr& exchange) {
                       const Value review = json::parse(exchange->read_body(1 << 20).value()).value();
                       exchange->respond({.status = 200, .headers = {}, .body = json::write(answer(review))});
                     },
                     &tls)
                 .value();

  Value answer(const Value& review) {
    ++reviews;
    const Value& request = review["request"];
    std::vector<Value> converted;
    for (Value one : request["objects"].items()) {
      const bool up = request["desiredAPIVersion"] == Value("example.com/v2");
      one.set("apiVersion", request["desiredAPIVersion"]);
      one.set("spec", Value{{up ? "big" : "size", one["spec"][up ? "size" : "big"]}});
      converted.push_back(std::move(one));
    }
    Value result{{"status", refuses ? "Failed" : "Success"}};
    if (refuses) result.set("message", "not today");
    return Value{
        {"kind", "ConversionReview"},
        {"apiVersion", "apiextensions.k8s.io/v1"},
        {"response",
         Value{{"uid", request["uid"]}, {"convertedObjects", Value(std::move(converted))}, {"result", result}}}};
  }
  // What the definition says of it.
  std::string conversion() const {
    return ", conversion: {strategy: Webhook, webhook: {conversionReviewVersions: [v1], clientConfig: {url: "
           "'https://127.0.0.1:" +
           std::to_string(port) + "/convert', caBundle: " + base64(ca.certificate_pem) + "}}}";
  }
};

}  // namespace

TEST_CASE("a definition that goes takes its objects with it, and waits for their finalizers") {
  TestServer server;
  server.make_namespace("shop");
  server.create(definition("things", "Thing"));
  CHECK(condition(server, "things.example.com", "Established") == "True InitialNamesAccepted");
  server.create(thing("v1", "{}", ", finalizers: [example.com/wait]"));
  REQUIRE(server.admin->remove(kDefinition, {"", "things.example.com"}, {}).ok());
  CHECK(condition(server, "things.example.com", "Terminating") == "True InstanceDeletionInProgress");
  const auto waiting = server.admin->get(kThings, {"shop", "t"});
  REQUIRE(waiting.ok());
  CHECK(!waiting->metadata()["deletionTimestamp"].is_null());
  CHECK(failure(server.admin->create(
            object("{apiVersion: example.com/v1, kind: Thing, metadata: {name: u, namespace: shop}}"))) ==
        "create not allowed while custom resource definition is terminating");
  REQUIRE(server.admin
              ->patch(kThings, {"shop", "t"}, kube::PatchType::merge,
                      json::parse(R"({"metadata": {"finalizers": null}})").value(), {})
              .ok());
  CHECK(condition(server, "things.example.com", "Terminating").find("not found") != std::string::npos);
  CHECK(failure(server.admin->get(kThings, {"shop", "t"})).find("could not find") != std::string::npos);
}

TEST_CASE("a definition whose names are taken is not served until they are free") {
  TestServer server;
  server.make_namespace("shop");
  server.create(definition("things", "Thing"));
  server.create(definition("others", "Thing"));
  CHECK(condition(server, "others.example.com", "NamesAccepted") == "False ListKindConflict");
  CHECK(condition(server, "others.example.com", "Established") == "False NotAccepted");
  CHECK(server.schema.find_plural("example.com", "v1", "others") == nullptr);
  REQUIRE(server.admin->remove(kDefinition, {"", "things.example.com"}, {}).ok());
  CHECK(condition(server, "others.example.com", "Established") == "True InitialNamesAccepted");
  CHECK(server.schema.find_plural("example.com", "v1", "others") != nullptr);
}

TEST_CASE(
    "a conversion webhook turns objects into the version that is asked for; they are kept in the storage version") {
  Converter converter;
  TestServer server;
  server.make_namespace("shop");
  server.create(definition("things", "Thing", converter.conversion()));
  server.create(thing("v2", "{big: 7}"));
  CHECK(server.store->get("things.example.com", "shop", "t")->value()["apiVersion"] == Value("example.com/v1"));
  const auto old = server.admin->get(kThings, {"shop", "t"});
  REQUIRE_MESSAGE(old.ok(), old.error().message);
  CHECK((*old)["spec"] == Value{{"size", 7}});
  const auto patched = server.admin->patch(kNewThings, {"shop", "t"}, kube::PatchType::merge,
                                           json::parse(R"({"spec": {"big": 8}})").value(), {});
  REQUIRE_MESSAGE(patched.ok(), patched.error().message);
  CHECK((*patched)["apiVersion"] == Value("example.com/v2"));
  CHECK((*patched)["spec"] == Value{{"big", 8}});
  const int before = converter.reviews;
  const auto all = server.admin->list(kNewThings, {.ns = "shop"});
  REQUIRE_MESSAGE(all.ok(), all.error().message);
  CHECK(all->items.at(0)["spec"] == Value{{"big", 8}});
  CHECK(converter.reviews == before + 1);
  converter.refuses = true;
  CHECK(failure(server.admin->get(kNewThings, {"shop", "t"})) ==
        "conversion webhook for example.com/v2, Kind=Thing failed: not today");
  CHECK(server.admin->get(kThings, {"shop", "t"}).ok());
}

}  // namespace caisson::apiserver
