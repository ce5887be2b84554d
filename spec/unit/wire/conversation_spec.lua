local conversation = require("sluice.wire.conversation")
local ffi = require("ffi")
local request = require("sluice.wire.request")
local walking = require("spec.unit.wire.walking")

local function range(source, from, to) return source:sub(from + 1, to) end

-- The parts of a body that is read in these pieces, in their order, with "-" for one that isn't there.
local function parts(api, body, pieces)
    local reader = request.take(api, false)
    for _, piece in ipairs(pieces or { body }) do request.read(reader, piece) end
    local reading = request.conclude(reader, range, body)
    local places = ffi.new("int32_t[?]", conversation.PARTS * 2)
    conversation.note_conversation(reader, places)
    request.release(reader)
    assert(reading, body)
    local found = {}
    for part = 0, conversation.PARTS - 1 do
        local from, to = places[part * 2], places[part * 2 + 1]
        found[part + 1] = to > 0 and body:sub(from + 1, to) or "-"
    end
    return table.concat(found, " ")
end

local CASES = {
    { "chat", '{"model":"m","messages":[{"role":"user","content":"a"}]}', '- - [{"role":"user","content":"a"}' },
    { "chat", '{"messages":[ ],"tools":[{"a":[1]}] ,"model":"m"}', '[{"a":[1]}] - [ ' },
    { "chat", '{"model":"m"}', "- - -" },
    { "chat", '{"model":"m","system":"s","input":"i","prompt":"p","Messages":[1],"Tools":[2]}', "- - -" },
    { "chat", '{"model":"m","user":{"messages":[1],"tools":[2]}}', "- - -" },
    { "completions", '{"prompt":"tell \\"me\\"","model":"m"}', '- - "tell \\"me\\"' },
    { "completions", '{"model":"m","prompt":[[1,2],[3]]}', "- - [[1,2],[3]" },
    { "responses", '{"input":"i","model":"m","instructions":"be kind","tools":[]}', '[] "be kind" "i' },
    { "responses", '{"model":"m","input":[{"content":[{"input":"x","tools":[3]}]}]}', '- - [{"content":[{"input":"x","tools":[3]}]}' },
    { "messages", '{"messages":[1],"system":[{"type":"text","text":"s"}],"model":"m"}', '- [{"type":"text","text":"s"}] [1' },
    { "embeddings", '{"model":"m","input":"text"}', "- - -" },
}

describe("a conversation in a body", function()
    for _, case in ipairs(CASES) do
        it("of " .. case[1] .. " is found in " .. case[2], function()
            assert.equal(case[3], parts(case[1], case[2]))
            for size = 1, 9 do
                assert.equal(case[3], parts(case[1], case[2], walking.chop(case[2], size)))
            end
        end)
    end

    it("is not that of the body before it", function()
        parts("chat", '{"model":"m","tools":[1],"messages":[2]}')
        assert.equal("- - -", parts("chat", '{"model":"m"}'))
    end)
end)
