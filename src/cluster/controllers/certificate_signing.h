// SPDX-License-Identifier: Apache-2.0
// Signs what was approved for Kubernetes' own signers, and clears away old CertificateSigningRequests
// (pkg/controller/certificates/{signer,cleaner} of 1.33). Approving is a person's, or an operator's.
#pragma once
#include "cluster/kube/reconciler.h"
#include "core/http/tls.h"

namespace caisson::controllers {

// `ca`: whose certificates the API server takes as client certificates. A reconciler for each request; without a key,
// requests are cleared away and never signed.
void add_certificate_signing(kube::Runtime& runtime, http::KeyPair ca);

// What `request` (spec of a CertificateSigningRequest) may not ask its signer for; success: it may be signed.
// not_found: the signer is none of Kubernetes' own, and somebody else's business.
Result<void> check_signer_rules(const Value& spec);

}  // namespace caisson::controllers
