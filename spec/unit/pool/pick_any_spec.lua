local fields = require("spec.unit.pool.fields")
local pick_any = require("sluice.pool.pick_any").pick_any
local walking = require("spec.unit.wire.walking")

local function tally(field, picks)
    local counts = {}
    for index = -1, field.count - 1 do counts[index] = 0 end
    for _ = 1, picks do
        local picked = pick_any(field, 1, math.random(), math.random())
        counts[picked] = counts[picked] + 1
    end
    return counts
end

describe("a pick that looks at all endpoints", function()
    local seed
    before_each(function() seed = seed or walking.seed("pick any") end)

    it("draws by weight, not by how far the one before is away", function()
        local field = fields.field({
            { usable = false }, { weight = 1, running = 9 }, { weight = 2, running = 19 }, { tried = 1, weight = 500 }, { usable = false },
            { usable = false }, { usable = false }, { weight = 5, running = 49 },
        })
        local counts = tally(field, 20000)
        assert.is_true(math.abs(counts[1] - 2500) < 300, counts[1])
        assert.is_true(math.abs(counts[2] - 5000) < 400, counts[2])
        assert.is_true(math.abs(counts[7] - 12500) < 420, counts[7])
    end)

    it("draws the second one by weight too, without the first one's", function()
        local counts = tally(fields.field({ { weight = 1000, running = 100000 }, { weight = 1 }, { weight = 1 } }), 10000)
        assert.is_true(math.abs(counts[1] - 5000) < 320, counts[1])
        assert.is_true(counts[0] == 0)
    end)

    it("takes the lighter one of two, and asks no third one", function()
        local field = fields.field({ { running = 4 }, { usable = false }, { running = 3 } })
        assert.same({ [-1] = 0, [0] = 0, 0, 100 }, tally(field, 100))
        assert.equal(200, field.questions)
    end)

    it("goes on to the others where those drawn are full", function()
        local full = { weight = 1000, most = 1, running = 1 }
        local field = fields.field({ full, full, { weight = 1, most = 1 }, full, full })
        assert.equal(50, tally(field, 50)[2])
    end)

    it("takes what there is at the ends of the random numbers", function()
        for _, random in ipairs({ 0, 0.5, 1 - 2 ^ -53 }) do
            for _, other in ipairs({ 0, 0.5, 1 - 2 ^ -53 }) do
                for count = 1, 9 do
                    local endpoints = {}
                    for index = 1, count do endpoints[index] = { weight = 7 } end
                    local field = fields.field(endpoints)
                    assert.equal("untried", fields.kind(field, pick_any(field, 1, random, other), 1))
                end
            end
        end
    end)

    it("is of the best kind that is left in any field", function()
        for _ = 1, 4000 do
            local field = fields.random(10)
            for stamp = 1, 4 do
                assert.equal(fields.left(field, stamp), fields.kind(field, pick_any(field, stamp, math.random(), math.random()), stamp))
            end
        end
    end)
end)
