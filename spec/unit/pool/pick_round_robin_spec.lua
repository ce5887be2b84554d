local fields = require("spec.unit.pool.fields")
local schedule = require("sluice.pool.schedule")
local round_robin = require("sluice.pool.pick_round_robin")
local walking = require("spec.unit.wire.walking")

local pick = round_robin.pick_round_robin

local function turn_of(field, start)
    return round_robin.new_turn(schedule.build_schedule(field.weights, field.count), field.count, start or 0)
end

local function picks(field, turn, count, stamp)
    local list = {}
    for index = 1, count do list[index] = pick(field, turn, stamp or 1) end
    return list
end

describe("round robin", function()
    it("picks in the order of the schedule, again and again", function()
        local field = fields.field({ { weight = 5 }, { weight = 1 }, { weight = 1 } })
        assert.same({ 0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0 }, picks(field, turn_of(field), 15))
    end)

    it("begins where it is told", function()
        local field = fields.field({ {}, {}, {}, {} })
        assert.same({ 0, 1, 2, 3, 0 }, picks(field, turn_of(field, 0), 5))
        assert.same({ 1, 2, 3, 0, 1 }, picks(field, turn_of(field, 0.25), 5))
        assert.same({ 2, 3, 0, 1, 2 }, picks(field, turn_of(field, 0.74), 5))
        assert.same({ 3, 0, 1, 2, 3 }, picks(field, turn_of(field, 1 - 2 ^ -53), 5))
    end)

    it("of one endpoint picks that, and of none nothing", function()
        local field = fields.field({ {} })
        assert.same({ 0, 0, 0 }, picks(field, turn_of(field, 0.9), 3))
        local empty = fields.field({})
        assert.same({ -1, -1 }, picks(empty, turn_of(empty, 0.9), 2))
    end)

    it("doesn't ask an endpoint without a limit how many requests it has", function()
        local field = fields.field({ {}, { usable = false }, { running = 1000 } })
        assert.same({ 0, 2, 0, 2 }, picks(field, turn_of(field), 4))
        assert.equal(0, field.questions)
    end)

    it("passes over those that are unusable, full or tried, without giving the next one their turns", function()
        for _, closed in ipairs({ { usable = false }, { most = 2, running = 2 }, { most = 2, running = 3 }, { tried = 1 } }) do
            local field = fields.field({ {}, closed, {} })
            assert.same({ 0, 2, 0, 2, 0, 2 }, picks(field, turn_of(field), 6))
        end
    end)

    it("takes the last place of an endpoint", function()
        local field = fields.field({ { most = 2, running = 1 } })
        assert.same({ 0 }, picks(field, turn_of(field), 1))
    end)

    it("cares for the stamp of this request only", function()
        local field = fields.field({ { tried = 7 }, { tried = 8 } })
        assert.same({ 1, 1 }, picks(field, turn_of(field), 2, 7))
        assert.same({ 0, 0 }, picks(field, turn_of(field), 2, 8))
        assert.same({ 0, 1 }, picks(field, turn_of(field), 2, 9))
    end)

    it("takes a tried one if no other is left, in turn", function()
        local field = fields.field({ { tried = 1 }, { usable = false }, { tried = 1 }, { most = 1, running = 1 } })
        assert.same({ 0, 2, 0, 2 }, picks(field, turn_of(field), 4))
    end)

    it("doesn't take a tried one that is full or unusable", function()
        local field = fields.field({ { tried = 1, usable = false }, { tried = 1, most = 1, running = 1 } })
        assert.same({ -1, -1 }, picks(field, turn_of(field), 2))
    end)

    it("goes on where it stood once an endpoint is back", function()
        local field = fields.field({ { usable = false }, { usable = false } })
        local turn = turn_of(field, 0.5)
        assert.same({ -1, -1, -1 }, picks(field, turn, 3))
        field.usable[0], field.usable[1] = 1, 1
        assert.same({ 1, 0 }, picks(field, turn, 2))
    end)

    it("asks none more than twice, however often it stands in the schedule", function()
        local endpoints = {}
        for index = 1, 30 do endpoints[index] = { weight = 10 * index + 1, most = 1, running = 1 } end
        local field = fields.field(endpoints)
        local turn = turn_of(field)
        assert.equal(-1, pick(field, turn, 1))
        -- The one whose turn it was is asked once before the search.
        assert.equal(31, field.questions)
        for index = 0, 29 do assert.is_true(field.asked[index] <= 2) end
    end)

    it("doesn't go through a long schedule when nothing is left to find", function()
        for _, closed in ipairs({ { usable = false }, { most = 1, running = 1 } }) do
            for _, rare in ipairs({ closed, { tried = 1, usable = false } }) do
                local field = fields.field({ { weight = 1000, usable = false }, { weight = 999, most = 1, running = 1 }, rare, { tried = 1 } })
                local turn = turn_of(field)
                local entries, looks = turn.schedule.entries, 0
                turn.schedule.entries = setmetatable({}, { __index = function(_, place)
                    looks = looks + 1
                    return entries[place]
                end })
                field.usable[3] = 0
                assert.equal(-1, pick(field, turn, 1))
                assert.is_true(looks <= 5, looks)
            end
        end
    end)

    it("finds the one that has one turn in a thousand", function()
        for _, closed in ipairs({ { usable = false }, { most = 1, running = 1 }, { tried = 1 } }) do
            closed.weight = 1000
            local field = fields.field({ closed, {} })
            assert.same({ 1, 1 }, picks(field, turn_of(field), 2))
        end
        local field = fields.field({ { weight = 1000, usable = false }, { tried = 1 } })
        assert.same({ 1, 1 }, picks(field, turn_of(field), 2))
    end)

    it("searches on after two thousand million searches", function()
        local field = fields.field({ { usable = false }, {}, {} })
        local turn = turn_of(field)
        assert.same({ 1 }, picks(field, turn, 1))
        assert.equal(1, turn.search)
        turn.search, turn.next = 2147483646, 2
        field.usable[1], field.usable[2] = 0, 0
        assert.same({ -1 }, picks(field, turn, 1))
        -- From here on the numbers come again.
        turn.seen[1] = 1
        field.usable[1] = 1
        assert.same({ 1, 1, 1 }, picks(field, turn, 3))
    end)

    it("gives each its share, also of what is left", function()
        local field = fields.field({ { weight = 500 }, { weight = 300 }, { weight = 200 }, { weight = 100 } })
        field.usable[0] = 0
        local counts = { [0] = 0, 0, 0, 0 }
        for _, index in ipairs(picks(field, turn_of(field), 6000)) do counts[index] = counts[index] + 1 end
        assert.same({ [0] = 0, 3000, 2000, 1000 }, counts)
    end)

    -- The first in the schedule from `place` on that is as asked, and the place behind it.
    local function reference(field, list, place, stamp)
        for _, kind in ipairs({ "untried", "tried" }) do
            for ahead = 0, #list - 1 do
                local at = (place + ahead) % #list
                if fields.kind(field, list[at + 1], stamp) == kind then
                    return list[at + 1], (at + 1) % #list
                end
            end
        end
        return -1, place
    end

    it("is what a plain search in the schedule finds, in any field", function()
        walking.seed("round robin")
        for _ = 1, 300 do
            local field = fields.random(25)
            local start = math.random()
            local turn = turn_of(field, start)
            local list = {}
            for place = 0, turn.schedule.length - 1 do list[place + 1] = turn.schedule.entries[place] end
            local place = math.floor(start * #list)
            for _ = 1, 30 do
                local stamp = math.random(3)
                local expected, behind = reference(field, list, place, stamp)
                place = behind
                local picked = pick(field, turn, stamp)
                assert.equal(expected, picked)
                assert.equal(fields.left(field, stamp), fields.kind(field, picked, stamp))
                -- Something changes.
                local changed = math.random(0, field.count - 1)
                field.tried[changed] = math.random(3)
                local each = field.endpoints[math.random(field.count)]
                each.running = math.random(0, 5)
            end
        end
    end)
end)
