// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/logql/line_state.h"

#include <algorithm>

namespace caisson::logs::logql {

void LineState::reset(std::int64_t t, std::string_view text, const Labels& stream, const Labels& metadata) {
  time_ = t;
  line_ = text;
  stream_ = &stream;
  metadata_ = &metadata;
  changes_.clear();
  error_.clear();
  error_details_.clear();
}

void LineState::set_line(std::string text) {
  next_text_ ^= 1;
  texts_[next_text_] = std::move(text);
  line_ = texts_[next_text_];
}

LineState::Change* LineState::change_of(std::string_view name) {
  const auto found = std::find_if(changes_.begin(), changes_.end(), [&](const Change& c) { return c.name == name; });
  return found == changes_.end() ? nullptr : &*found;
}

bool LineState::is_changed(std::string_view name) const {
  return std::any_of(changes_.begin(), changes_.end(), [&](const Change& c) { return c.name == name; });
}

std::string_view LineState::get(std::string_view name) const {
  if (name == kError) return error_;
  if (name == kErrorDetails) return error_details_;
  for (const Change& change : changes_)
    if (change.name == name) return change.removed ? std::string_view() : change.value;
  const std::string_view value = stream_->get(name);
  return value.empty() ? metadata_->get(name) : value;
}

bool LineState::has(std::string_view name) const {
  for (const Change& change : changes_)
    if (change.name == name) return !change.removed;
  return !get(name).empty();
}

void LineState::set(std::string_view name, std::string_view value) {
  if (name == kError) {
    error_ = value;
  } else if (name == kErrorDetails) {
    error_details_ = value;
  } else if (Change* change = change_of(name)) {
    change->value = value;
    change->removed = false;
  } else {
    changes_.push_back({std::string(name), std::string(value), false});
  }
}

void LineState::remove(std::string_view name) {
  if (name == kError) return clear_error();
  if (name == kErrorDetails) return clear_error_details();
  if (Change* change = change_of(name)) {
    change->removed = true;
  } else if (has(name)) {
    changes_.push_back({std::string(name), "", true});
  }
}

void LineState::fail(std::string_view error, std::string_view details) {
  error_ = error;
  error_details_ = details;
}

Labels LineState::labels() const {
  if (changes_.empty() && metadata_->empty() && error_.empty()) return *stream_;
  std::vector<Label> all;
  each([&](std::string_view name, std::string_view value, Origin) { all.push_back(LabelView{name, value}); });
  if (!error_.empty()) all.push_back({std::string(kError), error_});
  if (!error_details_.empty()) all.push_back({std::string(kErrorDetails), error_details_});
  return Labels::from(std::move(all));
}

Labels LineState::labels_of(Origin origin) const {
  std::vector<Label> some;
  each([&](std::string_view name, std::string_view value, Origin from) {
    if (from == origin) some.push_back(LabelView{name, value});
  });
  if (origin == Origin::parsed && !error_.empty()) some.push_back({std::string(kError), error_});
  if (origin == Origin::parsed && !error_details_.empty()) some.push_back({std::string(kErrorDetails), error_details_});
  return Labels::from(std::move(some));
}

}  // namespace caisson::logs::logql
