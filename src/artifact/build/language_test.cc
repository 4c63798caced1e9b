// SPDX-License-Identifier: Apache-2.0
// The language: words, patterns, instructions, mounts, flags of the executor. Pure.
#include <doctest/doctest.h>

#include "artifact/build/copier.h"
#include "artifact/build/dockerfile.h"
#include "artifact/build/executor.h"
#include "artifact/build/glob.h"
#include "artifact/build/run_mounts.h"
#include "artifact/build/stages.h"
#include "artifact/build/words.h"

using namespace caisson;
using namespace caisson::build;

TEST_CASE("variables are filled in as BuildKit does") {
  const Variables variables = {{"A", "one"}, {"E", ""}, {"P", "a/b.tar.gz"}};
  struct Case {
    const char *text, *want;
  };
  for (const Case& c : std::initializer_list<Case>{{"$A", "one"},
                                                   {"${A}x", "onex"},
                                                   {"$Ax", ""},
                                                   {"\\$A", "$A"},
                                                   {"'$A'", "$A"},
                                                   {"\"$A b\"", "one b"},
                                                   {"a\\ b", "a b"},
                                                   {"${N:-x$A}", "xone"},
                                                   {"${E:-x}", "x"},
                                                   {"${E-x}", ""},
                                                   {"${A:+y}", "y"},
                                                   {"${E:+y}", ""},
                                                   {"${E+y}", "y"},
                                                   {"${P#*/}", "b.tar.gz"},
                                                   {"${P%.*}", "a/b.tar"},
                                                   {"${P%%.*}", "a/b"},
                                                   {"${P##*.}", "gz"},
                                                   {"${P/a/z}", "z/b.tar.gz"},
                                                   {"${P//a/z}", "z/b.tzr.gz"},
                                                   {"$", "$"},
                                                   {"a$ b", "a$ b"},
                                                   {"\"a\\nb\"", "a\\nb"}}) {
    CAPTURE(c.text);
    const Result<std::string> have = expand(c.text, variables);
    REQUIRE(have.ok());
    CHECK(*have == c.want);
  }
  for (const char* bad : {"${A", "\"x", "'x", "${A:x}", "${N:?must}", "${}"}) {
    CAPTURE(bad);
    CHECK_FALSE(expand(bad, variables).ok());
  }
  CHECK(*expand_words("a \"b c\" $A\\ d", variables) == std::vector<std::string>{"a", "b c", "one d"});
}

TEST_CASE("deep substitutions are refused, not followed for ever") {
  std::string text = "x";
  for (int i = 0; i < 10'000; ++i) text = "${A:-" + text + "}";
  CHECK_FALSE(expand(text, {}).ok());
}

TEST_CASE("ignore rules: the last match wins, parents count, ** spans folders") {
  struct Case {
    const char *rules, *path;
    bool ignored;
  };
  for (const Case& c : std::initializer_list<Case>{{"a", "a/b/c", true},
                                                   {"a", "x/a", false},
                                                   {"**/a", "x/y/a/z", true},
                                                   {"*.o", "x/a.o", false},
                                                   {"**/*.o", "a.o", true},
                                                   {"*\n!keep", "keep/x", false},
                                                   {"*\n!keep", "other", true},
                                                   {"a\n!a/b\na/b/c", "a/b/c", true},
                                                   {"a\n!a/b", "a/b/x", false},
                                                   {"/a/", "a/x", true},
                                                   {"# c\n\n a ", "a", true},
                                                   {"a/../b", "b", true},
                                                   {"[ab]x", "bx", true},
                                                   {".", "a", false},
                                                   {"a**", "abc/d", true},
                                                   {"\\*", "*", true},
                                                   {"\\*", "x", false}}) {
    CAPTURE(c.rules);
    CAPTURE(c.path);
    const Result<IgnoreRules> rules = IgnoreRules::parse(c.rules);
    REQUIRE(rules.ok());
    CHECK(rules->ignores(c.path) == c.ignored);
  }
  CHECK_FALSE(IgnoreRules::parse("[a").ok());
  CHECK_FALSE(IgnoreRules::parse("!").ok());
}

TEST_CASE("a pattern of many stars takes no more time than its length asks for") {
  const std::string pattern(2000, '*'), name(2000, 'a');
  CHECK_FALSE(matches_name(pattern + "b", name));
}

TEST_CASE("instructions are read with flags, forms and heredocs") {
  const Result<Dockerfile> file = parse_dockerfile(
      "# escape=`\r\n# comment\nfrom a AS b\n  RUN --mount=type=cache,target=/c --network=none echo `\n  # inside\n\n  "
      "two\n"
      "CMD [\"x\", \"y z\"]\nCOPY --from=b <<E1 <<-\"E2\" /d/\none $A\nE1\n\ttwo\n\tE2\nLABEL a=b \"c d\"='e f'\nENV k "
      "the rest\n");
  REQUIRE_MESSAGE(file.ok(), file.error().message);
  CHECK(file->escape == '`');
  REQUIRE(file->instructions.size() == 6);
  const Instruction& run = file->instructions[1];
  CHECK(run.line == 4);
  CHECK(run.rest == "echo   two");
  CHECK(*find_flag(run, "network") == "none");
  CHECK(file->instructions[2].is_json);
  CHECK(file->instructions[2].words == std::vector<std::string>{"x", "y z"});
  const Instruction& copy = file->instructions[3];
  REQUIRE(copy.heredocs.size() == 2);
  CHECK(copy.heredocs[0].contents == "one $A\n");
  CHECK(copy.heredocs[0].expands);
  CHECK(copy.heredocs[1].contents == "two\n");
  CHECK_FALSE(copy.heredocs[1].expands);
  CHECK(file->instructions[4].words == std::vector<std::string>{"a=b", "\"c d\"='e f'"});
  CHECK(file->instructions[5].words == std::vector<std::string>{"k=the rest"});
}

TEST_CASE("errors name the line") {
  struct Case {
    const char *text, *want;
  };
  for (const Case& c : std::initializer_list<Case>{{"FROM a\n\nRUNN x", "line 3: unknown instruction: RUNN"},
                                                   {"FROM a\nCOPY --chwon=1 a b", "line 2: unknown flag: --chwon"},
                                                   {"FROM a\nCOPY <<E /x\nno end", "line 2: unterminated heredoc"},
                                                   {"FROM a\nENV x", "line 2: ENV must have two arguments"},
                                                   {"RUN x", "line 1: no build stage"},
                                                   {"", "cannot be empty"}}) {
    CAPTURE(c.text);
    const auto check = [&]() -> Result<void> {
      const Dockerfile file = TRY(parse_dockerfile(c.text));
      TRY(plan_stages(file, {}));
      return {};
    };
    const Result<void> result = check();
    REQUIRE_FALSE(result.ok());
    CHECK_MESSAGE(result.error().message.find(c.want) != std::string::npos, result.error().message);
  }
}

TEST_CASE("modes are octal or symbolic") {
  struct Case {
    const char* text;
    unsigned mode;
    bool is_directory;
    unsigned want;
  };
  for (const Case& c : std::initializer_list<Case>{{"0750", 0644, false, 0750},
                                                   {"u+x", 0644, false, 0744},
                                                   {"go-r,u=rwx", 0644, false, 0700},
                                                   {"a=rX", 0600, true, 0555},
                                                   {"a=rX", 0600, false, 0444},
                                                   {"g=u", 0640, false, 0660},
                                                   {"u+s,o+t", 0755, false, 05755},
                                                   {"+x", 0644, false, 0755}}) {
    CAPTURE(c.text);
    const Result<ModeChange> change = ModeChange::parse(c.text);
    REQUIRE(change.ok());
    CHECK(change->apply(c.mode, c.is_directory) == c.want);
  }
  for (const char* bad : {"", "9x9", "08", "077777", "u", "z+x"}) CHECK_FALSE(ModeChange::parse(bad).ok());
}

TEST_CASE("mounts are read, and what is unknown in them is named") {
  const Result<RunMount> mount =
      parse_run_mount("type=cache,target=$D,id=x,sharing=locked,mode=0700,uid=5,ro", {{"D", "/cache"}});
  REQUIRE(mount.ok());
  CHECK(mount->target == "/cache");
  CHECK(mount->mode == 0700u);
  CHECK(mount->read_only);
  CHECK(parse_run_mount("type=secret,id=k", {})->target == "/run/secrets/k");
  CHECK(parse_run_mount("colour=red,target=/x", {}).error().message.find("colour") != std::string::npos);
  CHECK_FALSE(parse_run_mount("type=bogus,target=/x", {}).ok());
  CHECK_FALSE(parse_run_mount("type=tmpfs", {}).ok());
}

TEST_CASE("the executor takes kaniko's flags, and names those it can't honour") {
  const Result<ExecutorFlags> flags =
      parse_executor_flags({"--context=dir:///w", "--dockerfile", "D", "-d", "shop/web:1", "--destination=shop/web:2",
                            "--build-arg=A=1", "--cache=false", "--snapshot-mode=redo", "--cache-repo", "x/y"});
  REQUIRE(flags.ok());
  CHECK(flags->context == "dir:///w");
  CHECK(flags->dockerfile == "D");
  CHECK(flags->destinations == std::vector<std::string>{"shop/web:1", "shop/web:2"});
  CHECK_FALSE(flags->cache);
  const auto files =
      parse_executor_flags({"--no-push", "-d", "a/b:c", "--tarPath=x.tar", "--image-name-with-digest-file", "n"});
  REQUIRE(files.ok());
  CHECK(files->tar_path == "x.tar");
  CHECK(files->name_digest_file == "n");
  const auto secret = parse_executor_flags({"--no-push", "--secret", "id=npm,src=token", "--ssh", "default=key"});
  REQUIRE(secret.ok());
  CHECK(secret->secrets == std::vector<SecretOption>{{"npm", "token", ""}});
  CHECK(secret->ssh_keys == std::vector<SecretOption>{{"default", "key", ""}});
  for (const char* bad : {"src=token", "id=", "id=a,colour=red", "id=a,env=NO_SUCH_VARIABLE_HERE"})
    CHECK(parse_secret_option(bad).error().code == ErrorCode::bad_request);
  for (const char* bad : {"default", "=key", "default="})
    CHECK(parse_ssh_option(bad).error().message.find("want ID=KEYFILE") != std::string::npos);
  CHECK(parse_executor_flags({"--context=x"}).error().message.find("--destination") != std::string::npos);
}

TEST_CASE("each flag of kaniko has its meaning, nothing to do here, or is refused with the reason") {
  const auto parsed = [](std::vector<std::string> args) {
    args.insert(args.begin(), {"-d", "shop/web:1"});
    return parse_executor_flags(args);
  };
  const auto refusal = [&](std::vector<std::string> args) {
    const auto flags = parsed(std::move(args));
    return flags.ok() ? std::string() : flags.error().message;
  };
  const Result<ExecutorFlags> flags =
      parsed({"--cache-ttl=36h", "--cache-run-layers=false", "--ignore-path", "/tmp", "--ignore-var-run",
              "--push-retry=3", "--reproducible", "--oci-layout-path", "out", "--push-ignore-immutable-tag-errors",
              "--insecure-registry", "a:1", "--skip-tls-verify", "--registry-certificate", "b=ca.pem",
              "--registry-client-cert", "c=crt,key", "--customPlatform=linux/amd64"});
  REQUIRE_MESSAGE(flags.ok(), (flags.ok() ? "" : flags.error().message));
  CHECK(flags->cache_age_max == std::chrono::hours(36));
  CHECK_FALSE(flags->cache_run_layers);
  CHECK(flags->ignore_paths == std::vector<std::string>{"/tmp", "/var/run"});
  CHECK(flags->push_retries == 3);
  CHECK(flags->build_args == std::vector<std::pair<std::string, std::string>>{{"SOURCE_DATE_EPOCH", "0"}});
  CHECK(flags->oci_layout_path == "out");
  CHECK(flags->keep_immutable_tags);
  CHECK(flags->trust == RegistryTrust{.plain_http = {"a:1"},
                                      .unverified = {"*"},
                                      .ca_files = {{"b", "ca.pem"}},
                                      .client_certificates = {{"c", "crt", "key"}}});
  // What kaniko's user says to keep it fast or quiet is taken; a switch takes no word with it.
  for (const char* idle : {"--force", "--cleanup", "--single-snapshot", "--use-new-run", "--preserve-context",
                           "--skip-unused-stages", "--log-timestamp", "--compressed-caching=false", "--verbosity=debug",
                           "--snapshot-mode=redo", "--kaniko-dir=/k", "--compression=zstd", "--image-download-retry=2"})
    CHECK_MESSAGE(refusal({idle}).empty(), idle);
  CHECK(refusal({"--force", "x"}) == "unexpected argument \"x\"");
  CHECK(parsed({"--cache-repo", "r/c", "--no-push-cache"})->cache_from.size() == 1);
  CHECK_FALSE(parsed({"--cache-repo", "r/c", "--no-push-cache"})->cache_to);
  for (const char* pull : {"--registry-mirror=m", "--registry-map=a=b", "--insecure-pull", "--skip-tls-verify-pull",
                           "--skip-default-registry-fallback"})
    CHECK_MESSAGE(refusal({pull}).find("caisson-system/registry-upstreams") != std::string::npos, pull);
  CHECK(refusal({"--skip-tls-verify-pull=false"}).empty());
  CHECK(refusal({"--git=branch=x"}).find("the context is a folder") != std::string::npos);
  CHECK(refusal({"--bogus"}) == "the flag --bogus is not supported");
  CHECK(refusal({"--custom-platform=linux/arm64"}).find("want linux/amd64") != std::string::npos);
  CHECK(refusal({"--push-retry=many"}) == "--push-retry=many: want a number from 0 to 100");
  CHECK(refusal({"--cache-ttl=soon"}) == "--cache-ttl=soon: want a time like 336h");
  CHECK(refusal({"--registry-certificate=b"}) == "--registry-certificate=b: want HOST=FILE");
  CHECK(refusal({"--registry-client-cert=c=crt"}) == "--registry-client-cert=c=crt: want HOST=CERTIFICATE,KEY");
  CHECK(refusal({"--cache=maybe"}) == "--cache=maybe: want true or false");
  CHECK(parse_executor_flags({"--no-push", "--image-name-with-digest-file=n"}).error().message.find("--destination") !=
        std::string::npos);
}
