// SPDX-License-Identifier: Apache-2.0
// Documents, block nodes and properties. Flow nodes: flow.cc.
#include "core/document/yaml/parser.h"

namespace caisson::yaml {

void Parser::emit(EventKind kind, Style style, const Properties& properties, std::size_t at, std::string_view value) {
  Event& event = out_.events.emplace_back(Event{kind, style});
  event.value = value;
  event.offset = static_cast<std::uint32_t>(at);
  if (properties.empty()) return;
  event.offset = static_cast<std::uint32_t>(properties.at);
  event.properties = keep(properties);
}

void Parser::begin_map_before(std::size_t index, Style style, const Properties& properties, std::size_t at) {
  Event event{EventKind::map_start, style};
  event.offset = static_cast<std::uint32_t>(at);
  if (!properties.empty()) event.properties = keep(properties);
  out_.events.insert(out_.events.begin() + static_cast<std::ptrdiff_t>(index), event);
}

std::uint32_t Parser::keep(const Properties& properties) {
  out_.properties.push_back({properties.anchor, properties.tag});
  return static_cast<std::uint32_t>(out_.properties.size() - 1);
}

// --- documents

bool Parser::stream() {
  bool ended = true;  // directives may come: the stream's start, or after "..."
  while (true) {
    skip_separation();
    bool any_directive = false;
    tag_handles_.clear();
    yaml_directive_ = false;
    if (ended && !directives(any_directive)) return false;
    if (at_end()) return !any_directive || fail("a directive without a document");
    if (at_document_marker() && peek() == '.') {
      if (any_directive) return fail("a directive without a document");
      if (!document_suffix()) return false;
      ended = true;
      continue;
    }
    const bool explicit_start = at_document_marker();
    if (any_directive && !explicit_start) return fail("expected '---' after directives");
    if (!ended && !explicit_start) return fail("unexpected text after the document");
    if (!document(explicit_start)) return false;
    ended = out_.events.back().is_explicit;
  }
}

bool Parser::directives(bool& any) {
  while (peek() == '%' && column() == 0) {
    any = true;
    if (!directive()) return false;
    skip_separation();
  }
  return true;
}

bool Parser::directive() {
  const std::size_t end = std::min(text_.find('\n', at_), text_.size());
  std::string_view line = text_.substr(at_, end - at_);
  const std::size_t comment = line.find(" #");
  if (comment != std::string_view::npos) line = line.substr(0, comment);
  std::vector<std::string_view> words;
  for (std::size_t i = 0; i < line.size();) {
    while (i < line.size() && is_blank(line[i])) ++i;
    const std::size_t start = i;
    while (i < line.size() && !is_blank(line[i])) ++i;
    if (i > start) words.push_back(line.substr(start, i - start));
  }
  if (words[0] == "%YAML") {
    if (yaml_directive_) return fail("a second %YAML directive");
    if (words.size() != 2 || words[1].size() < 3 || words[1].substr(0, 2) != "1." ||
        words[1].find_first_not_of("0123456789", 2) != words[1].npos) {
      return fail("a %YAML directive must name one version, 1.x");
    }
    yaml_directive_ = true;
  } else if (words[0] == "%TAG") {
    if (words.size() != 3 || words[1].front() != '!' || words[1].back() != '!')
      return fail("a %TAG directive must name a handle and a prefix");
    for (const auto& [handle, prefix] : tag_handles_) {
      if (handle == words[1]) return fail("a second %TAG directive for one handle");
    }
    tag_handles_.emplace_back(words[1], words[2]);
  } else if (!strict_) {
    return fail("an unknown directive");
  }
  at_ = end;
  return true;
}

bool Parser::document(bool explicit_start) {
  emit(EventKind::document_start, Style::plain);
  out_.events.back().is_explicit = explicit_start;
  if (explicit_start) at_ += 3;
  if (!block_node(-1, false, false)) return false;
  skip_separation();
  const bool marker = at_document_marker();
  if (!at_end() && !marker) return fail("unexpected text after the document's content");
  const bool explicit_end = marker && peek() == '.';
  emit(EventKind::document_end, Style::plain);
  out_.events.back().is_explicit = explicit_end;
  return !explicit_end || document_suffix();
}

bool Parser::document_suffix() {
  at_ += 3;
  const std::size_t line = line_start_;
  skip_separation();
  return at_end() || line_start_ != line || fail("unexpected text after '...'");
}

// --- block nodes

bool Parser::block_ended(int indent, bool same_column_list) const {
  if (at_end() || at_document_marker()) return true;
  if (!fresh_line()) return false;
  const int here = indent_here();
  if (here > indent) return false;
  return !(same_column_list && here == indent && column() == here && at_indicator('-'));
}

// A node below a parent of `indent`. compact: a collection may begin on this line, as after "- ". same_column_list: a
// list may stand in the parent's own column, as below a map's key.
bool Parser::block_node(int indent, bool compact, bool same_column_list) {
  if (!deeper() || !room_for_more()) return false;
  const std::size_t first_line = line_start_;
  skip_separation();
  if (block_ended(indent, same_column_list)) return --depth_, emit_empty({});
  bool collection_allowed = compact || fresh_line() || line_start_ != first_line;
  Properties outer, own;
  std::size_t start = at_;
  const auto property_follows = [&] { return peek() == '&' || peek() == '!'; };
  if (property_follows()) {
    std::size_t line = line_start_;
    if (!properties(own)) return false;
    skip_separation();
    if (line_start_ != line) {
      outer = std::exchange(own, {});
      if (block_ended(indent, same_column_list)) return --depth_, emit_empty(outer);
      collection_allowed = true;
      start = at_;
      if (property_follows()) {
        line = line_start_;
        if (!properties(own)) return false;
        skip_separation();
        if (line_start_ != line) {
          if (!merge(own, outer)) return false;
          own = {};
          if (block_ended(indent, same_column_list)) return --depth_, emit_empty(outer);
          start = at_;
        }
      }
    } else if (at_end() || at_document_marker()) {
      return --depth_, emit_empty(own);
    }
  }
  const bool good = block_content(indent, collection_allowed, outer, own, start);
  --depth_;
  return good;
}

bool Parser::block_content(int indent, bool collection_allowed, const Properties& outer, const Properties& own,
                           std::size_t start) {
  const char c = peek();
  const auto start_column = static_cast<int>(start - line_start_);
  if (at_indicator('-') || at_indicator('?')) {
    if (!own.empty()) return fail("properties of a block collection must stand on a line before it");
    if (!collection_allowed) return fail("a block collection may not begin here");
    if (tab_before()) return fail("a tab where an indentation is expected");
    if (c == '-') return block_list(start_column, indent, outer);
    emit(EventKind::map_start, Style::block, outer, at_);
    return block_map(start_column, false);
  }
  if (c == '|' || c == '>') {
    Properties both = own;
    if (!merge(outer, both)) return false;
    const std::size_t at = at_;
    std::string_view value;
    Style style;
    if (!block_scalar(indent, value, style)) return false;
    emit(EventKind::scalar, style, both, at, value);
    return true;
  }
  const std::size_t index = out_.events.size();
  const std::size_t line = line_start_;
  if (at_indicator(':')) {
    emit_empty(own);
  } else if (!atom(indent, false, own)) {
    return false;
  }
  const bool one_line = line_start_ == line;
  skip_blanks();
  if (!at_indicator(':')) {
    if (outer.empty()) return true;
    if (out_.events[index].kind == EventKind::alias) return fail("an alias may not have properties");
    Properties both = own;
    if (!merge(outer, both)) return false;
    out_.events[index].properties = keep(both);
    return true;
  }
  if (!one_line) return fail("a map's first key must be on one line");
  if (!collection_allowed) return fail("a map's value is not allowed here; is the text to be quoted?");
  const std::size_t colon = std::exchange(at_, start);
  const bool tab = tab_before();
  at_ = colon;
  if (tab) return fail("a tab where an indentation is expected");
  begin_map_before(index, Style::block, outer, start);
  return block_map(start_column, true);
}

// A scalar, an alias or a flow collection.
bool Parser::atom(int indent, bool one_line, const Properties& properties) {
  const char c = peek();
  const std::size_t at = at_;
  std::string_view value;
  Style style = Style::plain;
  if (c == '*') {
    if (!properties.empty()) return fail("an alias may not have properties");
    ++at_;
    if (!name(value, "an alias without a name")) return false;
    emit(EventKind::alias, style, {}, at, value);
    return true;
  }
  if (c == '[' || c == '{') {
    const bool map = c == '{';
    emit(map ? EventKind::map_start : EventKind::list_start, Style::flow, properties, at);
    return map ? flow_map(indent) : flow_list(indent);
  }
  if (c == '"') {
    style = Style::double_quoted;
    if (!double_quoted(indent, value)) return false;
  } else if (c == '\'') {
    style = Style::single_quoted;
    if (!single_quoted(indent, value)) return false;
  } else if (can_start_plain(false)) {
    if (!plain(indent, false, one_line, value)) return false;
  } else if (c == ']' || c == '}' || c == ',') {
    return fail("a bracket or comma outside of brackets");
  } else {
    return fail(c == '\t' ? "a tab where an indentation is expected" : "a character that no value can begin with");
  }
  emit(EventKind::scalar, style, properties, at, value);
  return true;
}

bool Parser::block_list(int column_of_list, int indent, const Properties& properties) {
  emit(EventKind::list_start, Style::block, properties, at_);
  while (true) {
    ++at_;
    if (!block_node(column_of_list, true, false)) return false;
    skip_separation();
    if (at_end() || at_document_marker()) break;
    if (!fresh_line()) return fail("unexpected text after a list's item");
    const int here = indent_here();
    if (here < column_of_list) break;
    if (column() != here) return fail("a tab where an indentation is expected");
    if (here > column_of_list) return fail("a line indented differently from the list it is in");
    if (at_indicator('-')) continue;
    if (column_of_list != indent) return fail("expected '-' of the list's next item");
    break;
  }
  emit(EventKind::list_end, Style::block);
  return true;
}

// first_key_read: the place is at the ':' behind the first key.
bool Parser::block_map(int column_of_map, bool first_key_read) {
  bool key_read = first_key_read;
  while (true) {
    if (!key_read && at_indicator('?')) {
      if (!explicit_entry(column_of_map)) return false;
    } else {
      if (!key_read && !implicit_key(column_of_map)) return false;
      ++at_;
      if (!block_node(column_of_map, false, true)) return false;
    }
    key_read = false;
    skip_separation();
    if (at_end() || at_document_marker()) break;
    if (!fresh_line()) return fail("unexpected text after a map's value");
    const int here = indent_here();
    if (here < column_of_map) break;
    if (column() != here) return fail("a tab where an indentation is expected");
    if (here > column_of_map) return fail("a line indented differently from the map it is in");
    if (at_indicator('-')) return fail("a list's item where a map's key is expected");
  }
  emit(EventKind::map_end, Style::block);
  return true;
}

bool Parser::explicit_entry(int column_of_map) {
  ++at_;
  if (!block_node(column_of_map, true, true)) return false;
  skip_separation();
  if (fresh_line() && column() == column_of_map && indent_here() == column_of_map && at_indicator(':')) {
    ++at_;
    return block_node(column_of_map, true, true);
  }
  return emit_empty({});
}

bool Parser::implicit_key(int column_of_map) {
  const std::size_t line = line_start_;
  Properties own;
  if ((peek() == '&' || peek() == '!') && !properties(own)) return false;
  if (at_indicator(':')) {
    emit_empty(own);
  } else if (!atom(column_of_map, true, own)) {
    return false;
  }
  if (line_start_ != line) return fail("a map's key must be on one line");
  skip_blanks();
  return at_indicator(':') || fail("expected ':' after a map's key");
}

// --- properties

// An anchor and a tag in either order on one line; leaves the place at what follows on that line.
bool Parser::properties(Properties& out) {
  out.at = at_;
  while (peek() == '&' || peek() == '!') {
    if (peek() == '&') {
      if (!out.anchor.empty()) return fail("a second anchor on one node");
      ++at_;
      if (!name(out.anchor, "an anchor without a name")) return false;
    } else {
      if (!out.tag.empty()) return fail("a second tag on one node");
      if (!tag(out.tag)) return false;
    }
    if (!is_blank_or_end(peek()) && !is_flow_indicator(peek()))
      return fail("expected a space after an anchor or a tag");
    if (is_flow_indicator(peek()) && peek() != ',' && peek() != ']' && peek() != '}')
      return fail("expected a space after an anchor or a tag");
    skip_blanks();
  }
  return true;
}

// The one node has both sets.
bool Parser::merge(const Properties& outer, Properties& own) {
  if ((!outer.anchor.empty() && !own.anchor.empty()) || (!outer.tag.empty() && !own.tag.empty())) {
    return fail("a second anchor or tag on one node");
  }
  if (own.empty()) own.at = outer.at;
  if (own.anchor.empty()) own.anchor = outer.anchor;
  if (own.tag.empty()) own.tag = outer.tag;
  return true;
}

bool Parser::name(std::string_view& out, const char* what) {
  const std::size_t start = at_;
  while (!is_blank_or_end(peek()) && !is_flow_indicator(peek())) {
    if (!strict_ && peek() == ':' && is_blank_or_end(peek(1))) break;  // go-yaml: "*a: x" is an alias as key
    ++at_;
  }
  out = text_.substr(start, at_ - start);
  return !out.empty() || fail(what);
}

bool Parser::tag(std::string_view& out) {
  const std::size_t start = at_++;
  if (peek() == '<') {
    const std::size_t end = text_.find_first_of("> \t\n", at_);
    if (end == std::string_view::npos || text_[end] != '>' || end == at_ + 1)
      return fail("a verbatim tag without its '>'");
    out = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return true;
  }
  while (!is_blank_or_end(peek()) && !is_flow_indicator(peek())) ++at_;
  const std::string_view written = text_.substr(start, at_ - start);
  if (written == "!") {
    out = written;
    return true;
  }
  const std::size_t second = written.find('!', 1);
  const std::string_view handle = second == std::string_view::npos ? "!" : written.substr(0, second + 1);
  const std::string_view suffix = written.substr(handle.size());
  if (suffix.empty() || suffix.find('!') != suffix.npos) return fail_at(start, "a tag without its name");
  std::string& full = store();
  bool known = false;
  for (const auto& [declared, prefix] : tag_handles_) {
    if (declared != handle) continue;
    full = prefix;
    known = true;
  }
  if (!known && handle == "!!")
    full = "tag:yaml.org,2002:";
  else if (!known && handle == "!")
    full = "!";
  else if (!known)
    return fail_at(start, "a tag whose handle no %TAG directive declares");
  for (std::size_t i = 0; i < suffix.size(); ++i) {
    if (suffix[i] != '%') {
      full += suffix[i];
      continue;
    }
    static constexpr std::string_view kHex = "0123456789abcdefABCDEF";
    if (i + 2 >= suffix.size() || kHex.find(suffix[i + 1]) == kHex.npos || kHex.find(suffix[i + 2]) == kHex.npos) {
      return fail_at(start, "a tag with a malformed escape");
    }
    full += static_cast<char>(std::stoi(std::string(suffix.substr(i + 1, 2)), nullptr, 16));
    i += 2;
  }
  out = full;
  return true;
}

}  // namespace caisson::yaml
