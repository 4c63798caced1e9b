// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/steady.h"

#include <algorithm>
#include <iterator>

#include "core/expr/go_template/stack.h"

namespace caisson::go_template {
namespace {

// Functions that only look at their arguments. What is not here is taken for one that does more.
constexpr std::string_view kSteady[] = {"abbrev",
                                        "abbrevboth",
                                        "add",
                                        "add1",
                                        "add1f",
                                        "addf",
                                        "adler32sum",
                                        "all",
                                        "and",
                                        "any",
                                        "append",
                                        "atoi",
                                        "b32dec",
                                        "b32enc",
                                        "b64dec",
                                        "b64enc",
                                        "base",
                                        "biggest",
                                        "camelcase",
                                        "cat",
                                        "ceil",
                                        "chunk",
                                        "clean",
                                        "coalesce",
                                        "compact",
                                        "concat",
                                        "contains",
                                        "deepCopy",
                                        "deepEqual",
                                        "default",
                                        "dict",
                                        "dig",
                                        "dir",
                                        "div",
                                        "divf",
                                        "empty",
                                        "eq",
                                        "ext",
                                        "fail",
                                        "first",
                                        "float64",
                                        "floor",
                                        "fromJson",
                                        "fromJsonArray",
                                        "fromYaml",
                                        "fromYamlArray",
                                        "ge",
                                        "get",
                                        "gt",
                                        "has",
                                        "hasKey",
                                        "hasPrefix",
                                        "hasSuffix",
                                        "html",
                                        "indent",
                                        "index",
                                        "initial",
                                        "initials",
                                        "int",
                                        "int64",
                                        "isAbs",
                                        "join",
                                        "js",
                                        "kebabcase",
                                        "keys",
                                        "kindIs",
                                        "kindOf",
                                        "last",
                                        "le",
                                        "len",
                                        "list",
                                        "lower",
                                        "lt",
                                        "max",
                                        "maxf",
                                        "min",
                                        "minf",
                                        "mod",
                                        "mul",
                                        "mulf",
                                        "mustAppend",
                                        "mustCompact",
                                        "mustDeepCopy",
                                        "mustFirst",
                                        "mustFromJson",
                                        "mustHas",
                                        "mustInitial",
                                        "mustLast",
                                        "mustPrepend",
                                        "mustRegexMatch",
                                        "mustRest",
                                        "mustReverse",
                                        "mustSlice",
                                        "mustToJson",
                                        "mustToPrettyJson",
                                        "mustToRawJson",
                                        "mustUniq",
                                        "mustWithout",
                                        "ne",
                                        "nindent",
                                        "nospace",
                                        "not",
                                        "omit",
                                        "or",
                                        "pick",
                                        "pluck",
                                        "plural",
                                        "prepend",
                                        "print",
                                        "printf",
                                        "println",
                                        "quote",
                                        "regexFind",
                                        "regexFindAll",
                                        "regexMatch",
                                        "regexQuoteMeta",
                                        "regexReplaceAll",
                                        "regexReplaceAllLiteral",
                                        "regexSplit",
                                        "repeat",
                                        "replace",
                                        "required",
                                        "rest",
                                        "reverse",
                                        "round",
                                        "semver",
                                        "semverCompare",
                                        "seq",
                                        "sha1sum",
                                        "sha256sum",
                                        "sha512sum",
                                        "slice",
                                        "snakecase",
                                        "sortAlpha",
                                        "split",
                                        "splitList",
                                        "splitn",
                                        "squote",
                                        "sub",
                                        "subf",
                                        "substr",
                                        "swapcase",
                                        "ternary",
                                        "title",
                                        "toDecimal",
                                        "toJson",
                                        "toPrettyJson",
                                        "toRawJson",
                                        "toString",
                                        "toStrings",
                                        "toToml",
                                        "toYaml",
                                        "toYamlPretty",
                                        "trim",
                                        "trimAll",
                                        "trimPrefix",
                                        "trimSuffix",
                                        "trimall",
                                        "trunc",
                                        "tuple",
                                        "typeIs",
                                        "typeIsLike",
                                        "typeOf",
                                        "uniq",
                                        "until",
                                        "untilStep",
                                        "untitle",
                                        "upper",
                                        "urlJoin",
                                        "urlParse",
                                        "urlquery",
                                        "values",
                                        "without",
                                        "wrap",
                                        "wrapWith"};
static_assert(std::is_sorted(std::begin(kSteady), std::end(kSteady)));

// Walks a tree until it finds something that is not steady, and notes on the way whether a run's own shows.
class Walk {
 public:
  explicit Walk(const SteadyQuestion& question) : question_(question) {}

  Steadiness of(const Tree& tree) {
    if (!is_steady(*tree.root)) return Steadiness::none;
    return shows_own_ ? Steadiness::of_run : Steadiness::of_data;
  }

 private:
  bool all(Nodes nodes) {
    return std::all_of(nodes.begin(), nodes.end(), [&](const NodePtr node) { return is_steady(*node); });
  }

  // The whole of what the tree runs over, but for those inside of `with` and `range`.
  bool is_data(const TreeNode& node) const {
    if (node.type == NodeType::dot) return dot_is_data_;
    return node.type == NodeType::variable && static_cast<const PathNode&>(node).names.size() == 1 &&
           static_cast<const PathNode&>(node).names[0] == "$";
  }
  // A pipeline that is nothing but that.
  bool is_data(const PipeNode& pipe) const {
    return pipe.commands.size() == 1 && pipe.variables.empty() && pipe.command(0).args.size() == 1 &&
           is_data(*pipe.command(0).args[0]);
  }

  bool includes(std::string_view name) {
    const Steadiness included = question_.of_included(name);
    shows_own_ = shows_own_ || included == Steadiness::of_run;
    return included != Steadiness::none;
  }

  bool command(const CommandNode& command) {
    const TreeNode& first = *command.args[0];
    const bool includes_one =
        first.type == NodeType::identifier && static_cast<const IdentifierNode&>(first).name == "include";
    if (!includes_one) return all(command.args);
    if (command.args.size() < 2 || command.args[1]->type != NodeType::string) return false;
    if (!includes(static_cast<const StringNode&>(*command.args[1]).text->as_string())) return false;
    const Nodes data = command.args.subspan(2);
    return (data.size() == 1 && is_data(*data[0])) || all(data);
  }

  // The data itself is taken for something that shows everything, a run's own too.
  bool path(const PathNode& node) {
    Names names = node.names;
    if (node.type == NodeType::variable) {
      if (names[0] != "$") return true;
      names = names.subspan(1);
    } else if (!dot_is_data_) {
      return true;
    }
    const auto& own = question_.own_fields;
    if (names.empty() || std::find(own.begin(), own.end(), names[0]) != own.end()) shows_own_ = true;
    return true;
  }

  bool deeper(const auto& walk) {
    if (!stack_is_short()) [[likely]]
      return walk();
    bool steady = false;
    on_fresh_stack([&] { steady = walk(); });
    return steady;
  }

  bool branch(const BranchNode& node) {
    if (!is_steady(*node.pipe)) return false;
    const bool outside = dot_is_data_;
    if (node.type != NodeType::if_) dot_is_data_ = false;
    const bool list = is_steady(*node.list);
    dot_is_data_ = outside;
    return list && (node.else_list == nullptr || is_steady(*node.else_list));
  }

  bool is_steady(const TreeNode& node) {
    switch (node.type) {
      case NodeType::list:
        return all(static_cast<const ListNode&>(node).nodes);
      case NodeType::action:
        return is_steady(*static_cast<const ActionNode&>(node).pipe);
      case NodeType::if_:
      case NodeType::range:
      case NodeType::with:
        return deeper([&] { return branch(static_cast<const BranchNode&>(node)); });
      case NodeType::template_: {
        const auto& call = static_cast<const TemplateNode&>(node);
        return includes(call.name) && (call.pipe == nullptr || is_data(*call.pipe) || is_steady(*call.pipe));
      }
      case NodeType::pipe:
        return deeper([&] { return all(static_cast<const PipeNode&>(node).commands); });
      case NodeType::command:
        return command(static_cast<const CommandNode&>(node));
      case NodeType::chain:
        return is_steady(*static_cast<const ChainNode&>(node).node);
      case NodeType::identifier:
        return std::binary_search(std::begin(kSteady), std::end(kSteady),
                                  static_cast<const IdentifierNode&>(node).name);
      case NodeType::field:
      case NodeType::variable:
        return path(static_cast<const PathNode&>(node));
      case NodeType::dot:
        shows_own_ = shows_own_ || dot_is_data_;
        return true;
      default:
        return true;
    }
  }

  const SteadyQuestion& question_;
  bool dot_is_data_ = true;
  bool shows_own_ = false;
};

}  // namespace

Steadiness steadiness(const Tree& tree, const SteadyQuestion& question) {
  return Walk(question).of(tree);
}

}  // namespace caisson::go_template
