// SPDX-License-Identifier: Apache-2.0
#include "machine/node/volumes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "artifact/container/root.h"
#include "artifact/container/spec.h"
#include "cluster/kube/quantity.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "machine/node/mount_point.h"
#include "machine/node/plan.h"

namespace caisson::node {
namespace {

constexpr unsigned kFileMode = 0644;
constexpr std::int64_t kTokenSeconds = 3607;  // the kubelet's default, which the API server extends
constexpr const char* kData = "..data";

unsigned mode_or(const Value& mode, unsigned otherwise) {
  return mode.is_int() ? static_cast<unsigned>(mode.as_int()) : otherwise;
}

Result<std::string> item_path(const Value& item) {
  const std::string path = item["path"].str();
  auto safe = safe_path(path);
  if (!safe.ok())
    return Error{ErrorCode::invalid, "item path \"" + path + "\": must be relative and stay in the volume"};
  return std::move(safe).value();
}

// Keys of a ConfigMap or Secret as files: all of them, or those that `items` names.
Result<void> add_object(Payload& into, const kube::Object& object, const Value& source, unsigned mode, bool secret) {
  const auto bytes = [&](std::string_view key) -> Result<std::optional<std::string>> {
    if (const Value* text = object["data"].find(key)) {
      if (!secret) return std::optional<std::string>(text->str());
      return std::optional<std::string>(TRY(unbase64(text->as_string())));
    }
    if (const Value* binary = object["binaryData"].find(key))
      return std::optional<std::string>(TRY(unbase64(binary->as_string())));
    return std::optional<std::string>();
  };
  if (source["items"].empty()) {
    for (const char* field : {"data", "binaryData"}) {
      for (const auto& entry : object[field].entries()) {
        const auto data = TRY(bytes(entry.key));
        if (data) into[std::string(entry.key)] = {*data, mode};
      }
    }
    return {};
  }
  for (const auto& item : source["items"].items()) {
    const std::string path = TRY(item_path(item));
    const auto data = TRY(bytes(item["key"].as_string()));
    if (data) {
      into[path] = {*data, mode_or(item["mode"], mode)};
    } else if (!source["optional"].as_bool()) {
      return Error{ErrorCode::not_found, std::string(secret ? "secret" : "configmap") + " \"" + object.name() +
                                             "\" has no key \"" + item["key"].str() + "\""};
    }
  }
  return {};
}

Result<void> add_reference(Payload& into, const Value& source, std::string_view name, unsigned mode, bool secret,
                           const VolumeSources& sources) {
  const auto object =
      secret ? sources.around->secret(std::string(name)) : sources.around->config_map(std::string(name));
  if (object) return add_object(into, *object, source, mode, secret);
  if (source["optional"].as_bool()) return {};
  return Error{ErrorCode::not_found,
               std::string(secret ? "secret" : "configmap") + " \"" + std::string(name) + "\" not found"};
}

Result<void> add_downward(Payload& into, const kube::Object& pod, const Value& source, unsigned mode,
                          const VolumeSources& sources) {
  for (const auto& item : source["items"].items()) {
    const std::string path = TRY(item_path(item));
    std::string data;
    if (const Value& field = item["fieldRef"]; !field.is_null()) {
      data = TRY(field_value(pod, field["fieldPath"].as_string(), *sources.around));
    } else {
      const Value& resource = item["resourceFieldRef"];
      const Value* container = find_container(pod, resource["containerName"].as_string());
      if (!container)
        return Error{ErrorCode::invalid, "resourceFieldRef: no container \"" + resource["containerName"].str() + "\""};
      data = TRY(resource_value(*container, resource["resource"].as_string(), resource["divisor"].scalar_text(),
                                *sources.around));
    }
    into[path] = {std::move(data), mode_or(item["mode"], mode)};
  }
  return {};
}

Result<Payload> projected(const kube::Object& pod, const Value& volume, const VolumeSources& sources) {
  Payload payload;
  const unsigned mode = mode_or(volume["defaultMode"], kFileMode);
  for (const auto& source : volume["sources"].items()) {
    if (const Value& map = source["configMap"]; !map.is_null()) {
      TRY(add_reference(payload, map, map["name"].as_string(), mode, false, sources));
    } else if (const Value& secret = source["secret"]; !secret.is_null()) {
      TRY(add_reference(payload, secret, secret["name"].as_string(), mode, true, sources));
    } else if (const Value& downward = source["downwardAPI"]; !downward.is_null()) {
      TRY(add_downward(payload, pod, downward, mode, sources));
    } else if (const Value& token = source["serviceAccountToken"]; !token.is_null()) {
      const std::string path = TRY(item_path(token));
      payload[path] = {TRY(sources.token(token["audience"].str(), token["expirationSeconds"].as_int(kTokenSeconds))),
                       mode};
    } else {
      return Error{ErrorCode::invalid, "this kind of projected source is not supported"};
    }
  }
  return payload;
}

Result<bool> holds(const std::string& directory, const Payload& payload) {
  char target[256];
  const ssize_t length = ::readlink((directory + "/" + kData).c_str(), target, sizeof target);
  if (length <= 0) return false;
  std::set<std::string> there;
  // What is there by name is compared first, then by bytes and mode.
  for (const auto& [path, file] : payload) {
    const std::string full = directory + "/" + kData + "/" + path;
    struct stat info {};
    if (::stat(full.c_str(), &info) != 0 || (info.st_mode & 0777u) != (file.mode & 0777u)) return false;
    const auto bytes = read_file(full);
    if (!bytes.ok() || *bytes != file.data) return false;
    there.insert(path.substr(0, path.find('/')));
  }
  const auto names = TRY(list_dir(directory + "/" + kData));
  return std::all_of(names.begin(), names.end(), [&there](const std::string& name) { return there.contains(name); });
}

Result<void> write_one(const std::string& path, const VolumeFile& file, std::optional<std::uint32_t> group) {
  TRY(make_dirs(path_dir(path)));
  TRY(write_file_unsynced(path, file.data, 0600));
  unsigned mode = file.mode;
  if (group) {
    if (::chown(path.c_str(), 0, *group) != 0) return errno_error("chown " + path);
    mode |= 0440;  // the group must be able to read what it was given
  }
  if (::chmod(path.c_str(), mode) != 0) return errno_error("chmod " + path);
  return {};
}

std::optional<std::uint32_t> fs_group(const kube::Object& pod) {
  const Value& group = pod.spec()["securityContext"]["fsGroup"];
  if (!group.is_int()) return std::nullopt;
  return static_cast<std::uint32_t>(group.as_int());
}

// fsGroup for volumes that containers write to: the group owns everything, new files inherit it.
Result<void> give_to_group(const std::string& path, std::uint32_t group) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return errno_error("stat " + path);
  if (S_ISLNK(info.st_mode)) return {};
  if (info.st_gid != group && ::lchown(path.c_str(), static_cast<uid_t>(-1), group) != 0)
    return errno_error("chown " + path);
  const unsigned mode = (info.st_mode & 07777u) | (S_ISDIR(info.st_mode) ? 02770u : 0660u);
  if (::chmod(path.c_str(), mode) != 0) return errno_error("chmod " + path);
  if (!S_ISDIR(info.st_mode)) return {};
  const auto names = TRY(list_dir(path));
  for (const auto& name : names) TRY(give_to_group(path + "/" + name, group));
  return {};
}

Result<void> make_empty_dir(const Value& source, const std::string& path, std::optional<std::uint32_t> group) {
  const bool made = exists(path);
  if (source["medium"].as_string() == "Memory") {
    if (is_mount_point(path)) return {};
    std::uint64_t size = 0;
    if (const std::string limit = source["sizeLimit"].scalar_text(); !limit.empty()) {
      size = static_cast<std::uint64_t>(TRY(kube::parse_quantity(limit)));
    }
    TRY(container::mount_tmpfs(path, 0777, size));
  } else if (made) {
    return {};
  }
  TRY(make_dirs(path));
  if (::chmod(path.c_str(), group ? 02777 : 0777) != 0) return errno_error("chmod " + path);
  if (group && ::chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0) return errno_error("chown " + path);
  return {};
}

Result<std::string> host_path(const Value& source) {
  const std::string path = source["path"].str(), type = source["type"].str();
  struct stat info {};
  const bool there = ::stat(path.c_str(), &info) == 0;
  if (type == "DirectoryOrCreate" && !there) TRY(make_dirs(path));
  if (type == "FileOrCreate" && !there) {
    TRY(make_dirs(path_dir(path)));
    TRY(write_file(path, ""));
  }
  const auto check = [&](bool is, const char* what) -> Result<std::string> {
    if (is) return path;
    return Error{ErrorCode::not_found, "hostPath type check failed: " + path + " is not a " + what};
  };
  if (type == "Directory" || (type == "DirectoryOrCreate" && there))
    return check(there && S_ISDIR(info.st_mode), "directory");
  if (type == "File" || (type == "FileOrCreate" && there)) return check(there && S_ISREG(info.st_mode), "file");
  if (type == "Socket") return check(there && S_ISSOCK(info.st_mode), "socket file");
  if (type == "CharDevice") return check(there && S_ISCHR(info.st_mode), "character device");
  if (type == "BlockDevice") return check(there && S_ISBLK(info.st_mode), "block device");
  if (type.empty() && !there) TRY(make_dirs(path));  // as the runtimes do for a bind source
  return path;
}

struct FsGroup {
  std::optional<std::uint32_t> id;
  bool always = false;  // fsGroupChangePolicy, at the first time only; else a big volume is walked once
};

Result<std::string> claimed_path(const Value& source, const VolumeSources& sources, const FsGroup& group) {
  const std::string name = source["claimName"].str();
  const auto claim = sources.claim(name);
  if (!claim) return Error{ErrorCode::not_found, "persistentvolumeclaim \"" + name + "\" not found"};
  const std::string volume_name = claim->spec()["volumeName"].str();
  if (volume_name.empty() || claim->status()["phase"].as_string() != "Bound") {
    return Error{ErrorCode::unavailable, "persistentvolumeclaim \"" + name + "\" is not bound yet"};
  }
  const auto volume = sources.volume(volume_name);
  if (!volume) return Error{ErrorCode::not_found, "persistentvolume \"" + volume_name + "\" not found"};
  const Value& spec = volume->spec();
  const std::string path = spec["local"].is_null() ? spec["hostPath"]["path"].str() : spec["local"]["path"].str();
  if (path.empty())
    return Error{ErrorCode::invalid, "persistentvolume \"" + volume_name + "\" is neither hostPath nor local"};
  const std::string type = spec["hostPath"]["type"].str();
  if (!exists(path)) {
    const bool ours = !sources.local_volumes.empty() && path_clean(path).starts_with(sources.local_volumes + "/");
    if (!ours && type != "DirectoryOrCreate")
      return Error{ErrorCode::not_found, "persistentvolume \"" + volume_name + "\": " + path + " is not there"};
    TRY(make_dirs(path, 0777));
    if (::chmod(path.c_str(), 0777) != 0) return errno_error("chmod " + path);
  }
  if (group.id) {
    struct stat info {};
    const bool given =
        ::stat(path.c_str(), &info) == 0 && info.st_gid == *group.id && (info.st_mode & 02770u) == 02770u;
    if (!given || group.always) TRY(give_to_group(path, *group.id));
  }
  return path;
}

bool on_tmpfs(const Value& volume) {
  if (volume.contains("secret")) return true;
  for (const auto& source : volume["projected"]["sources"].items()) {
    if (source.contains("secret") || source.contains("serviceAccountToken")) return true;
  }
  return false;
}

}  // namespace

Result<std::optional<Payload>> volume_payload(const kube::Object& pod, const Value& volume,
                                              const VolumeSources& sources) {
  Payload payload;
  if (const Value& map = volume["configMap"]; !map.is_null()) {
    TRY(add_reference(payload, map, map["name"].as_string(), mode_or(map["defaultMode"], kFileMode), false, sources));
  } else if (const Value& secret = volume["secret"]; !secret.is_null()) {
    TRY(add_reference(payload, secret, secret["secretName"].as_string(), mode_or(secret["defaultMode"], kFileMode),
                      true, sources));
  } else if (const Value& downward = volume["downwardAPI"]; !downward.is_null()) {
    TRY(add_downward(payload, pod, downward, mode_or(downward["defaultMode"], kFileMode), sources));
  } else if (const Value& all = volume["projected"]; !all.is_null()) {
    payload = TRY(projected(pod, all, sources));
  } else {
    return std::optional<Payload>();
  }
  return std::optional<Payload>(std::move(payload));
}

Result<bool> write_payload(const std::string& directory, const Payload& payload, std::optional<std::uint32_t> group) {
  TRY(make_dirs(directory));
  if (TRY(holds(directory, payload))) return false;
  const std::string dated = ".." + random_name_suffix(10);
  TRY(make_dirs(directory + "/" + dated));
  std::set<std::string> tops;
  for (const auto& [path, file] : payload) {
    TRY(write_one(directory + "/" + dated + "/" + path, file, group));
    tops.insert(path.substr(0, path.find('/')));
  }
  char before[256];
  const ssize_t length = ::readlink((directory + "/" + kData).c_str(), before, sizeof before);
  const std::string fresh = directory + "/" + kData + "_tmp", current = directory + "/" + kData;
  TRY(remove_file(fresh));
  if (::symlink(dated.c_str(), fresh.c_str()) != 0) return errno_error("link " + fresh);
  TRY(rename_file(fresh, current));  // the moment of the change
  for (const auto& top : tops) {
    if (exists(directory + "/" + top)) continue;
    const std::string target = std::string(kData) + "/" + top;
    if (::symlink(target.c_str(), (directory + "/" + top).c_str()) != 0) return errno_error("link " + top);
  }
  const auto names = TRY(list_dir(directory));
  for (const auto& name : names) {
    if (!name.starts_with("..") && !tops.contains(name)) TRY(remove_file(directory + "/" + name));
  }
  if (length > 0) TRY(remove_tree(directory + "/" + std::string(before, static_cast<std::size_t>(length))));
  return true;
}

Result<std::map<std::string, std::string>> make_volumes(const kube::Object& pod, const std::string& directory,
                                                        const VolumeSources& sources) {
  std::map<std::string, std::string> paths;
  const auto group = fs_group(pod);
  const bool always =
      sources.first && pod.spec()["securityContext"]["fsGroupChangePolicy"].as_string() != "OnRootMismatch";
  for (const auto& volume : pod.spec()["volumes"].items()) {
    const std::string name = volume["name"].str();
    const std::string own = directory + "/" + name;
    const auto made = [&]() -> Result<std::string> {
      if (const Value& empty = volume["emptyDir"]; !empty.is_null()) {
        TRY(make_empty_dir(empty, own, group));
        return own;
      }
      if (volume.contains("image")) {
        if (!is_mount_point(own))
          TRY(container::mount_root(
              {.lowers = sources.image_trees(name), .upper = "", .work = "", .merged = own, .ids = sources.ids}));
        return own;
      }
      if (const Value& host = volume["hostPath"]; !host.is_null()) return host_path(host);
      if (const Value& claim = volume["persistentVolumeClaim"]; !claim.is_null())
        return claimed_path(claim, sources, {group, always});
      const auto payload = TRY(volume_payload(pod, volume, sources));
      if (!payload) {
        std::string kind = "unknown";
        for (const auto& entry : volume.entries()) {
          if (entry.key != "name") kind = std::string(entry.key);
        }
        return Error{ErrorCode::invalid, "volumes of kind " + kind + " are not supported"};
      }
      if (on_tmpfs(volume) && !is_mount_point(own)) TRY(container::mount_tmpfs(own, 0755));
      TRY(write_payload(own, *payload, group));
      return own;
    }();
    if (!made.ok()) return Error(made.error()).in("volume \"" + name + "\"");
    paths[name] = *made;
  }
  return paths;
}

Result<std::string> mount_source(const std::string& volume_path, std::string_view sub_path) {
  if (sub_path.empty()) return volume_path;
  const auto safe = safe_path(sub_path);
  if (!safe.ok())
    return Error{ErrorCode::invalid,
                 "subPath \"" + std::string(sub_path) + "\" must be relative and stay in the volume"};
  const std::string path = TRY(container::resolve_in_root(volume_path, *safe));
  if (!exists(path)) {
    TRY(make_dirs(path));
    struct stat info {};  // made as the volume is, so that who may write there may write here
    if (::stat(volume_path.c_str(), &info) == 0) {
      ::chmod(path.c_str(), info.st_mode & 07777u);
      [[maybe_unused]] const int owned = ::chown(path.c_str(), info.st_uid, info.st_gid);
    }
  }
  return path;
}

}  // namespace caisson::node
