// SPDX-License-Identifier: Apache-2.0
#include "machine/node/channels.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <functional>
#include <map>

#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::node {
namespace {

constexpr std::size_t kPieceBytes = 32u << 10;
constexpr std::size_t kPendingInputMax = 4u << 20;
constexpr Duration kSlowPeer = std::chrono::milliseconds(20);
constexpr int kNormalClosure = 1000;

std::string framed(Channel channel, std::string_view data) {
  std::string out(1, static_cast<char>(channel));
  out += data;
  return out;
}

// One reader of input, and what it has not taken yet.
struct Inlet {
  std::function<Result<std::size_t>(std::string_view)> put;  // how much is taken now; nothing: later
  std::string pending = {};
  bool waits = false;  // for its next turn
};

Result<std::size_t> write_some(int fd, std::string_view data) {
  const ssize_t wrote = ::write(fd, data.data(), data.size());
  if (wrote > 0) return static_cast<std::size_t>(wrote);
  if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) return std::size_t{0};
  return errno_error("write");
}

// What all kinds of sessions share: sending with patience, and pieces of input that could not be written yet.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(FdLoop& loop, std::shared_ptr<http::WebSocket> socket) : loop_(loop), socket_(std::move(socket)) {}
  virtual ~Session() = default;

  void begin() {
    start();
    // Messages come on the server's loop; all of the session's work is done on ours.
    const std::weak_ptr<Session> weak = shared_from_this();
    keep_ = shared_from_this();
    socket_->on_message([weak, &loop = loop_](http::WebSocket::Message message) {
      loop.post([weak, data = std::move(message.data)] {
        const auto self = weak.lock();
        if (self && !self->over_ && !data.empty())
          self->message(static_cast<std::uint8_t>(data[0]), std::string_view(data).substr(1));
      });
    });
    socket_->on_close([weak, &loop = loop_] {
      loop.post([weak] {
        if (const auto self = weak.lock()) self->end();
      });
    });
  }

 protected:
  virtual void start() = 0;
  virtual void message(std::uint8_t channel, std::string_view data) = 0;
  virtual void stop() = 0;  // lets go of everything

  // Reads a piece and sends it on `channel`; when the peer is slow, waits with the next one. Gives whether the
  // descriptor stays watched.
  bool forward(int fd, Channel channel, const std::shared_ptr<bool>& open) {
    char buffer[kPieceBytes];
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (got <= 0) {  // end of file; EIO from a terminal whose other side is closed
      *open = false;
      return false;
    }
    return send(framed(channel, {buffer, static_cast<std::size_t>(got)}));
  }

  // False: not sent yet; it is tried again later and the caller must not go on before `resume` ran.
  bool send(std::string frame) {
    const auto sent = socket_->send(frame);
    if (sent.ok()) return true;
    if (sent.error().code != ErrorCode::too_many_requests) {
      end();
      return false;
    }
    loop_.post_after(kSlowPeer, [weak = weak_from_this(), frame = std::move(frame)] {
      const auto self = weak.lock();
      if (self && !self->over_ && self->send(frame)) self->resume();
    });
    return false;
  }
  virtual void resume() {}

  // Writes what is taken now and keeps the rest for later. Gives false when the reader is gone.
  bool write_input(Inlet& inlet, std::string_view data) {
    if (inlet.pending.size() + data.size() > kPendingInputMax) {
      end();
      return false;
    }
    inlet.pending += data;
    return flush(inlet);
  }
  virtual void input_written() {}

  // Calls once, a little later, unless the session is over by then.
  void soon(std::function<void()> call) {
    loop_.post_after(kSlowPeer, [weak = weak_from_this(), call = std::move(call)] {
      const auto self = weak.lock();
      if (self && !self->over_) call();
    });
  }

  void end() {
    if (std::exchange(over_, true)) return;
    stop();
    socket_->close(kNormalClosure, "");
    loop_.post([keep = std::move(keep_)] {});  // destroyed after this call is over
  }

  FdLoop& loop_;
  std::shared_ptr<http::WebSocket> socket_;
  bool over_ = false;

 private:
  bool flush(Inlet& inlet) {
    while (!inlet.pending.empty()) {
      const auto taken = inlet.put(inlet.pending);
      if (!taken.ok()) {
        inlet.pending.clear();
        return false;
      }
      if (*taken == 0) {
        if (!std::exchange(inlet.waits, true))
          soon([this, &inlet] {
            inlet.waits = false;
            flush(inlet);
          });
        return true;
      }
      inlet.pending.erase(0, *taken);
    }
    input_written();
    return true;
  }

  std::shared_ptr<Session> keep_;
};

class ProcessSession final : public Session {
 public:
  ProcessSession(FdLoop& loop, std::shared_ptr<http::WebSocket> socket, std::unique_ptr<container::ExecProcess> process,
                 StreamsWanted wanted)
      : Session(loop, std::move(socket)), process_(std::move(process)), wanted_(wanted) {}

 protected:
  void start() override {
    if (!wanted_.in && !wanted_.terminal) process_->close_in();
    watch_out();
    if (process_->err() >= 0) {
      watch_err();
    } else {
      *err_open_ = false;
    }
    exit_ = loop_.add(process_->exit_fd(), [this, self = weak_from_this()] {
      const auto alive = self.lock();
      if (!alive) return false;
      exited_ = true;
      check_end();
      return false;
    });
  }

  void message(std::uint8_t channel, std::string_view data) override {
    if (channel == static_cast<std::uint8_t>(Channel::in) && wanted_.in) write_input(inlet_, data);
    if (channel == static_cast<std::uint8_t>(Channel::resize)) {
      const auto size = json::parse(data);
      if (size.ok())
        process_->resize(static_cast<int>((*size)["Height"].as_int()), static_cast<int>((*size)["Width"].as_int()));
    }
    if (channel == static_cast<std::uint8_t>(Channel::close) && !data.empty() && data[0] == 0) {  // v5: no more input
      close_wanted_ = true;
      input_written();
    }
  }

  void input_written() override {
    if (close_wanted_ && inlet_.pending.empty()) process_->close_in();
  }

  void resume() override {
    if (*out_open_) watch_out();
    if (*err_open_) watch_err();
    check_end();
  }

  void stop() override {
    for (const auto token : {out_, err_, exit_}) loop_.remove(token);
    process_.reset();  // kills it when it still runs
  }

 private:
  void watch_out() { watch(out_, process_->out(), Channel::out, out_open_); }
  void watch_err() { watch(err_, process_->err(), Channel::err, err_open_); }

  void watch(FdLoop::Token& token, int fd, Channel channel, const std::shared_ptr<bool>& open) {
    loop_.remove(token);
    token = loop_.add(fd, [this, self = weak_from_this(), fd, channel, open] {
      const auto alive = self.lock();
      if (!alive) return false;
      const bool stays = forward(fd, channel, open);
      if (!over_ && !*open) check_end();
      return stays && !over_;
    });
  }

  // The exit code goes out last, after all output.
  void check_end() {
    if (over_ || !exited_ || *out_open_ || *err_open_) return;
    const auto code = process_->wait(Duration(0));
    send(framed(Channel::error, exit_message(code.ok() ? *code : 255)));
    end();
  }

  std::unique_ptr<container::ExecProcess> process_;
  Inlet inlet_{[this](std::string_view data) { return write_some(process_->in(), data); }};
  StreamsWanted wanted_;
  FdLoop::Token out_ = 0, err_ = 0, exit_ = 0;
  std::shared_ptr<bool> out_open_ = std::make_shared<bool>(true), err_open_ = std::make_shared<bool>(true);
  bool exited_ = false, close_wanted_ = false;
};

class AttachmentSession final : public Session {
 public:
  AttachmentSession(FdLoop& loop, std::shared_ptr<http::WebSocket> socket,
                    std::unique_ptr<container::Attachment> attachment, StreamsWanted wanted)
      : Session(loop, std::move(socket)), attachment_(std::move(attachment)), wanted_(wanted) {}

 protected:
  void start() override { watch(); }
  void resume() override { watch(); }
  void stop() override {
    loop_.remove(token_);
    attachment_.reset();
  }

  void message(std::uint8_t channel, std::string_view data) override {
    if (channel == static_cast<std::uint8_t>(Channel::in) && wanted_.in && !write_input(inlet_, data)) end();
    if (channel == static_cast<std::uint8_t>(Channel::close) && !data.empty() && data[0] == 0 && wanted_.in) {
      close_wanted_ = true;
      input_written();
    }
    if (channel == static_cast<std::uint8_t>(Channel::resize)) {
      const auto size = json::parse(data);
      if (size.ok())
        attachment_->resize(static_cast<int>((*size)["Height"].as_int()), static_cast<int>((*size)["Width"].as_int()));
    }
  }

 private:
  void watch() {
    loop_.remove(token_);
    token_ = loop_.add(attachment_->fd(), [this, self = weak_from_this()] {
      const auto alive = self.lock();
      return alive && read_once();
    });
  }

  void input_written() override {
    if (!close_wanted_ || !inlet_.pending.empty()) return;
    const auto closed = attachment_->close_in();
    if (!closed.ok()) return end();
    close_wanted_ = !*closed;
    if (close_wanted_) soon([this] { input_written(); });
  }

  bool read_once() {
    const auto piece = attachment_->read();
    if (!piece.ok() && piece.error().code == ErrorCode::timeout) return true;
    if (!piece.ok() || !*piece) {  // the container has ended; its code is in its status
      send(framed(Channel::error, exit_message(0)));
      end();
      return false;
    }
    const bool is_err = (*piece)->stream == 2;
    if (is_err ? !wanted_.err : !wanted_.out) return true;
    return send(framed(is_err ? Channel::err : Channel::out, (*piece)->data));
  }

  std::unique_ptr<container::Attachment> attachment_;
  Inlet inlet_{[this](std::string_view data) { return attachment_->write(data); }};
  StreamsWanted wanted_;
  bool close_wanted_ = false;
  FdLoop::Token token_ = 0;
};

class PortSession final : public Session {
 public:
  PortSession(FdLoop& loop, std::shared_ptr<http::WebSocket> socket, std::vector<int> ports,
              std::vector<UniqueFd> connections, std::vector<std::string> errors)
      : Session(loop, std::move(socket)),
        ports_(std::move(ports)),
        connections_(std::move(connections)),
        errors_(std::move(errors)) {}

 protected:
  void start() override {
    for (const UniqueFd& connection : connections_)
      inlets_.push_back({[&connection](std::string_view data) { return write_some(connection.get(), data); }});
    for (std::size_t i = 0; i < ports_.size(); ++i) {
      std::string port;
      port += static_cast<char>(ports_[i] & 0xFF);
      port += static_cast<char>(ports_[i] >> 8);
      send(framed(static_cast<Channel>(2 * i), port));
      send(framed(static_cast<Channel>(2 * i + 1), port));
      if (!errors_[i].empty()) send(framed(static_cast<Channel>(2 * i + 1), errors_[i]));
      tokens_.push_back(0);
      open_.push_back(std::make_shared<bool>(connections_[i].get() >= 0));
    }
    resume();
  }

  void resume() override {
    for (std::size_t i = 0; i < ports_.size(); ++i) {
      if (!*open_[i]) continue;
      loop_.remove(tokens_[i]);
      tokens_[i] = loop_.add(connections_[i].get(), [this, self = weak_from_this(), i] {
        const auto alive = self.lock();
        if (!alive) return false;
        const bool stays = forward(connections_[i].get(), static_cast<Channel>(2 * i), open_[i]);
        if (!over_ && std::none_of(open_.begin(), open_.end(), [](const auto& o) { return *o; })) end();
        return stays && !over_;
      });
    }
  }

  void message(std::uint8_t channel, std::string_view data) override {
    const std::size_t i = channel / 2;
    if (channel % 2 == 0 && i < ports_.size() && *open_[i] && !write_input(inlets_[i], data)) *open_[i] = false;
  }

  void stop() override {
    for (const auto token : tokens_) loop_.remove(token);
    connections_.clear();
  }

 private:
  std::vector<int> ports_;
  std::vector<UniqueFd> connections_;
  std::deque<Inlet> inlets_;  // one a connection; what waits for its turn keeps its place
  std::vector<std::string> errors_;
  std::vector<FdLoop::Token> tokens_;
  std::vector<std::shared_ptr<bool>> open_;
};

}  // namespace

Result<std::string> choose_protocol(std::string_view offered) {
  for (const std::string_view wanted : {"v5.channel.k8s.io", "v4.channel.k8s.io"}) {
    for (const auto one : split(offered, ',')) {
      if (trim(one) == wanted) return std::string(wanted);
    }
  }
  return Error{ErrorCode::bad_request, "none of the subprotocols \"" + std::string(offered) +
                                           "\" is spoken here; v5.channel.k8s.io and v4.channel.k8s.io are"};
}

std::string exit_message(int code) {
  if (code == 0) return R"({"metadata":{},"status":"Success"})";
  const Value cause{{"reason", "ExitCode"}, {"message", std::to_string(code)}};
  return json::write(
      Value{{"metadata", Value::map()},
            {"status", "Failure"},
            {"message", "command terminated with non-zero exit code: exit status " + std::to_string(code)},
            {"reason", "NonZeroExitCode"},
            {"details", Value{{"causes", Value(std::vector<Value>{cause})}}}});
}

std::string failure_message(std::string_view text) {
  return json::write(Value{{"metadata", Value::map()},
                           {"status", "Failure"},
                           {"message", text},
                           {"reason", "InternalError"},
                           {"code", 500}});
}

void serve_process(FdLoop& loop, std::shared_ptr<http::WebSocket> socket,
                   std::unique_ptr<container::ExecProcess> process, StreamsWanted wanted) {
  auto session = std::make_shared<ProcessSession>(loop, std::move(socket), std::move(process), wanted);
  loop.post([session] { session->begin(); });
}

void serve_attachment(FdLoop& loop, std::shared_ptr<http::WebSocket> socket,
                      std::unique_ptr<container::Attachment> attachment, StreamsWanted wanted) {
  auto session = std::make_shared<AttachmentSession>(loop, std::move(socket), std::move(attachment), wanted);
  loop.post([session] { session->begin(); });
}

void serve_ports(FdLoop& loop, std::shared_ptr<http::WebSocket> socket, std::vector<int> ports,
                 std::vector<UniqueFd> connections, std::vector<std::string> errors) {
  auto session = std::make_shared<PortSession>(loop, std::move(socket), std::move(ports), std::move(connections),
                                               std::move(errors));
  loop.post([session] { session->begin(); });
}

}  // namespace caisson::node
