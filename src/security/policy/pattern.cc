// SPDX-License-Identifier: Apache-2.0
#include "security/policy/pattern.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/document/json.h"
#include "security/policy/pattern_tree.h"

namespace caisson::policy {
namespace {

// Why an element does not fit. `skips`: an anchor says that the rule does not speak of it; `own_anchor`: that anchor
// stands on this very map, not below it.
struct Mismatch {
  std::string path, message;
  bool skips = false, own_anchor = false, negation = false;
};
using Outcome = std::optional<Mismatch>;

Mismatch failed(std::string path, std::string message) {
  return {std::move(path), std::move(message)};
}

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
  Outcome element(const Value& resource, const PatternTree& pattern, const Place& place) {
    ++depth_;
    Outcome outcome =
        depth_ > kPatternDepthMax ? failed("", "the pattern is nested too deeply") : dispatch(resource, pattern, place);
    --depth_;
    return outcome;
  }
  // Whether an anchor's key was nowhere in the resource.
  bool keys_are_missing() const {
    return std::any_of(seen_.begin(), seen_.end(), [](const auto& entry) { return !entry.second; });
  }

 private:
  Outcome dispatch(const Value& resource, const PatternTree& pattern, const Place& place) {
    if (pattern.source.is_map()) {
      if (!resource.is_map())
        return failed(place.str(), "pattern and resource have different structures. Path: " + place.str());
      note_anchors(pattern, resource);
      if (!pattern.has_wildcard_keys) return map(resource, pattern, place);
      return map(resource, read_pattern(with_keys_of_resource(pattern.source, resource), depth_), place);
    }
    if (pattern.source.is_list()) {
      if (!resource.is_list())
        return failed(place.str(), "validation rule failed at path " + place.str() +
                                       ", resource does not satisfy the expected overlay pattern");
      return list(resource, pattern, place);
    }
    if (!resource.is_list()) return pattern.scalar.fits(resource) ? Outcome() : mismatch(resource, pattern, place);
    for (const Value& item : resource.items())
      if (!pattern.scalar.fits(item)) return mismatch(resource, pattern, place);
    return {};
  }

  static Outcome mismatch(const Value& resource, const PatternTree& pattern, const Place& place) {
    return failed(place.str(), "resource value '" + shown(resource) + "' does not match '" + shown(pattern.source) +
                                   "' at path " + place.str());
  }

  void note_anchors(const PatternTree& pattern, const Value& resource) {
    for (const PatternEntry& entry : pattern.anchors) {
      if (entry.anchor.kind != AnchorKind::condition && entry.anchor.kind != AnchorKind::existence) continue;
      auto noted = std::find_if(seen_.begin(), seen_.end(), [&](const auto& one) { return one.first == entry.text; });
      if (noted == seen_.end()) noted = seen_.insert(noted, {entry.text, false});
      noted->second = noted->second || has_key(resource, entry.anchor.key);
    }
  }

  Outcome map(const Value& resource, const PatternTree& pattern, const Place& place) {
    if (Outcome outcome = anchored(resource, pattern, place)) return outcome;
    for (const PatternEntry& one : pattern.rest)
      if (Outcome outcome = entry(resource, one, place)) return outcome;
    return {};
  }

  Outcome anchored(const Value& resource, const PatternTree& pattern, const Place& place) {
    std::string skipped;
    bool any_skip = false, own_skip = false;
    int applied = 0;
    for (const PatternEntry& one : pattern.anchors) {
      Outcome outcome = entry(resource, one, place);
      if (!outcome) {
        ++applied;
      } else if (outcome->skips) {
        any_skip = true;
        own_skip = own_skip || outcome->own_anchor;
        skipped += (skipped.empty() ? "" : "; ") + outcome->message;
      } else if (!own_skip) {
        return outcome;
      }
    }
    if (any_skip && (applied == 0 || own_skip)) return Mismatch{place.str(), skipped, true, false, false};
    return {};
  }

  Outcome entry(const Value& resource, const PatternEntry& entry, const Place& place) {
    const Place at{&place, entry.anchor.key};
    const Value* value = resource.find(entry.anchor.key);
    switch (entry.anchor.kind) {
      case AnchorKind::condition:
        if (value == nullptr)
          return Mismatch{at.str(), "conditional anchor mismatch: conditional anchor key doesn't exist in the resource",
                          true, true};
        return conditional(*value, entry.pattern, at, "conditional anchor mismatch: ");
      case AnchorKind::global:
        if (value == nullptr) return {};
        return conditional(*value, entry.pattern, at, "global anchor mismatch: ");
      case AnchorKind::negation:
        if (value == nullptr) return {};
        return Mismatch{at.str(), "negation anchor matched in resource: " + at.str() + " is not allowed", false, false,
                        true};
      case AnchorKind::equality:
        return value == nullptr ? Outcome() : element(*value, entry.pattern, at);
      case AnchorKind::existence:
        return value == nullptr ? Outcome() : existence(*value, entry.pattern, at);
      default:
        break;
    }
    const Value& found = resource[entry.text];
    if (entry.pattern.source.is_string() && entry.pattern.source.as_string() == "*") {
      if (!found.is_null()) return {};
      return failed(place.str(), place.str() + "/" + std::string(entry.text) + " not found");
    }
    return element(found, entry.pattern, Place{&place, entry.text});
  }

  Outcome conditional(const Value& value, const PatternTree& pattern, const Place& at, const char* prefix) {
    const Outcome outcome = element(value, pattern, at);
    if (!outcome) return {};
    return Mismatch{outcome->path, prefix + outcome->message, true, true, false};
  }

  // Each item of the pattern must fit at least one item of the resource.
  Outcome existence(const Value& value, const PatternTree& pattern, const Place& at) {
    if (!value.is_list()) return failed(at.str(), "the anchor ^() can be used only on lists");
    if (!pattern.source.is_list()) return failed(at.str(), "the pattern of ^() must be a list");
    for (const PatternTree& wanted : pattern.items) {
      if (!wanted.source.is_map()) return failed(at.str(), "the pattern of ^() must be a list of maps");
      bool found = false;
      for (std::size_t i = 0; i < value.size() && !found; ++i) found = !element(value[i], wanted, Place{&at, {}, i});
      if (!found) return failed(at.str(), "existence anchor validation failed at path " + at.str());
    }
    return {};
  }

  Outcome list(const Value& resource, const PatternTree& pattern, const Place& place) {
    if (pattern.items.empty()) return failed(place.str(), "pattern Array empty");
    const bool of_maps = pattern.items[0].source.is_map();
    if (!of_maps && !pattern.items[0].source.is_list()) return element(resource, pattern.items[0], place);
    if (!of_maps && resource.size() < pattern.items.size())
      return failed("", "validate Array failed, array length mismatch");
    std::string skipped;
    bool any_skip = false;
    int applied = 0;
    for (std::size_t i = 0; i < (of_maps ? resource.size() : pattern.items.size()); ++i) {
      Outcome outcome = element(resource[i], pattern.items[of_maps ? 0 : i], Place{&place, {}, i});
      if (!outcome) {
        ++applied;
      } else if (outcome->skips) {
        any_skip = true;
        skipped += (skipped.empty() ? "" : "; ") + outcome->message;
      } else {
        return outcome;
      }
    }
    if (applied == 0 && any_skip) return Mismatch{place.str(), skipped, true, false, false};
    return {};
  }

  int depth_ = 0;
  std::vector<std::pair<std::string_view, bool>> seen_;  // conditions and existences: whether their key was met
};

}  // namespace

Pattern::Pattern(const Value& source) : tree_(std::make_shared<const PatternTree>(read_pattern(source))) {}

PatternOutcome Pattern::match(const Value& resource) const {
  using Kind = PatternOutcome::Kind;
  Matcher matcher;
  const Outcome outcome = matcher.element(resource, *tree_, Place());
  if (!outcome) return {};
  if (outcome->skips) return {Kind::skip, "", outcome->message};
  if (outcome->negation) return {Kind::fail, outcome->path, outcome->message};
  if (matcher.keys_are_missing() || outcome->path.empty()) return {Kind::error, "", outcome->message};
  return {Kind::fail, outcome->path, outcome->message};
}

bool Pattern::fits(const Value& resource) const {
  return !Matcher().element(resource, *tree_, Place());
}

PatternOutcome match_pattern(const Value& resource, const Value& pattern) {
  return Pattern(pattern).match(resource);
}

}  // namespace caisson::policy
