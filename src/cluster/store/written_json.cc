// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/written_json.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/document/json.h"
#include "core/document/utf8.h"

namespace caisson::store {
namespace {

constexpr int kDepthMax = 200;     // json::ParseLimits
constexpr int kDigitsMax = 300;    // a longer number may be out of range
constexpr std::uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;

// How many bytes at `at` (of 8) are plain text of a string: no quote, backslash, control character, nor beyond ASCII.
int plain_bytes(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  const std::uint64_t quote = word ^ (kOnes * '"'), backslash = word ^ (kOnes * '\\');
  const std::uint64_t special =
      (((word - kOnes * 0x20) & ~word) | ((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash) | word) & kHigh;
  if constexpr (std::endian::native != std::endian::little) return special == 0 ? 8 : 0;
  return special == 0 ? 8 : std::countr_zero(special) / 8;
}

// Walks over a document. Each member gives false where json::parse would refuse, and is not to be used after that.
class Walker {
 public:
  explicit Walker(std::string_view text) : text_(text) {}

  std::size_t members() const { return members_; }  // that were skipped
  bool at_end() const { return at_ == text_.size(); }
  std::size_t at() const { return at_; }
  std::string_view since(std::size_t start) const { return text_.substr(start, at_ - start); }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (peek() == ' ' || peek() == '\n' || peek() == '\t' || peek() == '\r') ++at_;
  }

  bool skip_document() {
    skip_space();
    if (!skip_value(0)) return false;
    skip_space();
    return at_end();
  }

  bool skip_value(int depth) {
    switch (peek()) {
      case '{':
        return skip_container('}', depth + 1, true);
      case '[':
        return skip_container(']', depth + 1, false);
      case '"':
        return skip_string();
      case 't':
        return skip_word("true");
      case 'f':
        return skip_word("false");
      case 'n':
        return skip_word("null");
      default:
        return skip_number();
    }
  }

  bool skip_string() {
    if (!take('"')) return false;
    for (;;) {
      while (at_ + 8 <= text_.size()) {
        const int plain = plain_bytes(text_.data() + at_);
        at_ += static_cast<std::size_t>(plain);
        if (plain < 8) break;
      }
      if (at_ >= text_.size()) return false;
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') return take('"');
      if (c < 0x20) return false;
      if (c == '\\') {
        if (!skip_escape()) return false;
        continue;
      }
      const std::size_t length = utf8::sequence_length(text_, at_);
      if (length == 0) return false;
      at_ += length;
    }
  }

 private:
  bool skip_container(char end, int depth, bool members) {
    if (depth > kDepthMax) return false;
    ++at_;
    skip_space();
    if (take(end)) return true;
    for (;;) {
      if (members) {
        ++members_;
        if (!skip_string()) return false;
        skip_space();
        if (!take(':')) return false;
        skip_space();
      }
      if (!skip_value(depth)) return false;
      skip_space();
      if (take(end)) return true;
      if (!take(',')) return false;
      skip_space();
    }
  }

  bool skip_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  bool skip_escape() {
    ++at_;
    const char c = peek();
    if (c == 'u') {
      if (at_ + 5 > text_.size()) return false;
      if (text_.substr(at_ + 1, 4).find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) return false;
      at_ += 5;
      return true;
    }
    ++at_;
    return c != '\0' && std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
  }

  // Numbers with an exponent may be out of range: json::parse decides.
  bool skip_number() {
    take('-');
    const std::size_t start = at_;
    if (!skip_digits() || (text_[start] == '0' && at_ - start > 1)) return false;
    if (take('.') && !skip_digits()) return false;
    return peek() != 'e' && peek() != 'E' && at_ - start <= kDigitsMax;
  }
  bool skip_digits() {
    const std::size_t start = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ != start;
  }

  std::string_view text_;
  std::size_t at_ = 0, members_ = 0;
};

using Paths = std::vector<std::string_view>;

// Of `paths` those that lead through `key`, below it; an empty one ends there.
Paths below(const Paths& paths, std::string_view key) {
  Paths out;
  for (const std::string_view path : paths) {
    if (!path.starts_with(key)) continue;
    if (path.size() == key.size())
      out.emplace_back();
    else if (path[key.size()] == '.')
      out.push_back(path.substr(key.size() + 1));
  }
  return out;
}

// Takes what is wanted out of one document, and stops when it has it all.
class Selection {
 public:
  Selection(std::string_view text, std::size_t wanted) : walker_(text), missing_(wanted) {}

  // Where the walker is. False when nothing more is to be had.
  bool take_value(Value& out, const Paths& paths, int depth) {
    const bool whole = std::find(paths.begin(), paths.end(), std::string_view()) != paths.end();
    if (!whole && walker_.peek() == '{') return take_map(out, paths, depth + 1);
    const std::size_t start = walker_.at();
    if (!walker_.skip_value(depth)) return false;
    missing_ -= std::min(missing_, paths.size());
    if (!whole) return missing_ > 0;  // no map: nothing is below it
    auto value = json::parse(walker_.since(start));
    if (value.ok()) out = std::move(value).value();
    return value.ok() && missing_ > 0;
  }

 private:
  bool take_map(Value& out, const Paths& paths, int depth) {
    out = Value::map();
    if (depth > kDepthMax || !walker_.take('{')) return false;
    walker_.skip_space();
    if (walker_.take('}')) return true;
    do {
      walker_.skip_space();
      const std::size_t start = walker_.at();
      if (!walker_.skip_string()) return false;
      std::string_view key = walker_.since(start);
      key = key.substr(1, key.size() - 2);
      walker_.skip_space();
      if (!walker_.take(':')) return false;
      walker_.skip_space();
      const Paths inside = below(paths, key);
      if (!(inside.empty() ? walker_.skip_value(depth) : take_value(out.edit(key), inside, depth))) return false;
      walker_.skip_space();
    } while (walker_.take(','));
    return walker_.take('}');
  }

  Walker walker_;
  std::size_t missing_;  // paths of which the document may still say something
};

}  // namespace

bool is_json(std::string_view text) {
  Walker walker(text);
  return walker.skip_document();
}

std::size_t count_members(std::string_view text) {
  Walker walker(text);
  return walker.skip_document() ? walker.members() : 0;
}

Value select(std::string_view written, std::span<const std::string> paths) {
  Value out;
  Selection selection(written, paths.size());
  // What follows the last path, or a fault, is not looked at.
  [[maybe_unused]] const bool more = selection.take_value(out, Paths(paths.begin(), paths.end()), 0);
  return out;
}

}  // namespace caisson::store
