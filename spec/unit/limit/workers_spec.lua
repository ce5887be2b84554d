local dictionary = require("spec.unit.limit.dictionary_model").new
local workers = require("sluice.limit.workers")

local function store(entries, process, dead)
    return {
        process = process,
        is_alive = function(other) return not dead[other] end,
        mend = function() end,
        dictionary = dictionary(nil, entries),
    }
end

describe("the list of workers", function()
    it("says that one has ended, until what it had under way is given back", function()
        local entries, dead = {}, {}
        local first, second, third = store(entries, 11, dead), store(entries, 22, dead), store(entries, 33, dead)
        for _, each in ipairs({ first, second, third }) do workers.join_workers(each) end
        assert.is_false(workers.find_dead(second))
        dead[11] = true
        assert.is_true(workers.find_dead(second))
        -- Until somebody has cleared up after it: who began to may die as well.
        assert.is_true(workers.find_dead(third))
        workers.forget_workers(third)
        assert.is_false(workers.find_dead(second))
    end)

    it("has each once", function()
        local entries, dead = {}, {}
        local first, second = store(entries, 11, dead), store(entries, 22, dead)
        workers.join_workers(first)
        workers.join_workers(second)
        workers.join_workers(second)
        assert.is_false(workers.find_dead(second))
        assert.equal("11 22", entries.workers)
    end)
end)
