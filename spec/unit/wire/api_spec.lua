local api = require("sluice.wire.api")

describe("the APIs", function()
    it("are found by their public paths", function()
        for path, name in pairs({
            ["/v1/chat/completions"] = "chat", ["/v1/completions"] = "completions", ["/v1/embeddings"] = "embeddings",
            ["/v1/responses"] = "responses", ["/v1/messages"] = "messages",
        }) do
            assert.equal(name, api.BY_PATH[path].name)
            assert.equal(path, api.BY_PATH[path].upstream_path)
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
            assert.is_nil(seen[entry.name])
            seen[entry.name] = entry.operation
        end
        assert.same({ chat = "chat", completions = "text_completion", embeddings = "embeddings", responses = "chat", messages = "chat" }, seen)
    end)
end)
