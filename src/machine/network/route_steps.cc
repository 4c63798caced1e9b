// SPDX-License-Identifier: Apache-2.0
// See route_steps.h.
#include "machine/network/route_steps.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/text.h"

namespace caisson::network {
namespace {

using kube::Object;
using kube::ObjectKey;

constexpr int kChainDepthMax = 10;
constexpr int kStepsMax = 200;

std::string texts(const Value& list) {
  std::string out;
  for (const Value& one : list.items()) out += (out.empty() ? "" : ",") + one.scalar_text();
  return out;
}

// "10s", "1m30s" or a number of seconds; nothing when it is neither.
std::optional<double> seconds_of(const Value& value) {
  if (value.is_number()) return value.as_double();
  const std::string_view text = value.as_string();
  double sum = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    const auto number = parse_int(text.substr(begin, at - begin));
    if (!number) return std::nullopt;
    const std::size_t unit = at;
    while (at < text.size() && (text[at] < '0' || text[at] > '9')) ++at;
    const std::string_view name = text.substr(unit, at - unit);
    const double factor = name == "ms"                  ? 0.001
                          : name == "s" || name.empty() ? 1
                          : name == "m"                 ? 60
                          : name == "h"                 ? 3600
                                                        : 0;
    if (factor == 0) return std::nullopt;
    sum += static_cast<double>(*number) * factor;
  }
  return text.empty() ? std::nullopt : std::optional<double>(sum);
}

class Reader {
 public:
  Reader(const Object& route, const IngressWorld& world) : route_(route), world_(world) {}

  RuleOptions read(const Value& list) {
    chain(list, 0);
    return std::move(out_);
  }

 private:
  using Handler = void (Reader::*)(const Value& spec);
  struct Known {
    std::string_view name;
    Handler handler;
  };
  static const Known kKnown[];

  void warn(const std::string& text) { out_.warnings.push_back("middleware " + current_ + ": " + text); }
  void close(const std::string& why) {
    warn(why + "; nobody is let in");
    option("closed", "middleware " + current_ + ": " + why);
  }
  void option(std::string_view name, std::string_view value) {
    if (!set_.emplace(name).second && name != "closed")
      return warn("a second " + std::string(name) + " on one route has no effect");
    out_.text += "\t" + std::string(name) + "=" + percent_encode(value);
  }
  // Arguments are encoded twice: once as part of the list, once as an option's value.
  void step(std::string_view name, const std::vector<std::string>& arguments) {
    if (++steps_ > kStepsMax) return;
    char number[8];
    std::snprintf(number, sizeof number, "%03d", steps_);
    std::string text;
    for (const auto& one : arguments)
      text += (text.empty() ? "" : " ") + (one.empty() ? std::string("-") : "=" + percent_encode(one));
    out_.text += "\tstep:" + std::string(number) + ":" + std::string(name) + "=" + percent_encode(text);
  }

  void chain(const Value& list, int depth) {
    for (const Value& reference : list.items()) {
      const std::string ns = reference["namespace"].str();
      const ObjectKey key{route_.ns(), reference["name"].str()};
      current_ = key.str();
      if (depth > kChainDepthMax) return close("chains are nested too deeply");
      if (!ns.empty() && ns != route_.ns()) {
        current_ = ns + "/" + key.name;
        close("it is of another namespace than the route");
        continue;
      }
      const auto found = world_.middleware ? world_.middleware(key) : std::nullopt;
      if (!found) {
        close("it does not exist");
        continue;
      }
      one(found->spec(), depth);
    }
  }

  void one(const Value& spec, int depth) {
    if (spec.entries().empty()) return close("its spec is empty");
    for (const auto& [kind, value] : spec.entries()) {
      if (kind == "chain") {
        const std::string outer = current_;
        chain(value["middlewares"], depth + 1);
        current_ = outer;
        continue;
      }
      const Known* known = std::find_if(known_begin(), known_end(),
                                        [name = std::string_view(kind)](const Known& k) { return k.name == name; });
      if (known == known_end())
        close(std::string(kind) + " is not supported");
      else if (known->handler == nullptr)
        warn(std::string(kind) + " is not supported; it has no effect");
      else
        (this->*known->handler)(value);
    }
  }
  static const Known* known_begin();
  static const Known* known_end();

  void add_prefix(const Value& spec) { step("add_prefix", {spec["prefix"].str()}); }
  void strip_prefix(const Value& spec) {
    std::vector<std::string> prefixes;
    for (const Value& one : spec["prefixes"].items()) prefixes.push_back(one.str());
    step("strip_prefix", prefixes);
  }
  void strip_prefix_regex(const Value& spec) {
    std::vector<std::string> patterns;
    for (const Value& one : spec["regex"].items()) patterns.push_back(one.str());
    step("strip_prefix_regex", patterns);
  }
  void replace_path(const Value& spec) { step("replace_path", {spec["path"].str()}); }
  void replace_path_regex(const Value& spec) {
    step("replace_path_regex", {spec["regex"].str(), spec["replacement"].str()});
  }
  void redirect_scheme(const Value& spec) {
    step("redirect_scheme", {spec["scheme"].str(), spec["port"].scalar_text(), spec["permanent"].as_bool() ? "1" : ""});
  }
  void redirect_regex(const Value& spec) {
    step("redirect_regex", {spec["regex"].str(), spec["replacement"].str(), spec["permanent"].as_bool() ? "1" : ""});
  }

  void allow_list(const Value& spec) {
    const std::string list = texts(spec["sourceRange"]);
    const auto ranges = address_ranges(list);
    if (!ranges || list.empty()) return close("sourceRange \"" + list + "\" is no list of IPv4 ranges");
    if (spec["ipStrategy"]["depth"].as_int() > 0 || !spec["ipStrategy"]["excludedIPs"].empty())
      warn("ipStrategy has no effect: the address of the connection is looked at");
    step("allow", {*ranges, std::to_string(spec["rejectStatusCode"].as_int(403))});
  }

  // Whom a limit is counted for: the client's address, the request's host, or a header.
  std::string source(const Value& spec, std::string_view otherwise) {
    const Value& criterion = spec["sourceCriterion"];
    if (const auto header = criterion["requestHeaderName"].as_string(); !header.empty())
      return "header:" + std::string(header);
    if (criterion["requestHost"].as_bool()) return "host";
    return criterion["ipStrategy"].is_null() ? std::string(otherwise) : "client";
  }
  void rate_limit(const Value& spec) {
    const std::int64_t average = spec["average"].as_int(), burst = std::max<std::int64_t>(1, spec["burst"].as_int(1));
    const auto period = spec["period"].is_null() ? std::optional<double>(1) : seconds_of(spec["period"]);
    if (!period || *period <= 0) return close("period \"" + spec["period"].scalar_text() + "\" is no duration");
    if (average <= 0) return;  // no limit, as Traefik's default
    step("rate", {current_, std::to_string(static_cast<double>(average) / *period), std::to_string(burst),
                  source(spec, "client")});
  }
  void in_flight(const Value& spec) {
    if (spec["amount"].as_int() > 0) step("in_flight", {current_, spec["amount"].scalar_text(), source(spec, "host")});
  }
  void buffering(const Value& spec) {
    if (spec["maxRequestBodyBytes"].as_int() > 0) option("body_max", spec["maxRequestBodyBytes"].scalar_text());
    for (const auto& [name, value] : spec.entries())
      if (name != "maxRequestBodyBytes") warn("buffering." + std::string(name) + " has no effect");
  }

  void basic_auth(const Value& spec) {
    const std::string name = spec["secret"].str();
    const auto secret = name.empty() ? std::nullopt : world_.secret({route_.ns(), name});
    if (!secret) return close("secret " + route_.ns() + "/" + name + " of basicAuth does not exist");
    std::string lines;
    const Value& data = (*secret)["data"];
    const auto text = [&data](const char* key) {
      const auto decoded = unbase64(data[key].as_string());
      return decoded.ok() ? *decoded : std::string();
    };
    if ((*secret)["type"].as_string() == "kubernetes.io/basic-auth") {
      if (!text("username").empty()) lines = text("username") + ":{PLAIN}" + text("password") + "\n";
    } else if (data.entries().size() == 1) {  // its only key, whatever its name
      lines = text(std::string(data.entries()[0].key).c_str());
    }
    if (trim(lines).empty()) return close("secret " + route_.ns() + "/" + name + " of basicAuth has no users");
    const std::string file = sha256_hex(route_.key().str() + "\n" + lines).substr(0, 24);
    out_.user_files[file] = lines;
    option("users", file);
    option("realm", spec["realm"].as_string().empty() ? "traefik" : spec["realm"].as_string());
    if (spec["removeHeader"].as_bool()) option("remove_authorization", "1");
    if (const auto header = spec["headerField"].as_string(); !header.empty()) option("user_header", header);
  }

  void forward_auth(const Value& spec) {
    const auto resolved = resolve_auth_url(spec["address"].str(), world_);
    if (!resolved.ok()) return close("forwardAuth: " + resolved.error().message);
    option("auth_url", resolved->url);
    option("auth_host", resolved->host);
    option("auth_verbatim", "1");
    if (!spec["authResponseHeaders"].empty()) option("auth_headers", texts(spec["authResponseHeaders"]));
    for (const char* name : {"authResponseHeadersRegex", "authRequestHeaders", "tls", "forwardBody", "headerField",
                             "addAuthCookiesToResponse"})
      if (spec.contains(name)) warn("forwardAuth." + std::string(name) + " has no effect");
  }

  void headers(const Value& spec) {
    for (const auto& [name, value] : spec["customRequestHeaders"].entries())
      step("request_header", {std::string(name), value.scalar_text()});
    for (const auto& [name, value] : spec["customResponseHeaders"].entries())
      step("response_header", {std::string(name), value.scalar_text()});
    security_headers(spec);
    cross_origin(spec);
    if (!spec["allowedHosts"].empty()) step("hosts", {texts(spec["allowedHosts"])});
    static constexpr std::string_view kNoEffect[] = {
        "hostsProxyHeaders", "sslRedirect", "sslHost",       "sslForceHost",  "sslTemporaryRedirect",
        "sslProxyHeaders",   "publicKey",   "isDevelopment", "featurePolicy", "accessControlAllowOriginListRegex"};
    for (const auto name : kNoEffect)
      if (spec.contains(name)) warn("headers." + std::string(name) + " has no effect");
  }
  void security_headers(const Value& spec) {
    const auto set = [this](const char* name, std::string_view value) {
      if (!value.empty()) step("response_header", {name, std::string(value)});
    };
    const std::string_view frame = spec["customFrameOptionsValue"].as_string();
    set("X-Frame-Options", frame.empty() && spec["frameDeny"].as_bool() ? "DENY" : frame);
    if (spec["contentTypeNosniff"].as_bool()) set("X-Content-Type-Options", "nosniff");
    const std::string_view filter = spec["customBrowserXSSValue"].as_string();
    set("X-XSS-Protection", filter.empty() && spec["browserXssFilter"].as_bool() ? "1; mode=block" : filter);
    set("Content-Security-Policy", spec["contentSecurityPolicy"].as_string());
    set("Content-Security-Policy-Report-Only", spec["contentSecurityPolicyReportOnly"].as_string());
    set("Referrer-Policy", spec["referrerPolicy"].as_string());
    set("Permissions-Policy", spec["permissionsPolicy"].as_string());
    if (spec["stsSeconds"].as_int() > 0) {
      std::string value = "max-age=" + spec["stsSeconds"].scalar_text();
      if (spec["stsIncludeSubdomains"].as_bool()) value += "; includeSubDomains";
      if (spec["stsPreload"].as_bool()) value += "; preload";
      step("strict_transport", {value, spec["forceSTSHeader"].as_bool() ? "1" : ""});
    }
  }
  void cross_origin(const Value& spec) {
    if (spec["accessControlAllowOriginList"].empty()) return;
    option("cors", "true");
    option("cors_origin", texts(spec["accessControlAllowOriginList"]));
    option("cors_credentials", spec["accessControlAllowCredentials"].as_bool() ? "true" : "false");
    option("cors_methods", texts(spec["accessControlAllowMethods"]));
    option("cors_headers", texts(spec["accessControlAllowHeaders"]));
    if (!spec["accessControlExposeHeaders"].empty()) option("cors_expose", texts(spec["accessControlExposeHeaders"]));
    if (!spec["accessControlMaxAge"].is_null()) option("cors_max_age", spec["accessControlMaxAge"].scalar_text());
  }

  const Object& route_;
  const IngressWorld& world_;
  RuleOptions out_;
  std::set<std::string, std::less<>> set_;
  std::string current_;
  int steps_ = 0;
};

// Those without a handler change only how a request or its answer looks: without them nothing is more open.
constexpr Reader::Known Reader::kKnown[] = {
    {"addPrefix", &Reader::add_prefix},
    {"basicAuth", &Reader::basic_auth},
    {"buffering", &Reader::buffering},
    {"circuitBreaker", nullptr},
    {"compress", nullptr},
    {"contentType", nullptr},
    {"errors", nullptr},
    {"forwardAuth", &Reader::forward_auth},
    {"grpcWeb", nullptr},
    {"headers", &Reader::headers},
    {"inFlightReq", &Reader::in_flight},
    {"ipAllowList", &Reader::allow_list},
    {"ipWhiteList", &Reader::allow_list},
    {"passTLSClientCert", nullptr},
    {"rateLimit", &Reader::rate_limit},
    {"redirectRegex", &Reader::redirect_regex},
    {"redirectScheme", &Reader::redirect_scheme},
    {"replacePath", &Reader::replace_path},
    {"replacePathRegex", &Reader::replace_path_regex},
    {"retry", nullptr},
    {"stripPrefix", &Reader::strip_prefix},
    {"stripPrefixRegex", &Reader::strip_prefix_regex},
};
const Reader::Known* Reader::known_begin() {
  return std::begin(kKnown);
}
const Reader::Known* Reader::known_end() {
  return std::end(kKnown);
}

}  // namespace

RuleOptions middleware_options(const Object& route, const Value& list, const IngressWorld& world) {
  return Reader(route, world).read(list);
}

}  // namespace caisson::network
