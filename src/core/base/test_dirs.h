// SPDX-License-Identifier: Apache-2.0
// Where a test finds its files. CMake makes the definitions, in a file of their own: compiled tests name no place, and
// another checkout takes them from the compiler's cache.
#pragma once
#include <string>

namespace caisson {

std::string test_room_dir();        // "…/src/core/expr"
std::string test_repository_dir();  // "…"

}  // namespace caisson
