// SPDX-License-Identifier: Apache-2.0
// Words and cases. Follows goutils 1.1.1 (untitle, swapcase), xstrings 1.5 (snakecase, kebabcase, camelcase) and Go's
// strings.Title.
#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template::sprig {
namespace {

using Codes = std::vector<std::uint32_t>;

bool is_connector(std::uint32_t code) {
  return code == '-' || code == '_' || is_space(code);
}
// Letters of alphabets; Chinese, Japanese and Korean characters are words of another kind.
bool is_alphabet(std::uint32_t code) {
  if (!is_letter(code)) return false;
  const bool is_cjk =
      (code >= 0x3400 && code <= 0x4DBF) || (code >= 0x4E00 && code <= 0x9FCC) || (code >= 0x20000 && code <= 0x2B81D);
  return !is_cjk;
}

enum class Word : std::uint8_t { none, number, upper, alphabet, connector, punctuation, other };

// A character with what is in front of it and is none; at the end of a text also such bytes alone, which go with the
// character before them.
struct Unit {
  std::uint32_t code;
  std::string_view raw;
};

std::vector<Unit> units(std::string_view text) {
  std::vector<Unit> out;
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Rune rune = decode_rune(text.substr(at));
    at += rune.size;
    if (rune.code == kReplacement) continue;
    out.push_back({rune.code, text.substr(start, at - start)});
    start = at;
  }
  if (start < text.size()) out.push_back({out.empty() ? kReplacement : out.back().code, text.substr(start)});
  return out;
}

struct Piece {
  Word kind = Word::none;
  std::string text = {};
};

// Takes the next word off the front of `rest`.
class Words {
 public:
  explicit Words(std::string_view text) : units_(units(text)) {}

  bool at_end() const { return at_ >= units_.size(); }

  Piece next() {
    if (at_end()) return {};
    const std::size_t start = at_;
    Piece piece{take(units_[at_].code)};
    for (std::size_t i = start; i < at_; ++i) piece.text += units_[i].raw;
    return piece;
  }

 private:
  template <class Predicate>
  void take_while(Predicate predicate) {
    while (!at_end() && predicate(units_[at_].code)) ++at_;
  }

  static bool continues_word(std::uint32_t code) { return is_alphabet(code) && !is_upper(code); }

  Word take(std::uint32_t first) {
    ++at_;
    if (is_connector(first)) return take_while(is_connector), Word::connector;
    if (is_punctuation(first)) return take_while(is_punctuation), Word::punctuation;
    if (is_upper(first)) return take_upper(), Word::upper;
    if (is_alphabet(first)) return take_while(continues_word), Word::alphabet;
    if (is_number(first)) return take_while(is_number), Word::number;
    take_while([](std::uint32_t code) {
      return !is_connector(code) && !is_alphabet(code) && !is_number(code) && !is_punctuation(code);
    });
    return Word::other;
  }

  // "HTTPStatus" is HTTP and Status: the last capital belongs to the letters behind it.
  void take_upper() {
    if (at_end()) return;
    if (!is_upper(units_[at_].code)) return take_while(continues_word);
    take_while(is_upper);
    if (!at_end() && is_alphabet(units_[at_].code)) --at_;
  }

  std::vector<Unit> units_;
  std::size_t at_ = 0;
};

class Lowering {
 public:
  Lowering(std::string_view text, char connector) : words_(text), connector_(connector) {}

  std::string run() {
    Piece piece = words_.next();
    while (!words_.at_end()) {
      if (piece.kind != Word::connector) put(piece);
      const Piece before = piece;
      piece = words_.next();
      if (before.kind == Word::number) {
        piece = after_number(piece);
      } else if (before.kind == Word::connector) {
        put(before);
      } else if (before.kind != Word::punctuation) {
        piece = after_letters(piece);
      }
    }
    put(piece);
    return out_;
  }

 private:
  static bool is_joined(const Piece& piece) {
    return piece.kind != Word::none && piece.kind != Word::connector && piece.kind != Word::punctuation;
  }

  void connect() { out_ += connector_; }

  void put(const Piece& piece) {
    if (piece.kind != Word::connector && piece.kind != Word::upper) {
      out_ += piece.text;
      return;
    }
    for (const std::uint32_t code : runes(piece.text)) {
      if (piece.kind == Word::connector && code != kReplacement)
        connect();
      else
        append_rune(out_, is_upper(code) ? to_lower(code) : code);
    }
  }

  Piece after_number(Piece piece) {
    while (piece.kind == Word::alphabet || piece.kind == Word::number) {
      put(piece);
      piece = words_.next();
    }
    if (is_joined(piece)) connect();
    return piece;
  }

  Piece after_letters(Piece piece) {
    if (piece.kind != Word::number) {
      if (piece.kind != Word::connector && piece.kind != Word::punctuation) connect();
      return piece;
    }
    if (words_.at_end()) return piece;
    const Piece number = piece;
    piece = words_.next();
    if (piece.kind != Word::alphabet) {  // "Bld4Floor" is bld4_floor
      put(number);
      if (piece.kind != Word::connector && piece.kind != Word::punctuation) connect();
      return piece;
    }
    connect();  // "HTTP2xx" is http_2xx
    put(number);
    return after_number(piece);
  }

  Words words_;
  char connector_;
  std::string out_;
};

std::string pascal_case(std::string_view text) {
  const Codes codes = runes(text);
  Codes out;
  std::size_t at = 0;
  while (at < codes.size() && is_connector(codes[at])) out.push_back(codes[at++]);
  if (at == codes.size()) return std::string(text);
  bool word_starts_upper = is_upper(codes[at]);
  std::uint32_t current = to_upper(codes[at++]);
  for (; at < codes.size(); ++at) {
    const std::uint32_t before = current;
    current = codes[at];
    if (is_connector(current) && is_connector(before)) {
      out.push_back(before);
    } else if (is_connector(before)) {
      word_starts_upper = is_upper(current);
      current = to_upper(current);
    } else {
      if (word_starts_upper && is_upper(current)) {
        current = to_lower(current);
      } else {
        word_starts_upper = false;
      }
      out.push_back(before);
    }
  }
  out.push_back(current);
  return from_runes(out);
}

// Does strings.Title see a new word behind this character?
bool separates(std::uint32_t code) {
  if (code < 0x80) return !is_letter(code) && !is_digit(code) && code != '_';
  return !is_letter(code) && !is_digit(code) && is_space(code);
}

}  // namespace

Result<Datum> snakecase(Call& call) {
  return Datum(Lowering(call.text(0), '_').run());
}
Result<Datum> kebabcase(Call& call) {
  return Datum(Lowering(call.text(0), '-').run());
}
Result<Datum> camelcase(Call& call) {
  return Datum(pascal_case(call.text(0)));
}

Result<Datum> title(Call& call) {
  Codes codes = runes(call.text(0));
  std::uint32_t before = ' ';
  for (std::uint32_t& code : codes) {
    const std::uint32_t as_it_was = code;
    if (separates(before)) code = to_title(code);
    before = as_it_was;
  }
  return Datum(from_runes(codes));
}

Result<Datum> untitle(Call& call) {
  Codes codes = runes(call.text(0));
  bool starts = true;
  for (std::uint32_t& code : codes) {
    if (is_space(code)) {
      starts = true;
    } else if (std::exchange(starts, false)) {
      code = to_lower(code);
    }
  }
  return Datum(from_runes(codes));
}

Result<Datum> swapcase(Call& call) {
  Codes codes = runes(call.text(0));
  bool after_space = true;
  for (std::uint32_t& code : codes) {
    if (is_upper(code)) {
      code = to_lower(code);
      after_space = false;
    } else if (is_lower(code)) {
      code = std::exchange(after_space, false) ? to_title(code) : to_upper(code);
    } else {
      after_space = is_space(code);
    }
  }
  return Datum(from_runes(codes));
}

}  // namespace caisson::go_template::sprig
