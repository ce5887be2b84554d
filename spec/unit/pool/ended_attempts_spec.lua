local ended_attempts = require("sluice.pool.ended_attempts")
local dictionary = require("spec.unit.pool.lasting_dictionary").new

describe("the count of attempts that ended within a window", function()
    local shared, one, two

    before_each(function()
        shared = dictionary(100)
        one, two = ended_attempts.new_ended_attempts(shared, "a", 8), ended_attempts.new_ended_attempts(shared, "a", 8)
    end)

    local function count(view, key, now)
        shared.now = now
        ended_attempts.count_ended(view, view[key], now)
    end
    local function within(view, now)
        shared.now = now
        return ended_attempts.ended_within(view, now)
    end

    it("is that of all workers", function()
        for round = 1, 30 do count(round % 2 == 0 and one or two, ({ "served", "answered", "failed" })[round % 3 + 1], 100 + round / 10) end
        assert.same({ 10, 10, 10, true }, { within(one, 104) })
        assert.same({ 10, 10, 10, true }, { within(two, 104) })
        assert.equal(20, ended_attempts.ended_well(one))
    end)

    it("forgets what is older than the window, evenly within an eighth of it", function()
        for _ = 1, 10 do count(one, "served", 100.5) end
        count(two, "failed", 107)
        assert.same({ 10, 0, 1, true }, { within(one, 108) })
        assert.same({ 5, 0, 1, true }, { within(one, 108.5) })
        assert.same({ 0, 0, 1, false }, { within(one, 109) })
        assert.same({ 0, 0, 0, false }, { within(two, 130) })
    end)

    it("is never wrong by more than what ended in that eighth, however attempts come", function()
        local drawn = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("ended attempts: SLUICE_SPEC_SEED=", drawn, "\n")
        math.randomseed(drawn)
        for _ = 1, 100 do
            shared = dictionary(100)
            one, two = ended_attempts.new_ended_attempts(shared, "a", 8), ended_attempts.new_ended_attempts(shared, "a", 8)
            local now, times = 1000 + math.random(), {}
            for _ = 1, 300 do
                now = now + math.random() ^ 6 * 12
                count(math.random(2) == 1 and one or two, "served", now)
                times[#times + 1] = now
                local counted, _, _, has_served = within(math.random(2) == 1 and one or two, now)
                local edge, exact, at_edge = math.floor(now) - 8, 0, 0
                for _, time in ipairs(times) do
                    if time > now - 8 then exact = exact + 1 end
                    if time >= edge and time < edge + 1 then at_edge = at_edge + 1 end
                end
                assert.is_true(math.abs(counted - exact) <= at_edge + 1e-6, ("%f for %d"):format(counted, exact))
                assert.is_true(has_served)
            end
        end
    end)

    it("takes one operation for an attempt, but in the first of an eighth", function()
        count(one, "served", 100.1)
        shared.calls = 0
        for round = 1, 8 do count(one, "served", 100.1 + round / 10) end
        assert.equal(8, shared.calls)
        count(one, "served", 101)
        assert.is_true(shared.calls <= 15, shared.calls)
    end)

    it("forgets failures when it is told to", function()
        for _ = 1, 10 do
            count(one, "served", 100)
            count(one, "failed", 100)
        end
        ended_attempts.forget_failed(one, 101)
        count(two, "failed", 101)
        assert.same({ 10, 0, 1, true }, { within(two, 102) })
    end)

    it("counts nothing in a dictionary without room, and goes on", function()
        shared = dictionary(0)
        one = ended_attempts.new_ended_attempts(shared, "a", 8)
        for now = 100, 120 do count(one, "served", now) end
        assert.same({ 0, 0, 0, false }, { within(one, 120) })
    end)
end)
