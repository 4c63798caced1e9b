// SPDX-License-Identifier: Apache-2.0
// Text to trees. Follows text/template/parse of Go 1.26, its messages included.
#pragma once
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/expr/go_template/lexer.h"
#include "core/expr/go_template/set.h"
#include "core/expr/go_template/tree.h"

namespace caisson::go_template {

// The template `name` of `text`, and those that it defines, by name. `set` knows the functions.
// Errors: bad_request "template: NAME:LINE: …".
Result<Trees> parse_template(std::string_view name, std::shared_ptr<const std::string> text, const Set& set,
                             std::size_t depth_max);

}  // namespace caisson::go_template
