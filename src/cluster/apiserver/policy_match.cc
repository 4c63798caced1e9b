// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/policy_match.h"

namespace caisson::apiserver {
namespace {

bool holds(const Value& list, std::string_view wanted) {
  for (const Value& item : list.items()) {
    if (item.as_string() == "*" || item.as_string() == wanted) return true;
  }
  return false;
}

// "pods", "pods/status", "pods/*", "*/scale", "*" (no sub-resources), "*/*".
bool names_resource(const Value& resources, const std::string& plural, const std::string& subresource) {
  for (const Value& item : resources.items()) {
    const std::string_view text = item.as_string();
    const std::size_t slash = text.find('/');
    const std::string_view resource = text.substr(0, slash);
    if (resource != "*" && resource != plural) continue;
    if (slash == std::string_view::npos ? subresource.empty()
                                        : text.substr(slash + 1) == "*" || text.substr(slash + 1) == subresource)
      return true;
  }
  return false;
}

bool rule_matches(const Value& rule, const AdmissionRequest& request, bool exact) {
  const schema::Resource& resource = request.kind.resource;
  const std::string_view scope = rule["scope"].as_string();
  const bool cluster_scoped = request.ns.empty() || resource == schema::kNamespaces;
  if (scope == "Cluster" && !cluster_scoped) return false;
  if (scope == "Namespaced" && cluster_scoped) return false;
  if (!rule["resourceNames"].empty() && !holds(rule["resourceNames"], request.name)) return false;
  return holds(rule["apiGroups"], resource.group) && (!exact || holds(rule["apiVersions"], resource.version)) &&
         holds(rule["operations"], operation_name(request.operation)) &&
         names_resource(rule["resources"], resource.plural, request.subresource);
}

Result<kube::LabelSelector> selector(const Value& value) {
  if (value.is_null()) return kube::LabelSelector();
  return kube::LabelSelector::from(value);
}

}  // namespace

std::string_view operation_name(AdmissionRequest::Operation operation) {
  switch (operation) {
    case AdmissionRequest::Operation::create:
      return "CREATE";
    case AdmissionRequest::Operation::update:
      return "UPDATE";
    case AdmissionRequest::Operation::remove:
      return "DELETE";
    case AdmissionRequest::Operation::connect:
      return "CONNECT";
  }
  return "";
}

Result<ResourceMatch> ResourceMatch::from(const Value& match_resources) {
  ResourceMatch out;
  out.rules_ = match_resources["resourceRules"];
  out.all_resources_ = out.rules_.empty();
  out.excluded_ = match_resources["excludeResourceRules"];
  out.exact_ = match_resources["matchPolicy"].as_string() == "Exact";
  out.namespaces_ = TRY(selector(match_resources["namespaceSelector"]));
  out.objects_ = TRY(selector(match_resources["objectSelector"]));
  return out;
}

bool ResourceMatch::resources_match(const AdmissionRequest& request) const {
  for (const Value& rule : excluded_.items()) {
    if (rule_matches(rule, request, exact_)) return false;
  }
  if (all_resources_) return true;
  for (const Value& rule : rules_.items()) {
    if (rule_matches(rule, request, exact_)) return true;
  }
  return false;
}

schema::KindPtr ResourceMatch::kind_for(const AdmissionRequest& request, const schema::Schema& schema) const {
  const schema::Resource& resource = request.kind.resource;
  for (const Value& rule : rules_.items())
    if (rule_matches(rule, request, true)) return schema.find_plural(resource.group, resource.version, resource.plural);
  for (const Value& rule : rules_.items()) {
    if (exact_ || !rule_matches(rule, request, false)) continue;
    for (const Value& version : rule["apiVersions"].items()) {
      const auto kind = schema.find_plural(resource.group, version.as_string(), resource.plural);
      if (kind && kind->served) return kind;
    }
  }
  return nullptr;
}

bool ResourceMatch::matches(const AdmissionRequest& request, const Value& object, const Value& ns) const {
  if (!namespaces_.everything()) {
    if (request.kind.resource == schema::kNamespaces) {
      if (!namespaces_.matches((object.is_null() ? request.before : object)["metadata"]["labels"])) return false;
    } else if (!request.ns.empty() && !namespaces_.matches(ns["metadata"]["labels"])) {
      return false;
    }
  }
  if (!objects_.everything()) {
    const bool now = !object.is_null() && objects_.matches(object["metadata"]["labels"]);
    const bool before = !request.before.is_null() && objects_.matches(request.before["metadata"]["labels"]);
    if (!now && !before) return false;
  }
  return resources_match(request);
}

}  // namespace caisson::apiserver
