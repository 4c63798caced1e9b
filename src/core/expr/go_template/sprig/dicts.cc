// SPDX-License-Identifier: Apache-2.0
// Sprig's functions on dicts. Follows dict.go of Sprig 3.3, mergo 1.0.1 and copystructure 1.2. What Go gives in the
// order of a map's iteration, which is random there, is given in the order of the keys.
#include <algorithm>

#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"

namespace caisson::go_template::sprig {
namespace {

constexpr int kDepthMax = 1'000;

const Map& entries_of(const Datum& dict) {
  static const Map& empty = *new Map();
  return dict.as_map() ? *dict.as_map() : empty;
}

Error nil_map() {
  return invalid("assignment to entry in nil map");
}

Error too_deep() {
  return invalid("dicts are nested too deeply");
}

// One level of mergo's deepMerge for maps: what `into` has wins, unless `overwrite`.
Result<void> merge_maps(Call& call, const Ref<Map>& into, const Map& from, bool overwrite, int depth);

Result<void> merge_member(Call& call, const Ref<Map>& into, const std::string& key, const Datum& source, bool overwrite,
                          int depth) {
  const auto present = into->find(key);
  if (is_nil(source)) {
    if (overwrite) into->set(key, source);
    return {};
  }
  Map* present_map = present ? present->as_map() : nullptr;
  if (source.kind() == Kind::map && present_map && source.as_map()) {
    TRY(merge_maps(call, Ref<Map>(present_map), *source.as_map(), overwrite, depth + 1));
  }
  const bool keeps = present && !is_empty(*present);
  if (keeps && source.kind() == Kind::slice) {
    if (overwrite) into->set(key, source);
    return {};
  }
  if (keeps && source.kind() == Kind::map && present->kind() == Kind::map) return {};
  if (overwrite || !keeps) into->set(key, source);
  return {};
}

Result<void> merge_maps(Call& call, const Ref<Map>& into, const Map& from, bool overwrite, int depth) {
  if (depth > kDepthMax) return too_deep();
  if (into.get() == &from) return {};
  TRY(call.execution.spend(from.size()));
  call.execution.note_edit(into);
  const Map::Entries entries = from.entries();  // what is merged may hold what it is merged into
  for (const auto& [key, item] : entries) TRY(merge_member(call, into, key, item, overwrite, depth));
  return {};
}

Result<Datum> merge_all(Call& call, bool overwrite) {
  Datum into = call[0].with_type(kMap);
  for (const Datum& from : call.arguments.subspan(1)) {
    if (!from.as_map()) continue;
    if (!into.as_map()) into = Datum(make<Map>()).made();
    TRY(merge_maps(call, Ref<Map>(into.as_map()), *from.as_map(), overwrite, 0));
  }
  return into;
}

Result<Datum> copied(Call& call, const Datum& datum, int depth) {
  if (depth > kDepthMax) return too_deep();
  if (const Map* map = datum.as_map()) {
    if (const Value* document = map->document()) return Datum(make<Map>(*document), *datum.type()).made();
    TRY(call.execution.spend(map->size()));
    Map::Entries entries;
    for (const auto& [key, item] : map->entries()) {
      entries.emplace_hint(entries.end(), key, TRY(copied(call, item, depth + 1)));
    }
    return Datum(make<Map>(std::move(entries)), *datum.type()).made();
  }
  if (const List* from = datum.as_list()) {
    if (const Value* document = from->document()) return Datum(make<List>(*document), *datum.type()).made();
    TRY(call.execution.spend(from->size()));
    std::vector<Datum> items;
    for (const Datum& item : from->items()) items.push_back(TRY(copied(call, item, depth + 1)));
    return Datum(make<List>(std::move(items)), *datum.type());
  }
  return datum;
}

}  // namespace

Result<Datum> dict(Call& call) {
  TRY(call.execution.spend(call.size()));
  Map::Entries entries;
  for (std::size_t i = 0; i < call.size(); i += 2) {
    Datum value = i + 1 < call.size() ? call[i + 1] : Datum("");
    if (!value.is_valid()) value = Datum::nil_interface();
    entries.insert_or_assign(TRY(to_string(call[i])), std::move(value));
  }
  return Datum(make<Map>(std::move(entries))).made();
}

Result<Datum> get(Call& call) {
  return entries_of(call[0]).find(call.text(1)).value_or(Datum(""));
}

Result<Datum> set(Call& call) {
  if (!call[0].as_map()) return nil_map();
  const Ref<Map> map(call[0].as_map());
  call.execution.note_edit(map);
  map->set(call.text(1), call[2]);
  return call[0].with_type(kMap);
}

Result<Datum> unset(Call& call) {
  if (call[0].as_map()) {
    const Ref<Map> map(call[0].as_map());
    call.execution.note_edit(map);
    map->erase(call.text(1));
  }
  return call[0].with_type(kMap);
}

Result<Datum> has_key(Call& call) {
  return Datum(entries_of(call[0]).contains(call.text(1)));
}

Result<Datum> pluck(Call& call) {
  std::vector<Datum> out;
  for (const Datum& dict : call.arguments.subspan(1)) {
    if (auto found = entries_of(dict).find(call.text(0))) out.push_back(*std::move(found));
  }
  return list(std::move(out));
}

Result<Datum> keys(Call& call) {
  std::vector<std::string> out;
  for (const Datum& dict : call.arguments) {
    TRY(call.execution.spend(dict.size()));
    for (const auto& [key, item] : entries_of(dict).entries()) out.push_back(key);
  }
  return Datum::strings(out);
}

Result<Datum> values(Call& call) {
  TRY(call.execution.spend(call[0].size()));
  std::vector<Datum> out;
  for (const auto& [key, item] : entries_of(call[0]).entries()) out.push_back(item);
  return list(std::move(out));
}

Result<Datum> pick(Call& call) {
  Map::Entries out;
  for (const Datum& key : call.arguments.subspan(1)) {
    if (auto found = entries_of(call[0]).find(key.as_string())) out.insert_or_assign(key.str(), *std::move(found));
  }
  return Datum(make<Map>(std::move(out))).made();
}

Result<Datum> omit(Call& call) {
  TRY(call.execution.spend(call[0].size()));
  Map::Entries out = entries_of(call[0]).entries();
  for (const Datum& key : call.arguments.subspan(1)) out.erase(key.str());
  return Datum(make<Map>(std::move(out))).made();
}

Result<Datum> merge(Call& call) {
  return merge_all(call, false);
}
Result<Datum> merge_overwrite(Call& call) {
  return merge_all(call, true);
}

Result<Datum> deep_copy(Call& call) {
  if (is_nil(call[0])) return invalid("reflect: call of reflect.Value.Type on zero Value");
  return copied(call, call[0], 0);
}

Result<Datum> dig(Call& call) {
  if (call.size() < 3) return invalid("dig needs at least three arguments");
  const auto not_a = [](const Datum& datum, std::string_view wanted) {
    const std::string got(is_nil(datum) ? "nil" : datum.type_name());
    return invalid("interface conversion: interface {} is " + got + ", not " + std::string(wanted));
  };
  const auto path = call.arguments.first(call.size() - 2);
  Datum step = call.arguments.back();
  if (step.type() != &kMap) return not_a(step, kMap.name);
  for (const Datum& key : path) {
    if (key.type() != &kString) return not_a(key, kString.name);
  }
  for (const Datum& key : path) {
    if (step.type() != &kMap) return not_a(step, kMap.name);
    auto found = entries_of(step).find(key.as_string());
    if (!found) return call[call.size() - 2];
    step = *std::move(found);
  }
  return step;
}

}  // namespace caisson::go_template::sprig
