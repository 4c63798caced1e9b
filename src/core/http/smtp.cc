// SPDX-License-Identifier: Apache-2.0
#include "core/http/smtp.h"

#include <openssl/hmac.h>

#include <algorithm>
#include <ctime>

#include "core/base/encoding.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/http/transport.h"

namespace caisson::http {
namespace {

constexpr std::size_t kReplyBytesMax = 64u << 10;
constexpr std::size_t kLineMax = 76;  // of base64 in a message

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
}

// A header's value on one line. What is not ASCII goes as encoded words of at most 75 characters (RFC 2047).
std::string header_value(std::string text) {
  for (char& c : text)
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  if (is_ascii(text)) return text;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(at + 42, text.size());
    while (end < text.size() && end > at + 1 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    out +=
        (out.empty() ? "=?utf-8?B?" : "\r\n =?utf-8?B?") + base64(std::string_view(text).substr(at, end - at)) + "?=";
    at = end;
  }
  return out;
}

// The name of a mailbox may be anything, its address is ASCII.
std::string mailbox_value(const std::string& mailbox) {
  const auto angle = mailbox.rfind('<');
  if (angle == std::string::npos || is_ascii(mailbox)) return header_value(mailbox);
  return header_value(std::string(trim(mailbox.substr(0, angle)))) + " " + mailbox.substr(angle);
}

std::string base64_lines(std::string_view text) {
  const std::string all = base64(text);
  std::string out;
  for (std::size_t at = 0; at < all.size(); at += kLineMax) out += all.substr(at, kLineMax) + "\r\n";
  return out;
}

std::string part(std::string_view type, std::string_view text) {
  return "Content-Type: " + std::string(type) + "; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
         base64_lines(text);
}

std::string hmac_md5(std::string_view key, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_md5(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), out, &size);
  return std::string(reinterpret_cast<const char*>(out), size);
}

std::string mail_date(Time date) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(date));
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};  // strftime would ask the locale
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char text[40];
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d +0000", kDays[parts.tm_wday], parts.tm_mday,
                kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
  return text;
}

struct Reply {
  int code = 0;
  std::vector<std::string> lines;  // without the code

  std::string text() const {
    std::string out = std::to_string(code);
    for (const std::string& line : lines) out += " " + line;
    return out;
  }
};

// One conversation with a server.
class Session {
 public:
  Session(const MailServer& server, Duration deadline) : server_(server), deadline_(deadline) {}

  Result<void> begin() {
    transport_ = TRY(Transport::connect_tcp(server_.host, server_.port, deadline_));
    if (server_.implicit_tls) TRY(start_tls());
    TRY(expect(TRY(read()), 2, "greeting"));
    TRY(hello());
    if (!server_.implicit_tls) TRY(upgrade());
    if (!server_.username.empty()) TRY(authenticate());
    return {};
  }

  Result<void> deliver(const std::string& from, const std::vector<std::string>& to, const std::string& message) {
    TRY(command("MAIL FROM:<" + from + ">", 2));
    for (const std::string& one : to) TRY(command("RCPT TO:<" + one + ">", 2));
    TRY(command("DATA", 3));
    TRY(transport_->write(stuffed(message) + ".\r\n", deadline_));
    TRY(expect(TRY(read()), 2, "DATA"));
    return command("QUIT", 2);
  }

 private:
  Result<void> start_tls() {
    context_ =
        TRY(client_context({.ca_pem = server_.ca_pem, .certificate_pem = "", .key_pem = "", .verify = server_.verify}));
    return transport_->start_tls(context_.get(), server_.host, server_.verify, deadline_);
  }

  Result<void> hello() {
    TRY(send("EHLO " + server_.hello));
    Reply reply = TRY(read());
    TRY(expect(reply, 2, "EHLO"));
    extensions_ = std::move(reply.lines);
    return {};
  }

  // The words behind an extension's name; nothing when the server does not have it.
  std::optional<std::string> extension(std::string_view name) const {
    for (const std::string& line : extensions_) {
      const auto end = line.find(' ');
      if (to_lower(line.substr(0, end)) == name)
        return end == std::string::npos ? std::string() : to_lower(line.substr(end + 1));
    }
    return std::nullopt;
  }

  Result<void> upgrade() {
    if (!extension("starttls")) {
      if (!server_.require_tls) return {};
      return Error{ErrorCode::invalid, "the server has no STARTTLS, and mail must not go unencrypted (require_tls)"};
    }
    TRY(command("STARTTLS", 2));
    if (!in_.empty()) return Error{ErrorCode::unavailable, "the server spoke before TLS began"};
    TRY(start_tls());
    return hello();
  }

  Result<void> authenticate() {
    const auto mechanisms = split(extension("auth").value_or(""), ' ');
    const auto has = [&](std::string_view name) {
      return std::find(mechanisms.begin(), mechanisms.end(), name) != mechanisms.end();
    };
    if (has("cram-md5")) {
      const Reply challenge = TRY(ask("AUTH CRAM-MD5", 3));
      const std::string text = TRY(unbase64(challenge.lines.empty() ? "" : challenge.lines[0]));
      return secret(base64(server_.username + " " + hex(hmac_md5(server_.password, text))));
    }
    if (has("plain"))
      return secret("AUTH PLAIN " + base64(std::string(1, '\0') + server_.username + '\0' + server_.password));
    if (has("login")) {
      TRY(ask("AUTH LOGIN", 3));
      TRY(ask(base64(server_.username), 3));
      return secret(base64(server_.password));
    }
    return Error{ErrorCode::invalid, "the server offers none of AUTH PLAIN, LOGIN and CRAM-MD5"};
  }

  // A line whose words must not show in an error.
  Result<void> secret(const std::string& line) {
    TRY(send(line));
    const Reply reply = TRY(read());
    if (reply.code / 100 == 5) return Error{ErrorCode::unauthorized, "AUTH: " + reply.text()};
    return expect(reply, 2, "AUTH");
  }

  Result<void> send(const std::string& line) {
    if (line.find_first_of("\r\n") != std::string::npos)
      return Error{ErrorCode::invalid, "a line break in an SMTP command"};
    return transport_->write(line + "\r\n", deadline_);
  }
  Result<Reply> ask(const std::string& line, int kind) {
    TRY(send(line));
    Reply reply = TRY(read());
    TRY(expect(reply, kind, line.substr(0, line.find(':'))));
    return reply;
  }
  Result<void> command(const std::string& line, int kind) {
    TRY(ask(line, kind));
    return {};
  }

  static Result<void> expect(const Reply& reply, int kind, const std::string& what) {
    if (reply.code / 100 == kind) return {};
    return Error{reply.code / 100 == 5 ? ErrorCode::invalid : ErrorCode::unavailable, what + ": " + reply.text()};
  }

  Result<Reply> read() {
    Reply reply;
    while (true) {
      const std::string line = TRY(read_line());
      const auto code = parse_int(std::string_view(line).substr(0, 3));
      if (line.size() < 3 || !code) return Error{ErrorCode::unavailable, "not an SMTP server: " + line.substr(0, 100)};
      reply.code = static_cast<int>(*code);
      reply.lines.push_back(line.size() > 4 ? line.substr(4) : "");
      if (line.size() < 4 || line[3] != '-') return reply;
      if (reply.lines.size() > 100) return Error{ErrorCode::unavailable, "an endless SMTP reply"};
    }
  }

  Result<std::string> read_line() {
    std::size_t end;
    while ((end = in_.find('\n')) == std::string::npos) {
      if (in_.size() > kReplyBytesMax) return Error{ErrorCode::unavailable, "an endless line from the SMTP server"};
      const std::string some = TRY(transport_->read_some(deadline_));
      if (some.empty()) return Error{ErrorCode::unavailable, "the SMTP server closed the connection"};
      in_ += some;
    }
    std::string line = in_.substr(0, end);
    in_.erase(0, end + 1);
    if (line.ends_with('\r')) line.pop_back();
    return line;
  }

  // A line that begins with a dot gets another one (RFC 5321 §4.5.2).
  static std::string stuffed(const std::string& message) {
    return (message.starts_with('.') ? "." : "") + replace_all(message, "\r\n.", "\r\n..");
  }

  const MailServer& server_;
  const Duration deadline_;
  SslContextPtr context_;
  std::unique_ptr<Transport> transport_;
  std::string in_;
  std::vector<std::string> extensions_;
};

}  // namespace

Result<std::string> mail_address(std::string_view mailbox) {
  std::string_view address = trim(mailbox);
  if (mailbox.find_first_of("\r\n") != std::string_view::npos) address = {};
  if (const auto angle = address.rfind('<'); angle != std::string_view::npos && address.ends_with('>'))
    address = address.substr(angle + 1, address.size() - angle - 2);
  const auto at = address.find('@');
  const bool plain = std::all_of(address.begin(), address.end(), [](unsigned char c) {
    return c > 0x20 && c < 0x7F && c != '<' && c != '>' && c != ',';
  });
  if (at == 0 || at == std::string_view::npos || at + 1 == address.size() || !plain)
    return Error{ErrorCode::bad_request, "not a mail address: " + std::string(mailbox)};
  return std::string(address);
}

std::string mime_message(const Mail& mail, Time date, std::string_view id) {
  const auto domain = mail_address(mail.from);
  std::string to;
  for (const std::string& one : mail.to) to += (to.empty() ? "" : ",\r\n ") + mailbox_value(one);
  std::string out = "From: " + mailbox_value(mail.from) + "\r\nTo: " + to + "\r\nDate: " + mail_date(date) +
                    "\r\nMessage-ID: <" + std::string(id) + "@" +
                    (domain.ok() ? domain->substr(domain->find('@') + 1) : "localhost") + ">\r\n";
  for (const auto& [name, value] : mail.headers) out += header_value(name) + ": " + header_value(value) + "\r\n";
  out += "MIME-Version: 1.0\r\n";
  if (mail.html.empty()) return out + part("text/plain", mail.text);
  if (mail.text.empty()) return out + part("text/html", mail.html);
  const std::string boundary = "caisson-" + std::string(id);
  return out + "Content-Type: multipart/alternative; boundary=\"" + boundary + "\"\r\n\r\n--" + boundary + "\r\n" +
         part("text/plain", mail.text) + "\r\n--" + boundary + "\r\n" + part("text/html", mail.html) + "\r\n--" +
         boundary + "--\r\n";
}

Result<void> send_mail(const MailServer& server, const Mail& mail) {
  const std::string from = TRY(mail_address(mail.from));
  std::vector<std::string> to;
  for (const std::string& one : mail.to) to.push_back(TRY(mail_address(one)));
  if (to.empty()) return Error{ErrorCode::bad_request, "a mail without a recipient"};
  Session session(server, deadline_after(server.time_max));
  const std::string place = "mail server " + server.host + ":" + std::to_string(server.port);
  TRY(session.begin().in(place));
  return session.deliver(from, to, mime_message(mail, system_clock().now(), hex(random_bytes(16)))).in(place);
}

}  // namespace caisson::http
