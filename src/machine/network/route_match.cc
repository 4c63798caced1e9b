// SPDX-License-Identifier: Apache-2.0
// See route_match.h. A parser by recursive descent: or, and, not, parentheses, matchers.
#include "machine/network/route_match.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "machine/network/ingress_options.h"

namespace caisson::network {
namespace {

constexpr std::size_t kBytesMax = 8192;
constexpr int kDepthMax = 32, kMatchersMax = 200;

struct Matcher {
  std::string_view name, token;
  std::size_t arguments_min, arguments_max;
  bool any_of;  // several arguments are alternatives
};
constexpr Matcher kMatchers[] = {
    {"Host", "host", 1, 50, true},
    {"HostHeader", "host", 1, 50, true},
    {"HostRegexp", "host_regexp", 1, 50, true},
    {"Path", "path", 1, 50, true},
    {"PathPrefix", "prefix", 1, 50, true},
    {"PathRegexp", "path_regexp", 1, 1, true},
    {"Header", "header", 2, 2, false},
    {"Headers", "header", 2, 2, false},
    {"HeaderRegexp", "header_regexp", 2, 2, false},
    {"HeadersRegexp", "header_regexp", 2, 2, false},
    {"Method", "method", 1, 10, true},
    {"Query", "query", 1, 2, false},
    {"QueryRegexp", "query_regexp", 2, 2, false},
    {"ClientIP", "client", 1, 50, true},
};

struct Node {
  std::string text;
  std::vector<std::string> hosts;  // of which one must hold; empty: unknown
};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<RouteMatch> run() {
    if (text_.size() > kBytesMax)
      return Error{ErrorCode::invalid, "the rule is longer than " + std::to_string(kBytesMax) + " bytes"};
    Node all = TRY(alternatives(0));
    skip();
    if (at_ < text_.size()) return expected("&&, || or the end");
    return RouteMatch{std::move(all.text), std::move(all.hosts), std::move(named_)};
  }

 private:
  Error expected(std::string_view what) const {
    const std::string_view rest = text_.substr(std::min(at_, text_.size()), 20);
    return {ErrorCode::invalid,
            "expected " + std::string(what) + " at " + (rest.empty() ? "the end" : "\"" + std::string(rest) + "\"")};
  }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  bool take(std::string_view token) {
    skip();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  Result<Node> alternatives(int depth) {
    Node left = TRY(conjunction(depth));
    while (take("||")) {
      Node right = TRY(conjunction(depth));
      left.text = "| " + left.text + " " + right.text;
      if (left.hosts.empty() || right.hosts.empty())
        left.hosts.clear();
      else
        left.hosts.insert(left.hosts.end(), right.hosts.begin(), right.hosts.end());
    }
    return left;
  }

  Result<Node> conjunction(int depth) {
    Node left = TRY(term(depth));
    while (take("&&")) {
      Node right = TRY(term(depth));
      left.text = "& " + left.text + " " + right.text;
      if (left.hosts.empty()) left.hosts = std::move(right.hosts);
    }
    return left;
  }

  Result<Node> term(int depth) {
    if (depth > kDepthMax) return Error{ErrorCode::invalid, "the rule is nested too deeply"};
    if (take("!")) {
      const Node inner = TRY(term(depth + 1));
      return Node{"! " + inner.text, {}};
    }
    if (take("(")) {
      Node inner = TRY(alternatives(depth + 1));
      if (!take(")")) return expected("\")\"");
      return inner;
    }
    return matcher();
  }

  Result<std::string> argument() {
    skip();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '`' && quote != '"') return expected("an argument in backticks or double quotes");
    std::string out;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (quote == '"' && text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;  // as in a Go string
      out += text_[at_];
    }
    if (at_ == text_.size()) return expected("a closing " + std::string(1, quote));
    ++at_;
    return out;
  }

  Result<Node> matcher() {
    skip();
    const std::size_t begin = at_;
    while (at_ < text_.size() && ((text_[at_] | 0x20) >= 'a' && (text_[at_] | 0x20) <= 'z')) ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (name.empty()) return expected("a matcher such as Host(`…`)");
    const auto known =
        std::find_if(std::begin(kMatchers), std::end(kMatchers), [&](const Matcher& m) { return m.name == name; });
    if (known == std::end(kMatchers)) return Error{ErrorCode::invalid, "there is no matcher " + std::string(name)};
    if (++matchers_ > kMatchersMax)
      return Error{ErrorCode::invalid, "the rule has more than " + std::to_string(kMatchersMax) + " matchers"};
    if (!take("(")) return expected("\"(\"");
    std::vector<std::string> arguments;
    do arguments.push_back(TRY(argument()));
    while (take(","));
    if (!take(")")) return expected("\",\" or \")\"");
    if (arguments.size() < known->arguments_min || arguments.size() > known->arguments_max)
      return Error{ErrorCode::invalid, std::string(name) + " takes " + std::to_string(known->arguments_min) + " to " +
                                           std::to_string(known->arguments_max) + " arguments"};
    return node_of(*known, std::move(arguments));
  }

  Result<Node> node_of(const Matcher& matcher, std::vector<std::string> arguments) {
    Node out;
    if (matcher.token == "query" && arguments.size() == 1) {  // version 2 wrote Query(`key=value`)
      const std::size_t equal = arguments[0].find('=');
      if (equal != std::string::npos) arguments = {arguments[0].substr(0, equal), arguments[0].substr(equal + 1)};
    }
    if (!matcher.any_of) {
      out.text = matcher.token;
      for (const auto& one : arguments) out.text += ":" + percent_encode(one);
      return out;
    }
    for (auto& one : arguments) {
      if (matcher.token == "host") {
        one = to_lower(one);
        named_.push_back(one);
        if (!one.starts_with("*")) out.hosts.push_back(one);
      }
      if (matcher.token == "client") {
        const auto ranges = address_ranges(one);
        if (!ranges) return Error{ErrorCode::invalid, "ClientIP: \"" + one + "\" is no IPv4 address or range"};
        one = *ranges;
      }
      if ((matcher.token == "path" || matcher.token == "prefix") && one.find('{') != std::string::npos)
        return Error{ErrorCode::invalid,
                     std::string(matcher.name) + ": patterns in braces are version 2's; write PathRegexp(`…`)"};
      const std::string text = std::string(matcher.token) + ":" + percent_encode(one);
      out.text = out.text.empty() ? text : "| " + out.text + " " + text;
    }
    if (matcher.token == "host" && out.hosts.size() != arguments.size()) out.hosts.clear();  // one is a wildcard
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int matchers_ = 0;
  std::vector<std::string> named_;
};

}  // namespace

Result<RouteMatch> parse_route_match(std::string_view rule) {
  return Parser(rule).run();
}

}  // namespace caisson::network
