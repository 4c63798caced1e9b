// SPDX-License-Identifier: Apache-2.0
// AuditPolicy: what of a request the audit log shall say. audit.k8s.io/v1 Policy, as apiserver 1.33 reads, validates
// and evaluates it (pkg/audit/policy). Never changes once made; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cluster/apiserver/request.h"

namespace caisson::apiserver {

enum class AuditLevel { none, metadata, request, request_response };
std::string_view audit_level_name(AuditLevel level);  // "RequestResponse"

enum class AuditStage { request_received, response_started, response_complete, panic };
std::string_view audit_stage_name(AuditStage stage);  // "ResponseComplete"

class AuditPolicy {
 public:
  struct Decision {
    AuditLevel level = AuditLevel::none;
    unsigned omitted_stages = 0;  // a bit for each AuditStage
    bool omit_managed_fields = false;
    bool omits(AuditStage stage) const { return (omitted_stages >> static_cast<unsigned>(stage) & 1u) != 0; }
    bool operator==(const Decision&) const = default;
  };

  // Errors: invalid, with every field that is wrong.
  static Result<AuditPolicy> parse(const Value& policy);
  // What is on record without a policy of one's own: who changed what, who saw Secrets and who ran commands in Pods, by
  // name only; deleted policies, roles and webhooks with what they said; nothing of the platform's own traffic.
  static AuditPolicy standard();

  // By the first rule that matches; none does: AuditLevel::none. `request.user` is who asked, before impersonation.
  Decision decide(const Request& request, const User& user) const;

 private:
  struct Rule {
    Decision decision;
    std::vector<std::string> users, groups, verbs, namespaces, paths;
    struct Resources {
      std::string group;
      std::vector<std::string> resources, names;
    };
    std::vector<Resources> resources;
    bool matches(const Request& request, const User& user) const;
    bool matches_resource(const Request& request) const;
  };
  std::vector<Rule> rules_;
};

}  // namespace caisson::apiserver
