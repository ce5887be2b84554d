local registry_module = require("sluice.metrics.registry")

local add, change, observe, set = registry_module.add, registry_module.change, registry_module.observe, registry_module.set

describe("metrics registry", function()
    local registry

    before_each(function() registry = registry_module.create(3) end)

    it("gives one series for the same label values, and another for others", function()
        local counter = registry:counter("things_total", "Things.", { "kind", "code" })
        local first = counter:with({ "a", "200" })
        assert.equal(first, counter:with({ "a", "200" }))
        assert.are_not.equal(first, counter:with({ "a", "500" }))
        assert.equal('things_total{kind="a",code="200"}', first.key)
    end)

    it("doesn't take label values for each other where their joined text would be the same", function()
        local counter = registry:counter("things_total", "Things.", { "kind", "code" })
        assert.are_not.equal(counter:with({ "a,b", "c" }), counter:with({ "a", "b,c" }))
        assert.are_not.equal(counter:with({ "ab", "c" }), counter:with({ "a", "bc" }))
    end)

    it("escapes label values", function()
        local counter = registry:counter("things_total", "Things.", { "kind" })
        assert.equal('things_total{kind="a\\"b\\\\c\\nd{}"}', counter:with({ 'a"b\\c\nd{}' }).key)
    end)

    it("adds up what a counter gets, and leaves out what would lower or spoil it", function()
        local series = registry:counter("things_total", "Things.", { "kind" }):with({ "a" })
        add(series, 2)
        add(series, 0.5)
        add(series, -1)
        add(series, 0 / 0)
        assert.equal(2.5, series.value)
        assert.equal(2, series.updates)
    end)

    it("gives a counter without labels its zero from the start", function()
        local series = registry:counter("things_total", "Things."):with({})
        assert.equal("things_total", series.key)
        assert.equal(1, series.updates)
        assert.equal(0, registry:counter("labelled_total", "Things.", { "kind" }):with({ "a" }).updates)
    end)

    it("keeps the level of a gauge", function()
        local series = registry:gauge("level", "Level."):with({})
        change(series, 3)
        change(series, -1)
        assert.equal(2, series.value)
        set(series, 7)
        assert.equal(7, series.value)
    end)

    it("puts an observation into the first bucket whose bound is not below it", function()
        local series = registry:histogram("seconds", "Seconds.", nil, { 1, 2, 5 }):with({})
        for _, value in ipairs({ 0, 1, 1.0001, 2, 5, 5.0001, math.huge }) do observe(series, value) end
        assert.same({ 2, 2, 1, 2 }, series.counts)
        assert.equal(math.huge, series.value)
    end)

    it("leaves out an observation that is not a number", function()
        local series = registry:histogram("seconds", "Seconds.", nil, { 1 }):with({})
        observe(series, 0 / 0)
        assert.same({ 0, 0 }, series.counts)
        assert.equal(0, series.value)
        assert.equal(0, series.updates)
    end)

    it("gives all series beyond the bound one handle that only counts", function()
        local counter = registry:counter("things_total", "Things.", { "kind" })
        for index = 1, 3 do assert.is_false(counter:with({ "k" .. index }).refused) end
        local over = counter:with({ "k4" })
        assert.is_true(over.refused)
        assert.equal(over, counter:with({ "k5" }))
        assert.is_false(counter:with({ "k1" }).refused)
        assert.equal(4, #registry.series)
    end)

    it("bounds each metric on its own", function()
        local full = registry:counter("full_total", "Full.", { "kind" })
        for index = 1, 4 do full:with({ "k" .. index }) end
        assert.is_false(registry:counter("other_total", "Other.", { "kind" }):with({ "k1" }).refused)
    end)

    it("takes nginx-lua-prometheus' calls", function()
        local counter = registry:counter("things_total", "Things.", { "kind" })
        counter:inc(2, { "a" })
        counter:inc(nil, { "a" })
        assert.equal(3, counter:with({ "a" }).value)
        local gauge = registry:gauge("level", "Level.", { "kind" })
        gauge:set(5, { "a" })
        gauge:inc(-2, { "a" })
        assert.equal(3, gauge:with({ "a" }).value)
        local histogram = registry:histogram("seconds", "Seconds.", { "kind" }, { 1 })
        histogram:observe(3, { "a" })
        assert.same({ 0, 1 }, histogram:with({ "a" }).counts)
    end)
end)
