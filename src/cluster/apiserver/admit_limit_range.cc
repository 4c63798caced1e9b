// SPDX-License-Identifier: Apache-2.0
// LimitRanger (plugin/pkg/admission/limitranger, Kubernetes 1.33): a namespace's LimitRanges give containers requests
// and limits that they do not state, and refuse Pods and claims outside the bounds.
#include "cluster/apiserver/admit.h"
#include "cluster/kube/resource_usage.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

using kube::Amount;
using kube::Amounts;
using Operation = AdmissionRequest::Operation;

const schema::Resource& limit_ranges() {
  static const schema::Resource kLimitRanges{"", "v1", "LimitRange", "limitranges"};
  return kLimitRanges;
}

bool concerns(const AdmissionRequest& request) {
  if (!request.subresource.empty() || request.ns.empty()) return false;
  if (request.kind.resource == schema::kPods) return request.operation == Operation::create;
  return request.kind.resource == schema::kPersistentVolumeClaims &&
         (request.operation == Operation::create || request.operation == Operation::update);
}

// --- defaults

// Adds what is not stated; tells which: "cpu, memory request for container app".
void fill(Value& container, std::string_view member, const Value& defaults, std::string_view word,
          std::string_view what, std::vector<std::string>& told) {
  std::vector<std::string> set;
  for (const auto& [name, amount] : defaults.entries()) {
    if (container["resources"][member].contains(name)) continue;
    container.edit({"resources", member}).set(name, amount);
    set.emplace_back(name);
  }
  std::sort(set.begin(), set.end());
  if (!set.empty())
    told.push_back(join(set, ", ") + " " + std::string(word) + " for " + std::string(what) + " " +
                   container["name"].str());
}

void fill_pod(const Value& range, Value& pod) {
  Value requests = Value::map(), limits = Value::map();
  for (const Value& item : range["spec"]["limits"].items()) {
    if (item["type"].as_string() != "Container") continue;
    for (const auto& [name, amount] : item["defaultRequest"].entries()) requests.set(name, amount);
    for (const auto& [name, amount] : item["default"].entries()) limits.set(name, amount);
  }
  std::vector<std::string> told;
  for (const auto& [list, what] : {std::pair<std::string_view, std::string_view>{"containers", "container"},
                                   {"initContainers", "init container"}}) {
    for (std::size_t i = 0; i < pod["spec"][list].size(); ++i) {
      Value& container = pod.edit({"spec", list}).edit(i);
      fill(container, "requests", requests, "request", what, told);
      fill(container, "limits", limits, "limit", what, told);
    }
  }
  if (!told.empty())
    pod.edit({"metadata", "annotations"})
        .set("kubernetes.io/limit-ranger", "LimitRanger plugin set: " + join(told, "; "));
}

// --- bounds

class Bounds {
 public:
  Bounds(std::string_view type, std::vector<std::string>& out) : type_(type), out_(out) {}

  void minimum(std::string_view name, const Amount& bound, const Amounts& requests, const Amounts& limits) {
    const auto request = requests.find(name), limit = limits.find(name);
    const std::string head = "minimum " + usage(name, bound);
    if (request == requests.end())
      out_.push_back(head + ".  No request is specified");
    else if (request->second.milli < bound.milli)
      out_.push_back(head + ", but request is " + request->second.str());
    else if (limit != limits.end() && limit->second.milli < bound.milli)
      out_.push_back(head + ", but limit is " + limit->second.str());
  }

  void maximum(std::string_view name, const Amount& bound, const Amounts& requests, const Amounts& limits) {
    const auto request = requests.find(name), limit = limits.find(name);
    const std::string head = "maximum " + usage(name, bound);
    if (limit == limits.end())
      out_.push_back(head + ".  No limit is specified");
    else if (limit->second.milli > bound.milli)
      out_.push_back(head + ", but limit is " + limit->second.str());
    else if (request != requests.end() && request->second.milli > bound.milli)
      out_.push_back(head + ", but request is " + request->second.str());
  }

  void maximum_request(std::string_view name, const Amount& bound, const Amounts& requests) {
    const auto request = requests.find(name);
    const std::string head = "maximum " + usage(name, bound);
    if (request == requests.end())
      out_.push_back(head + ".  No request is specified");
    else if (request->second.milli > bound.milli)
      out_.push_back(head + ", but request is " + request->second.str());
  }

  void ratio(std::string_view name, const Amount& bound, const Amounts& requests, const Amounts& limits) {
    const auto request = requests.find(name), limit = limits.find(name);
    const std::string head = std::string(name) + " max limit to request ratio per " + type_ + " is " + bound.str();
    const bool asks = request != requests.end() && request->second.milli != 0;
    const bool limited = limit != limits.end() && limit->second.milli != 0;
    if (!asks)
      out_.push_back(head + ", but no request is specified or request is 0");
    else if (!limited)
      out_.push_back(head + ", but no limit is specified or limit is 0");
    if (!asks || !limited) return;
    const double observed = static_cast<double>(limit->second.milli) / static_cast<double>(request->second.milli);
    if (observed * 1000 > static_cast<double>(bound.milli))
      out_.push_back(head + ", but provided ratio is " + std::to_string(observed));
  }

 private:
  std::string usage(std::string_view name, const Amount& bound) const {
    return std::string(name) + " usage per " + type_ + " is " + bound.str();
  }
  std::string type_;
  std::vector<std::string>& out_;
};

void check(const Value& item, const Amounts& requests, const Amounts& limits, std::vector<std::string>& out) {
  Bounds bounds(item["type"].as_string(), out);
  for (const auto& [name, bound] : kube::amounts_of(item["min"])) bounds.minimum(name, bound, requests, limits);
  for (const auto& [name, bound] : kube::amounts_of(item["max"])) bounds.maximum(name, bound, requests, limits);
  for (const auto& [name, bound] : kube::amounts_of(item["maxLimitRequestRatio"]))
    bounds.ratio(name, bound, requests, limits);
}

void check_pod(const Value& item, const Value& pod, std::vector<std::string>& out) {
  if (item["type"].as_string() == "Pod")
    return check(item, kube::pod_requests(pod["spec"]), kube::pod_limits(pod["spec"]), out);
  if (item["type"].as_string() != "Container") return;
  for (const char* list : {"containers", "initContainers"})
    for (const Value& container : pod["spec"][list].items())
      check(item, kube::amounts_of(container["resources"]["requests"]),
            kube::amounts_of(container["resources"]["limits"]), out);
}

void check_claim(const Value& item, const Value& claim, std::vector<std::string>& out) {
  if (item["type"].as_string() != "PersistentVolumeClaim") return;
  const Amounts requests = kube::amounts_of(claim["spec"]["resources"]["requests"]);
  Bounds bounds("PersistentVolumeClaim", out);
  for (const auto& [name, bound] : kube::amounts_of(item["min"])) bounds.minimum(name, bound, requests, {});
  for (const auto& [name, bound] : kube::amounts_of(item["max"])) bounds.maximum_request(name, bound, requests);
}

class LimitRanger : public Admission {
 public:
  std::string_view name() const override { return "LimitRanger"; }

  Result<void> mutate(const AdmissionRequest& request, Value& object) const override {
    if (!concerns(request) || request.kind.resource != schema::kPods) return {};
    for (const Value& range : request.list(limit_ranges(), request.ns)) fill_pod(range, object);
    return {};
  }

  Result<void> validate(const AdmissionRequest& request, const Value& object) const override {
    if (!concerns(request)) return {};
    const bool pod = request.kind.resource == schema::kPods;
    for (const Value& range : request.list(limit_ranges(), request.ns)) {
      std::vector<std::string> wrong;
      for (const Value& item : range["spec"]["limits"].items())
        pod ? check_pod(item, object, wrong) : check_claim(item, object, wrong);
      if (wrong.empty()) continue;
      const std::string text = wrong.size() == 1 ? wrong[0] : "[" + join(wrong, ", ") + "]";
      return Error{ErrorCode::forbidden, request.kind.resource.plural + " \"" + object["metadata"]["name"].str() +
                                             "\" is forbidden: " + text};
    }
    return {};
  }
};

}  // namespace

std::shared_ptr<Admission> make_limit_ranger() {
  return std::make_shared<LimitRanger>();
}

}  // namespace caisson::apiserver
