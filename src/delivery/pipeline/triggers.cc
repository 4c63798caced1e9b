// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/triggers.h"

#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/pipeline/substitute.h"

namespace caisson::pipeline {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

// Text of a value for a param: strings as they are, everything else as JSON.
std::string param_text(const Value& value) {
  if (value.is_string()) return value.str();
  return json::write(value);
}

// "$(body.x)-$(header.Y)" with its expressions replaced.
Result<std::string> bind_text(std::string_view text, const TriggerEvent& event) {
  std::string out;
  std::size_t at = 0;
  for (auto begin = text.find("$("); begin != std::string_view::npos; begin = text.find("$(", at)) {
    const auto end = text.find(')', begin);
    if (end == std::string_view::npos) break;
    out.append(text.substr(at, begin - at));
    const Value value = TRY(binding_value(text.substr(begin + 2, end - begin - 2), event));
    out.append(param_text(value));
    at = end + 1;
  }
  return out.append(text.substr(at));
}

// What the event lacks is the default of the template, where it has one.
Result<void> bind_params(const Value& params, const TriggerEvent& event, Scope& scope) {
  for (const Value& param : params.items()) {
    const std::string name = param["name"].str();
    auto text = bind_text(param["value"].as_string(), event);
    if (text.ok())
      scope.set("tt.params." + name, std::move(text).value());
    else if (text.error().code != ErrorCode::not_found || scope.find("tt.params." + name) == nullptr)
      return Error(text.error()).in("param " + name);
  }
  return {};
}

Result<Scope> bind_all(const Value& trigger, const Value& template_spec, const TriggerEvent& event,
                       const TriggerParts& parts) {
  Scope scope;
  for (const Value& declared : template_spec["params"].items()) {
    if (declared.contains("default")) scope.set("tt.params." + declared["name"].str(), declared["default"]);
  }
  for (const Value& binding : trigger["bindings"].items()) {
    if (const std::string reference = binding["ref"].str(); !reference.empty()) {
      const std::string kind = binding["kind"].as_string().empty() ? "TriggerBinding" : binding["kind"].str();
      const Value spec = TRY(parts.find(kind, reference));
      TRY(bind_params(spec["params"], event, scope).in(kind + " " + reference));
    } else if (!binding["spec"].is_null()) {
      TRY(bind_params(binding["spec"]["params"], event, scope));
    } else {
      TRY(bind_params(Value(std::vector<Value>{binding}), event, scope));  // an inline name and value
    }
  }
  return scope;
}

// One step of a path: ".key", "[3]", "[-1]", "['a.b']" or "[*]".
struct Step {
  std::string key;
  std::optional<std::int64_t> index;
  bool all = false;
};

Result<Step> bracket_step(std::string_view& rest) {
  const std::size_t end = rest.find(']');
  if (end == std::string_view::npos) return Error{ErrorCode::bad_request, "'[' without ']'"};
  std::string_view inside = rest.substr(1, end - 1);
  rest.remove_prefix(end + 1);
  if (inside == "*") return Step{.all = true};
  if (inside.size() >= 2 && (inside.front() == '\'' || inside.front() == '"') && inside.back() == inside.front())
    return Step{.key = std::string(inside.substr(1, inside.size() - 2))};
  const auto index = parse_int(inside);
  if (!index) return Error{ErrorCode::bad_request, "[" + std::string(inside) + "] is no index, key or *"};
  return Step{.index = *index};
}

Result<Step> next_step(std::string_view& rest) {
  if (rest.front() == '[') return bracket_step(rest);
  if (rest.front() == '.') rest.remove_prefix(1);
  if (rest.starts_with('[')) return bracket_step(rest);
  Step step;  // "a\.b" is one key
  while (!rest.empty() && rest.front() != '.' && rest.front() != '[') {
    if (rest.front() == '\\' && rest.size() > 1) rest.remove_prefix(1);
    step.key.push_back(rest.front());
    rest.remove_prefix(1);
  }
  return step;
}

// The values that `rest` leads to from `from`; several behind a "[*]".
Result<std::vector<Value>> walk(Value from, std::string_view rest) {
  std::vector<Value> at{std::move(from)};
  while (!rest.empty()) {
    const Step step = TRY(next_step(rest));
    std::vector<Value> next;
    for (const Value& one : at) {
      if (step.all) {
        next.insert(next.end(), one.items().begin(), one.items().end());
      } else if (step.index) {
        const std::int64_t index = *step.index < 0 ? *step.index + static_cast<std::int64_t>(one.size()) : *step.index;
        if (one.is_list() && index >= 0 && index < static_cast<std::int64_t>(one.size()))
          next.push_back(one[static_cast<std::size_t>(index)]);
      } else if (const Value* member = one.find(step.key)) {
        next.push_back(*member);
      }
    }
    at = std::move(next);
  }
  return at;
}

// "header.X-Name" or "header['X-Name']": names compare without case; several values are one, with commas between.
Result<Value> header_value(std::string_view rest, const TriggerEvent& event) {
  std::string name;
  if (!rest.empty()) name = TRY(next_step(rest)).key;
  std::vector<std::string> values;
  for (const auto& [key, value] : event.input.headers.fields())
    if (equals_ignoring_case(key, name)) values.push_back(value);
  if (values.empty()) return Error{ErrorCode::not_found, "the event has no such header"};
  return Value(join(values, ","));
}

}  // namespace

Result<Value> binding_value(std::string_view path, const TriggerEvent& event) {
  const std::string text = "$(" + std::string(path) + ")";
  if (path == "context.eventID") return Value(event.id);
  const std::size_t end = path.find_first_of(".[");
  const std::string_view root = path.substr(0, end);
  const std::string_view rest = end == std::string_view::npos ? std::string_view() : path.substr(end);
  Value from;
  if (root == "body")
    from = event.input.body;
  else if (root == "extensions")
    from = event.input.extensions;
  else if (root == "header")
    return header_value(rest, event).in(text);
  else
    return Error{ErrorCode::bad_request, text + ": only body, header, extensions and context are known"};
  std::vector<Value> found = TRY(walk(std::move(from), rest).in(text));
  if (rest.find("[*]") != std::string_view::npos) return Value(std::move(found));
  if (found.empty()) return Error{ErrorCode::not_found, text + " is not in the event"};
  return found.front();
}

Result<std::vector<kube::Object>> instantiate(const Value& trigger, const std::string& listener, const std::string& ns,
                                              const TriggerEvent& event, const TriggerParts& parts) {
  const Value& reference = trigger["template"];
  Value spec = reference["spec"];
  if (spec.is_null()) spec = TRY(parts.find("TriggerTemplate", reference["ref"].str()));
  Scope scope = TRY(bind_all(trigger, spec, event, parts));
  const std::string trigger_name = trigger["name"].str();
  const std::string seed = event.id + "/" + listener + "/" + trigger_name;
  scope.set("uid", safe_encode(seed));
  scope.set("context.eventID", event.id);
  for (const std::string& unknown : references(spec["resourcetemplates"])) {
    if (unknown.starts_with("tt.params.") && scope.find(unknown) == nullptr)
      return Error{ErrorCode::bad_request,
                   "the template uses $(" + unknown + "), which no binding gives and which has no default"};
  }
  std::vector<kube::Object> out;
  for (const Value& resource : spec["resourcetemplates"].items()) {
    kube::Object object{TRY(substitute(resource, scope))};
    Value& metadata = object.edit({"metadata"});
    if (metadata["namespace"].as_string().empty()) metadata.set("namespace", ns);
    if (const std::string prefix = metadata["generateName"].str(); metadata["name"].as_string().empty()) {
      if (prefix.empty()) return invalid("a resource template without name and generateName");
      // Not random: the same event makes the same object, so that after a crash it is made once.
      metadata.set("name", prefix + sha256_hex(seed + "/" + std::to_string(out.size())).substr(0, 8));
      metadata.erase("generateName");
    }
    object.set_label("triggers.tekton.dev/eventlistener", listener);
    if (!trigger_name.empty()) object.set_label("triggers.tekton.dev/trigger", trigger_name);
    object.set_label("triggers.tekton.dev/triggers-eventid", event.id);
    out.push_back(std::move(object));
  }
  return out;
}

}  // namespace caisson::pipeline
