// SPDX-License-Identifier: Apache-2.0
// What the strategies of single kinds fill in, and warnings for what this program stores and does not act on.
#include "cluster/apiserver/admit.h"
#include "cluster/apiserver/core.h"
#include "core/base/encoding.h"
#include "core/base/text.h"

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

// Names are filled here; the status follows when the definition is served (core.cc, establish).
void fill_crd(const AdmissionRequest& request, Value& object) {
  if (!request.subresource.empty()) return;
  Value& names = object.edit({"spec", "names"});
  if (names["singular"].as_string().empty() && !names["kind"].as_string().empty())
    names.set("singular", to_lower(names["kind"].as_string()));
  if (names["listKind"].as_string().empty() && !names["kind"].as_string().empty())
    names.set("listKind", names["kind"].str() + "List");
  Value& status = object.edit("status");
  if (!status.contains("conditions")) status.set("conditions", Value());
  if (status["acceptedNames"].is_null()) status.set("acceptedNames", Value{{"kind", ""}, {"plural", ""}});
  Value stored = status["storedVersions"];
  for (const Value& version : object["spec"]["versions"].items()) {
    if (!version["storage"].as_bool()) continue;
    const auto known = stored.items();
    if (std::find(known.begin(), known.end(), version["name"]) == known.end()) stored.push_back(version["name"]);
    break;
  }
  status.set("storedVersions", std::move(stored));
}

void add_finalizer(Value& object, std::string_view name) {
  const auto there = object["metadata"]["finalizers"].items();
  if (std::none_of(there.begin(), there.end(), [&](const Value& f) { return f.as_string() == name; }))
    object.edit({"metadata", "finalizers"}).push_back(name);
}

// jobStrategy.PrepareForCreate: a selector of its own, unless the client made one.
void fill_job(Value& job) {
  if (job["spec"]["manualSelector"].as_bool()) return;
  const Value uid = job["metadata"]["uid"], name = job["metadata"]["name"];
  // Labels that were copied from the template are one map with it in Go: they get what the template gets.
  const bool copied = job["metadata"]["labels"].empty() ||
                      job["metadata"]["labels"] == job.get({"spec", "template", "metadata", "labels"});
  Value& labels = job.edit({"spec", "template", "metadata", "labels"});
  labels.set("batch.kubernetes.io/controller-uid", uid)
      .set("batch.kubernetes.io/job-name", name)
      .set("controller-uid", uid)
      .set("job-name", name);
  Value& selector = job.edit({"spec", "selector", "matchLabels"});
  if (selector["batch.kubernetes.io/controller-uid"].is_null()) selector.set("batch.kubernetes.io/controller-uid", uid);
  if (copied) job.edit("metadata").set("labels", job["spec"]["template"]["metadata"]["labels"]);
}

std::string_view qos_class(const Value& pod) {
  bool any = false, all_limited = true, equal = true;
  for (const char* list : {"containers", "initContainers"}) {
    for (const Value& container : pod["spec"][list].items()) {
      for (const char* resource : {"cpu", "memory"}) {
        const Value& request = container["resources"]["requests"][resource];
        const Value& limit = container["resources"]["limits"][resource];
        any = any || !request.is_null() || !limit.is_null();
        all_limited = all_limited && !limit.is_null();
        equal = equal && (request.is_null() || request == limit);
      }
    }
  }
  return !any ? "BestEffort" : all_limited && equal ? "Guaranteed" : "Burstable";
}

// podStrategy.PrepareForCreate.
void fill_pod(Value& pod, const std::string& now) {
  pod.edit("status").set("phase", "Pending").set("qosClass", qos_class(pod));
  if (pod["spec"]["terminationGracePeriodSeconds"].as_int() < 0)
    pod.edit("spec").set("terminationGracePeriodSeconds", 1);
  if (!pod["spec"]["schedulingGates"].empty())
    pod.edit({"status", "conditions"})
        .push_back(Value{{"lastProbeTime", Value()},
                         {"lastTransitionTime", now},
                         {"message", "Scheduling is blocked due to non-empty scheduling gates"},
                         {"reason", "SchedulingGated"},
                         {"status", "False"},
                         {"type", "PodScheduled"}});
  // Profiles are fields since 1.30; what reads the annotations of before finds them there too.
  const auto annotate = [&](const Value& profile, const Value& container) {
    const std::string type = profile["type"].str();
    if (type.empty()) return;
    const std::string text = type == "RuntimeDefault" ? "runtime/default"
                             : type == "Localhost"    ? "localhost/" + profile["localhostProfile"].str()
                                                      : "unconfined";
    const std::string key = "container.apparmor.security.beta.kubernetes.io/" + container["name"].str();
    if (!pod["metadata"]["annotations"].contains(key)) pod.edit({"metadata", "annotations"}).set(key, text);
  };
  for (const char* list : {"initContainers", "containers"}) {
    const Value containers = pod["spec"][list];
    for (const Value& container : containers.items()) {
      const Value& own = container["securityContext"]["appArmorProfile"];
      annotate(own.is_null() ? pod["spec"]["securityContext"]["appArmorProfile"] : own, container);
    }
  }
}

void fill_binding(Value& object) {
  Value& subjects = object.edit("subjects");
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    Value& subject = subjects.edit(i);
    if (subject["apiGroup"].is_null() && subject["kind"].as_string() != "ServiceAccount")
      subject.set("apiGroup", "rbac.authorization.k8s.io");
  }
  if (subjects.is_null()) object.erase("subjects");
  if (object["roleRef"]["apiGroup"].as_string().empty())
    object.edit("roleRef").set("apiGroup", "rbac.authorization.k8s.io");
}

void fill_secret(Value& object) {
  const Value text = object["stringData"];
  if (text.is_null()) return;
  for (const auto& [key, value] : text.entries()) object.edit("data").set(key, base64(value.as_string()));
  object.erase("stringData");
}

// csrStrategy.PrepareForCreate: who asks is not for the asker to say.
void fill_signing_request(const User& user, Value& object) {
  Value& spec = object.edit("spec");
  spec.set("username", user.name).set("groups", Value::list_of(user.groups));
  if (!user.uid.empty()) spec.set("uid", user.uid);
  for (const auto& [key, values] : user.extra) spec.edit("extra").set(key, Value::list_of(values));
}

void fill_new(const schema::Resource& resource, const User& user, const std::string& now, Value& object) {
  if (resource.plural == "certificatesigningrequests") fill_signing_request(user, object);
  if (resource.plural == "persistentvolumes") object.edit("status").set("lastPhaseTransitionTime", now);
  if (resource == schema::kPods) fill_pod(object, now);
  if (resource == schema::kJobs) fill_job(object);
  if (resource == schema::kPersistentVolumeClaims) add_finalizer(object, "kubernetes.io/pvc-protection");
  if (resource.plural == "persistentvolumes") add_finalizer(object, "kubernetes.io/pv-protection");
  if (resource == schema::kDaemonSets)
    object.edit({"metadata", "annotations"}).set("deprecated.daemonset.template.generation", "1");
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
    if (resource.plural == "customresourcedefinitions") fill_crd(request, object);
    if (request.operation == Operation::create && request.subresource.empty())
      fill_new(resource, request.user, time_now(clock_), object);
    if (resource == schema::kRoleBindings || resource == schema::kClusterRoleBindings) fill_binding(object);
    return {};
  }

 private:
  Clock& clock_;
};

// Kinds that are stored, served and acted on by nobody (docs/conformance.md).
constexpr std::pair<std::string_view, std::string_view> kUnserved[] = {
    {"apiservices.apiregistration.k8s.io", "APIService: requests are not passed on to other servers"},
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

std::shared_ptr<Admission> make_object_defaults(Clock& clock) {
  return std::make_shared<ObjectDefaults>(clock);
}
std::shared_ptr<Admission> make_unserved_warnings() {
  return std::make_shared<UnservedWarnings>();
}

}  // namespace caisson::apiserver
