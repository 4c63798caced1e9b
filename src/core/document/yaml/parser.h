// SPDX-License-Identifier: Apache-2.0
// Recursive descent over the characters of a YAML stream. Cursor knows characters, lines and white space; Scalars reads
// the five scalar styles; Parser knows nodes and documents. Every function that can fail gives false and has left
// message and place.
//
// An implicit key is recognised after it was read: its events are in the list, and when ':' follows, the start of the
// map is put before them. So nothing is read twice.
#pragma once
#include "core/document/yaml/events.h"

namespace caisson::yaml {

class Cursor {
 public:
  Cursor(Events& out, bool strict) : out_(out), text_(out.text), strict_(strict) { enter_line(0); }
  const char* message() const { return message_; }
  std::size_t failed_at() const { return failed_at_; }

 protected:
  bool fail(const char* message) { return fail_at(at_, message); }
  bool fail_at(std::size_t offset, const char* message);

  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool at_end() const { return at_ >= text_.size(); }
  static bool is_blank(char c) { return c == ' ' || c == '\t'; }
  static bool is_blank_or_end(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\0'; }
  static bool is_flow_indicator(char c) { return c == ',' || c == '[' || c == ']' || c == '{' || c == '}'; }

  int column() const { return static_cast<int>(at_ - line_start_); }
  int indent_here() const { return line_indent_; }       // leading spaces of this line
  bool fresh_line() const { return at_ <= line_text_; }  // only white space stands before this place on its line
  bool tab_before() const;                               // the white space right before this place has a tab
  bool at_document_marker() const;                       // "---" or "..." at the line's start
  bool at_indicator(char c) const { return peek() == c && is_blank_or_end(peek(1)); }

  void skip_blanks() {
    while (is_blank(peek())) ++at_;
  }
  void next_line() { enter_line(++at_); }
  void enter_line(std::size_t start);
  void skip_to_line_end() { at_ = std::min(text_.find('\n', at_), text_.size()); }
  // White space, comments and line ends up to the next content.
  void skip_separation();

  std::string& store() { return out_.storage.emplace_back(); }

  Events& out_;
  std::string_view text_;
  bool strict_;  // by the specification, where go-yaml is lenient
  std::size_t at_ = 0;
  std::size_t line_start_ = 0;
  std::size_t line_text_ = 0;  // where this line's first character stands that is no white space
  int line_indent_ = 0;
  const char* message_ = nullptr;
  std::size_t failed_at_ = 0;
};

// `indent` is everywhere that of the parent: lines of a node must be indented more.
class Scalars : public Cursor {
 protected:
  using Cursor::Cursor;
  bool can_start_plain(bool flow) const;
  bool plain(int indent, bool flow, bool one_line, std::string_view& out);
  bool single_quoted(int indent, std::string_view& out);
  bool double_quoted(int indent, std::string_view& out);
  bool block_scalar(int indent, std::string_view& out, Style& style);

 private:
  bool is_plain_safe(char c, bool flow) const { return !is_blank_or_end(c) && !(flow && is_flow_indicator(c)); }
  std::size_t plain_line_end(bool flow) const;
  bool quoted_line_break(int indent, std::string& out);
  bool escape(std::string& out);
  bool block_header(int& explicit_indent, char& chomping);
  bool detect_block_indent(int parent, int& indent);
};

struct Properties {
  std::string_view anchor, tag;
  std::size_t at = 0;
  bool empty() const { return anchor.empty() && tag.empty(); }
};

class Parser : public Scalars {
 public:
  Parser(Events& out, bool strict, std::size_t depth_max, std::size_t events_max)
      : Scalars(out, strict), depth_max_(depth_max), events_max_(events_max) {}
  bool stream();

 private:
  // documents
  bool directives(bool& any);
  bool directive();
  bool document(bool explicit_start);
  bool document_suffix();

  // block nodes
  bool block_node(int indent, bool compact, bool same_column_list);
  bool block_content(int indent, bool collection_allowed, const Properties& outer, const Properties& own,
                     std::size_t start);
  bool block_list(int column, int indent, const Properties& properties);
  bool block_map(int column, bool first_key_read);
  bool explicit_entry(int column);
  bool implicit_key(int column);
  bool block_ended(int indent, bool same_column_list) const;
  bool atom(int indent, bool one_line, const Properties& properties);

  // flow nodes
  bool skip_flow(int indent, const char* at_end_message = "a flow collection that is not closed");
  bool flow_node(int indent, bool& json_like);
  bool flow_list(int indent);
  bool flow_map(int indent);
  bool flow_value(int indent);
  bool at_flow_value(bool json_like) const;
  bool flow_explicit_pair(int indent);

  // properties
  bool properties(Properties& out);
  bool tag(std::string_view& out);
  bool name(std::string_view& out, const char* what);
  bool merge(const Properties& outer, Properties& own);

  // A node begins at its properties; without any, `at`.
  void emit(EventKind kind, Style style, const Properties& properties, std::size_t at, std::string_view value = {});
  void emit(EventKind kind, Style style) { emit(kind, style, {}, at_); }
  bool emit_empty(const Properties& properties) {
    emit(EventKind::scalar, Style::plain, properties, at_);
    return true;
  }
  // What was read last, from the event `index` on, is the first key of a map that begins at `at`.
  void begin_map_before(std::size_t index, Style style, const Properties& properties, std::size_t at);
  std::uint32_t keep(const Properties& properties);
  bool deeper() { return ++depth_ <= depth_max_ || fail("nested too deeply"); }
  bool room_for_more() { return out_.events.size() < events_max_ || fail("the document has too many nodes"); }

  std::size_t depth_max_;
  std::size_t events_max_;
  std::size_t depth_ = 0;
  std::vector<std::pair<std::string, std::string>> tag_handles_;  // of this document: handle, prefix
  bool yaml_directive_ = false;
};

}  // namespace caisson::yaml
