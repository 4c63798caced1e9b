// SPDX-License-Identifier: Apache-2.0
#include "machine/network/dns_config.h"

#include <doctest/doctest.h>

#include "machine/network/netlink.h"

using namespace caisson;
using namespace caisson::network;
using namespace caisson::network::dns;

namespace {

Config corefile(const char* text) {
  return read_config(Value{{"Corefile", text}}, {});
}
std::string shown(const Config& config, const std::string& name, std::uint16_t type = kA) {
  const Lookup found = look_up(config, name, type);
  std::string out = found.meant == name ? "" : "(" + found.meant + ") ";
  if (!found.answer.ours) {
    out += "ask";
    for (const auto& one : found.answer.resolvers) out += " " + one;
    return out;
  }
  for (const Record& record : found.answer.answer.answers)
    out += (type == kPtr ? record.data.substr(1, static_cast<unsigned char>(record.data[0]))
                         : format_ipv4(read_u32(record.data, 0))) +
           " ";
  return out;
}

}  // namespace

TEST_CASE(
    "a Corefile's hosts, stub domains, resolvers and rewrites have their meaning, and nothing else is a problem") {
  const Config config = corefile(R"(.:53 {
    errors
    health {
       lameduck 5s
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
    }
    hosts {
       10.0.0.9 Printer.lan printer  # a comment
       10.0.0.10 printer.lan
       fe80::1 six.lan
       ttl 60
       fallthrough
    }
    rewrite name exact old.example web.shop.svc.cluster.local
    rewrite name also.example new.example.
    forward . 9.9.9.9 1.1.1.1 {
       max_concurrent 1000
    }
    cache 30
    loop
}
corp.example:53 lab.example {
    forward . 10.1.0.1:5353
}
)");
  CHECK(config.problems.empty());
  CHECK(shown(config, "printer.lan") == "10.0.0.9 10.0.0.10 ");
  CHECK(shown(config, "printer.lan", kAaaa) == "");
  CHECK(shown(config, "9.0.0.10.in-addr.arpa", kPtr) == "printer ");
  CHECK(shown(config, "six.lan") == "ask 9.9.9.9 1.1.1.1");
  CHECK(shown(config, "db.corp.example") == "ask 10.1.0.1:5353");
  CHECK(shown(config, "lab.example") == "ask 10.1.0.1:5353");
  CHECK(shown(config, "notcorp.example") == "ask 9.9.9.9 1.1.1.1");
  CHECK(shown(config, "old.example").starts_with("(web.shop.svc.cluster.local) "));
  CHECK(shown(config, "also.example") == "(new.example) ask 9.9.9.9 1.1.1.1");
}

TEST_CASE("the host's resolvers stay where the Corefile says so, and without one") {
  CHECK(shown(corefile(". {\n forward . /etc/resolv.conf\n}\n"), "example.org") == "ask");
  CHECK(shown(read_config({}, {}), "example.org") == "ask");
}

TEST_CASE("k3s' NodeHosts and custom blocks count as well") {
  const Config config = read_config(Value{{"NodeHosts", "192.168.1.2 node1\n"}},
                                    Value{{"a.server", "acme.local {\n forward . 10.9.9.9\n}\n"},
                                          {"b.override", "hosts {\n 10.8.8.8 eight.lan\n}\n"},
                                          {"README", "not read"}});
  CHECK(config.problems.empty());
  CHECK(shown(config, "node1") == "192.168.1.2 ");
  CHECK(shown(config, "x.acme.local") == "ask 10.9.9.9");
  CHECK(shown(config, "eight.lan") == "10.8.8.8 ");
}

TEST_CASE("what has no effect is named, and broken text is no end of the rest") {
  const auto problems = [](const char* text) {
    std::string out;
    for (const auto& one : corefile(text).problems) out += one + "; ";
    return out;
  };
  CHECK(problems(". {\n template ANY ANY {\n answer x\n }\n forward . 1.1.1.1\n}\n") ==
        "Corefile: plugin template is not supported; it has no effect; ");
  CHECK(problems(". {\n forward . tls://9.9.9.9\n}\n") ==
        "Corefile: forward: \"tls://9.9.9.9\" is no IPv4 address (with or without a port); ");
  CHECK(problems(". {\n rewrite name regex (.*)\\.x y\n}\n").find("only \"rewrite name [exact] FROM TO\"") !=
        std::string::npos);
  CHECK(problems("nonsense\n") == "Corefile: expected \"ZONE {\" instead of \"nonsense\"; ");
  CHECK(problems(". {\n hosts /etc/hosts {\n }\n}\n").find("a file is not read") != std::string::npos);
  CHECK(problems(". {\n hosts {\n x y\n }\n}\n") == "Corefile: hosts: \"x\" is no address; ");
  CHECK(problems(". {\n {\n}\n").find("a block without a name") != std::string::npos);
  CHECK(problems(". {\n forward .\n}\n") == "Corefile: forward needs a zone and a resolver; ");
}

TEST_CASE("blocks may be nested without end and never closed") {
  std::string text = ". {\n template {\n";
  for (int i = 0; i < 200'000; ++i) text += "{\n";
  CHECK(read_config(Value{{"Corefile", text}}, {}).problems.size() == 1);
  CHECK(read_config(Value{{"Corefile", std::string(2u << 20, '\n')}}, {}).problems.size() == 1);
}
