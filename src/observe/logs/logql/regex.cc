// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/logql/regex.h"

#include <re2/re2.h>

#include "observe/metrics/model/regex_error.h"

namespace caisson::logs::logql {

struct LineRegex::Impl {
  Impl(const std::string& pattern, const RE2::Options& options) : re(pattern, options) {}
  RE2 re;
  std::vector<std::string> names;
  bool literal = false;
};

Result<LineRegex> LineRegex::compile(std::string_view pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(8 << 20);
  auto impl = std::make_shared<Impl>(std::string(pattern), options);
  if (!impl->re.ok()) return Error{ErrorCode::bad_request, metrics::regex_error(impl->re)};
  impl->names.resize(static_cast<std::size_t>(impl->re.NumberOfCapturingGroups()) + 1);
  for (const auto& [index, name] : impl->re.CapturingGroupNames()) impl->names[static_cast<std::size_t>(index)] = name;
  impl->literal = pattern.find_first_of("\\.+*?()|[]{}^$") == std::string_view::npos;
  LineRegex regex;
  regex.impl_ = std::move(impl);
  return regex;
}

bool LineRegex::matches(std::string_view line) const {
  return RE2::PartialMatch(re2::StringPiece(line.data(), line.size()), impl_->re);
}

bool LineRegex::groups(std::string_view line, std::vector<std::string_view>& out) const {
  std::vector<re2::StringPiece> found(impl_->names.size());
  if (!impl_->re.Match(re2::StringPiece(line.data(), line.size()), 0, line.size(), RE2::UNANCHORED, found.data(),
                       static_cast<int>(found.size())))
    return false;
  out.clear();
  for (const re2::StringPiece& one : found) out.emplace_back(one.data() ? one.data() : "", one.size());
  return true;
}

const std::vector<std::string>& LineRegex::names() const {
  return impl_->names;
}
bool LineRegex::is_literal() const {
  return impl_->literal;
}

}  // namespace caisson::logs::logql
