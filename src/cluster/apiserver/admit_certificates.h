// SPDX-License-Identifier: Apache-2.0
// The plug-in for CertificateSigningRequests (admit_certificates.cc).
#pragma once
#include <memory>

#include "cluster/apiserver/admission.h"
#include "cluster/apiserver/authorizer.h"
#include "core/base/clock.h"

namespace caisson::apiserver {

std::shared_ptr<Admission> make_certificate_requests(const Authorizer& authorizer, Clock& clock);

}  // namespace caisson::apiserver
