// SPDX-License-Identifier: Apache-2.0
#include "security/policy/context.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <shared_mutex>

#include "core/base/text.h"
#include "core/document/json.h"
#include "security/policy/images.h"
#include "security/policy/variables.h"

namespace caisson::policy {
namespace {

constexpr std::size_t kExpressionsMax = 20'000;
constexpr int kLoadDepthMax = 50;
constexpr std::size_t kFoundMax = 16;

class NoLookups final : public Lookups {
  Result<std::optional<Value>> config_map(const std::string&, const std::string&) const override { return nothing(); }
  Result<std::optional<Value>> api_call(const Value&) const override { return nothing(); }
  Result<std::optional<Value>> global_entry(const std::string&) const override { return nothing(); }
  Result<std::optional<Value>> image(const std::string&) const override { return nothing(); }
  Result<Value> object(const std::string&, const std::string&, const std::string&, const std::string&) const override {
    return Value();
  }
  Result<std::vector<Value>> objects(const std::string&, const std::string&, const std::string&) const override {
    return std::vector<Value>{};
  }
  Result<std::string> kind_of(const std::string&, const std::string& plural) const override {
    return Error{ErrorCode::not_found, "there is no resource " + plural};
  }
  static std::optional<Value> nothing() { return std::nullopt; }
};

std::string shown(const Value& value) {
  return value.is_string() ? value.str() : json::write(value);
}
// Of a variable: there is nothing that its path leads to.
std::string unapplied(const Value& path) {
  return "failed to apply jmespath " + path.str() + " to variable <nil>";
}

}  // namespace

const Lookups& no_lookups() {
  static const NoLookups none;
  return none;
}

struct Expressions::Impl {
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::shared_mutex mutex;
  std::unordered_map<std::string, jmespath::Expression, Hash, std::equal_to<>> by_text;  // GUARDED_BY(mutex)
};
Expressions::Expressions() : impl_(std::make_unique<Impl>()) {}
Expressions::~Expressions() = default;

Result<jmespath::Expression> Expressions::get(std::string_view text) const {
  {
    const std::shared_lock lock(impl_->mutex);
    const auto found = impl_->by_text.find(text);
    if (found != impl_->by_text.end()) return found->second;
  }
  auto expression = TRY(jmespath::Expression::compile(text));
  const std::lock_guard lock(impl_->mutex);
  // Expressions that hold substituted values are endless: start anew rather than grow.
  if (impl_->by_text.size() >= kExpressionsMax) impl_->by_text.clear();
  impl_->by_text.emplace(std::string(text), expression);
  return expression;
}

std::vector<std::string> dotted_names(std::string_view path) {
  std::vector<std::string> names{""};
  bool quoted = false;
  for (const char c : path) {
    if (c == '"')
      quoted = !quoted;
    else if (c == '.' && !quoted)
      names.emplace_back();
    else
      names.back() += c;
  }
  return names;
}

const Value* Context::FoundOnce::find(std::string_view text) const {
  for (const auto& [expression, value] : kept_)
    if (expression.text() == text) return &value;
  return nullptr;
}

void Context::FoundOnce::keep(const jmespath::Expression& expression, const Value& value) {
  if (kept_.size() < kFoundMax) kept_.emplace_back(expression, value);
}

void Context::set_path(std::string_view dotted, Value value) {
  found_.clear();
  const auto names = dotted_names(dotted);
  Value* at = &root_;
  for (std::size_t i = 0; i + 1 < names.size(); ++i) {
    Value& next = at->edit(names[i]);
    if (!next.is_map()) next = Value::map();
    at = &next;
  }
  at->set(names.back(), std::move(value));
}

void Context::defer(const Value& entries) {
  found_.clear();
  for (const Value& entry : entries.items()) pending_.push_back(entry);
}

void Context::defer_images(const Value& object, const Value& extractors) {
  images_of_ = object;
  image_extractors_ = extractors;
}

void Context::load_images() {
  if (images_of_.is_null()) return;
  Value images = images_of(std::exchange(images_of_, Value()), image_extractors_);
  if (!images.is_null()) set("images", std::move(images));
}

Result<Value> Context::query(std::string_view text) {
  const auto expression = expressions_->get(trim(text));
  if (!expression.ok())
    return Error{ErrorCode::bad_request,
                 "incorrect query " + std::string(trim(text)) + ": " + expression.error().message};
  return query(*expression);
}

Result<Value> Context::query(const jmespath::Expression& expression) {
  if (const Value* known = found_.find(expression.text())) return *known;
  for (const std::string& name : expression.roots()) {
    if (name == "images") load_images();
    if (!pending_.empty()) TRY(load(name));
  }
  auto found = expression.find(root_, *environment_);
  if (!found.ok()) return std::move(found).error().in("JMESPath query failed");
  if (found->missing_key)
    return Error{ErrorCode::not_found, "JMESPath query failed: Unknown key \"" + *found->missing_key + "\" in path"};
  if (expression.calls_nothing()) found_.keep(expression, found->value);
  return std::move(found).value().value;
}

Result<void> Context::load(std::string_view name) {
  for (std::size_t i = 0; i < pending_.size();) {
    if (pending_[i]["name"].as_string() != name) {
      ++i;
      continue;
    }
    const Value entry = pending_[i];
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(i));
    if (++depth_ > kLoadDepthMax)
      return Error{ErrorCode::bad_request, "context entries refer to one another endlessly"};
    TRY(load_entry(entry));
    --depth_;
    i = 0;  // an entry may have loaded others
  }
  return {};
}

Result<void> Context::load_entry(const Value& entry) {
  auto found = value_of(entry);
  if (!found.ok() && !entry.contains("variable"))  // whose own words tell which one failed
    return std::move(found).error().in("failed to load context entry " + entry["name"].str());
  auto value = TRY(std::move(found));
  if (value) set(entry["name"].as_string(), std::move(*value));
  return {};
}

Result<std::optional<Value>> Context::value_of(const Value& entry) {
  if (entry.contains("variable")) return variable(entry);
  if (entry.contains("configMap")) {
    const Value source = TRY(substitute(entry["configMap"], *this));
    const std::string ns = source["namespace"].as_string().empty() ? "default" : source["namespace"].str();
    return lookups_->config_map(ns, source["name"].str());
  }
  if (entry.contains("apiCall")) {
    Value call = entry["apiCall"];
    const Value path = call["jmesPath"], otherwise = call["default"];
    call.erase("jmesPath");
    call = TRY(substitute(call, *this));
    return narrowed(lookups_->api_call(call), Value{{"jmesPath", path}, {"default", otherwise}});
  }
  if (entry.contains("globalReference")) {
    const Value source = TRY(substitute(Value{{"name", entry["globalReference"]["name"]}}, *this));
    return narrowed(lookups_->global_entry(source["name"].str()), entry["globalReference"]);
  }
  if (entry.contains("imageRegistry")) {
    const Value source = TRY(substitute(Value{{"reference", entry["imageRegistry"]["reference"]}}, *this));
    return narrowed(lookups_->image(source["reference"].str()), entry["imageRegistry"]);
  }
  return Error{ErrorCode::bad_request,
               "the entry has no variable, configMap, apiCall, globalReference or imageRegistry"};
}

// jmesPath over what was found; `default` when that fails or is null.
Result<std::optional<Value>> Context::narrowed(Result<std::optional<Value>> found, const Value& source,
                                               bool must_be_there) {
  const auto otherwise = [&]() -> Result<std::optional<Value>> {
    Value value = TRY(substitute(source["default"], *this));
    return std::optional<Value>(std::move(value));
  };
  const bool has_default = !source["default"].is_null();
  if (!found.ok()) return has_default ? otherwise() : std::move(found);
  if (!*found || source["jmesPath"].as_string().empty()) return found;
  const Value path = TRY(substitute(source["jmesPath"], *this));
  const auto expression = TRY(expressions_->get(path.as_string()));
  const auto value = expression.find(**found, *environment_);
  if (!value.ok() || value->missing_key || value->value.is_null()) {
    if (has_default) return otherwise();
    if (!value.ok()) return value.error();
    if (must_be_there && value->missing_key)
      return Error{ErrorCode::not_found, unapplied(path) + ": Unknown key \"" + *value->missing_key + "\" in path"};
  }
  return std::optional<Value>(value->value);
}

Result<std::optional<Value>> Context::variable(const Value& named) {
  const Value& entry = named["variable"];
  const bool has_default = entry.contains("default") && !entry["default"].is_null();
  const auto otherwise = [&]() -> Result<std::optional<Value>> {
    Value value = TRY(substitute(entry["default"], *this));
    return std::optional<Value>(std::move(value));
  };
  if (entry.contains("value")) {
    auto value = substitute(entry["value"], *this);
    if (!value.ok() && has_default) return otherwise();
    if (!value.ok())
      return std::move(value).error().in("failed to substitute variables in context entry " + named["name"].str() +
                                         " " + shown(entry["value"]));
    if (entry["jmesPath"].as_string().empty()) return std::optional<Value>(*value);
    return narrowed(std::optional<Value>(*value), entry, true);
  }
  const Value path = TRY(substitute(entry["jmesPath"], *this));
  if (path.as_string().empty()) return has_default ? otherwise() : std::optional<Value>(Value());
  auto value = query(path.as_string());
  if (!value.ok() || value->is_null()) {
    if (has_default) return otherwise();
    if (!value.ok()) return std::move(value).error().in(unapplied(path));
  }
  return std::optional<Value>(*value);
}

}  // namespace caisson::policy
