// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/project_rights.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "cluster/schema/resource.h"
#include "core/base/text.h"
#include "delivery/gitops/application.h"
#include "delivery/gitops/project_tokens.h"
#include "delivery/gitops/rbac_policy.h"

namespace caisson::gitops {
namespace {

using apiserver::AdmissionRequest;
using apiserver::Attributes;
using apiserver::User;
using Operation = AdmissionRequest::Operation;

constexpr std::string_view kGroup = "argoproj.io";
constexpr std::string_view kApprovedPlan = "caisson.dev/approved-plan";

// argocd-rbac-cm, read.
struct RbacSettings {
  RbacPolicy policy;  // with the built-in one
  bool regex = false;
  std::string default_role;
  bool by_groups = true;
  std::string error;  // what is wrong with it: then it gives nothing
};

RbacSettings read_settings(const Value& data) {
  RbacSettings out;
  out.policy = built_in_rbac_policy();
  std::string csv = data["policy.csv"].str();
  for (const auto& [key, value] : data.entries())
    if (key.starts_with("policy.") && key.ends_with(".csv") && key != "policy.csv") csv += "\n" + value.str();
  auto policy = parse_rbac_policy(csv);
  if (policy.ok())
    out.policy.add(*policy);
  else
    out.error = "argocd-rbac-cm: policy.csv: " + policy.error().message;
  const std::string_view mode = data["policy.matchMode"].as_string();
  out.regex = mode == "regex";
  if (!mode.empty() && mode != "glob" && mode != "regex")
    out.error = "argocd-rbac-cm: policy.matchMode is glob or regex, not " + std::string(mode);
  if (out.error.empty()) out.default_role = data["policy.default"].str();
  if (const std::string_view scopes = data["scopes"].as_string(); !trim(scopes).empty())
    out.by_groups = scopes.find("groups") != std::string_view::npos;
  return out;
}

bool is_project_role(const User& user) {
  return user.name.starts_with("proj:");
}
bool is_system(const User& user) {
  return user.name.starts_with("system:");
}

std::string_view project_of_role(const User& user) {
  const auto parts = split(user.name, ':');
  return parts.size() == 3 ? parts[1] : std::string_view();
}

// "applications", "applicationsets" and "projects" are what policies call the kinds.
std::string_view policy_resource(std::string_view plural) {
  if (plural == "appprojects") return "projects";
  return plural == "applications" || plural == "applicationsets" ? plural : std::string_view();
}

std::string project_of(std::string_view resource, const Value& object) {
  if (resource == "projects") return object["metadata"]["name"].str();
  const std::string project = resource == "applications" ? object["spec"]["project"].str()
                                                         : object.get({"spec", "template", "spec", "project"}).str();
  return project.empty() ? "default" : project;
}

struct Asked {
  User user;
  std::string resource;  // as policies call it
};

// One right that a request needs.
struct Need {
  std::string project, object, action;
  auto operator<=>(const Need&) const = default;
};

bool same_but_cascade(const Value& before, const Value& after) {
  const auto others = [](const Value& finalizers) {
    std::vector<std::string> out;
    for (const Value& one : finalizers.items())
      if (!one.as_string().starts_with(kFinalizer)) out.push_back(one.str());
    return out;
  };
  return others(before) == others(after);
}

// A source to sync that nobody has written into the Application.
bool is_foreign_source(const Value& source, const char* field, const Value& application) {
  if (source.is_null() || source == application["spec"][field]) return false;
  const auto history = application["status"]["history"].items();
  return std::none_of(history.begin(), history.end(), [&](const Value& entry) { return entry[field] == source; });
}

void operation_actions(const Value& operation, const Value& application, std::set<std::string>& actions) {
  actions.insert("sync");
  const Value& sync = operation["sync"];
  if (!sync["manifests"].empty() || is_foreign_source(sync["source"], "source", application) ||
      is_foreign_source(sync["sources"], "sources", application))
    actions.insert("override");
}

void metadata_actions(const Value& before, const Value& after, std::set<std::string>& actions) {
  static constexpr std::string_view kServers[] = {"managedFields",
                                                  "resourceVersion",
                                                  "generation",
                                                  "creationTimestamp",
                                                  "uid",
                                                  "deletionTimestamp",
                                                  "deletionGracePeriodSeconds",
                                                  "selfLink"};
  const auto changed = [&](std::string_view key) {
    if (key == "annotations" || before[key] == after[key]) return;
    if (std::find(std::begin(kServers), std::end(kServers), key) != std::end(kServers)) return;
    // Whoever deletes says whether its objects go too.
    actions.insert(key == "finalizers" && same_but_cascade(before[key], after[key]) ? "delete" : "update");
  };
  for (const auto& [key, value] : before.entries()) changed(key);
  for (const auto& [key, value] : after.entries()) changed(key);
  const auto annotated = [&](std::string_view key) {
    if (before["annotations"][key] == after["annotations"][key]) return;
    actions.insert(key == kRefreshAnnotation ? "get" : key == kApprovedPlan ? "sync" : "update");
  };
  for (const auto& [key, value] : before["annotations"].entries()) annotated(key);
  for (const auto& [key, value] : after["annotations"].entries()) annotated(key);
}

// Only that a running operation is to end. False: something else changed.
bool status_actions(const Value& before, const Value& after, std::set<std::string>& actions) {
  if (before == after) return true;
  Value ended = before;
  if (before["operationState"]["phase"].as_string() != "Running") return false;
  ended.edit("operationState").set("phase", "Terminating");
  if (!(ended == after)) return false;
  actions.insert("sync");
  return true;
}

class ProjectRights final : public apiserver::AccessRules {
 public:
  explicit ProjectRights(ProjectRightsOptions options) : options_(std::move(options)) {}

  std::optional<Result<User>> user_of(std::string_view token) const override {
    if (!is_argocd_token(token)) return std::nullopt;
    return checked(token);
  }

  Verdict may(const User& user, const Attributes& asked) const override {
    const std::string resource(policy_resource(asked.resource));
    if (!asked.is_resource || asked.group != kGroup || !asked.subresource.empty() || resource.empty()) return {};
    if (user.in_group("system:unauthenticated") || !options_.client()) return {};
    if (asked.ns.empty() || (resource == "projects" && asked.ns != options_.home_namespace)) return {};
    const Asked who{user, resource};
    const auto current = settings();
    if (!current->error.empty() && !is_project_role(user)) return {false, current->error};
    const std::string given = "Argo CD: roles of AppProjects, argocd-rbac-cm";
    bool allowed = false;
    if (asked.name.empty() && asked.verb == "create")
      allowed = somewhere(*current, who, "create");
    else if (asked.name.empty())
      allowed = somewhere(*current, who, asked.verb == "deletecollection" ? "delete" : "get");
    else
      allowed = may_named(*current, who, asked);
    return allowed ? Verdict{true, given} : Verdict{};
  }

  bool may_see(const User& user, std::string_view verb, const Value& object) const override {
    const std::string resource = resource_of(object);
    return permits(*settings(), {user, resource},
                   need(resource, object, verb == "deletecollection" ? "delete" : "get"));
  }

  Result<void> may_write(const AdmissionRequest& request, const Value& object) const override {
    const std::string resource(policy_resource(request.kind.resource.plural));
    const auto current = settings();
    std::set<Need> needs;
    if (request.operation == Operation::create)
      needs = of_creation(resource, object);
    else if (request.operation == Operation::remove)
      needs = {need(resource, request.before, "delete")};
    else if (!of_change(resource, request.before, object, needs))
      return forbidden(request, "its status is the controller's");
    for (const Need& one : needs) {
      if (one.project.find("{{") != std::string::npos)
        return forbidden(request, "its project is a template: whose rights count can't be said");
      if (!permits(*current, {request.user, resource}, one))
        return forbidden(
            request, "user \"" + request.user.name + "\" may not " + one.action + " " + resource + " " + one.object);
    }
    return {};
  }

 private:
  Result<User> checked(std::string_view token) const {
    kube::Client* client = options_.client();
    if (!client) return Error{ErrorCode::unauthorized, "the server is starting"};
    const auto key = signing_key(*client, options_.home_namespace, false);
    if (!key.ok()) return Error{ErrorCode::unauthorized, key.error().message};
    const ProjectToken read = TRY(read_project_token(token, *key, options_.clock->now()));
    const auto project = find_project(read.project);
    if (!project || !has_role(*project, read.role) || !knows_token(*project, read))
      return Error{ErrorCode::unauthorized,
                   "AppProject " + read.project + " has no such token of role " + read.role + " any more"};
    User user{.name = project_role_subject(read.project, read.role), .groups = {}, .uid = {}, .extra = {}};
    user.extra.push_back({"authentication.kubernetes.io/credential-id", {"JTI=" + read.id}});
    return user;
  }

  std::optional<Value> find_project(const std::string& name) const {
    const auto got = options_.client()->get(schema::kAppProjects, {options_.home_namespace, name});
    return got.ok() ? std::optional(got->value()) : std::nullopt;
  }

  std::vector<Value> projects_for(const User& user) const {
    std::vector<Value> out;
    if (is_project_role(user)) {
      if (auto own = find_project(std::string(project_of_role(user)))) out.push_back(std::move(*own));
      return out;
    }
    const auto list = options_.client()->list(schema::kAppProjects, {.ns = options_.home_namespace});
    if (list.ok())
      for (const kube::Object& one : list->items) out.push_back(one.value());
    return out;
  }

  // As argocd-rbac-cm is now; read anew when it changed.
  std::shared_ptr<const RbacSettings> settings() const {
    const auto map = options_.client()->get(schema::kConfigMaps, {options_.home_namespace, "argocd-rbac-cm"});
    const std::string version = map.ok() ? map->uid() + map->resource_version() : "";
    const std::lock_guard lock(mutex_);
    if (!settings_ || version != settings_version_) {
      settings_ = std::make_shared<const RbacSettings>(read_settings(map.ok() ? (*map)["data"] : Value()));
      settings_version_ = version;
    }
    return settings_;
  }

  // Upstream asks for the user, then for each group, then for the default role; one that allows is enough.
  template <class Ask>
  static bool any_subject(const RbacSettings& current, const User& user, const Ask& ask) {
    if (ask(user.name)) return true;
    if (is_project_role(user)) return false;
    if (current.by_groups && std::any_of(user.groups.begin(), user.groups.end(), ask)) return true;
    return !current.default_role.empty() && !is_system(user) && ask(current.default_role);
  }

  // What holds for somebody in one project. A role of a project is of that project alone.
  bool permits(const RbacSettings& current, const Asked& asked, const Need& need) const {
    RbacPolicies policies{.parts = {}, .regex = current.regex};
    if (!is_project_role(asked.user))
      policies.parts.push_back(&current.policy);
    else if (project_of_role(asked.user) != need.project)
      return false;
    const auto project = find_project(need.project);
    const auto own = project ? policy_of(*project) : nullptr;
    if (own) policies.parts.push_back(own.get());
    return any_subject(current, asked.user, [&](const std::string& who) {
      return policies.allow(who, asked.resource, need.action, need.object);
    });
  }

  bool somewhere(const RbacSettings& current, const Asked& asked, std::string_view action) const {
    RbacPolicies policies{.parts = {}, .regex = current.regex};
    if (!is_project_role(asked.user)) policies.parts.push_back(&current.policy);
    std::vector<std::shared_ptr<const RbacPolicy>> own;
    for (const Value& project : projects_for(asked.user)) {
      own.push_back(policy_of(project));
      policies.parts.push_back(own.back().get());
    }
    return any_subject(current, asked.user,
                       [&](const std::string& who) { return policies.allow_somewhere(who, asked.resource, action); });
  }

  // Read once for each version of the project.
  std::shared_ptr<const RbacPolicy> policy_of(const Value& project) const {
    const Value& metadata = project["metadata"];
    const std::string version = metadata["uid"].str() + metadata["resourceVersion"].str();
    const std::lock_guard lock(mutex_);
    auto& kept = projects_[metadata["name"].str()];
    if (!kept.policy || kept.version != version)
      kept = {version, std::make_shared<const RbacPolicy>(project_rbac_policy(project))};
    return kept.policy;
  }

  bool may_named(const RbacSettings& current, const Asked& who, const Attributes& asked) const {
    const kube::Resource kind{std::string(kGroup), "v1alpha1", "", asked.resource};
    const auto object = options_.client()->get(kind, {asked.ns, asked.name});
    if (!object.ok()) return may_make(current, who, asked);
    const auto may = [&](std::string_view action) {
      return permits(current, who, need(who.resource, object->value(), action));
    };
    if (asked.verb == "get" || asked.verb == "list" || asked.verb == "watch") return may("get");
    // What such a request changes is seen later (may_write).
    if (asked.verb == "update" || asked.verb == "patch")
      return may("update") || may("sync") || may("delete") || may("get");
    return may(asked.verb);  // delete; and what `auth can-i` may ask for: sync, override
  }

  // An absent object: who may make it may know that it is not there, and apply it.
  bool may_make(const RbacSettings& current, const Asked& who, const Attributes& asked) const {
    if (asked.verb != "get" && asked.verb != "patch" && asked.verb != "create") return false;
    const auto makes = [&](const std::string& project) {
      return permits(current, who, {project, object_name(who.resource, project, asked.ns, asked.name), "create"});
    };
    if (who.resource == "projects") return makes(asked.name);
    const auto projects = projects_for(who.user);
    return std::any_of(projects.begin(), projects.end(),
                       [&](const Value& one) { return makes(one["metadata"]["name"].str()); });
  }

  static std::string resource_of(const Value& object) {
    const std::string_view kind = object["kind"].as_string();
    return kind == "AppProject" ? "projects" : kind == "Application" ? "applications" : "applicationsets";
  }

  std::string object_name(std::string_view resource, const std::string& project, const std::string& ns,
                          const std::string& name) const {
    if (resource == "projects") return name;
    return project + "/" + (ns == options_.home_namespace ? "" : ns + "/") + name;
  }

  Need need(const std::string& resource, const Value& object, std::string_view action) const {
    const Value& metadata = object["metadata"];
    const std::string project = project_of(resource, object);
    return {project, object_name(resource, project, metadata["namespace"].str(), metadata["name"].str()),
            std::string(action)};
  }

  std::set<Need> of_creation(const std::string& resource, const Value& object) const {
    std::set<Need> needs{need(resource, object, "create")};
    std::set<std::string> actions;
    if (resource == "applications" && !object["operation"].is_null())
      operation_actions(object["operation"], object, actions);
    for (const std::string& action : actions) needs.insert(need(resource, object, action));
    return needs;
  }

  // False: a change that nobody has a right to.
  bool of_change(const std::string& resource, const Value& before, const Value& after, std::set<Need>& needs) const {
    std::set<std::string> actions;
    metadata_actions(before["metadata"], after["metadata"], actions);
    if (before["operation"] != after["operation"]) operation_actions(after["operation"], before, actions);
    if (resource == "projects") {
      if (before["status"] != after["status"]) actions.insert("update");  // tokens on record
    } else if (!status_actions(before["status"], after["status"], actions)) {
      return false;
    }
    const auto changed = [&](std::string_view key) {
      if (key != "metadata" && key != "status" && key != "operation" && before[key] != after[key])
        actions.insert("update");
    };
    for (const auto& [key, value] : before.entries()) changed(key);
    for (const auto& [key, value] : after.entries()) changed(key);
    // A plan of an ApplicationSet is approved by who may change it.
    if (resource != "applications" && actions.erase("sync") > 0) actions.insert("update");
    if (actions.empty()) actions.insert("get");  // the answer shows the object
    for (const std::string& action : actions) needs.insert(need(resource, before, action));
    if (project_of(resource, before) != project_of(resource, after))
      for (const char* action : {"create", "update"}) needs.insert(need(resource, after, action));
    return true;
  }

  static Error forbidden(const AdmissionRequest& request, const std::string& why) {
    return {ErrorCode::forbidden,
            request.kind.resource.group_resource() + " \"" + request.name + "\" is forbidden: " + why};
  }

  const ProjectRightsOptions options_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const RbacSettings> settings_;  // GUARDED_BY(mutex_)
  mutable std::string settings_version_;                  // GUARDED_BY(mutex_)
  struct Kept {
    std::string version;
    std::shared_ptr<const RbacPolicy> policy;
  };
  mutable std::map<std::string, Kept> projects_;  // GUARDED_BY(mutex_)
};

}  // namespace

std::shared_ptr<const apiserver::AccessRules> make_project_rights(ProjectRightsOptions options) {
  return std::make_shared<ProjectRights>(std::move(options));
}

}  // namespace caisson::gitops
