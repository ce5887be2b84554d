-- A worker's view of a breaker, as specs use it: each call sets the dictionary's clock first.

local breaker_module = require("sluice.pool.breaker")
local state_module = require("sluice.pool.breaker_state")
local guests_module = require("sluice.pool.breaker_guests")
local trial_module = require("sluice.pool.breaker_trial")

local breaker_view = { NO = 0, YES = 1, TRIAL = 2, SERVED = 1, ANSWERED = 2, DOUBTFUL = 3, FAILED = 4, LOST = 5, BUSY = 1, CLOSED = 2, GUEST = 3 }

local workers = 0

--- `shared`: the dictionary. `check_seconds`: how long trials are left to health checks; without it, there are none.
function breaker_view.new(shared, configuration, name, trial_seconds, check_seconds)
    workers = workers + 1
    local worker = { dictionary = shared, process = workers, number = workers, is_alive = function() return true end }
    local breaker = state_module.new_breaker(worker, name, configuration, trial_seconds, check_seconds or 0)
    local view = { breaker = breaker, worker = worker }
    local function at(now) shared.now = now return now end
    function view.may_try(now) return trial_module.may_try(breaker, at(now)) end
    function view.must_wait(now, mark) return trial_module.must_wait(breaker, at(now), mark) end
    function view.take_trial(now) return trial_module.take_trial(breaker, at(now)) end
    function view.enter(now, mark)
        return guests_module.enter(breaker, at(now), mark)
    end
    function view.may_enter(now, mark)
        at(now)
        return guests_module.may_enter(breaker, mark)
    end
    function view.drop(ticket) trial_module.drop_ticket(breaker, ticket) end
    --- `more`: how it failed (`evidence`, LOST without it), the caller (`mark`), the `ticket`, whether it is the `first` failure there,
    --- and whether its answer had `begun`, as `begin` returned it.
    function view.fail(now, more)
        more = more or {}
        local first = more.first == nil or more.first
        local evidence, mark = more.evidence or breaker_view.LOST, more.mark or 1
        return breaker_module.note_failure(breaker, at(now), evidence, mark, first, more.ticket or 0, more.begun or false)
    end
    --- An attempt has ended well: it has been served, unless `answered`. `begun`: as `begin` returned it.
    function view.finish(now, ticket, answered, begun)
        return breaker_module.note_end(breaker, at(now), not answered, ticket or 0, begun or false)
    end
    --- A good answer to it has begun.
    function view.begin(now, ticket) return breaker_module.note_begun(breaker, at(now), ticket) end
    function view.check(now, good) return breaker_module.note_check(breaker, at(now), good) end
    function view.state(now) return state_module.state_of(breaker, at(now)) end
    return view
end

return breaker_view
