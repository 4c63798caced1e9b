// SPDX-License-Identifier: Apache-2.0
// Copying files between trees the way COPY does: sources by pattern inside a root that no link leaves, owners and modes
// by rule, hard links and times kept. Both trees belong to the caller alone while this runs. Needs root.
#pragma once
#include <sys/stat.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "artifact/build/glob.h"
#include "artifact/content/digest.h"
#include "core/base/result.h"

namespace caisson::build {

struct Owner {
  unsigned uid = 0, gid = 0;
  bool operator==(const Owner&) const = default;
};

// "0755" or "u=rwX,go-w".
class ModeChange {
 public:
  static Result<ModeChange> parse(std::string_view text);  // invalid: "invalid chmod parameter …"
  unsigned apply(unsigned mode, bool is_directory) const;

 private:
  struct Clause {
    unsigned who = 0;
    char op = '=';
    std::string bits;
  };
  std::optional<unsigned> octal_;
  std::vector<Clause> clauses_;
};

struct CopyRules {
  std::optional<Owner> owner;  // absent: as in the source
  std::optional<ModeChange> chmod;
  IgnoreRules exclude;  // paths relative to the folder that is copied
};

// A source as named: where it is, and its path in the root ("a/b"), links resolved for the host path only.
struct Source {
  std::string host, path;
  std::string kept;  // with --parents: the part of the path that is made at the destination
};

// Patterns match names; a name that is not there is not_found `"/x": not found`, a pattern without a match gives
// nothing.
Result<std::vector<Source>> find_sources(const std::string& root, std::string_view pattern, bool parents);

// What a cache key needs to know of sources: names, types, modes, owners, links, contents; not times.
Result<void> hash_source(const Source& source, const CopyRules& rules, content::Hasher& hasher);

class Copier {
 public:
  Copier(std::string root, const CopyRules& rules) : root_(std::move(root)), rules_(rules) {}

  // One source to `target`, an absolute path in the root; a folder's contents go into it.
  Result<void> copy(const Source& source, const std::string& target);
  // With --parents: the folders above the kept part, as they are in `root`, below `destination`.
  Result<void> copy_parents(const std::string& root, const Source& source, const std::string& destination);
  // A file from memory.
  Result<void> write(const std::string& target, std::string_view contents, unsigned mode,
                     std::optional<std::int64_t> mtime_s);
  // Makes a folder and its parents; what is made belongs to the rules' owner (0:0 without one). Gives its path on the
  // host.
  Result<std::string> make_directory(const std::string& target);
  // Whether `target` is a folder now, links followed in the root.
  bool is_directory_at(const std::string& target) const;

 private:
  Result<void> copy_entry(const std::string& from, const std::string& path, const std::string& to,
                          const std::string& shown);
  Result<void> copy_directory(const std::string& from, const std::string& path, const std::string& to,
                              const std::string& shown, bool top);
  Result<void> copy_file(const std::string& from, const struct stat& st, const std::string& to);
  Result<void> set_attributes(const std::string& to, const struct stat& st);
  Result<void> make_way(const std::string& to, const std::string& shown);
  Result<std::string> place(const std::string& target);

  std::string root_;
  const CopyRules& rules_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;  // what of several names was copied where
};

}  // namespace caisson::build
