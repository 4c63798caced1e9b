// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/labels_table.h"

#include <algorithm>
#include <bit>

namespace caisson::metrics {
namespace {

constexpr std::size_t kSlotsMin = 64;

// How many slots `count` series want: at most two thirds are taken.
std::size_t slots_for(std::size_t count) {
  return std::max(kSlotsMin, std::bit_ceil(count + count / 2 + 1));
}

}  // namespace

void LabelsTable::reserve(std::size_t count) {
  if (slots_for(count) > slots_.size()) resize(slots_for(count));
}

std::size_t LabelsTable::slot_of(const Labels& labels) const {
  const std::uint64_t hash = labels.hash();
  std::size_t slot = home(hash);
  while (slots_[slot].series && (slots_[slot].hash != hash || slots_[slot].series->labels() != labels))
    slot = next(slot);
  return slot;
}

TsdbSeries* LabelsTable::find(const Labels& labels) const {
  return slots_.empty() ? nullptr : slots_[slot_of(labels)].series;
}

void LabelsTable::expect(const Labels& labels) const {
  if (!slots_.empty()) __builtin_prefetch(&slots_[home(labels.hash())], 1);
}

void LabelsTable::insert(TsdbSeries& series) {
  reserve(count_ + 1);
  place({series.labels().hash(), &series});
  ++count_;
}

void LabelsTable::place(Slot slot) {
  std::size_t at = home(slot.hash);
  while (slots_[at].series) at = next(at);
  slots_[at] = slot;
}

// What stands behind a free slot moves up to it when a search for it would end there.
void LabelsTable::erase(const Labels& labels) {
  if (slots_.empty()) return;
  std::size_t free = slot_of(labels);
  if (!slots_[free].series) return;
  --count_;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = next(free); slots_[at].series; at = next(at)) {
    const std::size_t from_home = (at - home(slots_[at].hash)) & mask, from_free = (at - free) & mask;
    if (from_home < from_free) continue;
    slots_[free] = slots_[at];
    free = at;
  }
  slots_[free] = {};
}

void LabelsTable::resize(std::size_t slots) {
  std::vector<Slot> before(slots);
  before.swap(slots_);
  for (const Slot& slot : before)
    if (slot.series) place(slot);
}

}  // namespace caisson::metrics
