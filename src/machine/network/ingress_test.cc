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

namespace {

// Two addresses of one listener that the kernel answers for and nobody reads from, until answer_one() is called.
class MuteEndpoints {
 public:
  MuteEndpoints() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in any = testing::address_of("0.0.0.0", 7009);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
    REQUIRE(::listen(listener_.get(), 16) == 0);
  }
  static Cluster cluster() { return {{"127.0.0.8:7009", "127.0.0.9:7009"}, {}}; }

  void answer_one() const {
    const UniqueFd connection(::accept(listener_.get(), nullptr, nullptr));
    REQUIRE(connection);
    char request[4096];
    REQUIRE(::recv(connection.get(), request, sizeof request, 0) > 0);
    constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone";
    REQUIRE(::send(connection.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL) == std::ssize(kAnswer));
  }

 private:
  UniqueFd listener_;
};

// The requests under way at the two addresses, one digit each.
std::string under_way(const Nginx& nginx) {
  std::string out;
  for (const char* address : {"127.0.0.8", "127.0.0.9"}) {
    const auto answer = nginx_control(nginx.options.directory, "/under-way?address=" + std::string(address), "");
    out += answer.ok() ? *answer : answer.error().message;
  }
  return out;
}

bool becomes(const std::function<bool()>& is_so) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!is_so() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  return is_so();
}

bool is_one(std::string_view counts) {
  return counts == "10" || counts == "01";
}

}  // namespace

TEST_CASE("a request that an endpoint was given is counted until it ends, through a reload of nginx too") {
  // A rule that asks for nothing, and one that asks for something, go different ways.
  for (const char* annotations : {"", "nginx.ingress.kubernetes.io/proxy-read-timeout: '30'"}) {
    CAPTURE(annotations);
    Nginx nginx = make_nginx();
    nginx.host.run([&] {
      REQUIRE(ensure_nginx(nginx.options).ok());
      const MuteEndpoints endpoints;
      nginx.post(make_ingress_table({ingress("shop.localhost", path("/"), annotations)}, endpoints.cluster().world()));
      CHECK(under_way(nginx) == "00");
      std::string answer;
      std::thread asking([&] { answer = ask("127.0.0.1", 80, "shop.localhost", "/"); });
      CHECK(becomes([&] { return is_one(under_way(nginx)); }));
      nginx.options.http_port = 8081;
      REQUIRE(ensure_nginx(nginx.options).ok());
      REQUIRE(becomes([&] { return ask("127.0.0.1", 8081, "other.localhost", "/").starts_with("404"); }));
      CHECK(is_one(under_way(nginx)));
      endpoints.answer_one();
      asking.join();
      CHECK(answer == "done");
      CHECK(becomes([&] { return under_way(nginx) == "00"; }));
    });
  }
}

TEST_CASE("what a worker that was killed had counted is forgotten") {
  Nginx nginx = make_nginx();
  nginx.host.run([&] {
    REQUIRE(ensure_nginx(nginx.options).ok());
    const MuteEndpoints endpoints;
    nginx.post(make_ingress_table({ingress("shop.localhost", path("/"))}, endpoints.cluster().world()));
    std::thread asking([&] { ask("127.0.0.1", 80, "shop.localhost", "/"); });
    CHECK(becomes([&] { return is_one(under_way(nginx)); }));
    const Result<std::string> master = read_file(nginx.options.directory + "/nginx.pid");
    REQUIRE(master.ok());
    const auto killed = run(Command{.args = {"pkill", "-KILL", "-P", std::string(trim(*master))}});
    REQUIRE(killed.ok());
    REQUIRE((*killed).ok());
    asking.join();
    CHECK(becomes([&] { return under_way(nginx) == "00"; }));
  });
}

TEST_CASE("a request whose answer takes too long is not given to another endpoint") {
  Nginx nginx = make_nginx();
  nginx.host.run([&] {
    REQUIRE(ensure_nginx(nginx.options).ok());
    const MuteEndpoints endpoints;
    nginx.post(make_ingress_table(
        {ingress("shop.localhost", path("/"), "nginx.ingress.kubernetes.io/proxy-read-timeout: '1'")},
        endpoints.cluster().world()));
    const std::string answer = ask("127.0.0.1", 80, "shop.localhost", "/");
    CHECK_MESSAGE(answer.starts_with("504 "), answer);
    const auto tried = answer.find("Endpoints tried: ");
    REQUIRE(tried != std::string::npos);
    CHECK(split(trim(std::string_view(answer).substr(tried)), ' ').size() == 3);  // "Endpoints tried: IP:PORT"
    CHECK(becomes([&] { return under_way(nginx) == "00"; }));
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
         ingress("small.localhost", path("/"), "nginx.ingress.kubernetes.io/proxy-body-size: 1k"),
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
    // The first has guards (it is rewritten) and goes by another location of nginx than the second.
    for (const std::string url : {"http://cut.localhost/api/x", "http://small.localhost/x"}) {
      CAPTURE(url);
      CHECK(curl({"-d", std::string(2000, 'x'), url}).starts_with("HTTP/1.1 413"));
      CHECK(curl({"-d", std::string(2000, 'x'), "-H", "Transfer-Encoding: chunked", url}).starts_with("HTTP/1.1 413"));
      CHECK(curl({"-d", "small", url}).starts_with("HTTP/1.1 200"));
      CHECK(curl({"-H", "X-Request-ID: mine", url}).find("X-Request-ID: mine\r\n") != std::string::npos);
      const std::string fresh = curl({url});
      const auto id = fresh.find("X-Request-ID: ");
      REQUIRE(id != std::string::npos);
      CHECK(fresh.find_first_not_of("0123456789abcdef", id + 14) == id + 14 + 32);
      CHECK(curl({url}).find(fresh.substr(id, 14 + 32)) == std::string::npos);  // another request, another id
    }
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
  CHECK(warnings[0] ==
        "annotation nginx.ingress.kubernetes.io/server-snippet is refused: it would be nginx's own configuration; it "
        "has no effect");
  CHECK(warnings[1] == "secret shop/missing does not exist; its hosts get the default certificate");
}

TEST_CASE("a connection that is upgraded goes through in both directions, and nobody waits for its end") {
  Nginx nginx = make_nginx();
  nginx.host.run([&] {
    REQUIRE(ensure_nginx(nginx.options).ok());
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto at = address_of("127.0.0.1", 7003);
    REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(listener.get(), 8) == 0);
    std::string head;
    std::thread backend([&] {  // answers 101, then gives back what it gets
      const UniqueFd fd(::accept(listener.get(), nullptr, nullptr));
      char buffer[4096];
      while (head.find("\r\n\r\n") == head.npos) {
        const ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, 0);
        if (got <= 0) return;
        head.append(buffer, static_cast<std::size_t>(got));
      }
      const std::string answer =
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
      (void)!::send(fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      for (ssize_t got = 0; (got = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;)
        (void)!::send(fd.get(), buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL);
    });
    nginx.post(
        make_ingress_table({ingress("a.localhost", path("/"))}, Cluster{{"127.0.0.1:7003"}, {}, {}, {}}.world()));
    UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval time_max{10, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &time_max, sizeof time_max);
    const auto to = address_of("127.0.0.1", 80);
    REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    const std::string ask_for =
        "GET /chat HTTP/1.1\r\nHost: a.localhost\r\nConnection: Upgrade\r\nUpgrade: "
        "websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    REQUIRE(::send(client.get(), ask_for.data(), ask_for.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(ask_for.size()));
    const auto read_until = [&](std::string_view end) {
      std::string in;
      char buffer[4096];
      while (in.find(end) == in.npos) {
        const ssize_t got = ::recv(client.get(), buffer, sizeof buffer, 0);
        if (got <= 0) break;
        in.append(buffer, static_cast<std::size_t>(got));
      }
      return in;
    };
    CHECK(read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
    for (const std::string word : {"ping", "pong"}) {
      REQUIRE(::send(client.get(), word.data(), word.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(word.size()));
      CHECK(read_until(word) == word);
    }
    CHECK(*nginx_control(nginx.options.directory, "/under-way?address=127.0.0.1", "") == "0");
    client.reset();
    backend.join();
    CHECK(head.find("Upgrade: websocket") != head.npos);
    CHECK(to_lower(head).find("connection: upgrade") != head.npos);
  });
}
