// SPDX-License-Identifier: Apache-2.0
// The Lua side of the ingress, written beside nginx's configuration as lua/caisson.lua. It routes by the tables of
// ingress_table.h, which the agent posts to the control socket: rules as one text, which each worker parses once per
// version, and backends one by one, parsed by the worker that needs one.
#include <string_view>

namespace caisson::network {

extern const std::string_view kIngressLua;
const std::string_view kIngressLua = R"LUA(-- Written by Caisson; changes are overwritten.
local balancer = require "ngx.balancer"
local ssl = require "ngx.ssl"
local guard = require "caisson_rules"
local traefik = require "caisson_routes"

local routes = ngx.shared.caisson_routes
local certificates = ngx.shared.caisson_certificates
local under_way = ngx.shared.caisson_under_way   -- "ADDRESS PID" -> requests of that worker that wait for its answer
local workers = ngx.shared.caisson_workers       -- PID -> true, those of before a reload included
local M = { config = "" }

local state = { version = -1, hosts = {}, routes = traefik.index({}) }
local parsed_backends = { version = -1 }
local parsed_certificates = { version = -1 }
local no_peer = -3                    -- NGX_BUSY: what a balancer says to end the tries with 502; a status would make it 500
local no_backend = { scheme = "http", name = "", peers = {} }
local turn = {}                       -- backend id -> round robin position of this worker
local ids = { prefix = "", used = 0 } -- of requests: what was drawn for this worker, and how many have it

local decode = traefik.decode

local function fields_of(line)
  local out = {}
  for field in (line .. "\t"):gmatch("([^\t]*)\t") do out[#out + 1] = field end
  return out
end

local function options_of(fields, first, into)
  for i = first, #fields do
    local key, value = fields[i]:match("^([^=]*)=(.*)$")
    local header = key and key:match("^header:(.*)$")
    if header then
      into.headers = into.headers or {}
      into.headers[decode(header)] = decode(value)
    elseif key then into[key] = decode(value) end
  end
  return into
end

local function parse(text, version)
  local out = { version = version, hosts = {} }
  local rules, routed = {}, {}
  for line in text:gmatch("[^\n]+") do
    local f = fields_of(line)
    if f[1] == "rule" then
      local rule = { kind = f[3], path = decode(f[4]), backend = f[5] }
      options_of(f, 6, rule)
      rule.id = f[2] .. rule.path
      rules[f[2] .. " " .. rule.path] = rule
      local host = out.hosts[f[2]] or { exact = {}, others = {} }
      out.hosts[f[2]] = host
      if rule.kind == "exact" then host.exact[rule.path] = rule
      else host.others[#host.others + 1] = rule end
      rule.prefix = rule.path:gsub("/$", "")
      rule.body_max = tonumber(rule.body_max)
      rule.has_guards = guard.has_guards(rule)
      rule.is_plain = not guard.needs_choice(rule)
      if f[2]:sub(1, 1) == "*" then out.has_wildcards = true end
    elseif f[1] == "canary" then
      local rule = rules[f[2] .. " " .. decode(f[3])]
      if rule then
        rule.canary = options_of(f, 5, { backend = f[4] })
        rule.is_plain = false
      end
    elseif f[1] == "route" then
      local options = options_of(f, 7, {})
      local has_guards = guard.has_guards(options)
      routed[#routed + 1] = traefik.parse(f, options)
      routed[#routed].has_guards = has_guards
    end
  end
  out.routes = traefik.index(routed)
  out.has_routes = #routed > 0
  for _, host in pairs(out.hosts) do
    table.sort(host.others, function(a, b)
      if #a.path ~= #b.path then return #a.path > #b.path end
      return a.path < b.path
    end)
  end
  return out
end

local function current()
  local version = routes:get("version") or 0
  if version ~= state.version then state = parse(routes:get("text") or "", version) end
  return state
end

-- 32 hexadecimal digits, as nginx' $request_id has: 24 drawn by the kernel for this worker, and a number. An id is no secret, and
-- to draw each anew was a fifth of what nginx did for a request.
local function draw_prefix()
  local source = assert(io.open("/dev/urandom", "rb"))
  ids.prefix = source:read(12):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
  source:close()
end

local function new_id()
  if ids.used % 0x100000000 == 0 then draw_prefix() end   -- apart: what makes a closure is not compiled
  ids.used = ids.used + 1
  return ids.prefix .. bit.tohex(ids.used)
end

local function count_key(ip) return ip .. " " .. ngx.worker.pid() end

local function parse_backend(line)
  local f, peers = fields_of(line), {}
  for i = 5, #f do
    local ip, port = f[i]:match("^(.*):(%d+)$")
    peers[#peers + 1] = { ip = ip, port = tonumber(port), name = f[i], id = ngx.md5(f[i]), count_key = count_key(ip) }
  end
  return { scheme = f[3], name = decode(f[4]), peers = peers }
end

-- As it is now; nothing when no rule leads to it.
local function backend_of(id)
  local version = routes:get("backends") or 0
  if version ~= parsed_backends.version then parsed_backends = { version = version } end
  local backend = parsed_backends[id]
  if backend == nil then
    local line = routes:get("backend " .. id)
    backend = line and parse_backend(line) or false
    parsed_backends[id] = backend
  end
  return backend or nil
end

-- Prefix matches by path elements: /foo matches /foo and /foo/bar, not /foobar.
local function matches(rule, uri)
  if rule.kind == "regex" then return ngx.re.find(uri, "^" .. rule.path, "ijo") ~= nil end
  local prefix = rule.prefix
  if uri:sub(1, #prefix) ~= prefix then return false end
  local next_byte = uri:byte(#prefix + 1)
  return next_byte == nil or next_byte == 47
end

local function find_in(host, uri)
  if not host then return nil end
  if host.exact[uri] then return host.exact[uri] end
  local others = host.others
  for i = 1, #others do
    if matches(others[i], uri) then return others[i] end
  end
end

local function find_rule(known, host, uri)
  local rule = find_in(known.hosts[host], uri)
  if rule then return rule, host end
  if not known.has_wildcards then return nil end
  for _, name in ipairs({ host:gsub("^[^.]+", "*", 1), "*" }) do
    rule = find_in(known.hosts[name], uri)
    if rule then return rule, name end
  end
end

local function find(known, host, uri)
  local rule, name = find_rule(known, host, uri)
  local route = known.has_routes and traefik.find(known.routes, host, uri)
  if route and (not rule or route.priority >= traefik.priority_of(name, rule)) then return route end
  return rule
end

-- The backend of a request that is only to be passed on, as most are: no body to measure, no upgrade, and a rule that asks for nothing.
-- "": the request is routed by M.route. Called without a coroutine and without ngx.ctx, which are half of what M.route costs.
function M.plain()
  local var = ngx.var
  var.caisson_new_id = new_id()
  if var.caisson_special ~= "" then return "" end
  local rule = find(current(), var.host, var.uri)
  if not rule or not rule.is_plain or (rule.redirect and var.https == "") then return "" end
  local backend = backend_of(rule.backend)
  if not backend or backend.scheme ~= "http" or #backend.peers == 0 then return "" end
  return rule.backend
end

local function escape(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

-- A page that says what is known, for people; plain text for programs.
local function say(status, title, lines)
  ngx.status = status
  ngx.header["Cache-Control"] = "no-store"
  if not (ngx.var.http_accept or ""):find("text/html", 1, true) then
    local text = status .. " " .. title .. "\n" .. table.concat(lines, "\n") .. "\n"
    ngx.header.content_type = "text/plain; charset=utf-8"
    ngx.header.content_length = #text
    ngx.print(text)
    return ngx.exit(status)
  end
  ngx.header.content_type = "text/html; charset=utf-8"
  local items = {}
  for _, line in ipairs(lines) do items[#items + 1] = "<p>" .. escape(line) .. "</p>" end
  local page = [[<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>]] .. status .. " " .. title .. [[</title><style>:root{color-scheme:light dark}body{font:1rem/1.6 system-ui,sans-serif;
max-width:38rem;margin:15vh auto;padding:0 1.5rem}h1{font-size:1.4rem}p{margin:.4rem 0}</style>
<h1>]] .. status .. " " .. title .. "</h1>" .. table.concat(items) .. "\n"
  ngx.header.content_length = #page
  ngx.print(page)
  return ngx.exit(status)
end

local function no_rule(known)
  if known.version == 0 then
    ngx.header["Retry-After"] = "2"
    return say(503, "Starting", { "The ingress has not received its routes yet." })
  end
  local hosts = {}
  for host in pairs(known.hosts) do hosts[#hosts + 1] = host end
  for host in pairs(known.routes.by_host) do
    if not known.hosts[host] then hosts[#hosts + 1] = host end
  end
  table.sort(hosts)
  local lines = { "No Ingress has a rule for host " .. ngx.var.host .. " and path " .. ngx.var.uri .. "." }
  local own = known.hosts[ngx.var.host]
  if own then
    local paths = {}
    for path in pairs(own.exact) do paths[#paths + 1] = path end
    for _, rule in ipairs(own.others) do paths[#paths + 1] = rule.path end
    lines[#lines + 1] = "Paths of this host: " .. table.concat(paths, " ")
  else
    lines[#lines + 1] = #hosts > 0 and "Hosts with rules: " .. table.concat(hosts, " ") or "There are no Ingress rules yet."
  end
  return say(404, "Not found", lines)
end

local function check_body(rule)
  local limit = rule.body_max
  if not limit or limit == 0 then return end
  local length = tonumber(ngx.var.http_content_length)
  if not length and ngx.var.http_transfer_encoding then
    ngx.req.read_body()
    local data, file = ngx.req.get_body_data(), ngx.req.get_body_file()
    length = data and #data or 0
    if file then
      local handle = io.open(file, "rb")
      if handle then length = handle:seek("end"); handle:close() end
    end
  end
  if length and length > limit then
    return say(413, "Too large", { "The request's body is larger than " .. limit .. " bytes.",
      "The annotation nginx.ingress.kubernetes.io/proxy-body-size of the Ingress sets the limit." })
  end
end

-- What only some rules ask for, before the request goes on.
local function keep(rule)
  guard.redirect(rule)
  local status, title, why = guard.keep_out(rule)
  if not status and rule.steps then status, title, why = traefik.run(rule) end
  if status then return say(status, title, { why }) end
  guard.cors(rule)
end

local function change(rule)
  if rule.rewrite then
    local uri = ngx.var.uri
    local rewritten = rule.kind == "regex" and ngx.re.sub(uri, "^" .. rule.path .. ".*$", rule.rewrite, "ijo") or rule.rewrite
    if rewritten:sub(1, 1) ~= "/" then rewritten = "/" .. rewritten end
    ngx.req.set_uri(rewritten)
  end
  if rule.vhost then ngx.var.caisson_host = rule.vhost end
  if rule.forwarded_prefix then ngx.req.set_header("X-Forwarded-Prefix", rule.forwarded_prefix) end
  if rule.limit_rate then ngx.var.limit_rate = rule.limit_rate .. "k" end
  if rule.users then
    ngx.var.caisson_users = rule.users
    ngx.var.caisson_realm = rule.realm
  end
end

-- Rewrite phase: which rule it is, who is kept out, and which backend it is for. `location`: where the request is. One that speaks
-- gRPC or whose rule has guards goes on in a location of its own, and comes here again: so the others pay for
-- none of what nginx and Lua do there for every request.
function M.route(location)
  local known = current()
  local rule = find(known, ngx.var.host, ngx.var.uri)
  if not rule then return no_rule(known) end
  if rule.to_host then return ngx.redirect(ngx.var.scheme .. "://" .. rule.to_host .. ngx.var.request_uri, 308) end
  local chosen
  if rule.choices then chosen = traefik.choose(rule) or "-"
  else chosen = guard.takes_canary(rule.canary) and rule.canary.backend or rule.backend end
  local backend = backend_of(chosen) or no_backend
  if #backend.peers == 0 and rule.fallback then
    chosen = rule.fallback
    backend = backend_of(chosen) or no_backend
  end
  local grpc = backend.scheme:sub(1, 4) == "grpc"
  if grpc and location ~= "grpc" then return ngx.exec("@grpc") end
  if rule.waf and not rule.closed and location == "http" then return ngx.exec("@waf_" .. rule.waf) end
  if location == "http" and (rule.has_guards or backend.scheme ~= "http") then return ngx.exec("@guarded") end
  if rule.redirect and ngx.var.scheme == "http" then
    local port = M.https_port == 443 and "" or (":" .. M.https_port)
    return ngx.redirect("https://" .. ngx.var.host .. port .. ngx.var.request_uri, 308)
  end
  if rule.has_guards then keep(rule) end
  if backend == no_backend then return say(404, "Not found", { "The rule of this path leads to no Service." }) end
  if #backend.peers == 0 then
    ngx.header["Retry-After"] = "2"
    return say(503, "No endpoint is ready", { "Service " .. backend.name .. " has no ready endpoint at the moment." })
  end
  if rule.has_guards then change(rule) elseif location == "http" then check_body(rule) end
  local ctx = ngx.ctx
  ctx.rule = rule
  ctx.backend = chosen
  if location ~= "http" then ngx.var.caisson_scheme = backend.scheme end
end

-- Access phase, after nginx's own basic authentication.
function M.access()
  local rule = ngx.ctx.rule
  if not rule then return end
  local status, title, why = guard.authorize(rule)
  if status then return say(status, title, { why }) end
  if rule.user_header then ngx.req.set_header(rule.user_header, ngx.var.remote_user) end
  if rule.remove_authorization then ngx.req.clear_header("Authorization") end
  check_body(rule)
end

local function is_alive(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if file then file:close() end
  return file ~= nil
end

local function forget_worker(pid)
  workers:delete(pid)
  for _, key in ipairs(under_way:get_keys(0)) do
    if key:match(" (%d+)$") == pid then under_way:delete(key) end
  end
end

-- What a worker that crashed had counted would never be taken back. Those that still serve, as all do while they are
-- started one after another and the old ones do after a reload, keep their counts.
function M.start_worker()
  local own = tostring(ngx.worker.pid())
  math.randomseed(ngx.worker.pid() + ngx.now() * 1000)
  for _, pid in ipairs(workers:get_keys(0)) do
    if pid == own or not is_alive(pid) then forget_worker(pid) end
  end
  workers:set(own, true)
end

-- The address that the request was at last, when it was at one: "ADDRESS:PORT", with those before it and ", " between. Variables stay
-- when the request goes on to @failed, ngx.ctx does not. A connection that was upgraded may last for days and is nobody's reason to wait.
local function key_of(tried)
  local ip = tried and tried:match("([%d.]+):%d+$")
  return ip and count_key(ip)
end

local keys = setmetatable({}, { __mode = "v" })   -- "ADDRESS:PORT" -> peer of some backend

local function count(key, by)
  if key and (under_way:incr(key, by, 0) or 1) <= 0 then under_way:delete(key) end
end

function M.finished()
  local var = ngx.var
  if (var.caisson_plain or "") ~= "" then
    local tried = var.upstream_addr
    local peer = tried and keys[tried]
    return count(peer and peer.count_key or key_of(tried), -1)
  end
  local ctx = ngx.ctx
  if ctx.peer then count(not ctx.upgraded and ctx.peer.count_key, -1)
  elseif (var.http_upgrade or "") == "" then count(key_of(var.caisson_tried), -1) end
  if not ctx.rule or ctx.rule.has_guards then guard.finished() end
end

function M.requests_under_way()
  local sum = 0
  for _, pid in ipairs(workers:get_keys(0)) do
    sum = sum + (under_way:get(ngx.var.arg_address .. " " .. pid) or 0)
  end
  ngx.print(sum)
end

-- A request that was handed over, and whose answer only takes too long, is not given to another endpoint as well.
local function may_go_on()
  local _, status = balancer.get_last_failure()
  local took = "-"   -- to connect, of the last try: "-" when that failed
  for one in (ngx.var.upstream_connect_time or ""):gmatch("[%d%.%-]+") do took = one end
  return status ~= 504 or took == "-"
end

-- The next peer in turn; nothing when all were tried.
local function next_peer(id, peers, tried)
  local position = turn[id] or math.random(#peers)
  for _ = 1, #peers do
    position = position % #peers + 1
    local peer = peers[position]
    if not tried or not tried[peer.name] then
      turn[id] = position
      return peer
    end
  end
end

local function go_to(peer)
  local ok, err = balancer.set_current_peer(peer.ip, peer.port)
  if ok then return end
  ngx.log(ngx.ERR, "set_current_peer: ", err)
  return ngx.exit(no_peer)
end

-- For a request of M.plain: what is known of it is what nginx knows.
local function balance_plain(id)
  local backend = backend_of(id)
  local peers = backend and backend.peers or no_backend.peers
  local tried
  if balancer.get_last_failure() then
    local at = ngx.var.upstream_addr or ""
    tried = {}
    for name in at:gmatch("[%d.]+:%d+") do tried[name], tried.last = true, name end
    count(tried.last and key_of(tried.last), -1)
    if not may_go_on() then
      ngx.var.caisson_late = "1"
      return ngx.exit(no_peer)
    end
  elseif #peers > 1 then balancer.set_more_tries(math.min(#peers, 3) - 1) end
  local peer = next_peer(id, peers, tried)
  if not peer then return ngx.exit(no_peer) end
  keys[peer.name] = peer
  count(peer.count_key, 1)
  return go_to(peer)
end

-- Reads the newest table, not the one of the access phase: a retry must not choose an endpoint that was withdrawn meanwhile.
function M.balance()
  local plain = ngx.var.caisson_plain
  if plain ~= "" then return balance_plain(plain) end
  local ctx = ngx.ctx
  if ctx.tried and not may_go_on() then
    ngx.var.caisson_late = "1"
    return ngx.exit(no_peer)
  end
  local rule = ctx.rule
  local backend = backend_of(ctx.backend)
  if not ctx.tried then ngx.var.caisson_service = backend and backend.name or "" end
  if not backend or #backend.peers == 0 then return ngx.exit(no_peer) end
  local peers = #backend.peers
  if not ctx.tried then
    ctx.tried = {}
    if peers > 1 then balancer.set_more_tries(math.min(peers, 3) - 1) end
  end
  local peer = guard.sticky_peer(rule, backend.peers, ctx.tried)
  if not peer then
    peer = next_peer(ctx.backend, backend.peers, ctx.tried) or backend.peers[1]
    if rule.affinity == "cookie" then ctx.new_session = peer.id end
  end
  ctx.tried[peer.name] = true
  if not ctx.peer then ctx.upgraded = (ngx.var.http_upgrade or "") ~= ""
  elseif not ctx.upgraded then count(ctx.peer.count_key, -1) end
  ngx.var.caisson_tried = (ctx.peer and ngx.var.caisson_tried or "") .. " " .. peer.name
  ctx.peer = peer
  if not ctx.upgraded then count(peer.count_key, 1) end
  if rule.connect_timeout or rule.send_timeout or rule.read_timeout then
    balancer.set_timeouts(tonumber(rule.connect_timeout), tonumber(rule.send_timeout), tonumber(rule.read_timeout))
  end
  return go_to(peer)
end

function M.header_filter()
  guard.header_filter()
end

local function names_in(addresses)
  local out = ""
  for name in (addresses or ""):gmatch("[%d.]+:%d+") do out = out .. " " .. name end
  return out
end

-- In a location of its own, where ngx.ctx is empty again; variables stay.
function M.failed()
  local status = ngx.var.caisson_late == "1" and 504 or ngx.status
  local backend = backend_of(ngx.var.caisson_plain or "")
  return say(status, status == 504 and "Too late" or "No answer", {
    "Service " .. (backend and backend.name or ngx.var.caisson_service) .. " did not answer.",
    "Endpoints tried:" .. (backend and names_in(ngx.var.upstream_addr) or ngx.var.caisson_tried),
  })
end

-- The certificate of the name, or of its wildcard; without one the static default certificate stays.
function M.certificate()
  local name = ssl.server_name()
  if not name then return end
  local version = certificates:get("version") or 0
  if parsed_certificates.version ~= version then parsed_certificates = { version = version } end
  local host = name:lower()
  local pair = parsed_certificates[host]
  if pair == nil then
    local text = certificates:get(host) or certificates:get((host:gsub("^[^.]+", "*", 1)))
    pair = false
    if text then
      local chain, key = text:match("^([^\t]*)\t(.*)$")
      local parsed_chain, chain_error = ssl.parse_pem_cert(ngx.decode_base64(chain) or "")
      local parsed_key, key_error = ssl.parse_pem_priv_key(ngx.decode_base64(key) or "")
      if parsed_chain and parsed_key then pair = { chain = parsed_chain, key = parsed_key }
      else ngx.log(ngx.ERR, "certificate of ", host, ": ", chain_error or key_error) end
    end
    parsed_certificates[host] = pair
  end
  if not pair then return end
  ssl.clear_certs()
  ssl.set_cert(pair.chain)
  ssl.set_priv_key(pair.key)
end

local function body()
  ngx.req.read_body()
  local text = ngx.req.get_body_data()
  if text then return text end
  local file = ngx.req.get_body_file()
  if not file then return "" end
  local handle = io.open(file, "rb")
  text = handle:read("*a")
  handle:close()
  return text
end

local function refuse(err)
  ngx.status = 500
  ngx.say(err)
end

-- Elements first, version last: a worker that sees the new version sees the new text.
function M.put_routes()
  local ok, err = routes:safe_set("text", body())
  if not ok then return refuse("routes: " .. err) end
  routes:incr("version", 1, 0)
  ngx.say("ok")
end

-- "backend ID ..." is kept as it is, "gone ID" takes one away, after "all" every other goes. Tells the status: to have forgotten the
-- rules shows there.
function M.put_backends()
  local all, named = false, {}
  for line in body():gmatch("[^\n]+") do
    local verb, id = line:match("^(%a+)\t?([^\t]*)")
    if verb == "all" then all = true
    elseif verb == "gone" then routes:delete("backend " .. id)
    else
      named["backend " .. id] = true
      local ok, err = routes:safe_set("backend " .. id, line)
      if not ok then return refuse("backend " .. id .. ": " .. err) end
    end
  end
  if all then
    for _, key in ipairs(routes:get_keys(0)) do
      if key:sub(1, 8) == "backend " and not named[key] then routes:delete(key) end
    end
  end
  routes:incr("backends", 1, 0)
  M.status()
end

function M.put_certificates()
  local wanted = { version = true }
  for line in body():gmatch("[^\n]+") do
    local host, pair = line:match("^([^\t]*)\t(.*)$")
    if host then
      wanted[host] = true
      local ok, err = certificates:safe_set(host, pair)
      if not ok then return refuse("certificate of " .. host .. ": " .. err) end
    end
  end
  for _, host in ipairs(certificates:get_keys(0)) do
    if not wanted[host] then certificates:delete(host) end
  end
  certificates:incr("version", 1, 0)
  ngx.say("ok")
end

function M.status()
  ngx.print(M.config, " ", routes:get("version") or 0)
end

return M
)LUA";

}  // namespace caisson::network
