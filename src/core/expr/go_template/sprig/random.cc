// SPDX-License-Identifier: Apache-2.0
// What differs at each call. The kernel's randomness, without bias.
#include "core/base/random.h"

#include "core/base/encoding.h"
#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template::sprig {
namespace {

// Below `limit`, each with the same chance. REQUIRES: limit > 0
std::uint64_t below(std::uint64_t limit) {
  const std::uint64_t fair = ~0ULL - ~0ULL % limit;
  std::uint64_t number = random_u64();
  while (number >= fair) number = random_u64();
  return number % limit;
}

Result<Datum> characters(Call& call, std::string_view alphabet) {
  const std::int64_t count = call[0].as_int();
  if (count <= 0) return Datum("");
  TRY(call.execution.spend(static_cast<std::uint64_t>(count), static_cast<std::size_t>(count)));
  std::string out;
  for (std::int64_t i = 0; i < count; ++i) out += alphabet[below(alphabet.size())];
  return Datum(out);
}

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kBoth = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

}  // namespace

Result<Datum> rand_alpha_num(Call& call) {
  return characters(call, kBoth);
}
Result<Datum> rand_alpha(Call& call) {
  return characters(call, kLetters);
}
Result<Datum> rand_numeric(Call& call) {
  return characters(call, kDigits);
}

Result<Datum> rand_ascii(Call& call) {
  std::string printable;
  for (char c = ' '; c < 127; ++c) printable += c;
  return characters(call, printable);
}

Result<Datum> rand_int(Call& call) {
  const std::int64_t low = call[0].as_int(), high = call[1].as_int();
  if (high <= low) return invalid("invalid argument to Intn");
  const auto range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  return Datum::integer(static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + below(range)));
}

Result<Datum> rand_bytes(Call& call) {
  const std::int64_t count = call[0].as_int();
  if (count < 0) return invalid("runtime error: makeslice: len out of range");
  TRY(call.execution.spend(1, static_cast<std::size_t>(count) * 2));
  return Datum(base64(random_bytes(static_cast<std::size_t>(count))));
}

Result<Datum> shuffle(Call& call) {
  std::vector<std::uint32_t> codes = runes(call.text(0));
  for (std::size_t i = codes.size(); i > 1; --i) std::swap(codes[i - 1], codes[below(i)]);
  return Datum(from_runes(codes));
}

Result<Datum> uuidv4(Call&) {
  return Datum(random_uuid());
}

}  // namespace caisson::go_template::sprig
