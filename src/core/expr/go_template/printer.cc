// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/printer.h"

#include <cmath>

#include "core/expr/go_template/complex.h"
#include "core/expr/go_template/format.h"
#include "core/expr/go_template/numbers.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {
constexpr std::string_view kLower = "0123456789abcdefx", kUpper = "0123456789ABCDEFX";
}  // namespace

// --- padding

void Printer::write_padding(int width) {
  if (width > 0) out_.append(static_cast<std::size_t>(width), f_.zero && !f_.minus ? '0' : ' ');
}

void Printer::pad(std::string_view text) {
  if (!f_.has_width || f_.width == 0) return write(text);
  const int width = f_.width - static_cast<int>(count_runes(text));
  if (!f_.minus) write_padding(width);
  write(text);
  if (f_.minus) write_padding(width);
}

void Printer::pad_without_zeros(std::string_view text) {
  const bool zero = std::exchange(f_.zero, false);
  pad(text);
  f_.zero = zero;
}

std::string_view Printer::truncated(std::string_view text) const {
  if (!f_.has_precision) return text;
  std::size_t size = 0;
  for (int i = 0; i < f_.precision && size < text.size(); ++i) size += decode_rune(text.substr(size)).size;
  return text.substr(0, size);
}

// --- scalars

void Printer::bad_verb(const Datum& datum, char32_t verb) {
  is_erroring_ = true;
  write("%!");
  append_rune(out_, verb);
  write("(");
  if (!datum.is_valid()) {
    write("<nil>");
  } else {
    write(datum.type_name());
    write("=");
    print_argument(datum, U'v');
  }
  write(")");
  is_erroring_ = false;
}

void Printer::print_bool(const Datum& datum, char32_t verb) {
  if (verb != U't' && verb != U'v') return bad_verb(datum, verb);
  pad(datum.as_bool() ? "true" : "false");
}

void Printer::hex_0x(std::uint64_t value, bool leading_0x) {
  const bool sharp = std::exchange(f_.sharp, leading_0x);
  integer(value, 16, false, U'v', kLower);
  f_.sharp = sharp;
}

void Printer::print_integer(const Datum& datum, std::uint64_t value, bool is_signed, char32_t verb) {
  switch (verb) {
    case U'v':
      if (f_.sharp_v && !is_signed) return hex_0x(value, true);
      return integer(value, 10, is_signed, verb, kLower);
    case U'd':
      return integer(value, 10, is_signed, verb, kLower);
    case U'b':
      return integer(value, 2, is_signed, verb, kLower);
    case U'o':
    case U'O':
      return integer(value, 8, is_signed, verb, kLower);
    case U'x':
      return integer(value, 16, is_signed, verb, kLower);
    case U'X':
      return integer(value, 16, is_signed, verb, kUpper);
    case U'c': {
      std::string text;
      append_rune(text, value > 0x10FFFF ? kReplacement : static_cast<std::uint32_t>(value));
      return pad(text);
    }
    case U'q':
      return pad(quote_rune(value > 0x10FFFF ? kReplacement : static_cast<std::uint32_t>(value),
                            f_.plus ? Quote::ascii : Quote::text));
    case U'U':
      return unicode(value);
    default:
      return bad_verb(datum, verb);
  }
}

void Printer::integer(std::uint64_t value, unsigned base, bool is_signed, char32_t verb, std::string_view digits) {
  const bool negative = is_signed && static_cast<std::int64_t>(value) < 0;
  if (negative) value = ~value + 1;
  int digits_min = 0;
  if (f_.has_precision) {
    digits_min = f_.precision;
    if (digits_min == 0 && value == 0) {  // nothing but its padding
      const bool zero = std::exchange(f_.zero, false);
      write_padding(f_.width);
      f_.zero = zero;
      return;
    }
  } else if (f_.zero && !f_.minus && f_.has_width) {
    digits_min = f_.width - (negative || f_.plus || f_.space ? 1 : 0);
  }
  std::string text;  // from the last digit to the first
  do {
    text += digits[value % base];
    value /= base;
  } while (value != 0);
  while (static_cast<int>(text.size()) < digits_min) text += '0';
  if (f_.sharp) {
    if (base == 2) text += "b0";
    if (base == 8 && text.back() != '0') text += '0';
    if (base == 16) {
      text += digits[16];
      text += '0';
    }
  }
  if (verb == U'O') text += "o0";
  if (negative) {
    text += '-';
  } else if (f_.plus) {
    text += '+';
  } else if (f_.space) {
    text += ' ';
  }
  pad_without_zeros(std::string(text.rbegin(), text.rend()));
}

void Printer::unicode(std::uint64_t value) {
  std::string digits;
  for (std::uint64_t rest = value; rest != 0 || digits.empty(); rest >>= 4) digits.insert(0, 1, kUpper[rest & 0xF]);
  const int count = f_.has_precision && f_.precision > 4 ? f_.precision : 4;
  if (static_cast<int>(digits.size()) < count) digits.insert(0, static_cast<std::size_t>(count) - digits.size(), '0');
  std::string text = "U+" + digits;
  if (f_.sharp && value <= 0x10FFFF && is_printable(static_cast<std::uint32_t>(value))) {
    text += " '";
    append_rune(text, static_cast<std::uint32_t>(value));
    text += '\'';
  }
  pad_without_zeros(text);
}

void Printer::print_float(const Datum& datum, double value, int bits, char32_t verb) {
  switch (verb) {
    case U'v':
      return floating(value, bits, 'g', -1);
    case U'b':
    case U'g':
    case U'G':
    case U'x':
    case U'X':
      return floating(value, bits, static_cast<char>(verb), -1);
    case U'f':
    case U'e':
    case U'E':
      return floating(value, bits, static_cast<char>(verb), 6);
    case U'F':
      return floating(value, bits, 'f', 6);
    default:
      return bad_verb(datum, verb);
  }
}

// '#' keeps a decimal point, and zeros up to the precision. `number` has its sign.
std::string Printer::with_point(std::string number, char verb, int precision) const {
  int digits = 0;
  if (verb == 'g' || verb == 'G' || verb == 'x') digits = precision == -1 ? 6 : precision;
  std::string tail;
  bool has_point = false, saw_nonzero = false;
  for (std::size_t i = 1; i < number.size(); ++i) {
    const char c = number[i];
    if (c == '.') {
      has_point = true;
      continue;
    }
    const bool is_exponent = c == 'p' || c == 'P' || ((c == 'e' || c == 'E') && verb != 'x' && verb != 'X');
    if (is_exponent) {
      tail = number.substr(i);
      number.resize(i);
      break;
    }
    if (c != '0') saw_nonzero = true;
    if (saw_nonzero) --digits;
  }
  if (!has_point) {
    if (number.size() == 2 && number[1] == '0') --digits;
    number += '.';
  }
  if (digits > 0) number.append(static_cast<std::size_t>(digits), '0');
  return number + tail;
}

void Printer::floating(double value, int bits, char verb, int precision) {
  if (f_.has_precision) precision = f_.precision;
  std::string number = format_float(value, verb, precision, bits);
  if (number[0] != '-' && number[0] != '+') number.insert(0, 1, '+');
  if (f_.space && number[0] == '+' && !f_.plus) number[0] = ' ';
  if (number[1] == 'I' || number[1] == 'N') {
    if (number[1] == 'N' && !f_.space && !f_.plus) number.erase(0, 1);
    return pad_without_zeros(number);
  }
  if (f_.sharp && verb != 'b') number = with_point(std::move(number), verb, precision);
  if (!f_.plus && number[0] == '+') return pad(std::string_view(number).substr(1));
  const int size = static_cast<int>(number.size());
  if (f_.zero && !f_.minus && f_.has_width && f_.width > size) {  // the sign stands before the zeros
    out_ += number[0];
    write_padding(f_.width - size);
    return write(std::string_view(number).substr(1));
  }
  pad(number);
}

void Printer::print_complex(const Datum& datum, char32_t verb) {
  if (verb > 0x7F || std::string_view("vbgGxXfFeE").find(static_cast<char>(verb)) == std::string_view::npos) {
    return bad_verb(datum, verb);
  }
  const auto& number = static_cast<const Complex&>(*datum.node());
  write("(");
  print_float(datum, number.real, 64, verb);
  const bool plus = std::exchange(f_.plus, true);
  print_float(datum, number.imaginary, 64, verb);
  write("i)");
  f_.plus = plus;
}

// --- strings

void Printer::quoted(std::string_view text) {
  text = truncated(text);
  if (f_.sharp && can_backquote(text)) return pad("`" + std::string(text) + "`");
  pad(quote(text, f_.plus ? Quote::ascii : Quote::text));
}

void Printer::hex_bytes(std::string_view bytes, std::string_view digits) {
  std::size_t count = bytes.size();
  if (f_.has_precision && static_cast<std::size_t>(f_.precision) < count)
    count = static_cast<std::size_t>(f_.precision);
  if (count == 0) {
    if (f_.has_width) write_padding(f_.width);
    return;
  }
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    if (f_.space && i > 0) text += ' ';
    if (f_.sharp && (f_.space || i == 0)) {
      text += '0';
      text += digits[16];
    }
    text += digits[static_cast<unsigned char>(bytes[i]) >> 4];
    text += digits[static_cast<unsigned char>(bytes[i]) & 0xF];
  }
  pad(text);
}

void Printer::print_string(const Datum& datum, std::string_view text, char32_t verb) {
  switch (verb) {
    case U'v':
      return f_.sharp_v ? quoted(text) : pad(truncated(text));
    case U's':
      return pad(truncated(text));
    case U'x':
      return hex_bytes(text, kLower);
    case U'X':
      return hex_bytes(text, kUpper);
    case U'q':
      return quoted(text);
    default:
      return bad_verb(datum, verb);
  }
}

void Printer::print_bytes(const Datum& datum, char32_t verb, std::string_view type_name) {
  const std::string_view bytes = datum.as_string();
  switch (verb) {
    case U'v':
    case U'd':
      break;
    case U's':
      return pad(truncated(bytes));
    case U'x':
      return hex_bytes(bytes, kLower);
    case U'X':
      return hex_bytes(bytes, kUpper);
    case U'q':
      return quoted(bytes);
    default:
      return print_value(datum, verb, 0);
  }
  if (f_.sharp_v) {
    write(type_name);
    if (datum.is_nil()) return write("(nil)");
  }
  write(f_.sharp_v ? "{" : "[");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) write(f_.sharp_v ? ", " : " ");
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (f_.sharp_v) {
      hex_0x(byte, true);
    } else {
      integer(byte, 10, false, verb, kLower);
    }
  }
  write(f_.sharp_v ? "}" : "]");
}

// --- what has an address

void Printer::print_pointer(const Datum& datum, char32_t verb) {
  const Kind kind = datum.kind();
  const bool has_address = kind == Kind::function || kind == Kind::map || kind == Kind::pointer || kind == Kind::slice;
  if (!has_address) return bad_verb(datum, verb);
  const auto address = reinterpret_cast<std::uintptr_t>(datum.node());
  switch (verb) {
    case U'v':
      if (f_.sharp_v) {
        write("(");
        write(datum.type_name());
        write(")(");
        address == 0 ? write("nil") : hex_0x(address, true);
        return write(")");
      }
      return address == 0 ? pad("<nil>") : hex_0x(address, !f_.sharp);
    case U'p':
      return hex_0x(address, !f_.sharp);
    case U'b':
    case U'o':
    case U'd':
    case U'x':
    case U'X':
      return print_integer(datum, address, false, verb);
    default:
      return bad_verb(datum, verb);
  }
}

void Printer::print_map(const Datum& datum, char32_t verb, int depth) {
  if (f_.sharp_v) {
    write(datum.type_name());
    if (datum.is_nil()) return write("(nil)");
  }
  write(f_.sharp_v ? "{" : "map[");
  if (const Map* map = datum.as_map()) {
    bool first = true;
    for (const auto& [key, item] : map->entries()) {
      if (!std::exchange(first, false)) write(f_.sharp_v ? ", " : " ");
      print_string(Datum(key), key, verb);
      write(":");
      print_value(item, verb, depth + 1);
    }
  }
  write(f_.sharp_v ? "}" : "]");
}

void Printer::print_list(const Datum& datum, char32_t verb, int depth) {
  const bool is_bytes = datum.type()->element == &kUint8;
  if (is_bytes && (verb == U's' || verb == U'q' || verb == U'x' || verb == U'X')) {
    return print_bytes(datum, verb, datum.type_name());
  }
  if (f_.sharp_v) {
    write(datum.type_name());
    if (datum.is_nil()) return write("(nil)");
  }
  write(f_.sharp_v ? "{" : "[");
  for (std::size_t i = 0; i < datum.size(); ++i) {
    if (i > 0) write(f_.sharp_v ? ", " : " ");
    print_value(datum.at(i), verb, depth + 1);
  }
  write(f_.sharp_v ? "}" : "]");
}

void Printer::print_struct(const Datum& datum, char32_t verb, int depth) {
  const Object* object = datum.as_object();
  if (f_.sharp_v) {
    std::string_view name = datum.type_name();
    if (datum.kind() == Kind::pointer && name.starts_with('*')) name.remove_prefix(1);
    write(name);
  }
  write("{");
  bool first = true;
  for (const std::string_view name : object->field_names()) {
    if (!std::exchange(first, false)) write(f_.sharp_v ? ", " : " ");
    if (f_.plus_v || f_.sharp_v) {
      write(name);
      write(":");
    }
    print_value(object->field(name).value_or(Datum()), verb, depth + 1);
  }
  write("}");
}

bool Printer::handle_methods(const Datum& datum, char32_t verb) {
  if (is_erroring_ || !datum.is_valid()) return false;
  if (verb == U'w') {
    bad_verb(datum, verb);
    return true;
  }
  if (f_.sharp_v || !datum.type()->text) return false;
  if (verb != U'v' && verb != U's' && verb != U'x' && verb != U'X' && verb != U'q') return false;
  if (datum.kind() == Kind::pointer && datum.is_nil()) {
    write("<nil>");
    return true;
  }
  print_string(datum, datum.type()->text(datum), verb);
  return true;
}

void Printer::print_argument(const Datum& datum, char32_t verb) {
  if (!datum.is_valid() || datum.kind() == Kind::interface) {
    if (verb == U'T' || verb == U'v') return pad("<nil>");
    return bad_verb(Datum(), verb);
  }
  if (verb == U'T') return pad(truncated(datum.type_name()));
  if (verb == U'p') return print_pointer(datum, verb);
  if (handle_methods(datum, verb)) return;
  if (datum.type() == &kBytes) return print_bytes(datum, verb, "[]byte");
  print_value(datum, verb, 0);
}

void Printer::print_value(const Datum& datum, char32_t verb, int depth) {
  if (depth > kFormatDepthMax) {
    is_too_deep_ = true;
    return;
  }
  if (is_too_deep_ || (depth > 0 && handle_methods(datum, verb))) return;
  switch (datum.kind()) {
    case Kind::invalid:
    case Kind::interface:
      if (f_.sharp_v) return write("interface {}(nil)");
      return write("<nil>");
    case Kind::boolean:
      return print_bool(datum, verb);
    case Kind::string:
      return print_string(datum, datum.as_string(), verb);
    case Kind::float32:
    case Kind::float64:
      return print_float(datum, datum.as_double(), datum.kind() == Kind::float32 ? 32 : 64, verb);
    case Kind::complex128:
      return print_complex(datum, verb);
    case Kind::map:
      return print_map(datum, verb, depth);
    case Kind::slice:
    case Kind::array:
      return print_list(datum, verb, depth);
    case Kind::structure:
      return print_struct(datum, verb, depth);
    case Kind::pointer:
      if (depth > 0 || datum.is_nil()) return print_pointer(datum, verb);
      write("&");
      return print_struct(datum, verb, depth);
    case Kind::function:
      return print_pointer(datum, verb);
    default:
      return print_integer(datum, datum.as_uint(), datum.is_signed(), verb);
  }
}

}  // namespace caisson::go_template
