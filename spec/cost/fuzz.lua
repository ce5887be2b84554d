-- Looks for the text that costs the most CPU a byte: over all classes of characters, places, APIs and guards.
--
--   luajit spec/cost/fuzz.lua [--seconds N] [--seed N] [--instructions]
--
-- It begins with the cases of corpus.txt, the worst that were found before, keeps the dearest that it has met and changes them, again and
-- again. What it finds is measured once more, in this process and in a new one: what costs more only here is a loop that the compiler
-- has given up. With `--instructions`, what counts is not time but instructions of the interpreter, the same on every machine and
-- at any load: that is for tests.
--
-- Exit status 1: something costs more than it may.

package.path = "./?.lua;" .. package.path
local worker = require("spec.cost.worker")
local measure = require("spec.cost.measure")
local places = require("spec.cost.places")
local texts = require("spec.cost.texts")

-- A byte may cost so many times what one of prose does. Without finds it is below five; a text that consists of a list's words costs more, as
-- each find is noted, and the way there is too long for the compiler.
local MOST_TIME = 15
local MOST_INSTRUCTIONS = require("spec.cost.limits").MOST_INSTRUCTIONS
-- The same text of four times the length may cost so much more a byte.
local MOST_GROWTH = 1.5

local TIMED_BYTES = 16384
local COUNTED_BYTES = 600
local KEPT = 24

local options = { ["--seconds"] = 60, ["--seed"] = os.time() % 100000 }
local counting = false
local replayed
do
    local at = 1
    while arg[at] do
        if arg[at] == "--instructions" then
            counting = true
        elseif arg[at] == "--most" then
            -- In place of the limits: for the test that they are kept.
            MOST_TIME, MOST_INSTRUCTIONS = tonumber(arg[at + 1]), tonumber(arg[at + 1])
            at = at + 1
        elseif arg[at] == "--replay" then
            replayed = measure.parsed(arg[at + 1])
            at = at + 1
        else
            options[arg[at]] = assert(options[arg[at]] and tonumber(arg[at + 1]), "usage: [--seconds N] [--seed N] [--instructions]")
            at = at + 1
        end
        at = at + 1
    end
end

if counting then
    jit.off()
else
    worker.warm_up()
end

local function cost(case, runs)
    if counting then
        return measure.instructions(case, COUNTED_BYTES)
    end
    return measure.time(case, TIMED_BYTES, runs)
end

-- What it costs when all that it needs has been compiled.
local function settled_cost(case)
    measure.time(case, TIMED_BYTES, 30)
    return measure.time(case, TIMED_BYTES, 10)
end

if replayed then
    local prose = settled_cost(measure.PROSE)
    io.write(("%.2f %.2f\n"):format(settled_cost(replayed), prose))
    os.exit(0)
end

-- The cost in a new process, as a multiple of what prose costs there.
local function cost_elsewhere(case)
    local pipe = assert(io.popen(("luajit spec/cost/fuzz.lua --replay '%s'"):format(measure.described(case):gsub("'", "'\\''"))))
    local figure, prose = pipe:read("*a"):match("(%S+) (%S+)")
    pipe:close()
    return tonumber(figure) / tonumber(prose)
end

local random = texts.random_source(options["--seed"])

local function random_case()
    return { place = places.NAMES[random(#places.NAMES)], guard = measure.GUARDS[random(#measure.GUARDS)], recipe = texts.random_recipe(random) }
end

local best = {}

local function mutated(case)
    local made = { place = case.place, guard = case.guard, recipe = case.recipe }
    local way = random(6)
    if way == 1 then
        made.place = places.NAMES[random(#places.NAMES)]
    elseif way == 2 then
        made.guard = measure.GUARDS[random(#measure.GUARDS)]
    else
        made.recipe = texts.mutated(case.recipe, random, best[random(#best)].case.recipe)
    end
    return made
end

-- Keeps the case among the dearest, of each place and guard at most two, so that the search does not end in one corner.
local function keep(case, figure)
    local alike = {}
    for index, each in ipairs(best) do
        if each.case.place == case.place and each.case.guard == case.guard then
            alike[#alike + 1] = index
        end
    end
    if #alike >= 2 and options["--seconds"] > 0 then
        local last = alike[#alike]
        if best[last].figure >= figure then
            return
        end
        table.remove(best, last)
    end
    best[#best + 1] = { case = case, figure = figure }
    table.sort(best, function(a, b) return a.figure > b.figure end)
    if options["--seconds"] > 0 then
        best[KEPT + 1] = nil
    end
end

for line in io.lines("spec/cost/corpus.txt") do
    if not line:find("^#") then
        local case = measure.parsed(line)
        keep(case, cost(case, 12))
    end
end

local prose = counting and cost(measure.PROSE) or settled_cost(measure.PROSE)
local unit = counting and "instructions" or "ns"
local tried = 0
local ends = os.time() + options["--seconds"]
while os.time() < ends do
    local case = (#best < KEPT / 2 or random(4) == 1) and random_case() or mutated(best[random(#best)].case)
    tried = tried + 1
    local figure = cost(case, 3)
    if #best < KEPT or figure > best[#best].figure then
        -- What it took to be compiled, or what disturbed it, is left out.
        keep(case, counting and figure or math.min(figure, cost(case, 12)))
    end
end

-- Without time to search, all of the corpus is judged.
local judged = options["--seconds"] > 0 and 10 or #best
io.write(("seed %d: %d cases in %d s; prose: %.2f %s a byte\n"):format(options["--seed"], tried, options["--seconds"], prose, unit))
local failed = false
for index = 1, math.min(judged, #best) do
    local case = best[index].case
    local ratio, more
    if counting then
        ratio = best[index].figure / prose
        local growth = measure.instructions(case, COUNTED_BYTES * 4) / best[index].figure
        failed = failed or ratio > MOST_INSTRUCTIONS or growth > MOST_GROWTH
        more = ("%.2f times that at four times the length"):format(growth)
    else
        ratio = settled_cost(case) / settled_cost(measure.PROSE)
        local elsewhere = cost_elsewhere(case)
        failed = failed or ratio > MOST_TIME or elsewhere > MOST_TIME
        more = ("%.1f in a new process"):format(elsewhere)
    end
    io.write(("%5.1f times prose (%s): %s\n"):format(ratio, more, measure.described(case)))
end
if failed then
    io.write(("a byte may cost %g times what one of prose does\n"):format(counting and MOST_INSTRUCTIONS or MOST_TIME))
    os.exit(1)
end
