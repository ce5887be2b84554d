-- A pick is made for every attempt: it has to run as compiled traces. See spec/unit/wire/jit_spec.lua, which says what counts. The
-- picks run in processes of their own, set up as nginx's master process sets itself up.

local SCRIPT = [==[
require("jit.opt").start("maxrecord=16000", "maxirconst=4000", "maxsnap=2000", "maxtrace=8000", "maxmcode=40960")
local fields = require("spec.unit.pool.fields")
local schedule = require("sluice.pool.schedule")
local round_robin = require("sluice.pool.pick_round_robin")
local least_load = require("sluice.pool.pick_least_load")
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

local sum = 0
local function round(name)
    local each = POOLS[name]
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
