local new_dictionary = require("spec.unit.limit.dictionary_model").new
local usual = require("sluice.limit.usual_output")

local NOW = 1700000010

local function store(shared)
    return { dictionary = shared or new_dictionary(), process = 1, is_alive = function() return true end, mend = function() end }
end

local function told(at, model) return usual.usual_output(at.dictionary, "acme", model or "chat") end

-- What the histogram is to be: all outputs, the older ones counted for less.
local function reference(outputs, now)
    local sum = 0
    for _, each in ipairs(outputs) do
        each.weight = 2 ^ (-(now - each.at) / 3600)
        sum = sum + each.weight
    end
    table.sort(outputs, function(a, b) return a.tokens < b.tokens end)
    local below = 0
    for _, each in ipairs(outputs) do
        below = below + each.weight
        if below >= sum * 0.95 - 1e-6 * sum then return each.tokens end
    end
end

describe("what models usually write", function()
    it("is not known at first, nor for other tenants and models", function()
        local at = store()
        assert.equal(math.huge, told(at))
        usual.note_output(at, "acme", "chat", 320, NOW)
        assert.is_true(told(at) >= 320 and told(at) <= 384)
        assert.equal(math.huge, told(at, "other"))
        assert.equal(math.huge, usual.usual_output(at.dictionary, "other", "chat"))
    end)

    it("is what 95 of 100 do not pass, and a fifth more at most, as a plain reference has it", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("usual outputs: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        for round = 1, 60 do
            local at, outputs, now = store(), {}, NOW
            local spread = math.random(2, 17)
            for step = 1, math.random(1, 150) do
                now = now + math.random() ^ 4 * 3600
                local tokens = math.floor(2 ^ (math.random() * spread))
                usual.note_output(at, "acme", "chat", tokens, now)
                outputs[#outputs + 1] = { tokens = tokens, at = now }
                local exact, found = reference(outputs, now), told(at)
                local where = ("seed %d, round %d, step %d: %d of %d"):format(seed, round, step, found, exact)
                -- Weights are rounded: where the 95 of 100 lie on the edge of one output, the next one may be told.
                assert.is_true(found >= exact, where)
                local next_one = math.huge
                for _, each in ipairs(outputs) do
                    if each.tokens > exact then next_one = math.min(next_one, each.tokens) end
                end
                assert.is_true(found <= exact * 2 ^ 0.25 + 1 or found <= next_one * 2 ^ 0.25 + 1, where)
            end
        end
    end)

    it("follows a tenant whose answers get longer, or shorter", function()
        local at = store()
        for number = 1, 200 do usual.note_output(at, "acme", "chat", 300, NOW + number) end
        for number = 1, 20 do usual.note_output(at, "acme", "chat", 9000, NOW + 200 + number) end
        assert.is_true(told(at) >= 9000)
        for number = 1, 40 do usual.note_output(at, "acme", "chat", 300, NOW + 8 * 3600 + number) end
        assert.is_true(told(at) < 400)
    end)

    it("has no size that it can't tell", function()
        for _, tokens in ipairs({ 1, 2, 3, 4095, 4096, 4097, 1e6, 1e12, 9007199254740992 }) do
            local at = store()
            usual.note_output(at, "acme", "chat", tokens, NOW)
            assert.is_true(told(at) >= math.min(tokens, 4194304), tokens)
        end
    end)

    it("is not known where there is no room for it, and nothing is left locked", function()
        local at = store(new_dictionary(0))
        usual.note_output(at, "acme", "chat", 320, NOW)
        assert.equal(math.huge, told(at))
        local shared = new_dictionary()
        at = store(shared)
        usual.note_output(at, "acme", "chat", 320, NOW)
        assert.is_nil(shared.get("lock:acme"))
    end)
end)
