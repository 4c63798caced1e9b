// SPDX-License-Identifier: Apache-2.0
// Defaults, flow and reflection. Follows defaults.go and reflect.go of Sprig 3.3.
#include <algorithm>

#include "core/expr/go_template/compare.h"
#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"

namespace caisson::go_template::sprig {
namespace {

std::string type_of_text(const Datum& datum) {
  return is_nil(datum) ? "<nil>" : std::string(datum.type_name());
}

std::string kind_of_text(const Datum& datum) {
  return std::string(kind_name(is_nil(datum) ? Kind::invalid : datum.kind()));
}

}  // namespace

Result<Datum> hello(Call&) {
  return Datum("Hello!");
}
Result<Datum> default_(Call& call) {
  return call.size() < 2 || is_empty(call[1]) ? call[0] : call[1];
}
Result<Datum> empty(Call& call) {
  return Datum(is_empty(call[0]));
}

Result<Datum> coalesce(Call& call) {
  const auto found = std::find_if_not(call.arguments.begin(), call.arguments.end(), is_empty);
  return found == call.arguments.end() ? Datum() : *found;
}

Result<Datum> all(Call& call) {
  return Datum(std::none_of(call.arguments.begin(), call.arguments.end(), is_empty));
}
Result<Datum> any(Call& call) {
  return Datum(!std::all_of(call.arguments.begin(), call.arguments.end(), is_empty));
}
Result<Datum> ternary(Call& call) {
  return call[2].as_bool() ? call[0] : call[1];
}
Result<Datum> fail(Call& call) {
  return invalid(std::string(call.text(0)));
}

Result<Datum> type_of(Call& call) {
  return Datum(type_of_text(call[0]));
}
Result<Datum> type_is(Call& call) {
  return Datum(call.text(0) == type_of_text(call[1]));
}
Result<Datum> type_is_like(Call& call) {
  const std::string type = type_of_text(call[1]);
  return Datum(call.text(0) == type || "*" + std::string(call.text(0)) == type);
}
Result<Datum> kind_of(Call& call) {
  return Datum(kind_of_text(call[0]));
}
Result<Datum> kind_is(Call& call) {
  return Datum(call.text(0) == kind_of_text(call[1]));
}
Result<Datum> deep_equal_(Call& call) {
  return Datum(deep_equal(call[0], call[1]));
}

}  // namespace caisson::go_template::sprig
