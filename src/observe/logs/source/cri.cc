// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/source/cri.h"

#include <algorithm>

namespace caisson::logs {

std::vector<CriReader::Line> CriReader::feed(std::string_view bytes) {
  std::vector<Line> out;
  std::uint64_t begin = offset_ - rest_.size();
  rest_ += bytes;
  offset_ += bytes.size();
  std::size_t at = 0;
  for (std::size_t end; (end = rest_.find('\n', at)) != std::string::npos; at = end + 1)
    line(std::string_view(rest_).substr(at, end - at), begin + at, out);
  rest_.erase(0, at);
  return out;
}

std::uint64_t CriReader::taken() const {
  std::uint64_t taken = offset_ - rest_.size();
  for (const auto& [stream, pending] : pending_) taken = std::min(taken, pending.begin);
  return taken;
}

void CriReader::next_file(std::uint64_t offset) {
  rest_.clear();
  offset_ = offset;
  for (auto& [stream, pending] : pending_) pending.begin = offset;
}

void CriReader::line(std::string_view text, std::uint64_t begin, std::vector<Line>& out) {
  const std::size_t first = text.find(' ');
  if (format_ == Format::plain) {
    const auto time = parse_time(text.substr(0, first));
    if (!time || first == text.npos) return;
    std::int64_t& last = last_.try_emplace("stderr", INT64_MIN).first->second;
    last = std::max<std::int64_t>(time->time_since_epoch().count(), last == INT64_MIN ? last : last + 1);
    out.push_back({last, "stderr", std::string(text.substr(first + 1, line_bytes_max_))});
    return;
  }
  const std::size_t second = first == text.npos ? first : text.find(' ', first + 1);
  if (second == text.npos || second + 1 >= text.size()) return;  // what a writer that was killed left of a line
  const auto time = parse_time(text.substr(0, first));
  if (!time) return;
  const std::size_t third = std::min(text.find(' ', second + 1), text.size());
  const std::string stream(text.substr(first + 1, second - first - 1));
  const bool partial = text[second + 1] == 'P';
  const std::string_view content = third < text.size() ? text.substr(third + 1) : std::string_view();
  const auto held = pending_.find(stream);
  if (partial) {
    Pending& pending =
        held != pending_.end()
            ? held->second
            : pending_.emplace(stream, Pending{"", time->time_since_epoch().count(), begin}).first->second;
    pending.text += content;
    if (pending.text.size() < line_bytes_max_) return;
  }
  Line whole{time->time_since_epoch().count(), stream, std::string(content)};
  if (const auto joined = pending_.find(stream); joined != pending_.end()) {
    whole.t = joined->second.t;
    whole.text = partial ? std::move(joined->second.text) : joined->second.text + std::string(content);
    pending_.erase(joined);
  }
  if (whole.text.size() > line_bytes_max_) whole.text.resize(line_bytes_max_);
  const auto last = last_.find(stream);
  if (last != last_.end()) whole.t = std::max(whole.t, last->second + 1);
  last_[stream] = whole.t;
  out.push_back(std::move(whole));
}

}  // namespace caisson::logs
