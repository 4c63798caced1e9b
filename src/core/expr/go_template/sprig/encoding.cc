// SPDX-License-Identifier: Apache-2.0
// base64, base32, JSON and paths.
#include "core/base/encoding.h"

#include <array>

#include "core/expr/go_template/json_text.h"
#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"

namespace caisson::go_template::sprig {
namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

struct Alphabet {
  std::string_view name, letters;
  std::size_t bits, quantum;  // of a letter; letters of a whole group
};
constexpr Alphabet k64{"base64", kBase64, 6, 4};
constexpr Alphabet k32{"base32", kBase32, 5, 8};

// Of a group of n letters, which numbers mean whole bytes?
bool is_whole(const Alphabet& alphabet, std::size_t letters) {
  if (alphabet.quantum == 4) return letters == 2 || letters == 3;
  return letters == 2 || letters == 4 || letters == 5 || letters == 7;
}

// Go's decoders: padding must be there, line ends are skipped. Errors name the byte: "illegal base64 data at input byte
// 4".
Result<std::string> decoded(const Alphabet& alphabet, std::string_view text) {
  const auto corrupt = [&](std::size_t at) {
    return invalid("illegal " + std::string(alphabet.name) + " data at input byte " + std::to_string(at));
  };
  std::string out;
  std::uint64_t bits = 0;
  std::size_t letters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n' || c == '\r') continue;
    if (c == '=') {
      if (!is_whole(alphabet, letters)) return corrupt(i);
      std::size_t padding = 0;
      std::size_t at = i;
      for (; at < text.size() && padding + letters < alphabet.quantum; ++at) {
        if (text[at] == '\n' || text[at] == '\r') continue;
        if (text[at] != '=') return corrupt(at);
        ++padding;
      }
      if (padding + letters < alphabet.quantum) return corrupt(text.size());
      while (at < text.size() && (text[at] == '\n' || text[at] == '\r')) ++at;
      if (at < text.size()) return corrupt(at);
      const std::size_t bytes = letters * alphabet.bits / 8;
      bits >>= letters * alphabet.bits - bytes * 8;
      for (std::size_t b = bytes; b-- > 0;) out += static_cast<char>(bits >> (b * 8));
      return out;
    }
    const std::size_t value = alphabet.letters.find(c);
    if (value == std::string_view::npos) return corrupt(i);
    bits = bits << alphabet.bits | value;
    if (++letters < alphabet.quantum) continue;
    for (std::size_t b = alphabet.quantum * alphabet.bits / 8; b-- > 0;) out += static_cast<char>(bits >> (b * 8));
    bits = 0;
    letters = 0;
  }
  if (letters != 0) return corrupt(text.size() - letters);
  return out;
}

std::string base32(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 5) {
    std::uint64_t group = 0;
    const std::size_t count = std::min<std::size_t>(5, bytes.size() - i);
    for (std::size_t b = 0; b < 5; ++b)
      group = group << 8 | (b < count ? static_cast<unsigned char>(bytes[i + b]) : 0u);
    const std::size_t letters = (count * 8 + 4) / 5;
    for (std::size_t l = 0; l < 8; ++l) out += l < letters ? kBase32[group >> (35 - l * 5) & 31] : '=';
  }
  return out;
}

// --- path.Clean and its kin

std::string cleaned(std::string_view path) {
  if (path.empty()) return ".";
  const bool rooted = path[0] == '/';
  std::vector<std::string_view> parts;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, end - start);
    if (part == ".." && !parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (!part.empty() && part != "." && !(part == ".." && rooted)) {
      parts.push_back(part);
    }
    start = end + 1;
  }
  std::string out = rooted ? "/" : "";
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += '/';
    out += parts[i];
  }
  return out.empty() ? "." : out;
}

}  // namespace

Result<Datum> b64enc(Call& call) {
  return Datum(base64(call.text(0)));
}
Result<Datum> b32enc(Call& call) {
  return Datum(base32(call.text(0)));
}

Result<Datum> b64dec(Call& call) {
  const auto bytes = decoded(k64, call.text(0));
  return Datum(bytes.ok() ? *bytes : bytes.error().message);
}
Result<Datum> b32dec(Call& call) {
  std::string text(call.text(0));
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });  // before Go counts, unlike base64
  const auto bytes = decoded(k32, text);
  return Datum(bytes.ok() ? *bytes : bytes.error().message);
}

Result<Datum> path_base(Call& call) {
  std::string_view path = call.text(0);
  if (path.empty()) return Datum(".");
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  if (path.empty()) return Datum("/");
  const std::size_t slash = path.rfind('/');
  return Datum(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

Result<Datum> path_dir(Call& call) {
  const std::size_t slash = call.text(0).rfind('/');
  return Datum(cleaned(slash == std::string_view::npos ? std::string_view() : call.text(0).substr(0, slash + 1)));
}

Result<Datum> path_ext(Call& call) {
  const std::string_view path = call.text(0);
  const std::size_t dot = path.find_last_of("./");
  return Datum(dot == std::string_view::npos || path[dot] == '/' ? std::string_view() : path.substr(dot));
}

Result<Datum> path_clean(Call& call) {
  return Datum(cleaned(call.text(0)));
}
Result<Datum> path_is_abs(Call& call) {
  return Datum(call.text(0).starts_with('/'));
}

// --- JSON

Result<Datum> to_json(Call& call) {
  const auto text = json_text(call[0], JsonStyle::escaped);
  return Datum(text.ok() ? *text : "");
}
Result<Datum> must_to_json(Call& call) {
  return Datum(TRY(json_text(call[0], JsonStyle::escaped)));
}
Result<Datum> to_pretty_json(Call& call) {
  const auto text = json_text(call[0], JsonStyle::pretty);
  return Datum(text.ok() ? *text : "");
}
Result<Datum> must_to_pretty_json(Call& call) {
  return Datum(TRY(json_text(call[0], JsonStyle::pretty)));
}
Result<Datum> to_raw_json(Call& call) {
  return Datum(TRY(json_text(call[0], JsonStyle::raw)));
}

Result<Datum> from_json(Call& call) {
  auto value = parse_json(call.text(0));
  return value.ok() ? Datum::from(*value).made() : Datum();
}
Result<Datum> must_from_json(Call& call) {
  return Datum::from(TRY(parse_json(call.text(0)))).made();
}

}  // namespace caisson::go_template::sprig
