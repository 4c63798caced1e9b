// SPDX-License-Identifier: Apache-2.0
// `caisson app`: the live objects of an Application: get-resource, patch-resource, delete-resource, manifests, and the
// tree of what they own.
#include <algorithm>
#include <cstdio>
#include <map>

#include "cluster/schema/resource.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/cli/app_commands.h"

namespace caisson::cli {
namespace {

struct Live {
  kube::Resource resource;
  kube::Object object;
};

bool fits(const std::string& want, const Value& have) {
  return want.empty() || want == have.as_string();
}

// Those of status.resources that the flags choose and that are there.
Result<std::vector<Live>> live_objects(const AppSession& app, const AppArguments& arguments) {
  const kube::Object application = TRY(app.get(arguments.words[0]));
  std::vector<Live> out;
  for (const Value& entry : application.status()["resources"].items()) {
    if (!fits(arguments.kind, entry["kind"]) || !fits(arguments.resource_name, entry["name"]) ||
        !fits(arguments.group, entry["group"]) || !fits(arguments.resource_ns, entry["namespace"]))
      continue;
    const std::string group = entry["group"].str();
    kube::Resource resource = TRY(app.session.client->resource_for(
        (group.empty() ? "" : group + "/") + entry["version"].str(), entry["kind"].str()));
    auto live = app.session.client->get(resource, {entry["namespace"].str(), entry["name"].str()});
    if (live.ok())
      out.push_back({std::move(resource), std::move(live).value()});
    else if (live.error().code != ErrorCode::not_found)  // Missing
      return std::move(live).error();
  }
  return out;
}

// One, unless --all. Errors: not_found; bad_request when several fit.
Result<std::vector<Live>> chosen_objects(const AppSession& app, const AppArguments& arguments) {
  if (arguments.kind.empty()) return Error{ErrorCode::bad_request, "--kind is needed"};
  auto found = TRY(live_objects(app, arguments));
  if (found.empty()) return Error{ErrorCode::not_found, "no resource of the Application fits"};
  if (found.size() > 1 && !arguments.all)
    return Error{ErrorCode::bad_request, std::to_string(found.size()) +
                                             " resources fit: --resource-name, --namespace "
                                             "and --group say which, --all means all"};
  return found;
}

// "status.podIP" of every object.
const Value& field_of(const Value& object, const std::string& path) {
  const Value* at = &object;
  for (const std::string_view part : split(path, '.')) at = &(*at)[part];
  return *at;
}

std::string shown(const Value& value) {
  return value.is_map() || value.is_list() ? json::write(value) : value.scalar_text();
}

// What a live object may own, in the namespaces of an Application.
constexpr std::pair<std::string_view, std::string_view> kOwned[] = {
    {"apps/v1", "ReplicaSet"}, {"apps/v1", "ControllerRevision"}, {"v1", "Pod"},
    {"batch/v1", "Job"},       {"v1", "PersistentVolumeClaim"},   {"discovery.k8s.io/v1", "EndpointSlice"}};

class TreePrinter {
 public:
  TreePrinter(const AppSession& app, bool detailed) : app_(app), detailed_(detailed) {}

  Result<void> run(const kube::Object& application) {
    std::vector<kube::Object> roots;
    for (const Value& entry : application.status()["resources"].items()) {
      const std::string group = entry["group"].str(), ns = entry["namespace"].str();
      const kube::Resource resource = TRY(app_.session.client->resource_for(
          (group.empty() ? "" : group + "/") + entry["version"].str(), entry["kind"].str()));
      auto live = app_.session.client->get(resource, {ns, entry["name"].str()});
      if (!ns.empty() && !children_.contains(ns)) TRY(read_owned(ns));
      told_[entry["kind"].str() + "/" + entry["name"].str()] =
          entry["status"].str() + " " + entry["health"]["status"].str() + " " + entry["health"]["message"].str();
      if (live.ok())
        roots.push_back(std::move(live).value());
      else
        std::printf("%s/%s  %s\n", entry["kind"].str().c_str(), entry["name"].str().c_str(), "Missing");
    }
    for (std::size_t i = 0; i < roots.size(); ++i) print(roots[i], "", i + 1 == roots.size());
    return {};
  }

 private:
  Result<void> read_owned(const std::string& ns) {
    auto& of_namespace = children_[ns];
    for (const auto& [version, kind] : kOwned) {
      const auto resource = app_.session.client->resource_for(version, kind);
      if (!resource.ok()) continue;  // not of this cluster
      kube::ListOptions options;
      options.ns = ns;
      for (kube::Object& one : TRY(app_.session.client->list(*resource, options)).items) {
        for (const Value& owner : one.metadata()["ownerReferences"].items())
          of_namespace[owner["uid"].str()].push_back(one);
      }
    }
    return {};
  }

  void print(const kube::Object& object, const std::string& indent, bool last) {
    const std::string name = object.kind() + "/" + object.name();
    std::string line = indent + (last ? "└── " : "├── ") + name;
    if (const auto told = told_.find(name); told != told_.end()) line += "  " + told->second;
    if (detailed_) {
      line += "  " + object.metadata()["creationTimestamp"].str();
      if (!object.status()["phase"].as_string().empty()) line += "  " + object.status()["phase"].str();
    }
    while (line.ends_with(' ')) line.pop_back();
    std::printf("%s\n", line.c_str());
    const auto& all = children_[object.ns()];
    const auto found = all.find(object.uid());
    if (found == all.end()) return;
    for (std::size_t i = 0; i < found->second.size(); ++i)
      print(found->second[i], indent + (last ? "    " : "│   "), i + 1 == found->second.size());
  }

  const AppSession& app_;
  const bool detailed_;
  std::map<std::string, std::map<std::string, std::vector<kube::Object>>> children_;  // by namespace and owner's uid
  std::map<std::string, std::string> told_;                                           // by Kind/name
};

}  // namespace

Result<int> app_get_resource(const AppSession& app, const AppArguments& arguments) {
  AppArguments all = arguments;
  all.all = true;
  for (const Live& one : TRY(chosen_objects(app, all))) {
    Value object = one.object.value();
    if (!arguments.show_managed_fields) object.edit("metadata").erase("managedFields");
    if (!arguments.fields.empty()) {
      Value some{{"kind", object["kind"]}, {"name", object["metadata"]["name"]}};
      for (const std::string& list : arguments.fields)
        for (const std::string_view path : split(list, ',')) some.set(path, field_of(object, std::string(path)));
      object = std::move(some);
    }
    if (arguments.output == "json" || arguments.output == "yaml") {
      print_value(object, arguments.output);
      continue;
    }
    if (!arguments.output.empty() && arguments.output != "wide")
      return Error{ErrorCode::bad_request, "-o is wide, yaml or json, not " + arguments.output};
    for (const auto& entry : object.entries())
      std::printf("%-30s %s\n", std::string(entry.key).c_str(), shown(entry.value).c_str());
    std::printf("\n");
  }
  return 0;
}

Result<int> app_patch_resource(const AppSession& app, const AppArguments& arguments) {
  if (arguments.patch.empty()) return Error{ErrorCode::bad_request, "app patch-resource needs --patch"};
  const std::string& type = arguments.patch_type;
  const bool known = type.empty() || type == "application/merge-patch+json" || type == "application/json-patch+json" ||
                     type == "application/strategic-merge-patch+json";
  if (!known)
    return Error{ErrorCode::bad_request,
                 "--patch-type is application/merge-patch+json, application/json-patch+json or "
                 "application/strategic-merge-patch+json, not " +
                     type};
  const Value patch = TRY(json::parse(arguments.patch).in("--patch"));
  for (const Live& one : TRY(chosen_objects(app, arguments))) {
    TRY(app.session.client->patch(one.resource, one.object.key(),
                                  type.find("strategic") != std::string::npos    ? kube::PatchType::strategic
                                  : type.find("json-patch") != std::string::npos ? kube::PatchType::json
                                                                                 : kube::PatchType::merge,
                                  patch));
    std::printf("%s/%s patched\n", one.object.kind().c_str(), one.object.name().c_str());
  }
  return 0;
}

Result<int> app_delete_resource(const AppSession& app, const AppArguments& arguments) {
  kube::DeleteOptions options;
  options.propagation = arguments.orphan ? kube::Propagation::orphan : kube::Propagation::foreground;
  if (arguments.force) {
    options.propagation = arguments.orphan ? kube::Propagation::orphan : kube::Propagation::background;
    options.grace_period_seconds = 0;
  }
  for (const Live& one : TRY(chosen_objects(app, arguments))) {
    TRY(app.session.client->remove(one.resource, one.object.key(), options));
    std::printf("%s/%s deleted\n", one.object.kind().c_str(), one.object.name().c_str());
  }
  return 0;
}

Result<int> app_manifests(const AppSession& app, const AppArguments& arguments) {
  if (arguments.manifest_source != "live")
    return Error{ErrorCode::bad_request,
                 "app manifests shows what is live (--source live); what the repository says: app diff, or kustomize "
                 "build and helm template in a clone"};
  for (const Live& one : TRY(live_objects(app, arguments))) {
    std::printf("---\n");
    print_value(one.object.value(), "yaml");
  }
  return 0;
}

Result<void> print_tree(const AppSession& app, const kube::Object& application, bool detailed) {
  return TreePrinter(app, detailed).run(application);
}

}  // namespace caisson::cli
