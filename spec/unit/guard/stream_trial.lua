-- One random case of a guarded stream: made, driven, and judged by the model.

local answer = require("sluice.wire.answer")
local cjson = require("cjson")
local guarding = require("spec.unit.guard.guarding")
local model = require("spec.unit.guard.stream_model")
local random_streams = require("spec.unit.guard.random_streams")
local random_words = require("spec.unit.guard.random_words")
local reference = require("spec.unit.guard.word_reference")
local stream = require("sluice.guard.stream")

local trial = {}

local APIS = { "chat", "completions", "responses", "messages" }
local ACTIONS = { { "mask" }, { "mask", "flag" }, { "block" }, { "flag" }, { "mask", "block" } }

local random = math.random

local function count_events(bytes)
    local _, count = bytes:gsub("\n\n", "")
    return count
end

local function bytes_of(events)
    local parts = {}
    for index, event in ipairs(events) do
        parts[index] = event.bytes
    end
    return table.concat(parts)
end

-- `most`: words and characters in a text, at most.
function trial.random_case(most)
    local case = { api = APIS[random(#APIS)], actions = ACTIONS[random(#ACTIONS)], texts = {} }
    case.words = random_words.set(case.actions)
    local fields = random_streams.FIELDS[case.api]
    for choice = 0, random(0, 2) do
        local first = random(#fields)
        for index = first, math.min(first + (case.words.letters and 0 or random(0, 1)), #fields) do
            local code_points = random_words.text(case.words, most)
            if random_streams.NESTED[fields[index]] then
                code_points = random_words.arguments(code_points)
            end
            case.texts[#case.texts + 1] = { choice = choice, field = fields[index], code_points = code_points }
        end
    end
    case.events = random_streams.make(case.api, case.texts, { mixed = random(4) == 1, most = random(1, 5), late = 6 })
    return case
end

function trial.told(case)
    local parts = { case.api }
    for _, word in ipairs(case.words) do
        parts[#parts + 1] = ("%s/%s%s%s"):format(word[1], word.action, word.whole and " whole" or "", word.loose and " loose" or "")
    end
    for _, event in ipairs(case.events) do
        parts[#parts + 1] = event.bytes
    end
    return table.concat(parts, "\n")
end

-- What goes on, event by event; checks that no more is held than must be.
local function run_by_events(guarded, case, expected)
    local out, gone, most = {}, 0, 0
    for number, event in ipairs(case.events) do
        model.take(expected, event)
        local bytes = stream.read_guarded(guarded, event.bytes, number)
        out[#out + 1] = bytes
        gone = gone + count_events(bytes)
        if guarded.blocked then
            return table.concat(out)
        end
        local least = model.released(expected, true)
        -- What has gone on is gone, even if a text goes on that seemed to have ended.
        most = math.max(most, model.released(expected))
        if gone < least or gone > most then
            return table.concat(out), ("after event %d: %d went on, not %d to %d"):format(number, gone, least, most)
        end
    end
    out[#out + 1] = stream.end_guarded(guarded, 99)
    return table.concat(out)
end

local function run_by_chunks(guarded, case, expected)
    local out, bytes, at = {}, bytes_of(case.events), 1
    local most = ({ 1, 3, 20, 200, 2000 })[random(5)]
    for _, event in ipairs(case.events) do
        model.take(expected, event)
    end
    while at <= #bytes and not guarded.blocked do
        local size = random(1, most)
        out[#out + 1] = stream.read_guarded(guarded, bytes:sub(at, at + size - 1), at)
        at = at + size
    end
    out[#out + 1] = stream.end_guarded(guarded, 99)
    return table.concat(out)
end

local function is_json(text)
    return (pcall(cjson.decode, text))
end

local function check_field(found, field, words, changed)
    local key = random_streams.key_of(field.choice, field.text.field)
    local got = random_words.decoded(found[key] or "")
    local leaked = model.leaks(got, field.nested, words)
    if leaked then
        return ("%s lets out %s: %s"):format(key, leaked, found[key])
    end
    local whole = field.text.code_points
    if not model.masks(field) then
        -- Log probabilities go with the text beside them.
        if not field.tokens and random_words.encoded(got) ~= random_words.encoded(whole) then
            return ("%s was changed: %s"):format(key, found[key])
        end
    elseif not field.tokens and not field.mixed then
        local due = random_words.encoded(model.expected(field))
        if not (field.nested and found[key]:find("null", 1, true)) and found[key] ~= due then
            return ("%s is %s, not %s"):format(key, found[key], due)
        end
        changed[1] = true
    end
    if field.nested and not field.mixed and not is_json(found[key]) then
        return ("%s is no JSON any more: %s"):format(key, found[key])
    end
end

local function check_masked(case, expected, out)
    if count_events(out) ~= #case.events then
        return "an event is missing"
    end
    local found, whole = random_streams.read(out)
    local masks = false
    for _, field in ipairs(expected.fields) do
        local wrong = check_field(found, field, expected.words, {})
        if wrong then
            return wrong
        end
        masks = masks or model.masks(field)
    end
    local number = 0
    for _, event in ipairs(case.events) do
        if event.whole then
            number = number + 1
            local nested = random_streams.NESTED[event.whole.field]
            local leaked = model.leaks(random_words.decoded(whole[number]), nested, expected.words)
            if leaked or (nested and not is_json(whole[number])) then
                return ("repeats %s: %s"):format(tostring(leaked), whole[number])
            end
        end
    end
    if not masks and out ~= bytes_of(case.events) then
        return "nothing was found, but bytes have changed"
    end
end

-- Of a stream that is cut off the client has the events before the first in which something begins that blocks.
local function check_blocked(case, expected, out)
    local found = random_streams.read(out)
    for _, field in ipairs(expected.fields) do
        local text = found[random_streams.key_of(field.choice, field.text.field)] or ""
        local leaked = model.leaks(random_words.decoded(text), field.nested, expected.words)
        if leaked and not (field.nested and leaked) then
            return ("lets out %s: %s"):format(leaked, text)
        end
    end
    if #case.actions == 1 and bytes_of(case.events):sub(1, #out) ~= out then
        return "what was before the block has changed"
    end
    if count_events(out) >= #case.events then
        return "nothing was kept back"
    end
end

local function has_block(expected)
    return model.first_block(expected) ~= nil
end

local guards = {}

-- Compiling a list takes longer than all that is done with it here.
local function guard_of(words)
    local list = reference.list(words)
    guards[list] = guards[list] or guarding.guard({ { words = list } })
    return guards[list]
end

-- Returns what went wrong; nil: nothing.
function trial.try(case)
    local reader = answer.take_answer(case.api, false)
    local guarded = stream.guard_stream(reader, guard_of(case.words))
    local expected = model.new(case.texts, reference.words(case.words))
    local by_events = random(2) == 1
    local out, wrong = (by_events and run_by_events or run_by_chunks)(guarded, case, expected)
    if wrong then
        return wrong
    end
    if guarded.blocked then
        model.finish(expected)
        if not has_block(expected) then
            return "was blocked for nothing"
        end
        return check_blocked(case, expected, out)
    end
    model.finish(expected)
    if guarded.unreadable or has_block(expected) then
        return guarded.unreadable and "could not be read" or "was not blocked"
    end
    answer.return_answer(reader)
    return check_masked(case, expected, out)
end

return trial
