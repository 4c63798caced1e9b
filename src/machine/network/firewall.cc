// SPDX-License-Identifier: Apache-2.0
// See firewall.h.
#include "machine/network/firewall.h"

#include "core/base/file.h"

namespace caisson::network {
namespace {

// Where Debian's package modsecurity-crs puts them.
constexpr char kSetUp[] = "/etc/modsecurity/crs/crs-setup.conf";
constexpr char kRules[] = "/usr/share/modsecurity-crs/rules";
constexpr const char* kModuleDirectories[] = {"/usr/lib/nginx/modules", "/usr/share/nginx/modules",
                                              "/usr/lib64/nginx/modules"};

}  // namespace

std::string FirewallMode::name() const {
  return std::string(blocks ? "block" : "detect") + (core_rules ? "-crs" : "");
}

Result<FirewallMode> parse_firewall_mode(std::string_view name) {
  for (const bool blocks : {false, true})
    for (const bool core_rules : {false, true}) {
      const FirewallMode mode{blocks, core_rules};
      if (mode.name() == name) return mode;
    }
  return Error{ErrorCode::invalid, "\"" + std::string(name) + "\" is no mode of the firewall"};
}

std::string missing_for_firewall(const FirewallMode& mode) {
  bool module = false;
  for (const char* directory : kModuleDirectories) module = module || exists(path_join(directory, kFirewallModule));
  if (!module) return "libnginx-mod-http-modsecurity";
  if (mode.core_rules && !(exists(kSetUp) && is_directory(kRules))) return "modsecurity-crs";
  return {};
}

std::string firewall_rules(const FirewallMode& mode, const std::string& temp) {
  // Bodies above the limit are refused where anything is; files are not held in memory.
  std::string out = "# Written by Caisson; changes are overwritten.\n";
  out += std::string("SecRuleEngine ") + (mode.blocks ? "On" : "DetectionOnly") + "\n";
  out += "SecRequestBodyAccess On\nSecRequestBodyLimit 13107200\nSecRequestBodyNoFilesLimit 1048576\n";
  out += std::string("SecRequestBodyLimitAction ") + (mode.blocks ? "Reject" : "ProcessPartial") + "\n";
  out += "SecResponseBodyAccess Off\nSecPcreMatchLimit 100000\nSecPcreMatchLimitRecursion 100000\n";
  out += "SecTmpDir " + temp + "\nSecDataDir " + temp + "\nSecAuditEngine Off\nSecDebugLogLevel 0\n";
  out +=
      "SecRule REQUEST_HEADERS:Content-Type \"^(?:application|text)/(?:soap\\+|)xml\" "
      "\"id:9900,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML\"\n"
      "SecRule REQUEST_HEADERS:Content-Type \"^application/(?:[a-z0-9.-]+\\+|)json\" "
      "\"id:9901,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON\"\n"
      "SecRule REQBODY_ERROR \"!@eq 0\" \"id:9902,phase:2,t:none,log,deny,status:400,msg:'The request body can not be "
      "read'\"\n";
  if (mode.core_rules) out += std::string("Include ") + kSetUp + "\nInclude " + kRules + "/*.conf\n";
  return out;
}

}  // namespace caisson::network
