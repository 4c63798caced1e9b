// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/cvss.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "core/base/text.h"

namespace caisson::scan {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"UNKNOWN", "NONE", "LOW", "MEDIUM", "HIGH", "CRITICAL"};

// The metric's value in the vector. Errors: invalid when it isn't there.
Result<std::string_view> metric(std::string_view vector, std::string_view name) {
  for (const std::string_view part : split(vector, '/')) {
    if (part.size() > name.size() && part.starts_with(name) && part[name.size()] == ':')
      return part.substr(name.size() + 1);
  }
  return Error{ErrorCode::invalid, "CVSS vector without " + std::string(name)};
}

struct Weight {
  std::string_view value;
  double weight;
};
template <std::size_t N>
Result<double> weight(std::string_view vector, std::string_view name, const std::array<Weight, N>& table) {
  const std::string_view value = TRY(metric(vector, name));
  for (const Weight& one : table) {
    if (one.value == value) return one.weight;
  }
  return Error{ErrorCode::invalid, "CVSS metric " + std::string(name) + " can't be " + std::string(value)};
}

constexpr std::array<Weight, 4> kAttackVector = {{{"N", 0.85}, {"A", 0.62}, {"L", 0.55}, {"P", 0.2}}};
constexpr std::array<Weight, 2> kComplexity = {{{"L", 0.77}, {"H", 0.44}}};
constexpr std::array<Weight, 3> kPrivileges = {{{"N", 0.85}, {"L", 0.62}, {"H", 0.27}}};
constexpr std::array<Weight, 3> kPrivilegesChanged = {{{"N", 0.85}, {"L", 0.68}, {"H", 0.5}}};
constexpr std::array<Weight, 2> kInteraction = {{{"N", 0.85}, {"R", 0.62}}};
constexpr std::array<Weight, 3> kImpact = {{{"H", 0.56}, {"L", 0.22}, {"N", 0}}};

// Appendix A of v3.1: the smallest number with one decimal that is not below, without the float's noise.
double round_up(double value) {
  const auto whole = static_cast<std::int64_t>(std::llround(value * 100000));
  return whole % 10000 == 0 ? static_cast<double>(whole) / 100000 : static_cast<double>(whole / 10000 + 1) / 10;
}

Result<double> score_v3(std::string_view vector) {
  const std::string_view scope = TRY(metric(vector, "S"));
  if (scope != "U" && scope != "C") return Error{ErrorCode::invalid, "CVSS metric S can't be " + std::string(scope)};
  const bool changed = scope == "C";
  const double av = TRY(weight(vector, "AV", kAttackVector)), ac = TRY(weight(vector, "AC", kComplexity));
  const double pr = TRY(weight(vector, "PR", changed ? kPrivilegesChanged : kPrivileges));
  const double ui = TRY(weight(vector, "UI", kInteraction));
  const double c = TRY(weight(vector, "C", kImpact)), i = TRY(weight(vector, "I", kImpact)),
               a = TRY(weight(vector, "A", kImpact));
  const double sub = 1 - (1 - c) * (1 - i) * (1 - a);
  const double impact = changed ? 7.52 * (sub - 0.029) - 3.25 * std::pow(sub - 0.02, 15) : 6.42 * sub;
  if (impact <= 0) return 0.0;
  const double exploitability = 8.22 * av * ac * pr * ui;
  return round_up(std::min((changed ? 1.08 : 1.0) * (impact + exploitability), 10.0));
}

constexpr std::array<Weight, 3> kAccessVector2 = {{{"L", 0.395}, {"A", 0.646}, {"N", 1}}};
constexpr std::array<Weight, 3> kComplexity2 = {{{"H", 0.35}, {"M", 0.61}, {"L", 0.71}}};
constexpr std::array<Weight, 3> kAuthentication2 = {{{"M", 0.45}, {"S", 0.56}, {"N", 0.704}}};
constexpr std::array<Weight, 3> kImpact2 = {{{"N", 0}, {"P", 0.275}, {"C", 0.660}}};

Result<double> score_v2(std::string_view vector) {
  const double av = TRY(weight(vector, "AV", kAccessVector2)), ac = TRY(weight(vector, "AC", kComplexity2));
  const double au = TRY(weight(vector, "Au", kAuthentication2));
  const double c = TRY(weight(vector, "C", kImpact2)), i = TRY(weight(vector, "I", kImpact2)),
               a = TRY(weight(vector, "A", kImpact2));
  const double impact = 10.41 * (1 - (1 - c) * (1 - i) * (1 - a)), exploitability = 20 * av * ac * au;
  const double score = (0.6 * impact + 0.4 * exploitability - 1.5) * (impact == 0 ? 0 : 1.176);
  return std::round(std::max(score, 0.0) * 10) / 10;
}

}  // namespace

std::string_view severity_name(Severity severity) {
  return kNames[static_cast<std::size_t>(severity)];
}

std::optional<Severity> parse_severity(std::string_view text) {
  if (equals_ignoring_case(text, "moderate")) return Severity::medium;
  if (equals_ignoring_case(text, "important")) return Severity::high;
  if (equals_ignoring_case(text, "negligible")) return Severity::low;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (equals_ignoring_case(text, kNames[i])) return static_cast<Severity>(i);
  }
  return std::nullopt;
}

Severity severity_of_score(double score) {
  if (score >= 9) return Severity::critical;
  if (score >= 7) return Severity::high;
  if (score >= 4) return Severity::medium;
  return score > 0 ? Severity::low : Severity::none;
}

Result<double> cvss_base_score(std::string_view vector) {
  vector = trim(vector);
  if (vector.starts_with("CVSS:3.0/") || vector.starts_with("CVSS:3.1/")) return score_v3(vector.substr(9));
  if (vector.starts_with("CVSS:")) {
    return Error{ErrorCode::invalid,
                 "CVSS version " + std::string(vector.substr(5, vector.find('/') - 5)) + " is not scored"};
  }
  return score_v2(vector);
}

}  // namespace caisson::scan
