// SPDX-License-Identifier: Apache-2.0
// Warnings for Pods and Pod templates that are valid and hardly what was meant (pkg/api/pod/warnings.go of 1.33).
#include <map>

#include "cluster/apiserver/admit.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

constexpr std::pair<std::string_view, std::string_view> kNodeLabels[] = {
    {"beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"},
    {"beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"},
    {"failure-domain.beta.kubernetes.io/region",
     "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"},
    {"failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"},
    {"beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"}};

constexpr std::pair<std::string_view, std::string_view> kVolumes[] = {
    {"gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"},
    {"cephfs", "deprecated in v1.28, non-functional in v1.31+"},
    {"rbd", "deprecated in v1.28, non-functional in v1.31+"},
    {"glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
    {"scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
    {"storageos", "deprecated in v1.22, non-functional in v1.25+"}};

std::string at(const std::string& list, std::size_t i) {
  return list + "[" + std::to_string(i) + "]";
}

class PodWarnings {
 public:
  explicit PodWarnings(std::vector<std::string>& out) : out_(out) {}

  void look(const Value& pod, const std::string& path) {
    const Value& spec = pod["spec"];
    const std::string where = path + "spec";
    for (const auto& [label, words] : kNodeLabels) {
      if (spec["nodeSelector"].contains(label)) say(where + ".nodeSelector[" + std::string(label) + "]", words);
      for (std::size_t i = 0; i < spec["topologySpreadConstraints"].size(); ++i)
        if (spec["topologySpreadConstraints"][i]["topologyKey"].as_string() == label)
          say(at(where + ".topologySpreadConstraints", i) + ".topologyKey",
              std::string(label) + " is " + std::string(words));
    }
    look_at_selectors(spec, where);
    for (std::size_t i = 0; i < spec["volumes"].size(); ++i)
      for (const auto& [member, words] : kVolumes)
        if (!spec["volumes"][i][member].is_null()) say(at(where + ".volumes", i) + "." + std::string(member), words);
    for (std::size_t i = 0; i < spec["imagePullSecrets"].size(); ++i)
      if (spec["imagePullSecrets"][i]["name"].as_string().empty())
        say(at(where + ".imagePullSecrets", i) + ".name", "invalid empty name \"\"");
    if (spec["terminationGracePeriodSeconds"].as_int() < 0)
      say(where + ".terminationGracePeriodSeconds",
          "must be >= 0; negative values are invalid and will be treated as 1");
    for (const char* list : {"initContainers", "containers"})
      for (std::size_t i = 0; i < spec[list].size(); ++i) look_at_container(spec[list][i], at(where + "." + list, i));
  }

 private:
  void say(const std::string& field, std::string_view words) { out_.push_back(field + ": " + std::string(words)); }

  // Of Pods to be near to, or to be spread with: without a selector nothing is meant.
  void look_at_selectors(const Value& spec, const std::string& where) {
    constexpr std::string_view kNothing = "a null labelSelector results in matching no pod";
    const auto look = [&](const Value& term, const std::string& path) {
      if (term["labelSelector"].is_null()) say(path + ".labelSelector", kNothing);
    };
    const Value& spread = spec["topologySpreadConstraints"];
    for (std::size_t i = 0; i < spread.size(); ++i) look(spread[i], at(where + ".topologySpreadConstraints", i));
    for (const char* kind : {"podAffinity", "podAntiAffinity"}) {
      const Value& affinity = spec["affinity"][kind];
      const std::string path = where + ".affinity." + kind;
      const Value& preferred = affinity["preferredDuringSchedulingIgnoredDuringExecution"];
      for (std::size_t i = 0; i < preferred.size(); ++i)
        look(preferred[i]["podAffinityTerm"],
             at(path + ".preferredDuringSchedulingIgnoredDuringExecution", i) + ".podAffinityTerm");
      const Value& required = affinity["requiredDuringSchedulingIgnoredDuringExecution"];
      for (std::size_t i = 0; i < required.size(); ++i)
        look(required[i], at(path + ".requiredDuringSchedulingIgnoredDuringExecution", i));
    }
  }

  void look_at_container(const Value& container, const std::string& path) {
    std::map<std::string, bool, std::less<>> names;
    for (std::size_t i = 0; i < container["env"].size(); ++i) {
      const Value& name = container["env"][i]["name"];
      if (!names.emplace(name.str(), true).second)
        say(at(path + ".env", i),
            "hides previous definition of " + json::write(name) + ", which may be dropped when using apply");
    }
    std::map<std::string, std::string> ports;
    for (std::size_t i = 0; i < container["ports"].size(); ++i) {
      const Value& port = container["ports"][i];
      std::string key;
      for (const char* field : {"containerPort", "protocol", "hostIP", "hostPort", "name"})
        key += port[field].is_null() ? "/" : port[field].scalar_text() + "/";
      const auto [first, fresh] = ports.emplace(key, at(path + ".ports", i));
      if (!fresh) say(at(path + ".ports", i), "duplicate port definition with " + first->second);
    }
    for (const char* part : {"limits", "requests"})
      for (const char* resource : {"memory", "ephemeral-storage"}) {
        const Value& amount = container["resources"][part][resource];
        if (amount.as_string().ends_with('m'))  // thousandths of a byte
          say(path + ".resources." + part + "[" + resource + "]",
              "fractional byte value " + json::write(amount) + " is invalid, must be an integer");
      }
  }

  std::vector<std::string>& out_;
};

// Where a kind keeps its Pod, and the path to it in messages.
std::pair<Value, std::string> pod_of(const schema::Resource& resource, const Value& object) {
  if (resource == schema::kPods) return {object, ""};
  if (resource.group == "batch" && resource.kind == "CronJob")
    return {object.get({"spec", "jobTemplate", "spec", "template"}), "spec.jobTemplate.spec.template."};
  const bool templated =
      resource.group == "apps" || resource.group == "batch" || resource.kind == "ReplicationController";
  if (templated) return {object["spec"]["template"], "spec.template."};
  return {};
}

class Warnings final : public Admission {
 public:
  std::string_view name() const override { return "PodWarnings"; }
  Result<void> validate(const AdmissionRequest& request, const Value& object) const override {
    if (object.is_null() || !request.subresource.empty()) return {};
    const auto [pod, path] = pod_of(request.kind.resource, object);
    // A change that leaves the Pod as it is does not repeat what its first writer was told.
    if (!pod.is_map() || pod_of(request.kind.resource, request.before).first["spec"] == pod["spec"]) return {};
    PodWarnings(request.warnings).look(pod, path);
    return {};
  }
};

}  // namespace

std::shared_ptr<Admission> make_pod_warnings() {
  return std::make_shared<Warnings>();
}

}  // namespace caisson::apiserver
