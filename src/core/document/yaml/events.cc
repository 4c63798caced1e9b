// SPDX-License-Identifier: Apache-2.0
#include "core/document/yaml/events.h"

#include "core/document/utf8.h"
#include "core/document/yaml/parser.h"

namespace caisson::yaml {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_plain_ascii(char c) {
  return (c >= 0x20 && c < 0x7F) || c == '\n' || c == '\t';
}

// \n line ends only; every character one that YAML allows.
Result<void> normalise(std::string_view text, const ReadOptions& options, Events& out) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  out.text.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = i;
    while (i < text.size() && is_plain_ascii(text[i])) ++i;
    out.text.append(text, start, i - start);
    if (i == text.size()) break;
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\r') {
      out.text += '\n';
      i += text.substr(i, 2) == "\r\n" ? 2 : 1;
      continue;
    }
    if (c < 0x20 || c == 0x7F) {
      return error_at(out, options, out.text.size(), "a control character, which YAML does not allow");
    }
    const std::size_t length = utf8::sequence_length(text, i);
    if (length == 0) return error_at(out, options, out.text.size(), "invalid UTF-8");
    if (length == 3 && text.substr(i, 3) == kByteOrderMark && (out.text.empty() || out.text.back() == '\n')) {
      i += 3;  // a document of its own may begin with one
      continue;
    }
    out.text.append(text, i, length);
    i += length;
  }
  return {};
}

void describe_node(const Event& event, std::string_view what, std::string& out) {
  out += what;
  if (event.kind != EventKind::scalar && event.style == Style::flow)
    out += event.kind == EventKind::map_start ? " {}" : " []";
  if (!event.anchor.empty()) out.append(" &").append(event.anchor);
  if (!event.tag.empty()) out.append(" <").append(event.tag).append(">");
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
        describe_node(event, "+MAP", out);
        break;
      case EventKind::map_end:
        out += "-MAP";
        break;
      case EventKind::list_start:
        describe_node(event, "+SEQ", out);
        break;
      case EventKind::list_end:
        out += "-SEQ";
        break;
      case EventKind::alias:
        out.append("=ALI *").append(event.value);
        break;
      case EventKind::scalar:
        describe_node(event, "=VAL", out);
        out.append(" ").append(1, style_mark(event.style));
        describe_text(event.value, out);
        break;
    }
    out += '\n';
  }
  return out;
}

}  // namespace caisson::yaml
