// SPDX-License-Identifier: Apache-2.0
// The command line as Helm's own parser (spf13/pflag) reads it: flags before, between and after the arguments,
// "--flag value", "--flag=value", "-fvalue", "--" ends them.
#pragma once
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::cli {

// `boolean`: "--x" or "--x=false". `text`: the last one counts. `array`: each one counts. `list`: each one counts, and
// each is split at commas. `optional`: "--x" alone means kOptionalFlagAlone. `program`: a text that names a
// program, by a path or in PATH, and becomes its absolute path.
enum class FlagKind { boolean, text, array, list, optional, program };
inline constexpr std::string_view kOptionalFlagAlone = "client";

struct FlagSpec {
  std::string_view name;
  FlagKind kind;
  char letter = 0;
  std::string_view what = {};  // for help
};

class Flags {
 public:
  // Errors: bad_request "unknown flag: --x", "flag needs an argument: --x", "invalid argument "v" for "--x" flag: …".
  static Result<Flags> parse(const std::vector<std::string>& words, std::span<const std::span<const FlagSpec>> known);

  bool has(std::string_view name) const { return values_.contains(name); }
  bool is_set(std::string_view name) const;  // a boolean's value
  std::string text(std::string_view name, std::string_view otherwise = {}) const;
  std::vector<std::string> all(std::string_view name) const;
  const std::vector<std::string>& arguments() const { return arguments_; }
  // How many arguments stood before "--"; all of them when there was none.
  std::size_t arguments_before_dash() const { return dash_ ? *dash_ : arguments_.size(); }
  bool has_dash() const { return dash_.has_value(); }

  struct Given {
    std::string_view name;
    std::string value;
  };
  const std::vector<Given>& given() const { return given_; }  // in order

 private:
  std::map<std::string_view, std::vector<std::string>> values_;
  std::vector<Given> given_;
  std::vector<std::string> arguments_;
  std::optional<std::size_t> dash_;
};

}  // namespace caisson::cli
