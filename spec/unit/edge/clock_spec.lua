local clock = require("sluice.edge.clock")

describe("clock", function()
    it("tells the time that the system tells", function()
        local before = os.time()
        local now = clock.realtime()
        local after = os.time()
        assert.is_true(now >= before and now < after + 1)
    end)

    it("never goes back, and goes forward in steps far below a millisecond", function()
        local previous, steps = clock.monotonic(), 0
        local start = previous
        for _ = 1, 100000 do
            local now = clock.monotonic()
            assert(now >= previous)
            if now > previous then steps = steps + 1 end
            previous = now
        end
        assert.is_true(steps > (previous - start) * 10000)
    end)

    it("counts seconds", function()
        local real, monotonic = clock.realtime(), clock.monotonic()
        os.execute("sleep 0.2")
        local real_passed, monotonic_passed = clock.realtime() - real, clock.monotonic() - monotonic
        assert.is_true(monotonic_passed >= 0.2)
        assert.is_true(math.abs(real_passed - monotonic_passed) < 0.1)
    end)
end)
