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
  static ListData* own_list(Value& value) { return own<ListData>(value, Kind::list); }
  static MapData* own_map(Value& value) { return own<MapData>(value, Kind::map); }
  static const ListData* list(const Value& value) {
    return value.kind_ == Kind::list && is_shared(value) ? &value.shared<ListData>() : nullptr;
  }

 private:
  static bool is_shared(const Value& value) { return value.storage_ == Value::Storage::shared; }
  template <class Data>
  static Data* own(Value& value, Kind kind) {
    const bool is_own = value.kind_ == kind && is_shared(value) && value.payload_.shared.use_count() == 1;
    return is_own ? const_cast<Data*>(&value.shared<Data>()) : nullptr;
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
