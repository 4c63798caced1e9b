// SPDX-License-Identifier: Apache-2.0
// helm status --show-resources. Source: Helm 3.22 cmd/helm/status.go and pkg/kube/client.go (Get); the tables are the
// API server's, set as kubectl's printer of tables sets them.
#include <algorithm>
#include <cctype>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/cli/helm_release.h"

namespace caisson::cli {
namespace {

using namespace render::helm;

constexpr std::string_view kTables = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
constexpr std::string_view kPods = "v1/Pod(related)";

// The labels that a workload's pods have, as its manifest says; empty for other kinds.
const Value& pod_selector(const kube::Object& object) {
  static constexpr std::string_view kWorkloads[] = {"ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job"};
  const Value& selector = object.spec()["selector"];
  if (object.kind() == "ReplicationController") return selector;
  const bool selects = std::find(std::begin(kWorkloads), std::end(kWorkloads), object.kind()) != std::end(kWorkloads);
  return selects ? selector["matchLabels"] : document::kNull;
}

std::string selector_text(Value labels) {
  labels.sort_keys(false);
  std::vector<std::string> out;
  for (const auto& [key, value] : labels.entries()) out.push_back(std::string(key) + "=" + value.scalar_text());
  return join(out, ",");
}

struct Reader {
  const HelmSession& session;
  const std::string_view accept;
  const bool tables;
  std::vector<ResourceGroup> groups = {};

  Result<Value> read(const std::string& path) const {
    const http::Response response = TRY(session.get(path, accept));
    return json::parse(response.body);
  }

  void add(const std::string& key, Value object) {
    auto found = std::find_if(groups.begin(), groups.end(), [&](const ResourceGroup& one) { return one.key == key; });
    if (found == groups.end()) found = groups.insert(groups.end(), {key, {}});
    found->objects.push_back(std::move(object));
  }

  Result<void> add_pods(const std::string& ns, const std::string& selector) {
    const Value pods =
        TRY(read("/api/v1/namespaces/" + percent_encode(ns) + "/pods?labelSelector=" + percent_encode(selector)));
    if (tables && pods["kind"].as_string() == "Table") {
      add(std::string(kPods), pods);
      return {};
    }
    for (Value pod : pods["items"].items()) add(std::string(kPods), pod.set("apiVersion", "v1").set("kind", "Pod"));
    return {};
  }
};

std::string cell_text(const Value& cell) {
  const std::string text = cell.scalar_text();
  const std::size_t line_end = text.find_first_of("\f\n\r");
  return line_end == std::string::npos ? text : text.substr(0, line_end) + "...";
}

std::string heading(std::string name) {
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

using Row = std::vector<std::string>;

// Three blanks behind the widest cell of a column, six columns at least; nothing behind the last.
std::string set_rows(const std::vector<Row>& rows) {
  constexpr std::size_t kGap = 3, kWidthMin = 6;
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), kWidthMin);
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]) + kGap);
  }
  std::string out;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - display_width(row[i]), ' ');
    }
    out += '\n';
  }
  return out;
}

// One table; its header unless the table before had the same columns (`columns`, which becomes this one's).
std::string table_text(const Value& table, Value& columns) {
  const Value& own = table["columnDefinitions"];
  const bool has_header = !(own == columns);
  if (!own.empty()) columns = own;
  if (table["rows"].empty()) return "";
  const auto shown = [&](std::size_t i) { return columns[i]["priority"].as_int() == 0; };
  std::vector<Row> rows(has_header ? 1 : 0);
  for (std::size_t i = 0; has_header && i < columns.size(); ++i) {
    if (shown(i)) rows[0].push_back(heading(columns[i]["name"].str()));
  }
  for (const Value& row : table["rows"].items()) {
    rows.emplace_back();
    for (std::size_t i = 0; i < row["cells"].size(); ++i) {
      if (shown(i)) rows.back().push_back(cell_text(row["cells"][i]));
    }
  }
  return set_rows(rows);
}

}  // namespace

Result<std::vector<ResourceGroup>> release_resources(const HelmSession& session, const Release& release, bool tables) {
  Cluster cluster(*session.session.client, nullptr, system_clock(), [](Duration) {});
  Reader reader{session, tables ? kTables : std::string_view("application/json"), tables};
  std::vector<std::string> selectors;
  for (const ClusterObject& one : TRY(cluster.build(release.manifest, release.ns))) {
    auto live = reader.read(one.resource.path(one.object.ns(), one.object.name()));
    if (!live.ok()) continue;  // as Helm: what is no longer there is left out
    reader.add(one.resource.version + "/" + one.resource.kind, *live);
    const std::string selector = selector_text(pod_selector(one.object));
    if (selector.empty() || std::find(selectors.begin(), selectors.end(), selector) != selectors.end()) continue;
    selectors.push_back(selector);
    TRY(reader.add_pods(one.object.ns(), selector));
  }
  return std::move(reader.groups);
}

std::string resources_text(const std::vector<ResourceGroup>& groups) {
  std::string out = "RESOURCES:\n";
  Value columns;
  for (const ResourceGroup& group : groups) {
    out += "==> " + group.key + "\n";
    for (const Value& table : group.objects) out += table_text(table, columns);
    out += "\n";
  }
  return groups.empty() ? "" : out + "\n";
}

}  // namespace caisson::cli
