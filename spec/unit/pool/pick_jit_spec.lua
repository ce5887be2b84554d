-- A pick is made for every attempt: it has to run as compiled traces. See spec/unit/wire/jit_spec.lua, which says what counts. The
-- picks run in processes of their own, set up as nginx's master process sets itself up.

local SCRIPT = [==[
require("jit.opt").start("maxrecord=16000", "maxirconst=4000", "maxsnap=2000", "maxtrace=8000", "maxmcode=40960")
local fields = require("spec.unit.pool.fields")
local schedule = require("sluice.pool.schedule")
local round_robin = require("sluice.pool.pick_round_robin")
local least_load = require("sluice.pool.pick_least_load")
local conversation_module = require("sluice.pool.conversation")
local memory_module = require("sluice.pool.prefix_memory")
local pick_prefix = require("sluice.pool.pick_prefix")
local prefix_blocks = require("sluice.pool.prefix_blocks")
local util = require("jit.util")
local reasons = require("jit.vmdef").traceerr

math.randomseed(7)
local function pool(count, usable, full, tried)
    local endpoints = {}
    for index = 1, count do
        endpoints[index] = {
            weight = math.random(20), usable = math.random() < usable, most = 4, running = math.random() < full and 4 or math.random(0, 3),
            tried = math.random() < tried and 1 or 0, waiting = math.random(-1, 3), cache = math.random(-1, 1),
        }
    end
    local field = fields.field(endpoints)
    local turns = schedule.build_schedule(field.weights, count)
    return { field = field, turns = turns, turn = round_robin.new_turn(turns, count, 0) }
end
local POOLS = {
    healthy = pool(8, 1, 0, 0), large = pool(1000, 1, 0, 0), half = pool(100, 0.5, 0.3, 0.1), few = pool(1000, 0.01, 0.5, 0),
    full = pool(20, 1, 1, 0), tried = pool(5, 0.9, 0, 1), one = pool(1, 1, 0, 0),
}

local memory, blocks = memory_module.own_memory(memory_module.MEMORY_BYTES), prefix_blocks.new_blocks()
local conversation = conversation_module.new_conversation()
for _, each in pairs(POOLS) do
    local ids, index_of = {}, {}
    for index = 0, each.field.count - 1 do
        ids[index + 1], index_of[index + 10] = index + 10, index
    end
    each.affinity = pick_prefix.new_affinity(memory, 1, fields.integers(ids), index_of, each.field.count)
end
local function text_of(length)
    local text = {}
    for index = 1, length / 8 do text[index] = ("%8d"):format(math.random(99999999)) end
    return table.concat(text)
end
local TEXTS, now = {}, 0
for index = 1, 40 do TEXTS[index] = (index % 2 == 0 and TEXTS[index - 1] or "") .. text_of(math.random(100) ^ 2) end

local sum = 0
local function follow(each, text)
    prefix_blocks.begin_blocks(blocks, "gpu", "m")
    prefix_blocks.add_rest(blocks, "tools", 0, 5)
    local rest = prefix_blocks.add_blocks(blocks, text, 0, #text)
    prefix_blocks.end_blocks(blocks, text, rest, #text)
    if math.random() < 0.2 then
        conversation_module.look_up_session(conversation, memory, "gpu", 1, "m", "acme", text:sub(1, 20))
    else
        conversation_module.look_up(conversation, blocks, memory, 1)
    end
    now = now + 0.1
    local index = pick_prefix.pick_prefix(each.field, each.affinity, conversation, 1, now)
    if index < 0 then index = least_load.pick_least_load(each.field, each.turns, 1, math.random(), math.random()) end
    if index >= 0 then conversation_module.remember(conversation, memory, index + 10) end
    sum = sum + index
end

local function round(name)
    local each = POOLS[name]
    for _ = 1, 5 do follow(each, TEXTS[math.random(#TEXTS)]) end
    for _ = 1, 50 do
        sum = sum + round_robin.pick_round_robin(each.field, each.turn, 1)
        sum = sum + least_load.pick_least_load(each.field, each.turns, 1, math.random(), math.random())
    end
end

local NAMES = { "healthy", "large", "half", "few", "full", "tried", "one" }
if #arg > 0 then NAMES = arg end
local harmless = {
    ["inner loop in root trace"] = true, ["leaving loop in root trace"] = true, ["loop unroll limit reached"] = true,
    ["retry recording"] = true,
}
local aborts = 0
local function note(what, _, func, pc, code, info)
    if what == "abort" and not harmless[reasons[code]] then
        local place = util.funcinfo(func, pc)
        if tostring(place.source):find("sluice/pool/", 1, true) then
            aborts = aborts + 1
            io.write("given up at ", tostring(place.loc), ", ", reasons[code]:format(info), "\n")
        end
    end
end
jit.attach(note, "trace")
for _ = 1, 200 do
    for _, name in ipairs(NAMES) do round(name) end
end
jit.attach(note)
io.write("given up ", aborts, "\n")
]==]

describe("picks have no loop that is interpreted", function()
    local function run(name)
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write(SCRIPT)
        file:close()
        local pipe = assert(io.popen(("LUA_PATH='%s;./?.lua' luajit %s %s 2>&1"):format(package.path, path, name)))
        local said = pipe:read("*a")
        pipe:close()
        os.remove(path)
        return said
    end

    for _, name in ipairs({ "healthy", "large", "half", "few", "full", "tried", "one" }) do
        it("of a pool that is " .. name, function()
            for _ = 1, 2 do
                assert.equal("given up 0\n", run(name))
            end
        end)
    end

    it("of all of them in turn", function()
        for _ = 1, 3 do
            assert.equal("given up 0\n", run(""))
        end
    end)
end)
