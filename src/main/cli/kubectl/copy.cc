// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kubectl/copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>

#include "artifact/content/tar.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "main/cli/kubectl/streams.h"

namespace caisson::cli::kubectl {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kPieceBytes = 32768;
constexpr std::size_t kQueueBytesMax = 4u << 20;

// --- this machine to the container

// Walks a tree in order of names and gives its tar piece by piece.
class TreeReader {
 public:
  TreeReader(std::string source, std::string name) { todo_.push_back({std::move(source), std::move(name)}); }

  Result<std::string> next() {
    for (;;) {
      if (file_) {
        std::string piece(kPieceBytes, '\0');
        const ssize_t got = ::read(file_.get(), piece.data(), std::min<std::uint64_t>(piece.size(), left_));
        if (got < 0) return errno_error("read " + path_);
        if (got == 0 && left_ > 0) return Error{ErrorCode::conflict, path_ + " became shorter while it was copied"};
        if (got > 0) {
          piece.resize(static_cast<std::size_t>(got));
          left_ -= static_cast<std::uint64_t>(got);
          return piece;
        }
        file_.reset();
        if (padding_ > 0) return std::string(padding_, '\0');
      }
      if (todo_.empty()) {
        if (ended_) return std::string();
        ended_ = true;
        return std::string(content::kTrailerBytes, '\0');
      }
      const Entry entry = std::move(todo_.front());
      todo_.pop_front();
      std::string head = TRY(header_of(entry));
      if (!head.empty()) return head;
    }
  }

 private:
  struct Entry {
    std::string path, name;
  };

  Result<std::string> header_of(const Entry& entry) {
    struct stat found {};
    if (::lstat(entry.path.c_str(), &found) != 0) return errno_error("copy " + entry.path);
    content::TarEntry head;
    head.name = entry.name;
    head.mode = found.st_mode & 07777;
    head.mtime_s = found.st_mtim.tv_sec;
    if (S_ISDIR(found.st_mode)) {
      head.type = content::EntryType::directory;
      head.name += '/';
      TRY(add_children(entry));
    } else if (S_ISLNK(found.st_mode)) {
      head.type = content::EntryType::symlink;
      std::error_code error;
      head.link = fs::read_symlink(entry.path, error).string();
      if (error) return Error{ErrorCode::internal, "read the link " + entry.path + ": " + error.message()};
    } else if (S_ISREG(found.st_mode)) {
      file_ = UniqueFd(::open(entry.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
      if (!file_) return errno_error("read " + entry.path);
      head.size_bytes = left_ = static_cast<std::uint64_t>(found.st_size);
      padding_ = content::padding_bytes(left_);
      path_ = entry.path;
    } else {
      return std::string();
    }
    std::string out;
    content::append_header(out, head);
    return out;
  }

  Result<void> add_children(const Entry& entry) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator at(entry.path, error), end; !error && at != end; at.increment(error))
      names.push_back(at->path().filename().string());
    if (error) return Error{ErrorCode::internal, "list " + entry.path + ": " + error.message()};
    std::sort(names.rbegin(), names.rend());
    for (const std::string& name : names) todo_.push_front({entry.path + "/" + name, entry.name + "/" + name});
    return {};
  }

  std::deque<Entry> todo_;
  UniqueFd file_;
  std::string path_;
  std::uint64_t left_ = 0;
  std::size_t padding_ = 0;
  bool ended_ = false;
};

std::string base_of(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Result<Value> pod_of(Call& call, const CopyPlace& place) {
  if (!place.ns.empty()) call.session.ns = place.ns;
  return pod_for(call, place.pod);
}

Result<int> copy_to(Call& call, const std::string& source, const CopyPlace& to) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(source, error))) return usage(source + " doesn't exist in local filesystem");
  const Value pod = TRY(pod_of(call, to));
  const std::string container = TRY(container_for(call, pod, true));
  std::string path = to.path;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  // Into an existing directory the source keeps its name, as with cp(1).
  const auto is_directory = run_streams(call, exec_path(pod, container, {"test", "-d", path}), {}, {});
  if (is_directory.ok() && *is_directory == 0)
    path += (path.ends_with('/') ? "" : "/") + base_of(fs::absolute(source, error).string());
  std::vector<std::string> command{"tar"};
  if (call.is_set("no-preserve")) command.insert(command.end(), {"--no-same-permissions", "--no-same-owner"});
  command.insert(command.end(), {"-xmf", "-", "-C", folder_of(path)});
  const content::ByteSource archive = TRY(local_tar(source, base_of(path)));
  const int status =
      TRY(run_streams(call, exec_path(pod, container, command), {.in = true}, {.in = archive, .out = {}}));
  if (status != 0) return usage("tar in the container ended with exit code " + std::to_string(status));
  return 0;
}

// --- the container to this machine

// Hands pieces from the thread that reads the connection to the one that unpacks.
class PieceQueue {
 public:
  Result<void> put(std::string_view piece) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return bytes_ < kQueueBytesMax || abandoned_; });
    if (abandoned_) return Error{ErrorCode::bad_request, "nobody reads any more"};
    bytes_ += piece.size();
    pieces_.emplace_back(piece);
    changed_.notify_all();
    return {};
  }
  void end(Result<void> how) {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    how_ = std::move(how);
    changed_.notify_all();
  }
  void abandon() {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    changed_.notify_all();
  }
  Result<std::string> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !pieces_.empty() || ended_; });
    if (pieces_.empty()) {
      if (!how_.ok()) return how_.error();
      return std::string();
    }
    std::string piece = std::move(pieces_.front());
    pieces_.pop_front();
    bytes_ -= piece.size();
    changed_.notify_all();
    return piece;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> pieces_;  // GUARDED_BY(mutex_), as all below
  std::size_t bytes_ = 0;
  bool ended_ = false, abandoned_ = false;
  Result<void> how_;
};

// Reads the remote tar; a connection that breaks is taken up where it broke, up to `retries` times (below zero:
// always).
Result<void> read_remote(const Call& call, const Value& pod, const std::string& container, const std::string& path,
                         std::int64_t retries, PieceQueue& queue) {
  std::uint64_t received = 0;
  for (std::int64_t attempt = 0;; ++attempt) {
    std::vector<std::string> command{"tar", "cf", "-", path};
    if (received > 0) command = {"sh", "-c", "tar cf - \"$0\" | tail -c+" + std::to_string(received + 1), path};
    const auto status =
        run_streams(call, exec_path(pod, container, command), {}, {.in = {}, .out = [&](std::string_view data) {
                                                                     received += data.size();
                                                                     return queue.put(data);
                                                                   }});
    if (status.ok() && *status == 0) return {};
    if (status.ok()) return usage("tar in the container ended with exit code " + std::to_string(*status));
    if (status.error().code != ErrorCode::unavailable || (retries >= 0 && attempt >= retries)) return status.error();
    std::fprintf(stderr, "Resuming copy at %llu bytes, retry %lld\n", static_cast<unsigned long long>(received),
                 static_cast<long long>(attempt + 1));
  }
}

Result<int> copy_from(Call& call, const CopyPlace& from, std::string destination) {
  const std::int64_t retries = parse_int(call.text("retries", "0")).value_or(0);
  const Value pod = TRY(pod_of(call, from));
  const std::string container = TRY(container_for(call, pod, true));
  std::error_code error;
  if (fs::is_directory(destination, error) && base_of(from.path) != "." && !base_of(from.path).empty())
    destination += "/" + base_of(from.path);
  PieceQueue queue;
  std::thread reader([&] { queue.end(read_remote(call, pod, container, from.path, retries, queue)); });
  std::vector<std::string> skipped;
  const auto unpacked = untar_below([&queue] { return queue.take(); }, from.path, destination, skipped);
  queue.abandon();
  reader.join();
  for (const std::string& name : skipped) std::fprintf(stderr, "warning: skipping %s\n", name.c_str());
  if (!unpacked.ok()) return unpacked.error();
  return 0;
}

// An archive's name as path below the root: no leading "/" or "./", no "..". Nothing: it may not be used.
std::optional<std::string> clean_name(std::string_view name) {
  std::vector<std::string> parts;
  for (const std::string_view part : split(name, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return std::nullopt;
    parts.emplace_back(part);
  }
  return join(parts, "/");
}

Result<void> write_entry(content::TarReader& reader, const content::TarEntry& entry, const std::string& path) {
  std::error_code error;
  if (entry.type == content::EntryType::directory) {
    fs::create_directories(path, error);
    if (error) return Error{ErrorCode::internal, "make " + path + ": " + error.message()};
    return {};
  }
  fs::create_directories(folder_of(path), error);
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, entry.mode & 0777));
  if (!file) return errno_error("write " + path);
  for (;;) {
    const std::string piece = TRY(reader.read_some());
    if (piece.empty()) return {};
    TRY(write_all(file.get(), piece));
  }
}

}  // namespace

Result<CopyPlace> parse_place(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return CopyPlace{"", "", std::string(text)};
  const std::string_view pod = text.substr(0, colon);
  // "./a:b" and "/a:b" are files of this machine.
  if (pod.starts_with('.') || pod.starts_with('/')) return CopyPlace{"", "", std::string(text)};
  if (pod.empty()) return usage("filespec must match the canonical format: [[namespace/]pod:]file/path");
  if (colon + 1 == text.size()) return usage("filepath can not be empty");
  const auto parts = split(pod, '/');
  if (parts.size() > 2) return usage("filespec must match the canonical format: [[namespace/]pod:]file/path");
  return CopyPlace{parts.size() == 2 ? std::string(parts[0]) : "", std::string(parts.back()),
                   std::string(text.substr(colon + 1))};
}

Result<content::ByteSource> local_tar(const std::string& source, const std::string& name) {
  auto reader = std::make_shared<TreeReader>(source, name);
  return content::ByteSource([reader] { return reader->next(); });
}

Result<void> untar_below(const content::ByteSource& archive, const std::string& prefix, const std::string& destination,
                         std::vector<std::string>& skipped) {
  content::TarReader reader(archive);
  const std::string root = clean_name(prefix).value_or("");
  bool any = false;
  for (;;) {
    const auto entry = TRY(reader.next());
    if (!entry) break;
    any = true;
    const auto name = clean_name(entry->name);
    const bool inside = name && (root.empty() || *name == root || name->starts_with(root + "/"));
    if (!inside || (entry->type != content::EntryType::directory && entry->type != content::EntryType::file)) {
      const bool link = entry->type == content::EntryType::symlink || entry->type == content::EntryType::hard_link;
      skipped.push_back(link ? "link \"" + entry->name + "\" -> \"" + entry->link +
                                   "\", which could lead out of the destination"
                             : "\"" + entry->name + "\"");
      continue;
    }
    const std::string rest = *name == root ? "" : root.empty() ? *name : name->substr(root.size() + 1);
    TRY(write_entry(reader, *entry, rest.empty() ? destination : destination + "/" + rest));
  }
  if (!any) return usage("nothing was copied: the archive is empty");
  return {};
}

Result<int> run_copy(Call& call) {
  if (call.arguments.size() != 2) return usage("source and destination are required");
  const CopyPlace from = TRY(parse_place(call.arguments[0])), to = TRY(parse_place(call.arguments[1]));
  if (!from.pod.empty() && !to.pod.empty()) return usage("one of src or dest must be a local file specification");
  if (from.pod.empty() && to.pod.empty()) return usage("one of src or dest must be a remote file specification");
  if (from.path.empty() || to.path.empty()) return usage("filepath can not be empty");
  return from.pod.empty() ? copy_to(call, from.path, to) : copy_from(call, from, to.path);
}

}  // namespace caisson::cli::kubectl
