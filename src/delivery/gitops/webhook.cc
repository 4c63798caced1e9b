// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/webhook.h"

#include <algorithm>
#include <set>

#include "cluster/schema/resource.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/gitops/application.h"
#include "delivery/gitops/source.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kBodyBytesMax = 25u << 20;  // GitHub's own limit
constexpr std::string_view kPathsAnnotation = "argocd.argoproj.io/manifest-generate-paths";

// In a time that does not tell how much is right.
bool equal_secretly(std::string_view a, std::string_view b) {
  unsigned char different = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) different |= static_cast<unsigned char>(a[i] ^ b[i]);
  return different == 0;
}

std::string secret_of(const std::map<std::string, std::string>& secrets, const std::string& key) {
  const auto found = secrets.find(key);
  return found == secrets.end() ? "" : found->second;
}

Result<void> signed_by(const std::string& secret, const std::string& key, std::string_view given,
                       std::string_view wanted) {
  if (secret.empty()) return Error{ErrorCode::unauthorized, "set " + key + " in the Secret argocd-secret"};
  if (given.empty() || !equal_secretly(given, wanted))
    return Error{ErrorCode::unauthorized, "the signature is missing or wrong"};
  return {};
}

// Which service it is decides which header signs it.
Result<void> verify(const http::Headers& headers, const std::string& body,
                    const std::map<std::string, std::string>& secrets) {
  const auto digest = [&](const std::string& secret) { return hex(hmac_sha256(secret, body)); };
  if (headers.contains("X-Gitea-Event") || headers.contains("X-Gogs-Event")) {
    const std::string secret = secret_of(secrets, "webhook.gogs.secret");
    const std::string_view given =
        headers.get(headers.contains("X-Gitea-Signature") ? "X-Gitea-Signature" : "X-Gogs-Signature");
    return signed_by(secret, "webhook.gogs.secret", given, digest(secret));
  }
  if (headers.contains("X-GitHub-Event")) {
    const std::string secret = secret_of(secrets, "webhook.github.secret");
    return signed_by(secret, "webhook.github.secret", headers.get("X-Hub-Signature-256"), "sha256=" + digest(secret));
  }
  if (headers.contains("X-Gitlab-Event")) {
    const std::string secret = secret_of(secrets, "webhook.gitlab.secret");
    return signed_by(secret, "webhook.gitlab.secret", headers.get("X-Gitlab-Token"), secret);
  }
  if (headers.contains("X-Hook-UUID")) {
    const std::string secret = secret_of(secrets, "webhook.bitbucket.uuid");
    return signed_by(secret, "webhook.bitbucket.uuid", headers.get("X-Hook-UUID"), secret);
  }
  if (headers.contains("X-Event-Key")) {
    const std::string secret = secret_of(secrets, "webhook.bitbucketserver.secret");
    return signed_by(secret, "webhook.bitbucketserver.secret", headers.get("X-Hub-Signature"),
                     "sha256=" + digest(secret));
  }
  return Error{ErrorCode::bad_request, "neither GitHub, GitLab, Gitea nor Bitbucket sends such a request"};
}

void add(std::vector<std::string>& urls, const Value& url) {
  if (!url.as_string().empty()) urls.push_back(url.str());
}

Push read_push(const Value& body) {
  Push out;
  const Value& repository = body["repository"];
  for (std::string_view key : {"clone_url", "html_url", "ssh_url", "git_http_url", "git_ssh_url", "homepage"})
    add(out.urls, repository[key]);
  for (std::string_view key : {"git_http_url", "git_ssh_url", "web_url"}) add(out.urls, body["project"][key]);
  add(out.urls, repository["links"]["html"]["href"]);
  for (const Value& one : repository["links"]["clone"].items()) add(out.urls, one["href"]);
  out.ref = body["ref"].str();
  out.after = body["after"].str();
  std::set<std::string> changed;
  for (const Value& commit : body["commits"].items()) {
    for (std::string_view part : {"added", "modified", "removed"}) {
      for (const Value& path : commit[part].items()) changed.insert(path.str());
    }
  }
  out.changed.assign(changed.begin(), changed.end());
  // Bitbucket: the cloud's push.changes, the server's changes.
  for (const Value& change : body["push"]["changes"].items()) {
    const std::string kind = change["new"]["type"].as_string() == "tag" ? "refs/tags/" : "refs/heads/";
    out.ref = kind + change["new"]["name"].str();
    out.after = change["new"]["target"]["hash"].str();
  }
  for (const Value& change : body["changes"].items()) {
    out.ref = change["ref"]["id"].str();
    out.after = change["toHash"].str();
  }
  return out;
}

// Host and path in lower case, without scheme, user, port and ".git".
std::string repository_key(std::string_view url) {
  std::string text = to_lower(url);
  if (const std::size_t scheme = text.find("://"); scheme != std::string::npos) {
    text.erase(0, scheme + 3);
  } else if (const std::size_t colon = text.find(':'); colon != std::string::npos) {
    text[colon] = '/';  // git@host:path
  }
  if (const std::size_t at = text.find('@'); at != std::string::npos && at < text.find('/')) text.erase(0, at + 1);
  const std::size_t slash = text.find('/');
  if (const std::size_t colon = text.find(':'); colon < slash) text.erase(colon, slash - colon);
  while (!text.empty() && text.back() == '/') text.pop_back();
  if (text.ends_with(".git")) text.resize(text.size() - 4);
  return text;
}

bool below(const std::string& path, const std::string& folder) {
  return folder.empty() || path == folder || path.starts_with(folder + "/");
}

// "/a;b;.": from the root, or below the source's own path.
bool paths_fit(std::string_view wanted, const std::string& source_path, const std::vector<std::string>& changed) {
  for (std::string_view one : split(wanted, ';')) {
    one = trim(one);
    if (one.empty()) continue;
    const std::string folder = one.starts_with('/') ? path_clean(std::string(one.substr(1)))
                                                    : path_clean(path_join(source_path, std::string(one)));
    const std::string root = folder == "." ? "" : folder;
    if (std::any_of(changed.begin(), changed.end(), [&](const std::string& path) { return below(path, root); }))
      return true;
  }
  return false;
}

Result<std::map<std::string, std::string>> read_secrets(kube::Client& client, const std::string& home) {
  std::map<std::string, std::string> out;
  const auto secret = client.get(schema::kSecrets, {home, "argocd-secret"});
  if (!secret.ok() && secret.error().code == ErrorCode::not_found) return out;
  if (!secret.ok()) return secret.error();
  for (const auto& [key, value] : (*secret)["data"].entries()) {
    const auto decoded = unbase64(value.as_string());
    if (decoded.ok()) out[std::string(key)] = std::string(trim(*decoded));
  }
  return out;
}

Result<int> refresh_concerned(kube::Client& client, const Push& push) {
  int count = 0;
  const kube::ObjectList applications = TRY(client.list(schema::kApplications, {}));
  for (const kube::Object& one : applications.items) {
    if (!concerned(one, push)) continue;
    const auto written = kube::modify(client, schema::kApplications, one.key(), [](kube::Object& application) {
      application.set_annotation(kRefreshAnnotation, "normal");
      return true;
    });
    if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    ++count;
  }
  return count;
}

void answer(const http::ExchangePtr& exchange, int status, const std::string& text) {
  http::Response response;
  response.status = status;
  response.headers.set("Content-Type", "text/plain; charset=utf-8");
  response.body = text + "\n";
  exchange->respond(std::move(response));
}

}  // namespace

bool same_repository(std::string_view a, std::string_view b) {
  return repository_key(a) == repository_key(b);
}

Result<Push> read_webhook(const http::Headers& headers, const std::string& body,
                          const std::map<std::string, std::string>& secrets) {
  TRY(verify(headers, body, secrets));
  const Value parsed = TRY(json::parse(body).in("webhook"));
  Push out = read_push(parsed);
  if (out.urls.empty()) return Error{ErrorCode::bad_request, "the request names no repository"};
  return out;
}

bool concerned(const kube::Object& application, const Push& push) {
  std::vector<Value> sources(application.spec()["sources"].items().begin(),
                             application.spec()["sources"].items().end());
  if (application.spec()["source"].is_map()) sources.push_back(application.spec()["source"]);
  const std::string_view paths = application.annotation(kPathsAnnotation);
  return std::any_of(sources.begin(), sources.end(), [&](const Value& source) {
    const bool here = std::any_of(push.urls.begin(), push.urls.end(), [&](const std::string& url) {
      return same_repository(url, source["repoURL"].as_string());
    });
    const std::string revision = source["targetRevision"].as_string().empty() ? "HEAD" : source["targetRevision"].str();
    if (!here || (!push.ref.empty() && !moves(push.ref, revision))) return false;
    return paths.empty() || push.changed.empty() || paths_fit(paths, source["path"].str(), push.changed);
  });
}

void handle_webhook(kube::Client& client, const std::string& home_namespace, const http::ExchangePtr& exchange) {
  if (exchange->method != "POST") return answer(exchange, 405, "POST wanted");
  const auto body = exchange->read_body(kBodyBytesMax);
  if (!body.ok()) return answer(exchange, body.error().code == ErrorCode::too_large ? 413 : 400, body.error().message);
  const auto secrets = read_secrets(client, home_namespace);
  if (!secrets.ok()) return answer(exchange, 503, secrets.error().message);
  const auto push = read_webhook(exchange->headers, *body, *secrets);
  if (!push.ok()) {
    log::warning("webhook refused", {{"peer", exchange->peer.address}, {"error", push.error().message}});
    return answer(exchange, push.error().code == ErrorCode::unauthorized ? 401 : 400, push.error().message);
  }
  const auto count = refresh_concerned(client, *push);
  if (!count.ok()) return answer(exchange, 503, count.error().message);
  answer(exchange, 200, std::to_string(*count) + " Applications refreshed");
}

}  // namespace caisson::gitops
