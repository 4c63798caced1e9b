// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/claims.h"

#include "cluster/controllers/names.h"

namespace caisson::controllers {
namespace {

using kube::Object;

// The uid in the patch makes it fail, rather than touch another object of the same name.
Value adopting(const Object& child, const Object& owner) {
  Object patch(Value::map());
  patch.set_controller(owner);
  patch.edit({"metadata"}).set("uid", child.uid());
  return patch.value();
}

// Writes the list as a whole: with the version, so that nobody else's reference is lost.
Value releasing(const Object& child, const Object& owner) {
  Value kept = Value::list();
  for (const Value& reference : child.metadata()["ownerReferences"].items()) {
    if (reference["uid"].as_string() != owner.uid()) kept.push_back(reference);
  }
  Value patch = Value::map();
  Value& metadata = patch.edit("metadata");
  metadata.set("uid", child.uid());
  metadata.set("resourceVersion", child.resource_version());
  metadata.set("ownerReferences", kept.empty() ? Value() : std::move(kept));
  return patch;
}

Result<bool> may_adopt(kube::Client& client, const schema::Resource& resource, const Object& owner) {
  const auto live = client.get(resource, owner.key());
  if (!live.ok()) {
    if (live.error().code == ErrorCode::not_found) return false;
    return live.error();
  }
  return live->uid() == owner.uid() && !live->deleting();
}

}  // namespace

Result<std::vector<Object>> claim(kube::Client& client, const schema::Resource& owner_resource, const Object& owner,
                                  const kube::LabelSelector& selector, const schema::Resource& child_resource,
                                  const std::vector<Object>& candidates) {
  std::vector<Object> out;
  std::optional<bool> adopts;
  for (const Object& child : candidates) {
    const bool matches = selector.matches(child.metadata()["labels"]);
    if (const auto controller = child.controller()) {
      if (controller->uid != owner.uid()) continue;
      if (matches) {
        out.push_back(child);
      } else if (!owner.deleting()) {
        const auto released =
            client.patch(child_resource, child.key(), kube::PatchType::merge, releasing(child, owner), by_manager());
        // Gone, or already another's: either way no longer ours.
        if (!released.ok() && released.error().code != ErrorCode::not_found &&
            released.error().code != ErrorCode::invalid) {
          return Error(released.error()).in("release " + child.key().str());
        }
      }
      continue;
    }
    if (!matches || owner.deleting() || child.deleting()) continue;
    if (!adopts) adopts = TRY(may_adopt(client, owner_resource, owner));
    if (!*adopts) continue;
    const auto adopted =
        client.patch(child_resource, child.key(), kube::PatchType::strategic, adopting(child, owner), by_manager());
    if (adopted.ok()) {
      out.push_back(*adopted);
    } else if (adopted.error().code != ErrorCode::not_found) {
      return Error(adopted.error()).in("adopt " + child.key().str());
    }
  }
  return out;
}

bool selects_template(const kube::LabelSelector& selector, const Value& pod_template) {
  return !selector.everything() && selector.matches(pod_template["metadata"]["labels"]);
}

void Expectations::created(const kube::ObjectKey& owner, const Object& child) {
  const std::lock_guard lock(mutex_);
  expected_[owner].push_back({child.key(), child.uid(), false, clock_.monotonic()});
}

void Expectations::deleted(const kube::ObjectKey& owner, const Object& child) {
  const std::lock_guard lock(mutex_);
  expected_[owner].push_back({child.key(), child.uid(), true, clock_.monotonic()});
}

bool Expectations::is_met(const Expected& expected) const {
  const auto child = children_.find(expected.key);
  const bool there = child && child->uid() == expected.uid;
  if (expected.gone ? !there || child->deleting() : there) return true;
  return clock_.monotonic() - expected.since > std::chrono::seconds(30);
}

bool Expectations::met(const kube::ObjectKey& owner) {
  const std::lock_guard lock(mutex_);
  const auto found = expected_.find(owner);
  if (found == expected_.end()) return true;
  std::erase_if(found->second, [this](const Expected& e) { return is_met(e); });
  if (!found->second.empty()) return false;
  expected_.erase(found);
  return true;
}

void Expectations::forget(const kube::ObjectKey& owner) {
  const std::lock_guard lock(mutex_);
  expected_.erase(owner);
}

}  // namespace caisson::controllers
