// SPDX-License-Identifier: Apache-2.0
// From the annotations of one Ingress to the options of its rules in the text table (ingress_table.h). Pure functions;
// any thread. Source: ingress-nginx 1.11, "User guide", annotations.
//
// Where an annotation that keeps people out can't be read (a bad CIDR, a missing Secret), the rule refuses everybody:
// an Ingress must not be more open than it says.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kube/object.h"
#include "machine/network/ingress_table.h"

namespace caisson::network {

inline constexpr std::string_view kNginxAnnotations = "nginx.ingress.kubernetes.io/";
std::string_view nginx_annotation(const kube::Object& ingress, std::string_view name);

struct RuleOptions {
  std::string text;                               // "\tKEY=VALUE…", values percent-encoded
  std::map<std::string, std::string> user_files;  // of basic authentication: name → lines "user:hash"
  std::vector<std::string> warnings;
  std::string firewall;  // a mode's name (firewall.h); empty: none
};
RuleOptions rule_options(const kube::Object& ingress, const IngressWorld& world);

// The weight and the conditions of a canary Ingress, as options; `warnings` as above.
std::string canary_options(const kube::Object& ingress);

// Where an authentication service is: nginx knows no cluster names, so a Service's name becomes its address. `host` is
// what the request's Host header says. Errors: invalid, in words for an Event.
struct AuthUrl {
  std::string url, host;
};
Result<AuthUrl> resolve_auth_url(const std::string& url, const IngressWorld& world);

// "10.0.0.0/8, 192.0.2.7" → "167772160-184549375,3221225991-3221225991"; nothing when one is no IPv4 range.
std::optional<std::string> address_ranges(std::string_view list);

}  // namespace caisson::network
