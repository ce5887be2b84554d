local resplice = require("sluice.wire.resplice")
local splice = require("sluice.wire.splice")
local walking = require("spec.unit.wire.walking")

local function edits(list)
    local made = splice.no_edits()
    for _, edit in ipairs(list) do
        splice.replace(made, edit[1], edit[2], edit[3])
    end
    return made
end

-- What the second turn makes of the first one's document, after making sure that slices of every size give the same.
local function edited_again(document, first, second)
    local originals = {}
    for _, edit in ipairs(first) do
        if edit[2] > edit[1] then
            originals[edit[1]] = document:sub(edit[1] + 1, edit[2])
        end
    end
    local once = splice.apply(edits(first), document, 0)
    local changes = resplice.edits_between(edits(first), edits(second), originals)
    local twice = splice.apply(changes, once, 0)
    for size = 1, #once do
        local parts, offset = {}, 0
        for index, piece in ipairs(walking.chop(once, size)) do
            parts[index] = splice.apply(changes, piece, offset)
            offset = offset + #piece
        end
        assert.equal(twice, table.concat(parts))
    end
    return twice, changes
end

describe("editing again", function()
    local document = "0123456789"

    it("puts back what only the first turn replaced", function()
        assert.equal(document, (edited_again(document, { { 2, 5, "ab" }, { 7, 7, "insertion" } }, {})))
    end)
    it("replaces what the first turn left", function()
        assert.equal("01ab56789", (edited_again(document, {}, { { 2, 5, "ab" } })))
    end)
    it("replaces what the first turn replaced with something else, longer, shorter or nothing", function()
        for _, text in ipairs({ "", "x", "abcdefgh" }) do
            assert.equal("01" .. text .. "5678-9", (edited_again(document, { { 2, 5, "abcd" }, { 9, 9, "-" } }, { { 2, 5, text }, { 9, 9, "-" } })))
        end
    end)
    it("changes nothing where both turns are the same", function()
        local same = { { 0, 0, "first" }, { 2, 5, "ab" }, { 9, 10, "" } }
        local twice, changes = edited_again(document, same, same)
        assert.equal("first01ab5678", twice)
        assert.equal(0, changes.count)
    end)
    it("tells an insertion from a range that begins where it is", function()
        assert.equal("01<+>9", (edited_again(document, { { 2, 2, "<" }, { 2, 9, "x" } }, { { 2, 2, "<" }, { 2, 9, "+>" } })))
        assert.equal("01+9", (edited_again(document, { { 2, 2, "<" } }, { { 2, 9, "+" } })))
        assert.equal("01<23456789", (edited_again(document, { { 2, 9, "+" } }, { { 2, 2, "<" } })))
    end)

    it("is as if the original were edited afresh, whatever the edits, and again and again", function()
        local seed = os.time()
        print("seed " .. seed)
        math.randomseed(seed)
        local function text(most)
            local letters = {}
            for index = 1, math.random(0, most) do
                letters[index] = string.char(math.random(97, 122))
            end
            return table.concat(letters)
        end
        for _ = 1, 300 do
            local original = "{" .. text(60) .. "}"
            -- Ranges that any turn may replace, side by side at times.
            local ranges, at = {}, 0
            -- An insertion behind the last byte is none, so that one is left alone.
            local length = #original - 1
            while at < length do
                local start = math.min(length - 1, at + math.random(0, 6))
                local last = math.min(length, start + math.random(0, 5))
                ranges[#ranges + 1] = { start, last }
                at = math.max(last, at + 1)
                if last == start then at = last + 1 end
            end
            local function turn()
                local list = {}
                for _, range in ipairs(ranges) do
                    if math.random() < 0.6 then
                        list[#list + 1] = { range[1], range[2], text(8) }
                    end
                end
                return list
            end
            local first = turn()
            for _ = 1, 3 do
                local second = turn()
                assert.equal(splice.apply(edits(second), original, 0), (edited_again(original, first, second)))
                first = second
            end
        end
    end)
end)

describe("a request's body", function()
    local request = require("sluice.wire.request")

    local function reading_of(body, named)
        local reader = request.take("chat", false)
        request.read(reader, body)
        local reading, refusal = request.conclude(reader, function(source, from, to) return source:sub(from + 1, to) end, body, named)
        request.release(reader)
        assert.is_nil(refusal)
        return reading
    end

    it("is edited for one model after the other as if each were the first, whatever names and caps they have", function()
        local seed = os.time()
        print("seed " .. seed)
        math.randomseed(seed)
        local names = { "chat", "c", "a-rather-long-name-of-a-model", "q/w", "mock;tokens=5" }
        local function one_of(list) return list[math.random(#list)] end
        for _ = 1, 300 do
            -- A path may name the model, and the body none.
            local named = math.random() < 0.3 and one_of(names) or nil
            local model = '"model":' .. one_of({ '"chat"', '"ch\\u0061t"', ' "c"' })
            local members = { named and '"seed":1' or model, '"messages":[{"role":"user","content":"secret"}]' }
            if math.random() < 0.6 then table.insert(members, 1, '"max_tokens": ' .. one_of({ "0", "10", "1000", "1e3", "50.0" })) end
            if math.random() < 0.6 then members[#members + 1] = '"max_completion_tokens":' .. one_of({ "5", "70", "4e2", "null" }) end
            if math.random() < 0.6 then members[#members + 1] = '"stream":true' end
            if math.random() < 0.3 then members[#members + 1] = '"stream_options":' .. one_of({ "{}", "null", '{"include_usage":false}' }) end
            local body = "{" .. table.concat(members, ",") .. "}"
            local reading = reading_of(body, named)
            local masks = splice.no_edits()
            if math.random() < 0.5 then
                local from, to = body:find("secret", 1, true)
                splice.replace(masks, from - 1, to, "\226\150\136")
            end
            local originals = { [reading.model_start] = body:sub(reading.model_start + 1, reading.model_end) }
            for _, cap in ipairs(reading.caps) do
                originals[cap.start] = body:sub(cap.start + 1, cap["end"])
            end
            local function turn()
                local most = math.random() < 0.3 and nil or one_of({ 1, 60, 100, 100000 })
                local made = request.edits_for(reading, one_of(names), most) or splice.no_edits()
                resplice.add_all(made, masks)
                return made
            end
            local before = turn()
            local document = splice.apply(before, body, 0)
            for _ = 1, 4 do
                local after = turn()
                document = splice.apply(resplice.edits_between(before, after, originals), document, 0)
                assert.equal(splice.apply(after, body, 0), document)
                before = after
            end
        end
    end)
end)

describe("a request's body with stream_options", function()
    local member = require("sluice.wire.member")
    local request = require("sluice.wire.request")
    local decode = require("cjson.safe").decode
    local function range(text, from, to) return text:sub(from + 1, to) end

    it("is edited for models that must not get them and for those that may, one after the other, masks within them too", function()
        local seed = os.time()
        print("seed " .. seed)
        math.randomseed(seed)
        local function one_of(list) return list[math.random(#list)] end
        for _ = 1, 500 do
            local space = one_of({ "", "", " ", "\n\t" })
            local options = one_of({ "{}", "null", '{"include_usage":false}', '{"include_usage":true}', '{"a":"secret"}',
                '{"a":["secret",1],"include_usage":null}' })
            local members = { '"model":"chat"', '"messages":[{"role":"user","content":"secret"}]', '"stream":' .. one_of({ "true", "false" }) }
            table.insert(members, math.random(#members + 1), '"stream_options"' .. space .. ":" .. space .. options)
            if math.random() < 0.3 then members = { members[2], members[1], members[3], members[4] } end
            local body = "{" .. space .. table.concat(members, space .. "," .. space) .. space .. "}"
            local reader = request.take("chat", false)
            request.read(reader, body)
            local reading = assert((request.conclude(reader, range, body)))
            request.release(reader)
            local first, last = member.member_range(range, body, reading.options_start, reading.options_end, #body)
            local masks, at = splice.no_edits(), 1
            while body:find("secret", at, true) do
                local from, to = body:find("secret", at, true)
                splice.replace(masks, from - 1, to, "*")
                at = to + 1
            end
            local originals = { [reading.model_start] = body:sub(reading.model_start + 1, reading.model_end) }
            local function turn()
                local never, name = math.random() < 0.5, one_of({ "chat", "c", "longer-name" })
                local made = request.edits_for(reading, name, nil, never) or splice.no_edits()
                resplice.add_all(made, masks)
                return splice.fold(made, first, last, never and "" or splice.apply(made, body:sub(first + 1, last), first)), never, name
            end
            local before = turn()
            local document = splice.apply(before, body, 0)
            for _ = 1, 4 do
                local after, never, name = turn()
                document = splice.apply(resplice.edits_between(before, after, originals), document, 0)
                assert.equal(splice.apply(after, body, 0), document)
                local sent = assert(decode(document), document)
                assert.equal(name, sent.model)
                assert.is_nil(document:find("secret", 1, true))
                if never then
                    assert.is_nil(sent.stream_options)
                elseif sent.stream then
                    assert.is_true(sent.stream_options.include_usage)
                end
                before = after
            end
        end
    end)
end)

describe("adding edits to others", function()
    it("keeps them in order", function()
        local all = edits({ { 1, 2, "a" }, { 6, 8, "b" } })
        resplice.add_all(all, edits({ { 0, 0, "c" }, { 3, 4, "d" }, { 9, 10, "e" } }))
        assert.equal("c0a2d45b8e", splice.apply(all, "0123456789", 0))
    end)
end)
