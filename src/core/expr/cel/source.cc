// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/source.h"

#include <algorithm>

namespace caisson::cel {
namespace {

constexpr std::size_t kFindingsMax = 100;

bool starts_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

std::string show(std::string_view text, std::size_t offset, const std::string& message) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const std::size_t line_number = 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  std::string line(text.substr(line_begin, text.find('\n', line_begin) - line_begin));
  std::string marks;
  std::size_t column = 1;
  for (std::size_t i = line_begin; i < offset; ++i) {
    if (!starts_character(text[i])) continue;
    ++column;
    marks += static_cast<unsigned char>(text[i]) < 0x80 ? "." : "．";
  }
  std::replace(line.begin(), line.end(), '\t', ' ');
  const bool wide = offset < text.size() && static_cast<unsigned char>(text[offset]) >= 0x80;
  return "ERROR: <input>:" + std::to_string(line_number) + ":" + std::to_string(column) + ": " + message + "\n | " +
         line + "\n | " + marks + (wide ? "＾" : "^");
}

}  // namespace

void Findings::add(std::uint32_t offset, std::string message) {
  findings_.push_back({offset, std::move(message)});
}

std::string Findings::str() const {
  auto sorted = findings_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Finding& a, const Finding& b) { return a.offset < b.offset; });
  std::string out;
  for (std::size_t i = 0; i < std::min(sorted.size(), kFindingsMax); ++i) {
    if (i > 0) out += "\n";
    out += show(text_, sorted[i].offset, sorted[i].message);
  }
  if (sorted.size() > kFindingsMax)
    out += "\n" + std::to_string(sorted.size() - kFindingsMax) + " more errors were truncated";
  return out;
}

}  // namespace caisson::cel
