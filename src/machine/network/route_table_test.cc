// SPDX-License-Identifier: Apache-2.0
// Needs root and curl: what Traefik's IngressRoutes and Middlewares do to requests, in nginx with Lua.
#include "machine/network/route_table.h"

#include "machine/network/testing/nginx.h"

using namespace caisson;
using namespace caisson::network;
using namespace caisson::network::testing;

namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

kube::Object route_of(const std::string& routes, const std::string& spec = "", const std::string& name = "r") {
  return object_of("apiVersion: traefik.io/v1alpha1\nkind: IngressRoute\nmetadata: {name: " + name +
                   ", namespace: shop}\nspec:\n" + spec + "  routes:\n" + routes);
}
// One rule that leads to web, through the middlewares of these names.
std::string rule(const std::string& match, const std::string& middlewares = "", const std::string& service = "web") {
  std::string out = "  - match: \"" + match + "\"\n    kind: Rule\n    services: [{name: " + service +
                    ", port: 80}]\n    middlewares: [";
  for (const auto one : split(middlewares, ','))
    if (!one.empty()) out += "{name: " + std::string(trim(one)) + "}, ";
  return out + "]\n";
}

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
std::string location(std::vector<std::string> args) {
  const std::string answer = curl(std::move(args));
  const auto at = answer.find("Location: ");
  return at == answer.npos ? "" : answer.substr(at + 10, answer.find('\r', at) - at - 10);
}
// The request's path as the backend got it.
std::string path_seen(std::vector<std::string> args) {
  const std::string answer = curl(std::move(args));
  const auto at = answer.find("\nGET ");
  return at == answer.npos ? answer : answer.substr(at + 5, answer.find(' ', at + 5) - at - 5);
}

// Nginx before web (one on 7001) and beta (two on 7002), with Middlewares by name.
struct Site {
  Nginx nginx = make_nginx();
  Cluster cluster{{"127.0.0.1:7001"}, {}, {{"beta", {"127.0.0.1:7002"}}, {"auth", {"127.0.0.1:7003"}}}, {}};
  std::map<std::string, std::string> middlewares;
  std::map<std::string, kube::Object> others;  // TraefikServices, TLSOptions
  std::optional<PodServer> one, two;

  IngressWorld world() {
    IngressWorld out = cluster.world();
    out.middleware = [this](const kube::ObjectKey& key) -> std::optional<kube::Object> {
      const auto found = middlewares.find(key.name);
      if (found == middlewares.end()) return std::nullopt;
      return object_of("metadata: {name: " + key.name + "}\nspec: {" + found->second + "}\n");
    };
    out.traefik_service = out.tls_option = [this](const kube::ObjectKey& key) -> std::optional<kube::Object> {
      const auto found = others.find(key.name);
      return found == others.end() ? std::nullopt : std::optional<kube::Object>(found->second);
    };
    return out;
  }
  void run(const std::function<void()>& call) {
    nginx.host.run([&] {
      const auto started = ensure_nginx(nginx.options);
      REQUIRE_MESSAGE(started.ok(), (started.ok() ? "" : started.error().message));
      one.emplace(nginx.host, "one", 7001);
      two.emplace(nginx.host, "two", 7002);
      call();
    });
  }
  IngressTable show(const std::vector<kube::Object>& routes, const std::vector<kube::Object>& ingresses = {}) {
    IngressTable table = make_ingress_table(ingresses, world(), routes);
    nginx.post(table);
    return table;
  }
  // The only route's warnings.
  std::vector<std::string> warnings(const IngressTable& table) {
    const auto found = table.route_warnings.find({"shop", "r"});
    return found == table.route_warnings.end() ? std::vector<std::string>{} : found->second;
  }
};

}  // namespace

TEST_CASE("routes match by host, path, header, method, query and client, the greater priority first") {
  Site site;
  site.run([&] {
    const auto table =
        site.show({route_of(rule("Host(`a.localhost`) && PathPrefix(`/api`)") +
                            rule("Host(`a.localhost`) && PathPrefix(`/api`) && Header(`X-Beta`, `1`)", "", "beta") +
                            rule("Host(`a.localhost`) && Method(`DELETE`)", "", "beta") +
                            rule("Host(`a.localhost`) && (Query(`v`, `2`) || Path(`/exact`))", "", "beta") +
                            rule("HostRegexp(`^[a-z]+\\\\.re\\\\.localhost$`) && !ClientIP(`10.0.0.0/8`)"))});
    CHECK(site.warnings(table).empty());
    CHECK(has(curl({"http://a.localhost/api/x"}), "\none "));
    CHECK(has(curl({"http://A.localhost/apix"}), "\none "));  // a prefix of the text, as in Traefik
    CHECK(has(curl({"-H", "X-Beta: 1", "http://a.localhost/api"}), "\ntwo "));
    CHECK(has(curl({"-X", "DELETE", "http://a.localhost/"}), "\ntwo "));
    CHECK(has(curl({"http://a.localhost/?x=1&v=2"}), "\ntwo "));
    CHECK(has(curl({"http://a.localhost/exact"}), "\ntwo "));
    CHECK(has(curl({"http://abc.re.localhost/"}), "\none "));
    CHECK(status({"http://a1.re.localhost/"}) == "404");
    CHECK(status({"http://a.localhost/"}) == "404");
    CHECK(status({"http://b.localhost/api"}) == "404");
  });
}

TEST_CASE("an Ingress and a route share a host: the longer rule takes the request") {
  Site site;
  site.run([&] {
    const auto general = ingress("a.localhost", path("/"));
    site.show({route_of(rule("PathPrefix(`/`)", "", "beta"))}, {general});
    CHECK(has(curl({"http://a.localhost/x"}), "\none "));
    CHECK(has(curl({"http://other.localhost/x"}), "\ntwo "));
    site.show({route_of(rule("Host(`a.localhost`) && PathPrefix(`/x`)", "", "beta"))}, {general});
    CHECK(has(curl({"http://a.localhost/x"}), "\ntwo "));
    CHECK(has(curl({"http://a.localhost/y"}), "\none "));
    site.show(
        {route_of("  - {match: 'PathPrefix(`/`)', kind: Rule, priority: 1000, services: [{name: beta, port: 80}]}\n")},
        {general});
    CHECK(has(curl({"http://a.localhost/x"}), "\ntwo "));
  });
}

TEST_CASE("middlewares change the path in their order") {
  Site site;
  site.middlewares = {{"strip", "stripPrefix: {prefixes: [/none, /api]}"},
                      {"strip-re", "stripPrefixRegex: {regex: ['/v[0-9]+']}"},
                      {"add", "addPrefix: {prefix: /new}"},
                      {"replace", "replacePath: {path: /fixed}"},
                      {"replace-re", "replacePathRegex: {regex: '^/old/(.*)$', replacement: '/young/$1'}"},
                      {"all", "chain: {middlewares: [{name: strip}, {name: add}]}"}};
  site.run([&] {
    const auto seen = [&](const std::string& names, const std::string& url) {
      const auto table = site.show({route_of(rule("Host(`a.localhost`)", names))});
      CHECK(site.warnings(table).empty());
      return path_seen({"http://a.localhost" + url});
    };
    CHECK(seen("strip", "/api/x?q=1") == "/x?q=1");
    CHECK(seen("strip", "/api") == "/");
    CHECK(seen("strip", "/other") == "/other");
    CHECK(seen("strip-re", "/v12/x") == "/x");
    CHECK(seen("add", "/x") == "/new/x");
    CHECK(seen("replace", "/x?q=1") == "/fixed?q=1");
    CHECK(seen("replace-re", "/old/a/b") == "/young/a/b");
    CHECK(seen("all", "/api/x") == "/new/x");
    CHECK(seen("add,strip", "/api/x") == "/new/api/x");
    CHECK(has(curl({"http://a.localhost/api/x"}), "GET /new/api/x"));
    site.show({route_of(rule("Host(`a.localhost`)", "strip"))});
    CHECK(has(curl({"http://a.localhost/api/x"}), "X-Forwarded-Prefix: /api"));
  });
}

TEST_CASE("redirects keep the method, and a route is of HTTP, HTTPS or both") {
  Site site;
  site.middlewares = {
      {"secure", "redirectScheme: {scheme: https, permanent: true}"},
      {"www", "redirectRegex: {regex: '^http://a.localhost/(.*)', replacement: 'http://www.localhost/$1'}"}};
  site.run([&] {
    site.show({route_of(rule("Host(`a.localhost`)", "secure"), "  entryPoints: [web]\n"),
               route_of(rule("Host(`a.localhost`)", "", "beta"), "  entryPoints: [websecure]\n  tls: {}\n", "s")});
    CHECK(location({"http://a.localhost/x?y=1"}) == "https://a.localhost/x?y=1");
    CHECK(status({"http://a.localhost/"}) == "301");
    CHECK(status({"-X", "POST", "http://a.localhost/"}) == "308");
    CHECK(has(curl({"https://a.localhost/"}), "two "));
    site.show({route_of(rule("Host(`a.localhost`)", "www"))});
    CHECK(location({"http://a.localhost/p?q"}) == "http://www.localhost/p?q");
    CHECK(status({"-X", "POST", "http://a.localhost/"}) == "307");
    CHECK(status({"https://a.localhost/p"}) == "200");  // does not match the expression
    const auto table = site.show({route_of(rule("Host(`a.localhost`)"), "  entryPoints: [metrics, web]\n")});
    CHECK(site.warnings(table) == std::vector<std::string>{"there is no entry point metrics, only web and websecure"});
    CHECK(status({"https://a.localhost/"}) == "404");
  });
}

TEST_CASE("headers are set, taken away and secured") {
  Site site;
  site.middlewares = {{"h",
                       "headers: {customRequestHeaders: {X-In: a b, X-Gone: ''}, customResponseHeaders: {X-Out: '1', "
                       "Server: ''}, frameDeny: true, "
                       "contentTypeNosniff: true, stsSeconds: 60, stsPreload: true, referrerPolicy: no-referrer, "
                       "accessControlAllowOriginList: "
                       "['https://ok.example'], accessControlAllowMethods: [GET], accessControlMaxAge: 5}"}};
  site.run([&] {
    CHECK(site.warnings(site.show({route_of(rule("Host(`a.localhost`)", "h"))})).empty());
    const std::string answer = curl({"-H", "X-Gone: 1", "-H", "Origin: https://ok.example", "http://a.localhost/"});
    CHECK(has(answer, "X-In: a b"));
    CHECK_FALSE(has(answer, "X-Gone"));
    CHECK(has(answer, "X-Out: 1\r\n"));
    CHECK(has(answer, "X-Frame-Options: DENY"));
    CHECK(has(answer, "X-Content-Type-Options: nosniff"));
    CHECK(has(answer, "Referrer-Policy: no-referrer"));
    CHECK(has(answer, "Access-Control-Allow-Origin: https://ok.example"));
    CHECK_FALSE(has(answer, "Strict-Transport-Security"));
    CHECK_FALSE(has(curl({"-H", "Origin: https://bad.example", "http://a.localhost/"}), "Access-Control-Allow-Origin"));
    CHECK(has(curl({"https://a.localhost/"}), "trict-transport-security: max-age=60; preload"));
  });
}

TEST_CASE("middlewares keep people out: by address, rate, password, and by another service") {
  Site site;
  site.middlewares = {
      {"nobody", "ipAllowList: {sourceRange: [10.0.0.0/8], rejectStatusCode: 418}"},
      {"local", "ipWhiteList: {sourceRange: [127.0.0.1/32, 10.0.0.0/8]}"},
      {"slow", "rateLimit: {average: 1, period: 1m, burst: 3}"},
      {"login", "basicAuth: {secret: users, removeHeader: true, headerField: X-User}"},
      {"plain", "basicAuth: {secret: plain}"},
      {"ask", "forwardAuth: {address: 'http://auth.shop.svc.cluster.local:7003/check', authResponseHeaders: [X-Who]}"}};
  site.cluster.secrets[{"shop", "users"}] =
      kube::Object(Value{{"data", Value{{"users", base64("eve:{PLAIN}apple\n")}}}});
  site.cluster.secrets[{"shop", "plain"}] =
      kube::Object(Value{{"type", "kubernetes.io/basic-auth"},
                         {"data", Value{{"username", base64("adam")}, {"password", base64("pear")}}}});
  site.run([&] {
    const auto through = [&](const std::string& names) {
      CHECK(site.warnings(site.show({route_of(rule("Host(`a.localhost`)", names))})).empty());
    };
    through("nobody");
    CHECK(status({"http://a.localhost/"}) == "418");
    through("local");
    CHECK(status({"http://a.localhost/"}) == "200");
    through("local,nobody");
    CHECK(status({"http://a.localhost/"}) == "418");
    through("slow");
    for (int i = 0; i < 3; ++i) CHECK(status({"http://a.localhost/"}) == "200");
    CHECK(status({"http://a.localhost/"}) == "429");
    CHECK(has(curl({"http://a.localhost/"}), "Retry-After: 60"));
    through("login");
    CHECK(status({"http://a.localhost/"}) == "401");
    CHECK(status({"-u", "eve:pear", "http://a.localhost/"}) == "401");
    const std::string answer = curl({"-u", "eve:apple", "http://a.localhost/"});
    CHECK(has(answer, "X-User: eve"));
    CHECK_FALSE(has(answer, "Authorization"));
    through("plain");
    CHECK(status({"-u", "adam:pear", "http://a.localhost/"}) == "200");

    // The authentication service is asked, and its refusal is handed on as it is.
    through("ask");
    CHECK(status({"http://a.localhost/"}) == "500");  // nobody listens there yet
    PodServer auth(site.nginx.host, "auth", 7003);
    CHECK(has(curl({"http://a.localhost/secret"}), "\none "));
    CHECK(auth.requests() == 1);
  });
}

TEST_CASE("what can't be done as written is named, and closes the route where it keeps people out") {
  Site site;
  site.middlewares = {{"digest", "digestAuth: {secret: x}"},
                      {"gz", "compress: {}"},
                      {"no-users", "basicAuth: {secret: missing}"},
                      {"loop", "chain: {middlewares: [{name: loop}]}"}};
  site.others["mtls"] =
      object_of("metadata: {name: mtls}\nspec: {clientAuth: {clientAuthType: RequireAndVerifyClientCert}}\n");
  site.run([&] {
    const auto warned = [&](const kube::Object& route) { return join(site.warnings(site.show({route})), "; "); };
    const auto closed = [&](const std::string& names, const std::string& why) {
      CHECK(has(warned(route_of(rule("Host(`a.localhost`)", names))), why));
      CHECK(status({"http://a.localhost/"}) == "503");
    };
    closed("digest", "middleware shop/digest: digestAuth is not supported; nobody is let in");
    closed("absent", "middleware shop/absent: it does not exist; nobody is let in");
    closed("no-users", "secret shop/missing of basicAuth does not exist");
    closed("loop", "chains are nested too deeply");
    CHECK(warned(route_of(rule("Host(`a.localhost`)", "gz"))) ==
          "middleware shop/gz: compress is not supported; it has no effect");
    CHECK(status({"http://a.localhost/"}) == "200");
    CHECK(has(warned(route_of("  - {match: 'Host(`a.localhost`)', kind: Rule, services: [{name: web, port: 80}], "
                              "middlewares: [{name: gz, "
                              "namespace: other}]}\n")),
              "middleware other/gz: it is of another namespace than the route"));
    CHECK(has(warned(route_of(rule("Host(`a.localhost`)"), "  tls: {options: {name: mtls}}\n")),
              "client certificates are not supported"));
    CHECK(status({"https://a.localhost/"}) == "503");
    CHECK(has(warned(route_of(rule("Nonsense(`x`)"))), "match \"Nonsense(`x`)\": there is no matcher Nonsense"));
    CHECK(has(
        warned(route_of("  - {match: 'Host(`a.localhost`)', services: [{name: web, port: 80, namespace: other}]}\n")),
        "service other/web is of another namespace than the route"));
    CHECK(has(warned(route_of(rule("Host(`a.localhost`)", "", "beta"), "  tls: {certResolver: le}\n")),
              "tls.certResolver has no effect"));
  });
}

TEST_CASE("weights spread requests, also through a TraefikService") {
  Site site;
  site.others["split"] = object_of(
      "metadata: {name: split}\nspec: {weighted: {services: [{name: web, port: 80, weight: 1}, {name: beta, "
      "port: 80, weight: 3}]}}\n");
  site.run([&] {
    for (const char* services : {"[{name: split, kind: TraefikService}]",
                                 "[{name: web, port: 80, weight: 1}, {name: beta, port: 80, weight: 3}]"}) {
      site.show(
          {route_of("  - {match: 'Host(`a.localhost`)', kind: Rule, services: " + std::string(services) + "}\n")});
      std::map<std::string, int> seen;
      for (int i = 0; i < 80; ++i) ++seen[who(ask("127.0.0.1", 80, "a.localhost"))];
      CHECK(seen["one"] + seen["two"] == 80);
      CHECK(seen["one"] > 5);
      CHECK(seen["two"] > seen["one"]);
    }
  });
}
