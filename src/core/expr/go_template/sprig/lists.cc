// SPDX-License-Identifier: Apache-2.0
// Sprig's functions on lists. Follows list.go of Sprig 3.3. The must… forms differ from the others only in how they
// fail in Go (an error, a panic), and both end a template the same way.
#include <algorithm>
#include <cmath>

#include "core/expr/go_template/compare.h"
#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"

namespace caisson::go_template::sprig {
namespace {

constinit const Type kListOfLists{Kind::slice, "[][]interface {}", &kList};

bool holds(std::span<const Datum> haystack, const Datum& needle) {
  return std::any_of(haystack.begin(), haystack.end(), [&](const Datum& item) { return deep_equal(needle, item); });
}

Datum nil_as_any(const Datum& datum) {
  return datum.is_valid() ? datum : Datum::nil_interface();
}

}  // namespace

Result<Datum> make_list(Call& call) {
  std::vector<Datum> items;
  items.reserve(call.size());
  for (const Datum& item : call.arguments) items.push_back(nil_as_any(item));
  TRY(call.execution.spend(items.size()));
  return list(std::move(items));
}

Result<Datum> append(Call& call) {
  auto items = TRY(items_of(call[0], "push on"));
  TRY(call.execution.spend(items.size()));
  items.push_back(nil_as_any(call[1]));
  return list(std::move(items));
}

Result<Datum> prepend(Call& call) {
  auto items = TRY(items_of(call[0], "prepend on"));
  TRY(call.execution.spend(items.size()));
  items.insert(items.begin(), nil_as_any(call[1]));
  return list(std::move(items));
}

Result<Datum> first(Call& call) {
  const auto items = TRY(items_of(call[0], "find first on"));
  return items.empty() ? Datum() : items.front();
}

Result<Datum> last(Call& call) {
  const auto items = TRY(items_of(call[0], "find last on"));
  return items.empty() ? Datum() : items.back();
}

Result<Datum> rest(Call& call) {
  auto items = TRY(items_of(call[0], "find rest on"));
  if (items.empty()) return nil_list();
  items.erase(items.begin());
  return list(std::move(items));
}

Result<Datum> initial(Call& call) {
  auto items = TRY(items_of(call[0], "find initial on"));
  if (items.empty()) return nil_list();
  items.pop_back();
  return list(std::move(items));
}

Result<Datum> reverse(Call& call) {
  auto items = TRY(items_of(call[0], "find reverse on"));
  std::reverse(items.begin(), items.end());
  return list(std::move(items));
}

Result<Datum> compact(Call& call) {
  auto items = TRY(items_of(call[0], "compact on"));
  std::erase_if(items, is_empty);
  return list(std::move(items));
}

Result<Datum> uniq(Call& call) {
  std::vector<Datum> out;
  for (const Datum& item : TRY(items_of(call[0], "find uniq on"))) {
    TRY(call.execution.spend(out.size()));
    if (!holds(out, item)) out.push_back(item);
  }
  return list(std::move(out));
}

Result<Datum> without(Call& call) {
  auto items = TRY(items_of(call[0], "find without on"));
  const auto omitted = call.arguments.subspan(1);
  TRY(call.execution.spend(items.size() * omitted.size()));
  std::erase_if(items, [&](const Datum& item) { return holds(omitted, item); });
  return list(std::move(items));
}

Result<Datum> has(Call& call) {
  if (is_nil(call[1])) return Datum(false);
  return Datum(holds(TRY(items_of(call[1], "find has on")), call[0]));
}

Result<Datum> slice(Call& call) {
  const Datum& from = call[0];
  if (is_nil(from)) return nil_dereference();
  if (!is_list(from)) {
    return invalid("list should be type of slice or array but " + std::string(kind_name(from.kind())));
  }
  const auto size = static_cast<std::int64_t>(from.size());
  if (size == 0) return Datum();
  const std::int64_t start = call.size() > 1 ? to_int64(call[1]) : 0;
  const std::int64_t end = call.size() > 2 ? to_int64(call[2]) : size;
  if (start < 0 || start > end || end > size) return invalid("reflect.Value.Slice: slice index out of bounds");
  if (from.type()->element == &kUint8) {
    const std::string_view bytes = from.as_string();
    return Datum::bytes(bytes.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start)));
  }
  const auto& items = from.as_list()->items();
  return Datum(make<List>(std::vector<Datum>(items.begin() + start, items.begin() + end)), *from.type());
}

Result<Datum> concat(Call& call) {
  std::vector<Datum> out;
  for (const Datum& from : call.arguments) {
    if (is_nil(from)) return nil_dereference();
    if (!is_list(from)) return invalid("Cannot concat type " + std::string(kind_name(from.kind())) + " as list");
    TRY(call.execution.spend(from.size()));
    for (std::size_t i = 0; i < from.size(); ++i) out.push_back(from.at(i));
  }
  return out.empty() ? nil_list() : list(std::move(out));
}

Result<Datum> chunk(Call& call) {
  const std::int64_t size = call[0].as_int();
  const auto items = TRY(items_of(call[1], "chunk"));
  if (size <= 0) {
    // Go's arithmetic of a negative size comes out at no chunk, or at a number that no slice can have.
    const bool is_none = size < 0 && !items.empty() &&
                         std::floor(static_cast<double>(items.size() - 1) / static_cast<double>(size)) == -1;
    if (!is_none) return invalid("runtime error: makeslice: len out of range");
    return Datum(make<List>(), kListOfLists);
  }
  std::vector<Datum> chunks;
  for (std::size_t start = 0; start < items.size();) {
    const std::size_t count = std::min(items.size() - start, static_cast<std::size_t>(size));
    const auto from = items.begin() + static_cast<std::ptrdiff_t>(start);
    chunks.push_back(list(std::vector<Datum>(from, from + static_cast<std::ptrdiff_t>(count))));
    start += count;
  }
  return Datum(make<List>(std::move(chunks)), kListOfLists);
}

Result<Datum> sort_alpha(Call& call) {
  std::vector<std::string> out = TRY(to_strings(call[0]));
  if (is_nil(call[0])) out.push_back("<nil>");
  std::sort(out.begin(), out.end());
  return Datum::strings(out);
}

Result<Datum> join(Call& call) {
  const auto parts = TRY(to_strings(call[1]));
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += call.text(0);
    out += parts[i];
  }
  return Datum(out);
}

Result<Datum> string_list(Call& call) {
  return Datum::strings(TRY(to_strings(call[0])));
}

}  // namespace caisson::go_template::sprig
