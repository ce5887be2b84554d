local cache_module = require("sluice.auth.token_cache")

local recall, remember = cache_module.recall_token, cache_module.remember_token

local function entry(valid_until) return { principal = {}, valid_until = valid_until, keys = {} } end

describe("the cache of tokens", function()
    it("forgets a token when it expires", function()
        local cache = cache_module.token_cache()
        local token = entry(100)
        remember(cache, "a", token)
        assert.equal(token, recall(cache, "a", 99.9))
        assert.is_nil(recall(cache, "a", 100))
    end)

    it("forgets an expired token in its older half, too", function()
        local cache = cache_module.token_cache(2)
        remember(cache, "a", entry(100))
        remember(cache, "b", entry(100))
        remember(cache, "c", entry(100))
        assert.is_nil(recall(cache, "a", 100))
    end)

    it("never holds more than two halves, and keeps what is in use", function()
        local cache = cache_module.token_cache(100)
        local used = entry(1000)
        remember(cache, "used", used)
        for index = 1, 5000 do
            remember(cache, "token-" .. index, entry(1000))
            if index % 50 == 0 then assert.equal(used, recall(cache, "used", 1)) end
        end
        local count = 0
        for _, half in ipairs({ cache.younger, cache.older }) do
            for _ in pairs(half) do count = count + 1 end
        end
        assert.is_true(count <= 200)
        assert.is_nil(recall(cache, "token-1", 1))
        assert.truthy(recall(cache, "token-5000", 1))
    end)

    it("forgets everything when told to", function()
        local cache = cache_module.token_cache(2)
        for _, name in ipairs({ "a", "b", "c" }) do remember(cache, name, entry(100)) end
        cache_module.forget_tokens(cache)
        for _, name in ipairs({ "a", "b", "c" }) do assert.is_nil(recall(cache, name, 1)) end
    end)
end)
