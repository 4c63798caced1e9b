// SPDX-License-Identifier: Apache-2.0
// Certificate signing requests (PKCS#10, RFC 2986): what one asks for, and the certificate that a CA makes of it. Pure
// functions; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/http/tls.h"

namespace caisson::http {

struct SigningRequest {
  std::string common_name;
  std::vector<std::string> organizations, dns_names, ip_addresses, emails, uris;
};
// Errors: bad_request for what is no request in PEM, or not signed by its own key.
Result<SigningRequest> read_signing_request(std::string_view pem);

// The certificate (PEM) with the request's subject, names and key, for `usages` as Kubernetes names them ("client
// auth", "digital signature"); valid from five minutes ago, and no longer than the CA. Errors: bad_request.
Result<std::string> sign_request(const KeyPair& ca, std::string_view pem, const std::vector<std::string>& usages,
                                 Time now, Duration valid_for);

}  // namespace caisson::http
