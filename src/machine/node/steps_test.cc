// SPDX-License-Identifier: Apache-2.0
#include "machine/node/steps.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

using namespace caisson;
using namespace caisson::node;

namespace {

struct Steps {
  TempDir dir = TempDir::make().value();
  Steps() { REQUIRE(make_dirs(results()).ok()); }
  std::string results() const { return dir.path() + "/step-a/results"; }
  void left(const std::string& name, const std::string& text) const {
    REQUIRE(write_file_unsynced(results() + "/" + name, text).ok());
  }
  Result<Value> replaced(const std::string& container) const {
    return with_step_results(yaml::read(container).value(), dir.path());
  }
};

}  // namespace

TEST_CASE("what a step left stands in the next one's command, arguments and environment") {
  const Steps steps;
  steps.left("text", "some text");
  steps.left("list", R"(["one","two three"])");
  steps.left("object", R"({"url":"a.example","size":3})");
  const auto out = steps.replaced(R"yaml(
command: [run, $(HOME)]
args: ['$(steps.a.results.list[*])', '[$(steps.a.results.text)]', '$(steps.a.results.list[1])', $(steps.a.results.object.size)]
env: [{name: URL, value: 'https://$(steps.a.results.object.url)/$(params)'}, {name: FROM, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
)yaml");
  REQUIRE_MESSAGE(out.ok(), (out.ok() ? "" : out.error().message));
  CHECK(json::write((*out)["command"]) == R"x(["run","$(HOME)"])x");
  CHECK(json::write((*out)["args"]) == R"(["one","two three","[some text]","two three","3"])");
  CHECK((*out)["env"][0]["value"].as_string() == "https://a.example/$(params)");
  CHECK((*out)["env"][1].contains("valueFrom"));
}

TEST_CASE("a result that is missing or of another form is named") {
  const Steps steps;
  steps.left("text", "some text");
  steps.left("list", "[1]");
  steps.left("big", std::string(5000, 'x'));
  REQUIRE(::symlink("/etc/passwd", (steps.results() + "/link").c_str()) == 0);
  REQUIRE(::mkfifo((steps.results() + "/fifo").c_str(), 0666) == 0);
  struct Case {
    const char *argument, *want;
  };
  const Case cases[] = {
      {"$(steps.a.results.none)", "step a has not written its result none"},
      {"$(steps.b.results.text)", "step b has not written its result text"},
      {"$(steps.a.results.text[0])", "is neither a list nor an object"},
      {"$(steps.a.results.list[1])", "has no item [1]"},
      {"$(steps.a.results.list.key)", "has no key key"},
      {"$(steps.a.results.link)", "step a has not written its result link"},
      {"$(steps.a.results.fifo)", "step a has not written its result fifo"},
      {"$(steps.a.results.big)", "step a has not written its result big"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.argument);
    const auto out = steps.replaced("{args: ['" + std::string(c.argument) + "']}");
    REQUIRE_FALSE(out.ok());
    CHECK_MESSAGE(out.error().message.find(c.want) != std::string::npos, out.error().message);
  }
}

TEST_CASE("a step finds its folder and the exit codes before it, and can't lead the node out of it") {
  const TempDir dir = TempDir::make().value(), elsewhere = TempDir::make().value();
  const kube::Object pod(yaml::read("spec: {containers: [{name: step-a}, {name: step-b}, {name: step-c}]}").value());
  PodState state;
  state.containers["step-a"].terminated = Terminated{3, "Error", "", {}, {}, "id"};
  REQUIRE(prepare_step(pod, PodState(), dir.path(), "step-a").ok());
  CHECK(is_directory(dir.path() + "/step-a/results"));
  REQUIRE(prepare_step(pod, state, dir.path(), "step-b").ok());
  CHECK(read_file(dir.path() + "/step-a/exitCode").value() == "3");
  CHECK(read_file(dir.path() + "/0/exitCode").value() == "3");

  REQUIRE(remove_tree(dir.path() + "/step-a").ok());
  REQUIRE(::symlink(elsewhere.path().c_str(), (dir.path() + "/step-a").c_str()) == 0);
  CHECK(prepare_step(pod, state, dir.path(), "step-c").ok());
  CHECK_FALSE(exists(elsewhere.path() + "/exitCode"));
}

TEST_CASE("a step runs when all its expressions hold; results of the steps before are replaced in them") {
  const Steps steps;
  steps.left("text", "yes");
  steps.left("list", R"(["one","two"])");
  const auto applies = [&](const std::string& when) {
    kube::Object pod(yaml::read("{metadata: {name: p}, spec: {}}").value());
    pod.set_annotation(kStepsWhenAnnotation, when);
    const auto answer = step_applies(pod, steps.dir.path(), "step-b");
    return !answer.ok() ? answer.error().message : std::string(*answer ? "runs" : "passed over");
  };
  CHECK(step_applies(kube::Object(yaml::read("{metadata: {name: p}}").value()), steps.dir.path(), "step-b").value());
  CHECK(applies(R"x({"step-c":[false]})x") == "runs");
  CHECK(applies(R"x({"step-b":[false]})x") == "passed over");
  CHECK(applies(R"x({"step-b":[{"input":"$(steps.a.results.text)","operator":"in","values":["no","yes"]}]})x") ==
        "runs");
  CHECK(applies(R"x({"step-b":[{"input":"two","operator":"notin","values":["$(steps.a.results.list[*])"]}]})x") ==
        "passed over");
  CHECK(
      applies(
          R"x({"step-b":[{"input":"a","operator":"in","values":["a"]},{"input":"a","operator":"in","values":[]}]})x") ==
      "passed over");
  CHECK(applies(R"x({"step-b":[{"input":"$(steps.a.results.none)","operator":"in","values":[]}]})x") ==
        "step a has not written its result none");
}

TEST_CASE("what a step wrote goes from its log into files of its volumes, and nowhere else") {
  const TempDir dir = TempDir::make().value();
  const std::string log = dir.path() + "/0.log", data = dir.path() + "/data";
  REQUIRE(make_dirs(data).ok());
  REQUIRE(write_file_unsynced(log + ".1", "2026-01-01T00:00:00Z stdout F one\n").ok());
  REQUIRE(write_file_unsynced(log,
                              "2026-01-01T00:00:01Z stderr F bad\n2026-01-01T00:00:02Z stdout P t\n"
                              "2026-01-01T00:00:03Z stdout F wo\n2026-01-01T00:00:04Z stdout F \n")
              .ok());
  const auto write = [&](const std::string& streams) {
    kube::Object pod(yaml::read("{metadata: {name: p}, spec: {containers: [{name: step-a, volumeMounts: [{name: data, "
                                "mountPath: /data}, {name: data, mountPath: /data/part, subPath: deep}, {name: data, "
                                "mountPath: /fixed, readOnly: true}]}]}}")
                         .value());
    pod.set_annotation(kStepsStreamsAnnotation, streams);
    const auto done =
        write_streams(pod, "step-a", log, [&](const std::string& name) { return dir.path() + "/" + name; });
    return done.ok() ? std::string() : done.error().message;
  };
  CHECK(write(R"x({"step-a":{"stdout":"/data/out","stderr":"/data/part/err"}})x").empty());
  CHECK(read_file(data + "/out").value() == "one\ntwo\n\n");
  CHECK(read_file(data + "/deep/err").value() == "bad\n");
  CHECK(write(R"x({"step-a":{"stdout":"/data/both","stderr":"/data/../data/both"}})x").empty());
  CHECK(read_file(data + "/both").value() == "one\nbad\ntwo\n\n");
  CHECK(write(R"x({"step-b":{"stdout":"/data/other"}})x").empty());
  CHECK_FALSE(exists(data + "/other"));
  CHECK(write(R"x({"step-a":{"stdout":"/etc/x"}})x") == "/etc/x is in no volume of the step");
  CHECK(write(R"x({"step-a":{"stdout":"/data/../etc/x"}})x") == "/etc/x is in no volume of the step");
  CHECK(write(R"x({"step-a":{"stdout":"/fixed/x"}})x") == "/fixed/x is in a volume that is only read");
  REQUIRE(::symlink("/", (data + "/root").c_str()) == 0);
  CHECK(write(R"x({"step-a":{"stdout":"/data/root/escaped"}})x")
            .empty());  // a link stays within the folder that it is in
  CHECK(exists(data + "/escaped"));
}

TEST_CASE("the results of all steps, without links to elsewhere") {
  const Steps steps;
  steps.left("text", "some text");
  steps.left("binary", std::string("\xff\xfe", 2));
  REQUIRE(::symlink("/etc/passwd", (steps.results() + "/link").c_str()) == 0);
  REQUIRE(::symlink("/etc", (steps.dir.path() + "/step-b").c_str()) == 0);
  const kube::Object pod(yaml::read("spec: {containers: [{name: step-a}, {name: step-b}, {name: step-c}]}").value());
  CHECK(json::write(read_step_results(pod, steps.dir.path())) == R"x({"step-a":{"text":"some text"}})x");
}
