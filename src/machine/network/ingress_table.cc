// SPDX-License-Identifier: Apache-2.0
// See ingress_table.h.
#include "machine/network/ingress_table.h"

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "machine/network/endpoints.h"

namespace caisson::network {
namespace {

using kube::Object;
using kube::ObjectKey;

constexpr std::string_view kAnnotationPrefix = "nginx.ingress.kubernetes.io/";

// Annotations that are handed to nginx as an option of the rule, under a shorter name.
const std::map<std::string_view, std::string_view> kPassedOn = {
    {"rewrite-target", "rewrite"},
    {"proxy-connect-timeout", "connect_timeout"},
    {"proxy-read-timeout", "read_timeout"},
    {"proxy-send-timeout", "send_timeout"},
    {"cors-allow-origin", "cors_origin"},
    {"cors-allow-methods", "cors_methods"},
    {"cors-allow-headers", "cors_headers"},
    {"cors-allow-credentials", "cors_credentials"},
    {"cors-expose-headers", "cors_expose"},
    {"cors-max-age", "cors_max_age"},
    {"enable-cors", "cors"},
};
const std::set<std::string_view> kRead = {"ssl-redirect", "force-ssl-redirect", "proxy-body-size", "use-regex",
                                          "backend-protocol"};

std::string_view annotation(const Object& ingress, std::string_view name) {
  return ingress.annotation(std::string(kAnnotationPrefix) + std::string(name));
}

class Builder {
 public:
  explicit Builder(const IngressWorld& world) : world_(world) {}
  void add(const Object& ingress);
  IngressTable finish();

 private:
  void warn(const Object& ingress, std::string text) { out_.warnings[ingress.key()].push_back(std::move(text)); }
  std::string options_of(const Object& ingress);
  std::string backend(const Object& ingress, const Value& backend);
  void rule(const Object& ingress, std::string_view host, const Value& path, bool has_tls, const std::string& options);
  void certificates(const Object& ingress);

  const IngressWorld& world_;
  IngressTable out_;
  std::map<std::string, std::string> backends_;  // id → line
  std::set<std::string> rules_;                  // host, kind, path: the oldest Ingress wins
  std::map<std::string, std::string> by_host_;   // certificate lines
};

std::string Builder::options_of(const Object& ingress) {
  std::string out;
  for (const auto& [key, value] : ingress.metadata()["annotations"].entries()) {
    if (!key.starts_with(kAnnotationPrefix)) continue;
    const std::string_view name = key.substr(kAnnotationPrefix.size());
    if (const auto known = kPassedOn.find(name); known != kPassedOn.end())
      out += "\t" + std::string(known->second) + "=" + percent_encode(value.as_string());
    else if (!kRead.contains(name))
      warn(ingress, "annotation " + std::string(key) + " is not supported; it has no effect");
  }
  std::uint64_t body_max = 1 << 20;  // ingress-nginx's default
  if (const auto size = annotation(ingress, "proxy-body-size"); !size.empty()) {
    if (const auto parsed = parse_nginx_size(size))
      body_max = *parsed;
    else
      warn(ingress, "annotation proxy-body-size: \"" + std::string(size) + "\" is not a size such as 8m");
  }
  return out + "\tbody_max=" + std::to_string(body_max);
}

std::string Builder::backend(const Object& ingress, const Value& backend) {
  const Value& wanted = backend["service"];
  const ObjectKey key{ingress.ns(), wanted["name"].str()};
  const std::string port_text =
      wanted["port"]["name"].is_string() ? wanted["port"]["name"].str() : wanted["port"]["number"].scalar_text();
  const std::string scheme = equals_ignoring_case(annotation(ingress, "backend-protocol"), "HTTPS") ? "https" : "http";
  const std::string id = key.str() + ":" + port_text + "/" + scheme;
  if (backends_.contains(id)) return id;
  std::string& line = backends_[id];
  line = "backend\t" + id + "\t" + scheme + "\t" + percent_encode(key.str() + ":" + port_text);
  const auto service = world_.service(key);
  if (!service) {
    warn(ingress, "service " + key.str() + " does not exist");
    return id;
  }
  for (const ServicePort& port : service_ports(*service)) {
    if (port.name != port_text && std::to_string(port.port) != port_text) continue;
    for (const Backend& one : ready_backends(world_.slices(key), port)) {
      line += "\t" + one.str();
      out_.addresses.insert(one.ip);
    }
    return id;
  }
  warn(ingress, "service " + key.str() + " has no port " + port_text);
  return id;
}

void Builder::rule(const Object& ingress, std::string_view host, const Value& path, bool has_tls,
                   const std::string& options) {
  std::string text = path["path"].str();
  if (text.empty()) text = "/";
  const bool regex = annotation(ingress, "use-regex") == "true" || !annotation(ingress, "rewrite-target").empty();
  std::string kind = path["pathType"].as_string() == "Exact" ? "exact" : "prefix";
  if (regex && kind != "exact") kind = "regex";
  const std::string shown_host = host.empty() ? "*" : to_lower(host);
  if (!rules_.insert(shown_host + " " + kind + " " + text).second) {
    warn(ingress, "path " + text + " of host " + shown_host + " belongs to an older Ingress already");
    return;
  }
  const bool redirect = annotation(ingress, "force-ssl-redirect") == "true" ||
                        (has_tls && annotation(ingress, "ssl-redirect") != "false");
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
    for (const Value& path : rule_value["http"]["paths"].items()) {
      if (path["backend"]["service"].is_null())
        warn(ingress, "a backend that is no Service is not supported");
      else
        rule(ingress, host, path, tls_hosts.contains(host), options);
    }
  }
  if (const Value& other = ingress.spec()["defaultBackend"]; !other["service"].is_null())
    rule(ingress, "", Value{{"path", "/"}, {"backend", other}}, false, options);
}

IngressTable Builder::finish() {
  std::string backends;
  for (const auto& [id, line] : backends_) backends += line + "\n";
  out_.routes = backends + out_.routes;
  for (const auto& [host, pair] : by_host_) out_.certificates += host + "\t" + pair + "\n";
  return std::move(out_);
}

}  // namespace

IngressTable make_ingress_table(const std::vector<Object>& ingresses, const IngressWorld& world) {
  std::vector<Object> sorted = ingresses;  // ingress-nginx: of two rules for one path the older Ingress wins
  std::stable_sort(sorted.begin(), sorted.end(), [](const Object& a, const Object& b) {
    const auto when = [](const Object& o) { return o.metadata()["creationTimestamp"].str(); };
    return std::make_pair(when(a), a.key()) < std::make_pair(when(b), b.key());
  });
  Builder builder(world);
  for (const Object& ingress : sorted) builder.add(ingress);
  return builder.finish();
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
