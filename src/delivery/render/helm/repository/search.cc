// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/repository/search.h"

#include <re2/re2.h>

#include <algorithm>
#include <optional>
#include <set>

#include "core/base/text.h"
#include "core/expr/go_template/semver.h"

namespace caisson::render::helm {
namespace {

using go_template::Version;

constexpr char kFieldEnd = '\v';

std::string searched_line(const std::string& repository, const ChartVersion& chart) {
  const Value& fields = chart.metadata.fields;
  std::string keywords;
  for (const Value& one : fields["keywords"].items()) keywords += (keywords.empty() ? "" : " ") + one.str();
  return chart.metadata.name + kFieldEnd + repository + "/" + chart.metadata.name + kFieldEnd +
         fields["description"].str() + kFieldEnd + keywords;
}

struct Matcher {
  std::string term;  // lower case; of a search without an expression
  std::optional<re2::RE2> expression;

  // In which field the line matches: 0 the name, 1 the whole name …; nothing when it does not.
  std::optional<int> score(std::string line) const {
    std::size_t at = 0;
    if (expression) {
      re2::StringPiece match;
      if (!expression->Match(line, 0, line.size(), re2::RE2::UNANCHORED, &match, 1)) return std::nullopt;
      at = static_cast<std::size_t>(match.data() - line.data());
    } else {
      line = to_lower(line);
      at = line.find(term);
      if (at == std::string::npos) return std::nullopt;
    }
    return static_cast<int>(std::count(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(at), kFieldEnd));
  }
};

bool is_better(const Found& a, const Found& b) {
  if (a.score != b.score) return a.score < b.score;
  if (a.name != b.name) return a.name < b.name;
  const auto one = Version::parse(a.chart->metadata.version), other = Version::parse(b.chart->metadata.version);
  return one.ok() && other.ok() && one->compare(*other) > 0;
}

}  // namespace

Result<std::vector<Found>> search(const std::vector<NamedIndex>& indexes, const SearchOptions& options) {
  Matcher matcher;
  matcher.term = to_lower(options.term);
  if (options.regexp && !options.term.empty()) {
    matcher.expression.emplace(options.term, re2::RE2::Quiet);
    if (!matcher.expression->ok())
      return Error{ErrorCode::bad_request, "error parsing regexp: " + matcher.expression->error()};
  }
  const auto range = TRY(go_template::Constraint::parse(options.constraint).in("an invalid version/constraint format"));
  std::vector<Found> found;
  for (const NamedIndex& one : indexes) {
    for (const auto& [name, versions] : one.index.entries) {
      for (const ChartVersion& chart : versions) {
        const auto score =
            options.term.empty() ? std::optional(0) : matcher.score(searched_line(one.repository, chart));
        if (score) found.push_back({one.repository + "/" + name, *score, &chart});
      }
    }
  }
  std::stable_sort(found.begin(), found.end(), is_better);
  std::vector<Found> out;
  std::set<std::string> names;
  for (const Found& one : found) {
    if (!options.all_versions && names.contains(one.name)) continue;
    const auto version = Version::parse(one.chart->metadata.version);
    if (!version.ok() || !range.check(*version)) continue;
    out.push_back(one);
    names.insert(one.name);
  }
  return out;
}

}  // namespace caisson::render::helm
