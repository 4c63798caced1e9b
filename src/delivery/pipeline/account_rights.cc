// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/account_rights.h"

namespace caisson::pipeline {

Result<void> check_right(kube::Client& client, const std::string& ns, const std::string& account,
                         const Action& action) {
  const std::string user = "system:serviceaccount:" + ns + ":" + account;
  kube::Object review = kube::Object::make(schema::kSubjectAccessReviews, "", "");
  review.edit({"spec"}) = Value{
      {"user", user},
      {"groups", Value::list_of({"system:serviceaccounts", "system:serviceaccounts:" + ns, "system:authenticated"})},
      {"resourceAttributes", Value{{"namespace", action.ns},
                                   {"verb", action.verb},
                                   {"group", action.group},
                                   {"resource", action.resource}}}};
  const kube::Object answer = TRY(client.create(review));
  if (answer.status()["allowed"].as_bool()) return {};
  return Error{ErrorCode::forbidden, user + " may not " + action.verb + " " + action.resource + " in " +
                                         (action.ns.empty() ? "the cluster" : action.ns)};
}

}  // namespace caisson::pipeline
