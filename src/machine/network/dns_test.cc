// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/random.h"
#include "core/document/yaml.h"
#include "machine/network/dns_server.h"
#include "machine/network/dns_zone.h"
#include "machine/network/testing/namespace.h"

using namespace caisson;
using namespace caisson::network;
using namespace caisson::network::dns;
using caisson::network::testing::address_of;

namespace {

kube::Object object_of(const std::string& yaml) {
  auto value = yaml::read(yaml);
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return kube::Object(*value);
}

ZoneSource shop() {
  ZoneSource source;
  source.registry_address = "10.43.0.3";
  source.service = [](const kube::ObjectKey& key) -> std::optional<kube::Object> {
    if (key == kube::ObjectKey{"shop", "web"})
      return object_of(
          "metadata: {name: web, namespace: shop}\nspec: {clusterIP: 10.43.0.7, ports: [{name: http, port: 80}]}\n");
    if (key == kube::ObjectKey{"shop", "db"})
      return object_of(
          "metadata: {name: db, namespace: shop}\nspec: {clusterIP: None, ports: [{name: sql, port: 5432}]}\n");
    if (key == kube::ObjectKey{"shop", "far"})
      return object_of(
          "metadata: {name: far, namespace: shop}\nspec: {type: ExternalName, externalName: Example.ORG.}\n");
    return std::nullopt;
  };
  source.slices = [](const kube::ObjectKey& key) -> std::vector<kube::Object> {
    if (key.name != "db") return {};
    return {
        object_of("addressType: IPv4\nports: [{name: sql, port: 5432}]\nendpoints:\n"
                  "- {addresses: [10.42.0.5], hostname: db-0}\n- {addresses: [10.42.0.6], hostname: db-1}\n"
                  "- {addresses: [10.42.0.7], hostname: db-2, conditions: {ready: false}}\n")};
  };
  source.service_by_ip = [source](const std::string& ip) -> std::optional<kube::Object> {
    return ip == "10.43.0.7" ? source.service({"shop", "web"}) : std::nullopt;
  };
  return source;
}

std::string shown(const ZoneAnswer& answer) {
  if (!answer.ours) return "forward";
  if (answer.answer.code == Code::name_error) return "no such name";
  std::string out;
  for (const Record& record : answer.answer.answers) {
    if (!out.empty()) out += ' ';
    if (record.type == kA) out += format_ipv4(read_u32(record.data, 0));
    if (record.type == kSrv) out += "srv:" + record.data.substr(7, static_cast<unsigned char>(record.data[6]));
    if (record.type == kPtr || record.type == kCname)
      out += "name:" + record.data.substr(1, static_cast<unsigned char>(record.data[0]));
  }
  return out.empty() ? "empty" : out;
}

// Asks by UDP (or TCP) and gives the raw answer.
std::string exchange(int port, const std::string& packet, bool tcp = false) {
  const UniqueFd fd(::socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0));
  const timeval time_max{10, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &time_max, sizeof time_max);
  const sockaddr_in to = address_of("127.0.0.1", port);
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  std::string out = packet;
  if (tcp) out = std::string{static_cast<char>(packet.size() >> 8), static_cast<char>(packet.size())} + packet;
  REQUIRE(::send(fd.get(), out.data(), out.size(), 0) == static_cast<ssize_t>(out.size()));
  std::string in(65537, '\0');
  std::size_t got = 0;
  do {
    const ssize_t n = ::recv(fd.get(), in.data() + got, in.size() - got, 0);
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  } while (tcp && (got < 2 || got < 2u + static_cast<unsigned char>(in[0]) * 256u + static_cast<unsigned char>(in[1])));
  return in.substr(tcp ? 2 : 0, got - (tcp ? std::min<std::size_t>(2, got) : 0));
}

ZoneAnswer upstream_zone(const std::string& name, std::uint16_t type) {
  ZoneAnswer out;
  out.ours = true;
  if (name == "example.org" && type == kA)
    out.answer.answers.push_back(make_a(name, 60, 0x01020304));
  else
    out.answer.code = Code::name_error;
  return out;
}

}  // namespace

TEST_CASE("cluster names mean what the service discovery specification says") {
  const ZoneSource source = shop();
  const std::tuple<const char*, std::uint16_t, const char*> cases[] = {
      {"web.shop.svc.cluster.local", kA, "10.43.0.7"},
      {"web.shop.svc", kA, "10.43.0.7"},
      {"web.shop.svc.cluster.local", kAaaa, "empty"},
      {"none.shop.svc.cluster.local", kA, "no such name"},
      {"example.org.shop.svc.cluster.local", kA, "no such name"},
      {"shop.svc.cluster.local", kA, "empty"},
      {"cluster.local", kA, "empty"},
      {"db.shop.svc.cluster.local", kA, "10.42.0.5 10.42.0.6"},
      {"db-1.db.shop.svc.cluster.local", kA, "10.42.0.6"},
      {"db-2.db.shop.svc.cluster.local", kA, "no such name"},
      {"_http._tcp.web.shop.svc.cluster.local", kSrv, "srv:web"},
      {"_sql._tcp.db.shop.svc.cluster.local", kSrv, "srv:db-0 srv:db-1"},
      {"_sql._udp.db.shop.svc.cluster.local", kSrv, "no such name"},
      {"10-42-0-5.shop.pod.cluster.local", kA, "10.42.0.5"},
      {"7.0.43.10.in-addr.arpa", kPtr, "name:web"},
      {"9.0.43.10.in-addr.arpa", kPtr, "forward"},
      {"registry.caisson.internal", kA, "10.43.0.3"},
      {"far.shop.svc.cluster.local", kA, "name:example"},
      {"example.org", kA, "forward"},
  };
  for (const auto& [name, type, want] : cases) CHECK_MESSAGE(shown(resolve(source, name, type)) == want, name);
}

TEST_CASE("the server answers its own names, forwards others, completes aliases and keeps the asker's case") {
  auto upstream = Server::start({"127.0.0.1", 0, "/nonexistent"}, upstream_zone);
  REQUIRE(upstream.ok());
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  const std::string conf = (*dir).path() + "/resolv.conf";
  REQUIRE(write_file(conf, "search x\nnameserver 127.0.0.1:" + std::to_string((*upstream)->port()) + "\n").ok());
  const ZoneSource source = shop();
  auto server = Server::start({"127.0.0.1", 0, conf},
                              [&](const std::string& name, std::uint16_t type) { return resolve(source, name, type); });
  REQUIRE_MESSAGE(server.ok(), (server.ok() ? "" : server.error().message));
  const int port = (*server)->port();
  for (const bool tcp : {false, true}) {
    const auto own = parse_reply(exchange(port, make_query(7, "Web.Shop.SVC.cluster.local", kA), tcp));
    REQUIRE(own.ok());
    CHECK((*own).id == 7);
    CHECK((*own).answers.size() == 1);
    CHECK((*own).question.find("Shop") != std::string::npos);
    const auto forwarded = parse_reply(exchange(port, make_query(8, "eXample.org", kA), tcp));
    REQUIRE(forwarded.ok());
    REQUIRE((*forwarded).answers.size() == 1);
    CHECK((*forwarded).id == 8);
    CHECK((*forwarded).question.find("eXample") != std::string::npos);
    const auto again = parse_reply(exchange(port, make_query(9, "EXAMPLE.org", kA), tcp));
    REQUIRE(again.ok());
    CHECK((*again).question.find("EXAMPLE") != std::string::npos);
    const auto alias = parse_reply(exchange(port, make_query(10, "far.shop.svc.cluster.local", kA), tcp));
    REQUIRE(alias.ok());
    REQUIRE((*alias).answers.size() == 2);
    CHECK((*alias).answers[0].type == kCname);
    CHECK((*alias).answers[1].name == "example.org");
    const auto missing = parse_reply(exchange(port, make_query(11, "nowhere.example", kA), tcp));
    REQUIRE(missing.ok());
    CHECK((*missing).code == Code::name_error);
  }
  REQUIRE(write_file(conf, "nameserver 127.0.0.1:1\n").ok());  // nobody there
}

TEST_CASE("a name of a stub domain goes to the domain's resolvers and not to the host's") {
  auto stub = Server::start({"127.0.0.1", 0, "/nonexistent"}, upstream_zone);
  REQUIRE(stub.ok());
  auto server = Server::start({"127.0.0.1", 0, "/nonexistent"}, [&](const std::string& name, std::uint16_t) {
    ZoneAnswer out;
    if (name == "example.org") out.resolvers = {"127.0.0.1:" + std::to_string((*stub)->port())};
    return out;
  });
  REQUIRE(server.ok());
  for (const bool tcp : {false, true}) {
    const auto answered = parse_reply(exchange((*server)->port(), make_query(1, "example.org", kA), tcp));
    REQUIRE(answered.ok());
    CHECK(answered->answers.size() == 1);
    const auto other = parse_reply(exchange((*server)->port(), make_query(2, "example.net", kA), tcp));
    REQUIRE(other.ok());
    CHECK(other->code == Code::server_failure);
  }
}

TEST_CASE("without a resolver a foreign name is a server failure, not silence") {
  auto server =
      Server::start({"127.0.0.1", 0, "/nonexistent"}, [](const std::string&, std::uint16_t) { return ZoneAnswer{}; });
  REQUIRE(server.ok());
  const auto reply = parse_reply(exchange((*server)->port(), make_query(1, "example.org", kA)));
  REQUIRE(reply.ok());
  CHECK((*reply).code == Code::server_failure);
}

TEST_CASE("an answer too large for UDP is cut with the TC bit and whole by TCP") {
  auto server = Server::start({"127.0.0.1", 0, "/nonexistent"}, [](const std::string& name, std::uint16_t) {
    ZoneAnswer out;
    out.ours = true;
    for (std::uint32_t i = 0; i < 100; ++i) out.answer.answers.push_back(make_a(name, 5, i));
    return out;
  });
  REQUIRE(server.ok());
  const std::string query = make_query(1, "many.example", kA);
  const auto cut = parse_reply(exchange((*server)->port(), query));
  REQUIRE(cut.ok());
  CHECK((*cut).truncated);
  const auto whole = parse_reply(exchange((*server)->port(), query, true));
  REQUIRE(whole.ok());
  CHECK((*whole).answers.size() == 100);
}

TEST_CASE("malformed messages are refused, whatever their bytes") {
  const std::string good = make_query(1, "web.shop.svc.cluster.local", kA);
  for (std::size_t size = 0; size < good.size(); ++size) CHECK_FALSE(parse_query(good.substr(0, size)).ok());
  std::string loop = good.substr(0, 12) + "\xc0\x0c" + std::string("\0\1\0\1", 4);
  CHECK_FALSE(parse_query(loop).ok());
  std::uint64_t seed = random_u64();
  INFO("seed ", seed);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = good;
    for (int change = 0; change < 4; ++change) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      bytes[(seed >> 33) % bytes.size()] = static_cast<char>(seed >> 56);
    }
    (void)parse_query(bytes).ok();
    (void)parse_reply(bytes).ok();
    (void)make_error(bytes, Code::format_error);
  }
}
