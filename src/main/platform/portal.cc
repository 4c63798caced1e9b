// SPDX-License-Identifier: Apache-2.0
#include "main/platform/portal.h"

#include "cluster/kube/quantity.h"
#include "core/base/text.h"
#include "core/http/client.h"
#include "main/platform/version.h"

namespace caisson::platform {
namespace {

void answer(const http::ExchangePtr& exchange, int status, std::string_view type, std::string body) {
  exchange->respond({status, {{"Content-Type", std::string(type)}}, std::move(body)});
}

// How this browser reached the portal is how its git will: `host` is the request's, as in "localhost:8080".
std::string front_page(std::string_view host) {
  const bool plain = !host.empty() && host.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789.-:[]") == std::string_view::npos;
  const std::string push =
      "<code>git push http://" + std::string(plain ? host : "localhost") + "/ORGANISATION/REPOSITORY.git main</code>";
  return "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">"
         "<title>Caisson</title><style>body{font:16px/1.6 system-ui,\"Noto Sans KR\",sans-serif;max-width:44rem;"
         "margin:4rem auto;padding:0 1rem;color:#22282b}code{background:#eee;padding:.1em .35em;border-radius:4px;"
         "overflow-wrap:anywhere}</style><h1>Caisson " +
         std::string(kVersion) + "</h1><p>Git, webhooks and health are served here. Push with " + push +
         "; see what runs with <code>caisson status</code>.</p><p lang=ko>Git, 웹훅, 상태 확인을 제공합니다. " + push +
         "으로 푸시하고, 실행 중인 것은 <code>caisson status</code>로 볼 수 있습니다.</p>";
}

// The verb on images.caisson.dev that an action needs.
const char* verb_of(registry::Action action) {
  return action == registry::Action::pull ? "get" : action == registry::Action::push ? "update" : "delete";
}

Result<Value> review_token(kube::Client& client, std::string_view token) {
  kube::Object review = kube::Object::make(schema::kTokenReviews, "", "");
  review.edit({"spec", "token"}) = Value(token);
  const kube::Object answer = TRY(client.create(review));
  if (!answer.status()["authenticated"].as_bool())
    return Error{ErrorCode::unauthorized, "these credentials are not known here"};
  return answer.status()["user"];
}

// Whether `user` (of a TokenReview) may do `verb` on a resource of caisson.dev.
Result<bool> may(kube::Client& client, const Value& user, std::string_view resource, std::string_view verb,
                 std::string_view ns, std::string_view name = {}) {
  kube::Object review = kube::Object::make(schema::kSubjectAccessReviews, "", "");
  Value attributes{{"group", "caisson.dev"}, {"resource", resource}, {"verb", verb}, {"namespace", ns}};
  if (!name.empty()) attributes.set("name", name);
  review.edit({"spec"}) =
      Value{{"user", user["username"]}, {"groups", user["groups"]}, {"resourceAttributes", attributes}};
  const kube::Object answer = TRY(client.create(review));
  return answer.status()["allowed"].as_bool();
}

Result<void> authorize_build_log(kube::Client& client, const http::Exchange& exchange, std::string_view ns,
                                 std::string_view name) {
  std::string_view header = exchange.headers.get("Authorization");
  if (!header.starts_with("Bearer ")) return Error{ErrorCode::unauthorized, "send a bearer token"};
  const Value user = TRY(review_token(client, header.substr(7)));
  const bool allowed = TRY(may(client, user, "builds", "get", ns, name));
  if (!allowed)
    return Error{ErrorCode::forbidden, user["username"].str() + " may not get builds in " + std::string(ns)};
  return {};
}

// Passes the agent's answer on, piece by piece; blocks while the log is followed.
void pass_on(const http::ExchangePtr& exchange, const std::string& socket) {
  const http::Client client({.unix_socket = socket});
  http::Request request;
  request.url = "http://unix" + exchange->target;
  request.time_max = Duration(0);
  auto answer_of_agent = client.open(request);
  if (!answer_of_agent.ok()) return answer(exchange, 503, "text/plain", answer_of_agent.error().message + "\n");
  const auto body = std::move(answer_of_agent).value();
  const auto stream =
      exchange->stream(body->status, {{"Content-Type", std::string(body->headers.get("Content-Type"))}});
  for (;;) {
    const auto piece = body->read_some();
    if (!piece.ok()) return stream->abort();
    if (piece->empty()) return stream->finish();
    if (!stream->write_blocking(*piece).ok()) return;
  }
}

}  // namespace

http::Handler make_build_logs(kube::Client& client, std::string agent_socket) {
  return [&client, socket = std::move(agent_socket)](const http::ExchangePtr& exchange) {
    const auto parts = split(exchange->path, '/');  // "", builds, ns, name, log
    if (parts.size() != 5 || parts[4] != "log" || exchange->method != "GET")
      return answer(exchange, 404, "text/plain", "no such log\n");
    const auto allowed = authorize_build_log(client, *exchange, parts[2], parts[3]);
    if (allowed.ok()) return pass_on(exchange, socket);
    const int status = allowed.error().code == ErrorCode::unauthorized ? 401
                       : allowed.error().code == ErrorCode::forbidden  ? 403
                                                                       : 503;
    answer(exchange, status, "text/plain", allowed.error().message + "\n");
  };
}

http::Handler make_portal(git::GitServer& git, http::Handler hooks, http::Handler builds) {
  return [&git, hooks = std::move(hooks), builds = std::move(builds)](const http::ExchangePtr& exchange) {
    const std::string& path = exchange->path;
    if (git::GitServer::is_git_path(path))
      git.handle(exchange);
    else if (path.starts_with("/hooks/"))
      hooks(exchange);
    else if (path.starts_with("/builds/"))
      builds(exchange);
    else if (path == "/healthz" || path == "/readyz")
      answer(exchange, 200, "text/plain", "ok");
    else if (path == "/")
      answer(exchange, 200, "text/html; charset=utf-8", front_page(exchange->headers.get("Host")));
    else
      answer(exchange, 404, "text/plain; charset=utf-8",
             "nothing is here; git repositories are at /ORGANISATION/REPOSITORY.git\n");
  };
}

std::function<Result<void>(const registry::Credentials&, std::string_view, registry::Action)> make_registry_rights(
    kube::Client& client) {
  return [&client](const registry::Credentials& credentials, std::string_view repository,
                   registry::Action action) -> Result<void> {
    if (!credentials.present())
      return Error{ErrorCode::unauthorized, "log in first: 'caisson login' or 'docker login'"};
    const Value user = TRY(review_token(client, credentials.secret.reveal()));
    if (repository.empty()) return {};
    const std::string ns(repository == "*" ? repository.substr(0, 0) : repository.substr(0, repository.find('/')));
    const bool allowed = TRY(may(client, user, "images", verb_of(action), ns));
    if (allowed) return {};
    return Error{ErrorCode::forbidden, user["username"].str() + " may not " + verb_of(action) + " images of '" +
                                           std::string(repository) + "'"};
  };
}

std::function<Result<registry::ProjectRules>(std::string_view)> make_registry_rules(kube::Client& client) {
  return [&client](std::string_view repository) -> Result<registry::ProjectRules> {
    constexpr std::string_view kImmutable = "registry.caisson.dev/immutable-tags",
                               kQuota = "registry.caisson.dev/quota";
    registry::ProjectRules out;
    const Result<kube::Object> ns =
        client.get(schema::kNamespaces, {"", std::string(repository.substr(0, repository.find('/')))});
    if (!ns.ok()) return ns.error().code == ErrorCode::not_found ? Result<registry::ProjectRules>(out) : ns.error();
    for (const std::string_view pattern : split(ns->annotation(kImmutable), ',')) {
      if (!trim(pattern).empty()) out.immutable_tags.emplace_back(trim(pattern));
    }
    if (const std::string_view quota = ns->annotation(kQuota); !quota.empty()) {
      const Result<std::int64_t> bytes = kube::parse_quantity(quota);
      if (!bytes.ok() || *bytes <= 0)
        return Error{ErrorCode::invalid,
                     std::string(kQuota) + ": want an amount as in 10Gi, not " + std::string(quota)};
      out.quota_bytes = static_cast<std::uint64_t>(*bytes);
    }
    return out;
  };
}

}  // namespace caisson::platform
