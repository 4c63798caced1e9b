// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/executor.h"

#include <unistd.h>

#include <algorithm>
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
#include "artifact/registry/upstreams.h"
#include "cluster/kube/http_client.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::build {
namespace {

constexpr std::string_view kAccount = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::size_t kSecretBytesMax = 500u << 10;  // as BuildKit's
constexpr std::string_view kPortal = "https://git.caisson-system.svc";
constexpr Duration kPauseMax = std::chrono::seconds(30);

std::string environment(const char* name) {
  const char* value = ::getenv(name);
  return value != nullptr ? value : "";
}

void say(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

// The logins of docker's config.json, where kaniko looks for it. Errors: bad_request, with the file.
Result<std::vector<Value>> read_docker_logins() {
  std::vector<Value> out;
  const std::string chosen = environment("DOCKER_CONFIG"), home = environment("HOME");
  for (const std::string& directory :
       {chosen, std::string("/kaniko/.docker"), home.empty() ? home : home + "/.docker"}) {
    const std::string path = directory + "/config.json";
    if (directory.empty() || !exists(path)) continue;
    const std::string text = TRY(read_file(path, 1u << 20).in(path));
    const Value config = TRY(json::parse(text).in(path));
    out.push_back(config["auths"]);
  }
  return out;
}

bool names_host(const std::vector<std::string>& hosts, const std::string& host) {
  return std::any_of(hosts.begin(), hosts.end(), [&](const std::string& one) { return one == "*" || one == host; });
}

// What registries say of a tag that may not move: ours, Harbor, ECR, Artifact Registry.
bool is_immutable_tag(const Error& error) {
  return error.message.find("never moves") != std::string::npos || error.message.find("immutable") != std::string::npos;
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
  std::vector<Value> logins = TRY(read_docker_logins());
  out.login = [logins = std::move(logins)](std::string_view host) { return registry::find_login(logins, host); };
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
      for (const content::Reference& ref : destinations_) TRY(push_as_told(ref, digest));
    }
    TRY(export_cache());
    TRY(save_tar(digest));
    TRY(save_layout(digest));
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

  Result<void> fetch_back(const content::Digest& digest, content::BlobStore& blobs) const {
    content::Reference from = builds_reference();
    from.digest = digest;
    registry::RegistryClient client = own_registry();
    TRY(client.pull(from, blobs));
    return {};
  }

  // The image comes back from the registry, into a directory beside the archive.
  Result<void> save_tar(const content::Digest& digest) const {
    if (flags_.tar_path.empty()) return {};
    TRY(make_dirs(path_dir(flags_.tar_path)));
    const TempDir dir = TRY(TempDir::make("caisson-image", path_dir(flags_.tar_path)));
    content::BlobStore blobs = TRY(content::BlobStore::open(dir.path()));
    TRY(fetch_back(digest, blobs));
    const std::string name = flags_.destinations.empty() ? std::string() : flags_.destinations.front();
    return content::save_archive(flags_.tar_path, {{name, digest}}, blobs, nullptr);
  }

  // OCI image-spec 1.1, "Image Layout": a BlobStore's directories are those of a layout.
  Result<void> save_layout(const content::Digest& digest) const {
    const std::string& root = flags_.oci_layout_path;
    if (root.empty()) return {};
    content::BlobStore blobs = TRY(content::BlobStore::open(root));
    TRY(fetch_back(digest, blobs));
    content::Index index;
    const auto size = TRY(blobs.size_bytes(digest));
    content::Descriptor image{std::string(content::kOciManifest), digest, size, {}, "", {}};
    index.manifests.push_back(std::move(image));
    TRY(write_file_unsynced(root + "/index.json", content::write_index(index)));
    TRY(write_file_unsynced(root + "/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}"));
    TRY(remove_tree(root + "/uploads"));
    return remove_tree(root + "/blobs/sha512");
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

  registry::RegistryClient own_registry() const {
    registry::ClientOptions options;
    options.own_url = platform_.registry_url;
    options.traceparent = platform_.traceparent;
    options.http.ca_pem = platform_.ca_pem;
    options.http.use_proxy = false;
    options.login = [token = platform_.token](std::string_view) {
      return std::optional<registry::Login>(registry::Login{"serviceaccount", SecretBytes(token), false});
    };
    return registry::RegistryClient(std::move(options));
  }

  Result<registry::RegistryClient> registry_of(const content::Reference& ref) const {
    if (ref.is_ours()) return own_registry();
    registry::ClientOptions options;
    options.traceparent = platform_.traceparent;
    options.login = platform_.login;
    const RegistryTrust& trust = flags_.trust;
    options.plain_http = names_host(trust.plain_http, ref.registry);
    options.http.verify = !names_host(trust.unverified, ref.registry);
    for (const auto& [host, file] : trust.ca_files) {
      if (host == ref.registry) options.http.ca_pem = TRY(read_file(file, 1u << 20).in("--registry-certificate"));
    }
    for (const RegistryTrust::ClientCertificate& one : trust.client_certificates) {
      if (one.host != ref.registry) continue;
      options.http.certificate_pem = TRY(read_file(one.certificate_file, 1u << 20).in("--registry-client-cert"));
      options.http.key_pem = TRY(read_file(one.key_file, 1u << 20).in("--registry-client-cert"));
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
    registry::RegistryClient client = own_registry();
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
    if (!flags_.cache_run_layers) spec.set("cacheRunLayers", false);
    if (flags_.cache_age_max)
      spec.set("cacheSecondsMax", std::chrono::duration_cast<std::chrono::seconds>(*flags_.cache_age_max).count());
    if (!flags_.ignore_paths.empty()) spec.set("ignorePaths", Value::list_of(flags_.ignore_paths));
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
    registry::RegistryClient source = TRY(registry_of(ref)), own = own_registry();
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

  // Pauses grow as kaniko's do: 1, 2, 4 seconds.
  Result<void> push_as_told(const content::Reference& ref, const content::Digest& digest) {
    for (int attempt = 0;; ++attempt) {
      const Result<void> pushed = push(ref, digest);
      if (pushed.ok()) return pushed;
      const Error& error = pushed.error();
      if (flags_.keep_immutable_tags && is_immutable_tag(error)) {
        say(ref.familiar() + " stays as it is: " + error.message);
        return {};
      }
      const bool may_pass = error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout ||
                            error.code == ErrorCode::too_many_requests;
      if (!may_pass || attempt >= flags_.push_retries) return pushed;
      say(error.message + "; once more");
      std::this_thread::sleep_for(std::min<Duration>(std::chrono::seconds(1) * (1 << std::min(attempt, 5)), kPauseMax));
    }
  }

  Result<void> push(const content::Reference& ref, const content::Digest& digest) {
    registry::RegistryClient own = own_registry();
    content::Reference from = builds_reference();
    from.digest = digest;
    const registry::FetchedManifest fetched = TRY(own.manifest(from));
    const content::Manifest manifest = TRY(content::parse_manifest(fetched.bytes));
    std::vector<content::Descriptor> parts = manifest.layers;
    parts.push_back(manifest.config);
    registry::RegistryClient target = TRY(registry_of(ref));
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

}  // namespace

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
