// SPDX-License-Identifier: Apache-2.0
#include <re2/re2.h>

#include <algorithm>

#include "observe/metrics/model/format.h"
#include "observe/metrics/model/labels.h"
#include "observe/metrics/model/regex_error.h"

namespace caisson::metrics {

struct Regex::Impl {
  Impl(const std::string& pattern, const RE2::Options& options) : re(pattern, options) {}
  RE2 re;
};

namespace {

constexpr std::int64_t kRegexMemoryMax = 8 << 20;

// Reads "$name", "${name}" at `at` (which points behind the dollar); the name ends before the new `at`.
std::string_view group_name(std::string_view text, std::size_t& at) {
  const bool braced = at < text.size() && text[at] == '{';
  const std::size_t begin = braced ? at + 1 : at;
  std::size_t end = begin;
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  while (end < text.size() && is_word(text[end])) ++end;
  if (end == begin || (braced && (end == text.size() || text[end] != '}'))) return {};
  at = braced ? end + 1 : end;
  return text.substr(begin, end - begin);
}

std::string_view group_value(const RE2& re, std::string_view name, const std::vector<re2::StringPiece>& groups) {
  std::size_t index = groups.size();
  if (std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    index = name.size() < 6 ? std::stoul(std::string(name)) : groups.size();
  } else {
    const auto& named = re.NamedCapturingGroups();
    if (const auto found = named.find(std::string(name)); found != named.end()) index = found->second;
  }
  return index < groups.size() ? std::string_view(groups[index].data(), groups[index].size()) : std::string_view();
}

}  // namespace

Result<Regex> Regex::compile(std::string_view pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  options.set_max_mem(kRegexMemoryMax);
  auto impl = std::make_shared<Impl>("^(?s:" + std::string(pattern) + ")$", options);
  if (!impl->re.ok()) {
    const RE2 alone(std::string(pattern), options);  // what is wrong with what was written, not with what is around it
    return Error{ErrorCode::bad_request, regex_error(alone.ok() ? impl->re : alone)};
  }
  Regex regex;
  regex.impl_ = std::move(impl);
  return regex;
}

bool Regex::matches(std::string_view text) const {
  return RE2::FullMatch(re2::StringPiece(text.data(), text.size()), impl_->re);
}

bool Regex::expand(std::string_view text, std::string_view replacement, std::string& out) const {
  std::vector<re2::StringPiece> groups(impl_->re.NumberOfCapturingGroups() + 1);
  if (!impl_->re.Match(re2::StringPiece(text.data(), text.size()), 0, text.size(), RE2::ANCHOR_BOTH, groups.data(),
                       static_cast<int>(groups.size())))
    return false;
  for (std::size_t at = 0; at < replacement.size();) {
    if (replacement[at] != '$') {
      out += replacement[at++];
    } else if (at + 1 < replacement.size() && replacement[at + 1] == '$') {
      out += '$';
      at += 2;
    } else {
      std::size_t next = at + 1;
      const std::string_view name = group_name(replacement, next);
      if (name.empty())
        out += '$';
      else
        out += group_value(impl_->re, name, groups);
      at = next;
    }
  }
  return true;
}

std::string_view match_operator(MatchType type) {
  static constexpr std::string_view kOperators[] = {"=", "!=", "=~", "!~"};
  return kOperators[static_cast<int>(type)];
}

Result<Matcher> Matcher::make(MatchType type, std::string name, std::string value) {
  Matcher matcher{type, std::move(name), std::move(value), nullptr};
  if (type == MatchType::regex || type == MatchType::not_regex)
    matcher.regex = std::make_shared<const Regex>(TRY(Regex::compile(matcher.value)));
  return matcher;
}

bool Matcher::matches(std::string_view text) const {
  switch (type) {
    case MatchType::equal:
      return text == value;
    case MatchType::not_equal:
      return text != value;
    case MatchType::regex:
      return regex->matches(text);
    case MatchType::not_regex:
      return !regex->matches(text);
  }
  return false;
}

std::string Matcher::str() const {
  return (is_plain_label_name(name) ? name : quote(name)) + std::string(match_operator(type)) + quote(value);
}

bool matches_all(std::span<const Matcher> matchers, const Labels& labels) {
  return std::all_of(matchers.begin(), matchers.end(),
                     [&](const Matcher& matcher) { return matcher.matches(labels.get(matcher.name)); });
}

}  // namespace caisson::metrics
