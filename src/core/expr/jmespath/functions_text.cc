// SPDX-License-Identifier: Apache-2.0
// Kyverno's functions over strings. Regular expressions are RE2's, as Go's are.
#include <re2/re2.h>

#include <algorithm>
#include <cmath>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/number.h"
#include "core/expr/jmespath/functions.h"
#include "core/expr/jmespath/random_text.h"
#include "core/expr/jmespath/semver.h"
#include "core/expr/jmespath/unicode_case.h"
#include "core/expr/jmespath/wildcard.h"

namespace caisson::jmespath {
namespace {

Result<Value> bounded(const Call& call, std::string text) {
  if (text.size() > call.environment.text_bytes_max) return call.fail("the text is too long");
  return Value(text);
}

// A string as it is, a number as Go's 'f' format writes it.
std::string text_or_number(const Value& value) {
  if (value.is_string()) return value.str();
  return value.is_int() ? std::to_string(value.as_int()) : document::yaml_number(value.as_double());
}

Result<Value> run_compare(const Call& call) {
  const int order = call.text(0).compare(call.text(1));
  return Value(order < 0 ? -1 : order > 0 ? 1 : 0);
}
Result<Value> run_equal_fold(const Call& call) {
  return Value(fold_case(call.text(0)) == fold_case(call.text(1)));
}
Result<Value> run_to_lower(const Call& call) {
  return Value(lower_case(call.text(0)));
}
Result<Value> run_to_upper(const Call& call) {
  return Value(upper_case(call.text(0)));
}

// strings.Replace: an empty `from` stands before each character and at the end; a negative count is no limit.
std::string replaced(std::string_view text, std::string_view from, std::string_view to, double count,
                     std::size_t most) {
  std::string out;
  std::size_t at = 0;
  const auto may_go_on = [&] { return (count < 0 || count >= 1) && out.size() <= most; };
  if (from.empty()) {
    for (; may_go_on(); --count) {
      out += to;
      if (at == text.size()) return out;
      std::size_t next = at + 1;
      while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xc0) == 0x80) ++next;
      out += text.substr(at, next - at);
      at = next;
    }
    return out.append(text.substr(at));
  }
  for (std::size_t found; may_go_on() && (found = text.find(from, at)) != std::string_view::npos; --count) {
    out += text.substr(at, found - at);
    out += to;
    at = found + from.size();
  }
  return out.append(text.substr(at));
}
Result<Value> run_replace(const Call& call) {
  return bounded(call, replaced(call.text(0), call.text(1), call.text(2), std::trunc(call.number(3)),
                                call.environment.text_bytes_max));
}
Result<Value> run_replace_all(const Call& call) {
  return bounded(call, replaced(call.text(0), call.text(1), call.text(2), -1, call.environment.text_bytes_max));
}

// Characters of `set`, as strings.Trim takes them.
bool in_set(std::string_view set, std::string_view character) {
  return set.find(character) != std::string_view::npos;
}
Result<Value> run_trim(const Call& call) {
  std::string_view text = call.text(0);
  const std::string_view set = call.text(1);
  const auto is_inner = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  while (!text.empty()) {
    std::size_t length = 1;
    while (length < text.size() && is_inner(text[length])) ++length;
    if (!in_set(set, text.substr(0, length))) break;
    text.remove_prefix(length);
  }
  while (!text.empty()) {
    std::size_t from = text.size() - 1;
    while (from > 0 && is_inner(text[from])) --from;
    if (!in_set(set, text.substr(from))) break;
    text.remove_suffix(text.size() - from);
  }
  return Value(text);
}
Result<Value> run_trim_prefix(const Call& call) {
  std::string_view text = call.text(0);
  if (text.starts_with(call.text(1))) text.remove_prefix(call.text(1).size());
  return Value(text);
}

Result<Value> run_split(const Call& call) {
  std::vector<Value> parts;
  std::string_view text = call.text(0);
  const std::string_view separator = call.text(1);
  while (!text.empty() || !separator.empty()) {
    std::size_t end = text.find(separator);
    if (separator.empty()) {  // into its characters
      end = 1;
      while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
    }
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(std::min(text.size(), end + separator.size()));
  }
  return Value(std::move(parts));
}

Result<std::shared_ptr<const RE2>> regex_of(const Call& call) {
  if (call.node.regex) return call.node.regex;
  return compile_regex(call.function.name, call.text(0));
}
Result<Value> run_regex_match(const Call& call) {
  const auto regex = TRY(regex_of(call));
  const std::string subject = text_or_number(call.value(1));
  return Value(RE2::PartialMatch(subject, *regex));
}

// Go's Expand: $1, ${1}, $name, ${name}, $$.
std::string expanded(std::string_view form, const RE2& regex, std::span<const re2::StringPiece> groups) {
  std::string out;
  const auto& names = regex.NamedCapturingGroups();
  for (std::size_t i = 0; i < form.size(); ++i) {
    if (form[i] != '$' || i + 1 == form.size()) {
      out += form[i];
      continue;
    }
    if (form[i + 1] == '$') {
      out += form[++i];
      continue;
    }
    const bool braced = form[i + 1] == '{';
    std::size_t from = i + (braced ? 2 : 1), to = from;
    while (to < form.size() && (std::isalnum(static_cast<unsigned char>(form[to])) || form[to] == '_')) ++to;
    if (to == from || (braced && (to == form.size() || form[to] != '}'))) {
      out += form[i];
      continue;
    }
    const std::string name(form.substr(from, to - from));
    std::size_t group = groups.size();
    if (const auto number = parse_int(name); number && *number >= 0)
      group = static_cast<std::size_t>(*number);
    else if (const auto found = names.find(name); found != names.end())
      group = static_cast<std::size_t>(found->second);
    if (group < groups.size() && groups[group].data() != nullptr)
      out.append(groups[group].data(), groups[group].size());
    i = braced ? to : to - 1;
  }
  return out;
}
Result<Value> regex_replaced(const Call& call, bool literal) {
  const auto regex = TRY(regex_of(call));
  const std::string subject = text_or_number(call.value(1)), form = text_or_number(call.value(2));
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(regex->NumberOfCapturingGroups()) + 1);
  std::string out;
  std::size_t at = 0, copied = 0;
  while (at <= subject.size() &&
         regex->Match(subject, at, subject.size(), RE2::UNANCHORED, groups.data(), static_cast<int>(groups.size()))) {
    const auto from = static_cast<std::size_t>(groups[0].data() - subject.data());
    const std::size_t to = from + groups[0].size();
    out.append(subject, copied, from - copied);
    if (to > from || from >= copied) out += literal ? form : expanded(form, *regex, groups);
    copied = to;
    at = to;
    if (to == from) {  // an empty match: go on behind the next character
      if (from == subject.size()) break;
      out += subject[from];
      copied = at = from + 1;
    }
    if (out.size() > call.environment.text_bytes_max) return call.fail("the text is too long");
  }
  if (copied < subject.size()) out.append(subject, copied);
  return bounded(call, std::move(out));
}
Result<Value> run_regex_replace_all(const Call& call) {
  return regex_replaced(call, false);
}
Result<Value> run_regex_replace_all_literal(const Call& call) {
  return regex_replaced(call, true);
}

Result<Value> run_pattern_match(const Call& call) {
  return Value(wildcard_match(call.text(0), text_or_number(call.value(1))));
}
Result<Value> run_to_boolean(const Call& call) {
  const std::string text = to_lower(call.text(0));
  if (text != "true" && text != "false")
    return call.fail("lowercase argument must be 'true' or 'false' (provided: '" + call.value(0).str() + "')");
  return Value(text == "true");
}
Result<Value> run_truncate(const Call& call) {
  const std::string_view text = call.text(0);
  double left = std::trunc(call.number(1));
  std::size_t at = 0;
  for (; at < text.size() && left >= 1; --left) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) ++at;
  }
  return Value(text.substr(0, at));
}
Result<Value> run_path_canonicalize(const Call& call) {
  if (call.text(0).empty()) return Value("");
  return Value(path_clean(call.text(0)));
}
Result<Value> run_semver_compare(const Call& call) {
  const Version version = Version::parse(call.text(0)).value_or(Version{});
  const auto held = version_in_range(version, call.text(1));
  if (!held.ok()) return call.fail(held.error().message);
  return Value(*held);
}
Result<Value> run_base64_encode(const Call& call) {
  return Value(base64(call.text(0)));
}
Result<Value> run_base64_decode(const Call& call) {
  const auto text = unbase64(call.text(0));
  if (!text.ok()) return call.fail(text.error().message);
  return Value(*text);
}
Result<Value> run_random(const Call& call) {
  if (call.text(0).empty()) return call.fail("no pattern provided");
  if (!call.environment.random) return call.fail("there is no source of randomness here");
  const auto text = random_text(call.text(0), call.environment.random);
  if (!text.ok()) return call.fail(text.error().message);
  return Value(*text);
}

constexpr std::uint16_t kTextual = kString | kNumber;
constexpr Function kTable[] = {
    {"base64_decode", 1, false, {kString}, "string", run_base64_decode, "decodes base 64"},
    {"base64_encode", 1, false, {kString}, "string", run_base64_encode, "encodes as base 64"},
    {"compare", 2, false, {kString, kString}, "number", run_compare, "-1, 0 or 1 by the order of two strings"},
    {"equal_fold", 2, false, {kString, kString}, "boolean", run_equal_fold, "whether strings differ by case at most"},
    {"path_canonicalize", 1, false, {kString}, "string", run_path_canonicalize, "a path without . and .."},
    {"pattern_match", 2, false, {kString, kTextual}, "boolean", run_pattern_match, "whether * and ? of a pattern fit"},
    {"random", 1, false, {kString}, "string", run_random, "a text that a regular expression describes"},
    {"regex_match", 2, false, {kString, kTextual}, "boolean", run_regex_match, "whether a regular expression is found"},
    {"regex_replace_all",
     3,
     false,
     {kString, kTextual, kTextual},
     "string",
     run_regex_replace_all,
     "matches replaced, $1 stands for a group"},
    {"regex_replace_all_literal",
     3,
     false,
     {kString, kTextual, kTextual},
     "string",
     run_regex_replace_all_literal,
     "matches replaced by the text as it is"},
    {"replace", 4, false, {kString, kString, kString, kNumber}, "string", run_replace, "the first so many replaced"},
    {"replace_all", 3, false, {kString, kString, kString}, "string", run_replace_all, "every occurrence replaced"},
    {"semver_compare", 2, false, {kString, kString}, "boolean", run_semver_compare, "whether a version is in a range"},
    {"split", 2, false, {kString, kString}, "array", run_split, "the parts between separators"},
    {"to_boolean", 1, false, {kString}, "boolean", run_to_boolean, "true of \"true\", false of \"false\""},
    {"to_lower", 1, false, {kString}, "string", run_to_lower, "in lower case"},
    {"to_upper", 1, false, {kString}, "string", run_to_upper, "in upper case"},
    {"trim", 2, false, {kString, kString}, "string", run_trim, "without characters of a set at both ends"},
    {"trim_prefix", 2, false, {kString, kString}, "string", run_trim_prefix, "without a prefix"},
    {"truncate", 2, false, {kString, kNumber}, "string", run_truncate, "the first so many characters"},
};

}  // namespace

std::span<const Function> text_functions() {
  return kTable;
}

}  // namespace caisson::jmespath
