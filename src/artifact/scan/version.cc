// SPDX-License-Identifier: Apache-2.0
// The orders of distributions: dpkg, apk, rpm. Those of languages are in version_language.cc.
#include "artifact/scan/version.h"

#include <algorithm>
#include <array>
#include <string>

namespace caisson::scan {
namespace {

struct Ecosystem {
  std::string_view name;
  VersionScheme scheme;
};
constexpr Ecosystem kEcosystems[] = {
    {"Debian", VersionScheme::dpkg},      {"Ubuntu", VersionScheme::dpkg},     {"Alpine", VersionScheme::apk},
    {"Wolfi", VersionScheme::apk},        {"Chainguard", VersionScheme::apk},  {"Red Hat", VersionScheme::rpm},
    {"AlmaLinux", VersionScheme::rpm},    {"Rocky Linux", VersionScheme::rpm}, {"SUSE", VersionScheme::rpm},
    {"openSUSE", VersionScheme::rpm},     {"npm", VersionScheme::semver},      {"Go", VersionScheme::semver},
    {"crates.io", VersionScheme::semver}, {"PyPI", VersionScheme::pep440},     {"Maven", VersionScheme::maven},
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
int sign(int value) {
  return value < 0 ? -1 : value > 0 ? 1 : 0;
}

std::string_view take_digits(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && is_digit(text[n])) ++n;
  const std::string_view out = text.substr(0, n);
  text.remove_prefix(n);
  return out;
}

// Numbers of any length.
int compare_numbers(std::string_view a, std::string_view b) {
  while (!a.empty() && a.front() == '0') a.remove_prefix(1);
  while (!b.empty() && b.front() == '0') b.remove_prefix(1);
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return sign(a.compare(b));
}

// dpkg: '~' before the end, the end before letters, letters before all else.
int dpkg_order(std::string_view text) {
  if (text.empty() || is_digit(text.front())) return 0;
  if (text.front() == '~') return -1;
  return is_letter(text.front()) ? text.front() : static_cast<unsigned char>(text.front()) + 256;
}

int compare_dpkg_part(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty()) {
    while ((!a.empty() && !is_digit(a.front())) || (!b.empty() && !is_digit(b.front()))) {
      const int left = dpkg_order(a), right = dpkg_order(b);
      if (left != right) return left < right ? -1 : 1;
      if (!a.empty()) a.remove_prefix(1);
      if (!b.empty()) b.remove_prefix(1);
    }
    const int numbers = compare_numbers(take_digits(a), take_digits(b));
    if (numbers != 0) return numbers;
  }
  return 0;
}

struct Epoch {
  std::string_view epoch = "0", rest;
};
Epoch split_epoch(std::string_view version) {
  const std::size_t colon = version.find(':');
  if (colon == std::string_view::npos) return {"0", version};
  return {version.substr(0, colon), version.substr(colon + 1)};
}

// --- apk: digits{.digits}{letter}{_suffix{digits}}{~hash}{-r digits}
constexpr std::array<std::string_view, 4> kApkBefore = {"alpha", "beta", "pre", "rc"};
constexpr std::array<std::string_view, 5> kApkAfter = {"cvs", "svn", "git", "hg", "p"};

// Below 0 for what comes before the version itself, 0 for no suffix.
int apk_suffix_rank(std::string_view name) {
  if (name.empty()) return 0;
  for (std::size_t i = 0; i < kApkBefore.size(); ++i) {
    if (kApkBefore[i] == name) return static_cast<int>(i) - static_cast<int>(kApkBefore.size());
  }
  for (std::size_t i = 0; i < kApkAfter.size(); ++i) {
    if (kApkAfter[i] == name) return static_cast<int>(i) + 1;
  }
  return static_cast<int>(kApkAfter.size()) + 1;
}

int compare_apk_numbers(std::string_view& a, std::string_view& b) {
  for (bool first = true;; first = false) {
    const bool more_a = first || (!a.empty() && a.front() == '.'), more_b = first || (!b.empty() && b.front() == '.');
    if (!more_a || !more_b) return more_a ? 1 : more_b ? -1 : 0;
    if (!first) {
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
    const std::string_view left = take_digits(a), right = take_digits(b);
    // After the first part a leading zero makes it a fraction: 1.01 is before 1.1.
    const bool fraction = !first && (left.starts_with('0') || right.starts_with('0'));
    const int order = fraction ? sign(left.compare(right)) : compare_numbers(left, right);
    if (order != 0) return order;
  }
}

struct ApkSuffix {
  std::string_view name, number;
};
ApkSuffix take_apk_suffix(std::string_view& text) {
  if (text.empty() || text.front() != '_') return {};
  text.remove_prefix(1);
  std::size_t n = 0;
  while (n < text.size() && is_letter(text[n])) ++n;
  ApkSuffix out;
  out.name = text.substr(0, n);
  text.remove_prefix(n);
  out.number = take_digits(text);
  return out;
}

// --- rpm
int compare_rpm_part(std::string_view a, std::string_view b) {
  const auto skip = [](std::string_view& text) {
    while (!text.empty() && !is_digit(text.front()) && !is_letter(text.front()) && text.front() != '~' &&
           text.front() != '^')
      text.remove_prefix(1);
  };
  for (;;) {
    skip(a);
    skip(b);
    for (const char mark : {'~', '^'}) {
      const bool in_a = a.starts_with(mark), in_b = b.starts_with(mark);
      if (in_a && in_b) break;
      // A tilde is before the end, a caret after it and before anything else.
      if (in_a) return mark == '~' ? -1 : b.empty() ? 1 : -1;
      if (in_b) return mark == '~' ? 1 : a.empty() ? -1 : 1;
    }
    if (!a.empty() && !b.empty() && a.front() == b.front() && (a.front() == '~' || a.front() == '^')) {
      a.remove_prefix(1);
      b.remove_prefix(1);
      continue;
    }
    if (a.empty() || b.empty()) return a.empty() ? (b.empty() ? 0 : -1) : 1;
    const bool number = is_digit(a.front());
    if (number != is_digit(b.front())) return number ? 1 : -1;
    if (number) {
      const int order = compare_numbers(take_digits(a), take_digits(b));
      if (order != 0) return order;
      continue;
    }
    const auto take_letters = [](std::string_view& text) {
      std::size_t n = 0;
      while (n < text.size() && is_letter(text[n])) ++n;
      const std::string_view out = text.substr(0, n);
      text.remove_prefix(n);
      return out;
    };
    const int order = sign(take_letters(a).compare(take_letters(b)));
    if (order != 0) return order;
  }
}

// "1.2-3" as "1.2" and "3": what is behind the last dash is the packager's revision.
std::pair<std::string_view, std::string_view> split_revision(std::string_view text) {
  const std::size_t dash = text.rfind('-');
  if (dash == std::string_view::npos) return {text, {}};
  return {text.substr(0, dash), text.substr(dash + 1)};
}

}  // namespace

std::optional<VersionScheme> scheme_of(std::string_view ecosystem) {
  const std::string_view base = ecosystem.substr(0, ecosystem.find(':'));
  for (const Ecosystem& one : kEcosystems) {
    if (one.name == base) return one.scheme;
  }
  return std::nullopt;
}

int compare_versions(VersionScheme scheme, std::string_view a, std::string_view b) {
  switch (scheme) {
    case VersionScheme::dpkg:
      return compare_dpkg(a, b);
    case VersionScheme::apk:
      return compare_apk(a, b);
    case VersionScheme::rpm:
      return compare_rpm(a, b);
    case VersionScheme::semver:
      return compare_semver(a, b);
    case VersionScheme::pep440:
      return compare_pep440(a, b);
    case VersionScheme::maven:
      return compare_maven(a, b);
  }
  return sign(a.compare(b));
}

int compare_dpkg(std::string_view a, std::string_view b) {
  const Epoch left = split_epoch(a), right = split_epoch(b);
  if (const int order = compare_numbers(left.epoch, right.epoch); order != 0) return order;
  const auto [upstream_a, revision_a] = split_revision(left.rest);
  const auto [upstream_b, revision_b] = split_revision(right.rest);
  if (const int order = compare_dpkg_part(upstream_a, upstream_b); order != 0) return order;
  return compare_dpkg_part(revision_a, revision_b);
}

int compare_apk(std::string_view a, std::string_view b) {
  if (const int order = compare_apk_numbers(a, b); order != 0) return order;
  const auto take_letter = [](std::string_view& text) {
    const char letter = !text.empty() && is_letter(text.front()) ? text.front() : '\0';
    if (letter != '\0') text.remove_prefix(1);
    return letter;
  };
  const char letter_a = take_letter(a), letter_b = take_letter(b);
  if (letter_a != letter_b) return letter_a < letter_b ? -1 : 1;
  while (a.starts_with('_') || b.starts_with('_')) {
    const ApkSuffix left = take_apk_suffix(a), right = take_apk_suffix(b);
    const int rank_a = apk_suffix_rank(left.name), rank_b = apk_suffix_rank(right.name);
    if (rank_a != rank_b) return rank_a < rank_b ? -1 : 1;
    if (const int order = compare_numbers(left.number, right.number); order != 0) return order;
  }
  const auto revision = [](std::string_view text) {
    const std::size_t at = text.rfind("-r");
    return at == std::string_view::npos ? std::string_view() : text.substr(at + 2);
  };
  return compare_numbers(revision(a), revision(b));
}

int compare_rpm(std::string_view a, std::string_view b) {
  const Epoch left = split_epoch(a), right = split_epoch(b);
  if (const int order = compare_numbers(left.epoch, right.epoch); order != 0) return order;
  const auto [version_a, release_a] = split_revision(left.rest);
  const auto [version_b, release_b] = split_revision(right.rest);
  if (const int order = compare_rpm_part(version_a, version_b); order != 0) return order;
  if (release_a.empty() || release_b.empty()) return 0;  // a range that names no release means all of them
  return compare_rpm_part(release_a, release_b);
}

}  // namespace caisson::scan
