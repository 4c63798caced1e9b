// SPDX-License-Identifier: Apache-2.0
// CHECK(condition): a broken invariant ends the process, in release too. Bad input is never a CHECK; it is an Error.
#pragma once

namespace caisson {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}  // namespace caisson

#define CHECK(condition) ((condition) ? static_cast<void>(0) : ::caisson::check_failed(#condition, __FILE__, __LINE__))
