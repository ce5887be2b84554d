local aggregate_module = require("sluice.metrics.aggregate")
local exposition = require("sluice.metrics.exposition")
local registry_module = require("sluice.metrics.registry")
local memory_store = require("spec.unit.metrics.memory_store")
local parse = require("spec.unit.metrics.parse_exposition").parse

local add, observe, set = registry_module.add, registry_module.observe, registry_module.set
local flush, join, leave = aggregate_module.flush, aggregate_module.join, aggregate_module.leave

-- A worker as nginx would have it: its own registry, the store shared with the others.
local function worker(store, process, most_series)
    local registry = registry_module.create(most_series)
    local self = {
        dropped = registry:counter("dropped_total", "Dropped."),
        things = registry:counter("things_total", "Things.", { "kind" }),
        level = registry:gauge("level", "Level.", { "kind" }),
        worst = registry:gauge("worst", "Worst.", {}, "min"),
        best = registry:gauge("best", "Best.", {}, "max"),
        seconds = registry:histogram("seconds", "Seconds.", { "kind" }, { 0.5, 1 }),
    }
    self.aggregate = join(registry, store, process, self.dropped:with({}))
    return self
end

local function scrape(of) return parse(table.concat(exposition.expose(of.aggregate))) end

describe("metrics aggregate", function()
    local store

    before_each(function() store = memory_store.new() end)

    it("adds up what several workers counted, each only once", function()
        local first, second = worker(store, 11), worker(store, 12)
        add(first.things:with({ "a" }), 2)
        add(second.things:with({ "a" }), 3)
        observe(first.seconds:with({ "a" }), 0.75)
        observe(second.seconds:with({ "a" }), 7)
        for _ = 1, 3 do
            flush(first.aggregate)
            flush(second.aggregate)
        end
        for _, each in ipairs({ first, second }) do
            local values = scrape(each)
            assert.equal(5, values['things_total{kind="a"}'])
            assert.equal(0, values['seconds_bucket{kind="a",le="0.5"}'])
            assert.equal(1, values['seconds_bucket{kind="a",le="1"}'])
            assert.equal(2, values['seconds_bucket{kind="a",le="+Inf"}'])
            assert.equal(7.75, values['seconds_sum{kind="a"}'])
            assert.equal(2, values['seconds_count{kind="a"}'])
        end
    end)

    it("goes on from where an earlier worker ended", function()
        local first = worker(store, 11)
        add(first.things:with({ "a" }), 2)
        leave(first.aggregate)
        local second = worker(store, 12)
        add(second.things:with({ "a" }), 1)
        flush(second.aggregate)
        assert.equal(3, scrape(second)['things_total{kind="a"}'])
    end)

    it("keeps each series once in the index, however many workers have it and in whichever order", function()
        local first, second = worker(store, 11), worker(store, 12)
        for index = 1, 20 do
            add(first.things:with({ "k" .. index }), 1)
            add(second.things:with({ "k" .. (21 - index) }), 1)
            flush(first.aggregate)
            flush(second.aggregate)
        end
        local values = scrape(first)
        for index = 1, 20 do assert.equal(2, values['things_total{kind="k' .. index .. '"}']) end
        assert.equal(21, first.aggregate.known_count)
        assert.same(scrape(second), values)
    end)

    it("shows a counter without labels as zero before anything happened", function()
        local only = worker(store, 11)
        flush(only.aggregate)
        assert.equal(0, scrape(only)["dropped_total"])
    end)

    it("merges levels as the gauge says", function()
        local first, second = worker(store, 11), worker(store, 12)
        for each, value in pairs({ [first] = 4, [second] = 6 }) do
            set(each.level:with({ "a" }), value)
            set(each.worst:with({}), value)
            set(each.best:with({}), value)
            flush(each.aggregate)
        end
        local values = scrape(first)
        assert.equal(10, values['level{kind="a"}'])
        assert.equal(4, values["worst"])
        assert.equal(6, values["best"])
    end)

    it("forgets the levels of a worker that was killed, not those of one that lives", function()
        local first, second = worker(store, 11), worker(store, 12)
        set(first.level:with({ "a" }), 4)
        set(second.level:with({ "a" }), 6)
        flush(first.aggregate)
        for _ = 1, 20 do
            flush(second.aggregate)
            store.now = store.now + 1
        end
        assert.equal(6, scrape(second)['level{kind="a"}'])
    end)

    it("forgets the levels of a worker that ended at once, and keeps its counts", function()
        local first, second = worker(store, 11), worker(store, 12)
        set(first.level:with({ "a" }), 4)
        add(first.things:with({ "a" }), 1)
        flush(second.aggregate)
        leave(first.aggregate)
        local values = scrape(second)
        assert.is_nil(values['level{kind="a"}'])
        assert.equal(1, values['things_total{kind="a"}'])
    end)

    it("doesn't show the levels of a dead worker as those of the one that took its place", function()
        local first, second = worker(store, 11), worker(store, 12)
        set(first.level:with({ "a" }), 4)
        flush(first.aggregate)
        store.remove("worker:1")
        flush(second.aggregate)
        assert.equal(1, second.aggregate.place)
        assert.is_nil(scrape(second)['level{kind="a"}'])
    end)

    it("comes back when it was stalled for so long that another took its place", function()
        local first, second = worker(store, 11), worker(store, 12)
        set(first.level:with({ "a" }), 4)
        set(second.level:with({ "a" }), 6)
        flush(first.aggregate)
        store.now = store.now + 60
        flush(second.aggregate)
        flush(first.aggregate)
        assert.equal(10, scrape(second)['level{kind="a"}'])
    end)

    it("counts what finds no room, keeps what is there, and goes on adding to it", function()
        local only = worker(store, 11)
        add(only.things:with({ "a" }), 1)
        observe(only.seconds:with({ "a" }), 0.1)
        flush(only.aggregate)
        store.most = store.count
        add(only.things:with({ "a" }), 1)
        for _ = 1, 3 do add(only.things:with({ "b" }), 10) end
        observe(only.seconds:with({ "a" }), 0.1)
        observe(only.seconds:with({ "a" }), 0.7)
        observe(only.seconds:with({ "b" }), 0.7)
        set(only.level:with({ "a" }), 1)
        flush(only.aggregate)
        local values = scrape(only)
        assert.equal(2, values['things_total{kind="a"}'])
        assert.is_nil(values['things_total{kind="b"}'])
        assert.equal(2, values['seconds_bucket{kind="a",le="0.5"}'])
        assert.is_nil(values['level{kind="a"}'])
        -- three of b, one new bucket of a, one observation of b, one level
        assert.equal(6, values["dropped_total"])
    end)

    it("keeps the count of dropped updates until there is room for it", function()
        store.most = 0
        local only = worker(store, 11)
        add(only.things:with({ "a" }), 1)
        flush(only.aggregate)
        store.most = math.huge
        flush(only.aggregate)
        -- one thing, and the worker's own place
        assert.equal(2, scrape(only)["dropped_total"])
    end)

    it("counts what goes to a series beyond the bound, update by update", function()
        local only = worker(store, 11, 2)
        for index = 1, 5 do add(only.things:with({ "k" .. index }), 100) end
        for index = 1, 4 do observe(only.seconds:with({ "k" .. index }), 1) end
        flush(only.aggregate)
        flush(only.aggregate)
        local values = scrape(only)
        assert.equal(5, values["dropped_total"])
        assert.equal(100, values['things_total{kind="k2"}'])
        assert.is_nil(values['things_total{kind="k3"}'])
    end)

    it("holds the bound over all workers", function()
        local first, second = worker(store, 11, 2), worker(store, 12, 2)
        for index = 1, 2 do add(first.things:with({ "first" .. index }), 1) end
        for index = 1, 2 do add(second.things:with({ "second" .. index }), 1) end
        flush(first.aggregate)
        flush(second.aggregate)
        local values = scrape(second)
        assert.equal(1, values['things_total{kind="first2"}'])
        assert.is_nil(values['things_total{kind="second1"}'])
        assert.equal(2, values["dropped_total"])
    end)

    it("loses nothing that is counted while a flush pauses", function()
        local only = worker(store, 11)
        local first, last = only.things:with({ "k1" }), nil
        for index = 1, 1000 do
            last = only.things:with({ "k" .. index })
            add(last, 1)
        end
        local pauses = 0
        flush(only.aggregate, function()
            pauses = pauses + 1
            add(first, 1)
            add(last, 1)
            if pauses == 2 then flush(only.aggregate) end
        end)
        flush(only.aggregate)
        local values = scrape(only)
        assert.is_true(pauses >= 3)
        assert.equal(1 + pauses, values['things_total{kind="k1"}'])
        assert.equal(1 + pauses, values['things_total{kind="k1000"}'])
    end)

    it("leaves out entries that another version's code made", function()
        store.add("series:1", 'gone_total{kind="a"}')
        store.add('gone_total{kind="a"}', 5)
        local only = worker(store, 11)
        add(only.things:with({ "a" }), 1)
        flush(only.aggregate)
        local values = scrape(only)
        assert.is_nil(values['gone_total{kind="a"}'])
        assert.equal(1, values['things_total{kind="a"}'])
    end)

    it("touches the store only for what changed", function()
        local only = worker(store, 11)
        for index = 1, 500 do add(only.things:with({ "k" .. index }), 1) end
        flush(only.aggregate)
        local before = store.calls
        add(only.things:with({ "k1" }), 1)
        flush(only.aggregate)
        assert.is_true(store.calls - before < 10)
    end)
end)
