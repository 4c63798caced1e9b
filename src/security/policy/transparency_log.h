// SPDX-License-Identifier: Apache-2.0
// Entries of a transparency log (Rekor), checked offline: the log's promise over the entry (SignedEntryTimestamp) with
// the log's key, and that the entry is of this signature. Follows sigstore/rekor, types hashedrekord 0.0.1, intoto
// 0.0.1 and 0.0.2, dsse 0.0.1; the promise is over RFC 8785 JSON. Pure; any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"
#include "security/policy/public_key.h"

namespace caisson::policy {

// Of the public instance, rekor.sigstore.dev: what cosign trusts where nothing else is said.
extern const char* const kPublicRekorKey;

struct LogEntry {
  std::string body;  // base64, as the promise covers it
  std::string log_id;
  std::string promise;  // the signature
  std::int64_t integrated_time = 0, log_index = 0;

  Time time() const { return Time(std::chrono::seconds(integrated_time)); }
};

// The annotation dev.sigstore.cosign/bundle. Errors: bad_request.
Result<LogEntry> parse_rekor_bundle(std::string_view text);
// An entry of verificationMaterial.tlogEntries of a Sigstore bundle. Errors: bad_request; an entry without a promise
// (Rekor 2) is one.
Result<LogEntry> parse_bundle_entry(const Value& entry);

// Errors: unauthorized.
Result<void> verify_promise(const LogEntry& entry, const PublicKey& log_key);
// `payload`: what is signed, before any envelope. Errors: unauthorized when the entry is of something else.
Result<void> check_entry_is_of(const LogEntry& entry, std::string_view payload, std::string_view signature,
                               const PublicKey& signer);

}  // namespace caisson::policy
