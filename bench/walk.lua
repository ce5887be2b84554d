-- How fast the walk is, with and without a guard's scan, and without nginx around it.
-- luajit walk.lua DIRECTORY     SLUICE_LUA: the directory of the compiled Lua.
-- DIRECTORY has the lists many.txt and few.txt and the texts Chinese.txt and English.txt.
-- For each figure one line of JSON. All that is walked warms the JIT up together and is measured in turns, so that
-- no figure is that of code compiled for one document only; a time is the middle one of a few rounds. Time is CPU time.
-- What a scan costs by itself is the difference between the same walk with and without it. A target of 0 is none.

local LUA = os.getenv("SLUICE_LUA") or "dist/lua"
package.path = LUA .. "/?.lua;" .. arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path

local directory = assert(arg[1], "no directory")

local WARM_ROUNDS = 4
local ROUNDS = 7
local WALKED_BYTES = 6000000
local WALKED_EVENTS = 20000

local FIND = "the list has words that are in the texts: to scan those is another thing, and not what is measured here"

local function content_of(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

-- As the gateway does at its start, in the same order and with the options that it gives the JIT compiler.
require("sluice.wire.text").use_text_sink(require("sluice.guard.text_sink").GUARDED_TEXT)
local guards = require("guards")
local MANY = guards.guard(directory, "many")
local FEW = guards.guard(directory, "few")
local options = assert(content_of(LUA .. "/sluice/phases/init.lua"):match("start_options%(([^()]+)%)"))
for option in options:gmatch('"([^"]+)"') do
  require("jit.opt").start(option)
end
require("sluice.wire.warm_up").warm_up()
require("sluice.guard.warm_up").warm_up_guards()

local answer = require("sluice.wire.answer")
local prompt = require("sluice.guard.prompt")
local request = require("sluice.wire.request")
local stream = require("sluice.guard.stream")
local text = require("sluice.guard.text")

local ESCAPES = {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n"}

--- A conversation of four turns that have that text among them.
local function chat(content)
  local messages = {}
  local from = 1
  for number, role in ipairs({"system", "user", "assistant", "user"}) do
    local to = number == 4 and #content or math.floor(#content * number / 4)
    while to < #content and content:byte(to + 1) >= 128 and content:byte(to + 1) < 192 do
      to = to + 1
    end
    messages[number] = '{"role":"' .. role .. '","content":"' .. content:sub(from, to):gsub('["\\\n]', ESCAPES) .. '"}'
    from = to + 1
  end
  return '{"model":"bench","stream":true,"temperature":0.7,"max_tokens":512,"messages":['
    .. table.concat(messages, ",") .. "]}"
end

local function range_of(body, from, to)
  return body:sub(from + 1, to)
end

--- Walks a request as the access phase does. Returns what the guard found, if there is one.
local function walk_request(body, guard)
  local reader = request.take("chat", guard ~= nil)
  if guard then
    prompt.watch_prompt(reader.text, guard)
  end
  assert(request.read(reader, body))
  local reading, refusal = request.conclude(reader, range_of, body)
  assert(reading, refusal and refusal.message)
  local verdict = guard and prompt.judge_prompt(reader.text, guard)
  assert(reading.model == "bench" and reading.stream and reading.prompt_tokens > 1000)
  request.release(reader)
  return verdict
end

local function walk_stream(events)
  local reader = answer.take_answer("chat", true)
  for number = 1, #events do
    assert(answer.read_stream(reader, events[number]) == nil)
  end
  assert(reader.events == #events and not reader.malformed and answer.counted_output(reader) > 0)
  answer.return_answer(reader)
end

--- Walks a stream as the body filter does: what comes out is what went in, if perhaps later.
local function walk_guarded_stream(events, guard)
  local reader = answer.take_answer("chat", false)
  local guarded = stream.guard_stream(reader, guard)
  local bytes, sent = 0, 0
  for number = 1, #events do
    bytes = bytes + #events[number]
    sent = sent + #stream.read_guarded(guarded, events[number], number)
  end
  sent = sent + #stream.end_guarded(guarded, #events)
  assert(not guarded.blocked, FIND)
  assert(reader.events == #events and not guarded.unreadable and sent == bytes)
  text.unguard_text(reader.text)
  answer.return_answer(reader)
end

local subjects = {}

--- Something to be timed: `run` is called so often that it takes a while.
local function subject(repeats, run)
  local made = {times = {}}
  function made.round()
    local began = os.clock()
    for _ = 1, repeats do
      run()
    end
    made.times[#made.times + 1] = (os.clock() - began) / repeats
  end
  subjects[#subjects + 1] = made
  return made
end

local function middle(values)
  table.sort(values)
  return values[math.ceil(#values / 2)]
end

--- The middle of what a calculation says of each round's times: rounds that stand side by side are compared.
local function figure_of(calculate, ...)
  local figures = {}
  for round = 1, ROUNDS do
    local times = {}
    for number, one in ipairs({...}) do
      times[number] = one.times[round]
    end
    figures[round] = calculate(unpack(times))
  end
  return middle(figures)
end

local lines = {}

local function line(name, what, unit, target, calculate, ...)
  lines[#lines + 1] = {name = name, what = what, unit = unit, target = target, calculate = calculate, subjects = {...}}
end

--- The lines of a text sent as a request. Its target is that of the walk and the scan together.
local function add_request(language, target)
  local body = chat(content_of(directory .. "/" .. language .. ".txt"))
  local name = language .. " chat of " .. math.floor(#body / 1000) .. " kB"
  local repeats = math.ceil(WALKED_BYTES / #body)
  assert(not walk_request(body, MANY), FIND)
  local plain = subject(repeats, function() walk_request(body) end)
  local few = subject(repeats, function() walk_request(body, FEW) end)
  local many = subject(repeats, function() walk_request(body, MANY) end)
  local function speed(seconds)
    return #body / seconds / 1e6
  end
  line("plain walk " .. language, "request walk, " .. name .. ", no guard", "MB/s", 0, speed, plain)
  line("walk " .. language, "request walk and scan, " .. name, "MB/s", target, speed, many)
  line("scan " .. language, "of that the scan alone, " .. language, "MB/s", 0, function(without, with)
    return speed(math.max(with - without, 1e-9))
  end, plain, many)
  local growth = "more time for the scan than with 1,000 words, " .. language
  line("growth " .. language, growth, "%", 20, function(without, with_few, with)
    return ((with - without) / math.max(with_few - without, 1e-9) - 1) * 100
  end, plain, few, many)
end

--- The events of one stream, about 150 bytes each, with a few of the text's characters in each.
local function stream_of(content, count, pattern)
  local events = {}
  for piece in content:gmatch(pattern) do
    events[#events + 1] = 'data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":1760000000,"model":"bench",'
      .. '"choices":[{"index":0,"delta":{"content":"' .. piece:gsub('["\\\n]', ESCAPES) .. '"}}]}\n\n'
    if #events == count then
      break
    end
  end
  return events
end

local function add_events(language, pattern)
  local events = stream_of(content_of(directory .. "/" .. language .. ".txt"), 200, pattern)
  local repeats = math.ceil(WALKED_EVENTS / #events)
  local bytes = math.floor(#table.concat(events) / #events + 0.5)
  local plain = subject(repeats, function() walk_stream(events) end)
  local many = subject(repeats, function() walk_guarded_stream(events, MANY) end)
  local function microseconds(seconds)
    return seconds * 1e6 / #events
  end
  local what = "one event of a stream, " .. bytes .. " bytes, " .. language
  line("plain event " .. language, what .. ", walked, no guard", "µs", 0, microseconds, plain)
  line("event " .. language, what .. ", walked and scanned", "µs", 1.5, microseconds, many)
end

add_request("Chinese", 400)
add_request("English", 250)
add_events("Chinese", "[%z\1-\127\194-\244][\128-\191]*[%z\1-\127\194-\244][\128-\191]*")
add_events("English", "%s?[^%s]+")

for _ = 1, WARM_ROUNDS do
  for _, one in ipairs(subjects) do
    one.round()
    one.times = {}
  end
end
for _ = 1, ROUNDS do
  for _, one in ipairs(subjects) do
    one.round()
  end
end
for _, one in ipairs(lines) do
  io.write(string.format('{"name":"%s","what":"%s","unit":"%s","target":%g,"figure":%.4f}\n',
    one.name, one.what, one.unit, one.target, figure_of(one.calculate, unpack(one.subjects))))
end
