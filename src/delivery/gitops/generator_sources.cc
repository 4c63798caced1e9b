// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/generator_sources.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/gitops/host_api.h"
#include "delivery/gitops/logins.h"
#include "delivery/gitops/pull_requests.h"
#include "delivery/gitops/scm_provider.h"
#include "delivery/render/render.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 20;
constexpr std::size_t kFilesMax = 5'000;
constexpr std::size_t kKnownMax = 1'000;
constexpr std::int64_t kAgeSeconds = 1'800;
constexpr std::int64_t kPluginSecondsMax = 60;

struct Checkout {
  git::Repository repository;
  std::string commit;
};

Result<Checkout> check_out(const git::Repositories& repositories, const std::string& url, const std::string& revision) {
  git::Repository repository = TRY(repositories.fetch(url));
  std::string commit = TRY(repository.resolve(revision == "HEAD" ? "" : revision).in("revision " + revision));
  return Checkout{std::move(repository), std::move(commit)};
}

Result<std::vector<std::string>> directories_of(const git::Repositories& repositories, const std::string& url,
                                                const std::string& revision) {
  const Checkout at = TRY(check_out(repositories, url, revision));
  std::vector<std::string> out;
  for (const git::TreeEntry& entry : TRY(at.repository.list(at.commit, "", true))) {
    // The listing has files; every directory above one counts, once.
    for (std::size_t slash = entry.path.find('/'); slash != std::string::npos; slash = entry.path.find('/', slash + 1))
      out.push_back(entry.path.substr(0, slash));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  std::erase_if(out,
                [](const std::string& path) { return path.starts_with('.') || path.find("/.") != std::string::npos; });
  return out;
}

Result<std::vector<GeneratedFile>> files_of(const git::Repositories& repositories, const std::string& url,
                                            const std::string& revision, const std::vector<std::string>& globs) {
  const Checkout at = TRY(check_out(repositories, url, revision));
  std::vector<GeneratedFile> out;
  for (const git::TreeEntry& entry : TRY(at.repository.list(at.commit, "", true))) {
    const bool fits = std::any_of(globs.begin(), globs.end(),
                                  [&](const std::string& glob) { return render::glob_matches(glob, entry.path); });
    const bool is_file = entry.type == git::TreeEntry::Type::file || entry.type == git::TreeEntry::Type::executable;
    if (!fits || !is_file) continue;
    if (out.size() >= kFilesMax) return Error{ErrorCode::too_large, "more than 5000 files fit git.files"};
    std::string text = TRY(at.repository.read(at.commit, entry.path, kFileBytesMax));
    out.push_back({entry.path, std::move(text)});
  }
  return out;
}

}  // namespace

GeneratorWorld GeneratorSources::world_of(const kube::Object& set) const {
  GeneratorWorld world;
  world.clusters = [&] { return clusters(set); };
  world.directories = [this](const std::string& url, const std::string& revision) {
    return directories_of(repositories_, url, revision);
  };
  world.files = [this](const std::string& url, const std::string& revision, const std::vector<std::string>& globs) {
    return files_of(repositories_, url, revision, globs);
  };
  world.scm = [&](const Value& provider) { return repositories_of(set, provider); };
  world.pull_requests = [&](const Value& provider) { return pull_requests(set, provider); };
  world.plugin = [&](const Value& config) { return plugin(set, config); };
  world.decisions = [&](const Value& config) { return decisions(set, config); };
  return world;
}

Result<std::vector<Value>> GeneratorSources::clusters(const kube::Object& set) const {
  kube::ListOptions options;
  options.ns = set.ns();
  options.label_selector = "argocd.argoproj.io/secret-type=cluster";
  const kube::ObjectList secrets = TRY(client_.list(schema::kSecrets, options));
  std::vector<Value> out;
  for (const kube::Object& one : secrets.items) out.push_back(one.value());
  return out;
}

Result<std::string> GeneratorSources::token(const kube::Object& set, const Value& reference) const {
  const kube::ObjectKey key{set.ns(), reference["secretName"].str()};
  const kube::Object secret = TRY(client_.get(schema::kSecrets, key).in("tokenRef"));
  const std::string out(trim(secret_field(secret, reference["key"].as_string())));
  if (out.empty())
    return Error{ErrorCode::invalid, "tokenRef: Secret " + key.name + " has no " + reference["key"].str()};
  return out;
}

// What was asked is known for a while.
Result<std::vector<Value>> GeneratorSources::seldom(const kube::Object& set, const Value& config,
                                                    const std::function<Result<Sets>()>& ask) const {
  const std::string key = set.key().str() + "\n" + json::write(config);
  const Duration now = clock_.monotonic(),
                 age = std::chrono::seconds(config["requeueAfterSeconds"].as_int(kAgeSeconds));
  {
    const std::lock_guard lock(mutex_);
    const auto known = known_.find(key);
    if (known != known_.end() && now - known->second.first < age) return known->second.second;
  }
  Sets out = TRY(ask());
  const std::lock_guard lock(mutex_);
  if (known_.size() >= kKnownMax) known_.clear();
  known_.insert_or_assign(key, std::pair(now, out));
  return out;
}

Result<std::vector<Value>> GeneratorSources::repositories_of(const kube::Object& set, const Value& provider) const {
  const auto host =
      TRY(open_scm_host(provider, repositories_, [&](const Value& reference) { return token(set, reference); }));
  const auto ask = [&]() -> Result<Sets> {
    Sets out;
    for (const ScmFound& one : TRY(find_repositories(*host, provider))) out.push_back(scm_parameters(one, provider));
    return out;
  };
  return host->own() ? ask() : seldom(set, provider, ask);
}

Result<std::vector<Value>> GeneratorSources::pull_requests(const kube::Object& set, const Value& provider) const {
  return seldom(set, provider, [&]() -> Result<Sets> {
    Sets out;
    for (const PullRequest& one :
         TRY(find_pull_requests(provider, [&](const Value& reference) { return token(set, reference); })))
      out.push_back(pull_request_parameters(one));
    return out;
  });
}

Result<Value> GeneratorSources::config_map(const kube::Object& set, const Value& config,
                                           std::string_view generator) const {
  const Value& reference = config["configMapRef"];
  const std::string name = reference.is_map() ? reference["name"].str() : reference.str();
  if (name.empty()) return Error{ErrorCode::invalid, std::string(generator) + ".configMapRef: required"};
  const kube::Object map = TRY(client_.get(schema::kConfigMaps, {set.ns(), name}).in(std::string(generator)));
  return map["data"];
}

// "$key" of argocd-secret, "$secret:key" of a Secret that is labelled as Argo CD's, or the token itself.
Result<std::string> GeneratorSources::plugin_token(const kube::Object& set, const std::string& text) const {
  if (!text.starts_with('$')) return text;
  const std::size_t colon = text.find(':');
  const bool other = colon != std::string::npos;
  const std::string name = other ? text.substr(1, colon - 1) : "argocd-secret";
  const std::string key = other ? text.substr(colon + 1) : text.substr(1);
  const kube::Object secret = TRY(client_.get(schema::kSecrets, {set.ns(), name}).in("plugin token"));
  if (other && secret.metadata()["labels"]["app.kubernetes.io/part-of"].as_string() != "argocd")
    return Error{ErrorCode::invalid,
                 "plugin token: Secret " + name + " lacks the label app.kubernetes.io/part-of=argocd"};
  const std::string out(trim(secret_field(secret, key)));
  if (out.empty()) return Error{ErrorCode::invalid, "plugin token: Secret " + name + " has no " + key};
  return out;
}

Result<std::vector<Value>> GeneratorSources::plugin(const kube::Object& set, const Value& config) const {
  return seldom(set, config, [&]() -> Result<Sets> {
    const Value settings = TRY(config_map(set, config, "plugin"));
    HostAccess access;
    access.base = settings["baseUrl"].str();
    if (access.base.empty()) return Error{ErrorCode::invalid, "plugin: the ConfigMap has no baseUrl"};
    access.header = "Authorization";
    access.value = "Bearer " + TRY(plugin_token(set, settings["token"].str()));
    if (const auto seconds = std::atoll(settings["requestTimeout"].str().c_str()); seconds > 0)
      access.time_max = std::chrono::seconds(std::min<std::int64_t>(seconds, kPluginSecondsMax));
    const Value parameters = config["input"]["parameters"].is_map() ? config["input"]["parameters"] : Value::map();
    const Value answer =
        TRY(HostApi(std::move(access))
                .post("/api/v1/getparams.execute",
                      Value{{"applicationSetName", set.name()}, {"input", Value{{"parameters", parameters}}}}));
    const Value& given = answer["output"]["parameters"];
    if (!given.is_list()) return Error{ErrorCode::unavailable, "plugin: the answer has no output.parameters"};
    return Sets(given.items().begin(), given.items().end());
  });
}

// Another controller's objects, whose status lists clusters.
Result<std::vector<Value>> GeneratorSources::decisions(const kube::Object& set, const Value& config) const {
  const Value settings = TRY(config_map(set, config, "clusterDecisionResource"));
  const std::string api_version = settings["apiVersion"].str(), plural = settings["kind"].str(),
                    list_key = settings["statusListKey"].str(), match_key = settings["matchKey"].str();
  if (api_version.empty() || plural.empty() || list_key.empty() || match_key.empty())
    return Error{ErrorCode::invalid,
                 "clusterDecisionResource: the ConfigMap needs apiVersion, kind, statusListKey and matchKey"};
  const std::size_t slash = api_version.find('/');
  const kube::Resource resource{slash == std::string::npos ? "" : api_version.substr(0, slash),
                                slash == std::string::npos ? api_version : api_version.substr(slash + 1), plural,
                                plural};
  Sets objects;
  if (const std::string name = config["name"].str(); !name.empty()) {
    objects.push_back(TRY(client_.get(resource, {set.ns(), name}).in("clusterDecisionResource")).value());
  } else {
    kube::ListOptions options;
    options.ns = set.ns();
    std::vector<std::string> wanted;
    for (const auto& [key, value] : config["labelSelector"]["matchLabels"].entries())
      wanted.push_back(std::string(key) + "=" + value.str());
    if (wanted.empty() || !config["labelSelector"]["matchExpressions"].empty())
      return Error{ErrorCode::invalid, "clusterDecisionResource: name or labelSelector.matchLabels is required"};
    options.label_selector = join(wanted, ",");
    const kube::ObjectList found = TRY(client_.list(resource, options).in("clusterDecisionResource"));
    for (const kube::Object& one : found.items) objects.push_back(one.value());
  }
  Sets out;
  for (const Value& object : objects) {
    for (const Value& one : object["status"][list_key].items()) {
      const std::string cluster = one[match_key].str();
      if (cluster.empty())
        return Error{ErrorCode::invalid,
                     "clusterDecisionResource: an entry of status." + list_key + " has no " + match_key};
      out.push_back(Value{{"cluster", cluster}, {"decision", one}});
    }
  }
  return out;
}

}  // namespace caisson::gitops
