// SPDX-License-Identifier: Apache-2.0
#include "main/cli/policy_serve.h"

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <cstdio>

#include "cluster/kube/informer.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/document/json.h"
#include "core/http/server.h"
#include "security/policy/admission_plugin.h"
#include "security/policy/webhook.h"

namespace caisson::cli {
namespace {

constexpr std::size_t kReviewBytesMax = 16u << 20;  // an object of 3 MiB and the one before, with room
constexpr Duration kSyncMax = std::chrono::seconds(30);

// SIGINT and SIGTERM wait for wait(); made before any thread.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
  }
  void wait() const {
    int signal = 0;
    while (sigwait(&set_, &signal) == EINTR) {
    }
  }

 private:
  sigset_t set_;
};

// What a list over HTTP leaves out of its items.
Value with_kind(const kube::Object& object, const kube::Resource& resource) {
  Value out = object.value();
  return out.set("apiVersion", resource.api_version()).set("kind", resource.kind);
}

// Keeps the policies of the cluster compiled.
Result<std::vector<std::unique_ptr<kube::Informer>>> follow(kube::Client& client,
                                                            const std::shared_ptr<policy::Policies>& policies) {
  std::vector<std::unique_ptr<kube::Informer>> out;
  for (const kube::Resource& resource : policy::policy_resources()) {
    const auto known = client.resource_for(resource.api_version(), resource.kind);
    if (!known.ok() && known.error().code != ErrorCode::not_found) return known.error();
    if (!known.ok()) continue;
    auto informer = std::make_unique<kube::Informer>(client, resource);
    informer->on_change([policies, resource](const kube::Object* before, const kube::Object* after) {
      if (after != nullptr)
        policies->set(with_kind(*after, resource));
      else
        policies->remove(with_kind(*before, resource));
    });
    informer->start();
    out.push_back(std::move(informer));
  }
  if (out.empty())
    return Error{ErrorCode::not_found, "the cluster knows no policies: apply Kyverno's CustomResourceDefinitions"};
  for (const auto& informer : out)
    if (!informer->wait_synced(kSyncMax))
      return Error{ErrorCode::timeout, "the cluster's " + informer->resource().plural + " could not be listed"};
  return out;
}

void answer(const http::ExchangePtr& exchange, int status, const std::string& text) {
  exchange->respond({status, {{"Content-Type", "text/plain; charset=utf-8"}}, text + "\n"});
}

Result<std::string> review(const apiserver::Admission& admission, policy::WebhookStage stage,
                           const policy::FindObject& find, http::Exchange& exchange) {
  const std::string body = TRY(exchange.read_body(kReviewBytesMax));
  const Value given = TRY(json::parse(body).in("the AdmissionReview"));
  const Value done = TRY(policy::answer_review(admission, given, stage, find));
  return json::write(done);
}

void handle(const apiserver::Admission& admission, const policy::FindObject& find, const http::ExchangePtr& exchange) {
  if (exchange->path == "/healthz" || exchange->path == "/readyz") return answer(exchange, 200, "ok");
  const bool mutates = exchange->path == "/mutate";
  if (!mutates && exchange->path != "/validate") return answer(exchange, 404, "ask /mutate or /validate");
  if (exchange->method != "POST") return answer(exchange, 405, "POST an AdmissionReview");
  const auto stage = mutates ? policy::WebhookStage::mutate : policy::WebhookStage::validate;
  const auto done = review(admission, stage, find, *exchange);
  if (!done.ok()) return answer(exchange, done.error().code == ErrorCode::too_large ? 413 : 400, done.error().message);
  exchange->respond({200, {{"Content-Type", "application/json"}}, *done});
}

// The cluster's webhook configurations, while it lives.
class Registration {
 public:
  static Result<std::unique_ptr<Registration>> write(kube::Client& client, const PolicyServeOptions& options) {
    std::unique_ptr<Registration> out(new Registration(client));
    if (options.url.empty()) return out;
    const std::string ca_pem = TRY(read_file(options.ca.empty() ? options.certificate : options.ca));
    for (const auto stage : {policy::WebhookStage::mutate, policy::WebhookStage::validate}) {
      const kube::Object object(
          policy::webhook_configuration(stage, options.url, ca_pem, options.ignore_failures));
      TRY(client.apply(object, {.field_manager = "caisson-policy", .force = true}).in("write the webhooks"));
      out->written_.push_back(TRY(client.resource_for(object.value()["apiVersion"].as_string(),
                                                      object.value()["kind"].as_string())));
    }
    return out;
  }
  ~Registration() {
    for (const kube::Resource& resource : written_)
      if (const auto gone = client_.remove(resource, {"", "caisson-policy"}); !gone.ok())
        log::warning("webhooks left behind", {{"kind", resource.kind}, {"error", gone.error()}});
  }

 private:
  explicit Registration(kube::Client& client) : client_(client) {}
  kube::Client& client_;
  std::vector<kube::Resource> written_;
};

}  // namespace

Result<int> serve_policies(const PolicyServeOptions& options) {
  if (options.certificate.empty() || options.key.empty())
    return Error{ErrorCode::bad_request, "policy serve needs --tls-cert and --tls-key"};
  if (!options.url.empty() && !options.url.starts_with("https://"))
    return Error{ErrorCode::bad_request, "policy serve: --url must begin with https://"};
  const EndSignals signals;
  http::TlsOptions tls;
  tls.certificate_pem = TRY(read_file(options.certificate));
  tls.key_pem = TRY(read_file(options.key));
  const Session session = TRY(connect(options.global));
  kube::Client& client = *session.client;
  const auto policies = std::make_shared<policy::Policies>();
  const auto informers = TRY(follow(client, policies));
  kube::Informer namespaces(client, schema::kNamespaces);
  namespaces.start();
  if (!namespaces.wait_synced(kSyncMax)) return Error{ErrorCode::timeout, "the cluster's namespaces could not be listed"};
  const policy::FindObject find = [&](const schema::Resource& resource, std::string_view, std::string_view name) {
    const auto found = resource == schema::kNamespaces ? namespaces.find({"", std::string(name)})
                                                       : std::optional<kube::Object>();
    return found ? found->value() : Value();
  };
  const auto admission = policy::make_policy_admission({.policies = policies, .client = [&] { return &client; }});
  http::Server server = TRY(http::Server::start({}));
  const int port = TRY(server.listen(
      options.listen, options.port, [&](const http::ExchangePtr& exchange) { handle(*admission, find, exchange); },
      &tls));
  const auto registration = TRY(Registration::write(client, options));
  std::printf("policies are served at https://%s:%d\n", options.listen.c_str(), port);
  std::fflush(stdout);
  signals.wait();
  return 0;
}

}  // namespace caisson::cli
