// SPDX-License-Identifier: Apache-2.0
// See tree.h.
#include "artifact/bootstrap/tree.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"

namespace caisson::bootstrap {
namespace {

constexpr std::int64_t kSettledTime = 1'700'000'000;  // 2023-11-14

// Fine when there is something already.
Result<void> link_to(const std::string& path, const std::string& target) {
  TRY(make_dirs(path_dir(path)));
  if (::symlink(target.c_str(), path.c_str()) != 0 && errno != EEXIST) return errno_error("link " + path);
  return {};
}

Result<void> replace_link(const std::string& path, const std::string& target) {
  TRY(remove_tree(path));
  return link_to(path, target);
}

Result<void> make_directory(const std::string& path, unsigned mode, unsigned uid, unsigned gid) {
  TRY(make_dirs(path));
  if (::chown(path.c_str(), uid, gid) != 0 || ::chmod(path.c_str(), mode) != 0) return errno_error("own " + path);
  return {};
}

Result<void> add_accounts(const std::string& tree, const Recipe& recipe) {
  std::string users = "root:x:0:0:root:/root:" + std::string(recipe.shell ? "/bin/sh" : "/usr/sbin/nologin") +
                      "\n"
                      "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nbin:x:2:2:bin:/bin:/usr/sbin/"
                      "nologin\nmail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n"
                      "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/"
                      "usr/sbin/nologin\n";
  std::string groups =
      "root:x:0:\ndaemon:x:1:\nbin:x:2:\nadm:x:4:\ntty:x:5:\nmail:x:8:\nwww-data:x:33:\nstaff:x:50:\nusers:x:100:"
      "\nnogroup:x:65534:\n";
  for (const Account& account : recipe.accounts) {
    users += account.name + ":x:" + std::to_string(account.uid) + ":" + std::to_string(account.gid) + ":" +
             account.name + ":" + account.home + ":" + account.shell + "\n";
    groups += account.name + ":x:" + std::to_string(account.gid) + ":\n";
  }
  TRY(write_file_unsynced(tree + "/etc/passwd", users));
  TRY(write_file_unsynced(tree + "/etc/group", groups));
  TRY(write_file_unsynced(tree + "/etc/shadow", "root:*::0:99999:7:::\n", 0640));
  TRY(link_to(tree + "/etc/mtab", "/proc/mounts"));
  TRY(write_file_unsynced(tree + "/etc/nsswitch.conf",
                          "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"));
  return make_directory(tree + "/root", 0700, 0, 0);
}

// One bundle of every certificate of package ca-certificates, where programs of Debian look for it.
Result<void> make_certificate_bundle(const std::string& tree) {
  const std::string source = tree + "/usr/share/ca-certificates/mozilla";
  if (!is_directory(source)) return {};
  std::string bundle;
  const std::vector<std::string> names = TRY(list_dir(source));
  for (const std::string& name : names) {
    if (!name.ends_with(".crt")) continue;
    const std::string text = TRY(read_file(path_join(source, name)));
    bundle += text;
    if (!bundle.ends_with("\n")) bundle += '\n';
  }
  TRY(make_dirs(tree + "/etc/ssl/certs"));
  return write_file_unsynced(tree + "/etc/ssl/certs/ca-certificates.crt", bundle);
}

// busybox for every program that isn't there.
Result<void> add_shell(const std::string& tree) {
  const std::string host = find_program("busybox");
  if (host.empty()) return Error{ErrorCode::not_found, "busybox is not installed (package busybox-static)"};
  const std::string busybox = TRY(read_file(host));
  if (busybox.find("/lib64/ld-linux") != std::string::npos)
    return Error{ErrorCode::not_found, host + " is not statically linked (package busybox-static)"};
  TRY(write_file_unsynced(tree + "/usr/bin/busybox", busybox, 0755));
  Command command;
  command.args = {host, "--list-full"};
  const std::string list = TRY(run_checked(command));
  for (const std::string_view line : split(list, '\n')) {
    if (line.empty()) continue;
    const std::string program(path_base(line));
    bool there = false;
    for (const char* directory : {"/usr/bin/", "/usr/sbin/", "/usr/local/bin/"})
      there = there || exists(tree + directory + program);
    if (!there)
      TRY(link_to(tree + (line.find("sbin/") == std::string_view::npos ? "/usr/bin/" : "/usr/sbin/") + program,
                  "/usr/bin/busybox"));
  }
  return {};
}

Result<void> add_account_tools(const std::string& tree, bool apk) {
  if (apk) TRY(write_file_unsynced(tree + "/usr/sbin/apk", kApkScript, 0755));
  if (apk) TRY(write_file_unsynced(tree + "/etc/alpine-release", "0.0.0_stand_in\n"));
  for (const char* name : {"adduser", "addgroup", "useradd", "groupadd"}) {
    const std::string path = tree + "/usr/sbin/" + name;
    TRY(remove_file(path));  // the packages' own need their configuration and perl
    TRY(write_file_unsynced(path, kAccountsScript, 0755));
  }
  return {};
}

// Documentation but the licences.
Result<void> remove_documentation(const std::string& tree) {
  for (const char* directory :
       {"/usr/share/man", "/usr/share/info", "/usr/share/locale", "/usr/share/lintian", "/usr/share/bug"})
    TRY(remove_tree(tree + directory));
  const std::string docs = tree + "/usr/share/doc";
  if (!is_directory(docs)) return {};
  const std::vector<std::string> names = TRY(list_dir(docs));
  for (const std::string& name : names) {
    if (!is_directory(path_join(docs, name))) continue;
    const std::vector<std::string> files = TRY(list_dir(path_join(docs, name)));
    for (const std::string& file : files)
      if (file != "copyright") TRY(remove_tree(docs + "/" + name + "/" + file));
  }
  return {};
}

bool is_real_directory(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// Moves what is below `from` into `to`; what is there already is replaced, directories are merged.
Result<void> merge_directory(const std::string& from, const std::string& to) {
  if (!is_real_directory(to)) return rename_file(from, to);
  const std::vector<std::string> names = TRY(list_dir(from));
  for (const std::string& name : names) {
    const std::string source = path_join(from, name), target = path_join(to, name);
    if (is_real_directory(source))
      TRY(merge_directory(source, target));
    else
      TRY(rename_file(source, target));
  }
  if (::rmdir(from.c_str()) != 0) return errno_error("remove " + from);
  return {};
}

// "dpkg-deb -x" puts a directory in the place of the link /bin when a package names /bin itself: the merged /usr is
// made again.
Result<void> merge_usr(const std::string& tree) {
  for (const char* name : {"bin", "sbin", "lib", "lib64"}) {
    const std::string path = tree + "/" + name;
    if (!is_real_directory(path)) continue;
    TRY(merge_directory(path, tree + "/usr/" + name));
    TRY(link_to(path, std::string("usr/") + name));
  }
  return {};
}

}  // namespace

Result<void> prepare_tree(const std::string& tree) {
  // The tree's own mode is that of "/" in a container: whoever runs there must be able to walk it.
  if (::chmod(tree.c_str(), 0755) != 0) return errno_error("chmod " + tree);
  for (const char* name : {"bin", "sbin", "lib", "lib64"}) {
    TRY(make_dirs(tree + "/usr/" + name));
    TRY(link_to(tree + "/" + name, std::string("usr/") + name));
  }
  for (const char* name :
       {"dev", "etc", "home", "mnt", "opt", "proc", "run", "srv", "sys", "usr/local/bin", "var/lib", "var/log"})
    TRY(make_dirs(tree + "/" + name));
  TRY(make_directory(tree + "/tmp", 01777, 0, 0));
  TRY(make_directory(tree + "/var/tmp", 01777, 0, 0));
  return link_to(tree + "/var/run", "/run");
}

Result<void> complete_tree(const std::string& tree, const Recipe& recipe) {
  TRY(merge_usr(tree));
  TRY(remove_documentation(tree));
  for (const std::string& path : recipe.remove) TRY(remove_tree(tree + "/" + path));
  TRY(add_accounts(tree, recipe));
  TRY(make_certificate_bundle(tree));
  if (recipe.shell) TRY(add_shell(tree));
  if (recipe.shell) TRY(add_account_tools(tree, recipe.apk));
  if (exists(tree + "/usr/bin/dash")) TRY(replace_link(tree + "/usr/bin/sh", "dash"));
  for (const Directory& directory : recipe.directories)
    TRY(make_directory(tree + "/" + directory.path, directory.mode, directory.uid, directory.gid));
  for (const TextFile& file : recipe.files) {
    TRY(make_dirs(path_dir(tree + "/" + file.path)));
    TRY(write_file_unsynced(tree + "/" + file.path, file.text, file.mode));
  }
  for (const auto& [path, target] : recipe.links) TRY(replace_link(tree + "/" + path, target));
  TRY(write_file_unsynced(tree + "/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n"));
  if (is_directory(tree + "/usr/lib/x86_64-linux-gnu") || is_directory(tree + "/usr/lib/aarch64-linux-gnu")) {
    Command command;
    command.args = {"ldconfig", "-r", tree};
    TRY(run_checked(command));
    TRY(remove_tree(tree + "/var/cache/ldconfig"));
  }
  return {};
}

namespace {
thread_local std::int64_t settle_newer_than = 0;  // nftw gives its callback no argument

int settle_one(const char* path, const struct stat* info, int, struct FTW*) {
  if (info->st_mtime < settle_newer_than) return 0;
  const timespec times[2] = {{kSettledTime, 0}, {kSettledTime, 0}};
  return ::utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}
}  // namespace

Result<void> settle_times(const std::string& tree, std::int64_t newer_than_s) {
  settle_newer_than = newer_than_s;
  if (::nftw(tree.c_str(), settle_one, 64, FTW_PHYS | FTW_DEPTH) != 0) return errno_error("set times below " + tree);
  return {};
}

}  // namespace caisson::bootstrap
