local slices = require("sluice.edge.slices")

describe("a slice of work", function()
    it("ends when it has had its bytes", function()
        local slice = slices.begin_slice(100)
        for _ = 1, 7 do
            assert.is_false(slices.is_over(slice, 32768, 100))
        end
        assert.is_true(slices.is_over(slice, 32768, 100))
        slices.begin_again(slice, 100)
        assert.is_false(slices.is_over(slice, 32768, 100))
    end)

    it("ends when it has had its time, however few bytes those were", function()
        local slice = slices.begin_slice(100)
        assert.is_false(slices.is_over(slice, 1, 100.004))
        assert.is_true(slices.is_over(slice, 1, 100.0051))
        slices.begin_again(slice, 100.0061)
        assert.is_false(slices.is_over(slice, 0, 100.0101))
        assert.is_true(slices.is_over(slice, 0, 100.0112))
    end)
end)
