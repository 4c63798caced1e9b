// SPDX-License-Identifier: Apache-2.0
// See nginx.h. `<directory>/control` is open to root only: nginx makes its sockets for everybody.
#include "machine/network/nginx.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/http/client.h"
#include "core/http/tls.h"
#include "machine/network/dns_server.h"
#include "machine/network/firewall.h"

namespace caisson::network {

extern const std::string_view kIngressLua, kIngressRulesLua, kIngressRoutesLua;

namespace {

std::string conf_path(const std::string& directory) {
  return directory + "/nginx.conf";
}
std::string socket_path(const std::string& directory) {
  return directory + "/control/control.sock";
}

constexpr std::string_view kConfiguration = R"(# Written by Caisson; changes are overwritten.
load_module MODULES/ndk_http_module.so;
load_module MODULES/ngx_http_lua_module.so;
FIREWALL_MODULE
USER
pid DIR/nginx.pid;
error_log DIR/error.log warn;
worker_processes WORKERS;
worker_shutdown_timeout 30s;
events { worker_connections 4096; }
http {
  lua_package_path "DIR/lua/?.lua;/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua;;";
  lua_shared_dict caisson_routes 32m;
  lua_shared_dict caisson_certificates 16m;
  lua_shared_dict caisson_under_way 2m;
  lua_shared_dict caisson_workers 64k;
  lua_shared_dict caisson_limits 8m;
  lua_regex_match_limit 100000;
  init_by_lua_block {
    caisson = require "caisson"
    caisson.config = "HASH"
    caisson.https_port = HTTPS_PORT
    require("caisson_routes").https_port = HTTPS_PORT
  }
  init_worker_by_lua_block { caisson.start_worker() }

  client_body_temp_path DIR/temp/body;
  proxy_temp_path DIR/temp/proxy;
  fastcgi_temp_path DIR/temp/fastcgi;
  uwsgi_temp_path DIR/temp/uwsgi;
  scgi_temp_path DIR/temp/scgi;

  access_log off;
  server_tokens off;
  default_type application/octet-stream;
  server_names_hash_bucket_size 128;
  client_header_buffer_size 4k;
  large_client_header_buffers 4 16k;
  client_max_body_size 0;
  keepalive_timeout 75s;
  keepalive_requests 10000;
  tcp_nodelay on;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:caisson_tls:4m;
  ssl_session_tickets off;

  RESOLVER
  map $http_upgrade $caisson_connection { default upgrade; '' ''; }
  map $http_x_request_id $caisson_request_id { default $http_x_request_id; '' $caisson_new_id; }
  map "$http_upgrade$http_transfer_encoding$http_content_length" $caisson_special { default 1; '' ''; '0' ''; }
  uninitialized_variable_warn off;
  upstream caisson_backend {
    server 0.0.0.1;
    balancer_by_lua_block { caisson.balance() }
    keepalive 64;
    keepalive_requests 10000;
  }

  server {
    listen ADDRESS:HTTP_PORT default_server backlog=1024;
    listen ADDRESS:HTTPS_PORT ssl http2 default_server backlog=1024;
    ssl_certificate DIR/control/default.pem;
    ssl_certificate_key DIR/control/default.key;
    ssl_certificate_by_lua_block { caisson.certificate() }
    log_by_lua_block { caisson.finished() }

    recursive_error_pages on;   # after 418, 502 and 504 have theirs still
    location / {
      set_by_lua_block $caisson_plain { return caisson.plain() }
      if ($caisson_plain = "") { return 418; }
      error_page 418 = @routed;
      proxy_pass http://caisson_backend;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
FORWARDED
    }
    location @routed {
      rewrite_by_lua_block { caisson.route("http") }
      proxy_pass http://caisson_backend;
      proxy_set_header Host $http_host;
PROXY
    }
    location @guarded {
      rewrite_by_lua_block { caisson.route("guarded") }
GUARDED
PROXY
    }
FIREWALLS
    location @grpc {
      rewrite_by_lua_block { caisson.route("grpc") }
GUARDS
      error_page 502 504 @failed;
      grpc_pass $caisson_scheme://caisson_backend;
      grpc_set_header Host $caisson_host;
      grpc_set_header X-Request-ID $caisson_request_id;
      grpc_set_header X-Real-IP $remote_addr;
      grpc_set_header X-Forwarded-For $remote_addr;
      grpc_set_header X-Forwarded-Host $http_host;
      grpc_set_header X-Forwarded-Proto $scheme;
      grpc_ssl_server_name on;
      grpc_ssl_name $host;
      grpc_connect_timeout 5s;
      grpc_read_timeout 60s;
      grpc_send_timeout 60s;
      grpc_next_upstream error timeout;
      grpc_next_upstream_tries 3;
    }
    location = /_caisson_auth {
      internal;
      proxy_pass $caisson_auth_url;
      proxy_pass_request_body off;
      proxy_http_version 1.1;
      proxy_ssl_server_name on;
      proxy_set_header Host $caisson_auth_host;
      proxy_set_header Content-Length "";
      proxy_set_header Connection "";
      proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
      proxy_set_header X-Original-Method $request_method;
      proxy_set_header X-Auth-Request-Redirect $request_uri;
      proxy_set_header X-Forwarded-Method $request_method;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Uri $request_uri;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_connect_timeout 5s;
      proxy_read_timeout 30s;
    }
    location @failed {
      internal;
      # Declared, and left as they are: a first value would cost every request.
      set $caisson_service $caisson_service;
      set $caisson_tried $caisson_tried;
      set $caisson_late $caisson_late;
      set $caisson_counted $caisson_counted;
      set $caisson_new_id $caisson_new_id;
      content_by_lua_block { caisson.failed() }
    }
  }

  server {
    listen unix:DIR/control/control.sock;
    client_body_buffer_size 32m;
    location = /routes { content_by_lua_block { caisson.put_routes() } }
    location = /backends { content_by_lua_block { caisson.put_backends() } }
    location = /certificates { content_by_lua_block { caisson.put_certificates() } }
    location = /under-way { content_by_lua_block { caisson.requests_under_way() } }
    location = /status { content_by_lua_block { caisson.status() } }
  }
}
)";

// What only the requests of some rules need, and all of their locations have.
constexpr std::string_view kGuards = R"(      set $caisson_scheme http;
      set $caisson_host $http_host;
      set $caisson_realm off;
      set $caisson_users none;
      set $caisson_auth_url '';
      set $caisson_auth_host '';
      auth_basic $caisson_realm;
      auth_basic_user_file DIR/users/$caisson_users;
      access_by_lua_block { caisson.access() }
      header_filter_by_lua_block { caisson.header_filter() })";

// The same where HTTP requests are passed on, to backends of either scheme.
constexpr std::string_view kGuardedProxy = R"(      proxy_pass $caisson_scheme://caisson_backend;
      proxy_set_header Host $caisson_host;
      proxy_ssl_server_name on;
      proxy_ssl_name $host;)";

// What every location has that may pass an upgrade on.
constexpr std::string_view kProxy = R"(      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $caisson_connection;
FORWARDED)";

// What every location that passes HTTP requests on has in common.
constexpr std::string_view kForwarded = R"(      error_page 502 504 @failed;
      proxy_http_version 1.1;
      proxy_set_header X-Request-ID $caisson_request_id;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Scheme $scheme;
      proxy_set_header X-Scheme $scheme;
      proxy_set_header Proxy "";
      proxy_redirect off;
      proxy_buffering off;
      proxy_buffer_size 16k;
      proxy_buffers 8 16k;
      proxy_busy_buffers_size 32k;
      proxy_connect_timeout 5s;
      proxy_read_timeout 60s;
      proxy_send_timeout 60s;
      proxy_next_upstream error timeout;
      proxy_next_upstream_tries 3;)";

// A location of its own for each way to guard: the rules belong to a location, and a request gets there by ngx.exec.
std::string firewall_locations(const NginxOptions& options) {
  std::string out;
  for (const auto& mode : options.firewalls)
    out += "    location @waf_" + mode + " {\n      modsecurity on;\n      modsecurity_rules_file " +
           options.directory + "/waf/" + mode +
           ".conf;\n      rewrite_by_lua_block { caisson.route(\"waf\") }\nGUARDED\nPROXY\n    }\n";
  return out;
}

Result<std::string> find_modules() {
  for (const char* directory : {"/usr/lib/nginx/modules", "/usr/share/nginx/modules", "/usr/lib64/nginx/modules"})
    if (exists(path_join(directory, "ngx_http_lua_module.so")) && exists(path_join(directory, "ndk_http_module.so")))
      return std::string(directory);
  return Error{ErrorCode::not_found, "nginx's Lua module is not installed (package libnginx-mod-http-lua)"};
}

Result<void> write_if_changed(const std::string& path, std::string_view bytes, mode_t mode) {
  if (exists(path)) {
    const std::string before = TRY(read_file(path));
    if (before == bytes) return {};
  }
  return write_file(path, bytes, mode);
}

const char* worker_user() {
  return ::getpwnam("www-data") ? "www-data" : "nobody";
}

// For names in auth-url that are none of the cluster's: the host's own resolvers.
std::string resolver() {
  std::string out;
  for (const auto& address : dns::read_resolvers("/etc/resolv.conf", "")) out += " " + address;
  return out.empty() ? "" : "resolver" + out + " ipv6=off;";
}

// The files that nginx reads, and the hash that names this configuration.
Result<std::string> write_files(const NginxOptions& options, const std::string& modules) {
  const std::string& directory = options.directory;
  TRY(make_dirs(directory));  // workers, who are not root, go through it to temp and users
  if (::chmod(directory.c_str(), 0755) != 0) return errno_error("chmod " + directory);
  TRY(make_dirs(directory + "/control", 0700));
  TRY(make_dirs(directory + "/lua"));
  TRY(make_dirs(directory + "/temp"));
  TRY(make_dirs(directory + "/users", 0711));
  const std::string user = ::geteuid() != 0 ? "" : "user " + std::string(worker_user()) + ";";
  TRY(make_dirs(directory + "/waf"));
  for (const auto& name : options.firewalls) {
    const FirewallMode mode = TRY(parse_firewall_mode(name));
    TRY(write_if_changed(directory + "/waf/" + name + ".conf", firewall_rules(mode, directory + "/temp"), 0644));
  }
  std::string text(kConfiguration);
  text = replace_all(std::move(text), "FIREWALLS", firewall_locations(options));
  text = replace_all(std::move(text), "FIREWALL_MODULE",
                     options.firewalls.empty() ? "" : "load_module MODULES/" + std::string(kFirewallModule) + ";");
  text = replace_all(std::move(text), "GUARDED", std::string(kGuards) + "\n" + std::string(kGuardedProxy));
  text = replace_all(std::move(text), "GUARDS", kGuards);
  text = replace_all(std::move(text), "PROXY", kProxy);
  text = replace_all(std::move(text), "FORWARDED", kForwarded);
  text = replace_all(std::move(text), "MODULES", modules);
  text = replace_all(std::move(text), "USER", user);
  text = replace_all(std::move(text), "RESOLVER", resolver());
  text = replace_all(std::move(text), "DIR", directory);
  text =
      replace_all(std::move(text), "WORKERS", std::to_string(std::clamp(std::thread::hardware_concurrency(), 1u, 4u)));
  text = replace_all(std::move(text), "ADDRESS", options.address);
  text = replace_all(std::move(text), "HTTPS_PORT", std::to_string(options.https_port));
  text = replace_all(std::move(text), "HTTP_PORT", std::to_string(options.http_port));
  const std::string hash = sha256_hex(text + std::string(kIngressLua) + std::string(kIngressRulesLua) +
                                      std::string(kIngressRoutesLua) + options.default_certificate_pem)
                               .substr(0, 16);
  text = replace_all(std::move(text), "HASH", hash);
  TRY(write_if_changed(conf_path(directory), text, 0600));
  TRY(write_if_changed(directory + "/lua/caisson.lua", kIngressLua, 0644));
  TRY(write_if_changed(directory + "/lua/caisson_rules.lua", kIngressRulesLua, 0644));
  TRY(write_if_changed(directory + "/lua/caisson_routes.lua", kIngressRoutesLua, 0644));
  TRY(write_if_changed(directory + "/control/default.pem", options.default_certificate_pem, 0600));
  TRY(write_if_changed(directory + "/control/default.key", options.default_key_pem, 0600));
  return hash;
}

// The master's process id, when the one in the pid file is really ours: nginx shows its configuration's path in its
// command line.
std::optional<pid_t> master_of(const std::string& directory) {
  const Result<std::string> text = read_file(directory + "/nginx.pid");
  if (!text.ok()) return std::nullopt;
  const auto pid = parse_int(trim(*text));
  if (!pid || *pid <= 1) return std::nullopt;
  const Result<std::string> line = read_file("/proc/" + std::to_string(*pid) + "/cmdline");
  if (!line.ok() || !(*line).starts_with("nginx: master process") ||
      (*line).find(conf_path(directory)) == std::string::npos)
    return std::nullopt;
  return static_cast<pid_t>(*pid);
}

Result<void> check_free(const std::string& address, int port) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error("open socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1)
    return Error{ErrorCode::invalid, "\"" + address + "\" is not an IPv4 address to listen on"};
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return {};
  const std::string where = address + ":" + std::to_string(port);
  if (errno == EADDRINUSE) return Error{ErrorCode::already_exists, where + " is in use"};
  return errno_error("listen on " + where);
}

std::string last_lines(const std::string& directory) {
  const Result<std::string> log = read_file(directory + "/error.log");
  if (!log.ok()) return {};
  const std::string& text = *log;
  return text.size() <= 1500 ? text : text.substr(text.size() - 1500);
}

// Waits for the control socket to answer with the hash; nginx needs some milliseconds to take a new configuration.
Result<void> wait_for(const std::string& directory, const std::string& hash) {
  std::string seen;
  for (int tries = 0; tries < 500; ++tries) {
    const Result<std::string> status = nginx_control(directory, "/status", "");
    if (status.ok() && (*status).starts_with(hash)) return {};
    seen = status.ok() ? *status : status.error().message;
    ::poll(nullptr, 0, 10);
  }
  return Error{ErrorCode::unavailable, "nginx did not take its configuration: " + seen + "\n" + last_lines(directory)};
}

bool wait_end(pid_t pid, int time_max_ms) {
  const UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return true;
  pollfd one{fd.get(), POLLIN, 0};
  return ::poll(&one, 1, time_max_ms) == 1;
}

}  // namespace

Result<std::set<std::string>> firewalls_of(const std::string& directory) {
  std::set<std::string> out;
  if (!is_directory(directory + "/waf")) return out;
  const auto files = TRY(list_dir(directory + "/waf"));
  for (const auto& file : files) {
    const auto mode =
        file.ends_with(".conf") ? parse_firewall_mode(file.substr(0, file.size() - 5)) : Result<FirewallMode>(Error{});
    if (mode.ok() && missing_for_firewall(*mode).empty()) out.insert(mode->name());
  }
  return out;
}

bool nginx_runs(const std::string& directory) {
  return master_of(directory).has_value();
}

Result<void> ensure_nginx(const NginxOptions& options) {
  const std::string program = find_program("nginx");
  if (program.empty()) return Error{ErrorCode::not_found, "nginx is not installed (package nginx-light)"};
  if (socket_path(options.directory).size() > 100)
    return Error{ErrorCode::invalid, "the path " + options.directory + " is too long for a unix socket below it"};
  const std::string modules = TRY(find_modules());
  const auto master = master_of(options.directory);
  const std::string hash = TRY(write_files(options, modules).in("write nginx's configuration"));
  if (master) {
    const Result<std::string> status = nginx_control(options.directory, "/status", "");
    if (status.ok() && (*status).starts_with(hash)) return {};
    log::info("nginx is reloaded with a changed configuration", {{"pid", static_cast<long>(*master)}});
    if (::kill(*master, SIGHUP) != 0) return errno_error("reload nginx");
    return wait_for(options.directory, hash);
  }
  TRY(check_free(options.address, options.http_port));
  TRY(check_free(options.address, options.https_port));
  TRY(remove_file(socket_path(options.directory)));
  Command command;
  command.args = {
      program, "-p", options.directory, "-c", conf_path(options.directory), "-e", options.directory + "/error.log"};
  TRY(run_checked(command).in("start nginx"));
  return wait_for(options.directory, hash);
}

Result<void> stop_nginx(const std::string& directory) {
  const auto master = master_of(directory);
  if (!master) return {};
  ::kill(*master, SIGQUIT);
  if (!wait_end(*master, 2000)) {
    ::kill(*master, SIGTERM);
    if (!wait_end(*master, 2000)) {
      ::kill(-*master, SIGKILL);  // nginx is the leader of its own session
      if (!wait_end(*master, 2000)) return Error{ErrorCode::internal, "nginx does not end"};
    }
  }
  return remove_file(directory + "/nginx.pid");
}

Result<void> write_user_files(const std::string& directory, const std::map<std::string, std::string>& files) {
  const std::string users = directory + "/users";
  const passwd* owner = ::getpwnam(worker_user());
  for (const auto& [name, lines] : files) {
    const std::string path = users + "/" + name;
    TRY(write_if_changed(path, lines, 0400));
    if (owner && ::geteuid() == 0 && ::chown(path.c_str(), owner->pw_uid, owner->pw_gid) != 0)
      return errno_error("give " + path + " to nginx");
  }
  return {};
}

Result<void> remove_other_user_files(const std::string& directory, const std::map<std::string, std::string>& files) {
  const std::string users = directory + "/users";
  const auto names = TRY(list_dir(users));
  for (const auto& name : names)
    if (!files.contains(name)) TRY(remove_file(users + "/" + name));
  return {};
}

Result<std::string> nginx_control(const std::string& directory, const std::string& path, const std::string& body) {
  http::ClientOptions options;
  options.unix_socket = socket_path(directory);
  const http::Client client(options);
  http::Request request;
  request.method = body.empty() ? "GET" : "POST";
  request.url = "http://unix" + path;
  request.body = body;
  request.time_max = std::chrono::seconds(5);
  const http::Response response = TRY(client.send(request).in("nginx control"));
  if (response.status != 200)
    return Error{ErrorCode::invalid,
                 "nginx refused " + path + ": " + std::to_string(response.status) + " " + response.body};
  return response.body;
}

}  // namespace caisson::network
