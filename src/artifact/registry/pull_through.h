// SPDX-License-Identifier: Apache-2.0
// Repositories that stand for some of another registry, kept here as they are asked for. A tag is compared with the
// upstream's by HEAD each time and fetched only when it moved; one that is no longer there goes here, too; what has a
// digest is fetched once. While the upstream
// can't be reached or limits its rate, what is here is served as it is. A blob goes to those who wait for it while it
// is written, once, whoever asks; its last byte only when the digest was checked. Invariant: as of any repository
// (tag_index.h): a blob is linked when it is whole, a tag after its manifest. Threads: every method may be called from
// any thread, and blocks.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "artifact/content/blob_store.h"
#include "artifact/content/tag_index.h"
#include "artifact/registry/upstreams.h"
#include "core/base/worker_pool.h"

namespace caisson::registry {

class PullThrough {
 public:
  PullThrough(content::BlobStore& blobs, content::TagIndex& tags) : blobs_(blobs), tags_(tags) {}
  ~PullThrough();  // cuts off what is under way

  // Puts the manifest behind `item` (a tag or digest) into `repository`.
  // Errors: not_found, and unauthorized or forbidden as the upstream says; too_many_requests and unavailable only when
  // nothing is here.
  Result<void> have_manifest(const std::string& repository, const Upstream& upstream, const std::string& item);

  // The size of a blob that is not linked in `repository`; afterwards it is linked when its bytes are here already.
  Result<std::uint64_t> find_blob(const std::string& repository, const Upstream& upstream,
                                  const content::Digest& digest);
  // A part of that blob as it comes in.
  Result<content::ByteSource> open_blob(const std::string& repository, const Upstream& upstream,
                                        const content::Descriptor& blob, std::uint64_t first, std::uint64_t length);

  // The upstream's, or what is here while it is away.
  Result<std::vector<std::string>> tags(const std::string& repository, const Upstream& upstream);
  Result<std::vector<content::Descriptor>> referrers(const std::string& repository, const Upstream& upstream,
                                                     const content::Digest& subject);

 private:
  struct Flight;  // one blob on its way
  Result<void> fetch_manifest(const std::string& repository, const Upstream& upstream, const content::Digest& digest);
  std::shared_ptr<Flight> join_flight(const std::string& repository, const Upstream& upstream,
                                      const content::Descriptor& blob);
  void fly(const std::string& repository, const Upstream& upstream, const content::Descriptor& blob,
           const std::shared_ptr<Flight>& flight);

  content::BlobStore& blobs_;
  content::TagIndex& tags_;
  UpstreamClients clients_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;  // GUARDED_BY(mutex_): by repository and digest
  WorkerPool pool_{"pull", 6};                              // last: it ends first
};

// Takes tags away that nobody pulled since `unused_since`, in repositories of which `is_proxied` says that they stand
// for others; what only they needed is the collector's then. Gives how many. Errors: is_proxied's, or of the disk.
Result<int> expire_tags(content::TagIndex& tags,
                        const std::function<Result<bool>(std::string_view repository)>& is_proxied, Time unused_since);

// Whether an error says that the upstream can't answer now, so that what is here may be served.
bool is_away(const Error& error);

}  // namespace caisson::registry
