// SPDX-License-Identifier: Apache-2.0
#include "security/policy/pattern.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/document/json.h"
#include "core/expr/jmespath/wildcard.h"
#include "security/policy/anchor.h"
#include "security/policy/scalar_pattern.h"

namespace caisson::policy {
namespace {

constexpr int kDepthMax = 200;

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

bool has_nested_anchors(const Value& pattern) {
  for (const auto& entry : pattern.entries()) {
    const AnchorKind kind = parse_anchor(entry.key).kind;
    if (kind != AnchorKind::none && kind != AnchorKind::add_if_not_present) return true;
    if (has_nested_anchors(entry.value)) return true;
  }
  return std::any_of(pattern.items().begin(), pattern.items().end(), has_nested_anchors);
}

// Wildcards in the keys of labels and annotations become the resource's keys that they fit.
Value with_keys_of(const Value& pattern, const Value& resource) {
  Value out = Value::map();
  for (const auto& entry : pattern.entries()) {
    if (!entry.value.is_string()) continue;
    const Anchor anchor = parse_anchor(entry.key);
    std::string key(entry.key);
    if (jmespath::has_wildcard(anchor.key)) {
      for (const auto& candidate : resource.entries()) {
        if (!candidate.value.is_string() || !jmespath::wildcard_match(anchor.key, candidate.key)) continue;
        key = anchor.kind == AnchorKind::none
                  ? std::string(candidate.key)
                  : std::string(anchor_sign(anchor.kind)) + "(" + std::string(candidate.key) + ")";
        break;
      }
    }
    out.set(key, entry.value);
  }
  return out;
}

std::optional<std::string> key_of(const Value& pattern, std::string_view name) {
  for (const auto& entry : pattern.entries())
    if (parse_anchor(entry.key).key == name) return std::string(entry.key);
  return {};
}

Value with_metadata_keys(const Value& pattern, const Value& resource) {
  const auto metadata_key = key_of(pattern, "metadata");
  if (!metadata_key || !pattern[*metadata_key].is_map() || !resource["metadata"].is_map()) return pattern;
  Value metadata = pattern[*metadata_key];
  for (const char* tag : {"labels", "annotations"}) {
    const auto key = key_of(metadata, tag);
    if (!key || !metadata[*key].is_map() || !resource["metadata"][tag].is_map()) continue;
    metadata.set(*key, with_keys_of(metadata[*key], resource["metadata"][tag]));
  }
  Value out = pattern;
  out.set(*metadata_key, metadata);
  return out;
}

class Matcher {
 public:
  Outcome element(const Value& resource, const Value& pattern, const std::string& path) {
    if (++depth_ > kDepthMax) return failed("", "the pattern is nested too deeply");
    Outcome outcome = dispatch(resource, pattern, path);
    --depth_;
    return outcome;
  }
  // Whether an anchor's key was nowhere in the resource.
  bool keys_are_missing() const {
    return std::any_of(seen_.begin(), seen_.end(), [](const auto& entry) { return !entry.second; });
  }

 private:
  Outcome dispatch(const Value& resource, const Value& pattern, const std::string& path) {
    if (pattern.is_map()) {
      if (!resource.is_map()) return failed(path, "pattern and resource have different structures. Path: " + path);
      note_anchors(pattern, resource);
      return map(resource, pattern, path);
    }
    if (pattern.is_list()) {
      if (!resource.is_list())
        return failed(path, "validation rule failed at path " + path +
                                ", resource does not satisfy the expected overlay pattern");
      return list(resource, pattern, path);
    }
    const auto mismatch = [&] {
      return failed(path,
                    "resource value '" + shown(resource) + "' does not match '" + shown(pattern) + "' at path " + path);
    };
    if (resource.is_list()) {
      for (const Value& item : resource.items())
        if (!scalar_fits(item, pattern)) return mismatch();
      return {};
    }
    if (!scalar_fits(resource, pattern)) return mismatch();
    return {};
  }

  void note_anchors(const Value& pattern, const Value& resource) {
    for (const auto& entry : pattern.entries()) {
      const Anchor anchor = parse_anchor(entry.key);
      if (anchor.kind != AnchorKind::condition && anchor.kind != AnchorKind::existence) continue;
      bool& seen = seen_[std::string(entry.key)];
      seen = seen || has_key(resource, anchor.key);
    }
  }

  Outcome map(const Value& resource, const Value& given, const std::string& path) {
    const Value pattern = with_metadata_keys(given, resource);
    std::vector<std::string_view> anchors, others;
    for (const auto& entry : pattern.entries()) {
      const AnchorKind kind = parse_anchor(entry.key).kind;
      const bool first =
          kind != AnchorKind::none && kind != AnchorKind::global && kind != AnchorKind::add_if_not_present;
      (first ? anchors : others).push_back(entry.key);
    }
    if (Outcome outcome = anchored(resource, pattern, std::move(anchors), path)) return outcome;
    return rest(resource, pattern, std::move(others), path);
  }

  Outcome anchored(const Value& resource, const Value& pattern, std::vector<std::string_view> keys,
                   const std::string& path) {
    std::sort(keys.begin(), keys.end());
    std::string skipped;
    bool any_skip = false, own_skip = false;
    int applied = 0;
    for (const std::string_view key : keys) {
      Outcome outcome = entry(resource, key, pattern[key], path);
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
    if (any_skip && (applied == 0 || own_skip)) return Mismatch{path, skipped, true, false, false};
    return {};
  }

  // Maps with anchors below come first, and global anchors before everything, so that they decide before a mismatch
  // does.
  Outcome rest(const Value& resource, const Value& pattern, std::vector<std::string_view> keys,
               const std::string& path) {
    std::sort(keys.begin(), keys.end());
    std::vector<std::string_view> ordered;
    for (const std::string_view key : keys) {
      const bool first = parse_anchor(key).kind == AnchorKind::global || has_nested_anchors(pattern[key]);
      ordered.insert(first ? ordered.begin() : ordered.end(), key);
    }
    for (const std::string_view key : ordered)
      if (Outcome outcome = entry(resource, key, pattern[key], path)) return outcome;
    return {};
  }

  Outcome entry(const Value& resource, std::string_view text, const Value& pattern, const std::string& path) {
    const Anchor anchor = parse_anchor(text);
    const std::string at = path + std::string(anchor.key) + "/";
    const Value* value = resource.find(anchor.key);
    switch (anchor.kind) {
      case AnchorKind::condition:
        if (value == nullptr)
          return Mismatch{at, "conditional anchor mismatch: conditional anchor key doesn't exist in the resource", true,
                          true};
        return conditional(*value, pattern, at, "conditional anchor mismatch: ");
      case AnchorKind::global:
        if (value == nullptr) return {};
        return conditional(*value, pattern, at, "global anchor mismatch: ");
      case AnchorKind::negation:
        if (value == nullptr) return {};
        return Mismatch{at, "negation anchor matched in resource: " + at + " is not allowed", false, false, true};
      case AnchorKind::equality:
        return value == nullptr ? Outcome() : element(*value, pattern, at);
      case AnchorKind::existence:
        return value == nullptr ? Outcome() : existence(*value, pattern, at);
      default:
        break;
    }
    const std::string here = path + std::string(text) + "/";
    const Value& found = resource[text];
    if (pattern.is_string() && pattern.as_string() == "*")
      return found.is_null() ? Outcome(failed(path, path + "/" + std::string(text) + " not found")) : Outcome();
    return element(found, pattern, here);
  }

  Outcome conditional(const Value& value, const Value& pattern, const std::string& at, const char* prefix) {
    const Outcome outcome = element(value, pattern, at);
    if (!outcome) return {};
    return Mismatch{outcome->path, prefix + outcome->message, true, true, false};
  }

  // Each item of the pattern must fit at least one item of the resource.
  Outcome existence(const Value& value, const Value& pattern, const std::string& at) {
    if (!value.is_list()) return failed(at, "the anchor ^() can be used only on lists");
    if (!pattern.is_list()) return failed(at, "the pattern of ^() must be a list");
    for (const Value& wanted : pattern.items()) {
      if (!wanted.is_map()) return failed(at, "the pattern of ^() must be a list of maps");
      bool found = false;
      for (std::size_t i = 0; i < value.size() && !found; ++i)
        found = !element(value[i], wanted, at + std::to_string(i) + "/");
      if (!found) return failed(at, "existence anchor validation failed at path " + at);
    }
    return {};
  }

  Outcome list(const Value& resource, const Value& pattern, const std::string& path) {
    if (pattern.empty()) return failed(path, "pattern Array empty");
    if (!pattern[0].is_map() && !pattern[0].is_list()) return element(resource, pattern[0], path);
    const bool of_maps = pattern[0].is_map();
    if (!of_maps && resource.size() < pattern.size()) return failed("", "validate Array failed, array length mismatch");
    std::string skipped;
    bool any_skip = false;
    int applied = 0;
    for (std::size_t i = 0; i < (of_maps ? resource.size() : pattern.size()); ++i) {
      Outcome outcome = element(resource[i], of_maps ? pattern[0] : pattern[i], path + std::to_string(i) + "/");
      if (!outcome) {
        ++applied;
      } else if (outcome->skips) {
        any_skip = true;
        skipped += (skipped.empty() ? "" : "; ") + outcome->message;
      } else {
        return outcome;
      }
    }
    if (applied == 0 && any_skip) return Mismatch{path, skipped, true, false, false};
    return {};
  }

  int depth_ = 0;
  std::map<std::string, bool> seen_;
};

}  // namespace

PatternOutcome match_pattern(const Value& resource, const Value& pattern) {
  using Kind = PatternOutcome::Kind;
  Matcher matcher;
  const Outcome outcome = matcher.element(resource, pattern, "/");
  if (!outcome) return {};
  if (outcome->skips) return {Kind::skip, "", outcome->message};
  if (outcome->negation) return {Kind::fail, outcome->path, outcome->message};
  if (matcher.keys_are_missing() || outcome->path.empty()) return {Kind::error, "", outcome->message};
  return {Kind::fail, outcome->path, outcome->message};
}

}  // namespace caisson::policy
