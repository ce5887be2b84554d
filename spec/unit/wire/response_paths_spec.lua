local paths = require("sluice.wire.response_paths")

describe("The pages of a response", function()
    it("have a path and methods each", function()
        local function asked(method, path)
            local page = paths.response_page(path)
            return page and (paths.operation_of(page, method) or page.allow)
        end
        assert.equal(1, asked("GET", "/v1/responses/resp_1"))
        assert.equal(2, asked("DELETE", "/v1/responses/resp_1"))
        assert.equal(3, asked("POST", "/v1/responses/resp_1/cancel"))
        assert.equal(4, asked("GET", "/v1/responses/resp_1/input_items"))
        assert.equal("GET, DELETE", asked("POST", "/v1/responses/resp_1"))
        assert.equal("POST", asked("GET", "/v1/responses/resp_1/cancel"))
        assert.equal("GET", asked("DELETE", "/v1/responses/resp_1/input_items"))
        for _, path in ipairs({ "/v1/responses", "/v1/responses/", "/v1/responses/a.b", "/v1/responses/a/more", "/v1/other/a" }) do
            assert.is_nil(asked("GET", path))
        end
    end)
end)

describe("The query for the upstream", function()
    it("has the API's own members, in their order", function()
        assert.equal("", (paths.response_query(nil)))
        assert.equal("", (paths.response_query("key=secret&api-version=1&&=")))
        assert.equal("?stream=true&include%5B%5D=a.b&include%5B%5D=c&starting_after=3",
            (paths.response_query("stream=true&include[]=a.b&x=y&include%5b%5D=c&starting_after=3")))
    end)

    it("refuses what can't be a value", function()
        for _, value in ipairs({ "", "a/b", "a%20b", "a=b", "a b", "a#b", ("a"):rep(129) }) do
            local query, refusal = paths.response_query("limit=" .. value)
            assert.equal("", query)
            assert.equal("limit", refusal.param)
        end
    end)
end)
