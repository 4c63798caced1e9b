// SPDX-License-Identifier: Apache-2.0
// A FileSource that remembers what was read through it, unless nobody wants to know. One thread.
#pragma once
#include <map>

#include "delivery/render/render.h"

namespace caisson::render {

class RecordingSource final : public FileSource {
 public:
  explicit RecordingSource(const FileSource& source, bool wanted = true) : source_(source), wanted_(wanted) {}
  Result<std::string> read(const std::string& path) const override;
  Result<std::vector<Entry>> list(const std::string& directory) const override { return source_.list(directory); }
  std::vector<Input> inputs() const;

 private:
  const FileSource& source_;
  bool wanted_;
  mutable std::map<std::string, std::string> read_;
};

}  // namespace caisson::render
