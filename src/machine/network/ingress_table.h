// SPDX-License-Identifier: Apache-2.0
// From Ingress objects to the text table by which nginx routes. Pure functions; any thread.
// Source: networking.k8s.io/v1 Ingress; annotations as ingress-nginx 1.11 reads them ("User guide", annotations).
//
// The tables' lines, fields separated by tabs, values percent-encoded where they come from outside. Where requests go
// is kept apart from by which rule, since that changes with every pod:
//   backend ID SCHEME NAME IP:PORT...      one line for each service port in use
// and
//   rule HOST KIND PATH BACKEND KEY=VALUE...   HOST "*" for any, KIND exact, prefix or regex
//   canary HOST PATH BACKEND KEY=VALUE...      a part of the requests of the rule of this host and path
//   route PRIORITY SCHEMES HOSTS EXPRESSION BACKENDS KEY=VALUE...   of an IngressRoute: route_table.h
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/kube/object.h"

namespace caisson::network {

// What the table needs to know of the cluster.
struct IngressWorld {
  std::function<std::optional<kube::Object>(const kube::ObjectKey&)> service;
  std::function<std::vector<kube::Object>(const kube::ObjectKey&)> slices;
  std::function<std::optional<kube::Object>(const kube::ObjectKey&)> secret;
  std::function<std::optional<kube::Object>(const kube::ObjectKey&)> config_map = {};
  // Of Traefik's kinds; may be empty.
  std::function<std::optional<kube::Object>(const kube::ObjectKey&)> middleware = {};
  std::function<std::optional<kube::Object>(const kube::ObjectKey&)> traefik_service = {};
  std::function<std::optional<kube::Object>(const kube::ObjectKey&)> tls_option = {};
};

// A port of a Service that rules lead to.
struct BackendName {
  kube::ObjectKey service;
  std::string port;    // name or number
  std::string scheme;  // "http", "https", "grpc", "grpcs"
  std::string id() const { return service.str() + ":" + port + "/" + scheme; }
  bool operator==(const BackendName&) const = default;
};
struct RoutedBackend {
  BackendName name;
  std::string line;                 // as above
  std::set<std::string> addresses;  // of its ready endpoints
  std::string missing;              // of the cluster, for people
  bool operator==(const RoutedBackend&) const = default;
};
RoutedBackend make_backend(const BackendName& name, const IngressWorld& world);

struct IngressTable {
  std::string routes;                             // rules, canaries and routes
  std::map<std::string, RoutedBackend> backends;  // by id
  std::string certificates;                       // lines "HOST BASE64-CHAIN BASE64-KEY"; kept apart: it holds keys
  std::map<std::string, std::string> user_files;  // of basic authentication, by name; kept apart as well
  std::set<std::string> firewalls;                // modes (firewall.h) that rules ask for
  // Per Ingress, what can't be done as written: unknown annotations, a missing Service or Secret.
  std::map<kube::ObjectKey, std::vector<std::string>> warnings;
  std::map<kube::ObjectKey, std::vector<std::string>> route_warnings;  // the same per IngressRoute
};
IngressTable make_ingress_table(const std::vector<kube::Object>& ingresses, const IngressWorld& world,
                                const std::vector<kube::Object>& routes = {});

// Whether the Ingress is for the controller of this class; one that names none is.
bool is_of_class(const kube::Object& ingress, std::string_view class_name);

// nginx's size syntax, "8m", "512k", "0": bytes; nothing when it isn't one.
std::optional<std::uint64_t> parse_nginx_size(std::string_view text);

}  // namespace caisson::network
