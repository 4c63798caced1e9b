// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/schema.h"

#include <algorithm>
#include <map>
#include <shared_mutex>

#include "cluster/schema/compile.h"
#include "cluster/schema/version.h"

namespace caisson::schema {
namespace {

bool before(const KindSchema& a, const KindSchema& b) {
  if (a.resource.group != b.resource.group) return a.resource.group < b.resource.group;
  if (a.resource.version != b.resource.version) return version_before(a.resource.version, b.resource.version);
  return a.resource.plural < b.resource.plural;
}

}  // namespace

const Member* ObjectType::find(std::string_view wanted) const {
  // The key of a Value is interned as a member's name is: the same text stands at the same address.
  for (const Member& member : members)
    if (member.name.data() == wanted.data()) return member.name.size() == wanted.size() ? &member : nullptr;
  const auto found = std::lower_bound(members.begin(), members.end(), wanted,
                                      [](const Member& member, std::string_view name) { return member.name < name; });
  return found != members.end() && found->name == wanted ? &*found : nullptr;
}

const Field* Field::field(std::string_view name) const {
  if (type == FieldType::map) return element;
  const Member* found = member(name);
  return found ? found->field : nullptr;
}

bool KindSchema::has_verb(std::string_view verb) const {
  return std::find(verbs.begin(), verbs.end(), verb) != verbs.end();
}

const Subresource* KindSchema::subresource(std::string_view name) const {
  for (const Subresource& sub : subresources) {
    if (sub.name == name) return &sub;
  }
  return nullptr;
}

// Look-ups take a shared lock; a change replaces map entries, and KindPtrs given out live on.
struct Schema::Impl {
  mutable std::shared_mutex mutex;
  std::map<std::string, KindPtr, std::less<>> by_kind, by_plural;  // "group/version/Kind"; GUARDED_BY(mutex)
  std::uint64_t generation = 1;
  const ObjectType* object_meta = nullptr;
  std::map<std::string, const ObjectType*, std::less<>> types;
  std::shared_ptr<FieldMemory> memory;

  static std::string key(std::string_view group, std::string_view version, std::string_view name) {
    std::string out;
    out.reserve(group.size() + version.size() + name.size() + 2);
    out.append(group).append("/").append(version).append("/").append(name);
    return out;
  }
  void put(const KindPtr& kind) {
    const Resource& r = kind->resource;
    by_kind[key(r.group, r.version, r.kind)] = kind;
    by_plural[key(r.group, r.version, r.plural)] = kind;
  }
  KindPtr find(const std::map<std::string, KindPtr, std::less<>>& map, const std::string& name) const {
    std::shared_lock lock(mutex);
    const auto found = map.find(name);
    return found == map.end() ? nullptr : found->second;
  }
  void remove(std::string_view crd) {
    const auto has = [&](const auto& entry) { return entry.second->crd_name == crd; };
    std::erase_if(by_kind, has);
    std::erase_if(by_plural, has);
  }
};

Schema::Schema(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Schema::Schema(Schema&&) noexcept = default;
Schema& Schema::operator=(Schema&&) noexcept = default;
Schema::~Schema() = default;

Result<Schema> Schema::built_in() {
  Compiled compiled = TRY(compile(kind_files()));
  auto impl = std::make_unique<Impl>();
  impl->memory = compiled.memory;
  impl->types = std::move(compiled.types);
  impl->object_meta = impl->types["meta.v1.ObjectMeta"];
  std::map<std::string, std::string> preferred;  // group → version
  for (const auto& kind : compiled.kinds) {
    std::string& best = preferred[kind->resource.group];
    if (best.empty() || version_before(kind->resource.version, best)) best = kind->resource.version;
  }
  for (const auto& kind : compiled.kinds) {
    kind->preferred = preferred[kind->resource.group] == kind->resource.version;
    if (kind->resource.group == "events.k8s.io") kind->storage_kind_group = "";
    impl->put(kind);
  }
  return Schema(std::move(impl));
}

KindPtr Schema::find(std::string_view group, std::string_view version, std::string_view kind) const {
  return impl_->find(impl_->by_kind, Impl::key(group, version, kind));
}

KindPtr Schema::find_plural(std::string_view group, std::string_view version, std::string_view plural) const {
  return impl_->find(impl_->by_plural, Impl::key(group, version, plural));
}

KindPtr Schema::find_api_version(std::string_view api_version, std::string_view kind) const {
  const std::size_t slash = api_version.find('/');
  if (slash == std::string_view::npos) return find("", api_version, kind);
  return find(api_version.substr(0, slash), api_version.substr(slash + 1), kind);
}

KindPtr Schema::find_object(const Value& object) const {
  return find_api_version(object["apiVersion"].as_string(), object["kind"].as_string());
}

KindPtr Schema::find_storage(std::string_view group, std::string_view plural) const {
  std::shared_lock lock(impl_->mutex);
  KindPtr any;
  for (const auto& [key, kind] : impl_->by_plural) {
    if (kind->resource.group != group || kind->resource.plural != plural) continue;
    if (kind->storage_version == kind->resource.version && (kind->preferred || kind->custom)) return kind;
    any = kind;
  }
  return any;
}

std::vector<KindPtr> Schema::all() const {
  std::vector<KindPtr> out;
  {
    std::shared_lock lock(impl_->mutex);
    out.reserve(impl_->by_plural.size());
    for (const auto& [key, kind] : impl_->by_plural) out.push_back(kind);
  }
  std::sort(out.begin(), out.end(), [](const KindPtr& a, const KindPtr& b) { return before(*a, *b); });
  return out;
}

Result<void> Schema::add_crd(const Value& crd) {
  const std::string name = crd["metadata"]["name"].str();
  auto kinds = TRY(compile_crd(crd, impl_->object_meta, impl_->memory));
  std::string best;
  for (const auto& kind : kinds) {
    if (kind->served && (best.empty() || version_before(kind->resource.version, best))) best = kind->resource.version;
  }
  std::unique_lock lock(impl_->mutex);
  const Resource& resource = kinds.front()->resource;
  for (const auto& [key, other] : impl_->by_plural) {
    if (other->resource.group != resource.group || other->crd_name == name) continue;
    const bool same = other->resource.plural == resource.plural || other->resource.kind == resource.kind;
    if (same && other->custom && other->crd_name.empty())
      return {};  // ours already serves it: upstream's definition adds nothing
    if (same) {
      return Error{ErrorCode::already_exists,
                   "spec.names: \"" + resource.plural + "\" of group " + resource.group + " is already in use"};
    }
  }
  impl_->remove(name);
  for (const auto& kind : kinds) {
    kind->preferred = kind->resource.version == best;
    impl_->put(kind);
  }
  ++impl_->generation;
  return {};
}

void Schema::remove_crd(std::string_view name) {
  std::unique_lock lock(impl_->mutex);
  impl_->remove(name);
  ++impl_->generation;
}

std::uint64_t Schema::generation() const {
  std::shared_lock lock(impl_->mutex);
  return impl_->generation;
}

const ObjectType* find_type(const Schema& schema, std::string_view name) {
  const auto found = schema.impl_->types.find(name);
  return found == schema.impl_->types.end() ? nullptr : found->second;
}

const document::MergeSchema* merge_schema(const KindSchema& kind) {
  return kind.custom ? nullptr : &kind.root();
}

}  // namespace caisson::schema
