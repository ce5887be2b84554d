local decode = require("sluice.auth.base64url").decode_base64url
local support = require("spec.unit.auth.support")

describe("base64url", function()
    local refused = {
        ["padding"] = "YQ==",
        ["one character of padding"] = "YWI=",
        ["the other alphabet's plus"] = "ab+d",
        ["the other alphabet's slash"] = "ab/d",
        ["a space"] = "ab d",
        ["a line break"] = "abcd\n",
        ["a zero byte"] = "abc\0",
        ["a byte above 127"] = "abc\200",
        ["a lone character"] = "abcde",
        ["bits to spare after one byte"] = "YR",
        ["the highest bit to spare"] = "YY",
        ["bits to spare after two bytes"] = "YWJ",
        ["a wrong character among the last two"] = "Y!",
        ["a wrong character among the last three"] = "YW!",
        ["more than 16 KiB"] = ("A"):rep(16388),
    }
    for name, text in pairs(refused) do
        it("refuses " .. name, function() assert.is_nil(decode(text)) end)
    end

    it("decodes what RFC 4648, section 10, lists", function()
        assert.same(
            { "", "f", "fo", "foo", "foob", "fooba", "foobar" },
            { decode(""), decode("Zg"), decode("Zm8"), decode("Zm9v"), decode("Zm9vYg"), decode("Zm9vYmE"), decode("Zm9vYmFy") }
        )
    end)

    it("gives back every length of every byte", function()
        for length = 0, 70 do
            local bytes = {}
            for at = 1, length do bytes[at] = string.char((at * 37 + length * 101) % 256) end
            local text = table.concat(bytes)
            assert.equal(text, decode(support.base64url(text)))
        end
    end)

    it("takes 16 KiB", function() assert.equal(("\0"):rep(12288), decode(("A"):rep(16384))) end)
end)
