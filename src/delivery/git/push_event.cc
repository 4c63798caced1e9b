// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/push_event.h"

#include "core/base/hash.h"
#include "core/base/text.h"

namespace caisson::git {
namespace {

constexpr std::size_t kCommitsMax = 50;
constexpr std::size_t kPathsPerCommitMax = 200;
constexpr std::size_t kChangedPathsMax = 5'000;

Value commit_value(const Repository& repository, const Commit& commit) {
  Value out{{"id", commit.id},
            {"message", trim(commit.message)},
            {"timestamp", format_time(commit.time)},
            {"author", Value{{"name", commit.author_name}, {"email", commit.author_email}}}};
  // A commit whose tree can't be read still has a message: its paths are then empty.
  const auto changes =
      repository.changes(commit.parents.empty() ? "" : commit.parents.front(), commit.id, kPathsPerCommitMax);
  out.set("added", Value::list_of(changes.ok() ? changes->added : std::vector<std::string>()));
  out.set("removed", Value::list_of(changes.ok() ? changes->removed : std::vector<std::string>()));
  out.set("modified", Value::list_of(changes.ok() ? changes->modified : std::vector<std::string>()));
  return out;
}

// An annotated tag's commit; a ref that names no commit (a tagged blob) has none.
std::string commit_behind(const Repository& repository, const std::string& id) {
  if (id == kNoCommit) return {};
  auto resolved = repository.resolve(id);
  return resolved.ok() ? std::move(resolved).value() : std::string();
}

}  // namespace

std::string push_event_name(std::string_view repository, const RefUpdate& update) {
  const auto slash = repository.rfind('/');
  std::string name(slash == std::string_view::npos ? repository : repository.substr(slash + 1));
  const std::string text = std::string(repository) + "\n" + update.ref + "\n" + update.before + "\n" + update.after;
  return name.substr(0, 60) + "-" + sha256_hex(text).substr(0, 16);
}

Result<kube::Object> make_push_event(const Repository& repository, const RefUpdate& update,
                                     const PushContext& context) {
  const std::string& full_name = repository.name();
  const auto slash = full_name.find('/');
  const std::string org = full_name.substr(0, slash), name = full_name.substr(slash + 1);
  const bool created = update.before == kNoCommit, deleted = update.after == kNoCommit;
  const std::string before = commit_behind(repository, update.before), after = commit_behind(repository, update.after);

  bool forced = false;
  if (!before.empty() && !after.empty()) {
    const auto descends = repository.is_ancestor(before, after);
    forced = descends.ok() && !*descends;
  }
  // Of a new branch only its own commits are news: what the default branch has is hidden.
  std::string until = before;
  const std::string default_ref = "refs/heads/" + context.default_branch;
  if (created && update.ref != default_ref) {
    if (auto base = repository.resolve(default_ref); base.ok()) until = std::move(base).value();
  }
  Value commits = Value::list();
  if (!after.empty()) {
    auto log = TRY(repository.log(after, kCommitsMax, until));
    for (auto commit = log.rbegin(); commit != log.rend(); ++commit)
      commits.push_back(commit_value(repository, *commit));  // oldest first
  }
  Value body{{"ref", update.ref},  {"before", update.before}, {"after", update.after},
             {"created", created}, {"deleted", deleted},      {"forced", forced}};
  body.set("repository", Value{{"name", name},
                               {"full_name", full_name},
                               {"clone_url", context.clone_url},
                               {"url", context.clone_url},
                               {"html_url", context.html_url},
                               {"default_branch", context.default_branch},
                               {"owner", Value{{"name", org}, {"login", org}}}});
  body.set("pusher", Value{{"name", context.pusher}});
  body.set("sender", Value{{"login", context.pusher}});
  body.set("commits", commits);
  if (after.empty()) {
    body.set("head_commit", Value());
  } else {
    const Commit head = TRY(repository.commit(after));
    body.set("head_commit", commit_value(repository, head));
  }

  kube::Object event = kube::Object::make(schema::kPushEvents, org, push_event_name(full_name, update));
  if (!context.trace.empty()) event.set_annotation(kTraceparentAnnotation, context.trace.traceparent());
  Value& spec = event.edit({"spec"});
  spec.set("repository", full_name);
  spec.set("ref", update.ref);
  spec.set("before", update.before);
  spec.set("after", update.after);
  spec.set("pusher", context.pusher);
  spec.set("body", body);
  if (!after.empty()) {
    const auto changes = TRY(repository.changes(before, after, kChangedPathsMax));
    spec.set("changedPaths", Value::list_of(changes.all()));
    if (changes.truncated) spec.set("changedPathsTruncated", true);
  }
  return event;
}

}  // namespace caisson::git
