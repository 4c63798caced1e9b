// SPDX-License-Identifier: Apache-2.0
// Recipe: what a stand-in is made of, as data. The catalogue is catalogue.cc; its shell texts are scripts.cc. Any
// thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "artifact/content/reference.h"

namespace caisson::bootstrap {

struct Account {
  std::string name;
  unsigned uid = 0, gid = 0;
  std::string home = "/nonexistent";
  std::string shell = "/usr/sbin/nologin";
};
struct TextFile {
  std::string path;  // relative to the root
  std::string_view text;
  unsigned mode = 0644;
};
struct Directory {
  std::string path;
  unsigned mode = 0755, uid = 0, gid = 0;
};

enum class Base {
  packages,     // unpacked, no package manager
  debootstrap,  // a whole minimal system with apt
};

struct Recipe {
  std::string id;  // file name of the stand-in
  std::vector<std::string> repositories;
  Base base = Base::packages;
  std::vector<std::string> packages;
  // Packages for programs that the first set lacks on some distributions: {program, package}.
  std::vector<std::pair<std::string, std::string>> if_missing;
  bool shell = true;  // busybox, for every program that the packages lack
  bool apk = false;   // the apk shim of the alpine stand-ins
  std::vector<Account> accounts;
  std::vector<Directory> directories;
  std::vector<TextFile> files;
  std::vector<std::pair<std::string, std::string>> links;  // {path, target}
  std::vector<std::string> remove;
  // The image configuration, as upstream's image has it.
  std::vector<std::string> env, entrypoint, cmd, exposed_ports, volumes;
  std::string working_dir, user, stop_signal;
  std::string version_of;  // the package whose version the label names
};

const std::vector<Recipe>& catalogue();
// The recipe for a reference: by repository, the variant by its tag ("-alpine", "-jre"). Nothing for our own registry
// and for digests.
std::optional<Recipe> find_recipe(const content::Reference& reference);

inline constexpr std::string_view kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// scripts.cc
extern const std::string_view kAccountsScript, kApkScript, kNginxEntrypoint, kNginxConf, kNginxDefaultConf,
    kNginxUnprivilegedConf, kNginxUnprivilegedDefaultConf, kNginxIndex, kRedisEntrypoint, kPostgresEntrypoint;

}  // namespace caisson::bootstrap
