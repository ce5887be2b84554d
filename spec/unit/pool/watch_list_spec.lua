local pools_module = require("sluice.pool.pools")
local slots_module = require("sluice.pool.slots")
local standing = require("sluice.pool.standing")
local watch_list = require("sluice.pool.watch_list")

local HEALTH = { path = "/health", interval = 2000, timeout = 1000, healthy = 2, unhealthy = 3, slow_start = 30000 }
local WARMUP = { path = "/v1/chat/completions", body_file = "w.json", body = "{}", timeout = 600000 }
local SCRAPE = { engine = "vllm", path = "/metrics", interval = 500 }

local function pools(hosts, more)
    local configuration = {
        name = "gpu", api = "openai", endpoints = {}, keys = {}, headers = {},
        timeouts = { connect = 2000, send = 10000, read = 60000, total = 600000 },
        balance = "round_robin", retries = { attempts = 3, on = { "connect" }, backoff = 200 },
        breaker = { failures = 2, window = 10000, open = 15000, share = 0.5 },
        queue = { max_waiting = 100, timeout = 10000 },
    }
    for index, host in ipairs(hosts) do
        configuration.endpoints[index] = { url = "http://" .. host, scheme = "http", host = host, port = 80, path = "/base", weight = 1 }
    end
    for name, value in pairs(more or {}) do configuration[name] = value end
    return (pools_module.build({ configuration }, {}, slots_module.new_slots(), 0))
end

local function list_of(made, before, now, known)
    return watch_list.make_list(made, before or {}, now or 0, function() return 0.5 end, function(key) return (known or {})[key] end)
end

local A, B = "gpu http://a", "gpu http://b"

describe("a pool", function()
    it("that is not watched costs nothing", function()
        local made = pools({ "a" })
        assert.is_nil(made.gpu.watching)
        assert.same({}, list_of(made))
        assert.is_nil(pools({ "a" }, { scrape = { engine = "none", path = "/metrics", interval = 500 } }).gpu.watching)
    end)

    it("is watched as its configuration says, in seconds", function()
        local watching = pools({ "a" }, { health = HEALTH, warmup = WARMUP, scrape = SCRAPE }).gpu.watching
        assert.same({ healthy = 2, unhealthy = 3, needs_warmth = true }, watching.rules)
        assert.same({ path = "/health", interval = 2, timeout = 1 }, watching.health)
        assert.same({ path = "/v1/chat/completions", body = "{}", timeout = 600 }, watching.warmup)
        assert.same({ engine = "vllm", path = "/metrics", interval = 0.5, timeout = 1 }, watching.scrape)
        assert.equal(30, watching.slow_start)
        -- Three intervals, and at least two seconds.
        assert.equal(2, watching.fresh)
        local slow = { engine = "sglang", path = "/metrics", interval = 4000 }
        assert.equal(12, pools({ "a" }, { scrape = slow }).gpu.watching.fresh)
        assert.equal(4, pools({ "a" }, { scrape = slow }).gpu.watching.scrape.timeout)
        assert.equal(0, pools({ "a" }, { health = HEALTH }).gpu.watching.fresh)
    end)

    it("is asked with its first account and its headers", function()
        local keys = { { id = "one", secret = "s1", weight = 1 }, { id = "two", secret = "s2", weight = 9 } }
        assert.same({ Authorization = "Bearer s1" }, pools({ "a" }, { health = HEALTH, keys = keys }).gpu.watching.headers)
        assert.same({ ["X-Api-Key"] = "s1", ["Anthropic-Version"] = "2023-06-01" },
            pools({ "a" }, { health = HEALTH, keys = keys, api = "anthropic" }).gpu.watching.headers)
        assert.same({ ["Api-Key"] = "s1", ["X-Org"] = "o" },
            pools({ "a" }, { health = HEALTH, keys = keys, api = "azure", headers = { ["X-Org"] = "o" } }).gpu.watching.headers)
        assert.same({}, pools({ "a" }, { health = HEALTH }).gpu.watching.headers)
    end)
end)

describe("what is to be done for an endpoint", function()
    local function all(more) return list_of(pools({ "a" }, more), nil, 100)[A] end

    it("is what its pool asks for", function()
        local only_health = all({ health = HEALTH })
        assert.is_true(watch_list.check_due(only_health, 200))
        assert.is_false(watch_list.warmth_due(only_health, 200))
        assert.is_false(watch_list.scrape_due(only_health, 200))
        local only_warmth = all({ warmup = WARMUP })
        assert.is_true(watch_list.warmth_due(only_warmth, 100))
        assert.is_false(watch_list.check_due(only_warmth, 200))
        assert.is_true(watch_list.scrape_due(all({ scrape = SCRAPE }), 200))
    end)

    it("is done again an interval later, and never twice at a time", function()
        local watched = all({ health = HEALTH })
        -- It begins somewhere in the first interval.
        assert.is_false(watch_list.check_due(watched, 100.9))
        assert.is_true(watch_list.check_due(watched, 101))
        watch_list.begin_regular(watched.check, 101, 1, 2, 0.5)
        assert.is_false(watch_list.check_due(watched, 131.9))
        -- Nobody will ever say that it has ended.
        assert.is_true(watch_list.check_due(watched, 132))
        watch_list.end_job(watched.check, nil)
        assert.is_false(watch_list.check_due(watched, 102.9))
        assert.is_true(watch_list.check_due(watched, 103))
        for random, due in pairs({ [0] = 102.8, [0.999] = 103.2 }) do
            watch_list.begin_regular(watched.check, 101, 1, 2, random)
            assert.near(due, watched.check.due, 0.01)
        end
    end)

    it("leaves out figures of one that gets no requests, and warming one that is warm or down", function()
        local watched = all({ health = HEALTH, warmup = WARMUP, scrape = SCRAPE })
        for place, expected in pairs({ [standing.COLD] = { true, false }, [standing.DOWN] = { false, false }, [5] = { false, true } }) do
            watched.standing.place = place
            assert.same(expected, { watch_list.warmth_due(watched, 200), watch_list.scrape_due(watched, 200) })
        end
    end)

    it("is tried again after longer and longer pauses, if it is a warm-up", function()
        local watched = all({ warmup = WARMUP })
        local pauses = {}
        for index = 1, 7 do
            watch_list.end_job(watched.warmth, "no")
            watch_list.pause_warmth(watched.warmth, 50, 0.5)
            pauses[index] = watched.warmth.due - 50
        end
        assert.same({ 1, 2, 4, 8, 15, 15, 15 }, pauses)
        watched.warmth.failures = 1e6
        watch_list.pause_warmth(watched.warmth, 50, 0.5)
        assert.equal(65, watched.warmth.due)
        watch_list.end_job(watched.warmth, nil)
        assert.equal(0, watched.warmth.failures)
    end)

    it("is told of when it fails in another way than before", function()
        local watched = all({ warmup = WARMUP })
        assert.is_true(watch_list.end_job(watched.warmth, "one"))
        assert.is_false(watch_list.end_job(watched.warmth, "one"))
        assert.is_true(watch_list.end_job(watched.warmth, "two"))
        assert.is_false(watch_list.end_job(watched.warmth, nil))
        assert.is_true(watch_list.end_job(watched.warmth, "two"))
    end)
end)

describe("another configuration", function()
    it("leaves endpoints that stay as they are, with what is under way, and takes in what is new about them", function()
        local first = list_of(pools({ "a", "b" }, { health = HEALTH }))
        first[A].standing.place = standing.DOWN
        first[A].check.busy = true
        local made = pools({ "a", "c" }, { health = HEALTH, scrape = SCRAPE })
        local second = list_of(made, first, 50)
        assert.equal(first[A], second[A])
        assert.equal(made.gpu, second[A].pool)
        assert.equal(made.gpu.watching, second[A].watching)
        assert.equal(standing.DOWN, second[A].standing.place)
        assert.is_true(second[A].check.busy)
        assert.is_false(second[A].gone)
        assert.is_nil(second[B])
        assert.is_true(first[B].gone)
        assert.equal(standing.ALWAYS, second["gpu http://c"].standing.place)
    end)

    it("begins with an endpoint that was gone as with a new one", function()
        local first = list_of(pools({ "a", "b" }, { health = HEALTH }))
        first[B].standing.place = standing.DOWN
        local second = list_of(pools({ "a" }, { health = HEALTH }), first)
        local third = list_of(pools({ "a", "b" }, { health = HEALTH }), second)
        assert.not_equal(first[B], third[B])
        assert.equal(standing.ALWAYS, third[B].standing.place)
    end)

    it("goes on from what another worker has found", function()
        local list = list_of(pools({ "a", "b" }, { health = HEALTH, warmup = WARMUP }), nil, 0, { [A] = standing.DOWN })
        assert.equal(standing.DOWN, list[A].standing.place)
        assert.equal(standing.COLD, list[B].standing.place)
    end)
end)
