// SPDX-License-Identifier: Apache-2.0
// ModSecurity before single Ingresses: the rules that a location of nginx loads. Optional packages; an Ingress that
// asks for them where they are not installed is closed (ingress_options.h). Source: ModSecurity 3.0, its reference
// manual; ingress-nginx' annotations enable-modsecurity and enable-owasp-core-rules. Pure functions but for looking at
// files.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::network {

// How an Ingress is guarded; its name is part of nginx's configuration: "detect", "block", "detect-crs", "block-crs".
struct FirewallMode {
  bool blocks = false;      // else what is found is only logged
  bool core_rules = false;  // the OWASP Core Rule Set
  std::string name() const;
};
Result<FirewallMode> parse_firewall_mode(std::string_view name);  // invalid

// What is missing on this machine for the mode, as the name of a package; empty: nothing.
std::string missing_for_firewall(const FirewallMode& mode);
// Rules for modsecurity_rules_file. `temp`: a directory that nginx's workers may write to.
std::string firewall_rules(const FirewallMode& mode, const std::string& temp);

inline constexpr std::string_view kFirewallModule = "ngx_http_modsecurity_module.so";

}  // namespace caisson::network
