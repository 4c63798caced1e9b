// SPDX-License-Identifier: Apache-2.0
// create role, clusterrole, rolebinding, clusterrolebinding, ingress, token.
#include <algorithm>
#include <cstdio>

#include "core/base/text.h"
#include "main/cli/kubectl/create.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kRoleFlags[] = {{"verb", FlagKind::list},
                                   {"resource", FlagKind::list},
                                   {"resource-name", FlagKind::array},
                                   {"non-resource-url", FlagKind::list},
                                   {"aggregation-rule", FlagKind::text}};
constexpr FlagSpec kBindingFlags[] = {{"role", FlagKind::text},
                                      {"clusterrole", FlagKind::text},
                                      {"user", FlagKind::list},
                                      {"group", FlagKind::list},
                                      {"serviceaccount", FlagKind::list}};
constexpr FlagSpec kIngressFlags[] = {{"class", FlagKind::text},
                                      {"rule", FlagKind::array},
                                      {"annotation", FlagKind::array},
                                      {"default-backend", FlagKind::text}};
constexpr FlagSpec kTokenFlags[] = {{"audience", FlagKind::list},
                                    {"duration", FlagKind::text},
                                    {"bound-object-kind", FlagKind::text},
                                    {"bound-object-name", FlagKind::text},
                                    {"bound-object-uid", FlagKind::text}};
constexpr std::string_view kRbac = "rbac.authorization.k8s.io";

// Rules as kubectl groups them: one for each API group, in order of appearance.
Result<Value> resource_rules(const Call& call, const std::vector<std::string>& verbs) {
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  for (const std::string& given : call.flags.all("resource")) {
    const auto slash = given.find('/');
    const std::string subresource = slash == std::string::npos ? "" : given.substr(slash);
    std::string plural = given.substr(0, slash), group;
    if (plural != "*") {
      const kube::Resource resource = TRY(resource_of(call, plural));
      plural = resource.plural;
      group = resource.group;
    }
    auto found = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == group; });
    if (found == groups.end()) found = groups.insert(groups.end(), {group, {}});
    found->second.push_back(plural + subresource);
  }
  Value rules = Value::list();
  for (const auto& [group, resources] : groups) {
    Value rule{{"apiGroups", Value::list_of({group})},
               {"resources", Value::list_of(resources)},
               {"verbs", Value::list_of(verbs)}};
    if (const auto names = call.flags.all("resource-name"); !names.empty())
      rule.set("resourceNames", Value::list_of(names));
    rules.push_back(std::move(rule));
  }
  return rules;
}

Result<int> create_role_of(Call& call, bool cluster) {
  Value object = made("rbac.authorization.k8s.io/v1", cluster ? "ClusterRole" : "Role", TRY(one_name(call)));
  const std::vector<std::string> verbs = call.flags.all("verb"), urls = call.flags.all("non-resource-url");
  const bool aggregates = cluster && call.flags.has("aggregation-rule");
  if (aggregates) {
    if (!verbs.empty() || !urls.empty() || call.flags.has("resource") || call.flags.has("resource-name"))
      return usage("aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames");
    Value labels = TRY(pairs(call.text("aggregation-rule")));
    Value selector{{"matchLabels", std::move(labels)}};
    object.set("aggregationRule", Value{{"clusterRoleSelectors", Value(std::vector<Value>{std::move(selector)})}});
    object.set("rules", Value());
  } else {
    if (verbs.empty()) return usage("at least one verb must be specified");
    if (!call.flags.has("resource") && urls.empty())
      return usage(cluster ? "one of resource or nonResourceURL must be specified"
                           : "at least one resource must be specified");
    Value rules = TRY(resource_rules(call, verbs));
    if (!urls.empty())
      rules.push_back(Value{{"nonResourceURLs", Value::list_of(urls)}, {"verbs", Value::list_of(verbs)}});
    object.set("rules", std::move(rules));
  }
  return finish_create(call, cluster ? schema::kClusterRoles : schema::kRoles, std::move(object));
}
Result<int> create_role(Call& call) {
  return create_role_of(call, false);
}
Result<int> create_clusterrole(Call& call) {
  return create_role_of(call, true);
}

Result<int> create_binding_of(Call& call, bool cluster) {
  Value object =
      made("rbac.authorization.k8s.io/v1", cluster ? "ClusterRoleBinding" : "RoleBinding", TRY(one_name(call)));
  const std::string role = call.text("role"), cluster_role = call.text("clusterrole");
  if (role.empty() == cluster_role.empty()) return usage("exactly one of clusterrole or role must be specified");
  object.set("roleRef", Value{{"apiGroup", kRbac},
                              {"kind", role.empty() ? "ClusterRole" : "Role"},
                              {"name", role.empty() ? cluster_role : role}});
  Value subjects = Value::list();
  for (const std::string& name : call.flags.all("user"))
    subjects.push_back(Value{{"apiGroup", kRbac}, {"kind", "User"}, {"name", name}});
  for (const std::string& name : call.flags.all("group"))
    subjects.push_back(Value{{"apiGroup", kRbac}, {"kind", "Group"}, {"name", name}});
  for (const std::string& name : call.flags.all("serviceaccount")) {
    const auto parts = split(name, ':');
    if (parts.size() != 2 || parts[0].empty() || parts[1].empty())
      return usage("serviceaccount must be <namespace>:<name>");
    subjects.push_back(Value{{"kind", "ServiceAccount"}, {"name", parts[1]}, {"namespace", parts[0]}});
  }
  if (!subjects.empty()) object.set("subjects", std::move(subjects));
  return finish_create(call, cluster ? schema::kClusterRoleBindings : schema::kRoleBindings, std::move(object));
}
Result<int> create_rolebinding(Call& call) {
  return create_binding_of(call, false);
}
Result<int> create_clusterrolebinding(Call& call) {
  return create_binding_of(call, true);
}

// --- ingress

Result<Value> backend(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return usage("backend must be SERVICE:PORT, not \"" + std::string(text) + "\"");
  const std::string_view port = text.substr(colon + 1);
  const auto number = parse_int(port);
  Value of = Value::map();
  of.set(number ? "number" : "name", number ? Value(*number) : Value(port));
  return Value{{"service", Value{{"name", text.substr(0, colon)}, {"port", std::move(of)}}}};
}

struct Rule {
  std::string host;
  Value paths = Value::list();
};
// "host/path*=service:port[,tls[=secret]]"
Result<void> add_rule(const std::string& text, std::vector<Rule>& rules, Value& tls) {
  const auto equals = text.find('=');
  if (equals == std::string::npos)
    return usage("rule " + text + " is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]");
  const auto parts = split(std::string_view(text).substr(equals + 1), ',');
  std::string host = text.substr(0, equals), path;
  if (const auto slash = host.find('/'); slash != std::string::npos) {
    path = host.substr(slash);
    host.resize(slash);
  }
  const bool prefix = path.ends_with('*');
  if (prefix) path.pop_back();
  auto found = std::find_if(rules.begin(), rules.end(), [&](const Rule& r) { return r.host == host; });
  if (found == rules.end()) found = rules.insert(rules.end(), Rule{host, Value::list()});
  Value to = TRY(backend(parts[0]));
  found->paths.push_back(Value{{"backend", std::move(to)}, {"path", path}, {"pathType", prefix ? "Prefix" : "Exact"}});
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (!parts[i].starts_with("tls")) continue;
    Value entry = Value::map();
    if (!host.empty()) entry.set("hosts", Value::list_of({host}));
    if (parts[i].starts_with("tls=")) entry.set("secretName", parts[i].substr(4));
    tls.push_back(std::move(entry));
  }
  return {};
}

Result<int> create_ingress(Call& call) {
  Value object = made("networking.k8s.io/v1", "Ingress", TRY(one_name(call)));
  std::vector<Rule> rules;
  Value tls = Value::list(), spec = Value::map(), list = Value::list();
  if (!call.flags.has("rule") && !call.flags.has("default-backend"))
    return usage(
        "not enough information provided: every ingress has to either specify a default-backend (which catches all "
        "traffic) or a list of rules (which catch specific paths)");
  for (const std::string& text : call.flags.all("rule")) TRY(add_rule(text, rules, tls));
  for (Rule& rule : rules) {
    Value one = Value::map();
    if (!rule.host.empty()) one.set("host", rule.host);
    one.set("http", Value{{"paths", std::move(rule.paths)}});
    list.push_back(std::move(one));
  }
  if (call.flags.has("class")) spec.set("ingressClassName", call.text("class"));
  if (call.flags.has("default-backend")) spec.set("defaultBackend", TRY(backend(call.text("default-backend"))));
  if (!list.empty()) spec.set("rules", std::move(list));
  if (!tls.empty()) spec.set("tls", std::move(tls));
  for (const std::string& annotation : call.flags.all("annotation")) {
    const auto equals = annotation.find('=');
    if (equals == std::string::npos) return usage("invalid annotation: " + annotation);
    object.edit({"metadata", "annotations"}).set(annotation.substr(0, equals), annotation.substr(equals + 1));
  }
  object.set("spec", std::move(spec));
  object.set("status", Value{{"loadBalancer", Value::map()}});
  return finish_create(call, schema::kIngresses, std::move(object));
}

Result<int> create_token(Call& call) {
  const std::string name = TRY(one_name(call));
  Value spec = Value::map();
  if (const auto audiences = call.flags.all("audience"); !audiences.empty())
    spec.set("audiences", Value::list_of(audiences));
  if (call.flags.has("duration")) {
    const Duration time = TRY(parse_duration(call.text("duration")));
    spec.set("expirationSeconds", std::chrono::duration_cast<std::chrono::seconds>(time).count());
  }
  if (call.flags.has("bound-object-kind"))
    spec.set("boundObjectRef", Value{{"apiVersion", "v1"},
                                     {"kind", call.text("bound-object-kind")},
                                     {"name", call.text("bound-object-name")}});
  const Value request{{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenRequest"}, {"spec", std::move(spec)}};
  const Value answer =
      TRY(send(call, "POST", schema::kServiceAccounts.path(call.session.ns, name) + "/token", request));
  if (const std::string format = call.text("output"); !format.empty())
    TRY(print_object(call, answer, format));
  else
    std::printf("%s\n", answer["status"]["token"].str().c_str());
  return 0;
}

constexpr Command kCommands[] = {
    {"create role", "Create a Role.", "create role NAME --verb=V --resource=R",
     "caisson create role reader --verb=get,list --resource=pods", kRoleFlags, create_role},
    {"create clusterrole", "Create a ClusterRole.", "create clusterrole NAME --verb=V --resource=R",
     "caisson create clusterrole reader --verb=get --resource=nodes", kRoleFlags, create_clusterrole},
    {"create rolebinding", "Create a RoleBinding.", "create rolebinding NAME --role=R --user=U",
     "caisson create rolebinding readers --role=reader --user=ada", kBindingFlags, create_rolebinding},
    {"create clusterrolebinding", "Create a ClusterRoleBinding.",
     "create clusterrolebinding NAME --clusterrole=R --user=U",
     "caisson create clusterrolebinding readers --clusterrole=view --group=dev", kBindingFlags,
     create_clusterrolebinding},
    {"create ingress", "Create an Ingress.", "create ingress NAME --rule=HOST/PATH=SERVICE:PORT[,tls=SECRET]",
     "caisson create ingress web --rule='shop.example.com/*=web:80'", kIngressFlags, create_ingress},
    {"create ing", "Create an Ingress.", "create ing NAME --rule=HOST/PATH=SERVICE:PORT[,tls=SECRET]",
     "caisson create ing web --rule='shop.example.com/*=web:80'", kIngressFlags, create_ingress},
    {"create token", "Request a token of a ServiceAccount.", "create token ACCOUNT",
     "caisson create token builder --duration=1h", kTokenFlags, create_token},
};

}  // namespace

std::span<const Command> create_more_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
