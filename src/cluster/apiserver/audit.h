// SPDX-License-Identifier: Apache-2.0
// Auditing of what comes by HTTP: one record follows a request through authentication, authorization and admission, and
// becomes an Event at each stage the policy asks for. The exchange that `watch` gives is the client's, with the answer
// noted as it passes; for a watch, a log or an exec the ResponseComplete comes when the stream ends.
// Threads: a record belongs to its request until it is answered; Auditor: any.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cluster/apiserver/audit_log.h"
#include "cluster/apiserver/audit_policy.h"
#include "core/http/server.h"

namespace caisson::apiserver {

struct AuditRecord {
  AuditPolicy::Decision decision;
  Value event;  // what all stages say
  Value request_object;
  std::vector<std::pair<std::string, std::string>> annotations;
  void saw_request(const Value& body);  // its name, where the path has none; all of it, where the level says so
};

class Auditor : public std::enable_shared_from_this<Auditor> {
 public:
  Auditor(AuditPolicy policy, std::unique_ptr<AuditLog> log, Clock& clock);  // to be held by a shared_ptr

  // Null when nothing of the request is on record. Writes RequestReceived. `user` is who asked, before impersonation.
  std::shared_ptr<AuditRecord> begin(const Request& request, const User& user, const http::Exchange& exchange) const;
  // The exchange to answer instead of `exchange`.
  http::ExchangePtr watch(const http::ExchangePtr& exchange, const std::shared_ptr<AuditRecord>& record) const;
  void note(const AuditRecord& record, AuditStage stage, int status, const Value& response) const;

 private:
  const AuditPolicy policy_;
  const std::unique_ptr<AuditLog> log_;
  Clock& clock_;
};

Value audit_user(const User& user);

}  // namespace caisson::apiserver
