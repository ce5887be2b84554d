local public_path = require("sluice.wire.public_path")

local function own(path)
    local found, model = public_path.own_path(path)
    return { found, model }
end

describe("a path of another form", function()
    for path, expected in pairs({
        ["/v1/chat/completions/"] = { "/v1/chat/completions" },
        ["/v1/messages/count_tokens/"] = { "/v1/messages/count_tokens" },
        ["/openai/v1/responses"] = { "/v1/responses" },
        ["/openai/v1/responses/input_tokens"] = { "/v1/responses/input_tokens" },
        ["/openai/v1/chat/completions/"] = { "/v1/chat/completions" },
        ["/openai/responses"] = { "/v1/responses" },
        ["/openai/models"] = { "/v1/models" },
        ["/openai/deployments/"] = { "/v1/deployments" },
        ["/openai/v1/models/a/b"] = { "/v1/models/a/b" },
        ["/openai/deployments/gpt-4o/chat/completions"] = { "/v1/chat/completions", "gpt-4o" },
        ["/openai/deployments/gpt-4o/chat/completions/"] = { "/v1/chat/completions", "gpt-4o" },
        ["/openai/deployments/gpt-4o/completions"] = { "/v1/completions", "gpt-4o" },
        ["/openai/deployments/e5/embeddings"] = { "/v1/embeddings", "e5" },
        ["/openai/deployments/org/model:tag@1/embeddings"] = { "/v1/embeddings", "org/model:tag@1" },
        ["/openai/deployments/[a-z]^_{|}~!#$/embeddings"] = { "/v1/embeddings", "[a-z]^_{|}~!#$" },
        ["/openai/deployments/" .. ("m"):rep(128) .. "/embeddings"] = { "/v1/embeddings", ("m"):rep(128) },
    }) do
        it("stands for one of the gateway's: " .. path:sub(1, 60), function()
            assert.same(expected, own(path))
        end)
    end

    it("stands for itself elsewhere", function()
        for _, path in ipairs({ "", "/", "/v1/responses", "/openai", "/OpenAI/v1/responses", "/x/openai/v1/responses" }) do
            assert.same({ path }, own(path))
        end
    end)

    it("stands for nothing without a name that a model can have", function()
        for _, path in ipairs({ "/openai/deployments/a", "/openai/deployments//embeddings", "/openai/deployments/embeddings",
            "/openai/deployments/a/responses", "/openai/deployments/a\n/embeddings", "/openai/deployments/a\127/embeddings",
            "/openai/deployments/\255/embeddings", "/openai/deployments/a b/embeddings",
            "/openai/deployments/\228\189\160/embeddings", '/openai/deployments/"/embeddings', "/openai/deployments/'/embeddings",
            [[/openai/deployments/\/embeddings]],
            "/openai/deployments/" .. ("m"):rep(129) .. "/embeddings" }) do
            assert.same({ "" }, own(path))
        end
    end)
end)

describe("Anthropic's API", function()
    it("is all that lies below its path", function()
        for _, path in ipairs({ "/v1/messages", "/v1/messages/", "/v1/messages/count_tokens", "/v1/messages/batches" }) do
            assert.is_true(public_path.is_of_messages(path))
        end
        for _, path in ipairs({ "", "/", "/v1/message", "/v1/messagesx", "/v1/models", "/v2/messages" }) do
            assert.is_false(public_path.is_of_messages(path))
        end
    end)
end)
