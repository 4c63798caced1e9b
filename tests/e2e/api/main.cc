// SPDX-License-Identifier: Apache-2.0
// api_alone DIR PORT: the API server with its controllers, over HTTP on 127.0.0.1:PORT (0: any), without nodes and
// without GitOps. Writes DIR/kubeconfig, whose user may do everything, when it answers; ends with SIGTERM.
#include <signal.h>

#include <cstdio>
#include <cstdlib>

#include "cluster/apiserver/api_server.h"
#include "cluster/controllers/controllers.h"
#include "cluster/kube/reconciler.h"
#include "core/base/file.h"
#include "core/http/tls.h"

namespace {

using namespace caisson;

class NoSpans final : public SpanSink {
  void record(Span) override {}
};

std::string kubeconfig(int port, const std::string& token) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: it\n"
         "clusters: [{name: it, cluster: {server: \"http://127.0.0.1:" +
         std::to_string(port) +
         "\"}}]\n"
         "users: [{name: it, user: {token: \"" +
         token +
         "\"}}]\n"
         "contexts: [{name: it, context: {cluster: it, user: it}}]\n";
}

Result<void> run(const std::string& directory, int port) {
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigaddset(&end, SIGINT);
  sigprocmask(SIG_BLOCK, &end, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  TRY(make_dirs(directory));
  auto store = TRY(store::Store::open(directory + "/store.db", system_clock()));
  schema::Schema schema = TRY(schema::Schema::built_in());
  apiserver::ApiServerOptions options;
  options.service_account_key_pem = SecretBytes(TRY(http::make_key_pem()));
  const auto api = TRY(apiserver::ApiServer::open(*store, schema, std::move(options)));
  const auto client = api->client({.name = "system:caisson", .groups = {"system:masters"}});
  NoSpans spans;
  kube::Runtime runtime(*client, system_clock(), {.threads = 4});
  controllers::add_controllers(runtime, {.spans = &spans});
  http::Server server = TRY(http::Server::start({}));
  const int bound = TRY(server.listen(
      "127.0.0.1", port, [&api](const http::ExchangePtr& exchange) { api->handle(exchange); }, nullptr));
  runtime.start();
  const SecretBytes token = TRY(api->make_user_token("admin", {"system:masters"}));
  TRY(write_file(directory + "/kubeconfig", kubeconfig(bound, std::string(token.reveal())), 0600));
  int number = 0;
  sigwait(&end, &number);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "api_alone DIR PORT\n");
    return 2;
  }
  const auto done = run(argv[1], std::atoi(argv[2]));
  if (!done.ok()) std::fprintf(stderr, "api_alone: %s\n", done.error().message.c_str());
  return done.ok() ? 0 : 1;
}
