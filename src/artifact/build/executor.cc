// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/executor.h"

#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "artifact/build/builder.h"
#include "artifact/build/context.h"
#include "artifact/content/archive.h"
#include "artifact/content/blob_store.h"
#include "artifact/content/image.h"
#include "artifact/content/reference.h"
#include "artifact/registry/registry_client.h"
#include "cluster/kube/http_client.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "core/base/text.h"

namespace caisson::build {
namespace {

constexpr std::string_view kAccount = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::size_t kSecretBytesMax = 500u << 10;  // as BuildKit's
constexpr std::string_view kPortal = "https://git.caisson-system.svc";

std::string environment(const char* name) {
  const char* value = ::getenv(name);
  return value != nullptr ? value : "";
}

void say(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

// Flags of kaniko that change nothing here: said, not refused, so that a kaniko step runs as it is.
bool is_without_effect(std::string_view name) {
  static constexpr std::string_view names[] = {"cache-copy-layers",
                                               "cache-run-layers",
                                               "cache-ttl",
                                               "cache-dir",
                                               "verbosity",
                                               "log-format",
                                               "log-timestamp",
                                               "snapshot-mode",
                                               "snapshotMode",
                                               "use-new-run",
                                               "single-snapshot",
                                               "compressed-caching",
                                               "compression",
                                               "compression-level",
                                               "cleanup",
                                               "push-retry",
                                               "image-download-retry",
                                               "image-fs-extract-retry",
                                               "ignore-path",
                                               "skip-unused-stages",
                                               "force",
                                               "reproducible",
                                               "skip-tls-verify",
                                               "skip-tls-verify-pull",
                                               "skip-tls-verify-registry",
                                               "insecure",
                                               "insecure-pull",
                                               "insecure-registry",
                                               "skip-push-permission-check",
                                               "skip-default-registry-fallback",
                                               "ignore-var-run",
                                               "kaniko-dir",
                                               "image-fs-extract-retry",
                                               "push-ignore-immutable-tag-errors",
                                               "initial-fs-unpacked",
                                               "use-old-run",
                                               "v"};
  for (const std::string_view one : names) {
    if (name == one) return true;
  }
  return false;
}

// What this pod may do as, and where its platform is.
Result<BuildPlatform> platform_of_pod() {
  const std::string root(kAccount);
  const std::string host = environment("KUBERNETES_SERVICE_HOST"), port = environment("KUBERNETES_SERVICE_PORT");
  BuildPlatform out;
  out.api_url = "https://" + (host.empty() ? "kubernetes.default.svc" : host) + ":" + (port.empty() ? "443" : port);
  out.registry_url = "https://" + std::string(content::kRegistryName);
  out.portal_url = kPortal;
  out.token = TRY(read_file(root + "/token", 64u << 10).in("the ServiceAccount's token"));
  out.ca_pem = TRY(read_file(root + "/ca.crt", 1u << 20).in("the platform's CA"));
  out.ns = TRY(read_file(root + "/namespace", 1024).in("the pod's namespace"));
  out.token = std::string(trim(out.token));
  out.ns = std::string(trim(out.ns));
  out.traceparent = environment(std::string(kTraceparentVariable).c_str());
  out.pod.resize(256);
  ::gethostname(out.pod.data(), out.pod.size() - 1);
  out.pod.resize(std::char_traits<char>::length(out.pod.c_str()));
  return out;
}

class Executor {
 public:
  Executor(const ExecutorFlags& flags, const BuildPlatform& platform) : flags_(flags), platform_(platform) {
    kube::Connection connection;
    connection.server = platform_.api_url;
    connection.http.ca_pem = platform_.ca_pem;
    connection.http.use_proxy = false;
    connection.token = platform_.token;
    connection.ns = platform_.ns;
    client_ = kube::make_http_client(std::move(connection));
  }

  Result<void> run() {
    for (const std::string& text : flags_.destinations) {
      content::Reference ref = TRY(content::parse_reference(text, platform_.names).in("--destination"));
      destinations_.push_back(std::move(ref));
    }
    TRY(upload_context());
    for (const CacheOption& cache : flags_.cache_from) TRY(import_cache(cache));
    name_build();
    TRY(hand_over_secrets());
    Result<content::Digest> built = create_and_follow();
    TRY(forget_secrets());
    const content::Digest digest = TRY(std::move(built));
    say("built " + digest.str());
    if (!flags_.no_push) {
      for (const content::Reference& ref : destinations_) TRY(push(ref, digest));
    }
    TRY(export_cache());
    TRY(save_tar(digest));
    TRY(write_digests(digest));
    return forget_build();
  }

 private:
  static Result<void> write_result(const std::string& path, const std::string& text) {
    if (path.empty()) return {};
    TRY(make_dirs(path_dir(path)));
    return write_file_unsynced(path, text);
  }

  Result<void> write_digests(const content::Digest& digest) const {
    std::string names, tags;
    for (std::size_t i = 0; i < destinations_.size(); ++i) {
      const std::string& text = flags_.destinations[i];  // as it was given: "localhost:5000/…" is what the caller knows
      const std::size_t colon = text.rfind(':');
      const bool tagged = colon != std::string::npos && text.find('/', colon) == std::string::npos;
      names += text.substr(0, tagged ? colon : std::string::npos) + "@" + digest.str() + "\n";
      tags += text + "@" + digest.str() + "\n";
    }
    TRY(write_result(flags_.digest_file, digest.str()));
    TRY(write_result(flags_.name_digest_file, names));
    return write_result(flags_.name_tag_digest_file, tags);
  }

  // The image comes back from the registry, into a directory beside the archive.
  Result<void> save_tar(const content::Digest& digest) const {
    if (flags_.tar_path.empty()) return {};
    TRY(make_dirs(path_dir(flags_.tar_path)));
    const TempDir dir = TRY(TempDir::make("caisson-image", path_dir(flags_.tar_path)));
    content::BlobStore blobs = TRY(content::BlobStore::open(dir.path()));
    content::Reference from = builds_reference();
    from.digest = digest;
    registry::RegistryClient client = registry(true);
    TRY(client.pull(from, blobs));
    const std::string name = flags_.destinations.empty() ? std::string() : flags_.destinations.front();
    return content::save_archive(flags_.tar_path, {{name, digest}}, blobs, nullptr);
  }

  Result<content::Digest> create_and_follow() {
    TRY(create_build());
    return follow();
  }

  std::string secrets_name() const { return key_.name + "-secrets"; }

  // The bytes go to the builder as a Secret, which nobody reads but who may read Secrets, for as long as it builds.
  Result<void> hand_over_secrets() {
    if (flags_.secrets.empty() && flags_.ssh_keys.empty()) return {};
    kube::Object secret = kube::Object::make(schema::kSecrets, key_.ns, secrets_name());
    secret.edit({"type"}) = Value("Opaque");
    Value& data = secret.edit({"data"});
    data = Value::map();
    const auto add = [&](const std::vector<SecretOption>& options, const char* flag, Value& mounts) -> Result<void> {
      for (const SecretOption& option : options) {
        const char* variable = option.variable.empty() ? nullptr : ::getenv(option.variable.c_str());
        const std::string bytes =
            variable != nullptr
                ? std::string(variable)
                : TRY(read_file(option.path, kSecretBytesMax).in("--" + std::string(flag) + " " + option.id));
        const std::string key = std::string(flag) + "-" + std::to_string(mounts.size());
        data.set(key, base64(bytes));
        mounts.push_back(Value{{"id", option.id}, {"secretName", secrets_name()}, {"key", key}});
      }
      return {};
    };
    TRY(add(flags_.secrets, "secret", secret_mounts_));
    TRY(add(flags_.ssh_keys, "ssh", ssh_mounts_));
    Result<kube::Object> made = client_->create(secret);
    if (!made.ok() && made.error().code != ErrorCode::already_exists)
      return std::move(made).error().in("hand the build's secrets over");
    return {};
  }

  Result<void> forget_secrets() {
    if (secret_mounts_.empty() && ssh_mounts_.empty()) return {};
    return client_->remove(schema::kSecrets, {key_.ns, secrets_name()});
  }

  // A step's Build goes with its pod; nobody else's is needed any longer.
  Result<void> forget_build() {
    if (!platform_.pod.empty()) return {};
    return client_->remove(schema::kBuilds, key_);
  }

  registry::RegistryClient registry(bool own) const {
    registry::ClientOptions options;
    options.own_url = platform_.registry_url;
    options.traceparent = platform_.traceparent;
    if (own) {
      options.http.ca_pem = platform_.ca_pem;
      options.http.use_proxy = false;
      options.login = [token = platform_.token](std::string_view) {
        return std::optional<registry::Login>(registry::Login{"serviceaccount", SecretBytes(token), false});
      };
    }
    return registry::RegistryClient(std::move(options));
  }

  content::Reference builds_reference() const {
    content::Reference ref;
    ref.repository = builds_repository(platform_.ns);
    return ref;
  }

  Result<void> upload_context() {
    std::string root = flags_.context;
    if (root.starts_with("dir://")) root = root.substr(6);
    if (root.find("://") != std::string::npos)
      return Error{ErrorCode::bad_request, "--context: only dir:// and paths are supported, not " + root};
    if (!flags_.sub_path.empty()) root = path_join(root, TRY(safe_path(flags_.sub_path).in("--context-sub-path")));
    root = path_clean(root);
    dockerfile_ = flags_.dockerfile;
    if (dockerfile_.starts_with(root + "/")) dockerfile_ = dockerfile_.substr(root.size() + 1);
    if (dockerfile_.starts_with("/"))
      return Error{ErrorCode::bad_request, "--dockerfile: " + dockerfile_ + " is not in the context " + root};
    dockerfile_ = path_clean(dockerfile_);
    const Context context = TRY(Context::open(root, dockerfile_));
    const Context::Summary summary = TRY(context.summary());
    context_ = summary.digest;
    say("context " + root + ": " + std::to_string(summary.files) + " entries, " + std::to_string(summary.size_bytes) +
        " bytes");
    registry::RegistryClient client = registry(true);
    content::Reference ref;
    ref.repository = contexts_repository(platform_.ns);
    return client
        .put_blob(ref, context_, summary.size_bytes, [&] { return Result<content::ByteSource>(context.stream()); })
        .in("upload the context");
  }

  // Named after the pod and what is built, so that a container that is started again takes the same Build up.
  void name_build() {
    std::string inputs = context_.str() + dockerfile_ + flags_.target;
    for (const auto& [name, value] : flags_.build_args) inputs += "\n" + name + "=" + value;
    const std::string hash = content::Digest::of(inputs).hex.substr(0, 10);
    const std::string name =
        platform_.pod.empty() ? "build-" + random_name_suffix(8) : to_lower(platform_.pod.substr(0, 40)) + "-" + hash;
    key_ = {platform_.ns, name};
  }

  Result<void> create_build() {
    kube::Object build = kube::Object::make(schema::kBuilds, key_.ns, key_.name);
    Value& spec = build.edit({"spec"});
    spec.set("contextDigest", context_.str()).set("dockerfile", dockerfile_).set("cache", flags_.cache);
    if (!flags_.target.empty()) spec.set("target", flags_.target);
    if (!imported_.empty()) spec.set("cacheFrom", Value::list_of(imported_));
    if (!secret_mounts_.empty()) spec.set("secretMounts", secret_mounts_);
    if (!ssh_mounts_.empty()) spec.set("sshMounts", ssh_mounts_);
    if (flags_.cache_to) spec.set("cacheTo", flags_.cache_to->all_stages ? "max" : "min");
    const auto set_map = [&spec](std::string_view field,
                                 const std::vector<std::pair<std::string, std::string>>& pairs) {
      for (const auto& [name, value] : pairs) spec.edit(field).set(name, value);
    };
    set_map("buildArgs", flags_.build_args);
    set_map("labels", flags_.labels);
    if (!flags_.destinations.empty()) spec.set("destinations", Value::list_of(flags_.destinations));
    if (!platform_.traceparent.empty()) build.set_annotation(kTraceparentAnnotation, platform_.traceparent);
    // The Build goes with its pod, where the account may look that up.
    const Result<kube::Object> owner = platform_.pod.empty()
                                           ? Error{ErrorCode::not_found, "no pod"}
                                           : client_->get(schema::kPods, {platform_.ns, platform_.pod});
    if (owner.ok()) {
      Value reference = Value::map();
      reference.set("apiVersion", "v1").set("kind", "Pod").set("name", owner->name()).set("uid", owner->uid());
      build.edit({"metadata", "ownerReferences"}) = Value(std::vector<Value>{reference});
    }
    const Result<kube::Object> created = client_->create(build);
    if (!created.ok() && created.error().code != ErrorCode::already_exists)
      return Error(created.error()).in("create Build " + key_.str());
    say("build " + key_.str());
    return {};
  }

  // Prints the log as it grows; gives whether something came. Errors leave the status to tell.
  void print_log(const std::stop_token& stop) {
    http::ClientOptions options;
    options.ca_pem = platform_.ca_pem;
    options.use_proxy = false;
    const http::Client http(options);
    std::uint64_t printed = 0;
    Duration pause = std::chrono::milliseconds(10);  // the log is there a few milliseconds after the Build
    while (!stop.stop_requested()) {
      http::Request request;
      request.url = platform_.portal_url + "/builds/" + key_.ns + "/" + key_.name + "/log?follow=true";
      request.headers.set("Authorization", "Bearer " + platform_.token);
      request.time_max = Duration(0);
      Result<std::unique_ptr<http::ResponseStream>> opened = http.open(request);
      if (opened.ok() && (*opened)->status == 200) {
        const std::unique_ptr<http::ResponseStream> stream = std::move(opened).value();
        const std::stop_callback cancel(stop, [&stream] { stream->cancel(); });
        std::uint64_t skip = printed;
        for (;;) {
          const Result<std::string> piece = stream->read_some();
          if (!piece.ok() || piece->empty()) {
            if (piece.ok()) return;
            break;  // cut off: once more, from where we are
          }
          const std::size_t known = static_cast<std::size_t>(std::min<std::uint64_t>(skip, piece->size()));
          skip -= known;
          std::fwrite(piece->data() + known, 1, piece->size() - known, stdout);
          std::fflush(stdout);
          printed += piece->size() - known;
        }
      }
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, stop, pause, [] { return false; });
      pause = std::min<Duration>(pause * 2, std::chrono::milliseconds(300));
    }
  }

  Result<content::Digest> follow() {
    std::jthread log([this](const std::stop_token& stop) { print_log(stop); });
    // A watch says when to look; the timer is for what a cut watch would lose.
    bool news = false;
    const auto watch = client_->watch(schema::kBuilds, {.ns = key_.ns, .field_selector = "metadata.name=" + key_.name},
                                      [&](const kube::WatchEvent&) {
                                        const std::lock_guard lock(mutex_);
                                        news = true;
                                        changed_.notify_all();
                                      });
    kube::Object last;
    for (;;) {
      const Result<kube::Object> build = client_->get(schema::kBuilds, key_);
      if (build.ok()) {
        last = *build;
        const std::string phase = last.status()["phase"].str();
        if (phase == "Succeeded" || phase == "Failed") break;
      } else if (build.error().code != ErrorCode::unavailable && build.error().code != ErrorCode::timeout) {
        return Error(build.error()).in("build " + key_.str());
      }  // the server is being restarted: wait for it
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::milliseconds(watch.ok() ? 500 : 100),
                        [&] { return std::exchange(news, false); });
    }
    finish_log(log);
    if (last.status()["phase"].as_string() == "Failed")
      return Error{ErrorCode::bad_request, last.status()["message"].str()};
    cache_ = last.status()["cacheDigest"].str();
    return content::Digest::parse(last.status()["imageDigest"].as_string());
  }

  // The log's stream ends by itself soon after the build; a server that is away must not hold us up.
  void finish_log(std::jthread& log) {
    std::jthread watchdog([&log, this](const std::stop_token& stop) {
      std::unique_lock lock(mutex_);
      if (!changed_.wait_for(lock, stop, std::chrono::seconds(3), [] { return false; })) log.request_stop();
    });
    log.join();
  }

  // Copies a cache into our builds' repository, where the builder may look, with the rights of whoever runs this. A
  // cache that can't be had makes a build slower, not wrong.
  Result<void> import_cache(const CacheOption& option) {
    const content::Reference ref = TRY(content::parse_reference(option.reference, platform_.names).in("--cache-from"));
    const Result<content::Digest> copied = copy_cache(ref);
    if (copied.ok())
      imported_.push_back(copied->str());
    else
      say("cache " + ref.familiar() + " is not used: " + copied.error().message);
    return {};
  }

  Result<void> export_cache() {
    if (!flags_.cache_to || cache_.empty()) return {};
    const content::Reference ref =
        TRY(content::parse_reference(flags_.cache_to->reference, platform_.names).in("--cache-to"));
    const content::Digest digest = TRY(content::Digest::parse(cache_));
    return push(ref, digest);
  }

  Result<content::Digest> copy_cache(const content::Reference& ref) {
    registry::RegistryClient source = registry(ref.is_ours()), own = registry(true);
    const registry::FetchedManifest fetched = TRY(source.manifest(ref));
    const content::Manifest manifest = TRY(content::parse_manifest(fetched.bytes));
    if (manifest.config.media_type != kCacheConfig)
      return Error{ErrorCode::invalid, "it is an image, not a build cache"};
    std::vector<content::Descriptor> parts = manifest.layers;
    parts.push_back(manifest.config);
    content::Reference to = builds_reference();
    for (const content::Descriptor& part : parts) {
      if (ref.is_ours() && ref.repository == to.repository) break;
      const bool mounted = ref.is_ours() && TRY(own.mount_blob(to, part.digest, ref.repository));
      if (!mounted)
        TRY(own.put_blob(to, part.digest, part.size_bytes, [&] { return source.open_blob(ref, part.digest); }));
    }
    to.digest = fetched.digest;
    TRY(own.put_manifest(to, fetched.bytes, fetched.media_type));
    return fetched.digest;
  }

  Result<void> push(const content::Reference& ref, const content::Digest& digest) {
    registry::RegistryClient own = registry(true);
    content::Reference from = builds_reference();
    from.digest = digest;
    const registry::FetchedManifest fetched = TRY(own.manifest(from));
    const content::Manifest manifest = TRY(content::parse_manifest(fetched.bytes));
    std::vector<content::Descriptor> parts = manifest.layers;
    parts.push_back(manifest.config);
    registry::RegistryClient target = registry(ref.is_ours());
    for (const content::Descriptor& part : parts) {
      if (ref.is_ours() && ref.repository != from.repository) {
        const bool mounted = TRY(target.mount_blob(ref, part.digest, from.repository).in("push " + ref.familiar()));
        if (!mounted)
          return Error{ErrorCode::internal,
                       "push " + ref.familiar() + ": layer " + part.digest.str() + " is not in the registry"};
      } else if (!ref.is_ours()) {
        TRY(target.put_blob(ref, part.digest, part.size_bytes, [&] { return own.open_blob(from, part.digest); })
                .in("push " + ref.familiar()));
      }
    }
    TRY(target.put_manifest(ref, fetched.bytes, fetched.media_type));
    say("pushed " + ref.familiar() + "@" + digest.str());
    return {};
  }

  const ExecutorFlags& flags_;
  const BuildPlatform& platform_;
  std::unique_ptr<kube::Client> client_;
  std::vector<content::Reference> destinations_;
  std::string dockerfile_;
  content::Digest context_;
  std::vector<std::string> imported_;                                 // digests of caches, in our builds' repository
  std::string cache_;                                                 // digest of what the build exported
  Value secret_mounts_ = Value::list(), ssh_mounts_ = Value::list();  // of the Build's spec
  kube::ObjectKey key_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
};

Result<std::pair<std::string, std::string>> pair_of(const std::string& flag, const std::string& value) {
  const std::size_t equals = value.find('=');
  if (equals == std::string::npos) {
    const char* inherited = ::getenv(value.c_str());
    if (inherited == nullptr) return Error{ErrorCode::bad_request, "--" + flag + " " + value + ": want NAME=value"};
    return std::pair(value, std::string(inherited));
  }
  return std::pair(value.substr(0, equals), value.substr(equals + 1));
}

Result<bool> bool_of(const std::string& flag, const std::string& value) {
  if (value == "true" || value == "1" || value.empty()) return true;
  if (value == "false" || value == "0") return false;
  return Error{ErrorCode::bad_request, "--" + flag + "=" + value + ": want true or false"};
}

}  // namespace

Result<SecretOption> parse_secret_option(std::string_view text) {
  SecretOption out;
  const auto bad = [&](const std::string& what) {
    return Error{ErrorCode::bad_request, "--secret " + std::string(text) + ": " + what};
  };
  for (const std::string_view field : split(text, ',')) {
    const std::size_t equals = field.find('=');
    const std::string_view key = field.substr(0, equals);
    const std::string value(equals == std::string_view::npos ? std::string_view() : field.substr(equals + 1));
    if (value.empty()) return bad("want id=ID,src=FILE or id=ID,env=NAME");
    if (key == "id")
      out.id = value;
    else if (key == "src" || key == "source")
      out.path = value;
    else if (key == "env")
      out.variable = value;
    else if (key != "type" || (value != "file" && value != "env"))
      return bad("\"" + std::string(field) + "\" is not supported");
  }
  if (out.id.empty()) return bad("id= is missing");
  if (!out.variable.empty() && ::getenv(out.variable.c_str()) == nullptr) return bad("there is no such variable");
  if (out.path.empty() && out.variable.empty()) {
    out.path = out.id;
    if (::getenv(out.id.c_str()) != nullptr) out.variable = out.id;
  }
  return out;
}

Result<SecretOption> parse_ssh_option(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size())
    return Error{
        ErrorCode::bad_request,
        "--ssh " + std::string(text) +
            ": want ID=KEYFILE, as in default=~/.ssh/id_ed25519 (an agent of yours can't be reached from where "
            "images are built)"};
  return SecretOption{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)), ""};
}

Result<ExecutorFlags> parse_executor_flags(const std::vector<std::string>& args) {
  ExecutorFlags out;
  std::string cache_repository;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (!arg.starts_with("-")) return Error{ErrorCode::bad_request, "unexpected argument \"" + arg + "\""};
    const std::size_t dashes = arg.starts_with("--") ? 2 : 1;
    const std::size_t equals = arg.find('=');
    std::string name = arg.substr(dashes, equals == std::string::npos ? std::string::npos : equals - dashes);
    static constexpr std::pair<std::string_view, std::string_view> kShort[] = {
        {"f", "dockerfile"}, {"c", "context"}, {"d", "destination"}};
    for (const auto& [letter, whole] : kShort) {
      if (name == letter) name = whole;
    }
    // kaniko writes some of its flags both ways.
    if (name == "tarPath") name = "tar-path";
    const bool is_switch = name == "cache" || name == "no-push";
    std::string value;
    if (equals != std::string::npos)
      value = arg.substr(equals + 1);
    else if (is_without_effect(name)) {
      if (i + 1 < args.size() && !args[i + 1].starts_with("-")) ++i;  // its value, if it has one
    } else if (!is_switch) {
      if (++i == args.size()) return Error{ErrorCode::bad_request, "--" + name + " needs a value"};
      value = args[i];
    }
    if (name == "dockerfile")
      out.dockerfile = value;
    else if (name == "context")
      out.context = value;
    else if (name == "context-sub-path")
      out.sub_path = value;
    else if (name == "destination")
      out.destinations.push_back(value);
    else if (name == "target")
      out.target = value;
    else if (name == "digest-file")
      out.digest_file = value;
    else if (name == "image-name-with-digest-file")
      out.name_digest_file = value;
    else if (name == "image-name-tag-with-digest-file")
      out.name_tag_digest_file = value;
    else if (name == "tar-path")
      out.tar_path = value;
    else if (name == "build-arg")
      out.build_args.push_back(TRY(pair_of(name, value)));
    else if (name == "label")
      out.labels.push_back(TRY(pair_of(name, value)));
    else if (name == "cache")
      out.cache = TRY(bool_of(name, value));
    else if (name == "secret")
      out.secrets.push_back(TRY(parse_secret_option(value)));
    else if (name == "ssh")
      out.ssh_keys.push_back(TRY(parse_ssh_option(value)));
    else if (name == "cache-repo")
      cache_repository = value;
    else if (name == "no-push")
      out.no_push = TRY(bool_of(name, value));
    else if (!is_without_effect(name))
      return Error{ErrorCode::bad_request, "the flag --" + name + " is not supported"};
  }
  if (!cache_repository.empty() && out.cache) {
    // One tag for what is built of one file to one place, so that builds that share the repository keep their own.
    std::string what = out.dockerfile + "\n" + out.target;
    if (!out.destinations.empty()) what += "\n" + out.destinations[0].substr(0, out.destinations[0].rfind(':'));
    out.cache_to = CacheOption{cache_repository + ":" + content::Digest::of(what).hex.substr(0, 16), true};
    out.cache_from = {*out.cache_to};
  }
  if (out.destinations.empty() && !out.no_push) {
    return Error{ErrorCode::bad_request,
                 "say where to push with --destination, or that nothing is to be pushed with --no-push"};
  }
  return out;
}

Result<void> run_executor(const ExecutorFlags& flags, const BuildPlatform& platform) {
  return Executor(flags, platform).run();
}

int executor_main(const std::vector<std::string>& args) {
  // The first process of a pid namespace is not ended by a signal that it does not handle, and while this one stays its
  // pod does, and with the pod the Build: an endless RUN would outlive its pipeline by the grace period.
  for (const int number : {SIGTERM, SIGINT}) ::signal(number, [](int signal) { ::_exit(128 + signal); });
  const auto go = [&]() -> Result<void> {
    const ExecutorFlags flags = TRY(parse_executor_flags(args));
    const BuildPlatform platform = TRY(platform_of_pod());
    return run_executor(flags, platform);
  };
  const Result<void> done = go();
  if (done.ok()) return 0;
  std::fprintf(stderr, "error: %s\n", done.error().message.c_str());
  return 1;
}

}  // namespace caisson::build
