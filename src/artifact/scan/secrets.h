// SPDX-License-Identifier: Apache-2.0
// Secrets in text: keys and tokens that can be told by their form. What is known to be an example (AWS' documentation
// key) and what has too little randomness is left out. Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "artifact/scan/package.h"

namespace caisson::scan {

// At most 100 of one file. `match` shows the line with the secret replaced by asterisks, at most 160 characters.
std::vector<Secret> find_secrets(std::string_view path, std::string_view text);

}  // namespace caisson::scan
