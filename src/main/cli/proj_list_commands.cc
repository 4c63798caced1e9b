// SPDX-License-Identifier: Apache-2.0
// `caisson proj`: what adds to the lists of an AppProject and takes from them: repositories, destinations, kinds, keys,
// namespaces, orphans that are let be.
#include <algorithm>
#include <cstdio>

#include "main/cli/proj_commands.h"

namespace caisson::cli {
namespace {

using Path = std::initializer_list<std::string_view>;

Result<int> add_item(const ProjSession& proj, const ProjArguments& arguments, Path path, const Value& item) {
  TRY(proj.change(arguments.words[0], [&](Value& project) -> Result<void> {
    const Value& list = project["spec"].get(path);
    if (std::find(list.items().begin(), list.items().end(), item) != list.items().end())
      return Error{ErrorCode::already_exists, "the project has that already"};
    project.edit("spec").edit(path).push_back(item);
    return {};
  }));
  return 0;
}

Result<int> remove_item(const ProjSession& proj, const ProjArguments& arguments, Path path, const Value& item) {
  TRY(proj.change(arguments.words[0], [&](Value& project) -> Result<void> {
    const Value& list = project["spec"].get(path);
    const auto at = std::find(list.items().begin(), list.items().end(), item);
    if (at == list.items().end()) return Error{ErrorCode::not_found, "the project does not have that"};
    const auto index = static_cast<std::size_t>(at - list.items().begin());
    project.edit("spec").edit(path).erase_at(index);
    return {};
  }));
  return 0;
}

Value destination_of(const ProjArguments& arguments) {
  const bool server = arguments.words[1].find("://") != std::string::npos || arguments.words[1] == "*";
  Value out{{server ? "server" : "name", arguments.words[1]}, {"namespace", arguments.words[2]}};
  if (!arguments.name.empty()) out.set("name", arguments.name);
  return out;
}
Value kind_of(const ProjArguments& arguments) {
  return Value{{"group", arguments.words[1]}, {"kind", arguments.words[2]}};
}
Value orphan_of(const ProjArguments& arguments) {
  Value out = kind_of(arguments);
  if (!arguments.name.empty()) out.set("name", arguments.name);
  return out;
}

// Cluster kinds are forbidden unless listed, namespaced ones allowed unless listed; --list says which list is meant.
Result<int> change_kinds(const ProjSession& proj, const ProjArguments& arguments, bool cluster, bool allow) {
  const std::string list = arguments.list.empty() ? (cluster ? "allow" : "deny") : arguments.list;
  if (list != "allow" && list != "deny") return Error{ErrorCode::bad_request, "--list is allow or deny"};
  const std::string field =
      std::string(cluster ? "cluster" : "namespace") + "Resource" + (list == "allow" ? "Whitelist" : "Blacklist");
  const bool adds = allow == (list == "allow");
  return (adds ? add_item : remove_item)(proj, arguments, {field}, kind_of(arguments));
}

template <bool Adds>
Result<int> change_item(const ProjSession& proj, const ProjArguments& arguments, Path path, const Value& item) {
  return (Adds ? add_item : remove_item)(proj, arguments, path, item);
}
template <bool Adds>
Result<int> source(const ProjSession& proj, const ProjArguments& arguments) {
  return change_item<Adds>(proj, arguments, {"sourceRepos"}, arguments.words[1]);
}
template <bool Adds>
Result<int> destination(const ProjSession& proj, const ProjArguments& arguments) {
  return change_item<Adds>(proj, arguments, {"destinations"}, destination_of(arguments));
}
template <bool Adds>
Result<int> source_namespace(const ProjSession& proj, const ProjArguments& arguments) {
  return change_item<Adds>(proj, arguments, {"sourceNamespaces"}, arguments.words[1]);
}
template <bool Adds>
Result<int> signature_key(const ProjSession& proj, const ProjArguments& arguments) {
  return change_item<Adds>(proj, arguments, {"signatureKeys"}, Value{{"keyID", arguments.words[1]}});
}
template <bool Adds>
Result<int> orphaned_ignore(const ProjSession& proj, const ProjArguments& arguments) {
  return change_item<Adds>(proj, arguments, {"orphanedResources", "ignore"}, orphan_of(arguments));
}
template <bool Cluster, bool Allow>
Result<int> kinds(const ProjSession& proj, const ProjArguments& arguments) {
  return change_kinds(proj, arguments, Cluster, Allow);
}

}  // namespace

std::vector<ProjCommand> proj_list_commands() {
  return {{"add-source", "PROJECT URL", source<true>},
          {"remove-source", "PROJECT URL", source<false>},
          {"add-destination", "PROJECT SERVER|NAME NAMESPACE", destination<true>},
          {"remove-destination", "PROJECT SERVER|NAME NAMESPACE", destination<false>},
          {"add-source-namespace", "PROJECT NAMESPACE", source_namespace<true>},
          {"remove-source-namespace", "PROJECT NAMESPACE", source_namespace<false>},
          {"add-signature-key", "PROJECT KEY", signature_key<true>},
          {"remove-signature-key", "PROJECT KEY", signature_key<false>},
          {"add-orphaned-ignore", "PROJECT GROUP KIND", orphaned_ignore<true>},
          {"remove-orphaned-ignore", "PROJECT GROUP KIND", orphaned_ignore<false>},
          {"allow-cluster-resource", "PROJECT GROUP KIND", kinds<true, true>},
          {"deny-cluster-resource", "PROJECT GROUP KIND", kinds<true, false>},
          {"allow-namespace-resource", "PROJECT GROUP KIND", kinds<false, true>},
          {"deny-namespace-resource", "PROJECT GROUP KIND", kinds<false, false>}};
}

}  // namespace caisson::cli
