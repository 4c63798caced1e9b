// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/watched_disk_test.h"

#include <sqlite3.h>

#include <utility>

namespace caisson::store::testing {
namespace {

// An open file: ours first, the real VFS's right behind it.
struct OpenFile {
  sqlite3_file base;
  WatchedDisk* disk;
  std::string* path;  // null: not watched
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  const sqlite3_io_methods& does() { return *real()->pMethods; }
};
OpenFile* ours(sqlite3_file* file) {
  return reinterpret_cast<OpenFile*>(file);
}
WatchedDisk* disk_of(sqlite3_vfs* vfs) {
  return static_cast<WatchedDisk*>(vfs->pAppData);
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
  if (f->path) f->disk->writes(*f->path, offset, {static_cast<const char*>(from), static_cast<std::size_t>(size)});
  return f->does().xWrite(f->real(), from, size, offset);
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  OpenFile* f = ours(file);
  if (f->path) f->disk->truncates(*f->path, size);
  return f->does().xTruncate(f->real(), size);
}
int sync_file(sqlite3_file* file, int flags) {
  OpenFile* f = ours(file);
  if (!f->path) return f->does().xSync(f->real(), flags);
  const int code = f->disk->syncs(*f->path) ? f->does().xSync(f->real(), flags) : SQLITE_OK;
  f->disk->synced(*f->path);
  return code;
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
  WatchedDisk* disk = disk_of(vfs);
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
  disk_of(vfs)->removes(path);
  return disk_of(vfs)->real()->xDelete(disk_of(vfs)->real(), path, sync);
}

}  // namespace

WatchedDisk::WatchedDisk(std::string directory)
    : directory_(std::move(directory)),
      real_(sqlite3_vfs_find(nullptr)),
      vfs_(std::make_unique<sqlite3_vfs>(*real_)) {
  vfs_->zName = "watched";
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

WatchedDisk::~WatchedDisk() {
  sqlite3_vfs_unregister(vfs_.get());
  sqlite3_vfs_register(real_, 1);
}

}  // namespace caisson::store::testing
