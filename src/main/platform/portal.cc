// SPDX-License-Identifier: Apache-2.0
#include "main/platform/portal.h"

#include "main/platform/version.h"

namespace caisson::platform {
namespace {

void answer(const http::ExchangePtr& exchange, int status, std::string_view type, std::string body) {
  exchange->respond({status, {{"Content-Type", std::string(type)}}, std::move(body)});
}

std::string front_page() {
  return "<!doctype html><meta charset=utf-8><title>Caisson</title><style>body{font:16px/1.6 system-ui,\"Noto Sans KR\",sans-serif;"
         "max-width:40rem;margin:4rem auto;padding:0 1rem;color:#22282b}code{background:#eee;padding:.1em .35em;border-radius:4px}</style>"
         "<h1>Caisson " + std::string(kVersion) + "</h1><p>git, webhooks and health are served here. "
         "Push with <code>git push http://localhost:PORT/ORGANISATION/REPOSITORY.git main</code>; "
         "see what runs with <code>caisson status</code>.</p>"
         "<p lang=ko>git, 웹훅, 상태 확인을 제공합니다. 실행 중인 것은 <code>caisson status</code>로 볼 수 있습니다.</p>";
}

// The verb on images.caisson.dev that an action needs.
const char* verb_of(registry::Action action) {
  return action == registry::Action::pull ? "get" : action == registry::Action::push ? "update" : "delete";
}

Result<Value> review_token(kube::Client& client, std::string_view token) {
  kube::Object review = kube::Object::make(schema::kTokenReviews, "", "");
  review.edit({"spec", "token"}) = Value(token);
  const kube::Object answer = TRY(client.create(review));
  if (!answer.status()["authenticated"].as_bool()) return Error{ErrorCode::unauthorized, "these credentials are not known here"};
  return answer.status()["user"];
}

}  // namespace

http::Handler make_portal(git::GitServer& git, http::Handler hooks) {
  return [&git, hooks = std::move(hooks)](const http::ExchangePtr& exchange) {
    const std::string& path = exchange->path;
    if (git::GitServer::is_git_path(path)) git.handle(exchange);
    else if (path.starts_with("/hooks/")) hooks(exchange);
    else if (path == "/healthz" || path == "/readyz") answer(exchange, 200, "text/plain", "ok");
    else if (path == "/") answer(exchange, 200, "text/html; charset=utf-8", front_page());
    else answer(exchange, 404, "text/plain; charset=utf-8", "nothing is here; git repositories are at /ORGANISATION/REPOSITORY.git\n");
  };
}

std::function<Result<void>(const registry::Credentials&, std::string_view, registry::Action)> make_registry_rights(kube::Client& client) {
  return [&client](const registry::Credentials& credentials, std::string_view repository, registry::Action action) -> Result<void> {
    if (!credentials.present()) return Error{ErrorCode::unauthorized, "log in first: 'caisson login' or 'docker login'"};
    const Value user = TRY(review_token(client, credentials.secret.reveal()));
    if (repository.empty()) return {};
    const std::string ns(repository == "*" ? repository.substr(0, 0) : repository.substr(0, repository.find('/')));
    kube::Object review = kube::Object::make(schema::kSubjectAccessReviews, "", "");
    review.edit({"spec"}) = Value{
        {"user", user["username"]},
        {"groups", user["groups"]},
        {"resourceAttributes", Value{{"group", "caisson.dev"}, {"resource", "images"}, {"verb", verb_of(action)}, {"namespace", ns}}}};
    const kube::Object answer = TRY(client.create(review));
    if (answer.status()["allowed"].as_bool()) return {};
    return Error{ErrorCode::forbidden, user["username"].str() + " may not " + verb_of(action) + " images of '" + std::string(repository) + "'"};
  };
}

}  // namespace caisson::platform
