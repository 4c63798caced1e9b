// SPDX-License-Identifier: Apache-2.0
// Where the transformers act: field specifications, the built-in ones and those that `configurations` and `crds` add.
// Source: kustomize api, internal/konfig/builtinpluginconsts.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "delivery/render/kustomize/resource.h"

namespace caisson::render::kustomize_impl {

struct FieldSpec {
  Gvk gvk;           // empty: every kind
  std::string path;  // "spec/template/spec/containers[]/image"; lists on the way are walked, "\/" is a slash
  bool create = false;
  bool operator==(const FieldSpec&) const = default;
  static Result<FieldSpec> parse(const Value& spec);
};
using FieldSpecs = std::vector<FieldSpec>;

// Adds what is not there yet. Errors: conflict when one place is to be created and not to be created.
Result<void> merge_specs(FieldSpecs& into, const FieldSpecs& more);

struct NameReference {
  Gvk target;  // whose name is referred to
  FieldSpecs referrers;
};

struct TransformerConfig {
  FieldSpecs name_prefix, name_suffix, ns, common_labels, template_labels, labels, common_annotations, variables,
      images, replicas;
  std::vector<NameReference> references;

  // No specification in it says what another says, so merging it into an empty one gives it again.
  static const std::shared_ptr<const TransformerConfig>& built_in();
  static Result<TransformerConfig> parse(const Value& file);
  // The field specifications that CRDs' OpenAPI definitions (the `crds` field) tell by x-kubernetes-… extensions.
  static Result<TransformerConfig> from_definitions(const Value& definitions);
  Result<void> merge(const TransformerConfig& more);
};

// A field specification with its path split: what a walk through many objects asks for again and again.
struct Place {
  const FieldSpec* spec;
  std::vector<std::string> path;
};

// Which of `specs` concern an object, found once for each kind. `specs` must outlive it and stay as they are.
class PlacesByKind {
 public:
  explicit PlacesByKind(const FieldSpecs& specs) : specs_(specs) {}
  const std::vector<Place>& of(const Value& object);

 private:
  const FieldSpecs& specs_;
  ByKind<std::vector<Place>> known_;
};

enum class Create { nothing, scalar, map };
// Calls `change` on every place of `object` that the specification leads to, and makes the place when specification and
// `create` say so. Errors: invalid when the way leads through a scalar.
Result<void> visit_field(Value& object, const FieldSpec& spec, Create create,
                         const std::function<Result<void>(Value&)>& change);

// The same of a place that PlacesByKind gave for the object.
Result<void> visit_place(Value& object, const Place& place, Create create,
                         const std::function<Result<void>(Value&)>& change);

// "a/b\/c" → a, b/c
std::vector<std::string> split_path(std::string_view path, char separator);

}  // namespace caisson::render::kustomize_impl
