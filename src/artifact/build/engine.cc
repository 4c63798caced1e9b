// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/engine.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>

#include <algorithm>

#include "artifact/container/containers.h"
#include "artifact/container/root.h"
#include "artifact/content/blob_store.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace caisson::build {

using content::Descriptor;
using content::Digest;
using content::Hasher;
using content::ImageConfig;

namespace {

constexpr std::string_view kWorkPrefix = "build-";
constexpr std::size_t kDockerfileBytesMax = 4u << 20;
constexpr std::size_t kLayersMax = 450;  // overlayfs stops at 500 lower directories

void hash_text(Hasher& hasher, std::string_view text) {
  hasher.update(std::to_string(text.size()));
  hasher.update(":");
  hasher.update(text);
}

// Whatever was made after `seconds` was made then, so that two builds of the same inputs give the same bytes.
Result<void> clamp_times(const std::string& directory, std::int64_t seconds) {
  std::string root = directory;
  char* const roots[] = {root.data(), nullptr};
  const std::unique_ptr<FTS, int (*)(FTS*)> walk(::fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, nullptr), ::fts_close);
  if (!walk) return errno_error("walk " + directory);
  const timespec times[2] = {{.tv_sec = seconds, .tv_nsec = 0}, {.tv_sec = seconds, .tv_nsec = 0}};
  while (const FTSENT* entry = ::fts_read(walk.get())) {
    if (entry->fts_info == FTS_D || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) continue;
    if (entry->fts_statp->st_mtime <= seconds) continue;
    if (::utimensat(AT_FDCWD, entry->fts_path, times, AT_SYMLINK_NOFOLLOW) != 0)
      return errno_error(std::string("set times of ") + entry->fts_path);
  }
  return {};
}

}  // namespace

Engine::Engine(const BuildRequest& request, const BuildServices& services)
    : request_(request),
      services_(services),
      cache_(services.cache_dir),
      work_(services.layers.work_dir() + "/" + std::string(kWorkPrefix) + request.id),
      stopped_from_outside_(request.stop, [this] { stop_.request_stop(); }) {}

Engine::~Engine() {
  const Result<int> unmounted = container::unmount_below(work_);
  const Result<void> removed = unmounted.ok() ? remove_tree(work_) : Result<void>(unmounted.error());
  if (!removed.ok()) log::warning("build's scratch files left", {{"build", request_.id}, {"error", removed.error()}});
}

void Engine::log(std::string_view text) {
  const std::lock_guard lock(log_mutex_);
  if (request_.log) request_.log(text);
}

std::optional<std::int64_t> Engine::epoch() const {
  const std::string* text = find_variable(request_.build_args, "SOURCE_DATE_EPOCH");
  return text == nullptr ? std::nullopt : parse_int(*text);
}

std::string Engine::created_now() const {
  if (const std::optional<std::int64_t> seconds = epoch()) return format_time(Time(std::chrono::seconds(*seconds)));
  return format_time_nanos(services_.clock.now());
}

std::string Engine::file_name() const {
  return path_base(request_.dockerfile_path);
}

std::string Engine::new_dir(std::string_view name) {
  return work_ + "/" + std::to_string(++directories_) + "-" + std::string(name);
}

Result<BuildResult> Engine::run() {
  TRY(remove_tree(work_));
  TRY(make_dirs(work_, 0700));
  const bool absolute = request_.dockerfile_path.starts_with("/");
  std::string path = request_.dockerfile_path;
  if (!absolute) {
    const std::string inside = path_clean("/" + request_.dockerfile_path);
    path = TRY(container::resolve_in_root(request_.context_dir, inside));
  }
  Result<std::string> text = read_file(path, kDockerfileBytesMax);
  if (!text.ok()) {
    return Error{ErrorCode::not_found, "failed to read dockerfile: open " + request_.dockerfile_path + ": " +
                                           (exists(path) ? text.error().message : "no such file or directory")};
  }
  file_ = TRY(parse_dockerfile(*text));
  StageInput input{request_.target, request_.build_args, request_.platform, {}};
  for (const auto& [name, context] : request_.contexts) input.contexts.push_back(to_lower(name));
  plan_ = TRY(plan_stages(file_, input));
  const std::vector<int> needed = needed_stages(plan_, input.contexts);
  make_stages(needed);
  {
    const std::lock_guard lock(mutex_);
    if (failure_) return *failure_;
  }
  const State* state = TRY(stage(plan_.target));
  return finish(*state);
}

std::string Engine::title_of(const Step& step) {
  const std::string name = step.stage.name.empty() ? "stage-" + std::to_string(step.stage.index) : step.stage.name;
  return "[" + name + " " + std::to_string(step.number) + "/" + std::to_string(step.count) + "] ";
}

Result<void> Engine::apply(const Step& step, State& state) {
  const std::string& keyword = step.instruction.keyword;
  if (keyword == "RUN") return apply_run(step, state);
  if (keyword == "COPY" || keyword == "ADD") return apply_copy(step, state);
  if (keyword == "WORKDIR") return apply_workdir(step, state);
  TRY(apply_config(step, state));
  state.config.history.push_back({created_now(), step.instruction.original, "", true});
  return {};
}

std::vector<std::string> Engine::lowers(const State& state) const {
  return services_.layers.lowers(state.config.diff_ids);
}

Hasher Engine::key_of(const State& state, std::string_view kind) const {
  Hasher hasher;
  hash_text(hasher, "caisson build cache 1");
  hash_text(hasher, kind);
  for (const Digest& diff_id : state.config.diff_ids) hash_text(hasher, diff_id.str());
  if (const std::optional<std::int64_t> seconds = epoch()) hash_text(hasher, "epoch " + std::to_string(*seconds));
  for (const std::string& path : request_.ignore_paths) hash_text(hasher, "ignore " + path);
  return hasher;
}

Variables Engine::scope(const State& state) const {
  Variables out = state.args;
  for (const std::string& line : state.config.env) {
    const std::size_t equals = line.find('=');
    set_variable(out, line.substr(0, equals), equals == std::string::npos ? "" : line.substr(equals + 1));
  }
  return out;
}

// Makes a layer of what a step left in its upper directory.
Result<content::LayerInfo> Engine::commit(const std::string& upper) {
  for (const std::string& path : request_.ignore_paths) {
    const std::string clean = path_clean("/" + path);
    if (clean == "/") return Error{ErrorCode::invalid, "the root can't be ignored"};
    // A link that the step made must not lead out of the layer.
    const std::string above = TRY(container::resolve_in_root(upper, path_dir(clean)));
    if (is_directory(above)) TRY(remove_tree(above + "/" + path_base(clean)));
  }
  if (const std::optional<std::int64_t> seconds = epoch()) TRY(clamp_times(upper, *seconds));
  return services_.layers.commit(upper);
}

Result<content::LayerInfo> Engine::make_layer(const State& state, bool mounted, const Fill& fill) {
  Room room;
  room.upper = new_dir("upper");
  if (!mounted) {
    TRY(make_dirs(room.upper));
    room.merged = room.upper;
    TRY(fill(room));
    return commit(room.upper);
  }
  container::RootSpec root;
  root.lowers = lowers(state);
  if (root.lowers.empty()) {
    root.lowers = {new_dir("empty")};
    TRY(make_dirs(root.lowers[0]));
  }
  room.merged = new_dir("merged");
  root.upper = room.upper;
  root.work = new_dir("work");
  root.merged = room.merged;
  root.is_volatile = true;
  TRY(container::mount_root(root));
  Result<void> filled = fill(room);
  Result<void> unmounted = container::unmount(room.merged);
  TRY(std::move(filled));
  TRY(std::move(unmounted));
  TRY(remove_tree(root.work));
  return commit(room.upper);
}

bool Engine::is_fresh(const CachedLayer& layer) const {
  if (!request_.cache_age_max || epoch()) return true;
  const std::optional<Time> created = parse_time(layer.created);
  return created && services_.clock.now() - *created <= *request_.cache_age_max;
}

std::optional<CachedLayer> Engine::find_cached(const Digest& key) {
  std::optional<CachedLayer> own = cache_.find(key);
  if (own && is_fresh(*own) && services_.layers.touch(own->diff_id)) return own;
  const auto imported =
      std::find_if(request_.imported_cache.begin(), request_.imported_cache.end(),
                   [&](const CacheEntry& entry) { return entry.key == key && is_fresh(entry.layer); });
  if (imported == request_.imported_cache.end()) return std::nullopt;
  const CachedLayer& layer = imported->layer;
  if (services_.layers.touch(layer.diff_id)) return layer;
  Result<content::ByteSource> bytes = services_.blobs.open_read(layer.diff_id);
  const Result<content::LayerInfo> unpacked = bytes.ok()
                                                  ? services_.layers.unpack(layer.diff_id, std::move(bytes).value())
                                                  : Result<content::LayerInfo>(bytes.error());
  if (unpacked.ok()) return layer;
  log("[cache] " + layer.diff_id.str() + " is not used: " + unpacked.error().message + "\n");
  return std::nullopt;
}

Result<Engine::Layer> Engine::find_or_make(const Digest& key, const State& state, bool mounted, bool look_up,
                                           const Fill& fill) {
  {
    std::unique_lock lock(mutex_);
    settled_.wait(lock, [&] { return !making_.contains(key.hex); });
    making_.insert(key.hex);
  }
  const auto make = [&]() -> Result<Layer> {
    std::optional<CachedLayer> cached;
    if (look_up) cached = find_cached(key);
    if (cached) return Layer{*cached, true};
    const content::LayerInfo info = TRY(make_layer(state, mounted, fill));
    Layer made{{info.diff_id, info.size_bytes, created_now()}, false};
    TRY(cache_.put(key, made.layer));
    return made;
  };
  Result<Layer> layer = make();
  {
    const std::lock_guard lock(mutex_);
    making_.erase(key.hex);
  }
  settled_.notify_all();
  return layer;
}

void Engine::record_span(const Step& step, Time start, bool cached, const std::string& error) {
  if (request_.spans == nullptr || request_.trace.empty()) return;
  Span span;
  span.start = start;
  span.end = services_.clock.now();
  span.name = "layer " + step.instruction.original.substr(0, 80);
  span.context = request_.trace.child("layer " + std::to_string(step.stage.index) + "." + std::to_string(step.number));
  span.parent_span_id = request_.trace.span_id;
  span.component = "build";
  span.error = error;
  span.attributes = {{"cached", cached ? "true" : "false"}};
  request_.spans->record(std::move(span));
}

Result<void> Engine::add_layer(const Step& step, State& state, const std::string& key, bool mounted, const Fill& fill) {
  if (state.config.diff_ids.size() >= kLayersMax)
    return Error{ErrorCode::invalid, "an image can't have more than 450 layers"};
  const std::string title = title_of(step);
  log(title + step.instruction.original + "\n");
  const Time start = services_.clock.now();
  const Duration began = services_.clock.monotonic();
  const Digest digest = Digest::parse("sha256:" + key).value();
  const bool look_up = request_.use_cache && (request_.cache_run_layers || step.instruction.keyword != "RUN");
  Result<Layer> made = find_or_make(digest, state, mounted, look_up, fill);
  const Duration took = services_.clock.monotonic() - began;
  record_span(step, start, made.ok() && made->cached, made.ok() ? "" : made.error().message);
  const auto [layer, cached] = TRY(std::move(made));
  log(title + (cached ? "CACHED" : "done in " + format_duration(std::chrono::floor<std::chrono::milliseconds>(took))) +
      "\n");
  {
    const std::lock_guard lock(mutex_);
    (cached ? result_.steps_cached : result_.steps_run) += 1;
    layers_of_[step.stage.index].push_back({digest, layer});
  }
  state.config.diff_ids.push_back(layer.diff_id);
  state.layers.push_back({std::string(content::kOciLayer), layer.diff_id, layer.size_bytes, {}, "", {}});
  state.config.created = layer.created;
  state.config.history.push_back({layer.created, step.instruction.original, "", false});
  return {};
}

Result<BuildResult> Engine::finish(const State& state) {
  ImageConfig config = state.config;
  for (const auto& [name, value] : request_.labels) set_variable(config.labels, name, value);
  if (config.created.empty() || find_variable(request_.build_args, "SOURCE_DATE_EPOCH") != nullptr)
    config.created = created_now();
  // An image that only differs in when its empty steps ran must not differ.
  for (content::History& item : config.history) {
    if (item.empty_layer) item.created = config.created;
  }
  const std::string config_bytes = content::write_config(config);
  content::Manifest manifest;
  manifest.config = {
      std::string(content::kOciConfig), TRY(services_.blobs.put_bytes(config_bytes)), config_bytes.size(), {}, "", {}};
  manifest.layers = state.layers;
  result_.manifest = TRY(services_.blobs.put_bytes(content::write_manifest(manifest)));
  result_.config = config;
  result_.layers = state.layers;
  for (const auto& [stage, layers] : layers_of_)
    result_.cache.insert(result_.cache.end(), layers.begin(), layers.end());
  log("[image] " + result_.manifest.str() + "\n");
  return result_;
}

Result<BuildResult> build_image(const BuildRequest& request, const BuildServices& services) {
  Engine engine(request, services);
  return engine.run();
}

Result<void> clean_up_builds(const BuildServices& services) {
  const std::string work = services.layers.work_dir();
  for (const std::string& name : TRY(list_dir(work))) {
    if (!name.starts_with(kWorkPrefix)) continue;
    TRY(container::unmount_below(work + "/" + name));
    TRY(remove_tree(work + "/" + name));
  }
  return {};
}

}  // namespace caisson::build
