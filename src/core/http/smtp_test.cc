// SPDX-License-Identifier: Apache-2.0
#include "core/http/smtp.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/http/openssl.h"
#include "core/http/tls.h"

namespace caisson::http {
namespace {

// A mail server for one conversation: answers commands by a script, and remembers what it was told.
class ScriptedServer {
 public:
  struct Step {
    std::string command;  // a line begins with it
    std::string answer;
  };

  explicit ScriptedServer(std::vector<Step> script) : script_(std::move(script)) {
    listener_.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 1) == 0);
    socklen_t size = sizeof address;
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    ca_ = make_ca("test", system_clock().now()).value();
    const KeyPair own =
        make_certificate(ca_, {.common_name = "127.0.0.1", .ip_addresses = {"127.0.0.1"}, .server = true},
                         system_clock().now())
            .value();
    context_ =
        server_context(
            {.certificate_pem = own.certificate_pem, .key_pem = std::string(own.key_pem.reveal()), .client_ca_pem = ""})
            .value();
    thread_ = std::thread([this] { talk(); });
  }
  ~ScriptedServer() { join(); }

  MailServer options() const {
    MailServer options;
    options.host = "127.0.0.1";
    options.port = port_;
    options.require_tls = false;
    options.ca_pem = ca_.certificate_pem;
    options.time_max = std::chrono::seconds(10);
    return options;
  }
  // What the client said, once the conversation is over.
  const std::vector<std::string>& heard() {
    join();
    return heard_;
  }
  std::string message() {
    join();
    return message_;
  }

 private:
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  void talk() {
    UniqueFd peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    peer_ = peer.get();
    say("220 mail.example ESMTP");
    for (std::string line = read_line(); !line.empty(); line = read_line()) {
      heard_.push_back(line);
      say(answer_to(line));
      if (line == "STARTTLS" && script_has("STARTTLS")) {
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), peer_);
        if (SSL_accept(ssl_.get()) != 1) return;
      }
      if (line == "DATA" && script_has("DATA")) {
        for (std::string text = read_line(); text != "." && !done_; text = read_line()) message_ += text + "\n";
        say(answer_to("."));
      }
    }
  }

  bool script_has(std::string_view command) const {
    for (const Step& step : script_)
      if (command.starts_with(step.command)) return step.answer[0] == '2' || step.answer[0] == '3';
    return true;
  }
  std::string answer_to(std::string_view line) const {
    for (const Step& step : script_)
      if (line.starts_with(step.command)) return step.answer;
    return line == "DATA" ? "354 go ahead" : "250 OK";
  }
  void say(const std::string& line) {
    const std::string bytes = line + "\r\n";
    if (ssl_)
      SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    else
      (void)write_all(peer_, bytes);
  }
  std::string read_line() {
    std::string line;
    char c;
    while ((ssl_ ? SSL_read(ssl_.get(), &c, 1) : read(peer_, &c, 1)) == 1)
      if (c == '\n')
        return line;
      else if (c != '\r')
        line += c;
    done_ = true;
    return line;
  }

  std::vector<Step> script_;
  UniqueFd listener_;
  int port_ = 0, peer_ = -1;
  KeyPair ca_;
  SslContextPtr context_;
  SslPtr ssl_;
  bool done_ = false;
  std::vector<std::string> heard_;
  std::string message_;
  std::thread thread_;
};

const Mail kMail{"캐슨 <caisson@example.org>",
                 {"ops@example.org", "Min <min@example.org>"},
                 {{"Subject", "알림: pod\r\nBcc: x@y"}},
                 ".text",
                 "<b>본문</b>"};

}  // namespace

TEST_CASE("mail: a message is delivered to every recipient, in MIME that keeps Hangul") {
  ScriptedServer server({});
  const auto sent = send_mail(server.options(), kMail);
  REQUIRE_MESSAGE(sent.ok(), (sent.ok() ? "" : sent.error().message));
  CHECK(server.heard() == std::vector<std::string>{"EHLO localhost", "MAIL FROM:<caisson@example.org>",
                                                   "RCPT TO:<ops@example.org>", "RCPT TO:<min@example.org>", "DATA",
                                                   "QUIT"});
  const std::string message = server.message();
  CHECK(message.find("From: =?utf-8?B?7LqQ7Iqo?= <caisson@example.org>") != std::string::npos);
  CHECK(message.find("\nBcc") == std::string::npos);  // a subject can't add headers
  CHECK(message.find("multipart/alternative") != std::string::npos);
  CHECK(message.find("LnRleHQ=") != std::string::npos);              // .text
  CHECK(message.find("PGI+67O466y4PC9iPg==") != std::string::npos);  // <b>본문</b>
}

TEST_CASE("mail: TLS is begun before credentials are said, and wrong ones are not shown") {
  ScriptedServer server({{"EHLO", "250-mail.example\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"},
                         {"STARTTLS", "220 go"},
                         {"AUTH PLAIN", "535 5.7.8 wrong"}});
  MailServer options = server.options();
  options.require_tls = true;
  options.username = "u";
  options.password = "very-secret";
  const auto sent = send_mail(options, kMail);
  REQUIRE(!sent.ok());
  CHECK(sent.error().code == ErrorCode::unauthorized);
  CHECK(sent.error().message.find("535 5.7.8 wrong") != std::string::npos);
  CHECK(sent.error().message.find("dmVyeS1zZWNyZXQ") == std::string::npos);
  CHECK(server.heard() ==
        std::vector<std::string>{"EHLO localhost", "STARTTLS", "EHLO localhost", "AUTH PLAIN AHUAdmVyeS1zZWNyZXQ="});
}

TEST_CASE("mail: a certificate of another authority is refused") {
  ScriptedServer server({{"EHLO", "250-mail.example\r\n250 STARTTLS"}, {"STARTTLS", "220 go"}});
  MailServer options = server.options();
  options.ca_pem = make_ca("other", system_clock().now()).value().certificate_pem;
  CHECK(!send_mail(options, kMail).ok());
}

TEST_CASE("mail: CRAM-MD5 answers the challenge of RFC 2195") {
  ScriptedServer server({{"EHLO", "250-mail.example\r\n250 AUTH CRAM-MD5"},
                         {"AUTH CRAM-MD5", "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"},
                         {"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw", "235 yes"}});
  MailServer options = server.options();
  options.username = "tim";
  options.password = "tanstaaftanstaaf";
  CHECK(send_mail(options, kMail).ok());
}

TEST_CASE("mail: errors tell what may pass from what will not") {
  const std::pair<ScriptedServer::Step, ErrorCode> cases[] = {
      {{"RCPT TO:<min", "550 no such user"}, ErrorCode::invalid},
      {{"MAIL", "451 later"}, ErrorCode::unavailable},
      {{".", "552 too much"}, ErrorCode::invalid},
  };
  for (const auto& [step, code] : cases) {
    ScriptedServer server({step});
    const auto sent = send_mail(server.options(), kMail);
    REQUIRE(!sent.ok());
    CHECK(sent.error().code == code);
    CHECK(sent.error().message.find(step.answer.substr(4)) != std::string::npos);
  }
  ScriptedServer server({});
  MailServer strict = server.options();
  strict.require_tls = true;
  const auto sent = send_mail(strict, kMail);
  REQUIRE(!sent.ok());
  CHECK(sent.error().message.find("STARTTLS") != std::string::npos);
}

TEST_CASE("mail: what is no address is refused before anything is sent") {
  for (const char* wrong : {"", "nobody", "a@", "@b", "a b@c", "a@b\r\nRCPT TO:<x@y>", "a@b,c@d"})
    CHECK(!mail_address(wrong).ok());
  CHECK(mail_address("Kim <kim@example.org>").value() == "kim@example.org");
}

}  // namespace caisson::http
