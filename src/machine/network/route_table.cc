// SPDX-License-Identifier: Apache-2.0
// See route_table.h.
#include "machine/network/route_table.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "machine/network/endpoints.h"
#include "machine/network/route_match.h"
#include "machine/network/route_steps.h"

namespace caisson::network {
namespace {

using kube::Object;
using kube::ObjectKey;

constexpr int kServiceDepthMax = 5;
constexpr std::int64_t kWeightMax = 1'000'000;

class Builder {
 public:
  Builder(const IngressWorld& world, BackendTable& backends) : world_(world), backends_(backends) {}
  void add(const Object& route);
  RouteTable finish() { return std::move(out_); }

 private:
  void warn(std::string text) {
    auto& all = out_.warnings[current_->key()];
    if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(std::move(text));
  }
  std::string schemes();
  void add_rule(const Value& rule, std::size_t number, const std::string& schemes);
  // "ID*WEIGHT,…", or "-" when the rule leads to none.
  std::string choices(const Value& services);
  void add_service(const Value& service, std::int64_t weight, int depth, std::string& into);
  std::string scheme_of(const Value& service, const std::string& port);
  std::string service_options(const Value& services);
  void certificates(const std::vector<std::string>& hosts);
  std::string tls_options();

  const IngressWorld& world_;
  BackendTable& backends_;
  const Object* current_ = nullptr;
  std::string closed_;  // of the current one
  RouteTable out_;
};

// Traefik's chart has TLS on its entry point websecure; a tls section means that only TLS is answered.
std::string Builder::schemes() {
  const Value& points = current_->spec()["entryPoints"];
  const bool tls = current_->spec().contains("tls") && !current_->spec()["tls"].is_null();
  if (points.empty()) return tls ? "https" : "http,https";
  std::string out;
  for (const Value& point : points.items()) {
    const std::string_view name = point.as_string();
    const char* scheme = name == "websecure" ? "https" : name == "web" && !tls ? "http" : "";
    if (*scheme != '\0') out += (out.empty() ? "" : ",") + std::string(scheme);
    if (name == "web" && tls)
      warn("entry point web speaks no TLS: with a tls section the routes are served by websecure");
    if (name != "web" && name != "websecure")
      warn("there is no entry point " + std::string(name) + ", only web and websecure");
  }
  return tls && out.empty() ? "https" : out;
}

std::string Builder::scheme_of(const Value& service, const std::string& port) {
  const std::string scheme = to_lower(service["scheme"].as_string());
  if (scheme == "http" || scheme == "https") return scheme;
  if (scheme == "h2c") return "grpc";  // nginx speaks HTTP/2 to gRPC backends only
  if (!scheme.empty()) warn("scheme " + scheme + " is not supported; HTTP is spoken");
  return port == "443" || port.starts_with("https") ? "https" : "http";
}

void Builder::add_service(const Value& service, std::int64_t weight, int depth, std::string& into) {
  const std::string name = service["name"].str(), ns = service["namespace"].str();
  if (!ns.empty() && ns != current_->ns())
    return warn("service " + ns + "/" + name + " is of another namespace than the route");
  if (depth > kServiceDepthMax) return warn("TraefikServices are nested too deeply at " + name);
  weight = std::min(kWeightMax, weight * service["weight"].as_int(1));
  if (weight <= 0) return;
  if (service["kind"].as_string("Service") == "TraefikService") {
    const auto found = world_.traefik_service ? world_.traefik_service({current_->ns(), name}) : std::nullopt;
    if (!found || found->spec()["weighted"].is_null())
      return warn("TraefikService " + name + (found ? " is not weighted: only that is supported" : " does not exist"));
    for (const Value& one : found->spec()["weighted"]["services"].items()) add_service(one, weight, depth + 1, into);
    return;
  }
  std::string port = service["port"].scalar_text();
  if (port.empty()) {
    const auto found = world_.service({current_->ns(), name});
    const auto ports = found ? service_ports(*found) : std::vector<ServicePort>{};
    if (ports.size() == 1) port = std::to_string(ports[0].port);
  }
  std::vector<std::string> warnings;
  const std::string id = backends_.add({{current_->ns(), name}, port, scheme_of(service, port)}, warnings);
  for (auto& text : warnings) warn(std::move(text));
  into += (into.empty() ? "" : ",") + id + "*" + std::to_string(weight);
  for (const char* field : {"serversTransport", "healthCheck", "responseForwarding"})
    if (service.contains(field)) warn("service " + name + ": " + field + " has no effect");
}

std::string Builder::choices(const Value& services) {
  std::string out;
  for (const Value& service : services.items()) add_service(service, 1, 0, out);
  return out.empty() ? "-" : out;
}

std::string Builder::service_options(const Value& services) {
  std::string out;
  const Value& first = services[0];
  if (!first["passHostHeader"].as_bool(true))
    out += "\tvhost=" + percent_encode(first["name"].str() + "." + current_->ns() + ".svc");
  const Value& cookie = first["sticky"]["cookie"];
  if (cookie.is_null()) return out;
  out += "\taffinity=cookie";
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) out += "\t" + std::string(option) + "=" + percent_encode(value);
  };
  add("cookie_name", cookie["name"].str());
  add("cookie_path", cookie["path"].str());
  add("cookie_domain", cookie["domain"].str());
  add("cookie_samesite", cookie["sameSite"].str());
  add("cookie_max_age", cookie["maxAge"].scalar_text());
  if (cookie["secure"].as_bool()) add("cookie_secure", "true");
  return out;
}

void Builder::add_rule(const Value& rule, std::size_t number, const std::string& schemes) {
  const std::string text = rule["match"].str();
  auto match = parse_route_match(text);
  if (!match.ok()) return warn("match \"" + text + "\": " + match.error().message);
  const std::int64_t priority =
      rule["priority"].as_int() != 0 ? rule["priority"].as_int() : static_cast<std::int64_t>(text.size());
  RuleOptions options = middleware_options(*current_, rule["middlewares"], world_);
  for (auto& warning : options.warnings) warn(std::move(warning));
  out_.user_files.merge(options.user_files);
  const std::string hosts = match->hosts.empty() ? "*" : join(match->hosts, ",");
  const std::string id = current_->key().str() + "#" + std::to_string(number);
  out_.lines += "route\t" + std::to_string(priority) + "\t" + schemes + "\t" + percent_encode(hosts) + "\t" +
                match->expression + "\t" + choices(rule["services"]) + "\tid=" + percent_encode(id) +
                service_options(rule["services"]) + options.text +
                (closed_.empty() ? "" : "\tclosed=" + percent_encode(closed_)) + "\n";
  certificates(match->named_hosts);
}

void Builder::certificates(const std::vector<std::string>& hosts) {
  const Value& tls = current_->spec()["tls"];
  for (const char* field : {"certResolver", "store", "passthrough"})
    if (tls.contains(field)) warn("tls." + std::string(field) + " has no effect");
  const ObjectKey key{current_->ns(), tls["secretName"].str()};
  if (key.name.empty()) return;  // the default certificate
  const auto secret = world_.secret(key);
  const Value data = secret ? (*secret)["data"] : Value();
  if (data["tls.crt"].as_string().empty() || data["tls.key"].as_string().empty())
    return warn("secret " + key.str() + (secret ? " lacks tls.crt or tls.key" : " does not exist") +
                "; the default certificate is shown");
  const std::string pair = data["tls.crt"].str() + "\t" + data["tls.key"].str();
  for (const auto& host : hosts) out_.certificates.try_emplace(host, pair);
  for (const Value& domain : tls["domains"].items()) {
    if (const auto main = domain["main"].as_string(); !main.empty())
      out_.certificates.try_emplace(to_lower(main), pair);
    for (const Value& other : domain["sans"].items()) out_.certificates.try_emplace(to_lower(other.as_string()), pair);
  }
}

// Why the routes are closed; empty: they are not. A TLSOption that asks for client certificates keeps people out, and
// that nginx asks for none here must not let them in.
std::string Builder::tls_options() {
  const Value& reference = current_->spec()["tls"]["options"];
  if (reference.is_null()) return {};
  const std::string name = reference["name"].str();
  const auto option = world_.tls_option ? world_.tls_option({current_->ns(), name}) : std::nullopt;
  const std::string_view type = option ? option->spec()["clientAuth"]["clientAuthType"].as_string() : "";
  if (option && (type.empty() || type == "NoClientCert")) {
    warn("TLSOption " + name + " has no effect: TLS 1.2 and 1.3 are spoken with nginx's ciphers");
    return {};
  }
  const std::string why =
      "TLSOption " + name + (option ? ": client certificates are not supported" : " does not exist");
  warn(why + "; nobody is let in");
  return why;
}

void Builder::add(const Object& route) {
  current_ = &route;
  const std::string where = schemes();
  if (where.empty()) return;  // told by schemes()
  closed_ = tls_options();
  std::size_t number = 0;
  for (const Value& rule : route.spec()["routes"].items()) add_rule(rule, number++, where);
}

}  // namespace

RouteTable make_route_table(const std::vector<Object>& routes, const IngressWorld& world, BackendTable& backends) {
  Builder builder(world, backends);
  for (const Object& route : routes) builder.add(route);
  return builder.finish();
}

}  // namespace caisson::network
