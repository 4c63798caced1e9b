// SPDX-License-Identifier: Apache-2.0
// Macros become comprehensions exactly as cel-go 0.23 builds them, so that costs come out equal.
#include "core/expr/cel/parser.h"

namespace caisson::cel {
namespace {

constexpr std::string_view kAccumulator = "@result";
constexpr std::string_view kUnused = "#unused";
constexpr std::size_t kClonedNodesMax = 10'000;  // a chain of optMap doubles at each link

std::size_t count_nodes(const Node& node) {
  std::size_t count = 1;
  for (const NodePtr& child : node.children) count += count_nodes(*child);
  return count;
}

NodePtr clone(const Node& node) {
  NodePtr out = make_node(node.kind, node.offset);
  out->call = node.call;
  out->member = node.member;
  out->presence_test = node.presence_test;
  out->parenthesized_chain = node.parenthesized_chain;
  out->is_constant = node.is_constant;
  out->name = node.name;
  out->value = node.value;
  for (const NodePtr& child : node.children) adopt(*out, clone(*child));
  out->fields = node.fields;
  out->optional = node.optional;
  out->iteration_variable = node.iteration_variable;
  out->iteration_variable2 = node.iteration_variable2;
  out->accumulator = node.accumulator;
  return out;
}

template <class... Nodes>
std::vector<NodePtr> nodes(Nodes... list) {
  std::vector<NodePtr> out;
  (out.push_back(std::move(list)), ...);
  return out;
}

class Expander {
 public:
  Expander(NodePtr call, const EnvironmentOptions& options, Findings& findings)
      : call_(std::move(call)), options_(options), findings_(findings), at_(call_->offset) {}

  NodePtr run() {
    if (!call_->member) return call_->name == "has" && count() == 1 ? has() : std::move(call_);
    const std::string space = call_->children[0]->kind == NodeKind::identifier ? call_->children[0]->name : "";
    if (space == "cel") return cel_namespace();
    if (space == "math" && enabled(Library::math) && (call_->name == "greatest" || call_->name == "least"))
      return extreme();
    if (space == "proto" && enabled(Library::protos) && count() == 2 &&
        (call_->name == "getExt" || call_->name == "hasExt"))
      return extension();
    if (enabled(Library::optional_types) && count() == 2 && (call_->name == "optMap" || call_->name == "optFlatMap"))
      return optional_map(call_->name == "optMap");
    return one_variable();
  }

 private:
  bool enabled(Library library) const { return (options_.libraries & static_cast<Libraries>(library)) != 0; }
  // Arguments, without the receiver.
  std::size_t count() const { return call_->children.size() - (call_->member ? 1 : 0); }
  NodePtr& argument(std::size_t i) { return call_->children[i + (call_->member ? 1 : 0)]; }
  NodePtr& receiver() { return call_->children[0]; }

  NodePtr fail(const Node& at, std::string message) {
    findings_.add(at.offset, std::move(message));
    return nullptr;
  }
  NodePtr accumulator() const { return make_identifier(std::string(kAccumulator), at_); }
  NodePtr literal(Value value) const { return make_literal(std::move(value), at_); }
  NodePtr list(NodePtr element = nullptr) const {
    NodePtr node = make_node(NodeKind::list, at_);
    if (element == nullptr) return node;
    adopt(*node, std::move(element));
    node->optional.push_back(false);
    return node;
  }
  NodePtr call(std::string_view function, std::vector<NodePtr> arguments) const {
    return make_call(std::string(function), std::move(arguments), at_);
  }
  NodePtr conditional(NodePtr condition, NodePtr yes, NodePtr no) const {
    return call("_?_:_", nodes(std::move(condition), std::move(yes), std::move(no)));
  }
  // accumulator + [element]
  NodePtr append(NodePtr element) const {
    NodePtr node = call("_+_", nodes(accumulator(), list(std::move(element))));
    node->call = CallKind::append;
    return node;
  }

  struct Variables {
    std::string first, second;
  };
  NodePtr fold(NodePtr range, const Variables& variables, NodePtr start, NodePtr condition, NodePtr step,
               NodePtr result) const {
    return bind_fold(std::move(range), variables, std::string(kAccumulator), std::move(start), std::move(condition),
                     std::move(step), std::move(result));
  }
  NodePtr bind_fold(NodePtr range, const Variables& variables, std::string accumulator, NodePtr start,
                    NodePtr condition, NodePtr step, NodePtr result) const {
    NodePtr node = make_node(NodeKind::comprehension, at_);
    node->iteration_variable = variables.first;
    node->iteration_variable2 = variables.second;
    node->accumulator = std::move(accumulator);
    for (NodePtr* part : {&range, &start, &condition, &step, &result}) adopt(*node, std::move(*part));
    return node;
  }
  // `name` stands for `value` in `body`.
  NodePtr bind(std::string name, NodePtr value, NodePtr body) const {
    NodePtr same = make_identifier(name, at_);
    return bind_fold(list(), {std::string(kUnused), ""}, std::move(name), std::move(value), literal(Value(false)),
                     std::move(same), std::move(body));
  }

  bool variable_name(const Node& node, std::string& out, const char* refusal = "argument is not an identifier") {
    if (node.kind != NodeKind::identifier || node.name.starts_with('.') || node.parenthesized_chain) {
      fail(node, refusal);
      return false;
    }
    if (node.name == kAccumulator || node.name == "__result__") {
      fail(node, "iteration variable overwrites accumulator variable");
      return false;
    }
    out = node.name;
    return true;
  }

  NodePtr has() {
    NodePtr& select = argument(0);
    if (select->kind != NodeKind::select || select->presence_test)
      return fail(*select, "invalid argument to has() macro");
    select->presence_test = true;
    select->offset = at_;
    return std::move(select);
  }

  NodePtr one_variable() {
    const std::string& name = call_->name;
    const std::size_t n = count();
    const bool two = enabled(Library::two_variable_comprehensions);
    const bool quantifier = name == "all" || name == "exists" || name == "exists_one" || name == "existsOne";
    if (quantifier && n == 2) return quantify(1);
    if (quantifier && n == 3 && two) return quantify(2);
    if (name == "map" && (n == 2 || n == 3)) return map();
    if (name == "filter" && n == 2) return filter();
    if (name == "sortBy" && n == 2 && enabled(Library::lists)) return sort_by();
    if (two && (n == 3 || n == 4)) {
      if (name == "transformList") return transform_list();
      if (name == "transformMap") return transform_map(false);
      if (name == "transformMapEntry") return transform_map(true);
    }
    return std::move(call_);
  }

  bool variables(std::size_t how_many, Variables& out) {
    const bool quantifier = call_->name == "all" || call_->name.starts_with("exists");
    const char* refusal =
        quantifier || how_many == 2 ? "argument must be a simple name" : "argument is not an identifier";
    if (!variable_name(*argument(0), out.first, refusal)) return false;
    if (how_many == 1) return true;
    if (!variable_name(*argument(1), out.second, refusal)) return false;
    if (out.first != out.second) return true;
    fail(*argument(1), "duplicate variable name: " + out.first);
    return false;
  }

  NodePtr quantify(std::size_t how_many) {
    Variables names;
    if (!variables(how_many, names)) return nullptr;
    NodePtr predicate = std::move(argument(how_many));
    if (call_->name == "all")
      return fold(std::move(receiver()), names, literal(Value(true)), call("@not_strictly_false", nodes(accumulator())),
                  call("_&&_", nodes(accumulator(), std::move(predicate))), accumulator());
    if (call_->name == "exists")
      return fold(std::move(receiver()), names, literal(Value(false)),
                  call("@not_strictly_false", nodes(call("!_", nodes(accumulator())))),
                  call("_||_", nodes(accumulator(), std::move(predicate))), accumulator());
    NodePtr more = call("_+_", nodes(accumulator(), literal(Value(std::int64_t{1}))));
    return fold(std::move(receiver()), names, literal(Value(std::int64_t{0})), literal(Value(true)),
                conditional(std::move(predicate), std::move(more), accumulator()),
                call("_==_", nodes(accumulator(), literal(Value(std::int64_t{1})))));
  }

  // step, or (filter ? step : accumulator)
  NodePtr filtered(NodePtr filter, NodePtr step) {
    return filter == nullptr ? std::move(step) : conditional(std::move(filter), std::move(step), accumulator());
  }

  NodePtr map() {
    Variables names;
    if (!variables(1, names)) return nullptr;
    const bool has_filter = count() == 3;
    NodePtr step = append(std::move(argument(has_filter ? 2 : 1)));
    NodePtr filter = has_filter ? std::move(argument(1)) : nullptr;
    return fold(std::move(receiver()), names, list(), literal(Value(true)),
                filtered(std::move(filter), std::move(step)), accumulator());
  }

  NodePtr filter() {
    Variables names;
    if (!variables(1, names)) return nullptr;
    return fold(std::move(receiver()), names, list(), literal(Value(true)),
                conditional(std::move(argument(1)), append(std::move(argument(0))), accumulator()), accumulator());
  }

  // The list is evaluated once; the keys are a list beside it.
  NodePtr sort_by() {
    Variables names;
    if (!variables(1, names)) return nullptr;
    const std::string input = "@sort_input";
    NodePtr keys = fold(make_identifier(input, at_), names, list(), literal(Value(true)),
                        append(std::move(argument(1))), accumulator());
    NodePtr sorted = call("@sortByAssociatedKeys", nodes(make_identifier(input, at_), std::move(keys)));
    sorted->member = true;
    return bind(input, std::move(receiver()), std::move(sorted));
  }

  NodePtr transform_list() {
    Variables names;
    if (!variables(2, names)) return nullptr;
    const bool has_filter = count() == 4;
    NodePtr step = append(std::move(argument(has_filter ? 3 : 2)));
    NodePtr filter = has_filter ? std::move(argument(2)) : nullptr;
    return fold(std::move(receiver()), names, list(), literal(Value(true)),
                filtered(std::move(filter), std::move(step)), accumulator());
  }

  NodePtr transform_map(bool entry) {
    Variables names;
    if (!variables(2, names)) return nullptr;
    const bool has_filter = count() == 4;
    NodePtr transform = std::move(argument(has_filter ? 3 : 2));
    NodePtr filter = has_filter ? std::move(argument(2)) : nullptr;
    NodePtr step =
        entry ? call("cel.@mapInsert", nodes(accumulator(), std::move(transform)))
              : call("cel.@mapInsert", nodes(accumulator(), make_identifier(names.first, at_), std::move(transform)));
    return fold(std::move(receiver()), names, make_node(NodeKind::map, at_), literal(Value(true)),
                filtered(std::move(filter), std::move(step)), accumulator());
  }

  NodePtr optional_map(bool wrap) {
    std::string name;
    if (!variable_name(*argument(0), name)) return nullptr;
    NodePtr target = std::move(receiver());
    if (count_nodes(*target) > kClonedNodesMax) return fail(*target, "expression becomes too large");
    NodePtr value = call("value", nodes(clone(*target)));
    value->member = true;
    NodePtr has_value = call("hasValue", nodes(std::move(target)));
    has_value->member = true;
    NodePtr mapped = bind(name, std::move(value), std::move(argument(1)));
    if (wrap) mapped = call("optional.of", nodes(std::move(mapped)));
    return conditional(std::move(has_value), std::move(mapped), call("optional.none", {}));
  }

  NodePtr cel_namespace() {
    if (enabled(Library::bindings) && call_->name == "bind" && count() == 3) {
      std::string name;
      if (!variable_name(*argument(0), name)) return nullptr;
      return bind(std::move(name), std::move(argument(1)), std::move(argument(2)));
    }
    if (!enabled(Library::block)) return std::move(call_);
    if (call_->name == "block" && count() == 2) return block();
    if (call_->name == "index" && count() == 1) return numbered("@index");
    if (call_->name == "iterVar" && count() == 2) return numbered("@it");
    if (call_->name == "accuVar" && count() == 2) return numbered("@ac");
    return std::move(call_);
  }

  NodePtr numbered(std::string name) {
    for (std::size_t i = 0; i < count(); ++i) {
      if (argument(i)->kind != NodeKind::literal || !argument(i)->value.is(Kind::integer))
        return fail(*argument(i), "cel." + call_->name + "() needs whole numbers");
      if (name != "@index" || i > 0) name += ":";
      name += std::to_string(argument(i)->value.as_int());
    }
    return make_identifier(std::move(name), at_);
  }

  NodePtr block() {
    NodePtr body = std::move(argument(1));
    if (argument(0)->kind != NodeKind::list) return fail(*argument(0), "cel.block() needs a list of expressions");
    auto& values = argument(0)->children;
    for (std::size_t i = values.size(); i-- > 0;)
      body = bind("@index" + std::to_string(i), std::move(values[i]), std::move(body));
    return body;
  }

  NodePtr extension() {
    const std::string field = qualified_name(*argument(1));
    if (field.empty()) return fail(*argument(1), "invalid extension field");
    NodePtr select = make_node(NodeKind::select, at_);
    select->name = field;
    select->presence_test = call_->name == "hasExt";
    adopt(*select, std::move(argument(0)));
    return select;
  }

  bool is_number_like(const Node& node) {
    if (node.kind == NodeKind::literal)
      return node.value.is(Kind::integer) || node.value.is(Kind::unsigned_integer) || node.value.is(Kind::floating);
    return node.kind != NodeKind::list && node.kind != NodeKind::map && node.kind != NodeKind::message;
  }

  NodePtr extreme() {
    const std::string shown = "math." + call_->name + "()";
    const std::string function = call_->name == "greatest" ? "math.@max" : "math.@min";
    if (count() == 0) return fail(*call_, shown + " requires at least one argument");
    if (count() == 1) {
      bool fits = is_number_like(*argument(0));
      if (argument(0)->kind == NodeKind::list) {
        fits = !argument(0)->children.empty();
        for (const NodePtr& element : argument(0)->children) fits = fits && is_number_like(*element);
      }
      if (!fits) return fail(*argument(0), shown + " invalid single argument value");
      return call(function, nodes(std::move(argument(0))));
    }
    for (std::size_t i = 0; i < count(); ++i) {
      if (!is_number_like(*argument(i))) return fail(*argument(i), shown + " simple literal arguments must be numeric");
    }
    if (count() == 2) return call(function, nodes(std::move(argument(0)), std::move(argument(1))));
    NodePtr all = make_node(NodeKind::list, at_);
    for (std::size_t i = 0, n = count(); i < n; ++i) {
      adopt(*all, std::move(argument(i)));
      all->optional.push_back(false);
    }
    return call(function, nodes(std::move(all)));
  }

  NodePtr call_;
  const EnvironmentOptions& options_;
  Findings& findings_;
  std::uint32_t at_;
};

}  // namespace

NodePtr expand_macro(NodePtr call, const EnvironmentOptions& options, Findings& findings) {
  return Expander(std::move(call), options, findings).run();
}

}  // namespace caisson::cel
