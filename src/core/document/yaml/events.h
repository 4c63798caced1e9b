// SPDX-License-Identifier: Apache-2.0
// The events of a YAML stream: what the grammar says, before any scalar has a type. Specification: YAML 1.2.2, chapters
// 6 to 9.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/yaml.h"

namespace caisson::yaml {

enum class EventKind : std::uint8_t {
  document_start,
  document_end,
  map_start,
  map_end,
  list_start,
  list_end,
  scalar,
  alias
};
enum class Style : std::uint8_t { plain, single_quoted, double_quoted, literal, folded, block, flow };

// Few nodes have any, so they stand beside the events, which are many.
struct NodeProperties {
  std::string_view anchor;
  std::string_view tag;  // resolved: "tag:yaml.org,2002:str"; "!" is the non-specific tag
};

struct Event {
  EventKind kind;
  Style style = Style::plain;
  bool is_explicit = false;      // of a document's start or end: "---" or "..." was written
  std::uint32_t offset = 0;      // in Events::text
  std::uint32_t properties = 0;  // in Events::properties; 0: none
  std::string_view value;        // of a scalar; the name of an alias
};

// Views point into `text` and `storage`, so an Events must stay where it is.
struct Events {
  Events() = default;
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;
  const NodeProperties& properties_of(const Event& event) const { return properties[event.properties]; }

  std::string_view text;  // the stream with \n line ends, without byte order mark: most often what the caller gave
  std::string rewritten;  // … unless it had others
  std::deque<std::string> storage;
  std::vector<Event> events;
  std::vector<NodeProperties> properties{1};  // the first says that there are none
};

// `text` must outlive `out`. Errors: bad_request with name, line and column; too_large.
Result<void> parse_events(std::string_view text, const ReadOptions& options, Events& out);
// "deploy.yaml: line 4, column 3: …"
Error error_at(const Events& events, const ReadOptions& options, std::size_t offset, std::string_view message);
// The notation of the YAML test suite, one event a line, without +STR and -STR.
std::string describe(const Events& events);

}  // namespace caisson::yaml
