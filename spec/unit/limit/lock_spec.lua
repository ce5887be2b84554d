local dictionary = require("spec.unit.limit.dictionary_model").new
local lock_module = require("sluice.limit.lock")

local function worker(shared, process, is_alive)
    local mended = {}
    return {
        dictionary = shared, process = process, is_alive = is_alive, mended = mended,
        mend = function(_, owner) mended[#mended + 1] = owner end,
    }
end

describe("a lock", function()
    it("is taken over from a worker that is dead, which is mended first", function()
        local shared = dictionary(10)
        assert.is_true(lock_module.lock(worker(shared, 1), "acme"))
        local second = worker(shared, 2, function() return false end)
        assert.is_true(lock_module.lock(second, "acme"))
        assert.same({ "acme" }, second.mended)
        assert.equal(2, shared.entries["lock:acme"])
        lock_module.unlock(second, "acme")
        assert.same({}, shared.entries)
    end)

    it("is not taken from a worker that has got it while the one before was found dead", function()
        local shared = dictionary(10)
        assert.is_true(lock_module.lock(worker(shared, 1), "acme"))
        local asked = {}
        local second = worker(shared, 2, function(process)
            asked[#asked + 1] = process
            -- At the last look the first lets go and dies, and the third is faster; when it is looked at, it lets go too.
            if #asked > 1 then shared.entries["lock:acme"] = process == 1 and 3 or nil end
            return process == 3
        end)
        assert.is_true(lock_module.lock(second, "acme"))
        assert.same({ 1, 1, 3 }, asked)
        assert.same({}, second.mended)
        assert.equal(2, shared.entries["lock:acme"])
    end)

    it("is not had where there is no room for it", function()
        assert.is_false(lock_module.lock(worker(dictionary(0), 1), "acme"))
    end)
end)
