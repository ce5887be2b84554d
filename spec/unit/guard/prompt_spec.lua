-- Requests under a guard: what is refused, what goes upstream. SLUICE_SPEC_SEED shows the same random texts again, SLUICE_SPEC_TEXTS
-- asks for more of them.

local cjson = require("cjson")
local guarding = require("spec.unit.guard.guarding")
local prompt = require("sluice.guard.prompt")
local random_words = require("spec.unit.guard.random_words")
local reference = require("spec.unit.guard.word_reference")
local request = require("sluice.wire.request")
local splice = require("sluice.wire.splice")
local walking = require("spec.unit.wire.walking")

local GUARD = guarding.guard({
    { name = "masked", action = "mask", words = "敏感词\n敏感\nsecret\nso bad" },
    { name = "first blocked", action = "block", words = "禁止" },
    { name = "second blocked", action = "block", words = "poison" },
    { name = "flagged", action = "flag", words = "noted" },
}, { cn_mobile = "mask" })

local function range(source, from, to)
    return source:sub(from + 1, to)
end

-- Returns what goes upstream of a request that comes in slices of `size` bytes, and what was found. As the access phase does.
local function pass(api, body, guard, size)
    local reader = request.take(api, true)
    prompt.watch_prompt(reader.text, guard)
    for at = 1, #body, size or #body do
        request.read(reader, body:sub(at, at + (size or #body) - 1))
    end
    local reading = request.conclude(reader, range, body)
    local verdict = prompt.judge_prompt(reader.text, guard)
    request.release(reader)
    if not reading then
        return nil, verdict
    end
    local edits = request.edits_for(reading, "upstream")
    if verdict and #verdict.masks > 0 then
        prompt.mask_prompt(verdict, guard, edits, range, body, function() end)
    end
    return splice.apply(edits, body, 0), verdict
end

-- The body with %s for each place, all filled with the same.
local function fill(form, text)
    return (form:gsub("%%s", function() return text end))
end

local function upstream(body)
    return (body:gsub('"model":"m"', '"model":"upstream"'))
end

-- By API: bodies with %s in all the places of plain text, and the names of places whose words don't count (%k).
local BODIES = {
    chat = {
        '{"model":"m","messages":[{"role":"system","content":"%s","name":"%s"},{"role":"user","content":[{"type":"text","text":"%s"},'
            .. '{"type":"image_url","image_url":{"url":"data:%k"}}]},{"role":"assistant","reasoning_content":"%s","refusal":"%s"}]}',
        '{"tools":[{"type":"function","function":{"name":"%s","description":"%s","parameters":{"properties":{"%s":{"description":"%s",'
            .. '"enum":["%s"]}}}}}],"model":"m","user":"%k","stop":["%s"],"novel":{"%s":[["%s"]]}}',
        '{"model":"m","functions":[{"description":"%s"}],"messages":[{"role":"tool","tool_call_id":"%s","content":"%s"}],"metadata":{"%s":"%s"},'
            .. '"response_format":{"type":"json_schema","json_schema":{"name":"%s"}}}',
    },
    completions = { '{"prompt":["%s","%s"],"model":"m","suffix":"%s"}', '{"prompt":"%s","model":"m"}' },
    embeddings = { '{"input":"%s","model":"m"}', '{"input":["%s",[1,2],"%s"],"model":"m"}' },
    responses = {
        '{"model":"m","input":"%s","instructions":"%s"}',
        '{"model":"m","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"%s"}]},{"type":"function_call_output",'
            .. '"call_id":"%s","output":"%s"},{"type":"image_generation_call","result":"%k"}],"tools":[{"type":"function","description":"%s"}]}',
    },
    messages = {
        '{"model":"m","max_tokens":5,"system":[{"type":"text","text":"%s"}],"messages":[{"role":"user","content":[{"type":"tool_result",'
            .. '"tool_use_id":"%s","content":"%s"},{"type":"tool_use","id":"t","name":"%s","input":{"%s":"%s"}},{"type":"thinking","thinking":"%s",'
            .. '"signature":"%k"},{"type":"document","source":{"type":"text","data":"%s"}}]}],"tools":[{"name":"n","input_schema":{"title":"%s"}}]}',
        '{"model":"m","max_tokens":5,"system":"%s","messages":[{"content":"%s"}],"metadata":{"user_id":"%k"}}',
    },
}

-- The body with only the `nth` of its places filled with the text.
local function fill_one(form, nth, text)
    local at = 0
    return (form:gsub("%%k", "k"):gsub("%%s", function()
        at = at + 1
        return at == nth and text or "p" .. at
    end))
end

local function count_places(form)
    local _, count = form:gsub("%%s", "")
    return count
end

describe("a guarded request", function()
    for api, forms in pairs(BODIES) do
        it("goes on as it is but for the words in each of its texts: " .. api, function()
            for _, form in ipairs(forms) do
                for nth = 1, count_places(form) do
                    for _, pair in ipairs({
                        { "敏感词", "███" }, { "a sec\\u0072et!", "a ██████!" }, { "敏 \\u611f\\n", "█ █\\n" }, { "敏感.敏感词感", "██.███感" },
                        { "\\\"so  bad\\\"", "\\\"██  ███\\\"" }, { "13812345678", "███████████" },
                    }) do
                        local body = fill_one(form, nth, pair[1])
                        for _, size in ipairs({ 1, 7, #body }) do
                            local out, verdict = pass(api, body, GUARD, size)
                            assert.equal(upstream(fill_one(form, nth, pair[2])), out)
                            assert.is_true(verdict.tally.masked > 0)
                            assert.is_nil(verdict.tally.blocked_by)
                            cjson.decode(out)
                        end
                    end
                end
            end
        end)

        it("is refused because of a word in any of its texts, and the list is named: " .. api, function()
            for _, form in ipairs(forms) do
                for nth = 1, count_places(form) do
                    local _, verdict = pass(api, fill_one(form, nth, "x\\u7981。止"), GUARD, 5)
                    assert.equal("first blocked", verdict.tally.blocked_by)
                    assert.equal(1, verdict.tally.blocked)
                    assert.is_nil(cjson.encode(verdict.tally):find("禁", 1, true))
                end
            end
        end)

        it("has no words where there is no text: " .. api, function()
            for _, form in ipairs(forms) do
                local body = fill(form, "plain"):gsub("%%k", "secret")
                local out, verdict = pass(api, body, GUARD)
                assert.is_nil(verdict)
                assert.equal(upstream(body), out)
            end
        end)
    end

    it("stays as it is if something is only flagged, or nothing found", function()
        local body = '{"model":"m","prompt":"noted; noted"}'
        local out, verdict = pass("completions", body, GUARD)
        assert.equal(upstream(body), out)
        assert.same({ { flagged = 2, masked = 0, blocked = 0 }, {} }, { verdict.tally, verdict.masks })
        local _, nothing = pass("completions", '{"model":"m","prompt":"note d"}', GUARD)
        assert.is_nil(nothing)
    end)

    it("is refused because of the word that begins first", function()
        local _, verdict = pass("completions", '{"model":"m","prompt":["secret","a poison","禁止 noted"]}', GUARD)
        assert.same({ flagged = 1, masked = 1, blocked = 1, blocked_by = "second blocked" }, verdict.tally)
    end)

    it("joins no word across its strings", function()
        local _, verdict = pass("chat", '{"model":"m","敏":"感","messages":[{"content":"敏"},{"content":"感"},{"content":["禁","止"]}]}', GUARD)
        assert.is_nil(verdict)
    end)

    it("keeps the arguments of its tool calls JSON", function()
        local form = '{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":'
            .. '{"name":"f","arguments":"%s"}}]}]}'
        for _, pair in ipairs({
            { [[{\"q\":\"敏感词\",\"secret\":1}]], [[{\"q\":\"███\",\"██████\":1}]] },
            { [[{\"q\":\"\\u654f\u611f\\n\\u8bcd\"}]], [[{\"q\":\"████\"}]] },
            { [[{\"q\":13812345678,\"r\":\"13812345678\"}]], [[{\"q\":null,\"r\":\"███████████\"}]] },
            { [[{\"q\":[13812345678, 1]}]], [[{\"q\":[null, 1]}]] },
        }) do
            for size = 1, 9 do
                local out = pass("chat", fill(form, pair[1]), GUARD, size)
                assert.equal(upstream(fill(form, pair[2])), out)
                cjson.decode(cjson.decode(out).messages[1].tool_calls[1]["function"].arguments)
            end
        end
        local _, verdict = pass("chat", fill(form, [[{\"q\":\"\\u7981\\\\止\"}]]), GUARD)
        assert.equal("first blocked", verdict.tally.blocked_by)
        form = '{"model":"m","input":[{"type":"function_call","name":"f","arguments":"%s"}]}'
        assert.equal(upstream(fill(form, [[{\"q\":\"███\"}]])), (pass("responses", fill(form, [[{\"q\":\"敏\\\"\\u611f\"}]]), GUARD)))
    end)

    it("is no longer watched when it has been judged, whether it could be read or not", function()
        for _, body in ipairs({ '{"model":"m","prompt":"禁止', '{"prompt":"禁止"}', '{"model":"m","prompt":"禁止"}' }) do
            pass("completions", body, GUARD)
            local reader = request.take("completions", true)
            assert.is_false(reader.text.guarded)
            assert.same({}, reader.text.scanner.hits)
            request.release(reader)
        end
        local _, verdict = pass("completions", '{"model":"m","prompt":"x"}', GUARD)
        assert.is_nil(verdict)
    end)
end)

-- Each character of a text as it stands in a string.
local function raw_of(code_points, rarity)
    local raw = {}
    for at = 1, #code_points do
        raw[at] = random_words.escaped(code_points, at, at, rarity)
    end
    return raw
end

-- What the guard has to make of a text, and how much it has to find of what.
local function judged(code_points, raw, words, nested, counts)
    local units = (nested and reference.nested_units or reference.plain_units)(code_points)
    local found = reference.matches(reference.items(units), words)
    for _, match in ipairs(found) do
        counts[match.word.action] = counts[match.word.action] + 1
    end
    local out, hidden = {}, {}
    for _, match in ipairs(reference.chosen(found)) do
        for at = match.from, match.till do
            hidden[at] = true
        end
    end
    for _, unit in ipairs(units) do
        if not hidden[unit[2]] or (unit[2] == unit[3] and reference.is_separator(unit[1])) then
            out[#out + 1] = table.concat(raw, "", unit[2], unit[3])
        elseif unit[2] < unit[3] or not reference.is_ignored(unit[1]) then
            out[#out + 1] = "█"
        end
    end
    return table.concat(out)
end

local FORM = '{"model":"m","messages":[{"role":"user","content":"%s"},{"tool_calls":[{"function":{"arguments":"%s"}}]}],"tools":[{"type":'
    .. '"function","function":{"description":"%s"}}],"metadata":{"%s":1}}'

describe("a guarded request of random hostile texts", function()
    local seed = walking.seed("guarded requests")
    local texts = tonumber(os.getenv("SLUICE_SPEC_TEXTS")) or 6000

    it("is judged as the definition says", function()
        local guards = {}
        for _ = 1, texts / 4 do
            local made = random_words.set({ "mask", math.random(2) == 1 and "flag" or "mask", math.random(4) == 1 and "block" or "mask" })
            local list, words = reference.list(made), reference.words(made)
            guards[list] = guards[list] or guarding.guard({ { words = list, name = "a list" } })
            local counts, parts, expected = { mask = 0, flag = 0, block = 0 }, {}, {}
            for number = 1, 4 do
                local code_points = random_words.text(made, 10)
                code_points = number == 2 and random_words.arguments(code_points) or code_points
                local raw = raw_of(code_points, math.random(5))
                parts[number] = table.concat(raw)
                expected[number] = judged(code_points, raw, words, number == 2, counts)
            end
            local body = FORM:format(unpack(parts))
            local out, verdict = pass("chat", body, guards[list], math.random(#body))
            local tally = verdict and verdict.tally or { flagged = 0, blocked = 0 }
            local told = ("SLUICE_SPEC_SEED=%d: %s\n%s"):format(seed, list, body)
            assert(tally.flagged == counts.flag, told)
            assert((tally.blocked_by ~= nil) == (counts.block > 0), told)
            assert((verdict ~= nil and #verdict.masks > 0) == (counts.mask > 0), told)
            if out ~= upstream(FORM:format(unpack(expected))) then
                assert.equal(told .. "\n" .. upstream(FORM:format(unpack(expected))), told .. "\n" .. tostring(out))
            end
        end
    end)
end)
