// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/manifest_head.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "core/base/text.h"

namespace caisson::render::helm {
namespace {

constexpr std::uint8_t kKey = 1, kPlainStart = 2, kControl = 4, kLetter = 8;

constexpr std::array<std::uint8_t, 256> byte_classes() {
  std::array<std::uint8_t, 256> out{};
  for (unsigned c = 0; c < 0x20; ++c) out[c] = c == '\n' ? 0 : kControl;
  out[0x7F] = kControl;
  for (unsigned c = 0; c < 26; ++c) out['a' + c] = out['A' + c] = kKey | kPlainStart | kLetter;
  for (unsigned c = '0'; c <= '9'; ++c) out[c] = kKey | kPlainStart;
  for (const char c : std::string_view("_/")) out[static_cast<unsigned char>(c)] = kKey | kPlainStart;
  for (const char c : std::string_view(".-")) out[static_cast<unsigned char>(c)] = kKey;
  for (const char c : std::string_view("($^~\\;")) out[static_cast<unsigned char>(c)] = kPlainStart;
  return out;
}
constexpr std::array<std::uint8_t, 256> kClasses = byte_classes();

bool is(char c, std::uint8_t what) {
  return (kClasses[static_cast<unsigned char>(c)] & what) != 0;
}

bool is_known_text(std::string_view document) {
  std::uint8_t seen = 0;
  bool ascii = true;
  for (const char c : document) {
    seen |= kClasses[static_cast<unsigned char>(c)];
    ascii = ascii && static_cast<unsigned char>(c) < 0x80;
  }
  if ((seen & kControl) != 0) return false;
  return ascii || (is_valid_utf8(document) && document.find("\xEF\xBB\xBF") == std::string_view::npos);
}

bool is_end(std::string_view rest) {  // nothing but blanks and a comment
  const std::size_t at = rest.find_first_not_of(' ');
  return at == std::string_view::npos || (at > 0 && rest[at] == '#');
}

// Words that YAML 1.1 reads as something else than text.
bool is_special(std::string_view word) {
  if (word.size() > 5) return false;
  static constexpr std::string_view kWords[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [&](std::string_view one) { return equals_ignoring_case(one, word); });
}

// A value that stands on its key's line.
struct Inline {
  bool known = false;
  bool is_text = false;   // surely a string, which is `text`
  bool is_empty = false;  // {}
  std::string_view text;
};

Inline quoted(std::string_view value) {
  const char mark = value[0];
  bool exact = true;
  std::size_t at = 1;
  for (; at < value.size(); ++at) {
    const bool pair = at + 1 < value.size() && (mark == '"' ? value[at] == '\\' : value.substr(at, 2) == "''");
    if (pair) {
      if (mark == '"' && std::string_view("\"\\/nt").find(value[at + 1]) == std::string_view::npos) return {};
      exact = false;
      ++at;
    } else if (value[at] == mark) {
      break;
    }
  }
  if (at >= value.size() || !is_end(value.substr(at + 1))) return {};
  return {true, exact, false, value.substr(1, at - 1)};
}

Inline plain(std::string_view value) {
  const bool dashed = value[0] == '-' && value.size() > 1 && (is(value[1], kKey) && value[1] != '.');
  if (!dashed && !is(value[0], kPlainStart)) return {};
  value = value.substr(0, value.find(" #"));
  value = value.substr(0, value.find_last_not_of(' ') + 1);
  if (value.find(": ") != std::string_view::npos || value.ends_with(':')) return {};
  return {true, is(value[0], kLetter) && !is_special(value), false, value};
}

bool is_empty_flow(std::string_view value) {
  return (value.starts_with("{}") || value.starts_with("[]")) && is_end(value.substr(2));
}

Inline inline_value(std::string_view value) {
  if (value[0] == '"' || value[0] == '\'') return quoted(value);
  if (is_empty_flow(value)) return {true, false, value[0] == '{', {}};
  return plain(value);
}

// "|", ">" and what may stand behind them, but for an indentation.
bool is_block_header(std::string_view value) {
  if (value[0] != '|' && value[0] != '>') return false;
  const std::size_t signs = value.size() > 1 && (value[1] == '-' || value[1] == '+') ? 2 : 1;
  return is_end(value.substr(signs));
}

class Scan {
 public:
  explicit Scan(std::string_view document) : text_(document) {}

  bool run() {
    while (next_line()) {
      if (!line()) return false;
    }
    return !levels_.empty();
  }
  ManifestHead head;

 private:
  struct Level {
    std::size_t indent;
    bool is_list;
    std::string_view key = {};  // the last one
  };
  static constexpr std::size_t kLevelsMax = 40;

  // The next line with content.
  bool next_line() {
    while (at_ < text_.size()) {
      const std::size_t end = std::min(text_.find('\n', at_), text_.size());
      const std::string_view line = text_.substr(at_, end - at_);
      const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
      if (indent < line.size() && line[indent] != '#') {
        indent_ = indent;
        content_ = line.substr(indent);
        at_ = end + 1;
        return true;
      }
      at_ = end + 1;
    }
    return false;
  }

  static bool is_item(std::string_view content) { return content.starts_with("- "); }

  bool line() {
    if (indent_ == 0 && (content_.starts_with("---") || content_.starts_with("..."))) return false;
    const bool item = is_item(content_);
    if (open_) {
      const bool below = levels_.empty() || indent_ > levels_.back().indent;
      const bool beside = !below && item && indent_ == levels_.back().indent && !levels_.back().is_list;
      open_ = false;
      // What `toYaml` makes of an empty table, below its key.
      if (below && !levels_.empty() && is_empty_flow(content_)) return value(levels_.back().indent, content_);
      if (below || beside) return push(indent_, item) && entry(indent_, content_);
    }
    while (!levels_.empty() && levels_.back().indent > indent_) levels_.pop_back();
    if (!levels_.empty() && levels_.back().is_list && !item) levels_.pop_back();
    if (levels_.empty() || levels_.back().indent != indent_ || levels_.back().is_list != item) return false;
    return entry(indent_, content_);
  }

  bool push(std::size_t indent, bool is_list) {
    if (levels_.size() >= kLevelsMax || !may_nest(is_list)) return false;
    levels_.push_back({indent, is_list});
    return true;
  }

  // What the value may be that begins on the line below its key, as far as Helm asks.
  bool may_nest(bool is_list) const {
    if (levels_.empty()) return !is_list;
    const std::string_view top = levels_[0].key;
    if (levels_.size() == 1) return top != "apiVersion" && top != "kind" && (top != "metadata" || !is_list);
    if (top != "metadata") return true;
    const std::string_view key = levels_[1].key;
    if (levels_.size() == 2) return key != "name" && (key != "annotations" || !is_list);
    return key != "annotations";
  }

  // An item of the innermost list, or a member of the innermost map, at column `indent`.
  bool entry(std::size_t indent, std::string_view content) {
    while (is_item(content)) {
      const std::size_t skipped = content.find_first_not_of(' ', 1);
      if (skipped == std::string_view::npos || content[skipped] == '#') return false;
      content.remove_prefix(skipped);
      const bool item = is_item(content);
      std::string_view key, rest;
      if (!item && !split_key(content, key, rest)) return value(indent, content);
      indent += skipped;
      if (!push(indent, item)) return false;
    }
    std::string_view key, rest;
    if (!split_key(content, key, rest) || !take_key(key)) return false;
    const std::size_t start = rest.find_first_not_of(' ');
    if (start == std::string_view::npos || (start > 0 && rest[start] == '#')) {
      open_ = true;
      return true;
    }
    return value(indent, rest.substr(start));
  }

  // "key: …", "key:".
  static bool split_key(std::string_view content, std::string_view& key, std::string_view& rest) {
    std::size_t end = 0;
    if (content[0] == '"' || content[0] == '\'') {
      const std::size_t close = content.find(content[0], 1);
      if (close == std::string_view::npos) return false;
      key = content.substr(1, close - 1);
      if (key.find_first_of("\\'\"") != std::string_view::npos) return false;
      end = close + 1;
    } else {
      if (!is(content[0], kLetter)) return false;
      while (end < content.size() && is(content[end], kKey)) ++end;
      key = content.substr(0, end);
      if (is_special(key)) return false;
    }
    constexpr std::size_t kKeyBytesMax = 1000;  // go-yaml looks no further for the colon
    if (end >= content.size() || content[end] != ':' || end > kKeyBytesMax) return false;
    rest = content.substr(end + 1);
    return rest.empty() || rest[0] == ' ';
  }

  bool take_key(std::string_view key) {
    levels_.back().key = key;
    if (levels_.size() == 1) {
      return take_once("apiVersion", key, 1) && take_once("kind", key, 2) && take_once("metadata", key, 4);
    }
    if (levels_[0].key != "metadata") return true;
    if (levels_.size() == 2) return take_once("name", key, 8) && take_once("annotations", key, 16);
    return levels_.size() > 3 || levels_[1].key != "annotations" || !key.starts_with("helm.sh/hook");
  }
  bool take_once(std::string_view wanted, std::string_view key, unsigned bit) {
    if (key != wanted) return true;
    const bool is_first = (seen_ & bit) == 0;
    seen_ |= bit;
    return is_first;
  }

  // A value that begins on this line. `indent`: of the list or map that it is in.
  bool value(std::size_t indent, std::string_view text) {
    const bool in_map = !levels_.back().is_list;
    const std::string_view top = levels_[0].key, key = levels_.back().key;
    const bool at_metadata = levels_.size() == 2 && top == "metadata";
    std::string* wanted = nullptr;
    if (in_map && levels_.size() == 1)
      wanted = key == "kind" ? &head.kind : key == "apiVersion" ? &head.api_version : nullptr;
    if (in_map && at_metadata && key == "name") wanted = &head.name;
    const bool must_be_map =
        in_map && ((levels_.size() == 1 && key == "metadata") || (at_metadata && key == "annotations"));
    if (is_block_header(text)) return wanted == nullptr && !must_be_map && skip_block(indent);
    const Inline found = inline_value(text);
    if (!found.known || (wanted != nullptr && !found.is_text)) return false;
    if (must_be_map && !found.is_empty) return false;
    const bool at_annotation = in_map && levels_.size() == 3 && top == "metadata" && levels_[1].key == "annotations";
    if (at_annotation && (found.is_empty || text.starts_with("[]"))) return false;
    if (wanted != nullptr) *wanted = found.text;
    return true;
  }

  // The lines of a block scalar.
  bool skip_block(std::size_t parent) {
    std::size_t block = 0, widest_blank = 0;  // block: its indentation, 0 before its first text
    while (at_ < text_.size()) {
      const std::size_t end = std::min(text_.find('\n', at_), text_.size());
      const std::string_view line = text_.substr(at_, end - at_);
      const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
      const bool blank = indent == line.size();
      if (!blank && block == 0) {
        if (indent <= parent) return true;
        if (widest_blank > indent) return false;
        block = indent;
      }
      if (!blank && indent < block) return true;
      if (blank) widest_blank = std::max(widest_blank, indent);
      at_ = end + 1;
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t indent_ = 0;
  std::string_view content_;
  bool open_ = true;  // a value may begin on the next line: the root's, or that of a key which ended its line
  std::vector<Level> levels_;
  unsigned seen_ = 0;
};

}  // namespace

std::optional<ManifestHead> scan_head(std::string_view document) {
  if (!is_known_text(document)) return std::nullopt;
  Scan scan(document);
  if (!scan.run()) return std::nullopt;
  return std::move(scan.head);
}

}  // namespace caisson::render::helm
