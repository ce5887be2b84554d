local member = require("sluice.wire.member")
local request = require("sluice.wire.request")

local function range(text, first, last) return text:sub(first + 1, last) end

-- The body without its stream_options.
local function without(body)
    local reader = request.take("chat", false)
    request.read(reader, body)
    local reading = assert((request.conclude(reader, range, body)))
    request.release(reader)
    local first, last = member.member_range(range, body, reading.options_start, reading.options_end, #body)
    return body:sub(1, first) .. body:sub(last + 1)
end

describe("A member of a document", function()
    it("is taken out with its name and one comma, wherever it stands", function()
        for body, expected in pairs({
            ['{"stream_options":{},"model":"a"}'] = '{"model":"a"}',
            ['{"model":"a","stream_options":{}}'] = '{"model":"a"}',
            ['{"model":"a","stream_options":null,"n":1}'] = '{"model":"a","n":1}',
            ['{"model":"a", "stream_options" : {"include_usage": true} , "n":1}'] = '{"model":"a",  "n":1}',
            ['{"model":"a"\n,\n\t"stream_options"\r\n:\r\n{}\n}'] = '{"model":"a"\n\n}',
            ['{"x":"stream_options","stream_options":"\\"stream_options\\":","model":"a"}'] = '{"x":"stream_options","model":"a"}',
            ['{"model":"a","\\u0073tream_options":[1,{"b":2}]}'] = '{"model":"a"}',
            ['{"model":"a","stream_options":7}'] = '{"model":"a"}',
        }) do
            assert.equal(expected, without(body))
        end
    end)

    it("is found behind any amount of white space", function()
        for _, count in ipairs({ 1, 4095, 4096, 4097, 8192, 20000 }) do
            local space = (" \n\t\r"):rep(count):sub(1, count)
            assert.equal('{"model":"a"' .. space .. "}",
                without('{"model":"a"' .. "," .. space .. '"stream_options"' .. space .. ":" .. space .. "{}" .. space .. "}"))
            assert.equal("{" .. space .. space .. '"model":"a"}',
                without("{" .. space .. '"stream_options"' .. space .. ":" .. space .. "{}" .. space .. "," .. space .. '"model":"a"}'))
            assert.equal('{"model":"a"' .. space .. space .. "}",
                without('{"model":"a"' .. space .. "," .. space .. '"stream_options":{}' .. space .. "}"))
        end
    end)
end)
