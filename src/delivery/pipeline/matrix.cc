// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/matrix.h"

#include <algorithm>

namespace caisson::pipeline {
namespace {

constexpr std::size_t kCombinationsMax = 256;

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

using Combination = Value;  // a map from param to value, in the order in which they were given

Value params_of(const Combination& combination) {
  Value out = Value::list();
  for (const auto& entry : combination.entries()) out.push_back(Value{{"name", entry.key}, {"value", entry.value}});
  return out;
}

Result<std::vector<Combination>> fan_out(const Value& params) {
  std::vector<Combination> out;
  bool first = true;
  for (const Value& param : params.items()) {
    const std::string name = param["name"].str();
    if (!param["value"].is_list()) return invalid("matrix param \"" + name + "\" must be a list");
    std::vector<Combination> more;
    if (first) out.push_back(Value::map());
    first = false;
    if (out.size() * param["value"].size() > kCombinationsMax)
      return invalid("the matrix has more than " + std::to_string(kCombinationsMax) + " combinations");
    for (const Value& value : param["value"].items()) {
      for (Combination combination : out) {
        combination.set(name, value);
        more.push_back(std::move(combination));
      }
    }
    out = std::move(more);
  }
  return out;
}

// An include belongs to a combination that says nothing else about any of its params.
bool fits(const Combination& include, const Combination& combination) {
  return std::all_of(include.entries().begin(), include.entries().end(), [&](const auto& entry) {
    const Value* own = combination.find(entry.key);
    return own == nullptr || *own == entry.value;
  });
}

}  // namespace

Result<std::vector<Value>> matrix_combinations(const Value& matrix) {
  std::vector<Combination> combinations = TRY(fan_out(matrix["params"]));
  const bool only_includes = matrix["params"].empty();
  std::vector<Combination> added;
  for (const Value& one : matrix["include"].items()) {
    Combination include = Value::map();
    for (const Value& param : one["params"].items()) include.set(param["name"].as_string(), param["value"]);
    bool met = false;
    for (Combination& combination : combinations) {
      if (!fits(include, combination)) continue;
      met = true;
      for (const auto& entry : include.entries()) combination.set(entry.key, entry.value);
    }
    if (!met && (only_includes || !include.empty())) added.push_back(include);
  }
  combinations.insert(combinations.end(), added.begin(), added.end());
  if (combinations.size() > kCombinationsMax)
    return invalid("the matrix has more than " + std::to_string(kCombinationsMax) + " combinations");
  std::vector<Value> out;
  for (const Combination& combination : combinations) out.push_back(params_of(combination));
  return out;
}

}  // namespace caisson::pipeline
