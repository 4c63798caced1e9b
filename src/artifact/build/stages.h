// SPDX-License-Identifier: Apache-2.0
// Stages of a Dockerfile: names, bases with the global ARGs filled in, and every instruction checked before anything
// runs. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/build/dockerfile.h"
#include "artifact/build/words.h"
#include "artifact/content/image.h"
#include "core/base/result.h"

namespace caisson::build {

struct Stage {
  int index = 0;
  std::string name;  // lower case; empty without AS
  std::string base;  // an image, "scratch", or see base_stage
  int base_stage = -1;
  content::Platform platform;
  std::vector<Instruction> instructions;  // without FROM
  Instruction from;
};

struct StagePlan {
  Variables global_args;  // ARGs before the first FROM, with their values
  std::vector<Stage> stages;
  int target = 0;
};

struct StageInput {
  std::string target;
  Variables build_args;
  content::Platform platform;
  std::vector<std::string> contexts;  // names that are given from outside win over images
};

Result<StagePlan> plan_stages(const Dockerfile& file, const StageInput& input);
// The stages that the target is made of, as far as that can be seen before anything runs: its base, COPY --from and RUN
// --mount=from, and theirs. In their order; the target is the last. What a base image's ONBUILD names is not seen.
std::vector<int> needed_stages(const StagePlan& plan, const std::vector<std::string>& contexts);
// Flags and number of arguments. Errors as parse_error.
Result<void> check_instruction(const Instruction& instruction);

const std::string* find_flag(const Instruction& instruction, std::string_view name);  // nullptr when absent
std::vector<std::string> all_flags(const Instruction& instruction, std::string_view name);
bool bool_flag(const Instruction& instruction, std::string_view name);  // "--link", "--link=false"
// The stage that `name` (a stage's name or number) means; -1: none, so it is a context or an image.
int find_stage(const std::vector<Stage>& stages, std::string_view name);
// TARGETPLATFORM and the like.
Variables platform_args(const content::Platform& target, std::string_view stage_name);
Result<content::Platform> parse_platform(std::string_view text);

}  // namespace caisson::build
