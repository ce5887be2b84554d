local alert = require("sluice.limit.alert")
local cjson = require("cjson")
local scope = require("sluice.limit.scope")

local SCOPE = scope.make_scope("tenant:acme", "tenant acme", "acme", nil, { usd = 500, period = "month", alert_at = { 0.5, 0.8, 1 } })

describe("an alert", function()
    it("is for each share that is due", function()
        assert.same({}, alert.due_shares(SCOPE, 0))
        assert.same({ 0.5 }, alert.due_shares(SCOPE, 1))
        assert.same({ 0.8 }, alert.due_shares(SCOPE, 2))
        assert.same({ 0.5, 1 }, alert.due_shares(SCOPE, 5))
        assert.same({ 0.5, 0.8, 1 }, alert.due_shares(SCOPE, 7))
    end)

    it("says who, how much, of how much, and until when", function()
        assert.same({
            event = "budget_alert", id = "4f1c-0.8", tenant = "acme", share = 0.8, spent_usd = "400.000000001", budget_usd = "500.000000000",
            period = "month", period_ends = "2023-12-01T00:00:00Z", time = "2023-11-14T22:13:30Z",
        }, cjson.decode(alert.alert_body("4f1c-0.8", SCOPE, 0.8, 400000000001, 1700000010.7)))
    end)
end)
