local caller = require("sluice.pool.caller")

describe("the mark of a caller", function()
    it("is a whole number above 0, also doubled, and another one for each tenant and key", function()
        local seen = {}
        for tenant = 1, 50 do
            for key = 1, 50 do
                local mark = caller.mark_of({ tenant = { id = "tenant-" .. tenant }, key = "jwt:" .. key })
                assert.is_true(mark >= 1 and 2 * mark + 1 < 2 ^ 53 and mark % 1 == 0)
                assert.is_nil(seen[mark])
                seen[mark] = true
            end
        end
    end)

    it("is the same for the same names, and tells where the tenant's ends", function()
        local function mark(tenant, key) return caller.mark_of({ tenant = { id = tenant }, key = key }) end
        assert.equal(mark("acme", "web"), mark("acme", "web"))
        assert.not_equal(mark("acme", "web"), mark("acmew", "eb"))
    end)
end)
