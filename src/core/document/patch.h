// SPDX-License-Identifier: Apache-2.0
// Patches as the Kubernetes API takes them. Pure functions of Values; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::document {

// RFC 6902. Errors: invalid, which names the operation's index and path.
Result<Value> json_patch(Value document, const Value& operations);
// RFC 7386.
Value merge_patch(Value document, const Value& patch);
// The merge patch that turns `from` into `to`.
Value merge_patch_between(const Value& from, const Value& to);

// RFC 6901. get gives null when the path leads nowhere (use find to tell); segments are unescaped.
Result<std::vector<std::string>> parse_pointer(std::string_view pointer);
const Value* find_pointer(const Value& document, const std::vector<std::string>& segments);

// What strategic merge must know of a schema: walks beside the document. cluster/schema implements it; nullptr: nothing
// is known (lists are replaced, maps are merged), as for custom resources.
class MergeSchema {
 public:
  virtual ~MergeSchema() = default;
  virtual const MergeSchema* field(std::string_view name) const = 0;  // of a map
  virtual const MergeSchema* item() const = 0;                        // of a list
  // Of a list: {} replace; one key or more: merge by them ("containerPort,protocol"); merges_as_set for lists of
  // scalars.
  virtual const std::vector<std::string>& merge_keys() const = 0;
  virtual bool merges_as_set() const = 0;
  virtual bool retains_keys() const { return false; }
};

// Kubernetes' strategic merge patch, with its directives ($patch: delete|replace|merge, $deleteFromPrimitiveList/…,
// $setElementOrder/…, $retainKeys). Errors: bad_request for an item without its merge key or an unknown directive.
Result<Value> strategic_merge(Value document, const Value& patch, const MergeSchema* schema);

// Where two documents differ, for people and for drift.
struct Difference {
  std::string path;     // "spec.containers[0].image"
  Value before, after;  // null kind and `absent` below when not there
  bool was_absent = false, is_absent = false;
};
std::vector<Difference> differences(const Value& before, const Value& after);
// Unified diff of two texts by lines, three lines of context; empty when equal.
std::string unified_diff(std::string_view before, std::string_view after, std::string_view before_name,
                         std::string_view after_name);

}  // namespace caisson::document
