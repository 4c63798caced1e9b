// SPDX-License-Identifier: Apache-2.0
// For tests that need root: nginx with Lua in a network namespace of its own, and the objects that it routes by.
#pragma once
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <thread>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "core/http/tls.h"
#include "machine/network/ingress_table.h"
#include "machine/network/nginx.h"
#include "machine/network/testing/namespace.h"

namespace caisson::network::testing {

inline kube::Object object_of(const std::string& yaml) {
  auto value = yaml::read(yaml);
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return kube::Object(*value);
}

// A cluster of services with one port, http, in namespace shop: web with the given endpoints, and others.
struct Cluster {
  std::vector<std::string> endpoints;  // "ip:port"
  std::map<kube::ObjectKey, kube::Object> secrets;
  std::map<std::string, std::vector<std::string>> others;
  std::map<kube::ObjectKey, kube::Object> config_maps;

  IngressWorld world() const {
    const auto in = [](const std::map<kube::ObjectKey, kube::Object>& objects) {
      return [&objects](const kube::ObjectKey& key) -> std::optional<kube::Object> {
        const auto found = objects.find(key);
        if (found == objects.end()) return std::nullopt;
        return found->second;
      };
    };
    return {[this](const kube::ObjectKey& key) -> std::optional<kube::Object> {
              if (key.name != "web" && !others.contains(key.name)) return std::nullopt;
              return object_of("metadata: {name: " + key.name +
                               ", namespace: shop}\nspec: {clusterIP: 127.0.0.1, ports: [{name: http, port: 80}]}\n");
            },
            [this](const kube::ObjectKey& key) {
              std::vector<kube::Object> out;
              for (const auto& one : key.name == "web" ? endpoints : others.at(key.name)) {
                const auto colon = one.find(':');
                out.push_back(object_of("addressType: IPv4\nports: [{name: http, port: " + one.substr(colon + 1) +
                                        "}]\nendpoints: [{addresses: [" + one.substr(0, colon) + "]}]\n"));
              }
              return out;
            },
            in(secrets), in(config_maps)};
  }
};

inline kube::Object ingress(const std::string& host, const std::string& paths, const std::string& annotations = "",
                            const std::string& tls = "") {
  return object_of("metadata:\n  name: web\n  namespace: shop\n  annotations: {" + annotations +
                   "}\nspec:\n  ingressClassName: nginx\n" + tls + "  rules:\n  - host: " + host +
                   "\n    http:\n      paths:\n" + paths);
}

inline std::string path(const std::string& path, const std::string& type = "Prefix") {
  return "      - {path: '" + path + "', pathType: " + type +
         ", backend: {service: {name: web, port: {number: 80}}}}\n";
}

struct Nginx {
  TempDir dir;
  Namespace host;
  NginxOptions options;

  explicit Nginx(TempDir d) : dir(std::move(d)) {
    options = {"7e57ab", dir.path() + "/nginx", "127.0.0.1", 80, 443, {}, {}};
    const auto made = http::make_ca("test default", system_clock().now());
    REQUIRE(made.ok());
    options.default_certificate_pem = (*made).certificate_pem;
    options.default_key_pem = (*made).key_pem.reveal();
    host.run([] {
      auto netlink = Netlink::open();
      Netlink nl = std::move(netlink).value();
      REQUIRE(nl.set_up((*nl.find_link("lo"))->index).ok());
    });
  }
  ~Nginx() { CHECK(stop_nginx(options.directory).ok()); }

  void post(const IngressTable& table) {
    REQUIRE(write_user_files(options.directory, table.user_files).ok());
    REQUIRE(nginx_control(options.directory, "/certificates", table.certificates + "\n").ok());
    std::string backends = "all\n";
    for (const auto& [id, backend] : table.backends) backends += backend.line + "\n";
    REQUIRE(nginx_control(options.directory, "/backends", backends).ok());
    REQUIRE(nginx_control(options.directory, "/routes", table.routes + "\n").ok());
  }
};

inline Nginx make_nginx() {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  REQUIRE(::chmod((*dir).path().c_str(), 0755) == 0);
  return Nginx(std::move(dir).value());
}

}  // namespace caisson::network::testing
