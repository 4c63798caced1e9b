// SPDX-License-Identifier: Apache-2.0
// scale, autoscale, set image|env|resources|serviceaccount|selector|subject.
#include <algorithm>
#include <cstdio>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/patch.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kScaleFlags[] = {{"replicas", FlagKind::text},
                                    {"current-replicas", FlagKind::text},
                                    {"resource-version", FlagKind::text},
                                    {"timeout", FlagKind::text}};
constexpr FlagSpec kAutoscaleFlags[] = {
    {"min", FlagKind::text}, {"max", FlagKind::text}, {"cpu-percent", FlagKind::text}, {"name", FlagKind::text}};
constexpr FlagSpec kSetFlags[] = {{"containers", FlagKind::text, 'c'},
                                  {"list", FlagKind::boolean},
                                  {"from", FlagKind::text},
                                  {"prefix", FlagKind::text},
                                  {"keys", FlagKind::list},
                                  {"overwrite", FlagKind::boolean},
                                  {"env", FlagKind::array, 'e'},
                                  {"limits", FlagKind::text},
                                  {"requests", FlagKind::text},
                                  {"resource-version", FlagKind::text},
                                  {"local", FlagKind::boolean},
                                  {"user", FlagKind::list},
                                  {"group", FlagKind::list},
                                  {"serviceaccount", FlagKind::list}};

Result<std::int64_t> number(const Call& call, std::string_view flag) {
  const auto parsed = parse_int(call.text(flag));
  if (!parsed) return usage("invalid argument \"" + call.text(flag) + "\" for \"--" + std::string(flag) + "\" flag");
  return *parsed;
}

Result<int> run_scale(Call& call) {
  if (!call.flags.has("replicas")) return usage("required flag(s) \"replicas\" not set");
  const std::int64_t replicas = TRY(number(call, "replicas"));
  if (replicas < 0) return usage("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0");
  auto targets = read_targets(call, call.arguments);
  if (!targets.ok() && targets.error().code == ErrorCode::not_found &&
      targets.error().message.starts_with("Error from server (NotFound): "))
    return usage("no objects passed to scale " +
                 targets.error().message.substr(std::string_view("Error from server (NotFound): ").size()));
  if (!targets.ok()) return targets.error();
  for (const Target& target : *targets) {
    const Value scale = TRY(get(call, target.path() + "/scale"));
    const std::int64_t now = scale["spec"]["replicas"].as_int();
    if (call.flags.has("current-replicas")) {
      const std::int64_t expected = TRY(number(call, "current-replicas"));
      if (expected >= 0 && now != expected)
        return usage("Expected replicas to be " + std::to_string(expected) + ", was " + std::to_string(now));
    }
    const Value body{{"spec", Value{{"replicas", replicas}}}};
    TRY(patch(call, target, body, kMergePatch, scale, "scale"));
    TRY(print_result(call, target, document::merge_patch(target.object, body), "scaled"));
  }
  return 0;
}

Result<int> run_autoscale(Call& call) {
  if (!call.flags.has("max")) return usage("required flag(s) \"max\" not set");
  const std::int64_t max = TRY(number(call, "max"));
  const std::int64_t min = call.flags.has("min") ? TRY(number(call, "min")) : -1;
  if (max < 1) return usage("--max=MAXPODS is required and must be at least 1, max: " + std::to_string(max));
  if (max < min)
    return usage("--max=MAXPODS must be larger or equal to --min=MINPODS, max: " + std::to_string(max) +
                 ", min: " + std::to_string(min));
  for (const Target& target : TRY(read_targets(call, call.arguments))) {
    const std::string name = call.text("name", target.name);
    Value spec{{"maxReplicas", max}};
    if (min > 0) spec.set("minReplicas", min);
    Value reference{
        {"apiVersion", target.resource.api_version()}, {"kind", target.resource.kind}, {"name", target.name}};
    spec.set("scaleTargetRef", std::move(reference));
    if (call.flags.has("cpu-percent")) {
      const std::int64_t percent = TRY(number(call, "cpu-percent"));
      Value cpu{{"name", "cpu"}, {"target", Value{{"type", "Utilization"}, {"averageUtilization", percent}}}};
      Value metrics = Value::list();
      metrics.push_back(Value{{"type", "Resource"}, {"resource", std::move(cpu)}});
      spec.set("metrics", std::move(metrics));
    }
    const kube::Resource resource{"autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"};
    Value object{{"apiVersion", "autoscaling/v2"},
                 {"kind", "HorizontalPodAutoscaler"},
                 {"metadata", Value{{"name", name}, {"namespace", target.ns}}},
                 {"spec", std::move(spec)}};
    const Value made = TRY(create(call, resource, object));
    TRY(print_result(call, {resource, target.ns, name, {}}, made, "autoscaled"));
  }
  return 0;
}

// --- set

struct Assignments {
  std::vector<std::string> objects;
  std::vector<std::pair<std::string, std::string>> set;
  std::vector<std::string> removed;
};
Assignments split_assignments(const std::vector<std::string>& words) {
  Assignments out;
  for (const std::string& word : words) {
    const auto equals = word.find('=');
    if (equals != std::string::npos)
      out.set.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    else if (word.size() > 1 && word.ends_with('-'))
      out.removed.push_back(word.substr(0, word.size() - 1));
    else
      out.objects.push_back(word);
  }
  return out;
}

bool is_chosen(const Call& call, const Value& container) {
  const std::string pattern = call.text("containers", "*");
  return pattern == "*" || pattern == container["name"].as_string();
}

// Sends `containers` (a list of named changes) to the pod template; says `verb` when there was something to change.
Result<void> change_containers(Call& call, const Target& target, Value containers, std::string_view verb,
                               std::string_view list = "containers") {
  if (containers.empty()) return {};
  const std::vector<std::string> path = TRY(template_path(target.resource.kind));
  Value spec = Value::map();
  spec.set(list, std::move(containers));
  const Value body = wrapped(path, Value{{"spec", std::move(spec)}});
  const Value after = TRY(patch(call, target, body, kStrategicPatch, target.object));
  return print_result(call, target, after, verb);
}

Result<int> run_set_image(Call& call) {
  const Assignments given = split_assignments(call.arguments);
  if (given.set.empty()) return usage("at least one image update is required");
  for (const Target& target : TRY(read_targets(call, given.objects))) {
    const std::vector<std::string> path = TRY(template_path(target.resource.kind));
    const Value& spec = at(target.object, path)["spec"];
    for (const char* list : {"containers", "initContainers"}) {
      Value changes = Value::list();
      for (const Value& container : spec[list].items()) {
        for (const auto& [name, image] : given.set) {
          if ((name == "*" || name == container["name"].as_string()) && container["image"].as_string() != image)
            changes.push_back(Value{{"name", container["name"]}, {"image", image}});
        }
      }
      TRY(change_containers(call, target, std::move(changes), "image updated", list));
    }
    for (const auto& [name, image] : given.set) {
      const auto is_named = [&n = name](const Value& c) { return n == "*" || c["name"].as_string() == n; };
      const auto main = spec["containers"].items(), init = spec["initContainers"].items();
      if (std::none_of(main.begin(), main.end(), is_named) && std::none_of(init.begin(), init.end(), is_named))
        return usage("unable to find container named \"" + name + "\"");
    }
  }
  return 0;
}

void list_environment(const Target& target, const Value& container) {
  std::printf("# %s %s, container %s\n", target.resource.kind.c_str(), target.name.c_str(),
              container["name"].str().c_str());
  for (const Value& variable : container["env"].items()) {
    const Value& from = variable["valueFrom"];
    if (from.is_null()) {
      std::printf("%s=%s\n", variable["name"].str().c_str(), variable["value"].str().c_str());
      continue;
    }
    const bool secret = !from["secretKeyRef"].is_null();
    const Value& reference = secret ? from["secretKeyRef"] : from["configMapKeyRef"];
    std::printf("# %s from %s %s, key %s\n", variable["name"].str().c_str(), secret ? "secret" : "configmap",
                reference["name"].str().c_str(), reference["key"].str().c_str());
  }
}

// "a.b-c" becomes "A_B_C", as kubectl names variables after keys.
std::string variable_name(std::string_view key) {
  std::string out;
  for (const char c : key) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    out += !letter ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  }
  return out;
}

Result<Value> variables_from(Call& call, const std::string& from) {
  const auto slash = from.find('/');
  if (slash == std::string::npos) return usage("--from must be of the form TYPE/NAME");
  const kube::Resource resource = TRY(resource_of(call, std::string_view(from).substr(0, slash)));
  if (resource.kind != "Secret" && resource.kind != "ConfigMap")
    return usage("unsupported resource specified in --from");
  const std::string name = from.substr(slash + 1);
  const Value source = TRY(get(call, resource.path(call.session.ns, name)));
  const std::vector<std::string> keys = call.flags.all("keys");
  Value out = Value::list();
  for (const auto& [key, value] : source["data"].entries()) {
    if (!keys.empty() && std::find(keys.begin(), keys.end(), key) == keys.end()) continue;
    const std::string variable = call.text("prefix") + variable_name(key);
    if (variable != key)
      std::fprintf(stderr, "Warning: key %s transferred to %s\n", std::string(key).c_str(), variable.c_str());
    Value reference{{"key", key}, {"name", name}};
    const char* member = resource.kind == "Secret" ? "secretKeyRef" : "configMapKeyRef";
    out.push_back(Value{{"name", variable}, {"valueFrom", Value{{member, std::move(reference)}}}});
  }
  return out;
}

Result<int> run_set_env(Call& call) {
  Assignments given = split_assignments(call.arguments);
  for (const std::string& word : call.flags.all("env")) {
    const auto more = split_assignments({word});
    given.set.insert(given.set.end(), more.set.begin(), more.set.end());
  }
  Value added = Value::list();
  if (call.flags.has("from")) added = TRY(variables_from(call, call.text("from")));
  for (const auto& [name, value] : given.set) added.push_back(Value{{"name", name}, {"value", value}});
  for (const std::string& name : given.removed) added.push_back(Value{{"name", name}, {"$patch", "delete"}});
  if (added.empty() && !call.is_set("list")) return usage("at least one environment variable must be provided");
  for (const Target& target : TRY(read_targets(call, given.objects))) {
    const std::vector<std::string> path = TRY(template_path(target.resource.kind));
    Value changes = Value::list();
    bool found = false;
    for (const Value& container : at(target.object, path)["spec"]["containers"].items()) {
      if (!is_chosen(call, container)) continue;
      found = true;
      if (call.is_set("list"))
        list_environment(target, container);
      else
        changes.push_back(Value{{"name", container["name"]}, {"env", added}});
    }
    if (!found) {
      std::fprintf(stderr, "warning: %s does not have any containers matching \"%s\"\n", target.shown().c_str(),
                   call.text("containers").c_str());
      continue;
    }
    TRY(change_containers(call, target, std::move(changes), "env updated"));
  }
  return 0;
}

Result<Value> quantities(const std::string& text) {
  Value out = Value::map();
  if (text.empty()) return out;
  for (const std::string_view part : split(text, ',')) {
    const auto equals = part.find('=');
    if (equals == std::string_view::npos)
      return usage("invalid argument syntax " + std::string(part) + ", expected <resource>=<value>");
    out.set(part.substr(0, equals), part.substr(equals + 1));
  }
  return out;
}

Result<int> run_set_resources(Call& call) {
  const Value limits = TRY(quantities(call.text("limits"))), requests = TRY(quantities(call.text("requests")));
  if (limits.empty() && requests.empty())
    return usage("you must specify an update to requests or limits (in the form of --requests/--limits)");
  Value resources = Value::map();
  if (!limits.empty()) resources.set("limits", limits);
  if (!requests.empty()) resources.set("requests", requests);
  for (const Target& target : TRY(read_targets(call, call.arguments))) {
    const std::vector<std::string> path = TRY(template_path(target.resource.kind));
    Value changes = Value::list();
    for (const Value& container : at(target.object, path)["spec"]["containers"].items()) {
      if (is_chosen(call, container)) changes.push_back(Value{{"name", container["name"]}, {"resources", resources}});
    }
    if (changes.empty()) return usage("unable to find container named " + call.text("containers"));
    TRY(change_containers(call, target, std::move(changes), "resource requirements updated"));
  }
  return 0;
}

Result<int> run_set_serviceaccount(Call& call) {
  if (call.arguments.size() < 2 && !call.flags.has("filename")) return usage("serviceaccount is required");
  std::vector<std::string> words = call.arguments;
  const std::string account = words.back();
  words.pop_back();
  for (const Target& target : TRY(read_targets(call, words))) {
    const std::vector<std::string> path = TRY(template_path(target.resource.kind));
    const Value body = wrapped(path, Value{{"spec", Value{{"serviceAccountName", account}}}});
    const Value after = TRY(patch(call, target, body, kStrategicPatch, document::merge_patch(target.object, body)));
    TRY(print_result(call, target, after, "serviceaccount updated"));
  }
  return 0;
}

Result<int> run_set_selector(Call& call) {
  if (call.arguments.size() < 2)
    return usage("one or more resources must be specified as <resource> <name> or <resource>/<name>");
  std::vector<std::string> words = call.arguments;
  Value selector = Value::map();
  for (const std::string_view part : split(words.back(), ',')) {
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) return usage("selector must be KEY=VALUE[,…], not \"" + words.back() + "\"");
    selector.set(part.substr(0, equals), part.substr(equals + 1));
  }
  words.pop_back();
  for (const Target& target : TRY(read_targets(call, words))) {
    if (target.resource.kind != "Service") return usage("setting a selector is only supported for Services");
    Value operations = Value::list();
    operations.push_back(Value{{"op", "add"}, {"path", "/spec/selector"}, {"value", selector}});
    const Value after = TRY(patch(call, target, operations, kJsonPatch, target.object));
    TRY(print_result(call, target, after, "selector updated"));
  }
  return 0;
}

Result<int> run_set_subject(Call& call) {
  Value added = Value::list();
  const auto add = [&](const char* kind, const std::string& name) {
    added.push_back(Value{{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", kind}, {"name", name}});
  };
  for (const std::string& name : call.flags.all("user")) add("User", name);
  for (const std::string& name : call.flags.all("group")) add("Group", name);
  for (const std::string& name : call.flags.all("serviceaccount")) {
    const auto parts = split(name, ':');
    if (parts.size() != 2) return usage("serviceaccount must be <namespace>:<name>");
    added.push_back(Value{{"kind", "ServiceAccount"}, {"name", parts[1]}, {"namespace", parts[0]}});
  }
  if (added.empty()) return usage("you must specify at least one value of user, group or serviceaccount");
  for (const Target& target : TRY(read_targets(call, call.arguments))) {
    Value subjects = target.object["subjects"].is_null() ? Value::list() : target.object["subjects"];
    const auto have = target.object["subjects"].items();
    for (const Value& subject : added.items()) {
      if (std::find(have.begin(), have.end(), subject) == have.end()) subjects.push_back(subject);
    }
    const Value body{{"subjects", std::move(subjects)}};
    const Value after = TRY(patch(call, target, body, kMergePatch, document::merge_patch(target.object, body)));
    TRY(print_result(call, target, after, "subjects updated"));
  }
  return 0;
}

constexpr Command kCommands[] = {
    {"scale", "Set a new size for a Deployment, ReplicaSet, ReplicationController or StatefulSet.",
     "scale --replicas=COUNT (-f FILE | TYPE NAME)", "caisson scale deploy/web --replicas=3", kScaleFlags, run_scale},
    {"autoscale", "Make a HorizontalPodAutoscaler for a workload.",
     "autoscale (-f FILE | TYPE NAME) --max=MAXPODS [--min=MINPODS]",
     "caisson autoscale deploy/web --min=2 --max=5 --cpu-percent=80", kAutoscaleFlags, run_autoscale},
    {"set image", "Update the images of a pod template.", "set image (-f FILE | TYPE NAME) CONTAINER=IMAGE ...",
     "caisson set image deploy/web web=shop/web:2", kSetFlags, run_set_image},
    {"set env", "Update the environment of a pod template.", "set env RESOURCE/NAME KEY=VALUE ... KEY-",
     "caisson set env deploy/web MODE=fast OLD-", kSetFlags, run_set_env},
    {"set resources", "Update requests and limits of a pod template.",
     "set resources (-f FILE | TYPE NAME) --limits=… --requests=…",
     "caisson set resources deploy/web --limits=cpu=200m,memory=512Mi", kSetFlags, run_set_resources},
    {"set serviceaccount", "Update the ServiceAccount of a pod template.",
     "set serviceaccount (-f FILE | TYPE NAME) ACCOUNT", "caisson set serviceaccount deploy/web shop", kSetFlags,
     run_set_serviceaccount},
    {"set selector", "Set the selector of a Service.", "set selector (-f FILE | TYPE NAME) KEY=VALUE",
     "caisson set selector svc/web app=web", kSetFlags, run_set_selector},
    {"set subject", "Add subjects to a RoleBinding or ClusterRoleBinding.",
     "set subject (-f FILE | TYPE NAME) [--user=…] [--group=…] [--serviceaccount=NS:NAME]",
     "caisson set subject rolebinding readers --user=ada", kSetFlags, run_set_subject},
};

}  // namespace

std::span<const Command> workload_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
