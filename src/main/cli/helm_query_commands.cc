// SPDX-License-Identifier: Apache-2.0
// helm list, history, status, get, version; and how a release is printed.
#include <unistd.h>

#include <regex.h>
#include <algorithm>
#include <cstdio>
#include <ctime>

#include "cluster/kube/selector.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/calendar/go_time.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/expr/go_template/execution.h"
#include "main/cli/helm_release.h"
#include "main/platform/version.h"

namespace caisson::cli {
namespace {

using namespace render::helm;

// "Sat Nov 21 12:33:16 2026", as Go's time.ANSIC.
std::string plain_time(const std::string& rfc3339) {
  const auto time = parse_time(rfc3339);
  if (!time) return rfc3339;
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(*time));
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &parts);
  return text;
}

// "2026-11-21 12:33:16.5 +0000 UTC", as Go's Time.String.
std::string full_time(const std::string& rfc3339) {
  const auto time = parse_time(rfc3339);
  if (!time) return "-";
  std::string text = format_time_nanos(*time);
  text[10] = ' ';
  text.pop_back();
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text + " +0000 UTC";
}

// In a layout of Go's, or as above.
std::string time_in(const std::string& layout, const std::string& rfc3339) {
  const auto time = parse_time(rfc3339);
  if (layout.empty() || !time) return full_time(rfc3339);
  return calendar::format_go_time(calendar::GoTime::from(*time, calendar::TimeZone::utc()), layout);
}

std::string chart_name(const Release& release) {
  const Value& metadata = release.chart["metadata"];
  return metadata["name"].str() + "-" + metadata["version"].str();
}

// Columns padded to their widest cell with a tab between, as Helm's tables.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += (i == 0 ? "" : "\t") + row[i];
      out.append(widths[i] - display_width(row[i]), ' ');
    }
    out += '\n';
  }
  return out;
}

Result<void> print_document(const Value& value, const std::string& format) {
  if (format == "json") return write_all(STDOUT_FILENO, json::write(value, {.escape_html = true}) + "\n");
  if (format == "yaml") return write_all(STDOUT_FILENO, yaml::write(value, {.sort_keys = true}));
  return Error{ErrorCode::bad_request, "invalid format type: " + format};
}

Value release_json(const Release& release, const std::vector<ResourceGroup>& resources) {
  Value info{{"first_deployed", release.first_deployed},
             {"last_deployed", release.last_deployed},
             {"deleted", release.deleted},
             {"description", release.description},
             {"status", release.status}};
  if (!release.notes.empty()) info.set("notes", release.notes);
  for (const ResourceGroup& group : resources) info.edit("resources").set(group.key, Value(group.objects));
  Value out{{"name", release.name}, {"info", std::move(info)}, {"chart", release.chart}};
  if (!release.config.empty()) out.set("config", release.config);
  out.set("manifest", release.manifest);
  out.set("version", static_cast<long long>(release.version));
  out.set("namespace", release.ns);
  return out;
}

bool shown_by_status(const Release& release, const Flags& flags) {
  if (flags.is_set("all")) return true;
  bool any = false;
  const auto asks = [&](const char* flag, bool matches) {
    any |= flags.is_set(flag);
    return flags.is_set(flag) && matches;
  };
  const bool shown = asks("deployed", release.status == "deployed") | asks("failed", release.status == "failed") |
                     asks("pending", release.is_pending()) | asks("superseded", release.status == "superseded") |
                     asks("uninstalled", release.status == "uninstalled") |
                     asks("uninstalling", release.status == "uninstalling");
  return any ? shown : release.status == "deployed" || release.status == "failed";
}

Result<std::vector<Release>> filtered(std::vector<Release> releases, const Flags& flags) {
  std::erase_if(releases, [&](const Release& release) { return !shown_by_status(release, flags); });
  if (const std::string filter = flags.text("filter"); !filter.empty()) {
    regex_t expression;
    if (::regcomp(&expression, filter.c_str(), REG_EXTENDED | REG_NOSUB) != 0)
      return Error{ErrorCode::bad_request, "--filter: not a regular expression: " + filter};
    std::erase_if(releases, [&](const Release& release) {
      return ::regexec(&expression, release.name.c_str(), 0, nullptr, 0) != 0;
    });
    ::regfree(&expression);
  }
  const auto selector = TRY(kube::LabelSelector::parse(flags.text("selector")));
  std::erase_if(releases, [&](const Release& release) {
    Value labels = Value::map();
    for (const auto& [key, value] : release.labels) labels.set(key, value);
    return !selector.matches(labels);
  });
  std::stable_sort(releases.begin(), releases.end(), [&](const Release& a, const Release& b) {
    return flags.is_set("date") ? a.last_deployed < b.last_deployed : a.name < b.name;
  });
  if (flags.is_set("reverse")) std::reverse(releases.begin(), releases.end());
  const auto number = [&](const char* flag, std::int64_t otherwise) {
    return static_cast<std::size_t>(std::max<std::int64_t>(0, parse_int(flags.text(flag)).value_or(otherwise)));
  };
  const auto passed_over = static_cast<std::ptrdiff_t>(std::min(number("offset", 0), releases.size()));
  releases.erase(releases.begin(), releases.begin() + passed_over);
  const std::size_t most = number("max", 256);
  if (most > 0 && releases.size() > most) releases.resize(most);
  return releases;
}

// The release that the command names, at --revision.
struct Found {
  HelmSession session;
  Release release;
};
Result<Found> find_release(const std::string& name, const Flags& flags) {
  HelmSession session = TRY(connect_helm(flags));
  const std::int64_t version = parse_int(flags.text("revision", "0")).value_or(0);
  const ReleaseStore store(*session.session.client, session.ns(), system_clock());
  const std::vector<Release> history = TRY(store.history(name));
  for (auto at = history.rbegin(); at != history.rend(); ++at) {
    if (version == 0 || at->version == version) return Found{std::move(session), *at};
  }
  return Error{ErrorCode::not_found, "release: not found"};
}

std::string hooks_text(const Release& release) {
  std::string out;
  for (const ReleaseHook& hook : release.hooks)
    out += "---\n# Source: " + hook.hook.manifest.source + "\n" + hook.hook.manifest.content + "\n";
  return out;
}

Result<Value> computed_values(const Release& release) {
  std::vector<std::string> warnings;
  return coalesce(TRY(chart_of_record(release.chart)), release.config, Nulls::removed, warnings);
}

std::string values_text(const Value& values) {
  return values.is_null() ? "null\n" : yaml::write(values, {.sort_keys = true});
}

// Helm leaves empty values out of a release's record, and finds none in it.
Value recorded_values(const Release& release) {
  return release.config.empty() ? Value() : release.config;
}

std::string both_values(const Value& given, const Value& computed) {
  return "USER-SUPPLIED VALUES:\n" + values_text(given) + "\nCOMPUTED VALUES:\n" + values_text(computed) + "\n";
}

Result<void> get_values(const Release& release, const Flags& flags) {
  const bool all = flags.is_set("all");
  const Value values = all ? TRY(computed_values(release)) : recorded_values(release);
  if (const std::string format = flags.text("output", "table"); format != "table")
    return print_document(values, format);
  return write_all(STDOUT_FILENO, (all ? "COMPUTED VALUES:\n" : "USER-SUPPLIED VALUES:\n") + values_text(values));
}

Result<void> get_metadata(const Release& release, const Flags& flags) {
  const Value& metadata = release.chart["metadata"];
  const Value fields{{"name", release.name},           {"chart", metadata["name"]},
                     {"version", metadata["version"]}, {"appVersion", metadata["appVersion"].str()},
                     {"namespace", release.ns},        {"revision", static_cast<long long>(release.version)},
                     {"status", release.status},       {"deployedAt", release.last_deployed}};
  if (const std::string format = flags.text("output", "table"); format != "table")
    return print_document(fields, format);
  std::printf(
      "NAME: %s\nCHART: %s\nVERSION: %s\nAPP_VERSION: %s\nNAMESPACE: %s\nREVISION: %lld\nSTATUS: %s\nDEPLOYED_AT: %s\n",
      release.name.c_str(), metadata["name"].str().c_str(), metadata["version"].str().c_str(),
      metadata["appVersion"].str().c_str(), release.ns.c_str(), static_cast<long long>(release.version),
      release.status.c_str(), release.last_deployed.c_str());
  return {};
}

Result<void> get_all(const Release& release) {
  const Value& metadata = release.chart["metadata"];
  std::string out = "NAME: " + release.name + "\nLAST DEPLOYED: " + plain_time(release.last_deployed) +
                    "\nNAMESPACE: " + release.ns + "\nSTATUS: " + release.status +
                    "\nREVISION: " + std::to_string(release.version) + "\nCHART: " + metadata["name"].str() +
                    "\nVERSION: " + metadata["version"].str() + "\nAPP_VERSION: " + metadata["appVersion"].str() + "\n";
  out += both_values(recorded_values(release), TRY(computed_values(release))) + "HOOKS:\n" + hooks_text(release) +
         "MANIFEST:\n" + release.manifest + "\n";
  if (!release.notes.empty()) out += "NOTES:\n" + std::string(trim(release.notes)) + "\n";
  return write_all(STDOUT_FILENO, out);
}

std::string tests_text(const Release& release) {
  std::string out;
  bool any = false;
  for (const ReleaseHook& hook : release.hooks) {
    if (!hook.hook.has_event("test")) continue;
    any = true;
    if (hook.started_at.empty()) continue;
    out += "TEST SUITE:     " + hook.hook.name + "\nLast Started:   " + plain_time(hook.started_at) +
           "\nLast Completed: " + plain_time(hook.completed_at) + "\nPhase:          " + hook.phase + "\n";
  }
  return any ? out : "TEST SUITE: None\n";
}

}  // namespace

Result<void> print_release(const Release& release, const ReleaseView& view) {
  if (view.format == "json" || view.format == "yaml")
    return print_document(release_json(release, view.resources), view.format);
  std::string out = "NAME: " + release.name + "\nLAST DEPLOYED: " + plain_time(release.last_deployed) +
                    "\nNAMESPACE: " + release.ns + "\nSTATUS: " + release.status +
                    "\nREVISION: " + std::to_string(release.version) + "\n";
  if (view.show_description) out += "DESCRIPTION: " + release.description + "\n";
  out += resources_text(view.resources) + tests_text(release);
  if (view.debug) out += both_values(release.config, TRY(computed_values(release)));
  if (release.description == "Dry run complete" || view.debug)
    out += "HOOKS:\n" + hooks_text(release) + "MANIFEST:\n" + release.manifest + "\n";
  if (!view.hide_notes && !release.notes.empty()) out += "NOTES:\n" + std::string(trim(release.notes)) + "\n";
  std::fflush(stdout);
  return write_all(STDOUT_FILENO, out);
}

Result<void> command_helm_list(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 0, 0, "list [flags]"));
  const HelmSession session = TRY(connect_helm(flags));
  const ReleaseStore store(*session.session.client, flags.is_set("all-namespaces") ? "" : session.ns(), system_clock());
  const std::vector<Release> releases = TRY(filtered(TRY(store.newest()), flags));
  const std::string format = flags.text("output", "table");
  if (flags.is_set("short")) {
    for (const Release& release : releases) std::printf("%s\n", release.name.c_str());
    return {};
  }
  std::vector<std::vector<std::string>> rows;
  if (!flags.is_set("no-headers"))
    rows.push_back({"NAME", "NAMESPACE", "REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION"});
  Value list = Value::list();
  for (const Release& release : releases) {
    const std::string app_version = release.chart["metadata"]["appVersion"].str();
    const std::string updated = time_in(flags.text("time-format"), release.last_deployed);
    rows.push_back({release.name, release.ns, std::to_string(release.version), updated, release.status,
                    chart_name(release), app_version});
    list.push_back(Value{{"name", release.name},
                         {"namespace", release.ns},
                         {"revision", std::to_string(release.version)},
                         {"updated", updated},
                         {"status", release.status},
                         {"chart", chart_name(release)},
                         {"app_version", app_version}});
  }
  return format == "table" ? write_all(STDOUT_FILENO, table(rows)) : print_document(list, format);
}

Result<void> command_helm_history(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 1, 1, "history RELEASE_NAME [flags]"));
  const HelmSession session = TRY(connect_helm(flags));
  const ReleaseStore store(*session.session.client, session.ns(), system_clock());
  std::vector<Release> history = TRY(store.history(flags.arguments()[0]));
  if (history.empty()) return Error{ErrorCode::not_found, "release: not found"};
  const auto most =
      static_cast<std::size_t>(std::max<std::int64_t>(1, parse_int(flags.text("max", "256")).value_or(256)));
  if (history.size() > most) history.erase(history.begin(), history.end() - static_cast<std::ptrdiff_t>(most));
  std::vector<std::vector<std::string>> rows{{"REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "DESCRIPTION"}};
  Value list = Value::list();
  for (const Release& release : history) {
    const std::string app_version = release.chart["metadata"]["appVersion"].str();
    rows.push_back({std::to_string(release.version), plain_time(release.last_deployed), release.status,
                    chart_name(release), app_version, release.description});
    list.push_back(Value{{"revision", static_cast<long long>(release.version)},
                         {"updated", release.last_deployed},
                         {"status", release.status},
                         {"chart", chart_name(release)},
                         {"app_version", app_version},
                         {"description", release.description}});
  }
  const std::string format = flags.text("output", "table");
  return format == "table" ? write_all(STDOUT_FILENO, table(rows)) : print_document(list, format);
}

Result<void> command_helm_status(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 1, 1, "status RELEASE_NAME [flags]"));
  const Found found = TRY(find_release(flags.arguments()[0], flags));
  ReleaseView view{false, flags.is_set("show-desc"), flags.text("output", "table")};
  if (flags.is_set("show-resources"))
    view.resources = TRY(release_resources(found.session, found.release, view.format == "table"));
  return print_release(found.release, view);
}

Result<void> command_helm_get(const Flags& flags) {
  constexpr std::string_view kWhat[] = {"values", "manifest", "hooks", "notes", "metadata", "all"};
  if (flags.arguments().empty())
    return Error{ErrorCode::bad_request,
                 "\"helm get\" requires what (values, manifest, hooks, notes, metadata, all) and a release"};
  const std::string& what = flags.arguments()[0];
  if (std::find(std::begin(kWhat), std::end(kWhat), what) == std::end(kWhat))
    return Error{ErrorCode::bad_request, "unknown command \"" + what + "\" for \"helm get\""};
  const std::vector<std::string> releases(flags.arguments().begin() + 1, flags.arguments().end());
  TRY(expect_helm_arguments(releases, 1, 1, "get " + what + " RELEASE_NAME [flags]"));
  const Found found = TRY(find_release(releases[0], flags));
  const Release& release = found.release;
  if (what == "values") return get_values(release, flags);
  if (what == "manifest") return write_all(STDOUT_FILENO, release.manifest + "\n");
  if (what == "hooks") return write_all(STDOUT_FILENO, hooks_text(release));
  if (what == "notes") return write_all(STDOUT_FILENO, release.notes.empty() ? "" : "NOTES:\n" + release.notes + "\n");
  if (what == "metadata") return get_metadata(release, flags);
  if (const std::string text = flags.text("template"); !text.empty())
    return write_all(STDOUT_FILENO, TRY(release_by_template(release, text)));
  return get_all(release);
}

Result<void> command_helm_version(const Flags& flags) {
  if (const std::string text = flags.text("template"); !text.empty()) {
    go_template::Set set("_", {go_template::go_functions()});
    TRY(set.parse("_", text));
    const Value info{{"Version", kHelmVersion}, {"GitCommit", ""}, {"GitTreeState", "clean"}, {"GoVersion", ""}};
    go_template::Execution execution(set, {});
    return write_all(STDOUT_FILENO, TRY(execution.run("_", go_template::Datum::from(info))));
  }
  std::printf("%s (caisson %s)\n", std::string(kHelmVersion).c_str(), std::string(platform::kVersion).c_str());
  return {};
}

}  // namespace caisson::cli
