// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/edit_lines.h"

#include <algorithm>
#include <optional>

#include "core/base/text.h"
#include "core/document/yaml.h"
#include "delivery/render/kustomize/fields.h"

namespace caisson::render::kustomize_impl {
namespace {

using Lines = std::vector<std::string>;

std::size_t indent_of(std::string_view line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

std::string joined(const Lines& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

Lines lines_of(std::string_view text) {
  Lines out;
  for (const std::string_view line : split(text, '\n')) out.emplace_back(line);
  if (!out.empty() && out.back().empty()) out.pop_back();
  return out;
}

std::optional<Value> parsed(const Lines& lines) {
  auto value = yaml::read(joined(lines), {.old_booleans = true, .duplicate_keys_refused = false});
  return value.ok() ? std::optional<Value>(std::move(value).value()) : std::nullopt;
}

std::string plain(std::string_view field, const Value& value) {
  return value.is_null() ? std::string() : yaml::write(Value{{field, value}}, {.sort_keys = true});
}

// Whether the lines, read again, say `value`.
bool says(const Lines& lines, std::string_view field, const Value& value) {
  const std::optional<Value> read = parsed(lines);
  if (!read || read->size() != 1) return false;
  return written_field(field, read->entries().front().value) == value;
}

// An item of a block sequence or an entry of a block map, with the comments above it.
struct Part {
  Lines above, lines;
  Value value;  // of the item; of the entry, a map of one
  bool used = false;
};

struct Parts {
  std::size_t indent = 0;
  std::vector<Part> parts;
  Lines below;
};

std::optional<Parts> split_parts(const Lines& lines, bool sequence) {
  Parts out;
  Lines notes;
  const auto first = std::find_if(lines.begin() + 1, lines.end(), [](const auto& line) { return !is_note(line); });
  if (first == lines.end()) return std::nullopt;
  out.indent = indent_of(*first);
  for (auto line = lines.begin() + 1; line != lines.end(); ++line) {
    if (is_note(*line)) {
      notes.push_back(*line);
      continue;
    }
    const bool begins = indent_of(*line) == out.indent && (!sequence || line->substr(out.indent).starts_with("-"));
    if (begins) {
      out.parts.push_back({std::move(notes), {*line}, {}});
    } else {
      if (out.parts.empty()) return std::nullopt;
      Lines& own = out.parts.back().lines;
      own.insert(own.end(), notes.begin(), notes.end());
      own.push_back(*line);
    }
    notes.clear();
  }
  out.below = std::move(notes);
  for (Part& part : out.parts) {
    const std::optional<Value> value = parsed(part.lines);
    if (!value) return std::nullopt;
    if (sequence && (!value->is_list() || value->size() != 1)) return std::nullopt;
    if (!sequence && (!value->is_map() || value->size() != 1)) return std::nullopt;
    part.value = sequence ? (*value)[0] : *value;
  }
  return out;
}

void put(Lines& out, const Lines& more) {
  out.insert(out.end(), more.begin(), more.end());
}

Lines indented(const Value& value, std::size_t by) {
  Lines out = lines_of(yaml::write(value, {.sort_keys = true}));
  for (std::string& line : out) {
    if (!line.empty()) line.insert(0, by, ' ');
  }
  return out;
}

// The part that `value` was before the edit: an equal one, else one of the same name.
Part* find_item(Parts& parts, const Value& value, std::string_view field) {
  const auto as_written = [&](const Value& item) {
    const Value list = written_field(field, Value(std::vector<Value>{item}));
    return list.empty() ? Value() : list[0];
  };
  for (Part& part : parts.parts) {
    if (!part.used && as_written(part.value) == value) return &part;
  }
  if (!value["name"].is_string()) return nullptr;
  for (Part& part : parts.parts) {
    if (!part.used && part.value["name"] == value["name"] && part.value["namespace"] == value["namespace"])
      return &part;
  }
  return nullptr;
}

std::optional<Lines> rewritten_list(const Lines& lines, std::string_view field, const Value& value) {
  std::optional<Parts> parts = split_parts(lines, true);
  if (!parts) return std::nullopt;
  Lines out{lines.front()};
  for (const Value& item : value.items()) {
    Part* part = find_item(*parts, item, field);
    if (part == nullptr) {
      put(out, indented(Value(std::vector<Value>{item}), parts->indent));
      continue;
    }
    part->used = true;
    put(out, part->above);
    Value was = written_field(field, Value(std::vector<Value>{part->value}));
    put(out, was[0] == item ? part->lines : indented(Value(std::vector<Value>{item}), parts->indent));
  }
  put(out, parts->below);
  return out;
}

// A value on the line of its key, with the comment behind it.
std::optional<Lines> rewritten_scalar(const std::string& line, const Value& value) {
  const std::size_t colon = line.find(':'), note = line.find(" #");
  if (colon == std::string::npos || !(value.is_string() || value.is_bool() || value.is_int())) return std::nullopt;
  const Lines made = lines_of(yaml::write(Value{{"k", value}}));
  if (made.size() != 1) return std::nullopt;
  std::size_t from = note;
  while (from != std::string::npos && from > 0 && line[from - 1] == ' ') --from;
  const std::string comment = note == std::string::npos ? "" : line.substr(from);
  return Lines{line.substr(0, colon) + made[0].substr(1) + comment};
}

std::optional<Lines> rewritten_map(const Lines& lines, const Value& value) {
  std::optional<Parts> parts = split_parts(lines, false);
  if (!parts) return std::nullopt;
  Lines out{lines.front()};
  std::vector<std::string_view> have;
  for (const Part& part : parts->parts) {
    const auto& [key, was] = part.value.entries().front();
    const Value* now = value.find(key);
    if (now == nullptr) continue;
    have.push_back(key);
    put(out, part.above);
    if (*now == was) {
      put(out, part.lines);
      continue;
    }
    const auto line = part.lines.size() == 1 ? rewritten_scalar(part.lines.front(), *now) : std::nullopt;
    put(out, line ? *line : indented(Value{{key, *now}}, parts->indent));
  }
  Value added = Value::map();
  for (const auto& [key, now] : value.entries()) {
    if (std::find(have.begin(), have.end(), key) == have.end()) added.set(key, now);
  }
  if (!added.empty()) put(out, indented(added, parts->indent));
  put(out, parts->below);
  return out;
}

}  // namespace

bool is_note(std::string_view line) {
  const std::size_t indent = indent_of(line);
  return indent == line.size() || line[indent] == '#';
}

std::vector<std::string> notes_within(const std::vector<std::string>& lines) {
  Lines out;
  std::copy_if(lines.begin(), lines.end(), std::back_inserter(out), is_note);
  return out;
}

std::string rewritten(const std::vector<std::string>& lines, std::string_view field, const Value& value) {
  const bool noted = std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
    return is_note(line) || line.find(" #") != std::string::npos;
  });
  if (!noted) return plain(field, value);
  if (says(lines, field, value)) return joined(lines);
  std::optional<Lines> made;
  if (value.is_list())
    made = rewritten_list(lines, field, value);
  else if (value.is_map())
    made = rewritten_map(lines, value);
  else if (lines.size() == 1)
    made = rewritten_scalar(lines.front(), value);
  if (made && says(*made, field, value)) return joined(*made);
  return joined(notes_within(lines)) + plain(field, value);
}

}  // namespace caisson::render::kustomize_impl
