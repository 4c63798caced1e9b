// SPDX-License-Identifier: Apache-2.0
// Trees of kustomizations: a line "%%% PATH" begins each file. A build ends, gives the same bytes each time, and what
// it writes is YAML.
#include <map>
#include <string>

#include "core/base/check.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "delivery/render/render.h"

namespace {

constexpr std::size_t kInputBytesMax = 16 * 1024;

std::map<std::string, std::string> files_of(std::string_view text) {
  std::map<std::string, std::string> out;
  std::string* file = nullptr;
  for (const std::string_view line : caisson::split(text, '\n')) {
    if (line.starts_with("%%% "))
      file = &out[std::string(line.substr(4))];
    else if (file != nullptr)
      file->append(line).append("\n");
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace caisson;
  if (size > kInputBytesMax) return 0;
  const render::MemorySource source(files_of({reinterpret_cast<const char*>(data), size}));
  const auto built = render::kustomize(source, "overlay", {});
  if (!built.ok()) return 0;
  const std::string text = built->yaml();
  CHECK(yaml::read_all(text).ok());
  const auto again = render::kustomize(source, "overlay", {});
  CHECK(again.ok() && again->yaml() == text);
  return 0;
}
