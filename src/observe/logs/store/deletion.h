// SPDX-License-Identifier: Apache-2.0
// Lines that are to be deleted, and blocks without them. Values; any thread.
#pragma once
#include <functional>
#include <optional>
#include <span>

#include "observe/logs/store/segment.h"

namespace caisson::logs {

using LineTest =
    std::function<bool(const Labels& stream, std::int64_t t, std::string_view line, const Labels& metadata)>;

// Of the streams that match, lines from mint to maxt (both included).
struct Deletion {
  std::vector<Matcher> matchers;
  std::int64_t mint = 0, maxt = 0;
  std::function<LineTest()> make_test;  // which lines; each test is used by one thread. Empty: all
};

// The block itself when nothing of it goes; nothing when all of it does; else its other lines, unsealed.
// Errors: invalid when the block is damaged.
Result<std::optional<BlockRef>> without(const BlockRef& block, const Labels& stream,
                                        std::span<const Deletion> deletions);

}  // namespace caisson::logs
