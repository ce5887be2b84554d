local dictionary = require("spec.unit.pool.lasting_dictionary").new
local integers = require("sluice.pool.schedule").integers
local knowledge_module = require("sluice.pool.knowledge")
local standing = require("sluice.pool.standing")

local refresh, write_place = knowledge_module.refresh_knowledge, knowledge_module.write_place

local ENDPOINTS = { { index = 0, key = "gpu a" }, { index = 1, key = "gpu b" } }

local function watching(more)
    local made = { rules = { healthy = 1, unhealthy = 1, needs_warmth = false }, slow_start = 0, fresh = 2 }
    for name, value in pairs(more or {}) do made[name] = value end
    return made
end

local function worker(store, more)
    return knowledge_module.new_knowledge(store, "gpu", ENDPOINTS, watching(more), integers(2))
end

local function figures(waiting, running, cache)
    return { waiting = waiting, running = running, cache = cache }
end

local function write_figures(store, index, values, at)
    local key = ENDPOINTS[index + 1].key
    knowledge_module.write_figures(store, "gpu", knowledge_module.knowledge_keys(key), values, at)
end

describe("what all workers know of endpoints", function()
    it("is what one has written, from the next look on", function()
        local store = dictionary(100)
        local one, two = worker(store), worker(store)
        refresh(one, 1)
        assert.same({ 1, 1 }, { one.allowed[0], one.allowed[1] })
        assert.is_true(write_place(store, "gpu", "gpu b", standing.DOWN))
        refresh(one, 2)
        refresh(two, 2)
        assert.same({ 1, 0, 1, 0 }, { one.allowed[0], one.allowed[1], two.allowed[0], two.allowed[1] })
        write_place(store, "gpu", "gpu b", 3)
        refresh(one, 3)
        assert.equal(1, one.allowed[1])
    end)

    it("is read once for each change", function()
        local store = dictionary(100)
        local one = worker(store)
        refresh(one, 1)
        local calls = store.calls
        for now = 2, 11 do refresh(one, now) end
        assert.equal(10, store.calls - calls)
    end)

    it("is nothing at first, which keeps those away that have to be warmed up", function()
        local store = dictionary(100)
        local one = worker(store, { rules = { healthy = 0, unhealthy = 0, needs_warmth = true } })
        refresh(one, 1)
        assert.same({ 0, 0 }, { one.allowed[0], one.allowed[1] })
        knowledge_module.add_place(store, "gpu", "gpu a", standing.ALWAYS)
        refresh(one, 2)
        assert.same({ 1, 0 }, { one.allowed[0], one.allowed[1] })
        -- What is known stays.
        write_place(store, "gpu", "gpu a", standing.COLD)
        knowledge_module.add_place(store, "gpu", "gpu a", standing.ALWAYS)
        refresh(one, 3)
        assert.equal(0, one.allowed[0])
    end)

    it("is also how they start", function()
        local store = dictionary(100)
        local one = worker(store, { slow_start = 10 })
        write_place(store, "gpu", "gpu b", 100)
        refresh(one, 105)
        assert.equal(1, one.rising.count)
        assert.equal(1, one.rising.indexes[1])
        assert.near(0.55, one.rising.shares[1], 1e-9)
        refresh(one, 107.5)
        assert.near(0.775, one.rising.shares[1], 1e-9)
        refresh(one, 110)
        assert.equal(0, one.rising.count)
    end)

    it("has figures as long as they are fresh, whoever reads them", function()
        local store = dictionary(100)
        local one = worker(store)
        refresh(one, 1)
        assert.same({ -1, -1 }, one.waitings)
        write_figures(store, 0, figures(5, 2, 0.5), 10)
        refresh(one, 10)
        assert.same({ 5, -1 }, one.waitings)
        assert.same({ 0.5, -1 }, one.caches)
        refresh(one, 12)
        assert.equal(5, one.waitings[1])
        refresh(one, 12.01)
        assert.same({ -1, -1 }, one.waitings)
        assert.same({ -1, -1 }, one.caches)
        -- A change of something else does not make them young again.
        write_place(store, "gpu", "gpu b", standing.DOWN)
        refresh(one, 12.02)
        assert.equal(-1, one.waitings[1])
        write_figures(store, 0, figures(6, 2, -1), 13)
        refresh(one, 13)
        assert.same({ 6, -1 }, { one.waitings[1], one.caches[1] })
        local late = worker(store)
        refresh(late, 100)
        assert.same({ -1, -1 }, late.waitings)
    end)

    it("can be looked at with its age", function()
        local store = dictionary(100)
        local keys = knowledge_module.knowledge_keys("gpu a")
        assert.is_nil((knowledge_module.figures_of(store, keys, 5)))
        write_figures(store, 0, figures(5, 2, 0.5), 10)
        local known, age = knowledge_module.figures_of(store, keys, 14)
        assert.same(figures(5, 2, 0.5), known)
        assert.equal(4, age)
    end)

    it("is forgotten of those that are no more, and of no others", function()
        local store = dictionary(100)
        knowledge_module.list_endpoints(store, { "gpu a", "gpu b" })
        for index, each in ipairs(ENDPOINTS) do
            write_place(store, "gpu", each.key, standing.DOWN)
            write_figures(store, index - 1, figures(1, 2, 0.5), 1)
        end
        knowledge_module.list_endpoints(store, { "gpu b" })
        assert.is_nil(knowledge_module.read_place(store, "gpu a"))
        assert.equal(standing.DOWN, knowledge_module.read_place(store, "gpu b"))
        for key in pairs(store.entries) do assert.is_nil(key:find("gpu a", 1, true), key) end
        knowledge_module.list_endpoints(store, {})
        for key in pairs(store.entries) do assert.is_nil(key:find("gpu b", 1, true), key) end
    end)

    it("in a dictionary without room is as little as that, and said to be", function()
        local store = dictionary(0)
        local one = worker(store)
        refresh(one, 1)
        assert.equal(1, one.allowed[0])
        assert.is_false(write_place(store, "gpu", "gpu a", standing.DOWN))
        write_figures(store, 0, figures(1, 2, 0.5), 1)
        refresh(one, 1)
        assert.same({ -1, -1 }, one.waitings)
    end)
end)
