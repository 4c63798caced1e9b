// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 messages (RFC 9110, 9112) as data. Header names compare without case and keep the case they came in.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace caisson::http {

class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<std::pair<std::string, std::string>> fields) : fields_(fields) {}
  std::string_view get(std::string_view name) const;  // the first; "" when absent
  bool contains(std::string_view name) const;
  void set(std::string_view name, std::string_view value);  // replaces all of that name
  void add(std::string_view name, std::string_view value);
  void erase(std::string_view name);
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }
  bool operator==(const Headers&) const = default;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// "/api/v1/pods?watch=1&x=a%20b" in parts. Decoding fails with bad_request.
struct Url {
  std::string scheme, host, path, query;  // path is still percent-encoded
  int port = 0;                           // 0: the scheme's own
  std::string user, password;             // userinfo; never logged
  static Result<Url> parse(std::string_view text);
  std::string str_without_userinfo() const;
};
using Query = std::vector<std::pair<std::string, std::string>>;  // decoded, in order
Query parse_query(std::string_view query);
std::string_view query_get(const Query& query, std::string_view name);

// Gives a body in pieces; an empty piece ends it. Blocks: call it on a worker, not on a loop.
using BodySource = std::function<Result<std::string>()>;

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};
std::string_view reason_phrase(int status);

}  // namespace caisson::http
