local answer = require("sluice.wire.answer")
local status_of_error = require("sluice.wire.error_status").status_of_error

describe("the status that an error stands for", function()
    for _, case in ipairs({
        { "400", "", "", 400 }, { "422", "", "BadRequestError", 422 }, { "500", "", "invalid_request_error", 500 }, { "503", "", "", 503 },
        { "4e2", "", "", 400 }, { "200", "", "", 0 }, { "600", "", "", 0 }, { "", "", "", 0 }, { "-400", "", "", 0 }, { "nonsense", "", "", 0 },
        { "", "400", "", 400 }, { "nonsense", "INVALID_ARGUMENT", "", 400 }, { "", "UNAVAILABLE", "invalid_request_error", 503 },
        { "", "", "invalid_request_error", 400 }, { "", "", "authentication_error", 401 }, { "", "", "billing_error", 402 },
        { "", "", "permission_error", 403 }, { "", "", "not_found_error", 404 }, { "", "", "request_too_large", 413 },
        { "", "", "rate_limit_error", 429 }, { "", "", "api_error", 500 }, { "", "", "timeout_error", 504 }, { "", "", "overloaded_error", 529 },
        { "invalid_prompt", "", "", 400 }, { "context_length_exceeded", "", "invalid_request_error", 400 }, { "server_error", "", "", 500 },
        { "rate_limit_exceeded", "", "", 429 }, { "", "", "BadRequestError", 400 }, { "", "", "InternalServerError", 500 },
        { "", "", "not_supported_error", 501 },
    }) do
        local code, status, kind, wanted = unpack(case)
        it(("code %q, status %q, type %q: %d"):format(code, status, kind, wanted), function()
            assert.equal(wanted, status_of_error(code, status, kind))
        end)
    end
end)

describe("an error event", function()
    local NO_MESSAGE = '{"error":{"message":"%s","code":400}}'

    -- The API, the event, and the status; nil: it is no error.
    for _, case in ipairs({
        { "chat", '{"error":{"message":"bad schema","type":"BadRequestError","param":null,"code":400}}', 400 },
        { "chat", '{"error":{"message":"a","code":"400"}}', 400 },
        { "chat", '{"error":{"message":"a","status":404,"code":null}}', 404 },
        { "chat", '{"error":{"message":"a","type":"invalid_request_error","code":null}}', 400 },
        { "chat", '{"error":{"code":500,"message":"a","type":"server_error"}}', 500 },
        { "chat", '{"error":{"message":"a","metadata":{"code":400,"type":"invalid_request_error"}}}', 0 },
        { "chat", '{"error":{"message":"\\"code\\":400,\\"type\\":\\"invalid_request_error\\""}}', 0 },
        { "chat", '{"error":{"code":{"code":400}}}', 0 },
        { "chat", '{"error":"it went wrong","code":400}', 0 },
        { "chat", '{"error":null,"code":400,"choices":[]}', nil },
        { "completions", '{"error":{"code":400}}', 400 },
        { "messages", '{"type":"error","error":{"type":"invalid_request_error","message":"a"}}', 400 },
        { "messages", '{"type":"error","error":{"type":"overloaded_error","message":"a"}}', 529 },
        { "responses", '{"type":"error","code":"invalid_prompt","message":"a","param":null,"sequence_number":1}', 400 },
        { "responses", '{"type":"error","code":"server_error","message":"a","param":null,"sequence_number":1}', 500 },
        { "responses", '{"type":"response.code_interpreter_call_code.done","code":"400"}', nil },
        { "responses", '{"error":{"message":"a","type":"BadRequestError","code":400}}', 400 },
        { "responses", '{"type":"response.failed","response":{"id":"r","error":{"code":"invalid_prompt","message":"a"}}}', 400 },
        { "responses", '{"type":"response.failed","response":{"id":"r","error":{"code":"server_error","message":"a"}}}', 500 },
        { "responses", '{"type":"response.failed","response":{"id":"r","error":null}}', 0 },
        { "responses", '{"type":"response.completed","response":{"id":"r","error":null}}', nil },
        -- Older vLLM, FastChat, Mistral.
        { "chat", '{"object":"error","message":"a","type":"BadRequestError","param":null,"code":400}', 400 },
        { "chat", '{"object":"error","message":"a","type":"invalid_request_error","code":null}', 400 },
        { "chat", '{"object":"error","message":"a"}', 0 },
        { "completions", '{"object":"error","message":"a","code":503}', 503 },
        { "chat", '{"object":"error","choices":[{"index":0,"delta":{"content":"a"}}]}', nil },
        { "chat", '{"object":"chat.completion.chunk","type":"error","code":400,"usage":{"prompt_tokens":1}}', nil },
        { "chat", '{"error":"","choices":[]}', nil },
        { "chat", '{"error":{},"choices":[]}', nil },
        -- OpenRouter's in the middle of a stream.
        { "chat", '{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],' ..
            '"error":{"code":502,"message":"a"},"usage":{"prompt_tokens":3,"completion_tokens":4}}', 502 },
    }) do
        local api, event, wanted = unpack(case)
        for _, guarded in ipairs({ false, true }) do
            it(("%s as a body%s"):format(event, guarded and ", under a guard" or ""), function()
                -- Events have types, bodies have not.
                local is_event = event:find('^{"type":') ~= nil and api == "responses"
                for size = 1, #event, 7 do
                    local reader = answer.new_answer(api, false)
                    reader.guarded = guarded
                    for at = 1, #event, size do answer.read_body(reader, event:sub(at, at + size - 1)) end
                    answer.end_body(reader)
                    if not is_event then
                        assert.equal(wanted ~= nil, reader.failed)
                        assert.equal(wanted or 0, reader.error_status)
                    end
                    assert.is_true(reader.complete)
                end
            end)

            it(("%s%s"):format(event, guarded and ", under a guard" or ""), function()
                local reader = answer.new_answer(api, false)
                reader.guarded = guarded
                answer.read_stream(reader, "data: " .. event .. "\n\n")
                assert.equal(wanted ~= nil, reader.failed)
                assert.equal(wanted or 0, reader.error_status)
            end)
        end
    end

    it("in a body is read as far as 16 KB without a gap", function()
        local function read(...)
            local reader = answer.new_answer("chat", false)
            for _, chunk in ipairs({ ... }) do answer.read_body(reader, chunk) end
            answer.end_body(reader)
            assert.is_true(reader.complete)
            assert.is_true(reader.failed)
            return reader.error_status
        end
        local function blanks(count) return (" "):rep(count) end
        assert.equal(400, read("{" .. blanks(16000), '"error":{"code":"BAD_REQUEST"}}'))
        assert.equal(0, read("{" .. blanks(17000), '"error":{"code":"BAD_REQUEST"}}'))
        assert.equal(0, read("{" .. blanks(10000), blanks(9000), '"error":{"code":"BAD_REQUEST"}}'))
        assert.equal(503, read('{"error":{"code":503}', blanks(20000), "}"))
    end)

    it("says what has happened, and not one behind it", function()
        local reader = answer.new_answer("chat", false)
        answer.read_stream(reader, "data: " .. NO_MESSAGE:format("a") .. '\n\ndata: {"error":{"code":500}}\n\ndata: [DONE]\n\n')
        assert.equal(400, reader.error_status)
    end)

    it("is read whichever way it is cut", function()
        local text = "data: " .. NO_MESSAGE:format("what the client wrote") .. "\n\n"
        for cut = 1, #text - 1 do
            local reader = answer.new_answer("chat", false)
            answer.read_stream(reader, text:sub(1, cut))
            answer.read_stream(reader, text:sub(cut + 1))
            assert.equal(400, reader.error_status)
        end
    end)
end)
