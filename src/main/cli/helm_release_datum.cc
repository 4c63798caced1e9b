// SPDX-License-Identifier: Apache-2.0
// A release as the templates of `get all --template` see it. Source: Helm 3.22 pkg/release (release.go, info.go,
// hook.go), pkg/chart (chart.go, metadata.go): names and kinds of the fields, and the methods that have no arguments.
#include <utility>
#include <vector>

#include "core/base/encoding.h"
#include "core/expr/go_template/execution.h"
#include "core/expr/go_template/time_object.h"
#include "main/cli/helm_release.h"

namespace caisson::cli {
namespace {

using namespace go_template;
using render::helm::Release;
using render::helm::ReleaseHook;

constexpr std::string_view kZeroTime = "0001-01-01T00:00:00Z";

// A pointer to a Go struct.
class Record final : public Object {
 public:
  using Fields = std::vector<std::pair<std::string_view, Datum>>;
  Record(const Type& type, Fields fields) : type_(type), fields_(std::move(fields)) {}

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

 private:
  const Type& type_;
  const Fields fields_;
};

Datum record(const Type& type, Record::Fields fields) {
  return Datum(Ref<Object>(new Record(type, std::move(fields))));
}

// The text of a value whose Go type is a named string: Status, HookEvent …
std::string text_of_named(const Datum& datum) {
  return datum.str();
}
Result<Datum> call_string(Call& call) {
  return Datum(call.receiver->as_string());
}
constexpr Method kStringMethods[] = {{"String", "", call_string}};
constinit const Type kStatus{Kind::string, "release.Status", nullptr, kStringMethods, text_of_named};
constinit const Type kPhase{Kind::string, "release.HookPhase", nullptr, kStringMethods, text_of_named};
constinit const Type kEvent{Kind::string, "release.HookEvent", nullptr, kStringMethods, text_of_named};
constinit const Type kEvents{Kind::slice, "[]release.HookEvent", &kEvent};
constinit const Type kDeletePolicy{Kind::string, "release.HookDeletePolicy", nullptr, kStringMethods, text_of_named};
constinit const Type kDeletePolicies{Kind::slice, "[]release.HookDeletePolicy", &kDeletePolicy};

// The chart's methods give fields of its metadata.
template <int kField>
Result<Datum> metadata_field(Call& call) {
  constexpr std::string_view kNames[] = {"Name", "AppVersion"};
  const auto metadata = call.receiver->as_object()->field("Metadata");
  return metadata->as_object()->field(kNames[kField]).value_or(Datum(""));
}
constexpr Method kChartMethods[] = {
    {"AppVersion", "", metadata_field<1>}, {"ChartFullPath", "", metadata_field<0>}, {"Name", "", metadata_field<0>}};

constinit const Type kRelease{Kind::pointer, "*release.Release"};
constinit const Type kInfo{Kind::pointer, "*release.Info"};
constinit const Type kHook{Kind::pointer, "*release.Hook"};
constinit const Type kHooks{Kind::slice, "[]*release.Hook", &kHook};
constinit const Type kExecution{Kind::structure, "release.HookExecution"};
constinit const Type kChart{Kind::pointer, "*chart.Chart", nullptr, kChartMethods};
constinit const Type kMetadata{Kind::pointer, "*chart.Metadata"};
constinit const Type kMaintainer{Kind::pointer, "*chart.Maintainer"};
constinit const Type kMaintainers{Kind::slice, "[]*chart.Maintainer", &kMaintainer};
constinit const Type kFile{Kind::pointer, "*chart.File"};
constinit const Type kFiles{Kind::slice, "[]*chart.File", &kFile};

Datum time_of(const std::string& rfc3339) {
  const auto parsed = parse_time(rfc3339.empty() ? std::string(kZeroTime) : rfc3339);
  return time_datum(calendar::GoTime::from(parsed.value_or(Time()), calendar::TimeZone::utc()));
}

Datum list_of(std::vector<Datum> items, const Type& type) {
  return Datum(make<List>(std::move(items)), type);
}

Datum named_strings(const std::vector<std::string>& texts, const Type& type) {
  std::vector<Datum> items;
  for (const std::string& text : texts) items.push_back(Datum::scalar(*type.element, Value(text)));
  return list_of(std::move(items), type);
}

Datum strings_of(const Value& list) {
  std::vector<std::string> out;
  for (const Value& item : list.items()) out.push_back(item.str());
  return Datum::strings(out);
}

Datum string_map(const auto& entries) {
  auto out = make<Map>();
  for (const auto& [key, value] : entries) out->set(key, Datum(std::string(value)));
  return Datum(std::move(out), kStringMap);
}

Datum metadata_of(const Value& from) {
  std::vector<Datum> maintainers;
  for (const Value& one : from["maintainers"].items())
    maintainers.push_back(
        record(kMaintainer, {{"Name", one["name"].str()}, {"Email", one["email"].str()}, {"URL", one["url"].str()}}));
  std::vector<std::pair<std::string, std::string>> annotations;
  for (const auto& [key, value] : from["annotations"].entries()) annotations.emplace_back(key, value.str());
  return record(kMetadata, {{"Name", from["name"].str()},
                            {"Home", from["home"].str()},
                            {"Sources", strings_of(from["sources"])},
                            {"Version", from["version"].str()},
                            {"Description", from["description"].str()},
                            {"Keywords", strings_of(from["keywords"])},
                            {"Maintainers", list_of(std::move(maintainers), kMaintainers)},
                            {"Icon", from["icon"].str()},
                            {"APIVersion", from["apiVersion"].str()},
                            {"Condition", from["condition"].str()},
                            {"Tags", from["tags"].str()},
                            {"AppVersion", from["appVersion"].str()},
                            {"Deprecated", from["deprecated"].as_bool()},
                            {"Annotations", string_map(annotations)},
                            {"KubeVersion", from["kubeVersion"].str()},
                            {"Type", from["type"].str()}});
}

// Files as a record keeps them: their data in base64.
Result<Datum> files_of(const Value& list) {
  std::vector<Datum> out;
  for (const Value& one : list.items()) {
    const std::string data = TRY(unbase64(one["data"].as_string()));
    out.push_back(record(kFile, {{"Name", one["name"].str()}, {"Data", Datum::bytes(data)}}));
  }
  return list_of(std::move(out), kFiles);
}

Result<Datum> chart_of(const Value& from) {
  const Datum templates = TRY(files_of(from["templates"]));
  const Datum files = TRY(files_of(from["files"]));
  const std::string schema = TRY(unbase64(from["schema"].as_string()));
  return record(kChart, {{"Metadata", metadata_of(from["metadata"])},
                         {"Templates", templates},
                         {"Values", Datum::from(with_json_numbers(from["values"]))},
                         {"Schema", Datum::bytes(schema)},
                         {"Files", files}});
}

Datum hook_of(const ReleaseHook& from) {
  const render::helm::Hook& hook = from.hook;
  return record(kHook, {{"Name", hook.name},
                        {"Kind", hook.manifest.kind()},
                        {"Path", hook.manifest.source},
                        {"Manifest", hook.manifest.content},
                        {"Events", named_strings(hook.events, kEvents)},
                        {"LastRun", record(kExecution, {{"StartedAt", time_of(from.started_at)},
                                                        {"CompletedAt", time_of(from.completed_at)},
                                                        {"Phase", Datum::scalar(kPhase, Value(from.phase))}})},
                        {"Weight", Datum::integer(hook.weight)},
                        {"DeletePolicies", named_strings(hook.delete_policies, kDeletePolicies)}});
}

Result<Datum> release_datum(const Release& release) {
  const Datum chart = TRY(chart_of(release.chart));
  std::vector<Datum> hooks;
  for (const ReleaseHook& hook : release.hooks) hooks.push_back(hook_of(hook));
  const Datum info = record(kInfo, {{"FirstDeployed", time_of(release.first_deployed)},
                                    {"LastDeployed", time_of(release.last_deployed)},
                                    {"Deleted", time_of(release.deleted)},
                                    {"Description", release.description},
                                    {"Status", Datum::scalar(kStatus, Value(release.status))},
                                    {"Notes", release.notes}});
  const Datum config = release.config.empty() ? Datum::nil_of(kMap) : Datum::from(with_json_numbers(release.config));
  return record(kRelease, {{"Name", release.name},
                           {"Info", info},
                           {"Chart", chart},
                           {"Config", config},
                           {"Manifest", release.manifest},
                           {"Hooks", list_of(std::move(hooks), kHooks)},
                           {"Version", Datum::integer(release.version)},
                           {"Namespace", release.ns},
                           {"Labels", string_map(release.labels)}});
}

}  // namespace

Result<std::string> release_by_template(const Release& release, const std::string& text) {
  Set set("_", {go_functions()});
  TRY(set.parse("_", text));
  auto data = make<Map>();
  data->set("Release", TRY(release_datum(release)));
  Execution execution(set, {});
  return execution.run("_", Datum(std::move(data)));
}

}  // namespace caisson::cli
