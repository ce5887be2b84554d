-- What the specs of the walker share: a sink that writes down what it is called with, and walks over whole and cut documents.

local json = require("sluice.wire.json")
local shape = require("sluice.wire.shape")
local warm_up = require("sluice.wire.warm_up")

local walking = {}

-- As a worker does when it starts: without it the walker may run ten times slower.
warm_up.warm_up()

-- What the walker calls the kinds of values and the faults, by number: the enums are gone from the compiled module.
local KINDS = { "object", "array", "string", "escaped string", "number", "true", "false", "null" }
local FAULTS = { "syntax", "encoding", "control", "escape", "surrogate", "duplicate", "depth", "keys", "incomplete" }
local NUMBER = 5

-- Every call, in order, positions included.
local RECORDER = {
    begin = function(calls, _, position) calls[#calls + 1] = "<" .. position end,
    character = function(calls, code_point, position, following)
        calls[#calls + 1] = code_point .. "@" .. position .. "-" .. following
    end,
    finish = function(calls, position) calls[#calls + 1] = ">" .. position end,
}

-- Only the characters: a string's end becomes a line feed.
local READER = {
    begin = function() end,
    character = function(parts, code_point) parts[#parts + 1] = json.encode_utf8(code_point) end,
    finish = function(parts) parts[#parts + 1] = "\n" end,
}

local function everything()
    local place = { text = true, key_text = true, count_numbers = true }
    place.items = place
    place.others = place
    return place
end

-- A shape in which every string is text and the values of a, b and the document itself are wanted.
function walking.text_shape()
    local rest = everything()
    local inner = everything()
    inner.slot = "a"
    local root = everything()
    root.slot = "root"
    root.items = { slot = "item", text = true, key_text = true, others = rest, items = rest, count_numbers = true }
    root.members = { a = inner, b = { slot = "b", members = { a = { slot = "inner", text = true } } } }
    root.others = rest
    return shape.compile(root)
end

-- A shape in which no string is text.
function walking.plain_shape()
    return shape.compile({ slot = "root", members = { a = { slot = "a" } }, items = { slot = "item" } })
end

function walking.recording_walk(compiled)
    return json.walker(compiled, RECORDER, {})
end

-- Feeds the pieces as the walker's contract says: what it did not consume is offered again in front of the next piece.
-- Returns the end of the last piece that was not consumed.
function walking.feed_pieces(walk, pieces)
    local state = walk.state
    local rest, offset = "", 0
    for _, piece in ipairs(pieces) do
        local text = rest .. piece
        state.base = offset
        local consumed = json.feed(walk, json.bytes_of(text), 0, #text)
        if state.fault ~= 0 then
            return ""
        end
        assert(#text - consumed <= 400, "more than 400 bytes were left over")
        offset = offset + consumed
        rest = text:sub(consumed + 1)
    end
    state.base = offset
    return rest
end

-- All that a walk tells of a document given in pieces, as one string: two walks that tell the same are the same.
function walking.observe(walk, pieces)
    json.restart(walk)
    local calls = {}
    walk.target = calls
    local rest = walking.feed_pieces(walk, pieces)
    local state = walk.state
    if not json.finish(walk, 0, #rest) then
        return "refused: " .. FAULTS[state.fault] .. " at " .. state.fault_at, false, FAULTS[state.fault]
    end
    local told = {}
    for name, slot in pairs(walk.shape.slot_of) do
        local kind = state.kinds[slot]
        if kind ~= 0 then
            told[#told + 1] = ("%s: %s %d-%d %s"):format(name, KINDS[kind], state.starts[slot], state.ends[slot],
                kind == NUMBER and ("%.17g"):format(state.numbers[slot]) or "")
        end
    end
    table.sort(told)
    return table.concat(told, "\n") .. "\nnumbers " .. state.number_count .. "\n" .. table.concat(calls, " "), true
end

-- The slots of a document: for each name its kind, its bytes and, if it is a number, its value.
function walking.slots(compiled, document)
    local walk = json.walker(compiled, json.NO_SINK, nil)
    local problem = json.check(walk, document)
    if problem then
        return nil, problem
    end
    local found, state = {}, walk.state
    for name, slot in pairs(compiled.slot_of) do
        if state.kinds[slot] ~= 0 then
            found[name] = {
                kind = KINDS[state.kinds[slot]],
                bytes = document:sub(state.starts[slot] + 1, state.ends[slot]),
                number = state.kinds[slot] == NUMBER and state.numbers[slot] or nil,
            }
        end
    end
    return found
end

-- The text of a document, one string or key a line; or nil and what is wrong with the document.
function walking.text_of(compiled, document)
    local parts = {}
    local walk = json.walker(compiled, READER, parts)
    local problem = json.check(walk, document)
    if problem then
        return nil, problem
    end
    return table.concat(parts)
end

-- Cuts a string into pieces of so many bytes.
function walking.chop(text, size)
    local pieces = {}
    for at = 1, #text, size do
        pieces[#pieces + 1] = text:sub(at, at + size - 1)
    end
    return pieces
end

-- Bytes as a person can read them in a failure.
function walking.show(text)
    return (text:gsub("[^\32-\126]", function(found) return ("\\x%02X"):format(found:byte()) end))
end

-- The number that random specs start from: SLUICE_SPEC_SEED, which `make test` and `make fuzz` set, or another each time.
function walking.seed(name)
    local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or (os.time() % 1000000)
    io.write(("%s: SLUICE_SPEC_SEED=%d\n"):format(name, seed))
    math.randomseed(seed)
    return seed
end

return walking
