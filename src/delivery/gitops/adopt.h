// SPDX-License-Identifier: Apache-2.0
// A live edit as a change of the repository: what a file must say so that it says what is live. Pure; any thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::gitops {

// `in_file` with what `live` says at `paths` (of a Drift between the two). What live has no more goes; items of lists
// are matched by their names, otherwise by their places.
Value adopted(const Value& in_file, const Value& live, const std::vector<std::string>& paths);

// The same difference as a strategic merge patch, with the object's identity. Null when there is none.
Value adoption_patch(const Value& in_file, const Value& adopted);

// The text of a file of YAML documents with document `index` made to say `wanted`. Single values are replaced where
// they stand, so that comments, order and quoting of all else remain; a document whose shape changes is written anew.
// `rewritten` tells that this was done. Errors: bad_request for text that is no YAML, or has no such document.
Result<std::string> edit_document(const std::string& text, std::size_t index, const Value& wanted, bool& rewritten);

}  // namespace caisson::gitops
