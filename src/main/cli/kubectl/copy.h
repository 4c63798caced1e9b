// SPDX-License-Identifier: Apache-2.0
// cp: files and directories between this machine and a container, as a tar over exec. The container needs a `tar`.
#pragma once
#include "artifact/content/source.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {

inline constexpr FlagSpec kCopyFlags[] = {
    {"container", FlagKind::text, 'c'}, {"no-preserve", FlagKind::boolean}, {"retries", FlagKind::text}};
Result<int> run_copy(Call& call);

// One side of a copy.
struct CopyPlace {
  std::string ns, pod, path;  // no pod: this machine
  bool operator==(const CopyPlace&) const = default;
};
// "POD:PATH", "NS/POD:PATH", "PATH". Errors: kubectl's text for what is neither.
Result<CopyPlace> parse_place(std::string_view text);

// The tar of the file or directory at `source`, whose entries begin with `name`. Links stay links; sockets and devices
// are left out.
Result<content::ByteSource> local_tar(const std::string& source, const std::string& name);

// Puts the entries below `prefix` at `destination` ("prefix/a" becomes "destination/a"). Nothing is written outside of
// it: entries with "..", and links, which could lead out, are left out and named in `skipped`. Errors: bad_request,
// write errors.
Result<void> untar_below(const content::ByteSource& archive, const std::string& prefix, const std::string& destination,
                         std::vector<std::string>& skipped);

}  // namespace caisson::cli::kubectl
