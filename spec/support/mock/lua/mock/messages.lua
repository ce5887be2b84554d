--- `/v1/messages`, as Anthropic writes it.

local text = require "mock.text"
local prompt = require "mock.prompt"

local messages = {}

local function usage_of(wanted, written)
  local input, cached, output = prompt.figures(wanted, written)
  return string.format('{"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":%d,'
    .. '"output_tokens":%d}',
    input, cached, output)
end

--- The answer to a request that doesn't stream.
function messages.json(request, wanted)
  local calls, blocks = prompt.tool_calls(request, wanted), {}
  local deltas = text.deltas(wanted, prompt.last_text(request))
  for index, call in ipairs(calls) do
    blocks[index] = string.format('{"type":"tool_use","id":"toolu_%s","name":%s,"input":%s}', call.id,
      text.json(call.name), call.arguments)
  end
  if #calls == 0 then blocks[1] = '{"type":"text","text":' .. text.json(table.concat(deltas),
    wanted.escape) .. "}" end
  return string.format('{"id":"msg_mock0001","type":"message","role":"assistant","model":%s,"content":[%s],'
    .. '"stop_reason":"%s","stop_sequence":null%s}', text.json(request.model or "mock"), table.concat(blocks, ","),
    wanted.finish or #calls > 0 and "tool_use" or "end_turn",
    wanted.usage ~= "none" and ',"usage":' .. usage_of(wanted, #deltas) or "")
end

--- The events of a stream, and the terminal one apart.
function messages.events(request, wanted)
  local events, ascii = {}, wanted.escape
  local function add(name, members)
    events[#events + 1] = { event = name, data = string.format('{"type":"%s"%s}', name,
      members and "," .. members or "") }
  end
  local calls = prompt.tool_calls(request, wanted)
  local deltas = text.deltas(wanted, prompt.last_text(request))
  add("message_start", string.format('"message":{"id":"msg_mock0001","type":"message","role":"assistant","model":%s,'
    .. '"content":[],"stop_reason":null,"stop_sequence":null%s}', text.json(request.model or "mock"),
    wanted.usage ~= "none" and ',"usage":' .. usage_of(wanted, 1) or ""))
  for index, call in ipairs(calls) do
    add("content_block_start", string.format('"index":%d,"content_block":{"type":"tool_use","id":"toolu_%s",'
      .. '"name":%s,"input":{}}',
      index - 1, call.id, text.json(call.name)))
    for _, piece in ipairs(text.pieces(call.arguments, wanted.piece or 6)) do
      add("content_block_delta", string.format('"index":%d,"delta":{"type":"input_json_delta","partial_json":%s}',
        index - 1, text.json(piece, ascii)))
    end
    add("content_block_stop", '"index":' .. index - 1)
  end
  if #calls == 0 then
    add("content_block_start", '"index":0,"content_block":{"type":"text","text":""}')
    add("ping")
    for _, piece in ipairs(deltas) do
      add("content_block_delta", '"index":0,"delta":{"type":"text_delta","text":' .. text.json(piece, ascii) .. "}")
    end
    add("content_block_stop", '"index":0')
  end
  add("message_delta", string.format('"delta":{"stop_reason":"%s","stop_sequence":null}%s',
    wanted.finish or #calls > 0 and "tool_use" or "end_turn",
    wanted.usage ~= "none" and string.format(',"usage":{"output_tokens":%d}', (select(3, prompt.figures(wanted,
      #deltas)))) or ""))
  add("message_stop")
  return events, { table.remove(events) }
end

return messages
