// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/endpoints_mirroring.h"

#include <algorithm>

#include "cluster/controllers/claims.h"
#include "cluster/controllers/names.h"
#include "cluster/controllers/pods.h"

namespace caisson::controllers {
namespace {

using kube::Requeue;

constexpr std::string_view kServiceName = "kubernetes.io/service-name";
constexpr std::string_view kManagedBy = "endpointslice.kubernetes.io/managed-by";
constexpr std::string_view kMirror = "endpointslicemirroring-controller.k8s.io";
constexpr std::string_view kSkip = "endpointslice.kubernetes.io/skip-mirror";
constexpr std::string_view kLeader = "control-plane.alpha.kubernetes.io/leader";
constexpr std::string_view kLastChange = "endpoints.kubernetes.io/last-change-trigger-time";
constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

Value mirrored_ports(const Value& subset) {
  Value out = Value::list();
  for (const Value& port : subset["ports"].items()) {
    Value one{
        {"name", port["name"].as_string()}, {"port", port["port"]}, {"protocol", port["protocol"].as_string("TCP")}};
    if (const Value& app = port["appProtocol"]; !app.is_null()) one.set("appProtocol", app);
    out.push_back(std::move(one));
  }
  return out;
}

Value mirrored_endpoint(const Value& address, bool ready) {
  Value out{{"addresses", Value::list_of({address["ip"].str()})}, {"conditions", Value{{"ready", ready}}}};
  for (const char* field : {"hostname", "nodeName", "targetRef"}) {
    if (const Value& value = address[field]; !value.is_null()) out.set(field, value);
  }
  return out;
}

class MirroringReconciler : public kube::Reconciler {
 public:
  explicit MirroringReconciler(kube::Runtime& runtime)
      : client_(runtime.client()),
        services_(runtime.informer(schema::kServices)),
        endpoints_(runtime.informer(schema::kEndpoints)),
        slices_(runtime.informer(schema::kEndpointSlices)),
        expectations_(slices_, runtime.clock()) {}

  std::string_view name() const override { return "endpointslice-mirroring"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto endpoints = endpoints_.find(key);
    const auto service = services_.find(key);
    if (!endpoints) expectations_.forget(key);
    if (!expectations_.met(key)) return Requeue::after(std::chrono::seconds(5));
    std::vector<MirroredSlice> wanted;
    if (endpoints && !endpoints->deleting() && service && is_mirrored(*endpoints, *service))
      wanted = plan_mirrored(*endpoints);
    std::vector<Object> spare = own_slices(key);
    for (const MirroredSlice& slice : wanted) {
      const auto fits = std::find_if(spare.begin(), spare.end(), [&](const Object& have) {
        return have["addressType"].as_string() == slice.address_type && have["ports"] == slice.ports;
      });
      if (fits == spare.end()) {
        TRY(create(*endpoints, slice));
      } else {
        TRY(update(*endpoints, *fits, slice));
        spare.erase(fits);
      }
    }
    for (const Object& slice : spare) {
      const auto removed = client_.remove(schema::kEndpointSlices, slice.key());
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    }
    return Requeue::never();
  }

 private:
  std::vector<Object> own_slices(const ObjectKey& key) const {
    std::vector<Object> out = slices_.list(key.ns);
    std::erase_if(out, [&](const Object& slice) {
      return slice.label(kServiceName) != key.name || slice.label(kManagedBy) != kMirror || slice.deleting();
    });
    return out;
  }

  static void fill(const Object& endpoints, Object& slice, const MirroredSlice& content) {
    Value labels = Value::map(), annotations = Value::map();
    for (const auto& [key, value] : endpoints.metadata()["labels"].entries()) labels.set(key, value);
    labels.set(kManagedBy, kMirror);
    labels.set(kServiceName, endpoints.name());
    for (const auto& [key, value] : endpoints.metadata()["annotations"].entries()) {
      if (key != kLastChange && key != kLastApplied) annotations.set(key, value);
    }
    slice.edit({"metadata"}).set("labels", std::move(labels));
    if (annotations.empty())
      slice.edit({"metadata"}).erase("annotations");
    else
      slice.edit({"metadata"}).set("annotations", std::move(annotations));
    slice.edit().set("addressType", content.address_type);
    slice.edit().set("endpoints", content.endpoints);
    slice.edit().set("ports", content.ports);
  }

  Result<void> create(const Object& endpoints, const MirroredSlice& content) {
    Object slice = Object::make(schema::kEndpointSlices, endpoints.ns(), "");
    slice.edit({"metadata"}).erase("name");
    slice.edit({"metadata"}).set("generateName", endpoints.name() + "-");
    slice.set_controller(endpoints);
    fill(endpoints, slice, content);
    const auto created = client_.create(slice, by_manager());
    if (created.ok()) {
      expectations_.created(endpoints.key(), *created);
      return {};
    }
    if (namespace_is_terminating(created.error())) return {};
    return created.error();
  }

  Result<void> update(const Object& endpoints, const Object& before, const MirroredSlice& content) {
    Object after = before;
    fill(endpoints, after, content);
    if (after == before) return {};
    const auto written = client_.update(after, by_manager());
    if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    return {};
  }

  kube::Client& client_;
  kube::Informer& services_;
  kube::Informer& endpoints_;
  kube::Informer& slices_;
  Expectations expectations_;
};

}  // namespace

bool is_mirrored(const kube::Object& endpoints, const kube::Object& service) {
  return service.spec()["selector"].empty() && endpoints.label(kSkip) != "true" &&
         endpoints.annotation(kLeader).empty();
}

std::vector<MirroredSlice> plan_mirrored(const kube::Object& endpoints) {
  std::vector<MirroredSlice> out;
  for (const Value& subset : endpoints["subsets"].items()) {
    MirroredSlice v4{"IPv4", mirrored_ports(subset), Value::list()}, v6{"IPv6", v4.ports, Value::list()};
    std::size_t count = 0;
    for (const bool ready : {true, false}) {
      for (const Value& address : subset[ready ? "addresses" : "notReadyAddresses"].items()) {
        if (++count > kMirroredPerSubsetMax) break;
        const bool is_v6 = address["ip"].as_string().find(':') != std::string_view::npos;
        (is_v6 ? v6 : v4).endpoints.push_back(mirrored_endpoint(address, ready));
      }
    }
    for (MirroredSlice* slice : {&v4, &v6}) {
      if (!slice->endpoints.empty()) out.push_back(std::move(*slice));
    }
  }
  return out;
}

void add_endpoints_mirroring(kube::Runtime& runtime) {
  const kube::Queue queue = runtime.add(std::make_unique<MirroringReconciler>(runtime));
  runtime.watch(schema::kEndpoints, queue);
  runtime.watch(schema::kServices, queue);
  runtime.watch(schema::kEndpointSlices, queue, [](const Object& slice) -> std::vector<ObjectKey> {
    if (slice.label(kManagedBy) != kMirror) return {};
    return {ObjectKey{slice.ns(), std::string(slice.label(kServiceName))}};
  });
}

}  // namespace caisson::controllers
