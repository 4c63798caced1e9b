// SPDX-License-Identifier: Apache-2.0
// What we read of git's wire protocol (gitprotocol-pack(5)): the commands that open a push, and the report that ends
// it. Pure.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::git {

struct RefUpdate {
  std::string ref, before, after;
  bool operator==(const RefUpdate&) const = default;
};

inline constexpr std::size_t kCommandBytesMax = 1u << 20;

// The "old new ref" lines before the first flush. Errors: bad_request for broken pkt-lines; too_large when there is no
// flush in `bytes`.
Result<std::vector<RefUpdate>> parse_push_commands(std::string_view bytes);

// Which refs the report-status (plain, or in side-band 1) says moved; `reported` is false when it holds no report.
struct PushReport {
  bool reported = false;
  std::map<std::string, bool> refs;
};
PushReport parse_push_report(std::string_view bytes);

std::string pkt_line(std::string_view text);

// The answer to a push of which nothing was done, in the form that its commands ask for: git shows `why` and every ref
// as rejected. Empty when the client asks for no report.
std::string refusing_report(std::string_view commands, const std::vector<RefUpdate>& updates, const std::string& why);

}  // namespace caisson::git
