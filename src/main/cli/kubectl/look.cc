// SPDX-License-Identifier: Apache-2.0
// events, auth, why (why.cc), api-resources, api-versions, explain (explain.cc), cluster-info.
#include <algorithm>
#include <cstdio>
#include <map>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/cli/kubectl/dump.h"
#include "main/cli/kubectl/explain.h"
#include "main/cli/kubectl/why.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kEventFlags[] = {{"for", FlagKind::text},
                                    {"types", FlagKind::list},
                                    {"no-headers", FlagKind::boolean},
                                    {"watch", FlagKind::boolean, 'w'}};
constexpr FlagSpec kAuthFlags[] = {{"quiet", FlagKind::boolean, 'q'},
                                   {"list", FlagKind::boolean},
                                   {"no-headers", FlagKind::boolean},
                                   {"subresource", FlagKind::text},
                                   {"as", FlagKind::text}};
constexpr FlagSpec kApiFlags[] = {{"namespaced", FlagKind::text}, {"api-group", FlagKind::text},
                                  {"verbs", FlagKind::list},      {"sort-by", FlagKind::text},
                                  {"categories", FlagKind::list}, {"no-headers", FlagKind::boolean},
                                  {"cached", FlagKind::boolean}};

// --- events

std::string age_of(const Value& event) {
  const auto at = [&](const Value& text) { return parse_time(text.as_string()); };
  const Time now = system_clock().now();
  const auto first = at(event["firstTimestamp"]) ? at(event["firstTimestamp"]) : at(event["eventTime"]);
  auto last = at(event["series"]["lastObservedTime"]);
  if (!last) last = at(event["lastTimestamp"]) ? at(event["lastTimestamp"]) : first;
  const std::int64_t count = event["series"].is_null() ? event["count"].as_int() : event["series"]["count"].as_int();
  if (!last) return "<unknown>";
  std::string out = format_age(now - *last);
  if (count > 1 && first) out += " (x" + std::to_string(count) + " over " + format_age(now - *first) + ")";
  return out;
}

Result<int> run_events(Call& call) {
  const std::string ns = call.all_namespaces() ? "" : call.session.ns;
  std::string query;
  if (const std::string about = call.text("for"); !about.empty()) {
    const auto slash = about.find('/');
    if (slash == std::string::npos) return usage("--for must be in resource/name form");
    const kube::Resource resource = TRY(resource_of(call, std::string_view(about).substr(0, slash)));
    query = "?fieldSelector=" +
            percent_encode("involvedObject.kind=" + resource.kind + ",involvedObject.name=" + about.substr(slash + 1));
  }
  const Value list = TRY(get(call, schema::kEvents.path(ns) + query));
  const std::vector<std::string> types = call.flags.all("types");
  std::vector<Value> events;
  for (const Value& event : list["items"].items()) {
    const bool wanted = types.empty() || std::any_of(types.begin(), types.end(), [&](const std::string& type) {
                          return equals_ignoring_case(type, event["type"].as_string());
                        });
    if (wanted) events.push_back(event);
  }
  if (events.empty()) {
    std::fprintf(stderr, "No events found%s.\n", ns.empty() ? "" : (" in " + ns + " namespace").c_str());
    return 0;
  }
  const auto when = [](const Value& event) {
    const std::string_view last = event["lastTimestamp"].as_string();
    return std::string(last.empty() ? event["eventTime"].as_string() : last);
  };
  std::stable_sort(events.begin(), events.end(), [&](const Value& a, const Value& b) { return when(a) < when(b); });
  if (const std::string format = call.text("output"); !format.empty()) {
    TRY(print_object(call,
                     Value{{"apiVersion", "v1"},
                           {"items", Value(events)},
                           {"kind", "List"},
                           {"metadata", Value{{"resourceVersion", ""}}}},
                     format));
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  if (!call.is_set("no-headers")) rows.push_back({"LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"});
  for (const Value& event : events) {
    const Value& about = event["involvedObject"];
    rows.push_back({age_of(event), event["type"].str(), event["reason"].str(),
                    about["kind"].str() + "/" + about["name"].str(), std::string(trim(event["message"].as_string()))});
  }
  if (ns.empty()) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const bool header = rows.size() > events.size() && i == 0;
      rows[i].insert(rows[i].begin(),
                     header ? "NAMESPACE" : events[i - (rows.size() - events.size())]["metadata"]["namespace"].str());
    }
  }
  print_columns(rows);
  return 0;
}

// --- auth

Result<int> list_rules(Call& call) {
  const Value review{{"apiVersion", "authorization.k8s.io/v1"},
                     {"kind", "SelfSubjectRulesReview"},
                     {"spec", Value{{"namespace", call.session.ns}}}};
  const Value answer = TRY(send(call, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review));
  const auto words = [](const Value& list) {
    std::vector<std::string> out;
    for (const Value& word : list.items()) out.push_back(word.str());
    return "[" + join(out, " ") + "]";
  };
  std::vector<std::vector<std::string>> rows;
  if (!call.is_set("no-headers")) rows.push_back({"Resources", "Non-Resource URLs", "Resource Names", "Verbs"});
  for (const Value& rule : answer["status"]["resourceRules"].items()) {
    for (const Value& resource : rule["resources"].items()) {
      const std::string group = rule["apiGroups"][0].str();
      rows.push_back({resource.str() + (group.empty() ? "" : "." + group), "[]", words(rule["resourceNames"]),
                      words(rule["verbs"])});
    }
  }
  for (const Value& rule : answer["status"]["nonResourceRules"].items()) {
    for (const Value& url : rule["nonResourceURLs"].items())
      rows.push_back({"", "[" + url.str() + "]", "[]", words(rule["verbs"])});
  }
  print_columns(rows);
  return 0;
}

Result<int> run_can_i(Call& call) {
  if (call.is_set("list")) return list_rules(call);
  if (call.arguments.size() < 2)
    return usage("you must specify two arguments: verb resource or verb resource/resourceName.");
  const std::string verb = call.arguments[0];
  std::string what = call.arguments[1], name = call.arguments.size() > 2 ? call.arguments[2] : "";
  Value spec = Value::map();
  if (what.starts_with('/')) {
    spec.set("nonResourceAttributes", Value{{"path", what}, {"verb", verb}});
  } else {
    if (const auto slash = what.find('/'); slash != std::string::npos) {
      name = what.substr(slash + 1);
      what.resize(slash);
    }
    kube::Resource resource{"", "", "", what};
    if (what != "*") {
      const auto found = resource_of(call, what);
      if (found.ok())
        resource = *found;
      else
        std::fprintf(stderr, "Warning: %s\n\n", found.error().message.c_str());
      if (found.ok() && !resource.namespaced)
        std::fprintf(stderr, "Warning: resource '%s' is not namespace scoped%s\n\n", resource.plural.c_str(),
                     resource.group.empty() ? "" : (" in group '" + resource.group + "'").c_str());
    }
    Value attributes{{"resource", resource.plural}, {"verb", verb}};
    if (!resource.group.empty()) attributes.set("group", resource.group);
    if (!name.empty()) attributes.set("name", name);
    if (!call.all_namespaces()) attributes.set("namespace", call.session.ns);
    if (call.flags.has("subresource")) attributes.set("subresource", call.text("subresource"));
    spec.set("resourceAttributes", std::move(attributes));
  }
  const Value review{
      {"apiVersion", "authorization.k8s.io/v1"}, {"kind", "SelfSubjectAccessReview"}, {"spec", std::move(spec)}};
  const Value answer = TRY(send(call, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review));
  const bool allowed = answer["status"]["allowed"].as_bool();
  if (!call.is_set("quiet")) {
    const std::string reason = answer["status"]["reason"].str();
    std::printf("%s%s\n", allowed ? "yes" : "no", !allowed && !reason.empty() ? (" - " + reason).c_str() : "");
  }
  return allowed ? 0 : 1;
}

Result<int> run_whoami(Call& call) {
  const Value review{{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "SelfSubjectReview"}};
  const Value answer = TRY(send(call, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review));
  if (const std::string format = call.text("output"); !format.empty()) {
    TRY(print_object(call, answer, format));
    return 0;
  }
  const Value& user = answer["status"]["userInfo"];
  std::vector<std::vector<std::string>> rows{{"ATTRIBUTE", "VALUE"}, {"Username", user["username"].str()}};
  std::vector<std::string> groups;
  for (const Value& group : user["groups"].items()) groups.push_back(group.str());
  rows.push_back({"Groups", "[" + join(groups, " ") + "]"});
  print_columns(rows);
  return 0;
}

// --- discovery

struct ApiResource {
  std::string name, shorts, version, kind, group;
  bool namespaced = false;
  std::vector<std::string> verbs, categories;
};
std::vector<std::string> texts(const Value& list) {
  std::vector<std::string> out;
  for (const Value& item : list.items()) out.push_back(item.str());
  return out;
}

// The preferred version of each group, as the server lists them.
Result<std::vector<ApiResource>> api_resources(const Call& call) {
  std::vector<std::pair<std::string, std::string>> versions{{"/api/v1", "v1"}};
  const Value groups = TRY(get(call, "/apis"));
  for (const Value& group : groups["groups"].items()) {
    const std::string version = group["preferredVersion"]["groupVersion"].str();
    versions.emplace_back("/apis/" + version, version);
  }
  std::vector<ApiResource> out;
  for (const auto& [path, version] : versions) {
    const Value list = TRY(get(call, path));
    for (const Value& item : list["resources"].items()) {
      if (item["name"].as_string().find('/') != std::string_view::npos || item["verbs"].empty()) continue;
      const auto slash = version.find('/');
      out.push_back({item["name"].str(), join(texts(item["shortNames"]), ","), version, item["kind"].str(),
                     slash == std::string::npos ? "" : version.substr(0, slash), item["namespaced"].as_bool(),
                     texts(item["verbs"]), texts(item["categories"])});
    }
  }
  return out;
}

bool holds_all(const std::vector<std::string>& have, const std::vector<std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](const std::string& w) { return std::find(have.begin(), have.end(), w) != have.end(); });
}

Result<int> run_api_resources(Call& call) {
  std::vector<ApiResource> resources = TRY(api_resources(call));
  std::erase_if(resources, [&](const ApiResource& r) {
    return (call.flags.has("namespaced") && r.namespaced != (call.text("namespaced") == "true")) ||
           (call.flags.has("api-group") && r.group != call.text("api-group")) ||
           !holds_all(r.verbs, call.flags.all("verbs")) || !holds_all(r.categories, call.flags.all("categories"));
  });
  const std::string by = call.text("sort-by"), format = call.text("output");
  if (!by.empty() && by != "name" && by != "kind") return usage("--sort-by accepts only name or kind");
  std::stable_sort(resources.begin(), resources.end(), [&](const ApiResource& a, const ApiResource& b) {
    if (by == "name") return a.name < b.name;
    if (by == "kind") return a.kind < b.kind;
    return a.group != b.group ? a.group < b.group : a.name < b.name;
  });
  if (format == "name") {
    for (const ApiResource& r : resources)
      std::printf("%s%s\n", r.name.c_str(), r.group.empty() ? "" : ("." + r.group).c_str());
    return 0;
  }
  if (!format.empty() && format != "wide") return usage("--output " + format + " is not available");
  std::vector<std::vector<std::string>> rows;
  if (!call.is_set("no-headers")) rows.push_back({"NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"});
  if (format == "wide" && !rows.empty()) rows[0].insert(rows[0].end(), {"VERBS", "CATEGORIES"});
  for (const ApiResource& r : resources) {
    rows.push_back({r.name, r.shorts, r.version, r.namespaced ? "true" : "false", r.kind});
    if (format == "wide") rows.back().insert(rows.back().end(), {join(r.verbs, ","), join(r.categories, ",")});
  }
  print_columns(rows);
  return 0;
}

Result<int> run_api_versions(Call& call) {
  const Value groups = TRY(get(call, "/apis"));
  std::vector<std::string> out{"v1"};
  for (const Value& group : groups["groups"].items()) {
    for (const Value& version : group["versions"].items()) out.push_back(version["groupVersion"].str());
  }
  std::sort(out.begin(), out.end());
  for (const std::string& version : out) std::printf("%s\n", version.c_str());
  return 0;
}

Result<int> run_cluster_info(Call& call) {
  std::printf(
      "Kubernetes control plane is running at %s\n\nTo further debug and diagnose cluster problems, use 'kubectl "
      "cluster-info dump'.\n",
      call.session.connection.server.c_str());
  return 0;
}

constexpr Command kCommands[] = {
    {"events", "List events.", "events [--for TYPE/NAME] [--types=Warning]", "caisson events --for pod/web-1",
     kEventFlags, run_events},
    {"auth can-i", "Check whether an action is allowed.", "auth can-i VERB TYPE[/NAME]",
     "caisson auth can-i create deployments", kAuthFlags, run_can_i},
    {"auth whoami", "Show who the server takes you for.", "auth whoami", "caisson auth whoami", kAuthFlags, run_whoami},
    {"why",
     "Say for each node what speaks against a pod that waits.",
     "why pod NAME",
     "caisson why pod web-1",
     {},
     run_why},
    {"api-resources", "Print the kinds that the server has.", "api-resources [-o wide|name]",
     "caisson api-resources --namespaced=true", kApiFlags, run_api_resources},
    {"api-versions",
     "Print the API versions that the server has.",
     "api-versions",
     "caisson api-versions",
     {},
     run_api_versions},
    {"explain", "Show the fields of a kind.", "explain TYPE[.FIELD]", "caisson explain deployment.spec.strategy",
     kExplainFlags, run_explain},
    {"cluster-info", "Show where the API is.", "cluster-info", "caisson cluster-info", {}, run_cluster_info},
    {"cluster-info dump", "Print or store what helps to find out what is wrong: objects and logs.",
     "cluster-info dump [-A | --namespaces=a,b] [--output-directory=DIR] [-o json|yaml]",
     "caisson cluster-info dump -A --output-directory=dump", kDumpFlags, run_dump},
};

}  // namespace

std::span<const Command> look_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
