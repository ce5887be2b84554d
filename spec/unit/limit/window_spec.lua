local ffi = require("ffi")
require("sluice.limit.counters")
local window = require("sluice.limit.window")

local function new(seconds)
    return ffi.new("sluice_window", { seconds = seconds })
end

-- A plain reference: the same idea, from a list of everything that was ever used.
local function reference(events, seconds, now)
    local start = math.floor(now / seconds) * seconds
    local current, previous = 0, 0
    for _, event in ipairs(events) do
        if event.at >= start then current = current + event.amount
        elseif event.at >= start - seconds then previous = previous + event.amount end
    end
    return current + previous * (1 - (now - start) / seconds)
end

describe("a sliding window", function()
    it("counts what a plain reference counts, whatever comes when", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("windows: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        for _ = 1, 200 do
            local seconds = ({ 60, 3600, 86400 })[math.random(3)]
            local w, events, now = new(seconds), {}, 1700000000 + math.random() * 100000
            for _ = 1, 60 do
                now = now + math.random() ^ 3 * seconds * ({ 0.05, 0.5, 3 })[math.random(3)]
                window.roll(w, now)
                assert.near(reference(events, seconds, now), window.used(w, now), 1e-6)
                local amount = math.random(0, 1000)
                events[#events + 1] = { at = now, amount = amount }
                w.current = w.current + amount
            end
        end
    end)

    it("says exactly when something fits: then it does, and a little earlier it does not", function()
        math.randomseed(7)
        for _ = 1, 2000 do
            local w, now = new(60), 1700000000 + math.random() * 60
            window.roll(w, now)
            w.current, w.previous = math.random(0, 120), math.random(0, 120)
            local limit, amount = math.random(1, 120), math.random(1, 120)
            local wait = window.seconds_until(w, now, amount, limit)
            if amount > limit then
                assert.equal(-1, wait)
            elseif wait == 0 then
                assert.is_true(window.fits(w, now, amount, limit))
            else
                assert.is_false(window.fits(w, now, amount, limit))
                local later, before = new(60), new(60)
                for _, copy in ipairs({ later, before }) do
                    copy.start, copy.current, copy.previous = w.start, w.current, w.previous
                end
                window.roll(later, now + wait + 0.001)
                assert.is_true(window.fits(later, now + wait + 0.001, amount, limit))
                if wait > 0.01 then
                    window.roll(before, now + wait - 0.01)
                    assert.is_false(window.fits(before, now + wait - 0.01, amount, limit))
                end
            end
        end
    end)

    it("is empty when it says so", function()
        local w = new(60)
        window.roll(w, 1700000010)
        assert.equal(0, window.seconds_until_empty(w, 1700000010))
        w.current = 5
        local empty = 1700000010 + window.seconds_until_empty(w, 1700000010)
        window.roll(w, empty)
        assert.equal(0, window.used(w, empty))
    end)

    it("corrects the count in which a request was counted, and no other", function()
        local w = new(60)
        window.roll(w, 1700000010)
        w.current = 100
        window.correct(w, 1700000010, -30)
        assert.equal(70, w.current)
        window.roll(w, 1700000070)
        window.correct(w, 1700000010, -30)
        assert.same({ 0, 40 }, { w.current, w.previous })
        window.roll(w, 1700000130)
        w.current = 5
        window.correct(w, 1700000010, -30)
        assert.same({ 5, 0 }, { w.current, w.previous })
        window.correct(w, 1700000130, -30)
        assert.equal(0, w.current)
    end)

    it("forgets nothing when the clock is set back", function()
        local w = new(60)
        window.roll(w, 1700000010)
        w.current = 100
        window.roll(w, 1700000010 - 86400)
        assert.equal(100, window.used(w, 1700000010 - 86400))
    end)
end)
