// SPDX-License-Identifier: Apache-2.0
// See dns_message.h.
#include "machine/network/dns_message.h"

#include "core/base/text.h"

namespace caisson::network::dns {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kRecordsMax = 512;
constexpr std::size_t kUdpBytesMax = 1232;  // DNS flag day 2020: no fragments

Error malformed(const char* what) {
  return {ErrorCode::bad_request, std::string("malformed DNS message: ") + what};
}

// Reads forward through a packet; every method checks the bounds.
class Reader {
 public:
  explicit Reader(std::string_view packet, std::size_t at = 0) : packet_(packet), at_(at) {}
  std::size_t at() const { return at_; }
  bool has(std::size_t count) const { return packet_.size() - at_ >= count; }

  Result<std::uint16_t> u16() {
    if (!has(2)) return malformed("too short");
    const auto value = static_cast<std::uint16_t>((byte(at_) << 8) | byte(at_ + 1));
    at_ += 2;
    return value;
  }
  Result<std::uint32_t> u32() {
    const std::uint16_t high = TRY(u16());
    const std::uint16_t low = TRY(u16());
    return (std::uint32_t(high) << 16) | low;
  }
  Result<void> skip(std::size_t count) {
    if (!has(count)) return malformed("too short");
    at_ += count;
    return {};
  }

  // A name, dotted, lower case. Pointers must lead backwards, so that the walk ends.
  Result<std::string> name() {
    std::string out;
    std::size_t at = at_, limit = packet_.size();
    bool jumped = false;
    for (;;) {
      if (at >= limit) return malformed("name beyond the end");
      const unsigned length = byte(at);
      if (length == 0) {
        if (!jumped) at_ = at + 1;
        return out;
      }
      if ((length & 0xc0) == 0xc0) {
        if (at + 1 >= packet_.size()) return malformed("pointer beyond the end");
        const std::size_t target = ((length & 0x3f) << 8) | byte(at + 1);
        if (target >= at) return malformed("pointer that doesn't lead backwards");
        if (!jumped) at_ = at + 2;
        jumped = true;
        limit = at;
        at = target;
        continue;
      }
      if (length > 63 || at + 1 + length > packet_.size()) return malformed("label too long");
      if (!out.empty()) out += '.';
      for (unsigned i = 0; i < length; ++i) out += escape(packet_[at + 1 + i]);
      if (out.size() > 255) return malformed("name too long");
      at += 1 + length;
    }
  }

 private:
  unsigned byte(std::size_t at) const { return static_cast<unsigned char>(packet_[at]); }
  // A dot or control byte inside a label can be no name of ours: it is shown as '?', which matches nothing.
  static char escape(char c) {
    if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
    return c == '.' || static_cast<unsigned char>(c) <= ' ' ? '?' : c;
  }
  std::string_view packet_;
  std::size_t at_;
};

void put_u16(std::string& out, unsigned value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value);
}
void put_u32(std::string& out, std::uint32_t value) {
  put_u16(out, value >> 16);
  put_u16(out, value & 0xffff);
}

std::string encode_name(std::string_view name) {
  std::string out;
  if (!name.empty()) {
    for (const std::string_view label : split(name, '.')) {
      const std::string_view cut = label.substr(0, 63);
      if (cut.empty()) continue;
      out += static_cast<char>(cut.size());
      out += cut;
    }
  }
  out += '\0';
  return out;
}

void put_record(std::string& out, const Record& record, std::string_view question_name) {
  if (record.name == question_name)
    put_u16(out, 0xc000 | kHeaderBytes);
  else
    out += encode_name(record.name);
  put_u16(out, record.type);
  put_u16(out, 1);
  put_u32(out, record.ttl_s);
  put_u16(out, static_cast<unsigned>(record.data.size()));
  out += record.data;
}

std::string assemble(const Query& query, const Answer& answer, bool truncated) {
  std::string out;
  put_u16(out, query.id);
  const unsigned flags = 0x8000 | (answer.authoritative ? 0x0400 : 0) | (truncated ? 0x0200 : 0) |
                         (query.recursion_desired ? 0x0100 : 0) | 0x0080 | static_cast<unsigned>(answer.code);
  put_u16(out, flags);
  put_u16(out, 1);
  put_u16(out, truncated ? 0 : static_cast<unsigned>(answer.answers.size()));
  put_u16(out, truncated ? 0 : static_cast<unsigned>(answer.authority.size()));
  put_u16(out, static_cast<unsigned>((truncated ? 0 : answer.additional.size()) + (query.edns ? 1 : 0)));
  out += query.question;
  if (!truncated)
    for (const auto* section : {&answer.answers, &answer.authority, &answer.additional})
      for (const Record& record : *section) put_record(out, record, query.name);
  if (query.edns) {
    out += '\0';
    put_u16(out, kOpt);
    put_u16(out, kUdpBytesMax);
    put_u32(out, 0);
    put_u16(out, 0);
  }
  return out;
}

struct Fixed {
  std::uint16_t type = 0, klass = 0, length = 0;
  std::uint32_t ttl_s = 0;
  std::size_t ttl_at = 0;
};
Result<Fixed> read_fixed(Reader& reader) {
  Fixed out;
  out.type = TRY(reader.u16());
  out.klass = TRY(reader.u16());
  out.ttl_at = reader.at();
  out.ttl_s = TRY(reader.u32());
  out.length = TRY(reader.u16());
  if (!reader.has(out.length)) return malformed("record beyond the end");
  return out;
}

}  // namespace

Result<Query> parse_query(std::string_view packet) {
  Reader reader(packet);
  Query out;
  out.id = TRY(reader.u16());
  const std::uint16_t flags = TRY(reader.u16());
  if (flags & 0x8000) return malformed("a response where a query is expected");
  if (flags & 0x7800) return malformed("an operation other than QUERY");
  out.recursion_desired = (flags & 0x0100) != 0;
  const std::uint16_t questions = TRY(reader.u16());
  const std::uint16_t answers = TRY(reader.u16());
  const std::uint16_t authorities = TRY(reader.u16());
  const std::uint16_t additionals = TRY(reader.u16());
  if (questions != 1 || answers != 0 || authorities != 0 || additionals > 16) return malformed("not one question");
  const std::size_t begin = reader.at();
  out.name = TRY(reader.name());
  out.type = TRY(reader.u16());
  out.klass = TRY(reader.u16());
  out.question = packet.substr(begin, reader.at() - begin);
  // The bytes are used again in the answer, so they may not point elsewhere.
  if (out.question.size() != out.name.size() + (out.name.empty() ? 5 : 6)) return malformed("compressed question");
  for (int i = 0; i < additionals; ++i) {
    TRY(reader.name());
    const Fixed fixed = TRY(read_fixed(reader));
    TRY(reader.skip(fixed.length));
    if (fixed.type != kOpt) continue;
    out.edns = true;
    out.udp_bytes_max = std::clamp<std::size_t>(fixed.klass, 512, kUdpBytesMax);
  }
  return out;
}

Record make_a(std::string name, std::uint32_t ttl_s, std::uint32_t ipv4) {
  Record out{std::move(name), kA, ttl_s, {}};
  put_u32(out.data, ipv4);
  return out;
}

Record make_name(std::string name, std::uint16_t type, std::uint32_t ttl_s, std::string_view target) {
  return {std::move(name), type, ttl_s, encode_name(target)};
}

Record make_srv(std::string name, std::uint32_t ttl_s, int port, std::string_view target) {
  Record out{std::move(name), kSrv, ttl_s, {}};
  put_u16(out.data, 0);
  put_u16(out.data, 100);
  put_u16(out.data, static_cast<unsigned>(port));
  out.data += encode_name(target);
  return out;
}

Record make_soa(std::string zone, std::uint32_t ttl_s) {
  Record out{zone, kSoa, ttl_s, encode_name("ns.dns." + zone) + encode_name("hostmaster." + zone)};
  for (const std::uint32_t value : {1u, 7200u, 1800u, 86400u, ttl_s}) put_u32(out.data, value);
  return out;
}

std::string make_response(const Query& query, const Answer& answer, std::size_t size_bytes_max) {
  std::string out = assemble(query, answer, false);
  if (out.size() <= size_bytes_max) return out;
  Answer smaller = answer;
  smaller.additional.clear();
  out = assemble(query, smaller, false);
  return out.size() <= size_bytes_max ? out : assemble(query, answer, true);
}

std::string make_error(std::string_view packet, Code code) {
  if (packet.size() < kHeaderBytes || (static_cast<unsigned char>(packet[2]) & 0x80)) return {};
  std::string out(packet.substr(0, 2));
  put_u16(out, 0x8000 | static_cast<unsigned>(code));
  out.append(8, '\0');
  return out;
}

std::string make_query(std::uint16_t id, std::string_view name, std::uint16_t type) {
  std::string out;
  put_u16(out, id);
  put_u16(out, 0x0100);
  put_u16(out, 1);
  out.append(6, '\0');
  out += encode_name(name);
  put_u16(out, type);
  put_u16(out, 1);
  return out;
}

Result<Reply> parse_reply(std::string_view packet) {
  Reader reader(packet);
  Reply out;
  out.id = TRY(reader.u16());
  const std::uint16_t flags = TRY(reader.u16());
  if (!(flags & 0x8000)) return malformed("a query where a response is expected");
  out.truncated = (flags & 0x0200) != 0;
  out.code = static_cast<Code>(flags & 15);
  const std::uint16_t questions = TRY(reader.u16());
  const std::uint16_t answers = TRY(reader.u16());
  const std::uint16_t authorities = TRY(reader.u16());
  const std::uint16_t additionals = TRY(reader.u16());
  if (questions != 1) return malformed("not one question");
  const std::size_t begin = reader.at();
  TRY(reader.name());
  TRY(reader.skip(4));
  out.question = packet.substr(begin, reader.at() - begin);
  const std::size_t records = std::size_t(answers) + authorities + additionals;
  if (records > kRecordsMax) return malformed("too many records");
  out.ttl_s_min = records ? 3600 : 0;
  for (std::size_t i = 0; i < records; ++i) {
    Record record;
    record.name = TRY(reader.name());
    const Fixed fixed = TRY(read_fixed(reader));
    const std::size_t data_at = reader.at();
    TRY(reader.skip(fixed.length));
    if (fixed.type == kOpt) continue;
    out.ttl_at.push_back(fixed.ttl_at);
    if (i < std::size_t(answers) + authorities) out.ttl_s_min = std::min(out.ttl_s_min, fixed.ttl_s);
    if (i >= answers) continue;
    record.type = fixed.type;
    record.ttl_s = fixed.ttl_s;
    record.data = packet.substr(data_at, fixed.length);
    if (fixed.type == kCname) {
      Reader inner(packet, data_at);
      const std::string target = TRY(inner.name());
      record.data = encode_name(target);
    }
    if (fixed.type == kCname || fixed.type == kA || fixed.type == kAaaa) out.answers.push_back(std::move(record));
  }
  return out;
}

std::uint32_t read_u32(std::string_view packet, std::size_t at) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; i < 4; ++i) out = (out << 8) | static_cast<unsigned char>(packet[at + i]);
  return out;
}

void write_u32(std::string& packet, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) packet[at + i] = static_cast<char>(value >> (24 - 8 * i));
}

}  // namespace caisson::network::dns
