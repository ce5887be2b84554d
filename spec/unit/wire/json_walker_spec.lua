local json = require("sluice.wire.json")
local shape = require("sluice.wire.shape")
local walking = require("spec.unit.wire.walking")

local slots, text_of = walking.slots, walking.text_of

-- The text flag by itself, a place for one string.
local TEXT = { text = true }

describe("a slot", function()
    local compiled = shape.compile({ members = { a = { slot = "a" }, x = { members = { y = { slot = "y" } } } } })

    for document, kind in pairs({
        ['{"a":"s"}'] = "string", ['{"a":""}'] = "string", ['{"a":"s\\n"}'] = "escaped string", ['{"a":"\\u0041"}'] = "escaped string",
        ['{"a":"\228\189\160"}'] = "string", ['{"a":12}'] = "number", ['{"a":true}'] = "true", ['{"a":false}'] = "false",
        ['{"a":null}'] = "null", ['{"a":{}}'] = "object", ['{"a":{"a":[1]}}'] = "object", ['{"a":[]}'] = "array", ['{"a":[{"a":1}]}'] = "array",
    }) do
        it("tells the kind of " .. walking.show(document), function()
            local found = slots(compiled, document)
            assert.equal(kind, found.a.kind)
            assert.equal(document:match("^{\"a\":(.*)}$"), found.a.bytes)
        end)
    end

    it("leaves blanks around the value out", function()
        assert.equal("[ 1 , 2 ]", slots(compiled, '{"a" : \n [ 1 , 2 ]\t , "b":1}').a.bytes)
        assert.equal("12", slots(compiled, '{"a": 12\r\n}').a.bytes)
        assert.equal('" x "', slots(compiled, '{"a":\t" x " }').a.bytes)
    end)

    it("is absent when there is no such member", function()
        assert.same({}, slots(compiled, '{"b":{"a":1},"x":{"a":1},"y":2}'))
        assert.same({}, slots(compiled, '["a",{"a":1}]'))
    end)

    it("is filled by the member at its place only", function()
        assert.same({ a = { kind = "number", bytes = "1", number = 1 } }, slots(compiled, '{"q":{"a":2},"a":1,"z":[{"a":3}]}'))
        assert.equal("4", slots(compiled, '{"x":{"y":4,"x":{"y":5}}}').y.bytes)
    end)

    it("is filled by a key written with escapes", function()
        assert.equal("7", slots(compiled, [[{"\u0061":7}]]).a.bytes)
    end)

    it("is not filled by a key that merely looks alike", function()
        for _, key in ipairs({ "A", "aa", "a ", " a", "a\\u0000", "\239\189\129", "\208\176", "" }) do
            assert.same({}, slots(compiled, '{"' .. key .. '":1}'), key)
        end
    end)

    it("is empty again for the next document", function()
        local walk = json.walker(compiled, json.NO_SINK, nil)
        assert.is_nil(json.check(walk, '{"a":1}'))
        assert.is_nil(json.check(walk, '{"b":1}'))
        assert.equal(0, walk.state.kinds[compiled.slot_of.a])
    end)

    it("keeps nothing of a refused document for the next one", function()
        local walk = json.walker(compiled, json.NO_SINK, nil)
        for _, refused in ipairs({ '{"a":{"a":"\\', '[[[[', '{"a":"\255"}', '{"a":1,"a":', '{"x":{"y":12', '{"a":tr', "-" }) do
            json.check(walk, refused)
            assert.is_nil(json.check(walk, '{"a":"s","x":{"y":1}}'), refused)
            assert.equal(5, walk.state.starts[compiled.slot_of.a])
            assert.equal(8, walk.state.ends[compiled.slot_of.a])
        end
    end)

    it("has its offsets in the whole document, however it is cut", function()
        local document = '{"x":{"y":"\\u0041b"},"a":[ {"b":"c"}, 2 ]}'
        local expected = slots(compiled, document)
        for cut = 0, #document do
            local walk = json.walker(compiled, json.NO_SINK, nil)
            local rest = walking.feed_pieces(walk, { document:sub(1, cut), document:sub(cut + 1) })
            assert.is_true(json.finish(walk, 0, #rest))
            for name, slot in pairs(compiled.slot_of) do
                local bytes = document:sub(walk.state.starts[slot] + 1, walk.state.ends[slot])
                assert.equal(expected[name].bytes, bytes, cut)
            end
        end
    end)
end)

describe("a number in a slot", function()
    local compiled = shape.compile({ members = { n = { slot = "n" } } })
    local function number(written)
        return slots(compiled, '{"n":' .. written .. "}").n.number
    end

    for written, value in pairs({
        ["0"] = 0, ["1"] = 1, ["9"] = 9, ["10"] = 10, ["128"] = 128, ["4096"] = 4096, ["2147483648"] = 2147483648,
        ["9007199254740991"] = 9007199254740991,
    }) do
        it("is " .. written, function() assert.equal(value, number(written)) end)
    end

    for _, written in ipairs({
        "-0", "-1", "-128", "1.5", "0.1", "1e-3", "-1e3", "9223372036854775807", "99999999999999999999", ("9"):rep(400), "-" .. ("9"):rep(400),
    }) do
        it("is no whole number: " .. written:sub(1, 24), function() assert.equal(-1, number(written)) end)
    end

    it("is read alike in slices of one byte", function()
        local walk = json.walker(compiled, json.NO_SINK, nil)
        local rest = walking.feed_pieces(walk, walking.chop('{"n":  1234567  }', 1))
        assert.is_true(json.finish(walk, 0, #rest))
        assert.equal(1234567, walk.state.numbers[compiled.slot_of.n])
    end)

    it("ends with the document", function()
        local root = shape.compile({ slot = "root" })
        local found = slots(root, "815")
        assert.same({ kind = "number", bytes = "815", number = 815 }, found.root)
    end)
end)

describe("numbers that are counted", function()
    local prompt = { count_numbers = true }
    prompt.items = prompt
    local compiled = shape.compile({ members = { prompt = prompt } })
    local function count(document)
        local walk = json.walker(compiled, json.NO_SINK, nil)
        assert.is_nil(json.check(walk, document))
        return walk.state.number_count
    end

    it("are those at their place, at any depth of arrays", function()
        assert.equal(5, count('{"prompt":[[1,2,3],[],[[-4.5e1,0]]],"n":9,"x":[1,2]}'))
        assert.equal(1, count('{"prompt":7}'))
        assert.equal(0, count('{"prompt":{"a":1,"b":[2]}}'))
    end)

    it("begin at nothing with each document", function()
        local walk = json.walker(compiled, json.NO_SINK, nil)
        json.check(walk, '{"prompt":[1,2]}')
        json.check(walk, '{"prompt":[3]}')
        assert.equal(1, walk.state.number_count)
    end)
end)

describe("the sink", function()
    it("gets the characters of a string with their offsets, escapes decoded", function()
        local walk = walking.recording_walk(shape.compile({ members = { t = TEXT } }))
        local told = walking.observe(walk, { [==[{"t":"A\n\u4f60]==] .. "\228\189\160\195\169\240\159\152\128" .. [==[\ud83d\ude00"}]==] })
        assert.equal("numbers 0\n<5 65@6-7 10@7-9 20320@9-15 20320@15-18 233@18-20 128512@20-24 128512@24-36 >36",
            told:sub(2))
    end)

    it("gets an empty string as a beginning and an end", function()
        local walk = walking.recording_walk(shape.compile({ members = { t = TEXT } }))
        assert.equal("\nnumbers 0\n<5 >6", (walking.observe(walk, { '{"t":""}' })))
    end)

    it("gets keys only where they are text", function()
        assert.equal("", text_of(shape.compile({ others = {} }), '{"key":"value"}'))
        assert.equal("value\n", text_of(shape.compile({ others = TEXT }), '{"key":"value"}'))
        assert.equal("key\nvalue\n", text_of(shape.compile({ key_text = true, others = TEXT }), '{"key":"value"}'))
        assert.equal("k\228\189\160\n", text_of(shape.compile({ key_text = true }), '{"k\\u4f60":"value"}'))
    end)

    it("gets the keys of the object itself, not of the objects in it", function()
        assert.equal("a\nb\n", text_of(shape.compile({ key_text = true, others = {} }), '{"a":{"x":1},"b":[{"y":2}]}'))
    end)

    it("gets nothing from a place that is not text", function()
        assert.equal("", text_of(shape.compile({}), '{"a":"b","c":["d",{"e":"f"}]}'))
    end)

    it("gets named members by their own place, not by that of the others", function()
        local compiled = shape.compile({ members = { skip = {} }, others = TEXT })
        assert.equal("yes\n", text_of(compiled, '{"skip":"no","read":"yes"}'))
        assert.equal("yes\n", text_of(compiled, [[{"sk\u0069p":"no","read":"yes"}]]))
    end)

    it("gets elements by the place of the items", function()
        assert.equal("a\nb\n", text_of(shape.compile({ items = TEXT }), '["a",{"x":"no"},["no"],"b"]'))
    end)

    it("is told which place a string is at", function()
        local nodes = {}
        local walk = json.walker(shape.compile({ members = { a = TEXT, b = { text = true } } }), {
            begin = function(_, node) nodes[#nodes + 1] = node end,
            character = function() end,
            finish = function() end,
        })
        assert.is_nil(json.check(walk, '{"a":"","b":"","x":""}'))
        assert.equal(2, #nodes)
        assert.is_not.equal(nodes[1], nodes[2])
    end)

    it("gets every character once, whatever sort of text is cut where", function()
        local walk = walking.recording_walk(shape.compile({ text = true }))
        local document = '"ab\228\189\160\229\165\189c\195\169\240\159\152\128\\n\\u4f60\\ud83d\\ude00\228\184\150"'
        local whole = walking.observe(walk, { document })
        for first = 0, #document do
            for second = first, #document do
                local told = walking.observe(walk, { document:sub(1, first), document:sub(first + 1, second), document:sub(second + 1) })
                if told ~= whole then
                    assert.equal(whole, told, first .. " and " .. second)
                end
            end
        end
    end)
end)

describe("what is consumed of a slice", function()
    local function left_over(slice)
        local walk = json.walker(shape.compile({ text = true, others = TEXT }), json.NO_SINK, nil)
        return #slice - json.feed(walk, json.bytes_of(slice), 0, #slice)
    end

    it("is all of it in a string, a number, a blank", function()
        for _, slice in ipairs({ '"abc', "[12", "[-", "[1.", "[1e", "[1e+", "[1 ", '"abc\228\189\160', '"\\n' }) do
            assert.equal(0, left_over(slice), slice)
        end
    end)

    it("is all but what an escape, a sequence or a literal has begun with, or a key that may be a known one", function()
        for slice, bytes in pairs({
            ['"ab\\'] = 1, ['"ab\\u'] = 2, ['"ab\\u12'] = 4, ['"ab\\ud83d'] = 6, ['"ab\\ud83d\\'] = 7, ['"ab\\ud83d\\ude0'] = 11,
            ['"ab\228'] = 1, ['"ab\228\189'] = 2, ['"ab\240\159\152'] = 3, ["[t"] = 1, ["[fals"] = 4, ["[nul"] = 3, ['{"abc'] = 4,
            ['{"ab\\u006'] = 8, ['{"ab\228\189'] = 5, ['{"'] = 1,
        }) do
            assert.equal(bytes, left_over(slice), walking.show(slice))
        end
    end)

    it("begins and ends where it is told to", function()
        local walk = json.walker(shape.compile({ slot = "root" }), json.NO_SINK, nil)
        local buffer = 'xxx{"a":[1,2]}yyy'
        assert.equal(14, json.feed(walk, json.bytes_of(buffer), 3, 14))
        assert.is_true(json.finish(walk, 14, 14))
        assert.equal(3, walk.state.starts[1])
        assert.equal(14, walk.state.ends[1])
    end)
end)

describe("a refused document", function()
    local walk = json.walker(shape.compile({}), json.NO_SINK, nil)

    for document, problem in pairs({
        ["[1,x]"] = "is not JSON (byte 4)",
        ['["\255"]'] = "is not UTF-8 (byte 3)",
        ['["\n"]'] = "has a control character in a string (byte 3)",
        ['["\\x"]'] = "has an invalid escape in a string (byte 3)",
        ['["\\udc00"]'] = "has a lone surrogate in a string (byte 3)",
        ['{"a":1,"a":2}'] = "has an object with the same key twice, or one that differs from a known one only by case (byte 10)",
        [("["):rep(129)] = "is nested deeper than 128 levels (byte 129)",
        ["[1,2"] = "ends too early (byte 5)",
    }) do
        it(problem, function() assert.equal(problem, json.check(walk, document)) end)
    end

    it("is told where by the whole document's bytes, however it is cut", function()
        for _, document in ipairs({ '{"abc":[1,2,{"d":"\228\189\160\255"}]}', '{"abc":1,"abc":2}', "[true,falsy]", '["\\ud800x     "]' }) do
            local expected = json.check(walk, document)
            for size = 1, #document do
                json.restart(walk)
                local rest = walking.feed_pieces(walk, walking.chop(document, size))
                assert.is_false(json.finish(walk, 0, #rest))
                assert.equal(expected, json.describe_fault(walk.state), size)
            end
        end
    end)

    it("never shows the document", function()
        for _, document in ipairs({ '{"secret":secret}', '"secret', '{"secret":1,"secret":2}', '["\\qsecret"]' }) do
            assert.is_nil(json.check(walk, document):find("secret", 1, true))
        end
    end)
end)

describe("the keys of a document", function()
    local walk = json.walker(shape.compile({}), json.NO_SINK, nil)

    -- An object of so many keys, and perhaps one more of a given name at its end.
    local function object(count, last)
        local members = {}
        for index = 1, count do
            members[index] = ('"key %d":0'):format(index)
        end
        members[#members + 1] = last and ('"%s":0'):format(last) or nil
        return "{" .. table.concat(members, ",") .. "}"
    end

    for _, count in ipairs({ 1, 40, 47, 48, 49, 63, 64, 96, 97, 1000, 49152, 49153, 65536 }) do
        it("are told apart and found again among " .. count, function()
            assert.is_nil(json.check(walk, object(count)))
            assert.is_nil(json.check(walk, object(count, "key 0")))
            for _, index in ipairs({ 1, math.ceil(count / 2), count }) do
                assert.matches("the same key twice", json.check(walk, object(count, "key " .. index)))
            end
        end)
    end

    it("may not be more than the table can hold", function()
        assert.matches("too many keys", json.check(walk, object(140000)))
        assert.is_nil(json.check(walk, '{"a":1}'))
    end)

    it("of objects that have ended take no room", function()
        local few = object(40)
        assert.is_nil(json.check(walk, "[" .. (few .. ","):rep(5000) .. few .. "]"))
        assert.is_true(walk.state.key_mask < 256, walk.state.key_mask)
    end)

    it("of objects that are still open are kept while others come and go", function()
        local inner = {}
        for index = 1, 3000 do
            inner[index] = ('"inner %d":{"x":1,"y":2,"z":3}'):format(index)
        end
        local members = table.concat(inner, ",")
        assert.is_nil(json.check(walk, '{"outer":1,"in":{' .. members .. '},"other":2}'))
        assert.matches("the same key twice", json.check(walk, '{"outer":1,"in":{' .. members .. '},"outer":2}'))
        assert.matches("the same key twice", json.check(walk, '{"outer":1,"in":{' .. members .. ',"inner 1":0}}'))
    end)

    it("are kept at every level of a deep document", function()
        local document, close = {}, {}
        for level = 1, 127 do
            document[level] = ('{"a":1,"b%d":2,"c":'):format(level)
            close[level] = ',"d":3}'
        end
        local text = table.concat(document) .. "0" .. table.concat(close)
        assert.is_nil(json.check(walk, text))
        for level = 1, 127 do
            local wrong = close[level]
            close[level] = (',"b%d":3}'):format(128 - level)
            assert.matches("the same key twice", json.check(walk, table.concat(document) .. "0" .. table.concat(close)))
            close[level] = wrong
        end
    end)

    -- A hash that turns its state by a fixed number of bits comes around after 32 characters: keys that differ only in the
    -- order of two characters so far apart are the ones it would take for the same.
    it("are told apart when they differ in the order of characters 32 or 64 apart", function()
        for middle = 0x20, 0x7E do
            for _, distance in ipairs({ 32, 64 }) do
                local between, members = string.char(middle):rep(distance - 1), {}
                for first = 97, 122 do
                    for second = 97, 122 do
                        members[#members + 1] = ('"%c%s%c":0'):format(first, between, second)
                    end
                end
                if middle ~= 0x22 and middle ~= 0x5C then
                    assert.is_nil(json.check(walk, "{" .. table.concat(members, ",") .. "}"))
                end
            end
        end
    end)

    it("are told apart when they are runs of one character", function()
        for _, character in ipairs({ "a", "0", "\\u0000", "\228\189\160" }) do
            local members = {}
            for length = 0, 600 do
                members[length + 1] = '"' .. character:rep(length) .. '":0'
            end
            assert.is_nil(json.check(walk, "{" .. table.concat(members, ",") .. "}"))
        end
    end)
end)

describe("memory", function()
    local function grown(work)
        collectgarbage()
        collectgarbage()
        local before = collectgarbage("count")
        local most = before
        work(function() most = math.max(most, collectgarbage("count")) end)
        return most - before
    end

    it("does not grow with the length of a string", function()
        local walk = json.walker(shape.compile({ text = true }), json.NO_SINK, nil)
        local slice = ("abcdefg\228\189\160\\n\\u4f60"):rep(3000)
        local kilobytes = grown(function(look)
            json.restart(walk)
            json.feed(walk, json.bytes_of('"'), 0, 1)
            for _ = 1, 400 do
                assert(json.feed(walk, json.bytes_of(slice), 0, #slice) == #slice)
                look()
            end
        end)
        assert.is_true(walk.state.fault == 0 and kilobytes < 512, kilobytes)
    end)

    it("does not grow with the number of objects", function()
        local walk = json.walker(shape.compile({}), json.NO_SINK, nil)
        local slice = ('{"a":[1,2,{"b":null}],"c":"d"},'):rep(2000)
        local kilobytes = grown(function(look)
            json.restart(walk)
            json.feed(walk, json.bytes_of("["), 0, 1)
            for _ = 1, 100 do
                assert(json.feed(walk, json.bytes_of(slice), 0, #slice) == #slice)
                collectgarbage()
                look()
            end
        end)
        assert.is_true(walk.state.fault == 0 and kilobytes < 512, kilobytes)
    end)

    it("of a large key table goes with the document", function()
        local walk = json.walker(shape.compile({}), json.NO_SINK, nil)
        local members = {}
        for index = 1, 60000 do
            members[index] = ('"%d":0'):format(index)
        end
        local document = "{" .. table.concat(members, ",") .. "}"
        members = nil
        assert.is_nil(members)
        collectgarbage()
        collectgarbage()
        local before = collectgarbage("count")
        assert.is_nil(json.check(walk, document))
        json.restart(walk)
        collectgarbage()
        collectgarbage()
        local kilobytes = collectgarbage("count") - before
        assert.is_true(kilobytes < 64, kilobytes)
    end)
end)
