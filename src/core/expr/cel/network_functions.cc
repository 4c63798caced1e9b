// SPDX-License-Identifier: Apache-2.0
// Kubernetes' ip and cidr libraries: addresses as Go's netip parses them, without zones and IPv4-mapped forms.
#include <arpa/inet.h>

#include <array>
#include <cstring>
#include <optional>

#include "core/base/text.h"
#include "core/expr/cel/environment.h"

namespace caisson::cel {
namespace {

using Arguments = std::span<const Value>;

struct Address {
  std::array<unsigned char, 16> bytes{};  // the first 4 of IPv4
  bool is_v4 = false;
  bool operator==(const Address&) const = default;
  int bits() const { return is_v4 ? 32 : 128; }
};

bool is_v4_mapped(const Address& a) {
  for (int i = 0; i < 10; ++i) {
    if (a.bytes[static_cast<std::size_t>(i)] != 0) return false;
  }
  return !a.is_v4 && a.bytes[10] == 0xff && a.bytes[11] == 0xff;
}

// Go refuses leading zeros in IPv4, and so does inet_pton.
Result<Address> parse_address(std::string_view text, std::string_view what) {
  const std::string copy(text);
  Address out;
  if (text.find('%') != std::string_view::npos) return bad(std::string(what) + " with zone value is not allowed");
  if (inet_pton(AF_INET, copy.c_str(), out.bytes.data()) == 1) {
    out.is_v4 = true;
    return out;
  }
  if (copy.size() != std::strlen(copy.c_str()) || inet_pton(AF_INET6, copy.c_str(), out.bytes.data()) != 1)
    return bad(std::string(what) + " '" + copy + "' parse error during conversion from string");
  if (is_v4_mapped(out)) return bad("IPv4-mapped IPv6 address is not allowed");
  return out;
}

std::string text_of(const Address& address) {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(address.is_v4 ? AF_INET : AF_INET6, address.bytes.data(), buffer, sizeof buffer);
  return buffer;
}

struct Prefix {
  Address address;
  int length = 0;
  bool operator==(const Prefix&) const = default;
};

Result<Prefix> parse_prefix(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  const auto fail = [&] {
    return bad("network address parse error during conversion from string: '" + std::string(text) + "'");
  };
  if (slash == std::string_view::npos) return fail();
  Prefix out;
  if (text.find('%') != std::string_view::npos) return bad("CIDR with zone value is not allowed");
  out.address = TRY(parse_address(text.substr(0, slash), "CIDR"));
  const std::string_view digits = text.substr(slash + 1);
  const auto length = parse_int(digits);
  if (!length || digits.empty() || digits[0] < '0' || digits[0] > '9' || (digits.size() > 1 && digits[0] == '0') ||
      *length > out.address.bits())
    return fail();
  out.length = static_cast<int>(*length);
  return out;
}

Address masked(const Address& address, int length) {
  Address out = address;
  for (int i = 0; i < 16; ++i) {
    const int kept = std::clamp(length - 8 * i, 0, 8);
    out.bytes[static_cast<std::size_t>(i)] &= static_cast<unsigned char>(0xff00 >> kept);
  }
  return out;
}

class AddressObject : public Object {
 public:
  explicit AddressObject(Address address) : address_(address) {}
  Type type() const override { return Type::opaque("net.IP"); }
  bool equals(const Object& other) const override {
    const auto* address = dynamic_cast<const AddressObject*>(&other);
    return address != nullptr && address->address_ == address_;
  }
  std::uint64_t size() const override { return static_cast<std::uint64_t>(address_.bits() / 8); }
  const Address& address() const { return address_; }

 private:
  Address address_;
};

class PrefixObject : public Object {
 public:
  explicit PrefixObject(Prefix prefix) : prefix_(prefix) {}
  Type type() const override { return Type::opaque("net.CIDR"); }
  bool equals(const Object& other) const override {
    const auto* prefix = dynamic_cast<const PrefixObject*>(&other);
    return prefix != nullptr && prefix->prefix_ == prefix_;
  }
  std::uint64_t size() const override { return static_cast<std::uint64_t>((prefix_.length + 7) / 8); }
  const Prefix& prefix() const { return prefix_; }

 private:
  Prefix prefix_;
};

const Address& address_of(const Value& v) {
  return static_cast<const AddressObject&>(v.as_object()).address();
}
const Prefix& prefix_of(const Value& v) {
  return static_cast<const PrefixObject&>(v.as_object()).prefix();
}
Value make(Address address) {
  return Value(std::make_shared<const AddressObject>(address));
}
Value make(Prefix prefix) {
  return Value(std::make_shared<const PrefixObject>(prefix));
}

Result<Value> ip(Arguments a) {
  return make(TRY(parse_address(a[0].as_string(), "IP Address")));
}
Result<Value> is_ip(Arguments a) {
  return Value(parse_address(a[0].as_string(), "").ok());
}
Result<Value> is_canonical(Arguments a) {
  const Address address = TRY(parse_address(a[0].as_string(), "IP Address"));
  return Value(text_of(address) == a[0].as_string());
}
Result<Value> ip_text(Arguments a) {
  return Value::string(text_of(address_of(a[0])));
}
Result<Value> family(Arguments a) {
  return Value(std::int64_t{address_of(a[0]).is_v4 ? 4 : 6});
}

bool is_unspecified(const Address& a) {
  return a.bytes == Address{}.bytes;
}
bool is_loopback(const Address& a) {
  if (a.is_v4) return a.bytes[0] == 127;
  Address one;
  one.bytes[15] = 1;
  return a == one;
}
bool is_multicast(const Address& a) {
  return a.is_v4 ? (a.bytes[0] & 0xf0) == 0xe0 : a.bytes[0] == 0xff;
}
bool is_link_local_multicast(const Address& a) {
  if (a.is_v4) return a.bytes[0] == 224 && a.bytes[1] == 0 && a.bytes[2] == 0;
  return a.bytes[0] == 0xff && (a.bytes[1] & 0x0f) == 2;
}
bool is_link_local_unicast(const Address& a) {
  if (a.is_v4) return a.bytes[0] == 169 && a.bytes[1] == 254;
  return a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80;
}
bool is_broadcast(const Address& a) {
  return a.is_v4 && a.bytes[0] == 255 && a.bytes[1] == 255 && a.bytes[2] == 255 && a.bytes[3] == 255;
}
bool is_global_unicast(const Address& a) {
  return !is_broadcast(a) && !is_unspecified(a) && !is_loopback(a) && !is_multicast(a) && !is_link_local_unicast(a);
}
template <bool (*Holds)(const Address&)>
Result<Value> test(Arguments a) {
  return Value(Holds(address_of(a[0])));
}

Result<Value> cidr(Arguments a) {
  return make(TRY(parse_prefix(a[0].as_string())));
}
Result<Value> is_cidr(Arguments a) {
  return Value(parse_prefix(a[0].as_string()).ok());
}
Result<Value> cidr_text(Arguments a) {
  const Prefix& prefix = prefix_of(a[0]);
  return Value::string(text_of(prefix.address) + "/" + std::to_string(prefix.length));
}
bool contains(const Prefix& prefix, const Address& address) {
  return prefix.address.is_v4 == address.is_v4 &&
         masked(prefix.address, prefix.length) == masked(address, prefix.length);
}
Result<Value> contains_ip(Arguments a) {
  if (a[1].is(Kind::string))
    return Value(contains(prefix_of(a[0]), TRY(parse_address(a[1].as_string(), "IP Address"))));
  return Value(contains(prefix_of(a[0]), address_of(a[1])));
}
Result<Value> contains_cidr(Arguments a) {
  const Prefix other = a[1].is(Kind::string) ? TRY(parse_prefix(a[1].as_string())) : prefix_of(a[1]);
  return Value(contains(prefix_of(a[0]), other.address) && prefix_of(a[0]).length <= other.length);
}
Result<Value> cidr_ip(Arguments a) {
  return make(prefix_of(a[0]).address);
}
Result<Value> cidr_masked(Arguments a) {
  const Prefix& prefix = prefix_of(a[0]);
  return make(Prefix{masked(prefix.address, prefix.length), prefix.length});
}
Result<Value> prefix_length(Arguments a) {
  return Value(std::int64_t{prefix_of(a[0]).length});
}

std::uint64_t cost_of_contains_ip(Arguments a, const Value&) {
  return string_cost(2 * actual_size(a[0])) + (a[1].is(Kind::string) ? string_cost(actual_size(a[1])) : 0);
}
std::uint64_t cost_of_contains_cidr(Arguments a, const Value& result) {
  return cost_of_contains_ip(a, result) + string_cost(actual_size(a[0])) + 1;
}

constexpr Declaration kIp[] = {
    {"ip(string): net.IP", ip, cost_of_first},
    {"isIP(string): bool", is_ip, cost_of_first},
    {"ip.isCanonical(string): bool", is_canonical, cost_twice_first},
    {"string(net.IP): string", ip_text},
    {"(net.IP).family(): int", family},
    {"(net.IP).isUnspecified(): bool", test<is_unspecified>},
    {"(net.IP).isLoopback(): bool", test<is_loopback>},
    {"(net.IP).isLinkLocalMulticast(): bool", test<is_link_local_multicast>},
    {"(net.IP).isLinkLocalUnicast(): bool", test<is_link_local_unicast>},
    {"(net.IP).isGlobalUnicast(): bool", test<is_global_unicast>},
};

constexpr Declaration kCidr[] = {
    {"cidr(string): net.CIDR", cidr, cost_of_first},
    {"isCIDR(string): bool", is_cidr, cost_of_first},
    {"string(net.CIDR): string", cidr_text},
    {"(net.CIDR).containsIP(string): bool", contains_ip, cost_of_contains_ip},
    {"(net.CIDR).containsIP(net.IP): bool", contains_ip, cost_of_contains_ip},
    {"(net.CIDR).containsCIDR(string): bool", contains_cidr, cost_of_contains_cidr},
    {"(net.CIDR).containsCIDR(net.CIDR): bool", contains_cidr, cost_of_contains_cidr},
    {"(net.CIDR).ip(): net.IP", cidr_ip},
    {"(net.CIDR).masked(): net.CIDR", cidr_masked},
    {"(net.CIDR).prefixLength(): int", prefix_length},
};

}  // namespace

std::span<const Declaration> ip_functions() {
  return kIp;
}
std::span<const Declaration> cidr_functions() {
  return kCidr;
}

}  // namespace caisson::cel
