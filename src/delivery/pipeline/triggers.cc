// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/triggers.h"

#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/pipeline/substitute.h"

namespace caisson::pipeline {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

const Value& parameter(const Value& interceptor, std::string_view name) {
  for (const Value& item : interceptor["params"].items()) {
    if (item["name"].as_string() == name) return item["value"];
  }
  return document::kNull;
}

bool names_event(const Value& types, std::string_view event) {
  if (types.empty()) return true;
  for (const Value& type : types.items()) {
    if (type.as_string() == event) return true;
  }
  return false;
}

Result<std::string> secret_of(const Value& interceptor, const TriggerParts& parts) {
  const Value& reference = parameter(interceptor, "secretRef");
  return parts.secret(reference["secretName"].str(), reference["secretKey"].str());
}

// GitHub and Bitbucket: an HMAC of the body in X-Hub-Signature-256.
Result<void> check_signature(const Value& interceptor, const TriggerEvent& event, const TriggerParts& parts) {
  if (event.trusted || parameter(interceptor, "secretRef").is_null()) return {};
  const std::string secret = TRY(secret_of(interceptor, parts));
  const std::string_view sent = event.input.headers.get("X-Hub-Signature-256");
  if (sent.empty()) return Error{ErrorCode::forbidden, "no X-Hub-Signature-256 header"};
  const std::string mac = hmac_sha256(secret, event.raw_body);
  std::string want = "sha256=";
  for (const unsigned char c : mac) {
    static constexpr char kDigits[] = "0123456789abcdef";
    want.push_back(kDigits[c >> 4]);
    want.push_back(kDigits[c & 15]);
  }
  if (!equals_in_constant_time(want, sent))
    return Error{ErrorCode::forbidden, "the payload's signature does not match the secret"};
  return {};
}

Result<bool> intercept_cel(const Value& interceptor, TriggerEvent& event) {
  if (const Value& filter = parameter(interceptor, "filter"); !filter.is_null()) {
    const bool holds = TRY(cel_holds(filter.as_string(), event.input));
    if (!holds) return false;
  }
  for (const Value& overlay : parameter(interceptor, "overlays").items()) {
    Value value =
        TRY(evaluate_cel(overlay["expression"].as_string(), event.input).in("overlay " + overlay["key"].str()));
    Value* at = &event.input.extensions;
    const std::string key = overlay["key"].str();
    const auto parts = split(key, '.');
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) at = &at->edit(parts[i]);
    at->set(parts.back(), std::move(value));
  }
  return true;
}

Result<bool> intercept_one(const Value& interceptor, TriggerEvent& event, const TriggerParts& parts) {
  const std::string name = interceptor["ref"]["name"].str();
  const http::Headers& headers = event.input.headers;
  if (name == "cel") return intercept_cel(interceptor, event);
  if (name == "github" || name == "bitbucket") {
    TRY(check_signature(interceptor, event, parts));
    return names_event(parameter(interceptor, "eventTypes"),
                       headers.get(name == "github" ? "X-GitHub-Event" : "X-Event-Key"));
  }
  if (name == "gitlab") {
    if (!event.trusted && !parameter(interceptor, "secretRef").is_null()) {
      const std::string secret = TRY(secret_of(interceptor, parts));
      if (!equals_in_constant_time(secret, headers.get("X-GitLab-Token")))
        return Error{ErrorCode::forbidden, "X-GitLab-Token does not match the secret"};
    }
    return names_event(parameter(interceptor, "eventTypes"), headers.get("X-Gitlab-Event"));
  }
  if (!interceptor["webhook"].is_null()) return invalid("webhook interceptors are not supported");
  return invalid("interceptor \"" + name + "\" is not known (github, gitlab, bitbucket and cel are)");
}

// Text of a value for a param: strings as they are, everything else as JSON.
std::string param_text(const Value& value) {
  if (value.is_string()) return value.str();
  return json::write(value);
}

// "$(body.x)-$(header.Y)" with its expressions replaced.
Result<std::string> bind_text(std::string_view text, const TriggerEvent& event) {
  std::string out;
  std::size_t at = 0;
  for (auto begin = text.find("$("); begin != std::string_view::npos; begin = text.find("$(", at)) {
    const auto end = text.find(')', begin);
    if (end == std::string_view::npos) break;
    out.append(text.substr(at, begin - at));
    const Value value = TRY(binding_value(text.substr(begin + 2, end - begin - 2), event));
    out.append(param_text(value));
    at = end + 1;
  }
  return out.append(text.substr(at));
}

Result<void> bind_params(const Value& params, const TriggerEvent& event, Scope& scope) {
  for (const Value& param : params.items()) {
    const std::string name = param["name"].str();
    std::string text = TRY(bind_text(param["value"].as_string(), event).in("param " + name));
    scope.set("tt.params." + name, std::move(text));
  }
  return {};
}

Result<Scope> bind_all(const Value& trigger, const Value& template_spec, const TriggerEvent& event,
                       const TriggerParts& parts) {
  Scope scope;
  for (const Value& declared : template_spec["params"].items()) {
    if (declared.contains("default")) scope.set("tt.params." + declared["name"].str(), declared["default"]);
  }
  for (const Value& binding : trigger["bindings"].items()) {
    if (const std::string reference = binding["ref"].str(); !reference.empty()) {
      const std::string kind = binding["kind"].as_string().empty() ? "TriggerBinding" : binding["kind"].str();
      const Value spec = TRY(parts.find(kind, reference));
      TRY(bind_params(spec["params"], event, scope).in(kind + " " + reference));
    } else if (!binding["spec"].is_null()) {
      TRY(bind_params(binding["spec"]["params"], event, scope));
    } else {
      TRY(bind_params(Value(std::vector<Value>{binding}), event, scope));  // an inline name and value
    }
  }
  return scope;
}

// v1beta1 runs become v1: the account moved into taskRunTemplate.
void to_v1(kube::Object& object) {
  if (object.api_version() != "tekton.dev/v1beta1") return;
  object.edit().set("apiVersion", "tekton.dev/v1");
  if (object.kind() != "PipelineRun") return;
  Value& spec = object.edit({"spec"});
  for (const char* key : {"serviceAccountName", "podTemplate"}) {
    if (!spec.contains(key)) continue;
    const Value value = spec[key];
    spec.edit("taskRunTemplate").set(key, value);
    spec.erase(key);
  }
}

}  // namespace

Result<Value> binding_value(std::string_view path, const TriggerEvent& event) {
  const Error missing{ErrorCode::not_found, "$(" + std::string(path) + ") is not in the event"};
  if (path == "context.eventID") return Value(event.id);
  const auto dot = path.find('.');
  const std::string_view root = path.substr(0, dot);
  std::string_view rest = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  if (root == "header") {
    if (!event.input.headers.contains(rest)) return missing;
    return Value(event.input.headers.get(rest));
  }
  const Value* at = root == "body" ? &event.input.body : root == "extensions" ? &event.input.extensions : nullptr;
  if (at == nullptr)
    return Error{ErrorCode::bad_request,
                 "$(" + std::string(path) + "): only body, header, extensions and context are known"};
  while (!rest.empty()) {
    if (rest.front() == '.') rest.remove_prefix(1);
    if (rest.front() == '[') {
      const auto end = rest.find(']');
      if (end == std::string_view::npos)
        return Error{ErrorCode::bad_request, "$(" + std::string(path) + "): '[' without ']'"};
      const auto index = parse_int(rest.substr(1, end - 1));
      if (!index || *index < 0 || static_cast<std::size_t>(*index) >= at->size() || !at->is_list()) return missing;
      at = &(*at)[static_cast<std::size_t>(*index)];
      rest.remove_prefix(end + 1);
      continue;
    }
    std::string key;  // "a\.b" is one key
    while (!rest.empty() && rest.front() != '.' && rest.front() != '[') {
      if (rest.front() == '\\' && rest.size() > 1) rest.remove_prefix(1);
      key.push_back(rest.front());
      rest.remove_prefix(1);
    }
    const Value* next = at->find(key);
    if (next == nullptr) return missing;
    at = next;
  }
  return *at;
}

Result<bool> intercept(const Value& trigger, TriggerEvent& event, const TriggerParts& parts) {
  for (const Value& interceptor : trigger["interceptors"].items()) {
    const bool passes =
        TRY(intercept_one(interceptor, event, parts).in("interceptor " + interceptor["ref"]["name"].str()));
    if (!passes) return false;
  }
  return true;
}

Result<std::vector<kube::Object>> instantiate(const Value& trigger, const std::string& listener, const std::string& ns,
                                              const TriggerEvent& event, const TriggerParts& parts) {
  const Value& reference = trigger["template"];
  Value spec = reference["spec"];
  if (spec.is_null()) spec = TRY(parts.find("TriggerTemplate", reference["ref"].str()));
  Scope scope = TRY(bind_all(trigger, spec, event, parts));
  const std::string trigger_name = trigger["name"].str();
  const std::string seed = event.id + "/" + listener + "/" + trigger_name;
  scope.set("uid", safe_encode(seed));
  scope.set("context.eventID", event.id);
  for (const std::string& unknown : references(spec["resourcetemplates"])) {
    if (unknown.starts_with("tt.params.") && scope.find(unknown) == nullptr)
      return Error{ErrorCode::bad_request,
                   "the template uses $(" + unknown + "), which no binding gives and which has no default"};
  }
  std::vector<kube::Object> out;
  for (const Value& resource : spec["resourcetemplates"].items()) {
    kube::Object object{TRY(substitute(resource, scope))};
    to_v1(object);
    Value& metadata = object.edit({"metadata"});
    if (metadata["namespace"].as_string().empty()) metadata.set("namespace", ns);
    if (const std::string prefix = metadata["generateName"].str(); metadata["name"].as_string().empty()) {
      if (prefix.empty()) return invalid("a resource template without name and generateName");
      // Not random: the same event makes the same object, so that after a crash it is made once.
      metadata.set("name", prefix + sha256_hex(seed + "/" + std::to_string(out.size())).substr(0, 8));
      metadata.erase("generateName");
    }
    object.set_label("triggers.tekton.dev/eventlistener", listener);
    if (!trigger_name.empty()) object.set_label("triggers.tekton.dev/trigger", trigger_name);
    object.set_label("triggers.tekton.dev/triggers-eventid", event.id);
    out.push_back(std::move(object));
  }
  return out;
}

}  // namespace caisson::pipeline
