// SPDX-License-Identifier: Apache-2.0
// What the strategies of single kinds fill in, and warnings for what this program stores and does not act on.
#include "cluster/apiserver/admit.h"
#include "core/base/encoding.h"

namespace caisson::apiserver {
namespace {

using Operation = AdmissionRequest::Operation;

void fill_namespace(const AdmissionRequest& request, Value& object) {
  object.edit({"metadata", "labels"}).set("kubernetes.io/metadata.name", object["metadata"]["name"]);
  if (request.operation != Operation::create) return;
  Value finalizers = object["spec"]["finalizers"];
  bool there = false;
  for (const Value& finalizer : finalizers.items()) there = there || finalizer.as_string() == "kubernetes";
  if (!there) finalizers.push_back("kubernetes");
  object.edit("spec").set("finalizers", std::move(finalizers));
  object.set("status", Value{{"phase", "Active"}});
}

Value condition(std::string_view type, std::string_view reason, std::string_view message, const std::string& now) {
  return Value{{"lastTransitionTime", now}, {"message", message}, {"reason", reason}, {"status", "True"}, {"type", type}};
}

// The definition is served as soon as it is stored: there is no controller to wait for.
void fill_crd(const AdmissionRequest& request, Value& object, Clock& clock) {
  if (!request.subresource.empty()) return;
  Value& names = object.edit({"spec", "names"});
  if (names["singular"].as_string().empty() && names["kind"].is_string()) {
    std::string singular = names["kind"].str();
    for (char& c : singular) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    names.set("singular", singular);
  }
  if (names["listKind"].as_string().empty()) names.set("listKind", names["kind"].str() + "List");
  const std::string now = format_time(clock.now());
  Value& status = object.edit("status");
  status.set("acceptedNames", object["spec"]["names"]);
  if (status["conditions"].empty())
    status.set("conditions", Value(std::vector<Value>{condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
                                                      condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now)}));
  Value stored = status["storedVersions"];
  for (const Value& version : object["spec"]["versions"].items()) {
    if (!version["storage"].as_bool()) continue;
    bool there = false;
    for (const Value& s : stored.items()) there = there || s == version["name"];
    if (!there) stored.push_back(version["name"]);
  }
  status.set("storedVersions", std::move(stored));
}

void fill_binding(Value& object) {
  Value& subjects = object.edit("subjects");
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    Value& subject = subjects.edit(i);
    if (subject["apiGroup"].is_null() && subject["kind"].as_string() != "ServiceAccount") subject.set("apiGroup", "rbac.authorization.k8s.io");
  }
  if (subjects.is_null()) object.erase("subjects");
  if (object["roleRef"]["apiGroup"].as_string().empty()) object.edit("roleRef").set("apiGroup", "rbac.authorization.k8s.io");
}

void fill_secret(Value& object) {
  const Value text = object["stringData"];
  if (text.is_null()) return;
  for (const auto& [key, value] : text.entries()) object.edit("data").set(key, base64(value.as_string()));
  object.erase("stringData");
}

class ObjectDefaults : public Admission {
 public:
  explicit ObjectDefaults(Clock& clock) : clock_(clock) {}
  std::string_view name() const override { return "ObjectDefaults"; }

  Result<void> mutate(const AdmissionRequest& request, Value& object) const override {
    if (request.operation != Operation::create && request.operation != Operation::update) return {};
    const schema::Resource& resource = request.kind.resource;
    if (resource == schema::kNamespaces) fill_namespace(request, object);
    if (resource == schema::kSecrets) fill_secret(object);
    if (resource.plural == "customresourcedefinitions") fill_crd(request, object, clock_);
    if (resource == schema::kRoleBindings || resource == schema::kClusterRoleBindings) fill_binding(object);
    return {};
  }

 private:
  Clock& clock_;
};

// Kinds that are stored, served and acted on by nobody (docs/conformance.md).
constexpr std::pair<std::string_view, std::string_view> kUnserved[] = {
    {"horizontalpodautoscalers.autoscaling", "HorizontalPodAutoscaler: nothing scales workloads by metrics yet"},
    {"networkpolicies.networking.k8s.io", "NetworkPolicy: traffic is not restricted yet"},
    {"mutatingwebhookconfigurations.admissionregistration.k8s.io", "MutatingWebhookConfiguration: webhooks are not called yet"},
    {"validatingwebhookconfigurations.admissionregistration.k8s.io", "ValidatingWebhookConfiguration: webhooks are not called yet"},
    {"apiservices.apiregistration.k8s.io", "APIService: requests are not passed on to other servers"},
    {"resourcequotas", "ResourceQuota: quotas are not counted yet"},
};

class UnservedWarnings : public Admission {
 public:
  std::string_view name() const override { return "UnservedWarnings"; }
  Result<void> validate(const AdmissionRequest& request, const Value&) const override {
    if (request.operation != Operation::create || !request.subresource.empty()) return {};
    for (const auto& [resource, warning] : kUnserved)
      if (request.kind.resource.group_resource() == resource) request.warnings.emplace_back(warning);
    return {};
  }
};

}  // namespace

std::shared_ptr<Admission> make_object_defaults(Clock& clock) { return std::make_shared<ObjectDefaults>(clock); }
std::shared_ptr<Admission> make_unserved_warnings() { return std::make_shared<UnservedWarnings>(); }

}  // namespace caisson::apiserver
