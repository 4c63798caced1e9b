// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/regex.h"

#include <re2/re2.h>

#include <list>
#include <mutex>

namespace caisson::cel {
namespace {

constexpr std::size_t kCacheMax = 256;
constexpr std::int64_t kProgramBytesMax = 8 << 20;

// Go's template to RE2's: "$1" becomes "\\1".
std::string rewrite_of(std::string_view replacement) {
  std::string out;
  for (std::size_t at = 0; at < replacement.size(); ++at) {
    const char c = replacement[at];
    if (c == '\\') {
      out += "\\\\";
    } else if (c != '$') {
      out += c;
    } else if (replacement.substr(at + 1).starts_with("$")) {
      out += c;
      ++at;
    } else {
      const bool braced = replacement.substr(at + 1).starts_with("{");
      const std::size_t digit = at + 1 + braced;
      if (digit >= replacement.size() || replacement[digit] < '0' || replacement[digit] > '9') continue;
      (out += '\\') += replacement[digit];
      at = digit + braced;
    }
  }
  return out;
}

}  // namespace

struct Regex::Impl {
  explicit Impl(std::string_view pattern, const RE2::Options& options)
      : regex(re2::StringPiece(pattern.data(), pattern.size()), options) {}
  RE2 regex;
};

Result<Regex> Regex::compile(std::string_view pattern) {
  static std::mutex mutex;
  static std::list<std::pair<std::string, Regex>> cache;  // the last used first
  {
    const std::lock_guard lock(mutex);
    for (auto entry = cache.begin(); entry != cache.end(); ++entry) {
      if (entry->first != pattern) continue;
      cache.splice(cache.begin(), cache, entry);
      return cache.front().second;
    }
  }
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kProgramBytesMax);
  Regex out;
  out.impl_ = std::make_shared<const Impl>(pattern, options);
  if (!out.impl_->regex.ok()) return Error{ErrorCode::bad_request, "error parsing regexp: " + out.impl_->regex.error()};
  const std::lock_guard lock(mutex);
  cache.emplace_front(std::string(pattern), out);
  if (cache.size() > kCacheMax) cache.pop_back();
  return out;
}

bool Regex::matches(std::string_view text) const {
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), impl_->regex);
}

std::string Regex::replace_all(std::string_view text, std::string_view replacement) const {
  std::string out(text);
  RE2::GlobalReplace(&out, impl_->regex, rewrite_of(replacement));
  return out;
}

std::vector<std::string_view> Regex::find_all(std::string_view text, std::size_t count_max) const {
  std::vector<std::string_view> out;
  const re2::StringPiece input(text.data(), text.size());
  std::size_t at = 0;
  std::size_t last_end = std::string_view::npos;
  while (at <= text.size() && out.size() < count_max) {
    re2::StringPiece match;
    if (!impl_->regex.Match(input, at, text.size(), RE2::UNANCHORED, &match, 1)) break;
    const std::size_t begin = static_cast<std::size_t>(match.data() - text.data());
    const std::size_t end = begin + match.size();
    // As Go: an empty match right after another match does not count.
    if (!match.empty() || begin != last_end) out.push_back(text.substr(begin, match.size()));
    last_end = end;
    at = match.empty() ? end + 1 : end;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  }
  return out;
}

}  // namespace caisson::cel
