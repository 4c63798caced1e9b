// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/remote.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <map>

namespace caisson::git {
namespace {

std::map<std::string, std::string> configuration(const Command& command) {
  std::map<std::string, std::string> env(command.env.begin(), command.env.end()), out;
  for (int i = 0; i < std::stoi(env["GIT_CONFIG_COUNT"]); ++i)
    out[env["GIT_CONFIG_KEY_" + std::to_string(i)]] = env["GIT_CONFIG_VALUE_" + std::to_string(i)];
  out["ssh"] = env["GIT_SSH_COMMAND"];
  return out;
}

TEST_CASE("a remote is https, http or ssh, and its password never stays in the URL") {
  CHECK(parse_remote("https://ada:hush@example.org/a.git")->url == "https://example.org/a.git");
  CHECK(parse_remote("https://ada:hush@example.org/a.git")->credentials.password.reveal() == "hush");
  CHECK(parse_remote("git@example.org:shop/app.git")->ssh);
  CHECK(parse_remote("git@example.org:shop/app.git")->url == "git@example.org:shop/app.git");
  CHECK(parse_remote("ssh://git@example.org:2222/shop/app.git")->url == "ssh://git@example.org:2222/shop/app.git");
  for (const char* bad : {"file:///etc", "ext::sh -c id", "-oProxyCommand=id:x", "git@-oProxyCommand=id:x",
                          "ssh://-oProxyCommand=id/x", "/etc/passwd", "git@host:", "a/b:c", ""}) {
    CAPTURE(bad);
    CHECK(parse_remote(bad).error().code == ErrorCode::bad_request);
  }
}

TEST_CASE("secrets lie in files of their owner alone, and go with the login") {
  const TempDir parent = TempDir::make("login").value();
  std::string directory;
  {
    Credentials credentials;
    credentials.ssh_private_key = SecretBytes("KEY");
    credentials.known_hosts = "example.org ssh-ed25519 AAAA";
    credentials.ca_pem = "CA";
    const Login login = Login::make(credentials, "/etc/ca", parent.path() + "/o'clock").value();
    Command command;
    login.add_to(command);
    const auto config = configuration(command);
    directory = path_dir(config.at("http.sslCAInfo"));
    CHECK(read_file(directory + "/key").value() == "KEY\n");
    CHECK(config.at("ssh").find("o'\\''clock") != std::string::npos);
    struct stat info {};
    REQUIRE(::stat((directory + "/key").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    const std::string ssh = read_file(directory + "/ssh_config").value();
    CHECK(ssh.find("StrictHostKeyChecking yes") != std::string::npos);
    CHECK(config.at("protocol.allow") == "never");
    CHECK(config.count("http.sslVerify") == 0);
  }
  CHECK_FALSE(exists(directory));
}

TEST_CASE("a token goes into the environment, never into arguments") {
  const TempDir parent = TempDir::make("login").value();
  Credentials credentials;
  credentials.user = "ada";
  credentials.password = SecretBytes("hush");
  Command command;
  command.args = {"git", "fetch"};
  const Login login = Login::make(credentials, "", parent.path()).value();
  login.add_to(command);
  CHECK(configuration(command).at("http.extraHeader") == "Authorization: Basic YWRhOmh1c2g=");
  CHECK(command.args.size() == 2);
}

}  // namespace
}  // namespace caisson::git
