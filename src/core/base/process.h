// SPDX-License-Identifier: Apache-2.0
// The one way to start another program. Arguments are a vector, never a shell line; the child gets the given
// environment only, no inherited descriptor but those named, and dies with limits: time, output size. Any thread.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson {

struct Command {
  std::vector<std::string> args;  // args[0] is looked up in PATH when it has no '/'
  std::vector<std::pair<std::string, std::string>>
      env;                                      // added to PATH, HOME, LANG and the proxy variables of this process
  bool clear_env = false;                       // start from nothing
  std::string directory;                        // empty: this process's
  std::string input;                            // standard input; read by the child, then end of file
  Duration time_max = std::chrono::minutes(1);  // then SIGKILL to the process group; 0: none
  std::size_t output_bytes_max = 64u << 20;     // of standard output; more is too_large
  std::vector<std::pair<int, int>> fds;         // {ours, the child's number}
  std::optional<uid_t> uid;                     // setuid/setgid in the child
  bool own_session = true;
  bool controlling_terminal = false;  // standard input is a terminal and becomes the new session's
};

struct Exit {
  int code = 0;  // exit status, or 128 + signal
  std::string out;
  std::string err;  // the last 64 KiB
  bool ok() const { return code == 0; }
};

// Runs to the end. An exit status that is not 0 is no error here. Errors: not_found (no such program), timeout,
// too_large.
Result<Exit> run(const Command& command);
// As run, and a status that is not 0 becomes an internal error with the last lines of standard error.
Result<std::string> run_checked(const Command& command);

// A child that goes on. Destroying the object kills it (SIGKILL, its group) and reaps it, unless detached.
class Process {
 public:
  enum class Io { null, inherit, pipe };
  struct Options {
    Io in = Io::null, out = Io::null, err = Io::null;
    std::string err_file;  // when set, standard error is appended there
    std::string out_file;
  };
  static Result<Process> start(const Command& command, const Options& options);
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;
  ~Process();

  pid_t pid() const;
  int in() const;  // our ends of the pipes, -1 when not piped
  int out() const;
  int err() const;
  void close_in();
  void signal(int number);  // to the process
  Result<int> wait(
      Duration time_max = Duration(0));  // the exit code as in Exit; 0 waits for ever; timeout when it is still there
  std::optional<int> poll();             // the exit code when it has ended
  void detach();                         // the child outlives this object

 private:
  struct Impl;
  explicit Process(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Looks a program up in PATH and the sbin directories; empty when absent.
std::string find_program(std::string_view name);

}  // namespace caisson
