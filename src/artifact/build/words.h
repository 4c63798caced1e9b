// SPDX-License-Identifier: Apache-2.0
// Variables, quotes and words of a Dockerfile, as BuildKit's frontend/dockerfile/shell (v0.12 and later) reads them:
// ${x:-y}, ${x#pat}, ${x/pat/to} and the like. Not a shell: no commands, no globbing. Pure functions; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace caisson::build {

using Variables = std::vector<std::pair<std::string, std::string>>;  // names are unique; in order

const std::string* find_variable(const Variables& variables, std::string_view name);
void set_variable(Variables& variables, std::string_view name, std::string_view value);  // in place, or at the end

struct WordOptions {
  char escape = '\\';
  bool keep_unset = false;    // "$x" stays when x is not set
  bool keep_quotes = false;   // quotes and escapes are taken over
  bool plain_quotes = false;  // quotes are letters like others: contents of heredocs
};

// One word: no splitting. Errors: bad_request, `failed to process "…": …`.
Result<std::string> expand(std::string_view text, const Variables& variables, const WordOptions& options = {});
// The text split at blanks outside quotes, each part expanded.
Result<std::vector<std::string>> expand_words(std::string_view text, const Variables& variables,
                                              const WordOptions& options = {});

}  // namespace caisson::build
