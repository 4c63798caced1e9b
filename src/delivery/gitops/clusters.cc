// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/clusters.h"

#include <algorithm>

#include "cluster/kube/patient_client.h"
#include "cluster/schema/resource.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/gitops/logins.h"

namespace caisson::gitops {
namespace {

constexpr Duration kReadEvery = std::chrono::seconds(5);
constexpr Duration kFirstListMax = std::chrono::milliseconds(100);  // who waits longer holds up other clusters

Error unusable(const kube::Object& secret, const std::string& what) {
  return {ErrorCode::invalid, "cluster Secret " + secret.name() + ": " + what};
}

Result<std::string> pem(const kube::Object& secret, const Value& tls, const char* field) {
  auto decoded = unbase64(tls[field].as_string());
  if (!decoded.ok()) return unusable(secret, std::string("config.tlsClientConfig.") + field + ": not base64");
  return std::move(decoded).value();
}

}  // namespace

Result<Cluster> parse_cluster(const kube::Object& secret) {
  Cluster out;
  out.server = secret_field(secret, "server");
  while (out.server.ends_with('/')) out.server.pop_back();
  out.name = secret_field(secret, "name").empty() ? out.server : secret_field(secret, "name");
  out.project = secret_field(secret, "project");
  for (std::string_view ns : split(secret_field(secret, "namespaces"), ',')) {
    if (!trim(ns).empty()) out.namespaces.emplace_back(trim(ns));
  }
  if (out.server.empty()) return unusable(secret, "server is missing");
  out.connection.server = out.server;
  const std::string text = secret_field(secret, "config");
  const Value config = text.empty() ? Value::map() : TRY(json::parse(text).in("cluster Secret " + secret.name()));
  for (const char* plugin : {"awsAuthConfig", "execProviderConfig"}) {
    if (!config[plugin].is_null())
      return unusable(secret,
                      std::string("config.") + plugin + " is not supported; use bearerToken or a client certificate");
  }
  if (!config["username"].as_string().empty())
    return unusable(secret, "config.username: Kubernetes takes no passwords any more");
  out.connection.token = config["bearerToken"].str();
  const Value& tls = config["tlsClientConfig"];
  out.connection.http.verify = !tls["insecure"].as_bool();
  out.connection.http.ca_pem = TRY(pem(secret, tls, "caData"));
  out.connection.http.certificate_pem = TRY(pem(secret, tls, "certData"));
  out.connection.http.key_pem = TRY(pem(secret, tls, "keyData"));
  if (!tls["serverName"].as_string().empty())
    return unusable(secret, "config.tlsClientConfig.serverName is not supported");
  return out;
}

// Another cluster: its client, the informers of what Applications have there. Destroyed in reverse.
struct Clusters::Remote {
  std::mutex mutex;
  kube::Connection connection;  // as the Secret has it now; GUARDED_BY(mutex)
  std::unique_ptr<kube::Client> client;
  std::unique_ptr<kube::Runtime> runtime;
  std::unique_ptr<World> world;

  void renew(const kube::Connection& now) {
    const std::lock_guard lock(mutex);
    connection = now;
  }
};

Clusters::Clusters(kube::Runtime& runtime, World& home, std::string home_namespace, Changed changed)
    : runtime_(runtime), home_(home), home_namespace_(std::move(home_namespace)), changed_(std::move(changed)) {}

Clusters::~Clusters() = default;

// REQUIRES: mutex_ is held.
Result<void> Clusters::read() {
  const Duration now = runtime_.clock().monotonic();
  if (read_at_ >= Duration(0) && now - read_at_ < kReadEvery) return {};
  kube::ListOptions options;
  options.ns = home_namespace_;
  options.label_selector = "argocd.argoproj.io/secret-type=cluster";
  const kube::ObjectList secrets = TRY(runtime_.client().list(schema::kSecrets, options).in("cluster Secrets"));
  read_at_ = now;
  known_.clear();
  for (const kube::Object& secret : secrets.items) {
    auto cluster = parse_cluster(secret);
    if (cluster.ok()) {
      const auto remote = remotes_.find(cluster->server);
      if (remote != remotes_.end()) remote->second->renew(cluster->connection);
    }
    known_.emplace(secret.name(), std::move(cluster));
  }
  return {};
}

Result<World*> Clusters::find(Application& application, bool scoped) {
  const std::string server = application.destination_server, name = application.destination_name;
  if (server == kInCluster && !scoped) return &home_;
  const std::lock_guard lock(mutex_);
  TRY(read());
  const Cluster* found = nullptr;
  std::string broken;
  for (const auto& [secret, cluster] : known_) {
    if (!cluster.ok()) {
      broken += "; " + cluster.error().message;
    } else if (server.empty() ? cluster->name == name : cluster->server == server) {
      found = &*cluster;
    }
  }
  if (server == kInCluster) {
    application.destination_project = found ? found->project : "";
    return &home_;
  }
  if (found == nullptr) {
    return Error{ErrorCode::invalid, "spec.destination: there is no cluster \"" + server + name + "\": neither " +
                                         std::string(kInCluster) + " nor a Secret of " + home_namespace_ + " names it" +
                                         broken};
  }
  if (!found->project.empty() && found->project != application.project)
    return Error{ErrorCode::invalid, "spec.destination: cluster " + found->name + " is for project " + found->project};
  if (!found->namespaces.empty() && std::find(found->namespaces.begin(), found->namespaces.end(),
                                              application.destination_namespace) == found->namespaces.end())
    return Error{ErrorCode::invalid, "spec.destination: namespace " + application.destination_namespace +
                                         " of cluster " + found->name + " is not managed"};
  application.destination_server = found->server;
  application.destination_name = found->name;
  application.destination_project = found->project;
  std::shared_ptr<Remote>& remote = remotes_[found->server];
  if (remote) return remote->world.get();
  auto made = std::make_shared<Remote>();
  made->connection = found->connection;
  kube::PatientOptions options;
  options.connection = [raw = made.get()]() -> Result<kube::Connection> {
    const std::lock_guard held(raw->mutex);
    return raw->connection;
  };
  options.reread_every = kReadEvery;
  options.waits = false;
  made->client = TRY(kube::make_patient_client(std::move(options), runtime_.clock()));
  made->runtime = std::make_unique<kube::Runtime>(*made->client, runtime_.clock(), kube::RuntimeOptions{.threads = 1});
  made->runtime->start();
  made->world = std::make_unique<World>(*made->runtime, changed_, kFirstListMax);
  remote = std::move(made);
  return remote->world.get();
}

}  // namespace caisson::gitops
