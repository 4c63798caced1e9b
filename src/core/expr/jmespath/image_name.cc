// SPDX-License-Identifier: Apache-2.0
#include "core/expr/jmespath/image_name.h"

#include <algorithm>

#include "core/base/text.h"

namespace caisson::jmespath {
namespace {

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// Letters and digits, between them one ".", one or two "_", or dashes.
bool is_path_part(std::string_view part) {
  if (part.empty() || !is_lower_or_digit(part.front()) || !is_lower_or_digit(part.back())) return false;
  for (std::size_t i = 0; i < part.size();) {
    if (is_lower_or_digit(part[i])) {
      ++i;
      continue;
    }
    const char c = part[i];
    std::size_t run = 0;
    while (i < part.size() && part[i] == c) {
      ++i;
      ++run;
    }
    if (!((c == '.' && run == 1) || (c == '_' && run <= 2) || c == '-') || !is_lower_or_digit(part[i])) return false;
  }
  return true;
}

bool is_tag(std::string_view tag) {
  const auto word = [](char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (tag.empty() || tag.size() > 128 || !word(tag[0])) return false;
  return std::all_of(tag.begin(), tag.end(), [&](char c) { return word(c) || c == '.' || c == '-'; });
}

bool is_digest(std::string_view digest) {
  const std::size_t colon = digest.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view hex = digest.substr(colon + 1);
  return hex.size() >= 32 &&
         std::all_of(hex.begin(), hex.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool names_registry(std::string_view first) {
  return first.find_first_of(".:") != std::string_view::npos || first == "localhost" || to_lower(first) != first;
}

bool is_registry(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
  });
}

}  // namespace

std::string ImageName::str() const {
  const std::string image = registry.empty() ? path : registry + "/" + path;
  return digest.empty() ? image + ":" + tag : image + "@" + digest;
}
std::string ImageName::with_tag() const {
  return (registry.empty() ? path : registry + "/" + path) + ":" + tag;
}

Result<ImageName> parse_image_name(std::string_view text, std::string_view default_registry) {
  const auto bad = [&] {
    return Error{ErrorCode::bad_request, "bad image: " + std::string(text) + ": invalid reference format"};
  };
  ImageName image;
  std::string_view rest = text;
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !names_registry(rest.substr(0, slash))) {
    image.registry = default_registry;
  } else {
    image.registry = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
  }
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    image.digest = rest.substr(at + 1);
    if (!is_digest(image.digest)) return bad();
    rest = rest.substr(0, at);
  }
  if (const std::size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
    image.tag = rest.substr(colon + 1);
    if (!is_tag(image.tag)) return bad();
    rest = rest.substr(0, colon);
  }
  for (const std::string_view part : split(rest, '/'))
    if (!is_path_part(part)) return bad();
  if (!is_registry(image.registry) || rest.size() > 255) return bad();
  image.path = rest;
  image.name = rest.substr(rest.rfind('/') + 1);
  if (image.tag.empty() && image.digest.empty()) image.tag = "latest";
  return image;
}

}  // namespace caisson::jmespath
