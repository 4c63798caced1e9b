// SPDX-License-Identifier: Apache-2.0
// Semantic versions and constraints. Follows Masterminds/semver 3.5, its leniency and its messages included: Helm
// checks dependencies and `kubeVersion` by it, and templates use it as semverCompare. Pure functions; any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::go_template {

struct Version {
  std::uint64_t major = 0, minor = 0, patch = 0;
  std::string prerelease, metadata;  // without their "-" and "+"
  std::string original;              // as it was written

  // "v1.2", "1.2.3-rc.1+x". Errors: invalid "invalid semantic version", "version segment starts with 0", …
  static Result<Version> parse(std::string_view text);
  // x.y.z with all three parts and no "v", as the specification has it.
  static Result<Version> parse_strict(std::string_view text);

  std::string str() const;                  // "1.2.3-rc.1+x"
  int compare(const Version& other) const;  // -1, 0, 1; metadata does not count
  bool operator==(const Version&) const = default;
};

// ">= 1.2, < 2 || ~3.1", "1.2 - 1.4", "^1", "1.x", "*".
class Constraint {
 public:
  // Errors: invalid `improper constraint: "x"`, "constraint parser error".
  static Result<Constraint> parse(std::string_view text);
  // A version with a pre-release meets only groups that name one.
  bool check(const Version& version) const;

 private:
  enum class Op : std::uint8_t { tilde_or_equal, not_equal, greater, less, greater_equal, less_equal, tilde, caret };
  struct Term {
    Op op = Op::tilde_or_equal;
    Version version;
    bool dirty = false, minor_dirty = false, patch_dirty = false;  // parts that are "x" or not there
  };
  struct Group {  // all must hold
    std::vector<Term> terms;
    bool has_prerelease = false;
  };
  struct Scanner;
  static Result<Group> parse_group(std::string_view text);
  static bool holds(const Term& term, const Version& version, bool allows_prerelease);
  static bool holds_tilde(const Term& term, const Version& version);
  static bool holds_caret(const Term& term, const Version& version);
  static bool differs(const Term& term, const Version& version);

  std::vector<Group> groups_;  // one must hold
};

}  // namespace caisson::go_template
