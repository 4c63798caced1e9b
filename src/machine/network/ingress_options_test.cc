// SPDX-License-Identifier: Apache-2.0
// Needs root and curl: what the annotations of an Ingress do to requests, in nginx with Lua.
#include "machine/network/ingress_options.h"

#include <set>

#include "machine/network/firewall.h"
#include "machine/network/testing/nginx.h"

using namespace caisson;
using namespace caisson::network;
using namespace caisson::network::testing;

namespace {

std::string annotated(const std::string& pairs) {  // "a: b|c: d"
  std::string out;
  for (const auto pair : split(pairs, '|'))
    out += (out.empty() ? "" : ", ") + std::string(kNginxAnnotations) + std::string(trim(pair));
  return out;
}

// A client of the ingress in the namespace it is called from.
std::string curl(std::vector<std::string> args) {
  Command command{.args = {"curl", "-s", "-i", "-k", "--noproxy", "*", "--max-time", "20", "--resolve",
                           "*:80:127.0.0.1", "--resolve", "*:443:127.0.0.1"}};
  command.args.insert(command.args.end(), args.begin(), args.end());
  const auto done = run(command);
  return done.ok() ? (*done).out : done.error().message;
}
std::string status(std::vector<std::string> args) {
  const std::string answer = curl(std::move(args));
  const auto space = answer.find(' ');
  return space == answer.npos ? answer : answer.substr(space + 1, 3);
}
bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

kube::Object secret(const std::string& key, const std::string& text) {
  return kube::Object(Value{{"data", Value{{key, base64(text)}}}});
}

// Nginx before web (one on 7001) and beta (two on 7002).
struct Site {
  Nginx nginx = make_nginx();
  Cluster cluster{{"127.0.0.1:7001"}, {}, {{"beta", {"127.0.0.1:7002"}}}, {}};
  std::optional<PodServer> one, two;

  void run(const std::function<void()>& call) {
    nginx.host.run([&] {
      const auto started = ensure_nginx(nginx.options);
      REQUIRE_MESSAGE(started.ok(), (started.ok() ? "" : started.error().message));
      one.emplace(nginx.host, "one", 7001);
      two.emplace(nginx.host, "two", 7002);
      call();
    });
  }
  IngressTable show(const std::string& annotations, const std::string& at = "/") {
    IngressTable table =
        make_ingress_table({ingress("a.localhost", path(at), annotated(annotations))}, cluster.world());
    nginx.post(table);
    return table;
  }
};

}  // namespace

TEST_CASE("who may come in: ranges of addresses, and closed when they can't be read") {
  Site site;
  site.run([&] {
    site.show("whitelist-source-range: 10.0.0.0/8");
    CHECK(status({"http://a.localhost/"}) == "403");
    site.show("whitelist-source-range: '10.0.0.0/8, 127.0.0.1'");
    CHECK(status({"http://a.localhost/"}) == "200");
    site.show("denylist-source-range: 127.0.0.0/8");
    CHECK(status({"http://a.localhost/"}) == "403");
    const auto table = site.show("whitelist-source-range: 10.0.0.0/99");
    CHECK(status({"http://a.localhost/"}) == "503");
    CHECK(has(table.warnings.at({"shop", "web"})[0], "nobody is let in"));
  });
  CHECK(*address_ranges("10.0.0.0/8, 192.0.2.7") == "167772160-184549375,3221225991-3221225991");
  CHECK_FALSE(address_ranges("here"));
}

TEST_CASE("a limit lets its burst pass and refuses what is above") {
  Site site;
  site.run([&] {
    site.show("limit-rpm: '1'|limit-burst-multiplier: '3'");
    std::vector<std::string> seen;
    for (int i = 0; i < 5; ++i) seen.push_back(status({"http://a.localhost/"}));
    CHECK(seen == std::vector<std::string>{"200", "200", "200", "200", "503"});
    site.show("limit-rpm: '1'|limit-burst-multiplier: '1'|limit-whitelist: 127.0.0.0/8", "/free");
    for (int i = 0; i < 5; ++i) CHECK(status({"http://a.localhost/free"}) == "200");
    site.show("limit-connections: '1'", "/few");
    for (int i = 0; i < 3; ++i) CHECK(status({"http://a.localhost/few"}) == "200");  // one after another
  });
}

TEST_CASE("a canary takes requests by header, by cookie and by weight") {
  Site site;
  site.run([&] {
    const auto show = [&](const std::string& how) {
      kube::Object canary = ingress(
          "a.localhost", "      - {path: /, pathType: Prefix, backend: {service: {name: beta, port: {number: 80}}}}\n",
          annotated("canary: 'true'|" + how));
      canary.edit({"metadata"}).set("name", "beta");
      const auto table = make_ingress_table({ingress("a.localhost", path("/")), canary}, site.cluster.world());
      CHECK(table.warnings.empty());
      site.nginx.post(table);
    };
    const auto served = [](std::vector<std::string> args) {
      args.emplace_back("http://a.localhost/");
      return has(curl(args), "\r\n\r\ntwo ") ? "two" : "one";
    };
    show("canary-by-header: X-Beta");
    CHECK(served({}) == std::string("one"));
    CHECK(served({"-H", "X-Beta: always"}) == std::string("two"));
    CHECK(served({"-H", "X-Beta: never"}) == std::string("one"));
    show("canary-by-header: X-Beta|canary-by-header-value: yes1");
    CHECK(served({"-H", "X-Beta: always"}) == std::string("one"));
    CHECK(served({"-H", "X-Beta: yes1"}) == std::string("two"));
    show("canary-by-cookie: beta");
    CHECK(served({"-H", "Cookie: beta=always"}) == std::string("two"));
    show("canary-weight: '100'");
    CHECK(served({}) == std::string("two"));
    show("canary-weight: '0'");
    CHECK(served({}) == std::string("one"));
    show("canary-weight: '50'");
    std::set<std::string> seen;
    for (int i = 0; i < 60 && seen.size() < 2; ++i) seen.insert(served({}));
    CHECK(seen.size() == 2);
  });
}

TEST_CASE("a session stays at the endpoint that its cookie names") {
  Site site;
  site.cluster.endpoints = {"127.0.0.1:7001", "127.0.0.1:7002"};
  site.run([&] {
    site.show("affinity: cookie|session-cookie-name: route|session-cookie-max-age: '60'|session-cookie-samesite: Lax");
    const std::string first = curl({"http://a.localhost/"});
    const auto at = first.find("Set-Cookie: route=");
    REQUIRE_MESSAGE(at != first.npos, first);
    const std::string cookie = first.substr(at + 12, first.find(';', at) - at - 12);
    CHECK(has(first, "; Path=/; Max-Age=60; SameSite=Lax; HttpOnly"));
    const std::string who = has(first, "\r\n\r\none ") ? "\r\n\r\none " : "\r\n\r\ntwo ";
    for (int i = 0; i < 10; ++i) {
      const std::string next = curl({"-H", "Cookie: " + cookie, "http://a.localhost/"});
      CHECK(has(next, who));
      CHECK_FALSE(has(next, "Set-Cookie"));
    }
    site.cluster.endpoints = {who == "\r\n\r\none " ? "127.0.0.1:7002" : "127.0.0.1:7001"};
    site.show("affinity: cookie|session-cookie-name: route");
    CHECK(has(curl({"-H", "Cookie: " + cookie, "http://a.localhost/"}), "Set-Cookie: route="));  // its endpoint is gone
  });
}

TEST_CASE("basic authentication by a Secret, and closed without it") {
  Site site;
  site.run([&] {
    // ann:secret by openssl passwd -apr1, bob:secret by SHA-1
    site.cluster.secrets[{"shop", "users"}] =
        secret("auth", "ann:$apr1$caisson0$Y3RaN.2ogiox/ntLS/FP31\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
    site.show("auth-type: basic|auth-secret: users|auth-realm: The shop");
    const std::string asked = curl({"http://a.localhost/"});
    CHECK(asked.starts_with("HTTP/1.1 401"));
    CHECK(has(asked, "WWW-Authenticate: Basic realm=\"The shop\""));
    CHECK(status({"-u", "bob:secret", "http://a.localhost/"}) == "200");
    CHECK(status({"-u", "ann:secret", "http://a.localhost/"}) == "200");
    CHECK(status({"-u", "bob:wrong", "http://a.localhost/"}) == "401");
    site.cluster.secrets[{"other", "users"}] = site.cluster.secrets[{"shop", "users"}];
    site.show("auth-type: basic|auth-secret: other/users");
    CHECK(status({"-u", "bob:secret", "http://a.localhost/"}) == "503");
    site.show("auth-type: digest|auth-secret: users");
    CHECK(status({"-u", "bob:secret", "http://a.localhost/"}) == "503");
  });
}

TEST_CASE("another service decides who may come in") {
  Site site;
  site.run([&] {
    // PodServer answers 200 to everything; a path of the ingress that nobody is let into answers 403, an unknown one
    // 404.
    site.show("auth-url: http://127.0.0.1:7002/check|auth-response-headers: X-User");
    CHECK(status({"http://a.localhost/"}) == "200");
    CHECK_FALSE(has(curl({"-H", "X-User: forged", "http://a.localhost/"}), "forged"));
    const auto guarded = ingress("guard.localhost", path("/"), annotated("whitelist-source-range: 10.0.0.0/8"));
    const auto with = [&](const std::string& annotations) {
      site.nginx.post(make_ingress_table({guarded, ingress("a.localhost", path("/x"), annotated(annotations))},
                                         site.cluster.world()));
    };
    with("auth-url: http://127.0.0.1:80/");  // asked for host 127.0.0.1, which has no rule
    CHECK(status({"http://a.localhost/x"}) == "500");
    with("auth-url: http://web.shop.svc.cluster.local:7001/$host");  // a Service's name is its address
    CHECK(status({"http://a.localhost/x"}) == "200");
    with("auth-url: ftp://x/");
    CHECK(status({"http://a.localhost/x"}) == "503");
    CHECK(status({"http://a.localhost/_caisson_auth"}) == "404");  // not for the outside
  });
}

TEST_CASE("redirects, other hosts, headers and the name that the backend is asked by") {
  Site site;
  site.run([&] {
    site.cluster.config_maps[{"shop", "extra"}] = kube::Object(Value{{"data", Value{{"X-Extra", "a b"}}}});
    site.show("app-root: /start|custom-headers: shop/extra|upstream-vhost: inner.example|x-forwarded-prefix: /pre");
    CHECK(has(curl({"http://a.localhost/"}), "Location: /start"));
    const std::string answer = curl({"http://a.localhost/start"});
    CHECK_MESSAGE(has(answer, "X-Extra: a b"), answer);
    CHECK_MESSAGE(has(answer, "Host: inner.example"), answer);
    CHECK_MESSAGE(has(answer, "X-Forwarded-Prefix: /pre"), answer);
    site.show("permanent-redirect: https://new.example/x|permanent-redirect-code: '308'");
    CHECK(curl({"http://a.localhost/"}).starts_with("HTTP/1.1 308"));
    site.show("temporal-redirect: https://new.example/x");
    CHECK(curl({"http://a.localhost/"}).starts_with("HTTP/1.1 302"));
    site.show("from-to-www-redirect: 'true'|server-alias: b.localhost");
    CHECK(has(curl({"http://www.a.localhost/y?z"}), "Location: http://a.localhost/y?z"));
    CHECK(status({"http://b.localhost/"}) == "200");
    site.cluster.endpoints = {};
    site.show("default-backend: beta");
    CHECK(has(curl({"http://a.localhost/"}), "\r\n\r\ntwo "));
  });
}

TEST_CASE("a body that does not fit in memory reaches the backend") {
  Site site;
  site.run([&] {
    site.show("proxy-body-size: 8m");
    const std::string file = site.nginx.dir.path() + "/body";
    REQUIRE(write_file(file, std::string(1u << 20, 'x')).ok());
    const std::string answer = curl({"--data-binary", "@" + file, "http://a.localhost/"});
    CHECK_MESSAGE(has(answer, "Content-Length: 1048576"), answer);
  });
}

TEST_CASE("a backend that speaks gRPC is asked in HTTP/2") {
  Site site;
  site.run([&] {
    // What the backend reads first tells the protocol.
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto at = address_of("127.0.0.1", 7003);
    REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(listener.get(), 8) == 0);
    std::string first;
    std::thread backend([&] {
      const UniqueFd fd(::accept(listener.get(), nullptr, nullptr));
      char buffer[14];
      const ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, MSG_WAITALL);
      first.assign(buffer, got > 0 ? static_cast<std::size_t>(got) : 0);
    });
    site.cluster.endpoints = {"127.0.0.1:7003"};
    site.show("backend-protocol: GRPC");
    curl(
        {"--max-time", "5", "--http2", "-H", "Content-Type: application/grpc", "-d", "x", "https://a.localhost/s.S/M"});
    ::shutdown(listener.get(), SHUT_RDWR);
    backend.join();
    CHECK(first == "PRI * HTTP/2.0");
  });
}

TEST_CASE("the firewall's modes have names, and a body limit in each") {
  for (const char* name : {"detect", "block", "detect-crs", "block-crs"}) {
    const auto mode = parse_firewall_mode(name);
    REQUIRE(mode.ok());
    CHECK(mode->name() == name);
    const std::string rules = firewall_rules(*mode, "/tmp/x");
    CHECK(has(rules, mode->blocks ? "SecRuleEngine On\n" : "SecRuleEngine DetectionOnly\n"));
    CHECK(has(rules, "SecRequestBodyLimit "));
    CHECK(has(rules, "/usr/share/modsecurity-crs/rules") == mode->core_rules);
  }
  CHECK_FALSE(parse_firewall_mode("../x").ok());
}

TEST_CASE("ModSecurity guards an Ingress that asks for it, and closes one where it is not installed") {
  Site site;
  site.run([&] {
    const std::string asked =
        "enable-modsecurity: 'true'|enable-owasp-core-rules: 'true'|modsecurity-snippet: 'SecRuleEngine On'";
    IngressTable table =
        make_ingress_table({ingress("a.localhost", path("/"), annotated(asked))}, site.cluster.world());
    if (!missing_for_firewall({true, true}).empty()) {
      site.nginx.post(table);
      CHECK(has(table.warnings.at({"shop", "web"})[0], "is not installed on this machine; nobody is let in"));
      CHECK(status({"http://a.localhost/"}) == "503");
      return;
    }
    CHECK(table.firewalls == std::set<std::string>{"block-crs"});
    site.nginx.options.firewalls = {"block-crs", "detect"};
    const auto reloaded = ensure_nginx(site.nginx.options);
    REQUIRE_MESSAGE(reloaded.ok(), (reloaded.ok() ? "" : reloaded.error().message));
    site.nginx.post(table);
    CHECK(table.warnings.empty());
    CHECK(status({"http://a.localhost/shop?q=tea"}) == "200");
    CHECK(status({"http://a.localhost/shop?q=%27%20OR%201=1--"}) == "403");
    CHECK(status({"-d", "q=<script>alert(1)</script>", "http://a.localhost/shop"}) == "403");
    site.nginx.post(make_ingress_table({ingress("a.localhost", path("/"), annotated("enable-modsecurity: 'true'"))},
                                       site.cluster.world()));
    CHECK(status({"http://a.localhost/shop?q=%27%20OR%201=1--"}) == "200");  // only looked at
    const auto refused = make_ingress_table(
        {ingress("a.localhost", path("/"),
                 annotated("enable-modsecurity: 'true'|modsecurity-snippet: 'SecRuleRemoveById 1'"))},
        site.cluster.world());
    CHECK(has(refused.warnings.at({"shop", "web"})[0], "\"SecRuleRemoveById 1\" is refused"));
    const auto grpc = make_ingress_table(
        {ingress("a.localhost", path("/"), annotated("enable-modsecurity: 'true'|backend-protocol: GRPC"))},
        site.cluster.world());
    CHECK(has(grpc.warnings.at({"shop", "web"})[0], "it can't guard gRPC; nobody is let in"));
    CHECK(*firewalls_of(site.nginx.options.directory) == std::set<std::string>{"block-crs", "detect"});
  });
}
