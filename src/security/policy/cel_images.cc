// SPDX-License-Identifier: Apache-2.0
#include "security/policy/cel_images.h"

#include <algorithm>

#include "core/base/hash.h"
#include "core/document/json.h"
#include "core/expr/jmespath/image_name.h"
#include "core/expr/jmespath/wildcard.h"
#include "security/policy/authority.h"
#include "security/policy/images.h"
#include "security/policy/notary.h"

namespace caisson::policy {
namespace {

constexpr std::size_t kImagesMax = 200;
constexpr std::size_t kPayloadBytesMax = 32u << 20;

Error invalid(std::string why) {
  return {ErrorCode::invalid, std::move(why)};
}

// matchImageReferences[].expression sees one image.
const cel::Environment& reference_environment() {
  static const cel::Environment environment = [] {
    cel::EnvironmentOptions options = cel::kubernetes_options(33);
    for (const char* name : {"image", "ref"}) options.variables.push_back({name, cel::Type()});
    return cel::Environment(std::move(options));
  }();
  return environment;
}

Value reference_value(const std::string& image) {
  const auto name = jmespath::parse_image_name(image);
  if (!name.ok()) return Value{{"image", image}};
  return Value{{"image", image},           {"registry", name->registry},
               {"repository", name->path}, {"tag", name->tag},
               {"digest", name->digest},   {"identifier", name->digest.empty() ? name->tag : name->digest}};
}

struct Named {
  std::string repository, digest;
};
Result<Named> resolved(const ImageSource& source, const std::string& image) {
  const auto name = TRY(jmespath::parse_image_name(image));
  Named out{name.registry + "/" + name.path, name.digest};
  if (out.digest.empty())
    out.digest = TRY(source.manifest(out.repository, name.tag.empty() ? "latest" : name.tag)).digest;
  return out;
}

// {expression: …} where cosign's part of an attestor may have one, with the member that its value goes to.
struct Place {
  std::string_view part, inner, member;

  const Value& in(const Value& attestor) const {
    const Value& at = attestor["cosign"][part];
    return inner.empty() ? at : at[inner];
  }
  Value& in(Value& attestor) const {
    Value& at = attestor.edit({"cosign", part});
    return inner.empty() ? at : at.edit(inner);
  }
};
constexpr Place kPlaces[] = {
    {"key", "", "data"}, {"certificate", "cert", "value"}, {"certificate", "certChain", "value"}};

class NamedObject final : public cel::Object {
 public:
  NamedObject(const char* type, ImageEvaluation& evaluation, std::string name, Value value)
      : evaluation(evaluation), name(std::move(name)), value(std::move(value)), type_(type) {}
  cel::Type type() const override { return cel::Type::opaque(type_); }
  bool equals(const cel::Object& other) const override { return this == &other; }
  Result<document::Value> to_document() const override { return value; }

  ImageEvaluation& evaluation;
  const std::string name;
  const Value value;

 private:
  const char* type_;
};

cel::Value named_map(const char* type, ImageEvaluation& evaluation, const Value& map) {
  std::vector<std::pair<cel::Value, cel::Value>> entries;
  for (const auto& entry : map.entries())
    entries.emplace_back(cel::Value::string(entry.key),
                         cel::Value(std::shared_ptr<const cel::Object>(std::make_shared<const NamedObject>(
                             type, evaluation, std::string(entry.key), entry.value))));
  return *cel::Value::map(std::move(entries));  // names of one map are no doubles
}

const NamedObject* named(const cel::Value& value) {
  return value.is(cel::Kind::object) ? dynamic_cast<const NamedObject*>(&value.as_object()) : nullptr;
}

bool is_notary(const NamedObject& attestor) {
  return attestor.value.contains("notary");
}
Result<Authority> authority_of(const NamedObject& attestor) {
  if (is_notary(attestor)) return parse_notary_attestor(attestor.value["notary"]).in("attestor " + attestor.name);
  return parse_cosign_attestor(attestor.value["cosign"], attestor.evaluation.lookups).in("attestor " + attestor.name);
}

Result<std::vector<Signature>> signatures_of(const NamedObject& attestor, const ImageSource& source,
                                             const SignedImage& image) {
  return is_notary(attestor) ? read_notary_signatures(source, image) : read_signatures(source, image);
}

// Whether one of the signatures is the authority's.
bool any_good(const Authority& authority, const std::vector<Signature>& signatures, Time now) {
  return std::any_of(signatures.begin(), signatures.end(),
                     [&](const Signature& one) { return verify_signature(authority, one, now).ok(); });
}

Result<const ImageSource*> source_of(const ImageEvaluation& evaluation) {
  const ImageSource* source = evaluation.lookups.images();
  if (source == nullptr) return Error{ErrorCode::unavailable, "there is no registry to read signatures from"};
  return source;
}

using Arguments = std::span<const cel::Value>;

// How many of the attestors signed the image.
Result<cel::Value> verify_image_signatures(Arguments a) {
  const std::string image(a[0].as_string());
  std::int64_t count = 0;
  for (std::size_t i = 0; i < a[1].size(); ++i) {
    const cel::Value item = a[1].item(i);
    const NamedObject* attestor = named(item);
    if (attestor == nullptr) return Error{ErrorCode::bad_request, "verifyImageSignatures takes a list of attestors"};
    ImageEvaluation& evaluation = attestor->evaluation;
    if (!evaluation.policy.speaks_of(image)) return cel::Value(std::int64_t{0});
    const ImageSource* source = TRY(source_of(evaluation));
    const Authority authority = TRY(authority_of(*attestor));
    const Named at = TRY(resolved(*source, image));
    const std::string key = sha256_hex(json::write(attestor->value) + "\n" + at.repository + "@" + at.digest);
    const auto known = evaluation.policy.verified().find(key, evaluation.now);
    bool good = known && known->empty();
    if (!known) {
      const std::string& where = authority.repository.empty() ? at.repository : authority.repository;
      const auto signatures = TRY(signatures_of(*attestor, *source, {where, at.digest}));
      good = any_good(authority, signatures, evaluation.now);
      evaluation.policy.verified().keep(key, good ? "" : "not signed", evaluation.now);
    }
    count += good ? 1 : 0;
  }
  return cel::Value(count);
}

std::string payload_key(const std::string& image, const std::string& attestation) {
  return image + "\n" + attestation;
}

// An in-toto statement of the type: gives whether one is the authority's, and keeps its predicate.
Result<bool> verify_statement(const NamedObject& attestation, const Authority& authority, const ImageSource& source,
                              const std::string& image, const Named& at) {
  ImageEvaluation& evaluation = attestation.evaluation;
  const std::string& where = authority.repository.empty() ? at.repository : authority.repository;
  for (const Signature& one : TRY(read_attestations(source, {where, at.digest}))) {
    if (one.document["predicateType"].as_string() != attestation.value["intoto"]["type"].as_string()) continue;
    if (!verify_signature(authority, one, evaluation.now).ok()) continue;
    evaluation.payloads[payload_key(image, attestation.name)] = one.document["predicate"];
    return true;
  }
  return false;
}

// An artifact that refers to the image, signed like an image; its first layer is the payload.
Result<bool> verify_referrer(const NamedObject& attestation, const NamedObject& attestor, const Authority& authority,
                             const ImageSource& source, const std::string& image, const Named& at) {
  ImageEvaluation& evaluation = attestation.evaluation;
  for (const ImageReferrer& one : TRY(source.referrers(at.repository, at.digest))) {
    if (one.artifact_type != attestation.value["referrer"]["type"].as_string()) continue;
    const auto signatures = TRY(signatures_of(attestor, source, {at.repository, one.digest}));
    if (!any_good(authority, signatures, evaluation.now)) continue;
    const auto found = TRY(source.manifest(at.repository, one.digest));
    const Value manifest = TRY(json::parse(found.bytes));
    const std::string bytes = TRY(source.blob(at.repository, manifest["layers"][0]["digest"].str(), kPayloadBytesMax));
    evaluation.payloads[payload_key(image, attestation.name)] = TRY(json::parse(bytes));
    return true;
  }
  return false;
}

// How many of the attestors signed an attestation of the image.
Result<cel::Value> verify_attestation_signatures(Arguments a) {
  const std::string image(a[0].as_string());
  const cel::Value first = a[1].is(cel::Kind::list) && a[1].size() == 1 ? a[1].item(0) : a[1];
  const NamedObject* attestation = named(first);
  if (attestation == nullptr)
    return Error{ErrorCode::bad_request, "verifyAttestationSignatures takes an attestation of the policy"};
  ImageEvaluation& evaluation = attestation->evaluation;
  if (!evaluation.policy.speaks_of(image)) return cel::Value(std::int64_t{0});
  const ImageSource* source = TRY(source_of(evaluation));
  const Named at = TRY(resolved(*source, image));
  std::int64_t count = 0;
  for (std::size_t i = 0; i < a[2].size(); ++i) {
    const cel::Value item = a[2].item(i);
    const NamedObject* attestor = named(item);
    if (attestor == nullptr)
      return Error{ErrorCode::bad_request, "verifyAttestationSignatures takes a list of attestors"};
    const Authority authority = TRY(authority_of(*attestor));
    const bool good = TRY(attestation->value["referrer"].is_map()
                              ? verify_referrer(*attestation, *attestor, authority, *source, image, at)
                              : verify_statement(*attestation, authority, *source, image, at));
    count += good ? 1 : 0;
  }
  return cel::Value(count);
}

Result<cel::Value> extract_payload(Arguments a) {
  const NamedObject* attestation = named(a[1]);
  if (attestation == nullptr) return Error{ErrorCode::bad_request, "extractPayload takes an attestation of the policy"};
  const auto found =
      attestation->evaluation.payloads.find(payload_key(std::string(a[0].as_string()), attestation->name));
  if (found == attestation->evaluation.payloads.end())
    return Error{ErrorCode::bad_request, "attestation " + attestation->name + " of " + std::string(a[0].as_string()) +
                                             " was not verified before (verifyAttestationSignatures)"};
  return cel::Value::from(found->second);
}

}  // namespace

struct ImagePolicy::Impl {
  struct Reference {
    std::string glob;
    std::optional<cel::Program> expression;
  };
  std::vector<Reference> references;
  std::vector<std::pair<std::string, cel::Program>> extractors;
  struct Expression {
    std::string attestor;
    const Place* place;
    cel::Program program;
  };
  std::vector<Expression> expressions;
  Value attestors = Value::map(), attestations = Value::map(), configuration;
  VerifiedImages verified;
};

ImagePolicy::ImagePolicy(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ImagePolicy::ImagePolicy(ImagePolicy&&) noexcept = default;
ImagePolicy& ImagePolicy::operator=(ImagePolicy&&) noexcept = default;
ImagePolicy::~ImagePolicy() = default;

Result<ImagePolicy> ImagePolicy::compile(const Value& spec) {
  auto impl = std::make_unique<Impl>();
  for (const Value& given : spec["matchImageReferences"].items()) {
    Impl::Reference one{given["glob"].str(), {}};
    if (given.contains("expression")) {
      auto program = reference_environment().compile(given["expression"].as_string());
      if (!program.ok()) return invalid("matchImageReferences: " + program.error().message);
      one.expression = std::move(program).value();
    } else if (one.glob.empty()) {
      return invalid("matchImageReferences: needs glob or expression");
    }
    impl->references.push_back(std::move(one));
  }
  for (const Value& given : spec["images"].items()) {
    auto program = cel_environment().compile(given["expression"].as_string());
    if (!program.ok()) return invalid("images." + given["name"].str() + ": " + program.error().message);
    impl->extractors.emplace_back(given["name"].str(), std::move(program).value());
  }
  for (const Value& attestor : spec["attestors"].items()) {
    const std::string name = attestor["name"].str();
    if (!attestor["cosign"].is_map() && !attestor["notary"].is_map())
      return invalid("attestors." + name + ": needs cosign or notary");
    impl->attestors.set(name, attestor);
    for (const Place& place : kPlaces) {
      const Value& text = place.in(attestor)["expression"];
      if (text.is_null()) continue;
      auto program = cel_environment().compile(text.as_string());
      if (!program.ok()) return invalid("attestors." + name + ": " + program.error().message);
      impl->expressions.push_back({name, &place, std::move(program).value()});
    }
  }
  for (const Value& attestation : spec["attestations"].items()) {
    if (!attestation["intoto"].is_map() && !attestation["referrer"].is_map())
      return invalid("attestations." + attestation["name"].str() + ": needs intoto or referrer");
    impl->attestations.set(attestation["name"].as_string(), attestation);
  }
  impl->configuration = spec["validationConfigurations"];
  return ImagePolicy(std::move(impl));
}

bool ImagePolicy::speaks_of(const std::string& image) const {
  if (impl_->references.empty()) return true;
  const auto name = jmespath::parse_image_name(image);
  for (const Impl::Reference& one : impl_->references) {
    if (!one.expression) {
      if (jmespath::wildcard_match(one.glob, image)) return true;
      if (name.ok() &&
          (jmespath::wildcard_match(one.glob, name->str()) || jmespath::wildcard_match(one.glob, name->with_tag())))
        return true;
      continue;
    }
    cel::Bindings bindings;
    const cel::Value value = cel::Value::from(reference_value(image));
    bindings.set("image", value);
    bindings.set("ref", value);
    const auto outcome = one.expression->evaluate(bindings, {.cost_max = 100'000});
    if (outcome.value.ok() && outcome.value->is(cel::Kind::boolean) && outcome.value->as_bool()) return true;
  }
  return false;
}

Result<Value> ImagePolicy::images(const CelInput& input, const CelScope& scope) const {
  std::vector<std::pair<std::string, std::string>> all;  // list, image
  const PodParts pod = pod_parts(input.object);
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"})
    for (const Value& container : pod.spec[list].items())
      if (!container["image"].as_string().empty()) all.emplace_back(list, container["image"].str());
  for (const auto& [name, program] : impl_->extractors) {
    const cel::Value found = TRY(scope.evaluate(program).in("images." + name));
    const Value list = TRY(found.to_document());
    for (const Value& image : list.items()) all.emplace_back(name, image.str());
  }
  if (all.size() > kImagesMax) return Error{ErrorCode::too_large, "the object has too many images"};
  Value out;
  bool any = false;
  for (const auto& [list, image] : all) {
    if (!speaks_of(image)) continue;
    any = true;
    out.edit(list).push_back(image);
  }
  if (!any) return Value();
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"})
    if (!out.contains(list)) out.set(list, Value::list());
  return out;
}

Result<Value> ImagePolicy::attestors(const CelScope& scope) const {
  Value out = impl_->attestors;
  for (const Impl::Expression& one : impl_->expressions) {
    const cel::Value found = TRY(scope.evaluate(one.program).in("attestor " + one.attestor));
    if (!found.is(cel::Kind::string))
      return Error{ErrorCode::bad_request, "attestor " + one.attestor + ": the expression gives no string"};
    one.place->in(out.edit(one.attestor)).set(one.place->member, found.as_string());
  }
  return out;
}

const Value& ImagePolicy::attestations() const {
  return impl_->attestations;
}
bool ImagePolicy::mutates_digest() const {
  return impl_->configuration["mutateDigest"].as_bool(true);
}
bool ImagePolicy::verifies_digest() const {
  return impl_->configuration["verifyDigest"].as_bool(true);
}
VerifiedImages& ImagePolicy::verified() const {
  return impl_->verified;
}

Result<Value> ImagePolicy::with_digests(const Value& object, const Value& images, const ImageSource& source) const {
  Value out = object;
  const Value known = images_of(object, Value());
  for (const auto& list : known.entries()) {
    for (const auto& entry : list.value.entries()) {
      const std::string name = entry.value["reference"].str();
      const bool is_named =
          std::any_of(images[list.key].items().begin(), images[list.key].items().end(), [&](const Value& image) {
            const auto parsed = jmespath::parse_image_name(image.as_string());
            return parsed.ok() && parsed->str() == name;
          });
      if (!is_named || !entry.value["digest"].as_string().empty()) continue;
      const Named at = TRY(resolved(source, name));
      replace_image(out, Value(), list.key, entry.key, name + "@" + at.digest);
    }
  }
  return out;
}

cel::Value cel_attestors(ImageEvaluation& evaluation) {
  return named_map("policy.attestor", evaluation, evaluation.attestors);
}
cel::Value cel_attestations(ImageEvaluation& evaluation) {
  return named_map("policy.attestation", evaluation, evaluation.policy.attestations());
}

std::vector<cel::Function> cel_image_functions() {
  return {{"verifyImageSignatures(string, list(dyn)): int", verify_image_signatures},
          {"verifyAttestationSignatures(string, dyn, list(dyn)): int", verify_attestation_signatures},
          {"extractPayload(string, dyn): dyn", extract_payload}};
}

}  // namespace caisson::policy
