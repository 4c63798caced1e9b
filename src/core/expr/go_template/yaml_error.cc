// SPDX-License-Identifier: Apache-2.0
// Follows go-yaml v2 (scannerc.go, parserc.go; decode.go for the line that is named: that of a parser's error counts
// from 0, and the first line is not named).
#include "core/expr/go_template/yaml_error.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/document/json.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

// Which line go-yaml names.
enum class Line : std::uint8_t {
  scanner,  // where it is; not the first one
  parser,   // the one before
  none,
  end,         // that of the text's end
  parser_end,  // the same, for the parser: behind a line break that is always there
  next_token,  // where what follows begins
};
struct Words {
  std::string_view ours, theirs;
  Line line;
};
constexpr Words kWords[] = {
    {"a map's value is not allowed here", "mapping values are not allowed in this context", Line::scanner},
    {"a map's first key must be on one line", "mapping values are not allowed in this context", Line::scanner},
    {"a character that no value can begin with", "found character that cannot start any token", Line::scanner},
    {"a tab where an indentation is expected", "found character that cannot start any token", Line::scanner},
    {"expected ':' after a map's key", "could not find expected ':'", Line::next_token},
    {"a map's key must be on one line", "could not find expected ':'", Line::scanner},
    {"a document marker inside quotes", "found unexpected document indicator", Line::scanner},
    {"quotes that are not closed", "found unexpected end of stream", Line::end},
    {"unknown escape in a quoted string", "found unknown escape character", Line::scanner},
    {"an escape without its hexadecimal digits", "did not find expected hexdecimal number", Line::scanner},
    {"a block collection may not begin here", "block sequence entries are not allowed in this context", Line::scanner},
    {"an indentation of 0 in the header of a block scalar", "found an indentation indicator equal to 0", Line::scanner},
    {"unexpected text in the header of a block scalar", "did not find expected comment or line break", Line::scanner},
    {"an anchor without a name", "did not find expected alphabetic or numeric character", Line::scanner},
    {"an alias without a name", "did not find expected alphabetic or numeric character", Line::scanner},
    {"a verbatim tag without its '>'", "did not find the expected '>'", Line::scanner},
    {"an unknown directive", "found unknown directive name", Line::scanner},
    {"a key inside a list must be on one line", "did not find expected ',' or ']'", Line::parser},
    {"a %YAML directive must name one version", "found incompatible YAML document", Line::parser},
    {"expected ',' or ']' after an item", "did not find expected ',' or ']'", Line::parser},
    {"expected ',' or '}' after a map's value", "did not find expected ',' or '}'", Line::parser},
    {"a list in brackets that is not closed", "did not find expected ',' or ']'", Line::parser_end},
    {"a map in braces that is not closed", "did not find expected ',' or '}'", Line::parser_end},
    {"a flow collection that is not closed", "did not find expected node content", Line::parser_end},
    {"expected an item before", "did not find expected node content", Line::parser},
    {"expected a key before", "did not find expected node content", Line::parser},
    {"a bracket or comma outside of brackets", "did not find expected node content", Line::parser},
    {"a tag whose handle no %TAG directive declares", "found undefined tag handle", Line::parser},
    {"a line indented differently from the map it is in", "did not find expected key", Line::parser},
    {"a list's item where a map's key is expected", "did not find expected key", Line::parser},
    {"unexpected text after a map's value", "did not find expected key", Line::parser},
    {"a line indented differently from the list it is in", "did not find expected '-' indicator", Line::parser},
    {"expected '-' of the list's next item", "did not find expected '-' indicator", Line::parser},
    {"unexpected text after a list's item", "did not find expected '-' indicator", Line::parser},
    {"unexpected text after the document", "did not find expected <document start>", Line::parser},
    {"a control character", "control characters are not allowed", Line::none},
    {"a !!binary scalar that is not base64", "!!binary value contains invalid base64 data", Line::none},
    {"a merge key needs a map", "map merge requires map or sequence of maps as the value", Line::none},
};

// The line of the first character behind line `line`, blank lines passed over; behind the last line when there is none.
std::int64_t next_token_line(std::string_view text, std::int64_t line) {
  std::size_t at = 0;
  for (std::int64_t passed = 1; passed < line && at != std::string_view::npos; ++passed) {
    at = text.find('\n', at);
    if (at != std::string_view::npos) ++at;
  }
  at = at == std::string_view::npos ? at : text.find('\n', at);
  for (; at < text.size(); ++at) {
    if (text[at] == '\n')
      ++line;
    else if (text[at] != ' ' && text[at] != '\t')
      return line;
  }
  return text.ends_with('\n') ? line : line + 1;
}

// The line as go-yaml names it; 0 when it names none. Without a text, what needs one is named as best can be.
std::int64_t named_line(Line rule, std::int64_t line, std::string_view text) {
  const auto end = std::count(text.begin(), text.end(), '\n') + 1;
  switch (rule) {
    case Line::none:
      return 0;
    case Line::parser:
      return line - 1;
    case Line::parser_end:
      return text.empty() ? line - 1 : text.ends_with('\n') ? end - 1 : end;
    case Line::end:
      line = text.empty() ? line : end;
      break;
    case Line::next_token:
      line = text.empty() ? line : next_token_line(text, line);
      break;
    case Line::scanner:
      break;
  }
  return line == 1 ? 0 : line;
}

// What is between the first two of `quote` in `text`.
std::string between_quotes(std::string_view text) {
  const std::size_t first = text.find('"'), last = text.rfind('"');
  return first >= last ? std::string() : std::string(text.substr(first + 1, last - first - 1));
}

// A value as Go's %#v writes what go-yaml has read. `json`: it, in JSON.
std::string go_syntax(const Value& value) {
  std::string out;
  if (value.is_list()) {
    for (const Value& item : value.items())
      out += (out.empty() ? "" : ", ") + (item.is_null() ? "interface {}(nil)" : go_syntax(item));
    return "[]interface {}{" + out + "}";
  }
  if (value.is_map()) {
    Value sorted = value;
    sorted.sort_keys(false);
    for (const auto& [key, item] : sorted.entries())
      out += (out.empty() ? "" : ", ") + quote(key) + ":" + (item.is_null() ? "interface {}(nil)" : go_syntax(item));
    return "map[interface {}]interface {}{" + out + "}";
  }
  if (value.is_string()) return quote(value.as_string());
  return value.is_null() ? "<nil>" : value.scalar_text();
}
std::string go_syntax_of_json(std::string_view json) {
  const auto value = json::parse(json);
  return value.ok() ? go_syntax(*value) : std::string(json);
}

// The errors of the one who makes values of nodes, which name no line. Empty for others.
std::string composing_error(std::string_view text) {
  if (text.starts_with("unknown anchor \"")) return "yaml: unknown anchor '" + between_quotes(text) + "' referenced";
  if (text.starts_with("the anchor \"")) return "yaml: anchor '" + between_quotes(text) + "' value contains itself";
  constexpr std::string_view kKey = "a map's key must be a scalar: ";
  if (text.starts_with(kKey)) return "yaml: invalid map key: " + go_syntax_of_json(text.substr(kKey.size()));
  constexpr std::string_view kNull = "unsupported map key of type: null, value: ";
  if (text.starts_with(kNull)) {
    return "unsupported map key of type: %!s(<nil>), key: <nil>, value: " +
           go_syntax_of_json(text.substr(kNull.size()));
  }
  constexpr std::string_view kCannot = "cannot read ";
  if (text.starts_with(kCannot)) {
    const std::string_view found = text.substr(kCannot.size());
    return "yaml: cannot decode " + std::string(found.substr(0, found.find(' '))) + " `" + between_quotes(found) +
           "` as a " + std::string(text.substr(text.rfind(' ') + 1));
  }
  return {};
}

}  // namespace

std::string go_yaml_error(const Error& error, std::string_view document) {
  std::string_view text = error.message;
  std::int64_t line = 0;
  if (const std::size_t at = text.find("line "); at != std::string_view::npos) {
    const std::size_t comma = text.find(", column ", at), colon = text.find(": ", at);
    if (comma != std::string_view::npos && colon != std::string_view::npos) {
      line = caisson::parse_int(text.substr(at + 5, comma - at - 5)).value_or(0);
      text = text.substr(colon + 2);
    }
  }
  if (std::string composing = composing_error(text); !composing.empty()) return composing;
  for (const Words& words : kWords) {
    if (!text.starts_with(words.ours)) continue;
    line = named_line(words.line, line, document);
    text = words.theirs;
    break;
  }
  return "yaml: " + (line > 0 ? "line " + std::to_string(line) + ": " : std::string()) + std::string(text);
}

}  // namespace caisson::go_template
