// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/duplicate_fields.h"

#include <algorithm>
#include <set>

#include "cluster/store/written_json.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

namespace caisson::apiserver {
namespace {

constexpr std::size_t kDepthMax = 512;
constexpr std::size_t kToldMax = 100;

// Walks over JSON text that a parser has read or is going to refuse: it only has to find names and nesting.
class Walker {
 public:
  explicit Walker(std::string_view text) : text_(text) {}

  std::vector<std::string> run() {
    value("", 0);
    return std::move(found_);
  }

 private:
  void blanks() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool take(char wanted) {
    blanks();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  // The raw text of a string, quotes included; empty when there is none.
  std::string_view string() {
    blanks();
    if (at_ >= text_.size() || text_[at_] != '"') return {};
    const std::size_t start = at_++;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    at_ = std::min(at_ + 1, text_.size());
    return text_.substr(start, at_ - start);
  }
  static std::string plain(std::string_view raw) {
    if (raw.find('\\') == std::string_view::npos) return std::string(raw.substr(1, raw.size() - 2));
    const auto value = json::parse(raw);
    return value.ok() ? value->str() : std::string(raw);
  }

  bool value(const std::string& path, std::size_t depth) {
    blanks();
    if (at_ >= text_.size() || depth > kDepthMax) return false;
    if (text_[at_] == '{') return object(path, depth);
    if (text_[at_] == '[') return list(path, depth);
    if (text_[at_] == '"') return !string().empty();
    const std::size_t start = at_;
    while (at_ < text_.size() && std::string_view(",]} \t\r\n").find(text_[at_]) == std::string_view::npos) ++at_;
    return at_ > start;
  }
  bool object(const std::string& path, std::size_t depth) {
    ++at_;
    if (take('}')) return true;
    std::set<std::string> names;
    do {
      const std::string_view raw = string();
      if (raw.size() < 2 || !take(':')) return false;
      const std::string name = plain(raw), below = path.empty() ? name : path + "." + name;
      if (!names.insert(name).second) tell("duplicate field \"" + below + "\"");
      if (!value(below, depth + 1)) return false;
    } while (take(','));
    return take('}');
  }
  bool list(const std::string& path, std::size_t depth) {
    ++at_;
    if (take(']')) return true;
    std::size_t index = 0;
    do {
      if (!value(path + "[" + std::to_string(index++) + "]", depth + 1)) return false;
    } while (take(','));
    return take(']');
  }
  void tell(std::string text) {
    if (found_.size() < kToldMax && std::find(found_.begin(), found_.end(), text) == found_.end())
      found_.push_back(std::move(text));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::string> found_;
};

std::size_t members_of(const Value& value) {
  std::size_t count = value.is_map() ? value.size() : 0;
  for (const auto& [key, child] : value.entries()) count += members_of(child);
  for (const Value& child : value.items()) count += members_of(child);
  return count;
}

}  // namespace

std::vector<std::string> duplicate_json_fields(std::string_view text, const Value& parsed) {
  if (const std::size_t members = members_of(parsed); members > 0 && members == store::count_members(text)) return {};
  return Walker(text).run();
}

std::vector<std::string> duplicate_yaml_keys(std::string_view text) {
  // The reader names the first one: 'line 4, column 14: the key "a" is already defined in this map'.
  const auto strict = yaml::read(text, {.old_booleans = true});
  if (strict.ok()) return {};
  const std::string& why = strict.error().message;
  const std::size_t key = why.find("the key "), comma = why.find(','), end = why.find(" is already defined");
  if (key == std::string::npos || comma == std::string::npos || end == std::string::npos) return {};
  return {why.substr(0, comma) + ": key " + why.substr(key + 8, end - key - 8) + " already set in map"};
}

}  // namespace caisson::apiserver
