// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/tag_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "artifact/content/aside.h"
#include "artifact/content/reference.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "core/base/text.h"

namespace caisson::content {
namespace {

std::string file_name(const Digest& digest) {
  return digest.algorithm + "-" + digest.hex;
}

Result<Digest> digest_of(std::string_view name) {
  const std::size_t dash = name.find('-');
  if (dash == std::string_view::npos) return Error{ErrorCode::bad_request, "not a digest"};
  return Digest::parse(std::string(name.substr(0, dash)) + ":" + std::string(name.substr(dash + 1)));
}

Error no_tag(std::string_view repository, std::string_view tag) {
  return Error{ErrorCode::not_found, std::string(repository) + ":" + std::string(tag) + ": no such tag"};
}

Result<std::vector<std::string>> list_or_nothing(const std::string& path) {
  if (!exists(path)) return std::vector<std::string>{};
  return list_dir(path);
}

}  // namespace

struct TagIndex::Impl {
  std::string root;
  uid_t uid = 0;
  gid_t gid = 0;
  bool must_chown = false;

  // Every part of a path that comes here is checked, so that none leaves the root.
  Result<std::string> directory(std::string_view repository) const {
    if (!is_valid_repository(repository)) {
      return Error{ErrorCode::bad_request,
                   "invalid repository name \"" + std::string(repository.substr(0, 300)) + "\""};
    }
    return root + "/" + std::string(repository);
  }

  Result<void> own(const std::string& path) const {
    if (must_chown && ::lchown(path.c_str(), uid, gid) != 0) return errno_error("chown " + path);
    return {};
  }

  // Directories down to `path`, each owned as the root is and synced into its parent.
  Result<void> make(const std::string& path) const {
    if (exists(path)) return {};
    const std::string parent = path_dir(path);
    if (path.size() > root.size()) TRY(make(parent));
    if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) return errno_error("mkdir " + path);
    TRY(own(path));
    return sync_dir(parent);
  }

  Result<void> write(const std::string& directory, const std::string& name, std::string_view bytes) const {
    TRY(make(directory));
    TRY(make(root + "/_tmp"));
    // not beside the file: there it would look like a tag
    const std::string temporary = root + "/_tmp/" + random_uuid();
    const UniqueFd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
    if (!file) return errno_error("open " + temporary);
    TRY(write_all(file.get(), bytes));
    TRY(own(temporary));
    if (::fsync(file.get()) != 0) return errno_error("sync " + temporary);
    TRY(rename_file(temporary, directory + "/" + name));
    return sync_dir(directory);
  }

  static Result<std::vector<Digest>> digests(const std::string& directory) {
    std::vector<Digest> out;
    for (const std::string& name : TRY(list_or_nothing(directory)))
      if (Result<Digest> digest = digest_of(name); digest.ok()) out.push_back(*digest);
    return out;
  }

  Result<bool> remove_if_older(const std::string& path, Time than) const {
    TRY(make(root + "/_tmp"));
    return remove_file_if_older(path, root + "/_tmp/" + random_uuid(), than);
  }

  Result<void> collect(const std::string& path, const std::string& name, std::vector<std::string>& out) const {
    for (const std::string& below : TRY(list_or_nothing(path))) {
      if (below.starts_with("_")) continue;
      const std::string inner = name.empty() ? below : name + "/" + below;
      const std::string at = path + "/" + below;
      if (exists(at + "/_manifests") || exists(at + "/_blobs")) out.push_back(inner);
      TRY(collect(at, inner, out));
    }
    return {};
  }
};

TagIndex::TagIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TagIndex::TagIndex(TagIndex&&) noexcept = default;
TagIndex::~TagIndex() = default;

Result<TagIndex> TagIndex::open(std::string_view root) {
  auto impl = std::make_unique<Impl>();
  TRY(make_dirs(std::string(root), 0750));
  struct stat st {};
  if (::stat(std::string(root).c_str(), &st) != 0) return errno_error("stat " + std::string(root));
  impl->uid = st.st_uid;
  impl->gid = st.st_gid;
  impl->must_chown = ::geteuid() == 0 && (st.st_uid != 0 || st.st_gid != 0);
  impl->root = std::string(root) + "/tags";
  TRY(make_dirs(impl->root, 0750));
  TRY(impl->own(impl->root));
  return TagIndex(std::move(impl));
}

Result<Digest> TagIndex::find(std::string_view repository, std::string_view tag) const {
  const std::string directory = TRY(impl_->directory(repository));
  if (!is_valid_tag(tag)) return no_tag(repository, tag.substr(0, 140));
  const std::string path = directory + "/_tags/" + std::string(tag);
  if (!exists(path)) return no_tag(repository, tag);
  const std::string text = TRY(read_file(path, 1024));
  return Digest::parse(trim(text));
}

Result<void> TagIndex::set(std::string_view repository, std::string_view tag, const Digest& manifest) {
  const std::string directory = TRY(impl_->directory(repository));
  if (!is_valid_tag(tag))
    return Error{ErrorCode::bad_request, "invalid tag \"" + std::string(tag.substr(0, 140)) + "\""};
  TRY(manifest_type(repository, manifest));
  return impl_->write(directory + "/_tags", std::string(tag), manifest.str());
}

Result<void> TagIndex::remove(std::string_view repository, std::string_view tag) {
  TRY(find(repository, tag));
  const std::string directory = TRY(impl_->directory(repository)) + "/_tags";
  TRY(remove_file(directory + "/" + std::string(tag)));
  return sync_dir(directory);
}

bool TagIndex::touch(std::string_view repository, std::string_view tag) const {
  const Result<std::string> directory = impl_->directory(repository);
  return directory.ok() && is_valid_tag(tag) && touch_file(*directory + "/_tags/" + std::string(tag));
}

Result<bool> TagIndex::remove_if_older(std::string_view repository, std::string_view tag, Time than) {
  if (!is_valid_tag(tag)) return false;
  const std::string path = TRY(impl_->directory(repository)) + "/_tags/" + std::string(tag);
  if (!TRY(impl_->remove_if_older(path, than))) return false;
  TRY(sync_dir(path_dir(path)));
  return true;
}

Result<std::vector<std::string>> TagIndex::tags(std::string_view repository) const {
  const std::string directory = TRY(impl_->directory(repository));
  if (!exists(directory + "/_manifests") && !exists(directory + "/_blobs")) {
    return Error{ErrorCode::not_found, "repository " + std::string(repository) + " is not here"};
  }
  std::vector<std::string> names = TRY(list_or_nothing(directory + "/_tags"));
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::vector<std::string>> TagIndex::repositories() const {
  std::vector<std::string> out;
  TRY(impl_->collect(impl_->root, "", out));
  std::sort(out.begin(), out.end());
  return out;
}

Result<void> TagIndex::add_manifest(std::string_view repository, const Digest& manifest, std::string_view media_type) {
  const std::string directory = TRY(impl_->directory(repository));
  return impl_->write(directory + "/_manifests", file_name(manifest), media_type);
}

Result<std::string> TagIndex::manifest_type(std::string_view repository, const Digest& manifest) const {
  const std::string path = TRY(impl_->directory(repository)) + "/_manifests/" + file_name(manifest);
  if (!exists(path)) {
    return Error{ErrorCode::not_found, std::string(repository) + "@" + manifest.str() + ": no such manifest"};
  }
  return read_file(path, 1024);
}

Result<void> TagIndex::remove_manifest(std::string_view repository, const Digest& manifest) {
  TRY(manifest_type(repository, manifest));
  for (const std::string& tag : TRY(tags(repository))) {
    const Result<Digest> named = find(repository, tag);
    if (named.ok() && *named == manifest) TRY(remove(repository, tag));
  }
  const std::string directory = TRY(impl_->directory(repository)) + "/_manifests";
  TRY(remove_file(directory + "/" + file_name(manifest)));
  return sync_dir(directory);
}

Result<std::vector<Digest>> TagIndex::manifests(std::string_view repository) const {
  return impl_->digests(TRY(impl_->directory(repository)) + "/_manifests");
}

Result<void> TagIndex::add_blob(std::string_view repository, const Digest& blob) {
  if (touch_blob(repository, blob)) return {};
  const std::string directory = TRY(impl_->directory(repository));
  return impl_->write(directory + "/_blobs", file_name(blob), "");
}

bool TagIndex::has_blob(std::string_view repository, const Digest& blob) const {
  const Result<std::string> directory = impl_->directory(repository);
  return directory.ok() && exists(*directory + "/_blobs/" + file_name(blob));
}

Result<void> TagIndex::remove_blob(std::string_view repository, const Digest& blob) {
  if (!has_blob(repository, blob))
    return Error{ErrorCode::not_found, "blob " + blob.str() + " is not in " + std::string(repository)};
  const std::string directory = TRY(impl_->directory(repository)) + "/_blobs";
  TRY(remove_file(directory + "/" + file_name(blob)));
  return sync_dir(directory);
}

Result<std::vector<Digest>> TagIndex::blobs(std::string_view repository) const {
  return impl_->digests(TRY(impl_->directory(repository)) + "/_blobs");
}

bool TagIndex::touch_blob(std::string_view repository, const Digest& blob) const {
  const Result<std::string> directory = impl_->directory(repository);
  return directory.ok() && touch_file(*directory + "/_blobs/" + file_name(blob));
}

bool TagIndex::touch_manifest(std::string_view repository, const Digest& manifest) const {
  const Result<std::string> directory = impl_->directory(repository);
  return directory.ok() && touch_file(*directory + "/_manifests/" + file_name(manifest));
}

Result<bool> TagIndex::remove_blob_if_older(std::string_view repository, const Digest& blob, Time than) {
  return impl_->remove_if_older(TRY(impl_->directory(repository)) + "/_blobs/" + file_name(blob), than);
}

Result<bool> TagIndex::remove_manifest_if_older(std::string_view repository, const Digest& manifest, Time than) {
  return impl_->remove_if_older(TRY(impl_->directory(repository)) + "/_manifests/" + file_name(manifest), than);
}

Result<void> TagIndex::add_referrer(std::string_view repository, const Digest& subject, const Descriptor& referrer) {
  const std::string directory = TRY(impl_->directory(repository));
  Index one;
  one.manifests.push_back(referrer);
  return impl_->write(directory + "/_referrers/" + file_name(subject), file_name(referrer.digest), write_index(one));
}

Result<void> TagIndex::remove_referrer(std::string_view repository, const Digest& subject, const Digest& referrer) {
  const std::string directory = TRY(impl_->directory(repository)) + "/_referrers/" + file_name(subject);
  if (!exists(directory)) return {};
  TRY(remove_file(directory + "/" + file_name(referrer)));
  return sync_dir(directory);
}

Result<std::vector<Descriptor>> TagIndex::referrers(std::string_view repository, const Digest& subject) const {
  std::vector<Descriptor> out;
  const std::string directory = TRY(impl_->directory(repository)) + "/_referrers/" + file_name(subject);
  for (const std::string& name : TRY(list_or_nothing(directory))) {
    const std::string bytes = TRY(read_file(directory + "/" + name, kManifestBytesMax));
    const Index one = TRY(parse_index(bytes));
    out.insert(out.end(), one.manifests.begin(), one.manifests.end());
  }
  return out;
}

}  // namespace caisson::content
