local breaker_module = require("sluice.pool.breaker")
local dictionary = require("spec.unit.pool.lasting_dictionary").new

local NO, YES, PROBE = 0, 1, 2
local CONFIGURATION = { failures = 3, window = 10, open = 5 }
local PROBE_SECONDS = 30

describe("the breaker of an endpoint", function()
    local shared, one, two

    local function view(configuration, name)
        return breaker_module.new_breaker(shared, name or "gpu http://a", configuration or CONFIGURATION, PROBE_SECONDS)
    end
    local function at(now) shared.now = now return now end
    local function may_try(breaker, now) return breaker_module.may_try(breaker, at(now)) end
    local function take_probe(breaker, now) return breaker_module.take_probe(breaker, at(now)) end
    local function fail(breaker, now, ticket) return breaker_module.note_failure(breaker, at(now), ticket or 0) end
    local function succeed(breaker, ticket) return breaker_module.note_success(breaker, ticket or 0) end
    local function state(breaker, now) return (breaker_module.state_of(breaker, at(now))) end
    local function open_both(now)
        assert.is_false(fail(one, now))
        assert.is_false(fail(two, now))
        assert.is_true(fail(one, now))
    end

    before_each(function()
        shared = dictionary(100)
        one, two = view(), view()
    end)

    it("opens with the failures of all workers together, for all of them", function()
        open_both(100)
        assert.equal(NO, may_try(one, 100))
        assert.equal(NO, may_try(two, 104.9))
        assert.equal(YES, may_try(view(nil, "gpu http://b"), 104))
        assert.same({ "open", 4 }, { breaker_module.state_of(two, at(101)) })
    end)

    it("counts failures also with successes between them, as far as the window goes", function()
        fail(one, 100)
        succeed(one)
        fail(one, 105)
        succeed(two)
        assert.is_false(fail(one, 110.5))
        assert.equal(YES, may_try(one, 110.5))
        assert.is_true(fail(two, 115))
        assert.equal(NO, may_try(one, 115))
    end)

    it("opens at the first failure if one is enough", function()
        local nervous = view({ failures = 1, window = 1, open = 5 })
        assert.is_true(fail(nervous, 100))
        assert.equal(NO, may_try(nervous, 100))
    end)

    it("lets exactly one request of all workers probe when the open time is over", function()
        open_both(100)
        assert.equal(0, take_probe(one, 104.9))
        assert.equal(PROBE, may_try(one, 105))
        assert.equal(PROBE, may_try(two, 105))
        assert.equal("half_open", state(one, 105))
        local ticket = take_probe(two, 105)
        assert.not_equal(0, ticket)
        assert.equal(0, take_probe(one, 105))
        assert.equal(0, take_probe(two, 106))
        assert.equal(NO, may_try(one, 106))
        assert.equal(NO, may_try(two, 106))
    end)

    it("closes with the probe's success, and then needs as many failures as ever", function()
        open_both(100)
        assert.is_true(succeed(two, take_probe(two, 105)))
        assert.equal(YES, may_try(one, 105))
        assert.equal("closed", state(one, 105))
        assert.is_false(fail(one, 105))
        assert.is_false(fail(one, 105))
        assert.equal(YES, may_try(one, 105))
        assert.is_true(fail(one, 105))
    end)

    it("opens again with the probe's failure, for the whole time", function()
        open_both(100)
        assert.is_true(fail(one, 107, take_probe(one, 106)))
        assert.equal(NO, may_try(two, 111.9))
        assert.equal(PROBE, may_try(two, 112))
        assert.is_true(succeed(two, take_probe(two, 112)))
        assert.equal(YES, may_try(one, 112))
    end)

    it("is not kept half open by a worker that was killed while it probed", function()
        open_both(100)
        assert.not_equal(0, take_probe(one, 105))
        assert.equal(0, take_probe(two, 134.9))
        assert.equal(NO, may_try(two, 134.9))
        assert.equal(PROBE, may_try(two, 135))
        local ticket = take_probe(two, 135)
        assert.not_equal(0, ticket)
        assert.equal(0, take_probe(view(), 135))
        assert.is_true(succeed(two, ticket))
        assert.equal(YES, may_try(two, 135))
    end)

    it("listens to a probe that took longer than its time, while the opening lasts", function()
        open_both(100)
        local ticket = take_probe(one, 105)
        assert.is_true(succeed(one, ticket))
        open_both(200)
        ticket = take_probe(one, 205)
        local second = take_probe(two, 240)
        assert.is_true(fail(one, 250, ticket))
        assert.is_false(succeed(two, second))
        assert.is_false(fail(two, 251, second))
        assert.equal(NO, may_try(one, 254.9))
        assert.equal(PROBE, may_try(one, 255))
    end)

    it("is neither closed, nor kept open, by requests that began before it opened", function()
        open_both(100)
        assert.is_false(succeed(one))
        assert.is_false(fail(two, 104))
        assert.equal(NO, may_try(one, 104))
        assert.equal(PROBE, may_try(one, 105))
        local ticket = take_probe(one, 105)
        assert.is_false(fail(two, 105))
        assert.is_false(succeed(two))
        assert.equal(NO, may_try(two, 106))
        assert.is_true(succeed(one, ticket))
    end)

    it("counts the late failure of a former probe like any other when it is closed", function()
        open_both(100)
        local ticket = take_probe(one, 105)
        assert.is_true(succeed(two, take_probe(two, 135)))
        assert.is_false(fail(one, 136, ticket))
        assert.is_false(fail(two, 136))
        assert.is_true(fail(two, 136))
    end)

    it("lets another request probe at once when a probe came to no outcome", function()
        open_both(100)
        local ticket = take_probe(one, 105)
        breaker_module.drop_probe(one, ticket)
        assert.equal(PROBE, may_try(two, 105))
        local second = take_probe(two, 105)
        breaker_module.drop_probe(one, 0)
        assert.equal(0, take_probe(one, 105))
        fail(two, 105, second)
        assert.not_equal(0, take_probe(one, 110))
        breaker_module.drop_probe(two, second)
        assert.equal(0, take_probe(two, 111))
    end)

    it("gives no probe to a worker whose view is overtaken by the report of the one before", function()
        open_both(100)
        local ticket = take_probe(one, 105)
        shared.before = function(name)
            if name ~= "add" then return end
            shared.before = nil
            fail(one, 106, ticket)
        end
        assert.equal(0, breaker_module.take_probe(two, 106))
        assert.equal(NO, may_try(two, 106))
        assert.not_equal(0, take_probe(two, 111))
    end)

    it("is switched off with no failures, and then asks nobody", function()
        local off = view({ failures = 0, window = 10, open = 5 })
        open_both(100)
        shared.calls = 0
        for _ = 1, 10 do assert.is_false(fail(off, 100)) end
        assert.equal(YES, may_try(off, 100))
        assert.equal(0, take_probe(off, 200))
        assert.equal("closed", state(off, 100))
        assert.equal(0, shared.calls)
    end)

    it("looks into the dictionary once while it is closed, and not at all after a success", function()
        fail(one, 100)
        shared.calls = 0
        assert.equal(YES, may_try(one, 100))
        assert.equal(1, shared.calls)
        succeed(one)
        assert.equal(1, shared.calls)
    end)

    it("does not open for failures that a former configuration counted in another ring", function()
        local large = view({ failures = 5, window = 100, open = 5 })
        for _ = 1, 4 do fail(large, 100) end
        assert.is_false(fail(one, 101))
        assert.is_false(fail(one, 101))
        assert.is_true(fail(one, 101))
    end)

    it("counts the failures of two workers that both begin to count", function()
        shared.before = function(name)
            if name ~= "add" then return end
            shared.before = nil
            fail(one, 100)
        end
        assert.is_false(fail(two, 100))
        assert.is_true(fail(two, 100))
    end)

    it("stays closed if the dictionary has no room for what failed", function()
        shared = dictionary(0)
        local poor = view()
        for now = 1, 10 do assert.is_false(fail(poor, now)) end
        assert.equal(YES, may_try(poor, 10))
    end)

    it("is probed, by one at a time, also when the dictionary has no room for the probe", function()
        open_both(100)
        local room = 0
        while shared.add("filler" .. room, 1) == nil do room = room + 1 end
        local ticket = take_probe(one, 105)
        assert.not_equal(0, ticket)
        assert.equal(NO, may_try(two, 106))
        assert.equal(0, take_probe(two, 106))
        assert.equal(PROBE, may_try(two, 135))
        assert.is_true(succeed(one, ticket))
        assert.equal(YES, may_try(two, 135))
    end)

    it("leaves nothing behind but numbers that stay as few as they are", function()
        for round = 1, 50 do
            local now = round * 100
            for _ = 1, 3 do fail(one, now) end
            local ticket = take_probe(two, now + 5)
            if round % 2 == 0 then
                fail(two, now + 6, ticket)
                ticket = take_probe(two, now + 11)
            end
            assert.is_true(succeed(two, ticket))
        end
        local count = 0
        for _ in pairs(shared.entries) do count = count + 1 end
        assert.equal(1, count)
    end)

    -- A plain reference: everything that has failed since it was closed, in a list.
    local function reference(configuration)
        local made = { until_time = nil, failed = {}, probe_ends = nil }
        function made.may(now)
            if made.until_time == nil then return YES end
            if now < made.until_time or (made.probe_ends and now < made.probe_ends) then return NO end
            return PROBE
        end
        function made.take(now)
            if made.may(now) ~= PROBE then return false end
            made.probe_ends = now + PROBE_SECONDS
            return true
        end
        function made.open(now) made.until_time, made.failed, made.probe_ends = now + configuration.open, {}, nil end
        function made.fail(now, opening)
            if made.until_time ~= nil then
                if opening == made.until_time then made.open(now) end
                return
            end
            table.insert(made.failed, now)
            local recent = 0
            for _, when in ipairs(made.failed) do
                if now - when <= configuration.window then recent = recent + 1 end
            end
            if recent >= configuration.failures then made.open(now) end
        end
        function made.succeed(opening)
            if opening and opening == made.until_time then made.until_time, made.probe_ends = nil, nil end
        end
        return made
    end

    it("does what a plain reference does, whatever happens to which worker", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("breakers: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        for round = 1, 300 do
            local configuration = { failures = math.random(5), window = math.random(20), open = math.random(10) }
            shared = dictionary(100)
            local workers = { view(configuration), view(configuration), view(configuration) }
            local expected, probes, now = reference(configuration), {}, 1000 + math.random()
            for step = 1, 200 do
                now = now + math.random() ^ 4 * ({ 0, 2, 20, 60 })[math.random(4)]
                local worker, what = workers[math.random(3)], math.random(10)
                local probe = what >= 6 and #probes > 0 and table.remove(probes, math.random(#probes)) or nil
                local ticket = probe and probe.ticket or 0
                if what <= 2 then
                    ticket = take_probe(worker, now)
                    local opening = expected.until_time
                    assert.equal(expected.take(now), ticket ~= 0, ("round %d, step %d"):format(round, step))
                    if ticket ~= 0 then probes[#probes + 1] = { ticket = ticket, opening = opening } end
                elseif what <= 7 then
                    fail(worker, now, ticket)
                    expected.fail(now, probe and probe.opening)
                elseif what <= 9 then
                    at(now)
                    succeed(worker, ticket)
                    expected.succeed(probe and probe.opening)
                end
                -- What is left: the worker that probes is killed.
                for _, each in ipairs(workers) do
                    assert.equal(expected.may(now), may_try(each, now), ("round %d, step %d"):format(round, step))
                end
            end
        end
    end)
end)
