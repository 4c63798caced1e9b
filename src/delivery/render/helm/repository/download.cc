// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/repository/download.h"

#include <algorithm>

#include "core/base/text.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/repository/fetch.h"
#include "delivery/render/helm/repository/oci.h"
#include "delivery/render/helm/repository/url.h"

namespace caisson::render::helm {
namespace {

struct Place {
  std::string url, repository;
  Access access;
};

// What repositories.yaml says of a repository counts before what the command line says.
Access over(const Access& given, const Access& own) {
  Access out = given;
  if (!own.certificate_file.empty() || !own.key_file.empty() || !own.ca_file.empty()) {
    out.certificate_file = own.certificate_file;
    out.key_file = own.key_file;
    out.ca_file = own.ca_file;
  }
  if (!own.username.empty() && !own.password.empty()) {
    out.username = own.username;
    out.password = own.password;
    out.pass_credentials_all = own.pass_credentials_all;
  }
  out.insecure = given.insecure || own.insecure;
  return out;
}

Result<Index> cached_index(const Home& home, const std::string& repository, const Talk& talk) {
  std::vector<std::string> warnings;
  auto index = read_index(home.index_file(repository), warnings);
  for (const std::string& warning : warnings) talk.err(warning + "\n");
  return std::move(index).in("no cached repo found. (try 'helm repo update')");
}

bool offers(const Index& index, const std::string& url) {
  for (const auto& [name, versions] : index.entries) {
    for (const ChartVersion& version : versions) {
      const auto same = [&](const std::string& one) { return same_url(one, url); };
      if (std::any_of(version.urls.begin(), version.urls.end(), same)) return true;
    }
  }
  return false;
}

// A whole URL: with the login of the repository whose index offers it.
Result<Place> place_of_url(const Home& home, const ChartRequest& request, const Talk& talk) {
  const Repositories known = TRY(known_repositories(home.repositories_file));
  for (const Repository& one : known.all) {
    const Index index = TRY(cached_index(home, one.name, talk));
    if (offers(index, request.name)) return Place{request.name, one.url, over(request.access, one.access)};
  }
  return Place{request.name, request.name, request.access};
}

Result<Place> place_in_repository(const Home& home, const ChartRequest& request, const Talk& talk) {
  const std::size_t slash = request.name.find('/');
  if (slash == std::string::npos) {
    return Error{ErrorCode::bad_request,
                 "non-absolute URLs should be in form of repo_name/path_to_chart, got: " + request.name};
  }
  const std::string repository = request.name.substr(0, slash), chart = request.name.substr(slash + 1);
  const Repositories known = TRY(known_repositories(home.repositories_file));
  const Repository* found = known.find(repository);
  if (found == nullptr) return Error{ErrorCode::not_found, "repo " + repository + " not found"};
  if (found->url.empty()) return Error{ErrorCode::invalid, "no URL found for repository " + repository};
  const Index index = TRY(cached_index(home, repository, talk));
  const ChartVersion* version = TRY(index.find(chart, request.version)
                                        .in("chart " + go_quote(chart) + " matching " + request.version +
                                            " not found in " + repository + " index. (try 'helm repo update')"));
  if (version->urls.empty())
    return Error{ErrorCode::not_found, "chart " + go_quote(request.name) + " has no downloadable URLs"};
  return Place{resolve_url(found->url, version->urls[0]), found->url, over(request.access, found->access)};
}

constexpr std::string_view kUnderscoreNote =
    "OCI artifact references (e.g. tags) do not support the plus sign (+). To support\n"
    "storing semantic versions, Helm adopts the convention of changing plus (+) to\n"
    "an underscore (_) in chart version tags when pushing to a registry and back to\n"
    "a plus (+) when pulling from a registry.\n";

Result<DownloadedChart> download_oci(const Home& home, const ChartRequest& request, const Talk& talk) {
  OciReference ref = TRY(OciReference::parse(request.name));
  ChartRegistry registry = TRY(ChartRegistry::open(home, request.access));
  const std::string given = replace_all(ref.tag, "_", "+");
  if (!request.version.empty() && !given.empty() && given != request.version) {
    return Error{ErrorCode::bad_request,
                 "chart reference and version mismatch: " + request.version + " is not " + given};
  }
  if (ref.digest.empty()) {
    const std::string version = TRY(registry.choose(ref, request.version.empty() ? given : request.version));
    ref.tag = replace_all(version, "+", "_");
  }
  OciChart chart = TRY(registry.pull(ref, request.with_provenance));
  talk.err("Pulled: " + ref.str() + "\nDigest: " + chart.digest + "\n");
  if (ref.str().find('_') != std::string::npos)
    talk.err(ref.str() + " contains an underscore.\n" + std::string(kUnderscoreNote));
  const std::string name = path_base(ref.repository);
  const std::string version = ref.digest.empty() ? ref.tag : ref.digest.substr(ref.digest.find(':') + 1);
  return DownloadedChart{name + "-" + replace_all(version, "_", "+") + ".tgz", std::move(chart.archive),
                         std::move(chart.provenance)};
}

}  // namespace

Result<std::string> find_chart_url(const std::string& url, const std::string& name, const std::string& version,
                                   const Access& access) {
  const std::string what = "looks like " + go_quote(url) + " is not a valid chart repository or cannot be reached";
  const std::string text = TRY(fetch(resolve_url(url, "index.yaml"), url, access).in(what));
  std::vector<std::string> warnings;
  const Index index = TRY(parse_index(text, url, warnings).in(what));
  const std::string chart = "chart " + go_quote(name) + (version.empty() ? "" : " version " + go_quote(version));
  const auto found = index.find(name, version);
  if (!found.ok()) return Error{ErrorCode::not_found, chart + " not found in " + url + " repository"};
  if ((*found)->urls.empty()) return Error{ErrorCode::not_found, chart + " has no downloadable URLs"};
  return resolve_url(url, (*found)->urls[0]);
}

Result<DownloadedChart> download_chart(const Home& home, const ChartRequest& given, const Talk& talk) {
  ChartRequest request = given;
  if (!request.repo_url.empty()) {
    request.name = TRY(find_chart_url(request.repo_url, request.name, request.version, request.access));
    const UrlParts from = split_url(request.repo_url), to = split_url(request.name);
    if (!request.access.pass_credentials_all && (from.scheme != to.scheme || from.host() != to.host()))
      request.access.username.clear();
  }
  if (is_oci(request.name)) return download_oci(home, request, talk);
  const UrlParts parts = split_url(request.name);
  const bool is_url = parts.is_absolute() && !parts.authority.empty() && !parts.path.empty();
  const Place place = TRY(is_url ? place_of_url(home, request, talk) : place_in_repository(home, request, talk));
  if (is_oci(place.url)) {
    ChartRequest oci = request;
    oci.name = place.url;
    oci.version.clear();
    return download_oci(home, oci, talk);
  }
  const FetchLimits limits{.bytes_max = kArchiveBytesMax};
  DownloadedChart out;
  out.file_name = path_base(split_url(place.url).path);
  out.archive = TRY(fetch(place.url, place.repository, place.access, limits));
  if (!request.with_provenance) return out;
  auto provenance = fetch(place.url + ".prov", place.repository, place.access, limits);
  if (!provenance.ok())
    return Error{provenance.error().code, "failed to fetch provenance " + go_quote(place.url + ".prov")};
  out.provenance = std::move(provenance).value();
  return out;
}

}  // namespace caisson::render::helm
