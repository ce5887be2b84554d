local breaker = require("sluice.pool.breaker")
local dictionary = require("spec.unit.pool.lasting_dictionary").new
local flights = require("sluice.pool.flights")
local live_module = require("sluice.pool.live")
local pools = require("sluice.pool.pools")
local slots_module = require("sluice.pool.slots")

local function pool_of(endpoints, more)
    local configuration = {
        name = "gpu", api = "openai", endpoints = {}, keys = {},
        timeouts = { connect = 2000, send = 10000, read = 60000, total = 600000 }, headers = {},
        balance = "round_robin", retries = { attempts = 3, on = { "connect" }, backoff = 200 },
        breaker = { failures = 2, window = 10000, open = 15000 },
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

-- The host that takes a request which has tried these endpoints, and what else was found.
local function pick(pool, live, now, ...)
    local tried = { [0] = nil }
    for place = 1, select("#", ...) do tried[place] = (select(place, ...)) end
    local found = live_module.pick_endpoint(pool, live, tried, #tried, now or 0)
    return found.endpoint and found.endpoint.host, found
end

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
            assert.is_false(live_module.has_other_endpoint(live, { 0, 1, 2 }, 3))
            assert.is_true(live_module.has_other_endpoint(live, { 0, 2 }, 2))
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
        for _ = 1, 2 do breaker.note_failure(one.breakers[1], 100, 0) end
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
                breaker.note_success(one.breakers[1], found.ticket)
                break
            end
        end
        assert.equal(1, probes)
        local seen = {}
        for _ = 1, 6 do seen[pick(pool, one, 117)] = true end
        assert.same({ a = true, b = true }, seen)
    end)

    it("tells a pool whose endpoints all fail from one that is full", function()
        local pool = pool_of({ { host = "a" }, { host = "b" } })
        local live = worker(pool, dictionary(1000))
        for index = 1, 2 do
            for _ = 1, 2 do breaker.note_failure(live.breakers[index], 100, 0) end
        end
        local host, found = pick(pool, live, 101)
        assert.is_nil(host)
        assert.is_false(found.saturated)
    end)

    it("has no breaker for an endpoint that is alone", function()
        local pool = pool_of({ { host = "a" } })
        local live = worker(pool, dictionary(1000))
        for _ = 1, 50 do breaker.note_failure(live.breakers[1], 100, 0) end
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
end)
