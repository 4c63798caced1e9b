// SPDX-License-Identifier: Apache-2.0
// Core: what every verb of the server works with, and the way of one write: plan in a transaction, commit, run again
// when a race was lost. Internal to this room. Threads: any; a Request and a Transaction belong to one.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "cluster/apiserver/api_server.h"
#include "cluster/apiserver/pending.h"
#include "cluster/apiserver/request.h"
#include "cluster/apiserver/transaction.h"
#include "core/base/worker_pool.h"

namespace caisson::apiserver {

class Authorizer;
class TokenAuthority;
class ServiceAddresses;
class Documents;
class Conversion;
class WebhookClient;
class Auditor;
class OidcAuthenticator;

struct Core {
  Core(store::Store& s, schema::Schema& k, ApiServerOptions o);
  ~Core();

  store::Store& store;
  schema::Schema& schema;
  ApiServerOptions options;
  Clock& clock;
  std::vector<std::shared_ptr<Admission>> admission;
  std::unique_ptr<Authorizer> authorizer;
  std::unique_ptr<TokenAuthority> tokens;
  std::unique_ptr<OidcAuthenticator> oidc;  // null: no identity provider
  std::unique_ptr<ServiceAddresses> addresses;
  std::unique_ptr<Documents> documents;
  std::unique_ptr<WebhookClient> webhooks;
  std::unique_ptr<Conversion> conversion;
  std::shared_ptr<const Auditor> audit;  // null: nothing is on record
  // Held while a Service is written (addresses and ports are one pool) or a CustomResourceDefinition is (names are).
  std::recursive_mutex pools;
  // For what must not hold up the thread it came up on: watches whose objects a webhook converts, writes that lost a
  // race. Made when first asked for.
  WorkerPool& workers();

  // Writers that lost several races for one object go one by one, so that each gets through.
  std::mutex contended;

  Pending answers;  // that execute_then still owes: HttpApi waits for them before the core goes

 private:
  std::once_flag workers_made_;
  std::unique_ptr<WorkerPool> workers_;  // last: its tasks use what stands above
};

// What a verb decided. Nothing is stored before the transaction is committed.
struct Planned {
  Value object;                   // the answer, when nothing was staged under `key`
  std::optional<store::Key> key;  // staged: the answer is what was committed
  int status = 200;
  store::ItemPtr stored = nullptr;  // what is kept under `key` since the commit, unless it was removed
};
using Plan = std::function<Result<Planned>(Transaction&)>;

// Plans and commits; again when another write came between. With request.dry_run nothing is stored.
Result<Planned> execute(Core& core, Request& request, const Plan& plan);
// The same for who need not wait for the disk: `done` is called once, on this thread or on one that writes
// (store::Store::commit_then), whose other answers wait for it. `request` and `core` must live until then.
void execute_then(Core& core, Request& request, Plan plan, std::function<void(Result<Planned>)> done);
// Whether something follows from a write in the server itself (after_write), or its answer may need a webhook: that
// must not run on a thread that writes, or on the one that reads requests.
bool has_consequences(const Request& request);
// After a commit: what follows from it in the server itself (definitions are served or not, aggregated roles filled).
void after_write(Core& core, const Request& request, const Value& object, bool removed);

// --- metadata helpers
// kind, apiVersion and metadata first, as Go writes them: lists are made from these bytes.
Value ordered(const Value& object);
// The object in the version that the request asked for, by the strategy None (conversion.h: by its definition's).
Value in_version(const schema::KindSchema& kind, const Value& stored);
// Does metadata.generation count changes of this kind?
bool counts_generation(const schema::KindSchema& kind);
bool being_deleted(const Value& object);
std::string time_now(Clock& clock);

}  // namespace caisson::apiserver
