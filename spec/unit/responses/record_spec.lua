local record = require("sluice.responses.record")

describe("The record of a response", function()
    it("is one text without spaces or bars in its words, and comes back from it", function()
        local odd = "a b|c%\té\"%41"
        local made = {
            state = "due", key = "jwt:" .. odd, model = odd, asked = "", pool = "p", endpoint = "https://[::1]:8443/base|x", account = "",
            paid_input = 9007199254740991, paid_output = 0,
        }
        local text = record.encode_record(made)
        assert.is_nil(text:find("[|\t\n]"))
        assert.same(made, record.decode_record(text))
    end)

    it("is none in any other text", function()
        for _, text in ipairs({ "", "gone", "kept a b c d e f 1", "kept a b c d e f 1 x" }) do
            assert.is_nil(record.decode_record(text))
        end
    end)
end)
