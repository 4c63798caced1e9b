// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/mounts.h"

#include <cctype>

#include "core/base/file.h"
#include "core/base/hash.h"

namespace caisson::render::kustomize_impl {
namespace {

std::string mount_name(const RepositoryUrl& url) {
  const std::size_t scheme = url.clone.find("://");
  std::string name = "+" + url.clone.substr(scheme == std::string::npos ? 0 : scheme + 3);
  name += "@" + (url.ref.empty() ? "HEAD" : url.ref) + (url.submodules ? "" : "-bare");
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-' && c != '@' && c != '+') c = '_';
  }
  return name;
}

Error refused(const std::string& what) {
  return Error{ErrorCode::unavailable, what + ": remote resources are not fetched here; keep a copy in the repository"};
}

}  // namespace

std::string Mounts::mount_of(const std::string& path) const {
  if (!path.starts_with("+")) return {};
  const std::string first = path.substr(0, path.find('/'));
  return mounted_.contains(first) ? first : std::string();
}

Mounts::Place Mounts::place_of(const std::string& path) const {
  for (const auto& [folder, files] : charts_) {
    if (path == folder) return {&files, "."};
    if (path.starts_with(folder + "/")) return {&files, path.substr(folder.size() + 1)};
  }
  const std::string name = mount_of(path);
  if (name.empty()) return {&own_, path};
  return {mounted_.at(name).recorded.get(), path.size() > name.size() ? path.substr(name.size() + 1) : "."};
}

Result<std::string> Mounts::read(const std::string& path) const {
  const Place place = place_of(path);
  return place.source->read(place.path);
}

Result<std::vector<FileSource::Entry>> Mounts::list(const std::string& directory) const {
  const Place place = place_of(directory);
  return place.source->list(place.path);
}

Result<std::string> Mounts::mount(const RepositoryUrl& url) {
  if (fetcher_ == nullptr) return refused(url.clone);
  const std::string name = mount_name(url);
  if (!mounted_.contains(name)) {
    std::shared_ptr<const FileSource> source = TRY(fetcher_->repository(url));
    auto recorded = std::make_unique<RecordingSource>(*source, inputs_wanted_);
    mounted_[name] = {std::move(source), std::move(recorded)};
  }
  const std::string folder = path_clean(path_join(name, url.path));
  if (!list(folder).ok())
    return Error{ErrorCode::not_found, url.clone + ": \"" + url.path + "\" is no folder of the repository"};
  return folder;
}

std::vector<Input> Mounts::inputs() const {
  std::vector<Input> out;
  if (!inputs_wanted_) return out;
  for (const auto& [name, mounted] : mounted_) {
    for (Input& input : mounted.recorded->inputs()) out.push_back({name + "/" + input.path, std::move(input.sha256)});
  }
  for (const auto& [url, text] : fetched_) out.push_back({url, sha256_hex(text)});
  for (const auto& [origin, digest] : chart_inputs_) out.push_back({origin, digest});
  return out;
}

void Mounts::mount_chart(const std::string& folder, std::map<std::string, std::string> files, const std::string& origin,
                         const std::string& archive) {
  charts_.insert_or_assign(folder, MemorySource(std::move(files)));
  if (inputs_wanted_) chart_inputs_[origin] = sha256_hex(archive);
}

Result<std::string> Mounts::fetch_file(const std::string& url) {
  if (fetcher_ == nullptr) return refused(url);
  const auto known = fetched_.find(url);
  if (known != fetched_.end()) return known->second;
  std::string text = TRY(fetcher_->file(url));
  return fetched_[url] = std::move(text);
}

}  // namespace caisson::render::kustomize_impl
