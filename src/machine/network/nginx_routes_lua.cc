// SPDX-License-Identifier: Apache-2.0
// The routes of IngressRoutes (route_table.h) in nginx, written beside its configuration as lua/caisson_routes.lua:
// which one takes a request, and the steps of its middlewares. A regular expression that can't be read matches nothing.
#include <string_view>

namespace caisson::network {

extern const std::string_view kIngressRoutesLua;
const std::string_view kIngressRoutesLua = R"LUA(-- Written by Caisson; changes are overwritten.
local guard = require "caisson_rules"
local M = {}

function M.decode(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end
local decode = M.decode

local function split(text, separator)
  local out = {}
  for one in (text .. separator):gmatch("(.-)" .. separator) do out[#out + 1] = one end
  return out
end

local function finds(text, pattern)
  return text ~= nil and ngx.re.find(text, pattern, "jo") ~= nil
end

-- One of the values of a header or a parameter: a table when it was given several times, true when without a value.
local function any_value(value, holds)
  if type(value) ~= "table" then value = { value } end
  for _, one in ipairs(value) do
    if holds(one == true and "" or one) then return true end
  end
  return false
end

-- Each gives a function of the request { host, uri, scheme }.
local matchers = {
  host = function(name)
    if name:sub(1, 2) == "*." then
      return function(r) return r.host:match("^[^.]+(%..*)$") == name:sub(2) end
    end
    return function(r) return r.host == name end
  end,
  host_regexp = function(pattern) return function(r) return ngx.re.find(r.host, pattern, "ijo") ~= nil end end,
  path = function(path) return function(r) return r.uri == path end end,
  prefix = function(path) return function(r) return r.uri:sub(1, #path) == path end end,
  path_regexp = function(pattern) return function(r) return finds(r.uri, pattern) end end,
  method = function(name) return function() return ngx.req.get_method() == name:upper() end end,
  client = function(ranges) return function() return guard.is_within(ranges, ngx.var.remote_addr) end end,
  header = function(name, value)
    return function() return any_value(ngx.req.get_headers()[name], function(one) return one == value end) end
  end,
  header_regexp = function(name, pattern)
    return function() return any_value(ngx.req.get_headers()[name], function(one) return finds(one, pattern) end) end
  end,
  query = function(name, value)
    return function()
      return any_value(ngx.req.get_uri_args()[name], function(one) return one == (value or "") end)
    end
  end,
  query_regexp = function(name, pattern)
    return function() return any_value(ngx.req.get_uri_args()[name], function(one) return finds(one, pattern) end) end
  end,
}

local function compile(expression)
  local next_token = expression:gmatch("%S+")
  local function node()
    local token = next_token()
    if token == "&" then
      local a, b = node(), node()
      return function(r) return a(r) and b(r) end
    elseif token == "|" then
      local a, b = node(), node()
      return function(r) return a(r) or b(r) end
    elseif token == "!" then
      local a = node()
      return function(r) return not a(r) end
    end
    local parts = split(token, ":")
    for i = 2, #parts do parts[i] = decode(parts[i]) end
    return matchers[parts[1]](unpack(parts, 2))
  end
  return node()
end

local function arguments_of(text)
  local out = {}
  for one in text:gmatch("%S+") do out[#out + 1] = one == "-" and "" or decode(one:sub(2)) end
  return out
end

-- `fields`: of a route's line, the options not among them. `options`: KEY → VALUE.
function M.parse(fields, options)
  local route = options
  route.path, route.kind = "/", "route"
  route.priority = tonumber(fields[2])
  route.schemes = {}
  for _, scheme in ipairs(split(fields[3], ",")) do route.schemes[scheme] = true end
  route.hosts = split(decode(fields[4]), ",")
  route.matches = compile(fields[5])
  route.choices, route.weight = {}, 0
  if fields[6] ~= "-" then
    for _, choice in ipairs(split(fields[6], ",")) do
      local id, weight = choice:match("^(.*)%*(%d+)$")
      route.choices[#route.choices + 1] = { backend = id, weight = tonumber(weight) }
      route.weight = route.weight + tonumber(weight)
    end
  end
  route.steps = {}
  local names = {}
  for key in pairs(options) do
    if type(key) == "string" and key:sub(1, 5) == "step:" then names[#names + 1] = key end
  end
  table.sort(names)
  for _, key in ipairs(names) do
    route.steps[#route.steps + 1] = { name = key:match("^step:%d+:(.*)$"), arguments = arguments_of(options[key]) }
    options[key] = nil
  end
  return route
end

local function before(a, b)
  if a.priority ~= b.priority then return a.priority > b.priority end
  return a.id < b.id
end

-- By the host that a route demands, so that a request looks at few.
function M.index(all)
  local out = { any = {}, by_host = {} }
  for _, route in ipairs(all) do
    for _, host in ipairs(route.hosts) do
      local list = out.any
      if host ~= "*" then
        list = out.by_host[host] or {}
        out.by_host[host] = list
      end
      if list[#list] ~= route then list[#list + 1] = route end
    end
  end
  table.sort(out.any, before)
  for _, list in pairs(out.by_host) do table.sort(list, before) end
  return out
end

local none = {}
function M.find(index, host, uri)
  local own, any = index.by_host[host] or none, index.any
  if #own == 0 and #any == 0 then return nil end
  local request = { host = host, uri = uri, scheme = ngx.var.scheme }
  local i, j = 1, 1
  while own[i] or any[j] do
    local route
    if own[i] and (not any[j] or before(own[i], any[j])) then route, i = own[i], i + 1
    else route, j = any[j], j + 1 end
    if route.schemes[request.scheme] and route.matches(request) then return route end
  end
end

-- What the length of an Ingress' rule would be, were it one of Traefik's.
function M.priority_of(host, rule)
  local length = #"PathPrefix(``)" + #rule.path
  if host ~= "*" then length = length + #"Host(``) && " + #host end
  return length
end

function M.choose(route)
  if #route.choices < 2 then return route.choices[1] and route.choices[1].backend end
  local drawn = math.random(route.weight)
  for _, choice in ipairs(route.choices) do
    drawn = drawn - choice.weight
    if drawn <= 0 then return choice.backend end
  end
end

local function redirect(location, permanent)
  local method = ngx.req.get_method()
  local plain = method == "GET" or method == "HEAD"
  return ngx.redirect(location, permanent and (plain and 301 or 308) or (plain and 302 or 307))
end

local function set_path(path)
  if path:sub(1, 1) ~= "/" then path = "/" .. path end
  ngx.req.set_uri(path)
end

-- Whom a limit is counted for.
local function counted_for(source)
  local header = source:match("^header:(.*)$")
  if header then return ngx.req.get_headers()[header] or "" end
  return source == "host" and ngx.var.host or ngx.var.remote_addr
end

local function strip(prefix)
  local rest = ngx.var.uri:sub(#prefix + 1)
  ngx.req.set_header("X-Forwarded-Prefix", prefix)
  set_path(rest)
end

-- Each gives nothing, or a status, its title and why when the request must not go on.
local steps = {
  add_prefix = function(_, prefix) set_path(prefix .. ngx.var.uri) end,
  strip_prefix = function(_, ...)
    for _, prefix in ipairs({ ... }) do
      if ngx.var.uri:sub(1, #prefix) == prefix then return strip(prefix) end
    end
  end,
  strip_prefix_regex = function(_, ...)
    for _, pattern in ipairs({ ... }) do
      local from, to = ngx.re.find(ngx.var.uri, pattern, "jo")
      if from == 1 and to >= 1 then return strip(ngx.var.uri:sub(1, to)) end
    end
  end,
  replace_path = function(_, path)
    ngx.req.set_header("X-Replaced-Path", ngx.var.uri)
    set_path(path)
  end,
  replace_path_regex = function(_, pattern, replacement)
    local replaced, times = ngx.re.gsub(ngx.var.uri, pattern, replacement, "jo")
    if not replaced or times == 0 then return end
    ngx.req.set_header("X-Replaced-Path", ngx.var.uri)
    set_path(replaced)
  end,
  redirect_scheme = function(_, scheme, port, permanent)
    if ngx.var.scheme == scheme then return end
    if port == "" and scheme == "https" and M.https_port ~= 443 then port = tostring(M.https_port) end
    local default = scheme == "https" and "443" or "80"
    local at = (port == "" or port == default) and "" or ":" .. port
    return redirect(scheme .. "://" .. ngx.var.host .. at .. ngx.var.request_uri, permanent == "1")
  end,
  redirect_regex = function(_, pattern, replacement, permanent)
    local here = ngx.var.scheme .. "://" .. (ngx.var.http_host or ngx.var.host) .. ngx.var.request_uri
    if not finds(here, pattern) then return end
    local there = ngx.re.gsub(here, pattern, replacement, "jo")
    if there and there ~= here then return redirect(there, permanent == "1") end
  end,
  allow = function(_, ranges, status)
    if not guard.is_within(ranges, ngx.var.remote_addr) then
      return tonumber(status), "Forbidden", "Your address is not let in here."
    end
  end,
  rate = function(_, name, rate, burst, source)
    if guard.is_over("rate " .. name .. " " .. counted_for(source), tonumber(rate), tonumber(burst) - 1) then
      ngx.header["Retry-After"] = math.max(1, math.ceil(1 / tonumber(rate)))
      return 429, "Too many requests", "Middleware " .. name .. " lets " .. rate .. " requests a second pass."
    end
  end,
  in_flight = function(_, name, amount, source)
    if guard.too_many("in flight " .. name .. " " .. counted_for(source), tonumber(amount)) then
      return 429, "Too many requests", "Middleware " .. name .. " lets " .. amount .. " requests pass at a time."
    end
  end,
  hosts = function(_, list)
    for one in list:gmatch("[^,]+") do
      if one:lower() == ngx.var.host then return end
    end
    return 403, "Forbidden", "This name is not let in here."
  end,
  request_header = function(_, name, value)
    if value == "" then ngx.req.clear_header(name)
    elseif name:lower() == "host" then ngx.var.caisson_host = value
    else ngx.req.set_header(name, value) end
  end,
  response_header = function(answer, name, value) answer[#answer + 1] = { name, value } end,
  strict_transport = function(answer, value, always)
    if always == "1" or ngx.var.scheme == "https" then answer[#answer + 1] = { "Strict-Transport-Security", value } end
  end,
}

function M.run(route)
  local answer = {}
  for _, step in ipairs(route.steps) do
    local status, title, why = steps[step.name](answer, unpack(step.arguments))
    if status then return status, title, why end
  end
  ngx.ctx.answer_headers = answer
end

return M
)LUA";

}  // namespace caisson::network
