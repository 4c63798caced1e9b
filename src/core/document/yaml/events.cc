// SPDX-License-Identifier: Apache-2.0
#include "core/document/yaml/events.h"

#include "core/document/utf8.h"
#include "core/document/yaml/parser.h"

namespace caisson::yaml {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Where the first character from `at` on stands that is not printable ASCII, a tab or \n. Whole blocks are looked at
// without a branch in between, which the compiler makes vectors of.
std::size_t end_of_plain_ascii(std::string_view text, std::size_t at) {
  constexpr std::size_t kBlock = 64;
  const auto is_other = [](char text_char) {
    const auto c = static_cast<signed char>(text_char);  // above ASCII: negative
    return static_cast<std::uint8_t>(((c < 0x20) & (c != '\n') & (c != '\t')) | (c == 0x7F));
  };
  for (; at + kBlock <= text.size(); at += kBlock) {
    const char* block = text.data() + at;
    std::uint8_t others = 0;
    for (std::size_t i = 0; i < kBlock; ++i) others |= is_other(block[i]);
    if (others != 0) break;
  }
  while (at < text.size() && is_other(text[at]) == 0) ++at;
  return at;
}

// \n line ends only; every character one that YAML allows.
Result<void> normalise(std::string_view text, const ReadOptions& options, Events& out) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::size_t rewritten = 0;  // so much of `text` stands, as it must read, in out.rewritten
  const auto put_instead = [&](std::string_view replacement, std::size_t at, std::size_t length) {
    out.rewritten.append(text, rewritten, at - rewritten).append(replacement);
    rewritten = at + length;
    return rewritten;
  };
  const auto failure = [&](std::size_t at, std::string_view message) {
    put_instead("", at, 0);
    out.text = out.rewritten;
    return error_at(out, options, out.text.size(), message);
  };
  for (std::size_t i = end_of_plain_ascii(text, 0); i < text.size(); i = end_of_plain_ascii(text, i)) {
    if (text[i] == '\r') {
      i = put_instead("\n", i, text.substr(i, 2) == "\r\n" ? 2 : 1);
      continue;
    }
    const std::size_t length = utf8::sequence_length(text, i);
    if (length == 1) return failure(i, "a control character, which YAML does not allow");
    if (length == 0) return failure(i, "invalid UTF-8");
    const bool line_begins = i == 0 || i == rewritten || text[i - 1] == '\n';
    if (line_begins && text.substr(i, 3) == kByteOrderMark)
      i = put_instead("", i, length);  // a document of its own may begin with one
    else
      i += length;
  }
  if (rewritten > 0) put_instead("", text.size(), 0);
  out.text = rewritten > 0 ? out.rewritten : text;
  return {};
}

void describe_node(const Events& events, const Event& event, std::string_view what, std::string& out) {
  out += what;
  if (event.kind != EventKind::scalar && event.style == Style::flow)
    out += event.kind == EventKind::map_start ? " {}" : " []";
  const auto& [anchor, tag] = events.properties_of(event);
  if (!anchor.empty()) out.append(" &").append(anchor);
  if (!tag.empty()) out.append(" <").append(tag).append(">");
}

void describe_text(std::string_view text, std::string& out) {
  for (const char c : text) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      default:
        out += c;
    }
  }
}

char style_mark(Style style) {
  switch (style) {
    case Style::single_quoted:
      return '\'';
    case Style::double_quoted:
      return '"';
    case Style::literal:
      return '|';
    case Style::folded:
      return '>';
    default:
      return ':';
  }
}

}  // namespace

Error error_at(const Events& events, const ReadOptions& options, std::size_t offset, std::string_view message) {
  std::size_t line = 1, start = 0;
  for (std::size_t i = 0; i < offset && i < events.text.size(); ++i) {
    if (events.text[i] != '\n') continue;
    ++line;
    start = i + 1;
  }
  std::string text = options.name.empty() ? "" : options.name + ": ";
  text += "line " + std::to_string(line) + ", column " + std::to_string(offset - start + 1) + ": ";
  return Error{ErrorCode::bad_request, text.append(message)};
}

Result<void> parse_events(std::string_view text, const ReadOptions& options, Events& out) {
  if (text.size() > std::min<std::size_t>(options.size_bytes_max, UINT32_MAX)) {
    return Error{ErrorCode::too_large, (options.name.empty() ? "" : options.name + ": ") + "YAML of " +
                                           std::to_string(text.size()) + " bytes is above the limit of " +
                                           std::to_string(options.size_bytes_max)};
  }
  TRY(normalise(text, options, out));
  out.events.reserve(std::min(out.text.size() / 8 + 8, options.expanded_nodes_max));
  Parser parser(out, options.mode == Mode::specification, options.depth_max, options.expanded_nodes_max);
  if (!parser.stream()) return error_at(out, options, parser.failed_at(), parser.message());
  return {};
}

std::string describe(const Events& events) {
  std::string out;
  for (const Event& event : events.events) {
    switch (event.kind) {
      case EventKind::document_start:
        out += event.is_explicit ? "+DOC ---" : "+DOC";
        break;
      case EventKind::document_end:
        out += event.is_explicit ? "-DOC ..." : "-DOC";
        break;
      case EventKind::map_start:
        describe_node(events, event, "+MAP", out);
        break;
      case EventKind::map_end:
        out += "-MAP";
        break;
      case EventKind::list_start:
        describe_node(events, event, "+SEQ", out);
        break;
      case EventKind::list_end:
        out += "-SEQ";
        break;
      case EventKind::alias:
        out.append("=ALI *").append(event.value);
        break;
      case EventKind::scalar:
        describe_node(events, event, "=VAL", out);
        out.append(" ").append(1, style_mark(event.style));
        describe_text(event.value, out);
        break;
    }
    out += '\n';
  }
  return out;
}

}  // namespace caisson::yaml
