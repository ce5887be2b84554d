--- Remembers what the mock received, exactly, and how each answer ended.
--
-- One entry a request in a shared dictionary, under its sequence number; the oldest go when it is full. How
-- a request ended stands under a key of its own, because it is written later and perhaps never.

local cjson = require "cjson"

local recorder = {}

-- A longer body is told by its length and digest only.
local LONGEST_BODY = 1024 * 1024
local requests = ngx.shared.mock_requests
local counters = ngx.shared.mock_counters

local function hexadecimal(bytes)
  return (bytes:gsub(".", function(byte) return string.format("%02x", byte:byte()) end))
end

local function header_list()
  local list = {}
  for name, value in ngx.req.raw_header(true):gmatch("([^\r\n:]+):[ \t]*([^\r\n]*)") do
    list[#list + 1] = { name, value }
  end
  return list
end

--- Remembers the current request; returns its sequence number.
function recorder.record(body, model, tag)
  local sequence = counters:incr("sequence", 1, 0)
  local entry = {
    sequence = sequence,
    id = ngx.var.http_x_request_id or cjson.null,
    method = ngx.req.get_method(),
    uri = ngx.var.request_uri,
    protocol = ngx.var.server_protocol,
    tls = ngx.var.ssl_protocol or cjson.null,
    server_name = ngx.var.ssl_server_name or cjson.null,
    connection = tonumber(ngx.var.connection),
    headers = header_list(),
    model = model or cjson.null,
    tag = tag or cjson.null,
    body_length = #body,
    body_sha1 = hexadecimal(ngx.sha1_bin(body)),
    body = #body <= LONGEST_BODY and ngx.encode_base64(body) or cjson.null,
  }
  requests:set("request:" .. sequence, cjson.encode(entry))
  requests:set("state:" .. sequence, "open")
  counters:incr("started", 1, 0)
  local open = recorder.counts().open
  if open > (counters:get("most_open") or 0) then counters:set("most_open", open) end
  return sequence
end

--- Says how a request ended, once: `finished`, `aborted` (the peer left) or `died` (on purpose).
function recorder.ended(sequence, how)
  if requests:get("state:" .. sequence) ~= "open" then return end
  requests:set("state:" .. sequence, how)
  counters:incr(how, 1, 0)
end

--- The entries that fit: `id` (the x-request-id), `tag`, `since` (a sequence number), at most `last` of them.
function recorder.find(query)
  local newest = counters:get("sequence") or 0
  local since, last = tonumber(query.since) or 0, tonumber(query.last) or 1000
  local found = {}
  for sequence = newest, since + 1, -1 do
    local entry = requests:get("request:" .. sequence)
    if entry == nil or #found >= last then break end
    local decoded = cjson.decode(entry)
    if (query.id == nil or decoded.id == query.id) and (query.tag == nil or decoded.tag == query.tag) then
      decoded.state = requests:get("state:" .. sequence)
      table.insert(found, 1, decoded)
    end
  end
  return found
end

--- How many answers began, and how they ended; and how many were open at a time, at most (exact with one worker).
function recorder.counts()
  local started = counters:get("started") or 0
  local finished, aborted = counters:get("finished") or 0, counters:get("aborted") or 0
  local died = counters:get("died") or 0
  return {
    started = started, finished = finished, aborted = aborted, died = died,
    open = started - finished - aborted - died,
    most_open = counters:get("most_open") or 0,
  }
end

--- Counts uses of a name, for behaviours that last `times` requests.
function recorder.uses(name)
  return counters:incr("uses:" .. name, 1, 0)
end

--- The behaviour that holds for every request, or nil; and how to set it (`""` ends it).
function recorder.override()
  local name = counters:get("override")
  return name ~= "" and name or nil
end

function recorder.set_override(name)
  counters:set("override", name)
end

return recorder
