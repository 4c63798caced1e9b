// SPDX-License-Identifier: Apache-2.0
// `caisson kustomize edit set …` for fields with one value. Source: kustomize v5.8, commands/edit/set.
#include <algorithm>

#include "delivery/render/kustomize/edit_fields.h"
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
  return edit_kustomization([&](Value& fields) { return render::set_images(fields, flags.arguments()); });
}

Result<void> kustomize_set_replicas(const Flags& flags) {
  if (flags.arguments().empty()) return wrong("no replicas specified");
  return edit_kustomization([&](Value& fields) { return render::set_replicas(fields, flags.arguments()); });
}

}  // namespace caisson::cli
