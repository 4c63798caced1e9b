// SPDX-License-Identifier: Apache-2.0
#include "core/base/log.h"

#include <unistd.h>

#include <atomic>
#include <mutex>

#include "core/base/clock.h"

namespace caisson::log {
namespace {

std::atomic<Level> least_level{Level::info};
std::mutex name_mutex;
std::string process_name = "caisson";

bool needs_quotes(std::string_view value) {
  return value.empty() || value.find_first_of(" \"=\n\t") != std::string_view::npos;
}

void append_value(std::string& line, std::string_view value) {
  if (!needs_quotes(value)) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') line += '\\';
    if (c == '\n')
      line += "\\n";
    else if (c == '\t')
      line += "\\t";
    else
      line += c;
  }
  line += '"';
}

void write(Level level, std::string_view name, std::string_view message, Fields fields) {
  if (level < least_level.load(std::memory_order_relaxed)) return;
  std::string line = format_time_micros(system_clock().now());
  line += ' ';
  line += name;
  {
    const std::lock_guard lock(name_mutex);
    line += ' ' + process_name + ": ";
  }
  line += message;
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    append_value(line, field.value);
  }
  line += '\n';
  // One write a line, so that lines of two processes don't mix. A log that can't be written has nowhere to be reported.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

void set_level(Level least) {
  least_level = least;
}
void set_process(std::string_view name) {
  const std::lock_guard lock(name_mutex);
  process_name = name;
}

void debug(std::string_view message, Fields fields) {
  write(Level::debug, "DEBUG", message, fields);
}
void info(std::string_view message, Fields fields) {
  write(Level::info, "INFO ", message, fields);
}
void warning(std::string_view message, Fields fields) {
  write(Level::warning, "WARN ", message, fields);
}
void error(std::string_view message, Fields fields) {
  write(Level::error, "ERROR", message, fields);
}

}  // namespace caisson::log
