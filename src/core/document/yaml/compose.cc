// SPDX-License-Identifier: Apache-2.0
// From events to Values: anchors, tags, merge keys, duplicate keys, limits.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/base/encoding.h"
#include "core/document/json.h"
#include "core/document/value_access.h"
#include "core/document/yaml/events.h"
#include "core/document/yaml/resolve.h"

namespace caisson::yaml {
namespace {

using document::MapEntry;

std::string_view short_tag(ValueKind kind) {
  switch (kind) {
    case ValueKind::null:
      return "!!null";
    case ValueKind::boolean:
      return "!!bool";
    case ValueKind::integer:
      return "!!int";
    case ValueKind::floating:
      return "!!float";
    default:
      return "!!str";
  }
}

// An error is kept and the functions give false, so that the way of every node is short.
class Composer {
 public:
  Composer(const Events& events, const ReadOptions& options) : events_(events), options_(options) {}

  Result<std::vector<Value>> compose() {
    std::vector<Value> documents;
    while (at_ < events_.events.size()) {
      ++at_;  // document_start
      anchors_.clear();
      open_anchors_.clear();
      if (!node(documents.emplace_back())) return *std::move(error_);
      ++at_;  // document_end
    }
    return documents;
  }

 private:
  struct Anchored {
    Value value;
    std::size_t nodes = 0;
  };
  struct Merge {
    const Event* event;
    Value source;
  };

  bool fail(const Event& event, std::string_view message) {
    error_ = error_at(events_, options_, event.offset, message);
    return false;
  }

  bool count(const Event& event, std::size_t nodes) {
    nodes_ += nodes;
    return nodes_ <= options_.expanded_nodes_max || fail(event, "the document expands to too many nodes");
  }

  bool node(Value& out) {
    const Event& event = events_.events[at_++];
    if (!count(event, 1)) return false;
    const std::size_t before = nodes_;
    const std::string_view anchor = events_.properties_of(event).anchor;
    if (!anchor.empty()) open_anchors_.push_back(anchor);
    switch (event.kind) {
      case EventKind::alias:
        return alias(event, out);
      case EventKind::scalar:
        if (!scalar(event, out)) return false;
        break;
      case EventKind::list_start:
        if (!list(out)) return false;
        break;
      default:
        if (!map(out)) return false;
    }
    if (!anchor.empty()) {
      open_anchors_.pop_back();
      anchors_[anchor] = {out, nodes_ - before};
    }
    return true;
  }

  bool alias(const Event& event, Value& out) {
    if (std::find(open_anchors_.begin(), open_anchors_.end(), event.value) != open_anchors_.end())
      return fail(event, "the anchor \"" + std::string(event.value) + "\" holds itself");
    const auto found = anchors_.find(event.value);
    if (found == anchors_.end()) return fail(event, "unknown anchor \"" + std::string(event.value) + "\"");
    out = found->second.value;
    return count(event, found->second.nodes);
  }

  // Lists and maps being read keep what they have on `items_` and `entries_`, the inner ones behind the outer ones'.
  bool list(Value& out) {
    const std::size_t start = items_.size();
    while (events_.events[at_].kind != EventKind::list_end) {
      Value item;
      if (!node(item)) return false;
      items_.push_back(std::move(item));
    }
    ++at_;
    out = document::ValueAccess::list_from(items_.data() + start, items_.size() - start);
    items_.resize(start);
    return true;
  }

  bool map(Value& out) {
    const std::size_t start = entries_.size();
    std::vector<Merge> merges;
    while (events_.events[at_].kind != EventKind::map_end) {
      const Event& key_event = events_.events[at_];
      Value value;
      if (is_merge_key(key_event)) {
        const Event& from = events_.events[++at_];
        if (!node(value)) return false;
        merges.push_back({&from, std::move(value)});
        continue;
      }
      std::string_view key;
      if (!key_text(key_event, key)) return false;
      const bool has_no_text = std::exchange(null_key_, false);
      if (!node(value)) return false;
      if (has_no_text) return fail(key_event, "unsupported map key of type: null, value: " + json::write(value));
      entries_.push_back({key, std::move(value)});
      key_events_.push_back(&key_event);
    }
    ++at_;
    const std::size_t count = entries_.size() - start;
    out = document::ValueAccess::map_from(entries_.data() + start, count);
    if (options_.duplicate_keys_refused && out.size() != count) return fail_at_duplicate_key(start);
    entries_.resize(start);
    key_events_.resize(start);
    for (const Merge& merge : merges) {
      if (!merge_into(out, *merge.event, merge.source)) return false;
    }
    return true;
  }

  // Names the first key of a map that is there a second time.
  bool fail_at_duplicate_key(std::size_t start) {
    std::set<std::string_view> seen;
    std::size_t at = start;
    while (seen.insert(entries_[at].key).second) ++at;
    return fail(*key_events_[at], "the key \"" + std::string(entries_[at].key) + "\" is already defined in this map");
  }

  bool is_merge_key(const Event& event) const {
    if (options_.mode != Mode::go || event.kind != EventKind::scalar) return false;
    const std::string_view tag = events_.properties_of(event).tag;
    return tag == "tag:yaml.org,2002:merge" || (event.value == "<<" && event.style == Style::plain && tag.empty());
  }

  // What the map has itself wins; of several sources the first.
  bool merge_into(Value& out, const Event& event, const Value& source) {
    if (source.is_map()) {
      if (!count(event, source.size())) return false;
      for (const MapEntry& entry : source.entries()) {
        if (!out.contains(entry.key)) out.set(entry.key, entry.value);
      }
      return true;
    }
    constexpr std::string_view kWanted = "a merge key needs a map or a list of maps as its value";
    if (!source.is_list()) return fail(event, kWanted);
    for (const Value& item : source.items()) {
      if (!item.is_map()) return fail(event, kWanted);
      if (!merge_into(out, event, item)) return false;
    }
    return true;
  }

  // Keys are text, as in JSON: 1: and "1": are one. Interned.
  bool key_text(const Event& event, std::string_view& out) {
    const bool quoted = event.style == Style::single_quoted || event.style == Style::double_quoted;
    if (event.kind == EventKind::scalar && event.properties == 0 && (quoted || is_surely_text(event.value))) {
      ++at_;
      out = document::intern(event.value);
      return count(event, 1);
    }
    Value key;
    if (!node(key)) return false;
    if (key.is_map() || key.is_list()) return fail(event, "a map's key must be a scalar: " + json::write(key));
    if (key.is_null() && options_.old_booleans) null_key_ = true;  // sigs.k8s.io/yaml has no JSON for it
    const bool spelt_null = key.is_null() && options_.mode == Mode::go && !event.value.empty();
    out = document::intern(spelt_null ? "null" : key.scalar_text());
    return true;
  }

  bool scalar(const Event& event, Value& out) {
    const std::string_view tag = events_.properties_of(event).tag;
    if (!tag.empty()) return tagged_scalar(event, tag, out);
    if (event.style != Style::plain) {
      out = Value(event.value);
      return true;
    }
    if (options_.expands_timestamps) {
      const std::string time = expanded_timestamp(event.value);
      if (!time.empty()) {
        out = Value(time);
        return true;
      }
    }
    out = resolve_plain(event.value, options_.mode, options_.old_booleans);
    return true;
  }

  bool tagged_scalar(const Event& event, std::string_view tag, Value& out) {
    constexpr std::string_view kPrefix = "tag:yaml.org,2002:";
    out = Value(event.value);
    // "!" and tags of others say nothing that JSON could tell: text.
    if (!tag.starts_with(kPrefix)) return true;
    const std::string_view type = tag.substr(kPrefix.size());
    if (type == "str" || type == "timestamp") return true;
    if (type == "binary" && options_.mode == Mode::go) {
      auto bytes = unbase64(event.value);
      if (!bytes.ok()) return fail(event, "a !!binary scalar that is not base64");
      out = Value(*bytes);
      return true;
    }
    const Value resolved = resolve_plain(event.value, options_.mode, options_.old_booleans);
    const bool fits = (type == "int" && resolved.is_int()) || (type == "bool" && resolved.is_bool()) ||
                      (type == "null" && (resolved.is_null() || event.value.empty())) ||
                      (type == "float" && resolved.is_number());
    if (fits) {
      out = type == "float" && resolved.is_int() ? Value(static_cast<double>(resolved.as_int())) : resolved;
      return true;
    }
    if (type == "int" || type == "bool" || type == "null" || type == "float")
      return fail(event, "cannot read " + std::string(short_tag(resolved.kind())) + " \"" + std::string(event.value) +
                             "\" as !!" + std::string(type));
    return true;
  }

  const Events& events_;
  const ReadOptions& options_;
  std::optional<Error> error_;
  std::size_t at_ = 0;
  std::size_t nodes_ = 0;
  std::map<std::string_view, Anchored> anchors_;
  std::vector<std::string_view> open_anchors_;  // of the nodes that are being read
  bool null_key_ = false;                       // the last key read, which has no text
  std::vector<Value> items_;
  std::vector<MapEntry> entries_;
  std::vector<const Event*> key_events_;  // of each of entries_
};

}  // namespace

Result<std::vector<Value>> read_all(std::string_view text, const ReadOptions& options) {
  Events events;
  TRY(parse_events(text, options, events));
  return Composer(events, options).compose();
}

Result<Value> read(std::string_view text, const ReadOptions& options) {
  std::vector<Value> documents = TRY(read_all(text, options));
  if (documents.empty()) return Value();
  if (documents.size() > 1) {
    const std::string where = options.name.empty() ? "" : options.name + ": ";
    return Error{ErrorCode::bad_request,
                 where + "expected one YAML document, found " + std::to_string(documents.size())};
  }
  return std::move(documents.front());
}

}  // namespace caisson::yaml
