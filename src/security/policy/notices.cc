// SPDX-License-Identifier: Apache-2.0
#include "security/policy/notices.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "core/base/encoding.h"
#include "core/base/log.h"
#include "core/document/json.h"
#include "core/http/client.h"

namespace caisson::policy {
namespace {

using EventType = kube::EventRecorder::Type;

constexpr std::size_t kQueuedMax = 1000;
constexpr std::size_t kKnownMax = 10'000;
constexpr std::size_t kLinesMax = 20;  // in one message
constexpr std::size_t kMessageCharactersMax = 300;
constexpr Duration kAgain = std::chrono::seconds(30);
constexpr int kTriesMax = 5;

const kube::ObjectKey& key() {
  static const kube::ObjectKey one{"", "notices"};
  return one;
}

std::string name_of(const Value& object) {
  const Value& metadata = object["metadata"];
  const std::string ns = metadata["namespace"].str();
  const std::string_view name =
      metadata["name"].as_string().empty() ? metadata["generateName"].as_string() : metadata["name"].as_string();
  return object["kind"].str() + " " + (ns.empty() ? "" : ns + "/") + std::string(name);
}

// What makes two violations the same: the Pods of one controller are one thing.
std::string identity_of(const Violation& one) {
  const Value& metadata = one.object["metadata"];
  const Value& owner = metadata["ownerReferences"][0];
  const std::string thing = owner.is_map() ? owner["kind"].str() + "/" + owner["name"].str() : name_of(one.object);
  return one.policy + "\n" + one.rule + "\n" + metadata["namespace"].str() + "\n" + thing + "\n" +
         (one.blocked ? "blocked" : "");
}

std::string first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  if (text.size() <= kMessageCharactersMax) return std::string(text);
  std::size_t end = kMessageCharactersMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

std::string line_of(const Violation& one, std::size_t held_back) {
  std::string out = "• " + one.policy + "/" + one.rule + ": " + name_of(one.object) +
                    (one.blocked ? " was refused" : " violates the policy") +
                    (one.user.empty() ? "" : " (" + one.user + ")") + ": " + first_line(one.message);
  if (held_back > 0) out += " (" + std::to_string(held_back) + " times more since it was last told)";
  return out;
}

Result<void> post(const std::string& url, const std::vector<std::string>& lines) {
  std::string text = "Policy violations";
  for (const std::string& line : lines) text += "\n" + line;
  http::Request request;
  request.method = "POST";
  request.url = url;
  request.headers.set("Content-Type", "application/json");
  request.body = json::write(Value{{"text", text}});
  request.time_max = std::chrono::seconds(10);
  request.response_bytes_max = 64u << 10;
  const auto sent = http::Client().send(request);
  // The URL is a secret itself, and the client's words hold it.
  if (!sent.ok()) return Error{sent.error().code, "the receiver can't be reached"};
  const http::Response& answer = *sent;
  if (answer.status >= 300)
    return Error{ErrorCode::unavailable, "the receiver answered " + std::to_string(answer.status)};
  // Slack says with 200 that it did not take a message.
  const auto body = json::parse(answer.body);
  if (body.ok() && body->is_map() && (*body)["ok"].is_bool() && !(*body)["ok"].as_bool())
    return Error{ErrorCode::unavailable, "the receiver answered " + (*body)["error"].str()};
  return {};
}

}  // namespace

struct Notices::Impl {
  struct Deleted {
    Value policy;
    std::string user;
  };
  std::mutex mutex;
  std::deque<Violation> violations;  // GUARDED_BY(mutex), as all below
  std::deque<Deleted> deletions;
  std::size_t dropped = 0;
  std::optional<kube::Queue> queue;
  std::vector<std::string> unsent;  // lines under way, to be sent again when that fails
  bool sending = false;
  int tries = 0;

  void wake() {
    if (queue) queue->add(key());
  }
};

Notices::Notices() : impl_(std::make_unique<Impl>()) {}
Notices::~Notices() = default;

void Notices::violation(Violation violation) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->violations.size() >= kQueuedMax) {
    ++impl_->dropped;
    return;
  }
  impl_->violations.push_back(std::move(violation));
  impl_->wake();
}

void Notices::policy_deleted(const Value& policy, const std::string& user) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->deletions.size() < kQueuedMax) impl_->deletions.push_back({policy, user});
  impl_->wake();
}

namespace {

class Teller final : public kube::Reconciler {
 public:
  Teller(kube::Runtime& runtime, NoticeOptions options)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        options_(std::move(options)),
        events_(client_, clock_, "kyverno-admission") {}

  std::string_view name() const override { return "policy notices"; }

  Result<kube::Requeue> reconcile(const kube::ObjectKey&) override {
    Notices::Impl& state = options_.notices->impl();
    std::deque<Violation> violations;
    std::deque<Notices::Impl::Deleted> deletions;
    std::size_t dropped = 0;
    {
      const std::lock_guard lock(state.mutex);
      violations.swap(state.violations);
      deletions.swap(state.deletions);
      std::swap(dropped, state.dropped);
    }
    if (dropped > 0) log::warning("policy violations came too fast to tell each", {{"dropped", dropped}});
    std::vector<std::string> lines;
    for (const Violation& one : violations) {
      record(one);
      if (const auto line = news(one)) lines.push_back(*line);
    }
    for (const auto& one : deletions) {
      const std::string text = name_of(one.policy) + " was deleted by " + one.user;
      events_.record(kube::Object(one.policy), EventType::warning, "PolicyDeleted", text);
      lines.push_back("• " + text);
    }
    return send(std::move(lines));
  }

 private:
  void record(const Violation& one) {
    const std::string what = name_of(one.object) + ": [" + one.rule + "] fail" + (one.blocked ? " (blocked)" : "") +
                             "; " + first_line(one.message);
    events_.record(kube::Object(one.policy_object), EventType::warning, "PolicyViolation", what);
    if (!one.blocked)
      events_.record(kube::Object(one.object), EventType::warning, "PolicyViolation",
                     "policy " + one.policy + "/" + one.rule + " fail: " + first_line(one.message));
  }

  // Nothing: it was told a while ago.
  std::optional<std::string> news(const Violation& one) {
    const Time now = clock_.now();
    if (told_.size() >= kKnownMax) std::erase_if(told_, [&](const auto& entry) { return entry.second.until < now; });
    if (told_.size() >= kKnownMax) told_.clear();
    Told& known = told_[identity_of(one)];
    if (known.until > now) {
      ++known.held_back;
      return {};
    }
    const std::size_t held_back = known.held_back;
    known = {now + options_.quiet, 0};
    return line_of(one, held_back);
  }

  Result<std::string> url() const {
    const auto secret = client_.get(schema::kSecrets, {options_.secret_namespace, options_.secret_name});
    if (!secret.ok() && secret.error().code == ErrorCode::not_found) return std::string();
    if (!secret.ok()) return secret.error();
    return unbase64((*secret)["data"]["url"].as_string());
  }

  Result<kube::Requeue> send(std::vector<std::string> lines) {
    Notices::Impl& state = options_.notices->impl();
    const std::string to = TRY(url());
    std::vector<std::string> batch;
    {
      const std::lock_guard lock(state.mutex);
      for (std::string& line : lines)
        if (state.unsent.size() < kQueuedMax) state.unsent.push_back(std::move(line));
      if (to.empty()) state.unsent.clear();
      if (state.sending || state.unsent.empty()) return kube::Requeue::never();
      state.sending = true;
      const std::size_t count = std::min(kLinesMax, state.unsent.size());
      batch.assign(state.unsent.begin(), state.unsent.begin() + static_cast<std::ptrdiff_t>(count));
    }
    const auto work = [notices = options_.notices, to, batch] { finish(*notices, batch.size(), post(to, batch)); };
    if (options_.workers == nullptr) {
      work();
      return kube::Requeue::never();
    }
    const auto started = options_.workers->run(work);
    if (started.ok()) return kube::Requeue::never();
    const std::lock_guard lock(state.mutex);
    state.sending = false;
    return kube::Requeue::after(kAgain);
  }

  static void finish(Notices& notices, std::size_t count, const Result<void>& done) {
    Notices::Impl& state = notices.impl();
    const std::lock_guard lock(state.mutex);
    state.sending = false;
    state.tries = done.ok() ? 0 : state.tries + 1;
    if (!done.ok()) log::warning("policy notice not sent", {{"tries", state.tries}, {"error", done.error()}});
    if (done.ok() || state.tries >= kTriesMax) {
      state.unsent.erase(state.unsent.begin(), state.unsent.begin() + static_cast<std::ptrdiff_t>(count));
      state.tries = 0;
    }
    if (state.unsent.empty() || !state.queue) return;
    done.ok() ? state.queue->add(key()) : state.queue->add_after(key(), kAgain);
  }

  struct Told {
    Time until;
    std::size_t held_back = 0;
  };
  kube::Client& client_;
  Clock& clock_;
  const NoticeOptions options_;
  kube::EventRecorder events_;
  std::unordered_map<std::string, Told> told_;  // one run at a time
};

}  // namespace

void add_notices(kube::Runtime& runtime, NoticeOptions options) {
  const auto notices = options.notices;
  const auto queue = runtime.add(std::make_unique<Teller>(runtime, std::move(options)), 1);
  const std::lock_guard lock(notices->impl().mutex);
  notices->impl().queue = queue;
  queue.add(key());
}

}  // namespace caisson::policy
