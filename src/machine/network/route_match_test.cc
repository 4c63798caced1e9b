// SPDX-License-Identifier: Apache-2.0
#include "machine/network/route_match.h"

#include <doctest/doctest.h>

using namespace caisson;
using namespace caisson::network;

namespace {

std::string expression(const std::string& rule) {
  const auto match = parse_route_match(rule);
  return match.ok() ? match->expression : "error: " + match.error().message;
}
std::vector<std::string> hosts(const std::string& rule) {
  const auto match = parse_route_match(rule);
  REQUIRE_MESSAGE(match.ok(), (match.ok() ? "" : match.error().message));
  return match->hosts;
}

}  // namespace

TEST_CASE("a match rule becomes an expression: and before or, not before both, parentheses first") {
  const struct {
    const char *rule, *want;
  } kCases[] = {
      {"Host(`A.example`)", "host:a.example"},
      {"Host(\"a.example\")", "host:a.example"},
      {"Path(`/a\\d`)", "path:%2Fa%5Cd"},
      {"Path(\"/a\\\"b\")", "path:%2Fa%22b"},
      {"Host(`a`) && PathPrefix(`/x`)", "& host:a prefix:%2Fx"},
      {"Host(`a`) || Host(`b`) && Method(`GET`)", "| host:a & host:b method:GET"},
      {"(Host(`a`) || Host(`b`)) && !Header(`X`, `1`)", "& | host:a host:b ! header:X:1"},
      {"!(Path(`/a`))&&!!Path(`/b`)", "& ! path:%2Fa ! ! path:%2Fb"},
      {"Host(`a`,`b`)", "| host:a host:b"},
      {"Method(`GET`, `POST`, `PUT`)", "| | method:GET method:POST method:PUT"},
      {"Query(`k`, `v`)", "query:k:v"},
      {"Query(`k=v`)", "query:k:v"},
      {"Query(`k`)", "query:k"},
      {"Headers(`X-A`, `b c`)", "header:X-A:b%20c"},
      {"HostRegexp(`^.+\\.example\\.com$`)", "host_regexp:%5E.%2B%5C.example%5C.com%24"},
      {"ClientIP(`10.0.0.0/8`)", "client:167772160-184549375"},
  };
  for (const auto& one : kCases) CHECK_MESSAGE(expression(one.rule) == one.want, one.rule);
}

TEST_CASE("a rule that can't be read says what was expected and where") {
  const struct {
    const char *rule, *want;
  } kCases[] = {
      {"", "error: expected a matcher such as Host(`…`) at the end"},
      {"Host('a')", "error: expected an argument in backticks or double quotes at \"'a')\""},
      {"Host(`a`", "error: expected \",\" or \")\" at the end"},
      {"Host(`a", "error: expected a closing ` at the end"},
      {"Host(`a`) Path(`/`)", "error: expected &&, || or the end at \"Path(`/`)\""},
      {"Host(`a`) & Path(`/`)", "error: expected &&, || or the end at \"& Path(`/`)\""},
      {"(Host(`a`)", "error: expected \")\" at the end"},
      {"HostSNI(`a`)", "error: there is no matcher HostSNI"},
      {"Header(`a`)", "error: Header takes 2 to 2 arguments"},
      {"ClientIP(`fc00::/7`)", "error: ClientIP: \"fc00::/7\" is no IPv4 address or range"},
      {"PathPrefix(`/{id:[0-9]+}`)", "error: PathPrefix: patterns in braces are version 2's; write PathRegexp(`…`)"},
  };
  for (const auto& one : kCases) CHECK_MESSAGE(expression(one.rule) == one.want, one.rule);
}

TEST_CASE("a rule from outside has limits") {
  CHECK(expression(std::string(9000, ' ')).find("longer than") != std::string::npos);
  CHECK(expression(std::string(100, '(') + "Path(`/`)").find("nested too deeply") != std::string::npos);
  CHECK(expression(std::string(100, '!') + "Path(`/`)").find("nested too deeply") != std::string::npos);
  std::string many = "Path(`/`)";
  for (int i = 0; i < 300; ++i) many += "||Path(`/`)";
  CHECK(expression(many).find("more than 200 matchers") != std::string::npos);
}

TEST_CASE("the hosts that a rule demands are known where one of them must hold") {
  CHECK(hosts("Host(`a`) && Path(`/x`)") == std::vector<std::string>{"a"});
  CHECK(hosts("Path(`/x`) && Host(`a`)") == std::vector<std::string>{"a"});
  CHECK(hosts("Host(`a`) || Host(`b`)") == std::vector<std::string>{"a", "b"});
  CHECK(hosts("Host(`a`) || Path(`/x`)").empty());
  CHECK(hosts("!Host(`a`)").empty());
  CHECK(hosts("Host(`*.a`)").empty());
  CHECK(parse_route_match("!Host(`a`) || Host(`*.b`)")->named_hosts == std::vector<std::string>{"a", "*.b"});
}
