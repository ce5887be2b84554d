--- `/v1/completions`, as OpenAI and vLLM write it.

local text = require "mock.text"
local prompt = require "mock.prompt"

local completions = { terminal = { { data = "[DONE]" } } }

local function head_of(request)
  return '{"id":"cmpl-mock0001","object":"text_completion","created":1735689600,"model":'
    .. text.json(request.model or "mock") .. ',"choices":['
end

local function choice(index, piece, finish, ascii)
  return string.format('{"text":%s,"index":%d,"logprobs":null,"finish_reason":%s}',
    text.json(piece, ascii), index, finish and '"' .. finish .. '"' or "null")
end

local function usage_of(wanted, written)
  local input, _, output = prompt.figures(wanted, written)
  return string.format('{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}', input, output, input + output)
end

--- The answer to a request that doesn't stream.
function completions.json(request, wanted)
  local deltas, choices = text.deltas(wanted, prompt.last_text(request)), {}
  for index = 1, tonumber(request.n) or 1 do
    choices[index] = choice(index - 1, table.concat(deltas), wanted.finish or "stop", wanted.escape)
  end
  return head_of(request) .. table.concat(choices, ",") .. "]"
    .. (wanted.usage ~= "none" and ',"usage":' .. usage_of(wanted, #deltas * #choices) or "") .. "}"
end

--- The events of a stream, the terminal marker left out.
function completions.events(request, wanted)
  local deltas, events = text.deltas(wanted, prompt.last_text(request)), {}
  local options = type(request.stream_options) == "table" and request.stream_options or {}
  local with_usage = wanted.usage ~= "none" and (options.include_usage == true or wanted.usage == "always")
  local head, tail = head_of(request), with_usage and '],"usage":null}' or "]}"
  local choices = tonumber(request.n) or 1
  for _, piece in ipairs(deltas) do
    for index = 0, choices - 1 do
      events[#events + 1] = { data = head .. choice(index, piece, nil, wanted.escape) .. tail }
    end
  end
  for index = 0, choices - 1 do
    events[#events + 1] = { data = head .. choice(index, "", wanted.finish or "stop") .. tail }
  end
  if with_usage then
    events[#events + 1] = { data = head .. '],"usage":' .. usage_of(wanted, #deltas * choices) .. "}" }
  end
  return events
end

return completions
