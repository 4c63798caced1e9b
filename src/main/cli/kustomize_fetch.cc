// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kustomize_fetch.h"

#include "core/base/process.h"
#include "core/base/text.h"
#include "core/http/client.h"

namespace caisson::cli {
namespace {

constexpr std::size_t kFileBytesMax = 64u << 20;

Result<void> git(const std::string& directory, const render::RepositoryUrl& url, std::vector<std::string> arguments) {
  Command command;
  command.args = std::move(arguments);
  command.args.insert(command.args.begin(), "git");
  command.directory = directory;
  command.time_max = std::chrono::duration_cast<Duration>(url.timeout);
  // A build has nobody to ask: without credentials it fails instead of waiting for them.
  command.env = {{"GIT_TERMINAL_PROMPT", "0"}, {"GIT_SSH_COMMAND", "ssh -oBatchMode=yes"}};
  const auto ended = run(command);
  const std::string doing = "fetch " + url.clone + (url.ref.empty() ? "" : " at " + url.ref);
  if (!ended.ok()) {
    if (ended.error().code == ErrorCode::timeout) {
      return Error{ErrorCode::timeout, doing + ": hit " + std::to_string(url.timeout.count()) +
                                           " ms timeout of git (?timeout= in the URL sets another)"};
    }
    return Error{ended.error()}.in(doing);
  }
  if (ended->ok()) return {};
  return Error{ErrorCode::unavailable,
               doing + ": " + std::string(trim(ended->err)) + " (offline, name a copy in the tree instead)"};
}

}  // namespace

Result<std::shared_ptr<const render::FileSource>> NetworkFetcher::repository(const render::RepositoryUrl& url) {
  // A URL or ref that begins with "-" would be an option of git.
  if (url.clone.starts_with("-") || url.ref.starts_with("-"))
    return Error{ErrorCode::bad_request, "fetch " + url.clone + ": URL and ref must not begin with '-'"};
  TempDir clone = TRY(TempDir::make("caisson-kustomize"));
  const std::string directory = clone.path();
  TRY(git(directory, url, {"init", "--quiet"}));
  TRY(git(directory, url, {"remote", "add", "origin", url.clone}));  // submodules with relative URLs ask for it
  TRY(git(directory, url, {"fetch", "--quiet", "--depth=1", url.clone, url.ref.empty() ? "HEAD" : url.ref}));
  TRY(git(directory, url, {"checkout", "--quiet", "FETCH_HEAD"}));
  if (url.submodules && exists(directory + "/.gitmodules"))
    TRY(git(directory, url, {"submodule", "--quiet", "update", "--init", "--recursive"}));
  clones_.push_back(std::move(clone));
  return std::shared_ptr<const render::FileSource>(render::disk_source(directory));
}

Result<std::string> NetworkFetcher::file(const std::string& url) {
  http::Request request;
  request.url = url;
  request.response_bytes_max = kFileBytesMax;
  http::Response response = TRY(http::Client().send(request).in("GET " + url));
  if (response.status < 200 || response.status > 299)
    return Error{ErrorCode::not_found, "GET " + url + ": HTTP Error: status code " + std::to_string(response.status)};
  return std::move(response.body);
}

}  // namespace caisson::cli
