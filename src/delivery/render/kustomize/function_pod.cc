// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/function_pod.h"

#include <algorithm>

#include "core/base/text.h"

namespace caisson::render {
namespace {

constexpr std::int64_t kNobody = 65534;

Error wrong(std::string_view mount, std::string_view why) {
  return Error{ErrorCode::bad_request, "mount '" + std::string(mount) + "': " + std::string(why)};
}

// As kyaml's runtimes set them for every function.
constexpr std::pair<const char*, const char*> kFunctionEnv[] = {{"LOG_TO_STDERR", "true"},
                                                                {"STRUCTURED_RESULTS", "true"}};

Value environment(const FunctionPodOptions& options) {
  Value out = Value::map();
  for (const auto& [name, value] : kFunctionEnv) out.set(name, Value(value));
  for (const auto& [name, value] : options.env) out.set(name, Value(value));
  Value list = Value::list();
  for (const auto& [name, value] : out.entries()) list.push_back(Value{{"name", Value(name)}, {"value", value}});
  return list;
}

Value source_of(const FunctionMount& mount) {
  switch (mount.kind) {
    case FunctionMount::Kind::bind:
      return Value{{"hostPath", Value{{"path", Value(mount.source)}}}};
    case FunctionMount::Kind::tmpfs:
      return Value{{"emptyDir", Value{{"medium", "Memory"}}}};
    case FunctionMount::Kind::volume:
      return Value{{"persistentVolumeClaim", Value{{"claimName", Value(mount.source)}}}};
  }
  return Value();
}

void add_mounts(const std::vector<FunctionMount>& mounts, Value& spec, Value& container) {
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    const std::string name = "mount-" + std::to_string(i);
    Value volume = source_of(mounts[i]);
    volume.set("name", Value(name));
    spec.edit("volumes").push_back(std::move(volume));
    container.edit("volumeMounts")
        .push_back(Value{{"name", Value(name)},
                         {"mountPath", Value(mounts[i].target)},
                         {"readOnly", Value(mounts[i].kind != FunctionMount::Kind::tmpfs && !mounts[i].writable)}});
  }
}

Value security(const FunctionPodOptions& options) {
  return Value{{"runAsUser", options.user ? Value(static_cast<std::int64_t>(options.user->first)) : Value(kNobody)},
               {"runAsGroup", options.user ? Value(static_cast<std::int64_t>(options.user->second)) : Value(kNobody)},
               {"allowPrivilegeEscalation", false},
               {"capabilities", Value{{"drop", Value::list_of({"ALL"})}}},
               {"seccompProfile", Value{{"type", "RuntimeDefault"}}}};
}

Result<void> check_allowed(const FunctionCall& call, const FunctionPodOptions& options) {
  if (call.wants_network && !options.network_allowed)
    return Error{ErrorCode::forbidden, "network required but not enabled with --network"};
  for (const FunctionMount& mount : call.mounts) {
    if (std::find(options.mounts.begin(), options.mounts.end(), mount) != options.mounts.end()) continue;
    return Error{ErrorCode::forbidden, "the function mounts " + mount.source + " at " + mount.target +
                                           ", which is not allowed; " + mount.str() + " as --mount allows it"};
  }
  return {};
}

}  // namespace

std::string FunctionMount::str() const {
  const char* type = kind == Kind::bind ? "bind" : kind == Kind::tmpfs ? "tmpfs" : "volume";
  return std::string("type=") + type + (source.empty() ? "" : ",src=" + source) + ",dst=" + target +
         (writable ? ",rw=true" : "");
}

Result<FunctionMount> parse_function_mount(std::string_view text) {
  FunctionMount out;
  std::string_view type;
  for (const std::string_view part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    if (key == "type")
      type = value;
    else if (key == "src" || key == "source")
      out.source = value;
    else if (key == "dst" || key == "destination" || key == "target")
      out.target = value;
    else if (key == "rw")
      out.writable = value == "true";
    else
      return wrong(text, "unknown part '" + std::string(key) + "'; known are type, src, dst and rw");
  }
  if (type == "bind")
    out.kind = FunctionMount::Kind::bind;
  else if (type == "tmpfs")
    out.kind = FunctionMount::Kind::tmpfs;
  else if (type == "volume")
    out.kind = FunctionMount::Kind::volume;
  else
    return wrong(text, "type must be bind, tmpfs or volume");
  if (!out.target.starts_with("/")) return wrong(text, "dst must be an absolute path");
  if (out.kind == FunctionMount::Kind::bind && !out.source.starts_with("/"))
    return wrong(text, "src of a bind mount must be an absolute path");
  if (out.kind == FunctionMount::Kind::volume && out.source.empty()) return wrong(text, "src must name the claim");
  return out;
}

Result<FunctionPod> function_pod(const FunctionCall& call, const FunctionPodOptions& options) {
  TRY(check_allowed(call, options).in(call.name));
  const Value labels{{kFunctionLabel, Value(options.name)}};
  const Value metadata{{"name", Value(options.name)}, {"labels", labels}};
  Value container{{"name", Value(kFunctionContainer)},
                  {"image", Value(call.image)},
                  {"imagePullPolicy", "IfNotPresent"},
                  {"stdin", true},
                  {"stdinOnce", true},
                  {"env", environment(options)},
                  {"securityContext", security(options)}};
  Value spec{{"restartPolicy", "Never"},
             {"activeDeadlineSeconds", options.seconds_max},
             {"terminationGracePeriodSeconds", 0},
             {"automountServiceAccountToken", false},
             {"enableServiceLinks", false}};
  add_mounts(options.mounts, spec, container);
  spec.edit("containers").push_back(std::move(container));
  FunctionPod out;
  out.pod = Value{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", metadata}, {"spec", std::move(spec)}};
  if (!call.wants_network) {
    out.network_policy = Value{{"apiVersion", "networking.k8s.io/v1"},
                               {"kind", "NetworkPolicy"},
                               {"metadata", metadata},
                               {"spec", Value{{"podSelector", Value{{"matchLabels", labels}}},
                                              {"policyTypes", Value::list_of({"Ingress", "Egress"})}}}};
  }
  return out;
}

}  // namespace caisson::render
