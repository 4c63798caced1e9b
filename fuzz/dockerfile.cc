// SPDX-License-Identifier: Apache-2.0
// Parsing, planning and expanding a Dockerfile ends; every instruction has a line of the file and a known keyword.
#include "artifact/build/dockerfile.h"
#include "artifact/build/glob.h"
#include "artifact/build/run_mounts.h"
#include "artifact/build/stages.h"
#include "core/base/check.h"

using namespace caisson;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto rules = build::IgnoreRules::parse(text.substr(0, 4096));
  if (rules.ok()) static_cast<void>(rules->ignores("a/b/c.txt"));
  const auto file = build::parse_dockerfile(text);
  if (!file.ok()) return 0;
  for (const build::Instruction& instruction : file->instructions) {
    CHECK(instruction.line >= 1);
    CHECK(!instruction.keyword.empty());
    const build::Variables variables = {{"A", "one"}, {"B", "a/b.c"}};
    static_cast<void>(build::expand(instruction.rest, variables, {.escape = file->escape}).ok());
    for (const std::string& mount : build::all_flags(instruction, "mount")) {
      static_cast<void>(build::parse_run_mount(mount, variables).ok());
    }
  }
  const auto plan = build::plan_stages(*file, {});
  if (plan.ok()) CHECK(plan->target >= 0 && plan->target < static_cast<int>(plan->stages.size()));
  return 0;
}
