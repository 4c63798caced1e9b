// SPDX-License-Identifier: Apache-2.0
// Client: the only way in which a reconciler sees the world. Two implementations: in process (cluster/apiserver makes
// it, for one named user, through authorization and admission like any other) and over HTTP to any Kubernetes API
// (http_client.h).
//
// Any thread; calls block. Errors carry Kubernetes' reasons: not_found, already_exists, conflict, invalid, forbidden,
// gone …
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/kube/object.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/http/message.h"

namespace caisson::kube {

struct ListOptions {
  std::string ns;  // empty: all namespaces
  std::string label_selector, field_selector;
  std::int64_t limit = 0;
  std::string continue_token;
  std::string resource_version;
};
struct ObjectList {
  std::vector<Object> items;
  std::string resource_version, continue_token;
};

enum class PatchType { json, merge, strategic };
struct WriteOptions {
  std::string field_manager = "caisson";
  bool dry_run = false;
  bool force = false;       // apply only: take over conflicting fields
  std::string subresource;  // "status", "scale", "binding" …
};
enum class Propagation { background, foreground, orphan };
struct DeleteOptions {
  Propagation propagation = Propagation::background;
  std::optional<std::int64_t> grace_period_seconds;
  std::string uid, resource_version;  // preconditions; empty: none
  bool dry_run = false;
};

struct WatchEvent {
  enum class Type { added, modified, deleted, bookmark, closed } type;
  Object object;               // of a bookmark: only metadata.resourceVersion
  std::optional<Error> error;  // with closed: why; gone or expired means list again
};
// Ends the watch when destroyed; after the destructor no callback runs.
class Watch {
 public:
  virtual ~Watch() = default;
};

// One step of a transaction.
struct Write {
  enum class Verb { create, update, apply, remove } verb;
  Object object;  // of remove: apiVersion, kind and metadata
  WriteOptions options;
  DeleteOptions remove_options;
};

class Client {
 public:
  virtual ~Client() = default;

  virtual Result<Object> get(const Resource& resource, const ObjectKey& key) = 0;
  virtual Result<ObjectList> list(const Resource& resource, const ListOptions& options) = 0;
  virtual Result<Object> create(const Object& object, const WriteOptions& options = {}) = 0;
  // Needs metadata.resourceVersion for optimistic locking; without it the last write wins.
  virtual Result<Object> update(const Object& object, const WriteOptions& options = {}) = 0;
  virtual Result<Object> patch(const Resource& resource, const ObjectKey& key, PatchType type, const Value& patch,
                               const WriteOptions& options = {}) = 0;
  virtual Result<Object> apply(const Object& object, const WriteOptions& options = {}) = 0;  // server-side apply
  virtual Result<void> remove(const Resource& resource, const ObjectKey& key, const DeleteOptions& options = {}) = 0;
  // POST to a sub-resource (binding, token, eviction): the body in, the answer out.
  virtual Result<Value> post(const Resource& resource, const ObjectKey& key, std::string_view subresource,
                             const Value& body) = 0;
  // Events after `options.resource_version` ("" or "0": first everything there is, as added). The callback runs on a
  // thread of the client, in order, and must not block.
  virtual Result<std::unique_ptr<Watch>> watch(const Resource& resource, const ListOptions& options,
                                               std::function<void(const WatchEvent&)> call) = 0;

  // All or nothing, with one revision, where the target is the embedded store (a later object sees the earlier ones);
  // elsewhere ordered single writes that stop at the first error. `atomic()` tells which.
  virtual Result<std::vector<Object>> transact(const std::vector<Write>& writes) = 0;
  virtual bool atomic() const = 0;

  // The kind behind apiVersion and kind, built-in or of a CRD, by discovery. Errors: not_found "no matches for kind …".
  virtual Result<Resource> resource_for(std::string_view api_version, std::string_view kind) = 0;
  virtual Result<std::vector<Resource>> resources() = 0;

  // Status sub-resource: replaces status only.
  Result<Object> update_status(const Object& object);
};

// Reads, lets `change` edit a copy, and writes back with optimistic locking; again on conflict (at most 10 times).
// `change` gives false to leave it. Errors: what get and update give.
Result<Object> modify(Client& client, const Resource& resource, const ObjectKey& key,
                      const std::function<bool(Object&)>& change, const WriteOptions& options = {});

}  // namespace caisson::kube
