-- Feeds texts (as in pattern_reference) to the machines, as a scanner does: only the characters they want to be woken for, at
-- offsets with gaps.

local bit = require("bit")
local pattern = require("sluice.guard.pattern")
local pattern_class = require("sluice.guard.pattern_class")
local reference = require("spec.unit.guard.pattern_reference")

local feeding = {}

function feeding.first_offset(index) return index * 5 + 1 end

local function take(state, count, found)
    for index = 0, count - 1 do
        found[#found + 1] = { state.hit_pattern[index], (state.hit_start[index] - 1) / 5, (state.hit_end[index] - 4) / 5 }
    end
end

-- Returns all matches, each as `{ pattern, first, last }`. `wanted`: the patterns, else all. `moment(index, state, found)` is
-- called behind each character. `awake`: the machine gets every character.
function feeding.feed(text, wanted, moment, awake)
    wanted = wanted or reference.ALL
    local state = pattern.new_pattern_state()
    pattern.pattern_reset(state, wanted)
    local found = {}
    local before = 0
    for index = 1, #text do
        local class = reference.class(text:sub(index, index))
        if awake or bit.band(pattern_class.wake_of(class), state.wake) ~= 0 then
            take(state, pattern.pattern_step(state, wanted, class, before, index * 5 + 1, index * 5 + 4, index - 1), found)
        end
        before = class
        if moment then
            moment(index, state, found)
        end
    end
    take(state, pattern.pattern_end(state, wanted), found)
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
