// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/task_spec.h"

#include <algorithm>
#include <set>

#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/pipeline/params.h"
#include "delivery/pipeline/step.h"

namespace caisson::pipeline {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

const Value* find_named(const Value& list, std::string_view name) {
  for (const Value& item : list.items()) {
    if (item["name"].as_string() == name) return &item;
  }
  return nullptr;
}

// Everything that belongs to one plan while it is made.
class Planner {
 public:
  Planner(const kube::Object& run, const Value& spec, const std::string& task_name, const Credentials& credentials,
          const PodSettings& settings, const FindStepAction& find_action)
      : run_(run),
        spec_(spec),
        task_name_(task_name),
        credentials_(credentials),
        settings_(settings),
        find_action_(find_action) {}

  Result<TaskPlan> make() {
    TRY(check_task_spec(spec_));
    declare_bound_workspaces();
    TRY(fill_scope());
    TRY(check_references(spec_, scope_, "params.", "task " + task_name_));
    TRY(check_references(spec_, scope_, "workspaces.", "task " + task_name_));
    TaskPlan out;
    out.spec = TRY(resolve_steps(TRY(substitute(spec_, scope_)), find_action_));
    TRY(check_task_spec(out.spec));  // again: a variable may have become what it must not be
    TRY(bind_workspaces(out.spec));
    out.pod = TRY(make_pod(out.spec));
    if (!scripts_.empty()) {
      out.scripts = kube::Object::make(schema::kConfigMaps, run_.ns(), scripts_name());
      out.scripts.set_controller(run_);
      out.scripts.edit().set("data", scripts_);
    }
    if (const Value files = credential_data(credentials_); !files.is_null()) {
      out.credentials = kube::Object::make(schema::kSecrets, run_.ns(), credentials_name());
      out.credentials.set_controller(run_);
      out.credentials.edit().set("data", files);
    }
    return out;
  }

 private:
  // An embedded task has what its run binds (docs/taskruns.md, "Propagated Workspaces").
  void declare_bound_workspaces() {
    if (run_.spec()["taskSpec"].is_null()) return;
    for (const Value& binding : run_.spec()["workspaces"].items()) {
      if (find_named(spec_["workspaces"], binding["name"].as_string()) != nullptr) continue;
      spec_.edit("workspaces").push_back(Value{{"name", binding["name"]}});
    }
  }

  Result<void> fill_scope() {
    TRY(add_params(scope_, spec_["params"], run_.spec()["params"]));
    scope_.set("context.taskRun.name", run_.name());
    scope_.set("context.taskRun.namespace", run_.ns());
    scope_.set("context.taskRun.uid", run_.uid());
    scope_.set("context.task.name", task_name_);
    scope_.set("context.task.retry-count", std::to_string(run_.status()["retriesStatus"].size()));
    for (const Value& result : spec_["results"].items())
      scope_.set("results." + result["name"].str() + ".path", "/tekton/results/" + result["name"].str());
    for (const Value& declared : spec_["workspaces"].items()) {
      const std::string name = declared["name"].str(), prefix = "workspaces." + name + ".";
      const Value* binding = find_named(run_.spec()["workspaces"], name);
      if (binding == nullptr && !declared["optional"].as_bool())
        return invalid("task " + task_name_ + " needs the workspace \"" + name + "\", which the run does not bind");
      scope_.set(prefix + "bound", binding != nullptr ? "true" : "false");
      scope_.set(prefix + "path", binding != nullptr ? mount_path(declared) : "");
      scope_.set(prefix + "claim", binding != nullptr ? (*binding)["persistentVolumeClaim"]["claimName"].str() : "");
      scope_.set(prefix + "volume", binding != nullptr ? volume_name(name) : "");
    }
    for (const Value& binding : run_.spec()["workspaces"].items()) {
      if (find_named(spec_["workspaces"], binding["name"].as_string()) == nullptr)
        return invalid("the run binds the workspace \"" + binding["name"].str() + "\", which task " + task_name_ +
                       " does not declare");
    }
    return {};
  }

  // Of this try: a script may hold $(context.task.retry-count).
  std::string scripts_name() const { return child_name(pod_name(run_), "-scripts"); }

  std::string credentials_name() const { return child_name(pod_name(run_), "-credentials"); }

  static std::string mount_path(const Value& declared) {
    const std::string path = declared["mountPath"].str();
    return path.empty() ? "/workspace/" + declared["name"].str() : path;
  }
  static std::string volume_name(const std::string& workspace) { return "ws-" + sha256_hex(workspace).substr(0, 8); }

  Result<void> bind_workspaces(const Value& spec) {
    for (const Value& declared : spec["workspaces"].items()) {
      const Value* bound = find_named(run_.spec()["workspaces"], declared["name"].as_string());
      if (bound == nullptr) continue;
      const Value binding = TRY(substitute(*bound, scope_));
      const std::string name = volume_name(declared["name"].str());
      volumes_.push_back(TRY(workspace_volume(binding, name)));
      Value mount{{"name", name}, {"mountPath", mount_path(declared)}};
      if (const std::string sub_path = binding["subPath"].str(); !sub_path.empty()) mount.set("subPath", sub_path);
      if (declared["readOnly"].as_bool()) mount.set("readOnly", true);
      workspace_mounts_.push_back(mount);
      mounted_.push_back(declared["name"].str());
    }
    for (const char* list : {"steps", "sidecars"}) {
      for (const Value& container : spec[list].items())
        for (const Value& one : container["workspaces"].items()) {
          if (find_named(spec["workspaces"], one["name"].as_string()) == nullptr)
            return invalid("undefined workspace \"" + one["name"].str() + "\" of " + container["name"].str());
          isolated_.insert(one["name"].str());
        }
    }
    return {};
  }

  // A workspace that a step or sidecar asks for itself is in those alone (docs/workspaces.md, "Isolated Workspaces").
  Value workspaces_of(const Value& container) const {
    Value out = Value::list();
    for (std::size_t i = 0; i < mounted_.size(); ++i) {
      const Value* own = find_named(container["workspaces"], mounted_[i]);
      if (own == nullptr && isolated_.contains(mounted_[i])) continue;
      Value mount = workspace_mounts_[i];
      if (own != nullptr && !(*own)["mountPath"].as_string().empty()) mount.set("mountPath", (*own)["mountPath"]);
      out.push_back(std::move(mount));
    }
    return out;
  }

  void add_volume(std::string_view name, std::string_view mount_path, Value source) {
    Value volume{{"name", name}};
    for (const auto& entry : source.entries()) volume.set(entry.key, entry.value);
    volumes_.push_back(volume);
    mounts_.push_back(Value{{"name", name}, {"mountPath", mount_path}});
  }

  // Every step sees these.
  void add_own_volumes() {
    const Value empty{{"emptyDir", Value::map()}};
    add_volume("tekton-results", "/tekton/results", empty);
    add_volume("tekton-steps", kStepsDirectory, empty);
    add_volume("tekton-home", kHome, empty);
    add_volume("tekton-workspace", "/workspace", empty);
    for (const Credentials::Https& https : credentials_.https)
      add_volume("cred-" + sha256_hex(https.secret).substr(0, 8), "/tekton/creds-secrets/" + https.secret,
                 Value{{"secret", Value{{"secretName", https.secret}, {"defaultMode", 0444}}}});
    add_credential_volumes(credentials_, credentials_name(), volumes_);
  }

  // git's settings by environment, which works whatever HOME is and leaves `git config --global` to the step.
  std::vector<std::pair<std::string, std::string>> git_environment(const TraceContext& trace) const {
    constexpr std::string_view kAccount = "/var/run/secrets/kubernetes.io/serviceaccount/";
    const std::string ours = settings_.git_url;
    std::vector<std::pair<std::string, std::string>> config = {
        {"credential." + ours + ".helper",
         "!f() { test \"$1\" = get && echo username=serviceaccount && echo password=`cat " + std::string(kAccount) +
             "token`; }; f"},
        {"http." + ours + "/.sslCAInfo", std::string(kAccount) + "ca.crt"},
        {"safe.directory", "*"},
    };
    if (!settings_.portal_url.empty()) config.emplace_back("url." + ours + "/.insteadOf", settings_.portal_url + "/");
    if (!trace.empty()) config.emplace_back("http." + ours + "/.extraHeader", "traceparent: " + trace.traceparent());
    for (const Credentials::Https& https : credentials_.https) {
      const std::string files = "/tekton/creds-secrets/" + https.secret + "/";
      for (const std::string& url : https.urls)
        config.emplace_back("credential." + url + ".helper", "!f() { test \"$1\" = get && echo username=`cat " + files +
                                                                 "username` && echo password=`cat " + files +
                                                                 "password`; }; f");
    }
    std::vector<std::pair<std::string, std::string>> out = {{"GIT_CONFIG_COUNT", std::to_string(config.size())}};
    for (std::size_t i = 0; i < config.size(); ++i) {
      out.emplace_back("GIT_CONFIG_KEY_" + std::to_string(i), config[i].first);
      out.emplace_back("GIT_CONFIG_VALUE_" + std::to_string(i), config[i].second);
    }
    return out;
  }

  std::vector<std::pair<std::string, std::string>> environment(const TraceContext& trace) const {
    auto out = git_environment(trace);
    out.emplace_back("HOME", kHome);
    // ssh looks into the home that /etc/passwd names, not into HOME.
    if (!credentials_.ssh.empty()) out.emplace_back("GIT_SSH_COMMAND", "ssh -F " + std::string(kHome) + "/.ssh/config");
    if (!trace.empty()) out.emplace_back(kTraceparentVariable, trace.traceparent());
    return out;
  }

  // As far as the run says it; an image's own user is not looked up.
  bool runs_as_root(const Value& step) const {
    const Value& own = step["securityContext"]["runAsUser"];
    const Value& of_pod = run_.spec()["podTemplate"]["securityContext"]["runAsUser"];
    return (own.is_null() ? of_pod : own).as_int() == 0;
  }

  // Expressions without results of steps are decided here; the node decides the others, before the step.
  Result<void> tell_when(const std::string& container, const Value& when) {
    Value open = Value::list();
    for (const Value& one : when.items()) {
      const auto used = references(one);
      const bool later = std::any_of(used.begin(), used.end(), [](const std::string& reference) {
        return !step_result_reference("$(" + reference + ")").step.empty();
      });
      if (later && one.contains("cel"))
        return invalid("when: cel with results of steps is not supported (input, operator and values are)");
      if (later)
        open.push_back(one);
      else if (!TRY(when_holds(one)))
        open.push_back(false);
    }
    if (!open.empty()) when_.set(container, std::move(open));
    return {};
  }

  void tell_streams(const std::string& container, const Value& step) {
    Value streams = Value::map();
    if (step.contains("stdoutConfig")) streams.set("stdout", step["stdoutConfig"]["path"]);
    if (step.contains("stderrConfig")) streams.set("stderr", step["stderrConfig"]["path"]);
    if (!streams.empty()) streams_.set(container, std::move(streams));
  }

  Result<Value> containers_of(const Value& spec, const TraceContext& trace) {
    Value out = Value::list();
    std::size_t index = 0;
    for (const Value& step : spec["steps"].items()) {
      const std::string name = step_container(step, index);
      const Value workspaces = workspaces_of(step);
      const Value merged = merge_step_template(step, spec["stepTemplate"]);
      Value mounts = mounts_;
      add_credential_mounts(credentials_, runs_as_root(merged), mounts);
      ContainerParts parts{name, "script-" + std::to_string(index), mounts, workspaces,
                           environment(trace.empty() ? trace : trace.child("step " + name.substr(5)))};
      out.push_back(TRY(make_step_container(merged, parts, scripts_).in("step " + name.substr(5))));
      if (step["onError"].as_string() == "continue") passed_over_.push_back(name);
      TRY(tell_when(name, step["when"]).in("step " + name.substr(5)));
      tell_streams(name, step);
      ++index;
    }
    return out;
  }

  Result<Value> sidecars_of(const Value& spec) {
    Value out = Value::list();
    std::size_t index = 0;
    for (const Value& sidecar : spec["sidecars"].items()) {
      const std::string name = sidecar_container(sidecar, index);
      const Value workspaces = workspaces_of(sidecar);
      ContainerParts parts{name, "sidecar-script-" + std::to_string(index++), mounts_, workspaces, {}};
      Value container = TRY(make_step_container(sidecar, parts, scripts_).in(name));
      container.set("restartPolicy", "Always");  // a native sidecar: it starts before the steps and ends after them
      out.push_back(container);
    }
    return out;
  }

  Result<kube::Object> make_pod(const Value& spec) {
    add_own_volumes();
    const TraceContext parent = run_.trace();
    const TraceContext trace = parent.empty() ? parent : parent.child("task " + run_.name());
    Value containers = TRY(containers_of(spec, trace));
    Value sidecars = TRY(sidecars_of(spec));
    if (!scripts_.empty()) {
      volumes_.push_back(
          Value{{"name", "tekton-scripts"}, {"configMap", Value{{"name", scripts_name()}, {"defaultMode", 0755}}}});
    }
    for (const Value& volume : spec["volumes"].items()) volumes_.push_back(volume);

    kube::Object pod = kube::Object::make(schema::kPods, run_.ns(), pod_name(run_));
    pod.set_controller(run_);
    for (const auto& label : run_.metadata()["labels"].entries()) pod.set_label(label.key, label.value.as_string());
    if (pod.label(kManagedByLabel).empty()) pod.set_label(kManagedByLabel, "tekton-pipelines");
    pod.set_label("tekton.dev/taskRun", run_.name());
    pod.set_label("tekton.dev/taskRunUID", run_.uid());
    pod.set_annotation("caisson.dev/steps", "ordered");
    pod.set_annotation("caisson.dev/results-dir", "tekton-results");
    pod.set_annotation("caisson.dev/steps-dir", "tekton-steps");
    if (!passed_over_.empty()) pod.set_annotation("caisson.dev/steps-continue", join(passed_over_, ","));
    if (!when_.empty()) pod.set_annotation("caisson.dev/steps-when", json::write(when_));
    if (!streams_.empty()) pod.set_annotation("caisson.dev/steps-streams", json::write(streams_));
    if (!trace.empty()) pod.set_annotation(kTraceparentAnnotation, trace.traceparent());

    Value& pod_spec = pod.edit({"spec"});
    pod_spec = Value{{"restartPolicy", "Never"}};
    const std::string account = run_.spec()["serviceAccountName"].str();
    pod_spec.set("serviceAccountName", account.empty() ? "default" : account);
    if (!sidecars.empty()) pod_spec.set("initContainers", sidecars);
    pod_spec.set("containers", containers);
    TRY(apply_pod_template(pod_spec));
    pod_spec.set("volumes", volumes_);
    return pod;
  }

  // spec.podTemplate: the fields that upstream's PodTemplate has.
  Result<void> apply_pod_template(Value& pod_spec) {
    const Value pod_template = TRY(substitute(run_.spec()["podTemplate"], scope_));
    for (const auto& entry : pod_template.entries()) {
      const std::string_view key = entry.key;
      if (key == "volumes") {
        for (const Value& volume : entry.value.items()) volumes_.push_back(volume);
      } else if (key == "env") {
        Value containers = pod_spec["containers"];
        for (std::size_t i = 0; i < containers.size(); ++i) {
          Value env = entry.value;  // a step's own variables come later and win
          for (const Value& variable : containers[i]["env"].items()) env.push_back(variable);
          containers.edit(i).set("env", env);
        }
        pod_spec.set("containers", containers);
      } else if (key == "nodeSelector" || key == "tolerations" || key == "affinity" || key == "securityContext" ||
                 key == "hostAliases" || key == "runtimeClassName" || key == "automountServiceAccountToken" ||
                 key == "dnsPolicy" || key == "dnsConfig" || key == "enableServiceLinks" ||
                 key == "priorityClassName" || key == "schedulerName" || key == "imagePullSecrets" ||
                 key == "hostNetwork" || key == "topologySpreadConstraints") {
        pod_spec.set(key, entry.value);
      } else {
        return invalid("podTemplate." + std::string(key) + " is not known");
      }
    }
    return {};
  }

  const kube::Object& run_;
  Value spec_;
  const std::string& task_name_;
  const Credentials& credentials_;
  const PodSettings& settings_;
  const FindStepAction& find_action_;
  Scope scope_;
  Value volumes_ = Value::list(), mounts_ = Value::list(), workspace_mounts_ = Value::list(), scripts_ = Value::map();
  std::vector<std::string> mounted_;  // the workspaces of workspace_mounts_
  std::set<std::string> isolated_;
  Value when_ = Value::map(), streams_ = Value::map();  // by container, for the node
  std::vector<std::string> passed_over_;
};

}  // namespace

std::string child_name(std::string_view parent, std::string_view suffix) {
  constexpr std::size_t kNameMax = 63;
  std::string whole = std::string(parent) + std::string(suffix);
  if (whole.size() <= kNameMax) return whole;
  const std::string hash = sha256_hex(parent).substr(0, 10);
  if (suffix.size() > 40) suffix = suffix.substr(suffix.size() - 40);
  return std::string(parent.substr(0, kNameMax - suffix.size() - hash.size() - 1)) + "-" + hash + std::string(suffix);
}

std::string pod_name(const kube::Object& task_run) {
  const std::size_t retry = task_run.status()["retriesStatus"].size();
  return child_name(task_run.name(), retry == 0 ? "-pod" : "-pod-retry" + std::to_string(retry));
}

Result<Value> workspace_volume(const Value& binding, std::string_view volume_name) {
  Value out{{"name", volume_name}};
  int sources = 0;
  for (const char* kind : {"emptyDir", "persistentVolumeClaim", "configMap", "secret", "projected", "csi"}) {
    if (!binding.contains(kind)) continue;
    out.set(kind, binding[kind]);
    ++sources;
  }
  if (sources == 1) return out;
  return invalid("workspace \"" + binding["name"].str() +
                 "\" must be bound to exactly one of emptyDir, persistentVolumeClaim, volumeClaimTemplate, configMap, "
                 "secret, projected, csi");
}

Result<TaskPlan> plan_task(const kube::Object& task_run, const Value& task_spec, const std::string& task_name,
                           const Credentials& credentials, const PodSettings& settings,
                           const FindStepAction& find_action) {
  return Planner(task_run, task_spec, task_name, credentials, settings, find_action).make();
}

}  // namespace caisson::pipeline
