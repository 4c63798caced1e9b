// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/authorizer.h"

#include <map>
#include <mutex>

#include "cluster/apiserver/access_rules.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

constexpr std::string_view kGroup = ".rbac.authorization.k8s.io";
using Strings = std::vector<std::string>;

Strings strings(const Value& list) {
  Strings result;
  for (const Value& item : list.items()) result.push_back(item.str());
  return result;
}

bool has(const Strings& list, std::string_view wanted) {
  for (const std::string& item : list)
    if (item == wanted || item == "*") return true;
  return false;
}

bool resource_matches(const Strings& resources, std::string_view resource, std::string_view subresource) {
  for (const std::string& rule : resources) {
    if (rule == "*") return true;
    if (subresource.empty() ? rule == resource : false) return true;
    if (subresource.empty()) continue;
    const auto slash = rule.find('/');
    if (slash == std::string::npos || std::string_view(rule).substr(slash + 1) != subresource) continue;
    const auto of = std::string_view(rule).substr(0, slash);
    if (of == "*" || of == resource) return true;
  }
  return false;
}

bool path_matches(const Strings& paths, std::string_view path) {
  for (const std::string& rule : paths) {
    if (rule == "*" || rule == path) return true;
    if (rule.ends_with('*') && path.starts_with(std::string_view(rule).substr(0, rule.size() - 1))) return true;
  }
  return false;
}

struct Subject {
  enum class Kind { user, group } kind;
  std::string name;
  std::string shown;  // 'ServiceAccount "default/shop"'
};

struct Binding {
  std::string shown;  // 'RoleBinding "ann/rbac-role" of Role "reader"'
  std::vector<Subject> subjects;
  std::shared_ptr<const PolicyRules> rules;

  const Subject* of(const User& user) const {
    for (const Subject& subject : subjects)
      if (subject.kind == Subject::Kind::user ? user.name == subject.name : user.in_group(subject.name))
        return &subject;
    return nullptr;
  }
};

struct Policy {
  store::Revision revision = -1;
  std::vector<Binding> cluster;
  std::map<std::string, std::vector<Binding>, std::less<>> namespaced;
  std::map<std::string, std::shared_ptr<const PolicyRules>, std::less<>> roles;  // "ns/name", "name" of a ClusterRole
};

std::vector<Subject> subjects_of(const Value& binding) {
  std::vector<Subject> subjects;
  for (const Value& subject : binding["subjects"].items()) {
    const std::string kind = subject["kind"].str(), name = subject["name"].str();
    if (kind == "User") subjects.push_back({Subject::Kind::user, name, "User \"" + name + "\""});
    if (kind == "Group") subjects.push_back({Subject::Kind::group, name, "Group \"" + name + "\""});
    if (kind != "ServiceAccount") continue;
    std::string ns = subject["namespace"].str();
    if (ns.empty()) ns = binding["metadata"]["namespace"].str();
    subjects.push_back({Subject::Kind::user, "system:serviceaccount:" + ns + ":" + name,
                        "ServiceAccount \"" + name + "/" + ns + "\""});
  }
  return subjects;
}

std::string quoted_list(const Strings& list) {
  std::string text = "[";
  for (std::size_t i = 0; i < list.size(); ++i) text += (i ? " \"" : "\"") + list[i] + "\"";
  return text + "]";
}

}  // namespace

PolicyRule PolicyRule::parse(const Value& rule) {
  return {strings(rule["verbs"]), strings(rule["apiGroups"]), strings(rule["resources"]),
          strings(rule["resourceNames"]), strings(rule["nonResourceURLs"])};
}

bool PolicyRule::allows(const Attributes& a) const {
  if (!has(verbs, a.verb)) return false;
  if (!a.is_resource) return path_matches(paths, a.path);
  if (!has(groups, a.group) || !resource_matches(resources, a.resource, a.subresource)) return false;
  return names.empty() || std::find(names.begin(), names.end(), a.name) != names.end();
}

std::string PolicyRule::str() const {
  Strings parts;
  if (!groups.empty()) parts.push_back("APIGroups:" + quoted_list(groups));
  if (!resources.empty()) parts.push_back("Resources:" + quoted_list(resources));
  if (!names.empty()) parts.push_back("ResourceNames:" + quoted_list(names));
  if (!paths.empty()) parts.push_back("NonResourceURLs:" + quoted_list(paths));
  if (!verbs.empty()) parts.push_back("Verbs:" + quoted_list(verbs));
  return "{" + join(parts, ", ") + "}";
}

Value PolicyRule::to_value() const {
  Value rule{{"verbs", Value::list_of(verbs)}};
  if (!groups.empty()) rule.set("apiGroups", Value::list_of(groups));
  if (!resources.empty()) rule.set("resources", Value::list_of(resources));
  if (!names.empty()) rule.set("resourceNames", Value::list_of(names));
  if (!paths.empty()) rule.set("nonResourceURLs", Value::list_of(paths));
  return rule;
}

struct Authorizer::Impl {
  Impl(store::Store& s, std::vector<std::shared_ptr<const AccessRules>> o) : store(s), others(std::move(o)) {}
  store::Store& store;
  const std::vector<std::shared_ptr<const AccessRules>> others;
  mutable std::mutex mutex;
  mutable std::shared_ptr<const Policy> policy;  // guarded by mutex

  std::string resource(std::string_view plural) const { return std::string(plural) + std::string(kGroup); }
  std::shared_ptr<const Policy> current() const;
  std::shared_ptr<const Policy> compile(store::Revision revision) const;
  void bind(const Value& binding, Policy& policy) const;
};

std::shared_ptr<const Policy> Authorizer::Impl::current() const {
  store::Revision revision = 0;
  for (const char* plural : {"roles", "clusterroles", "rolebindings", "clusterrolebindings"})
    revision = std::max(revision, store.revision_of(resource(plural)));
  {
    const std::lock_guard lock(mutex);
    if (policy && policy->revision == revision) return policy;
  }
  auto made = compile(revision);
  const std::lock_guard lock(mutex);
  policy = made;
  return made;
}

void Authorizer::Impl::bind(const Value& binding, Policy& policy) const {
  const std::string ns = binding["metadata"]["namespace"].str(), name = binding["metadata"]["name"].str();
  const std::string role_kind = binding["roleRef"]["kind"].str(), role = binding["roleRef"]["name"].str();
  const auto rules = policy.roles.find(role_kind == "Role" ? ns + "/" + role : role);
  if (rules == policy.roles.end()) return;
  const std::string shown =
      (ns.empty() ? "ClusterRoleBinding \"" + name + "\"" : "RoleBinding \"" + name + "/" + ns + "\"") + " of " +
      role_kind + " \"" + role + "\"";
  Binding made{shown, subjects_of(binding), rules->second};
  if (ns.empty())
    policy.cluster.push_back(std::move(made));
  else
    policy.namespaced[ns].push_back(std::move(made));
}

std::shared_ptr<const Policy> Authorizer::Impl::compile(store::Revision revision) const {
  auto made = std::make_shared<Policy>();
  made->revision = revision;
  const auto each = [&](std::string_view plural, const auto& call) {
    const auto listing = store.list(resource(plural));
    if (!listing.ok()) return;  // a list of now can't fail
    for (const store::ItemPtr& item : listing->items) call(*item);
  };
  const auto add_role = [&](const store::Item& item) {
    auto rules = std::make_shared<PolicyRules>();
    const Value role = item.value();
    for (const Value& rule : role["rules"].items()) rules->push_back(PolicyRule::parse(rule));
    made->roles[item.path()] = std::move(rules);
  };
  each("clusterroles", add_role);
  each("roles", add_role);
  each("clusterrolebindings", [&](const store::Item& item) { bind(item.value(), *made); });
  each("rolebindings", [&](const store::Item& item) { bind(item.value(), *made); });
  return made;
}

Authorizer::Authorizer(store::Store& store, std::vector<std::shared_ptr<const AccessRules>> others)
    : impl_(std::make_unique<Impl>(store, std::move(others))) {}
Authorizer::~Authorizer() = default;

Authorizer::Decision Authorizer::decide(const User& user, const Attributes& attributes) const {
  if (user.in_group("system:masters")) return {true, ""};
  const auto policy = impl_->current();
  const auto look = [&](const std::vector<Binding>& bindings) -> std::optional<Decision> {
    for (const Binding& binding : bindings) {
      const Subject* subject = binding.of(user);
      if (!subject) continue;
      for (const PolicyRule& rule : *binding.rules)
        if (rule.allows(attributes))
          return Decision{true, "RBAC: allowed by " + binding.shown + " to " + subject->shown};
    }
    return std::nullopt;
  };
  if (auto decision = look(policy->cluster)) return *decision;
  if (attributes.is_resource && !attributes.ns.empty())
    if (const auto it = policy->namespaced.find(attributes.ns); it != policy->namespaced.end())
      if (auto decision = look(it->second)) return *decision;
  Decision refused;
  for (const auto& rules : impl_->others) {
    AccessRules::Verdict verdict = rules->may(user, attributes);
    if (verdict.allowed) return {true, std::move(verdict.reason), rules.get()};
    if (!verdict.reason.empty()) refused.reason = std::move(verdict.reason);
  }
  return refused;
}

PolicyRules Authorizer::rules_of(const User& user, std::string_view ns) const {
  const auto policy = impl_->current();
  PolicyRules rules;
  if (user.in_group("system:masters")) rules = {{{"*"}, {"*"}, {"*"}, {}, {}}, {{"*"}, {}, {}, {}, {"*"}}};
  const auto add = [&](const std::vector<Binding>& bindings) {
    for (const Binding& binding : bindings) {
      if (!binding.of(user)) continue;
      for (const PolicyRule& rule : *binding.rules) {
        const bool known = std::any_of(rules.begin(), rules.end(),
                                       [&](const PolicyRule& r) { return r.to_value() == rule.to_value(); });
        if (!known) rules.push_back(rule);
      }
    }
  };
  add(policy->cluster);
  if (const auto it = policy->namespaced.find(ns); it != policy->namespaced.end()) add(it->second);
  return rules;
}

bool Authorizer::has_role(std::string_view kind, std::string_view name, std::string_view ns) const {
  return impl_->current()->roles.contains(kind == "Role" ? std::string(ns) + "/" + std::string(name)
                                                         : std::string(name));
}

PolicyRules Authorizer::rules_of_role(std::string_view kind, std::string_view name, std::string_view ns) const {
  const auto policy = impl_->current();
  const auto it = policy->roles.find(kind == "Role" ? std::string(ns) + "/" + std::string(name) : std::string(name));
  return it == policy->roles.end() ? PolicyRules{} : *it->second;
}

namespace {

// One verb, group, resource and name (or path) each: what a single rule must cover.
PolicyRules broken_down(const PolicyRule& rule) {
  PolicyRules parts;
  for (const std::string& verb : rule.verbs) {
    for (const std::string& path : rule.paths) parts.push_back({{verb}, {}, {}, {}, {path}});
    for (const std::string& group : rule.groups)
      for (const std::string& resource : rule.resources) {
        if (rule.names.empty()) parts.push_back({{verb}, {group}, {resource}, {}, {}});
        for (const std::string& name : rule.names) parts.push_back({{verb}, {group}, {resource}, {name}, {}});
      }
  }
  return parts;
}

bool covers(const PolicyRule& held, const PolicyRule& part) {
  if (!has(held.verbs, part.verbs[0])) return false;
  if (!part.paths.empty()) return path_matches(held.paths, part.paths[0]);
  const std::string& resource = part.resources[0];
  const auto slash = resource.find('/');
  const bool resource_held = has(held.resources, resource) ||
                             (slash != std::string::npos &&
                              resource_matches(held.resources, resource.substr(0, slash), resource.substr(slash + 1)));
  if (!has(held.groups, part.groups[0]) || !resource_held) return false;
  return held.names.empty() ||
         (!part.names.empty() && std::find(held.names.begin(), held.names.end(), part.names[0]) != held.names.end());
}

// Parts that differ only in their verb become one rule again.
PolicyRules compact(const PolicyRules& parts) {
  PolicyRules rules;
  for (const PolicyRule& part : parts) {
    const auto it = std::find_if(rules.begin(), rules.end(), [&](const PolicyRule& rule) {
      return rule.groups == part.groups && rule.resources == part.resources && rule.names == part.names &&
             rule.paths == part.paths;
    });
    if (it == rules.end())
      rules.push_back(part);
    else
      it->verbs.push_back(part.verbs[0]);
  }
  return rules;
}

}  // namespace

PolicyRules Authorizer::missing(const PolicyRules& held, const PolicyRules& wanted) {
  PolicyRules parts;
  for (const PolicyRule& rule : wanted)
    for (const PolicyRule& part : broken_down(rule))
      if (std::none_of(held.begin(), held.end(), [&](const PolicyRule& h) { return covers(h, part); }))
        parts.push_back(part);
  return compact(parts);
}

Attributes attributes_of(const Request& request) {
  return {request.verb == "apply" ? "patch" : request.verb,
          request.is_resource,
          request.group,
          request.plural,
          request.subresource,
          request.name,
          request.ns,
          request.path};
}

Error refusal(Request& request, const Attributes& a, std::string_view reason) {
  std::string why;
  if (!a.is_resource) {
    std::string message = "forbidden: User \"" + request.user.name + "\" cannot " + a.verb + " path \"" + a.path + "\"";
    return request.fail(ErrorCode::forbidden, std::move(message), Value::map());
  }
  why = "User \"" + request.user.name + "\" cannot " + a.verb + " resource \"" + a.resource +
        (a.subresource.empty() ? "" : "/" + a.subresource) + "\" in API group \"" + a.group + "\" " +
        (a.ns.empty() ? "at the cluster scope" : "in the namespace \"" + a.ns + "\"");
  if (!reason.empty()) why += ": " + std::string(reason);
  return request.forbidden(why);
}

Result<void> check_escalation(const Authorizer& authorizer, Request& request, const Value& before,
                              const Value& object) {
  if (object.is_null() || request.group != "rbac.authorization.k8s.io" || request.user.in_group("system:masters"))
    return {};
  const bool role = request.plural == "roles" || request.plural == "clusterroles";
  PolicyRules wanted;
  Attributes pass = attributes_of(request);
  if (role) {
    if (before["rules"] == object["rules"] && !before.is_null()) return {};
    for (const Value& rule : object["rules"].items()) wanted.push_back(PolicyRule::parse(rule));
    pass.verb = "escalate";
  } else {
    if (!before.is_null() && before["roleRef"] == object["roleRef"] && before["subjects"] == object["subjects"])
      return {};
    const Value& reference = object["roleRef"];
    wanted = authorizer.rules_of_role(reference["kind"].as_string(), reference["name"].as_string(), request.ns);
    pass.verb = "bind";
    pass.resource = reference["kind"].as_string() == "Role" ? "roles" : "clusterroles";
    pass.name = reference["name"].str();
  }
  if (authorizer.decide(request.user, pass).allowed) return {};
  if (!role && !authorizer.has_role(object["roleRef"]["kind"].as_string(), pass.name, request.ns))
    return request.fail(ErrorCode::not_found, request.plural + "." + request.group + " \"" + pass.name + "\" not found",
                        Value{{"name", pass.name}, {"group", request.group}, {"kind", request.plural}});
  PolicyRules lacking = Authorizer::missing(authorizer.rules_of(request.user, request.ns), wanted);
  if (lacking.empty()) return {};
  std::sort(lacking.begin(), lacking.end(), [](const PolicyRule& a, const PolicyRule& b) { return a.str() < b.str(); });
  std::string why = "user \"" + request.user.name + "\" (groups=" + quoted_list(request.user.groups) +
                    ") is attempting to grant RBAC permissions not currently held:";
  for (const PolicyRule& rule : lacking) why += "\n" + rule.str();
  const std::string name = request.name.empty() ? object["metadata"]["name"].str() : request.name;
  const std::string kept = std::exchange(request.name, name);
  Error error = request.forbidden(why);
  request.name = kept;
  return error;
}

}  // namespace caisson::apiserver
