local fields = require("spec.unit.pool.fields")
local least_load = require("sluice.pool.pick_least_load")
local schedule = require("sluice.pool.schedule")
local walking = require("spec.unit.wire.walking")

local function schedule_of(field)
    return schedule.build_schedule(field.weights, field.count)
end

local function pick(field, turns, random1, random2, stamp)
    return least_load.pick_least_load(field, turns, stamp or 1, random1 or math.random(), random2 or math.random())
end

local ALMOST_ONE = 1 - 2 ^ -53

-- How often each is picked.
local function tally(field, count)
    local turns, counts = schedule_of(field), {}
    for index = -1, field.count - 1 do counts[index] = 0 end
    for _ = 1, count do
        local picked = pick(field, turns)
        counts[picked] = counts[picked] + 1
    end
    return counts
end

-- Fails if a count is further from what a share makes likely than chance would have it once in millions of times.
local function assert_share(share, count, picks)
    local spread = math.sqrt(picks * share * (1 - share))
    assert.is_true(math.abs(count - picks * share) <= 6 * spread, ("%d of %d for a share of %f"):format(count, picks, share))
end

describe("the least load", function()
    local seed
    before_each(function() seed = seed or walking.seed("least load") end)

    it("is that of two endpoints, whatever the random numbers, if there are two", function()
        for _, weights in ipairs({ { 1, 1 }, { 1000, 1 }, { 1, 1000 }, { 3, 2, 1 }, { 1, 1, 1, 1, 1 } }) do
            local endpoints = {}
            for index, weight in ipairs(weights) do endpoints[index] = { weight = weight } end
            local field = fields.field(endpoints)
            local turns = schedule_of(field)
            for _, random1 in ipairs({ 0, 0.3, 0.5, 0.999, ALMOST_ONE }) do
                for _, random2 in ipairs({ 0, 0.3, 0.5, 0.999, ALMOST_ONE }) do
                    fields.forget_questions(field)
                    assert.equal("untried", fields.kind(field, pick(field, turns, random1, random2), 1))
                    assert.equal(2, field.questions)
                    for _, times in pairs(field.asked) do assert.equal(1, times) end
                end
            end
        end
    end)

    it("is the lighter one's", function()
        local field = fields.field({ { running = 3 }, { running = 2 } })
        local turns = schedule_of(field)
        assert.equal(1, pick(field, turns, 0, 0.5))
        assert.equal(1, pick(field, turns, 0.5, 0))
        assert.equal(1, pick(field, turns, 0, 0))
        field.endpoints[2].running = 4
        assert.equal(0, pick(field, turns, 0, 0.5))
        assert.equal(0, pick(field, turns, 0.5, 0))
    end)

    it("of one endpoint is that one's, and of none nobody's", function()
        local field = fields.field({ { running = 9 } })
        assert.equal(0, pick(field, schedule_of(field), ALMOST_ONE, ALMOST_ONE))
        local empty = fields.field({})
        assert.equal(-1, pick(empty, schedule_of(empty), 0, 0))
    end)

    it("is looked for by weight", function()
        -- All have the same load: the first drawn one is taken.
        local endpoints, sum, picks = {}, 0, 40000
        for index, weight in ipairs({ 1, 2, 3, 10, 24, 60 }) do
            endpoints[index] = { weight = weight, running = weight * 10 - 1 }
            sum = sum + weight
        end
        local counts = tally(fields.field(endpoints), picks)
        for index, each in ipairs(endpoints) do assert_share(each.weight / sum, counts[index - 1], picks) end
    end)

    it("is found among few that stand side by side, by weight", function()
        local endpoints, picks = {}, 20000
        for index = 1, 1000 do endpoints[index] = { usable = false } end
        for weight = 1, 5 do endpoints[300 + weight] = { weight = weight, running = weight * 10 - 1 } end
        local counts = tally(fields.field(endpoints), picks)
        for weight = 1, 5 do
            -- A few are found by sampling, in which a neighbour stands in for one that was drawn twice.
            assert.is_true(math.abs(counts[299 + weight] / picks - weight / 15) < 0.03, counts[299 + weight])
        end
    end)

    it("is compared also among few", function()
        local endpoints = {}
        for index = 1, 1000 do endpoints[index] = { usable = false } end
        endpoints[500] = { running = 5 }
        endpoints[501] = { running = 4 }
        local counts = tally(fields.field(endpoints), 2000)
        assert.equal(2000, counts[499] + counts[500])
        -- Only a sample that found the one and not the other can pick it.
        assert.is_true(counts[499] < 100, counts[499])
    end)

    it("is compared with another one's though nearly all turns are one endpoint's", function()
        local field = fields.field({ { weight = 1000, running = 100000 }, { usable = false }, {} })
        local counts = tally(field, 2000)
        -- The unusable one stands before two thirds of the turns: seven draws find nothing else 6 % of the times.
        assert.is_true(counts[2] > 1780, counts[2])
    end)

    it("is found where all but one are full, unusable or tried", function()
        for _, closed in ipairs({ { usable = false }, { most = 1, running = 1 }, { tried = 1 } }) do
            for open = 1, 60 do
                local endpoints = {}
                for index = 1, 60 do endpoints[index] = index == open and {} or closed end
                local field = fields.field(endpoints)
                assert.equal(open - 1, pick(field, schedule_of(field)))
            end
        end
    end)

    it("is that of a tried one if no other is left", function()
        local field = fields.field({ { usable = false }, { tried = 1 }, { most = 1, running = 1 } })
        assert.equal(1, pick(field, schedule_of(field)))
        assert.equal(1, pick(field, schedule_of(field), nil, nil, 2))
    end)

    it("is nobody's if the tried ones can't be used either", function()
        local field = fields.field({ { tried = 1, usable = false }, { tried = 1, most = 1, running = 1 } })
        assert.equal(-1, pick(field, schedule_of(field)))
    end)

    it("asks few endpoints if half of a thousand can be used", function()
        local endpoints = {}
        for index = 1, 1000 do endpoints[index] = { most = 1, running = math.random(0, 1) } end
        local field = fields.field(endpoints)
        local turns = schedule_of(field)
        for _ = 1, 1000 do assert.is_true(pick(field, turns) >= 0) end
        assert.is_true(field.questions < 6000, field.questions)
    end)

    it("seldom looks at all endpoints if every other one is down", function()
        for _, count in ipairs({ 100, 128, 1000, 1024 }) do
            local endpoints = {}
            for index = 1, count do endpoints[index] = { usable = index % 2 == 0, running = 1 } end
            local field = fields.field(endpoints)
            local turns = schedule_of(field)
            local usable, looks = field.usable, 0
            field.usable = setmetatable({}, { __index = function(_, index)
                looks = looks + 1
                return usable[index]
            end })
            for _ = 1, 1000 do assert.is_true(pick(field, turns) >= 0) end
            -- Eight draws find nothing once in 256 times; a look at all is some three times as many.
            assert.is_true(looks < 1000 * 8 + 20 * 3 * count, looks)
        end
    end)

    it("keeps loads even, as they come and also by weight", function()
        local endpoints = {}
        for index = 1, 100 do endpoints[index] = { weight = 1 + index % 3, running = 0 } end
        local field = fields.field(endpoints)
        local turns = schedule_of(field)
        for _ = 1, 20000 do
            local each = endpoints[pick(field, turns) + 1]
            each.running = each.running + 1
        end
        for _, each in ipairs(endpoints) do
            assert.is_true(math.abs(each.running / each.weight - 20000 / 199) < 15, ("%d for %d"):format(each.running, each.weight))
        end
    end)

    it("is never that of an unusable, full or tried one while another is left, and nobody's only if none is", function()
        local seen = { untried = 0, tried = 0, none = 0 }
        for _ = 1, 3000 do
            local field = fields.random(math.random() < 0.8 and 12 or 120)
            local turns = schedule_of(field)
            for stamp = 1, 4 do
                local left = fields.left(field, stamp)
                seen[left] = seen[left] + 1
                for _ = 1, 3 do
                    assert.equal(left, fields.kind(field, pick(field, turns, nil, nil, stamp), stamp))
                end
                assert.equal(left, fields.kind(field, pick(field, turns, ALMOST_ONE, ALMOST_ONE, stamp), stamp))
                assert.equal(left, fields.kind(field, pick(field, turns, 0, 0, stamp), stamp))
            end
        end
        for _, count in pairs(seen) do assert.is_true(count > 50) end
    end)

    -- Written down plainly: the two that are drawn first, the second one passed on to the next other endpoint.
    it("is that of the lighter one of the first two drawn, if both can be used", function()
        local compared = 0
        while compared < 500 do
            local field = fields.random(12)
            local turns = schedule_of(field)
            local random1, random2 = math.random(), math.random()
            local first = turns.entries[math.floor(random1 * turns.length)]
            local place = math.floor(random2 * turns.length)
            while field.count > 1 and turns.entries[place % turns.length] == first do place = place + 1 end
            local second = turns.entries[place % turns.length]
            if fields.kind(field, first, 1) == "untried" and fields.kind(field, second, 1) == "untried" then
                compared = compared + 1
                local one, two = field.endpoints[first + 1], field.endpoints[second + 1]
                local knows = one.waiting >= 0 and two.waiting >= 0
                local one_load = ((knows and one.waiting or 0) + one.running + 1) / one.weight
                local two_load = ((knows and two.waiting or 0) + two.running + 1) / two.weight
                local expected = two_load < one_load and second or first
                if knows and math.max(one_load, two_load) <= 1.1 * math.min(one_load, two_load) and one.cache >= 0 and two.cache >= 0
                    and one.cache ~= two.cache then
                    expected = two.cache < one.cache and second or first
                end
                assert.equal(expected, pick(field, turns, random1, random2))
            end
        end
    end)
end)
