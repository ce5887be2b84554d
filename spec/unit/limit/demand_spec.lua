local demand = require("sluice.limit.demand")
local price = require("sluice.ledger.price")
local refusal = require("sluice.limit.refusal")
local reservation = require("sluice.limit.reservation")

local function asked(reading, most, at)
    local made = reservation.take_reservation({ budget = {}, concurrent = 0 }, nil, nil, 0)
    demand.set_demand(made, reading, most, at)
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

    it("costs what its tokens cost", function()
        local made = asked({ api = "chat", written = 1, prompt_tokens = 100, output_cap = 10 }, nil, PRICE)
        assert.same({ 40000, 52000 }, { made.least_nano_usd, made.most_nano_usd })
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
        assert.equal(0, price.cost(nil, 1000, 0, 1000, 0))
        assert.equal(40000 + 12000, price.cost(PRICE, 100, 0, 10, 0))
        assert.equal(60 * 400 + 40 * 100 + 12000, price.cost(PRICE, 100, 40, 10, 0))
        assert.equal(100 * 100, price.cost(PRICE, 100, 1000, 0, 0))
        assert.equal(38, price.cost(price.make_price({ input = 0.0375, output = 0 }), 1, 0, 0, 0))
        -- What a double can't count exactly is not charged: the journal and the budget would differ.
        assert.equal(9007199254740991, price.cost(price.make_price({ input = 1000000, output = 1000000 }), 1e9, 0, 1e9, 0))
        assert.equal(375, price.cost(price.make_price({ input = 0.0375, output = 0 }), 10, 0, 0, 0))
        assert.equal(2000, price.cost(price.make_price({ input = 2, output = 0 }), 1, 1, 0, 0))
    end)
end)

describe("a refusal by a limit", function()
    local SCOPE = { title = "tenant acme" }

    local function refused(reason, wait, limit, seconds)
        return refusal.refuse_limit(SCOPE, { reason = reason, wait = wait, limit = limit or 100, seconds = seconds or 60 }, 42)
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
