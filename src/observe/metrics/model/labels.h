// SPDX-License-Identifier: Apache-2.0
// Label sets and the matchers that select them. Follows Prometheus' data model: names and values are UTF-8, a label
// with an empty value is the same as no label, sets are ordered by name. Values are immutable and shared: copying is
// cheap. Any thread.
#pragma once
#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::metrics {

inline constexpr std::string_view kMetricName = "__name__";

struct Label {
  std::string name;
  std::string value;
  auto operator<=>(const Label&) const = default;
};

// A label where it lies in its set.
struct LabelView {
  std::string_view name;
  std::string_view value;
  operator Label() const { return {std::string(name), std::string(value)}; }
  auto operator<=>(const LabelView&) const = default;
};

// The labels of a set, in order, one after the other.
class LabelRange {
 public:
  class Iterator {
   public:
    using value_type = LabelView;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(const char* at) : at_(at) {}
    LabelView operator*() const;
    Iterator& operator++();
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const char* at_ = nullptr;
  };
  LabelRange(std::string_view bytes, std::size_t count) : bytes_(bytes), count_(count) {}
  Iterator begin() const { return Iterator(bytes_.data()); }
  Iterator end() const { return Iterator(bytes_.data() + bytes_.size()); }
  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }

 private:
  std::string_view bytes_;
  std::size_t count_;
};

// One piece of memory a set, because a storage holds a million of them.
class Labels {
 public:
  static constexpr std::size_t kTextBytesMax = (1u << 24) - 1;  // of a name or a value; what is longer is cut

  Labels() = default;
  // Sorts by name; labels with empty values go; of duplicate names the last one counts.
  static Labels from(std::vector<Label> labels);
  // The same of texts that lie elsewhere; sorts `labels`.
  static Labels from_views(std::span<LabelView> labels);
  // From bytes(), as another process wrote them. Errors: invalid when they are not such.
  static Result<Labels> from_bytes(std::string_view bytes);

  std::string_view get(std::string_view name) const;  // "" when absent
  LabelRange items() const;
  // The set as it lies in memory: name and value of each label behind their lengths.
  std::string_view bytes() const;
  bool empty() const { return !data_; }
  // Stable across runs and versions (XXH64): limit_ratio samples by it, as Prometheus does.
  std::uint64_t hash() const { return data_ ? data_[0] : kEmptyHash; }
  std::string str() const;  // {__name__="up", job="x"}

  Labels keep(std::span<const std::string> names) const;
  Labels drop(std::span<const std::string> names) const;
  Labels drop_metadata() const;  // without name, type and unit: what a calculated series has lost
  // One string per distinct projection: two sets have equal keys exactly when the kept (or not dropped) labels are
  // equal.
  std::string key_of(std::span<const std::string> names) const;
  std::string key_without(std::span<const std::string> names) const;

  bool operator==(const Labels& other) const;
  std::strong_ordering operator<=>(const Labels& other) const;

 private:
  static constexpr std::size_t kHeadWords = 2;  // the hash; count and size of the bytes
  static Labels of_bytes(std::string_view bytes, std::size_t count);

  static constexpr std::uint64_t kEmptyHash = 0xEF46DB3751D8E999u;  // XXH64 of nothing
  std::shared_ptr<const std::uint64_t[]> data_;                     // the head, then bytes(); null: no labels
};

struct LabelsHash {
  std::size_t operator()(const Labels& labels) const { return labels.hash(); }
};

// Edits a set.
class LabelsBuilder {
 public:
  explicit LabelsBuilder(const Labels& base = {}) : items_(base.items().begin(), base.items().end()) {}
  std::string_view get(std::string_view name) const;
  void set(std::string_view name, std::string_view value);  // an empty value removes
  void remove(std::string_view name) { set(name, ""); }
  const std::vector<Label>& items() const { return items_; }
  Labels labels() const { return Labels::from(items_); }

 private:
  std::vector<Label> items_;
};

// [a-zA-Z_][a-zA-Z0-9_]*: a name that needs no quotes.
bool is_plain_label_name(std::string_view name);
bool is_metadata_label(std::string_view name);  // __name__, __type__, __unit__

enum class MatchType : std::uint8_t { equal, not_equal, regex, not_regex };
std::string_view match_operator(MatchType type);  // = != =~ !~

// RE2 as Prometheus uses it: anchored at both ends, dot matches newlines.
class Regex {
 public:
  static Result<Regex> compile(std::string_view pattern);
  bool matches(std::string_view text) const;
  // Expands $1, ${1}, $name and $$ of `replacement` when `text` matches; nothing otherwise.
  bool expand(std::string_view text, std::string_view replacement, std::string& out) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

struct Matcher {
  MatchType type = MatchType::equal;
  std::string name;
  std::string value;
  std::shared_ptr<const Regex> regex;  // of the two regex types

  // Errors: bad_request with the regular expression's fault.
  static Result<Matcher> make(MatchType type, std::string name, std::string value);
  bool matches(std::string_view text) const;
  std::string str() const;  // job=~"a.*"
};

bool matches_all(std::span<const Matcher> matchers, const Labels& labels);

}  // namespace caisson::metrics
