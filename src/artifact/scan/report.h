// SPDX-License-Identifier: Apache-2.0
// The result of a scan as people and programs read it: the VulnerabilityReport of the Trivy operator
// (aquasecurity.github.io/v1alpha1, v0.22), a table, JSON as Trivy's, SARIF 2.1.0; and the file of what is accepted for
// a while. Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "artifact/scan/match.h"
#include "core/base/clock.h"
#include "core/document/value.h"

namespace caisson::scan {

// What a report is about.
struct ScannedArtifact {
  std::string registry, repository, tag, digest;  // "localhost:5000", "shop/web", "1.0", "sha256:…"
  std::string name() const;                       // "localhost:5000/shop/web:1.0"
  bool operator==(const ScannedArtifact&) const = default;
};

// The `report` of a VulnerabilityReport. Equal input gives equal output but for updateTimestamp.
Value make_report(const ScannedArtifact& artifact, const Inventory& inventory, const std::vector<Finding>& findings,
                  Time now);

std::string write_table(const ScannedArtifact& artifact, const Inventory& inventory,
                        const std::vector<Finding>& findings);
Value write_json(const ScannedArtifact& artifact, const Inventory& inventory, const std::vector<Finding>& findings,
                 Time now);
Value write_sarif(const ScannedArtifact& artifact, const Inventory& inventory, const std::vector<Finding>& findings);

// One line of an ignore file: "CVE-2024-1234 exp:2026-12-31 pkg:openssl # why". Expired lines have no effect.
struct IgnoreRule {
  std::string id, package;
  std::optional<Time> expires;  // the first moment at which it no longer counts
};
// Errors: bad_request, with the line.
Result<std::vector<IgnoreRule>> parse_ignore_file(std::string_view text);
// Takes away what the rules accept at `now`; gives how many. Secrets are accepted by their rule's name.
int apply_ignores(Inventory& inventory, std::vector<Finding>& findings, const std::vector<IgnoreRule>& rules, Time now);

}  // namespace caisson::scan
