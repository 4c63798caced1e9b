// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/namespace.h"

#include <algorithm>
#include <set>

#include "cluster/controllers/names.h"
#include "core/base/text.h"

namespace caisson::controllers {
namespace {

using kube::Object;
using kube::ObjectKey;
using kube::Requeue;
using schema::Resource;

constexpr Duration kLookAgain = std::chrono::milliseconds(500);

// A kind that can only be created (reviews, bindings) has nothing to delete.
bool holds_nothing(const Error& error) {
  return error.code == ErrorCode::method_not_allowed || error.code == ErrorCode::not_found;
}

class NamespaceReconciler : public kube::Reconciler {
 public:
  explicit NamespaceReconciler(kube::Runtime& runtime)
      : client_(runtime.client()), clock_(runtime.clock()), namespaces_(runtime.informer(schema::kNamespaces)) {}

  std::string_view name() const override { return "namespace"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto ns = namespaces_.find(key);
    if (!ns || !ns->deleting() || !has_kubernetes_finalizer(*ns)) return Requeue::never();
    NamespaceRemains remains;
    empty(schema::kPods, key.name, remains);
    if (remains.empty()) {  // secrets and services outlive the pods that use them
      for (const Resource& resource : TRY(resources())) empty(resource, key.name, remains);
    }
    TRY(write_conditions(*ns, remains));
    if (!remains.empty()) return Requeue::after(kLookAgain);
    TRY(finalize(key));
    return Requeue::never();
  }

 private:
  static bool has_kubernetes_finalizer(const Object& ns) {
    const auto finalizers = ns.spec()["finalizers"].items();
    return std::any_of(finalizers.begin(), finalizers.end(),
                       [](const Value& f) { return f.as_string() == "kubernetes"; });
  }

  // Every namespaced resource once: two versions of a group show the same objects.
  Result<std::vector<Resource>> resources() {
    std::vector<Resource> out;
    std::set<std::string> seen;
    const std::vector<Resource> all = TRY(client_.resources());
    for (const Resource& resource : all) {
      if (resource.namespaced && seen.insert(resource.group_resource()).second) out.push_back(resource);
    }
    return out;
  }

  void empty(const Resource& resource, const std::string& ns, NamespaceRemains& remains) {
    kube::ListOptions options;
    options.ns = ns;
    auto list = client_.list(resource, options);
    if (!list.ok()) {
      if (!holds_nothing(list.error())) remains.failure = resource.group_resource() + ": " + list.error().message;
      return;
    }
    for (const Object& object : list->items) {
      if (object.deleting()) continue;
      const auto removed = client_.remove(resource, object.key());
      if (removed.ok() || removed.error().code == ErrorCode::not_found) continue;
      if (removed.error().code == ErrorCode::method_not_allowed) return;
      remains.failure = resource.group_resource() + ": " + removed.error().message;
    }
    if (list->items.empty()) return;
    list = client_.list(resource, options);
    if (!list.ok() || list->items.empty()) return;
    remains.counts[resource.group_resource()] = static_cast<std::int64_t>(list->items.size());
    for (const Object& object : list->items) {
      for (const Value& finalizer : object.metadata()["finalizers"].items()) remains.finalizers[finalizer.str()] += 1;
    }
  }

  Result<void> write_conditions(const Object& ns, const NamespaceRemains& remains) {
    Object after = ns;
    if (!note_remains(after, remains, clock_.now())) return {};
    const auto written = client_.update(after, by_manager("status"));
    if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    return {};
  }

  Result<void> finalize(const ObjectKey& key) {
    const auto finalized = kube::modify(
        client_, schema::kNamespaces, key,
        [](Object& ns) {
          Value kept = Value::list();
          for (const Value& finalizer : ns.spec()["finalizers"].items()) {
            if (finalizer.as_string() != "kubernetes") kept.push_back(finalizer);
          }
          ns.edit({"spec"}).set("finalizers", std::move(kept));
          return true;
        },
        by_manager("finalize"));
    if (!finalized.ok() && finalized.error().code != ErrorCode::not_found) return finalized.error();
    return {};
  }

  kube::Client& client_;
  Clock& clock_;
  kube::Informer& namespaces_;
};

std::string listed(const std::map<std::string, std::int64_t>& counts, std::string_view verb) {
  std::vector<std::string> parts;
  for (const auto& [name, count] : counts) {
    parts.push_back(name + std::string(verb) + std::to_string(count) + " resource instances");
  }
  return join(parts, ", ");
}

}  // namespace

bool note_remains(Object& ns, const NamespaceRemains& remains, Time now) {
  bool changed = kube::set_condition(ns, "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered",
                                     "All resources successfully discovered", now);
  changed |= kube::set_condition(ns, "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions",
                                 "All legacy kube types successfully parsed", now);
  changed |= remains.failure.empty()
                 ? kube::set_condition(ns, "NamespaceDeletionContentFailure", false, "ContentDeleted",
                                       "All content successfully deleted, may be waiting on finalization", now)
                 : kube::set_condition(ns, "NamespaceDeletionContentFailure", true, "ContentDeletionFailed",
                                       "Failed to delete all resource types, 1 remaining: " + remains.failure, now);
  changed |= remains.counts.empty()
                 ? kube::set_condition(ns, "NamespaceContentRemaining", false, "ContentRemoved",
                                       "All content successfully removed", now)
                 : kube::set_condition(ns, "NamespaceContentRemaining", true, "SomeResourcesRemain",
                                       "Some resources are remaining: " + listed(remains.counts, ". has "), now);
  changed |=
      remains.finalizers.empty()
          ? kube::set_condition(ns, "NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers",
                                "All content-preserving finalizers finished", now)
          : kube::set_condition(
                ns, "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain",
                "Some content in the namespace has finalizers remaining: " + listed(remains.finalizers, " in "), now);
  return changed;
}

void add_namespace(kube::Runtime& runtime) {
  const kube::Queue queue = runtime.add(std::make_unique<NamespaceReconciler>(runtime), 2);
  runtime.watch(schema::kNamespaces, queue);
}

}  // namespace caisson::controllers
