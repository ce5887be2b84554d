-- Places among the concurrent requests: given back with the answer's last byte, exactly once, whatever comes between that and the
-- settlement. Both stores are held against a model that is a list of requests.

local dictionary = require("spec.unit.limit.dictionary_model").new
local ended_requests = require("sluice.limit.ended_requests")
local leases = require("sluice.limit.leases")
local memory_store = require("sluice.limit.memory_store")
local redis_keys = require("sluice.limit.redis_keys")
local redis_model = require("spec.unit.limit.redis_model")
local redis_scripts = require("sluice.limit.redis_scripts")
local redis_store = require("sluice.limit.redis_store")
local reservations = require("sluice.limit.reservation")
local returned_places = require("sluice.limit.returned_places")
local scopes = require("sluice.limit.scope")
local settlement = require("sluice.limit.settlement")
local settlement_queue = require("sluice.limit.settlement_queue")

local NOW = 1700000010
local LEASE_SECONDS = 900
local CONCURRENCY = 3

local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000

local function begin_random(what)
    io.write(what, ": SLUICE_SPEC_SEED=", seed, "\n")
    math.randomseed(seed)
end

local function tenant(concurrent)
    return scopes.make_scope("tenant:acme", "tenant acme", "acme", { concurrent_requests = concurrent, tokens_per_day = 1e9 })
end
local function key(name, concurrent)
    return scopes.make_scope("key:acme/" .. name, "API key " .. name, "acme", { concurrent_requests = concurrent, requests_per_day = 1e9 })
end

--- The scopes of a round: the tenant, and two of its keys, some without a limit.
local function random_scopes()
    local function maybe(most) return math.random(3) > 1 and math.random(1, most) or nil end
    return { tenant = tenant(maybe(4)), keys = { key("one", maybe(3)), key("two", maybe(3)) } }
end

--- One that the configuration was read for again.
local function copy(scope)
    local limits = { concurrent_requests = scope.concurrent > 0 and scope.concurrent or nil }
    limits[scope.name:find("^key") and "requests_per_day" or "tokens_per_day"] = 1e9
    return scopes.make_scope(scope.name, scope.title, scope.owner, limits)
end

--- The scope that must refuse the next request of that key, or nil. `taken`: whether a request has a place that this one would need.
local function refusing(of, of_key, requests, taken)
    local all, of_this_key = 0, 0
    for _, request in pairs(requests) do
        if taken(request) then
            all = all + 1
            if request.key.name == of_key.name then of_this_key = of_this_key + 1 end
        end
    end
    if of.tenant.concurrent > 0 and all >= of.tenant.concurrent then return of.tenant.name end
    if of_key.concurrent > 0 and of_this_key >= of_key.concurrent then return of_key.name end
    return nil
end

local function pick(list) return list[math.random(#list)] end

local function take_out(list, wanted)
    for index, item in ipairs(list) do
        if item == wanted then table.remove(list, index) end
    end
end

local function name_of(scope) return scope and scope.name end

describe("places in the memory of one node", function()
    local function worker(shared, process, alive)
        alive[process] = true
        return {
            dictionary = shared, process = process, is_alive = function(other) return alive[other] == true end, mend = function() end,
            journal_end = function() return 0, 0 end,
        }
    end

    local function numbers_in(shared)
        local numbers = {}
        for name, value in pairs(shared.entries) do
            if name:find("^returned:") then numbers[name] = value end
        end
        return numbers
    end

    it("are free as soon as they are given back, and once, whichever workers ask, end and are killed", function()
        begin_random("places in the memory of one node")
        for round = 1, 150 do
            local shared, alive, of = dictionary(), {}, random_scopes()
            local workers, requests, next_process = { worker(shared, 1, alive), worker(shared, 2, alive) }, {}, 3
            local function settle(request)
                local made = request.made
                assert.is_true(memory_store.begin_settlement(request.worker, made))
                memory_store.settle(request.worker, made, NOW, 0, 0)
                take_out(requests, request)
                reservations.return_reservation(made)
            end
            local function sweep()
                for _, scope in ipairs({ of.tenant, of.keys[1], of.keys[2] }) do memory_store.sweep(workers[1], scope, NOW) end
                for index = #requests, 1, -1 do
                    if not alive[requests[index].worker.process] then table.remove(requests, index) end
                end
            end
            for step = 1, 150 do
                local where = ("seed %d, round %d, step %d"):format(seed, round, step)
                local choice, request = math.random(20), #requests > 0 and pick(requests) or nil
                local under = request and alive[request.worker.process]
                if choice <= 9 then
                    local at, of_key = pick(workers), pick(of.keys)
                    local expected = refusing(of, of_key, requests, function(other) return not other.returned end)
                    local made = reservations.take_reservation(of.tenant, of_key, nil, NOW)
                    local refused = memory_store.admit(at, made, NOW)
                    assert.equal(expected, name_of(refused), where)
                    if refused then
                        assert.equal(CONCURRENCY, memory_store.last_verdict().reason, where)
                        reservations.return_reservation(made)
                    else
                        requests[#requests + 1] = { made = made, worker = at, key = of_key, returned = false }
                    end
                elseif choice <= 14 and under and not request.returned then
                    memory_store.return_places(request.worker, request.made)
                    request.returned = true
                elseif choice <= 18 and under then
                    settle(request)
                elseif choice == 19 then
                    -- A worker is killed, and another begins.
                    local index = math.random(#workers)
                    alive[workers[index].process] = nil
                    workers[index] = worker(shared, next_process, alive)
                    next_process = next_process + 1
                    if math.random(2) == 1 then sweep() end
                elseif choice == 20 then
                    of = { tenant = copy(of.tenant), keys = { copy(of.keys[1]), copy(of.keys[2]) } }
                end
            end
            sweep()
            while #requests > 0 do settle(requests[1]) end
            for _, scope in ipairs({ of.tenant, of.keys[1], of.keys[2] }) do
                assert.equal(0, leases.running(memory_store.look_at(workers[1], scope, NOW)))
                assert.equal(0, memory_store.memory_limits(workers[1]).look_at(scope, NOW).running)
            end
            for name, value in pairs(numbers_in(shared)) do
                assert.equal(0, value, name)
                assert.is_true(alive[tonumber(name:match("%d+"))], name)
            end
        end
    end)

    it("stay taken until the request is settled, if the dictionary has no room to say more", function()
        -- Room for the lock, the tenant and the key.
        local shared, of, alive = dictionary(3), { tenant = tenant(1), key = key("one", 1) }, {}
        local at = worker(shared, 1, alive)
        local function ask()
            local made = reservations.take_reservation(of.tenant, of.key, nil, NOW)
            return memory_store.admit(at, made, NOW) == nil and made or nil
        end
        local first = assert(ask())
        shared.add = function() return "no memory" end
        memory_store.return_places(at, first)
        assert.is_false(first.tenant_returned)
        shared.add = function(name, value)
            shared.entries[name] = value
        end
        assert.is_nil(ask())
        assert.is_true(memory_store.begin_settlement(at, first))
        memory_store.settle(at, first, NOW, 0, 0)
        local second = assert(ask())
        assert.is_nil(ask())
        memory_store.return_places(at, second)
        assert(ask())
    end)

    it("are not given away twice if a worker is killed while it settles", function()
        local shared, alive, of = dictionary(), {}, { tenant = tenant(2) }
        local dying, other = worker(shared, 1, alive), worker(shared, 2, alive)
        local function ask(at)
            local made = reservations.take_reservation(of.tenant, nil, nil, NOW)
            return memory_store.admit(at, made, NOW) == nil and made or nil
        end
        local first = assert(ask(dying))
        memory_store.return_places(dying, first)
        assert.is_true(memory_store.begin_settlement(dying, first))
        local increase = shared.increase
        shared.increase = function() error("killed", 0) end
        assert.is_false((pcall(memory_store.settle, dying, first, NOW, 0, 0)))
        shared.increase = increase
        alive[1] = nil
        shared.remove("lock:acme")
        memory_store.sweep(other, of.tenant, NOW)
        assert.same({}, numbers_in(shared))
        assert(ask(other))
        assert(ask(other))
        assert.is_nil(ask(other))
    end)

    it("of other scopes have no numbers", function()
        local shared, alive = dictionary(), {}
        local at = worker(shared, 1, alive)
        assert.is_false(returned_places.return_place(at, nil))
        assert.is_false(returned_places.return_place(at, tenant(nil)))
        assert.same({}, numbers_in(shared))
    end)
end)

--- A gateway on a Redis, with what its workers share.
local function node(redis, name)
    local here = { name = name, lost = nil, memory_dictionary = dictionary(), requests = 0 }
    local shared = dictionary()
    local function lockable(of)
        return {
            dictionary = of, process = 1, is_alive = function() return true end, mend = function() end,
            journal_end = function() return 0, 0 end,
        }
    end
    settlement_queue.create_queue(shared)
    here.queue = { dictionary = shared, process = 1, is_alive = function() return true end }
    here.memory = lockable(here.memory_dictionary)
    here.store = redis_store.redis_limits({
        on_loss = "local", nodes = 1, lease_seconds = LEASE_SECONDS, memory = here.memory, queue = here.queue, lockable = lockable(shared),
        run = function(script, parts)
            here.asked = parts
            if here.lost == "before" then return nil, "refused", false end
            local answer = redis.run(script, parts)
            if here.lost == "after" then return nil, "timeout", true end
            return answer, nil, true
        end,
        follow_journal = function() return true end, wake = function() end,
    })
    return here
end

--- Takes the first so many of what waits to Redis. Returns their ids. `forget`: and says that Redis knows of them.
local function drain(here, redis, named, most, forget)
    local texts, first = settlement_queue.first_settlements(here.queue, most)
    local ids, settled = {}, {}
    for _, text in ipairs(texts) do
        local read = settlement.read_settlement(text)
        redis.run(redis_scripts.SETTLE, settlement.settle_parts(read, named))
        ids[#ids + 1], settled[read.id] = read.id, true
    end
    settlement_queue.confirm_settlements(here.queue, first, #texts, 0, 0)
    if forget then ended_requests.forget_ended(here.memory, "acme", settled, redis.now - LEASE_SECONDS) end
    return ids
end

local function settle(here, made, now)
    assert.is_true(here.store.begin_settlement(made))
    here.store.settle(made, now, 0, 0)
end

describe("places in a Redis of several nodes", function()
    it("are free for a node's requests as soon as that gives them back, and once, whatever is drained when", function()
        begin_random("places in a Redis of several nodes")
        for round = 1, 120 do
            local redis, of = redis_model.new(), random_scopes()
            redis.now = NOW
            local nodes, requests, by_id = { node(redis, "a"), node(redis, "b") }, {}, {}
            local named = { [of.tenant.name] = of.tenant, [of.keys[1].name] = of.keys[1], [of.keys[2].name] = of.keys[2] }
            local function forget(ids)
                for _, id in ipairs(ids) do
                    take_out(requests, by_id[id])
                    by_id[id] = nil
                end
            end
            for step = 1, 150 do
                local where = ("seed %d, round %d, step %d"):format(seed, round, step)
                local choice, request = math.random(22), #requests > 0 and pick(requests) or nil
                redis.now = redis.now + math.random(0, 3)
                for index = #requests, 1, -1 do
                    local old = requests[index]
                    if old.ends <= redis.now then
                        -- Its lease is over; that it ended is still settled some time.
                        table.remove(requests, index)
                    end
                end
                if choice <= 9 then
                    local here, of_key, id = pick(nodes), pick(of.keys), ("%x"):format(round * 1000 + step)
                    local expected = refusing(of, of_key, requests, function(other) return not (other.returned and other.node == here) end)
                    local made = reservations.take_reservation(of.tenant, of_key, nil, redis.now)
                    made.id = id
                    local refused = here.store.admit(made, redis.now)
                    assert.equal(expected, name_of(refused), where)
                    if refused then
                        assert.equal(CONCURRENCY, here.store.last_verdict().reason, where)
                    else
                        by_id[id] = { made = made, node = here, key = of_key, returned = false, ends = redis.now + LEASE_SECONDS }
                        requests[#requests + 1] = by_id[id]
                    end
                elseif choice <= 14 and request and not request.returned and not request.settled then
                    request.node.store.return_places(request.made)
                    request.returned = true
                elseif choice <= 17 and request and not request.settled then
                    settle(request.node, request.made, redis.now)
                    request.settled = true
                elseif choice <= 20 then
                    -- Sometimes the worker is killed before it says so, and sometimes all is told again.
                    local here = pick(nodes)
                    forget(drain(here, redis, named, math.random(1, 4), math.random(5) > 1))
                elseif choice == 21 and request and not request.settled then
                    -- Its worker is killed: nobody settles it.
                    request.settled = true
                elseif choice == 22 and math.random(8) == 1 then
                    redis.now = redis.now + LEASE_SECONDS
                end
            end
            redis.now = redis.now + LEASE_SECONDS + 1
            for _, here in ipairs(nodes) do
                drain(here, redis, named, 1000, true)
                ended_requests.forget_ended(here.memory, "acme", {}, redis.now - LEASE_SECONDS)
                assert.equal("", ended_requests.ended_requests(here.memory, "acme"))
            end
            assert.equal(0, nodes[1].store.look_at(of.tenant, redis.now).running)
            assert.is_nil(redis.keys["sluice:{acme}:leases"])
        end
    end)

    it("leave the money and the tokens reserved until the request is settled", function()
        local redis = redis_model.new()
        redis.now = NOW
        local here = node(redis, "a")
        local acme = scopes.make_scope("tenant:acme", "tenant acme", "acme", { concurrent_requests = 1 }, { usd = 0.00001, period = "day" })
        local function ask(id)
            local made = reservations.take_reservation(acme, nil, nil, NOW)
            made.id, made.most_nano_usd, made.least_nano_usd = id, 6000, 1
            return made, here.store.admit(made, NOW)
        end
        local first = ask("1")
        here.store.return_places(first)
        local second, refused = ask("2")
        assert.is_nil(refused)
        assert.same({ 6000, 4000 }, { first.nano_usd, second.nano_usd })
        assert.same({ running = 2, reserved = 10000, spent = 0 }, here.store.look_at(acme, NOW))
    end)

    it("of a request that Redis was asked to admit, and did not answer, are free too", function()
        local redis = redis_model.new()
        redis.now = NOW
        local here, of = node(redis, "a"), { tenant = tenant(1) }
        local function ask(id)
            local made = reservations.take_reservation(of.tenant, nil, nil, NOW)
            made.id = id
            return made, here.store.admit(made, NOW)
        end
        here.lost = "after"
        local first = assert(ask("1"))
        -- It goes by this node's share, which has one place as well.
        local _, refused = ask("2")
        assert.equal(of.tenant, refused)
        here.lost = nil
        _, refused = ask("3")
        assert.equal(of.tenant, refused)
        here.store.return_places(first)
        here.lost = "before"
        local fourth
        fourth, refused = ask("4")
        assert.is_nil(refused)
        here.store.return_places(fourth)
        here.lost = nil
        -- Redis still has the first one's lease, and is told that it has ended.
        _, refused = ask("5")
        assert.is_nil(refused)
        settle(here, first, NOW)
        settle(here, fourth, NOW)
        assert.equal(0, leases.running(memory_store.look_at(here.memory, of.tenant, NOW)))
    end)

    it("tell Redis of some sixty at most, the newest, and of nothing where nothing is limited", function()
        local redis = redis_model.new()
        redis.now = NOW
        local here, of, last = node(redis, "a"), { tenant = tenant(1000) }, nil
        for number = 1, 200 do
            local made = reservations.take_reservation(of.tenant, nil, nil, NOW)
            made.id = ("%032x"):format(number)
            assert.is_nil(here.store.admit(made, NOW))
            here.store.return_places(made)
            last = made.id
        end
        local text, count = ended_requests.ended_requests(here.memory, "acme"), 0
        for _ in text:gmatch("%d+:%x+") do count = count + 1 end
        assert.is_true(count >= 60 and count <= 66, count)
        assert.equal(last, text:match("%x+$"))
        local free = reservations.take_reservation(tenant(nil), nil, nil, NOW)
        free.id = "free"
        assert.is_nil(here.store.admit(free, NOW))
        assert.equal("", here.asked[#here.asked - 1])
        assert.is_false(free.holds_place)
        assert.equal(7, #redis_keys.redis_keys("acme", nil, nil, 0, 0))
    end)

    it("are free when the request is settled, as before, if the user may not look for one", function()
        local redis = redis_model.new()
        redis.now = NOW
        local here, of = node(redis, "a"), { tenant = tenant(1) }
        local named = { [of.tenant.name] = of.tenant }
        local function ask(id)
            local made = reservations.take_reservation(of.tenant, nil, nil, NOW)
            made.id = id
            return made, here.store.admit(made, NOW)
        end
        redis.forbidden = "ZSCORE"
        local first = ask("1")
        here.store.return_places(first)
        local _, refused = ask("2")
        assert.equal(of.tenant, refused)
        settle(here, first, NOW)
        drain(here, redis, named, 10, true)
        _, refused = ask("3")
        assert.is_nil(refused)
    end)
end)
