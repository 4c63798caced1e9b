// SPDX-License-Identifier: Apache-2.0
// CEL as policies use it: Kubernetes' admission environment with Kyverno's libraries and the types of mutations
// (Object{…}, JSONPatch{…}). Internal to this room. Any thread; a CelScope belongs to one.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "core/expr/cel/cel.h"
#include "security/policy/context.h"
#include "security/policy/match.h"

namespace caisson::policy {

const cel::Environment& cel_environment();

struct ImageEvaluation;

// What expressions see. Absent values are null.
struct CelInput {
  Value object, old_object, request, namespace_object, params, images, target;
  const Lookups* lookups = nullptr;
  std::vector<Value>* generated = nullptr;  // where generator.Apply puts its objects
  ImageEvaluation* images_asked = nullptr;  // of an ImageValidatingPolicy
};
Value admission_request_value(const Target& target, bool dry_run);

using CelVariables = std::vector<std::pair<std::string, cel::Program>>;

// Bindings with `variables`, each evaluated when it is first used. Lives while its expressions are evaluated.
class CelScope {
 public:
  CelScope(const CelInput& input, const CelVariables& variables) : input_(input), variables_(variables) {}
  CelScope(const CelScope&) = delete;
  CelScope& operator=(const CelScope&) = delete;
  Result<cel::Value> evaluate(const cel::Program& program) const;
  Result<bool> holds(const cel::Program& program) const;  // bad_request when it is no bool

 private:
  std::optional<cel::Value> value_of(std::string_view name) const;  // empty: there is none here

  const CelInput& input_;
  const CelVariables& variables_;
  mutable std::shared_ptr<const cel::Object> kept_;  // what `variables` gave so far; made when it is first read
};

// cel_library.cc: all of Kyverno's functions.
std::vector<cel::Function> cel_functions();
// cel_values.cc: those of them that look at nothing but their arguments, the clock and chance.
std::vector<cel::Function> cel_value_functions();
// The receivers of resource.Get(), http.Get(), globalContext.Get(), generator.Apply() and so on.
cel::Value cel_receiver(std::string_view name, const CelInput& input);
inline constexpr std::string_view kCelReceivers[] = {"resource", "http", "globalContext", "generator",
                                                     "json",     "yaml", "image"};

}  // namespace caisson::policy
