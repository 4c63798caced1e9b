// SPDX-License-Identifier: Apache-2.0
// NetworkPolicies and PodDisruptionBudgets (pkg/apis/networking/validation, pkg/apis/policy/validation of 1.33).
#include <arpa/inet.h>

#include <array>

#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"
#include "core/base/text.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;

struct Network {
  std::array<unsigned char, 16> address{};
  int family = 0, bits = 0;
};

std::optional<Network> parse_network(std::string_view text) {
  if (!is_cidr(text)) return std::nullopt;
  Network network;
  const std::size_t slash = text.find('/');
  network.family = text.find(':') == std::string_view::npos ? AF_INET : AF_INET6;
  inet_pton(network.family, std::string(text.substr(0, slash)).c_str(), network.address.data());
  network.bits = static_cast<int>(parse_int(text.substr(slash + 1)).value_or(0));
  return network;
}

bool strictly_inside(const Network& inner, const Network& outer) {
  if (inner.family != outer.family || inner.bits <= outer.bits) return false;
  for (int bit = 0; bit < outer.bits; ++bit) {
    const auto byte = static_cast<std::size_t>(bit / 8);
    if (((inner.address[byte] ^ outer.address[byte]) >> (7 - bit % 8)) & 1) return false;
  }
  return true;
}

void check_ip_block(const Value& block, const std::string& path, Errors& out) {
  constexpr std::string_view kWords = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
  if (block["cidr"].as_string().empty()) {
    out.push_back(required_value(path + ".cidr"));
    return;
  }
  const auto outer = parse_network(block["cidr"].as_string());
  if (!outer) {
    out.push_back(invalid_value(path + ".cidr", block["cidr"], std::string(kWords)));
    return;
  }
  for (std::size_t i = 0; i < block["except"].size(); ++i) {
    const std::string where = path + ".except[" + std::to_string(i) + "]";
    const auto inner = parse_network(block["except"][i].as_string());
    if (!inner)
      out.push_back(invalid_value(where, block["except"][i], std::string(kWords)));
    else if (!strictly_inside(*inner, *outer))
      out.push_back(invalid_value(where, block["except"][i], "must be a strict subset of `cidr`"));
  }
}

void check_peer(const Value& peer, const std::string& path, Errors& out) {
  int peers = 0;
  for (const char* selector : {"podSelector", "namespaceSelector"}) {
    if (!peer[selector].is_map()) continue;
    ++peers;
    check_label_selector(peer[selector], path + "." + selector, out);
  }
  const bool block = peer["ipBlock"].is_map();
  if (block) check_ip_block(peer["ipBlock"], path + ".ipBlock", out);
  if (peers == 0 && !block) out.push_back(required_value(path, "must specify a peer"));
  if (peers > 0 && block) out.push_back(forbidden_value(path, "may not specify both ipBlock and another peer"));
}

void check_port(const Value& entry, const std::string& path, Errors& out) {
  const Value &port = entry["port"], &end = entry["endPort"];
  constexpr std::string_view kRange = "must be between 1 and 65535, inclusive";
  const auto outside = [](const Value& number) { return number.as_int() < 1 || number.as_int() > 65535; };
  if (port.is_null()) {
    if (!end.is_null())
      out.push_back(invalid_value(path + ".endPort", end, "may not be specified when `port` is not specified"));
  } else if (port.is_int()) {
    if (outside(port)) out.push_back(invalid_value(path + ".port", port, std::string(kRange)));
    if (end.is_null()) return;
    if (end.as_int() < port.as_int())
      out.push_back(invalid_value(path + ".endPort", port, "must be greater than or equal to `port`"));
    if (outside(end)) out.push_back(invalid_value(path + ".endPort", end, std::string(kRange)));
  } else {
    if (!end.is_null())
      out.push_back(invalid_value(path + ".endPort", end, "may not be specified when `port` is non-numeric"));
    for (const std::string& why : check_port_name(port.as_string()))
      out.push_back(invalid_value(path + ".port", port, why));
  }
}

}  // namespace

void check_network_policy(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  check_label_selector(spec["podSelector"], "spec.podSelector", out);
  for (const auto& [direction, peers] :
       {std::pair<std::string_view, std::string_view>{"ingress", "from"}, {"egress", "to"}}) {
    for (std::size_t i = 0; i < spec[direction].size(); ++i) {
      const Value& rule = spec[direction][i];
      const std::string path = "spec." + std::string(direction) + "[" + std::to_string(i) + "]";
      for (std::size_t p = 0; p < rule["ports"].size(); ++p)
        check_port(rule["ports"][p], path + ".ports[" + std::to_string(p) + "]", out);
      for (std::size_t p = 0; p < rule[peers].size(); ++p)
        check_peer(rule[peers][p], path + "." + std::string(peers) + "[" + std::to_string(p) + "]", out);
    }
  }
  const Value& types = spec["policyTypes"];
  if (types.size() > 2) {
    out.push_back(invalid_value("spec.policyTypes",
                                go_value("[]networking.PolicyType{" + std::to_string(types.size()) + "}"),
                                "may not specify more than two policyTypes"));
    return;
  }
  for (std::size_t i = 0; i < types.size(); ++i)
    if (types[i].as_string() != "Ingress" && types[i].as_string() != "Egress")
      out.push_back(unsupported_value("spec.policyTypes[" + std::to_string(i) + "]", types[i], {"Ingress", "Egress"}));
}

void check_count_or_percent(const Value& value, const std::string& path, Errors& out) {
  if (value.is_int() && value.as_int() < 0)
    out.push_back(invalid_value(path, value, "must be greater than or equal to 0"));
  if (!value.is_string()) return;
  const std::string_view text = value.as_string();
  const Value shown = go_value("intstr.IntOrString{Type:1, IntVal:0, StrVal:\"" + std::string(text) + "\"}");
  const bool percent = text.size() > 1 && text.back() == '%' &&
                       text.substr(0, text.size() - 1).find_first_not_of("0123456789") == std::string_view::npos;
  if (!percent)
    out.push_back(
        invalid_value(path, shown,
                      "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  "
                      "or '93%', regex used for validation is '[0-9]+%')"));
}

void check_percent_at_most_100(const Value& value, const std::string& path, Errors& out) {
  const std::string_view text = value.as_string();
  if (!text.ends_with('%')) return;
  const auto number = parse_int(text.substr(0, text.size() - 1));
  if (number && *number > 100)
    out.push_back(invalid_value(path,
                                go_value("intstr.IntOrString{Type:1, IntVal:0, StrVal:\"" + std::string(text) + "\"}"),
                                "must not be greater than 100%"));
}

void check_disruption_budget(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  if (!spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null())
    out.push_back(invalid_value("spec", spec, "minAvailable and maxUnavailable cannot be both set"));
  for (const char* member : {"minAvailable", "maxUnavailable"}) {
    if (spec[member].is_null()) continue;
    check_count_or_percent(spec[member], std::string("spec.") + member, out);
    check_percent_at_most_100(spec[member], std::string("spec.") + member, out);
  }
  check_label_selector(spec["selector"], "spec.selector", out);
}

}  // namespace caisson::schema
