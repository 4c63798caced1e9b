// SPDX-License-Identifier: Apache-2.0
#include "core/expr/jmespath/random_text.h"

#include <vector>

namespace caisson::jmespath {
namespace {

constexpr std::size_t kTextMax = 64u << 10;
constexpr std::size_t kRepeatMax = 1000, kOpenRepeat = 10, kDepthMax = 50, kWorkMax = 1u << 20;

Error unreadable(std::string_view why) {
  return {ErrorCode::bad_request, "the pattern can't be read: " + std::string(why)};
}

// Reads and generates in one pass: an atom that is repeated is read again for each repetition. `quiet` reads only.
class Generator {
 public:
  Generator(std::string_view pattern, const std::function<std::uint64_t()>& random)
      : pattern_(pattern), random_(random) {}

  Result<std::string> run() {
    TRY(alternatives(false));
    if (at_ != pattern_.size()) return unreadable("unmatched )");
    return std::move(out_);
  }

 private:
  bool at_end() const { return at_ >= pattern_.size(); }
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(random_() % count); }

  Result<void> alternatives(bool quiet) {
    if (++depth_ > kDepthMax) return unreadable("nested too deeply");
    std::vector<std::size_t> starts;
    const std::size_t begin = at_;
    for (;;) {  // first find the alternatives, then generate one
      starts.push_back(at_);
      TRY(sequence(true));
      if (at_end() || pattern_[at_] != '|') break;
      ++at_;
    }
    const std::size_t end = at_;
    if (!quiet) {
      at_ = starts.size() == 1 ? begin : starts[below(starts.size())];
      TRY(sequence(false));
      at_ = end;
    }
    --depth_;
    return {};
  }

  Result<void> sequence(bool quiet) {
    while (!at_end() && pattern_[at_] != '|' && pattern_[at_] != ')') {
      const std::size_t atom_at = at_;
      TRY(atom(true));
      const auto [least, most] = TRY(repetition());
      const std::size_t next = at_;
      if (quiet) continue;
      for (std::size_t count = least + below(most - least + 1); count > 0; --count) {
        at_ = atom_at;
        TRY(atom(false));
      }
      at_ = next;
    }
    return {};
  }

  Result<std::pair<std::size_t, std::size_t>> repetition() {
    using Range = std::pair<std::size_t, std::size_t>;
    if (at_end()) return Range{1, 1};
    switch (pattern_[at_]) {
      case '*':
        ++at_;
        return Range{0, kOpenRepeat};
      case '+':
        ++at_;
        return Range{1, kOpenRepeat};
      case '?':
        ++at_;
        return Range{0, 1};
      case '{':
        break;
      default:
        return Range{1, 1};
    }
    ++at_;
    const std::size_t least = TRY(count());
    std::size_t most = least;
    if (!at_end() && pattern_[at_] == ',') {
      ++at_;
      most = !at_end() && pattern_[at_] == '}' ? least + kOpenRepeat : TRY(count());
    }
    if (at_end() || pattern_[at_] != '}' || most < least) return unreadable("a repetition");
    ++at_;
    return Range{least, most};
  }

  Result<std::size_t> count() {
    std::size_t number = 0, digits = 0;
    for (; !at_end() && pattern_[at_] >= '0' && pattern_[at_] <= '9'; ++at_, ++digits) {
      number = number * 10 + static_cast<std::size_t>(pattern_[at_] - '0');
      if (number > kRepeatMax) return unreadable("repeated too often");
    }
    if (digits == 0) return unreadable("a repetition");
    return number;
  }

  Result<void> atom(bool quiet) {
    if (++work_ > kWorkMax || out_.size() > kTextMax) return unreadable("the text would be too long");
    const char c = pattern_[at_++];
    switch (c) {
      case '(': {
        if (pattern_.substr(at_).starts_with("?:")) at_ += 2;
        TRY(alternatives(quiet));
        if (at_end() || pattern_[at_] != ')') return unreadable("missing )");
        ++at_;
        return {};
      }
      case '[':
        return char_class(quiet);
      case '.':
        return emit(quiet, printable());
      case '\\': {
        if (at_end()) return unreadable("a backslash at the end");
        return emit(quiet, escaped(pattern_[at_++]));
      }
      case '^':
      case '$':
        return {};
      case '*':
      case '+':
      case '?':
        return unreadable("nothing to repeat");
      default:
        return emit(quiet, std::string(1, c));
    }
  }

  Result<void> char_class(bool quiet) {
    bool negated = false;
    if (!at_end() && pattern_[at_] == '^') {
      negated = true;
      ++at_;
    }
    std::string set;
    bool first = true;
    while (!at_end() && (pattern_[at_] != ']' || first)) {
      first = false;
      char from = pattern_[at_++];
      if (from == '\\' && !at_end()) {
        const std::string members = escaped(pattern_[at_++]);
        if (members.size() > 1) {
          set += members;
          continue;
        }
        from = members[0];
      }
      if (at_ + 1 < pattern_.size() && pattern_[at_] == '-' && pattern_[at_ + 1] != ']') {
        const char to = pattern_[at_ + 1];
        at_ += 2;
        if (to < from) return unreadable("a class");
        for (int member = from; member <= to; ++member) set += static_cast<char>(member);
      } else {
        set += from;
      }
    }
    if (at_end()) return unreadable("missing ]");
    ++at_;
    if (negated) {
      std::string rest;
      for (const char c : printable())
        if (set.find(c) == std::string::npos) rest += c;
      set = rest;
    }
    if (set.empty()) return unreadable("an empty class");
    return emit(quiet, set);
  }

  static std::string range(char from, char to) {
    std::string out;
    for (int c = from; c <= to; ++c) out += static_cast<char>(c);
    return out;
  }
  static std::string printable() { return range(' ', '~'); }
  static std::string escaped(char c) {
    switch (c) {
      case 'd':
        return range('0', '9');
      case 'w':
        return range('0', '9') + range('A', 'Z') + "_" + range('a', 'z');
      case 's':
        return " \t";
      case 'n':
        return "\n";
      case 't':
        return "\t";
      default:
        return std::string(1, c);
    }
  }

  Result<void> emit(bool quiet, const std::string& set) {
    if (!quiet) out_ += set[set.size() == 1 ? 0 : below(set.size())];
    return {};
  }

  std::string_view pattern_;
  const std::function<std::uint64_t()>& random_;
  std::size_t at_ = 0, depth_ = 0, work_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> random_text(std::string_view pattern, const std::function<std::uint64_t()>& random) {
  return Generator(pattern, random).run();
}

}  // namespace caisson::jmespath
