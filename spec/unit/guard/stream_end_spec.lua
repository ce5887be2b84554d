-- How a guarded stream ends: because something blocks, because the upstream breaks off, because an event can't be read.

local answer = require("sluice.wire.answer")
local guarding = require("spec.unit.guard.guarding")
local sent = require("sluice.guard.sent")
local stream = require("sluice.guard.stream")

local GUARD = guarding.guard({
    { name = "masked", action = "mask", words = "敏感词\n敏感\nbad" },
    { name = "blocked", action = "block", words = "禁止\n敏禁" },
    { name = "poisons", action = "block", words = "poison" },
    { name = "flagged", action = "flag", words = "noted" },
})

local function chat(choice, text)
    return ('data: {"id":"c%d","choices":[{"index":%d,"delta":{"content":"%s"}}]}\n\n'):format(choice, choice, text)
end

local function finish(choice)
    return ('data: {"choices":[{"index":%d,"delta":{},"finish_reason":"stop"}]}\n\n'):format(choice)
end

local function guard(api, drop_usage)
    return stream.guard_stream(answer.take_answer(api or "chat", drop_usage or false), GUARD)
end

local function read(guarded, chunks, now)
    local parts = {}
    for index, chunk in ipairs(chunks) do
        parts[index] = stream.read_guarded(guarded, chunk, now or index)
    end
    return table.concat(parts)
end

describe("a guarded stream in which something blocks", function()
    it("ends before the event in which that begins", function()
        local guarded = guard()
        local out = read(guarded, { chat(0, "x敏"), chat(1, "感"), chat(0, "感"), chat(1, "禁"), chat(0, "y"), chat(1, "止"), chat(0, "z") })
        assert.equal(chat(0, "x█") .. chat(1, "感") .. chat(0, "█"), out)
        assert.is_true(guarded.blocked)
        assert.same({ flagged = 0, masked = 1, blocked = 1, blocked_by = "blocked" }, guarded.tally)
        assert.equal("", read(guarded, { chat(0, "x"), finish(0) }))
        assert.equal("", stream.break_guarded(guarded, 9))
        assert.equal("", stream.end_guarded(guarded, 9))
    end)

    it("ends there too if it comes in one piece", function()
        local guarded = guard()
        local before, behind = chat(0, "x") .. ": y\n\n", chat(0, "禁") .. chat(0, "止z") .. chat(0, "poison") .. "data: [DONE]\n\n"
        assert.equal(before, read(guarded, { before .. behind, "data: [DONE]\n\n" }))
        assert.is_true(guarded.blocked)
        assert.equal("blocked", guarded.tally.blocked_by)
    end)

    it("ends before the first of several, and names its list", function()
        local guarded = guard()
        assert.equal(chat(2, "x"), read(guarded, { chat(2, "x"), chat(0, "poison"), chat(1, "禁"), chat(1, "止") }))
        assert.same({ 1, "poisons" }, { guarded.tally.blocked, guarded.tally.blocked_by })
        guarded = guard()
        assert.equal("", read(guarded, { chat(1, "禁"), chat(0, "poison"), chat(1, "止") }))
        assert.same({ 1, "blocked" }, { guarded.tally.blocked, guarded.tally.blocked_by })
    end)

    it("lets go of no beginning that it shares with a word to be masked", function()
        local guarded = guard()
        assert.equal("", read(guarded, { chat(0, "敏"), chat(0, "禁") }))
        assert.is_true(guarded.blocked)
    end)

    it("knows what an ending of our own has to say", function()
        local guarded = guard()
        read(guarded, { ": hello\n\n", chat(3, "a"), chat(1, "b"), finish(3), chat(4, "禁"), finish(1), chat(2, "d"), chat(4, "止") })
        local had = guarded.held.sent
        assert.equal(chat(3, "a"):match("data: (.*)\n\n"), sent.first_data(had))
        assert.same({ 1, 2, 4 }, sent.open_choices(had, guarded.text.fields))
        guarded = guard()
        read(guarded, { chat(0, "poison "), chat(0, "x") })
        assert.is_nil(sent.first_data(guarded.held.sent))
        assert.same({ 0 }, sent.open_choices(guarded.held.sent, guarded.text.fields))
        assert.same({ 0 }, sent.open_choices(sent.new_sent(), {}))
        guarded = guard()
        read(guarded, { chat(0, "x"), finish(0) })
        assert.same({}, sent.open_choices(guarded.held.sent, guarded.text.fields))
    end)

    it("has the first event with data, though a comment came in the same piece", function()
        local guarded = guard()
        read(guarded, { ": hello\n\n" .. chat(3, "a") .. chat(1, "b"), chat(0, "禁止") })
        assert.equal(chat(3, "a"):match("data: (.*)\n\n"), sent.first_data(guarded.held.sent))
    end)

    it("knows it of what was masked as it was sent", function()
        local guarded = guard()
        read(guarded, { (chat(0, "敏感x"):gsub('"c0"', '"敏感"')), chat(0, "禁止") })
        assert.equal('{"id":"敏感","choices":[{"index":0,"delta":{"content":"██x"}}]}', sent.first_data(guarded.held.sent))
    end)

    it("knows the block that is open, and the number of the last event", function()
        local function block(kind, index, text)
            return ('data: {"type":"content_block_%s","index":%d,"delta":{"type":"text_delta","text":"%s"}}\n\n'):format(kind, index, text)
        end
        local guarded = guard("messages")
        read(guarded, { 'data: {"type":"message_start","message":{"id":"m"}}\n\n', block("start", 0, ""), block("delta", 0, "a") })
        assert.equal(0, guarded.held.sent.open_block)
        read(guarded, { block("stop", 0, "") })
        assert.equal(-1, guarded.held.sent.open_block)
        read(guarded, { block("start", 1, ""), block("delta", 1, "禁"), block("delta", 1, "x"), block("delta", 1, "禁") })
        assert.equal(1, guarded.held.sent.open_block)
        read(guarded, { block("delta", 2, "x"), block("stop", 0, ""), block("start", 2, ""), block("delta", 1, "止") })
        assert.is_true(guarded.blocked)
        assert.equal(1, guarded.held.sent.open_block)

        local function delta(sequence, text)
            return ('data: {"type":"response.output_text.delta","output_index":0,"sequence_number":%d,"delta":"%s"}\n\n'):format(sequence, text)
        end
        guarded = guard("responses")
        assert.equal(-1, guarded.held.sent.sequence)
        read(guarded, { delta(4, "a"), delta(5, "禁"), delta(6, ""), delta(7, "止") })
        assert.is_true(guarded.blocked)
        assert.equal(4, guarded.held.sent.sequence)
    end)
end)

describe("what a guarded response repeats", function()
    local delta = 'data: {"type":"response.output_text.delta","output_index":0,"delta":"noted 敏感"}\n\n'
    local done = 'data: {"type":"response.output_text.done","output_index":0,"text":"noted 敏感"}\n\n'

    it("counts once", function()
        local guarded = guard("responses")
        assert.equal(delta:gsub("敏感", "██") .. done:gsub("敏感", "██"), read(guarded, { delta, done }))
        assert.same({ flagged = 1, masked = 1, blocked = 0 }, guarded.tally)
    end)

    it("counts if nothing was there before", function()
        local guarded = guard("responses")
        read(guarded, { done })
        assert.equal(1, guarded.tally.flagged)
    end)
end)

describe("a guarded stream that breaks off", function()
    it("lets go of what it held back, and of no half event", function()
        local guarded = guard()
        assert.equal("", read(guarded, { chat(0, "敏"), chat(0, "，"), 'data: {"choices":[{"index":0,"delta":{"content":"感' }))
        assert.equal(chat(0, "敏") .. chat(0, "，"), stream.break_guarded(guarded, 5))
        assert.equal("", stream.break_guarded(guarded, 6))
        assert.is_false(guarded.blocked)
    end)

    it("masks a word that nothing follows any more", function()
        local guarded = guard()
        assert.equal("", read(guarded, { chat(0, "ba"), chat(0, "d") }))
        assert.equal(chat(0, "██") .. chat(0, "█"), stream.break_guarded(guarded, 5))
        assert.equal(1, guarded.tally.masked)
    end)

    it("blocks because of a word that nothing follows any more", function()
        for _, ending in ipairs({ "break_guarded", "end_guarded" }) do
            local guarded = guard()
            assert.equal(chat(0, "x "), read(guarded, { chat(0, "x "), chat(0, "poi"), chat(1, "y"), chat(0, "son") }))
            assert.equal("", stream[ending](guarded, 5))
            assert.is_true(guarded.blocked)
            assert.equal("poisons", guarded.tally.blocked_by)
        end
    end)

    it("reads the last event that has no blank line behind it", function()
        local guarded = guard()
        local half = chat(0, "感x"):sub(1, -3)
        assert.equal("", read(guarded, { chat(0, "敏"), half:sub(1, 20), half:sub(21) }))
        assert.equal(chat(0, "█") .. chat(0, "█x"):sub(1, -3), stream.end_guarded(guarded, 5))
        guarded = guard()
        read(guarded, { chat(0, "x"), chat(0, "禁止"):sub(1, -3) })
        assert.equal("", stream.end_guarded(guarded, 5))
        assert.is_true(guarded.blocked)
    end)

    it("has nothing left if nothing came", function()
        assert.equal("", stream.end_guarded(guard(), 1))
        assert.equal("", stream.break_guarded(guard(), 1))
    end)
end)

describe("a guarded stream that can't be read", function()
    it("goes on up to that event", function()
        for _, wrong in ipairs({ "data: {\n\n", "data: x\n\n", 'data: {"a":1,"a":2}\n\n', "data: \255\n\n", 'data: {"choices":[]}}\n\n' }) do
            local guarded = guard()
            assert.equal("", read(guarded, { chat(0, "敏") }))
            assert.equal(chat(0, "敏"), read(guarded, { wrong }))
            assert.is_true(guarded.unreadable)
            guarded = guard()
            assert.equal(chat(0, "a") .. chat(0, "██"), read(guarded, { chat(0, "a") .. chat(0, "敏感") .. wrong .. chat(0, "b") }))
            assert.is_true(guarded.unreadable)
            guarded = guard()
            assert.equal("", read(guarded, { chat(0, "poison") .. wrong }))
            assert.is_true(guarded.blocked)
        end
    end)

    it("has an event that is too long", function()
        local guarded = guard()
        read(guarded, { chat(0, "敏"), 'data: {"choices":[{"index":1,"delta":{"content":"' })
        local out = read(guarded, { ("x "):rep(2097152), "x" })
        assert.is_true(guarded.reader.oversized)
        assert.equal(chat(0, "敏"), out .. stream.break_guarded(guarded, 3))
    end)
end)

describe("a guarded stream without the usage that its client did not ask for", function()
    it("leaves that event out, wherever it comes", function()
        local usage = 'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
        local guarded = guard("chat", true)
        assert.equal(chat(0, "a"), read(guarded, { usage, chat(0, "a"), chat(0, "敏"), usage }))
        assert.equal(4, guarded.reader.usage.output)
        assert.equal(chat(0, "敏") .. "data: [DONE]\n\n", read(guarded, { "data: [DONE]\n\n" }))
        assert.equal(chat(0, "a"):match("data: (.*)\n\n"), sent.first_data(guarded.held.sent))
        guarded = guard("chat", false)
        assert.equal(usage .. chat(0, "敏") .. usage, read(guarded, { usage, chat(0, "敏"), usage }) .. stream.end_guarded(guarded, 2))
    end)
end)

describe("what a guarded stream's client has had", function()
    it("has its first data, in one line", function()
        for bytes, data in pairs({
            ["data: {}\n\n"] = "{}", ["data:{}\r\n\r\n"] = "{}", [": x\r\revent: y\rdata: {1}\r\r"] = "{1}", ["event: data: 1\ndata:  2\n\n"] = " 2",
        }) do
            local made = sent.new_sent()
            assert.is_nil(sent.first_data(made))
            sent.note_sent(made, ": none\n\n", false, nil, -1, -1)
            sent.note_sent(made, bytes, true, nil, -1, -1)
            sent.note_sent(made, "data: later\n\n", true, nil, -1, -1)
            assert.equal(data, sent.first_data(made))
        end
    end)
end)

describe("a guarded stream whose usage nobody asked for", function()
    local USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}\n\n'

    it("goes on without it, wherever its lines and their ends are cut", function()
        for _, line_end in ipairs({ "\n", "\r", "\r\n" }) do
            local kept = (chat(0, "x") .. finish(0)):gsub("\n", line_end)
            local whole = kept .. USAGE:gsub("\n", line_end) .. ("data: [DONE]\n\n"):gsub("\n", line_end)
            local expected = kept .. ("data: [DONE]\n\n"):gsub("\n", line_end)
            for cut = 1, #whole - 1 do
                local guarded = guard("chat", true)
                local out = read(guarded, { whole:sub(1, cut), whole:sub(cut + 1) }) .. stream.end_guarded(guarded, 9)
                assert.equal(expected, out)
            end
            local guarded, chunks = guard("chat", true), {}
            for byte in whole:gmatch(".") do
                chunks[#chunks + 1] = byte
            end
            assert.equal(expected, read(guarded, chunks) .. stream.end_guarded(guarded, 9))
        end
    end)
end)
