// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/api_server.h"

#include "cluster/apiserver/admit.h"
#include "cluster/apiserver/admit_certificates.h"
#include "cluster/apiserver/audit.h"
#include "cluster/apiserver/authenticate.h"
#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/bootstrap.h"
#include "cluster/apiserver/client.h"
#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/core.h"
#include "cluster/apiserver/definitions.h"
#include "cluster/apiserver/documents.h"
#include "cluster/apiserver/http_api.h"
#include "cluster/apiserver/oidc.h"
#include "cluster/apiserver/service_addresses.h"
#include "cluster/apiserver/short_requests.h"
#include "cluster/apiserver/tokens.h"
#include "core/base/encoding.h"
#include "core/base/random.h"

namespace caisson::apiserver {
namespace {

constexpr std::size_t kTokenBytes = 24;

Result<std::shared_ptr<const Auditor>> make_auditor(const AuditOptions& options, Clock& clock) {
  if (options.path.empty()) return std::shared_ptr<const Auditor>();
  AuditPolicy policy = options.policy.is_null() ? AuditPolicy::standard() : TRY(AuditPolicy::parse(options.policy));
  auto log = TRY(AuditLog::open({options.path, options.size_bytes_max, options.backups_max, options.age_max}, clock));
  return std::shared_ptr<const Auditor>(std::make_shared<Auditor>(std::move(policy), std::move(log), clock));
}

}  // namespace

struct ApiServer::Impl {
  Impl(store::Store& store, schema::Schema& schema, ApiServerOptions options)
      : core(store, schema, std::move(options)), http(core) {}
  Core core;
  HttpApi http;
};

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ApiServer::~ApiServer() = default;

Result<std::unique_ptr<ApiServer>> ApiServer::open(store::Store& store, schema::Schema& schema,
                                                   ApiServerOptions options) {
  auto impl = std::make_unique<Impl>(store, schema, std::move(options));
  Core& core = impl->core;
  core.authorizer = std::make_unique<Authorizer>(store, core.options.access);
  core.tokens = TRY(TokenAuthority::make(store, core.clock, core.options.service_account_key_pem, core.options.issuer));
  if (!core.options.authentication.is_null())
    core.oidc = TRY(OidcAuthenticator::make(core.options.authentication, core.options.issuer, core.clock));
  core.addresses = TRY(ServiceAddresses::make(store, core.options.service_cidr, core.options.node_port_first,
                                              core.options.node_port_last));
  core.documents = std::make_unique<Documents>(schema, core.options, [&store](std::string_view name) {
    const store::ItemPtr found = store.get(kDefinitions, "", std::string(name));
    return found ? found->value() : Value();
  });
  core.webhooks = std::make_unique<WebhookClient>(core.options.service_resolver ? core.options.service_resolver
                                                                                : cluster_ip_resolver(store));
  core.audit = TRY(make_auditor(core.options.audit, core.clock));
  core.conversion = std::make_unique<Conversion>(store, schema, *core.webhooks);
  core.admission = {make_namespace_lifecycle(),
                    make_limit_ranger(),
                    make_service_account(),
                    make_taint_nodes(),
                    make_pod_security(),
                    make_priority(),
                    make_pod_defaults(),
                    make_default_storage_class(),
                    make_runtime_class(),
                    make_default_ingress_class(),
                    make_object_defaults(core.clock),
                    make_certificate_requests(*core.authorizer, core.clock)};
  for (const auto& plugin : core.options.admission) core.admission.push_back(plugin);
  const WebhookEnvironment webhooks{store, schema, *core.authorizer, *core.conversion, *core.webhooks};
  core.admission.push_back(make_mutating_admission_policy(store, schema, *core.authorizer));
  core.admission.push_back(make_mutating_webhooks(webhooks));
  core.admission.push_back(make_validating_admission_policy(store, schema, *core.authorizer, *core.conversion));
  core.admission.push_back(make_validating_webhooks(webhooks));
  core.admission.push_back(make_resource_quota(core.clock));
  core.admission.push_back(make_pod_warnings());
  if (core.options.warn_unserved) core.admission.push_back(make_unserved_warnings());
  TRY(load_definitions(core));
  TRY(make_bootstrap_objects(core));
  resume_definitions(core);
  return std::unique_ptr<ApiServer>(new ApiServer(std::move(impl)));
}

void ApiServer::handle(http::ExchangePtr exchange) {
  impl_->http.handle(exchange);
}

bool ApiServer::is_short(const http::Exchange& exchange) const {
  return apiserver::is_short(impl_->core, exchange);
}

std::unique_ptr<kube::Client> ApiServer::client(User user) {
  return make_client(impl_->core, std::move(user));
}

Result<User> ApiServer::authenticate_token(std::string_view token) const {
  return verify_token(impl_->core, token);
}

Result<SecretBytes> ApiServer::make_user_token(const std::string& user, const std::vector<std::string>& groups) {
  const std::string token = "csn_" + base64url(random_bytes(kTokenBytes));
  const auto admin = client({"system:apiserver", {"system:masters"}, "", {}});
  TRY(admin->create(kube::Object(TokenAuthority::user_token_secret(token, user, groups)),
                    {.field_manager = "caisson-apiserver"}));
  return SecretBytes(token);
}

}  // namespace caisson::apiserver
