// SPDX-License-Identifier: Apache-2.0
// One build as it runs: the stages that the target needs, several at once, each instruction applied to its stage's
// state. Of this room only. A stage only needs stages before it, so that waiting for one never closes a circle. The
// work directory is removed with the object.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "artifact/build/build.h"
#include "artifact/build/cache.h"
#include "artifact/build/copier.h"
#include "artifact/build/run_mounts.h"
#include "artifact/build/stages.h"
#include "artifact/content/layer_store.h"

namespace caisson::build {

struct GitSource;
struct GitAccess;

// An image as it grows.
struct State {
  content::ImageConfig config;
  std::vector<content::Descriptor> layers;  // as many as config.diff_ids
  Variables args;                           // declared in this stage or those it is based on, with a value
  bool has_own_cmd = false;                 // ENTRYPOINT forgets a CMD that is only inherited
};

// Where an instruction is, for messages and the log.
struct Step {
  const Stage& stage;
  const Instruction& instruction;
  int number = 0, count = 0;
};

class Engine {
 public:
  Engine(const BuildRequest& request, const BuildServices& services);
  ~Engine();
  Result<BuildResult> run();

 private:
  // --- engine_stages.cc: which stages are made, and what they begin with
  void make_stages(const std::vector<int>& needed);  // on a few threads; the first failure stops the others
  Result<const State*> stage(int index);             // makes it, or waits for who does
  Result<State> make_stage(const Stage& stage);
  Result<State> base_of(const Stage& stage);
  Result<State> state_of_image(const std::string& reference, const content::Platform& platform);
  Result<void> apply_all(const Stage& stage, State& state);
  // A directory that shows the files of a stage, context or image; read only. `current` is the stage that asks.
  Result<std::string> root_of(const std::string& name, const Stage& current);
  Result<std::string> root_of_state(const State& state);
  Result<std::string> root_of_context(const std::string& name, const NamedContext& context);
  Result<std::string> open_context();  // without what .dockerignore names

  // --- engine.cc: layers
  Result<void> apply(const Step& step, State& state);
  // A layer by its key: from the cache, or made by `fill` in a mounted root and committed. `fill` gets the root and the
  // upper directory.
  struct Room {
    std::string merged, upper;
  };
  using Fill = std::function<Result<void>(const Room&)>;
  Result<void> add_layer(const Step& step, State& state, const std::string& key, bool mounted, const Fill& fill);
  std::optional<CachedLayer> find_cached(const content::Digest& key);
  bool is_fresh(const CachedLayer& layer) const;
  struct Layer {
    CachedLayer layer;
    bool cached = false;
  };
  // Two stages that come to the same step make its layer once.
  Result<Layer> find_or_make(const content::Digest& key, const State& state, bool mounted, bool look_up,
                             const Fill& fill);
  Result<content::LayerInfo> make_layer(const State& state, bool mounted, const Fill& fill);
  Result<content::LayerInfo> commit(const std::string& upper);
  void record_span(const Step& step, Time start, bool cached, const std::string& error);
  std::vector<std::string> lowers(const State& state) const;
  std::string new_dir(std::string_view name);  // below the work directory
  content::Hasher key_of(const State& state, std::string_view kind) const;
  Variables scope(const State& state) const;  // what $name means: ENV, and ARG where ENV has not got it
  Result<BuildResult> finish(const State& state);
  void log(std::string_view text);
  static std::string title_of(const Step& step);  // "[stage 2/5] "
  std::optional<std::int64_t> epoch() const;      // the build argument SOURCE_DATE_EPOCH
  std::string created_now() const;
  std::string file_name() const;  // of the Dockerfile, for messages

  // --- instructions.cc: what only changes the configuration
  Result<void> apply_config(const Step& step, State& state);
  Result<void> apply_arg(const Instruction& i, State& state);
  Result<void> apply_pairs(const Instruction& i, State& state);
  Result<void> apply_expose(const Instruction& i, State& state);
  Result<void> apply_onbuild(const Instruction& i, State& state);
  void apply_healthcheck(const Instruction& i, State& state);
  std::vector<std::string> command_of(const Instruction& i, const State& state) const;
  Result<void> apply_workdir(const Step& step, State& state);

  // --- copy_step.cc: COPY and ADD
  Result<void> apply_copy(const Step& step, State& state);
  struct CopyPlan;
  Result<CopyPlan> plan_copy(const Step& step, const State& state);
  Result<void> add_source(CopyPlan& plan, const Step& step, const State& state, const std::string& word);
  GitAccess git_access() const;
  Result<void> add_git(CopyPlan& plan, const Step& step, const std::string& word);
  Result<void> copy_git(const GitSource& source, const std::string& commit, const std::string& target, Copier& copier);
  Result<void> fetch_url(CopyPlan& plan, const Step& step, const std::string& url, const std::string& to);
  Result<void> run_copy(const CopyPlan& plan, const std::string& root);

  // --- run_step.cc: RUN
  Result<void> apply_run(const Step& step, State& state);
  struct RunPlan;
  Result<RunPlan> plan_run(const Step& step, const State& state);
  Result<void> run_command(const Step& step, const State& state, RunPlan& plan, const Room& room);
  Result<void> add_mount(const RunMount& mount, const Step& step, const State& state, RunPlan& plan,
                         const std::string& merged);
  Result<void> add_system_files(RunPlan& plan);
  Result<void> hash_mounts(const std::vector<RunMount>& mounts, const Step& step, content::Hasher& hasher);

  const BuildRequest& request_;
  const BuildServices& services_;
  CacheIndex cache_;
  std::string work_;
  Dockerfile file_;
  StagePlan plan_;
  bool several_ = false;  // stages are made at once: a line of the log says whose it is

  std::stop_source stop_;
  std::stop_callback<std::function<void()>> stopped_from_outside_;
  std::atomic<int> directories_ = 0, runs_ = 0;
  std::mutex log_mutex_;

  std::mutex mutex_;
  std::condition_variable settled_;  // a stage is made, or a layer
  std::map<int, std::optional<Result<State>>>
      made_;                      // stages, without a value while it is under way; GUARDED_BY(mutex_)
  std::optional<Error> failure_;  // the first, which stopped the others; GUARDED_BY(mutex_)
  std::set<std::string> making_;  // keys of layers under way; GUARDED_BY(mutex_)
  std::map<int, std::vector<CacheEntry>> layers_of_;  // by stage; GUARDED_BY(mutex_)
  BuildResult result_;                                // its counts: GUARDED_BY(mutex_)

  std::mutex roots_mutex_;
  std::string context_;                             // empty until open_context; GUARDED_BY(roots_mutex_)
  std::map<std::string, std::string> roots_;        // mounted for --from, by layers; GUARDED_BY(roots_mutex_)
  std::map<std::string, std::string> named_roots_;  // GUARDED_BY(roots_mutex_)
};

}  // namespace caisson::build
