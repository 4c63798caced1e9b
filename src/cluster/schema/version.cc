// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/version.h"

#include <cstdint>
#include <tuple>

namespace caisson::schema {
namespace {

std::int64_t number(std::string_view& text) {
  std::int64_t value = -1;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9' && value < 1'000'000'000) {
    value = (value < 0 ? 0 : value) * 10 + (text[0] - '0');
    text.remove_prefix(1);
  }
  return value;
}

struct Parsed {
  int stage = 0;  // 3 stable, 2 beta, 1 alpha, 0 no version of this form
  std::int64_t major = 0, minor = 0;
};

Parsed parse(std::string_view text) {
  if (text.empty() || text[0] != 'v') return {};
  text.remove_prefix(1);
  Parsed out;
  out.major = number(text);
  if (out.major < 0) return {};
  if (text.empty()) return {3, out.major, 0};
  const bool beta = text.starts_with("beta");
  if (!beta && !text.starts_with("alpha")) return {};
  text.remove_prefix(beta ? 4 : 5);
  out.minor = number(text);
  if (out.minor < 0 || !text.empty()) return {};
  out.stage = beta ? 2 : 1;
  return out;
}

}  // namespace

bool version_before(std::string_view a, std::string_view b) {
  const Parsed left = parse(a), right = parse(b);
  if (left.stage == 0 && right.stage == 0) return a < b;
  return std::tie(left.stage, left.major, left.minor) > std::tie(right.stage, right.major, right.minor);
}

}  // namespace caisson::schema
