local api = require("sluice.wire.api")

describe("the APIs", function()
    it("are found by their public paths", function()
        for path, name in pairs({
            ["/v1/chat/completions"] = "chat", ["/v1/completions"] = "completions", ["/v1/embeddings"] = "embeddings",
            ["/v1/responses"] = "responses", ["/v1/messages"] = "messages",
        }) do
            assert.equal(name, api.BY_PATH[path].name)
            assert.equal(path, api.BY_PATH[path].upstream_path)
            assert.equal(name, api.BY_PATH[path].service)
            assert.is_false(api.BY_PATH[path].counts)
        end
    end)

    it("count tokens by paths below those of their requests, as services of their own", function()
        for path, names in pairs({
            ["/v1/messages/count_tokens"] = { "messages", "count_messages" }, ["/v1/responses/input_tokens"] = { "responses", "count_responses" },
        }) do
            local entry = api.BY_PATH[path]
            assert.same(names, { entry.name, entry.service })
            assert.equal(path, entry.upstream_path)
            assert.is_true(entry.counts)
        end
    end)

    it("are not found by any other path", function()
        for _, path in ipairs({ "", "/", "/v1", "/v1/chat/completions/", "/V1/chat/completions", "/v1/models", "/chat/completions" }) do
            assert.is_nil(api.BY_PATH[path])
        end
    end)

    it("are named once each, with OpenTelemetry's name for what they do", function()
        local seen = {}
        for _, entry in ipairs(api.APIS) do
            assert.is_nil(seen[entry.service])
            seen[entry.service] = entry.operation
        end
        assert.same({
            chat = "chat", completions = "text_completion", embeddings = "embeddings", responses = "chat", messages = "chat",
            count_messages = "count_tokens", count_responses = "count_tokens",
        }, seen)
    end)
end)
