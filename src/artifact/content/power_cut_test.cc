// SPDX-License-Identifier: Apache-2.0
// What the stores have confirmed outlives a power cut. The disk is a real one, ext4 on a loop device, and the cut is
// the file system's own: EXT4_IOC_SHUTDOWN without a flush of its journal throws away what was not synced and answers
// every later call with EIO, as xfstests do it. Needs root and loop devices.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "artifact/content/blob_store.h"
#include "artifact/content/layer_store.h"
#include "artifact/content/tag_index.h"
#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"

using namespace caisson;
using namespace caisson::content;

namespace {

// include/uapi/linux/ext4.h since 6.6; the number is older.
constexpr unsigned long kShutdown = _IOR('X', 125, std::uint32_t);
constexpr std::uint32_t kWithoutFlush = 2;  // EXT4_GOING_FLAGS_NOLOGFLUSH

class Disk {
 public:
  Disk() : dir_(TempDir::make("disk", is_directory("/dev/shm") ? "/dev/shm" : "/tmp").value()) {  // memory: it is quick
    const std::string image = dir_.path() + "/image";
    // Mounted for this process alone: a namespace that somebody copies meanwhile would keep the file system that was
    // cut, and mounted again it would still answer every call with EIO.
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
    made_ = make_dirs(root()).ok() && write_file_unsynced(image, "").ok() && ::truncate(image.c_str(), 96 << 20) == 0 &&
            run_checked({.args = {"mkfs.ext4", "-q", "-F", "-m", "0", image}}).ok() && mount();
  }
  ~Disk() {
    if (mounted_) ::umount2(root().c_str(), MNT_DETACH);
  }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  bool made() const { return made_; }
  std::string root() const { return dir_.path() + "/root"; }
  bool mount() {
    mounted_ = run_checked({.args = {"mount", "-o", "loop", dir_.path() + "/image", root()}}).ok();
    return mounted_;
  }
  void cut() const {
    const UniqueFd fd(::open(root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(fd);
    REQUIRE(::ioctl(fd.get(), kShutdown, &kWithoutFlush) == 0);
  }
  void back() {
    REQUIRE(run_checked({.args = {"umount", root()}}).ok());
    REQUIRE(mount());
  }

 private:
  TempDir dir_;
  bool made_ = false, mounted_ = false;
};

// Pushes and builds for ever; a line to `confirmed` after each thing that somebody was told is there. A failing call is
// the cut.
[[noreturn]] void work_for_ever(const std::string& root, int seed, int confirmed) {
  BlobStore blobs = BlobStore::open(root + "/content").value();
  TagIndex tags = TagIndex::open(root + "/content").value();
  const std::unique_ptr<LayerStore> layers = LayerStore::open(root + "/layers").value();
  const auto must = [](bool done) {
    if (!done) ::_exit(0);
  };
  const auto tell = [&](const std::string& line) {
    must(::write(confirmed, (line + "\n").data(), line.size() + 1) == static_cast<ssize_t>(line.size() + 1));
  };
  for (int n = 0;; ++n) {
    const std::string name = std::to_string(seed) + " " + std::to_string(n);
    const std::string bytes = name + std::string(30'000, 'x');
    const Result<std::string> id = blobs.begin_upload();
    must(id.ok() && blobs.append_upload(*id, from_string(bytes.substr(0, 10'000))).ok());
    tell("upload " + *id);
    must(blobs.append_upload(*id, from_string(bytes.substr(10'000))).ok());
    const Digest digest = Digest::of(bytes);
    must(blobs.finish_upload(*id, digest).ok() && tags.add_blob("a/b", digest).ok());
    tell("blob " + digest.str());
    must(tags.add_manifest("a/b", digest, kOciManifest).ok() && tags.set("a/b", "v1", digest).ok());
    tell("tag " + digest.str());

    const std::string tree = layers->work_dir() + "/tree";
    must(make_dirs(tree + "/usr/bin").ok() && write_file_unsynced(tree + "/usr/bin/program", bytes, 0755).ok() &&
         ::symlink("program", (tree + "/usr/bin/link").c_str()) == 0);
    const Result<LayerInfo> layer = layers->commit(tree);
    must(layer.ok());
    tell("layer " + layer->diff_id.str());
  }
}

struct Told {
  std::vector<std::string> uploads;
  std::vector<Digest> blobs, tagged, layers;
};

void take(std::string_view line, Told& told) {
  const std::size_t space = line.find(' ');
  const std::string_view what = line.substr(0, space), name = line.substr(space + 1);
  if (what == "upload") return told.uploads.push_back(std::string(name));
  const Digest digest = Digest::parse(name).value();
  (what == "blob" ? told.blobs : what == "tag" ? told.tagged : told.layers).push_back(digest);
}

// The child's lines until `lines` have come, the cut, and what it still said before it noticed.
Told work_until_cut(const Disk& disk, int seed, int lines) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(ends[0]);
    work_for_ever(disk.root(), seed, ends[1]);
  }
  ::close(ends[1]);
  std::string text, piece(4096, '\0');
  bool cut = false;
  for (;;) {
    const ssize_t n = ::read(ends[0], piece.data(), piece.size());
    REQUIRE(n >= 0);
    if (n == 0) break;  // it has ended: its calls fail
    text.append(piece, 0, static_cast<std::size_t>(n));
    if (cut || std::count(text.begin(), text.end(), '\n') < lines) continue;
    disk.cut();
    cut = true;
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  ::close(ends[0]);
  REQUIRE(cut);
  Told told;
  for (const std::string_view line : split(text, '\n'))
    if (!line.empty()) take(line, told);
  return told;
}

void check_blobs(const std::string& root, const Told& told, std::set<std::string>& tagged_before) {
  BlobStore blobs = BlobStore::open(root + "/content").value();
  const TagIndex tags = TagIndex::open(root + "/content").value();
  for (const Digest& digest : blobs.list().value()) CHECK(Digest::of(blobs.read(digest, 1u << 20).value()) == digest);
  for (const Digest& digest : told.blobs) {
    CHECK(blobs.has(digest));
    CHECK(tags.has_blob("a/b", digest));
  }
  for (const Digest& digest : told.tagged) tagged_before.insert(digest.str());
  const Result<Digest> tag = tags.find("a/b", "v1");
  if (!tag.ok()) {
    CHECK(tagged_before.empty());
    return;
  }
  // The last that was confirmed, or one that was under way: never an older one.
  CHECK((told.tagged.empty() || *tag == told.tagged.back() || !tagged_before.contains(tag->str())));
  CHECK(blobs.has(*tag));
  const Result<std::string> type = tags.manifest_type("a/b", *tag);
  CHECK_MESSAGE((type.ok() && *type == kOciManifest), (type.ok() ? *type : type.error().message));
  // An upload that was cut off goes on where the disk has it, or is gone; its bytes are checked at the end either way.
  for (const std::string& id : told.uploads) {
    const Result<std::uint64_t> size = blobs.upload_size_bytes(id);
    if (size.ok()) CHECK(*size <= 40'000);
  }
}

void check_layers(const std::string& root, const Told& told) {
  const std::unique_ptr<LayerStore> layers = LayerStore::open(root + "/layers").value();
  CHECK(list_dir(layers->work_dir())->size() <= 1);  // the tree that was being made: a builder's to take away
  CHECK(remove_tree(layers->work_dir() + "/tree").ok());
  std::set<std::string> here;
  for (const Digest& digest : layers->list().value()) {
    here.insert(digest.str());
    const Result<ByteSource> tar = layers->open(digest);
    REQUIRE_MESSAGE(tar.ok(), (tar.ok() ? "" : tar.error().message));
    const Result<std::string> bytes = read_all(*tar, 1u << 20);
    CHECK_MESSAGE(bytes.ok(), (bytes.ok() ? "" : bytes.error().message));
    CHECK((bytes.ok() && Digest::of(*bytes) == digest));
  }
  for (const Digest& digest : told.layers) CHECK(here.contains(digest.str()));
}

}  // namespace

TEST_CASE("the power is cut at any moment: what was confirmed is there, whole, and nothing else is torn") {
  Disk disk;
  if (!disk.made()) {
    MESSAGE("skipped: no ext4 can be mounted from a file here");
    return;
  }
  std::set<std::string> tagged;
  for (int seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    const Told told = work_until_cut(disk, seed, 1 + seed * 7 % 23);
    disk.back();
    check_blobs(disk.root(), told, tagged);
    check_layers(disk.root(), told);
  }
  CHECK(tagged.size() > 20);
}
