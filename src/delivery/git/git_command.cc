// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/git_command.h"

#include "core/base/file.h"

namespace caisson::git {
namespace {

// core.fsync=all with batch was measured to cost nothing over loopback; objects and refs are on disk before the answer.
constexpr std::string_view kConfig = R"([core]
	repositoryformatversion = 0
	filemode = true
	bare = true
	hooksPath = /dev/null
	fsync = all
	fsyncMethod = batch
	quotepath = false
	logAllRefUpdates = false
[receive]
	fsckObjects = true
	autogc = false
	denyDeleteCurrent = refuse
	advertisePushOptions = true
[transfer]
	hideRefs = refs/internal
[uploadpack]
	allowFilter = true
	allowReachableSHA1InWant = true
	allowTipSHA1InWant = true
[gc]
	auto = 0
[safe]
	bareRepository = all
)";

}  // namespace

Command git_command(std::vector<std::string> arguments, const std::string& directory) {
  Command command;
  command.args = std::move(arguments);
  command.directory = directory;
  command.env = {
      {"GIT_CONFIG_NOSYSTEM", "1"}, {"GIT_CONFIG_GLOBAL", "/dev/null"}, {"HOME", directory}, {"LC_ALL", "C.UTF-8"}};
  return command;
}

Result<void> make_bare_repository(const std::string& path, const std::string& default_branch) {
  if (is_directory(path)) return {};
  const std::string parent = path_dir(path);
  TRY(make_dirs(parent));
  const TempDir scratch = TRY(TempDir::make(".new", parent));
  const std::string made = scratch.path() + "/r";
  for (const char* directory : {"/objects/info", "/objects/pack", "/refs/heads", "/refs/tags"})
    TRY(make_dirs(made + directory));
  TRY(write_file(made + "/HEAD", "ref: refs/heads/" + default_branch + "\n"));
  TRY(write_file(made + "/config", kConfig));
  for (const char* directory : {"/objects/info", "/objects/pack", "/objects", "/refs/heads", "/refs/tags", "/refs", ""})
    TRY(sync_dir(made + directory));
  const Result<void> moved = rename_file(made, path);
  if (!moved.ok() && is_directory(path)) return {};  // somebody else was quicker
  TRY(moved);
  return sync_dir(parent);
}

}  // namespace caisson::git
