// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/task_run_status.h"

#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/pipeline/params.h"
#include "delivery/pipeline/task_run_builder.h"
#include "delivery/pipeline/task_spec.h"

namespace caisson::pipeline {
namespace {

constexpr std::size_t kMessageBytesMax = 2000;
constexpr Duration kInterruptionNoticed =
    std::chrono::seconds(5);  // a step may notice a lost connection that much later

// The last line that says something.
std::string last_line(std::string_view text) {
  text = trim(text);
  const auto newline = text.rfind('\n');
  if (newline != std::string_view::npos) text = text.substr(newline + 1);
  return std::string(text.substr(0, kMessageBytesMax));
}

const Value* container_status(const kube::Object& pod, std::string_view list, std::string_view name) {
  for (const Value& status : pod.status()[list].items()) {
    if (status["name"].as_string() == name) return &status;
  }
  return nullptr;
}

std::string termination_reason(const Value& terminated, bool passed_over) {
  const std::string_view reason = terminated["reason"].as_string();
  if (reason == "Skipped") return "Skipped";
  if (reason == "OOMKilled") return "OOMKilled";
  if (terminated["exitCode"].as_int() == 0) return "Completed";
  return passed_over ? "Continued" : "Error";
}

Value step_state(const Value& status, const std::string& name, const std::string& container, bool passed_over) {
  Value out{{"name", name}, {"container", container}};
  if (!status["imageID"].is_null()) out.set("imageID", status["imageID"]);
  for (const auto& entry : status["state"].entries()) out.set(entry.key, entry.value);
  if (!out["terminated"].is_null()) out.set("terminationReason", termination_reason(out["terminated"], passed_over));
  return out;
}

// The first step that ended badly and was not to be passed over: its container and how it ended; the null value when
// there is none.
std::pair<std::string, Value> failed_step(const kube::Object& pod, const Value& task_spec) {
  std::size_t index = 0;
  for (const Value& step : task_spec["steps"].items()) {
    const std::string container = step_container(step, index++);
    const Value* status = container_status(pod, "containerStatuses", container);
    if (status == nullptr || step["onError"].as_string() == "continue") continue;
    const Value& terminated = (*status)["state"]["terminated"];
    if (!terminated.is_null() && terminated["exitCode"].as_int() != 0 && terminated["reason"].as_string() != "Skipped")
      return {container, terminated};
  }
  return {};
}

std::string failure_message(const kube::Object& pod, const Value& task_spec) {
  if (const auto [container, terminated] = failed_step(pod, task_spec); !terminated.is_null()) {
    std::string message = "\"" + container + "\" exited with code " + std::to_string(terminated["exitCode"].as_int());
    if (terminated["reason"].as_string() == "OOMKilled") message += " (OOMKilled)";
    const std::string line = last_line(terminated["message"].as_string());
    if (!line.empty()) message += ": " + line;
    return message;
  }
  const std::string message = pod.status()["message"].str();
  return message.empty() ? "build failed for unspecified reasons." : message;
}

struct Waiting {
  std::string container, reason, message, image;
};

// A container that will not start by waiting. Upstream fails the run then, rather than at its timeout.
std::optional<Waiting> hopeless(const kube::Object& pod) {
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    for (const Value& status : pod.status()[list].items()) {
      const Value& waiting = status["state"]["waiting"];
      const std::string_view reason = waiting["reason"].as_string();
      if (reason == "ImagePullBackOff" || reason == "InvalidImageName" || reason == "ErrImageNeverPull" ||
          reason == "CreateContainerConfigError")
        return Waiting{status["name"].str(), std::string(reason), waiting["message"].str(), status["image"].str()};
    }
  }
  return std::nullopt;
}

std::string_view type_of(const Value& declared) {
  return declared["type"].as_string().empty() ? "string" : declared["type"].as_string();
}

// What does not parse is kept as the text that was written: who uses it says what is wrong.
Value result_of(const Value& declared, const std::string& text) {
  auto value = parse_result(type_of(declared), text);
  return Value{{"name", declared["name"]},
               {"type", value.ok() ? type_of(declared) : "string"},
               {"value", value.ok() ? *value : Value(text)}};
}

// The results of one step, as it declares them.
Value results_of_step(const Value& step, const Value& written) {
  Value out = Value::list();
  for (const Value& declared : step["results"].items()) {
    if (const Value* text = written.find(declared["name"].as_string())) out.push_back(result_of(declared, text->str()));
  }
  return out;
}

// A file that a step left, or `value`: what a step's result is.
void read_results(kube::Object& run, const kube::Object& pod, const Value& task_spec) {
  const auto written = json::parse(pod.annotation(kResultsAnnotation));
  if (!written.ok()) return;  // no annotation: no results
  const auto of_steps = json::parse(pod.annotation(kStepResultsAnnotation));
  Value results = Value::list();
  for (const Value& declared : task_spec["results"].items()) {
    const StepResultReference reference = step_result_reference(declared["value"].as_string());
    const Value* text = reference.step.empty() ? written->find(declared["name"].as_string())
                        : of_steps.ok()        ? (*of_steps)["step-" + reference.step].find(reference.result)
                                               : nullptr;
    if (text != nullptr) results.push_back(result_of(declared, text->str()));
  }
  if (!results.empty()) run.edit({"status"}).set("results", results);
}

}  // namespace

bool set_succeeded(kube::Object& run, std::string_view status, std::string_view reason, std::string_view message,
                   Time now) {
  return kube::set_condition(run, "Succeeded", status, reason, message, now);
}

std::string_view succeeded(const kube::Object& run) {
  return kube::condition(run, "Succeeded")["status"].as_string();
}

bool is_done(const kube::Object& run) {
  const std::string_view status = succeeded(run);
  return status == "True" || status == "False";
}

void observe_pod(kube::Object& run, const kube::Object& pod, const Value& task_spec, Time now) {
  Value& status = run.edit({"status"});
  status.set("podName", pod.name());
  Value steps = Value::list();
  const auto step_results = json::parse(pod.annotation(kStepResultsAnnotation));
  std::size_t index = 0;
  for (const Value& step : task_spec["steps"].items()) {
    const std::string container = step_container(step, index++);
    const Value* found = container_status(pod, "containerStatuses", container);
    Value state = step_state(found != nullptr ? *found : document::kNull, container.substr(5), container,
                             step["onError"].as_string() == "continue");
    if (step_results.ok()) {
      const Value results = results_of_step(step, (*step_results)[container]);
      if (!results.empty()) state.set("results", results);
    }
    steps.push_back(state);
  }
  status.set("steps", steps);
  Value sidecars = Value::list();
  index = 0;
  for (const Value& sidecar : task_spec["sidecars"].items()) {
    const std::string container = sidecar_container(sidecar, index++);
    if (const Value* found = container_status(pod, "initContainerStatuses", container))
      sidecars.push_back(step_state(*found, container.substr(8), container, false));
  }
  if (!sidecars.empty()) status.set("sidecars", sidecars);

  const std::string_view phase = pod.status()["phase"].as_string();
  if (phase == "Succeeded" || phase == "Failed") {
    read_results(run, pod, task_spec);
    run.edit({"status"}).set("completionTime", format_time(now));
    const bool passed_over = run.annotation(kOnErrorAnnotation) == "continue";
    if (phase == "Succeeded")
      set_succeeded(run, "True", "Succeeded", "All Steps have completed executing", now);
    else
      set_succeeded(run, "False", passed_over ? "FailureIgnored" : "Failed", failure_message(pod, task_spec), now);
    return;
  }
  if (const auto waiting = hopeless(pod)) {
    const bool image = waiting->reason != "CreateContainerConfigError";
    const std::string message = image
                                    ? "the step \"" + waiting->container + "\" in TaskRun \"" + run.name() +
                                          "\" failed to pull the image \"" + waiting->image + "\": " + waiting->message
                                    : waiting->container + ": " + waiting->message;
    run.edit({"status"}).set("completionTime", format_time(now));
    set_succeeded(run, "False", image ? "TaskRunImagePullFailed" : waiting->reason, message, now);
    return;
  }
  if (phase == "Running")
    set_succeeded(run, "Unknown", "Running", "Not all Steps in the Task have finished executing", now);
  else
    set_succeeded(run, "Unknown", "Pending", "Pending", now);
}

Duration timeout_of(const kube::Object& run) {
  const Value& text = run.spec()["timeout"];
  if (text.is_null()) return std::chrono::hours(1);
  const auto duration = parse_duration(text.scalar_text());
  return duration.ok() ? *duration : Duration(std::chrono::hours(1));
}

bool was_interrupted(const kube::Object& pod, const Value& task_spec, Time up_since) {
  if (pod.status()["phase"].as_string() != "Failed") return false;
  const Value terminated = failed_step(pod, task_spec).second;
  if (terminated["reason"].as_string() == "Interrupted") return true;
  const auto started = parse_time(terminated["startedAt"].as_string()),
             finished = parse_time(terminated["finishedAt"].as_string());
  return started && finished && *started < up_since && *finished < up_since + kInterruptionNoticed;
}

std::string overdue_step(const kube::Object& pod, const Value& task_spec, Time now) {
  std::size_t index = 0;
  for (const Value& step : task_spec["steps"].items()) {
    const std::string container = step_container(step, index++);
    if (step["timeout"].as_string().empty()) continue;
    const Value* status = container_status(pod, "containerStatuses", container);
    const auto started =
        status != nullptr ? parse_time((*status)["state"]["running"]["startedAt"].as_string()) : std::nullopt;
    const auto limit = parse_duration(step["timeout"].as_string());
    if (started && limit.ok() && now - *started > *limit) return container;
  }
  return {};
}

}  // namespace caisson::pipeline
