local conversation_module = require("sluice.pool.conversation")
local memory_module = require("sluice.pool.prefix_memory")
local breaker = require("sluice.pool.breaker")
local breaker_view = require("spec.unit.pool.breaker_view")
local dictionary = require("spec.unit.pool.lasting_dictionary").new
local flights = require("sluice.pool.flights")
local knowledge = require("sluice.pool.knowledge")
local live_module = require("sluice.pool.live")
local picking = require("sluice.pool.pick_endpoint")
local pools = require("sluice.pool.pools")
local slots_module = require("sluice.pool.slots")
local standing = require("sluice.pool.standing")

local function pool_of(endpoints, more)
    local configuration = {
        name = "gpu", api = "openai", endpoints = {}, keys = {},
        timeouts = { connect = 2000, send = 10000, read = 60000, total = 600000 }, headers = {},
        balance = "round_robin", retries = { attempts = 3, on = { "connect" }, backoff = 200 },
        breaker = { failures = 2, window = 10000, open = 15000, share = 0.5 },
        queue = { max_waiting = 100, timeout = 10000 },
    }
    for index, of in ipairs(endpoints) do
        configuration.endpoints[index] = {
            url = "http://" .. of.host, scheme = "http", host = of.host, port = 80, path = "", weight = of.weight or 1, max_concurrent = of.most,
        }
    end
    for name, value in pairs(more or {}) do configuration[name] = value end
    local built = pools.build({ configuration }, {}, slots_module.new_slots(), 0)
    return built.gpu
end

local function worker(pool, store, process)
    local counted = flights.new_flights(store, process or 1, function() return true end)
    return live_module.make_live(pool, store, counted, { "" }, 0, 60)
end

local ACME = { tenant = { id = "acme" }, key = "web" }
local OTHER = { tenant = { id = "acme" }, key = "batch" }

-- The host that takes a request of that caller which has tried these endpoints, and what else was found.
local function pick_for(caller, pool, live, now, ...)
    local tried = { [0] = nil }
    for place = 1, select("#", ...) do tried[place] = (select(place, ...)) end
    local found = picking.pick_endpoint(pool, live, tried, #tried, now or 0, caller)
    return found.endpoint and found.endpoint.host, found
end

-- The same for a request of the usual caller.
local function pick(...)
    return pick_for(ACME, ...)
end

-- The endpoint at that index fails a request of a caller. Returns whether its breaker opens.
local function fail(live, index, now, caller, ticket)
    local mark = require("sluice.pool.caller").mark_of(caller or ACME)
    return breaker.note_failure(live.breakers[index], now, breaker_view.LOST, mark, true, ticket or 0, false)
end

describe("a pool in a worker that follows sessions", function()
    -- The host that takes a request of a session.
    local function pick_in(pool, live, memory, session, now, ...)
        local conversation = conversation_module.new_conversation()
        conversation_module.look_up_session(conversation, memory, pool.name, pool.seed, "m", "acme", session)
        local tried = { (...) }
        local found = picking.pick_endpoint(pool, live, tried, select("#", ...), now, ACME, conversation)
        return found.endpoint and found.endpoint.host
    end

    for _, balance in ipairs({ "prefix", "least_load", "round_robin" }) do
        it("remembers who took a request, for all workers and later configurations, with " .. balance, function()
            local memory, store = memory_module.own_memory(65536), dictionary(1000)
            local function make(process, endpoints)
                local pool = pool_of(endpoints, { balance = balance, session_header = "X-Session-Id" })
                local counted = flights.new_flights(store, process, function() return true end)
                return pool, live_module.make_live(pool, store, counted, { "" }, 0, 60, memory)
            end
            local one, live_one = make(1, { { host = "a" }, { host = "b" }, { host = "c" } })
            local two, live_two = make(2, { { host = "c" }, { host = "b" }, { host = "a" } })
            local places = {}
            for session = 1, 20 do places[session] = pick_in(one, live_one, memory, "s" .. session, 0) end
            for session = 1, 20 do
                for _ = 1, 3 do assert.equal(places[session], pick_in(two, live_two, memory, "s" .. session, 0)) end
            end
            -- The next attempt goes elsewhere, and there it stays.
            local index = ({ a = 0, b = 1, c = 2 })[places[1]]
            local moved = pick_in(one, live_one, memory, "s1", 0, index)
            assert.are_not.equal(places[1], moved)
            assert.equal(moved, pick_in(two, live_two, memory, "s1", 0))
            -- One that fails gets none of them.
            for _ = 1, 2 do fail(live_two, ({ c = 1, b = 2, a = 3 })[moved], 0) end
            local again = pick_in(two, live_two, memory, "s1", 1)
            assert.are_not.equal(moved, again)
            assert.equal(again, pick_in(one, live_one, memory, "s1", 1))
        end)
    end

    it("does not without a memory, and goes on", function()
        local pool = pool_of({ { host = "a" }, { host = "b" } }, { balance = "prefix" })
        local live = worker(pool, dictionary(1000))
        assert.is_nil(live.affinity)
        assert.truthy(pick_in(pool, live, memory_module.own_memory(64), "s", 0))
    end)

    it("writes nothing down for a pool that does not follow any", function()
        local memory, store = memory_module.own_memory(4096), dictionary(1000)
        local pool = pool_of({ { host = "a" }, { host = "b" } }, { balance = "least_load" })
        local counted = flights.new_flights(store, 1, function() return true end)
        local live = live_module.make_live(pool, store, counted, { "" }, 0, 60, memory)
        for session = 1, 10 do pick_in(pool, live, memory, "s" .. session, 0) end
        for word = 0, 1023 do assert.equal(0, memory.words[word]) end
    end)
end)

describe("a pool in a worker", function()
    it("gives each endpoint its turn, and those last that the request has tried", function()
        for _, balance in ipairs({ "round_robin", "least_load" }) do
            local pool = pool_of({ { host = "a" }, { host = "b" }, { host = "c" } }, { balance = balance })
            local live = worker(pool, dictionary(1000))
            for _ = 1, 20 do
                assert.equal("c", (pick(pool, live, 0, 0, 1)))
                assert.truthy(("ab"):find((pick(pool, live, 0, 2)), 1, true))
            end
            assert.truthy(pick(pool, live, 0, 0, 1, 2))
            assert.is_false(picking.has_other_endpoint(live, { 0, 1, 2 }, 3, 0, ACME))
            assert.is_true(picking.has_other_endpoint(live, { 0, 2 }, 2, 0, ACME))
        end
    end)

    it("has no more under way at an endpoint than it may, and says whether that is why nobody is found", function()
        local pool, store = pool_of({ { host = "a", most = 2 }, { host = "b", most = 1 } }), dictionary(1000)
        local one, two = worker(pool, store, 1), worker(pool, store, 2)
        local taken = { a = 0, b = 0 }
        for turn = 1, 3 do
            local host, found = pick(pool, turn % 2 == 0 and one or two)
            assert.is_true(found.counted)
            taken[host] = taken[host] + 1
        end
        assert.same({ a = 2, b = 1 }, taken)
        local host, found = pick(pool, one)
        assert.is_nil(host)
        assert.is_true(found.saturated)
        live_module.leave_endpoint(two, pool.endpoints[1])
        assert.equal("a", (pick(pool, one)))
    end)

    it("passes over an endpoint whose breaker is open, and lets one request of all workers probe it", function()
        local pool, store = pool_of({ { host = "a" }, { host = "b" } }), dictionary(1000)
        local one, two = worker(pool, store, 1), worker(pool, store, 2)
        for _ = 1, 2 do fail(one, 1, 100) end
        for _ = 1, 10 do
            assert.equal("b", (pick(pool, one, 100)))
            assert.equal("b", (pick(pool, two, 114)))
        end
        local probes = 0
        for turn = 1, 10 do
            local host, found = pick(pool, turn % 2 == 0 and one or two, 116)
            if host == "a" then
                probes = probes + 1
                assert.is_true(found.ticket ~= 0)
                breaker.note_end(one.breakers[1], 116, true, found.ticket, false)
                break
            end
        end
        assert.equal(1, probes)
        local seen = {}
        for _ = 1, 6 do seen[pick(pool, one, 117)] = true end
        assert.same({ a = true, b = true }, seen)
    end)

    describe("whose breakers are open", function()
        local pool, store, one, two
        local THIRD, FOURTH = { tenant = { id = "beta" }, key = "web" }, { tenant = { id = "beta" }, key = "batch" }

        before_each(function()
            pool, store = pool_of({ { host = "a" }, { host = "b" } }), dictionary(1000)
            one, two = worker(pool, store, 1), worker(pool, store, 2)
        end)

        local function open(index, now, caller)
            fail(one, index, now, caller)
            assert.is_true(fail(one, index, now, caller))
        end

        it("lets callers try that have met no failure there, one at a time each", function()
            open(1, 100)
            open(2, 100)
            local seen = {}
            for _, caller in ipairs({ OTHER, THIRD }) do
                local host, found = pick_for(caller, pool, caller == OTHER and one or two, 101)
                assert.is_true(found.ticket < 0)
                seen[host] = found.ticket
            end
            assert.is_true(seen.a ~= nil and seen.b ~= nil)
            local host, found = pick_for(FOURTH, pool, one, 101)
            assert.is_nil(host)
            assert.is_true(found.awaited)
            assert.is_false(found.saturated)
            host, found = pick_for(ACME, pool, one, 101)
            assert.is_nil(host)
            assert.is_false(found.awaited)
            -- One has been served: all are let in there, also by workers that had the endpoint out of their picks.
            assert.is_true(breaker.note_end(one.breakers[1], 101.1, true, seen.a, false))
            assert.equal("a", (pick_for(FOURTH, pool, two, 101.11)))
            assert.equal("a", (pick_for(ACME, pool, one, 101.3)))
        end)

        it("asks for none of them while another endpoint works", function()
            open(1, 100)
            for _ = 1, 20 do assert.equal("b", (pick_for(OTHER, pool, one, 101))) end
        end)

        it("rather lets one of them be tried than one that has failed the request", function()
            open(1, 100)
            assert.is_true(picking.has_other_endpoint(one, { 1 }, 1, 101, OTHER))
            assert.is_false(picking.has_other_endpoint(one, { 1 }, 1, 101, ACME))
            assert.equal("b", (pick_for(ACME, pool, one, 101, 1)))
            local host, found = pick_for(OTHER, pool, one, 101, 1)
            assert.equal("a", host)
            assert.is_true(found.ticket < 0)
            -- While that one is there, others go where they have been.
            assert.equal("b", (pick_for(THIRD, pool, one, 101, 1)))
        end)

        it("rather lets requests wait for a place than try them", function()
            pool = pool_of({ { host = "a" }, { host = "b", most = 1 } })
            one = worker(pool, store, 1)
            open(1, 100)
            assert.equal("b", (pick_for(OTHER, pool, one, 101)))
            local host, found = pick_for(OTHER, pool, one, 101)
            assert.is_nil(host)
            assert.is_true(found.saturated)
        end)

        it("keeps to their limits", function()
            pool = pool_of({ { host = "a", most = 1 }, { host = "b" } })
            one = worker(pool, store, 1)
            open(1, 100)
            open(2, 100)
            assert.is_nil((pick(pool, one, 100)))
            assert.is_true(flights.take(two.flights, pool.endpoints[1].key, 1))
            assert.equal("b", (pick_for(OTHER, pool, one, 101)))
            local host, found = pick_for(THIRD, pool, one, 101)
            assert.is_nil(host)
            assert.is_true(found.awaited)
            flights.give(two.flights, pool.endpoints[1].key)
            assert.equal("a", (pick_for(THIRD, pool, one, 101)))
        end)

        it("leaves the next trial to other callers, in this pick and not in others'", function()
            open(1, 100)
            open(2, 100, THIRD)
            -- It has the first trial of each.
            for _ = 1, 2 do
                local host, found = pick_for(ACME, pool, one, 115.5)
                assert.is_true(found.ticket > 0)
                assert.is_true(fail(one, host == "a" and 1 or 2, 115.5, ACME, found.ticket))
            end
            local host, found
            for turn = 1, 20 do
                host, found = pick_for(ACME, pool, one, 131 + turn / 100)
                assert.is_nil(host)
                assert.is_false(found.saturated or found.awaited)
            end
            host, found = pick_for(THIRD, pool, one, 131.3)
            assert.truthy(host)
            assert.is_true(found.ticket > 0)
            assert.truthy((pick_for(ACME, pool, one, 146)))
        end)
    end)

    it("tells a pool whose endpoints all fail from one that is full", function()
        local pool = pool_of({ { host = "a" }, { host = "b" } })
        local live = worker(pool, dictionary(1000))
        for index = 1, 2 do
            for _ = 1, 2 do fail(live, index, 100) end
        end
        local host, found = pick(pool, live, 101)
        assert.is_nil(host)
        assert.is_false(found.saturated)
    end)

    it("has no breaker for an endpoint that is alone", function()
        local pool = pool_of({ { host = "a" } })
        local live = worker(pool, dictionary(1000))
        for _ = 1, 50 do fail(live, 1, 100) end
        assert.equal("a", (pick(pool, live, 101)))
    end)

    it("sends requests on uncounted when there is no room to count them, but not where a bound has to be kept", function()
        local pool = pool_of({ { host = "a" }, { host = "b", most = 5 } })
        local live = worker(pool, dictionary(0))
        for _ = 1, 6 do
            local host, found = pick(pool, live)
            assert.equal("a", host)
            assert.is_false(found.counted)
        end
    end)

    local HEALTH = { path = "/health", interval = 2000, timeout = 1000, healthy = 1, unhealthy = 1, slow_start = 10000 }

    it("passes over an endpoint that isn't well, whatever its breaker says", function()
        for _, balance in ipairs({ "round_robin", "least_load" }) do
            local pool, store = pool_of({ { host = "a" }, { host = "b" } }, { balance = balance, health = HEALTH }), dictionary(1000)
            local one, two = worker(pool, store, 1), worker(pool, store, 2)
            assert.truthy(pick(pool, one, 100))
            knowledge.write_place(store, "gpu", pool.endpoints[1].key, standing.DOWN)
            for _ = 1, 20 do
                assert.equal("b", (pick(pool, one, 100.2)))
                assert.equal("b", (pick(pool, two, 100.2, 1)))
            end
            assert.is_false(picking.has_other_endpoint(one, { 1 }, 1, 100.2, ACME))
            knowledge.write_place(store, "gpu", pool.endpoints[2].key, standing.DOWN)
            local host, found = pick(pool, one, 100.5)
            assert.is_nil(host)
            assert.is_false(found.saturated)
            -- The breaker of one that is well again still holds.
            for _ = 1, 2 do fail(one, 1, 101) end
            knowledge.write_place(store, "gpu", pool.endpoints[1].key, 0)
            assert.is_nil((pick(pool, one, 102)))
            knowledge.write_place(store, "gpu", pool.endpoints[2].key, 0)
            for _ = 1, 10 do assert.equal("b", (pick(pool, one, 103))) end
        end
    end)

    it("has its endpoints' trials in their health checks, and lets nobody try one that isn't well", function()
        local pool, store = pool_of({ { host = "a" }, { host = "b" } }, { health = HEALTH }), dictionary(1000)
        local live = worker(pool, store)
        for index = 1, 2 do
            for _ = 1, 2 do fail(live, index, 100) end
        end
        for now = 101, 129 do assert.is_nil((pick(pool, live, now))) end
        breaker.note_check(live.breakers[2], 129, true)
        assert.equal("b", (pick(pool, live, 129.3)))
        knowledge.write_place(store, "gpu", pool.endpoints[1].key, standing.DOWN)
        knowledge.write_place(store, "gpu", pool.endpoints[2].key, standing.DOWN)
        local host, found = pick_for(OTHER, pool, live, 129.6)
        assert.is_nil(host)
        assert.is_false(found.awaited)
    end)

    it("gives an endpoint that has come back a small share at first, but all if there is nobody else", function()
        math.randomseed(7)
        for _, balance in ipairs({ "round_robin", "least_load" }) do
            local pool, store = pool_of({ { host = "a" }, { host = "b" } }, { balance = balance, health = HEALTH }), dictionary(1000)
            local live = worker(pool, store)
            knowledge.write_place(store, "gpu", pool.endpoints[1].key, 100)
            local function share(now)
                local got = 0
                live.look_again = 0
                for _ = 1, 2000 do
                    local host, found = pick(pool, live, now)
                    if host == "a" then got = got + 1 end
                    live_module.leave_endpoint(live, found.endpoint)
                end
                return got / 2000
            end
            -- Two that are alike share evenly; the one that starts slowly takes part in a tenth of the picks, then in half of them.
            local full = share(111)
            assert.is_true(full > 0.4, full)
            local early, middle = share(100.2), share(105)
            assert.is_true(early > 0.01 and early < 0.2, early)
            assert.is_true(middle > early and middle < full, middle)
            knowledge.write_place(store, "gpu", pool.endpoints[2].key, standing.DOWN)
            for _ = 1, 50 do assert.equal("a", (pick(pool, live, 106))) end
        end
    end)

    it("takes another attempt to an endpoint that starts slowly rather than to one that has failed it", function()
        local pool, store = pool_of({ { host = "a" }, { host = "b" } }, { health = HEALTH }), dictionary(1000)
        local live = worker(pool, store)
        knowledge.write_place(store, "gpu", pool.endpoints[1].key, 100)
        for _ = 1, 50 do assert.equal("a", (pick(pool, live, 100, 1))) end
    end)

    it("goes to the shorter queue as long as what is known of it is fresh", function()
        local scrape = { engine = "vllm", path = "/metrics", interval = 500 }
        local pool, store = pool_of({ { host = "a" }, { host = "b" } }, { balance = "least_load", scrape = scrape }), dictionary(1000)
        local live = worker(pool, store)
        for index, waiting in ipairs({ 500, 0 }) do
            local keys = knowledge.knowledge_keys(pool.endpoints[index].key)
            knowledge.write_figures(store, "gpu", keys, { waiting = waiting, running = 0, cache = 0.5 }, 100)
        end
        for _ = 1, 30 do assert.equal("b", (pick(pool, live, 101))) end
        for _ = 1, 30 do assert.equal("a", (pick(pool, live, 103))) end
    end)
end)
