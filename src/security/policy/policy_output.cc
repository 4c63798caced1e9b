// SPDX-License-Identifier: Apache-2.0
#include "security/policy/policy_output.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

namespace caisson::policy {
namespace {

bool is_violation(const Finding& finding) {
  return finding.status == Status::fail || finding.status == Status::error;
}

std::string resource_path(const Value& object) {
  const Value& metadata = object["metadata"];
  std::string path = object["kind"].str() + "/";
  if (!metadata["namespace"].as_string().empty()) path += metadata["namespace"].str() + "/";
  return path + metadata["name"].str();
}

std::string table(const std::vector<Finding>& findings) {
  std::string out;
  for (const Finding& finding : findings) {
    if (finding.status == Status::pass || finding.status == Status::skip) continue;
    out += std::string(status_name(finding.status)) + "  " + finding.policy + "/" + finding.rule + "  " +
           resource_path(finding.resource) + "\n    " + finding.message + "\n";
  }
  return out;
}

Value report(const std::vector<Finding>& findings) {
  return Value{{"apiVersion", "wgpolicyk8s.io/v1alpha2"},
               {"kind", "ClusterPolicyReport"},
               {"metadata", Value{{"name", "merged"}}},
               {"results", report_results(findings, 0)},
               {"summary", report_summary(count(findings))}};
}

// SARIF: a rule once, a result for each violation, levels by status.
Value sarif(const std::vector<Finding>& findings) {
  Value rules = Value::list(), results = Value::list();
  std::vector<std::string> known;
  for (const Finding& finding : findings) {
    if (!is_violation(finding) && finding.status != Status::warn) continue;
    const std::string id = finding.policy + "/" + finding.rule;
    if (std::find(known.begin(), known.end(), id) == known.end()) {
      known.push_back(id);
      rules.push_back(Value{{"id", id}, {"shortDescription", Value{{"text", finding.policy}}}});
    }
    const Value location{
        {"logicalLocations", Value(std::vector<Value>{Value{{"fullyQualifiedName", resource_path(finding.resource)},
                                                            {"kind", "resource"}}})}};
    results.push_back(Value{{"ruleId", id},
                            {"level", finding.status == Status::warn ? "warning" : "error"},
                            {"message", Value{{"text", finding.message}}},
                            {"locations", Value(std::vector<Value>{location})}});
  }
  const Value driver{{"name", "caisson policy"}, {"rules", rules}};
  const Value run{{"tool", Value{{"driver", driver}}}, {"results", results}};
  return Value{{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
               {"version", "2.1.0"},
               {"runs", Value(std::vector<Value>{run})}};
}

std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // XML 1.0 has no control characters but these three.
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t' || c == '\r') out += c;
    }
  }
  return out;
}

std::string junit(const std::vector<Finding>& findings) {
  const Counts counts = count(findings);
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"policy\" tests=\"" +
                    std::to_string(findings.size()) + "\" failures=\"" + std::to_string(counts.fail) + "\" errors=\"" +
                    std::to_string(counts.error) + "\" skipped=\"" + std::to_string(counts.skip) + "\">\n";
  for (const Finding& finding : findings) {
    out += "    <testcase classname=\"" + xml(finding.policy + "/" + finding.rule) + "\" name=\"" +
           xml(resource_path(finding.resource)) + "\">";
    if (finding.status == Status::fail) out += "<failure message=\"" + xml(finding.message) + "\"/>";
    if (finding.status == Status::error) out += "<error message=\"" + xml(finding.message) + "\"/>";
    if (finding.status == Status::skip) out += "<skipped/>";
    out += "</testcase>\n";
  }
  return out + "  </testsuite>\n</testsuites>\n";
}

}  // namespace

void add_findings(const Evaluation& evaluation, bool audit_warn, std::vector<Finding>& out) {
  for (const RuleResponse& rule : evaluation.rules) {
    Finding finding{evaluation.policy,
                    rule.rule,
                    rule.message,
                    evaluation.annotations["policies.kyverno.io/category"].str(),
                    evaluation.annotations["policies.kyverno.io/severity"].str(),
                    rule.status,
                    evaluation.resource};
    if (audit_warn && rule.status == Status::fail && rule.action == FailureAction::audit) finding.status = Status::warn;
    out.push_back(std::move(finding));
  }
}

Counts count(const std::vector<Finding>& findings) {
  Counts counts;
  for (const Finding& finding : findings) {
    switch (finding.status) {
      case Status::pass:
        ++counts.pass;
        break;
      case Status::fail:
        ++counts.fail;
        break;
      case Status::warn:
        ++counts.warn;
        break;
      case Status::error:
        ++counts.error;
        break;
      case Status::skip:
        ++counts.skip;
        break;
    }
  }
  return counts;
}

Result<std::string> print_findings(const std::vector<Finding>& findings, const std::string& format) {
  if (format.empty() || format == "table") return table(findings);
  if (format == "json") return json::write(report(findings), {.indent = 2}) + "\n";
  if (format == "yaml") return yaml::write(report(findings));
  if (format == "sarif") return json::write(sarif(findings), {.indent = 2}) + "\n";
  if (format == "junit") return junit(findings);
  return Error{ErrorCode::bad_request, "output \"" + format + "\" is none of table, json, yaml, sarif, junit"};
}

Value report_results(const std::vector<Finding>& findings, std::int64_t seconds) {
  Value out = Value::list();
  for (const Finding& finding : findings) {
    Value entry{{"source", "kyverno"},
                {"policy", finding.policy},
                {"rule", finding.rule},
                {"message", finding.message},
                {"result", status_name(finding.status)},
                {"scored", finding.status != Status::warn}};
    if (!finding.category.empty()) entry.set("category", finding.category);
    if (!finding.severity.empty()) entry.set("severity", finding.severity);
    if (seconds == 0) {
      const Value& metadata = finding.resource["metadata"];
      Value about{{"apiVersion", finding.resource["apiVersion"]},
                  {"kind", finding.resource["kind"]},
                  {"name", metadata["name"]}};
      if (!metadata["namespace"].as_string().empty()) about.set("namespace", metadata["namespace"]);
      entry.set("resources", Value(std::vector<Value>{about}));
    } else {
      entry.set("timestamp", Value{{"seconds", seconds}, {"nanos", 0}});
    }
    out.push_back(std::move(entry));
  }
  return out;
}

Value report_summary(const Counts& counts) {
  const auto number = [](std::size_t n) { return Value(static_cast<std::int64_t>(n)); };
  return Value{{"pass", number(counts.pass)},
               {"fail", number(counts.fail)},
               {"warn", number(counts.warn)},
               {"error", number(counts.error)},
               {"skip", number(counts.skip)}};
}

}  // namespace caisson::policy
