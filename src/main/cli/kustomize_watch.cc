// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kustomize_watch.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <set>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/patch.h"
#include "main/cli/session.h"

namespace caisson::cli {
namespace {

constexpr int kQuietMs = 50;  // an editor's several writes are one change

// The folders of the inputs: editors put a new file in the place of the old, which a watch on the file would miss.
class Watches {
 public:
  static Result<Watches> open() {
    Watches made;
    made.fd_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!made.fd_) return errno_error("inotify");
    return made;
  }

  Result<void> follow(const std::vector<render::Input>& inputs) {
    std::set<std::string> paths;
    for (const render::Input& input : inputs) {
      if (!input.path.starts_with("+") && input.path.find("://") == std::string::npos)
        paths.insert(path_clean("/" + input.path));
    }
    for (const std::string& path : paths) {
      const std::string folder = path_dir(path);
      if (folders_.contains(folder)) continue;
      const int watch = ::inotify_add_watch(
          fd_.get(), folder.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR);
      if (watch < 0) return errno_error("watch " + folder);
      folders_[folder] = watch;
      names_[watch] = folder;
    }
    paths_ = std::move(paths);
    return {};
  }

  // Blocks until one of the inputs changed and nothing more happened for a moment.
  Result<void> wait() {
    bool changed = false;
    for (;;) {
      pollfd waiting{fd_.get(), POLLIN, 0};
      const int ready = ::poll(&waiting, 1, changed ? kQuietMs : -1);
      if (ready < 0 && errno == EINTR) continue;
      if (ready < 0) return errno_error("poll");
      if (ready == 0) return {};
      changed = read_events() || changed;
    }
  }

 private:
  bool read_events() {
    alignas(inotify_event) char buffer[8192];
    bool ours = false;
    for (ssize_t got; (got = ::read(fd_.get(), buffer, sizeof buffer)) > 0;) {
      for (char* at = buffer; at < buffer + got;) {
        const auto* event = reinterpret_cast<const inotify_event*>(at);
        at += sizeof(inotify_event) + event->len;
        const auto folder = names_.find(event->wd);
        if ((event->mask & IN_Q_OVERFLOW) != 0) ours = true;
        if (folder == names_.end() || event->len == 0) continue;
        ours = ours || paths_.contains(path_join(folder->second, event->name));
      }
    }
    return ours;
  }

  UniqueFd fd_;
  std::set<std::string> paths_;
  std::map<std::string, int> folders_;
  std::map<int, std::string> names_;
};

std::string coloured(const std::string& diff) {
  std::string out;
  for (const std::string_view line : split(diff, '\n')) {
    const bool header = line.starts_with("+++") || line.starts_with("---");
    const char* color = header || line.starts_with("@@") ? kDim
                        : line.starts_with("+")          ? kGreen
                        : line.starts_with("-")          ? kRed
                                                         : nullptr;
    out += (color == nullptr ? std::string(line) : paint(line, color)) + "\n";
  }
  if (!out.empty()) out.pop_back();
  return out;
}

}  // namespace

Result<void> watch_rendering(const std::function<Result<render::Rendering>()>& build) {
  Watches watches = TRY(Watches::open());
  const render::Rendering rendering = TRY(build());
  // Watched before it is shown: who changes a file on seeing the output is not missed.
  TRY(watches.follow(rendering.inputs));
  std::string shown = rendering.yaml();
  TRY(write_all(STDOUT_FILENO, shown));
  for (;;) {
    TRY(watches.wait());
    auto next = build();
    if (!next.ok()) {
      std::fprintf(stderr, "%s %s\n", paint("Error:", kRed).c_str(), next.error().message.c_str());
      continue;
    }
    TRY(watches.follow(next->inputs));
    std::string now = next->yaml();
    if (now != shown) TRY(write_all(STDOUT_FILENO, coloured(document::unified_diff(shown, now, "before", "after"))));
    shown = std::move(now);
  }
}

}  // namespace caisson::cli
