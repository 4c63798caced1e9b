// SPDX-License-Identifier: Apache-2.0
// ImageValidatingPolicy: which images its expressions see, whose signatures count, and the functions that ask
// (verifyImageSignatures, verifyAttestationSignatures, extractPayload). Follows Kyverno 1.19; attestors are cosign's
// (authority.h) and Notary's (notary.h). Compiled once; any thread.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "security/policy/cel_environment.h"
#include "security/policy/verified_images.h"

namespace caisson::policy {

class ImagePolicy {
 public:
  // Errors: invalid, which names the field.
  static Result<ImagePolicy> compile(const Value& spec);
  ~ImagePolicy();
  ImagePolicy(ImagePolicy&&) noexcept;
  ImagePolicy& operator=(ImagePolicy&&) noexcept;

  // The images that the policy speaks of: {containers: [text, …], initContainers: …}; null where there is none.
  Result<Value> images(const CelInput& input, const CelScope& scope) const;
  // The attestors with their expressions evaluated, by name.
  Result<Value> attestors(const CelScope& scope) const;
  const Value& attestations() const;  // by name
  bool speaks_of(const std::string& image) const;

  // validationConfigurations; true unless said otherwise.
  bool mutates_digest() const;
  bool verifies_digest() const;
  // Puts digests to the images of the object that the policy speaks of. Errors: those of the registry.
  Result<Value> with_digests(const Value& object, const Value& images, const ImageSource& source) const;
  VerifiedImages& verified() const;

 private:
  struct Impl;
  explicit ImagePolicy(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// One evaluation: what was verified in it, for extractPayload. One thread.
struct ImageEvaluation {
  const ImagePolicy& policy;
  const Lookups& lookups;
  Time now;
  Value attestors;
  std::map<std::string, Value> payloads;  // by image and attestation
};

// attestors and attestations as expressions see them, and the functions over them.
cel::Value cel_attestors(ImageEvaluation& evaluation);
cel::Value cel_attestations(ImageEvaluation& evaluation);
std::vector<cel::Function> cel_image_functions();

}  // namespace caisson::policy
