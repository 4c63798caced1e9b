// SPDX-License-Identifier: Apache-2.0
// email_configs: the fields of Alertmanager's configuration page.
#include "core/base/text.h"
#include "observe/alerts/settings.h"

namespace caisson::alerts {
namespace {

Result<http::MailServer> server_of(const Settings& s) {
  http::MailServer server;
  const std::string smarthost = TRY(s.text("smarthost"));
  const auto colon = smarthost.rfind(':');
  const auto port =
      colon == std::string::npos ? std::nullopt : parse_int(std::string_view(smarthost).substr(colon + 1));
  if (!port || *port < 1 || *port > 65535)
    return Error{ErrorCode::bad_request, "email: smarthost must be host:port, is \"" + smarthost + "\""};
  server.host = smarthost.substr(0, colon);
  server.port = static_cast<int>(*port);
  server.implicit_tls = server.port == 465;
  server.hello = TRY(s.text("hello", "localhost"));
  server.username = TRY(s.text("auth_username"));
  if (!server.username.empty()) server.password = TRY(s.url("auth_password"));
  server.require_tls = s["require_tls"].as_bool(true);
  server.verify = !s["tls_config"]["insecure_skip_verify"].as_bool();
  server.ca_pem = s["tls_config"]["ca"].str();
  return server;
}

// Alertmanager writes several recipients as one text with commas.
std::vector<std::string> recipients(const std::string& text) {
  std::vector<std::string> out;
  for (const std::string_view part : split(text, ','))
    if (const auto one = trim(part); !one.empty()) out.emplace_back(one);
  return out;
}

}  // namespace

Result<OutgoingMail> make_mail(const Integration& integration, const Notification& notification,
                               const std::vector<std::string>& templates) {
  const Settings s(integration, notification, templates);
  OutgoingMail out;
  out.server = TRY(server_of(s));
  out.mail.from = TRY(s.text("from"));
  out.mail.to = recipients(TRY(s.text("to")));
  TRY(http::mail_address(out.mail.from).in(integration.id + ": from"));
  for (const std::string& one : out.mail.to) TRY(http::mail_address(one).in(integration.id + ": to"));
  if (out.mail.to.empty()) return Error{ErrorCode::bad_request, integration.id + ": to is missing"};
  bool has_subject = false;
  for (const auto& entry : s["headers"].entries()) {
    has_subject = has_subject || to_lower(entry.key) == "subject";
    out.mail.headers.emplace_back(entry.key, TRY(s.expand_value(entry.value, "headers")));
  }
  if (!has_subject)
    out.mail.headers.emplace_back("Subject", TRY(s.text("subject", "{{ template \"email.default.subject\" . }}")));
  out.mail.text = TRY(s.text("text"));
  out.mail.html = TRY(s.text("html", "{{ template \"email.default.html\" . }}"));
  return out;
}

}  // namespace caisson::alerts
