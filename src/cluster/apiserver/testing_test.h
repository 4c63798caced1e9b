// SPDX-License-Identifier: Apache-2.0
// What the tests of this room share: a server over a temporary store, its admin, and requests as text.
#pragma once
#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>

#include "cluster/apiserver/api_server.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/http/client.h"
#include "core/http/server.h"
#include "core/http/tls.h"

namespace caisson::apiserver {

struct TestServer {
  TempDir dir = TempDir::make("apiserver").value();
  FakeClock clock;
  std::unique_ptr<store::Store> store = store::Store::open(dir.path() + "/store.db", clock).value();
  schema::Schema schema = schema::Schema::built_in().value();
  std::unique_ptr<ApiServer> api;
  std::unique_ptr<kube::Client> admin;

  explicit TestServer(ApiServerOptions options = {}) {
    options.clock = &clock;
    options.service_account_key_pem = SecretBytes(http::make_key_pem().value());
    auto opened = ApiServer::open(*store, schema, std::move(options));
    REQUIRE_MESSAGE(opened.ok(), opened.error().message);
    api = std::move(opened).value();
    admin = client("admin", {"system:masters"});
  }
  std::unique_ptr<kube::Client> client(const std::string& name, std::vector<std::string> groups = {}) {
    return api->client({name, std::move(groups), "", {}});
  }
  kube::Object create(std::string_view yaml) {
    auto made = admin->create(kube::Object(yaml::read(yaml).value()));
    REQUIRE_MESSAGE(made.ok(), made.error().message);
    return std::move(made).value();
  }
  void make_namespace(const std::string& name) {
    create("{apiVersion: v1, kind: Namespace, metadata: {name: " + name + "}}");
    create("{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: " + name + "}}");
  }
};

inline kube::Object object(std::string_view yaml) {
  return kube::Object(yaml::read(yaml).value());
}

template <class T>
std::string failure(const Result<T>& result) {
  return result.ok() ? "" : result.error().message;
}

// The same server over real HTTP, spoken to with a token.
struct HttpTestServer : TestServer {
  explicit HttpTestServer(ApiServerOptions options = {}) : TestServer(std::move(options)) {}
  http::Server server = http::Server::start({}).value();
  http::Handler handle = [this](http::ExchangePtr exchange) { api->handle(std::move(exchange)); };
  http::ShortTest is_short = [this](const http::Exchange& exchange) { return api->is_short(exchange); };
  int port = server.listen("127.0.0.1", 0, handle, nullptr, false, is_short).value();
  SecretBytes token = api->make_user_token("root", {"system:masters"}).value();
  http::Client client_{{}};

  struct Answer {
    int status = 0;
    http::Headers headers;
    std::string text;
    Value body;
  };
  Answer send(const std::string& method, const std::string& path, const std::string& body = "",
              http::Headers headers = {}) {
    http::Request request{.method = method,
                          .url = "http://127.0.0.1:" + std::to_string(port) + path,
                          .headers = std::move(headers),
                          .body = body};
    if (!request.headers.contains("Authorization"))
      request.headers.set("Authorization", "Bearer " + std::string(token.reveal()));
    if (request.headers.get("Authorization") == "none") request.headers.erase("Authorization");
    auto response = client_.send(request);
    REQUIRE_MESSAGE(response.ok(), response.error().message);
    Answer answer{response->status, response->headers, response->body, {}};
    if (auto value = json::parse(answer.text); value.ok()) answer.body = std::move(value).value();
    return answer;
  }

  // A kubeconfig file for real clients: they send a token by TLS only, so a listener with TLS is made for it.
  std::string kubeconfig(const std::string& ns = "default") {
    const Time now = system_clock().now();
    const http::KeyPair ca = http::make_ca("test", now).value();
    const http::CertificateRequest names{.common_name = "apiserver", .ip_addresses = {"127.0.0.1"}, .server = true};
    const http::KeyPair pair = http::make_certificate(ca, names, now).value();
    const http::TlsOptions tls{pair.certificate_pem, std::string(pair.key_pem.reveal()), ca.certificate_pem};
    const int tls_port = server.listen("127.0.0.1", 0, handle, &tls, false, is_short).value();
    const std::string path = dir.path() + "/kubeconfig";
    const std::string text =
        "apiVersion: v1\nkind: Config\ncurrent-context: t\nclusters: [{name: t, cluster: {server: "
        "'https://127.0.0.1:" +
        std::to_string(tls_port) + "', certificate-authority-data: " + base64(ca.certificate_pem) +
        "}}]\ncontexts: [{name: t, context: {cluster: t, user: t, "
        "namespace: " +
        ns + "}}]\nusers: [{name: t, user: {token: '" + std::string(token.reveal()) + "'}}]\n";
    REQUIRE(write_file_unsynced(path, text, 0600).ok());
    return path;
  }
};

}  // namespace caisson::apiserver
