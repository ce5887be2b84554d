local cjson = require("cjson.safe")
local request = require("sluice.wire.request")
local splice = require("sluice.wire.splice")

local function range(source, from, to)
    return source:sub(from + 1, to)
end

local function read(api, body, named)
    local reader = request.take(api, false)
    request.read(reader, body)
    local reading, refusal = request.conclude(reader, range, body, named)
    request.release(reader)
    return reading, refusal
end

-- The body as it goes upstream.
local function sent(body, named, upstream_model)
    local reading = assert(read("chat", body, named))
    assert.equal(named, reading.model)
    local edits = request.edits_for(reading, upstream_model)
    return edits and splice.apply(edits, body, 0) or body
end

describe("the model of a request whose path names it", function()
    it("is put into a body that names none, by the name that the upstream has for it", function()
        assert.equal('{"messages":[],"model":"deep"}', sent('{"messages":[]}', "chat", "deep"))
        assert.equal('{"messages":[],"model":"chat"}', sent('{"messages":[]}', "chat", "chat"))
        assert.equal(' { "model":"chat"} ', sent(" { } ", "chat", "chat"))
    end)

    it("comes behind what else is put there", function()
        assert.equal('{"stream_options":{"include_usage":true},"stream":true,"model":"c"}', sent('{"stream":true}', "c", "c"))
    end)

    it("may be in the body too, however it is written", function()
        assert.equal('{"model":"chat"}', sent('{"model":"chat"}', "chat", "chat"))
        assert.equal('{"model":"deep"}', sent([[{"model":"ch\u0061t"}]], "chat", "deep"))
    end)

    it("must not be another one there", function()
        for _, model in ipairs({ '"deep"', '"Chat"', '"chat "' }) do
            local reading, refusal = read("chat", '{"model":' .. model .. "}", "chat")
            assert.is_nil(reading)
            assert.same({ 400, "model_mismatch", "model" }, { refusal.status, refusal.code, refusal.param })
        end
    end)

    it("must be a name there, if anything", function()
        for model, code in pairs({ ['""'] = "missing_model", ["null"] = "invalid_type", ["1"] = "invalid_type", ['["chat"]'] = "invalid_type" }) do
            local _, refusal = read("chat", '{"model":' .. model .. "}", "chat")
            assert.same({ 400, code }, { refusal.status, refusal.code })
        end
        local _, refusal = read("chat", '{"Model":"deep"}', "chat")
        assert.equal("duplicate_key", refusal.code)
    end)
end)

describe("the cap on the output", function()
    local function capped(api, members, most)
        local body = '{"model":"m",' .. members .. "}"
        local reading = assert(read(api, body))
        local edits = request.edits_for(reading, "m", most)
        return cjson.decode(edits and splice.apply(edits, body, 0) or body)
    end

    for _, api in ipairs({ "messages", "chat" }) do
        it("does not fall to what is for thinking: " .. api, function()
            local function cap(members, most) return capped(api, members, most).max_tokens end
            assert.equal(32000, cap('"max_tokens":32000,"thinking":{"type":"enabled","budget_tokens":31999}', 8192))
            assert.equal(20001, cap('"max_tokens":32000,"thinking":{"type":"enabled","budget_tokens":20000}', 8192))
            assert.equal(8193, cap('"max_tokens":32000,"thinking":{"type":"enabled","budget_tokens":8192.0}', 8192))
            assert.equal(8192, cap('"max_tokens":32000,"thinking":{"type":"enabled","budget_tokens":8191}', 8192))
            -- With thinking between calls of tools the budget may be larger than the client's own cap, which is not raised.
            assert.equal(9000, cap('"max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":50000}', 8192))
        end)

        it("is as ever where no number is for thinking: " .. api, function()
            for _, thinking in ipairs({ '"thinking":{"type":"disabled"}', '"thinking":null', '"thinking":{"budget_tokens":"20000"}',
                '"thinking":{"budget_tokens":-1}', '"thinking":{"budget_tokens":9000.5}', '"x":{"budget_tokens":9000}', '"thinking":[9000]' }) do
                assert.equal(8192, capped(api, '"max_tokens":32000,' .. thinking, 8192).max_tokens, thinking)
            end
        end)
    end
end)
