// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/tar.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "core/base/text.h"

namespace caisson::content {
namespace {

constexpr std::size_t kBlock = 512;

Error bad(std::uint64_t offset, std::string_view what) {
  return Error{ErrorCode::bad_request, "tar: " + std::string(what) + " (at byte " + std::to_string(offset) + ")"};
}

// A number field: octal text, or base-256 when the first bit is set (GNU).
std::optional<std::int64_t> number(std::string_view field) {
  if (!field.empty() && (static_cast<unsigned char>(field[0]) & 0x80) != 0) {
    const bool negative = (static_cast<unsigned char>(field[0]) & 0x40) != 0;
    std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
    for (std::size_t i = 0; i < field.size(); ++i) {
      std::uint8_t byte = static_cast<std::uint8_t>(field[i]);
      if (i == 0) byte = negative ? byte | 0x80 : byte & 0x7f;
      if (field.size() - i > 8 && byte != (negative ? 0xff : 0)) return std::nullopt;
      value = (value << 8) | byte;
    }
    return static_cast<std::int64_t>(value);
  }
  std::uint64_t value = 0;
  bool seen = false;
  for (const char c : field) {
    if (c == '\0' || c == ' ') {
      if (seen) break;
      continue;
    }
    if (c < '0' || c > '7' || value >> 60 != 0) return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(c - '0');
    seen = true;
  }
  return static_cast<std::int64_t>(value);
}

std::string_view text(std::string_view field) {
  return field.substr(0, field.find('\0'));
}

bool checksum_is_right(std::string_view block) {
  std::int64_t as_unsigned = 0, as_signed = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const char c = i >= 148 && i < 156 ? ' ' : block[i];
    as_unsigned += static_cast<unsigned char>(c);
    as_signed += static_cast<signed char>(c);
  }
  const std::optional<std::int64_t> stored = number(block.substr(148, 8));
  return stored && (*stored == as_unsigned || *stored == as_signed);
}

using PaxRecords = std::map<std::string, std::string>;

// "27 mtime=1350244992.023960108\n" …
bool parse_pax(std::string_view bytes, PaxRecords& out) {
  while (!bytes.empty()) {
    if (bytes[0] == '\0') return true;
    const std::size_t space = bytes.find(' ');
    if (space == std::string_view::npos || space > 10) return false;
    const std::optional<std::int64_t> length = parse_int(bytes.substr(0, space));
    if (!length || *length <= static_cast<std::int64_t>(space) + 1 || *length > static_cast<std::int64_t>(bytes.size()))
      return false;
    const std::string_view record = bytes.substr(space + 1, static_cast<std::size_t>(*length) - space - 1);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos || !record.ends_with('\n')) return false;
    out[std::string(record.substr(0, equals))] = record.substr(equals + 1, record.size() - equals - 2);
    bytes = bytes.substr(static_cast<std::size_t>(*length));
  }
  return true;
}

std::optional<std::pair<std::int64_t, std::uint32_t>> parse_pax_time(std::string_view value) {
  const std::size_t dot = value.find('.');
  const std::string_view seconds = value.substr(0, dot);
  const std::optional<std::int64_t> whole = seconds == "-0" ? 0 : parse_int(seconds);
  if (!whole) return std::nullopt;
  std::uint32_t ns = 0;
  if (dot != std::string_view::npos) {
    std::string digits(value.substr(dot + 1, 9));
    digits.resize(9, '0');
    const std::optional<std::int64_t> fraction = parse_int(digits);
    if (!fraction || *fraction < 0) return std::nullopt;
    ns = static_cast<std::uint32_t>(*fraction);
  }
  if (value.starts_with('-') && ns != 0) return std::pair(*whole - 1, 1'000'000'000 - ns);
  return std::pair(*whole, ns);
}

constexpr std::string_view kXattrPrefix = "SCHILY.xattr.";

}  // namespace

struct TarReader::Impl {
  ByteSource source;
  ArchiveLimits limits;
  std::function<void(std::string_view)> raw;
  bool without_contents = false;

  std::string buffer;  // what has come and is not used up
  std::size_t used = 0;
  std::uint64_t offset = 0;  // of the next byte
  std::uint64_t content_left = 0, padding_left = 0;
  std::uint64_t entries = 0, bytes = 0;
  bool ended = false;
  PaxRecords global;

  // At least `count` bytes, or fewer at the end.
  Result<std::string_view> want(std::size_t count) {
    while (buffer.size() - used < count) {
      std::string piece = TRY(source());
      if (piece.empty()) break;
      if (used == buffer.size()) {
        buffer = std::move(piece);
      } else {
        buffer.erase(0, used);
        buffer += piece;
      }
      used = 0;
    }
    return std::string_view(buffer).substr(used, count);
  }

  void take(std::size_t count, bool is_content) {
    if (!is_content && raw) raw(std::string_view(buffer).substr(used, count));
    used += count;
    offset += count;
  }

  Result<std::string> content_piece() {
    if (content_left == 0) return std::string();
    std::string_view have = TRY(want(1));
    if (have.empty()) return bad(offset, "cut off in the contents of an entry");
    have = std::string_view(buffer).substr(used,
                                           static_cast<std::size_t>(std::min<std::uint64_t>(content_left, 1u << 20)));
    std::string out(have);
    content_left -= out.size();
    take(out.size(), true);
    return out;
  }

  Result<void> finish_entry() {
    while (content_left > 0) {
      const std::string_view have = TRY(want(1));
      if (have.empty()) return bad(offset, "cut off in the contents of an entry");
      const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(content_left, buffer.size() - used));
      content_left -= n;
      take(n, true);
    }
    const std::string_view padding = TRY(want(padding_left));
    if (padding.size() < padding_left) return bad(offset, "cut off in the padding of an entry");
    take(padding_left, false);
    padding_left = 0;
    return {};
  }

  // Contents of a PAX or GNU header, which count as header bytes.
  Result<std::string> header_contents(std::uint64_t size) {
    if (size > limits.header_bytes_max)
      return Error{ErrorCode::too_large, "tar: a header of " + std::to_string(size) + " bytes"};
    const std::size_t whole = size + padding_bytes(size);
    std::string out(TRY(want(whole)));
    if (out.size() < whole) return bad(offset, "cut off in a header");
    take(whole, false);
    out.resize(size);
    return out;
  }

  Result<std::optional<TarEntry>> next() {
    TRY(finish_entry());
    PaxRecords pax = global;
    std::optional<std::string> long_name, long_link;
    for (;;) {
      const std::string_view have = TRY(want(kBlock));
      if (have.empty()) {
        ended = true;
        return std::optional<TarEntry>();
      }
      if (have.size() < kBlock) return bad(offset, "cut off in a header");
      const std::string block(have);
      const std::uint64_t at = offset;
      take(kBlock, false);
      if (block.find_first_not_of('\0') == std::string::npos) {  // the end; what follows is padding of the stream
        TRY(drain());
        return std::optional<TarEntry>();
      }
      if (!checksum_is_right(block)) return bad(at, "the header's checksum is wrong");
      const std::optional<std::int64_t> size = number(std::string_view(block).substr(124, 12));
      if (!size || *size < 0) return bad(at, "the size is malformed");
      const char type = block[156];
      if (type == 'x' || type == 'g') {
        const std::string records = TRY(header_contents(static_cast<std::uint64_t>(*size)));
        if (!parse_pax(records, type == 'g' ? global : pax)) return bad(at, "malformed PAX records");
        if (type == 'g') pax.insert(global.begin(), global.end());
        continue;
      }
      if (type == 'L' || type == 'K') {
        std::string value = TRY(header_contents(static_cast<std::uint64_t>(*size)));
        value.resize(std::strlen(value.c_str()));
        (type == 'L' ? long_name : long_link) = std::move(value);
        continue;
      }
      return entry_of(block, at, *size, pax, long_name, long_link);
    }
  }

  Result<std::optional<TarEntry>> entry_of(const std::string& block, std::uint64_t at, std::int64_t size,
                                           const PaxRecords& pax, const std::optional<std::string>& long_name,
                                           const std::optional<std::string>& long_link) {
    TarEntry entry;
    const std::string_view head(block);
    const auto field = [&](std::size_t from, std::size_t length) { return head.substr(from, length); };
    entry.name = text(field(0, 100));
    if (head.substr(257, 6) == std::string_view("ustar\0", 6) && block[345] != '\0') {
      entry.name = std::string(text(field(345, 155))) + "/" + entry.name;
    }
    entry.link = text(field(157, 100));
    if (long_name) entry.name = *long_name;
    if (long_link) entry.link = *long_link;
    const std::optional<std::int64_t> mode = number(field(100, 8)), uid = number(field(108, 8)),
                                      gid = number(field(116, 8)), mtime = number(field(136, 12));
    if (!mode || !uid || !gid || !mtime)
      return bad(at, "a number in the header of \"" + entry.name.substr(0, 200) + "\" is malformed");
    entry.mode = static_cast<std::uint32_t>(*mode) & 07777;
    std::int64_t wide_uid = *uid, wide_gid = *gid;
    entry.mtime_s = *mtime;
    const bool is_ustar = head.substr(257, 5) == "ustar";
    if (is_ustar) {
      entry.user = text(field(265, 32));
      entry.group = text(field(297, 32));
    }
    for (const auto& [key, value] : pax) {
      if (key == "path")
        entry.name = value;
      else if (key == "linkpath")
        entry.link = value;
      else if (key == "uname")
        entry.user = value;
      else if (key == "gname")
        entry.group = value;
      else if (key.starts_with(kXattrPrefix))
        entry.xattrs.emplace_back(key.substr(kXattrPrefix.size()), value);
      else if (key.starts_with("GNU.sparse."))
        return bad(at, "\"" + entry.name.substr(0, 200) + "\" is a sparse file, which is not supported");
      else if (key == "size" || key == "uid" || key == "gid") {
        const std::optional<std::int64_t> n = parse_int(value);
        if (!n || *n < 0) return bad(at, "PAX record " + key + " is malformed");
        (key == "size" ? size : key == "uid" ? wide_uid : wide_gid) = *n;
      } else if (key == "mtime") {
        const auto time = parse_pax_time(value);
        if (!time) return bad(at, "PAX record mtime is malformed");
        entry.mtime_s = time->first;
        entry.mtime_ns = time->second;
      }
    }
    if (wide_uid < 0 || wide_uid > 0xfffffffell || wide_gid < 0 || wide_gid > 0xfffffffell)
      return bad(at, "owner out of range");
    entry.uid = static_cast<std::uint32_t>(wide_uid);
    entry.gid = static_cast<std::uint32_t>(wide_gid);
    if (entry.name.size() > limits.name_bytes_max || entry.link.size() > limits.name_bytes_max)
      return bad(at, "a name is too long");
    switch (block[156]) {
      case '0':
      case '\0':
      case '7':
        entry.type = entry.name.ends_with('/') ? EntryType::directory : EntryType::file;
        break;
      case '1':
        entry.type = EntryType::hard_link;
        break;
      case '2':
        entry.type = EntryType::symlink;
        break;
      case '3':
        entry.type = EntryType::char_device;
        break;
      case '4':
        entry.type = EntryType::block_device;
        break;
      case '5':
        entry.type = EntryType::directory;
        break;
      case '6':
        entry.type = EntryType::fifo;
        break;
      case 'S':
        return bad(at, "\"" + entry.name.substr(0, 200) + "\" is a sparse file, which is not supported");
      case 'M':
      case 'V':
        return bad(at, "multi-volume archives are not supported");
      default:
        return bad(at, std::string("unknown entry type '") + block[156] + "'");
    }
    if (entry.type == EntryType::char_device || entry.type == EntryType::block_device) {
      const std::optional<std::int64_t> major = number(field(329, 8)), minor = number(field(337, 8));
      if (!major || !minor || *major < 0 || *minor < 0) return bad(at, "device number is malformed");
      entry.device_major = static_cast<std::uint32_t>(*major);
      entry.device_minor = static_cast<std::uint32_t>(*minor);
    }
    // Some archivers give links a size although nothing follows; archive/tar ignores it there, and so do we.
    const bool has_contents = entry.type == EntryType::file;
    if (has_contents) entry.size_bytes = static_cast<std::uint64_t>(size);
    if (++entries > limits.entries_max)
      return Error{ErrorCode::too_large, "tar: more than " + std::to_string(limits.entries_max) + " entries"};
    bytes += entry.size_bytes;
    if (entry.size_bytes > limits.bytes_max || bytes > limits.bytes_max) {
      return Error{ErrorCode::too_large, "tar: contents of more than " + std::to_string(limits.bytes_max) + " bytes"};
    }
    content_left = without_contents ? 0 : entry.size_bytes;
    padding_left = padding_bytes(entry.size_bytes);
    return std::optional<TarEntry>(std::move(entry));
  }

  Result<void> drain() {
    TRY(finish_entry());
    for (;;) {
      const std::string_view have = TRY(want(1));
      if (have.empty()) break;
      take(buffer.size() - used, false);
    }
    ended = true;
    return {};
  }
};

TarReader::TarReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TarReader::TarReader(TarReader&&) noexcept = default;
TarReader::~TarReader() = default;

TarReader::TarReader(ByteSource source, ArchiveLimits limits, std::function<void(std::string_view)> raw)
    : impl_(std::make_unique<Impl>()) {
  impl_->source = std::move(source);
  impl_->limits = limits;
  impl_->raw = std::move(raw);
}

TarReader TarReader::without_contents(ByteSource source, ArchiveLimits limits,
                                      std::function<void(std::string_view)> raw) {
  TarReader reader(std::move(source), limits, std::move(raw));
  reader.impl_->without_contents = true;
  return reader;
}

Result<std::optional<TarEntry>> TarReader::next() {
  if (impl_->ended) return std::optional<TarEntry>();
  return impl_->next();
}
Result<std::string> TarReader::read_some() {
  return impl_->content_piece();
}
Result<void> TarReader::drain() {
  return impl_->drain();
}

std::size_t padding_bytes(std::uint64_t size_bytes) {
  return (kBlock - size_bytes % kBlock) % kBlock;
}

namespace {

void put_octal(char* field, std::size_t width, std::uint64_t value) {
  field[width - 1] = '\0';
  for (std::size_t i = width - 1; i-- > 0;) {
    field[i] = static_cast<char>('0' + value % 8);
    value /= 8;
  }
}

bool fits_octal(std::uint64_t value, std::size_t width) {
  return value < (std::uint64_t{1} << (3 * (width - 1)));
}

char type_flag(EntryType type) {
  switch (type) {
    case EntryType::file:
      return '0';
    case EntryType::hard_link:
      return '1';
    case EntryType::symlink:
      return '2';
    case EntryType::char_device:
      return '3';
    case EntryType::block_device:
      return '4';
    case EntryType::directory:
      return '5';
    case EntryType::fifo:
      return '6';
  }
  return '0';
}

std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t base = key.size() + value.size() + 3;  // space, '=', newline
  std::size_t length = base + 1;
  while (std::to_string(length).size() + base != length) length = std::to_string(length).size() + base;
  return std::to_string(length) + " " + std::string(key) + "=" + std::string(value) + "\n";
}

// One block. Fields that do not fit are cut: the PAX records before it have them whole.
void append_block(std::string& out, const TarEntry& e, char flag, std::string_view name, std::uint64_t size) {
  char block[kBlock] = {};
  std::memcpy(block, name.data(), std::min<std::size_t>(name.size(), 100));
  put_octal(block + 100, 8, e.mode & 07777);
  put_octal(block + 108, 8, fits_octal(e.uid, 8) ? e.uid : 0);
  put_octal(block + 116, 8, fits_octal(e.gid, 8) ? e.gid : 0);
  put_octal(block + 124, 12, fits_octal(size, 12) ? size : 0);
  const std::uint64_t mtime = e.mtime_s < 0 ? 0 : static_cast<std::uint64_t>(e.mtime_s);
  put_octal(block + 136, 12, fits_octal(mtime, 12) ? mtime : 0);
  std::memset(block + 148, ' ', 8);
  block[156] = flag;
  std::memcpy(block + 157, e.link.data(), std::min<std::size_t>(e.link.size(), 100));
  std::memcpy(block + 257, "ustar\00000", 8);
  std::memcpy(block + 265, e.user.data(), std::min<std::size_t>(e.user.size(), 31));
  std::memcpy(block + 297, e.group.data(), std::min<std::size_t>(e.group.size(), 31));
  if (e.type == EntryType::char_device || e.type == EntryType::block_device) {
    put_octal(block + 329, 8, e.device_major);
    put_octal(block + 337, 8, e.device_minor);
  }
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put_octal(block + 148, 7, sum);
  block[155] = ' ';
  out.append(block, kBlock);
}

}  // namespace

void append_header(std::string& out, const TarEntry& e) {
  std::string pax;
  if (e.name.size() > 100) pax += pax_record("path", e.name);
  if (e.link.size() > 100) pax += pax_record("linkpath", e.link);
  if (!fits_octal(e.uid, 8)) pax += pax_record("uid", std::to_string(e.uid));
  if (!fits_octal(e.gid, 8)) pax += pax_record("gid", std::to_string(e.gid));
  if (!fits_octal(e.size_bytes, 12)) pax += pax_record("size", std::to_string(e.size_bytes));
  if (e.mtime_ns != 0) {
    const bool before_1970 = e.mtime_s < 0;  // -1.5 is held as -2 s and half a second
    std::string digits = std::to_string(before_1970 ? 1'000'000'000 - e.mtime_ns : e.mtime_ns);
    digits.insert(0, 9 - digits.size(), '0');
    const std::string sign = before_1970 ? "-" : "";
    pax += pax_record("mtime", sign + std::to_string(before_1970 ? -(e.mtime_s + 1) : e.mtime_s) + "." + digits);
  } else if (e.mtime_s < 0 || !fits_octal(static_cast<std::uint64_t>(e.mtime_s), 12)) {
    pax += pax_record("mtime", std::to_string(e.mtime_s));
  }
  for (const auto& [name, value] : e.xattrs) pax += pax_record(std::string(kXattrPrefix) + name, value);
  if (!pax.empty()) {
    TarEntry header;
    header.mode = 0644;
    append_block(out, header, 'x', "PaxHeaders/" + e.name.substr(0, 80), pax.size());
    out += pax;
    out.append(padding_bytes(pax.size()), '\0');
  }
  append_block(out, e, type_flag(e.type), e.name, e.type == EntryType::file ? e.size_bytes : 0);
}

}  // namespace caisson::content
