// SPDX-License-Identifier: Apache-2.0
// See ingress_table.h.
#include "machine/network/ingress_table.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "machine/network/backend_table.h"
#include "machine/network/endpoints.h"
#include "machine/network/ingress_options.h"
#include "machine/network/route_table.h"

namespace caisson::network {
namespace {

using kube::Object;
using kube::ObjectKey;

class Builder {
 public:
  explicit Builder(const IngressWorld& world) : world_(world), backends_(world) {}
  void add(const Object& ingress);
  void canary(const Object& ingress);  // after all that are none
  IngressTable finish(const std::vector<Object>& routes);

 private:
  void warn(const Object& ingress, std::string text) {
    auto& all = out_.warnings[ingress.key()];
    if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(std::move(text));
  }
  std::string options_of(const Object& ingress);
  std::string scheme_of(const Object& ingress);
  std::string backend(const Object& ingress, const Value& backend);
  void rule(const Object& ingress, std::string_view host, const Value& path, bool has_tls, const std::string& options);
  void certificates(const Object& ingress);

  const IngressWorld& world_;
  IngressTable out_;
  BackendTable backends_;
  std::set<std::string> rules_;  // host, kind, path: the oldest Ingress wins
  std::set<std::string> paths_;  // host, path
  std::string canaries_;
  std::map<std::string, std::string> by_host_;  // certificate lines
};

std::string Builder::options_of(const Object& ingress) {
  RuleOptions read = rule_options(ingress, world_);
  for (auto& warning : read.warnings) warn(ingress, std::move(warning));
  out_.user_files.merge(read.user_files);
  if (!read.firewall.empty()) out_.firewalls.insert(read.firewall);
  if (const auto other = nginx_annotation(ingress, "default-backend"); !other.empty()) {
    const auto service = world_.service({ingress.ns(), std::string(other)});
    const auto ports = service ? service_ports(*service) : std::vector<ServicePort>{};
    if (ports.empty()) {
      warn(ingress, "service " + std::string(other) + " of default-backend does not exist, or has no port");
    } else {
      const Value wanted{{"service", Value{{"name", other}, {"port", Value{{"number", ports[0].port}}}}}};
      read.text += "\tfallback=" + percent_encode(backend(ingress, wanted));
    }
  }
  return read.text;
}

// ingress-nginx's protocols, as the schemes by which nginx passes a request on; FCGI is not among them.
std::string Builder::scheme_of(const Object& ingress) {
  const std::string protocol = to_lower(nginx_annotation(ingress, "backend-protocol"));
  if (protocol.empty() || protocol == "http" || protocol == "auto_http") return "http";
  if (protocol == "https" || protocol == "grpc" || protocol == "grpcs") return protocol;
  warn(ingress, "annotation backend-protocol: \"" + protocol + "\" is not supported; HTTP is spoken");
  return "http";
}

std::string Builder::backend(const Object& ingress, const Value& backend) {
  const Value& wanted = backend["service"];
  const ObjectKey key{ingress.ns(), wanted["name"].str()};
  const std::string port_text =
      wanted["port"]["name"].is_string() ? wanted["port"]["name"].str() : wanted["port"]["number"].scalar_text();
  std::vector<std::string> warnings;
  const std::string id = backends_.add({key, port_text, scheme_of(ingress)}, warnings);
  for (auto& text : warnings) warn(ingress, std::move(text));
  return id;
}

void Builder::rule(const Object& ingress, std::string_view host, const Value& path, bool has_tls,
                   const std::string& options) {
  std::string text = path["path"].str();
  if (text.empty()) text = "/";
  const bool regex =
      nginx_annotation(ingress, "use-regex") == "true" || !nginx_annotation(ingress, "rewrite-target").empty();
  std::string kind = path["pathType"].as_string() == "Exact" ? "exact" : "prefix";
  if (regex && kind != "exact") kind = "regex";
  const std::string shown_host = host.empty() ? "*" : to_lower(host);
  if (!rules_.insert(shown_host + " " + kind + " " + text).second) {
    warn(ingress, "path " + text + " of host " + shown_host + " belongs to an older Ingress already");
    return;
  }
  paths_.insert(shown_host + " " + text);
  const bool redirect = nginx_annotation(ingress, "force-ssl-redirect") == "true" ||
                        (has_tls && nginx_annotation(ingress, "ssl-redirect") != "false");
  out_.routes += "rule\t" + shown_host + "\t" + kind + "\t" + percent_encode(text) + "\t" +
                 backend(ingress, path["backend"]) + options + (redirect ? "\tredirect=1" : "") + "\n";
}

void Builder::certificates(const Object& ingress) {
  for (const Value& tls : ingress.spec()["tls"].items()) {
    const ObjectKey key{ingress.ns(), tls["secretName"].str()};
    if (key.name.empty()) continue;  // the default certificate
    const auto secret = world_.secret(key);
    if (!secret || (*secret)["data"]["tls.crt"].as_string().empty() ||
        (*secret)["data"]["tls.key"].as_string().empty()) {
      warn(ingress, "secret " + key.str() + (secret ? " lacks tls.crt or tls.key" : " does not exist") +
                        "; its hosts get the default certificate");
      continue;
    }
    for (const Value& host : tls["hosts"].items())
      by_host_.try_emplace(to_lower(host.as_string()),
                           (*secret)["data"]["tls.crt"].str() + "\t" + (*secret)["data"]["tls.key"].str());
  }
}

void Builder::add(const Object& ingress) {
  const std::string options = options_of(ingress);
  std::set<std::string> tls_hosts;
  for (const Value& tls : ingress.spec()["tls"].items())
    for (const Value& host : tls["hosts"].items()) tls_hosts.insert(host.str());
  certificates(ingress);
  for (const Value& rule_value : ingress.spec()["rules"].items()) {
    const std::string host = rule_value["host"].str();
    std::vector<std::string> hosts{host};
    for (const auto alias : split(nginx_annotation(ingress, "server-alias"), ','))
      if (!trim(alias).empty() && !host.empty()) hosts.emplace_back(trim(alias));
    for (const Value& path : rule_value["http"]["paths"].items()) {
      if (path["backend"]["service"].is_null()) {
        warn(ingress, "a backend that is no Service is not supported");
        continue;
      }
      for (const auto& name : hosts) rule(ingress, name, path, tls_hosts.contains(name), options);
    }
    if (nginx_annotation(ingress, "from-to-www-redirect") == "true" && !host.empty()) {
      const std::string other = host.starts_with("www.") ? host.substr(4) : "www." + host;
      if (rules_.insert(other + " prefix /").second)
        out_.routes += "rule\t" + other + "\tprefix\t%2F\t-\tto_host=" + percent_encode(host) + "\n";
    }
  }
  if (const Value& other = ingress.spec()["defaultBackend"]; !other["service"].is_null())
    rule(ingress, "", Value{{"path", "/"}, {"backend", other}}, false, options);
}

// A canary has no rule of its own: it takes requests off the rule of its host and path.
void Builder::canary(const Object& ingress) {
  for (const Value& rule_value : ingress.spec()["rules"].items()) {
    const std::string host = rule_value["host"].as_string().empty() ? "*" : to_lower(rule_value["host"].as_string());
    for (const Value& path : rule_value["http"]["paths"].items()) {
      const std::string text = path["path"].as_string().empty() ? "/" : path["path"].str();
      if (!paths_.contains(host + " " + text)) {
        warn(ingress, "canary: no other Ingress has path " + text + " of host " + host);
      } else if (!path["backend"]["service"].is_null()) {
        canaries_ += "canary\t" + host + "\t" + percent_encode(text) + "\t" + backend(ingress, path["backend"]) +
                     canary_options(ingress) + "\n";
      }
    }
  }
}

IngressTable Builder::finish(const std::vector<Object>& routes) {
  RouteTable more = make_route_table(routes, world_, backends_);
  out_.routes += canaries_ + more.lines;
  out_.backends = backends_.take();
  out_.user_files.merge(more.user_files);
  out_.route_warnings = std::move(more.warnings);
  by_host_.merge(more.certificates);
  for (const auto& [host, pair] : by_host_) out_.certificates += host + "\t" + pair + "\n";
  return std::move(out_);
}

}  // namespace

IngressTable make_ingress_table(const std::vector<Object>& ingresses, const IngressWorld& world,
                                const std::vector<Object>& routes) {
  std::vector<Object> sorted = ingresses;  // ingress-nginx: of two rules for one path the older Ingress wins
  std::stable_sort(sorted.begin(), sorted.end(), [](const Object& a, const Object& b) {
    const auto when = [](const Object& o) { return o.metadata()["creationTimestamp"].str(); };
    return std::make_pair(when(a), a.key()) < std::make_pair(when(b), b.key());
  });
  Builder builder(world);
  const auto is_canary = [](const Object& o) { return nginx_annotation(o, "canary") == "true"; };
  for (const Object& ingress : sorted)
    if (!is_canary(ingress)) builder.add(ingress);
  for (const Object& ingress : sorted)
    if (is_canary(ingress)) builder.canary(ingress);
  return builder.finish(routes);
}

bool is_of_class(const Object& ingress, std::string_view class_name) {
  std::string_view named = ingress.spec()["ingressClassName"].as_string();
  if (named.empty()) named = ingress.annotation("kubernetes.io/ingress.class");
  return named.empty() || named == class_name;
}

std::optional<std::uint64_t> parse_nginx_size(std::string_view text) {
  std::uint64_t unit = 1;
  if (text.empty()) return std::nullopt;
  switch (text.back()) {
    case 'k':
    case 'K':
      unit = 1u << 10;
      break;
    case 'm':
    case 'M':
      unit = 1u << 20;
      break;
    case 'g':
    case 'G':
      unit = 1u << 30;
      break;
    default:
      break;
  }
  const auto number = parse_int(unit == 1 ? text : text.substr(0, text.size() - 1));
  if (!number || *number < 0 || *number > (1 << 30)) return std::nullopt;
  return static_cast<std::uint64_t>(*number) * unit;
}

}  // namespace caisson::network
