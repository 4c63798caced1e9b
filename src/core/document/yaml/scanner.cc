// SPDX-License-Identifier: Apache-2.0
// Characters, lines, white space and the five scalar styles.
#include <array>

#include "core/document/utf8.h"
#include "core/document/yaml/parser.h"

namespace caisson::yaml {

bool Cursor::fail_at(std::size_t offset, const char* message) {
  if (message_ == nullptr) {
    message_ = message;
    failed_at_ = offset;
  }
  return false;
}

void Cursor::enter_line(std::size_t start) {
  std::size_t i = start;
  while (i < text_.size() && text_[i] == ' ') ++i;
  line_start_ = start;
  line_indent_ = static_cast<int>(i - start);
  while (i < text_.size() && is_blank(text_[i])) ++i;
  line_text_ = i;
}

bool Cursor::tab_before() const {
  if (at_ == line_start_ + static_cast<std::size_t>(line_indent_)) return false;
  for (std::size_t i = at_; i > line_start_ && is_blank(text_[i - 1]); --i) {
    if (text_[i - 1] == '\t') return true;
  }
  return false;
}

bool Cursor::at_document_marker() const {
  if (at_ != line_start_ || (peek() != '-' && peek() != '.')) return false;
  const std::string_view three = text_.substr(at_, 3);
  return (three == "---" || three == "...") && is_blank_or_end(peek(3));
}

void Cursor::skip_separation() {
  const bool spaced = at_ == line_start_ || is_blank(peek()) || is_blank(text_[at_ - 1]);
  skip_blanks();
  if (peek() == '#' && spaced) skip_to_line_end();
  while (peek() == '\n') {
    next_line();
    at_ = line_text_;
    if (peek() == '#') skip_to_line_end();
  }
}

// --- plain

namespace {

// What a character may be to a plain scalar.
enum : std::uint8_t { kMayEndPlain = 1, kMayEndPlainInFlow = 2, kMayNotBeginPlain = 4 };

constexpr auto kInPlain = [] {
  std::array<std::uint8_t, 256> meanings{};
  for (const unsigned char c : std::string_view("\n:#")) meanings[c] |= kMayEndPlain | kMayEndPlainInFlow;
  for (const unsigned char c : std::string_view(",[]{}")) meanings[c] |= kMayEndPlainInFlow;
  for (const unsigned char c : std::string_view(",[]{}#&*!|>'\"%@`")) meanings[c] |= kMayNotBeginPlain;
  return meanings;
}();

bool means(char c, std::uint8_t meaning) {
  return (kInPlain[static_cast<unsigned char>(c)] & meaning) != 0;
}

}  // namespace

bool Scalars::can_start_plain(bool flow) const {
  const char c = peek();
  if (is_blank_or_end(c)) return false;
  if (c == '-' || c == '?' || c == ':') return is_plain_safe(peek(1), flow);
  return !means(c, kMayNotBeginPlain);
}

// Where the scalar's part of this line ends, without the white space behind it.
std::size_t Scalars::plain_line_end(bool flow) const {
  const std::uint8_t may_end = flow ? kMayEndPlainInFlow : kMayEndPlain;
  std::size_t i = at_;
  for (;; ++i) {
    while (i < text_.size() && !means(text_[i], may_end)) ++i;
    if (i >= text_.size()) break;
    const bool inside = text_[i] == ':'   ? i + 1 < text_.size() && is_plain_safe(text_[i + 1], flow)
                        : text_[i] == '#' ? i == line_start_ || !is_blank(text_[i - 1])
                                          : false;
    if (!inside) break;
  }
  while (i > at_ && is_blank(text_[i - 1])) --i;
  return i;
}

bool Scalars::plain(int indent, bool flow, bool one_line, std::string_view& out) {
  const std::size_t start = at_;
  at_ = plain_line_end(flow);
  out = text_.substr(start, at_ - start);
  if (one_line) return true;
  std::string* folded = nullptr;
  while (true) {
    // Look whether the next line with text goes on; if not, the place stays behind this line's text.
    std::size_t i = at_;
    while (i < text_.size() && is_blank(text_[i])) ++i;
    if (i >= text_.size() || text_[i] != '\n') return true;
    std::size_t breaks = 0, next_start = 0;
    while (i < text_.size() && text_[i] == '\n') {
      ++breaks;
      next_start = ++i;
      while (i < text_.size() && is_blank(text_[i])) ++i;
    }
    const std::size_t saved_at = at_, saved_line = line_start_;
    at_ = next_start;
    enter_line(next_start);
    const bool marker = at_document_marker();
    const bool indented = indent_here() > indent || (flow && !strict_);
    at_ = i;
    if (at_end() || marker || !indented || peek() == '#' || plain_line_end(flow) == at_) {
      // A line that begins with ':' as an indicator, or in a flow with ',' or a bracket, is not ours either.
      at_ = saved_at;
      enter_line(saved_line);
      return true;
    }
    if (folded == nullptr) {
      folded = &store();
      folded->assign(out);
    }
    if (breaks == 1)
      *folded += ' ';
    else
      folded->append(breaks - 1, '\n');
    const std::size_t end = plain_line_end(flow);
    folded->append(text_, at_, end - at_);
    at_ = end;
    out = *folded;
  }
}

// --- quoted

// At a line end inside quotes: folds it, and leaves the place at the next line's first text.
bool Scalars::quoted_line_break(int indent, std::string& out) {
  std::size_t breaks = 0;
  while (peek() == '\n') {
    ++breaks;
    next_line();
    if (at_document_marker()) return fail("a document marker inside quotes");
    skip_blanks();
  }
  if (at_end()) return true;  // the caller says where the quotes began
  if (strict_ && indent_here() <= indent) return fail("a quoted string's line is not indented enough");
  if (breaks == 1)
    out += ' ';
  else
    out.append(breaks - 1, '\n');
  return true;
}

bool Scalars::single_quoted(int indent, std::string_view& out) {
  const std::size_t start = at_++;
  std::size_t end = at_;
  while (end < text_.size() && text_[end] != '\'' && text_[end] != '\n') ++end;
  if (end < text_.size() && text_[end] == '\'' && (end + 1 >= text_.size() || text_[end + 1] != '\'')) {
    out = text_.substr(at_, end - at_);
    at_ = end + 1;
    return true;
  }
  std::string& text = store();
  while (true) {
    if (at_end()) return fail_at(start, "quotes that are not closed");
    const char c = peek();
    if (c == '\n') {
      while (!text.empty() && is_blank(text.back())) text.pop_back();
      if (!quoted_line_break(indent, text)) return false;
      continue;
    }
    ++at_;
    if (c == '\'') {
      if (peek() != '\'') break;
      ++at_;
    }
    text += c;
  }
  out = text;
  return true;
}

bool Scalars::double_quoted(int indent, std::string_view& out) {
  const std::size_t start = at_++;
  std::size_t end = at_;
  while (end < text_.size() && text_[end] != '"' && text_[end] != '\\' && text_[end] != '\n') ++end;
  if (end < text_.size() && text_[end] == '"') {
    out = text_.substr(at_, end - at_);
    at_ = end + 1;
    return true;
  }
  std::string& text = store();
  std::size_t kept = 0;  // up to here white space was escaped and is no line's end
  while (true) {
    if (at_end()) return fail_at(start, "quotes that are not closed");
    const char c = peek();
    if (c == '"') break;
    if (c == '\n') {
      while (text.size() > kept && is_blank(text.back())) text.pop_back();
      if (!quoted_line_break(indent, text)) return false;
      kept = text.size();
    } else if (c == '\\' && peek(1) == '\n') {
      ++at_;
      std::string folded;
      if (!quoted_line_break(indent, folded)) return false;
      if (folded != " ") text += folded;
      kept = text.size();
    } else if (c == '\\') {
      if (!escape(text)) return false;
      kept = text.size();
    } else {
      text += c;
      ++at_;
    }
  }
  ++at_;
  out = text;
  return true;
}

bool Scalars::escape(std::string& out) {
  static constexpr std::string_view kNames = "0abt\tnvfre \"/\\N_LP";
  static constexpr std::uint32_t kCodes[] = {0,    7,   8,   9,   9,    10,   11,   12,     13,
                                             0x1B, ' ', '"', '/', '\\', 0x85, 0xA0, 0x2028, 0x2029};
  ++at_;
  const char c = peek();
  const std::size_t known = kNames.find(c);
  if (known != std::string_view::npos && !at_end()) {
    ++at_;
    utf8::append(out, kCodes[known]);
    return true;
  }
  const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits == 0) return fail("unknown escape in a quoted string");
  std::uint32_t code = 0;
  for (int i = 1; i <= digits; ++i) {
    const char digit = peek(static_cast<std::size_t>(i));
    const char lower = static_cast<char>(digit | 0x20);
    if (digit >= '0' && digit <= '9')
      code = code * 16 + static_cast<std::uint32_t>(digit - '0');
    else if (lower >= 'a' && lower <= 'f')
      code = code * 16 + static_cast<std::uint32_t>(lower - 'a' + 10);
    else
      return fail("an escape without its hexadecimal digits");
  }
  at_ += 1 + static_cast<std::size_t>(digits);
  // JSON writes characters above U+FFFF as two surrogates.
  if (code >= 0xD800 && code < 0xDC00 && peek() == '\\' && peek(1) == 'u') {
    std::uint32_t low = 0;
    for (std::size_t i = 2; i < 6; ++i) {
      const std::size_t digit =
          std::string_view("0123456789abcdef").find(static_cast<char>(peek(i) | (peek(i) >= 'A' ? 0x20 : 0)));
      if (digit == std::string_view::npos) return fail("an escape without its hexadecimal digits");
      low = low * 16 + static_cast<std::uint32_t>(digit);
    }
    if (low >= 0xDC00 && low < 0xE000) {
      at_ += 6;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return fail("an escape that is no Unicode character");
  utf8::append(out, code);
  return true;
}

// --- block scalars

bool Scalars::block_header(int& explicit_indent, char& chomping) {
  ++at_;
  for (int i = 0; i < 2; ++i) {
    if ((peek() == '+' || peek() == '-') && chomping == 0)
      chomping = text_[at_++];
    else if (peek() >= '1' && peek() <= '9' && explicit_indent == 0)
      explicit_indent = text_[at_++] - '0';
  }
  if (explicit_indent == 0 && peek() == '0') return fail("an indentation of 0 in the header of a block scalar");
  const bool spaced = is_blank(peek());
  skip_blanks();
  if (peek() == '#' && spaced) skip_to_line_end();
  if (!at_end() && peek() != '\n') return fail("unexpected text in the header of a block scalar");
  if (!at_end()) next_line();
  return true;
}

// The indentation of the first line with text; blank lines before it may not be indented more.
bool Scalars::detect_block_indent(int parent, int& indent) {
  std::size_t line = at_;
  int widest_blank = 0;
  while (line < text_.size()) {
    std::size_t i = line;
    while (i < text_.size() && text_[i] == ' ') ++i;
    const int spaces = static_cast<int>(i - line);
    if (i < text_.size() && text_[i] != '\n') {
      if (spaces <= parent) {
        if (text_[i] == '\t' && strict_) return fail_at(i, "a tab where an indentation is expected");
        break;
      }
      if (widest_blank > spaces)
        return fail_at(line, "a blank line at the start of a block scalar is indented more than its text");
      indent = spaces;
      return true;
    }
    widest_blank = std::max(widest_blank, spaces);
    if (i >= text_.size()) break;
    line = i + 1;
  }
  indent = std::max(parent + 1, widest_blank);
  return true;
}

bool Scalars::block_scalar(int parent, std::string_view& out, Style& style) {
  const bool folding = peek() == '>';
  style = folding ? Style::folded : Style::literal;
  int indent = 0;
  char chomping = 0;
  if (!block_header(indent, chomping)) return false;
  if (indent > 0)
    indent += std::max(parent, 0);
  else if (!detect_block_indent(parent, indent))
    return false;

  std::string& text = store();
  std::size_t breaks = 0;  // line ends not written yet
  bool was_more_indented = false, any = false;
  while (!at_end()) {
    if (at_document_marker()) break;
    std::size_t i = at_;
    while (i < text_.size() && text_[i] == ' ' && static_cast<int>(i - at_) < indent) ++i;
    const bool blank = i >= text_.size() || text_[i] == '\n';
    if (!blank && static_cast<int>(i - at_) < indent) break;
    const std::size_t end = std::min(text_.find('\n', i), text_.size());
    if (blank) {
      if (i >= text_.size()) {
        // The stream's end ends a line, for the specification; go-yaml wants the character.
        if (strict_ && i > at_) ++breaks;
        at_ = i;
        break;
      }
      ++breaks;
    } else {
      const bool more_indented = is_blank(text_[i]);
      if (folding && any && !more_indented && !was_more_indented) {
        if (breaks == 1)
          text += ' ';
        else
          text.append(breaks - 1, '\n');
      } else {
        text.append(breaks, '\n');
      }
      text.append(text_, i, end - i);
      breaks = end < text_.size() || strict_ ? 1 : 0;
      was_more_indented = more_indented;
      any = true;
    }
    at_ = end;
    if (!at_end()) next_line();
  }
  if (chomping == '+')
    text.append(breaks, '\n');
  else if (chomping == 0 && any && breaks > 0)
    text += '\n';
  out = text;
  return true;
}

}  // namespace caisson::yaml
