// SPDX-License-Identifier: Apache-2.0
// Sets of attestors: how many of which authorities must have signed. Follows Kyverno 1.19, `attestors` of verifyImages:
// without `count` every entry must hold; an entry may be a set of its own; several keys in one entry are as many
// entries. One thread.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"
#include "security/policy/authority.h"

namespace caisson::policy {

using Signatures = std::vector<std::shared_ptr<const Signature>>;

class AttestorCheck {
 public:
  // Of a repository (where an authority has its signatures elsewhere) those of the image.
  using Read = std::function<Result<std::vector<Signature>>(const std::string& repository)>;
  // `repository`: the image's own, or where the rule says that signatures are.
  AttestorCheck(std::string repository, Read read, const Lookups& lookups, Time now)
      : repository_(std::move(repository)), read_(std::move(read)), lookups_(lookups), now_(now) {}

  // The signatures that satisfied one set, or all of `sets`. Errors: unauthorized with the path of what did not hold
  // (".attestors[0].entries[1].keys: …"); bad_request for a set that can't be read; those of reading.
  Result<Signatures> check_all(const Value& sets, const std::string& path);

 private:
  Result<Signatures> check_set(const Value& set, const std::string& path, int depth);
  Result<Signatures> check_entry(const Value& entry, const std::string& path, int depth);
  Result<const Signatures*> signatures_in(const std::string& repository);

  std::string repository_;
  Read read_;
  const Lookups& lookups_;
  Time now_;
  std::map<std::string, Signatures> known_;
};

}  // namespace caisson::policy
