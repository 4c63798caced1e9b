// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/execution.h"

#include <unordered_map>

#include "core/base/text.h"
#include "core/expr/go_template/evaluator.h"
#include "core/expr/go_template/stack.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {

struct Execution::State {
  const Set* current = nullptr;  // of the template that runs now
  std::uint64_t steps = 0;
  NameMap<std::size_t> includes;  // by name: how many are open
  std::size_t expansions = 0;     // of `tpl`: how many are open
  std::vector<Ref<Map>> edited;
  // Texts of `tpl`, parsed: by the set they were parsed over, and the text.
  std::unordered_map<const Set*, std::map<std::string, std::unique_ptr<Set>, std::less<>>> layers;
};

namespace {

// Puts `value` in place until the end of the scope.
template <class T>
class Replaced {
 public:
  Replaced(T& place, T value) : place_(place), before_(std::exchange(place, value)) {}
  ~Replaced() { place_ = before_; }
  Replaced(const Replaced&) = delete;
  Replaced& operator=(const Replaced&) = delete;

 private:
  T& place_;
  T before_;
};

Result<std::string> evaluate(Execution& execution, const Set& set, const Tree& tree, const Datum& data) {
  std::string out;
  Result<void> result;
  const Datum nothing;  // Go's Execute takes an interface {}: a nil one has no type any more
  const Datum& dot = data.kind() == Kind::interface ? nothing : data;
  const auto work = [&] { result = Evaluator(execution, set, tree, out, 0).run(dot); };
  if (stack_is_short()) {
    on_fresh_stack(work);
  } else {
    work();
  }
  TRY(std::move(result));
  return out;
}

Error no_template(const Set& set, std::string_view name) {
  return Error{ErrorCode::invalid,
               "template: no template " + quote(name) + " associated with template " + quote(set.name())};
}

}  // namespace

Host* Call::host() const {
  return execution.host();
}

Execution::Execution(const Set& set, const Options& options, Host* host)
    : set_(set), options_(options), host_(host), state_(std::make_unique<State>()) {
  state_->current = &set_;
}

Execution::~Execution() {
  for (const Ref<Map>& map : state_->edited) map->clear();
}

Result<std::string> Execution::run(std::string_view name, const Datum& data) {
  const Tree* tree = set().find(name);
  if (!tree) return no_template(set(), name);
  return evaluate(*this, set(), *tree, data);
}

Result<std::string> Execution::include(std::string_view name, const Datum& data) {
  auto found = state_->includes.find(name);
  if (found == state_->includes.end()) found = state_->includes.emplace(std::string(name), 0).first;
  if (found->second > options_.limits.include_depth_max) {
    return Error{ErrorCode::invalid, "rendering template has a nested reference name: " + std::string(name) +
                                         ": unable to execute template"};
  }
  ++found->second;
  auto out = run(name, data);
  --found->second;
  return out;
}

Result<std::string> Execution::expand(std::string_view text, const Datum& data) {
  // Go has no limit here but its stack, and a text that expands itself ends Helm with a fatal error.
  const std::size_t depth_max = options_.limits.include_depth_max;
  if (state_->expansions >= depth_max)
    return Error{ErrorCode::invalid, "tpl is nested more than " + std::to_string(depth_max) + " times"};
  const Replaced<std::size_t> open(state_->expansions, state_->expansions + 1);
  const Set& below = set();
  auto& known = state_->layers[&below];
  auto found = known.find(text);
  if (found == known.end()) {
    auto layer = std::make_unique<Set>(below.layer());
    const auto parsed = layer->parse_alone(layer->name(), text);
    if (!parsed.ok()) return Error(parsed.error()).in("cannot parse template " + quote(text));
    found = known.emplace(std::string(text), std::move(layer)).first;
  }
  const Set& layer = *found->second;
  const Replaced<const Set*> current(state_->current, &layer);
  auto out = evaluate(*this, layer, *layer.alone(), data);
  if (!out.ok()) return std::move(out).error().in("error during tpl function execution for " + quote(text));
  return replace_all(std::move(out).value(), "<no value>", "");
}

const Set& Execution::set() const {
  return *state_->current;
}

const Clock& Execution::clock() const {
  return options_.clock ? *options_.clock : system_clock();
}

Result<void> Execution::spend(std::uint64_t steps, std::size_t bytes) {
  state_->steps += steps;
  if (state_->steps > options_.limits.steps_max) {
    return Error{ErrorCode::timeout, "more than " + std::to_string(options_.limits.steps_max) + " steps"};
  }
  if (bytes > options_.limits.output_bytes_max) {
    return Error{ErrorCode::too_large, "more than " + std::to_string(options_.limits.output_bytes_max) + " bytes"};
  }
  return {};
}

void Execution::note_edit(const Ref<Map>& map) {
  if (state_->edited.empty() || state_->edited.back().get() != map.get()) state_->edited.push_back(map);
}

}  // namespace caisson::go_template
