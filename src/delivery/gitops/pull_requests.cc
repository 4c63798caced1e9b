// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/pull_requests.h"

#include <algorithm>
#include <optional>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/expr/cel/regex.h"
#include "delivery/gitops/host_api.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kSlugMax = 50;

Error wrong(const std::string& what) {
  return {ErrorCode::invalid, "pullRequest: " + what};
}

Result<std::string> required(const Value& settings, std::string_view kind, std::string_view name) {
  if (!settings[name].as_string().empty()) return settings[name].str();
  return wrong(std::string(kind) + "." + std::string(name) + " is missing");
}

std::string joined_labels(const Value& settings) {
  std::string out;
  for (const Value& one : settings["labels"].items()) out += (out.empty() ? "" : ",") + one.str();
  return out;
}

// GitHub, and Gitea, which has the same form at another place.
Result<std::vector<PullRequest>> of_github(const HostApi& api, const Value& settings, bool gitea) {
  const std::string_view kind = gitea ? "gitea" : "github";
  const std::string owner = TRY(required(settings, kind, "owner")), name = TRY(required(settings, kind, "repo"));
  const std::string path = std::string(gitea ? "/api/v1" : "") + "/repos/" + percent_encode(owner) + "/" +
                           percent_encode(name) + "/pulls?state=open";
  std::vector<PullRequest> out;
  for (const Value& one : TRY(api.pages(path, gitea ? "limit" : "per_page"))) {
    PullRequest found{one["number"].scalar_text(),
                      one["title"].str(),
                      one["user"]["login"].str(),
                      one["head"]["ref"].str(),
                      one["base"]["ref"].str(),
                      one["head"]["sha"].str(),
                      {}};
    for (const Value& label : one["labels"].items()) found.labels.push_back(label["name"].str());
    const auto wanted = settings["labels"].items();
    const bool all = std::all_of(wanted.begin(), wanted.end(), [&](const Value& label) {
      return std::find(found.labels.begin(), found.labels.end(), label.as_string()) != found.labels.end();
    });
    if (all) out.push_back(std::move(found));
  }
  return out;
}

Result<std::vector<PullRequest>> of_gitlab(const HostApi& api, const Value& settings) {
  const std::string project = TRY(required(settings, "gitlab", "project"));
  const std::string state =
      settings["pullRequestState"].as_string().empty() ? "all" : settings["pullRequestState"].str();
  std::string path = "/api/v4/projects/" + percent_encode(project) + "/merge_requests?state=" + percent_encode(state);
  if (const std::string labels = joined_labels(settings); !labels.empty()) path += "&labels=" + percent_encode(labels);
  std::vector<PullRequest> out;
  for (const Value& one : TRY(api.pages(path, "per_page"))) {
    PullRequest found{one["iid"].scalar_text(),
                      one["title"].str(),
                      one["author"]["username"].str(),
                      one["source_branch"].str(),
                      one["target_branch"].str(),
                      one["sha"].str(),
                      {}};
    for (const Value& label : one["labels"].items()) found.labels.push_back(label.str());
    out.push_back(std::move(found));
  }
  return out;
}

// One filter: each of its expressions has to fit.
class Filter {
 public:
  static Result<Filter> parse(const Value& spec) {
    Filter out;
    for (const auto& [key, value] : spec.entries()) {
      const auto member = key == "branchMatch"         ? &PullRequest::branch
                          : key == "targetBranchMatch" ? &PullRequest::target_branch
                          : key == "titleMatch"        ? &PullRequest::title
                                                       : nullptr;
      if (!member) return wrong("the filter " + std::string(key) + " is not known");
      auto expression = TRY(cel::Regex::compile(value.as_string()).in("pullRequest filter " + std::string(key)));
      out.parts_.emplace_back(member, std::move(expression));
    }
    return out;
  }
  bool fits(const PullRequest& request) const {
    return std::all_of(parts_.begin(), parts_.end(),
                       [&](const auto& part) { return part.second.matches(request.*part.first); });
  }

 private:
  std::vector<std::pair<std::string PullRequest::*, cel::Regex>> parts_;
};

}  // namespace

Result<std::vector<PullRequest>> find_pull_requests(
    const Value& provider, const std::function<Result<std::string>(const Value& reference)>& token) {
  std::string kind;
  for (const char* one : {"github", "gitlab", "gitea"}) {
    if (provider[one].is_map()) kind = one;
  }
  if (kind.empty()) {
    for (const auto& [key, value] : provider.entries()) {
      if (value.is_map() && key != "values" && key != "template")
        return wrong(std::string(key) + " is not supported; github, gitlab and gitea are");
    }
    return wrong("github, gitlab or gitea is required");
  }
  std::vector<Filter> filters;
  for (const Value& one : provider["filters"].items()) filters.push_back(TRY(Filter::parse(one)));
  const Value& settings = provider[kind];
  for (const char* one : {"appSecretName", "caRef"}) {
    if (!settings[one].is_null()) return wrong(kind + "." + one + " is not supported");
  }
  const std::string secret = settings["tokenRef"].is_map() ? TRY(token(settings["tokenRef"])) : "";
  const HostApi api(TRY(host_access(kind, settings, secret).in("pullRequest")));
  auto out = TRY(kind == "gitlab" ? of_gitlab(api, settings) : of_github(api, settings, kind == "gitea"));
  std::erase_if(out, [&](const PullRequest& one) {
    return !filters.empty() &&
           std::none_of(filters.begin(), filters.end(), [&](const Filter& filter) { return filter.fits(one); });
  });
  return out;
}

Value pull_request_parameters(const PullRequest& request) {
  return Value{{"number", request.number},
               {"title", request.title},
               {"author", request.author},
               {"branch", request.branch},
               {"branch_slug", slug(request.branch)},
               {"target_branch", request.target_branch},
               {"target_branch_slug", slug(request.target_branch)},
               {"head_sha", request.head_sha},
               {"head_short_sha", request.head_sha.substr(0, 8)},
               {"head_short_sha_7", request.head_sha.substr(0, 7)},
               {"labels", Value::list_of(request.labels)}};
}

std::string slug(std::string_view text) {
  std::string out;
  for (const char c : to_lower(text)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (plain)
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  if (out.size() > kSlugMax) {
    const std::size_t cut = out.rfind('-', kSlugMax);
    out.resize(cut == std::string::npos ? kSlugMax : cut);
  }
  while (out.ends_with('-')) out.pop_back();
  return out;
}

}  // namespace caisson::gitops
