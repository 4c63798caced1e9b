// SPDX-License-Identifier: Apache-2.0
// Golden cases of the Dockerfile builder: configuration and flattened root against what buildah and BuildKit gave.
// Needs root, runc and a static busybox; leaves nothing behind. CAISSON_CASE=name runs one case.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>

#include "artifact/build/build.h"
#include "artifact/container/cleanup.h"
#include "artifact/container/containers.h"
#include "artifact/container/root.h"
#include "artifact/content/blob_store.h"
#include "artifact/content/layer_store.h"
#include "artifact/content/tree_tar.h"
#include "conformance/corpus.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/process.h"
#include "core/base/random.h"
#include "core/document/json.h"
#include "core/http/server.h"

namespace caisson::conformance {
namespace {

using build::BaseImage;

constexpr std::int64_t kTime = 1'000'000'000;

Result<void> set_time(const std::string& path, std::int64_t seconds) {
  const timespec times[2] = {{seconds, 0}, {seconds, 0}};
  if (::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return errno_error("set times of " + path);
  return {};
}

// Every path below `root`, folders after their contents.
void walk(const std::string& root, const std::string& path,
          const std::function<void(const std::string&, const struct stat&)>& visit) {
  struct stat st {};
  const std::string host = path.empty() ? root : root + "/" + path;
  if (::lstat(host.c_str(), &st) != 0) return;
  if (S_ISDIR(st.st_mode)) {
    const auto names = list_dir(host);
    if (names.ok()) {
      for (const std::string& name : *names) walk(root, path.empty() ? name : path + "/" + name, visit);
    }
  }
  visit(path, st);
}

std::string busybox_program() {
  for (const char* path : {"/bin/busybox", "/usr/bin/busybox"}) {
    if (exists(path)) return path;
  }
  return {};
}

// busybox:stable as the corpus' README has it.
void make_busybox(const std::string& root) {
  const auto directory = [&](const std::string& path, unsigned mode) {
    REQUIRE(make_dirs(root + "/" + path).ok());
    REQUIRE(::chmod((root + "/" + path).c_str(), mode) == 0);
  };
  for (const char* path : {"bin", "sbin", "usr", "usr/bin", "usr/sbin", "usr/local", "usr/local/bin", "usr/local/sbin",
                           "etc", "home", "var", "var/log", "opt",      "opt/base",  "opt/base/dir",  "opt/base/empty",
                           "dev", "proc", "sys", "mnt",     "run",      "home/app"}) {
    directory(path, 0755);
  }
  directory("root", 0700);
  directory("tmp", 01777);
  directory("var/tmp", 01777);
  const auto file = [&](const std::string& path, std::string_view text, unsigned mode = 0644) {
    REQUIRE(write_file_unsynced(root + "/" + path, text, mode).ok());
    REQUIRE(::chmod((root + "/" + path).c_str(), mode) == 0);
  };
  file("bin/busybox", *read_file(busybox_program()), 0755);
  Command list;
  list.args = {busybox_program(), "--list-full"};
  const std::string applets = run_checked(list).value();
  for (const std::string_view path : split(applets, '\n')) {
    if (path.empty() || path == "bin/busybox" || path == "linuxrc") continue;
    const std::string at = root + "/" + std::string(path);
    REQUIRE(make_dirs(path_dir(at)).ok());
    REQUIRE(::symlink("/bin/busybox", at.c_str()) == 0);
  }
  file("opt/base/one.txt", "one\n");
  file("opt/base/two.txt", "two\n");
  file("opt/base/dir/x.txt", "x\n");
  file("opt/base/dir/y.txt", "y\n");
  REQUIRE(::symlink("one.txt", (root + "/opt/base/link").c_str()) == 0);
  REQUIRE(::symlink("dir", (root + "/opt/base/dirlink").c_str()) == 0);
  file("etc/passwd",
       "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/"
       "bin/false\n"
       "app:x:1000:1000:app:/home/app:/bin/sh\ndev:x:1001:50:dev:/home/dev:/bin/sh\nnobody:x:65534:65534:nobody:/home:/"
       "bin/false\n");
  file("etc/group",
       "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nstaff:x:50:app\nvideo:x:44:app,dev\napp:x:1000:\nnogroup:x:65534:\n");
  REQUIRE(::chown((root + "/home/app").c_str(), 1000, 1000) == 0);
  walk(root, "", [&](const std::string& path, const struct stat&) { CHECK(set_time(root + "/" + path, kTime).ok()); });
}

struct Builder {
  TempDir dir = TempDir::make("caisson-dockerfile").value();
  std::string instance = "/caisson-test" + random_name_suffix(6);
  content::BlobStore blobs = content::BlobStore::open(dir.path() + "/content").value();
  std::unique_ptr<content::LayerStore> layers = content::LayerStore::open(dir.path() + "/layers").value();
  std::unique_ptr<container::Containers> containers;
  BaseImage busybox;

  Builder() {
    container::ContainersOptions options;
    options.state_root = dir.path() + "/containers";
    options.cgroup_root = instance;
    auto opened = container::Containers::open(options, [](const container::ContainerStatus&) {});
    REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().message));
    containers = std::move(opened).value();
    const std::string root = layers->work_dir() + "/busybox";
    make_busybox(root);
    const content::LayerInfo layer = layers->commit(root).value();
    busybox.config.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
    busybox.config.cmd = {"sh"};
    busybox.config.diff_ids = {layer.diff_id};
    busybox.manifest.layers = {{std::string(content::kOciLayer), layer.diff_id, layer.size_bytes, {}, "", {}}};
    busybox.digest = content::Digest::of("busybox");
  }
  ~Builder() {
    containers.reset();
    const auto cleaned = container::cleanup({instance, dir.path() + "/containers", {dir.path()}});
    CHECK(cleaned.ok());
  }

  build::BuildServices services() {
    return {.blobs = blobs,
            .layers = *layers,
            .containers = *containers,
            .base_image = [this](const std::string& name, const content::Platform&) -> Result<BaseImage> {
              if (name == "busybox:stable" || name == "busybox") return busybox;
              return Error{ErrorCode::not_found, "no such image"};
            },
            .cache_dir = dir.path() + "/cache"};
  }
};

// --- the state of a case

void setup_step(const std::string& root, const Value& step) {
  const std::string path = root + "/" + step["path"].str(), op = step["op"].str();
  if (op == "write") {
    REQUIRE(make_dirs(path_dir(path)).ok());
    REQUIRE(write_file_unsynced(path, step["text"].as_string()).ok());
  } else if (op == "mkdir") {
    REQUIRE(make_dirs(path).ok());
  } else if (op == "chmod") {
    REQUIRE(::chmod(path.c_str(), static_cast<mode_t>(std::stoul(step["mode"].scalar_text(), nullptr, 8))) == 0);
  } else if (op == "chown") {
    REQUIRE(::lchown(path.c_str(), static_cast<uid_t>(step["uid"].as_int()),
                     static_cast<gid_t>(step["gid"].as_int())) == 0);
  } else if (op == "hardlink") {
    REQUIRE(::link((root + "/" + step["to"].str()).c_str(), path.c_str()) == 0);
  } else if (op == "fill") {
    REQUIRE(make_dirs(path_dir(path)).ok());
    REQUIRE(write_file_unsynced(path, std::string(static_cast<std::size_t>(step["size"].as_int()), '\0')).ok());
  } else if (op == "fifo") {
    REQUIRE(::mkfifo(path.c_str(), 0644) == 0);
  } else if (op == "xattr") {
    const std::string value = unhex(step["hex"].as_string()).value();
    REQUIRE(::setxattr(path.c_str(), step["name"].str().c_str(), value.data(), value.size(), 0) == 0);
  } else if (op != "mtime") {
    FAIL("unknown setup step " << op);
  }
}

void prepare(const std::string& source, const std::string& root, const Value& args) {
  Command copy;
  copy.args = {"cp", "-a", source, root};
  REQUIRE(run_checked(copy).ok());
  walk(root, "", [&](const std::string& path, const struct stat& st) {
    const std::string host = path.empty() ? root : root + "/" + path;
    REQUIRE(::lchown(host.c_str(), 0, 0) == 0);
    if (S_ISDIR(st.st_mode)) REQUIRE(::chmod(host.c_str(), 0755) == 0);
    if (S_ISREG(st.st_mode)) REQUIRE(::chmod(host.c_str(), (st.st_mode & 0111) ? 0755 : 0644) == 0);
  });
  for (const Value& step : args["setup"].items()) setup_step(root, step);
  walk(root, "", [&](const std::string& path, const struct stat&) {
    REQUIRE(set_time(path.empty() ? root : root + "/" + path, kTime).ok());
  });
  for (const Value& step : args["setup"].items()) {
    if (step["op"].as_string() == "mtime")
      REQUIRE(set_time(root + "/" + step["path"].str(), step["time"].as_int()).ok());
  }
}

// --- comparing

std::string octal(unsigned mode) {
  char text[8];
  std::snprintf(text, sizeof text, "%04o", mode & 07777);
  return text;
}

std::map<std::string, Value> list_root(const std::string& root) {
  std::map<std::string, Value> out;
  std::map<std::pair<dev_t, ino_t>, std::vector<std::string>> names;
  walk(root, "", [&](const std::string& path, const struct stat& st) {
    if (path.empty()) return;
    Value e = Value::map();
    const std::string host = root + "/" + path, name = "/" + path;
    e.set("uid", st.st_uid).set("gid", st.st_gid);
    if (!S_ISLNK(st.st_mode)) e.set("mode", octal(st.st_mode));
    e.set("mtime", static_cast<std::int64_t>(st.st_mtim.tv_sec));
    if (S_ISREG(st.st_mode)) {
      e.set("type", "file")
          .set("size", static_cast<std::int64_t>(st.st_size))
          .set("sha256", sha256_hex(*read_file(host)));
      if (st.st_nlink > 1) names[{st.st_dev, st.st_ino}].push_back(name);
    } else if (S_ISDIR(st.st_mode)) {
      e.set("type", "dir");
    } else if (S_ISLNK(st.st_mode)) {
      char target[4096];
      const ssize_t n = ::readlink(host.c_str(), target, sizeof target);
      e.set("type", "symlink")
          .set("target", std::string_view(target, static_cast<std::size_t>(std::max<ssize_t>(n, 0))));
    } else {
      e.set("type", S_ISFIFO(st.st_mode) ? "fifo" : S_ISCHR(st.st_mode) ? "char" : "block");
    }
    if (!S_ISLNK(st.st_mode)) {
      for (const auto& [key, value] : content::read_layer_xattrs(host)) e.edit("xattrs").set(key, hex(value));
    }
    out[name] = e;
  });
  for (const auto& [id, list] : names) {
    for (const std::string& name : list) {
      std::vector<std::string> others;
      for (const std::string& other : list) {
        if (other != name) others.push_back(other);
      }
      if (!others.empty()) out[name].set("hardlinks", Value::list_of(others));
    }
  }
  return out;
}

// A mounted view of layers.
class View {
 public:
  View(Builder& builder, const std::vector<content::Digest>& diff_ids, const std::string& name)
      : root_(builder.dir.path() + "/" + name) {
    container::RootSpec spec;
    spec.lowers = builder.layers->lowers(diff_ids);
    const std::string empty = builder.dir.path() + "/empty";
    REQUIRE(make_dirs(empty).ok());
    spec.lowers.push_back(empty);
    if (spec.lowers.size() == 1) {
      root_ = empty;
      return;
    }
    spec.merged = root_;
    mounted_ = true;
    const auto mounted = container::mount_root(spec);
    REQUIRE_MESSAGE(mounted.ok(), mounted.error().message);
  }
  ~View() {
    if (!mounted_) return;
    CHECK(container::unmount(root_).ok());
    CHECK(remove_tree(root_).ok());
  }
  const std::string& root() const { return root_; }

 private:
  std::string root_;
  bool mounted_ = false;
};

Value comparable(Value entry, bool with_time) {
  entry.erase("text");
  if (!with_time) entry.erase("mtime");
  return entry;
}

bool is_accepted(const std::map<std::string, Value>& have, const std::string& path, const Value& accept,
                 bool with_time) {
  const Value* options = accept.find(path);
  if (options == nullptr) return false;
  const auto it = have.find(path);
  const auto fits = [&](const Value& option) {
    if (option.is_null()) return it == have.end();
    return it != have.end() && comparable(it->second, with_time) == comparable(option, with_time);
  };
  if (!options->is_list()) return fits(*options);
  for (const Value& option : options->items()) {
    if (fits(option)) return true;
  }
  return false;
}

std::string compare_files(const std::map<std::string, Value>& base, const std::map<std::string, Value>& image,
                          const Value& expected, const Value& args) {
  std::set<std::string> timed;
  for (const Value& path : args["check_mtime"].items()) timed.insert(path.str());
  std::map<std::string, Value> changed;
  for (const auto& [path, entry] : image) {
    const auto old = base.find(path);
    const bool is_dir = entry["type"].as_string() == "dir";
    if (old == base.end() || comparable(old->second, !is_dir) != comparable(entry, !is_dir)) changed[path] = entry;
  }
  std::set<std::string> removed;
  for (const auto& [path, entry] : base) {
    if (!image.contains(path) && (path_dir(path) == "/" || image.contains(path_dir(path)))) removed.insert(path);
  }
  std::string why;
  const auto differs = [&](const std::string& text) { why += (why.empty() ? "" : "; ") + text; };
  for (const auto& [path_view, want] : expected["files"].entries()) {
    const std::string path(path_view);
    const auto it = changed.find(path);
    const bool with_time = timed.contains(path) || want.contains("mtime");
    if (it != changed.end() && comparable(it->second, with_time) == comparable(want, with_time)) continue;
    if (is_accepted(changed, path, expected["accept"], with_time)) continue;
    differs(path + ": " + (it == changed.end() ? "absent" : json::write(comparable(it->second, with_time))) +
            " instead of " + json::write(comparable(want, with_time)));
  }
  for (const auto& [path, entry] : changed) {
    if (expected["files"].contains(path) || is_accepted(changed, path, expected["accept"], timed.contains(path)))
      continue;
    differs(path + ": extra " + json::write(comparable(entry, false)));
  }
  std::set<std::string> want_removed;
  for (const Value& path : expected["removed"].items()) want_removed.insert(path.str());
  for (const std::string& path : want_removed) {
    if (!removed.contains(path)) differs(path + " is still there");
  }
  for (const std::string& path : removed) {
    if (!want_removed.contains(path)) differs(path + " is gone");
  }
  return why.substr(0, 900);
}

Value config_value(const content::ImageConfig& config, bool with_created) {
  const Value whole = json::parse(content::write_config(config)).value();
  Value out = Value::map();
  const auto put = [&](std::string_view key, const Value& value) {
    if (value.is_null() || (value.is_string() && value.as_string().empty()) ||
        ((value.is_map() || value.is_list()) && value.empty()))
      return;
    out.set(key, value);
  };
  const Value& inner = whole["config"];
  for (const char* key :
       {"Env", "Entrypoint", "Cmd", "User", "WorkingDir", "Labels", "StopSignal", "Healthcheck", "Shell", "OnBuild"}) {
    put(key, inner[key]);
  }
  for (const char* key : {"ExposedPorts", "Volumes"}) {
    Value keys = Value::list();
    for (const auto& [name, value] : inner[key].entries()) keys.push_back(name);
    put(key, keys);
  }
  for (const char* key : {"architecture", "os", "variant", "author"}) put(key, whole[key]);
  if (with_created) put("created", whole["created"]);
  if (out["WorkingDir"].as_string() == "/") out.erase("WorkingDir");
  return out;
}

Value wanted_config(const Value& config) {
  Value out = Value::map();
  for (const auto& [key, value] : config.entries()) {
    const bool empty = value.is_null() || (value.is_string() && value.as_string().empty()) ||
                       ((value.is_map() || value.is_list()) && value.empty());
    if (empty || (key == "WorkingDir" && value.as_string() == "/")) continue;
    if ((key == "ExposedPorts" || key == "Volumes") && value.is_map()) {
      Value keys = Value::list();
      for (const auto& [name, inner] : value.entries()) keys.push_back(name);
      out.set(key, keys);
    } else {
      out.set(key, value);
    }
  }
  return out;
}

// The essence: every quoted or long word of the expected text that names something of the Dockerfile must be in ours.
// The wording is free; what counts is listed by the expected text's quoted parts, line number and flags.
std::string compare_error(const std::string& have, const std::string& recorded) {
  const std::string want = replace_all(recorded, "\\n", "\n");
  const auto squeeze = [](std::string text) {
    for (const char* c : {"\"", "'", "`", "\\"}) text = replace_all(text, c, "");
    return to_lower(text);
  };
  const std::string ours = squeeze(have), theirs = squeeze(std::string(trim(want)));
  if (ours.find(theirs) != std::string::npos) return "";
  std::vector<std::string> essence;
  for (const char quote : {'"', '\''}) {
    for (std::size_t at = want.find(quote); at != std::string::npos;) {
      const std::size_t end = want.find(quote, at + 1);
      if (end == std::string::npos) break;
      essence.push_back(squeeze(want.substr(at + 1, end - at - 1)));
      at = want.find(quote, end + 1);
    }
  }
  if (essence.empty()) {
    for (const std::string_view word : split(want, ' ')) {
      if (word.starts_with('/')) essence.emplace_back(word.substr(0, word.find(':')));
      if (word.find('.') != std::string_view::npos && word.find('/') == std::string_view::npos)
        essence.emplace_back(word);
    }
  }
  if (const std::size_t line = want.find("on line "); line != std::string::npos) {
    essence.push_back(want.substr(line, want.find(':', line) - line));
  }
  if (const std::size_t flag = want.find("--"); flag != std::string::npos)
    essence.push_back(want.substr(flag, want.find_first_of(" :", flag) - flag));
  if (const std::size_t code = want.find("exit code: "); code != std::string::npos)
    essence.push_back(want.substr(code));
  const auto contains = [&](const std::string& part) {
    return ours.find(squeeze(std::string(trim(part)))) != std::string::npos;
  };
  if (!essence.empty() && std::all_of(essence.begin(), essence.end(), contains)) return "";
  return "said \"" + have + "\" instead of \"" + std::string(trim(want)) + "\"";
}

// --- one case

build::BuildRequest request_of(const std::string& root, const std::string& name, const Value& args, std::string& text) {
  build::BuildRequest request;
  request.id = "case-" + name;
  request.context_dir = root + "/context";
  request.cache_scope = name;
  request.use_cache = false;
  if (args.contains("file")) request.dockerfile_path = root + "/" + args["file"].str();
  if (request.dockerfile_path.starts_with(request.context_dir + "/"))
    request.dockerfile_path.erase(0, request.context_dir.size() + 1);
  request.target = args["target"].str();
  for (const auto& [key, value] : args["build_args"].entries()) {
    if (!value.is_null())
      request.build_args.emplace_back(key, value.str());
    else if (args["env"].contains(key))
      request.build_args.emplace_back(key, args["env"][key].str());
  }
  for (const auto& [key, value] : args["labels"].entries()) request.labels.emplace_back(key, value.str());
  for (const auto& [key, value] : args["add_hosts"].entries()) request.add_hosts.emplace_back(key, value.str());
  for (const Value& secret : args["secrets"].items()) {
    const std::string file = secret["file"].str();
    request.secrets[secret["id"].str()] =
        file.empty() ? args["env"][secret["env"].str()].str() : text_of(root + "/" + file);
  }
  for (const auto& [key, value] : args["contexts"].entries()) {
    const std::string where = value.str();
    if (where.starts_with("image:"))
      request.contexts[std::string(key)].image = where.substr(6);
    else
      request.contexts[std::string(key)].directory = root + "/" + where;
  }
  request.log = [&text](std::string_view piece) { text += piece; };
  return request;
}

std::string run_case(Builder& builder, const std::string& source, const std::string& name) {
  const Value args = json::parse(text_of(source + "/args.json")).value();
  const std::string root = builder.dir.path() + "/case";
  REQUIRE(remove_tree(root).ok());
  prepare(source, root, args);
  std::string log;
  build::BuildRequest request = request_of(root, name, args, log);
  http::Server server = http::Server::start({}).value();
  if (args.contains("http")) {
    const std::string served = root + "/" + args["http"].str();
    const int port = server
                         .listen("127.0.0.1", 0,
                                 [served](http::ExchangePtr exchange) {
                                   const std::string path = served + path_clean(exchange->path);
                                   struct stat st {};
                                   const auto bytes = read_file(path);
                                   if (!bytes.ok() || ::stat(path.c_str(), &st) != 0)
                                     return exchange->respond({404, {}, "no"});
                                   char date[64];
                                   tm parts{};
                                   ::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT",
                                              ::gmtime_r(&st.st_mtim.tv_sec, &parts));
                                   exchange->respond({200, {{"Last-Modified", date}}, *bytes});
                                 })
                         .value();
    request.build_args.emplace_back("BASE_URL", "http://127.0.0.1:" + std::to_string(port));
  }
  if (args.contains("platform")) {
    const std::vector<std::string_view> parts = split(args["platform"].as_string(), '/');
    request.platform = {std::string(parts[0]), parts.size() > 1 ? std::string(parts[1]) : "amd64",
                        parts.size() > 2 ? std::string(parts[2]) : ""};
  }
  const auto result = build::build_image(request, builder.services());
  if (exists(source + "/expected-error.txt")) {
    if (result.ok()) return "was not refused";
    return compare_error(result.error().message, text_of(source + "/expected-error.txt"));
  }
  if (!result.ok()) return "failed: " + result.error().message + "\n" + log.substr(0, 500);
  const Value expected = json::parse(text_of(source + "/expected.json")).value();
  const bool with_created = args["check_created"].as_bool();
  const Value have = config_value(result->config, with_created), want = wanted_config(expected["config"]);
  if (have != want) return "config " + json::write(have) + " instead of " + json::write(want);
  if (have["Env"] != want["Env"]) return "the order of Env";
  if (expected.contains("layers") && expected["layers"].as_int() != static_cast<std::int64_t>(result->layers.size())) {
    return std::to_string(result->layers.size()) + " layers instead of " + expected["layers"].scalar_text();
  }
  std::map<std::string, Value> base;
  if (args["base"].as_string() != "scratch")
    base = list_root(View(builder, builder.busybox.config.diff_ids, "base").root());
  const View view(builder, result->config.diff_ids, "image");
  return compare_files(base, list_root(view.root()), expected, args);
}

bool has_links(const std::string& root) {
  bool found = false;
  walk(root, "", [&](const std::string&, const struct stat& st) { found |= S_ISLNK(st.st_mode); });
  return found;
}

}  // namespace

TEST_CASE("Dockerfiles give the images that buildah and BuildKit give") {
  const std::string root = corpus_dir("dockerfile");
  if (root.empty()) return;
  if (::geteuid() != 0 || busybox_program().empty() || find_program("runc").empty()) {
    MESSAGE("skipped: needs root, runc and a static busybox");
    return;
  }
  Builder builder;
  Outcomes outcomes("dockerfile");
  const char* only = std::getenv("CAISSON_CASE");
  for (const std::string& name : cases_with(root, "args.json")) {
    if (only != nullptr && name != only) continue;
    if (name.starts_with("copy-symlink-") && !has_links(root + "/" + name)) {
      MESSAGE("skipped: " << name << " (this copy of the corpus holds its symbolic links as plain files)");
      continue;
    }
    const std::string why = run_case(builder, root + "/" + name, name);
    if (why.empty())
      outcomes.passed(name);
    else
      outcomes.failed(name, why);
  }
  outcomes.check(only == nullptr);
}

}  // namespace caisson::conformance
