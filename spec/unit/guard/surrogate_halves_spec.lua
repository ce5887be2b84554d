-- Halves of surrogate pairs: servers that cut a model's output into tokens send an emoji's two halves in two events.

local answer = require("sluice.wire.answer")
local body = require("sluice.guard.body")
local guarding = require("spec.unit.guard.guarding")
local stream = require("sluice.guard.stream")

local GUARD = guarding.guard({
    { name = "masked", action = "mask", words = "𠮷\nred𠮷apple\nbad" },
    { name = "blocked", action = "block", words = "𠀀" },
})
local HIGH, LOW, OTHER_LOW = "\\ud842", "\\udfb7", "\\udfb8"
local DONE = "data: [DONE]\n\n"

local function chat(text, choice)
    return ('data: {"choices":[{"index":%d,"delta":{"content":"%s"}}]}\n\n'):format(choice or 0, text)
end

local function arguments(text)
    return ('data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"%s"}}]}}]}\n\n'):format(text)
end

local function guard()
    return stream.guard_stream(answer.take_answer("chat", false), GUARD)
end

-- What goes on of events that come one by one, by event, and the stream.
local function each(events)
    local guarded, outs = guard(), {}
    for index, event in ipairs(events) do
        outs[index] = stream.read_guarded(guarded, event, index)
    end
    return outs, guarded
end

local function all(events)
    local outs, guarded = each(events)
    return table.concat(outs) .. stream.end_guarded(guarded, 99), guarded
end

describe("half of a surrogate pair in a guarded stream", function()
    it("waits for the other half, and both go on as they came", function()
        local outs, guarded = each({ chat("nice " .. HIGH), chat(OTHER_LOW .. " day"), DONE })
        assert.same({ "", chat("nice " .. HIGH) .. chat(OTHER_LOW .. " day"), DONE }, outs)
        assert.is_false(guarded.unreadable)
        assert.is_true(guarded.reader.complete)
    end)

    it("does not wait for strings without characters, and not when the text ends", function()
        local outs = each({ chat(HIGH), chat(""), chat(OTHER_LOW) })
        assert.same({ "", "", chat(HIGH) .. chat("") .. chat(OTHER_LOW) }, outs)
        for _, last in ipairs({ DONE, 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', arguments("{}") }) do
            outs = each({ chat("a" .. HIGH), last })
            assert.same({ "", chat("a" .. HIGH) .. last }, outs)
        end
        local guarded = guard()
        assert.equal("", stream.read_guarded(guarded, chat(HIGH), 1))
        assert.equal(chat(HIGH), stream.break_guarded(guarded, 2))
    end)

    it("goes on alone, be it the first or the second, or next to any character", function()
        for _, text in ipairs({ LOW, LOW .. HIGH, HIGH .. "x", HIGH .. "\\n", HIGH .. "敏", HIGH .. HIGH, HIGH .. "\\u0041", "x" .. LOW .. "x" }) do
            local out, guarded = all({ chat(text), chat("y"), DONE })
            assert.equal(chat(text) .. chat("y") .. DONE, out)
            assert.is_false(guarded.unreadable)
        end
    end)

    it("does not end the words around it", function()
        assert.equal(chat("███" .. HIGH) .. chat("███") .. DONE, (all({ chat("bad" .. HIGH), chat("bad"), DONE })))
        assert.equal(chat("ba" .. HIGH) .. chat("d") .. DONE, (all({ chat("ba" .. HIGH), chat("d"), DONE })))
    end)

    it("is found with the other half, whatever comes between them", function()
        assert.equal(chat("a█") .. chat("█b") .. DONE, (all({ chat("a" .. HIGH), chat(LOW .. "b"), DONE })))
        assert.equal(chat("█") .. chat("x", 1) .. chat("█") .. DONE, (all({ chat(HIGH), chat("x", 1), chat(LOW), DONE })))
        local out, guarded = all({ chat("x"), chat("\\ud840"), chat("\\udc00"), chat("y") })
        assert.equal(chat("x"), out)
        assert.is_true(guarded.blocked)
    end)

    it("is found too if another text's turn came between", function()
        local out, guarded = all({ chat("\\ud840"), arguments("{}"), chat("\\udc00y"), DONE })
        assert.is_true(guarded.blocked)
        assert.is_nil(out:find("udc00", 1, true))
    end)

    it("is found in a tool call's arguments", function()
        local out = all({ arguments("{\\\"a\\\":\\\"" .. HIGH), arguments(LOW .. "\\\"}"), DONE })
        assert.is_nil(out:find("udfb7", 1, true))
    end)

    it("lets no word out however it is cut into events and bytes", function()
        local units = { "r", "e", "d", HIGH, LOW, "a", "\\u0070", "p", "l", "e" }
        for first = 0, #units - 1 do
            for second = first, #units - 1 do
                local events = {
                    chat("x" .. table.concat(units, "", 1, first)), chat(table.concat(units, "", first + 1, second)),
                    chat(table.concat(units, "", second + 1) .. "y"), DONE,
                }
                local whole = all(events)
                assert.is_nil(whole:find("ud842", 1, true))
                assert.is_nil(whole:find("udfb7", 1, true))
                assert.is_nil(whole:find("r", whole:find('"x', 1, true), true))
                local bytes, pieces = table.concat(events), {}
                for at = 1, #bytes do
                    pieces[at] = bytes:sub(at, at)
                end
                assert.equal(whole, (all(pieces)))
            end
        end
    end)

    it("costs no usage, and is no fault in a name", function()
        local out, guarded = all({ 'data: {"a' .. HIGH .. '":1,"choices":[{"index":0,"delta":{"content":"' .. HIGH
            .. '"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n', DONE })
        assert.is_truthy(out:find('"completion_tokens":4', 1, true))
        assert.same({ 3, 4 }, { guarded.reader.usage.input, guarded.reader.usage.output })
        assert.is_false(guarded.unreadable)
    end)
end)

describe("half of a surrogate pair in a stream without a guard", function()
    it("costs no usage", function()
        local reader = answer.take_answer("chat", false)
        local event = 'data: {"choices":[{"index":0,"delta":{"content":"' .. HIGH .. '"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
        assert.is_nil(answer.read_stream(reader, event))
        assert.same({ 3, 4, false }, { reader.usage.input, reader.usage.output, reader.malformed })
    end)
end)

describe("a guarded body with half of a surrogate pair", function()
    local function pass(content, size)
        local guarded = body.guard_body(answer.take_answer("chat", false), GUARD)
        for at = 1, #content, size do
            body.read_guarded_body(guarded, content:sub(at, at + size - 1))
        end
        return body.end_guarded_body(guarded)
    end
    local function message(text)
        return '{"choices":[{"index":0,"message":{"role":"assistant","content":"' .. text
            .. '"},"finish_reason":"length"}],"usage":{"completion_tokens":1}}'
    end

    it("goes out as it came, or masked", function()
        for size = 1, 40 do
            assert.equal(message("a day " .. HIGH), pass(message("a day " .. HIGH), size))
            assert.equal(message("a ███" .. HIGH), pass(message("a bad" .. HIGH), size))
            assert.equal(message(LOW .. "█" .. HIGH), pass(message(LOW .. HIGH .. LOW .. HIGH), size))
        end
    end)

    it("is blocked, and stays JSON", function()
        assert.equal((message(""):gsub("length", "content_filter")), pass(message("\\ud840\\udc00" .. HIGH), 7))
    end)
end)
