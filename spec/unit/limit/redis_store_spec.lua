-- The scripts of Redis, run on a model of it: what one node's memory decides, they decide.

local allowance = require("sluice.limit.allowance")
local dictionary = require("spec.unit.limit.dictionary_model").new
local demand = require("sluice.limit.demand")
local memory_store = require("sluice.limit.memory_store")
local price = require("sluice.ledger.price")
local redis_keys = require("sluice.limit.redis_keys")
local redis_model = require("spec.unit.limit.redis_model")
local redis_scripts = require("sluice.limit.redis_scripts")
local redis_store = require("sluice.limit.redis_store")
local reservations = require("sluice.limit.reservation")
local scopes = require("sluice.limit.scope")
local settlement = require("sluice.limit.settlement")
local settlement_queue = require("sluice.limit.settlement_queue")

local NOW = 1700000010
local BIG = 1e15
local PRICE = price.make_price({ input = 0.3, output = 1.7 })

local function memory(shared)
    return {
        dictionary = shared, process = 1, is_alive = function() return true end, mend = function() end,
        journal_end = function() return 0, 0 end,
    }
end

--- A node's store over a Redis, which may be `lost`: nothing comes back, and what is asked may have been done.
local function node(redis, options)
    local here = { lost = nil, woken = 0, follow_journal = function() return true end }
    local shared = dictionary()
    settlement_queue.create_queue(shared)
    here.queue = { dictionary = shared, process = 1, is_alive = function() return true end }
    here.memory = memory(dictionary())
    here.store = redis_store.redis_limits({
        on_loss = options and options.on_loss or "deny", nodes = options and options.nodes or 1, lease_seconds = 900,
        memory = here.memory, queue = here.queue, lockable = memory(shared),
        run = function(script, parts)
            if here.lost == "before" then return nil, "refused", false end
            local answer = redis.run(script, parts)
            if here.lost == "after" then return nil, "timeout", true end
            return answer, nil, true
        end,
        follow_journal = function(file) return here.follow_journal(file) end,
        wake = function() here.woken = here.woken + 1 end,
    })
    here.entries = shared
    return here
end

local function by_name(...)
    local named = {}
    for _, scope in pairs({ ... }) do named[scope.name] = scope end
    return named
end

local function ask(of, id, tokens, money, least, now)
    local made = reservations.take_reservation(of.tenant, of.key, of.free, now or NOW)
    made.id, made.tokens, made.most_nano_usd, made.least_nano_usd = id, tokens or 0, money or 0, least or 0
    if of.free then
        made.price, made.prompt_tokens = PRICE, math.floor(made.tokens / 4)
        made.output_tokens = made.tokens - made.prompt_tokens
        demand.set_money(made)
    end
    return made
end

--- Takes all that waits to Redis.
local function drain(here, redis, named)
    local results = {}
    local texts, first = settlement_queue.first_settlements(here.queue, 1000)
    for _, text in ipairs(texts) do
        local read = settlement.read_settlement(text)
        results[#results + 1] = { settlement.read_settled(redis.run(redis_scripts.SETTLE, settlement.settle_parts(read, named))) }
    end
    settlement_queue.confirm_settlements(here.queue, first, #results, 0, 0)
    return results
end

local function settle(here, made, tokens, money, now)
    assert.is_true(here.store.begin_settlement(made))
    made.used_tokens, made.cost_nano_usd, made.free_used = tokens, money, allowance.used_free(made, tokens)
    here.store.settle(made, now or NOW, 0, 0)
end

local function tenant(limits, budget) return scopes.make_scope("tenant:acme", "tenant acme", "acme", limits, budget) end
local function free(what) return scopes.make_allowance("acme", "a|b%c", what) end
local function key(limits) return scopes.make_scope("key:acme/web", "API key web", "acme", limits) end

describe("the store of many nodes", function()
    it("decides as one node's memory does, whatever comes", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("the store of many nodes: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        for round = 1, 60 do
            local function maybe(value) return math.random(2) == 1 and value or nil end
            local of = {
                tenant = tenant({
                    requests_per_minute = maybe(math.random(1, 30)), tokens_per_minute = maybe(math.random(100, 3000)),
                    tokens_per_hour = maybe(math.random(1000, 30000)), concurrent_requests = maybe(math.random(1, 8)),
                }, maybe({ usd = math.random(1, 400) / 1e7, period = ({ "day", "week", "month" })[math.random(3)], alert_at = { 0.5, 1 } })),
                key = maybe(key({ requests_per_minute = maybe(math.random(1, 20)), concurrent_requests = maybe(math.random(1, 4)) })),
                free = maybe(free({
                    [({ "tokens", "requests" })[math.random(2)]] = math.random(1, 4000), period = ({ "day", "week", "month" })[math.random(3)],
                })),
            }
            local redis, one = redis_model.new(), memory(dictionary())
            local here, open, now = node(redis), {}, NOW + math.random(0, 86400 * 40)
            local named = by_name(of.tenant, of.key, of.free)
            for step = 1, 200 do
                local where = ("seed %d, round %d, step %d"):format(seed, round, step)
                now = now + math.random(0, 60000) / 10000
                now = math.floor(now) + math.floor(now % 1 * 1e6) / 1e6
                redis.now = now
                if math.random(3) > 1 then
                    local tokens, money = math.random(1, 400), math.random(0, 3) * 5000
                    local left, right = ask(of, ("%x"):format(step), tokens, money, math.floor(money / 4), now),
                        ask(of, "", tokens, money, math.floor(money / 4), now)
                    local refused, refused_here = here.store.admit(left, now), memory_store.admit(one, right, now)
                    assert.equal(refused_here and refused_here.name, refused and refused.name, where)
                    if refused then
                        assert.same(memory_store.last_verdict(), here.store.last_verdict(), where)
                    else
                        assert.same({ right.nano_usd, right.free }, { left.nano_usd, left.free }, where)
                        open[#open + 1] = { left, right }
                    end
                    assert.same(right.requests_standing, left.requests_standing, where)
                    assert.same(right.tokens_standing, left.tokens_standing, where)
                elseif #open > 0 then
                    local left, right = unpack(table.remove(open, math.random(#open)))
                    local tokens, money = math.random(0, left.tokens), math.random(0, 20000)
                    settle(here, left, tokens, money, now)
                    memory_store.begin_settlement(one, right)
                    right.used_tokens, right.cost_nano_usd, right.free_used = tokens, money, left.free_used
                    local due = memory_store.settle(one, right, now, 0, 0)
                    assert.same({ due }, { drain(here, redis, named)[1][1] }, where)
                end
                local usage, seen = here.store.look_at(of.tenant, now), memory_store.memory_limits(one).look_at(of.tenant, now)
                assert.equal(seen.running, usage.running, where)
                if of.tenant.budget then assert.same({ seen.reserved, seen.spent }, { usage.reserved, usage.spent }, where) end
            end
        end
    end)

    it("lets in what takes no tokens though a window is more than full", function()
        local redis = redis_model.new()
        redis.now = NOW
        local here, of = node(redis), { tenant = tenant({ tokens_per_minute = 1000, requests_per_minute = 3 }) }
        local function admitted(id, tokens) return here.store.admit(ask(of, id, tokens, 0, 0, NOW), NOW) == nil end
        local first = ask(of, "a1", 100, 0, 0, NOW)
        assert.is_nil(here.store.admit(first, NOW))
        settle(here, first, 1500, 0)
        drain(here, redis, by_name(of.tenant))
        assert.same({ false, true, true, false }, { admitted("a2", 1), admitted("a3", 0), admitted("a4", 0), admitted("a5", 0) })
    end)

    it("counts money exactly, far beyond what a number's usual text shows", function()
        local redis = redis_model.new()
        redis.now = NOW
        local here, of = node(redis), { tenant = tenant(nil, { usd = 1000000, period = "month" }) }
        for number = 1, 9 do
            local made = ask(of, tostring(number), 1, 111111111111111, 1)
            assert.is_nil(here.store.admit(made, NOW))
            assert.equal(111111111111111, made.nano_usd)
        end
        -- 999999999999999 of 10^15 are reserved: one is left.
        local last = ask(of, "last", 1, 5, 1)
        assert.is_nil(here.store.admit(last, NOW))
        assert.equal(1, last.nano_usd)
        assert.equal(BIG, here.store.look_at(of.tenant, NOW).reserved)
        settle(here, last, 1, 123456789012345)
        drain(here, redis, by_name(of.tenant))
        local usage = here.store.look_at(of.tenant, NOW)
        assert.same({ 999999999999999, 123456789012345 }, { usage.reserved, usage.spent })
    end)

    it("admits and settles a request once, however often it is told", function()
        local redis = redis_model.new()
        redis.now = NOW
        local of = { tenant = tenant({ requests_per_minute = 10, tokens_per_minute = 1000, concurrent_requests = 1 }, { usd = 1, period = "day" }) }
        local here, made = node(redis), ask(of, "a", 100, 5000, 1)
        for _ = 1, 3 do
            assert.is_nil(here.store.admit(made, NOW))
            assert.equal(9, made.requests_standing.remaining)
        end
        for _ = 1, 3 do settle(here, made, 40, 3000) end
        assert.same({ { 0, 3000, 0 }, { 0, 3000, 0 }, { 0, 3000, 0 } }, drain(here, redis, by_name(of.tenant)))
        -- What comes late finds it settled, and is not counted.
        here.lost = "after"
        assert.equal(of.tenant, here.store.admit(made, NOW))
        here.lost = nil
        local other = ask(of, "b", 1)
        assert.is_nil(here.store.admit(other, NOW))
        assert.same({ 8, 959 }, { other.requests_standing.remaining, other.tokens_standing.remaining })
    end)

    it("ends the leases of what was killed, with their money", function()
        local redis = redis_model.new()
        redis.now = NOW
        local of = { tenant = tenant({ concurrent_requests = 2 }, { usd = 0.00001, period = "day" }), key = key({ concurrent_requests = 2 }) }
        local here = node(redis)
        assert.is_nil(here.store.admit(ask(of, "a", 1, 4000, 1), NOW))
        assert.is_nil(here.store.admit(ask(of, "b", 1, 4000, 1), NOW))
        assert.equal(of.tenant, here.store.admit(ask(of, "c", 1, 4000, 1), NOW))
        redis.now = NOW + 901
        assert.same({ running = 0, reserved = 0, spent = 0 }, here.store.look_at(of.tenant, redis.now))
        assert.is_nil(here.store.admit(ask(of, "d", 1, 4000, 1), redis.now))
        assert.equal(1, here.store.look_at(of.tenant, redis.now).running)
    end)

    it("charges in full what it never admitted, in the period in which it arrived", function()
        local redis = redis_model.new()
        redis.now = NOW + 86400
        local of = { tenant = tenant({ requests_per_day = 100, tokens_per_day = 1000 }, { usd = 1, period = "day" }) }
        of.key = key({ requests_per_day = 10 })
        local here = node(redis, { on_loss = "allow" })
        here.lost = "before"
        local late, today = ask(of, "a", 500, 9000, 1, NOW), ask(of, "b", 500, 9000, 1, NOW + 86400)
        assert.is_nil(here.store.admit(late, NOW))
        assert.is_nil(here.store.admit(today, NOW + 86400))
        assert.equal(9000, today.nano_usd)
        settle(here, late, 30, 700)
        settle(here, today, 50, 800)
        here.lost = nil
        drain(here, redis, by_name(of.tenant, of.key))
        assert.equal(800, here.store.look_at(of.tenant, NOW + 86400).spent)
        assert.equal(700, here.store.look_at(of.tenant, NOW).spent)
        local made = ask(of, "c", 1, 0, 0, NOW + 86400)
        assert.is_nil(here.store.admit(made, NOW + 86400))
        assert.equal(math.floor(1000 - 50 - 1 - 30 * (1 - (redis.now % 86400) / 86400)), made.tokens_standing.remaining)
    end)

    it("gives back what it took for a request that was turned away meanwhile, before or after", function()
        for _, late in ipairs({ false, true }) do
            local redis = redis_model.new()
            redis.now = NOW
            local limits = { requests_per_minute = 10, tokens_per_minute = 1000, concurrent_requests = 5 }
            local of = { tenant = tenant(limits, { usd = 1, period = "day" }) }
            local here = node(redis)
            local made = ask(of, "a", 100, 5000, 1)
            local asked
            if late then
                -- The question lies in a socket while Redis is stopped.
                local run = redis.run
                redis.run = function(script, parts) asked = { script, parts } end
                here.lost = "after"
                assert.equal(of.tenant, here.store.admit(made, NOW))
                redis.run = run
            else
                here.lost = "after"
                assert.equal(of.tenant, here.store.admit(made, NOW))
            end
            here.lost = nil
            assert.is_true(made.asked)
            assert.is_true(made.cancelled)
            settle(here, made, 0, 0)
            drain(here, redis, by_name(of.tenant))
            if late then assert.equal("settled", redis.run(unpack(asked))) end
            assert.same({ running = 0, reserved = 0, spent = 0 }, here.store.look_at(of.tenant, NOW))
            local other = ask(of, "b", 1)
            assert.is_nil(here.store.admit(other, NOW))
            assert.same({ 9, 999 }, { other.requests_standing.remaining, other.tokens_standing.remaining })
        end
    end)

    it("goes by this node's share while it is lost, and settles that too", function()
        local redis = redis_model.new()
        redis.now = NOW
        local of = { tenant = tenant({ requests_per_minute = 10, concurrent_requests = 1 }, { usd = 0.00001, period = "day" }) }
        of.key = key({ tokens_per_minute = 90 })
        local here = node(redis, { on_loss = "local", nodes = 2 })
        local first = ask(of, "first", 1, 2000, 1)
        assert.is_nil(here.store.admit(first, NOW))
        settle(here, first, 1, 2000)
        drain(here, redis, by_name(of.tenant, of.key))
        assert.is_nil(here.store.admit(ask(of, "seen", 1), NOW))
        here.lost = "before"
        local made = ask(of, "a", 40, 9000, 1)
        assert.is_nil(here.store.admit(made, NOW))
        -- Half of the 8000 that were left.
        assert.equal(4000, made.nano_usd)
        assert.equal(5, made.requests_standing.limit)
        local second = ask(of, "b", 1)
        assert.equal(of.tenant, here.store.admit(second, NOW))
        assert.same({ false, 3 }, { second.asked, here.store.last_verdict().reason })
        settle(here, made, 40, 4000)
        assert.equal(of.key, here.store.admit(ask(of, "c", 60), NOW))
        assert.same({ 2, 1 }, { here.store.last_verdict().reason, here.store.last_verdict().wait })
        here.lost = nil
        assert.same({ { 0, 6000, 0 } }, drain(here, redis, by_name(of.tenant, of.key)))
        assert.equal(0, require("sluice.limit.leases").running(memory_store.look_at(here.memory, of.tenant, NOW)))
    end)

    it("adds the money before it says that a request is settled, and answers again what was not heard", function()
        local redis = redis_model.new()
        redis.now = NOW
        local of = { tenant = tenant({ requests_per_minute = 100 }, { usd = 0.00001, period = "day", alert_at = { 0.2, 0.5, 0.9 } }) }
        local here, named, made = node(redis), by_name(of.tenant), {}
        for _, id in ipairs({ "a", "b", "c" }) do
            made[id] = ask(of, id, 10, 3000, 1)
            assert.is_nil(here.store.admit(made[id], NOW))
        end
        local function told(id, money)
            made[id].used_tokens, made[id].cost_nano_usd = 10, money
            local text = settlement.settlement_text(made[id], 0, 0)
            return redis.run(redis_scripts.SETTLE, settlement.settle_parts(settlement.read_settlement(text), named))
        end
        redis.forbidden = "HINCRBY"
        assert.truthy(told("a", 6000).err)
        assert.truthy(told("a", 6000).err)
        redis.forbidden = nil
        -- Both alerts were given by this request, however often it is asked; the others give none of them.
        assert.equal("3 6000 6000", told("a", 6000))
        assert.equal("3 6000 6000", told("a", 6000))
        assert.equal("0 7000 3000", told("b", 1000))
        assert.equal("4 9500 0", told("c", 2500))
        assert.equal("3 9500 0", told("a", 6000))
        assert.equal("0 9500 0", told("b", 1000))
    end)

    it("gives this node's streams no more together than was left, when they go on", function()
        local redis = redis_model.new()
        redis.now = NOW
        local of, open = { tenant = tenant(nil, { usd = 0.0001, period = "day" }) }, {}
        local here = node(redis)
        for number = 1, 20 do
            open[number] = ask(of, tostring(number), 1, 1000, 1)
            assert.is_nil(here.store.admit(open[number], NOW))
        end
        local granted = 0
        for _ = 1, 5 do
            for _, made in ipairs(open) do
                local more = here.store.extend(made, 3000, NOW)
                made.nano_usd = made.nano_usd + more
                granted = granted + more
            end
        end
        assert.equal(100000 - 20000, granted)
        -- One that ends with less than it had gives the others the rest, as soon as Redis knows.
        settle(here, open[1], 1, 500)
        drain(here, redis, by_name(of.tenant))
        assert.is_nil(here.store.admit(ask(of, "seen", 1, 1, 1), NOW))
        local first = open[1].nano_usd
        assert.equal(first - 500 - 1, here.store.extend(open[2], 99999, NOW))
        for number = 2, 20 do settle(here, open[number], 1, 0) end
        local rest = memory_store.look_at(here.memory, { name = "more:tenant:acme", owner = "acme", windows = {}, concurrent = 0 }, NOW)
        assert.same({ 0, 0 }, { require("sluice.limit.leases").reserved(rest), require("sluice.limit.leases").running(rest) })
    end)

    it("takes back what a killed gateway had of what is free", function()
        local redis = redis_model.new()
        redis.now = NOW
        local of = { free = free({ tokens = 350, period = "month" }) }
        local here = node(redis)
        for number, expected in ipairs({ 145, 145, 60, 0 }) do
            local killed = ask(of, tostring(number), 40)
            assert.is_nil(here.store.admit(killed, NOW))
            assert.equal(expected, killed.free)
        end
        redis.now = NOW + 901
        local made = ask(of, "later", 500)
        assert.is_nil(here.store.admit(made, redis.now))
        assert.equal(350, made.free)
        settle(here, made, 30, 0)
        assert.equal(30, made.free_used)
        drain(here, redis, by_name(of.free))
        made = ask(of, "last", 500)
        assert.is_nil(here.store.admit(made, redis.now))
        assert.equal(320, made.free)
    end)

    it("has this node's share of what is free while it is lost, and nothing free where all are let in", function()
        local redis = redis_model.new()
        redis.now = NOW
        local of = { free = free({ tokens = 1000, period = "month" }) }
        local here, seen = node(redis, { on_loss = "local", nodes = 2 }), ask(of, "seen", 20)
        assert.is_nil(here.store.admit(seen, NOW))
        settle(here, seen, 20, 0)
        drain(here, redis, by_name(of.free))
        assert.is_nil(here.store.admit(ask(of, "again", 0), NOW))
        here.lost = "before"
        local made = ask(of, "a", 600)
        assert.is_nil(here.store.admit(made, NOW))
        assert.equal(490, made.free)
        settle(here, made, 600, 20)
        here.lost = nil
        drain(here, redis, by_name(of.free))
        local next_one = ask(of, "b", 1000)
        assert.is_nil(here.store.admit(next_one, NOW))
        -- A hundred are still reserved.
        assert.equal(390, next_one.free)
        here = node(redis, { on_loss = "allow" })
        here.lost = "before"
        made = ask(of, "c", 60)
        assert.is_nil(here.store.admit(made, NOW))
        assert.equal(0, made.free)
    end)

    it("gives each key in Redis a life, and the tenant's name as hash tag", function()
        local redis = redis_model.new()
        redis.now = NOW
        local of = { tenant = tenant({ requests_per_minute = 10 }, { usd = 1, period = "day" }), key = key({ requests_per_minute = 10 }) }
        local here, made = node(redis), ask(of, "a", 100, 5000, 1)
        assert.is_nil(here.store.admit(made, NOW))
        assert.is_nil(here.store.admit(ask(of, "b", 100, 5000, 1), NOW))
        settle(here, made, 40, 3000)
        drain(here, redis, by_name(of.tenant, of.key))
        local count = 0
        for name in pairs(redis.keys) do
            assert.truthy(name:find("^sluice:{acme}:"))
            assert.is_true((redis.lives[name] or 0) > 0, name)
            count = count + 1
        end
        assert.equal(6, count)
        assert.equal(7, #redis_keys.redis_keys("acme", of.tenant, of.key, 0, 0))
    end)

    it("does not take a broken answer for a decision", function()
        for _, answer in ipairs({ "", "settled", "1 2 3", "1 a b c d e f g h" }) do
            local here = node({ run = function() return answer end })
            local of = { tenant = tenant({ requests_per_minute = 10 }) }
            assert.equal(of.tenant, here.store.admit(ask(of, "a", 1), NOW))
            assert.equal(5, here.store.last_verdict().reason)
        end
    end)

    it("writes no line to an older file of the journal than others have written to", function()
        local redis = redis_model.new()
        local here, of, followed = node(redis), { tenant = tenant({ requests_per_day = 10 }) }, {}
        redis.now = NOW
        here.follow_journal = function(file)
            followed[#followed + 1] = { file, here.entries.get("lock:settlements") }
            return true
        end
        for number, file in ipairs({ 7, 7, 8 }) do
            local made = ask(of, tostring(number))
            assert.is_nil(here.store.admit(made, NOW))
            assert.is_true(here.store.begin_settlement(made))
            here.store.settle(made, NOW, file, number * 100)
        end
        -- Each time before the line is written, with the lock held.
        assert.same({ { 0, 1 }, { 7, 1 }, { 7, 1 } }, followed)
    end)

    it("has a line read from the journal for which the list could not be locked, whoever reads it meanwhile", function()
        local redis = redis_model.new()
        local here, of = node(redis, { on_loss = "local" }), { tenant = tenant({ concurrent_requests = 1 }) }
        redis.now = NOW
        local first, made = ask(of, "1"), ask(of, "2")
        here.lost = "before"
        assert.is_nil(here.store.admit(first, NOW))
        assert.is_true(here.store.begin_settlement(first))
        here.store.settle(first, NOW, 7, 100)
        assert.is_nil(here.store.admit(made, NOW))
        local add = here.entries.add
        here.entries.add = function(name, ...) return name == "lock:settlements" and "no memory" or add(name, ...) end
        assert.is_true(here.store.begin_settlement(made))
        local missed = settlement_queue.missed_place(here.queue)
        assert.same({ 7, 100 }, { missed.file, missed.offset })
        settlement_queue.end_missed(here.queue, missed)
        assert.is_nil(settlement_queue.missed_place(here.queue))
        -- Another worker is faster, and its line is behind this one's.
        settlement_queue.add_settlement(here.queue, "another", 7, 300)
        here.store.settle(made, NOW, 7, 200)
        missed = settlement_queue.missed_place(here.queue)
        assert.same({ 7, 100, 0 }, { missed.file, missed.offset, missed.since })
        assert.equal(2, settlement_queue.waiting(here.queue))
        here.entries.add = add
        -- Its place among the concurrent ones is free again.
        assert.is_nil(here.store.admit(ask(of, "3"), NOW))
    end)
end)
