local states = require("sluice.pool.account_states")
local dictionary = require("spec.unit.pool.lasting_dictionary").new

local TRIAL_SECONDS, REST_SECONDS = 60, 300
local NOBODY = -1

describe("an account that has answered 403", function()
    local CLOCK, FORBIDDEN = "sluice.edge.clock", "sluice.phases.forbidden"
    local real_clock, real_ngx, forbidden, shared, accounts, request, now, logged

    setup(function()
        real_clock, real_ngx = package.loaded[CLOCK], rawget(_G, "ngx")
        package.loaded[CLOCK] = { monotonic = function() return now end }
        _G.ngx = { ERR = 4, log = function(_, ...) logged = table.concat({ ... }) end }
        package.loaded[FORBIDDEN] = nil
        forbidden = require(FORBIDDEN)
    end)

    teardown(function()
        package.loaded[CLOCK], package.loaded[FORBIDDEN] = real_clock, nil
        _G.ngx = real_ngx
    end)

    before_each(function()
        shared, now, logged = dictionary(100), 1000, nil
        shared.now = now
        accounts = states.new_accounts(shared, "gpu", { "a", "b" }, { 1, 1 }, TRIAL_SECONDS)
        request = {
            forbidden_account = NOBODY, forbidden_ticket = 0, account_index = 0, account_ticket = 0,
            model = { pool = { name = "gpu", accounts = { { id = "one" }, { id = "two" } }, live = { accounts = accounts } } },
        }
    end)

    local function state(index) return (states.state_of(accounts, index, now)) end

    local function pass(seconds) now, shared.now = now + seconds, now + seconds end

    it("rests if another one served what it refused", function()
        assert.is_false(forbidden.note_forbidden(request))
        assert.equal("free", state(0))
        request.account_index = 1
        assert.is_true(forbidden.note_forbidden(request))
        forbidden.settle_forbidden(request, true)
        assert.same({ "resting", "free" }, { state(0), state(1) })
        assert.matches("account one refuses %(403%)", logged)
        assert.equal(NOBODY, request.forbidden_account)
    end)

    it("does not rest if nobody served it, or only the same one, or nothing was refused", function()
        forbidden.note_forbidden(request)
        request.account_index = 1
        forbidden.settle_forbidden(request, false)
        forbidden.note_forbidden(request)
        request.account_index = 1
        forbidden.settle_forbidden(request, true)
        request.account_index = 0
        forbidden.settle_forbidden(request, true)
        assert.same({ "free", "free" }, { state(0), state(1) })
        assert.is_nil(logged)
    end)

    it("keeps its trial until that is known, and rests on, or may be tried by the next request", function()
        states.note_refused(accounts, 0, now, 0)
        for _, served in ipairs({ false, true }) do
            pass(REST_SECONDS)
            request.account_index = 0
            request.account_ticket = states.take_trial(accounts, 0, now)
            assert.is_true(request.account_ticket ~= 0)
            forbidden.note_forbidden(request)
            assert.equal(0, request.account_ticket)
            assert.equal(0, states.take_trial(accounts, 0, now))
            request.account_index = 1
            forbidden.settle_forbidden(request, served)
            local again = states.take_trial(accounts, 0, now)
            assert.equal(served, again == 0)
            states.drop_trial(accounts, 0, again)
        end
        assert.equal("resting", state(0))
        pass(REST_SECONDS)
        assert.is_true(states.take_trial(accounts, 0, now) ~= 0)
    end)

    it("goes on with its trial when it is asked once more", function()
        states.note_refused(accounts, 0, now, 0)
        pass(REST_SECONDS)
        local ticket = states.take_trial(accounts, 0, now)
        request.account_ticket = ticket
        forbidden.note_forbidden(request)
        forbidden.resume_trial(request)
        assert.same({ ticket, 0 }, { request.account_ticket, request.forbidden_ticket })
    end)

    it("is served by a whole answer only", function()
        for _, case in ipairs({
            { 200, "finished", true }, { 204, "finished", true }, { 200, "blocked", true }, { 200, "budget_cut", true },
            { 200, "upstream_lost", false }, { 200, "timed_out", false }, { 200, "client_gone", false },
            { 403, "refused", false }, { 400, "finished", false }, { 0, "finished", false },
        }) do
            assert.equal(case[3], forbidden.is_served(case[1], case[2]), case[2])
        end
    end)
end)
