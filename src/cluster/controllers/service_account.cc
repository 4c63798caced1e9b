// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/service_account.h"

#include "cluster/controllers/names.h"

namespace caisson::controllers {
namespace {

using kube::Object;
using kube::ObjectKey;
using kube::Requeue;

constexpr std::string_view kRootCa = "kube-root-ca.crt";
constexpr std::string_view kDescription =
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or "
    "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

class ServiceAccountReconciler : public kube::Reconciler {
 public:
  ServiceAccountReconciler(kube::Runtime& runtime, std::string ca_pem)
      : client_(runtime.client()),
        ca_pem_(std::move(ca_pem)),
        namespaces_(runtime.informer(schema::kNamespaces)),
        accounts_(runtime.informer(schema::kServiceAccounts)),
        config_maps_(runtime.informer(schema::kConfigMaps)) {}

  std::string_view name() const override { return "serviceaccount"; }

  // The key is a namespace.
  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto ns = namespaces_.find(key);
    if (!ns || ns->deleting()) return Requeue::never();
    if (!accounts_.find({key.name, "default"}))
      TRY(ensure(Object::make(schema::kServiceAccounts, key.name, "default")));
    if (!ca_pem_.empty()) TRY(publish_ca(key.name));
    return Requeue::never();
  }

 private:
  Result<void> publish_ca(const std::string& ns) {
    const auto live = config_maps_.find({ns, std::string(kRootCa)});
    if (live && live->get({"data", "ca.crt"}).as_string() == ca_pem_ && (*live)["data"].size() == 1) return {};
    Object wanted = live ? *live : Object::make(schema::kConfigMaps, ns, kRootCa);
    wanted.set_annotation("kubernetes.io/description", kDescription);
    wanted.edit().set("data", Value{{"ca.crt", ca_pem_}});
    if (!live) return ensure(wanted);
    TRY(client_.update(wanted, by_manager()));
    return {};
  }

  Result<void> ensure(const Object& object) {
    const auto created = client_.create(object, by_manager());
    if (created.ok() || created.error().code == ErrorCode::already_exists ||
        created.error().code == ErrorCode::not_found)
      return {};
    if (created.error().message.find("because it is being terminated") != std::string::npos) return {};
    return created.error();
  }

  kube::Client& client_;
  const std::string ca_pem_;
  kube::Informer& namespaces_;
  kube::Informer& accounts_;
  kube::Informer& config_maps_;
};

std::vector<ObjectKey> namespace_of(const Object& object) {
  return {ObjectKey{"", object.ns()}};
}

}  // namespace

void add_service_account(kube::Runtime& runtime, std::string ca_pem) {
  const kube::Queue queue = runtime.add(std::make_unique<ServiceAccountReconciler>(runtime, std::move(ca_pem)), 2);
  runtime.watch(schema::kNamespaces, queue);
  runtime.watch(schema::kServiceAccounts, queue, [](const Object& account) {
    return account.name() == "default" ? namespace_of(account) : std::vector<ObjectKey>{};
  });
  runtime.watch(schema::kConfigMaps, queue,
                [](const Object& map) { return map.name() == kRootCa ? namespace_of(map) : std::vector<ObjectKey>{}; });
}

}  // namespace caisson::controllers
