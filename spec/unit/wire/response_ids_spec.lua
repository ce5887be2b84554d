local response_ids = require("sluice.wire.response_ids")

describe("An id", function()
    it("is of letters, digits, hyphens and underscores, 128 at most", function()
        for _, id in ipairs({ "a", "resp_1-A", ("x"):rep(128) }) do
            assert.is_true(response_ids.is_id(id))
        end
        for _, text in ipairs({ "", "a b", "a/b", "a.b", "a\n", "a|b", "é", ("x"):rep(129) }) do
            assert.is_false(response_ids.is_id(text))
        end
    end)
end)

describe("The ids of an answer", function()
    local function ids(text)
        local found = response_ids.ids_of_answer(text)
        return { found.response, found.conversation or "", found.status or "", table.concat(found.items, " ") }
    end

    it("are those of the response, its conversation and its items, wherever they stand", function()
        assert.same({ "resp_1", "conv_1", "queued", "msg_1 rs_2" }, ids([[
            {"error":null,"metadata":{"id":"no","output":[{"id":"no"}]},"output" : [ {"content":[{"id":"no","text":"\"id\":\"no\""}],"id":"msg_1"},
            {"id":"rs_2","summary":[]}, 7, "x", {"id":null} ], "conversation":{"id":"conv_1"},"id":"resp_1","status":"queued","n":1.5}]]))
        assert.same({ "resp_1", "conv_1", "", "" }, ids('{"id":"resp_1","conversation":"conv_1","output":[]}'))
        assert.same({ nil, "", "", "in_1" }, ids('{"object":"list","data":[{"id":"in_1"}]}'))
    end)

    it("are found by names that are written with escapes", function()
        assert.same({ "resp_1", "", "", "msg" }, ids([[{"i\u0064":"resp_1","outpu\u0074":[{"\u0069d":"m\u0073g"}]}]]))
    end)

    it("are told apart by whether the items say everything themselves, as those do that a client has sent", function()
        local found = response_ids.ids_of_answer([[{"data":[{"id":"a","type":"message"},{"id":"b","role":"user"},{"id":"c","type":"reasoning"},
            {"type":"function_call_output","id":"d"},{"type":"mes\u0073age","id":"e"},{"type":7,"id":"f"},{"id":["g"]}]}]])
        assert.equal("a b d e", table.concat(found.whole_items, " "))
        assert.equal("c f ", table.concat(found.items, " "))
    end)

    it("are those that have come, of a text that is cut or no object at all", function()
        local text = '{"id":"resp_1","output":[{"id":"msg_1","content":[{"text":"a \\" b"}]}],"x":[1,2]}'
        for length = 0, #text do
            local found = response_ids.ids_of_answer(text:sub(1, length))
            assert.is_true(found.response == nil or ("resp_1"):sub(1, #found.response) == found.response)
            assert.is_true(#found.items <= 1)
        end
        for _, odd in ipairs({ "", "[]", "7", '"id"', "{", "{}", '{"id"', '{"id":', "{,}", "{{{", "[[[" }) do
            assert.same({ nil, "", "", "" }, ids(odd))
        end
    end)
end)

describe("The references of an input", function()
    local function references(text)
        return table.concat(response_ids.references_of_input(text), " ")
    end

    it("are the ids of items that don't say everything themselves", function()
        assert.equal("a b c d e", references([[[
            {"type":"item_reference","id":"a"}, {"id":"b"}, {"type":null,"id":"c"}, {"type":"reasoning","id":"d","summary":[]},
            {"id":"e","type":"image_generation_call","role":"user"}]
        ]]))
    end)

    it("are read a little at a time, whatever the text is made of, and no more of them than are looked up", function()
        for _, piece in ipairs({ '{"role":"u","id":"a"},', '{"id":"a"},', '[],', '"",', '{"x":[{},"\\""]},' }) do
            for _, around in ipairs({ { "[", "{}]" }, { '[{"id":"a","content":[', '""]}]' }, { '{"x":[', '""],"id":"a"}' } }) do
                local text = around[1] .. piece:rep(20000) .. around[2]
                local longest = 0
                local found = response_ids.references_of_input(text, function(bytes) longest = math.max(longest, bytes) end)
                assert.is_true(#found <= response_ids.MOST_REFERENCES + 1)
                -- The whole element is told of once more when it has been read, which has been told of in pieces before.
                assert.is_true(longest > 0)
            end
        end
        local long = '[{"id":"a","content":"' .. ("\\\\"):rep(50000) .. '"}]'
        local calls = 0
        assert.same({ "a" }, response_ids.references_of_input(long, function() calls = calls + 1 end))
        assert.is_true(calls > 40)
        assert.equal(response_ids.MOST_REFERENCES + 1, #response_ids.references_of_input("[" .. ('{"id":"a"},'):rep(9000) .. "1]"))
    end)

    it("are not those of whole items, of parts, or null", function()
        assert.equal("", references([[[
            {"type":"message","id":"x","content":[{"type":"item_reference","id":"x"}]}, {"role":"assistant","content":"y","id":"x"},
            {"type":"function_call_output","id":"x","call_id":"c","output":"{\"id\":\"x\"}"}, {"type":"item_reference","id":null}, "id", 7]
        ]]))
        assert.equal("", references("[]"))
    end)

    it("are nobody's, where an id is no string", function()
        assert.same({ "", "" }, response_ids.references_of_input('[{"id":7},{"id":{"id":"a"}}]'))
    end)

    it("is one, where the input is an item", function()
        assert.equal("a", references('{"id":"a"}'))
    end)
end)
