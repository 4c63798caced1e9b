// SPDX-License-Identifier: Apache-2.0
// Whose OpenPGP signature a commit carries: git-verify-commit(1) with gpg(1) and the given keys alone, apart from the
// keys of this host. Blocks (processes); any thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "delivery/git/repositories.h"

namespace caisson::git {

// Fingerprints in upper case: of the key that signed, and of the primary key that it belongs to.
struct Signer {
  std::string fingerprint, primary;
};

// `keys`: armoured public keys. Errors: invalid, when the commit is not signed, the signature is bad, expired or
// revoked, or by none of `keys`; unavailable when gpg is not installed.
Result<Signer> verify_commit(const Repository& repository, const std::string& commit,
                             const std::vector<std::string>& keys);

}  // namespace caisson::git
