// SPDX-License-Identifier: Apache-2.0
// `caisson image`: what is in a registry, images to and from archives. Talks to any OCI registry with docker's
// credentials.
#pragma once
#include <string>

#include "core/base/result.h"

namespace caisson::cli {

struct ImageFlags {
  std::string target, file;
  std::string format;  // of `ls`: "json", or a table
};
Result<void> command_image_list(const ImageFlags& flags);
Result<void> command_image_inspect(const ImageFlags& flags);
Result<void> command_image_save(const ImageFlags& flags);
Result<void> command_image_push(const ImageFlags& flags);
Result<void> command_image_load(const ImageFlags& flags);
Result<void> command_image_remove(const ImageFlags& flags);
// image_bootstrap.cc: a stand-in for a base image as an archive; without a name, the names there are. Errors: forbidden
// without root, which owners and device files of a root need.
Result<void> command_image_bootstrap(const ImageFlags& flags);

}  // namespace caisson::cli
