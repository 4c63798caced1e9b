// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/vars_to_replacements.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "delivery/render/kustomize/kustomization.h"
#include "delivery/render/kustomize/resource.h"

namespace caisson::render {

using namespace kustomize_impl;

namespace {

constexpr int kFolderDepthMax = 20;

struct Touched {
  std::string path;
  Value patch;  // the entry of `patches` that names it; null for a resource
};

void collect(const FileSource& source, const Value& fields, const std::string& folder, int depth,
             std::vector<Touched>& out) {
  const auto at = [&](const Value& path) {
    return folder.empty() ? path.str() : path_clean(path_join(folder, path.str()));
  };
  if (depth > kFolderDepthMax) return;
  for (const Value& resource : fields["resources"].items()) {
    const std::string path = at(resource);
    const auto entries = source.list(path);
    if (!entries.ok()) {
      out.push_back({path, {}});
      continue;
    }
    for (const FileSource::Entry& entry : *entries) {
      if (!is_kustomization_name(entry.name)) continue;
      const auto text = source.read(path_join(path, entry.name));
      const auto inner = text.ok() ? yaml::read(*text) : Result<Value>(Value());
      if (inner.ok()) collect(source, *inner, path, depth + 1, out);
    }
  }
  for (const Value& patch : fields["patches"].items()) {
    if (!patch["path"].as_string().empty()) out.push_back({at(patch["path"]), patch});
  }
}

// How a part of a text is replaced; null: the whole.
Result<Value> options_for(const std::string& text, const std::string& variable) {
  if (text == variable) return Value();
  const std::size_t at = text.find(variable), end = at + variable.size();
  const char delimiter = at == 0 ? text[end] : text[at - 1];
  if (at != 0 && end < text.size() && text[end] != delimiter) {
    return Error{ErrorCode::invalid, "cannot convert all vars to replacements; " + variable + " is not delimited"};
  }
  const std::vector<std::string_view> parts = split(text, delimiter);
  const auto index = std::find(parts.begin(), parts.end(), variable) - parts.begin();
  Value options{{"delimiter", Value(std::string(1, delimiter))}};
  if (index != 0) options.set("index", Value(static_cast<std::int64_t>(index)));
  return options;
}

struct Place {
  std::string path;
  Value options;
};

Result<void> find_places(const Value& node, const std::string& variable, const std::string& path,
                         std::vector<Place>& out) {
  const auto below = [&](const std::string& part) { return path.empty() ? part : path + "." + part; };
  if (node.is_map()) {
    for (const auto& [key, value] : node.entries()) {
      const bool dotted = key.find('.') != std::string_view::npos;
      TRY(find_places(value, variable, below(dotted ? "[" + std::string(key) + "]" : std::string(key)), out));
    }
  } else if (node.is_list()) {
    for (std::size_t i = 0; i < node.size(); ++i) TRY(find_places(node[i], variable, below(std::to_string(i)), out));
  } else if (node.as_string().find(variable) != std::string_view::npos) {
    Value options = TRY(options_for(node.str(), variable).in(path));
    out.push_back({path, std::move(options)});
  }
  return {};
}

Value selector_of(const Value& object, const Value& patch) {
  Value select = Value::map();
  if (!patch.is_null()) {
    if (patch["target"].is_map()) select = patch["target"];
    if (!object["metadata"]["namespace"].is_null()) select.set("namespace", object["metadata"]["namespace"]);
    return select;
  }
  const Gvk gvk = Gvk::of(object);
  const auto put = [&](const char* field, const std::string& text) {
    if (!text.empty()) select.set(field, Value(text));
  };
  put("group", gvk.group);
  put("version", gvk.version);
  put("kind", gvk.kind);
  put("name", object["metadata"]["name"].scalar_text());
  put("namespace", object["metadata"]["namespace"].scalar_text());
  return select;
}

Value source_of(const Value& var) {
  const Value& object = var["objref"];
  const Gvk gvk = Gvk::parse(object["apiVersion"].as_string(), object["kind"].as_string());
  Value source = Value::map();
  for (const auto& [field, text] : {std::pair<const char*, std::string>{"group", gvk.group},
                                    {"version", gvk.version},
                                    {"kind", gvk.kind},
                                    {"name", object["name"].str()},
                                    {"namespace", object["namespace"].str()},
                                    {"fieldPath", var["fieldref"]["fieldPath"].str()}}) {
    if (!text.empty()) source.set(field, Value(text));
  }
  return source;
}

}  // namespace

Result<ConvertedVars> vars_to_replacements(const FileSource& source, Value fields) {
  ConvertedVars out;
  std::vector<Touched> touched;
  collect(source, fields, "", 0, touched);
  std::map<std::string, std::string> texts;
  for (const Touched& file : touched) {
    auto text = source.read(file.path);
    if (text.ok()) texts[file.path] = std::move(text).value();
  }
  if (!fields["vars"].empty()) fields.set("replacements", Value::list());
  for (const Value& var : Value(fields["vars"]).items()) {
    const std::string name = var["name"].str(), variable = "$(" + name + ")";
    Value targets = Value::list();
    for (const Touched& file : touched) {
      const auto text = texts.find(file.path);
      const auto documents = text == texts.end() ? Result<std::vector<Value>>(std::vector<Value>())
                                                 : yaml::read_all(text->second, {.name = file.path});
      if (!documents.ok()) continue;
      for (const Value& document : *documents) {
        std::vector<Place> places;
        TRY(find_places(document, variable, "", places).in("error with " + file.path));
        for (Place& place : places) {
          Value target{{"select", selector_of(document, file.patch)}, {"fieldPaths", Value::list_of({place.path})}};
          if (!place.options.is_null()) target.set("options", std::move(place.options));
          targets.push_back(std::move(target));
        }
      }
    }
    fields.edit("replacements").push_back(Value{{"source", source_of(var)}, {"targets", std::move(targets)}});
    for (auto& [path, text] : texts) {
      std::string changed = replace_all(text, variable, name + "_PLACEHOLDER");
      if (changed == text) continue;
      text = std::move(changed);
      out.files[path] = text;
    }
  }
  fields.erase("vars");
  out.fields = std::move(fields);
  return out;
}

}  // namespace caisson::render
