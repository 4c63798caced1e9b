// SPDX-License-Identifier: Apache-2.0
// A line on its way through a pipeline: its text and its labels by where they come from. One thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "observe/metrics/model/labels.h"

namespace caisson::logs::logql {

using metrics::Label;
using metrics::Labels;
using metrics::LabelView;

inline constexpr std::string_view kError = "__error__", kErrorDetails = "__error_details__";

enum class Origin : std::uint8_t { stream, metadata, parsed };

class LineState {
 public:
  void reset(std::int64_t t, std::string_view text, const Labels& stream, const Labels& metadata);

  std::int64_t time() const { return time_; }
  std::string_view line() const { return line_; }
  void set_line(std::string text);  // the former text stays valid until the next but one

  // "" when absent. Pointers hold until the next change.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;
  // Whether a parser must give its label of this name another one: the stream has it, or the metadata still do.
  bool is_taken(std::string_view name) const {
    return !stream_->get(name).empty() || (!metadata_->get(name).empty() && !is_changed(name));
  }
  void set(std::string_view name, std::string_view value);  // as a parsed label; "" stays, as an empty value
  void remove(std::string_view name);
  template <class Keep>
  void keep_only(Keep keep);  // bool(name, value)

  bool has_error() const { return !error_.empty(); }
  const std::string& error() const { return error_; }
  const std::string& error_details() const { return error_details_; }
  void fail(std::string_view error, std::string_view details);
  void clear_error() { error_.clear(); }
  void clear_error_details() { error_details_.clear(); }

  // No stage has changed them: they are those of the stream and of the metadata.
  bool is_plain() const { return changes_.empty() && error_.empty(); }
  // All, errors included.
  Labels labels() const;
  Labels labels_of(Origin origin) const;  // errors are parsed ones
  void each(const auto& call) const {     // name, value, origin
    for (const LabelView label : stream_->items())
      if (!is_changed(label.name)) call(label.name, label.value, Origin::stream);
    for (const LabelView label : metadata_->items())
      if (!is_changed(label.name) && stream_->get(label.name).empty()) call(label.name, label.value, Origin::metadata);
    for (const Change& change : changes_)
      if (!change.removed && !change.value.empty())
        call(std::string_view(change.name), std::string_view(change.value), Origin::parsed);
  }

 private:
  struct Change {
    std::string name, value;
    bool removed = false;
  };
  Change* change_of(std::string_view name);
  bool is_changed(std::string_view name) const;

  std::int64_t time_ = 0;
  std::string_view line_;
  std::string texts_[2];
  int next_text_ = 0;
  const Labels* stream_ = nullptr;
  const Labels* metadata_ = nullptr;
  std::vector<Change> changes_;  // the last word about a name
  std::string error_, error_details_;
};

template <class Keep>
void LineState::keep_only(Keep keep) {
  std::vector<std::string> gone;
  each([&](std::string_view name, std::string_view value, Origin) {
    if (!keep(name, value)) gone.emplace_back(name);
  });
  for (const std::string& name : gone) remove(name);
}

}  // namespace caisson::logs::logql
