--- `/v1/chat/completions`, as OpenAI writes it; with `reasoning`, as vLLM does.

local text = require "mock.text"
local prompt = require "mock.prompt"

local chat = { terminal = { { data = "[DONE]" } } }

local function usage_of(wanted, written)
  local input, cached, output = prompt.figures(wanted, written)
  return string.format('{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,'
    .. '"prompt_tokens_details":{"cached_tokens":%d,"audio_tokens":0},'
    .. '"completion_tokens_details":{"reasoning_tokens":%d,"audio_tokens":0}}',
    input, output, input + output, cached, wanted.reasoning or 0)
end

local function log_probability(piece, ascii)
  local bytes = {}
  for index = 1, #piece do bytes[index] = piece:byte(index) end
  return string.format('{"token":%s,"logprob":-0.25,"bytes":[%s],"top_logprobs":[]}',
    text.json(piece, ascii), table.concat(bytes, ","))
end

local function log_probabilities(pieces, ascii)
  local list = {}
  for index, piece in ipairs(pieces) do list[index] = log_probability(piece, ascii) end
  return '{"content":[' .. table.concat(list, ",") .. '],"refusal":null}'
end

local function call_list(calls, ascii)
  local list = {}
  for index, call in ipairs(calls) do
    list[index] = string.format('{"id":"%s","type":"function","function":{"name":%s,"arguments":%s}}',
      call.id, text.json(call.name, ascii), text.json(call.arguments, ascii))
  end
  return "[" .. table.concat(list, ",") .. "]"
end

local function reasoning_deltas(wanted)
  return text.deltas({ tokens = wanted.reasoning or 0 })
end

--- The answer to a request that doesn't stream.
function chat.json(request, wanted)
  local ascii = wanted.escape
  local calls = prompt.tool_calls(request, wanted)
  local deltas = #calls == 0 and text.deltas(wanted, prompt.last_text(request)) or {}
  local content = #calls == 0 and text.json(table.concat(deltas), ascii) or "null"
  local thought = wanted.reasoning
    and ',"reasoning_content":' .. text.json(table.concat(reasoning_deltas(wanted)), ascii) or ""
  local choices = {}
  for index = 1, tonumber(request.n) or 1 do
    choices[index] = string.format(
      '{"index":%d,"message":{"role":"assistant","content":%s%s%s,"refusal":null},"logprobs":%s,'
        .. '"finish_reason":"%s"}',
      index - 1, content, thought, #calls > 0 and ',"tool_calls":' .. call_list(calls, ascii) or "",
      request.logprobs == true and log_probabilities(deltas, ascii) or "null",
      wanted.finish or #calls > 0 and "tool_calls" or "stop")
  end
  local written = math.max(#deltas, 1) * #choices + (wanted.reasoning or 0)
  return string.format(
    '{"id":"chatcmpl-mock0001","object":"chat.completion","created":1735689600,"model":%s,"choices":[%s]%s,'
    .. '"service_tier":"default","system_fingerprint":"fp_mock"}',
    text.json(request.model or "mock"), table.concat(choices, ","),
    wanted.usage ~= "none" and ',"usage":' .. usage_of(wanted, written) or "")
end

--- The events of a stream, the terminal marker left out.
function chat.events(request, wanted)
  local ascii, events = wanted.escape, {}
  local options = type(request.stream_options) == "table" and request.stream_options or {}
  local with_usage = wanted.usage ~= "none" and (options.include_usage == true or wanted.usage == "always")
  local head = string.format(
    '{"id":"chatcmpl-mock0001","object":"chat.completion.chunk","created":1735689600,"model":%s,'
    .. '"service_tier":"default","system_fingerprint":"fp_mock","choices":[', text.json(request.model or "mock"))
  local tail = with_usage and '],"usage":null}' or "]}"

  local function chunk(index, delta, probabilities, finish)
    events[#events + 1] = { data = string.format('%s{"index":%d,"delta":%s,"logprobs":%s,"finish_reason":%s}%s',
      head, index, delta, probabilities or "null", finish and '"' .. finish .. '"' or "null", tail) }
  end

  local calls = prompt.tool_calls(request, wanted)
  local deltas = #calls == 0 and text.deltas(wanted, prompt.last_text(request)) or {}
  local choices = tonumber(request.n) or 1
  for index = 0, choices - 1 do
    chunk(index, #calls == 0 and '{"role":"assistant","content":"","refusal":null}'
      or '{"role":"assistant","content":null,"refusal":null}')
  end
  for _, piece in ipairs(reasoning_deltas(wanted)) do
    chunk(0, '{"reasoning_content":' .. text.json(piece, ascii) .. "}")
  end
  for _, piece in ipairs(deltas) do
    for index = 0, choices - 1 do
      chunk(index, '{"content":' .. text.json(piece, ascii) .. "}",
        request.logprobs == true and log_probabilities({ piece }, ascii) or nil)
    end
  end
  for position, call in ipairs(calls) do
    chunk(0, string.format('{"tool_calls":[{"index":%d,"id":"%s","type":"function","function":{"name":%s,'
      .. '"arguments":""}}]}',
      position - 1, call.id, text.json(call.name, ascii)))
    for _, piece in ipairs(text.pieces(call.arguments, wanted.piece or 6)) do
      chunk(0, string.format('{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}',
        position - 1, text.json(piece, ascii)))
    end
  end
  for index = 0, choices - 1 do
    chunk(index, "{}", nil, wanted.finish or #calls > 0 and "tool_calls" or "stop")
  end
  if with_usage then
    local written = math.max(#deltas, 1) * choices + (wanted.reasoning or 0)
    events[#events + 1] = { data = head .. '],"usage":' .. usage_of(wanted, written) .. "}" }
  end
  return events
end

return chat
