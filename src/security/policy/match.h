// SPDX-License-Identifier: Apache-2.0
// Which requests a rule speaks of: match and exclude blocks. Follows Kyverno 1.19, pkg/engine/utils/match.go. Pure; any
// thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::policy {

// "Pod", "apps/v1/Deployment", "*/*", "Pod/exec", "v1/Pod.status".
struct KindSelector {
  std::string group = "*", version = "*", kind, subresource;
  bool only_kind = false;  // a kind without wildcards of any group and version, and no sub-resource
  static KindSelector parse(std::string_view text);
  bool matches(std::string_view group, std::string_view version, std::string_view kind,
               std::string_view subresource) const;
};

struct Subject {
  std::string kind, name, ns;
};

// One item of `any` or `all`. What is empty says nothing.
struct ResourceFilter {
  std::vector<KindSelector> kinds;
  std::vector<std::string> names, namespaces, operations, roles, cluster_roles;
  std::vector<Subject> subjects;
  Value annotations, selector, namespace_selector;  // null: says nothing
  bool only_kinds = false;                          // kinds are all that it speaks of

  bool says_nothing_of_resources() const;
  bool says_nothing_of_users() const { return roles.empty() && cluster_roles.empty() && subjects.empty(); }
};

struct MatchBlock {
  // A bit for each kind that a filter names, by its hash; all of them where one names any. Without the target's bit no
  // filter of `any` can hold.
  std::uint64_t kinds = 0;
  bool all = false;  // all filters must hold; else one is enough
  std::vector<ResourceFilter> filters;
};
inline std::uint64_t kind_bit(std::string_view kind) {
  if (kind.empty()) return 1;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(kind[i]); };
  return std::uint64_t{1} << ((at(0) * 7u + at(kind.size() / 2) * 5u + at(kind.size() - 1) * 3u + kind.size()) % 64);
}
// Errors: bad_request, which names the field.
Result<MatchBlock> parse_match(const Value& block);

struct UserInfo {
  std::string name, uid;
  std::vector<std::string> groups, roles, cluster_roles;
  bool known = false;  // false: nothing is known of the user, and conditions on users say nothing
};

// What is asked about.
struct Target {
  std::string group, version, kind, subresource, operation;  // "CREATE", "UPDATE", "DELETE", "CONNECT"
  Value object;                                              // of a removal: the one that goes
  Value namespace_labels;
  UserInfo user;

  std::string name() const;  // generateName where there is no name yet
  std::string ns() const { return object["metadata"]["namespace"].str(); }
};

// Empty: it matches. Otherwise why not.
std::string match_failure(const ResourceFilter& filter, const Target& target);
bool matches(const MatchBlock& match, const Target& target);
bool excludes(const MatchBlock& exclude, const Target& target);

// metav1.LabelSelector with wildcards in keys and values of matchLabels.
bool labels_match(const Value& selector, const Value& labels);

}  // namespace caisson::policy
