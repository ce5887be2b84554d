local pattern_class = require("sluice.guard.pattern_class")

local class_of = pattern_class.class_of
local wake_of = pattern_class.wake_of

local DIGIT, LOCAL, NONLOCAL = 0x8000000, 0x10000000, 0x20000000

describe("the class of", function()
    it("a digit is 16 and its value, whatever it was before folding", function()
        for value = 0, 9 do
            assert.equal(16 + value, class_of(48 + value, false, true, 48 + value))
            assert.equal(16 + value, class_of(48 + value, false, true, 0xff10 + value))
        end
    end)

    it("a letter is 1, of X 2", function()
        for letter = 97, 122 do
            local expected = letter == 120 and 2 or 1
            assert.equal(expected, class_of(letter, false, true, letter))
            assert.equal(expected, class_of(letter, false, true, letter - 32))
            assert.equal(expected, class_of(letter - 32, false, true, letter - 32))
        end
    end)

    it("a separator is told by the character itself", function()
        local classes = {
            [3] = { 0x40, 0xff20 },
            [4] = { 0x2e, 0xff0e },
            [5] = { 0x2d, 0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212, 0xfe58, 0xfe63, 0xff0d },
            [6] = { 0x20, 9, 0xa0, 0x2002, 0x200a, 0x202f, 0x3000 },
            [7] = { 0x5f, 0x25, 0x2b, 0xff3f, 0xff05, 0xff0b },
            [9] = { 10, 13, 0x85, 0x2028, 0x2029, 0x21, 0x2c, 0x3002, 0xff0c, 0x28 },
        }
        for class, code_points in pairs(classes) do
            for _, code_point in ipairs(code_points) do
                assert.equal(class, class_of(-2, true, false, code_point), ("%x"):format(code_point))
            end
        end
    end)

    it("any other is 8 in scripts that set words apart, else 0", function()
        assert.equal(8, class_of(0xe9, false, true, 0xe9))
        assert.equal(0, class_of(0x4f60, false, false, 0x4f60))
    end)
end)

it("each class wakes either what local characters wake or what others do", function()
    for class = 0, 25 do
        if class < 10 or class >= 16 then
            local expected = NONLOCAL
            if class >= 16 then
                expected = DIGIT + LOCAL
            elseif class == 1 or class == 2 or class == 4 or class == 5 or class == 7 then
                expected = LOCAL
            end
            assert.equal(expected, wake_of(class))
        end
    end
end)
