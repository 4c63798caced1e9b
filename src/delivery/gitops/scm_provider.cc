// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/scm_provider.h"

#include <algorithm>
#include <map>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/expr/cel/regex.h"
#include "delivery/gitops/host_api.h"
#include "delivery/gitops/set_template.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kFoundMax = 5'000;

std::vector<std::string> texts(const Value& list) {
  std::vector<std::string> out;
  for (const Value& one : list.items()) out.push_back(one.str());
  return out;
}

// All branches below `at`, or the default one alone, which a repository without commits does not have. `order` is a
// query, `id` the member of a commit that names it.
struct BranchForm {
  std::string order, size_name, id;
};
Result<std::vector<ScmBranch>> branches_at(const HostApi& api, const std::string& at, const BranchForm& form,
                                           const std::string& default_branch, bool all) {
  std::vector<Value> list;
  if (all) {
    list = TRY(api.pages(at + form.order, form.size_name));
  } else {
    auto one = api.get(at + "/" + percent_encode(default_branch));
    if (!one.ok() && one.error().code != ErrorCode::not_found) return one.error();
    if (one.ok()) list.push_back(*one);
  }
  std::vector<ScmBranch> out;
  for (const Value& one : list) out.push_back({one["name"].str(), one["commit"][form.id].str()});
  return out;
}

// GitHub, and Gitea, which has the same form at another place.
class GithubHost final : public ScmHost {
 public:
  GithubHost(HostApi api, std::string prefix, std::string organization, bool gitea)
      : api_(std::move(api)), prefix_(std::move(prefix)), organization_(std::move(organization)), gitea_(gitea) {}

  Result<std::vector<ScmRepository>> repositories() const override {
    std::vector<ScmRepository> out;
    for (const Value& one :
         TRY(api_.pages(prefix_ + "/orgs/" + percent_encode(organization_) + "/repos?sort=name", size_name()))) {
      ScmRepository repository;
      repository.organization = organization_;
      repository.name = one["name"].str();
      repository.id = one["id"].scalar_text();
      repository.https_url = one["clone_url"].str();
      repository.ssh_url = one["ssh_url"].str();
      repository.default_branch = one["default_branch"].str();
      repository.labels = texts(one["topics"]);
      repository.archived = one["archived"].as_bool();
      out.push_back(std::move(repository));
    }
    return out;
  }

  Result<std::vector<ScmBranch>> branches(const ScmRepository& repository, bool all) const override {
    return branches_at(api_, at(repository) + "/branches", {"?sort=name", size_name(), gitea_ ? "id" : "sha"},
                       repository.default_branch, all);
  }

  Result<bool> has_path(const ScmRepository& repository, const std::string& branch,
                        const std::string& path) const override {
    std::string encoded;
    for (std::string_view part : split(path, '/')) encoded += "/" + percent_encode(part);
    const auto found = api_.get(at(repository) + "/contents" + encoded + "?ref=" + percent_encode(branch));
    if (found.ok()) return true;
    if (found.error().code == ErrorCode::not_found) return false;
    return found.error();
  }

 private:
  std::string size_name() const { return gitea_ ? "limit" : "per_page"; }
  std::string at(const ScmRepository& repository) const {
    return prefix_ + "/repos/" + percent_encode(organization_) + "/" + percent_encode(repository.name);
  }

  const HostApi api_;
  const std::string prefix_, organization_;
  const bool gitea_;
};

class GitlabHost final : public ScmHost {
 public:
  GitlabHost(HostApi api, const Value& provider) : api_(std::move(api)), provider_(provider) {}

  Result<std::vector<ScmRepository>> repositories() const override {
    std::string path = "/api/v4/groups/" + percent_encode(provider_["group"].as_string()) + "/projects?order_by=id";
    path += std::string("&include_subgroups=") + (provider_["includeSubgroups"].as_bool() ? "true" : "false");
    path += std::string("&with_shared=") + (provider_["includeSharedProjects"].as_bool(true) ? "true" : "false");
    if (!provider_["topic"].as_string().empty()) path += "&topic=" + percent_encode(provider_["topic"].as_string());
    std::vector<ScmRepository> out;
    for (const Value& one : TRY(api_.pages(path, "per_page"))) {
      ScmRepository repository;
      repository.organization = one["namespace"]["full_path"].str();
      repository.name = one["path"].str();
      repository.id = one["id"].scalar_text();
      repository.https_url = one["http_url_to_repo"].str();
      repository.ssh_url = one["ssh_url_to_repo"].str();
      repository.default_branch = one["default_branch"].str();
      repository.labels = texts(one["topics"]);
      repository.archived = one["archived"].as_bool();
      out.push_back(std::move(repository));
    }
    return out;
  }

  Result<std::vector<ScmBranch>> branches(const ScmRepository& repository, bool all) const override {
    return branches_at(api_, project(repository) + "/branches", {"?order=name", "per_page", "id"},
                       repository.default_branch, all);
  }

  Result<bool> has_path(const ScmRepository& repository, const std::string& branch,
                        const std::string& path) const override {
    const std::string ref = "ref=" + percent_encode(branch);
    const auto file = api_.get(project(repository) + "/files/" + percent_encode(path) + "?" + ref);
    if (file.ok()) return true;
    if (file.error().code != ErrorCode::not_found) return file.error();
    const auto folder = api_.get(project(repository) + "/tree?" + ref + "&path=" + percent_encode(path));
    if (folder.ok()) return !folder->empty();
    if (folder.error().code == ErrorCode::not_found) return false;
    return folder.error();
  }

 private:
  static std::string project(const ScmRepository& repository) {
    return "/api/v4/projects/" + repository.id + "/repository";
  }
  const HostApi api_;
  const Value provider_;
};

// The platform's own git host, read from disk.
class OwnHost final : public ScmHost {
 public:
  OwnHost(const git::Repositories& own, std::string base, std::string organization)
      : own_(own), base_(std::move(base)), organization_(std::move(organization)) {}

  bool own() const override { return true; }

  Result<std::vector<ScmRepository>> repositories() const override {
    std::vector<ScmRepository> out;
    const std::string directory = own_.options().directory + "/" + organization_;
    if (!is_directory(directory)) return out;
    for (const std::string& entry : TRY(list_dir(directory))) {
      if (!entry.ends_with(".git") || !git::is_repository_name(organization_ + "/" + entry.substr(0, entry.size() - 4)))
        continue;
      ScmRepository repository;
      repository.organization = organization_;
      repository.name = entry.substr(0, entry.size() - 4);
      repository.id = organization_ + "/" + repository.name;
      repository.https_url = base_ + "/" + organization_ + "/" + entry;
      repository.ssh_url = repository.https_url;  // it speaks http(s) only
      const git::Repository opened = TRY(own_.find(repository.id));
      const std::string head = TRY(opened.head());
      repository.default_branch = head.substr(std::string_view("refs/heads/").size());
      out.push_back(std::move(repository));
    }
    return out;
  }

  Result<std::vector<ScmBranch>> branches(const ScmRepository& repository, bool all) const override {
    constexpr std::string_view kHeads = "refs/heads/";
    std::vector<ScmBranch> out;
    const git::Repository opened = TRY(own_.find(repository.id));
    for (const git::Ref& ref : TRY(opened.refs())) {
      if (!ref.name.starts_with(kHeads)) continue;
      const std::string name = ref.name.substr(kHeads.size());
      if (all || name == repository.default_branch) out.push_back({name, ref.id});
    }
    return out;
  }

  Result<bool> has_path(const ScmRepository& repository, const std::string& branch,
                        const std::string& path) const override {
    const git::Repository opened = TRY(own_.find(repository.id));
    const std::string commit = TRY(opened.resolve("refs/heads/" + branch));
    const auto there = opened.tree_hash(commit, path);
    if (there.ok()) return true;
    if (there.error().code == ErrorCode::not_found) return false;
    return there.error();
  }

 private:
  const git::Repositories& own_;
  const std::string base_, organization_;
};

Error invalid(const std::string& what) {
  return {ErrorCode::invalid, "scmProvider: " + what};
}

// A filter whose conditions all hold; of paths only when the others do, as they cost requests.
class Filter {
 public:
  static Result<Filter> parse(const Value& spec) {
    Filter out;
    for (const auto& [key, value] : spec.entries()) {
      if (key == "pathsExist" || key == "pathsDoNotExist") continue;
      if (key != "repositoryMatch" && key != "labelMatch" && key != "branchMatch")
        return invalid("the filter " + std::string(key) + " is not known");
      out.expressions_.emplace(
          key, TRY(cel::Regex::compile(value.as_string()).in("scmProvider filter " + std::string(key))));
    }
    out.spec_ = spec;
    return out;
  }

  bool holds_for(const ScmRepository& repository) const {
    const auto name = expressions_.find("repositoryMatch"), label = expressions_.find("labelMatch");
    if (name != expressions_.end() && !name->second.matches(repository.name)) return false;
    return label == expressions_.end() ||
           std::any_of(repository.labels.begin(), repository.labels.end(),
                       [&](const std::string& one) { return label->second.matches(one); });
  }

  Result<bool> holds_for(const ScmHost& host, const ScmFound& found) const {
    const auto branch = expressions_.find("branchMatch");
    if (branch != expressions_.end() && !branch->second.matches(found.branch.name)) return false;
    for (const char* key : {"pathsExist", "pathsDoNotExist"}) {
      for (const Value& path : spec_[key].items()) {
        const bool there = TRY(host.has_path(found.repository, found.branch.name, path.str()));
        if (there != (std::string_view(key) == "pathsExist")) return false;
      }
    }
    return true;
  }

 private:
  std::map<std::string, cel::Regex, std::less<>> expressions_;
  Value spec_;
};

const Value& settings_of(const Value& provider) {
  for (const char* name : {"github", "gitlab", "gitea"}) {
    if (provider[name].is_map()) return provider[name];
  }
  return document::kNull;
}

}  // namespace

Result<std::unique_ptr<ScmHost>> open_scm_host(
    const Value& provider, const git::Repositories& own,
    const std::function<Result<std::string>(const Value& reference)>& token) {
  const Value& settings = settings_of(provider);
  if (settings.is_null()) {
    for (const auto& [key, value] : provider.entries()) {
      if (value.is_map() && key != "values" && key != "template")
        return invalid(std::string(key) + " is not supported; github, gitlab and gitea are");
    }
    return invalid("github, gitlab or gitea is required");
  }
  if (!settings["appSecretName"].is_null()) return invalid("github.appSecretName is not supported; use tokenRef");
  const std::string owner = provider["github"].is_map()   ? settings["organization"].str()
                            : provider["gitlab"].is_map() ? settings["group"].str()
                                                          : settings["owner"].str();
  if (owner.empty()) return invalid("the organization, group or owner is missing");
  std::string base = settings["api"].str();
  while (base.ends_with('/')) base.pop_back();
  if (git::own_repository(own.options(), base + "/" + owner + "/any"))
    return std::unique_ptr<ScmHost>(std::make_unique<OwnHost>(own, base, owner));
  const std::string secret = settings["tokenRef"].is_map() ? TRY(token(settings["tokenRef"])) : "";
  const std::string kind = provider["github"].is_map() ? "github" : provider["gitlab"].is_map() ? "gitlab" : "gitea";
  HostApi api(TRY(host_access(kind, settings, secret).in("scmProvider")));
  if (kind == "gitlab") return std::unique_ptr<ScmHost>(std::make_unique<GitlabHost>(std::move(api), settings));
  const bool gitea = kind == "gitea";
  return std::unique_ptr<ScmHost>(std::make_unique<GithubHost>(std::move(api), gitea ? "/api/v1" : "", owner, gitea));
}

Result<std::vector<ScmFound>> find_repositories(const ScmHost& host, const Value& provider) {
  std::vector<Filter> filters;
  for (const Value& one : provider["filters"].items()) filters.push_back(TRY(Filter::parse(one)));
  const Value& settings = settings_of(provider);
  std::vector<ScmFound> out;
  for (ScmRepository& repository : TRY(host.repositories())) {
    if (repository.archived && settings["excludeArchivedRepos"].as_bool()) continue;
    std::vector<const Filter*> fitting;
    for (const Filter& one : filters) {
      if (one.holds_for(repository)) fitting.push_back(&one);
    }
    if (!filters.empty() && fitting.empty()) continue;
    for (ScmBranch& branch : TRY(host.branches(repository, settings["allBranches"].as_bool()))) {
      ScmFound found{repository, std::move(branch)};
      bool wanted = filters.empty();
      for (const Filter* one : fitting) wanted = wanted || TRY(one->holds_for(host, found));
      if (!wanted) continue;
      out.push_back(std::move(found));
      if (out.size() > kFoundMax) return Error{ErrorCode::too_large, "scmProvider: more than 5000 branches fit"};
    }
  }
  return out;
}

Value scm_parameters(const ScmFound& found, const Value& provider) {
  const ScmRepository& repository = found.repository;
  const bool https = provider["cloneProtocol"].as_string() == "https";
  return Value{{"organization", repository.organization},
               {"repository", repository.name},
               {"repository_id", repository.id},
               {"url", https ? repository.https_url : repository.ssh_url},
               {"branch", found.branch.name},
               {"branchNormalized", normalized(found.branch.name)},
               {"sha", found.branch.sha},
               {"short_sha", found.branch.sha.substr(0, 8)},
               {"short_sha_7", found.branch.sha.substr(0, 7)},
               {"labels", join(repository.labels, ",")}};
}

}  // namespace caisson::gitops
