// SPDX-License-Identifier: Apache-2.0
// See ingress_options.h.
#include "machine/network/ingress_options.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "machine/network/firewall.h"
#include "machine/network/netlink.h"

namespace caisson::network {
namespace {

using kube::Object;
using kube::ObjectKey;

struct Known {
  std::string_view annotation, option;
};
// Handed to nginx as an option of the rule, under a shorter name.
constexpr Known kPassedOn[] = {
    {"affinity", "affinity"},
    {"app-root", "app_root"},
    {"auth-method", "auth_method"},
    {"auth-response-headers", "auth_headers"},
    {"auth-signin", "auth_signin"},
    {"auth-signin-redirect-param", "auth_signin_param"},
    {"cors-allow-credentials", "cors_credentials"},
    {"cors-allow-headers", "cors_headers"},
    {"cors-allow-methods", "cors_methods"},
    {"cors-allow-origin", "cors_origin"},
    {"cors-expose-headers", "cors_expose"},
    {"cors-max-age", "cors_max_age"},
    {"enable-cors", "cors"},
    {"limit-burst-multiplier", "limit_burst"},
    {"limit-connections", "limit_connections"},
    {"limit-rate", "limit_rate"},
    {"limit-rpm", "limit_rpm"},
    {"limit-rps", "limit_rps"},
    {"permanent-redirect", "redirect_to"},
    {"permanent-redirect-code", "redirect_code"},
    {"proxy-connect-timeout", "connect_timeout"},
    {"proxy-read-timeout", "read_timeout"},
    {"proxy-send-timeout", "send_timeout"},
    {"rewrite-target", "rewrite"},
    {"session-cookie-domain", "cookie_domain"},
    {"session-cookie-expires", "cookie_expires"},
    {"session-cookie-max-age", "cookie_max_age"},
    {"session-cookie-name", "cookie_name"},
    {"session-cookie-path", "cookie_path"},
    {"session-cookie-samesite", "cookie_samesite"},
    {"session-cookie-secure", "cookie_secure"},
    {"temporal-redirect", "redirect_soon_to"},
    {"temporal-redirect-code", "redirect_soon_code"},
    {"upstream-hash-by", "hash_by"},
    {"upstream-vhost", "vhost"},
    {"x-forwarded-prefix", "forwarded_prefix"},
};
// Read elsewhere in the room, or met by the way nginx is used here whatever their value.
constexpr std::string_view kRead[] = {"affinity-mode",
                                      "allowlist-source-range",
                                      "auth-realm",
                                      "auth-secret",
                                      "auth-secret-type",
                                      "auth-type",
                                      "auth-url",
                                      "backend-protocol",
                                      "canary",
                                      "canary-by-cookie",
                                      "canary-by-header",
                                      "canary-by-header-pattern",
                                      "canary-by-header-value",
                                      "canary-weight",
                                      "canary-weight-total",
                                      "client-body-buffer-size",
                                      "custom-headers",
                                      "default-backend",
                                      "denylist-source-range",
                                      "enable-access-log",
                                      "enable-modsecurity",
                                      "enable-owasp-core-rules",
                                      "force-ssl-redirect",
                                      "from-to-www-redirect",
                                      "limit-allowlist",
                                      "limit-whitelist",
                                      "load-balance",
                                      "modsecurity-snippet",
                                      "proxy-body-size",
                                      "proxy-buffer-size",
                                      "proxy-buffering",
                                      "proxy-buffers-number",
                                      "server-alias",
                                      "service-upstream",
                                      "session-cookie-change-on-failure",
                                      "ssl-redirect",
                                      "use-regex",
                                      "whitelist-source-range"};
// Text of nginx's own configuration: with it, whoever may write an Ingress could read every Secret that nginx holds.
constexpr std::string_view kRefused[] = {"auth-snippet", "configuration-snippet", "server-snippet", "stream-snippet"};

template <std::size_t N>
bool is_among(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

class Reader {
 public:
  Reader(const Object& ingress, const IngressWorld& world) : ingress_(ingress), world_(world) {}

  RuleOptions read() {
    for (const auto& [key, value] : ingress_.metadata()["annotations"].entries())
      if (key.starts_with(kNginxAnnotations)) one(key, value.as_string());
    body_size();
    source_ranges();
    basic_auth();
    external_auth();
    custom_headers();
    firewall();
    return std::move(out_);
  }

 private:
  std::string_view get(std::string_view name) const { return nginx_annotation(ingress_, name); }
  void warn(std::string text) { out_.warnings.push_back(std::move(text)); }
  void add(std::string_view option, std::string_view value) {
    out_.text += "\t" + std::string(option) + "=" + percent_encode(value);
  }
  void close(const std::string& why) {
    warn(why + "; nobody is let in");
    add("closed", why);
  }

  void one(std::string_view key, std::string_view value) {
    const std::string_view name = key.substr(kNginxAnnotations.size());
    const auto known = std::find_if(std::begin(kPassedOn), std::end(kPassedOn),
                                    [name](const Known& k) { return k.annotation == name; });
    if (known != std::end(kPassedOn)) {
      add(known->option, value);
    } else if (is_among(kRefused, name)) {
      warn("annotation " + std::string(key) + " is refused: it would be nginx's own configuration; it has no effect");
    } else if (!is_among(kRead, name)) {
      warn("annotation " + std::string(key) + " is not supported; it has no effect");
    }
  }

  void body_size() {
    std::uint64_t body_max = 1 << 20;  // ingress-nginx's default
    if (const auto size = get("proxy-body-size"); !size.empty()) {
      if (const auto parsed = parse_nginx_size(size))
        body_max = *parsed;
      else
        warn("annotation proxy-body-size: \"" + std::string(size) + "\" is not a size such as 8m");
    }
    add("body_max", std::to_string(body_max));
  }

  void source_ranges() {
    const struct {
      std::string_view name, old_name, option;
      bool closes;
    } kLists[] = {{"allowlist-source-range", "whitelist-source-range", "allow", true},
                  {"denylist-source-range", "", "deny", true},
                  {"limit-allowlist", "limit-whitelist", "limit_free", false}};
    for (const auto& list : kLists) {
      std::string_view text = get(list.name);
      if (text.empty() && !list.old_name.empty()) text = get(list.old_name);
      if (text.empty()) continue;
      if (const auto ranges = address_ranges(text)) {
        add(list.option, *ranges);
        continue;
      }
      const std::string why =
          "annotation " + std::string(list.name) + ": \"" + std::string(text) + "\" is no list of IPv4 ranges";
      list.closes ? close(why) : warn(why);
    }
  }

  // "secret" of the Ingress' namespace, or "namespace/name", which is the same namespace or nothing: another one's
  // Secrets are not this Ingress' to use.
  std::optional<Object> secret(std::string_view reference) {
    const std::size_t slash = reference.find('/');
    const std::string ns(slash == reference.npos ? ingress_.ns() : std::string(reference.substr(0, slash)));
    if (ns != ingress_.ns()) return std::nullopt;
    return world_.secret({ns, std::string(slash == reference.npos ? reference : reference.substr(slash + 1))});
  }

  void basic_auth() {
    const std::string_view type = get("auth-type");
    if (type.empty()) return;
    if (type != "basic")
      return close("annotation auth-type: \"" + std::string(type) + "\" is not supported, only basic is");
    const auto found = secret(get("auth-secret"));
    if (!found) return close("secret \"" + std::string(get("auth-secret")) + "\" of auth-secret does not exist");
    std::string lines;
    if (get("auth-secret-type") == "auth-map") {
      for (const auto& [user, hash] : (*found)["data"].entries()) {
        const auto text = unbase64(hash.as_string());
        if (text.ok()) lines += std::string(user) + ":" + std::string(trim(*text)) + "\n";
      }
    } else if (const auto text = unbase64((*found)["data"]["auth"].as_string()); text.ok()) {
      lines = *text;
    }
    if (trim(lines).empty())
      return close("secret \"" + std::string(get("auth-secret")) + "\" of auth-secret has no users");
    const std::string name = sha256_hex(ingress_.key().str() + "\n" + lines).substr(0, 24);
    out_.user_files[name] = lines;
    add("users", name);
    add("realm", get("auth-realm").empty() ? "Authentication Required" : get("auth-realm"));
  }

  void external_auth() {
    const std::string url(get("auth-url"));
    if (url.empty()) return;
    const auto resolved = resolve_auth_url(url, world_);
    if (!resolved.ok()) return close("annotation auth-url: " + resolved.error().message);
    add("auth_host", resolved->host);
    add("auth_url", resolved->url);
  }

  // Of modsecurity-snippet only the engine's switch is read: other directives could read files and run programs.
  void firewall() {
    FirewallMode mode;
    mode.core_rules = get("enable-owasp-core-rules") == "true";
    for (const auto line : split(get("modsecurity-snippet"), '\n')) {
      const std::string text = to_lower(trim(line));
      if (text.empty() || text.starts_with('#') || text == "secruleengine detectiononly") continue;
      if (text == "secruleengine on")
        mode.blocks = true;
      else
        warn("annotation modsecurity-snippet: \"" + std::string(trim(line)) +
             "\" is refused, only SecRuleEngine On or DetectionOnly is read; it has no effect");
    }
    if (get("enable-modsecurity") != "true") return;
    if (const std::string package = missing_for_firewall(mode); !package.empty())
      return close("annotation enable-modsecurity: the package " + package + " is not installed on this machine");
    if (to_lower(get("backend-protocol")).starts_with("grpc"))
      return close("annotation enable-modsecurity: it can't guard gRPC");
    out_.firewall = mode.name();
    add("waf", out_.firewall);
  }

  void custom_headers() {
    const std::string name(get("custom-headers"));
    if (name.empty()) return;
    const std::size_t slash = name.find('/');
    const ObjectKey key{slash == name.npos ? ingress_.ns() : name.substr(0, slash),
                        slash == name.npos ? name : name.substr(slash + 1)};
    const auto map = world_.config_map && key.ns == ingress_.ns() ? world_.config_map(key) : std::nullopt;
    if (!map) return warn("configmap " + key.str() + " of custom-headers does not exist in the Ingress' namespace");
    for (const auto& [header, value] : (*map)["data"].entries())
      out_.text += "\theader:" + percent_encode(header) + "=" + percent_encode(value.as_string());
  }

  const Object& ingress_;
  const IngressWorld& world_;
  RuleOptions out_;
};

}  // namespace

std::string_view nginx_annotation(const Object& ingress, std::string_view name) {
  return ingress.annotation(std::string(kNginxAnnotations) + std::string(name));
}

RuleOptions rule_options(const Object& ingress, const IngressWorld& world) {
  return Reader(ingress, world).read();
}

std::string canary_options(const Object& ingress) {
  std::string out;
  for (const auto& [annotation, option] :
       {Known{"canary-by-header", "header"}, Known{"canary-by-header-value", "value"},
        Known{"canary-by-header-pattern", "pattern"}, Known{"canary-by-cookie", "cookie"},
        Known{"canary-weight", "weight"}, Known{"canary-weight-total", "total"}}) {
    const auto value = nginx_annotation(ingress, annotation);
    if (!value.empty()) out += "\t" + std::string(option) + "=" + percent_encode(value);
  }
  return out;
}

Result<AuthUrl> resolve_auth_url(const std::string& url, const IngressWorld& world) {
  const std::size_t begin = url.find("://");
  if (begin == url.npos || !(url.starts_with("http://") || url.starts_with("https://")))
    return Error{ErrorCode::invalid, "\"" + url + "\" is no http or https URL"};
  const std::size_t end = std::min(url.find_first_of("/?", begin + 3), url.size());
  const std::string authority = url.substr(begin + 3, end - begin - 3), host = authority.substr(0, authority.find(':'));
  const auto labels = split(host, '.');
  const bool in_cluster = labels.size() >= 3 && labels[2] == "svc";
  if (!in_cluster) return AuthUrl{url, authority};
  const auto service = world.service({std::string(labels[1]), std::string(labels[0])});
  const std::string ip = service ? service->spec()["clusterIP"].str() : "";
  if (ip.empty() || ip == "None") return Error{ErrorCode::invalid, "service " + host + " has no address"};
  return AuthUrl{url.substr(0, begin + 3) + ip + authority.substr(host.size()) + url.substr(end), authority};
}

std::optional<std::string> address_ranges(std::string_view list) {
  std::string out;
  for (const auto text : split(list, ',')) {
    const auto range = parse_cidr(trim(text));
    if (!range.ok()) return std::nullopt;
    const std::uint64_t first = range->first();
    out += (out.empty() ? "" : ",") + std::to_string(first) + "-" + std::to_string(first + range->size() - 1);
  }
  return out;
}

}  // namespace caisson::network
