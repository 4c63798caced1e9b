// SPDX-License-Identifier: Apache-2.0
// `caisson image`: what is in a registry, images to and from archives. Talks to any OCI registry with docker's
// credentials.
#pragma once
#include <string>

#include "core/base/result.h"
#include "main/cli/session.h"

namespace caisson::cli {

struct ImageFlags {
  std::string target, file;
  std::string format;  // of `ls`: "json", or a table
};
// Without a target, `ls` and `load` mean the registry of the platform on this machine.
Result<void> command_image_list(const Global& global, const ImageFlags& flags);
Result<void> command_image_inspect(const Global& global, const ImageFlags& flags);
Result<void> command_image_save(const Global& global, const ImageFlags& flags);
Result<void> command_image_push(const Global& global, const ImageFlags& flags);
Result<void> command_image_load(const Global& global, const ImageFlags& flags);
Result<void> command_image_remove(const Global& global, const ImageFlags& flags);
// image_bootstrap.cc: a stand-in for a base image as an archive; without a name, the names there are. Errors: forbidden
// without root, which owners and device files of a root need.
Result<void> command_image_bootstrap(const ImageFlags& flags);

}  // namespace caisson::cli
