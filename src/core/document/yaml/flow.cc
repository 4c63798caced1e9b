// SPDX-License-Identifier: Apache-2.0
// Flow nodes: [a, b], {a: b}, and single pairs in lists.
#include "core/document/yaml/parser.h"

namespace caisson::yaml {
namespace {

constexpr char kListNotClosed[] = "a list in brackets that is not closed";
constexpr char kMapNotClosed[] = "a map in braces that is not closed";

}  // namespace

bool Parser::skip_flow(int indent, const char* at_end_message) {
  if (!room_for_more()) return false;
  const std::size_t line = line_start_;
  skip_separation();
  if (at_end()) return fail(at_end_message);
  if (line_start_ == line) return true;
  if (at_document_marker()) return fail("a document marker inside a flow collection");
  if (strict_ && indent_here() <= indent) return fail("a flow collection's line is not indented enough");
  return true;
}

// ':' as the indicator of a value; behind a quoted or bracketed key a space is not needed.
bool Parser::at_flow_value(bool json_like) const {
  return peek() == ':' && (json_like || is_blank_or_end(peek(1)) || is_flow_indicator(peek(1)));
}

// json_like: it ended with a quote or a bracket.
bool Parser::flow_node(int indent, bool& json_like) {
  json_like = false;
  Properties own;
  while (peek() == '&' || peek() == '!') {
    Properties more;
    if (!properties(more)) return false;
    if (!merge(own, more)) return false;
    own = more;
    if (!skip_flow(indent)) return false;
  }
  const char c = peek();
  if (c == ',' || c == ']' || c == '}' || at_flow_value(false)) return emit_empty(own);
  if (c == '[' || c == '{' || c == '"' || c == '\'') {
    json_like = true;
    return atom(indent, false, own);
  }
  if (c == '*') return atom(indent, false, own);
  if (!can_start_plain(true)) return fail("a character that no value can begin with");
  const std::size_t at = at_;
  std::string_view value;
  if (!plain(indent, true, false, value)) return false;
  emit(EventKind::scalar, Style::plain, own, at, value);
  return true;
}

// After ':'; what is not there is null.
bool Parser::flow_value(int indent) {
  ++at_;
  if (!skip_flow(indent)) return false;
  if (peek() == ',' || peek() == ']' || peek() == '}') return emit_empty({});
  bool json_like;
  return flow_node(indent, json_like);
}

// "? key : value" inside brackets, the place behind '?'.
bool Parser::flow_explicit_pair(int indent) {
  ++at_;
  if (!skip_flow(indent)) return false;
  bool json_like = false;
  if (peek() == ',' || peek() == ']' || peek() == '}') {
    emit_empty({});
  } else if (!flow_node(indent, json_like)) {
    return false;
  }
  if (!skip_flow(indent)) return false;
  return at_flow_value(json_like) ? flow_value(indent) : emit_empty({});
}

bool Parser::flow_list(int indent) {
  if (!deeper()) return false;
  ++at_;
  while (true) {
    if (!skip_flow(indent)) return false;
    if (peek() == ']') break;
    if (peek() == ',' || peek() == '}') return fail("expected an item before ',' or '}'");
    const std::size_t index = out_.events.size();
    const std::size_t line = line_start_, start = at_;
    bool pair = true;
    if (peek() == '?' && (is_blank_or_end(peek(1)) || is_flow_indicator(peek(1)))) {
      emit(EventKind::map_start, Style::flow);
      if (!flow_explicit_pair(indent)) return false;
    } else {
      bool json_like;
      if (!flow_node(indent, json_like)) return false;
      if (!skip_flow(indent, kListNotClosed)) return false;
      pair = at_flow_value(json_like);
      if (pair) {
        if (line_start_ != line) return fail("a key inside a list must be on one line");
        begin_map_before(index, Style::flow, {}, start);
        if (!flow_value(indent)) return false;
      }
    }
    if (pair) emit(EventKind::map_end, Style::flow);
    if (!skip_flow(indent, kListNotClosed)) return false;
    if (peek() == ']') break;
    if (peek() != ',') return fail("expected ',' or ']' after an item");
    ++at_;
  }
  ++at_;
  emit(EventKind::list_end, Style::flow);
  --depth_;
  return true;
}

bool Parser::flow_map(int indent) {
  if (!deeper()) return false;
  ++at_;
  while (true) {
    if (!skip_flow(indent)) return false;
    if (peek() == '}') break;
    if (peek() == ',' || peek() == ']') return fail("expected a key before ',' or ']'");
    if (peek() == '?' && (is_blank_or_end(peek(1)) || is_flow_indicator(peek(1)))) {
      if (!flow_explicit_pair(indent)) return false;
    } else {
      bool json_like;
      if (!flow_node(indent, json_like)) return false;
      if (!skip_flow(indent, kMapNotClosed)) return false;
      if (!(at_flow_value(json_like) ? flow_value(indent) : emit_empty({}))) return false;
    }
    if (!skip_flow(indent, kMapNotClosed)) return false;
    if (peek() == '}') break;
    if (peek() != ',') return fail("expected ',' or '}' after a map's value");
    ++at_;
  }
  ++at_;
  emit(EventKind::map_end, Style::flow);
  --depth_;
  return true;
}

}  // namespace caisson::yaml
