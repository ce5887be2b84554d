local headers = require("sluice.pool.headers")

describe("more headers of a pool", function()
    it("are lines behind the value of the one that is always sent", function()
        assert.equal("", headers.header_lines({}))
        assert.equal("sluice\r\nOpenAI-Organization: org-1", headers.header_lines({ ["OpenAI-Organization"] = "org-1" }))
        assert.equal("sluice\r\nA: 1\r\nB: two words\r\nC: $host", headers.header_lines({ C = "$host", A = "1", B = "two words" }))
    end)

    it("may have names that are tokens", function()
        for _, name in ipairs({ "OpenAI-Organization", "X_Y", "x", "a.b", ("n"):rep(128) }) do
            assert.is_nil(headers.name_fault(name), name)
        end
        for _, name in ipairs({
            "", " ", "a b", "a:", "a\r\nB", "a\n", "a\r", "a\0", "é", "a\t", "(a)", "a;b", "a/b", '"a"', ("n"):rep(129),
        }) do
            assert.matches("expected a header's name", headers.name_fault(name))
        end
    end)

    it("are none of those that Sluice or nginx sets, however they are spelt", function()
        for _, name in ipairs({
            "Host", "host", "HOST", "Connection", "Content-Length", "Transfer-Encoding", "Content-Type", "Authorization", "X-API-Key",
            "Api-Key", "User-Agent", "X-Request-ID", "Traceparent", "Accept-Encoding", "Expect", "Upgrade", "TE", "Anthropic-Version",
        }) do
            assert.matches("those that Sluice sets itself", headers.name_fault(name))
        end
    end)
end)
