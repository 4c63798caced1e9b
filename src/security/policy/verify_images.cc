// SPDX-License-Identifier: Apache-2.0
// verifyImages: which images a rule speaks of, who must have signed them and what must be attested of them, and that
// their names carry digests. Follows Kyverno 1.19, pkg/engine/internal/imageverifier.go.
//
// Where there is a registry to ask (Lookups::images), signatures are checked, and the object gets the digests and the
// annotation kyverno.io/verify-images. Where there is none (tests, the background) that annotation is believed.
#include "core/base/hash.h"
#include "core/document/json.h"
#include "core/expr/jmespath/image_name.h"
#include "core/expr/jmespath/wildcard.h"
#include "security/policy/attestors.h"
#include "security/policy/images.h"
#include "security/policy/notary.h"
#include "security/policy/stages.h"
#include "security/policy/variables.h"
#include "security/policy/verified_images.h"

namespace caisson::policy {
namespace {

constexpr std::size_t kImagesMax = 200;
constexpr const char* kAnnotation = "kyverno.io/verify-images";

bool fits_one(const Value& patterns, std::string_view image) {
  for (const Value& pattern : patterns.items())
    if (jmespath::wildcard_match(pattern.as_string(), image)) return true;
  return false;
}

bool speaks_of(const Value& rule, const Value& image) {
  Value references = rule["imageReferences"];
  if (!rule["image"].as_string().empty()) references.push_back(rule["image"]);
  const std::string_view name = image["reference"].as_string(), tagged = image["referenceWithTag"].as_string();
  if (fits_one(rule["skipImageReferences"], name)) return false;
  return fits_one(references, name) || fits_one(references, tagged);
}

bool was_verified(const Value& object, const Value& image) {
  const auto noted = json::parse(object["metadata"]["annotations"][kAnnotation].as_string());
  if (!noted.ok()) return false;
  const Value& status = (*noted)[image["reference"].as_string()];
  return status.as_string() == "pass" || status.as_bool();
}

std::string reference_of(const std::string& image) {
  const auto name = jmespath::parse_image_name(image);
  return name.ok() ? name->str() : image;
}

Error refused(std::string why) {
  return {ErrorCode::unauthorized, std::move(why)};
}

// One image against one item of verifyImages, over a registry.
class ImageCheck {
 public:
  ImageCheck(const Stage& stage, const Value& rule, const ImageSource& source, const Value& image, std::string digest)
      : stage_(stage),
        rule_(rule),
        source_(source),
        image_(image),
        repository_(image["registry"].str() + "/" + image["path"].str()),
        digest_(std::move(digest)),
        now_(stage.context.environment().clock->now()) {}

  Result<void> check() {
    const std::string type = rule_["type"].as_string().empty() ? "Cosign" : rule_["type"].str();
    if (type != "Cosign" && type != "SigstoreBundle" && type != "Notary")
      return Error{ErrorCode::bad_request, "type " + type + " is not checked: Cosign, SigstoreBundle and Notary are"};
    is_notary_ = type == "Notary";
    if (!rule_["attestors"].empty()) {
      AttestorCheck attestors = check_over([this](const std::string& repository) {
        const SignedImage image{repository, digest_};
        return is_notary_ ? read_notary_signatures(source_, image) : read_signatures(source_, image);
      });
      TRY(attestors.check_all(rule_["attestors"], ".attestors"));
    }
    if (rule_["attestations"].empty()) return {};
    Context context = stage_.context;
    context.set("image", image_);
    for (std::size_t i = 0; i < rule_["attestations"].size(); ++i)
      TRY(attestation(rule_["attestations"][i], ".attestations[" + std::to_string(i) + "]", context));
    return denied(context);
  }

 private:
  AttestorCheck check_over(AttestorCheck::Read read) const {
    const std::string own = rule_["repository"].as_string().empty() ? repository_ : rule_["repository"].str();
    return AttestorCheck(own, std::move(read), stage_.context.lookups(), now_);
  }

  // Of one predicate type: who signed an attestation of another type has signed nothing of this one.
  Result<std::vector<Signature>> attestations_of(const std::string& type, const std::string& repository) {
    if (is_notary_) {
      auto signed_ones = TRY(read_notary_attestations(source_, {repository, digest_}, type));
      if (signed_ones.empty()) return refused("no signed attestation of type " + type + " refers to the image");
      return signed_ones;
    }
    auto known = attestations_.find(repository);
    if (known == attestations_.end()) {
      auto all = TRY(read_attestations(source_, {repository, digest_}));
      known = attestations_.emplace(repository, std::move(all)).first;
    }
    std::vector<Signature> out;
    for (const Signature& one : known->second)
      if (one.document["predicateType"].as_string() == type) out.push_back(one);
    if (out.empty()) return refused("image attestations not found for predicate type: " + type);
    return out;
  }

  Result<void> attestation(const Value& wanted, const std::string& path, Context& context) {
    const std::string type = wanted["type"].as_string().empty() ? wanted["predicateType"].str() : wanted["type"].str();
    const bool has_own = !wanted["attestors"].empty();
    const Value& sets = has_own ? wanted["attestors"] : rule_["attestors"];
    if (sets.empty()) return Error{ErrorCode::bad_request, path + ": needs attestors"};
    AttestorCheck attestors =
        check_over([&](const std::string& repository) { return attestations_of(type, repository); });
    for (const auto& signature : TRY(attestors.check_all(sets, has_own ? path + ".attestors" : path))) {
      TRY(conditions(wanted["conditions"], signature->document["predicate"], path, type));
      if (!wanted["name"].as_string().empty())
        context.set(wanted["name"].as_string(), signature->document["predicate"]);
    }
    return {};
  }

  // They see the predicate's members as variables.
  Result<void> conditions(const Value& conditions, const Value& predicate, const std::string& path,
                          const std::string& type) const {
    if (conditions.empty()) return {};
    Context own = stage_.context;
    own.set("image", image_);
    for (const auto& entry : predicate.entries()) own.set(entry.key, entry.value);
    const auto outcome = TRY(evaluate_conditions(conditions, own).in(path + ".conditions"));
    if (outcome.holds) return {};
    return refused("attestation checks failed for " + image_["reference"].str() + " and predicate " + type +
                   (outcome.message.empty() ? "" : ": " + outcome.message));
  }

  // validate.deny of the item, which sees attestations by their names.
  Result<void> denied(Context& context) const {
    const Value& validate = rule_["validate"];
    if (!validate["deny"].is_map()) return {};
    const auto outcome = TRY(evaluate_conditions(validate["deny"]["conditions"], context).in("validate.deny"));
    if (!outcome.holds) return {};
    const std::string message = TRY(substitute_text(validate["message"].as_string(), context));
    return refused(message.empty() ? "validate.deny holds" : message);
  }

  const Stage& stage_;
  const Value& rule_;
  const ImageSource& source_;
  const Value& image_;
  std::string repository_, digest_;
  Time now_;
  bool is_notary_ = false;
  std::map<std::string, std::vector<Signature>> attestations_;  // by repository
};

class ImageRule {
 public:
  ImageRule(const Stage& stage, Value& patched) : stage_(stage), patched_(patched) {}

  RuleResponse run() {
    const Value images = images_of(stage_.request.target.object, stage_.rule.image_extractors);
    std::size_t seen = 0;
    for (const Value& given : stage_.rule.body.items()) {
      for (const auto& list : images.entries()) {
        for (const auto& entry : list.value.entries()) {
          if (!speaks_of(given, entry.value)) continue;
          if (++seen > kImagesMax) return stage_.respond(Status::error, "the object has too many images");
          if (auto response = one(given, std::string(list.key), std::string(entry.key), entry.value)) return *response;
        }
      }
    }
    if (seen == 0) return stage_.respond(Status::skip, "no image matched");
    if (!verified_.empty()) note();
    return stage_.respond(Status::pass, verified_.empty() ? "image verified" : "verified image signatures");
  }

 private:
  // Nothing: the image is as it should be.
  std::optional<RuleResponse> one(const Value& given, const std::string& list, const std::string& key,
                                  const Value& image) {
    const ImageSource* source = stage_.context.lookups().images();
    const std::string name = image["reference"].str();
    const bool asks = !given["attestors"].empty() || !given["attestations"].empty();
    std::string digest = image["digest"].str();
    if (source == nullptr) {
      if (was_verified(stage_.request.target.object, image)) return {};
      if (asks) return stage_.respond(Status::fail, "unverified image " + name);
    } else {
      const auto done = over_registry(given, *source, image, asks, digest);
      if (!done.ok()) return failure(name, done.error());
      std::string pinned = name;
      if (image["digest"].as_string().empty() && given["mutateDigest"].as_bool(true)) {
        pinned += "@" + digest;
        replace_image(patched_, stage_.rule.image_extractors, list, key, pinned);
      } else {
        digest = image["digest"].str();
      }
      // By the name that the image will be known by: with a digest the tag says nothing.
      if (asks) verified_.push_back(image["digest"].as_string().empty() ? reference_of(pinned) : name);
    }
    if (given["verifyDigest"].as_bool(true) && digest.empty())
      return stage_.respond(Status::fail, "missing digest for " + name);
    return {};
  }

  // What can't be asked is an error, which failurePolicy answers; what was refused is a violation.
  RuleResponse failure(const std::string& name, const Error& error) const {
    const bool is_verdict = error.code == ErrorCode::unauthorized || error.code == ErrorCode::not_found;
    return stage_.respond(is_verdict ? Status::fail : Status::error,
                          "failed to verify image " + name + ": " + error.message);
  }

  Result<void> over_registry(const Value& given, const ImageSource& source, const Value& image, bool asks,
                             std::string& digest) {
    if (!asks && !given["mutateDigest"].as_bool(true)) return {};
    if (digest.empty()) {
      const std::string repository = image["registry"].str() + "/" + image["path"].str();
      const std::string tag = image["tag"].as_string().empty() ? "latest" : image["tag"].str();
      digest = TRY(source.manifest(repository, tag)).digest;
    }
    if (!asks) return {};
    const Value rule = TRY(substitute_item(given));
    const Time now = stage_.context.environment().clock->now();
    const std::string key =
        sha256_hex(json::write(rule) + "\n" + image["registry"].str() + "/" + image["path"].str() + "@" + digest);
    if (rule["useCache"].as_bool(true)) {
      if (const auto known = stage_.verified.find(key, now)) return known->empty() ? Result<void>() : refused(*known);
    }
    auto done = ImageCheck(stage_, rule, source, image, digest).check();
    if (done.ok() || done.error().code == ErrorCode::unauthorized)
      stage_.verified.keep(key, done.ok() ? "" : done.error().message, now);
    return done;
  }

  // Conditions see the predicate later: what they and validate say stays as written.
  Result<Value> substitute_item(const Value& given) const {
    Value out = given;
    out.erase("validate");
    Value attestations = out["attestations"];
    out.erase("attestations");
    out = TRY(substitute(out, stage_.context));
    for (std::size_t i = 0; i < attestations.size(); ++i) {
      Value one = attestations[i];
      one.erase("conditions");
      one = TRY(substitute(one, stage_.context));
      if (attestations[i].contains("conditions")) one.set("conditions", attestations[i]["conditions"]);
      attestations.edit(i) = std::move(one);
    }
    if (!attestations.is_null()) out.set("attestations", attestations);
    if (given.contains("validate")) out.set("validate", given["validate"]);
    return out;
  }

  void note() {
    Value& annotations = patched_.edit({"metadata", "annotations"});
    const auto before = json::parse(annotations[kAnnotation].as_string());
    Value status = before.ok() && before->is_map() ? *before : Value::map();
    for (const std::string& name : verified_) status.set(name, "pass");
    annotations.set(kAnnotation, json::write(status));
  }

  const Stage& stage_;
  Value& patched_;
  std::vector<std::string> verified_;
};

}  // namespace

RuleResponse verify_images_rule(const Stage& stage, Value& patched) {
  return ImageRule(stage, patched).run();
}

}  // namespace caisson::policy
