// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/collector.h"

#include "core/base/log.h"
#include "core/document/json.h"

namespace caisson::content {
namespace {

// What is needed, of one repository or of all.
struct Needed {
  std::set<Digest> manifests, blobs, layers;
};

}  // namespace

struct Collector::Impl {
  BlobStore& blobs;
  TagIndex& tags;
  LayerStore& layers;
  Options options;
  std::map<std::string, Time> unneeded;  // since when; "blob sha256:…", "link shop/web sha256:…"
  std::set<std::string> seen;            // of `unneeded`, in this look

  // Adds a manifest with all it leads to. One that is absent adds nothing: an index may name platforms that nobody
  // pushed.
  Result<void> follow(const Digest& digest, Needed& needed) const {
    if (!blobs.has(digest) || !needed.manifests.insert(digest).second) return {};
    needed.blobs.insert(digest);
    const std::string bytes = TRY(blobs.read(digest, kManifestBytesMax));
    const Value shape = TRY(json::parse(bytes).in("manifest " + digest.str()));
    if (is_index_type(TRY(detect_media_type(shape).in("manifest " + digest.str())))) {
      const Index index = TRY(parse_index(bytes).in("manifest " + digest.str()));
      for (const Descriptor& child : index.manifests) TRY(follow(child.digest, needed));
      return {};
    }
    const Manifest manifest = TRY(parse_manifest(bytes).in("manifest " + digest.str()));
    needed.blobs.insert(manifest.config.digest);
    for (const Descriptor& layer : manifest.layers) {
      needed.blobs.insert(layer.digest);
      needed.layers.insert(layer.digest);  // a layer that was built here: its digest is its diff id
    }
    return follow_config(manifest.config, needed);
  }

  // The layers as they are unpacked. An artifact's configuration names none.
  Result<void> follow_config(const Descriptor& descriptor, Needed& needed) const {
    if (!blobs.has(descriptor.digest)) return {};
    const auto config = parse_config(TRY(blobs.read(descriptor.digest, kConfigBytesMax)));
    if (config.ok()) needed.layers.insert(config->diff_ids.begin(), config->diff_ids.end());
    return {};
  }

  Result<Needed> needed_in(const std::string& repository, const Roots& roots) const {
    Needed needed;
    for (const std::string& tag : TRY(tags.tags(repository))) {
      const auto digest = tags.find(repository, tag);
      if (digest.ok())
        TRY(follow(*digest, needed));
      else if (digest.error().code != ErrorCode::not_found)
        return digest.error();  // not_found: removed just now
    }
    const std::vector<Digest> all = TRY(tags.manifests(repository));
    for (const Digest& digest : all)
      if (roots.manifests.contains(digest)) TRY(follow(digest, needed));
    // Referrers may have referrers: until there are no more.
    for (std::size_t before = 0; before != needed.manifests.size();) {
      before = needed.manifests.size();
      for (const Digest& subject : std::set<Digest>(needed.manifests))
        for (const Descriptor& referrer : TRY(tags.referrers(repository, subject)))
          TRY(follow(referrer.digest, needed));
    }
    return needed;
  }

  // True when `what` was not needed for long enough.
  bool is_due(const std::string& what, Time now) {
    seen.insert(what);
    const auto [at, is_new] = unneeded.try_emplace(what, now);
    return !is_new && now - at->second >= options.grace;
  }

  // `held`: what is not needed, but is still named by something that is here. Its time runs, and it goes with its
  // holder.
  Result<void> sweep_repository(const std::string& repository, const Needed& needed, Time now, Collected& out,
                                Needed& held) {
    const Time older_than = now - options.grace;
    for (const Digest& digest : TRY(tags.manifests(repository))) {
      if (needed.manifests.contains(digest)) continue;
      Needed own;
      TRY(follow(digest, own));
      if (is_due("manifest " + repository + " " + digest.str(), now) &&
          TRY(tags.remove_manifest_if_older(repository, digest, older_than))) {
        ++out.manifests;
        TRY(forget_subject(repository, digest));
      } else {
        merge(held, own);
      }
    }
    for (const Digest& digest : TRY(tags.blobs(repository))) {
      if (needed.blobs.contains(digest)) continue;
      const bool due = is_due("link " + repository + " " + digest.str(), now) && !held.blobs.contains(digest);
      if (due && TRY(tags.remove_blob_if_older(repository, digest, older_than))) continue;
      held.blobs.insert(digest);
      held.layers.insert(digest);
    }
    return {};
  }

  // A referrer that goes is not listed any more.
  Result<void> forget_subject(const std::string& repository, const Digest& digest) {
    const auto bytes = blobs.read(digest, kManifestBytesMax);
    if (!bytes.ok()) return {};
    const auto shape = json::parse(*bytes);
    if (!shape.ok()) return {};
    const auto subject = Digest::parse((*shape)["subject"]["digest"].as_string());
    return subject.ok() ? tags.remove_referrer(repository, *subject, digest) : Result<void>();
  }

  static void merge(Needed& into, const Needed& from) {
    into.manifests.insert(from.manifests.begin(), from.manifests.end());
    into.blobs.insert(from.blobs.begin(), from.blobs.end());
    into.layers.insert(from.layers.begin(), from.layers.end());
  }

  Result<void> sweep_stores(const Needed& needed, const Needed& held, Time now, Collected& out) {
    const Time older_than = now - options.grace;
    for (const Digest& digest : TRY(blobs.list())) {
      if (needed.blobs.contains(digest) || !is_due("blob " + digest.str(), now) || held.blobs.contains(digest))
        continue;
      const std::uint64_t size = blobs.size_bytes(digest).ok() ? *blobs.size_bytes(digest) : 0;
      if (!TRY(blobs.remove_if_older(digest, older_than))) continue;
      ++out.blobs;
      out.bytes += size;
    }
    for (const Digest& digest : TRY(layers.list())) {
      if (needed.layers.contains(digest) || !is_due("layer " + digest.str(), now) || held.layers.contains(digest))
        continue;
      const auto size = layers.size_bytes(digest);
      if (!TRY(layers.remove_if_older(digest, older_than))) continue;
      ++out.layers;
      if (size.ok()) out.bytes += *size;
    }
    return {};
  }
};

Collector::Collector(BlobStore& blobs, TagIndex& tags, LayerStore& layers, Options options)
    : impl_(new Impl{blobs, tags, layers, options, {}, {}}) {}
Collector::~Collector() = default;

Result<Collected> Collector::collect(const Roots& roots, Time now) {
  Impl& self = *impl_;
  Needed needed, held;
  for (const Digest& digest : roots.manifests) TRY(self.follow(digest, needed));
  needed.layers.insert(roots.layers.begin(), roots.layers.end());
  // Everything is read before anything goes.
  std::map<std::string, Needed> by_repository;
  for (const std::string& repository : TRY(self.tags.repositories())) {
    const auto at = by_repository.emplace(repository, TRY(self.needed_in(repository, roots))).first;
    Impl::merge(needed, at->second);
  }
  Collected out;
  self.seen.clear();
  for (const auto& [repository, own] : by_repository) TRY(self.sweep_repository(repository, own, now, out, held));
  TRY(self.sweep_stores(needed, held, now, out));
  out.uploads = TRY(self.blobs.expire_uploads(now - self.options.upload_max));
  std::erase_if(self.unneeded, [&](const auto& entry) { return !self.seen.contains(entry.first); });
  return out;
}

}  // namespace caisson::content
