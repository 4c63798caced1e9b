// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/resource_usage.h"

#include "cluster/kube/quantity.h"

namespace caisson::kube {
namespace {

constexpr std::int64_t kMilli = 1000;
constexpr std::int64_t kKibi = 1024;

std::int64_t saturated_sum(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a > 0 ? INT64_MAX : INT64_MIN;
}

// Both are taken as upper bounds of what runs at one time.
void raise(Amounts& to, const Amounts& other) {
  for (const auto& [name, amount] : other) {
    Amount& there = to[name];
    if (there.milli < amount.milli) there = amount;
  }
}

Amounts pod_total(const Value& spec, std::string_view member) {
  Amounts total, sidecars, highest;
  for (const Value& container : spec["containers"].items()) add(total, amounts_of(container["resources"][member]));
  for (const Value& container : spec["initContainers"].items()) {
    Amounts now = amounts_of(container["resources"][member]);
    if (container["restartPolicy"].as_string() == "Always") {
      add(total, now);
      add(sidecars, now);
      now = sidecars;
    } else {
      add(now, sidecars);
    }
    raise(highest, now);
  }
  raise(total, highest);
  const Amounts overhead = amounts_of(spec["overhead"]);
  for (const auto& [name, amount] : overhead)
    if (member == "requests" || total.contains(name)) add(total, name, amount);
  return total;
}

}  // namespace

std::string Amount::str() const {
  const bool whole = milli % kMilli == 0;
  const std::int64_t units = milli / kMilli;
  std::string text = whole ? std::to_string(units) : std::to_string(milli) + "m";
  if (binary && whole && units != 0 && units % kKibi == 0) text = std::to_string(units / kKibi) + "Ki";
  if (binary && !text.ends_with("Ki")) return text;
  const auto canonical = canonical_quantity(text);
  return canonical.ok() ? *canonical : text;
}

Result<Amount> parse_amount(std::string_view text) {
  const std::int64_t milli = TRY(parse_quantity_milli(text));
  return Amount{milli, text.ends_with('i')};
}

Amount amount_of(const Value& quantity) {
  const auto amount = parse_amount(quantity.is_number() ? quantity.scalar_text() : quantity.str());
  return amount.ok() ? *amount : Amount{};
}

Amounts amounts_of(const Value& quantities) {
  Amounts out;
  for (const auto& [name, quantity] : quantities.entries()) out[std::string(name)] = amount_of(quantity);
  return out;
}

void add(Amounts& to, std::string_view name, const Amount& amount) {
  const auto found = to.find(name);
  if (found == to.end()) {
    to.emplace(name, amount);
    return;
  }
  if (found->second.milli == 0) found->second.binary = amount.binary;
  found->second.milli = saturated_sum(found->second.milli, amount.milli);
}

void add(Amounts& to, const Amounts& more) {
  for (const auto& [name, amount] : more) add(to, name, amount);
}

Value to_value(const Amounts& amounts) {
  Value out = Value::map();
  for (const auto& [name, amount] : amounts) out.set(name, amount.str());
  return out;
}

Amounts pod_requests(const Value& spec) {
  return pod_total(spec, "requests");
}
Amounts pod_limits(const Value& spec) {
  return pod_total(spec, "limits");
}

}  // namespace caisson::kube
