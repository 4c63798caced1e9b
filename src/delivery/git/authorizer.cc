// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/authorizer.h"

#include "core/base/encoding.h"
#include "core/base/text.h"

namespace caisson::git {
namespace {

Result<std::string> token_of(const http::Headers& headers) {
  const Error none{ErrorCode::unauthorized, "credentials are needed: a user name and an API token as password"};
  const std::string_view header = headers.get("Authorization");
  const auto space = header.find(' ');
  if (space == std::string_view::npos) return none;
  const std::string_view scheme = header.substr(0, space), rest = trim(header.substr(space + 1));
  if (equals_ignoring_case(scheme, "Bearer")) return std::string(rest);
  if (!equals_ignoring_case(scheme, "Basic")) return none;
  const auto decoded = unbase64(rest);
  const auto colon = decoded.ok() ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos) return none;
  return decoded->substr(colon + 1);
}

}  // namespace

Result<User> Authorizer::authenticate(const http::Headers& headers) const {
  const std::string token = TRY(token_of(headers));
  if (token.empty()) return Error{ErrorCode::unauthorized, "an empty token"};
  kube::Object review = kube::Object::make(schema::kTokenReviews, "", "");
  review.edit({"spec"}).set("token", token);
  const kube::Object answer = TRY(client_.create(review).in("check the token"));
  const Value& status = answer.status();
  if (!status["authenticated"].as_bool()) return Error{ErrorCode::unauthorized, "the token is not valid"};
  User user{status["user"]["username"].str(), status["user"]["uid"].str(), {}};
  for (const Value& group : status["user"]["groups"].items()) user.groups.push_back(group.str());
  return user;
}

Result<bool> Authorizer::may(const User& user, std::string_view verb, std::string_view org,
                             std::string_view repository) const {
  kube::Object review = kube::Object::make(schema::kSubjectAccessReviews, "", "");
  Value& spec = review.edit({"spec"});
  spec.set("user", user.name);
  if (!user.uid.empty()) spec.set("uid", user.uid);
  spec.set("groups", Value::list_of(user.groups));
  spec.set("resourceAttributes", Value{{"namespace", org},
                                       {"verb", verb},
                                       {"group", schema::kRepositories.group},
                                       {"resource", schema::kRepositories.plural},
                                       {"name", repository}});
  const kube::Object answer = TRY(client_.create(review).in("check the rights of " + user.name));
  return answer.status()["allowed"].as_bool();
}

}  // namespace caisson::git
