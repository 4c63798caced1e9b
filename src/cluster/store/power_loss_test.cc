// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/power_loss_test.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <thread>

#include "cluster/store/store.h"
#include "core/base/file.h"

namespace caisson::store::testing {
namespace {
constexpr std::size_t kSector = 512;
}

PowerLossDisk::PowerLossDisk(PowerLossOptions options)
    : WatchedDisk(options.directory), options_(std::move(options)), random_(options_.seed) {}

std::vector<DiskImage> PowerLossDisk::images() const {
  const std::lock_guard lock(mutex_);
  return images_;
}

void PowerLossDisk::writes(const std::string& path, std::int64_t offset, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  File& file = files_[path];
  while (!bytes.empty()) {  // as pieces that do not cross a sector's border: each may be lost alone
    const std::size_t room = kSector - static_cast<std::size_t>(offset) % kSector;
    file.pending.push_back({offset, std::string(bytes.substr(0, room)), false});
    offset += static_cast<std::int64_t>(std::min(room, bytes.size()));
    bytes.remove_prefix(std::min(room, bytes.size()));
  }
  maybe_image();
}

void PowerLossDisk::truncates(const std::string& path, std::int64_t size) {
  const std::lock_guard lock(mutex_);
  files_[path].pending.push_back({size, "", true});
  maybe_image();
}

bool PowerLossDisk::syncs(const std::string& path) {
  const std::lock_guard lock(mutex_);
  maybe_image();
  if (!options_.lying_suffix.empty() && path.ends_with(options_.lying_suffix)) return false;
  File& file = files_[path];
  for (const Change& change : file.pending) apply(file.durable, change);
  file.pending.clear();
  maybe_image();
  return false;
}

void PowerLossDisk::removes(const std::string& path) {
  const std::lock_guard lock(mutex_);
  files_.erase(path);
}

void PowerLossDisk::apply(std::string& content, const Change& change) {
  const auto offset = static_cast<std::size_t>(change.offset);
  if (change.truncation) return content.resize(std::min(offset, content.size()));
  if (content.size() < offset + change.bytes.size()) content.resize(offset + change.bytes.size());
  content.replace(offset, change.bytes.size(), change.bytes);
}

std::string PowerLossDisk::could_hold(const File& file) {
  std::string content = file.durable;
  const unsigned kept_of_eight = random_() % 9;  // from nothing to all
  for (const Change& change : file.pending)
    if (random_() % 8 < kept_of_eight) apply(content, change);
  return content;
}

void PowerLossDisk::maybe_image() {
  if (options_.image_every == 0 || random_() % options_.image_every != 0) return;
  options_.witness();
  DiskImage image;
  for (const auto& [path, file] : files_) image[path] = could_hold(file);
  images_.push_back(std::move(image));
}

}  // namespace caisson::store::testing

using namespace caisson;
using namespace caisson::store;
using namespace caisson::store::testing;

namespace {

constexpr int kWriters = 3, kNames = 5;

struct Acknowledged {
  std::array<std::array<std::atomic<std::int64_t>, kNames>, kWriters> number{};
  std::vector<std::int64_t> seen() const {
    std::vector<std::int64_t> out;
    for (const auto& writer : number)
      for (const auto& one : writer) out.push_back(one.load());
    return out;
  }
};

std::string name_of(int writer, int i) {
  return "w" + std::to_string(writer) + "-" + std::to_string(i);
}

Change put(const std::string& ns, const std::string& name, std::int64_t n) {
  return {.key = {"things", ns, name},
          .value = Value{{"kind", "Thing"},
                         {"metadata", Value{{"name", name}}},
                         {"spec", Value{{"n", n}, {"pad", std::string(700, 'x')}}}}};
}

// Each transaction writes one number to two objects; what is acknowledged is noted.
void write_pairs(Store& store, int writer, int count, Acknowledged& acknowledged) {
  for (int n = 1; n <= count; ++n) {
    const std::string name = name_of(writer, n % kNames);
    const auto done = store.commit({put("left", name, n), put("right", name, n)});
    REQUIRE_MESSAGE(done.ok(), done.error().message);
    acknowledged.number[static_cast<std::size_t>(writer)][static_cast<std::size_t>(n % kNames)] = n;
  }
}

struct Losses {
  int images = 0, unreadable = 0, torn = 0, lost = 0;
  int all() const { return unreadable + torn + lost; }
};

std::int64_t number_in(const Store& store, const std::string& ns, const std::string& name) {
  const ItemPtr item = store.get("things", ns, name);
  return item ? item->value()["spec"]["n"].as_int() : 0;
}

// Opens what the disk could hold and looks for what was acknowledged.
void look_at(const DiskImage& image, const std::string& key, const std::vector<std::int64_t>& acknowledged,
             Losses& losses) {
  TempDir dir = TempDir::make("power-image").value();
  for (const auto& [path, bytes] : image) REQUIRE(write_file_unsynced(dir.path() + "/" + path_base(path), bytes).ok());
  REQUIRE(write_file_unsynced(dir.path() + "/store.db.key", key, 0600).ok());
  FakeClock clock;
  const auto store = Store::open(dir.path() + "/store.db", clock);
  ++losses.images;
  if (!store.ok()) return (void)++losses.unreadable;
  bool torn = false, lost = false;
  for (int writer = 0; writer < kWriters; ++writer)
    for (int i = 0; i < kNames; ++i) {
      const std::int64_t left = number_in(**store, "left", name_of(writer, i)),
                         right = number_in(**store, "right", name_of(writer, i));
      torn = torn || left != right;
      lost = lost || left < acknowledged[static_cast<std::size_t>(writer * kNames + i)];
    }
  losses.torn += torn;
  losses.lost += lost;
}

Losses run(std::uint32_t seed, const std::string& lying_suffix, int count, unsigned image_every) {
  TempDir dir = TempDir::make("power").value();
  FakeClock clock;
  Acknowledged acknowledged;
  std::vector<std::vector<std::int64_t>> witnessed;
  std::vector<DiskImage> images;
  std::string key;
  {
    PowerLossDisk disk(
        {dir.path(), seed, image_every, lying_suffix, [&] { witnessed.push_back(acknowledged.seen()); }});
    // A short history, so that rows are erased and pages are used again.
    auto store =
        Store::open(dir.path() + "/store.db", clock, {.history_revisions_max = 30, .wal_bytes = 600 << 10}).value();
    key = read_file(dir.path() + "/store.db.key").value();
    std::vector<std::thread> writers;
    for (int writer = 0; writer < kWriters; ++writer)
      writers.emplace_back([&, writer] { write_pairs(*store, writer, count, acknowledged); });
    for (std::thread& writer : writers) writer.join();
    store.reset();
    images = disk.images();
  }
  Losses losses;
  REQUIRE(images.size() == witnessed.size());
  for (std::size_t i = 0; i < images.size(); ++i) look_at(images[i], key, witnessed[i], losses);
  return losses;
}

}  // namespace

TEST_CASE("a power failure at any moment loses nothing that was acknowledged and tears no transaction") {
  for (const std::uint32_t seed : {1u, 2u, 3u}) {
    CAPTURE(seed);
    const Losses losses = run(seed, "", 1'500, 400);
    MESSAGE(losses.images << " power failures");
    CHECK(losses.images > 20);
    CHECK(losses.unreadable == 0);
    CHECK(losses.torn == 0);
    CHECK(losses.lost == 0);
  }
}

TEST_CASE("the power-failure test notices a sync that does nothing") {
  for (const char* suffix : {"-wal", ".db"}) {
    CAPTURE(suffix);
    const Losses losses = run(4, suffix, 1'500, 400);
    MESSAGE(losses.images << " power failures, " << losses.lost << " lost, " << losses.torn << " torn, "
                          << losses.unreadable << " unreadable");
    CHECK(losses.all() > 0);
  }
}
