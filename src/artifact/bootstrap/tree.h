// SPDX-License-Identifier: Apache-2.0
// What unpacked packages lack to be a root file system: accounts, links, a shell, the certificate bundle, the linker's
// cache; and what they have too much: documentation. Works on a directory, runs nothing inside it. One thread at a
// time.
#pragma once
#include <string>

#include "artifact/bootstrap/recipe.h"
#include "core/base/result.h"

namespace caisson::bootstrap {

Result<void> prepare_tree(const std::string& tree);                         // the links into usr; before unpacking
Result<void> complete_tree(const std::string& tree, const Recipe& recipe);  // after it
// Times of now become one fixed time, so that the same packages give the same layer.
Result<void> settle_times(const std::string& tree, std::int64_t newer_than_s);

}  // namespace caisson::bootstrap
