--- Plays a list of events, or recorded bytes, as a stream.

local writer = require "mock.writer"

local stream = {}

local LINE_ENDS = { lf = "\n", crlf = "\r\n", cr = "\r" }
local HUGE_PIECE = 65536

local function begin(wanted)
  local header = ngx.header
  header["Content-Type"] = wanted.type or "text/event-stream; charset=utf-8"
  header["Cache-Control"] = "no-cache"
  if wanted.gzip then header["Content-Encoding"] = "gzip" end
  ngx.send_headers()
  ngx.flush(true)
end

-- One event as its bytes. A multi-line one is cut where a space may stand in JSON: after the first comma.
local function written(event, wanted, line_end)
  local data = event.data
  local prefix = wanted.bare and "data:" or "data: "
  if wanted.multiline then data = data:gsub(',"', "," .. line_end .. prefix .. '"', 1) end
  return (wanted.comments and ": a comment" .. line_end or "")
    .. (event.event and "event: " .. event.event .. line_end or "")
    .. prefix .. data .. line_end .. line_end
end

local function send_huge(out, size, line_end)
  writer.send(out, 'data: {"id":"chatcmpl-mock0001","object":"chat.completion.chunk","created":1735689600,'
    .. '"model":"mock","choices":[{"index":0,"delta":{"content":"')
  local piece = ("x"):rep(HUGE_PIECE)
  for left = size, 1, -HUGE_PIECE do writer.send(out, left >= HUGE_PIECE and piece or piece:sub(1, left)) end
  writer.send(out, '"},"logprobs":null,"finish_reason":null}]}' .. line_end .. line_end)
end

local function error_event(api)
  if api.terminal then return { data = '{"error":{"message":"the mock was asked to fail","type":"server_error",'
    .. '"param":null,"code":null}}' } end
  return { event = "error", data = '{"type":"error","error":{"type":"overloaded_error",'
    .. '"message":"the mock was asked to fail"}}' }
end

-- What shall happen after so many events. Returns true when the stream is over.
local function break_off(api, count, out, wanted, line_end)
  if wanted.stall == count then
    writer.flush(out)
    return writer.stall(out.sequence) or true
  end
  if wanted.close == count or wanted.reset == count then
    writer.flush(out)
    ngx.sleep(0.01)
    return writer.die(wanted.close and "close" or "reset", out.sequence) or true
  end
  if wanted.error == count then
    writer.send(out, written(error_event(api), wanted, line_end))
    return writer.finish(out) or true
  end
  if wanted.huge and count == 1 then send_huge(out, wanted.huge, line_end) end
  return false
end

--- The events and the terminal ones as the bytes of one answer.
function stream.text(events, terminal, wanted)
  local parts = {}
  for _, list in ipairs({ events, terminal }) do
    for _, event in ipairs(list) do parts[#parts + 1] = written(event, wanted, "\n") end
  end
  return table.concat(parts)
end

--- Sends the events, then the terminal ones.
function stream.play(api, events, terminal, wanted, sequence)
  local line_end = LINE_ENDS[wanted.lines or "lf"] or "\n"
  local last = #events
  if wanted.done ~= "no" then
    for _, event in ipairs(terminal) do events[#events + 1] = event end
  end
  begin(wanted)
  local out = writer.open(wanted, sequence)
  for index, event in ipairs(events) do
    if break_off(api, index - 1, out, wanted, line_end) then return end
    if wanted.interval and index > 1 and index <= last then ngx.sleep(wanted.interval / 1000) end
    local bytes = written(event, wanted, line_end)
    if wanted.garbage == index then bytes = "data: {oops, this is not JSON" .. line_end .. line_end end
    if wanted.last_line == "no" and index == #events then bytes = bytes:gsub("[\r\n]+$", "") end
    writer.send(out, bytes)
  end
  if break_off(api, #events, out, wanted, line_end) then return end
  return writer.finish(out)
end

--- Sends recorded bytes as they are; `close`, `reset` and `stall` count bytes here.
function stream.bytes(recorded, wanted, sequence)
  begin(wanted)
  local out = writer.open(wanted, sequence)
  local breaks = wanted.close or wanted.reset or wanted.stall
  if breaks and breaks <= #recorded then
    writer.send(out, recorded:sub(1, breaks))
    writer.flush(out)
    if wanted.stall then return writer.stall(sequence) end
    ngx.sleep(0.01)
    return writer.die(wanted.close and "close" or "reset", sequence)
  end
  writer.send(out, recorded)
  return writer.finish(out)
end

return stream
