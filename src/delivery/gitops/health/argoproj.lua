-- SPDX-License-Identifier: Apache-2.0
-- Argo: Workflows, Events, Rollouts, ApplicationSet, and Numaflow and Numaplane.

rule("argoproj.io/ApplicationSet", function(obj)
  if #conditions(obj) == 0 then return Progressing, "Waiting for the status to be reported" end
  local bad = any_of(obj, {"ErrorOccurred"}) or any_of(obj, {"ResourcesUpToDate"}, "False")
  if bad then return Degraded, bad.message end
  local rolling = any_of(obj, {"RolloutProgressing"})
  if rolling then return Progressing, rolling.message end
  local done = any_of(obj, {"ResourcesUpToDate"})
  if done then return Healthy, done.message end
  return Progressing, "Waiting for the status to be reported"
end)

rule("argoproj.io/Workflow", function(obj)
  local phase, message = at(obj, "status", "phase"), at(obj, "status", "message")
  if phase == "Succeeded" then return Healthy, message end
  if phase == "Failed" or phase == "Error" then return Degraded, message end
  if phase == nil or one_of(phase, {"", "Pending", "Running"}) then return Progressing, message end
  return Unknown, message
end)

rule("argoproj.io/CronWorkflow", function(obj)
  local bad = any_of(obj, {"SpecError", "SubmissionError"})
  if bad then return Degraded, bad.message end
  local done = any_of(obj, {"Completed"})
  return Healthy, done and done.message or "CronWorkflow is healthy."
end)

-- Argo Events: every condition must hold; "Deployed" has the story.
local function events(noun)
  return function(obj)
    local list = conditions(obj)
    for _, one in ipairs(list) do
      if is(one, "False") then return Degraded, one.message end
    end
    for _, one in ipairs(list) do
      if not is(one, "True") then return Progressing, one.message or ("Waiting for " .. noun) end
    end
    local deployed = condition(obj, "Deployed")
    if not deployed then return Progressing, "Waiting for " .. noun end
    return Healthy, deployed.message
  end
end
rule("argoproj.io/EventBus", events("eventbus"))
rule("argoproj.io/EventSource", events("eventsource"))
rule("argoproj.io/Sensor", events("sensor"))

local function analysis_phase(noun, absent)
  return function(obj)
    local phase = at(obj, "status", "phase")
    if phase == nil or phase == "" then return Progressing, absent end
    if phase == "Pending" then return Progressing, noun .. " is pending" end
    if phase == "Running" then return Progressing, noun .. " is running" end
    if phase == "Successful" then return Healthy, noun .. " is successful" end
    if phase == "Failed" then return Degraded, noun .. " has failed" end
    if phase == "Error" then return Degraded, noun .. " had an error" end
    if phase == "Inconclusive" then return Unknown, noun .. " is inconclusive" end
    return Unknown, phase
  end
end
rule("argoproj.io/Experiment",
     analysis_phase("Experiment", "Waiting for experiment to finish: status has not been reconciled."))
rule("argoproj.io/AnalysisRun",
     analysis_phase("Analysis run", "Waiting for analysis run to finish: status has not been reconciled."))

-- Rollouts before 1.0 wrote a hash as observedGeneration; a number above the generation is one, too.
local function rollout_unobserved(obj)
  local status = obj.status
  if status == nil or status.observedGeneration == nil and status.phase == nil and #conditions(obj) == 0 then
    return true
  end
  local observed = tonumber(status.observedGeneration)
  if observed and observed < number(at(obj, "metadata", "generation")) then return true end
  local of_workload = at(obj, "metadata", "annotations", "rollout.argoproj.io/workload-generation")
  if at(obj, "spec", "workloadRef") and of_workload then
    local seen = tonumber(status.workloadObservedGeneration)
    return seen ~= nil and seen ~= tonumber(of_workload)
  end
  return false
end

local function rollout_failure(obj)
  local bad = condition(obj, "InvalidSpec")
  if is(bad, "True") then return bad.message end
  local progress = condition(obj, "Progressing")
  if progress and one_of(progress.reason, {"RolloutAborted", "ProgressDeadlineExceeded"}) then
    return progress.message
  end
end

local function rollout_paused(obj)
  if at(obj, "spec", "paused") or at(obj, "status", "controllerPause") then return true end
  local progress = condition(obj, "Progressing")
  return progress ~= nil and progress.reason == "RolloutPaused"
end

local function rollout_by_replicas(obj)
  local prefix, status = "Waiting for roll out to finish: ", obj.status
  local updated, wanted = number(status.updatedReplicas), number(at(obj, "spec", "replicas") or 1)
  if updated < wanted then return Progressing, prefix .. "More replicas need to be updated" end
  if number(status.availableReplicas) < updated then
    return Progressing, prefix .. "updated replicas are still becoming available"
  end
  if at(obj, "spec", "strategy", "canary") then
    if number(status.replicas) > updated then
      return Progressing, prefix .. "old replicas are pending termination"
    end
    local stable = status.stableRS or at(status, "canary", "stableRS")
    if stable and stable ~= "" and stable ~= status.currentPodHash then
      return Progressing, prefix .. "the stable ReplicaSet is not the current one"
    end
  else
    local active = at(status, "blueGreen", "activeSelector") or status.activeSelector
    if active and active ~= "" and active ~= status.currentPodHash then
      return Progressing, prefix .. "active service cutover pending"
    end
  end
  return Healthy
end

rule("argoproj.io/Rollout", function(obj)
  if rollout_unobserved(obj) then return Progressing, "Waiting for rollout spec update to be observed" end
  local by_phase = {Degraded = Degraded, Paused = Suspended, Progressing = Progressing, Healthy = Healthy}
  local phase = by_phase[obj.status.phase or ""]
  if phase then return phase, obj.status.message end
  local failure = rollout_failure(obj)
  if failure then return Degraded, failure end
  if rollout_paused(obj) then return Suspended, "Rollout is paused" end
  return rollout_by_replicas(obj)
end)

-- Spot's own Rollout: the phase, told by its conditions.
rule("spot.io/SpotDeployment", function(obj)
  local failure = rollout_failure(obj)
  local phase = at(obj, "status", "phase")
  if failure or phase == "Degraded" then return Degraded, failure end
  if phase == "Paused" or rollout_paused(obj) then return Suspended, "Rollout is paused" end
  if phase == "Healthy" then return Healthy end
  return Progressing, "Waiting for rollout spec update to be observed"
end)

-- Numaflow
local function numaflow(obj)
  local status = obj.status
  if not status or unobserved(obj) then return Progressing, "Waiting for " .. obj.kind .. " status" end
  if at(obj, "metadata", "labels", "numaplane.numaproj.io/progressive-result-state") == "failed" then
    return Degraded, "Failed progressive upgrade"
  end
  if status.phase == "Failed" then return Degraded, status.message end
  for _, one in ipairs(conditions(obj)) do
    if is(one, "False") then return Degraded, one.message end
  end
  if status.phase == "Paused" then return Suspended, obj.kind .. " is paused" end
  if status.phase == "Pausing" then return Progressing, obj.kind .. " is pausing" end
  for _, one in ipairs(conditions(obj)) do
    if not is(one, "True") then return Progressing, one.message end
  end
  if #conditions(obj) == 0 then return Progressing, "Waiting for " .. obj.kind .. " status" end
  return Healthy, obj.kind .. " is healthy"
end
rule("numaflow.numaproj.io/*", numaflow)

local function numaplane_paused(obj)
  for _, one in ipairs(conditions(obj)) do
    if tostring(one.type):find("PausingOrPaused$") and is(one, "True") then return one end
  end
end

rule("numaplane.numaproj.io/*", function(obj)
  local status = obj.status
  if not status or unobserved(obj) then return Progressing, "Not yet reconciled" end
  if status.phase == "Failed" then return Degraded, status.message end
  if status.phase == "Pending" then return Progressing, "Update in progress" end
  if has(obj, "ProgressiveUpgradeSucceeded", "False") then return Degraded, "Progressive upgrade failed" end
  local children = condition(obj, "ChildResourcesHealthy")
  if is(children, "False") then
    if children.reason == "Progressing" then return Progressing, "Child Progressing" end
    return Degraded, children.message
  end
  local paused = numaplane_paused(obj)
  if paused then return Healthy, paused.message end
  if is(children, "True") then return Healthy, "Healthy" end
  return Unknown, "Unknown"
end)
