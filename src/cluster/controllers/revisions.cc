// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/revisions.h"

#include <algorithm>

#include "cluster/controllers/names.h"

namespace caisson::controllers {
namespace {

using kube::Object;

constexpr std::string_view kHash = "controller.kubernetes.io/hash";

// A patch that puts the template back as a whole: what `rollout undo` sends.
Value data_of(const Value& pod_template) {
  Value copy = pod_template;
  copy.set("$patch", "replace");
  return Value{{"spec", Value{{"template", std::move(copy)}}}};
}

}  // namespace

Value revision_template(const Object& revision) {
  Value out = revision["data"]["spec"]["template"];
  out.erase("$patch");
  return out;
}

std::string revision_hash(const Object& revision) {
  const std::string_view hash = revision.label(kHash);
  return std::string(hash.empty() ? revision.label(kControllerRevisionHash) : hash);
}

Result<Object> ensure_revision(kube::Client& client, const Object& owner, const std::vector<Object>& owned) {
  const Value& pod_template = owner.spec()["template"];
  std::int64_t newest = 0;
  const Object* found = nullptr;
  for (const Object& revision : owned) {
    newest = std::max(newest, revision["revision"].as_int());
    if (revision_template(revision) == pod_template &&
        (!found || revision["revision"].as_int() > (*found)["revision"].as_int()))
      found = &revision;
  }
  if (found && (*found)["revision"].as_int() == newest) return *found;
  if (found) {
    Object raised = *found;
    raised.edit().set("revision", newest + 1);
    return client.update(raised, by_manager());
  }
  const std::string hash = template_hash(pod_template, owner.status()["collisionCount"].as_int());
  Object made = Object::make(kControllerRevisions, owner.ns(), owner.name() + "-" + hash);
  Value labels = pod_template["metadata"]["labels"].is_map() ? pod_template["metadata"]["labels"] : Value::map();
  labels.set(owner.kind() == "DaemonSet" ? kControllerRevisionHash : kHash, hash);
  made.edit({"metadata"}).set("labels", std::move(labels));
  if (const Value& annotations = owner.metadata()["annotations"]; !annotations.empty())
    made.edit({"metadata"}).set("annotations", annotations);
  made.set_controller(owner);
  made.edit().set("data", data_of(pod_template));
  made.edit().set("revision", newest + 1);
  auto created = client.create(made, by_manager());
  if (created.ok() || created.error().code != ErrorCode::already_exists) return created;
  Object there = TRY(client.get(kControllerRevisions, made.key()));
  if (revision_template(there) == pod_template) return there;
  // Another template with the same hash: count the collision, so that the next name differs.
  TRY(kube::modify(
      client, TRY(client.resource_for(owner.api_version(), owner.kind())), owner.key(),
      [](Object& live) {
        live.edit({"status"}).set("collisionCount", live.status()["collisionCount"].as_int() + 1);
        return true;
      },
      by_manager("status")));
  return Error{ErrorCode::conflict,
               "controller revision " + made.name() + " is another template's: a new name is taken"};
}

std::vector<Object> plan_revision_cleanup(const Object& owner, std::vector<Object> owned,
                                          const std::vector<std::string>& in_use) {
  std::erase_if(owned,
                [&](const Object& r) { return std::find(in_use.begin(), in_use.end(), r.name()) != in_use.end(); });
  const auto keep = static_cast<std::size_t>(owner.spec()["revisionHistoryLimit"].as_int(10));
  if (owned.size() <= keep) return {};
  std::stable_sort(owned.begin(), owned.end(),
                   [](const Object& a, const Object& b) { return a["revision"].as_int() < b["revision"].as_int(); });
  owned.resize(owned.size() - keep);
  return owned;
}

}  // namespace caisson::controllers
