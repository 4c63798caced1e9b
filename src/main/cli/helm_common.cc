// SPDX-License-Identifier: Apache-2.0
#include "main/cli/helm_common.h"

#include <netdb.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/load_by_two.h"
#include "delivery/render/helm/repository/download.h"
#include "delivery/render/helm/repository/fetch.h"
#include "delivery/render/helm/repository/provenance.h"

namespace caisson::cli {
namespace {

Result<std::string> read_standard_input() {
  std::string out;
  char buffer[65536];
  for (ssize_t got; (got = ::read(STDIN_FILENO, buffer, sizeof buffer)) > 0;)
    out.append(buffer, static_cast<std::size_t>(got));
  return out;
}

Result<std::string> read_values_file(const std::string& path) {
  if (trim(path) == "-") return read_standard_input();
  if (path.starts_with("http://") || path.starts_with("https://")) return render::helm::fetch(path, path, {});
  auto text = read_file(path);
  if (text.ok()) return text;
  if (text.error().code == ErrorCode::not_found)
    return Error{ErrorCode::not_found, "open " + path + ": no such file or directory"};
  return text;
}

// What the program `words` makes of `manifest`. Errors: as Helm says them.
Result<std::string> post_rendered(const std::vector<std::string>& words, std::string manifest) {
  Command command;
  command.args = words;
  command.input = std::move(manifest);
  Exit exit = TRY(run(command));
  if (!exit.ok()) {
    return Error{ErrorCode::internal, "error while running command " + words[0] + ". error output:\n" + exit.err +
                                          ": exit status " + std::to_string(exit.code)};
  }
  return std::move(exit.out);
}

// The first address of a host, as text; empty when it has none.
std::string first_address(const std::string& host) {
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, nullptr, &found) != 0) return {};
  char text[NI_MAXHOST] = "";
  ::getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  ::freeaddrinfo(found);
  return text;
}

// The disk, with a chart's folder open, so that the way to its files is short. Links may lead anywhere, as in Helm.
class ChartOnDisk final : public render::FileSource {
 public:
  explicit ChartOnDisk(const std::string& path) : below_(path + "/"), folder_(render::disk_source("/" + path)) {}
  Result<std::string> read(const std::string& path) const override {
    if (path.starts_with(below_)) {
      auto text = folder_->read(path.substr(below_.size()));
      if (text.ok()) return text;
    }
    return disk_->read(path);
  }
  Result<std::vector<Entry>> list(const std::string& directory) const override {
    if (directory.starts_with(below_)) {
      auto entries = folder_->list(directory.substr(below_.size()));
      if (entries.ok()) return entries;
    }
    return disk_->list(directory);
  }

 private:
  const std::string below_;
  const std::unique_ptr<render::FileSource> folder_, disk_ = render::disk_source("/");
};

}  // namespace

Result<Value> helm_values(const Flags& flags) {
  render::helm::ValueSources sources;
  sources.files = flags.all("values");
  for (const auto& [name, value] : flags.given()) {
    using render::helm::SetKind;
    if (name == "set") sources.sets.emplace_back(SetKind::value, value);
    if (name == "set-string") sources.sets.emplace_back(SetKind::string, value);
    if (name == "set-json") sources.sets.emplace_back(SetKind::json, value);
    if (name == "set-file") sources.sets.emplace_back(SetKind::file, value);
    if (name == "set-literal") sources.sets.emplace_back(SetKind::literal, value);
  }
  return render::helm::merge_sources(sources, read_values_file);
}

Result<std::string> locate_helm_chart(const std::string& given, const Flags& flags) {
  const std::string name(trim(given));
  char absolute[PATH_MAX];
  if (::realpath(name.c_str(), absolute) != nullptr) {
    if (flags.is_set("verify")) TRY(render::helm::verify_chart_file(absolute, helm_keyring(flags)));
    return std::string(absolute);
  }
  if (name.starts_with('/') || name.starts_with('.'))
    return Error{ErrorCode::not_found, "path " + render::helm::go_quote(name) + " not found"};
  const render::helm::Home home = helm_home(flags);
  render::helm::ChartRequest request{name, helm_version_wanted(flags), flags.text("repo"), helm_access(flags)};
  request.with_provenance = flags.is_set("verify");
  const auto chart = TRY(render::helm::download_chart(home, request, helm_talk()));
  if (request.with_provenance)
    TRY(render::helm::verify_provenance(chart.file_name, chart.archive, chart.provenance, helm_keyring(flags)));
  const std::string path = path_join(home.cache_folder, TRY(safe_path(chart.file_name)));
  TRY(make_dirs(home.cache_folder));
  TRY(write_file_unsynced(path, chart.archive));
  return path;
}

Result<render::helm::Chart> load_helm_chart(const std::string& name, const Flags& flags) {
  const std::string path = TRY(locate_helm_chart(name, flags));
  const ChartOnDisk files(path.substr(1));
  std::vector<std::string> warnings;
  auto chart = render::helm::load_chart_by_two(files, path.substr(1), warnings);
  print_helm_warnings(warnings);
  return chart;
}

render::helm::Home helm_home(const Flags& flags) {
  render::helm::Home home = render::helm::home_of([](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  });
  home.repositories_file = flags.text("repository-config", home.repositories_file);
  home.cache_folder = flags.text("repository-cache", home.cache_folder);
  home.registry_file = flags.text("registry-config", home.registry_file);
  return home;
}

render::helm::Access helm_access(const Flags& flags) {
  render::helm::Access access;
  access.username = flags.text("username");
  access.password = SecretBytes(flags.text("password"));
  access.certificate_file = flags.text("cert-file");
  access.key_file = flags.text("key-file");
  access.ca_file = flags.text("ca-file");
  access.insecure = flags.is_set("insecure-skip-tls-verify") || flags.is_set("insecure");
  access.pass_credentials_all = flags.is_set("pass-credentials");
  access.plain_http = flags.is_set("plain-http");
  return access;
}

render::helm::Talk helm_talk() {
  const auto to = [](std::FILE* stream) {
    return [stream](const std::string& text) {
      std::fputs(text.c_str(), stream);
      std::fflush(stream);
    };
  };
  return {to(stdout), to(stderr)};
}

std::string helm_keyring(const Flags& flags) {
  if (flags.has("keyring")) return flags.text("keyring");
  if (const char* gnupg = std::getenv("GNUPGHOME"); gnupg != nullptr) return std::string(gnupg) + "/pubring.gpg";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "" : home) + "/.gnupg/pubring.gpg";
}

std::string helm_version_wanted(const Flags& flags) {
  return flags.text("version", flags.is_set("devel") ? ">0.0.0-0" : "");
}

Result<void> expect_helm_arguments(const std::vector<std::string>& arguments, std::size_t least, std::size_t most,
                                   std::string_view usage) {
  if (arguments.size() >= least && arguments.size() <= most) return {};
  std::string command = "helm";  // the words before the arguments, "repo add" of "repo add [NAME] [URL] [flags]"
  for (const std::string_view word : split(usage, ' ')) {
    if (word[0] < 'a' || word[0] > 'z') break;
    command += " " + std::string(word);
  }
  const auto plural = [](std::size_t count) {
    return std::to_string(count) + (count == 1 ? " argument" : " arguments");
  };
  std::string what = arguments.size() > most ? "accepts at most " + plural(most) : "requires at least " + plural(least);
  if (least == most) what = least == 0 ? "accepts no arguments" : "requires " + plural(least);
  return Error{ErrorCode::bad_request, "\"" + command + "\" " + what + "\n\nUsage:  helm " + std::string(usage)};
}

Result<std::string> read_helm_password() {
  std::string password = TRY(read_standard_input());
  if (password.ends_with('\n')) password.pop_back();
  if (password.ends_with('\r')) password.pop_back();
  return password;
}

Result<NameAndChart> name_and_chart(const Flags& flags, const std::string& fixed_name) {
  const auto& words = flags.arguments();
  const std::string name_template = flags.text("name-template");
  const bool generate = flags.is_set("generate-name");
  if (words.size() > 2) {
    std::string more;
    for (std::size_t i = 2; i < words.size(); ++i) more += (i == 2 ? "" : ", ") + words[i];
    return Error{ErrorCode::bad_request, "expected at most two arguments, unexpected arguments: " + more};
  }
  if (words.size() == 2) {
    if (generate) return Error{ErrorCode::bad_request, "cannot set --generate-name and also specify a name"};
    if (!name_template.empty())
      return Error{ErrorCode::bad_request, "cannot set --name-template and also specify a name"};
    return NameAndChart{words[0], words[1]};
  }
  if (!name_template.empty()) return NameAndChart{TRY(render::helm::name_from_template(name_template)), words[0]};
  if (!fixed_name.empty()) return NameAndChart{fixed_name, words[0]};
  if (!generate) return Error{ErrorCode::bad_request, "must either provide a name or specify --generate-name"};
  std::string base = path_base(words[0]);
  base = base.substr(0, base.find('-'));
  if (base == "." || base.empty()) base = "chart";
  return NameAndChart{base + "-" + std::to_string(::time(nullptr)), words[0]};
}

render::helm::RenderOptions helm_render_options(const Flags& flags) {
  render::helm::RenderOptions options;
  options.skip_schema_validation = flags.is_set("skip-schema-validation");
  options.subchart_notes = flags.is_set("render-subchart-notes");
  if (flags.is_set("enable-dns")) options.engine.host_by_name = first_address;
  if (flags.has("post-renderer")) {
    std::vector<std::string> words{flags.text("post-renderer")};
    for (std::string& word : flags.all("post-renderer-args")) words.push_back(std::move(word));
    options.post_render = [words](std::string manifest) { return post_rendered(words, std::move(manifest)); };
  }
  return options;
}

void print_helm_warnings(const std::vector<std::string>& warnings) {
  std::set<std::string_view> printed;
  for (const std::string& warning : warnings) {
    if (printed.insert(warning).second) std::fprintf(stderr, "%s\n", warning.c_str());
  }
}

}  // namespace caisson::cli
