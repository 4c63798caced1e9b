-- SPDX-License-Identifier: Apache-2.0
-- Crossplane, its providers, and AWS Controllers for Kubernetes.

-- What Crossplane only reads has no status.
local without_status = {
  "ClusterProviderConfig", "Composition", "CompositionRevision", "DeploymentRuntimeConfig", "ControllerConfig",
  "EnvironmentConfig", "ImageConfig", "ProviderConfig", "ProviderConfigUsage", "StoreConfig",
  "ManagedResourceActivationPolicy",
}
local good = {"Ready", "Healthy", "Offered", "Established", "ValidPipeline", "RevisionHealthy"}

local function crossplane(obj)
  local done = "Resource is up-to-date."
  if #conditions(obj) == 0 then
    if at(obj, "status", "users") then return Healthy, "Resource is in use." end
    if one_of(obj.kind, without_status) then return Healthy, done end
    return Progressing, "Provisioning ..."
  end
  local bad = any_of(obj, {"Synced", "LastAsyncOperation", "Healthy"}, "False")
  if bad then
    if bad.reason == "ReconcilePaused" then return Suspended, bad.reason end
    return Degraded, bad.message
  end
  if any_of(obj, good) then return Healthy, done end
  return Progressing, "Provisioning ..."
end
rule({"*.crossplane.io/*", "*.upbound.io/*"}, crossplane)

-- The classic AWS provider's resources tell the reason.
local function managed(noun)
  return function(obj)
    if not obj.status then return Progressing, "Waiting for " .. noun .. " to be created" end
    local synced = condition(obj, "Synced")
    if is(synced, "False") then
      if synced.reason == "ReconcilePaused" then return Suspended, synced.reason end
      return Degraded, synced.message
    end
    local ready = condition(obj, "Ready")
    if is(ready, "True") then return Healthy, ready.reason end
    return Progressing, "Waiting for " .. noun .. " to be available"
  end
end
rule("cloudfront.aws.crossplane.io/Distribution", managed("distribution"))
for _, name in ipairs {
  "rds.aws.crossplane.io/DBCluster", "rds.aws.crossplane.io/DBInstance", "iam.aws.crossplane.io/Policy",
  "iam.aws.crossplane.io/Role", "iam.aws.crossplane.io/RolePolicyAttachment", "iam.aws.crossplane.io/User",
  "iam.aws.crossplane.io/InstanceProfile", "s3.aws.crossplane.io/Bucket", "s3.aws.crossplane.io/BucketPolicy",
} do
  rule(name, managed(name:match("/(.*)")))
end

rule({"pkg.crossplane.io/Provider", "pkg.crossplane.io/Configuration", "pkg.crossplane.io/Function"}, function(obj)
  local installed, healthy = condition(obj, "Installed"), condition(obj, "Healthy")
  if not installed or not healthy then
    return Progressing, "Waiting for " .. obj.kind:lower() .. " to be installed"
  end
  local text = (installed.reason or "") .. " " .. (healthy.reason or "")
  if is(installed, "False") or is(healthy, "False") then return Degraded, text end
  if is(installed, "True") and is(healthy, "True") then return Healthy, text end
  return Progressing, text
end)

rule("*.services.k8s.aws/*", function(obj)
  local bad = any_of(obj, {"ACK.Terminal", "ACK.Recoverable"})
  if bad then return Degraded, bad.message end
  local one = condition(obj, "Ready") or condition(obj, "ACK.ResourceSynced")
  if not one then return Progressing, "Waiting for resource to be ready" end
  return is(one, "True") and Healthy or Progressing, one.reason
end)

-- Google's Config Connector: one Ready condition, whose reason says whether it is still being worked on.
rule("*.cnrm.cloud.google.com/*", function(obj)
  local ready = condition(obj, "Ready")
  if not ready then return Progressing, "Waiting for resource to be ready" end
  if is(ready, "True") then return Healthy, ready.message end
  if one_of(ready.reason, {"Updating", "Creating", "DependencyNotReady", "DependencyNotFound"}) then
    return Progressing, ready.message
  end
  return Degraded, ready.message
end)
