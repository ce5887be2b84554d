local fields = require("spec.unit.pool.fields")
local load = require("sluice.pool.load")

-- Which of two endpoints gets the request, as "first" or "second", whichever way round they are asked; "either" if that decides.
local function lighter(first, second)
    local field = fields.field({ first, second })
    local one = load.lighter_one(field, 0, first.running or 0, 1, second.running or 0)
    local two = load.lighter_one(field, 1, second.running or 0, 0, first.running or 0)
    if one ~= two then
        assert.equal(0, one)
        return "either"
    end
    return one == 0 and "first" or "second"
end

describe("the lighter one of two endpoints", function()
    it("has fewer requests under way", function()
        assert.equal("first", lighter({ running = 3 }, { running = 4 }))
        assert.equal("second", lighter({ running = 1 }, {}))
        assert.equal("either", lighter({ running = 4 }, { running = 4 }))
    end)

    it("has fewer by its weight, the one to come included", function()
        assert.equal("second", lighter({ running = 0 }, { weight = 2, running = 0 }))
        assert.equal("second", lighter({ running = 1 }, { weight = 2, running = 2 }))
        assert.equal("either", lighter({ running = 1 }, { weight = 2, running = 3 }))
        assert.equal("first", lighter({ running = 1 }, { weight = 2, running = 4 }))
    end)

    it("has fewer that wait and are under way, if both say how many wait", function()
        assert.equal("second", lighter({ running = 1, waiting = 9 }, { running = 5, waiting = 0 }))
        assert.equal("first", lighter({ running = 5, waiting = 0 }, { running = 1, waiting = 9 }))
        assert.equal("second", lighter({ running = 5, waiting = 5 }, { weight = 2, running = 9, waiting = 9 }))
    end)

    it("isn't judged by its queue if only one says how many wait", function()
        assert.equal("first", lighter({ running = 1, waiting = 9 }, { running = 5 }))
        assert.equal("second", lighter({ running = 5 }, { running = 1, waiting = 900 }))
    end)

    it("has more of its KV cache free, if their loads are within 10 %", function()
        assert.equal("second", lighter({ running = 9, waiting = 0, cache = 0.5 }, { running = 10, waiting = 0, cache = 0.4 }))
        assert.equal("first", lighter({ running = 50, waiting = 53, cache = 0 }, { running = 50, waiting = 50, cache = 1 }))
        assert.equal("first", lighter({ waiting = 0, cache = 0.2 }, { waiting = 0, cache = 0.3 }))
    end)

    it("isn't judged by its KV cache if their loads are further apart", function()
        assert.equal("first", lighter({ running = 99, waiting = 0, cache = 1 }, { running = 99, waiting = 11, cache = 0 }))
        assert.equal("first", lighter({ waiting = 0, cache = 1 }, { waiting = 1, cache = 0 }))
    end)

    it("isn't judged by its KV cache if one doesn't say, or both say the same, or nobody knows the queues", function()
        assert.equal("first", lighter({ running = 19, waiting = 0, cache = 0.9 }, { running = 20, waiting = 0 }))
        assert.equal("first", lighter({ running = 19, waiting = 0 }, { running = 20, waiting = 0, cache = 0 }))
        assert.equal("first", lighter({ running = 19, waiting = 0, cache = 0.3 }, { running = 20, waiting = 0, cache = 0.3 }))
        assert.equal("first", lighter({ running = 19, cache = 0.9 }, { running = 20, cache = 0.1 }))
        assert.equal("either", lighter({ cache = 0.9 }, { cache = 0.1 }))
    end)
end)
