// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/inputs.h"

#include "core/base/file.h"
#include "core/base/hash.h"

namespace caisson::render {

Result<std::string> RecordingSource::read(const std::string& path) const {
  std::string text = TRY(source_.read(path));
  if (!wanted_) return text;
  const std::string clean = path_clean(path);
  if (!read_.contains(clean)) read_[clean] = sha256_hex(text);
  return text;
}

std::vector<Input> RecordingSource::inputs() const {
  std::vector<Input> out;
  for (const auto& [path, sha256] : read_) out.push_back({path, sha256});
  return out;
}

}  // namespace caisson::render
