// SPDX-License-Identifier: Apache-2.0
#include "core/http/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/http/handler_pool.h"

namespace caisson::http {
namespace {

constexpr std::size_t kReadBytes = 64u << 10;
constexpr std::size_t kPipelinedBytesMax = 64u << 10;
constexpr std::size_t kTakeBytes = 1u << 20;           // moved from a transfer to the connection at once
constexpr std::uint64_t kDrainedBytesMax = 64u << 20;  // of a body whose request was answered before it ended
constexpr Duration kLingerTime = std::chrono::seconds(3);
constexpr Duration kDrainTime = std::chrono::seconds(15);
constexpr Duration kCloseHandshakeTime = std::chrono::seconds(5);
constexpr int kReadsPerEvent = 16;  // then the others have their turn
constexpr int kPiecesPerEvent = 8;
constexpr std::size_t kCorkedBytes = 64u << 10;
// So many connections at once keep OpenSSL's buffers (34 KiB each) from one request to the next; the others give them
// back, so that thousands that are idle take little.
constexpr std::size_t kKeptBuffersMax = 64;

// As SSL_get_error wants it before each call. There is nearly never an error to clear, and to clear costs more than to
// look.
void clear_errors() {
  if (ERR_peek_last_error() != 0) ERR_clear_error();
}

// While it lives what is written leaves in packets as long as can be: OpenSSL writes one record of 16 KiB after the
// other, and each would be sent, received and woken for by itself.
class Corked {
 public:
  explicit Corked(int fd) : fd_(fd) { set(1); }
  ~Corked() { set(0); }
  Corked(const Corked&) = delete;
  Corked& operator=(const Corked&) = delete;

 private:
  // Refused of a unix socket, which has no packets.
  void set(int on) const { setsockopt(fd_, IPPROTO_TCP, TCP_CORK, &on, sizeof on); }
  const int fd_;
};

Result<std::string> decode_path(std::string_view path) {
  std::string decoded = TRY(percent_decode(path));
  if (decoded.find('\0') != std::string::npos) return Error{ErrorCode::bad_request, "a NUL in the path"};
  return decoded;
}

}  // namespace

Connection::Connection(std::shared_ptr<ServerShared> shared, std::shared_ptr<const Service> service, UniqueFd fd,
                       SslPtr ssl, Peer peer)
    : shared_(std::move(shared)),
      service_(std::move(service)),
      fd_(std::move(fd)),
      ssl_(std::move(ssl)),
      peer_(std::move(peer)) {}

Connection::~Connection() = default;

void Connection::start() {
  state_ = ssl_ ? State::handshake : State::head;
  interest_ = EPOLLIN | EPOLLRDHUP;
  auto added = shared_->loop->add(fd_.get(), interest_, shared_from_this());
  if (!added.ok()) {
    state_ = State::closed;
    return;
  }
  id_ = *added;
  if (ssl_ && shared_->connections < kKeptBuffersMax) SSL_clear_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS);
  ++shared_->connections;
  set_deadline(shared_->options.header_time_max);
}

void Connection::set_deadline(Duration from_now) {
  deadline = Loop::now() + from_now;
  shared_->loop->deadline_moved(deadline);
}

void Connection::end() {
  const Lock lock(mutex_);
  close();
}

void Connection::on_events(std::uint32_t events) {
  const Lock lock(mutex_);
  if (state_ == State::closed) return;
  if (state_ == State::handshake) handshake();
  if (state_ != State::handshake && state_ != State::closed) {
    ssl_wants_write_ = false;
    const bool gone = (events & (EPOLLERR | EPOLLHUP)) != 0;
    fill();
    if (gone && state_ != State::closed) return close();
    if (state_ != State::closed && ((events & EPOLLOUT) != 0 || write_blocked_)) flush();
  } else if (state_ == State::handshake && (events & (EPOLLERR | EPOLLHUP)) != 0) {
    return close();
  }
  update_interest();
}

void Connection::on_deadline() {
  const Lock lock(mutex_);
  switch (state_) {
    case State::head: {
      if (!in_.empty()) return refuse(408, "the request head did not arrive in time");
      const Duration idle = Loop::now() - answered_at_, idle_max = shared_->options.idle_max;
      if (idle < idle_max) return set_deadline(idle_max - idle);
      return close();
    }
    case State::body:
      if (transfer_->body_is_full()) return;  // it is the handler that is slow
      transfer_->fail_body(Error{ErrorCode::timeout, "the request body did not arrive in time"});
      broken_ = true;
      state_ = State::answer;
      return update_interest();
    case State::answer:
      if (write_blocked_) return close();
      return set_deadline(shared_->options.idle_max);  // the handler is still at it
    default:
      return close();
  }
}

void Connection::handshake() {
  clear_errors();
  const int result = SSL_accept(ssl_.get());
  if (result == 1) {
    read_peer_certificate();
    state_ = State::head;
    return;
  }
  const int error = SSL_get_error(ssl_.get(), result);
  ssl_wants_write_ = error == SSL_ERROR_WANT_WRITE;
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) close();
}

void Connection::read_peer_certificate() {
  X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return;
  const auto names = subject_entries(certificate, NID_commonName);
  if (!names.empty()) peer_.certificate_common_name = names.front();
  peer_.certificate_organizations = subject_entries(certificate, NID_organizationName);
}

bool Connection::wants_bytes() const {
  if (peer_eof_) return false;
  switch (state_) {
    case State::body:
      return !transfer_->body_is_full();
    case State::answer:
      return !broken_ && in_.size() < kPipelinedBytesMax;
    case State::websocket:
      return !transfer_->messages_are_full();
    case State::closed:
      return false;
    default:
      return true;
  }
}

// One read of the descriptor into in_.
Connection::Io Connection::read_once(std::size_t& count) {
  static thread_local std::string buffer(kReadBytes, '\0');
  if (ssl_) {
    clear_errors();
    const int result = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
    if (result <= 0) {
      const int error = SSL_get_error(ssl_.get(), result);
      if (error == SSL_ERROR_WANT_WRITE) ssl_wants_write_ = true;
      return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? Io::again : Io::ended;
    }
    count = static_cast<std::size_t>(result);
  } else {
    const ssize_t result = read(fd_.get(), buffer.data(), buffer.size());
    if (result < 0 && (errno == EAGAIN || errno == EINTR)) return Io::again;
    if (result <= 0) return Io::ended;
    count = static_cast<std::size_t>(result);
  }
  in_.append(buffer, 0, count);
  return Io::done;
}

// Whether another read is worth its call; if it was wrong to say no, epoll tells.
bool Connection::may_have_more(std::size_t count) const {
  if (!ssl_) return count == kReadBytes;
  return state_ == State::body || state_ == State::drain || SSL_has_pending(ssl_.get()) == 1;
}

bool Connection::fill() {
  for (int reads = 0; wants_bytes(); ++reads) {
    if (reads == kReadsPerEvent) {
      // Bytes inside OpenSSL make no event, so come back by ourselves.
      shared_->loop->post([self = shared_from_this()] {
        const Lock lock(self->mutex_);
        if (self->state_ == State::closed) return;
        self->fill();
        self->update_interest();
      });
      return true;
    }
    std::size_t count = 0;
    const Io io = read_once(count);
    if (io == Io::again) return true;
    if (io == Io::ended) {
      on_peer_eof();
      return state_ != State::closed;
    }
    process();
    if (state_ == State::body) set_deadline(shared_->options.header_time_max);
    if (!may_have_more(count)) break;
  }
  return state_ != State::closed;
}

void Connection::on_peer_eof() {
  peer_eof_ = true;
  if (state_ != State::answer) return close();
  bool endless = false;
  {
    const std::scoped_lock lock(transfer_->mutex);
    endless = transfer_->streaming && !transfer_->sized;
  }
  if (endless) close();  // a watch or a followed log whose reader left
}

void Connection::process() {
  if (processing_) return;
  processing_ = true;
  bool more = true;
  while (more) {
    switch (state_) {
      case State::head:
        more = process_head();
        break;
      case State::body:
      case State::drain:
        more = process_body();
        break;
      case State::websocket:
        more = process_websocket();
        break;
      case State::linger:
        in_.clear();
        [[fallthrough]];
      default:
        more = false;
    }
  }
  processing_ = false;
  if (in_.empty() && in_.capacity() > kReadBytes) in_.shrink_to_fit();
}

bool Connection::process_head() {
  if (scanned_ == 0) {
    const auto start = in_.find_first_not_of("\r\n");  // RFC 9112 §2.2: empty lines before a request are skipped
    in_.erase(0, start == std::string::npos ? in_.size() : start);
    if (in_.empty()) {
      if (peer_eof_) close();
      return false;
    }
    set_deadline(shared_->options.header_time_max);
  }
  const HeadEnd end = find_head_end(in_, scanned_);
  if (end.state == HeadEnd::State::malformed) return refuse(400, "a header line that does not end with CRLF"), false;
  const std::size_t size = end.state == HeadEnd::State::complete ? end.size : in_.size();
  if (size > shared_->options.header_bytes_max) return refuse(431, "the request head is too large"), false;
  if (end.state == HeadEnd::State::incomplete) {
    scanned_ = in_.size();
    if (peer_eof_) close();
    return false;
  }
  RequestHead head;
  Framing framing;
  Refusal refusal = parse_request_head(std::string_view(in_).substr(0, end.size), head);
  if (refusal.status == 0) refusal = request_framing(head, framing);
  if (refusal.status != 0) return refuse(refusal.status, refusal.message), false;
  in_.erase(0, end.size);
  scanned_ = 0;
  begin_request(std::move(head), framing);
  return state_ == State::body;
}

void Connection::begin_request(RequestHead head, const Framing& framing) {
  std::string_view path = head.target;
  if (const auto scheme = path.find("://"); scheme != std::string_view::npos && path.front() != '/') {  // absolute form
    const auto slash = path.find('/', scheme + 3);
    path = slash == std::string_view::npos ? std::string_view("/") : path.substr(slash);
  }
  path = path.substr(0, path.find('#'));
  const auto question = path.find('?');
  auto decoded = decode_path(path.substr(0, question));
  if (!decoded.ok()) return refuse(400, decoded.error().message);

  transfer_ = std::make_shared<Transfer>(shared_->loop, id_, weak_from_this(), shared_->options.queued_bytes_max);
  transfer_->keep_alive = wants_keep_alive(head.minor, head.headers) && !shared_->closing;
  transfer_->is_http10 = head.minor == 0;
  transfer_->is_head = head.method == "HEAD";
  decoder_ = BodyDecoder(framing);
  transfer_->body_ended = decoder_.done();
  transfer_->expects_continue = !decoder_.done() && equals_ignoring_case(head.headers.get("Expect"), "100-continue");

  ExchangePtr exchange = make_exchange(transfer_);
  exchange->path = std::move(decoded).value();
  if (question != std::string_view::npos) exchange->query = parse_query(path.substr(question + 1));
  exchange->method = std::move(head.method);
  exchange->target = std::move(head.target);
  exchange->headers = std::move(head.headers);
  exchange->peer = peer_;
  set_deadline(shared_->options.idle_max);  // moved on while the handler works; then it is the idle connection's
  state_ = decoder_.done() ? State::answer : State::body;
  if (state_ == State::body) {
    set_deadline(shared_->options.header_time_max);
    process_body();  // a short body is there already: the handler need not wait for it
  }
  hand_over(std::move(exchange));
}

void Connection::hand_over(ExchangePtr exchange) {
  const bool here = state_ == State::answer && service_->is_short && service_->is_short(*exchange) &&
                    ++shared_->short_requests <= shared_->options.short_requests_max;
  auto handle = [service = service_, exchange = std::move(exchange)]() mutable {
    service->handle(std::move(exchange));
  };
  if (here)
    run_task(std::move(handle));
  else
    shared_->dispatch(std::move(handle));
}

bool Connection::process_body() {
  std::string content;
  auto used = decoder_.decode(in_, content);
  if (!used.ok()) {
    if (state_ == State::drain) return close(), false;
    fail_request(used.error());
    return false;
  }
  in_.erase(0, *used);
  if (state_ == State::drain) {
    drained_bytes_ += content.size();
    if (drained_bytes_ > kDrainedBytesMax) return close(), false;
    if (!decoder_.done()) return false;
    end_exchange(false);
    return state_ == State::head && !in_.empty();
  }
  if (!content.empty() || decoder_.done()) transfer_->give_body(std::move(content), decoder_.done());
  if (!decoder_.done()) return false;
  state_ = State::answer;
  set_deadline(shared_->options.idle_max);
  return false;
}

void Connection::fail_request(const Error& error) {
  transfer_->fail_body(error);
  broken_ = true;
  state_ = State::answer;
  deadline = Duration::max();
}

bool Connection::process_websocket() {
  frames_->feed(in_);
  in_.clear();
  while (state_ == State::websocket && !close_received_) {
    auto item = frames_->next();
    if (!item.ok()) {
      transfer_->close_websocket(websocket_close_code(item.error()), item.error().message);
      close_received_ = true;  // nothing that follows can be understood
      break;
    }
    if (!*item) break;
    on_websocket_item(std::move(item).value().value());
  }
  return false;
}

void Connection::on_websocket_item(FrameReader::Item item) {
  switch (item.opcode) {
    case Opcode::ping:
      // A peer that pings without reading our pongs fills its queue, and is let go.
      if (!transfer_->send_frame(Opcode::pong, item.data).ok()) close();
      return;
    case Opcode::pong:
      return;
    case Opcode::close: {
      close_received_ = true;
      const int code = item.data.size() < 2
                           ? 1000
                           : (static_cast<unsigned char>(item.data[0]) << 8 | static_cast<unsigned char>(item.data[1]));
      transfer_->close_websocket(code, "");
      transfer_->wake_loop();
      return;
    }
    default:
      transfer_->deliver(WebSocket::Message{item.opcode == Opcode::binary, std::move(item.data)});
  }
}

// The request never reaches a handler.
void Connection::refuse(int status, std::string_view message) {
  out_ = "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason_phrase(status)) +
         "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: " +
         std::to_string(message.size() + 1) + "\r\n\r\n" + std::string(message) + "\n";
  out_at_ = 0;
  in_.clear();
  state_ = State::linger;
  set_deadline(kLingerTime);
  flush();
  update_interest();
}

bool Connection::answer_here(const std::shared_ptr<Transfer>& transfer, std::string& bytes) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || transfer_ != transfer || state_ != State::answer || !out_.empty() || broken_) return false;
  {
    const std::scoped_lock transfer_lock(transfer->mutex);
    if (!transfer->out.empty() || transfer->closed || transfer->aborted) return false;
    transfer->queued(bytes.size());
    transfer->finished = !transfer->source;
  }
  out_.swap(bytes);
  out_at_ = 0;
  Io io = write_out();
  while (io == Io::done && take_piece()) io = write_out();
  // What could not be written, the next request that is here already, and an end are the loop's business.
  const bool written = io == Io::done && in_.empty() && !peer_eof_ && !shared_->closing;
  if (!written || !transfer->keep_alive || transfer->ends_connection()) {
    transfer->wake_loop();
    return true;
  }
  out_.clear();
  out_at_ = 0;
  if (out_.capacity() > kReadBytes) out_.shrink_to_fit();
  transfer_ = nullptr;
  state_ = State::head;
  scanned_ = 0;
  answered_at_ = Loop::now();
  transfer->close();
  return true;
}

void Connection::on_transfer(const std::shared_ptr<Transfer>& transfer) {
  const Lock lock(mutex_);
  if (transfer != transfer_ || state_ == State::closed) return;
  bool aborted = false, websocket = false, endless = false;
  {
    const std::scoped_lock lock(transfer->mutex);
    aborted = transfer->aborted;
    websocket = transfer->is_websocket;
    endless = transfer->streaming && !transfer->sized;
    if (transfer->close_sent && deadline == Duration::max()) set_deadline(kCloseHandshakeTime);
  }
  if (aborted || (endless && peer_eof_)) return close();
  if (websocket && (state_ == State::answer || state_ == State::body)) {
    state_ = State::websocket;
    deadline = Duration::max();
    frames_ = std::make_unique<FrameReader>(true);
    process();
  }
  flush();
  if (state_ == State::closed) return;
  if ((interest_ & EPOLLIN) == 0 && wants_bytes()) {  // reading had paused
    if (state_ == State::body) set_deadline(shared_->options.header_time_max);
    fill();
  }
  update_interest();
}

bool Connection::take_piece() {
  out_.clear();
  out_at_ = 0;
  return transfer_ && transfer_->pull(out_);
}

Connection::Io Connection::write_out() {
  write_blocked_ = false;
  std::optional<Corked> corked;
  if (ssl_ && out_.size() - out_at_ >= kCorkedBytes) corked.emplace(fd_.get());
  while (out_at_ < out_.size()) {
    const std::size_t size = out_.size() - out_at_;
    std::size_t count = 0;
    if (ssl_) {
      clear_errors();
      const int result =
          SSL_write(ssl_.get(), out_.data() + out_at_, static_cast<int>(std::min<std::size_t>(size, 1u << 30)));
      if (result <= 0) {
        const int error = SSL_get_error(ssl_.get(), result);
        write_blocked_ = error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ;
        return write_blocked_ ? Io::again : Io::ended;
      }
      count = static_cast<std::size_t>(result);
    } else {
      const ssize_t result = ::send(fd_.get(), out_.data() + out_at_, size, MSG_NOSIGNAL);
      if (result < 0) {
        write_blocked_ = errno == EAGAIN || errno == EINTR;
        return write_blocked_ ? Io::again : Io::ended;
      }
      count = static_cast<std::size_t>(result);
    }
    out_at_ += count;
    if (transfer_) transfer_->sent(count);
  }
  return Io::done;
}

bool Connection::write_some() {
  if (write_out() != Io::ended) return true;
  close();
  return false;
}

void Connection::flush() {
  for (int pieces = 0;;) {
    if (out_at_ == out_.size()) {
      out_.clear();
      out_at_ = 0;
      if (transfer_) {
        const std::scoped_lock lock(transfer_->mutex);
        if (!transfer_->out.empty()) {
          if (out_.capacity() > kReadBytes) out_ = {};
          out_.swap(transfer_->out);
        }
      }
      if (out_.empty() && pieces++ == kPiecesPerEvent) return transfer_->wake_loop();
      if (out_.empty() && !take_piece() && out_.capacity() > kReadBytes) out_.shrink_to_fit();
    } else if (transfer_ && out_.size() - out_at_ < kTakeBytes) {
      const std::scoped_lock lock(transfer_->mutex);
      out_.append(transfer_->out);
      transfer_->out.clear();
    }
    if (out_.empty()) break;
    if (!write_some()) return;
    if (write_blocked_) {
      if (state_ != State::linger)
        set_deadline(shared_->options.idle_max);  // somebody who reads nothing for so long is gone
      return;
    }
    if (state_ == State::answer) set_deadline(shared_->options.idle_max);
    if (state_ == State::websocket) deadline = Duration::max();
  }
  after_write();
}

// Everything that was queued is on its way.
void Connection::after_write() {
  if (state_ == State::linger) return begin_linger(kLingerTime);
  if (!transfer_) return;
  bool finished = false, close_after = false, close_sent = false;
  {
    const std::scoped_lock lock(transfer_->mutex);
    finished = transfer_->finished && transfer_->out.empty();
    close_after = transfer_->close_after || !transfer_->keep_alive;
    close_sent = transfer_->close_sent;
  }
  if (state_ == State::websocket) {
    if (close_sent && close_received_)
      begin_linger(kLingerTime);
    else if (close_sent && deadline == Duration::max())
      set_deadline(kCloseHandshakeTime);
    return;
  }
  if (finished) end_exchange(close_after);
}

void Connection::end_exchange(bool close_after) {
  if (transfer_) {
    const auto ended = std::exchange(transfer_, nullptr);
    ended->close();
    if (state_ == State::body && !close_after) {  // answered early: the rest of the body goes nowhere
      state_ = State::drain;
      drained_bytes_ = 0;
      set_deadline(kDrainTime);
      return;
    }
  }
  if (close_after || broken_ || shared_->closing || (peer_eof_ && in_.empty())) return begin_linger(kLingerTime);
  state_ = State::head;
  scanned_ = 0;
  set_deadline(shared_->options.idle_max);
  if (!in_.empty()) process();
}

// Closing while bytes of the peer are unread sends a reset that can destroy our last answer on its way (RFC 9112 §9.6):
// so only our half is closed, and the peer's is read away for a while.
void Connection::begin_linger(Duration time_max) {
  if (transfer_) {
    const auto ended = std::exchange(transfer_, nullptr);
    ended->close();
  }
  state_ = State::linger;
  if (peer_eof_) return close();
  if (ssl_) {
    clear_errors();
    SSL_shutdown(ssl_.get());
  }
  shutdown(fd_.get(), SHUT_WR);
  set_deadline(time_max);
}

void Connection::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  deadline = Duration::max();
  shared_->loop->remove(fd_.get(), id_);
  fd_.reset();
  --shared_->connections;
  if (const auto ended = std::exchange(transfer_, nullptr)) ended->close();
}

void Connection::update_interest() {
  if (state_ == State::closed) return;
  std::uint32_t events = 0;
  if (state_ == State::handshake || wants_bytes()) events |= EPOLLIN | EPOLLRDHUP;
  if (write_blocked_ || ssl_wants_write_) events |= EPOLLOUT;
  if (events == interest_) return;
  interest_ = events;
  shared_->loop->change(fd_.get(), id_, events);
}

}  // namespace caisson::http
