// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/edit_fields.h"

#include <map>

#include "core/base/text.h"

namespace caisson::render {
namespace {

Error wrong(std::string why) {
  return Error{ErrorCode::bad_request, std::move(why)};
}

// "name:tag@digest"; a registry's port is no tag.
struct ImageText {
  std::string name, tag, digest;
};

ImageText split_image(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::size_t from = slash == std::string::npos || slash == 0 ? 0 : slash;
  const std::size_t at = text.find('@', from), colon = text.find(':', from);
  if (at != std::string::npos && (colon == std::string::npos || at < colon))
    return {text.substr(0, at), "", text.substr(at + 1)};
  const std::string digest = at == std::string::npos ? "" : text.substr(at + 1);
  const std::string rest = text.substr(0, at);
  if (colon == std::string::npos) return {rest, "", digest};
  return {rest.substr(0, colon), rest.substr(colon + 1), digest};
}

Result<Value> parse_image(const std::string& text) {
  const std::size_t equals = text.find('=');
  const ImageText parts = split_image(equals == std::string::npos ? text : text.substr(equals + 1));
  if (parts.name == text) {
    return wrong(
        "invalid format of image, use one of the following options:\n"
        "- <image>=<newimage>:<newtag>\n- <image>=<newimage>@<digest>\n- <image>=<newimage>:<newtag>@<digest>\n"
        "- <image>=<newimage>\n- <image>:<newtag>\n- <image>:<newtag>@<digest>\n- <image>@<digest>");
  }
  Value image = Value::map();
  image.set("name", Value(equals == std::string::npos ? parts.name : text.substr(0, equals)));
  if (equals != std::string::npos) image.set("newName", Value(parts.name));
  image.set("newTag", Value(parts.tag));
  image.set("digest", Value(parts.digest));
  return image;
}

// "*" stands for what the file has.
void keep_starred(Value& image, const Value& known) {
  for (const char* field : {"newName", "newTag", "digest"}) {
    if (image[field].as_string() != "*") continue;
    image.set(field, known[field].is_null() ? Value("") : known[field]);
    image.erase("tagSuffix");
  }
}

Value sorted_by_name(const std::map<std::string, Value>& by_name) {
  Value out = Value::list();
  for (const auto& [name, value] : by_name) out.push_back(value);
  return out;
}

Result<void> add_entry(Value& map, std::string_view key, const Value& value, const std::string& what, bool force) {
  if (map.contains(key) && !force)
    return wrong(what + " " + std::string(key) + " already in kustomization file. Use --force to override.");
  map.set(key, value);
  return {};
}

}  // namespace

Result<void> set_images(Value& fields, const std::vector<std::string>& given) {
  std::map<std::string, Value> images;
  for (const std::string& text : given) {
    Value image = TRY(parse_image(text));
    const std::string name = image["name"].str();
    images[name] = std::move(image);
  }
  for (const Value& known : fields["images"].items()) {
    const auto over = images.find(known["name"].str());
    if (over == images.end())
      images[known["name"].str()] = known;
    else
      keep_starred(over->second, known);
  }
  for (auto& [name, image] : images) keep_starred(image, Value());
  fields.set("images", sorted_by_name(images));
  return {};
}

Result<void> set_replicas(Value& fields, const std::vector<std::string>& given) {
  std::map<std::string, Value> replicas;
  for (const std::string& text : given) {
    const std::vector<std::string_view> parts = split(text, '=');
    const auto count = parts.size() == 2 ? parse_int(parts[1]) : std::nullopt;
    if (!count) return wrong("invalid format of replica, use the following format: <name>=<count>");
    replicas[std::string(parts[0])] = Value{{"name", Value(parts[0])}, {"count", Value(*count)}};
  }
  for (const Value& known : fields["replicas"].items()) replicas.emplace(known["name"].str(), known);
  fields.set("replicas", sorted_by_name(replicas));
  return {};
}

Result<void> add_labels(Value& fields, const Value& pairs, const LabelOptions& options) {
  if (!options.without_selector) {
    if (options.include_templates)
      return wrong("--without-selector flag must be specified for --include-templates to work");
    for (const auto& [key, value] : pairs.entries())
      TRY(add_entry(fields.edit("commonLabels"), key, value, "label", options.force));
    return {};
  }
  // Into the entry that has the same settings, or a new one.
  Value& labels = fields.edit("labels");
  std::size_t at = 0;
  const auto fits = [&](const Value& label) {
    return !label["includeSelectors"].as_bool() && label["includeTemplates"].as_bool() == options.include_templates;
  };
  while (at < labels.size() && !fits(labels[at])) ++at;
  if (at == labels.size()) {
    Value made = Value::map();
    if (options.include_templates) made.set("includeTemplates", true);
    labels.push_back(std::move(made));
  }
  for (const auto& [key, value] : pairs.entries())
    TRY(add_entry(labels.edit(at).edit("pairs"), key, value, "label", options.force));
  return {};
}

Result<void> add_annotations(Value& fields, const Value& pairs, bool force) {
  for (const auto& [key, value] : pairs.entries())
    TRY(add_entry(fields.edit("commonAnnotations"), key, value, "annotation", force));
  return {};
}

}  // namespace caisson::render
