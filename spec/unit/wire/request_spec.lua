local json = require("sluice.wire.json")
local expected_of = require("sluice.wire.output_cap").expected_of
local request = require("sluice.wire.request")
local splice = require("sluice.wire.splice")
local walking = require("spec.unit.wire.walking")

local function range(source, from, to)
    assert(from >= 0 and to <= #source and from <= to, "a range outside of the body")
    return source:sub(from + 1, to)
end

-- Reads a body given in pieces; returns the reading, or nil and the refusal.
local function read_pieces(api, pieces)
    local reader = request.take(api, false)
    for _, piece in ipairs(pieces) do
        if not request.read(reader, piece) then
            break
        end
    end
    local reading, refusal = request.conclude(reader, range, table.concat(pieces))
    request.release(reader)
    return reading, refusal
end

local function read(api, body)
    return read_pieces(api, { body })
end

-- The body as it goes upstream.
local function sent(api, body, upstream_model)
    local reading = assert(read(api, body))
    local edits = request.edits_for(reading, upstream_model or reading.model)
    if not edits then
        return body
    end
    local whole = splice.apply(edits, body, 0)
    local parts, offset = {}, 0
    for index, piece in ipairs(walking.chop(body, 7)) do
        parts[index] = splice.apply(edits, piece, offset)
        offset = offset + #piece
    end
    assert.equal(whole, table.concat(parts))
    assert.is_nil(json.check(walking.recording_walk(walking.plain_shape()), whole))
    return whole
end

local APIS = { "chat", "completions", "embeddings", "responses", "messages" }

local function refused(api, body)
    local reading, refusal = read(api, body)
    assert.is_nil(reading)
    assert.equal(400, refusal.status)
    assert.equal("invalid_request_error", refusal.type)
    return refusal
end

describe("a body is refused", function()
    for _, api in ipairs(APIS) do
        it(api .. ": empty", function()
            local refusal = refused(api, "")
            assert.equal("invalid_json", refusal.code)
            assert.equal("The request body is empty.", refusal.message)
        end)

        it(api .. ": broken", function()
            for _, body in ipairs({ "{", '{"model":"a"', '{"model":"a"}}', '{"model":"\255"}', '{"model":"a\n"}', "{'model':'a'}", " ", "nul",
                '{"model":"a",}', '{"model":01}', '\239\187\191{"model":"a"}', '{"model":"\\ud800"}', '{"model":"a"}\0', "1 2" }) do
                assert.equal("invalid_json", refused(api, body).code, body)
            end
        end)

        it(api .. ": no object", function()
            for _, body in ipairs({ "[]", '[{"model":"a"}]', '"model"', "1", "true", "null" }) do
                local refusal = refused(api, body)
                assert.equal("invalid_json", refusal.code, body)
                assert.matches("must be a JSON object", refusal.message)
            end
        end)

        it(api .. ": a key twice", function()
            for _, body in ipairs({ '{"model":"a","model":"b"}', [[{"model":"a","mod\u0065l":"b"}]], '{"model":"a","x":{"y":1,"y":2}}',
                '{"model":"a","stream":false,"stream":true}', '{"Model":"a"}', '{"model":"a","MODEL":"b"}', '{"model":"a","\197\191tream":true}',
                [[{"model":"a","\u0053tream":true}]], '{"model":"a","mode\226\132\170":1,"model":1}' }) do
                assert.equal("duplicate_key", refused(api, body).code, body)
            end
        end)

        it(api .. ": no model", function()
            for _, body in ipairs({ "{}", '{"model":""}', '{"x":{"model":"a"}}', '{"models":["a"]}' }) do
                local refusal = refused(api, body)
                assert.equal("missing_model", refusal.code, body)
                assert.equal("model", refusal.param)
            end
        end)

        it(api .. ": a model that is no string", function()
            for _, model in ipairs({ "1", "true", "null", "{}", "[]", '["a"]', '{"model":"a"}' }) do
                local refusal = refused(api, '{"model":' .. model .. "}")
                assert.equal("invalid_type", refusal.code, model)
                assert.equal("model", refusal.param)
            end
        end)

        it(api .. ": a model of more than 254 bytes", function()
            assert.equal(254, #assert(read(api, '{"model":"' .. ("m"):rep(254) .. '"}')).model)
            assert.equal("invalid_type", refused(api, '{"model":"' .. ("m"):rep(255) .. '"}').code)
        end)

        it(api .. ": stream that is neither true nor false", function()
            for _, stream in ipairs({ "1", "0", '"true"', '""', "{}", "[]", "[true]" }) do
                local refusal = refused(api, '{"model":"a","stream":' .. stream .. "}")
                assert.equal("invalid_type", refusal.code, stream)
                assert.equal("stream", refusal.param)
            end
        end)
    end

    it("in words that do not show it", function()
        for _, body in ipairs({ '{"model":"a","messages":"canary', '{"model":"a","canary":1,"canary":2}', '{"model":"a"}canary' }) do
            assert.is_nil(refused("chat", body).message:find("canary", 1, true))
        end
    end)

    it("with the byte at fault, in slices as whole", function()
        local body = '{"model":"a","messages":[{"content":"\228\189\160"},]}'
        local _, whole = read("chat", body)
        assert.equal("The request body is not JSON (byte 44).", whole.message)
        for size = 1, #body do
            local _, refusal = read_pieces("chat", walking.chop(body, size))
            assert.same(whole, refusal)
        end
    end)
end)

describe("the model", function()
    for raw, model in pairs({
        ['"gpt-4o"'] = "gpt-4o", ['"Qwen/Qwen2.5-72B"'] = "Qwen/Qwen2.5-72B", [ [["Qwen\/Qwen2"]] ] = "Qwen/Qwen2",
        [ [["gp\u0074-4o"]] ] = "gpt-4o", [ [["\u4f60\"\ud83d\ude00"]] ] = "\228\189\160\"\240\159\152\128", ['"\229\165\189"'] = "\229\165\189",
        ['" "'] = " ",
    }) do
        it("is read from " .. raw, function()
            for _, api in ipairs(APIS) do
                assert.equal(model, assert(read(api, '{"x":[1], "model" : ' .. raw .. "}")).model)
            end
        end)
    end

    it("is read from a key with escapes", function()
        assert.equal("a", assert(read("chat", [[{"\u006dodel":"a"}]])).model)
    end)

    it("is replaced where it stands, and nothing else", function()
        local body = [==[{ "n":9223372036854775807,"model" : "chat" ,"temperature":0.30000000000000004,"stop":[],"x":{"model":"chat"},"y":1e400}]==]
        local expected = body:gsub('"chat" ', '"Qwen/Qwen2.5-72B" ', 1)
        for _, api in ipairs(APIS) do
            assert.equal(expected, sent(api, body, "Qwen/Qwen2.5-72B"))
        end
    end)

    it("with escapes is replaced as a whole", function()
        assert.equal('{"model":"b"}', sent("chat", [[{"model":"\u0061\n"}]], "b"))
    end)

    it("is written with escapes where JSON needs them", function()
        assert.equal([[{"model":"a\u0022\u005c"}]], sent("chat", '{"model":"m"}', 'a"\\'))
    end)

    it("that is called the same upstream stays as it was written", function()
        local body = [[{"model":"\u0061"}]]
        assert.is_nil(request.edits_for(assert(read("chat", body)), "a"))
    end)
end)

describe("tools", function()
    it("are offered if there are any, under either name", function()
        for _, name in ipairs({ "tools", "functions" }) do
            assert.is_true(assert(read("chat", '{"model":"a","' .. name .. '":[{"name":"b"}]}')).tools)
            for _, value in ipairs({ "[]", "null", "{}", " [ ] " }) do
                assert.is_false(assert(read("chat", '{"model":"a","' .. name .. '":' .. value .. "}")).tools, value)
            end
        end
        assert.is_true(assert(read("chat", '{"tools":[{}],"functions":null,"model":"a"}')).tools)
        for _, api in ipairs({ "responses", "messages" }) do
            assert.is_true(assert(read(api, '{"model":"a","tools":[{"name":"b"}]}')).tools, api)
        end
        for _, api in ipairs(APIS) do
            assert.is_false(assert(read(api, '{"model":"a"}')).tools, api)
            assert.is_false(assert(read(api, '{"model":"a","x":{"tools":[1]}}')).tools, api)
        end
    end)
end)

describe("stream", function()
    it("is true only if the body says so", function()
        for _, api in ipairs(APIS) do
            assert.is_true(assert(read(api, '{"model":"a","stream":true}')).stream)
            for _, body in ipairs({ '{"model":"a"}', '{"model":"a","stream":false}', '{"model":"a","stream":null}',
                '{"model":"a","x":{"stream":true}}' }) do
                assert.is_false(assert(read(api, body)).stream, body)
            end
        end
    end)
end)

describe("the output cap", function()
    local fields = {
        chat = { "max_tokens", "max_completion_tokens" },
        completions = { "max_tokens" },
        responses = { "max_output_tokens" },
        messages = { "max_tokens" },
    }
    for api, names in pairs(fields) do
        for _, name in ipairs(names) do
            local function cap(written)
                return assert(read(api, ('{"%s":%s,"model":"a"}'):format(name, written))).output_cap
            end

            it(api .. " reads " .. name, function()
                assert.equal(1, cap("1"))
                assert.equal(0, cap("0"))
                assert.equal(4096, cap("4096"))
                assert.equal(1000000, cap(" 1000000 "))
            end)

            it(api .. " takes no other " .. name, function()
                for _, written in ipairs({ "null", "true", '"16"', "[16]", "{}", "-2", "-1.5", "1.5", "-0", "1e400", "99999999999999999999" }) do
                    assert.is_nil(cap(written), written)
                end
            end)

            it(api .. " takes -1 in " .. name .. " for no cap, as 0 is", function()
                assert.equal(0, cap("-1"))
                assert.is_nil(assert(read(api, ('{"%s":-1,"model":"a"}'):format(name))).odd_cap)
            end)

            -- Python's servers take 4096.0 for 4096.
            it(api .. " reads a whole " .. name .. " written as a fraction or with an exponent", function()
                assert.equal(4096, cap("4096.0"))
                assert.equal(4000, cap("4e3"))
            end)
        end
    end

    it("of chat is the larger one of two: which of them counts is up to the upstream", function()
        local function cap(first, second)
            return assert(read("chat", ('{"model":"a","max_tokens":%s,"max_completion_tokens":%s}'):format(first, second))).output_cap
        end
        assert.equal(20, cap("10", "20"))
        assert.equal(20, cap("20", "10"))
        assert.equal(10, cap("null", "10"))
        assert.equal(10, cap("10", "null"))
        -- One of them is none at all: that may be the one that counts.
        for _, none in ipairs({ "0", "-1" }) do
            assert.equal(0, cap(none, "7"))
            assert.equal(0, cap("7", none))
        end
        assert.is_nil(cap("null", '"x"'))
    end)

    it("is cut down to the model's own, each number by itself, and left alone if it is not larger", function()
        local function capped(body, most)
            local reading = assert(read("chat", body))
            local edits = request.edits_for(reading, "a", most)
            return edits and splice.apply(edits, body, 0)
        end
        assert.equal('{"model":"a","max_tokens": 8 }', capped('{"model":"a","max_tokens": 4096.0 }', 8))
        assert.equal('{"max_tokens":5,"max_completion_tokens":8,"model":"a"}', capped('{"max_tokens":5,"max_completion_tokens":9,"model":"a"}', 8))
        assert.equal('{"max_tokens":8,"max_completion_tokens":8,"model":"a"}', capped('{"max_tokens":1e3,"max_completion_tokens":9,"model":"a"}', 8))
        assert.is_nil(capped('{"model":"a","max_tokens":8}', 8))
        assert.is_nil(capped('{"model":"a","max_tokens":"9"}', 8))
        assert.equal('{"max_tokens":8,"model":"a"}', capped('{"max_tokens":0,"model":"a"}', 8))
        assert.equal('{"max_tokens":8,"model":"a"}', capped('{"max_tokens":-1,"model":"a"}', 8))
        assert.is_nil(capped('{"max_tokens":-1,"model":"a"}', nil))
        assert.is_nil(capped('{"model":"a"}', 8))
        assert.is_nil(capped('{"model":"a","max_tokens":99999}', nil))
    end)

    it("that a lenient server may take for a number, and this gateway does not, is named", function()
        local function odd(api, members)
            return assert(read(api, '{"model":"a",' .. members .. "}")).odd_cap
        end
        assert.equal("n", odd("chat", '"n":0'))
        assert.equal("n", odd("chat", '"n":129'))
        assert.equal("best_of", odd("completions", '"best_of":129'))
        assert.equal("best_of", odd("completions", '"best_of":0'))
        assert.is_nil(odd("completions", '"prompt":[[1,2],[3]]'))
        assert.is_nil(odd("completions", '"prompt":[1,2,3]'))
        assert.is_nil(odd("completions", '"prompt":["a","b"]'))
        for _, value in ipairs({ '"5"', "true", "-2", "1.5", "[]", "{}", "1e400" }) do
            assert.equal("max_tokens", odd("chat", '"max_tokens":' .. value))
            assert.equal("max_completion_tokens", odd("chat", '"max_completion_tokens":' .. value))
            assert.equal("max_tokens", odd("chat", '"max_completion_tokens":5,"max_tokens":' .. value))
            assert.equal("n", odd("chat", '"n":' .. value))
            assert.equal("best_of", odd("completions", '"n":1,"best_of":' .. value))
            assert.equal("max_output_tokens", odd("responses", '"max_output_tokens":' .. value))
            assert.equal("max_tokens", odd("messages", '"max_tokens":' .. value))
        end
        assert.is_nil(odd("chat", '"n":2,"max_tokens":5,"max_completion_tokens":null'))
        assert.is_nil(odd("chat", '"n":null'))
        assert.is_nil(odd("embeddings", '"input":"a"'))
        assert.equal(7, assert(read("completions", '{"model":"a","n":2,"best_of":7}')).written)
        assert.equal(2, assert(read("completions", '{"model":"a","n":2}')).written)
        assert.equal(1, assert(read("chat", '{"model":"a"}')).written)
        assert.equal(6, assert(read("completions", '{"model":"a","n":2,"prompt":["a","b","c"]}')).written)
        assert.equal(2, assert(read("completions", '{"model":"a","n":2,"prompt":"abc"}')).written)
        assert.equal(1, assert(read("completions", '{"model":"a","prompt":[1,2,3]}')).written)
    end)

    it("is reserved for each of several prompts that are token ids", function()
        for members, written in pairs({
            ['"prompt":[[1,2],[3]]'] = 2, ['"prompt":[ [1] , [2,3] ,[4]]'] = 3, ['"prompt":[[1,2,3]]'] = 1, ['"n":2,"prompt":[[1],[2]]'] = 4,
            ['"prompt":["a",[1],[2]]'] = 3, ['"prompt":[[],[1]]'] = 2, ['"prompt":[[1],[2]],"n":3,"stop":[]'] = 6, ['"prompt":[]'] = 1,
            ['"prompt":[1],"logit_bias":{"x":[[1],[2]]}'] = 1,
            -- Strings elsewhere are no prompts.
            ['"prompt":["a"],"stop":["b","c"],"suffix":"d","user":"e"'] = 1, ['"stop":["b"],"n":2,"prompt":["a","c"]'] = 4,
        }) do
            assert.equal(written, assert(read("completions", '{"model":"a",' .. members .. "}")).written, members)
        end
        assert.equal(5, assert(read("completions", '{"model":"a","prompt":[[1,2,3],[4,5]]}')).prompt_tokens)
        assert.equal(1, assert(read("embeddings", '{"model":"a","input":[[1,2],[3]]}')).written)
    end)

    it("that is no number is refused with what is expected", function()
        assert.equal("must be a whole number from 1 to 128", expected_of("n"))
        assert.equal("must be a whole number from 1 to 128", expected_of("best_of"))
        assert.equal("must be a whole number that is not negative, or -1 for no cap", expected_of("max_tokens"))
    end)

    it("is not read from the fields of other APIs", function()
        assert.is_nil(assert(read("responses", '{"model":"a","max_tokens":5}')).output_cap)
        assert.is_nil(assert(read("messages", '{"model":"a","max_output_tokens":5}')).output_cap)
        assert.is_nil(assert(read("embeddings", '{"model":"a","max_tokens":5}')).output_cap)
        assert.is_nil(assert(read("chat", '{"model":"a","x":{"max_tokens":5}}')).output_cap)
    end)

    it("of one body is gone for the next", function()
        assert.equal(5, assert(read("chat", '{"model":"a","max_tokens":5,"n":3}')).output_cap)
        local reading = assert(read("chat", '{"model":"a"}'))
        assert.is_nil(reading.output_cap)
        assert.equal(1, reading.choices)
    end)
end)

describe("the number of answers", function()
    for _, api in ipairs({ "chat", "completions" }) do
        it(api .. " reads n", function()
            assert.equal(3, assert(read(api, '{"model":"a","n":3}')).choices)
            assert.equal(128, assert(read(api, '{"model":"a","n":128}')).choices)
            for _, n in ipairs({ "null", "-3", '"3"', "2.5", "[3]" }) do
                assert.equal(1, assert(read(api, '{"model":"a","n":' .. n .. "}")).choices, n)
            end
        end)
    end

    it("is 1 where there is no n", function()
        for _, api in ipairs({ "embeddings", "responses", "messages" }) do
            assert.equal(1, assert(read(api, '{"model":"a","n":3}')).choices)
        end
    end)
end)

describe("include_usage", function()
    local OPTIONS = '"stream_options":{"include_usage":true},'

    for _, api in ipairs({ "chat", "completions" }) do
        describe("of " .. api, function()
            for body, upstream in pairs({
                ['{"model":"a","stream":true}'] = "{" .. OPTIONS .. '"model":"a","stream":true}',
                ['\n { "stream":true,"model":"a"}'] = "\n {" .. OPTIONS .. ' "stream":true,"model":"a"}',
                ['{"model":"a","stream":true,"stream_options":null}'] = '{"model":"a","stream":true,"stream_options":{"include_usage":true}}',
                ['{"model":"a","stream":true,"stream_options":{}}'] = '{"model":"a","stream":true,"stream_options":{"include_usage":true}}',
                ['{"model":"a","stream":true,"stream_options":{ \n}}'] = '{"model":"a","stream":true,"stream_options":{"include_usage":true \n}}',
                ['{"stream_options":{"include_usage":false},"model":"a","stream":true}'] =
                    '{"stream_options":{"include_usage":true},"model":"a","stream":true}',
                ['{"stream_options":{"include_usage" : null },"model":"a","stream":true}'] =
                    '{"stream_options":{"include_usage" : true },"model":"a","stream":true}',
                ['{"stream_options":{ "x":1},"model":"a","stream":true}'] =
                    '{"stream_options":{"include_usage":true, "x":1},"model":"a","stream":true}',
                ['{"stream_options":{"include_obfuscation":false,"include_usage":false},"model":"a","stream":true}'] =
                    '{"stream_options":{"include_obfuscation":false,"include_usage":true},"model":"a","stream":true}',
                ['{"x":{"stream_options":{"include_usage":true}},"model":"a","stream":true}'] =
                    "{" .. OPTIONS .. '"x":{"stream_options":{"include_usage":true}},"model":"a","stream":true}',
                ['{"stream_options":{"x":{"include_usage":true}},"model":"a","stream":true}'] =
                    '{"stream_options":{"include_usage":true,"x":{"include_usage":true}},"model":"a","stream":true}',
            }) do
                it("is put into " .. body:gsub("%s", " "), function()
                    local reading = assert(read(api, body))
                    assert.is_false(reading.client_wants_usage)
                    assert.equal(upstream, sent(api, body))
                end)
            end

            it("is left alone if the client asked for it", function()
                for _, body in ipairs({
                    '{"model":"a","stream":true,"stream_options":{"include_usage":true}}',
                    [[{"model":"a","stream":true,"stream_options":{"include_usag\u0065":true}}]],
                    '{"stream_options":{"x":{"include_usage":false},"include_usage": true },"model":"a","stream":true}',
                }) do
                    assert.is_true(assert(read(api, body)).client_wants_usage)
                    assert.equal(body, sent(api, body))
                end
            end)

            it("is not put into a body that asks for no stream", function()
                for _, body in ipairs({ '{"model":"a"}', '{"model":"a","stream":false}', '{"model":"a","stream":null,"stream_options":null}',
                    '{"model":"a","stream_options":{"include_usage":false}}' }) do
                    assert.equal(body, sent(api, body))
                    assert.is_nil(assert(read(api, body)).usage_start)
                end
            end)

            it("is not put into options that are no object: the upstream is to refuse them", function()
                for _, options in ipairs({ "1", '"x"', "[]", '[{"include_usage":true}]', "true" }) do
                    local body = '{"model":"a","stream":true,"stream_options":' .. options .. "}"
                    assert.equal(body, sent(api, body))
                end
            end)

            -- Some servers take 1 or "true" for true: what the client then gets is its own to see.
            it("is not taken for unwanted if it is neither true nor false", function()
                for _, value in ipairs({ "1", '"true"', '"yes"' }) do
                    local body = '{"model":"a","stream":true,"stream_options":{"include_usage":' .. value .. "}}"
                    assert.equal(body, sent(api, body))
                    assert.is_true(assert(read(api, body)).client_wants_usage)
                end
            end)

            it("goes together with another model name", function()
                assert.equal('{"stream_options":{"include_usage":true},"model":"b","stream":true}',
                    sent(api, '{"model":"a","stream":true}', "b"))
                assert.equal('{"stream_options":{"include_usage":true},"model":"b","stream":true}',
                    sent(api, '{"stream_options":{},"model":"a","stream":true}', "b"))
                assert.equal('{"model":"b","stream":true,"stream_options":{"include_usage":true}}',
                    sent(api, '{"model":"a","stream":true,"stream_options":{"include_usage":false}}', "b"))
            end)
        end)
    end

    it("is not put where the API has none", function()
        for _, api in ipairs({ "embeddings", "responses", "messages" }) do
            local body = '{"model":"a","stream":true}'
            assert.equal(body, sent(api, body))
        end
    end)
end)

describe("the tokens of a body", function()
    local function tokens(api, body)
        return assert(read(api, body)).prompt_tokens
    end

    it("are more for more text", function()
        local few = tokens("chat", '{"model":"a","messages":[{"role":"user","content":"Hello, how are you?"}]}')
        local many = tokens("chat", '{"model":"a","messages":[{"role":"user","content":"' .. ("Hello, how are you? "):rep(100) .. '"}]}')
        assert.is_true(few >= 3 and few <= 12, few)
        assert.is_true(many >= 400 and many <= 1000, many)
    end)

    it("are counted, not guessed, for a prompt of token ids", function()
        assert.equal(5, tokens("completions", '{"model":"a","prompt":[1,2,3,4,5]}') - tokens("completions", '{"model":"a","prompt":[]}'))
        assert.equal(4, tokens("embeddings", '{"model":"a","input":[[1,2],[3,4]]}') - tokens("embeddings", '{"model":"a","input":[]}'))
    end)

    it("are not counted for numbers elsewhere", function()
        local few = '{"model":"a","prompt":"x","n":1,"logit_bias":{"50256":-100},"x":[1]}'
        local many = '{"model":"a","prompt":"x","n":128,"logit_bias":{"50256":-1.5e2},"x":[1,2,[3,4]]}'
        assert.equal(tokens("completions", few), tokens("completions", many))
    end)

    it("are not those of the body before", function()
        local body = '{"model":"a","prompt":"Hello","x":[1,2]}'
        local first = tokens("completions", body)
        tokens("completions", '{"model":"a","prompt":[1,2,3],"y":"' .. ("word "):rep(50) .. '"}')
        assert.equal(first, tokens("completions", body))
    end)
end)

describe("a body in slices", function()
    local bodies = {
        chat = '{"model":"g\\u0070t","stream":true,"max_tokens":17,"n":2,"stream_options":{"x":null},"messages":[{"role":"user","content":'
            .. '"Hi \228\189\160\229\165\189 \\ud83d\\ude00\\n"},{"role":"assistant","tool_calls":[{"function":{"arguments":"{\\"a\\":1}"}}]}]}',
        completions = '{"prompt":[[1,22,333],"text"],"model":"m","stream":true,"max_tokens":9}',
        embeddings = '{"input":["a","b c"],"model":"m"}',
        responses = '{"input":[{"role":"user","content":[{"type":"input_text","text":"Hi"}]}],"model":"m","max_output_tokens":300}',
        messages = '{"system":"s","messages":[{"role":"user","content":"Hi"}],"model":"m","max_tokens":1024,"stream":true}',
    }
    for api, body in pairs(bodies) do
        it("is read as a whole one: " .. api, function()
            local whole = assert(read(api, body))
            for cut = 0, #body do
                assert.same(whole, (read_pieces(api, { body:sub(1, cut), body:sub(cut + 1) })), cut)
            end
            for size = 1, 16 do
                assert.same(whole, (read_pieces(api, walking.chop(body, size))), size)
            end
            assert.equal(#body, whole.bytes)
        end)
    end

    it("may have slices of no bytes between", function()
        local body = bodies.chat
        local whole = assert(read("chat", body))
        local pieces = {}
        for _, piece in ipairs(walking.chop(body, 3)) do
            pieces[#pieces + 1] = piece
            pieces[#pieces + 1] = ""
        end
        assert.same(whole, (read_pieces("chat", pieces)))
    end)

    it("is known to be wrong with the slice that is", function()
        local reader = request.take("chat", false)
        assert.is_true(request.read(reader, '{"model":'))
        assert.is_false(request.read(reader, "x"))
        request.release(reader)
    end)

    it("is never kept", function()
        local reader = request.take("chat", false)
        local slice = ("word "):rep(20000)
        request.read(reader, '{"model":"a","messages":"')
        collectgarbage()
        collectgarbage()
        local before = collectgarbage("count")
        for _ = 1, 100 do
            assert(request.read(reader, slice))
        end
        collectgarbage()
        collectgarbage()
        assert.is_true(collectgarbage("count") - before < 64, collectgarbage("count") - before)
        request.release(reader)
    end)
end)

describe("readers", function()
    it("of several bodies at a time do not mix them up", function()
        local readers, bodies = {}, {}
        for index = 1, 40 do
            readers[index] = request.take("chat", false)
            bodies[index] = ('{"model":"model %d","max_tokens":%d,"messages":[{"content":"%s"}]}'):format(index, index, ("w "):rep(index))
        end
        for at = 1, 400, 5 do
            for index, reader in ipairs(readers) do
                request.read(reader, bodies[index]:sub(at, at + 4))
            end
        end
        for index, reader in ipairs(readers) do
            local reading = assert(request.conclude(reader, range, bodies[index]))
            assert.equal("model " .. index, reading.model)
            assert.equal(index, reading.output_cap)
            request.release(reader)
        end
    end)

    it("that go back keep no large key table", function()
        local members = {}
        for index = 1, 60000 do
            members[index] = ('"%d":0'):format(index)
        end
        local body = '{"model":"a",' .. table.concat(members, ",") .. "}"
        collectgarbage()
        collectgarbage()
        local before = collectgarbage("count")
        local readers = {}
        for index = 1, 8 do
            readers[index] = request.take("chat", false)
            assert(request.read(readers[index], body))
        end
        for _, reader in ipairs(readers) do
            request.release(reader)
        end
        readers = nil
        assert.is_nil(readers)
        collectgarbage()
        collectgarbage()
        local kilobytes = collectgarbage("count") - before
        assert.is_true(kilobytes < 512, kilobytes .. " KB are kept")
    end)
end)
