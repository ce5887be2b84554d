-- What a guarded stream has to do, worked out from the whole texts: which events may have gone on when, and as what.

local random_streams = require("spec.unit.guard.random_streams")
local reference = require("spec.unit.guard.word_reference")

local model = {}

-- texts: each { choice, field, code_points }.
function model.new(texts, words)
    local made = { fields = {}, by_key = {}, words = words, event = 0 }
    for index, text in ipairs(texts) do
        local field = {
            text = text, choice = text.choice, nested = random_streams.NESTED[text.field], tokens = text.field == "tokens",
            units = {}, items = {}, count = 0, event_of = {}, settled = true, settled_at = {}, mixed = false,
        }
        made.fields[index] = field
        made.by_key[random_streams.key_of(text.choice, text.field)] = field
    end
    return made
end

local function settle(field)
    if not field.settled then
        field.settled = true
        field.settled_at[#field.items] = true
    end
end

local function grow(field, part, event)
    local code_points = field.text.code_points
    for at = part.from, part.to do
        field.event_of[at] = event
    end
    if part.to >= part.from then
        -- A word that was cut off by the end of the text may go on after all.
        field.mixed = field.mixed or next(field.settled_at) ~= nil
    end
    field.count = math.max(field.count, part.to)
    local so_far = {}
    if field.nested then
        for at = 1, field.count do
            so_far[at] = code_points[at]
        end
        field.units, field.open = reference.nested_units(so_far)
    else
        for at = #field.units + 1, field.count do
            field.units[at] = { code_points[at], at, at }
        end
    end
    field.items = reference.items(field.units)
end

-- The event comes.
function model.take(made, event)
    made.event = made.event + 1
    for _, part in ipairs(event.parts or {}) do
        local field = made.by_key[part.key]
        -- A string without characters says nothing.
        local any = part.to >= part.from
        if any and not field.tokens then
            for _, other in ipairs(made.fields) do
                if other ~= field and other.choice == field.choice and not other.tokens then
                    settle(other)
                end
            end
        end
        field.settled = field.settled and not any
        grow(field, part, made.event)
    end
    if event.settles then
        for _, field in ipairs(made.fields) do
            if event.settles == true or event.settles == field.choice then
                settle(field)
            end
        end
    end
end

-- How many events may have gone on by now: all before the one in which something begins that is not complete. `roughly`: how many
-- must have, at least. A guard remembers of a word that has begun not where separators stood in it.
function model.released(made, roughly)
    local first = made.event + 1
    for _, field in ipairs(made.fields) do
        if not field.settled then
            local live = reference.live(field.items, made.words, field.settled_at, roughly)
            if live then
                first = math.min(first, field.event_of[field.items[live].first])
            end
            if field.open then
                first = math.min(first, field.event_of[field.open])
            end
        end
    end
    return model.unbroken(made, first) - 1
end

-- A word that does not stand alone goes on with what follows it, or not at all.
function model.unbroken(made, first)
    local wanted = first
    for _, field in ipairs(made.fields) do
        for _, pair in ipairs(reference.refuted(field.items, made.words, field.settled_at)) do
            local last, behind = field.event_of[pair[1]], field.event_of[pair[2]]
            if last < wanted and behind >= wanted then
                wanted = last
            end
        end
    end
    return wanted == first and first or model.unbroken(made, wanted)
end

-- All texts have ended.
function model.finish(made)
    for _, field in ipairs(made.fields) do
        settle(field)
        field.found = reference.matches(field.items, made.words, field.settled_at)
    end
end

-- The first event in which something begins that blocks; nil: nothing does.
function model.first_block(made)
    local first
    for _, field in ipairs(made.fields) do
        for _, match in ipairs(field.found) do
            if match.word.action == "block" then
                local event = field.event_of[field.items[match.first].first]
                first = math.min(first or event, event)
            end
        end
    end
    return first
end

function model.masks(field)
    for _, match in ipairs(field.found) do
        if match.word.action ~= "flag" then
            return true
        end
    end
    return false
end

-- What the client should have of the text.
function model.expected(field)
    return reference.masked(field.units, field.text.code_points, reference.chosen(field.found))
end

-- Whether a listed word that has to be kept from the client is in the text that it has.
function model.leaks(text, nested, words)
    local units = (nested and reference.nested_units or reference.plain_units)(text)
    for _, match in ipairs(reference.matches(reference.items(units, true), words)) do
        if match.word.action ~= "flag" then
            return match.word.text
        end
    end
end

return model
