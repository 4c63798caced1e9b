// SPDX-License-Identifier: Apache-2.0
// Sprig's functions on strings. Follows strings.go of Sprig 3.3 and goutils 1.1.1; words and cases are in words.cc.
#include <algorithm>

#include "core/base/text.h"
#include "core/expr/go_template/format.h"
#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template::sprig {
namespace {

// A count or an index of a template, with what Go's run time says when it is out of its range.
Error out_of_range(std::int64_t at, std::size_t size) {
  return invalid("runtime error: slice bounds out of range [:" + std::to_string(at) + "]" +
                 (at < 0 ? "" : " with length " + std::to_string(size)));
}

bool is_in_set(std::string_view set, std::uint32_t code) {
  while (!set.empty()) {
    const Rune rune = decode_rune(set);
    if (rune.code == code) return true;
    set.remove_prefix(rune.size);
  }
  return false;
}

std::string_view trim_set(std::string_view text, std::string_view set) {
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    if (!is_in_set(set, rune.code)) break;
    text.remove_prefix(rune.size);
  }
  while (!text.empty()) {
    const Rune rune = decode_last_rune(text);
    if (!is_in_set(set, rune.code)) break;
    text.remove_suffix(rune.size);
  }
  return text;
}

// strings.SplitN: count < 0 is all, 0 is none; an empty separator parts the characters.
std::vector<std::string> split_n(std::string_view text, std::string_view separator, std::int64_t count) {
  std::vector<std::string> out;
  if (count == 0) return out;
  const auto is_last = [&] { return count > 0 && static_cast<std::int64_t>(out.size()) == count - 1; };
  if (separator.empty()) {
    while (!text.empty() && !is_last()) {
      const std::size_t size = decode_rune(text).size;
      out.emplace_back(text.substr(0, size));
      text.remove_prefix(size);
    }
    if (!text.empty()) out.emplace_back(text);
    return out;
  }
  while (!is_last()) {
    const std::size_t found = text.find(separator);
    if (found == std::string_view::npos) break;
    out.emplace_back(text.substr(0, found));
    text.remove_prefix(found + separator.size());
  }
  out.emplace_back(text);
  return out;
}

Datum numbered(const std::vector<std::string>& parts) {
  Map::Entries entries;
  for (std::size_t i = 0; i < parts.size(); ++i) entries.emplace("_" + std::to_string(i), Datum(parts[i]));
  return Datum(make<Map>(std::move(entries)), kStringMap);
}

// strings.Replace of every `from`; an empty one stands before each character and at the end.
Result<std::string> replaced(Call& call, std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  if (from.empty()) {
    TRY(call.execution.spend(text.size(), (text.size() + 1) * (to.size() + 1)));
    out = to;
    while (!text.empty()) {
      const std::size_t size = decode_rune(text).size;
      out += text.substr(0, size);
      out += to;
      text.remove_prefix(size);
    }
    return out;
  }
  for (std::size_t found; (found = text.find(from)) != std::string_view::npos;) {
    out += text.substr(0, found);
    out += to;
    TRY(call.execution.spend(0, out.size()));
    text.remove_prefix(found + from.size());
  }
  out += text;
  return out;
}

Result<std::string> indented(Call& call, std::int64_t spaces, std::string_view text) {
  if (spaces < 0) return invalid("strings: negative Repeat count");
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  const auto width = static_cast<std::size_t>(spaces);
  TRY(call.execution.spend(0, width > text.max_size() / lines ? text.max_size() : width * lines + text.size()));
  std::string out;
  out.reserve(width * lines + text.size() + 1);
  out.append(width, ' ');
  for (std::size_t start = 0, end; start < text.size(); start = end) {
    const std::size_t line_break = text.find('\n', start);
    end = std::min(line_break, text.size() - 1) + 1;
    out.append(text, start, end - start);
    if (line_break != std::string_view::npos) out.append(width, ' ');
  }
  return out;
}

std::string abbreviated(std::string_view text, std::int64_t offset, std::int64_t width) {
  const auto size = static_cast<std::int64_t>(text.size());
  if (text.empty() || width < 4 || size <= width) return std::string(width < 4 ? std::string_view() : text);
  const std::int64_t kept = width - 3;
  const auto part = [&](std::int64_t from, std::int64_t count) {
    return std::string(text.substr(static_cast<std::size_t>(from), static_cast<std::size_t>(count)));
  };
  offset = std::min(offset, size);
  if (size - offset < kept) offset = size - kept;
  if (offset <= 4) return part(0, kept) + "...";
  if (width < 7) return "";
  if (offset + kept < size) return "..." + abbreviated(text.substr(static_cast<std::size_t>(offset)), 0, kept);
  return "..." + part(size - kept, kept);
}

Result<std::string> wrapped(Call& call, std::string_view text, std::int64_t given_width, std::string_view newline,
                            bool breaks_words) {
  if (newline.empty()) newline = "\n";
  const auto width = static_cast<std::size_t>(std::max<std::int64_t>(given_width, 1));
  TRY(call.execution.spend(text.size(), text.size() + (text.size() / width + 1) * newline.size()));
  std::string out;
  while (text.size() > width) {
    if (text[0] == ' ') {
      text.remove_prefix(1);
      continue;
    }
    const std::size_t space = text.substr(0, width + 1).rfind(' ');
    std::size_t end = space;
    if (space == std::string_view::npos) end = breaks_words ? width : text.find(' ', width);
    if (end == std::string_view::npos) break;
    out += text.substr(0, end);
    out += newline;
    text.remove_prefix(space == std::string_view::npos && breaks_words ? end : end + 1);
  }
  out += text;
  return out;
}

Result<std::vector<Datum>> without_nil(const Call& call) {
  std::vector<Datum> out;
  std::copy_if(call.arguments.begin(), call.arguments.end(), std::back_inserter(out),
               [](const Datum& datum) { return !is_nil(datum); });
  return out;
}

}  // namespace

Result<Datum> trim(Call& call) {
  return Datum(trim_space(call.text(0)));
}
Result<Datum> trim_all(Call& call) {
  return Datum(trim_set(call.text(1), call.text(0)));
}

Result<Datum> trim_prefix(Call& call) {
  std::string_view text = call.text(1);
  if (text.starts_with(call.text(0))) text.remove_prefix(call.text(0).size());
  return Datum(text);
}

Result<Datum> trim_suffix(Call& call) {
  std::string_view text = call.text(1);
  if (text.ends_with(call.text(0))) text.remove_suffix(call.text(0).size());
  return Datum(text);
}

Result<Datum> upper(Call& call) {
  return Datum(upper_text(call.text(0)));
}
Result<Datum> lower(Call& call) {
  return Datum(lower_text(call.text(0)));
}

Result<Datum> trunc(Call& call) {
  const std::string_view text = call.text(1);
  const std::int64_t count = call[0].as_int(), size = static_cast<std::int64_t>(text.size());
  if (count < 0 && size + count > 0) return Datum(text.substr(static_cast<std::size_t>(size + count)));
  return Datum(count >= 0 && size > count ? text.substr(0, static_cast<std::size_t>(count)) : text);
}

Result<Datum> substr(Call& call) {
  const std::int64_t start = call[0].as_int(), end = call[1].as_int();
  const std::string_view text = call.text(2);
  const auto size = static_cast<std::int64_t>(text.size());
  if (start < 0) {
    if (end < 0 || end > size) return out_of_range(end, text.size());
    return Datum(text.substr(0, static_cast<std::size_t>(end)));
  }
  const std::int64_t stop = end < 0 || end > size ? size : end;
  if (start > stop) {
    return invalid("runtime error: slice bounds out of range [" + std::to_string(start) + ":" + std::to_string(stop) +
                   "]");
  }
  return Datum(text.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(stop - start)));
}

Result<Datum> repeat(Call& call) {
  const std::int64_t count = call[0].as_int();
  const std::string_view text = call.text(1);
  if (count < 0) return invalid("strings: negative Repeat count");
  const auto times = static_cast<std::size_t>(count);
  TRY(call.execution.spend(
      0, !text.empty() && times > text.max_size() / text.size() ? text.max_size() : times * text.size()));
  if (text.empty()) return Datum("");
  std::string out;
  out.reserve(times * text.size());
  for (std::size_t i = 0; i < times; ++i) out += text;
  return Datum(out);
}

Result<Datum> contains(Call& call) {
  return Datum(call.text(1).find(call.text(0)) != std::string_view::npos);
}
Result<Datum> has_prefix(Call& call) {
  return Datum(call.text(1).starts_with(call.text(0)));
}
Result<Datum> has_suffix(Call& call) {
  return Datum(call.text(1).ends_with(call.text(0)));
}
Result<Datum> replace(Call& call) {
  return Datum(TRY(replaced(call, call.text(2), call.text(0), call.text(1))));
}
Result<Datum> plural(Call& call) {
  return call[2].as_int() == 1 ? call[0] : call[1];
}
Result<Datum> to_string_(Call& call) {
  return Datum(TRY(to_string(call[0])));
}

Result<Datum> quote_(Call& call) {
  std::string out;
  for (const Datum& item : TRY(without_nil(call))) {
    if (!out.empty()) out += ' ';
    out += quote(TRY(to_string(item)));
  }
  return Datum(out);
}

Result<Datum> squote(Call& call) {
  std::string out;
  for (const Datum& item : TRY(without_nil(call))) {
    if (!out.empty()) out += ' ';
    out += "'" + TRY(to_text(item)) + "'";
  }
  return Datum(out);
}

Result<Datum> cat(Call& call) {
  std::string out;
  bool first = true;
  for (const Datum& item : TRY(without_nil(call))) {
    if (!std::exchange(first, false)) out += ' ';
    out += TRY(to_text(item));
  }
  return Datum(out);
}

Result<Datum> indent(Call& call) {
  return Datum(TRY(indented(call, call[0].as_int(), call.text(1))));
}
Result<Datum> nindent(Call& call) {
  return Datum("\n" + TRY(indented(call, call[0].as_int(), call.text(1))));
}

Result<Datum> split(Call& call) {
  return numbered(split_n(call.text(1), call.text(0), -1));
}
Result<Datum> splitn(Call& call) {
  return numbered(split_n(call.text(2), call.text(0), call[1].as_int()));
}
Result<Datum> split_list(Call& call) {
  return Datum::strings(split_n(call.text(1), call.text(0), -1));
}

Result<Datum> abbrev(Call& call) {
  if (call[0].as_int() < 4) return call[1];
  return Datum(abbreviated(call.text(1), 0, call[0].as_int()));
}

Result<Datum> abbrevboth(Call& call) {
  const std::int64_t left = call[0].as_int(), right = call[1].as_int();
  if (right < 4 || (left > 0 && right < 7)) return call[2];
  return Datum(abbreviated(call.text(2), left, right));
}

Result<Datum> wrap(Call& call) {
  return Datum(TRY(wrapped(call, call.text(1), call[0].as_int(), "", false)));
}
Result<Datum> wrap_with(Call& call) {
  return Datum(TRY(wrapped(call, call.text(2), call[0].as_int(), call.text(1), true)));
}

// goutils goes over the bytes of the text, each taken for a character.
Result<Datum> nospace(Call& call) {
  std::string out;
  const std::string_view text = call.text(0);
  for (const char c : text) {
    if (!is_space(static_cast<unsigned char>(c))) append_rune(out, static_cast<unsigned char>(c));
  }
  const bool has_space =
      std::any_of(text.begin(), text.end(), [](char c) { return is_space(static_cast<unsigned char>(c)); });
  return has_space ? Datum(out) : call[0];
}

Result<Datum> initials(Call& call) {
  std::string out;
  bool starts = true;
  for (const char c : call.text(0)) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_space(byte)) {
      starts = true;
    } else if (std::exchange(starts, false)) {
      append_rune(out, byte);
    }
  }
  return Datum(out);
}

}  // namespace caisson::go_template::sprig
