// SPDX-License-Identifier: Apache-2.0
// See ipam.h.
#include "machine/network/ipam.h"

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::network {

Result<Ipam> Ipam::open(const std::string& path, Cidr range) {
  Ipam out(path, range);
  if (!exists(path)) return out;
  const std::string text = TRY(read_file(path).in("read pod addresses"));
  int number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    if (line.empty()) continue;
    const auto words = split(line, ' ');
    const auto offset = words.size() == 2 && words[0] == "next" ? parse_int(words[1]) : std::nullopt;
    if (offset) {
      out.next_ = static_cast<std::uint64_t>(*offset);
    } else if (words.size() == 3 && words[0] == "pod") {
      const std::uint32_t address = TRY(parse_ipv4(words[2]).in(path + ": line " + std::to_string(number)));
      if (!range.contains(address)) continue;  // the range was changed by hand; such a pod gets a new address
      out.by_pod_[std::string(words[1])] = address;
      out.by_address_[address] = std::string(words[1]);
    } else {
      return Error{ErrorCode::internal,
                   path + ": line " + std::to_string(number) + " is neither \"next N\" nor \"pod UID IP\""};
    }
  }
  return out;
}

Result<void> Ipam::save() const {
  std::string text = "next " + std::to_string(next_) + "\n";
  for (const auto& [pod, address] : by_pod_) text += "pod " + pod + " " + format_ipv4(address) + "\n";
  return write_file(path_, text, 0600);
}

Result<std::uint32_t> Ipam::take(std::string_view pod_uid, std::optional<std::uint32_t> want) {
  if (const auto has = find(pod_uid); has && (!want || *want == *has)) return *has;
  const std::uint32_t first = range_.first();
  std::uint32_t chosen = 0;
  if (want) {
    const auto owner = by_address_.find(*want);
    if (owner != by_address_.end())
      return Error{ErrorCode::already_exists, "address " + format_ipv4(*want) + " belongs to pod " + owner->second};
    if (!range_.contains(*want) || *want <= first + 1)
      return Error{ErrorCode::invalid, "address " + format_ipv4(*want) + " is not for pods of " + range_.str()};
    chosen = *want;
  } else {
    const std::uint64_t usable = range_.size() < 4 ? 0 : range_.size() - 3;  // without network, node and broadcast
    for (std::uint64_t tried = 0; tried < usable && !chosen; ++tried) {
      if (next_ < 2 || next_ >= range_.size() - 1) next_ = 2;
      const auto candidate = static_cast<std::uint32_t>(first + next_++);
      if (!by_address_.contains(candidate)) chosen = candidate;
    }
    if (!chosen) return Error{ErrorCode::unavailable, "every address of the pod range " + range_.str() + " is in use"};
  }
  const std::string pod(pod_uid);
  const auto before = find(pod);
  if (before) by_address_.erase(*before);
  by_pod_[pod] = chosen;
  by_address_[chosen] = pod;
  TRY(save());
  return chosen;
}

Result<void> Ipam::give_back(std::string_view pod_uid) {
  const auto found = by_pod_.find(pod_uid);
  if (found == by_pod_.end()) return {};
  by_address_.erase(found->second);
  by_pod_.erase(found);
  return save();
}

std::optional<std::uint32_t> Ipam::find(std::string_view pod_uid) const {
  const auto found = by_pod_.find(pod_uid);
  if (found == by_pod_.end()) return std::nullopt;
  return found->second;
}

}  // namespace caisson::network
