// SPDX-License-Identifier: Apache-2.0
// The ingress controller: one reconciler with one key makes the whole table from the informers and posts what changed.
// When only endpoints changed, which is what every pod does, only their backends are made anew.
#include <poll.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/http/tls.h"
#include "machine/network/endpoints.h"
#include "machine/network/ingress_options.h"
#include "machine/network/ingress_table.h"
#include "machine/network/network.h"
#include "machine/network/nginx.h"

namespace caisson::network {
namespace {

using kube::Object;
using kube::ObjectKey;

constexpr auto kCheckEvery = std::chrono::seconds(10);  // is nginx there, and does it hold the table
constexpr int kAskEveryMs = 10;

const kube::Resource& traefik(std::string_view kind) {
  static const kube::Resource kKinds[] = {{"traefik.io", "v1alpha1", "IngressRoute", "ingressroutes"},
                                          {"traefik.io", "v1alpha1", "Middleware", "middlewares"},
                                          {"traefik.io", "v1alpha1", "TraefikService", "traefikservices"},
                                          {"traefik.io", "v1alpha1", "TLSOption", "tlsoptions"}};
  return *std::find_if(std::begin(kKinds), std::end(kKinds),
                       [kind](const kube::Resource& r) { return r.kind == kind; });
}

struct Sources {
  kube::Informer& ingresses;
  kube::Informer& services;
  kube::Informer& slices;
  kube::Informer& secrets;
  kube::Informer& config_maps;
  kube::Informer& routes;
  kube::Informer& middlewares;
  kube::Informer& traefik_services;
  kube::Informer& tls_options;
};

class Controller : public Ingress {
 public:
  Controller(kube::Runtime& runtime, IngressOptions options, NginxOptions nginx, Sources sources)
      : client_(runtime.client()),
        options_(std::move(options)),
        nginx_(std::move(nginx)),
        sources_(sources),
        events_(runtime.client(), runtime.clock(), "caisson-ingress") {}

  Result<kube::Requeue> run();
  void mark_all();
  void mark_endpoints(const ObjectKey& service);

  int http_port() const override { return options_.http_port; }
  int https_port() const override { return options_.https_port; }
  bool withdrawn(std::string_view pod_ip) const override;
  bool wait_withdrawn(std::string_view pod_ip, Duration time_max) const override;
  Result<void> wait_applied(Duration time_max) const override;

 private:
  IngressWorld world() const;
  Result<void> apply_all(std::uint64_t marks);
  Result<void> apply_endpoints(const std::set<ObjectKey>& services, std::uint64_t marks);
  Result<void> post(const IngressTable& table);
  Result<void> post_backends(bool all, const std::map<std::string, RoutedBackend>& wanted);
  void in_force(std::uint64_t marks, const std::function<void(std::map<std::string, int>& uses)>& change);
  Result<void> write_status(const std::vector<Object>& ingresses);
  using Warnings = std::map<ObjectKey, std::vector<std::string>>;
  void tell(const std::vector<Object>& objects, const Warnings& warnings, std::map<ObjectKey, std::string>& told);
  std::int64_t requests_under_way(std::string_view pod_ip) const;
  bool withdrawn_locked(std::string_view ip) const { return applied_once_ && !uses_.contains(std::string(ip)); }

  kube::Client& client_;
  const IngressOptions options_;
  NginxOptions nginx_;
  Sources sources_;
  kube::EventRecorder events_;

  // Of the one key's run.
  std::string routes_, certificates_;                  // as nginx holds them
  std::map<std::string, RoutedBackend> backends_;      // the same, by id
  std::map<ObjectKey, std::set<std::string>> ids_of_;  // of backends, by service
  std::string status_seen_;                            // nginx's answer after our last post: tells a restarted nginx
  std::map<ObjectKey, std::string> told_, told_of_routes_;  // warnings that were made Events

  mutable std::mutex mutex_;
  mutable std::condition_variable applied_;
  std::map<std::string, int> uses_;  // GUARDED_BY(mutex_), as all below: endpoint address → backends in force with it
  std::set<ObjectKey> dirty_;        // services whose endpoints changed
  bool all_ = true, applied_once_ = false;
  std::uint64_t marks_ = 0, marks_applied_ = 0;
};

Result<void> Controller::post(const IngressTable& table) {
  // Before the routes that lead there. One that nobody asks for any more stays: taking it away would be a reload for
  // nothing.
  nginx_.firewalls.insert(table.firewalls.begin(), table.firewalls.end());
  TRY(ensure_nginx(nginx_));
  const std::string status = TRY(nginx_control(options_.directory, "/status", ""));
  const bool lost = status != status_seen_;
  // A body that is empty would be a GET: the table of no rule is one empty line.
  if (lost || table.certificates != certificates_)
    TRY(nginx_control(options_.directory, "/certificates", table.certificates + "\n"));
  TRY(write_user_files(options_.directory, table.user_files));
  // What rules lead to is there before them, and goes after them.
  TRY(post_backends(lost, table.backends));
  if (lost || table.routes != routes_) TRY(nginx_control(options_.directory, "/routes", table.routes + "\n"));
  TRY(remove_other_user_files(options_.directory, table.user_files));
  std::string gone;
  for (const auto& [id, backend] : backends_)
    if (!table.backends.contains(id)) gone += "gone\t" + id + "\n";
  if (!gone.empty()) TRY(nginx_control(options_.directory, "/backends", gone));
  certificates_ = table.certificates;
  routes_ = table.routes;
  status_seen_ = TRY(nginx_control(options_.directory, "/status", ""));
  return {};
}

// Of `wanted` what nginx does not hold so, or `all`, and then no other.
Result<void> Controller::post_backends(bool all, const std::map<std::string, RoutedBackend>& wanted) {
  std::string text = all ? "all\n" : "";
  for (const auto& [id, backend] : wanted) {
    const auto held = backends_.find(id);
    if (all || held == backends_.end() || held->second.line != backend.line) text += backend.line + "\n";
  }
  if (text.empty()) return {};
  TRY(nginx_control(options_.directory, "/backends", text));
  return {};
}

// Everything that was marked until then is.
void Controller::in_force(std::uint64_t marks, const std::function<void(std::map<std::string, int>& uses)>& change) {
  {
    const std::lock_guard lock(mutex_);
    change(uses_);
    applied_once_ = true;
    marks_applied_ = marks;
  }
  applied_.notify_all();
}

IngressWorld Controller::world() const {
  return {
      [this](const ObjectKey& key) { return sources_.services.find(key); },
      [this](const ObjectKey& key) { return sources_.slices.by_index(kServiceIndex, key.str()); },
      [this](const ObjectKey& key) { return sources_.secrets.find(key); },
      [this](const ObjectKey& key) { return sources_.config_maps.find(key); },
      [this](const ObjectKey& key) { return sources_.middlewares.find(key); },
      [this](const ObjectKey& key) { return sources_.traefik_services.find(key); },
      [this](const ObjectKey& key) { return sources_.tls_options.find(key); },
  };
}

Result<void> Controller::apply_all(std::uint64_t marks) {
  std::vector<Object> ingresses;
  for (const Object& ingress : sources_.ingresses.list())
    if (is_of_class(ingress, options_.class_name) && !ingress.deleting()) ingresses.push_back(ingress);
  std::vector<Object> routes = sources_.routes.list();
  std::erase_if(routes, [](const Object& route) { return route.deleting(); });
  const IngressTable table = make_ingress_table(ingresses, world(), routes);
  TRY(post(table).in("apply ingress"));
  backends_ = table.backends;
  ids_of_.clear();
  std::map<std::string, int> uses;
  for (const auto& [id, backend] : backends_) {
    ids_of_[backend.name.service].insert(id);
    for (const std::string& address : backend.addresses) ++uses[address];
  }
  in_force(marks, [&](std::map<std::string, int>& now) { now = std::move(uses); });
  tell(ingresses, table.warnings, told_);
  tell(routes, table.route_warnings, told_of_routes_);
  return write_status(ingresses);
}

Result<void> Controller::apply_endpoints(const std::set<ObjectKey>& services, std::uint64_t marks) {
  const IngressWorld here = world();
  std::map<std::string, RoutedBackend> changed;
  std::string text;
  for (const ObjectKey& service : services) {
    const auto ids = ids_of_.find(service);
    if (ids == ids_of_.end()) continue;
    for (const std::string& id : ids->second) {
      RoutedBackend now = make_backend(backends_[id].name, here);
      if (now.line == backends_[id].line) continue;
      text += now.line + "\n";
      changed.emplace(id, std::move(now));
    }
  }
  if (!changed.empty()) {
    const Result<std::string> status = nginx_control(options_.directory, "/backends", text);
    if (!status.ok() || *status != status_seen_) return apply_all(marks);  // it was started anew
  }
  in_force(marks, [&](std::map<std::string, int>& uses) {
    for (auto& [id, now] : changed) {
      RoutedBackend& held = backends_[id];
      for (const std::string& address : now.addresses) ++uses[address];
      for (const std::string& address : held.addresses)
        if (--uses[address] == 0) uses.erase(address);
      held = std::move(now);
    }
  });
  return {};
}

Result<kube::Requeue> Controller::run() {
  std::uint64_t marks = 0;
  std::set<ObjectKey> dirty;
  bool all = false;
  {
    const std::lock_guard lock(mutex_);
    marks = marks_;
    dirty = std::exchange(dirty_, {});
    all = std::exchange(all_, false) || dirty.empty();  // or it is time to look whether nginx holds everything
  }
  const Result<void> done = all ? apply_all(marks) : apply_endpoints(dirty, marks);
  if (done.ok()) return kube::Requeue::after(kCheckEvery);
  const std::lock_guard lock(mutex_);
  all_ = true;
  return done.error();
}

void Controller::tell(const std::vector<Object>& objects, const Warnings& warnings,
                      std::map<ObjectKey, std::string>& told) {
  std::map<ObjectKey, std::string> now;  // those that are gone are forgotten
  for (const Object& object : objects) {
    const auto found = warnings.find(object.key());
    if (found == warnings.end()) continue;
    std::string& all = now[object.key()];
    for (const auto& warning : found->second) all += warning + "\n";
    const auto before = told.find(object.key());
    if (before != told.end() && before->second == all) continue;
    for (const auto& warning : found->second)
      events_.record(object, kube::EventRecorder::Type::warning, object.kind(), warning);
  }
  told = std::move(now);
}

Result<void> Controller::write_status(const std::vector<Object>& ingresses) {
  const Value address{{"ip", options_.status_address}};
  for (const Object& ingress : ingresses) {
    const Value& balancer = ingress.status()["loadBalancer"]["ingress"];
    if (balancer.size() == 1 && balancer[0]["ip"].as_string() == options_.status_address) continue;
    kube::WriteOptions write;
    write.field_manager = "caisson-ingress";
    write.subresource = "status";
    const Result<Object> written = kube::modify(
        client_, schema::kIngresses, ingress.key(),
        [&](Object& object) {
          object.edit({"status", "loadBalancer"}).set("ingress", Value(std::vector<Value>{address}));
          return true;
        },
        write);
    if (!written.ok() && written.error().code != ErrorCode::not_found)  // deleted meanwhile
      return Error(written.error()).in("write status of ingress " + ingress.key().str());
  }
  return {};
}

void Controller::mark_all() {
  const std::lock_guard lock(mutex_);
  all_ = true;
  ++marks_;
}

void Controller::mark_endpoints(const ObjectKey& service) {
  const std::lock_guard lock(mutex_);
  dirty_.insert(service);
  ++marks_;
}

bool Controller::withdrawn(std::string_view pod_ip) const {
  const std::lock_guard lock(mutex_);
  return withdrawn_locked(pod_ip);
}

bool Controller::wait_withdrawn(std::string_view pod_ip, Duration time_max) const {
  const auto until = std::chrono::steady_clock::now() + time_max;
  {
    std::unique_lock lock(mutex_);
    if (!applied_.wait_for(lock, time_max, [&] { return withdrawn_locked(pod_ip); })) return false;
  }
  // nginx doesn't call us back: it is asked until its last request there is answered, or the time is over.
  while (requests_under_way(pod_ip) > 0 && std::chrono::steady_clock::now() < until) ::poll(nullptr, 0, kAskEveryMs);
  return true;
}

// 0 as well when nginx doesn't answer: then it serves nothing.
std::int64_t Controller::requests_under_way(std::string_view pod_ip) const {
  const auto answer = nginx_control(options_.directory, "/under-way?address=" + std::string(pod_ip), "");
  return answer.ok() ? parse_int(trim(*answer)).value_or(0) : 0;
}

Result<void> Controller::wait_applied(Duration time_max) const {
  std::unique_lock lock(mutex_);
  const std::uint64_t marks = marks_;
  if (applied_.wait_for(lock, time_max, [&] { return applied_once_ && marks_applied_ >= marks; })) return {};
  return Error{ErrorCode::timeout, "the ingress table was not in force after " + format_duration(time_max)};
}

class IngressReconciler : public kube::Reconciler {
 public:
  explicit IngressReconciler(std::shared_ptr<Controller> controller) : controller_(std::move(controller)) {}
  std::string_view name() const override { return "network-ingress"; }
  Result<kube::Requeue> reconcile(const ObjectKey&) override { return controller_->run(); }

 private:
  std::shared_ptr<Controller> controller_;
};

Result<NginxOptions> nginx_options(const IngressOptions& options) {
  NginxOptions out{options.instance,       options.directory,  options.address,
                   options.http_port,      options.https_port, options.default_certificate_pem,
                   options.default_key_pem};
  if (!out.default_certificate_pem.empty()) return out;
  // Without a platform CA: a certificate of our own, kept so that a restarted agent doesn't change the configuration.
  const std::string pem = options.directory + "/control/default.pem", key = options.directory + "/control/default.key";
  const Result<std::string> old_pem = read_file(pem), old_key = read_file(key);
  if (old_pem.ok() && old_key.ok()) {
    out.default_certificate_pem = *old_pem;
    out.default_key_pem = *old_key;
    return out;
  }
  const http::KeyPair made = TRY(http::make_ca("Caisson ingress default", system_clock().now()));
  out.default_certificate_pem = made.certificate_pem;
  out.default_key_pem = std::string(made.key_pem.reveal());
  return out;
}

}  // namespace

Result<std::shared_ptr<Ingress>> add_ingress(kube::Runtime& runtime, const IngressOptions& options) {
  NginxOptions nginx = TRY(nginx_options(options));
  nginx.firewalls = TRY(firewalls_of(options.directory));
  TRY(ensure_nginx(nginx).in("ingress"));
  Sources sources{runtime.informer(schema::kIngresses),      runtime.informer(schema::kServices),
                  runtime.informer(schema::kEndpointSlices), runtime.informer(schema::kSecrets),
                  runtime.informer(schema::kConfigMaps),     runtime.informer(traefik("IngressRoute")),
                  runtime.informer(traefik("Middleware")),   runtime.informer(traefik("TraefikService")),
                  runtime.informer(traefik("TLSOption"))};
  sources.slices.add_index(kServiceIndex, service_index);
  auto controller = std::make_shared<Controller>(runtime, options, nginx, sources);
  const ObjectKey all{"", "ingresses"};
  const kube::Queue queue = runtime.add(std::make_unique<IngressReconciler>(controller), 1);
  const kube::Runtime::Map wake = [controller, all](const Object&) {
    controller->mark_all();
    return std::vector<ObjectKey>{all};
  };
  for (const auto* resource : {&schema::kIngresses, &schema::kServices}) runtime.watch(*resource, queue, wake);
  runtime.watch(schema::kEndpointSlices, queue, [controller, all](const Object& slice) {
    controller->mark_endpoints(service_of(slice));
    return std::vector<ObjectKey>{all};
  });
  for (const auto kind : {"IngressRoute", "Middleware", "TraefikService", "TLSOption"})
    runtime.watch(traefik(kind), queue, wake);
  // A certificate, or what an annotation of an Ingress in its namespace names.
  const auto wake_when_named = [wake, &ingresses = sources.ingresses,
                                &middlewares = sources.middlewares](std::string_view annotation) {
    return [wake, &ingresses, &middlewares, annotation = std::string(annotation)](const Object& object) {
      for (const Object& middleware : middlewares.list(object.ns()))
        if (middleware.spec()["basicAuth"]["secret"].as_string() == object.name()) return wake(object);
      for (const Object& ingress : ingresses.list(object.ns())) {
        const auto named = nginx_annotation(ingress, annotation);
        if (named == object.name() || named == object.key().str()) return wake(object);
      }
      return object["type"].as_string() == "kubernetes.io/tls" ? wake(object) : std::vector<ObjectKey>{};
    };
  };
  runtime.watch(schema::kSecrets, queue, wake_when_named("auth-secret"));
  runtime.watch(schema::kConfigMaps, queue, wake_when_named("custom-headers"));
  queue.add(all);
  return std::shared_ptr<Ingress>(controller);
}

}  // namespace caisson::network
