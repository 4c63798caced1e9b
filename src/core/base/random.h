// SPDX-License-Identifier: Apache-2.0
// Randomness from the kernel. Any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace caisson {

std::string random_bytes(std::size_t count);
std::string random_uuid();                           // RFC 4122 version 4
std::string random_name_suffix(std::size_t length);  // Kubernetes' alphabet: no vowels, no 0, 1, 3
std::uint64_t random_u64();

// A name-safe text of the low bits of a hash, in Kubernetes' alphabet (pod-template-hash and the like).
std::string safe_encode(std::string_view text);
std::uint32_t fnv32a(std::string_view bytes);

}  // namespace caisson
