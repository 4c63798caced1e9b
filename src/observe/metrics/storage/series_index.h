// SPDX-License-Identifier: Apache-2.0
// Which series there are: by reference, by labels, and for each label the series that have it. Whoever holds it guards
// it: any number of readers, or one writer.
#pragma once
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "observe/metrics/storage/series.h"

namespace caisson::metrics {

using SeriesPtr = std::shared_ptr<TsdbSeries>;
using Postings = std::vector<std::uint64_t>;  // references, ascending

class SeriesIndex {
 public:
  using Values = std::map<std::string, Postings, std::less<>>;  // of one name
  using Names = std::map<std::string, Values, std::less<>>;

  void reserve(std::size_t series);
  std::size_t size() const { return by_ref_.size(); }
  TsdbSeries* find(std::uint64_t ref) const;  // null: none
  TsdbSeries* find(const Labels& labels) const;
  // REQUIRES: neither its reference nor its labels are there.
  void add(const SeriesPtr& series);
  void remove(const TsdbSeries& series);

  std::vector<SeriesPtr> all() const;
  // By reference. All when there are no matchers.
  std::vector<SeriesPtr> matching(std::span<const Matcher> matchers) const;
  const Names& names() const { return names_; }

  // For who has both from a file: a series without its labels, then each list of a label.
  void restore(const SeriesPtr& series);
  void restore(std::string_view name, std::string_view value, Postings refs);

 private:
  Postings postings_of(const Matcher& m) const;

  struct ByLabels {
    using is_transparent = void;
    std::size_t operator()(const Labels& labels) const { return labels.hash(); }
    std::size_t operator()(const SeriesPtr& series) const { return series->labels().hash(); }
    bool operator()(const SeriesPtr& a, const SeriesPtr& b) const { return a->labels() == b->labels(); }
    bool operator()(const Labels& a, const SeriesPtr& b) const { return a == b->labels(); }
    bool operator()(const SeriesPtr& a, const Labels& b) const { return a->labels() == b; }
  };
  std::unordered_map<std::uint64_t, SeriesPtr> by_ref_;
  std::unordered_set<SeriesPtr, ByLabels, ByLabels> by_labels_;
  Names names_;
};

}  // namespace caisson::metrics
