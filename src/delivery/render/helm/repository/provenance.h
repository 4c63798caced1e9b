// SPDX-License-Identifier: Apache-2.0
// Provenance files (CHART.tgz.prov): Chart.yaml and the archive's SHA-256, clear-signed. Source: Helm 3.22
// pkg/provenance. Reads key rings from disk; any thread.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/secret.h"

namespace caisson::render::helm {

struct Verification {
  std::vector<std::string> identities;
  std::string fingerprint;  // upper-case hex
  std::string file_hash;    // "sha256:…"
  std::string str() const;  // the lines that `helm verify` prints
};

// `keyring` is a path. Errors: not_found, "failed to load keyring: …"; forbidden, in Helm's words, when the signature
// or the archive's hash does not hold.
Result<Verification> verify_provenance(const std::string& file_name, const std::string& archive,
                                       const std::string& provenance, const std::string& keyring);
// The chart at a path, by the .prov beside it.
Result<Verification> verify_chart_file(const std::string& path, const std::string& keyring);

// The content of the .prov, signed with the key of `keyring` whose identity is or holds `key`. `passphrase` is asked
// when that key is encrypted.
Result<std::string> sign_chart(const std::string& file_name, const std::string& archive, const std::string& keyring,
                               const std::string& key,
                               const std::function<Result<SecretBytes>(const std::string& identity)>& passphrase);

}  // namespace caisson::render::helm
