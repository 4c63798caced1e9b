// SPDX-License-Identifier: Apache-2.0
// Registries behind ours: which of our names stands for something elsewhere, and whom to ask for it, with which login.
// Mirrors are written as k3s' registries.yaml (docs.k3s.io, "Private Registry Configuration"): `mirrors` by registry,
// each with endpoints that are asked in their order before the registry itself, and `configs` by host with TLS
// settings. Pure but for UpstreamClients, which any thread may use.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "artifact/registry/registry_client.h"
#include "core/base/clock.h"
#include "core/document/value.h"

namespace caisson::registry {

// What `proxy/HOST/REPOSITORY` begins with.
inline constexpr std::string_view kProxyPrefix = "proxy/";

struct Mirrors {
  struct Endpoint {
    std::string host, prefix;  // "mirror.example:5000", and what repositories' names begin with there
    bool plain_http = false;
    bool operator==(const Endpoint&) const = default;
  };
  struct Tls {
    std::string ca_pem;  // empty: the system's
    bool verify = true;
    bool operator==(const Tls&) const = default;
  };
  std::vector<std::pair<std::string, std::vector<Endpoint>>> endpoints;  // by registry; "*" is every other
  std::vector<std::pair<std::string, Tls>> tls;                          // by host
  bool names(std::string_view registry) const;                           // in `endpoints` or `tls`, not by "*"
};

// Errors: bad_request, with the field. Logins are refused: they belong in a Secret.
Result<Mirrors> parse_mirrors(std::string_view yaml);

// The entry for `host` of dockerconfigjson documents; the first that has one counts.
std::optional<Login> find_login(const std::vector<Value>& docker_configs, std::string_view host);

// One registry to ask for a repository.
struct Place {
  std::string host, repository;
  bool plain_http = false, verify = true;
  std::string ca_pem;
  std::optional<Login> login;
  std::string stands_for;  // the registry that it mirrors; empty: it is that registry
};

// A repository elsewhere, and whom to ask for it, first to last.
struct Upstream {
  std::string registry, repository;  // "docker.io", "library/nginx"
  std::vector<Place> places;
};

Upstream plan_upstream(const Mirrors& mirrors, const std::vector<Value>& docker_configs, std::string_view registry,
                       std::string_view repository);

// What our `repository` stands for: "proxy/ghcr.io/o/r" for ghcr.io's o/r; in a project whose `proxy_of` is "docker.io"
// or "ghcr.io/team", whatever follows the project's name. Nothing: it is our own. A host is a name with a dot;
// addresses and other names must be in `mirrors`, so that a name can't lead into this machine's networks. Errors:
// bad_request for a `proxy_of` that names no registry.
struct ForeignName {
  std::string registry, repository;
  bool operator==(const ForeignName&) const = default;
};
Result<std::optional<ForeignName>> foreign_name(std::string_view repository, std::string_view proxy_of,
                                                const Mirrors& mirrors);

// Clients of places, kept with their tokens and connections. A place that could not be reached is left alone for a
// short time, so that what is cached is served at once while a registry is away.
class UpstreamClients {
 public:
  explicit UpstreamClients(Clock& clock = system_clock()) : clock_(clock) {}

  // `ask` at one place after the other until one answers. The last place's error counts, as it is the registry itself;
  // when it is only away, an earlier refusal (too_many_requests, unauthorized, forbidden) does.
  template <class T>
  Result<T> ask(const Upstream& upstream, std::string_view tag, const std::optional<content::Digest>& digest,
                const std::function<Result<T>(RegistryClient&, const content::Reference&)>& ask) {
    std::optional<Error> error;
    for (const Place& place : upstream.places) {
      content::Reference ref{place.host, place.repository, std::string(tag), digest};
      const Result<std::shared_ptr<RegistryClient>> client = client_of(place);
      Result<T> answer = client.ok() ? ask(**client, ref) : Result<T>(client.error());
      if (client.ok()) note(place, answer.ok() ? std::nullopt : std::optional<Error>(answer.error()));
      if (answer.ok()) return answer;
      error = worse(std::move(error), answer.error());
    }
    return error ? std::move(*error) : Error{ErrorCode::unavailable, "no registry to ask for " + upstream.registry};
  }

 private:
  static std::string key_of(const Place& place);
  static Error worse(std::optional<Error> before, Error now);
  Result<std::shared_ptr<RegistryClient>> client_of(const Place& place);
  void note(const Place& place, const std::optional<Error>& error);

  struct Away {
    Duration until{};
    std::string why;
  };
  Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<RegistryClient>> clients_;  // GUARDED_BY(mutex_)
  std::map<std::string, Away> away_;                                // GUARDED_BY(mutex_): by host
};

}  // namespace caisson::registry
