// SPDX-License-Identifier: Apache-2.0
// One check of a value against a schema document: what is against it, as a tree. The keywords of drafts 4 to 2020-12.
// Pure; one thread.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "delivery/render/helm/json_schema/document.h"

namespace re2 {
class RE2;
}

namespace caisson::render::helm::json_schema {

using Path = std::vector<std::string>;

struct Violation {
  enum class Kind { plain, group, reference } kind = Kind::plain;
  Path at;
  std::string text;
  std::vector<Violation> causes;
};
using Verdict = std::optional<Violation>;  // nothing: valid

// What of an object or array no keyword has spoken about yet; kept only where unevaluated… asks for it.
struct Unevaluated {
  bool wanted = false;
  std::set<std::string, std::less<>> properties;
  std::set<std::size_t> items;

  void keep_common(const Unevaluated& other);
};

// An error of the schema itself ends the check; it is kept in failure().
class Checker {
 public:
  explicit Checker(const Value& root);  // must outlive the Checker
  ~Checker();

  // `seen`: gets what the schema did not speak about, when the value agrees with it.
  Verdict check(const At& at, const Value& value, Unevaluated* seen = nullptr);
  const std::optional<std::string>& failure() const { return failure_; }

 private:
  using Violations = std::vector<Violation>;

  int draft() const { return document_.draft(); }
  void fail(std::string why);
  Violation plain(std::string text) const;

  // checker.cc: keywords for every value
  Verdict check_at(const At& at, const Value& schema, const Value& value, std::string step);
  Verdict check_same(const At& at, const Value& value, Unevaluated& mine);
  Verdict check_object(const At& at, const Value& value, Unevaluated* seen);
  Verdict check_any(const Value& schema, const Value& value);
  Verdict check_type(const Value& type, const Value& value);
  void check_combined(const At& at, const Value& value, Violations& out, Unevaluated& mine);
  void check_one_of(const At& at, const Value& value, Violations& out, Unevaluated& mine);
  void check_unevaluated(const At& at, const Value& value, Violations& out, Unevaluated& mine);
  Verdict follow(const At& at, std::string_view reference, const Value& value, Unevaluated& mine);

  // checker_types.cc: keywords of one type each
  void check_map(const At& at, const Value& object, Violations& out, Unevaluated& mine);
  void check_members(const At& at, const Value& object, Violations& out, Unevaluated& mine);
  void check_names(const At& at, const Value& object, Violations& out);
  void check_needed(const Value& names, std::string_view because, const Value& object, Violations& out) const;
  void check_list(const At& at, const Value& list, Violations& out, Unevaluated& mine);
  void check_unique(const Value& list, Violations& out) const;
  void check_contains(const At& at, const Value& list, Violations& out, Unevaluated& mine);
  void check_string(const Value& schema, std::string_view text, Violations& out);
  void check_number(const Value& schema, double number, Violations& out) const;
  void count(const Value& schema, const char* keyword, std::size_t have, bool least, Violations& out) const;

  const re2::RE2& compiled(const std::string& pattern);
  std::string pattern_violation(const std::string& pattern);
  bool matches(const std::string& pattern, std::string_view text);

  Document document_;
  Path path_;
  int depth_ = 0;
  std::uint64_t steps_ = 0;
  std::map<std::string, std::unique_ptr<re2::RE2>> patterns_;
  std::optional<std::string> failure_;
};

// Adds what is wrong, if anything is.
void add(std::vector<Violation>& out, Verdict verdict);

}  // namespace caisson::render::helm::json_schema
