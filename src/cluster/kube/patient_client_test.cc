// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/patient_client.h"

#include <doctest/doctest.h>

#include <deque>

#include "cluster/kube/testing_client.h"

namespace caisson::kube {
namespace {

const Resource kMaps{"", "v1", "ConfigMap", "configmaps", true};
const ObjectKey kName{"n", "a"};

// Answers what it is told to, in order; then well.
struct Script {
  std::deque<std::optional<Error>> answers;
  int calls = 0;
  std::vector<std::string> tokens;  // of each call
};

class Scripted final : public TestingClient {
 public:
  Scripted(std::shared_ptr<Script> script, std::string token) : script_(std::move(script)), token_(std::move(token)) {}
  Result<Object> get(const Resource& resource, const ObjectKey& key) override {
    ++script_->calls;
    script_->tokens.push_back(token_);
    std::optional<Error> error;
    if (!script_->answers.empty()) {
      error = script_->answers.front();
      script_->answers.pop_front();
    }
    if (error) return *error;
    return Object::make(resource, key.ns, key.name);
  }

 private:
  std::shared_ptr<Script> script_;
  std::string token_;
};

struct Fixture {
  std::shared_ptr<Script> script = std::make_shared<Script>();
  FakeClock clock;
  std::string token = "old";
  std::unique_ptr<Client> client(bool waits) {
    PatientOptions options;
    options.connection = [this]() -> Result<Connection> {
      Connection out;
      out.token = token;
      return out;
    };
    options.make = [this](Connection c) -> std::unique_ptr<Client> {
      return std::make_unique<Scripted>(script, c.token);
    };
    options.waits = waits;
    return make_patient_client(std::move(options), clock).value();
  }
};

TEST_CASE("an overloaded server is left alone for a growing while, and a good answer ends it") {
  Fixture f;
  const auto client = f.client(false);
  const Error busy{ErrorCode::too_many_requests, "busy"}, away{ErrorCode::unavailable, "away"};
  f.script->answers = {busy, away};
  CHECK(client->get(kMaps, kName).error().code == ErrorCode::too_many_requests);
  CHECK(client->get(kMaps, kName).error().code == ErrorCode::too_many_requests);  // not asked
  CHECK(f.script->calls == 1);
  f.clock.advance(std::chrono::milliseconds(160));
  CHECK(client->get(kMaps, kName).error().code == ErrorCode::unavailable);
  f.clock.advance(std::chrono::milliseconds(160));
  CHECK(client->get(kMaps, kName).error().code == ErrorCode::unavailable);  // 200 ms at least
  CHECK(f.script->calls == 2);
  f.clock.advance(std::chrono::milliseconds(160));
  CHECK(client->get(kMaps, kName).ok());
  f.script->answers = {Error{ErrorCode::not_found, "none"}};
  CHECK(client->get(kMaps, kName).error().code == ErrorCode::not_found);
  CHECK(client->get(kMaps, kName).ok());  // an answer that is no trouble makes no pause
}

TEST_CASE("credentials that are refused are read again, and the request is sent once more") {
  Fixture f;
  const auto client = f.client(true);
  CHECK(client->get(kMaps, kName).ok());
  f.clock.advance(std::chrono::seconds(2));
  f.token = "new";
  f.script->answers = {Error{ErrorCode::unauthorized, "expired"}};
  CHECK(client->get(kMaps, kName).ok());
  CHECK(f.script->tokens == std::vector<std::string>{"old", "old", "new"});
  f.script->answers = {Error{ErrorCode::unauthorized, "no"}};
  CHECK(client->get(kMaps, kName).error().code == ErrorCode::unauthorized);  // nothing new to try
}

TEST_CASE("a connection that was rotated is used without a refusal") {
  Fixture f;
  const auto client = f.client(true);
  f.token = "new";
  f.clock.advance(std::chrono::seconds(31));
  CHECK(client->get(kMaps, kName).ok());
  CHECK(f.script->tokens.back() == "new");
}

}  // namespace
}  // namespace caisson::kube
