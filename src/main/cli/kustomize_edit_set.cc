// SPDX-License-Identifier: Apache-2.0
// `caisson kustomize edit set …` for fields with one value. Source: kustomize v5.8, commands/edit/set.
#include <algorithm>
#include <map>

#include "core/base/text.h"
#include "main/cli/kustomize_commands.h"

namespace caisson::cli {
namespace {

Error wrong(std::string why) {
  return Error{ErrorCode::bad_request, std::move(why)};
}

Result<void> set_one(const Flags& flags, const char* field, const char* what) {
  if (flags.arguments().size() != 1) return wrong(std::string("must specify exactly one ") + what + " value");
  return edit_kustomization([&](Value& fields) -> Result<void> {
    fields.set(field, Value(flags.arguments()[0]));
    return {};
  });
}

Result<void> set_pairs(const Flags& flags, const char* field, const std::string& what) {
  if (flags.arguments().empty()) return wrong("must specify " + what);
  const Value pairs = TRY(parse_pairs(flags.arguments(), what));
  return edit_kustomization([&](Value& fields) -> Result<void> {
    for (const auto& [key, value] : pairs.entries()) fields.edit(field).set(key, value);
    return {};
  });
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

}  // namespace

Result<void> kustomize_set_namespace(const Flags& flags) {
  return set_one(flags, "namespace", "namespace");
}
Result<void> kustomize_set_name_prefix(const Flags& flags) {
  return set_one(flags, "namePrefix", "prefix");
}
Result<void> kustomize_set_name_suffix(const Flags& flags) {
  return set_one(flags, "nameSuffix", "suffix");
}
Result<void> kustomize_set_label(const Flags& flags) {
  return set_pairs(flags, "commonLabels", "label");
}

Result<void> kustomize_set_annotation(const Flags& flags) {
  const Value pairs = TRY(parse_pairs(flags.arguments(), "annotation"));
  const auto alphanumeric = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  const auto name_of = [&](std::string_view text, std::size_t longest, std::string_view marks) {
    return !text.empty() && text.size() <= longest && alphanumeric(text.front()) && alphanumeric(text.back()) &&
           std::all_of(text.begin(), text.end(),
                       [&](char c) { return alphanumeric(c) || marks.find(c) != marks.npos; });
  };
  for (const auto& [key, value] : pairs.entries()) {
    const std::size_t slash = key.find('/');
    const std::string_view prefix = slash == std::string_view::npos ? "x" : key.substr(0, slash);
    const std::string_view name = slash == std::string_view::npos ? key : key.substr(slash + 1);
    const bool letter_first = !prefix.empty() && !(prefix[0] >= '0' && prefix[0] <= '9');
    if (!name_of(name, 63, "-_.") || !name_of(prefix, 253, "-.") || !letter_first)
      return wrong("invalid annotation key: " + std::string(key) +
                   ": see the syntax and character set rules at "
                   "https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/");
  }
  return set_pairs(flags, "commonAnnotations", "annotation");
}

Result<void> kustomize_set_build_metadata(const Flags& flags) {
  const std::vector<std::string> options = TRY(parse_build_metadata(flags.arguments()));
  return edit_kustomization([&](Value& fields) -> Result<void> {
    fields.set("buildMetadata", Value::list_of(options));
    return {};
  });
}

Result<void> kustomize_set_image(const Flags& flags) {
  if (flags.arguments().empty()) return wrong("no image specified");
  std::map<std::string, Value> images;
  for (const std::string& text : flags.arguments()) {
    Value image = TRY(parse_image(text));
    const std::string name = image["name"].str();
    images[name] = std::move(image);
  }
  return edit_kustomization([&](Value& fields) -> Result<void> {
    for (const Value& known : fields["images"].items()) {
      const auto given = images.find(known["name"].str());
      if (given == images.end())
        images[known["name"].str()] = known;
      else
        keep_starred(given->second, known);
    }
    for (auto& [name, image] : images) keep_starred(image, Value());
    fields.set("images", sorted_by_name(images));
    return {};
  });
}

Result<void> kustomize_set_replicas(const Flags& flags) {
  if (flags.arguments().empty()) return wrong("no replicas specified");
  std::map<std::string, Value> replicas;
  for (const std::string& text : flags.arguments()) {
    const std::vector<std::string_view> parts = split(text, '=');
    const auto count = parts.size() == 2 ? parse_int(parts[1]) : std::nullopt;
    if (!count) return wrong("invalid format of replica, use the following format: <name>=<count>");
    replicas[std::string(parts[0])] = Value{{"name", Value(parts[0])}, {"count", Value(*count)}};
  }
  return edit_kustomization([&](Value& fields) -> Result<void> {
    for (const Value& known : fields["replicas"].items()) replicas.emplace(known["name"].str(), known);
    fields.set("replicas", sorted_by_name(replicas));
    return {};
  });
}

}  // namespace caisson::cli
