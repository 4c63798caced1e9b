// SPDX-License-Identifier: Apache-2.0
// Amounts of resources and storage: what containers ask for, ResourceQuotas, LimitRanges, PersistentVolumeClaims,
// StorageClasses (pkg/apis/{core,storage}/validation of 1.33).
#include <algorithm>
#include <set>

#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"
#include "core/base/quantity.h"
#include "core/base/text.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;

constexpr std::string_view kCountable[] = {
    "pods",    "resourcequotas", "services",               "replicationcontrollers", "secrets",
    "configmaps", "persistentvolumeclaims", "services.nodeports", "services.loadbalancers"};
constexpr std::string_view kMeasured[] = {"cpu",
                                          "memory",
                                          "ephemeral-storage",
                                          "requests.cpu",
                                          "requests.memory",
                                          "requests.storage",
                                          "requests.ephemeral-storage",
                                          "limits.cpu",
                                          "limits.memory",
                                          "limits.ephemeral-storage"};

template <std::size_t N>
bool is_one_of(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool is_huge_page(std::string_view name) {
  return name.starts_with("hugepages-");
}
bool is_quota_resource(std::string_view name) {
  return is_one_of(kMeasured, name) || is_one_of(kCountable, name) || is_huge_page(name) ||
         name.starts_with("requests.hugepages-");
}
// Of Kubernetes itself: not of a device plug-in or an administrator.
bool is_native(std::string_view name) {
  return name.find('/') == std::string_view::npos || name.find("kubernetes.io/") != std::string_view::npos;
}
bool is_extended(std::string_view name) {
  return !is_native(name) && !name.starts_with("requests.") &&
         check_qualified_name("requests." + std::string(name)).empty();
}
bool may_be_overcommitted(std::string_view name) {
  return is_native(name) && !is_huge_page(name);
}

// Go's type of resource names prints itself, without quotes.
Value shown_name(std::string_view name) {
  return go_value(std::string(name));
}

// False: it is no name at all, and what else is wrong with it is not looked for.
bool check_name(std::string_view name, const std::string& path, Errors& out) {
  const auto why = check_qualified_name(name);
  for (const std::string& text : why) out.push_back(invalid_value(path, shown_name(name), text));
  if (why.empty() && name.find('/') == std::string_view::npos && !is_quota_resource(name) && name != "storage")
    out.push_back(invalid_value(path, shown_name(name), "must be a standard resource type or fully qualified"));
  return why.empty();
}

void check_container_name(std::string_view name, const std::string& path, Errors& out) {
  check_name(name, path, out);
  if (name.find('/') == std::string_view::npos) {
    if (name != "cpu" && name != "memory" && name != "ephemeral-storage" && !is_huge_page(name))
      out.push_back(invalid_value(path, shown_name(name), "must be a standard resource for containers"));
  } else if (!is_native(name) && !is_extended(name)) {
    out.push_back(invalid_value(path, shown_name(name), "doesn't follow extended resource name standard"));
  }
}

Quantity quantity_of(const Value& value) {
  return Quantity::parse(value.scalar_text()).value_or(Quantity::of_integer(0));
}

void check_amount(std::string_view name, const Value& value, const std::string& path, Errors& out) {
  const Quantity amount = quantity_of(value);
  if (amount.compare(Quantity::of_integer(0)) < 0)
    out.push_back(invalid_value(path, Value(value.scalar_text()), "must be greater than or equal to 0"));
  if ((is_one_of(kCountable, name) || is_extended(name)) && amount.milli() % 1000 != 0)
    out.push_back(invalid_value(path, value, "must be an integer"));
}

std::string key_of(const std::string& path, std::string_view key) {
  return path + "[" + std::string(key) + "]";
}

// --- LimitRange

void check_limit_order(const Value& limit, std::string_view name, const std::string& at, Errors& out) {
  const auto amount = [&](std::string_view list) { return limit[list].find(name); };
  const Value *least = amount("min"), *most = amount("max"), *usual = amount("default"),
              *asked = amount("defaultRequest"), *ratio = amount("maxLimitRequestRatio");
  const auto above = [](const Value* a, const Value* b) {
    return a && b && quantity_of(*a).compare(quantity_of(*b)) > 0;
  };
  const auto say = [&](std::string_view list, const Value* shown, std::string_view what, const Value* a,
                       std::string_view than, const Value* b) {
    out.push_back(invalid_value(key_of(at + "." + std::string(list), name), *shown,
                                std::string(what) + " value " + a->scalar_text() + " is greater than " +
                                    std::string(than) + " value " + b->scalar_text()));
  };
  if (above(least, most)) say("min", least, "min", least, "max", most);
  if (above(least, asked)) say("defaultRequest", asked, "min", least, "default request", asked);
  if (above(asked, most)) say("defaultRequest", asked, "default request", asked, "max", most);
  if (above(asked, usual)) say("defaultRequest", asked, "default request", asked, "default limit", usual);
  if (above(least, usual)) say("default", least, "min", least, "default", usual);
  if (above(usual, most)) say("default", most, "default", usual, "max", most);
  if (ratio && quantity_of(*ratio).compare(Quantity::of_integer(1)) < 0)
    out.push_back(invalid_value(key_of(at + ".maxLimitRequestRatio", name), *ratio,
                                "ratio " + ratio->scalar_text() + " is less than 1"));
  if (ratio && least && most && !quantity_of(*least).is_zero()) {
    const double most_ratio = quantity_of(*most).as_double() / quantity_of(*least).as_double();
    char shown[64];
    std::snprintf(shown, sizeof shown, "%f", most_ratio);
    if (quantity_of(*ratio).as_double() > most_ratio)
      out.push_back(invalid_value(key_of(at + ".maxLimitRequestRatio", name), *ratio,
                                  "ratio " + ratio->scalar_text() + " is greater than max/min = " + shown));
  }
  if (!may_be_overcommitted(name) && usual && asked && quantity_of(*usual).compare(quantity_of(*asked)) != 0)
    out.push_back(invalid_value(key_of(at + ".defaultRequest", name), *asked,
                                "default value " + usual->scalar_text() + " must equal to defaultRequest value " +
                                    asked->scalar_text() + " in " + std::string(name)));
}

void check_limit(const Value& limit, const std::string& at, Errors& out) {
  const std::string_view type = limit["type"].as_string();
  const bool pod = type == "Pod", container = type == "Container", claim = type == "PersistentVolumeClaim";
  const auto why = check_qualified_name(type);
  for (const std::string& text : why) out.push_back(invalid_value(at + ".type", Value(type), text));
  if (why.empty() && type.find('/') == std::string_view::npos && !pod && !container && !claim)
    out.push_back(invalid_value(at + ".type", Value(type), "must be a standard limit type or fully qualified"));
  std::set<std::string_view> names;
  for (const std::string_view list : {"max", "min", "default", "defaultRequest", "maxLimitRequestRatio"}) {
    const std::string path = at + "." + std::string(list);
    if (pod && list.starts_with("default")) {
      if (!limit[list].empty()) out.push_back(forbidden_value(path, "may not be specified when `type` is 'Pod'"));
      continue;
    }
    for (const auto& [name, amount] : limit[list].entries()) {
      names.insert(name);
      if (pod || container)
        check_container_name(name, key_of(path, name), out);
      else
        check_name(name, key_of(path, name), out);
    }
  }
  if (claim && !limit["min"].contains("storage") && !limit["max"].contains("storage"))
    out.push_back(required_value(
        at + ".limits", "either minimum or maximum storage value is required, but neither was provided"));
  for (const std::string_view name : names) check_limit_order(limit, name, at, out);
}

}  // namespace

void check_container_resources(const Value& resources, const std::string& path, Errors& out) {
  const std::string limits = path + ".limits", requests = path + ".requests";
  for (const auto& [name, amount] : resources["limits"].entries()) {
    check_container_name(name, key_of(limits, name), out);
    check_amount(name, amount, key_of(limits, name), out);
  }
  for (const auto& [name, amount] : resources["requests"].entries()) {
    check_container_name(name, key_of(requests, name), out);
    check_amount(name, amount, key_of(requests, name), out);
    const Value* limit = resources["limits"].find(name);
    const bool equal = !may_be_overcommitted(name);
    if (!limit) {
      if (equal) out.push_back(required_value(limits, "Limit must be set for non overcommitable resources"));
      continue;
    }
    const int order = quantity_of(amount).compare(quantity_of(*limit));
    if (equal ? order != 0 : order > 0)
      out.push_back(invalid_value(requests, Value(amount.scalar_text()),
                                  "must be " + std::string(equal ? "equal" : "less than or equal") + " to " +
                                      std::string(name) + " limit of " + limit->scalar_text()));
  }
}

void check_limit_range(const Value& object, Errors& out) {
  const Value& limits = object["spec"]["limits"];
  std::set<std::string_view> types;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const std::string at = "spec.limits[" + std::to_string(i) + "]";
    check_limit(limits[i], at, out);
    if (!types.insert(limits[i]["type"].as_string()).second)
      out.push_back(duplicate_value(at + ".type", limits[i]["type"]));
  }
}

void check_resource_quota(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  for (const auto& [name, amount] : spec["hard"].entries()) {
    const std::string at = key_of("spec.hard", name);
    check_name(name, at, out);
    if (name.find('/') == std::string_view::npos && !is_quota_resource(name))
      out.push_back(invalid_value(at, shown_name(name), "must be a standard resource for quota"));
    check_amount(name, amount, at, out);
  }
  static constexpr std::string_view kScopes[] = {"Terminating",   "NotTerminating", "BestEffort",
                                                 "NotBestEffort", "PriorityClass",  "CrossNamespacePodAffinity"};
  const Value& scopes = spec["scopes"];
  std::vector<std::string> parts;
  std::set<std::string_view> seen;
  for (const Value& scope : scopes.items()) {
    parts.push_back("\"" + scope.str() + "\"");
    seen.insert(scope.as_string());
  }
  const Value shown = go_value("[]core.ResourceQuotaScope{" + join(parts, ", ") + "}");
  for (const std::string_view scope : seen)
    if (!is_one_of(kScopes, scope)) out.push_back(invalid_value("spec.scopes", shown, "unsupported scope"));
  if ((seen.count("BestEffort") && seen.count("NotBestEffort")) ||
      (seen.count("Terminating") && seen.count("NotTerminating")))
    out.push_back(invalid_value("spec.scopes", shown, "conflicting scopes"));
}

void check_claim_spec(const Value& spec, const std::string& path, Errors& out) {
  const Value& modes = spec["accessModes"];
  if (modes.empty()) out.push_back(required_value(path + ".accessModes", "at least 1 access mode is required"));
  check_label_selector(spec["selector"], path + ".selector", out);
  static const std::vector<std::string> kModes = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce",
                                                  "ReadWriteOncePod"};
  bool one_pod = false, others = false;
  for (const Value& mode : modes.items()) {
    const bool known = std::find(kModes.begin(), kModes.end(), mode.as_string()) != kModes.end();
    if (!known) out.push_back(unsupported_value(path + ".accessModes", mode, kModes));
    one_pod = one_pod || mode.as_string() == "ReadWriteOncePod";
    others = others || (known && mode.as_string() != "ReadWriteOncePod");
  }
  if (one_pod && others)
    out.push_back(forbidden_value(path + ".accessModes", "may not use ReadWriteOncePod with other access modes"));
  const std::string at = path + ".resources[storage]";
  const Value* storage = spec["resources"]["requests"].find("storage");
  if (!storage)
    out.push_back(required_value(at));
  else if (quantity_of(*storage).compare(Quantity::of_integer(0)) <= 0)
    out.push_back(invalid_value(at, Value(storage->scalar_text()), "must be greater than zero"));
  for (const std::string_view name : {"storageClassName", "volumeAttributesClassName"}) {
    if (spec[name].as_string().empty()) continue;
    for (const std::string& why : check_dns_subdomain(spec[name].as_string()))
      out.push_back(invalid_value(path + "." + std::string(name), spec[name], why));
  }
}

void check_storage_class(const Value& object, Errors& out) {
  const Value& provisioner = object["provisioner"];
  if (!provisioner.as_string().empty())
    for (const std::string& why : check_qualified_name(to_lower(provisioner.as_string())))
      out.push_back(invalid_value("provisioner", provisioner, why));
  const Value& terms = object["allowedTopologies"];
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const std::string at = "allowedTopologies[" + std::to_string(i) + "]";
    const Value& expressions = terms[i]["matchLabelExpressions"];
    std::set<std::string_view> keys;
    for (std::size_t e = 0; e < expressions.size(); ++e) {
      const std::string where = at + ".matchLabelExpressions[" + std::to_string(e) + "]";
      const Value &key = expressions[e]["key"], &values = expressions[e]["values"];
      if (values.empty()) out.push_back(required_value(where + ".values"));
      std::set<std::string_view> seen;
      for (std::size_t v = 0; v < values.size(); ++v)
        if (!seen.insert(values[v].as_string()).second)
          out.push_back(duplicate_value(where + ".values[" + std::to_string(v) + "]", values[v]));
      for (const std::string& why : check_qualified_name(key.as_string()))
        out.push_back(invalid_value(where + ".key", Value(key.as_string()), why));
      if (!keys.insert(key.as_string()).second) out.push_back(duplicate_value(where + ".key", key));
    }
    for (std::size_t before = 0; before < i; ++before)
      if (terms[before] == terms[i]) {
        out.push_back(duplicate_value(at + ".matchLabelExpressions", Value("")));
        break;
      }
  }
}

}  // namespace caisson::schema
