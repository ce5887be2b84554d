local demand = require("sluice.limit.demand")
local price = require("sluice.ledger.price")
local refusal = require("sluice.limit.refusal")
local reservation = require("sluice.limit.reservation")

local function asked(reading, most, at, usual)
    local made = reservation.take_reservation({ budget = {}, concurrent = 0 }, nil, nil, 0)
    demand.set_demand(made, reading, most, at, usual)
    return made
end

local PRICE = price.make_price({ input = 0.4, output = 1.2, cached_input = 0.1 })

describe("what a request may need", function()
    local function tokens(reading, most)
        reading.api, reading.written = reading.api or "chat", reading.written or 1
        reading.prompt_tokens = 100
        return asked(reading, most).tokens
    end

    it("is its input, and the output that the client allows, or else the model", function()
        assert.equal(110, tokens({ output_cap = 10 }, 50))
        assert.equal(150, tokens({ output_cap = 1000 }, 50))
        assert.equal(1100, tokens({ output_cap = 1000 }))
        assert.equal(150, tokens({}, 50))
        assert.equal(4196, tokens({}))
        -- Some servers take 0 for no cap at all.
        assert.equal(150, tokens({ output_cap = 0 }, 50))
        assert.equal(4196, tokens({ output_cap = 0 }))
        assert.equal(1e12, tokens({ output_cap = 9007199254740992 }))
    end)

    it("is never less than what the client has for thinking, and a token of an answer", function()
        assert.equal(201, tokens({ output_cap = 1000, thinking_budget = 100 }, 50))
        assert.equal(201, tokens({ thinking_budget = 100 }, 50))
        assert.equal(150, tokens({ output_cap = 1000, thinking_budget = 49 }, 50))
        assert.equal(151, tokens({ output_cap = 1000, thinking_budget = 50 }, 50))
        -- The client's own cap is not raised.
        assert.equal(120, tokens({ output_cap = 20, thinking_budget = 100 }, 50))
        assert.equal(1100, tokens({ output_cap = 1000, thinking_budget = 100 }))
    end)

    it("is as much again for each answer that is asked for", function()
        assert.equal(140, tokens({ output_cap = 10, written = 4 }))
        assert.equal(100, tokens({ output_cap = 10, written = 0 }))
    end)

    it("has no output if it is an embedding", function()
        assert.equal(100, tokens({ api = "embeddings", output_cap = 10 }, 50))
    end)

    it("is what is usual of the windows, and the cap of the money, where that is reserved", function()
        local function taken(usual, cap, written)
            local made = asked({ api = "chat", written = written or 1, prompt_tokens = 100, output_cap = cap }, nil, PRICE, usual)
            assert.equal(40000 + cap * (written or 1) * 1200, made.most_nano_usd)
            assert.equal(made.tokens - 100, demand.window_allowance(made))
            return made.tokens - 100
        end
        assert.equal(1000, taken(1000, 32000))
        assert.equal(3000, taken(1000, 32000, 3))
        -- At least 256, at most the cap; and the cap while nothing is known.
        assert.equal(256, taken(10, 32000))
        assert.equal(20, taken(10, 20))
        assert.equal(2000, taken(5000, 2000))
        assert.equal(32000, taken(math.huge, 32000))
        -- A page of what was made before has nothing written for it.
        assert.equal(0, taken(math.huge, 32000, 0))
        assert.equal(0, taken(1000, 32000, 0))
        assert.equal(math.huge, demand.window_allowance(asked({ api = "chat", written = 1, prompt_tokens = 100 })))
    end)

    it("is more, a few hundred tokens at a time, once an answer passes it, up to the cap and whatever is written", function()
        local made = asked({ api = "chat", written = 1, prompt_tokens = 100, output_cap = 1000 }, nil, nil, 300)
        assert.equal(256, demand.more_wanted(made, 301))
        assert.equal(400, demand.more_wanted(made, 700))
        made.more_tokens = 600
        assert.equal(100, demand.more_wanted(made, 901))
        made.more_tokens = 700
        assert.equal(7, demand.more_wanted(made, 1007))
    end)

    it("costs what its tokens cost", function()
        local made = asked({ api = "chat", written = 1, prompt_tokens = 100, output_cap = 10 }, nil, PRICE)
        assert.same({ 40000, 52000 }, { made.least_nano_usd, made.most_nano_usd })
    end)

    it("costs at most as if all of its input were written to the dearest cache", function()
        for prices, dearest in pairs({
            [{ input = 3, output = 1 }] = 3, [{ input = 3, output = 1, cached_input = 0.3 }] = 3,
            [{ input = 3, output = 1, cache_write = 3.75 }] = 3.75, [{ input = 3, output = 1, cache_write = 3.75, cache_write_1h = 6 }] = 6,
            [{ input = 3, output = 1, cached_input = 4 }] = 4, [{ input = 3, output = 1, cache_write_1h = 1 }] = 3,
        }) do
            local made = asked({ api = "messages", written = 1, prompt_tokens = 100, output_cap = 10 }, nil, price.make_price(prices))
            assert.same({ 100000 * dearest, 100000 * dearest + 10000 }, { made.least_nano_usd, made.most_nano_usd })
        end
    end)

    it("is bounded by the money that was left", function()
        local made = asked({ api = "chat", written = 1, prompt_tokens = 100, output_cap = 10 }, nil, PRICE)
        made.nano_usd = 52000
        assert.equal(10, demand.output_allowance(made))
        made.nano_usd = 51999
        assert.equal(9, demand.output_allowance(made))
        made.nano_usd = 40000
        assert.equal(0, demand.output_allowance(made))
        made.tenant = nil
        assert.equal(math.huge, demand.output_allowance(made))
        made.tenant = { budget = {} }
        made.price = price.make_price({ input = 1, output = 0 })
        assert.equal(math.huge, demand.output_allowance(made))
        made.price = nil
        assert.equal(math.huge, demand.output_allowance(made))
    end)
end)

describe("a request that another model takes over", function()
    local READING = { api = "chat", prompt_tokens = 100, written = 1 }

    it("costs what that one does, and keeps what was reserved", function()
        local made = asked(READING, 50, PRICE)
        made.nano_usd = made.most_nano_usd
        local tokens, before = made.tokens, made.nano_usd
        local dear = price.make_price({ input = 4, output = 12 })
        assert.equal(100 * 4000 + 70 * 12000 - before, demand.change_demand(made, READING, 70, dear))
        assert.equal(100 * 4000, made.least_nano_usd)
        assert.same({ tokens, before }, { made.tokens, made.nano_usd })
        -- What was reserved is not enough for its input.
        assert.equal(0, demand.output_allowance(made))
        made.nano_usd = made.most_nano_usd
        assert.equal(70, demand.output_allowance(made))
    end)

    it("needs no more money for one that is cheaper, or costs nothing", function()
        local made = asked(READING, 50, PRICE)
        made.nano_usd = made.most_nano_usd
        assert.equal(0, demand.change_demand(made, READING, 50, price.make_price({ input = 0.1, output = 0.1 })))
        assert.equal(100 * 100, made.least_nano_usd)
        assert.is_true(demand.output_allowance(made) > 50)
        assert.equal(0, demand.change_demand(made, READING, 50, nil))
        assert.equal(0, made.most_nano_usd)
        assert.equal(math.huge, demand.output_allowance(made))
    end)
end)

describe("a price", function()
    it("is in nano-dollars by the token, rounded at the end", function()
        local function cost(at, input, cached_input, output, cache_write, cache_write_1h)
            return price.cost(at, { input = input, cached_input = cached_input, output = output, cache_write = cache_write or 0,
                cache_write_1h = cache_write_1h or 0 }, 0)
        end
        assert.equal(0, cost(nil, 1000, 0, 1000))
        assert.equal(40000 + 12000, cost(PRICE, 100, 0, 10))
        assert.equal(60 * 400 + 40 * 100 + 12000, cost(PRICE, 100, 40, 10))
        assert.equal(100 * 100, cost(PRICE, 100, 1000, 0))
        assert.equal(38, cost(price.make_price({ input = 0.0375, output = 0 }), 1, 0, 0))
        -- What a double can't count exactly is not charged: the journal and the budget would differ.
        assert.equal(9007199254740991, cost(price.make_price({ input = 1000000, output = 1000000 }), 1e9, 0, 1e9))
        assert.equal(375, cost(price.make_price({ input = 0.0375, output = 0 }), 10, 0, 0))
        assert.equal(2000, cost(price.make_price({ input = 2, output = 0 }), 1, 1, 0))
        -- What is written to a cache.
        local anthropic = price.make_price({ input = 3, output = 15, cached_input = 0.3, cache_write = 3.75, cache_write_1h = 6 })
        assert.equal(10 * 3000 + 20 * 300 + 30 * 6000 + 40 * 3750 + 5 * 15000, cost(anthropic, 100, 20, 5, 70, 30))
        assert.equal(9007199254740991, cost(price.make_price({ input = 0, output = 0, cache_write_1h = 1000000 }), 1e9, 0, 0, 1e9, 1e9))
        -- Without a price of its own it costs what other input does; for an hour, what it does for minutes.
        assert.equal(100 * 400, cost(PRICE, 100, 0, 0, 70, 30))
        assert.equal(30 * 1000 + 70 * 2000, cost(price.make_price({ input = 1, output = 0, cache_write = 2 }), 100, 0, 0, 70, 30))
        assert.equal(30 * 2000 + 70 * 1000, cost(price.make_price({ input = 1, output = 0, cache_write_1h = 2 }), 100, 0, 0, 70, 30))
    end)
end)

describe("a refusal by a limit", function()
    local SCOPE = { title = "tenant acme" }

    local function refused(reason, wait, limit, seconds, prompt_tokens)
        return refusal.refuse_limit(SCOPE, { reason = reason, wait = wait, limit = limit or 100, seconds = seconds or 60 }, 42, prompt_tokens or 10)
    end

    it("says which limit, and when a retry can succeed", function()
        local made = refused(1, 1.2341)
        assert.same({ 429, "rate_limit_error", "rate_limit_exceeded", 1235, true },
            { made.status, made.type, made.code, made.retry_after_ms, made.retry })
        assert.equal("The limit of tenant acme, 100 requests in any minute, is reached.", made.message)
        assert.truthy(refused(2, 1, 5, 3600).message:find("5 tokens in any hour, is reached: this request may need 42", 1, true))
        assert.equal("tokens_exceeded", refused(2, 1).code)
        assert.equal("concurrency_exceeded", refused(3, 1).code)
    end)

    it("asks to wait for as long as its window at most", function()
        assert.equal(60000, refused(1, 119).retry_after_ms)
        assert.equal(3600000, refused(2, 3601, 100, 3600).retry_after_ms)
        assert.equal(59000, refused(2, 59).retry_after_ms)
        -- One for the concurrent requests has no window.
        assert.equal(1000, refused(3, 1, 5, 0).retry_after_ms)
    end)

    it("says of a request that is larger than the whole limit what would help", function()
        assert.equal("This request may need 42 tokens, more than the whole limit of tenant acme, 20 tokens in any minute: lower max_tokens.",
            refused(2, -1, 20).message)
        assert.equal("This request may need 42 tokens, more than the whole limit of tenant acme, 9 tokens in any hour: its prompt alone is too long.",
            refused(2, -1, 9, 3600).message)
    end)

    it("does not ask to wait for what never comes", function()
        local made = refused(2, -1)
        assert.is_false(made.retry)
        assert.is_nil(made.retry_after_ms)
        made = refused(4, -1)
        assert.same({ 429, "insufficient_quota", "budget_exceeded", false }, { made.status, made.type, made.code, made.retry })
        assert.is_nil(made.retry_after_ms)
    end)

    it("is the gateway's own fault if it can't count", function()
        local made = refused(5, 1)
        assert.same({ 503, "overloaded_error", "store_unavailable" }, { made.status, made.type, made.code })
    end)

    it("writes times as Anthropic does, none too early", function()
        assert.equal("1970-01-01T00:00:00Z", refusal.date_of(0))
        assert.equal("2023-11-14T22:13:31Z", refusal.date_of(1700000010.001))
    end)

    it("writes durations as OpenAI does", function()
        local cases = {
            [0] = "0ms", [0.0004] = "1ms", [0.25] = "250ms", [0.9995] = "1s", [0.999] = "999ms", [1] = "1s", [59.2] = "1m0s", [59] = "59s",
            [60] = "1m0s", [360] = "6m0s", [3599.5] = "1h0m0s", [3661] = "1h1m1s", [172800] = "48h0m0s",
        }
        for seconds, text in pairs(cases) do
            assert.equal(text, refusal.duration(seconds))
        end
    end)
end)
