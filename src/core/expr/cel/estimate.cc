// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/estimate.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "core/expr/cel/environment.h"

namespace caisson::cel {
namespace {

constexpr std::uint64_t kMost = UINT64_MAX;
constexpr double kTraversal = 0.1,
                 kRegexLength = 0.25;  // common.StringTraversalCostFactor, RegexStringLengthCostFactor
constexpr Estimate kOne{1, 1}, kUnknown{0, kMost};
constexpr Estimate kListCost{10, 10}, kMapCost{30, 30}, kMessageCost{40, 40}, kAuthorizerCheck{350'000, 350'000};

std::uint64_t sum(std::uint64_t a, std::uint64_t b) {
  return a > kMost - b ? kMost : a + b;
}
std::uint64_t product(std::uint64_t a, std::uint64_t b) {
  return b != 0 && a > kMost / b ? kMost : a * b;
}
std::uint64_t scaled(std::uint64_t size, double factor) {
  const double exact = std::ceil(static_cast<double>(size) * factor);
  return exact >= 18446744073709551616.0 ? kMost : static_cast<std::uint64_t>(exact);
}

Estimate operator+(const Estimate& a, const Estimate& b) {
  return {sum(a.min, b.min), sum(a.max, b.max)};
}
Estimate operator*(const Estimate& a, const Estimate& b) {
  return {product(a.min, b.min), product(a.max, b.max)};
}
Estimate operator*(const Estimate& size, double factor) {
  return {scaled(size.min, factor), scaled(size.max, factor)};
}
Estimate either(const Estimate& a, const Estimate& b) {
  return {std::min(a.min, b.min), std::max(a.max, b.max)};
}

// What is known of a node's value beyond its type.
struct Shape {
  std::vector<std::string> path;  // empty: it is no place of a variable
  std::optional<Estimate> size;   // computed
  std::optional<Estimate> entry;  // of its items or values
};

// A call's own cost, without that of its operands, and the size of what it gives.
struct CallCost {
  Estimate cost = kOne;
  std::optional<Estimate> result = {};
};

bool is_text(const Type& type) {
  return type.is(TypeKind::string) || type.is(TypeKind::bytes);
}

bool is_scalar(const Type& type) {
  switch (type.kind()) {
    case TypeKind::boolean:
    case TypeKind::integer:
    case TypeKind::unsigned_integer:
    case TypeKind::floating:
    case TypeKind::timestamp:
    case TypeKind::duration:
      return true;
    default:
      return type.is_optional() && is_scalar(type.parameter_at(0));
  }
}

class Estimator {
 public:
  Estimator(const Program::Impl& program, const SizeOf& size_of)
      : presence_cost_(program.environment->options.presence_test_has_cost ? kOne : Estimate{}), size_of_(size_of) {}

  Estimate visit(const Node& node) {
    switch (node.kind) {
      case NodeKind::literal:
        return {};
      case NodeKind::identifier:
        return identifier(node);
      case NodeKind::select:
        return select(node);
      case NodeKind::call:
        return call(node);
      case NodeKind::list:
        return list(node);
      case NodeKind::map:
        return visit_children(node) + kMapCost;
      case NodeKind::message:
        return visit_children(node) + kMessageCost;
      case NodeKind::comprehension:
        return comprehension(node);
    }
    return {};
  }

 private:
  Estimate visit_children(const Node& node) {
    Estimate cost;
    for (const NodePtr& child : node.children) cost = cost + visit(*child);
    return cost;
  }

  Estimate identifier(const Node& node) {
    Shape& shape = shapes_[&node];
    if (node.name_kind == NameKind::local) {
      if (const auto found = locals_.find(node.slot); found != locals_.end()) shape = found->second;
    } else {
      shape.path = {node.name};
    }
    return kOne;
  }

  Estimate select(const Node& node) {
    const Node& operand = *node.children[0];
    const Estimate cost = visit(operand);
    if (node.presence_test) return cost + presence_cost_;
    shapes_[&node].path = below(operand, node.name);
    const TypeKind kind = operand.type.kind();
    const bool counts = kind == TypeKind::map || kind == TypeKind::object || kind == TypeKind::parameter;
    return counts ? cost + kOne : cost;
  }

  Estimate list(const Node& node) {
    const Estimate cost = visit_children(node) + kListCost;
    std::optional<Estimate> entry;
    for (const NodePtr& child : node.children) {
      const auto size = known_size(*child);
      if (!size) return cost;
      entry = entry ? either(*entry, *size) : *size;
    }
    shapes_[&node].entry = entry;
    return cost;
  }

  // The path of a member of what `node` gives; none when it is no place.
  std::vector<std::string> below(const Node& node, std::string_view name) {
    std::vector<std::string> path = shapes_[&node].path;
    if (!path.empty()) path.emplace_back(name);
    return path;
  }

  std::optional<Estimate> known_size(const Node& node) {
    if (const Shape& shape = shapes_[&node]; shape.size) return shape.size;
    const auto exactly = [](std::uint64_t n) { return Estimate{n, n}; };
    switch (node.kind) {
      case NodeKind::literal:
        if (!node.value.is(Kind::null)) return exactly(actual_size(node.value));
        break;
      case NodeKind::list:
        return exactly(node.children.size());
      case NodeKind::map:
        return exactly(node.children.size() / 2);
      default:
        break;
    }
    if (const auto found = size_at(shapes_[&node].path)) return found;
    if (is_scalar(node.type)) return kOne;
    return {};
  }
  Estimate size(const Node& node) { return known_size(node).value_or(kUnknown); }

  std::optional<Estimate> size_at(const std::vector<std::string>& path) const {
    if (path.empty()) return {};
    const auto most = size_of_(path);
    return most ? std::optional(Estimate{0, *most}) : std::nullopt;
  }

  // Of the items of a list.
  Estimate entry_size(const Node& node) {
    if (const Shape& shape = shapes_[&node]; shape.entry) return *shape.entry;
    return size_at(below(node, "@items")).value_or(kUnknown);
  }

  Estimate call(const Node& node) {
    switch (node.call) {
      case CallKind::logical_or:
      case CallKind::logical_and: {
        Estimate cost = visit(*node.children[0]);  // the first may decide
        for (std::size_t i = 1; i < node.children.size(); ++i) cost.max = sum(cost.max, visit(*node.children[i]).max);
        return cost;
      }
      case CallKind::conditional:
        return conditional(node);
      case CallKind::append:
        return append(node);
      default:
        break;
    }
    const Estimate operands = visit_children(node);
    const CallCost own = call_cost(node);
    if (own.result) shapes_[&node].size = own.result;
    return operands + own.cost;
  }

  Estimate conditional(const Node& node) {
    const Estimate condition = visit(*node.children[0]);
    const Estimate branches = either(visit(*node.children[1]), visit(*node.children[2]));
    Shape shape;
    const auto first = known_size(*node.children[1]), second = known_size(*node.children[2]);
    if (first && second) shape.size = either(*first, *second);
    const auto one = shapes_[node.children[1].get()].entry, other = shapes_[node.children[2].get()].entry;
    if (one || other) shape.entry = one && other ? either(*one, *other) : one ? one : other;
    shapes_[&node] = std::move(shape);
    return condition + branches;
  }

  // accumulator + [element], as filter and map make it.
  Estimate append(const Node& node) {
    const Estimate operands = visit_children(node);
    shapes_[&node].entry = shapes_[node.children[1].get()].entry;
    return operands + kOne;
  }

  CallCost call_cost(const Node& node) {
    switch (node.call) {
      case CallKind::equal:
      case CallKind::not_equal:
        return comparison(node);
      case CallKind::index:
        shapes_[&node].path = below(*node.children[0], node.children[0]->type.is(TypeKind::map) ? "@values" : "@items");
        return {};
      case CallKind::function:
        break;
      default:
        return {};
    }
    if (node.children.size() == 2) {
      if (const auto found = operator_cost(node)) return *found;
      if (const auto found = text_cost(node)) return *found;
    }
    if (!node.children.empty())
      if (const auto found = library_cost(node)) return *found;
    return {};
  }

  CallCost comparison(const Node& node) {
    const std::uint64_t smaller = std::min(size(*node.children[0]).max, size(*node.children[1]).max);
    return {Estimate{smaller > 0 ? 1u : 0u, smaller} * kTraversal};
  }

  std::optional<CallCost> operator_cost(const Node& node) {
    const Node &left = *node.children[0], &right = *node.children[1];
    const bool open = left.type.is_dyn() || right.type.is_dyn();
    if (node.name == "_<_" || node.name == "_<=_" || node.name == "_>_" || node.name == "_>=_") {
      if (is_text(left.type)) return comparison(node);
      return open ? CallCost{either(kOne, comparison(node).cost)} : CallCost{};
    }
    if (node.name == "_+_") {
      const Estimate both = size(left) + size(right);
      if (is_text(left.type)) return CallCost{both * kTraversal, both};
      if (left.type.is(TypeKind::list)) return CallCost{kOne, both};
      return open ? CallCost{either(kOne, both * kTraversal), both} : CallCost{};
    }
    if (node.name == "@in") {
      if (right.type.is(TypeKind::map)) return CallCost{};
      return right.type.is_dyn() ? CallCost{either(kOne, size(right))} : CallCost{size(right)};
    }
    return {};
  }

  // Member functions of strings with one argument.
  std::optional<CallCost> text_cost(const Node& node) {
    const Node &target = *node.children[0], &argument = *node.children[1];
    if (node.name == "startsWith" || node.name == "endsWith") return CallCost{size(argument) * kTraversal};
    if (node.name == "contains" && is_text(target.type))
      return CallCost{size(target) * kTraversal * (size(argument) * kTraversal)};
    if (node.name == "matches") return CallCost{regex_cost(target, argument)};
    return {};
  }

  Estimate regex_cost(const Node& text, const Node& pattern) {
    return (size(text) + kOne) * kTraversal * (size(pattern) * kRegexLength);
  }

  std::optional<CallCost> library_cost(const Node& node) {
    const Node& first = *node.children[0];
    const std::string& name = node.name;
    const auto is = [&](std::initializer_list<std::string_view> names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (name == "check") return CallCost{kAuthorizerCheck};
    if (name == "bytes" && first.type.is(TypeKind::string)) {
      const Estimate from = size(first);
      return CallCost{from * kTraversal, Estimate{from.min, product(from.max, 4)}};
    }
    if (name == "string" && first.type.is(TypeKind::bytes)) {
      const Estimate from = size(first);
      return CallCost{from * kTraversal, Estimate{from.min / 4, from.max}};
    }
    if (is({"isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"}) && node.member) return scan_cost(first);
    if (is({"url", "lowerAscii", "upperAscii", "substring", "trim"}))
      return CallCost{size(first) * kTraversal, size(first)};
    if (name == "format" && node.member) return CallCost{size(first) * kTraversal};
    if (name == "replace" && node.children.size() >= 3) return replace_cost(node);
    if (name == "split") return split_cost(node);
    if (name == "join") return join_cost(node);
    if (is({"find", "findAll"}) && node.children.size() >= 2)
      return CallCost{regex_cost(first, *node.children[1]), Estimate{0, size(first).max}};
    if (is({"cidr", "isIP", "isCIDR", "quantity", "isQuantity"}) || (name == "ip" && !node.member))
      return CallCost{size(first) * kTraversal};
    if (name == "ip.isCanonical") return CallCost{size(first) * (2 * kTraversal)};
    if (is({"containsIP", "containsCIDR"}) && node.children.size() == 2) return containment_cost(node);
    if (is({"sets.contains", "sets.intersects", "sets.equivalent"}) && node.children.size() == 2)
      return CallCost{size(first) * size(*node.children[1]) * (name == "sets.equivalent" ? 2.0 : 1.0) + kOne};
    return {};
  }

  // Each item once, with its text when it has one; a string is looked through.
  CallCost scan_cost(const Node& target) {
    if (!target.type.is(TypeKind::list)) return {size(target) * kTraversal};
    Estimate item = kOne;
    if (is_text(target.type.parameter_at(0))) item = item + entry_size(target) * kTraversal;
    return {size(target) * item};
  }

  CallCost replace_cost(const Node& node) {
    const Estimate text = size(*node.children[0]), old = size(*node.children[1]), with = size(*node.children[2]);
    Estimate count, kept;
    const auto divided = [](std::uint64_t a, std::uint64_t b) {
      return static_cast<std::uint64_t>(std::ceil(static_cast<double>(a) / static_cast<double>(b)));
    };
    // The longest: nothing replaced stands between all characters; else as often as the shortest fits.
    if (old.min == 0) {
      count.max = sum(text.max, 1);
      kept.max = text.max;
    } else if (with.max <= old.min) {
      kept.max = text.max;
    } else {
      count.max = text.max == kMost ? kMost : divided(text.max, old.min);
    }
    if (old.max == 0) {
      count.min = sum(text.min, 1);
      kept.min = text.min;
    } else if (old.max <= with.min) {
      kept.min = text.min;
    } else {
      count.min = divided(text.min, old.max);
    }
    return {text * (2 * kTraversal), count * with + kept};
  }

  CallCost split_cost(const Node& node) {
    const Estimate text = size(*node.children[0]);
    std::uint64_t most = text.max;
    if (node.children.size() > 2 && node.children[2]->kind == NodeKind::literal &&
        node.children[2]->value.is(Kind::integer))
      most = static_cast<std::uint64_t>(node.children[2]->value.as_int());
    return {text * (2 * kTraversal), Estimate{0, most}};
  }

  CallCost join_cost(const Node& node) {
    const Node& target = *node.children[0];
    const Estimate items = size(target);
    Estimate text = items * entry_size(target);
    if (node.children.size() > 1) {
      const Estimate between{items.min > 0 ? items.min - 1 : 0, items.max > 0 ? items.max - 1 : 0};
      text = text + size(*node.children[1]) * between;
    }
    return {text * kTraversal, text};
  }

  // Two addresses of 4 to 16 bytes are compared; a text is read first.
  CallCost containment_cost(const Node& node) {
    constexpr Estimate kAddress{4, 16};
    Estimate cost = (kAddress + kAddress) * kTraversal;
    if (node.name == "containsCIDR") cost = cost + kAddress * kTraversal + kOne;
    if (node.children[1]->type.is(TypeKind::string)) cost = cost + size(*node.children[1]) * kTraversal;
    return {cost};
  }

  // cel.bind: a comprehension over nothing.
  static bool is_bind(const Node& node) {
    const Node &range = *node.children[0], &condition = *node.children[2];
    return range.kind == NodeKind::list && range.children.empty() && condition.kind == NodeKind::literal &&
           condition.value.is(Kind::boolean) && !condition.value.as_bool();
  }

  Estimate comprehension(const Node& node) {
    const Node &range = *node.children[0], &start = *node.children[1], &step = *node.children[3],
               &result = *node.children[4];
    Estimate cost = visit(range) + visit(start);
    locals_[node.accumulator_slot] = shape_of_local(start);
    if (is_bind(node)) {
      cost = cost + visit(result);
      shapes_[&node] = shape_of_local(result);
      return cost;
    }
    push_iteration(node, range);
    const Estimate loop = visit(*node.children[2]) + visit(step);
    cost = cost + visit(result);
    const Estimate rounds = size(range);
    Shape& shape = shapes_[&node];
    if (start.kind == NodeKind::literal) {
      shape.size = known_size(start);
    } else if (start.kind == NodeKind::list || start.kind == NodeKind::map) {
      shape.size = rounds;
      shape.entry = shapes_[&step].entry;
    }
    return cost + rounds * loop;
  }

  Shape shape_of_local(const Node& node) {
    Shape shape = shapes_[&node];
    if (shape.path.empty() && !shape.size) shape.size = known_size(node);
    return shape;
  }

  void push_iteration(const Node& node, const Node& range) {
    const bool two = !node.iteration_variable2.empty(), is_map = range.type.is(TypeKind::map);
    const Shape& of = shapes_[&range];
    const Shape items{below(range, "@items"), of.entry, {}}, keys{below(range, "@keys"), {}, {}},
        values{below(range, "@values"), of.entry, {}}, place{{}, kOne, {}};
    if (is_map) {
      locals_[node.iteration_slot] = keys;
      if (two) locals_[node.iteration_slot2] = values;
    } else {
      locals_[node.iteration_slot] = two ? place : items;
      if (two) locals_[node.iteration_slot2] = items;
    }
  }

  const Estimate presence_cost_;
  const SizeOf& size_of_;
  std::unordered_map<const Node*, Shape> shapes_;
  std::unordered_map<std::uint32_t, Shape> locals_;
};

}  // namespace

Estimate estimate_cost(const Program& program, const SizeOf& size_of) {
  return Estimator(program.impl(), size_of).visit(*program.impl().root);
}

}  // namespace caisson::cel
