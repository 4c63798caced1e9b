// SPDX-License-Identifier: Apache-2.0
// cel-go's ext/strings: positions count characters, not bytes.
#include <algorithm>

#include "core/document/utf8.h"
#include "core/expr/cel/environment.h"
#include "core/expr/cel/format_text.h"

namespace caisson::cel {
namespace {

using Arguments = std::span<const Value>;
constexpr std::size_t kResultBytesMax = 64u << 20;

std::u32string characters(std::string_view text) {
  std::u32string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8::sequence_length(text, at);
    out += length == 0 ? U'\uFFFD' : static_cast<char32_t>(utf8::decode(text, at));
    at += std::max<std::size_t>(1, length);
  }
  return out;
}
Value text_of(std::u32string_view characters) {
  std::string out;
  for (const char32_t c : characters) utf8::append(out, static_cast<std::uint32_t>(c));
  return Value::string(out);
}
Value position(std::size_t found) {
  return Value(found == std::u32string_view::npos ? std::int64_t{-1} : static_cast<std::int64_t>(found));
}
Error out_of_range(std::int64_t index) {
  return bad("index out of range: " + std::to_string(index));
}

Result<Value> char_at(Arguments a) {
  const auto text = characters(a[0].as_string());
  const std::int64_t index = a[1].as_int();
  if (index < 0 || index > static_cast<std::int64_t>(text.size())) return out_of_range(index);
  return text_of(std::u32string_view(text).substr(static_cast<std::size_t>(index), 1));
}

Result<Value> index_of(Arguments a) {
  const auto text = characters(a[0].as_string()), wanted = characters(a[1].as_string());
  const std::int64_t from = a.size() > 2 ? a[2].as_int() : 0;
  if (wanted.empty() && a.size() == 2) return Value(std::int64_t{0});
  if (from < 0) return out_of_range(from);
  if (from > static_cast<std::int64_t>(text.size()))
    return a.size() > 2 ? Result<Value>(out_of_range(from)) : position(std::u32string::npos);
  return position(text.find(wanted, static_cast<std::size_t>(from)));
}

Result<Value> last_index_of(Arguments a) {
  const auto text = characters(a[0].as_string()), wanted = characters(a[1].as_string());
  if (a.size() == 2) return position(text.rfind(wanted));
  const std::int64_t from = a[2].as_int();
  if (from < 0 || from > static_cast<std::int64_t>(text.size())) return out_of_range(from);
  return position(text.rfind(wanted, static_cast<std::size_t>(from)));
}

Result<Value> change_case(Arguments a, char first, char last) {
  std::string out(a[0].as_string());
  for (char& c : out) c = c >= first && c <= last ? static_cast<char>(c ^ 32) : c;
  return Value::string(out);
}
Result<Value> lower_ascii(Arguments a) {
  return change_case(a, 'A', 'Z');
}
Result<Value> upper_ascii(Arguments a) {
  return change_case(a, 'a', 'z');
}

// Go's strings.Replace: an empty `from` matches before each character and at the end.
Result<Value> replace(Arguments a) {
  const std::string_view text = a[0].as_string(), from = a[1].as_string(), to = a[2].as_string();
  std::int64_t left = a.size() > 3 ? a[3].as_int() : -1;
  std::string out;
  std::size_t at = 0;
  while (left != 0) {
    std::size_t found = from.empty() ? at : text.find(from, at);
    if (found == std::string_view::npos) break;
    out.append(text.substr(at, found - at)).append(to);
    if (out.size() > kResultBytesMax) return Error{ErrorCode::too_large, "replace: the result is too large"};
    at = found + from.size();
    if (from.empty()) {
      if (at >= text.size()) break;
      const std::size_t length = std::max<std::size_t>(1, utf8::sequence_length(text, at));
      out.append(text.substr(at, length));
      at += length;
    }
    if (left > 0) --left;
  }
  if (at < text.size()) out.append(text.substr(at));
  return Value::string(out);
}

Result<Value> split(Arguments a) {
  const std::string_view text = a[0].as_string(), separator = a[1].as_string();
  std::int64_t left = a.size() > 2 ? a[2].as_int() : -1;
  std::vector<Value> out;
  if (left == 0) return Value::list(std::move(out));
  std::size_t at = 0;
  while (left != 1) {
    std::size_t found = text.find(separator, at);
    if (separator.empty()) {
      if (at >= text.size()) return Value::list(std::move(out));
      found = at + std::max<std::size_t>(1, utf8::sequence_length(text, at));
      if (found >= text.size()) break;
    }
    if (found == std::string_view::npos) break;
    out.push_back(Value::string(text.substr(at, found - at)));
    at = found + separator.size();
    if (left > 0) --left;
  }
  out.push_back(Value::string(text.substr(at)));
  return Value::list(std::move(out));
}

Result<Value> substring(Arguments a) {
  const auto text = characters(a[0].as_string());
  const std::int64_t size = static_cast<std::int64_t>(text.size());
  const std::int64_t begin = a[1].as_int(), end = a.size() > 2 ? a[2].as_int() : size;
  if (begin < 0 || begin > size) return out_of_range(begin);
  if (end < 0 || end > size) return out_of_range(end);
  if (begin > end)
    return bad("invalid substring range. start: " + std::to_string(begin) + ", end: " + std::to_string(end));
  return text_of(
      std::u32string_view(text).substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
}

// Unicode's White_Space property.
bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}
Result<Value> trim_space(Arguments a) {
  const auto text = characters(a[0].as_string());
  std::size_t begin = 0, end = text.size();
  while (begin < end && is_space(text[begin])) ++begin;
  while (end > begin && is_space(text[end - 1])) --end;
  return text_of(std::u32string_view(text).substr(begin, end - begin));
}

Result<Value> join(Arguments a) {
  std::string out;
  for (std::size_t i = 0; i < a[0].size(); ++i) {
    const Value item = a[0].item(i);
    if (!item.is(Kind::string)) return no_such_overload();
    if (i > 0 && a.size() > 1) out += a[1].as_string();
    out += item.as_string();
    if (out.size() > kResultBytesMax) return Error{ErrorCode::too_large, "join: the result is too large"};
  }
  return Value::string(out);
}

Result<Value> quote(Arguments a) {
  constexpr std::string_view kNames = "abfnrtv\\\"", kMeaning = "\a\b\f\n\r\t\v\\\"";
  std::string out = "\"";
  for (const char c : a[0].as_string()) {
    const std::size_t at = kMeaning.find(c);
    if (at == std::string_view::npos)
      out += c;
    else
      (out += '\\') += kNames[at];
  }
  return Value::string(out + "\"");
}

Result<Value> reverse(Arguments a) {
  auto text = characters(a[0].as_string());
  std::reverse(text.begin(), text.end());
  return text_of(text);
}

Result<Value> format(Arguments a) {
  return format_text(a[0].as_string(), a[1]);
}

std::uint64_t cost_of_traversal(Arguments a, const Value&) {
  return traversal_cost(a[0]);
}
std::uint64_t cost_of_join(Arguments, const Value& result) {
  return string_cost(actual_size(result), 0.2);
}

constexpr Declaration kFunctions[] = {
    {"(string).charAt(int): string", char_at},
    {"(string).indexOf(string): int", index_of, cost_of_traversal},
    {"(string).indexOf(string, int): int", index_of, cost_of_traversal},
    {"(string).lastIndexOf(string): int", last_index_of, cost_of_traversal},
    {"(string).lastIndexOf(string, int): int", last_index_of, cost_of_traversal},
    {"(string).lowerAscii(): string", lower_ascii, cost_of_first},
    {"(string).upperAscii(): string", upper_ascii, cost_of_first},
    {"(string).replace(string, string): string", replace, cost_twice_first},
    {"(string).replace(string, string, int): string", replace, cost_twice_first},
    {"(string).split(string): list(string)", split, cost_twice_first},
    {"(string).split(string, int): list(string)", split, cost_twice_first},
    {"(string).substring(int): string", substring, cost_of_first},
    {"(string).substring(int, int): string", substring, cost_of_first},
    {"(string).trim(): string", trim_space, cost_of_first},
    {"(list(string)).join(): string", join, cost_of_join},
    {"(list(string)).join(string): string", join, cost_of_join},
    {"strings.quote(string): string", quote, cost_of_first, false},
    {"(string).format(list(dyn)): string", format, cost_of_first, false},
};

constexpr Declaration kReverse[] = {{"(string).reverse(): string", reverse}};

}  // namespace

std::span<const Declaration> string_reverse_functions() {
  return kReverse;
}
std::span<const Declaration> string_functions() {
  return kFunctions;
}

}  // namespace caisson::cel
