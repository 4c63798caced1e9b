// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/interceptors.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::pipeline {
namespace {

constexpr Duration kServerTimeMax = std::chrono::seconds(5);  // as upstream's sink
constexpr std::size_t kAnswerBytesMax = 4u << 20;

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

// --- built in

// One interceptor with its parameters by name.
struct Interceptor {
  std::string name, kind;
  Value params = Value::map();
};

bool names_event(const Value& types, std::string_view event) {
  if (types.is_null()) return true;
  return std::any_of(types.items().begin(), types.items().end(),
                     [&](const Value& type) { return type.as_string() == event; });
}

Result<std::string> secret_of(const Value& reference, const TriggerParts& parts) {
  const std::string key = reference["secretKey"].str();
  if (key.empty()) return invalid("secretRef.secretKey is empty");
  return parts.secret(reference["secretName"].str(), key);
}

// An HMAC of the body, as GitHub and Bitbucket send it: "sha256=…".
Result<void> check_signature(const Value& reference, std::initializer_list<const char*> headers,
                             const TriggerEvent& event, const TriggerParts& parts) {
  if (event.trusted || reference.is_null()) return {};
  const std::string secret = TRY(secret_of(reference, parts));
  std::string_view sent, header;
  for (const char* name : headers) {
    header = name;
    sent = event.input.headers.get(name);
    if (!sent.empty()) break;
  }
  if (sent.empty()) return Error{ErrorCode::forbidden, "no " + std::string(*headers.begin()) + " header"};
  if (!sent.starts_with("sha256="))
    return Error{ErrorCode::forbidden, std::string(header) + " is no SHA-256 signature, and others are not taken"};
  if (!equals_in_constant_time("sha256=" + hex(hmac_sha256(secret, event.raw_body)), sent))
    return Error{ErrorCode::forbidden, "the payload's signature does not match the secret"};
  return {};
}

Result<bool> pass_cel(const Value& params, TriggerEvent& event) {
  if (const Value& filter = params["filter"]; !filter.is_null()) {
    const bool holds = TRY(cel_holds(filter.as_string(), event.input));
    if (!holds) return false;
  }
  for (const Value& overlay : params["overlays"].items()) {
    Value value =
        TRY(evaluate_cel(overlay["expression"].as_string(), event.input).in("overlay " + overlay["key"].str()));
    Value* at = &event.input.extensions;
    const std::string key = overlay["key"].str();
    const auto steps = split(key, '.');
    for (std::size_t i = 0; i + 1 < steps.size(); ++i) at = &at->edit(steps[i]);
    at->set(steps.back(), std::move(value));
  }
  return true;
}

// "changed_files" of a push, from its commits. A pull request's are only known to GitHub's API.
Result<void> add_changed_files(const Value& params, std::string_view type, TriggerEvent& event) {
  if (!params["addChangedFiles"]["enabled"].as_bool()) return {};
  if (type == "pull_request") return invalid("addChangedFiles of a pull request asks GitHub's API, which is not done here");
  if (type != "push") return {};
  std::vector<std::string> files;
  for (const Value& commit : event.input.body["commits"].items()) {
    for (const char* list : {"added", "modified", "removed"})
      for (const Value& file : commit[list].items()) files.push_back(file.str());
  }
  event.input.extensions.set("changed_files", join(files, ","));
  return {};
}

Result<bool> pass_github(const Value& params, TriggerEvent& event, const TriggerParts& parts) {
  const std::string type(event.input.headers.get("X-GitHub-Event"));
  if (!names_event(params["eventTypes"], type)) return false;
  TRY(check_signature(params["secretRef"], {"X-Hub-Signature-256", "X-Hub-Signature"}, event, parts));
  TRY(add_changed_files(params, type, event));
  if (params["githubOwners"]["enabled"].as_bool() && (type == "pull_request" || type == "issue_comment"))
    return invalid("githubOwners asks GitHub's API, which is not done here");
  return true;
}

Result<bool> pass_bitbucket(const Value& params, TriggerEvent& event, const TriggerParts& parts) {
  if (!names_event(params["eventTypes"], event.input.headers.get("X-Event-Key"))) return false;
  TRY(check_signature(params["secretRef"], {"X-Hub-Signature", "X-Hub-Signature-256"}, event, parts));
  return true;
}

Result<bool> pass_gitlab(const Value& params, TriggerEvent& event, const TriggerParts& parts) {
  if (!names_event(params["eventTypes"], event.input.headers.get("X-Gitlab-Event"))) return false;
  if (event.trusted || params["secretRef"].is_null()) return true;
  const std::string secret = TRY(secret_of(params["secretRef"], parts));
  if (!equals_in_constant_time(secret, event.input.headers.get("X-GitLab-Token")))
    return Error{ErrorCode::forbidden, "X-GitLab-Token does not match the secret"};
  return true;
}

// A slash command: a form, whose fields are lists in the body.
Result<bool> pass_slack(const Value& params, TriggerEvent& event) {
  if (event.input.headers.get("X-Slack-Signature").empty())
    return Error{ErrorCode::forbidden, "no X-Slack-Signature header"};
  if (params["requestedFields"].empty()) return invalid("requestedFields names no field");
  for (const Value& field : params["requestedFields"].items()) {
    const Value& sent = event.input.body[field.as_string()];
    if (sent.is_null())
      return Error{ErrorCode::bad_request, "the command has no field \"" + field.str() + "\""};
    event.input.extensions.set(field.as_string(), sent);
  }
  return true;
}

// --- servers

Value headers_as_lists(const http::Headers& headers) {
  Value out = Value::map();
  for (const auto& [name, value] : headers.fields()) {
    Value& list = out.edit(name);
    list.push_back(value);
  }
  return out;
}

Result<http::Response> send(const TriggerParts& parts, http::Request request, const std::string& ca_pem) {
  if (!parts.send) return invalid("no servers are asked here");
  request.method = "POST";
  request.time_max = kServerTimeMax;
  request.response_bytes_max = kAnswerBytesMax;
  auto response = parts.send(std::move(request), ca_pem);
  // Another try of the whole event would not be this server's alone.
  if (!response.ok()) return Error{ErrorCode::internal, response.error().message};
  return response;
}

// "http://NAME.NS.svc:PORT/PATH", or the URL that is written there.
Result<std::string> url_of(const Value& client_config, const std::string& own_ns) {
  if (!client_config["url"].as_string().empty()) return client_config["url"].str();
  const Value& service = client_config["service"];
  if (service["name"].as_string().empty()) return invalid("spec.clientConfig has neither url nor service");
  const std::string ns = service["namespace"].as_string().empty() ? own_ns : service["namespace"].str();
  const bool secure = !client_config["caBundle"].as_string().empty();
  std::string path = service["path"].str();
  if (!path.starts_with('/')) path.insert(0, "/");
  const std::int64_t port = service["port"].as_int(secure ? 8443 : 80);
  return (secure ? "https://" : "http://") + service["name"].str() + "." + ns + ".svc:" + std::to_string(port) + path;
}

// A server that speaks InterceptorRequest and InterceptorResponse.
Result<bool> ask_server(const Interceptor& interceptor, const std::string& trigger_id, TriggerEvent& event,
                        const TriggerParts& parts) {
  const std::string kind = interceptor.kind == "NamespacedInterceptor" ? "Interceptor" : "ClusterInterceptor";
  const Value spec = TRY(parts.find(kind, interceptor.name));
  const Value& config = spec["clientConfig"];
  const auto parts_of_id = split(trigger_id, '/');
  http::Request request;
  request.url = TRY(url_of(config, parts_of_id.size() > 1 ? std::string(parts_of_id[1]) : "default"));
  request.headers.set("Content-Type", "application/json");
  request.body = json::write(Value{{"body", event.raw_body},
                                   {"header", headers_as_lists(event.input.headers)},
                                   {"extensions", event.input.extensions},
                                   {"interceptor_params", interceptor.params},
                                   {"context", Value{{"event_url", event.input.request_url},
                                                     {"event_id", event.id},
                                                     {"trigger_id", trigger_id}}}});
  const std::string ca_pem = TRY(unbase64(config["caBundle"].as_string()).in("spec.clientConfig.caBundle"));
  const http::Response response = TRY(send(parts, std::move(request), ca_pem));
  if (response.status != 200)
    return Error{ErrorCode::bad_request, "its server answered " + std::to_string(response.status)};
  const Value answer = TRY(json::parse(response.body).in("its server's answer"));
  for (const auto& [key, value] : answer["extensions"].entries()) event.input.extensions.set(key, value);
  if (answer["continue"].as_bool()) return true;
  const std::string message = answer["status"]["message"].str();
  if (message.empty()) return false;
  return Error{ErrorCode::bad_request, message};
}

// The first form of interceptors: the event itself goes to a Service, and what comes back is the event from there on.
Result<bool> ask_webhook(const Value& webhook, TriggerEvent& event, const TriggerParts& parts,
                         const std::string& own_ns) {
  http::Request request;
  request.url = webhook["url"].str();
  const Value& target = webhook["objectRef"];
  if (request.url.empty()) {
    if (target["kind"].as_string() != "Service" || target["apiVersion"].as_string() != "v1")
      return invalid("webhook.objectRef has to name a Service of v1");
    const std::string ns = target["namespace"].as_string().empty() ? own_ns : target["namespace"].str();
    request.url = "http://" + target["name"].str() + "." + ns + ".svc/";
  }
  Value body = event.input.body;
  if (!event.input.extensions.empty() && body.is_map()) body.set("extensions", event.input.extensions);
  request.body = json::write(body);
  for (const auto& [name, value] : event.input.headers.fields()) {
    static constexpr std::string_view kOfTheConnection[] = {"Host", "Content-Length", "Transfer-Encoding", "Connection",
                                                            "Accept-Encoding"};
    const bool own = std::any_of(std::begin(kOfTheConnection), std::end(kOfTheConnection),
                                 [&](std::string_view one) { return equals_ignoring_case(one, name); });
    if (!own) request.headers.add(name, value);
  }
  request.headers.set("EventListener-Request-URL", event.input.request_url);
  for (const Value& header : webhook["header"].items()) {
    request.headers.erase(header["name"].as_string());
    for (const Value& value : header["value"].items()) request.headers.add(header["name"].as_string(), value.as_string());
    if (header["value"].is_string()) request.headers.set(header["name"].as_string(), header["value"].as_string());
  }
  http::Response response = TRY(send(parts, std::move(request), ""));
  if (response.status != 200)
    return Error{ErrorCode::bad_request, "its server answered " + std::to_string(response.status) + ": " +
                                             response.body.substr(0, 200)};
  event.input.body = TRY(json::parse(response.body).in("its server's answer"));
  event.raw_body = std::move(response.body);
  event.input.headers = std::move(response.headers);
  return true;
}

// As written: {ref, params}, or with the name of a built-in one as the member, as v1alpha1 had it.
Result<Interceptor> read(const Value& written) {
  Interceptor out;
  for (const char* old : {"cel", "github", "gitlab", "bitbucket"}) {
    if (!written[old].is_map()) continue;
    out.name = old;
    out.params = written[old];
    return out;
  }
  out.name = written["ref"]["name"].str();
  out.kind = written["ref"]["kind"].str();
  for (const Value& param : written["params"].items()) out.params.set(param["name"].as_string(), param["value"]);
  if (out.name.empty()) return invalid("names neither ref nor webhook");
  return out;
}

Result<bool> pass(const Interceptor& interceptor, const std::string& trigger_id, TriggerEvent& event,
                  const TriggerParts& parts) {
  if (interceptor.kind == "NamespacedInterceptor") return ask_server(interceptor, trigger_id, event, parts);
  if (interceptor.name == "cel") return pass_cel(interceptor.params, event);
  if (interceptor.name == "github") return pass_github(interceptor.params, event, parts);
  if (interceptor.name == "gitlab") return pass_gitlab(interceptor.params, event, parts);
  if (interceptor.name == "bitbucket") return pass_bitbucket(interceptor.params, event, parts);
  if (interceptor.name == "slack") return pass_slack(interceptor.params, event);
  return ask_server(interceptor, trigger_id, event, parts);
}

}  // namespace

Result<bool> intercept(const Value& trigger, const std::string& trigger_id, TriggerEvent& event,
                       const TriggerParts& parts) {
  const auto steps = split(trigger_id, '/');
  const std::string ns(steps.size() > 1 ? steps[1] : "default");
  for (const Value& written : trigger["interceptors"].items()) {
    if (!written["webhook"].is_null()) {
      TRY(ask_webhook(written["webhook"], event, parts, ns).in("webhook interceptor"));
      continue;
    }
    const Interceptor interceptor = TRY(read(written).in("an interceptor"));
    const bool passes =
        TRY(pass(interceptor, trigger_id, event, parts).in("interceptor \"" + interceptor.name + "\""));
    if (!passes) return false;
  }
  return true;
}

}  // namespace caisson::pipeline
