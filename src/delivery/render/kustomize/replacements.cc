// SPDX-License-Identifier: Apache-2.0
// `replacements`: a field of one object (or a given value) copied into fields of others.
#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>

#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/render/kustomize/metadata.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

Error wrong(std::string why) {
  return Error{ErrorCode::invalid, std::move(why)};
}

std::optional<std::size_t> index_of(const std::string& part) {
  std::size_t index = 0;
  const auto read = std::from_chars(part.data(), part.data() + part.size(), index);
  if (part.empty() || read.ec != std::errc() || read.ptr != part.data() + part.size()) return std::nullopt;
  return index;
}

bool is_list_selector(const std::string& part) {
  return part.size() > 2 && part.front() == '[' && part.back() == ']' && part.find('=') != part.npos;
}

struct ListSelector {
  std::string field, pattern;
};
ListSelector list_selector(const std::string& part) {
  const std::size_t equals = part.find('=');
  return {part.substr(1, equals - 1), part.substr(equals + 1, part.size() - equals - 2)};
}

using Change = std::function<Result<void>(Value&)>;

// Every place that the path leads to; with create, places are made (maps and items as the path tells), and the last
// starts as null.
class PathWalk {
 public:
  PathWalk(bool create, const Change& change) : create_(create), change_(change) {}
  std::size_t count = 0;

  Result<void> walk(Value& node, std::span<const std::string> path) {
    if (path.empty()) {
      ++count;
      return change_(node);
    }
    const std::string& part = path[0];
    if (part == "*") return walk_every(node, path);
    if (const auto index = index_of(part); index && (node.is_list() || node.is_null()))
      return walk_index(node, *index, path);
    if (is_list_selector(part)) return walk_matching(node, path);
    if (node.is_list()) return wrong("expected an index, [field=value] or * before " + part);
    if (!node.is_map() && !node.is_null()) return wrong("expected a map at " + part);
    if (!node.contains(part) && !create_) return {};
    return walk(node.edit(part), path.subspan(1));
  }

 private:
  Result<void> walk_every(Value& node, std::span<const std::string> path) {
    if (node.is_map()) {
      std::vector<std::string> keys;
      for (const auto& entry : node.entries()) keys.emplace_back(entry.key);
      for (const std::string& key : keys) TRY(walk(node.edit(key), path.subspan(1)));
      return {};
    }
    for (std::size_t i = 0; i < node.size(); ++i) TRY(walk(node.edit(i), path.subspan(1)));
    return {};
  }

  Result<void> walk_index(Value& node, std::size_t index, std::span<const std::string> path) {
    if (node.is_null()) node = Value::list();
    if (index == node.size() && create_) node.push_back(Value());
    if (index >= node.size())
      return wrong("index " + std::to_string(index) + " is outside the list of " + std::to_string(node.size()));
    return walk(node.edit(index), path.subspan(1));
  }

  Result<void> walk_matching(Value& node, std::span<const std::string> path) {
    if (!node.is_list() && !node.is_null()) return wrong("expected a list at " + path[0]);
    const ListSelector selector = list_selector(path[0]);
    const RE2 pattern(selector.pattern, RE2::Quiet);
    if (!pattern.ok()) return wrong(path[0] + ": is no regular expression: " + pattern.error());
    const std::size_t before = count;
    for (std::size_t i = 0; i < node.size(); ++i) {
      const Value& item = node[i];
      const bool has = selector.field.empty() || item.contains(selector.field);
      if (!has || !RE2::PartialMatch((selector.field.empty() ? item : item[selector.field]).scalar_text(), pattern))
        continue;
      TRY(walk(node.edit(i), path.subspan(1)));
    }
    if (count != before || !create_) return {};
    node.push_back(selector.field.empty() ? Value(selector.pattern) : Value{{selector.field, Value(selector.pattern)}});
    return walk(node.edit(node.size() - 1), path.subspan(1));
  }

  bool create_;
  const Change& change_;
};

std::vector<std::string> split_text(const std::string& text, const std::string& delimiter) {
  std::vector<std::string> parts;
  std::size_t from = 0;
  for (std::size_t at = text.find(delimiter); at != text.npos; at = text.find(delimiter, from)) {
    parts.push_back(text.substr(from, at - from));
    from = at + delimiter.size();
  }
  parts.push_back(text.substr(from));
  return parts;
}

// The scalar takes the text and keeps its type when it can, as a YAML node keeps its tag.
Value retyped(const Value& was, const Value& value) {
  const std::string text = value.scalar_text();
  if (was.is_string()) return Value(text);
  const auto read = yaml::read(text.empty() ? "\"\"" : text);
  return read.ok() && !read->is_map() && !read->is_list() ? *read : Value(text);
}

Result<void> put(Value& place, const Value& value, const Value& options) {
  const std::string delimiter = options["delimiter"].str();
  if (!delimiter.empty()) {
    if (place.is_map() || place.is_list()) return wrong("options.delimiter: can be used with scalars only");
    std::vector<std::string> parts = split_text(place.scalar_text(), delimiter);
    const std::int64_t index = options["index"].as_int();
    const std::string text = value.scalar_text();
    if (index < 0)
      parts.insert(parts.begin(), text);
    else if (static_cast<std::size_t>(index) >= parts.size())
      parts.push_back(text);
    else
      parts[static_cast<std::size_t>(index)] = text;
    std::string joined;
    for (std::size_t i = 0; i < parts.size(); ++i) joined += (i == 0 ? "" : delimiter) + parts[i];
    place = retyped(place, Value(joined));
    return {};
  }
  // A place just made has no type of its own: the text's plain reading gives it one, as in kustomize.
  const bool scalar = !place.is_map() && !place.is_list();
  place = scalar && !value.is_map() && !value.is_list() ? retyped(place, value) : value;
  return {};
}

Result<Value> source_value(const Value& source, ResourceMap& resources) {
  Id wanted;
  const Selection selection = Selection::parse(source);
  wanted.gvk = selection.gvk;
  wanted.name = selection.name;
  wanted.ns = selection.ns;
  const auto selected = [&](const Id& id) { return id.selected_by(wanted); };
  std::vector<Resource*> found;
  if (!wanted.name.empty()) {
    found = resources.matching_any_id(wanted.name, selected);
  } else {
    for (Resource& resource : resources.all_same_names()) {
      if (resource.any_prior(selected) || selected(resource.id())) found.push_back(&resource);
    }
  }
  if (found.empty()) return wrong("source: no resource is " + wanted.str());
  if (found.size() > 1) return wrong("source: several resources are " + wanted.str());
  const std::string path = source["fieldPath"].as_string().empty() ? "metadata.name" : source["fieldPath"].str();
  const Value* value = look_up(found[0]->object, split_field_path(path));
  const bool missing = value == nullptr || value->is_null() ||
                       ((value->is_map() || value->is_list()) && value->empty()) ||
                       (value->is_string() && value->as_string().empty());
  if (missing) return wrong("source.fieldPath: " + found[0]->id().str() + " has nothing at " + path);
  const std::string delimiter = source["options"]["delimiter"].str();
  if (delimiter.empty()) return *value;
  if (value->is_map() || value->is_list()) return wrong("source.options.delimiter: can be used with scalars only");
  const std::vector<std::string> parts = split_text(value->scalar_text(), delimiter);
  const std::int64_t index = source["options"]["index"].as_int();
  if (index < 0 || static_cast<std::size_t>(index) >= parts.size()) {
    return wrong("source.options.index: " + std::to_string(index) + " is outside of \"" + value->scalar_text() + "\"");
  }
  return Value(parts[static_cast<std::size_t>(index)]);
}

Result<bool> id_matches(const Resource& resource, const Selection& selection) {
  const auto full = [](const std::string& pattern, const std::string& text) {
    return pattern.empty() || RE2::FullMatch(text, RE2("(?:" + pattern + ")", RE2::Quiet));
  };
  const auto matches = [&](const Id& id) {
    return full(selection.gvk.group, id.gvk.group) && full(selection.gvk.version, id.gvk.version) &&
           full(selection.gvk.kind, id.gvk.kind) && full(selection.name, id.name) &&
           full(selection.ns, id.effective_ns());
  };
  return resource.any_prior(matches) || matches(resource.id());
}

Result<bool> labels_fit(const Resource& resource, const Selection& selection) {
  const Value& metadata = resource.object["metadata"];
  const bool labels = TRY(labels_match(metadata["labels"], selection.label_selector));
  if (!labels) return false;
  return labels_match(metadata["annotations"], selection.annotation_selector);
}

Result<bool> rejected(const Resource& resource, const Value& rejects) {
  for (const Value& reject : rejects.items()) {
    const Selection selection = Selection::parse(reject);
    const bool by_labels = !selection.label_selector.empty() || !selection.annotation_selector.empty();
    const bool by_id = !(selection.gvk == Gvk{}) || !selection.name.empty() || !selection.ns.empty();
    if (by_labels) {
      const bool fits = TRY(labels_fit(resource, selection));
      if (fits) return true;
    }
    if (!by_id) continue;
    const bool matches = TRY(id_matches(resource, selection));
    if (matches) return true;
  }
  return false;
}

Result<void> apply_to_target(const Value& value, const Value& target, ResourceMap& resources) {
  if (!target["select"].is_map()) return wrong("select: must be set");
  const Selection selection = Selection::parse(target["select"]);
  const Value& options = target["options"];
  std::vector<std::string> paths;
  for (const Value& path : target["fieldPaths"].items()) paths.push_back(path.str());
  if (paths.empty()) paths.emplace_back("metadata.name");
  for (Resource& resource : resources.all()) {
    const bool labels = TRY(labels_fit(resource, selection));
    const bool id = TRY(id_matches(resource, selection));
    if (!labels || !id) continue;
    const bool refused = TRY(rejected(resource, target["reject"]));
    if (refused) continue;
    for (const std::string& path : paths) {
      const Change change = [&](Value& place) { return put(place, value, options); };
      PathWalk walk(options["create"].as_bool(), change);
      const std::vector<std::string> parts = split_field_path(path);
      const std::string where = "fieldPaths: " + path + " of " + resource.id().str();
      TRY(walk.walk(resource.object, parts).in(where));
      if (walk.count == 0)
        return wrong("unable to find field \"" + path + "\" in replacement target " + resource.id().str());
    }
    TRY(check_metadata(resource.object).in(resource.original_id().str()));
  }
  return {};
}

Result<void> apply_one(const Value& replacement, ResourceMap& resources) {
  const bool given = replacement.contains("sourceValue");
  if ((!given && !replacement["source"].is_map()) || replacement["targets"].empty())
    return wrong("must have a source and at least one target");
  if (given && replacement["source"].is_map())
    return wrong("source, sourceValue: value and resource selectors are mutually exclusive");
  const Value value =
      TRY(given ? Result<Value>(replacement["sourceValue"]) : source_value(replacement["source"], resources));
  for (std::size_t i = 0; i < replacement["targets"].size(); ++i) {
    TRY(apply_to_target(value, replacement["targets"][i], resources).in("targets[" + std::to_string(i) + "]"));
  }
  return {};
}

}  // namespace

Result<void> replace_values(const Target& target, const Value& replacements, ResourceMap& resources) {
  for (std::size_t i = 0; i < replacements.size(); ++i) {
    const std::string at = "[" + std::to_string(i) + "]";
    const std::string path = replacements[i]["path"].str();
    if (path.empty()) {
      TRY(apply_one(replacements[i], resources).in(at));
      continue;
    }
    const std::string text = TRY(target.read(path, "replacements" + at + ".path"));
    const Value file = TRY(yaml::read(text, {.name = target.resolve(path)}));
    if (file.is_map()) TRY(apply_one(file, resources).in(path));
    for (const Value& one : file.items()) TRY(apply_one(one, resources).in(path));
  }
  return {};
}

const Value* look_up(const Value& object, const std::vector<std::string>& path) {
  const Value* at = &object;
  for (const std::string& part : path) {
    if (at->is_list()) {
      const auto index = index_of(part);
      if (index) {
        at = *index < at->size() ? &(*at)[*index] : nullptr;
      } else if (part == "-") {
        at = at->empty() ? nullptr : &(*at)[at->size() - 1];
      } else if (is_list_selector(part)) {
        const ListSelector selector = list_selector(part);
        const auto items = at->items();
        const auto found = std::find_if(items.begin(), items.end(), [&](const Value& item) {
          return (selector.field.empty() ? item : item[selector.field]).scalar_text() == selector.pattern;
        });
        at = found == items.end() ? nullptr : &*found;
      } else {
        at = nullptr;
      }
    } else {
      at = at->find(part);
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::vector<std::string> split_field_path(std::string_view path) {
  std::vector<std::string> parts(1);
  int brackets = 0;
  const auto open = [&] {
    if (!parts.back().empty()) parts.emplace_back();
  };
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c == '\\' && i + 1 < path.size() && path[i + 1] == '.') {
      parts.back() += path[++i];
    } else if (c == '[' && brackets == 0) {
      open();
      brackets = 1;
      parts.back() += c;
    } else if (c == '[' || c == ']') {
      brackets += c == '[' ? 1 : -1;
      parts.back() += c;
      // A bracket without '=' only guards the dots of a key, or holds an index.
      if (brackets == 0 && parts.back().find('=') == std::string::npos)
        parts.back() = parts.back().substr(1, parts.back().size() - 2);
    } else if (c == '.' && brackets == 0) {
      open();
    } else {
      parts.back() += c;
    }
  }
  if (parts.back().empty()) parts.pop_back();
  return parts;
}

}  // namespace caisson::render::kustomize_impl
