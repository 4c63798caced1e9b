// SPDX-License-Identifier: Apache-2.0
// The shared parts of lists and maps that expressions make; for the files of this folder.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "core/expr/cel/value.h"

namespace caisson::cel {

struct ListData {
  std::vector<Value> items;
};

struct MapData {
  std::vector<std::pair<Value, Value>> entries;
  std::vector<std::uint32_t> index;  // by hash: position + 1, or 0; only for larger maps

  const Value* find(const Value& key) const;
  void make_index();
  void add_last_to_index();  // REQUIRES room: index.size() >= 2 * entries.size()
};

bool is_key(const Value& key);

struct ValueAccess {
  // The items, when nobody else shares them: an accumulator may grow in place.
  static ListData* own_list(Value& value) {
    auto* list = std::get_if<std::shared_ptr<const ListData>>(&value.data_);
    return list != nullptr && list->use_count() == 1 ? const_cast<ListData*>(list->get()) : nullptr;
  }
  static MapData* own_map(Value& value) {
    auto* map = std::get_if<std::shared_ptr<const MapData>>(&value.data_);
    return map != nullptr && map->use_count() == 1 ? const_cast<MapData*>(map->get()) : nullptr;
  }
  static const ListData* list(const Value& value) {
    const auto* list = std::get_if<std::shared_ptr<const ListData>>(&value.data_);
    return list == nullptr ? nullptr : list->get();
  }
};

// Text forms that conversions, formats and documents share.
std::string timestamp_text(Timestamp time);    // "2024-01-02T03:04:05.5Z"
std::string duration_text(Duration duration);  // "3600s", "1.5s"
std::string double_text(double value);         // shortest digits, as Go's %g with exponents from 21
std::optional<Timestamp> parse_timestamp(std::string_view text);
std::optional<Duration> parse_go_duration(std::string_view text);  // nothing beyond 64 bits of nanoseconds
bool in_range(Timestamp time);

}  // namespace caisson::cel
