// SPDX-License-Identifier: Apache-2.0
// Whose signature counts: a public key, a certificate, or an identity that a certificate authority vouches for
// (keyless). Follows Kyverno 1.19: an entry of `attestors` of verifyImages, and `cosign` of an ImageValidatingPolicy.
//
// Everything is checked offline, with what the policy gives and what lies beside the image: nothing is fetched from
// Fulcio, Rekor or a TUF mirror. Rekor's public instance is known by its key; roots of trust must be given. Any thread.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"
#include "security/policy/context.h"
#include "security/policy/signatures.h"

namespace caisson::policy {

// An identity that may sign. Empty members say nothing; both kinds of issuer or subject may be given.
struct SignerIdentity {
  std::string issuer, subject;                  // wildcards in subject
  std::string issuer_pattern, subject_pattern;  // RE2, the whole text
};

struct Authority {
  std::vector<PublicKey> keys;           // any of them; or:
  std::vector<Certificate> certificate;  // this one, with its chain behind it; or:
  bool keyless = false;
  std::vector<SignerIdentity> identities;
  std::map<std::string, std::string> extensions;  // that the signer's certificate must hold, by name or OID

  std::vector<Certificate> roots;
  std::string hash = "sha256";
  bool ignore_log = false, ignore_certificate_log = false;
  std::string log_key, certificate_log_key;        // PEM; empty: the public instance's, none
  std::map<std::string, std::string> annotations;  // that the signature must hold
  std::string repository;                          // where the signatures are, when not beside the image
};

// An entry of `attestors[].entries` with its variables substituted. A list of keys is taken apart by the caller.
// Errors: bad_request for what is not supported (kms) or missing, with the field; those of `lookups` for a Secret.
Result<Authority> parse_authority(const Value& entry, const Lookups& lookups);
// `cosign` of an attestor of an ImageValidatingPolicy, its expressions evaluated. Errors: the same.
Result<Authority> parse_cosign_attestor(const Value& cosign, const Lookups& lookups);
// `notary` of such an attestor: the certificates that are trusted.
Result<Authority> parse_notary_attestor(const Value& notary);

// Errors: unauthorized, which says what does not hold.
Result<void> verify_signature(const Authority& authority, const Signature& signature, Time now);

}  // namespace caisson::policy
