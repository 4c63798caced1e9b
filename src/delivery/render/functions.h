// SPDX-License-Identifier: Apache-2.0
// Generators and transformers that are programs: KRM functions. This room prepares their ResourceList and takes what
// they give; a FunctionRunner runs them, and without one a build refuses them. Source: the KRM functions specification
// (config.kubernetes.io/v1 ResourceList) and kustomize v5.8.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"

namespace caisson::render {

// Something that a function's container sees at `target`.
struct FunctionMount {
  enum class Kind { bind, tmpfs, volume };
  Kind kind = Kind::bind;
  std::string source, target;
  bool writable = false;
  bool operator==(const FunctionMount&) const = default;
  std::string str() const;  // as parse_function_mount (function_pod.h) reads it
};

struct FunctionCall {
  std::string name;                   // "Widget.v1.example.com/w.[noNs]", for messages
  std::string program;                // exec.path; empty: a container
  std::vector<std::string> args;      // exec.args
  std::vector<std::string> env;       // exec.env or container.envs, "NAME=value" or "NAME"
  std::string image;                  // container.image
  bool wants_network = false;         // container.network
  std::vector<FunctionMount> mounts;  // container.mounts
  std::string directory;              // of the kustomization, in the source; the program's working directory
  std::string input;                  // a ResourceList as YAML
};

// Threads: as the rendering that uses it. Errors: forbidden when the caller did not allow this kind; whatever running
// it gives, with what it wrote to standard error.
class FunctionRunner {
 public:
  virtual ~FunctionRunner() = default;
  virtual Result<std::string> run(const FunctionCall& call) = 0;  // its standard output
};

}  // namespace caisson::render
