local dictionary = require("spec.unit.limit.dictionary_model").new
local leases = require("sluice.limit.leases")
local memory_store = require("sluice.limit.memory_store")
local reservation = require("sluice.limit.reservation")
local scope = require("sluice.limit.scope")

local NOW = 1700000010

local function store(shared, process, alive)
    local mended = {}
    return {
        dictionary = shared, process = process, mended = mended,
        is_alive = function(other) return (alive or {})[other] ~= false end,
        mend = function(_, owner) mended[#mended + 1] = owner end,
        journal_end = function() return 0, 0 end,
    }
end

local function tenant(limits, budget)
    return scope.make_scope("tenant:acme", "tenant acme", "acme", limits, budget)
end

local function key(limits)
    return scope.make_scope("key:acme/web", "API key web", "acme", limits)
end

local function ask(of, tokens, money, least)
    local made = reservation.take_reservation(of.tenant, of.key, of.free, NOW)
    made.tokens, made.most_nano_usd, made.least_nano_usd = tokens or 0, money or 0, least or 0
    return made
end

local function admit(at, of, tokens, money, least, now)
    local made = ask(of, tokens, money, least)
    local refusing = memory_store.admit(at, made, now or NOW)
    if refusing == nil then return made end
    return nil, memory_store.last_verdict().reason, refusing.name, made
end

local function settle(at, made, tokens, money, now)
    assert.is_true(memory_store.begin_settlement(at, made))
    made.used_tokens, made.cost_nano_usd = tokens, money
    return memory_store.settle(at, made, now or NOW, 0, 0)
end

local REASON = { requests = 1, tokens = 2, concurrency = 3, budget = 4, crowded = 5 }

describe("the store of one node", function()
    it("lets exactly as many requests pass as the limit says, whichever worker asks", function()
        local shared, of = dictionary(100), { tenant = tenant({ requests_per_minute = 100 }) }
        local workers, passed = { store(shared, 1), store(shared, 2), store(shared, 3) }, 0
        for number = 1, 200 do
            if admit(workers[number % 3 + 1], of) then passed = passed + 1 end
        end
        assert.equal(100, passed)
    end)

    it("never reserves more tokens than the limit, and gives back what was not used", function()
        local at, of = store(dictionary(100), 1), { tenant = tenant({ tokens_per_minute = 1000 }) }
        local first = assert(admit(at, of, 600))
        local none, reason = admit(at, of, 500)
        assert.is_nil(none)
        assert.equal(REASON.tokens, reason)
        settle(at, first, 100, 0)
        assert(admit(at, of, 900))
        assert.is_nil(admit(at, of, 1))
    end)

    it("counts more than was reserved, too", function()
        local at, of = store(dictionary(100), 1), { tenant = tenant({ tokens_per_minute = 1000 }) }
        settle(at, assert(admit(at, of, 100)), 950, 0)
        assert.is_nil(admit(at, of, 51))
        assert(admit(at, of, 50))
    end)

    it("lets in what takes no tokens though a window is more than full", function()
        local at, of = store(dictionary(100), 1), { tenant = tenant({ tokens_per_minute = 1000, requests_per_minute = 3 }) }
        settle(at, assert(admit(at, of, 100)), 1500, 0)
        assert.is_nil(admit(at, of, 1))
        assert(admit(at, of, 0))
        assert(admit(at, of, 0))
        local _, reason = admit(at, of, 0)
        assert.equal(REASON.requests, reason)
    end)

    it("says of a request that is larger than the whole limit that waiting does not help", function()
        local at, of = store(dictionary(100), 1), { tenant = tenant({ tokens_per_minute = 1000 }) }
        local _, reason = admit(at, of, 1001)
        assert.equal(REASON.tokens, reason)
        assert.equal(-1, memory_store.last_verdict().wait)
    end)

    it("bounds the requests under way, and takes nothing for those it refuses", function()
        local at, of = store(dictionary(100), 1), { tenant = tenant({ concurrent_requests = 2, requests_per_minute = 100 }) }
        local first, second = assert(admit(at, of)), assert(admit(at, of))
        for _ = 1, 10 do
            local _, reason = admit(at, of)
            assert.equal(REASON.concurrency, reason)
        end
        settle(at, first, 0, 0)
        local third = assert(admit(at, of))
        settle(at, second, 0, 0)
        settle(at, third, 0, 0)
        local now = memory_store.look_at(at, of.tenant, NOW)
        assert.equal(0, leases.running(now))
        assert.equal(3, now.windows[0].current)
    end)

    it("asks the key's limits and the tenant's, and takes from both or from neither", function()
        local at = store(dictionary(100), 1)
        local of = { tenant = tenant({ requests_per_minute = 10 }), key = key({ requests_per_minute = 3 }) }
        for _ = 1, 3 do assert(admit(at, of)) end
        local _, reason, name = admit(at, of)
        assert.same({ REASON.requests, "key:acme/web" }, { reason, name })
        assert.equal(3, memory_store.look_at(at, of.tenant, NOW).windows[0].current)
        for _ = 1, 7 do assert(admit(at, { tenant = of.tenant })) end
        _, reason, name = admit(at, { tenant = of.tenant, key = key({ requests_per_minute = 100 }) })
        assert.same({ REASON.requests, "tenant:acme" }, { reason, name })
        assert.equal(3, memory_store.look_at(at, of.key, NOW).windows[0].current)
    end)

    it("reserves of the budget what is left, spends what it cost, and stops when nothing is left", function()
        local at, of = store(dictionary(100), 1), { tenant = tenant(nil, { usd = 0.000001, period = "day" }) }
        local first = assert(admit(at, of, 0, 600, 100))
        local second = assert(admit(at, of, 0, 600, 100))
        assert.same({ 600, 400 }, { first.nano_usd, second.nano_usd })
        local _, reason = admit(at, of, 0, 600, 1)
        assert.equal(REASON.budget, reason)
        -- What costs nothing may still begin.
        settle(at, assert(admit(at, of, 0, 0, 0)), 10, 0)
        settle(at, first, 10, 250)
        settle(at, second, 10, 400)
        local now = memory_store.look_at(at, of.tenant, NOW)
        assert.same({ 650, 0 }, { now.spent, leases.reserved(now) })
        assert.equal(350, assert(admit(at, of, 0, 9999, 350)).nano_usd)
    end)

    it("begins a new period with nothing spent, and charges a request to the period in which it arrived", function()
        local at, of = store(dictionary(100), 1), { tenant = tenant(nil, { usd = 1, period = "day" }) }
        local old = assert(admit(at, of, 0, 500, 1))
        settle(at, assert(admit(at, of, 0, 500, 1)), 0, 300)
        assert.equal(300, memory_store.look_at(at, of.tenant, NOW).spent)
        settle(at, old, 0, 500, NOW + 86400)
        local now = memory_store.look_at(at, of.tenant, NOW + 86400)
        assert.same({ 0, 0 }, { now.spent, leases.reserved(now) })
    end)

    it("says once in a period that an alert is due", function()
        local at, of = store(dictionary(100), 1), { tenant = tenant(nil, { usd = 0.000001, period = "day", alert_at = { 0.5, 0.9, 1 } }) }
        local due = {}
        for _, money in ipairs({ 400, 100, 450, 100, 100 }) do
            due[#due + 1] = settle(at, assert(admit(at, of, 0, 0, 0)), 0, money)
        end
        assert.same({ 0, 1, 2, 4, 0 }, due)
    end)

    it("says of each share once that it is reached, also when the configuration changes meanwhile", function()
        local at = store(dictionary(100), 1)
        local function due(usd, money, shares)
            local of = { tenant = tenant(nil, { usd = usd, period = "day", alert_at = shares }) }
            return settle(at, assert(admit(at, of, 0, 0, 0)), 0, money)
        end
        assert.equal(1, due(0.000001, 600, { 0.5, 1 }))
        -- One before it is told no more, one behind it at once, wherever they stand in the list.
        assert.equal(4, due(0.000001, 1, { 1, 0.3, 0.6, 0.5 }))
        assert.equal(0, due(0.000001, 1, { 1, 0.3, 0.6, 0.5 }))
        -- The budget grows, so that less than was told is used of it; and shrinks.
        assert.equal(0, due(0.000002, 500, { 0.5, 0.6, 1 }))
        assert.equal(4, due(0.000001, 1, { 0.5, 0.6, 1 }))
        local of = { tenant = tenant(nil, { usd = 0.000001, period = "day", alert_at = { 0.5 } }) }
        local tomorrow = assert(admit(at, of, 0, 0, 0, NOW + 86400))
        tomorrow.arrived = NOW + 86400
        assert.equal(1, settle(at, tomorrow, 0, 600, NOW + 86400))
    end)

    it("says of a share that was reached while counts were mended, with the next request", function()
        local at, of = store(dictionary(100), 1), { tenant = tenant(nil, { usd = 0.000001, period = "day", alert_at = { 0.5, 0.9 } }) }
        settle(at, assert(admit(at, of, 0, 0, 0)), 0, 100)
        memory_store.change_scope(at, of.tenant, function(scope_of, counters)
            require("sluice.limit.replay").complete(counters, scope_of, { time = NOW, tokens = 1, reserved = 1, nano_usd = 500, free = 0 }, NOW)
        end)
        assert.equal(1, settle(at, assert(admit(at, of, 0, 0, 0)), 0, 0))
        assert.equal(0, settle(at, assert(admit(at, of, 0, 0, 0)), 0, 0))
    end)

    it("keeps what was used when limits are changed, added and removed", function()
        local at = store(dictionary(100), 1)
        settle(at, assert(admit(at, { tenant = tenant({ tokens_per_minute = 1000, requests_per_minute = 9 }) }, 10)), 700, 0)
        local changed = { tenant = tenant({ tokens_per_minute = 800, tokens_per_day = 5000 }) }
        assert.is_nil(admit(at, changed, 101))
        assert(admit(at, changed, 100))
    end)

    it("stops what costs anything when nothing is left, also if the prompt itself costs nothing", function()
        local at, of = store(dictionary(100), 1), { tenant = tenant(nil, { usd = 0.000001, period = "day" }) }
        settle(at, assert(admit(at, of, 0, 600, 0)), 0, 1000)
        local _, reason = admit(at, of, 0, 600, 0)
        assert.equal(REASON.budget, reason)
        assert(admit(at, of, 0, 0, 0))
    end)

    it("reserves more for a request that goes on, as long as there is more", function()
        local at, of = store(dictionary(100), 1), { tenant = tenant(nil, { usd = 0.000001, period = "day" }) }
        local first, second = assert(admit(at, of, 0, 300, 1)), assert(admit(at, of, 0, 500, 1))
        assert.equal(150, memory_store.extend(at, first, 150, NOW))
        first.nano_usd = first.nano_usd + 150
        assert.equal(50, memory_store.extend(at, first, 150, NOW))
        first.nano_usd = first.nano_usd + 50
        assert.equal(0, memory_store.extend(at, first, 150, NOW))
        settle(at, first, 0, 500)
        settle(at, second, 0, 100)
        local now = memory_store.look_at(at, of.tenant, NOW)
        assert.same({ 600, 0 }, { now.spent, leases.reserved(now) })
    end)

    it("forgets no money when the clock is set back over the beginning of a period", function()
        local at, of = store(dictionary(100), 1), { tenant = tenant(nil, { usd = 1, period = "day" }) }
        local midnight = 1700006400
        local made = assert(admit(at, of, 0, 10, 1, midnight + 1))
        made.arrived = midnight + 1
        settle(at, made, 0, 7, midnight + 1)
        assert.equal(7, memory_store.look_at(at, of.tenant, midnight - 1).spent)
        assert(admit(at, of, 0, 10, 1, midnight - 1))
        assert.equal(7, memory_store.look_at(at, of.tenant, midnight + 2).spent)
    end)

    it("forgets no money while requests of an old and a new period take turns", function()
        local at = store(dictionary(100), 1)
        local month, day = { tenant = tenant(nil, { usd = 1, period = "month" }) },
            { tenant = tenant(nil, { usd = 1, period = "day" }) }
        local old = assert(admit(at, month, 0, 10, 1))
        settle(at, assert(admit(at, day, 0, 10, 1)), 0, 5)
        settle(at, old, 0, 7)
        assert.equal(12, memory_store.look_at(at, day.tenant, NOW).spent)
    end)

    it("forgets nothing while requests of an old and a new configuration take turns", function()
        local at, old, new = store(dictionary(100), 1), { tenant = tenant({ requests_per_minute = 100 }) },
            { tenant = tenant({ tokens_per_day = 1000, requests_per_hour = 100 }) }
        local streams = {}
        for number = 1, 5 do streams[number] = assert(admit(at, old, 10)) end
        for number = 1, 5 do
            settle(at, assert(admit(at, new, 100)), 50, 0)
            settle(at, streams[number], 7, 0)
        end
        -- What began before the limit was there is corrected in it all the same: three tokens less for each.
        local _, reason = admit(at, new, 1000 - 5 * 50 + 5 * 3 + 1)
        assert.equal(REASON.tokens, reason)
        local made = assert(admit(at, new, 1000 - 5 * 50 + 5 * 3))
        assert.same({ 1000, 0 }, { made.tokens_standing.limit, made.tokens_standing.remaining })
        local now = memory_store.look_at(at, old.tenant, NOW)
        assert.equal(11, now.windows[0].current)
    end)

    it("gives back what a killed worker had under way, and only that", function()
        local shared, alive = dictionary(100), {}
        local first, second = store(shared, 1, alive), store(shared, 2, alive)
        local of = { tenant = tenant({ concurrent_requests = 5, tokens_per_day = 1000 }, { usd = 1, period = "day" }) }
        for _ = 1, 3 do assert(admit(first, of, 30, 100, 1)) end
        for _ = 1, 2 do assert(admit(second, of, 40, 10, 1)) end
        assert.is_nil(admit(second, of))
        alive[1] = false
        memory_store.sweep(second, of.tenant, NOW)
        local now = memory_store.look_at(second, of.tenant, NOW)
        assert.same({ 2, 20 }, { leases.running(now), leases.reserved(now) })
        assert.equal(2 * 40, now.windows[0].current)
        assert(admit(second, of))
    end)

    it("takes over the lock of a worker that was killed while it held it, and mends the counters", function()
        local shared, alive = dictionary(100), {}
        local first, second = store(shared, 1, alive), store(shared, 2, alive)
        local of = { tenant = tenant({ requests_per_minute = 5 }) }
        assert(admit(first, of))
        assert.is_true(require("sluice.limit.lock").lock(first, "acme"))
        alive[1] = false
        assert(admit(second, of))
        assert.same({ "acme" }, second.mended)
        assert(admit(second, of))
        assert.same({ "acme" }, second.mended)
        assert.is_nil(shared.entries["lock:acme"])
        assert.is_nil(shared.entries["lock:acme:over"])
    end)

    it("refuses whom it has no room for, and forgets nobody", function()
        local shared = dictionary(3)
        local at, acme = store(shared, 1), { tenant = tenant({ requests_per_minute = 2 }) }
        assert(admit(at, acme))
        local function other(number)
            return { tenant = scope.make_scope("tenant:" .. number, "tenant", tostring(number), { requests_per_minute = 2 }) }
        end
        assert(admit(at, other(1)))
        for number = 2, 50 do
            local _, reason = admit(at, other(number))
            assert.equal(REASON.crowded, reason)
        end
        assert(admit(at, acme))
        local _, reason = admit(at, acme)
        assert.equal(REASON.requests, reason)
    end)

    it("takes nothing from the key if there is no room for the tenant", function()
        local shared = dictionary(2)
        local at, of = store(shared, 1), { tenant = tenant({ requests_per_minute = 2 }),
            key = key({ concurrent_requests = 2, requests_per_minute = 9 }) }
        for _ = 1, 5 do
            local _, reason = admit(at, of, 10)
            assert.equal(REASON.crowded, reason)
        end
        local now = memory_store.look_at(at, of.key, NOW)
        assert.same({ 0, 0 }, { leases.running(now), now.windows[0].current })
    end)

    it("tells the client the limit of which least is left", function()
        local at = store(dictionary(100), 1)
        local of = { tenant = tenant({ requests_per_minute = 10, tokens_per_minute = 1000 }), key = key({ requests_per_minute = 5 }) }
        local made = assert(admit(at, of, 400))
        assert.same({ limit = 5, remaining = 4, reset = 90 }, made.requests_standing)
        assert.same({ limit = 1000, remaining = 600, reset = 90 }, made.tokens_standing)
        local _, _, _, refused = admit(at, of, 700)
        assert.equal(600, refused.tokens_standing.remaining)
    end)

    it("has the sums of a plain reference after any order of requests and endings", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("memory store: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        for _ = 1, 50 do
            local shared = dictionary(100)
            local workers = { store(shared, 1), store(shared, 2) }
            local of = {
                tenant = tenant({ concurrent_requests = 8, tokens_per_minute = 5000 }, { usd = 0.00001, period = "month" }),
            }
            local open, tokens, spent, reserved = {}, 0, 0, 0
            for _ = 1, 200 do
                if math.random(2) == 1 then
                    local most = math.random(0, 3000)
                    local least, wanted = math.random(0, most), math.random(0, 1500)
                    local left = 10000 - spent - reserved
                    local fits = #open < 8 and tokens + wanted <= 5000 and (most == 0 or (left > 0 and left >= least))
                    local owner = math.random(2)
                    local made = admit(workers[owner], of, wanted, most, least)
                    assert.equal(fits, made ~= nil)
                    if made then
                        assert.equal(math.max(0, math.min(most, left)), made.nano_usd)
                        open[#open + 1] = { made = made, owner = owner }
                        tokens, reserved = tokens + wanted, reserved + made.nano_usd
                    end
                elseif #open > 0 then
                    local one = table.remove(open, math.random(#open))
                    local made = one.made
                    local used, cost = math.random(0, made.tokens), math.random(0, made.nano_usd)
                    tokens, reserved, spent = tokens + used - made.tokens, reserved - made.nano_usd, spent + cost
                    settle(workers[one.owner], made, used, cost)
                end
                local now = memory_store.look_at(workers[1], of.tenant, NOW)
                assert.equal(tokens, now.windows[0].current)
                assert.same({ spent, reserved, #open }, { now.spent, leases.reserved(now), leases.running(now) })
            end
        end
    end)
end)
