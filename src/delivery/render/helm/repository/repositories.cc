// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/repository/repositories.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>

#include "core/document/yaml.h"
#include "delivery/render/helm/chart.h"

namespace caisson::render::helm {

const Repository* Repositories::find(const std::string& name) const {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Repository& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

void Repositories::put(Repository repository) {
  for (Repository& one : all) {
    if (one.name != repository.name) continue;
    one = std::move(repository);
    return;
  }
  all.push_back(std::move(repository));
}

bool Repositories::remove(const std::string& name) {
  return std::erase_if(all, [&](const Repository& one) { return one.name == name; }) > 0;
}

Result<Repositories> read_repositories(const std::string& path) {
  const auto text = read_file(path);
  if (!text.ok()) {
    const bool absent = text.error().code == ErrorCode::not_found;
    return Error{text.error().code,
                 "couldn't load repositories file (" + path +
                     "): " + (absent ? "open " + path + ": no such file or directory" : text.error().message)};
  }
  const Value document = TRY(read_yaml(*text, false));
  Repositories out;
  out.api_version = document["apiVersion"].str();
  if (!document["generated"].is_null()) out.generated = document["generated"].scalar_text();
  for (const Value& from : document["repositories"].items()) {
    Repository one{from["name"].scalar_text(), from["url"].str(), {}};
    one.access.username = from["username"].scalar_text();
    one.access.password = SecretBytes(from["password"].scalar_text());
    one.access.certificate_file = from["certFile"].str();
    one.access.key_file = from["keyFile"].str();
    one.access.ca_file = from["caFile"].str();
    one.access.insecure = from["insecure_skip_tls_verify"].as_bool();
    one.access.pass_credentials_all = from["pass_credentials_all"].as_bool();
    out.all.push_back(std::move(one));
  }
  return out;
}

Result<Repositories> known_repositories(const std::string& path) {
  auto known = read_repositories(path);
  if (!known.ok() && known.error().code == ErrorCode::not_found) return Repositories{};
  return known;
}

Result<void> write_repositories(const std::string& path, const Repositories& repositories) {
  Value list = Value::list();
  for (const Repository& one : repositories.all) {
    list.push_back(Value{{"name", one.name},
                         {"url", one.url},
                         {"username", one.access.username},
                         {"password", one.access.password.reveal()},
                         {"certFile", one.access.certificate_file},
                         {"keyFile", one.access.key_file},
                         {"caFile", one.access.ca_file},
                         {"insecure_skip_tls_verify", one.access.insecure},
                         {"pass_credentials_all", one.access.pass_credentials_all}});
  }
  const Value document{{"apiVersion", repositories.api_version},
                       {"generated", repositories.generated},
                       {"repositories", std::move(list)}};
  TRY(make_dirs(path_dir(path)));
  return write_file(path, yaml::write(document, {.sort_keys = true}), 0600);
}

Result<RepositoriesLock> RepositoriesLock::take(const std::string& path) {
  TRY(make_dirs(path_dir(path)));
  const std::size_t dot = path.rfind('.');
  const bool has_extension = dot != std::string::npos && dot > path.rfind('/') + 1;
  const std::string lock = (has_extension ? path.substr(0, dot) : path) + ".lock";
  UniqueFd fd(::open(lock.c_str(), O_CREAT | O_RDONLY | O_CLOEXEC, 0600));
  if (!fd || ::flock(fd.get(), LOCK_EX) != 0) return errno_error("lock " + lock);
  return RepositoriesLock(std::move(fd));
}

}  // namespace caisson::render::helm
