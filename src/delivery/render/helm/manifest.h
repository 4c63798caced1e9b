// SPDX-License-Identifier: Apache-2.0
// From rendered files to manifests: documents split, hooks told from resources, both in the order in which Helm
// installs kinds. Source: Helm 3.22 pkg/releaseutil. Pure; any thread.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::render::helm {

class DocumentCache;

struct Manifest {
  std::string source;   // "chart/templates/web.yaml"
  std::string content;  // as rendered, without blanks around it
  Value object;         // `content` read, or only the head of it: see Read
  std::string kind() const { return object["kind"].scalar_text(); }
};

// "pre-install", "post-install", "pre-delete", "post-delete", "pre-upgrade", "post-upgrade", "pre-rollback",
// "post-rollback", "test".
struct Hook {
  Manifest manifest;
  std::string name;
  std::vector<std::string> events, delete_policies, output_log_policies;
  std::int64_t weight = 0;
  bool has_event(std::string_view event) const;
};

struct Manifests {
  std::vector<Hook> hooks;
  std::vector<Manifest> resources;
};

// The documents of a stream, without blanks around them, empty ones left out.
std::vector<std::string> split_manifests(std::string_view text);

// How much of a document is read into Manifest::object. `heads`: of resources at least apiVersion, kind and
// metadata.name, which is enough to sort and print them; hooks, and what is not YAML, are found all the same.
enum class Read { whole, heads };

// Rendered texts, each read when it is there and in any order, put together at the end.
class ManifestReader {
 public:
  explicit ManifestReader(Read read = Read::whole, DocumentCache* documents = nullptr);  // borrowed, may be null
  ~ManifestReader();

  // Any thread. A partial is passed over; of one path, what is taken last counts.
  void take(std::string path, std::string text);

  // Once, when all were taken. Hooks of unknown events go into `warnings`. Errors: invalid "YAML parse error on PATH:
  // …", of the first path.
  Result<Manifests> sorted(std::vector<std::string>& warnings);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// All of `files` and what the reader was given before. `files`: rendered texts by path, read by two threads when that
// pays.
Result<Manifests> sort_manifests(ManifestReader& reader, std::map<std::string, std::string> files,
                                 std::vector<std::string>& warnings);

// Of `files` alone.
Result<Manifests> sort_manifests(std::map<std::string, std::string> files, std::vector<std::string>& warnings,
                                 Read read = Read::whole, DocumentCache* documents = nullptr);

// By InstallOrder or UninstallOrder; kinds that are in neither come last, by name. Keeps the order within a kind.
void sort_by_install_order(std::vector<Manifest>& manifests);
void sort_by_uninstall_order(std::vector<Manifest>& manifests);

}  // namespace caisson::render::helm
