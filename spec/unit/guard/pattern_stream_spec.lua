-- Numbers and addresses of people in guarded streams and bodies, cut at every character.

local answer = require("sluice.wire.answer")
local body = require("sluice.guard.body")
local cjson = require("cjson")
local guarding = require("spec.unit.guard.guarding")
local reference = require("spec.unit.guard.word_reference")
local stream = require("sluice.guard.stream")

local ALL = { "cn_mobile", "cn_id_card", "payment_card", "us_ssn", "email" }

local function guard(action, names)
    local patterns = {}
    for _, name in ipairs(names or ALL) do
        patterns[name] = action
    end
    return guarding.guard({ { words = "敏感词", action = "mask" } }, patterns)
end

local GUARDS = { mask = guard("mask"), block = guard("block"), flag = guard("flag") }

-- What stands before, the find, and what stands behind.
local TEXTS = {
    { "x ", "13812345678", "." }, { "", "13812345678", "" }, { "电话", "13812345678", "。" }, { "+", "8613812345678", "，" },
    { "1-", "138-1234-5678", "!" }, { "no ", "110105 19491231 002X", " 1" }, { "证", "11010519491231002x", "感" },
    { "1 ", "4111 1111 1111 1111", "" }, { "#", "4111111111111111", "#" }, { "(", "378282246310005", ")" }, { "ssn:", "123-45-6789", ";" },
    { "a b.", "123 45 6789", "\\n" }, { "<", "alice.b+c@mail.example.com", ">" }, { "", "a_b@b.co", "" },
    { "邮箱", "a.b@mail.example.org", "是" }, { "@ ", "a@x-1.de", ".." },
}

-- Texts in which there is none, though it may seem so up to the last character.
local HARMLESS = {
    "138123456789", "1381234567", "a13812345678", "13812345678x", "0.13812345678", "110105194912310021", "11010519491331002X",
    "4111111111111112", "411111111111111", "123-45-678", "000-45-6789", "123-45-67890", "a@b", "a@b.", "@b.com", "a@b.1", "a..b@",
    "138 - 1234 - 5678", "4 1 1 1",
}

local FORMS = {
    { "chat", 'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' },
    { "chat", 'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"%s"}}]}}]}\n\n', '[\\"', '\\"]' },
    { "completions", 'data: {"choices":[{"text":"%s","index":0}]}\n\n' },
    { "responses", 'data: {"type":"response.output_text.delta","output_index":0,"delta":"%s"}\n\n' },
    { "messages", 'data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"%s"}}\n\n', '[\\"', '\\"]' },
}

local function fill(form, text)
    return (form:gsub("%%s", function() return text end))
end

local function characters(text, into)
    for escape, character in text:gmatch("(\\?)([%z\1-\127\194-\244][\128-\191]*)") do
        into[#into + 1] = escape .. character
    end
    return into
end

local function masked(text)
    return (text:gsub("[%z\1-\127\194-\244][\128-\191]*", function(character)
        return reference.is_separator(character:byte()) and #character == 1 and character or "█"
    end))
end

-- Has the pieces guarded, an event each. Returns what goes on, and the guarded stream.
local function pass(form, pieces, made)
    local reader = answer.take_answer(form[1], false)
    local guarded, out = stream.guard_stream(reader, made), {}
    for index, piece in ipairs(pieces) do
        out[index] = stream.read_guarded(guarded, fill(form[2], piece), index)
    end
    out[#out + 1] = stream.end_guarded(guarded, 99)
    answer.return_answer(reader)
    return table.concat(out), guarded
end

local function events(form, pieces)
    local out = {}
    for index, piece in ipairs(pieces) do
        out[index] = fill(form[2], piece)
    end
    return table.concat(out)
end

-- The units of a text, as they come and as they go on; the number of the first one that is masked.
local function units_of(form, text)
    local raw = characters((form[3] or "") .. text[1], {})
    local first = #raw + 1
    characters(text[2], raw)
    local last = #raw
    characters(text[3] .. (form[4] or ""), raw)
    local out = {}
    for at, character in ipairs(raw) do
        out[at] = at >= first and at <= last and masked(character) or character
    end
    return raw, out, first
end

-- Pieces of the units that end at `ends`.
local function pieces_of(units, ends)
    local pieces, from = {}, 1
    for index, to in ipairs(ends) do
        pieces[index] = table.concat(units, "", from, to)
        from = to + 1
    end
    return pieces
end

local function check(form, raw, out, first, ends)
    local pieces = pieces_of(raw, ends)
    local got, guarded = pass(form, pieces, GUARDS.mask)
    assert.equal(events(form, pieces_of(out, ends)), got)
    assert.equal(1, guarded.tally.masked)
    local before = {}
    while ends[#before + 1] < first do
        before[#before + 1] = pieces[#before + 1]
    end
    got, guarded = pass(form, pieces, GUARDS.block)
    assert.is_true(guarded.blocked)
    assert.equal(events(form, before), got)
    got, guarded = pass(form, pieces, GUARDS.flag)
    assert.equal(events(form, pieces), got)
    assert.equal(1, guarded.tally.flagged)
    assert.equal(0, guarded.held.longest)
end

describe("a guarded stream with a pattern", function()
    for number, form in ipairs(FORMS) do
        it(("is masked, blocked and flagged exactly, however it is cut: %s, %d"):format(form[1], number), function()
            for _, text in ipairs(TEXTS) do
                local raw, out, first = units_of(form, text)
                local each = {}
                for at = 1, #raw do
                    each[at] = at
                    check(form, raw, out, first, { at, #raw })
                end
                check(form, raw, out, first, each)
                check(form, raw, out, first, { #raw })
            end
        end)

        it(("goes on as it is where there only seems to be one: %s, %d"):format(form[1], number), function()
            for _, text in ipairs(HARMLESS) do
                local raw = units_of(form, { text, "", "" })
                local got, guarded = pass(form, raw, GUARDS.mask)
                assert.equal(events(form, raw), got)
                assert.same({ flagged = 0, masked = 0, blocked = 0 }, guarded.tally)
            end
        end)
    end

    -- The most characters that are held back at any time, of a text that comes one by one and repeats `part`.
    local function most_held(part, made)
        local form, most = FORMS[1], 0
        local guarded = stream.guard_stream(answer.take_answer("chat", false), made)
        local units = characters(part:rep(math.ceil(1000 / #part)), {})
        for _, unit in ipairs(units) do
            stream.read_guarded(guarded, fill(form[2], unit), 1)
            most = math.max(most, guarded.held.count)
        end
        return most
    end

    it("holds back no more of a number than it can have", function()
        local made = guard("mask", { "cn_mobile", "cn_id_card", "payment_card", "us_ssn" })
        for _, part in ipairs({ "1", "4111", "1 ", "1 - ", "138 ", "138-1234-5678 ", "1234567890123456789012345" }) do
            assert.is_true(most_held(part, made) <= 19 + 18 * 2 + 2)
        end
        assert.equal(0, most_held("1", GUARDS.flag))
    end)

    it("holds back no more of an address than it can have", function()
        local made = guard("mask", { "email" })
        assert.is_true(most_held("a", made) <= 65)
        assert.is_true(most_held("a.", made) <= 66)
        for _, part in ipairs({ "a@", "a@b.", "a@b.com.", "a@bbb-" }) do
            assert.is_true(most_held(part, made) <= 64 + 1 + 255 + 2)
        end
        local guarded = stream.guard_stream(answer.take_answer("chat", false), made)
        stream.read_guarded(guarded, fill(FORMS[1][2], "a@b"), 1)
        for _ = 1, 400 do
            stream.read_guarded(guarded, fill(FORMS[1][2], ".b"), 1)
        end
        assert.is_true(guarded.held.count <= 322)
    end)
end)

local CALL = '{"choices":[{"index":0,"message":{"content":null,"tool_calls":[{"id":"c","function":{"name":"f","arguments":"%s"}}]}}]}'

-- The arguments of a tool as they go on: in a stream, cut in two behind each of their characters (or not at all), and in a body.
local function arguments_of(text, uncut)
    local form, units, found = FORMS[2], characters((text:gsub('[\\"]', "\\%0")), {}), {}
    for at = uncut and #units or 1, #units do
        local got = pass(form, pieces_of(units, { at, #units }), GUARDS.mask)
        local parts = {}
        for data in got:gmatch("data: ([^\n]*)") do
            parts[#parts + 1] = cjson.decode(data).choices[1].delta.tool_calls[1]["function"].arguments
        end
        found[table.concat(parts)] = true
    end
    local guarded = body.guard_body(answer.take_answer("chat", false), GUARDS.mask)
    body.read_guarded_body(guarded, fill(CALL, table.concat(units)))
    found[cjson.decode(body.end_guarded_body(guarded)).choices[1].message.tool_calls[1]["function"].arguments] = true
    local one = next(found)
    assert.is_nil(next(found, one))
    return one
end

describe("the arguments of a tool", function()
    it("have null for a bare number, and blocks for one in a string", function()
        for given, expected in pairs({
            ['{"tel":13812345678}'] = '{"tel":null}',
            ['{"tel":13812345678,"b":[13812345678, 1]}'] = '{"tel":null,"b":[null, 1]}',
            ['{"tel":"13812345678"}'] = '{"tel":"███████████"}',
            ['{"tel":"138 1234 5678","b":4111111111111111 }'] = '{"tel":"███ ████ ████","b":null }',
            ["[13812345678]"] = "[null]", ["13812345678"] = "null", ['{"13812345678":1}'] = '{"███████████":1}',
            ['["\\"",13812345678,"\\\\",13812345678]'] = '["\\"",null,"\\\\",null]',
            ['["13812345678",13812345678,"a@b.com"]'] = '["███████████",null,"█@█.███"]',
        }) do
            local expected_inner = expected:gsub("█@█.███", masked("a@b.com"))
            local got = arguments_of(given)
            assert.equal(expected_inner, got)
            assert.is_true(given == "13812345678" or (pcall(cjson.decode, got)))
        end
    end)

    it("stay as they are where the number is another", function()
        for _, text in ipairs({ '{"a":1381234567}', '{"a":138123456789}', '{"a":0.13812345678}', '{"a":[138,1234,5678]}', '{"a":13812345678e1}' }) do
            assert.equal(text, arguments_of(text))
        end
    end)

    it("stay JSON beside escapes of the outer one", function()
        for given, expected in pairs({
            ['[\\u00204111111111111111]'] = '[\\u0020null]',
            ['[\\u0020-4111111111111111.5]'] = '[\\u0020null]',
            ['[\\u00e4111111111111111]'] = '[\\u00e4111111111111111]',
            ['[\\n-4111111111111111e0]'] = '[\\n-4111111111111111e0]',
            ['[\\n-4111111111111111,\\t4111111111111111.0]'] = '[\\nnull,\\tnull]',
        }) do
            local guarded = body.guard_body(answer.take_answer("chat", false), GUARDS.mask)
            body.read_guarded_body(guarded, fill(CALL, given))
            assert.equal(fill(CALL, expected), body.end_guarded_body(guarded))
        end
    end)

    it("stay JSON where a bare number has a sign or a fraction", function()
        for _, text in ipairs({ '{"a":-13812345678}', '{"a":13812345678.0}', '{"a":[-4111111111111111.5]}' }) do
            local got = arguments_of(text, true)
            assert(pcall(cjson.decode, got), got)
            assert.truthy(got:find("null", 1, true))
        end
    end)
end)
