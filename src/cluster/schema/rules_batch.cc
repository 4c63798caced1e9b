// SPDX-License-Identifier: Apache-2.0
// Jobs and CronJobs (pkg/apis/batch/validation of 1.33; schedules as robfig/cron's standard parser reads them).
#include <array>
#include <filesystem>
#include <set>

#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"
#include "core/base/clock.h"
#include "core/base/text.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;

constexpr std::int64_t kIndexedParallelismMax = 100'000;
constexpr std::size_t kSuccessRulesMax = 20;

std::string at(const std::string& path, std::size_t i) {
  return path + "[" + std::to_string(i) + "]";
}

// --- schedules

struct CronField {
  std::int64_t least, most;
  std::string_view names;  // three letters each
};
constexpr std::array<CronField, 5> kCronFields = {{{0, 59, ""},
                                                   {0, 23, ""},
                                                   {1, 31, ""},
                                                   {1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
                                                   {0, 6, "sunmontuewedthufrisat"}}};

std::optional<std::int64_t> cron_number(std::string_view text, const CronField& field) {
  const std::string lower = to_lower(text);
  for (std::size_t i = 0; i + 3 <= field.names.size() && lower.size() == 3; i += 3)
    if (field.names.substr(i, 3) == lower) return static_cast<std::int64_t>(i / 3) + field.least;
  const auto number = parse_int(text);
  return number && *number >= 0 ? number : std::nullopt;
}

// What is wrong with one of the comma-separated parts of a field; empty: nothing.
std::string wrong_range(std::string_view text, const CronField& field) {
  const auto step_parts = split(text, '/');
  const auto bounds = split(step_parts[0], '-');
  std::int64_t start = field.least, end = field.most;
  if (bounds[0] == "*" || bounds[0] == "?") {
    if (bounds.size() > 1) return "failed to parse int from " + std::string(step_parts[0]);
  } else {
    const auto from = cron_number(bounds[0], field);
    if (!from)
      return "failed to parse int from " + std::string(bounds[0]) + ": strconv.Atoi: parsing \"" +
             std::string(bounds[0]) + "\": invalid syntax";
    start = end = *from;
    if (bounds.size() > 2) return "too many hyphens: " + std::string(text);
    if (bounds.size() == 2) {
      const auto to = cron_number(bounds[1], field);
      if (!to)
        return "failed to parse int from " + std::string(bounds[1]) + ": strconv.Atoi: parsing \"" +
               std::string(bounds[1]) + "\": invalid syntax";
      end = *to;
    }
  }
  std::int64_t step = 1;
  if (step_parts.size() > 2) return "too many slashes: " + std::string(text);
  if (step_parts.size() == 2) {
    const auto parsed = parse_int(step_parts[1]);
    if (!parsed)
      return "failed to parse int from " + std::string(step_parts[1]) + ": strconv.Atoi: parsing \"" +
             std::string(step_parts[1]) + "\": invalid syntax";
    step = *parsed;
    if (bounds.size() == 1 && bounds[0] != "*" && bounds[0] != "?") end = field.most;
  }
  const std::string whole(text);
  if (start < field.least)
    return "beginning of range (" + std::to_string(start) + ") below minimum (" + std::to_string(field.least) +
           "): " + whole;
  if (end > field.most)
    return "end of range (" + std::to_string(end) + ") above maximum (" + std::to_string(field.most) + "): " + whole;
  if (start > end)
    return "beginning of range (" + std::to_string(start) + ") beyond end of range (" + std::to_string(end) +
           "): " + whole;
  if (step == 0) return "step of range should be a positive number: " + whole;
  if (step < 0) return "negative number (" + std::to_string(step) + ") not allowed: " + std::string(step_parts[1]);
  return {};
}

std::string wrong_schedule(std::string_view schedule) {
  std::string_view text = schedule;
  if (text.starts_with("TZ=") || text.starts_with("CRON_TZ=")) {
    const std::size_t blank = text.find(' ');
    text = blank == std::string_view::npos ? std::string_view() : trim(text.substr(blank));
  }
  if (text.starts_with('@')) {
    static const std::set<std::string_view> kKnown = {"@yearly", "@annually", "@monthly", "@weekly",
                                                      "@daily",  "@midnight", "@hourly"};
    if (kKnown.contains(text)) return {};
    constexpr std::string_view kEvery = "@every ";
    if (!text.starts_with(kEvery)) return "unrecognized descriptor: " + std::string(text);
    if (parse_duration(text.substr(kEvery.size())).ok()) return {};
    return "failed to parse duration " + std::string(text) + ": time: invalid duration \"" +
           std::string(text.substr(kEvery.size())) + "\"";
  }
  std::vector<std::string> fields;
  for (const std::string_view field : split(text, ' '))
    if (!field.empty()) fields.emplace_back(field);
  if (fields.size() != kCronFields.size())
    return "expected exactly 5 fields, found " + std::to_string(fields.size()) + ": [" + join(fields, " ") + "]";
  for (std::size_t i = 0; i < fields.size(); ++i)
    for (const std::string_view part : split(fields[i], ','))
      if (std::string why = wrong_range(part, kCronFields[i]); !why.empty()) return why;
  return {};
}

std::string wrong_time_zone(const std::string& zone) {
  const std::string unknown = "unknown time zone " + zone;
  for (const std::string_view part : split(zone, '/')) {
    const bool characters =
        part.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-.") ==
        std::string_view::npos;
    if (part.empty() || part == "." || part == ".." || part.starts_with('-') || !characters) return unknown;
  }
  if (equals_ignoring_case(zone, "local"))
    return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
  if (zone == "UTC") return {};
  std::error_code ignored;
  return std::filesystem::is_regular_file("/usr/share/zoneinfo/" + zone, ignored) ? "" : unknown;
}

// --- jobs

void check_exit_codes(const Value& on, const std::string& path, const std::set<std::string>& containers, Errors& out) {
  const Value& op = on["operator"];
  if (op.as_string().empty())
    out.push_back(required_value(path + ".operator", "valid values: [\"In\" \"NotIn\"]"));
  else if (op.as_string() != "In" && op.as_string() != "NotIn")
    out.push_back(unsupported_value(path + ".operator", op, {"In", "NotIn"}));
  const Value& name = on["containerName"];
  if (!name.is_null() && !containers.contains(name.str()))
    out.push_back(invalid_value(path + ".containerName", name,
                                "must be one of the container or initContainer names in the pod template"));
  const Value& values = on["values"];
  if (values.empty()) out.push_back(invalid_value(path + ".values", values, "at least one value is required"));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (op.as_string() == "In" && values[i].as_int() == 0)
      out.push_back(invalid_value(at(path + ".values", i), values[i], "must not be 0 for the In operator"));
    if (i > 0 && values[i] == values[i - 1])
      out.push_back(duplicate_value(at(path + ".values", i), values[i]));
    else if (i > 0 && values[i].as_int() < values[i - 1].as_int())
      out.push_back(invalid_value(path + ".values", values, "must be ordered"));
  }
}

void check_failure_policy(const Value& spec, const std::string& path, Errors& out) {
  std::set<std::string> containers;
  for (const char* list : {"containers", "initContainers"})
    for (const Value& container : spec["template"]["spec"][list].items()) containers.insert(container["name"].str());
  const Value& rules = spec["podFailurePolicy"]["rules"];
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const std::string where = at(path + ".rules", i);
    const std::string_view action = rules[i]["action"].as_string();
    if (action.empty())
      out.push_back(
          required_value(where + ".action", "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"));
    else if (action == "FailIndex" && spec["backoffLimitPerIndex"].is_null())
      out.push_back(invalid_value(where + ".action", action, "requires the backoffLimitPerIndex to be set"));
    const bool codes = rules[i]["onExitCodes"].is_map(), conditions = !rules[i]["onPodConditions"].empty();
    if (codes) check_exit_codes(rules[i]["onExitCodes"], where + ".onExitCodes", containers, out);
    if (codes && conditions)
      out.push_back(bare_invalid(where, "specifying both OnExitCodes and OnPodConditions is not supported"));
    if (!codes && !conditions)
      out.push_back(bare_invalid(where, "specifying one of OnExitCodes and OnPodConditions is required"));
  }
}

// "1,3-5": how many indexes, or why it can't be read.
std::string wrong_indexes(std::string_view text, std::int64_t completions, std::int64_t& total) {
  std::int64_t last = -1;
  if (text.empty()) return {};
  for (const std::string_view interval : split(text, ',')) {
    const auto bounds = split(interval, '-');
    if (bounds.size() > 2)
      return "the fragment \"" + std::string(interval) +
             "\" violates the requirement that an index interval can have at most two parts separated by '-'";
    std::int64_t ends[2] = {0, 0};
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      const auto number = parse_int(bounds[i]);
      if (!number || *number < 0)
        return "cannot convert string to integer for index: \"" + std::string(bounds[i]) + "\"";
      if (*number >= completions) return "too large index: \"" + std::string(bounds[i]) + "\"";
      ends[i] = *number;
    }
    if (bounds.size() == 1) ends[1] = ends[0];
    if (bounds.size() == 2 && ends[0] > ends[1])
      return "non-increasing order, previous: " + std::to_string(ends[0]) + ", current: " + std::to_string(ends[1]);
    if (last >= ends[0])
      return "non-increasing order, previous: " + std::to_string(last) + ", current: " + std::to_string(ends[0]);
    total += ends[1] - ends[0] + 1;
    last = ends[1];
  }
  return {};
}

void check_success_policy(const Value& spec, const std::string& path, Errors& out) {
  const Value& rules = spec["successPolicy"]["rules"];
  const std::int64_t completions = spec["completions"].as_int();
  if (rules.empty())
    out.push_back(
        required_value(path + ".rules", "at least one rules must be specified when the successPolicy is specified"));
  if (rules.size() > kSuccessRulesMax)
    out.push_back({FieldError::Type::too_many, path + ".rules", Value(static_cast<std::int64_t>(rules.size())),
                   "must have at most " + std::to_string(kSuccessRulesMax) + " items"});
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const std::string where = at(path + ".rules", i);
    const Value& indexes = rules[i]["succeededIndexes"];
    const Value& count = rules[i]["succeededCount"];
    if (indexes.is_null() && count.is_null())
      out.push_back(required_value(where, "at least one of succeededCount or succeededIndexes must be specified"));
    std::int64_t total = 0;
    if (!indexes.is_null())
      if (const std::string why = wrong_indexes(indexes.as_string(), completions, total); !why.empty())
        out.push_back(invalid_value(where + ".succeededIndexes", indexes, "error parsing succeededIndexes: " + why));
    if (count.is_null()) continue;
    if (count.as_int() < 0)
      out.push_back(invalid_value(where + ".succeededCount", count, "must be greater than or equal to 0"));
    if (count.as_int() > completions)
      out.push_back(invalid_value(
          where + ".succeededCount", count,
          "must be less than or equal to " + std::to_string(completions) + " (the number of specified completions)"));
    if (!indexes.is_null() && count.as_int() > total)
      out.push_back(invalid_value(where + ".succeededCount", count,
                                  "must be less than or equal to " + std::to_string(total) +
                                      " (the number of indexes in the specified succeededIndexes field)"));
  }
}

void check_completion_mode(const Value& spec, const std::string& path, Errors& out) {
  const bool indexed = spec["completionMode"].as_string() == "Indexed";
  const Value& parallelism = spec["parallelism"];
  if (indexed && spec["completions"].is_null())
    out.push_back(required_value(path + ".completions", "when completion mode is Indexed"));
  if (indexed && parallelism.as_int() > kIndexedParallelismMax)
    out.push_back(invalid_value(path + ".parallelism", parallelism,
                                "must be less than or equal to 100000 when completion mode is Indexed"));
  if (indexed && !spec["completions"].is_null() && spec["maxFailedIndexes"].as_int() > spec["completions"].as_int())
    out.push_back(invalid_value(path + ".maxFailedIndexes", spec["maxFailedIndexes"],
                                "must be less than or equal to completions"));
  for (const char* member : {"backoffLimitPerIndex", "maxFailedIndexes"})
    if (!indexed && !spec[member].is_null())
      out.push_back(invalid_value(path + "." + member, spec[member], "requires indexed completion mode"));
  if (!spec["maxFailedIndexes"].is_null() && spec["backoffLimitPerIndex"].is_null())
    out.push_back(required_value(path + ".backoffLimitPerIndex", "when maxFailedIndexes is specified"));
  if (spec["successPolicy"].is_null()) return;
  if (!indexed)
    out.push_back(invalid_value(path + ".successPolicy", spec["successPolicy"], "requires indexed completion mode"));
  else
    check_success_policy(spec, path + ".successPolicy", out);
}

void check_restart_policy(const Value& spec, const std::string& path, Errors& out) {
  const Value& value = spec["template"]["spec"]["restartPolicy"];
  const std::string where = path + ".template.spec.restartPolicy";
  const std::string_view policy = value.as_string();
  if (policy.empty() || policy == "Always")
    out.push_back(required_value(where, "valid values: \"OnFailure\", \"Never\""));
  else if (policy != "OnFailure" && policy != "Never")
    out.push_back(unsupported_value(where, value, {"OnFailure", "Never"}));
  else if (!spec["podFailurePolicy"].is_null() && policy != "Never")
    out.push_back(invalid_value(where, value, "only \"Never\" is supported when podFailurePolicy is specified"));
}

bool is_domain_prefixed(std::string_view text) {
  const std::size_t slash = text.find('/');
  return slash != std::string_view::npos && slash + 1 < text.size() &&
         check_dns_subdomain(text.substr(0, slash)).empty();
}

}  // namespace

void check_job_spec(const Value& spec, const std::string& path, Errors& out) {
  if (const Value& by = spec["managedBy"]; !by.is_null() && !is_domain_prefixed(by.as_string()))
    out.push_back(invalid_value(path + ".managedBy", by, "must be a domain-prefixed path (such as \"acme.io/foo\")"));
  check_completion_mode(spec, path, out);
  if (!spec["podFailurePolicy"].is_null()) check_failure_policy(spec, path + ".podFailurePolicy", out);
  check_labels(spec["template"]["metadata"]["labels"], path + ".template.labels", out);  // as upstream shortens it
  check_pod_spec(spec["template"]["spec"], path + ".template.spec", out);
  check_restart_policy(spec, path, out);
}

// As Go prints a LabelSelector.
Value go_selector(const Value& selector) {
  std::vector<std::string> terms;
  for (const Value& term : selector["matchExpressions"].items()) {
    std::vector<std::string> values;
    for (const Value& value : term["values"].items()) values.push_back("\"" + value.str() + "\"");
    const std::string list = values.empty() ? "[]string(nil)" : "[]string{" + join(values, ", ") + "}";
    terms.push_back("v1.LabelSelectorRequirement{Key:\"" + term["key"].str() + "\", Operator:\"" +
                    term["operator"].str() + "\", Values:" + list + "}");
  }
  const std::string expressions =
      terms.empty() ? "[]v1.LabelSelectorRequirement(nil)" : "[]v1.LabelSelectorRequirement{" + join(terms, ", ") + "}";
  const std::string labels(
      go_map(selector["matchLabels"]).as_string().substr(std::string_view(FieldError::kAsItStands).size()));
  return go_value("v1.LabelSelector{MatchLabels:" + labels + ", MatchExpressions:" + expressions + "}");
}

void check_job(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  check_job_spec(spec, "spec", out);
  const Value& labels = spec["template"]["metadata"]["labels"];
  const Value& selector = spec["selector"];
  if (selector.is_null()) out.push_back(required_value("spec.selector"));
  const Value& metadata = object["metadata"];
  const Value expected{{"batch.kubernetes.io/controller-uid", metadata["uid"]},
                       {"batch.kubernetes.io/job-name", metadata["name"]},
                       {"controller-uid", metadata["uid"]},
                       {"job-name", metadata["name"]}};
  if (!spec["manualSelector"].as_bool() && !selector.is_null() && !selector_matches(selector, expected))
    out.push_back(invalid_value("spec.selector", go_selector(selector), "`selector` not auto-generated"));
  if (!selector_matches(selector, labels))
    out.push_back(
        invalid_value("spec.template.metadata.labels", go_map(labels), "`selector` does not match template `labels`"));
}

void check_cron_job(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  const std::string_view schedule = spec["schedule"].as_string();
  if (!schedule.empty())
    if (const std::string why = wrong_schedule(schedule); !why.empty())
      out.push_back(invalid_value("spec.schedule", spec["schedule"], why));
  if (schedule.find("TZ") != std::string_view::npos)
    out.push_back(invalid_value("spec.schedule", spec["schedule"],
                                "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
  if (const Value& zone = spec["timeZone"]; !zone.is_null()) {
    const std::string why =
        zone.as_string().empty() ? "timeZone must be nil or non-empty string" : wrong_time_zone(zone.str());
    if (!why.empty()) out.push_back(invalid_value("spec.timeZone", zone, why));
  }
  check_job_spec(spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", out);
}

}  // namespace caisson::schema
