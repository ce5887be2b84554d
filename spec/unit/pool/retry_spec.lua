local retry_module = require("sluice.pool.retry")

local CONNECT, TIMEOUT, STATUS, BROKEN, CONNECT_TIMEOUT, READ_TIMEOUT = 1, 2, 3, 4, 5, 6
local NOWHERE, ACCOUNT, ENDPOINT, SAME, WORDS = 0, 1, 2, 3, 4
local NAMES = { [0] = "nowhere", "another account", "another endpoint", "the same" }

local function compile(on, attempts, backoff)
    return retry_module.compile_retry({ attempts = attempts or 3, on = on, backoff = backoff or 100 })
end

local function decide(retry, outcome, more)
    more = more or {}
    return retry_module.next_attempt(retry, outcome, more.status or 0, more.made or 1, more.account or false, more.endpoint ~= false,
        more.retry_after or -1, more.random or 0.5)
end

local function where(...) return NAMES[(decide(...))] end

describe("what an outcome means", function()
    it("is another endpoint for what the configuration lists, and nothing for the rest", function()
        local retry = compile({ "connect", 503 })
        assert.equal("another endpoint", where(retry, CONNECT))
        assert.equal("another endpoint", where(retry, BROKEN))
        assert.equal("another endpoint", where(retry, STATUS, { status = 503 }))
        assert.equal("nowhere", where(retry, TIMEOUT))
        for _, status in ipairs({ 200, 400, 404, 429, 500, 502 }) do
            assert.equal("nowhere", where(retry, STATUS, { status = status }), status)
        end
        assert.equal("another endpoint", where(compile({ "timeout" }), TIMEOUT))
        assert.equal("nowhere", where(compile({ "timeout" }), CONNECT))
        assert.equal("nowhere", where(compile({ "timeout" }), BROKEN))
        assert.equal("nowhere", where(compile({}), CONNECT))
    end)

    it("tells no connection, a stream's silence and another answer's apart", function()
        local outcomes = { CONNECT, CONNECT_TIMEOUT, TIMEOUT, READ_TIMEOUT }
        for name, wanted in pairs({
            connect = { true, true, false, false }, timeout = { false, true, true, false }, read_timeout = { false, false, false, true },
        }) do
            for index, outcome in ipairs(outcomes) do
                assert.equal(wanted[index] and "another endpoint" or "nowhere", where(compile({ name }), outcome), name .. index)
                assert.equal(wanted[index], retry_module.is_retryable(compile({ name }), outcome, 504))
            end
        end
    end)

    it("is one other account after a 403, or the same once more for its words, unless another model is left", function()
        for made = 1, 4 do
            for _, has_account in ipairs({ false, true }) do
                for _, has_model in ipairs({ false, true }) do
                    local expected = has_account and ACCOUNT or has_model and NOWHERE or WORDS
                    assert.equal(made < 3 and expected or NOWHERE, retry_module.after_forbidden(made, 3, false, has_account, has_model))
                    assert.equal(NOWHERE, retry_module.after_forbidden(made, 3, true, has_account, has_model))
                end
            end
        end
    end)

    it("is another account at once for what the upstream says of one, listed or not", function()
        for _, status in ipairs({ 401, 402, 403, 429 }) do
            for _, retry in ipairs({ compile({}), compile({ status }) }) do
                assert.same({ ACCOUNT, 0 }, { decide(retry, STATUS, { status = status, account = true, retry_after = 60000 }) })
            end
            assert.equal("nowhere", where(compile({}), STATUS, { status = status }))
            assert.same({ ENDPOINT, 50 }, { decide(compile({ status }), STATUS, { status = status }) })
        end
        assert.equal("nowhere", where(compile({}), STATUS, { status = 400, account = true }))
        assert.equal("another endpoint", where(compile({ "connect" }), CONNECT, { account = true }))
    end)

    it("is nothing more after the last attempt", function()
        for attempts = 1, 8 do
            local retry = compile({ "connect" }, attempts)
            for made = 1, 8 do
                assert.equal(made < attempts and ENDPOINT or NOWHERE, (decide(retry, CONNECT, { made = made })))
                local with_account = decide(retry, STATUS, { status = 401, made = made, account = true })
                assert.equal(made < attempts and ACCOUNT or NOWHERE, with_account)
            end
        end
    end)

    it("is a wait that doubles, drawn from nothing up to it, and never more than five seconds", function()
        local retry = compile({ "connect" }, 8, 300)
        for made, bound in ipairs({ 300, 600, 1200, 2400, 4800, 5000, 5000 }) do
            for _, random in ipairs({ 0, 0.25, 0.999 }) do
                assert.same({ ENDPOINT, random * bound }, { decide(retry, CONNECT, { made = made, random = random }) })
            end
        end
        assert.same({ ENDPOINT, 0 }, { decide(compile({ "connect" }, 8, 0), CONNECT, { made = 7 }) })
        assert.same({ ENDPOINT, 2500 }, { decide(compile({ "connect" }, 8, 60000), CONNECT) })
    end)

    it("obeys the upstream's wait only if there is nobody else", function()
        local retry = compile({ 429, 503 })
        assert.same({ ENDPOINT, 50 }, { decide(retry, STATUS, { status = 503, retry_after = 3000 }) })
        assert.same({ ENDPOINT, 50 }, { decide(retry, STATUS, { status = 503, retry_after = 60000 }) })
        local function alone(retry_after) return { decide(retry, STATUS, { status = 503, endpoint = false, retry_after = retry_after }) } end
        assert.same({ SAME, 3000 }, alone(3000))
        assert.same({ SAME, 5000 }, alone(5000))
        assert.same({ NOWHERE, 0 }, alone(5000.1))
        assert.same({ SAME, 50 }, alone(-1))
        assert.same({ SAME, 50 }, alone(0))
        assert.same({ SAME, 50 }, alone(20))
    end)

    it("keeps its promises for whatever it is asked", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("retries: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        local statuses = { 200, 400, 401, 402, 403, 404, 408, 429, 500, 502, 503, 504, 529 }
        for _ = 1, 20000 do
            local on, listed = {}, {}
            for _, cause in ipairs({ "connect", "timeout", "read_timeout", 401, 429, 500, 503 }) do
                if math.random(2) == 1 then on[#on + 1], listed[cause] = cause, true end
            end
            local attempts, backoff, made, random = math.random(8), math.random(0, 10000), math.random(8), math.random()
            local outcome, status = math.random(6), statuses[math.random(#statuses)]
            local account, endpoint = math.random(2) == 1, math.random(2) == 1
            local retry_after = math.random(2) == 1 and -1 or math.random(0, 8000)
            local next, wait = retry_module.next_attempt(compile(on, attempts, backoff), outcome, status, made, account, endpoint,
                retry_after, random)
            local of_account = outcome == STATUS and (status == 401 or status == 402 or status == 403 or status == 429)
            local cause = ({ [CONNECT] = "connect", [TIMEOUT] = "timeout", [STATUS] = status, [BROKEN] = "connect", [READ_TIMEOUT] = "read_timeout",
                [CONNECT_TIMEOUT] = listed.connect and "connect" or "timeout" })[outcome]
            local expected = SAME
            if made >= attempts then expected = NOWHERE
            elseif of_account and account then expected = ACCOUNT
            elseif not listed[cause] then expected = NOWHERE
            elseif endpoint then expected = ENDPOINT
            elseif retry_after > 5000 then expected = NOWHERE end
            assert.equal(expected, next)
            assert.equal(of_account, outcome == STATUS and retry_module.is_of_account(status))
            assert.equal(of_account or listed[cause] == true, retry_module.is_retryable(compile(on, attempts, backoff), outcome, status))
            assert.is_true(wait >= 0 and wait <= 5000)
            if next == NOWHERE or next == ACCOUNT then assert.equal(0, wait) end
            if next == ENDPOINT then assert.is_true(wait <= backoff * 2 ^ (made - 1)) end
            if next == SAME then assert.is_true(wait >= retry_after) end
        end
    end)
end)
