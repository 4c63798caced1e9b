// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/store/rules.h"

#include <algorithm>

namespace caisson::logs {
namespace {

Error refused(std::string message) {
  return {ErrorCode::bad_request, std::move(message)};
}

std::string stream_text(const Labels& labels) {
  return labels.str();
}

}  // namespace

std::string time_text(std::int64_t t) {
  std::string text = format_time_nanos(Time(std::chrono::nanoseconds(t)));
  const std::size_t dot = text.find('.');
  if (dot == std::string::npos) return text;
  std::size_t end = text.size() - 1;  // the Z
  while (end > dot && (text[end - 1] == '0' || text[end - 1] == '.')) --end;
  return text.substr(0, end) + "Z";
}

Result<void> check_labels(const Labels& labels, const StoreOptions& options) {
  if (labels.empty()) return refused("error at least one label pair is required per stream");
  const std::string text = stream_text(labels);
  if (labels.items().size() > options.label_names_max)
    return refused("entry for stream '" + text + "' has " + std::to_string(labels.items().size()) +
                   " label names; limit " + std::to_string(options.label_names_max));
  for (const Label label : labels.items()) {
    if (!metrics::is_plain_label_name(label.name))
      return refused("stream '" + text + "' has invalid label name: '" + label.name + "'");
    if (label.name.size() > options.label_name_bytes_max)
      return refused("stream '" + text + "' has label name too long: '" + label.name + "'");
    if (label.value.size() > options.label_value_bytes_max)
      return refused("stream '" + text + "' has label value too long: '" + label.value + "'");
  }
  return {};
}

Result<void> check_entry(const Labels& labels, const NewEntry& entry, std::int64_t newest, std::int64_t now,
                         const StoreOptions& options) {
  if (entry.line.size() > options.line_bytes_max)
    return refused("Max entry size '" + std::to_string(options.line_bytes_max) + "' bytes exceeded for stream '" +
                   stream_text(labels) + "' while adding an entry with length '" + std::to_string(entry.line.size()) +
                   "' bytes");
  if (entry.t < now - options.too_old)
    return refused("entry for stream '" + stream_text(labels) + "' has timestamp too old: " + time_text(entry.t) +
                   ", oldest acceptable timestamp is: " + time_text(now - options.too_old));
  if (entry.t > now + options.too_new)
    return refused("entry for stream '" + stream_text(labels) + "' has timestamp too new: " + time_text(entry.t));
  if (newest != INT64_MIN && entry.t < newest - options.out_of_order)
    return refused("entry too far behind, entry timestamp is: " + time_text(entry.t) +
                   ", oldest acceptable timestamp is: " + time_text(newest - options.out_of_order));
  const auto metadata = entry.metadata.items();
  if (metadata.size() > options.metadata_names_max)
    return refused("stream '" + stream_text(labels) + "' has too many structured metadata labels: '" +
                   std::to_string(metadata.size()) + "', limit: '" + std::to_string(options.metadata_names_max) + "'");
  std::size_t bytes = 0;
  for (const LabelView label : metadata) bytes += label.name.size() + label.value.size();
  if (bytes > options.metadata_bytes_max)
    return refused("stream '" + stream_text(labels) + "' has structured metadata too large: '" + std::to_string(bytes) +
                   "' bytes, limit: '" + std::to_string(options.metadata_bytes_max) + "' bytes");
  return {};
}

bool RateBucket::take(double bytes, Duration now) {
  left_ = std::min(burst_, left_ + rate_ * std::chrono::duration<double>(now - last_).count());
  last_ = now;
  if (bytes > left_) return false;
  left_ -= bytes;
  return true;
}

}  // namespace caisson::logs
