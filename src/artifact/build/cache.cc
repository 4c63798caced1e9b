// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "core/document/json.h"

namespace caisson::build {

std::optional<CachedLayer> CacheIndex::find(const content::Digest& key) const {
  const std::string path = directory_ + "/layers/" + key.hex.substr(0, 2) + "/" + key.hex;
  std::optional<CachedLayer> found = read_entry(path);
  if (found) ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // used now: it is kept
  return found;
}

Result<std::set<content::Digest>> CacheIndex::layers(Time unused_since) {
  std::set<content::Digest> all;
  const std::string root = directory_ + "/layers";
  if (!exists(root)) return all;
  for (const std::string& shelf : TRY(list_dir(root)))
    for (const std::string& name : TRY(list_dir(root + "/" + shelf))) {
      const std::string path = root + "/" + shelf + "/" + name;
      struct stat info {};
      if (::stat(path.c_str(), &info) != 0) continue;
      if (Time(std::chrono::seconds(info.st_mtim.tv_sec)) < unused_since)
        TRY(remove_file(path));
      else if (const auto entry = read_entry(path))
        all.insert(entry->diff_id);
    }
  return all;
}

std::optional<CachedLayer> CacheIndex::read_entry(const std::string& path) {
  const Result<std::string> text = read_file(path, 4096);
  if (!text.ok()) return std::nullopt;
  const Result<Value> value = json::parse(*text);
  if (!value.ok()) return std::nullopt;
  const Result<content::Digest> diff_id = content::Digest::parse((*value)["diffID"].as_string());
  if (!diff_id.ok()) return std::nullopt;
  return CachedLayer{*diff_id, static_cast<std::uint64_t>((*value)["sizeBytes"].as_int()), (*value)["created"].str()};
}

Result<void> CacheIndex::put(const content::Digest& key, const CachedLayer& layer) {
  const std::string directory = directory_ + "/layers/" + key.hex.substr(0, 2);
  TRY(make_dirs(directory, 0700));
  Value value = Value::map();
  value.set("diffID", layer.diff_id.str()).set("sizeBytes", layer.size_bytes).set("created", layer.created);
  return write_file_unsynced(directory + "/" + key.hex, json::write(value), 0600);
}

Result<CacheIndex::Mount> CacheIndex::open_mount(std::string_view scope, std::string_view id, Sharing sharing) {
  const std::string name = content::Digest::of(std::string(scope) + "\n" + std::string(id)).hex.substr(0, 32);
  const std::string base = directory_ + "/mounts";
  TRY(make_dirs(base, 0700));
  for (int copy = 0;; ++copy) {  // `private`: the first that nobody holds
    Mount out;
    out.directory = base + "/" + name + (copy == 0 ? "" : "-" + std::to_string(copy));
    if (sharing != Sharing::shared) {
      out.lock.reset(::open((out.directory + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
      if (!out.lock) return errno_error("open " + out.directory + ".lock");
      const int how = LOCK_EX | (sharing == Sharing::exclusive ? LOCK_NB : 0);
      if (::flock(out.lock.get(), how) != 0) {
        if (errno == EWOULDBLOCK) continue;
        return errno_error("lock " + out.directory);
      }
    }
    out.is_new = !exists(out.directory);
    TRY(make_dirs(out.directory, 0755));
    return out;
  }
}

}  // namespace caisson::build
