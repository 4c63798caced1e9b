// SPDX-License-Identifier: Apache-2.0
#include "security/policy/match.h"

#include <algorithm>

#include "cluster/kube/selector.h"
#include "core/base/text.h"
#include "core/expr/jmespath/wildcard.h"

namespace caisson::policy {
namespace {

using jmespath::wildcard_match;

bool is_version(std::string_view text) {
  if (text == "*") return true;
  return text.size() >= 2 && text[0] == 'v' && text[1] >= '0' && text[1] <= '9';
}

std::vector<std::string> strings_of(const Value& list) {
  std::vector<std::string> out;
  for (const Value& item : list.items()) out.push_back(item.str());
  return out;
}

// As wildcard_match; most patterns are the text itself, or "*".
bool fits(std::string_view pattern, std::string_view text) {
  if (pattern.size() == 1 && pattern[0] == '*') return true;
  return pattern == text || wildcard_match(pattern, text);
}

bool any_fits(const std::vector<std::string>& patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return wildcard_match(pattern, text); });
}
bool share_one(const std::vector<std::string>& wanted, const std::vector<std::string>& have) {
  return std::any_of(have.begin(), have.end(), [&](const std::string& name) {
    return std::find(wanted.begin(), wanted.end(), name) != wanted.end();
  });
}

bool annotations_match(const Value& wanted, const Value& have) {
  return std::all_of(wanted.entries().begin(), wanted.entries().end(), [&](const auto& entry) {
    return std::any_of(have.entries().begin(), have.entries().end(), [&](const auto& candidate) {
      return wildcard_match(entry.key, candidate.key) &&
             wildcard_match(entry.value.as_string(), candidate.value.as_string());
    });
  });
}

bool is_subject(const Subject& subject, const UserInfo& user) {
  if (subject.kind == "ServiceAccount")
    return wildcard_match("system:serviceaccount:" + subject.ns + ":" + subject.name, user.name);
  if (subject.kind == "User") return wildcard_match(subject.name, user.name);
  if (subject.kind == "Group")
    return std::any_of(user.groups.begin(), user.groups.end(),
                       [&](const std::string& group) { return wildcard_match(subject.name, group); });
  return false;
}

std::string user_failure(const ResourceFilter& filter, const UserInfo& user) {
  if (!filter.roles.empty() && !share_one(filter.roles, user.roles)) return "user info does not match roles";
  if (!filter.cluster_roles.empty() && !share_one(filter.cluster_roles, user.cluster_roles))
    return "user info does not match clusterRoles";
  const auto is_user = [&](const Subject& subject) { return is_subject(subject, user); };
  if (!filter.subjects.empty() && std::none_of(filter.subjects.begin(), filter.subjects.end(), is_user))
    return "user info does not match subjects";
  return "";
}

std::string selector_failure(const ResourceFilter& filter, const Target& target) {
  if (!filter.selector.is_null() && !labels_match(filter.selector, target.object["metadata"]["labels"]))
    return "selector does not match";
  if (filter.namespace_selector.is_null()) return "";
  if (target.kind == "Namespace") return "namespace selector is not applicable for namespace resource";
  return labels_match(filter.namespace_selector, target.namespace_labels) ? ""
                                                                          : "namespace selector does not match labels";
}

Result<ResourceFilter> parse_filter(const Value& block) {
  ResourceFilter filter;
  const Value& resources = block["resources"];
  for (const Value& kind : resources["kinds"].items()) filter.kinds.push_back(KindSelector::parse(kind.as_string()));
  filter.names = strings_of(resources["names"]);
  if (!resources["name"].as_string().empty()) filter.names.push_back(resources["name"].str());
  filter.namespaces = strings_of(resources["namespaces"]);
  filter.operations = strings_of(resources["operations"]);
  filter.annotations = resources["annotations"];
  filter.selector = resources["selector"];
  filter.namespace_selector = resources["namespaceSelector"];
  filter.roles = strings_of(block["roles"]);
  filter.cluster_roles = strings_of(block["clusterRoles"]);
  for (const Value& subject : block["subjects"].items())
    filter.subjects.push_back({subject["kind"].str(), subject["name"].str(), subject["namespace"].str()});
  for (const std::string& operation : filter.operations) {
    if (operation != "CREATE" && operation != "UPDATE" && operation != "DELETE" && operation != "CONNECT")
      return Error{ErrorCode::bad_request, "resources.operations: \"" + operation + "\" is no operation"};
  }
  filter.only_kinds = !filter.kinds.empty() && filter.names.empty() && filter.namespaces.empty() &&
                      filter.operations.empty() && filter.annotations.is_null() && filter.selector.is_null() &&
                      filter.namespace_selector.is_null() && filter.says_nothing_of_users();
  return filter;
}

std::uint64_t kinds_of(const ResourceFilter& filter) {
  std::uint64_t kinds = filter.kinds.empty() ? ~std::uint64_t{0} : 0;
  for (const KindSelector& kind : filter.kinds)
    kinds |= jmespath::has_wildcard(kind.kind) ? ~std::uint64_t{0} : kind_bit(kind.kind);
  return kinds;
}

}  // namespace

KindSelector KindSelector::parse(std::string_view text) {
  std::vector<std::string_view> parts = split(text, '/');
  const std::string_view last = parts.back();
  if (const std::size_t dot = last.find('.'); dot != std::string_view::npos) {
    parts.back() = last.substr(0, dot);
    parts.push_back(last.substr(dot + 1));
  }
  const auto make = [](std::string_view group, std::string_view version, std::string_view kind, std::string_view sub) {
    const bool only_kind = group == "*" && version == "*" && sub.empty() && !jmespath::has_wildcard(kind);
    return KindSelector{std::string(group), std::string(version), std::string(kind), std::string(sub), only_kind};
  };
  switch (parts.size()) {
    case 1:
      return make("*", "*", parts[0], "");
    case 2:
      return is_version(parts[0]) ? make("*", parts[0], parts[1], "") : make("*", "*", parts[0], parts[1]);
    case 3:
      if (is_version(parts[0]) && !is_version(parts[1])) return make("*", parts[0], parts[1], parts[2]);
      return is_version(parts[1]) ? make(parts[0], parts[1], parts[2], "") : make("*", parts[0], parts[1], parts[2]);
    default:
      return make(parts[0], parts[1], parts[2], parts[3]);
  }
}

bool KindSelector::matches(std::string_view g, std::string_view v, std::string_view k, std::string_view sub) const {
  if (only_kind && sub.empty()) return kind == k;
  if (!fits(kind, k) || !fits(group, g) || !fits(version, v)) return false;
  // Ephemeral containers were matched by "Pod" before sub-resources could be named.
  return fits(subresource, sub) || (k == "Pod" && g.empty() && sub == "ephemeralcontainers");
}

bool ResourceFilter::says_nothing_of_resources() const {
  return kinds.empty() && names.empty() && namespaces.empty() && operations.empty() && annotations.is_null() &&
         selector.is_null() && namespace_selector.is_null();
}

Result<MatchBlock> parse_match(const Value& block) {
  MatchBlock match;
  match.all = block["any"].empty() && !block["all"].empty();
  const Value& list = match.all ? block["all"] : block["any"];
  for (const Value& item : list.items()) match.filters.push_back(TRY(parse_filter(item)));
  if (list.empty() && block.is_map()) {
    ResourceFilter filter = TRY(parse_filter(block));
    if (!filter.says_nothing_of_resources() || !filter.says_nothing_of_users())
      match.filters.push_back(std::move(filter));
  }
  for (const ResourceFilter& filter : match.filters) match.kinds |= kinds_of(filter);
  return match;
}

std::string Target::name() const {
  const Value& metadata = object["metadata"];
  return metadata["name"].as_string().empty() ? metadata["generateName"].str() : metadata["name"].str();
}

namespace {

bool kind_fits(const ResourceFilter& filter, const Target& target) {
  return filter.kinds.empty() || std::any_of(filter.kinds.begin(), filter.kinds.end(), [&](const KindSelector& kind) {
           return kind.matches(target.group, target.version, target.kind, target.subresource);
         });
}

std::string failure_of(const ResourceFilter& filter, const Target& target, bool asks_users) {
  const auto has = [](const std::vector<std::string>& list, const std::string& text) {
    return std::find(list.begin(), list.end(), text) != list.end();
  };
  if (!filter.operations.empty() && !has(filter.operations, target.operation)) return "operation does not match";
  if (!kind_fits(filter, target)) return "kind does not match";
  if (!filter.names.empty() && !any_fits(filter.names, target.name())) return "none of the names match";
  if (!filter.namespaces.empty() &&
      !any_fits(filter.namespaces, target.kind == "Namespace" ? target.name() : target.ns()))
    return "namespace does not match";
  if (!annotations_match(filter.annotations, target.object["metadata"]["annotations"]))
    return "annotations does not match";
  std::string why = selector_failure(filter, target);
  return why.empty() && asks_users ? user_failure(filter, target.user) : why;
}

}  // namespace

std::string match_failure(const ResourceFilter& filter, const Target& target) {
  return failure_of(filter, target, true);
}

bool matches(const MatchBlock& match, const Target& target) {
  if (match.filters.size() == 1 && match.filters[0].only_kinds) return kind_fits(match.filters[0], target);
  const auto holds = [&](const ResourceFilter& filter) {
    // Most rules that an object meets speak of other kinds: no word is made of that.
    if (!kind_fits(filter, target)) return false;
    if (filter.only_kinds) return true;
    if (!target.user.known && filter.says_nothing_of_resources()) return false;
    return failure_of(filter, target, target.user.known).empty();
  };
  if (match.filters.empty()) return false;
  return match.all ? std::all_of(match.filters.begin(), match.filters.end(), holds)
                   : std::any_of(match.filters.begin(), match.filters.end(), holds);
}

bool excludes(const MatchBlock& exclude, const Target& target) {
  const auto holds = [&](const ResourceFilter& filter) {
    if (filter.says_nothing_of_resources() && filter.says_nothing_of_users()) return false;
    return match_failure(filter, target).empty();
  };
  if (exclude.filters.empty()) return false;
  return exclude.all ? std::all_of(exclude.filters.begin(), exclude.filters.end(), holds)
                     : std::any_of(exclude.filters.begin(), exclude.filters.end(), holds);
}

bool labels_match(const Value& selector, const Value& labels) {
  Value expanded = selector;
  if (selector["matchLabels"].is_map()) {
    Value wanted = Value::map();
    for (const auto& entry : selector["matchLabels"].entries()) {
      std::string key(entry.key), value = entry.value.scalar_text();
      if (jmespath::has_wildcard(key) || jmespath::has_wildcard(value)) {
        const auto found = std::find_if(labels.entries().begin(), labels.entries().end(), [&](const auto& label) {
          return wildcard_match(entry.key, label.key) && wildcard_match(value, label.value.as_string());
        });
        if (found == labels.entries().end()) return false;
        key = found->key;
        value = found->value.str();
      }
      wanted.set(key, value);
    }
    expanded.set("matchLabels", wanted);
  }
  const auto parsed = kube::LabelSelector::from(expanded);
  return parsed.ok() && parsed->matches(labels);
}

}  // namespace caisson::policy
