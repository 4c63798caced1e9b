// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/series_index.h"

#include <algorithm>

namespace caisson::metrics {
namespace {

constexpr std::size_t kExpected = 8;  // series that are restored and not in the table of labels yet

Postings intersection(const Postings& a, const Postings& b) {
  Postings out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

template <class Map>
auto& slot_of(Map& map, std::string_view key) {
  const auto at = map.lower_bound(key);
  return at != map.end() && at->first == key ? at->second
                                             : map.emplace_hint(at, key, typename Map::mapped_type())->second;
}

}  // namespace

void SeriesIndex::reserve(std::size_t series) {
  by_ref_.reserve(series);
  by_labels_.reserve(series);
}

// References are given one after the other: an entry stands as far behind the first as its reference is, or before
// that by what was removed.
std::size_t SeriesIndex::place_of(std::uint64_t ref) const {
  if (by_ref_.empty() || ref <= by_ref_.front().ref) return 0;
  if (ref > by_ref_.back().ref) return by_ref_.size();
  std::size_t high = std::min<std::uint64_t>(ref - by_ref_.front().ref, by_ref_.size() - 1), low = high;
  for (std::size_t step = 1; low > 0 && by_ref_[low].ref > ref; step *= 2) {
    high = low;
    low -= std::min(step, low);
  }
  const auto begin = by_ref_.begin();
  const auto at = std::lower_bound(begin + static_cast<std::ptrdiff_t>(low), begin + static_cast<std::ptrdiff_t>(high),
                                   ref, [](const Entry& entry, std::uint64_t wanted) { return entry.ref < wanted; });
  return static_cast<std::size_t>(at - begin);
}

TsdbSeries* SeriesIndex::find(std::uint64_t ref) const {
  const std::size_t place = place_of(ref);
  return place < by_ref_.size() && by_ref_[place].ref == ref ? by_ref_[place].series.get() : nullptr;
}

void SeriesIndex::add(const SeriesPtr& series) {
  const std::uint64_t ref = series->ref();
  const std::size_t place = place_of(ref);
  if (place < by_ref_.size() && by_ref_[place].ref == ref) {
    by_ref_[place].series = series;
    --gone_;
  } else {
    by_ref_.insert(by_ref_.begin() + static_cast<std::ptrdiff_t>(place), {ref, series});
  }
  by_labels_.insert(*series);
  for (const LabelView label : series->labels().items()) {
    Postings& list = slot_of(slot_of(names_, label.name), label.value);
    if (list.empty() || list.back() < ref)
      list.push_back(ref);
    else
      list.insert(std::lower_bound(list.begin(), list.end(), ref), ref);
  }
}

// A place in a table of a million is in no cache: it is fetched while the next series are read.
void SeriesIndex::restore(SeriesPtr series) {
  by_labels_.expect(series->labels());
  by_ref_.push_back({series->ref(), std::move(series)});
  if (by_ref_.size() > kExpected) by_labels_.insert(*by_ref_[by_ref_.size() - 1 - kExpected].series);
}

void SeriesIndex::restored() {
  for (std::size_t left = std::min(kExpected, by_ref_.size()); left > 0; --left)
    by_labels_.insert(*by_ref_[by_ref_.size() - left].series);
  const auto before = [](const Entry& a, const Entry& b) { return a.ref < b.ref; };
  if (!std::is_sorted(by_ref_.begin(), by_ref_.end(), before)) std::sort(by_ref_.begin(), by_ref_.end(), before);
}

void SeriesIndex::restore(std::string_view name, std::string_view value, Postings refs) {
  Values& values = slot_of(names_, name);
  values.emplace_hint(values.end(), value, std::move(refs));
}

void SeriesIndex::remove(const TsdbSeries& series) {
  for (const LabelView label : series.labels().items()) {
    const auto values = names_.find(label.name);
    if (values == names_.end()) continue;
    const auto list = values->second.find(label.value);
    if (list == values->second.end()) continue;
    const auto at = std::lower_bound(list->second.begin(), list->second.end(), series.ref());
    if (at != list->second.end() && *at == series.ref()) list->second.erase(at);
    if (list->second.empty()) values->second.erase(list);
    if (values->second.empty()) names_.erase(values);
  }
  by_labels_.erase(series.labels());
  const std::size_t place = place_of(series.ref());
  if (place == by_ref_.size() || by_ref_[place].ref != series.ref() || !by_ref_[place].series) return;
  by_ref_[place].series.reset();
  if (++gone_ > by_ref_.size() / 2) compact();
}

void SeriesIndex::compact() {
  std::erase_if(by_ref_, [](const Entry& entry) { return !entry.series; });
  gone_ = 0;
}

std::vector<SeriesPtr> SeriesIndex::all() const {
  std::vector<SeriesPtr> found;
  found.reserve(size());
  for (const Entry& entry : by_ref_)
    if (entry.series) found.push_back(entry.series);
  return found;
}

// The matchers that need a value narrow by the lists; the others look at what is left.
std::vector<SeriesPtr> SeriesIndex::matching(std::span<const Matcher> matchers) const {
  bool narrowed = false;
  Postings refs;
  for (const Matcher& m : matchers) {
    if (m.matches("")) continue;
    Postings own = postings_of(m);
    refs = narrowed ? intersection(refs, own) : std::move(own);
    narrowed = true;
    if (refs.empty()) return {};
  }
  std::vector<SeriesPtr> found;
  if (narrowed)
    for (const std::uint64_t ref : refs) found.push_back(by_ref_[place_of(ref)].series);
  else
    found = all();
  std::erase_if(found, [&](const SeriesPtr& series) {
    return std::any_of(matchers.begin(), matchers.end(),
                       [&](const Matcher& m) { return m.matches("") && !m.matches(series->labels().get(m.name)); });
  });
  return found;
}

Postings SeriesIndex::postings_of(const Matcher& m) const {
  const auto values = names_.find(m.name);
  if (values == names_.end()) return {};
  if (m.type == MatchType::equal) {
    const auto list = values->second.find(m.value);
    return list == values->second.end() ? Postings{} : list->second;
  }
  Postings all;
  for (const auto& [value, list] : values->second)
    if (m.matches(value)) all.insert(all.end(), list.begin(), list.end());
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace caisson::metrics
