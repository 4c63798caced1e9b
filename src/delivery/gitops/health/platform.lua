-- SPDX-License-Identifier: Apache-2.0
-- Certificates, secrets, gateways, policies, observability, and the other kinds a platform is made of.

-- Kubernetes' own
rule("policy/PodDisruptionBudget", function(obj)
  local status, message = Progressing, "Waiting for status"
  for _, one in ipairs(conditions(obj)) do
    if one.type == "DisruptionAllowed" then
      if is(one, "True") then return Healthy, "PodDisruptionBudget has SufficientPods" end
      status, message = is(one, "False") and Degraded or Progressing, "PodDisruptionBudget has " .. (one.reason or "")
      -- Too few pods to disrupt one is how the budget works; only what the controller could not do is bad.
      if one.reason == "InsufficientPods" then status = Healthy end
    end
  end
  return status, message
end)

rule("apiextensions.k8s.io/CustomResourceDefinition", function(obj)
  if #conditions(obj) == 0 then return Progressing, "Status conditions not found" end
  local names, shape = condition(obj, "NamesAccepted"), condition(obj, "NonStructuralSchema")
  if has(obj, "Terminating") then return Progressing, "CRD is being terminated" end
  if is(names, "False") then return Degraded, "CRD names have not been accepted: " .. (names.message or "") end
  if is(shape, "True") then return Degraded, "Schema violations found: " .. (shape.message or "") end
  if has(obj, "Established") then return Healthy, "CRD is healthy" end
  return Progressing, "CRD is not established"
end)

rule({"tekton.dev/PipelineRun", "tekton.dev/TaskRun", "tekton.dev/CustomRun"}, by_condition {
  condition = "Succeeded", waiting = "Waiting for the run to start",
})

-- Certificates and secrets
rule({"cert-manager.io/ClusterIssuer", "certmanager.k8s.io/ClusterIssuer"},
  by_condition {waiting = "Initializing ClusterIssuer"})
rule({"cert-manager.io/Issuer", "certmanager.k8s.io/Issuer"}, by_condition {waiting = "Initializing issuer"})
rule({"cert-manager.io/Certificate", "certmanager.k8s.io/Certificate"}, function(obj)
  local issuing, ready = condition(obj, "Issuing"), condition(obj, "Ready")
  if is(ready, "True") then return Healthy, ready.message end
  if is(issuing, "True") then return Progressing, issuing.message end
  if is(ready, "False") then return Degraded, ready.message end
  return Progressing, "Waiting for certificate"
end)

rule({
  "external-secrets.io/ExternalSecret", "external-secrets.io/PushSecret", "external-secrets.io/SecretStore",
  "external-secrets.io/ClusterSecretStore", "external-secrets.io/ClusterPushSecret",
}, by_condition {waiting = waiting_for_kind})
rule("external-secrets.io/ClusterExternalSecret", function(obj)
  local ready, bad = condition(obj, "Ready"), any_of(obj, {"NotReady", "PartiallyReady"})
  if is(ready, "True") then return Healthy, ready.message end
  if bad then return Degraded, bad.message end
  return Progressing, "Waiting for ClusterExternalSecret"
end)
rule("bitnami.com/SealedSecret",
  by_condition {condition = "Synced", waiting = "Waiting for Sealed Secret to be decrypted"})
rule("onepassword.com/OnePasswordItem", by_condition {waiting = "Waiting for controller to report status"})

-- Gateway API: a list of those who took the object up, each with conditions.
local function by_parents(list_name, reference, word)
  return function(obj)
    local list = at(obj, "status", list_name) or {}
    local waiting = "Waiting for " .. obj.kind .. " status"
    local accepted = 0
    for _, parent in ipairs(list) do
      local name = at(parent, reference, "name") or ""
      for _, one in ipairs(parent.conditions or {}) do
        local seen, generation = tonumber(one.observedGeneration), tonumber(at(obj, "metadata", "generation"))
        if seen and generation and seen < generation then
          return Progressing, "Waiting for " .. word .. " " .. name .. " to update " .. obj.kind .. " status"
        end
        if one_of(one.type, {"Accepted", "ResolvedRefs", "Programmed", "Ready"}) then
          if is(one, "False") then return Degraded, word .. " " .. name .. ": " .. (one.message or "") end
          if is(one, "Unknown") then return Progressing, word .. " " .. name .. ": " .. (one.message or "") end
          accepted = accepted + 1
        end
      end
    end
    if accepted == 0 then return Progressing, waiting end
    return Healthy, obj.kind .. " is healthy"
  end
end
rule({"gateway.networking.k8s.io/BackendTLSPolicy", "gateway.networking.k8s.io/BackendLBPolicy"},
  by_parents("ancestors", "ancestorRef", "Ancestor"))
rule({
  "gateway.networking.k8s.io/HTTPRoute", "gateway.networking.k8s.io/GRPCRoute", "gateway.networking.k8s.io/TLSRoute",
  "gateway.networking.k8s.io/TCPRoute", "gateway.networking.k8s.io/UDPRoute",
}, by_parents("parents", "parentRef", "Parent"))

local function stale(obj)
  for _, one in ipairs(conditions(obj)) do
    local seen, generation = tonumber(one.observedGeneration), tonumber(at(obj, "metadata", "generation"))
    if seen and generation and seen < generation then return true end
  end
  return false
end
rule("gateway.networking.k8s.io/GatewayClass", function(obj)
  local one = condition(obj, "Accepted")
  if not one or stale(obj) then return Progressing, "Waiting for GatewayClass status" end
  return is(one, "True") and Healthy or is(one, "False") and Degraded or Progressing, one.message
end)
rule({"gateway.networking.k8s.io/Gateway", "gateway.networking.k8s.io/ListenerSet"}, function(obj)
  if #conditions(obj) == 0 or stale(obj) then return Progressing, "Waiting for " .. obj.kind .. " status" end
  for _, kind in ipairs {"Accepted", "ResolvedRefs", "Programmed"} do
    local one = condition(obj, kind)
    if is(one, "False") then return Degraded, one.message end
    if is(one, "Unknown") then return Progressing, one.message end
  end
  return Healthy, obj.kind .. " is healthy"
end)

-- Gloo: a state by number or name, at the top or for each namespace that reports.
local gloo_names = {[0] = "Pending", [1] = "Accepted", [2] = "Rejected", [3] = "Warning"}
rule({"gateway.solo.io/*", "gloo.solo.io/*", "enterprise.gloo.solo.io/*", "ratelimit.solo.io/*"}, function(obj)
  local status = obj.status
  if not status or next(status) == nil then return Progressing, "Update in progress" end
  local pending, accepted = false, false
  for _, one in pairs(status.statuses or {status}) do
    local state = gloo_names[one.state] or one.state
    if state == "Rejected" or state == "Warning" then return Degraded, one.reason end
    pending = pending or state == "Pending"
    accepted = accepted or state == "Accepted"
  end
  if pending then return Suspended, "The resource has not yet been validated" end
  if accepted then return Healthy, "The resource has been validated" end
  return Progressing, "Update in progress"
end)

rule("projectcontour.io/HTTPProxy", function(obj)
  local one, word = condition(obj, "Valid"), at(obj, "status", "currentStatus")
  local text = at(obj, "status", "description") or (one and one.message)
  if not one and not word then return Progressing, "Waiting for HTTPProxy status" end
  if word == "valid" or is(one, "True") then return Healthy, text end
  return Degraded, text
end)

-- OpenShift
rule("route.openshift.io/Route", function(obj)
  local admitted = 0
  for _, ingress in ipairs(at(obj, "status", "ingress") or {}) do
    for _, one in ipairs(ingress.conditions or {}) do
      if one.type == "Admitted" then
        if is(one, "False") then return Degraded, "Route is degraded" end
        if not is(one, "True") then return Progressing, "Route is still getting admitted" end
        admitted = admitted + 1
      end
    end
  end
  if admitted > 0 then return Healthy, "Route is healthy" end
  return Progressing, "Route is still getting admitted"
end)

rule("operator.openshift.io/IngressController", function(obj)
  local degraded, available = any_of(obj, {"Degraded"}), condition(obj, "Available")
  if degraded then return Degraded, degraded.message end
  if not available then return Progressing, "Status of IngressController is not known yet" end
  local working = any_of(obj, {"Progressing"})
  if working then return Progressing, working.message end
  local missing = any_of(obj, {"DeploymentReplicasAllAvailable", "DeploymentReplicasMinAvailable"}, "False")
  if missing then return Progressing, missing.message end
  if is(available, "True") then return Healthy, "IngressController is available" end
  return Degraded, available.message
end)

-- Somebody chose to approve upgrades by hand: what is installed goes on working, and the plan that waits is no news.
local function waits_for_approval(obj)
  local status, pending = obj.status or {}, condition(obj, "InstallPlanPending")
  return status.state == "UpgradePending" and status.installedCSV and not has(obj, "BundleUnpacking") and
    at(obj, "spec", "installPlanApproval") == "Manual" and is(pending, "True") and pending.reason == "RequiresApproval"
end

rule("operators.coreos.com/Subscription", function(obj)
  local text, bad, waits = "", false, waits_for_approval(obj)
  for i, one in ipairs(conditions(obj)) do
    if not (waits and one.type == "InstallPlanPending") then
      text = text .. i .. ": " .. one.type .. " | " .. tostring(one.status) .. "\n"
    end
    bad = bad or (is(one, "True") and
      one_of(one.type, {"CatalogSourcesUnhealthy", "InstallPlanFailed", "ResolutionFailed", "BundleUnpackFailed"}))
  end
  local state = at(obj, "status", "state")
  if not state then return bad and Degraded or Progressing, text .. ".status.state not yet known\n" end
  text = text .. ".status.state is '" .. state .. "'"
  if bad or state == "UpgradeFailed" then return Degraded, text .. "\n" end
  if waits then return Healthy, text .. " (manual InstallPlan approval pending; treated as healthy)\n" end
  return state == "AtLatestKnown" and Healthy or Progressing, text .. "\n"
end)
rule("operators.coreos.com/ClusterServiceVersion", by_word {
  path = {"status", "phase"}, waiting = "Waiting for ClusterServiceVersion",
  words = {Succeeded = Healthy, Failed = Degraded, Unknown = Unknown},
  say = function(word, obj) return at(obj, "status", "message") or word end,
})

-- Open Cluster Management
local function names_of(list, key_path)
  local names = {}
  for _, one in ipairs(list or {}) do
    if one.compliant == "NonCompliant" then table.insert(names, at(one, table.unpack(key_path))) end
  end
  return table.concat(names, ", ")
end
rule("policy.open-cluster-management.io/Policy", function(obj)
  if at(obj, "spec", "disabled") then return Healthy, "Policy is disabled" end
  local status = obj.status
  if not status or next(status) == nil then return Progressing, "Waiting for the status to be reported" end
  local clusters = status.status or (status.details == nil and status.placement and {}) or nil
  if clusters and #clusters == 0 and status.compliant == nil then return Healthy, "No clusters match this policy" end
  if status.compliant == "NonCompliant" then
    if clusters then return Degraded, "NonCompliant clusters: " .. names_of(clusters, {"clustername"}) end
    return Degraded, "NonCompliant templates: " .. names_of(status.details, {"templateMeta", "name"})
  end
  if status.compliant == "Compliant" then
    return Healthy, clusters and "All clusters are compliant" or "All templates are compliant"
  end
  return Progressing, "Waiting for the status to be updated"
end)

local function compliance_text(obj)
  local parts = {}
  for _, detail in ipairs(at(obj, "status", "compliancyDetails") or {}) do
    for _, one in ipairs(detail.conditions or {}) do table.insert(parts, one.type .. " - " .. (one.message or "")) end
  end
  return table.concat(parts, "; ")
end
rule({"policy.open-cluster-management.io/ConfigurationPolicy", "policy.open-cluster-management.io/CertificatePolicy"},
  function(obj)
    local status = obj.status
    if not status or not status.compliant then return Progressing, "Waiting for the status to be reported" end
    local seen = tonumber(status.lastEvaluatedGeneration)
    if seen and seen ~= tonumber(at(obj, "metadata", "generation")) then
      return Progressing, "Waiting for the status to be updated"
    end
    return status.compliant == "Compliant" and Healthy or Degraded, compliance_text(obj)
  end)
rule("policy.open-cluster-management.io/OperatorPolicy", function(obj)
  if not obj.status then return Progressing, "Waiting for the status to be reported" end
  if unobserved(obj) then return Progressing, "Waiting for the status to be updated" end
  local one = condition(obj, "Compliant")
  if not one then return Progressing, "Waiting for the compliance condition" end
  return is(one, "True") and Healthy or Degraded, one.message
end)

-- Observability
rule({
  "monitoring.coreos.com/Prometheus", "monitoring.coreos.com/Alertmanager", "monitoring.coreos.com/PrometheusAgent",
  "monitoring.coreos.com/ThanosRuler",
}, function(obj)
  if at(obj, "spec", "paused") then return Suspended, obj.kind .. " is paused" end
  local available, reconciled = condition(obj, "Available"), condition(obj, "Reconciled")
  if is(reconciled, "False") then return Degraded, reconciled.message end
  if not available then return Progressing, "Waiting initialization" end
  if is(available, "True") then return Healthy, "All instances are available" end
  if is(available, "False") then return Degraded, available.message end
  return Progressing, available.reason
end)

rule("grafana.integreatly.org/Grafana", function(obj)
  local status = obj.status
  if not status or not status.stage then return Progressing, "Waiting for Grafana status info" end
  if status.stageStatus == "failed" then return Degraded, "Failed at stage " .. status.stage end
  if status.stage == "complete" and status.stageStatus == "success" then return Healthy end
  return Progressing, status.stage
end)
rule("grafana.integreatly.org/*", function(obj)
  local function tell(one)
    return (one.reason or "") .. " for " .. one.type .. " because " .. (one.message or "")
  end
  for _, one in ipairs(conditions(obj)) do
    if one_of(one.type, {"InvalidSpec", "NoMatchingInstance", "NoMatchingInstances"}) and is(one, "True") then
      return Degraded, tell(one)
    end
  end
  for _, one in ipairs(conditions(obj)) do
    if tostring(one.type):find("Synchronized$") then
      return is(one, "True") and Healthy or is(one, "False") and Degraded or Progressing, tell(one)
    end
  end
  return Progressing
end)
rule("grafana-org-operator.kubitus-project.gitlab.io/*", by_condition {waiting = "Waiting ..."})

rule("datadoghq.com/DatadogMetric", function(obj)
  local failed, valid = any_of(obj, {"Error"}), condition(obj, "Valid")
  if failed then return Degraded, (failed.reason or "") .. ": " .. (failed.message or "") end
  if is(valid, "False") then return Degraded, valid.message end
  if is(valid, "True") then return Healthy, "DatadogMetric is healthy" end
  return Progressing, "Waiting for DatadogMetric"
end)
rule("coralogix.com/*", by_condition {
  condition = "RemoteSynced", waiting = "Waiting for status to be updated", healthy = "Resource is ready",
})

rule("opentelemetry.io/OpenTelemetryCollector", function(obj)
  if at(obj, "spec", "mode") == "sidecar" then return Healthy, "Collector is running in sidecar mode" end
  local ready, wanted = tostring(at(obj, "status", "scale", "statusReplicas") or ""):match("^(%d+)/(%d+)$")
  if not ready then return Progressing, "Waiting for OpenTelemetryCollector status" end
  ready, wanted = tonumber(ready), tonumber(wanted)
  if wanted == 0 then
    if at(obj, "spec", "mode") == "daemonset" then return Healthy, "DaemonSet has no eligible nodes (0/0)" end
    return Healthy, "All replicas are ready"
  end
  if ready == wanted then return Healthy, "All replicas are ready" end
  if ready == 0 then return Degraded, "No replicas are ready" end
  return Progressing, "Replicas are starting up"
end)

rule("core.gardener.cloud/Shoot", function(obj)
  if at(obj, "spec", "hibernation", "enabled") and at(obj, "status", "hibernated") then
    return Suspended, "Component state: Hibernated"
  end
  if #conditions(obj) == 0 then return Degraded, "Component state: Unhealthy" end
  local api, planes = condition(obj, "APIServerAvailable"), condition(obj, "ControlPlaneHealthy")
  if is(api, "False") or is(planes, "False") or is(api, "Progressing") then
    return Progressing, "Component state: Update in progress"
  end
  for _, one in ipairs(conditions(obj)) do
    if not is(one, "True") then return Unknown, "Component state: Unknown" end
  end
  return Healthy, "Component state: Healthy"
end)

-- 3scale
local threescale_done = {Product = "synced", Backend = "synced"}
rule("capabilities.3scale.net/*", function(obj)
  local noun = "3scale " .. obj.kind
  if at(obj, "status", "state") == "suspended" then return Suspended, noun .. " is suspended" end
  local bad = any_of(obj, {"Failed", "Invalid", "Orphan", "Error"}) or any_of(obj, {"Ready", "Synced"}, "False")
  if bad and bad.message then return Degraded, bad.message end
  if any_of(obj, {"Ready", "Synced"}) then return Healthy, noun .. " is " .. (threescale_done[obj.kind] or "ready") end
  return Progressing, "Waiting for " .. noun .. " status..."
end)

-- Flux: the reason of Ready.
rule("*.toolkit.fluxcd.io/*", function(obj)
  if at(obj, "spec", "suspend") then return Suspended, obj.kind .. " is suspended" end
  return by_condition {say = "reason", waiting = "Waiting for " .. obj.kind}(obj)
end)

-- Ariga Atlas
rule("db.atlasgo.io/*", by_condition {
  say = "reason", waiting = "Waiting for reconciliation", transient = {"Reconciling"},
})

-- Keptn
rule("lifecycle.keptn.sh/*", by_word {
  path = {"status", "status"}, waiting = function(obj) return obj.kind .. " is progressing" end,
  words = {Succeeded = Healthy, Failed = Degraded, Deprecated = Degraded},
  say = function(_, obj, status) return obj.kind .. " is " .. status:lower() end,
})
rule("metrics.keptn.sh/Analysis", function(obj)
  if at(obj, "status", "state") ~= "Completed" then return Progressing, "Analysis is progressing" end
  if obj.status.pass then return Healthy, "Analysis is healthy" end
  if obj.status.warning then return Healthy, "Analysis is healthy with warnings" end
  return Degraded, "Analysis is degraded"
end)

rule("camel.apache.org/*", function(obj)
  local phase, ready = at(obj, "status", "phase"), condition(obj, "Ready")
  if phase == "Error" then return Degraded, ready and ready.message end
  if (phase == "Running" or phase == "Ready") and (obj.kind ~= "Integration" or is(ready, "True")) then
    return Healthy, ready and ready.message
  end
  return Progressing, "Waiting for " .. obj.kind
end)

rule("iammanager.keikoproj.io/Iamrole", function(obj)
  local status = obj.status
  if not status or not status.state then return Progressing, "Waiting for Iamrole to be reconciled" end
  local name, arn, id = status.roleName or "<none>", status.roleARN or "<none>", status.roleID or "<none>"
  local place = "with ARN '" .. arn .. "' and ID '" .. id .. "'"
  if status.state == "Ready" then return Healthy, "Role '" .. name .. "' exists " .. place .. "." end
  local try = number(status.retryCount) > 0 and " (retry " .. status.retryCount .. ")" or ""
  return Degraded, "Failed to reconcile the Iamrole" .. try .. " for role '" .. name .. "' " .. place ..
    ". Reconciliation error was: " .. (status.errorDescription or "")
end)

rule("proclaim.dogmatiq.io/DNSSDServiceInstance", function(obj)
  local bad = any_of(obj, {"Adopted", "Advertised"}, "False")
  if bad then return Degraded, bad.message end
  local found = condition(obj, "Discoverable")
  if not found then return Progressing, "Waiting for DNSSDServiceInstance" end
  return is(found, "True") and Healthy or is(found, "False") and Progressing or Unknown, found.message
end)

rule("pulumi.com/Stack", function(obj)
  if not obj.status or unobserved(obj) then
    return Progressing, "Waiting for the operator to observe the latest spec change"
  end
  local stalled, working, ready = any_of(obj, {"Stalled"}), any_of(obj, {"Reconciling"}), condition(obj, "Ready")
  if stalled then return Degraded, stalled.message end
  if working then return Progressing, working.message end
  if is(ready, "True") then return Healthy, ready.message end
  return Progressing, ready and ready.message
end)

rule("services.cloud.sap.com/*", function(obj)
  if at(obj, "metadata", "deletionTimestamp") then return Progressing, "Resource is being deleted" end
  if #conditions(obj) == 0 then return Progressing, "Waiting for status" end
  if stale(obj) then return Progressing, "Waiting for spec update to be observed" end
  local failed, succeeded = any_of(obj, {"Failed"}), condition(obj, "Succeeded")
  if failed then return Degraded, failed.message end
  if has(obj, "Ready") then return Healthy, "Ready to use" end
  return Progressing, succeeded and succeeded.message
end)

-- Keycloak
rule("k8s.keycloak.org/Keycloak", function(obj)
  local bad, ready = any_of(obj, {"HasErrors"}), condition(obj, "Ready")
  if bad then return Degraded, bad.message end
  if is(ready, "True") then return Healthy, ready.message end
  return Progressing, ready and ready.message or "Waiting for Keycloak"
end)
rule("k8s.keycloak.org/KeycloakRealmImport", function(obj)
  local bad, done = any_of(obj, {"HasErrors"}), any_of(obj, {"Done"})
  if bad then return Degraded, bad.message end
  if done then return Healthy, done.message end
  return Progressing, "Waiting for KeycloakRealmImport"
end)

-- Istio and others by one word
rule("install.istio.io/IstioOperator", by_word {
  path = {"status", "status"}, waiting = "Waiting for IstioOperator",
  words = {HEALTHY = Healthy, ERROR = Degraded, NONE = Progressing, UPDATING = Progressing, RECONCILING = Progressing,
    ACTION_REQUIRED = Degraded},
})
rule({"ray.io/RayCluster", "ray.io/RayService"}, by_word {
  path = {"status", "state"}, waiting = waiting_for_kind,
  words = {ready = Healthy, failed = Degraded, unhealthy = Degraded, suspended = Suspended},
  say = function(word, obj) return at(obj, "status", "reason") or word end,
})
