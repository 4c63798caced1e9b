-- SPDX-License-Identifier: Apache-2.0
-- Kinds that run pods: OpenKruise, OpenShift, KubeVirt, KEDA, Knative, KServe, Spark, Flink, Cluster API.

-- OpenKruise: ready means that what is updated is also available; a pause or a partition waits for a person.
local function kruise(noun, strategy, replicas, updated, available, words)
  return function(obj)
    local status = obj.status
    if not status or number(status.observedGeneration) ~= number(at(obj, "metadata", "generation")) then
      return Progressing, "Waiting for initialization"
    end
    local how = at(obj, table.unpack(strategy)) or {}
    if how.paused then return Suspended, noun .. " is paused" end
    local wanted, partition = replicas(obj), number(how.partition)
    if partition > 0 and updated(status) >= wanted - partition then
      return Suspended, noun .. " needs manual intervention"
    end
    if available(obj, wanted) == nil then return Progressing, "Waiting for initialization" end
    if available(obj, wanted) then return Healthy, "All " .. noun .. " workloads are ready and updated" end
    return Degraded, words
  end
end

local function all_updated(obj, wanted)
  return number(at(obj, "status", "updatedAvailableReplicas")) >= number(at(obj, "status", "replicas"))
end
local function status_replicas(obj) return number(at(obj, "status", "replicas")) end
local function updated_replicas(status) return number(status.updatedReplicas or status.updatedAvailableReplicas) end

rule("apps.kruise.io/CloneSet", kruise("Cloneset", {"spec", "updateStrategy"}, status_replicas, updated_replicas,
  all_updated, "Some replicas are not ready or available"))
rule("apps.kruise.io/StatefulSet", kruise("Statefulset", {"spec", "updateStrategy", "rollingUpdate"}, status_replicas,
  updated_replicas, all_updated, "Some replicas are not ready or available"))
rule("apps.kruise.io/DaemonSet", kruise("Daemonset", {"spec", "updateStrategy", "rollingUpdate"},
  function(obj) return number(at(obj, "status", "desiredNumberScheduled")) end,
  function(status) return number(status.updatedNumberScheduled) end,
  function(obj, wanted)
    if wanted == 0 then return nil end
    local status = obj.status
    return number(status.updatedNumberScheduled) == wanted and number(status.numberAvailable) == wanted
  end, "Some pods are not ready or available"))

rule("apps.kruise.io/AdvancedCronJob", function(obj)
  if at(obj, "spec", "paused") then return Suspended, "AdvancedCronJob is Paused" end
  if not obj.status then return Progressing, "Waiting for initialization" end
  if #(obj.status.active or {}) > 0 then return Progressing, "AdvancedCronJobs has active jobs" end
  if obj.status.lastScheduleTime then return Healthy, "AdvancedCronJobs has run successfully" end
  return Degraded, "AdvancedCronJobs has not run successfully"
end)

rule("apps.kruise.io/BroadcastJob", function(obj)
  if at(obj, "spec", "paused") then return Suspended, "BroadcastJob is Paused" end
  local phase = at(obj, "status", "phase")
  if phase == nil then return Progressing, "Waiting for initialization" end
  if phase == "completed" then return Healthy, "BroadcastJob is completed successfully" end
  if phase == "failed" then return Degraded, "BroadcastJob failed" end
  return Progressing, "BroadcastJob is still running"
end)

rule("apps.openshift.io/DeploymentConfig", function(obj)
  local progress, available = condition(obj, "Progressing"), condition(obj, "Available")
  if is(progress, "True") and progress.reason == "NewReplicationControllerAvailable" then
    return Healthy, "replication controller successfully rolled out"
  end
  if is(available, "False") or is(progress, "False") then return Degraded, "Deployment config is degraded" end
  return Progressing, "replication controller is waiting for pods to run"
end)

-- KubeVirt
rule("kubevirt.io/VirtualMachine", function(obj)
  local word = at(obj, "status", "printableStatus")
  if not word then return Progressing, "No status available" end
  if word == "Running" then
    local ready = condition(obj, "Ready")
    if is(ready, "False") then return Degraded, ready.message or word end
    return Healthy, word
  end
  if one_of(word, {"Stopped", "Paused"}) then return Suspended, word end
  if word:find("Err") or word:find("BackOff") or one_of(word, {"Unschedulable", "FailedUnschedulable"}) then
    return Degraded, word
  end
  return Progressing, word
end)

rule("kubevirt.io/VirtualMachineInstance", function(obj)
  local paused, phase = condition(obj, "Paused"), at(obj, "status", "phase")
  if is(paused, "True") then return Suspended, paused.message end
  if not phase then return Progressing, "No status available" end
  if phase == "Running" then
    local ready = condition(obj, "Ready")
    if is(ready, "False") then return Degraded, ready.message or phase end
    return Healthy, phase
  end
  if phase == "Succeeded" then return Suspended, phase end
  if phase == "Failed" or phase == "Unknown" then return Degraded, phase end
  return Progressing, phase
end)

rule("cdi.kubevirt.io/DataVolume", function(obj)
  local phase, running = at(obj, "status", "phase"), condition(obj, "Running")
  if not phase then return Progressing, "No status available" end
  if phase == "Succeeded" then return Healthy, phase end
  if is(running, "False") and running.reason == "Error" then return Degraded, running.message end
  if one_of(phase, {"Failed", "Unknown"}) then return Degraded, phase end
  return Progressing, phase
end)

-- KEDA
rule({"keda.sh/ScaledJob", "keda.sh/ScaledObject"}, function(obj)
  local paused, ready = condition(obj, "Paused"), condition(obj, "Ready")
  if is(paused, "True") then return Suspended, paused.message or (obj.kind .. " is paused") end
  if not ready then return Progressing, "Waiting for " .. obj.kind end
  if is(ready, "True") then return Healthy, ready.message end
  return Degraded, ready.message
end)

-- Knative: every condition, numbered.
local function numbered(list)
  local text = ""
  for i, one in ipairs(list) do text = text .. i .. ": " .. one.type .. " | " .. tostring(one.status) .. "\n" end
  return text
end

rule({"operator.knative.dev/KnativeEventing", "operator.knative.dev/KnativeServing"}, function(obj)
  local list, waiting, bad = conditions(obj), false, false
  if #list == 0 then return Progressing, "Waiting for " .. obj.kind end
  for _, one in ipairs(list) do
    if one_of(one.status, {"False", "Unknown"}) then waiting = true
    elseif one.status ~= "True" then bad = true end
  end
  if bad then return Degraded, numbered(list) end
  if waiting then return Progressing, numbered(list) end
  return Healthy, obj.kind .. " is healthy."
end)

rule("serving.knative.dev/Service", function(obj)
  local list, bad, waiting = conditions(obj), {}, {}
  for _, one in ipairs(list) do
    if is(one, "False") then table.insert(bad, one)
    elseif not is(one, "True") then table.insert(waiting, one) end
  end
  if #bad > 0 then return Degraded, numbered(bad) end
  if #waiting > 0 or #list == 0 then return Progressing, numbered(waiting) end
  return Healthy, "Knative Service is healthy."
end)

-- KServe: what is not True is told with its place in the list.
rule("serving.kserve.io/InferenceService", function(obj)
  if has(obj, "Stopped") then return Suspended, "InferenceService is Stopped" end
  local list = conditions(obj)
  if #list == 0 then return Progressing, "Waiting for InferenceService to report status..." end
  local parts, bad, waiting = {}, false, false
  local transition = at(obj, "status", "modelStatus", "transitionStatus")
  if transition and transition ~= "UpToDate" then
    table.insert(parts, "0: transitionStatus | " .. transition)
    if transition == "InProgress" then waiting = true else bad = true end
  elseif not transition then
    table.insert(parts, "")
  end
  for i, one in ipairs(list) do
    if one.type ~= "Stopped" and not is(one, "True") then
      local part = i .. ": " .. one.type .. " | " .. tostring(one.status)
      if one.reason then part = part .. " | " .. one.reason end
      if one.message then part = part .. " | " .. one.message end
      table.insert(parts, part)
      if is(one, "False") and transition ~= "InProgress" then bad = true else waiting = true end
    end
  end
  local text = table.concat(parts, " | ")
  if bad then return Degraded, text end
  if waiting then return Progressing, text end
  return Healthy, "InferenceService is healthy."
end)

-- Spark
local spark = {
  [""] = {Progressing, "SparkApplication was Added"},
  SUBMITTED = {Progressing, "SparkApplication was submitted successfully"},
  COMPLETED = {Healthy, "SparkApplication was Completed"}, FAILED = {Degraded}, SUBMISSION_FAILED = {Degraded},
  PENDING_RERUN = {Progressing, "SparkApplication is Pending Rerun"},
  INVALIDATING = {Progressing, "SparkApplication is in InvalidatingState"},
  SUCCEEDING = {Progressing, "SparkApplication is Succeeding"}, FAILING = {Degraded},
  UNKNOWN = {Unknown, "SparkApplication is in UnknownState"},
  PENDING_SUBMISSION = {Progressing, "SparkApplication is Pending Submission"},
  RUNNING = {Healthy, "SparkApplication is Running"},
}
rule("sparkoperator.k8s.io/SparkApplication", function(obj)
  local state = at(obj, "status", "applicationState")
  if not state then return Progressing, "Waiting for Executor pods" end
  local found = spark[state.state or ""]
  if not found then return Unknown, state.state end
  if state.state == "RUNNING" then
    local running, wanted = 0, at(obj, "spec", "executor", "instances")
    for _, one in pairs(at(obj, "status", "executorState") or {}) do
      if one == "RUNNING" then running = running + 1 end
    end
    local conf = at(obj, "spec", "sparkConf") or {}
    local dynamic = at(obj, "spec", "dynamicAllocation", "enabled") or
      tostring(conf["spark.dynamicAllocation.enabled"]) == "true" or
      tostring(conf["spark.streaming.dynamicAllocation.enabled"]) == "true"
    if not dynamic and wanted and running < number(wanted) then return Progressing, "Waiting for Executor pods" end
  end
  return found[1], found[2] or state.errorMessage
end)

rule("sparkoperator.k8s.io/ScheduledSparkApplication", function(obj)
  local state = at(obj, "status", "scheduleState")
  if at(obj, "spec", "suspend") then return Suspended, "ScheduledSparkApplication is suspended" end
  if state == "Scheduled" then return Healthy, "SparkApplication is Scheduled" end
  if state == "FailedValidation" then return Degraded, at(obj, "status", "reason") end
  return Progressing, "Waiting for status"
end)

rule("flink.apache.org/FlinkDeployment", function(obj)
  local status = obj.status or {}
  local deployed, reconciled = status.jobManagerDeploymentStatus, status.reconciliationStatus or {}
  local failure = (reconciled.error and reconciled.error ~= "") and reconciled.error or status.error
  if deployed == "ERROR" or reconciled.success == false then return Degraded, failure end
  local settled = reconciled.success == true or reconciled.state == "DEPLOYED"
  local job = at(status, "jobStatus", "state")
  if settled and (deployed == "READY" or (deployed == "MISSING" and job == "SUSPENDED")) then
    if job == "FAILED" then return Degraded, failure end
    return Healthy
  end
  if deployed == nil then return Progressing, "Waiting for Flink operator" end
  return Progressing, "Waiting for deploying"
end)

-- Cluster API
rule("cluster.x-k8s.io/MachineDeployment", function(obj)
  if at(obj, "spec", "paused") then return Suspended, "MachineDeployment is paused" end
  local words = {
    ScalingUp = {Progressing, "Cluster is spawning machines"},
    ScalingDown = {Progressing, "Cluster is stopping machines"},
    Running = {Healthy, "Machines are running under this deployment"},
    Failed = {Degraded, "MachineDeployment is failed"},
  }
  local found = words[at(obj, "status", "phase") or ""]
  if found then return found[1], found[2] end
  return Progressing, "Waiting for machines"
end)

rule("cluster.x-k8s.io/MachineHealthCheck", function(obj)
  local status = obj.status
  if not status or status.expectedMachines == nil then return Progressing end
  return number(status.currentHealthy) == number(status.expectedMachines) and Healthy or Degraded
end)

-- "MachinePool is Provisioning: Not Ready (WaitingForInfrastructure)"
local function capi_phase(healthy)
  return function(obj)
    local phase = at(obj, "status", "phase")
    if at(obj, "spec", "paused") then return Suspended, obj.kind .. " is paused" end
    if not phase then return Progressing, "Waiting for " .. obj.kind end
    local text, missing = obj.kind .. " is " .. phase, {}
    for _, one in ipairs(conditions(obj)) do
      if is(one, "False") then
        table.insert(missing, "Not " .. one.type .. (one.reason and " (" .. one.reason .. ")" or ""))
      end
    end
    if #missing > 0 then text = text .. ": " .. table.concat(missing, ", ") end
    if phase == "Failed" then return Degraded, text end
    if one_of(phase, healthy) and #missing == 0 then return Healthy, text end
    return Progressing, text
  end
end
rule("cluster.x-k8s.io/MachinePool", capi_phase {"Running", "Scaling", "ScalingUp", "ScalingDown"})
rule("cluster.x-k8s.io/Machine", capi_phase {"Running"})
rule("cluster.x-k8s.io/Cluster", capi_phase {"Provisioned"})

local function control_plane(obj)
  local status = obj.status
  if not status then return Progressing, "Waiting for the control plane status" end
  if status.failureMessage then return Degraded, status.failureMessage end
  local errors = ""
  for _, one in ipairs(conditions(obj)) do
    if is(one, "False") and one.severity == "Error" then errors = errors .. (one.message or "") .. " " end
  end
  if errors ~= "" then return Degraded, errors end
  if unobserved(obj) then return Progressing, "Waiting for the control plane spec to be reconciled" end
  if has(obj, "EKSControlPlaneUpdating") then return Progressing, "EKS control plane is updating" end
  if status.ready == false then return Progressing, "Control plane is not ready (.status.ready is false)" end
  if not has(obj, "Ready") then return Progressing, "Control plane is not ready" end
  return Healthy, "Control plane is ready"
end
rule("controlplane.cluster.x-k8s.io/*", control_plane)

-- Karpenter
local launch = {
  {"Launched", "Waiting for NodeClaim to be launched"}, {"Registered", "Node launched, waiting for registration"},
  {"Initialized", "Node registered, waiting for initialization"},
}
rule("karpenter.sh/NodeClaim", function(obj)
  local leaving, ready = condition(obj, "Disrupting"), condition(obj, "Ready")
  if is(leaving, "True") then return Suspended, leaving.message end
  if is(ready, "True") then return Healthy, ready.message end
  local failed = any_of(obj, {"Launched", "Registered", "Initialized"}, "False")
  if failed then return Degraded, failed.message end
  for _, step in ipairs(launch) do
    if not has(obj, step[1]) then return Progressing, step[2] end
  end
  if is(ready, "False") then return Degraded, ready.message end
  return Progressing, "Node initialized, waiting for Ready"
end)
rule({"karpenter.sh/NodePool", "karpenter.k8s.aws/*"}, by_condition {waiting = waiting_for_kind})

rule("work.karmada.io/*", function(obj)
  local applied, clusters = at(obj, "status", "aggregatedStatus") or {}, at(obj, "spec", "clusters") or {}
  for _, one in ipairs(applied) do
    local bad = one.applied == false or one.health == "Unhealthy"
    if bad then return Degraded, "Current resource status is unhealthy" end
  end
  if #applied == 0 or #applied < #clusters then return Progressing, "Current resource status is insufficient" end
  return Healthy
end)
