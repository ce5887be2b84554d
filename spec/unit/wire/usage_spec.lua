local json = require("sluice.wire.json")
local answer_shape = require("sluice.wire.answer_shape")
local usage = require("sluice.wire.usage")
local usage_places = require("sluice.wire.usage_places")

-- What an answer's documents report, one after the other.
local function report(api, ...)
    local total = usage.new_usage()
    local walk = json.walker(answer_shape.answer_shape(api), json.NO_SINK, nil)
    for _, document in ipairs({ ... }) do
        assert.is_nil(json.check(walk, document))
        usage.take_usage(total, walk.state, answer_shape.answer_slots(api, false), 0)
    end
    return total
end

local function reported(api, ...)
    local total = report(api, ...)
    return { total.input, total.cached_input, total.output }
end

describe("usage", function()
    for name, case in pairs({
        ["chat"] = { "chat", { 12, -1, 34 }, '{"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}' },
        ["chat with a cache"] = { "chat", { 12, 8, 34 },
            '{"usage":{"prompt_tokens":12,"completion_tokens":34,"prompt_tokens_details":{"cached_tokens":8}}}' },
        ["chat with details that are null"] = { "chat", { 12, -1, 34 },
            '{"usage":{"completion_tokens":34,"prompt_tokens":12,"prompt_tokens_details":null}}' },
        ["chat in which all is 0"] = { "chat", { -1, 0, 0 },
            '{"usage":{"prompt_tokens":0,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":0}}}' },
        ["chat of which each chunk reports the sum so far"] = { "chat", { 5, -1, 3 }, '{"usage":{"prompt_tokens":5,"completion_tokens":1}}',
            '{"usage":{"prompt_tokens":5,"completion_tokens":3}}' },
        ["chat followed by chunks with usage null"] = { "chat", { 5, -1, 3 }, '{"usage":{"prompt_tokens":5,"completion_tokens":3}}',
            '{"usage":null}', "{}" },
        ["chat without usage"] = { "chat", { -1, -1, -1 }, '{"choices":[]}' },
        ["chat in another place"] = { "chat", { -1, -1, -1 },
            '{"x":{"usage":{"prompt_tokens":5}},"prompt_tokens":6,"choices":[{"x":{"usage":{"prompt_tokens":7}}}],"x_groq":{"prompt_tokens":8}}' },
        ["chat with figures that are no whole numbers"] = { "chat", { -1, -1, -1 },
            '{"usage":{"prompt_tokens":"12","completion_tokens":null,"prompt_tokens_details":{"cached_tokens":-1}}}' },
        ["chat with usage that is no object"] = { "chat", { -1, -1, -1 }, '{"usage":[{"prompt_tokens":5}]}' },
        ["chat with whole numbers that are written with a point"] = { "chat", { 120, 0, 30 },
            '{"usage":{"prompt_tokens":120.0,"completion_tokens":30.000,"prompt_tokens_details":{"cached_tokens":0.0}}}' },
        ["chat that leaves its input out, or says 0 or null, behind one that said it"] = { "chat", { 5, 2, 9 },
            '{"usage":{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}}',
            '{"usage":{"prompt_tokens":0,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":0}}}',
            '{"usage":{"prompt_tokens":null,"completion_tokens":7}}', '{"usage":{"completion_tokens":9,"prompt_tokens_details":null}}',
            '{"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}' },
        ["chat whose input comes late"] = { "chat", { 5, -1, 4 }, '{"usage":{"prompt_tokens":0,"completion_tokens":0}}',
            '{"usage":{"prompt_tokens":5,"completion_tokens":4}}' },
        ["chat of which only the cached input is known"] = { "chat", { -1, 7, -1 }, '{"usage":{"cached_tokens":7}}' },
        ["chat that leaves the reasoning out"] = { "chat", { 32, -1, 103 },
            '{"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}}' },
        ["chat of which only the total has the reasoning"] = { "chat", { 21, -1, 60 },
            '{"usage":{"prompt_tokens":21,"completion_tokens":0,"total_tokens":81}}' },
        ["chat whose reasoning is in the output"] = { "chat", { 500, -1, 500 },
            '{"usage":{"prompt_tokens":500,"completion_tokens":500,"total_tokens":1000,"completion_tokens_details":{"reasoning_tokens":200}}}' },
        ["chat whose total is less than its parts"] = { "chat", { 5, -1, 4 },
            '{"usage":{"prompt_tokens":5,"completion_tokens":4,"total_tokens":6}}' },
        ["a response that leaves the reasoning out"] = { "responses", { 32, -1, 103 },
            '{"response":{"usage":{"input_tokens":32,"output_tokens":9,"total_tokens":135}}}' },
        ["completions"] = { "completions", { 1, -1, 2 }, '{"usage":{"prompt_tokens":1,"completion_tokens":2}}' },
        ["embeddings"] = { "embeddings", { 8, -1, -1 }, '{"usage":{"prompt_tokens":8,"total_tokens":8}}' },
        ["a response"] = { "responses", { 3, 1, 4 }, '{"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":4}}' },
        ["a response in an event"] = { "responses", { 3, 1, 4 },
            '{"response":{"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":4}}}' },
        ["a response's first event"] = { "responses", { -1, -1, -1 }, '{"response":{"id":"r","usage":null}}' },
        ["a message, cached tokens added"] = { "messages", { 60, 30, 4 },
            '{"usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":4}}' },
        ["a message without a cache"] = { "messages", { 10, -1, 4 }, '{"usage":{"input_tokens":10,"output_tokens":4}}' },
        ["a message whose cache figures are null"] = { "messages", { 10, -1, 4 },
            '{"usage":{"input_tokens":10,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":4}}' },
        ["a message that tells its output at the end"] = { "messages", { 60, 30, 89 },
            '{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_creation_input_tokens":20,'
                .. '"cache_read_input_tokens":30,"output_tokens":1}}}',
            '{"type":"content_block_delta","delta":{"text":"x"}}', '{"type":"message_delta","delta":{},"usage":{"output_tokens":89}}' },
        ["a message that tells everything again at the end"] = { "messages", { 70, 30, 89 },
            '{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_creation_input_tokens":20,'
                .. '"cache_read_input_tokens":30,"output_tokens":1}}}',
            '{"type":"message_delta","usage":{"input_tokens":20,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":89}}' },
    }) do
        it("of " .. name, function() assert.same(case[2], reported(case[1], select(3, unpack(case)))) end)
    end

    it("of a message whose last object tells only what was read from the cache", function()
        assert.same({ 15, 5, 9 }, reported("messages",
            '{"message":{"usage":{"input_tokens":10}}}', '{"usage":{"cache_read_input_tokens":5,"output_tokens":9}}'))
    end)

    it("of a message whose last object tells the cache's figures anew", function()
        assert.same({ 38, 25, 9 }, reported("messages",
            '{"message":{"usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":3}}}',
            '{"usage":{"cache_read_input_tokens":25,"output_tokens":9}}'))
    end)
end)

-- What each API calls its figures, and how an answer carries them.
local APIS = {
    chat = { input = "prompt_tokens", output = "completion_tokens",
        cached = '"prompt_tokens_details":{"cached_tokens":%s}', around = '{"choices":[],"usage":{%s}}' },
    responses = { input = "input_tokens", output = "output_tokens",
        cached = '"input_tokens_details":{"cached_tokens":%s}', around = '{"response":{"usage":{%s}}}' },
    messages = { input = "input_tokens", output = "output_tokens",
        cached = '"cache_read_input_tokens":%s', written = '"cache_creation_input_tokens":%s', around = '{"usage":{%s}}' },
}

-- Numbers that no count of tokens can be.
local IMPOSSIBLE = { "-1", "-9007199254740993", "0.5", "10.5", "10.05", "10.50", "1e-3", "1000000001", "9007199254740992", "9223372036854775807",
    "1e300", "1e999", ("9"):rep(400) }

local function document(names, figures)
    local members = {}
    if figures.input then members[#members + 1] = ('"%s":%s'):format(names.input, figures.input) end
    if figures.output then members[#members + 1] = ('"%s":%s'):format(names.output, figures.output) end
    if figures.cached then members[#members + 1] = names.cached:format(figures.cached) end
    if figures.written then members[#members + 1] = names.written:format(figures.written) end
    return names.around:format(table.concat(members, ","))
end

-- A document with something at a path such as `choices[].usage`.
local function put(path, what)
    local made = what
    for name in path:reverse():gmatch("[^.]+") do
        name = name:reverse()
        local list = name:match("^(.*)%[%]$")
        made = list and ('{"%s":[%s]}'):format(list, made) or ('{"%s":%s}'):format(name, made)
    end
    return made
end

describe("a figure is found", function()
    local API_OF = { choices = "chat", responses = "responses", messages = "messages" }
    -- What a figure alone comes to, by its slot.
    local FIGURES = {
        input = { input = 7 }, output = { output = 7 }, reasoning = { reasoning = 7 }, cached = { cached_input = 7 },
        cached_beside = { cached_input = 7 }, cache_hit = { cached_input = 7 }, cache_write = { cache_write = 7 },
        cache_write_beside = { cache_write = 7 }, cache_write_5m = { cache_write = 7 }, cache_write_1h = { cache_write = 7, cache_write_1h = 7 },
    }
    for _, object in ipairs(usage_places.USAGE_OBJECTS) do
        for _, figure in ipairs(usage_places.USAGE_FIGURES) do
            local is_start = object.path == "message.usage" and figure.slot == "output"
            if object.family == figure.family and figure.slot ~= "total" then
                it(("of %s: %s, %s (%s)"):format(object.family, object.path, figure.path, object.by), function()
                    for _, guarded in ipairs({ false, true }) do
                        for _, number in ipairs({ "7", "7.0" }) do
                            local total = usage.new_usage()
                            local shape = guarded and answer_shape.guarded_shape or answer_shape.answer_shape
                            local walk = json.walker(shape(API_OF[object.family]), json.NO_SINK, nil)
                            assert.is_nil(json.check(walk, put(object.path, put(figure.path, number))))
                            usage.take_usage(total, walk.state, answer_shape.answer_slots(API_OF[object.family], guarded), 0)
                            for _, name in ipairs({ "input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning" }) do
                                local wanted = not is_start and FIGURES[figure.slot][name] or -1
                                -- Anthropic's input is what is beside the cache.
                                if name == "input" and object.family == "messages" and total.cached_input + total.cache_write > -2 then wanted = 7 end
                                assert.equal(wanted, total[name], name .. " " .. number)
                            end
                        end
                    end
                end)
            end
        end
    end

    it("though another place for it is null", function()
        assert.same({ 20, 9, 1 }, reported("chat",
            '{"usage":{"cached_tokens":9,"prompt_tokens":20,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":null}}}'))
        assert.same({ 20, 9, 1 }, reported("chat",
            '{"usage":{"prompt_tokens":20,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":9},"cached_tokens":null,'
                .. '"prompt_cache_hit_tokens":null}}'))
        assert.same({ 20, 9, 1 }, reported("chat",
            '{"choices":[{"usage":{"prompt_tokens":20,"completion_tokens":1,"cached_tokens":9}}],"usage":null}'))
    end)

    it("of what is written to a cache, of which what is kept for an hour is a part", function()
        local told = report("messages", '{"message":{"usage":{"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":2000,'
            .. '"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},"output_tokens":1}}}',
            '{"usage":{"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":2000,"output_tokens":47}}')
        assert.same({ 2310, 2000, 300, 200, 47 }, { told.input, told.cached_input, told.cache_write, told.cache_write_1h, told.output })
        told = report("messages", '{"usage":{"input_tokens":10,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200}}}')
        assert.same({ 310, 300, 200 }, { told.input, told.cache_write, told.cache_write_1h })
    end)
end)

describe("usage that can't be", function()
    for api, names in pairs(APIS) do
        for _, place in ipairs({ "input", "output", "cached", "written" }) do
            if names[place] then
                it(("counts as not said, with all that stands beside it: %s, %s"):format(api, place), function()
                    for _, number in ipairs(IMPOSSIBLE) do
                        local figures = { input = 100, output = 20, cached = 30, written = names.written and 40 }
                        figures[place] = number
                        assert.same({ -1, -1, -1 }, reported(api, document(names, figures)), number)
                    end
                end)
            end
        end

        it("leaves what was said before: " .. api, function()
            local before = reported(api, document(names, { input = 100, output = 20, cached = 30 }))
            assert.is_true(before[1] >= 100)
            assert.same(before, reported(api, document(names, { input = 100, output = 20, cached = 30 }),
                document(names, { input = 101, output = "1e999", cached = 31 })))
        end)

        it("is not one of a billion tokens: " .. api, function()
            assert.same({ 1e9, -1, 1e9 }, reported(api, document(names, { input = "1000000000", output = "1000000000" })))
        end)
    end

    for _, api in ipairs({ "chat", "responses" }) do
        it("is one with more cached input than input: " .. api, function()
            local names = APIS[api]
            assert.same({ 100, 100, 20 }, reported(api, document(names, { input = 100, output = 20, cached = 100 })))
            assert.same({ -1, -1, -1 }, reported(api, document(names, { input = 100, output = 20, cached = 101 })))
            assert.same({ 100, -1, 20 }, reported(api, document(names, { input = 100, output = 20 }), document(names, { cached = 101 })))
            assert.same({ 100, 60, 20 },
                reported(api, document(names, { input = 100, output = 20, cached = 60 }), document(names, { input = 50, output = 30 })))
        end)
    end

    it("is a message that comes to more than a billion with what the cache had", function()
        local names = APIS.messages
        assert.same({ -1, -1, -1 }, reported("messages", document(names, { input = 600000000, output = 1, cached = 500000000 })))
        assert.same({ -1, -1, -1 }, reported("messages", document(names, { input = 600000000, output = 1, written = 500000000 })))
    end)
end)
