// SPDX-License-Identifier: Apache-2.0
// Follows go-yaml v2 (scannerc.go, parserc.go; decode.go for the line that is named: that of a parser's error counts
// from 0, and the first line is not named).
#include "core/expr/go_template/yaml_error.h"

#include "core/base/text.h"

namespace caisson::go_template {
namespace {

struct Words {
  std::string_view ours, theirs;
  bool scanner;
};
constexpr Words kWords[] = {
    {"a map's value is not allowed here", "mapping values are not allowed in this context", true},
    {"a map's first key must be on one line", "mapping values are not allowed in this context", true},
    {"a character that no value can begin with", "found character that cannot start any token", true},
    {"a tab where an indentation is expected", "found character that cannot start any token", true},
    {"expected ':' after a map's key", "could not find expected ':'", true},
    {"a map's key must be on one line", "could not find expected ':'", true},
    {"a document marker inside quotes", "found unexpected document indicator", true},
    {"quotes that are not closed", "found unexpected end of stream", true},
    {"unknown escape in a quoted string", "found unknown escape character", true},
    {"an escape without its hexadecimal digits", "did not find expected hexdecimal number", true},
    {"a block collection may not begin here", "block sequence entries are not allowed in this context", true},
    {"unexpected text in the header of a block scalar", "did not find expected comment or line break", true},
    {"a key inside a list must be on one line", "did not find expected ',' or ']'", false},
    {"a %YAML directive must name one version", "found incompatible YAML document", false},
    {"expected ',' or ']' after an item", "did not find expected ',' or ']'", false},
    {"expected ',' or '}' after a map's value", "did not find expected ',' or '}'", false},
    {"a flow collection that is not closed", "did not find expected node content", false},
    {"expected an item before ','", "did not find expected node content", false},
    {"expected a key before ','", "did not find expected node content", false},
    {"a line indented differently from the map it is in", "did not find expected key", false},
    {"a list's item where a map's key is expected", "did not find expected key", false},
    {"unexpected text after a map's value", "did not find expected key", false},
    {"a line indented differently from the list it is in", "did not find expected '-' indicator", false},
    {"expected '-' of the list's next item", "did not find expected '-' indicator", false},
    {"unexpected text after a list's item", "did not find expected '-' indicator", false},
    {"unexpected text after the document", "did not find expected <document start>", false},
};

}  // namespace

std::string go_yaml_error(const Error& error) {
  std::string_view text = error.message;
  std::int64_t line = 0;
  if (const std::size_t at = text.find("line "); at != std::string_view::npos) {
    const std::size_t comma = text.find(", column ", at), colon = text.find(": ", at);
    if (comma != std::string_view::npos && colon != std::string_view::npos) {
      line = caisson::parse_int(text.substr(at + 5, comma - at - 5)).value_or(0);
      text = text.substr(colon + 2);
    }
  }
  if (text.starts_with("unknown anchor \"")) {  // told by who composes the document, who names no line
    const std::string_view name = text.substr(text.find('"') + 1);
    return "yaml: unknown anchor '" + std::string(name.substr(0, name.find('"'))) + "' referenced";
  }
  if (text.starts_with("a merge key needs a map"))
    return "yaml: map merge requires map or sequence of maps as the value";
  for (const Words& words : kWords) {
    if (!text.starts_with(words.ours)) continue;
    if (!words.scanner || line == 1) --line;
    text = words.theirs;
    break;
  }
  return "yaml: " + (line > 0 ? "line " + std::to_string(line) + ": " : std::string()) + std::string(text);
}

}  // namespace caisson::go_template
