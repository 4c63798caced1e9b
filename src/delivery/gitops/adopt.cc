// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/adopt.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/document/yaml.h"

namespace caisson::gitops {
namespace {

bool is_leaf(const Value& value) {
  return !value.is_map() && !value.is_list();
}

std::string join_path(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : path + "." + std::string(name);
}

bool below(const std::string& inner, const std::string& outer) {
  return inner.starts_with(outer) &&
         (inner.size() == outer.size() || inner[outer.size()] == '.' || inner[outer.size()] == '[');
}

// Is something at or below `path` among the paths; is `path` at or below one of them?
bool concerned(const std::string& path, const std::vector<std::string>& paths) {
  return path.empty() || std::any_of(paths.begin(), paths.end(),
                                     [&](const std::string& one) { return below(one, path) || below(path, one); });
}

const Value* same_item(const Value& list, const Value& item, std::size_t place) {
  if (!item["name"].is_null()) {
    for (const Value& one : list.items()) {
      if (one["name"] == item["name"]) return &one;
    }
    return nullptr;
  }
  return place < list.size() ? &list[place] : nullptr;
}

Value merge(const Value& in_file, const Value& live, const std::string& path, const std::vector<std::string>& paths) {
  if (!concerned(path, paths)) return in_file;
  if (in_file.is_map() && live.is_map()) {
    Value out = Value::map();
    for (const auto& [name, child] : in_file.entries()) {
      const std::string at = join_path(path, name);
      const Value* there = live.find(name);
      if (there)
        out.set(name, merge(child, *there, at, paths));
      else if (!concerned(at, paths))
        out.set(name, child);
    }
    return out;
  }
  if (in_file.is_list() && live.is_list() && in_file.size() == live.size()) {
    Value out = Value::list();
    for (std::size_t i = 0; i < in_file.size(); ++i) {
      const Value* there = same_item(live, in_file[i], i);
      out.push_back(there ? merge(in_file[i], *there, path + "[" + std::to_string(i) + "]", paths) : in_file[i]);
    }
    return out;
  }
  return live;
}

// Places of `in_file` where a single value became another.
struct Replacement {
  std::string key;  // the map's, or empty in a list
  Value before, after;
};
void replacements(const Value& before, const Value& after, std::string_view key, std::vector<Replacement>& out) {
  if (is_leaf(before) && is_leaf(after)) {
    if (!(before == after)) out.push_back({std::string(key), before, after});
  } else if (before.is_map() && after.is_map()) {
    for (const auto& [name, child] : before.entries()) {
      if (const Value* next = after.find(name)) replacements(child, *next, name, out);
    }
  } else if (before.is_list() && after.is_list()) {
    for (std::size_t i = 0; i < std::min(before.size(), after.size()); ++i) replacements(before[i], after[i], "", out);
  }
}

std::string scalar_text(const Value& value) {
  std::string text = yaml::write(value);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Every place in `text` where the old value might stand, replaced; the caller keeps the one that is right.
std::vector<std::string> candidates(const std::string& text, const Replacement& change) {
  const std::string after = scalar_text(change.after);
  if (after.find('\n') != std::string::npos) return {};
  const std::string raw = change.before.scalar_text();
  std::vector<std::string> out;
  for (const std::string& before : {"\"" + raw + "\"", "'" + raw + "'", raw}) {
    if (raw.empty() && before.empty()) continue;
    for (std::size_t at = text.find(before); at != std::string::npos; at = text.find(before, at + 1))
      out.push_back(text.substr(0, at) + after + text.substr(at + before.size()));
  }
  return out;
}

// Right is what reads as the document before, with this one value another.
std::optional<std::string> replaced(const std::string& text, const Value& wanted) {
  const auto now = yaml::read(text);
  if (!now.ok()) return std::nullopt;
  std::vector<Replacement> changes;
  replacements(*now, wanted, "", changes);
  if (changes.empty()) return *now == wanted ? std::optional(text) : std::nullopt;
  for (const std::string& next : candidates(text, changes.front())) {
    const auto read = yaml::read(next);
    if (!read.ok()) continue;
    std::vector<Replacement> left;
    replacements(*read, wanted, "", left);
    if (left.size() != changes.size() - 1) continue;
    if (const auto rest = replaced(next, wanted)) return rest;
  }
  return std::nullopt;
}

struct Part {
  std::size_t begin, end;  // in the text; without the line "---"
};
std::vector<Part> documents(const std::string& text) {
  std::vector<Part> out{{0, text.size()}};
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = trim(std::string_view(text).substr(at, end - at));
    if (line == "---" || line.starts_with("--- ")) {
      out.back().end = at;
      out.push_back({std::min(end + 1, text.size()), text.size()});
    }
    at = end + 1;
  }
  return out;
}

Value difference(const Value& before, const Value& after) {
  Value out = Value::map();
  for (const auto& [name, value] : after.entries()) {
    const Value* old = before.find(name);
    if (old && *old == value) continue;
    out.set(name, old && old->is_map() && value.is_map() ? difference(*old, value) : value);
  }
  for (const auto& [name, value] : before.entries()) {
    if (!after.contains(name)) out.set(name, Value());
  }
  return out;
}

}  // namespace

Value adopted(const Value& in_file, const Value& live, const std::vector<std::string>& paths) {
  return merge(in_file, live, "", paths);
}

Value adoption_patch(const Value& in_file, const Value& adopted) {
  if (in_file == adopted) return Value();
  Value out{{"apiVersion", in_file["apiVersion"]}, {"kind", in_file["kind"]}};
  Value metadata{{"name", in_file["metadata"]["name"]}};
  if (!in_file["metadata"]["namespace"].is_null()) metadata.set("namespace", in_file["metadata"]["namespace"]);
  const Value all = difference(in_file, adopted);  // entries() of a temporary would outlive it
  for (const auto& [name, value] : all["metadata"].entries()) metadata.set(name, value);
  out.set("metadata", std::move(metadata));
  for (const auto& [name, value] : all.entries()) {
    if (name != "metadata") out.set(name, value);
  }
  return out;
}

Result<std::string> edit_document(const std::string& text, std::size_t index, const Value& wanted, bool& rewritten) {
  rewritten = false;
  std::size_t seen = 0;
  for (const Part& part : documents(text)) {
    const std::string own = text.substr(part.begin, part.end - part.begin);
    const Value now = TRY(yaml::read(own));
    if (now.is_null() || seen++ != index) continue;
    std::optional<std::string> next = replaced(own, wanted);
    if (!next) {
      rewritten = true;
      next = yaml::write(wanted);
    }
    return text.substr(0, part.begin) + *next + text.substr(part.end);
  }
  return Error{ErrorCode::bad_request, "there is no document " + std::to_string(index + 1)};
}

}  // namespace caisson::gitops
