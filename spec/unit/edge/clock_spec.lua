local clock = require("sluice.edge.clock")

describe("clock", function()
    it("tells the time that the system tells", function()
        local before = os.time()
        local now = clock.realtime()
        local after = os.time()
        -- os.time leaves the fraction out, and its clock goes on only with the kernel's ticks, of 10 ms at most.
        assert.is_true(now >= before and now < after + 1.01)
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
        -- One clock is read between two readings of the other, so that it doesn't matter when this process has to wait.
        local before, real, after = clock.monotonic(), clock.realtime(), clock.monotonic()
        os.execute("sleep 0.2")
        local later_before, later_real, later_after = clock.monotonic(), clock.realtime(), clock.monotonic()
        local passed = later_real - real
        assert.is_true(later_before - after >= 0.2)
        assert.is_true(passed > later_before - after - 0.01 and passed < later_after - before + 0.01)
    end)
end)
