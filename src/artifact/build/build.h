// SPDX-License-Identifier: Apache-2.0
// Building an image from a Dockerfile: stages, layers, cache. Each instruction that changes files (ADD, COPY, RUN,
// WORKDIR) is one layer in the LayerStore, looked up by what it depends on: the layers below, the instruction, its
// inputs' contents. Needs root: overlay mounts, owners, runc. Source: the Dockerfile reference of BuildKit
// (docs.docker.com/reference/dockerfile), frontend v1.
// Threads: build_image blocks for as long as the build takes; several builds may run at once with different ids.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "artifact/build/cache_image.h"
#include "artifact/content/image.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/trace.h"

namespace caisson::content {
class BlobStore;
class LayerStore;
}  // namespace caisson::content
namespace caisson::container {
class Containers;
}

namespace caisson::build {

struct BaseImage {
  content::Digest digest;      // of the manifest
  content::Manifest manifest;  // layers that have no tree yet are unpacked from blobs
  content::ImageConfig config;
  bool stand_in = false;  // said in the log
};

// What gives RUN steps links in network namespaces of their own, so that they see nothing of the host's loopback.
class StepNetwork {
 public:
  virtual ~StepNetwork() = default;
  virtual Result<void> attach(const std::string& id, const std::string& network_namespace) = 0;
  virtual Result<void> detach(const std::string& id) = 0;
  virtual std::string resolv_conf() const = 0;  // the text that a step's /etc/resolv.conf has
};

// What a build works with. All outlive it.
struct BuildServices {
  content::BlobStore& blobs;  // gets configuration and manifest
  content::LayerStore& layers;
  container::Containers& containers;
  // The image behind FROM or --from as written. Errors: not_found and unavailable are shown to the user.
  std::function<Result<BaseImage>(const std::string& reference, const content::Platform& platform)> base_image;
  std::string cache_dir;  // "<data>/cache/build": index of layers, cache mounts
  Clock& clock = system_clock();
  StepNetwork* network = nullptr;  // without one RUN steps have the host's
};

struct NamedContext {
  std::string directory;  // one of the two
  std::string image;
};

struct BuildRequest {
  std::string id;           // [a-z0-9-]+: container ids and the work directory
  std::string context_dir;  // the build may delete from it what .dockerignore names
  // relative to the context, or absolute; FILE.dockerignore beside it counts
  std::string dockerfile_path = "Dockerfile";
  std::string target;  // empty: the last stage
  std::vector<std::pair<std::string, std::string>> build_args, labels;
  content::Platform platform;
  std::vector<std::pair<std::string, std::string>> add_hosts;  // name, address
  std::map<std::string, std::string> secrets;                  // id, contents
  std::map<std::string, std::string>
      ssh_keys;  // id, a private key: for RUN --mount=type=ssh, which may use, not read it
  std::map<std::string, NamedContext> contexts;
  std::string cache_scope;                         // cache mounts are shared within it: the namespace
  bool use_cache = true, cache_run_layers = true;  // the latter: RUN steps are looked up, too
  // Older layers are made again; nobody knows the age of those that SOURCE_DATE_EPOCH dates.
  std::optional<Duration> cache_age_max;
  std::vector<std::string> ignore_paths;  // absolute: what steps leave there is no part of a layer
  // From elsewhere: asked when the own cache has nothing, for this build only, so that nobody can give others layers.
  std::vector<CacheEntry> imported_cache;
  bool trust_host_ca = false;  // the host's CA bundle in RUN steps
  Duration step_time_max = std::chrono::hours(1);
  std::function<void(std::string_view)> log;  // what a person reads, in pieces
  std::stop_token stop;
  SpanSink* spans = nullptr;
  TraceContext trace;  // parent of the spans `layer …`
};

struct BuildResult {
  content::Digest manifest;
  content::ImageConfig config;
  std::vector<content::Descriptor> layers;
  int steps_cached = 0, steps_run = 0;
  std::vector<CacheEntry> cache;  // of every layer that an instruction made or found, in the order of the instructions
};

// Errors name the Dockerfile's line and instruction: "Dockerfile:7: RUN make: process … did not complete successfully:
// exit code: 2". bad_request and invalid: the Dockerfile or context is wrong; unavailable: stopped; timeout.
Result<BuildResult> build_image(const BuildRequest& request, const BuildServices& services);

// Takes away mounts and scratch files that builds left when the program was killed. Call once, before any build.
Result<void> clean_up_builds(const BuildServices& services);

}  // namespace caisson::build
