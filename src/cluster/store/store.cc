// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/store.h"

#include <condition_variable>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "cluster/store/delivery.h"
#include "cluster/store/log_file.h"
#include "cluster/store/state.h"
#include "cluster/store/value_cache.h"
#include "core/base/encoding.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/round.h"
#include "core/document/json.h"

namespace caisson::store {
namespace {

constexpr std::size_t kRowsPerCommitMax = 64;     // beyond it a commit's latency grows faster than its gain
constexpr std::size_t kErasedPerCommitMax = 200;  // more stalls writers (docs/benchmarks.md)
constexpr int kCheckpointPages = 1'000;           // 4 MiB of WAL
constexpr int kCheckpointRestPages = 4'000;
constexpr int kLengthenPages = 64;  // a store that writes little stays without zeros in its WAL
constexpr auto kUpkeepEvery = std::chrono::seconds(10);
constexpr auto kForgetValuesEvery = std::chrono::minutes(2);

// A change, serialised by the thread that asked for it: who writes has only to fill in the revision.
struct Prepared {
  Change change;  // its value has the marker for a version
  std::string bytes;
  std::size_t revision_at = 0;  // where in `bytes` the marker stands
};

struct Transaction {
  enum class Turn { waiting, leads, done };
  std::vector<Prepared> steps;  // none: upkeep
  std::vector<Applied> applied;
  std::optional<Error> error;
  Store::Done done;  // set: no thread waits for it

  // std::atomic::wait would yield a few times before it sleeps, which costs more than the lock.
  std::mutex mutex;
  std::condition_variable told;
  Turn turn = Turn::waiting;  // GUARDED_BY(mutex)

  void tell(Turn now) {
    if (done) return;
    {
      const std::lock_guard lock(mutex);
      turn = now;
    }
    told.notify_one();
  }
  bool wait_for_lead() {
    std::unique_lock lock(mutex);
    told.wait(lock, [this] { return turn != Turn::waiting; });
    return turn == Turn::leads;
  }
};
using TransactionPtr = std::shared_ptr<Transaction>;

std::int64_t seconds_of(Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

class SqliteStore : public Store {
 public:
  SqliteStore(std::unique_ptr<LogFile> file, Clock& clock, const StoreOptions& options)
      : file_(std::move(file)),
        clock_(clock),
        options_(options),
        state_(options),
        values_(std::make_shared<ValueCache>(options.parsed_bytes_max)),
        delivery_(clock),
        marker_("@" + hex(random_bytes(16))),
        marker_value_(marker_) {}
  ~SqliteStore() override;

  Result<void> load();
  void start();

  Revision revision() const override;
  Revision revision_of(std::string_view resource) const override;
  ItemPtr get(std::string_view resource, std::string_view ns, std::string_view name) const override;
  Result<Listing> list(std::string_view resource, const ListOptions& options) const override;
  std::vector<std::string> resources() const override;
  Result<std::vector<ItemPtr>> commit(std::vector<Change> changes) override;
  void commit_then(std::vector<Change> changes, Done done) override;
  Result<std::unique_ptr<Watch>> watch(const WatchOptions& options, std::function<void(const Event&)> call) override;
  Result<void> backup(const std::string& path) override { return file_->backup(path); }
  StoreStats stats() const override;

 private:
  using Overlay = std::map<std::string, ItemPtr>;  // by Key::str(); null: deleted

  Result<Prepared> prepare(Change change) const;
  Result<void> prepare(std::vector<Change> changes, Transaction& transaction) const;
  Result<std::vector<ItemPtr>> outcome(Transaction& transaction) const;
  bool enqueue(const TransactionPtr& transaction);
  bool leads(const TransactionPtr& transaction);
  void lead();
  void hand_over();
  void call_stand_in();
  std::vector<TransactionPtr> take_batch();
  void write(const std::vector<TransactionPtr>& batch);
  Result<void> plan(Transaction& transaction, Overlay& overlay, std::int64_t& row) const;
  ItemPtr current(const Key& key, const std::string& id, const Overlay& overlay) const;
  ItemPtr item_of(Prepared& step, Revision revision, const ItemPtr& before) const;
  void publish(const std::vector<TransactionPtr>& batch);
  void trim_history();
  void forget_values();
  void erase_rows();
  void lengthen_wal();
  void ask_for_checkpoint();
  void upkeep_loop();
  void stand_in_loop();

  std::unique_ptr<LogFile> file_;
  Clock& clock_;
  StoreOptions options_;

  mutable std::shared_mutex state_mutex_;  // only who leads locks it exclusively, for the length of a map insert
  State state_;
  std::uint64_t commits_ = 0, rows_ = 0;
  std::shared_ptr<ValueCache> values_;
  Delivery delivery_;
  const std::string marker_;  // stands for the revision in prepared bytes; nobody can guess it
  const Value marker_value_;

  // Group commit without a thread of its own: of the transactions that wait, the first one's thread leads, which is to
  // write them all with one sync, and hands over to the first that came meanwhile. Where that one's thread does not
  // wait (commit_then) a stand-in leads. It answers before it writes again: what comes meanwhile shares the next sync.
  std::mutex queue_mutex_;
  std::deque<TransactionPtr> queue_;  // GUARDED_BY(queue_mutex_)
  bool led_ = false;                  // GUARDED_BY(queue_mutex_)
  bool stand_in_leads_ = false;       // GUARDED_BY(queue_mutex_)
  bool closing_ = false;              // GUARDED_BY(queue_mutex_)
  std::condition_variable stand_in_called_;

  std::mutex upkeep_mutex_;
  std::condition_variable upkeep_changed_;
  bool checkpoint_wanted_ = false, stopping_ = false;  // GUARDED_BY(upkeep_mutex_)
  std::atomic<bool> checkpoint_running_{false};

  // Of who leads.
  int checkpointed_pages_ = 0;
  bool lengthened_ = false;
  std::int64_t last_row_ = 0;
  Duration forgot_values_{}, trimmed_{};
  bool failing_ = false;

  std::thread upkeep_;
  std::thread stand_in_;
};

SqliteStore::~SqliteStore() {
  {
    const std::lock_guard lock(upkeep_mutex_);
    stopping_ = true;
  }
  upkeep_changed_.notify_all();
  if (upkeep_.joinable()) upkeep_.join();
  {
    const std::lock_guard lock(queue_mutex_);
    closing_ = true;
  }
  stand_in_called_.notify_all();
  if (stand_in_.joinable()) stand_in_.join();
}

Result<void> SqliteStore::load() {
  Revision complete_since = 0;  // the first revision whose event has its version before
  TRY(file_->load([&](const LogRow& row) {
    const Key key{std::string(row.resource), std::string(row.ns), std::string(row.name)};
    if (complete_since == 0 && state_.find(row.resource, key.path())) complete_since = row.revision;
    auto item = std::make_shared<const Item>(key, row.revision, std::string(row.value), Value(), values_);
    state_.apply({.item = std::move(item), .row = row.id, .deletion = row.deleted, .at = row.at});
    last_row_ = row.id;
  }));
  state_.begin_history_at(complete_since == 0 ? state_.revision() : complete_since - 1);
  state_.trim(seconds_of(clock_.now()));
  return {};
}

void SqliteStore::start() {
  forgot_values_ = clock_.monotonic();
  upkeep_ = std::thread([this] { upkeep_loop(); });
  stand_in_ = std::thread([this] { stand_in_loop(); });
}

// --- reading

Revision SqliteStore::revision() const {
  const std::shared_lock lock(state_mutex_);
  return state_.revision();
}

Revision SqliteStore::revision_of(std::string_view resource) const {
  const std::shared_lock lock(state_mutex_);
  const Table* table = state_.table(resource);
  return table ? table->changed : 0;
}

ItemPtr SqliteStore::get(std::string_view resource, std::string_view ns, std::string_view name) const {
  std::string path(ns);
  if (!ns.empty()) path += '/';
  path += name;
  const std::shared_lock lock(state_mutex_);
  const Stored* stored = state_.find(resource, path);
  return stored ? stored->item : nullptr;
}

Result<Listing> SqliteStore::list(std::string_view resource, const ListOptions& options) const {
  const std::shared_lock lock(state_mutex_);
  return state_.list(resource, options);
}

std::vector<std::string> SqliteStore::resources() const {
  const std::shared_lock lock(state_mutex_);
  std::vector<std::string> names;
  for (const auto& [name, table] : state_.tables())
    if (!table.objects.empty()) names.push_back(name);
  return names;
}

Result<std::unique_ptr<Watch>> SqliteStore::watch(const WatchOptions& options, std::function<void(const Event&)> call) {
  const std::shared_lock lock(
      state_mutex_);  // publish has the exclusive lock: nothing is missed and nothing comes twice
  if (options.state_first) return delivery_.add(options, std::move(call), state_.as_added(options), state_.revision());
  if (options.after < state_.oldest())
    return Error{ErrorCode::expired, "too old resource version: " + std::to_string(options.after) + " (" +
                                         std::to_string(state_.oldest()) + ")"};
  if (options.after > state_.revision())
    return Error{ErrorCode::timeout, "Too large resource version: " + std::to_string(options.after) +
                                         ", current: " + std::to_string(state_.revision())};
  return delivery_.add(options, std::move(call), state_.events_after(options), state_.revision());
}

StoreStats SqliteStore::stats() const {
  const std::shared_lock lock(state_mutex_);
  StoreStats stats{.revision = state_.revision(),
                   .oldest = state_.oldest(),
                   .history = state_.history_size(),
                   .history_bytes = state_.history_bytes(),
                   .watches = delivery_.watches(),
                   .parsed_bytes = values_->json_bytes(),
                   .commits = commits_,
                   .rows = rows_};
  for (const auto& [name, table] : state_.tables()) {
    stats.objects += table.objects.size();
    for (const auto& [path, stored] : table.objects) stats.objects_bytes += stored.item->bytes().size();
  }
  return stats;
}

// --- writing: the asking thread

Result<Prepared> SqliteStore::prepare(Change change) const {
  Prepared step;
  if (!change.value.is_null()) {
    change.value.edit("metadata").set("resourceVersion", marker_value_);
    step.bytes = json::write(change.value);
    step.revision_at = step.bytes.find(marker_);
    if (step.bytes.size() > options_.object_bytes_max)
      return Error{ErrorCode::too_large, "the object is " + std::to_string(step.bytes.size()) +
                                             " bytes; the limit is " + std::to_string(options_.object_bytes_max)};
  } else if (!change.deletion) {
    return Error{ErrorCode::bad_request, change.key.str() + ": no value to store"};
  }
  step.change = std::move(change);
  return step;
}

Result<void> SqliteStore::prepare(std::vector<Change> changes, Transaction& transaction) const {
  transaction.steps.reserve(changes.size());
  for (Change& change : changes) {
    Prepared step = TRY(prepare(std::move(change)));
    transaction.steps.push_back(std::move(step));
  }
  return {};
}

Result<std::vector<ItemPtr>> SqliteStore::commit(std::vector<Change> changes) {
  const auto transaction = std::make_shared<Transaction>();
  TRY(prepare(std::move(changes), *transaction));
  if (transaction->steps.empty()) return std::vector<ItemPtr>{};
  if (leads(transaction)) lead();
  return outcome(*transaction);
}

void SqliteStore::commit_then(std::vector<Change> changes, Done done) {
  const auto transaction = std::make_shared<Transaction>();
  if (auto prepared = prepare(std::move(changes), *transaction); !prepared.ok()) return done(prepared.error());
  if (transaction->steps.empty()) return done(std::vector<ItemPtr>{});
  transaction->done = std::move(done);
  // What is asked for in the same round of a loop is written together.
  if (enqueue(transaction)) at_round_end([this] { call_stand_in(); });
}

Result<std::vector<ItemPtr>> SqliteStore::outcome(Transaction& transaction) const {
  if (transaction.error) return *std::move(transaction.error);
  std::vector<ItemPtr> written;
  written.reserve(transaction.applied.size());
  for (Applied& applied : transaction.applied) {
    values_->entered(applied.item);  // here and not where it is published: who leads is waited for
    written.push_back(std::move(applied.item));
  }
  return written;
}

// --- writing: the thread that leads

// Whether this thread is to lead.
bool SqliteStore::enqueue(const TransactionPtr& transaction) {
  const std::lock_guard lock(queue_mutex_);
  queue_.push_back(transaction);
  return !std::exchange(led_, true);
}

// Waits until somebody wrote the transaction (false), or until it is this thread's turn to write.
bool SqliteStore::leads(const TransactionPtr& transaction) {
  if (enqueue(transaction)) return true;
  end_round();  // who leads may not have been called yet
  return transaction->wait_for_lead();
}

// The first that waits is this thread's own, or nobody's. What comes after it is written while it is answered.
void SqliteStore::lead() {
  const std::vector<TransactionPtr> batch = take_batch();
  if (batch.front()->steps.empty())
    forget_values();
  else
    write(batch);
  erase_rows();
  trim_history();
  hand_over();
  for (const TransactionPtr& transaction : batch)
    if (transaction->done) transaction->done(outcome(*transaction));
}

void SqliteStore::hand_over() {
  const std::lock_guard lock(queue_mutex_);
  if (queue_.empty()) {
    led_ = false;
  } else if (!queue_.front()->done) {
    queue_.front()->tell(Transaction::Turn::leads);
  } else {
    stand_in_leads_ = true;
    stand_in_called_.notify_one();
  }
}

void SqliteStore::call_stand_in() {
  {
    const std::lock_guard lock(queue_mutex_);
    stand_in_leads_ = true;
  }
  stand_in_called_.notify_one();
}

void SqliteStore::stand_in_loop() {
  std::unique_lock lock(queue_mutex_);
  while (true) {
    stand_in_called_.wait(lock, [&] { return stand_in_leads_ || closing_; });
    if (!std::exchange(stand_in_leads_, false)) return;
    lock.unlock();
    lead();
    lock.lock();
  }
}

std::vector<TransactionPtr> SqliteStore::take_batch() {
  std::vector<TransactionPtr> batch;
  std::size_t rows = 0;
  const std::lock_guard lock(queue_mutex_);
  do {
    rows += queue_.front()->steps.size();
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  } while (rows > 0 && !queue_.empty() && !queue_.front()->steps.empty() &&
           rows + queue_.front()->steps.size() <= kRowsPerCommitMax);
  return batch;
}

ItemPtr SqliteStore::current(const Key& key, const std::string& id, const Overlay& overlay) const {
  const auto it = overlay.find(id);
  if (it != overlay.end()) return it->second;
  const std::string_view path = std::string_view(id).substr(key.resource.size() + 1);
  const Stored* stored = state_.find(key.resource, path);  // who leads alone changes state_: no lock to read it
  return stored ? stored->item : nullptr;
}

ItemPtr SqliteStore::item_of(Prepared& step, Revision revision, const ItemPtr& before) const {
  const std::string text = std::to_string(revision);
  Value value = step.change.value.is_null() ? before->value() : std::move(step.change.value);
  value.edit("metadata").set("resourceVersion", text);
  std::string bytes;
  if (step.bytes.empty()) {
    bytes = json::write(value);
  } else {
    bytes.reserve(step.bytes.size() - marker_.size() + text.size());
    bytes.append(step.bytes, 0, step.revision_at).append(text).append(step.bytes, step.revision_at + marker_.size());
  }
  return std::make_shared<const Item>(step.change.key, revision, std::move(bytes), std::move(value), values_);
}

Result<void> SqliteStore::plan(Transaction& transaction, Overlay& overlay, std::int64_t& row) const {
  const Revision revision = row + static_cast<std::int64_t>(transaction.steps.size());
  Overlay changed;  // by this transaction: dropped when it does not hold
  std::int64_t next = row;
  for (Prepared& step : transaction.steps) {
    const Key& key = step.change.key;
    std::string id = key.str();
    const auto own = changed.find(id);
    const ItemPtr before = own != changed.end() ? own->second : current(key, id, overlay);
    const std::optional<Revision>& expected = step.change.expected;
    if (expected && *expected == 0 && before) return Error{ErrorCode::already_exists, key.str() + " already exists"};
    if (!before && (step.change.deletion || (expected && *expected != 0)))
      return Error{ErrorCode::not_found, key.str() + " not found"};
    if (expected && *expected != 0 && own == changed.end() && before->revision() != *expected)
      return Error{ErrorCode::conflict, key.str() + " has revision " + std::to_string(before->revision()) + ", not " +
                                            std::to_string(*expected)};
    const ItemPtr item = item_of(step, revision, before);
    changed[std::move(id)] = step.change.deletion ? nullptr : item;
    transaction.applied.push_back({.item = item, .row = ++next, .deletion = step.change.deletion});
  }
  while (!changed.empty()) {
    auto added = overlay.insert(changed.extract(changed.begin()));
    if (!added.inserted) added.position->second = std::move(added.node.mapped());
  }
  row = next;
  return {};
}

void SqliteStore::write(const std::vector<TransactionPtr>& batch) {
  const std::int64_t now = seconds_of(clock_.now());
  Overlay overlay;
  std::int64_t row = last_row_;
  std::vector<LogRow> rows;
  std::vector<TransactionPtr> planned;
  for (const auto& transaction : batch) {
    const auto result = plan(*transaction, overlay, row);
    if (!result.ok()) {
      transaction->applied.clear();
      transaction->error = result.error();
      transaction->tell(Transaction::Turn::done);
      continue;
    }
    for (Applied& applied : transaction->applied) {
      applied.at = now;
      const Item& item = *applied.item;
      rows.push_back({.id = applied.row,
                      .revision = item.revision(),
                      .resource = item.resource(),
                      .ns = item.ns(),
                      .name = item.name(),
                      .deleted = applied.deletion,
                      .at = now,
                      .value = item.bytes()});
    }
    planned.push_back(transaction);
  }
  if (planned.empty()) return;
  const auto written = file_->append(rows);
  if (written.ok()) {
    last_row_ = row;
    publish(planned);
    if (std::exchange(failing_, false)) log::info("store writes again");
  } else {
    if (!std::exchange(failing_, true)) log::error("store cannot write; reads go on", {{"error", written.error()}});
    for (const auto& transaction : planned) transaction->error = written.error();
  }
  for (const auto& transaction : planned) transaction->tell(Transaction::Turn::done);
  lengthen_wal();
  ask_for_checkpoint();
}

void SqliteStore::publish(const std::vector<TransactionPtr>& batch) {
  std::vector<Event> events;
  const std::unique_lock lock(state_mutex_);
  for (const auto& transaction : batch) {
    for (const Applied& applied : transaction->applied) {
      events.push_back(state_.apply(applied));
      ++rows_;
    }
  }
  ++commits_;
  state_.trim(batch.back()->applied.back().at);
  delivery_.publish(std::move(events));
}

// --- upkeep

void SqliteStore::trim_history() {
  const Duration now = clock_.monotonic();
  if (now - trimmed_ < kUpkeepEvery) return;
  trimmed_ = now;
  const std::unique_lock lock(state_mutex_);
  state_.trim(seconds_of(clock_.now()));
}

void SqliteStore::forget_values() {
  const Duration now = clock_.monotonic();
  if (now - forgot_values_ < kForgetValuesEvery) return;
  forgot_values_ = now;
  values_->age();
}

void SqliteStore::erase_rows() {
  const std::vector<std::int64_t> rows = state_.takeable_rows(kErasedPerCommitMax);
  if (rows.size() < kErasedPerCommitMax) return;  // a commit for a few is not worth its sync
  const auto erased = file_->erase(rows);
  if (erased.ok())
    state_.rows_erased(rows.size());
  else if (!failing_)
    log::warning("store cannot erase old revisions", {{"error", erased.error()}});
}

void SqliteStore::lengthen_wal() {
  if (lengthened_ || file_->wal_pages() < kLengthenPages) return;
  lengthened_ = true;
  const auto done = file_->lengthen_wal(options_.wal_bytes);
  if (!done.ok()) log::warning("the WAL was not lengthened: writes cost more", {{"error", done.error()}});
}

void SqliteStore::ask_for_checkpoint() {
  const int pages = file_->wal_pages();
  if (pages < checkpointed_pages_) checkpointed_pages_ = 0;  // the WAL started over
  if (pages - checkpointed_pages_ < kCheckpointPages || checkpoint_running_) return;
  checkpointed_pages_ = pages;
  if (pages >= kCheckpointRestPages) {
    // The other thread copied nearly all of it; what was written meanwhile keeps the WAL from starting over.
    const auto rest = file_->checkpoint_rest();
    if (!rest.ok()) log::warning("checkpoint failed", {{"error", rest.error()}});
    return;
  }
  {
    const std::lock_guard lock(upkeep_mutex_);
    checkpoint_wanted_ = true;
    checkpoint_running_ = true;
  }
  upkeep_changed_.notify_one();
}

// Checkpoints beside the writers; what needs their turn waits for it as they do.
void SqliteStore::upkeep_loop() {
  std::unique_lock lock(upkeep_mutex_);
  while (true) {
    upkeep_changed_.wait_for(lock, kUpkeepEvery, [&] { return checkpoint_wanted_ || stopping_; });
    if (stopping_) return;
    const bool checkpoint = std::exchange(checkpoint_wanted_, false);
    lock.unlock();
    if (checkpoint) {
      const auto done = file_->checkpoint();
      if (!done.ok()) log::warning("checkpoint failed", {{"error", done.error()}});
      checkpoint_running_ = false;
    } else if (leads(std::make_shared<Transaction>())) {
      lead();
    }
    lock.lock();
  }
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::string& path, Clock& clock, const StoreOptions& options) {
  std::unique_ptr<LogFile> file = TRY(LogFile::open(path, options.sealed_resources));
  auto store = std::make_unique<SqliteStore>(std::move(file), clock, options);
  TRY(store->load());
  store->start();
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace caisson::store
