// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/power_loss_test.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "cluster/store/store.h"
#include "core/base/file.h"

namespace caisson::store::testing {
namespace {

constexpr std::size_t kSector = 512;

// An open file: ours first, the real VFS's right behind it.
struct OpenFile {
  sqlite3_file base;
  PowerLossDisk* disk;
  std::string* path;  // null: not watched
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  const sqlite3_io_methods& does() { return *real()->pMethods; }
};
OpenFile* ours(sqlite3_file* file) {
  return reinterpret_cast<OpenFile*>(file);
}
PowerLossDisk* disk_of(sqlite3_vfs* vfs) {
  return static_cast<PowerLossDisk*>(vfs->pAppData);
}

int close_file(sqlite3_file* file) {
  delete std::exchange(ours(file)->path, nullptr);
  return ours(file)->real()->pMethods ? ours(file)->does().xClose(ours(file)->real()) : SQLITE_OK;
}
int read_bytes(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
  return ours(file)->does().xRead(ours(file)->real(), to, size, offset);
}
int write_bytes(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  OpenFile* f = ours(file);
  if (f->path) f->disk->wrote(*f->path, offset, {static_cast<const char*>(from), static_cast<std::size_t>(size)});
  return f->does().xWrite(f->real(), from, size, offset);
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  OpenFile* f = ours(file);
  if (f->path) f->disk->truncated(*f->path, size);
  return f->does().xTruncate(f->real(), size);
}
// The real disk is not asked to sync: what counts is the model, and the test is quicker.
int sync_file(sqlite3_file* file, int flags) {
  OpenFile* f = ours(file);
  if (!f->path) return f->does().xSync(f->real(), flags);
  f->disk->synced(*f->path);
  return SQLITE_OK;
}

constexpr sqlite3_io_methods kMethods = {
    2,
    close_file,
    read_bytes,
    write_bytes,
    truncate_file,
    sync_file,
    [](sqlite3_file* f, sqlite3_int64* size) { return ours(f)->does().xFileSize(ours(f)->real(), size); },
    [](sqlite3_file* f, int lock) { return ours(f)->does().xLock(ours(f)->real(), lock); },
    [](sqlite3_file* f, int lock) { return ours(f)->does().xUnlock(ours(f)->real(), lock); },
    [](sqlite3_file* f, int* out) { return ours(f)->does().xCheckReservedLock(ours(f)->real(), out); },
    [](sqlite3_file* f, int op, void* arg) { return ours(f)->does().xFileControl(ours(f)->real(), op, arg); },
    [](sqlite3_file* f) { return ours(f)->does().xSectorSize(ours(f)->real()); },
    [](sqlite3_file* f) { return ours(f)->does().xDeviceCharacteristics(ours(f)->real()); },
    [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
      return ours(f)->does().xShmMap(ours(f)->real(), page, size, extend, out);
    },
    [](sqlite3_file* f, int offset, int n, int flags) {
      return ours(f)->does().xShmLock(ours(f)->real(), offset, n, flags);
    },
    [](sqlite3_file* f) { ours(f)->does().xShmBarrier(ours(f)->real()); },
    [](sqlite3_file* f, int remove) { return ours(f)->does().xShmUnmap(ours(f)->real(), remove); },
    nullptr,
    nullptr};

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  PowerLossDisk* disk = disk_of(vfs);
  OpenFile* f = ours(file);
  f->disk = disk;
  f->path = nullptr;
  f->base.pMethods = nullptr;
  const int code = disk->real()->xOpen(disk->real(), path, f->real(), flags, out_flags);
  if (code != SQLITE_OK) return code;
  if (path && disk->watches(path)) f->path = new std::string(path);
  f->base.pMethods = &kMethods;
  return SQLITE_OK;
}
int delete_file(sqlite3_vfs* vfs, const char* path, int sync) {
  disk_of(vfs)->removed(path);
  return disk_of(vfs)->real()->xDelete(disk_of(vfs)->real(), path, sync);
}

}  // namespace

PowerLossDisk::PowerLossDisk(PowerLossOptions options)
    : options_(std::move(options)),
      real_(sqlite3_vfs_find(nullptr)),
      vfs_(std::make_unique<sqlite3_vfs>(*real_)),
      random_(options_.seed) {
  vfs_->zName = "power-loss";
  vfs_->szOsFile = real_->szOsFile + static_cast<int>(sizeof(OpenFile));
  vfs_->pAppData = this;
  vfs_->xOpen = open_file;
  vfs_->xDelete = delete_file;
  vfs_->xAccess = [](sqlite3_vfs* v, const char* path, int flags, int* out) {
    return disk_of(v)->real()->xAccess(disk_of(v)->real(), path, flags, out);
  };
  vfs_->xFullPathname = [](sqlite3_vfs* v, const char* path, int size, char* out) {
    return disk_of(v)->real()->xFullPathname(disk_of(v)->real(), path, size, out);
  };
  sqlite3_vfs_register(vfs_.get(), 1);
}

PowerLossDisk::~PowerLossDisk() {
  sqlite3_vfs_unregister(vfs_.get());
  sqlite3_vfs_register(real_, 1);
}

std::vector<DiskImage> PowerLossDisk::images() const {
  const std::lock_guard lock(mutex_);
  return images_;
}

void PowerLossDisk::wrote(const std::string& path, std::int64_t offset, std::string_view bytes) {
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

void PowerLossDisk::truncated(const std::string& path, std::int64_t size) {
  const std::lock_guard lock(mutex_);
  files_[path].pending.push_back({size, "", true});
  maybe_image();
}

void PowerLossDisk::synced(const std::string& path) {
  const std::lock_guard lock(mutex_);
  maybe_image();
  if (!options_.lying_suffix.empty() && path.ends_with(options_.lying_suffix)) return;
  File& file = files_[path];
  for (const Change& change : file.pending) apply(file.durable, change);
  file.pending.clear();
  maybe_image();
}

void PowerLossDisk::removed(const std::string& path) {
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
    auto store = Store::open(dir.path() + "/store.db", clock, {.history_revisions_max = 30}).value();
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
