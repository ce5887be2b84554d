-- The lines of a guarded stream that are no data: comments, event names, ids. What is found in them, wherever they stand and however
-- their bytes come, and that nothing else changes.

local answer = require("sluice.wire.answer")
local guarding = require("spec.unit.guard.guarding")
local stream = require("sluice.guard.stream")

local GUARD = guarding.guard({
    { name = "masked", action = "mask", words = "敏感词\nbad\nso far\nq n", whole = "ascii" },
    { name = "blocked", action = "block", words = "禁止\npoison" },
    { name = "flagged", action = "flag", words = "noted" },
}, { cn_mobile = "mask" })
-- The APIs' own names.
local NAMES = { "message_start", "response.output_text.delta", "ping", "error", "content_block_delta" }
local NAMED = guarding.guard({ { action = "block", words = table.concat(NAMES, "\n") } })

local function guard(api, wanted)
    return stream.guard_stream(answer.take_answer(api or "chat", false), wanted or GUARD)
end

-- What goes on of bytes that come in pieces of `size`, and the stream afterwards.
local function pass(bytes, size, api, wanted)
    local guarded, out = guard(api, wanted), {}
    for at = 1, #bytes, size do
        out[#out + 1] = stream.read_guarded(guarded, bytes:sub(at, at + size - 1), at)
        if guarded.blocked then
            return table.concat(out), guarded
        end
    end
    out[#out + 1] = stream.end_guarded(guarded, #bytes + 1)
    return table.concat(out), guarded
end

local function chat(text)
    return ('data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n'):format(text)
end

-- Events with a line without data in it (%s), by API.
local EVENTS = {
    chat = { "%s\n\n", "%s\n" .. chat("x") .. "\n", chat("x") .. "%s\n\n", "%s\n: x\nid: 7\n" .. chat("x") .. ": y\n\n", "%s\ndata: [DONE]\n\n" },
    completions = { "%s\ndata: {\"choices\":[{\"text\":\"x\",\"index\":0}]}\n\n" },
    messages = { "%s\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n" },
    responses = { "%s\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"x\"}\n\n" },
}
local LINE_ENDS = { "\n", "\r\n", "\r" }

-- All events above with that line, with each kind of line end.
local function each_event(line, check)
    for api, forms in pairs(EVENTS) do
        for _, form in ipairs(forms) do
            for _, line_end in ipairs(LINE_ENDS) do
                local function fill(text)
                    return (form:gsub("%%s", function() return text end):gsub("\n", line_end))
                end
                check(api, fill(line), fill)
            end
        end
    end
end

-- By what stands there, what goes on; each character is what it is, as nothing in a line is escaped.
local MASKED = {
    { "敏感词", "███" }, { "a bad one", "a ███ one" }, { "<敏-感 词>", "<█-█ █>" }, { "13812345678", "███████████" }, { "so  far, bad", "██  ███, ███" },
    { "bad\\u0062", "███\\u0062" }, { "\"bad\"", "\"███\"" }, { "so\\far", "██\\███" }, { "so\"far", "██\"███" }, { "q\\\"n", "█\\\"█" },
    { "so\tfar", "██\t███" },
}

describe("a line of a guarded stream that is no data", function()
    for _, name in ipairs({ ": ", ":", "event: ", "event:", "id: ", "id:", "retry: " }) do
        it("is masked, and nothing else changes: " .. name, function()
            for _, pair in ipairs(MASKED) do
                each_event(name .. pair[1], function(api, bytes, fill)
                    for _, size in ipairs({ 1, 3, #bytes }) do
                        local out, guarded = pass(bytes, size, api)
                        assert.equal(fill(name .. pair[2]), out)
                        assert.is_true(guarded.tally.masked > 0)
                        assert.is_false(guarded.unreadable)
                    end
                end)
            end
        end)

        it("ends the stream before its event if something in it blocks: " .. name, function()
            for _, text in ipairs({ "poison", "x 禁 止", "a\tPOISON." }) do
                each_event(name .. text, function(api, bytes)
                    local before = ": first" .. bytes:match("[\r\n]+"):sub(1, 1):rep(2)
                    for _, size in ipairs({ 1, #bytes }) do
                        local out, guarded = pass(before .. bytes, size, api)
                        assert.equal(before, out)
                        assert.is_true(guarded.blocked)
                        assert.equal("blocked", guarded.tally.blocked_by)
                    end
                end)
            end
        end)

        it("goes on as it is if nothing is found in it, or something that is only counted: " .. name, function()
            for text, flagged in pairs({ ["noted"] = 1, [""] = 0, ["x 敏感"] = 0, ["badge"] = 0, ["禁\\u6b62"] = 0, ["a:b: c"] = 0, ["\0\1"] = 0 }) do
                each_event(name .. text, function(api, bytes)
                    for _, size in ipairs({ 1, #bytes }) do
                        local out, guarded = pass(bytes, size, api)
                        assert.equal(bytes, out)
                        assert.same({ flagged = flagged, masked = 0, blocked = 0 }, guarded.tally)
                    end
                end)
            end
        end)
    end

    it("is no text if it names an event as the APIs do, and nothing but that", function()
        for _, name in ipairs(NAMES) do
            for _, line in ipairs({ "event: " .. name, "event:" .. name }) do
                each_event(line, function(api, bytes)
                    assert.equal(bytes, (pass(bytes, #bytes, api, NAMED)))
                end)
            end
            for _, line in ipairs({ "event: " .. name .. " ", "event:  " .. name, ": " .. name, "id: " .. name, "event: " .. name .. " x" }) do
                each_event(line, function(api, bytes)
                    local _, guarded = pass(bytes, #bytes, api, NAMED)
                    assert.is_true(guarded.blocked, line)
                end)
            end
        end
    end)

    it("is a text of its own", function()
        local bytes = ": 敏感\n: 词\nid: so\nevent: far\n" .. chat("敏感") .. ": 词\n\n: 感词\n\n" .. chat("x") .. "\n"
        for _, size in ipairs({ 1, 5, #bytes }) do
            local out, guarded = pass(bytes, size)
            assert.equal(bytes, out)
            assert.equal(0, guarded.tally.masked)
        end
    end)

    it("leaves the text of the data alone, however many there are of both", function()
        local bytes, expected = {}, {}
        for number = 1, 20 do
            bytes[number] = ": bad " .. number .. "\n" .. chat("敏") .. "\nid: bad\n" .. chat("感") .. "\n: 敏感词\n" .. chat("词") .. "\n"
            expected[number] = ": ███ " .. number .. "\n" .. chat("█") .. "\nid: ███\n" .. chat("█") .. "\n: ███\n" .. chat("█") .. "\n"
        end
        bytes, expected = table.concat(bytes), table.concat(expected)
        for _, size in ipairs({ 1, 7, 64, #bytes }) do
            local out, guarded = pass(bytes, size)
            assert.equal(expected, out)
            assert.equal(80, guarded.tally.masked)
        end
    end)

    it("goes on at once, unless something before it is held back", function()
        local guarded = guard()
        for _, line in ipairs({ ": ping", ": OPENROUTER PROCESSING", ":", ": 敏感", ": ba", "id: 12", "event: ping", "retry: 3000" }) do
            assert.equal(line .. "\n\n", stream.read_guarded(guarded, line .. "\n\n", 1))
        end
        assert.equal("", stream.read_guarded(guarded, chat("敏") .. "\n", 2))
        assert.equal("", stream.read_guarded(guarded, ": bad\n\n", 3))
        assert.equal("", stream.read_guarded(guarded, ": ping\nforeign\n\n", 4))
        assert.equal(chat("敏") .. "\n: ███\n\n: ping\n\n" .. chat("x") .. "\n", stream.read_guarded(guarded, chat("x") .. "\n", 5))
    end)

    it("takes no log probabilities of another event out", function()
        local event = 'data: {"choices":[{"index":0,"delta":{"content":"x"},"logprobs":{"content":[{"token":"x"}]}}]}\n'
        for _, last in ipairs({ ": bad\n\n", ": bad\ndata: [DONE]\n\n", "foreign\ndata: [DONE]\n\n" }) do
            local out = pass(event .. "\n" .. last, 1000)
            assert.equal(event .. "\n" .. last:gsub("bad", "███"):gsub("foreign\n", ""), out)
        end
    end)

    it("is not read where its event goes no further", function()
        local usage = 'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n'
        local guarded = stream.guard_stream(answer.take_answer("chat", true), GUARD)
        assert.equal("", stream.read_guarded(guarded, ": poison\n" .. usage, 1))
        assert.is_false(guarded.blocked)
    end)

    it("is one of at most 256 of an event", function()
        local most = (": x\n"):rep(256)
        assert.equal(most .. chat("x") .. "\n", (pass(most .. chat("x") .. "\n", 10000)))
        local out, guarded = pass(": a\n\n" .. most .. ": bad\n" .. chat("x") .. "\n", 10000)
        assert.equal(": a\n\n", out)
        assert.is_true(guarded.unreadable)
    end)

    it("is read to its end behind the last event too", function()
        assert.equal(": a ███", (pass(": a bad", 100)))
        assert.equal("id: ███\n", (pass("id: bad\n", 3)))
        local _, guarded = pass(chat("x") .. "\n: poison", 100)
        assert.is_true(guarded.blocked)
    end)
end)

-- What a stream without a guard has, it keeps.
describe("a stream without a guard", function()
    it("has every line that came", function()
        local bytes = ": bad\nforeign\n\255\nid: poison\nevent: x\n" .. chat("x") .. "\n"
        local reader = answer.take_answer("chat", false)
        assert.equal(bytes, answer.read_stream(reader, bytes) or bytes)
        answer.return_answer(reader)
        reader = answer.take_answer("chat", false)
        local crowd = (": x\n"):rep(1000) .. chat("x") .. "\n"
        assert.equal(crowd, answer.read_stream(reader, crowd) or crowd)
        assert.is_false(reader.oversized)
        answer.return_answer(reader)
    end)
end)
