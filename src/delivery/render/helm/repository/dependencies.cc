// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/repository/dependencies.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/expr/go_template/semver.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/repository/download.h"
#include "delivery/render/helm/repository/fetch.h"
#include "delivery/render/helm/repository/oci.h"
#include "delivery/render/helm/repository/package.h"
#include "delivery/render/helm/repository/provenance.h"
#include "delivery/render/helm/repository/url.h"
#include "delivery/render/helm/version.h"

namespace caisson::render::helm {
namespace {

using go_template::Constraint;
using go_template::Version;
using RepositoryNames = std::map<std::string, std::string>;  // by the dependency's name

constexpr std::string_view kUnmanagedPrefix = "helm-manager-";

std::string local_path(const std::string& repository, const std::string& chart) {
  const std::string path = repository.starts_with("file://") ? repository.substr(7) : repository;
  return path_clean(path.starts_with('/') ? path : chart + "/" + path);
}

Result<void> check_local(const std::string& path) {
  if (exists(path)) return {};
  return Error{ErrorCode::not_found, "directory " + path + " not found"};
}

std::string shown(const Dependency& dependency) {
  return go_quote(dependency.name) + " (repository " + go_quote(dependency.repository) + ", version " +
         go_quote(dependency.version) + ")";
}

Value document_of(const Dependency& dependency) {
  Value out{{"name", dependency.name}};
  if (!dependency.version.empty()) out.set("version", dependency.version);
  out.set("repository", dependency.repository);
  if (!dependency.condition.empty()) out.set("condition", dependency.condition);
  if (!dependency.tags.empty()) out.set("tags", Value::list_of(dependency.tags));
  if (!dependency.import_values.empty()) {
    Value imports(dependency.import_values);
    imports.sort_keys();
    out.set("import-values", std::move(imports));
  }
  if (!dependency.alias.empty()) out.set("alias", dependency.alias);
  return out;
}

Value documents_of(const std::vector<Dependency>& dependencies) {
  Value out = Value::list();
  for (const Dependency& one : dependencies) out.push_back(document_of(one));
  return out;
}

std::vector<Dependency> locked_of(const Value& lock) {
  std::vector<Dependency> out;
  for (const Value& one : lock["dependencies"].items()) {
    Dependency dependency;
    dependency.name = one["name"].scalar_text();
    dependency.version = one["version"].scalar_text();
    dependency.repository = one["repository"].scalar_text();
    out.push_back(std::move(dependency));
  }
  return out;
}

Result<Chart> load_folder(const std::string& path, const Talk& talk) {
  if (!exists(path))
    return Error{ErrorCode::not_found, "could not find " + path + ": stat " + path + ": no such file or directory"};
  if (!is_directory(path)) return Error{ErrorCode::bad_request, "only unpacked charts can be updated"};
  std::vector<std::string> warnings;
  auto read = read_chart_and_files(path, warnings);
  for (const std::string& warning : warnings) talk.err(warning + "\n");
  if (!read.ok()) return std::move(read).error();
  return std::move(read).value().chart;
}

// One `helm dependency update` or `build`.
class Manager {
 public:
  Manager(std::string chart, const DependencyOptions& options, const Talk& talk)
      : chart_(std::move(chart)), options_(options), talk_(talk) {}

  Result<void> open() {
    known_ = TRY(known_repositories(options_.home.repositories_file));
    loaded_ = TRY(load_folder(chart_, talk_));
    return {};
  }
  const Chart& chart() const { return loaded_; }
  const Repositories& known() const { return known_; }
  std::vector<Dependency> wanted() const { return loaded_.metadata.dependencies; }
  std::string lock_name() const { return loaded_.metadata.api_version == "v1" ? "requirements.lock" : "Chart.lock"; }

  Result<RepositoryNames> name_repositories(std::vector<Dependency>& wanted) const;
  Result<void> check_repositories(const std::vector<Dependency>& locked) const;
  Result<void> refresh_unmanaged(RepositoryNames& names, const std::vector<Dependency>& wanted) const;
  void refresh_known() const;
  Result<std::vector<Dependency>> resolve(const std::vector<Dependency>& wanted, const RepositoryNames& names) const;
  Result<void> download(std::vector<Dependency>& locked);
  Result<void> write_lock(const std::vector<Dependency>& locked, const std::string& digest) const;

 private:
  void refresh(const Repository& repository) const;
  Result<std::vector<std::string>> offered(const Dependency& wanted, const std::string& repository) const;
  Result<std::string> url_of(const Dependency& locked) const;
  Result<void> download_one(Dependency& locked, const std::string& into, std::set<std::string>& urls);
  Result<void> check_unpacked(const Dependency& locked) const;
  Result<void> pack_local(Dependency& locked, const std::string& into) const;
  Result<void> replace(const std::string& from, const std::vector<Dependency>& locked) const;

  std::string chart_;
  const DependencyOptions& options_;
  const Talk& talk_;
  Repositories known_;
  Chart loaded_;
};

// Which repository of repositories.yaml each dependency means; "@name" and "alias:name" become its URL.
Result<RepositoryNames> Manager::name_repositories(std::vector<Dependency>& wanted) const {
  RepositoryNames names;
  std::vector<std::string> missing;
  for (Dependency& one : wanted) {
    std::string& repository = one.repository;
    if (repository.empty()) continue;
    if (repository.starts_with("file://")) TRY(check_local(local_path(repository, chart_)));
    if (repository.starts_with("file://") || is_oci(repository)) {
      names[one.name] = repository;
      continue;
    }
    const std::string alias = repository.starts_with('@')        ? repository.substr(1)
                              : repository.starts_with("alias:") ? repository.substr(6)
                                                                 : "";
    const auto found = std::find_if(known_.all.begin(), known_.all.end(), [&](const Repository& known) {
      return alias.empty() ? same_url(known.url, repository) : known.name == alias;
    });
    if (found != known_.all.end()) {
      names[one.name] = found->name;
      if (!alias.empty()) repository = found->url;
    } else if (alias.empty() && (split_url(repository).is_absolute() || repository.starts_with('/'))) {
      continue;  // a URL that `repo add` was not told of: fetched all the same
    } else {
      missing.push_back(repository);
    }
  }
  if (missing.empty()) return names;
  std::string message = "no repository definition for " + join(missing, ", ") + ". Please add them via 'helm repo add'";
  const bool bare = std::any_of(missing.begin(), missing.end(), [](const std::string& one) {
    return one.find("//") == std::string::npos && !one.starts_with('@') && !one.starts_with("alias:");
  });
  if (bare) {
    message +=
        "\nNote that repositories must be URLs or aliases. For example, to refer to the \"example\"\n"
        "repository, use \"https://charts.example.com/\" or \"@example\" instead of\n"
        "\"example\". Don't forget to add the repo, too ('helm repo add').";
  }
  return Error{ErrorCode::not_found, message};
}

Result<void> Manager::check_repositories(const std::vector<Dependency>& locked) const {
  std::vector<std::string> missing;
  for (const Dependency& one : locked) {
    if (one.repository.empty() || one.repository.starts_with("file://") || is_oci(one.repository)) continue;
    const bool there = std::any_of(known_.all.begin(), known_.all.end(), [&](const Repository& known) {
      return same_url(known.url, one.repository.ends_with('/') ? one.repository.substr(0, one.repository.size() - 1)
                                                               : one.repository);
    });
    if (!there) missing.push_back(one.repository);
  }
  if (missing.empty()) return {};
  return Error{ErrorCode::not_found, "no repository definition for " + join(missing, ", ")};
}

void Manager::refresh(const Repository& repository) const {
  std::vector<std::string> warnings;
  const bool unmanaged = repository.name.starts_with(kUnmanagedPrefix);
  const std::string name = go_quote(unmanaged ? repository.url : repository.name);
  const auto updated = update_index(options_.home, repository, warnings);
  for (const std::string& warning : warnings) talk_.err(warning + "\n");
  if (updated.ok()) return talk_.out("...Successfully got an update from the " + name + " chart repository\n");
  talk_.out("...Unable to get an update from the " + name + " chart repository" +
            (unmanaged ? "" : " (" + repository.url + ")") + ":\n\t" + updated.error().message + "\n");
}

// Repositories that only Chart.yaml names, under a name that is a hash of their URL.
Result<void> Manager::refresh_unmanaged(RepositoryNames& names, const std::vector<Dependency>& wanted) const {
  std::vector<Repository> unmanaged;
  for (const Dependency& one : wanted) {
    if (one.repository.empty() || names.contains(one.name)) continue;
    names[one.name] = std::string(kUnmanagedPrefix) + sha256_hex(one.repository);
    unmanaged.push_back({names[one.name], one.repository, {}});
  }
  if (options_.skip_refresh || unmanaged.empty()) return {};
  talk_.out("Getting updates for unmanaged Helm repositories...\n");
  for (const Repository& one : unmanaged) {
    const std::string scheme = split_url(one.url).scheme;
    if (scheme != "http" && scheme != "https")
      return Error{ErrorCode::bad_request, "could not find protocol handler for: " + scheme};
    refresh(one);
  }
  return {};
}

void Manager::refresh_known() const {
  if (known_.all.empty()) return;
  talk_.out("Hang tight while we grab the latest from your chart repositories...\n");
  for (const Repository& one : known_.all) refresh(one);
  talk_.out("Update Complete. ⎈Happy Helming!⎈\n");
}

// The versions of a dependency, newest first.
Result<std::vector<std::string>> Manager::offered(const Dependency& wanted, const std::string& repository) const {
  if (is_oci(wanted.repository)) {
    if (Version::parse(wanted.version).ok()) return std::vector<std::string>{wanted.version};
    ChartRegistry registry = TRY(ChartRegistry::open(options_.home, options_.access));
    const OciReference ref = TRY(OciReference::parse(wanted.repository + "/" + wanted.name));
    return registry.versions(ref).in("could not retrieve list of tags for repository " + wanted.repository);
  }
  std::vector<std::string> warnings, out;
  const Index index = TRY(read_index(options_.home.index_file(repository), warnings)
                              .in("no cached repository for " + repository + " found. (try 'helm repo update')"));
  const auto found = index.entries.find(wanted.name);
  if (found == index.entries.end())
    return Error{ErrorCode::not_found, wanted.name + " chart not found in repo " + wanted.repository};
  for (const ChartVersion& version : found->second) {
    if (!version.urls.empty()) out.push_back(version.metadata.version);
  }
  return out;
}

Result<std::vector<Dependency>> Manager::resolve(const std::vector<Dependency>& wanted,
                                                 const RepositoryNames& names) const {
  std::vector<Dependency> locked;
  std::vector<std::string> missing;
  for (const Dependency& one : wanted) {
    const Constraint range =
        TRY(Constraint::parse(one.version)
                .in("dependency " + go_quote(one.name) + " has an invalid version/constraint format"));
    Dependency& taken = locked.emplace_back();
    taken.name = one.name;
    taken.repository = one.repository;
    taken.version = one.version;
    if (one.repository.empty()) {
      TRY(check_local(path_join(path_join(chart_, "charts"), one.name)));
      continue;
    }
    std::vector<std::string> there;
    if (one.repository.starts_with("file://")) {
      const Chart chart = TRY(load_folder(local_path(one.repository, chart_), talk_));
      there.push_back(chart.metadata.version);
    } else {
      const auto name = names.find(one.name);
      there = TRY(offered(one, name == names.end() ? "" : name->second));
    }
    const auto found = std::find_if(there.begin(), there.end(), [&](const std::string& version) {
      const auto parsed = Version::parse(version);
      return parsed.ok() && range.check(*parsed);
    });
    if (found == there.end())
      missing.push_back(shown(one));
    else
      taken.version = *found;
  }
  if (missing.empty()) return locked;
  return Error{ErrorCode::not_found, "can't get a valid version for " + std::to_string(missing.size()) +
                                         " subchart(s): " + join(missing, ", ") +
                                         ". Make sure a matching chart version exists in the repo, or change the "
                                         "version constraint in Chart.yaml"};
}

Result<std::string> Manager::url_of(const Dependency& locked) const {
  if (is_oci(locked.repository)) return locked.repository + "/" + locked.name + ":" + locked.version;
  for (const Repository& one : known_.all) {
    if (!same_url(one.url, locked.repository)) continue;
    std::vector<std::string> warnings;
    const Index index = TRY(read_index(options_.home.index_file(one.name), warnings));
    const auto found = index.entries.find(locked.name);
    if (found == index.entries.end()) return Error{ErrorCode::not_found, "could not find : entry not found"};
    const auto wanted = Version::parse(locked.version);
    for (const ChartVersion& version : found->second) {
      const auto parsed = Version::parse(version.metadata.version);
      const bool same = wanted.ok() && parsed.ok()
                            ? wanted->compare(*parsed) == 0 && wanted->metadata == parsed->metadata
                            : version.metadata.version == locked.version;
      if (same && !version.urls.empty()) return resolve_url(locked.repository, version.urls[0]);
    }
    return Error{ErrorCode::not_found, "could not find : no matching version"};
  }
  return find_chart_url(locked.repository, locked.name, locked.version, {})
      .in("could not find : chart " + locked.name + " not found in " + locked.repository);
}

// A dependency without a repository lies in charts/ already.
Result<void> Manager::check_unpacked(const Dependency& locked) const {
  talk_.out("Dependency " + locked.name +
            " did not declare a repository. Assuming it exists in the charts directory\n");
  const std::string path = path_join(path_join(chart_, "charts"), locked.name);
  const Chart chart = TRY(load_folder(path, talk_).in("unable to load chart '" + path + "'"));
  if (version_satisfies(locked.version, chart.metadata.version)) return {};
  return Error{ErrorCode::invalid, "dependency " + locked.name + " at version " + chart.metadata.version +
                                       " does not satisfy the constraint " + locked.version};
}

Result<void> Manager::pack_local(Dependency& locked, const std::string& into) const {
  std::vector<std::string> warnings;
  const std::string path = local_path(locked.repository, chart_);
  const ChartAndFiles read = TRY(read_chart_and_files(path, warnings));
  const Metadata& metadata = read.chart.metadata;
  if (!version_satisfies(locked.version, metadata.version))
    return Error{ErrorCode::invalid, "can't get a valid version for dependency " + locked.name};
  const std::string bytes = TRY(pack_chart(metadata, read.files));
  locked.version = metadata.version;
  return write_file_unsynced(path_join(into, package_name(metadata)), bytes);
}

Result<void> Manager::download_one(Dependency& locked, const std::string& into, std::set<std::string>& urls) {
  if (locked.repository.starts_with("file://")) return pack_local(locked, into);
  const std::string url = TRY(url_of(locked));
  if (!urls.insert(url).second) {
    talk_.out("Already downloaded " + locked.name + " from repo " + locked.repository + "\n");
    return {};
  }
  talk_.out("Downloading " + locked.name + " from repo " + locked.repository + "\n");
  ChartRequest request;
  request.name = url;
  request.access = options_.access;
  request.with_provenance = !options_.keyring.empty();
  const DownloadedChart chart = TRY(download_chart(options_.home, request, talk_).in("could not download " + url));
  if (request.with_provenance) {
    TRY(verify_provenance(chart.file_name, chart.archive, chart.provenance, options_.keyring)
            .in("could not download " + url));
    TRY(write_file_unsynced(path_join(into, chart.file_name + ".prov"), chart.provenance));
  }
  return write_file_unsynced(path_join(into, TRY(safe_path(chart.file_name))), chart.archive);
}

// What was downloaded takes the place of the archives in charts/; those that nothing names any more go.
Result<void> Manager::replace(const std::string& from, const std::vector<Dependency>& locked) const {
  const std::string charts = path_join(chart_, "charts");
  const std::vector<std::string> before = TRY(list_dir(charts));
  const std::vector<std::string> fresh = TRY(list_dir(from));
  for (const std::string& name : fresh) {
    std::vector<std::string> warnings;
    const std::string path = path_join(from, name);
    const auto loaded = read_chart_and_files(path, warnings);
    if (!loaded.ok()) {
      talk_.out("Could not verify " + path + " for moving: " + loaded.error().message + " (Skipping)");
      continue;
    }
    TRY(rename_file(path, path_join(charts, name)));
  }
  talk_.out("Deleting outdated charts\n");
  for (const std::string& name : before) {
    const std::string path = path_join(charts, name);
    if (is_directory(path) || std::find(fresh.begin(), fresh.end(), name) != fresh.end()) continue;
    std::vector<std::string> warnings;
    const auto loaded = read_chart_and_files(path, warnings);
    if (!loaded.ok()) {
      talk_.out("Could not verify " + path + " for deletion: " + loaded.error().message + " (Skipping)\n");
      continue;
    }
    const bool local = std::any_of(locked.begin(), locked.end(), [&](const Dependency& one) {
      return one.repository.empty() && one.name == loaded->chart.name();
    });
    if (!local) TRY(remove_file(path));
  }
  return {};
}

Result<void> Manager::download(std::vector<Dependency>& locked) {
  const std::string charts = path_join(chart_, "charts");
  if (exists(charts) && !is_directory(charts))
    return Error{ErrorCode::invalid, go_quote(charts) + " is not a directory"};
  TRY(make_dirs(charts));
  const TempDir fresh = TRY(TempDir::make("tmpcharts-", chart_));
  talk_.out("Saving " + std::to_string(locked.size()) + " charts\n");
  std::set<std::string> urls;
  for (Dependency& one : locked) {
    const auto done = one.repository.empty() ? check_unpacked(one) : download_one(one, fresh.path(), urls);
    if (done.ok()) continue;
    talk_.out("Save error occurred:  " + done.error().message + "\n");
    return done.error();
  }
  return replace(fresh.path(), locked);
}

Result<void> Manager::write_lock(const std::vector<Dependency>& locked, const std::string& digest) const {
  const std::string path = path_join(chart_, lock_name());
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode)) {
    char target[4096];
    const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
    return Error{ErrorCode::forbidden,
                 "the " + lock_name() + " file is a symlink to " +
                     go_quote(std::string(target, length > 0 ? static_cast<std::size_t>(length) : 0))};
  }
  const Value document{{"dependencies", documents_of(locked)},
                       {"digest", digest},
                       {"generated", format_time_nanos(system_clock().now())}};
  return write_file_unsynced(path, yaml::write(document, {.sort_keys = true}));
}

Error out_of_sync(bool v1) {
  const std::string lock = v1 ? "requirements.lock" : "Chart.lock", wanted = v1 ? "requirements.yaml" : "Chart.yaml";
  return {ErrorCode::invalid, "the lock file (" + lock + ") is out of sync with the dependencies file (" + wanted +
                                  "). Please update the dependencies"};
}

Result<void> update(Manager& manager, const DependencyOptions& options) {
  std::vector<Dependency> wanted = manager.wanted();
  if (wanted.empty()) return {};
  RepositoryNames names = TRY(manager.name_repositories(wanted));
  TRY(manager.refresh_unmanaged(names, wanted));
  if (!options.skip_refresh) manager.refresh_known();
  std::vector<Dependency> locked = TRY(manager.resolve(wanted, names));
  TRY(manager.download(locked));
  const std::string digest = dependencies_digest(wanted, locked);
  if (manager.chart().files->lock["digest"].as_string() == digest) return {};
  return manager.write_lock(locked, digest);
}

}  // namespace

std::string dependencies_digest(const std::vector<Dependency>& wanted, const std::vector<Dependency>& locked) {
  const Value both(std::vector<Value>{documents_of(wanted), documents_of(locked)});
  return "sha256:" + sha256_hex(json::write(both, {.escape_html = true}));
}

Result<void> update_dependencies(const std::string& chart, const DependencyOptions& options, const Talk& talk) {
  Manager manager(chart, options, talk);
  TRY(manager.open());
  return update(manager, options);
}

Result<std::optional<std::vector<Dependency>>> locked_dependencies(const Chart& chart,
                                                                   const std::vector<Dependency>& wanted,
                                                                   std::vector<std::string>& warnings) {
  const Value& lock = chart.files->lock;
  if (lock.is_null()) return std::optional<std::vector<Dependency>>();
  std::vector<Dependency> locked = locked_of(lock);
  const std::string_view digest = lock["digest"].as_string();
  if (dependencies_digest(wanted, locked) == digest) return std::optional(std::move(locked));
  const bool v1 = chart.metadata.api_version == "v1";
  if (!v1) return out_of_sync(false);
  warnings.push_back("warning: a valid Helm v3 hash was not found. Checking against Helm v2 hash...");
  const Value v2{{"dependencies", documents_of(chart.metadata.dependencies)}};  // Helm 2 hashed what is wanted alone
  if ("sha256:" + sha256_hex(json::write(v2, {.escape_html = true})) != digest) return out_of_sync(true);
  return std::optional(std::move(locked));
}

Result<void> build_dependencies(const std::string& chart, const DependencyOptions& options, const Talk& talk) {
  Manager manager(chart, options, talk);
  TRY(manager.open());
  if (manager.chart().files->lock.is_null()) return update(manager, options);
  std::vector<Dependency> wanted = manager.wanted();
  TRY(manager.name_repositories(wanted));
  std::vector<std::string> warnings;
  auto found = locked_dependencies(manager.chart(), wanted, warnings);
  for (const std::string& warning : warnings) talk.err(warning + "\n");
  std::vector<Dependency> locked = *TRY(std::move(found));
  TRY(manager.check_repositories(locked));
  if (!options.skip_refresh) manager.refresh_known();
  return manager.download(locked);
}

}  // namespace caisson::render::helm
