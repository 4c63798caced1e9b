// SPDX-License-Identifier: Apache-2.0
// Tar, compression, extraction and layers. Needs root: owners, device nodes, trusted.* attributes.
#include "artifact/content/layer_store.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "artifact/content/compress.h"
#include "artifact/content/extract.h"
#include "core/base/file.h"
#include "core/base/process.h"

using namespace caisson;
using namespace caisson::content;

namespace {

struct Item {
  TarEntry entry;
  std::string contents;
};

Item file(std::string name, std::string contents, std::uint32_t mode = 0644) {
  TarEntry e;
  e.name = std::move(name);
  e.mode = mode;
  e.size_bytes = contents.size();
  e.mtime_s = 1'000'000'000;
  return {e, std::move(contents)};
}
Item other(EntryType type, std::string name, std::string link = "", std::uint32_t mode = 0755) {
  TarEntry e;
  e.type = type;
  e.name = std::move(name);
  e.link = std::move(link);
  e.mode = mode;
  e.mtime_s = 1'000'000'000;
  return {e, ""};
}

std::string tar_of(const std::vector<Item>& items) {
  std::string out;
  for (const Item& item : items) {
    append_header(out, item.entry);
    out += item.contents;
    out.append(padding_bytes(item.contents.size()), '\0');
  }
  return out + std::string(kTrailerBytes, '\0');
}

// In pieces of odd sizes, as a network gives them.
ByteSource dribble(std::string bytes) {
  return [bytes = std::move(bytes), at = std::size_t{0}]() mutable -> Result<std::string> {
    const std::string piece = bytes.substr(at, 333);
    at += piece.size();
    return piece;
  };
}

std::vector<std::string> run_lines(std::vector<std::string> args) {
  Command command;
  command.args = std::move(args);
  return {run_checked(command).value()};
}

}  // namespace

TEST_CASE("what the writer writes the reader reads, long names, big owners, attributes and odd times included") {
  TarEntry odd = file(std::string(150, 'n') + "/한글", "xyz").entry;
  odd.uid = 4'000'000'000u;
  odd.mtime_s = -2;
  odd.mtime_ns = 500'000'000;
  odd.xattrs = {{"security.capability", std::string("\1\0\0\2", 4)}, {"user.x", "y=z\n"}};
  TarEntry link = other(EntryType::symlink, "l", std::string(200, 't')).entry;
  TarEntry device = other(EntryType::char_device, "d").entry;
  device.device_major = 5;
  device.device_minor = 1;
  const std::vector<Item> items = {{odd, "xyz"}, {link, ""}, {device, ""}};
  TarReader reader(dribble(tar_of(items)));
  for (const Item& item : items) {
    const Result<std::optional<TarEntry>> entry = reader.next();
    REQUIRE(entry.ok());
    REQUIRE(entry->has_value());
    CHECK((*entry)->name == item.entry.name);
    CHECK(**entry == item.entry);
  }
  CHECK_FALSE(reader.next()->has_value());
}

TEST_CASE("GNU tar's own archives are read") {
  const Result<TempDir> dir = TempDir::make();
  const std::string long_name(180, 'q');
  REQUIRE(write_file_unsynced(dir->path() + "/" + long_name, "data").ok());
  for (const char* format : {"gnu", "pax", "ustar"}) {
    CAPTURE(format);
    if (std::string_view(format) == "ustar")
      REQUIRE(rename_file(dir->path() + "/" + long_name, dir->path() + "/short").ok());
    run_lines({"tar", std::string("--format=") + format, "-C", dir->path(), "-cf", dir->path() + ".tar", "."});
    TarReader reader(dribble(*read_file(dir->path() + ".tar")));
    bool found = false;
    for (;;) {
      const Result<std::optional<TarEntry>> entry = reader.next();
      REQUIRE(entry.ok());
      if (!entry->has_value()) break;
      if ((*entry)->type == EntryType::file) {
        found = (*entry)->name == "./" + long_name || (*entry)->name == "./short";
        CHECK(*reader.read_some() == "data");
      }
    }
    CHECK(found);
    REQUIRE(remove_file(dir->path() + ".tar").ok());
  }
}

TEST_CASE("every compression is found by its first bytes and undone, also when members follow one another") {
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += static_cast<char>('a' + (i % 1000) * (i % 1000) % 23);
  const std::string gzip = *read_all(*compress_gzip(dribble(text)), 1u << 24);
  const std::string zstd = *read_all(compress_zstd(dribble(text)), 1u << 24);
  CHECK(detect_compression(gzip) == Compression::gzip);
  CHECK(*read_all(*decompress(dribble(gzip)), 1u << 24) == text);
  CHECK(*read_all(*decompress(dribble(gzip + gzip)), 1u << 24) == text + text);
  CHECK(*read_all(*decompress(dribble(zstd + zstd)), 1u << 24) == text + text);
  CHECK(*read_all(*decompress(dribble(text)), 1u << 24) == text);
  for (const char* program : {"bzip2", "xz", "gzip"}) {
    CAPTURE(program);
    Command command;
    command.args = {program, "-c"};
    command.input = text;
    CHECK(*read_all(*decompress(dribble(*run_checked(command))), 1u << 24) == text);
  }
  CHECK_FALSE(read_all(*decompress(dribble(gzip.substr(0, gzip.size() / 2))), 1u << 24).ok());
  CHECK_FALSE(read_all(*decompress(dribble(zstd.substr(0, zstd.size() / 2))), 1u << 24).ok());
}

TEST_CASE("archives can't leave the directory") {
  const Result<TempDir> dir = TempDir::make();
  const std::string outside = dir->path() + "/outside", root = dir->path() + "/root";
  REQUIRE(make_dirs(outside).ok());
  struct Case {
    std::vector<Item> items;
    bool refused;
  };
  const std::vector<Case> cases = {
      {{file("../outside/x", "x")}, true},
      {{file("/../outside/x", "x")}, true},
      {{other(EntryType::symlink, "l", outside), file("l/x", "x")}, true},  // dangling inside the root
      {{other(EntryType::symlink, "l", "../outside"), file("l/x", "x")}, true},
      {{other(EntryType::symlink, "l", "../../.."), file("l/x", "x")}, false},  // ".." stops at the root
      {{other(EntryType::symlink, "l", "/"), other(EntryType::hard_link, "h", "l/../outside")}, true},
      {{other(EntryType::hard_link, "h", "../outside")}, true},
      // cut at the NUL by the format
      {{file(std::string("a\0b", 3), "x")}, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.items[0].entry.name);
    REQUIRE(remove_tree(root).ok());
    REQUIRE(make_dirs(root).ok());
    Extractor extractor = Extractor::open(root).value();
    bool failed = false;
    TarReader reader(from_string(tar_of(c.items)));
    for (;;) {
      Result<std::optional<TarEntry>> entry = reader.next();
      if (!entry.ok() || !entry->has_value()) break;
      if (!extractor.add(**entry, [&] { return reader.read_some(); }).ok()) failed = true;
    }
    CHECK(failed == c.refused);
    CHECK(list_dir(outside)->empty());
  }
}

TEST_CASE("an archive of more than a million entries is refused by their number, and nothing of it stays") {
  // Made as it is read: nobody holds half a gigabyte of headers.
  const auto endless = [](std::uint64_t entries) {
    return ByteSource([left = entries]() mutable -> Result<std::string> {
      std::string piece;
      for (int i = 0; i < 1000 && left > 0; ++i, --left) append_header(piece, other(EntryType::directory, "d").entry);
      return piece;
    });
  };
  TarReader reader(endless(2'000'000));
  std::uint64_t read = 0;
  Result<std::optional<TarEntry>> entry = reader.next();
  for (; entry.ok() && entry->has_value(); entry = reader.next()) ++read;
  REQUIRE_FALSE(entry.ok());
  CHECK(read == 1'000'000);
  CHECK(entry.error().code == ErrorCode::too_large);
  CHECK(entry.error().message == "tar: more than 1000000 entries");

  const TempDir dir = TempDir::make().value();
  const std::unique_ptr<LayerStore> store = LayerStore::open(dir.path(), {.entries_max = 1000}).value();
  const Result<LayerInfo> layer = store->unpack(Digest::of("any"), endless(5000));
  REQUIRE_FALSE(layer.ok());
  CHECK(layer.error().message == "tar: more than 1000 entries");
  CHECK(list_dir(store->work_dir())->empty());
  // Nor does a layer become one that could not be read back.
  REQUIRE(make_dirs(dir.path() + "/tree").ok());
  for (int i = 0; i <= 1000; ++i) REQUIRE(make_dirs(dir.path() + "/tree/" + std::to_string(i)).ok());
  CHECK(store->commit(dir.path() + "/tree").error().message == "a layer of more than 1000 entries");
}

TEST_CASE("malformed, truncated and oversized archives are refused") {
  const std::string good = tar_of({file("a", std::string(2000, 'x')), file("b", "y")});
  const auto walk = [](std::string bytes, ArchiveLimits limits = {}) -> Result<void> {
    TarReader reader(dribble(std::move(bytes)), limits);
    for (;;) {
      const std::optional<TarEntry> entry = TRY(reader.next());
      if (!entry) return {};
    }
  };
  CHECK(walk(good).ok());
  CHECK_FALSE(walk(good.substr(0, 700)).ok());
  CHECK_FALSE(walk(good.substr(0, 300)).ok());
  std::string damaged = good;
  damaged[3] ^= 1;
  CHECK_FALSE(walk(damaged).ok());
  CHECK(walk(good, {.entries_max = 1}).error().code == ErrorCode::too_large);
  CHECK(walk(good, {.bytes_max = 1000}).error().code == ErrorCode::too_large);
  std::string sparse = good;
  sparse[156] = 'S';
  sparse.replace(148, 8, "        ");
  unsigned sum = 0;
  for (int i = 0; i < 512; ++i) sum += static_cast<unsigned char>(sparse[static_cast<std::size_t>(i)]);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  sparse.replace(148, 7, std::string(text, 7));
  const Result<void> refused = walk(sparse);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find("sparse") != std::string::npos);
}

TEST_CASE("a layer is unpacked with whiteouts, owners and capabilities, and its tar streams again byte for byte") {
  const Result<TempDir> dir = TempDir::make();
  const Result<std::unique_ptr<LayerStore>> store = LayerStore::open(dir->path() + "/layers");
  REQUIRE(store.ok());
  LayerStore& layers = **store;
  Item owned = file("etc/shadow", "secret\n", 0640);
  owned.entry.uid = 7;
  owned.entry.gid = 42;
  Item suid = file("bin/su", std::string(100'000, 's'), 04755);
  suid.entry.xattrs = {{"user.note", "n"}};
  const std::string tar =
      tar_of({other(EntryType::directory, "etc/"), owned, suid, other(EntryType::hard_link, "bin/su2", "bin/su"),
              other(EntryType::symlink, "lnk", "/etc/shadow"), file("var/.wh.gone", ""), file("opt/.wh..wh..opq", "")});
  const Digest digest = Digest::of(tar);
  const std::string gzip = *read_all(*compress_gzip(from_string(tar)), 1u << 24);
  REQUIRE(layers.unpack(digest, dribble(gzip)).ok());
  CHECK(layers.has(digest));
  const std::string tree = layers.tree(digest);
  struct stat st {};
  REQUIRE(::lstat((tree + "/etc/shadow").c_str(), &st) == 0);
  CHECK(st.st_uid == 7);
  CHECK(st.st_gid == 42);
  CHECK(st.st_mtim.tv_sec == 1'000'000'000);
  REQUIRE(::lstat((tree + "/bin/su2").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 04755);
  CHECK(st.st_nlink == 2);
  REQUIRE(::lstat((tree + "/var/gone").c_str(), &st) == 0);
  CHECK(S_ISCHR(st.st_mode));
  char value[4];
  CHECK(::getxattr((tree + "/opt").c_str(), "trusted.overlay.opaque", value, 4) == 1);
  CHECK(*layers.size_bytes(digest) == tar.size());
  CHECK(*read_all(*layers.open(digest), 1u << 24) == tar);
  // A damaged tree is found out while it streams.
  REQUIRE(write_file_unsynced(tree + "/etc/shadow", "SECRET\n", 0640).ok());
  CHECK_FALSE(read_all(*layers.open(digest), 1u << 24).ok());
  REQUIRE(layers.remove(digest).ok());
  CHECK_FALSE(layers.has(digest));
  CHECK(layers.unpack(Digest::of("other"), from_string(tar)).error().code == ErrorCode::bad_request);
  CHECK(list_dir(layers.work_dir())->empty());
}

TEST_CASE("committing a directory twice gives one digest, and the tar is what GNU tar understands") {
  const Result<TempDir> dir = TempDir::make();
  const Result<std::unique_ptr<LayerStore>> store = LayerStore::open(dir->path() + "/layers");
  LayerStore& layers = **store;
  std::vector<Digest> digests;
  for (int round = 0; round < 2; ++round) {
    const std::string upper = layers.work_dir() + "/upper";
    REQUIRE(make_dirs(upper + "/a/b").ok());
    REQUIRE(make_dirs(upper + "/etc").ok());
    REQUIRE(write_file_unsynced(upper + "/a/b/file", "contents").ok());
    REQUIRE(write_file_unsynced(upper + "/etc/resolv.conf", "mount point").ok());
    REQUIRE(::link((upper + "/a/b/file").c_str(), (upper + "/a/hard").c_str()) == 0);
    REQUIRE(::mknod((upper + "/gone").c_str(), S_IFCHR, 0) == 0);
    REQUIRE(::setxattr((upper + "/etc").c_str(), "trusted.overlay.opaque", "y", 1, 0) == 0);
    for (const char* path : {"/a/b/file", "/a/b", "/a", "/etc"}) {
      const timespec times[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
      REQUIRE(::utimensat(AT_FDCWD, (upper + path).c_str(), times, 0) == 0);
    }
    // The parent's time moves with the removal, so the excluded file goes before the times are set again.
    CommitOptions options;
    options.exclude = {"etc/resolv.conf"};
    REQUIRE(remove_file(upper + "/etc/resolv.conf").ok());
    const timespec times[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
    REQUIRE(::utimensat(AT_FDCWD, (upper + "/etc").c_str(), times, 0) == 0);
    const Result<LayerInfo> layer = layers.commit(upper, options);
    REQUIRE(layer.ok());
    CHECK_FALSE(exists(upper));
    digests.push_back(layer->diff_id);
  }
  CHECK(digests[0] == digests[1]);
  const std::string tar = *read_all(*layers.open(digests[0]), 1u << 24);
  CHECK(Digest::of(tar) == digests[0]);
  Command list;
  list.args = {"tar", "-tf", "-"};
  list.input = tar;
  CHECK(*run_checked(list) == "a/\na/b/\na/b/file\na/hard\netc/\netc/.wh..wh..opq\n.wh.gone\n");
}
