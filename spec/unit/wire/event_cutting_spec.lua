-- What of a stream goes on before its event has ended: comment lines, and long events.

local answer = require("sluice.wire.answer")

local function pass(reader, chunks)
    local outs = {}
    for index, chunk in ipairs(chunks) do
        outs[index] = answer.read_stream(reader, chunk) or chunk
    end
    return outs
end

local function in_pieces(bytes, size)
    local pieces = {}
    for at = 1, #bytes, size do
        pieces[#pieces + 1] = bytes:sub(at, at + size - 1)
    end
    return pieces
end

local USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1}}\n\n'
local DONE = "data: [DONE]\n\n"

describe("a comment line", function()
    for name, ending in pairs({ LF = "\n", CRLF = "\r\n" }) do
        it("with one line end goes on at once: " .. name, function()
            local ping = ": ping" .. ending
            local reader = answer.new_answer("chat", true)
            assert.same({ ping, ping .. ping, "", ping, ping, "" },
                pass(reader, { ping, ping .. ping, ": pi", "ng" .. ending, ping .. "da", "ta: {}" }))
            assert.same({ "data: {}" .. ending .. ending }, pass(reader, { ending .. ending }))
            assert.equal(1, reader.events)
        end)
    end

    it("may end in CR, and waits for the LF that may follow", function()
        local reader = answer.new_answer("chat", true)
        assert.same({ "", ": a\r\n", "", ": b\r:\n" }, pass(reader, { ": a\r", "\n", ": b\r", ":\n" }))
    end)

    it("behind another line of its event waits with it", function()
        local reader = answer.new_answer("chat", true)
        assert.same({ "", "", "id: 1\n: a\ndata: {}\n\n" }, pass(reader, { "id: 1\n", ": a\n", "data: {}\n\n" }))
    end)

    it("goes on though its event is left out", function()
        local reader = answer.new_answer("chat", true)
        assert.same({ ": a\n", "", DONE }, pass(reader, { ": a\n", USAGE, DONE }))
        assert.equal(1, reader.usage.output)
    end)
end)

describe("a long event", function()
    local IMAGE = ("iVBORw0KGgo"):rep(60000)
    local function event(ending)
        local e = ending or "\n"
        return 'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Here.","images":[{"image_url":{"url":"data:image/png;base64,' .. IMAGE
            .. '"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":1310}}' .. e .. e
    end

    for name, ending in pairs({ LF = "\n", CR = "\r", CRLF = "\r\n" }) do
        it("goes on as it comes, and is read: " .. name, function()
            for _, size in ipairs({ 4096, 32768, 65537 }) do
                local reader = answer.new_answer("chat", true)
                local bytes = ": x" .. ending .. ending .. event(ending) .. (USAGE .. DONE):gsub("\n", ending)
                local outs = pass(reader, in_pieces(bytes, size))
                assert.is_true(table.concat(outs) == ": x" .. ending .. ending .. event(ending) .. (DONE:gsub("\n", ending)))
                assert.is_true(reader.complete)
                assert.is_false(reader.malformed)
                assert.same({ 1, 2 }, { reader.ended, reader.events })
                assert.same({ 2, 1 }, { reader.usage.input, reader.usage.output })
                assert.equal(answer.counted_output(reader) > 0, true)
                -- No more than what comes before it is known to be long is ever kept.
                local most, gone, came = 0, 0, 0
                for index, out in ipairs(outs) do
                    gone, came = gone + #out, came + math.min(size, #bytes - (index - 1) * size)
                    most = math.max(most, came - gone)
                end
                assert.is_true(most <= 262144 + size, most)
            end
        end)
    end

    it("of several lines is one document, and has a name", function()
        local reader = answer.new_answer("responses", true)
        local bytes = 'id: 7\nevent: response.completed\ndata: {"response":{"id":"r","output":[{"type":"image_generation_call","result":"' .. IMAGE
            .. '"}],\ndata: "usage":{"input_tokens":5,\ndata:"output_tokens":6}}}\n\n'
        local outs = pass(reader, in_pieces(bytes, 32768))
        assert.is_true(table.concat(outs) == bytes)
        assert.same({ true, false, 5, 6 }, { reader.complete, reader.malformed, reader.usage.input, reader.usage.output })
    end)

    it("of a response says its type itself", function()
        local reader = answer.new_answer("responses", true)
        local bytes = 'data: {"type":"response.image_generation_call.partial_image","sequence_number":9,"partial_image_b64":"' .. IMAGE .. '"}\n\n'
        pass(reader, in_pieces(bytes, 32768))
        assert.same({ false, false, 9 }, { reader.complete, reader.malformed, reader.sequence })
        pass(reader, in_pieces('data: {"type":"response.completed","response":{"x":"' .. IMAGE .. '"}}\n\n', 32768))
        assert.is_true(reader.complete)
    end)

    it("that is an error, or no JSON, is known as such", function()
        local reader = answer.new_answer("chat", true)
        pass(reader, in_pieces('data: {"error":{"code":503,"message":"' .. IMAGE .. '"}}\n\n', 32768))
        assert.same({ true, 503 }, { reader.failed, reader.error_status })
        reader = answer.new_answer("chat", true)
        pass(reader, in_pieces('data: {"a":"' .. IMAGE .. '\n\n', 32768))
        assert.is_true(reader.malformed)
        assert.same({ DONE }, pass(reader, { DONE }))
        assert.is_true(reader.complete)
    end)

    it("that the stream's end ends is read too", function()
        local reader = answer.new_answer("chat", true)
        local bytes = event():sub(1, -3)
        assert.is_true(table.concat(pass(reader, in_pieces(bytes, 32768))) == bytes)
        answer.end_stream(reader)
        assert.same({ 1, 1310, false }, { reader.ended, reader.usage.output, reader.malformed })
    end)

    it("is none where one JSON document comes in place of events: that is read when it is whole", function()
        local document = ' {"choices":[{"index":0,"message":{"content":"' .. ("Here. "):rep(60000)
            .. '"}}],"usage":{"prompt_tokens":12,"completion_tokens":13}}'
        local reader = answer.new_answer("chat", true)
        assert.equal("", table.concat(pass(reader, in_pieces(document, 32768))))
        assert.is_true(answer.end_stream(reader) == document)
        assert.same({ true, 12, 13 }, { reader.complete, reader.usage.input, reader.usage.output })
    end)

    it("begins with a byte order mark as well", function()
        local reader = answer.new_answer("chat", true)
        assert.is_true(table.concat(pass(reader, in_pieces("\239\187\191" .. event(), 32768))) == "\239\187\191" .. event())
        assert.equal(1310, reader.usage.output)
    end)

    it("is known to have had data, though it is not kept, and so is a short one that comes together with it", function()
        local reader = answer.new_answer("chat", true)
        pass(reader, in_pieces(event(), 32768))
        assert.equal("{}", reader.first_event)
        reader = answer.new_answer("chat", true)
        pass(reader, { event() .. DONE })
        assert.equal("{}", reader.first_event)
        reader = answer.new_answer("chat", true)
        pass(reader, { 'data: {"id":"c"}\n\n' .. event() .. DONE })
        assert.equal('{"id":"c"}', reader.first_event)
    end)
end)

describe("the choices that have ended", function()
    local function ended(chunk)
        local reader = answer.new_answer("chat", false)
        pass(reader, { "data: " .. chunk .. "\n\n" })
        return reader.ended
    end

    it("are those with a reason", function()
        assert.equal(1, ended('{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'))
        assert.equal(1, ended('{"choices":[ {"finish_reason":"length","index":4} ]}'))
        assert.equal(1, ended('{"choices":[{"finish_reason":"stop"}]}'))
        assert.equal(2, ended('{"choices":[{"index":0,"finish_reason":"stop"},{"index":1,"finish_reason":"length"}]}'))
        assert.equal(1, ended('{"choices":[{"index":0,"finish_reason":"stop"},{"index":1,"finish_reason":null}]}'))
        assert.equal(1, ended('{"choices":[{"index":0,"finish_reason":null}, {"index":1,"finish_reason":"stop"}]}'))
        assert.equal(0, ended('{"choices":[{"index":0,"finish_reason":""}]}'))
        assert.equal(0, ended('{"choices":[{"index":0,"finish_reason":null}]}'))
        assert.equal(0, ended('{"choices":[{"index":0,"delta":{"content":"\\"finish_reason\\":\\"stop\\""}}]}'))
    end)

    it("count once", function()
        local reader = answer.new_answer("chat", false)
        local chunk = 'data: {"choices":[{"index":1,"finish_reason":"stop"}]}\n\n'
        pass(reader, { chunk, chunk, (chunk:gsub("1", "0")) })
        assert.equal(2, reader.ended)
    end)
end)
