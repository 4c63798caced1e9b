// SPDX-License-Identifier: Apache-2.0
#include "main/platform/pki.h"

#include <unistd.h>

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/document/yaml.h"
#include "core/http/tls.h"

namespace caisson::platform {
namespace {

Result<void> write_owned(const std::string& path, std::string_view bytes, mode_t mode, int uid) {
  TRY(write_file(path, bytes, mode));
  if (chown(path.c_str(), static_cast<uid_t>(uid), static_cast<gid_t>(uid)) != 0) return errno_error("chown " + path);
  return {};
}

http::CertificateRequest server_names(const Instance& instance) {
  http::CertificateRequest request;
  request.common_name = "caisson-server";
  request.server = true;
  request.dns_names = {"localhost",
                       "kubernetes",
                       "kubernetes.default",
                       "kubernetes.default.svc",
                       "kubernetes.default.svc.cluster.local",
                       "git.caisson-system.svc",
                       "git.caisson-system.svc.cluster.local",
                       "registry.caisson-system.svc",
                       "registry.caisson-system.svc.cluster.local",
                       "registry.caisson.internal",
                       instance.settings.node_name};
  request.ip_addresses = {"127.0.0.1", instance.node_address()};
  for (const int offset : {1, 2, 3}) request.ip_addresses.push_back(instance.service_address(offset));
  const auto& listen = instance.settings.listen;
  if (listen != "0.0.0.0" &&
      std::find(request.ip_addresses.begin(), request.ip_addresses.end(), listen) == request.ip_addresses.end()) {
    request.ip_addresses.push_back(listen);
  }
  return request;
}

bool certificate_serves(const std::string& pem, const http::CertificateRequest& wanted, Time now) {
  const auto end = http::certificate_end(pem);
  const auto names = http::certificate_names(pem);
  if (!end.ok() || !names.ok() || *end < now + std::chrono::hours(24 * 30)) return false;
  const auto has = [&](const std::string& name) {
    return std::find(names->begin(), names->end(), name) != names->end();
  };
  return std::all_of(wanted.dns_names.begin(), wanted.dns_names.end(), has) &&
         std::all_of(wanted.ip_addresses.begin(), wanted.ip_addresses.end(), has);
}

Result<void> make_admin(const Instance& instance, const std::string& ca_pem, int owner_uid) {
  const std::string path = instance.path("pki/admin.kubeconfig");
  const std::string server = "https://127.0.0.1:" + std::to_string(instance.settings.ports.api);
  std::string token;
  if (exists(path)) {
    const std::string text = TRY(read_file(path));
    const Value before = TRY(yaml::read(text, {.name = path}));
    token = before["users"][0]["user"]["token"].str();
  }
  if (token.empty()) token = "caisson." + base64url(random_bytes(32));
  const Value cluster{{"server", server}, {"certificate-authority-data", base64(ca_pem)}};
  const Value config{
      {"apiVersion", "v1"},
      {"kind", "Config"},
      {"clusters", Value(std::vector<Value>{Value{{"name", "caisson"}, {"cluster", cluster}}})},
      {"users", Value(std::vector<Value>{Value{{"name", "caisson"}, {"user", Value{{"token", token}}}}})},
      {"contexts", Value(std::vector<Value>{
                       Value{{"name", "caisson"}, {"context", Value{{"cluster", "caisson"}, {"user", "caisson"}}}}})},
      {"current-context", "caisson"},
  };
  TRY(write_owned(path, yaml::write(config), 0600, owner_uid));
  // The server knows only the hash.
  return write_owned(instance.path("pki/admin-token.sha256"), sha256_hex(token), 0400, instance.settings.server_uid);
}

}  // namespace

Result<void> prepare_pki(const Instance& instance, int owner_uid) {
  const Time now = system_clock().now();
  const int uid = instance.settings.server_uid;
  TRY(make_dirs(instance.path("pki"), 0711));
  http::KeyPair ca;
  if (exists(instance.path("pki/ca.key"))) {
    ca.certificate_pem = TRY(read_file(instance.path("pki/ca.crt")));
    ca.key_pem = SecretBytes(TRY(read_file(instance.path("pki/ca.key"))));
  } else {
    ca = TRY(http::make_ca("Caisson CA " + instance.id, now));
    TRY(write_file(instance.path("pki/ca.crt"), ca.certificate_pem, 0644));
    TRY(write_file(instance.path("pki/ca.key"), ca.key_pem.reveal(), 0600));
  }
  const http::CertificateRequest wanted = server_names(instance);
  const auto current = read_file(instance.path("pki/server.crt"));
  if (!current.ok() || !certificate_serves(*current, wanted, now)) {
    const http::KeyPair server = TRY(http::make_certificate(ca, wanted, now));
    TRY(write_owned(instance.path("pki/server.key"), server.key_pem.reveal(), 0400, uid));
    TRY(write_owned(instance.path("pki/server.crt"), server.certificate_pem, 0444, uid));
  }
  if (!exists(instance.path("pki/service-account.key"))) {
    const std::string key = TRY(http::make_key_pem());
    TRY(write_owned(instance.path("pki/service-account.key"), key, 0400, uid));
  }
  if (!exists(instance.path("pki/signer.key"))) {
    const http::KeyPair signer = TRY(http::make_ca("Caisson client CA " + instance.id, now));
    TRY(write_owned(instance.path("pki/signer.key"), signer.key_pem.reveal(), 0400, uid));
    TRY(write_owned(instance.path("pki/signer.crt"), signer.certificate_pem, 0444, uid));
  }
  return make_admin(instance, ca.certificate_pem, owner_uid);
}

}  // namespace caisson::platform
