// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/parameters.h"

namespace caisson::go_template {
namespace {

struct Parameter {
  char letter;
  std::string_view name;
  const Type* type;  // nullptr: by name, or anything
};
const Parameter kParameters[] = {
    {'a', "interface {}", nullptr},
    {'v', "reflect.Value", nullptr},
    {'s', "string", &kString},
    {'b', "bool", &kBool},
    {'i', "int", &kInt},
    {'I', "int64", &kInt64},
    {'u', "uint32", &kUint32},
    {'f', "float64", &kFloat64},
    {'m', "map[string]interface {}", &kMap},
    {'l', "[]interface {}", &kList},
    {'S', "[]string", &kStringList},
    {'t', "time.Time", nullptr},
    {'c', "sprig.certificate", nullptr},
    {'V', "*semver.Version", nullptr},
};

const Parameter& parameter(char letter) {
  for (const Parameter& item : kParameters) {
    if (item.letter == letter) return item;
  }
  return kParameters[0];
}

}  // namespace

Signature signature(std::string_view parameters) {
  const bool variadic = parameters.ends_with('*');
  if (variadic) parameters.remove_suffix(1);
  return {parameters, variadic};
}

std::string_view parameter_name(char letter) {
  return parameter(letter).name;
}

bool can_be_nil(char letter) {
  return letter == 'a' || letter == 'v' || letter == 'm' || letter == 'l' || letter == 'S';
}

Datum zero_of(char letter) {
  if (letter == 'v') return Datum();
  if (letter == 'a') return Datum::nil_interface();
  return Datum::nil_of(*parameter(letter).type);
}

bool is_assignable(const Datum& datum, char letter) {
  if (letter == 'a' || letter == 'v') return true;
  const Type* wanted = parameter(letter).type;
  if (wanted) return datum.type() == wanted || (datum.type()->underlying == wanted && can_be_nil(letter));
  return datum.type_name() == parameter(letter).name;
}

}  // namespace caisson::go_template
