-- The machines against the definition, on random texts. Set SLUICE_SPEC_SEED to the number printed to see the same ones again.

local feeding = require("spec.unit.guard.pattern_feeding")
local pattern = require("sluice.guard.pattern")
local random_text = require("spec.unit.guard.pattern_random").random_text
local reference = require("spec.unit.guard.pattern_reference")
local walking = require("spec.unit.wire.walking")

local ROUNDS = 1000

-- By pattern, texts that may make a match of its beginning; `text` begins where the match is to.
local completions = {}

local function numbers_to_come(text) return (text:gsub("%D", "")) end

completions[reference.MOBILE] = function(text)
    local made = {}
    local digits = numbers_to_come(text)
    for _, whole in ipairs({ "13812345678", "8613812345678", "008613812345678" }) do
        local rest = whole:sub(#digits + 1)
        made[#made + 1] = rest
        made[#made + 1] = (rest:gsub("%d", "-%0"))
        made[#made + 1] = (rest:gsub("%d", "-%0")):sub(2)
    end
    return made
end

completions[reference.ID] = function(text)
    local made = { "" }
    local digits = numbers_to_come(text)
    for _, century in ipairs({ "19", "20" }) do
        for _, day in ipairs({ "11", "10" }) do
            for last = 0, 10 do
                local whole = "110105" .. century .. "0011" .. day .. "111" .. ("0123456789X"):sub(last + 1, last + 1)
                made[#made + 1] = whole:sub(#digits + 1)
            end
        end
    end
    return made
end

completions[reference.CARD] = function(text)
    local made = { "" }
    for missing = 1, 19 - #numbers_to_come(text) do
        for last = 0, 9 do
            made[#made + 1] = ("7"):rep(missing - 1) .. last
        end
    end
    return made
end

completions[reference.SSN] = function(text) return { ("123-45-6789"):sub(#text + 1), ("123 45 6789"):sub(#text + 1) } end

completions[reference.EMAIL] = function() return { "", "m", "mm", ".mm", "m.mm", "@m.mm", "m@m.mm" } end

local function is_among(found, which, start, finish)
    for _, each in ipairs(found) do
        if each[1] == which and each[2] == start and each[3] == finish then
            return true
        end
    end
    return false
end

-- Whether something that begins with `text` has a match from `start` on that isn't among those found so far.
local function can_come(text, which, start, found)
    for _, rest in ipairs(completions[which](text:sub(start))) do
        for _, finish in ipairs(reference.ends(text .. rest, which, start)) do
            if not is_among(found, which, start, finish) then
                return true
            end
        end
    end
    return false
end

describe("the patterns, on random texts", function()
    walking.seed("patterns")
    local texts = {}
    for round = 1, ROUNDS do
        texts[round] = random_text()
    end

    it("find what the definition says, and sleep through nothing that matters", function()
        local counts = {}
        for _, text in ipairs(texts) do
            local found = reference.find(text)
            for _, each in ipairs(found) do
                counts[each[1]] = (counts[each[1]] or 0) + 1
            end
            local expected = feeding.listed(text, found)
            assert.same(expected, feeding.listed(text, feeding.feed(text)), text)
            assert.same(expected, feeding.listed(text, feeding.feed(text, nil, nil, nil, true)), text)
            assert.same(expected, feeding.listed(text, feeding.feed(text, nil, nil, function() return math.random(1, 60) end)), text)
        end
        for _, which in ipairs(reference.PATTERNS) do
            assert.is_true((counts[which] or 0) > ROUNDS / 200, which)
        end
    end)

    it("find the same of one pattern when the others are off", function()
        for round = 1, ROUNDS, 4 do
            local text = texts[round]
            local found = reference.find(text)
            for _, which in ipairs(reference.PATTERNS) do
                local expected = {}
                for _, each in ipairs(found) do
                    if each[1] == which then
                        expected[#expected + 1] = each
                    end
                end
                local listed = feeding.listed(text, expected)
                assert.same(listed, feeding.listed(text, feeding.feed(text, which)), text)
                assert.same(listed, feeding.listed(text, feeding.feed(text, which, nil, function() return math.random(1, 60) end)), text)
            end
        end
    end)

    it("hold a match back from its first character to its last", function()
        for _, text in ipairs(texts) do
            local found = reference.find(text)
            feeding.feed(text, nil, function(index, state)
                for _, each in ipairs(found) do
                    if index >= each[2] and index <= each[3] then
                        local live = pattern.pattern_live(state, each[1], index)
                        assert.is_true(live >= 0 and live <= feeding.first_offset(each[2]), text .. " at " .. index)
                        local any = pattern.pattern_live(state, reference.ALL, index)
                        assert.is_true(any >= 0 and any <= live, text .. " at " .. index)
                    end
                end
            end)
        end
    end)

    it("hold nothing back that can't become a match", function()
        for round = 1, ROUNDS, 4 do
            local text = texts[round]
            feeding.feed(text, nil, function(index, state, found)
                for _, which in ipairs(reference.PATTERNS) do
                    local live = pattern.pattern_live(state, which, index)
                    if live >= 0 then
                        local start = (live - 1) / 5
                        local beginning = text:sub(1, index)
                        assert.is_true(can_come(beginning, which, start, found), which .. " in " .. beginning .. " from " .. start)
                        local most = which == reference.EMAIL and 64 + 1 + 255 or 19 + 18 * 2 + 2
                        assert.is_true(index - start < most, beginning)
                    end
                end
            end)
        end
    end)
end)
