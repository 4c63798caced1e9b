// SPDX-License-Identifier: Apache-2.0
// COPY and ADD. First a plan: which sources go where, by which rules; its hash is the cache key. Then, if the layer is
// not known, the work.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "artifact/build/engine.h"
#include "artifact/build/git_source.h"
#include "artifact/container/spec.h"
#include "artifact/content/compress.h"
#include "artifact/content/extract.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/http/client.h"

namespace caisson::build {

using content::Digest;

struct Engine::CopyPlan {
  struct Item {
    Source source;  // host is empty for contents from memory
    std::string contents;
    std::string target;            // absolute in the image; files go to or below it
    bool into_directory = false;   // target is a folder even when it is not there yet
    bool is_archive = false;       // unpack at target
    bool is_download = false;      // `source` is a file of ours, and `target` its name
    std::optional<GitSource> git;  // fetched when the layer is made; `commit` is what its ref named
    std::string commit;
  };
  std::vector<Item> items;
  std::string destination;
  bool destination_is_directory = false, parents = false, link = false;
  std::string root;  // of the sources
  CopyRules rules;
  std::optional<std::string> chown;  // as written; resolved in the image
  content::Hasher key{"sha256"};
};

namespace {

constexpr std::uint64_t kUrlBytesMax = 4ull << 30;

bool is_url(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

// By contents, whatever the name: a tar, plain or compressed.
bool is_archive(const std::string& path) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) return false;
  auto fd = std::make_shared<UniqueFd>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!*fd) return false;
  const Result<content::ByteSource> plain = content::decompress([fd]() -> Result<std::string> {
    std::string piece(64u << 10, '\0');
    const ssize_t n = ::read(fd->get(), piece.data(), piece.size());
    if (n < 0) return errno_error("read");
    piece.resize(static_cast<std::size_t>(n));
    return piece;
  });
  if (!plain.ok()) return false;
  content::TarReader reader(*plain);
  const Result<std::optional<content::TarEntry>> first = reader.next();
  return first.ok() && first->has_value();
}

Result<void> extract(const std::string& path, const std::string& directory, const CopyRules& rules) {
  auto fd = std::make_shared<UniqueFd>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!*fd) return errno_error("open " + path);
  content::ByteSource plain = TRY(content::decompress([fd]() -> Result<std::string> {
    std::string piece(1u << 20, '\0');
    const ssize_t n = ::read(fd->get(), piece.data(), piece.size());
    if (n < 0) return errno_error("read");
    piece.resize(static_cast<std::size_t>(n));
    return piece;
  }));
  content::TarReader reader(std::move(plain));
  content::Extractor extractor = TRY(content::Extractor::open(directory));
  for (;;) {
    std::optional<content::TarEntry> entry = TRY(reader.next());
    if (!entry) break;
    if (rules.owner) {
      entry->uid = rules.owner->uid;
      entry->gid = rules.owner->gid;
    }
    if (rules.chmod && entry->type != content::EntryType::symlink) {
      entry->mode = rules.chmod->apply(entry->mode, entry->type == content::EntryType::directory);
    }
    TRY(extractor.add(*entry, [&] { return reader.read_some(); }));
  }
  return extractor.finish();
}

// "user[:group]", names by the image's own files; a number alone is both.
Result<Owner> resolve_owner(const std::string& root, const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string user = text.substr(0, colon), group = colon == std::string::npos ? "" : text.substr(colon + 1);
  const auto unresolved = [&](const std::string& what, const std::string& name, const Error& error) {
    return Error{ErrorCode::invalid, what + " \"" + name + "\" cannot be resolved in the image: " + error.message};
  };
  Owner owner;
  if (const std::optional<std::int64_t> number = parse_int(user)) {
    owner.uid = owner.gid = static_cast<unsigned>(*number);
  } else {
    const Result<container::User> found = container::resolve_user(root, user);
    if (!found.ok()) return unresolved("user", user, found.error());
    owner.uid = found->uid;
    owner.gid = found->gid;
  }
  if (group.empty()) return owner;
  if (const std::optional<std::int64_t> number = parse_int(group)) {
    owner.gid = static_cast<unsigned>(*number);
  } else {
    const Result<container::User> found = container::resolve_user(root, "0:" + group);
    if (!found.ok()) return unresolved("group", group, found.error());
    owner.gid = found->gid;
  }
  return owner;
}

std::int64_t http_date(std::string_view text) {
  tm parts{};
  if (text.empty() || ::strptime(std::string(text).c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) == nullptr) return 0;
  return ::timegm(&parts);
}

// What is behind a URL, in a file with the time and mode that ADD gives it: it may be larger than our memory.
Result<Digest> download(const http::Request& request, const std::string& shown, const std::string& path) {
  const std::unique_ptr<http::ResponseStream> answer = TRY(http::Client().open(request));
  if (answer->status != 200) {
    return Error{ErrorCode::bad_request, "invalid response status " + std::to_string(answer->status) + " for " + shown};
  }
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return errno_error("create " + path);
  content::Hasher hasher;
  for (std::uint64_t size = 0;;) {
    const std::string piece = TRY(answer->read_some().in(shown));
    if (piece.empty()) break;
    size += piece.size();
    if (size > kUrlBytesMax)
      return Error{ErrorCode::too_large, shown + ": more than " + std::to_string(kUrlBytesMax) + " bytes"};
    hasher.update(piece);
    TRY(write_all(file.get(), piece));
  }
  const timespec time{.tv_sec = http_date(answer->headers.get("Last-Modified")), .tv_nsec = 0};
  const timespec times[2] = {time, time};
  if (::futimens(file.get(), times) != 0) return errno_error("set times of " + path);
  return hasher.finish();
}

}  // namespace

Result<void> Engine::fetch_url(CopyPlan& plan, const Step& step, const std::string& url, const std::string& to) {
  const http::Url parsed = TRY(http::Url::parse(url));
  CopyPlan::Item item;
  item.target = to;
  if (plan.destination_is_directory) {
    const std::string name = path_base(TRY(percent_decode(parsed.path)));
    if (parsed.path.empty() || parsed.path.ends_with('/') || name.empty() || name == "/" || name == ".") {
      return Error{ErrorCode::invalid, "cannot determine a file name from the URL " + parsed.str_without_userinfo()};
    }
    item.target = (to == "/" ? "" : to) + "/" + name;
  }
  http::Request request;
  request.url = url;
  request.time_max = request_.step_time_max;
  item.source.host = new_dir("download");
  item.is_download = true;
  const Digest digest = TRY(download(request, parsed.str_without_userinfo(), item.source.host));
  if (const std::string* checksum = find_flag(step.instruction, "checksum");
      checksum != nullptr && *checksum != digest.str()) {
    return Error{ErrorCode::bad_request, "digest mismatch " + digest.str() + ": " + *checksum};
  }
  plan.key.update("url " + digest.str() + " " + item.target + "\n");
  if (bool_flag(step.instruction, "unpack")) {
    item.is_archive = is_archive(item.source.host);
    if (item.is_archive) item.target = to;
    plan.key.update(item.is_archive ? "unpack\n" : "");
  }
  plan.items.push_back(std::move(item));
  return {};
}

Result<void> Engine::add_git(CopyPlan& plan, const Step& step, const std::string& word) {
  CopyPlan::Item item;
  item.git = TRY(parse_git_source(word));
  if (const std::string* checksum = find_flag(step.instruction, "checksum")) item.git->checksum = *checksum;
  if (find_flag(step.instruction, "keep-git-dir") != nullptr)
    item.git->keep_git_dir = bool_flag(step.instruction, "keep-git-dir");
  item.commit = TRY(resolve_git(*item.git, git_access()));
  item.target = plan.destination;
  plan.key.update("git " + item.git->url + " " + item.commit + " " + item.git->subdir +
                  (item.git->keep_git_dir ? " .git" : "") + (item.git->submodules ? "" : " alone") + "\n");
  plan.items.push_back(std::move(item));
  return {};
}

GitAccess Engine::git_access() const {
  return {&request_.secrets, &request_.ssh_keys, request_.step_time_max};
}

Result<void> Engine::copy_git(const GitSource& source, const std::string& commit, const std::string& target,
                              Copier& copier) {
  const std::string directory = new_dir("git");
  TRY(fetch_git(source, commit, directory, git_access()));
  for (const Source& one : TRY(find_sources(directory, source.subdir.empty() ? "." : source.subdir, false)))
    TRY(copier.copy(one, target));
  return remove_tree(directory);
}

Result<void> Engine::add_source(CopyPlan& plan, const Step& step, const State&, const std::string& word) {
  const Instruction& i = step.instruction;
  if (i.keyword == "ADD" && is_git_source(word)) return add_git(plan, step, word);
  if (i.keyword == "ADD" && is_url(word)) return fetch_url(plan, step, word, plan.destination);
  const std::string* unpack = find_flag(i, "unpack");
  const bool may_unpack = i.keyword == "ADD" && (unpack == nullptr || *unpack != "false");
  for (Source& source : TRY(find_sources(plan.root, word, plan.parents))) {
    CopyPlan::Item item;
    item.is_archive = may_unpack && is_archive(source.host);
    TRY(hash_source(source, plan.rules, plan.key));
    plan.key.update(item.is_archive ? "unpack\n" : "\n");
    item.target = plan.destination;
    item.into_directory = plan.destination_is_directory;
    if (plan.parents) {
      const bool directory = is_directory(source.host);
      item.target = plan.destination + "/" + source.kept;
      item.into_directory = directory;
    }
    item.source = std::move(source);
    plan.items.push_back(std::move(item));
  }
  return {};
}

Result<Engine::CopyPlan> Engine::plan_copy(const Step& step, const State& state) {
  const Instruction& i = step.instruction;
  const Variables seen = scope(state);
  const WordOptions options{.escape = file_.escape};
  CopyPlan plan;
  plan.key = key_of(state, i.keyword);
  const std::string* from = find_flag(i, "from");
  plan.root = TRY(root_of(from != nullptr ? *from : "", step.stage));
  plan.parents = bool_flag(i, "parents");
  plan.link = bool_flag(i, "link");
  std::vector<std::string> excludes;
  for (const std::string& pattern : all_flags(i, "exclude")) excludes.push_back(TRY(expand(pattern, seen, options)));
  plan.rules.exclude = TRY(IgnoreRules::of(excludes));
  if (const std::string* chmod = find_flag(i, "chmod")) {
    const std::string text = TRY(expand(*chmod, seen, options));
    plan.rules.chmod = TRY(ModeChange::parse(text));
    plan.key.update("chmod " + text + "\n");
  }
  if (const std::string* chown = find_flag(i, "chown")) {
    plan.chown = TRY(expand(*chown, seen, options));
    plan.key.update("chown " + *plan.chown + "\n");
  }
  // Owners of the context do not count; those of a stage or image do.
  if (from == nullptr) plan.rules.owner = Owner{};

  std::vector<std::string> words;
  for (const std::string& word : i.words) words.push_back(TRY(expand(word, seen, options)));
  std::string destination = words.back();
  words.pop_back();
  if (destination.empty()) return Error{ErrorCode::invalid, "the destination is empty"};
  plan.destination_is_directory = destination.ends_with('/') || destination.ends_with("/.") || destination == ".";
  if (words.size() > 1 && !plan.destination_is_directory) {
    return Error{ErrorCode::invalid,
                 "when using " + i.keyword +
                     " with more than one source file, the destination must be a directory and end with a /"};
  }
  const std::string base = state.config.working_dir.empty() ? "/" : state.config.working_dir;
  plan.destination = path_clean(destination.starts_with("/") ? destination : base + "/" + destination);
  plan.key.update("to " + plan.destination + (plan.destination_is_directory ? "/" : "") +
                  (plan.parents ? " parents" : "") + (plan.link ? " link" : "") + "\n");
  for (std::size_t n = 0; n < words.size(); ++n) {
    const std::string& raw = i.words[n];
    const auto heredoc = std::find_if(i.heredocs.begin(), i.heredocs.end(), [&](const Heredoc& h) {
      return !i.is_json && raw.find("<<") != std::string::npos &&
             replace_all(replace_all(raw.substr(raw.find("<<") + 2), "\"", ""), "'", "") ==
                 (raw.find("<<-") != std::string::npos ? "-" : "") + h.name;
    });
    if (heredoc == i.heredocs.end()) {
      TRY(add_source(plan, step, state, words[n]));
      continue;
    }
    CopyPlan::Item item;
    item.contents = heredoc->contents;
    if (heredoc->expands)
      item.contents = TRY(expand(heredoc->contents, seen, {.escape = file_.escape, .plain_quotes = true}));
    item.target = plan.destination_is_directory
                      ? (plan.destination == "/" ? "" : plan.destination) + "/" + heredoc->name
                      : plan.destination;
    plan.key.update("heredoc " + item.target + " " + Digest::of(item.contents).hex + "\n");
    plan.items.push_back(std::move(item));
  }
  return plan;
}

Result<void> Engine::run_copy(const CopyPlan& plan, const std::string& root) {
  Copier copier(root, plan.rules);
  for (const CopyPlan::Item& item : plan.items) {
    if (item.git) {
      TRY(copy_git(*item.git, item.commit, item.target, copier));
      continue;
    }
    if (item.is_archive) {
      CopyRules rules = plan.rules;
      if (!plan.chown) rules.owner.reset();  // an archive has owners of its own
      const std::string directory = TRY(copier.make_directory(item.target));
      TRY(extract(item.source.host, directory, rules));
      continue;
    }
    if (item.is_download) {
      TRY(copier.copy(item.source, item.target));
      continue;
    }
    if (item.source.host.empty()) {
      TRY(copier.write(item.target, item.contents, 0644, {}));
      continue;
    }
    const bool source_is_directory = is_directory(item.source.host);
    if (plan.parents) TRY(copier.copy_parents(plan.root, item.source, plan.destination));
    std::string target = item.target;
    if (!source_is_directory && !plan.parents && (item.into_directory || copier.is_directory_at(target))) {
      target = (target == "/" ? "" : target) + "/" + path_base(item.source.path);
    }
    TRY(copier.copy(item.source, target));
  }
  return {};
}

Result<void> Engine::apply_copy(const Step& step, State& state) {
  CopyPlan plan = TRY(plan_copy(step, state));
  const std::string key = plan.key.finish().hex;
  return add_layer(step, state, key, !plan.link, [&](const Room& room) -> Result<void> {
    if (plan.chown) {
      std::string image = room.merged;
      if (plan.link) image = TRY(root_of_state(state));
      plan.rules.owner = TRY(resolve_owner(image, *plan.chown));
    }
    return run_copy(plan, room.merged);
  });
}

}  // namespace caisson::build
