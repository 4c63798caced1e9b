// SPDX-License-Identifier: Apache-2.0
// Which pod has which address: a file that is rewritten durably before anything is made of a change. Lines: "next N"
// (the offset where the search for a free address goes on, so that a freed address is used again last) and "pod UID
// ADDRESS".
//
// Invariant: no two pods share an address; the first address (the node's) and the last are never given. One thread at a
// time.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "machine/network/netlink.h"

namespace caisson::network {

class Ipam {
 public:
  // Errors: internal when the file can't be read or a line of it isn't understood, with its number.
  static Result<Ipam> open(const std::string& path, Cidr range);
  // Idempotent. Errors: already_exists (`want` is another pod's), invalid (`want` outside the range), unavailable (used
  // up).
  Result<std::uint32_t> take(std::string_view pod_uid, std::optional<std::uint32_t> want);
  Result<void> give_back(std::string_view pod_uid);
  std::optional<std::uint32_t> find(std::string_view pod_uid) const;
  const std::map<std::string, std::uint32_t, std::less<>>& pods() const { return by_pod_; }

 private:
  Ipam(std::string path, Cidr range) : path_(std::move(path)), range_(range) {}
  Result<void> save() const;
  std::string path_;
  Cidr range_;
  std::uint64_t next_ = 2;
  std::map<std::string, std::uint32_t, std::less<>> by_pod_;
  std::map<std::uint32_t, std::string> by_address_;
};

}  // namespace caisson::network
