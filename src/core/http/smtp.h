// SPDX-License-Identifier: Apache-2.0
// Sending mail: SMTP (RFC 5321) with STARTTLS (RFC 3207) or TLS from the start, AUTH PLAIN, LOGIN and CRAM-MD5 (RFC
// 4954), messages as MIME (RFC 5322, 2045, 2047). Blocking; any thread.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::http {

struct MailServer {
  std::string host;
  int port = 587;
  std::string hello = "localhost";  // what EHLO says
  std::string username, password;   // empty: no authentication
  bool require_tls = true;          // refuse to go on when the server has no STARTTLS
  bool implicit_tls = false;        // TLS before the first word, as on port 465
  std::string ca_pem;               // empty: the system's
  bool verify = true;
  Duration time_max = std::chrono::seconds(30);  // of the whole exchange
};

struct Mail {
  std::string from;                                          // "Caisson <caisson@example.org>" or an address
  std::vector<std::string> to;                               // the same
  std::vector<std::pair<std::string, std::string>> headers;  // Subject among them; line breaks become spaces
  std::string text, html;                                    // either or both
};

// "Name <a@b>" to "a@b". Errors: bad_request for what is no address.
Result<std::string> mail_address(std::string_view mailbox);

// The message as it is sent, lines ended by CRLF. `id` is unique ("1a2b3c"); it is part of the Message-ID.
std::string mime_message(const Mail& mail, Time date, std::string_view id);

// Errors: unavailable for what may pass (no connection, a 4xx answer), invalid when the server refuses for good,
// unauthorized when it refuses the credentials. The message has the server's words, never the password.
Result<void> send_mail(const MailServer& server, const Mail& mail);

}  // namespace caisson::http
