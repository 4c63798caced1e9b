// SPDX-License-Identifier: Apache-2.0
// TokenAuthority: ServiceAccount tokens (JWT, ES256; TokenRequest API, bound to a Pod or Secret, expiring), bootstrap
// tokens (Secrets bootstrap-token-ID in kube-system, as kubeadm makes them) and users' tokens (Secrets of type
// caisson.dev/user-token in caisson-system, which hold the SHA-256 of the token only). Threads: any.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cluster/apiserver/user.h"
#include "cluster/store/store.h"
#include "core/base/clock.h"
#include "core/base/secret.h"

namespace caisson::apiserver {

inline constexpr std::string_view kUserTokenType = "caisson.dev/user-token";
inline constexpr std::string_view kSystemNamespace = "caisson-system";

class TokenAuthority {
 public:
  static Result<std::unique_ptr<TokenAuthority>> make(store::Store& store, Clock& clock, const SecretBytes& key_pem,
                                                      std::string issuer);
  ~TokenAuthority();

  struct Bound {
    std::string kind, name, uid;      // "Pod" or "Secret"; empty: to nothing
    std::string node_name, node_uid;  // of a Pod that is on a node
  };
  Result<std::string> issue(const std::string& ns, const std::string& account, const std::string& account_uid,
                            const Bound& bound, const std::vector<std::string>& audiences, Duration lifetime) const;
  // `audiences`: at least one must be the token's; empty: the API server's. Errors: unauthorized, with why (for the
  // log).
  Result<User> verify(std::string_view token, const std::vector<std::string>& audiences = {}) const;
  const std::string& issuer() const;

  // The Secret's name and contents for a user's token; the caller stores it.
  static Value user_token_secret(std::string_view token, const std::string& user,
                                 const std::vector<std::string>& groups);

 private:
  struct Impl;
  explicit TokenAuthority(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::apiserver
