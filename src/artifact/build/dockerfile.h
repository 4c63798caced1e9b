// SPDX-License-Identifier: Apache-2.0
// A Dockerfile as instructions: directives, continuation lines, comments, flags, JSON and shell forms, heredocs;
// nothing is expanded yet. Follows BuildKit's frontend/dockerfile/parser. Errors name the line. Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace caisson::build {

struct Heredoc {
  std::string name;
  std::string contents;    // leading tabs are taken away already when it was <<-
  std::string raw;         // as written, for a shell that reads it itself
  bool expands = true;     // the delimiter was not quoted
  std::string descriptor;  // digits before <<
  bool operator==(const Heredoc&) const = default;
};

struct Instruction {
  int line = 0;                                            // the first
  std::string keyword;                                     // upper case
  std::vector<std::pair<std::string, std::string>> flags;  // "--from=x" is {"from", "x"}; see flag_has_value
  std::vector<bool> flag_has_value;
  std::string rest;  // what follows the flags, continuation lines joined
  // of list forms: ENV pairs as written, COPY's paths, JSON items …
  std::vector<std::string> words;
  bool is_json = false;
  std::vector<Heredoc> heredocs;
  std::string original;  // the joined line, for history and messages
  bool operator==(const Instruction&) const = default;
};

struct Dockerfile {
  char escape = '\\';
  std::string syntax;
  std::vector<Instruction> instructions;
};

Result<Dockerfile> parse_dockerfile(std::string_view text);
// One instruction, as ONBUILD keeps it.
Result<Instruction> parse_instruction(std::string_view text, int line, char escape);
// "dockerfile parse error on line 2: …"
Error parse_error(int line, std::string_view what);

}  // namespace caisson::build
