// SPDX-License-Identifier: Apache-2.0
// Needs root: nginx with Lua in a network namespace of its own, before pods of which some are dead.
#include "machine/network/testing/nginx.h"

using namespace caisson;
using namespace caisson::network;
using namespace caisson::network::testing;

TEST_CASE("nginx routes by host and path, tries the next endpoint when one is dead, and is never reloaded for it") {
  Nginx nginx = make_nginx();
  nginx.host.run([&] {
    const auto started = ensure_nginx(nginx.options);
    REQUIRE_MESSAGE(started.ok(), (started.ok() ? "" : started.error().message));
    CHECK(ask("127.0.0.1", 80).starts_with("503 Starting"));
    PodServer one(nginx.host, "one", 7001), two(nginx.host, "two", 7002);
    Cluster cluster{{"127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"}, {}};  // nobody listens on 7003
    nginx.post(make_ingress_table({ingress("shop.localhost", path("/api"))}, cluster.world()));

    std::map<std::string, int> seen;
    for (int i = 0; i < 30; ++i) ++seen[who(ask("127.0.0.1", 80, "shop.localhost", "/api/x"))];
    CHECK(seen["one"] + seen["two"] == 30);
    CHECK(seen["one"] > 3);
    CHECK(seen["two"] > 3);
    const std::string answer = ask("127.0.0.1", 80, "shop.localhost:80", "/api/x?q=1");
    CHECK(answer.find("GET /api/x?q=1 HTTP/1.1") != std::string::npos);
    CHECK(answer.find("X-Forwarded-Proto: http") != std::string::npos);
    CHECK(answer.find("X-Forwarded-For: 127.0.0.1") != std::string::npos);
    CHECK(ask("127.0.0.1", 80, "shop.localhost", "/apix").starts_with("404 Not found"));
    CHECK(ask("127.0.0.1", 80, "shop.localhost", "/apix").find("Paths of this host: /api") != std::string::npos);
    CHECK(ask("127.0.0.1", 80, "other.localhost", "/").find("Hosts with rules: shop.localhost") != std::string::npos);

    const Result<std::string> pid = read_file(nginx.options.directory + "/nginx.pid");
    cluster.endpoints = {"127.0.0.1:7002"};
    nginx.post(make_ingress_table({ingress("shop.localhost", path("/api"))}, cluster.world()));
    for (int i = 0; i < 10; ++i) CHECK(who(ask("127.0.0.1", 80, "shop.localhost", "/api")) == "two");
    cluster.endpoints = {};
    nginx.post(make_ingress_table({ingress("shop.localhost", path("/api"))}, cluster.world()));
    CHECK(ask("127.0.0.1", 80, "shop.localhost", "/api").find("Service shop/web:80 has no ready endpoint") !=
          std::string::npos);
    cluster.endpoints = {"127.0.0.1:7003"};
    nginx.post(make_ingress_table({ingress("shop.localhost", path("/api"))}, cluster.world()));
    CHECK(ask("127.0.0.1", 80, "shop.localhost", "/api").find("Endpoints tried: 127.0.0.1:7003") != std::string::npos);

    // A second agent takes it over as it is.
    REQUIRE(ensure_nginx(nginx.options).ok());
    CHECK(*read_file(nginx.options.directory + "/nginx.pid") == *pid);
    CHECK(ask("127.0.0.1", 80, "shop.localhost", "/apix").starts_with("404"));  // the table is still there
  });
}

TEST_CASE("a request that an endpoint was given is counted until it ends, and is not given to another when it takes too long") {
  Nginx nginx = make_nginx();
  nginx.host.run([&] {
    REQUIRE(ensure_nginx(nginx.options).ok());
    // Takes connections and never answers: what the kernel does for a listener that does not accept.
    const UniqueFd mute(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in any = testing::address_of("0.0.0.0", 7009);
    REQUIRE(::bind(mute.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
    REQUIRE(::listen(mute.get(), 16) == 0);
    const auto under_way = [&] {
      std::string out;
      for (const char* address : {"127.0.0.8", "127.0.0.9"}) {
        const auto answer = nginx_control(nginx.options.directory, "/under-way?address=" + std::string(address), "");
        out += answer.ok() ? *answer : answer.error().message;
      }
      return out;
    };
    const Cluster cluster{{"127.0.0.8:7009", "127.0.0.9:7009"}, {}};
    nginx.post(make_ingress_table(
        {ingress("shop.localhost", path("/"), "nginx.ingress.kubernetes.io/proxy-read-timeout: '1'")}, cluster.world()));
    CHECK(under_way() == "00");
    std::string answer;
    std::thread asking([&] { answer = ask("127.0.0.1", 80, "shop.localhost", "/"); });
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    const auto is_seen = [&] { return under_way() == "10" || under_way() == "01"; };
    while (!is_seen() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    CHECK(is_seen());
    asking.join();
    CHECK_MESSAGE(answer.starts_with("504 "), answer);
    const auto tried = answer.find("Endpoints tried: ");
    REQUIRE(tried != std::string::npos);
    CHECK(split(trim(std::string_view(answer).substr(tried)), ' ').size() == 3);  // "Endpoints tried: IP:PORT"
    CHECK(under_way() == "00");
  });
}

TEST_CASE("a port in use is named, and a changed port reloads the running nginx") {
  Nginx nginx = make_nginx();
  nginx.host.run([&] {
    PodServer taken(nginx.host, "taken", 80);
    const auto refused = ensure_nginx(nginx.options);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().message == "127.0.0.1:80 is in use");
    nginx.options.http_port = 8081;
    REQUIRE(ensure_nginx(nginx.options).ok());
    CHECK(ask("127.0.0.1", 8081).starts_with("503"));
    nginx.options.http_port = 8082;
    const auto moved = ensure_nginx(nginx.options);
    REQUIRE_MESSAGE(moved.ok(), (moved.ok() ? "" : moved.error().message));
    CHECK(ask("127.0.0.1", 8082).starts_with("503"));
    // The old workers close their listener when they hear of it: a moment after the new ones serve.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (ask("127.0.0.1", 8081) != "refused" && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    CHECK(ask("127.0.0.1", 8081) == "refused");
  });
}

TEST_CASE("rewrite-target, TLS by name, the redirect to https and the body limit") {
  Nginx nginx = make_nginx();
  nginx.host.run([&] {
    REQUIRE(ensure_nginx(nginx.options).ok());
    PodServer one(nginx.host, "one", 7001);
    Cluster cluster{{"127.0.0.1:7001"}, {}};
    const auto ca = http::make_ca("test ca", system_clock().now());
    http::CertificateRequest wanted;
    wanted.common_name = "safe.localhost";
    wanted.dns_names = {"safe.localhost"};
    wanted.server = true;
    const auto pair = http::make_certificate(*ca, wanted, system_clock().now());
    REQUIRE(pair.ok());
    cluster.secrets[{"shop", "safe-tls"}] = kube::Object(Value{
        {"type", "kubernetes.io/tls"},
        {"data", Value{{"tls.crt", base64((*pair).certificate_pem)}, {"tls.key", base64((*pair).key_pem.reveal())}}}});
    IngressTable table = make_ingress_table(
        {ingress("cut.localhost", path("/api(/|$)(.*)", "ImplementationSpecific"),
                 "nginx.ingress.kubernetes.io/rewrite-target: /$2, nginx.ingress.kubernetes.io/proxy-body-size: 1k"),
         ingress("safe.localhost", path("/"), "", "  tls: [{hosts: [safe.localhost], secretName: safe-tls}]\n")},
        cluster.world());
    nginx.post(table);
    CHECK(ask("127.0.0.1", 80, "cut.localhost", "/api/v1/x").find("GET /v1/x HTTP/1.1") != std::string::npos);

    const std::string ca_file = nginx.dir.path() + "/ca.pem";
    REQUIRE(write_file(ca_file, (*ca).certificate_pem).ok());
    const auto curl = [&](std::vector<std::string> args) {
      Command command{.args = {"curl", "-s", "-i", "--noproxy", "*", "--cacert", ca_file, "--resolve", "*:80:127.0.0.1",
                               "--resolve", "*:443:127.0.0.1"}};
      command.args.insert(command.args.end(), args.begin(), args.end());
      const auto done = run(command);
      return done.ok() ? (*done).out : done.error().message;
    };
    CHECK(curl({"-d", std::string(2000, 'x'), "http://cut.localhost/api/x"}).starts_with("HTTP/1.1 413"));
    CHECK(curl({"-d", std::string(2000, 'x'), "-H", "Transfer-Encoding: chunked", "http://cut.localhost/api/x"})
              .starts_with("HTTP/1.1 413"));
    CHECK(curl({"-d", "small", "http://cut.localhost/api/x"}).starts_with("HTTP/1.1 200"));
    const std::string redirect = curl({"http://safe.localhost/a?b"});
    CHECK(redirect.starts_with("HTTP/1.1 308"));
    CHECK(redirect.find("Location: https://safe.localhost/a?b") != std::string::npos);
    const std::string secure = curl({"https://safe.localhost/"});
    CHECK_MESSAGE(secure.find("X-Forwarded-Proto: https") != std::string::npos, secure);
    CHECK(curl({"https://unknown.localhost/"}).empty());  // the default certificate is not by this CA
  });
}

TEST_CASE("what an Ingress asks for and can't have is told") {
  const Cluster cluster;
  const IngressTable table = make_ingress_table(
      {ingress("a.localhost", path("/"), "nginx.ingress.kubernetes.io/server-snippet: x, other.example/y: z",
               "  tls: [{hosts: [a.localhost], secretName: missing}]\n")},
      cluster.world());
  const auto& warnings = table.warnings.at({"shop", "web"});
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[0] == "annotation nginx.ingress.kubernetes.io/server-snippet is refused: it would be nginx's own configuration; it has no effect");
  CHECK(warnings[1] == "secret shop/missing does not exist; its hosts get the default certificate");
}
