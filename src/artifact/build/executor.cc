// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/executor.h"

#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "artifact/build/context.h"
#include "artifact/content/image.h"
#include "artifact/content/reference.h"
#include "artifact/registry/registry_client.h"
#include "cluster/kube/http_client.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/base/trace.h"
#include "core/http/client.h"

namespace caisson::build {
namespace {

constexpr const char* kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr const char* kPortal = "https://git.caisson-system.svc";

// What the pod gives: who we are, where the platform is.
struct Pod {
  std::string token, ca_pem, ns, api, traceparent;
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

Result<Pod> read_pod() {
  Pod pod;
  const std::string base = kServiceAccount;
  pod.token = TRY(read_file(base + "/token").in("this program runs inside a pod, with its ServiceAccount"));
  pod.ca_pem = TRY(read_file(base + "/ca.crt"));
  pod.ns = TRY(read_file(base + "/namespace"));
  const std::string host = variable("KUBERNETES_SERVICE_HOST"), port = variable("KUBERNETES_SERVICE_PORT");
  pod.api = "https://" + (host.empty() ? "kubernetes.default.svc" : host) + ":" + (port.empty() ? "443" : port);
  pod.traceparent = variable("TRACEPARENT");
  return pod;
}

registry::RegistryClient registry_of(const Pod& pod) {
  registry::ClientOptions options;
  options.http.ca_pem = pod.ca_pem;
  options.http.use_proxy = false;
  options.login = [token = pod.token](std::string_view) { return registry::Login{"serviceaccount", SecretBytes(token)}; };
  options.own_url = "https://" + std::string(content::kRegistryName);
  options.traceparent = pod.traceparent;
  return registry::RegistryClient(std::move(options));
}

std::unique_ptr<kube::Client> api_of(const Pod& pod) {
  kube::Connection connection;
  connection.server = pod.api;
  connection.token = pod.token;
  connection.http.ca_pem = pod.ca_pem;
  connection.http.use_proxy = false;
  return kube::make_http_client(std::move(connection));
}

Result<content::Digest> send_context(const ExecutorFlags& flags, const Pod& pod) {
  std::string directory = flags.context;
  if (directory.starts_with("dir://")) directory = directory.substr(6);
  const Context context = TRY(Context::open(path_join(directory, flags.context_sub_path), flags.dockerfile));
  const Context::Summary summary = TRY(context.summary());
  std::printf("context: %zu entries, %llu bytes\n", summary.files, static_cast<unsigned long long>(summary.size_bytes));
  std::fflush(stdout);
  content::Reference place;
  place.repository = pod.ns + "/contexts";
  registry::RegistryClient registry = registry_of(pod);
  TRY(registry.put_blob(place, summary.digest, summary.size_bytes, [&] { return Result<content::ByteSource>(context.stream()); })
          .in("send the context"));
  return summary.digest;
}

Value map_of(const std::vector<std::string>& assignments) {
  Value map = Value::map();
  for (const std::string& text : assignments) {
    const auto equals = text.find('=');
    // "--build-arg NAME" without a value takes it from the environment, as docker does.
    map.set(text.substr(0, equals), equals == std::string::npos ? variable(text.c_str()) : text.substr(equals + 1));
  }
  return map;
}

kube::Object build_object(const ExecutorFlags& flags, const Pod& pod, const content::Digest& context) {
  kube::Object build = kube::Object::make(schema::kBuilds, pod.ns, "");
  build.edit({"metadata"}).erase("name");
  build.edit({"metadata", "generateName"}) = Value("build-");
  if (!pod.traceparent.empty()) build.set_annotation(kTraceparentAnnotation, pod.traceparent);
  build.edit({"spec"}) = Value{{"contextDigest", context.str()},
                               {"dockerfile", flags.dockerfile},
                               {"buildArgs", map_of(flags.build_args)},
                               {"labels", map_of(flags.labels)},
                               {"destinations", Value::list_of(flags.destinations)},
                               {"cache", flags.cache}};
  if (!flags.target.empty()) build.edit({"spec", "target"}) = Value(flags.target);
  return build;
}

// Prints the log until it ends. A log that can't be read does not end the build: its status is what counts.
void print_log(const Pod& pod, const std::string& name) {
  http::ClientOptions options;
  options.ca_pem = pod.ca_pem;
  options.use_proxy = false;
  const http::Client client(std::move(options));
  http::Request request;
  request.url = std::string(kPortal) + "/builds/" + pod.ns + "/" + name + "/log?follow=true";
  request.headers.set("Authorization", "Bearer " + pod.token);
  request.time_max = Duration(0);
  auto stream = client.open(request);
  if (!stream.ok() || (*stream)->status != 200) {
    std::fprintf(stderr, "the log can't be followed: %s\n", stream.ok() ? ("status " + std::to_string((*stream)->status)).c_str() : stream.error().message.c_str());
    return;
  }
  const auto body = std::move(stream).value();
  for (;;) {
    const auto piece = body->read_some();
    if (!piece.ok() || piece->empty() || !write_all(STDOUT_FILENO, *piece).ok()) return;
  }
}

bool is_final(const kube::Object& build) {
  const auto phase = build.status()["phase"].as_string();
  return phase == "Succeeded" || phase == "Failed";
}

// The Build when it has ended; a watch that breaks (the server was restarted) is begun again.
Result<kube::Object> wait_for(kube::Client& client, const kube::ObjectKey& key) {
  for (int failures = 0;;) {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<kube::Object> ended;
    bool closed = false;
    const auto see = [&](const kube::WatchEvent& event) {
      const std::lock_guard lock(mutex);
      if (event.type == kube::WatchEvent::Type::closed || event.type == kube::WatchEvent::Type::deleted) closed = true;
      else if (event.type != kube::WatchEvent::Type::bookmark && is_final(event.object)) ended = event.object;
      changed.notify_all();
    };
    auto watch = client.watch(schema::kBuilds, {.ns = key.ns, .field_selector = "metadata.name=" + key.name}, see);
    auto build = client.get(schema::kBuilds, key);
    if (build.ok() && is_final(*build)) return build;
    if (!build.ok() && build.error().code == ErrorCode::not_found) return Error{ErrorCode::gone, "the build " + key.str() + " was deleted"};
    if ((!watch.ok() || !build.ok()) && ++failures > 100) return watch.ok() ? build.error() : watch.error();
    std::unique_lock lock(mutex);
    // The time limit covers what no event tells: a server that went away between watch and get.
    changed.wait_for(lock, std::chrono::milliseconds(watch.ok() ? 5000 : 300), [&] { return ended || closed; });
    if (ended) return *ended;
  }
}

// Makes the image, which the builder left in "<namespace>/builds", visible under the destination.
Result<void> put_image(const Pod& pod, const std::string& destination, const content::Digest& digest) {
  const content::Reference to = TRY(content::parse_reference(destination, {}));
  if (!to.is_ours()) {
    return Error{ErrorCode::bad_request, "destination " + destination + " is another registry: images are pushed to " +
                                             std::string(content::kRegistryName) + " only; push on from there with crane or skopeo"};
  }
  content::Reference from;
  from.repository = pod.ns + "/builds";
  from.digest = digest;
  registry::RegistryClient registry = registry_of(pod);
  const registry::FetchedManifest fetched = TRY(registry.manifest(from));
  const content::Manifest manifest = TRY(content::parse_manifest(fetched.bytes));
  std::vector<content::Descriptor> blobs = manifest.layers;
  blobs.push_back(manifest.config);
  for (const content::Descriptor& blob : blobs) {
    const bool mounted = TRY(registry.mount_blob(to, blob.digest, from.repository));
    if (!mounted) return Error{ErrorCode::internal, "the registry would not mount " + blob.digest.str() + " from " + from.repository};
  }
  TRY(registry.put_manifest(to, fetched.bytes, fetched.media_type));
  std::printf("pushed %s (%s)\n", destination.c_str(), digest.str().c_str());
  return {};
}

Result<void> run_executor(const ExecutorFlags& flags) {
  const Pod pod = TRY(read_pod());
  const content::Digest context = TRY(send_context(flags, pod));
  const auto client = api_of(pod);
  const kube::Object created = TRY(client->create(build_object(flags, pod, context)).in("create the build"));
  print_log(pod, created.name());
  const kube::Object build = TRY(wait_for(*client, created.key()));
  if (build.status()["phase"].as_string() != "Succeeded") return Error{ErrorCode::invalid, build.status()["message"].str()};
  const content::Digest digest = TRY(content::Digest::parse(build.status()["imageDigest"].as_string()));
  if (!flags.digest_file.empty()) TRY(write_file_unsynced(flags.digest_file, digest.str()));
  if (!flags.push) return {};
  for (const std::string& destination : flags.destinations) TRY(put_image(pod, destination, digest).in("push " + destination));
  return {};
}

bool is_true(std::string_view text) { return text.empty() || text == "true" || text == "1"; }

// Flags of kaniko that change nothing here: no daemon, no snapshots, the layer cache is the platform's own.
bool is_moot(std::string_view flag) {
  for (const std::string_view name : {"--cache-repo", "--cache-ttl", "--cache-dir", "--snapshot-mode", "--use-new-run", "--verbosity", "-v", "--cleanup",
                                      "--compressed-caching", "--log-format", "--log-timestamp", "--single-snapshot", "--reproducible",
                                      "--skip-unused-stages", "--force", "--push-retry", "--image-fs-extract-retry", "--cache-copy-layers",
                                      "--cache-run-layers"}) {
    if (flag == name) return true;
  }
  return false;
}

bool is_switch(std::string_view flag) {
  for (const std::string_view name : {"--no-push", "--cache", "--cleanup", "--force", "--reproducible", "--single-snapshot", "--skip-unused-stages",
                                      "--use-new-run", "--compressed-caching", "--log-timestamp", "--cache-copy-layers", "--cache-run-layers"}) {
    if (flag == name) return true;
  }
  return false;
}

}  // namespace

Result<ExecutorFlags> parse_executor_flags(const std::vector<std::string>& args) {
  ExecutorFlags flags;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const auto equals = args[i].find('=');
    const std::string flag = args[i].substr(0, equals);
    std::string value = equals == std::string::npos ? "" : args[i].substr(equals + 1);
    if (equals == std::string::npos && !is_switch(flag)) {
      if (i + 1 == args.size()) return Error{ErrorCode::bad_request, "flag " + flag + " needs a value"};
      value = args[++i];
    }
    if (flag == "--context" || flag == "-c") flags.context = value;
    else if (flag == "--context-sub-path") flags.context_sub_path = value;
    else if (flag == "--dockerfile" || flag == "-f") flags.dockerfile = value;
    else if (flag == "--destination" || flag == "-d") flags.destinations.push_back(value);
    else if (flag == "--build-arg") flags.build_args.push_back(value);
    else if (flag == "--label") flags.labels.push_back(value);
    else if (flag == "--target") flags.target = value;
    else if (flag == "--digest-file") flags.digest_file = value;
    else if (flag == "--no-push") flags.push = !is_true(value);
    else if (flag == "--cache") flags.cache = is_true(value);
    else if (!is_moot(flag)) return Error{ErrorCode::bad_request, "flag " + flag + " is not understood; see docs/conformance.md for those that are"};
  }
  if (flags.push && flags.destinations.empty()) return Error{ErrorCode::bad_request, "name a --destination, or say --no-push"};
  const std::size_t scheme = flags.context.find("://");
  if (scheme != std::string::npos && !flags.context.starts_with("dir://")) {
    return Error{ErrorCode::bad_request, "--context " + flags.context + ": only directories (dir://) are built; clone in a step before"};
  }
  return flags;
}

int executor_main(const std::vector<std::string>& args) {
  const auto flags = parse_executor_flags(args);
  if (!flags.ok()) {
    std::fprintf(stderr, "executor: %s\n", flags.error().message.c_str());
    return 2;
  }
  const auto done = run_executor(*flags);
  if (done.ok()) return 0;
  std::fprintf(stderr, "executor: %s\n", done.error().message.c_str());
  return 1;
}

}  // namespace caisson::build
