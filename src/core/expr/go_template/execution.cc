// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/execution.h"

#include <unordered_map>

#include "core/base/text.h"
#include "core/expr/go_template/evaluator.h"
#include "core/expr/go_template/stack.h"
#include "core/expr/go_template/steady.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {

namespace {

using Included = std::unordered_map<const Tree*, Datum>;  // what `include` gave

struct ByAddress {
  using is_transparent = void;
  static const Node* address(const Node* node) { return node; }
  static const Node* address(const Ref<Node>& node) { return node.get(); }
  bool operator()(const auto& a, const auto& b) const { return std::less<>()(address(a), address(b)); }
};

}  // namespace

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
  NameMap<Text> texts;           // see add_text
  const Node* data = nullptr;    // of the template that runs
  bool has_edited_data = false;  // from here on, what templates make may be a part of the data too
  Included included;             // over `data`, until it is edited or the next run: of templates steady of a run
  std::map<Ref<Node>, Included, ByAddress> included_by_data;  // until it is edited: of templates steady of data
  std::unordered_map<const Tree*, Steadiness> steady;         // `none` also while it is being found out
  NameMap<std::unique_ptr<Kept>> kept;
  // Texts of `tpl`, parsed: by the set they were parsed over, and the text.
  std::unordered_map<const Set*, std::map<std::string, std::unique_ptr<Set>, std::less<>>> layers;

  // nullptr when it is not known what `tree` gives over `data`.
  const Datum* find_included(const Tree& tree) const {
    if (const auto found = included.find(&tree); found != included.end()) return &found->second;
    const auto of_data = included_by_data.find(data);
    if (of_data == included_by_data.end()) return nullptr;
    const auto found = of_data->second.find(&tree);
    return found == of_data->second.end() ? nullptr : &found->second;
  }
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
Steadiness steadiness_of(const Set& set, const Options& options, std::unordered_map<const Tree*, Steadiness>& known,
                         const Tree& tree) {
  const auto [found, is_new] = known.emplace(&tree, Steadiness::none);
  if (!is_new) return found->second;
  const Steadiness found_out =
      steadiness(tree, {options.own_fields, [&](std::string_view name) {
                          const Tree* const included = set.find(name);
                          return included == nullptr ? Steadiness::none : steadiness_of(set, options, known, *included);
                        }});
  known[&tree] = found_out;
  return found_out;
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
  state_->included.clear();
  if (options_.own_fields.empty()) state_->included_by_data.clear();  // the caller may have edited `data` since
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
    if (const Datum* known = state_->find_included(*tree)) return *known;
  }
  std::size_t& open = found->second;  // stays in its place while others are added
  ++open;
  Output output(state_->out);
  const auto written = output.of(*this, set(), *tree, data);
  --open;
  Datum text(TRY(written));
  if (!is_known_data || set_.find(name) != tree) return text;
  const Steadiness steady = steadiness_of(set_, options_, state_->steady, *tree);
  if (steady == Steadiness::of_run) state_->included.emplace(tree, text);
  if (steady == Steadiness::of_data) state_->included_by_data[Ref<Node>(data.node())].emplace(tree, text);
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
  if (state_->has_edited_data || !map->is_made()) {
    state_->has_edited_data = true;
    state_->included.clear();
    state_->included_by_data.clear();
  }
  if (state_->edited.empty() || state_->edited.back().get() != map.get()) state_->edited.push_back(map);
}

bool Execution::has_edited_data() const {
  return state_->has_edited_data;
}

std::uint64_t Execution::steps() const {
  return state_->steps;
}

std::unique_ptr<Execution::Kept>& Execution::kept(std::string_view name) {
  const auto found = state_->kept.find(name);
  if (found != state_->kept.end()) return found->second;
  return state_->kept.emplace(std::string(name), nullptr).first->second;
}

}  // namespace caisson::go_template
