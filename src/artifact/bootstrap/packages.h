// SPDX-License-Identifier: Apache-2.0
// Distribution packages into a directory, without running their scripts: resolved by apt against an empty system,
// downloaded into the cache, unpacked by dpkg-deb. Uses the host's apt configuration and lists. One thread at a time.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::bootstrap {

struct Package {
  std::string name, version, file;  // file: path in the cache
};

using Say = std::function<void(std::string_view)>;

// Resolves and downloads, in one apt call. Errors: not_found (unknown package: "run apt-get update"), unavailable
// (download).
Result<std::vector<Package>> fetch_packages(const std::vector<std::string>& names, const std::string& cache);

// Unpacks into `tree` (bin, sbin, lib and lib64 are links into usr, as in every current system), two at a time, and
// records each package in var/lib/dpkg/status.d. Packages that only maintainer scripts need are left out unless they
// were asked for by name.
Result<void> unpack_packages(const std::vector<Package>& packages, const std::vector<std::string>& asked,
                             const std::string& tree, const Say& say);

}  // namespace caisson::bootstrap
