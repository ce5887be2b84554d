local json = require("sluice.wire.json")
local cjson = require("cjson.safe")

local decode, encode, utf8 = json.decode_string, json.encode_string, json.encode_utf8

describe("a JSON string", function()
    for raw, text in pairs({
        ['""'] = "",
        ['"abc"'] = "abc",
        [ [["\"\\\/\b\f\n\r\t"]] ] = '"\\/\b\f\n\r\t',
        [ [["\u0041"]] ] = "A",
        [ [["\u0000"]] ] = "\0",
        [ [["\u00e9\u4F60"]] ] = "\195\169\228\189\160",
        [ [["\ud83d\ude00"]] ] = "\240\159\152\128",
        [ [["a\nb"]] ] = "a\nb",
        [ [["\na"]] ] = "\na",
        [ [["a\n"]] ] = "a\n",
        [ [["\\n"]] ] = "\\n",
        [ [["\\\\"]] ] = "\\\\",
        ['"\228\189\160\\u597d"'] = "\228\189\160\229\165\189",
    }) do
        it("is decoded: " .. raw, function() assert.equal(text, decode(raw)) end)
    end
end)

describe("a string is written as JSON", function()
    for name, text in pairs({
        ["nothing"] = "", ["a model's name"] = "Qwen/Qwen2.5-72B-Instruct", ["quotes"] = 'a"b', ["backslashes"] = "a\\b\\", ["a NUL"] = "a\0b",
        ["line ends"] = "a\r\nb", ["DEL"] = "\127", ["Chinese"] = "\228\189\160\229\165\189", ["an emoji"] = "\240\159\152\128",
        ["what looks like JSON"] = '","model":"other', ["what looks like an event's end"] = "\n\ndata: x",
    }) do
        it("with " .. name, function()
            local raw = encode(text)
            local walk = json.walker(require("sluice.wire.shape").compile({}), json.NO_SINK, nil)
            assert.is_nil(json.check(walk, raw))
            assert.is_nil(raw:find("[\1-\31]"))
            assert.equal(text, decode(raw))
            assert.equal(text, cjson.decode("[" .. raw .. "]")[1])
        end)
    end

    it("with every byte that ASCII has", function()
        for code = 0, 127 do
            assert.equal(string.char(code), decode(encode(string.char(code))))
        end
    end)
end)

describe("a code point is written as UTF-8", function()
    for code_point, bytes in pairs({
        [0] = "\0", [0x41] = "A", [0x7F] = "\127", [0x80] = "\194\128", [0x7FF] = "\223\191", [0x800] = "\224\160\128", [0xD7FF] = "\237\159\191",
        [0xE000] = "\238\128\128", [0xFFFF] = "\239\191\191", [0x10000] = "\240\144\128\128", [0x10FFFF] = "\244\143\191\191",
    }) do
        it(("U+%04X"):format(code_point), function() assert.equal(bytes, utf8(code_point)) end)
    end
end)
