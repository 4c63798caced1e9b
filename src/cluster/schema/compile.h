// SPDX-License-Identifier: Apache-2.0
// From kind files to fields and kinds. The field language ("Container[] keys=name patch=name required") is in
// README.md. Internal to the room. Threads: one at a time; what it made never changes afterwards.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/schema/kind.h"
#include "cluster/schema/kind_files.h"
#include "core/base/result.h"

namespace caisson::schema {

class CelRules;

// Owns fields and types; addresses stay.
struct FieldMemory {
  std::deque<Field> fields;
  std::deque<ObjectType> types;
  std::shared_ptr<const void> built_in;   // of a CustomResourceDefinition: what `object_meta` lives in
  std::shared_ptr<const CelRules> rules;  // of a CustomResourceDefinition's version; null: none
};

struct Compiled {
  std::shared_ptr<FieldMemory> memory;
  std::vector<std::shared_ptr<KindSchema>> kinds;
  std::map<std::string, const ObjectType*, std::less<>> types;  // by short name: "core.v1.PodSpec"
};

// Errors: internal, with file and field.
Result<Compiled> compile(std::span<const KindFile> files);

// Finds out for all types of `memory` what ObjectType::fills and has_quantities say; types outside know it already.
void mark_walks(FieldMemory& memory);

// The versions of a CustomResourceDefinition; `object_meta` lives in `built_in`. Errors: invalid, with the field of the
// definition.
Result<std::vector<std::shared_ptr<KindSchema>>> compile_crd(const Value& crd, const ObjectType* object_meta,
                                                             std::shared_ptr<const void> built_in);

}  // namespace caisson::schema
