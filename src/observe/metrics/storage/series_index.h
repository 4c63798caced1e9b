// SPDX-License-Identifier: Apache-2.0
// Which series there are: by reference, by labels, and for each label the series that have it. Whoever holds it guards
// it: any number of readers, or one writer.
#pragma once
#include <map>

#include "observe/metrics/storage/labels_table.h"

namespace caisson::metrics {

using SeriesPtr = std::shared_ptr<TsdbSeries>;
using Postings = std::vector<std::uint64_t>;  // references, ascending

class SeriesIndex {
 public:
  using Values = std::map<std::string, Postings, std::less<>>;  // of one name
  using Names = std::map<std::string, Values, std::less<>>;

  void reserve(std::size_t series);
  std::size_t size() const { return by_ref_.size() - gone_; }
  TsdbSeries* find(std::uint64_t ref) const;  // null: none
  TsdbSeries* find(const Labels& labels) const { return by_labels_.find(labels); }
  // REQUIRES: neither its reference nor its labels are there. Quick when the reference is the largest.
  void add(const SeriesPtr& series);
  void remove(const TsdbSeries& series);

  std::vector<SeriesPtr> all() const;  // by reference, as what follows
  // All when there are no matchers.
  std::vector<SeriesPtr> matching(std::span<const Matcher> matchers) const;
  const Names& names() const { return names_; }

  // For who has both from a file: series without the lists of their labels, in any order and then restored(); then
  // each list.
  void restore(SeriesPtr series);
  void restored();
  void restore(std::string_view name, std::string_view value, Postings refs);

 private:
  struct Entry {
    std::uint64_t ref;
    SeriesPtr series;  // null: it is gone
  };
  Postings postings_of(const Matcher& m) const;
  std::size_t place_of(std::uint64_t ref) const;  // of the first entry that is not before it
  void compact();

  std::vector<Entry> by_ref_;  // ascending
  std::size_t gone_ = 0;
  LabelsTable by_labels_;
  Names names_;
};

}  // namespace caisson::metrics
