// SPDX-License-Identifier: Apache-2.0
// The stages of a build: made when the target needs them, several at once, and what an instruction sees of another.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <thread>

#include "artifact/build/engine.h"
#include "artifact/container/root.h"
#include "artifact/content/blob_store.h"
#include "core/base/text.h"

namespace caisson::build {

using content::Descriptor;

namespace {

constexpr std::string_view kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::size_t kStagesAtOnce = 4;
constexpr std::size_t kIgnoreBytesMax = 4u << 20;

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
  const std::string text = TRY(read_file(ignore_file, kIgnoreBytesMax));
  const IgnoreRules rules = TRY(IgnoreRules::parse(text).in(path_base(ignore_file)));
  return rules.empty() ? Result<void>() : prune(directory, "", rules);
}

}  // namespace

Result<std::string> Engine::open_context() {
  const std::lock_guard lock(roots_mutex_);
  if (!context_.empty()) return context_;
  const std::string own = request_.dockerfile_path.starts_with("/")
                              ? request_.dockerfile_path + ".dockerignore"
                              : request_.context_dir + "/" + request_.dockerfile_path + ".dockerignore";
  const std::string common = request_.context_dir + "/.dockerignore";
  if (exists(own))
    TRY(prune_by_file(request_.context_dir, own));
  else if (exists(common))
    TRY(prune_by_file(request_.context_dir, common));
  return context_ = request_.context_dir;
}

void Engine::make_stages(const std::vector<int>& needed) {
  several_ = needed.size() > 1;
  std::atomic<std::size_t> next = 0;
  // In their order: whatever a stage waits for has been taken by a thread before it.
  const auto work = [&] {
    for (std::size_t i = next++; i < needed.size() && !stop_.stop_requested(); i = next++) {
      if (!stage(needed[i]).ok()) stop_.request_stop();
    }
  };
  std::vector<std::jthread> others;
  for (std::size_t n = 1; n < std::min(kStagesAtOnce, needed.size()); ++n) others.emplace_back(work);
  work();
}

Result<const State*> Engine::stage(int index) {
  std::unique_lock lock(mutex_);
  const auto [it, is_new] = made_.try_emplace(index);
  std::optional<Result<State>>& made = it->second;  // nodes of a map stay where they are
  if (is_new) {
    lock.unlock();
    Result<State> state = make_stage(plan_.stages[static_cast<std::size_t>(index)]);
    lock.lock();
    if (!state.ok() && !failure_) failure_ = state.error();
    made.emplace(std::move(state));
    settled_.notify_all();
  }
  settled_.wait(lock, [&] { return made.has_value(); });
  if (!made->ok()) return made->error();
  return &**made;
}

Result<State> Engine::make_stage(const Stage& stage) {
  Result<State> base = base_of(stage);
  if (!base.ok())
    return std::move(base).in(file_name() + ":" + std::to_string(stage.from.line) + ": " + stage.from.original).error();
  State state = std::move(base).value();
  TRY(apply_all(stage, state));
  return state;
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
    if (stop_.stop_requested()) return Error{ErrorCode::unavailable, "the build was stopped"};
    const Step step{stage, *one, ++number, static_cast<int>(all.size())};
    Result<void> applied = apply(step, state);
    if (!applied.ok()) {
      const std::string shown = one->original.substr(0, 200);
      return std::move(applied).in(file_name() + ":" + std::to_string(one->line) + ": " + shown);
    }
  }
  return {};
}

Result<std::string> Engine::root_of_state(const State& state) {
  std::vector<std::string> trees = lowers(state);
  const std::string key = join(trees, ":");
  const std::lock_guard lock(roots_mutex_);
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
  if (name.empty()) return open_context();
  {
    const std::lock_guard lock(roots_mutex_);
    if (const auto it = named_roots_.find(name); it != named_roots_.end()) return it->second;
  }
  for (const auto& [key, context] : request_.contexts) {
    if (to_lower(key) == to_lower(name)) return root_of_context(name, context);
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
  const std::lock_guard lock(roots_mutex_);
  return named_roots_[name] = root;
}

Result<std::string> Engine::root_of_context(const std::string& name, const NamedContext& context) {
  std::string root = context.directory;
  if (!context.image.empty()) {
    const State state = TRY(state_of_image(context.image, request_.platform));
    root = TRY(root_of_state(state));
  }
  const std::lock_guard lock(roots_mutex_);
  if (const auto it = named_roots_.find(name); it != named_roots_.end()) return it->second;
  if (context.image.empty() && exists(root + "/.dockerignore")) TRY(prune_by_file(root, root + "/.dockerignore"));
  return named_roots_[name] = root;
}

}  // namespace caisson::build
