// SPDX-License-Identifier: Apache-2.0
#include "core/http/client.h"

#include <map>
#include <mutex>

#include "core/base/encoding.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/http/client_connection.h"
#include "core/http/client_websocket.h"
#include "core/http/proxy.h"

namespace caisson::http {
namespace {

constexpr std::size_t kIdlePerHostMax = 8;
constexpr Duration kIdleTimeMax = std::chrono::seconds(60);

bool is_idempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" || method == "OPTIONS";
}

std::string host_field(const Url& url) {
  const std::string host = url.host.find(':') != std::string::npos ? "[" + url.host + "]" : url.host;
  return url.port == 0 ? host : host + ":" + std::to_string(url.port);
}

int port_of(const Url& url) {
  return url.port != 0 ? url.port : url.scheme == "https" ? 443 : 80;
}

// A Location, which may be relative (RFC 3986 §5.2 as far as servers use it).
Result<Url> resolve(const Url& base, std::string_view location) {
  if (location.find("://") != std::string_view::npos) return Url::parse(location);
  if (location.starts_with("//")) return Url::parse(base.scheme + ":" + std::string(location));
  Url url = base;
  url.user.clear();
  url.password.clear();
  const auto end = std::min(location.find('#'), location.size());
  const auto question = location.substr(0, end).find('?');
  const std::string_view path = location.substr(0, std::min(question, end));
  if (path.starts_with("/"))
    url.path = path;
  else if (!path.empty())
    url.path = base.path.substr(0, base.path.rfind('/') + 1) + std::string(path);
  url.query = question == std::string_view::npos ? "" : std::string(location.substr(question + 1, end - question - 1));
  return url;
}

}  // namespace

struct Client::Impl {
  ClientOptions options;
  ProxyVariables proxies;
  std::mutex mutex;
  std::map<std::string, std::vector<std::unique_ptr<ClientConnection>>> idle;  // GUARDED_BY(mutex)
  SslContextPtr tls;                                                           // GUARDED_BY(mutex), made at first use

  // Where a request goes: the pool's key and how to get there.
  struct Route {
    std::string key;
    Url url;
    int port = 0;
    std::optional<Url> proxy;
    bool absolute_form = false;
  };
  struct Answer {
    std::unique_ptr<ClientConnection> connection;
    ResponseHead head;
    std::string key;
  };

  Result<SSL_CTX*> tls_context() {
    const std::scoped_lock lock(mutex);
    if (!tls) tls = TRY(client_context({options.ca_pem, options.certificate_pem, options.key_pem, options.verify}));
    return tls.get();
  }

  Result<Route> route(const Url& url) const {
    Route out;
    out.url = url;
    out.port = port_of(url);
    if (url.scheme != "http" && url.scheme != "https")
      return Error{ErrorCode::bad_request, "URL scheme '" + url.scheme + "' is not http or https"};
    if (options.unix_socket.empty() && options.connect_host.empty() && options.use_proxy)
      out.proxy = TRY(proxy_for(proxies, url, out.port));
    out.absolute_form = out.proxy && url.scheme == "http";
    out.key = url.scheme + "://" + url.host + ":" + std::to_string(out.port);
    return out;
  }

  Result<void> open_tunnel(std::unique_ptr<Transport>& transport, const Route& route, Duration deadline) {
    const std::string authority =
        (route.url.host.find(':') != std::string::npos ? "[" + route.url.host + "]" : route.url.host) + ":" +
        std::to_string(route.port);
    std::string head =
        "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n" + proxy_authorization(route) + "\r\n";
    ClientConnection connection(std::move(transport));
    Request request;
    request.method = "HEAD";  // an answer to CONNECT has no body either
    const ResponseHead answer = TRY(connection.exchange(request, head, deadline));
    if (answer.status / 100 != 2)
      return Error{ErrorCode::unavailable, "the proxy refused CONNECT with " + std::to_string(answer.status)};
    transport = connection.take_transport();
    return {};
  }

  static std::string proxy_authorization(const Route& route) {
    if (!route.proxy || route.proxy->user.empty()) return "";
    return "Proxy-Authorization: Basic " + base64(route.proxy->user + ":" + route.proxy->password) + "\r\n";
  }

  Result<std::unique_ptr<ClientConnection>> connect(const Route& route, Duration deadline) {
    const Duration connect_deadline = std::min(deadline, deadline_after(options.connect_time_max));
    std::unique_ptr<Transport> transport;
    if (!options.unix_socket.empty()) {
      transport = TRY(Transport::connect_unix(options.unix_socket, connect_deadline).in(options.unix_socket));
    } else if (!options.connect_host.empty()) {
      transport = TRY(Transport::connect_tcp(options.connect_host, options.connect_port, connect_deadline)
                          .in(options.connect_host + ":" + std::to_string(options.connect_port)));
    } else if (route.proxy) {
      const std::string where = route.proxy->host + ":" + std::to_string(route.proxy->port);
      transport =
          TRY(Transport::connect_tcp(route.proxy->host, route.proxy->port, connect_deadline).in("proxy " + where));
      if (!route.absolute_form) TRY(open_tunnel(transport, route, connect_deadline).in("proxy " + where));
    } else {
      transport = TRY(Transport::connect_tcp(route.url.host, route.port, connect_deadline)
                          .in(route.url.host + ":" + std::to_string(route.port)));
    }
    if (route.url.scheme == "https") {
      SSL_CTX* context = TRY(tls_context());
      TRY(transport->start_tls(context, route.url.host, options.verify, connect_deadline)
              .in(route.url.host + ":" + std::to_string(route.port)));
    }
    return std::make_unique<ClientConnection>(std::move(transport));
  }

  std::unique_ptr<ClientConnection> take_idle(const std::string& key) {
    for (;;) {
      std::unique_ptr<ClientConnection> found;
      {
        const std::scoped_lock lock(mutex);
        auto& connections = idle[key];
        if (connections.empty()) return nullptr;
        found = std::move(connections.back());
        connections.pop_back();
      }
      if (monotonic_now() - found->idle_since < kIdleTimeMax && found->is_fresh()) return found;
    }
  }

  void keep(const std::string& key, std::unique_ptr<ClientConnection> connection) {
    if (!connection || !connection->reusable()) return;
    connection->idle_since = monotonic_now();
    const std::scoped_lock lock(mutex);
    auto& connections = idle[key];
    std::erase_if(connections, [](const auto& old) { return monotonic_now() - old->idle_since >= kIdleTimeMax; });
    if (connections.size() < kIdlePerHostMax) connections.push_back(std::move(connection));
  }

  static std::string head_of(const Request& request, const Route& route) {
    const Url& url = route.url;
    std::string out = request.method + " ";
    if (route.absolute_form) out += "http://" + host_field(url);
    out += url.path;
    if (!url.query.empty()) out += "?" + url.query;
    out += " HTTP/1.1\r\nHost: " + host_field(url) + "\r\n";
    for (const auto& [name, value] : request.headers.fields()) {
      if (equals_ignoring_case(name, "Host") || equals_ignoring_case(name, "Transfer-Encoding")) continue;
      if (!request.body_source && equals_ignoring_case(name, "Content-Length")) continue;
      out += name + ": ";
      for (const char c : value) out.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
      out += "\r\n";
    }
    if (!request.headers.contains("User-Agent")) out += "User-Agent: caisson\r\n";
    if (!url.user.empty() && !request.headers.contains("Authorization"))
      out += "Authorization: Basic " + base64(url.user + ":" + url.password) + "\r\n";
    if (route.absolute_form) out += proxy_authorization(route);
    if (request.body_source) {
      if (!request.headers.contains("Content-Length")) out += "Transfer-Encoding: chunked\r\n";
    } else if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
      out += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
    }
    return out + "\r\n";
  }

  // One request without redirects. A connection that was closed before it answered (a kept one by a server that no
  // longer wanted it, a new one by a server that was overloaded) is tried once more, on a new one, when the request may
  // be repeated (RFC 9110 §9.2.2).
  Result<Answer> once(const Request& request, const Url& url, Duration deadline, bool fresh_only) {
    Answer out;
    const Route route = TRY(this->route(url));
    out.key = route.key;
    const std::string head = head_of(request, route);
    const bool may_repeat = is_idempotent(request.method) && !request.body_source;
    if (!fresh_only) out.connection = take_idle(route.key);
    if (!out.connection) out.connection = TRY(connect(route, deadline));
    auto answer = out.connection->exchange(request, head, deadline);
    const bool was_closed =
        !answer.ok() && out.connection->got_nothing() && answer.error().code == ErrorCode::unavailable;
    if (was_closed && may_repeat) {
      out.connection = TRY(connect(route, deadline));
      answer = out.connection->exchange(request, head, deadline);
    }
    out.head = TRY(std::move(answer));
    return out;
  }

  Result<Answer> exchange(const Request& request, bool fresh_only = false) {
    const Duration deadline = deadline_after(request.time_max);
    Url url = TRY(Url::parse(request.url));
    Request current = request;
    const bool follows = request.method == "GET" || request.method == "HEAD";
    for (int redirects = 0;; ++redirects) {
      Answer answer =
          TRY(once(current, url, deadline, fresh_only).in(request.method + " " + url.str_without_userinfo()));
      const int status = answer.head.status;
      const std::string location(answer.head.headers.get("Location"));
      const bool redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
      if (!follows || !redirect || location.empty() || options.redirects_max == 0) return answer;
      if (redirects == options.redirects_max)
        return Error{ErrorCode::unavailable,
                     request.method + " " + request.url + ": more than " + std::to_string(redirects) + " redirects"};
      Url next = TRY(resolve(url, location).in("redirect to " + location));
      if (next.host != url.host || port_of(next) != port_of(url) || next.scheme != url.scheme)
        current.headers.erase("Authorization");
      url = std::move(next);
    }
  }
};

namespace {

class ResponseStreamImpl final : public ResponseStream {
 public:
  using Keep = std::function<void(std::unique_ptr<ClientConnection>)>;
  ResponseStreamImpl(std::unique_ptr<ClientConnection> connection, ResponseHead head, Duration deadline, Keep keep)
      : connection_(std::move(connection)), deadline_(deadline), keep_(std::move(keep)) {
    status = head.status;
    headers = std::move(head.headers);
  }
  Result<std::string> read_some() override {
    if (!connection_) return std::string();
    std::string piece = TRY(connection_->read_some(deadline_));
    if (piece.empty()) {
      const std::scoped_lock lock(mutex_);  // cancel must not shut a connection that others use by then
      if (!cancelled_) keep_(std::move(connection_));
      connection_.reset();
    }
    return piece;
  }
  void cancel() override {
    const std::scoped_lock lock(mutex_);
    cancelled_ = true;
    if (connection_) connection_->transport().shut_down();
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<ClientConnection> connection_;
  bool cancelled_ = false;  // GUARDED_BY(mutex_)
  const Duration deadline_;
  const Keep keep_;
};

}  // namespace

Client::Client(ClientOptions options) : impl_(std::make_shared<Impl>()) {
  impl_->options = std::move(options);
  impl_->proxies = ProxyVariables::from_environment();
}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;

Result<Response> Client::send(const Request& request) const {
  const Duration deadline = deadline_after(request.time_max);
  Impl::Answer answer = TRY(impl_->exchange(request));
  Response response{answer.head.status, std::move(answer.head.headers), {}};
  for (;;) {
    std::string piece = TRY(answer.connection->read_some(deadline).in(request.method + " " + request.url));
    if (piece.empty()) break;
    if (response.body.size() + piece.size() > request.response_bytes_max)
      return Error{ErrorCode::too_large, request.method + " " + request.url + ": the response is larger than " +
                                             std::to_string(request.response_bytes_max) + " bytes"};
    response.body += piece;
  }
  impl_->keep(answer.key, std::move(answer.connection));
  return response;
}

Result<std::unique_ptr<ResponseStream>> Client::open(const Request& request) const {
  const Duration deadline = deadline_after(request.time_max);
  Impl::Answer answer = TRY(impl_->exchange(request));
  // The pool may be gone before the stream: then there is nothing to keep the connection in.
  auto keep = [pool = std::weak_ptr<Impl>(impl_), key = answer.key](std::unique_ptr<ClientConnection> connection) {
    if (const auto alive = pool.lock()) alive->keep(key, std::move(connection));
  };
  return std::unique_ptr<ResponseStream>(std::make_unique<ResponseStreamImpl>(
      std::move(answer.connection), std::move(answer.head), deadline, std::move(keep)));
}

Result<std::unique_ptr<ClientWebSocket>> Client::websocket(const Request& request,
                                                           const std::vector<std::string>& subprotocols) const {
  Request upgrade = request;
  if (upgrade.url.starts_with("ws://")) upgrade.url.replace(0, 2, "http");
  if (upgrade.url.starts_with("wss://")) upgrade.url.replace(0, 3, "https");
  const std::string key = base64(random_bytes(16));
  upgrade.method = "GET";
  upgrade.headers.set("Connection", "Upgrade");
  upgrade.headers.set("Upgrade", "websocket");
  upgrade.headers.set("Sec-WebSocket-Version", "13");
  upgrade.headers.set("Sec-WebSocket-Key", key);
  if (!subprotocols.empty()) upgrade.headers.set("Sec-WebSocket-Protocol", join(subprotocols, ", "));
  Impl::Answer answer = TRY(impl_->exchange(upgrade, true));
  if (answer.head.status != 101) return refused_websocket(answer.head, *answer.connection);
  return make_client_websocket(std::move(answer.connection), answer.head, key, subprotocols);
}

}  // namespace caisson::http
