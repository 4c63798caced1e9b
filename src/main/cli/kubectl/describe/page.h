// SPDX-License-Identifier: Apache-2.0
// The page that `describe` prints, and the parts that the pages of many kinds share. Layout and words follow
// kubectl 1.33
// (`kubectl describe`): people read it, and scripts cut it up.
//
// Threads: a page belongs to one thread. Reading values never fails; what is absent prints as kubectl prints it.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::cli::kubectl {

// Lines with cells that end in tabs. `text` aligns them as Go's text/tabwriter does (two blanks between columns): a
// column is a run of neighbouring lines that have that cell, so a line without it ends the column.
class Page {
 public:
  // Appends `text`, indented by two blanks for each level; line ends are in the text.
  void put(int level, std::string_view text);
  // "NAME:<tab>VALUE".
  void field(int level, std::string_view name, std::string_view value);
  // Columns after this do not line up with those before.
  void flush();

  const std::string& raw() const { return text_; }
  std::string text() const;

 private:
  std::string text_;
  std::vector<std::size_t> flushes_;  // offsets into text_
};
std::string align_cells(std::string_view text);

// What a page may ask beside its object: other objects by path (errors: those of the request), and the time.
struct Related {
  std::function<Result<Value>(const std::string& path)> get;
  Time now;
};
// The items of a list; none when it cannot be had, as where the reader may not list it.
std::vector<Value> items_at(const Related& related, const std::string& path);

// --- shared parts

void put_labels(Page& page, std::string_view title, const Value& labels);  // "Labels:<tab>a=b", one a line; <none>
void put_annotations(Page& page, std::string_view title, const Value& annotations);
void put_tolerations(Page& page, std::string_view title, const Value& tolerations);
void put_name(Page& page, const Value& object, bool with_namespace);  // Name, Namespace
void put_metadata(Page& page, const Value& object);                   // Labels, Annotations
void put_controller(Page& page, const Value& object);                 // "Controlled By:", when there is one
void put_pod_counts(Page& page, const std::vector<Value>& pods);      // "Pods Status:"
void put_conditions(Page& page, const Value& conditions);             // Type, Status, Reason
void put_table_rule(Page& page, int level, const std::vector<std::string_view>& headers);  // headers and their dashes
// The events about the object, oldest first; "<none>".
void put_events(Page& page, const Value& object, const Related& related);

// --- texts

std::string or_none(std::string_view text);                            // "<none>" for nothing
std::string selector_text(const Value& label_selector);                // "a=b,c in (d,e)"; "<none>"
std::string labels_text(const Value& labels);                          // "a=b,c=d"; "<none>"
std::string list_text(const Value& list, std::string_view separator);  // "a,b"
std::string go_list(const Value& list);                                // "[a b]"
std::string long_time(const Value& time);                              // "Mon, 02 Jan 2006 15:04:05 -0700"
std::string since(const Value& time, Time now);                        // "3m20s"; "<unknown>"
std::string scalar_or(const Value& value, std::string_view otherwise);
std::string bool_text(bool value);  // "True", "False"
std::vector<std::string> sorted_keys(const Value& map);
std::vector<Value> owned_pods(const Value& owner, const Related& related);  // of the owner's namespace, by controller

}  // namespace caisson::cli::kubectl
