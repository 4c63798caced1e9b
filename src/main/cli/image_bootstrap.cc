// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "artifact/bootstrap/bootstrap.h"
#include "artifact/content/archive.h"
#include "artifact/content/layer_store.h"
#include "core/base/file.h"
#include "main/cli/image_commands.h"
#include "main/cli/registry_access.h"

namespace caisson::cli {
namespace {

std::string package_cache() {
  const char* given = std::getenv("CAISSON_PACKAGE_CACHE");
  return given != nullptr && *given != '\0' ? given : user_cache_dir() + "/debs";
}

}  // namespace

Result<void> command_image_bootstrap(const ImageFlags& flags) {
  // Beside the archive: the temporary directory may be small.
  const TempDir dir =
      TRY(TempDir::make("caisson-bootstrap", flags.file.empty() ? std::string() : path_dir(flags.file)));
  content::BlobStore blobs = TRY(content::BlobStore::open(dir.path() + "/content"));
  const auto layers = TRY(content::LayerStore::open(dir.path() + "/layers"));
  bootstrap::Bootstrap stand_ins =
      TRY(bootstrap::Bootstrap::open({dir.path() + "/images", package_cache()}, blobs, *layers));
  if (flags.target.empty()) {
    for (const std::string& name : stand_ins.names()) std::printf("%s\n", name.c_str());
    return {};
  }
  if (flags.file.empty()) return Error{ErrorCode::bad_request, "say where the archive goes: --output FILE"};
  if (::geteuid() != 0)
    return Error{ErrorCode::forbidden,
                 "a base image has files of many owners, so making one needs root: sudo caisson image bootstrap …"};
  const content::Reference reference = TRY(parse_image(flags.target));
  const content::Digest digest = TRY(stand_ins.make(reference, [](std::string_view doing) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(doing.size()), doing.data());
  }));
  TRY(content::save_archive(flags.file, {{flags.target, digest}}, blobs, layers.get()));
  std::printf("%s@%s\n", flags.target.c_str(), digest.str().c_str());
  return {};
}

}  // namespace caisson::cli
