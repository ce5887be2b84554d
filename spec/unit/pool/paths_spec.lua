local paths = require("sluice.pool.paths")
local pools = require("sluice.pool.pools")
local slots_module = require("sluice.pool.slots")

local APIS = {}
for _, api in ipairs(require("sluice.wire.api").APIS) do
    APIS[#APIS + 1] = { service = api.service, upstream_path = api.upstream_path }
end

local function pool(more)
    local configuration = {
        name = "cloud", api = "azure", keys = { { id = "one", secret = "s1", weight = 1 } }, headers = {},
        endpoints = { { url = "u", scheme = "https", host = "me.openai.azure.com", port = 443, path = "/base", weight = 1 } },
        timeouts = { connect = 1, send = 1, read = 1, total = 1 }, balance = "round_robin",
        retries = { attempts = 3, on = {}, backoff = 200 }, breaker = { failures = 5, window = 10000, open = 15000, share = 0.5 },
        queue = { max_waiting = 100, timeout = 10000 },
    }
    for name, value in pairs(more or {}) do configuration[name] = value end
    local built, problems = pools.build({ configuration }, APIS, slots_module.new_slots(), 0)
    assert.same({}, problems)
    return built.cloud
end

describe("a pool of Azure's", function()
    it("has OpenAI's paths behind /openai, and none of Anthropic's", function()
        assert.same({
            chat = "https://sluice_tls_0/base/openai/v1/chat/completions",
            completions = "https://sluice_tls_0/base/openai/v1/completions",
            embeddings = "https://sluice_tls_0/base/openai/v1/embeddings",
            responses = "https://sluice_tls_0/base/openai/v1/responses",
            count_responses = "https://sluice_tls_0/base/openai/v1/responses/input_tokens",
        }, pool().endpoints[1].upstream)
        assert.is_nil(paths.deployment_upstreams(pool(), "gpt-4o"))
    end)

    it("with a dated version has a path for each deployment, and no responses", function()
        local made = pool({ api_version = "2024-10-21" })
        assert.same({}, made.endpoints[1].upstream)
        local base = "https://sluice_tls_0/base/openai/deployments/gpt-4o.eu/"
        assert.same({ {
            chat = base .. "chat/completions?api-version=2024-10-21",
            completions = base .. "completions?api-version=2024-10-21",
            embeddings = base .. "embeddings?api-version=2024-10-21",
        } }, paths.deployment_upstreams(made, "gpt-4o.eu"))
    end)

    it("with a dated version has the path of an endpoint's own deployment, where that has one", function()
        local made = pool({ api_version = "v", endpoints = {
            { url = "u", scheme = "https", host = "a", port = 443, path = "", weight = 1, upstream_model = "own" },
            { url = "v", scheme = "https", host = "a", port = 443, path = "", weight = 1 },
        } })
        local upstreams = paths.deployment_upstreams(made, "usual")
        assert.matches("/deployments/own/chat/", upstreams[1].chat)
        assert.matches("/deployments/usual/chat/", upstreams[2].chat)
    end)

    it("sends its accounts' keys as they are, in a header of their own", function()
        assert.same({ { id = "one", authorization = "", x_api_key = "", api_key = "s1", weight = 1 } }, pool().accounts)
    end)

    it("takes names of deployments that need no escape", function()
        for _, name in ipairs({ "gpt-4o", "a", "GPT_4.1", "..a", "a.." }) do
            assert.is_true(paths.is_deployment_name(name), name)
        end
        for _, name in ipairs({ "", ".", "..", "...", "a/b", "a?b", "a#b", "a%2fb", "a b", "a&b", "a\r\nb", "a;b", "é", "../a" }) do
            assert.is_false(paths.is_deployment_name(name), name)
        end
    end)
end)

describe("A pool with a base path", function()
    it("has it in place of /v1, behind the path of the endpoint's URL", function()
        for base, expected in pairs({ ["/api/v3"] = "/base/api/v3", ["/v1beta/openai"] = "/base/v1beta/openai", [""] = "/base" }) do
            local upstream = pool({ api = "openai", base_path = base }).endpoints[1].upstream
            for _, api in ipairs(APIS) do
                assert.equal("https://sluice_tls_0" .. expected .. api.upstream_path:sub(4), upstream[api.service])
            end
        end
    end)
end)

describe("APIs of pools", function()
    it("are two families", function()
        assert.equal(paths.family_of("openai"), paths.family_of("azure"))
        assert.are_not.equal(paths.family_of("openai"), paths.family_of("anthropic"))
    end)

    it("are left alone where they are not Azure's", function()
        for _, api in ipairs({ "openai", "anthropic" }) do
            local made = pool({ api = api })
            assert.equal("https://sluice_tls_0/base/v1/messages", made.endpoints[1].upstream.messages)
            assert.equal("https://sluice_tls_0/base/v1/chat/completions", made.endpoints[1].upstream.chat)
            assert.is_nil(paths.deployment_upstreams(made, "chat"))
        end
    end)
end)
