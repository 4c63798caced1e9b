// SPDX-License-Identifier: Apache-2.0
// Sprig's regular expressions: Go's package regexp over RE2, which has its syntax. The must… forms give an error where
// the others panic with a longer text.
#include <re2/re2.h>

#include <map>
#include <optional>

#include "core/expr/go_template/execution.h"
#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template::sprig {
namespace {

struct Span {
  std::size_t start, end;
};

std::string_view go_complaint(re2::RE2::ErrorCode code) {
  switch (code) {
    case re2::RE2::ErrorBadEscape:
      return "invalid escape sequence";
    case re2::RE2::ErrorBadCharClass:
      return "invalid character class";
    case re2::RE2::ErrorBadCharRange:
      return "invalid character class range";
    case re2::RE2::ErrorMissingBracket:
      return "missing closing ]";
    case re2::RE2::ErrorMissingParen:
      return "missing closing )";
    case re2::RE2::ErrorUnexpectedParen:
      return "unexpected )";
    case re2::RE2::ErrorTrailingBackslash:
      return "trailing backslash at end of expression";
    case re2::RE2::ErrorRepeatArgument:
      return "missing argument to repetition operator";
    case re2::RE2::ErrorRepeatSize:
      return "invalid repeat count";
    case re2::RE2::ErrorRepeatOp:
      return "invalid nested repetition operator";
    case re2::RE2::ErrorBadPerlOp:
      return "invalid or unsupported Perl syntax";
    case re2::RE2::ErrorBadUTF8:
      return "invalid UTF-8";
    case re2::RE2::ErrorBadNamedCapture:
      return "invalid named capture";
    case re2::RE2::ErrorPatternTooLarge:
      return "expression too large";
    default:
      return "internal error";
  }
}

class Regex {
 public:
  explicit Regex(std::string_view pattern) : compiled_(re2::StringPiece(pattern.data(), pattern.size()), options()) {}

  bool ok() const { return compiled_.ok(); }

  std::string complaint() const {
    const std::string& argument = compiled_.error_arg();
    const bool shows = compiled_.error_code() != re2::RE2::ErrorTrailingBackslash;
    return "error parsing regexp: " + std::string(go_complaint(compiled_.error_code())) +
           (shows ? ": `" + argument + "`" : ": ``");
  }

  // Groups of the leftmost match from `start` on; group 0 is the whole. A group that took no part is nullopt.
  bool match(std::string_view text, std::size_t start, std::vector<std::optional<Span>>& groups) const {
    std::vector<re2::StringPiece> found(static_cast<std::size_t>(compiled_.NumberOfCapturingGroups()) + 1);
    const re2::StringPiece whole(text.data(), text.size());
    if (!compiled_.Match(whole, start, text.size(), re2::RE2::UNANCHORED, found.data(),
                         static_cast<int>(found.size()))) {
      return false;
    }
    groups.clear();
    for (const re2::StringPiece& piece : found) {
      if (!piece.data()) {
        groups.emplace_back();
        continue;
      }
      const auto at = static_cast<std::size_t>(piece.data() - text.data());
      groups.push_back(Span{at, at + piece.size()});
    }
    return true;
  }

  std::optional<std::size_t> group_named(const std::string& name) const {
    const auto found = compiled_.NamedCapturingGroups().find(name);
    if (found == compiled_.NamedCapturingGroups().end()) return std::nullopt;
    return static_cast<std::size_t>(found->second);
  }

 private:
  static re2::RE2::Options options() {
    re2::RE2::Options options;
    options.set_log_errors(false);
    return options;
  }

  re2::RE2 compiled_;
};

// The expressions of one Execution: charts match and replace with the same few again and again.
struct Compiled final : Execution::Kept {
  static constexpr std::size_t kMax = 16;
  std::map<std::string, Regex, std::less<>> by_pattern;
};

// The first argument. Valid until the next call.
const Regex& compiled(Call& call) {
  auto& kept = call.execution.kept("regex");
  if (!kept) kept = std::make_unique<Compiled>();
  auto& known = static_cast<Compiled&>(*kept).by_pattern;
  const std::string_view pattern = call.text(0);
  const auto found = known.find(pattern);
  if (found != known.end()) return found->second;
  if (known.size() >= Compiled::kMax) known.clear();
  return known.try_emplace(std::string(pattern), pattern).first->second;
}

Error refused(const Call& call, const Regex& regex) {
  if (call.name.starts_with("must")) return invalid(regex.complaint());
  const std::string_view pattern = call.text(0);
  const std::string shown = can_backquote(pattern) ? "`" + std::string(pattern) + "`" : quote(pattern);
  return invalid("regexp: Compile(" + shown + "): " + regex.complaint());
}

std::size_t width_at(std::string_view text, std::size_t at) {
  return at < text.size() ? decode_rune(text.substr(at)).size : 0;
}

// All matches that do not overlap; an empty one right behind another does not count. limit < 0: no limit.
Result<std::vector<Span>> all_matches(Call& call, const Regex& regex, std::string_view text, std::int64_t limit) {
  std::vector<Span> out;
  std::vector<std::optional<Span>> groups;
  std::optional<std::size_t> last_end;
  for (std::size_t at = 0; at <= text.size() && (limit < 0 || static_cast<std::int64_t>(out.size()) < limit);) {
    TRY(call.execution.spend(1));
    if (!regex.match(text, at, groups)) break;
    const Span span = *groups[0];
    const bool is_empty_behind = span.start == span.end && last_end == span.start;
    if (span.end > at) {
      at = span.end;
    } else {
      at += std::max<std::size_t>(width_at(text, at), 1);
    }
    last_end = span.end;
    if (!is_empty_behind) out.push_back(span);
  }
  return out;
}

// "$1", "${name}" and "$$" in a replacement.
void expand(std::string& out, std::string_view replacement, const Regex& regex, std::string_view text,
            const std::vector<std::optional<Span>>& groups) {
  const auto is_word = [](char c) {
    return c == '_' || is_letter(static_cast<unsigned char>(c)) || is_digit(static_cast<unsigned char>(c));
  };
  while (!replacement.empty()) {
    const std::size_t dollar = std::min(replacement.find('$'), replacement.size());
    out += replacement.substr(0, dollar);
    replacement.remove_prefix(dollar);
    if (replacement.empty()) return;
    if (replacement.starts_with("$$")) {
      out += '$';
      replacement.remove_prefix(2);
      continue;
    }
    const bool braced = replacement.starts_with("${");
    std::size_t end = braced ? 2 : 1;
    const std::size_t start = end;
    while (end < replacement.size() && static_cast<unsigned char>(replacement[end]) < 0x80 && is_word(replacement[end]))
      ++end;
    const std::string name(replacement.substr(start, end - start));
    if (name.empty() || (braced && (end >= replacement.size() || replacement[end] != '}'))) {
      out += '$';
      replacement.remove_prefix(1);
      continue;
    }
    replacement.remove_prefix(end + braced);
    const bool is_number = name.find_first_not_of("0123456789") == std::string::npos && name.size() < 9;
    const auto index = is_number ? std::optional<std::size_t>(std::stoul(name)) : regex.group_named(name);
    if (index && *index < groups.size() && groups[*index]) {
      out += text.substr(groups[*index]->start, groups[*index]->end - groups[*index]->start);
    }
  }
}

Result<Datum> replaced(Call& call, bool is_literal) {
  const Regex& regex = compiled(call);
  if (!regex.ok()) return refused(call, regex);
  const std::string_view text = call.text(1), replacement = call.text(2);
  std::string out;
  std::vector<std::optional<Span>> groups;
  std::size_t copied = 0;
  for (std::size_t at = 0; at <= text.size();) {
    if (!regex.match(text, at, groups)) break;
    const Span span = *groups[0];
    out += text.substr(copied, span.start - copied);
    if (span.end > copied || span.start == 0) {
      if (is_literal) {
        out += replacement;
      } else {
        expand(out, replacement, regex, text, groups);
      }
    }
    TRY(call.execution.spend(1, out.size()));
    copied = span.end;
    const std::size_t width = width_at(text, at);
    if (at + width > span.end) {
      at += width;
    } else {
      at = at + 1 > span.end ? at + 1 : span.end;
    }
  }
  out += text.substr(std::min(copied, text.size()));
  return Datum(out);
}

}  // namespace

Result<Datum> must_regex_match(Call& call) {
  const Regex& regex = compiled(call);
  if (!regex.ok()) return invalid(regex.complaint());
  std::vector<std::optional<Span>> groups;
  return Datum(regex.match(call.text(1), 0, groups));
}

Result<Datum> regex_match(Call& call) {
  const auto matched = must_regex_match(call);
  return matched.ok() ? *matched : Datum(false);
}

Result<Datum> regex_find(Call& call) {
  const Regex& regex = compiled(call);
  if (!regex.ok()) return refused(call, regex);
  std::vector<std::optional<Span>> groups;
  if (!regex.match(call.text(1), 0, groups)) return Datum("");
  return Datum(call.text(1).substr(groups[0]->start, groups[0]->end - groups[0]->start));
}

Result<Datum> regex_find_all(Call& call) {
  const Regex& regex = compiled(call);
  if (!regex.ok()) return refused(call, regex);
  const std::string_view text = call.text(1);
  std::vector<std::string> out;
  for (const Span& span : TRY(all_matches(call, regex, text, call[2].as_int()))) {
    out.emplace_back(text.substr(span.start, span.end - span.start));
  }
  return out.empty() ? Datum::nil_of(kStringList) : Datum::strings(out);
}

Result<Datum> regex_replace_all(Call& call) {
  return replaced(call, false);
}
Result<Datum> regex_replace_all_literal(Call& call) {
  return replaced(call, true);
}

Result<Datum> regex_split(Call& call) {
  const Regex& regex = compiled(call);
  if (!regex.ok()) return refused(call, regex);
  const std::string_view text = call.text(1);
  const std::int64_t limit = call[2].as_int();
  if (limit == 0) return Datum::nil_of(kStringList);
  if (!call.text(0).empty() && text.empty()) return Datum::strings({""});
  std::vector<std::string> out;
  std::size_t begin = 0, end = 0;
  for (const Span& span : TRY(all_matches(call, regex, text, limit))) {
    if (limit > 0 && static_cast<std::int64_t>(out.size()) == limit - 1) break;
    end = span.start;
    if (span.end != 0) out.emplace_back(text.substr(begin, end - begin));
    begin = span.end;
  }
  if (end != text.size()) out.emplace_back(text.substr(begin));
  return Datum::strings(out);
}

Result<Datum> regex_quote_meta(Call& call) {
  std::string out;
  for (const char c : call.text(0)) {
    if (std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return Datum(out);
}

}  // namespace caisson::go_template::sprig
