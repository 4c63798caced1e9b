// SPDX-License-Identifier: Apache-2.0
// See dns_config.h.
#include "machine/network/dns_config.h"

#include <algorithm>

#include "core/base/text.h"
#include "machine/network/dns_server.h"
#include "machine/network/netlink.h"

namespace caisson::network::dns {
namespace {

constexpr std::size_t kBytesMax = 1u << 20, kHostsMax = 10'000, kResolversMax = 15;
constexpr std::uint32_t kTtl = 5;

// Plugins whose work is done here without being asked for, or that only make CoreDNS itself run.
constexpr std::string_view kDoneAnyway[] = {"bufsize",    "cache",    "errors",      "health", "import",
                                            "kubernetes", "lameduck", "loadbalance", "log",    "loop",
                                            "prometheus", "ready",    "reload"};

std::string plain(std::string_view name) {
  std::string out = to_lower(name);
  while (!out.empty() && out.back() == '.') out.pop_back();
  return out;
}

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> out;
  line = line.substr(0, line.find('#'));
  std::size_t at = 0;
  while (at < line.size()) {
    const std::size_t begin = line.find_first_not_of(" \t\r", at);
    if (begin == line.npos) break;
    const std::size_t end = std::min(line.find_first_of(" \t\r", begin), line.size());
    out.emplace_back(line.substr(begin, end - begin));
    at = end;
  }
  return out;
}

class Reader {
 public:
  Config config;

  // Server blocks: "zone[:port]... {", lines, "}".
  void server_blocks(std::string_view text, const std::string& where) {
    where_ = where;
    if (text.size() > kBytesMax) return problem("is larger than a mebibyte");
    lines_.clear();
    for (const auto line : split(text, '\n')) lines_.push_back(words_of(line));
    for (at_ = 0; at_ < lines_.size(); ++at_) {
      const auto& words = lines_[at_];
      if (words.empty()) continue;
      if (words.back() != "{") return problem("expected \"ZONE {\" instead of \"" + join(words, " ") + "\"");
      std::vector<std::string> zones;
      for (std::size_t i = 0; i + 1 < words.size(); ++i) zones.push_back(zone_of(words[i]));
      ++at_;
      directives(zones);
    }
  }
  // Lines that belong into the root's block.
  void override_lines(std::string_view text, const std::string& where) {
    where_ = where;
    if (text.size() > kBytesMax) return problem("is larger than a mebibyte");
    lines_.clear();
    for (const auto line : split(text, '\n')) lines_.push_back(words_of(line));
    at_ = 0;
    directives({""});
  }
  void host_line(const std::vector<std::string>& words) {
    if (words.size() < 2) return;
    const auto address = parse_ipv4(words[0]);
    if (!address.ok()) {
      if (words[0].find(':') == std::string::npos) problem("hosts: \"" + words[0] + "\" is no address");
      return;  // IPv6: the cluster has none
    }
    for (std::size_t i = 1; i < words.size() && config.hosts.size() < kHostsMax; ++i) {
      const std::string name = plain(words[i]);
      auto& addresses = config.hosts[name];
      if (std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) addresses.push_back(*address);
      config.names.try_emplace(*address, name);
    }
  }
  void node_hosts(std::string_view text) {
    where_ = "NodeHosts";
    for (const auto line : split(text.substr(0, kBytesMax), '\n')) host_line(words_of(line));
  }

 private:
  void problem(const std::string& text) { config.problems.push_back(where_ + ": " + text); }

  // "example.org:53", "dns://example.org.", ".": the zone without the rest.
  static std::string zone_of(std::string_view text) {
    if (const auto scheme = text.find("://"); scheme != text.npos) text.remove_prefix(scheme + 3);
    return plain(text.substr(0, text.find(':')));
  }

  // Up to the block's "}" or the end. Leaves at_ at the "}".
  void directives(const std::vector<std::string>& zones) {
    for (; at_ < lines_.size(); ++at_) {
      std::vector<std::string> words = lines_[at_];
      if (words.empty()) continue;
      if (words[0] == "}") return;
      const bool block = words.back() == "{";
      if (block) words.pop_back();
      if (words.empty()) {
        problem("a block without a name");
        skip_block();
      } else if (words[0] == "hosts") {
        if (words.size() > 1) problem("hosts: a file is not read; write the entries between braces");
        if (block) hosts();
      } else {
        if (words[0] == "forward")
          forward(words, zones);
        else if (words[0] == "rewrite")
          rewrite(words);
        else if (std::find(std::begin(kDoneAnyway), std::end(kDoneAnyway), words[0]) == std::end(kDoneAnyway))
          problem("plugin " + words[0] + " is not supported; it has no effect");
        if (block) skip_block();
      }
    }
  }

  void skip_block() {
    for (int depth = 1; ++at_ < lines_.size();) {
      if (lines_[at_].empty()) continue;
      if (lines_[at_][0] == "}" && --depth == 0) return;
      if (lines_[at_].back() == "{") ++depth;
    }
  }

  void hosts() {
    static constexpr std::string_view kOptions[] = {"fallthrough", "ttl", "no_reverse", "reload"};
    for (++at_; at_ < lines_.size(); ++at_) {
      const auto& words = lines_[at_];
      if (words.empty()) continue;
      if (words[0] == "}") return;
      if (std::find(std::begin(kOptions), std::end(kOptions), words[0]) == std::end(kOptions)) host_line(words);
    }
  }

  void forward(const std::vector<std::string>& words, const std::vector<std::string>& zones) {
    if (words.size() < 3) return problem("forward needs a zone and a resolver");
    std::vector<std::string> resolvers;
    for (std::size_t i = 2; i < words.size(); ++i) {
      if (words[i] == "/etc/resolv.conf") return;  // the host's, as without a word
      std::string to = words[i];
      if (to.starts_with("dns://")) to.erase(0, 6);
      if (!is_resolver(to))
        problem("forward: \"" + words[i] + "\" is no IPv4 address (with or without a port)");
      else if (resolvers.size() < kResolversMax)
        resolvers.push_back(std::move(to));
    }
    if (resolvers.empty()) return;
    const std::string inner = zone_of(words[1]);
    for (const auto& zone : zones) config.stubs[inner.empty() ? zone : inner] = resolvers;
  }

  void rewrite(const std::vector<std::string>& words) {
    const bool exact = words.size() == 5 && words[2] == "exact";
    if (words.size() < 2 || words[1] != "name" || !(words.size() == 4 || exact))
      return problem("\"" + join(words, " ") +
                     "\": only \"rewrite name [exact] FROM TO\" is supported; it has no effect");
    config.rewrites[plain(words[words.size() - 2])] = plain(words.back());
  }

  std::string where_;
  std::vector<std::vector<std::string>> lines_;
  std::size_t at_ = 0;
};

// The resolvers of the longest zone that the name is in; empty: the host's.
std::vector<std::string> resolvers_for(const Config& config, std::string_view name) {
  for (;;) {
    const auto found = config.stubs.find(std::string(name));
    if (found != config.stubs.end()) return found->second;
    if (name.empty()) return {};
    const auto dot = name.find('.');
    name = dot == name.npos ? std::string_view() : name.substr(dot + 1);
  }
}

// The address of "7.0.43.10.in-addr.arpa".
std::optional<std::uint32_t> reversed(std::string_view name) {
  const auto labels = split(name, '.');
  if (labels.size() != 6 || !name.ends_with(".in-addr.arpa")) return std::nullopt;
  const auto address = parse_ipv4(std::string(labels[3]) + "." + std::string(labels[2]) + "." + std::string(labels[1]) +
                                  "." + std::string(labels[0]));
  return address.ok() ? std::optional<std::uint32_t>(*address) : std::nullopt;
}

}  // namespace

Config read_config(const Value& coredns, const Value& custom) {
  Reader reader;
  reader.server_blocks(coredns["Corefile"].as_string(), "Corefile");
  reader.node_hosts(coredns["NodeHosts"].as_string());
  for (const auto& [key, text] : custom.entries()) {
    if (key.ends_with(".server")) reader.server_blocks(text.as_string(), std::string(key));
    if (key.ends_with(".override")) reader.override_lines(text.as_string(), std::string(key));
  }
  return std::move(reader.config);
}

Lookup look_up(const Config& config, const std::string& name, std::uint16_t type) {
  Lookup out;
  const auto rewritten = config.rewrites.find(name);
  out.meant = rewritten == config.rewrites.end() ? name : rewritten->second;
  if (const auto host = config.hosts.find(out.meant); host != config.hosts.end()) {
    out.answer.ours = true;
    if (type == kA || type == kAny)
      for (const std::uint32_t address : host->second) out.answer.answer.answers.push_back(make_a(name, kTtl, address));
  } else if (const auto address = reversed(out.meant); address && config.names.contains(*address)) {
    out.answer.ours = true;
    if (type == kPtr || type == kAny)
      out.answer.answer.answers.push_back(make_name(name, kPtr, kTtl, config.names.at(*address)));
  }
  out.answer.resolvers = resolvers_for(config, out.meant);
  return out;
}

}  // namespace caisson::network::dns
