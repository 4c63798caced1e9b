// SPDX-License-Identifier: Apache-2.0
// text/template's own functions, where the evaluator or other functions need them too.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/expr/go_template/datum.h"
#include "core/expr/go_template/function.h"

namespace caisson::go_template {

// `call`: values[0] is the function, shown as `name` in messages.
Result<Datum> call_value(Execution& execution, std::string_view name, std::span<const Datum> values);

// Any function of the room by its value in a template.
class FunctionValue : public Node {
 public:
  explicit FunctionValue(const Function& function) : function_(function) {}
  const Function& function() const { return function_; }

 private:
  const Function function_;
};

std::string html_escaped(std::string_view text);
std::string url_query_escaped(std::string_view text);  // url.QueryEscape

}  // namespace caisson::go_template
