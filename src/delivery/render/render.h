// SPDX-License-Identifier: Apache-2.0
// From a folder of a repository to the objects it describes: Kustomize (the behaviour of kustomize v5.8) and plain
// directories of YAML and JSON. Pure functions of a FileSource: the same files give the same bytes. What a
// kustomization names beyond its tree comes through the doors of Options (fetcher, charts, functions), closed unless
// the caller opens them.
//
// Every file that was read is an input of the result, so that a caller knows which change can alter it. Errors:
// bad_request or invalid, naming file and field ("overlays/prod/kustomization.yaml: images[0].newTag: must be a
// string"); not_found for a missing file. Threads: any; a FileSource is used by one rendering at a time.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::render {

// A tree of files. Paths are relative to its root, cleaned, without a leading "/"; "" or "." is the root.
class FileSource {
 public:
  struct Entry {
    std::string name;
    bool directory = false;
  };
  virtual ~FileSource() = default;
  virtual Result<std::string> read(const std::string& path) const = 0;  // not_found; bad_request for a directory
  virtual Result<std::vector<Entry>> list(const std::string& directory) const = 0;  // sorted by name; not_found
};

// A directory on disk. Links that lead out of it are refused. delivery/git has a source over a commit's tree.
std::unique_ptr<FileSource> disk_source(std::string root);

class MemorySource final : public FileSource {
 public:
  explicit MemorySource(std::map<std::string, std::string> files) : files_(std::move(files)) {}
  Result<std::string> read(const std::string& path) const override;
  Result<std::vector<Entry>> list(const std::string& directory) const override;

 private:
  std::map<std::string, std::string> files_;
};

// `path` is the URL for a file that was fetched, and begins with "+" and the repository for one of a fetched
// repository.
struct Input {
  std::string path, sha256;  // hex
};

struct Rendering {
  std::vector<Value> objects;         // in the order in which they are written
  std::vector<Input> inputs;          // sorted by path, each once
  std::vector<std::string> warnings;  // deprecated fields
  std::string yaml() const;           // documents between "---", keys sorted, as kustomize prints them
};

class Fetcher;         // remote.h
class ChartPuller;     // charts.h
class FunctionRunner;  // functions.h

struct Options {
  bool outside_root_allowed = false;  // --load-restrictor LoadRestrictionsNone: files above the kustomization's folder
  std::string managed_by = "kustomize-v5.8.2";  // value of the label that buildMetadata: [managedByLabel] adds
  bool managed_by_label = false;                // as if buildMetadata asked for it
  bool charts_enabled = false;                  // --enable-helm: helmCharts are rendered
  std::string chart_kube_version;               // --helm-kube-version, where the kustomization says nothing
  std::vector<std::string> chart_api_versions;  // --helm-api-versions, where the kustomization says nothing
  bool chart_debug = false;                     // --helm-debug: as if every chart had `debug: true`
  std::string order;                            // --reorder: legacy or fifo, where the kustomization says nothing
  bool inputs_wanted = true;                    // false: Rendering::inputs stays empty, and nothing is hashed for it
  Fetcher* fetcher = nullptr;                   // null: git and http(s) resources are refused
  ChartPuller* charts = nullptr;                // null: charts that do not lie in the tree are refused
  FunctionRunner* functions = nullptr;          // null: generators and transformers that are programs are refused
};
// `path`: a folder of the source, or a repository's URL.
Result<Rendering> kustomize(const FileSource& source, const std::string& path, const Options& options);

// As Argo CD reads a plain directory: every .yaml, .yml and .json file in order of its path.
struct DirectoryOptions {
  bool recurse = false;
  std::string include, exclude;  // globs over paths relative to the directory: "*.yaml", "{a,b}/**"; empty: all, none
};
Result<Rendering> directory(const FileSource& source, const std::string& path, const DirectoryOptions& options);

// Whether kustomize knows the object's kind to have no namespace.
bool is_cluster_scoped_object(const Value& object);

enum class Kind { kustomize, helm, directory };
// kustomize when the directory has a kustomization file, helm when it has a Chart.yaml. Errors: not_found when it is no
// directory.
Result<Kind> detect(const FileSource& source, const std::string& path);

// *, ?, [a-z], {a,b}, and ** over slashes.
bool glob_matches(std::string_view pattern, std::string_view path);

}  // namespace caisson::render
