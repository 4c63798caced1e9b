// SPDX-License-Identifier: Apache-2.0
// The executor image: what kaniko's executor is elsewhere is here this very program under the name /kaniko/executor, so
// that nothing has to be fetched and it always fits the platform. Its libraries are those that it is linked against, by
// DT_NEEDED and ldconfig's cache.
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <map>
#include <set>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "machine/node/images.h"

namespace caisson::node {
namespace {

constexpr std::size_t kProgramBytesMax = 1u << 30;
constexpr const char* kCaBundles[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                      "/etc/ssl/cert.pem"};

struct Needs {
  std::string loader;
  std::vector<std::string> libraries;
};

template <class T>
bool read_at(std::string_view file, std::uint64_t at, T& into) {
  if (at > file.size() || sizeof(T) > file.size() - at) return false;
  std::memcpy(&into, file.data() + at, sizeof(T));
  return true;
}

std::string text_at(std::string_view file, std::uint64_t at) {
  if (at >= file.size()) return {};
  const std::string_view rest = file.substr(at);
  return std::string(rest.substr(0, rest.find('\0')));
}

// PT_INTERP and DT_NEEDED of a 64-bit ELF file. Errors: invalid.
Result<Needs> needs_of(const std::string& path) {
  const std::string file = TRY(read_file(path, kProgramBytesMax));
  const Error broken{ErrorCode::invalid, path + " is no whole 64-bit ELF file"};
  Elf64_Ehdr head{};
  if (!read_at(file, 0, head) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
      head.e_ident[EI_CLASS] != ELFCLASS64)
    return broken;
  std::vector<Elf64_Phdr> segments(head.e_phnum);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (!read_at(file, head.e_phoff + i * sizeof(Elf64_Phdr), segments[i])) return broken;
  }
  const auto offset_of = [&](std::uint64_t address) -> std::uint64_t {
    for (const auto& s : segments) {
      if (s.p_type == PT_LOAD && address >= s.p_vaddr && address - s.p_vaddr < s.p_filesz)
        return address - s.p_vaddr + s.p_offset;
    }
    return file.size();
  };
  Needs needs;
  std::vector<std::uint64_t> names;
  std::uint64_t strings = file.size();
  for (const auto& s : segments) {
    if (s.p_type == PT_INTERP) needs.loader = text_at(file, s.p_offset);
    if (s.p_type != PT_DYNAMIC) continue;
    for (std::uint64_t at = s.p_offset; at < s.p_offset + s.p_filesz; at += sizeof(Elf64_Dyn)) {
      Elf64_Dyn entry{};
      if (!read_at(file, at, entry)) return broken;
      if (entry.d_tag == DT_NULL) break;
      if (entry.d_tag == DT_NEEDED) names.push_back(entry.d_un.d_val);
      if (entry.d_tag == DT_STRTAB) strings = offset_of(entry.d_un.d_ptr);
    }
  }
  for (const auto name : names) needs.libraries.push_back(text_at(file, strings + name));
  return needs;
}

// What the program opens itself when it needs it (src/main/openssl), which its file does not tell.
constexpr const char* kOpenedOnFirstUse[] = {"libcrypto.so.3", "libssl.so.3"};

// "	libc.so.6 (libc6,x86-64) => /lib/x86_64-linux-gnu/libc.so.6"
Result<std::map<std::string, std::string>> library_paths() {
  const std::string text = TRY(run_checked({.args = {"ldconfig", "-p"}}));
  std::map<std::string, std::string> paths;
  for (const auto line : split(text, '\n')) {
    const std::size_t arrow = line.find(" => "), open = line.find(" (");
    if (arrow == line.npos || open == line.npos) continue;
#if defined(__x86_64__)
    if (line.find("x86-64") == line.npos) continue;
#endif
    paths.emplace(trim(line.substr(0, open)), line.substr(arrow + 4));
  }
  return paths;
}

Result<void> copy_into(const std::string& tree, const std::string& from, const std::string& to, mode_t mode) {
  TRY(make_dirs(tree + path_dir(to)));
  const std::string bytes = TRY(read_file(from, kProgramBytesMax));
  return write_file_unsynced(tree + to, bytes, mode);
}

Result<void> copy_program(const std::string& tree, const std::string& executable, const std::string& target) {
  TRY(copy_into(tree, executable, target, 0755));
  const auto paths = TRY(library_paths());
  std::deque<std::string> open = {executable};
  std::set<std::string> done;
  while (!open.empty()) {
    const std::string path = open.front();
    open.pop_front();
    Needs needs = TRY(needs_of(path));
    if (path == executable)
      needs.libraries.insert(needs.libraries.end(), std::begin(kOpenedOnFirstUse), std::end(kOpenedOnFirstUse));
    if (!needs.loader.empty() && done.insert(needs.loader).second)
      TRY(copy_into(tree, needs.loader, needs.loader, 0755));
    for (const auto& library : needs.libraries) {
      const auto found = paths.find(library);
      if (found == paths.end()) {
        if (needs.loader.ends_with("/" + library) || library.starts_with("ld-linux")) continue;
        return Error{ErrorCode::not_found, "the shared library " + library + " of " + path + " is not on this host"};
      }
      if (!done.insert(found->second).second) continue;
      TRY(copy_into(tree, found->second, found->second, 0755));
      open.push_back(found->second);
    }
  }
  return {};
}

// The files of kaniko's image that a build relies on; a shell as in its debug variant, where this host has busybox.
Result<void> copy_rest(const std::string& tree) {
  for (const char* bundle : kCaBundles) {
    if (!exists(bundle)) continue;
    TRY(copy_into(tree, bundle, "/etc/ssl/certs/ca-certificates.crt", 0644));
    TRY(copy_into(tree, bundle, "/kaniko/ssl/certs/ca-certificates.crt", 0644));
    break;
  }
  for (const char* directory : {"/tmp", "/workspace", "/kaniko/.docker", "/root", "/etc"})
    TRY(make_dirs(tree + directory));
  if (::chmod((tree + "/tmp").c_str(), 01777) != 0) return errno_error("chmod /tmp");
  TRY(write_file_unsynced(tree + "/etc/passwd", "root:x:0:0:root:/root:/busybox/sh\n"));
  TRY(write_file_unsynced(tree + "/etc/group", "root:x:0:\n"));
  TRY(write_file_unsynced(tree + "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"));
  const std::string busybox = find_program("busybox");
  if (busybox.empty()) return {};
  TRY(copy_into(tree, busybox, "/busybox/busybox", 0755));
  for (const char* name : {"sh", "cat", "echo", "ls", "cp", "mv", "mkdir", "rm", "sleep", "test", "env"}) {
    if (::symlink("busybox", (tree + "/busybox/" + name).c_str()) != 0) return errno_error("link " + std::string(name));
  }
  return {};
}

// The same program gives the same layer: no time of the copying is in it.
Result<void> settle_times(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return errno_error("stat " + path);
  if (S_ISDIR(info.st_mode)) {
    const auto names = TRY(list_dir(path));
    for (const auto& name : names) TRY(settle_times(path + "/" + name));
  }
  const timespec times[2] = {{0, 0}, {0, 0}};
  if (::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
    return errno_error("set the time of " + path);
  return {};
}

}  // namespace

Result<content::Digest> make_executor_image(const std::string& executable, content::BlobStore& blobs,
                                            content::LayerStore& layers) {
  const std::string tree = layers.work_dir() + "/executor-" + random_name_suffix(8);
  const auto made = [&]() -> Result<content::LayerInfo> {
    TRY(make_dirs(tree));
    TRY(copy_program(tree, executable, "/kaniko/executor"));
    TRY(copy_rest(tree));
    TRY(settle_times(tree));
    return layers.commit(tree);
  }();
  if (!made.ok()) {
    TRY(remove_tree(tree));
    return Error(made.error()).in("make the executor image");
  }
  content::ImageConfig config;
#if !defined(__x86_64__)
  config.platform.architecture = "arm64";
#endif
  config.created = "1970-01-01T00:00:00Z";
  config.entrypoint = {"/kaniko/executor"};
  config.working_dir = "/workspace";
  config.env = {"PATH=/usr/local/bin:/kaniko:/busybox", "HOME=/root", "USER=root",
                "SSL_CERT_FILE=/kaniko/ssl/certs/ca-certificates.crt", "DOCKER_CONFIG=/kaniko/.docker/"};
  config.labels = {{"dev.caisson.executor", "true"}};
  config.diff_ids = {made->diff_id};
  const std::string config_bytes = content::write_config(config);
  content::Manifest manifest;
  const auto config_digest = TRY(blobs.put_bytes(config_bytes));
  manifest.config = {std::string(content::kOciConfig), config_digest, config_bytes.size()};
  manifest.layers = {{std::string(content::kOciLayer), made->diff_id, made->size_bytes}};
  return blobs.put_bytes(content::write_manifest(manifest));
}

}  // namespace caisson::node
