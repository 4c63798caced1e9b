// SPDX-License-Identifier: Apache-2.0
// `caisson proj role`: roles of an AppProject, their policies, groups and tokens.
#include <algorithm>
#include <cstdio>

#include "core/base/random.h"
#include "core/base/text.h"
#include "delivery/gitops/project_tokens.h"
#include "delivery/gitops/rbac_policy.h"
#include "main/cli/proj_commands.h"

namespace caisson::cli {
namespace {

std::optional<std::size_t> index_of_role(const Value& project, const std::string& role) {
  const Value& roles = project["spec"]["roles"];
  for (std::size_t i = 0; i < roles.size(); ++i)
    if (roles[i]["name"].as_string() == role) return i;
  return std::nullopt;
}

Error no_role(const ProjArguments& arguments) {
  return Error{ErrorCode::not_found,
               "AppProject " + arguments.words[0] + " has no role \"" + arguments.words[1] + "\""};
}

Result<Value> role_of(const ProjSession& proj, const ProjArguments& arguments) {
  const kube::Object project = TRY(proj.get(arguments.words[0]));
  const auto index = index_of_role(project.value(), arguments.words[1]);
  if (!index) return no_role(arguments);
  return project.spec()["roles"][*index];
}

Result<int> change_role(const ProjSession& proj, const ProjArguments& arguments,
                        const std::function<Result<void>(Value& role)>& edit) {
  TRY(proj.change(arguments.words[0], [&](Value& project) -> Result<void> {
    const auto index = index_of_role(project, arguments.words[1]);
    if (!index) return no_role(arguments);
    return edit(project.edit({"spec", "roles"}).edit(*index));
  }));
  return 0;
}

// Puts `text` into a list of the role, or takes it out.
Result<void> change_list(Value& role, std::string_view field, const std::string& text, bool adds) {
  const Value& list = role[field];
  const auto at =
      std::find_if(list.items().begin(), list.items().end(), [&](const Value& one) { return one.as_string() == text; });
  const bool there = at != list.items().end();
  if (there == adds)
    return Error{adds ? ErrorCode::already_exists : ErrorCode::not_found,
                 "the role " + std::string(adds ? "has" : "does not have") + " \"" + text + "\""};
  const auto index = static_cast<std::size_t>(at - list.items().begin());
  if (adds)
    role.edit(field).push_back(text);
  else
    role.edit(field).erase_at(index);
  return {};
}

Result<int> role_list(const ProjSession& proj, const ProjArguments& arguments) {
  const kube::Object project = TRY(proj.get(arguments.words[0]));
  if (!arguments.output.empty()) {
    print_value(project.spec()["roles"], arguments.output);
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Value& role : project.spec()["roles"].items())
    rows.push_back({role["name"].str(), role["description"].str()});
  print_table({"ROLE-NAME", "DESCRIPTION"}, rows);
  return 0;
}

std::string time_text(std::int64_t seconds, bool unix_time) {
  if (seconds == 0) return "Never";
  return unix_time ? std::to_string(seconds) : format_time(Time(std::chrono::seconds(seconds)));
}

void print_tokens(const Value& project, const std::string& role, bool unix_time) {
  std::vector<std::vector<std::string>> rows;
  for (const gitops::ProjectToken& token : gitops::tokens_of(project, role))
    rows.push_back({token.id, time_text(token.issued_at, unix_time), time_text(token.expires_at, unix_time)});
  print_table({"ID", "ISSUED-AT", "EXPIRES-AT"}, rows);
}

Result<int> role_get(const ProjSession& proj, const ProjArguments& arguments) {
  const kube::Object project = TRY(proj.get(arguments.words[0]));
  const Value role = TRY(role_of(proj, arguments));
  if (!arguments.output.empty()) {
    print_value(role, arguments.output);
    return 0;
  }
  std::printf("Role Name:     %s\nDescription:   %s\nPolicies:\n", role["name"].str().c_str(),
              role["description"].str().c_str());
  for (const auto& rule :
       gitops::project_rbac_policy(
           Value{{"metadata", project.metadata()}, {"spec", Value{{"roles", Value(std::vector<Value>{role})}}}})
           .rules)
    std::printf("p, %s, %s, %s, %s, %s\n", rule.who.c_str(), rule.resource.c_str(), rule.action.c_str(),
                rule.object.c_str(), rule.allow ? "allow" : "deny");
  for (const Value& group : role["groups"].items()) std::printf("Group:         %s\n", group.str().c_str());
  std::printf("JWT Tokens:\n");
  print_tokens(project.value(), arguments.words[1], arguments.unix_time);
  return 0;
}

Result<int> role_create(const ProjSession& proj, const ProjArguments& arguments) {
  TRY(gitops::check_role_name(arguments.words[1]));
  TRY(proj.change(arguments.words[0], [&](Value& project) -> Result<void> {
    if (index_of_role(project, arguments.words[1]))
      return Error{ErrorCode::already_exists,
                   "AppProject " + arguments.words[0] + " has a role \"" + arguments.words[1] + "\""};
    Value role{{"name", arguments.words[1]}};
    if (!arguments.description.empty()) role.set("description", arguments.description);
    project.edit({"spec", "roles"}).push_back(std::move(role));
    return {};
  }));
  std::printf("Role '%s' created\n", arguments.words[1].c_str());
  return 0;
}

Result<int> role_delete(const ProjSession& proj, const ProjArguments& arguments) {
  TRY(proj.change(arguments.words[0], [&](Value& project) -> Result<void> {
    const auto index = index_of_role(project, arguments.words[1]);
    if (!index) return no_role(arguments);
    project.edit({"spec", "roles"}).erase_at(*index);
    if (!project["status"]["jwtTokensByRole"].is_null())
      project.edit({"status", "jwtTokensByRole"}).erase(arguments.words[1]);
    return {};
  }));
  std::printf("Role '%s' deleted\n", arguments.words[1].c_str());
  return 0;
}

template <bool Adds>
Result<int> role_policy(const ProjSession& proj, const ProjArguments& arguments) {
  const std::string &project = arguments.words[0], &role = arguments.words[1];
  if (arguments.action.empty() || arguments.object.empty())
    return Error{ErrorCode::bad_request, "role add-policy needs --action and --object"};
  const std::string line = "p, " + gitops::project_role_subject(project, role) + ", " + arguments.resource + ", " +
                           arguments.action + ", " + project + "/" + arguments.object + ", " + arguments.permission;
  TRY(gitops::parse_project_rule(project, role, line));
  return change_role(proj, arguments, [&](Value& value) { return change_list(value, "policies", line, Adds); });
}

template <bool Adds>
Result<int> role_group(const ProjSession& proj, const ProjArguments& arguments) {
  if (arguments.words[2].find_first_of(",\n\r\t\"") != std::string::npos)
    return Error{ErrorCode::invalid, "group \"" + arguments.words[2] + "\": no commas, quotes or white space"};
  return change_role(proj, arguments,
                     [&](Value& role) { return change_list(role, "groups", arguments.words[2], Adds); });
}

// Go's durations, and days: "12h", "30d".
Result<Duration> lifetime_of(const std::string& text) {
  if (text.empty() || text == "0") return Duration(0);
  if (text.ends_with('d'))
    if (const auto days = parse_int(std::string_view(text).substr(0, text.size() - 1));
        days && *days > 0 && *days < 36'500)
      return Duration(std::chrono::hours(24 * *days));
  const Duration given = TRY(parse_duration(text).in("--expires-in"));
  if (given < std::chrono::seconds(1)) return Error{ErrorCode::bad_request, "--expires-in is a second or more"};
  return given;
}

Result<int> role_create_token(const ProjSession& proj, const ProjArguments& arguments) {
  const Duration lifetime = TRY(lifetime_of(arguments.expires_in));
  const Time now = system_clock().now();
  const auto seconds = [](Time time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  };
  gitops::ProjectToken token{arguments.words[0], arguments.words[1],
                             arguments.id.empty() ? random_uuid() : arguments.id, seconds(now),
                             lifetime.count() > 0 ? seconds(now + lifetime) : 0};
  const SecretBytes key = TRY(gitops::signing_key(*proj.session.client, proj.ns, true));
  TRY(proj.change(arguments.words[0], [&](Value& project) { return gitops::record_token(project, token); }));
  const std::string text = gitops::sign_project_token(token, key);
  if (arguments.token_only) {
    std::printf("%s\n", text.c_str());
    return 0;
  }
  std::printf("Create token succeeded for %s.\n  ID: %s\n  Issued At: %s\n  Expires At: %s\n  Token: %s\n",
              gitops::project_role_subject(token.project, token.role).c_str(), token.id.c_str(),
              time_text(token.issued_at, false).c_str(), time_text(token.expires_at, false).c_str(), text.c_str());
  return 0;
}

Result<int> role_list_tokens(const ProjSession& proj, const ProjArguments& arguments) {
  const kube::Object project = TRY(proj.get(arguments.words[0]));
  if (!gitops::has_role(project.value(), arguments.words[1])) return no_role(arguments);
  print_tokens(project.value(), arguments.words[1], arguments.unix_time);
  return 0;
}

Result<int> role_delete_token(const ProjSession& proj, const ProjArguments& arguments) {
  std::int64_t issued_at = 0;
  if (const auto number = parse_int(arguments.words[2])) {
    issued_at = *number;
  } else if (const auto time = parse_time(arguments.words[2])) {
    issued_at = std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch()).count();
  } else {
    return Error{ErrorCode::bad_request, "ISSUED-AT is seconds of Unix time, or as list-tokens prints it"};
  }
  TRY(proj.change(arguments.words[0],
                  [&](Value& project) { return gitops::forget_token(project, arguments.words[1], issued_at); }));
  return 0;
}

}  // namespace

std::vector<ProjCommand> proj_role_commands() {
  return {{"role list", "PROJECT", role_list},
          {"role get", "PROJECT ROLE", role_get},
          {"role create", "PROJECT ROLE", role_create},
          {"role delete", "PROJECT ROLE", role_delete},
          {"role add-policy", "PROJECT ROLE", role_policy<true>},
          {"role remove-policy", "PROJECT ROLE", role_policy<false>},
          {"role add-group", "PROJECT ROLE GROUP", role_group<true>},
          {"role remove-group", "PROJECT ROLE GROUP", role_group<false>},
          {"role create-token", "PROJECT ROLE", role_create_token},
          {"role list-tokens", "PROJECT ROLE", role_list_tokens},
          {"role delete-token", "PROJECT ROLE ISSUED-AT", role_delete_token}};
}

}  // namespace caisson::cli
