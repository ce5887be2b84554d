-- What answers are charged for, read event by event, beside a plain computation over the list of the events.

local answer = require("sluice.wire.answer")
local charged_tokens = require("sluice.wire.charged_tokens")

-- Counted as 4 tokens, with nothing left over.
local WORDS = "theriverwindsthroughthevalleyslowly"

local function charge(reader, asked, finished)
    local charged = {}
    charged_tokens.charge_answer(charged, reader.usage, asked, answer.counted_output(reader), finished)
    return charged
end

local function asked(changes)
    local made = { api = "chat", prompt_tokens = 40, written = 1, prompts = 1 }
    for name, value in pairs(changes or {}) do made[name] = value end
    return made
end

local function stream(api, ...)
    local reader = answer.new_answer(api, false)
    for _, data in ipairs({ ... }) do answer.read_stream(reader, "data: " .. data .. "\n\n") end
    return reader
end

local function delta(text, more, index)
    return ('{"choices":[{"index":%d,"delta":{"content":"%s"}}]%s}'):format(index or 0, text, more or "")
end

local function told(charged) return { charged.input, charged.cached_input, charged.output, charged.from } end

local COUNTED = answer.counted_output(stream("chat", delta(WORDS)))

describe("a stream is charged", function()
    it("what was reported, and what came behind that, if it ends early", function()
        local reader = stream("chat", delta("", ',"usage":{"prompt_tokens":31,"completion_tokens":0,"total_tokens":31}'), delta(WORDS), delta(WORDS))
        assert.same({ 31, 0, 2 * COUNTED, "counted" }, told(charge(reader, asked(), false)))
        assert.same({ 31, 0, 2 * COUNTED, "counted" }, told(charge(reader, asked(), true)))
        reader = stream("chat", delta(WORDS, ',"usage":{"prompt_tokens":31,"completion_tokens":100}'), delta(WORDS))
        assert.same({ 31, 0, 100 + COUNTED, "counted" }, told(charge(reader, asked(), false)))
        -- The report may have been of all of it.
        assert.same({ 31, 0, 100, "upstream" }, told(charge(reader, asked(), true)))
    end)

    it("just what was reported, if nothing came behind that", function()
        local reader = stream("chat", delta("a", ',"usage":{"prompt_tokens":17,"completion_tokens":2}'),
            delta(WORDS, ',"usage":{"prompt_tokens":17,"completion_tokens":40}'))
        for _, finished in ipairs({ true, false }) do
            assert.same({ 17, 0, 40, "upstream" }, told(charge(reader, asked(), finished)))
        end
    end)

    it("the estimate and the text, where nothing is reported, or zeros are", function()
        for _, said in ipairs({ "", ',"usage":null', ',"usage":{"prompt_tokens":0,"completion_tokens":0}', ',"usage":{"prompt_tokens":null}' }) do
            assert.same({ 40, 0, COUNTED, "counted" }, told(charge(stream("chat", delta(WORDS, said)), asked(), true)), said)
        end
    end)

    it("what was read from the cache, though it ends early", function()
        local reader = stream("messages",
            '{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":150000,"cache_creation_input_tokens":200,'
                .. '"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":200},"output_tokens":1}}}',
            ('{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}}'):format(WORDS))
        local charged = charge(reader, asked({ api = "messages" }), false)
        assert.same({ 150210, 150000, COUNTED, "counted" }, told(charged))
        assert.same({ 200, 200 }, { charged.cache_write, charged.cache_write_1h })
    end)

    it("the sum of what chunks without choices report, with choices between them", function()
        local function part(input, output, cached)
            return ('{"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d}}}')
                :format(input, output, cached)
        end
        local two = { delta("a"), delta("b", "", 1), part(10, 20, 0), delta("", "", 1), part(10, 30, 8) }
        assert.same({ 10, 8, 50, "upstream" }, told(charge(stream("chat", unpack(two)), asked({ written = 2 }), true)))
        assert.same({ 20, 8, 50, "upstream" }, told(charge(stream("chat", unpack(two)), asked({ written = 2, prompts = 2 }), true)))
        -- The same once more, and one that follows usage beside choices, are no parts.
        local repeated = { delta("a"), part(10, 20, 0), '{"choices":[]}', part(10, 20, 0) }
        assert.same({ 10, 0, 20, "upstream" }, told(charge(stream("chat", unpack(repeated)), asked({ written = 2 }), true)))
        local running = { delta("a", ',"usage":{"prompt_tokens":10,"completion_tokens":3}'), delta("b"), part(10, 20, 0) }
        assert.same({ 10, 0, 20, "upstream" }, told(charge(stream("chat", unpack(running)), asked({ written = 2 }), true)))
        for _, without in ipairs({ "", '"choices":null,' }) do
            local apart = { delta("a"), ('{%s"usage":{"prompt_tokens":10,"completion_tokens":20}}'):format(without), delta("b"),
                ('{%s"usage":{"completion_tokens":5}}'):format(without) }
            assert.same({ 10, 0, 25, "upstream" }, told(charge(stream("chat", unpack(apart)), asked(), true)), without)
        end
    end)

    it("its text at least, where several answers were asked for", function()
        local reader = stream("chat", delta(WORDS), delta(WORDS, "", 1), '{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}')
        assert.same({ 10, 0, 2 * COUNTED, "counted" }, told(charge(reader, asked({ written = 2 }), true)))
        assert.same({ 10, 0, 5, "upstream" }, told(charge(reader, asked(), true)))
    end)

    it("reasoning that is told twice in a delta once", function()
        local function thought(names, text)
            local members = {}
            for index, name in ipairs(names) do members[index] = ('"%s":"%s"'):format(name, type(text) == "table" and text[index] or text) end
            return ('{"choices":[{"index":0,"delta":{%s}}]}'):format(table.concat(members, ","))
        end
        assert.equal(4, COUNTED)
        local one, two = { "reasoning" }, { "reasoning_content", "reasoning" }
        local function counted(...) return answer.counted_output(stream("chat", ...)) end
        local once = counted(thought(one, WORDS), thought(one, WORDS), delta(WORDS))
        assert.equal(3 * COUNTED, once)
        assert.equal(once, counted(thought(two, WORDS), thought(two, WORDS), delta(WORDS)))
        assert.equal(once, counted(thought({ "reasoning_content", "content", "reasoning" }, WORDS), thought({ "reasoning_content" }, WORDS)))
        -- What is not the same counts.
        assert.equal(3 * COUNTED, counted(thought(two, { WORDS, WORDS .. WORDS })))
        -- One body, with several choices.
        local reader = answer.new_answer("chat", false)
        answer.read_body(reader, ('{"choices":[{"message":{"content":"","reasoning":"%s","reasoning_content":"%s"}},'):format(WORDS, WORDS))
        answer.read_body(reader, ('{"message":{"reasoning_content":"%s","reasoning":"%s"}}]}'):format(WORDS, WORDS))
        answer.end_body(reader)
        assert.equal(2 * COUNTED, answer.counted_output(reader))
        -- An event that broke off within its reasoning says nothing of the next one.
        local broken = stream("chat", '{"choices":[{"delta":{"reasoning":"', thought({ "content", "reasoning_content" }, WORDS))
        assert.equal(2 * COUNTED, answer.counted_output(broken))
    end)

    it("a token once, though its probability is told as well", function()
        local text = ('{"choices":[{"index":0,"delta":{"content":"%s"},"logprobs":{"content":[{"token":"%s","logprob":0,"top_logprobs":[]}]}}]}')
        assert.equal(COUNTED, answer.counted_output(stream("chat", text:format(WORDS, WORDS))))
    end)
end)

describe("an embedding", function()
    it("has no output", function()
        local reader = answer.new_answer("embeddings", false)
        answer.read_body(reader, '{"data":[],"usage":{"prompt_tokens":8,"total_tokens":12}}')
        answer.end_body(reader)
        assert.same({ 8, 0, 0, "upstream" }, told(charge(reader, asked({ api = "embeddings" }), true)))
    end)
end)

-- The plain computation. An event is { text = words } or { input =, cached =, output =, alone = }, and may have a text as well.

local MOST = 1e9

local function number(value) return type(value) == "number" and value or nil end

local function possible(value) return value == nil or value == "null" or (value >= 0 and value <= MOST and value == math.floor(value)) end

-- The last figure above 0 that these objects have; else 0, if one says so; else nothing.
local function last_of(objects, name)
    local found
    for _, object in ipairs(objects) do
        local value = number(object[name])
        if value and (value > 0 or not found) then found = value end
    end
    return found
end

-- The objects that count, in parts.
local function parts_of(events)
    local parts, alone, choices_since = { {} }, false, false
    local words = 0
    for _, event in ipairs(events) do
        words = words + (event.text or 0)
        if event.usage then
            local ok = possible(event.input) and possible(event.output) and possible(event.cached)
            local begins = event.alone and alone and choices_since
            local part = begins and {} or parts[#parts]
            if ok then
                local with = { unpack(part) }
                with[#with + 1] = { input = event.input, cached = event.cached, output = event.output, words = words }
                local input, cached = last_of(with, "input"), last_of(with, "cached")
                local own = number(event.input) or 0
                -- A part that can't be alone is none.
                if begins and own > 0 and (number(event.cached) or 0) > own then
                    begins, with = false, { unpack(parts[#parts]) }
                    with[#with + 1] = { input = event.input, cached = event.cached, output = event.output, words = words }
                    input, cached = last_of(with, "input"), last_of(with, "cached")
                end
                if not ((input or 0) > 0 and (cached or 0) > input) then
                    parts[begins and #parts + 1 or #parts] = with
                    alone, choices_since = event.alone, false
                end
            end
        elseif alone then
            choices_since = true
        end
    end
    return parts, words
end

local function plainly(events, of, finished)
    local parts, words = parts_of(events)
    local output, mark, known = 0, 0, false
    for _, part in ipairs(parts) do
        local said
        for _, object in ipairs(part) do
            local value = number(object.output)
            if value and (value > 0 or (value == 0 and not said and object.words == 0)) then said, mark = value, object.words end
        end
        output = math.min(output, MOST) + (said or 0)
        known = known or said ~= nil or #parts > 1
    end
    local inputs, cached = {}, {}
    for index, part in ipairs(parts) do
        inputs[index] = last_of(part, "input") or 0
        cached[index] = last_of(part, "cached") or 0
    end
    local function together(list)
        local sum, before = 0, 0
        for index, value in ipairs(list) do
            sum = math.min(sum + value, of.prompts > 1 and index == #list and math.huge or MOST)
            if index < #list then before = math.min(before + value, MOST) end
        end
        if of.prompts > 1 then return sum end
        return (inputs[#inputs] > 0 or #list == 1) and list[#list] or math.floor(before / (#list - 1))
    end
    local input, from_cache = together(inputs), together(cached)
    local reported_input = input > 0
    if not reported_input then input = math.max(of.prompt_tokens, from_cache) end
    local total = words
    if known then total = finished and math.max(output, words > mark and words or 0) or output + words - mark end
    if of.written > 1 then total = math.max(total, words) end
    input = math.min(input, MOST)
    return { input, math.min(from_cache, input), math.min(total, MOST), reported_input and known and total == output and "upstream" or "counted" }
end

describe("random streams", function()
    local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
    print("what streams are charged: SLUICE_SPEC_SEED=" .. seed)
    math.randomseed(seed)

    local function any(list) return list[math.random(#list)] end

    local function figure()
        return any({ 0, 0, 1, 2, 3, 10, 50, 100, 100, 1000, "null", "null", 1e9, any({ -1, 0.5, 1e9 + 1, 2 ^ 53 }) })
    end

    local function maybe(value) if math.random() < 0.7 then return value end end

    local function random_event()
        if math.random() < 0.4 then return { text = math.random(0, 3) } end
        local alone = math.random() < 0.6
        return {
            usage = true, alone = alone, text = not alone and math.random(0, 2) or nil,
            input = maybe(figure()), output = maybe(figure()), cached = maybe(any({ figure(), 1, 2, 5 })),
        }
    end

    local function json_of(event)
        local choices = any({ '"choices":[]', '"choices":null', nil })
        local texts = {}
        for index = 1, event.text or 0 do texts[index] = ('{"index":%d,"delta":{"content":"%s"}}'):format(index, WORDS) end
        if not event.alone then
            choices = ('"choices":[%s]'):format(#texts > 0 and table.concat(texts, ",") or '{"index":0,"delta":{}}')
        end
        local members = { choices }
        if event.usage then
            local figures = {}
            local function add(name, value)
                if type(value) == "number" then value = ("%.16g"):format(value) end
                if value ~= nil then figures[#figures + 1] = ('"%s":%s'):format(name, value) end
            end
            add("prompt_tokens", event.input)
            add("completion_tokens", event.output)
            add(any({ "cached_tokens", "prompt_cache_hit_tokens" }), event.cached)
            members[#members + 1] = ('"usage":{%s}'):format(table.concat(figures, ","))
        end
        return "{" .. table.concat(members, ",") .. "}"
    end

    it("are charged as a plain computation says", function()
        for _ = 1, 20000 do
            local events, texts = {}, {}
            for index = 1, math.random(0, 8) do
                events[index] = random_event()
                texts[index] = json_of(events[index])
            end
            local of = asked({ prompts = any({ 1, 1, 2 }) })
            of.written = of.prompts * any({ 1, 2 })
            local reader = stream("chat", unpack(texts))
            for _, event in ipairs(events) do if event.text then event.text = event.text * COUNTED end end
            for _, finished in ipairs({ true, false }) do
                local said = told(charge(reader, of, finished))
                assert.same(plainly(events, of, finished), said, table.concat(texts, "\n"))
            end
            answer.return_answer(reader)
        end
    end)

    it("leave nothing in a reader that is used again", function()
        for _ = 1, 200 do
            local reader = answer.take_answer("chat", false)
            assert.same({ 40, 0, 0, "counted" }, told(charge(reader, asked(), true)))
            for _ = 1, 6 do answer.read_stream(reader, "data: " .. json_of(random_event()) .. "\n\n") end
            answer.return_answer(reader)
        end
    end)
end)
