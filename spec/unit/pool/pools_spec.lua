local pools = require("sluice.pool.pools")
local slots_module = require("sluice.pool.slots")

local APIS = {
    { service = "chat", upstream_path = "/v1/chat/completions" },
    { service = "embeddings", upstream_path = "/v1/embeddings" },
}

local function endpoint(url)
    local scheme, host, port, path = url:match("^(%a+)://%[(.-)%]:(%d+)(.*)$")
    if not scheme then
        scheme, host, port, path = url:match("^(%a+)://([^:/]+):(%d+)(.*)$")
    end
    return { url = url, scheme = scheme, host = host, port = tonumber(port), path = path, weight = 1 }
end

local function pool_of(name, urls, more)
    local configuration = {
        name = name, api = "openai", endpoints = {}, keys = {}, timeouts = { connect = 2000, send = 10000, read = 60500, total = 600000 },
        headers = {},
        balance = "round_robin", retries = { attempts = 3, on = { "connect" }, backoff = 200 },
        breaker = { failures = 5, window = 10000, open = 15000, share = 0.5 },
        queue = { max_waiting = 100, timeout = 10000 },
    }
    for index, url in ipairs(urls) do
        configuration.endpoints[index] = endpoint(url)
    end
    for key, value in pairs(more or {}) do
        configuration[key] = value
    end
    return configuration
end

local function build(configurations, slots, now)
    return pools.build(configurations, APIS, slots or slots_module.new_slots(), now or 0)
end

local function build_one(...)
    local built, problems = build({ pool_of("gpu", ...) })
    assert.same({}, problems)
    return built.gpu
end

describe("a pool", function()
    it("is found by its name", function()
        local built = build({ pool_of("a", { "http://1.1.1.1:80" }), pool_of("b", { "http://2.2.2.2:80" }) })
        assert.equal("a", built.a.name)
        assert.equal("b", built.b.name)
        assert.is_nil(built.c)
    end)

    it("knows a session's header by the name that nginx gives it, or none", function()
        for header, name in pairs({ ["X-Session-Id"] = "x_session_id", session = "session" }) do
            assert.equal(name, build_one({ "http://1.1.1.1:80" }, { session_header = header }).session_header)
        end
        assert.is_nil(build_one({ "http://1.1.1.1:80" }).session_header)
    end)

    it("knows its endpoints by numbers that are the same in another order, and others in another pool", function()
        local urls = { "http://1.1.1.1:80", "http://2.2.2.2:80", "http://3.3.3.3:80" }
        local one, other = build_one(urls), build_one({ urls[3], urls[1] })
        local elsewhere = build({ pool_of("cpu", urls) }).cpu
        for index = 0, 2 do
            assert.equal(index, one.index_of[one.ids[index]])
            assert.is_nil(elsewhere.index_of[one.ids[index]])
        end
        assert.same({ one.ids[2], one.ids[0] }, { other.ids[0], other.ids[1] })
        assert.equal(one.seed, other.seed)
        assert.are_not.equal(one.seed, elsewhere.seed)
    end)

    it("has its timeouts in seconds", function()
        local pool = build_one({ "http://1.1.1.1:80" })
        assert.same({ 2, 10, 60.5 }, { pool.connect_timeout, pool.send_timeout, pool.read_timeout })
    end)

    for url, case in pairs({
        ["http://10.0.0.1:8000"] = { "10.0.0.1", 8000, "10.0.0.1:8000", "http://sluice_http/v1/chat/completions" },
        ["http://10.0.0.1:80"] = { "10.0.0.1", 80, "10.0.0.1", "http://sluice_http/v1/chat/completions" },
        ["http://gpu:443"] = { "gpu", 443, "gpu:443", "http://sluice_http/v1/chat/completions" },
        ["https://api.example.com:443"] = { "api.example.com", 443, "api.example.com", "https://sluice_tls_0/v1/chat/completions" },
        ["https://api.example.com:80"] = { "api.example.com", 80, "api.example.com:80", "https://sluice_tls_0/v1/chat/completions" },
        ["https://api.example.com:443/openai"] = {
            "api.example.com", 443, "api.example.com", "https://sluice_tls_0/openai/v1/chat/completions",
        },
        ["http://[::1]:8000"] = { "::1", 8000, "[::1]:8000", "http://sluice_http/v1/chat/completions" },
        ["http://[2001:db8::1]:80/base"] = { "2001:db8::1", 80, "[2001:db8::1]", "http://sluice_http/base/v1/chat/completions" },
    }) do
        it("has the endpoint " .. url, function()
            local made = build_one({ url }).endpoints[1]
            assert.same({ url, unpack(case) }, { made.name, made.host, made.port, made.host_header, made.upstream.chat })
            assert.equal((case[4]:gsub("chat/completions", "embeddings")), made.upstream.embeddings)
        end)
    end

    it("puts its accounts' keys into the header of their API", function()
        local keys = { { id = "one", secret = "s1", weight = 1 }, { id = "two", secret = "s2", weight = 1 } }
        assert.same({
            { id = "one", authorization = "Bearer s1", x_api_key = "", api_key = "", weight = 1 },
            { id = "two", authorization = "Bearer s2", x_api_key = "", api_key = "", weight = 1 },
        }, build_one({ "http://1.1.1.1:80" }, { keys = keys }).accounts)
        assert.same({
            { id = "one", authorization = "", x_api_key = "s1", api_key = "", weight = 1 },
            { id = "two", authorization = "", x_api_key = "s2", api_key = "", weight = 1 },
        }, build_one({ "http://1.1.1.1:80" }, { keys = keys, api = "anthropic" }).accounts)
    end)

    it("without keys sends none", function()
        assert.same({ { id = "", authorization = "", x_api_key = "", api_key = "", weight = 1 } }, build_one({ "http://1.1.1.1:80" }).accounts)
    end)
end)

describe("the slots of pools", function()
    local function https(count, first)
        local urls = {}
        for index = 1, count do
            urls[index] = ("https://host%d:443"):format((first or 0) + index)
        end
        return urls
    end
    local function slot(built, pool, index)
        return built[pool].endpoints[index].upstream.chat:match("^https://([^/]+)")
    end

    it("are shared by endpoints of the same TLS name", function()
        local built = build({ pool_of("a", { "https://x:443", "https://x:8443" }), pool_of("b", { "https://x:443/base", "https://y:443" }) })
        assert.equal("sluice_tls_0", slot(built, "a", 1))
        assert.equal("sluice_tls_0", slot(built, "a", 2))
        assert.equal("sluice_tls_0", slot(built, "b", 1))
        assert.equal("sluice_tls_1", slot(built, "b", 2))
    end)

    it("run out as a problem that names the pool and the host", function()
        local late = { "https://host1:443", "https://late:443" }
        local _, problems = build({ pool_of("a", https(16)), pool_of("b", { "http://plain:80" }), pool_of("c", late) })
        assert.equal(1, #problems)
        assert.equal("pools[2].endpoints", problems[1].path)
        assert.matches("at most 16 different host names", problems[1].message)
        assert.matches("late", problems[1].message)
    end)

    it("do not run out with 16 names in many endpoints", function()
        local urls = https(16)
        for index = 1, 16 do
            urls[#urls + 1] = ("https://host%d:8443"):format(index)
        end
        local _, problems = build({ pool_of("a", urls) })
        assert.same({}, problems)
    end)

    it("stay with names that are still in the configuration, also when new ones come in front after hours", function()
        local slots = slots_module.new_slots()
        local first = build({ pool_of("a", https(16)) }, slots, 0)
        local urls = https(14)
        table.insert(urls, 1, "https://new:443")
        pools.keep_slots(first, slots, 100000)
        local second, problems = build({ pool_of("a", urls) }, slots, 100000)
        for index = 1, 14 do
            assert.equal(slot(first, "a", index), slot(second, "a", index + 1), index)
        end
        -- The two that have only now gone have connections yet: their blocks must rest before they are given away.
        assert.equal(1, #problems)
    end)

    it("rest for an hour from when their name went, not from when it came", function()
        local slots = slots_module.new_slots()
        local first = build({ pool_of("a", https(16)) }, slots, 0)
        pools.keep_slots(first, slots, 100000)
        local second, problems = build({ pool_of("a", https(15)) }, slots, 100000)
        assert.same({}, problems)
        pools.keep_slots(second, slots, 100010)
        local _, third = build({ pool_of("a", https(15)), pool_of("b", { "https://new:443" }) }, slots, 100010)
        assert.equal(1, #third)
        local built
        built, problems = build({ pool_of("a", https(15)), pool_of("b", { "https://new:443" }) }, slots, 100000 + 3700)
        assert.same({}, problems)
        assert.equal("sluice_tls_15", slot(built, "b", 1))
    end)

    it("are not used up by a configuration that was refused", function()
        local slots = slots_module.new_slots()
        build({ pool_of("a", https(10)) }, slots, 0)
        local _, problems = build({ pool_of("a", https(20, 100)) }, slots, 10)
        assert.is_true(#problems > 0)
        _, problems = build({ pool_of("a", https(10)), pool_of("b", { "https://new:443" }) }, slots, 20)
        assert.same({}, problems)
    end)
end)

describe("endpoints with accounts and names of their own", function()
    local function own(index, members)
        local configuration = pool_of("gpu", { "http://1.1.1.1:80", "http://2.2.2.2:80", "http://3.3.3.3:80" })
        for name, value in pairs(members) do configuration.endpoints[index][name] = value end
        return configuration
    end
    local function ids(pool)
        local found = {}
        for index, account in ipairs(pool.accounts) do found[index] = account.id end
        return found
    end
    local function groups(pool)
        local found = {}
        for index, one in ipairs(pool.endpoints) do found[index] = { one.first_account, one.account_end } end
        return found
    end

    it("are asked with those, and the others with the pool's", function()
        local configuration = own(2, { keys = { { id = "b", secret = "s", weight = 1 }, { id = "c", secret = "t", weight = 2 } } })
        configuration.keys = { { id = "a", secret = "r", weight = 1 } }
        local pool = build({ configuration }).gpu
        assert.same({ "a", "b", "c" }, ids(pool))
        assert.same({ { 0, 1 }, { 1, 3 }, { 0, 1 } }, groups(pool))
        assert.is_true(pool.own_accounts)
        assert.equal(1, pool.shared_accounts)
    end)

    it("leave the others without a credential if the pool has none, and need none if all have theirs", function()
        local key = { { id = "b", secret = "s", weight = 1 } }
        local pool = build({ own(2, { keys = key }) }).gpu
        assert.same({ "", "b" }, ids(pool))
        assert.same({ { 0, 1 }, { 1, 2 }, { 0, 1 } }, groups(pool))
        local configuration = own(1, { keys = key })
        configuration.endpoints[2].keys = { { id = "c", secret = "s", weight = 1 } }
        configuration.endpoints[3].keys = { { id = "d", secret = "s", weight = 1 } }
        pool = build({ configuration }).gpu
        assert.same({ "b", "c", "d" }, ids(pool))
        assert.same({ { 0, 1 }, { 1, 2 }, { 2, 3 } }, groups(pool))
        assert.equal(0, pool.shared_accounts)
    end)

    it("are not there in the usual pool", function()
        local pool = build_one({ "http://1.1.1.1:80" })
        assert.is_false(pool.own_accounts)
        assert.is_false(pool.own_names)
        assert.same({ { 0, 1 } }, groups(pool))
    end)

    it("are told apart by their models if they have the same URL", function()
        local configuration = own(2, { upstream_model = "b", url = "http://1.1.1.1:80" })
        local pool = build({ configuration }).gpu
        assert.is_true(pool.own_names)
        assert.same({ "http://1.1.1.1:80", "http://1.1.1.1:80#b", "http://3.3.3.3:80" },
            { pool.endpoints[1].name, pool.endpoints[2].name, pool.endpoints[3].name })
        assert.equal("gpu http://1.1.1.1:80#b", pool.endpoints[2].key)
        assert.are_not.equal(pool.ids[0], pool.ids[1])
    end)

    it("are asked how they are with their own account, and warmed up by their own name", function()
        local configuration = own(2, { upstream_model = "b\"c", keys = { { id = "b", secret = "own", weight = 1 } } })
        configuration.keys = { { id = "a", secret = "shared", weight = 1 } }
        configuration.warmup = { path = "/x", timeout = 1000, body = '{"n": 1, "model":"m", "messages":[]}' }
        local pool = build({ configuration }).gpu
        assert.equal("Bearer shared", pool.watching.headers.Authorization)
        assert.is_nil(pool.endpoints[1].question_headers)
        assert.equal("Bearer own", pool.endpoints[2].question_headers.Authorization)
        assert.equal('{"n": 1, "model":"b\\u0022c", "messages":[]}', pool.endpoints[2].warmup_body)
        assert.is_nil(pool.endpoints[3].warmup_body)
        configuration.warmup.body = '{"input":"no model"}'
        assert.equal('{"input":"no model"}', build({ configuration }).gpu.endpoints[2].warmup_body)
    end)
end)
