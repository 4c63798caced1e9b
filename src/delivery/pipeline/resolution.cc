// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/resolution.h"

#include "cluster/schema/tekton_versions.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/pipeline/account_rights.h"

namespace caisson::pipeline {
namespace {

constexpr std::string_view kType = "resolution.tekton.dev/type";
constexpr std::string_view kAccount = "caisson.dev/service-account";
constexpr std::string_view kWaits = "waits for resolutionrequest ";
constexpr std::size_t kFileBytesMax = 4u << 20;
constexpr Duration kPatience = std::chrono::minutes(1);  // upstream's maximum for one request

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

std::string param(const kube::Object& request, std::string_view name) {
  for (const Value& one : request.spec()["params"].items())
    if (one["name"].as_string() == name) return one["value"].str();
  return {};
}

std::string account_of_run(const kube::Object& run) {
  for (const Value* account : {&run.spec()["serviceAccountName"], &run.spec()["taskRunTemplate"]["serviceAccountName"]})
    if (!account->as_string().empty()) return account->str();
  return "default";
}

// Named after what is asked, so that a run asks once however often it looks.
kube::Object request_of(const kube::Object& run, const Value& reference, const std::string& kind) {
  const std::string resolver = reference["resolver"].str();
  Value params = reference["params"].is_list() ? reference["params"] : Value::list();
  const std::string asked = run.uid() + "/" + kind + "/" + json::write(params);
  kube::Object request =
      kube::Object::make(resolution_requests(), run.ns(), resolver + "-" + sha256_hex(asked).substr(0, 32));
  request.set_controller(run);
  request.set_label(kType, resolver);
  request.set_annotation(kAccount, account_of_run(run));
  request.edit({"spec"}).set("params", std::move(params));
  return request;
}

// The spec in an answer: one document of the kind that was asked for.
Result<Value> spec_of(const kube::Object& request, const std::string& kind) {
  const std::string text = TRY(unbase64(request.status()["data"].as_string()));
  Value document = TRY(yaml::read(text));
  if (document["kind"].as_string() != kind)
    return invalid("what was resolved is of kind \"" + document["kind"].str() + "\", not " + kind);
  if (document["apiVersion"].as_string() == "tekton.dev/v1beta1" && kind != "StepAction")
    document = schema::tekton_in_version(std::move(document), kind, true);
  return document["spec"];
}

// Errors that another try may cure.
bool is_passing(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout || error.code == ErrorCode::conflict;
}

const schema::Resource* kind_of(std::string_view kind) {
  static const schema::Resource kStepActions{"tekton.dev", "v1beta1", "StepAction", "stepactions"};
  const std::string lower = to_lower(kind);
  return lower == "task"         ? &schema::kTasks
         : lower == "pipeline"   ? &schema::kPipelines
         : lower == "stepaction" ? &kStepActions
                                 : nullptr;
}

}  // namespace

const schema::Resource& resolution_requests() {
  static const schema::Resource kRequests{"resolution.tekton.dev", "v1beta1", "ResolutionRequest",
                                          "resolutionrequests"};
  return kRequests;
}

bool is_unresolved(const Error& error) {
  return error.code == ErrorCode::unavailable && error.message.find(kWaits) != std::string::npos;
}

Result<Value> resolve_reference(kube::Client& client, const kube::Object& run, const Value& reference,
                                const std::string& kind) {
  const std::string resolver = reference["resolver"].str();
  if (resolver != "cluster" && resolver != "git")
    return invalid("resolver \"" + resolver + "\" is not supported (cluster and git are)");
  const kube::Object wanted = request_of(run, reference, kind);
  auto request = client.get(resolution_requests(), wanted.key());
  if (!request.ok() && request.error().code == ErrorCode::not_found) {
    request = client.create(wanted);
    if (!request.ok() && request.error().code == ErrorCode::already_exists)
      request = client.get(resolution_requests(), wanted.key());
  }
  if (!request.ok()) return request.error();
  const Value& condition = kube::condition(*request, "Succeeded");
  if (condition["status"].as_string() == "True") {
    auto spec = spec_of(*request, kind);
    if (!spec.ok()) return invalid("resolver " + resolver + ": " + spec.error().message);
    return spec;
  }
  if (condition["status"].as_string() == "False")
    return invalid("resolver " + resolver + ": " + condition["message"].str());
  return Error{ErrorCode::unavailable, std::string(kWaits) + wanted.name()};
}

Result<ResolutionReconciler::Answer> ResolutionReconciler::from_cluster(const kube::Object& request) {
  const std::string kind = param(request, "kind"), name = param(request, "name");
  const schema::Resource* resource = kind_of(kind.empty() ? "task" : kind);
  if (resource == nullptr) return invalid("param kind: \"" + kind + "\" is none of task, pipeline and stepaction");
  if (name.empty()) return invalid("param name is missing");
  const std::string asked = param(request, "namespace"), ns = asked.empty() ? request.ns() : asked;
  if (ns != request.ns())
    TRY(check_right(client_, request.ns(), std::string(request.annotation(kAccount)),
                    {"get", resource->group, resource->plural, ns}));
  const auto found = client_.get(*resource, {ns, name});
  if (!found.ok() && found.error().code == ErrorCode::not_found)
    return invalid(resource->plural + ".tekton.dev \"" + name + "\" not found in namespace " + ns);
  if (!found.ok()) return found.error();
  Answer out;
  out.data = json::write(found->value());
  out.source = Value{{"uri", resource->path(ns, name) + "@" + found->uid()},
                     {"digest", Value{{"sha256", sha256_hex(json::write(found->spec()))}}}};
  return out;
}

Result<ResolutionReconciler::Answer> ResolutionReconciler::from_git(const kube::Object& request) {
  if (repositories_ == nullptr) return invalid("no repositories are read here");
  const std::string url = param(request, "url"), path = param(request, "pathInRepo");
  if (url.empty()) return invalid("param url is missing (repo, org and the API of a git host are not supported)");
  if (path.empty()) return invalid("param pathInRepo is missing");
  const std::string revision = param(request, "revision").empty() ? "main" : param(request, "revision");
  git::Credentials credentials;
  if (const auto own = git::own_repository(repositories_->options(), url)) {
    const std::string org = own->substr(0, own->find('/'));
    if (org != request.ns())
      TRY(check_right(client_, request.ns(), std::string(request.annotation(kAccount)),
                      {"get", "caisson.dev", "repositories", org}));
  } else if (const std::string secret = param(request, "gitToken"); !secret.empty()) {
    const std::string key = param(request, "gitTokenKey").empty() ? "token" : param(request, "gitTokenKey");
    const kube::Object object = TRY(client_.get(schema::kSecrets, {request.ns(), secret}).in("secret " + secret));
    credentials.user = "git";
    credentials.password = SecretBytes(TRY(unbase64(object["data"][key].as_string())));
  }
  // Always asked of the host: a mirror that another login has made is not everybody's.
  const git::Repository repository = TRY(repositories_->fetch(url, credentials));
  const std::string commit = TRY(repository.resolve(revision));
  Answer out;
  out.data = TRY(repository.read(commit, path.starts_with('/') ? path.substr(1) : path, kFileBytesMax));
  out.source =
      Value{{"uri", "git+" + url}, {"digest", Value{{"sha1", commit}}}, {"entryPoint", path}};
  return out;
}

Result<ResolutionReconciler::Answer> ResolutionReconciler::answer(const kube::Object& request) {
  const std::string_view type = request.label(kType);
  if (type == "cluster") return from_cluster(request);
  if (type == "git") return from_git(request);
  return invalid("resolver \"" + std::string(type) + "\" is not supported (cluster and git are)");
}

Result<kube::Requeue> ResolutionReconciler::reconcile(const kube::ObjectKey& key) {
  auto found = client_.get(resolution_requests(), key);
  if (!found.ok() && found.error().code == ErrorCode::not_found) return kube::Requeue::never();
  kube::Object request = TRY(std::move(found));
  if (request.deleting() || !kube::condition(request, "Succeeded").is_null()) return kube::Requeue::never();
  const auto answered = answer(request);
  const Time now = clock_.now();
  if (!answered.ok()) {
    const bool early = now - request.created().value_or(now) < kPatience;
    if (early && is_passing(answered.error())) return answered.error();
    kube::set_condition(request, "Succeeded", "False", "ResolutionFailed", answered.error().message, now);
  } else {
    request.edit({"status"}).set("data", base64(answered->data));
    request.edit({"status"}).set("refSource", answered->source);
    request.edit({"status"}).set("source", answered->source);
    kube::set_condition(request, "Succeeded", "True", "ResolutionSucceeded", "", now);
  }
  TRY(client_.update_status(request));
  return kube::Requeue::never();
}

}  // namespace caisson::pipeline
