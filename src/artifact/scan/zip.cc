// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/zip.h"

#include "artifact/content/compress.h"
#include "artifact/content/source.h"

namespace caisson::scan {
namespace {

constexpr std::size_t kMembersMax = 1'000'000, kEndBytes = 22, kDirectoryBytes = 46, kHeaderBytes = 30;
constexpr std::uint16_t kStored = 0, kDeflated = 8, kEncrypted = 1;

std::uint32_t number(std::string_view bytes, std::size_t at, int size) {
  std::uint32_t out = 0;
  for (int i = size - 1; i >= 0; --i)
    out = out << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  return out;
}

void put_number(std::string& out, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

Error broken(const std::string& what) {
  return {ErrorCode::bad_request, "zip: " + what};
}

// The end record is the last thing but for a comment of at most 64 KiB.
Result<std::size_t> end_record(std::string_view archive) {
  if (archive.size() < kEndBytes) return broken("too short");
  const std::size_t stop = archive.size() > kEndBytes + 65535 ? archive.size() - kEndBytes - 65535 : 0;
  for (std::size_t at = archive.size() - kEndBytes + 1; at-- > stop;) {
    if (archive.substr(at, 4) == std::string_view("PK\5\6", 4)) return at;
  }
  return broken("no end record");
}

}  // namespace

Result<std::vector<ZipMember>> zip_members(std::string_view archive) {
  const std::size_t end = TRY(end_record(archive));
  const std::size_t count = number(archive, end + 10, 2);
  std::size_t at = number(archive, end + 16, 4);
  if (at == 0xffffffff) return broken("ZIP64");
  std::vector<ZipMember> out;
  // The count wraps at 65536 in archives of old writers: the directory's end is what counts.
  while (at + kDirectoryBytes <= end && archive.substr(at, 4) == std::string_view("PK\1\2", 4)) {
    if (out.size() >= kMembersMax) return Error{ErrorCode::too_large, "zip: more than a million members"};
    ZipMember member;
    member.flags = static_cast<std::uint16_t>(number(archive, at + 8, 2));
    member.method = static_cast<std::uint16_t>(number(archive, at + 10, 2));
    member.crc = number(archive, at + 16, 4);
    member.packed_bytes = number(archive, at + 20, 4);
    member.size_bytes = number(archive, at + 24, 4);
    const std::size_t name = number(archive, at + 28, 2), extra = number(archive, at + 30, 2),
                      comment = number(archive, at + 32, 2);
    member.header_at = number(archive, at + 42, 4);
    if (at + kDirectoryBytes + name > end) return broken("directory runs over");
    member.name = archive.substr(at + kDirectoryBytes, name);
    at += kDirectoryBytes + name + extra + comment;
    out.push_back(std::move(member));
  }
  if (out.size() % 65536 != count)
    return broken("its directory has " + std::to_string(out.size()) + " members, not " + std::to_string(count));
  return out;
}

Result<std::string> zip_read(std::string_view archive, const ZipMember& member, std::size_t size_bytes_max) {
  const Error too_large{ErrorCode::too_large,
                        "zip: " + member.name + " has more than " + std::to_string(size_bytes_max) + " bytes"};
  if (member.size_bytes > size_bytes_max) return too_large;
  if ((member.flags & kEncrypted) != 0) return broken(member.name + " is encrypted");
  if (member.header_at + kHeaderBytes > archive.size()) return broken(member.name + " lies outside");
  const std::size_t begin = member.header_at + kHeaderBytes + number(archive, member.header_at + 26, 2) +
                            number(archive, member.header_at + 28, 2);
  if (begin > archive.size() || member.packed_bytes > archive.size() - begin)
    return broken(member.name + " lies outside");
  const std::string_view packed = archive.substr(begin, member.packed_bytes);
  if (member.method == kStored) return std::string(packed);
  if (member.method != kDeflated) return broken(member.name + " is packed by method " + std::to_string(member.method));
  // A deflate stream in gzip's frame: the one decoder of this program checks length and sum with it.
  std::string gzip("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  gzip += packed;
  put_number(gzip, member.crc);
  put_number(gzip, static_cast<std::uint32_t>(member.size_bytes));
  const content::ByteSource source = TRY(content::decompress(content::from_string(std::move(gzip))));
  return content::read_all(source, size_bytes_max).in("zip: " + member.name);
}

}  // namespace caisson::scan
