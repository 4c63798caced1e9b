-- SPDX-License-Identifier: Apache-2.0
-- GitOps Promoter: a Ready condition that carries its own observedGeneration, and a story of each kind's own.

-- noun: how messages name the kind; failed: "… failed" before the reason; story: what a ready one says.
local function promoted(options)
  return function(obj)
    if at(obj, "metadata", "deletionTimestamp") then
      return Progressing, options.noun .. " is being deleted" .. (options.deleting or "")
    end
    if not obj.status then return Progressing, "Initializing " .. options.initial end
    local ready = condition(obj, "Ready")
    for _, one in ipairs(conditions(obj)) do
      local seen = tonumber(one.observedGeneration)
      if one.type == "Ready" and seen and seen ~= tonumber(at(obj, "metadata", "generation")) then
        return Progressing, "Waiting for " .. options.spec .. " spec update to be observed"
      end
    end
    if not ready then return Progressing, options.absent end
    if is(ready, "False") then return Degraded, options.failed(ready) end
    if is(ready, "Unknown") then
      return Progressing, options.unknown .. " (" .. (ready.reason or "") .. "): " .. (ready.message or "")
    end
    return options.story(obj)
  end
end

local function failed(text)
  return function(ready)
    local reason = ready.reason
    local why = (reason and reason ~= "ReconciliationError") and (" (" .. reason .. ")") or ""
    return text .. why .. ": " .. (ready.message or "")
  end
end

-- How many commit statuses are in which phase, and which are not successful.
local function tally(statuses)
  local names = {pending = {}, success = {}, failure = {}}
  for _, one in ipairs(statuses or {}) do
    if names[one.phase] then table.insert(names[one.phase], one.key) end
  end
  local text = #names.pending .. " pending, " .. #names.success .. " successful, " .. #names.failure .. " failed. "
  if #names.pending > 0 then text = text .. "Pending commit statuses: " .. table.concat(names.pending, ", ") .. ". " end
  if #names.failure > 0 then text = text .. "Failed commit statuses: " .. table.concat(names.failure, ", ") .. ". " end
  return text, #names.pending + #names.failure
end

rule("promoter.argoproj.io/ArgoCDCommitStatus", promoted {
  noun = "Argo CD commit status", initial = "Argo CD commit status", spec = "Argo CD commit status",
  absent = "Argo CD commit status is not ready yet", unknown = "Argo CD commit status readiness unknown",
  failed = failed("Argo CD commit status reconciliation failed"),
  story = function(obj)
    local selected = at(obj, "status", "applicationsSelected") or {}
    if #selected == 0 then return Degraded, "Argo CD commit status has no applications configured" end
    return Healthy, "Argo CD commit status is healthy and is tracking " .. #selected .. " applications"
  end,
})

rule("promoter.argoproj.io/ChangeTransferPolicy", promoted {
  noun = "Change transfer policy", initial = "change transfer policy", spec = "change transfer policy",
  absent = "Change transfer policy is not ready yet", unknown = "Change transfer policy readiness unknown",
  deleting = ". changetransferpolicy.promoter.argoproj.io/finalizer: Waiting to clear related PullRequest finalizers " ..
    "and finish cleanup before this policy is removed. Risk if removed manually: The " ..
    "'changetransferpolicy.promoter.argoproj.io/pullrequest-finalizer' finalizer may not be cleaned up from " ..
    "PullRequests owned by this ChangeTransferPolicy.",
  failed = failed("Change transfer policy reconciliation failed"),
  story = function(obj)
    local active, proposed = at(obj, "status", "active", "dry", "sha"), at(obj, "status", "proposed", "dry", "sha")
    if not active or active == "" then return Progressing, "The active commit DRY SHA is missing or empty." end
    if not proposed or proposed == "" then return Progressing, "The proposed commit DRY SHA is missing or empty." end
    if active ~= proposed then
      local way = "from '" .. active:sub(1, 7) .. "' to '" .. proposed:sub(1, 7) .. "': "
      return Progressing, "Promotion in progress " .. way .. (tally(at(obj, "status", "proposed", "commitStatuses")))
    end
    local text, unsuccessful = tally(at(obj, "status", "active", "commitStatuses"))
    if unsuccessful > 0 then
      return Healthy, "Environment is up-to-date, but there are non-successful active commit statuses: " .. text
    end
    return Healthy, "Environment is up-to-date on commit " .. active:sub(1, 7) .. "."
  end,
})

local function ready_story(text) return function() return Healthy, text end end

rule("promoter.argoproj.io/GitRepository", promoted {
  noun = "GitRepository", initial = "Git repository", spec = "GitRepository",
  absent = "GitRepository Ready condition is missing", unknown = "Git repository readiness unknown",
  deleting = ". gitrepository.promoter.argoproj.io/finalizer: Waiting until no non-deleting PullRequests still " ..
    "reference this repository. Risk if removed manually: repository metadata may be removed while promotions still " ..
    "depend on it.",
  failed = failed("Git repository validation failed"),
  story = ready_story("Git repository is ready"),
})

local function branches(obj, phase)
  local names = {}
  for _, one in ipairs(at(obj, "status", "environments") or {}) do
    if one.phase == phase then table.insert(names, one.branch) end
  end
  return names
end

rule("promoter.argoproj.io/TimedCommitStatus", promoted {
  noun = "TimedCommitStatus", initial = "timed commit gate", spec = "TimedCommitStatus",
  absent = "TimedCommitStatus Ready condition is missing", unknown = "Timed commit gate readiness unknown",
  failed = failed("Timed commit gate failed"),
  story = function(obj)
    local broken, pending = branches(obj, "failure"), branches(obj, "pending")
    if #broken > 0 then
      return Degraded, "Timed commit gate failed for branch(es): " .. table.concat(broken, ", ")
    end
    if #pending > 0 then
      return Progressing, "Timed commit gate pending for branch(es): " .. table.concat(pending, ", ")
    end
    local done = #branches(obj, "success")
    if done == 0 then return Healthy, "Timed commit gate reconciled" end
    return Healthy, "Timed commit gate satisfied for " .. done .. " environment(s)"
  end,
})

for kind, noun in pairs {
  PromotionStrategy = "promotion strategy", PullRequest = "pull request", CommitStatus = "commit status",
  ScmProvider = "SCM provider", ClusterScmProvider = "cluster SCM provider", GitCommitStatus = "Git commit status",
  WebRequestCommitStatus = "web request commit status",
} do
  local title = noun:sub(1, 1):upper() .. noun:sub(2)
  rule("promoter.argoproj.io/" .. kind, promoted {
    noun = title, initial = noun, spec = noun, absent = title .. " is not ready yet",
    unknown = title .. " readiness unknown", failed = failed(title .. " reconciliation failed"),
    story = ready_story(title .. " is ready"),
  })
end
