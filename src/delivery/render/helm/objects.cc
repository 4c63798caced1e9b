// SPDX-License-Identifier: Apache-2.0
// Source: Helm 3.22 pkg/engine (recAllTpls, files.go), pkg/chartutil (values.go, capabilities.go), pkg/chart.
#include "delivery/render/helm/objects.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/expr/go_template/function.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/template_order.h"

namespace caisson::render::helm {
namespace {

using go_template::Call;
using go_template::Datum;
using go_template::Function;
using go_template::Kind;
using go_template::List;
using go_template::Map;
using go_template::Method;
using go_template::Object;
using go_template::Ref;
using go_template::Type;

// A Go struct, or a pointer to one, whose fields are known when it is made.
class Record final : public Object {
 public:
  using Fields = std::vector<std::pair<std::string_view, Datum>>;
  Record(const Type& type, Fields fields, Value json)
      : type_(type), fields_(std::move(fields)), json_(std::move(json)) {}

  const Type& type() const override { return type_; }
  std::optional<Datum> field(std::string_view name) const override {
    for (const auto& [known, value] : fields_) {
      if (known == name) return value;
    }
    return std::nullopt;
  }
  std::vector<std::string_view> field_names() const override {
    std::vector<std::string_view> out;
    for (const auto& entry : fields_) out.push_back(entry.first);
    return out;
  }
  Result<Value> to_value() const override { return json_; }

 private:
  const Type& type_;
  Fields fields_;
  Value json_;
};

Datum record(const Type& type, Record::Fields fields, Value json) {
  return Datum(Ref<Object>(new Record(type, std::move(fields), std::move(json))));
}

Result<Datum> to_yaml(Call& call, Datum value) {
  const Function* function = go_template::find_function(go_template::helm_functions(), "toYaml");
  Call inner{call.execution, function->name, std::span(&value, 1)};
  return function->call(inner);
}

// --- chartutil.Values

std::optional<Datum> table_in(const Datum& values, std::string_view path, std::string& missing) {
  Datum at = values;
  for (const std::string_view part : split(path, '.')) {
    const Map* map = at.as_map();
    const auto found = map == nullptr ? std::nullopt : map->find(part);
    if (!found || found->kind() != Kind::map) {
      missing = part;
      return std::nullopt;
    }
    at = *found;
  }
  return at;
}

extern const Type kValues;

Result<Datum> values_as_map(Call& call) {
  if (call.receiver->size() == 0) return Datum(go_template::make<Map>());
  return call.receiver->with_type(go_template::kMap);
}

Result<Datum> values_table(Call& call) {
  std::string missing;
  const auto found = table_in(*call.receiver, call.text(0), missing);
  if (!found) return Error{ErrorCode::invalid, go_quote(missing) + " is not a table"};
  return found->with_type(kValues);
}

Result<Datum> values_path_value(Call& call) {
  const std::string_view path = call.text(0);
  if (path.empty()) return Error{ErrorCode::invalid, "YAML path cannot be empty"};
  const std::size_t dot = path.rfind('.');
  const std::string_view key = dot == std::string_view::npos ? path : path.substr(dot + 1);
  std::string missing;
  const auto table = dot == std::string_view::npos ? std::optional(*call.receiver)
                                                   : table_in(*call.receiver, path.substr(0, dot), missing);
  const auto found = table && table->as_map() != nullptr ? table->as_map()->find(key) : std::nullopt;
  if (!found || found->kind() == Kind::map) return Error{ErrorCode::invalid, go_quote(key) + " is not a value"};
  return *found;
}

Result<Datum> values_yaml(Call& call) {
  const Datum text = TRY(to_yaml(call, call.receiver->with_type(go_template::kMap)));
  return Datum(text.str() + "\n");
}

constexpr Method kValuesMethods[] = {
    {"AsMap", "", values_as_map},
    {"PathValue", "s", values_path_value},
    {"Table", "s", values_table},
    {"YAML", "", values_yaml},
};
constinit const Type kValues{Kind::map, "chartutil.Values", &go_template::kAny, kValuesMethods,
                             nullptr,   &go_template::kMap};

// --- engine.files

extern const Type kFiles;

std::string_view file_text(const Call& call, std::string_view name, Datum& holder) {
  const Map* files = call.receiver->as_map();
  const auto found = files == nullptr ? std::nullopt : files->find(name);
  if (!found) return {};
  holder = *found;
  return holder.as_string();
}

Result<Datum> files_get(Call& call) {
  Datum holder;
  return Datum(file_text(call, call.text(0), holder));
}

Result<Datum> files_get_bytes(Call& call) {
  Datum holder;
  return Datum::bytes(file_text(call, call.text(0), holder));
}

Result<Datum> files_glob(Call& call) {
  auto out = go_template::make<Map>();
  if (const Map* files = call.receiver->as_map()) {
    for (const auto& [name, data] : files->entries()) {
      if (file_glob_matches(call.text(0), name)) out->set(name, data);
    }
  }
  return Datum(std::move(out), kFiles);
}

Result<Datum> files_lines(Call& call) {
  Datum holder;
  std::string_view text = file_text(call, call.text(0), holder);
  if (text.empty()) return Datum::strings({});
  if (text.ends_with('\n')) text.remove_suffix(1);
  std::vector<std::string> lines;
  for (const std::string_view line : split(text, '\n')) lines.emplace_back(line);
  return Datum::strings(lines);
}

Result<Datum> files_as(Call& call, bool encoded) {
  auto out = go_template::make<Map>();
  if (const Map* files = call.receiver->as_map()) {
    for (const auto& [name, data] : files->entries())
      out->set(path_base(name), encoded ? Datum(base64(data.as_string())) : Datum(data.as_string()));
  }
  return to_yaml(call, Datum(std::move(out), go_template::kStringMap));
}
Result<Datum> files_as_config(Call& call) {
  return files_as(call, false);
}
Result<Datum> files_as_secrets(Call& call) {
  return files_as(call, true);
}

constexpr Method kFilesMethods[] = {
    {"AsConfig", "", files_as_config},  {"AsSecrets", "", files_as_secrets}, {"Get", "s", files_get},
    {"GetBytes", "s", files_get_bytes}, {"Glob", "s", files_glob},           {"Lines", "s", files_lines},
};
constinit const Type kFiles{Kind::map, "engine.files", &go_template::kBytes, kFilesMethods};

Datum files_of(const Chart& chart) {
  auto out = go_template::make<Map>();
  for (const File& file : chart.files->others) out->set(file.name, Datum::bytes(file.data));
  return Datum(std::move(out), kFiles);
}

// --- chartutil.Capabilities

std::string kube_version_text(const Datum& datum) {
  const auto version = datum.as_object()->field("Version");
  return version ? version->str() : std::string();
}
Result<Datum> kube_version_string(Call& call) {
  return Datum(kube_version_text(*call.receiver));
}
Result<Datum> version_set_has(Call& call) {
  const List* versions = call.receiver->as_list();
  if (versions == nullptr) return Datum(false);
  for (const Datum& version : versions->items()) {
    if (version.as_string() == call.text(0)) return Datum(true);
  }
  return Datum(false);
}

constexpr Method kKubeVersionMethods[] = {{"GitVersion", "", kube_version_string}, {"String", "", kube_version_string}};
constexpr Method kVersionSetMethods[] = {{"Has", "s", version_set_has}};
constinit const Type kKubeVersion{Kind::structure, "chartutil.KubeVersion", nullptr, kKubeVersionMethods,
                                  kube_version_text};
constinit const Type kVersionSet{Kind::slice, "chartutil.VersionSet", &go_template::kString, kVersionSetMethods};
constinit const Type kBuildInfo{Kind::structure, "version.BuildInfo"};
constinit const Type kCapabilities{Kind::pointer, "*chartutil.Capabilities"};

Datum capabilities_of(const Capabilities& from) {
  const KubeVersion& kube = from.kube_version;
  const Value kube_json{{"Version", kube.version}, {"Major", kube.major}, {"Minor", kube.minor}};
  const Value helm_json{{"version", kHelmVersion}, {"go_version", "go1.26"}};
  const Datum kube_datum =
      record(kKubeVersion, {{"Version", kube.version}, {"Major", kube.major}, {"Minor", kube.minor}}, kube_json);
  const Datum helm_datum =
      record(kBuildInfo, {{"Version", kHelmVersion}, {"GitCommit", ""}, {"GitTreeState", ""}, {"GoVersion", "go1.26"}},
             helm_json);
  std::vector<Datum> versions(from.api_versions.begin(), from.api_versions.end());
  const Datum versions_datum(go_template::make<List>(std::move(versions)), kVersionSet);
  return record(
      kCapabilities, {{"KubeVersion", kube_datum}, {"APIVersions", versions_datum}, {"HelmVersion", helm_datum}},
      Value{
          {"KubeVersion", kube_json}, {"APIVersions", Value::list_of(from.api_versions)}, {"HelmVersion", helm_json}});
}

// --- chart.Metadata

constinit const Type kChart{Kind::structure, "struct { chart.Metadata; IsRoot bool }"};
constinit const Type kMaintainer{Kind::pointer, "*chart.Maintainer"};
constinit const Type kMaintainers{Kind::slice, "[]*chart.Maintainer", &kMaintainer};
constinit const Type kDependency{Kind::pointer, "*chart.Dependency"};
constinit const Type kDependencies{Kind::slice, "[]*chart.Dependency", &kDependency};

Datum strings_of(const Value& list) {
  if (list.empty()) return Datum::nil_of(go_template::kStringList);
  std::vector<std::string> out;
  for (const Value& item : list.items()) out.push_back(item.str());
  return Datum::strings(out);
}

Datum records_of(std::vector<Datum> items, const Type& type) {
  if (items.empty()) return Datum::nil_of(type);
  return Datum(go_template::make<List>(std::move(items)), type);
}

Datum maintainers_of(const Value& list) {
  std::vector<Datum> out;
  for (const Value& one : list.items()) {
    out.push_back(record(
        kMaintainer,
        {{"Name", one["name"].as_string()}, {"Email", one["email"].as_string()}, {"URL", one["url"].as_string()}},
        one));
  }
  return records_of(std::move(out), kMaintainers);
}

Value dependency_json(const Dependency& from) {
  Value out{{"name", from.name}};
  if (!from.version.empty()) out.set("version", from.version);
  out.set("repository", from.repository);
  if (!from.condition.empty()) out.set("condition", from.condition);
  if (!from.tags.empty()) out.set("tags", Value::list_of(from.tags));
  if (from.enabled) out.set("enabled", true);
  if (!from.import_values.empty()) out.set("import-values", Value(from.import_values));
  if (!from.alias.empty()) out.set("alias", from.alias);
  return out;
}

Datum dependencies_of(const Metadata& metadata) {
  std::vector<Datum> out;
  for (const Dependency& one : metadata.dependencies) {
    out.push_back(record(kDependency,
                         {{"Name", one.name},
                          {"Version", one.version},
                          {"Repository", one.repository},
                          {"Condition", one.condition},
                          {"Tags", strings_of(Value::list_of(one.tags))},
                          {"Enabled", one.enabled},
                          {"ImportValues", Datum::from(Value(one.import_values))},
                          {"Alias", one.alias}},
                         dependency_json(one)));
  }
  return records_of(std::move(out), kDependencies);
}

Datum annotations_of(const Value& map) {
  if (map.empty()) return Datum::nil_of(go_template::kStringMap);
  auto out = go_template::make<Map>();
  for (const auto& [key, value] : map.entries()) out->set(key, Datum(value.as_string()));
  return Datum(std::move(out), go_template::kStringMap);
}

Datum chart_of(const Chart& chart, bool is_root) {
  const Value& fields = chart.metadata.fields;
  const auto text = [&](const char* name) { return Datum(fields[name].as_string()); };
  Value json = fields;
  if (!chart.metadata.dependencies.empty()) {
    Value dependencies = Value::list();
    for (const Dependency& one : chart.metadata.dependencies) dependencies.push_back(dependency_json(one));
    json.set("dependencies", std::move(dependencies));
  } else {
    json.erase("dependencies");
  }
  json.set("IsRoot", is_root);
  return record(kChart,
                {{"Name", text("name")},
                 {"Home", text("home")},
                 {"Sources", strings_of(fields["sources"])},
                 {"Version", text("version")},
                 {"Description", text("description")},
                 {"Keywords", strings_of(fields["keywords"])},
                 {"Maintainers", maintainers_of(fields["maintainers"])},
                 {"Icon", text("icon")},
                 {"APIVersion", text("apiVersion")},
                 {"Condition", text("condition")},
                 {"Tags", text("tags")},
                 {"AppVersion", text("appVersion")},
                 {"Deprecated", chart.metadata.deprecated},
                 {"Annotations", annotations_of(fields["annotations"])},
                 {"KubeVersion", text("kubeVersion")},
                 {"Dependencies", dependencies_of(chart.metadata)},
                 {"Type", text("type")},
                 {"IsRoot", is_root}},
                std::move(json));
}

// --- the whole

Datum release_of(const ReleaseInfo& release) {
  auto out = go_template::make<Map>();
  out->set("Name", release.name);
  out->set("Namespace", release.ns);
  out->set("IsUpgrade", release.is_upgrade);
  out->set("IsInstall", release.is_install);
  out->set("Revision", Datum::integer(release.revision));
  out->set("Service", "Helm");
  return Datum(std::move(out));
}

struct Builder {
  Datum release, capabilities;
  std::vector<Renderable> out;

  // Gives the chart's "." under the type that .Subcharts shows.
  Datum add(const Chart& chart, const Datum& values, const std::string& parent) {
    const std::string path = chart_path(chart, parent);
    auto subcharts = go_template::make<Map>();
    auto next = go_template::make<Map>();
    next->set("Chart", chart_of(chart, parent.empty()));
    next->set("Files", files_of(chart));
    next->set("Release", release);
    next->set("Capabilities", capabilities);
    next->set("Values", values.with_type(kValues));
    for (const Chart& child : chart.dependencies) {
      const auto theirs = values.as_map() == nullptr ? std::nullopt : values.as_map()->find(child.name());
      const bool table = theirs && theirs->as_map() != nullptr;
      subcharts->set(child.name(), add(child, table ? *theirs : Datum(go_template::make<Map>()), path));
    }
    next->set("Subcharts", Datum(subcharts));
    for (const File& file : chart.files->templates) {
      if (chart.metadata.is_library() || path_base(file.name).starts_with('_')) continue;
      out.push_back({template_path(path, file.name), Datum(next, kValues), path + "/templates"});
    }
    return Datum(std::move(next));
  }
};

}  // namespace

std::vector<Renderable> renderables(const Chart& chart, const Value& values, const ReleaseInfo& release,
                                    const Capabilities& capabilities) {
  Builder builder{release_of(release), capabilities_of(capabilities), {}};
  builder.add(chart, Datum::from(values), "");
  return std::move(builder.out);
}

void set_template(const Renderable& renderable) {
  auto entry = go_template::make<Map>();
  entry->set("Name", renderable.path);
  entry->set("BasePath", renderable.base_path);
  renderable.data.as_map()->set("Template", Datum(std::move(entry), kValues));
}

}  // namespace caisson::render::helm
