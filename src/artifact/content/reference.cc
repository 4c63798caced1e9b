// SPDX-License-Identifier: Apache-2.0
// Grammar: distribution/reference. The first part is a host when it has a '.' or ':', or is "localhost".
#include "artifact/content/reference.h"

#include "core/base/text.h"

namespace caisson::content {
namespace {

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// [a-z0-9]+ separated by '.', '_', '__' or any number of '-'.
bool is_valid_component(std::string_view part) {
  if (part.empty() || !is_alnum(part.front()) || !is_alnum(part.back())) return false;
  for (std::size_t i = 0; i < part.size();) {
    if (is_alnum(part[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < part.size() && part[end] == part[i]) ++end;
    const std::size_t run = end - i;
    const bool fine = part[i] == '-' || (part[i] == '.' && run == 1) || (part[i] == '_' && run <= 2);
    if (!fine || !is_alnum(part[end])) return false;
    i = end;
  }
  return true;
}

bool looks_like_host(std::string_view part) {
  return part == "localhost" || part.find_first_of(".:") != std::string_view::npos;
}

bool is_valid_host(std::string_view host) {
  if (host.empty()) return false;
  for (const char c : host) {
    const bool fine = is_alnum(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
    if (!fine) return false;
  }
  return true;
}

}  // namespace

bool is_valid_repository(std::string_view name) {
  if (name.empty() || name.size() > 255) return false;
  for (const std::string_view part : split(name, '/')) {
    if (!is_valid_component(part)) return false;
  }
  return true;
}

bool is_valid_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > 128 || tag[0] == '.' || tag[0] == '-') return false;
  for (const char c : tag) {
    if (!(is_alnum(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-')) return false;
  }
  return true;
}

bool RegistryNames::is_ours(std::string_view host) const {
  if (host == kRegistryName || host == "registry.caisson.internal") return true;
  for (const std::string& address : addresses) {
    if (host == address) return true;
  }
  const std::string local_port = ":" + std::to_string(port);
  for (const std::string_view local : {"localhost", "127.0.0.1", "[::1]"}) {
    if (host == std::string(local) + local_port) return true;
  }
  for (const std::string_view service :
       {"registry.caisson-system", "registry.caisson-system.svc", "registry.caisson-system.svc.cluster.local"}) {
    if (host == service || host == std::string(service) + ":5000") return true;
  }
  return false;
}

Result<Reference> parse_reference(std::string_view text, const RegistryNames& names) {
  const auto bad = [&](std::string_view why) {
    return Error{ErrorCode::bad_request,
                 "invalid image reference \"" + std::string(text.substr(0, 300)) + "\": " + std::string(why)};
  };
  Reference ref;
  std::string_view rest = text;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    Result<Digest> digest = Digest::parse(rest.substr(at + 1));
    if (!digest.ok()) return bad(digest.error().message);
    ref.digest = *digest;
    rest = rest.substr(0, at);
  }
  const std::size_t slash = rest.rfind('/'), colon = rest.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    ref.tag = rest.substr(colon + 1);
    if (!is_valid_tag(ref.tag)) return bad("invalid tag \"" + ref.tag.substr(0, 140) + "\"");
    rest = rest.substr(0, colon);
  }
  if (rest.empty()) return bad("no repository name");
  const std::size_t first = rest.find('/');
  if (first != std::string_view::npos && looks_like_host(rest.substr(0, first))) {
    ref.registry = rest.substr(0, first);
    rest = rest.substr(first + 1);
    if (!is_valid_host(ref.registry)) return bad("invalid registry host");
  } else {
    ref.registry = "docker.io";
  }
  if (ref.registry == "index.docker.io" || ref.registry == "registry-1.docker.io") ref.registry = "docker.io";
  ref.repository = rest;
  if (ref.registry == "docker.io" && rest.find('/') == std::string_view::npos)
    ref.repository = "library/" + ref.repository;
  if (to_lower(ref.repository) != ref.repository) return bad("repository name must be lower case");
  if (!is_valid_repository(ref.repository)) return bad("invalid repository name");
  if (names.is_ours(ref.registry)) ref.registry.clear();
  if (ref.tag.empty() && !ref.digest) ref.tag = "latest";
  return ref;
}

namespace {
std::string suffix(const Reference& ref) {
  return (ref.tag.empty() ? "" : ":" + ref.tag) + (ref.digest ? "@" + ref.digest->str() : "");
}
}  // namespace

std::string Reference::str() const {
  return (registry.empty() ? "" : registry + "/") + repository + suffix(*this);
}

std::string Reference::familiar() const {
  if (registry.empty()) return std::string(kRegistryName) + "/" + repository + suffix(*this);
  if (registry != "docker.io") return str();
  return (repository.starts_with("library/") ? repository.substr(8) : repository) + suffix(*this);
}

}  // namespace caisson::content
