// SPDX-License-Identifier: Apache-2.0
#include "core/http/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <future>

#include "core/base/log.h"
#include "core/http/address.h"
#include "core/http/connection.h"
#include "core/http/handler_pool.h"

namespace caisson::http {
namespace {

constexpr Duration kAcceptPause = std::chrono::milliseconds(200);

class Listener final : public Watched, public std::enable_shared_from_this<Listener> {
 public:
  Listener(std::shared_ptr<ServerShared> shared, UniqueFd fd, Service service, SslContextPtr tls)
      : shared_(std::move(shared)),
        fd_(std::move(fd)),
        service_(std::make_shared<const Service>(std::move(service))),
        tls_(std::move(tls)) {}

  void start() {
    auto added = shared_->loop->add(fd_.get(), EPOLLIN, shared_from_this());
    if (added.ok())
      id_ = *added;
    else
      log::error("listener not watched", {{"error", added.error()}});
  }

  void on_events(std::uint32_t) override {
    for (int count = 0; count < 64 && fd_; ++count) {
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      UniqueFd accepted(accept4(fd_.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!accepted) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pause();
        return;
      }
      if (shared_->connections >= shared_->options.connections_max) {
        if (!refusing_)
          log::warning("connection refused: too many", {{"connections_max", shared_->options.connections_max}});
        refusing_ = true;
        continue;
      }
      refusing_ = false;
      take(std::move(accepted), from);
    }
  }

  void on_deadline() override {  // the pause is over
    shared_->loop->change(fd_.get(), id_, EPOLLIN);
  }

  void close() {
    if (!fd_) return;
    shared_->loop->remove(fd_.get(), id_);
    fd_.reset();
  }

  bool is_at(const sockaddr_storage& address) const {
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    return fd_ && getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
           own.ss_family == address.ss_family && address_text(own) == address_text(address) &&
           address_port(own) == address_port(address);
  }

 private:
  // No descriptors are left: the backlog would wake us for ever.
  void pause() {
    log::warning("no descriptors left to accept connections", {});
    shared_->loop->change(fd_.get(), id_, 0);
    deadline = Loop::now() + kAcceptPause;
    shared_->loop->deadline_moved(deadline);
  }

  void take(UniqueFd fd, const sockaddr_storage& from) {
    Peer peer;
    peer.tls = tls_ != nullptr;
    if (from.ss_family == AF_UNIX || from.ss_family == AF_UNSPEC) {
      peer.address = "unix";
      ucred credentials{};
      socklen_t size = sizeof credentials;
      if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
        peer.unix_uid = static_cast<int>(credentials.uid);
    } else {
      peer.address = address_text(from);
      peer.port = address_port(from);
      const int on = 1, idle_seconds = 60, interval_seconds = 15;
      setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);  // a watch whose peer lost power ends
      setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
      setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
    }
    SslPtr ssl;
    if (tls_) {
      ssl.reset(SSL_new(tls_.get()));
      if (!ssl || SSL_set_fd(ssl.get(), fd.get()) != 1) return;
    }
    std::make_shared<Connection>(shared_, service_, std::move(fd), std::move(ssl), std::move(peer))->start();
  }

  const std::shared_ptr<ServerShared> shared_;
  UniqueFd fd_;
  std::uint64_t id_ = 0;
  const std::shared_ptr<const Service> service_;
  const SslContextPtr tls_;
  bool refusing_ = false;
};

Error bind_error(const std::string& where) {
  const int number = errno;
  if (number == EADDRINUSE) return Error{ErrorCode::already_exists, where + " is in use"};
  if (number == EACCES) return Error{ErrorCode::forbidden, "no permission to listen on " + where};
  errno = number;
  return errno_error("listen on " + where);
}

// A socket file that a dead process left may go; one that answers may not.
Result<void> clear_stale_socket(const std::string& path, const SocketAddress& address) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) return Error{ErrorCode::already_exists, path + " is there and is no socket"};
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (connect(probe.get(), address.get(), address.size) == 0 || errno == EAGAIN)
    return Error{ErrorCode::already_exists, path + " is in use"};
  return remove_file(path);
}

}  // namespace

struct Server::Impl {
  std::shared_ptr<ServerShared> shared = std::make_shared<ServerShared>();
  std::unique_ptr<HandlerPool> pool;
  std::thread thread;

  Impl() = default;
  ~Impl() {
    if (!thread.joinable()) return;
    shared->loop->post([shared = shared] {
      shared->closing = true;
      for (const auto& watched : shared->loop->all()) {
        if (const auto connection = std::dynamic_pointer_cast<Connection>(watched)) connection->end();
        if (const auto listener = std::dynamic_pointer_cast<Listener>(watched)) listener->close();
      }
    });
    shared->loop->stop();
    thread.join();
    pool->stop();
  }

  Result<void> add(std::shared_ptr<Listener> listener) {
    shared->loop->post([listener = std::move(listener)] { listener->start(); });
    return {};
  }

  void close_listeners(const std::function<bool(const Listener&)>& which) {
    auto done = std::make_shared<std::promise<void>>();
    auto finished = done->get_future();
    shared->loop->post([this, &which, done] {
      for (const auto& watched : shared->loop->all())
        if (const auto listener = std::dynamic_pointer_cast<Listener>(watched); listener && which(*listener))
          listener->close();
      done->set_value();
    });
    finished.wait();
  }
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

Result<Server> Server::start(const ServerOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  auto impl = std::make_unique<Impl>();
  impl->shared->options = options;
  impl->shared->loop = TRY(Loop::make());
  impl->pool = std::make_unique<HandlerPool>(options.workers);
  impl->shared->dispatch = [pool = impl->pool.get()](std::function<void()> task) { pool->run(std::move(task)); };
  impl->shared->loop->set_look([pool = impl->pool.get(), shared = impl->shared.get()] {
    shared->short_requests = 0;
    return pool->look();
  });
  impl->thread = std::thread([loop = impl->shared->loop] { loop->run(); });
  return Server(std::move(impl));
}

Result<int> Server::listen(const std::string& address, int port, Handler handler, const TlsOptions* tls, bool freebind,
                           ShortTest is_short) {
  SslContextPtr context;
  if (tls != nullptr) context = TRY(server_context(*tls));
  const SocketAddress bound = TRY(numeric_address(address, port));
  const std::string where = address + ":" + std::to_string(port);
  UniqueFd fd(socket(bound.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error("socket");
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (freebind && setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on) != 0) return errno_error("IP_FREEBIND");
  if (bind(fd.get(), bound.get(), bound.size) != 0) return bind_error(where);
  if (::listen(fd.get(), SOMAXCONN) != 0) return bind_error(where);
  sockaddr_storage actual{};
  socklen_t size = sizeof actual;
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&actual), &size) != 0) return errno_error("getsockname");
  Service service{std::move(handler), std::move(is_short)};
  TRY(impl_->add(std::make_shared<Listener>(impl_->shared, std::move(fd), std::move(service), std::move(context))));
  return address_port(actual);
}

Result<void> Server::listen_unix(const std::string& path, Handler handler, unsigned mode, ShortTest is_short) {
  UniqueFd directory;
  const SocketAddress address = TRY(unix_address(path, directory));
  TRY(clear_stale_socket(path, address));
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error("socket");
  if (bind(fd.get(), address.get(), address.size) != 0) return bind_error(path);
  if (chmod(path.c_str(), mode) != 0)
    return errno_error("chmod " + path);  // before listen: nobody can have come in yet
  if (::listen(fd.get(), SOMAXCONN) != 0) return bind_error(path);
  Service service{std::move(handler), std::move(is_short)};
  return impl_->add(std::make_shared<Listener>(impl_->shared, std::move(fd), std::move(service), nullptr));
}

void Server::stop_accepting() {
  impl_->close_listeners([](const Listener&) { return true; });
}

void Server::stop_listening(const std::string& address, int port) {
  const auto where = numeric_address(address, port);
  if (!where.ok()) return;  // nobody can listen there
  impl_->close_listeners([&](const Listener& listener) { return listener.is_at(where->storage); });
}

}  // namespace caisson::http
