// SPDX-License-Identifier: Apache-2.0
// Documents by chance, for property tests. CAISSON_TEST_SEED repeats a run.
#pragma once
#include <cstdlib>
#include <random>

#include "core/document/utf8.h"
#include "core/document/value.h"

namespace caisson::document::generate {

inline std::uint64_t seed() {
  const char* given = std::getenv("CAISSON_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

class Source {
 public:
  explicit Source(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t limit) { return random_() % limit; }

  std::string text() {
    static constexpr std::string_view kTricky[] = {
        "",       "true",       "yes",      "on",    "y",     "null",  "~",      "0x1f", "0777", "0o7",
        "1e3",    "1_000",      ".inf",     ".nan",  "- a",   "a: b",  "a #b",   "# c",  "a:",   " lead",
        "trail ", "2001-01-01", "12:30:45", "<<",    "=",     "*a",    "&a",     "!t",   "a\nb", "a\nb\n",
        "\n",     "a\n\n",      " a\nb",    "a \nb", "\ttab", "\"q\"", "'q'",    "@a",   "`a",   "%a",
        "?",      "? a",        "-",        "--",    "---",   "--- a", "...",    "{a}",  "[a]",  "a,b",
        "|",      ">",          "0b11",     "+1",    "-1.5",  "0.",    "a\r\nb", "\\",   "한글", "😀",
        "\u0085", "\u2028x",    "\ufeff",   "\x7f",  "1.2.3", "null ", "a\tb",   "NO",   "Off",  "012e3"};
    if (below(2) == 0) return std::string(kTricky[below(std::size(kTricky))]);
    std::string out;
    static constexpr char kAlphabet[] = "abcXYZ019 \n\t:-#,[]{}&*!|>'\"%@`~?=.\\/_";
    for (std::size_t n = below(24); n > 0; --n) {
      if (below(12) == 0) {
        std::uint32_t code = static_cast<std::uint32_t>(below(0x11000));
        if (code >= 0xD800 && code < 0xE000) code = 0xAC00;
        utf8::append(out, code);
      } else {
        out += kAlphabet[below(sizeof kAlphabet - 1)];
      }
    }
    if (below(40) == 0) out += std::string(200, 'w') + " long";
    return out;
  }

  Value scalar() {
    switch (below(7)) {
      case 0:
        return Value();
      case 1:
        return Value(below(2) == 0);
      case 2:
        return Value(static_cast<std::int64_t>(random_()) >> below(64));
      case 3:
        return Value(static_cast<double>(static_cast<std::int64_t>(random_())) /
                     (1 + static_cast<double>(below(1'000'000))));
      default:
        return Value(text());
    }
  }

  Value value(int depth) {
    if (depth == 0 || below(4) == 0) return scalar();
    if (below(2) == 0) {
      Value list = Value::list();
      for (std::size_t n = below(5); n > 0; --n) list.push_back(value(depth - 1));
      return list;
    }
    Value map = Value::map();
    for (std::size_t n = below(below(10) == 0 ? 30 : 5); n > 0; --n) map.set(text(), value(depth - 1));
    return map;
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace caisson::document::generate
