--- Takes a request, remembers it, and answers as its model's name asks.

local cjson = require "cjson"
local behaviour = require "mock.behaviour"
local bench = require "mock.bench"
local recorder = require "mock.recorder"
local replay = require "mock.replay"
local stream = require "mock.stream"
local text = require "mock.text"
local writer = require "mock.writer"

local serve = {}

local decode = require("cjson.safe").decode
local APIS = {
  ["chat/completions"] = require "mock.chat",
  completions = require "mock.completions",
  embeddings = require "mock.embeddings",
  responses = require "mock.responses",
  messages = require "mock.messages",
}
local ERROR_TYPES = {
  [400] = "invalid_request_error", [401] = "invalid_request_error", [403] = "permission_error",
  [404] = "invalid_request_error", [422] = "invalid_request_error", [429] = "rate_limit_error",
}
local ERROR_CODES = { [401] = "invalid_api_key", [404] = "model_not_found", [429] = "rate_limit_exceeded" }

-- What real services send along, which is nobody's business behind a gateway.
local function service_headers()
  local header = ngx.header
  header["openai-organization"] = "org-of-the-account"
  header["openai-processing-ms"] = "12"
  header["openai-version"] = "2020-10-01"
  header["x-ratelimit-limit-requests"] = "10000"
  header["x-ratelimit-remaining-requests"] = "9999"
  header["x-ratelimit-reset-requests"] = "6ms"
  header["set-cookie"] = "__session=cookie-of-the-upstream; path=/; HttpOnly"
  header["x-request-id"] = "req_of_the_upstream"
end

local function send_json(wanted, sequence, body)
  local header = ngx.header
  header["Content-Type"] = wanted.type or "application/json"
  if wanted.gzip then header["Content-Encoding"] = "gzip" end
  if not (wanted.cut or wanted.split or wanted.gzip) then header["Content-Length"] = #body end
  local breaks = wanted.close or wanted.reset or wanted.stall
  local out = writer.open(wanted, sequence)
  if type(breaks) == "number" and breaks < #body then
    if breaks > 0 then writer.send(out, body:sub(1, breaks)) else ngx.send_headers() end
    writer.flush(out)
    ngx.flush(true)
    if wanted.stall then return writer.stall(sequence) end
    return writer.die(wanted.close and "close" or "reset", sequence)
  end
  writer.send(out, body)
  return writer.finish(out)
end

local function send_error(wanted, sequence, status)
  local header = ngx.header
  ngx.status = status
  header["Retry-After"] = wanted.retry_after
  header["retry-after-ms"] = wanted.retry_after_ms
  if wanted.body == "empty" then
    header["Content-Length"] = 0
    recorder.ended(sequence, "finished")
    return ngx.send_headers()
  end
  if wanted.body == "html" then
    wanted.type = wanted.type or "text/html"
    return send_json(wanted, sequence, "<html><body><h1>" .. status .. " from the upstream</h1></body></html>\n")
  end
  -- As the real services do, a 401 repeats (a part of) the key it was given.
  local key = ngx.var.http_authorization or ngx.var.http_x_api_key or ngx.var.http_api_key or "(none)"
  local message = wanted.message
    or (status == 401 and "Incorrect API key provided: " .. key .. ".")
    or "The mock was asked for status " .. status .. "."
  return send_json(wanted, sequence, string.format('{"error":{"message":%s,"type":"%s","param":null,"code":%s}}',
    text.json(message), ERROR_TYPES[status] or "server_error", cjson.encode(ERROR_CODES[status] or cjson.null)))
end

-- The behaviours that come before any answer. Returns true when nothing is left to do.
local function before(wanted, sequence)
  if wanted.delay then ngx.sleep(wanted.delay / 1000) end
  if wanted.stall == "header" then return writer.stall(sequence) end
  if wanted.garbage == "header" then return writer.garbage_header(sequence) end
  if wanted.close == "header" or wanted.reset == "header" then
    return writer.die(wanted.close and "close" or "reset", sequence)
  end
  if wanted.status and wanted.status ~= 200 then return send_error(wanted, sequence, wanted.status) or true end
  return false
end

local function plain_behaviour(wanted)
  return { name = wanted.name, text = wanted.text, tokens = wanted.tokens, tag = wanted.tag }
end

local function answer(api, request, wanted, sequence)
  if before(wanted, sequence) then return end
  if wanted.file then
    local recorded = replay.streams[wanted.file]
    if not recorded then return send_error({ message = "no such recording" }, sequence, 400) end
    return stream.bytes(recorded, wanted, sequence)
  end
  if request.stream == true and api.events then
    local events, terminal = api.events(request, wanted)
    if wanted.drip then
      return writer.drip(stream.text(events, terminal or api.terminal, wanted), "text/event-stream", wanted.drip, sequence)
    end
    return stream.play(api, events, terminal or api.terminal, wanted, sequence)
  end
  if wanted.error then return send_json(wanted, sequence, '{"error":{"message":"an error inside a 200",'
    .. '"type":"server_error"}}') end
  if wanted.garbage then return send_json(wanted, sequence, '{"id": oops, this is not JSON') end
  if wanted.drip then return writer.drip(api.json(request, wanted), "application/json", wanted.drip, sequence) end
  return send_json(wanted, sequence, api.json(request, wanted))
end

local function refuse(body, message)
  local sequence = recorder.record(body)
  service_headers()
  return send_error({ message = message }, sequence, 400)
end

local function handle(api, body)
  local request = decode(body)
  if type(request) ~= "table" then return refuse(body, "the body is not JSON") end
  local name = recorder.override() or type(request.model) == "string" and request.model or "mock"
  local more = ngx.var.http_x_mock or request.mock
  if type(more) == "string" then name = name .. ";" .. more end
  local wanted, problem = behaviour.parse(name)
  if not wanted then return refuse(body, problem) end
  local sequence = recorder.record(body, request.model, wanted.tag)
  if wanted.times and recorder.uses(name) > wanted.times then wanted = plain_behaviour(wanted) end
  ngx.on_abort(function()
    recorder.ended(sequence, "aborted")
    ngx.exit(499)
  end)
  service_headers()
  return answer(api, request, wanted, sequence)
end

--- Serves `/v1/chat/completions`.
function serve.chat()
  ngx.req.read_body()
  local body = ngx.req.get_body_data() or ""
  if bench.answer(body) then return end
  return handle(APIS["chat/completions"], body)
end

local function models()
  local body = '{"object":"list","data":[{"id":"mock","object":"model","created":1735689600,"owned_by":"mock"}]}'
  local sequence = recorder.record("")
  return send_json({}, sequence, body)
end

--- Serves the other paths, below any base path.
function serve.by_path()
  local deployed = ngx.var["arg_api-version"] and ngx.var.uri:match("/openai/deployments/[^/]+/(.+)$")
  local path = deployed or ngx.var.uri:match("/v1/(.+)$") or ""
  if path == "models" and ngx.req.get_method() == "GET" then return models() end
  ngx.req.read_body()
  local body = ngx.req.get_body_data() or ""
  local api = APIS[path]
  if api and ngx.req.get_method() == "POST" then return handle(api, body) end
  return send_error({ message = "the mock has no such path" }, recorder.record(body), 404)
end

return serve
