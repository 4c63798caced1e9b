// SPDX-License-Identifier: Apache-2.0
#include "machine/node/steps.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "machine/node/logs.h"

namespace caisson::node {
namespace {

constexpr std::size_t kResultsMax = 64, kResultBytesMax = 4096;  // upstream's limit of a termination message
constexpr std::string_view kBegin = "$(steps.", kMiddle = ".results.";

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

// One reference in a text: "$(steps.NAME.results.RESULT" and what stands behind it, "", "[0]", "[*]" or ".key".
struct Reference {
  std::size_t begin = 0, end = 0;
  std::string_view step, result, part;
};

std::optional<Reference> next_reference(std::string_view text, std::size_t from) {
  for (auto begin = text.find(kBegin, from); begin != std::string_view::npos; begin = text.find(kBegin, begin + 1)) {
    const auto close = text.find(')', begin);
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view inside = text.substr(begin + kBegin.size(), close - begin - kBegin.size());
    const auto middle = inside.find(kMiddle);
    if (middle == std::string_view::npos) continue;
    const std::string_view rest = inside.substr(middle + kMiddle.size());
    const auto part = std::min(rest.find_first_of(".["), rest.size());
    return Reference{begin, close + 1, inside.substr(0, middle), rest.substr(0, part), rest.substr(part)};
  }
  return std::nullopt;
}

// Steps and sidecars may put links anywhere, at any moment: every name is resolved with the folder as root.
UniqueFd open_inside(int directory, const std::string& path, std::uint64_t flags, std::uint64_t mode = 0) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how)));
}
UniqueFd open_directory(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Result<std::string> read_inside(const std::string& directory, const std::string& name) {
  const UniqueFd root = open_directory(directory);
  const UniqueFd file = open_inside(root.get(), name, O_RDONLY | O_NONBLOCK);  // a FIFO must not hold the node
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return Error{ErrorCode::not_found, "no file " + name};
  if (status.st_size > static_cast<off_t>(kResultBytesMax))
    return Error{ErrorCode::too_large, "more than " + std::to_string(kResultBytesMax) + " bytes"};
  std::string bytes(kResultBytesMax, '\0');
  const ssize_t size = ::pread(file.get(), bytes.data(), bytes.size(), 0);
  if (size < 0) return errno_error("read " + name);
  bytes.resize(static_cast<std::size_t>(size));
  return bytes;
}

Result<Value> value_of(const Reference& reference, const std::string& steps_directory) {
  const std::string step(reference.step), result(reference.result);
  const auto text = read_inside(steps_directory, "step-" + step + "/results/" + result);
  if (!text.ok()) return invalid("step " + step + " has not written its result " + result);
  if (reference.part.empty()) return Value(*text);
  const auto parsed = json::parse(*text);
  const std::string what = "the result " + result + " of step " + step;
  if (!parsed.ok()) return invalid(what + " is neither a list nor an object");
  if (reference.part == "[*]") return *parsed;
  if (reference.part.front() == '.') {
    const Value* member = parsed->find(reference.part.substr(1));
    if (member == nullptr) return invalid(what + " has no key " + std::string(reference.part.substr(1)));
    return *member;
  }
  const auto index = parse_int(reference.part.substr(1, reference.part.size() - 2));
  if (!index || *index < 0 || static_cast<std::size_t>(*index) >= parsed->size())
    return invalid(what + " has no item " + std::string(reference.part));
  return (*parsed)[static_cast<std::size_t>(*index)];
}

Result<std::string> replace(std::string_view text, const std::string& steps_directory) {
  std::string out;
  std::size_t at = 0;
  while (const auto reference = next_reference(text, at)) {
    const Value value = TRY(value_of(*reference, steps_directory));
    out.append(text.substr(at, reference->begin - at));
    out.append(value.is_list() || value.is_map() ? json::write(value) : value.scalar_text());
    at = reference->end;
  }
  return out.append(text.substr(at));
}

Result<Value> replace_list(const Value& list, const std::string& steps_directory) {
  Value out = Value::list();
  for (const Value& item : list.items()) {
    const std::string_view text = item.as_string();
    const auto whole = next_reference(text, 0);
    if (whole && whole->part == "[*]" && whole->begin == 0 && whole->end == text.size()) {
      const Value values = TRY(value_of(*whole, steps_directory));
      for (const Value& value : values.items()) out.push_back(value.scalar_text());
    } else {
      out.push_back(Value(TRY(replace(text, steps_directory))));
    }
  }
  return out;
}

// "time stdout F text": the text of one stream; a partial line (P) has no end of its own.
// `stream` empty: of both, as they were written.
void append_stream(std::string_view log, std::string_view stream, std::string& out) {
  for (std::string_view line : split(log, '\n')) {
    const auto after_time = line.find(' ');
    if (after_time == std::string_view::npos) continue;
    line.remove_prefix(after_time + 1);
    const auto after_stream = line.find(' ');
    if (after_stream == std::string_view::npos || after_stream + 1 >= line.size()) continue;
    if (!stream.empty() && line.substr(0, after_stream) != stream) continue;
    line.remove_prefix(after_stream + 1);
    out.append(line.size() > 2 ? line.substr(2) : std::string_view());
    if (line[0] == 'F') out += '\n';
  }
}

// The mount of `container` that holds `path`, and what is left of the path in it.
Result<std::pair<Value, std::string>> mount_of(const Value& container, const std::string& path) {
  const Value* best = nullptr;
  std::string best_at;
  for (const Value& mount : container["volumeMounts"].items()) {
    const std::string at = path_clean(mount["mountPath"].str());
    const bool holds = path == at || path.starts_with(at == "/" ? at : at + "/");
    if (holds && (best == nullptr || at.size() > best_at.size())) best = &mount, best_at = at;
  }
  if (best == nullptr || path.size() <= best_at.size() + 1) return invalid(path + " is in no volume of the step");
  if ((*best)["readOnly"].as_bool()) return invalid(path + " is in a volume that is only read");
  const std::string sub_path = (*best)["subPath"].str();
  return std::pair(*best,
                   (sub_path.empty() ? "" : sub_path + "/") + path.substr(best_at == "/" ? 1 : best_at.size() + 1));
}

Result<void> write_inside(const std::string& directory, const std::string& path, std::string_view text) {
  UniqueFd parent = open_directory(directory);
  const auto parts = split(path, '/');
  for (std::size_t i = 0; parent && i + 1 < parts.size(); ++i) {
    const std::string part(parts[i]);
    if (::mkdirat(parent.get(), part.c_str(), 0777) != 0 && errno != EEXIST) return errno_error("make " + path);
    parent = open_inside(parent.get(), part, O_RDONLY | O_DIRECTORY);
  }
  if (!parent) return errno_error("open the folder of " + path);
  const UniqueFd file =
      open_inside(parent.get(), std::string(parts.back()), O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0666);
  if (!file || ::fchmod(file.get(), 0666) != 0) return errno_error("open " + path);
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0) return errno_error("write " + path);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Result<bool> step_applies(const kube::Object& pod, const std::string& steps_directory, const std::string& container) {
  const std::string_view text = pod.annotation(kStepsWhenAnnotation);
  if (text.empty()) return true;
  const Value all = TRY(json::parse(text).in(std::string(kStepsWhenAnnotation)));
  for (const Value& one : all[container].items()) {
    if (!one.is_map()) return false;
    const std::string input = TRY(replace(one["input"].as_string(), steps_directory));
    const Value values = TRY(replace_list(one["values"], steps_directory));
    const auto items = values.items();
    const bool found =
        std::any_of(items.begin(), items.end(), [&](const Value& v) { return v.scalar_text() == input; });
    if (found != (one["operator"].as_string() == "in")) return false;
  }
  return true;
}

Result<void> write_streams(const kube::Object& pod, const std::string& container, const std::string& log_path,
                           const std::function<std::string(const std::string& volume)>& volume_path) {
  const std::string_view text = pod.annotation(kStepsStreamsAnnotation);
  if (text.empty()) return {};
  const Value all = TRY(json::parse(text).in(std::string(kStepsStreamsAnnotation)));
  const Value& streams = all[container];
  if (streams.empty()) return {};
  const Value* spec = nullptr;
  for (const Value& one : pod.spec()["containers"].items())
    if (one["name"].as_string() == container) spec = &one;
  if (spec == nullptr) return {};
  std::string log;
  for (int n = kLogFilesKept; n >= 0; --n) {
    const auto piece = read_file(n == 0 ? log_path : log_path + "." + std::to_string(n));
    if (piece.ok()) log += *piece;
  }
  const std::string out = path_clean(streams["stdout"].str()), err = path_clean(streams["stderr"].str());
  for (const char* stream : {"stdout", "stderr"}) {
    if (streams[stream].as_string().empty() || (stream == std::string_view("stderr") && out == err)) continue;
    const std::string path = path_clean(streams[stream].str());
    const auto [mount, inside] = TRY(mount_of(*spec, path));
    std::string written;
    append_stream(log, out == err ? std::string_view() : stream, written);
    TRY(write_inside(volume_path(mount["name"].str()), inside, written).in("stream of " + container));
  }
  return {};
}

Result<void> prepare_step(const kube::Object& pod, const PodState& state, const std::string& steps_directory,
                          const std::string& container) {
  const UniqueFd root = open_directory(steps_directory);
  if (!root) return errno_error("open " + steps_directory);
  for (const std::string& path : {container, container + "/results"}) {  // steps run as whatever user they like
    const UniqueFd parent = open_inside(root.get(), path_dir("./" + path), O_RDONLY | O_DIRECTORY);
    const std::string name = path.substr(path.rfind('/') + 1);
    if (::mkdirat(parent.get(), name.c_str(), 0777) != 0 && errno != EEXIST) return errno_error("make " + path);
    const UniqueFd made = open_inside(root.get(), path, O_RDONLY | O_DIRECTORY);
    if (!made || ::fchmod(made.get(), 0777) != 0) return errno_error("open to all: " + path);
  }
  std::size_t number = 0;
  for (const Value& step : pod.spec()["containers"].items()) {
    const std::string link = std::to_string(number++);
    if (::symlinkat(step["name"].str().c_str(), root.get(), link.c_str()) != 0 && errno != EEXIST)
      return errno_error("link " + link);
  }
  for (const auto& [name, one] : state.containers) {
    if (!one.terminated) continue;
    const UniqueFd file = open_inside(root.get(), name + "/exitCode", O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0644);
    const std::string code = std::to_string(one.terminated->exit_code);
    if (file && ::write(file.get(), code.data(), code.size()) < 0) return errno_error("write the exit code of " + name);
  }
  return {};
}

Result<Value> with_step_results(const Value& container, const std::string& steps_directory) {
  Value out = container;
  for (const char* field : {"command", "args"}) {
    if (!container[field].is_null()) out.set(field, TRY(replace_list(container[field], steps_directory)));
  }
  Value env = container["env"];
  for (std::size_t i = 0; i < env.size(); ++i) {
    if (!env[i]["value"].is_null())
      env.edit(i).set("value", Value(TRY(replace(env[i]["value"].as_string(), steps_directory))));
  }
  if (!env.is_null()) out.set("env", env);
  return out;
}

Value read_result_files(const std::string& directory) {
  Value results = Value::map();
  const auto names = list_dir(directory);
  if (!names.ok()) return results;
  for (const auto& name : *names) {
    if (results.size() >= kResultsMax) break;
    const auto bytes = read_inside(directory, name);
    if (bytes.ok() && is_valid_utf8(*bytes)) results.set(name, *bytes);
    if (!bytes.ok() && bytes.error().code != ErrorCode::not_found)
      log::warning("result left out", {{"result", directory + "/" + name}, {"error", bytes.error()}});
  }
  return results;
}

Value read_step_results(const kube::Object& pod, const std::string& steps_directory) {
  Value out = Value::map();
  for (const Value& container : pod.spec()["containers"].items()) {
    const std::string name = container["name"].str(), directory = steps_directory + "/" + name + "/results";
    struct stat status {};
    if (::lstat((steps_directory + "/" + name).c_str(), &status) != 0 || !S_ISDIR(status.st_mode) ||
        ::lstat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
      continue;
    if (const Value results = read_result_files(directory); !results.empty()) out.set(name, results);
  }
  return out;
}

}  // namespace caisson::node
