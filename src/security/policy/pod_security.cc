// SPDX-License-Identifier: Apache-2.0
#include "security/policy/pod_security.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "core/base/text.h"
#include "core/expr/jmespath/wildcard.h"

namespace caisson::policy {
namespace {

using schema::PodSecurityCheck;
using schema::PodView;

constexpr int kLatest = std::numeric_limits<int>::max();

std::optional<int> minor_of(std::string_view version) {
  if (version.empty() || version == "latest") return kLatest;
  if (!version.starts_with("v1.")) return {};
  const auto minor = parse_int(version.substr(3));
  if (!minor || *minor < 0 || *minor > 1000) return {};
  return static_cast<int>(*minor);
}

std::vector<PodSecurityFinding> run_checks(const PodView& pod, bool restricted) {
  std::vector<PodSecurityFinding> findings;
  for (const PodSecurityCheck& check : schema::pod_security_checks()) {
    if (pod.minor < check.since || (!restricted && !check.baseline)) continue;
    std::vector<PodSecurityError> errors;
    check.run(pod, errors);
    if (!errors.empty()) findings.push_back({check.id, check.control, std::string(check.reason), std::move(errors)});
  }
  return findings;
}

std::string without_indexes(std::string_view field) {
  std::string out;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] < '0' || field[i] > '9') {
      out += field[i];
      continue;
    }
    while (i + 1 < field.size() && field[i + 1] >= '0' && field[i + 1] <= '9') ++i;
    out += '*';
  }
  return out;
}

// The name of the container that a field is of; empty for one of the Pod.
std::string container_of(const Value& spec, std::string_view field) {
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"}) {
    const std::string prefix = "spec." + std::string(list) + "[";
    if (!field.starts_with(prefix)) continue;
    const auto index = parse_int(field.substr(prefix.size(), field.find(']') - prefix.size()));
    return index ? spec[list][static_cast<std::size_t>(*index)]["name"].str() : "";
  }
  return "";
}

bool fits_one(const Value& patterns, std::string_view text) {
  return std::any_of(patterns.items().begin(), patterns.items().end(),
                     [&](const Value& pattern) { return jmespath::wildcard_match(pattern.as_string(), text); });
}

// The Pod that an exclusion speaks of: the containers of its images, or the Pod itself with a container that says
// nothing.
Value excluded_spec(const Value& spec, const Value& exclude) {
  if (exclude["images"].empty()) {
    Value out = spec;
    out.set("containers", Value(std::vector<Value>{Value{{"name", "fake"}}}));
    out.erase("initContainers");
    out.erase("ephemeralContainers");
    return out;
  }
  Value out = Value::map();
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"})
    for (const Value& container : spec[list].items())
      if (fits_one(exclude["images"], container["image"].as_string())) out.edit(list).push_back(container);
  return out;
}

bool covers(const Value& exclude, const PodSecurityError& error) {
  const std::string_view field = exclude["restrictedField"].as_string();
  if (!field.empty() && without_indexes(error.field) != field) return false;
  if (exclude["values"].empty()) return true;
  return std::all_of(error.values.begin(), error.values.end(),
                     [&](const std::string& value) { return fits_one(exclude["values"], value); });
}

void remove_one(std::vector<PodSecurityError>& errors, const Value& spec, const PodSecurityError& excluded,
                const Value& matching, bool by_container) {
  const auto same = [&](const PodSecurityError& error) {
    if (without_indexes(error.field) != without_indexes(excluded.field)) return false;
    return !by_container || container_of(spec, error.field) == container_of(matching, excluded.field);
  };
  const auto found = std::find_if(errors.begin(), errors.end(), same);
  if (found != errors.end()) errors.erase(found);
}

void apply_exclusion(std::vector<PodSecurityFinding>& findings, const PodView& pod, bool restricted,
                     const Value& exclude) {
  const Value matching = excluded_spec(pod.spec, exclude);
  const bool by_container = !exclude["images"].empty();
  const Value& metadata = by_container ? document::kNull : pod.metadata;
  for (const PodSecurityFinding& excluded : run_checks({metadata, matching, pod.minor}, restricted)) {
    if (excluded.control != exclude["controlName"].as_string()) continue;
    const auto finding = std::find_if(findings.begin(), findings.end(),
                                      [&](const PodSecurityFinding& one) { return one.id == excluded.id; });
    if (finding == findings.end()) continue;
    for (const PodSecurityError& error : excluded.errors)
      if (covers(exclude, error)) remove_one(finding->errors, pod.spec, error, matching, by_container);
    if (finding->errors.empty()) findings.erase(finding);
  }
}

}  // namespace

Result<std::vector<PodSecurityFinding>> check_pod(const Value& metadata, const Value& spec,
                                                  const PodSecurityOptions& options) {
  if (options.level == "privileged") return std::vector<PodSecurityFinding>{};
  if (options.level != "baseline" && options.level != "restricted")
    return Error{ErrorCode::bad_request,
                 "podSecurity.level: \"" + options.level + "\" is none of privileged, baseline, restricted"};
  const auto minor = minor_of(options.version);
  if (!minor) return Error{ErrorCode::bad_request, "podSecurity.version: \"" + options.version + "\" is no version"};
  const bool restricted = options.level == "restricted";
  const PodView pod{metadata, spec, *minor};
  auto findings = run_checks(pod, restricted);
  for (const Value& exclude : options.exclude.items()) apply_exclusion(findings, pod, restricted, exclude);
  return findings;
}

std::string describe(const std::vector<PodSecurityFinding>& findings) {
  std::string out;
  for (const PodSecurityFinding& finding : findings) {
    out += "(Forbidden reason: " + finding.reason + ", field error list: [";
    for (std::size_t i = 0; i < finding.errors.size(); ++i) {
      const PodSecurityError& error = finding.errors[i];
      out += (i == 0 ? "" : ", ") + error.field;
      out += error.values.empty() ? ": Required value"
                                  : " is forbidden, forbidden values found: " + join(error.values, " ");
    }
    out += "])";
  }
  return out;
}

}  // namespace caisson::policy
