// SPDX-License-Identifier: Apache-2.0
// The API server alone, for conformance runs and for trying it with kubectl: no agent, and controllers when asked for.
// usage: apiserver_dev DIRECTORY [PORT] [--controllers]
// Writes DIRECTORY/{token,ca.pem,kubeconfig,port}; serves until it is interrupted. Started again it keeps its objects,
// its CA, its keys and its token, so that clients go on.
#include <malloc.h>
#include <signal.h>

#include <cstdio>
#include <functional>
#include <optional>

#include "cluster/apiserver/api_server.h"
#include "cluster/controllers/controllers.h"
#include "cluster/kube/reconciler.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/http/server.h"
#include "core/http/tls.h"

using namespace caisson;

namespace {

std::string kubeconfig(int port, const std::string& ca_path, std::string_view token) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: dev\nclusters:\n- name: dev\n  cluster:\n    server: "
         "https://127.0.0.1:" +
         std::to_string(port) + "\n    certificate-authority: " + ca_path +
         "\ncontexts:\n- name: dev\n  context: {cluster: dev, user: dev}\nusers:\n- name: dev\n  user:\n    token: " +
         std::string(token) + "\n";
}

// The bytes of DIRECTORY/NAME, made when it is not there.
Result<std::string> kept(const std::string& path, const std::function<Result<std::string>()>& make) {
  if (auto bytes = read_file(path); bytes.ok()) return bytes;
  const std::string made = TRY(make());
  TRY(write_file(path, made, 0600));
  return made;
}

Result<http::KeyPair> kept_ca(const std::string& directory) {
  std::optional<http::KeyPair> made;
  const std::string key = TRY(kept(directory + "/ca-key.pem", [&]() -> Result<std::string> {
    made = TRY(http::make_ca("apiserver_dev", system_clock().now()));
    return std::string(made->key_pem.reveal());
  }));
  const std::string certificate = TRY(kept(directory + "/ca.pem", [&]() -> Result<std::string> {
    if (!made) return Error{ErrorCode::not_found, "ca-key.pem without ca.pem"};
    return made->certificate_pem;
  }));
  return http::KeyPair{certificate, SecretBytes(key)};
}

Result<void> serve(const std::string& directory, int port, bool controllers) {
  TRY(make_dirs(directory));
  const auto store = TRY(store::Store::open(directory + "/store.db", system_clock()));
  schema::Schema schema = TRY(schema::Schema::built_in());
  const std::string key = TRY(kept(directory + "/sa-key.pem", http::make_key_pem));
  const http::KeyPair ca = TRY(kept_ca(directory));
  apiserver::ApiServerOptions options;
  options.service_account_key_pem = SecretBytes(key);
  options.ca_pem = ca.certificate_pem;
  options.service_cidr = "10.96.0.0/16";
  options.issuer = "https://kubernetes.default.svc";
  options.warn_unserved = false;  // nothing is acted on here at all
  const auto api = TRY(apiserver::ApiServer::open(*store, schema, std::move(options)));
  const std::string token = TRY(kept(directory + "/token", [&]() -> Result<std::string> {
    const SecretBytes made = TRY(api->make_user_token("admin", {"system:masters"}));
    return std::string(made.reveal());
  }));
  const http::KeyPair pair = TRY(http::make_certificate(
      ca, {.common_name = "apiserver", .dns_names = {"localhost"}, .ip_addresses = {"127.0.0.1"}, .server = true},
      system_clock().now()));
  const http::TlsOptions tls{pair.certificate_pem, std::string(pair.key_pem.reveal()), ca.certificate_pem};
  http::Server server = TRY(http::Server::start({}));
  const int bound = TRY(server.listen(
      "127.0.0.1", port, [&](http::ExchangePtr exchange) { api->handle(std::move(exchange)); }, &tls, false,
      [&](const http::Exchange& exchange) { return api->is_short(exchange); }));
  const auto client = api->client({.name = "system:kube-controller-manager", .groups = {"system:masters"}});
  kube::Runtime runtime(*client, system_clock());
  if (controllers) {
    // As the recorded cluster: without a default StorageClass.
    caisson::controllers::add_controllers(
        runtime, {.ca_pem = ca.certificate_pem, .volumes_root = "", .signer = ca, .schema = &schema});
    runtime.start();
  }
  TRY(write_file(directory + "/kubeconfig", kubeconfig(bound, directory + "/ca.pem", token), 0600));
  TRY(write_file(directory + "/port", std::to_string(bound)));
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  int signal = 0;
  sigwait(&signals, &signal);
  server.stop_accepting();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: apiserver_dev DIRECTORY [PORT] [--controllers]\n");
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::mallopt(M_ARENA_MAX, 2);                      // as the platform does
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before any thread: sigwait gets them
  const auto port = argc > 2 ? parse_int(argv[2]) : std::optional<std::int64_t>(0);
  const bool controllers = std::string_view(argv[argc - 1]) == "--controllers";
  const auto served = serve(argv[1], static_cast<int>(port.value_or(0)), controllers);
  if (served.ok()) return 0;
  std::fprintf(stderr, "apiserver_dev: %s\n", served.error().message.c_str());
  return 1;
}
