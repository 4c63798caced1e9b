// SPDX-License-Identifier: Apache-2.0
#include "core/http/tls.h"

#include <doctest/doctest.h>

#include "core/base/process.h"
#include "core/http/client.h"
#include "core/http/server.h"

namespace caisson::http {
namespace {

Time now() {
  return system_clock().now();
}

struct Pki {
  KeyPair ca = make_ca("test CA", now()).value();
  KeyPair server, client;
  Pki() {
    CertificateRequest request;
    request.common_name = "server";
    request.server = true;
    request.dns_names = {"localhost", "git.caisson-system.svc"};
    request.ip_addresses = {"127.0.0.1", "::1"};
    server = make_certificate(ca, request, now()).value();
    CertificateRequest user;
    user.common_name = "system:node:a, b=c";
    user.organizations = {"system:nodes", "한국"};
    user.client = true;
    client = make_certificate(ca, user, now()).value();
  }
  TlsOptions tls() const { return {server.certificate_pem, std::string(server.key_pem.reveal()), ca.certificate_pem}; }
};

void tell_peer(ExchangePtr exchange) {
  std::string text = exchange->peer.certificate_common_name;
  for (const std::string& o : exchange->peer.certificate_organizations) text += "|" + o;
  exchange->respond({200, {}, text + (exchange->peer.tls ? " tls" : "")});
}

Result<Response> get(const ClientOptions& options, const std::string& url) {
  Request request;
  request.url = url;
  const Client client(options);
  return client.send(request);
}

TEST_CASE("a certificate says what was asked for") {
  const Pki pki;
  const auto names = certificate_names(pki.server.certificate_pem);
  REQUIRE(names.ok());
  CHECK(*names == std::vector<std::string>{"localhost", "git.caisson-system.svc", "127.0.0.1", "::1"});
  const auto end = certificate_end(pki.server.certificate_pem);
  REQUIRE(end.ok());
  const auto left = *end - now();
  CHECK(left > std::chrono::hours(24 * 364));
  CHECK(left < std::chrono::hours(24 * 366));
  CertificateRequest bad;
  bad.common_name = "x";
  bad.ip_addresses = {"nonsense"};
  CHECK(make_certificate(pki.ca, bad, now()).error().code == ErrorCode::bad_request);
  CHECK_FALSE(certificate_end("nonsense").ok());
}

TEST_CASE("ES256 signatures are raw, verify with the public key, and break with the message") {
  const SecretBytes key(make_key_pem().value());
  const auto signature = sign_es256(key, "hello");
  REQUIRE(signature.ok());
  CHECK(signature->size() == 64);
  const std::string public_key = public_key_pem(key).value();
  CHECK(*verify_es256(public_key, "hello", *signature));
  CHECK_FALSE(*verify_es256(public_key, "hellO", *signature));
  CHECK_FALSE(*verify_es256(public_key, "hello", "short"));
  CHECK_FALSE(*verify_es256(public_key, "hello", std::string(64, '\0')));
  CHECK_FALSE(*verify_es256(public_key_pem(SecretBytes(make_key_pem().value())).value(), "hello", *signature));
  CHECK_FALSE(sign_es256(SecretBytes("nonsense"), "hello").ok());
  const Pki pki;
  CHECK(*verify_es256(pki.client.certificate_pem, "x", *sign_es256(pki.client.key_pem, "x")));
}

TEST_CASE("TLS: the server's name and the client's certificate are verified") {
  const Pki pki;
  auto server = Server::start({}).value();
  const TlsOptions tls = pki.tls();
  const int port = server.listen("127.0.0.1", 0, tell_peer, &tls).value();
  const std::string url = "https://127.0.0.1:" + std::to_string(port) + "/";
  ClientOptions trusting;
  trusting.ca_pem = pki.ca.certificate_pem;

  SUBCASE("without client certificate the peer has no name") {
    CHECK(get(trusting, url)->body == " tls");
  }
  SUBCASE("with one it has, organisations too") {
    trusting.certificate_pem = pki.client.certificate_pem;
    trusting.key_pem = pki.client.key_pem.reveal();
    const auto response = get(trusting, url);
    REQUIRE(response.ok());
    CHECK(response->body == "system:node:a, b=c|system:nodes|한국 tls");
  }
  SUBCASE("a name in the certificate is accepted") {
    CHECK(get(trusting, "https://localhost:" + std::to_string(port) + "/").ok());
  }
  SUBCASE("an unknown authority is refused, unless told otherwise") {
    ClientOptions stranger;
    stranger.ca_pem = make_ca("other", now())->certificate_pem;
    const auto refused = get(stranger, url);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().message.find("can't be trusted") != std::string::npos);
    stranger.verify = false;
    CHECK(get(stranger, url).ok());
  }
  SUBCASE("a name that is not in the certificate is refused") {
    CertificateRequest request;
    request.common_name = "other";
    request.server = true;
    request.dns_names = {"elsewhere.example"};
    const KeyPair other = make_certificate(pki.ca, request, now()).value();
    const TlsOptions other_tls{other.certificate_pem, std::string(other.key_pem.reveal()), ""};
    const int other_port = server.listen("127.0.0.1", 0, tell_peer, &other_tls).value();
    CHECK_FALSE(get(trusting, "https://127.0.0.1:" + std::to_string(other_port) + "/").ok());
  }
  SUBCASE("a client certificate of another authority ends the connection") {
    const KeyPair other_ca = make_ca("other", now()).value();
    CertificateRequest request;
    request.common_name = "system:masters";
    request.client = true;
    const KeyPair forged = make_certificate(other_ca, request, now()).value();
    trusting.certificate_pem = forged.certificate_pem;
    trusting.key_pem = forged.key_pem.reveal();
    CHECK_FALSE(get(trusting, url).ok());
  }
  SUBCASE("a key that is not the certificate's is refused at start") {
    TlsOptions wrong = pki.tls();
    wrong.key_pem = pki.client.key_pem.reveal();
    CHECK_FALSE(server.listen("127.0.0.1", 0, tell_peer, &wrong).ok());
  }
  SUBCASE("curl, which offers HTTP/2, gets HTTP/1.1") {
    if (find_program("curl").empty()) return;
    Command command;
    command.args = {"curl", "-sSk", "--noproxy", "*", "--http2", "-o", "/dev/stdout", "-w", "|%{http_version}", url};
    const auto exit = run(command);
    REQUIRE(exit.ok());
    CHECK(exit->out == " tls|1.1");
  }
}

TEST_CASE("TLS carries big bodies both ways") {
  const Pki pki;
  auto server = Server::start({}).value();
  const TlsOptions tls = pki.tls();
  const int port = server
                       .listen(
                           "127.0.0.1", 0,
                           [](ExchangePtr exchange) {
                             const auto stream = exchange->stream(200, {});
                             for (;;) {
                               const auto piece = exchange->read_some();
                               if (!piece.ok()) return stream->abort();
                               if (piece->empty()) return;
                               if (!stream->write_blocking(*piece).ok()) return;
                             }
                           },
                           &tls)
                       .value();
  ClientOptions options;
  options.ca_pem = pki.ca.certificate_pem;
  Request request;
  request.method = "POST";
  request.url = "https://localhost:" + std::to_string(port) + "/";
  for (int i = 0; i < 700'000; ++i) request.body += std::to_string(i % 10) + "abc";
  const Client client(options);
  const auto response = client.send(request);
  REQUIRE(response.ok());
  CHECK(response->body == request.body);
}

}  // namespace
}  // namespace caisson::http
