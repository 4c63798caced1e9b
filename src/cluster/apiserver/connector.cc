// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/connector.h"

#include <condition_variable>
#include <deque>
#include <list>
#include <thread>

#include "core/base/encoding.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

constexpr std::size_t kStreamsMax = 200;
constexpr std::size_t kQueuedMessagesMax = 1'000;

void send_error(http::Exchange& exchange, Request& request, const Error& error) {
  exchange.respond({.status = http_status(error.code),
                    .headers = {{"Content-Type", "application/json"}},
                    .body = json::write(request.status_of(error)) + "\n"});
}

std::string encoded_query(const http::Query& query, std::initializer_list<std::string_view> without) {
  std::string text;
  for (const auto& [key, value] : query) {
    if (std::find(without.begin(), without.end(), key) != without.end()) continue;
    text += (text.empty() ? "?" : "&") + percent_encode(key) + "=" + percent_encode(value);
  }
  return text;
}

// The container that is meant: named, or the only one.
Result<std::string> container_of(Request& request, const Value& pod, std::string_view asked) {
  std::vector<std::string> names, all;
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"})
    for (const Value& container : pod["spec"][list].items()) {
      all.push_back(container["name"].str());
      if (std::string_view(list) == "containers") names.push_back(all.back());
    }
  if (asked.empty()) {
    if (names.size() == 1 && all.size() == 1) return names[0];
    if (names.size() == 1) return names[0];
    std::string choices = "[" + join(names, " ") + "]";
    return request.bad_request("a container name must be specified for pod " + request.name +
                               ", choose one of: " + choices);
  }
  if (std::find(all.begin(), all.end(), asked) != all.end()) return std::string(asked);
  return request.bad_request("container " + std::string(asked) + " is not valid for pod " + request.name);
}

// The versions from which kubectl speaks WebSocket by itself, and those that do when they are told to (KEP-4006).
std::string not_upgraded(std::string_view subresource) {
  const bool forward = subresource == "portforward";
  return "unable to upgrade: streams are served by WebSocket, not by SPDY: use kubectl " +
         std::string(forward ? "1.31 or later, kubectl 1.30 with KUBECTL_PORT_FORWARD_WEBSOCKETS=true"
                             : "1.30 or later, kubectl 1.29 with KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true") +
         ", or caisson " + std::string(forward ? "port-forward" : subresource);
}

struct Target {
  http::ClientOptions agent;
  std::string path;  // with the query
};

// Messages of the client on their way to the agent: they come on the loop thread, and sending may block.
class Outbox {
 public:
  void push(http::WebSocket::Message message) {
    const std::lock_guard lock(mutex_);
    if (messages_.size() < kQueuedMessagesMax)
      messages_.push_back(std::move(message));
    else
      closed_ = true;
    changed_.notify_one();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_one();
  }
  std::optional<http::WebSocket::Message> pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !messages_.empty(); });
    if (messages_.empty()) return std::nullopt;
    auto message = std::move(messages_.front());
    messages_.pop_front();
    return message;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<http::WebSocket::Message> messages_;
  bool closed_ = false;
};

}  // namespace

struct Connector::Impl {
  explicit Impl(Core& c) : core(c) {}
  Core& core;
  std::mutex mutex;
  std::condition_variable ended;
  struct Open {
    std::function<void()> cancel;
  };
  std::list<Open> open;
  bool stopping = false;

  Result<Target> target_of(Request& request, const http::Exchange& exchange) const;
  // Runs `work` on a thread of its own; false when there are too many.
  bool start(const std::shared_ptr<Impl>& self, std::function<void(Open&)> work);
  void set_cancel(Open& slot, std::function<void()> cancel);
  static void pass_body(const http::ExchangePtr& exchange, const std::shared_ptr<http::ResponseStream>& from);
  static void pass_messages(http::WebSocket& client, const std::shared_ptr<http::ClientWebSocket>& agent,
                            const std::shared_ptr<Outbox>& outbox);
};

Connector::Connector(Core& core) : impl_(std::make_shared<Impl>(core)) {}

Connector::~Connector() {
  std::unique_lock lock(impl_->mutex);
  impl_->stopping = true;
  for (Impl::Open& open : impl_->open)
    if (open.cancel) open.cancel();
  impl_->ended.wait(lock, [&] { return impl_->open.empty(); });
}

bool Connector::connects(std::string_view subresource) {
  return subresource == "log" || subresource == "exec" || subresource == "attach" || subresource == "portforward";
}

bool Connector::Impl::start(const std::shared_ptr<Impl>& self, std::function<void(Open&)> work) {
  std::list<Open>::iterator slot;
  {
    const std::lock_guard lock(mutex);
    if (stopping || open.size() >= kStreamsMax) return false;
    slot = open.emplace(open.end());
  }
  std::thread([self, slot, work = std::move(work)]() mutable {
    work(*slot);
    work = nullptr;
    const std::lock_guard lock(self->mutex);
    self->open.erase(slot);
    self->ended.notify_all();
  }).detach();  // the destructor waits for `open` to be empty
  return true;
}

void Connector::Impl::set_cancel(Open& slot, std::function<void()> cancel) {
  const std::lock_guard lock(mutex);
  if (stopping && cancel) cancel();
  slot.cancel = std::move(cancel);
}

Result<Target> Connector::Impl::target_of(Request& request, const http::Exchange& exchange) const {
  const store::ItemPtr item = core.store.get(request.storage_resource(), request.ns, request.name);
  if (request.plural == "builds") {
    if (!item) return request.not_found();
    if (!core.options.node_proxy) return request.fail(ErrorCode::unavailable, "no agent is connected");
    http::ClientOptions agent = TRY(core.options.node_proxy(core.options.node_name));
    return Target{std::move(agent),
                  "/builds/" + request.ns + "/" + request.name + "/log" + encoded_query(exchange.query, {})};
  }
  if (!item) return request.not_found();
  const Value pod = item->value();
  const std::string container(TRY(request.subresource == "portforward"
                                      ? Result<std::string>(std::string())
                                      : container_of(request, pod, http::query_get(exchange.query, "container"))));
  const std::string node = pod.get({"spec", "nodeName"}).str();
  if (node.empty()) return request.bad_request("pod " + request.name + " does not have a host assigned");
  if (!core.options.node_proxy) return request.fail(ErrorCode::unavailable, "no agent is connected");
  http::ClientOptions agent = TRY(core.options.node_proxy(node));
  const std::string object = percent_encode(request.ns) + "/" + percent_encode(request.name);
  const std::string query = encoded_query(exchange.query, {"container"});
  if (request.subresource == "portforward") return Target{std::move(agent), "/portForward/" + object + query};
  const std::string verb = request.subresource == "log" ? "/containerLogs/" : "/" + request.subresource + "/";
  return Target{std::move(agent), verb + object + "/" + percent_encode(container) + query};
}

void Connector::Impl::pass_body(const http::ExchangePtr& exchange, const std::shared_ptr<http::ResponseStream>& from) {
  http::Headers headers;
  const std::string_view type = from->headers.get("Content-Type");
  headers.set("Content-Type", type.empty() ? "text/plain" : type);
  headers.set("Cache-Control", "no-cache, private");
  const auto to = exchange->stream(from->status, std::move(headers));
  // The stream may close after this function has returned: it must not hold what lives here.
  to->on_close([weak = std::weak_ptr<http::ResponseStream>(from)] {
    if (const auto alive = weak.lock()) alive->cancel();
  });
  while (true) {
    const auto piece = from->read_some();
    if (!piece.ok()) return to->closed() ? void() : to->abort();
    if (piece->empty()) break;
    if (!to->write_blocking(*piece).ok()) break;
  }
  to->finish();
}

void Connector::Impl::pass_messages(http::WebSocket& client, const std::shared_ptr<http::ClientWebSocket>& agent,
                                    const std::shared_ptr<Outbox>& outbox) {
  std::thread writer([agent, outbox] {
    while (auto message = outbox->pop())
      if (!agent->send(message->data, message->binary).ok()) break;
    agent->close();
  });
  while (true) {
    auto message = agent->receive();
    if (!message.ok() || !*message) break;
    if (!client.send((*message)->data, (*message)->binary).ok()) break;
  }
  outbox->close();
  writer.join();
  client.close(1000, "");
}

namespace {

// PodLogOptions as their validation reads them.
Result<void> check_log_options(Request& request, const http::Query& query) {
  using Type = schema::FieldError::Type;
  std::vector<schema::FieldError> errors;
  const auto number = [&](const char* field, std::int64_t least, const char* why) {
    const std::string_view text = http::query_get(query, field);
    const auto value = parse_int(text);
    if (!text.empty() && value && *value < least) errors.push_back({Type::invalid, field, Value(*value), why});
  };
  number("tailLines", 0, "must be greater than or equal to 0");
  number("limitBytes", 1, "must be greater than 0");
  number("sinceSeconds", 1, "must be greater than 0");
  if (!http::query_get(query, "sinceSeconds").empty() && !http::query_get(query, "sinceTime").empty())
    errors.push_back({Type::forbidden, "", {}, "at most one of `sinceTime` or `sinceSeconds` may be specified"});
  if (errors.empty()) return {};
  std::vector<std::string> texts;
  for (const schema::FieldError& error : errors) texts.push_back(error.str());
  const std::string text = texts.size() == 1 ? texts[0] : "[" + join(texts, ", ") + "]";
  return request.fail(ErrorCode::invalid, "PodLogOptions \"" + request.name + "\" is invalid: " + text,
                      Value{{"name", request.name}, {"kind", "PodLogOptions"}, {"causes", schema::causes(errors)}});
}

}  // namespace

void Connector::connect(const http::ExchangePtr& exchange, Request& request) {
  if (request.subresource == "log" && request.plural == "pods") {
    const auto options = check_log_options(request, exchange->query);
    if (!options.ok()) return send_error(*exchange, request, options.error());
    const store::ItemPtr item = impl_->core.store.get(request.storage_resource(), request.ns, request.name);
    const Value pod = item ? item->value() : Value();
    const auto container = container_of(request, pod, http::query_get(exchange->query, "container"));
    // Nobody has run it yet: there is nothing to read.
    if (item && container.ok() && pod["spec"]["nodeName"].as_string().empty())
      return exchange->respond({.status = 204, .headers = {}, .body = {}});
  }
  auto target = impl_->target_of(request, *exchange);
  if (!target.ok()) return send_error(*exchange, request, target.error());
  const bool plain = request.subresource == "log";
  if (!plain && !equals_ignoring_case(exchange->headers.get("Upgrade"), "websocket"))
    return send_error(
        *exchange, request,
        request.bad_request(not_upgraded(request.subresource)));
  const auto work = [impl = impl_.get(), exchange, request, target = std::move(target).value(),
                     plain](Impl::Open& slot) mutable {
    const http::Client agent(target.agent);
    http::Request ask;
    ask.url = "http://agent" + target.path;
    ask.time_max = Duration(0);
    if (plain) {
      auto from = agent.open(ask);
      if (!from.ok()) return send_error(*exchange, request, request.fail(ErrorCode::unavailable, from.error().message));
      const std::shared_ptr<http::ResponseStream> stream = std::move(from).value();
      impl->set_cancel(slot, [stream] { stream->cancel(); });
      impl->pass_body(exchange, stream);
      return impl->set_cancel(slot, nullptr);
    }
    std::vector<std::string> offered;
    for (const std::string_view protocol : split(exchange->headers.get("Sec-WebSocket-Protocol"), ','))
      if (!trim(protocol).empty()) offered.emplace_back(trim(protocol));
    auto opened = agent.websocket(ask, offered);
    if (!opened.ok())
      return send_error(*exchange, request, request.fail(ErrorCode::unavailable, opened.error().message));
    const std::shared_ptr<http::ClientWebSocket> upstream = std::move(opened).value();
    auto client = exchange->websocket(upstream->subprotocol);
    if (!client.ok()) return send_error(*exchange, request, client.error());
    impl->set_cancel(slot, [upstream] { upstream->close(); });
    const auto outbox = std::make_shared<Outbox>();
    (*client)->on_message([outbox](http::WebSocket::Message message) { outbox->push(std::move(message)); });
    (*client)->on_close([outbox, upstream] {
      outbox->close();
      upstream->close();
    });
    impl->pass_messages(**client, upstream, outbox);
    impl->set_cancel(slot, nullptr);
  };
  if (!impl_->start(impl_, work))
    send_error(*exchange, request, request.fail(ErrorCode::too_many_requests, "too many open streams to pods"));
}

}  // namespace caisson::apiserver
