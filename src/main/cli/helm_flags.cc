// SPDX-License-Identifier: Apache-2.0
#include "main/cli/helm_flags.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "core/base/file.h"
#include "core/base/text.h"
#include "main/cli/boolean_flag.h"

namespace caisson::cli {
namespace {

using Known = std::span<const std::span<const FlagSpec>>;

const FlagSpec* find_flag(Known known, std::string_view name) {
  for (const auto& table : known) {
    for (const FlagSpec& spec : table) {
      if (spec.name == name) return &spec;
    }
  }
  return nullptr;
}

const FlagSpec* find_letter(Known known, char letter) {
  for (const auto& table : known) {
    for (const FlagSpec& spec : table) {
      if (spec.letter == letter) return &spec;
    }
  }
  return nullptr;
}

// Why the file at `path` is no program; empty when it is one.
std::string why_not_executable(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? "stat " + path + ": no such file or directory"
                           : "stat " + path + ": " + std::strerror(errno);
  }
  if (S_ISDIR(info.st_mode)) return "is a directory";
  return (info.st_mode & 0111) != 0 ? "" : "permission denied";
}

Result<std::string> absolute_path(const std::string& path) {
  if (path.starts_with('/')) return path_clean(path);
  char folder[PATH_MAX];
  if (::getcwd(folder, sizeof folder) == nullptr) return errno_error(".");
  return path_join(folder, path_clean(path));
}

// As Go's exec.LookPath finds one, and as its errors are.
Result<std::string> find_program(const std::string& name) {
  const auto not_found = [&](const std::string& why) {
    return Error{ErrorCode::not_found, "unable to find binary at " + name + ": exec: \"" + name + "\": " + why};
  };
  if (name.find('/') != std::string::npos) {
    const std::string why = why_not_executable(name);
    if (!why.empty()) return not_found(why);
    return absolute_path(name);
  }
  const char* const path = std::getenv("PATH");
  for (const std::string_view folder : split(path == nullptr ? "" : path, ':')) {
    const std::string candidate = std::string(folder.empty() ? "." : folder) + "/" + name;
    if (why_not_executable(candidate).empty()) return absolute_path(candidate);
  }
  return not_found("executable file not found in $PATH");
}

}  // namespace

Result<Flags> Flags::parse(const std::vector<std::string>& words, Known known) {
  Flags out;
  std::optional<Error> wrong;  // the first value that its flag does not take
  const auto keep = [&](const FlagSpec& spec, std::string_view value) {
    std::string found;
    if (spec.kind == FlagKind::boolean) {
      const std::string letter = spec.letter == 0 ? "" : "-" + std::string(1, spec.letter) + ", ";
      const auto on = read_bool(letter + "--" + std::string(spec.name), value);
      if (!on.ok() && !wrong) wrong = on.error();
      if (!on.ok()) return;
      value = *on ? "true" : "false";
    }
    if (spec.kind == FlagKind::program) {
      if (value.empty()) return;
      auto program = find_program(std::string(value));
      if (!program.ok() && !wrong) {
        wrong = Error{ErrorCode::bad_request, "invalid argument \"" + std::string(value) + "\" for \"--" +
                                                  std::string(spec.name) + "\" flag: " + program.error().message};
      }
      if (!program.ok()) return;
      found = std::move(program).value();
      value = found;
    }
    out.given_.push_back({spec.name, std::string(value)});
    auto& values = out.values_[spec.name];
    if (spec.kind == FlagKind::list) {
      for (const std::string_view part : split(value, ',')) values.emplace_back(part);
      return;
    }
    if (spec.kind != FlagKind::array) values.clear();
    values.emplace_back(value);
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--") {
      out.dash_ = out.arguments_.size();
      out.arguments_.insert(out.arguments_.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      break;
    }
    if (word.size() < 2 || word[0] != '-') {
      out.arguments_.emplace_back(word);
      continue;
    }
    const bool is_long = word[1] == '-';
    const std::size_t equal = is_long ? word.find('=') : std::string_view::npos;
    std::string_view rest = is_long ? word.substr(std::min(equal, word.size())) : word.substr(2);
    const FlagSpec* spec = is_long ? find_flag(known, word.substr(2, equal - 2)) : find_letter(known, word[1]);
    if (spec == nullptr) {
      if (is_long) return Error{ErrorCode::bad_request, "unknown flag: " + std::string(word.substr(0, equal))};
      return Error{ErrorCode::bad_request,
                   "unknown shorthand flag: '" + std::string(1, word[1]) + "' in " + std::string(word)};
    }
    if (rest.starts_with('=')) {
      keep(*spec, rest.substr(1));
    } else if (spec->kind == FlagKind::boolean) {
      keep(*spec, "true");
      for (const char letter : rest) {  // "-gd": more of one letter
        const FlagSpec* other = find_letter(known, letter);
        if (other == nullptr || other->kind != FlagKind::boolean)
          return Error{ErrorCode::bad_request,
                       "unknown shorthand flag: '" + std::string(1, letter) + "' in " + std::string(word)};
        keep(*other, "true");
      }
    } else if (spec->kind == FlagKind::optional) {
      keep(*spec, kOptionalFlagAlone);
    } else if (!rest.empty()) {
      keep(*spec, rest);
    } else if (i + 1 < words.size()) {
      keep(*spec, words[++i]);
    } else {
      return Error{ErrorCode::bad_request, "flag needs an argument: " + std::string(word)};
    }
    if (wrong) return *std::move(wrong);
  }
  return out;
}

bool Flags::is_set(std::string_view name) const {
  const auto found = values_.find(name);
  return found != values_.end() && found->second.back() == "true";
}

std::string Flags::text(std::string_view name, std::string_view otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string(otherwise) : found->second.back();
}

std::vector<std::string> Flags::all(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

}  // namespace caisson::cli
