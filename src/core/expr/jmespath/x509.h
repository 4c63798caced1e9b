// SPDX-License-Identifier: Apache-2.0
// Certificates and requests as x509_decode shows them: the members that Go's encoding/json writes of x509.Certificate.
// Any thread.
#pragma once
#include <string_view>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::jmespath {

// Errors: bad_request: no PEM block of a CERTIFICATE or CERTIFICATE REQUEST, or a key that is not RSA.
Result<Value> decode_x509(std::string_view pem);

}  // namespace caisson::jmespath
