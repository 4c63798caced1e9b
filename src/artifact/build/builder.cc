// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/builder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

#include "artifact/content/blob_store.h"
#include "artifact/content/compress.h"
#include "artifact/content/extract.h"
#include "artifact/content/layer_store.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/worker_pool.h"

namespace caisson::build {

using kube::Object;
using kube::ObjectKey;
using kube::Requeue;

std::string contexts_repository(std::string_view ns) {
  return std::string(ns) + "/contexts";
}
std::string builds_repository(std::string_view ns) {
  return std::string(ns) + "/builds";
}

namespace {

constexpr content::ArchiveLimits kContextLimits{.entries_max = 1'000'000, .bytes_max = 16ull << 30};
constexpr Duration kFollowStep = std::chrono::seconds(1);
constexpr std::size_t kMessageBytesMax = 4096;

// A log that is written by one and read by many.
class LogFile {
 public:
  // `goes_on`: a build that was cut off writes on, so that readers who know where they are miss nothing.
  static Result<std::shared_ptr<LogFile>> open(const std::string& path, bool goes_on) {
    auto out = std::make_shared<LogFile>();
    out->path_ = path;
    const int start = goes_on ? 0 : O_TRUNC;
    out->file_.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | start, 0640));
    if (!out->file_) return errno_error("open " + path);
    return out;
  }
  void write(std::string_view text) {
    const Result<void> written = write_all(file_.get(), text);
    if (!written.ok() && !complained_) {
      complained_ = true;
      log::warning("build log not written", {{"path", path_}, {"error", written.error()}});
    }
    grown_.notify_all();
  }
  void end() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    grown_.notify_all();
  }
  bool ended() {
    const std::lock_guard lock(mutex_);
    return ended_;
  }
  void wait() {
    std::unique_lock lock(mutex_);
    if (!ended_) grown_.wait_for(lock, kFollowStep);
  }

 private:
  std::string path_;
  UniqueFd file_;
  bool complained_ = false;
  std::mutex mutex_;
  std::condition_variable grown_;
  bool ended_ = false;  // GUARDED_BY(mutex_)
};

std::vector<std::pair<std::string, std::string>> string_map(const Value& map) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [key, value] : map.entries()) out.emplace_back(std::string(key), value.scalar_text());
  return out;
}

// Names of objects are DNS names: safe in paths. '_' can't be in them, so the pair is unique.
std::string directory_name(const ObjectKey& key) {
  return key.ns + "_" + key.name;
}

class BuilderImpl : public Builder {
 public:
  BuilderImpl(kube::Runtime& runtime, BuilderOptions options)
      : runtime_(runtime), options_(std::move(options)), pool_("build", options_.concurrent_max, 1000) {}

  ~BuilderImpl() override {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [key, run] : runs_) run.stop.request_stop();
  }  // the pool, declared last, joins

  void set_queue(kube::Queue queue) { queue_ = std::move(queue); }

  Result<Requeue> reconcile(const ObjectKey& key) {
    const std::optional<Object> build = runtime_.informer(schema::kBuilds).find(key);
    if (!build || build->deleting()) return forget(key);
    const std::string phase = build->status()["phase"].str();
    std::optional<Done> done;
    {
      const std::lock_guard lock(mutex_);
      const auto it = runs_.find(key);
      if (it != runs_.end() && it->second.uid != build->uid()) {  // deleted and made again under the same name
        it->second.stop.request_stop();
        if (!it->second.done) return Requeue::never();  // its end queues the key
        runs_.erase(it);
      } else if (it != runs_.end()) {
        // The informer may still show what was before the report: a finished build is not begun again.
        if (!it->second.done || it->second.reported) return Requeue::never();
        done = it->second.done;
      }
    }
    if (done) return report(key, *done);
    if (phase == "Succeeded" || phase == "Failed") return Requeue::never();
    return begin(*build);
  }

  Result<content::ByteSource> open_log(const std::string& ns, const std::string& name, bool follow) override {
    const ObjectKey key{ns, name};
    if (ns.find('/') != std::string::npos || name.find('/') != std::string::npos) {
      return Error{ErrorCode::not_found, "no build " + key.str()};
    }
    std::shared_ptr<LogFile> live;
    {
      const std::lock_guard lock(mutex_);
      const auto it = runs_.find(key);
      if (it != runs_.end()) live = it->second.log;
    }
    const std::string path = options_.directory + "/" + directory_name(key) + "/log";
    auto file = std::make_shared<UniqueFd>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!*file) return Error{ErrorCode::not_found, "build " + key.str() + " has no log yet"};
    return content::ByteSource([file, live, follow]() -> Result<std::string> {
      std::string piece(64u << 10, '\0');
      for (;;) {
        const bool ended = !live || live->ended();  // asked before reading: what was written before the end is read
        const ssize_t n = ::read(file->get(), piece.data(), piece.size());
        if (n < 0) return errno_error("read log");
        piece.resize(static_cast<std::size_t>(n));
        if (n > 0 || !follow || ended) return piece;
        piece.resize(64u << 10);
        live->wait();
      }
    });
  }

 private:
  struct Done {
    bool ok = false;
    std::string image_digest, cache_digest, message;
    Time at{};
  };
  struct Run {
    std::string uid;
    std::stop_source stop;
    std::shared_ptr<LogFile> log;
    std::optional<Done> done;
    bool reported = false;  // the status says so; kept until the object goes
  };

  std::string directory_of(const ObjectKey& key) const { return options_.directory + "/" + directory_name(key); }

  Result<Requeue> forget(const ObjectKey& key) {
    {
      const std::lock_guard lock(mutex_);
      const auto it = runs_.find(key);
      if (it != runs_.end() && !it->second.done) {
        it->second.stop.request_stop();
        return Requeue::never();  // its end queues the key
      }
      runs_.erase(key);
    }
    TRY(remove_tree(directory_of(key)));
    return Requeue::never();
  }

  Result<Requeue> begin(const Object& build) {
    const ObjectKey key = build.key();
    const bool goes_on = build.status()["phase"].as_string() == "Running";
    TRY(set_status(key, [&](Value& status) {
      status.set("phase", "Running").set("message", "");
      if (status["startTime"].is_null()) status.set("startTime", format_time(runtime_.clock().now()));
    }));
    TRY(make_dirs(directory_of(key), 0750));
    std::shared_ptr<LogFile> log = TRY(LogFile::open(directory_of(key) + "/log", goes_on));
    if (goes_on) log->write("\n[build] was cut off; it goes on from the cache\n");
    std::stop_token stop;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return Requeue::never();
      Run& run = runs_[key];
      run = Run{build.uid(), {}, log, {}, false};
      stop = run.stop.get_token();
    }
    const Result<void> queued =
        pool_.run([this, build, log, stop] { finish(build.key(), build.uid(), log, run(build, log, stop)); });
    if (!queued.ok()) {
      const std::lock_guard lock(mutex_);
      runs_.erase(key);
      return queued.error();
    }
    return Requeue::never();
  }

  // --- on a thread of the pool

  Done run(const Object& build, const std::shared_ptr<LogFile>& log, const std::stop_token& stop) {
    Span span;
    const TraceContext parent = build.trace();
    span.start = runtime_.clock().now();
    span.context = parent.empty() ? TraceContext{} : parent.child("build " + build.key().str());
    Done done;
    const Result<content::Digest> image = build_object(build, log, stop, span.context, done.cache_digest);
    span.end = runtime_.clock().now();
    done.at = span.end;
    done.ok = image.ok();
    if (image.ok()) {
      done.image_digest = image->str();
      done.message = "built " + image->str();
    } else {
      done.message = image.error().message.substr(0, kMessageBytesMax);
      log->write("ERROR: " + image.error().message + "\n");
    }
    if (options_.spans != nullptr && !parent.empty()) {
      span.parent_span_id = parent.span_id;
      span.name = "build";
      span.component = "build";
      span.error = done.ok ? "" : done.message;
      span.attributes = {{"build", build.key().str()}, {"image", done.image_digest}};
      options_.spans->record(std::move(span));
    }
    return done;
  }

  Result<content::Digest> build_object(const Object& build, const std::shared_ptr<LogFile>& log,
                                       const std::stop_token& stop, const TraceContext& trace, std::string& cache) {
    const Value& spec = build.spec();
    const std::string context = directory_of(build.key()) + "/context";
    TRY(unpack_context(build, context));
    BuildRequest request;
    request.id = build.uid();
    request.context_dir = context;
    if (!spec["dockerfile"].str().empty())
      request.dockerfile_path = path_clean("/" + spec["dockerfile"].str()).substr(1);
    request.target = spec["target"].str();
    request.build_args = string_map(spec["buildArgs"]);
    request.labels = string_map(spec["labels"]);
    request.secrets = TRY(secret_values(build.ns(), spec["secretMounts"]).in("spec.secretMounts"));
    request.ssh_keys = TRY(secret_values(build.ns(), spec["sshMounts"]).in("spec.sshMounts"));
    request.cache_scope = build.ns();
    request.use_cache = spec["cache"].as_bool(true);
    request.cache_run_layers = spec["cacheRunLayers"].as_bool(true);
    if (spec["cacheSecondsMax"].is_int())
      request.cache_age_max = std::chrono::seconds(spec["cacheSecondsMax"].as_int());
    for (const Value& path : spec["ignorePaths"].items()) request.ignore_paths.push_back(path.str());
    for (const Value& manifest : spec["cacheFrom"].items()) {
      std::vector<CacheEntry> entries = TRY(imported_cache(build.ns(), manifest.as_string()));
      request.imported_cache.insert(request.imported_cache.end(), entries.begin(), entries.end());
    }
    request.trust_host_ca = spec["trustHostCA"].as_bool(options_.trust_host_ca);
    if (spec["timeoutSeconds"].is_int()) request.step_time_max = std::chrono::seconds(spec["timeoutSeconds"].as_int());
    request.log = [&log](std::string_view text) { log->write(text); };
    request.stop = stop;
    request.spans = options_.spans;
    request.trace = trace;
    const BuildServices services{options_.blobs,     options_.layers,  options_.containers, options_.base_image,
                                 options_.cache_dir, runtime_.clock(), options_.network};
    const Result<BuildResult> result = build_image(request, services);
    TRY(remove_tree(context));
    if (!result.ok()) return result.error();
    const BuildResult& built = *result;
    TRY(link(build.ns(), built.manifest));
    if (const std::string_view kept = spec["cacheTo"].as_string(); !kept.empty())
      cache = TRY(export_cache(build.ns(), built, kept == "max"));
    log::info("image built", {{"build", build.key().str()},
                              {"digest", built.manifest.str()},
                              {"steps_cached", built.steps_cached},
                              {"steps_run", built.steps_run}});
    return built.manifest;
  }

  // What a Secret of the Build's namespace holds, by the id that the Dockerfile knows it by: {id, secretName, key}.
  Result<std::map<std::string, std::string>> secret_values(const std::string& ns, const Value& mounts) const {
    std::map<std::string, std::string> out;
    for (const Value& mount : mounts.items()) {
      const std::string name = mount["secretName"].str(), key = mount["key"].str();
      const Object secret = TRY(runtime_.client().get(schema::kSecrets, {ns, name}));
      const Value& encoded = secret.get({"data", key});
      if (encoded.is_null()) return Error{ErrorCode::not_found, "Secret " + name + " has no key " + key};
      out[mount["id"].str()] = TRY(unbase64(encoded.as_string()).in("Secret " + name + ", key " + key));
    }
    return out;
  }

  Result<void> unpack_context(const Object& build, const std::string& directory) {
    const content::Digest digest =
        TRY(content::Digest::parse(build.spec()["contextDigest"].as_string()).in("spec.contextDigest"));
    if (!options_.tags.has_blob(contexts_repository(build.ns()), digest)) {
      return Error{ErrorCode::not_found,
                   "the context " + digest.str() + " was not uploaded to " + contexts_repository(build.ns())};
    }
    TRY(remove_tree(directory));
    TRY(make_dirs(directory, 0755));
    content::ByteSource bytes = TRY(options_.blobs.open_read(digest).in("context"));
    content::ByteSource plain = TRY(content::decompress(std::move(bytes)).in("context"));
    content::TarReader reader(std::move(plain), kContextLimits);
    content::Extractor extractor = TRY(content::Extractor::open(directory));
    for (;;) {
      const std::optional<content::TarEntry> entry = TRY(reader.next().in("context"));
      if (!entry) break;
      TRY(extractor.add(*entry, [&] { return reader.read_some(); }).in("context"));
    }
    return extractor.finish();
  }

  // A cache that the step has put into the namespace's repository; another repository's can't be named.
  Result<std::vector<CacheEntry>> imported_cache(const std::string& ns, std::string_view text) const {
    const content::Digest digest = TRY(content::Digest::parse(text).in("spec.cacheFrom"));
    const Result<std::string> type = options_.tags.manifest_type(builds_repository(ns), digest);
    if (!type.ok())
      return Error{ErrorCode::not_found, "the cache " + digest.str() + " is not in " + builds_repository(ns)};
    return read_cache_image(digest, options_.blobs);
  }

  Result<std::string> export_cache(const std::string& ns, const BuildResult& built, bool all_stages) {
    std::vector<CacheEntry> entries;
    for (const CacheEntry& entry : built.cache) {
      const auto is_it = [&](const content::Descriptor& layer) { return layer.digest == entry.layer.diff_id; };
      if (all_stages || std::any_of(built.layers.begin(), built.layers.end(), is_it)) entries.push_back(entry);
    }
    const content::Digest digest = TRY(write_cache_image(entries, options_.blobs));
    TRY(link(ns, digest));
    return digest.str();
  }

  // Makes a result pullable and mountable from the namespace's repository.
  Result<void> link(const std::string& ns, const content::Digest& digest) {
    const std::string repository = builds_repository(ns);
    const std::string bytes = TRY(options_.blobs.read(digest, content::kManifestBytesMax));
    const content::Manifest manifest = TRY(content::parse_manifest(bytes));
    TRY(options_.tags.add_blob(repository, manifest.config.digest));
    for (const content::Descriptor& layer : manifest.layers) TRY(options_.tags.add_blob(repository, layer.digest));
    return options_.tags.add_manifest(repository, digest, manifest.media_type);
  }

  void finish(const ObjectKey& key, const std::string& uid, const std::shared_ptr<LogFile>& log, Done done) {
    log->end();
    {
      const std::lock_guard lock(mutex_);
      const auto it = runs_.find(key);
      if (stopping_ || it == runs_.end() || it->second.uid != uid) return;
      it->second.done = std::move(done);
    }
    queue_.add(key);
  }

  // --- back in the reconciler

  Result<Requeue> report(const ObjectKey& key, const Done& done) {
    TRY(set_status(key, [&](Value& status) {
      status.set("phase", done.ok ? "Succeeded" : "Failed").set("message", done.message);
      if (done.ok) status.set("imageDigest", done.image_digest);
      if (!done.cache_digest.empty()) status.set("cacheDigest", done.cache_digest);
      status.set("completionTime", format_time(done.at));
    }));
    const std::lock_guard lock(mutex_);
    if (const auto it = runs_.find(key); it != runs_.end()) it->second.reported = true;
    return Requeue::never();
  }

  Result<void> set_status(const ObjectKey& key, const std::function<void(Value&)>& change) {
    kube::WriteOptions options;
    options.subresource = "status";
    const Result<Object> written = kube::modify(
        runtime_.client(), schema::kBuilds, key,
        [&](Object& object) {
          change(object.edit({"status"}));
          return true;
        },
        options);
    if (!written.ok()) return written.error();
    return {};
  }

  kube::Runtime& runtime_;
  BuilderOptions options_;
  kube::Queue queue_;
  std::mutex mutex_;
  std::map<ObjectKey, Run> runs_;  // GUARDED_BY(mutex_)
  bool stopping_ = false;          // GUARDED_BY(mutex_)
  WorkerPool pool_;
};

class BuildReconciler : public kube::Reconciler {
 public:
  explicit BuildReconciler(BuilderImpl& builder) : builder_(builder) {}
  std::string_view name() const override { return "build"; }
  Result<Requeue> reconcile(const ObjectKey& key) override { return builder_.reconcile(key); }

 private:
  BuilderImpl& builder_;
};

}  // namespace

Result<std::unique_ptr<Builder>> add_builder(kube::Runtime& runtime, BuilderOptions options) {
  TRY(make_dirs(options.directory, 0750));
  TRY(clean_up_builds(
      {options.blobs, options.layers, options.containers, options.base_image, options.cache_dir, runtime.clock()}));
  auto builder = std::make_unique<BuilderImpl>(runtime, std::move(options));
  const kube::Queue queue = runtime.add(std::make_unique<BuildReconciler>(*builder));
  builder->set_queue(queue);
  runtime.watch(schema::kBuilds, queue);
  return std::unique_ptr<Builder>(std::move(builder));
}

}  // namespace caisson::build
