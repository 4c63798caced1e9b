// SPDX-License-Identifier: Apache-2.0
// nftables in this process: libnftables is opened on first use, so that a program that never needs it never loads it. A
// text is one transaction: all of it is in force or nothing. Works in the network namespace of the thread that calls.
// One thread at a time.
#pragma once
#include <memory>
#include <string>

#include "core/base/result.h"

namespace caisson::network {

class Nft {
 public:
  // Errors: not_found when libnftables isn't installed.
  static Result<Nft> open();
  Nft(Nft&&) noexcept;
  Nft& operator=(Nft&&) noexcept;
  ~Nft();
  // Runs commands as nft(8) reads them and gives their output. Errors: internal, with nft's own words.
  Result<std::string> run(const std::string& commands);

 private:
  struct Impl;
  explicit Nft(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::network
