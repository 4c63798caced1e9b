// SPDX-License-Identifier: Apache-2.0
// Notary signatures that notation made (testdata/notation), asked for by verifyImages.
#include <doctest/doctest.h>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/test_dirs.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "security/policy/cel_policy.h"
#include "security/policy/engine.h"
#include "security/policy/notary.h"
#include "security/policy/test_files.h"

namespace caisson::policy {
namespace {

constexpr const char* kSignatureType = "application/vnd.cncf.notary.signature";
const SignedImage kImage{"example.com/app", "sha256:a679a2df53618accd9bd6c62644453f2ad9f65e5480ecc5bf624c5f4cec4e449"};

std::string testdata(const std::string& name) {
  auto text = read_file(test_room_dir() + "/testdata/notation/" + name);
  REQUIRE_MESSAGE(text.ok(), name);
  return std::move(text).value();
}

// An image, what refers to it, and so on, byte by byte.
class Layout final : public ImageSource {
 public:
  Layout() { put(testdata("image-manifest.json")); }
  std::string put(const std::string& bytes) {
    const std::string digest = "sha256:" + sha256_hex(bytes);
    blobs_[digest] = bytes;
    return digest;
  }
  void refer(const std::string& subject, const std::string& manifest, const std::string& type) {
    referrers_[subject].push_back({put(manifest), type});
  }
  void sign(const std::string& subject, const std::string& envelope, const std::string& type = "application/jose+json") {
    const Value layer{{"mediaType", type}, {"digest", put(envelope)}, {"size", envelope.size()}};
    refer(subject, json::write(Value{{"layers", Value(std::vector<Value>{layer})}}), kSignatureType);
  }
  Result<FetchedManifest> manifest(const std::string&, const std::string& reference) const override {
    const std::string digest = reference == "v1" ? kImage.digest : reference;
    const auto found = blobs_.find(digest);
    if (found == blobs_.end()) return Error{ErrorCode::not_found, "manifest unknown: " + reference};
    return FetchedManifest{digest, "application/vnd.oci.image.manifest.v1+json", found->second};
  }
  Result<std::string> blob(const std::string& repository, const std::string& digest, std::size_t) const override {
    return TRY(manifest(repository, digest)).bytes;
  }
  Result<std::vector<ImageReferrer>> referrers(const std::string&, const std::string& digest) const override {
    const auto found = referrers_.find(digest);
    return found == referrers_.end() ? std::vector<ImageReferrer>{} : found->second;
  }

 private:
  std::map<std::string, std::string> blobs_;
  std::map<std::string, std::vector<ImageReferrer>> referrers_;
};

struct Case {
  Layout layout;
  FakeClock clock{*parse_time("2026-11-22T12:00:00Z")};
  Engine engine{{.clock = &clock}};

  // "pass", or the message. `item`: of verifyImages without imageReferences, as YAML's flow form.
  std::string verdict(const std::string& item, const std::string& pem = "self-signed.pem") const {
    Value rule = yaml::read(item).value();
    rule.set("imageReferences", Value::list_of({"example.com/*"})).set("type", "Notary");
    if (!rule.contains("attestors")) {
      Value entry{{"certificates", Value{{"cert", testdata(pem)}}}};
      Value set{{"entries", Value(std::vector<Value>{entry})}};
      rule.set("attestors", Value(std::vector<Value>{set}));
    }
    Value policy = yaml::read(
                       "{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: p}, spec: {rules: [{name: r, "
                       "match: {any: [{resources: {kinds: [Pod]}}]}}]}}")
                       .value();
    policy.edit("spec").edit("rules").edit(std::size_t{0}).set("verifyImages", Value(std::vector<Value>{rule}));
    const auto compiled = compile_policy(policy);
    REQUIRE_MESSAGE(compiled.ok(), compiled.error().message);
    TestInputs inputs;
    inputs.registry = &layout;
    const auto lookups = make_test_lookups(inputs);
    Request request;
    request.target = {"", "v1", "Pod", "", "CREATE", yaml::read(kPod).value(), Value(), {}};
    const PolicyResponse response = engine.verify_images(*compiled, request, *lookups);
    REQUIRE(response.rules.size() == 1);
    return response.rules[0].status == Status::pass ? "pass" : response.rules[0].message;
  }

  static constexpr std::string_view kPod =
      "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, spec: {containers: [{name: c, image: "
      "'example.com/app:v1'}]}}";
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// An envelope with one member of its protected header changed, its signature as it was.
std::string with_header(const std::string& name, const std::string& member, const Value& value) {
  Value envelope = json::parse(testdata(name)).value();
  Value header = json::parse(unbase64url(envelope["protected"].as_string()).value()).value();
  header.set(member, value);
  envelope.set("protected", base64url(json::write(header)));
  return json::write(envelope);
}

}  // namespace

TEST_CASE("an image that notation signed passes with the certificate that the policy gives, while that is valid") {
  Case c;
  CHECK(has(c.verdict("{}"), "no signatures found"));
  c.layout.sign(kImage.digest, testdata("image.rsa.jws"));
  CHECK(c.verdict("{useCache: false}") == "pass");
  CHECK(has(c.verdict("{useCache: false}", "root.pem"), "the certificate is not trusted"));
  CHECK(has(c.verdict("{useCache: false, attestors: [{entries: [{keyless: {roots: x}}]}]}"), "certificate"));
  c.clock.advance(std::chrono::hours(24));
  CHECK(has(c.verdict("{useCache: false}"), "has expired"));
}

TEST_CASE("a chain leads to the root that the policy gives, and a signature may end before it") {
  Case c;
  c.layout.sign(kImage.digest, testdata("image.ec-expiring.jws"));
  CHECK(c.verdict("{useCache: false}", "root.pem") == "pass");
  c.clock.advance(std::chrono::hours(48));
  CHECK(has(c.verdict("{useCache: false}", "root.pem"), "the signature has expired at 2026-11-24T07:27:29Z"));
  c.layout.sign(kImage.digest, testdata("image.ec.jws"));
  CHECK(c.verdict("{useCache: false}", "root.pem") == "pass");
}

TEST_CASE("what was changed after signing, or is of another artifact, does not count") {
  {
    Case c;
    c.layout.sign(kImage.digest, testdata("sbom.rsa.jws"));
    CHECK(has(c.verdict("{}"), "no signatures found"));
  }
  {
    Case c;
    c.layout.sign(kImage.digest, with_header("image.rsa.jws", "io.cncf.notary.signingTime", "2026-11-22T07:00:00Z"));
    CHECK(has(c.verdict("{}"), "invalid signature"));
  }
  {
    Case c;
    c.layout.sign(kImage.digest, with_header("image.rsa.jws", "alg", "ES256"));
    CHECK(has(c.verdict("{}"), "algorithm \"ES256\" is not one of the certificate's key"));
  }
  {
    Case c;
    Value envelope = json::parse(testdata("image.ec.jws")).value();
    envelope.set("signature", base64url("short"));
    c.layout.sign(kImage.digest, json::write(envelope));
    CHECK(has(c.verdict("{}", "root.pem"), "invalid signature"));
  }
}

TEST_CASE("an envelope that can't be checked is refused by what it asks for") {
  const std::pair<std::string, std::string_view> cases[] = {
      {with_header("image.rsa.jws", "crit", Value::list_of({"io.cncf.notary.verificationPlugin"})),
       "critical header io.cncf.notary.verificationPlugin is not understood"},
      {with_header("image.rsa.jws", "io.cncf.notary.signingScheme", "notary.x509.signingAuthority"),
       "signing scheme \"notary.x509.signingAuthority\" is not checked"},
      {with_header("image.rsa.jws", "cty", "text/plain"), "its payload is \"text/plain\""},
      {with_header("image.rsa.jws", "io.cncf.notary.expiry", "soon"), "its expiry is no time: soon"},
  };
  for (const auto& [envelope, why] : cases) {
    Case c;
    c.layout.sign(kImage.digest, envelope);
    CHECK(has(c.verdict("{}"), why));
    c.layout.sign(kImage.digest, testdata("image.rsa.jws"));  // a good one beside it is enough
    CHECK(c.verdict("{useCache: false}") == "pass");
  }
  Case c;
  c.layout.sign(kImage.digest, "cbor", "application/cose");
  CHECK(has(c.verdict("{}"), "COSE envelopes are not read"));
}

TEST_CASE("an attestation is an artifact of the wanted type that is signed itself") {
  Case c;
  c.layout.sign(kImage.digest, testdata("image.rsa.jws"));
  const std::string wanted =
      "{useCache: false, attestations: [{type: sbom/cyclone-dx, conditions: [{all: [{key: '{{ bomFormat }}', operator: "
      "Equals, value: CycloneDX}]}]}]}";
  CHECK(has(c.verdict(wanted), "no signed attestation of type sbom/cyclone-dx"));
  const std::string manifest = testdata("sbom-manifest.json");
  c.layout.put(testdata("sbom.json"));
  c.layout.refer(kImage.digest, manifest, "sbom/cyclone-dx");
  CHECK(has(c.verdict(wanted), "no signed attestation of type sbom/cyclone-dx"));
  c.layout.sign("sha256:" + sha256_hex(manifest), testdata("sbom.rsa.jws"));
  CHECK(c.verdict(wanted) == "pass");
  CHECK(has(c.verdict(replace_all(wanted, "value: CycloneDX", "value: SPDX")), "attestation checks failed"));
}

TEST_CASE("an ImageValidatingPolicy takes a Notary attestor") {
  Case c;
  Value policy = yaml::read(R"yaml(
apiVersion: policies.kyverno.io/v1
kind: ImageValidatingPolicy
metadata: {name: signed}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}
  matchImageReferences: [{glob: "example.com/*"}]
  validationConfigurations: {verifyDigest: false, mutateDigest: false}
  attestors: [{name: team, notary: {certs: {value: x}}}]
  validations:
  - expression: images.containers.map(image, verifyImageSignatures(image, [attestors.team])).all(e, e > 0)
    message: not signed
)yaml")
                     .value();
  policy.edit({"spec", "attestors"}).edit(std::size_t{0}).edit({"notary", "certs", "value"}) = testdata("root.pem");
  const auto compiled = CelPolicy::compile(policy);
  REQUIRE_MESSAGE(compiled.ok(), compiled.error().message);
  TestInputs inputs;
  inputs.registry = &c.layout;
  const auto lookups = make_test_lookups(inputs);
  const auto verdict = [&](const std::string& envelope) {
    c.layout.sign(kImage.digest, testdata(envelope));
    Request request;
    request.target = {"", "v1", "Pod", "", "CREATE", yaml::read(Case::kPod).value(), Value(), {}};
    Value patched;
    const auto own = CelPolicy::compile(policy);  // nothing is remembered
    const auto response = own->evaluate(request, Value(), Value(), *lookups, patched);
    REQUIRE(response);
    return std::string(status_name(response->status)) + ": " + response->message;
  };
  CHECK(verdict("image.rsa.jws") == "fail: not signed");
  CHECK(verdict("image.ec.jws") == "pass: success");
}

}  // namespace caisson::policy
