// SPDX-License-Identifier: Apache-2.0
// From Traefik's IngressRoutes to the "route" lines of the text table (ingress_table.h). Pure functions; any thread.
// Source: traefik.io/v1alpha1 of Traefik 3.5.
//
//   route PRIORITY SCHEMES HOSTS EXPRESSION BACKENDS KEY=VALUE...
// SCHEMES "http", "https" or both; HOSTS the names of which one must be asked for, or "*"; EXPRESSION as route_match.h
// has it; BACKENDS "ID*WEIGHT,ID*WEIGHT" or "-"; the rest are options as a rule's, and step:NNN:NAME=ARGUMENTS, in
// their order.
//
// One nginx serves both worlds: of an Ingress' rule and a route the one with the greater priority takes the request, as
// if the Ingress were Traefik's, where a rule's length is its priority.
#pragma once
#include "machine/network/backend_table.h"
#include "machine/network/ingress_table.h"

namespace caisson::network {

struct RouteTable {
  std::string lines;
  std::map<std::string, std::string> certificates;  // host → "CHAIN\tKEY", Base64
  std::map<std::string, std::string> user_files;
  std::map<kube::ObjectKey, std::vector<std::string>> warnings;  // per IngressRoute: what can't be done as written
};
RouteTable make_route_table(const std::vector<kube::Object>& routes, const IngressWorld& world, BackendTable& backends);

}  // namespace caisson::network
