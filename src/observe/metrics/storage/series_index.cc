// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/series_index.h"

#include <algorithm>

namespace caisson::metrics {
namespace {

Postings intersection(const Postings& a, const Postings& b) {
  Postings out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

template <class Map>
auto& slot_of(Map& map, std::string_view key) {
  const auto at = map.lower_bound(key);
  return at != map.end() && at->first == key ? at->second : map.emplace_hint(at, key, typename Map::mapped_type())->second;
}

}  // namespace

void SeriesIndex::reserve(std::size_t series) {
  by_ref_.reserve(series);
  by_labels_.reserve(series);
}

TsdbSeries* SeriesIndex::find(std::uint64_t ref) const {
  const auto at = by_ref_.find(ref);
  return at == by_ref_.end() ? nullptr : at->second.get();
}

TsdbSeries* SeriesIndex::find(const Labels& labels) const {
  const auto at = by_labels_.find(labels);
  return at == by_labels_.end() ? nullptr : at->get();
}

void SeriesIndex::add(const SeriesPtr& series) {
  restore(series);
  const std::uint64_t ref = series->ref();
  for (const LabelView label : series->labels().items()) {
    Postings& list = slot_of(slot_of(names_, label.name), label.value);
    if (list.empty() || list.back() < ref)
      list.push_back(ref);
    else
      list.insert(std::lower_bound(list.begin(), list.end(), ref), ref);
  }
}

void SeriesIndex::restore(const SeriesPtr& series) {
  by_labels_.insert(series);
  by_ref_.emplace(series->ref(), series);
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
  if (const auto at = by_labels_.find(series.labels()); at != by_labels_.end()) by_labels_.erase(at);
  by_ref_.erase(series.ref());
}

std::vector<SeriesPtr> SeriesIndex::all() const {
  std::vector<SeriesPtr> found;
  found.reserve(by_ref_.size());
  for (const auto& [ref, series] : by_ref_) found.push_back(series);
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
    for (const std::uint64_t ref : refs) found.push_back(by_ref_.at(ref));
  else
    found = all();
  std::erase_if(found, [&](const SeriesPtr& series) {
    return std::any_of(matchers.begin(), matchers.end(), [&](const Matcher& m) {
      return m.matches("") && !m.matches(series->labels().get(m.name));
    });
  });
  if (!narrowed)
    std::sort(found.begin(), found.end(), [](const SeriesPtr& a, const SeriesPtr& b) { return a->ref() < b->ref(); });
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
