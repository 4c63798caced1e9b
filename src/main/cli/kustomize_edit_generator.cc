// SPDX-License-Identifier: Apache-2.0
// `caisson kustomize edit add|set configmap|secret`. Source: kustomize v5.8, commands/edit/add and set.
#include <algorithm>

#include "core/base/text.h"
#include "delivery/render/kustomize/edit_generators.h"
#include "delivery/render/render.h"
#include "main/cli/kustomize_commands.h"

namespace caisson::cli {
namespace {

Error wrong(std::string why) {
  return Error{ErrorCode::bad_request, std::move(why)};
}

struct Kind {
  const char* field;
  std::string name;   // "configmap"
  std::string title;  // "ConfigMap"
  bool secret;
};
const Kind& config_map() {
  static const Kind kKind{"configMapGenerator", "configmap", "ConfigMap", false};
  return kKind;
}
const Kind& secret() {
  static const Kind kKind{"secretGenerator", "secret", "Secret", true};
  return kKind;
}

// "[key=]pattern": with a key the pattern names one file.
Result<std::vector<std::string>> file_sources(const std::vector<std::string>& given) {
  std::vector<std::string> out;
  for (const std::string& source : given) {
    const std::vector<std::string_view> parts = split(source, '=');
    const std::string pattern(parts.size() == 2 ? parts[1] : parts[0]);
    const std::vector<std::string> files = files_matching({pattern});
    if (parts.size() != 2) {
      out.insert(out.end(), files.begin(), files.end());
      continue;
    }
    if (files.size() != 1) {
      return wrong("failed to expand file source: 'pattern '" + source + "' catches files [" + join(files, " ") +
                   "], should catch only one");
    }
    out.push_back(std::string(parts[0]) + "=" + files[0]);
  }
  return out;
}

struct Sources {
  std::string name, env;
  std::vector<std::string> files, literals;
};

Result<Sources> sources_of(const Flags& flags) {
  Sources sources;
  sources.files = TRY(file_sources(flags.all("from-file")));
  sources.literals = flags.all("from-literal");
  sources.env = flags.text("from-env-file");
  if (flags.arguments().size() != 1) return wrong("failed to validate flags: name must be specified once");
  sources.name = flags.arguments()[0];
  if (sources.env.empty() && sources.files.empty() && sources.literals.empty())
    return wrong("failed to validate flags: at least from-env-file, or from-file or from-literal must be set");
  if (!sources.env.empty() && !(sources.files.empty() && sources.literals.empty()))
    return wrong("failed to validate flags: from-env-file cannot be combined with from-file or from-literal");
  const std::string behavior = flags.text("behavior");
  if (!behavior.empty() && behavior != "create" && behavior != "merge" && behavior != "replace")
    return wrong("failed to validate flags: invalid behavior: must be one of \"create\", \"merge\", or \"replace\"");
  return sources;
}

// The generator of that name and namespace in the list; its size when there is none.
std::size_t find_generator(const Value& list, std::string_view name, std::string_view ns) {
  std::size_t at = 0;
  while (at < list.size() &&
         !(list[at]["name"].as_string() == name && same_namespace(list[at]["namespace"].as_string(), ns)))
    ++at;
  return at;
}

// Takes generatorOptions in, as kustomize does, and tries whether the object can be made.
Result<void> finish(Value& generator, const Value& fields, const Kind& kind) {
  if (!fields["generatorOptions"].is_null())
    generator.set("options", render::with_generator_options(generator["options"], fields["generatorOptions"]));
  const auto files = render::disk_source(".");
  return render::check_generator(*files, generator, kind.secret);
}

Result<void> add_generator(const Flags& flags, const Kind& kind) {
  const Sources sources = TRY(sources_of(flags));
  return edit_kustomization([&](Value& fields) -> Result<void> {
    Value& list = fields.edit(kind.field);
    const std::string ns = flags.text("namespace");
    const std::size_t at = find_generator(list, sources.name, ns);
    if (at == list.size()) {
      Value made{{"name", Value(sources.name)}, {"namespace", Value(ns)}};
      if (kind.secret) made.set("type", Value(flags.text("type", "Opaque")));
      list.push_back(std::move(made));
    }
    Value generator = list[at];
    for (const std::string& literal : sources.literals) generator.edit("literals").push_back(Value(literal));
    for (const std::string& file : sources.files) generator.edit("files").push_back(Value(file));
    if (!sources.env.empty()) generator.edit("envs").push_back(Value(sources.env));
    if (flags.is_set("disableNameSuffixHash")) generator.set("options", Value{{"disableNameSuffixHash", true}});
    if (flags.has("behavior")) generator.set("behavior", Value(flags.text("behavior")));
    TRY(finish(generator, fields, kind).in("failed to create " + kind.name));
    fields.edit(kind.field).edit(at) = std::move(generator);
    return {};
  });
}

Result<std::pair<std::string, std::string>> literal_pair(std::string_view text) {
  if (std::count(text.begin(), text.end(), '=') != 1)
    return wrong("failed to update resource: invalid format: literal values must be specified in the key=value format");
  const std::size_t equals = text.find('=');
  return std::pair{std::string(text.substr(0, equals)), std::string(text)};
}

// New values for literals that are there.
Result<void> update_literals(Value& generator, const std::vector<std::string>& given) {
  std::vector<std::pair<std::string, std::string>> have;
  for (const Value& literal : generator["literals"].items()) have.push_back(TRY(literal_pair(literal.as_string())));
  for (const std::string& text : given) {
    const auto pair = TRY(literal_pair(text));
    const auto known = std::find_if(have.begin(), have.end(), [&](const auto& one) { return one.first == pair.first; });
    if (known == have.end()) return wrong("key '" + pair.first + "' not found in resource");
    known->second = pair.second;
  }
  Value literals = Value::list();
  for (const auto& [key, text] : have) literals.push_back(Value(text));
  generator.set("literals", std::move(literals));
  return {};
}

Result<void> set_generator(const Flags& flags, const Kind& kind) {
  if (flags.arguments().size() != 1) return wrong("failed to validate flags: name must be specified once");
  const std::string name = flags.arguments()[0], to_ns = flags.text("new-namespace");
  const std::vector<std::string> literals = flags.all("from-literal");
  if (literals.empty() && to_ns.empty())
    return wrong("failed to validate flags: at least one of [--from-literal, --new-namespace] must be specified");
  return edit_kustomization([&](Value& fields) -> Result<void> {
    const std::size_t at = find_generator(fields[kind.field], name, flags.text("namespace"));
    if (at == fields[kind.field].size()) {
      return wrong("failed to create " + kind.name + ": could not set new " + kind.title + " value: unable to find " +
                   kind.title + " with name \"" + name + "\"");
    }
    Value generator = fields[kind.field][at];
    if (!literals.empty()) TRY(update_literals(generator, literals).in("failed to update literal sources"));
    if (!to_ns.empty()) generator.set("namespace", Value(to_ns));
    TRY(finish(generator, fields, kind).in("failed to validate " + kind.title + " structure"));
    fields.edit(kind.field).edit(at) = std::move(generator);
    return {};
  });
}

}  // namespace

Result<void> kustomize_add_config_map(const Flags& flags) {
  return add_generator(flags, config_map());
}
Result<void> kustomize_add_secret(const Flags& flags) {
  return add_generator(flags, secret());
}
Result<void> kustomize_set_config_map(const Flags& flags) {
  return set_generator(flags, config_map());
}
Result<void> kustomize_set_secret(const Flags& flags) {
  return set_generator(flags, secret());
}

}  // namespace caisson::cli
