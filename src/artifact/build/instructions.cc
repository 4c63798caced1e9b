// SPDX-License-Identifier: Apache-2.0
// Instructions that change the image's configuration only; and WORKDIR, which makes its folder.
#include <algorithm>

#include "artifact/build/engine.h"
#include "artifact/container/spec.h"
#include "core/base/text.h"

namespace caisson::build {
namespace {

// Names a process may be sent (signal(7)); numbers are 1 to 65.
bool is_signal(std::string_view text) {
  if (const std::optional<std::int64_t> number = parse_int(text)) return *number > 0 && *number <= 65;
  std::string name(text);
  for (char& c : name) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  if (name.starts_with("SIG")) name.erase(0, 3);
  static const std::vector<std::string_view> known = {
      "ABRT", "ALRM", "BUS",  "CHLD", "CLD",  "CONT", "FPE",    "HUP",    "ILL",  "INT", "IO",   "IOT",
      "KILL", "PIPE", "POLL", "PROF", "PWR",  "QUIT", "SEGV",   "STKFLT", "STOP", "SYS", "TERM", "TRAP",
      "TSTP", "TTIN", "TTOU", "URG",  "USR1", "USR2", "VTALRM", "WINCH",  "XCPU", "XFSZ"};
  if (std::find(known.begin(), known.end(), name) != known.end()) return true;
  return name.starts_with("RTMIN") || name.starts_with("RTMAX");
}

void insert_sorted(std::vector<std::string>& list, const std::string& item) {
  const auto at = std::lower_bound(list.begin(), list.end(), item);
  if (at == list.end() || *at != item) list.insert(at, item);
}

std::optional<std::int64_t> port_number(std::string_view text) {
  const std::optional<std::int64_t> number = parse_int(text);
  if (!number || *number < 0 || *number > 65535) return std::nullopt;
  return number;
}

std::int64_t nanoseconds(const Instruction& i, std::string_view flag) {
  const std::string* text = find_flag(i, flag);
  if (text == nullptr || text->empty()) return 0;
  const Result<Duration> duration = parse_duration(*text);
  return duration.ok() ? duration->count() : 0;  // checked by check_instruction
}

}  // namespace

Result<void> Engine::apply_arg(const Instruction& i, State& state) {
  for (const std::string& word : i.words) {
    const std::size_t equals = word.find('=');
    const Variables seen = scope(state);
    const WordOptions options{.escape = file_.escape};
    const std::string name = TRY(expand(word.substr(0, equals), seen, options));
    const Variables platform = platform_args(request_.platform, request_.target.empty() ? "default" : request_.target);
    if (const std::string* given = find_variable(request_.build_args, name)) {
      set_variable(state.args, name, *given);
    } else if (equals != std::string::npos) {
      const std::string value = TRY(expand(word.substr(equals + 1), seen, options));
      set_variable(state.args, name, value);
    } else if (const std::string* global = find_variable(plan_.global_args, name)) {
      set_variable(state.args, name, *global);
    } else if (const std::string* built_in = find_variable(platform, name)) {
      set_variable(state.args, name, *built_in);
    }
  }
  return {};
}

Result<void> Engine::apply_pairs(const Instruction& i, State& state) {
  const Variables seen = scope(state);  // a name set in this instruction is not seen by it
  const WordOptions options{.escape = file_.escape};
  for (const std::string& word : i.words) {
    const std::size_t equals = word.find('=');
    const std::string name = TRY(expand(word.substr(0, equals), seen, options));
    const std::string value = TRY(expand(word.substr(equals + 1), seen, options));
    if (i.keyword == "LABEL") {
      set_variable(state.config.labels, name, value);
      continue;
    }
    const std::string line = name + "=" + value;
    const auto old = std::find_if(state.config.env.begin(), state.config.env.end(),
                                  [&](const std::string& one) { return one.substr(0, one.find('=')) == name; });
    if (old == state.config.env.end())
      state.config.env.push_back(line);
    else
      *old = line;
  }
  return {};
}

Result<void> Engine::apply_expose(const Instruction& i, State& state) {
  for (const std::string& word : i.words) {
    for (const std::string& spec : TRY(expand_words(word, scope(state), {.escape = file_.escape}))) {
      const Error bad{ErrorCode::invalid, "invalid containerPort: " + spec.substr(0, spec.find('/'))};
      const std::size_t slash = spec.find('/');
      const std::string protocol = slash == std::string::npos ? "tcp" : to_lower(spec.substr(slash + 1));
      if (protocol != "tcp" && protocol != "udp" && protocol != "sctp")
        return Error{ErrorCode::invalid, "invalid proto: " + protocol};
      std::string ports = spec.substr(0, slash);
      if (const std::size_t colon = ports.rfind(':'); colon != std::string::npos) ports = ports.substr(colon + 1);
      const std::size_t dash = ports.find('-');
      const std::optional<std::int64_t> first = port_number(ports.substr(0, dash));
      const std::optional<std::int64_t> last = dash == std::string::npos ? first : port_number(ports.substr(dash + 1));
      if (!first || !last || *last < *first) return bad;
      for (std::int64_t port = *first; port <= *last; ++port) {
        insert_sorted(state.config.exposed_ports, std::to_string(port) + "/" + protocol);
      }
    }
  }
  return {};
}

Result<void> Engine::apply_onbuild(const Instruction& i, State& state) {
  std::string text = i.rest;
  for (const Heredoc& heredoc : i.heredocs) text += "\n" + heredoc.raw + heredoc.name;
  state.config.on_build.push_back(text);
  return {};
}

void Engine::apply_healthcheck(const Instruction& i, State& state) {
  content::Healthcheck check;
  if (i.words[0] == "NONE") {
    check.test = {"NONE"};
  } else {
    if (i.is_json) {
      check.test = {"CMD"};
      check.test.insert(check.test.end(), i.words.begin() + 1, i.words.end());
    } else {
      check.test = {"CMD-SHELL", i.rest};
    }
    check.interval_ns = nanoseconds(i, "interval");
    check.timeout_ns = nanoseconds(i, "timeout");
    check.start_period_ns = nanoseconds(i, "start-period");
    check.start_interval_ns = nanoseconds(i, "start-interval");
    if (const std::string* retries = find_flag(i, "retries"))
      check.retries = static_cast<int>(parse_int(*retries).value_or(0));
  }
  state.config.healthcheck = check;
}

std::vector<std::string> Engine::command_of(const Instruction& i, const State& state) const {
  if (i.is_json) return i.words;
  std::vector<std::string> out = state.config.shell;
  if (out.empty()) out = {"/bin/sh", "-c"};
  out.push_back(i.rest);
  return out;
}

Result<void> Engine::apply_config(const Step& step, State& state) {
  const Instruction& i = step.instruction;
  const std::string& k = i.keyword;
  content::ImageConfig& config = state.config;
  const WordOptions options{.escape = file_.escape};
  if (k == "ARG") return apply_arg(i, state);
  if (k == "ENV" || k == "LABEL") return apply_pairs(i, state);
  if (k == "EXPOSE") return apply_expose(i, state);
  if (k == "ONBUILD") return apply_onbuild(i, state);
  if (k == "CMD") {
    config.cmd = command_of(i, state);
    state.has_own_cmd = true;
  } else if (k == "ENTRYPOINT") {
    config.entrypoint = command_of(i, state);
    if (!state.has_own_cmd) config.cmd.clear();
  } else if (k == "USER") {
    config.user = TRY(expand(i.rest, scope(state), options));
  } else if (k == "SHELL") {
    config.shell = i.words;
  } else if (k == "MAINTAINER") {
    config.author = i.rest;
  } else if (k == "STOPSIGNAL") {
    const std::string signal = TRY(expand(i.rest, scope(state), options));
    if (!is_signal(signal)) return Error{ErrorCode::invalid, "invalid signal: " + signal};
    config.stop_signal = signal;
  } else if (k == "VOLUME") {
    for (const std::string& word : i.words) {
      const std::string path = TRY(expand(word, scope(state), options));
      if (path.empty()) return Error{ErrorCode::invalid, "VOLUME specified can not be an empty string"};
      insert_sorted(config.volumes, path);
    }
  } else if (k == "HEALTHCHECK") {
    apply_healthcheck(i, state);
  } else {
    return Error{ErrorCode::internal, k + " is not handled"};
  }
  return {};
}

Result<void> Engine::apply_workdir(const Step& step, State& state) {
  const std::string given = TRY(expand(step.instruction.rest, scope(state), {.escape = file_.escape}));
  if (given.empty()) return Error{ErrorCode::invalid, "WORKDIR requires exactly one argument"};
  const std::string base = state.config.working_dir.empty() ? "/" : state.config.working_dir;
  const std::string path = path_clean(given.starts_with("/") ? given : base + "/" + given);
  content::Hasher key = key_of(state, "WORKDIR");
  key.update(path + "\n" + state.config.user);
  TRY(add_layer(step, state, key.finish().hex, true, [&](const Room& room) -> Result<void> {
    CopyRules rules;  // what is made belongs to USER
    const container::User user = TRY(container::resolve_user(room.merged, state.config.user));
    rules.owner = Owner{user.uid, user.gid};
    Copier copier(room.merged, rules);
    TRY(copier.make_directory(path));
    return {};
  }));
  state.config.working_dir = path + (given.ends_with('/') && path != "/" ? "/" : "");
  return {};
}

}  // namespace caisson::build
