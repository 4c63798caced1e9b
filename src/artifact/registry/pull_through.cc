// SPDX-License-Identifier: Apache-2.0
#include "artifact/registry/pull_through.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>

#include "core/base/file.h"
#include "core/base/log.h"

namespace caisson::registry {

using content::ByteSource;
using content::Descriptor;
using content::Digest;
using content::Reference;

namespace {

constexpr Duration kStalledAfter = std::chrono::seconds(60);
constexpr std::size_t kPieceBytes = 256u << 10;

}  // namespace

// Written by the thread that fetches, read by those who wait. The file stays readable by who has opened it.
struct PullThrough::Flight {
  std::stop_source stop;
  std::mutex mutex;
  std::condition_variable changed;
  std::string path;            // GUARDED_BY(mutex): of the upload; another one when another place was asked
  std::uint64_t written = 0;   // GUARDED_BY(mutex)
  bool ended = false;          // GUARDED_BY(mutex): whole and linked, or failed
  std::optional<Error> error;  // GUARDED_BY(mutex)

  template <class Change>
  void tell(Change change) {
    {
      const std::lock_guard lock(mutex);
      change();
    }
    changed.notify_all();
  }
};

bool is_away(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout ||
         error.code == ErrorCode::too_many_requests;
}

PullThrough::~PullThrough() {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, flight] : flights_) flight->stop.request_stop();
}

Result<void> PullThrough::fetch_manifest(const std::string& repository, const Upstream& upstream,
                                         const Digest& digest) {
  if (tags_.touch_manifest(repository, digest) && blobs_.touch(digest)) return {};
  const FetchedManifest fetched = TRY(clients_.ask<FetchedManifest>(
      upstream, "", digest, [](RegistryClient& client, const Reference& ref) { return client.manifest(ref); }));
  TRY(blobs_.put(fetched.digest, content::from_string(fetched.bytes)));
  return tags_.add_manifest(repository, fetched.digest, fetched.media_type);
}

Result<void> PullThrough::have_manifest(const std::string& repository, const Upstream& upstream,
                                        const std::string& item) {
  if (item.find(':') != std::string::npos) return fetch_manifest(repository, upstream, TRY(Digest::parse(item)));
  const auto newest = [&]() -> Result<void> {
    const Digest digest =
        TRY(clients_.ask<Digest>(upstream, item, std::nullopt,
                                 [](RegistryClient& client, const Reference& ref) { return client.resolve(ref); }));
    TRY(fetch_manifest(repository, upstream, digest));
    const Result<Digest> known = tags_.find(repository, item);
    if (known.ok() && *known == digest && tags_.touch(repository, item)) return {};
    log::info("manifest pulled through", {{"repository", repository}, {"tag", item}, {"digest", digest.str()}});
    return tags_.set(repository, item, digest);
  };
  Result<void> done = newest();
  if (done.ok()) return done;
  if (done.error().code == ErrorCode::not_found) {
    // Gone there. A later failure to reach it must not bring the tag back.
    if (const Result<void> gone = tags_.remove(repository, item);
        !gone.ok() && gone.error().code != ErrorCode::not_found)
      return gone;
    return done;
  }
  if (!is_away(done.error()) || !tags_.touch(repository, item)) return done;
  log::warning("upstream is away: the tag is served as it was",
               {{"repository", repository}, {"tag", item}, {"error", done.error()}});
  return {};
}

Result<int> expire_tags(content::TagIndex& tags,
                        const std::function<Result<bool>(std::string_view repository)>& is_proxied, Time unused_since) {
  int gone = 0;
  for (const std::string& repository : TRY(tags.repositories())) {
    if (!TRY(is_proxied(repository))) continue;
    for (const std::string& tag : TRY(tags.tags(repository))) {
      if (TRY(tags.remove_if_older(repository, tag, unused_since))) ++gone;
    }
  }
  return gone;
}

Result<std::uint64_t> PullThrough::find_blob(const std::string& repository, const Upstream& upstream,
                                             const Digest& digest) {
  const std::uint64_t size =
      TRY(clients_.ask<std::uint64_t>(upstream, "", digest, [&](RegistryClient& client, const Reference& ref) {
        return client.blob_size(ref, digest);
      }));
  if (blobs_.touch(digest)) TRY(tags_.add_blob(repository, digest));
  return size;
}

std::shared_ptr<PullThrough::Flight> PullThrough::join_flight(const std::string& repository, const Upstream& upstream,
                                                              const Descriptor& blob) {
  const std::string key = repository + " " + blob.digest.str();
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Flight>& flight = flights_[key];
  if (flight) return flight;
  flight = std::make_shared<Flight>();
  const Result<void> queued = pool_.run([this, key, repository, upstream, blob, flight = flight] {
    fly(repository, upstream, blob, flight);
    const std::lock_guard done(mutex_);
    flights_.erase(key);
  });
  if (queued.ok()) return flight;
  const std::shared_ptr<Flight> refused = std::move(flight);
  flights_.erase(key);
  refused->tell([&] {
    refused->ended = true;
    refused->error = queued.error();
  });
  return refused;
}

void PullThrough::fly(const std::string& repository, const Upstream& upstream, const Descriptor& blob,
                      const std::shared_ptr<Flight>& flight) {
  FetchWatcher watcher;
  watcher.stop = flight->stop.get_token();
  watcher.begun = [&](const std::string& upload) {
    flight->tell([&] {
      flight->path = blobs_.upload_path(upload);
      flight->written = 0;
    });
  };
  watcher.grown = [&](std::uint64_t size) { flight->tell([&] { flight->written = size; }); };
  const Result<bool> fetched =
      clients_.ask<bool>(upstream, "", blob.digest, [&](RegistryClient& client, const Reference& ref) -> Result<bool> {
        TRY(client.fetch_blob(ref, blob, blobs_, watcher));
        return true;
      });
  const Result<void> linked = fetched.ok() ? tags_.add_blob(repository, blob.digest) : Result<void>(fetched.error());
  if (!linked.ok())
    log::warning("blob not pulled through",
                 {{"repository", repository}, {"digest", blob.digest.str()}, {"error", linked.error()}});
  flight->tell([&] {
    flight->ended = true;
    if (!linked.ok()) flight->error = linked.error();
  });
}

Result<ByteSource> PullThrough::open_blob(const std::string& repository, const Upstream& upstream,
                                          const Descriptor& blob, std::uint64_t first, std::uint64_t length) {
  const std::shared_ptr<Flight> flight = join_flight(repository, upstream, blob);
  auto file = std::make_shared<UniqueFd>();
  // The last byte waits for the verdict: nobody gets the whole of something else.
  return ByteSource([this, flight, file, path = std::string(), size = blob.size_bytes, digest = blob.digest, at = first,
                     end = first + length]() mutable -> Result<std::string> {
    if (at >= end) return std::string();
    std::uint64_t readable = 0;
    std::string wanted;
    {
      std::unique_lock lock(flight->mutex);
      const auto more = [&] { return flight->ended || std::min(flight->written, size - 1) > at; };
      for (std::uint64_t before = flight->written; !more(); before = flight->written) {
        if (flight->changed.wait_for(lock, kStalledAfter, more) || flight->written != before) continue;
        flight->stop.request_stop();
        return Error{ErrorCode::timeout, "nothing more came of " + digest.str()};
      }
      if (flight->error) return *flight->error;
      readable = flight->ended ? size : std::min(flight->written, size - 1);
      wanted = flight->ended ? blobs_.path(digest) : flight->path;
    }
    if (wanted != path) {
      path = wanted;
      file->reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      if (!*file) file->reset(::open(blobs_.path(digest).c_str(), O_RDONLY | O_CLOEXEC));  // it ended just now
    }
    if (!*file) return errno_error("open " + digest.str());
    std::string piece(std::min<std::uint64_t>({kPieceBytes, readable - at, end - at}), '\0');
    const ssize_t n = ::pread(file->get(), piece.data(), piece.size(), static_cast<off_t>(at));
    if (n < 0) return errno_error("read blob");
    if (n == 0) return Error{ErrorCode::unavailable, digest.str() + " was cut off"};
    piece.resize(static_cast<std::size_t>(n));
    at += piece.size();
    return piece;
  });
}

Result<std::vector<std::string>> PullThrough::tags(const std::string& repository, const Upstream& upstream) {
  Result<std::vector<std::string>> all = clients_.ask<std::vector<std::string>>(
      upstream, "", std::nullopt, [](RegistryClient& client, const Reference& ref) { return client.tags(ref); });
  if (all.ok() || !is_away(all.error())) return all;
  Result<std::vector<std::string>> here = tags_.tags(repository);
  return here.ok() ? std::move(here) : std::move(all);
}

Result<std::vector<Descriptor>> PullThrough::referrers(const std::string& repository, const Upstream& upstream,
                                                       const Digest& subject) {
  const Result<content::Index> all = clients_.ask<content::Index>(
      upstream, "", subject,
      [&](RegistryClient& client, const Reference& ref) { return client.referrers(ref, subject); });
  if (!all.ok()) return is_away(all.error()) ? tags_.referrers(repository, subject) : all.error();
  return all->manifests;
}

}  // namespace caisson::registry
