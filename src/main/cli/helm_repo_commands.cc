// SPDX-License-Identifier: Apache-2.0
// helm repo, search: repositories and what they offer. Source: Helm 3.22 cmd/helm/repo*.go, search_repo.go.
#include <unistd.h>

#include <cstdio>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/repository/fetch.h"
#include "delivery/render/helm/repository/search.h"
#include "delivery/render/helm/repository/table.h"
#include "delivery/render/helm/repository/url.h"
#include "main/cli/helm_release.h"

namespace caisson::cli {
namespace {

using namespace render::helm;
using Words = std::vector<std::string>;

Result<Duration> index_time_max(const Flags& flags) {
  return parse_duration(flags.text("timeout", "2m0s")).in("invalid argument for \"--timeout\" flag");
}

// Updates one index; warnings of its entries are printed.
Result<void> refresh(const Home& home, const Repository& repository, Duration time_max) {
  std::vector<std::string> warnings;
  const auto updated = update_index(home, repository, warnings, {.time_max = time_max});
  print_helm_warnings(warnings);
  if (!updated.ok()) return updated.error();
  return {};
}

bool same_access(const Access& a, const Access& b) {
  return a.username == b.username && a.password.reveal() == b.password.reveal() &&
         a.certificate_file == b.certificate_file && a.key_file == b.key_file && a.ca_file == b.ca_file &&
         a.insecure == b.insecure && a.pass_credentials_all == b.pass_credentials_all;
}

// The first two homes of Helm's own charts, which are gone.
Result<void> check_not_gone(const std::string& url) {
  constexpr std::pair<std::string_view, std::string_view> kGone[] = {
      {"//kubernetes-charts.storage.googleapis.com", "https://charts.helm.sh/stable"},
      {"//kubernetes-charts-incubator.storage.googleapis.com", "https://charts.helm.sh/incubator"}};
  for (const auto& [old_url, new_url] : kGone) {
    if (url.find(old_url) == std::string::npos) continue;
    return Error{ErrorCode::gone,
                 "repo " + go_quote(url) + " is no longer available; try " + go_quote(new_url) + " instead"};
  }
  return {};
}

Result<void> repo_add(const Words& words, const Flags& flags) {
  TRY(expect_helm_arguments(words, 2, 2, "repo add [NAME] [URL] [flags]"));
  const Home home = helm_home(flags);
  Repository added{words[0], words[1], helm_access(flags)};
  if (!flags.is_set("allow-deprecated-repos")) TRY(check_not_gone(added.url));
  const RepositoriesLock lock = TRY(RepositoriesLock::take(home.repositories_file));
  Repositories known = TRY(known_repositories(home.repositories_file));
  if (!added.access.username.empty() && added.access.password.empty()) {
    if (!flags.is_set("password-stdin"))
      return Error{ErrorCode::bad_request, "a password is required: use --password or --password-stdin"};
    added.access.password = SecretBytes(TRY(read_helm_password()));
  }
  if (added.name.find('/') != std::string::npos) {
    return Error{ErrorCode::bad_request,
                 "repository name (" + added.name + ") contains '/', please specify a different name without '/'"};
  }
  if (const Repository* there = known.find(added.name); there != nullptr && !flags.is_set("force-update")) {
    if (there->url != added.url || !same_access(there->access, added.access)) {
      return Error{ErrorCode::already_exists,
                   "repository name (" + added.name + ") already exists, please specify a different name"};
    }
    return write_all(STDOUT_FILENO, go_quote(added.name) + " already exists with the same configuration, skipping\n");
  }
  const std::string scheme = split_url(added.url).scheme;
  if (scheme != "http" && scheme != "https")
    return Error{ErrorCode::bad_request, "could not find protocol handler for: " + scheme};
  TRY(refresh(home, added, TRY(index_time_max(flags)))
          .in("looks like " + go_quote(added.url) + " is not a valid chart repository or cannot be reached"));
  known.put(added);
  TRY(write_repositories(home.repositories_file, known));
  return write_all(STDOUT_FILENO, go_quote(added.name) + " has been added to your repositories\n");
}

Result<void> repo_update(const Words& words, const Flags& flags) {
  const Home home = helm_home(flags);
  const Repositories known =
      TRY(known_repositories(home.repositories_file).in("failed loading file: " + home.repositories_file));
  if (known.all.empty()) return Error{ErrorCode::not_found, "no repositories found. You must add one before updating"};
  for (const std::string& name : words) {
    if (known.find(name) == nullptr) {
      return Error{ErrorCode::not_found, "no repositories found matching '" + name + "'.  Nothing will be updated"};
    }
  }
  const Duration time_max = TRY(index_time_max(flags));
  const Talk talk = helm_talk();
  talk.out("Hang tight while we grab the latest from your chart repositories...\n");
  std::vector<std::string> failed;
  for (const Repository& one : known.all) {
    if (!words.empty() && std::find(words.begin(), words.end(), one.name) == words.end()) continue;
    const auto done = refresh(home, one, time_max);
    if (done.ok()) {
      talk.out("...Successfully got an update from the " + go_quote(one.name) + " chart repository\n");
      continue;
    }
    failed.push_back(one.url);
    talk.out("...Unable to get an update from the " + go_quote(one.name) + " chart repository (" + one.url + "):\n\t" +
             done.error().message + "\n");
  }
  if (!failed.empty() && flags.is_set("fail-on-repo-update-fail"))
    return Error{ErrorCode::unavailable, "Failed to update the following repositories: [" + join(failed, " ") + "]"};
  talk.out("Update Complete. ⎈Happy Helming!⎈\n");
  return {};
}

// A list of maps as a table's rows, JSON or YAML.
Result<void> print_rows(const std::vector<Words>& rows, const Words& keys, const Flags& flags, std::size_t width_max) {
  const std::string format = flags.text("output", "table");
  if (format == "table") return write_all(STDOUT_FILENO, write_table(rows, width_max));
  Value list = Value::list();
  for (std::size_t i = 1; i < rows.size(); ++i) {
    Value one = Value::map();
    for (std::size_t k = 0; k < keys.size(); ++k) one.set(keys[k], rows[i][k]);
    list.push_back(std::move(one));
  }
  if (format == "json") return write_all(STDOUT_FILENO, json::write(list, {.escape_html = true}) + "\n");
  if (format == "yaml") return write_all(STDOUT_FILENO, yaml::write(list, {.sort_keys = true}));
  return Error{ErrorCode::bad_request,
               "invalid argument \"" + format + "\" for \"-o, --output\" flag: invalid format type"};
}

Result<void> repo_list(const Words& words, const Flags& flags) {
  TRY(expect_helm_arguments(words, 0, 0, "repo list [flags]"));
  const auto known = known_repositories(helm_home(flags).repositories_file);
  std::vector<Words> rows{{"NAME", "URL"}};
  for (const Repository& one : known.ok() ? known->all : std::vector<Repository>()) rows.push_back({one.name, one.url});
  if (rows.size() == 1 && flags.text("output", "table") == "table")
    return Error{ErrorCode::not_found, "no repositories to show"};
  return print_rows(rows, {"name", "url"}, flags, 0);
}

Result<void> repo_remove(const Words& words, const Flags& flags) {
  TRY(expect_helm_arguments(words, 1, SIZE_MAX, "repo remove [REPO1 [REPO2 ...]] [flags]"));
  const Home home = helm_home(flags);
  const RepositoriesLock lock = TRY(RepositoriesLock::take(home.repositories_file));
  Repositories known = TRY(known_repositories(home.repositories_file));
  if (known.all.empty()) return Error{ErrorCode::not_found, "no repositories configured"};
  for (const std::string& name : words) {
    if (!known.remove(name)) return Error{ErrorCode::not_found, "no repo named " + go_quote(name) + " found"};
    TRY(write_repositories(home.repositories_file, known));
    TRY(remove_file(home.charts_file(name)));
    TRY(remove_file(home.index_file(name)));
    TRY(write_all(STDOUT_FILENO, go_quote(name) + " has been removed from your repositories\n"));
  }
  return {};
}

Result<void> repo_index(const Words& words, const Flags& flags) {
  TRY(expect_helm_arguments(words, 1, 1, "repo index [DIR] [flags]"));
  const Time now = system_clock().now();
  const bool as_json = flags.is_set("json");
  Index index = TRY(index_directory(words[0], flags.text("url"), now));
  if (const std::string other = flags.text("merge"); !other.empty()) {
    if (exists(other)) {
      std::vector<std::string> warnings;
      const Index old = TRY(read_index(other, warnings).in("merge failed"));
      print_helm_warnings(warnings);
      index.merge(old);
    } else {
      Index empty;
      empty.generated = format_time_nanos(now);
      TRY(write_file(other, write_index(empty, as_json)));
    }
  }
  index.sort();
  const std::string path = path_join(words[0], "index.yaml");
  if (!is_directory(words[0])) return Error{ErrorCode::not_found, "open " + path + ": no such file or directory"};
  return write_file(path, write_index(index, as_json));
}

}  // namespace

Result<void> command_helm_repo(const Flags& flags) {
  const Words& all = flags.arguments();
  if (all.empty()) return Error{ErrorCode::bad_request, "\"helm repo\" requires add, list, remove, update or index"};
  const Words words(all.begin() + 1, all.end());
  if (all[0] == "add") return repo_add(words, flags);
  if (all[0] == "update" || all[0] == "up") return repo_update(words, flags);
  if (all[0] == "list" || all[0] == "ls") return repo_list(words, flags);
  if (all[0] == "remove" || all[0] == "rm") return repo_remove(words, flags);
  if (all[0] == "index") return repo_index(words, flags);
  return Error{ErrorCode::bad_request, "unknown command " + go_quote(all[0]) + " for \"helm repo\""};
}

Result<void> command_helm_search(const Flags& flags) {
  const Words& all = flags.arguments();
  if (all.empty() || all[0] != "repo") {
    return Error{ErrorCode::bad_request,
                 "\"helm search\" searches repositories that were added: helm search repo [keyword]"};
  }
  const Home home = helm_home(flags);
  const auto known = known_repositories(home.repositories_file);
  if (!known.ok() || known->all.empty()) return Error{ErrorCode::not_found, "no repositories configured"};
  SearchOptions options;
  options.term = join(Words(all.begin() + 1, all.end()), " ");
  options.regexp = flags.is_set("regexp");
  options.all_versions = flags.is_set("versions");
  options.constraint = flags.text("version", flags.is_set("devel") ? ">0.0.0-0" : ">0.0.0");
  std::vector<NamedIndex> indexes;
  for (const Repository& one : known->all) {
    std::vector<std::string> warnings;
    auto index = read_index(home.index_file(one.name), warnings);
    print_helm_warnings(warnings);
    if (index.ok()) {
      indexes.push_back({one.name, std::move(index).value()});
      continue;
    }
    std::fprintf(stderr, "WARNING: Repo %s is corrupt or missing. Try 'helm repo update'.\nWARNING: %s\n",
                 go_quote(one.name).c_str(), index.error().message.c_str());
  }
  std::vector<Words> rows{{"NAME", "CHART VERSION", "APP VERSION", "DESCRIPTION"}};
  for (const Found& found : TRY(search(indexes, options))) {
    const Metadata& chart = found.chart->metadata;
    rows.push_back({found.name, chart.version, chart.app_version, chart.fields["description"].str()});
  }
  if (rows.size() == 1 && flags.is_set("fail-on-no-result")) return Error{ErrorCode::not_found, "no results found"};
  if (rows.size() == 1 && flags.text("output", "table") == "table")
    return write_all(STDOUT_FILENO, "No results found\n");
  const auto width = static_cast<std::size_t>(parse_int(flags.text("max-col-width", "50")).value_or(50));
  return print_rows(rows, {"name", "version", "app_version", "description"}, flags, width);
}

}  // namespace caisson::cli
