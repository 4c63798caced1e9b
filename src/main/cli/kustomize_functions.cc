// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kustomize_functions.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"

namespace caisson::cli {
namespace {

constexpr auto kTimeMax = std::chrono::minutes(5);

class LocalRunner final : public render::FunctionRunner {
 public:
  explicit LocalRunner(const Flags& flags) : exec_(flags.is_set("enable-exec")), env_(flags.all("env")) {}

  Result<std::string> run(const render::FunctionCall& call) override {
    if (!call.image.empty()) {
      return Error{ErrorCode::forbidden, call.name + ": container functions (" + call.image +
                                             ") are not run by this program; make it an exec function, or run "
                                             "kustomize with Docker for this tree"};
    }
    if (!exec_) return Error{ErrorCode::forbidden, call.name + ": exec functions need --enable-exec"};
    return run_program(call);
  }

 private:
  // The child gets this process's environment, as upstream's does, then the function's, then what -e adds.
  std::vector<std::pair<std::string, std::string>> environment(const render::FunctionCall& call) const {
    std::vector<std::pair<std::string, std::string>> out;
    const auto add = [&](std::string_view entry) {
      const std::size_t equals = entry.find('=');
      const std::string name(entry.substr(0, equals));
      const char* own = equals == std::string_view::npos ? std::getenv(name.c_str()) : nullptr;
      if (equals != std::string_view::npos) out.emplace_back(name, entry.substr(equals + 1));
      else if (own != nullptr) out.emplace_back(name, own);
    };
    for (char** entry = environ; *entry != nullptr; ++entry) add(*entry);
    for (const std::string& entry : call.env) add(entry);
    for (const std::string& entry : env_) add(entry);
    return out;
  }

  Result<std::string> run_program(const render::FunctionCall& call) const {
    Command command;
    command.directory = "/" + call.directory;
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

  bool exec_;
  std::vector<std::string> env_;
};

}  // namespace

Result<std::unique_ptr<render::FunctionRunner>> make_function_runner(const Flags& flags) {
  if (!flags.is_set("enable-alpha-plugins")) return std::unique_ptr<render::FunctionRunner>();
  return std::unique_ptr<render::FunctionRunner>(std::make_unique<LocalRunner>(flags));
}

}  // namespace caisson::cli
