// SPDX-License-Identifier: Apache-2.0
// PodSecurity (pod-security-admission 0.33, admission/): the levels that a Namespace's labels name, enforced for Pods,
// told as warnings for Pods and for what makes them, and shown when a Namespace's labels change.
#include <map>
#include <set>

#include "cluster/apiserver/admit.h"
#include "cluster/apiserver/pod_security.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

using Operation = AdmissionRequest::Operation;
using Level = PodSecurityLevel;

constexpr std::string_view kPrefix = "pod-security.kubernetes.io/";
constexpr std::size_t kPodsCheckedMax = 3000;

struct Policy {
  PodSecurityPolicy enforce, warn;
  std::vector<schema::FieldError> errors;
};

std::optional<Level> parse_level(std::string_view text) {
  for (const Level level : {Level::privileged, Level::baseline, Level::restricted})
    if (text == level_name(level)) return level;
  return std::nullopt;
}

std::optional<int> parse_minor(std::string_view text) {
  if (text == "latest") return PodSecurityPolicy::kLatest;
  if (!text.starts_with("v1.") || text.size() < 4 || text.size() > 8) return std::nullopt;
  const std::string_view digits = text.substr(3);
  if (digits.find_first_not_of("0123456789") != std::string_view::npos || (digits[0] == '0' && digits.size() > 1))
    return std::nullopt;
  return static_cast<int>(*parse_int(digits));
}

// A level that can't be read counts as the strictest where it is enforced, as none where it only warns.
void read_mode(const Value& labels, std::string_view mode, Level otherwise, PodSecurityPolicy& to,
               std::vector<schema::FieldError>& errors) {
  const auto wrong = [&](const std::string& label, const Value& value, std::string why) {
    errors.push_back({schema::FieldError::Type::invalid, "metadata.labels[" + label + "]", value, std::move(why)});
  };
  const std::string level_label = std::string(kPrefix) + std::string(mode), version_label = level_label + "-version";
  if (const Value* level = labels.find(level_label)) {
    const auto parsed = parse_level(level->as_string());
    to.level = parsed.value_or(otherwise);
    if (!parsed) wrong(level_label, *level, "must be one of privileged, baseline, restricted");
  }
  if (const Value* version = labels.find(version_label)) {
    const auto parsed = parse_minor(version->as_string());
    to.minor = parsed.value_or(PodSecurityPolicy::kLatest);
    if (!parsed) wrong(version_label, *version, "must be \"latest\" or \"v1.x\"");
  }
}

Policy policy_of(const Value& labels) {
  Policy policy;
  PodSecurityPolicy audit;
  read_mode(labels, "enforce", Level::restricted, policy.enforce, policy.errors);
  read_mode(labels, "audit", Level::privileged, audit, policy.errors);
  read_mode(labels, "warn", Level::privileged, policy.warn, policy.errors);
  const bool warns = labels.contains(std::string(kPrefix) + "warn");
  const bool enforces = parse_level(labels[std::string(kPrefix) + "enforce"].as_string()).has_value();
  if (!warns && enforces && policy.enforce.level > policy.warn.level) {
    policy.warn.level = policy.enforce.level;
    if (!labels.contains(std::string(kPrefix) + "warn-version")) policy.warn.minor = policy.enforce.minor;
  }
  return policy;
}

bool other_image(const Value& before, const Value& after) {
  return !(before["image"] == after["image"]);
}

// What is enforced is looked at again only when containers came or images changed.
bool significant(const Value& before, const Value& after) {
  for (const char* list : {"containers", "initContainers"}) {
    if (before[list].size() != after[list].size()) return true;
    for (std::size_t i = 0; i < after[list].size(); ++i)
      if (other_image(before[list][i], after[list][i])) return true;
  }
  for (const Value& container : after["ephemeralContainers"].items()) {
    const auto had = before["ephemeralContainers"].items();
    const auto same =
        std::find_if(had.begin(), had.end(), [&](const Value& c) { return c["name"] == container["name"]; });
    if (same == had.end() || other_image(*same, container)) return true;
  }
  return false;
}

// Where a kind keeps its Pod template; null for kinds that make no Pods.
const Value& template_of(const schema::Resource& resource, const Value& object) {
  const Value& spec = object["spec"];
  if (resource.kind == "PodTemplate") return object["template"];
  if (resource.kind == "CronJob") return spec["jobTemplate"]["spec"]["template"];
  static constexpr std::string_view kMakers[] = {"Deployment",  "ReplicaSet", "ReplicationController",
                                                 "StatefulSet", "DaemonSet",  "Job"};
  const bool makes = std::find(std::begin(kMakers), std::end(kMakers), resource.kind) != std::end(kMakers);
  return makes ? spec["template"] : document::kNull;
}

class PodSecurity : public Admission {
 public:
  std::string_view name() const override { return "PodSecurity"; }

  Result<void> validate(const AdmissionRequest& request, const Value& object) const override {
    if (request.operation != Operation::create && request.operation != Operation::update) return {};
    const schema::Resource& resource = request.kind.resource;
    if (resource == schema::kNamespaces) return check_namespace(request, object);
    const bool pod = resource == schema::kPods;
    if (!request.subresource.empty() && !(pod && request.subresource == "ephemeralcontainers")) return {};
    const bool ours = resource.group.empty() || resource.group == "apps" || resource.group == "batch";
    const Value& holder = pod ? object : ours ? template_of(resource, object) : document::kNull;
    if (holder.is_null()) return {};
    const Policy policy = policy_of(request.find(schema::kNamespaces, "", request.ns)["metadata"]["labels"]);
    if (pod && request.operation == Operation::update && !significant(request.before["spec"], object["spec"]))
      return {};
    if (pod) {
      const auto found = pod_security_violations(policy.enforce, holder["metadata"], holder["spec"]);
      if (!found.empty())
        return Error{ErrorCode::forbidden, "pods \"" + object["metadata"]["name"].str() +
                                               "\" is forbidden: violates PodSecurity \"" + policy.enforce.str() +
                                               "\": " + details_text(found)};
    }
    const auto warned = pod_security_violations(policy.warn, holder["metadata"], holder["spec"]);
    if (!warned.empty())
      request.warnings.push_back("would violate PodSecurity \"" + policy.warn.str() + "\": " + details_text(warned));
    return {};
  }

 private:
  static Result<void> check_namespace(const AdmissionRequest& request, const Value& object) {
    if (!request.subresource.empty()) return {};
    const Policy now = policy_of(object["metadata"]["labels"]);
    if (request.operation == Operation::create) return refuse(request, object, now.errors);
    const Policy before = policy_of(request.before["metadata"]["labels"]);
    const bool new_errors =
        before.errors.size() != now.errors.size() || schema::causes(before.errors) != schema::causes(now.errors);
    if (new_errors) TRY(refuse(request, object, now.errors));
    const bool stricter = now.enforce.level > before.enforce.level || now.enforce.minor != before.enforce.minor;
    if (now.enforce == before.enforce || now.enforce.level == Level::privileged || !stricter) return {};
    warn_of_pods(request, object["metadata"]["name"].str(), now.enforce);
    return {};
  }

  static Result<void> refuse(const AdmissionRequest& request, const Value& object,
                             const std::vector<schema::FieldError>& errors) {
    if (errors.empty()) return {};
    const std::string name = object["metadata"]["name"].str();
    request.details = Value{{"name", name}, {"kind", "Namespace"}, {"causes", schema::causes(errors)}};
    return Error{ErrorCode::invalid, schema::invalid_message(request.kind, name, errors)};
  }

  // Of Pods of one controller the first is looked at first: the others say the same.
  static void warn_of_pods(const AdmissionRequest& request, const std::string& ns, const PodSecurityPolicy& enforce) {
    std::vector<Value> pods, replicas;
    std::set<std::string> controllers;
    for (Value& pod : request.list(schema::kPods, ns)) {
      std::string controller;
      for (const Value& owner : pod["metadata"]["ownerReferences"].items())
        if (owner["controller"].as_bool()) controller = owner["uid"].str();
      (controller.empty() || controllers.insert(controller).second ? pods : replicas).push_back(std::move(pod));
    }
    pods.insert(pods.end(), replicas.begin(), replicas.end());
    const std::size_t all = pods.size();
    pods.resize(std::min(all, kPodsCheckedMax));
    std::map<std::string, std::set<std::string>> by_reason;
    for (const Value& pod : pods) {
      const auto found = pod_security_violations(enforce, pod["metadata"], pod["spec"]);
      if (!found.empty()) by_reason[reasons_text(found)].insert(pod["metadata"]["name"].str());
    }
    if (pods.size() < all)
      request.warnings.push_back("new PodSecurity enforce level only checked against the first " +
                                 std::to_string(pods.size()) + " of " + std::to_string(all) + " existing pods");
    if (by_reason.empty()) return;
    request.warnings.push_back("existing pods in namespace \"" + ns +
                               "\" violate the new PodSecurity enforce level \"" + enforce.str() + "\"");
    std::set<std::string> texts;
    for (const auto& [reason, names] : by_reason) {
      const std::size_t others = names.size() - 1;
      const std::string more = others == 0   ? ""
                               : others == 1 ? " (and 1 other pod)"
                                             : " (and " + std::to_string(others) + " other pods)";
      texts.insert(*names.begin() + more + ": " + reason);
    }
    request.warnings.insert(request.warnings.end(), texts.begin(), texts.end());
  }
};

}  // namespace

std::shared_ptr<Admission> make_pod_security() {
  return std::make_shared<PodSecurity>();
}

}  // namespace caisson::apiserver
