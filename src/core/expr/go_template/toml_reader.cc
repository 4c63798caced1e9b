// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>

#include "core/expr/go_template/numbers.h"
#include "core/expr/go_template/toml.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

constexpr int kDepthMax = 200;

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "1979-05-27", "07:32:00" and what is made of them.
bool is_date_or_time(std::string_view text) {
  const auto digits = [&](std::size_t at, std::size_t count) {
    return at + count <= text.size() && std::all_of(text.begin() + static_cast<std::ptrdiff_t>(at),
                                                    text.begin() + static_cast<std::ptrdiff_t>(at + count), is_digit);
  };
  const bool is_date =
      digits(0, 4) && text.size() >= 10 && text[4] == '-' && digits(5, 2) && text[7] == '-' && digits(8, 2);
  const bool is_time = digits(0, 2) && text.size() >= 5 && text[2] == ':' && digits(3, 2);
  return is_date || is_time;
}

// Values within values: tables are nodes here, so that a later header can go on with an earlier table.
struct Table {
  std::vector<std::pair<std::string, Value>> plain;
  std::vector<std::pair<std::string, std::unique_ptr<Table>>> tables;
  std::vector<std::pair<std::string, std::vector<std::unique_ptr<Table>>>> arrays;
  bool is_defined = false;  // by a header of its own, or with dotted keys
};

Value value_of(const Table& table) {
  Value out = Value::map();
  for (const auto& [key, value] : table.plain) out.set(key, value);
  for (const auto& [key, child] : table.tables) out.set(key, value_of(*child));
  for (const auto& [key, children] : table.arrays) {
    std::vector<Value> items;
    for (const auto& child : children) items.push_back(value_of(*child));
    out.set(key, Value(std::move(items)));
  }
  return out;
}

template <class Entries>
auto find_in(Entries& entries, std::string_view key) {
  return std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.first == key; });
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<Value> run() {
    Table root;
    Table* current = &root;
    while (true) {
      skip_blank_lines();
      if (at_ >= text_.size()) return value_of(root);
      if (here('[')) {
        current = TRY(header(root));
      } else {
        TRY(member(*current));
      }
      skip_blanks();
      skip_comment();
      if (at_ < text_.size() && !here('\n') && !starts_with("\r\n")) {
        return bad("expected a top-level item to end with a newline, comment, or EOF, but got " + shown_here() +
                   " instead");
      }
    }
  }

 private:
  Error bad(const std::string& what) const {
    const auto line =
        1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size())), '\n');
    const std::string key = last_key_.empty() ? "" : " (last key " + quote(last_key_) + ")";
    return Error{ErrorCode::invalid, "toml: line " + std::to_string(line) + key + ": " + what};
  }
  std::string shown_here() const {
    return at_ < text_.size() ? quote_rune(decode_rune(text_.substr(at_)).code) : "EOF";
  }

  bool here(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool starts_with(std::string_view prefix) const {
    return text_.substr(std::min(at_, text_.size())).starts_with(prefix);
  }
  void skip_blanks() {
    while (here(' ') || here('\t')) ++at_;
  }
  void skip_comment() {
    if (here('#')) at_ = std::min(text_.find('\n', at_), text_.size());
  }
  void skip_blank_lines() {
    while (true) {
      skip_blanks();
      skip_comment();
      if (starts_with("\r\n")) ++at_;
      if (!here('\n')) return;
      ++at_;
    }
  }

  Result<std::string> key_part() {
    if (here('"') || here('\'')) return string();
    const std::size_t start = at_;
    while (at_ < text_.size() && is_bare(text_[at_])) ++at_;
    if (at_ == start) return bad("expected start of a key, but got " + shown_here() + " instead");
    return std::string(text_.substr(start, at_ - start));
  }

  Result<std::vector<std::string>> key() {
    std::vector<std::string> out;
    while (true) {
      skip_blanks();
      out.push_back(TRY(key_part()));
      skip_blanks();
      if (!here('.')) break;
      ++at_;
    }
    last_key_.clear();
    for (const std::string& part : out) last_key_ += (last_key_.empty() ? "" : ".") + part;
    return out;
  }

  Error defined_twice() const { return bad("Key '" + last_key_ + "' has already been defined."); }

  // The table `key` of `table`, made when absent; of an array of tables, its last.
  Result<Table*> child(Table& table, const std::string& key) {
    if (find_in(table.plain, key) != table.plain.end()) return defined_twice();
    if (const auto found = find_in(table.arrays, key); found != table.arrays.end()) return found->second.back().get();
    if (const auto found = find_in(table.tables, key); found != table.tables.end()) return found->second.get();
    table.tables.emplace_back(key, std::make_unique<Table>());
    return table.tables.back().second.get();
  }

  Result<Table*> header(Table& root) {
    const bool is_array = starts_with("[[");
    at_ += is_array ? 2 : 1;
    const auto path = TRY(key());
    if (!starts_with(is_array ? "]]" : "]"))
      return bad("expected '.' or ']' to end table name, but got " + shown_here() + " instead");
    at_ += is_array ? 2 : 1;
    Table* table = &root;
    for (std::size_t i = 0; i + 1 < path.size(); ++i) table = TRY(child(*table, path[i]));
    if (!is_array) {
      if (find_in(table->arrays, path.back()) != table->arrays.end()) return defined_twice();
      table = TRY(child(*table, path.back()));
      if (std::exchange(table->is_defined, true)) return defined_twice();
      return table;
    }
    const bool is_taken = find_in(table->plain, path.back()) != table->plain.end() ||
                          find_in(table->tables, path.back()) != table->tables.end();
    if (is_taken) return defined_twice();
    auto found = find_in(table->arrays, path.back());
    if (found == table->arrays.end()) {
      table->arrays.emplace_back(path.back(), std::vector<std::unique_ptr<Table>>());
      found = std::prev(table->arrays.end());
    }
    found->second.push_back(std::make_unique<Table>());
    return found->second.back().get();
  }

  Result<void> member(Table& into) {
    const auto path = TRY(key());
    if (!here('=')) return bad("expected '.' or '=', but got " + shown_here() + " instead");
    ++at_;
    Table* table = &into;
    for (std::size_t i = 0; i + 1 < path.size(); ++i) {
      table = TRY(child(*table, path[i]));
      table->is_defined = true;
    }
    const bool is_taken = find_in(table->plain, path.back()) != table->plain.end() ||
                          find_in(table->tables, path.back()) != table->tables.end() ||
                          find_in(table->arrays, path.back()) != table->arrays.end();
    if (is_taken) return defined_twice();
    table->plain.emplace_back(path.back(), TRY(value(0)));
    return {};
  }

  Result<Value> value(int depth) {
    if (depth > kDepthMax) return bad("values are nested too deeply");
    skip_blanks();
    if (here('"') || here('\'')) return Value(TRY(string()));
    if (here('[')) return array(depth);
    if (here('{')) return inline_table(depth);
    return word();
  }

  Result<Value> array(int depth) {
    ++at_;
    std::vector<Value> items;
    while (true) {
      skip_blank_lines();
      if (here(']')) break;
      items.push_back(TRY(value(depth + 1)));
      skip_blank_lines();
      if (here(']')) break;
      if (!here(',')) return bad("expected a comma (',') or array terminator (']'), but got " + shown_here());
      ++at_;
    }
    ++at_;
    return Value(std::move(items));
  }

  Result<Value> inline_table(int depth) {
    ++at_;
    Table table;
    skip_blanks();
    if (!here('}')) {
      while (true) {
        if (++inline_depth_ > kDepthMax || depth > kDepthMax) return bad("values are nested too deeply");
        TRY(member(table));
        --inline_depth_;
        skip_blanks();
        if (here('}')) break;
        if (!here(','))
          return bad("expected a comma or an inline table terminator '}', but got " + shown_here() + " instead");
        ++at_;
      }
    }
    ++at_;
    return value_of(table);
  }

  Result<Value> word() {
    const std::size_t start = at_;
    const auto continues = [&](char c) {
      if (std::string_view("+-_.:").find(c) != std::string_view::npos || is_bare(c)) return true;
      return c == ' ' && at_ - start == 10 && is_date_or_time(text_.substr(start, 10)) && at_ + 1 < text_.size() &&
             is_digit(text_[at_ + 1]);
    };
    while (at_ < text_.size() && continues(text_[at_])) ++at_;
    const std::string_view text = text_.substr(start, at_ - start);
    if (text.empty()) return bad("expected value but found " + shown_here() + " instead");
    if (text == "true" || text == "false") return Value(text == "true");
    if (is_date_or_time(text)) return Value(text);
    return number(text);
  }

  Result<Value> number(std::string_view text) {
    const std::string_view digits = text.substr(text[0] == '+' || text[0] == '-');
    if (digits == "inf" || digits == "nan")
      return Value(parse_float(text == "+nan" || text == "-nan" ? "nan" : text).value);
    const bool has_base =
        digits.size() > 2 && digits[0] == '0' && std::string_view("xob").find(digits[1]) != std::string_view::npos;
    if (!has_base && digits.find_first_of(".eE") != std::string_view::npos) {
      const auto parsed = parse_float(text);
      if (parsed.ok()) return Value(parsed.value);
    } else if (has_base || digits.size() == 1 || digits[0] != '0') {
      const auto parsed = parse_int(text, 0);
      if (parsed.ok()) return Value(static_cast<long long>(parsed.value));
      if (parsed.error == NumberError::range) return bad(std::string(text) + " is out of range for int64");
    }
    return bad("expected value but found " + quote(text) + " instead");
  }

  Result<std::string> string() {
    const char mark = text_[at_];
    const std::string triple(3, mark);
    const bool is_multiline = starts_with(triple);
    at_ += is_multiline ? 3 : 1;
    if (is_multiline && starts_with("\r\n")) ++at_;
    if (is_multiline && here('\n')) ++at_;
    std::string out;
    while (true) {
      if (at_ >= text_.size())
        return bad("unexpected EOF; expected " + quote(is_multiline ? triple : std::string(1, mark)));
      const char c = text_[at_];
      if (c == mark && (!is_multiline || starts_with(triple))) break;
      if (c == '\n' && !is_multiline) return bad("strings cannot contain newlines");
      if (c == '\\' && mark == '"') {
        TRY(escape(out, is_multiline));
        continue;
      }
      out += c;
      ++at_;
    }
    at_ += is_multiline ? 3 : 1;
    for (int i = 0; is_multiline && i < 2 && here(mark); ++i, ++at_) out += mark;  // quotes right before the end
    return out;
  }

  Result<void> escape(std::string& out, bool is_multiline) {
    ++at_;
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    if (is_multiline && (c == '\n' || c == '\r' || c == ' ' || c == '\t')) {  // the line goes on
      while (here(' ') || here('\t') || here('\r') || here('\n')) ++at_;
      return {};
    }
    const std::size_t digits = c == 'u' ? 4 : c == 'U' ? 8 : c == 'x' ? 2 : 0;
    if (digits > 0) {
      const auto parsed = at_ + 1 + digits <= text_.size() ? parse_uint(text_.substr(at_ + 1, digits), 16)
                                                           : Parsed<std::uint64_t>{0, NumberError::syntax};
      if (!parsed.ok()) return bad("expected hexadecimal digits after '\\" + std::string(1, c) + "'");
      append_rune(out, static_cast<std::uint32_t>(parsed.value));
      at_ += digits + 1;
      return {};
    }
    constexpr std::string_view kFrom = "btnfre\"\\", kTo = "\b\t\n\f\r\x1b\"\\";
    const std::size_t known = kFrom.find(c);
    if (c == '\0' || known == std::string_view::npos) return bad("invalid escape character " + shown_here());
    out += kTo[known];
    ++at_;
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string last_key_;
  int inline_depth_ = 0;
};

}  // namespace

Result<Value> parse_toml(std::string_view text) {
  return Reader(text).run();
}

}  // namespace caisson::go_template
