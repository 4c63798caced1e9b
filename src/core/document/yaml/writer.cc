// SPDX-License-Identifier: Apache-2.0
// YAML as go-yaml v2's emitter lays it out (the one of sigs.k8s.io/yaml, kubectl and kustomize): which style a string
// gets, where a long line is broken, how a block scalar is marked. Source of the rules: go-yaml v2.4, encode.go and
// emitterc.go.
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/number.h"
#include "core/document/utf8.h"
#include "core/document/yaml/key_order.h"
#include "core/document/yaml/resolve.h"

namespace caisson::yaml {
namespace {

using document::MapEntry;

bool is_space(char c) {
  return c == ' ';
}
bool is_blank_or_end(std::string_view t, std::size_t i) {
  return i >= t.size() || t[i] == ' ' || t[i] == '\t' || t[i] == '\n' || t[i] == '\r';
}

// U+0085, U+2028 and U+2029 are line ends too, as in YAML 1.1.
bool is_break(std::string_view t, std::size_t i) {
  return t[i] == '\n' || t[i] == '\r' || t.substr(i, 2) == "\xC2\x85" || t.substr(i, 3) == "\xE2\x80\xA8" ||
         t.substr(i, 3) == "\xE2\x80\xA9";
}

// go-yaml takes characters above U+FFFF, tabs and U+FEFF for not printable.
bool is_printable(std::uint32_t c) {
  return c == '\n' || (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c <= 0xD7FF) ||
         (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF);
}

// A character inside a text that has no meaning beside its neighbours.
bool is_simple(char c) {
  return c > 0x20 && c < 0x7F && c != ':' && c != '#';
}

struct Analysis {
  bool multiline = false, plain = true, single_quoted = true, block = true;
};

Analysis analyse(std::string_view t) {
  if (t.empty()) return {false, true, true, false};
  bool indicators = t.starts_with("---") || t.starts_with("...");
  bool special = false, breaks = false, edge = false, trailing_space = false, break_space = false, space_break = false;
  bool previous_space = false, previous_break = false, after_blank = true;
  for (std::size_t i = 0; i < t.size();) {
    if (i > 0 && is_simple(t[i])) {
      previous_space = previous_break = after_blank = false;
      ++i;
      continue;
    }
    const std::size_t width = utf8::sequence_length(t, i);
    const bool before_blank = is_blank_or_end(t, i + width);
    const char c = t[i];
    if (i == 0) {
      if (std::string_view("#,[]{}&*!|>'\"%@`").find(c) != std::string_view::npos) indicators = true;
      if ((c == '?' || c == ':' || c == '-') && before_blank) indicators = true;
    } else if ((c == ':' && before_blank) || (c == '#' && after_blank)) {
      indicators = true;
    }
    if (!is_printable(utf8::decode(t, i))) special = true;
    const bool last = i + width >= t.size();
    if (is_space(c)) {
      edge |= i == 0 || last;
      trailing_space |= last;
      break_space |= previous_break;
      previous_space = true;
      previous_break = false;
    } else if (is_break(t, i)) {
      // go-yaml writes the line ends of Unicode as they are; YAML 1.2 does not take them for line ends, so they are
      // escaped here.
      special |= c != '\n';
      breaks = true;
      edge |= i == 0 || last;
      space_break |= previous_space;
      previous_space = false;
      previous_break = true;
    } else {
      previous_space = previous_break = false;
    }
    after_blank = is_blank_or_end(t, i);
    i += width;
  }
  Analysis out;
  out.multiline = breaks;
  out.plain = !(edge || break_space || space_break || special || breaks || indicators);
  out.single_quoted = !(break_space || space_break || special);
  out.block = !(trailing_space || space_break || special);
  return out;
}

// Whether a string is written as it is, with nothing to analyse: a word without blanks that all readers take for text.
bool is_plain_word(std::string_view text) {
  if (!is_surely_text(text) || text.back() == ':') return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

class Writer {
 public:
  Writer(std::string& out, const WriteOptions& options) : out_(out), options_(options) {}

  void document(const Value& value) {
    if (value.is_map() && !value.empty())
      map(value, 0, true);
    else if (value.is_list() && !value.empty())
      list(value, 0, true);
    else
      scalar_or_empty(value, 2);
    if (out_.back() != '\n') new_line();
  }

 private:
  void put(std::string_view text) {
    out_ += text;
    // The column is that of a character; bytes of one behind its first do not count.
    for (const char c : text) column_ += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }
  void put_ascii(std::string_view text) {
    out_ += text;
    column_ += static_cast<int>(text.size());
  }
  void new_line() {
    out_ += '\n';
    column_ = 0;
  }
  void indent_to(int indent) {
    if (column_ > 0) new_line();
    out_.append(static_cast<std::size_t>(indent), ' ');
    column_ += indent;
  }

  // on_line: the first entry goes on the line that is open, behind "- ".
  void map(const Value& value, int indent, bool on_line) {
    const auto entries = value.entries();
    const auto before = [](const MapEntry& a, const MapEntry& b) { return key_before(a.key, b.key); };
    if (!options_.sort_keys || std::is_sorted(entries.begin(), entries.end(), before)) {
      for (const MapEntry& one : entries) entry(one, indent, on_line);
      return;
    }
    std::vector<const MapEntry*> sorted;
    sorted.reserve(entries.size());
    for (const MapEntry& one : entries) sorted.push_back(&one);
    std::stable_sort(sorted.begin(), sorted.end(), [&](auto* a, auto* b) { return before(*a, *b); });
    for (const MapEntry* one : sorted) entry(*one, indent, on_line);
  }

  void entry(const MapEntry& one, int indent, bool& on_line) {
    if (!on_line) indent_to(indent);
    on_line = false;
    const bool simple = key(one.key, indent);
    member(one.value, indent, simple);
  }

  // Whether the key stands on its value's line; a long one or one of several lines is written "? key" with ": value"
  // below it.
  bool key(std::string_view text, int indent) {
    if (text.size() <= 128 && is_plain_word(text)) {
      put_ascii(text);
      put_ascii(":");
      return true;
    }
    const bool simple = text.size() <= 128 && (!is_valid_utf8(text) || !analyse(text).multiline);
    if (simple) {
      string(text, indent + 2, true);
    } else {
      put_ascii("? ");
      string(text, indent + 2, false);
      indent_to(indent);
    }
    put_ascii(":");
    return simple;
  }

  void member(const Value& value, int indent, bool simple_key) {
    const bool collection = (value.is_map() || value.is_list()) && !value.empty();
    if (collection && !simple_key) {
      put_ascii(" ");
      if (value.is_map())
        map(value, indent + 2, true);
      else
        list(value, indent + 2, true);
    } else if (value.is_map() && !value.empty()) {
      map(value, indent + 2, false);
    } else if (value.is_list() && !value.empty()) {
      list(value, options_.indent_sequences ? indent + 2 : indent, false);
    } else {
      put_ascii(" ");
      scalar_or_empty(value, indent + 2);
    }
  }

  void list(const Value& value, int indent, bool on_line) {
    for (const Value& item : value.items()) {
      if (!on_line) indent_to(indent);
      on_line = false;
      put_ascii("- ");
      if (item.is_map() && !item.empty())
        map(item, indent + 2, true);
      else if (item.is_list() && !item.empty())
        list(item, indent + 2, true);
      else
        scalar_or_empty(item, indent + 2);
    }
  }

  // `indent` is that of the lines a scalar continues on.
  void scalar_or_empty(const Value& value, int indent) {
    switch (value.kind()) {
      case ValueKind::null:
        put_ascii("null");
        return;
      case ValueKind::boolean:
        put_ascii(value.as_bool() ? "true" : "false");
        return;
      case ValueKind::integer:
        put_ascii(value.scalar_text());
        return;
      case ValueKind::floating:
        if (const std::string digits = unsigned_digits(value.number_text()); !digits.empty()) return put_ascii(digits);
        put_ascii(document::yaml_number(value.as_double()));
        return;
      case ValueKind::string:
        string(value.as_string(), indent, false);
        return;
      case ValueKind::list:
        put_ascii("[]");
        return;
      case ValueKind::map:
        put_ascii("{}");
        return;
    }
  }

  void string(std::string_view text, int indent, bool is_key) {
    if (is_plain_word(text)) return put_ascii(text);
    if (!is_valid_utf8(text)) {
      put("!!binary ");
      return plain(base64(text), indent, false);
    }
    const Analysis may = analyse(text);
    const bool breaks_allowed = !is_key;
    if (text.find('\n') != text.npos) {
      if (may.block && !is_key)
        literal(text, indent);
      else
        double_quoted(text, indent, breaks_allowed);
    } else if (reads_as_other(text) || (is_key && text == "<<")) {  // as a key it would merge
      double_quoted(text, indent, breaks_allowed);
    } else if (may.plain && !(is_key && may.multiline)) {
      plain(text, indent, breaks_allowed);
    } else if (may.single_quoted && !(is_key && may.multiline)) {
      single_quoted(text, indent, breaks_allowed);
    } else {
      double_quoted(text, indent, breaks_allowed);
    }
  }

  bool line_full() const { return options_.line_width > 0 && column_ > options_.line_width; }

  void plain(std::string_view t, int indent, bool breaks_allowed) {
    if (!breaks_allowed || options_.line_width <= 0) return put(t);
    for (std::size_t i = 0; i < t.size();) {
      const std::size_t word_end = std::min(t.find(' ', i), t.size());
      put(t.substr(i, word_end - i));
      std::size_t next = word_end;
      while (next < t.size() && is_space(t[next])) ++next;
      // A single space may become a line's end, several stay.
      if (next == word_end + 1 && line_full())
        indent_to(indent);
      else
        put_ascii(t.substr(word_end, next - word_end));
      i = next;
    }
  }

  void single_quoted(std::string_view t, int indent, bool breaks_allowed) {
    put("'");
    bool after_space = false;
    for (std::size_t i = 0; i < t.size();) {
      const std::size_t width = utf8::sequence_length(t, i);
      const bool space = is_space(t[i]);
      const bool inside = i > 0 && i + 1 < t.size();
      if (space && breaks_allowed && !after_space && line_full() && inside && !is_space(t[i + 1]))
        indent_to(indent);
      else if (t[i] == '\'')
        put("''");
      else
        put(t.substr(i, width));
      after_space = space;
      i += width;
    }
    put("'");
  }

  void double_quoted(std::string_view t, int indent, bool breaks_allowed) {
    put("\"");
    bool after_space = false;
    const bool escapes_all = t.starts_with("\xEF\xBB\xBF");  // as go-yaml does after a byte order mark
    for (std::size_t i = 0; i < t.size();) {
      const std::size_t width = utf8::sequence_length(t, i);
      const std::uint32_t c = utf8::decode(t, i);
      if (escapes_all || !is_printable(c) || is_break(t, i) || c == '"' || c == '\\') {
        escape(c);
        after_space = false;
      } else if (c == ' ') {
        if (breaks_allowed && !after_space && line_full() && i > 0 && i + 1 < t.size()) {
          indent_to(indent);
          if (is_space(t[i + 1])) put("\\");
        } else {
          put(" ");
        }
        after_space = true;
      } else {
        put(t.substr(i, width));
        after_space = false;
      }
      i += width;
    }
    put("\"");
  }

  void escape(std::uint32_t c) {
    static constexpr std::pair<std::uint32_t, const char*> kNamed[] = {
        {0, "\\0"},    {7, "\\a"},          {8, "\\b"},      {9, "\\t"},     {10, "\\n"},    {11, "\\v"},
        {12, "\\f"},   {13, "\\r"},         {0x1B, "\\e"},   {'"', "\\\""},  {'\\', "\\\\"}, {0x85, "\\N"},
        {0xA0, "\\_"}, {0xFEFF, "\\uFEFF"}, {0x2028, "\\L"}, {0x2029, "\\P"}};
    for (const auto& [code, name] : kNamed) {
      if (code == c) return put(name);
    }
    static constexpr char kHex[] = "0123456789ABCDEF";
    const int digits = c <= 0xFF ? 2 : c <= 0xFFFF ? 4 : 8;
    std::string text = digits == 2 ? "\\x" : digits == 4 ? "\\u" : "\\U";
    for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) text += kHex[c >> shift & 15];
    put(text);
  }

  void literal(std::string_view t, int indent) {
    put("|");
    if (is_space(t[0]) || is_break(t, 0)) put("2");
    if (t.back() != '\n')
      put("-");
    else if (t.size() == 1 || t[t.size() - 2] == '\n')
      put("+");
    new_line();
    for (std::size_t at = 0; at < t.size();) {
      const std::size_t end = std::min(t.find('\n', at), t.size());
      if (end > at) {
        out_.append(static_cast<std::size_t>(indent), ' ').append(t, at, end - at);
        column_ = indent + 1;  // a line was begun
      }
      if (end < t.size()) new_line();
      at = end + 1;
    }
  }

  std::string& out_;
  const WriteOptions& options_;
  int column_ = 0;
};

}  // namespace

std::string write(const Value& value, const WriteOptions& options) {
  std::string out;
  Writer(out, options).document(value);
  return out;
}

}  // namespace caisson::yaml
