-- Requests that reserve what is usual: what passes it is taken as it comes, in the memory of one node and in a Redis of several.

local new_dictionary = require("spec.unit.limit.dictionary_model").new
local leases = require("sluice.limit.leases")
local memory_store = require("sluice.limit.memory_store")
local redis_model = require("spec.unit.limit.redis_model")
local redis_scripts = require("sluice.limit.redis_scripts")
local redis_store = require("sluice.limit.redis_store")
local reservations = require("sluice.limit.reservation")
local scopes = require("sluice.limit.scope")
local settlement = require("sluice.limit.settlement")
local settlement_queue = require("sluice.limit.settlement_queue")

local NOW = 1700000010

local function memory()
    return {
        dictionary = new_dictionary(), process = 1, is_alive = function() return true end, mend = function() end,
        journal_end = function() return 0, 0 end,
    }
end

-- A node over a Redis. What it tells of takings is kept in `told`, and gets there with `tell`.
local function node(redis)
    local here = { told = {} }
    local shared = new_dictionary()
    settlement_queue.create_queue(shared)
    here.queue = { dictionary = shared, process = 1, is_alive = function() return true end }
    local lockable = memory()
    lockable.dictionary = shared
    here.memory = memory()
    here.raw = {
        on_loss = "local", nodes = 1, lease_seconds = 900, memory = here.memory, queue = here.queue, lockable = lockable,
        run = function(script, parts)
            if here.lost then return nil, "refused", false end
            return redis.run(script, parts), nil, true
        end,
        follow_journal = function() return true end,
        tell_taken = function(id, parts) here.told[id] = parts end,
        wake = function() end,
    }
    here.store = redis_store.redis_limits(here.raw)
    function here.tell(times)
        for _, parts in pairs(here.told) do
            for _ = 1, times or 1 do redis.run(redis_scripts.TAKE, parts) end
        end
        here.told = {}
    end
    function here.drain(named)
        local texts, first = settlement_queue.first_settlements(here.queue, 1000)
        for _, text in ipairs(texts) do
            redis.run(redis_scripts.SETTLE, settlement.settle_parts(settlement.read_settlement(text), named))
        end
        settlement_queue.confirm_settlements(here.queue, first, #texts, 0, 0)
    end
    return here
end

local function tenant(limits) return scopes.make_scope("tenant:acme", "tenant acme", "acme", limits) end
local function key(limits) return scopes.make_scope("key:acme/web", "API key web", "acme", limits) end

local function ask(of, id, tokens, now)
    local made = reservations.take_reservation(of.tenant, of.key, nil, now)
    made.id, made.tokens, made.is_typical = id, tokens, true
    return made
end

local function settle(store, made, used, now)
    assert.is_true(store.begin_settlement(made))
    made.used_tokens = used
    store.settle(made, now, 0, 0)
end

describe("a request that reserves what is usual", function()
    local function one(limit)
        local at = memory()
        return memory_store.memory_limits(at), { tenant = tenant({ tokens_per_minute = limit }) }, at
    end

    it("takes what passes it into debt, which the next ones wait for, and is counted once", function()
        local limits, of, at = one(1000)
        local first = ask(of, "a", 300, NOW)
        assert.is_nil(limits.admit(first, NOW))
        limits.take_more(first, 1500, NOW + 5)
        local counters = memory_store.look_at(at, of.tenant, NOW + 5)
        assert.equal(1800, counters.windows[0].current)
        assert.equal(of.tenant, limits.admit(ask(of, "b", 10, NOW + 5), NOW + 5))
        local wait = limits.last_verdict().wait
        assert.is_true(wait > 0)
        settle(limits, first, 1790, NOW + 6)
        assert.equal(1790, memory_store.look_at(at, of.tenant, NOW + 6).windows[0].current)
        assert.equal(of.tenant, limits.admit(ask(of, "b", 10, NOW + 6), NOW + 5 + wait - 1))
        assert.is_nil(limits.admit(ask(of, "b", 10, NOW + 6), NOW + 5 + wait + 1))
    end)

    it("is counted when its tokens come, not when it began", function()
        local limits, of, at = one(1000)
        local first = ask(of, "a", 300, NOW)
        assert.is_nil(limits.admit(first, NOW))
        limits.take_more(first, 500, NOW + 300)
        assert.equal(500, memory_store.look_at(at, of.tenant, NOW + 300).windows[0].current)
        -- 20 more than were taken come with the ending.
        settle(limits, first, 820, NOW + 301)
        assert.equal(520, memory_store.look_at(at, of.tenant, NOW + 301).windows[0].current)
    end)

    it("gives back what was too much, of what was taken last first", function()
        local limits, of, at = one(1000)
        local first = ask(of, "a", 300, NOW)
        assert.is_nil(limits.admit(first, NOW))
        limits.take_more(first, 200, NOW + 60)
        settle(limits, first, 250, NOW + 61)
        local window = memory_store.look_at(at, of.tenant, NOW + 61).windows[0]
        assert.same({ 0, 250 }, { window.current, window.previous })
    end)

    it("leaves nothing behind when its worker is killed", function()
        local limits, of, at = one(1000)
        local first = ask(of, "a", 300, NOW)
        assert.is_nil(limits.admit(first, NOW))
        limits.take_more(first, 200, NOW)
        at.is_alive = function() return false end
        memory_store.sweep(at, of.tenant, NOW)
        local counters = memory_store.look_at(at, of.tenant, NOW)
        assert.same({ 0, 0 }, { counters.windows[0].current, leases.running(counters) })
    end)

    it("never has a limit passed by more than a cap for each request under way", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("debts: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        for round = 1, 50 do
            local limits, of, at = one(5000)
            local open, used = {}, 0
            for step = 1, 300 do
                local where = ("seed %d, round %d, step %d"):format(seed, round, step)
                if math.random(3) == 1 then
                    local cap = math.random(100, 3000)
                    local made = ask(of, "a", math.random(10, cap), NOW)
                    local fits = used + made.tokens <= 5000
                    assert.equal(fits, limits.admit(made, NOW) == nil, where)
                    if fits then
                        open[#open + 1] = { made = made, cap = cap }
                        used = used + made.tokens
                    end
                elseif #open > 0 then
                    local at_hand = math.random(#open)
                    local each = open[at_hand]
                    local had = each.made.tokens + each.made.more_tokens
                    if math.random(3) > 1 and had < each.cap then
                        local more = math.random(each.cap - had)
                        limits.take_more(each.made, more, NOW)
                        used = used + more
                    else
                        table.remove(open, at_hand)
                        local end_used = math.random(0, each.cap)
                        used = used + end_used - had
                        settle(limits, each.made, end_used, NOW)
                    end
                end
                assert.equal(used, memory_store.look_at(at, of.tenant, NOW).windows[0].current, where)
            end
        end
    end)
end)

describe("requests that reserve what is usual, in a Redis of several nodes", function()
    it("are counted as in one node's memory, whatever comes, also if it is told twice", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("debts in Redis: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        for round = 1, 40 do
            local of = { tenant = tenant({ tokens_per_minute = 5000, requests_per_minute = 50 }) }
            if math.random(2) == 1 then of.key = key({ tokens_per_minute = 4000, tokens_per_hour = 20000 }) end
            local named = { [of.tenant.name] = of.tenant, [of.key and of.key.name or ""] = of.key }
            local redis, at = redis_model.new(), memory()
            local here, one, open, now = node(redis), memory_store.memory_limits(at), {}, NOW
            for step = 1, 150 do
                local where = ("seed %d, round %d, step %d"):format(seed, round, step)
                now = now + math.random(0, 40000) / 10000
                now = math.floor(now) + math.floor(now % 1 * 1e6) / 1e6
                redis.now = now
                local what = math.random(3)
                if what == 1 or #open == 0 then
                    local tokens = math.random(10, 1500)
                    local left, right = ask(of, ("%x"):format(step), tokens, now), ask(of, "", tokens, now)
                    left.is_typical = math.random(4) > 1
                    right.is_typical = left.is_typical
                    local refused, refused_here = here.store.admit(left, now), one.admit(right, now)
                    assert.equal(refused_here and refused_here.name, refused and refused.name, where)
                    if refused then
                        assert.same(one.last_verdict(), here.store.last_verdict(), where)
                    else
                        open[#open + 1] = { left, right }
                    end
                    assert.same(right.tokens_standing, left.tokens_standing, where)
                elseif what == 2 and open[#open][1].is_typical then
                    local left, right = unpack(open[#open])
                    local more = math.random(1, 700)
                    here.store.take_more(left, more, now)
                    one.take_more(right, more, now)
                    here.tell(math.random(2))
                else
                    local left, right = unpack(table.remove(open, math.random(#open)))
                    local used = math.random(0, 2 * left.tokens)
                    settle(here.store, left, used, now)
                    settle(one, right, used, now)
                    here.drain(named)
                end
            end
        end
    end)

    it("are counted whole in the end when nothing of what they took gets there", function()
        local redis = redis_model.new()
        redis.now = NOW
        local here, of = node(redis), { tenant = tenant({ tokens_per_minute = 1000 }) }
        local made = ask(of, "a", 300, NOW)
        assert.is_nil(here.store.admit(made, NOW))
        here.store.take_more(made, 400, NOW)
        settle(here.store, made, 650, NOW)
        here.drain({ [of.tenant.name] = of.tenant })
        local late = here.told
        -- What is told of one that has ended changes nothing.
        here.told = late
        here.tell(2)
        assert.equal(of.tenant, here.store.admit(ask(of, "b", 351, NOW), NOW))
        assert.is_nil(here.store.admit(ask(of, "c", 350, NOW), NOW))
    end)

    it("take of this node's share while Redis is lost", function()
        local redis = redis_model.new()
        redis.now = NOW
        local here, of = node(redis), { tenant = tenant({ tokens_per_minute = 1000 }) }
        here.lost = true
        local made = ask(of, "a", 300, NOW)
        assert.is_nil(here.store.admit(made, NOW))
        here.store.take_more(made, 900, NOW)
        assert.equal(900, made.more_tokens)
        assert.is_nil(next(here.told))
        assert.equal(of.tenant, here.store.admit(ask(of, "b", 1, NOW), NOW))
        settle(here.store, made, 1100, NOW)
        assert.equal(1100, memory_store.look_at(here.memory, of.tenant, NOW).windows[0].current)
    end)
end)
