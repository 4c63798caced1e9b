// SPDX-License-Identifier: Apache-2.0
// The orders of languages: Semantic Versioning, PEP 440, Maven.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "artifact/scan/version.h"
#include "core/base/text.h"

namespace caisson::scan {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
int sign(int value) {
  return value < 0 ? -1 : value > 0 ? 1 : 0;
}
bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

int compare_numbers(std::string_view a, std::string_view b) {
  while (!a.empty() && a.front() == '0') a.remove_prefix(1);
  while (!b.empty() && b.front() == '0') b.remove_prefix(1);
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return sign(a.compare(b));
}

// "1.2" equals "1.2.0": what is not there counts as 0.
int compare_releases(std::string_view a, std::string_view b) {
  const auto left = split(a, '.'), right = split(b, '.');
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    const int order = compare_numbers(i < left.size() ? left[i] : "0", i < right.size() ? right[i] : "0");
    if (order != 0) return order;
  }
  return 0;
}

// --- PEP 440: epoch!release{a|b|rc N}{.postN}{.devN}{+local}
struct Pep440 {
  std::string epoch = "0", release;
  // Before a, b, rc (0, 1, 2) stands a version that is only .dev (-1), behind them one without any (3).
  int pre = 3;
  std::string pre_number = "0", post, dev, local;  // post and dev: empty when absent
};

struct Cursor {
  std::string_view rest;
  void skip_separator() {
    if (!rest.empty() && (rest.front() == '.' || rest.front() == '-' || rest.front() == '_')) rest.remove_prefix(1);
  }
  std::string digits() {
    std::size_t n = 0;
    while (n < rest.size() && is_digit(rest[n])) ++n;
    std::string out(rest.substr(0, n));
    rest.remove_prefix(n);
    return out;
  }
  bool take(std::string_view word) {
    std::string_view at = rest;
    if (!at.empty() && (at.front() == '.' || at.front() == '-' || at.front() == '_')) at.remove_prefix(1);
    if (!at.starts_with(word)) return false;
    rest = at.substr(word.size());
    return true;
  }
  std::string number() {
    skip_separator();
    const std::string out = digits();
    return out.empty() ? "0" : out;
  }
};

struct PreName {
  std::string_view name;
  int rank;
};
constexpr std::array<PreName, 8> kPreNames = {
    {{"alpha", 0}, {"beta", 1}, {"preview", 2}, {"pre", 2}, {"rc", 2}, {"a", 0}, {"b", 1}, {"c", 2}}};

Pep440 parse_pep440(std::string_view text) {
  const std::string lower = to_lower(trim(text));
  Pep440 out;
  Cursor at{lower};
  if (at.rest.starts_with('v')) at.rest.remove_prefix(1);
  if (const std::size_t plus = at.rest.find('+'); plus != std::string_view::npos) {
    out.local = at.rest.substr(plus + 1);
    at.rest = at.rest.substr(0, plus);
  }
  if (const std::size_t mark = at.rest.find('!'); mark != std::string_view::npos) {
    out.epoch = at.rest.substr(0, mark);
    at.rest.remove_prefix(mark + 1);
  }
  out.release = at.digits();
  while (at.rest.size() > 1 && at.rest.front() == '.' && is_digit(at.rest[1])) {
    at.rest.remove_prefix(1);
    out.release += "." + at.digits();
  }
  for (const PreName& name : kPreNames) {
    if (!at.take(name.name)) continue;
    out.pre = name.rank;
    out.pre_number = at.number();
    break;
  }
  if (at.take("post") || at.take("rev") || at.take("r")) {
    out.post = at.number();
  } else if (at.rest.size() > 1 && at.rest.front() == '-' && is_digit(at.rest[1])) {  // "1.0-1" is "1.0.post1"
    at.rest.remove_prefix(1);
    out.post = at.digits();
  }
  if (at.take("dev")) out.dev = at.number();
  if (out.pre == 3 && out.post.empty() && !out.dev.empty()) out.pre = -1;
  return out;
}

// Absent stands before (post) or behind (dev) every number.
int compare_optional(const std::string& a, const std::string& b, bool absent_is_last) {
  if (a.empty() || b.empty()) {
    if (a.empty() == b.empty()) return 0;
    return a.empty() == absent_is_last ? 1 : -1;
  }
  return compare_numbers(a, b);
}

int compare_local(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return static_cast<int>(!a.empty()) - static_cast<int>(!b.empty());
  const std::string plain_a = replace_all(replace_all(a, "-", "."), "_", "."),
                    plain_b = replace_all(replace_all(b, "-", "."), "_", ".");
  const auto left = split(plain_a, '.'), right = split(plain_b, '.');
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    const bool number_a = is_number(left[i]), number_b = is_number(right[i]);
    if (number_a != number_b) return number_a ? 1 : -1;
    const int order = number_a ? compare_numbers(left[i], right[i]) : sign(left[i].compare(right[i]));
    if (order != 0) return order;
  }
  return left.size() < right.size() ? -1 : left.size() > right.size() ? 1 : 0;
}

// --- Maven
struct MavenToken {
  bool dash = false;  // what stands before it: '-' (also where digits meet letters) or '.'
  std::string text;   // lower case, by its full name
  bool number = false;
  bool operator==(const MavenToken&) const = default;
};

bool is_null_token(const MavenToken& token) {
  if (token.number) return token.text.find_first_not_of('0') == std::string::npos;
  return token.text.empty() || token.text == "final" || token.text == "ga" || token.text == "release";
}

std::vector<MavenToken> maven_tokens(std::string_view version) {
  std::vector<MavenToken> out;
  MavenToken token;
  bool begun = false;
  const auto end = [&](bool dash, bool next_is_digit) {
    if (!begun) token.number = true, token.text = "0";  // "1..2" is "1.0.2"
    if (!token.number && next_is_digit && token.text.size() == 1) {
      if (token.text == "a") token.text = "alpha";
      if (token.text == "b") token.text = "beta";
      if (token.text == "m") token.text = "milestone";
    }
    if (token.text == "cr") token.text = "rc";
    out.push_back(token);
    token = {dash, "", false};
    begun = false;
  };
  const std::string lower = to_lower(version);
  for (const char c : lower) {
    if (c == '.' || c == '-' || c == '_') {
      end(c != '.', false);
      continue;
    }
    if (begun && is_digit(c) != token.number) end(true, is_digit(c));
    if (!begun) token.number = is_digit(c);
    begun = true;
    token.text += c;
  }
  end(false, false);
  // Null values at the end, and before each hyphen, count for nothing.
  for (std::size_t i = out.size(); i-- > 0;) {
    const bool before_dash = i + 1 == out.size() || out[i + 1].dash;
    if (before_dash && is_null_token(out[i]) && (i > 0 || out.size() == 1))
      out.erase(out.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return out;
}

constexpr std::array<std::string_view, 7> kMavenOrder = {"alpha", "beta", "milestone", "rc", "snapshot", "", "sp"};

int maven_rank(const MavenToken& token) {
  if (is_null_token(token)) return 5;
  for (std::size_t i = 0; i < kMavenOrder.size(); ++i) {
    if (kMavenOrder[i] == token.text) return static_cast<int>(i);
  }
  return static_cast<int>(kMavenOrder.size());
}

int compare_maven_tokens(const MavenToken& a, const MavenToken& b) {
  // Qualifiers before "-number" before ".number".
  const auto family = [](const MavenToken& token) { return !token.number ? 0 : token.dash ? 1 : 2; };
  if (family(a) != family(b)) return family(a) < family(b) ? -1 : 1;
  if (a.number) return compare_numbers(a.text, b.text);
  const int left = maven_rank(a), right = maven_rank(b);
  if (left != right) return left < right ? -1 : 1;
  return left == static_cast<int>(kMavenOrder.size()) ? sign(a.text.compare(b.text)) : 0;
}

}  // namespace

int compare_semver(std::string_view a, std::string_view b) {
  const auto core = [](std::string_view text) {
    text = trim(text);
    if (text.starts_with("go")) text.remove_prefix(2);  // of Go's standard library: "go1.22.1"
    if (text.starts_with('v') || text.starts_with('=')) text.remove_prefix(1);
    return text.substr(0, text.find('+'));
  };
  const auto parts = [](std::string_view text) {
    const std::size_t dash = text.find('-');
    return dash == std::string_view::npos ? std::pair(text, std::string_view())
                                          : std::pair(text.substr(0, dash), text.substr(dash + 1));
  };
  const auto [release_a, pre_a] = parts(core(a));
  const auto [release_b, pre_b] = parts(core(b));
  if (const int order = compare_releases(release_a, release_b); order != 0) return order;
  if (pre_a.empty() || pre_b.empty()) return static_cast<int>(pre_a.empty()) - static_cast<int>(pre_b.empty());
  const auto left = split(pre_a, '.'), right = split(pre_b, '.');
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    const bool number_a = is_number(left[i]), number_b = is_number(right[i]);
    if (number_a != number_b) return number_a ? -1 : 1;
    const int order = number_a ? compare_numbers(left[i], right[i]) : sign(left[i].compare(right[i]));
    if (order != 0) return order;
  }
  return left.size() < right.size() ? -1 : left.size() > right.size() ? 1 : 0;
}

int compare_pep440(std::string_view a, std::string_view b) {
  const Pep440 left = parse_pep440(a), right = parse_pep440(b);
  if (const int order = compare_numbers(left.epoch, right.epoch); order != 0) return order;
  if (const int order = compare_releases(left.release, right.release); order != 0) return order;
  if (left.pre != right.pre) return left.pre < right.pre ? -1 : 1;
  if (const int order = compare_numbers(left.pre_number, right.pre_number); order != 0) return order;
  if (const int order = compare_optional(left.post, right.post, false); order != 0) return order;
  if (const int order = compare_optional(left.dev, right.dev, true); order != 0) return order;
  return compare_local(left.local, right.local);
}

int compare_maven(std::string_view a, std::string_view b) {
  const std::vector<MavenToken> left = maven_tokens(a), right = maven_tokens(b);
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    // The shorter one is padded with nulls that have the other's prefix: "0" against numbers, "" against qualifiers.
    const auto pad = [](const MavenToken& other) {
      return MavenToken{other.dash, other.number ? "0" : "", other.number};
    };
    const MavenToken one = i < left.size() ? left[i] : pad(right[i]), two = i < right.size() ? right[i] : pad(left[i]);
    if (const int order = compare_maven_tokens(one, two); order != 0) return order;
  }
  return 0;
}

}  // namespace caisson::scan
