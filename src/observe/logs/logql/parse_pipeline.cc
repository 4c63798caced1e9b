// SPDX-License-Identifier: Apache-2.0
// Selectors and the stages behind them.
#include "observe/logs/logql/fold.h"
#include "observe/logs/logql/parse_state.h"
#include "observe/logs/logql/regex.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {
namespace {

using metrics::MatchType;

constexpr std::string_view kErrorLabel = "__error__";

LineMatch line_match(Tok kind) {
  switch (kind) {
    case Tok::pipe_exact:
      return LineMatch::equal;
    case Tok::neq:
      return LineMatch::not_equal;
    case Tok::pipe_match:
      return LineMatch::regex;
    case Tok::nre:
      return LineMatch::not_regex;
    case Tok::pipe_pattern:
      return LineMatch::pattern;
    default:
      return LineMatch::not_pattern;
  }
}

}  // namespace

Result<Matcher> ParserState::matcher() {
  const Token name = TRY(expect(Tok::identifier, "IDENTIFIER"));
  MatchType type;
  switch (peek().kind) {
    case Tok::eq:
      type = MatchType::equal;
      break;
    case Tok::neq:
      type = MatchType::not_equal;
      break;
    case Tok::re:
      type = MatchType::regex;
      break;
    case Tok::nre:
      type = MatchType::not_regex;
      break;
    default:
      return unexpected("= or =~ or !~ or !=");
  }
  take();
  const Token value = TRY(expect(Tok::string, "STRING"));
  if (type == MatchType::regex ||
      type == MatchType::not_regex)  // for its text: the matcher's own has the anchors in it
    if (const auto regex = LineRegex::compile(value.text); !regex.ok()) return semantic(regex.error().message);
  auto made = Matcher::make(type, name.text, value.text);
  if (!made.ok()) return semantic(made.error().message);
  return made;
}

Result<std::vector<Matcher>> ParserState::braces() {
  TRY(expect(Tok::open_brace, "{"));
  std::vector<Matcher> matchers;
  if (accept(Tok::close_brace)) return matchers;
  if (peek().kind != Tok::identifier) return unexpected("IDENTIFIER or }");
  matchers.push_back(TRY(matcher()));
  while (accept(Tok::comma)) matchers.push_back(TRY(matcher()));
  TRY(expect(Tok::close_brace, "} or ,"));
  return matchers;
}

Result<Selector> ParserState::parse_selector(bool with_stages) {
  const Nested nested(depth_);
  TRY(too_deep());
  if (accept(Tok::open_paren)) {
    Selector inner = TRY(parse_selector(with_stages));
    TRY(expect(Tok::close_paren, ")"));
    return inner;
  }
  Selector selector;
  selector.matchers = TRY(braces());
  const bool selects =
      std::any_of(selector.matchers.begin(), selector.matchers.end(), [](const Matcher& m) { return !m.matches(""); });
  if (!selects)
    return semantic(
        "queries require at least one regexp or equality matcher that does not have an empty-compatible value. For "
        "instance, app=~\".*\" does not meet "
        "this requirement, but app=~\".+\" will");
  if (with_stages) TRY(stages(selector.stages, nullptr));
  return selector;
}

Result<void> ParserState::stages(std::vector<Stage>& into, std::optional<Unwrap>* unwrap) {
  for (;;) {
    if (is_line_filter(peek().kind)) {
      into.push_back(TRY(line_filter()));
    } else if (peek().kind == Tok::pipe && peek(1).kind == Tok::unwrap) {
      if (!unwrap) {
        take();
        return unexpected();
      }
      take();
      take();
      *unwrap = TRY(parse_unwrap());
      return {};
    } else if (accept(Tok::pipe)) {
      into.push_back(TRY(stage()));
    } else {
      return {};
    }
  }
}

Result<LineFilter::One> ParserState::line_operand() {
  if (accept(Tok::ip)) {
    TRY(expect(Tok::open_paren, "("));
    const Token text = TRY(expect(Tok::string, "STRING"));
    TRY(expect(Tok::close_paren, ")"));
    return LineFilter::One{text.text, true};
  }
  const Token text = TRY(expect(Tok::string, "STRING or ip"));
  return LineFilter::One{text.text, false};
}

Result<Stage> ParserState::line_filter() {
  LineFilter filter;
  filter.match = line_match(take().kind);
  filter.any.push_back(TRY(line_operand()));
  while (accept(Tok::or_op)) filter.any.push_back(TRY(line_operand()));
  if (auto valid = check_line_filter(filter); !valid.ok()) return stage_error(filter, valid.error().message);
  return Stage(std::move(filter));
}

Result<Stage> ParserState::stage() {
  switch (peek().kind) {
    case Tok::json:
      take();
      return extraction_parser(ParserKind::json);
    case Tok::logfmt:
      take();
      return extraction_parser(ParserKind::logfmt);
    case Tok::unpack:
      take();
      return Stage(Parser{ParserKind::unpack, "", {}});
    case Tok::regexp:
      take();
      return text_parser(ParserKind::regexp);
    case Tok::pattern:
      take();
      return text_parser(ParserKind::pattern);
    case Tok::decolorize:
      take();
      return Stage(Decolorize{});
    case Tok::line_format: {
      take();
      LineFormat format{TRY(expect(Tok::string, "STRING")).text};
      if (auto valid = check_template("line", format.text); !valid.ok())
        return stage_error(format, "invalid line template: " + valid.error().message);
      return Stage(std::move(format));
    }
    case Tok::label_format:
      take();
      return label_format();
    case Tok::drop:
      take();
      return named_matchers(true);
    case Tok::keep:
      take();
      return named_matchers(false);
    default:
      break;
  }
  if (peek().kind != Tok::identifier && peek().kind != Tok::open_paren) return unexpected();
  return Stage(std::shared_ptr<const LabelFilter>(TRY(label_filter_or())));
}

Result<Stage> ParserState::text_parser(ParserKind kind) {
  const auto pattern = TRY(expect(Tok::string, "STRING"));
  Parser parser{kind, pattern.text, {}};
  if (auto valid = check_parser(parser); !valid.ok())
    return semantic(std::string("invalid ") + (kind == ParserKind::regexp ? "regexp" : "pattern") +
                    " parser: " + valid.error().message);
  return Stage(std::move(parser));
}

Result<Stage> ParserState::extraction_parser(ParserKind kind) {
  Parser parser{kind, "", {}};
  while (kind == ParserKind::logfmt && peek().kind == Tok::flag)
    (take().text == "--strict" ? parser.strict : parser.keep_empty) = true;
  if (peek().kind == Tok::identifier) {
    do {
      const Token label = TRY(expect(Tok::identifier, "IDENTIFIER"));
      Extraction one{label.text, label.text};
      if (accept(Tok::eq)) one.path = TRY(expect(Tok::string, "STRING")).text;
      parser.extractions.push_back(std::move(one));
    } while (accept(Tok::comma));
  }
  if (auto valid = check_parser(parser); !valid.ok()) return stage_error(parser, valid.error().message);
  return Stage(std::move(parser));
}

Result<Stage> ParserState::label_format() {
  LabelFormat format;
  do {
    const Token label = TRY(expect(Tok::identifier, "IDENTIFIER"));
    TRY(expect(Tok::eq, "="));
    if (peek().kind != Tok::identifier && peek().kind != Tok::string) return unexpected("IDENTIFIER or STRING");
    const Token value = take();
    format.all.push_back({label.text, value.text, value.kind == Tok::identifier});
  } while (accept(Tok::comma));
  for (std::size_t i = 0; i < format.all.size(); ++i) {
    const LabelFormat::One& one = format.all[i];
    if (one.label == kErrorLabel) return stage_error(format, one.label + " cannot be formatted");
    for (std::size_t k = 0; k < i; ++k)
      if (format.all[k].label == one.label)
        return stage_error(format, "multiple label name '" + one.label + "' not allowed in a single format operation");
    if (one.rename) continue;
    if (auto valid = check_template("label", one.value); !valid.ok())
      return stage_error(format, "invalid template for label '" + one.label + "': " + valid.error().message);
  }
  return Stage(std::move(format));
}

Result<Stage> ParserState::named_matchers(bool drop) {
  DropKeep out{drop, {}};
  do {
    const Tok next = peek(1).kind;
    if (peek().kind == Tok::identifier &&
        (next == Tok::eq || next == Tok::neq || next == Tok::re || next == Tok::nre)) {
      Matcher one = TRY(matcher());
      out.names.push_back({one.name, std::move(one)});
    } else {
      out.names.push_back({TRY(expect(Tok::identifier, "IDENTIFIER")).text, {}});
    }
  } while (accept(Tok::comma));
  return Stage(std::move(out));
}

Result<ParserState::FilterPtr> ParserState::label_filter_or() {
  const Nested nested(depth_);
  TRY(too_deep());
  FilterPtr left = TRY(label_filter_and());
  while (accept(Tok::or_op)) left = join(LabelFilter::Kind::either, std::move(left), TRY(label_filter_and()));
  return left;
}

Result<ParserState::FilterPtr> ParserState::label_filter_and() {
  FilterPtr left = TRY(label_filter_one());
  while (accept(Tok::and_op) || accept(Tok::comma) || peek().kind == Tok::identifier || peek().kind == Tok::open_paren)
    left = join(LabelFilter::Kind::both, std::move(left), TRY(label_filter_one()));
  return left;
}

ParserState::FilterPtr ParserState::join(LabelFilter::Kind kind, FilterPtr left, FilterPtr right) {
  auto out = std::make_unique<LabelFilter>();
  out->kind = kind;
  out->left = std::move(left);
  out->right = std::move(right);
  return out;
}

Result<ParserState::FilterPtr> ParserState::label_filter_one() {
  if (accept(Tok::open_paren)) {
    FilterPtr inner = TRY(label_filter_or());
    TRY(expect(Tok::close_paren, ")"));
    return inner;
  }
  if (peek().kind != Tok::identifier) return unexpected("IDENTIFIER or (");
  auto out = std::make_unique<LabelFilter>();
  const Tok op = peek(1).kind, value = peek(2).kind;
  if (value == Tok::string && (op == Tok::eq || op == Tok::neq || op == Tok::re || op == Tok::nre)) {
    out->matcher = TRY(matcher());
    return out;
  }
  out->label = take().text;
  switch (op) {
    case Tok::eq:
    case Tok::cmp_eq:
      out->compare = Compare::eq;
      break;
    case Tok::neq:
      out->compare = Compare::ne;
      break;
    case Tok::lt:
      out->compare = Compare::lt;
      break;
    case Tok::lte:
      out->compare = Compare::le;
      break;
    case Tok::gt:
      out->compare = Compare::gt;
      break;
    case Tok::gte:
      out->compare = Compare::ge;
      break;
    case Tok::re:
    case Tok::nre:
      take();
      return unexpected("STRING");
    default:
      return unexpected();
  }
  take();
  if ((op == Tok::eq || op == Tok::neq) && accept(Tok::ip)) {
    TRY(expect(Tok::open_paren, "("));
    out->kind = LabelFilter::Kind::ip;
    out->text = TRY(expect(Tok::string, "STRING")).text;
    TRY(expect(Tok::close_paren, ")"));
    if (auto valid = check_ip(out->text); !valid.ok())
      return semantic("stage '| " + print(*out) + "' : " + valid.error().message);
    return out;
  }
  if (peek().kind == Tok::duration) {
    out->kind = LabelFilter::Kind::duration;
    out->number = static_cast<double>(peek().nanoseconds);
    take();
  } else if (peek().kind == Tok::bytes) {
    out->kind = LabelFilter::Kind::bytes;
    out->number = static_cast<double>(peek().size);
    take();
  } else {
    const Tok next = peek().kind;
    if (next != Tok::number && next != Tok::add && next != Tok::sub) return unexpected();
    out->kind = LabelFilter::Kind::number;
    out->number = TRY(signed_number());
  }
  return out;
}

Result<Unwrap> ParserState::parse_unwrap() {
  Unwrap unwrap;
  if (peek().kind == Tok::conversion) {
    unwrap.conversion = take().text;
    TRY(expect(Tok::open_paren, "("));
    unwrap.label = TRY(expect(Tok::identifier, "IDENTIFIER")).text;
    TRY(expect(Tok::close_paren, ")"));
  } else {
    unwrap.label = TRY(expect(Tok::identifier, "IDENTIFIER or bytes or duration or duration_seconds")).text;
  }
  while (accept(Tok::pipe)) unwrap.filters.emplace_back(TRY(label_filter_or()));
  return unwrap;
}

}  // namespace caisson::logs::logql
