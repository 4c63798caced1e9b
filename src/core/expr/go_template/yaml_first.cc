// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/yaml_first.h"

#include <algorithm>
#include <optional>

#include "core/base/text.h"
#include "core/document/yaml.h"
#include "core/expr/go_template/yaml_error.h"

namespace caisson::go_template {
namespace {

Result<std::vector<Value>> read_stream(std::string_view text) {
  return yaml::read_all(text, {.old_booleans = true, .duplicate_keys_refused = false});
}

// Of "line 4, column 2: …": where that is in `text`; its end when the error names no place.
std::size_t place_of(const Error& error, std::string_view text) {
  const std::size_t line_at = error.message.find("line "), column_at = error.message.find(", column ");
  if (line_at == std::string::npos || column_at == std::string::npos) return text.size();
  const auto number = [&](std::size_t from) {
    const std::size_t end = error.message.find_first_not_of("0123456789", from);
    return static_cast<std::size_t>(caisson::parse_int(error.message.substr(from, end - from)).value_or(1));
  };
  std::size_t start = 0;
  for (std::size_t line = number(line_at + 5); line > 1; --line) start = text.find('\n', start) + 1;
  return std::min(start + number(column_at + 9) - 1, text.size());
}

bool is_behind_document(const Error& error) {
  return error.message.find("unexpected text after the document") != std::string::npos;
}

// Where the first document ends by a marker of its own; the text's end when it does not.
std::size_t first_marker(std::string_view text) {
  bool any_content = false;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = text.substr(start, end - start), word = caisson::trim(line);
    const bool is_marker = (line.starts_with("---") || line.starts_with("...")) &&
                           (line.size() == 3 || caisson::trim(line.substr(3, 1)).empty());
    if (is_marker && any_content) return start;
    any_content = any_content || (!word.empty() && word[0] != '#' && word[0] != '%' && word != "---");
    start = end + 1;
  }
  return text.size();
}

// go-yaml scans the token behind a document before it takes the document as ended. What is wrong with the one at `at`.
std::optional<Error> broken_token(std::string_view text, std::size_t at) {
  constexpr std::string_view kMayBeBroken = "|>'\"@`";
  if (at >= text.size() || kMayBeBroken.find(text[at]) == std::string_view::npos) return std::nullopt;
  std::string alone(text);  // at its place, so that errors name it
  std::replace_if(
      alone.begin(), alone.begin() + static_cast<std::ptrdiff_t>(at), [](char c) { return c != '\n'; }, ' ');
  const auto read = read_stream(alone);
  if (read.ok() || is_behind_document(read.error())) return std::nullopt;
  return read.error();
}

}  // namespace

Result<Value> read_first_yaml(std::string_view text) {
  const auto first_of = [](const std::vector<Value>& documents) { return documents.empty() ? Value() : documents[0]; };
  const auto all = read_stream(text);
  if (all.ok()) return first_of(*all);
  // What is wrong may stand behind the first document.
  const bool is_behind = is_behind_document(all.error());
  const std::size_t wrong_at = place_of(all.error(), text);
  const auto broken = is_behind ? broken_token(text, wrong_at) : std::nullopt;
  if (broken) return Error{broken->code, go_yaml_error(*broken, text)};
  const std::size_t end = is_behind ? wrong_at : first_marker(text);
  if (end < text.size() && end <= wrong_at) {
    const auto before = read_stream(text.substr(0, end));
    if (before.ok() && !before->empty()) return first_of(*before);
  }
  return Error{all.error().code, go_yaml_error(all.error(), text)};
}

}  // namespace caisson::go_template
