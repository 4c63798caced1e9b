-- SPDX-License-Identifier: Apache-2.0
-- The words the rules are made of. A rule is a function of the object that gives a status and a message; what the
-- upstream projects document of their conditions and phases is in the files named after their API groups.

local rules, patterns = {}, {}

Healthy, Progressing, Degraded = "Healthy", "Progressing", "Degraded"
Suspended, Missing, Unknown = "Suspended", "Missing", "Unknown"

-- rule("cert-manager.io/Issuer", f) or rule({"a/B", "*.c/*"}, f). '*' stands for any text.
function rule(names, check)
  if type(names) == "string" then names = {names} end
  for _, name in ipairs(names) do
    if string.find(name, "*", 1, true) then
      local pattern = "^" .. name:gsub("[%.%-%+]", "%%%0"):gsub("%*", ".*") .. "$"
      table.insert(patterns, {pattern = pattern, length = #name, check = check})
    else
      rules[name] = check
    end
  end
end

-- The longest pattern that fits, where no rule has the very name.
local function find(name)
  if rules[name] then return rules[name] end
  local best
  for _, one in ipairs(patterns) do
    if name:match(one.pattern) and (not best or one.length > best.length) then best = one end
  end
  return best and best.check
end

-- What the program calls: has a rule, status, message.
function evaluate(name, object)
  local check = find(name)
  if not check then return false end
  local status, message = check(object)
  return true, status, message or ""
end

-- A name without an object: is there a rule?
function known(name) return find(name) ~= nil end

-- at(obj, "status", "phase"): nil where something on the way is not there.
function at(value, ...)
  for _, key in ipairs({...}) do
    if type(value) ~= "table" then return nil end
    value = value[key]
  end
  return value
end

function number(value) return tonumber(value) or 0 end

function conditions(obj) return at(obj, "status", "conditions") or {} end

function condition(obj, kind)
  for _, one in ipairs(conditions(obj)) do
    if one.type == kind then return one end
  end
end

-- Some controllers write true instead of "True".
function is(one, status) return one ~= nil and tostring(one.status):lower() == status:lower() end

function has(obj, kind, status) return is(condition(obj, kind), status or "True") end

-- The first condition of one of these types that has the status.
function any_of(obj, kinds, status)
  for _, kind in ipairs(kinds) do
    local one = condition(obj, kind)
    if is(one, status or "True") then return one end
  end
end

-- The controller has yet to look at the newest spec.
function unobserved(obj)
  local observed = tonumber(at(obj, "status", "observedGeneration"))
  local generation = tonumber(at(obj, "metadata", "generation"))
  return observed ~= nil and generation ~= nil and observed ~= generation
end

function one_of(value, list)
  for _, one in ipairs(list) do
    if one == value then return true end
  end
  return false
end

-- The commonest rule: one condition says it all.
--   condition  its type ("Ready")
--   waiting    the message where it is not there
--   say        "message" (the default), "reason", or a function of the condition
--   healthy    a message instead of the condition's
--   bad        the status where it is False (Degraded); unknown: where it is neither (Progressing)
--   transient  reasons which, where it is False, only mean that more is to come
function by_condition(options)
  return function(obj)
    local one = condition(obj, options.condition or "Ready")
    local waiting = options.waiting
    if type(waiting) == "function" then waiting = waiting(obj) end
    if not one then return Progressing, waiting end
    local say = options.say or "message"
    local text = type(say) == "function" and say(one, obj) or one[say]
    if is(one, "True") then return Healthy, options.healthy or text end
    if is(one, "False") then
      if one_of(one.reason, options.transient or {}) then return Progressing, text end
      return options.bad or Degraded, text
    end
    return options.unknown or Progressing, text or waiting
  end
end

-- A word of the status says it all.
--   path      where it stands: {"status", "phase"}
--   words     {Running = Healthy, ...}
--   otherwise the status for every other word
--   waiting   the message where there is none
--   say       a function of the word and the object (the word itself)
function by_word(options)
  return function(obj)
    local word = at(obj, table.unpack(options.path))
    if word == nil or word == "" then
      local waiting = options.waiting
      return options.absent or Progressing, type(waiting) == "function" and waiting(obj) or waiting
    end
    local status = options.words[word] or options.otherwise or Progressing
    return status, options.say and options.say(word, obj, status) or word
  end
end

function waiting_for_kind(obj) return "Waiting for " .. obj.kind end
