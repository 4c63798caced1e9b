// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/report.h"

#include <algorithm>
#include <set>

#include "artifact/content/image.h"
#include "core/base/text.h"

namespace caisson::scan {
namespace {

constexpr std::string_view kScanner = "Caisson", kScannerVersion = "0.1.0";
// A VulnerabilityReport is an API object: what does not fit one is counted, and the worst are named.
constexpr std::size_t kFindingsMax = 2000;

Value summary_of(const Counts& counts) {
  return Value{{"criticalCount", counts.critical}, {"highCount", counts.high},       {"mediumCount", counts.medium},
               {"lowCount", counts.low},           {"unknownCount", counts.unknown}, {"noneCount", counts.none}};
}

std::string package_type(const Package& package) {
  if (package.ecosystem == "Debian" || package.ecosystem == "Ubuntu") return "debian";
  if (package.ecosystem == "Go") return "gobinary";
  if (package.ecosystem == "npm") return "node-pkg";
  if (package.ecosystem == "PyPI") return "python-pkg";
  if (package.ecosystem == "Maven") return "jar";
  return to_lower(package.ecosystem);
}

Value report_entry(const Finding& finding, const Inventory& inventory) {
  Value out{{"vulnerabilityID", finding.id},
            {"resource", finding.package.name},
            {"installedVersion", finding.package.version},
            {"fixedVersion", finding.fixed_version},
            {"severity", severity_name(finding.severity)},
            {"title", finding.title},
            {"primaryLink", finding.url},
            {"links", Value::list()},
            {"publishedDate", finding.published},
            {"lastModifiedDate", finding.modified},
            {"target", finding.package.path},
            {"class", finding.package.is_os() ? "os-pkgs" : "lang-pkgs"},
            {"packageType", package_type(finding.package)},
            {"packagePURL", package_url(finding.package, inventory.os)},
            {"pkgPath", finding.package.path}};
  if (finding.score) out.set("score", *finding.score);
  if (!finding.cvss.empty())
    out.set("cvss", Value{{finding.source, Value{{"V3Vector", finding.cvss}, {"V3Score", finding.score.value_or(0)}}}});
  if (!finding.package.layer.empty()) out.set("layerDigest", finding.package.layer.str());
  return out;
}

Value json_finding(const Finding& finding, const Inventory& inventory) {
  Value out{{"VulnerabilityID", finding.id},
            {"PkgName", finding.package.name},
            {"InstalledVersion", finding.package.version}};
  out.set("PkgIdentifier", Value{{"PURL", package_url(finding.package, inventory.os)}});
  if (!finding.package.path.empty()) out.set("PkgPath", finding.package.path);
  if (!finding.fixed_version.empty()) out.set("FixedVersion", finding.fixed_version);
  out.set("Status", finding.fixed_version.empty() ? "affected" : "fixed");
  if (!finding.package.layer.empty()) out.set("Layer", Value{{"Digest", finding.package.layer.str()}});
  out.set("Severity", severity_name(finding.severity)).set("PrimaryURL", finding.url).set("Title", finding.title);
  if (!finding.aliases.empty()) out.set("VendorIDs", Value::list_of(finding.aliases));
  if (!finding.cvss.empty())
    out.set("CVSS", Value{{finding.source, Value{{"V3Vector", finding.cvss}, {"V3Score", finding.score.value_or(0)}}}});
  if (!finding.published.empty()) out.set("PublishedDate", finding.published);
  if (!finding.modified.empty()) out.set("LastModifiedDate", finding.modified);
  return out;
}

void append_row(std::string& out, const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    out += cells[i];
    if (i + 1 < cells.size()) out.append(widths[i] - display_width(cells[i]) + 2, ' ');
  }
  while (out.ends_with(' ')) out.pop_back();
  out += '\n';
}

void append_table(std::string& out, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  for (const auto& row : rows) append_row(out, row, widths);
}

// SARIF: severities as levels, and the number that code hosts sort by.
std::string_view sarif_level(Severity severity) {
  if (severity >= Severity::high) return "error";
  return severity == Severity::medium ? "warning" : "note";
}
double sarif_score(const Finding& finding) {
  if (finding.score) return *finding.score;
  switch (finding.severity) {
    case Severity::critical:
      return 9.5;
    case Severity::high:
      return 8;
    case Severity::medium:
      return 5.5;
    case Severity::low:
      return 2;
    default:
      return 0;
  }
}

std::string one_decimal(double value) {
  const auto tenths = static_cast<long long>(value * 10 + 0.5);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

Value location(const std::string& uri, int line) {
  return Value{{"physicalLocation", Value{{"artifactLocation", Value{{"uri", uri}, {"uriBaseId", "ROOTPATH"}}},
                                          {"region", Value{{"startLine", std::max(line, 1)}}}}}};
}

Value sarif_result(const std::string& rule, std::string_view level, const std::string& text, Value where) {
  return Value{{"ruleId", rule},
               {"level", level},
               {"message", Value{{"text", text}}},
               {"locations", Value(std::vector<Value>{std::move(where)})}};
}

Value sarif_rule(const std::string& id, std::string_view title, std::string_view level, const std::string& help,
                 double score) {
  Value out{{"id", id}, {"shortDescription", Value{{"text", title.empty() ? std::string_view(id) : title}}}};
  out.set("defaultConfiguration", Value{{"level", level}});
  if (!help.empty()) out.set("helpUri", help);
  out.set("properties", Value{{"security-severity", one_decimal(score)}, {"tags", Value::list_of({"security"})}});
  return out;
}

}  // namespace

std::string ScannedArtifact::name() const {
  std::string out = registry.empty() ? repository : registry + "/" + repository;
  if (!tag.empty()) return out + ":" + tag;
  return digest.empty() ? out : out + "@" + digest;
}

Value make_report(const ScannedArtifact& artifact, const Inventory& inventory, const std::vector<Finding>& findings,
                  Time now) {
  std::vector<Value> entries;
  for (const Finding& finding : findings) {
    if (entries.size() < kFindingsMax) entries.push_back(report_entry(finding, inventory));
  }
  Value out{{"updateTimestamp", format_time(now)}};
  out.set("scanner", Value{{"name", kScanner}, {"vendor", "Caisson"}, {"version", kScannerVersion}});
  out.set("registry", Value{{"server", artifact.registry}});
  out.set("artifact", Value{{"repository", artifact.repository},
                            {"tag", artifact.tag},
                            {"digest", artifact.digest},
                            {"mimeType", std::string(content::kOciManifest)}});
  out.set("os", Value{{"family", inventory.os.id}, {"name", inventory.os.version_id}});
  out.set("summary", summary_of(count_findings(findings)));
  out.set("vulnerabilities", Value(std::move(entries)));
  return out;
}

std::string write_table(const ScannedArtifact& artifact, const Inventory& inventory,
                        const std::vector<Finding>& findings) {
  const Counts counts = count_findings(findings);
  std::string out = artifact.name();
  if (!inventory.os.empty()) out += " (" + inventory.os.id + " " + inventory.os.version_id + ")";
  out += "\n" + std::to_string(inventory.packages.size()) + " packages, " + std::to_string(findings.size()) +
         " findings: CRITICAL " + std::to_string(counts.critical) + ", HIGH " + std::to_string(counts.high) +
         ", MEDIUM " + std::to_string(counts.medium) + ", LOW " + std::to_string(counts.low) + ", UNKNOWN " +
         std::to_string(counts.unknown + counts.none) + "\n";
  if (!findings.empty()) {
    std::vector<std::vector<std::string>> rows = {
        {"SEVERITY", "VULNERABILITY", "PACKAGE", "INSTALLED", "FIXED", "LAYER", "TITLE"}};
    for (const Finding& finding : findings) {
      rows.push_back({std::string(severity_name(finding.severity)), finding.id, finding.package.name,
                      finding.package.version, finding.fixed_version.empty() ? "-" : finding.fixed_version,
                      finding.package.layer.empty() ? "-" : finding.package.layer.hex.substr(0, 12),
                      fit_width(finding.title, 60)});
    }
    out += '\n';
    append_table(out, rows);
  }
  if (!inventory.secrets.empty()) {
    std::vector<std::vector<std::string>> rows = {{"SEVERITY", "SECRET", "FILE", "LINE", "LAYER"}};
    for (const Secret& secret : inventory.secrets) {
      rows.push_back({std::string(severity_name(secret.severity)), secret.title, secret.path,
                      std::to_string(secret.line), secret.layer.empty() ? "-" : secret.layer.hex.substr(0, 12)});
    }
    out += '\n';
    append_table(out, rows);
  }
  return out;
}

Value write_json(const ScannedArtifact& artifact, const Inventory& inventory, const std::vector<Finding>& findings,
                 Time now) {
  Value out{{"SchemaVersion", 2}, {"CreatedAt", format_time(now)}, {"ArtifactName", artifact.name()}};
  out.set("ArtifactType", artifact.digest.empty() ? "filesystem" : "container_image");
  Value metadata = Value::map();
  if (!inventory.os.empty()) metadata.set("OS", Value{{"Family", inventory.os.id}, {"Name", inventory.os.version_id}});
  if (!artifact.digest.empty())
    metadata.set("RepoDigests", Value::list_of({artifact.repository + "@" + artifact.digest}));
  out.set("Metadata", std::move(metadata));
  std::vector<Value> results, os_findings, language_findings, secrets;
  for (const Finding& finding : findings)
    (finding.package.is_os() ? os_findings : language_findings).push_back(json_finding(finding, inventory));
  for (const Secret& secret : inventory.secrets) {
    Value one{{"RuleID", secret.rule}, {"Title", secret.title},    {"Severity", severity_name(secret.severity)},
              {"Target", secret.path}, {"StartLine", secret.line}, {"EndLine", secret.line},
              {"Match", secret.match}};
    if (!secret.layer.empty()) one.set("Layer", Value{{"Digest", secret.layer.str()}});
    secrets.push_back(std::move(one));
  }
  if (!inventory.os.empty() || !os_findings.empty())
    results.push_back(Value{{"Target", artifact.name()},
                            {"Class", "os-pkgs"},
                            {"Type", inventory.os.id},
                            {"Vulnerabilities", Value(std::move(os_findings))}});
  if (!language_findings.empty())
    results.push_back(Value{
        {"Target", artifact.name()}, {"Class", "lang-pkgs"}, {"Vulnerabilities", Value(std::move(language_findings))}});
  if (!secrets.empty())
    results.push_back(Value{{"Target", artifact.name()}, {"Class", "secret"}, {"Secrets", Value(std::move(secrets))}});
  out.set("Results", Value(std::move(results)));
  return out;
}

Value write_sarif(const ScannedArtifact& artifact, const Inventory& inventory, const std::vector<Finding>& findings) {
  std::vector<Value> rules, results;
  std::set<std::string> named;
  for (const Finding& finding : findings) {
    const std::string_view level = sarif_level(finding.severity);
    if (named.insert(finding.id).second)
      rules.push_back(sarif_rule(finding.id, finding.title, level, finding.url, sarif_score(finding)));
    const std::string text = finding.package.name + " " + finding.package.version + ": " + finding.id + " (" +
                             std::string(severity_name(finding.severity)) + ")" +
                             (finding.fixed_version.empty() ? ", no fix known" : ", fixed in " + finding.fixed_version);
    results.push_back(
        sarif_result(finding.id, level, text,
                     location(finding.package.path.empty() ? artifact.repository : finding.package.path, 1)));
  }
  for (const Secret& secret : inventory.secrets) {
    const std::string_view level = sarif_level(secret.severity);
    if (named.insert(secret.rule).second) rules.push_back(sarif_rule(secret.rule, secret.title, level, "", 9.5));
    results.push_back(
        sarif_result(secret.rule, level, secret.title + " in " + secret.path, location(secret.path, secret.line)));
  }
  Value driver{{"name", kScanner}, {"version", kScannerVersion}, {"rules", Value(std::move(rules))}};
  Value run{{"tool", Value{{"driver", std::move(driver)}}},
            {"results", Value(std::move(results))},
            {"columnKind", "utf16CodeUnits"}};
  run.set("originalUriBaseIds", Value{{"ROOTPATH", Value{{"uri", "file:///"}}}});
  return Value{{"version", "2.1.0"},
               {"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
               {"runs", Value(std::vector<Value>{std::move(run)})}};
}

// The last whole year of a Time: "9999-12-31", which people write for never, is beyond it.
static constexpr std::string_view kLastDay = "2262-01-01";

Result<std::vector<IgnoreRule>> parse_ignore_file(std::string_view text) {
  std::vector<IgnoreRule> out;
  int number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trim(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    IgnoreRule rule;
    for (const std::string_view word : split(line, ' ')) {
      if (word.empty()) continue;
      if (word.starts_with("exp:")) {
        const std::string day(word.substr(4));
        rule.expires = parse_time(day + "T00:00:00Z");
        if (!rule.expires)
          return Error{ErrorCode::bad_request,
                       "line " + std::to_string(number) + ": exp: wants a day, as in exp:2026-12-31"};
        if (day > kLastDay) rule.expires = parse_time(std::string(kLastDay) + "T00:00:00Z");
      } else if (word.starts_with("pkg:")) {
        rule.package = word.substr(4);
      } else if (rule.id.empty()) {
        rule.id = word;
      } else {
        return Error{ErrorCode::bad_request,
                     "line " + std::to_string(number) + ": what is \"" + std::string(word) + "\"?"};
      }
    }
    if (rule.id.empty()) return Error{ErrorCode::bad_request, "line " + std::to_string(number) + ": no id"};
    out.push_back(std::move(rule));
  }
  return out;
}

int apply_ignores(Inventory& inventory, std::vector<Finding>& findings, const std::vector<IgnoreRule>& rules,
                  Time now) {
  const auto live = [&](const IgnoreRule& rule) { return !rule.expires || now < *rule.expires; };
  const auto accepted = [&](const Finding& finding) {
    return std::any_of(rules.begin(), rules.end(), [&](const IgnoreRule& rule) {
      const bool named = rule.id == finding.id ||
                         std::find(finding.aliases.begin(), finding.aliases.end(), rule.id) != finding.aliases.end();
      return live(rule) && named && (rule.package.empty() || rule.package == finding.package.name);
    });
  };
  const auto accepted_secret = [&](const Secret& secret) {
    return std::any_of(rules.begin(), rules.end(),
                       [&](const IgnoreRule& rule) { return live(rule) && rule.id == secret.rule; });
  };
  return static_cast<int>(std::erase_if(findings, accepted) + std::erase_if(inventory.secrets, accepted_secret));
}

}  // namespace caisson::scan
