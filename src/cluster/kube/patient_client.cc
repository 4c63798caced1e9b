// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/patient_client.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "cluster/kube/timed_wait.h"
#include "core/base/log.h"
#include "core/base/random.h"

namespace caisson::kube {
namespace {

constexpr Duration kPauseMin = std::chrono::milliseconds(100), kPauseMax = std::chrono::seconds(10);
constexpr Duration kRefusedEvery = std::chrono::seconds(1);

bool is_trouble(ErrorCode code) {
  return code == ErrorCode::unavailable || code == ErrorCode::timeout || code == ErrorCode::too_many_requests ||
         code == ErrorCode::internal;
}

bool same(const Connection& a, const Connection& b) {
  return a.server == b.server && a.token == b.token && a.http.ca_pem == b.http.ca_pem &&
         a.http.certificate_pem == b.http.certificate_pem && a.http.key_pem == b.http.key_pem &&
         a.http.verify == b.http.verify;
}

class PatientClient final : public Client {
 public:
  PatientClient(PatientOptions options, Clock& clock, Connection connection)
      : options_(std::move(options)), clock_(clock), connection_(connection), read_at_(clock.monotonic()) {
    client_ = options_.make(std::move(connection));
  }

  Result<Object> get(const Resource& resource, const ObjectKey& key) override {
    return call<Object>([&](Client& client) { return client.get(resource, key); });
  }
  Result<ObjectList> list(const Resource& resource, const ListOptions& options) override {
    return call<ObjectList>([&](Client& client) { return client.list(resource, options); });
  }
  Result<Object> create(const Object& object, const WriteOptions& options) override {
    return call<Object>([&](Client& client) { return client.create(object, options); });
  }
  Result<Object> update(const Object& object, const WriteOptions& options) override {
    return call<Object>([&](Client& client) { return client.update(object, options); });
  }
  Result<Object> patch(const Resource& resource, const ObjectKey& key, PatchType type, const Value& patch,
                       const WriteOptions& options) override {
    return call<Object>([&](Client& client) { return client.patch(resource, key, type, patch, options); });
  }
  Result<Object> apply(const Object& object, const WriteOptions& options) override {
    return call<Object>([&](Client& client) { return client.apply(object, options); });
  }
  Result<void> remove(const Resource& resource, const ObjectKey& key, const DeleteOptions& options) override {
    return call<void>([&](Client& client) { return client.remove(resource, key, options); });
  }
  Result<Value> post(const Resource& resource, const ObjectKey& key, std::string_view subresource,
                     const Value& body) override {
    return call<Value>([&](Client& client) { return client.post(resource, key, subresource, body); });
  }
  Result<std::unique_ptr<Watch>> watch(const Resource& resource, const ListOptions& options,
                                       std::function<void(const WatchEvent&)> event) override {
    return call<std::unique_ptr<Watch>>([&](Client& client) { return client.watch(resource, options, event); });
  }
  Result<std::vector<Object>> transact(const std::vector<Write>& writes) override {
    return call<std::vector<Object>>([&](Client& client) { return client.transact(writes); });
  }
  bool atomic() const override { return false; }
  Result<Resource> resource_for(std::string_view api_version, std::string_view kind) override {
    return call<Resource>([&](Client& client) { return client.resource_for(api_version, kind); });
  }
  Result<std::vector<Resource>> resources() override {
    return call<std::vector<Resource>>([](Client& client) { return client.resources(); });
  }

 private:
  // Nothing is sent twice, but after a refusal of the credentials: that request did nothing.
  template <class T, class F>
  Result<T> call(const F& send) {
    TRY(wait_for_pause());
    const std::shared_ptr<Client> client = current();
    Result<T> answer = send(*client);
    if (!answer.ok() && answer.error().code == ErrorCode::unauthorized) {
      read_again(kRefusedEvery);
      const std::shared_ptr<Client> renewed = current();  // by us, or by another caller in between
      if (renewed != client) answer = send(*renewed);
    }
    note(answer.ok() ? nullptr : &answer.error());
    return answer;
  }

  std::shared_ptr<Client> current() {
    read_again(options_.reread_every);
    const std::lock_guard lock(mutex_);
    return client_;
  }

  void read_again(Duration not_before) {
    {
      const std::lock_guard lock(mutex_);
      if (clock_.monotonic() - read_at_ < not_before) return;
      read_at_ = clock_.monotonic();
    }
    auto read = options_.connection();
    if (!read.ok()) {  // a file that is being replaced: the old connection goes on
      log::warning("connection can't be read again", {{"error", read.error()}});
      return;
    }
    const std::lock_guard lock(mutex_);
    if (same(*read, connection_)) return;
    connection_ = *read;
    client_ = options_.make(std::move(read).value());
    log::info("connection renewed", {{"server", connection_.server}});
  }

  Result<void> wait_for_pause() {
    std::unique_lock lock(mutex_);
    while (clock_.monotonic() < paused_until_) {
      if (!options_.waits) return last_error_;
      const Duration until = paused_until_;
      wait_until(changed_, lock, clock_, until);
    }
    return {};
  }

  void note(const Error* error) {
    const std::lock_guard lock(mutex_);
    if (error == nullptr || !is_trouble(error->code)) {
      if (pause_ > Duration(0)) {
        pause_ = Duration(0);
        paused_until_ = Duration(0);
        changed_.notify_all();
      }
      return;
    }
    last_error_ = *error;
    if (clock_.monotonic() < paused_until_) return;  // of a request that was under way: one pause for all of them
    pause_ = std::clamp<Duration>(pause_ * 2, kPauseMin, kPauseMax);
    const auto jitter = static_cast<std::int64_t>(random_u64() % static_cast<std::uint64_t>(pause_.count() / 2 + 1));
    paused_until_ = clock_.monotonic() + pause_ + Duration(jitter);
  }

  const PatientOptions options_;
  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Connection connection_;                                  // GUARDED_BY(mutex_)
  std::shared_ptr<Client> client_;                         // GUARDED_BY(mutex_)
  Duration read_at_, paused_until_{0}, pause_{0};          // GUARDED_BY(mutex_)
  Error last_error_{ErrorCode::unavailable, "no answer"};  // GUARDED_BY(mutex_)
};

}  // namespace

Result<std::unique_ptr<Client>> make_patient_client(PatientOptions options, Clock& clock) {
  Connection connection = TRY(options.connection());
  return std::unique_ptr<Client>(std::make_unique<PatientClient>(std::move(options), clock, std::move(connection)));
}

}  // namespace caisson::kube
