// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/execution.h"

#include <unordered_map>

#include "core/base/text.h"
#include "core/expr/go_template/evaluator.h"
#include "core/expr/go_template/stack.h"
#include "core/expr/go_template/steady.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {

struct Execution::State {
  const Set* current = nullptr;  // of the template that runs now
  std::uint64_t steps = 0;
  NameMap<std::size_t> includes;  // by name: how many are open
  std::size_t expansions = 0;     // of `tpl`: how many are open
  std::vector<Ref<Map>> edited;
  // What the open templates have written: each begins where the one that calls it has come to, and takes its own away.
  std::string out;
  struct Text {
    std::function<Result<Trees>()> parse;
    std::unique_ptr<Set> parsed;  // null before
  };
  NameMap<Text> texts;  // see add_text
  // What `include` gave over the data of the template that runs, until a dict is edited: of steady templates.
  const Node* data = nullptr;
  std::unordered_map<const Tree*, Datum> included;
  std::unordered_map<const Tree*, bool> steady;  // false also while it is being found out
  NameMap<std::unique_ptr<Kept>> kept;
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

// Runs `tree` at the end of `out`, which holds its output until the scope ends.
class Output {
 public:
  explicit Output(std::string& out) : out_(out), start_(out.size()) {}
  ~Output() { out_.resize(start_); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  Result<std::string_view> of(Execution& execution, const Set& set, const Tree& tree, const Datum& data) {
    Result<void> result;
    const Datum nothing;  // Go's Execute takes an interface {}: a nil one has no type any more
    const Datum& dot = data.kind() == Kind::interface ? nothing : data;
    const auto work = [&] { result = Evaluator(execution, set, tree, out_, 0).run(dot); };
    if (stack_is_short()) {
      on_fresh_stack(work);
    } else {
      work();
    }
    TRY(std::move(result));
    return std::string_view(out_).substr(start_);
  }

 private:
  std::string& out_;
  const std::size_t start_;
};

// Of a tree of `set`; see steady.h.
bool is_known_steady(const Set& set, std::unordered_map<const Tree*, bool>& known, const Tree& tree) {
  const auto [found, is_new] = known.emplace(&tree, false);
  if (!is_new) return found->second;
  const bool steady = is_steady(tree, [&](std::string_view name) {
    const Tree* const included = set.find(name);
    return included != nullptr && is_known_steady(set, known, *included);
  });
  known[&tree] = steady;
  return steady;
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
  const auto text = state_->texts.find(name);
  const bool was_parsed = text == state_->texts.end() || text->second.parsed != nullptr;
  const Tree* tree = TRY(find(set(), name));
  if (!tree) return no_template(set(), name);
  state_->included.clear();  // the caller may have edited `data` since
  const Replaced<const Node*> over(state_->data, static_cast<const Node*>(data.as_map()));
  Output output(state_->out);
  const auto written = output.of(*this, set(), *tree, data);
  if (!was_parsed) text->second.parsed.reset();
  return std::string(TRY(written));
}

void Execution::add_text(std::string_view name, std::function<Result<Trees>()> parse) {
  state_->texts.insert_or_assign(std::string(name), State::Text{std::move(parse), nullptr});
}

Result<const Tree*> Execution::find(const Set& set, std::string_view name) {
  if (const Tree* tree = set.find(name)) return tree;
  const auto found = state_->texts.find(name);
  if (found == state_->texts.end()) return nullptr;
  State::Text& text = found->second;
  if (!text.parsed) {
    auto layer = std::make_unique<Set>(set_.layer());
    layer->add(name, TRY(text.parse()));
    text.parsed = std::move(layer);
  }
  return text.parsed->find(name);
}

Result<Datum> Execution::include(std::string_view name, const Datum& data) {
  auto found = state_->includes.find(name);
  if (found == state_->includes.end()) found = state_->includes.emplace(std::string(name), 0).first;
  if (found->second > options_.limits.include_depth_max) {
    return Error{ErrorCode::invalid, "rendering template has a nested reference name: " + std::string(name) +
                                         ": unable to execute template"};
  }
  const Tree* tree = TRY(find(set(), name));
  if (!tree) return no_template(set(), name);
  const bool is_known_data = state_->data != nullptr && data.node() == state_->data && state_->current == &set_;
  if (is_known_data) {
    const auto known = state_->included.find(tree);
    if (known != state_->included.end()) return known->second;
  }
  std::size_t& open = found->second;  // stays in its place while others are added
  ++open;
  Output output(state_->out);
  const auto written = output.of(*this, set(), *tree, data);
  --open;
  Datum text(TRY(written));
  if (is_known_data && set_.find(name) == tree && is_known_steady(set_, state_->steady, *tree))
    state_->included.emplace(tree, text);
  return text;
}

Result<Datum> Execution::expand(std::string_view text, const Datum& data) {
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
  Output output(state_->out);
  auto written = output.of(*this, layer, *layer.alone(), data);
  if (!written.ok()) return std::move(written).error().in("error during tpl function execution for " + quote(text));
  constexpr std::string_view kNoValue = "<no value>";
  if (written->find(kNoValue) == std::string_view::npos) return Datum(*written);
  return Datum(replace_all(std::string(*written), kNoValue, ""));
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
  state_->included.clear();
  if (state_->edited.empty() || state_->edited.back().get() != map.get()) state_->edited.push_back(map);
}

std::unique_ptr<Execution::Kept>& Execution::kept(std::string_view name) {
  const auto found = state_->kept.find(name);
  if (found != state_->kept.end()) return found->second;
  return state_->kept.emplace(std::string(name), nullptr).first->second;
}

}  // namespace caisson::go_template
