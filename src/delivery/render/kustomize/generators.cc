// SPDX-License-Identifier: Apache-2.0
// ConfigMaps and Secrets made of literals, files and env files, and the hash of their contents in their names.
#include <algorithm>
#include <set>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/render/kustomize/edit_generators.h"
#include "delivery/render/kustomize/fields.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

struct Pair {
  std::string key, value;
};

Error wrong(const Target& target, const std::string& field, const std::string& why) {
  return Error{ErrorCode::invalid, target.kustomization.file + ": " + field + ": " + why};
}

std::string without_quotes(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.front() == text.back() && (text.front() == '"' || text.front() == '\'');
  return std::string(quoted ? text.substr(1, text.size() - 2) : text);
}

Result<void> from_env_file(const Target& target, const std::string& path, const std::string& field,
                           std::vector<Pair>& out) {
  std::string text = TRY(target.read(path, field));
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.front()))) line.remove_prefix(1);
    if (line.empty() || line[0] == '#') continue;
    if (!is_valid_utf8(line)) return wrong(target, field, path + ": a line that is not UTF-8");
    const std::size_t equals = line.find('=');
    const std::string key(line.substr(0, equals));
    out.push_back({key, equals == std::string_view::npos ? "" : std::string(line.substr(equals + 1))});
  }
  return {};
}

Result<void> from_literal(const Target& target, const std::string& source, const std::string& field,
                          std::vector<Pair>& out) {
  const std::size_t equals = source.find('=');
  if (equals == 0 || equals == std::string::npos) return wrong(target, field, "\"" + source + "\" must be key=value");
  out.push_back({source.substr(0, equals), without_quotes(std::string_view(source).substr(equals + 1))});
  return {};
}

Result<void> from_file(const Target& target, const std::string& source, const std::string& field,
                       std::vector<Pair>& out) {
  const auto count = std::count(source.begin(), source.end(), '=');
  if (count > 1) return wrong(target, field, "\"" + source + "\": key or file name holds '='");
  const std::size_t equals = source.find('=');
  const std::string key = count == 0 ? path_base(source) : source.substr(0, equals);
  const std::string path = count == 0 ? source : source.substr(equals + 1);
  if (key.empty() || path.empty()) return wrong(target, field, "\"" + source + "\" must be a path or key=path");
  std::string text = TRY(target.read(path, field));
  out.push_back({key, std::move(text)});
  return {};
}

Result<std::vector<Pair>> pairs_of(const Target& target, const Value& args, const std::string& field) {
  using Reader = Result<void> (*)(const Target&, const std::string&, const std::string&, std::vector<Pair>&);
  static constexpr std::pair<const char*, Reader> kSources[] = {
      {"envs", from_env_file}, {"literals", from_literal}, {"files", from_file}};
  std::vector<Pair> out;
  for (const auto& [name, reader] : kSources) {
    const Value& list = args[name];
    for (std::size_t i = 0; i < list.size(); ++i) {
      TRY(reader(target, list[i].str(), field + "." + name + "[" + std::to_string(i) + "]", out));
    }
  }
  // Whether a key is one that a ConfigMap may have is the API server's to say, as with kustomize.
  std::set<std::string> keys;
  for (const Pair& pair : out) {
    if (!keys.insert(pair.key).second) return wrong(target, field, "the key " + pair.key + " is there twice");
  }
  std::sort(out.begin(), out.end(), [](const Pair& a, const Pair& b) { return a.key < b.key; });
  return out;
}

// Lines of 70 characters when it is longer than one, as kustomize writes base64.
std::string wrapped_base64(std::string_view bytes) {
  constexpr std::size_t kLine = 70;
  const std::string text = base64(bytes);
  if (text.size() < kLine) return text;
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += kLine) out += text.substr(i, kLine) + "\n";
  return out;
}

Result<Resource> base_of(const Target& target, const char* kind, const Value& args, const std::string& field) {
  const std::string name = args["name"].str();
  if (name.empty()) return wrong(target, field + ".name", "must be set");
  Resource made;
  made.object = Value{{"apiVersion", "v1"}, {"kind", kind}, {"metadata", Value{{"name", Value(name)}}}};
  if (!args["namespace"].as_string().empty()) made.object.edit({"metadata", "namespace"}) = args["namespace"];
  const Value options = with_generator_options(args["options"], target.kustomization.fields["generatorOptions"]);
  for (const char* map : {"labels", "annotations"}) {
    for (const char* word : {"true", "false"}) {
      if (options[map].contains(word))
        return wrong(target, field + ".options." + map, std::string("a key reads as the boolean ") + word);
    }
    if (!options[map].empty()) made.object.edit({"metadata", map}) = options[map];
  }
  if (options["immutable"].as_bool()) made.object.set("immutable", true);
  made.needs_hash = !options["disableNameSuffixHash"].as_bool();
  made.behavior = args["behavior"].str();
  made.file = target.kustomization.file;
  if (!made.behavior.empty() && made.behavior != "create" && made.behavior != "merge" && made.behavior != "replace") {
    return wrong(target, field + ".behavior", "must be create, merge or replace");
  }
  return made;
}

Value origin_of(const Target& target, const char* generator) {
  return target.own_file().of_configuration(Value{{"apiVersion", "builtin"}, {"kind", generator}});
}

Value sorted(Value value) {
  value.sort_keys();
  return value;
}

// As kubectl/pkg/util/hash: kind, name and data count; but kustomize never finds the name (it looks for a field
// "metadata/name"), so it counts as empty.
std::string content_hash(const Value& object) {
  const auto or_empty = [&](const char* field) { return object.contains(field) ? object[field] : Value(""); };
  Value counted = Value{{"kind", object["kind"]}, {"name", ""}, {"data", or_empty("data")}};
  if (object["kind"].as_string() == "ConfigMap") {
    if (object["binaryData"].is_map()) counted.set("binaryData", object["binaryData"]);
  } else if (object["kind"].as_string() == "Secret") {
    counted.set("type", or_empty("type"));
    if (object["stringData"].is_map()) counted.set("stringData", object["stringData"]);
  } else {
    counted = object;
  }
  std::string hash = sha256_hex(json::write(sorted(counted), {.escape_html = true})).substr(0, 10);
  for (char& c : hash) {
    const std::size_t at = std::string_view("013ae").find(c);
    if (at != std::string_view::npos) c = "ghkmt"[at];
  }
  return hash;
}

}  // namespace

Result<Resource> generate_config_map(const Target& target, const Value& args, const std::string& field) {
  Resource made = TRY(base_of(target, "ConfigMap", args, field));
  const std::vector<Pair> pairs = TRY(pairs_of(target, args, field));
  for (const Pair& pair : pairs) {
    if (is_valid_utf8(pair.value))
      made.object.edit("data").set(pair.key, Value(pair.value));
    else
      made.object.edit("binaryData").set(pair.key, Value(wrapped_base64(pair.value)));
  }
  return made;
}

Result<Resource> generate_secret(const Target& target, const Value& args, const std::string& field) {
  Resource made = TRY(base_of(target, "Secret", args, field));
  const std::vector<Pair> pairs = TRY(pairs_of(target, args, field));
  made.object.set("type", args["type"].as_string().empty() ? Value("Opaque") : args["type"]);
  made.object.set("data", Value::map());
  for (const Pair& pair : pairs) made.object.edit("data").set(pair.key, Value(wrapped_base64(pair.value)));
  return made;
}

namespace {

Result<void> run_chart(const Target& target, Value chart, const Value& globals, const std::string& at,
                       ResourceMap& resources) {
  if (chart["namespace"].as_string().empty()) {
    const std::string own = target.kustomization.fields["namespace"].str();
    chart.set("namespace", own.empty() ? target.chart_namespace : own);
  }
  auto made = inflate_chart(target, chart, globals);
  if (!made.ok()) return target.at(at, std::move(made).error());
  for (Resource& resource : std::move(made).value()) {
    if (target.build.traces_origins()) resource.origin = origin_of(target, "HelmChartInflationGenerator");
    auto absorbed = resources.absorb(std::move(resource));
    if (!absorbed.ok()) return target.at(at, std::move(absorbed).error());
  }
  return {};
}

Result<void> run_charts(const Target& target, ResourceMap& resources) {
  const Value& fields = target.kustomization.fields;
  Value globals = fields["helmGlobals"];
  const Value& old = fields["helmChartInflationGenerator"];
  for (const Value& one : old.items()) {
    if (!one["chartHome"].as_string().empty()) globals.set("chartHome", one["chartHome"]);
    if (!one["helmHome"].as_string().empty()) globals.set("configHome", one["helmHome"]);
  }
  const auto at = [](const char* field, std::size_t i) { return std::string(field) + "[" + std::to_string(i) + "]"; };
  for (std::size_t i = 0; i < fields["helmCharts"].size(); ++i)
    TRY(run_chart(target, fields["helmCharts"][i], globals, at("helmCharts", i), resources));
  for (std::size_t i = 0; i < old.size(); ++i)
    TRY(run_chart(target, modern_chart(old[i]), globals, at("helmChartInflationGenerator", i), resources));
  return {};
}

}  // namespace

Result<void> run_generators(const Target& target, ResourceMap& resources) {
  const Value& fields = target.kustomization.fields;
  struct Generator {
    const char* field;
    const char* name;
    Result<Resource> (*make)(const Target&, const Value&, const std::string&);
  };
  static constexpr Generator kGenerators[] = {{"configMapGenerator", "ConfigMapGenerator", generate_config_map},
                                              {"secretGenerator", "SecretGenerator", generate_secret}};
  for (const auto& [field, name, make] : kGenerators) {
    for (std::size_t i = 0; i < fields[field].size(); ++i) {
      const std::string at = std::string(field) + "[" + std::to_string(i) + "]";
      Resource made = TRY(make(target, fields[field][i], at));
      if (target.build.traces_origins()) made.origin = origin_of(target, name);
      auto absorbed = resources.absorb(std::move(made));
      if (!absorbed.ok()) return target.at(at, std::move(absorbed).error());
    }
  }
  return run_charts(target, resources);
}

void add_hashes(ResourceMap& resources) {
  for (Resource& resource : resources.all()) {
    if (!resource.needs_hash) continue;
    const std::string hash = content_hash(resource.object);
    resource.remember_id();
    resource.set_name(resource.name() + "-" + hash);
  }
}

}  // namespace caisson::render::kustomize_impl
