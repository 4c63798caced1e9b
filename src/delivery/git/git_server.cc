// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/git_server.h"

#include <poll.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "delivery/git/authorizer.h"
#include "delivery/git/git_command.h"
#include "delivery/git/hosting.h"
#include "delivery/git/request_body.h"

namespace caisson::git {
namespace {

constexpr std::size_t kAdvertisementBytesMax = 64u << 20;
constexpr std::size_t kReportBytesMax = 16u << 20;
constexpr std::string_view kUploadPack = "git-upload-pack", kReceivePack = "git-receive-pack";

// What a path asks for.
struct Target {
  std::string org, repository, action;  // action: "info/refs", "git-upload-pack", "git-receive-pack"
  std::string name() const { return org + "/" + repository; }
};

std::optional<Target> target_of(std::string_view path) {
  for (const std::string_view action : {std::string_view("info/refs"), kUploadPack, kReceivePack}) {
    if (!path.starts_with("/") || !path.ends_with(action)) continue;
    std::string_view rest = path.substr(1, path.size() - 1 - action.size());
    if (!rest.ends_with("/")) continue;
    rest.remove_suffix(1);
    if (rest.ends_with(".git")) rest.remove_suffix(4);
    const auto slash = rest.find('/');
    if (slash == std::string_view::npos || rest.find('/', slash + 1) != std::string_view::npos) return std::nullopt;
    return Target{std::string(rest.substr(0, slash)), std::string(rest.substr(slash + 1)), std::string(action)};
  }
  return std::nullopt;
}

int status_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::bad_request:
      return 400;
    case ErrorCode::unauthorized:
      return 401;
    case ErrorCode::forbidden:
      return 403;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::too_large:
      return 413;
    case ErrorCode::unavailable:
      return 503;
    default:
      return 500;
  }
}

// git shows a text/plain body as "remote: …".
void refuse(http::Exchange& exchange, const Error& error) {
  http::Response response{status_of(error),
                          {{"Content-Type", "text/plain; charset=utf-8"}, {"Cache-Control", "no-cache"}},
                          error.message + "\n"};
  if (error.code == ErrorCode::unauthorized)
    response.headers.set("WWW-Authenticate", "Basic realm=\"caisson\", charset=\"UTF-8\"");
  exchange.respond(std::move(response));
}

Command service_command(std::vector<std::string> arguments, const std::string& path, const http::Exchange& exchange,
                        Duration time_max) {
  Command command = git_command(std::move(arguments), path);
  command.time_max = time_max;
  const std::string_view protocol = exchange.headers.get("Git-Protocol");  // "version=2"
  if (!protocol.empty() && protocol.size() < 200) command.env.emplace_back("GIT_PROTOCOL", std::string(protocol));
  return command;
}

// Sends what the process writes, while it writes it. Gives its exit code; what it complained of goes to `complaint`.
Result<int> relay(Process& process, http::Stream& stream, std::string& complaint) {
  bool out_open = true, err_open = true;
  while (out_open || err_open) {
    pollfd fds[2] = {{out_open ? process.out() : -1, POLLIN, 0}, {err_open ? process.err() : -1, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return errno_error("poll");
    }
    char buffer[64u << 10];
    if (fds[0].revents != 0) {
      const ssize_t count = read(process.out(), buffer, sizeof buffer);
      out_open = count > 0;
      if (out_open) TRY(stream.write_blocking({buffer, static_cast<std::size_t>(count)}));
    }
    if (fds[1].revents != 0) {
      const ssize_t count = read(process.err(), buffer, sizeof buffer);
      err_open = count > 0;
      if (err_open && complaint.size() < sizeof buffer) complaint.append(buffer, static_cast<std::size_t>(count));
    }
  }
  return process.wait();
}

}  // namespace

struct GitServer::Impl {
  Impl(kube::Client& client, SpanSink& spans, Clock& clock, GitServerOptions options)
      : client(client), spans(spans), authorizer(client), hosting(client, clock, std::move(options)) {}

  kube::Client& client;
  SpanSink& spans;
  const Authorizer authorizer;
  Hosting hosting;

  // Credentials, organisation, rights; makes the repository when that is allowed. Gives who it is.
  Result<User> admit(const http::Exchange& exchange, const Target& target, bool push) {
    User user = TRY(authorizer.authenticate(exchange.headers));
    if (!is_repository_name(target.name()))
      return Error{ErrorCode::bad_request,
                   "'" + target.name() + "' can't be a repository: names hold lower-case letters, digits, '-' and '.'"};
    const bool known = TRY(hosting.exists(target.name()));
    const char* verb = !push ? "get" : known ? "update" : "create";
    const bool allowed = TRY(authorizer.may(user, verb, target.org, target.repository));
    // Who may not even read hears the same of a repository that exists and of one that does not.
    if (!allowed) {
      const char* what = !push ? "read" : known ? "push to" : "create";
      return Error{ErrorCode::forbidden, user.name + " may not " + what + " " + target.name()};
    }
    TRY(hosting.check_organization(target.org));
    if (!known && !push) return Error{ErrorCode::not_found, "repository " + target.name() + " does not exist"};
    if (!known) TRY(hosting.create(target.name()));
    return user;
  }

  Result<void> advertise(http::Exchange& exchange, const Target& target) {
    const std::string service(http::query_get(exchange.query, "service"));
    if (service != kUploadPack && service != kReceivePack)
      return Error{ErrorCode::forbidden,
                   "only git's smart HTTP protocol is spoken here: please use git 1.6.6 or later"};
    TRY(admit(exchange, target, service == kReceivePack));
    Command command = service_command({"git", service.substr(4), "--http-backend-info-refs", "."},
                                      hosting.path_of(target.name()), exchange, hosting.options().command_time_max);
    command.output_bytes_max = kAdvertisementBytesMax;
    const std::string refs = TRY(run_checked(command));
    http::Response response{
        200, {{"Content-Type", "application/x-" + service + "-advertisement"}, {"Cache-Control", "no-cache"}}, ""};
    const bool version_2 =
        exchange.headers.get("Git-Protocol").find("version=2") != std::string_view::npos && service == kUploadPack;
    if (!version_2) response.body = pkt_line("# service=" + service + "\n") + "0000";
    response.body += refs;
    exchange.respond(std::move(response));
    return {};
  }

  Result<RequestBody> body_of(http::Exchange& exchange, std::string_view service) {
    if (exchange.headers.get("Content-Type") != "application/x-" + std::string(service) + "-request")
      return Error{ErrorCode::bad_request, "the content type is not that of a git request"};
    const std::string_view coding = exchange.headers.get("Content-Encoding");
    const bool gzip = coding == "gzip" || coding == "x-gzip";
    if (!gzip && !coding.empty() && coding != "identity")
      return Error{ErrorCode::bad_request, "content coding '" + std::string(coding) + "' is not supported (gzip is)"};
    return RequestBody::receive([&] { return exchange.read_some(); }, gzip, hosting.options().directory + "/.incoming",
                                hosting.options().push_bytes_max);
  }

  static http::Headers result_headers(std::string_view service) {
    return {{"Content-Type", "application/x-" + std::string(service) + "-result"}, {"Cache-Control", "no-cache"}};
  }

  Result<void> upload_pack(http::Exchange& exchange, const Target& target) {
    TRY(admit(exchange, target, false));
    const RequestBody body = TRY(body_of(exchange, kUploadPack));
    if (body.lost()) return *body.lost();
    Command command = service_command({"git", "upload-pack", "--stateless-rpc", "--timeout=600", "."},
                                      hosting.path_of(target.name()), exchange, Duration(0));
    command.fds = {{body.fd(), 0}};
    Process process =
        TRY(Process::start(command, {.in = Process::Io::null, .out = Process::Io::pipe, .err = Process::Io::pipe}));
    const auto stream = exchange.stream(200, result_headers(kUploadPack));
    std::string complaint;
    const auto code = relay(process, *stream, complaint);
    if (code.ok() && *code == 0) return {};
    // What came so far looks whole to HTTP unless it is cut here. A client that left is its own business.
    stream->abort();
    if (code.ok())
      log::warning("upload-pack failed",
                   {{"repository", target.name()}, {"exit_code", *code}, {"error", trim(complaint)}});
    return {};
  }

  Result<void> receive_pack(http::Exchange& exchange, const Target& target) {
    const Time start = hosting.clock().now();
    const User user = TRY(admit(exchange, target, true));
    const RequestBody body = TRY(body_of(exchange, kReceivePack));
    const std::string commands = TRY(body.first(kCommandBytesMax));
    const auto updates = TRY(parse_push_commands(commands));
    if (body.lost()) return refuse_push(exchange, target, commands, updates, *body.lost());

    const TraceContext parent = TraceContext::parse(exchange.headers.get("traceparent"));
    const TraceContext trace = parent.empty() ? TraceContext::start() : parent.child();
    const auto mutex = hosting.lock_of(target.name());
    const std::scoped_lock lock(*mutex);
    Command command = service_command({"git", "receive-pack", "--stateless-rpc", "."}, hosting.path_of(target.name()),
                                      exchange, hosting.options().command_time_max);
    command.fds = {{body.fd(), 0}};
    command.output_bytes_max = kReportBytesMax;
    Exit exit = TRY(run(command));
    const std::vector<RefUpdate> moved = TRY(moved_refs(target.name(), updates, exit.out));
    if (!moved.empty()) {
      const auto recorded = hosting.record(target.name(), moved, user.name, trace);
      // The push itself is safe; the reconciler will emit what is missing here.
      if (!recorded.ok())
        log::error("push not recorded yet", {{"repository", target.name()}, {"error", recorded.error()}});
      record_span(target.name(), moved, trace, parent, start, user);
    }
    if (!exit.ok() && exit.out.empty())
      return Error{ErrorCode::bad_request, "git receive-pack: " + std::string(trim(exit.err))};
    exchange.respond({200, result_headers(kReceivePack), std::move(exit.out)});
    return {};
  }

  // git shows nothing of a body with status 503, so what went wrong is told in its own protocol.
  static Result<void> refuse_push(http::Exchange& exchange, const Target& target, std::string_view commands,
                                  const std::vector<RefUpdate>& updates, const Error& why) {
    // No command: the client only tries out whether its credentials are taken, before it sends much.
    std::string report = refusing_report(commands, updates, why.message);
    if (report.empty() && !updates.empty()) return why;
    log::error("push refused", {{"repository", target.name()}, {"error", why}});
    exchange.respond({200, result_headers(kReceivePack), std::move(report)});
    return {};
  }

  // The refs that the push moved: as receive-pack reports, or, for clients that ask for no report, as they read now.
  Result<std::vector<RefUpdate>> moved_refs(const std::string& name, const std::vector<RefUpdate>& updates,
                                            std::string_view output) const {
    std::vector<RefUpdate> moved;
    if (updates.empty()) return moved;
    const PushReport report = parse_push_report(output);
    const Repository repository = TRY(open_repository(hosting.path_of(name), name));
    const auto refs = TRY(repository.refs());
    for (const RefUpdate& update : updates) {
      if (update.before == update.after) continue;
      if (!update.ref.starts_with("refs/heads/") && !update.ref.starts_with("refs/tags/")) continue;
      const auto found = std::find_if(refs.begin(), refs.end(), [&](const Ref& ref) { return ref.name == update.ref; });
      const std::string now = found == refs.end() ? std::string(kNoCommit) : found->id;
      const auto reported = report.refs.find(update.ref);
      const bool accepted = !report.reported || (reported != report.refs.end() && reported->second);
      if (accepted && now == update.after) moved.push_back(update);
    }
    return moved;
  }

  void record_span(const std::string& name, const std::vector<RefUpdate>& moved, const TraceContext& trace,
                   const TraceContext& parent, Time start, const User& user) {
    Span span;
    span.context = trace;
    span.parent_span_id = parent.span_id;
    span.name = "git receive-pack";
    span.component = "git";
    span.start = start;
    span.end = hosting.clock().now();
    span.attributes = {
        {"repository", name}, {"ref", moved.front().ref}, {"commit", moved.front().after}, {"pusher", user.name}};
    spans.record(std::move(span));
  }

  Result<void> serve(http::Exchange& exchange) {
    const auto target = target_of(exchange.path);
    if (!target) return Error{ErrorCode::not_found, "no repository at " + exchange.path};
    const bool get = exchange.method == "GET", post = exchange.method == "POST";
    if (target->action == "info/refs" && get) return advertise(exchange, *target);
    if (target->action == kUploadPack && post) return upload_pack(exchange, *target);
    if (target->action == kReceivePack && post) return receive_pack(exchange, *target);
    exchange.respond({405, {{"Allow", target->action == "info/refs" ? "GET" : "POST"}}, "method not allowed\n"});
    return {};
  }
};

namespace {

class RefScanner final : public kube::Reconciler {
 public:
  RefScanner(kube::Client& client, Hosting& hosting) : client_(client), hosting_(hosting) {}
  std::string_view name() const override { return "git-refs"; }

  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override {
    const std::string name = key.str();
    const auto mutex = hosting_.lock_of(name);
    const std::scoped_lock lock(*mutex);
    // Read from the API, not the cache: a status that lags would look like a move that nobody recorded.
    const auto object = client_.get(schema::kRepositories, key);
    if (!object.ok()) {
      if (object.error().code == ErrorCode::not_found) return kube::Requeue::never();
      return object.error();
    }
    if (!is_repository_name(name)) {
      log::warning("repository has a name that git can't serve", {{"repository", name}});
      return kube::Requeue::never();
    }
    TRY(hosting_.catch_up(*object).in("repository " + name));
    TRY(hosting_.prune_events(name));
    return kube::Requeue::after(hosting_.options().scan_every);
  }

 private:
  kube::Client& client_;
  Hosting& hosting_;
};

}  // namespace

GitServer::GitServer(kube::Client& client, SpanSink& spans, Clock& clock, GitServerOptions options)
    : impl_(std::make_shared<Impl>(client, spans, clock, std::move(options))) {}
GitServer::~GitServer() = default;

bool GitServer::is_git_path(std::string_view path) {
  return target_of(path).has_value();
}

void GitServer::handle(const http::ExchangePtr& exchange) {
  const Result<void> served = impl_->serve(*exchange);
  if (served.ok()) return;
  if (served.error().code == ErrorCode::internal)
    log::error("git request failed", {{"path", exchange->path}, {"error", served.error()}});
  refuse(*exchange, served.error());
}

void GitServer::add_reconciler(kube::Runtime& runtime) {
  const kube::Queue queue = runtime.add(std::make_unique<RefScanner>(impl_->client, impl_->hosting));
  runtime.watch(schema::kRepositories, queue);
}

}  // namespace caisson::git
