local slow_start = require("sluice.pool.slow_start")
local fields = require("spec.unit.pool.fields")

local share_of = slow_start.share_of

describe("the share of an endpoint that starts slowly", function()
    it("rises from a tenth to one", function()
        assert.near(0.1, share_of(100, 100, 30), 1e-9)
        assert.near(0.55, share_of(100, 115, 30), 1e-9)
        assert.near(0.97, share_of(100, 129, 30), 1e-9)
        assert.equal(1, share_of(100, 130, 30))
        assert.equal(1, share_of(100, 1e9, 30))
    end)

    it("is one without a slow start, and for an endpoint that has always been there", function()
        assert.equal(1, share_of(100, 100, 0))
        assert.equal(1, share_of(0, 1, 30))
        assert.equal(1, share_of(-1, 1, 30))
    end)

    it("is a tenth where the time lies ahead", function()
        assert.near(0.1, share_of(100, 90, 30), 1e-9)
    end)
end)

describe("endpoints that start slowly", function()
    it("are kept out of picks as often as their shares say, each for itself", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("slow start: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        local field = fields.field({ {}, {}, {}, {} })
        local rising = { count = 3, indexes = { 0, 1, 3 }, shares = { 0.1, 0.5, 0.9 } }
        local let, both = { [0] = 0, 0, 0, 0 }, 0
        local rounds = 20000
        for stamp = 1, rounds do
            slow_start.hold_back(field, rising, stamp, math.random())
            for index = 0, 3 do
                if field.tried[index] ~= stamp then let[index] = let[index] + 1 end
            end
            if field.tried[1] ~= stamp and field.tried[3] ~= stamp then both = both + 1 end
        end
        -- Five deviations at most.
        local function near(expected, count)
            assert.near(expected * rounds, count, 5 * math.sqrt(rounds * 0.25))
        end
        near(0.1, let[0])
        near(0.5, let[1])
        assert.equal(rounds, let[2])
        near(0.9, let[3])
        near(0.45, both)
    end)

    it("are none when none is counted, whatever was there before", function()
        local field = fields.field({ {}, {} })
        slow_start.hold_back(field, { count = 0, indexes = { 0 }, shares = { 0 } }, 7, 0.5)
        assert.equal(0, field.tried[0])
    end)
end)
