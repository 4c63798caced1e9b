// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/logql/pattern.h"

#include <algorithm>

#include "observe/metrics/model/labels.h"

namespace caisson::logs::logql {

Result<Pattern> Pattern::parse(std::string_view text, Use use) {
  Pattern out;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) out.parts_.push_back({std::exchange(literal, {}), false});
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t close = text[at] == '<' ? text.find('>', at) : std::string_view::npos;
    const std::string_view name =
        close == std::string_view::npos ? std::string_view() : text.substr(at + 1, close - at - 1);
    if (!metrics::is_plain_label_name(name)) {
      literal += text[at++];
      continue;
    }
    end_literal();
    if (!out.parts_.empty() && out.parts_.back().capture)
      return Error{ErrorCode::bad_request, "found consecutive capture '<" + out.parts_.back().text + "><" +
                                               std::string(name) + ">': invalid expression"};
    out.parts_.push_back({std::string(name), true});
    at = close + 1;
  }
  end_literal();
  if (out.parts_.empty() && use == Use::filter) return out;
  std::vector<std::string> names;
  for (const Part& part : out.parts_)
    if (part.capture && part.text != "_") names.push_back(part.text);
  if (use == Use::filter) {
    if (!names.empty())
      return Error{ErrorCode::bad_request, "named captures are not allowed: found '<" + names[0] + ">'"};
    return out;
  }
  if (names.empty()) return Error{ErrorCode::bad_request, "at least one capture is required"};
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    return Error{ErrorCode::bad_request, "duplicate capture name (" + *twice + "): invalid expression"};
  return out;
}

std::vector<std::pair<std::string_view, std::string_view>> Pattern::captures(std::string_view line) const {
  std::vector<std::pair<std::string_view, std::string_view>> out;
  std::size_t i = 0;
  if (!parts_[0].capture) {
    if (!line.starts_with(parts_[0].text)) return out;
    line.remove_prefix(parts_[0].text.size());
    i = 1;
  }
  // A capture, then the literal that ends it.
  for (; i < parts_.size(); i += 2) {
    const std::size_t end = i + 1 < parts_.size() ? line.find(parts_[i + 1].text) : std::string_view::npos;
    if (parts_[i].text != "_") out.emplace_back(parts_[i].text, line.substr(0, end));
    if (end == std::string_view::npos) return out;
    line.remove_prefix(end + parts_[i + 1].text.size());
  }
  return out;
}

bool Pattern::matches_whole(std::string_view line) const {
  if (parts_.empty()) return line.empty();
  std::size_t at = 0;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].capture) continue;
    const std::size_t found = line.find(parts_[i].text, at);
    if (found == std::string_view::npos || (i == 0 ? found != 0 : found == at)) return false;
    at = found + parts_[i].text.size();
  }
  return parts_.back().capture == (at != line.size());
}

}  // namespace caisson::logs::logql
