// SPDX-License-Identifier: Apache-2.0
#include "artifact/registry/upstreams.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "core/http/message.h"

namespace caisson::registry {
namespace {

constexpr std::size_t kMirrorsBytesMax = 1u << 20, kClientsMax = 64;
constexpr Duration kAwayFor = std::chrono::seconds(10);

Error bad(const std::string& field, const std::string& what) {
  return Error{ErrorCode::bad_request, "registries.yaml: " + field + ": " + what};
}

// "https://mirror.example:5000/v2/team": the host, and "team" as the prefix.
Result<Mirrors::Endpoint> parse_endpoint(const std::string& field, std::string_view text) {
  const Result<http::Url> url = http::Url::parse(text);
  if (!url.ok() || (url->scheme != "http" && url->scheme != "https"))
    return bad(field, "want a URL as in https://mirror.example.com, not \"" + std::string(text) + "\"");
  if (!url->user.empty()) return bad(field, "a login belongs in the Secret, not in a URL");
  Mirrors::Endpoint out;
  const std::size_t begin = text.find("://") + 3;
  out.host = std::string(text.substr(begin, text.find('/', begin) - begin));
  out.plain_http = url->scheme == "http";
  std::string_view path = url->path;
  if (path == "/v2" || path.starts_with("/v2/")) path.remove_prefix(3);
  while (path.starts_with("/")) path.remove_prefix(1);
  while (path.ends_with("/")) path.remove_suffix(1);
  if (!path.empty() && !content::is_valid_repository(path))
    return bad(field, "no name of a repository begins with " + std::string(path));
  out.prefix = std::string(path);
  return out;
}

Result<void> only(const std::string& field, const Value& map, std::initializer_list<std::string_view> known) {
  if (!map.is_null() && !map.is_map()) return bad(field, "want a map");
  for (const auto& [key, value] : map.entries()) {
    if (key == "auth")
      return bad(field + ".auth", "logins belong in the Secret of type kubernetes.io/dockerconfigjson");
    if (std::find(known.begin(), known.end(), std::string_view(key)) == known.end())
      return bad(field + "." + std::string(key), "is not supported");
  }
  return {};
}

bool is_address(std::string_view host) {
  return host.find_first_not_of("0123456789.") == std::string_view::npos;
}

// Docker Hub's own images have a first name there.
std::string full_name(std::string_view registry, std::string_view repository) {
  const bool bare = registry == "docker.io" && repository.find('/') == std::string_view::npos;
  return (bare ? "library/" : "") + std::string(repository);
}

}  // namespace

bool Mirrors::names(std::string_view registry) const {
  const auto has = [&](const auto& list) {
    return std::any_of(list.begin(), list.end(), [&](const auto& one) { return one.first == registry; });
  };
  return registry != "*" && (has(endpoints) || has(tls));
}

Result<Mirrors> parse_mirrors(std::string_view yaml) {
  const Value document = TRY(yaml::read(yaml, {.name = "registries.yaml", .size_bytes_max = kMirrorsBytesMax}));
  TRY(only("registries.yaml", document, {"mirrors", "configs"}));
  Mirrors out;
  for (const auto& [name, mirror] : document["mirrors"].entries()) {
    const std::string field = "mirrors." + std::string(name);
    TRY(only(field, mirror, {"endpoint"}));
    std::vector<Mirrors::Endpoint> endpoints;
    for (const Value& endpoint : mirror["endpoint"].items()) {
      Mirrors::Endpoint one = TRY(parse_endpoint(field + ".endpoint", endpoint.as_string()));
      endpoints.push_back(std::move(one));
    }
    out.endpoints.emplace_back(std::string(name), std::move(endpoints));
  }
  for (const auto& [host, config] : document["configs"].entries()) {
    const std::string field = "configs." + std::string(host);
    TRY(only(field, config, {"tls"}));
    TRY(only(field + ".tls", config["tls"], {"ca", "insecure_skip_verify"}));
    const Value& ca = config["tls"]["ca"];
    if (!ca.is_null() && ca.as_string().find("-----BEGIN CERTIFICATE") == std::string_view::npos)
      return bad(field + ".tls.ca", "want certificates as PEM text");
    out.tls.emplace_back(std::string(host),
                         Mirrors::Tls{std::string(ca.as_string()), !config["tls"]["insecure_skip_verify"].as_bool()});
  }
  return out;
}

std::optional<Login> find_login(const std::vector<Value>& docker_configs, std::string_view host) {
  for (const Value& config : docker_configs) {
    for (const auto& [key, entry] : config.entries()) {
      std::string_view name = key;
      if (name.starts_with("https://")) name.remove_prefix(8);
      for (const std::string_view end : {"/", "/v1", "/v2"}) {
        if (name.ends_with(end)) name.remove_suffix(end.size());
      }
      if (name != host && !(host == "docker.io" && name == "index.docker.io")) continue;
      const Result<std::string> text = unbase64(entry["auth"].as_string());
      const std::size_t colon = text.ok() ? text->find(':') : std::string::npos;
      if (colon != std::string::npos) return Login{text->substr(0, colon), SecretBytes(text->substr(colon + 1))};
      if (entry.contains("username")) return Login{entry["username"].str(), SecretBytes(entry["password"].str())};
    }
  }
  return std::nullopt;
}

Upstream plan_upstream(const Mirrors& mirrors, const std::vector<Value>& docker_configs, std::string_view registry,
                       std::string_view repository) {
  Upstream out{std::string(registry), std::string(repository), {}};
  const auto add = [&](const Mirrors::Endpoint& endpoint, bool is_mirror) {
    Place place;
    place.host = endpoint.host;
    place.repository = (endpoint.prefix.empty() ? "" : endpoint.prefix + "/") + out.repository;
    place.plain_http = endpoint.plain_http;
    place.login = find_login(docker_configs, endpoint.host);
    if (is_mirror) place.stands_for = out.registry;
    for (const auto& [host, tls] : mirrors.tls) {
      if (host != endpoint.host) continue;
      place.ca_pem = tls.ca_pem;
      place.verify = tls.verify;
    }
    out.places.push_back(std::move(place));
  };
  const auto of = [&](std::string_view name) {
    return std::find_if(mirrors.endpoints.begin(), mirrors.endpoints.end(),
                        [&](const auto& one) { return one.first == name; });
  };
  auto found = of(registry);
  if (found == mirrors.endpoints.end()) found = of("*");
  if (found != mirrors.endpoints.end())
    for (const Mirrors::Endpoint& endpoint : found->second) add(endpoint, true);
  add({out.registry, "", false}, false);
  return out;
}

Result<std::optional<ForeignName>> foreign_name(std::string_view repository, std::string_view proxy_of,
                                                const Mirrors& mirrors) {
  std::optional<ForeignName> out;
  const std::size_t slash = repository.find('/');
  if (slash == std::string_view::npos) return out;
  const std::string_view rest = repository.substr(slash + 1);
  if (!proxy_of.empty()) {
    const std::size_t end = proxy_of.find('/');
    const std::string_view host = proxy_of.substr(0, end),
                           prefix = end == std::string_view::npos ? std::string_view() : proxy_of.substr(end + 1);
    const bool names_host = host.find_first_of(".:") != std::string_view::npos || mirrors.names(host);
    if (!names_host || (!prefix.empty() && !content::is_valid_repository(prefix)))
      return Error{ErrorCode::bad_request,
                   "want a registry as in docker.io or ghcr.io/team, not " + std::string(proxy_of)};
    const std::string name = (prefix.empty() ? "" : std::string(prefix) + "/") + std::string(rest);
    out = ForeignName{std::string(host), full_name(host, name)};
    return out;
  }
  if (!repository.starts_with(kProxyPrefix)) return out;
  const std::size_t end = rest.find('/');
  if (end == std::string_view::npos) return out;
  const std::string_view host = rest.substr(0, end);
  const bool dotted = host.find('.') != std::string_view::npos && !is_address(host);
  if (dotted || mirrors.names(host)) out = ForeignName{std::string(host), full_name(host, rest.substr(end + 1))};
  return out;
}

std::string UpstreamClients::key_of(const Place& place) {
  std::string key =
      place.host + (place.plain_http ? " http" : "") + (place.verify ? "" : " unverified") + " " + place.stands_for;
  if (place.login) key += " " + place.login->user + " " + content::Digest::of(place.login->password.reveal()).hex;
  return key + " " + content::Digest::of(place.ca_pem).hex;
}

Result<std::shared_ptr<RegistryClient>> UpstreamClients::client_of(const Place& place) {
  const std::lock_guard lock(mutex_);
  if (const auto away = away_.find(place.host); away != away_.end()) {
    if (clock_.monotonic() < away->second.until) return Error{ErrorCode::unavailable, away->second.why};
    away_.erase(away);
  }
  if (clients_.size() >= kClientsMax) clients_.clear();
  std::shared_ptr<RegistryClient>& client = clients_[key_of(place)];
  if (client) return client;
  ClientOptions options;
  options.http.ca_pem = place.ca_pem;
  options.http.verify = place.verify;
  options.http.connect_time_max = std::chrono::seconds(4);
  options.attempts_max = 3;
  options.plain_http = place.plain_http;
  options.stands_for = place.stands_for;
  if (place.login) options.login = [login = place.login](std::string_view) { return login; };
  client = std::make_shared<RegistryClient>(std::move(options));
  return client;
}

void UpstreamClients::note(const Place& place, const std::optional<Error>& error) {
  if (!error || (error->code != ErrorCode::unavailable && error->code != ErrorCode::timeout)) return;
  const std::lock_guard lock(mutex_);
  away_[place.host] = {clock_.monotonic() + kAwayFor, error->message};
}

Error UpstreamClients::worse(std::optional<Error> before, Error now) {
  if (!before) return now;
  const auto refuses = [](const Error& error) {
    return error.code == ErrorCode::too_many_requests || error.code == ErrorCode::unauthorized ||
           error.code == ErrorCode::forbidden;
  };
  const bool away = now.code == ErrorCode::unavailable || now.code == ErrorCode::timeout;
  const ErrorCode code = away && refuses(*before) ? before->code : now.code;
  return Error{code, before->message + "; " + now.message};
}

}  // namespace caisson::registry
