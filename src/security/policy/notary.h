// SPDX-License-Identifier: Apache-2.0
// Signatures of the Notary Project, as notation makes them: JWS envelopes that refer to an image. Follows its
// specifications 1.1 (signature-specification, signature-envelope-jws) and Kyverno 1.19's `type: Notary`: the
// certificates that the policy gives are what is trusted, at the level `strict`.
//
// Checked offline: nobody is asked whether a certificate was revoked, and a timestamp of another authority counts
// nothing: certificates must be valid now. COSE envelopes, plug-ins and signing authorities are refused by name.
#pragma once
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "security/policy/signatures.h"

namespace caisson::policy {

// Those whose payload names the digest. Errors: those of the source but not_found; bad_request for what can't be read,
// where there is nothing else.
Result<std::vector<Signature>> read_notary_signatures(const ImageSource& source, const SignedImage& image);
// The signatures of what refers to the image with an artifact type of its own. Their document is {predicateType: that
// type, predicate: the artifact's one layer}. Errors: the same.
Result<std::vector<Signature>> read_notary_attestations(const ImageSource& source, const SignedImage& image,
                                                        const std::string& artifact_type);

// Whether the signature holds and its certificates chain to one of `trusted`. Errors: unauthorized, which says why not.
Result<void> verify_notary_signature(const std::vector<Certificate>& trusted, const Signature& signature, Time now);

}  // namespace caisson::policy
