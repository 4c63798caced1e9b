// SPDX-License-Identifier: Apache-2.0
// `caisson proj windows`: sync windows of an AppProject.
#include <cstdio>

#include "core/base/text.h"
#include "delivery/gitops/windows.h"
#include "main/cli/proj_commands.h"

namespace caisson::cli {
namespace {

std::string joined(const Value& list) {
  std::string out;
  for (const Value& one : list.items()) out += (out.empty() ? "" : ",") + one.str();
  return out.empty() ? "-" : out;
}

Result<int> windows_list(const ProjSession& proj, const ProjArguments& arguments) {
  const kube::Object project = TRY(proj.get(arguments.words[0]));
  if (!arguments.output.empty()) {
    print_value(project.spec()["syncWindows"], arguments.output);
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Value& one : project.spec()["syncWindows"].items()) {
    const auto open = gitops::window_is_open(one, system_clock().now());
    rows.push_back({std::to_string(rows.size()),
                    !open.ok() ? open.error().message
                    : *open    ? "Active"
                               : "Inactive",
                    one["kind"].str(), one["schedule"].str(), one["duration"].str(), joined(one["applications"]),
                    joined(one["namespaces"]), joined(one["clusters"]),
                    one["manualSync"].as_bool() ? "Enabled" : "Disabled",
                    one["timeZone"].as_string().empty() ? "UTC" : one["timeZone"].str(),
                    one["andOperator"].as_bool() ? "Enabled" : "Disabled"});
  }
  print_table({"ID", "STATUS", "KIND", "SCHEDULE", "DURATION", "APPLICATIONS", "NAMESPACES", "CLUSTERS", "MANUALSYNC",
               "TIMEZONE", "USEANDOPERATOR"},
              rows);
  return 0;
}

void put_flags(Value& window, const ProjArguments& arguments) {
  const auto text = [&](const char* field, const std::string& value) {
    if (!value.empty()) window.set(field, value);
  };
  const auto list = [&](const char* field, const std::string& value) {
    if (value.empty()) return;
    Value items = Value::list();
    for (const std::string_view one : split(value, ',')) items.push_back(one);
    window.set(field, std::move(items));
  };
  text("kind", arguments.kind);
  text("schedule", arguments.schedule);
  text("duration", arguments.duration);
  text("timeZone", arguments.time_zone);
  text("description", arguments.description);
  list("applications", arguments.applications);
  list("namespaces", arguments.namespaces);
  list("clusters", arguments.clusters);
  if (arguments.manual_sync) window.set("manualSync", true);
  if (arguments.and_operator) window.set("andOperator", true);
}

Result<int> windows_add(const ProjSession& proj, const ProjArguments& arguments) {
  Value window = Value::map();
  put_flags(window, arguments);
  TRY(gitops::window_is_open(window, system_clock().now()));
  TRY(proj.change(arguments.words[0], [&](Value& project) -> Result<void> {
    project.edit({"spec", "syncWindows"}).push_back(window);
    return {};
  }));
  return 0;
}

// The window with the id of `windows list`.
Result<int> change_window(const ProjSession& proj, const ProjArguments& arguments,
                          const std::function<Result<void>(Value& windows, std::size_t index)>& edit) {
  const auto id = parse_int(arguments.words[1]);
  TRY(proj.change(arguments.words[0], [&](Value& project) -> Result<void> {
    if (!id || *id < 0 || static_cast<std::size_t>(*id) >= project["spec"]["syncWindows"].size())
      return Error{ErrorCode::not_found,
                   "AppProject " + arguments.words[0] + " has no sync window " + arguments.words[1]};
    return edit(project.edit({"spec", "syncWindows"}), static_cast<std::size_t>(*id));
  }));
  return 0;
}

Result<int> windows_delete(const ProjSession& proj, const ProjArguments& arguments) {
  return change_window(proj, arguments, [](Value& windows, std::size_t index) -> Result<void> {
    windows.erase_at(index);
    return {};
  });
}

Result<int> windows_update(const ProjSession& proj, const ProjArguments& arguments) {
  return change_window(proj, arguments, [&](Value& windows, std::size_t index) -> Result<void> {
    put_flags(windows.edit(index), arguments);
    TRY(gitops::window_is_open(windows[index], system_clock().now()));
    return {};
  });
}

template <bool Enabled>
Result<int> windows_manual_sync(const ProjSession& proj, const ProjArguments& arguments) {
  return change_window(proj, arguments, [](Value& windows, std::size_t index) -> Result<void> {
    if (Enabled)
      windows.edit(index).set("manualSync", true);
    else
      windows.edit(index).erase("manualSync");
    return {};
  });
}

}  // namespace

std::vector<ProjCommand> proj_window_commands() {
  return {{"windows list", "PROJECT", windows_list},
          {"windows add", "PROJECT", windows_add},
          {"windows update", "PROJECT ID", windows_update},
          {"windows delete", "PROJECT ID", windows_delete},
          {"windows enable-manual-sync", "PROJECT ID", windows_manual_sync<true>},
          {"windows disable-manual-sync", "PROJECT ID", windows_manual_sync<false>}};
}

}  // namespace caisson::cli
