local jamo = require("sluice.guard.jamo")

local COMPATIBILITY = { [0x3131] = 0x1100, [0x3145] = 0x1109, [0x3142] = 0x1107, [0x314F] = 0x1161, [0x3163] = 0x1175, [0x3139] = 0x1105,
    [0x3138] = 0x1104 }

local function letter(code_point)
    return jamo.jamo_of(code_point, COMPATIBILITY[code_point] or code_point)
end

describe("letters of Hangul", function()
    it("make every modern syllable, as the Unicode Standard takes it apart", function()
        for leading = 0, 18 do
            for vowel = 0, 20 do
                for trailing = 0, 27 do
                    local held = jamo.begin_syllable(letter(0x1100 + leading))
                    held = jamo.join_jamo(held, letter(0x1161 + vowel))
                    if trailing > 0 then
                        assert.is_false(jamo.is_complete(held))
                        held = jamo.join_jamo(held, letter(0x11A7 + trailing))
                        assert.is_true(jamo.is_complete(held))
                    end
                    assert.equal(0xAC00 + (leading * 21 + vowel) * 28 + trailing, jamo.syllable_of(held))
                end
            end
        end
    end)

    it("of a keyboard go over to the next syllable where a vowel follows", function()
        local held = jamo.join_jamo(jamo.begin_syllable(letter(0x3145)), letter(0x3163))
        held = jamo.join_jamo(held, letter(0x3142))
        assert.is_false(jamo.is_complete(held))
        local split = jamo.split_syllable(held, letter(0x314F))
        assert.equal(0xC2DC, jamo.syllable_of(jamo.without_trailing(held)))
        assert.equal(0xBC14, jamo.syllable_of(split))
        assert.equal(0xBC1C, jamo.syllable_of(jamo.join_jamo(split, letter(0x3139))))
        assert.equal(0, jamo.split_syllable(held, letter(0x3131)))
    end)

    it("stay alone where nothing joins them", function()
        assert.equal(0x1100, jamo.syllable_of(jamo.begin_syllable(letter(0x3131))))
        assert.equal(0, jamo.join_jamo(letter(0x1100), letter(0x1102)))
        assert.equal(0, jamo.join_jamo(0, letter(0x1161)))
        assert.equal(0, jamo.begin_syllable(letter(0x11A8)))
        -- No syllable ends in it.
        assert.equal(0, jamo.join_jamo(jamo.join_jamo(letter(0x1100), letter(0x1161)), letter(0x3138)))
    end)

    it("are the modern ones only", function()
        for _, code_point in ipairs({ 0, 97, 0x10FF, 0x1113, 0x1160, 0x1176, 0x11A7, 0x11C3, 0xAC00, 0x10FFFF }) do
            assert.equal(0, letter(code_point))
        end
    end)
end)
