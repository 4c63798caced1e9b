// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/signatures.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/git/git_command.h"

namespace caisson::git {
namespace {

constexpr std::string_view kStatus = "[GNUPG:] ";  // gnupg's doc/DETAILS, "General status codes"
constexpr Duration kTimeMax = std::chrono::seconds(20);

Error refused(const std::string& commit, std::string_view status) {
  const bool none = status.find(kStatus) == std::string_view::npos;
  const bool unknown = status.find("[GNUPG:] NO_PUBKEY") != std::string_view::npos;
  return {ErrorCode::invalid, "revision " + commit +
                                  (none      ? " is not signed"
                                   : unknown ? " is signed with a key that is not known here"
                                             : " has a signature that is bad, expired or revoked")};
}

}  // namespace

Result<Signer> verify_commit(const Repository& repository, const std::string& commit,
                             const std::vector<std::string>& keys) {
  if (find_program("gpg").empty())
    return Error{ErrorCode::unavailable, "gpg is not installed (Debian: gpg), and signatures are required"};
  const TempDir home = TRY(TempDir::make("gpg"));
  if (!keys.empty()) {
    Command import;
    import.args = {"gpg", "--batch", "--no-tty", "--no-autostart", "--quiet", "--import"};
    import.env = {{ "GNUPGHOME", home.path() }};
    for (const std::string& key : keys) import.input += key + "\n";
    import.time_max = kTimeMax;
    TRY(run_checked(import).in("keys of signatures"));
  }
  Command verify = git_command({"git", "verify-commit", "--raw", commit}, repository.path());
  verify.env.emplace_back("GNUPGHOME", home.path());
  verify.time_max = kTimeMax;
  const Exit done = TRY(run(verify));
  for (const std::string_view line : split(done.err, '\n')) {
    if (!done.ok() || !line.starts_with("[GNUPG:] VALIDSIG ")) continue;
    const auto fields = split(trim(line), ' ');  // [GNUPG:] VALIDSIG FINGERPRINT … PRIMARY
    if (fields.size() > 3) return Signer{std::string(fields[2]), std::string(fields.back())};
  }
  return refused(commit, done.err);
}

}  // namespace caisson::git
