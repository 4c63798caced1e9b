// SPDX-License-Identifier: Apache-2.0
// The catalogue. Env, Cmd, Entrypoint, User, ExposedPorts, WorkingDir, StopSignal and user ids are those of the
// upstream images named in `repositories`, as of 2024.
#include "artifact/bootstrap/recipe.h"

namespace caisson::bootstrap {
namespace {

const std::vector<std::string> kBasics = {"base-files", "netbase", "ca-certificates", "tzdata"};

std::vector<std::string> with(std::vector<std::string> packages) {
  packages.insert(packages.end(), kBasics.begin(), kBasics.end());
  return packages;
}

std::vector<std::string> env(std::vector<std::string> variables = {}) {
  variables.insert(variables.begin(), std::string(kPath));
  return variables;
}

const std::vector<std::pair<std::string, std::string>> kPythonLinks = {{"usr/local/bin/python", "/usr/bin/python3"},
                                                                       {"usr/local/bin/python3", "/usr/bin/python3"}};

Recipe nginx(bool unprivileged) {
  Recipe out;
  out.packages = with({"nginx-light", "gettext-base"});
  out.accounts = {{"nginx", 101, 101, "/nonexistent", "/bin/false"}};
  out.directories = {
      {"var/cache/nginx", 0755, 101, 101}, {"docker-entrypoint.d"}, {"var/log/nginx"}, {"run"}, {"etc/nginx/conf.d"},
      {"var/lib/nginx", 0755, 101, 101}};
  out.remove = {"etc/nginx/sites-enabled", "etc/nginx/sites-available", "etc/nginx/modules-enabled", "var/www"};
  out.files = {{"docker-entrypoint.sh", kNginxEntrypoint, 0755},
               {"etc/nginx/nginx.conf", unprivileged ? kNginxUnprivilegedConf : kNginxConf},
               {"etc/nginx/conf.d/default.conf", unprivileged ? kNginxUnprivilegedDefaultConf : kNginxDefaultConf},
               {"usr/share/nginx/html/index.html", kNginxIndex}};
  out.links = {{"var/log/nginx/access.log", "/dev/stdout"}, {"var/log/nginx/error.log", "/dev/stderr"}};
  out.env = env();
  out.entrypoint = {"/docker-entrypoint.sh"};
  out.cmd = {"nginx", "-g", "daemon off;"};
  out.exposed_ports = {unprivileged ? "8080/tcp" : "80/tcp"};
  out.stop_signal = "SIGQUIT";
  out.version_of = "nginx-light";
  if (unprivileged) {
    out.id = "nginx-unprivileged";
    out.repositories = {"docker.io/nginxinc/nginx-unprivileged", "ghcr.io/nginxinc/nginx-unprivileged",
                        "docker.io/nginx/nginx-unprivileged"};
    out.user = "101";
    out.directories.push_back({"etc/nginx/conf.d", 0755, 101, 0});
  } else {
    out.id = "nginx";
    out.repositories = {"docker.io/library/nginx", "public.ecr.aws/nginx/nginx", "public.ecr.aws/docker/library/nginx"};
  }
  return out;
}

Recipe java(bool development) {
  Recipe out;
  out.id = development ? "jdk" : "jre";
  out.repositories = {"docker.io/library/eclipse-temurin"};
  if (development) out.repositories.push_back("docker.io/library/openjdk");
  out.packages = with({development ? "openjdk-17-jdk-headless" : "openjdk-17-jre-headless"});
  out.links = {{"opt/java/openjdk", "/usr/lib/jvm/java-17-openjdk-amd64"}};
  out.env = {"PATH=/opt/java/openjdk/bin:" + std::string(kPath.substr(5)), "JAVA_HOME=/opt/java/openjdk",
             "LANG=C.UTF-8"};
  if (development) out.cmd = {"jshell"};
  out.version_of = out.packages.front();
  return out;
}

std::vector<Recipe> make_catalogue() {
  std::vector<Recipe> out;
  out.push_back({.id = "busybox",
                 .repositories = {"docker.io/library/busybox"},
                 .packages = {},
                 .env = env(),
                 .cmd = {"sh"},
                 .version_of = "busybox-static"});
  out.push_back({.id = "alpine",
                 .repositories = {"docker.io/library/alpine", "public.ecr.aws/docker/library/alpine"},
                 .packages = with({"bash", "curl"}),
                 .apk = true,
                 .env = env(),
                 .cmd = {"/bin/sh"},
                 .version_of = "busybox-static"});
  out.push_back({.id = "debian",
                 .repositories = {"docker.io/library/debian", "public.ecr.aws/docker/library/debian"},
                 .base = Base::debootstrap,
                 .shell = false,
                 .env = env(),
                 .cmd = {"bash"},
                 .version_of = "base-files"});
  out.push_back(nginx(false));
  out.push_back(nginx(true));
  out.push_back(
      {.id = "golang",
       .repositories = {"docker.io/library/golang", "public.ecr.aws/docker/library/golang"},
       .packages = with({"golang-go", "git"}),
       .directories = {{"go", 0777}, {"go/src", 0777}, {"go/bin", 0777}},
       .links = {{"usr/local/go", "/usr/lib/go"}},
       .remove = {"usr/share/go-1.19/test"},
       // Without a C compiler: upstream's Debian variant has one, its alpine variant has none either.
       .env = {"PATH=/go/bin:/usr/local/go/bin:" + std::string(kPath.substr(5)), "GOPATH=/go", "CGO_ENABLED=0"},
       .cmd = {"sh"},
       .working_dir = "/go",
       .version_of = "golang-go"});
  out.push_back({.id = "redis",
                 .repositories = {"docker.io/library/redis", "public.ecr.aws/docker/library/redis"},
                 .packages = with({"redis-server"}),
                 .accounts = {{"redis", 999, 999, "/data"}},
                 .directories = {{"data", 0755, 999, 999}},
                 .files = {{"usr/local/bin/docker-entrypoint.sh", kRedisEntrypoint, 0755}},
                 .env = env(),
                 .entrypoint = {"docker-entrypoint.sh"},
                 .cmd = {"redis-server"},
                 .exposed_ports = {"6379/tcp"},
                 .volumes = {"/data"},
                 .working_dir = "/data",
                 .version_of = "redis-server"});
  out.push_back({.id = "node",
                 .repositories = {"docker.io/library/node", "public.ecr.aws/docker/library/node"},
                 .packages = with({"nodejs"}),
                 .if_missing = {{"usr/bin/npm", "npm"}},
                 .accounts = {{"node", 1000, 1000, "/home/node", "/bin/sh"}},
                 .directories = {{"home/node", 0755, 1000, 1000}},
                 .links = {{"usr/local/bin/node", "/usr/bin/node"}},
                 .env = env(),
                 .cmd = {"node"},
                 .version_of = "nodejs"});
  out.push_back({.id = "python",
                 .repositories = {"docker.io/library/python", "public.ecr.aws/docker/library/python"},
                 .packages = with({"python3", "python3-pip", "python3-venv"}),
                 .links = kPythonLinks,
                 .remove = {"usr/lib/python3.11/EXTERNALLY-MANAGED"},
                 .env = env({"LANG=C.UTF-8"}),
                 .cmd = {"python3"},
                 .version_of = "python3"});
  out.push_back({.id = "postgres",
                 .repositories = {"docker.io/library/postgres", "public.ecr.aws/docker/library/postgres"},
                 .packages = with({"postgresql-15", "locales-all"}),
                 .accounts = {{"postgres", 999, 999, "/var/lib/postgresql", "/bin/sh"}},
                 .directories = {{"var/lib/postgresql/data", 0777, 999, 999},
                                 {"var/run/postgresql", 03777, 999, 999},
                                 {"docker-entrypoint-initdb.d"}},
                 .files = {{"usr/local/bin/docker-entrypoint.sh", kPostgresEntrypoint, 0755}},
                 .env = {"PATH=/usr/lib/postgresql/15/bin:" + std::string(kPath.substr(5)), "LANG=en_US.utf8",
                         "PGDATA=/var/lib/postgresql/data"},
                 .entrypoint = {"docker-entrypoint.sh"},
                 .cmd = {"postgres"},
                 .exposed_ports = {"5432/tcp"},
                 .volumes = {"/var/lib/postgresql/data"},
                 .stop_signal = "SIGINT",
                 .version_of = "postgresql-15"});
  out.push_back(java(true));
  out.push_back(java(false));
  out.push_back({.id = "git",
                 .repositories = {"docker.io/alpine/git", "docker.io/bitnami/git"},
                 .packages = with({"git", "openssh-client"}),
                 .apk = true,
                 .directories = {{"git"}},
                 .env = env(),
                 .entrypoint = {"git"},
                 .cmd = {"--help"},
                 .working_dir = "/git",
                 .version_of = "git"});
  out.push_back({.id = "curl",
                 .repositories = {"docker.io/curlimages/curl"},
                 .packages = with({"curl"}),
                 .accounts = {{"curl_user", 100, 101, "/home/curl_user", "/bin/sh"}},
                 .directories = {{"home/curl_user", 0755, 100, 101}},
                 .env = env(),
                 .entrypoint = {"curl"},
                 .user = "curl_user",
                 .version_of = "curl"});
  const std::vector<Account> nonroot = {{"nonroot", 65532, 65532, "/home/nonroot"}};
  const std::vector<Directory> home = {{"home/nonroot", 0700, 65532, 65532}};
  const std::vector<std::string> certificates = {"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"};
  out.push_back({.id = "distroless-static",
                 .repositories = {"gcr.io/distroless/static", "gcr.io/distroless/static-debian12"},
                 .packages = kBasics,
                 .shell = false,
                 .accounts = nonroot,
                 .directories = home,
                 .env = env(certificates),
                 .working_dir = "/",
                 .user = "0",
                 .version_of = "base-files"});
  out.push_back({.id = "distroless-base",
                 .repositories = {"gcr.io/distroless/base", "gcr.io/distroless/base-debian12"},
                 .packages = with({"libc6", "libssl3"}),
                 .shell = false,
                 .accounts = nonroot,
                 .directories = home,
                 .env = env(certificates),
                 .working_dir = "/",
                 .user = "0",
                 .version_of = "base-files"});
  return out;
}

}  // namespace

const std::vector<Recipe>& catalogue() {
  static const std::vector<Recipe> recipes = make_catalogue();
  return recipes;
}

std::optional<Recipe> find_recipe(const content::Reference& reference) {
  if (reference.is_ours() || reference.digest) return std::nullopt;
  const std::string name = reference.registry + "/" + reference.repository;
  const bool runtime_only = reference.tag.find("jre") != std::string::npos;
  for (const Recipe& recipe : catalogue()) {
    if (std::find(recipe.repositories.begin(), recipe.repositories.end(), name) == recipe.repositories.end()) continue;
    if (runtime_only && recipe.id == "jdk") continue;
    Recipe out = recipe;
    if (out.base == Base::packages && reference.tag.find("alpine") != std::string::npos && !out.apk) {
      out.apk = true;
      out.id += "-alpine";
    }
    if (recipe.id.starts_with("distroless") && reference.tag.find("nonroot") != std::string::npos) {
      out.user = "65532";
      out.working_dir = "/home/nonroot";
      out.id += "-nonroot";
    }
    return out;
  }
  return std::nullopt;
}

}  // namespace caisson::bootstrap
