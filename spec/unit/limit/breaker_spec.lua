local breaker_module = require("sluice.limit.breaker")

describe("the breaker of a store", function()
    local breaker

    local function fail(times, now)
        local opened
        for _ = 1, times do opened = breaker_module.note_failure(breaker, now) end
        return opened
    end

    before_each(function() breaker = breaker_module.new_breaker() end)

    it("opens after three failures in a row, and not before", function()
        assert.is_false(fail(2, 0))
        assert.is_false(breaker_module.note_success(breaker))
        assert.is_false(fail(2, 0))
        assert.is_true(breaker_module.may_ask(breaker, 0))
        assert.is_true(fail(1, 0))
        assert.is_false(breaker_module.may_ask(breaker, 0))
        assert.is_false(fail(1, 0))
    end)

    it("lets one probe through each second, until one succeeds", function()
        assert.is_false(breaker_module.may_probe(breaker, 5))
        fail(3, 10)
        assert.is_false(breaker_module.may_probe(breaker, 10.9))
        assert.is_true(breaker_module.may_probe(breaker, 11))
        assert.is_false(breaker_module.may_probe(breaker, 11))
        fail(1, 11.1)
        assert.is_false(breaker_module.may_ask(breaker, 11.1))
        assert.is_true(breaker_module.may_probe(breaker, 12))
        assert.is_true(breaker_module.note_success(breaker))
        assert.is_true(breaker_module.may_ask(breaker, 12))
        assert.is_false(fail(2, 12))
    end)

    it("lets one request probe if nobody else does", function()
        fail(3, 10)
        assert.is_false(breaker_module.may_ask(breaker, 12.9))
        assert.is_true(breaker_module.may_ask(breaker, 13))
        assert.is_false(breaker_module.may_ask(breaker, 13))
        breaker_module.note_success(breaker)
        assert.is_true(breaker_module.may_ask(breaker, 13))
    end)
end)
