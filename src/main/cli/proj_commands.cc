// SPDX-License-Identifier: Apache-2.0
// `caisson proj`: arguments; create, get, list, set, delete.
#include "main/cli/proj_commands.h"

#include <algorithm>
#include <cstdio>

#include "cluster/schema/resource.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "main/cli/argument_table.h"

namespace caisson::cli {
namespace {

constexpr ArgumentFlag<ProjArguments> kFlags[] = {
    {"--kubeconfig", &ProjArguments::kubeconfig},
    {"--context", &ProjArguments::context},
    {"--data-dir", &ProjArguments::data_dir},
    {"-N", &ProjArguments::home_ns},
    {"-o", &ProjArguments::output},
    {"--output", &ProjArguments::output},
    {"-f", &ProjArguments::file},
    {"--file", &ProjArguments::file},
    {"--description", &ProjArguments::description},
    {"-a", &ProjArguments::action},
    {"--action", &ProjArguments::action},
    {"--object", &ProjArguments::object},
    {"-p", &ProjArguments::permission},
    {"--permission", &ProjArguments::permission},
    {"-r", &ProjArguments::resource},
    {"--resource", &ProjArguments::resource},
    {"-e", &ProjArguments::expires_in},
    {"--expires-in", &ProjArguments::expires_in},
    {"-i", &ProjArguments::id},
    {"--id", &ProjArguments::id},
    {"--kind", &ProjArguments::kind},
    {"-k", &ProjArguments::kind},
    {"--schedule", &ProjArguments::schedule},
    {"--duration", &ProjArguments::duration},
    {"--time-zone", &ProjArguments::time_zone},
    {"--applications", &ProjArguments::applications},
    {"--namespaces", &ProjArguments::namespaces},
    {"--clusters", &ProjArguments::clusters},
    {"--list", &ProjArguments::list},
    {"--name", &ProjArguments::name},
    {"-d", nullptr, nullptr, &ProjArguments::destinations},
    {"--dest", nullptr, nullptr, &ProjArguments::destinations},
    {"-s", nullptr, nullptr, &ProjArguments::sources},
    {"--src", nullptr, nullptr, &ProjArguments::sources},
    {"--source-namespaces", nullptr, nullptr, &ProjArguments::source_namespaces},
    {"--upsert", nullptr, &ProjArguments::upsert},
    {"-t", nullptr, &ProjArguments::token_only},
    {"--token-only", nullptr, &ProjArguments::token_only},
    {"-u", nullptr, &ProjArguments::unix_time},
    {"--unixtime", nullptr, &ProjArguments::unix_time},
    {"--manual-sync", nullptr, &ProjArguments::manual_sync},
    {"--use-and-operator", nullptr, &ProjArguments::and_operator},
};

// What the flags say of a spec; "-d SERVER,NAMESPACE".
Result<void> put_flags(Value& spec, const ProjArguments& arguments) {
  if (!arguments.description.empty()) spec.set("description", arguments.description);
  if (!arguments.sources.empty()) spec.set("sourceRepos", Value::list_of(arguments.sources));
  if (!arguments.source_namespaces.empty()) spec.set("sourceNamespaces", Value::list_of(arguments.source_namespaces));
  Value destinations = Value::list();
  for (const std::string& text : arguments.destinations) {
    const auto parts = split(text, ',');
    if (parts.size() != 2) return Error{ErrorCode::bad_request, "--dest is SERVER,NAMESPACE, not " + text};
    destinations.push_back(Value{{"server", parts[0]}, {"namespace", parts[1]}});
  }
  if (!destinations.empty()) spec.set("destinations", std::move(destinations));
  return {};
}

Result<int> proj_create(const ProjSession& proj, const ProjArguments& arguments) {
  kube::Object object;
  if (!arguments.file.empty()) {
    const std::string text = TRY(read_file(arguments.file));
    object = kube::Object(TRY(yaml::read(text, {.name = arguments.file})));
    if (object.ns().empty()) object.edit({"metadata"}).set("namespace", proj.ns);
  } else {
    if (arguments.words.empty()) return Error{ErrorCode::bad_request, "proj create needs a name, or -f FILE"};
    object = kube::Object::make(schema::kAppProjects, proj.ns, arguments.words[0]);
    object.edit().set("spec", Value::map());
  }
  TRY(put_flags(object.edit({"spec"}), arguments));
  auto made = proj.session.client->create(object);
  if (!made.ok() && made.error().code == ErrorCode::already_exists && arguments.upsert) {
    made = proj.change(object.name(), [&](Value& project) -> Result<void> {
      project.set("spec", object.spec());
      return {};
    });
  }
  if (!made.ok()) return std::move(made).error();
  std::printf("project '%s' created\n", made->name().c_str());
  return 0;
}

Result<int> proj_set(const ProjSession& proj, const ProjArguments& arguments) {
  TRY(proj.change(arguments.words[0], [&](Value& project) { return put_flags(project.edit("spec"), arguments); }));
  return 0;
}

Result<int> proj_delete(const ProjSession& proj, const ProjArguments& arguments) {
  const auto all = TRY(proj.session.client->list(schema::kApplications, {.ns = proj.ns}));
  const auto uses = std::count_if(all.items.begin(), all.items.end(), [&](const kube::Object& one) {
    return one.spec()["project"].as_string() == arguments.words[0];
  });
  if (uses > 0)
    return Error{ErrorCode::conflict,
                 "project '" + arguments.words[0] + "' is used by " + std::to_string(uses) + " Applications"};
  TRY(proj.session.client->remove(schema::kAppProjects, {proj.ns, arguments.words[0]}));
  std::printf("project '%s' deleted\n", arguments.words[0].c_str());
  return 0;
}

std::string count_of(const Value& list) {
  if (list.size() == 1 && list[0].as_string() == "*") return "*";
  return list.empty() ? "<none>" : std::to_string(list.size());
}

Result<int> proj_list(const ProjSession& proj, const ProjArguments& arguments) {
  const auto all = TRY(proj.session.client->list(schema::kAppProjects, {.ns = proj.ns}));
  Value values = Value::list();
  std::vector<std::vector<std::string>> rows;
  for (const kube::Object& one : all.items) {
    const Value& spec = one.spec();
    values.push_back(one.value());
    rows.push_back({one.name(), spec["description"].str(), count_of(spec["destinations"]),
                    count_of(spec["sourceRepos"]), count_of(spec["clusterResourceWhitelist"]), count_of(spec["roles"]),
                    count_of(spec["syncWindows"])});
  }
  if (arguments.output == "name")
    for (const auto& row : rows) std::printf("%s\n", row[0].c_str());
  else if (!arguments.output.empty() && arguments.output != "wide")
    print_value(values, arguments.output);
  else
    print_table({"NAME", "DESCRIPTION", "DESTINATIONS", "SOURCES", "CLUSTER-RESOURCES", "ROLES", "WINDOWS"}, rows);
  return 0;
}

Result<int> proj_get(const ProjSession& proj, const ProjArguments& arguments) {
  const kube::Object one = TRY(proj.get(arguments.words[0]));
  if (!arguments.output.empty()) {
    print_value(one.value(), arguments.output);
    return 0;
  }
  const Value& spec = one.spec();
  const auto line = [](const char* name, const std::string& text) {
    std::printf("%-28s %s\n", name, text.empty() ? "<none>" : text.c_str());
  };
  const auto each = [&](const char* name, const Value& list, const std::function<std::string(const Value&)>& text) {
    if (list.empty()) line(name, "");
    for (const Value& item : list.items()) line(name, text(item));
  };
  const auto plain = [](const Value& item) { return item.str(); };
  const auto kind = [](const Value& item) { return item["group"].str() + "/" + item["kind"].str(); };
  line("Name:", one.name());
  line("Description:", spec["description"].str());
  each("Destination:", spec["destinations"], [](const Value& item) {
    return (item["server"].as_string().empty() ? item["name"] : item["server"]).str() + "," + item["namespace"].str();
  });
  each("Repository:", spec["sourceRepos"], plain);
  each("Source namespace:", spec["sourceNamespaces"], plain);
  each("Allowed cluster resource:", spec["clusterResourceWhitelist"], kind);
  each("Denied namespaced resource:", spec["namespaceResourceBlacklist"], kind);
  each("Signature key:", spec["signatureKeys"], [](const Value& item) { return item["keyID"].str(); });
  each("Role:", spec["roles"], [](const Value& item) { return item["name"].str() + "  " + item["description"].str(); });
  line("Orphaned resources:", spec["orphanedResources"].is_null()               ? "disabled"
                              : spec["orphanedResources"]["warn"].as_bool(true) ? "warned of"
                                                                                : "listed");
  return 0;
}

std::vector<ProjCommand> all_commands() {
  std::vector<ProjCommand> all{{"create", "", proj_create},
                               {"list", "", proj_list},
                               {"get", "PROJECT", proj_get},
                               {"set", "PROJECT", proj_set},
                               {"delete", "PROJECT", proj_delete}};
  for (const auto& more : {proj_list_commands(), proj_role_commands(), proj_window_commands()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

void print_usage(std::FILE* out, const std::vector<ProjCommand>& all) {
  for (const ProjCommand& one : all)
    std::fprintf(out, "caisson proj %s %s\n", std::string(one.name).c_str(), std::string(one.words).c_str());
  std::fprintf(out, "flags are those of argocd proj; -N NAMESPACE, -o json|yaml, --kubeconfig FILE, --context NAME\n");
}

}  // namespace

Result<ProjArguments> read_proj_arguments(const std::vector<std::string>& words) {
  return read_arguments<ProjArguments>("proj", words, kFlags);
}

Result<kube::Object> ProjSession::get(const std::string& project) const {
  return session.client->get(schema::kAppProjects, {ns, project});
}

Result<kube::Object> ProjSession::change(const std::string& project,
                                         const std::function<Result<void>(Value& project)>& edit) const {
  Result<void> edited;
  auto written = kube::modify(*session.client, schema::kAppProjects, {ns, project}, [&](kube::Object& one) {
    Value value = one.value();
    edited = edit(value);
    const bool changes = edited.ok() && !(value == one.value());
    if (changes) one.edit() = std::move(value);
    return changes;
  });
  TRY(edited);
  return written;
}

Result<int> command_proj(const Global& global, const std::vector<std::string>& words) {
  const std::vector<ProjCommand> all = all_commands();
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    print_usage(stdout, all);
    return words.empty() ? 2 : 0;
  }
  const std::string two = words.size() > 1 ? words[0] + " " + words[1] : "";
  const auto command = std::find_if(all.begin(), all.end(),
                                    [&](const ProjCommand& one) { return one.name == words[0] || one.name == two; });
  if (command == all.end()) {
    std::fprintf(stderr, "there is no command 'proj %s'\n", words[0].c_str());
    print_usage(stderr, all);
    return 2;
  }
  const auto used = command->name == two ? 2 : 1;
  if (std::any_of(words.begin() + used, words.end(), [](const auto& one) { return one == "--help" || one == "-h"; })) {
    std::printf("usage: caisson proj %s %s\nflags are those of argocd proj %s\n", std::string(command->name).c_str(),
                std::string(command->words).c_str(), std::string(command->name).c_str());
    return 0;
  }
  const ProjArguments arguments = TRY(read_proj_arguments({words.begin() + used, words.end()}));
  const std::size_t needed = command->words.empty() ? 0 : split(command->words, ' ').size();
  if (arguments.words.size() < needed) {
    std::fprintf(stderr, "usage: caisson proj %s %s\n", std::string(command->name).c_str(),
                 std::string(command->words).c_str());
    return 2;
  }
  Global where = global;
  where.kubeconfig = arguments.kubeconfig;
  where.context = arguments.context;
  if (!arguments.data_dir.empty()) where.data_dir = arguments.data_dir;
  Session session = TRY(connect(where));
  const ProjSession proj{std::move(session), arguments.home_ns};
  return command->run(proj, arguments);
}

}  // namespace caisson::cli
