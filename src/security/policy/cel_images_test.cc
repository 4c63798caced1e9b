// SPDX-License-Identifier: Apache-2.0
// ImageValidatingPolicy over a registry in memory.
#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "security/policy/cel_policy.h"
#include "security/policy/signing_testing.h"

namespace caisson::policy {
namespace {

struct ImageWorld final : Lookups {
  TestRegistry registry;
  Result<std::optional<Value>> config_map(const std::string&, const std::string&) const override {
    return std::optional<Value>();
  }
  Result<std::optional<Value>> api_call(const Value&) const override { return std::optional<Value>(); }
  Result<std::optional<Value>> global_entry(const std::string&) const override { return std::optional<Value>(); }
  Result<std::optional<Value>> image(const std::string&) const override { return std::optional<Value>(); }
  Result<Value> object(const std::string&, const std::string&, const std::string&, const std::string&) const override {
    return Value();
  }
  Result<std::vector<Value>> objects(const std::string&, const std::string&, const std::string&) const override {
    return std::vector<Value>{};
  }
  Result<std::string> kind_of(const std::string&, const std::string& plural) const override { return plural; }
  const ImageSource* images() const override { return &registry; }
};

struct Case {
  ImageWorld world;
  TestKey key, other;
  std::string digest = world.registry.put_image("example.com/app", "v1");

  static std::string indented(const std::string& pem) {
    std::string out = "        ";
    for (const char c : pem) out += c == '\n' ? std::string("\n        ") : std::string(1, c);
    return out;
  }
  CelPolicy policy(const std::string& pem, const std::string& validations, const std::string& more = "") const {
    auto compiled = CelPolicy::compile(yaml::read(R"yaml(
apiVersion: policies.kyverno.io/v1
kind: ImageValidatingPolicy
metadata: {name: signed}
spec:
  validationActions: [Deny]
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}
  matchImageReferences: [{glob: "example.com/*"}]
  attestors:
  - name: team
    cosign:
      ctlog: {insecureIgnoreTlog: true}
      key:
       data: |
)yaml" + indented(pem) + R"yaml(
  attestations:
  - name: sbom
    intoto: {type: "https://example.com/sbom"}
  validations:
)yaml" + validations + more)
                                           .value());
    REQUIRE_MESSAGE(compiled.ok(), compiled.error().message);
    return std::move(compiled).value();
  }
  Request request(const std::string& image) const {
    Request out;
    out.target = {"",
                  "v1",
                  "Pod",
                  "",
                  "CREATE",
                  yaml::read("{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, spec: {containers: "
                             "[{name: side, image: other.io/side@sha256:" +
                             std::string(64, 'a') + "}, {name: c, image: \"" + image + "\"}]}}")
                      .value(),
                  Value(),
                  {}};
    return out;
  }
  std::string verdict(const CelPolicy& policy, const std::string& image) const {
    Value patched;
    const auto response = policy.evaluate(request(image), Value(), Value(), world, patched);
    if (!response) return "not asked";
    return std::string(status_name(response->status)) + (response->message.empty() ? "" : ": " + response->message);
  }
};

constexpr const char* kSigned =
    "  - {expression: \"images.containers.map(i, verifyImageSignatures(i, [attestors.team])).all(e, e > 0)\", "
    "message: not signed}\n";

}  // namespace

TEST_CASE("an image that the attestor signed passes, another does not, and others are not asked about") {
  Case c;
  c.world.registry.put_layers("example.com/app", signature_tag(c.digest),
                              {sign_image(c.world.registry, c.key, c.digest)});
  const std::string image = "example.com/app:v1@" + c.digest;
  CHECK(c.verdict(c.policy(c.key.pem(), kSigned), image) == "pass: success");
  CHECK(c.verdict(c.policy(c.other.pem(), kSigned), image) == "fail: not signed");
  CHECK(c.verdict(c.policy(c.other.pem(), kSigned), "elsewhere.io/app:v1") == "skip: no image matched");
}

TEST_CASE("an attestor's key may come of an expression") {
  Case c;
  c.world.registry.put_layers("example.com/app", signature_tag(c.digest),
                              {sign_image(c.world.registry, c.key, c.digest)});
  Value document = c.policy(c.other.pem(), kSigned).object();
  Value& cosign = document.edit({"spec", "attestors"}).edit(0).edit("cosign");
  cosign.set("key", Value{{"expression", "object.metadata.annotations.key"}});
  const auto policy = CelPolicy::compile(document);
  REQUIRE_MESSAGE(policy.ok(), policy.error().message);
  Request request = c.request("example.com/app:v1@" + c.digest);
  request.target.object.edit({"metadata", "annotations"}).set("key", c.key.pem());
  Value patched;
  const auto response = policy->evaluate(request, Value(), Value(), c.world, patched);
  REQUIRE(response);
  CHECK(response->status == Status::pass);
}

TEST_CASE("digests are put in before the policy asks for them") {
  Case c;
  c.world.registry.put_layers("example.com/app", signature_tag(c.digest),
                              {sign_image(c.world.registry, c.key, c.digest)});
  const CelPolicy policy = c.policy(c.key.pem(), kSigned);
  CHECK(c.verdict(policy, "example.com/app:v1") == "fail: missing digest for example.com/app:v1");
  const auto pinned = policy.with_digests(c.request("example.com/app:v1"), Value(), c.world);
  REQUIRE(pinned.ok());
  CHECK((*pinned)["spec"]["containers"][1]["image"].str() == "example.com/app:v1@" + c.digest);
  CHECK((*pinned)["spec"]["containers"][0]["image"].str() == "other.io/side@sha256:" + std::string(64, 'a'));
}

TEST_CASE("a payload is there only after its attestation was verified") {
  Case c;
  c.world.registry.put_layers(
      "example.com/app", signature_tag(c.digest, ".att"),
      {attest_image(c.world.registry, c.key,
                    statement_of(c.digest, "https://example.com/sbom", Value{{"bomFormat", "CycloneDX"}}))});
  const std::string image = "example.com/app:v1@" + c.digest;
  const std::string verify =
      "  - {expression: \"images.containers.all(i, verifyAttestationSignatures(i, attestations.sbom, "
      "[attestors.team]) > 0)\", message: not attested}\n";
  const std::string extract =
      "  - {expression: \"images.containers.all(i, extractPayload(i, attestations.sbom).bomFormat == 'CycloneDX')\", "
      "message: no sbom}\n";
  CHECK(c.verdict(c.policy(c.key.pem(), verify + extract), image) == "pass: success");
  CHECK(c.verdict(c.policy(c.other.pem(), verify + extract), image) == "fail: not attested");
  CHECK(c.verdict(c.policy(c.key.pem(), extract), image).find("was not verified before") != std::string::npos);
}

TEST_CASE("attestors and references that can't be are refused when the policy is written") {
  const auto why = [](const std::string& spec) {
    const auto compiled = CelPolicy::compile(
        yaml::read("{apiVersion: policies.kyverno.io/v1, kind: ImageValidatingPolicy, metadata: {name: p}, spec: " +
                   spec + "}")
            .value());
    return compiled.ok() ? std::string("fine") : compiled.error().message;
  };
  CHECK(why("{attestors: [{name: a}]}").find("attestors.a: needs cosign or notary") != std::string::npos);
  CHECK(why("{matchImageReferences: [{}]}").find("matchImageReferences") != std::string::npos);
  CHECK(why("{matchImageReferences: [{expression: 'image.('}]}").find("matchImageReferences") != std::string::npos);
  CHECK(why("{attestations: [{name: a}]}").find("attestations.a: needs intoto or referrer") != std::string::npos);
}

}  // namespace caisson::policy
