// SPDX-License-Identifier: Apache-2.0
// Build tool: embed_merge_keys DIR OUT reads the Kubernetes kind files below DIR/k8s and writes, as one C++ source,
// what strategic merge must know of their lists (cluster/schema/merge_keys.h). A wrong file ends the build.
#include <cstdio>
#include <map>
#include <set>
#include <vector>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/yaml.h"

namespace caisson {
namespace {

struct Node {
  std::string keys;
  bool as_set = false;
  int item = 0;
  std::map<std::string, int> members;
  bool useful = false;
};

class Table {
 public:
  void add_file(const std::string& home, Value file) {
    for (const auto& [name, members] : file["types"].entries())
      types_[home + "." + std::string(name)] = {home, members};
    const std::string group_version = file["groupVersion"].str();
    const std::size_t slash = group_version.find('/');
    for (const auto& [name, entry] : file["kinds"].entries()) {
      kinds_.push_back({slash == std::string::npos ? "" : group_version.substr(0, slash),
                        slash == std::string::npos ? group_version : group_version.substr(slash + 1), std::string(name),
                        home + "." + std::string(name), 0});
    }
  }

  Result<std::string> source() {
    for (Kind& kind : kinds_) kind.node = TRY(type_node(kind.type));
    mark_useful();
    return text();
  }

 private:
  struct Type {
    std::string home;
    Value members;
  };
  struct Kind {
    std::string group, version, kind, type;
    int node;
  };

  Result<int> type_node(const std::string& name) {
    if (const auto made = nodes_of_types_.find(name); made != nodes_of_types_.end()) return made->second;
    const int index = static_cast<int>(nodes_.size());
    nodes_.emplace_back();
    nodes_of_types_[name] = index;
    const Type& type = types_.at(name);
    for (const auto& [member, text] : type.members.entries()) {
      if (member == "$") continue;
      const int node = TRY(field_node(type.home, text.str()).in(name + "." + std::string(member)));
      if (node != 0) nodes_[static_cast<std::size_t>(index)].members[std::string(member)] = node;
    }
    return index;
  }

  // "Container[] keys=name patch=name"; 0: nothing is to be known of it.
  Result<int> field_node(const std::string& home, const std::string& text) {
    std::string type, keys, patch;
    bool merges = false;
    for (const std::string_view word : split(text, ' ')) {
      if (type.empty()) type = word;
      if (word.starts_with("keys=")) keys = word.substr(5);
      if (word.starts_with("patch=")) patch = word.substr(6);
      if (word == "merge") merges = true;
    }
    const bool list = type.ends_with("[]"), map = type.ends_with("{}");
    if (list || map) type.resize(type.size() - 2);
    int element = 0;
    if (types_.contains(home + "." + type))
      element = TRY(type_node(home + "." + type));
    else if (types_.contains(type))
      element = TRY(type_node(type));
    if (map) return 0;  // a map by free keys: patches merge its values without keys
    if (!list) return element;
    Node node;
    node.item = element;
    // A list that is a map by several keys (a container's ports) is merged by all of them.
    if (!patch.empty()) node.keys = keys.find(',') != std::string::npos ? keys : patch;
    node.as_set = merges && patch.empty();
    nodes_.push_back(node);
    return static_cast<int>(nodes_.size()) - 1;
  }

  void mark_useful() {
    for (bool changed = true; changed;) {
      changed = false;
      for (Node& node : nodes_) {
        bool useful = !node.keys.empty() || node.as_set || (node.item != 0 && at(node.item).useful);
        for (const auto& [name, member] : node.members) useful = useful || at(member).useful;
        changed = changed || useful != node.useful;
        node.useful = useful;
      }
    }
  }

  std::string text() const {
    std::map<int, int> numbers;
    for (std::size_t i = 1; i < nodes_.size(); ++i) {
      if (nodes_[i].useful) numbers[static_cast<int>(i)] = static_cast<int>(numbers.size()) + 1;
    }
    const auto number = [&](int node) { return numbers.contains(node) ? numbers.at(node) : 0; };
    std::string members = "constexpr MergeMember kMembers[] = {\n", nodes = "constexpr MergeNode kNodes[] = {\n{},\n";
    std::size_t count = 0;
    for (const auto& [index, unused] : numbers) {
      const Node& node = nodes_[static_cast<std::size_t>(index)];
      const std::size_t first = count;
      for (const auto& [name, member] : node.members) {
        if (number(member) == 0) continue;
        members += "{\"" + name + "\", " + std::to_string(number(member)) + "},\n";
        ++count;
      }
      nodes += "{\"" + node.keys + "\", " + (node.as_set ? "true" : "false") + ", " +
               std::to_string(number(node.item)) + ", std::span<const MergeMember>(kMembers + " +
               std::to_string(first) + ", " + std::to_string(count - first) + ")},\n";
    }
    std::string kinds = "constexpr MergeKind kKinds[] = {\n";
    for (const Kind& kind : kinds_) {
      if (number(kind.node) == 0) continue;
      kinds += "{\"" + kind.group + "\", \"" + kind.version + "\", \"" + kind.kind + "\", " +
               std::to_string(number(kind.node)) + "},\n";
    }
    return "// Made by embed_merge_keys.\n#include \"cluster/schema/merge_table.h\"\nnamespace caisson::schema "
           "{\nnamespace "
           "{\n" +
           members + "};\n" + nodes + "};\n" + kinds +
           "};\n}  // namespace\nstd::span<const MergeKind> merge_kinds() { return kKinds; }\n"
           "std::span<const MergeNode> merge_nodes() { return kNodes; }\n}  // namespace caisson::schema\n";
  }

  const Node& at(int node) const { return nodes_[static_cast<std::size_t>(node)]; }

  std::map<std::string, Type> types_;
  std::map<std::string, int> nodes_of_types_;
  std::vector<Kind> kinds_;
  std::vector<Node> nodes_{1};
};

Result<void> embed(const std::string& root, const std::string& out) {
  Table table;
  const std::string folder = root + "/k8s";
  for (const std::string& name : TRY(list_dir(folder))) {
    if (!name.ends_with(".yaml")) continue;
    const std::string source = TRY(read_file(folder + "/" + name));
    table.add_file(name.substr(0, name.size() - 5), TRY(yaml::read(source, {.name = name})));
  }
  return write_file(out, TRY(table.source()));
}

}  // namespace
}  // namespace caisson

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto done = caisson::embed(argv[1], argv[2]);
  if (!done.ok()) std::fprintf(stderr, "%s\n", done.error().message.c_str());
  return done.ok() ? 0 : 1;
}
