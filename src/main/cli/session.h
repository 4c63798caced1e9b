// SPDX-License-Identifier: Apache-2.0
// Which platform a command talks to: --kubeconfig, $KUBECONFIG, ~/.kube/config, or the administrator's file of the data
// directory.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cluster/kube/http_client.h"

namespace caisson::cli {

struct Global {
  std::string kubeconfig, context, ns, data_dir = "/var/lib/caisson", output;
};

// $KUBECONFIG (its first), ~/.kube/config: the file that belongs to the user.
std::string user_kubeconfig_path();
std::string default_data_dir();  // CAISSON_DATA_DIR, or where packages put it

struct Session {
  kube::Connection connection;
  std::unique_ptr<kube::Client> client;
  std::string ns;

  // A request with the connection's credentials. A status of 400 and more becomes an Error with the server's words.
  Result<http::Response> send(const std::string& method, const std::string& path,
                              std::string_view accept = "application/json", const std::string& body = "") const;
  // The same, with the body still coming (logs -f).
  Result<std::unique_ptr<http::ResponseStream>> open(const std::string& path) const;
  http::Request request(const std::string& method, const std::string& path) const;
};

// Errors: not_found, which says how to log in.
Result<Session> connect(const Global& global);

// "deploy", "deployments.apps", "po/web-1": finds the kind by plural, singular, kind or short name, from discovery.
Result<kube::Resource> find_resource(const Session& session, std::string_view word);

// Prints aligned columns; widths count terminal columns, so Hangul stays aligned.
void print_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);
// Prints a value as json or yaml.
void print_value(const Value& value, std::string_view format);
bool is_terminal();
// Terminal colour, when standard output is a terminal and NO_COLOR is not set.
std::string paint(std::string_view text, const char* color);
inline constexpr const char *kRed = "31", *kGreen = "32", *kYellow = "33", *kBold = "1", *kDim = "2";

}  // namespace caisson::cli
