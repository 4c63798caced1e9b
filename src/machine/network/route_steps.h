// SPDX-License-Identifier: Apache-2.0
// From Traefik's Middlewares to options and steps of a route's line (route_table.h). Pure functions; any thread.
// Source: traefik.io/v1alpha1 of Traefik 3.5, "Middlewares".
//
// A middleware that keeps people out and can't be done as written (a missing Secret, digestAuth, a plugin, one that
// does not exist) closes its routes: they must not be more open than they say. Others have no effect then. Both are
// named.
#pragma once
#include "machine/network/ingress_options.h"

namespace caisson::network {

// `list`: spec.routes[].middlewares. Those of other namespaces are refused, as by Traefik's default.
RuleOptions middleware_options(const kube::Object& route, const Value& list, const IngressWorld& world);

}  // namespace caisson::network
