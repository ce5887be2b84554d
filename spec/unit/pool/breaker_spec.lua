local breaker_view = require("spec.unit.pool.breaker_view")
local dictionary = require("spec.unit.pool.lasting_dictionary").new

local NO, YES, TRIAL = breaker_view.NO, breaker_view.YES, breaker_view.TRIAL
local DOUBTFUL, FAILED, LOST = breaker_view.DOUBTFUL, breaker_view.FAILED, breaker_view.LOST
local BUSY, CLOSED, GUEST = breaker_view.BUSY, breaker_view.CLOSED, breaker_view.GUEST
local CONFIGURATION = { failures = 3, window = 10, open = 5, share = 0.5 }
local TRIAL_SECONDS = 30

describe("the breaker of an endpoint", function()
    local shared, one, two

    local function view(configuration, name, check_seconds)
        return breaker_view.new(shared, configuration or CONFIGURATION, name or "gpu http://a", TRIAL_SECONDS, check_seconds)
    end
    local function open_both(now)
        assert.is_false(one.fail(now))
        assert.is_false(two.fail(now))
        assert.is_true(one.fail(now))
    end

    before_each(function()
        shared = dictionary(100)
        one, two = view(), view()
    end)

    it("opens with the failures of all workers together, for all of them", function()
        open_both(100)
        assert.equal(NO, one.may_try(100))
        assert.equal(NO, two.may_try(104.9))
        assert.equal(YES, view(nil, "gpu http://b").may_try(104))
        assert.same({ "open", 4 }, { two.state(101) })
    end)

    it("counts failures also with successes between them, as far as the window goes", function()
        one.fail(100)
        one.finish(100)
        one.fail(105)
        two.finish(105)
        assert.is_false(one.fail(110.5))
        assert.equal(YES, one.may_try(110.5))
        assert.is_true(two.fail(115))
        assert.equal(NO, one.may_try(115))
    end)

    it("opens at the first failure if one is enough", function()
        local nervous = view({ failures = 1, window = 1, open = 5, share = 0.5 })
        assert.is_true(nervous.fail(100))
        assert.equal(NO, nervous.may_try(100))
    end)

    describe("asks for a share of the attempts that ended in the window:", function()
        it("failures with answers open it when they are as many as that, and not before", function()
            for round = 1, 5 do one.finish(100 + round / 10) end
            for round = 1, 4 do assert.is_false(two.fail(101, { evidence = FAILED, mark = round })) end
            assert.is_true(two.fail(101, { evidence = FAILED }))
        end)

        it("answers that are no service are attempts too", function()
            for round = 1, 5 do one.finish(100 + round / 10, 0, true) end
            for round = 1, 4 do assert.is_false(two.fail(101, { evidence = FAILED, mark = round })) end
            assert.is_true(two.fail(101, { evidence = FAILED }))
        end)

        it("another share is another number", function()
            local strict = view({ failures = 3, window = 10, open = 5, share = 0.8 })
            one.finish(100)
            for round = 1, 3 do assert.is_false(strict.fail(101, { evidence = FAILED, mark = round })) end
            assert.is_true(strict.fail(101, { evidence = FAILED }))
        end)

        it("what is older than the window is none of them", function()
            for round = 1, 50 do one.finish(100 + round / 50) end
            for _ = 1, 2 do assert.is_false(two.fail(108, { evidence = FAILED })) end
            assert.is_true(two.fail(113, { evidence = FAILED }))
        end)

        it("an endpoint where nobody is there any more is left after as many failures as ever", function()
            for round = 1, 1000 do one.finish(100 + round / 1000) end
            open_both(101.5)
        end)

        it("one attempt that ended well between such failures says that somebody is there", function()
            for round = 1, 1000 do one.finish(100 + round / 1000) end
            assert.is_false(one.fail(101.5))
            assert.is_false(one.fail(101.5))
            two.finish(101.5)
            assert.is_false(one.fail(101.5))
            assert.is_false(one.fail(101.5))
            assert.is_true(one.fail(101.5))
        end)

        it("an answer between such failures that is an error does, too", function()
            for round = 1, 1000 do one.finish(100 + round / 1000) end
            one.fail(101.5)
            one.fail(101.5)
            assert.is_false(two.fail(101.5, { evidence = FAILED }))
            assert.is_false(one.fail(101.5))
            assert.is_false(one.fail(101.5))
            assert.is_true(one.fail(101.5))
        end)
    end)

    describe("of failures that may be only one caller's fault", function()
        local usual = { failures = 5, window = 10, open = 5, share = 0.5 }

        it("counts half of their number from one caller, rounded down, once the endpoint has served anybody", function()
            local breaker = view(usual)
            breaker.finish(100)
            for _ = 1, 50 do assert.is_false(breaker.fail(101, { evidence = DOUBTFUL, mark = 7 })) end
            assert.is_false(breaker.fail(102, { evidence = DOUBTFUL, mark = 8 }))
            assert.is_false(breaker.fail(102, { evidence = DOUBTFUL, mark = 8 }))
            assert.is_false(breaker.fail(102, { evidence = DOUBTFUL, mark = 8 }))
            assert.is_true(breaker.fail(102, { evidence = DOUBTFUL, mark = 9 }))
        end)

        it("counts all where it has served nobody in the window, so that a single caller is not left with it", function()
            local breaker = view(usual)
            for _ = 1, 4 do assert.is_false(breaker.fail(101, { evidence = DOUBTFUL, mark = 7 })) end
            assert.is_true(breaker.fail(101, { evidence = DOUBTFUL, mark = 7 }))
        end)

        it("does so also after answers that are no service", function()
            local breaker = view(usual)
            for _ = 1, 3 do breaker.finish(100, 0, true) end
            for _ = 1, 4 do assert.is_false(breaker.fail(101, { evidence = DOUBTFUL, mark = 7 })) end
            assert.is_true(breaker.fail(101, { evidence = DOUBTFUL, mark = 7 }))
        end)

        it("leaves a sick endpoint with a single caller when its last service is out of the window", function()
            local breaker, opened = view(usual), nil
            for round = 1, 100 do breaker.finish(90 + round / 10) end
            for round = 1, 200 do
                if breaker.fail(100 + round / 10, { evidence = DOUBTFUL, mark = 7 }) then
                    opened = 100 + round / 10
                    break
                end
            end
            -- An eighth of the window is how vague its beginning is.
            assert.is_true(opened > 110 and opened <= 100 + 10 * 9 / 8 + 0.5, tostring(opened))
        end)

        it("does not let those that were counted while nobody was served shut it for the others", function()
            local breaker = view(usual)
            for _ = 1, 4 do breaker.fail(100, { evidence = DOUBTFUL, mark = 7 }) end
            breaker.finish(101)
            assert.is_false(breaker.fail(102, { evidence = DOUBTFUL, mark = 8 }))
            assert.is_false(breaker.fail(102, { evidence = DOUBTFUL, mark = 8 }))
            assert.is_true(breaker.fail(102, { evidence = FAILED, mark = 8 }))
        end)

        it("takes none that do not count for attempts either: they would speak for a sick endpoint", function()
            local breaker = view(usual)
            breaker.finish(100)
            for _ = 1, 500 do breaker.fail(101, { evidence = DOUBTFUL, mark = 7 }) end
            for mark = 1, 2 do assert.is_false(breaker.fail(102, { evidence = FAILED, mark = mark })) end
            assert.is_true(breaker.fail(102, { evidence = FAILED, mark = 3 }))
        end)

        it("counts every other failure of the same caller", function()
            for _, evidence in ipairs({ FAILED, LOST }) do
                local breaker = view(usual, "gpu http://" .. evidence)
                breaker.finish(100)
                for _ = 1, 4 do assert.is_false(breaker.fail(101, { evidence = evidence, mark = 7 })) end
                assert.is_true(breaker.fail(101, { evidence = evidence, mark = 7 }))
            end
        end)

        it("counts one request's failures once", function()
            local breaker = view({ failures = 2, window = 10, open = 5, share = 0.5 })
            assert.is_false(breaker.fail(100))
            for _ = 1, 5 do assert.is_false(breaker.fail(100, { first = false })) end
            assert.is_true(breaker.fail(100))
        end)

        it("keeps no more in memory however many callers there are", function()
            local breaker, bytes = view(usual), nil
            breaker.finish(100)
            for mark = 1, 5000 do
                breaker.fail(101 + mark / 100, { evidence = DOUBTFUL, mark = mark })
                for _, value in pairs(shared.entries) do
                    if type(value) == "string" and #value > 300 then
                        bytes = bytes or #value
                        assert.equal(bytes, #value)
                    end
                end
            end
            local count = 0
            for _ in pairs(shared.entries) do count = count + 1 end
            assert.is_true(count <= 5, count)
            assert.is_true(bytes < 1024, bytes)
        end)
    end)

    describe("when the open time is over", function()
        it("lets exactly one request of all workers try", function()
            open_both(100)
            assert.equal(0, one.take_trial(104.9))
            assert.equal(TRIAL, one.may_try(105))
            assert.equal(TRIAL, two.may_try(105))
            assert.equal("half_open", (one.state(105)))
            local ticket = two.take_trial(105)
            assert.not_equal(0, ticket)
            assert.equal(0, one.take_trial(105))
            assert.equal(0, two.take_trial(106))
            assert.equal(NO, one.may_try(106))
            assert.equal(NO, two.may_try(106))
        end)

        it("closes with the trial's success, and then needs as many failures as ever", function()
            open_both(100)
            assert.is_true(two.finish(105, two.take_trial(105)))
            assert.equal(YES, one.may_try(105))
            assert.equal("closed", (one.state(105)))
            assert.is_false(one.fail(105))
            assert.is_false(one.fail(105))
            assert.equal(YES, one.may_try(105))
            assert.is_true(one.fail(105))
        end)

        it("closes with an answer to the trial that is no service", function()
            open_both(100)
            assert.is_true(two.finish(105, two.take_trial(105), true))
            assert.equal(YES, one.may_try(105))
        end)

        it("opens again with the trial's failure, for the whole time", function()
            open_both(100)
            assert.is_true(one.fail(107, { ticket = one.take_trial(106) }))
            assert.equal(NO, two.may_try(111.9))
            assert.equal(TRIAL, two.may_try(112))
            assert.is_true(two.finish(112, two.take_trial(112)))
            assert.equal(YES, one.may_try(112))
        end)

        it("opens again with the trial's failure also if the request has failed there before", function()
            open_both(100)
            assert.is_true(one.fail(107, { ticket = one.take_trial(106), first = false }))
            assert.equal(NO, two.may_try(111.9))
        end)

        it("leaves the next trial to another caller than the last, for as long as the open time once more", function()
            open_both(100)
            assert.is_false(one.must_wait(105, 7))
            assert.is_true(one.fail(105, { mark = 7, ticket = one.take_trial(105) }))
            for _, now in ipairs({ 110, 114.9 }) do
                assert.is_true(two.must_wait(now, 7))
                assert.is_false(two.must_wait(now, 8))
            end
            assert.is_false(two.must_wait(115, 7))
            assert.is_true(two.fail(115, { mark = 7, ticket = two.take_trial(115) }))
            assert.is_true(two.fail(120, { mark = 8, ticket = two.take_trial(120) }))
            assert.is_false(one.must_wait(125, 7))
            assert.is_true(one.must_wait(125, 8))
            -- What is closed has no last trial.
            one.finish(125, one.take_trial(125))
            open_both(130)
            assert.is_false(one.must_wait(135, 8))
        end)
    end)

    describe("whose endpoint is asked whether it is well", function()
        local checked

        before_each(function()
            checked = view(nil, nil, 3)
            open_both(100)
        end)

        it("has its trial in that question, once the open time is over", function()
            checked.check(104.9, true)
            assert.equal("open", (checked.state(104.9)))
            checked.check(105, true)
            assert.equal("closed", (checked.state(105)))
            assert.is_false(one.fail(105))
            assert.is_false(one.fail(105))
            assert.is_true(one.fail(105))
        end)

        it("opens again with a bad answer, and asks no request", function()
            checked.check(106, false)
            assert.equal("open", (checked.state(110.9)))
            assert.equal(NO, checked.may_try(111))
            assert.equal(0, checked.take_trial(111))
            checked.check(111, true)
            assert.equal(YES, checked.may_try(111))
        end)

        it("asks a request if no question comes", function()
            assert.equal(NO, checked.may_try(109.9))
            assert.equal(TRIAL, checked.may_try(110))
            assert.is_true(checked.finish(110, checked.take_trial(110)))
        end)

        it("listens to no question while it is closed", function()
            checked.check(105, true)
            one.fail(106)
            checked.check(107, false)
            checked.check(107, true)
            assert.equal(YES, checked.may_try(107))
            one.fail(107)
            assert.is_true(one.fail(107))
        end)
    end)

    describe("lets callers in that have met no failure there,", function()
        it("one at first, also while it is open", function()
            open_both(100)
            local entry, ticket = two.enter(101, 2)
            assert.equal(GUEST, entry)
            assert.equal(BUSY, (one.enter(101, 3)))
            assert.is_true(one.may_enter(101, 3))
            two.drop(ticket)
            assert.equal(GUEST, (one.enter(101, 3)))
        end)

        it("and nobody else", function()
            open_both(100)
            assert.equal(NO, (two.enter(101, 1)))
            assert.is_false(two.may_enter(101, 1))
            -- Those that were under way when it opened have met one too.
            two.fail(102, { mark = 4, evidence = DOUBTFUL })
            assert.equal(NO, (one.enter(103, 4)))
        end)

        it("forgetting what they met before the window in which it opened", function()
            one.fail(80, { mark = 9 })
            open_both(100)
            assert.equal(GUEST, (one.enter(101, 9)))
        end)

        it("and closes for all when one of them is served", function()
            open_both(100)
            local _, ticket = two.enter(101, 2)
            assert.is_true(two.finish(102, ticket))
            assert.equal(YES, one.may_try(102))
            assert.equal(CLOSED, (one.enter(102, 1)))
            assert.is_false(one.fail(102))
            assert.is_false(one.fail(102))
        end)

        it("and, closed by an answer that has begun, takes it for a service at once", function()
            local breaker = view({ failures = 5, window = 10, open = 5, share = 0.5 })
            for _ = 1, 5 do breaker.fail(100, { evidence = DOUBTFUL, mark = 7 }) end
            local _, ticket = breaker.enter(101, 2)
            breaker.begin(101, ticket)
            assert.equal(YES, breaker.may_try(101))
            for _ = 1, 50 do assert.is_false(breaker.fail(102, { evidence = DOUBTFUL, mark = 7 })) end
            breaker.begin(103, 0)
            assert.equal(1, shared.entries["breaker:gpu http://a:served"])
        end)

        it("and stays as it is when one of them is only answered, or fails", function()
            open_both(100)
            local _, ticket = two.enter(101, 2)
            assert.is_false(two.finish(102, ticket, true))
            _, ticket = two.enter(102, 2)
            assert.is_true(ticket < 0)
            assert.is_false(two.fail(103, { mark = 2, ticket = ticket }))
            assert.equal(NO, (one.enter(103, 2)))
            assert.equal(GUEST, (one.enter(103, 3)))
            assert.equal(TRIAL, one.may_try(105))
        end)

        it("and twice as many each half second, while none of them fails", function()
            open_both(100)
            local _, ticket = two.enter(101, 2)
            assert.equal(BUSY, (one.enter(101.499, 3)))
            assert.equal(GUEST, (one.enter(101.5, 3)))
            assert.equal(BUSY, (two.enter(101.999, 4)))
            for mark = 4, 5 do assert.equal(GUEST, (two.enter(102, mark))) end
            assert.equal(BUSY, (two.enter(102, 6)))
            -- Three are left then, and no other comes before they have ended, or have been there for a while.
            one.fail(102, { mark = 2, ticket = ticket, evidence = DOUBTFUL })
            assert.equal(BUSY, (two.enter(102.999, 6)))
            assert.equal(GUEST, (two.enter(103, 6)))
        end)

        it("up to 1,024 of them", function()
            open_both(100)
            assert.equal(GUEST, (one.enter(101, 2)))
            for mark = 3, 1025 do assert.equal(GUEST, (two.enter(120, mark))) end
            assert.equal(BUSY, (two.enter(120, 1026)))
        end)

        it("and closes when one is served though a trial has failed meanwhile", function()
            open_both(100)
            local _, ticket = two.enter(101, 2)
            one.fail(105, { ticket = one.take_trial(105) })
            assert.is_true(two.finish(107, ticket))
            assert.equal(YES, one.may_try(107))
        end)

        it("and counts no one any more whose worker was killed", function()
            open_both(100)
            two.enter(101, 2)
            assert.equal(GUEST, (one.enter(131, 3)))
            assert.equal(BUSY, (one.enter(131, 4)))
        end)
    end)

    describe("takes an answer that has begun for a service until it has ended:", function()
        local function begun()
            local breaker = view({ failures = 5, window = 10, open = 5, share = 0.5 })
            for _ = 1, 5 do breaker.fail(100, { evidence = DOUBTFUL, mark = 7 }) end
            return breaker, breaker.begin(105, breaker.take_trial(105))
        end

        it("a good end is not counted again", function()
            local breaker, counted = begun()
            assert.is_true(counted)
            breaker.finish(106, 0, false, counted)
            assert.equal(1, shared.entries["breaker:gpu http://a:served"])
        end)

        it("after a bad one the endpoint has served nobody, and one caller's failures count in full", function()
            local breaker, counted = begun()
            breaker.fail(106, { evidence = DOUBTFUL, mark = 7, begun = counted })
            for _ = 1, 3 do assert.is_false(breaker.fail(107, { evidence = DOUBTFUL, mark = 7 })) end
            assert.is_true(breaker.fail(107, { evidence = DOUBTFUL, mark = 7 }))
        end)
    end)

    it("is not kept half open by a worker that was killed in its trial", function()
        open_both(100)
        assert.not_equal(0, one.take_trial(105))
        assert.equal(0, two.take_trial(134.9))
        assert.equal(NO, two.may_try(134.9))
        assert.equal(TRIAL, two.may_try(135))
        local ticket = two.take_trial(135)
        assert.not_equal(0, ticket)
        assert.equal(0, view().take_trial(135))
        assert.is_true(two.finish(135, ticket))
        assert.equal(YES, two.may_try(135))
    end)

    it("listens to a trial that took longer than its time, while the opening lasts", function()
        open_both(100)
        local ticket = one.take_trial(105)
        assert.is_true(one.finish(105, ticket))
        open_both(200)
        ticket = one.take_trial(205)
        local second = two.take_trial(240)
        assert.is_true(one.fail(250, { ticket = ticket }))
        assert.is_false(two.finish(250, second))
        assert.is_false(two.fail(251, { ticket = second }))
        assert.equal(NO, one.may_try(254.9))
        assert.equal(TRIAL, one.may_try(255))
    end)

    it("is neither closed, nor kept open, by requests that began before it opened", function()
        open_both(100)
        assert.is_false(one.finish(100))
        assert.is_false(two.fail(104))
        assert.equal(NO, one.may_try(104))
        assert.equal(TRIAL, one.may_try(105))
        local ticket = one.take_trial(105)
        assert.is_false(two.fail(105))
        assert.is_false(two.finish(105))
        assert.equal(NO, two.may_try(106))
        assert.is_true(one.finish(106, ticket))
    end)

    it("counts the late failure of a former trial like any other when it is closed", function()
        open_both(100)
        local ticket = one.take_trial(105)
        assert.is_true(two.finish(135, two.take_trial(135)))
        assert.is_false(one.fail(136, { ticket = ticket }))
        assert.is_false(two.fail(136))
        assert.is_true(two.fail(136))
    end)

    it("lets another request try at once when a trial came to no outcome", function()
        open_both(100)
        local ticket = one.take_trial(105)
        one.drop(ticket)
        assert.equal(TRIAL, two.may_try(105))
        local second = two.take_trial(105)
        one.drop(0)
        assert.equal(0, one.take_trial(105))
        two.fail(105, { ticket = second })
        assert.not_equal(0, one.take_trial(110))
        two.drop(second)
        assert.equal(0, two.take_trial(111))
    end)

    it("gives no trial to a worker whose view is overtaken by the report of the one before", function()
        open_both(100)
        local ticket = one.take_trial(105)
        shared.before = function(name)
            if name ~= "add" then return end
            shared.before = nil
            one.fail(106, { ticket = ticket })
        end
        assert.equal(0, two.take_trial(106))
        assert.equal(NO, two.may_try(106))
        assert.not_equal(0, two.take_trial(111))
    end)

    it("is switched off with no failures, and then asks nobody", function()
        local off = view({ failures = 0, window = 10, open = 5, share = 0.5 })
        open_both(100)
        shared.calls = 0
        for _ = 1, 10 do assert.is_false(off.fail(100)) end
        assert.is_false(off.finish(100))
        off.check(200, true)
        assert.equal(YES, off.may_try(100))
        assert.equal(0, off.take_trial(200))
        assert.equal("closed", (off.state(100)))
        assert.is_false(off.may_enter(100, 2))
        assert.equal(0, shared.calls)
    end)

    it("looks into the dictionary once for a request while it is closed, and once after its success", function()
        one.fail(100)
        one.finish(100)
        shared.calls = 0
        assert.equal(YES, one.may_try(100))
        assert.equal(1, shared.calls)
        one.finish(100)
        assert.equal(2, shared.calls)
    end)

    it("does not open for failures that a former configuration counted in another list", function()
        local large = view({ failures = 5, window = 100, open = 5, share = 0.5 })
        for _ = 1, 4 do large.fail(100) end
        assert.is_false(one.fail(101))
        assert.is_false(one.fail(101))
        assert.is_true(one.fail(101))
    end)

    it("counts on if a worker does not let go of the lock", function()
        shared.add("breaker:gpu http://a:lock", 99)
        open_both(100)
        assert.equal(NO, one.may_try(100))
    end)

    it("counts on without a number of its own to lock with", function()
        one.worker.number, two.worker.number = 0, 0
        open_both(100)
    end)

    it("stays closed if the dictionary has no room for what failed", function()
        shared = dictionary(0)
        local poor = view()
        for now = 1, 10 do assert.is_false(poor.fail(now)) end
        assert.equal(YES, poor.may_try(10))
        assert.is_false(poor.finish(11))
    end)

    it("is tried, by one at a time, also when the dictionary has no room for the trial", function()
        open_both(100)
        local room = 0
        while shared.add("filler" .. room, 1) == nil do room = room + 1 end
        assert.equal(NO, (one.enter(101, 5)))
        local ticket = one.take_trial(105)
        assert.not_equal(0, ticket)
        assert.equal(NO, two.may_try(106))
        assert.equal(0, two.take_trial(106))
        assert.equal(TRIAL, two.may_try(135))
        assert.is_true(one.finish(135, ticket))
        assert.equal(YES, two.may_try(135))
    end)

    it("leaves nothing behind but entries that stay as few as they are", function()
        for round = 1, 50 do
            local now = round * 100
            for _ = 1, 3 do one.fail(now) end
            local ticket = two.take_trial(now + 5)
            if round % 2 == 0 then
                two.fail(now + 6, { ticket = ticket })
                ticket = two.take_trial(now + 11)
            end
            assert.is_true(two.finish(now + 12, ticket))
        end
        local names = {}
        for name in pairs(shared.entries) do names[#names + 1] = name end
        table.sort(names)
        assert.same({ "breaker:gpu http://a:failed", "breaker:gpu http://a:past:10", "breaker:gpu http://a:served" }, names)
    end)
end)
