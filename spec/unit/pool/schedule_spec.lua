local fields = require("spec.unit.pool.fields")
local schedule = require("sluice.pool.schedule")
local walking = require("spec.unit.wire.walking")

local function build(weights)
    return schedule.build_schedule(fields.integers(weights), #weights)
end

local function entries_of(built)
    local list = {}
    for turn = 0, built.length - 1 do list[turn + 1] = built.entries[turn] end
    return list
end

-- nginx's algorithm, word for word: so many turns.
local function smooth(weights, turns)
    local current, sum, list = {}, 0, {}
    for index, weight in ipairs(weights) do
        current[index] = 0
        sum = sum + weight
    end
    for turn = 1, turns do
        local best
        for index, weight in ipairs(weights) do
            current[index] = current[index] + weight
            if best == nil or current[index] > current[best] then best = index end
        end
        current[best] = current[best] - sum
        list[turn] = best - 1
    end
    return list
end

local function counts_of(built, count)
    local counts = {}
    for index = 1, count do counts[index] = 0 end
    for turn = 0, built.length - 1 do
        local index = built.entries[turn]
        counts[index + 1] = counts[index + 1] + 1
    end
    return counts
end

local function check_others(built)
    for turn = 0, built.length - 1 do
        local expected = built.entries[turn]
        for ahead = 1, built.length - 1 do
            local index = built.entries[(turn + ahead) % built.length]
            if index ~= expected then
                expected = index
                break
            end
        end
        assert.equal(expected, built.others[turn])
    end
end

local function random_weights(most_endpoints)
    local weights, heaviest, factor = {}, ({ 1, 2, 5, 30 })[math.random(4)], math.random(33)
    for index = 1, math.random(most_endpoints) do weights[index] = math.random(heaviest) * factor end
    return weights
end

describe("a schedule", function()
    it("spreads the heavy one's turns", function()
        assert.same({ 0, 0, 1, 0, 2, 0, 0 }, entries_of(build({ 5, 1, 1 })))
        assert.same({ 1, 0, 1, 2, 1 }, entries_of(build({ 1, 3, 1 })))
    end)

    it("has each of equal endpoints once, in their order, however heavy", function()
        assert.same({ 0, 1, 2, 3 }, entries_of(build({ 1, 1, 1, 1 })))
        assert.same({ 0, 1, 2, 3 }, entries_of(build({ 1000, 1000, 1000, 1000 })))
    end)

    it("is as short as the weights allow", function()
        assert.same(entries_of(build({ 2, 3 })), entries_of(build({ 400, 600 })))
        assert.equal(5, build({ 400, 600 }).length)
    end)

    it("of one endpoint has one turn, and of none has none", function()
        local one = build({ 777 })
        assert.equal(1, one.length)
        assert.equal(0, one.entries[0])
        assert.equal(0, one.others[0])
        assert.equal(0, build({}).length)
    end)

    it("lets endpoints of different weight that have equally much go in their order", function()
        for _, weights in ipairs({ { 1, 2, 1, 2 }, { 2, 1, 1, 2, 3, 3 }, { 3, 1, 2, 2, 1, 3 }, { 1, 1, 2 } }) do
            local built = build(weights)
            assert.same(smooth(weights, built.length), entries_of(built))
        end
    end)

    it("is what nginx would do, and begins anew where it would, for any weights", function()
        walking.seed("schedule")
        for _ = 1, 400 do
            local weights = random_weights(20)
            local built = build(weights)
            local once = entries_of(built)
            local twice = smooth(weights, 2 * built.length)
            for turn = 1, built.length do
                assert.equal(twice[turn], once[turn])
                assert.equal(twice[turn + built.length], once[turn])
            end
            check_others(built)
        end
    end)

    it("knows the other one behind a long row of turns of one endpoint", function()
        for _, weights in ipairs({ { 1000, 1 }, { 1, 1000 }, { 1, 1000, 1 }, { 500, 1, 1, 500 } }) do
            check_others(build(weights))
        end
    end)

    it("leaves the weights as they were", function()
        local weights = fields.integers({ 10, 20 })
        schedule.build_schedule(weights, 2)
        assert.equal(10, weights[0])
        assert.equal(20, weights[1])
    end)

    describe("of more turns than there may be", function()
        local function check_shares(weights)
            local built = build(weights)
            assert.is_true(built.length <= schedule.MOST_TURNS)
            local counts = counts_of(built, #weights)
            local sum = 0
            for _, weight in ipairs(weights) do sum = sum + weight end
            for index, weight in ipairs(weights) do
                local share = weight / sum * built.length
                assert.is_true(counts[index] >= 1)
                assert.is_true(math.abs(counts[index] - share) <= 1 + share * 0.05, ("%d turns for %f"):format(counts[index], share))
            end
            return built, counts
        end

        it("scales the weights down, none below one", function()
            walking.seed("long schedule")
            local weights = {}
            for index = 1, 1000 do weights[index] = math.random(1000) end
            local built = check_shares(weights)
            assert.is_true(built.length > schedule.MOST_TURNS * 0.98)
        end)

        it("does so with nearly all at one", function()
            local weights = {}
            for index = 1, 60000 do weights[index] = index % 100 == 0 and 1000 or 1 end
            local built = build(weights)
            assert.is_true(built.length <= schedule.MOST_TURNS)
            local counts = counts_of(built, 60000)
            assert.equal(1, counts[1])
            assert.is_true(counts[100] > 8)
            assert.equal(counts[100], counts[60000])
        end)

        it("spreads the scaled weights as nginx would", function()
            local weights = {}
            for index = 1, 361 do weights[index] = 1000 - (index * 7) % 361 end
            local built, counts = check_shares(weights)
            local expected = smooth(counts, built.length)
            for turn = 1, built.length do
                if expected[turn] ~= built.entries[turn - 1] then assert.equal(expected[turn], built.entries[turn - 1], turn) end
            end
        end)

        it("keeps a sum that just fits", function()
            local weights = {}
            for index = 1, 65 do weights[index] = 1000 end
            weights[66], weights[67] = 535, 1
            assert.equal(65536, build(weights).length)
            weights[67] = 2
            assert.is_true(build(weights).length <= 65536)
            assert.is_true(build(weights).length > 65000)
        end)

        it("has each of as many endpoints as turns once", function()
            local weights = {}
            for index = 1, 65536 do weights[index] = 1 + index % 2 end
            assert.equal(65536, build(weights).length)
        end)
    end)
end)
