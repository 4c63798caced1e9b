// SPDX-License-Identifier: Apache-2.0
// cel-go's ext/lists and ext/sets, and Kubernetes' list library.
#include <algorithm>

#include "core/expr/cel/environment.h"

namespace caisson::cel {
namespace {

using Arguments = std::span<const Value>;
constexpr std::int64_t kRangeMax = 1'000'000;

std::vector<Value> items_of(const Value& list) {
  std::vector<Value> out;
  out.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) out.push_back(list.item(i));
  return out;
}

Result<Value> slice(Arguments a) {
  const std::int64_t begin = a[1].as_int(), end = a[2].as_int(), size = static_cast<std::int64_t>(a[0].size());
  if (begin < 0 || end < 0)
    return bad("cannot slice(" + std::to_string(begin) + ", " + std::to_string(end) +
               "), negative indexes not supported");
  if (begin > end)
    return bad("cannot slice(" + std::to_string(begin) + ", " + std::to_string(end) +
               "), start index must be less than or equal to end index");
  if (end > size)
    return bad("cannot slice(" + std::to_string(begin) + ", " + std::to_string(end) + "), list is length " +
               std::to_string(size));
  std::vector<Value> out;
  for (std::int64_t i = begin; i < end; ++i) out.push_back(a[0].item(static_cast<std::size_t>(i)));
  return Value::list(std::move(out));
}

void flatten_into(const Value& list, std::int64_t depth, std::vector<Value>& out) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    Value item = list.item(i);
    if (item.is(Kind::list) && depth > 0)
      flatten_into(item, depth - 1, out);
    else
      out.push_back(std::move(item));
  }
}
Result<Value> flatten(Arguments a) {
  const std::int64_t depth = a.size() > 1 ? a[1].as_int() : 1;
  if (depth < 0) return bad("level must be non-negative");
  std::vector<Value> out;
  flatten_into(a[0], depth, out);
  return Value::list(std::move(out));
}

Result<Value> range(Arguments a) {
  if (a[0].as_int() > kRangeMax) return Error{ErrorCode::too_large, "lists.range: more than a million items"};
  std::vector<Value> out;
  for (std::int64_t i = 0; i < a[0].as_int(); ++i) out.emplace_back(i);
  return Value::list(std::move(out));
}

bool holds(const std::vector<Value>& items, const Value& item) {
  return std::any_of(items.begin(), items.end(), [&](const Value& known) { return equals(known, item); });
}
Result<Value> distinct(Arguments a) {
  std::vector<Value> out;
  for (std::size_t i = 0; i < a[0].size(); ++i) {
    Value item = a[0].item(i);
    if (!holds(out, item)) out.push_back(std::move(item));
  }
  return Value::list(std::move(out));
}

Result<Value> reverse(Arguments a) {
  auto out = items_of(a[0]);
  std::reverse(out.begin(), out.end());
  return Value::list(std::move(out));
}

// All of one kind, which has an order.
bool sortable(const std::vector<Value>& items) {
  return std::all_of(items.begin(), items.end(), [&](const Value& item) {
    return item.kind() == items[0].kind() && compare(item, item).has_value();
  });
}
Result<Value> sort(Arguments a) {
  auto out = items_of(a[0]);
  if (!sortable(out)) return bad("list elements must have the same type and be comparable");
  std::stable_sort(out.begin(), out.end(), [](const Value& x, const Value& y) { return *compare(x, y) < 0; });
  return Value::list(std::move(out));
}
// list.@sortByAssociatedKeys(keys)
Result<Value> sort_by_keys(Arguments a) {
  if (a[0].size() != a[1].size()) return bad("one key is needed for each element");
  const auto items = items_of(a[0]), keys = items_of(a[1]);
  if (!sortable(keys)) return bad("list elements must have the same type and be comparable");
  std::vector<std::size_t> order(items.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t x, std::size_t y) { return *compare(keys[x], keys[y]) < 0; });
  std::vector<Value> out;
  for (const std::size_t i : order) out.push_back(items[i]);
  return Value::list(std::move(out));
}

constexpr Declaration kLists[] = {
    {"(list(A)).slice(int, int): list(A)", slice},
    {"(list(dyn)).flatten(): list(dyn)", flatten},
    {"(list(dyn)).flatten(int): list(dyn)", flatten},
    {"lists.range(int): list(int)", range},
    {"(list(A)).distinct(): list(A)", distinct},
    {"(list(A)).reverse(): list(A)", reverse},
    {"(list(A)).sort(): list(A)", sort},
    {"(list(A)).@sortByAssociatedKeys(list(B)): list(A)", sort_by_keys},
};

// --- sets

bool contains_all(const Value& list, const Value& wanted) {
  const auto items = items_of(list);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!holds(items, wanted.item(i))) return false;
  }
  return true;
}
Result<Value> sets_contains(Arguments a) {
  return Value(contains_all(a[0], a[1]));
}
Result<Value> sets_equivalent(Arguments a) {
  return Value(contains_all(a[0], a[1]) && contains_all(a[1], a[0]));
}
Result<Value> sets_intersects(Arguments a) {
  const auto items = items_of(a[0]);
  for (std::size_t i = 0; i < a[1].size(); ++i) {
    if (holds(items, a[1].item(i))) return Value(true);
  }
  return Value(false);
}
std::uint64_t cost_of_sets(Arguments a, const Value&) {
  return 1 + a[0].size() * a[1].size();
}
std::uint64_t cost_of_equivalence(Arguments a, const Value&) {
  return 1 + 2 * a[0].size() * a[1].size();
}

constexpr Declaration kSets[] = {
    {"sets.contains(list(A), list(A)): bool", sets_contains, cost_of_sets},
    {"sets.equivalent(list(A), list(A)): bool", sets_equivalent, cost_of_equivalence},
    {"sets.intersects(list(A), list(A)): bool", sets_intersects, cost_of_sets},
};

// --- Kubernetes

Result<Value> is_sorted(Arguments a) {
  for (std::size_t i = 1; i < a[0].size(); ++i) {
    const auto order = compare(a[0].item(i - 1), a[0].item(i));
    if (!order) return no_such_overload();
    if (*order > 0) return Value(false);
  }
  return Value(true);
}

Result<Value> sum_int(Arguments a) {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < a[0].size(); ++i) {
    const Value item = a[0].item(i);
    if (!item.is(Kind::integer)) return no_such_overload();
    if (__builtin_add_overflow(total, item.as_int(), &total)) return bad("integer overflow");
  }
  return Value(total);
}
Result<Value> sum_uint(Arguments a) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < a[0].size(); ++i) {
    const Value item = a[0].item(i);
    if (!item.is(Kind::unsigned_integer)) return no_such_overload();
    if (__builtin_add_overflow(total, item.as_uint(), &total)) return bad("unsigned integer overflow");
  }
  return Value(total);
}
Result<Value> sum_double(Arguments a) {
  double total = 0;
  for (std::size_t i = 0; i < a[0].size(); ++i) {
    const Value item = a[0].item(i);
    if (!item.is(Kind::floating)) return no_such_overload();
    total += item.as_double();
  }
  return Value(total);
}
Result<Value> sum_duration(Arguments a) {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < a[0].size(); ++i) {
    const Value item = a[0].item(i);
    if (!item.is(Kind::duration)) return no_such_overload();
    if (__builtin_add_overflow(total, item.as_duration().count(), &total)) return bad("duration overflow");
  }
  return Value(Duration(total));
}
// By the first item, where the type was not known beforehand.
Result<Value> sum_any(Arguments a) {
  if (a[0].size() == 0) return Value(std::int64_t{0});
  switch (a[0].item(0).kind()) {
    case Kind::unsigned_integer:
      return sum_uint(a);
    case Kind::floating:
      return sum_double(a);
    case Kind::duration:
      return sum_duration(a);
    default:
      return sum_int(a);
  }
}

template <int Sign>
Result<Value> extreme(Arguments a) {
  if (a[0].size() == 0) return bad(Sign > 0 ? "max called on empty list" : "min called on empty list");
  Value best = a[0].item(0);
  for (std::size_t i = 1; i < a[0].size(); ++i) {
    Value item = a[0].item(i);
    const auto order = compare(item, best);
    if (!order) return no_such_overload();
    if (*order * Sign > 0) best = std::move(item);
  }
  return best;
}

Result<Value> index_of(Arguments a) {
  for (std::size_t i = 0; i < a[0].size(); ++i) {
    if (equals(a[0].item(i), a[1])) return Value(static_cast<std::int64_t>(i));
  }
  return Value(std::int64_t{-1});
}
Result<Value> last_index_of(Arguments a) {
  for (std::size_t i = a[0].size(); i-- > 0;) {
    if (equals(a[0].item(i), a[1])) return Value(static_cast<std::int64_t>(i));
  }
  return Value(std::int64_t{-1});
}

std::uint64_t cost_of_traversal(Arguments a, const Value&) {
  return traversal_cost(a[0]);
}

#define CEL_COMPARABLE(name, result, function)                                             \
  {"(list(int))." name "(): " result("int"), function, cost_of_traversal},                 \
      {"(list(uint))." name "(): " result("uint"), function, cost_of_traversal},           \
      {"(list(double))." name "(): " result("double"), function, cost_of_traversal},       \
      {"(list(bool))." name "(): " result("bool"), function, cost_of_traversal},           \
      {"(list(duration))." name "(): " result("duration"), function, cost_of_traversal},   \
      {"(list(timestamp))." name "(): " result("timestamp"), function, cost_of_traversal}, \
      {"(list(string))." name "(): " result("string"), function, cost_of_traversal}, {     \
    "(list(bytes))." name "(): " result("bytes"), function, cost_of_traversal              \
  }
#define CEL_BOOL(type) "bool"
#define CEL_SAME(type) type

constexpr Declaration kKubernetesLists[] = {
    CEL_COMPARABLE("isSorted", CEL_BOOL, is_sorted),
    {"(list(int)).sum(): int", sum_any, cost_of_traversal},
    {"(list(uint)).sum(): uint", sum_uint, cost_of_traversal},
    {"(list(double)).sum(): double", sum_double, cost_of_traversal},
    {"(list(duration)).sum(): duration", sum_duration, cost_of_traversal},
    CEL_COMPARABLE("max", CEL_SAME, extreme<1>),
    CEL_COMPARABLE("min", CEL_SAME, extreme<-1>),
    {"(list(A)).indexOf(A): int", index_of, cost_of_traversal},
    {"(list(A)).lastIndexOf(A): int", last_index_of, cost_of_traversal},
};
#undef CEL_SAME
#undef CEL_BOOL
#undef CEL_COMPARABLE

}  // namespace

std::span<const Declaration> list_functions() {
  return kLists;
}
std::span<const Declaration> set_functions() {
  return kSets;
}
std::span<const Declaration> kubernetes_list_functions() {
  return kKubernetesLists;
}

}  // namespace caisson::cel
