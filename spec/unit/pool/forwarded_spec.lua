local forwarded = require("sluice.pool.forwarded")

local function lines(names, values)
    local made = {}
    forwarded.add_forwarded(made, names, function(name) return values[name] end)
    return made
end

-- Every spelling of a name that servers take for the same.
local function spellings(name)
    return { name, name:upper(), (name:gsub("%-", "_")), (name:upper():gsub("%-", "_")), (name:gsub("^%l", string.upper)) }
end

describe("A client's header", function()
    it("does not go on if it carries a credential, an account, an address, or says how to read the message, however it is spelt", function()
        for _, name in ipairs({
            "authorization", "x-api-key", "my-api-key", "x-goog-api-key", "api-key", "cookie", "set-cookie", "proxy-authorization",
            "proxy-connection", "proxy-x",
            "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "host", "content-type",
            "content-length", "content-encoding", "content-x", "accept-encoding", "range", "if-range", "expect", "forwarded", "x-forwarded-for",
            "x-forwarded-host", "x-forwarded-x", "x-real-ip", "openai-organization", "x-organization", "openai-project", "x-goog-user-project",
            "x-http-method-override", "x-sluice-model", "x-sluice-x", "user-agent", "x-request-id", "traceparent", "anthropic-beta",
            "anthropic-version", "x-authorization",
        }) do
            for _, spelling in ipairs(spellings(name)) do
                assert.is_string(forwarded.forward_fault(spelling), spelling)
            end
        end
    end)

    it("goes on otherwise", function()
        for _, name in ipairs({
            "x-opencode-session", "X-OpenRouter-Title", "HTTP-Referer", "x-stainless-lang", "X-Session-Id", "accept", "x-host", "projects",
            "organization-x", "x-api-key-id", "x-forwarded", "contents", "openai-beta",
        }) do
            assert.is_nil(forwarded.forward_fault(name), name)
        end
    end)

    it("is sent by the name of the configuration, in the order of that", function()
        assert.same({ "B: two words", "A: 1" }, lines({ "B", "A", "C" }, { A = "1", B = "two words" }))
    end)

    it("is left out if its value is not visible ASCII, or empty", function()
        for byte = 0, 255 do
            local value = "a" .. string.char(byte) .. "b"
            assert.same(byte >= 32 and byte <= 126 and { "A: " .. value } or {}, lines({ "A" }, { A = value }))
        end
        assert.same({}, lines({ "A" }, { A = "" }))
        assert.same({}, lines({ "A" }, { A = "a\r\nAuthorization: b" }))
    end)

    it("is left out if it is longer than 1 KB, or all are longer than 4 KB", function()
        local most = ("v"):rep(1024)
        assert.same({ "A: " .. most }, lines({ "A" }, { A = most }))
        assert.same({}, lines({ "A" }, { A = most .. "v" }))
        local names, values, expected = { "A", "B", "C", "D", "E", "F" }, {}, {}
        for index, name in ipairs(names) do
            values[name] = index == 4 and most:sub(2) or (index < 5 and most or "1" .. (index == 5 and "2" or ""))
        end
        for _, name in ipairs({ "A", "B", "C", "D", "F" }) do expected[#expected + 1] = name .. ": " .. values[name] end
        assert.same(expected, lines(names, values))
    end)
end)
