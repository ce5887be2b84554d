-- What is free, and what is paid beyond it: in one node's memory. `redis_store_spec.lua` holds the scripts of Redis against this.

local allowance = require("sluice.limit.allowance")
local demand = require("sluice.limit.demand")
local dictionary = require("spec.unit.limit.dictionary_model").new
local leases = require("sluice.limit.leases")
local memory_store = require("sluice.limit.memory_store")
local price = require("sluice.ledger.price")
local reservation = require("sluice.limit.reservation")
local scope = require("sluice.limit.scope")

local NOW = 1700000010
local DAY = 86400
local PRICE = price.make_price({ input = 1, output = 2, cached_input = 0.5 })

local function tokens(input, cached_input, output, cache_write, cache_write_1h)
    return { input = input, cached_input = cached_input, output = output, cache_write = cache_write or 0, cache_write_1h = cache_write_1h or 0 }
end

local function worker(shared, process, alive)
    return {
        dictionary = shared, process = process, is_alive = function(other) return (alive or {})[other] ~= false end,
        mend = function() end, journal_end = function() return 0, 0 end,
    }
end

local function free(what)
    what.period = what.period or "day"
    return scope.make_allowance("acme", "chat", what)
end

local function tenant(limits, usd)
    return scope.make_scope("tenant:acme", "tenant acme", "acme", limits, usd and { usd = usd, period = "day" })
end

-- A request with so many tokens of input and at most so many of output.
local function admit(at, of, input, output, now)
    local made = reservation.take_reservation(of.tenant, of.key, of.free, now or NOW)
    demand.set_demand(made, { api = "chat", prompt_tokens = input, output_cap = output, written = 1 }, nil, PRICE)
    local refusing = memory_store.admit(at, made, now or NOW)
    if refusing == nil then return made end
    return nil, memory_store.last_verdict().reason
end

-- Ends a request that has used so much. Returns what it costs.
local function settle(at, made, input, output, now)
    made.used_tokens = input + output
    made.cost_nano_usd = price.cost(PRICE, tokens(input, 0, output), allowance.free_tokens(made))
    made.free_used = allowance.used_free(made, input + output)
    assert.is_true(memory_store.begin_settlement(at, made))
    memory_store.settle(at, made, now or NOW, 0, 0)
    return made.cost_nano_usd
end

local function used(at, of, now)
    local counters = memory_store.look_at(at, of, now or NOW)
    return { counters.spent, leases.reserved(counters) }
end

describe("a price with something free", function()
    it("covers tokens in the order in which a model meets them", function()
        local function cost(free_ones) return price.cost(PRICE, tokens(100, 40, 10), free_ones) end
        assert.equal(60 * 1000 + 40 * 500 + 10 * 2000, cost(0))
        assert.equal(60 * 1000 + 15 * 500 + 10 * 2000, cost(25))
        assert.equal(60 * 1000 + 10 * 2000, cost(40))
        assert.equal(59 * 1000 + 10 * 2000, cost(41))
        assert.equal(10 * 2000, cost(100))
        assert.equal(3 * 2000, cost(107))
        assert.equal(0, cost(110))
        assert.equal(0, cost(math.huge))
    end)

    it("covers what was read from the cache first, then what was written to it, token by token", function()
        local prices = price.make_price({ input = 1, output = 2, cached_input = 0.5, cache_write = 1.25, cache_write_1h = 3 })
        local each = {}
        for _, run in ipairs({ { 20, 500 }, { 10, 3000 }, { 30, 1250 }, { 40, 1000 }, { 10, 2000 } }) do
            for _ = 1, run[1] do each[#each + 1] = run[2] end
        end
        for free_ones = 0, 120 do
            local sum = 0
            for index = free_ones + 1, #each do sum = sum + each[index] end
            assert.equal(sum, price.cost(prices, tokens(100, 20, 10, 40, 10), free_ones), free_ones)
        end
    end)
end)

describe("what is free", function()
    it("is not used by a request that another model takes over, and comes back", function()
        for _, what in ipairs({ { tokens = 1000 }, { requests = 1 } }) do
            local at, of = worker(dictionary(100), 1), { tenant = tenant({}, 10), free = free(what) }
            local made = assert(admit(at, of, 100, 50))
            assert.is_true(made.free > 0)
            assert.equal(made.free, used(at, of.free)[2])
            local more = demand.change_demand(made, { api = "chat", prompt_tokens = 100, output_cap = 50, written = 1 }, nil, PRICE)
            assert.equal(100 * 1000 + 50 * 2000, more + made.nano_usd)
            made.nano_usd = made.nano_usd + memory_store.extend(at, made, more, NOW)
            assert.equal(100 * 1000 + 50 * 2000, settle(at, made, 100, 50))
            assert.same({ 0, 0 }, used(at, of.free))
            assert.same({ 100 * 1000 + 50 * 2000, 0 }, used(at, of.tenant))
            assert.is_true(assert(admit(at, of, 10, 10)).free > 0)
        end
    end)

    it("is given to as many requests as it is enough for, however many come at once", function()
        local shared, of = dictionary(100), { free = free({ requests = 10 }) }
        local workers, open, paid = { worker(shared, 1), worker(shared, 2) }, {}, 0
        for number = 1, 40 do open[number] = assert(admit(workers[number % 2 + 1], of, 10, 10)) end
        for number = 1, 40 do
            if settle(workers[number % 2 + 1], open[number], 10, 5) > 0 then paid = paid + 1 end
        end
        assert.equal(30, paid)
        assert.same({ 10, 0 }, used(workers[1], of.free))
    end)

    it("comes back as far as a request has not used it", function()
        local at, of = worker(dictionary(100), 1), { free = free({ tokens = 1100 }) }
        local first = assert(admit(at, of, 100, 800))
        local second = assert(admit(at, of, 100, 800))
        -- The input may be half as much again, and a hundred more.
        assert.same({ 1050, 50 }, { first.free, second.free })
        assert.same({ 0, 1100 }, used(at, of.free))
        assert.equal(0, settle(at, first, 100, 50))
        assert.same({ 150, 50 }, used(at, of.free))
        -- The second's 50 are used up by its input.
        assert.equal(50 * 1000 + 60 * 2000, settle(at, second, 100, 60))
        assert.same({ 200, 0 }, used(at, of.free))
        assert.equal(900, assert(admit(at, of, 100, 8000)).free)
    end)

    it("is not used by what is not charged", function()
        for what, held in pairs({ tokens = 20, requests = 1 }) do
            local at, of = worker(dictionary(100), 1), { free = free({ [what] = 20 }) }
            local made = assert(admit(at, of, 10, 5))
            assert.equal(held, made.free)
            memory_store.begin_settlement(at, made)
            memory_store.settle(at, made, NOW, 0, 0)
            assert.same({ 0, 0 }, used(at, of.free))
        end
    end)

    it("begins anew with each period, and a request belongs to the one in which it arrived", function()
        local at, of = worker(dictionary(100), 1), { free = free({ requests = 2 }) }
        local old = assert(admit(at, of, 1, 1))
        settle(at, assert(admit(at, of, 1, 1)), 1, 1)
        assert.equal(0, assert(admit(at, of, 1, 1)).free)
        local new = assert(admit(at, of, 1, 1, NOW + DAY))
        assert.equal(1, new.free)
        settle(at, old, 1, 1, NOW + DAY)
        settle(at, new, 1, 1, NOW + DAY)
        assert.same({ 1, 0 }, used(at, of.free, NOW + DAY))
    end)

    it("needs no money: a budget that is used up stops only what is paid", function()
        local at, of = worker(dictionary(100), 1), { tenant = tenant(nil, 0), free = free({ requests = 2 }) }
        settle(at, assert(admit(at, of, 10, 10)), 10, 10)
        local last = assert(admit(at, of, 10, 10))
        assert.equal(math.huge, demand.output_allowance(last))
        local none, reason = admit(at, of, 10, 10)
        assert.is_nil(none)
        assert.equal(4, reason)
    end)

    it("leaves of a budget's money what it covers itself", function()
        local at = worker(dictionary(100), 1)
        local of = { tenant = tenant(nil, 0.00001), free = free({ tokens = 103 }) }
        local made = assert(admit(at, of, 100, 10))
        assert.same({ 103, 0, 7 * 2000, 10000 }, { made.free, made.least_nano_usd, made.most_nano_usd, made.nano_usd })
        -- Three tokens that are free, and five that are paid.
        assert.equal(8, demand.output_allowance(made))
        local second, reason = admit(at, of, 100, 10)
        assert.is_nil(second)
        assert.equal(4, reason)
        assert.equal(6 * 2000, settle(at, made, 100, 9))
        assert.same({ 103, 0 }, used(at, of.free))
    end)

    it("is taken by none that is refused", function()
        local at, of = worker(dictionary(100), 1), { tenant = tenant({ requests_per_minute = 1 }), free = free({ requests = 9 }) }
        assert(admit(at, of, 1, 1))
        for _ = 1, 5 do assert.is_nil(admit(at, of, 1, 1)) end
        assert.same({ 0, 1 }, used(at, of.free))
    end)

    it("is taken from no scope if one finds no room", function()
        for room = 1, 3 do
            local shared = dictionary(room)
            local at = worker(shared, 1)
            local of = { tenant = tenant({ requests_per_minute = 9 }), free = free({ requests = 9 }) }
            of.key = scope.make_scope("key:acme/web", "API key web", "acme", { requests_per_minute = 9 })
            local none, reason = admit(at, of, 1, 1)
            assert.is_nil(none)
            assert.equal(5, reason)
            assert.same({ 0, 0 }, used(at, of.free))
            local of_key = memory_store.look_at(at, of.key, NOW)
            assert.same({ 0, 0 }, { leases.running(of_key), of_key.windows[0].current })
        end
    end)

    it("comes back from a worker that was killed", function()
        local shared, alive = dictionary(100), {}
        local first, second, of = worker(shared, 1, alive), worker(shared, 2, alive), { free = free({ tokens = 100 }) }
        assert(admit(first, of, 10, 50))
        alive[1] = false
        memory_store.sweep(second, of.free, NOW)
        assert.equal(100, assert(admit(second, of, 10, 500)).free)
    end)

    it("is never more than there is, after any order of requests and endings", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("what is free: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        for _ = 1, 50 do
            local shared, what = dictionary(100), ({ "tokens", "requests" })[math.random(2)]
            local amount = what == "tokens" and math.random(1, 3000) or math.random(1, 30)
            local workers, of = { worker(shared, 1), worker(shared, 2) }, { free = free({ [what] = amount }) }
            local open, spent, held = {}, 0, 0
            for _ = 1, 100 do
                local at = math.random(2)
                if math.random(2) == 1 then
                    local input, output = math.random(1, 100), math.random(1, 200)
                    local made = assert(admit(workers[at], of, input, output))
                    local expected = math.min(allowance.most_free(made), amount - spent - held)
                    assert.equal(expected, made.free, "seed " .. seed)
                    held = held + expected
                    open[#open + 1] = { made, at, input, output }
                elseif #open > 0 then
                    local made, by, input, output = unpack(table.remove(open, math.random(#open)))
                    held = held - made.free
                    local real = math.random(0, 2 * output)
                    settle(workers[by], made, input, real)
                    local took = what == "tokens" and math.min(made.free, input + real) or made.free
                    assert.equal(took, made.free_used)
                    spent = spent + took
                end
                assert.same({ spent, held }, used(workers[1], of.free), "seed " .. seed)
                assert.is_true(spent + held <= amount)
            end
        end
    end)
end)
