// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>

#include "core/base/clock.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/process.h"
#include "core/base/random.h"
#include "core/base/short_sha256.h"
#include "core/base/text.h"
#include "core/base/trace.h"
#include "core/base/worker_pool.h"

using namespace caisson;
using namespace std::chrono_literals;

TEST_CASE("text helpers keep what they should") {
  CHECK(trim(" \t a b \n") == "a b");
  CHECK(split("a,,b", ',').size() == 3);
  CHECK(split("", ',').size() == 1);
  CHECK(replace_all("a$$b$$", "$$", "$") == "a$b$");
  CHECK(parse_int("-42") == -42);
  CHECK(!parse_int("4x"));
  CHECK(!parse_int(""));
  CHECK(!parse_int("99999999999999999999"));
}

TEST_CASE("Hangul takes two columns and is cut at a character's border") {
  CHECK(display_width("상점") == 4);
  CHECK(display_width("shop 상점") == 9);
  CHECK(fit_width("커밋 메시지", 6) == "커밋 …");
  CHECK(fit_width("short", 10) == "short");
  CHECK(is_valid_utf8("상점"));
  CHECK_FALSE(is_valid_utf8("\xED\xA0\x80"));
  CHECK_FALSE(is_valid_utf8("\xC0\x80"));
}

TEST_CASE("encodings give back what they took, and refuse the rest") {
  for (std::size_t length = 0; length < 40; ++length) {
    const std::string bytes = random_bytes(length);
    CHECK(*unhex(hex(bytes)) == bytes);
    CHECK(*unbase64(base64(bytes)) == bytes);
    CHECK(*unbase64url(base64url(bytes)) == bytes);
    CHECK(*percent_decode(percent_encode(bytes)) == bytes);
  }
  CHECK_FALSE(unbase64("a").ok());
  CHECK_FALSE(unbase64("!!!!").ok());
  CHECK_FALSE(unhex("0g").ok());
  CHECK_FALSE(percent_decode("%4").ok());
  CHECK(*percent_decode("%41") == "A");
}

TEST_CASE("hashes are those of the standards") {
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex(hmac_sha256("key", "The quick brown fox jumps over the lazy dog")) ==
        "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
  CHECK(fnv32a("a") == 0xe40c292c);
}

TEST_CASE("short texts have the same SHA-256 without OpenSSL") {
  CHECK(hex(short_sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  std::string text;
  for (int i = 0; i < 300; ++i) {  // over every length of a last block
    CHECK(short_sha256(text) == sha256(text));
    text += static_cast<char>(i * 7);
  }
}

TEST_CASE("times are read and written as RFC 3339") {
  const auto time = parse_time("2026-11-21T11:30:17.123456789+09:00");
  REQUIRE(time);
  CHECK(format_time(*time) == "2026-11-21T02:30:17Z");
  CHECK(format_time_micros(*time) == "2026-11-21T02:30:17.123456Z");
  CHECK(format_time_nanos(*time) == "2026-11-21T02:30:17.123456789Z");
  for (const char* bad : {"", "2026-11-21", "2026-13-01T00:00:00Z", "2026-11-21T02:30:17", "2026-11-21T02:30:17Zx"})
    CHECK(!parse_time(bad));
}

TEST_CASE("durations are Go's") {
  struct Case {
    const char* text;
    Duration want;
    const char* printed;
  };
  for (const Case& c : {Case{"1h30m", 90min, "1h30m0s"},
                        {"1.5s", 1500ms, "1.5s"},
                        {"250ms", 250ms, "250ms"},
                        {"0", 0s, "0s"},
                        {"90s", 90s, "1m30s"}}) {
    CAPTURE(c.text);
    const auto got = parse_duration(c.text);
    REQUIRE(got.ok());
    CHECK(*got == c.want);
    CHECK(format_duration(*got) == c.printed);
  }
  for (const char* bad : {"", "5", "s", "1x", "1h-5m"}) CHECK_FALSE(parse_duration(bad).ok());
  CHECK(format_age(119s) == "119s");
  CHECK(format_age(200s) == "3m20s");
  CHECK(format_age(10h) == "10h");
  CHECK(format_age(24h * 9) == "9d");
}

TEST_CASE("paths from outside stay below their root") {
  for (const char* bad : {"/etc/passwd", "../x", "a/../../b", "a/.."}) CHECK_FALSE(safe_path(bad).ok());
  CHECK(*safe_path("./a//b/./c") == "a/b/c");
  CHECK(path_clean("a/./b//../c") == "a/c");
  CHECK(path_clean("/../a") == "/a");
  CHECK(path_clean("../a") == "../a");
}

TEST_CASE("a file is written whole or not at all, and trees are removed") {
  const auto dir = TempDir::make();
  REQUIRE(dir.ok());
  const std::string path = dir->path() + "/a/b/c";
  REQUIRE(make_dirs(path_dir(path)).ok());
  REQUIRE(write_file(path, "one", 0600).ok());
  REQUIRE(write_file(path, "two", 0600).ok());
  CHECK(*read_file(path) == "two");
  CHECK(read_file(path, 2).error().code == ErrorCode::too_large);
  CHECK(list_dir(path_dir(path))->size() == 1);
  CHECK(read_file(dir->path() + "/absent").error().code == ErrorCode::not_found);
  REQUIRE(remove_tree(dir->path() + "/a").ok());
  CHECK_FALSE(exists(dir->path() + "/a"));
}

TEST_CASE("a command's output, input, status and limits") {
  CHECK(run({.args = {"cat"}, .input = std::string(300'000, 'x')})->out.size() == 300'000);
  CHECK(run({.args = {"sh", "-c", "echo no >&2; exit 7"}})->code == 7);
  const auto failed = run_checked({.args = {"sh", "-c", "echo no >&2; exit 7"}});
  CHECK(failed.error().message == "sh exited with 7: no");
  CHECK(run({.args = {"no-such-program"}}).error().code == ErrorCode::not_found);
  CHECK(run({.args = {"sleep", "60"}, .time_max = 50ms}).error().code == ErrorCode::timeout);
  CHECK(run({.args = {"yes"}, .output_bytes_max = 1000}).error().code == ErrorCode::too_large);
  CHECK(run({.args = {"sh", "-c", "echo $SECRET-$WORD"}, .env = {{"WORD", "w"}}})->out == "-w\n");
  CHECK(run({.args = {"sh", "-c", "kill -9 $$"}})->code == 137);
  CHECK(run({.args = {"pwd"}, .directory = "/"})->out == "/\n");
}

TEST_CASE("a child inherits only the descriptors it is given") {
  const auto dir = TempDir::make();
  REQUIRE(write_file_unsynced(dir->path() + "/f", "given").ok());
  FILE* file = fopen((dir->path() + "/f").c_str(), "r");
  CHECK(run({.args = {"sh", "-c", "cat <&7; ls /proc/$$/fd | wc -l"}, .fds = {{fileno(file), 7}}})->out == "given4\n");
  fclose(file);
}

TEST_CASE("a process is killed with its owner's object and its end is seen") {
  pid_t pid;
  {
    auto process = Process::start({.args = {"sleep", "1000"}}, {});
    REQUIRE(process.ok());
    Process sleeper = std::move(process).value();
    pid = sleeper.pid();
    CHECK(!sleeper.poll());
    CHECK(sleeper.wait(10ms).error().code == ErrorCode::timeout);
  }
  CHECK(kill(pid, 0) != 0);
}

TEST_CASE("the pool runs everything before it goes, and refuses beyond its queue") {
  std::atomic<int> done{0};
  {
    WorkerPool pool("test", 3);
    for (int i = 0; i < 200; ++i) CHECK(pool.run([&done] { ++done; }).ok());
  }
  CHECK(done == 200);
}

TEST_CASE("a trace context survives its text form, and named children repeat") {
  const TraceContext context = TraceContext::start();
  CHECK(TraceContext::parse(context.traceparent()) == context);
  CHECK(context.child("build") == context.child("build"));
  CHECK(context.child("build").span_id != context.child("push").span_id);
  CHECK(context.child("build").trace_id == context.trace_id);
  for (const char* bad : {"", "00-0-0-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "zz"})
    CHECK(TraceContext::parse(bad).empty());
}

TEST_CASE("ids look like Kubernetes'") {
  CHECK(random_uuid().size() == 36);
  CHECK(random_name_suffix(5).size() == 5);
  CHECK(random_name_suffix(2000).find_first_of("aeiou013") == std::string::npos);
}
