// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/rules_cel_cost.h"

#include <algorithm>
#include <cstdio>

#include "cluster/schema/checks.h"
#include "core/expr/cel/estimate.h"
#include "core/expr/cel/schema_sizes.h"

namespace caisson::schema {
namespace {

constexpr std::uint64_t kRuleCostMax = 10'000'000, kSchemaCostMax = 100'000'000;
constexpr std::size_t kDearestMax = 4;

std::uint64_t product(std::uint64_t a, std::uint64_t b) {
  return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

std::uint64_t most_of(const cel::Program& program, const Value& schema) {
  const cel::SizeOf size_of = [&](std::span<const std::string> path) {
    return cel::elements_max_at(schema, path.subspan(1));  // self and oldSelf are both of this schema
  };
  return cel::estimate_cost(program, size_of).max;
}

std::string exceeds(std::string_view what, std::uint64_t cost, std::uint64_t limit) {
  const double factor = static_cast<double>(cost) / static_cast<double>(limit);
  char shown[32] = "more than 100x";
  // Near the limit all digits, or it would be "1.0x".
  if (factor <= 100.0) std::snprintf(shown, sizeof shown, factor < 1.5 ? "%fx" : "%.1fx", factor);
  return std::string(what) + " exceeds budget by factor of " + shown +
         " (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings "
         "are declared)";
}

}  // namespace

Cardinality cardinality_below(const Value& schema, const Cardinality& own) {
  if (!own) return {};
  const Value* most = nullptr;
  if (schema["type"].as_string() == "array") most = &schema["maxItems"];
  if (schema["type"].as_string() == "object" && schema.contains("additionalProperties"))
    most = &schema["maxProperties"];
  if (most == nullptr) return own;  // once in each
  if (most->is_null()) return {};
  return product(*own, static_cast<std::uint64_t>(std::max<std::int64_t>(0, most->as_int())));
}

void RuleCosts::add_rule(const std::string& field, const cel::Program& rule, const Value& schema,
                         const Cardinality& times, std::vector<FieldError>& out) {
  // Unbounded: as often as the smallest such value and a comma fit into a request.
  const std::uint64_t places = times ? *times : cel::kRequestBytesMax / (cel::bytes_min(schema) + 1);
  const std::uint64_t cost = product(most_of(rule, schema), places);
  if (cost > kRuleCostMax) out.push_back(forbidden_value(field, exceeds("estimated rule cost", cost, kRuleCostMax)));
  observe(field, cost);
}

void RuleCosts::add_message(const std::string& field, const cel::Program& message, const Value& schema,
                            std::vector<FieldError>& out) {
  const std::uint64_t cost = most_of(message, schema);
  if (cost > kRuleCostMax)
    out.push_back(forbidden_value(field, exceeds("estimated messageExpression cost", cost, kRuleCostMax)));
  observe(field, cost);
}

void RuleCosts::observe(const std::string& field, std::uint64_t cost) {
  total_ = cost > UINT64_MAX - total_ ? UINT64_MAX : total_ + cost;
  if (cost < kSchemaCostMax / 100) return;  // what costs little is not to blame
  const auto place = std::upper_bound(dearest_.begin(), dearest_.end(), cost,
                                      [](std::uint64_t wanted, const One& one) { return wanted > one.cost; });
  dearest_.insert(place, {field, cost});
  if (dearest_.size() > kDearestMax) dearest_.pop_back();
}

void RuleCosts::finish(const std::string& field, std::vector<FieldError>& out) const {
  if (total_ <= kSchemaCostMax) return;
  for (const One& one : dearest_)
    out.push_back(forbidden_value(
        one.field, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"));
  out.push_back(
      forbidden_value(field, exceeds("x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema",
                                     total_, kSchemaCostMax)));
}

}  // namespace caisson::schema
