-- What a text costs in a place under a guard: CPU time a byte, or, as a number that no machine changes, instructions of the
-- interpreter a byte.

local guards = require("spec.cost.guards")
local places = require("spec.cost.places")
local texts = require("spec.cost.texts")

local measure = {}

-- What all costs are compared with: prose, under the guard that looks for everything.
measure.PROSE = { place = "chat content", guard = "everything", recipe = { "word" } }

-- The guards' names; `none` is no guard.
measure.GUARDS = { "none" }
for name in pairs(guards) do
    measure.GUARDS[#measure.GUARDS + 1] = name
end
table.sort(measure.GUARDS)

-- A case as one line, and back.
function measure.described(case) return ("%s | %s | %s"):format(case.place, case.guard, table.concat(case.recipe, " ")) end

function measure.parsed(line)
    local place, guard, names = line:match("^%s*(.-)%s*|%s*(.-)%s*|%s*(.-)%s*$")
    local recipe = {}
    for name in names:gmatch("%S+") do
        assert(texts.ATOMS[name], name)
        recipe[#recipe + 1] = name
    end
    assert(places.ALL[place] and (guard == "none" or guards[guard]), line)
    return { place = place, guard = guard, recipe = recipe }
end

-- Makes the case's document of about that many bytes of text. Returns what walks it, and its bytes.
local function made(case, bytes)
    local walk, size = places.ALL[case.place](texts.pieces(case.recipe, bytes))
    local guard = guards[case.guard]
    return function() walk(guard) end, size
end

-- Nanoseconds of CPU a byte: the least of some runs, since whatever else the machine does only adds to it.
function measure.time(case, bytes, runs)
    local walk, size = made(case, bytes)
    local least = math.huge
    for _ = 1, runs do
        local began = os.clock()
        walk()
        least = math.min(least, os.clock() - began)
    end
    return least / size * 1e9
end

local GRAIN = 20

-- Instructions of the interpreter a byte. The compiler must be off.
function measure.instructions(case, bytes)
    local walk, size = made(case, bytes)
    local count = 0
    debug.sethook(function() count = count + 1 end, "", GRAIN)
    walk()
    debug.sethook()
    return count * GRAIN / size
end

return measure
