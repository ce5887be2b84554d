local accounts_module = require("sluice.pool.accounts")
local states = require("sluice.pool.account_states")
local dictionary = require("spec.unit.pool.lasting_dictionary").new

local TRIAL_SECONDS = 60

describe("the accounts of a pool", function()
    local shared, one, two

    local function view(weights)
        local names = {}
        for index = 1, #weights do names[index] = string.char(96 + index) end
        return states.new_accounts(shared, "gpu", names, weights, TRIAL_SECONDS)
    end
    local function views(...)
        shared = dictionary(100)
        one, two = view({ ... }), view({ ... })
    end
    local function used_of(...)
        local used = accounts_module.new_used()
        for _, index in ipairs({ ... }) do accounts_module.mark_used(used, index) end
        return used
    end
    local function at(now) shared.now = now return now end
    local function next_of(accounts, now, ...) return accounts_module.next_account(accounts, used_of(...), at(now)) end
    local function order(accounts, now, count)
        local names = {}
        for turn = 1, count do names[turn] = accounts.names[next_of(accounts, now) + 1] end
        return table.concat(names)
    end
    local function refuse(accounts, index, now, ticket) return states.note_refused(accounts, index, at(now), ticket or 0) end
    local function limit(accounts, index, now, seconds, ticket)
        return states.note_limited(accounts, index, at(now), seconds or -1, ticket or 0)
    end
    local function accept(accounts, index, now, ticket) return states.note_accepted(accounts, index, at(now), ticket or 0) end
    local function state(accounts, index, now) return { states.state_of(accounts, index, at(now)) } end

    it("take turns by their weights, spread as far as can be", function()
        views(5, 1, 1)
        assert.equal("aabacaaaabacaa", order(one, 1, 14))
        views(1, 1, 1)
        assert.equal("abcabca", order(one, 1, 7))
        views(1)
        assert.equal("aaa", order(one, 1, 3))
        assert.same({ -1, 0, 0 }, { next_of(view({}), 1) })
    end)

    it("are not given to a request twice while there are others", function()
        views(1, 1, 1)
        assert.equal(2, (next_of(one, 1, 0, 1)))
        assert.equal(0, (next_of(one, 1, 1, 2)))
        assert.same({ 0, 0, 0 }, { next_of(one, 1, 0, 1, 2) })
        assert.is_true(accounts_module.has_other_account(one, used_of(0, 1), 1))
        assert.is_false(accounts_module.has_other_account(one, used_of(0, 1, 2), 1))
    end)

    it("are forgotten as used once each and all together", function()
        local used = used_of(3, 3, 1)
        assert.equal(2, used.count)
        assert.is_true(accounts_module.is_used(used, 1))
        accounts_module.clear_used(used)
        assert.is_false(accounts_module.is_used(used, 1))
    end)

    it("cost one look into the dictionary while nothing is wrong", function()
        views(2, 1)
        next_of(one, 1)
        shared.calls = 0
        next_of(one, 1)
        assert.equal(1, shared.calls)
        assert.is_false(accept(one, 0, 1))
        assert.equal(1, shared.calls)
    end)

    it("cost one look also while one of them rests or cools", function()
        views(1, 1, 1)
        next_of(one, 1)
        refuse(one, 0, 1)
        limit(one, 1, 1, 100)
        next_of(two, 1)
        shared.calls = 0
        next_of(one, 1)
        next_of(two, 1)
        assert.equal(2, shared.calls)
    end)

    describe("that were refused", function()
        it("rest for 300 seconds, for all workers", function()
            views(1, 1)
            next_of(two, 100)
            assert.is_true(refuse(one, 0, 100))
            assert.equal("bbb", order(two, 100, 3))
            assert.equal("bbb", order(one, 399.9, 3))
            assert.same({ "resting", 200 }, state(two, 0, 200))
        end)

        it("are nobody's when all rest", function()
            views(1, 1)
            refuse(one, 0, 100)
            refuse(two, 1, 101)
            assert.same({ -1, 0, 0 }, { next_of(one, 200) })
            assert.same({ -1, 0, 0 }, { next_of(two, 200, 0) })
        end)

        it("are tried by exactly one request of all workers when the rest is over", function()
            views(1, 1)
            refuse(one, 0, 100)
            local index, seconds, ticket = next_of(two, 400)
            assert.same({ 0, 0 }, { index, seconds })
            assert.not_equal(0, ticket)
            assert.equal("bbb", order(one, 400, 3))
            assert.equal("bbb", order(two, 459.9, 3))
        end)

        it("are used again after the trial's success", function()
            views(1, 1)
            refuse(one, 0, 100)
            local _, _, ticket = next_of(two, 400)
            assert.is_true(accept(two, 0, 401, ticket))
            assert.same({ "free", 0 }, state(one, 0, 401))
            assert.matches("a", order(one, 401, 2))
            assert.is_nil(shared.entries["accounts:gpu:a"])
            assert.is_nil(shared.entries["accounts:gpu:a:trial"])
        end)

        it("rest again after the trial's failure, and are tried once again", function()
            views(1, 1)
            refuse(one, 0, 100)
            local _, _, ticket = next_of(two, 400)
            assert.is_true(refuse(two, 0, 410, ticket))
            assert.equal("bbb", order(one, 709.9, 3))
            local index, _, second = next_of(one, 710)
            assert.equal(0, index)
            assert.not_equal(0, second)
            assert.equal(1, (next_of(two, 710)))
        end)

        it("are tried by another when the worker that did was killed", function()
            views(1)
            refuse(one, 0, 100)
            assert.equal(0, (next_of(one, 400)))
            assert.equal(-1, (next_of(two, 459)))
            assert.equal(0, (next_of(two, 460)))
            assert.equal(-1, (next_of(two, 460)))
        end)

        it("are tried by another at once when the trial says nothing of the account", function()
            views(1)
            refuse(one, 0, 100)
            local _, _, ticket = next_of(one, 400)
            states.drop_trial(one, 0, ticket)
            local _, _, second = next_of(two, 400)
            assert.not_equal(0, second)
            states.drop_trial(one, 0, 0)
            assert.equal(-1, (next_of(one, 401)))
            refuse(two, 0, 402, second)
            local _, _, third = next_of(two, 702)
            assert.not_equal(0, third)
            states.drop_trial(one, 0, ticket)
            assert.equal(-1, (next_of(one, 703)))
        end)

        it("rest no longer for requests that began before, and no shorter", function()
            views(1)
            refuse(one, 0, 100)
            assert.is_false(refuse(two, 0, 200))
            assert.is_false(accept(two, 0, 201))
            assert.is_false(limit(two, 0, 202, 1))
            assert.same({ "resting", 100 }, state(one, 0, 300))
            local _, _, ticket = next_of(one, 400)
            assert.is_false(refuse(two, 0, 401))
            assert.is_false(accept(two, 0, 401))
            assert.is_true(accept(one, 0, 402, ticket))
        end)

        it("are tried by a first attempt, by a later one only if nobody else is free", function()
            views(1, 1, 1)
            refuse(one, 0, 100)
            assert.equal(2, (next_of(one, 400, 1)))
            local index, _, ticket = next_of(one, 400, 1, 2)
            assert.equal(0, index)
            assert.not_equal(0, ticket)
        end)

        it("cool down when the trial is limited", function()
            views(1)
            refuse(one, 0, 100)
            local _, _, ticket = next_of(one, 400)
            assert.is_true(limit(one, 0, 400, 7, ticket))
            assert.same({ "cooling", 7 }, state(two, 0, 400))
            assert.same({ 0, 0, 0 }, { next_of(two, 407) })
        end)

        it("give no trial to a worker that is overtaken by the report of the one before", function()
            views(1)
            refuse(one, 0, 100)
            local _, _, ticket = next_of(one, 400)
            shared.before = function(name)
                if name ~= "add" then return end
                shared.before = nil
                refuse(one, 0, 401, ticket)
            end
            assert.equal(-1, (next_of(two, 401)))
            assert.not_equal(-1, (next_of(two, 701)))
        end)
    end)

    describe("that were limited", function()
        it("cool down for as long as the upstream says, a day at most", function()
            views(1, 1)
            assert.is_true(limit(one, 0, 100, 20.5))
            assert.equal("bbb", order(two, 120.4, 3))
            assert.matches("a", order(two, 120.5, 2))
            limit(one, 1, 200, 1e9)
            assert.same({ "cooling", 86400 }, state(two, 1, 200))
        end)

        it("cool down for twice as long each time if it does not say, a minute at most", function()
            views(1)
            local now = 100
            for _, seconds in ipairs({ 1, 2, 4, 8, 16, 32, 60, 60 }) do
                assert.is_true(limit(one, 0, now))
                assert.same({ "cooling", seconds }, state(two, 0, now))
                now = now + seconds
            end
            for _ = 1, 2000 do
                limit(two, 0, now)
                assert.same({ "cooling", 60 }, state(one, 0, now))
                now = now + 60
            end
        end)

        it("begin at a second again after a success", function()
            views(1)
            limit(one, 0, 100)
            limit(one, 0, 101)
            next_of(two, 103)
            accept(two, 0, 103)
            limit(one, 0, 104)
            assert.same({ "cooling", 1 }, state(one, 0, 104))
        end)

        it("do not double for those that were under way together, nor begin again", function()
            views(1)
            assert.is_true(limit(one, 0, 100))
            for _ = 1, 20 do assert.is_false(limit(two, 0, 100.5)) end
            accept(two, 0, 100.6)
            assert.same({ "cooling", 0.5 }, state(one, 0, 100.5))
            limit(one, 0, 101)
            assert.same({ "cooling", 2 }, state(one, 0, 101))
        end)

        it("cool longer, never shorter, when one of those under way is told so", function()
            views(1)
            limit(one, 0, 100, 10)
            limit(two, 0, 100, 5)
            assert.same({ "cooling", 10 }, state(one, 0, 100))
            limit(two, 0, 101, 30)
            assert.same({ "cooling", 30 }, state(one, 0, 101))
        end)

        it("count a wait of no time as not said", function()
            views(1)
            limit(one, 0, 100, 0)
            assert.same({ "cooling", 1 }, state(one, 0, 100))
        end)

        it("are told with their waiting time, the soonest one, when all cool down", function()
            views(1, 1, 1)
            limit(one, 0, 100, 30)
            limit(one, 1, 100, 10)
            limit(one, 2, 100, 20)
            assert.same({ 1, 9, 0 }, { next_of(two, 101) })
            assert.same({ 1, 9, 0 }, { next_of(two, 101, 1) })
            refuse(one, 1, 111)
            assert.same({ 2, 8, 0 }, { next_of(two, 112, 2) })
        end)

        it("do not wait for one that cools when only having been used speaks against another", function()
            views(1, 1)
            limit(one, 0, 100, 30)
            assert.same({ 1, 0, 0 }, { next_of(two, 101, 1) })
        end)

        it("go in the order of when they were limited, among equals, for a minute", function()
            views(1, 1, 1, 1)
            limit(one, 0, 103, 1)
            limit(one, 1, 101, 1)
            limit(two, 2, 102, 1)
            assert.equal("dbca", order(two, 110, 4))
            assert.equal("abcd", order(two, 163, 4))
        end)

        it("keep the shares that the weights give them", function()
            views(3, 1)
            limit(one, 0, 100, 1)
            local _, count = order(two, 110, 40):gsub("a", "")
            assert.equal(30, count)
        end)
    end)

    it("are known to a worker that has just begun", function()
        views(1, 1)
        refuse(one, 0, 100)
        assert.equal("bb", order(view({ 1, 1 }), 101, 2))
    end)

    it("are known anew even if a worker was killed before it raised the number", function()
        views(1)
        refuse(one, 0, 100)
        local _, _, ticket = next_of(two, 400)
        local raise = shared.increase
        shared.increase = function() error("killed") end
        assert.is_false(pcall(states.note_accepted, two, 0, 400, ticket))
        shared.increase = raise
        shared.remove("accounts:gpu:a:trial")
        assert.same({ 0, 0, 0 }, { next_of(one, 401) })
    end)

    it("of different pools have nothing to do with each other", function()
        views(1)
        local other = states.new_accounts(shared, "cpu", { "a" }, { 1 }, TRIAL_SECONDS)
        refuse(one, 0, 100)
        assert.same({ "free", 0 }, state(other, 0, 100))
    end)

    it("are each worker's own experience when the dictionary has no room", function()
        shared = dictionary(0)
        one, two = view({ 1, 1 }), view({ 1, 1 })
        next_of(one, 100)
        limit(one, 0, 100, 10)
        assert.equal("bbb", order(one, 101, 3))
        assert.matches("a", order(two, 101, 2))
    end)

    it("are tried, by one at a time, also when the dictionary has no room for the trial", function()
        views(1)
        refuse(one, 0, 100)
        local room = 0
        while shared.add("filler" .. room, 1) == nil do room = room + 1 end
        local _, _, ticket = next_of(one, 400)
        assert.not_equal(0, ticket)
        assert.equal(-1, (next_of(two, 459)))
        assert.is_true(accept(one, 0, 459, ticket))
        assert.equal(0, (next_of(two, 459)))
    end)
end)
