-- What choosing an endpoint costs, without nginx around it.
-- luajit pick.lua     SLUICE_LUA: the directory of the compiled Lua.
-- For each figure one line of JSON: nanoseconds of CPU time a pick, the middle one of several rounds. All ways and sizes are picked in turns,
-- so that no figure is that of code compiled for one of them only. What an endpoint has under way is read from an array here: in
-- nginx a shared dictionary is asked for it, of one endpoint with a bound, or of two that are compared, and that is not in the figure.

local LUA = os.getenv("SLUICE_LUA") or "dist/lua"
package.path = LUA .. "/?.lua;" .. package.path

local ffi = require("ffi")
local pick_least_load = require("sluice.pool.pick_least_load")
local conversation_module = require("sluice.pool.conversation")
local pick_prefix = require("sluice.pool.pick_prefix")
local pick_round_robin = require("sluice.pool.pick_round_robin")
local prefix_memory = require("sluice.pool.prefix_memory")
local schedule = require("sluice.pool.schedule")

local ROUNDS = 9
local PICKS = 200000
local SIZES = {8, 1000}
-- The odd ones are busier, and one in sixteen can't be used.
local BUSY = 3
-- Match.Own: an endpoint has met an earlier turn. Picks a second, for what is only looked at now and then.
local OWN = 2
local PICKS_A_SECOND = 10000

--- A pool of so many endpoints, with weights from 1 to 3, as a pick sees it.
local function new_field(count)
  local running = ffi.new("int32_t[?]", count)
  local field = {
    count = count,
    weights = schedule.integers(count), usable = schedule.integers(count),
    most = schedule.integers(count), tried = schedule.integers(count),
    in_flight = function(index) return running[index] end,
    waiting = function() return -1 end,
    cache = function() return -1 end,
  }
  for index = 0, count - 1 do
    field.weights[index] = index % 3 + 1
    field.usable[index] = index % 16 == 5 and 0 or 1
    field.most[index] = 64
    running[index] = index % 2 * BUSY
  end
  return field
end

--- The ways, by name: each makes a function that picks once.
local WAYS = {
  round_robin = function(field, plan)
    local turn = pick_round_robin.new_turn(plan, field.count, 0)
    local pick = pick_round_robin.pick_round_robin
    return function(stamp) return pick(field, turn, stamp) end
  end,
  least_load = function(field, plan)
    local pick, random = pick_least_load.pick_least_load, math.random
    return function(stamp) return pick(field, plan, stamp, random(), random()) end
  end,
  -- Each endpoint in its turn has met the conversation; where it is too busy for it, another is picked by load.
  prefix = function(field, plan)
    local ids, index_of = schedule.integers(field.count), {}
    for index = 0, field.count - 1 do
      ids[index] = index * 7919 + 1
      index_of[ids[index]] = index
    end
    local affinity = pick_prefix.new_affinity(prefix_memory.own_memory(4096), 1, ids, index_of, field.count)
    local conversation = conversation_module.new_conversation()
    conversation.match, conversation.seed, conversation.length, conversation.matched = OWN, 1, 20, 15
    local pick, pick_other, random = pick_prefix.pick_prefix, pick_least_load.pick_least_load, math.random
    return function(stamp)
      conversation.holder = ids[stamp % field.count]
      local index = pick(field, affinity, conversation, stamp, stamp / PICKS_A_SECOND)
      if index >= 0 then return index end
      return pick_other(field, plan, stamp, random(), random())
    end
  end,
}
local ORDER = {"round_robin", "least_load", "prefix"}

--- Modules that are no ways of their own, but call them.
local CALLERS = {any = true, endpoint = true}

--- Every way that the gateway has must be measured here.
local function check_ways()
  local listing = assert(io.popen("ls '" .. LUA .. "/sluice/pool'"))
  for file in listing:lines() do
    local way = file:match("^pick_(.+)%.lua$")
    assert(not way or CALLERS[way] or WAYS[way], "pick.lua doesn't know how to measure " .. file)
  end
  listing:close()
end

--- Picks so often. Returns seconds of CPU time.
local function run(pick, picks)
  local sum = 0
  local began = os.clock()
  for number = 1, picks do
    sum = sum + pick(number)
  end
  local seconds = os.clock() - began
  assert(sum > 0)
  return seconds
end

check_ways()
math.randomseed(1)
local cases = {}
for _, size in ipairs(SIZES) do
  for _, way in ipairs(ORDER) do
    local field = new_field(size)
    local plan = schedule.build_schedule(field.weights, size)
    cases[#cases + 1] = {way = way, size = size, pick = WAYS[way](field, plan), times = {}}
  end
end
for _ = 1, ROUNDS do
  for _, case in ipairs(cases) do
    case.times[#case.times + 1] = run(case.pick, PICKS)
  end
end
for _, case in ipairs(cases) do
  table.sort(case.times)
  local middle = case.times[math.ceil(ROUNDS / 2)]
  io.write(string.format('{"name":"pick %s %d","what":"a pick, %s, %d endpoints","unit":"ns","target":0,"figure":%.2f}\n',
    case.way, case.size, case.way, case.size, middle / PICKS * 1e9))
end
