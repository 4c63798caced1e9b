// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/advisory.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"

namespace caisson::scan {
namespace {

struct Release {
  std::string_view name, number;
};
constexpr std::array<Release, 9> kDebianReleases = {{{"buster", "10"},
                                                     {"bullseye", "11"},
                                                     {"bookworm", "12"},
                                                     {"trixie", "13"},
                                                     {"forky", "14"},
                                                     {"stretch", "9"},
                                                     {"jessie", "8"},
                                                     {"wheezy", "7"},
                                                     {"sid", "sid"}}};

bool is_cve(std::string_view name) {
  return name.starts_with("CVE-");
}

// "DEBIAN-CVE-2024-1" and "ALPINE-CVE-2024-1" name the CVE.
std::string_view strip_vendor(std::string_view id) {
  const std::size_t at = id.find("-CVE-");
  return at == std::string_view::npos ? id : id.substr(at + 1);
}

// The CVSS vector of a `severity` list: version 3 before 2; 4 is not scored.
void take_cvss(Advisory& out, const Value& list) {
  for (const std::string_view type : {"CVSS_V3", "CVSS_V2"}) {
    for (const Value& one : list.items()) {
      if (one["type"].as_string() != type) continue;
      const Result<double> score = cvss_base_score(one["score"].as_string());
      if (!score.ok()) continue;
      out.cvss = one["score"].str();
      out.score = *score;
      out.severity = severity_of_score(*score);
      return;
    }
  }
}

std::vector<VersionRange> ranges_of(const Value& list) {
  std::vector<VersionRange> out;
  for (const Value& range : list.items()) {
    if (range["type"].as_string() == "GIT") continue;  // commits, no versions
    bool open = false;
    for (const Value& event : range["events"].items()) {
      if (event.contains("introduced")) {
        out.push_back({event["introduced"].str(), "", ""});
        open = true;
      } else if (open && event.contains("fixed")) {
        out.back().fixed = event["fixed"].str();
        open = false;
      } else if (open && event.contains("last_affected")) {
        out.back().last_affected = event["last_affected"].str();
        open = false;
      }
    }
  }
  return out;
}

std::string reference_of(const Value& references) {
  for (const std::string_view type : {"ADVISORY", "WEB"}) {
    for (const Value& one : references.items()) {
      if (one["type"].as_string() == type) return one["url"].str();
    }
  }
  return {};
}

std::optional<Severity> debian_urgency(std::string_view urgency) {
  if (urgency == "unimportant") return Severity::low;
  urgency = urgency.substr(0, urgency.find('*'));  // "high**": said by a person
  return parse_severity(urgency);                  // "not yet assigned", "end-of-life": nothing
}

}  // namespace

std::string Advisory::name() const {
  if (is_cve(strip_vendor(id))) return std::string(strip_vendor(id));
  const auto count = std::count_if(aliases.begin(), aliases.end(), [](const std::string& a) { return is_cve(a); });
  if (count == 1) return *std::find_if(aliases.begin(), aliases.end(), [](const std::string& a) { return is_cve(a); });
  return id;
}

bool is_osv(const Value& document) {
  return document["id"].is_string() && (document["affected"].is_list() || document["modified"].is_string());
}

bool is_debian_tracker(const Value& document) {
  if (!document.is_map() || document.empty()) return false;
  const Value& package = document.entries().front().value;
  return package.is_map() && !package.empty() && package.entries().front().value["releases"].is_map();
}

Result<Advisory> parse_osv(const Value& record) {
  Advisory out;
  out.source = "osv";
  out.id = record["id"].str();
  if (out.id.empty()) return Error{ErrorCode::invalid, "OSV record without id"};
  for (const std::string_view list : {"aliases", "upstream"}) {
    for (const Value& alias : record[list].items()) out.aliases.push_back(alias.str());
  }
  out.title = record["summary"].str();
  if (out.title.empty()) {
    const std::string_view details = record["details"].as_string();
    out.title = fit_width(details.substr(0, std::min(details.find('\n'), details.size())), 160);
  }
  out.url = reference_of(record["references"]);
  if (out.url.empty()) out.url = "https://osv.dev/vulnerability/" + out.id;
  out.published = record["published"].str();
  out.modified = record["modified"].str();
  out.withdrawn = record.contains("withdrawn");
  take_cvss(out, record["severity"]);
  if (out.severity == Severity::unknown)
    out.severity = parse_severity(record["database_specific"]["severity"].as_string()).value_or(Severity::unknown);
  for (const Value& one : record["affected"].items()) {
    Affected affected;
    affected.ecosystem = one["package"]["ecosystem"].str();
    affected.package = one["package"]["name"].str();
    if (affected.package.empty()) continue;  // told of by commits only
    affected.ranges = ranges_of(one["ranges"]);
    for (const Value& version : one["versions"].items()) affected.versions.push_back(version.str());
    for (const std::string_view place : {"ecosystem_specific", "database_specific"}) {
      for (const std::string_view key : {"severity", "urgency"}) {
        if (!affected.severity) affected.severity = debian_urgency(one[place][key].as_string());
      }
    }
    if (out.severity == Severity::unknown) take_cvss(out, one["severity"]);
    out.affected.push_back(std::move(affected));
  }
  return out;
}

std::vector<Advisory> parse_debian_package(std::string_view package, const Value& entries) {
  std::vector<Advisory> out;
  for (const auto& [id, entry] : entries.entries()) {
    Advisory advisory;
    advisory.source = "debian";
    advisory.id = id;
    const std::string_view description = entry["description"].as_string();
    advisory.title = fit_width(description, 160);
    advisory.url = "https://security-tracker.debian.org/tracker/" + std::string(id);
    for (const auto& [release, state] : entry["releases"].entries()) {
      const auto known = std::find_if(kDebianReleases.begin(), kDebianReleases.end(),
                                      [&, name = release](const Release& r) { return r.name == name; });
      const std::string_view status = state["status"].as_string(), fixed = state["fixed_version"].as_string();
      if (known == kDebianReleases.end() || status == "undetermined" || fixed == "0") continue;  // "0": never affected
      Affected affected;
      affected.ecosystem = "Debian:" + std::string(known->number);
      affected.package = package;
      affected.ranges = {{"0", std::string(status == "resolved" ? fixed : ""), ""}};
      affected.severity = debian_urgency(state["urgency"].as_string());
      advisory.affected.push_back(std::move(affected));
    }
    if (!advisory.affected.empty()) out.push_back(std::move(advisory));
  }
  return out;
}

bool is_affected(VersionScheme scheme, const Affected& affected, std::string_view version, std::string& fixed) {
  for (const VersionRange& range : affected.ranges) {
    if (range.introduced != "0" && compare_versions(scheme, version, range.introduced) < 0) continue;
    if (!range.fixed.empty() && compare_versions(scheme, version, range.fixed) >= 0) continue;
    if (!range.last_affected.empty() && compare_versions(scheme, version, range.last_affected) > 0) continue;
    fixed = range.fixed;
    return true;
  }
  for (const std::string& one : affected.versions) {
    if (compare_versions(scheme, version, one) != 0) continue;
    fixed.clear();
    // The first fix behind it, whichever range that is of.
    for (const VersionRange& range : affected.ranges) {
      if (range.fixed.empty() || compare_versions(scheme, range.fixed, version) <= 0) continue;
      if (fixed.empty() || compare_versions(scheme, range.fixed, fixed) < 0) fixed = range.fixed;
    }
    return true;
  }
  return false;
}

}  // namespace caisson::scan
