// SPDX-License-Identifier: Apache-2.0
// helm pull, push, registry, dependency, verify: charts on their way. Source: Helm 3.22 pkg/action.
#include <unistd.h>

#include <sys/stat.h>

#include <cstdio>

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/repository/dependencies.h"
#include "delivery/render/helm/repository/download.h"
#include "delivery/render/helm/repository/oci.h"
#include "delivery/render/helm/repository/provenance.h"
#include "delivery/render/helm/repository/url.h"
#include "main/cli/helm_release.h"

namespace caisson::cli {
namespace {

using namespace render::helm;
using Words = std::vector<std::string>;

// --- pull

// The chart's files below `folder`/NAME.
Result<void> unpack(const std::string& archive, const std::string& folder) {
  std::vector<std::string> warnings;
  const std::vector<File> files = TRY(read_archive(archive));
  const Chart chart = TRY(load_archive(archive, warnings));
  const std::string root = path_join(folder, TRY(safe_path(chart.name())));
  for (const File& file : files) {
    const std::string path = path_join(root, TRY(safe_path(file.name)));
    TRY(make_dirs(path_dir(path)));
    TRY(write_file_unsynced(path, file.data));
  }
  return {};
}

Result<void> untar(const std::string& name, const std::string& archive, const Flags& flags) {
  const std::string below = flags.text("untardir", ".");
  const std::string folder = below.starts_with('/') ? below : path_clean(flags.text("destination", ".") + "/" + below);
  std::string base = path_base(name);
  base = base.substr(0, is_oci(name) ? base.find(':') : std::string::npos);
  const std::string taken = folder == "." ? base : path_join(folder, base);
  if (exists(taken)) {
    return Error{ErrorCode::already_exists,
                 "failed to untar: a file or directory with the name " + taken + " already exists"};
  }
  TRY(make_dirs(folder));
  return unpack(archive, folder);
}

Result<void> pull(const std::string& name, const Flags& flags) {
  ChartRequest request{name, helm_version_wanted(flags), flags.text("repo"), helm_access(flags)};
  request.with_provenance = flags.is_set("verify") || flags.is_set("prov");
  const DownloadedChart chart = TRY(download_chart(helm_home(flags), request, helm_talk()));
  std::string report;
  if (flags.is_set("verify"))
    report = TRY(verify_provenance(chart.file_name, chart.archive, chart.provenance, helm_keyring(flags))).str();
  if (flags.is_set("untar")) {
    TRY(untar(name, chart.archive, flags));
  } else {
    const std::string path = path_join(flags.text("destination", "."), TRY(safe_path(chart.file_name)));
    TRY(write_file_unsynced(path, chart.archive));
    if (request.with_provenance) TRY(write_file_unsynced(path + ".prov", chart.provenance));
  }
  return write_all(STDOUT_FILENO, report);
}

// --- registry

// Without a scheme, a path and a slash at the end.
std::string registry_host(const std::string& given) {
  const UrlParts parts = split_url(given);
  const std::string rest = parts.is_absolute() ? parts.authority : parts.path;
  return rest.substr(0, rest.find('/'));
}

Result<void> registry_login(const Words& words, const Flags& flags) {
  TRY(expect_helm_arguments(words, 1, SIZE_MAX, "registry login [host] [flags]"));
  Access access = helm_access(flags);
  if (flags.is_set("password-stdin")) {
    access.password = SecretBytes(TRY(read_helm_password()));
  } else if (access.password.empty()) {
    return Error{ErrorCode::bad_request, access.username.empty() ? "token required" : "password required"};
  } else {
    std::fprintf(stderr, "WARNING: Using --password via the CLI is insecure. Use --password-stdin.\n");
  }
  const std::string host = registry_host(words[0]);
  const Home home = helm_home(flags);
  ChartRegistry registry = TRY(ChartRegistry::open(home, access));
  TRY(registry.check_login(host).in("authenticating to " + go_quote(host)));
  TRY(keep_login(home, host, {access.username, access.password}));
  return write_all(STDERR_FILENO, "Login Succeeded\n");
}

Result<void> registry_logout(const Words& words, const Flags& flags) {
  TRY(expect_helm_arguments(words, 1, SIZE_MAX, "registry logout [host] [flags]"));
  TRY(forget_login(helm_home(flags), registry_host(words[0])));
  return write_all(STDERR_FILENO, "Removing login credentials for " + words[0] + "\n");
}

// --- dependency

DependencyOptions dependency_options(const Flags& flags) {
  DependencyOptions options{helm_home(flags), helm_access(flags), flags.is_set("skip-refresh"), {}};
  if (flags.is_set("verify")) options.keyring = helm_keyring(flags);
  return options;
}

}  // namespace

Result<void> command_helm_pull(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 1, SIZE_MAX, "pull [chart URL | repo/chartname] [...] [flags]"));
  for (const std::string& name : flags.arguments()) TRY(pull(name, flags));
  return {};
}

Result<void> command_helm_push(const Flags& flags) {
  const Words& words = flags.arguments();
  TRY(expect_helm_arguments(words, 2, SIZE_MAX, "push [chart] [remote] [flags]"));
  if (!is_oci(words[1])) {
    const std::string scheme = split_url(words[1]).scheme;
    if (scheme.empty() && words[1].find(':') < words[1].find('/'))  // Go's url.Parse takes no colon there
      return Error{ErrorCode::bad_request, "invalid chart URL format: " + words[1]};
    return Error{ErrorCode::bad_request, scheme.empty() ? "scheme prefix missing from remote (e.g. \"oci://\")"
                                                        : "scheme " + go_quote(scheme) + " not supported"};
  }
  struct stat info {};
  if (::stat(words[0].c_str(), &info) != 0) return Error{ErrorCode::not_found, words[0] + ": no such file"};
  if (S_ISDIR(info.st_mode))
    return Error{ErrorCode::bad_request, "cannot push directory, must provide chart archive (.tgz)"};
  const std::string archive = TRY(read_file(words[0], kArchiveBytesMax));
  std::optional<std::string> provenance;
  if (exists(words[0] + ".prov")) provenance = TRY(read_file(words[0] + ".prov"));
  ChartRegistry registry = TRY(ChartRegistry::open(helm_home(flags), helm_access(flags)));
  const std::string created = format_time(Time(std::chrono::seconds(info.st_mtime)));
  const auto pushed = TRY(registry.push(archive, provenance, words[1], created));
  return write_all(STDERR_FILENO, "Pushed: " + pushed.reference + "\nDigest: " + pushed.digest + "\n");
}

Result<void> command_helm_registry(const Flags& flags) {
  const Words& all = flags.arguments();
  if (all.empty()) return Error{ErrorCode::bad_request, "\"helm registry\" requires login or logout"};
  const Words words(all.begin() + 1, all.end());
  if (all[0] == "login") return registry_login(words, flags);
  if (all[0] == "logout") return registry_logout(words, flags);
  return Error{ErrorCode::bad_request, "unknown command " + go_quote(all[0]) + " for \"helm registry\""};
}

Result<void> command_helm_dependency(const Flags& flags) {
  const Words& all = flags.arguments();
  if (all.empty()) return Error{ErrorCode::bad_request, "\"helm dependency\" requires build, list or update"};
  const std::string chart = all.size() > 1 ? path_clean(all[1]) : ".";
  if (all[0] == "update" || all[0] == "up") return update_dependencies(chart, dependency_options(flags), helm_talk());
  if (all[0] == "build") return build_dependencies(chart, dependency_options(flags), helm_talk());
  if (all[0] != "list" && all[0] != "ls")
    return Error{ErrorCode::bad_request, "unknown command " + go_quote(all[0]) + " for \"helm dependency\""};
  const auto width = parse_int(flags.text("max-col-width", "80")).value_or(80);
  const std::string text = TRY(list_dependencies(chart, static_cast<std::size_t>(width)));
  return write_all(STDOUT_FILENO, text);
}

Result<void> command_helm_verify(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 1, 1, "verify PATH [flags]"));
  const Verification verified = TRY(verify_chart_file(flags.arguments()[0], helm_keyring(flags)));
  return write_all(STDOUT_FILENO, verified.str());
}

}  // namespace caisson::cli
