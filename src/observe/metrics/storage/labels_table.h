// SPDX-License-Identifier: Apache-2.0
// Series by their labels: open addressing, each hash beside its series, so that a search opens no other series than the
// one it finds, and a million take one piece of memory. Whoever holds it guards it.
#pragma once
#include <cstdint>
#include <vector>

#include "observe/metrics/storage/series.h"

namespace caisson::metrics {

class LabelsTable {
 public:
  void reserve(std::size_t count);
  TsdbSeries* find(const Labels& labels) const;  // null: none
  void expect(const Labels& labels) const;       // they are inserted soon: fetches their place
  // REQUIRES: its labels are not there; it stays where it is until it is erased.
  void insert(TsdbSeries& series);
  void erase(const Labels& labels);

 private:
  struct Slot {
    std::uint64_t hash = 0;
    TsdbSeries* series = nullptr;  // null: free
  };
  std::size_t next(std::size_t slot) const { return (slot + 1) & (slots_.size() - 1); }
  std::size_t home(std::uint64_t hash) const { return hash & (slots_.size() - 1); }
  std::size_t slot_of(const Labels& labels) const;  // where it is, or the free one that ends the search
  void place(Slot slot);
  void resize(std::size_t slots);  // a power of two

  std::vector<Slot> slots_;
  std::size_t count_ = 0;
};

}  // namespace caisson::metrics
