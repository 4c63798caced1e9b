// SPDX-License-Identifier: Apache-2.0
// Words of a command line into a struct, by a table of its members: "--flag value", "--flag=value", "-f value",
// "--toggle", "--toggle=false"; all else is an argument. `caisson app` and `caisson proj` read theirs with it. Pure.
#pragma once
#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "main/cli/boolean_flag.h"

namespace caisson::cli {

// One of the five members is set.
template <class Arguments>
struct ArgumentFlag {
  std::string_view name;  // "--revision", "-r"
  std::string Arguments::*text = nullptr;
  bool Arguments::*toggle = nullptr;
  std::vector<std::string> Arguments::*list = nullptr;                             // each one counts
  Result<void> (*read)(Arguments& arguments, const std::string& value) = nullptr;  // of what is no plain text
  std::optional<bool> Arguments::*choice = nullptr;  // a toggle of which "--x=false" is not the same as nothing
};

// `Arguments` has a member `words` for what is no flag. Errors: bad_request "COMMAND: flag --x is not known", "--x
// needs a value", and what a flag's own `read` gives.
template <class Arguments>
Result<Arguments> read_arguments(std::string_view command, const std::vector<std::string>& words,
                                 std::span<const ArgumentFlag<Arguments>> known) {
  Arguments out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.starts_with('-')) {
      out.words.push_back(word);
      continue;
    }
    const auto equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    const std::string name = word.substr(0, equals);
    const auto flag = std::find_if(known.begin(), known.end(), [&](const auto& one) { return one.name == name; });
    if (flag == known.end())
      return Error{ErrorCode::bad_request, std::string(command) + ": flag " + name + " is not known; see caisson " +
                                               std::string(command) + " --help"};
    if (flag->toggle || flag->choice) {
      const bool on = equals == std::string::npos || TRY(read_bool(name, word.substr(equals + 1)));
      if (flag->toggle)
        out.*(flag->toggle) = on;
      else
        out.*(flag->choice) = on;
      continue;
    }
    if (equals == std::string::npos && i + 1 == words.size())
      return Error{ErrorCode::bad_request, name + " needs a value"};
    const std::string value = equals == std::string::npos ? words[++i] : word.substr(equals + 1);
    if (flag->list)
      (out.*(flag->list)).push_back(value);
    else if (flag->read)
      TRY(flag->read(out, value));
    else
      out.*(flag->text) = value;
  }
  return out;
}

}  // namespace caisson::cli
