local json = require("sluice.wire.json")
local answer_shape = require("sluice.wire.answer_shape")
local usage = require("sluice.wire.usage")

-- What an answer's documents report, one after the other.
local function reported(api, ...)
    local total = { input = -1, cached_input = -1, output = -1 }
    local walk = json.walker(answer_shape.answer_shape(api), json.NO_SINK, nil)
    for _, document in ipairs({ ... }) do
        assert.is_nil(json.check(walk, document))
        usage.take_usage(total, walk.state, answer_shape.answer_slots(api, false))
    end
    return { total.input, total.cached_input, total.output }
end

describe("usage", function()
    for name, case in pairs({
        ["chat"] = { "chat", { 12, -1, 34 }, '{"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}' },
        ["chat with a cache"] = { "chat", { 12, 8, 34 },
            '{"usage":{"prompt_tokens":12,"completion_tokens":34,"prompt_tokens_details":{"cached_tokens":8}}}' },
        ["chat with details that are null"] = { "chat", { 12, -1, 34 },
            '{"usage":{"completion_tokens":34,"prompt_tokens":12,"prompt_tokens_details":null}}' },
        ["chat in which all is 0"] = { "chat", { 0, 0, 0 },
            '{"usage":{"prompt_tokens":0,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":0}}}' },
        ["chat of which each chunk reports the sum so far"] = { "chat", { 5, -1, 3 }, '{"usage":{"prompt_tokens":5,"completion_tokens":1}}',
            '{"usage":{"prompt_tokens":5,"completion_tokens":3}}' },
        ["chat followed by chunks with usage null"] = { "chat", { 5, -1, 3 }, '{"usage":{"prompt_tokens":5,"completion_tokens":3}}',
            '{"usage":null}', "{}" },
        ["chat without usage"] = { "chat", { -1, -1, -1 }, '{"choices":[]}' },
        ["chat in another place"] = { "chat", { -1, -1, -1 },
            '{"x":{"usage":{"prompt_tokens":5}},"prompt_tokens":6,"choices":[{"usage":{"prompt_tokens":7}}]}' },
        ["chat with figures that are no whole numbers"] = { "chat", { -1, -1, -1 },
            '{"usage":{"prompt_tokens":"12","completion_tokens":null,"prompt_tokens_details":{"cached_tokens":-1}}}' },
        ["chat with usage that is no object"] = { "chat", { -1, -1, -1 }, '{"usage":[{"prompt_tokens":5}]}' },
        ["completions"] = { "completions", { 1, -1, 2 }, '{"usage":{"prompt_tokens":1,"completion_tokens":2}}' },
        ["embeddings"] = { "embeddings", { 8, -1, -1 }, '{"usage":{"prompt_tokens":8,"total_tokens":8}}' },
        ["a response"] = { "responses", { 3, 1, 4 }, '{"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":4}}' },
        ["a response in an event"] = { "responses", { 3, 1, 4 },
            '{"response":{"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":4}}}' },
        ["a response's first event"] = { "responses", { -1, -1, -1 }, '{"response":{"id":"r","usage":null}}' },
        ["a message, cached tokens added"] = { "messages", { 60, 30, 4 },
            '{"usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":4}}' },
        ["a message without a cache"] = { "messages", { 10, -1, 4 }, '{"usage":{"input_tokens":10,"output_tokens":4}}' },
        ["a message whose cache figures are null"] = { "messages", { 10, -1, 4 },
            '{"usage":{"input_tokens":10,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":4}}' },
        ["a message that tells its output at the end"] = { "messages", { 60, 30, 89 },
            '{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_creation_input_tokens":20,'
                .. '"cache_read_input_tokens":30,"output_tokens":1}}}',
            '{"type":"content_block_delta","delta":{"text":"x"}}', '{"type":"message_delta","delta":{},"usage":{"output_tokens":89}}' },
        ["a message that tells everything again at the end"] = { "messages", { 70, 30, 89 },
            '{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_creation_input_tokens":20,'
                .. '"cache_read_input_tokens":30,"output_tokens":1}}}',
            '{"type":"message_delta","usage":{"input_tokens":20,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":89}}' },
    }) do
        it("of " .. name, function() assert.same(case[2], reported(case[1], select(3, unpack(case)))) end)
    end
end)
