// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/repository/fetch.h"

#include "core/base/encoding.h"
#include "delivery/render/helm/repository/url.h"

namespace caisson::render::helm {
namespace {

bool login_goes_to(const std::string& url, const std::string& repository, const Access& access) {
  if (access.username.empty() || access.password.empty()) return false;
  const UrlParts to = split_url(url), own = split_url(repository);
  return access.pass_credentials_all || (to.scheme == own.scheme && to.host() == own.host());
}

}  // namespace

Result<http::ClientOptions> client_options(const Access& access) {
  http::ClientOptions options;
  options.verify = !access.insecure;
  options.redirects_max = 10;
  if (!access.ca_file.empty()) options.ca_pem = TRY(read_file(access.ca_file).in("can't read CA file"));
  if (!access.certificate_file.empty() && !access.key_file.empty()) {
    options.certificate_pem = TRY(read_file(access.certificate_file));
    options.key_pem = TRY(read_file(access.key_file));
  }
  return options;
}

Result<std::string> fetch(const std::string& url, const std::string& repository, const Access& access,
                          const FetchLimits& limits) {
  const std::string scheme = split_url(url).scheme;
  if (scheme != "http" && scheme != "https")
    return Error{ErrorCode::bad_request, "could not find protocol handler for: " + scheme};
  const http::Client client(TRY(client_options(access)));
  http::Request request;
  request.url = url;
  request.time_max = limits.time_max;
  request.response_bytes_max = limits.bytes_max;
  request.headers.set("User-Agent", "Helm/3.22");
  if (login_goes_to(url, repository, access)) {
    const std::string login = access.username + ":" + std::string(access.password.reveal());
    request.headers.set("Authorization", "Basic " + base64(login));
  }
  http::Response answer = TRY(client.send(request).in("Get \"" + url + "\""));
  if (answer.status != 200) {
    return Error{answer.status == 404 ? ErrorCode::not_found : ErrorCode::unavailable,
                 "failed to fetch " + url + " : " + std::to_string(answer.status) + " " +
                     std::string(http::reason_phrase(answer.status))};
  }
  return std::move(answer.body);
}

Result<Index> update_index(const Home& home, const Repository& repository, std::vector<std::string>& warnings,
                           const FetchLimits& limits) {
  const std::string text =
      TRY(fetch(resolve_url(repository.url, "index.yaml"), repository.url, repository.access, limits));
  Index index = TRY(parse_index(text, repository.url, warnings));
  std::string names;
  for (const auto& [name, versions] : index.entries) names += name + "\n";
  TRY(make_dirs(home.cache_folder));
  TRY(write_file_unsynced(home.charts_file(repository.name), names));
  TRY(write_file_unsynced(home.index_file(repository.name), text));
  return index;
}

}  // namespace caisson::render::helm
