// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "core/document/json.h"
#include "core/document/number.h"
#include "core/document/utf8.h"

namespace caisson::json {
namespace {

using document::MapEntry;

// Appends to a string by a pointer: most of what is written are texts of a few bytes, of which std::string's own
// appending would cost several times the copying.
class Sink {
 public:
  explicit Sink(std::string& out) : out_(out), first_(out.size()), used_(out.size()) {}
  ~Sink() { out_.resize(used_); }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  // Where so many bytes may be written; `wrote` says how many were.
  char* room(std::size_t bytes) {
    if (out_.size() - used_ < bytes) make_room(bytes);
    return out_.data() + used_;
  }
  void wrote(std::size_t bytes) { used_ += bytes; }
  void put(char c) {
    *room(1) = c;
    ++used_;
  }
  void put(std::string_view text) {
    std::memcpy(room(text.size()), text.data(), text.size());
    used_ += text.size();
  }
  void put(std::size_t count, char c) {
    std::memset(room(count), c, count);
    used_ += count;
  }

 private:
  // What the string has allocated is used first, but in steps: whoever reserved megabytes does not want them cleared
  // for each short text.
  void make_room(std::size_t bytes) {
    constexpr std::size_t kStep = 256;
    const std::size_t step = std::max({bytes, used_ - first_, kStep});
    const bool fits = used_ + bytes <= out_.capacity();
    out_.resize(fits ? std::min(out_.capacity(), used_ + step) : used_ + step);
  }

  std::string& out_;
  const std::size_t first_;  // room grows as what was written since
  std::size_t used_;
};

// Which bytes of a string stand for themselves in JSON, whatever the options and whatever comes after them.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
  return plain;
}();

std::size_t plain_end(std::string_view text, std::size_t at) {
  while (at < text.size() && kPlain[static_cast<unsigned char>(text[at])]) ++at;
  return at;
}

class Writer {
 public:
  Writer(std::string& out, const WriteOptions& options) : out_(out), options_(options) {}

  void write(const Value& value, int depth) {
    switch (value.kind()) {
      case ValueKind::null:
        return out_.put("null");
      case ValueKind::boolean:
        return out_.put(value.as_bool() ? "true" : "false");
      case ValueKind::integer:
        return write_integer(value.as_int());
      case ValueKind::floating:
        return out_.put(document::json_number(value.as_double()));
      case ValueKind::string:
        return write_string(value.as_string());
      case ValueKind::list:
        return write_list(value, depth);
      case ValueKind::map:
        return write_map(value, depth);
    }
  }

  void write_string(std::string_view text) {
    char* to = out_.room(text.size() + 2);
    const std::size_t plain = plain_end(text, 0);
    *to = '"';
    if (plain > 0) std::memcpy(to + 1, text.data(), plain);
    if (plain == text.size()) {
      to[plain + 1] = '"';
      return out_.wrote(plain + 2);
    }
    out_.wrote(plain + 1);
    for (std::size_t at = plain; at < text.size();) {
      at += write_special(text, at);
      const std::size_t next = plain_end(text, at);
      out_.put(text.substr(at, next - at));
      at = next;
    }
    out_.put('"');
  }

 private:
  // What stands at `at` and is not plain; gives how many bytes of the text that was.
  std::size_t write_special(std::string_view text, std::size_t at) {
    static constexpr char kHex[] = "0123456789abcdef";
    const auto c = static_cast<unsigned char>(text[at]);
    if (c >= 0x80) return write_wide(text, at);
    const bool html = c == '<' || c == '>' || c == '&';
    const std::string_view from = "\"\\\n\r\t\b\f", to = "\"\\nrtbf";
    if (const auto escape = from.find(static_cast<char>(c)); escape != std::string_view::npos) {
      out_.put('\\');
      out_.put(to[escape]);
    } else if (html && !options_.escape_html) {
      out_.put(static_cast<char>(c));
    } else {
      out_.put("\\u00");
      out_.put(kHex[c >> 4]);
      out_.put(kHex[c & 15]);
    }
    return 1;
  }

  std::size_t write_wide(std::string_view text, std::size_t at) {
    const std::size_t length = utf8::sequence_length(text, at);
    const std::string_view character = text.substr(at, length);
    // U+2028 and U+2029 end a line in JavaScript; Go escapes them always.
    if (character == "\xE2\x80\xA8" || character == "\xE2\x80\xA9")
      out_.put(character.back() == '\xA8' ? "\\u2028" : "\\u2029");
    else
      out_.put(length == 0 ? std::string_view("\\ufffd") : character);  // no character: as Go writes it
    return std::max<std::size_t>(length, 1);
  }

  void write_integer(std::int64_t number) {
    constexpr std::size_t kDigitsMax = 24;
    char* to = out_.room(kDigitsMax);
    out_.wrote(static_cast<std::size_t>(std::to_chars(to, to + kDigitsMax, number).ptr - to));
  }

  void new_line(int depth) {
    if (options_.indent == 0) return;
    out_.put('\n');
    out_.put(static_cast<std::size_t>(depth * options_.indent), ' ');
  }

  void write_list(const Value& list, int depth) {
    if (list.empty()) return out_.put("[]");
    out_.put('[');
    bool first = true;
    for (const Value& item : list.items()) {
      if (!first) out_.put(',');
      first = false;
      new_line(depth + 1);
      write(item, depth + 1);
    }
    new_line(depth);
    out_.put(']');
  }

  void write_map(const Value& map, int depth) {
    if (map.empty()) return out_.put("{}");
    out_.put('{');
    bool first = true;
    const auto member = [&](const MapEntry& entry) {
      if (!first) out_.put(',');
      first = false;
      new_line(depth + 1);
      write_string(entry.key);
      out_.put(options_.indent == 0 ? std::string_view(":") : std::string_view(": "));
      write(entry.value, depth + 1);
    };
    if (!options_.sort_keys) {
      for (const MapEntry& entry : map.entries()) member(entry);
    } else {
      std::vector<const MapEntry*> sorted;
      for (const MapEntry& entry : map.entries()) sorted.push_back(&entry);
      std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->key < b->key; });
      for (const MapEntry* entry : sorted) member(*entry);
    }
    new_line(depth);
    out_.put('}');
  }

  Sink out_;
  const WriteOptions& options_;
};

const WriteOptions kCompact;

}  // namespace

std::string write(const Value& value, const WriteOptions& options) {
  std::string out;
  Writer(out, options).write(value, 0);
  return out;
}

void append(std::string& out, const Value& value) {
  Writer(out, kCompact).write(value, 0);
}
void append_string(std::string& out, std::string_view text) {
  Writer(out, kCompact).write_string(text);
}

}  // namespace caisson::json
