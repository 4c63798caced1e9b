// SPDX-License-Identifier: Apache-2.0
// CEL as Tekton uses it: in triggers' interceptors, with the functions that tektoncd/triggers v0.30 adds
// (docs/cel_expressions.md), and in a pipeline task's `when`. The language itself is core/expr/cel. Any thread.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/document/value.h"
#include "core/http/message.h"

namespace caisson::pipeline {

struct CelInput {
  Value body, extensions;
  http::Headers headers;
  std::string request_url;
  // What compareSecret compares with. Errors: not_found.
  std::function<Result<std::string>(const std::string& ns, const std::string& secret, const std::string& key)> secret;
};

// Errors: bad_request for what does not compile, is absent or does not fit; an evaluation is limited in steps and size.
Result<Value> evaluate_cel(std::string_view expression, const CelInput& input);
// A filter: the expression must be a boolean.
Result<bool> cel_holds(std::string_view expression, const CelInput& input);
// A `when.cel` of a pipeline task, after its variables were replaced: no variables of its own.
Result<bool> when_cel_holds(std::string_view expression);

}  // namespace caisson::pipeline
