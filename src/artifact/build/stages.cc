// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/stages.h"

#include <algorithm>

#include "artifact/build/git_source.h"
#include "artifact/build/run_mounts.h"
#include "core/base/clock.h"
#include "core/base/text.h"

namespace caisson::build {
namespace {

struct FlagRule {
  std::string_view name;
  bool is_bool = false, repeats = false;
};

const std::vector<FlagRule>& flags_of(std::string_view keyword) {
  static const std::vector<FlagRule> from = {{"platform"}};
  static const std::vector<FlagRule> add = {{"checksum"},           {"chown"},      {"chmod"},
                                            {"keep-git-dir", true}, {"link", true}, {"exclude", false, true},
                                            {"unpack", true}};
  static const std::vector<FlagRule> copy = {{"from"},       {"chown"},         {"chmod"},
                                             {"link", true}, {"parents", true}, {"exclude", false, true}};
  static const std::vector<FlagRule> run = {{"mount", false, true}, {"network"}, {"security"}};
  static const std::vector<FlagRule> health = {
      {"interval"}, {"timeout"}, {"start-period"}, {"start-interval"}, {"retries"}};
  static const std::vector<FlagRule> none;
  if (keyword == "FROM") return from;
  if (keyword == "ADD") return add;
  if (keyword == "COPY") return copy;
  if (keyword == "RUN") return run;
  if (keyword == "HEALTHCHECK") return health;
  return none;
}

Result<void> check_flags(const Instruction& i) {
  std::vector<std::string_view> seen;
  for (std::size_t n = 0; n < i.flags.size(); ++n) {
    const std::string& name = i.flags[n].first;
    const std::string& value = i.flags[n].second;
    const auto& rules = flags_of(i.keyword);
    const auto rule = std::find_if(rules.begin(), rules.end(), [&](const FlagRule& r) { return r.name == name; });
    if (rule == rules.end()) return parse_error(i.line, "unknown flag: --" + name);
    if (!rule->is_bool && !i.flag_has_value[n]) return parse_error(i.line, "missing a value on flag: --" + name);
    if (rule->is_bool && i.flag_has_value[n] && value != "true" && value != "false") {
      return parse_error(i.line, "expecting boolean value for flag --" + name + ", not: " + value);
    }
    if (!rule->repeats && std::find(seen.begin(), seen.end(), name) != seen.end()) {
      return parse_error(i.line, "duplicate flag specified: --" + name);
    }
    seen.push_back(name);
  }
  return {};
}

Result<void> check_pairs(const Instruction& i) {
  if (i.words.empty()) return parse_error(i.line, i.keyword + " requires at least one argument");
  for (const std::string& word : i.words) {
    if (word.starts_with('=')) return parse_error(i.line, i.keyword + " names can not be blank");
  }
  return {};
}

Result<void> check_from(const Instruction& i) {
  const bool with_name = i.words.size() == 3 && equals_ignoring_case(i.words[1], "as");
  if (i.words.size() != 1 && !with_name) return parse_error(i.line, "FROM requires either one or three arguments");
  if (!with_name) return {};
  const std::string name = to_lower(i.words[2]);
  const auto fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  if (!(name[0] >= 'a' && name[0] <= 'z') || !std::all_of(name.begin(), name.end(), fine)) {
    return parse_error(i.line, "invalid name for build stage: \"" + i.words[2] +
                                   "\", name can't start with a number or contain symbols");
  }
  return {};
}

Result<void> check_copy(const Instruction& i) {
  if (i.words.size() < 2) {
    return parse_error(i.line, i.keyword + " requires at least two arguments, but only " +
                                   (i.words.empty() ? "none was" : "one was") +
                                   " provided. Destination could not be determined");
  }
  const std::string* from = find_flag(i, "from");
  if (from != nullptr && from->find('$') != std::string::npos) {
    return parse_error(
        i.line,
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
        "as a workaround");
  }
  const std::string* checksum = find_flag(i, "checksum");
  if (checksum != nullptr && !i.words[0].starts_with("http://") && !i.words[0].starts_with("https://") &&
      !is_git_source(i.words[0]) && i.words[0].find('$') == std::string::npos) {
    return parse_error(i.line, "checksum requires HTTP(S) or Git sources");
  }
  return {};
}

Result<void> check_health(const Instruction& i) {
  const std::string type = i.words.empty() ? "" : i.words[0];
  if (type.empty()) return parse_error(i.line, "HEALTHCHECK requires at least one argument");
  if (type == "NONE") {
    if (!i.rest.empty()) return parse_error(i.line, "HEALTHCHECK NONE takes no arguments");
    return {};
  }
  if (type != "CMD") return parse_error(i.line, "Unknown type \"" + type + "\" in HEALTHCHECK (try CMD)");
  if (i.rest.empty()) return parse_error(i.line, "Missing command after HEALTHCHECK CMD");
  for (const char* name : {"interval", "timeout", "start-period", "start-interval"}) {
    const std::string* text = find_flag(i, name);
    if (text == nullptr || text->empty()) continue;
    const Result<Duration> duration = parse_duration(*text);
    if (!duration.ok()) return parse_error(i.line, "--" + std::string(name) + ": " + duration.error().message);
    if (duration->count() < 0 || (duration->count() > 0 && *duration < std::chrono::milliseconds(1))) {
      return parse_error(i.line, "Interval \"" + std::string(name) + "\" cannot be less than 1ms");
    }
  }
  if (const std::string* text = find_flag(i, "retries"); text != nullptr && !text->empty()) {
    const std::optional<std::int64_t> retries = parse_int(*text);
    if (!retries) return parse_error(i.line, "--retries: \"" + *text + "\" is no number");
    if (*retries < 0) return parse_error(i.line, "--retries cannot be negative (" + *text + ")");
  }
  return {};
}

Result<void> check_run(const Instruction& i) {
  if (i.rest.empty() || (i.is_json && i.words.empty()))
    return parse_error(i.line, "RUN requires at least one argument");
  if (const std::string* network = find_flag(i, "network")) {
    if (*network != "default" && *network != "none" && *network != "host") {
      return parse_error(i.line, "invalid network mode \"" + *network + "\"");
    }
  }
  if (const std::string* security = find_flag(i, "security")) {
    if (*security == "insecure") return parse_error(i.line, "security.insecure is not allowed");
    if (*security != "sandbox") return parse_error(i.line, "security \"" + *security + "\" is not supported");
  }
  return {};
}

Result<void> check_onbuild(const Instruction& i) {
  if (i.rest.empty()) return parse_error(i.line, "ONBUILD requires at least one argument");
  const Instruction inner = TRY(parse_instruction(i.rest, i.line, '\\'));
  if (inner.keyword == "ONBUILD") return parse_error(i.line, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (inner.keyword == "FROM" || inner.keyword == "MAINTAINER") {
    return parse_error(i.line, inner.keyword + " isn't allowed as an ONBUILD trigger");
  }
  return check_instruction(inner);
}

}  // namespace

const std::string* find_flag(const Instruction& instruction, std::string_view name) {
  for (const auto& [key, value] : instruction.flags) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::vector<std::string> all_flags(const Instruction& instruction, std::string_view name) {
  std::vector<std::string> out;
  for (const auto& [key, value] : instruction.flags) {
    if (key == name) out.push_back(value);
  }
  return out;
}

bool bool_flag(const Instruction& instruction, std::string_view name) {
  const std::string* value = find_flag(instruction, name);
  return value != nullptr && *value != "false";
}

Result<void> check_instruction(const Instruction& i) {
  TRY(check_flags(i));
  const std::string& k = i.keyword;
  if (k == "FROM") return check_from(i);
  if (k == "ENV" || k == "LABEL" || k == "ARG") return check_pairs(i);
  if (k == "ADD" || k == "COPY") return check_copy(i);
  if (k == "HEALTHCHECK") return check_health(i);
  if (k == "RUN") return check_run(i);
  if (k == "ONBUILD") return check_onbuild(i);
  if ((k == "WORKDIR" || k == "USER" || k == "STOPSIGNAL" || k == "MAINTAINER") && i.rest.empty()) {
    return parse_error(i.line, k + " requires exactly one argument");
  }
  if ((k == "VOLUME" || k == "EXPOSE") && i.words.empty())
    return parse_error(i.line, k + " requires at least one argument");
  if (k == "VOLUME") {
    for (const std::string& word : i.words) {
      if (trim(word).empty()) return parse_error(i.line, "VOLUME specified can not be an empty string");
    }
  }
  if (k == "SHELL") {
    if (!i.is_json) return parse_error(i.line, "SHELL requires the arguments to be in JSON form");
    if (i.words.empty()) return parse_error(i.line, "SHELL requires at least one argument");
  }
  return {};
}

int find_stage(const std::vector<Stage>& stages, std::string_view name) {
  const std::string lower = to_lower(name);
  for (int i = static_cast<int>(stages.size()) - 1; i >= 0; --i) {
    if (!stages[static_cast<std::size_t>(i)].name.empty() && stages[static_cast<std::size_t>(i)].name == lower)
      return i;
  }
  return -1;
}

Result<content::Platform> parse_platform(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, '/');
  const auto known = [](std::string_view word, std::initializer_list<std::string_view> list) {
    return std::find(list.begin(), list.end(), word) != list.end();
  };
  content::Platform out;
  const bool shape =
      parts.size() <= 3 && std::none_of(parts.begin(), parts.end(), [](std::string_view p) { return p.empty(); });
  if (!shape) {
    const std::string quoted = "\"" + std::string(text) + "\"";
    return Error{ErrorCode::invalid,
                 "failed to parse platform " + std::string(text) + ": " + quoted + ": cannot parse platform specifier"};
  }
  const auto architecture = [](std::string_view name) {
    if (name == "x86_64" || name == "x86-64") return std::string("amd64");
    if (name == "aarch64") return std::string("arm64");
    return std::string(name);
  };
  if (parts.size() == 1) {
    if (known(parts[0], {"linux", "windows", "darwin", "freebsd"}))
      out.os = parts[0];
    else
      out.architecture = architecture(parts[0]);
  } else {
    out.os = parts[0];
    out.architecture = architecture(parts[1]);
    if (parts.size() == 3) out.variant = parts[2];
  }
  if (out.architecture == "arm64" && out.variant == "v8") out.variant.clear();
  return out;
}

Variables platform_args(const content::Platform& target, std::string_view stage_name) {
  const auto text = [](const content::Platform& p) {
    return p.os + "/" + p.architecture + (p.variant.empty() ? "" : "/" + p.variant);
  };
  const content::Platform host;
  return {{"TARGETPLATFORM", text(target)},
          {"TARGETOS", target.os},
          {"TARGETARCH", target.architecture},
          {"TARGETVARIANT", target.variant},
          {"TARGETSTAGE", std::string(stage_name)},
          {"BUILDPLATFORM", text(host)},
          {"BUILDOS", host.os},
          {"BUILDARCH", host.architecture},
          {"BUILDVARIANT", host.variant}};
}

namespace {

Result<void> add_global_arg(const Instruction& i, const StageInput& input, const Variables& known, StagePlan& plan) {
  for (const std::string& word : i.words) {
    const std::size_t equals = word.find('=');
    Variables seen = known;
    for (const auto& [name, value] : plan.global_args) set_variable(seen, name, value);
    const std::string name = TRY(expand(word.substr(0, equals), seen));
    if (const std::string* given = find_variable(input.build_args, name)) {
      set_variable(plan.global_args, name, *given);
    } else if (equals != std::string::npos) {
      const std::string value = TRY(expand(word.substr(equals + 1), seen));
      set_variable(plan.global_args, name, value);
    }
  }
  return {};
}

Result<Stage> open_stage(const Instruction& i, const StageInput& input, const Variables& known, const StagePlan& plan) {
  Stage stage;
  stage.index = static_cast<int>(plan.stages.size());
  stage.from = i;
  if (i.words.size() == 3) stage.name = to_lower(i.words[2]);
  Variables seen = known;
  for (const auto& [name, value] : plan.global_args) set_variable(seen, name, value);
  Result<std::string> base = expand(i.words[0], seen);
  if (!base.ok()) return parse_error(i.line, base.error().message);
  stage.base = *base;
  if (stage.base.empty()) return parse_error(i.line, "base name (" + i.words[0] + ") should not be blank");
  stage.platform = input.platform;
  if (const std::string* flag = find_flag(i, "platform")) {
    Result<std::string> text = expand(*flag, seen);
    if (!text.ok()) return parse_error(i.line, text.error().message);
    if (text->empty()) return parse_error(i.line, "empty platform value from expression " + *flag);
    Result<content::Platform> platform = parse_platform(*text);
    if (!platform.ok()) return parse_error(i.line, platform.error().message);
    stage.platform = *platform;
  }
  const bool from_context =
      std::find(input.contexts.begin(), input.contexts.end(), to_lower(stage.base)) != input.contexts.end();
  if (!from_context) stage.base_stage = find_stage(plan.stages, stage.base);
  return stage;
}

// The names after --from and from= of an instruction.
std::vector<std::string> sources_of(const Instruction& i) {
  std::vector<std::string> out;
  if (const std::string* from = find_flag(i, "from")) out.push_back(*from);
  for (const std::string& text : all_flags(i, "mount")) {
    const Result<RunMount> mount = parse_run_mount(text, {});  // an error is told when the step runs
    if (mount.ok() && !mount->from.empty()) out.push_back(mount->from);
  }
  return out;
}

}  // namespace

std::vector<int> needed_stages(const StagePlan& plan, const std::vector<std::string>& contexts) {
  std::vector<bool> needed(plan.stages.size());
  needed[static_cast<std::size_t>(plan.target)] = true;
  std::vector<int> out;
  for (int index = plan.target; index >= 0; --index) {  // a stage only needs stages before it
    if (!needed[static_cast<std::size_t>(index)]) continue;
    out.insert(out.begin(), index);
    const Stage& stage = plan.stages[static_cast<std::size_t>(index)];
    const auto need = [&](int other) {
      if (other >= 0 && other < index) needed[static_cast<std::size_t>(other)] = true;
    };
    need(stage.base_stage);
    for (const Instruction& i : stage.instructions) {
      if (i.keyword == "ONBUILD") continue;
      for (const std::string& name : sources_of(i)) {
        if (std::find(contexts.begin(), contexts.end(), to_lower(name)) != contexts.end()) continue;
        const int named = find_stage(plan.stages, name);
        need(named >= 0 ? named : static_cast<int>(std::min<std::int64_t>(parse_int(name).value_or(-1), index)));
      }
    }
  }
  return out;
}

Result<StagePlan> plan_stages(const Dockerfile& file, const StageInput& input) {
  StagePlan plan;
  const Variables known = platform_args(input.platform, input.target.empty() ? "default" : input.target);
  for (const Instruction& i : file.instructions) {
    TRY(check_instruction(i));
    if (i.keyword == "FROM") {
      plan.stages.push_back(TRY(open_stage(i, input, known, plan)));
    } else if (plan.stages.empty()) {
      if (i.keyword != "ARG") return parse_error(i.line, "no build stage in current context");
      Result<void> added = add_global_arg(i, input, known, plan);
      if (!added.ok()) return parse_error(i.line, added.error().message);
    } else {
      plan.stages.back().instructions.push_back(i);
    }
  }
  if (plan.stages.empty())
    return Error{ErrorCode::invalid, "no build stage in current context: the Dockerfile has no FROM"};
  plan.target = static_cast<int>(plan.stages.size()) - 1;
  if (input.target.empty()) return plan;
  plan.target = find_stage(plan.stages, input.target);
  if (plan.target < 0) return Error{ErrorCode::invalid, "target stage \"" + input.target + "\" could not be found"};
  return plan;
}

}  // namespace caisson::build
