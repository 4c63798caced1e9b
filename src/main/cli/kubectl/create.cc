// SPDX-License-Identifier: Apache-2.0
// create KIND …, expose, run: objects made from flags, shaped as kubectl shapes them. What needs RBAC or parsing of its
// own (role, rolebinding, ingress, token) is in create_more.cc.
#include "main/cli/kubectl/create.h"

#include <algorithm>
#include <cstdio>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/patch.h"
#include "main/cli/kubectl/streams.h"
#include "main/cli/kubectl/watch.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kCreateFlags[] = {{"image", FlagKind::array},
                                     {"replicas", FlagKind::text, 'r'},
                                     {"port", FlagKind::text},
                                     {"from-literal", FlagKind::array},
                                     {"from-file", FlagKind::array},
                                     {"from-env-file", FlagKind::array},
                                     {"type", FlagKind::text},
                                     {"cert", FlagKind::text},
                                     {"key", FlagKind::text},
                                     {"docker-server", FlagKind::text},
                                     {"docker-username", FlagKind::text},
                                     {"docker-password", FlagKind::text},
                                     {"docker-email", FlagKind::text},
                                     {"tcp", FlagKind::list},
                                     {"node-port", FlagKind::text},
                                     {"clusterip", FlagKind::text},
                                     {"external-name", FlagKind::text},
                                     {"schedule", FlagKind::text},
                                     {"restart", FlagKind::text},
                                     {"from", FlagKind::text},
                                     {"hard", FlagKind::text},
                                     {"scopes", FlagKind::text},
                                     {"min-available", FlagKind::text},
                                     {"max-unavailable", FlagKind::text},
                                     {"value", FlagKind::text},
                                     {"global-default", FlagKind::boolean},
                                     {"description", FlagKind::text},
                                     {"preemption-policy", FlagKind::text},
                                     {"save-config", FlagKind::boolean},
                                     {"edit", FlagKind::boolean},
                                     {"validate", FlagKind::optional}};
constexpr FlagSpec kExposeFlags[] = {{"port", FlagKind::text},
                                     {"target-port", FlagKind::text},
                                     {"protocol", FlagKind::text},
                                     {"name", FlagKind::text},
                                     {"type", FlagKind::text},
                                     {"cluster-ip", FlagKind::text},
                                     {"external-ip", FlagKind::text},
                                     {"load-balancer-ip", FlagKind::text},
                                     {"session-affinity", FlagKind::text},
                                     {"labels", FlagKind::text}};
constexpr FlagSpec kRunFlags[] = {{"image", FlagKind::text},
                                  {"port", FlagKind::text},
                                  {"labels", FlagKind::text},
                                  {"env", FlagKind::array},
                                  {"restart", FlagKind::text},
                                  {"command", FlagKind::boolean},
                                  {"image-pull-policy", FlagKind::text},
                                  {"annotations", FlagKind::array},
                                  {"overrides", FlagKind::text},
                                  {"privileged", FlagKind::boolean},
                                  {"stdin", FlagKind::boolean, 'i'},
                                  {"tty", FlagKind::boolean, 't'},
                                  {"attach", FlagKind::boolean},
                                  {"rm", FlagKind::boolean},
                                  {"quiet", FlagKind::boolean, 'q'},
                                  {"expose", FlagKind::boolean},
                                  {"pod-running-timeout", FlagKind::text}};

const Value kEmpty() {
  return Value::map();
}

std::vector<std::string> rest_of(const Call& call) {
  return {call.arguments.begin() + 1, call.arguments.end()};
}

Result<int> create_namespace(Call& call) {
  Value object = made("v1", "Namespace", TRY(one_name(call)));
  object.set("spec", kEmpty());
  object.set("status", kEmpty());
  return finish_create(call, {"", "v1", "Namespace", "namespaces", false}, std::move(object));
}

Result<int> create_serviceaccount(Call& call) {
  return finish_create(call, {"", "v1", "ServiceAccount", "serviceaccounts"},
                       made("v1", "ServiceAccount", TRY(one_name(call))));
}

// --- data of ConfigMaps and Secrets

// "FILE", "KEY=FILE" or a directory.
Result<void> add_file(const std::string& given, std::vector<std::pair<std::string, std::string>>& out) {
  const auto equals = given.find('=');
  const std::string path = equals == std::string::npos ? given : given.substr(equals + 1);
  const std::string key = equals == std::string::npos ? std::string(path_base(given)) : given.substr(0, equals);
  if (!exists(path)) return usage("error reading " + path + ": no such file or directory");
  std::string content = TRY(read_file(path));
  out.emplace_back(key, std::move(content));
  return {};
}

Result<void> add_environment_file(const std::string& path, std::vector<std::pair<std::string, std::string>>& out) {
  if (!exists(path)) return usage("error reading " + path + ": no such file or directory");
  const std::string text = TRY(read_file(path));
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    if (line.empty() || line.starts_with('#')) continue;
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) return usage("\"" + std::string(line) + "\" is not of the form KEY=VALUE");
    out.emplace_back(line.substr(0, equals), line.substr(equals + 1));
  }
  return {};
}

Result<Value> data_of(const Call& call, bool encoded) {
  const bool mixed = call.flags.has("from-env-file") && (call.flags.has("from-file") || call.flags.has("from-literal"));
  if (mixed) return usage("from-env-file cannot be combined with from-file or from-literal");
  std::vector<std::pair<std::string, std::string>> entries;
  for (const std::string& literal : call.flags.all("from-literal")) {
    const auto equals = literal.find('=');
    if (equals == std::string::npos || equals == 0)
      return usage("invalid literal source " + literal + ", expected key=value");
    entries.emplace_back(literal.substr(0, equals), literal.substr(equals + 1));
  }
  for (const std::string& file : call.flags.all("from-file")) TRY(add_file(file, entries));
  for (const std::string& file : call.flags.all("from-env-file")) TRY(add_environment_file(file, entries));
  Value out = Value::map();
  for (const auto& [key, value] : entries) {
    if (out.contains(key))
      return usage("cannot add key \"" + key + "\", another key by that name already exists in Data");
    out.set(key, encoded ? base64(value) : value);
  }
  return out;
}

Result<int> create_configmap(Call& call) {
  Value object = made("v1", "ConfigMap", TRY(one_name(call)));
  const Value data = TRY(data_of(call, false));
  for (const auto& [key, value] : data.entries()) {
    const bool text = is_valid_utf8(value.as_string());
    object.edit(text ? "data" : "binaryData").set(key, text ? value : Value(base64(value.as_string())));
  }
  return finish_create(call, {"", "v1", "ConfigMap", "configmaps"}, std::move(object));
}

Result<int> create_secret(Call& call, std::string type, Value data) {
  Value object = made("v1", "Secret", TRY(one_name(call)));
  if (!data.empty()) object.set("data", std::move(data));
  if (!type.empty()) object.set("type", type);
  return finish_create(call, {"", "v1", "Secret", "secrets"}, std::move(object));
}
Result<int> create_secret_generic(Call& call) {
  Value data = TRY(data_of(call, true));
  return create_secret(call, call.text("type"), std::move(data));
}
Result<int> create_secret_tls(Call& call) {
  Value data = Value::map();
  for (const auto& [flag, key] : {std::pair{"cert", "tls.crt"}, std::pair{"key", "tls.key"}}) {
    const std::string path = call.text(flag);
    if (path.empty()) return usage("key and cert must be specified");
    if (!exists(path)) return usage("Cannot read file " + path + ", open " + path + ": no such file or directory");
    data.set(key, base64(TRY(read_file(path))));
  }
  return create_secret(call, "kubernetes.io/tls", std::move(data));
}
Result<int> create_secret_registry(Call& call) {
  const std::string user = call.text("docker-username"), password = call.text("docker-password");
  if (call.flags.has("from-file")) {
    Value data = TRY(data_of(call, true));
    return create_secret(call, "kubernetes.io/dockerconfigjson", std::move(data));
  }
  if (user.empty() || password.empty())
    return usage(
        "either --from-file or the combination of --docker-username, --docker-password and --docker-server is "
        "required");
  Value entry{{"username", user}, {"password", password}};
  if (call.flags.has("docker-email")) entry.set("email", call.text("docker-email"));
  entry.set("auth", base64(user + ":" + password));
  Value auths = Value::map();
  auths.set(call.text("docker-server", "https://index.docker.io/v1/"), std::move(entry));
  Value data = Value::map();
  data.set(".dockerconfigjson", base64(json::write(Value{{"auths", std::move(auths)}})));
  return create_secret(call, "kubernetes.io/dockerconfigjson", std::move(data));
}

// --- workloads

std::string image_name(std::string_view image) {
  std::string_view name =
      image.substr(image.find_last_of('/') == std::string_view::npos ? 0 : image.find_last_of('/') + 1);
  name = name.substr(0, name.find_first_of(":@"));
  return replace_all(std::string(name), "_", "-");
}

Result<int> create_deployment(Call& call) {
  if (call.arguments.empty()) return usage("exactly one NAME is required, got 0");
  const std::string name = call.arguments[0];
  const std::vector<std::string> images = call.flags.all("image"), command = rest_of(call);
  if (images.empty()) return usage("required flag(s) \"image\" not set");
  if (images.size() > 1 && !command.empty()) return usage("cannot specify multiple --image options and command");
  Value containers = Value::list();
  for (const std::string& image : images) {
    Value container{{"image", image}, {"name", image_name(image)}, {"resources", kEmpty()}};
    if (!command.empty()) container.set("command", Value::list_of(command));
    if (call.flags.has("port")) {
      const auto port = TRY(integer(call, "port"));
      Value ports = Value::list();
      ports.push_back(Value{{"containerPort", port}});
      container.set("ports", std::move(ports));
    }
    containers.push_back(std::move(container));
  }
  const Value labels{{"app", name}};
  Value object = made("apps/v1", "Deployment", name);
  object.edit("metadata").set("labels", labels);
  Value pod{{"metadata", Value{{"creationTimestamp", nullptr}, {"labels", labels}}},
            {"spec", Value{{"containers", std::move(containers)}}}};
  const std::int64_t replicas = call.flags.has("replicas") ? TRY(integer(call, "replicas")) : 1;
  object.set("spec", Value{{"replicas", replicas},
                           {"selector", Value{{"matchLabels", labels}}},
                           {"strategy", kEmpty()},
                           {"template", std::move(pod)}});
  object.set("status", kEmpty());
  return finish_create(call, schema::kDeployments, std::move(object));
}

Result<Value> job_spec(const Call& call, const std::string& name) {
  const std::vector<std::string> images = call.flags.all("image");
  if (images.empty()) return usage("either --image or --from must be specified");
  Value container{{"image", images[0]}, {"name", name}, {"resources", kEmpty()}};
  if (const auto command = rest_of(call); !command.empty()) container.set("command", Value::list_of(command));
  Value containers = Value::list();
  containers.push_back(std::move(container));
  const std::string restart = call.text("restart");
  const bool is_job = call.command.name == "create job";
  Value pod{{"containers", std::move(containers)},
            {"restartPolicy", restart.empty() ? (is_job ? "Never" : "OnFailure") : restart}};
  return Value{{"template", Value{{"metadata", Value{{"creationTimestamp", nullptr}}}, {"spec", std::move(pod)}}}};
}

Result<int> create_job(Call& call) {
  if (call.arguments.empty()) return usage("exactly one NAME is required, got 0");
  Value object = made("batch/v1", "Job", call.arguments[0]);
  if (const std::string from = call.text("from"); !from.empty()) {
    const auto slash = from.find('/');
    if (slash == std::string::npos || !from.starts_with("cronjob"))
      return usage("from must be an existing cronjob: cronjob/NAME");
    const Value cron =
        TRY(get(call, "/apis/batch/v1/namespaces/" + call.session.ns + "/cronjobs/" + from.substr(slash + 1)));
    object.set("spec", cron["spec"]["jobTemplate"]["spec"]);
    Value annotations = cron["spec"]["jobTemplate"]["metadata"]["annotations"];
    annotations.set("cronjob.kubernetes.io/instantiate", "manual");
    object.edit("metadata").set("annotations", std::move(annotations));
    if (const Value& labels = cron["spec"]["jobTemplate"]["metadata"]["labels"]; !labels.is_null())
      object.edit("metadata").set("labels", labels);
    Value owner{{"apiVersion", "batch/v1"},
                {"kind", "CronJob"},
                {"name", cron["metadata"]["name"]},
                {"uid", cron["metadata"]["uid"]},
                {"controller", true}};
    object.edit("metadata").set("ownerReferences", Value(std::vector<Value>{std::move(owner)}));
  } else {
    object.set("spec", TRY(job_spec(call, call.arguments[0])));
  }
  object.set("status", kEmpty());
  return finish_create(call, {"batch", "v1", "Job", "jobs"}, std::move(object));
}

Result<int> create_cronjob(Call& call) {
  if (call.arguments.empty()) return usage("exactly one NAME is required, got 0");
  if (!call.flags.has("schedule")) return usage("required flag(s) \"schedule\" not set");
  Value object = made("batch/v1", "CronJob", call.arguments[0]);
  Value spec = TRY(job_spec(call, call.arguments[0]));
  Value job{{"metadata", Value{{"creationTimestamp", nullptr}, {"name", call.arguments[0]}}},
            {"spec", std::move(spec)}};
  object.set("spec", Value{{"jobTemplate", std::move(job)}, {"schedule", call.text("schedule")}});
  object.set("status", kEmpty());
  return finish_create(call, {"batch", "v1", "CronJob", "cronjobs"}, std::move(object));
}

// --- services

Result<Value> service_port(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view first = text.substr(0, colon),
                         second = colon == std::string_view::npos ? first : text.substr(colon + 1);
  const auto port = parse_int(first);
  if (!port || *port < 1 || *port > 65535) return usage("invalid port: " + std::string(first));
  const auto target = parse_int(second);
  std::string name(text);
  std::replace(name.begin(), name.end(), ':', '-');
  return Value{
      {"name", name}, {"port", *port}, {"protocol", "TCP"}, {"targetPort", target ? Value(*target) : Value(second)}};
}

Result<int> create_service(Call& call, std::string_view type) {
  const std::string name = TRY(one_name(call));
  Value ports = Value::list();
  for (const std::string& text : call.flags.all("tcp")) {
    Value port = TRY(service_port(text));
    if (call.flags.has("node-port")) port.set("nodePort", TRY(integer(call, "node-port")));
    ports.push_back(std::move(port));
  }
  const std::string cluster_ip = call.text("clusterip");
  if (ports.empty() && type != "ExternalName" && cluster_ip != "None")
    return usage("at least one tcp port specifier must be provided");
  Value object = made("v1", "Service", name);
  object.edit("metadata").set("labels", Value{{"app", name}});
  Value spec{{"selector", Value{{"app", name}}}, {"type", type}};
  if (!ports.empty()) spec.set("ports", std::move(ports));
  if (!cluster_ip.empty()) spec.set("clusterIP", cluster_ip);
  if (call.flags.has("external-name")) spec.set("externalName", call.text("external-name"));
  object.set("spec", std::move(spec));
  object.set("status", Value{{"loadBalancer", kEmpty()}});
  return finish_create(call, schema::kServices, std::move(object));
}
Result<int> create_clusterip(Call& call) {
  return create_service(call, "ClusterIP");
}
Result<int> create_nodeport(Call& call) {
  return create_service(call, "NodePort");
}
Result<int> create_loadbalancer(Call& call) {
  return create_service(call, "LoadBalancer");
}
Result<int> create_externalname(Call& call) {
  if (!call.flags.has("external-name")) return usage("required flag(s) \"external-name\" not set");
  return create_service(call, "ExternalName");
}

// --- the rest

Result<int> create_quota(Call& call) {
  Value object = made("v1", "ResourceQuota", TRY(one_name(call)));
  Value spec = Value::map();
  if (const std::string hard = call.text("hard"); !hard.empty()) spec.set("hard", TRY(pairs(hard)));
  if (const std::string scopes = call.text("scopes"); !scopes.empty()) {
    Value list = Value::list();
    for (const std::string_view scope : split(scopes, ',')) list.push_back(scope);
    spec.set("scopes", std::move(list));
  }
  object.set("spec", std::move(spec));
  object.set("status", kEmpty());
  return finish_create(call, {"", "v1", "ResourceQuota", "resourcequotas"}, std::move(object));
}

Result<int> create_budget(Call& call) {
  Value object = made("policy/v1", "PodDisruptionBudget", TRY(one_name(call)));
  const std::string least = call.text("min-available"), most = call.text("max-unavailable");
  if (!call.flags.has("selector")) return usage("a selector must be specified");
  if (least.empty() == most.empty()) return usage("one of min-available or max-unavailable must be specified");
  const auto int_or_percent = [](const std::string& text) {
    const auto number = parse_int(text);
    return number ? Value(*number) : Value(text);
  };
  Value labels = TRY(pairs(call.text("selector")));
  Value spec{{"selector", Value{{"matchLabels", std::move(labels)}}}};
  spec.set(least.empty() ? "maxUnavailable" : "minAvailable", int_or_percent(least.empty() ? most : least));
  object.set("spec", std::move(spec));
  object.set("status",
             Value{{"currentHealthy", 0}, {"desiredHealthy", 0}, {"disruptionsAllowed", 0}, {"expectedPods", 0}});
  return finish_create(call, {"policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"}, std::move(object));
}

Result<int> create_priorityclass(Call& call) {
  Value object = made("scheduling.k8s.io/v1", "PriorityClass", TRY(one_name(call)));
  object.set("value", call.flags.has("value") ? TRY(integer(call, "value")) : 0);
  if (call.is_set("global-default")) object.set("globalDefault", true);
  if (call.flags.has("description")) object.set("description", call.text("description"));
  object.set("preemptionPolicy", call.text("preemption-policy", "PreemptLowerPriority"));
  return finish_create(call, {"scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false}, std::move(object));
}

Result<int> create_files(Call& call) {
  if (!call.flags.has("filename")) return usage("must specify one of -f and -k");
  if (!call.arguments.empty()) return usage("Unexpected args: [" + join(call.arguments, " ") + "]");
  for (const Target& target : TRY(read_files(call))) {
    const auto after = create(call, target.resource, target.object);
    if (!after.ok()) {
      const std::string& text = after.error().message;
      const std::string_view prefix = "Error from server (";
      const auto close = text.find("): ");
      if (!text.starts_with(prefix) || close == std::string::npos) return after.error();
      return Error{after.error().code, text.substr(0, close + 3) + "error when creating \"" +
                                           call.flags.all("filename")[0] + "\": " + text.substr(close + 3)};
    }
    Target shown = target;
    shown.name = (*after)["metadata"]["name"].str();
    TRY(print_result(call, shown, *after, "created"));
  }
  return 0;
}

Result<int> run_expose(Call& call) {
  for (const Target& target : TRY(read_targets(call, call.arguments))) {
    const std::string& kind = target.resource.kind;
    const Value& spec = target.object["spec"];
    const Value selector = call.flags.has("selector")                             ? TRY(pairs(call.text("selector")))
                           : kind == "Pod"                                        ? target.object["metadata"]["labels"]
                           : kind == "Service" || kind == "ReplicationController" ? spec["selector"]
                                                                                  : spec["selector"]["matchLabels"];
    if (selector.empty())
      return usage("couldn't retrieve selectors via --selector flag or introspection: the " + to_lower(kind) +
                   " has no labels and cannot be exposed");
    Value ports = Value::list();
    const auto add = [&](const Value& port) {
      const auto target_port = parse_int(call.text("target-port"));
      Value out{{"port", port}, {"protocol", call.text("protocol", "TCP")}};
      out.set("targetPort", call.flags.has("target-port")
                                ? (target_port ? Value(*target_port) : Value(call.text("target-port")))
                                : port);
      ports.push_back(std::move(out));
    };
    if (call.flags.has("port")) {
      for (const std::string_view text : split(call.text("port"), ',')) add(Value(parse_int(text).value_or(0)));
    } else {
      const std::vector<std::string> path = kind == "Service" ? std::vector<std::string>{} : TRY(template_path(kind));
      for (const Value& container : at(target.object, path)["spec"]["containers"].items()) {
        for (const Value& port : container["ports"].items()) add(port["containerPort"]);
      }
      for (const Value& port : kind == "Service" ? spec["ports"].items() : std::span<const Value>()) add(port["port"]);
    }
    if (ports.empty()) return usage("couldn't find port via --port flag or introspection");
    for (std::size_t i = 0; ports.size() > 1 && i < ports.size(); ++i)
      ports.edit(i).set("name", "port-" + std::to_string(i + 1));
    const std::string name = call.text("name", target.name);
    Value object = made("v1", "Service", name);
    const Value labels =
        call.flags.has("labels") ? TRY(pairs(call.text("labels"))) : target.object["metadata"]["labels"];
    if (!labels.empty()) object.edit("metadata").set("labels", labels);
    Value service{{"ports", std::move(ports)}, {"selector", selector}};
    if (call.flags.has("type")) service.set("type", call.text("type"));
    if (call.flags.has("cluster-ip")) service.set("clusterIP", call.text("cluster-ip"));
    if (call.flags.has("session-affinity")) service.set("sessionAffinity", call.text("session-affinity"));
    if (call.flags.has("external-ip")) service.set("externalIPs", Value::list_of({call.text("external-ip")}));
    object.set("spec", std::move(service));
    object.set("status", Value{{"loadBalancer", kEmpty()}});
    TRY(finish_create(call, schema::kServices, std::move(object), "exposed"));
  }
  return 0;
}

Result<int> run_run(Call& call) {
  if (call.arguments.empty()) return usage("NAME is required for run");
  if (!call.flags.has("image")) return usage("required flag(s) \"image\" not set");
  const std::string name = call.arguments[0];
  Value container{{"image", call.text("image")}, {"name", name}, {"resources", kEmpty()}};
  if (const auto words = rest_of(call); !words.empty())
    container.set(call.is_set("command") ? "command" : "args", Value::list_of(words));
  for (const std::string& variable : call.flags.all("env")) {
    const auto equals = variable.find('=');
    if (equals == std::string::npos) return usage("invalid env: " + variable);
    container.edit("env").push_back(
        Value{{"name", variable.substr(0, equals)}, {"value", variable.substr(equals + 1)}});
  }
  if (call.flags.has("port")) {
    const auto port = TRY(integer(call, "port"));
    container.edit("ports").push_back(Value{{"containerPort", port}});
  }
  if (call.flags.has("image-pull-policy")) container.set("imagePullPolicy", call.text("image-pull-policy"));
  if (call.is_set("privileged")) container.set("securityContext", Value{{"privileged", true}});
  Value object = made("v1", "Pod", name);
  object.edit("metadata")
      .set("labels", call.flags.has("labels") ? TRY(pairs(call.text("labels"))) : Value{{"run", name}});
  for (const std::string& annotation : call.flags.all("annotations"))
    object.edit({"metadata", "annotations"})
        .set(annotation.substr(0, annotation.find('=')), annotation.substr(annotation.find('=') + 1));
  object.set("spec", Value{{"containers", Value(std::vector<Value>{std::move(container)})},
                           {"dnsPolicy", "ClusterFirst"},
                           {"restartPolicy", call.text("restart", "Always")}});
  if (call.is_set("stdin"))
    object.edit({"spec", "containers"}).edit(std::size_t{0}).set("stdin", true).set("stdinOnce", true);
  if (call.is_set("tty")) object.edit({"spec", "containers"}).edit(std::size_t{0}).set("tty", true);
  if (call.flags.has("overrides"))
    object = document::merge_patch(object, TRY(json::parse(call.text("overrides")).in("--overrides")));
  object.set("status", kEmpty());
  const bool attaches = call.flags.has("attach") ? call.is_set("attach") : call.is_set("stdin") || call.is_set("tty");
  if (call.is_set("rm") && !attaches) return usage("--rm should only be used for attached containers");
  if (!call.dry_run().empty() || !attaches) return finish_create(call, schema::kPods, std::move(object));
  object.edit("metadata").set("namespace", call.session.ns);
  TRY(create(call, schema::kPods, object));
  const auto status = attach_when_running(call, name, name, wishes_of(call));
  if (call.is_set("rm")) {
    TRY(send(call, "DELETE", schema::kPods.path(call.session.ns, name), {}, "application/json", false));
    std::printf("pod \"%s\" deleted\n", name.c_str());
    std::fflush(stdout);
    TRY(follow(call, schema::kPods, call.session.ns, name, TRY(end_of_wait(call, "0s")),
               [](const Value* pod) -> Result<bool> { return pod == nullptr; }));
  }
  return status;
}

#define CREATE(NAME, HELP, USAGE, EXAMPLE, FUNCTION) \
  { "create " NAME, HELP, "create " NAME " " USAGE, "caisson create " NAME " " EXAMPLE, kCreateFlags, FUNCTION }
constexpr Command kCommands[] = {
    {"create", "Create objects from files.", "create -f FILE", "caisson create -f pod.yaml", kCreateFlags,
     create_files},
    CREATE("namespace", "Create a namespace.", "NAME", "shop", create_namespace),
    CREATE("ns", "Create a namespace.", "NAME", "shop", create_namespace),
    CREATE("serviceaccount", "Create a ServiceAccount.", "NAME", "builder", create_serviceaccount),
    CREATE("sa", "Create a ServiceAccount.", "NAME", "builder", create_serviceaccount),
    CREATE("configmap", "Create a ConfigMap from files, directories or literals.",
           "NAME [--from-file=[KEY=]FILE] [--from-literal=K=V]", "conf --from-literal=mode=fast", create_configmap),
    CREATE("cm", "Create a ConfigMap from files, directories or literals.",
           "NAME [--from-file=[KEY=]FILE] [--from-literal=K=V]", "conf --from-literal=mode=fast", create_configmap),
    CREATE("secret generic", "Create a Secret from files or literals.", "NAME [--from-literal=K=V]",
           "key --from-file=id=./id", create_secret_generic),
    CREATE("secret tls", "Create a Secret of a certificate and its key.", "NAME --cert=FILE --key=FILE",
           "web --cert=tls.crt --key=tls.key", create_secret_tls),
    CREATE("secret docker-registry", "Create a Secret for a registry.", "NAME --docker-username=U --docker-password=P",
           "pull --docker-server=registry.example.com --docker-username=u --docker-password=p", create_secret_registry),
    CREATE("deployment", "Create a Deployment.", "NAME --image=IMAGE -- [COMMAND]", "web --image=nginx --replicas=2",
           create_deployment),
    CREATE("deploy", "Create a Deployment.", "NAME --image=IMAGE -- [COMMAND]", "web --image=nginx --replicas=2",
           create_deployment),
    CREATE("job", "Create a Job.", "NAME --image=IMAGE [--from=cronjob/NAME] -- [COMMAND]",
           "once --image=busybox -- date", create_job),
    CREATE("cronjob", "Create a CronJob.", "NAME --image=IMAGE --schedule='0/5 * * * ?' -- [COMMAND]",
           "tick --image=busybox --schedule='*/5 * * * *' -- date", create_cronjob),
    CREATE("cj", "Create a CronJob.", "NAME --image=IMAGE --schedule='0/5 * * * ?' -- [COMMAND]",
           "tick --image=busybox --schedule='*/5 * * * *' -- date", create_cronjob),
    CREATE("service clusterip", "Create a Service reachable inside.", "NAME --tcp=PORT:TARGET", "web --tcp=80:8080",
           create_clusterip),
    CREATE("service nodeport", "Create a Service on a port of the nodes.", "NAME --tcp=PORT:TARGET [--node-port=N]",
           "web --tcp=80:8080", create_nodeport),
    CREATE("service loadbalancer", "Create a Service with a load balancer.", "NAME --tcp=PORT:TARGET",
           "web --tcp=80:8080", create_loadbalancer),
    CREATE("service externalname", "Create a Service that is another name.", "NAME --external-name=HOST",
           "db --external-name=db.example.com", create_externalname),
    CREATE("quota", "Create a ResourceQuota.", "NAME [--hard=K=V,…] [--scopes=…]", "small --hard=pods=5,cpu=2",
           create_quota),
    CREATE("poddisruptionbudget", "Create a PodDisruptionBudget.", "NAME --selector=L --min-available=N",
           "web --selector=app=web --min-available=50%", create_budget),
    CREATE("pdb", "Create a PodDisruptionBudget.", "NAME --selector=L --min-available=N",
           "web --selector=app=web --min-available=50%", create_budget),
    CREATE("priorityclass", "Create a PriorityClass.", "NAME --value=N", "high --value=1000", create_priorityclass),
    CREATE("pc", "Create a PriorityClass.", "NAME --value=N", "high --value=1000", create_priorityclass),
    {"expose", "Make a Service for a workload, pod or Service.",
     "expose (-f FILE | TYPE NAME) [--port=P] [--target-port=P]",
     "caisson expose deploy/web --port=80 --target-port=8080", kExposeFlags, run_expose},
    {"run", "Create and run a pod.", "run NAME --image=IMAGE [-- ARGS]",
     "caisson run shell --image=busybox --restart=Never -- sleep 60", kRunFlags, run_run},
};
#undef CREATE

}  // namespace

Value made(std::string_view api_version, std::string_view kind, const std::string& name) {
  return Value{
      {"apiVersion", api_version}, {"kind", kind}, {"metadata", Value{{"creationTimestamp", nullptr}, {"name", name}}}};
}

Result<std::string> one_name(const Call& call) {
  if (call.arguments.size() == 1) return call.arguments[0];
  return usage("exactly one NAME is required, got " + std::to_string(call.arguments.size()));
}

Result<std::int64_t> integer(const Call& call, std::string_view flag) {
  const auto number = parse_int(call.text(flag));
  if (!number) return usage("invalid argument \"" + call.text(flag) + "\" for \"--" + std::string(flag) + "\" flag");
  return *number;
}

Result<Value> pairs(std::string_view text) {
  Value out = Value::map();
  for (const std::string_view part : split(text, ',')) {
    const auto equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return usage("\"" + std::string(part) + "\" is not of the form KEY=VALUE");
    out.set(part.substr(0, equals), part.substr(equals + 1));
  }
  return out;
}

Result<int> finish_create(Call& call, const kube::Resource& resource, Value object, std::string_view verb) {
  // As kubectl: an object that is only printed has a namespace when one was asked for.
  if (resource.namespaced && (call.dry_run() != "client" || call.flags.has("namespace")))
    object.edit("metadata").set("namespace", call.session.ns);
  object.sort_keys();
  const std::string name = object["metadata"]["name"].str();
  const Value after = TRY(create(call, resource, object));
  TRY(print_result(call, {resource, call.session.ns, name, {}}, after, verb));
  return 0;
}

std::span<const Command> create_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
