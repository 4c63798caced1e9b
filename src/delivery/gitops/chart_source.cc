// SPDX-License-Identifier: Apache-2.0
// Source: Argo CD 3.0 util/helm/client.go and docs/operator-manual/declarative-setup.md.
#include "delivery/gitops/chart_source.h"

#include <algorithm>

#include "cluster/schema/resource.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/expr/go_template/semver.h"
#include "delivery/gitops/logins.h"
#include "delivery/render/helm/repository/download.h"
#include "delivery/render/helm/repository/fetch.h"
#include "delivery/render/helm/repository/oci.h"

namespace caisson::gitops {
namespace {

using namespace render::helm;

constexpr std::size_t kKeptBytesMax = 8u << 20;  // some fifty charts

bool is_oci_place(const std::string& url) {
  return is_oci(url) || url.find("://") == std::string::npos;
}

Result<OciReference> oci_reference(const ChartPlace& place, const std::string& version) {
  std::string url = place.repo_url;
  while (url.ends_with('/')) url.pop_back();
  OciReference ref = TRY(OciReference::parse(url + "/" + place.chart));
  ref.tag = replace_all(version, "+", "_");
  return ref;
}

// Logins of registries are those of the Secrets alone: the server has no home of Helm's.
Result<ChartRegistry> open_registry(const Access& access) {
  return ChartRegistry::open(Home{}, access);
}

bool is_exact(const std::string& revision) {
  return go_template::Version::parse_strict(revision).ok();
}

}  // namespace

Result<Access> ChartFetcher::access(const ChartPlace& place) const {
  Access out;
  if (logins_) out = TRY(logins_(place.repo_url));
  out.pass_credentials_all = place.pass_credentials;
  return out;
}

Result<std::string> ChartFetcher::resolve(const ChartPlace& place, const std::string& revision) const {
  const std::string doing = "chart " + place.chart + " of " + place.repo_url;
  if (is_exact(revision)) return revision;
  if (is_oci_place(place.repo_url)) {
    const OciReference ref = TRY(oci_reference(place, ""));
    if (own_.tags != nullptr && own_.names.is_ours(ref.host)) return resolve_own(ref.repository, revision).in(doing);
    ChartRegistry registry = TRY(open_registry(TRY(access(place))));
    return registry.choose(ref, revision).in(doing);
  }
  std::vector<std::string> warnings;
  const std::string base = place.repo_url + (place.repo_url.ends_with('/') ? "" : "/");
  const std::string text = TRY(render::helm::fetch(base + "index.yaml", place.repo_url, TRY(access(place))).in(doing));
  const Index index = TRY(parse_index(text, place.repo_url, warnings).in(doing));
  const auto found = index.find(place.chart, revision);
  if (!found.ok()) return Error(found.error()).in(doing);
  return (*found)->metadata.version;
}

Result<std::string> ChartFetcher::fetch(const ChartPlace& place, const std::string& version) const {
  const std::string key = place.repo_url + "\n" + place.chart + "\n" + version;
  {
    const std::lock_guard lock(kept_->mutex);
    auto& archives = kept_->archives;
    for (auto at = archives.begin(); at != archives.end(); ++at) {
      if (at->first != key) continue;
      archives.splice(archives.begin(), archives, at);
      return at->second;
    }
  }
  std::string archive = TRY(download(place, version));
  if (archive.size() > kKeptBytesMax / 4) return archive;
  const std::lock_guard lock(kept_->mutex);
  kept_->archives.emplace_front(key, archive);
  kept_->bytes += archive.size();
  while (kept_->bytes > kKeptBytesMax) {
    kept_->bytes -= kept_->archives.back().second.size();
    kept_->archives.pop_back();
  }
  return archive;
}

Result<std::string> ChartFetcher::url_of(const std::string& name) const {
  if (names_) return names_(name);
  return Error{ErrorCode::not_found, "no repository has the name " + name};
}

void ChartFetcher::forget() const {
  const std::lock_guard lock(kept_->mutex);
  kept_->archives.clear();
  kept_->bytes = 0;
}

Result<std::string> ChartFetcher::download(const ChartPlace& place, const std::string& version) const {
  const std::string doing = "chart " + place.chart + " " + version + " of " + place.repo_url;
  if (is_oci_place(place.repo_url)) {
    const OciReference ref = TRY(oci_reference(place, version));
    if (own_.tags != nullptr && own_.names.is_ours(ref.host)) return fetch_own(ref.repository, ref.tag).in(doing);
    ChartRegistry registry = TRY(open_registry(TRY(access(place))));
    return TRY(registry.pull(ref, false).in(doing)).archive;
  }
  ChartRequest request;
  request.name = place.chart;
  request.version = version;
  request.repo_url = place.repo_url;
  request.access = TRY(access(place));
  const Talk silent{[](const std::string&) {}, [](const std::string&) {}};
  return TRY(download_chart(Home{}, request, silent).in(doing)).archive;
}

Result<std::string> ChartFetcher::resolve_own(const std::string& repository, const std::string& revision) const {
  std::vector<go_template::Version> versions;
  for (const std::string& tag : TRY(own_.tags->tags(repository))) {
    auto version = go_template::Version::parse_strict(replace_all(tag, "_", "+"));
    if (version.ok()) versions.push_back(std::move(version).value());
  }
  std::stable_sort(versions.begin(), versions.end(), [](const auto& a, const auto& b) { return a.compare(b) > 0; });
  std::vector<std::string> names;
  for (const auto& version : versions) names.push_back(version.str());
  return choose_version(names, revision);
}

Result<std::string> ChartFetcher::fetch_own(const std::string& repository, const std::string& tag) const {
  const content::Digest digest = TRY(own_.tags->find(repository, tag));
  const std::string bytes = TRY(own_.blobs->read(digest, content::kManifestBytesMax));
  const Value manifest = TRY(json::parse(bytes));
  for (const Value& layer : manifest["layers"].items()) {
    if (layer["mediaType"].as_string() != kChartLayerType) continue;
    return own_.blobs->read(TRY(content::Digest::parse(layer["digest"].as_string())), kArchiveBytesMax);
  }
  return Error{ErrorCode::invalid, "is no chart: there is no layer of type " + std::string(kChartLayerType)};
}

Result<Access> repository_login(kube::Client& client, const std::string& ns, const std::string& url) {
  const auto secret = TRY(login_secret(client, ns, url));
  Access out;
  if (!secret) return out;
  out.username = secret_field(*secret, "username");
  out.password = SecretBytes(secret_field(*secret, "password"));
  out.insecure = secret_field(*secret, "insecure") == "true";
  out.plain_http = secret_field(*secret, "insecureOCIForceHttp") == "true";
  return out;
}

Result<std::string> repository_url(kube::Client& client, const std::string& ns, const std::string& name) {
  kube::ListOptions options;
  options.ns = ns;
  options.label_selector = "argocd.argoproj.io/secret-type=repository";
  const auto secrets = TRY(client.list(schema::kSecrets, options));
  for (const kube::Object& secret : secrets.items) {
    if (secret_field(secret, "name") == name && secret_field(secret, "type") == "helm")
      return secret_field(secret, "url");
  }
  return Error{ErrorCode::not_found, "no repository Secret of type helm has the name " + name};
}

}  // namespace caisson::gitops
