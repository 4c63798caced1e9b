// SPDX-License-Identifier: Apache-2.0
// verifyImages as far as it can be said without a registry: which images a rule speaks of, whether their names carry
// digests, and what was verified at admission (annotation kyverno.io/verify-images). A signature itself is checked by
// nothing here yet, and an image that needs one is refused by name.
#include "core/document/json.h"
#include "core/expr/jmespath/wildcard.h"
#include "security/policy/images.h"
#include "security/policy/stages.h"
#include "security/policy/variables.h"

namespace caisson::policy {
namespace {

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
  const auto noted = json::parse(object["metadata"]["annotations"]["kyverno.io/verify-images"].as_string());
  if (!noted.ok()) return false;
  const Value& status = (*noted)[image["reference"].as_string()];
  return status.as_string() == "pass" || status.as_bool();
}

}  // namespace

RuleResponse verify_images_rule(const Stage& stage, Value& patched) {
  (void)patched;
  bool any = false;
  const Value images = images_of(stage.request.target.object, stage.rule.image_extractors);
  for (const Value& rule : stage.rule.body.items()) {
    for (const auto& list : images.entries()) {
      for (const auto& entry : list.value.entries()) {
        if (!speaks_of(rule, entry.value)) continue;
        any = true;
        const std::string image = entry.value["reference"].str();
        if (was_verified(stage.request.target.object, entry.value)) continue;
        if (!rule["attestors"].empty() || !rule["attestations"].empty())
          return stage.respond(Status::fail, "failed to verify image " + image + ": its signatures can't be read here");
        if (rule["verifyDigest"].as_bool(true) && entry.value["digest"].as_string().empty())
          return stage.respond(Status::fail, "missing digest for " + image);
      }
    }
  }
  if (!any) return stage.respond(Status::skip, "no image matched");
  return stage.respond(Status::pass, "image verified");
}

}  // namespace caisson::policy
