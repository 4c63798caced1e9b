// SPDX-License-Identifier: Apache-2.0
// The builder of the agent: reconciles Build objects (docs/architecture.md, "Contracts between rooms"). A Build that
// was running when the program was killed is run again, from the layer cache; one that is deleted is stopped. Logs:
// <directory>/<ns>_<name>/log.
// Invariant: a Build's context is a blob of the repository contexts_repository(namespace); a Build can name no other,
// so what one namespace uploads another can't build from. A result is in builds_repository(namespace) before the status
// says Succeeded.
// Threads: any; builds run on threads of the builder's own.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "artifact/build/build.h"
#include "artifact/content/source.h"
#include "artifact/content/tag_index.h"
#include "cluster/kube/reconciler.h"

namespace caisson::build {

std::string contexts_repository(std::string_view ns);  // "<ns>/contexts": what the steps upload
std::string builds_repository(std::string_view ns);    // "<ns>/builds": results, to be mounted into other repositories

struct BuilderOptions {
  content::BlobStore& blobs;
  content::TagIndex& tags;
  content::LayerStore& layers;
  container::Containers& containers;
  std::function<Result<BaseImage>(const std::string& reference, const content::Platform& platform)> base_image;
  SpanSink* spans = nullptr;
  std::string directory;  // "<data>/builds"
  std::string cache_dir;  // "<data>/cache/build"
  int concurrent_max = 2;
  bool trust_host_ca = false;  // for Builds that do not say
  StepNetwork* network = nullptr;
};

class Builder {
 public:
  virtual ~Builder() = default;  // stops what runs; it is taken up again by the next start
  // The log so far; with `follow` the stream waits for more until the build has ended. Errors: not_found.
  virtual Result<content::ByteSource> open_log(const std::string& ns, const std::string& name, bool follow) = 0;
};

// Adds the reconciler; call before runtime.start(). The builder must live as long as the runtime runs.
// Errors: what cleaning up after a crash gives.
Result<std::unique_ptr<Builder>> add_builder(kube::Runtime& runtime, BuilderOptions options);

}  // namespace caisson::build
