// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/semver.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/expr/go_template/numbers.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

constexpr std::size_t kVersionMax = 256, kConstraintMax = 512, kGroupsMax = 32;

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}
Error invalid_version() {
  return invalid("invalid semantic version");
}

bool is_number(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}
bool is_identifier(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

// "a.b-c": the dotted identifiers at the front of `text`; empty when there is none.
std::string_view take_identifiers(std::string_view& text) {
  std::size_t end = 0;
  while (true) {
    const std::size_t start = end;
    while (end < text.size() && is_identifier(text[end])) ++end;
    if (end == start) {
      if (end > 0) --end;  // the dot before belongs to something else
      break;
    }
    if (end >= text.size() || text[end] != '.') break;
    ++end;
  }
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(end);
  return taken;
}

// The "-x" and "+x" behind a version's numbers.
void take_tails(std::string_view& text, std::string_view& prerelease, std::string_view& metadata) {
  const auto take = [&](char mark) -> std::string_view {
    if (!text.starts_with(mark)) return {};
    std::string_view rest = text.substr(1);
    const std::string_view taken = take_identifiers(rest);
    if (!taken.empty()) text = rest;
    return taken;
  };
  prerelease = take('-');
  metadata = take('+');
}

Result<void> check_prerelease(std::string_view prerelease) {
  if (prerelease.empty()) return {};
  for (const std::string_view part : split(prerelease, '.')) {
    if (part.empty()) return invalid("invalid prerelease string");
    if (is_number(part)) {
      if (part.size() > 1 && part[0] == '0') return invalid("version segment starts with 0");
    } else if (!std::all_of(part.begin(), part.end(), is_identifier)) {
      return invalid("invalid prerelease string");
    }
  }
  return {};
}

Result<std::uint64_t> segment(std::string_view digits) {
  const auto parsed = parse_uint(digits);
  if (!parsed.ok()) return invalid("error parsing version segment: " + number_error("ParseUint", digits, parsed.error));
  return parsed.value;
}

int compare_part(std::string_view a, std::string_view b) {
  if (a == b) return 0;
  if (a.empty()) return -1;
  if (b.empty()) return 1;
  const auto left = parse_uint(a), right = parse_uint(b);
  if (!left.ok() && !right.ok()) return a > b ? 1 : -1;
  if (!right.ok()) return -1;
  if (!left.ok()) return 1;
  return left.value > right.value ? 1 : -1;
}

int compare_prereleases(std::string_view a, std::string_view b) {
  const auto left = split(a, '.'), right = split(b, '.');
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    const int order = compare_part(i < left.size() ? left[i] : "", i < right.size() ? right[i] : "");
    if (order != 0) return order;
  }
  return 0;
}

}  // namespace

Result<Version> Version::parse(std::string_view text) {
  if (text.size() > kVersionMax) return invalid("version string is too long (max 256 bytes)");
  Version out;
  out.original = std::string(text);
  std::string_view rest = text;
  if (rest.starts_with('v')) rest.remove_prefix(1);
  std::string_view parts[3];
  for (int i = 0; i < 3; ++i) {
    std::string_view digits = rest;
    if (i > 0) {
      if (!rest.starts_with('.')) break;
      digits.remove_prefix(1);
    }
    const std::size_t count = std::min(digits.find_first_not_of("0123456789"), digits.size());
    if (count == 0) {
      if (i == 0) return invalid_version();
      break;
    }
    parts[i] = digits.substr(0, count);
    rest = digits.substr(count);
  }
  std::string_view prerelease, metadata;
  take_tails(rest, prerelease, metadata);
  if (!rest.empty()) return invalid_version();
  out.prerelease = std::string(prerelease);
  out.metadata = std::string(metadata);
  out.major = TRY(segment(parts[0]));
  if (!parts[1].empty()) out.minor = TRY(segment(parts[1]));
  if (!parts[2].empty()) out.patch = TRY(segment(parts[2]));
  TRY(check_prerelease(out.prerelease));
  return out;
}

Result<Version> Version::parse_strict(std::string_view text) {
  if (text.empty()) return invalid("version string empty");
  const std::string_view numbers = text.substr(0, text.find_first_of("-+"));
  const auto parts = split(numbers, '.');
  if (parts.size() != 3) return invalid_version();
  for (const std::string_view part : parts) {
    if (part.empty() || !is_number(part)) return invalid("invalid characters in version");
    if (part.size() > 1 && part[0] == '0') return invalid("version segment starts with 0");
  }
  return parse(text);
}

std::string Version::str() const {
  std::string out = std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  if (!prerelease.empty()) out += "-" + prerelease;
  if (!metadata.empty()) out += "+" + metadata;
  return out;
}

int Version::compare(const Version& other) const {
  const auto order = [](std::uint64_t a, std::uint64_t b) { return a < b ? -1 : a > b ? 1 : 0; };
  if (const int by_major = order(major, other.major)) return by_major;
  if (const int by_minor = order(minor, other.minor)) return by_minor;
  if (const int by_patch = order(patch, other.patch)) return by_patch;
  if (prerelease.empty() || other.prerelease.empty()) {
    return static_cast<int>(prerelease.empty()) - static_cast<int>(other.prerelease.empty());
  }
  return compare_prereleases(prerelease, other.prerelease);
}

// Reads the terms of one group: operator, version, and what parts them.
struct Constraint::Scanner {
  std::string_view text;

  struct Operator {
    std::string_view text;
    Op op;
  };
  static constexpr Operator kOperators[] = {
      // longer ones first
      {"!=", Op::not_equal},  {">=", Op::greater_equal}, {"=>", Op::greater_equal}, {"<=", Op::less_equal},
      {"=<", Op::less_equal}, {"~>", Op::tilde},         {"=", Op::tilde_or_equal}, {">", Op::greater},
      {"<", Op::less},        {"~", Op::tilde},          {"^", Op::caret},
  };

  bool skip_blanks() {
    const std::size_t count = std::min(text.find_first_not_of(" \t\n\f\r"), text.size());
    text.remove_prefix(count);
    return count > 0;
  }

  bool take_operator(Op& op) {
    for (const Operator& known : kOperators) {
      if (!text.starts_with(known.text)) continue;
      text.remove_prefix(known.text.size());
      op = known.op;
      return true;
    }
    op = Op::tilde_or_equal;
    return false;
  }

  // False: there is no version here.
  bool take_version(std::string_view (&parts)[3], std::string& tail) {
    std::string_view rest = text;
    if (rest.starts_with('v')) rest.remove_prefix(1);
    for (int i = 0; i < 3; ++i) {
      std::string_view part = rest;
      if (i > 0) {
        if (!rest.starts_with('.')) break;
        part.remove_prefix(1);
      }
      const std::size_t count = std::min(part.find_first_not_of("0123456789|xX*"), part.size());
      if (count == 0) {
        if (i == 0) return false;
        break;
      }
      parts[i] = part.substr(0, count);
      rest = part.substr(count);
    }
    std::string_view prerelease, metadata;
    take_tails(rest, prerelease, metadata);
    if (!prerelease.empty()) tail = "-" + std::string(prerelease);
    text = rest;
    return true;
  }

  static bool is_any(std::string_view part) { return part.empty() || part == "x" || part == "X" || part == "*"; }

  static Result<Term> term(Op op, const std::string_view (&parts)[3], const std::string& tail) {
    Term out;
    out.op = op;
    std::string version;
    if (is_any(parts[0])) {
      out.dirty = true;
      version = "0.0.0" + tail;
    } else if (is_any(parts[1])) {
      out.dirty = out.minor_dirty = true;
      version = std::string(parts[0]) + ".0.0" + tail;
    } else if (is_any(parts[2])) {
      out.dirty = out.patch_dirty = true;
      version = std::string(parts[0]) + "." + std::string(parts[1]) + ".0" + tail;
    } else {
      version = std::string(parts[0]) + "." + std::string(parts[1]) + "." + std::string(parts[2]) + tail;
    }
    auto parsed = Version::parse(version);
    if (!parsed.ok()) return invalid("constraint parser error");
    out.version = std::move(parsed).value();
    return out;
  }
};

Result<Constraint::Group> Constraint::parse_group(std::string_view text) {
  const auto improper = [&] { return invalid("improper constraint: " + quote(text)); };
  Group group;
  Scanner scanner{text};
  const auto add = [&](Op op, const std::string_view(&parts)[3], const std::string& tail) -> Result<void> {
    group.terms.push_back(TRY(Scanner::term(op, parts, tail)));
    if (!group.terms.back().version.prerelease.empty()) group.has_prerelease = true;
    return {};
  };
  while (true) {
    scanner.skip_blanks();
    Op op = Op::tilde_or_equal;
    const bool has_operator = scanner.take_operator(op);
    scanner.skip_blanks();
    std::string_view parts[3], upper[3];
    std::string tail, upper_tail;
    if (!scanner.take_version(parts, tail)) return improper();
    bool parted = scanner.skip_blanks();
    Scanner ahead = scanner;
    if (!has_operator && parted && ahead.text.starts_with('-')) {  // "1.2 - 1.4"
      ahead.text.remove_prefix(1);
      if (!ahead.skip_blanks() || !ahead.take_version(upper, upper_tail)) return improper();
      TRY(add(Op::greater_equal, parts, tail));
      TRY(add(Op::less_equal, upper, upper_tail));
      scanner = ahead;
      scanner.skip_blanks();
      parted = true;
    } else {
      TRY(add(op, parts, tail));
    }
    if (scanner.text.empty()) return group;
    if (scanner.text.starts_with(',')) {
      scanner.text.remove_prefix(1);
    } else if (!parted) {
      return improper();
    }
  }
}

Result<Constraint> Constraint::parse(std::string_view text) {
  if (text.size() > kConstraintMax) return invalid("constraint string is too long (max 512 bytes)");
  Constraint out;
  while (true) {
    const std::size_t end = text.find("||");
    out.groups_.push_back(TRY(parse_group(text.substr(0, end))));
    if (out.groups_.size() > kGroupsMax) return invalid("too many constraint groups (max 32)");
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 2);
  }
}

bool Constraint::check(const Version& version) const {
  return std::any_of(groups_.begin(), groups_.end(), [&](const Group& group) {
    return std::all_of(group.terms.begin(), group.terms.end(),
                       [&](const Term& term) { return holds(term, version, group.has_prerelease); });
  });
}

bool Constraint::differs(const Term& term, const Version& version) {
  const Version& wanted = term.version;
  if (!term.dirty) return version.compare(wanted) != 0;
  if (wanted.major != version.major) return true;
  if (term.minor_dirty) return false;
  if (wanted.minor != version.minor) return true;
  if (!term.patch_dirty) return wanted.patch != version.patch || version.compare(wanted) != 0;
  return compare_prereleases(version.prerelease, wanted.prerelease) != 0;
}

bool Constraint::holds_tilde(const Term& term, const Version& version) {
  const Version& wanted = term.version;
  if (version.compare(wanted) < 0) return false;
  const bool is_zero = wanted.major == 0 && wanted.minor == 0 && wanted.patch == 0;
  if (is_zero && !term.minor_dirty && !term.patch_dirty) return true;
  return version.major == wanted.major && (version.minor == wanted.minor || term.minor_dirty);
}

bool Constraint::holds_caret(const Term& term, const Version& version) {
  const Version& wanted = term.version;
  if (version.compare(wanted) < 0) return false;
  if (version.major != wanted.major) return false;
  if (wanted.major > 0 || term.minor_dirty) return true;
  if (version.minor != wanted.minor) return false;
  return wanted.minor > 0 || term.patch_dirty || version.patch == wanted.patch;
}

bool Constraint::holds(const Term& term, const Version& version, bool allows_prerelease) {
  const Version& wanted = term.version;
  if (!version.prerelease.empty() && !allows_prerelease) return false;
  switch (term.op) {
    case Op::tilde_or_equal:
      return term.dirty ? holds_tilde(term, version) : version.compare(wanted) == 0;
    case Op::not_equal:
      return differs(term, version);
    case Op::greater:
      if (!term.dirty || (!term.minor_dirty && !term.patch_dirty)) return version.compare(wanted) > 0;
      if (version.major != wanted.major) return version.major > wanted.major;
      return !term.minor_dirty && version.minor > wanted.minor;
    case Op::less:
      return version.compare(wanted) < 0;
    case Op::greater_equal:
      return version.compare(wanted) >= 0;
    case Op::less_equal:
      if (!term.dirty) return version.compare(wanted) <= 0;
      if (version.major != wanted.major) return version.major < wanted.major;
      return term.minor_dirty || version.minor <= wanted.minor;
    case Op::tilde:
      return holds_tilde(term, version);
    case Op::caret:
      return holds_caret(term, version);
  }
  return false;
}

}  // namespace caisson::go_template
