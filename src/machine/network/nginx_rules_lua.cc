// SPDX-License-Identifier: Apache-2.0
// What the options of a rule (ingress_options.h) do to a request, written beside nginx's configuration as
// lua/caisson_rules.lua: who is kept out, limits, canaries, sessions, authentication by another service, CORS.
#include <string_view>

namespace caisson::network {

extern const std::string_view kIngressRulesLua;
const std::string_view kIngressRulesLua = R"LUA(-- Written by Caisson; changes are overwritten.
local limits = ngx.shared.caisson_limits
local M = {}

local function number_of(address)
  local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  if not a then return nil end
  return ((tonumber(a) * 256 + tonumber(b)) * 256 + tonumber(c)) * 256 + tonumber(d)
end

-- `ranges`: "FIRST-LAST,FIRST-LAST", as numbers.
function M.is_within(ranges, address)
  local number = number_of(address)
  if not number then return false end
  for first, last in ranges:gmatch("(%d+)%-(%d+)") do
    if number >= tonumber(first) and number <= tonumber(last) then return true end
  end
  return false
end

local is_within = M.is_within

-- nginx's limit_req without delay: every request adds one, `rate` a second are taken off, above `burst` it is refused. Two workers may
-- count at the same moment and one request too many may pass: a limit, not an account.
function M.is_over(key, rate, burst)
  local now = math.floor(ngx.now() * 1000) % 0x40000000
  local excess, last = limits:get(key)
  if excess then
    local passed = now - (last or now)
    if passed < 0 then passed = passed + 0x40000000 end
    excess = math.max(0, excess - rate * passed / 1000) + 1
  else
    excess = 0
  end
  if excess > burst then return true end
  limits:set(key, excess, 2 + burst / rate, now)
  return false
end

local is_over = M.is_over

-- Counts the request until it is answered. One count to a request.
function M.too_many(key, most)
  if ngx.var.caisson_counted ~= "" then return false end
  if (limits:incr(key, 1, 0) or 0) > most then
    limits:incr(key, -1)
    return true
  end
  ngx.var.caisson_counted = key
  return false
end

-- Whether anything is to be done for a rule but to pass its requests on: options that say who gets in, or that change a request or an
-- answer. So has one that nobody knew when this list was made.
local plain = { kind = true, path = true, prefix = true, id = true, backend = true, body_max = true, canary = true, waf = true, fallback = true,
                connect_timeout = true, send_timeout = true, read_timeout = true, hash_by = true, to_host = true, redirect = true }
function M.has_guards(rule)
  for option in pairs(rule) do
    if not plain[option] then return true end
  end
  return false
end

-- Whether a rule asks for more than the next endpoint in turn, or for a look at the request before it goes there. Its firewall, its limit
-- of a body, and where it sends who comes without TLS, are looked at elsewhere.
local in_turn = { kind = true, path = true, prefix = true, id = true, backend = true, body_max = true, has_guards = true, redirect = true,
                  fallback = true }
function M.needs_choice(rule)
  for option in pairs(rule) do
    if not in_turn[option] then return true end
  end
  return rule.has_guards
end

-- Gives a status, its title and why, when the request must not go on.
function M.keep_out(rule)
  if rule.closed then return 503, "Closed", "This path is closed: " .. rule.closed .. "." end
  local client = ngx.var.remote_addr
  if rule.deny and is_within(rule.deny, client) then return 403, "Forbidden", "Your address is not let in here." end
  if rule.allow and not is_within(rule.allow, client) then return 403, "Forbidden", "Your address is not let in here." end
  if rule.limit_free and is_within(rule.limit_free, client) then return end
  local multiplier = tonumber(rule.limit_burst) or 5
  for option, seconds in pairs({ limit_rps = 1, limit_rpm = 60 }) do
    local most = tonumber(rule[option])
    if most and most > 0 and is_over(option .. rule.id .. " " .. client, most / seconds, most * multiplier) then
      return 503, "Too many requests", "This path takes " .. most .. " requests in " .. seconds .. " s from one address."
    end
  end
  local connections = tonumber(rule.limit_connections)
  if connections and connections > 0 then
    if M.too_many("connections" .. rule.id .. " " .. client, connections) then
      return 503, "Too many connections", "This path takes " .. connections .. " requests at a time from one address."
    end
  end
end

function M.finished()
  local key = ngx.var.caisson_counted
  if key and key ~= "" then limits:incr(key, -1) end
end

function M.redirect(rule)
  if rule.redirect_soon_to then return ngx.redirect(rule.redirect_soon_to, tonumber(rule.redirect_soon_code) or 302) end
  if rule.redirect_to then return ngx.redirect(rule.redirect_to, tonumber(rule.redirect_code) or 301) end
  if rule.app_root and ngx.var.uri == "/" then return ngx.redirect(rule.app_root, 302) end
end

-- Header before cookie before weight, as ingress-nginx decides.
function M.takes_canary(canary)
  if not canary then return false end
  if canary.header then
    local value = ngx.req.get_headers()[canary.header]
    if type(value) == "table" then value = value[1] end
    if value and canary.value then
      if value == canary.value then return true end
    elseif value and canary.pattern then
      if ngx.re.find(value, canary.pattern, "jo") then return true end
    elseif value == "always" then return true
    elseif value == "never" then return false end
  end
  if canary.cookie then
    local value = ngx.var["cookie_" .. canary.cookie]
    if value == "always" then return true end
    if value == "never" then return false end
  end
  return math.random(tonumber(canary.total) or 100) <= (tonumber(canary.weight) or 0)
end

local function cookie_name(rule)
  return rule.cookie_name or "INGRESSCOOKIE"
end

-- The peer that the client's cookie or the hash names, when it is there and was not tried in vain; nothing: the next in turn.
function M.sticky_peer(rule, peers, tried)
  if rule.affinity == "cookie" then
    local id = ngx.var["cookie_" .. cookie_name(rule)]
    for _, peer in ipairs(peers) do
      if peer.id == id and not tried[peer.name] then return peer end
    end
  elseif rule.hash_by then
    local key = M.fill_in(rule.hash_by)
    local best, most
    for _, peer in ipairs(peers) do       -- rendezvous hashing: another peer's end moves no key
      local score = ngx.crc32_short(key .. peer.name)
      if not tried[peer.name] and (not most or score > most) then best, most = peer, score end
    end
    return best
  end
end

-- "$host$request_uri" with nginx's variables.
function M.fill_in(text)
  return (text:gsub("%$([%w_]+)", function(name)
    if name == "escaped_request_uri" then return ngx.escape_uri(ngx.var.request_uri) end
    return ngx.var[name] or ""
  end))
end

-- The authentication service's own answer to the client: a redirect to where people sign in, its page, its cookies.
local function hand_on(answer)
  if answer.status >= 500 or answer.status == 0 then
    ngx.log(ngx.ERR, "authentication at ", ngx.var.caisson_auth_url, " answered ", answer.status)
    return 500, "No decision", "The service that decides who may see this did not answer as it should."
  end
  ngx.status = answer.status
  for name, value in pairs(answer.header) do
    local lower = name:lower()
    if lower ~= "transfer-encoding" and lower ~= "connection" and lower ~= "content-length" then ngx.header[name] = value end
  end
  ngx.header.content_length = #answer.body
  ngx.print(answer.body)
  return ngx.exit(answer.status)
end

-- Asks the service of auth-url whether the request may go on. Gives a status, its title and why, when it may not.
function M.authorize(rule)
  if not rule.auth_url then return end
  ngx.var.caisson_auth_url = M.fill_in(rule.auth_url)
  ngx.var.caisson_auth_host = M.fill_in(rule.auth_host)
  local answer = ngx.location.capture("/_caisson_auth", { method = ngx["HTTP_" .. (rule.auth_method or "GET")] or ngx.HTTP_GET,
                                                          share_all_vars = true })
  if answer.status >= 200 and answer.status < 300 then
    for name in (rule.auth_headers or ""):gmatch("[^,%s]+") do
      if answer.header[name] then ngx.req.set_header(name, answer.header[name]) else ngx.req.clear_header(name) end
    end
    ngx.ctx.auth_cookie = answer.header["Set-Cookie"]
    return
  end
  if rule.auth_verbatim then return hand_on(answer) end
  if answer.status == 401 and rule.auth_signin then
    local url = M.fill_in(rule.auth_signin)
    local parameter = rule.auth_signin_param or "rd"
    if not url:find("[?&]" .. parameter .. "=") then
      local here = ngx.var.scheme .. "://" .. ngx.var.http_host .. ngx.var.request_uri
      url = url .. (url:find("?", 1, true) and "&" or "?") .. parameter .. "=" .. ngx.escape_uri(here)
    end
    return ngx.redirect(url, 302)
  end
  if answer.status == 401 then
    ngx.header["WWW-Authenticate"] = answer.header["WWW-Authenticate"]
    return 401, "Unauthorized", "You are not signed in."
  end
  if answer.status == 403 then return 403, "Forbidden", "You may not see this." end
  ngx.log(ngx.ERR, "auth-url ", ngx.var.caisson_auth_url, " answered ", answer.status)
  return 500, "No decision", "The service that decides who may see this did not answer as it should."
end

function M.cors(rule)
  local origin = ngx.var.http_origin
  if rule.cors ~= "true" or not origin then return end
  local allowed = rule.cors_origin or "*"
  local answer
  if allowed == "*" then answer = rule.cors_credentials == "false" and "*" or origin end
  for one in allowed:gmatch("[^,%s]+") do
    local pattern = "^" .. one:gsub("[%-%.%+%[%]%(%)%$%^%%%?]", "%%%0"):gsub("%*", "[^./]+") .. "$"
    if one == origin or (one ~= "*" and origin:find(pattern)) then answer = origin end
  end
  if not answer then return end
  ngx.ctx.cors = { origin = answer, credentials = rule.cors_credentials ~= "false", expose = rule.cors_expose }
  if ngx.req.get_method() ~= "OPTIONS" then return end
  ngx.header["Access-Control-Allow-Methods"] = rule.cors_methods or "GET, PUT, POST, DELETE, PATCH, OPTIONS"
  ngx.header["Access-Control-Allow-Headers"] = rule.cors_headers or "DNT,Keep-Alive,User-Agent,X-Requested-With,"
      .. "If-Modified-Since,Cache-Control,Content-Type,Range,Authorization"
  ngx.header["Access-Control-Max-Age"] = rule.cors_max_age or "1728000"
  return ngx.exit(204)
end

local function add_cookie(text)
  local cookies = ngx.header["Set-Cookie"]
  if type(cookies) ~= "table" then cookies = { cookies } end
  cookies[#cookies + 1] = text
  ngx.header["Set-Cookie"] = cookies
end

local function session_cookie(rule, id)
  local out = cookie_name(rule) .. "=" .. id .. "; Path=" .. (rule.cookie_path or (rule.kind == "regex" and "/" or rule.path))
  if rule.cookie_domain then out = out .. "; Domain=" .. rule.cookie_domain end
  if tonumber(rule.cookie_max_age) then out = out .. "; Max-Age=" .. rule.cookie_max_age end
  if tonumber(rule.cookie_expires) then out = out .. "; Expires=" .. ngx.cookie_time(ngx.time() + tonumber(rule.cookie_expires)) end
  if rule.cookie_samesite then out = out .. "; SameSite=" .. rule.cookie_samesite end
  if ngx.var.scheme == "https" or rule.cookie_secure == "true" then out = out .. "; Secure" end
  return out .. "; HttpOnly"
end

function M.header_filter()
  local rule = ngx.ctx.rule
  if rule then
    for name, value in pairs(rule.headers or {}) do ngx.header[name] = value end
    for _, pair in ipairs(ngx.ctx.answer_headers or {}) do
      if pair[2] == "" then ngx.header[pair[1]] = nil else ngx.header[pair[1]] = pair[2] end
    end
    if ngx.ctx.new_session then add_cookie(session_cookie(rule, ngx.ctx.new_session)) end
    local given = ngx.ctx.auth_cookie
    for _, text in ipairs(type(given) == "table" and given or { given }) do add_cookie(text) end
  end
  local allowed = ngx.ctx.cors
  if not allowed then return end
  ngx.header["Access-Control-Allow-Origin"] = allowed.origin
  ngx.header["Vary"] = "Origin"
  if allowed.credentials then ngx.header["Access-Control-Allow-Credentials"] = "true" end
  if allowed.expose then ngx.header["Access-Control-Expose-Headers"] = allowed.expose end
end

return M
)LUA";

}  // namespace caisson::network
