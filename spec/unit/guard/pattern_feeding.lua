-- Feeds texts (as in pattern_reference) to the machines, as a scanner does: from a digit on and with the character before it, if
-- they sleep, and at offsets with gaps.

local bit = require("bit")
local pattern = require("sluice.guard.pattern")
local pattern_class = require("sluice.guard.pattern_class")
local pattern_queue = require("sluice.guard.pattern_queue")
local reference = require("spec.unit.guard.pattern_reference")

local feeding = {}

-- Most that a queue may have before it is read.
local MOST = 60

function feeding.first_offset(index) return index * 5 + 1 end

local function take(state, found)
    for index = 0, state.hits - 1 do
        found[#found + 1] = { state.hit_pattern[index], (state.hit_start[index] - 1) / 5, (state.hit_end[index] - 4) / 5 }
    end
end

local function read(state, wanted, queue, found)
    for _, machine in ipairs({ pattern.numbers_in, pattern.addresses_in }) do
        local at = 0
        while at < queue.length do
            at = machine(state, wanted, queue, at)
            take(state, found)
        end
    end
    pattern.queue_is_read(state, wanted, queue)
end

-- Returns all matches, each as `{ pattern, first, last }`. `wanted`: the patterns, else all. `moment(index, state, found)` is
-- called behind each character. `sizes()` says how many characters the queue takes before it is read, else one. `awake`: the machines
-- get every character.
function feeding.feed(text, wanted, moment, sizes, awake)
    wanted = wanted or reference.ALL
    local state = pattern.new_pattern_state()
    local queue = pattern_queue.new_queue()
    pattern.pattern_reset(state, wanted)
    local found = {}
    local before
    local size = 1
    for index = 1, #text do
        local class = reference.class(text:sub(index, index))
        local asleep = queue.length == 0 and pattern.is_asleep(state)
        if awake or not asleep or bit.band(pattern_class.wake_of(class), state.wake) ~= 0 then
            if asleep and before and not awake then
                pattern_queue.enqueue(queue, before, 0, 0, index - 1)
            end
            pattern_queue.enqueue(queue, class, index * 5 + 1, index * 5 + 4, index - 1)
        end
        before = class
        if queue.length >= size or index == #text then
            read(state, wanted, queue, found)
            size = sizes and math.min(sizes(), MOST) or 1
        end
        if moment then
            moment(index, state, found)
        end
    end
    if pattern.pattern_end(state, wanted) > 0 then
        take(state, found)
    end
    return found
end

-- Sorted, as a table of strings that a failure shows well.
function feeding.listed(text, found)
    local list = {}
    for index, each in ipairs(found) do
        list[index] = ("%02d %03d %s"):format(each[1], each[2], text:sub(each[2], each[3]))
    end
    table.sort(list)
    return list
end

return feeding
