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

struct Walk {
  const std::function<bool(std::string_view)>& include_steady;

  bool all(Nodes nodes) const {
    return std::all_of(nodes.begin(), nodes.end(), [&](const NodePtr node) { return is_steady(*node); });
  }

  bool command(const CommandNode& command) const {
    const TreeNode& first = *command.args[0];
    const bool includes =
        first.type == NodeType::identifier && static_cast<const IdentifierNode&>(first).name == "include";
    if (!includes) return all(command.args);
    if (command.args.size() < 2 || command.args[1]->type != NodeType::string) return false;
    return include_steady(static_cast<const StringNode&>(*command.args[1]).text->as_string()) &&
           all(command.args.subspan(2));
  }

  bool pipe(const PipeNode& node) const {
    if (!stack_is_short()) [[likely]]
      return all(node.commands);
    bool steady = false;
    on_fresh_stack([&] { steady = all(node.commands); });
    return steady;
  }

  bool branch(const BranchNode& node) const {
    if (!stack_is_short()) [[likely]]
      return branch_here(node);
    bool steady = false;
    on_fresh_stack([&] { steady = branch_here(node); });
    return steady;
  }

  bool branch_here(const BranchNode& node) const {
    return is_steady(*node.pipe) && is_steady(*node.list) && (node.else_list == nullptr || is_steady(*node.else_list));
  }

  bool is_steady(const TreeNode& node) const {
    switch (node.type) {
      case NodeType::list:
        return all(static_cast<const ListNode&>(node).nodes);
      case NodeType::action:
        return is_steady(*static_cast<const ActionNode&>(node).pipe);
      case NodeType::if_:
      case NodeType::range:
      case NodeType::with:
        return branch(static_cast<const BranchNode&>(node));
      case NodeType::template_: {
        const auto& call = static_cast<const TemplateNode&>(node);
        return include_steady(call.name) && (call.pipe == nullptr || is_steady(*call.pipe));
      }
      case NodeType::pipe:
        return pipe(static_cast<const PipeNode&>(node));
      case NodeType::command:
        return command(static_cast<const CommandNode&>(node));
      case NodeType::chain:
        return is_steady(*static_cast<const ChainNode&>(node).node);
      case NodeType::identifier:
        return std::binary_search(std::begin(kSteady), std::end(kSteady),
                                  static_cast<const IdentifierNode&>(node).name);
      default:
        return true;
    }
  }
};

}  // namespace

bool is_steady(const Tree& tree, const std::function<bool(std::string_view name)>& include_steady) {
  return Walk{include_steady}.is_steady(*tree.root);
}

}  // namespace caisson::go_template
