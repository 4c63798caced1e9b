// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/endpoints.h"

#include <algorithm>

#include "cluster/controllers/claims.h"
#include "cluster/controllers/names.h"

namespace caisson::controllers {
namespace {

using kube::Requeue;

constexpr std::string_view kServiceName = "kubernetes.io/service-name";
constexpr std::string_view kManagedBy = "endpointslice.kubernetes.io/managed-by";
constexpr std::string_view kSliceManager = "endpointslice-controller.k8s.io";
constexpr std::string_view kHeadless = "service.kubernetes.io/headless";
constexpr std::string_view kZone = "topology.kubernetes.io/zone";

class EndpointsReconciler : public kube::Reconciler {
 public:
  explicit EndpointsReconciler(kube::Runtime& runtime)
      : client_(runtime.client()),
        services_(runtime.informer(schema::kServices)),
        pods_(runtime.informer(schema::kPods)),
        slices_(runtime.informer(schema::kEndpointSlices)),
        endpoints_(runtime.informer(schema::kEndpoints)),
        nodes_(runtime.informer(schema::kNodes)),
        expectations_(slices_, runtime.clock()) {}

  std::string_view name() const override { return "endpoints"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto service = services_.find(key);
    if (!service) {
      expectations_.forget(key);
      const auto left = endpoints_.find(key);
      if (left && left->label("endpoints.kubernetes.io/managed-by") == "endpoint-controller") {
        TRY(ignore_absent(client_.remove(schema::kEndpoints, key)));
      }
      return Requeue::never();  // slices go with their owner
    }
    if (service->spec()["selector"].empty() || service->deleting())
      return Requeue::never();  // its endpoints are somebody else's
    if (!expectations_.met(key)) return Requeue::after(std::chrono::seconds(5));
    const auto pods = pods_.list(key.ns, kube::LabelSelector::of(service->spec()["selector"]));
    TRY(write_slices(*service, plan_endpoints(*service, pods, zones())));
    TRY(write_endpoints(*service, plan_subsets(*service, pods)));
    return Requeue::never();
  }

 private:
  template <class T>
  static Result<void> ignore_absent(const Result<T>& result) {
    if (result.ok() || result.error().code == ErrorCode::not_found) return {};
    return result.error();
  }

  std::map<std::string, std::string> zones() const {
    std::map<std::string, std::string> out;
    for (const Object& node : nodes_.list()) {
      if (const auto zone = node.label(kZone); !zone.empty()) out[node.name()] = std::string(zone);
    }
    return out;
  }

  static bool is_headless(const Object& service) { return service.spec()["clusterIP"].as_string() == "None"; }

  static Value labels(const Object& service) {
    Value out = Value::map();
    for (const auto& entry : service.metadata()["labels"].entries()) {
      if (entry.key != kServiceName && entry.key != kManagedBy) out.set(entry.key, entry.value);
    }
    if (is_headless(service)) out.set(kHeadless, "");
    return out;
  }

  std::vector<Object> own_slices(const Object& service) const {
    std::vector<Object> out = slices_.list(service.ns());
    std::erase_if(out, [&](const Object& slice) {
      return slice.label(kServiceName) != service.name() || slice.label(kManagedBy) != kSliceManager ||
             slice.deleting();
    });
    return out;
  }

  // A slice whose ports fit is written over; what is too much goes, what is missing comes.
  Result<void> write_slices(const Object& service, const std::vector<PortGroup>& groups) {
    std::vector<Object> spare = own_slices(service);
    std::vector<PortGroup> wanted = in_slices(groups);
    if (wanted.empty()) wanted.push_back({Value(), {}});  // a service without pods still has a (placeholder) slice
    std::vector<PortGroup> missing;
    for (const PortGroup& group : wanted) {
      const auto fits = [&](const Object& slice) {
        return slice["ports"] == group.ports || (group.ports.empty() && slice["ports"].empty());
      };
      const auto found = std::find_if(spare.begin(), spare.end(), fits);
      if (found == spare.end()) {
        missing.push_back(group);
        continue;
      }
      TRY(update_slice(service, *found, group));
      spare.erase(found);
    }
    for (const PortGroup& group : missing) {
      if (!spare.empty()) {
        TRY(update_slice(service, spare.back(), group));
        spare.pop_back();
      } else {
        TRY(create_slice(service, group));
      }
    }
    for (const Object& slice : spare) TRY(ignore_absent(client_.remove(schema::kEndpointSlices, slice.key())));
    return {};
  }

  static std::vector<PortGroup> in_slices(const std::vector<PortGroup>& groups) {
    std::vector<PortGroup> out;
    for (const PortGroup& group : groups) {
      for (std::size_t at = 0; at < group.endpoints.size(); at += kSliceEndpointsMax) {
        const std::size_t end = std::min(at + kSliceEndpointsMax, group.endpoints.size());
        out.push_back(
            {group.ports,
             {group.endpoints.begin() + static_cast<long>(at), group.endpoints.begin() + static_cast<long>(end)}});
      }
    }
    return out;
  }

  static void fill(const Object& service, Object& slice, const PortGroup& group) {
    Value all = labels(service);
    all.set(kManagedBy, kSliceManager);
    all.set(kServiceName, service.name());
    slice.edit({"metadata"}).set("labels", std::move(all));
    slice.edit().set("endpoints", Value(group.endpoints));
    slice.edit().set("ports", group.ports.is_null() ? Value::list() : group.ports);
  }

  Result<void> update_slice(const Object& service, const Object& before, const PortGroup& group) {
    Object after = before;
    fill(service, after, group);
    if (after["endpoints"] == before["endpoints"] &&
        (after["ports"] == before["ports"] || (after["ports"].empty() && before["ports"].empty())) &&
        after.metadata()["labels"] == before.metadata()["labels"]) {
      return {};
    }
    return ignore_absent(client_.update(after, by_manager()));
  }

  Result<void> create_slice(const Object& service, const PortGroup& group) {
    Object slice = Object::make(schema::kEndpointSlices, service.ns(), "");
    slice.edit({"metadata"}).erase("name");
    slice.edit({"metadata"}).set("generateName", service.name() + "-");
    slice.set_controller(service);
    slice.edit().set("addressType", "IPv4");
    fill(service, slice, group);
    const auto created = client_.create(slice, by_manager());
    if (created.ok()) {
      expectations_.created(service.key(), *created);
      return {};
    }
    if (namespace_is_terminating(created.error())) return {};
    return created.error();
  }

  Result<void> write_endpoints(const Object& service, const Value& subsets) {
    Value all = labels(service);
    all.set("endpoints.kubernetes.io/managed-by", "endpoint-controller");
    const auto before = endpoints_.find(service.key());
    Object after = before ? *before : Object::make(schema::kEndpoints, service.ns(), service.name());
    after.edit({"metadata"}).set("labels", std::move(all));
    if (subsets.empty())
      after.edit().erase("subsets");
    else
      after.edit().set("subsets", subsets);
    if (before && after["subsets"] == (*before)["subsets"] &&
        after.metadata()["labels"] == before->metadata()["labels"])
      return {};
    if (before) return ignore_absent(client_.update(after, by_manager()));
    const auto created = client_.create(after, by_manager());
    if (created.ok() || namespace_is_terminating(created.error())) return {};
    // The cache does not show it yet: its event brings us back.
    if (created.error().code == ErrorCode::already_exists) return {};
    return created.error();
  }

  kube::Client& client_;
  kube::Informer& services_;
  kube::Informer& pods_;
  kube::Informer& slices_;
  kube::Informer& endpoints_;
  kube::Informer& nodes_;
  Expectations expectations_;
};

}  // namespace

void add_endpoints(kube::Runtime& runtime) {
  kube::Informer& services = runtime.informer(schema::kServices);
  const kube::Queue queue = runtime.add(std::make_unique<EndpointsReconciler>(runtime));
  runtime.watch(schema::kServices, queue);
  // Labels may have changed: the runtime asks for the object before and the object after.
  runtime.watch(schema::kPods, queue, [&services](const Object& pod) {
    std::vector<ObjectKey> out;
    for (const Object& service : services.list(pod.ns())) {
      const Value& selector = service.spec()["selector"];
      if (!selector.empty() && kube::LabelSelector::of(selector).matches(pod.metadata()["labels"]))
        out.push_back(service.key());
    }
    return out;
  });
  runtime.watch(schema::kEndpointSlices, queue, [](const Object& slice) -> std::vector<ObjectKey> {
    if (slice.label(kManagedBy) != kSliceManager) return {};
    return {ObjectKey{slice.ns(), std::string(slice.label(kServiceName))}};
  });
  runtime.watch(schema::kEndpoints, queue);
}

}  // namespace caisson::controllers
