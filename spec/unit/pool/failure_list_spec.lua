local failure_list = require("sluice.pool.failure_list")
local dictionary = require("spec.unit.pool.lasting_dictionary").new

describe("the list of an endpoint's failures", function()
    local shared, failures

    before_each(function()
        shared = dictionary(10)
        failures = failure_list.new_failure_list(shared, "a", 5, 60)
        failure_list.load_failures(failures)
    end)

    -- What another worker finds.
    local function look()
        assert.is_true(failure_list.save_failures(failures))
        local other = failure_list.new_failure_list(shared, "a", 5, 60)
        failure_list.load_failures(failure_list.new_failure_list(shared, "b", 5, 60))
        failure_list.load_failures(other)
        return other
    end

    it("is the same for all workers", function()
        failure_list.add_failure(failures, 100, 7, true)
        failure_list.add_failure(failures, 101, 8, false)
        failure_list.set_last_trial(8)
        local other = look()
        assert.equal(2, failure_list.count_failures(other, 100, 5))
        assert.equal(1, failure_list.count_failures(other, 100.5, 5))
        assert.equal(1, failure_list.doubtful_of(other, 7, 100))
        assert.equal(0, failure_list.doubtful_of(other, 8, 100))
        assert.is_true(failure_list.has_failure(other, 7) and failure_list.has_failure(other, 8))
        assert.is_false(failure_list.has_failure(other, 9))
        assert.equal(8, failure_list.last_trial())
        failure_list.remove_failures(other)
        failure_list.load_failures(failures)
        assert.equal(0, failure_list.count_failures(failures, 0, 5))
        assert.equal(0, failure_list.last_trial())
    end)

    it("counts so many of a caller's doubtful failures, and all others", function()
        for _ = 1, 4 do failure_list.add_failure(failures, 100, 7, true) end
        for _ = 1, 3 do failure_list.add_failure(failures, 100, 8, true) end
        for _ = 1, 3 do failure_list.add_failure(failures, 100, 7, false) end
        assert.equal(7, failure_list.count_failures(look(), 100, 2))
        assert.equal(3, failure_list.count_failures(failures, 100, 0))
        assert.equal(10, failure_list.count_failures(failures, 100, math.huge))
    end)

    it("remembers the last 48, or as many as open the breaker", function()
        for mark = 1, 100 do failure_list.add_failure(failures, 100 + mark, mark, false) end
        assert.equal(48, failure_list.count_failures(look(), 0, 5))
        assert.is_false(failure_list.has_failure(failures, 52))
        assert.is_true(failure_list.has_failure(failures, 53))
        local large = failure_list.new_failure_list(shared, "a", 1000, 60)
        failure_list.load_failures(large)
        for mark = 1, 1500 do failure_list.add_failure(large, 100, mark, true) end
        assert.equal(1000, failure_list.count_failures(large, 0, 5))
    end)

    it("forgets the old ones", function()
        for mark = 1, 10 do failure_list.add_failure(failures, 100 + mark, mark, false) end
        failure_list.forget_failures(failures, 106)
        assert.equal(5, failure_list.count_failures(look(), 0, 5))
        assert.is_false(failure_list.has_failure(failures, 5))
    end)

    it("counts those in a row that found nobody there", function()
        assert.equal(1, failure_list.count_run(true, 10))
        assert.equal(2, failure_list.count_run(true, 10))
        look()
        assert.equal(3, failure_list.count_run(true, 10))
        assert.equal(1, failure_list.count_run(true, 11))
        assert.equal(0, failure_list.count_run(false, 11))
        assert.equal(1, failure_list.count_run(true, 11))
    end)

    it("takes something else in its place for none", function()
        shared.set(failures.key, "short")
        failure_list.load_failures(failures)
        assert.equal(0, failure_list.count_failures(failures, 0, 5))
        assert.is_false(failure_list.save_failures(failure_list.new_failure_list(dictionary(0), "a", 5, 60)))
    end)
end)
