// SPDX-License-Identifier: Apache-2.0
// See bootstrap.h.
#include "artifact/bootstrap/bootstrap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mutex>

#include "artifact/bootstrap/packages.h"
#include "artifact/bootstrap/recipe.h"
#include "artifact/bootstrap/tree.h"
#include "artifact/content/compress.h"
#include "artifact/content/image.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/text.h"

namespace caisson::bootstrap {
namespace {

using content::Digest;

struct Contents {
  content::LayerInfo layer;
  std::string version;  // of the package that the recipe names
};

std::string version_of(const std::vector<Package>& packages, const std::string& name) {
  for (const Package& package : packages)
    if (package.name == name) return package.version;
  return {};
}

// A whole file as pieces.
Result<content::ByteSource> file_source(const std::string& path) {
  auto bytes = std::make_shared<UniqueFd>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!*bytes) return errno_error("open " + path);
  return content::ByteSource([bytes, path]() -> Result<std::string> {
    std::string piece(1 << 20, '\0');
    const ssize_t got = ::read(bytes->get(), piece.data(), piece.size());
    if (got < 0) return errno_error("read " + path);
    piece.resize(static_cast<std::size_t>(got));
    return piece;
  });
}

Result<Digest> hash_file(const std::string& path) {
  const content::ByteSource source = TRY(file_source(path));
  content::Hasher hasher;
  for (;;) {
    const std::string piece = TRY(source());
    if (piece.empty()) return hasher.finish();
    hasher.update(piece);
  }
}

// The apt sources of the image name the distribution's public mirror, whatever the host's name.
constexpr std::string_view kSourcesHook = R"SH(#!/bin/sh
set -eu
rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin
cat > "$1/etc/apt/sources.list.d/debian.sources" <<END
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
: > "$1/etc/resolv.conf"
: > "$1/etc/hostname"
)SH";

// The host's apt sources, as one file for mmdebstrap: it takes one-line and deb822 files.
std::vector<std::string> host_sources() {
  std::vector<std::string> out;
  if (exists("/etc/apt/sources.list.d/debian.sources")) return {"/etc/apt/sources.list.d/debian.sources"};
  const Result<std::string> list = read_file("/etc/apt/sources.list");
  if (list.ok() && (*list).find("deb ") != std::string::npos) out.push_back("/etc/apt/sources.list");
  return out;
}

Result<void> run_mmdebstrap(const std::string& tar, const std::string& scratch) {
  const std::string hook = scratch + "/sources-hook";
  TRY(write_file_unsynced(hook, kSourcesHook, 0755));
  Command command;
  command.args = {"mmdebstrap",
                  "--variant=minbase",
                  "--mode=root",
                  "--format=tar",
                  "--include=ca-certificates",
                  "--aptopt=Acquire::Check-Valid-Until \"false\"",
                  "--dpkgopt=path-exclude=/usr/share/doc/*",
                  "--dpkgopt=path-include=/usr/share/doc/*/copyright",
                  "--dpkgopt=path-exclude=/usr/share/man/*",
                  "--dpkgopt=path-exclude=/usr/share/locale/*",
                  "--dpkgopt=path-exclude=/usr/share/info/*",
                  "--customize-hook=" + hook,
                  "bookworm",
                  tar};
  const std::vector<std::string> sources = host_sources();
  if (sources.empty())
    return Error{ErrorCode::not_found, "this host has no apt sources of Debian to make the image from"};
  command.args.insert(command.args.end(), sources.begin(), sources.end());
  command.env = {{"SOURCE_DATE_EPOCH", "1700000000"}, {"LC_ALL", "C"}, {"TMPDIR", scratch}};
  command.time_max = std::chrono::minutes(15);
  const Exit exit = TRY(run(command));
  if (exit.ok()) return {};
  return Error{ErrorCode::unavailable, "mmdebstrap ended with " + std::to_string(exit.code) + ": " +
                                           exit.err.substr(exit.err.size() > 1500 ? exit.err.size() - 1500 : 0)};
}

}  // namespace

struct Bootstrap::Impl {
  Options options;
  content::BlobStore& blobs;
  content::LayerStore& layers;
  std::mutex mutex;  // one image at a time

  std::string record(const Recipe& recipe) const { return path_join(options.directory, recipe.id); }
  std::optional<Digest> recorded(const Recipe& recipe);
  Result<Contents> make_debian(const Say& say);
  Result<Contents> make_from_packages(const Recipe& recipe, const Say& say);
  Result<Digest> write_image(const Recipe& recipe, const Contents& contents);
};

std::optional<Digest> Bootstrap::Impl::recorded(const Recipe& recipe) {
  const Result<std::string> text = read_file(record(recipe));
  if (!text.ok()) return std::nullopt;
  const Result<Digest> digest = Digest::parse(trim(*text));
  if (!digest.ok() || !blobs.has(*digest)) return std::nullopt;
  const Result<std::string> bytes = blobs.read(*digest, content::kManifestBytesMax);
  if (!bytes.ok()) return std::nullopt;
  const Result<content::Manifest> manifest = content::parse_manifest(*bytes);
  if (!manifest.ok() || !blobs.has((*manifest).config.digest)) return std::nullopt;
  for (const content::Descriptor& layer : (*manifest).layers)
    if (!layers.has(layer.digest)) return std::nullopt;
  return *digest;
}

// A minimal Debian with apt, by mmdebstrap. Its tar is kept in the cache: making it takes half a minute.
Result<Contents> Bootstrap::Impl::make_debian(const Say& say) {
  const std::string cached = path_join(options.cache_directory, "debian-bookworm.tar");
  if (!exists(cached)) {
    say("makes a minimal Debian system (about half a minute)");
    const TempDir scratch = TRY(TempDir::make("caisson-debian", options.cache_directory));
    const std::string tar = scratch.path() + "/root.tar";
    TRY(run_mmdebstrap(tar, scratch.path()));
    TRY(rename_file(tar, cached));
  }
  say("unpacks the Debian system");
  const Digest digest = TRY(hash_file(cached));
  const content::ByteSource source = TRY(file_source(cached));
  Contents out;
  out.layer = TRY(layers.unpack(digest, source));
  out.version = "12";
  return out;
}

Result<Contents> Bootstrap::Impl::make_from_packages(const Recipe& recipe, const Say& say) {
  const std::int64_t started =
      std::chrono::duration_cast<std::chrono::seconds>(system_clock().now().time_since_epoch()).count();
  const TempDir scratch = TRY(TempDir::make("stand-in", layers.work_dir()));
  const std::string tree = scratch.path() + "/tree";
  TRY(make_dirs(tree));
  Contents out;
  TRY(prepare_tree(tree));
  std::vector<std::string> asked = recipe.packages;
  std::vector<Package> packages;
  if (!asked.empty()) {
    say("resolves and downloads packages");
    packages = TRY(fetch_packages(asked, options.cache_directory));
    TRY(unpack_packages(packages, asked, tree, say));
    for (const auto& [program, package] : recipe.if_missing) {
      if (exists(tree + "/" + program)) continue;
      asked.push_back(package);
      packages = TRY(fetch_packages(asked, options.cache_directory));
      TRY(unpack_packages(packages, asked, tree, say));
    }
    out.version = version_of(packages, recipe.version_of);
  }
  say("completes the file system");
  TRY(complete_tree(tree, recipe));
  TRY(settle_times(tree, started - 1));
  out.layer = TRY(layers.commit(tree));
  return out;
}

Result<Digest> Bootstrap::Impl::write_image(const Recipe& recipe, const Contents& contents) {
  content::ImageConfig config;
#if defined(__aarch64__)
  config.platform.architecture = "arm64";
#endif
  config.created = "2023-11-14T22:13:20Z";
  config.author = "Caisson";
  config.env = recipe.env;
  config.entrypoint = recipe.entrypoint;
  config.cmd = recipe.cmd;
  config.working_dir = recipe.working_dir;
  config.user = recipe.user;
  config.stop_signal = recipe.stop_signal;
  config.exposed_ports = recipe.exposed_ports;
  config.volumes = recipe.volumes;
  const std::string what = recipe.version_of + (contents.version.empty() ? "" : " " + contents.version);
  config.labels = {{std::string(content::kStandInLabel),
                    what + " of this machine's distribution, for " + recipe.repositories.front()}};
  config.diff_ids = {contents.layer.diff_id};
  config.history = {{.created = config.created,
                     .created_by = "caisson bootstrap " + recipe.id,
                     .comment = "made from distribution packages"}};
  const std::string config_bytes = content::write_config(config);
  content::Manifest manifest;
  manifest.config = {.media_type = std::string(content::kOciConfig),
                     .digest = Digest::of(config_bytes),
                     .size_bytes = config_bytes.size()};
  manifest.layers = {{.media_type = std::string(content::kOciLayer),
                      .digest = contents.layer.diff_id,
                      .size_bytes = contents.layer.size_bytes}};
  TRY(blobs.put_bytes(config_bytes));
  const Digest digest = TRY(blobs.put_bytes(content::write_manifest(manifest)));
  TRY(write_file(record(recipe), digest.str() + "\n"));
  return digest;
}

Bootstrap::Bootstrap(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Bootstrap::Bootstrap(Bootstrap&&) noexcept = default;
Bootstrap::~Bootstrap() = default;

Result<Bootstrap> Bootstrap::open(const Options& options, content::BlobStore& blobs, content::LayerStore& layers) {
  TRY(make_dirs(options.directory));
  TRY(make_dirs(options.cache_directory));
  return Bootstrap(std::unique_ptr<Impl>(new Impl{options, blobs, layers, {}}));
}

bool Bootstrap::knows(const content::Reference& reference) const {
  return find_recipe(reference).has_value();
}

std::optional<Digest> Bootstrap::find(const content::Reference& reference) const {
  const auto recipe = find_recipe(reference);
  return recipe ? impl_->recorded(*recipe) : std::nullopt;
}

Result<std::vector<Digest>> Bootstrap::made() const {
  std::vector<Digest> all;
  for (const std::string& id : TRY(list_dir(impl_->options.directory))) {
    const std::string path = path_join(impl_->options.directory, id);
    if (!is_directory(path)) all.push_back(TRY(Digest::parse(trim(TRY(read_file(path, 4096)))).in(path)));
  }
  return all;
}

Result<Digest> Bootstrap::make(const content::Reference& reference, const Progress& progress) {
  if (reference.digest)
    return Error{ErrorCode::bad_request, reference.familiar() + ": a stand-in never answers for a digest"};
  const auto recipe = find_recipe(reference);
  if (!recipe)
    return Error{ErrorCode::not_found,
                 reference.familiar() + ": there is no stand-in for it; there are: " + join(names(), ", ")};
  const std::lock_guard lock(impl_->mutex);
  if (const auto made = impl_->recorded(*recipe)) return *made;
  const Say say = [&](std::string_view text) {
    if (progress) progress(reference.familiar() + ": " + std::string(text));
  };
  const Duration began = system_clock().monotonic();
  Result<Contents> made =
      recipe->base == Base::debootstrap ? impl_->make_debian(say) : impl_->make_from_packages(*recipe, say);
  const Contents contents = TRY(std::move(made).in("make a stand-in for " + reference.familiar()));
  const Digest digest = TRY(impl_->write_image(*recipe, contents));
  log::info("stand-in image made", {{"image", reference.familiar()},
                                    {"digest", digest.str()},
                                    {"size_bytes", contents.layer.size_bytes},
                                    {"took_ms", (system_clock().monotonic() - began).count() / 1'000'000}});
  return digest;
}

std::vector<std::string> Bootstrap::names() const {
  std::vector<std::string> out;
  for (const Recipe& recipe : catalogue()) {
    std::string name = recipe.repositories.front();
    for (const std::string_view prefix : {"docker.io/library/", "docker.io/"})
      if (name.starts_with(prefix)) name.erase(0, prefix.size());
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
  }
  return out;
}

}  // namespace caisson::bootstrap
