// SPDX-License-Identifier: Apache-2.0
// verifyImages over a registry in memory: who must have signed, what must be attested, and what becomes of the object.
#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "security/policy/engine.h"
#include "security/policy/signing_testing.h"

namespace caisson::policy {
namespace {

const std::string kRepository = "example.com/app";

struct TestWorld final : Lookups {
  TestRegistry registry;
  Value secret;

  Result<std::optional<Value>> config_map(const std::string&, const std::string&) const override {
    return std::optional<Value>();
  }
  Result<std::optional<Value>> api_call(const Value&) const override { return std::optional<Value>(); }
  Result<std::optional<Value>> global_entry(const std::string&) const override { return std::optional<Value>(); }
  Result<std::optional<Value>> image(const std::string&) const override { return std::optional<Value>(); }
  Result<Value> object(const std::string&, const std::string& kind, const std::string&,
                       const std::string&) const override {
    return kind == "Secret" ? secret : Value();
  }
  Result<std::vector<Value>> objects(const std::string&, const std::string&, const std::string&) const override {
    return std::vector<Value>{};
  }
  Result<std::string> kind_of(const std::string&, const std::string& plural) const override { return plural; }
  const ImageSource* images() const override { return &registry; }
};

Value pod_of(const std::string& image) {
  return yaml::
      read("{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, spec: {containers: [{name: c, image: \"" +
           image + "\"}]}}")
          .value();
}

struct Case {
  TestWorld world;
  FakeClock clock;
  Engine engine{{.clock = &clock}};
  TestKey key, other;
  std::string digest = world.registry.put_image(kRepository, "v1");

  // `item`: of verifyImages, without imageReferences.
  Policy policy(Value item) const {
    item.set("imageReferences", Value::list_of({"example.com/*"}));
    const Value rule{
        {"name", "check"},
        {"match",
         Value{{"any", Value(std::vector<Value>{Value{{"resources", Value{{"kinds", Value::list_of({"Pod"})}}}}})}}},
        {"verifyImages", Value(std::vector<Value>{item})}};
    auto compiled = compile_policy(Value{{"apiVersion", "kyverno.io/v1"},
                                         {"kind", "ClusterPolicy"},
                                         {"metadata", Value{{"name", "signed"}}},
                                         {"spec", Value{{"rules", Value(std::vector<Value>{rule})}}}});
    REQUIRE_MESSAGE(compiled.ok(), compiled.error().message);
    return std::move(compiled).value();
  }
  PolicyResponse ask(const Value& item, const std::string& image = "example.com/app:v1") const {
    const Policy compiled = policy(item);
    Request request;
    request.target = {"", "v1", "Pod", "", "CREATE", pod_of(image), Value(), {}};
    PolicyResponse response = engine.verify_images(compiled, request, world);
    REQUIRE(!response.rules.empty());
    return response;
  }
  // "pass", or the message.
  std::string verdict(const Value& item, const std::string& image = "example.com/app:v1") const {
    const PolicyResponse response = ask(item, image);
    return response.rules[0].status == Status::pass ? "pass" : response.rules[0].message;
  }

  static Value attestors(std::vector<Value> entries, std::optional<int> count = {}) {
    Value set{{"entries", Value(std::move(entries))}};
    if (count) set.set("count", *count);
    return Value{{"attestors", Value(std::vector<Value>{set})}};
  }
  static Value by_key(const std::string& pem) {
    return Value{{"keys", Value{{"publicKeys", pem}, {"rekor", Value{{"ignoreTlog", true}}}}}};
  }
  void sign(std::vector<Value> layers) {
    world.registry.put_layers(kRepository, signature_tag(digest), std::move(layers));
  }
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an image signed with the key passes, and gets its digest and the annotation") {
  Case c;
  c.sign({sign_image(c.world.registry, c.key, c.digest)});
  const PolicyResponse response = c.ask(Case::attestors({Case::by_key(c.key.pem())}));
  CHECK(response.rules[0].status == Status::pass);
  const std::string pinned = "example.com/app:v1@" + c.digest;
  CHECK(response.patched["spec"]["containers"][0]["image"].str() == pinned);
  CHECK(response.patched["metadata"]["annotations"]["kyverno.io/verify-images"].str() ==
        "{\"example.com/app@" + c.digest + "\":\"pass\"}");
}

TEST_CASE("an image without a signature, or signed by another, is refused with the path of the entry") {
  Case c;
  CHECK(c.verdict(Case::attestors({Case::by_key(c.key.pem())})) ==
        "failed to verify image example.com/app:v1: .attestors[0].entries[0].keys: no signatures found");
  c.clock.advance(std::chrono::minutes(1));
  c.sign({sign_image(c.world.registry, c.other, c.digest)});
  CHECK(has(c.verdict(Case::attestors({Case::by_key(c.key.pem())})),
            ".attestors[0].entries[0].keys: no matching signatures: invalid signature"));
}

TEST_CASE("a signature of another image does not count") {
  Case c;
  const std::string another = c.world.registry.put_image(kRepository, "v2", "{\"a\":1}");
  c.sign({sign_image(c.world.registry, c.key, another)});
  CHECK(has(c.verdict(Case::attestors({Case::by_key(c.key.pem())})), "no signatures found"));
}

TEST_CASE("a payload that was changed after signing is refused") {
  Case c;
  Value layer = sign_image(c.world.registry, c.key, c.digest, {.annotations = Value{{"team", "web"}}});
  Value other = sign_image(c.world.registry, c.key, c.digest, {.annotations = Value{{"team", "db"}}});
  layer.set("digest", other["digest"]);
  c.sign({layer});
  CHECK(has(c.verdict(Case::attestors({Case::by_key(c.key.pem())})), "invalid signature"));
}

TEST_CASE("count says how many entries are enough; without it all must hold") {
  Case c;
  c.sign({sign_image(c.world.registry, c.key, c.digest)});
  const auto both = [&](std::optional<int> count) {
    return Case::attestors({Case::by_key(c.key.pem()), Case::by_key(c.other.pem())}, count);
  };
  CHECK(c.verdict(both(1)) == "pass");
  CHECK(has(c.verdict(both({})), ".attestors[0].entries[1].keys: no matching signatures"));
  CHECK(has(c.verdict(both(2)), "failed to verify image"));
}

TEST_CASE("several keys in one entry are as many entries, and sets may hold sets") {
  Case c;
  c.sign({sign_image(c.world.registry, c.key, c.digest)});
  const Value two = Case::by_key(c.key.pem() + c.other.pem());
  CHECK(c.verdict(Case::attestors({two}, 1)) == "pass");
  CHECK(has(c.verdict(Case::attestors({two})), "entries[1]"));
  const Value nested{{"attestor", Case::attestors({two}, 1)["attestors"][0]}};
  CHECK(c.verdict(Case::attestors({nested, Case::by_key(c.key.pem())})) == "pass");
}

TEST_CASE("annotations must be those of the signature") {
  Case c;
  c.sign({sign_image(c.world.registry, c.key, c.digest, {.annotations = Value{{"env", "prod"}}})});
  Value entry = Case::by_key(c.key.pem());
  CHECK(c.verdict(Case::attestors({Value(entry).set("annotations", Value{{"env", "prod"}})})) == "pass");
  CHECK(has(c.verdict(Case::attestors({Value(entry).set("annotations", Value{{"env", "dev"}})})),
            "annotation env is \"prod\", not \"dev\""));
}

TEST_CASE("a key may lie in a Secret") {
  Case c;
  c.sign({sign_image(c.world.registry, c.key, c.digest)});
  Value entry{{"keys", Value{{"publicKeys", "k8s://security/cosign"}, {"rekor", Value{{"ignoreTlog", true}}}}}};
  CHECK(has(c.verdict(Case::attestors({entry})), "secrets \"security/cosign\" not found"));
  c.world.secret = Value{{"data", Value{{"cosign.pub", base64(c.key.pem())}}}};
  CHECK(c.verdict(Case::attestors({entry})) == "pass");
}

TEST_CASE("a key's signature needs an entry of the transparency log unless the policy does without") {
  Case c;
  TestLog log, other_log;
  const auto entry = [&](const TestLog& of) {
    return Value{{"keys", Value{{"publicKeys", c.key.pem()}, {"rekor", Value{{"pubkey", of.key.pem()}}}}}};
  };
  c.sign({sign_image(c.world.registry, c.key, c.digest)});
  CHECK(has(c.verdict(Case::attestors({entry(log)})), "no transparency log entry"));
  c.clock.advance(std::chrono::minutes(1));
  c.sign({sign_image(c.world.registry, c.key, c.digest, {.log = &log})});
  CHECK(c.verdict(Case::attestors({entry(log)})) == "pass");
  CHECK(has(c.verdict(Case::attestors({entry(other_log)})), "the entry is of another log"));
}

TEST_CASE("a log entry of another signature does not count") {
  Case c;
  TestLog log;
  const Value first = sign_image(c.world.registry, c.key, c.digest, {.log = &log});
  Value second = sign_image(c.world.registry, c.key, c.digest, {.annotations = Value{{"n", 2}}});
  second.edit("annotations").set("dev.sigstore.cosign/bundle", first["annotations"]["dev.sigstore.cosign/bundle"]);
  c.sign({second});
  const Value entry{{"keys", Value{{"publicKeys", c.key.pem()}, {"rekor", Value{{"pubkey", log.key.pem()}}}}}};
  CHECK(has(c.verdict(Case::attestors({entry})), "the entry is of another payload"));
}

TEST_CASE("keyless: the identity, its issuer, the root and the time of signing must hold") {
  Case c;
  TestLog log;
  TestAuthority authority, stranger;
  const std::string certificate = authority.give(c.key, "dev@example.com", "https://issuer.example");
  // Signed while the certificate was valid; checked long after.
  const auto signed_at = [&](std::int64_t time) {
    c.sign({sign_image(c.world.registry, c.key, c.digest,
                       {.certificate = certificate, .chain = authority.root_pem(), .log = &log, .time = time})});
    c.clock.advance(std::chrono::hours(2));  // past what is remembered
  };
  const auto entry = [&](Value more) {
    Value keyless{{"subject", "*@example.com"},
                  {"issuer", "https://issuer.example"},
                  {"roots", authority.root_pem()},
                  {"rekor", Value{{"pubkey", log.key.pem()}}},
                  {"ctlog", Value{{"ignoreSCT", true}}}};
    for (const auto& one : more.entries()) keyless.set(one.key, one.value);
    return Case::attestors({Value{{"keyless", keyless}}});
  };
  signed_at(1'699'999'300);
  c.clock.advance(std::chrono::hours(100));
  CHECK(c.verdict(entry({})) == "pass");
  CHECK(c.verdict(entry(Value{{"subject", ""}, {"subjectRegExp", "dev@.+"}})) == "pass");
  CHECK(c.verdict(entry(Value{{"additionalExtensions", Value{{"githubWorkflowRepository", "org/app"}}}})) == "pass");
  CHECK(has(c.verdict(entry(Value{{"additionalExtensions", Value{{"1.3.6.1.4.1.57264.1.5", "org/other"}}}})),
            "extension 1.3.6.1.4.1.57264.1.5 is \"org/app\""));
  CHECK(has(c.verdict(entry(Value{{"subject", "boss@example.com"}})), "which is not the wanted identity"));
  CHECK(has(c.verdict(entry(Value{{"subjectRegExp", "dev"}})), "which is not the wanted identity"));
  CHECK(has(c.verdict(entry(Value{{"issuer", "https://other.example"}})), "which is not the wanted identity"));
  CHECK(has(c.verdict(entry(Value{{"roots", stranger.root_pem()}})), "the certificate is not trusted"));
  CHECK(has(c.verdict(entry(Value{{"roots", ""}})), "keyless.roots"));
  CHECK(has(c.verdict(entry(Value{{"ctlog", Value{}}})), "ctlog.pubkey"));
  signed_at(1'699'999'000 + 700);
  CHECK(has(c.verdict(entry({})), "was not valid when it signed"));
}

TEST_CASE("a certificate that is not for signing code is refused") {
  Case c;
  TestLog log;
  TestAuthority authority;
  c.sign({sign_image(c.world.registry, c.key, c.digest,
                     {.certificate = authority.give(c.key, "dev@example.com", "i", 0, "clientAuth"),
                      .log = &log,
                      .time = 1'699'999'300})});
  const Value keyless{{"roots", authority.root_pem()},
                      {"rekor", Value{{"pubkey", log.key.pem()}}},
                      {"ctlog", Value{{"ignoreSCT", true}}}};
  CHECK(has(c.verdict(Case::attestors({Value{{"keyless", keyless}}})), "is not for signing code"));
}

TEST_CASE("attestations: of the wanted type, signed, and with a predicate that meets the conditions") {
  Case c;
  const std::string type = "https://slsa.dev/provenance/v0.2";
  const Value statement = statement_of(c.digest, type, Value{{"builder", Value{{"id", "tekton"}}}});
  c.world.registry.put_layers(kRepository, signature_tag(c.digest, ".att"),
                              {attest_image(c.world.registry, c.key, statement)});
  const auto item = [&](const std::string& builder, const std::string& wanted, const std::string& pem) {
    const Value condition{{"key", "{{ builder.id }}"}, {"operator", "Equals"}, {"value", builder}};
    Value attestation{{"type", wanted},
                      {"conditions", Value(std::vector<Value>{Value{{"all", Value(std::vector<Value>{condition})}}})}};
    attestation.set("attestors", Case::attestors({Case::by_key(pem)})["attestors"]);
    return Value{{"attestations", Value(std::vector<Value>{attestation})}};
  };
  CHECK(c.verdict(item("tekton", type, c.key.pem())) == "pass");
  CHECK(has(c.verdict(item("jenkins", type, c.key.pem())), "attestation checks failed for example.com/app:v1"));
  CHECK(has(c.verdict(item("tekton", "https://example.com/sbom", c.key.pem())),
            "image attestations not found for predicate type: https://example.com/sbom"));
  CHECK(has(c.verdict(item("tekton", type, c.other.pem())), ".attestations[0].attestors[0].entries[0].keys"));
}

TEST_CASE("who signed an attestation of another type has not signed this one") {
  Case c;
  const std::string type = "https://example.com/sbom", another = "https://example.com/test";
  c.world.registry.put_layers(kRepository, signature_tag(c.digest, ".att"),
                              {attest_image(c.world.registry, c.key, statement_of(c.digest, type, Value::map())),
                               attest_image(c.world.registry, c.other, statement_of(c.digest, another, Value::map()))});
  Value attestation{{"type", type}};
  attestation.set("attestors", Case::attestors({Case::by_key(c.key.pem()), Case::by_key(c.other.pem())})["attestors"]);
  CHECK(has(c.verdict(Value{{"attestations", Value(std::vector<Value>{attestation})}}), "entries[1].keys"));
}

TEST_CASE("signatures are found as referrers and in Sigstore bundles, too") {
  Case c;
  const Value item = Case::attestors({Case::by_key(c.key.pem())});
  SUBCASE("as a referrer") {
    c.world.registry.put_referrer(kRepository, c.digest, "application/vnd.dev.cosign.artifact.sig.v1+json",
                                  {sign_image(c.world.registry, c.key, c.digest)});
  }
  SUBCASE("in a bundle") {
    const Value envelope =
        envelope_of(c.key, statement_of(c.digest, "https://sigstore.dev/cosign/sign/v1", Value::map()));
    const Value bundle{{"mediaType", "application/vnd.dev.sigstore.bundle.v0.3+json"},
                       {"verificationMaterial", Value{{"publicKey", Value{{"hint", "x"}}}}},
                       {"dsseEnvelope", envelope}};
    c.world.registry.put_referrer(kRepository, c.digest, "application/vnd.dev.sigstore.bundle.v0.3+json",
                                  {Value{{"mediaType", "application/vnd.dev.sigstore.bundle.v0.3+json"},
                                         {"digest", c.world.registry.put_blob(json::write(bundle))}}});
  }
  CHECK(c.verdict(item) == "pass");
}

TEST_CASE("without attestors digests are still demanded, or put in") {
  Case c;
  CHECK(c.verdict(Value{{"mutateDigest", false}, {"verifyDigest", true}}) == "missing digest for example.com/app:v1");
  const PolicyResponse response = c.ask(Value{{"mutateDigest", true}, {"verifyDigest", true}});
  CHECK(response.rules[0].status == Status::pass);
  CHECK(response.patched["spec"]["containers"][0]["image"].str() == "example.com/app:v1@" + c.digest);
}

TEST_CASE("a registry that is away is an error, not a verdict; an unknown type is refused by name") {
  Case c;
  c.world.registry.is_away = true;
  CHECK(c.ask(Case::attestors({Case::by_key(c.key.pem())})).rules[0].status == Status::error);
  c.world.registry.is_away = false;
  CHECK(has(c.verdict(Case::attestors({Case::by_key(c.key.pem())}).set("type", "Seal")), "type Seal is not checked"));
}

TEST_CASE("what was verified is not asked again for an hour; another digest is") {
  Case c;
  c.sign({sign_image(c.world.registry, c.key, c.digest)});
  const Value item = Case::attestors({Case::by_key(c.key.pem())});
  const std::string pinned = "example.com/app:v1@" + c.digest;
  REQUIRE(c.verdict(item, pinned) == "pass");
  const int asked = c.world.registry.asked;
  CHECK(c.verdict(item, pinned) == "pass");
  CHECK(c.world.registry.asked == asked);
  c.clock.advance(std::chrono::minutes(61));
  CHECK(c.verdict(item, pinned) == "pass");
  CHECK(c.world.registry.asked > asked);
  const std::string other = c.world.registry.put_image(kRepository, "v2", "{\"b\":1}");
  CHECK(has(c.verdict(item, "example.com/app@" + other), "no signatures found"));
}

}  // namespace caisson::policy
