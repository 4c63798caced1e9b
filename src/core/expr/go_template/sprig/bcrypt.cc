// SPDX-License-Identifier: Apache-2.0
// Provos and Mazières, "A Future-Adaptable Password Scheme" (USENIX 1999); Blowfish by Schneier (1993). libcrypto has
// Blowfish, but not with a state that can be salted.
#include "core/expr/go_template/sprig/bcrypt.h"

#include <openssl/bn.h>

#include <array>
#include <memory>
#include <vector>

#include "core/base/check.h"

namespace caisson::go_template::sprig {
namespace {

constexpr std::size_t kPasswordMax = 72, kSaltSize = 16, kHashSize = 23;
constexpr std::size_t kRounds = 16, kKeys = kRounds + 2, kBoxes = 4, kBoxSize = 256;
constexpr std::size_t kWords = kKeys + kBoxes * kBoxSize;

using Number = std::unique_ptr<BIGNUM, decltype(&BN_free)>;
Number make_number() {
  return {BN_new(), BN_free};
}

// arctan(1/x) × 2^bits.
Number arc_tangent_of_inverse(BN_ULONG x, int bits) {
  Number sum = make_number(), power = make_number(), term = make_number();
  BN_set_word(power.get(), 1);
  BN_lshift(power.get(), power.get(), bits);
  BN_div_word(power.get(), x);
  BN_copy(sum.get(), power.get());
  for (BN_ULONG n = 3; !BN_is_zero(power.get()); n += 2) {
    BN_div_word(power.get(), x * x);
    BN_copy(term.get(), power.get());
    BN_div_word(term.get(), n);
    CHECK((n % 4 == 3 ? BN_sub : BN_add)(sum.get(), sum.get(), term.get()) == 1);
  }
  return sum;
}

// Blowfish starts from the binary digits of pi behind its point. Machin: pi = 16 arctan(1/5) - 4 arctan(1/239).
std::array<std::uint32_t, kWords> digits_of_pi() {
  constexpr int kGuard = 64, kBits = static_cast<int>(kWords) * 32 + kGuard;
  Number pi = arc_tangent_of_inverse(5, kBits), less = arc_tangent_of_inverse(239, kBits);
  BN_lshift(pi.get(), pi.get(), 4);
  BN_lshift(less.get(), less.get(), 2);
  CHECK(BN_sub(pi.get(), pi.get(), less.get()) == 1);
  BN_rshift(pi.get(), pi.get(), kGuard);
  BN_mask_bits(pi.get(), static_cast<int>(kWords) * 32);  // without the 3
  std::vector<unsigned char> bytes(kWords * 4);
  CHECK(BN_bn2binpad(pi.get(), bytes.data(), static_cast<int>(bytes.size())) > 0);
  std::array<std::uint32_t, kWords> out{};
  for (std::size_t i = 0; i < kWords; ++i) {
    for (std::size_t b = 0; b < 4; ++b) out[i] = out[i] << 8 | bytes[i * 4 + b];
  }
  return out;
}

class Blowfish {
 public:
  Blowfish() {
    static const auto initial = digits_of_pi();
    state_ = initial;
  }

  void encrypt(std::uint32_t& left, std::uint32_t& right) const {
    for (std::size_t i = 0; i < kRounds; i += 2) {
      left ^= state_[i];
      right ^= mixed(left);
      right ^= state_[i + 1];
      left ^= mixed(right);
    }
    std::swap(left, right);
    right ^= state_[kRounds];
    left ^= state_[kRounds + 1];
  }

  // The key into the round keys, and all of the state encrypted anew, salted where `salt` is not empty.
  void expand(std::string_view key, std::string_view salt) {
    std::size_t key_at = 0, salt_at = 0;
    for (std::size_t i = 0; i < kKeys; ++i) state_[i] ^= next_word(key, key_at);
    std::uint32_t left = 0, right = 0;
    for (std::size_t i = 0; i < kWords; i += 2) {
      if (!salt.empty()) {
        left ^= next_word(salt, salt_at);
        right ^= next_word(salt, salt_at);
      }
      encrypt(left, right);
      state_[i] = left;
      state_[i + 1] = right;
    }
  }

 private:
  // Four bytes of what is repeated without end.
  static std::uint32_t next_word(std::string_view bytes, std::size_t& at) {
    std::uint32_t word = 0;
    for (int i = 0; i < 4; ++i) {
      word = word << 8 | static_cast<unsigned char>(bytes[at]);
      at = (at + 1) % bytes.size();
    }
    return word;
  }

  std::uint32_t mixed(std::uint32_t x) const {
    const std::uint32_t* boxes = state_.data() + kKeys;
    return ((boxes[x >> 24] + boxes[kBoxSize + (x >> 16 & 0xFF)]) ^ boxes[2 * kBoxSize + (x >> 8 & 0xFF)]) +
           boxes[3 * kBoxSize + (x & 0xFF)];
  }

  std::array<std::uint32_t, kWords> state_;  // round keys, then boxes
};

// bcrypt's own base64: another alphabet, no padding.
std::string encoded(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (count += 8; count >= 6; count -= 6) out += kAlphabet[bits >> (count - 6) & 63];
  }
  if (count > 0) out += kAlphabet[bits << (6 - count) & 63];
  return out;
}

}  // namespace

Result<std::string> bcrypt_hash(std::string_view password, std::string_view salt, int cost) {
  CHECK(salt.size() == kSaltSize && cost >= 4 && cost <= 31);
  if (password.size() > kPasswordMax) return Error{ErrorCode::invalid, "bcrypt: password length exceeds 72 bytes"};
  const std::string key = std::string(password) + '\0';
  Blowfish cipher;
  cipher.expand(key, salt);
  for (std::uint32_t i = 0; i < 1u << cost; ++i) {
    cipher.expand(key, {});
    cipher.expand(salt, {});
  }
  std::string text = "OrpheanBeholderScryDoubt";
  for (std::size_t at = 0; at < text.size(); at += 8) {
    std::uint32_t halves[2] = {};
    for (std::size_t i = 0; i < 8; ++i) halves[i / 4] = halves[i / 4] << 8 | static_cast<unsigned char>(text[at + i]);
    for (int i = 0; i < 64; ++i) cipher.encrypt(halves[0], halves[1]);
    for (std::size_t i = 0; i < 8; ++i) text[at + i] = static_cast<char>(halves[i / 4] >> (24 - i % 4 * 8));
  }
  return "$2a$" + std::string(cost < 10 ? "0" : "") + std::to_string(cost) + "$" + encoded(salt) +
         encoded(std::string_view(text).substr(0, kHashSize));
}

}  // namespace caisson::go_template::sprig
