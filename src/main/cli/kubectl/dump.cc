// SPDX-License-Identifier: Apache-2.0
// Follows kubectl 1.33, pkg/cmd/clusterinfo/clusterinfo_dump.go: what is dumped, in which order, under which names.
#include "main/cli/kubectl/dump.h"

#include <cstdio>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

namespace caisson::cli::kubectl {
namespace {

struct Kind {
  std::string_view file;
  const kube::Resource& resource;
};

// Where the parts of a dump go: each to a file of its own below a directory, or all to standard output.
class Dump {
 public:
  explicit Dump(const Call& call)
      : call_(call), directory_(call.text("output-directory")), format_(call.text("output", "json")) {
    if (directory_ == "-") directory_.clear();
  }

  Result<void> check() const {
    if (directory_.empty() || format_ == "json" || format_ == "yaml") return check_format(format_);
    return usage("with --output-directory the output format is json or yaml, not \"" + format_ + "\"");
  }

  Result<void> put(const std::string& name, Value list) const {
    if (directory_.empty()) return print_object(call_, list, format_);
    for (std::size_t i = 0; i < list["items"].size() && !call_.is_set("show-managed-fields"); ++i)
      list.edit("items").edit(i).edit("metadata").erase("managedFields");
    list.sort_keys();  // as print_object
    const std::string text =
        format_ == "json" ? json::write(list, {.indent = 4}) + "\n" : yaml::write(list);
    return put_file(name + "." + format_, text);
  }
  Result<void> put_text(const std::string& name, const std::string& text) const {
    if (!directory_.empty()) return put_file(name + ".txt", text);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return {};
  }

 private:
  Result<void> put_file(const std::string& name, const std::string& text) const {
    const std::string path = directory_ + "/" + name;
    TRY(make_dirs(path_dir(path)));
    return write_file(path, text);
  }

  const Call& call_;
  std::string directory_, format_;
};

// Each container's log between two lines that name it. A log that can't be had is told in its place.
std::string logs_of(const Call& call, const Value& pod) {
  const std::string ns = pod["metadata"]["namespace"].str(), name = pod["metadata"]["name"].str();
  std::string text;
  for (const char* list : {"initContainers", "containers"}) {
    for (const Value& container : pod["spec"][list].items()) {
      const std::string of = " logs for container " + container["name"].str() + " of pod " + ns + "/" + name + " ====\n";
      text += "==== START" + of;
      const auto log = call.http->send(call.session.request(
          "GET", schema::kPods.path(ns, name) + "/log?container=" + percent_encode(container["name"].as_string())));
      if (!log.ok()) {
        text += "Create log request error: " + log.error().message + "\n";
      } else if (log->status >= 400) {
        const auto status = json::parse(log->body);
        text += "Request log error: " + (status.ok() ? (*status)["message"].str() : log->body) + "\n";
      } else {
        text += log->body;
      }
      text += "==== END" + of;
    }
  }
  return text;
}

Result<void> dump_namespace(const Call& call, const Dump& dump, const std::string& ns) {
  const kube::Resource controllers{"", "v1", "ReplicationController", "replicationcontrollers"};
  const Kind kinds[] = {{"events", schema::kEvents},
                        {"replication-controllers", controllers},
                        {"services", schema::kServices},
                        {"daemonsets", schema::kDaemonSets},
                        {"deployments", schema::kDeployments},
                        {"replicasets", schema::kReplicaSets},
                        {"pods", schema::kPods}};
  Value pods;
  for (const Kind& kind : kinds) {
    pods = TRY(get(call, kind.resource.path(ns)));
    TRY(dump.put(ns + "/" + std::string(kind.file), pods));
  }
  for (const Value& pod : pods["items"].items())
    TRY(dump.put_text(ns + "/" + pod["metadata"]["name"].str() + "/logs", logs_of(call, pod)));
  return {};
}

Result<std::vector<std::string>> namespaces(const Call& call) {
  std::vector<std::string> out = call.flags.all("namespaces");
  if (call.all_namespaces()) {
    out.clear();
    const Value all = TRY(get(call, schema::kNamespaces.path("")));
    for (const Value& ns : all["items"].items()) out.push_back(ns["metadata"]["name"].str());
  } else if (out.empty()) {
    out = {"kube-system", call.session.ns};
  }
  return out;
}

}  // namespace

Result<int> run_dump(Call& call) {
  const Dump dump(call);
  TRY(dump.check());
  Value nodes = TRY(get(call, schema::kNodes.path("")));
  TRY(dump.put("nodes", std::move(nodes)));
  const std::vector<std::string> wanted = TRY(namespaces(call));
  for (const std::string& ns : wanted) TRY(dump_namespace(call, dump, ns));
  const std::string to = call.text("output-directory", "standard output");
  if (to != "-") std::printf("Cluster info dumped to %s\n", to.c_str());
  return 0;
}

}  // namespace caisson::cli::kubectl
