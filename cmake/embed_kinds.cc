// SPDX-License-Identifier: Apache-2.0
// Build tool: embed_kinds DIR OUT HEADER FUNCTION writes the YAML files below DIR as one C++ source, which defines
// FUNCTION of HEADER. They are written in YAML by people and kept as JSON in the program, which reads that ten times as
// fast: `caisson kustomize build` starts with the kinds. A wrong file ends the build.
#include <cstdio>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

namespace caisson {
namespace {

Result<void> collect(const std::string& root, const std::string& below, std::vector<std::string>& files) {
  for (const std::string& name : TRY(list_dir(root + "/" + below))) {
    const std::string path = below.empty() ? name : below + "/" + name;
    if (is_directory(root + "/" + path))
      TRY(collect(root, path, files));
    else if (path.ends_with(".yaml"))
      files.push_back(path);
  }
  return {};
}

Result<void> embed(const std::string& root, const std::string& out, const std::string& header,
                   const std::string& function) {
  std::vector<std::string> files;
  TRY(collect(root, "", files));
  std::sort(files.begin(), files.end());
  std::string text = "// Made by embed_kinds.\n#include \"" + header +
                     "\"\nnamespace caisson::schema {\nnamespace {\nconstexpr KindFile kFiles[] = {\n";
  for (const std::string& file : files) {
    const std::string source = TRY(read_file(root + "/" + file));
    const Value value = TRY(yaml::read(source, {.name = file}));
    text += "{\"" + file + "\", R\"~kind~(" + json::write(value) + ")~kind~\"},\n";
  }
  text += "};\n}  // namespace\nstd::span<const KindFile> " + function +
          "() { return kFiles; }\n}  // namespace caisson::schema\n";
  return write_file(out, text);
}

}  // namespace
}  // namespace caisson

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const auto done = caisson::embed(argv[1], argv[2], argv[3], argv[4]);
  if (!done.ok()) std::fprintf(stderr, "%s\n", done.error().message.c_str());
  return done.ok() ? 0 : 1;
}
