// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/hosting.h"

#include "core/base/file.h"
#include "core/base/log.h"
#include "delivery/git/git_command.h"
#include "delivery/git/push_event.h"

namespace caisson::git {
namespace {

constexpr std::string_view kOrganizationLabel = "caisson.dev/organization";
constexpr std::size_t kEventsKeptMin = 100;

}  // namespace

kube::ObjectKey key_of(const std::string& name) {
  const auto slash = name.find('/');
  return {name.substr(0, slash), name.substr(slash + 1)};
}

std::shared_ptr<std::mutex> Hosting::lock_of(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  auto& found = locks_[name];
  if (!found) found = std::make_shared<std::mutex>();
  return found;
}

Result<void> Hosting::check_organization(const std::string& org) const {
  const std::string label = "caisson label namespace " + org + " " + std::string(kOrganizationLabel) + "=true";
  const auto found = client_.get(schema::kNamespaces, {"", org});
  if (!found.ok() && found.error().code != ErrorCode::not_found) return found.error();
  if (found.ok() && found->label(kOrganizationLabel) == "true") return {};
  return Error{ErrorCode::not_found, "organisation '" + org + "' does not exist here: an organisation is a labelled " +
                                         "Namespace, made by `" +
                                         (found.ok() ? label : "caisson create namespace " + org + " && " + label) +
                                         "`"};
}

Result<bool> Hosting::exists(const std::string& name) const {
  const auto object = client_.get(schema::kRepositories, key_of(name));
  if (!object.ok()) {
    if (object.error().code == ErrorCode::not_found) return false;
    return object.error();
  }
  const std::string branch = object->spec()["defaultBranch"].str();
  TRY(make_bare_repository(path_of(name), branch.empty() ? "main" : branch));
  return true;
}

// The object first: a crash in between leaves an object, whose directory the reconciler makes.
Result<void> Hosting::create(const std::string& name) const {
  const kube::ObjectKey key = key_of(name);
  kube::Object object = kube::Object::make(schema::kRepositories, key.ns, key.name);
  object.edit({"spec"}) = Value{{"defaultBranch", "main"}};
  const auto created = client_.create(object);
  if (!created.ok() && created.error().code != ErrorCode::already_exists) return created.error();
  TRY(make_bare_repository(path_of(name), "main"));
  log::info("repository created", {{"repository", name}});
  return {};
}

// HEAD names the wanted branch once that exists, else stays if it is born, else goes to a branch that exists:
// so a first push of "master" is what a clone checks out.
Result<std::string> Hosting::settle_head(const Repository& repository, const std::string& wanted) const {
  const std::string head = TRY(repository.head());
  const auto refs = TRY(repository.refs());
  const auto has = [&](const std::string& name) {
    return std::any_of(refs.begin(), refs.end(), [&](const Ref& ref) { return ref.name == name; });
  };
  std::string settled = head;
  if (!wanted.empty() && has("refs/heads/" + wanted))
    settled = "refs/heads/" + wanted;
  else if (!has(head) && !refs.empty() && refs.front().name.starts_with("refs/heads/"))
    settled = refs.front().name;
  if (settled != head) TRY(write_file(repository.path() + "/HEAD", "ref: " + settled + "\n"));
  return settled;
}

Result<void> Hosting::write_status(const kube::ObjectKey& key, const Repository& repository,
                                   const std::string& head) const {
  const auto refs = TRY(repository.refs());
  Value map = Value::map();
  std::string head_id;
  for (const Ref& ref : refs) {
    map.set(ref.name, ref.id);
    if (ref.name == head) head_id = ref.id;
  }
  kube::WriteOptions options;
  options.subresource = "status";
  TRY(kube::modify(
      client_, schema::kRepositories, key,
      [&](kube::Object& object) {
        Value& status = object.edit({"status"});
        if (status["refs"] == map && status["head"].as_string() == head_id) return false;
        status.set("head", head_id);
        status.set("refs", map);
        return true;
      },
      options));
  return {};
}

Result<void> Hosting::record(const std::string& name, const std::vector<RefUpdate>& updates, const std::string& pusher,
                             const TraceContext& trace) const {
  const kube::ObjectKey key = key_of(name);
  const Repository repository = TRY(open_repository(path_of(name), name));
  const kube::Object object = TRY(client_.get(schema::kRepositories, key));
  const std::string head = TRY(settle_head(repository, object.spec()["defaultBranch"].str()));
  PushContext context;
  context.pusher = pusher;
  context.clone_url = options_.url + "/" + name + ".git";
  context.html_url = options_.url + "/" + name;
  context.default_branch = head.substr(std::string_view("refs/heads/").size());
  context.trace = trace;
  context.now = clock_.now();
  for (const RefUpdate& update : updates) {
    const kube::Object event = TRY(make_push_event(repository, update, context).in("push event of " + name));
    const auto created = client_.create(event);
    if (!created.ok() && created.error().code != ErrorCode::already_exists)
      return Error(created.error()).in("push event of " + name);
    log::info("push recorded",
              {{"repository", name}, {"ref", update.ref}, {"after", update.after}, {"pusher", pusher}});
  }
  return write_status(key, repository, head);
}

Result<void> Hosting::catch_up(const kube::Object& object) const {
  const std::string name = object.key().str();
  const std::string branch = object.spec()["defaultBranch"].str();
  TRY(make_bare_repository(path_of(name), branch.empty() ? "main" : branch));
  const Repository repository = TRY(open_repository(path_of(name), name));
  const auto refs = TRY(repository.refs());
  const Value& known = object.status()["refs"];
  std::vector<RefUpdate> missing;
  for (const Ref& ref : refs) {
    const std::string before = known[ref.name].str();
    if (before != ref.id) missing.push_back({ref.name, before.empty() ? std::string(kNoCommit) : before, ref.id});
  }
  for (const auto& entry : known.entries()) {
    const bool there = std::any_of(refs.begin(), refs.end(), [&](const Ref& ref) { return ref.name == entry.key; });
    if (!there) missing.push_back({std::string(entry.key), entry.value.str(), std::string(kNoCommit)});
  }
  if (!missing.empty()) {
    log::warning("refs moved without a recorded push", {{"repository", name}, {"count", missing.size()}});
    return record(name, missing, "", TraceContext::start());
  }
  const std::string head = TRY(settle_head(repository, branch));
  return write_status(object.key(), repository, head);
}

Result<void> Hosting::prune_events(const std::string& name) const {
  kube::ListOptions options;
  options.ns = key_of(name).ns;
  options.field_selector = "spec.repository=" + name;
  kube::ObjectList events = TRY(client_.list(schema::kPushEvents, options));
  if (events.items.size() <= kEventsKeptMin) return {};
  std::sort(events.items.begin(), events.items.end(),
            [](const auto& a, const auto& b) { return a.created() > b.created(); });
  for (std::size_t i = kEventsKeptMin; i < events.items.size(); ++i) {
    const auto created = events.items[i].created();
    if (!created || clock_.now() - *created < options_.events_kept) continue;
    const auto removed = client_.remove(schema::kPushEvents, events.items[i].key());
    if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed;
  }
  return {};
}

}  // namespace caisson::git
