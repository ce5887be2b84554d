local answer = require("sluice.wire.answer")
local walking = require("spec.unit.wire.walking")

local function recorded(name)
    local file = assert(io.open("spec/support/streams/" .. name .. ".sse", "rb"))
    local bytes = file:read("*a")
    file:close()
    return bytes
end

-- What goes on to the client of a stream that comes in such pieces, and the reader afterwards.
local function pass(api, drop_usage, pieces)
    local reader = answer.new_answer(api, drop_usage)
    local parts = {}
    for _, piece in ipairs(pieces) do
        parts[#parts + 1] = answer.read_stream(reader, piece) or piece
    end
    parts[#parts + 1] = answer.end_stream(reader)
    return table.concat(parts), reader
end

-- All that a reader tells, as one string.
local function told(reader)
    return ("in %d cached %d out %d complete %s failed %s malformed %s oversized %s events %d sequence %d id %s counted %d"):format(
        reader.usage.input, reader.usage.cached_input, reader.usage.output, tostring(reader.complete), tostring(reader.failed),
        tostring(reader.malformed), tostring(reader.oversized), reader.events, reader.sequence, tostring(reader.response_id),
        answer.counted_output(reader))
end

-- The recorded streams: API, input, cached and output tokens, and whether there is a chunk that only reports usage.
local STREAMS = {
    chat_azure = { "chat", 27, 0, 8, true },
    chat_basic = { "chat", 19, 0, 9, true },
    chat_chinese_emoji = { "chat", 19, 0, 17, true },
    chat_comments_multiline = { "chat", 10, -1, 6, true },
    chat_cr = { "chat", 19, 0, 4, true },
    chat_crlf = { "chat", 19, 0, 7, true },
    chat_escapes = { "chat", 19, 0, 9, true },
    chat_logprobs = { "chat", 19, 0, 7, true },
    chat_no_last_newline = { "chat", 19, 0, 5, true },
    chat_no_usage = { "chat", -1, -1, -1, false },
    chat_tools = { "chat", 142, 128, 49, true },
    chat_two_choices = { "chat", 9, -1, 8, true },
    chat_usage_with_last_choice = { "chat", 12, 0, 8, false },
    chat_vllm_reasoning = { "chat", 24, -1, 29, true },
    completions_basic = { "completions", 5, -1, 11, true },
    messages_text = { "messages", 25, 0, 21, false },
    messages_tool_use = { "messages", 728, 256, 89, false },
    responses_text = { "responses", 37, 0, 11, false },
    responses_tool_call = { "responses", 61, 0, 87, false },
}

-- The stream without the event that only reports usage: the one with usage and an empty list of choices.
local function without_usage_chunk(bytes)
    local ending = bytes:find("\r\n", 1, true) and "\r\n" or bytes:find("\n", 1, true) and "\n" or "\r"
    local parts, at = {}, 1
    while at <= #bytes do
        local _, last = bytes:find(ending .. ending, at, true)
        local event = bytes:sub(at, last or #bytes)
        if not (event:find('"choices":[],', 1, true) and event:find('"usage":{', 1, true)) then
            parts[#parts + 1] = event
        end
        at = at + #event
    end
    return table.concat(parts)
end

describe("the recorded stream", function()
    walking.seed("recorded streams")

    for name, expected in pairs(STREAMS) do
        local api = expected[1]
        local bytes = recorded(name)

        it(name .. " goes on byte for byte, and is read to its end", function()
            local out, reader = pass(api, false, { bytes })
            assert.equal(bytes, out)
            assert.same({ expected[2], expected[3], expected[4] }, { reader.usage.input, reader.usage.cached_input, reader.usage.output })
            assert.is_true(reader.complete)
            assert.is_false(reader.failed)
            assert.is_false(reader.malformed)
            assert.is_true(answer.has_text(reader))
            assert.is_true(answer.counted_output(reader) > 0)
        end)

        it(name .. (expected[5] and " loses its usage chunk and nothing else" or " has no chunk to lose"), function()
            local out, reader = pass(api, true, { bytes })
            assert.equal(expected[5], out ~= bytes)
            assert.equal(without_usage_chunk(bytes), out)
            assert.equal(expected[4], reader.usage.output)
        end)

        it(name .. " is the same however it is cut", function()
            for _, drop in ipairs(expected[5] and { false, true } or { true }) do
                local whole, whole_reader = pass(api, drop, { bytes })
                local all = told(whole_reader)
                local function same(pieces, how, where)
                    local out, reader = pass(api, drop, pieces)
                    if out ~= whole or told(reader) ~= all then
                        assert.equal(all, told(reader), how .. " " .. where)
                        assert.equal(walking.show(whole), walking.show(out), how .. " " .. where)
                    end
                end
                for cut = 1, #bytes - 1 do
                    same({ bytes:sub(1, cut), bytes:sub(cut + 1) }, "cut at", cut)
                end
                for size = 1, 64 do
                    same(walking.chop(bytes, size), "pieces of", size)
                end
                for _ = 1, 40 do
                    local pieces, at = {}, 1
                    while at <= #bytes do
                        local size = math.random(1, math.random(2, 900))
                        pieces[#pieces + 1] = bytes:sub(at, at + size - 1)
                        at = at + size
                    end
                    same(pieces, "random pieces", #pieces)
                end
            end
        end)

        it(name .. " is not complete when it breaks off before its end", function()
            local marker = ({ messages = '"message_stop"', responses = '"response.completed"' })[api] or "[DONE]"
            local before
            local from = 1
            while true do
                local found = bytes:find(marker, from, true)
                if not found then
                    break
                end
                before, from = found, found + 1
            end
            local _, reader = pass(api, true, { bytes:sub(1, before - 1) })
            assert.is_false(reader.complete)
        end)
    end
end)

describe("a stream", function()
    local CHUNK = 'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
    local USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
    local DONE = "data: [DONE]\n\n"

    it("passes whole chunks on without a copy", function()
        local reader = answer.new_answer("chat", true)
        assert.is_nil(answer.read_stream(reader, CHUNK))
        assert.is_nil(answer.read_stream(reader, CHUNK .. CHUNK))
        assert.is_nil(answer.read_stream(reader, DONE))
        assert.equal("", answer.end_stream(reader))
        assert.is_true(reader.complete)
    end)

    it("holds back nothing but the unfinished event", function()
        local reader = answer.new_answer("chat", true)
        assert.equal(CHUNK, answer.read_stream(reader, CHUNK .. CHUNK:sub(1, 20)))
        assert.equal("", answer.read_stream(reader, CHUNK:sub(21, 30)))
        assert.equal(CHUNK, answer.read_stream(reader, CHUNK:sub(31)))
    end)

    it("gives up what it held when it broke off", function()
        local reader = answer.new_answer("chat", true)
        answer.read_stream(reader, CHUNK:sub(1, 20))
        answer.drop_held(reader)
        assert.equal("", answer.end_stream(reader))
        assert.equal(0, reader.events)
    end)

    describe("drops", function()
        for name, case in pairs({
            ["the usage chunk"] = { USAGE, "" },
            ["a usage chunk whose list of choices has a blank"] = { USAGE:gsub("%[%]", "[ ]"), "" },
            ["a usage chunk over several lines"] = { 'data: {"choices":[],\ndata: "usage":{"completion_tokens":1}}\n\n', "" },
            ["a usage chunk with its other fields"] = { "event: x\nid: 1\n" .. USAGE, "" },
            ["one without choices"] = { 'data: {"id":"c","usage":{"completion_tokens":1}}\n\n', "" },
            ["one with null for choices"] = { 'data: {"choices":null,"usage":{"completion_tokens":1}}\n\n', "" },
            ["one with a choice that says nothing (LiteLLM)"] =
                { 'data: {"choices":[{"index":0,"delta":{}}],"usage":{"completion_tokens":1}}\n\n', "" },
            ["one with choices of which each says nothing"] = {
                'data: {"choices":[{"index":0,"delta":{"content":null,"role":""},"finish_reason":null},'
                    .. ' {"index":1,"delta":{ }, "logprobs":null}],"usage":{"completion_tokens":1}}\n\n', "",
            },
            ["one of a completion"] =
                { 'data: {"choices":[{"index":0,"text":"","finish_reason":null}],"usage":{"completion_tokens":1}}\n\n', "" },
        }) do
            it(name, function() assert.equal(CHUNK .. case[2] .. DONE, (pass("chat", true, { CHUNK .. case[1] .. DONE }))) end)
        end
    end)

    describe("keeps", function()
        for name, chunk in pairs({
            ["a chunk with usage and text"] = 'data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"completion_tokens":1}}\n\n',
            ["a chunk with usage and a role"] =
                'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":{"completion_tokens":1}}\n\n',
            ["a chunk with usage and a reason"] =
                'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"completion_tokens":1}}\n\n',
            ["a chunk with usage and a picture"] =
                'data: {"choices":[{"index":0,"delta":{"images":[{"image_url":{"url":"data:,"}}]}}],"usage":{"completion_tokens":1}}\n\n',
            ["a chunk with usage and a number of the model's"] =
                'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":3}],"x":1}}],"usage":{"completion_tokens":1}}\n\n',
            ["an error with usage"] = 'data: {"error":{"message":"x"},"choices":null,"usage":{"completion_tokens":1}}\n\n',
            ["a chunk with neither"] = 'data: {"choices":[],"prompt_filter_results":[]}\n\n',
            ["a chunk with usage null"] = 'data: {"choices":[],"usage":null}\n\n',
            ["a chunk in whose text usage is written"] =
                'data: {"choices":[{"delta":{"content":"{\\"choices\\":[],\\"usage\\":{}}"}}]}\n\n',
            ["a comment"] = ': "choices":[],"usage":{}\n\n',
            ["what is no JSON"] = 'data: {"choices":[],"usage":{}\n\n',
            ["an error"] = 'data: {"error":{"message":"x"}}\n\n',
        }) do
            it(name, function() assert.equal(chunk .. DONE, (pass("chat", true, { chunk .. DONE }))) end)
        end

        it("the usage chunk of a client that asked for it", function()
            local out, reader = pass("chat", false, { CHUNK .. USAGE .. DONE })
            assert.equal(CHUNK .. USAGE .. DONE, out)
            assert.equal(1, reader.usage.output)
        end)
    end)

    for name, ending in pairs({ LF = "\n", CR = "\r", ["CR LF"] = "\r\n" }) do
        it("loses a usage chunk whose lines end in " .. name .. " with all its line ends, wherever it is cut", function()
            local function stream(text)
                return (text:gsub("\n", ending))
            end
            local bytes = stream(CHUNK .. USAGE .. DONE)
            for cut = 1, #bytes - 1 do
                assert.equal(walking.show(stream(CHUNK .. DONE)), walking.show((pass("chat", true, { bytes:sub(1, cut), bytes:sub(cut + 1) }))))
            end
        end)
    end

    it("is complete only with its API's own terminal marker", function()
        local function complete(api, text)
            local _, reader = pass(api, true, { text })
            return reader.complete
        end
        assert.is_true(complete("chat", DONE))
        assert.is_true(complete("completions", DONE))
        assert.is_true(complete("chat", "data: [DONE]"))
        assert.is_false(complete("chat", CHUNK))
        assert.is_false(complete("chat", 'data: {"type":"message_stop"}\n\n'))
        assert.is_false(complete("chat", 'data: {"choices":[{"delta":{"content":"[DONE]"}}]}\n\n'))
        assert.is_false(complete("chat", "data: [DONE"))
        assert.is_true(complete("messages", 'event: message_stop\ndata: {"type":"message_stop"}\n\n'))
        assert.is_false(complete("messages", DONE))
        -- Anthropic's clients go by the event's name.
        assert.is_true(complete("messages", "event: message_stop\n\n"))
        assert.is_true(complete("messages", "event:message_stop\ndata: {}\n\n"))
        assert.is_true(complete("messages", "id: 1\nevent: message_stop\ndata:\n\n"))
        assert.is_true(complete("messages", 'event: message_stop\ndata: {"type":"ping"}\n\n'))
        assert.is_false(complete("messages", 'event: message_stops\ndata: {}\n\n'))
        assert.is_false(complete("messages", ': message_stop\nevent: ping\ndata: {}\n\n'))
        assert.is_false(complete("chat", "event: message_stop\ndata: {}\n\n"))
        assert.is_false(complete("messages", 'data: {"delta":{"type":"message_stop"},"type":"content_block_delta"}\n\n'))
        for _, kind in ipairs({ "completed", "incomplete", "failed" }) do
            assert.is_true(complete("responses", 'data: {"type":"response.' .. kind .. '","response":{}}\n\n'))
        end
        assert.is_false(complete("responses", 'data: {"type":"response.created","response":{}}\n\n'))
        assert.is_false(complete("responses", DONE))
    end)

    it("has failed if the upstream says so", function()
        local function failed(api, text)
            local _, reader = pass(api, true, { text })
            return reader.failed
        end
        assert.is_true(failed("chat", 'data: {"error":{"message":"x","code":500}}\n\n'))
        assert.is_true(failed("chat", 'data: {"error":"out of memory","error_type":"generation"}\n\n'))
        assert.is_true(failed("messages", 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'))
        assert.is_true(failed("responses", 'event: error\ndata: {"type":"error","message":"x"}\n\n'))
        assert.is_false(failed("chat", CHUNK .. DONE))
        assert.is_false(failed("chat", 'data: {"choices":[],"error":null}\n\n'))
        assert.is_false(failed("chat", 'data: {"choices":[{"delta":{"content":"error"},"error":1}]}\n\n'))
        assert.is_false(failed("responses", 'data: {"type":"response.created","response":{"error":null}}\n\n'))
    end)

    it("is malformed if an event is no JSON, and goes on nevertheless", function()
        for _, event in ipairs({ "data: {\n\n", "data: x\n\n", 'data: {"a":1,"a":2}\n\n', 'data: {"a":"\255"}\n\n', "data: {}{}\n\n" }) do
            local out, reader = pass("chat", true, { CHUNK .. event .. DONE })
            assert.is_true(reader.malformed, event)
            assert.is_true(reader.complete)
            assert.equal(CHUNK .. event .. DONE, out)
        end
    end)

    it("is told by a whole walk after a broken event", function()
        local _, reader = pass("chat", true, { 'data: {"choices":[{"delta":{"content":"abc\n\n' .. USAGE .. DONE })
        assert.equal(1, reader.usage.output)
    end)

    it("of the responses API tells its id and last sequence number", function()
        local _, reader = pass("responses", true, { 'data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1"}}\n\n'
            .. 'data: {"type":"response.output_text.delta","sequence_number":41,"delta":"Hi"}\n\n' })
        assert.equal("resp_1", reader.response_id)
        assert.equal(41, reader.sequence)
    end)

    it("counts the text of every kind of delta", function()
        local function counted(api, event)
            local _, reader = pass(api, true, { "data: " .. event .. "\n\n" })
            return answer.counted_output(reader)
        end
        for _, delta in ipairs({ '"content":"%s"', '"reasoning_content":"%s"', '"reasoning":"%s"', '"refusal":"%s"', '"content":[{"text":"%s"}]',
            '"tool_calls":[{"index":0,"function":{"arguments":"%s"}}]', '"function_call":{"arguments":"%s"}',
            '"tool_calls":[{"custom":{"input":"%s"}}]' }) do
            local event = '{"choices":[{"index":0,"delta":{' .. delta .. "}}]}"
            assert.is_true(counted("chat", event:format(("word "):rep(20))) >= 15, delta)
            assert.equal(0, counted("chat", event:format("")))
        end
        assert.is_true(counted("completions", '{"choices":[{"text":"' .. ("word "):rep(20) .. '"}]}') >= 15)
        for _, delta in ipairs({ '"text":"%s"', '"thinking":"%s"', '"partial_json":"%s"' }) do
            local event = '{"type":"content_block_delta","delta":{' .. delta .. "}}"
            assert.is_true(counted("messages", event:format(("word "):rep(20))) >= 15, delta)
        end
        assert.is_true(counted("responses", '{"type":"response.output_text.delta","delta":"' .. ("word "):rep(20) .. '"}') >= 15)
        -- The event that repeats the text whole does not count it again.
        assert.equal(0, counted("responses", '{"type":"response.output_text.done","text":"' .. ("word "):rep(20) .. '"}'))
        assert.equal(0, counted("responses", '{"type":"response.completed","response":{"output":[{"content":[{"text":"'
            .. ("word "):rep(20) .. '"}]}]}}'))
        -- What is no text is not counted.
        assert.equal(0, counted("chat", '{"id":"chatcmpl","model":"gpt","choices":[{"delta":{"role":"assistant"},"finish_reason":"stop"}]}'))
    end)

    it("may have chunks of no bytes between", function()
        local bytes = (CHUNK .. USAGE .. DONE):gsub("\n", "\r\n")
        local pieces = {}
        for _, piece in ipairs(walking.chop(bytes, 1)) do
            pieces[#pieces + 1] = piece
            pieces[#pieces + 1] = ""
        end
        local out, reader = pass("chat", true, pieces)
        assert.equal(walking.show(((CHUNK .. DONE):gsub("\n", "\r\n"))), walking.show(out))
        assert.equal(2, reader.events)
    end)
end)

describe("a line that does not end", function()
    -- Feeds chunks of about 64 KiB, no two the same; returns how many bytes had come when the reader called it oversized, and the most
    -- memory in use.
    local function flood(reader, chunk, megabytes)
        collectgarbage()
        collectgarbage()
        local before, most, refused = collectgarbage("count"), 0, nil
        for fed = #chunk, megabytes * 1048576, #chunk do
            answer.read_stream(reader, ("%08d"):format(fed) .. chunk:sub(9))
            if reader.oversized and not refused then
                refused = fed
            end
            collectgarbage()
            most = math.max(most, collectgarbage("count") - before)
        end
        return refused, most
    end

    it("is refused at 32 MiB, and goes on until then, without being kept", function()
        local reader = answer.new_answer("chat", true)
        answer.read_stream(reader, "data: ")
        local refused, kilobytes = flood(reader, ("x"):rep(65536), 34)
        assert.is_true(refused >= 33554432 and refused <= 33554432 + 2 * 65536, refused)
        assert.is_true(kilobytes < 2 * 1024, kilobytes)
        answer.drop_held(reader)
    end)

    it("is refused as well when it is an event of short lines", function()
        local reader = answer.new_answer("chat", true)
        local refused, kilobytes = flood(reader, ("x: " .. ("x"):rep(8188) .. "\n"):rep(8), 34)
        assert.is_true(refused >= 33554432 and refused <= 33554432 + 2 * 65536, refused)
        assert.is_true(kilobytes < 2 * 1024, kilobytes)
    end)

    it("is still refused when its end comes at last", function()
        local reader = answer.new_answer("chat", true)
        flood(reader, ("x"):rep(65536), 34)
        answer.read_stream(reader, "\n\ndata: [DONE]\n\n")
        assert.is_true(reader.oversized)
    end)

    it("is taken if it is shorter", function()
        local event = 'data: {"choices":[{"delta":{"content":"' .. ("x"):rep(3000000) .. '"}}]}\n\n'
        local out, reader = pass("chat", true, walking.chop(event, 65536))
        assert.is_true(out == event)
        assert.is_false(reader.oversized)
        assert.equal(1, reader.events)
    end)
end)

describe("an event of many lines in small chunks", function()
    it("is not put together again with every line", function()
        local concat, joined = table.concat, 0
        table.concat = function(list, ...) -- luacheck: ignore
            local text = concat(list, ...)
            joined = joined + #text
            return text
        end
        local reader = answer.new_answer("chat", true)
        local line = 'data: "' .. ("x"):rep(90) .. '",\n'
        for _ = 1, 4000 do
            answer.read_stream(reader, line)
        end
        table.concat = concat -- luacheck: ignore
        assert.is_true(joined < 40 * 4000 * #line, ("%d bytes joined for %d"):format(joined, 4000 * #line))
    end)
end)

describe("a JSON body", function()
    local BODIES = {
        chat = { '{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there \228\189\160\\n"},"finish_reason":"stop"}],'
            .. '"usage":{"prompt_tokens":12,"completion_tokens":34,"prompt_tokens_details":{"cached_tokens":5}}}', 12, 5, 34 },
        completions = { '{"choices":[{"text":"Hello there"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}', 1, -1, 2 },
        embeddings = { '{"object":"list","data":[{"embedding":[0.1,-2.5e-3],"index":0}],"usage":{"prompt_tokens":8,"total_tokens":8}}', 8, -1, -1 },
        responses = { '{"id":"r","output":[{"type":"message","content":[{"type":"output_text","text":"Hello there"}]}],'
            .. '"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":4}}', 3, 1, 4 },
        messages = { '{"type":"message","content":[{"type":"text","text":"Hello there"}],"usage":{"input_tokens":10,'
            .. '"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":4}}', 60, 30, 4 },
    }

    local function read(api, pieces)
        local reader = answer.new_answer(api, false)
        for _, piece in ipairs(pieces) do
            answer.read_body(reader, piece)
        end
        answer.end_body(reader)
        return reader
    end

    for api, case in pairs(BODIES) do
        it("of " .. api .. " tells its usage, however it is cut", function()
            local whole = read(api, { case[1] })
            assert.same({ case[2], case[3], case[4] }, { whole.usage.input, whole.usage.cached_input, whole.usage.output })
            assert.is_true(whole.complete)
            assert.is_false(whole.malformed)
            assert.equal(api ~= "embeddings", answer.counted_output(whole) > 0)
            for cut = 0, #case[1] do
                assert.equal(told(whole), told(read(api, { case[1]:sub(1, cut), case[1]:sub(cut + 1) })))
            end
            for size = 1, 12 do
                assert.equal(told(whole), told(read(api, walking.chop(case[1], size))))
            end
        end)
    end

    it("that breaks off is not complete", function()
        local body = BODIES.chat[1]
        for cut = 0, #body - 1 do
            local reader = read("chat", { body:sub(1, cut) })
            assert.is_false(reader.complete)
        end
        assert.is_false(read("chat", {}).complete)
    end)

    it("that is no JSON is malformed", function()
        for _, body in ipairs({ "x", "<html>", '{"a":1,}', '{"a":"\255"}', "{}{}" }) do
            local reader = read("chat", { body, " " })
            assert.is_true(reader.malformed)
            assert.is_false(reader.complete)
        end
    end)

    it("keeps the usage that came before it broke off", function()
        local reader = read("chat", { '{"usage":{"prompt_tokens":1,"completion_tokens":2},"choices":[' })
        assert.equal(2, reader.usage.output)
    end)

    it("without usage reports none", function()
        local reader = read("chat", { '{"choices":[],"usage":null}' })
        assert.same({ -1, -1, -1 }, { reader.usage.input, reader.usage.cached_input, reader.usage.output })
    end)

    it("is never kept", function()
        local reader = answer.new_answer("embeddings", false)
        local chunk = ("0.0123456789,"):rep(5000)
        answer.read_body(reader, '{"data":[{"embedding":[')
        collectgarbage()
        collectgarbage()
        local before = collectgarbage("count")
        for _ = 1, 100 do
            answer.read_body(reader, chunk)
        end
        collectgarbage()
        collectgarbage()
        assert.is_true(collectgarbage("count") - before < 64)
        assert.is_false(reader.malformed)
    end)
end)

describe("a reader that was used before", function()
    it("begins anew", function()
        local fresh = told(answer.new_answer("chat", false))
        local reader = answer.take_answer("responses", true)
        answer.read_stream(reader, 'data: {"type":"response.completed","sequence_number":7,"response":{"id":"r","usage":'
            .. '{"input_tokens":1,"output_tokens":2}}}\n\n')
        answer.read_stream(reader, 'data: {"error":{}}\n\ndata: {\n\ndata: {"delta":"text"}\n\ndata: unfinished')
        answer.return_answer(reader)
        local again = answer.take_answer("chat", false)
        assert.equal(fresh, told(again))
        assert.is_nil(answer.read_stream(again, "data: [DONE]\n\n"))
        assert.equal("", answer.end_stream(again))
        answer.return_answer(again)
    end)

    it("in the middle of a body begins anew", function()
        local reader = answer.take_answer("chat", false)
        answer.read_body(reader, '{"usage":{"prompt_tokens":99},"choices":[{"message":{"content":"abc\\')
        answer.return_answer(reader)
        local again = answer.take_answer("chat", false)
        answer.read_body(again, '{"choices":[]}')
        answer.end_body(again)
        assert.is_true(again.complete)
        assert.equal(-1, again.usage.input)
        assert.equal(0, answer.counted_output(again))
        answer.return_answer(again)
    end)

    it("after a CR does not eat another stream's LF", function()
        local reader = answer.take_answer("chat", false)
        answer.read_stream(reader, "data: {}\r\r")
        answer.return_answer(reader)
        local again = answer.take_answer("chat", false)
        assert.is_false(again.after_return)
        answer.return_answer(again)
    end)
end)

describe("streams that are read in turn", function()
    it("do not mix", function()
        local readers = {}
        for index = 1, 20 do
            readers[index] = answer.new_answer("chat", true)
        end
        local streams = {}
        for index = 1, 20 do
            streams[index] = ('data: {"choices":[{"delta":{"content":"%s"}}]}\n\n'):format(("w "):rep(index))
                .. ('data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}\n\n'):format(index, index * 2)
        end
        for at = 1, 400, 7 do
            for index, reader in ipairs(readers) do
                answer.read_stream(reader, streams[index]:sub(at, at + 6))
            end
        end
        for index, reader in ipairs(readers) do
            assert.equal(index, reader.usage.input)
            assert.equal(index * 2, reader.usage.output)
            local _, alone = pass("chat", true, { streams[index] })
            assert.equal(answer.counted_output(alone), answer.counted_output(reader))
        end
    end)
end)
