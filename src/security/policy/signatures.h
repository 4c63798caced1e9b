// SPDX-License-Identifier: Apache-2.0
// What was signed of an image and lies beside it in its registry: cosign's tags sha256-<hex>.sig and .att, the same as
// referrers (OCI 1.1), and Sigstore bundles. Formats: sigstore/cosign specs/SIGNATURE_SPEC.md, DSSE 1.0, in-toto
// Statement 0.1 and 1, Sigstore bundle 0.1 to 0.3. Read only; who signed is checked elsewhere (authority.h). Any
// thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"
#include "security/policy/image_source.h"
#include "security/policy/signing_certificate.h"
#include "security/policy/transparency_log.h"

namespace caisson::policy {

// What an envelope of the Notary Project says of itself (notary.h).
struct NotaryClaims {
  std::string algorithm;  // "PS256", "ES384", …
  std::optional<Time> expiry;
};

struct Signature {
  std::string payload;                    // simple signing document, or in-toto statement
  std::string message;                    // what the signature is over: the payload, or its DSSE encoding
  std::string signature;                  // raw
  std::vector<Certificate> certificates;  // of the signer, then its issuers; empty where a key signed
  std::optional<LogEntry> log_entry;
  std::optional<NotaryClaims> notary;  // empty: cosign's
  Value document;                      // the payload, parsed
};

// Which image: where what is signed of it lies, and its digest.
struct SignedImage {
  std::string repository, digest;
};

// Those whose payload names the image's digest. Errors: those of the source but not_found; bad_request for what is no
// signature, though one bad signature beside good ones is left out.
Result<std::vector<Signature>> read_signatures(const ImageSource& source, const SignedImage& image);
// The same of attestations: statements with the image among their subjects.
Result<std::vector<Signature>> read_attestations(const ImageSource& source, const SignedImage& image);

// DSSE's encoding of what is signed.
std::string dsse_message(std::string_view payload_type, std::string_view payload);

}  // namespace caisson::policy
