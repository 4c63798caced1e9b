// SPDX-License-Identifier: Apache-2.0
// Source: github.com/Masterminds/semver 3.4 (version.go, constraints.go), whose reading of ranges differs from npm's in
// small things: a prerelease matches only a range that names one.
#include "delivery/render/helm/version.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/base/text.h"

namespace caisson::render::helm {
namespace {

struct Version {
  std::int64_t major = 0, minor = 0, patch = 0;
  std::string_view prerelease;
};

bool is_identifier(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  });
}

bool are_identifiers(std::string_view text) {
  const auto parts = split(text, '.');
  return std::all_of(parts.begin(), parts.end(), is_identifier);
}

std::optional<std::int64_t> number(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  return parse_int(text);
}

// Cuts "-pre" and "+meta" off. Nothing when one of them is malformed.
std::optional<std::string_view> take_suffixes(std::string_view& text) {
  if (const std::size_t plus = text.find('+'); plus != std::string_view::npos) {
    if (!are_identifiers(text.substr(plus + 1))) return std::nullopt;
    text = text.substr(0, plus);
  }
  std::string_view prerelease;
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    prerelease = text.substr(dash + 1);
    if (!are_identifiers(prerelease)) return std::nullopt;
    text = text.substr(0, dash);
  }
  return prerelease;
}

std::optional<Version> parse(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  const auto prerelease = take_suffixes(text);
  const auto parts = split(text, '.');
  if (!prerelease || parts.size() > 3) return std::nullopt;
  Version out;
  std::int64_t* const fields[] = {&out.major, &out.minor, &out.patch};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto value = number(parts[i]);
    if (!value) return std::nullopt;
    *fields[i] = *value;
  }
  out.prerelease = *prerelease;
  return out;
}

int compare_identifier(std::string_view a, std::string_view b) {
  const auto x = number(a), y = number(b);
  if (x && y) return *x < *y ? -1 : *x > *y ? 1 : 0;
  if (x || y) return x ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

int compare_prerelease(std::string_view a, std::string_view b) {
  if (a == b) return 0;
  if (a.empty() || b.empty()) return a.empty() ? 1 : -1;
  const auto x = split(a, '.'), y = split(b, '.');
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (const int order = compare_identifier(x[i], y[i]); order != 0) return order;
  }
  return x.size() < y.size() ? -1 : 1;
}

int compare(const Version& a, const Version& b) {
  const auto x = std::tie(a.major, a.minor, a.patch), y = std::tie(b.major, b.minor, b.patch);
  if (x != y) return x < y ? -1 : 1;
  return compare_prerelease(a.prerelease, b.prerelease);
}

// One comparison. `open_…`: that part was a wildcard or left out.
struct Constraint {
  std::string_view op;
  Version version;
  bool open = false, open_minor = false, open_patch = false;

  bool within_minor(const Version& v) const {  // ~
    if (compare(v, version) < 0) return false;
    const bool zero = version.major == 0 && version.minor == 0 && version.patch == 0;
    if (zero && !open_minor && !open_patch) return true;
    return v.major == version.major && (v.minor == version.minor || open_minor);
  }

  bool compatible(const Version& v) const {  // ^
    if (compare(v, version) < 0) return false;
    if (version.major > 0 || open_minor) return v.major == version.major;
    if (v.major > 0) return false;
    if (version.minor > 0 || open_patch) return v.minor == version.minor;
    return v.minor == 0 && v.patch == version.patch;
  }

  bool differs(const Version& v) const {
    if (!open) return compare(v, version) != 0;
    if (v.major != version.major) return true;
    if (open_minor) return false;
    return v.minor != version.minor;
  }

  bool above(const Version& v) const {
    if (!open) return compare(v, version) > 0;
    if (v.major != version.major) return v.major > version.major;
    return !open_minor && v.minor > version.minor;
  }

  bool at_most(const Version& v) const {
    if (!open) return compare(v, version) <= 0;
    if (v.major != version.major) return v.major < version.major;
    return open_minor || v.minor <= version.minor;
  }

  bool holds(const Version& v, bool prereleases) const {
    if (!v.prerelease.empty() && !prereleases && op != "!=") return false;
    if (op.empty() || op == "=") return open ? within_minor(v) : compare(v, version) == 0;
    if (op == "!=") return differs(v);
    if (op == ">") return above(v);
    if (op == "<") return compare(v, version) < 0;
    if (op == ">=" || op == "=>") return compare(v, version) >= 0;
    if (op == "<=" || op == "=<") return at_most(v);
    return op == "^" ? compatible(v) : within_minor(v);
  }
};

bool is_wildcard(std::string_view part) {
  return part == "x" || part == "X" || part == "*";
}

std::optional<Constraint> parse_constraint(std::string_view op, std::string_view text) {
  Constraint out;
  out.op = op;
  if (text.starts_with('v')) text.remove_prefix(1);
  const auto prerelease = take_suffixes(text);
  const auto parts = split(text, '.');
  if (!prerelease || parts.size() > 3) return std::nullopt;
  out.version.prerelease = *prerelease;
  std::int64_t* const fields[] = {&out.version.major, &out.version.minor, &out.version.patch};
  for (std::size_t i = 0; i < 3; ++i) {
    const bool wild = i >= parts.size() || is_wildcard(parts[i]) || (i == 0 && parts[0].empty());
    if (wild) {
      out.open = true;
      out.open_minor = i == 1;
      out.open_patch = i == 2;
      return out;
    }
    const auto value = number(parts[i]);
    if (!value) return std::nullopt;
    *fields[i] = *value;
  }
  return out;
}

// "a - b" means ">=a <=b".
std::string without_hyphen_ranges(std::string_view text) {
  std::string out(text);
  for (std::size_t dash; (dash = out.find(" - ")) != std::string::npos;) {
    const std::size_t from = out.find_last_of(" ,", dash == 0 ? 0 : dash - 1);
    const std::size_t begin = from == std::string::npos ? 0 : from + 1;
    out = out.substr(0, begin) + ">=" + out.substr(begin, dash - begin) + " <=" + out.substr(dash + 3);
  }
  return out;
}

// One alternative: comparisons between commas or blanks, each may have blanks after its operator.
std::optional<bool> all_hold(std::string_view text, const Version& version) {
  std::vector<Constraint> all;
  bool prereleases = false;
  constexpr std::string_view kOperators = "=!<>~^";
  constexpr std::string_view kBetween = " \t,";
  while (true) {
    const std::size_t begin = text.find_first_not_of(kBetween);
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin);
    const std::string_view op = text.substr(0, text.find_first_not_of(kOperators));
    static constexpr std::string_view kKnown[] = {"", "=", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^"};
    if (std::find(std::begin(kKnown), std::end(kKnown), op) == std::end(kKnown)) return std::nullopt;
    text.remove_prefix(op.size());
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    const std::string_view version_text = text.substr(0, text.find_first_of(kBetween));
    text.remove_prefix(version_text.size());
    const auto one = parse_constraint(op, version_text);
    if (!one) return std::nullopt;
    prereleases |= !one->version.prerelease.empty();
    all.push_back(*one);
  }
  if (all.empty()) all.push_back(Constraint{"", {}, true});
  return std::all_of(all.begin(), all.end(), [&](const Constraint& c) { return c.holds(version, prereleases); });
}

}  // namespace

bool is_version(std::string_view text) {
  return parse(text).has_value();
}

bool version_satisfies(std::string_view constraint, std::string_view version) {
  const auto parsed = parse(version);
  if (!parsed) return false;
  const std::string text = without_hyphen_ranges(constraint);
  std::string_view rest = text;
  bool any = false;
  while (true) {
    const std::size_t bar = rest.find("||");
    const auto holds = all_hold(rest.substr(0, bar), *parsed);
    if (!holds) return false;
    any |= *holds;
    if (bar == std::string_view::npos) return any;
    rest.remove_prefix(bar + 2);
  }
}

}  // namespace caisson::render::helm
