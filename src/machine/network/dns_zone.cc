// SPDX-License-Identifier: Apache-2.0
// See dns_zone.h.
#include "machine/network/dns_zone.h"

#include "core/base/text.h"
#include "machine/network/endpoints.h"
#include "machine/network/netlink.h"

namespace caisson::network::dns {
namespace {

using kube::Object;
using kube::ObjectKey;

constexpr std::uint32_t kTtl = 5;  // seconds, as CoreDNS's kubernetes plugin

class Resolver {
 public:
  Resolver(const ZoneSource& source, const std::string& name, std::uint16_t type)
      : source_(source), name_(name), type_(type) {}

  ZoneAnswer run() {
    out_.ours = true;
    out_.answer.authoritative = true;
    if (name_ == "registry.caisson.internal" && !source_.registry_address.empty()) {
      add_a(source_.registry_address);
    } else if (const auto labels = cluster_labels()) {
      exists_ = resolve_labels(*labels);
      if (!exists_) out_.answer.code = Code::name_error;
    } else if (name_.ends_with(".in-addr.arpa")) {
      resolve_reverse();
    } else {
      out_.ours = false;
    }
    if (out_.ours && out_.answer.answers.empty()) out_.answer.authority.push_back(make_soa(source_.domain, kTtl));
    return std::move(out_);
  }

 private:
  // "web.shop.svc.cluster.local" and "web.shop.svc" are {web, shop, svc}.
  std::optional<std::vector<std::string>> cluster_labels() const {
    std::string_view rest = name_;
    if (rest == source_.domain) return std::vector<std::string>{};
    if (rest.ends_with("." + source_.domain))
      rest.remove_suffix(source_.domain.size() + 1);
    else if (!rest.ends_with(".svc"))
      return std::nullopt;
    std::vector<std::string> out;
    for (const std::string_view label : split(rest, '.')) out.emplace_back(label);
    return out;
  }

  bool resolve_labels(const std::vector<std::string>& labels) {
    const std::size_t n = labels.size();
    if (n == 0) return true;
    if (labels[n - 1] == "pod") return resolve_pod(labels);
    if (labels[n - 1] != "svc") return false;
    if (n <= 2) return true;  // "svc" and "NAMESPACE.svc" are there and empty
    const ObjectKey key{labels[n - 2], labels[n - 3]};
    const auto service = source_.service(key);
    if (!service) return false;
    const std::string base = key.name + "." + key.ns + ".svc" + suffix();
    if (n == 3) return resolve_service(*service, key);
    if (n == 4 && (labels[0] == "_tcp" || labels[0] == "_udp")) return true;
    if (n == 4) return resolve_host(key, labels[0]);
    if (n == 5 && labels[0].starts_with("_") && labels[1].starts_with("_"))
      return resolve_port(*service, key, labels[0].substr(1), labels[1].substr(1), base);
    return false;
  }

  std::string suffix() const { return name_.ends_with("." + source_.domain) ? "." + source_.domain : ""; }

  // IP-with-dashes.NAMESPACE.pod: the address itself, as CoreDNS's "pods insecure".
  bool resolve_pod(const std::vector<std::string>& labels) {
    if (labels.size() != 3) return labels.size() < 3;
    const auto address = parse_ipv4(replace_all(labels[0], "-", "."));
    if (!address.ok()) return false;
    if (type_ == kA || type_ == kAny) out_.answer.answers.push_back(make_a(name_, kTtl, *address));
    return true;
  }

  bool resolve_service(const Object& service, const ObjectKey& key) {
    if (service.spec()["type"].as_string() == "ExternalName") {
      std::string target = to_lower(service.spec()["externalName"].as_string());
      if (target.ends_with(".")) target.pop_back();
      if (target.empty()) return false;
      out_.answer.answers.push_back(make_name(name_, kCname, kTtl, target));
      if (type_ != kCname) out_.alias = target;
    } else if (is_headless(service)) {
      for (const Endpoint& endpoint : ready_endpoints(source_.slices(key))) add_a(endpoint.ip);
    } else {
      add_a(service.spec()["clusterIP"].str());
    }
    return true;
  }

  bool resolve_host(const ObjectKey& key, const std::string& host) {
    bool found = false;
    for (const Endpoint& endpoint : ready_endpoints(source_.slices(key))) {
      if (host_of(endpoint) != host) continue;
      add_a(endpoint.ip);
      found = true;
    }
    return found;
  }

  bool resolve_port(const Object& service, const ObjectKey& key, const std::string& port_name,
                    const std::string& protocol, const std::string& base) {
    bool found = false;
    for (const ServicePort& port : service_ports(service)) {
      if (port.name != port_name || port.protocol != protocol) continue;
      found = true;
      if (type_ != kSrv && type_ != kAny) continue;
      if (!is_headless(service)) {
        out_.answer.answers.push_back(make_srv(name_, kTtl, port.port, base));
        add_additional(base, service.spec()["clusterIP"].str());
        continue;
      }
      const std::vector<Backend> backends = ready_backends(source_.slices(key), port);
      for (const Endpoint& endpoint : ready_endpoints(source_.slices(key))) {
        const std::string target = host_of(endpoint) + "." + base;
        for (const Backend& backend : backends)
          if (backend.ip == endpoint.ip) out_.answer.answers.push_back(make_srv(name_, kTtl, backend.port, target));
        add_additional(target, endpoint.ip);
      }
    }
    return found;
  }

  void resolve_reverse() {
    const auto labels = split(name_, '.');
    out_.ours = false;
    if (labels.size() != 6) return;
    const std::string ip =
        join({std::string(labels[3]), std::string(labels[2]), std::string(labels[1]), std::string(labels[0])}, ".");
    const auto service = source_.service_by_ip(ip);
    if (!service) return;
    out_.ours = true;
    if (type_ != kPtr && type_ != kAny) return;
    const std::string target = service->name() + "." + service->ns() + ".svc." + source_.domain;
    out_.answer.answers.push_back(make_name(name_, kPtr, kTtl, target));
  }

  static std::string host_of(const Endpoint& endpoint) {
    return endpoint.hostname.empty() ? replace_all(endpoint.ip, ".", "-") : to_lower(endpoint.hostname);
  }
  void add_a(const std::string& ip) {
    const auto address = parse_ipv4(ip);
    if (address.ok() && (type_ == kA || type_ == kAny)) out_.answer.answers.push_back(make_a(name_, kTtl, *address));
  }
  void add_additional(const std::string& name, const std::string& ip) {
    const auto address = parse_ipv4(ip);
    if (address.ok()) out_.answer.additional.push_back(make_a(name, kTtl, *address));
  }

  const ZoneSource& source_;
  const std::string& name_;
  const std::uint16_t type_;
  bool exists_ = true;
  ZoneAnswer out_;
};

}  // namespace

ZoneAnswer resolve(const ZoneSource& source, const std::string& name, std::uint16_t type) {
  return Resolver(source, name, type).run();
}

}  // namespace caisson::network::dns
