// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/editable.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/document/yaml.h"
#include "delivery/render/kustomize/edit_lines.h"
#include "delivery/render/kustomize/fields.h"

namespace caisson::render {

using namespace kustomize_impl;

namespace {

// The key that a line in the first column begins with; empty: none.
std::string_view key_of(std::string_view line) {
  if (line.empty() || line[0] == ' ' || line[0] == '-' || line[0] == '\t') return {};
  const std::size_t colon = line.find(':');
  return colon == std::string_view::npos ? std::string_view() : line.substr(0, colon);
}

void move_charts(Value& fields) {
  const Value old = fields["helmChartInflationGenerator"];
  fields.erase("helmChartInflationGenerator");
  Value globals = Value::map();
  for (const Value& one : old.items()) {
    fields.edit("helmCharts").push_back(modern_chart(one));
    if (!one["helmHome"].as_string().empty()) globals.set("configHome", one["helmHome"]);
    if (!one["chartHome"].as_string().empty()) globals.set("chartHome", one["chartHome"]);
  }
  if (fields["helmGlobals"].is_null() && !globals.empty()) fields.set("helmGlobals", std::move(globals));
}

void complete(Value& fields) {
  if (fields["kind"].as_string().empty()) fields.set("kind", "Kustomization");
  const bool component = fields["kind"].as_string() == "Component";
  if (fields["apiVersion"].as_string().empty())
    fields.set("apiVersion", component ? "kustomize.config.k8s.io/v1alpha1" : "kustomize.config.k8s.io/v1beta1");
}

}  // namespace

Result<EditableKustomization> EditableKustomization::parse(std::string_view text, const std::string& file) {
  EditableKustomization made;
  const yaml::ReadOptions options{.name = file, .old_booleans = true, .duplicate_keys_refused = false};
  const std::vector<Value> documents = TRY(yaml::read_all(text, options));
  if (!documents.empty()) made.fields = documents.front();
  if (!made.fields.is_map() && !made.fields.is_null()) return Error{ErrorCode::invalid, file + ": must be a map"};
  if (made.fields.is_null()) made.fields = Value::map();
  TRY(check_fields(made.fields).in("invalid Kustomization: " + file));
  modernise(made.fields);
  move_charts(made.fields);
  complete(made.fields);

  std::vector<std::string_view> lines = split(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  std::vector<std::string> notes;
  for (const std::string_view line : lines) {
    if (is_note(line)) {
      notes.emplace_back(line);
      continue;
    }
    if (const std::string_view key = key_of(line); !key.empty()) {
      made.chunks_.push_back({field_named(key), std::move(notes), {std::string(line)}});
    } else if (!made.chunks_.empty()) {
      std::vector<std::string>& own = made.chunks_.back().lines;
      own.insert(own.end(), notes.begin(), notes.end());
      own.emplace_back(line);
    } else {
      continue;  // "---": what stands above it belongs to the first field
    }
    notes.clear();
  }
  // kustomize does not see a last line without a line end: the field takes its place among the new ones.
  const auto blank = [](const std::string& line) { return trim(line).empty(); };
  if (!text.empty() && text.back() != '\n' && !made.chunks_.empty() && made.chunks_.back().lines.size() == 1 &&
      std::all_of(made.chunks_.back().above.begin(), made.chunks_.back().above.end(), blank))
    made.chunks_.pop_back();
  while (!notes.empty() && blank(notes.back())) notes.pop_back();
  made.below_ = std::move(notes);
  return made;
}

std::string EditableKustomization::text() const {
  std::string out;
  const auto put = [&](const std::vector<std::string>& lines) {
    for (const std::string& line : lines) out += line + "\n";
  };
  std::vector<std::string_view> have;
  for (const Chunk& chunk : chunks_) {
    put(chunk.above);
    if (chunk.field.empty()) {  // imageTags and what else moved: its comments stay
      put(notes_within(chunk.lines));
      continue;
    }
    have.push_back(chunk.field);
    out += rewritten(chunk.lines, chunk.field, written_field(chunk.field, fields[chunk.field]));
  }
  put(below_);
  for (const std::string_view field : field_order()) {
    if (std::find(have.begin(), have.end(), field) != have.end()) continue;
    const Value value = written_field(field, fields[field]);
    if (!value.is_null()) out += yaml::write(Value{{field, value}}, {.sort_keys = true});
  }
  return out;
}

}  // namespace caisson::render
