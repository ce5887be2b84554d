--- The two answers that are used to measure: written once, and sent without reading the request as JSON.

local bench = {}

local EVENTS = 200
local ANSWER = '{"id":"chatcmpl-mock0001","object":"chat.completion","created":1735689600,"model":"bench",'
  .. '"choices":[{"index":0,'
  .. '"message":{"role":"assistant","content":"An answer of ordinary length,'
  .. ' long enough to be a sentence or two and short '
  .. 'enough that the time goes into the request and not into the copying of bytes.","refusal":null},"logprobs":null,'
  .. '"finish_reason":"stop"}],"usage":{"prompt_tokens":42,"completion_tokens":32,"total_tokens":74,'
  .. '"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0}},"service_tier":"default",'
  .. '"system_fingerprint":"fp_mock"}'

local CHUNK = '{"id":"chatcmpl-mock0001","object":"chat.completion.chunk","created":1735689600,'
  .. '"model":"bench-stream","choices":['
local EVENT = "data: " .. CHUNK .. '{"index":0,"delta":{"content":" token"}}]}\n\n'
local LAST = "data: " .. CHUNK .. '{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
local USAGE = "data: " .. CHUNK .. '],"usage":{"prompt_tokens":42,"completion_tokens":200,"total_tokens":242}}\n\n'
local DONE = "data: [DONE]\n\n"

local function stream(body)
  local print, flush = ngx.print, ngx.flush
  ngx.header["Content-Type"] = "text/event-stream; charset=utf-8"
  for _ = 1, EVENTS do
    print(EVENT)
    flush(true)
    ngx.sleep(0)
  end
  print(LAST)
  if body:find('"include_usage"', 1, true) then print(USAGE) end
  print(DONE)
end

--- Answers if the body names `bench` or `bench-stream`; says whether it did.
function bench.answer(body)
  local model = body:match('"model"%s*:%s*"(bench[%w-]*)"')
  if model == "bench" then
    local header = ngx.header
    header["Content-Type"] = "application/json"
    header["Content-Length"] = #ANSWER
    ngx.print(ANSWER)
    return true
  end
  if model == "bench-stream" then
    stream(body)
    return true
  end
  return false
end

return bench
