// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/sources/proc_text.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {

std::vector<std::vector<std::string>> words_of(const std::string& path, std::size_t lines_max) {
  std::vector<std::vector<std::string>> lines;
  const auto text = read_file(path, 4u << 20);
  if (!text.ok()) return lines;
  for (const std::string_view line : split(*text, '\n')) {
    if (line.empty() || lines.size() == lines_max) continue;
    std::vector<std::string> words;
    std::size_t at = 0;
    while ((at = line.find_first_not_of(" \t", at)) != std::string_view::npos) {
      const std::size_t end = std::min(line.find_first_of(" \t", at), line.size());
      words.emplace_back(line.substr(at, end - at));
      at = end;
    }
    if (!words.empty()) lines.push_back(std::move(words));
  }
  return lines;
}

double number_of(std::string_view text) {
  return parse_float(text).value_or(0);
}

std::vector<InterfaceLine> interfaces(const std::string& proc) {
  std::vector<InterfaceLine> found;
  const auto text = read_file(proc + "/net/dev", 1u << 20);
  if (!text.ok()) return found;
  for (const std::string_view line : split(*text, '\n')) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    InterfaceLine out{std::string(trim(line.substr(0, colon))), {}};
    std::size_t column = 0;
    for (const std::string_view word : split(line.substr(colon + 1), ' '))
      if (!word.empty() && column < out.values.size()) out.values[column++] = number_of(word);
    found.push_back(std::move(out));
  }
  return found;
}

}  // namespace caisson::metrics
