// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/repository/index.h"

#include <algorithm>
#include <optional>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/expr/go_template/semver.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/repository/url.h"

namespace caisson::render::helm {
namespace {

using go_template::Version;

// Newer before older; what is no version comes last, in the order it had.
bool is_newer(const std::optional<Version>& a, const std::optional<Version>& b) {
  if (!a || !b) return a && !b;
  return a->compare(*b) > 0;
}

Result<ChartVersion> read_entry(const Value& from) {
  ChartVersion out;
  TRY(read_metadata(from, out.metadata));
  if (out.metadata.fields.is_null()) out.metadata.fields = Value::map();
  for (const Value& url : from["urls"].items()) out.urls.push_back(url.str());
  out.created = from["created"].scalar_text();
  out.digest = from["digest"].scalar_text();
  out.removed = from["removed"].as_bool();
  if (out.metadata.api_version.empty()) {
    out.metadata.api_version = "v1";
    out.metadata.fields.set("apiVersion", "v1");
  }
  return out;
}

// Repositories that drop aliases make two dependencies of one name: Helm lets those pass.
bool is_skippable(const Error& error) {
  return error.message.starts_with("validation: more than one dependency with name or alias");
}

Value entry_document(const ChartVersion& version) {
  Value out = version.metadata.fields;
  out.set("urls", Value::list_of(version.urls));
  out.set("created", version.created.empty() ? "0001-01-01T00:00:00Z" : version.created);
  if (version.removed) out.set("removed", true);
  if (!version.digest.empty()) out.set("digest", version.digest);
  return out;
}

Result<void> add_archives(const std::string& folder, const std::string& url, Time now, Index& index) {
  for (const std::string& name : TRY(list_dir(folder))) {
    if (!name.ends_with(".tgz") || name.starts_with('.')) continue;
    const std::string bytes = TRY(read_file(path_join(folder, name), LoadLimits{}.chart_bytes_max));
    std::vector<std::string> warnings;
    const auto chart = load_archive(bytes, warnings);
    if (!chart.ok()) continue;  // no chart: left out, as in Helm
    ChartVersion version;
    version.metadata = chart->metadata;
    version.urls = {url.empty() ? name : url_join(url, name)};
    version.created = format_time_nanos(now);
    version.digest = sha256_hex(bytes);
    index.entries[chart->name()].push_back(std::move(version));
  }
  return {};
}

}  // namespace

Result<const ChartVersion*> Index::find(const std::string& name, const std::string& constraint) const {
  const auto found = entries.find(name);
  if (found == entries.end()) return Error{ErrorCode::not_found, "no chart name found"};
  if (found->second.empty()) return Error{ErrorCode::not_found, "no chart version found"};
  const auto range = TRY(go_template::Constraint::parse(constraint.empty() ? "*" : constraint));
  for (const ChartVersion& version : found->second) {
    if (!constraint.empty() && version.metadata.version == constraint) return &version;
  }
  for (const ChartVersion& version : found->second) {
    const auto parsed = Version::parse(version.metadata.version);
    if (parsed.ok() && range.check(*parsed)) return &version;
  }
  return Error{ErrorCode::not_found, "no chart version found for " + name + "-" + constraint};
}

void Index::sort() {
  for (auto& [name, versions] : entries) {
    std::vector<std::pair<std::optional<Version>, ChartVersion>> keyed;
    keyed.reserve(versions.size());
    for (ChartVersion& version : versions) {
      auto parsed = Version::parse(version.metadata.version);
      keyed.emplace_back(parsed.ok() ? std::optional(std::move(parsed).value()) : std::nullopt, std::move(version));
    }
    std::stable_sort(keyed.begin(), keyed.end(),
                     [](const auto& a, const auto& b) { return is_newer(a.first, b.first); });
    for (std::size_t i = 0; i < keyed.size(); ++i) versions[i] = std::move(keyed[i].second);
  }
}

void Index::merge(const Index& other) {
  for (const auto& [key, versions] : other.entries) {
    for (const ChartVersion& version : versions) {
      if (!find(version.metadata.name, version.metadata.version).ok())
        entries[version.metadata.name].push_back(version);
    }
  }
}

Value Index::document() const {
  Value charts = Value::map();
  for (const auto& [name, versions] : entries) {
    Value list = Value::list();
    for (const ChartVersion& version : versions) list.push_back(entry_document(version));
    charts.set(name, std::move(list));
  }
  Value out{{"apiVersion", api_version}, {"generated", generated}, {"entries", std::move(charts)}};
  if (!public_keys.empty()) out.set("publicKeys", public_keys);
  if (!annotations.empty()) out.set("annotations", annotations);
  return out;
}

Result<Index> parse_index(std::string_view text, const std::string& source, std::vector<std::string>& warnings) {
  if (text.empty()) return Error{ErrorCode::invalid, "empty index.yaml file"};
  auto as_json = json::parse(text);
  const Value document = as_json.ok() ? std::move(as_json).value() : TRY(read_yaml(text, false));
  if (!document.is_map() && !document.is_null())
    return Error{ErrorCode::invalid, "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal " +
                                         go_json_kind(document) + " into Go value of type repo.IndexFile"};
  Index index;
  index.api_version = document["apiVersion"].str();
  index.generated = document["generated"].scalar_text();
  index.public_keys = document["publicKeys"];
  index.annotations = document["annotations"];
  for (const auto& [name, versions] : document["entries"].entries()) {
    std::vector<ChartVersion>& out = index.entries[std::string(name)];
    const std::string skipping = "skipping loading invalid entry for chart " + go_quote(name) + " ";
    for (const Value& one : versions.items()) {
      if (one.is_null()) {
        warnings.push_back(skipping + "from " + source + ": empty entry");
        continue;
      }
      ChartVersion version = TRY(read_entry(one));
      if (const auto valid = check_metadata(version.metadata); !valid.ok() && !is_skippable(valid.error())) {
        warnings.push_back(skipping + go_quote(version.metadata.version) + " from " + source + ": " +
                           valid.error().message);
        continue;
      }
      out.push_back(std::move(version));
    }
  }
  if (index.api_version.empty()) return Error{ErrorCode::invalid, "no API version specified"};
  index.sort();
  return index;
}

Result<Index> read_index(const std::string& path, std::vector<std::string>& warnings) {
  const auto text = read_file(path, kIndexBytesMax);
  if (!text.ok() && text.error().code == ErrorCode::not_found)
    return Error{ErrorCode::not_found, "open " + path + ": no such file or directory"};
  return parse_index(TRY(Result<std::string>(text)), path, warnings).in("error loading " + path);
}

Result<Index> index_directory(const std::string& folder, const std::string& url, Time now) {
  Index index;
  index.generated = format_time_nanos(now);
  const auto names = list_dir(folder);
  if (!names.ok()) return index;  // Helm indexes what a glob finds: of a folder that is not there, nothing
  TRY(add_archives(folder, url, now, index));
  for (const std::string& name : *names) {
    const std::string below = path_join(folder, name);
    if (!name.starts_with('.') && is_directory(below))
      TRY(add_archives(below, url.empty() ? name : url_join(url, name), now, index));
  }
  return index;
}

std::string write_index(const Index& index, bool as_json) {
  if (as_json) return json::write(index.document(), {.indent = 2, .escape_html = true});
  return yaml::write(index.document(), {.sort_keys = true});
}

}  // namespace caisson::render::helm
