// SPDX-License-Identifier: Apache-2.0
// The tree that a build reads: the caller's, and beside it each fetched repository under a folder of its own name
// ("+github.com_org_repo@v1/…"; no "+" name of the caller's tree is hidden, for these are looked up first and only
// where one was mounted). A chart that was pulled appears where kustomize would leave it. One thread.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "delivery/render/inputs.h"
#include "delivery/render/remote.h"
#include "delivery/render/render.h"

namespace caisson::render::kustomize_impl {

class Mounts final : public FileSource {
 public:
  Mounts(const FileSource& own, Fetcher* fetcher, bool inputs_wanted = false)
      : own_(own), fetcher_(fetcher), inputs_wanted_(inputs_wanted) {}
  Result<std::string> read(const std::string& path) const override;
  Result<std::vector<Entry>> list(const std::string& directory) const override;

  // The folder that a repository URL leads to; fetched when this is the first time. Errors: the Fetcher's; unavailable
  // when there is none.
  Result<std::string> mount(const RepositoryUrl& url);
  Result<std::string> fetch_file(const std::string& url);
  // `files` are what is below `folder` from now on. `origin` names them among the inputs, with their archive's digest.
  void mount_chart(const std::string& folder, std::map<std::string, std::string> files, const std::string& origin,
                   const std::string& archive);
  std::vector<Input> inputs() const;  // of what was fetched, if that is wanted: sorted by path
  // The mount that a path lies in ("+github.com_org_repo@v1"); empty: the caller's tree.
  std::string mount_of(const std::string& path) const;

 private:
  struct Place {
    const FileSource* source;
    std::string path;
  };
  Place place_of(const std::string& path) const;

  const FileSource& own_;
  Fetcher* fetcher_;
  bool inputs_wanted_;
  struct Mounted {
    std::shared_ptr<const FileSource> source;
    std::unique_ptr<RecordingSource> recorded;
  };
  std::map<std::string, Mounted> mounted_;
  std::map<std::string, std::string> fetched_;       // URL → text
  std::map<std::string, MemorySource> charts_;       // folder → its files
  std::map<std::string, std::string> chart_inputs_;  // origin → the archive's digest
};

}  // namespace caisson::render::kustomize_impl
