// SPDX-License-Identifier: Apache-2.0
#include "security/policy/pattern.h"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/document/json.h"
#include "security/policy/pattern_tree.h"

namespace caisson::policy {
namespace {

// `skips`: an anchor says that the rule does not speak of the element; `own_anchor`: that anchor stands on this very
// map, not below it.
struct Verdict {
  bool fits = true, skips = false, own_anchor = false, negation = false;
};

// Why an element does not fit.
struct Words {
  std::string path, message;
};

std::string shown(const Value& value) {
  return value.is_string() ? value.str() : json::write(value);
}

bool has_key(const Value& resource, std::string_view key) {
  if (resource.is_map()) return resource.contains(key);
  return std::any_of(resource.items().begin(), resource.items().end(),
                     [&](const Value& item) { return has_key(item, key); });
}

// Where in the resource and the pattern a match is; written only when something is said of it.
struct Place {
  const Place* up = nullptr;
  std::string_view key;
  std::size_t index = 0;  // of a list, where `key` is empty

  std::string str() const {
    if (up == nullptr) return "/";
    return up->str() + (key.data() == nullptr ? std::to_string(index) : std::string(key)) + "/";
  }
};

class Matcher {
 public:
  // `words`: where to say why; null when nobody asks, which costs no text then.
  explicit Matcher(Words* words) : words_(words) {}

  Verdict element(const Value& resource, const PatternTree& pattern, const Place& place) {
    ++depth_;
    const Verdict verdict = depth_ > kPatternDepthMax
                                ? failed(nullptr, [] { return "the pattern is nested too deeply"; })
                                : dispatch(resource, pattern, place);
    --depth_;
    return verdict;
  }
  // Whether an anchor's key was nowhere in the resource.
  bool keys_are_missing() const {
    return std::any_of(seen_.begin(), seen_.end(), [](const auto& entry) { return !entry.second; });
  }

 private:
  template <class Message>  // () -> text
  void say(const Place* place, const Message& message) const {
    if (words_ != nullptr) *words_ = {place != nullptr ? place->str() : "", std::string(message())};
  }
  template <class Message>
  Verdict failed(const Place* place, const Message& message) const {
    say(place, message);
    return {.fits = false};
  }
  Verdict skipped(const Place& place, const std::string& why) const {
    say(&place, [&] { return why; });
    return {.fits = false, .skips = true};
  }
  void append_message(std::string& messages) const {
    if (words_ != nullptr) messages += (messages.empty() ? "" : "; ") + words_->message;
  }

  Verdict dispatch(const Value& resource, const PatternTree& pattern, const Place& place) {
    const ValueKind kind = resource.kind();
    if (pattern.kind == ValueKind::map) {
      if (kind != ValueKind::map)
        return failed(&place, [&] { return "pattern and resource have different structures. Path: " + place.str(); });
      if (words_ != nullptr) note_anchors(pattern, resource);
      if (!pattern.has_wildcard_keys) return map(resource, pattern, place);
      return map(resource, read_pattern(with_keys_of_resource(pattern.source, resource), depth_), place);
    }
    if (pattern.kind == ValueKind::list) {
      if (kind != ValueKind::list)
        return failed(&place, [&] {
          return "validation rule failed at path " + place.str() +
                 ", resource does not satisfy the expected overlay pattern";
        });
      return list(resource, pattern, place);
    }
    if (kind != ValueKind::list) return pattern.scalar.fits(resource) ? Verdict() : mismatch(resource, pattern, place);
    for (const Value& item : resource.items())
      if (!pattern.scalar.fits(item)) return mismatch(resource, pattern, place);
    return {};
  }

  Verdict mismatch(const Value& resource, const PatternTree& pattern, const Place& place) const {
    return failed(&place, [&] {
      return "resource value '" + shown(resource) + "' does not match '" + shown(pattern.source) + "' at path " +
             place.str();
    });
  }

  void note_anchors(const PatternTree& pattern, const Value& resource) {
    for (const PatternEntry& entry : pattern.anchors) {
      if (entry.anchor.kind != AnchorKind::condition && entry.anchor.kind != AnchorKind::existence) continue;
      auto noted = std::find_if(seen_.begin(), seen_.end(), [&](const auto& one) { return one.first == entry.text; });
      if (noted == seen_.end()) noted = seen_.insert(noted, {entry.text, false});
      noted->second = noted->second || has_key(resource, entry.anchor.key);
    }
  }

  Verdict map(const Value& resource, const PatternTree& pattern, const Place& place) {
    if (!pattern.anchors.empty())
      if (const Verdict verdict = anchored(resource, pattern, place); !verdict.fits) return verdict;
    for (const PatternEntry& one : pattern.rest)
      if (const Verdict verdict = entry(resource, one, place); !verdict.fits) return verdict;
    return {};
  }

  Verdict anchored(const Value& resource, const PatternTree& pattern, const Place& place) {
    std::string why;
    bool any_skip = false, own_skip = false;
    int applied = 0;
    for (const PatternEntry& one : pattern.anchors) {
      const Verdict verdict = entry(resource, one, place);
      if (verdict.fits) {
        ++applied;
      } else if (verdict.skips) {
        any_skip = true;
        own_skip = own_skip || verdict.own_anchor;
        append_message(why);
      } else if (!own_skip) {
        return verdict;
      }
    }
    if (any_skip && (applied == 0 || own_skip)) return skipped(place, why);
    return {};
  }

  Verdict entry(const Value& resource, const PatternEntry& entry, const Place& place) {
    const Place at{&place, entry.anchor.key};
    const Value* value = resource.find(entry.anchor.key);
    switch (entry.anchor.kind) {
      case AnchorKind::condition:
        if (value == nullptr) {
          say(&at, [] { return "conditional anchor mismatch: conditional anchor key doesn't exist in the resource"; });
          return {.fits = false, .skips = true, .own_anchor = true};
        }
        return conditional(*value, entry.pattern, at, "conditional anchor mismatch: ");
      case AnchorKind::global:
        if (value == nullptr) return {};
        return conditional(*value, entry.pattern, at, "global anchor mismatch: ");
      case AnchorKind::negation:
        if (value == nullptr) return {};
        say(&at, [&] { return "negation anchor matched in resource: " + at.str() + " is not allowed"; });
        return {.fits = false, .negation = true};
      case AnchorKind::equality:
        return value == nullptr ? Verdict() : element(*value, entry.pattern, at);
      case AnchorKind::existence:
        return value == nullptr ? Verdict() : existence(*value, entry.pattern, at);
      case AnchorKind::add_if_not_present:
        value = resource.find(entry.text);  // an anchor of patches: here a key like any other
        break;
      case AnchorKind::none:
        break;
    }
    const Value& found = value != nullptr ? *value : document::kNull;
    if (entry.wants_any) {
      if (!found.is_null()) return {};
      return failed(&place, [&] { return place.str() + "/" + std::string(entry.text) + " not found"; });
    }
    return element(found, entry.pattern, Place{&place, entry.text});
  }

  Verdict conditional(const Value& value, const PatternTree& pattern, const Place& at, const char* prefix) {
    if (element(value, pattern, at).fits) return {};
    if (words_ != nullptr) words_->message.insert(0, prefix);
    return {.fits = false, .skips = true, .own_anchor = true};
  }

  // Each item of the pattern must fit at least one item of the resource.
  Verdict existence(const Value& value, const PatternTree& pattern, const Place& at) {
    if (!value.is_list()) return failed(&at, [] { return "the anchor ^() can be used only on lists"; });
    if (pattern.kind != ValueKind::list) return failed(&at, [] { return "the pattern of ^() must be a list"; });
    for (const PatternTree& wanted : pattern.items) {
      if (wanted.kind != ValueKind::map) return failed(&at, [] { return "the pattern of ^() must be a list of maps"; });
      bool found = false;
      for (std::size_t i = 0; i < value.size() && !found; ++i)
        found = element(value[i], wanted, Place{&at, {}, i}).fits;
      if (!found) return failed(&at, [&] { return "existence anchor validation failed at path " + at.str(); });
    }
    return {};
  }

  Verdict list(const Value& resource, const PatternTree& pattern, const Place& place) {
    if (pattern.items.empty()) return failed(&place, [] { return "pattern Array empty"; });
    const bool of_maps = pattern.items[0].kind == ValueKind::map;
    if (!of_maps && pattern.items[0].kind != ValueKind::list) return element(resource, pattern.items[0], place);
    const std::span<const Value> items = resource.items();
    if (!of_maps && items.size() < pattern.items.size())
      return failed(nullptr, [] { return "validate Array failed, array length mismatch"; });
    std::string why;
    bool any_skip = false;
    int applied = 0;
    for (std::size_t i = 0; i < (of_maps ? items.size() : pattern.items.size()); ++i) {
      const Verdict verdict = element(items[i], pattern.items[of_maps ? 0 : i], Place{&place, {}, i});
      if (verdict.fits) {
        ++applied;
      } else if (verdict.skips) {
        any_skip = true;
        append_message(why);
      } else {
        return verdict;
      }
    }
    if (applied == 0 && any_skip) return skipped(place, why);
    return {};
  }

  Words* words_;
  int depth_ = 0;
  std::vector<std::pair<std::string_view, bool>> seen_;  // conditions and existences: whether their key was met
};

}  // namespace

Pattern::Pattern(const Value& source) : tree_(std::make_shared<const PatternTree>(read_pattern(source))) {}

PatternOutcome Pattern::match(const Value& resource) const {
  using Kind = PatternOutcome::Kind;
  Words words;
  Matcher matcher(&words);
  const Verdict verdict = matcher.element(resource, *tree_, Place());
  if (verdict.fits) return {};
  if (verdict.skips) return {Kind::skip, "", words.message};
  const bool is_error = !verdict.negation && (matcher.keys_are_missing() || words.path.empty());
  if (is_error) return {Kind::error, "", words.message};
  return {Kind::fail, words.path, words.message};
}

bool Pattern::fits(const Value& resource) const {
  return Matcher(nullptr).element(resource, *tree_, Place()).fits;
}

PatternOutcome match_pattern(const Value& resource, const Value& pattern) {
  return Pattern(pattern).match(resource);
}

}  // namespace caisson::policy
