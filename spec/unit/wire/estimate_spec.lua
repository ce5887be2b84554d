local estimate = require("sluice.wire.estimate")
local json = require("sluice.wire.json")
local shape = require("sluice.wire.shape")

local TEXT = shape.compile({ text = true, items = { text = true } })

local function tokens(...)
    local total = estimate.new_estimate()
    local walk = json.walker(TEXT, estimate.ESTIMATOR, total)
    for _, text in ipairs({ ... }) do
        assert.is_nil(json.check(walk, json.encode_string(text)))
    end
    return estimate.tokens(total)
end

describe("the estimate", function()
    it("of nothing is nothing", function()
        assert.equal(0, tokens())
        assert.equal(0, tokens(""))
    end)

    it("of any character at all is at least 1", function()
        for code = 1, 126 do
            assert.equal(1, tokens(string.char(code)))
        end
        assert.equal(1, tokens("\228\189\160"))
        assert.equal(1, tokens("\240\159\152\128"))
    end)

    -- What tokenizers of 100,000 to 200,000 entries make of these texts, with room for their differences.
    for name, case in pairs({
        ["English"] = { ("The quick brown fox jumps over the lazy dog. "):rep(20), 170, 240 },
        ["Chinese"] = { ("\228\187\138\229\164\169\229\164\169\230\176\148\229\190\136\229\165\189\239\188\140"):rep(20), 60, 150 },
        ["code"] = { ("for (let i = 0; i < n; i++) { sum += a[i]; }\n"):rep(20), 350, 650 },
        ["digits"] = { ("1234567890"):rep(20), 50, 100 },
        ["Russian"] = { ("\208\191\209\128\208\184\208\178\208\181\209\130 "):rep(20), 30, 120 },
    }) do
        it("of " .. name .. " is near the truth", function()
            local counted = tokens(case[1])
            assert.is_true(counted >= case[2] and counted <= case[3], counted)
        end)
    end

    it("grows with each text", function()
        assert.is_true(tokens("Hello world", "Hello world") > tokens("Hello world"))
    end)

    it("is the same for text that is written with escapes", function()
        local function of(document)
            local total = estimate.new_estimate()
            local walk = json.walker(TEXT, estimate.ESTIMATOR, total)
            assert.is_nil(json.check(walk, document))
            return total.cost, total.characters
        end
        assert.same({ of('"Hi \228\189\160\240\159\152\128!"') }, { of([["\u0048i \u4f60\ud83d\ude00\u0021"]]) })
    end)

    it("goes back to nothing", function()
        local total = estimate.new_estimate()
        local walk = json.walker(TEXT, estimate.ESTIMATOR, total)
        json.check(walk, '"Hello"')
        assert.equal(5, total.characters)
        estimate.clear(total)
        assert.equal(0, estimate.tokens(total))
        assert.equal(0, total.characters)
    end)

    it("of 32 MB of the dearest text is still a number above nothing", function()
        local total = estimate.new_estimate()
        local walk = json.walker(TEXT, estimate.ESTIMATOR, total)
        local slice = ("1 "):rep(65536)
        json.feed(walk, json.bytes_of('"'), 0, 1)
        for _ = 1, 256 do
            json.feed(walk, json.bytes_of(slice), 0, #slice)
        end
        assert.equal(33554432, total.characters)
        assert.is_true(estimate.tokens(total) > 33554432 / 4)
    end)
end)
