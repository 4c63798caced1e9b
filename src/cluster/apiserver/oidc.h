// SPDX-License-Identifier: Apache-2.0
// Users of OpenID Connect providers: tokens that an issuer signed, by AuthenticationConfiguration
// (apiserver.config.k8s.io/v1beta1, the file of kube-apiserver's --authentication-config): issuers with audiences,
// claim mappings and validation rules by claim or in CEL. Follows apiserver 1.33's plugin/pkg/authenticator/token/oidc.
// Not here: distributed claims, egress selectors, `anonymous`.
//
// An issuer's keys are read when its first token comes, again when a token names a key that is not known, and at the
// latest after a quarter of an hour. Threads: any; a call may wait for the issuer.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/apiserver/user.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::apiserver {

class OidcAuthenticator {
 public:
  // `own_issuer` signs ServiceAccount tokens and may not be named. Errors: invalid, with every field that is wrong.
  static Result<std::unique_ptr<OidcAuthenticator>> make(const Value& configuration, const std::string& own_issuer,
                                                         Clock& clock);
  ~OidcAuthenticator();

  bool knows_issuer_of(std::string_view token) const;  // without checking the token
  // Errors: unauthorized, with why (for the log). `audiences` as in TokenReview: empty: any that the issuer is for.
  Result<User> verify(std::string_view token, const std::vector<std::string>& audiences = {}) const;

 private:
  struct Impl;
  explicit OidcAuthenticator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::apiserver
