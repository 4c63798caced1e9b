// SPDX-License-Identifier: Apache-2.0
// From events to Values: anchors, tags, merge keys, duplicate keys, limits.
#include <map>
#include <set>

#include "core/base/encoding.h"
#include "core/document/value_access.h"
#include "core/document/yaml/events.h"
#include "core/document/yaml/resolve.h"

namespace caisson::yaml {
namespace {

using document::MapEntry;

class Composer {
 public:
  Composer(const Events& events, const ReadOptions& options) : events_(events), options_(options) {}

  Result<std::vector<Value>> compose() {
    std::vector<Value> documents;
    while (at_ < events_.events.size()) {
      ++at_;  // document_start
      anchors_.clear();
      documents.push_back(TRY(node()));
      ++at_;  // document_end
    }
    return documents;
  }

 private:
  struct Anchored {
    Value value;
    std::size_t nodes = 0;
  };

  Error failure(const Event& event, std::string_view message) const {
    return error_at(events_, options_, event.offset, message);
  }

  Result<void> count(const Event& event, std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ <= options_.expanded_nodes_max) return {};
    return failure(event, "the document expands to too many nodes");
  }

  Result<Value> node() {
    const Event& event = events_.events[at_++];
    TRY(count(event, 1));
    if (event.kind == EventKind::alias) {
      const auto found = anchors_.find(event.value);
      if (found == anchors_.end()) return failure(event, "unknown anchor \"" + std::string(event.value) + "\"");
      TRY(count(event, found->second.nodes));
      return found->second.value;
    }
    const std::size_t before = nodes_;
    Value value;
    if (event.kind == EventKind::scalar)
      value = TRY(scalar(event));
    else if (event.kind == EventKind::list_start)
      value = TRY(list());
    else
      value = TRY(map());
    if (!event.anchor.empty()) anchors_[event.anchor] = {value, nodes_ - before};
    return value;
  }

  // Lists and maps being read keep what they have on `items_` and `entries_`, the inner ones behind the outer ones'.
  Result<Value> list() {
    const std::size_t start = items_.size();
    while (events_.events[at_].kind != EventKind::list_end) {
      Value item = TRY(node());
      items_.push_back(std::move(item));
    }
    ++at_;
    Value made = document::ValueAccess::list_from(items_.data() + start, items_.size() - start);
    items_.resize(start);
    return made;
  }

  Result<Value> map() {
    const std::size_t start = entries_.size();
    std::vector<std::pair<const Event*, Value>> merged;
    while (events_.events[at_].kind != EventKind::map_end) {
      const Event& key_event = events_.events[at_];
      if (is_merge_key(key_event)) {
        ++at_;
        const Event& from = events_.events[at_];
        merged.emplace_back(&from, TRY(node()));
        continue;
      }
      const std::string_view key = TRY(key_text(key_event));
      Value value = TRY(node());
      entries_.push_back({key, std::move(value)});
      key_events_.push_back(&key_event);
    }
    ++at_;
    const std::size_t count = entries_.size() - start;
    Value made = document::ValueAccess::map_from(entries_.data() + start, count);
    if (options_.duplicate_keys_refused && made.size() != count) return duplicate_key(start);
    entries_.resize(start);
    key_events_.resize(start);
    for (const auto& [from, value] : merged) TRY(merge_into(made, *from, value));
    return made;
  }

  // Names the first key of a map that is there a second time.
  Error duplicate_key(std::size_t start) const {
    std::set<std::string_view> seen;
    std::size_t at = start;
    while (seen.insert(entries_[at].key).second) ++at;
    return failure(*key_events_[at],
                   "the key \"" + std::string(entries_[at].key) + "\" is already defined in this map");
  }

  bool is_merge_key(const Event& event) const {
    if (options_.mode != Mode::go || event.kind != EventKind::scalar) return false;
    return event.tag == "tag:yaml.org,2002:merge" ||
           (event.value == "<<" && event.style == Style::plain && event.tag.empty());
  }

  // What the map has itself wins; of several sources the first.
  Result<void> merge_into(Value& out, const Event& event, const Value& source) {
    if (source.is_map()) {
      TRY(count(event, source.size()));
      for (const MapEntry& entry : source.entries()) {
        if (!out.contains(entry.key)) out.set(entry.key, entry.value);
      }
      return {};
    }
    if (!source.is_list()) return failure(event, "a merge key needs a map or a list of maps as its value");
    for (const Value& item : source.items()) {
      if (!item.is_map()) return failure(event, "a merge key needs a map or a list of maps as its value");
      TRY(merge_into(out, event, item));
    }
    return {};
  }

  // Keys are text, as in JSON: 1: and "1": are one. Interned.
  Result<std::string_view> key_text(const Event& event) {
    const bool quoted = event.style == Style::single_quoted || event.style == Style::double_quoted;
    if (event.kind == EventKind::scalar && event.tag.empty() && event.anchor.empty() &&
        (quoted || is_surely_text(event.value))) {
      TRY(count(event, 1));
      ++at_;
      return document::intern(event.value);
    }
    const Value key = TRY(node());
    if (key.is_map() || key.is_list()) return failure(event, "a map's key must be a scalar");
    if (key.is_null() && options_.old_booleans)  // sigs.k8s.io/yaml has no JSON for it
      return failure(event, "unsupported map key of type: null");
    if (key.is_null() && options_.mode == Mode::go && !event.value.empty()) return document::intern("null");
    return document::intern(key.scalar_text());
  }

  Result<Value> scalar(const Event& event) {
    constexpr std::string_view kPrefix = "tag:yaml.org,2002:";
    if (event.tag.empty()) {
      if (event.style != Style::plain) return Value(event.value);
      if (options_.expands_timestamps) {
        const std::string time = expanded_timestamp(event.value);
        if (!time.empty()) return Value(time);
      }
      return resolve_plain(event.value, options_.mode, options_.old_booleans);
    }
    if (!event.tag.starts_with(kPrefix)) {
      // "!" and tags of others say nothing that JSON could tell: text.
      return Value(event.value);
    }
    const std::string_view type = event.tag.substr(kPrefix.size());
    if (type == "str" || type == "timestamp") return Value(event.value);
    if (type == "binary" && options_.mode == Mode::go) {
      auto bytes = unbase64(event.value);
      if (!bytes.ok()) return failure(event, "a !!binary scalar that is not base64");
      return Value(*bytes);
    }
    const Value resolved = resolve_plain(event.value, options_.mode, options_.old_booleans);
    const bool fits = (type == "int" && resolved.is_int()) || (type == "bool" && resolved.is_bool()) ||
                      (type == "null" && (resolved.is_null() || event.value.empty())) ||
                      (type == "float" && resolved.is_number());
    if (fits && type == "float" && resolved.is_int()) return Value(static_cast<double>(resolved.as_int()));
    if (fits) return resolved;
    if (type == "int" || type == "bool" || type == "null" || type == "float") {
      return failure(event, "cannot read \"" + std::string(event.value) + "\" as !!" + std::string(type));
    }
    return Value(event.value);
  }

  const Events& events_;
  const ReadOptions& options_;
  std::size_t at_ = 0;
  std::size_t nodes_ = 0;
  std::map<std::string_view, Anchored> anchors_;
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
  const std::vector<Value> documents = TRY(read_all(text, options));
  if (documents.empty()) return Value();
  if (documents.size() > 1) {
    const std::string where = options.name.empty() ? "" : options.name + ": ";
    return Error{ErrorCode::bad_request,
                 where + "expected one YAML document, found " + std::to_string(documents.size())};
  }
  return documents.front();
}

}  // namespace caisson::yaml
