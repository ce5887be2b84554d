-- Answers that are one JSON body, under a guard.

local answer = require("sluice.wire.answer")
local body = require("sluice.guard.body")
local cjson = require("cjson")
local guarding = require("spec.unit.guard.guarding")

local GUARD = guarding.guard({
    { name = "masked", action = "mask", words = "敏感词\n敏感\n感词语录\nsecret\n二" },
    { name = "flagged", action = "flag", words = "noted" },
    { name = "blocked", action = "block", words = "禁止\npoison" },
})

-- Returns what goes on of a body that comes in pieces of `size` bytes, and the guarded body afterwards.
local function pass(api, content, size)
    local reader = answer.take_answer(api, false)
    local guarded = body.guard_body(reader, GUARD)
    for at = 1, #content, size or math.max(#content, 1) do
        body.read_guarded_body(guarded, content:sub(at, at + (size or #content) - 1))
    end
    return body.end_guarded_body(guarded), guarded
end

-- By API: a body with %s where its text is.
local FORMS = {
    chat = '{"id":"x", "model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"%s","refusal":null},"logprobs":null,'
        .. '"finish_reason":"stop"}],\n"usage":{"prompt_tokens":3,"completion_tokens":4}}',
    completions = '{"choices":[{"text":"%s","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}',
    responses = '{"id":"r","object":"response","status":"completed","incomplete_details":null,"output":[{"type":"message","id":"i","content":'
        .. '[{"type":"output_text","text":"%s","annotations":[]}]}],"usage":{"input_tokens":1,"output_tokens":2}}',
    messages = '{"id":"m","type":"message","role":"assistant","content":[{"type":"text","text":"%s"}],"stop_reason":"end_turn",'
        .. '"usage":{"input_tokens":1,"output_tokens":2}}',
}

local function fill(form, ...)
    local texts, at = { ... }, 0
    return (form:gsub("%%s", function()
        at = at + 1
        return texts[at]
    end))
end

describe("a guarded body", function()
    for api, form in pairs(FORMS) do
        it("goes on byte for byte if nothing is found: " .. api, function()
            for _, text in ipairs({ "", "Nothing.", "\\u4f60\\n敏 \\\"啊感", "secrets", "😀\\ud83d\\ude00" }) do
                local content = "\r\n " .. fill(form, text) .. "\n"
                for _, size in ipairs({ 1, 2, 7, #content }) do
                    local out, guarded = pass(api, content, size)
                    assert.equal(content, out)
                    assert.is_false(guarded.blocked)
                    assert.same({ flagged = 0, masked = 0, blocked = 0 }, guarded.tally)
                end
            end
        end)

        it("keeps what is only flagged: " .. api, function()
            local content = fill(form, "noted, and noted again")
            local out, guarded = pass(api, content)
            assert.equal(content, out)
            assert.same({ flagged = 2, masked = 0, blocked = 0 }, guarded.tally)
        end)

        it("is masked exactly: " .. api, function()
            for _, pair in ipairs({
                { "敏感词", "███" }, { "a secret.", "a ██████." }, { "敏 感\\n词", "█ █\\n█" }, { "\\u654f\\u611F词", "███" },
                { "敏感词语录", "███语录", }, { "二二,二", "██,█" }, { "se\\u200bcret Secret ＳＥＣＲＥＴ", "██████ ██████ ██████" },
                { "\\\"敏感\\\\", "\\\"██\\\\" }, { "敏感x敏感词 二", "██x███ █" }, { "敏\\/感", "█\\/█" },
            }) do
                local content = fill(form, pair[1])
                for size = 1, 5 do
                    local out, guarded = pass(api, content, size == 5 and #content or size)
                    assert.equal(fill(form, pair[2]), out)
                    assert.is_false(guarded.blocked)
                    assert.is_true(guarded.tally.masked > 0)
                end
            end
        end)

        it("counts its usage all the same: " .. api, function()
            local _, guarded = pass(api, fill(form, "敏感词"))
            assert.is_true(guarded.reader.usage.output > 0)
        end)

        it("can't go on if it can't be read: " .. api, function()
            local content = fill(form, "Nothing.")
            assert.is_nil((pass(api, "")))
            for _, wrong in ipairs({
                content .. "}", content:sub(1, -2), content:gsub(",", ",,", 1), '{"a":1,"a":2}', "[", "\255", content .. content,
                fill(form, "\\ud83g"), fill(form, "\n"),
            }) do
                assert.is_nil((pass(api, wrong)))
                assert.is_nil((pass(api, wrong, 3)))
            end
            for to = 1, #content - 1 do
                assert.is_nil((pass(api, content:sub(1, to))))
            end
        end)
    end

    it("has at most 64 MiB", function()
        local content = fill(FORMS.chat, "x")
        for most, expected in pairs({ [67108864] = content, [67108865] = false }) do
            local guarded = body.guard_body(answer.take_answer("chat", false), GUARD)
            guarded.bytes = most - #content
            body.read_guarded_body(guarded, content:sub(1, 10))
            body.read_guarded_body(guarded, content:sub(11))
            assert.equal(expected, body.end_guarded_body(guarded) or false)
            guarded = body.guard_body(answer.take_answer("chat", false), GUARD)
            body.read_guarded_body(guarded, content)
            guarded.bytes = most
            assert.equal(expected, body.end_guarded_body(guarded) or false)
        end
    end)

    it("is masked in every string that is not known to be something else", function()
        local form = '{"choices":[{"index":0,"message":{"content":"%s","reasoning_content":"%s","refusal":"%s","novel":{"a":["%s"]}},'
            .. '"remark":"%s"}],"more":"%s"}'
        local word, blocks = "secret", "██████"
        assert.equal(fill(form, blocks, blocks, blocks, blocks, blocks, blocks), (pass("chat", fill(form, word, word, word, word, word, word))))
    end)

    it("joins no word across strings", function()
        local content = '{"choices":[{"index":0,"message":{"content":"敏","refusal":"感"}},{"index":1,"message":{"content":"se"}}],"x":"cret"}'
        assert.equal(content, (pass("chat", content)))
    end)

    describe("with the arguments of tools", function()
        local CALL = '{"choices":[{"index":0,"message":{"content":null,"tool_calls":[{"id":"c","type":"function","function":'
            .. '{"name":"f","arguments":"%s"}}]},"finish_reason":"tool_calls"}]}'
        local ITEM = '{"id":"r","output":[{"type":"function_call","call_id":"c","name":"f","arguments":"%s"}]}'

        it("stays JSON inside JSON", function()
            for _, pair in ipairs({
                { [[{\"q\":\"敏感词\"}]], [[{\"q\":\"███\"}]] },
                { [[{\"q\":\"\\u654f\\u611f词\"}]], [[{\"q\":\"███\"}]] },
                { [[{\"q\":\"\u654f\\u611f\\u8bcd\\n\"}]], [[{\"q\":\"███\\n\"}]] },
                { [[{\"q\":\"\\敏感\"}]], [[{\"q\":\"██\"}]] },
                { [[{\"secret\":[\"敏\\u200b感\",\"感\"]}]], [[{\"██████\":[\"███\",\"感\"]}]] },
                { [[{\"q\":\"敏\",\"感\":1}]], [[{\"q\":\"敏\",\"感\":1}]] },
            }) do
                for _, form in ipairs({ CALL, ITEM }) do
                    local api = form == CALL and "chat" or "responses"
                    local out = pass(api, fill(form, pair[1]))
                    assert.equal(fill(form, pair[2]), out)
                    local made = cjson.decode(out)
                    local inner = api == "chat" and made.choices[1].message.tool_calls[1]["function"].arguments or made.output[1].arguments
                    assert.is_true((pcall(cjson.decode, inner)))
                end
            end
        end)

        it("are masked as an object too", function()
            local form = '{"content":[{"type":"tool_use","id":"t","name":"f","input":{"a":["%s",{"b":"%s"}]}}]}'
            assert.equal(fill(form, "███", "x"), (pass("messages", fill(form, "敏感词", "x"))))
        end)
    end)

    describe("with log probabilities", function()
        local REGION = '{"content":[{"token":"敏","logprob":-1,"bytes":null,"top_logprobs":[{"token":"x","logprob":-2}]},'
            .. '{"token":"感","logprob":-0.5,"bytes":[1,2],"top_logprobs":[]}],"refusal":null}'
        local LIST = '{"tokens":["敏","感"],"token_logprobs":[-1,-2],"top_logprobs":[{"x":-1},null],"text_offset":[0,1]}'

        it("loses them as soon as anything is masked, wherever the bytes are cut", function()
            local form = '{"choices":[{"index":0,"logprobs":%s,"message":{"content":"%s"}},{"index":1,"message":{"content":"x"},"logprobs":%s}]}'
            local content = fill(form, REGION, "敏感", REGION)
            for size = 1, 40 do
                local out, guarded = pass("chat", content, size)
                assert.equal(fill(form, "null", "██", "null"), out)
                assert.is_false(guarded.blocked)
            end
            for to = 1, #content - 1 do
                local reader = answer.take_answer("chat", false)
                local guarded = body.guard_body(reader, GUARD)
                body.read_guarded_body(guarded, content:sub(1, to))
                body.read_guarded_body(guarded, content:sub(to + 1))
                assert.equal(fill(form, "null", "██", "null"), body.end_guarded_body(guarded))
                answer.return_answer(reader)
            end
        end)

        it("loses those of each API", function()
            local form = '{"choices":[{"text":"%s","logprobs":%s,"index":0}]}'
            assert.equal(fill(form, "██", "null"), (pass("completions", fill(form, "敏感", LIST))))
            form = '{"status":"completed","output":[{"content":[{"type":"output_text","text":"%s","logprobs":%s}]}]}'
            assert.equal(fill(form, "██", "null"), (pass("responses", fill(form, "敏感", '[{"token":"敏感","logprob":-1}]'))))
        end)

        it("loses them if only they show a word, and keeps them if nothing does", function()
            local form = '{"choices":[{"index":0,"logprobs":%s,"message":{"content":"%s"}}]}'
            assert.equal(fill(form, "null", "x"), (pass("chat", fill(form, REGION, "x"))))
            local token = '{"content":[{"token":"a se","logprob":-1},{"token":"cret","logprob":-1}]}'
            assert.equal(fill(form, "null", "x"), (pass("chat", fill(form, token, "x"))))
            local plain = fill(form, (REGION:gsub("感", "啊")), "x")
            assert.equal(plain, (pass("chat", plain)))
        end)

        -- So many choices, each with log probabilities.
        local function many(count, text)
            local choices = {}
            for index = 1, count do
                choices[index] = ('{"index":%d,"message":{"content":"%s"},"logprobs":{"content":[]}}'):format(index - 1, text)
            end
            return '{"choices":[' .. table.concat(choices, ",") .. "]}"
        end

        it("can't go on if they are too many to be taken out", function()
            assert.equal((many(128, "█"):gsub('{"content":%[%]}', "null")), (pass("chat", many(128, "二"))))
            assert.is_nil((pass("chat", many(129, "二"))))
            assert.is_nil((pass("chat", many(129, "禁止"))))
            assert.equal(many(129, "x"), (pass("chat", many(129, "x"))))
        end)
    end)
end)

describe("a guarded body in which something blocks", function()
    it("has the texts of that choice emptied, and no other", function()
        local form = '{"choices":[{"index":0,"message":{"role":"assistant","content":"%s","refusal":"%s"},"finish_reason":"%s","logprobs":%s},'
            .. '{"finish_reason":"length","index":1,"message":{"content":"%s"},"logprobs":%s}],"usage":{"completion_tokens":7}}'
        local REGION = '{"content":[{"token":"x"}]}'
        local content = fill(form, "so 禁止 it is", "a secret", "stop", REGION, "fine, secret", REGION)
        for size = 1, 30 do
            local out, guarded = pass("chat", content, size)
            assert.equal(fill(form, "", "", "content_filter", "null", "fine, ██████", "null"), out)
            assert.is_true(guarded.blocked)
            assert.equal(1, guarded.tally.blocked)
            assert.equal("blocked", guarded.tally.blocked_by)
        end
        content = fill(form, "fine", "", "stop", "null", "禁\\u6b62", "null")
        local out = pass("chat", content)
        assert.equal("content_filter", cjson.decode(out).choices[2].finish_reason)
        assert.equal("", cjson.decode(out).choices[2].message.content)
        assert.equal("stop", cjson.decode(out).choices[1].finish_reason)
        assert.equal("fine", cjson.decode(out).choices[1].message.content)
    end)

    it("has all choices emptied in which something does", function()
        local form = '{"choices":[{"index":0,"text":"%s","finish_reason":"%s"},{"text":"%s","index":1,"finish_reason":"%s"}]}'
        local out = pass("completions", fill(form, "poison", "stop", "禁止", "length"))
        assert.equal(fill(form, "", "content_filter", "", "content_filter"), out)
    end)

    it("has the others masked, wherever they stand", function()
        local form = '{"choices":[{"index":0,"text":"%s","a":"%s"},{"index":1,"text":"%s"},{"a":"%s","index":2,"text":"%s"},{"text":"%s"}]}'
        local given = fill(form, "poison secret", "secret", "a secret", "secret", "a poison", "secret")
        assert.equal(fill(form, "", "", "a ██████", "", "", "██████"), (pass("completions", given)))
    end)

    it("is emptied too if only the log probabilities show it", function()
        local form = '{"choices":[{"index":0,"logprobs":%s,"message":{"content":"%s"},"finish_reason":"%s"}]}'
        local tokens = '{"content":[{"token":"禁止","logprob":-1}]}'
        assert.equal(fill(form, "null", "", "content_filter"), (pass("chat", fill(form, tokens, "x", "stop"))))
    end)

    it("has emptied what blocks outside of all choices", function()
        local form = '{"remark":["%s","%s"],"choices":[{"index":0,"message":{"content":"%s"},"finish_reason":"stop"}]}'
        assert.equal(fill(form, "", "", "x"), (pass("chat", fill(form, "poison", "y", "x"))))
    end)

    it("loses tool arguments", function()
        local form = '{"choices":[{"index":0,"message":{"content":null,"tool_calls":[{"id":"%s","function":{"name":"%s","arguments":"%s"}}]},'
            .. '"finish_reason":"%s"}]}'
        local out = pass("chat", fill(form, "c", "f", [[{\"q\":\"\\u7981止\"}]], "tool_calls"))
        assert.equal(fill(form, "", "", "", "content_filter"), out)
    end)

    it("loses the names that a model made up too, and they stay different", function()
        local form = '{"type":"message","content":[{"type":"tool_use","id":"%s","name":"%s","input":{"%s":"%s", "%s" : {"%s":["%s"]}}}],'
            .. '"stop_reason":"%s","usage":{"input_tokens":1,"service_tier":"standard"}}'
        for place = 1, 7 do
            local texts = { "t", "f", "a", "1", "b", "c", "2", "tool_use" }
            texts[place] = "x poison"
            local out, guarded = pass("messages", fill(form, unpack(texts)))
            assert.equal(fill(form, "", "", "2", "", "4", "5", "", "refusal"), out)
            assert.is_true(guarded.blocked)
            texts[place] = "x secret"
            out = pass("messages", fill(form, unpack(texts)))
            texts[place] = "x ██████"
            assert.equal(fill(form, unpack(texts)), out)
        end
        local item = '{"output":[{"type":"local_shell_call","action":{"env":{"%s":"1"}}}]}'
        assert.equal(fill(item, "██████"), (pass("responses", fill(item, "secret"))))
    end)

    it("says so in the words of the responses and messages", function()
        local content = fill(FORMS.responses, "poison")
        local expected = fill(FORMS.responses, ""):gsub('"status":"completed","incomplete_details":null',
            '"status":"incomplete","incomplete_details":{"reason":"content_filter"}')
        assert.equal(expected, (pass("responses", content)))
        expected = fill(FORMS.messages, ""):gsub('"end_turn"', '"refusal"')
        assert.equal(expected, (pass("messages", fill(FORMS.messages, "poison"))))
    end)

    it("stays JSON if its ending is not there or of another kind", function()
        for _, ending in ipairs({ '"status":null', '"status":{"a":[1]}', '"incomplete_details":{"reason":"x"},"status":"y"', '"x":1' }) do
            local content = "{" .. ending .. ',"output":[{"content":[{"text":"poison"}]}]}'
            local made = cjson.decode((pass("responses", content)))
            assert.equal("", made.output[1].content[1].text)
        end
        local made = cjson.decode((pass("messages", '{"stop_reason":null,"content":[{"type":"text","text":"poison"}]}')))
        assert.equal("refusal", made.stop_reason)
    end)
end)
