// SPDX-License-Identifier: Apache-2.0
// For tests: a git host's API, or a plug-in, on loopback.
#pragma once
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/http/server.h"

namespace caisson::gitops::testing {

// Answers by path and query without "page" and size; a second page is empty. Anything else is 404.
struct FakeHost {
  std::map<std::string, std::string> answers;
  std::string header, wanted;  // 401 without
  std::mutex mutex;
  std::vector<std::string> asked;  // GUARDED_BY(mutex)
  http::Server server = http::Server::start({}).value();
  int port = server
                 .listen(
                     "127.0.0.1", 0, [this](const http::ExchangePtr& exchange) { answer(exchange); }, nullptr)
                 .value();

  void answer(const http::ExchangePtr& exchange) {
    {
      const std::lock_guard lock(mutex);
      asked.push_back(exchange->target);
    }
    if (!wanted.empty() && exchange->headers.get(header) != wanted)
      return exchange->respond({401, {}, R"({"message": "Bad credentials"})"});
    std::string key = exchange->target;
    for (const char* cut : {"&per_page", "&limit"}) {
      const std::size_t at = key.find(cut);
      if (at != std::string::npos) key.resize(at);
    }
    const auto found = answers.find(key);
    if (found == answers.end()) return exchange->respond({404, {}, "{}"});
    exchange->respond({200, {{"Content-Type", "application/json"}}, found->second});
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port); }
};

}  // namespace caisson::gitops::testing
