-- Strings that are no text because the API names them, in a walk: what reaches the sink, wherever the document is cut.

local shape = require("sluice.wire.shape")
local walking = require("spec.unit.wire.walking")

local LONGEST = ("k"):rep(63)
local TEXT = { text = true }
local SHAPE = shape.compile({
    members = {
        role = { text = true, known = { "user", "assistant", LONGEST }, slot = "role", others = TEXT, items = TEXT },
        type = { text = true, known = { "base64" }, marks = true },
        data = { text = true, media = true, bytes = true },
        content = TEXT,
    },
    others = TEXT,
})

local function text_of(document)
    return assert(walking.text_of(SHAPE, document))
end

describe("a known value", function()
    it("is no text, and all others are", function()
        for _, value in ipairs({ "user", "assistant", LONGEST }) do
            assert.equal("", text_of(('{"role":"%s"}'):format(value)))
        end
        for _, value in ipairs({ "", "use", "users", "User", "user ", "assistan", "assistantassistant", LONGEST .. "k", LONGEST:sub(2), ("k"):rep(64),
            ("x"):rep(1000), "用户", "user用" }) do
            assert.equal(value .. "\n", text_of(('{"role":"%s"}'):format(value)))
        end
        assert.equal("user\n", text_of([[{"role":"\u0075ser"}]]))
    end)

    it("is none where the place has an object or an array, or another place has it", function()
        assert.equal("user\nuser\nuser\n", text_of('{"role":["user",{}],"content":"user","x":"user"}'))
        assert.equal("user\n", text_of('{"role":{"x":"user"}}'))
    end)

    it("is checked like any string", function()
        for _, wrong in ipairs({
            '{"role":"user', '{"role":"us\ner"}', '{"role":"user\\x"}', '{"role":"\255"}', '{"role":"user""}', '{"role":"user" "x"}',
        }) do
            assert.is_nil((walking.text_of(SHAPE, wrong)))
        end
    end)

    it("marks its object as another string does", function()
        assert.equal("", text_of('{"type":"base64","data":"x"}'))
        assert.equal("y\nx\n", text_of('{"type":"y","data":"x"}'))
        assert.equal("x\n", text_of('{"data":"x","type":"base64"}'))
    end)

    it("is the same wherever the document is cut", function()
        local walk = walking.recording_walk(SHAPE)
        for _, document in ipairs({
            '{"role":"user","content":"a","x":"b"}', '{"role":"users","content":"user"}', '{ "role" : "assistant" ,"type":"base64","data":"x"}',
            ('{"role":"%s","content":"a"}'):format(LONGEST), ('{"role":"%sk","content":"a"}'):format(LONGEST), '{"role":"\\u0075ser"}',
            '{"role":"用户","type":"\\n"}', '{"role":"use\\',
        }) do
            local whole = walking.observe(walk, { document })
            for size = 1, #document do
                assert.equal(whole, (walking.observe(walk, walking.chop(document, size))))
            end
        end
    end)

    it("has its range reported like any string", function()
        local slots = walking.slots(SHAPE, '{"role": "user"}')
        assert.same({ kind = "string", bytes = '"user"' }, slots.role)
    end)
end)
