// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <tuple>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "main/cli/kubectl/describe/describe.h"

namespace caisson::cli::kubectl {
namespace {

// One resource of one rule, as kubectl breaks rules up; rules for one resource that differ in their verbs only are one
// row.
struct RuleRow {
  std::string group, resource, url, name;
  std::vector<std::string> verbs;
};

std::string shown_resource(const RuleRow& row) {
  if (row.group.empty()) return row.resource;
  const auto slash = row.resource.find('/');
  if (slash == std::string::npos) return row.resource + "." + row.group;
  return row.resource.substr(0, slash) + "." + row.group + row.resource.substr(slash);
}

std::string bracketed(std::string_view text) {
  return "[" + std::string(text) + "]";
}

std::vector<RuleRow> rule_rows(const Value& rules) {
  std::vector<RuleRow> rows;
  const auto add = [&](const RuleRow& row, const Value& verbs) {
    for (const Value& verb : verbs.items()) {
      const auto same = std::find_if(rows.begin(), rows.end(), [&](const RuleRow& r) {
        return std::tie(r.group, r.resource, r.name) == std::tie(row.group, row.resource, row.name) &&
               row.url.empty() && r.url.empty();
      });
      if (same == rows.end()) {
        rows.push_back(row);
        rows.back().verbs.push_back(verb.str());
      } else if (std::find(same->verbs.begin(), same->verbs.end(), verb.str()) == same->verbs.end()) {
        same->verbs.push_back(verb.str());
      }
    }
  };
  for (const Value& rule : rules.items()) {
    for (const Value& group : rule["apiGroups"].items()) {
      for (const Value& resource : rule["resources"].items()) {
        if (rule["resourceNames"].empty()) add({group.str(), resource.str(), "", "", {}}, rule["verbs"]);
        for (const Value& name : rule["resourceNames"].items())
          add({group.str(), resource.str(), "", name.str(), {}}, rule["verbs"]);
      }
    }
    for (const Value& url : rule["nonResourceURLs"].items()) add({"", "", url.str(), "", {}}, rule["verbs"]);
  }
  return rows;
}

// kubectl's order is that of the rules as Go prints them: verbs, group, resource, name, URL.
std::string order_of(const RuleRow& row) {
  return bracketed(join(row.verbs, " ")) + bracketed(row.group) + bracketed(row.resource) + bracketed(row.name) +
         bracketed(row.url);
}

void put_rules(Page& page, const Value& rules) {
  page.put(0, "PolicyRule:\n");
  put_table_rule(page, 1, {"Resources", "Non-Resource URLs", "Resource Names", "Verbs"});
  std::vector<RuleRow> rows = rule_rows(rules);
  std::stable_sort(rows.begin(), rows.end(),
                   [](const RuleRow& a, const RuleRow& b) { return order_of(a) < order_of(b); });
  for (const RuleRow& row : rows)
    page.put(1, shown_resource(row) + "\t" + bracketed(row.url) + "\t" + bracketed(row.name) + "\t" +
                    bracketed(join(row.verbs, " ")) + "\n");
}

// A list in a column of its own, continued below its title.
void put_names(Page& page, std::string_view title, const std::vector<std::string>& names) {
  page.put(0, std::string(title) + ":");
  if (names.empty()) return page.put(0, "\t<none>\n");
  for (const std::string& name : names) page.put(0, "\t" + name + "\n");
}

void put_account_list(Page& page, std::string_view title, std::vector<std::string> names,
                      const std::vector<std::string>& known) {
  for (std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) == known.end()) name += " (not found)";
  }
  put_names(page, title, names);
}

}  // namespace

void describe_role(Page& page, const Value& role, const Related&) {
  put_name(page, role, false);
  put_metadata(page, role);
  put_rules(page, role["rules"]);
}

void describe_role_binding(Page& page, const Value& binding, const Related&) {
  put_name(page, binding, false);
  put_metadata(page, binding);
  page.put(0, "Role:\n");
  page.field(1, "Kind", binding["roleRef"]["kind"].str());
  page.field(1, "Name", binding["roleRef"]["name"].str());
  page.put(0, "Subjects:\n");
  put_table_rule(page, 1, {"Kind", "Name", "Namespace"});
  for (const Value& subject : binding["subjects"].items())
    page.put(1, subject["kind"].str() + "\t" + subject["name"].str() + "\t" + subject["namespace"].str() + "\n");
}

void describe_service_account(Page& page, const Value& account, const Related& related) {
  const std::string ns = account["metadata"]["namespace"].str();
  std::vector<std::string> known, tokens, mounted, pull;
  for (const Value& secret : items_at(related, "/api/v1/namespaces/" + ns + "/secrets")) {
    const std::string name = secret["metadata"]["name"].str();
    known.push_back(name);
    const Value& annotations = secret["metadata"]["annotations"];
    if (secret["type"].as_string() == "kubernetes.io/service-account-token" &&
        annotations["kubernetes.io/service-account.name"] == account["metadata"]["name"] &&
        annotations["kubernetes.io/service-account.uid"] == account["metadata"]["uid"])
      tokens.push_back(name);
  }
  for (const Value& reference : account["imagePullSecrets"].items()) pull.push_back(reference["name"].str());
  for (const Value& reference : account["secrets"].items()) mounted.push_back(reference["name"].str());
  put_name(page, account, true);
  put_metadata(page, account);
  put_account_list(page, "Image pull secrets", pull, known);
  put_account_list(page, "Mountable secrets", mounted, known);
  put_account_list(page, "Tokens", tokens, known);
  put_events(page, account, related);
}

void describe_secret(Page& page, const Value& secret, const Related&) {
  put_name(page, secret, true);
  put_metadata(page, secret);
  page.put(0, "\n");
  page.field(0, "Type", secret["type"].str());
  page.put(0, "\nData\n====\n");
  const bool is_token = secret["type"].as_string() == "kubernetes.io/service-account-token";
  for (const std::string& key : sorted_keys(secret["data"])) {
    const auto bytes = unbase64(secret["data"][key].as_string());
    const std::string value = bytes.ok() ? *bytes : "";
    if (is_token && key == "token")
      page.field(0, key, value);
    else
      page.field(0, key, std::to_string(value.size()) + " bytes");
  }
}

void describe_config_map(Page& page, const Value& config_map, const Related& related) {
  put_name(page, config_map, true);
  put_metadata(page, config_map);
  page.put(0, "\nData\n====\n");
  for (const std::string& key : sorted_keys(config_map["data"]))
    page.put(0, key + ":\n----\n" + config_map["data"][key].str() + "\n\n");
  page.put(0, "\nBinaryData\n====\n");
  for (const std::string& key : sorted_keys(config_map["binaryData"])) {
    const auto bytes = unbase64(config_map["binaryData"][key].as_string());
    page.put(0, key + ": " + std::to_string(bytes.ok() ? bytes->size() : 0) + " bytes\n");
  }
  page.put(0, "\n");
  put_events(page, config_map, related);
}

void describe_signing_request(Page& page, const Value& request, const Related& related) {
  const Value &spec = request["spec"], &status = request["status"];
  page.field(0, "Name", request["metadata"]["name"].str());
  put_metadata(page, request);
  page.field(0, "CreationTimestamp", long_time(request["metadata"]["creationTimestamp"]));
  page.field(0, "Requesting User", spec["username"].str());
  if (!spec["signerName"].as_string().empty()) page.field(0, "Signer", spec["signerName"].str());
  if (!spec["expirationSeconds"].is_null())
    page.field(0, "Requested Duration", format_age(std::chrono::seconds(spec["expirationSeconds"].as_int())));
  std::string state = "Pending";
  for (const Value& c : status["conditions"].items()) {
    const std::string_view type = c["type"].as_string();
    if (type == "Approved" && state == "Pending") state = "Approved";
    if (type == "Denied") state = "Denied";
    if (type == "Failed") state += ",Failed";
  }
  if (!status["certificate"].as_string().empty()) state += ",Issued";
  page.field(0, "Status", state);
  const auto pem = unbase64(spec["request"].as_string());
  put_subject(page, pem.ok() ? *pem : "");
  put_events(page, request, related);
}

}  // namespace caisson::cli::kubectl
