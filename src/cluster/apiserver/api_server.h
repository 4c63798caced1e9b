// SPDX-License-Identifier: Apache-2.0
// ApiServer: Kubernetes' API over the store: authentication → authorization (RBAC) → decoding → defaults → mutating
// admission → validation → validating admission → store. Follows kube-apiserver 1.33.
//
// Invariant: every write, in process too, goes the whole way; what is answered is what the store holds, byte for byte.
// Watches hold no thread. Threads: every method may be called from any thread.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/apiserver/admission.h"
#include "cluster/apiserver/user.h"
#include "cluster/apiserver/webhook_client.h"
#include "cluster/kube/client.h"
#include "cluster/schema/schema.h"
#include "cluster/store/store.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/secret.h"
#include "core/http/client.h"
#include "core/http/server.h"

namespace caisson::apiserver {

class AccessRules;

// What is on record of requests by HTTP (audit_policy.h, audit_log.h); what rooms of this program do in process is not.
struct AuditOptions {
  std::string path;  // empty: nothing
  Value policy;      // audit.k8s.io/v1 Policy; null: one that records changes, reads of Secrets and commands in Pods
  std::uint64_t size_bytes_max = 100u << 20;  // then the file is put aside
  std::size_t backups_max = 10;
  Duration age_max = {};  // of what was put aside; 0: any
};

struct ApiServerOptions {
  Clock* clock = &system_clock();
  SecretBytes service_account_key_pem;  // ECDSA P-256: signs and checks ServiceAccount tokens (ES256)
  std::string ca_pem;                   // of the cluster: goes into each namespace's ConfigMap kube-root-ca.crt
  std::string issuer = "https://kubernetes.default.svc.cluster.local";
  std::string service_cidr = "10.43.0.0/16";
  int node_port_first = 30000, node_port_last = 32767;
  std::string advertise_address = "127.0.0.1";  // in /api's serverAddressByClientCIDRs
  // How to reach the agent of a node, for logs, exec, attach and port-forward. Unset: those answer 503.
  std::function<Result<http::ClientOptions>(const std::string& node)> node_proxy;
  std::string node_name = "local";                         // whose agent a unix-socket peer with uid 0 is
  std::string version = "v1.33.1";                         // gitVersion of /version
  std::string build = "caisson";                           // appended as +build
  std::vector<std::shared_ptr<Admission>> admission;       // after this room's own
  std::vector<std::shared_ptr<const AccessRules>> access;  // asked where RBAC says no
  // Where a Service that a webhook configuration names is reached. Unset: at its cluster address.
  ServiceResolver service_resolver;
  AuditOptions audit;
  // Users of identity providers: apiserver.config.k8s.io AuthenticationConfiguration (oidc.h); null: none.
  Value authentication;
  bool warn_unserved = true;  // a Warning for kinds that no room of this program acts on
};

class ApiServer {
 public:
  // Makes the bootstrap objects (namespaces, cluster roles and bindings, the kubernetes Service) that are missing and
  // loads stored CustomResourceDefinitions into `schema`. Errors: those of the store; bad_request for options that
  // can't be.
  static Result<std::unique_ptr<ApiServer>> open(store::Store& store, schema::Schema& schema, ApiServerOptions options);
  ~ApiServer();

  // Answers one request: a handler for http::Server.
  void handle(http::ExchangePtr exchange);
  // Its http::ShortTest: reads and writes of one small object, where nobody else has to be asked.
  bool is_short(const http::Exchange& exchange) const;

  // In process, for one named user: through authorization and admission like any other; watches and reads hand out the
  // store's own objects. Must not outlive the server.
  std::unique_ptr<kube::Client> client(User user);

  // Who a bearer token speaks for. Errors: unauthorized.
  Result<User> authenticate_token(std::string_view token) const;
  // Makes a user's token (Secret of type caisson.dev/user-token, which holds its hash only) and gives it once.
  Result<SecretBytes> make_user_token(const std::string& user, const std::vector<std::string>& groups);

 private:
  struct Impl;
  explicit ApiServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::apiserver
