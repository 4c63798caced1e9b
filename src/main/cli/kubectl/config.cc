// SPDX-License-Identifier: Apache-2.0
// config: the user's kubeconfig (client-go's tools/clientcmd/api/v1), read and written as kubectl does it. The file is
// --kubeconfig, else the first of $KUBECONFIG, else ~/.kube/config; no platform is asked.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kConfigFlags[] = {{"minify", FlagKind::boolean},
                                     {"raw", FlagKind::boolean},
                                     {"flatten", FlagKind::boolean},
                                     {"no-headers", FlagKind::boolean},
                                     {"current", FlagKind::boolean},
                                     {"cluster", FlagKind::text},
                                     {"user", FlagKind::text},
                                     {"server", FlagKind::text},
                                     {"certificate-authority", FlagKind::text},
                                     {"embed-certs", FlagKind::boolean},
                                     {"insecure-skip-tls-verify", FlagKind::boolean},
                                     {"tls-server-name", FlagKind::text},
                                     {"proxy-url", FlagKind::text},
                                     {"token", FlagKind::text},
                                     {"username", FlagKind::text},
                                     {"password", FlagKind::text},
                                     {"client-certificate", FlagKind::text},
                                     {"client-key", FlagKind::text},
                                     {"set-raw-bytes", FlagKind::boolean}};

std::string path_of(const Call& call) {
  return call.text("kubeconfig", user_kubeconfig_path());
}

Result<Value> load(const Call& call) {
  const std::string path = path_of(call);
  Value out = Value::map();
  if (exists(path)) out = TRY(yaml::read(TRY(read_file(path)), {.name = path}));
  if (out.is_null()) out = Value::map();
  if (!out.is_map()) return usage("error loading config file \"" + path + "\": it is no map");
  out.set("apiVersion", "v1");
  out.set("kind", "Config");
  if (out["preferences"].is_null()) out.set("preferences", Value::map());
  if (out["current-context"].is_null()) out.set("current-context", "");
  return out;
}

// Entries by name, as client-go writes them.
void sort_entries(Value& config) {
  for (const char* list : {"clusters", "contexts", "users"}) {
    std::vector<Value> entries(config[list].items().begin(), config[list].items().end());
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Value& a, const Value& b) { return a["name"].as_string() < b["name"].as_string(); });
    config.set(list, entries.empty() ? Value() : Value(std::move(entries)));
  }
  config.sort_keys();
}

Result<void> save(const Call& call, Value config) {
  sort_entries(config);
  const std::string path = path_of(call);
  if (const std::string folder = std::filesystem::path(path).parent_path().string(); !folder.empty())
    TRY(make_dirs(folder));
  return write_file(path, yaml::write(config), 0600);
}

const Value& entry(const Value& config, const char* list, std::string_view name) {
  for (const Value& one : config[list].items()) {
    if (one["name"].as_string() == name) return one;
  }
  return document::kNull;
}

// The `member` ("context", "cluster", "user") of the entry of that name, made when it is not there.
Value& edit_entry(Value& config, const char* list, const char* member, const std::string& name) {
  if (config[list].is_null()) config.set(list, Value::list());
  Value& entries = config.edit(list);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i]["name"].as_string() == name) return entries.edit(i).edit(member);
  }
  entries.push_back(Value{{"name", name}, {member, Value::map()}});
  return entries.edit(entries.size() - 1).edit(member);
}

bool erase_entry(Value& config, const char* list, std::string_view name) {
  for (std::size_t i = 0; i < config[list].size(); ++i) {
    if (config[list][i]["name"].as_string() != name) continue;
    config.edit(list).erase_at(i);
    return true;
  }
  return false;
}

Result<std::string> only_name(const Call& call, std::string_view what) {
  if (call.arguments.size() == 1) return call.arguments[0];
  return usage("exactly one " + std::string(what) + " is required: see 'caisson " + std::string(call.command.name) +
               " --help'");
}

// --- view

void redact(Value& config) {
  for (std::size_t i = 0; i < config["users"].size(); ++i) {
    Value& user = config.edit("users").edit(i).edit("user");
    for (const char* key : {"token", "password"}) {
      if (!user[key].is_null()) user.set(key, "REDACTED");
    }
    for (const char* key : {"client-certificate-data", "client-key-data"}) {
      if (!user[key].is_null()) user.set(key, "DATA+OMITTED");
    }
  }
  for (std::size_t i = 0; i < config["clusters"].size(); ++i) {
    Value& cluster = config.edit("clusters").edit(i).edit("cluster");
    if (!cluster["certificate-authority-data"].is_null()) cluster.set("certificate-authority-data", "DATA+OMITTED");
  }
}

Result<void> embed(Value& of, const char* key) {
  if (of[key].is_null()) return {};
  const std::string bytes = TRY(read_file(of[key].str()).in(std::string(key)));
  of.set(std::string(key) + "-data", base64(bytes));
  of.erase(key);
  return {};
}

Result<void> minify(Value& config, const std::string& context) {
  const Value kept = entry(config, "contexts", context);
  if (context.empty()) return usage("current-context must exist in order to minify");
  if (kept.is_null()) return usage("cannot locate context " + context);
  const auto only = [&](const char* list, std::string_view name) {
    const Value found = entry(config, list, name);
    config.set(list, found.is_null() ? Value() : Value(std::vector<Value>{found}));
  };
  config.set("contexts", Value(std::vector<Value>{kept}));
  config.set("current-context", context);
  only("clusters", kept["context"]["cluster"].as_string());
  only("users", kept["context"]["user"].as_string());
  return {};
}

Result<int> run_view(Call& call) {
  Value config = TRY(load(call));
  if (call.is_set("minify")) TRY(minify(config, call.text("context", config["current-context"].as_string())));
  if (call.is_set("flatten")) {
    for (std::size_t i = 0; i < config["clusters"].size(); ++i)
      TRY(embed(config.edit("clusters").edit(i).edit("cluster"), "certificate-authority"));
    for (std::size_t i = 0; i < config["users"].size(); ++i) {
      for (const char* key : {"client-certificate", "client-key"})
        TRY(embed(config.edit("users").edit(i).edit("user"), key));
    }
  }
  if (!call.is_set("raw")) redact(config);
  sort_entries(config);
  TRY(print_object(call, config, call.text("output", "yaml")));
  return 0;
}

Result<int> run_current(Call& call) {
  const Value config = TRY(load(call));
  const std::string context = call.text("context", config["current-context"].as_string());
  if (context.empty()) return usage("current-context is not set");
  std::printf("%s\n", context.c_str());
  return 0;
}

Result<int> run_contexts(Call& call) {
  Value config = TRY(load(call));
  sort_entries(config);
  const std::string current = config["current-context"].str(), format = call.text("output");
  if (!format.empty() && format != "name" && format != "wide")
    return usage("output must be one of '' or 'name': " + format);
  std::vector<std::vector<std::string>> rows;
  if (!call.is_set("no-headers") && format != "name")
    rows.push_back({"CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"});
  for (const std::string& wanted : call.arguments) {
    if (entry(config, "contexts", wanted).is_null()) return usage("context " + wanted + " not found");
  }
  for (const Value& context : config["contexts"].items()) {
    const std::string name = context["name"].str();
    if (!call.arguments.empty() &&
        std::find(call.arguments.begin(), call.arguments.end(), name) == call.arguments.end())
      continue;
    if (format == "name") {
      std::printf("%s\n", name.c_str());
      continue;
    }
    const Value& of = context["context"];
    rows.push_back({name == current ? "*" : "", name, of["cluster"].str(), of["user"].str(), of["namespace"].str()});
  }
  if (format != "name") print_columns(rows);
  return 0;
}

Result<int> list_names(Call& call, const char* list) {
  Value config = TRY(load(call));
  sort_entries(config);
  std::printf("NAME\n");
  for (const Value& one : config[list].items()) std::printf("%s\n", one["name"].str().c_str());
  return 0;
}
Result<int> run_clusters(Call& call) {
  return list_names(call, "clusters");
}
Result<int> run_users(Call& call) {
  return list_names(call, "users");
}

// --- changes

Result<int> run_use(Call& call) {
  const std::string name = TRY(only_name(call, "context name"));
  Value config = TRY(load(call));
  if (entry(config, "contexts", name).is_null()) return usage("no context exists with the name: \"" + name + "\"");
  config.set("current-context", name);
  TRY(save(call, std::move(config)));
  std::printf("Switched to context \"%s\".\n", name.c_str());
  return 0;
}

Result<int> run_set_context(Call& call) {
  Value config = TRY(load(call));
  std::string name;
  if (call.is_set("current")) {
    name = config["current-context"].str();
    if (name.empty()) return usage("no current context is set");
  } else {
    name = TRY(only_name(call, "context name"));
  }
  const bool is_new = entry(config, "contexts", name).is_null();
  Value& context = edit_entry(config, "contexts", "context", name);
  for (const char* key : {"cluster", "user", "namespace"}) {
    if (call.flags.has(key)) context.set(key, call.text(key));
  }
  TRY(save(call, std::move(config)));
  std::printf("Context \"%s\" %s.\n", name.c_str(), is_new ? "created" : "modified");
  return 0;
}

// Copies a flag that names a file: its path made absolute, or with --embed-certs its bytes.
Result<void> set_file(const Call& call, Value& to, const char* key) {
  if (!call.flags.has(key)) return {};
  const std::string path = std::filesystem::absolute(call.text(key)).string();
  to.set(key, path);
  to.erase(std::string(key) + "-data");
  return call.is_set("embed-certs") ? embed(to, key) : Result<void>();
}

Result<int> run_set_cluster(Call& call) {
  const std::string name = TRY(only_name(call, "cluster name"));
  Value config = TRY(load(call));
  Value& cluster = edit_entry(config, "clusters", "cluster", name);
  for (const char* key : {"server", "tls-server-name", "proxy-url"}) {
    if (call.flags.has(key)) cluster.set(key, call.text(key));
  }
  if (call.flags.has("insecure-skip-tls-verify")) {
    cluster.set("insecure-skip-tls-verify", call.is_set("insecure-skip-tls-verify"));
    if (call.is_set("insecure-skip-tls-verify")) {
      cluster.erase("certificate-authority");
      cluster.erase("certificate-authority-data");
    }
  }
  TRY(set_file(call, cluster, "certificate-authority"));
  TRY(save(call, std::move(config)));
  std::printf("Cluster \"%s\" set.\n", name.c_str());
  return 0;
}

Result<int> run_set_credentials(Call& call) {
  const std::string name = TRY(only_name(call, "user name"));
  if (call.flags.has("token") && (call.flags.has("username") || call.flags.has("password")))
    return usage(
        "you cannot specify more than one authentication method at the same time: --token, --username/--password");
  Value config = TRY(load(call));
  Value& user = edit_entry(config, "users", "user", name);
  for (const char* key : {"token", "username", "password"}) {
    if (call.flags.has(key)) user.set(key, call.text(key));
  }
  for (const char* key : {"client-certificate", "client-key"}) TRY(set_file(call, user, key));
  TRY(save(call, std::move(config)));
  std::printf("User \"%s\" set.\n", name.c_str());
  return 0;
}

Result<int> delete_from(Call& call, const char* list, const char* word) {
  const std::string name = TRY(only_name(call, "name"));
  Value config = TRY(load(call));
  if (!erase_entry(config, list, name))
    return usage("cannot delete " + std::string(word) + " " + name + ", not in " + path_of(call));
  if (std::string_view(word) == "context" && config["current-context"].as_string() == name)
    std::fprintf(
        stderr,
        "warning: this removed your active context, use \"kubectl config use-context\" to select a different one\n");
  TRY(save(call, std::move(config)));
  std::printf("deleted %s %s from %s\n", word, name.c_str(), path_of(call).c_str());
  return 0;
}
Result<int> run_delete_context(Call& call) {
  return delete_from(call, "contexts", "context");
}
Result<int> run_delete_cluster(Call& call) {
  return delete_from(call, "clusters", "cluster");
}
Result<int> run_delete_user(Call& call) {
  return delete_from(call, "users", "user");
}

Result<int> run_rename(Call& call) {
  if (call.arguments.size() != 2) return usage("two names are required: the context's, and the new one");
  Value config = TRY(load(call));
  const std::string &from = call.arguments[0], &to = call.arguments[1];
  const Value found = entry(config, "contexts", from);
  if (found.is_null()) return usage("cannot rename the context \"" + from + "\", it's not in " + path_of(call));
  if (!entry(config, "contexts", to).is_null())
    return usage("cannot rename the context \"" + from + "\", the context \"" + to + "\" already exists in " +
                 path_of(call));
  edit_entry(config, "contexts", "context", to) = found["context"];
  erase_entry(config, "contexts", from);
  if (config["current-context"].as_string() == from) config.set("current-context", to);
  TRY(save(call, std::move(config)));
  std::printf("Context \"%s\" renamed to \"%s\".\n", from.c_str(), to.c_str());
  return 0;
}

// "contexts.NAME.namespace", "clusters.NAME.server", "current-context"; a name may have dots, a field may not.
struct Property {
  std::string list, member, name, field;
};
Result<Property> parse_property(const std::string& text) {
  const auto first = text.find('.'), last = text.rfind('.');
  if (first == std::string::npos) {
    if (text == "current-context") return Property{"", "", "", text};
    return usage("unable to set \"" + text + "\": it must be current-context, or like contexts.NAME.namespace");
  }
  Property out{text.substr(0, first), "", "", ""};
  out.member = out.list == "contexts"   ? "context"
               : out.list == "clusters" ? "cluster"
               : out.list == "users"    ? "user"
                                        : "";
  if (out.member.empty()) return usage("unable to parse \"" + text + "\": it begins with clusters, contexts or users");
  out.name = last > first ? text.substr(first + 1, last - first - 1) : text.substr(first + 1);
  if (last > first) out.field = text.substr(last + 1);
  return out;
}

Result<int> run_set(Call& call) {
  if (call.arguments.size() != 2) return usage("PROPERTY_NAME and PROPERTY_VALUE are required");
  const Property property = TRY(parse_property(call.arguments[0]));
  if (property.field.empty()) return usage("PROPERTY_NAME must name a field");
  Value config = TRY(load(call));
  const std::string& text = call.arguments[1];
  const Value value = property.field == "insecure-skip-tls-verify"                         ? Value(text == "true")
                      : call.is_set("set-raw-bytes") || !property.field.ends_with("-data") ? Value(text)
                                                                                           : Value(base64(text));
  if (property.list.empty())
    config.set(property.field, value);
  else
    edit_entry(config, property.list.c_str(), property.member.c_str(), property.name).set(property.field, value);
  TRY(save(call, std::move(config)));
  std::printf("Property \"%s\" set.\n", call.arguments[0].c_str());
  return 0;
}

Result<int> run_unset(Call& call) {
  const std::string name = TRY(only_name(call, "PROPERTY_NAME"));
  const Property property = TRY(parse_property(name));
  Value config = TRY(load(call));
  if (property.list.empty())
    config.set(property.field, "");
  else if (property.field.empty())
    erase_entry(config, property.list.c_str(), property.name);
  else if (!entry(config, property.list.c_str(), property.name).is_null())
    edit_entry(config, property.list.c_str(), property.member.c_str(), property.name).erase(property.field);
  TRY(save(call, std::move(config)));
  std::printf("Property \"%s\" unset.\n", name.c_str());
  return 0;
}

#define CONFIG(NAME, HELP, USAGE, EXAMPLE, FUNCTION) \
  { "config " NAME, HELP, "config " NAME USAGE, "caisson config " NAME EXAMPLE, kConfigFlags, FUNCTION, false }
constexpr Command kCommands[] = {
    CONFIG("view", "Show the kubeconfig, without secrets.", " [--minify] [--raw] [--flatten]", " --minify", run_view),
    CONFIG("current-context", "Show the current context.", "", "", run_current),
    CONFIG("get-contexts", "List the contexts.", " [NAME ...] [-o name]", "", run_contexts),
    CONFIG("get-clusters", "List the clusters.", "", "", run_clusters),
    CONFIG("get-users", "List the users.", "", "", run_users),
    CONFIG("use-context", "Make a context the current one.", " NAME", " caisson", run_use),
    CONFIG("use", "Make a context the current one.", " NAME", " caisson", run_use),
    CONFIG("set-context", "Set a context's cluster, user or namespace.",
           " [NAME | --current] [--cluster=C] [--user=U] [--namespace=N]", " --current --namespace=shop",
           run_set_context),
    CONFIG("set-cluster", "Set a cluster's server and how to trust it.",
           " NAME [--server=URL] [--certificate-authority=FILE] [--embed-certs]", " lab --server=https://lab:6443",
           run_set_cluster),
    CONFIG("set-credentials", "Set a user's token or certificate.",
           " NAME [--token=T] [--client-certificate=FILE --client-key=FILE]", " ada --token=abc", run_set_credentials),
    CONFIG("rename-context", "Rename a context.", " NAME NEW_NAME", " dev shop-dev", run_rename),
    CONFIG("delete-context", "Remove a context.", " NAME", " lab", run_delete_context),
    CONFIG("delete-cluster", "Remove a cluster.", " NAME", " lab", run_delete_cluster),
    CONFIG("delete-user", "Remove a user.", " NAME", " ada", run_delete_user),
    CONFIG("set", "Set one value.", " PROPERTY_NAME PROPERTY_VALUE", " contexts.lab.namespace shop", run_set),
    CONFIG("unset", "Remove one value.", " PROPERTY_NAME", " contexts.lab.namespace", run_unset),
};
#undef CONFIG

}  // namespace

std::span<const Command> config_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
