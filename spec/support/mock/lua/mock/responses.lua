--- `/v1/responses`, as OpenAI writes it: named events with sequence numbers.

local text = require "mock.text"
local prompt = require "mock.prompt"

local responses = {}

local function usage_of(wanted, written)
  local input, cached, output = prompt.figures(wanted, written)
  return string.format('{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d},"output_tokens":%d,'
    .. '"output_tokens_details":{"reasoning_tokens":0},"total_tokens":%d}', input, cached, output, input + output)
end

local function response(request, status, output, usage)
  return string.format(
    '{"id":"resp_mock0001","object":"response","created_at":1735689600,"status":"%s","background":false,"error":null,'
    .. '"incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":%s,"output":[%s],'
    .. '"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,"summary":null},'
    .. '"store":true,'
    .. '"temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":1.0,'
    .. '"truncation":"disabled","usage":%s,"user":null,"metadata":{}}',
    status, text.json(request.model or "mock"), output, usage)
end

local function message_item(status, words, ascii)
  local part = words and string.format('{"type":"output_text","annotations":[],"logprobs":[],"text":%s}',
    text.json(words, ascii)) or ""
  return string.format('{"id":"msg_mock0001","type":"message","status":"%s","content":[%s],"role":"assistant"}',
    status, part)
end

local function call_item(call, status, arguments, ascii)
  return string.format('{"id":"fc_%s","type":"function_call","status":"%s","arguments":%s,"call_id":"%s","name":%s}',
    call.id, status, text.json(arguments, ascii), call.id, text.json(call.name, ascii))
end

--- The answer to a request that doesn't stream.
function responses.json(request, wanted)
  local calls, items = prompt.tool_calls(request, wanted), {}
  local deltas = text.deltas(wanted, prompt.last_text(request))
  for index, call in ipairs(calls) do items[index] = call_item(call, "completed", call.arguments, wanted.escape) end
  if #calls == 0 then items[1] = message_item("completed", table.concat(deltas), wanted.escape) end
  return response(request, "completed", table.concat(items, ","),
    wanted.usage == "none" and "null" or usage_of(wanted, #deltas))
end

local function collect()
  local events, number = {}, 0
  return events, function(name, members)
    events[#events + 1] = { event = name, data = string.format('{"type":"%s","sequence_number":%d,%s}', name,
      number, members) }
    number = number + 1
  end
end

local function add_message(add, deltas, ascii)
  local place = '"item_id":"msg_mock0001","output_index":0,"content_index":0'
  local whole = text.json(table.concat(deltas), ascii)
  add("response.output_item.added", '"output_index":0,"item":' .. message_item("in_progress"))
  add("response.content_part.added", place .. ',"part":{"type":"output_text","annotations":[],"logprobs":[],'
    .. '"text":""}')
  for _, piece in ipairs(deltas) do
    add("response.output_text.delta", place .. ',"delta":' .. text.json(piece, ascii) .. ',"logprobs":[]')
  end
  add("response.output_text.done", place .. ',"text":' .. whole .. ',"logprobs":[]')
  add("response.content_part.done", place .. ',"part":{"type":"output_text","annotations":[],"logprobs":[],'
    .. '"text":' .. whole .. "}")
  add("response.output_item.done", '"output_index":0,"item":' .. message_item("completed", table.concat(deltas),
    ascii))
  return message_item("completed", table.concat(deltas), ascii)
end

local function add_call(add, call, index, wanted)
  local ascii = wanted.escape
  local place = string.format('"item_id":"fc_%s","output_index":%d', call.id, index)
  add("response.output_item.added", string.format('"output_index":%d,"item":%s', index, call_item(call,
    "in_progress", "", ascii)))
  for _, piece in ipairs(text.pieces(call.arguments, wanted.piece or 6)) do
    add("response.function_call_arguments.delta", place .. ',"delta":' .. text.json(piece, ascii))
  end
  add("response.function_call_arguments.done", place .. ',"arguments":' .. text.json(call.arguments, ascii))
  local item = call_item(call, "completed", call.arguments, ascii)
  add("response.output_item.done", string.format('"output_index":%d,"item":%s', index, item))
  return item
end

--- The events of a stream, and the terminal one apart.
function responses.events(request, wanted)
  local events, add = collect()
  local calls, items = prompt.tool_calls(request, wanted), {}
  local deltas = text.deltas(wanted, prompt.last_text(request))
  add("response.created", '"response":' .. response(request, "in_progress", "", "null"))
  add("response.in_progress", '"response":' .. response(request, "in_progress", "", "null"))
  for index, call in ipairs(calls) do items[index] = add_call(add, call, index - 1, wanted) end
  if #calls == 0 then items[1] = add_message(add, deltas, wanted.escape) end
  add("response.completed", '"response":' .. response(request, "completed", table.concat(items, ","),
    wanted.usage == "none" and "null" or usage_of(wanted, #deltas)))
  return events, { table.remove(events) }
end

return responses
