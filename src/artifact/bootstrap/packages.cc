// SPDX-License-Identifier: Apache-2.0
// See packages.h. Recipe and timings: docs/benchmarks.md.
#include "artifact/bootstrap/packages.h"

#include <set>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"

namespace caisson::bootstrap {
namespace {

// Needed by maintainer scripts only, which never run here.
const std::set<std::string_view> kScriptsOnly = {
    "adduser",
    "debconf",
    "dpkg",
    "init-system-helpers",
    "libfile-find-rule-perl",
    "libnumber-compare-perl",
    "libperl5.36",
    "libsemanage-common",
    "libsemanage2",
    "libsepol2",
    "libtext-glob-perl",
    "lsb-base",
    "passwd",
    "perl",
    "perl-base",
    "perl-modules-5.36",
    "sysvinit-utils",
    "ucf",
    "usrmerge",
    "libgdbm-compat4",
    "libgdbm6",
    "libpam-modules",
    "libpam-modules-bin",
    "ssl-cert",
    "sensible-utils",
    "postgresql-common",
    "libjson-perl",
    "libcommon-sense-perl",
    "libjson-xs-perl",
    "libtypes-serialiser-perl",
};

std::string encoded_version(std::string_view version) {
  return replace_all(std::string(version), ":", "%3a");
}

Error apt_error(const std::string& text) {
  std::string lines;
  for (const std::string_view line : split(text, '\n'))
    if (line.starts_with("E: ") || line.starts_with("Err:"))
      lines += (lines.empty() ? "" : "; ") + std::string(trim(line.substr(line.find(':') + 1)));
  if (text.find("Unable to locate package") != std::string::npos ||
      text.find("has no installation candidate") != std::string::npos)
    return {ErrorCode::not_found, "apt: " + lines + " (are the package lists there? run: apt-get update)"};
  return {ErrorCode::unavailable, "apt: " + lines};
}

// The lines "   name (version)" below "The following NEW packages will be installed:".
std::vector<std::pair<std::string, std::string>> parse_plan(std::string_view output) {
  std::vector<std::pair<std::string, std::string>> out;
  bool inside = false;
  for (const std::string_view line : split(output, '\n')) {
    if (line.starts_with("The following NEW packages")) {
      inside = true;
    } else if (inside && line.starts_with("   ")) {
      const std::string_view entry = trim(line);
      const auto space = entry.find(' ');
      if (space == std::string_view::npos || !entry.ends_with(")")) continue;
      out.emplace_back(entry.substr(0, entry.find(':') < space ? entry.find(':') : space),
                       entry.substr(space + 2, entry.size() - space - 3));
    } else {
      inside = false;
    }
  }
  return out;
}

Result<std::string> run_apt(const std::vector<std::string>& names, const std::string& cache,
                            const std::string& scratch) {
  TRY(write_file_unsynced(scratch + "/status", ""));
  Command command;
  command.args = {"apt-get", "-q", "-y", "-V", "--no-install-recommends", "--download-only"};
  for (const std::string& option :
       {"Dir::State::status=" + scratch + "/status", "Dir::State::extended_states=" + scratch + "/extended",
        "Dir::Cache::archives=" + cache, std::string("Dir::Cache::pkgcache="), std::string("Dir::Cache::srcpkgcache="),
        std::string("Debug::NoLocking=1"), std::string("APT::Sandbox::User=root"),
        std::string("APT::Get::AutomaticRemove=false")}) {
    command.args.push_back("-o");
    command.args.push_back(option);
  }
  command.args.push_back("install");
  command.args.insert(command.args.end(), names.begin(), names.end());
  command.env = {{"LANG", "C"}, {"LC_ALL", "C"}, {"DEBIAN_FRONTEND", "noninteractive"}};
  command.time_max = std::chrono::minutes(15);
  const Exit exit = TRY(run(command));
  if (!exit.ok()) return apt_error(exit.out + "\n" + exit.err);
  return exit.out;
}

// dpkg-deb -x of several packages, two processes at a time.
Result<void> unpack_all(const std::vector<const Package*>& packages, const std::string& tree, const Say& say) {
  std::vector<std::pair<const Package*, Process>> running;
  const auto finish_one = [&]() -> Result<void> {
    const std::string name = running.front().first->name;
    const int code = TRY(running.front().second.wait());
    running.erase(running.begin());
    if (code != 0)
      return Error{ErrorCode::internal, "unpack package " + name + ": dpkg-deb ended with " + std::to_string(code)};
    return {};
  };
  std::size_t number = 0;
  for (const Package* package : packages) {
    if (running.size() == 2) TRY(finish_one());
    say("unpacks package " + std::to_string(++number) + " of " + std::to_string(packages.size()) + " (" +
        package->name + ")");
    Command command;
    command.args = {"dpkg-deb", "-x", package->file, tree};
    command.time_max = std::chrono::minutes(5);
    Process process = TRY(Process::start(command, {}));
    running.emplace_back(package, std::move(process));
  }
  while (!running.empty()) TRY(finish_one());
  return {};
}

}  // namespace

Result<std::vector<Package>> fetch_packages(const std::vector<std::string>& names, const std::string& cache) {
  TRY(make_dirs(cache + "/partial"));
  const TempDir scratch = TRY(TempDir::make("caisson-apt"));
  const std::string output = TRY(run_apt(names, cache, scratch.path()));
  std::vector<Package> out;
  for (const auto& [name, version] : parse_plan(output)) {
    Package package{name, version, {}};
    const std::vector<std::string> files = TRY(list_dir(cache));
    const std::string prefix = name + "_" + encoded_version(version) + "_";
    for (const std::string& file : files)
      if (file.starts_with(prefix) && file.ends_with(".deb")) package.file = path_join(cache, file);
    if (package.file.empty())
      return Error{ErrorCode::internal, "apt downloaded no file for package " + name + " " + version};
    out.push_back(std::move(package));
  }
  if (out.empty()) return Error{ErrorCode::internal, "apt planned no package for: " + join(names, " ")};
  return out;
}

Result<void> unpack_packages(const std::vector<Package>& packages, const std::vector<std::string>& asked,
                             const std::string& tree, const Say& say) {
  std::vector<const Package*> wanted;
  for (const Package& package : packages)
    if (!kScriptsOnly.contains(package.name) || std::find(asked.begin(), asked.end(), package.name) != asked.end())
      wanted.push_back(&package);
  TRY(unpack_all(wanted, tree, say));
  TRY(make_dirs(tree + "/var/lib/dpkg/status.d"));
  for (const Package* package : wanted) {
    Command command;
    command.args = {"dpkg-deb", "-f", package->file};
    const std::string control = TRY(run_checked(command));
    TRY(write_file_unsynced(tree + "/var/lib/dpkg/status.d/" + package->name, control));
  }
  return {};
}

}  // namespace caisson::bootstrap
