// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kustomize_functions.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "main/cli/kustomize_container.h"

namespace caisson::cli {
namespace {

constexpr auto kTimeMax = std::chrono::minutes(5);

using Environment = std::vector<std::pair<std::string, std::string>>;

// "NAME=value", or "NAME" for this process's own value.
void add_entry(std::string_view entry, Environment& out) {
  const std::size_t equals = entry.find('=');
  const std::string name(entry.substr(0, equals));
  const char* own = equals == std::string_view::npos ? std::getenv(name.c_str()) : nullptr;
  if (equals != std::string_view::npos)
    out.emplace_back(name, entry.substr(equals + 1));
  else if (own != nullptr)
    out.emplace_back(name, own);
}

class LocalRunner final : public render::FunctionRunner {
 public:
  LocalRunner(const Flags& flags, std::vector<render::FunctionMount> mounts)
      : exec_(flags.is_set("enable-exec")),
        network_(flags.is_set("network")),
        as_current_user_(flags.is_set("as-current-user")),
        env_(flags.all("env")),
        mounts_(std::move(mounts)) {}

  Result<std::string> run(const render::FunctionCall& call) override {
    if (!call.image.empty()) return run_container(call);
    if (!exec_) return Error{ErrorCode::forbidden, call.name + ": exec functions need --enable-exec"};
    return run_program(call);
  }

 private:
  // What the function names, then what -e adds.
  Environment own_environment(const render::FunctionCall& call) const {
    Environment out;
    for (const std::string& entry : call.env) add_entry(entry, out);
    for (const std::string& entry : env_) add_entry(entry, out);
    return out;
  }

  // The child gets this process's environment before that, as upstream's does.
  Environment environment(const render::FunctionCall& call) const {
    Environment out;
    for (char** entry = environ; *entry != nullptr; ++entry) add_entry(*entry, out);
    const Environment own = own_environment(call);
    out.insert(out.end(), own.begin(), own.end());
    return out;
  }

  Result<std::string> run_container(const render::FunctionCall& call) const {
    render::FunctionPodOptions options;
    options.network_allowed = network_;
    options.mounts = mounts_;
    options.env = own_environment(call);
    options.seconds_max = static_cast<int>(std::chrono::seconds(kTimeMax).count());
    if (as_current_user_) options.user = {::getuid(), ::getgid()};
    return run_container_function(call, std::move(options));
  }

  Result<std::string> run_program(const render::FunctionCall& call) const {
    Command command;
    command.directory = path_clean("/" + call.directory);
    const bool relative = call.program.find('/') != std::string::npos && !call.program.starts_with("/");
    command.args = call.args;
    command.args.insert(command.args.begin(),
                        relative ? path_clean(path_join(command.directory, call.program)) : call.program);
    command.env = environment(call);
    command.input = call.input;
    command.time_max = kTimeMax;
    const Exit ended = TRY(caisson::run(command).in(call.name + ": couldn't execute function"));
    if (!ended.err.empty()) std::fprintf(stderr, "%s%s", ended.err.c_str(), ended.err.ends_with('\n') ? "" : "\n");
    if (ended.ok()) return ended.out;
    return Error{ErrorCode::internal,
                 call.name + ": couldn't execute function: exit status " + std::to_string(ended.code)};
  }

  bool exec_, network_, as_current_user_;
  std::vector<std::string> env_;
  std::vector<render::FunctionMount> mounts_;
};

}  // namespace

Result<std::unique_ptr<render::FunctionRunner>> make_function_runner(const Flags& flags) {
  std::vector<render::FunctionMount> mounts;
  for (const std::string& text : flags.all("mount")) mounts.push_back(TRY(render::parse_function_mount(text)));
  if (const std::string name = flags.text("network-name", "bridge"); name != "bridge") {
    return Error{ErrorCode::bad_request,
                 "--network-name " + name + ": a platform has one network for Pods; leave the flag out"};
  }
  if (!flags.is_set("enable-alpha-plugins")) return std::unique_ptr<render::FunctionRunner>();
  return std::unique_ptr<render::FunctionRunner>(std::make_unique<LocalRunner>(flags, std::move(mounts)));
}

}  // namespace caisson::cli
