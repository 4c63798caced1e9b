// SPDX-License-Identifier: Apache-2.0
// Commits signed by gpg itself, with keys made for this run.
#include "delivery/git/signatures.h"

#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/process.h"

namespace caisson::git {
namespace {

struct Signed {
  TempDir dir = TempDir::make("signed").value();
  std::string home = dir.path() + "/gpg", tree = dir.path() + "/tree";

  Signed() {
    REQUIRE(make_dirs(home, 0700).ok());
    do_it({"git", "init", "-q", "-b", "main", tree}, dir.path());
  }
  ~Signed() { (void)run(command({"gpgconf", "--kill", "all"}, dir.path())); }

  Command command(std::vector<std::string> args, const std::string& where) const {
    Command out;
    out.args = std::move(args);
    out.directory = where;
    out.env = {{"GNUPGHOME", home}, {"HOME", dir.path()}};
    return out;
  }
  std::string do_it(std::vector<std::string> args, const std::string& where) const {
    auto done = run_checked(command(std::move(args), where));
    REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
    return std::move(done).value();
  }
  // The public key of a new pair.
  std::string make_key(const std::string& name) const {
    do_it({"gpg", "--batch", "--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "never"}, dir.path());
    return do_it({"gpg", "--batch", "--armor", "--export", name}, dir.path());
  }
  std::string commit(const std::string& key) const {
    std::vector<std::string> args{"git",    "-c", "user.name=t",   "-c", "user.email=t@t",
                                  "commit", "-q", "--allow-empty", "-m", "x"};
    if (!key.empty()) args.push_back("-S" + key);
    do_it(args, tree);
    std::string id = do_it({"git", "rev-parse", "HEAD"}, tree);
    id.pop_back();
    return id;
  }
};

TEST_CASE("a commit's signer is found among the given keys alone") {
  if (find_program("gpg-agent").empty()) {
    MESSAGE("gpg-agent is not installed: nothing can be signed here");
    return;
  }
  const Signed it;
  const std::string ada = it.make_key("ada@example.org"), bob = it.make_key("bob@example.org");
  const std::string plain = it.commit(""), by_ada = it.commit("ada@example.org");
  const Repository repository = open_repository(it.tree + "/.git", "signed").value();
  const auto signer = verify_commit(repository, by_ada, {bob, ada});
  REQUIRE(signer.ok());
  CHECK(signer->fingerprint.size() == 40);
  CHECK(signer->primary == signer->fingerprint);
  CHECK(verify_commit(repository, plain, {ada}).error().message == "revision " + plain + " is not signed");
  CHECK(verify_commit(repository, by_ada, {bob}).error().message.find("not known") != std::string::npos);
  CHECK(verify_commit(repository, by_ada, {}).error().code == ErrorCode::invalid);
  CHECK_FALSE(verify_commit(repository, by_ada, {"no key"}).ok());
}

}  // namespace
}  // namespace caisson::git
