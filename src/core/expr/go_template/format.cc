// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/format.h"

#include <optional>

#include "core/expr/go_template/printer.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

constexpr int kSizeMax = 1'000'000;  // of a width or precision, as Go's

// A decimal number; nothing when there is none or it is too large (the format then reads as ended).
std::optional<int> take_number(std::string_view format, std::size_t& at, std::size_t end) {
  std::optional<int> number;
  while (at < end && format[at] >= '0' && format[at] <= '9') {
    if (number.value_or(0) > kSizeMax) {
      at = end;
      return std::nullopt;
    }
    number = number.value_or(0) * 10 + (format[at++] - '0');
  }
  return number;
}

// The argument of '*'.
std::optional<int> take_star(std::span<const Datum> arguments, std::size_t& argument) {
  if (argument >= arguments.size()) return std::nullopt;
  const Datum& datum = arguments[argument++];
  if (!datum.is_signed() && !datum.is_unsigned()) return std::nullopt;
  const std::int64_t number = datum.as_int();
  if (number > kSizeMax || number < -kSizeMax) return std::nullopt;
  return static_cast<int>(number);
}

}  // namespace

struct Printer::Scan {
  std::string_view format;
  std::span<const Datum> arguments;
  std::size_t at = 0;
  std::size_t argument = 0;
  bool after_index = false;  // just passed an index like [3]
  bool reordered = false;    // some index was there
  bool good_index = true;    // that of the current verb

  bool ended() const { return at >= format.size(); }
  char here() const { return format[at]; }
};

// An explicit argument index, "[n]".
void Printer::index(Scan& scan) {
  scan.after_index = false;
  if (scan.ended() || scan.here() != '[') return;
  scan.reordered = true;
  const std::size_t close = scan.format.find(']', scan.at + 1);
  if (scan.format.size() - scan.at < 3 || close == std::string_view::npos) {
    scan.good_index = false;
    scan.at += 1;
    return;
  }
  std::size_t at = scan.at + 1;
  const auto number = take_number(scan.format, at, close);
  const bool is_number = number && at == close;
  scan.at = close + 1;
  if (is_number && *number >= 1 && static_cast<std::size_t>(*number) <= scan.arguments.size()) {
    scan.argument = static_cast<std::size_t>(*number) - 1;
    scan.after_index = true;
    return;
  }
  scan.good_index = false;
  scan.after_index = is_number;
}

void Printer::flags(Scan& scan) {
  for (; !scan.ended(); ++scan.at) {
    switch (scan.here()) {
      case '#':
        f_.sharp = true;
        break;
      case '0':
        f_.zero = true;
        break;
      case '+':
        f_.plus = true;
        break;
      case '-':
        f_.minus = true;
        break;
      case ' ':
        f_.space = true;
        break;
      default:
        return;
    }
  }
}

void Printer::width(Scan& scan) {
  if (!scan.ended() && scan.here() == '*') {
    ++scan.at;
    const auto given = take_star(scan.arguments, scan.argument);
    f_.has_width = given.has_value();
    f_.width = given.value_or(0);
    if (!given) write("%!(BADWIDTH)");
    if (f_.width < 0) {
      f_.width = -f_.width;
      f_.minus = true;
      f_.zero = false;
    }
    scan.after_index = false;
    return;
  }
  const auto given = take_number(scan.format, scan.at, scan.format.size());
  f_.has_width = given.has_value();
  f_.width = given.value_or(0);
  if (scan.after_index && f_.has_width) scan.good_index = false;
}

void Printer::precision(Scan& scan) {
  if (scan.at + 1 >= scan.format.size() || scan.here() != '.') return;
  ++scan.at;
  if (scan.after_index) scan.good_index = false;
  index(scan);
  if (!scan.ended() && scan.here() == '*') {
    ++scan.at;
    const auto given = take_star(scan.arguments, scan.argument);
    f_.has_precision = given.has_value() && *given >= 0;
    f_.precision = f_.has_precision ? *given : 0;
    if (!f_.has_precision) write("%!(BADPREC)");
    scan.after_index = false;
    return;
  }
  f_.has_precision = true;
  f_.precision = take_number(scan.format, scan.at, scan.format.size()).value_or(0);
}

void Printer::verb(Scan& scan) {
  f_ = {};
  scan.good_index = true;
  flags(scan);
  index(scan);
  width(scan);
  precision(scan);
  if (!scan.after_index) index(scan);
  if (scan.ended()) return write("%!(NOVERB)");
  const Rune rune = decode_rune(scan.format.substr(scan.at));
  scan.at += rune.size;
  const char32_t verb = rune.code;
  if (verb == U'%') return write("%");
  const bool is_missing = scan.argument >= scan.arguments.size();
  if (!scan.good_index || is_missing) {
    write("%!");
    append_rune(out_, verb);
    return write(scan.good_index ? "(MISSING)" : "(BADINDEX)");
  }
  if (verb == U'v' || verb == U'w') {
    f_.sharp_v = std::exchange(f_.sharp, false);
    f_.plus_v = std::exchange(f_.plus, false);
  }
  print_argument(scan.arguments[scan.argument++], verb);
}

void Printer::print_extra(const Scan& scan) {
  if (scan.reordered || scan.argument >= scan.arguments.size()) return;
  f_ = {};
  write("%!(EXTRA ");
  for (std::size_t i = scan.argument; i < scan.arguments.size(); ++i) {
    if (i > scan.argument) write(", ");
    const Datum& extra = scan.arguments[i];
    if (!extra.is_valid() || extra.kind() == Kind::interface) {
      write("<nil>");
      continue;
    }
    write(extra.type_name());
    write("=");
    print_argument(extra, U'v');
  }
  write(")");
}

void Printer::printf(std::string_view format, std::span<const Datum> arguments) {
  Scan scan{format, arguments};
  while (!scan.ended()) {
    const std::size_t percent = std::min(format.find('%', scan.at), format.size());
    write(format.substr(scan.at, percent - scan.at));
    scan.at = percent;
    if (scan.ended()) break;
    ++scan.at;
    verb(scan);
  }
  print_extra(scan);
}

void Printer::print(std::span<const Datum> arguments) {
  bool previous_is_string = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const bool is_string = arguments[i].is_string();
    if (i > 0 && !is_string && !previous_is_string) write(" ");
    print_argument(arguments[i], U'v');
    previous_is_string = is_string;
  }
}

void Printer::println(std::span<const Datum> arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (i > 0) write(" ");
    print_argument(arguments[i], U'v');
  }
  write("\n");
}

Result<std::string> sprintf(std::string_view format, std::span<const Datum> arguments) {
  Printer printer;
  printer.printf(format, arguments);
  return std::move(printer).finish();
}

Result<std::string> sprint(std::span<const Datum> arguments) {
  Printer printer;
  printer.print(arguments);
  return std::move(printer).finish();
}

Result<std::string> sprintln(std::span<const Datum> arguments) {
  Printer printer;
  printer.println(arguments);
  return std::move(printer).finish();
}

Result<std::string> to_text(const Datum& datum) {
  return sprint(std::span(&datum, 1));
}

Result<void> append_printed(std::string& out, const Datum& datum) {
  if (datum.is_string() && !datum.type()->text) {
    out += datum.as_string();
  } else if (!datum.is_valid()) {
    out += "<no value>";
  } else {
    out += TRY(to_text(datum));
  }
  return {};
}

}  // namespace caisson::go_template
