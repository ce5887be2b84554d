-- Many tenants before two endpoints, one of them hostile, on a clock of the simulation's own: the breakers and the picks are the real
-- ones, requests and endpoints are simulated.

local breaker = require("sluice.pool.breaker")
local state_of = require("sluice.pool.breaker_state").state_of
local mark_of = require("sluice.pool.caller").mark_of
local dictionary = require("spec.unit.pool.lasting_dictionary").new
local flights = require("sluice.pool.flights")
local live_module = require("sluice.pool.live")
local picking = require("sluice.pool.pick_endpoint")
local pools = require("sluice.pool.pools")
local slots = require("sluice.pool.slots")

local SERVED, DOUBTFUL, FAILED, LOST = 1, 3, 4, 5
local ATTEMPTS, QUEUE_SECONDS, LOOK_SECONDS, BACKOFF = 3, 10, 0.02, 0.1
local USUAL = { failures = 5, window = 10000, open = 15000, share = 0.5 }

local function new_simulation(seed)
    math.randomseed(seed)
    local made = { now = 1000, lost = {}, served = {}, tries = {}, opened = {}, failures = { {}, {} } }
    local configuration = {
        name = "gpu", api = "openai", endpoints = {}, keys = {}, headers = {}, balance = "least_load", breaker = USUAL,
        timeouts = { connect = 2000, send = 10000, read = 60000, total = 600000 },
        retries = { attempts = ATTEMPTS, on = { "connect" }, backoff = 200 },
        queue = { max_waiting = 100, timeout = 10000 },
    }
    for index, host in ipairs({ "a", "b" }) do
        configuration.endpoints[index] = { url = "http://" .. host, scheme = "http", host = host, port = 80, path = "", weight = 1 }
    end
    local pool = pools.build({ configuration }, {}, slots.new_slots(), 0).gpu
    local store, lives = dictionary(1000), {}
    for process = 1, 2 do
        lives[process] = live_module.make_live(pool, store, flights.new_flights(store, process, function() return true end), { "" }, 0, 72)
    end

    -- What happens when, earliest first; what comes at once, in the order in which it was said.
    local events, number = {}, 0
    function made.at(time, act)
        number = number + 1
        local event, place = { time = time, number = number, act = act }, #events
        while place > 0 and (events[place].time > time) do place = place - 1 end
        table.insert(events, place + 1, event)
    end
    function made.run(seconds)
        local last = made.now + seconds
        while events[1] and events[1].time <= last do
            local event = table.remove(events, 1)
            made.now, store.now = event.time, event.time
            event.act()
        end
        made.now = last
    end

    --- What an endpoint does with a request: given its index and the caller's kind, returns the evidence and the seconds that it takes; and
    --- when the header of a good answer comes, if that is not its end.
    made.behave = function() return SERVED, 0.3 end

    local attempt
    local function finish(request, index, evidence)
        local live = request.live
        local each, mark = live.breakers[index], mark_of(request.caller)
        live_module.leave_endpoint(live, pool.endpoints[index])
        made.tries[request.kind] = (made.tries[request.kind] or 0) + 1
        if evidence == SERVED then
            breaker.note_end(each, made.now, true, request.ticket, request.begun)
            made.served[request.kind] = (made.served[request.kind] or 0) + 1
            return
        end
        local first = not request.failed_at[index]
        request.failed_at[index] = true
        table.insert(made.failures[index], { time = made.now, evidence = evidence })
        if breaker.note_failure(each, made.now, evidence, mark, first, request.ticket, request.begun) then
            made.opened[#made.opened + 1] = { time = made.now, index = index, failures = #made.failures[index] }
        end
        table.insert(request.tried, index - 1)
        if #request.tried >= ATTEMPTS then
            table.insert(made.lost, { kind = request.kind, time = made.now, why = evidence })
        else
            made.at(made.now + BACKOFF * math.random(), function() attempt(request, made.now) end)
        end
    end
    attempt = function(request, since)
        local found = picking.pick_endpoint(pool, request.live, request.tried, #request.tried, made.now, request.caller)
        if found.endpoint then
            local index = found.endpoint.index + 1
            request.ticket = found.ticket
            request.begun = false
            local evidence, seconds, begins = made.behave(index, request.kind)
            if begins and request.ticket ~= 0 then
                made.at(made.now + begins, function()
                    request.begun = breaker.note_begun(request.live.breakers[index], made.now, request.ticket)
                    request.ticket = 0
                end)
            end
            made.at(made.now + seconds, function() finish(request, index, evidence) end)
        elseif (found.saturated or found.awaited) and made.now < since + QUEUE_SECONDS then
            made.at(made.now + LOOK_SECONDS, function() attempt(request, since) end)
        else
            table.insert(made.lost, { kind = request.kind, time = made.now, why = "nobody" })
        end
    end

    --- A request of a caller of that kind: "hostile" or "honest".
    function made.ask(kind, tenant, key)
        local caller = { tenant = { id = tenant }, key = key or "web" }
        local request = { kind = kind, caller = caller, live = lives[math.random(2)], tried = {}, failed_at = {} }
        attempt(request, made.now)
    end
    --- One asks again and again, so many times a second, by chance.
    function made.keep_asking(kind, tenant, rate, from, to, keys)
        local time, count = made.now + from, 0
        while true do
            time = time - math.log(1 - math.random()) / rate
            if time > 1000 + to then return end
            count = count + 1
            local key = "key-" .. count % (keys or 1)
            made.at(time, function() made.ask(kind, tenant, key) end)
        end
    end
    function made.honest_lost()
        local lost = {}
        for _, each in ipairs(made.lost) do
            if each.kind == "honest" then lost[#lost + 1] = ("%.2f s: %s"):format(each.time - 1000, each.why) end
        end
        return lost
    end
    function made.is_open(index) return (state_of(lives[1].breakers[index], made.now)) ~= "closed" end
    return made
end

-- Twenty tenants that do nothing wrong, so many requests a second each.
local function twenty(simulation, rate, from, to)
    for tenant = 1, 20 do simulation.keep_asking("honest", "tenant-" .. tenant, rate, from, to) end
end

-- How engines answer a mistake: at once, with a JSON error of status 500 or an error event.
local function mistaken(evidence)
    return function(_, kind)
        if kind == "hostile" then return evidence, 0.005 end
        return SERVED, 0.1 + 0.4 * math.random()
    end
end

-- When the rule that breakers had before would have opened: with the fifth failure within ten seconds, whoever met it.
local function as_before(failures, since)
    for index = 5, #failures do
        if failures[index].time >= since and failures[index].time - failures[index - 4].time <= 10 then return failures[index].time end
    end
end

describe("twenty honest tenants and one hostile one", function()
    for _, seed in ipairs({ 1, 2, 3 }) do
        for _, rate in ipairs({ 0.2, 2 }) do
            it(("lose nothing by requests that engines take for failures (seed %d, %.1f requests a second each)"):format(seed, rate), function()
                local simulation = new_simulation(seed)
                simulation.behave = mistaken(DOUBTFUL)
                simulation.keep_asking("hostile", "hostile", 20, 0, 120)
                twenty(simulation, rate, 1, 120)
                simulation.run(200)
                assert.same({}, simulation.honest_lost())
                assert.equal(simulation.served.honest, simulation.tries.honest)
            end)

            it(("lose nothing when it has shut both endpoints before they came (seed %d, %.1f a second)"):format(seed, rate), function()
                local simulation = new_simulation(seed)
                simulation.behave = mistaken(DOUBTFUL)
                for request = 1, 10 do simulation.at(1000 + request / 100, function() simulation.ask("hostile", "hostile") end) end
                simulation.run(1)
                assert.is_true(simulation.is_open(1) and simulation.is_open(2))
                -- They come all at once.
                for tenant = 1, 20 do simulation.at(1001, function() simulation.ask("honest", "tenant-" .. tenant) end) end
                twenty(simulation, rate, 0, 60)
                simulation.keep_asking("hostile", "hostile", 20, 0, 60)
                simulation.run(100)
                assert.same({}, simulation.honest_lost())
                assert.equal(simulation.served.honest, simulation.tries.honest)
            end)

            for _, seconds in ipairs({ 5, 15, 30 }) do
                local what = "lose nothing when their answers begin after %d seconds (seed %d, %.1f a second)"
                it(what:format(seconds, seed, rate), function()
                    local simulation = new_simulation(seed)
                    simulation.behave = function(_, kind)
                        if kind == "hostile" then return DOUBTFUL, 0.005 end
                        return SERVED, seconds
                    end
                    for request = 1, 10 do simulation.at(1000 + request / 100, function() simulation.ask("hostile", "hostile") end) end
                    simulation.keep_asking("hostile", "hostile", 5, 1, 120, 3)
                    twenty(simulation, rate, 1, 120)
                    simulation.run(240)
                    assert.same({}, simulation.honest_lost())
                end)
            end

            it(("lose nothing when it asks with ten keys (seed %d, %.1f a second)"):format(seed, rate), function()
                local simulation = new_simulation(seed)
                simulation.behave = mistaken(DOUBTFUL)
                simulation.keep_asking("hostile", "hostile", 40, 0, 60, 10)
                twenty(simulation, rate, 1, 60)
                simulation.run(100)
                assert.same({}, simulation.honest_lost())
            end)

            for name, how in pairs({
                refuses = { LOST, 0.001 }, resets = { LOST, 0.05 }, ["is silent"] = { LOST, 5 },
            }) do
                local what = "lose nothing but retries when an endpoint %s, which is left as soon as ever (seed %d, %.1f a second)"
                it(what:format(name, seed, rate), function()
                    local simulation = new_simulation(seed)
                    local well = mistaken(DOUBTFUL)
                    simulation.behave = function(index, kind)
                        if index == 1 and simulation.now >= 1030 then return how[1], how[2] end
                        return well(index, kind)
                    end
                    simulation.keep_asking("hostile", "hostile", 5, 5, 120)
                    twenty(simulation, rate, 0, 120)
                    simulation.run(30)
                    assert.same({}, simulation.opened)
                    simulation.failures[1] = {}
                    simulation.run(170)
                    assert.same({}, simulation.honest_lost())
                    local first = simulation.opened[1]
                    assert.equal(1, first.index)
                    local lost = {}
                    for _, each in ipairs(simulation.failures[1]) do
                        if each.evidence == LOST then lost[#lost + 1] = each end
                    end
                    -- What had begun before ends well meanwhile, and the hostile one's own failures count no more: at most so much later.
                    local before = as_before(lost, 1030)
                    assert.is_true(first.time >= before and first.time <= before + 1, ("%.3f, before %.3f"):format(first.time - 1030, before - 1030))
                end)
            end
        end
    end

    it("leave an endpoint that answers all of them with errors, at the latest when half a window of them has come", function()
        local simulation = new_simulation(4)
        simulation.behave = function(index)
            if index == 1 and simulation.now >= 1030 then return FAILED, 0.01 end
            return SERVED, 0.3
        end
        twenty(simulation, 2, 0, 60)
        simulation.run(100)
        assert.same({}, simulation.honest_lost())
        assert.equal(1, simulation.opened[1].index)
        assert.is_true(simulation.opened[1].time <= 1030 + 6, simulation.opened[1].time)
    end)

    it("leave one that is sick and answers with errors that could be their own", function()
        local simulation = new_simulation(5)
        simulation.behave = function(index)
            if index == 1 and simulation.now >= 1030 then return DOUBTFUL, 0.01 end
            return SERVED, 0.3
        end
        twenty(simulation, 0.5, 0, 60)
        simulation.run(100)
        assert.same({}, simulation.honest_lost())
        assert.equal(1, simulation.opened[1].index)
        assert.is_true(simulation.opened[1].time <= 1030 + 12, simulation.opened[1].time)
    end)
end)

describe("a single caller", function()
    it("is not left with an endpoint that is sick", function()
        local simulation = new_simulation(6)
        simulation.behave = function(index)
            if index == 1 and simulation.now >= 1030 then return DOUBTFUL, 0.01 end
            return SERVED, 0.3
        end
        simulation.keep_asking("honest", "alone", 10, 0, 90)
        simulation.run(120)
        assert.same({}, simulation.honest_lost())
        assert.equal(1, simulation.opened[1].index)
        assert.is_true(simulation.opened[1].time <= 1030 + 10 * 9 / 8 + 3, simulation.opened[1].time)
        assert.is_true(#simulation.failures[1] < 130, #simulation.failures[1])
    end)

    it("is not left with one that begins good answers and ends them with errors", function()
        local simulation = new_simulation(8)
        simulation.behave = function(index)
            if index == 1 and simulation.now >= 1030 then return DOUBTFUL, 0.02, 0.01 end
            return SERVED, 0.3, 0.1
        end
        simulation.keep_asking("honest", "alone", 2, 0, 630)
        simulation.run(660)
        -- At most as many as open it, and a trial, each time that it has been closed; and those of the first window, in which it has served.
        assert.is_true(#simulation.failures[1] < 6 * 600 / 15, #simulation.failures[1])
    end)

    it("gets both endpoints back after both were down", function()
        local simulation = new_simulation(7)
        simulation.behave = function()
            if simulation.now >= 1030 and simulation.now < 1040 then return LOST, 0.001 end
            return SERVED, 0.3
        end
        simulation.keep_asking("honest", "alone", 10, 0, 120)
        simulation.run(30)
        assert.same({}, simulation.honest_lost())
        simulation.run(40)
        local lost = #simulation.honest_lost()
        assert.is_true(lost > 0)
        simulation.run(100)
        assert.equal(lost, #simulation.honest_lost())
        assert.is_false(simulation.is_open(1) or simulation.is_open(2))
    end)
end)
