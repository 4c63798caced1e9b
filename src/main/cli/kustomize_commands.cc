// SPDX-License-Identifier: Apache-2.0
// The tree of `caisson kustomize`: names, flags, help and examples.
#include "main/cli/kustomize_commands.h"

#include <algorithm>
#include <cstdio>

#include "core/base/text.h"
#include "main/cli/commands.h"

namespace caisson::cli {
namespace {

using enum FlagKind;

constexpr std::string_view kVersion = "v5.8.2";  // whose behaviour this is

constexpr FlagSpec kCreate[] = {{"resources", text},     {"namespace", text},   {"annotations", text},
                                {"labels", text},        {"nameprefix", text},  {"namesuffix", text},
                                {"autodetect", boolean}, {"recursive", boolean}};
constexpr FlagSpec kForce[] = {{"force", boolean, 'f'}};
constexpr FlagSpec kAddLabel[] = {
    {"force", boolean, 'f'}, {"without-selector", boolean}, {"include-templates", boolean}};
constexpr FlagSpec kAddResource[] = {{"no-verify", boolean}};
constexpr FlagSpec kPatch[] = {
    {"path", text},          {"patch", text}, {"group", text},     {"version", text},
    {"kind", text},          {"name", text},  {"namespace", text}, {"annotation-selector", text},
    {"label-selector", text}};
constexpr FlagSpec kAddConfigMap[] = {{"from-file", list},     {"from-literal", array},
                                      {"from-env-file", text}, {"disableNameSuffixHash", boolean},
                                      {"behavior", text},      {"namespace", text}};
constexpr FlagSpec kAddSecret[] = {{"from-file", list},     {"from-literal", array},
                                   {"from-env-file", text}, {"disableNameSuffixHash", boolean},
                                   {"type", text},          {"namespace", text}};
constexpr FlagSpec kSetGenerator[] = {{"from-literal", array}, {"namespace", text}, {"new-namespace", text}};
constexpr FlagSpec kIgnore[] = {{"ignore-non-existence", boolean, 'i'}};
constexpr FlagSpec kNamespace[] = {{"namespace", text}};
constexpr FlagSpec kVars[] = {{"vars", boolean}};
constexpr FlagSpec kVersionFlags[] = {{"output", text, 'o'}, {"short", boolean}};
constexpr FlagSpec kEverywhere[] = {{"help", boolean, 'h'}, {"stack-trace", boolean}};

constexpr std::string_view kTargetHelp =
    "      --path FILE, --patch TEXT       the patch: one of them\n"
    "      --group, --version, --kind, --name, --namespace TEXT   whom it concerns\n"
    "      --label-selector, --annotation-selector SELECTOR\n";
constexpr std::string_view kSourcesHelp =
    "      --from-literal KEY=VALUE        a value; may be repeated\n"
    "      --from-file [KEY=]FILE          a file, or files by a pattern; may be repeated\n"
    "      --from-env-file FILE            lines KEY=VALUE; not together with the others\n"
    "      --namespace NAME                namespace of the object\n"
    "      --disableNameSuffixHash         no hash of the content in the name\n";
constexpr std::string_view kSetGeneratorHelp =
    "      --from-literal KEY=VALUE        new value of a key that is there; may be repeated\n"
    "      --namespace NAME                namespace that it has now\n"
    "      --new-namespace NAME            namespace that it gets\n";
constexpr std::string_view kBuildHelp =
    "DIR: a folder with a kustomization file, a git URL with a folder in it, or - for a kustomization on standard\n"
    "input; the current folder when absent.\n\n"
    "  -o, --output PATH               write to this file; to a file for each object when it is a folder\n"
    "  -w, --watch                     go on: print how the output differs whenever a file it was made of changes\n"
    "      --load-restrictor NAME      LoadRestrictionsNone: files outside of the kustomization's folder may be named\n"
    "      --enable-helm               render helmCharts; one that is not below chartHome is pulled and left there\n"
    "      --helm-kube-version VERSION, --helm-api-versions VERSION   what charts are told of the cluster, where the\n"
    "                                  kustomization says nothing\n"
    "      --helm-debug                show what the templates of a chart that fails have given\n"
    "      --enable-alpha-plugins      allow generators and transformers that are KRM functions: containers, run as\n"
    "                                  Pods of the platform that KUBECONFIG names\n"
    "      --enable-exec               … that are programs of this machine\n"
    "  -e, --env NAME[=VALUE]          environment of functions; may be repeated\n"
    "      --network                   let containers that ask for the network have it\n"
    "      --mount type=bind|tmpfs|volume,src=SOURCE,dst=PATH[,rw=true]   what containers see; may be repeated\n"
    "      --as-current-user           run containers as this user, not as nobody\n"
    "      --enable-managedby-label    label everything app.kubernetes.io/managed-by (deprecated: buildMetadata)\n"
    "      --reorder legacy|none       order of the output (deprecated: sortOptions)\n"
    "      --helm-command NAME         taken and not used: charts are pulled and rendered without a helm program\n";

Result<void> print_version(const Flags& flags) {
  const std::string output = flags.text("output");
  if (output == "json")
    std::printf("{\n  \"version\": \"%s\"\n}\n", kVersion.data());
  else if (output == "yaml")
    std::printf("version: %s\n", kVersion.data());
  else if (output.empty())
    std::printf("%s\n", kVersion.data());
  else
    return Error{ErrorCode::bad_request, "--output must be 'yaml' or 'json'"};
  return {};
}

const std::vector<KustomizeCommand>& commands() {
  static const std::vector<KustomizeCommand> kCommands = {
      {"build", "[DIR | URL | -]", "Print the objects of a kustomization", kBuildHelp,
       "build overlays/prod\nbuild 'https://github.com/org/repo//overlays/prod?ref=v1.2.0'\nbuild --watch overlays/dev",
       kustomize_build_flags(), kustomize_build},
      {"create", "", "Write a kustomization file for the current folder",
       "      --resources A,B                 resources to name: files, patterns, folders, URLs\n"
       "      --autodetect, --recursive       name every file that holds resources; below subfolders too\n"
       "      --namespace NAME, --nameprefix TEXT, --namesuffix TEXT\n"
       "      --labels K:V,…, --annotations K:V,…\n",
       "create --autodetect --namespace shop\ncreate --resources ../base --nameprefix dev-", kCreate, kustomize_create},
      {"edit set image",
       "NAME=NEWNAME:TAG…",
       "Set names, tags and digests of images",
       "NAME=NEWNAME[:TAG][@DIGEST], NAME:TAG[@DIGEST] or NAME@DIGEST. '*' keeps what the file has.\n",
       "edit set image shop/web=registry.example.com/shop/web:1.4.2\nedit set image nginx:1.29 redis@sha256:24a0…",
       {},
       kustomize_set_image},
      {"edit set namespace",
       "NAME",
       "Set the namespace",
       "",
       "edit set namespace staging",
       {},
       kustomize_set_namespace},
      {"edit set nameprefix",
       "TEXT",
       "Set the prefix of names",
       "A text that begins with '-' comes after '--'.\n",
       "edit set nameprefix dev-",
       {},
       kustomize_set_name_prefix},
      {"edit set namesuffix",
       "TEXT",
       "Set the suffix of names",
       "A text that begins with '-' comes after '--'.\n",
       "edit set namesuffix -- -v2",
       {},
       kustomize_set_name_suffix},
      {"edit set replicas",
       "NAME=COUNT…",
       "Set how many replicas workloads have",
       "",
       "edit set replicas web=3 worker=1",
       {},
       kustomize_set_replicas},
      {"edit set label",
       "KEY:VALUE…",
       "Set labels that everything gets (commonLabels)",
       "",
       "edit set label team:shop tier:web",
       {},
       kustomize_set_label},
      {"edit set annotation",
       "KEY:VALUE…",
       "Set annotations that everything gets",
       "",
       "edit set annotation owner:shop",
       {},
       kustomize_set_annotation},
      {"edit set buildmetadata",
       "OPTION,…",
       "Replace the options of buildMetadata",
       "originAnnotations, transformerAnnotations, managedByLabel\n",
       "edit set buildmetadata originAnnotations,managedByLabel",
       {},
       kustomize_set_build_metadata},
      {"edit set configmap", "NAME", "Change values or the namespace of a configMapGenerator", kSetGeneratorHelp,
       "edit set configmap settings --from-literal=COLOR=red", kSetGenerator, kustomize_set_config_map},
      {"edit set secret", "NAME", "Change values or the namespace of a secretGenerator", kSetGeneratorHelp,
       "edit set secret keys --new-namespace=shop", kSetGenerator, kustomize_set_secret},
      {"edit add resource", "FILE…", "Name resources: files, patterns, folders or URLs",
       "      --no-verify                     whether or not they are there\n",
       "edit add resource web.yaml 'services/*.yaml'", kAddResource, kustomize_add_resource},
      {"edit add component",
       "FOLDER…",
       "Name components",
       "",
       "edit add component ../components/tls",
       {},
       kustomize_add_component},
      {"edit add base", "FOLDER,…", "Name bases", "", "edit add base ../base,../monitoring", {}, kustomize_add_base},
      {"edit add patch", "", "Add a patch", kTargetHelp,
       "edit add patch --path scale.yaml --kind Deployment --name web", kPatch, kustomize_add_patch},
      {"edit add configmap", "NAME", "Add a configMapGenerator, or sources to one", kSourcesHelp,
       "edit add configmap settings --from-literal=COLOR=blue --from-file=app.conf", kAddConfigMap,
       kustomize_add_config_map},
      {"edit add secret", "NAME", "Add a secretGenerator, or sources to one", kSourcesHelp,
       "edit add secret keys --from-file=tls.crt --from-file=tls.key --type=kubernetes.io/tls", kAddSecret,
       kustomize_add_secret},
      {"edit add label", "KEY:VALUE…", "Add labels that everything gets",
       "  -f, --force                         also over what is there\n"
       "      --without-selector              not in selectors (the field labels)\n"
       "      --include-templates             … but in the templates of pods\n",
       "edit add label team:shop --without-selector --include-templates", kAddLabel, kustomize_add_label},
      {"edit add annotation", "KEY:VALUE…", "Add annotations that everything gets",
       "  -f, --force                         also over what is there\n", "edit add annotation owner:shop", kForce,
       kustomize_add_annotation},
      {"edit add transformer",
       "FILE…",
       "Name configurations of transformers",
       "",
       "edit add transformer prefix.yaml",
       {},
       kustomize_add_transformer},
      {"edit add generator",
       "FILE…",
       "Name configurations of generators",
       "",
       "edit add generator settings.yaml",
       {},
       kustomize_add_generator},
      {"edit add configuration",
       "FILE…",
       "Name transformer configurations (configurations)",
       "",
       "edit add configuration name-references.yaml",
       {},
       kustomize_add_configuration},
      {"edit add buildmetadata",
       "OPTION,…",
       "Add options to buildMetadata",
       "",
       "edit add buildmetadata managedByLabel",
       {},
       kustomize_add_build_metadata},
      {"edit remove resource",
       "PATTERN…",
       "Name resources no longer",
       "",
       "edit remove resource 'old/*.yaml'",
       {},
       kustomize_remove_resource},
      {"edit remove component",
       "PATTERN…",
       "Name components no longer",
       "",
       "edit remove component ../components/tls",
       {},
       kustomize_remove_component},
      {"edit remove transformer",
       "PATTERN…",
       "Name transformers no longer",
       "",
       "edit remove transformer prefix.yaml",
       {},
       kustomize_remove_transformer},
      {"edit remove patch", "", "Remove the patch that the flags describe in full", kTargetHelp,
       "edit remove patch --path scale.yaml --kind Deployment --name web", kPatch, kustomize_remove_patch},
      {"edit remove label", "KEY,…", "Remove commonLabels",
       "  -i, --ignore-non-existence          no error when it is not there\n", "edit remove label team,tier", kIgnore,
       kustomize_remove_label},
      {"edit remove annotation", "KEY,…", "Remove commonAnnotations",
       "  -i, --ignore-non-existence          no error when it is not there\n", "edit remove annotation owner", kIgnore,
       kustomize_remove_annotation},
      {"edit remove configmap", "NAME,…", "Remove configMapGenerators",
       "      --namespace NAME                their namespace\n", "edit remove configmap settings", kNamespace,
       kustomize_remove_config_map},
      {"edit remove secret", "NAME,…", "Remove secretGenerators",
       "      --namespace NAME                their namespace\n", "edit remove secret keys --namespace=shop",
       kNamespace, kustomize_remove_secret},
      {"edit remove buildmetadata",
       "OPTION,…",
       "Remove options of buildMetadata",
       "",
       "edit remove buildmetadata managedByLabel",
       {},
       kustomize_remove_build_metadata},
      {"edit fix", "", "Turn deprecated fields into those of now",
       "      --vars                          vars become replacements: rewrites the files that use them\n", "edit fix",
       kVars, kustomize_fix},
      {"version", "", "Print whose behaviour this is", "  -o, --output json|yaml\n", "version", kVersionFlags,
       print_version},
  };
  return kCommands;
}

void print_help(const KustomizeCommand& command) {
  std::printf("%s\n\nUsage:\n  caisson kustomize %s%s%s%s\n", std::string(command.summary).c_str(),
              std::string(command.words).c_str(), command.arguments.empty() ? "" : " ",
              std::string(command.arguments).c_str(), command.flags.empty() ? "" : " [flags]");
  if (!command.details.empty()) std::printf("\n%s", std::string(command.details).c_str());
  std::printf("\nExample:\n");
  for (const std::string_view line : split(command.example, '\n'))
    std::printf("  caisson kustomize %s\n", std::string(line).c_str());
}

// The commands below "edit" or "edit set".
void print_group(const std::string& group) {
  std::printf("Usage:\n  caisson kustomize %sCOMMAND\n\nCommands:\n", group.empty() ? "" : (group + " ").c_str());
  const KustomizeCommand* first = nullptr;
  for (const KustomizeCommand& command : commands()) {
    if (!group.empty() && !command.words.starts_with(group + " ")) continue;
    std::printf("  %-26s %s\n", std::string(command.words).c_str(), std::string(command.summary).c_str());
    if (first == nullptr) first = &command;
  }
  if (first != nullptr) {
    std::printf("\nExample:\n  caisson kustomize %s\n\n'caisson kustomize COMMAND --help' tells the flags of one.\n",
                std::string(first->example.substr(0, first->example.find('\n'))).c_str());
  }
}

// "edit set image a=b --x" → the command and how many words name it; nullptr: none.
const KustomizeCommand* find_command(const std::vector<std::string>& words, std::size_t& taken) {
  std::string name;
  for (taken = 0; taken < words.size() && taken < 3;) {
    name += (name.empty() ? "" : " ") + (taken == 0 && words[0] == "init" ? std::string("create") : words[taken]);
    ++taken;
    for (const KustomizeCommand& command : commands()) {
      if (command.words == name) return &command;
    }
  }
  return nullptr;
}

bool is_group(const std::string& name) {
  return name.empty() || name == "edit" || name == "edit set" || name == "edit add" || name == "edit remove";
}

int fail(const Error& error, const KustomizeCommand& command) {
  std::fprintf(stderr, "Error: %s\n", error.message.c_str());
  if (command.run != kustomize_build && error.code == ErrorCode::bad_request)
    std::fprintf(stderr, "'caisson kustomize %s --help' tells its flags.\n", std::string(command.words).c_str());
  return 1;
}

}  // namespace

int command_kustomize(const std::vector<std::string>& words) {
  std::size_t taken = 0;
  const KustomizeCommand* command = find_command(words, taken);
  if (command == nullptr) {
    std::string group;
    for (const std::string& word : words) {
      if (word.starts_with("-") || word == "help") break;
      group += (group.empty() ? "" : " ") + word;
    }
    const bool known = is_group(group);
    while (!is_group(group)) group = group.substr(0, group.rfind(' ') == std::string::npos ? 0 : group.rfind(' '));
    print_group(group);
    if (!known) std::fprintf(stderr, "Error: there is no command \"kustomize %s\"\n", join(words, " ").c_str());
    return known ? 0 : 1;
  }
  const std::span<const FlagSpec> tables[] = {command->flags, kEverywhere};
  auto flags = Flags::parse({words.begin() + static_cast<std::ptrdiff_t>(taken), words.end()}, tables);
  if (!flags.ok()) return fail(flags.error(), *command);
  if (flags->is_set("help")) {
    print_help(*command);
    return 0;
  }
  const Result<void> done = command->run(*flags);
  return done.ok() ? 0 : fail(done.error(), *command);
}

}  // namespace caisson::cli
