-- Models that name other models, and pools with Azure's API or more headers: what is right, and what is said where it is not.

local reading = require("spec.unit.config.reading")

local PIECES = {
    pools = "{name: gpu, endpoints: [{url: \"http://a\"}]}, {name: claude, api: anthropic, endpoints: [{url: \"http://b\"}]}, " ..
        "{name: azure, api: azure, endpoints: [{url: \"http://c\"}]}, {name: dated, api: azure, api_version: v1, endpoints: [{url: \"http://d\"}]}",
    models = "{name: small, pool: gpu}, {name: large, pool: gpu}, {name: opus, pool: claude}, {name: four, pool: azure}, " ..
        "{name: any, choose: [{use: small}]}",
}

-- The problems of a configuration with one model more, or one pool more, without the file and the line.
local function problems(model, pool)
    local configuration, lines = reading.load(reading.text({
        models = "models: [" .. PIECES.models .. (model and ", " .. model or "") .. "]\n",
        pools = "pools: [" .. PIECES.pools .. (pool and ", " .. pool or "") .. "]\n",
    }))
    local found = {}
    for index, line in ipairs(lines) do
        found[index] = line:gsub("^.-: ", "", 1):gsub(" %(line %d+%)$", "")
    end
    return found, configuration
end

local function model_problem(model)
    local found = problems(model)
    assert.equal(1, #found, model .. "\n" .. table.concat(found, "\n"))
    return found[1]
end

local function pool_problem(pool)
    local found = problems(nil, pool)
    assert.equal(1, #found, pool .. "\n" .. table.concat(found, "\n"))
    return found[1]
end

describe("A fallback", function()
    it("may be any model whose pool takes the same requests, of any number, in a circle too", function()
        for _, model in ipairs({
            "{name: a, pool: gpu, fallback: []}", "{name: a, pool: gpu, fallback: [small, four, large]}", "{name: a, pool: azure, fallback: [small]}",
            "{name: a, pool: gpu, fallback: [b]}, {name: b, pool: gpu, fallback: [a]}", "{name: a, pool: claude, fallback: [opus]}",
        }) do
            assert.same({}, (problems(model)), model)
        end
    end)

    it("is refused where it could not serve", function()
        assert.equal("models[5].fallback[0]: expected the name of a model, found \"smal\"; did you mean small?",
            model_problem("{name: a, pool: gpu, fallback: [smal]}"))
        assert.equal("models[5].fallback[1]: expected another model, found the one itself",
            model_problem("{name: a, pool: gpu, fallback: [small, a]}"))
        assert.equal("models[5].fallback[2]: expected another model, found the one of models[5].fallback[0]",
            model_problem("{name: a, pool: gpu, fallback: [small, large, small]}"))
        assert.equal("models[5].fallback[0]: expected a model with a pool, found any, which is a rule",
            model_problem("{name: a, pool: gpu, fallback: [any]}"))
        for _, case in ipairs({ { "gpu", "opus", "openai", "anthropic" }, { "claude", "small", "anthropic", "openai" },
            { "azure", "opus", "azure", "anthropic" } }) do
            assert.equal(("models[5].fallback[0]: expected a model whose pool speaks %s too, " ..
                "since it gets the same request; the pool of %s speaks %s")
                :format(case[3], case[2], case[4]), model_problem(("{name: a, pool: %s, fallback: [%s]}"):format(case[1], case[2])))
        end
    end)
end)

describe("A model that is a rule", function()
    it("has no pool, and no members that go with one", function()
        assert.equal("models[5]: expected only one of pool or choose, found 2", model_problem("{name: a, pool: gpu, choose: [{use: small}]}"))
        for _, member in ipairs({ "upstream_model: b", "max_output_tokens: 1", "price: {input: 1, output: 1}", "fallback: [small]" }) do
            assert.equal(("models[5].%s: goes with a pool; the models that are chosen have their own"):format(member:match("^[%w_]+")),
                model_problem("{name: a, choose: [{use: small}], " .. member .. "}"))
        end
        local _, configuration = problems("{name: a, choose: [{use: small}]}")
        assert.is_nil(configuration.models[6].pool)
    end)

    it("chooses models that have one", function()
        assert.equal("models[5].choose[0].use: expected the name of a model, found \"smal\"; did you mean small?",
            model_problem("{name: a, choose: [{use: smal}]}"))
        for _, name in ipairs({ "a", "any" }) do
            assert.equal("models[5].choose[0].use: expected a model with a pool, found " .. name .. ", which is a rule",
                model_problem("{name: a, choose: [{use: " .. name .. "}]}"))
        end
    end)

    it("has conditions in all rules but the last", function()
        assert.equal("models[5].choose[0].when: is missing; expected conditions, since other rules follow",
            model_problem("{name: a, choose: [{use: small}, {use: large}]}"))
        assert.equal("models[5].choose[0].when: is one too many; expected a last rule without conditions, which holds for all other requests",
            model_problem("{name: a, choose: [{when: {stream: true}, use: small}]}"))
        assert.matches("^models%[5%]%.choose%[0%]%.when: is missing prompt_tokens_below or stream or",
            model_problem("{name: a, choose: [{when: {}, use: small}, {use: large}]}"))
        assert.matches("^models%[5%]%.choose: expected a list of at least 1", model_problem("{name: a, choose: []}"))
    end)

    it("has conditions that can be told", function()
        for condition, expected in pairs({
            ["hours: \"6-8\""] = "hours: expected two times of day in UTC, such as 22:00-06:00",
            ["hours: \"06:00-06:00\""] = "hours: expected two different times of day",
            ["days: [monday]"] = "days[0]: expected one of mon, tue", ["days: []"] = "days: expected a list of at least 1",
            ["tenants: []"] = "tenants: expected a list of at least 1", ["prompt_tokens_below: 0"] = "prompt_tokens_below: expected a whole number",
            ["header: {name: X-Tier}"] = "header.values: is missing",
            ["header: {name: Authorization, values: [a]}"] = "header.name: expected a header that carries no credential",
            ["stream: yes"] = "stream: expected true or false", ["stream: true, weather: fine"] = "weather: unknown member",
        }) do
            local found = model_problem("{name: a, choose: [{when: {" .. condition .. "}, use: small}, {use: large}]}")
            assert.equal(1, (found:find("models[5].choose[0].when." .. expected, 1, true)), found)
        end
    end)
end)

describe("A pool of Azure's", function()
    it("is refused if the paths would not be right", function()
        assert.equal("pools[4].endpoints[0].url: expected a base without /openai at its end; it is added to it",
            pool_problem("{name: p, api: azure, endpoints: [{url: \"http://e/openai/\"}]}"))
        assert.equal("pools[4].api_version: goes with api: azure, not with openai",
            pool_problem("{name: p, api_version: v1, endpoints: [{url: \"http://e\"}]}"))
        assert.matches("^pools%[4%]%.api_version: expected 1 to 64 letters",
            pool_problem("{name: p, api: azure, api_version: \"v1&a=b\", endpoints: [{url: \"http://e\"}]}"))
    end)

    it("with a dated version has deployments whose names can stand in a path", function()
        assert.same({}, (problems("{name: gpt-4.o_, pool: dated}, {name: b/c, pool: dated, upstream_model: four}, {name: c/d, pool: azure}")))
        for _, name in ipairs({ "a/b", "..", "a?b", "a#b", "a%2fb", "a&b" }) do
            local told = ": expected the name of a deployment: letters, digits, dots, underscores and hyphens, since it stands in a path"
            assert.equal("models[5].upstream_model" .. told, model_problem(("{name: a, pool: dated, upstream_model: \"%s\"}"):format(name)))
            assert.equal("models[5].name" .. told, model_problem(("{name: \"%s\", pool: dated}"):format(name)))
        end
    end)
end)

describe("The headers of a pool", function()
    local function pool(headers) return "{name: p, headers: {" .. headers .. "}, endpoints: [{url: \"http://e\"}]}" end

    it("may have values with spaces, and from the environment, where an empty one is left out", function()
        local found, configuration = problems(nil, pool("OpenAI-Organization: org 1, X-Empty: \"${EMPTY:-}\", X-Given: \"${GIVEN:-two}\""))
        assert.same({}, found)
        assert.same({ ["OpenAI-Organization"] = "org 1", ["X-Given"] = "two" }, configuration.pools[5].headers)
    end)

    it("can't bring in other lines, nor what Sluice sets itself, nor a name twice", function()
        assert.equal("pools[4].headers.X-Canary: expected a header's value of 1 to 4096 printable ASCII characters, " ..
            "without spaces at its ends, found another value",
            pool_problem(pool("X-Canary: \"a\\r\\nAuthorization: b\"")))
        for _, name in ipairs({ "Host", "authorization", "CONTENT-LENGTH", "User-Agent", "Api-Key", "transfer-encoding" }) do
            assert.equal(("pools[4].headers.%s: expected another header than those that Sluice sets itself"):format(name),
                pool_problem(pool(name .. ": a")))
        end
        for _, name in ipairs({ "a b", "a:b", "a\\r\\nb", "", "é" }) do
            assert.matches("expected a header's name: letters, digits and hyphens$", pool_problem(pool("\"" .. name .. "\": a")))
        end
        assert.equal("pools[4].headers.x-one: expected another name, found that of X-One", pool_problem(pool("X-One: a, x-one: b")))
    end)
end)

describe("A breaker's share", function()
    it("is a half unless the pool says otherwise, above nothing and at most one", function()
        local _, configuration = problems(nil, "{name: other, breaker: {share: 0.8}, endpoints: [{url: \"http://e\"}]}")
        assert.equal(0.5, configuration.pools[1].breaker.share)
        assert.equal(0.8, configuration.pools[#configuration.pools].breaker.share)
        for _, share in ipairs({ "0", "1.5", "-1", "half" }) do
            local pool = ("{name: other, breaker: {share: %s}, endpoints: [{url: \"http://e\"}]}"):format(share)
            assert.matches("^pools%[4%]%.breaker%.share: expected ", pool_problem(pool))
        end
    end)
end)

describe("Other attempts", function()
    it("can't be asked for after 501 and 505, which are about the request", function()
        for _, status in ipairs({ 501, 505 }) do
            assert.matches("^pools%[4%]%.retries%.on%[1%]: expected ",
                pool_problem(("{name: other, retries: {on: [500, %d]}, endpoints: [{url: \"http://e\"}]}"):format(status)))
        end
    end)
end)

describe("A pool's base_path", function()
    it("is a path that begins with a slash and does not end with one, or empty", function()
        for _, path in ipairs({ "/api/v3", "/v1beta/openai", "\"\"" }) do
            local found, configuration = problems(nil, ("{name: p, base_path: %s, endpoints: [{url: \"http://e/base\"}]}"):format(path))
            assert.same({}, found)
            assert.equal((path:gsub("\"", "")), configuration.pools[5].base_path)
        end
        for _, path in ipairs({ "v3", "/v3/", "/", "/a?b", "/../b" }) do
            assert.matches("^pools%[4%]%.base_path: expected a path such as /api/v3",
                pool_problem(("{name: p, base_path: \"%s\", endpoints: [{url: \"http://e\"}]}"):format(path)))
        end
    end)

    it("is not for Azure's API", function()
        assert.equal("pools[4].base_path: goes with other APIs; the paths of azure follow from api_version",
            pool_problem("{name: p, api: azure, base_path: /v1, endpoints: [{url: \"http://e\"}]}"))
    end)

    it("is where warming up goes, unless that has a path of its own", function()
        for more, path in pairs({ [""] = "/v1/chat/completions", ["base_path: /api/v3, "] = "/api/v3/chat/completions",
            ["base_path: \"\", "] = "/chat/completions" }) do
            local pool = "{name: p, " .. more .. "warmup: {body_file: b.json}, endpoints: [{url: \"http://e\"}]}"
            local _, configuration = problems(nil, pool)
            assert.equal(path, configuration.pools[5].warmup.path)
        end
    end)
end)

describe("An endpoint's URL", function()
    local function told(url, more) return (problems(nil, ("{name: p, %sendpoints: [{url: \"https://e%s\"}]}"):format(more or "", url)))[1] end

    it("that ends in a version is told of, with what to do", function()
        for url, version in pairs({
            ["/api/v3"] = "/v3", ["/api/paas/v4/"] = "/v4", ["/v2"] = "/v2", ["/v1beta"] = "/v1beta", ["/v1beta1"] = "/v1beta1",
            ["/v1beta/openai"] = "/v1beta/openai", ["/v1beta/openai/"] = "/v1beta/openai", ["/v10"] = "/v10", ["/v1.1"] = "/v1.1",
        }) do
            assert.equal(("pools[4].endpoints[0].url: expected a base without %s at its end; the API's path, which begins with /v1, is added to it; "
                .. "put %s into the pool's base_path, which stands in its place"):format(version, version), told(url))
            assert.equal(("pools[4].endpoints[0].url: expected a base without %s at its end; the pool's base_path, which is /v5, is added to it")
                :format(version), told(url, "base_path: /v5, "))
            assert.is_nil(told(url, "base_path: \"\", "))
        end
        assert.equal("pools[4].endpoints[0].url: expected a base without /v1 at its end; the API's path, which begins with /v1, is added to it",
            told("/openai/v1"))
    end)

    it("may have one elsewhere, and names that only look like one", function()
        for _, url in ipairs({ "", "/openai", "/v4/account/gateway", "/v100", "/gpu-v3", "/av3", "/vllm", "/v", "/versions" }) do
            assert.is_nil(told(url), url)
        end
    end)
end)

describe("A model's name", function()
    it("has no * in it, whether it has a pool or is a rule", function()
        for _, name in ipairs({ "*", "anthropic/*", "a*b" }) do
            for _, more in ipairs({ "pool: gpu", "choose: [{use: small}]" }) do
                assert.equal("models[5].name: expected a name without *, which stands for nothing here: list each model by its name",
                    model_problem(("{name: \"%s\", %s}"):format(name, more)))
            end
        end
    end)
end)

describe("The client's headers that go on", function()
    local function pool(members) return "{name: p, " .. members .. ", endpoints: [{url: \"http://e\"}]}" end

    it("are named by the pool, and are none that must not", function()
        local found, configuration = problems(nil, pool("forward_headers: [X-OpenCode-Session, HTTP-Referer], forward_client_ip: true"))
        assert.same({}, found)
        assert.same({ "X-OpenCode-Session", "HTTP-Referer" }, configuration.pools[5].forward_headers)
        assert.is_true(configuration.pools[5].forward_client_ip)
        for name, told in pairs({
            ["Authorization"] = "expected a header that carries no credential", ["x-api-key"] = "expected a header that carries no credential",
            ["x_opencode_session"] = "expected the name of a header", ["X_API_KEY"] = "expected the name of a header",
            ["x-goog-api-key"] = "expected a header that clients may set", ["X-Forwarded-For"] = "expected a header that clients may set",
            ["Content-Type"] = "expected another header than those that Sluice sets itself",
            ["X-Sluice-Model"] = "expected a header that clients may set", ["OpenAI-Organization"] = "expected a header that clients may set",
        }) do
            local problem = pool_problem(pool("forward_headers: [accept, " .. name .. "]"))
            assert.equal(1, (problem:find("pools[4].forward_headers[1]: " .. told, 1, true)), problem)
        end
    end)

    it("are set by nothing else", function()
        assert.equal("pools[4].forward_headers[1]: expected another name, found that of pools[4].forward_headers[0]",
            pool_problem(pool("forward_headers: [X-One, x-one]")))
        assert.equal("pools[4].forward_headers[0]: expected another name, found that of pools[4].headers.x-one",
            pool_problem(pool("headers: {x-one: a}, forward_headers: [X-One]")))
        assert.equal("pools[4].forward_client_ip: expected no x-real-ip among the pool's headers, since this sets it",
            pool_problem(pool("headers: {X-Real-IP: a}, forward_client_ip: true")))
    end)
end)

describe("Endpoints of one pool", function()
    local KEYS = "keys: [{id: %s, secret: s}]"
    local function pool(first, second, more)
        return ("{name: p, %sendpoints: [{url: \"http://e\", %s}, {%s}]}"):format(more or "", first, second)
    end

    it("may have names for the model and keys of their own, at one URL too", function()
        local found, configuration = problems(nil,
            pool("upstream_model: a, " .. KEYS:format("one"), "url: \"http://e\", upstream_model: b, " .. KEYS:format("two")))
        assert.same({}, found)
        assert.equal("b", configuration.pools[5].endpoints[2].upstream_model)
        assert.same({ { id = "two", secret = "s", weight = 1 } }, configuration.pools[5].endpoints[2].keys)
        assert.equal("pools[4].endpoints[1].url: expected another url, found the one of pools[4].endpoints[0]",
            pool_problem(pool("upstream_model: a, " .. KEYS:format("one"), "url: \"http://e/\", upstream_model: a")))
    end)

    it("have keys whose ids are their own in all of the pool", function()
        assert.equal("pools[4].endpoints[0].keys[0].id: expected another id, found the one of pools[4].keys[0]",
            pool_problem(pool(KEYS:format("one"), "url: \"http://f\"", "keys: [{id: one, secret: s}], ")))
        assert.equal("pools[4].endpoints[1].keys[0].id: expected another id, found the one of pools[4].endpoints[0].keys[0]",
            pool_problem(pool(KEYS:format("one"), "url: \"http://f\", " .. KEYS:format("one"))))
        assert.equal("pools[4].keys[1].id: expected another id, found the one of pools[4].keys[0]",
            pool_problem("{name: p, keys: [{id: one, secret: s}, {id: one, secret: t}], endpoints: [{url: \"http://e\"}]}"))
        assert.equal("pools[4].keys: serve nobody, since each endpoint has keys of its own",
            pool_problem(pool(KEYS:format("one"), "url: \"http://f\", " .. KEYS:format("two"), "keys: [{id: three, secret: s}], ")))
        assert.matches("^pools%[4%]%.endpoints%[0%]%.keys: expected a list of at least 1", pool_problem(pool("keys: []", "url: \"http://f\"")))
    end)

    it("of Azure's dated API have names that can stand in a path; then the model's need not", function()
        local azure = "{name: p, api: azure, api_version: v1, endpoints: [{url: \"http://e\", upstream_model: %s}%s]}"
        assert.equal("pools[4].endpoints[0].upstream_model: expected the name of a deployment: letters, digits, dots, underscores and hyphens, "
            .. "since it stands in a path", pool_problem(azure:format("a/b", "")))
        assert.same({}, (problems("{name: \"a/b\", pool: p}", azure:format("c", ""))))
        local found = problems("{name: \"a/b\", pool: p}", azure:format("c", ", {url: \"http://f\"}"))
        assert.matches("^models%[5%]%.name: expected the name of a deployment", found[1])
    end)

    it("get stream_options unless the pool says never", function()
        local _, configuration = problems(nil, "{name: p, stream_options: never, endpoints: [{url: \"http://e\"}]}")
        assert.equal("never", configuration.pools[5].stream_options)
        assert.equal("include_usage", configuration.pools[1].stream_options)
        assert.matches("^pools%[4%]%.stream_options: expected one of include_usage, never",
            pool_problem("{name: p, stream_options: always, endpoints: [{url: \"http://e\"}]}"))
    end)
end)
