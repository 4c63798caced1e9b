// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/engine.h"

#include <fcntl.h>
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

constexpr std::string_view kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::string_view kWorkPrefix = "build-";
constexpr std::size_t kDockerfileBytesMax = 4u << 20;
constexpr std::size_t kLayersMax = 450;  // overlayfs stops at 500 lower directories

void hash_text(Hasher& hasher, std::string_view text) {
  hasher.update(std::to_string(text.size()));
  hasher.update(":");
  hasher.update(text);
}

// A Docker base's layers keep their bytes under the OCI name of the same format.
std::string oci_layer_type(const std::string& type) {
  if (type == "application/vnd.docker.image.rootfs.diff.tar.gzip") return std::string(content::kOciLayer) + "+gzip";
  if (type == "application/vnd.docker.image.rootfs.diff.tar.zstd") return std::string(content::kOciLayer) + "+zstd";
  if (type == "application/vnd.docker.image.rootfs.diff.tar") return std::string(content::kOciLayer);
  return type;
}

// Deletes what the rules ignore, so that COPY and mounts can't see it.
Result<void> prune(const std::string& directory, const std::string& path, const IgnoreRules& rules) {
  for (const std::string& name : TRY(list_dir(directory))) {
    const std::string inner = path.empty() ? name : path + "/" + name, host = directory + "/" + name;
    struct stat st {};
    if (::lstat(host.c_str(), &st) != 0) return errno_error("stat " + host);
    const bool ignored = rules.ignores(inner);
    if (S_ISDIR(st.st_mode) && (!ignored || rules.brings_back())) {
      const timespec times[2] = {st.st_atim, st.st_mtim};
      TRY(prune(host, inner, rules));
      if (::utimensat(AT_FDCWD, host.c_str(), times, 0) != 0) return errno_error("set times of " + host);
      if (ignored && TRY(list_dir(host)).empty()) TRY(remove_tree(host));
    } else if (ignored) {
      TRY(remove_tree(host));
    }
  }
  return {};
}

Result<void> prune_by_file(const std::string& directory, const std::string& ignore_file) {
  const std::string text = TRY(read_file(ignore_file, kDockerfileBytesMax));
  const IgnoreRules rules = TRY(IgnoreRules::parse(text).in(path_base(ignore_file)));
  return rules.empty() ? Result<void>() : prune(directory, "", rules);
}

}  // namespace

Engine::Engine(const BuildRequest& request, const BuildServices& services)
    : request_(request),
      services_(services),
      cache_(services.cache_dir),
      work_(services.layers.work_dir() + "/" + std::string(kWorkPrefix) + request.id) {}

Engine::~Engine() {
  const Result<int> unmounted = container::unmount_below(work_);
  const Result<void> removed = unmounted.ok() ? remove_tree(work_) : Result<void>(unmounted.error());
  if (!removed.ok()) log::warning("build's scratch files left", {{"build", request_.id}, {"error", removed.error()}});
}

void Engine::log(std::string_view text) const {
  if (request_.log) request_.log(text);
}

std::string Engine::created_now() const {
  if (const std::string* epoch = find_variable(request_.build_args, "SOURCE_DATE_EPOCH")) {
    if (const std::optional<std::int64_t> seconds = parse_int(*epoch))
      return format_time(Time(std::chrono::seconds(*seconds)));
  }
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
  const State* state = TRY(stage(plan_.target));
  return finish(*state);
}

Result<void> Engine::open_context() {
  if (!context_.empty()) return {};
  const std::string own = request_.dockerfile_path.starts_with("/")
                              ? request_.dockerfile_path + ".dockerignore"
                              : request_.context_dir + "/" + request_.dockerfile_path + ".dockerignore";
  const std::string common = request_.context_dir + "/.dockerignore";
  if (exists(own))
    TRY(prune_by_file(request_.context_dir, own));
  else if (exists(common))
    TRY(prune_by_file(request_.context_dir, common));
  context_ = request_.context_dir;
  return {};
}

Result<const State*> Engine::stage(int index) {
  if (const auto it = built_.find(index); it != built_.end()) return &it->second;
  const Stage& stage = plan_.stages[static_cast<std::size_t>(index)];
  if (std::find(building_.begin(), building_.end(), index) != building_.end()) {
    return Error{ErrorCode::invalid,
                 "circular dependency detected on stage: " + (stage.name.empty() ? std::to_string(index) : stage.name)};
  }
  building_.push_back(index);
  Result<State> base = base_of(stage);
  if (!base.ok())
    return std::move(base).in(file_name() + ":" + std::to_string(stage.from.line) + ": " + stage.from.original).error();
  State state = std::move(base).value();
  TRY(apply_all(stage, state));
  building_.pop_back();
  return &built_.insert_or_assign(index, std::move(state)).first->second;
}

Result<State> Engine::state_of_image(const std::string& reference, const content::Platform& platform) {
  log("[image] " + reference + "\n");
  const BaseImage image =
      TRY(services_.base_image(reference, platform).in(reference + ": failed to resolve source metadata"));
  if (image.stand_in)
    log("[image] " + reference + " is a stand-in made from distribution packages, not the upstream image\n");
  TRY(content::ensure_layers(services_.blobs, services_.layers, image.manifest, image.config).in(reference));
  State state;
  state.config = image.config;
  state.layers = image.manifest.layers;
  for (Descriptor& layer : state.layers) layer.media_type = oci_layer_type(layer.media_type);
  return state;
}

Result<State> Engine::base_of(const Stage& stage) {
  State state;
  if (stage.base_stage >= 0) {
    const State* parent = TRY(this->stage(stage.base_stage));
    state = *parent;
    state.has_own_cmd = false;
    return state;
  }
  std::string reference = stage.base;
  for (const auto& [name, context] : request_.contexts) {
    if (to_lower(name) != to_lower(stage.base)) continue;
    if (context.image.empty())
      return Error{ErrorCode::invalid, "the context \"" + name + "\" is a folder, not an image"};
    reference = context.image;
  }
  if (reference == "scratch") {
    state.config.platform = stage.platform;
    state.config.env = {std::string(kDefaultPath)};
    return state;
  }
  return state_of_image(reference, stage.platform);
}

Result<void> Engine::apply_all(const Stage& stage, State& state) {
  std::vector<Instruction> triggers;
  for (const std::string& text : std::exchange(state.config.on_build, {})) {
    Instruction trigger = TRY(parse_instruction(text, stage.from.line, file_.escape));
    TRY(check_instruction(trigger));
    triggers.push_back(std::move(trigger));
  }
  std::vector<const Instruction*> all;
  for (const Instruction& trigger : triggers) all.push_back(&trigger);
  for (const Instruction& one : stage.instructions) all.push_back(&one);
  int number = 0;
  for (const Instruction* one : all) {
    if (request_.stop.stop_requested()) return Error{ErrorCode::unavailable, "the build was stopped"};
    const Step step{stage, *one, ++number, static_cast<int>(all.size())};
    Result<void> applied = apply(step, state);
    if (!applied.ok()) {
      const std::string shown = one->original.substr(0, 200);
      return std::move(applied).in(file_name() + ":" + std::to_string(one->line) + ": " + shown);
    }
  }
  return {};
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

Result<content::LayerInfo> Engine::make_layer(const State& state, bool mounted, const Fill& fill) {
  Room room;
  room.upper = new_dir("upper");
  if (!mounted) {
    TRY(make_dirs(room.upper));
    room.merged = room.upper;
    TRY(fill(room));
    return services_.layers.commit(room.upper);
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
  return services_.layers.commit(room.upper);
}

std::optional<CachedLayer> Engine::find_cached(const Digest& key) {
  std::optional<CachedLayer> own = cache_.find(key);
  if (own && services_.layers.touch(own->diff_id)) return own;
  const auto imported = std::find_if(request_.imported_cache.begin(), request_.imported_cache.end(),
                                     [&](const CacheEntry& entry) { return entry.key == key; });
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

Result<void> Engine::add_layer(const Step& step, State& state, const std::string& key, bool mounted, const Fill& fill) {
  if (state.config.diff_ids.size() >= kLayersMax)
    return Error{ErrorCode::invalid, "an image can't have more than 450 layers"};
  const std::string name = step.stage.name.empty() ? "stage-" + std::to_string(step.stage.index) : step.stage.name;
  const std::string title = "[" + name + " " + std::to_string(step.number) + "/" + std::to_string(step.count) + "] ";
  log(title + step.instruction.original + "\n");
  Span span;
  span.start = services_.clock.now();
  const Duration began = services_.clock.monotonic();
  const Digest digest = Digest::parse("sha256:" + key).value();
  std::optional<CachedLayer> layer;
  if (request_.use_cache) layer = find_cached(digest);
  const bool cached = layer.has_value();
  Result<void> made;
  if (!cached) {
    Result<content::LayerInfo> info = make_layer(state, mounted, fill);
    if (info.ok()) {
      layer = CachedLayer{info->diff_id, info->size_bytes, created_now()};
      made = cache_.put(digest, *layer);
    } else {
      made = std::move(info).error();
    }
  }
  const Duration took = services_.clock.monotonic() - began;
  if (request_.spans != nullptr && !request_.trace.empty()) {
    span.name = "layer " + step.instruction.original.substr(0, 80);
    span.context =
        request_.trace.child("layer " + std::to_string(step.stage.index) + "." + std::to_string(step.number));
    span.parent_span_id = request_.trace.span_id;
    span.component = "build";
    span.end = services_.clock.now();
    if (!made.ok()) span.error = made.error().message;
    span.attributes = {{"cached", cached ? "true" : "false"}};
    request_.spans->record(std::move(span));
  }
  TRY(std::move(made));
  log(title + (cached ? "CACHED" : "done in " + format_duration(std::chrono::floor<std::chrono::milliseconds>(took))) +
      "\n");
  (cached ? result_.steps_cached : result_.steps_run) += 1;
  result_.cache.push_back({digest, *layer});
  state.config.diff_ids.push_back(layer->diff_id);
  state.layers.push_back({std::string(content::kOciLayer), layer->diff_id, layer->size_bytes, {}, "", {}});
  state.config.created = layer->created;
  state.config.history.push_back({layer->created, step.instruction.original, "", false});
  return {};
}

Result<std::string> Engine::root_of_state(const State& state) {
  std::vector<std::string> trees = lowers(state);
  const std::string key = join(trees, ":");
  if (const auto it = roots_.find(key); it != roots_.end()) return it->second;
  std::string directory;
  if (trees.size() == 1) {
    directory = trees[0];
  } else {
    const std::string empty = new_dir("empty");
    TRY(make_dirs(empty));
    directory = empty;
    if (!trees.empty()) {
      directory = new_dir("from");
      container::RootSpec root;
      root.lowers = trees;
      root.merged = directory;
      TRY(container::mount_root(root));
    }
  }
  roots_[key] = directory;
  return directory;
}

Result<std::string> Engine::root_of(const std::string& name, const Stage& current) {
  if (name.empty()) {
    TRY(open_context());
    return context_;
  }
  if (const auto it = named_roots_.find(name); it != named_roots_.end()) return it->second;
  for (const auto& [key, context] : request_.contexts) {
    if (to_lower(key) != to_lower(name)) continue;
    std::string root = context.directory;
    if (!context.image.empty()) {
      const State state = TRY(state_of_image(context.image, request_.platform));
      root = TRY(root_of_state(state));
    } else if (exists(root + "/.dockerignore")) {
      TRY(prune_by_file(root, root + "/.dockerignore"));
    }
    return named_roots_[name] = root;
  }
  int index = find_stage(plan_.stages, name);
  if (const std::optional<std::int64_t> number = parse_int(name); index < 0 && number) {
    if (*number < 0 || *number >= current.index) return Error{ErrorCode::invalid, "invalid stage index " + name};
    index = static_cast<int>(*number);
  }
  if (index == current.index) {
    return Error{ErrorCode::invalid,
                 "circular dependency detected on stage: " + (current.name.empty() ? name : current.name)};
  }
  if (index > current.index) {
    return Error{ErrorCode::invalid, "cannot copy from stage \"" + name +
                                         "\", it needs to be defined before current stage \"" +
                                         (current.name.empty() ? std::to_string(current.index) : current.name) + "\""};
  }
  if (index >= 0) {
    const State* state = TRY(stage(index));
    return root_of_state(*state);
  }
  if (name == "scratch") return root_of_state(State{});
  const State state = TRY(state_of_image(name, current.platform));
  const std::string root = TRY(root_of_state(state));
  return named_roots_[name] = root;
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
