-- How fast the walk is, without nginx around it.
-- luajit walk.lua     SLUICE_LUA: the directory of the compiled Lua.
-- For each thing walked, one line of JSON with the middle one of a few rounds. All of them warm the JIT up
-- together and are measured in turns, so that no figure is that of code compiled for one document only. Time is
-- CPU time.

package.path = (os.getenv("SLUICE_LUA") or "dist/lua") .. "/?.lua;" .. package.path

local WARM_ROUNDS = 4
local ROUNDS = 3
local WALKED_BYTES = 15000000
local WALKED_EVENTS = 30000

-- As the gateway does at its start.
require("sluice.wire.warm_up").warm_up()

local answer = require("sluice.wire.answer")
local request = require("sluice.wire.request")

local ENGLISH = "A request is read once. What has to change is changed where it lies, and everything else is passed on "
  .. "exactly as it came: numbers of any size, the order of keys, and the client's own spaces.\\n\\n"
  .. "\\\"Why not decode it?\\\" you may ask. Because 3 of 4 surprises (see page 17) begin with decoding! "
local CHINESE = "网关把请求的字节从头到尾只读一遍，需要改动的地方就地改动，其余内容原样转发。"
  .. "数字不会丢失精度，键的顺序不会改变，客户端写的空格也都还在。\\n“为什么不先解码？”因为多数意外都从解码开始（见第17页）。"

--- A conversation of at least that many bytes in four turns.
local function chat(text, bytes)
  local turn = text:rep(math.ceil(bytes / 4 / #text))
  local messages = {}
  for number, role in ipairs({"system", "user", "assistant", "user"}) do
    messages[number] = '{"role":"' .. role .. '","content":"' .. turn .. '"}'
  end
  return '{"model":"bench","stream":true,"temperature":0.7,"max_tokens":512,"messages":['
    .. table.concat(messages, ",") .. "]}"
end

local function range_of(body, from, to)
  return body:sub(from + 1, to)
end

local function walk_request(body)
  local reader = request.take("chat")
  assert(request.read(reader, body))
  local reading, refusal = request.conclude(reader, range_of, body)
  assert(reading, refusal and refusal.message)
  assert(reading.model == "bench" and reading.stream and reading.prompt_tokens > 1000)
  request.release(reader)
end

local subjects = {}

local function add_request(name, text)
  local body = chat(text, 30000)
  local repeats = math.ceil(WALKED_BYTES / #body)
  subjects[#subjects + 1] = {
    what = "request walk, " .. name .. " chat of " .. math.floor(#body / 1000) .. " kB",
    unit = "MB/s",
    target = 250,
    run = function()
      for _ = 1, repeats do
        walk_request(body)
      end
    end,
    figure = function(seconds)
      return #body * repeats / seconds / 1e6
    end,
  }
end

--- The events of one stream, about 150 bytes each.
local function stream_of(count)
  local events = {}
  for number = 1, count do
    events[number] = 'data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":1760000000,"model":"bench",'
      .. '"choices":[{"index":0,"delta":{"content":" word' .. number .. '"}}]}\n\n'
  end
  return events
end

local function add_event()
  local events = stream_of(200)
  local repeats = math.ceil(WALKED_EVENTS / #events)
  subjects[#subjects + 1] = {
    what = "one event of a stream, " .. #events[1] .. " bytes, walked",
    unit = "µs",
    target = 1.5,
    run = function()
      for _ = 1, repeats do
        local reader = answer.new_answer("chat", true)
        for number = 1, #events do
          assert(answer.read_stream(reader, events[number]) == nil)
        end
        assert(reader.events == #events and not reader.malformed and answer.counted_output(reader) >= #events)
      end
    end,
    figure = function(seconds)
      return seconds * 1e6 / (repeats * #events)
    end,
  }
end

add_request("English", ENGLISH)
add_request("Chinese", CHINESE)
add_event()

for _ = 1, WARM_ROUNDS do
  for _, subject in ipairs(subjects) do
    subject.run()
    subject.figures = {}
  end
end
for round = 1, ROUNDS do
  for _, subject in ipairs(subjects) do
    local began = os.clock()
    subject.run()
    subject.figures[round] = subject.figure(os.clock() - began)
  end
end
for _, subject in ipairs(subjects) do
  table.sort(subject.figures)
  io.write(string.format('{"what":"%s","unit":"%s","target":%g,"figure":%.4f}\n',
    subject.what, subject.unit, subject.target, subject.figures[math.ceil(ROUNDS / 2)]))
end
