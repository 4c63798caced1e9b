// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/authorizer.h"
#include "core/expr/cel/environment.h"

namespace caisson::cel {
namespace {

using Arguments = std::span<const Value>;
#define K "kubernetes.authorization."

// The receiver of a step of the chain: what was asked so far.
class Check : public Object {
 public:
  Check(std::string_view type, std::shared_ptr<const Authorizer> authorizer, AuthorizerRequest request)
      : type_(type), authorizer_(std::move(authorizer)), request_(std::move(request)) {}
  Type type() const override { return Type::opaque(std::string(type_)); }
  bool equals(const Object& other) const override { return &other == this; }
  const AuthorizerRequest& request() const { return request_; }
  const std::shared_ptr<const Authorizer>& authorizer() const { return authorizer_; }

 private:
  std::string_view type_;
  std::shared_ptr<const Authorizer> authorizer_;
  AuthorizerRequest request_;
};

class DecisionObject : public Object {
 public:
  explicit DecisionObject(AuthorizerDecision decision) : decision_(std::move(decision)) {}
  Type type() const override { return Type::opaque(K "Decision"); }
  bool equals(const Object& other) const override { return &other == this; }
  const AuthorizerDecision& decision() const { return decision_; }

 private:
  AuthorizerDecision decision_;
};

const Check& check_of(const Value& v) {
  return static_cast<const Check&>(v.as_object());
}
const AuthorizerDecision& decision_of(const Value& v) {
  return static_cast<const DecisionObject&>(v.as_object()).decision();
}

Value next(const Value& receiver, std::string_view type, AuthorizerRequest request) {
  return Value(std::make_shared<const Check>(type, check_of(receiver).authorizer(), std::move(request)));
}
template <std::string AuthorizerRequest::*Member>
Result<Value> set(Arguments a) {
  AuthorizerRequest request = check_of(a[0]).request();
  request.*Member = a[1].as_string();
  return next(a[0], K "ResourceCheck", std::move(request));
}
Result<Value> path(Arguments a) {
  if (a[1].as_string().empty()) return bad("path must not be empty");
  AuthorizerRequest request = check_of(a[0]).request();
  request.path = a[1].as_string();
  return next(a[0], K "PathCheck", std::move(request));
}
Result<Value> group(Arguments a) {
  AuthorizerRequest request = check_of(a[0]).request();
  request.group = a[1].as_string();
  return next(a[0], K "GroupCheck", std::move(request));
}
Result<Value> resource(Arguments a) {
  if (a[1].as_string().empty()) return bad("resource must not be empty");
  AuthorizerRequest request = check_of(a[0]).request();
  request.is_resource = true;
  request.resource = a[1].as_string();
  return next(a[0], K "ResourceCheck", std::move(request));
}
Result<Value> service_account(Arguments a) {
  if (a[1].as_string().empty() || a[2].as_string().empty()) return bad("invalid service account name");
  AuthorizerRequest request = check_of(a[0]).request();
  request.service_account = std::string(a[1].as_string()) + ":" + std::string(a[2].as_string());
  return next(a[0], K "Authorizer", std::move(request));
}
Result<Value> check(Arguments a) {
  AuthorizerRequest request = check_of(a[0]).request();
  request.verb = a[1].as_string();
  return Value(std::make_shared<const DecisionObject>(check_of(a[0]).authorizer()->check(request)));
}
Result<Value> allowed(Arguments a) {
  return Value(decision_of(a[0]).allowed);
}
Result<Value> reason(Arguments a) {
  return Value::string(decision_of(a[0]).reason);
}
Result<Value> errored(Arguments a) {
  return Value(!decision_of(a[0]).error.empty());
}
Result<Value> error(Arguments a) {
  return Value::string(decision_of(a[0]).error);
}

// Two checks exhaust what one expression may cost.
std::uint64_t cost_of_check(Arguments, const Value&) {
  return 350'000;
}
std::uint64_t cost_of_selector(Arguments a, const Value&) {
  const std::uint64_t length = actual_size(a[1]);
  return 10 + string_cost(length) + string_cost(string_cost(length, 0.5), 50);
}

constexpr Declaration kFunctions[] = {
    {"(" K "Authorizer).path(string): " K "PathCheck", path},
    {"(" K "Authorizer).group(string): " K "GroupCheck", group},
    {"(" K "Authorizer).serviceAccount(string, string): " K "Authorizer", service_account},
    {"(" K "GroupCheck).resource(string): " K "ResourceCheck", resource},
    {"(" K "ResourceCheck).subresource(string): " K "ResourceCheck", set<&AuthorizerRequest::subresource>},
    {"(" K "ResourceCheck).namespace(string): " K "ResourceCheck", set<&AuthorizerRequest::namespace_>},
    {"(" K "ResourceCheck).name(string): " K "ResourceCheck", set<&AuthorizerRequest::name>},
    {"(" K "PathCheck).check(string): " K "Decision", check, cost_of_check},
    {"(" K "ResourceCheck).check(string): " K "Decision", check, cost_of_check},
    {"(" K "Decision).errored(): bool", errored},
    {"(" K "Decision).error(): string", error},
    {"(" K "Decision).allowed(): bool", allowed},
    {"(" K "Decision).reason(): string", reason},
};
constexpr Declaration kSelectors[] = {
    {"(" K "ResourceCheck).fieldSelector(string): " K "ResourceCheck", set<&AuthorizerRequest::field_selector>,
     cost_of_selector},
    {"(" K "ResourceCheck).labelSelector(string): " K "ResourceCheck", set<&AuthorizerRequest::label_selector>,
     cost_of_selector},
};

}  // namespace

std::span<const Declaration> authorizer_functions() {
  return kFunctions;
}
std::span<const Declaration> authorizer_selector_functions() {
  return kSelectors;
}

Type authorizer_type() {
  return Type::opaque(K "Authorizer");
}
Type resource_check_type() {
  return Type::opaque(K "ResourceCheck");
}
Value authorizer_value(std::shared_ptr<const Authorizer> authorizer) {
  return Value(std::make_shared<const Check>(K "Authorizer", std::move(authorizer), AuthorizerRequest{}));
}
Value resource_check_value(std::shared_ptr<const Authorizer> authorizer, AuthorizerRequest request) {
  return Value(std::make_shared<const Check>(K "ResourceCheck", std::move(authorizer), std::move(request)));
}
#undef K

}  // namespace caisson::cel
