local table_module = require("sluice.route.table")
local unknown = require("sluice.phases.unknown_names")

local function routes(...)
    local models = {}
    for index, name in ipairs({ ... }) do
        models[index] = { name = name, pool = "gpu", upstream_model = name }
    end
    return table_module.build(models, { gpu = { name = "gpu" } }, {
        make_price = function() end, upstreams_of = function() end, make_matcher = function() end,
    })
end

local function anybody() return true end

local function message_of(table, name, allows)
    local refusal = unknown.refuse_unknown_model(table, name, allows or anybody)
    assert.same({ 404, "invalid_request_error", "model_not_found", "model", false },
        { refusal.status, refusal.type, refusal.code, refusal.param, refusal.retry })
    return refusal.message
end

describe("the refusal of an unknown model", function()
    local ROUTES = routes("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "chat")

    for name, meant in pairs({
        ["gpt-4o-mni"] = "gpt-4o-mini", ["GPT-4o"] = "gpt-4o", ["claude-sonnet-4.5"] = "claude-sonnet-4-5", ["openai/gpt-4o"] = "gpt-4o",
        ["azure/eu/gpt-4o-mini"] = "gpt-4o-mini", chta = "chat",
    }) do
        it(("names %s and %s"):format(name, meant), function()
            assert.equal(("There is no model %s here. Did you mean %s?"):format(name, meant), message_of(ROUTES, name))
        end)
    end

    it("names no other where none is near", function()
        assert.equal("There is no model llama here. GET /v1/models lists those that you may use.", message_of(ROUTES, "llama"))
        assert.equal("There is no model chat here. GET /v1/models lists those that you may use.", message_of(routes(), "chat"))
    end)

    it("names only those that the caller may use", function()
        local function allows(name) return name == "gpt-4o" end
        assert.equal("There is no model gpt-4o-mni here. GET /v1/models lists those that you may use.",
            message_of(routes("gpt-4o-mini"), "gpt-4o-mni", allows))
        assert.equal("There is no model gpt-4o-mn here. Did you mean gpt-4o?", message_of(ROUTES, "gpt-4o-mn", allows))
        assert.equal("There is no model x/gpt-4o-mini here. GET /v1/models lists those that you may use.",
            message_of(ROUTES, "x/gpt-4o-mini", allows))
    end)

    it("does not repeat what can't be a model's name", function()
        for _, name in ipairs({ "a b", "chat\0", "\xff", "chat\n", ("a"):rep(129), "" }) do
            assert.truthy(message_of(ROUTES, name):find("There is no model of that name here.", 1, true), name)
        end
    end)

    it("takes no long time, however many models there are", function()
        local names = {}
        for index = 1, 5000 do
            names[index] = ("m"):rep(50) .. index
        end
        local asked = 0
        message_of(routes(unpack(names)), ("m"):rep(59), function() asked = asked + 1 return true end)
        assert.equal(1000, asked)
    end)
end)

describe("the refusal of an unknown path", function()
    for path, meant in pairs({
        ["/chat/completions"] = "/v1/chat/completions", ["/completions"] = "/v1/completions", ["/messages"] = "/v1/messages",
        ["/models"] = "/v1/models", ["/v1/v1/chat/completions"] = "/v1/chat/completions", ["/v1/v1/messages"] = "/v1/messages",
        ["/api/v1/responses/"] = "/v1/responses", ["/v1/chat/completion"] = "/v1/chat/completions", ["/v1/embedding"] = "/v1/embeddings",
        ["/v2/chat/completions"] = "/v1/chat/completions", ["/v1/chat/completions/x"] = "/v1/chat/completions",
    }) do
        it(("of %s names %s"):format(path, meant), function()
            local refusal = unknown.refuse_unknown_path(path)
            assert.same({ 404, "invalid_request_error", "unknown_url" }, { refusal.status, refusal.type, refusal.code })
            assert.equal(("There is nothing at this URL. Did you mean %s? What is served here begins with /v1, once."):format(meant), refusal.message)
        end)
    end

    it("says where the APIs are, if none is near", function()
        for _, path in ipairs({ "/", "/v1", "/v1/", "/metrics", "/v1/audio/speech", ("/a"):rep(4000), "" }) do
            assert.equal("There is nothing at this URL. What is served here begins with /v1, once.", unknown.refuse_unknown_path(path).message)
        end
    end)
end)
