-- A guarded stream in cases that are written down: what is held back and for how long, in which order it goes on, and how it ends.

local answer = require("sluice.wire.answer")
local guarding = require("spec.unit.guard.guarding")
local sent = require("sluice.guard.sent")
local stream = require("sluice.guard.stream")

local GUARD = guarding.guard({
    { name = "masked", action = "mask", words = "敏感词\n敏感\nbad\n词语录" },
    { name = "blocked", action = "block", words = "禁止\npoison\n敏禁" },
    { name = "flagged", action = "flag", words = "noted\n记下来" },
})

local function chat(choice, text)
    return ('data: {"choices":[{"index":%d,"delta":{"content":"%s"}}]}\n\n'):format(choice, text)
end

local function finish(choice)
    return ('data: {"choices":[{"index":%d,"delta":{},"finish_reason":"stop"}]}\n\n'):format(choice)
end

local function guard(api, drop_usage)
    return stream.guard_stream(answer.take_answer(api or "chat", drop_usage or false), GUARD)
end

-- steps: each { chunk, what goes on then }; one after the other, the first at second 1.
local function follow(guarded, steps)
    for second, step in ipairs(steps) do
        assert.equal(step[2], stream.read_guarded(guarded, step[1], second), "step " .. second)
    end
    return guarded
end

describe("a guarded stream", function()
    it("lets go at once of what nothing can begin in", function()
        local guarded = guard()
        for _, text in ipairs({ "", "x", "感禁x", "badge", "abad", "记下", "来", "note", "d" }) do
            assert.equal(chat(0, text), stream.read_guarded(guarded, chat(0, text), 1))
            assert.equal(0, guarded.held.count)
        end
        assert.same({ flagged = 1, masked = 0, blocked = 0 }, guarded.tally)
        assert.equal(0, guarded.held.longest)
    end)

    it("holds back the events from the one on in which something begins, and no other", function()
        local guarded = follow(guard(), {
            { chat(0, "词"), "" }, { chat(0, "敏"), chat(0, "词") }, { chat(0, "x"), chat(0, "敏") .. chat(0, "x") },
            { chat(0, "敏"), "" }, { ": ping\n\n", "" }, { chat(0, "，"), "" }, { chat(0, "感"), "" },
            { chat(0, "x"), chat(0, "█") .. ": ping\n\n" .. chat(0, "，") .. chat(0, "█") .. chat(0, "x") },
            { chat(0, "敏感"), "" }, { chat(0, "词语"), chat(0, "██") }, { chat(0, ""), "" },
        })
        assert.equal(2, guarded.held.count)
        assert.equal(#(chat(0, "词语") .. chat(0, "")), guarded.held.bytes)
        assert.equal(chat(0, "█语") .. chat(0, "") .. chat(0, "x"), stream.read_guarded(guarded, chat(0, "x"), 12))
        assert.equal(0, guarded.held.count)
        assert.equal(0, guarded.held.bytes)
        assert.equal(2, guarded.tally.masked)
    end)

    it("keeps the order of its choices", function()
        follow(guard(), {
            { chat(0, "敏"), "" }, { chat(1, "one"), "" }, { chat(2, "敏"), "" }, { chat(0, "x"), chat(0, "敏") .. chat(1, "one") },
            { chat(1, "two"), "" }, { chat(2, "感"), "" }, { chat(2, "！"), "" },
            { chat(2, "y"), chat(2, "█") .. chat(0, "x") .. chat(1, "two") .. chat(2, "█") .. chat(2, "！") .. chat(2, "y") },
        })
    end)

    it("measures how long it held back, on the clock that it is given", function()
        local guarded = guard()
        stream.read_guarded(guarded, chat(0, "敏"), 10)
        stream.read_guarded(guarded, chat(0, " "), 12.5)
        assert.equal(0, guarded.held.longest)
        stream.read_guarded(guarded, chat(0, "x"), 20)
        assert.equal(10, guarded.held.longest)
        stream.read_guarded(guarded, chat(0, "敏"), 21)
        stream.read_guarded(guarded, chat(0, "x"), 22)
        assert.equal(10, guarded.held.longest)
        stream.read_guarded(guarded, chat(0, "敏"), 30)
        stream.end_guarded(guarded, 100)
        assert.equal(70, guarded.held.longest)
    end)

    it("holds a text back no longer than it goes on", function()
        local tool = 'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1"}}]}}]}\n\n'
        follow(guard(), { { chat(0, "敏"), "" }, { tool, chat(0, "敏") .. tool } })
        follow(guard(), { { chat(0, "bad"), "" }, { finish(1), "" }, { finish(0), chat(0, "███") .. finish(1) .. finish(0) } })
        follow(guard(), { { chat(0, "敏"), "" }, { "data: [DONE]\n\n", chat(0, "敏") .. "data: [DONE]\n\n" } })
        local function block(form, number)
            return ('data: {"type":"content_block_' .. form .. '}\n\n'):format(number)
        end
        local start, stop = block('delta","index":%d,"delta":{"text":"敏"}', 1), 'stop","index":%d'
        follow(guard("messages"), { { start, "" }, { block(stop, 0), "" }, { block(stop, 1), start .. block(stop, 0) .. block(stop, 1) } })
        local untyped = 'data: {"index":1,"delta":{"text":"敏"}}\n\n'
        follow(guard("messages"), { { block(stop, 1), block(stop, 1) }, { untyped, "" }, { block(stop, 1), untyped .. block(stop, 1) } })
        local function response(kind, number)
            return ('data: {"type":"response.output_text.%s","output_index":%d,"delta":"敏"}\n\n'):format(kind, number)
        end
        follow(guard("responses"), {
            { response("delta", 0), "" }, { response("done", 1), "" },
            { response("done", 0), response("delta", 0) .. response("done", 1) .. response("done", 0) },
        })
    end)

    it("has eight separators inside a word, and not nine", function()
        local eight = (" "):rep(8)
        assert.equal(chat(0, "█" .. eight .. "█x"), stream.read_guarded(guard(), chat(0, "敏" .. eight .. "感x"), 1))
        local first, second = chat(0, "敏    "), chat(0, "    ")
        follow(guard(), { { first, "" }, { second, "" }, { chat(0, " "), first .. second .. chat(0, " ") }, { chat(0, "感"), chat(0, "感") } })
        follow(guard(), { { first, "" }, { second, "" }, { chat(0, "感!x"), chat(0, "█    ") .. second .. chat(0, "█!x") } })
        assert.equal(chat(0, "敏 " .. eight .. "感x"), stream.read_guarded(guard(), chat(0, "敏 " .. eight .. "感x"), 1))
    end)

    it("lets no word out alone that the letter behind it has refuted", function()
        local first, other, letter = chat(0, "bad"), chat(1, "禁"), chat(0, "ge")
        follow(guard(), { { first, "" }, { other, "" }, { letter, "" }, { chat(1, "x"), first .. other .. letter .. chat(1, "x") } })
        local guarded = follow(guard(), { { first, "" }, { other, "" }, { letter, "" }, { chat(1, "止"), "" } })
        assert.is_true(guarded.blocked)
        guarded = follow(guard(), { { first, "" }, { letter, first .. letter }, { other, "" }, { chat(1, "止"), "" } })
        assert.is_true(guarded.blocked)
    end)

    it("lets the parts of a syllable go together", function()
        local lists = { { words = "ㅅㅂ\n가각", action = "block" } }
        -- What the last letter of ㅅㅂ has become; the stream is cut off in the event that makes it that.
        for _, parts in ipairs({ { "ㄹㅅ", "ㅂ", "ㅣ가", "각" }, { "ㅅ", "ㅂ", "ㅏㅁ가", "각" }, { "ㅅ", "ㅂ\\u200b", "\\u200bㅏㅁ가각" } }) do
            local guarded, out = stream.guard_stream(answer.take_answer("chat", false), guarding.guard(lists)), {}
            for number, part in ipairs(parts) do
                out[number] = stream.read_guarded(guarded, chat(0, part), number)
            end
            assert.is_true(guarded.blocked)
            assert.is_nil(table.concat(out):find("ㅂ", 1, true))
        end
    end)

    it("goes on when more than 256 KiB would be held back, and masks what is left", function()
        local filler = chat(1, ("y"):rep(8192 - #chat(1, "")))
        for _, case in ipairs({ { "敏", "感x", "敏", "█x" }, { "bad", "x", "███", "x" }, { "敏感", "词", "██", "词" } }) do
            local guarded, out = guard(), {}
            stream.read_guarded(guarded, chat(0, case[1]), 0)
            for count = 1, 31 do
                assert.equal("", stream.read_guarded(guarded, filler, count))
            end
            local most = guarded.held.bytes
            assert.is_true(most <= 262144)
            out[1] = stream.read_guarded(guarded, filler, 32)
            assert.equal(chat(0, case[3]) .. filler:rep(32), out[1])
            assert.equal(0, guarded.held.bytes)
            out[2] = stream.read_guarded(guarded, chat(0, case[2]), 33) .. stream.end_guarded(guarded, 34)
            assert.equal(chat(0, case[4]), out[2])
            assert.equal(32, guarded.held.longest)
        end
        local guarded = guard()
        stream.read_guarded(guarded, chat(0, "禁"), 0)
        assert.equal(chat(0, "禁") .. filler:rep(32), stream.read_guarded(guarded, filler:rep(32), 1))
        assert.equal("", stream.read_guarded(guarded, chat(0, "止"), 2))
        assert.is_true(guarded.blocked)
        guarded = guard()
        stream.read_guarded(guarded, chat(2, "x") .. chat(0, "poison"), 0)
        assert.equal("", stream.read_guarded(guarded, filler:rep(33), 1))
        assert.is_true(guarded.blocked)
    end)

    it("reads 256 texts, and can't read more", function()
        local guarded = guard()
        for choice = 0, 254 do
            assert.equal(chat(choice, "x"), stream.read_guarded(guarded, chat(choice, "x"), 1))
        end
        follow(guarded, { { chat(0, "敏"), "" }, { chat(255, "感"), "" }, { chat(0, "感x"), chat(0, "█") .. chat(255, "感") .. chat(0, "█x") } })
        assert.is_false(guarded.unreadable)
        assert.equal("", stream.read_guarded(guarded, chat(256, "x"), 1))
        assert.is_true(guarded.unreadable)
    end)

    it("takes a string without characters for nothing", function()
        local function both(text)
            local form = 'data: {"choices":[{"index":0,"delta":{"content":"%s","reasoning_content":"","refusal":""},"finish_reason":""}]}\n\n'
            return form:format(text)
        end
        follow(guard(), { { both("x敏"), "" }, { both(""), "" }, { both("感y"), both("x█") .. both("") .. both("█y") } })
        local guarded = guard()
        follow(guarded, { { both("禁"), "" }, { both("止"), "" } })
        assert.is_true(guarded.blocked)
        assert.same({ 0 }, sent.open_choices(guarded.held.sent, guarded.text.fields))
    end)

    it("finds what stands behind a byte order mark, wherever that is cut", function()
        local whole = "\239\187\191" .. chat(0, "x敏感") .. chat(0, "y")
        for cut = 1, #whole - 1 do
            local guarded = guard()
            local out = stream.read_guarded(guarded, whole:sub(1, cut), 1) .. stream.read_guarded(guarded, whole:sub(cut + 1), 2)
            assert.equal("\239\187\191" .. chat(0, "x██") .. chat(0, "y"), out .. stream.end_guarded(guarded, 3))
        end
    end)

    it("masks alternatives in log probabilities by taking these out, and nothing else", function()
        local function event(logprobs)
            return ('data: {"choices":[{"index":0,"delta":{"content":"a "},"logprobs":%s,"finish_reason":null}]}\n\n'):format(logprobs)
        end
        local given = '{"content":[{"token":"a ","logprob":-1,"top_logprobs":[{"token":"敏感","logprob":-2},{"token":"敏感"}]}]}'
        assert.equal(event("null"), stream.read_guarded(guard(), event(given), 1))
        local legacy = '{"tokens":["a "],"top_logprobs":[{"敏感":-1,"b":-2}]}'
        assert.equal(event("null"), stream.read_guarded(guard(), event(legacy), 1))
    end)

    -- Clients pass such lines over, and what they are nobody has said.
    it("leaves out lines that no stream has", function()
        for _, line in ipairs({ "Data: x", " data: x", '{"choices":[]}', "data : x", "dat", "events: x", "idx", "\255\254d\0", "poison", "x: bad",
            ": \255", "id: \237\160\128", "event: \192\175", ": 敏\230\132" }) do
            for _, line_end in ipairs({ "\n", "\r\n", "\r" }) do
                local guarded = guard()
                assert.equal(line_end, stream.read_guarded(guarded, line .. line_end .. line_end, 1))
                assert.is_false(guarded.unreadable, line)
                -- The LF of the last CR LF is the client's as well.
                local data = chat(0, "x"):sub(1, -3)
                local event = ": a" .. line_end .. line .. line_end .. line .. line_end .. data .. line_end .. line .. line_end .. line_end
                assert.equal(": a" .. line_end .. data .. line_end .. line_end, stream.read_guarded(guarded, event, 2))
                assert.equal("", stream.read_guarded(guarded, line, 3))
                assert.equal("", stream.end_guarded(guarded, 4))
                assert.same({ flagged = 0, masked = 0, blocked = 0 }, guarded.tally)
            end
        end
        for _, line in ipairs({ ": x", ":", "event: x", "event", "event:", "id: 1", "id", "retry: 1", "data", "data:", "data: ", "data:   " }) do
            local guarded = guard()
            assert.equal(line .. "\n\n", stream.read_guarded(guarded, line .. "\n\n", 1))
            assert.is_false(guarded.unreadable, line)
        end
    end)

    it("can't read an event of which not all log probabilities can be taken out", function()
        local choices = {}
        for index = 0, 139 do
            choices[index + 1] = ('{"index":%d,"logprobs":{"tokens":["x"]}}'):format(index)
        end
        local guarded = guard()
        assert.equal("", stream.read_guarded(guarded, 'data: {"choices":[' .. table.concat(choices, ",") .. "]}\n\n", 1))
        assert.is_true(guarded.unreadable)
    end)

    it("goes on where offsets begin anew", function()
        for _, offset in ipairs({ 268435300, 268435456, 268435457, 268500000 }) do
            local guarded = guard()
            stream.read_guarded(guarded, chat(0, "记"), 1)
            guarded.offset = offset
            follow(guarded, {
                { chat(0, "下"), chat(0, "下") }, { chat(0, "来敏"), "" }, { chat(0, "感"), "" },
                { chat(0, "x"), chat(0, "来█") .. chat(0, "█") .. chat(0, "x") }, { chat(1, "敏感x"), chat(1, "██x") },
            })
            assert.equal(1, guarded.tally.flagged)
            assert.equal(2, guarded.tally.masked)
            assert.equal(0, guarded.offset)
        end
    end)
end)

describe("a guarded stream whose events number their texts late", function()
    it("is told apart all the same", function()
        local function late(text)
            return ('{"delta":{"content":"%s"},"index":%d}'):format(text[1], text[2])
        end
        local function event(...)
            local choices = { ... }
            for index, choice in ipairs(choices) do
                choices[index] = late(choice)
            end
            return 'data: {"choices":[' .. table.concat(choices, ",") .. "]}\n\n"
        end
        follow(guard(), {
            { event({ "敏", 0 }, { "感", 1 }), "" },
            { event({ "感", 1 }, { "感x", 0 }, { "敏", 2 }), event({ "█", 0 }, { "感", 1 }) },
            { chat(2, "x"), event({ "感", 1 }, { "█x", 0 }, { "敏", 2 }) .. chat(2, "x") },
        })
        local function calls(...)
            local made = { ... }
            for index, call in ipairs(made) do
                made[index] = ('{"function":{"arguments":"%s"},"index":%d}'):format(call[1], call[2])
            end
            return 'data: {"choices":[{"delta":{"tool_calls":[' .. table.concat(made, ",") .. ']},"index":0}]}\n\n'
        end
        local first, second = calls({ '\\"敏', 1 }), calls({ "感x", 2 })
        follow(guard(), { { first, "" }, { second, first .. second }, { calls({ "感", 3 }, { "词", 2 }), "" } })
        follow(guard(), { { first, "" }, { calls({ '感\\"', 1 }), calls({ '\\"█', 1 }) .. calls({ '█\\"', 1 }) } })
        -- Half of it is gone when the text goes on after all.
        local rest = { calls({ "感", 2 }, { "感x", 1 }), calls({ "感", 2 }, { "█x", 1 }) }
        follow(guard(), { { first, "" }, { second, first .. second }, rest })
    end)

    it("is one text whatever its number is", function()
        for _, number in ipairs({ "null", '"0"', "0.5", "-1", "1e1", "1e300", "2147483648", "4294967296", "12345678901234567890" }) do
            for api, form in pairs({
                chat = 'data: {"choices":[{"index":%s,"delta":{"content":"%s"}}]}\n\n',
                completions = 'data: {"choices":[{"text":"%s"}],"x":"%s"}\n\n',
                responses = 'data: {"type":"response.output_text.delta","output_index":%s,"delta":"%s"}\n\n',
                messages = 'data: {"type":"content_block_delta","index":%s,"delta":{"text":"%s"}}\n\n',
            }) do
                local function event(text)
                    return api == "completions" and form:format(text, "y") or form:format(number, text)
                end
                local expected = event("█") .. event("█x")
                assert.equal(expected, stream.read_guarded(guard(api), event("敏") .. event("感x"), 1), number)
                follow(guard(api), { { event("敏"), "" }, { event("感x"), expected } })
            end
        end
    end)

    it("can be read with 128 of them and not with more", function()
        for _, form in ipairs({
            { '{"choices":[%s]}', '{"delta":{"content":"x"},"index":%d}' },
            { '{"choices":[{"delta":{"tool_calls":[%s]},"index":0}]}', '{"function":{"arguments":"1"},"index":%d}' },
        }) do
            for _, count in ipairs({ 128, 129 }) do
                local parts = {}
                for number = 1, count do
                    parts[number] = form[2]:format(number)
                end
                local event = "data: " .. form[1]:format(table.concat(parts, ",")) .. "\n\n"
                local guarded = guard()
                assert.equal(count == 128 and event or "", stream.read_guarded(guarded, event, 1))
                assert.equal(count > 128, guarded.unreadable)
            end
        end
    end)
end)

describe("log probabilities of a guarded stream", function()
    local function event(text, tokens)
        return ('data: {"choices":[{"index":0,"delta":{"content":"%s"},"logprobs":%s},{"index":1,"logprobs":{"content":[]}}]}\n\n')
            :format(text, tokens)
    end
    local TOKENS = '{"content":[{"token":"%s","logprob":-1}]}'

    it("go where something of their event is masked, all of them", function()
        local gone = event("█", "null"):gsub('{"content":%[%]}', "null")
        follow(guard(), {
            { event("a", TOKENS:format("a")), event("a", TOKENS:format("a")) }, { event("敏", TOKENS:format("敏")), "" },
            { event("感", TOKENS:format("感")), "" },
            { event("x", TOKENS:format("x")), gone .. gone .. event("x", TOKENS:format("x")) },
        })
    end)

    it("are a text of their own, from event to event", function()
        local gone = event("", "null"):gsub('{"content":%[%]}', "null")
        follow(guard(), {
            { event("", TOKENS:format("敏")), "" }, { event("", TOKENS:format("感")), "" },
            { event("", TOKENS:format("x")), gone .. gone .. event("", TOKENS:format("x")) },
        })
    end)
end)
