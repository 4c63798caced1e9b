// SPDX-License-Identifier: Apache-2.0
// NetworkPolicies in force: one reconciler with one key makes the whole table from the informers, and applies it when
// its text has changed.
#include <condition_variable>
#include <mutex>
#include <set>

#include "core/base/log.h"
#include "machine/network/network.h"
#include "machine/network/nft.h"
#include "machine/network/policy_rules.h"

namespace caisson::network {
namespace {

using kube::Object;
using kube::ObjectKey;

constexpr auto kCheckEvery = std::chrono::seconds(30);  // somebody may flush the host's ruleset
constexpr int kDnsPort = 53;
const kube::Resource kNetworkPolicies{"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true};

struct Sources {
  kube::Informer& policies;
  kube::Informer& pods;
  kube::Informer& namespaces;
};

class PolicyTable : public Policies {
 public:
  PolicyTable(Sources sources, TableOptions options, Nft nft)
      : sources_(sources), options_(std::move(options)), nft_(std::move(nft)) {}

  Result<void> run();
  void mark();

  Result<void> admit(const Object& pod, const std::string& ip) override;
  Result<void> wait_applied(Duration time_max) const override;

 private:
  PolicyWorld world() const;
  bool table_is_there();

  const Sources sources_;
  const TableOptions options_;

  std::mutex applying_;  // one transaction at a time; before mutex_
  Nft nft_;              // GUARDED_BY(applying_)
  std::string applied_;  // GUARDED_BY(applying_)

  mutable std::mutex mutex_;
  mutable std::condition_variable done_;
  std::map<std::string, std::string> admitted_;  // GUARDED_BY(mutex_), as all below; uid → address
  std::uint64_t marks_ = 0, marks_applied_ = 0;
  bool applied_once_ = false;
};

// The node's own DNS server is what the pods of kube-dns are elsewhere, so that the usual policy "to the pods
// k8s-app=kube-dns of kube-system" lets a pod resolve names.
PolicyPod dns_of_node(const std::string& address) {
  return {"kube-system",
          address,
          Value{{"k8s-app", "kube-dns"}},
          {{"udp/dns", kDnsPort}, {"tcp/dns-tcp", kDnsPort}},
          kDnsPort};
}

PolicyWorld PolicyTable::world() const {
  PolicyWorld out;
  for (const Object& policy : sources_.policies.list())
    if (!policy.deleting()) out.policies.push_back(policy);
  if (out.policies.empty()) return out;
  std::sort(out.policies.begin(), out.policies.end(),
            [](const Object& a, const Object& b) { return a.key() < b.key(); });
  for (const Object& ns : sources_.namespaces.list()) {
    Value labels = ns.metadata()["labels"];
    labels.set("kubernetes.io/metadata.name", ns.name());
    out.namespace_labels[ns.name()] = std::move(labels);
  }
  out.pods.push_back(dns_of_node(options_.node_address));
  const std::lock_guard lock(mutex_);
  for (const Object& pod : sources_.pods.list()) {
    const auto admitted = admitted_.find(pod.uid());
    if (auto one = policy_pod(pod, admitted == admitted_.end() ? "" : admitted->second))
      out.pods.push_back(*std::move(one));
  }
  return out;
}

bool PolicyTable::table_is_there() {
  const auto tables = nft_.run("list tables ip");
  return tables.ok() && tables->find("table " + policy_table_name(options_) + "\n") != std::string::npos;
}

Result<void> PolicyTable::run() {
  const std::lock_guard applying(applying_);
  std::uint64_t marks = 0;
  {
    const std::lock_guard lock(mutex_);
    marks = marks_;
    std::set<std::string> silent;  // pods whose object does not tell their address
    for (const Object& pod : sources_.pods.list())
      if (pod.status()["podIP"].as_string().empty()) silent.insert(pod.uid());
    std::erase_if(admitted_, [&](const auto& one) { return !silent.contains(one.first); });
  }
  const std::string text = make_policy_table(options_, world());
  const bool isolates = text.find(" hook ") != std::string::npos;
  if (text != applied_ || (isolates && !table_is_there())) TRY(nft_.run(text).in("apply network policies"));
  applied_ = text;
  {
    const std::lock_guard lock(mutex_);
    marks_applied_ = marks;
    applied_once_ = true;
  }
  done_.notify_all();
  return {};
}

void PolicyTable::mark() {
  const std::lock_guard lock(mutex_);
  ++marks_;
}

Result<void> PolicyTable::admit(const Object& pod, const std::string& ip) {
  if (sources_.policies.list().empty()) return {};
  {
    const std::lock_guard lock(mutex_);
    admitted_[pod.uid()] = ip;
  }
  return run();
}

Result<void> PolicyTable::wait_applied(Duration time_max) const {
  std::unique_lock lock(mutex_);
  const std::uint64_t marks = marks_;
  if (done_.wait_for(lock, time_max, [&] { return applied_once_ && marks_applied_ >= marks; })) return {};
  return Error{ErrorCode::timeout, "network policies were not in force after " + format_duration(time_max)};
}

class PolicyReconciler : public kube::Reconciler {
 public:
  explicit PolicyReconciler(std::shared_ptr<PolicyTable> table) : table_(std::move(table)) {}
  std::string_view name() const override { return "network-policies"; }
  Result<kube::Requeue> reconcile(const ObjectKey&) override {
    TRY(table_->run());
    return kube::Requeue::after(kCheckEvery);
  }

 private:
  std::shared_ptr<PolicyTable> table_;
};

}  // namespace

Result<std::shared_ptr<Policies>> add_policies(kube::Runtime& runtime, const ServiceOptions& options) {
  Nft nft = TRY(Nft::open());
  const Sources sources{runtime.informer(kNetworkPolicies), runtime.informer(schema::kPods),
                        runtime.informer(schema::kNamespaces)};
  auto table = std::make_shared<PolicyTable>(
      sources, TableOptions{options.instance, options.pod_cidr, options.service_cidr, options.node_address},
      std::move(nft));
  const ObjectKey all{"", "networkpolicies"};
  const kube::Queue queue = runtime.add(std::make_unique<PolicyReconciler>(table), 1);
  const auto wake = [table, all](const Object&) {
    table->mark();
    return std::vector<ObjectKey>{all};
  };
  const auto wake_when_used = [table, all, &policies = sources.policies](const Object&) {
    if (policies.list().empty()) return std::vector<ObjectKey>{};
    table->mark();
    return std::vector<ObjectKey>{all};
  };
  runtime.watch(kNetworkPolicies, queue, wake);
  runtime.watch(schema::kPods, queue, wake_when_used);
  runtime.watch(schema::kNamespaces, queue, wake_when_used);
  queue.add(all);
  return std::shared_ptr<Policies>(table);
}

}  // namespace caisson::network
