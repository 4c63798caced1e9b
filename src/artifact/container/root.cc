// SPDX-License-Identifier: Apache-2.0
#include "artifact/container/root.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <thread>

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::container {
namespace {

// The kernel's numbers, which older libc headers do not have (fsopen(2), fsconfig(2), fsmount(2), move_mount(2)).
constexpr unsigned kFsConfigSetFlag = 0, kFsConfigSetString = 1, kFsConfigCreate = 6;
constexpr unsigned kFsOpenCloexec = 1, kFsMountCloexec = 1, kMoveMountEmptyFrom = 4;

int fs_config(int fs, unsigned command, const char* key, const char* value) {
  return static_cast<int>(::syscall(SYS_fsconfig, fs, command, key, value, 0));
}

// The kernel explains a refusal on the file descriptor of the file system: "e overlay: too many lower directories,
// limit is 500".
std::string kernel_words(int fs) {
  std::string words;
  char line[512];
  for (;;) {
    const ssize_t got = ::read(fs, line, sizeof line);
    if (got <= 0) return words;
    std::string_view text(line, static_cast<std::size_t>(got));
    if (text.size() > 2 && text[1] == ' ') text.remove_prefix(2);
    if (!words.empty()) words += "; ";
    words += trim(text);
  }
}

Error fs_error(int fs, const std::string& doing) {
  Error error = errno_error(doing);
  const std::string words = kernel_words(fs);
  if (!words.empty()) error.message += " (" + words + ")";
  return error;
}

enum class Outcome { mounted, not_known };

// Errors are final; not_known says that this kernel lacks `lowerdir+` or the calls.
Result<Outcome> mount_by_fsopen(const RootSpec& spec) {
  const UniqueFd fs(static_cast<int>(::syscall(SYS_fsopen, "overlay", kFsOpenCloexec)));
  if (!fs) {
    if (errno == ENOSYS) return Outcome::not_known;
    return errno_error("open the overlay file system");
  }
  // Before Linux 6.5 (Debian 12 has 6.1) overlayfs took its options as one text: any key is accepted here, and refused
  // only when the file system is made.
  if (fs_config(fs.get(), kFsConfigSetString, "no-such-option", "1") == 0) return Outcome::not_known;
  kernel_words(fs.get());  // what it says to that is no concern of later errors
  for (std::size_t i = 0; i < spec.lowers.size(); ++i) {
    if (fs_config(fs.get(), kFsConfigSetString, "lowerdir+", spec.lowers[i].c_str()) == 0) continue;
    if (i == 0 && errno == EINVAL && exists(spec.lowers[i])) return Outcome::not_known;
    return fs_error(fs.get(), "layer " + spec.lowers[i]);
  }
  if (!spec.upper.empty()) {
    if (fs_config(fs.get(), kFsConfigSetString, "upperdir", spec.upper.c_str()) != 0) {
      return fs_error(fs.get(), "upper directory " + spec.upper);
    }
    if (fs_config(fs.get(), kFsConfigSetString, "workdir", spec.work.c_str()) != 0) {
      return fs_error(fs.get(), "work directory " + spec.work);
    }
    if (spec.is_volatile) fs_config(fs.get(), kFsConfigSetFlag, "volatile", nullptr);  // an old kernel syncs instead
  }
  if (fs_config(fs.get(), kFsConfigCreate, nullptr, nullptr) != 0) return fs_error(fs.get(), "make the overlay");
  const UniqueFd mount(static_cast<int>(::syscall(SYS_fsmount, fs.get(), kFsMountCloexec, 0)));
  if (!mount) return fs_error(fs.get(), "mount the overlay");
  if (::syscall(SYS_move_mount, mount.get(), "", AT_FDCWD, spec.merged.c_str(), kMoveMountEmptyFrom) != 0) {
    return fs_error(fs.get(), "mount on " + spec.merged);
  }
  return Outcome::mounted;
}

// mount(2) takes its options in one page, so the layers get names of one to three characters, relative to the working
// directory.
Result<void> mount_by_short_links(const RootSpec& spec) {
  const TempDir links = TRY(TempDir::make("lowers", path_dir(spec.merged)));
  std::string options = "lowerdir=";
  for (std::size_t i = 0; i < spec.lowers.size(); ++i) {
    const std::string name = std::to_string(i);
    if (::symlink(spec.lowers[i].c_str(), path_join(links.path(), name).c_str()) != 0)
      return errno_error("link " + name);
    options += (i == 0 ? "" : ":") + name;
  }
  if (!spec.upper.empty()) {
    options += ",upperdir=" + spec.upper + ",workdir=" + spec.work;
    if (spec.is_volatile) options += ",volatile";
  }
  Result<void> result;
  std::thread([&] {  // a thread of its own, because the working directory belongs to all threads that share CLONE_FS
    if (::unshare(CLONE_FS) != 0 || ::chdir(links.path().c_str()) != 0) {
      result = errno_error("change to " + links.path());
    } else if (::mount("overlay", spec.merged.c_str(), "overlay", 0, options.c_str()) != 0) {
      result = errno_error("mount the overlay on " + spec.merged);
    }
  })
      .join();
  return result;
}

// /proc/self/mountinfo writes blanks as \040 and so on.
std::string unescape_octal(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string real_path(const std::string& path) {
  char buffer[PATH_MAX];
  return ::realpath(path.c_str(), buffer) ? std::string(buffer) : path_clean(path);
}

Result<void> mount_overlay(const RootSpec& spec) {
  if (TRY(mount_by_fsopen(spec)) == Outcome::mounted) return {};
  return mount_by_short_links(spec);
}

// overlayfs itself can't have mapped ids, its layers can. The upper directory is written with the ids of the
// namespace's owner as they are on the host, so it is its root's. The overlay keeps what it was made of: the layers'
// own mounts go.
Result<void> mount_with_ids(RootSpec spec) {
  const UniqueFd user_namespace = TRY(make_user_namespace(spec.ids));
  if (!spec.upper.empty() && ::chown(spec.upper.c_str(), spec.ids.first, spec.ids.first) != 0)
    return errno_error("chown " + spec.upper);
  const TempDir mapped = TRY(TempDir::make("mapped", path_dir(spec.merged)));
  const auto mounted = [&]() -> Result<void> {
    for (std::size_t i = 0; i < spec.lowers.size(); ++i) {
      const std::string place = path_join(mapped.path(), std::to_string(i));
      TRY(mount_mapped(spec.lowers[i], place, user_namespace));
      spec.lowers[i] = place;
    }
    return mount_overlay(spec);
  }();
  TRY(unmount_below(mapped.path()));
  return mounted;
}

}  // namespace

Result<void> mount_root(const RootSpec& spec) {
  if (spec.lowers.empty()) return Error{ErrorCode::bad_request, "a root needs at least one layer"};
  if (spec.lowers.size() > kLowersMax) {
    return Error{ErrorCode::bad_request, "the image has " + std::to_string(spec.lowers.size()) +
                                             " layers, the kernel mounts at most " + std::to_string(kLowersMax)};
  }
  for (const auto& lower : spec.lowers) {
    if (!is_directory(lower)) return Error{ErrorCode::not_found, "layer " + lower + " is not there"};
  }
  for (const auto* path : {&spec.upper, &spec.work, &spec.merged}) {
    if (!path->empty()) TRY(make_dirs(*path));
  }
  TRY(unmount(spec.merged));
  if (spec.is_volatile)
    TRY(remove_tree(path_join(spec.work, "work/incompat")));  // left by a volatile mount that was not taken down well
  RootSpec wanted = spec;
  // overlayfs wants two lower layers where there is no upper one.
  if (wanted.upper.empty() && wanted.lowers.size() == 1)
    wanted.lowers.push_back(TRY([&]() -> Result<std::string> {
      const std::string empty = spec.merged + ".empty";
      TRY(make_dirs(empty));
      return empty;
    }()));
  if (spec.ids) return mount_with_ids(std::move(wanted));
  return mount_overlay(wanted);
}

Result<void> unmount(const std::string& path) {
  while (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  if (errno == EINVAL || errno == ENOENT) return {};  // no mount point, or no such path
  return errno_error("unmount " + path);
}

Result<std::vector<std::string>> mounts_below(const std::string& directory) {
  const std::string base = real_path(directory);
  const std::string info = TRY(read_file("/proc/self/mountinfo"));
  std::vector<std::string> found;
  for (const auto line : split(info, '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() < 5) continue;
    std::string point = unescape_octal(fields[4]);
    if (point == base || point.starts_with(base + "/")) found.push_back(std::move(point));
  }
  return found;
}

Result<void> check_shared(const std::string& path) {
  const std::string real = real_path(path);
  const std::string info = TRY(read_file("/proc/self/mountinfo"));
  std::string on;
  bool shared = false;
  for (const auto line : split(info, '\n')) {  // the last mount of those that hold the path longest is the one on top
    const auto fields = split(line, ' ');
    if (fields.size() < 7) continue;
    const std::string point = unescape_octal(fields[4]);
    if (point.size() < on.size() || !(point == "/" || real == point || real.starts_with(point + "/"))) continue;
    on = point;
    // Optional fields end at "-".
    const auto end = std::find(fields.begin() + 6, fields.end(), "-");
    shared = std::any_of(fields.begin() + 6, end, [](std::string_view field) { return field.starts_with("shared:"); });
  }
  if (shared) return {};
  return Error{ErrorCode::invalid, "path \"" + path + "\" is mounted on \"" + on +
                                       "\" but it is not a shared mount: mount --make-shared " + on + " on the node"};
}

Result<int> unmount_below(const std::string& directory) {
  const auto points = TRY(mounts_below(directory));
  int count = 0;
  for (auto it = points.rbegin(); it != points.rend(); ++it) {
    TRY(unmount(*it));
    ++count;
  }
  return count;
}

Result<void> mount_tmpfs(const std::string& path, unsigned mode, std::uint64_t size_bytes) {
  TRY(make_dirs(path));
  char options[64];
  std::snprintf(options, sizeof options, "mode=%04o", mode);
  std::string text = options;
  if (size_bytes > 0) text += ",size=" + std::to_string(size_bytes);
  if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, text.c_str()) != 0) {
    return errno_error("mount a tmpfs on " + path);
  }
  return {};
}

Result<void> mount_bind(const std::string& source, const std::string& target, bool read_only) {
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    return errno_error("bind " + source + " on " + target);
  }
  if (read_only && ::mount(nullptr, target.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
    const Error error = errno_error("make " + target + " read-only");
    TRY(unmount(target));
    return error;
  }
  return {};
}

}  // namespace caisson::container
