local answer = require("sluice.wire.answer")

local function body_of(reason)
    return '{"choices":[{"index":0,"message":{"content":"a \\"abort\\""},"finish_reason":' .. reason .. '}],"usage":{"prompt_tokens":1}}'
end

-- Whether a JSON body that comes in these pieces is known to be given up.
local function is_aborted(...)
    local reader = answer.take_answer("chat", false)
    for _, piece in ipairs({ ... }) do answer.read_body(reader, piece) end
    answer.end_body(reader)
    assert.is_true(reader.complete)
    local aborted = reader.aborted
    answer.return_answer(reader)
    return aborted
end

describe("An answer that the engine gives up", function()
    it("is known by its finish_reason, wherever a JSON body is cut, but within its last quote", function()
        local body = body_of('"abort"')
        local _, last = body:find('"finish_reason":"abort', 1, true)
        for cut = 1, #body - 1 do
            assert.equal(cut ~= last, is_aborted(body:sub(1, cut), body:sub(cut + 1)), "cut " .. cut)
        end
    end)

    it("is not taken for one by another reason, wherever it is cut", function()
        for _, reason in ipairs({ '"error"', '"stop"', '"length"', "null", '""', '"aborT"', '"\\u0061bort"' }) do
            local body = body_of(reason)
            assert.is_false(is_aborted(body))
            for cut = 1, #body - 1 do
                assert.is_false(is_aborted(body:sub(1, cut), body:sub(cut + 1)), reason .. " cut " .. cut)
            end
        end
    end)

    it("is known in a stream, and forgotten with it", function()
        for reason, expected in pairs({ ['"abort"'] = true, ['"error"'] = false, ['"stop"'] = false }) do
            for _, api in ipairs({ "chat", "completions" }) do
                local reader = answer.take_answer(api, true)
                answer.read_stream(reader, 'data: {"choices":[{"index":0,"delta":{"content":"abort"},"finish_reason":null}]}\n\n')
                assert.is_false(reader.aborted)
                answer.read_stream(reader, 'data: {"choices":[{"index":0,"delta":{},"finish_reason":' .. reason .. "}]}\n\n")
                assert.equal(expected, reader.aborted)
                answer.read_stream(reader, 'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\ndata: [DONE]\n\n')
                assert.equal(expected, reader.aborted)
                answer.return_answer(reader)
                reader = answer.take_answer(api, true)
                assert.is_false(reader.aborted)
                answer.return_answer(reader)
            end
        end
    end)
end)
