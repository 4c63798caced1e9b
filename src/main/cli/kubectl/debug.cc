// SPDX-License-Identifier: Apache-2.0
// debug: an ephemeral container in a pod, a copy of a pod that can be changed, or a pod in a node's namespaces.
#include <unistd.h>

#include <cstdio>

#include "core/base/encoding.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "main/cli/kubectl/streams.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kDebugFlags[] = {{"image", FlagKind::text},
                                    {"container", FlagKind::text, 'c'},
                                    {"target", FlagKind::text},
                                    {"env", FlagKind::array},
                                    {"image-pull-policy", FlagKind::text},
                                    {"stdin", FlagKind::boolean, 'i'},
                                    {"tty", FlagKind::boolean, 't'},
                                    {"attach", FlagKind::boolean},
                                    {"quiet", FlagKind::boolean, 'q'},
                                    {"copy-to", FlagKind::text},
                                    {"replace", FlagKind::boolean},
                                    {"same-node", FlagKind::boolean},
                                    {"share-processes", FlagKind::boolean},
                                    {"set-image", FlagKind::list},
                                    {"arguments-only", FlagKind::boolean},
                                    {"profile", FlagKind::text},
                                    {"keep-labels", FlagKind::boolean},
                                    {"keep-annotations", FlagKind::boolean},
                                    {"keep-liveness", FlagKind::boolean},
                                    {"keep-readiness", FlagKind::boolean},
                                    {"keep-startup", FlagKind::boolean},
                                    {"pod-running-timeout", FlagKind::text}};
bool attaches(const Call& call) {
  return call.flags.has("attach") ? call.is_set("attach") : call.is_set("stdin");
}

std::string debugger_name(const Call& call) {
  if (call.flags.has("container")) return call.text("container");
  const std::string name = "debugger-" + random_name_suffix(5);
  if (!call.is_set("quiet")) std::printf("Defaulting debug container name to %s.\n", name.c_str());
  std::fflush(stdout);
  return name;
}

// The debugger's container, from the flags; arguments after "--" are its command.
Result<Value> debugger(const Call& call, const std::string& name) {
  Value out{{"name", name}, {"image", call.text("image")}, {"terminationMessagePolicy", "File"}};
  if (call.flags.has("image-pull-policy")) out.set("imagePullPolicy", call.text("image-pull-policy"));
  if (call.is_set("stdin")) out.set("stdin", true);
  if (call.is_set("tty")) out.set("tty", true);
  if (call.arguments.size() > 1)
    out.set(call.is_set("arguments-only") ? "args" : "command",
            Value::list_of({call.arguments.begin() + 1, call.arguments.end()}));
  for (const std::string& variable : call.flags.all("env")) {
    const auto equals = variable.find('=');
    if (equals == std::string::npos) return usage("invalid env: " + variable);
    out.edit("env").push_back(Value{{"name", variable.substr(0, equals)}, {"value", variable.substr(equals + 1)}});
  }
  return out;
}

// --profile, as far as it concerns a container: general lets it trace others, sysadmin is privileged, netadmin may set
// up networks, restricted may do nothing.
Result<void> apply_profile(const Call& call, Value& container) {
  const std::string profile = call.text("profile", "legacy");
  const auto add = [&](const std::vector<std::string>& names) {
    container.set("securityContext", Value{{"capabilities", Value{{"add", Value::list_of(names)}}}});
  };
  if (profile == "general" || profile == "baseline") {
    if (profile == "general") add({"SYS_PTRACE"});
  } else if (profile == "netadmin") {
    add({"NET_ADMIN", "NET_RAW"});
  } else if (profile == "sysadmin") {
    container.set("securityContext", Value{{"privileged", true}});
  } else if (profile == "restricted") {
    container.set("securityContext", Value{{"allowPrivilegeEscalation", false},
                                           {"capabilities", Value{{"drop", Value::list_of({"ALL"})}}},
                                           {"runAsNonRoot", true},
                                           {"seccompProfile", Value{{"type", "RuntimeDefault"}}}});
  } else if (profile != "legacy") {
    return usage("unknown profile: " + profile);
  }
  return {};
}

Result<int> shown_or_attached(Call& call, const std::string& pod, const std::string& container) {
  if (!attaches(call)) return 0;
  return attach_when_running(call, pod, container, wishes_of(call));
}

Result<int> debug_in_place(Call& call, const std::string& pod) {
  if (!call.flags.has("image")) return usage("you must specify --image when not using --copy-to");
  const std::string path = schema::kPods.path(call.session.ns, pod);
  const Value found = TRY(get(call, path));
  const std::string target = call.text("target"), name = debugger_name(call);
  if (!target.empty() && !call.is_set("quiet"))
    std::printf(
        "Targeting container \"%s\". If you don't see processes from this container it may be because the container "
        "runtime doesn't support this feature.\n",
        target.c_str());
  Value container = TRY(debugger(call, name));
  TRY(apply_profile(call, container));
  if (!target.empty()) container.set("targetContainerName", target);
  const Value body{{"spec", Value{{"ephemeralContainers", Value(std::vector<Value>{std::move(container)})}}}};
  const Value after = TRY(send(call, "PATCH", path + "/ephemeralcontainers", body, kStrategicPatch));
  if (!call.text("output").empty()) TRY(print_object(call, after, call.text("output")));
  return shown_or_attached(call, pod, name);
}

// A pod like `pod` that no controller and no Service takes for its own.
Value copy_of(const Call& call, const Value& pod) {
  Value spec = pod["spec"];
  for (const char* member : {"nodeName", "ephemeralContainers", "priority"}) spec.erase(member);
  if (call.is_set("same-node")) spec.set("nodeName", pod["spec"]["nodeName"]);
  if (!call.flags.has("share-processes") || call.is_set("share-processes")) spec.set("shareProcessNamespace", true);
  for (std::size_t i = 0; i < spec["containers"].size(); ++i) {
    Value& container = spec.edit("containers").edit(i);
    for (const auto& [flag, probe] : {std::pair("keep-liveness", "livenessProbe"),
                                      {"keep-readiness", "readinessProbe"},
                                      {"keep-startup", "startupProbe"}}) {
      if (!call.is_set(flag)) container.erase(probe);
    }
  }
  Value metadata{{"name", call.text("copy-to")}, {"namespace", call.session.ns}};
  if (call.is_set("keep-labels")) metadata.set("labels", pod["metadata"]["labels"]);
  if (call.is_set("keep-annotations")) metadata.set("annotations", pod["metadata"]["annotations"]);
  return Value{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", std::move(metadata)}, {"spec", std::move(spec)}};
}

Result<int> debug_copy(Call& call, const std::string& pod) {
  const Value found = TRY(get(call, schema::kPods.path(call.session.ns, pod)));
  Value copy = copy_of(call, found);
  for (const std::string& change : call.flags.all("set-image")) {
    const auto equals = change.find('=');
    if (equals == std::string::npos) return usage("invalid --set-image: \"" + change + "\" is not CONTAINER=IMAGE");
    for (std::size_t i = 0; i < copy["spec"]["containers"].size(); ++i) {
      Value& container = copy.edit({"spec", "containers"}).edit(i);
      if (change.substr(0, equals) == "*" || container["name"].as_string() == change.substr(0, equals))
        container.set("image", change.substr(equals + 1));
    }
  }
  std::string name = call.text("container");
  const auto containers = copy["spec"]["containers"].items();
  const auto existing =
      std::find_if(containers.begin(), containers.end(), [&](const Value& c) { return c["name"].as_string() == name; });
  if (!name.empty() && existing != containers.end()) {
    Value& changed = copy.edit({"spec", "containers"}).edit(static_cast<std::size_t>(existing - containers.begin()));
    if (call.flags.has("image")) changed.set("image", call.text("image"));
    if (call.arguments.size() > 1) {
      changed.set("command", Value::list_of({call.arguments.begin() + 1, call.arguments.end()}));
      changed.erase("args");
    }
    if (call.is_set("stdin")) changed.set("stdin", true);
    if (call.is_set("tty")) changed.set("tty", true);
  } else if (call.flags.has("image")) {
    name = debugger_name(call);
    Value added = TRY(debugger(call, name));
    TRY(apply_profile(call, added));
    copy.edit({"spec", "containers"}).push_back(std::move(added));
  } else if (!call.flags.has("set-image")) {
    return usage("you must specify an existing container or a new image when using --copy-to");
  }
  const Value made = TRY(create(call, schema::kPods, copy));
  if (call.is_set("replace"))
    TRY(send(call, "DELETE", schema::kPods.path(call.session.ns, pod), {}, "application/json", false));
  if (!call.text("output").empty()) TRY(print_object(call, made, call.text("output")));
  return name.empty() ? Result<int>(0) : shown_or_attached(call, call.text("copy-to"), name);
}

Result<int> debug_node(Call& call, const std::string& node) {
  if (!call.flags.has("image")) return usage("you must specify --image when debugging a node");
  TRY(get(call, schema::kNodes.path("", node)));
  const std::string pod = "node-debugger-" + node + "-" + random_name_suffix(5),
                    name = call.text("container", "debugger");
  Value container = TRY(debugger(call, name));
  TRY(apply_profile(call, container));
  container.edit("volumeMounts").push_back(Value{{"mountPath", "/host"}, {"name", "host-root"}});
  Value volumes = Value::list();
  volumes.push_back(Value{{"name", "host-root"}, {"hostPath", Value{{"path", "/"}}}});
  Value tolerations = Value::list();
  tolerations.push_back(Value{{"operator", "Exists"}});
  Value spec{{"containers", Value(std::vector<Value>{std::move(container)})},
             {"hostIPC", true},
             {"hostNetwork", true},
             {"hostPID", true},
             {"nodeName", node},
             {"restartPolicy", "Never"},
             {"tolerations", std::move(tolerations)},
             {"volumes", std::move(volumes)}};
  const Value made =
      TRY(create(call, schema::kPods,
                 Value{{"apiVersion", "v1"},
                       {"kind", "Pod"},
                       {"metadata", Value{{"name", pod},
                                          {"namespace", call.session.ns},
                                          {"labels", Value{{"app.kubernetes.io/managed-by", "kubectl-debug"}}}}},
                       {"spec", std::move(spec)}}));
  if (!call.is_set("quiet"))
    std::printf("Creating debugging pod %s with container %s on node %s.\n", pod.c_str(), name.c_str(), node.c_str());
  std::fflush(stdout);
  return shown_or_attached(call, pod, name);
}

Result<int> run_debug(Call& call) {
  if (call.arguments.empty() || (call.flags.has_dash() && call.flags.arguments_before_dash() == 0))
    return usage("NAME or TYPE/NAME is required for debug");
  const std::string word = call.arguments[0];
  const auto slash = word.find('/');
  const kube::Resource resource =
      slash == std::string::npos ? schema::kPods : TRY(resource_of(call, std::string_view(word).substr(0, slash)));
  const std::string name = slash == std::string::npos ? word : word.substr(slash + 1);
  if (call.is_set("tty") && !call.is_set("stdin"))
    return usage("-i/--stdin is required for containers with -t/--tty=true");
  if (resource == schema::kNodes) return debug_node(call, name);
  if (resource != schema::kPods) return usage("\"" + resource.kind + "\" not supported by debug");
  return call.flags.has("copy-to") ? debug_copy(call, name) : debug_in_place(call, name);
}

constexpr Command kCommands[] = {
    {"debug", "Debug a pod or a node with a container of its own.",
     "debug (POD | TYPE/NAME) --image=IMAGE [-it] [--target=CONTAINER] [--copy-to=POD] [-- COMMAND]",
     "caisson debug web-1 -it --image=busybox --target=web", kDebugFlags, run_debug},
};

}  // namespace

std::span<const Command> debug_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
