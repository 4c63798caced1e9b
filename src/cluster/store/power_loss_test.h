// SPDX-License-Identifier: Apache-2.0
// A disk that loses power, for tests: it remembers, for the files below a directory, what was written and not yet
// synced. At random calls it takes an image: what the disk could hold after the power failed right then, namely all
// that was synced and any part of the rest, sector by sector, in any order. The program runs on. Threads: any.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/store/watched_disk_test.h"

namespace caisson::store::testing {

struct PowerLossOptions {
  std::string directory;  // files below it are watched
  std::uint32_t seed = 0;
  unsigned image_every = 0;       // an image at one of so many writes and syncs
  std::string lying_suffix;       // syncs of files that end with it do nothing: "-wal", ".db"
  std::function<void()> witness;  // called as an image is taken: whatever is acknowledged by now must be in it
};

// What a file could hold, by its path.
using DiskImage = std::map<std::string, std::string>;

class PowerLossDisk : public WatchedDisk {
 public:
  explicit PowerLossDisk(PowerLossOptions options);
  std::vector<DiskImage> images() const;

  void writes(const std::string& path, std::int64_t offset, std::string_view bytes) override;
  void truncates(const std::string& path, std::int64_t size) override;
  // The real disk is not asked to sync: what counts is the model, and the test is quicker.
  bool syncs(const std::string& path) override;
  void removes(const std::string& path) override;

 private:
  struct Change {
    std::int64_t offset = 0;  // of bytes; of a truncation the new size
    std::string bytes;
    bool truncation = false;
  };
  struct File {
    std::string durable;
    std::vector<Change> pending;
  };
  static void apply(std::string& content, const Change& change);
  void maybe_image();  // mutex_ is held
  std::string could_hold(const File& file);

  const PowerLossOptions options_;
  mutable std::mutex mutex_;
  std::mt19937 random_;                // guarded by mutex_
  std::map<std::string, File> files_;  // guarded by mutex_
  std::vector<DiskImage> images_;      // guarded by mutex_
};

}  // namespace caisson::store::testing
