// SPDX-License-Identifier: Apache-2.0
// Mutations in CEL: ApplyConfiguration (an Object{…} laid over the object as server-side apply does) and JSONPatch (a
// list of operations). Internal to this room.
#pragma once
#include <vector>

#include "security/policy/cel_environment.h"

namespace caisson::policy {

struct CelMutation {
  bool json_patch = false;
  cel::Program expression;
};
// Errors: invalid, which names the mutation.
Result<std::vector<CelMutation>> compile_mutations(const Value& mutations);
// Each sees the object that the one before made. Errors: bad_request.
Result<Value> apply_mutations(const std::vector<CelMutation>& mutations, const CelVariables& variables, CelInput input);

}  // namespace caisson::policy
