// SPDX-License-Identifier: Apache-2.0
#include "machine/node/pod_state.h"

#include "core/base/text.h"

namespace caisson::node {
namespace {

Time time_at(const Value& value) {
  return parse_time(value.as_string()).value_or(Time{});
}

Value to_value(const Terminated& ended) {
  return Value{{"exitCode", ended.exit_code},
               {"reason", ended.reason},
               {"message", ended.message},
               {"started", format_time_nanos(ended.started)},
               {"finished", format_time_nanos(ended.finished)},
               {"id", ended.id}};
}

Terminated terminated_from(const Value& value) {
  return {static_cast<int>(value["exitCode"].as_int()),
          value["reason"].str(),
          value["message"].str(),
          time_at(value["started"]),
          time_at(value["finished"]),
          value["id"].str()};
}

Value to_value(const ContainerState& state) {
  Value out{{"phase", static_cast<int>(state.phase)},
            {"waitingReason", state.waiting_reason},
            {"waitingMessage", state.waiting_message},
            {"id", state.id},
            {"imageID", state.image_id},
            {"started", format_time_nanos(state.started)},
            {"restarts", state.restarts},
            {"crashes", state.crashes},
            {"startPassed", state.start_passed},
            {"ready", state.ready}};
  if (state.terminated) out.set("terminated", to_value(*state.terminated));
  if (state.last) out.set("last", to_value(*state.last));
  return out;
}

ContainerState container_from(const Value& value) {
  ContainerState state;
  state.phase = static_cast<ContainerState::Phase>(std::clamp<std::int64_t>(value["phase"].as_int(), 0, 2));
  state.waiting_reason = value["waitingReason"].str();
  state.waiting_message = value["waitingMessage"].str();
  state.id = value["id"].str();
  state.image_id = value["imageID"].str();
  state.started = time_at(value["started"]);
  state.restarts = static_cast<int>(value["restarts"].as_int());
  state.crashes = static_cast<int>(value["crashes"].as_int());
  state.start_passed = value["startPassed"].as_bool();
  state.ready = value["ready"].as_bool();
  if (value.contains("terminated")) state.terminated = terminated_from(value["terminated"]);
  if (value.contains("last")) state.last = terminated_from(value["last"]);
  return state;
}

}  // namespace

Value to_value(const PodState& state) {
  Value containers = Value::map();
  for (const auto& [name, container] : state.containers) containers.set(name, to_value(container));
  return Value{{"version", 1},
               {"uid", state.uid},
               {"namespace", state.ns},
               {"name", state.name},
               {"ip", state.ip},
               {"start", format_time_nanos(state.start)},
               {"sandbox", state.sandbox},
               {"pauseId", state.pause_id},
               {"userIds", std::int64_t{state.user_ids}},
               {"killed", state.killed},
               {"killedReason", state.killed_reason},
               {"killedMessage", state.killed_message},
               {"containers", std::move(containers)}};
}

Result<PodState> pod_state_from(const Value& value) {
  if (value["version"].as_int() != 1) {
    return Error{ErrorCode::invalid,
                 "pod state of version " + value["version"].scalar_text() + ", this program reads 1"};
  }
  PodState state;
  state.uid = value["uid"].str();
  state.ns = value["namespace"].str();
  state.name = value["name"].str();
  state.ip = value["ip"].str();
  state.start = time_at(value["start"]);
  state.sandbox = value["sandbox"].as_bool();
  state.pause_id = value["pauseId"].str();
  state.user_ids = static_cast<std::uint32_t>(value["userIds"].as_int());
  state.killed = value["killed"].as_bool();
  state.killed_reason = value["killedReason"].str();
  state.killed_message = value["killedMessage"].str();
  for (const auto& entry : value["containers"].entries())
    state.containers[std::string(entry.key)] = container_from(entry.value);
  return state;
}

}  // namespace caisson::node
