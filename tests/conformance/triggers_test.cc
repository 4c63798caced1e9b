// SPDX-License-Identifier: Apache-2.0
// Tekton Triggers' own examples: each folder is loaded into an API server, with upstream's shared bindings and
// templates; each EventListener in it gets an event that fits its interceptors (the folder's payload where it has one),
// and has to make objects without an error. A case is "FOLDER/LISTENER". And the catalogue: what is in it loads.
// Source: tektoncd/triggers examples, tektoncd/catalog.
#include "conformance/corpus.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/document/json.h"
#include "delivery/git/platform_test.h"
#include "delivery/pipeline/pipeline.h"
#include "delivery/pipeline/run_triggers.h"

namespace caisson::pipeline {
namespace {

// What the examples read of a push, a pull request and their repository.
constexpr const char* kBody = R"({
  "action": "opened", "actor": {"display_name": "a"}, "ref": "refs/heads/main", "after": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
  "checkout_sha": "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "number": 1,
  "head_commit": {"id": "6113728f27ae82c7b1a177c8d03f9e96e0adf246"},
  "commits": [{"id": "6113728f", "added": ["a"], "modified": [], "removed": []}],
  "push": {"changes": [{"new": {"name": "main", "target": {"hash": "6113728f27ae82c7b1a177c8d03f9e96e0adf246"}}}]},
  "pull_request": {"head": {"sha": "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "ref": "main"}},
  "repository": {"url": "https://example.com/a/b", "clone_url": "https://example.com/a/b.git", "full_name": "a/b", "name": "b",
    "git_http_url": "https://example.com/a/b.git", "links": {"html": {"href": "https://example.com/a/b"}}}})";

std::vector<std::string> names_in(const std::string& folder) {
  auto names = list_dir(folder);
  return names.ok() ? std::move(names).value() : std::vector<std::string>{};
}

std::vector<std::string> yaml_files(const std::string& folder) {
  std::vector<std::string> out;
  for (const std::string& name : names_in(folder))
    if (name.ends_with(".yaml")) out.push_back(folder + "/" + name);
  std::sort(out.begin(), out.end());
  return out;
}

struct Bench : git::Platform {
  std::vector<kube::Object> listeners, triggers;

  // Into namespace default where a document names none; what is there stays. Gives the first error's text.
  std::string load(const std::string& path) {
    const auto documents = yaml::read_all(conformance::text_of(path));
    if (!documents.ok()) return path + ": " + documents.error().message;
    for (const Value& document : *documents) {
      if (document.is_null()) continue;
      kube::Object object(document);
      const auto resource = client->resource_for(object.api_version(), object.kind());
      if (!resource.ok()) return path + ": " + resource.error().message;
      if (resource->namespaced && object.ns().empty()) object.edit({"metadata"}).set("namespace", "default");
      const auto made = client->create(object);
      if (!made.ok() && made.error().code != ErrorCode::already_exists) return path + ": " + made.error().message;
      if (object.kind() == "EventListener" && made.ok())
        listeners.push_back(client->get(schema::kEventListeners, object.key()).value());
      if (object.kind() == "Trigger") triggers.push_back(object);
    }
    return {};
  }

  // The secret that an interceptor checks a signature with.
  std::string secret(const std::string& ns, const Value& reference) {
    const auto found = client->get(schema::kSecrets, {ns, reference["secretName"].str()});
    if (!found.ok()) return {};
    return unbase64((*found)["data"][reference["secretKey"].str()].as_string()).value();
  }

  TriggerEvent event_for(const kube::Object& listener, const std::string& body) {
    TriggerEvent event;
    event.input.body = json::parse(body).value();
    event.input.extensions = Value::map();
    event.input.headers = {{"Content-Type", "application/json"}, {"X-GitHub-Event", "pull_request"}};
    event.raw_body = body;
    event.id = "example";
    for (const Value& trigger : listener.spec()["triggers"].items())
      for (const Value& interceptor : trigger["interceptors"].items()) fit(event, listener.ns(), interceptor);
    for (const kube::Object& trigger : triggers)
      for (const Value& interceptor : trigger.spec()["interceptors"].items()) fit(event, trigger.ns(), interceptor);
    return event;
  }

  void fit(TriggerEvent& event, const std::string& ns, const Value& interceptor) {
    for (const char* old : {"github", "gitlab", "bitbucket"})  // v1alpha1's form
      for (const auto& [param, value] : interceptor[old].entries()) fit(event, ns, old, param, value);
    for (const Value& param : interceptor["params"].items())
      fit(event, ns, interceptor["ref"]["name"].as_string(), param["name"].as_string(), param["value"]);
  }

  void fit(TriggerEvent& event, const std::string& ns, std::string_view name, std::string_view param,
           const Value& value) {
    http::Headers& headers = event.input.headers;
    if (param == "eventTypes")
      headers.set(name == "gitlab" ? "X-Gitlab-Event" : name == "bitbucket" ? "X-Event-Key" : "X-GitHub-Event",
                  value[0].as_string());
    if (param == "requestedFields") headers.set("X-Slack-Signature", "v0=1");
    if (param != "secretRef") return;
    const std::string signature = "sha256=" + hex(hmac_sha256(secret(ns, value), event.raw_body));
    if (name == "gitlab") headers.set("X-GitLab-Token", secret(ns, value));
    headers.set(name == "bitbucket" ? "X-Hub-Signature" : "X-Hub-Signature-256", signature);
  }
};

std::string payload_of(const std::string& folder) {
  for (const std::string& name : names_in(folder))
    if (name.ends_with(".json")) return conformance::text_of(folder + "/" + name);
  return kBody;
}

void run_folder(const std::string& corpus, const std::string& version, const std::string& name,
                conformance::Outcomes& outcomes) {
  const std::string folder = corpus + "/" + version + "/" + name;
  Bench bench;
  REQUIRE(bench.create(std::string(shipped_roles())) == "");
  std::string error;
  for (const std::string& path : yaml_files(folder)) error += error.empty() ? bench.load(path) : "";
  for (const char* shared : {"triggerbindings", "triggertemplates", "../v1alpha1/clustertriggerbindings"})
    for (const std::string& path : yaml_files(corpus + "/v1beta1/" + shared)) error += error.empty() ? bench.load(path) : "";
  const std::string id = version + "/" + name;
  if (!error.empty()) return outcomes.failed(id, error);
  if (bench.listeners.empty()) outcomes.passed(id);
  for (const kube::Object& listener : bench.listeners) {
    const TriggerEvent event = bench.event_for(listener, payload_of(folder));
    const auto outcome = run_triggers(*bench.client, listener, event, {});
    const std::string listener_id = id + "/" + listener.name();
    if (!outcome.ok())
      outcomes.failed(listener_id, outcome.error().message);
    else if (!outcome->errors.empty() || outcome->created.empty())
      outcomes.failed(listener_id, outcome->errors.empty() ? "makes nothing" : join(outcome->errors, "; "));
    else
      outcomes.passed(listener_id);
  }
}

}  // namespace

TEST_CASE("the examples of Tekton Triggers make their objects") {
  const std::string corpus = conformance::corpus_dir("tekton/triggers");
  if (corpus.empty()) return;
  conformance::Outcomes outcomes("triggers");
  for (const char* version : {"v1alpha1", "v1beta1"})
    for (const std::string& name : names_in(corpus + "/" + version))
      if (is_directory(corpus + "/" + version + "/" + name)) run_folder(corpus, version, name, outcomes);
  outcomes.check(true);
}

TEST_CASE("the entries of Tekton's catalogue load") {
  const std::string corpus = conformance::corpus_dir("tekton/catalog");
  if (corpus.empty()) return;
  Bench bench;
  int loaded = 0;
  for (const char* kind : {"task", "stepaction"}) {
    for (const std::string& name : names_in(corpus + "/" + kind))
      for (const std::string& version : names_in(corpus + "/" + kind + "/" + name))
        for (const std::string& path : yaml_files(corpus + "/" + kind + "/" + name + "/" + version)) {
          CHECK(bench.load(path) == "");
          ++loaded;
        }
  }
  CHECK(loaded >= 1);
}

}  // namespace caisson::pipeline
