// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/credentials.h"

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::pipeline {
namespace {

// One host's part of ~/.ssh/config.
struct SshHost {
  std::string port;
  std::vector<std::string> keys;
  bool known = false;  // its key stands in known_hosts
};

std::vector<std::string> annotated(const kube::Object& secret, std::string_view prefix) {
  std::vector<std::string> out;
  for (const auto& annotation : secret.metadata()["annotations"].entries())
    if (std::string_view(annotation.key).starts_with(prefix)) out.push_back(annotation.value.str());
  return out;
}

Result<std::string> data_of(const kube::Object& secret, const char* key) {
  return unbase64(secret["data"][key].as_string()).in("secret " + secret.name() + ", " + key);
}

// "github.com", "git@github.com:org", "ssh://git@host:2222/": host and port.
std::pair<std::string, std::string> host_and_port(std::string_view url) {
  if (const std::size_t scheme = url.find("://"); scheme != url.npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find('/'));
  if (const std::size_t at = url.find('@'); at != url.npos) url.remove_prefix(at + 1);
  const std::size_t colon = url.find(':');
  const std::string_view port = colon == url.npos ? "" : url.substr(colon + 1);
  return {std::string(url.substr(0, colon)), parse_int(port) ? std::string(port) : std::string()};
}

class Reader {
 public:
  Result<void> add(const kube::Object& secret) {
    const std::string type = secret["type"].str();
    const auto git = annotated(secret, "tekton.dev/git-"), docker = annotated(secret, "tekton.dev/docker-");
    if (type == "kubernetes.io/dockerconfigjson") return add_docker_config(secret, ".dockerconfigjson");
    if (type == "kubernetes.io/dockercfg") return add_docker_config(secret, ".dockercfg");
    if (git.empty() && docker.empty()) return {};
    if (type == "kubernetes.io/ssh-auth" && docker.empty()) return add_ssh(secret, git);
    if (type != "kubernetes.io/basic-auth")
      return Error{ErrorCode::invalid, "secret " + secret.name() + ": " + (git.empty() ? "registry" : "git") +
                                           " credentials of type " + type + " are not known (kubernetes.io/basic-auth" +
                                           (git.empty() ? "" : " and kubernetes.io/ssh-auth") + " are)"};
    if (!git.empty()) out_.https.push_back({secret.name(), git});
    return docker.empty() ? Result<void>() : add_registries(secret, docker);
  }

  Credentials finish() && {
    if (!hosts_.empty()) {
      out_.ssh["config"] = ssh_config();
      if (!known_hosts_.empty()) out_.ssh["known_hosts"] = known_hosts_;
    }
    if (!auths_.is_null()) out_.docker["config.json"] = json::write(Value{{"auths", auths_}});
    return std::move(out_);
  }

 private:
  Result<void> add_ssh(const kube::Object& secret, const std::vector<std::string>& urls) {
    const std::string file = "id_" + secret.name();
    std::string key = TRY(data_of(secret, "ssh-privatekey"));
    if (!key.ends_with('\n')) key += '\n';  // ssh refuses a key whose last line does not end
    const std::string known = TRY(data_of(secret, "known_hosts"));
    if (!trim(known).empty()) known_hosts_ += std::string(trim(known)) + "\n";
    out_.ssh[file] = std::move(key);
    for (const std::string& url : urls) {
      const auto [name, port] = host_and_port(url);
      SshHost& host = hosts_[name];
      if (!port.empty()) host.port = port;
      host.keys.push_back(file);
      host.known |= !trim(known).empty();
    }
    return {};
  }

  std::string ssh_config() const {
    const std::string directory = std::string(kHome) + "/.ssh/";
    std::string out;
    for (const auto& [name, host] : hosts_) {
      out += "Host " + name + "\n    HostName " + name + "\n";
      if (!host.port.empty()) out += "    Port " + host.port + "\n";
      for (const std::string& key : host.keys) out += "    IdentityFile " + directory + key + "\n";
      out += "    IdentitiesOnly yes\n";
      // A host whose key nobody gave is taken at its word the first time, as upstream does.
      out += host.known ? "    UserKnownHostsFile " + directory + "known_hosts\n"
                        : "    StrictHostKeyChecking accept-new\n    UserKnownHostsFile " + std::string(kHome) +
                              "/known_hosts\n";
    }
    return out;
  }

  Result<void> add_registries(const kube::Object& secret, const std::vector<std::string>& urls) {
    const std::string user = TRY(data_of(secret, "username")), password = TRY(data_of(secret, "password"));
    for (const std::string& url : urls) {
      auths_.set(url, Value{{"username", user}, {"password", password}, {"auth", base64(user + ":" + password)}});
    }
    return {};
  }

  Result<void> add_docker_config(const kube::Object& secret, const char* key) {
    const std::string text = TRY(data_of(secret, key));
    const Result<Value> config = json::parse(text);
    if (!config.ok())
      return Error{ErrorCode::invalid, "secret " + secret.name() + ", " + key + ": " + config.error().message};
    const Value& auths = key == std::string_view(".dockercfg") ? *config : (*config)["auths"];
    for (const auto& entry : auths.entries()) auths_.set(entry.key, entry.value);
    return {};
  }

  Credentials out_;
  std::map<std::string, SshHost> hosts_;
  std::string known_hosts_;
  Value auths_;
};

Value items_of(const std::map<std::string, std::string>& files, const std::string& prefix) {
  Value out = Value::list();
  for (const auto& [name, text] : files) out.push_back(Value{{"key", prefix + name}, {"path", name}});
  return out;
}

Value volume(const char* name, const std::string& secret, Value items, int mode) {
  Value source{{"secretName", secret}, {"defaultMode", mode}, {"items", std::move(items)}};
  return Value{{"name", name}, {"secret", std::move(source)}};
}

}  // namespace

Result<Credentials> read_credentials(const std::vector<kube::Object>& secrets) {
  Reader reader;
  for (const kube::Object& secret : secrets) TRY(reader.add(secret));
  return std::move(reader).finish();
}

Value credential_data(const Credentials& credentials) {
  Value out;
  for (const auto& [name, text] : credentials.ssh) out.set("ssh." + name, base64(text));
  for (const auto& [name, text] : credentials.docker) out.set("docker." + name, base64(text));
  return out;
}

void add_credential_volumes(const Credentials& credentials, const std::string& secret_name, Value& volumes) {
  if (!credentials.ssh.empty()) {
    const Value items = items_of(credentials.ssh, "ssh.");
    volumes.push_back(volume("tekton-ssh", secret_name, items, 0400));
    volumes.push_back(volume("tekton-ssh-of-others", secret_name, items, 0444));
  }
  if (!credentials.docker.empty())
    volumes.push_back(volume("tekton-docker", secret_name, items_of(credentials.docker, "docker."), 0444));
}

void add_credential_mounts(const Credentials& credentials, bool as_root, Value& mounts) {
  const std::string home(kHome);
  if (!credentials.ssh.empty())
    mounts.push_back(Value{{"name", as_root ? "tekton-ssh" : "tekton-ssh-of-others"}, {"mountPath", home + "/.ssh"}});
  if (!credentials.docker.empty()) mounts.push_back(Value{{"name", "tekton-docker"}, {"mountPath", home + "/.docker"}});
}

}  // namespace caisson::pipeline
