-- Every case of the corpus, whole, in two slices cut at every byte, and byte by byte: the same verdict, the same
-- ranges, the same characters.

local cases = require("spec.unit.wire.json_cases")
local reference = require("spec.unit.wire.reference_json")
local walking = require("spec.unit.wire.walking")

local observe = walking.observe
local text_walk = walking.recording_walk(walking.text_shape())
local plain_walk = walking.recording_walk(walking.plain_shape())

-- What each of the two walks tells of the document, after making sure that all cuts tell the same.
local function told_by(walk, text)
    local told, ok, fault = observe(walk, { text })
    for cut = 0, #text do
        local again = observe(walk, { text:sub(1, cut), text:sub(cut + 1) })
        if again ~= told then
            assert.equal(told, again, "cut at " .. cut)
        end
    end
    assert.equal(told, (observe(walk, walking.chop(text, 1))), "byte by byte")
    return ok, fault
end

describe("the walker accepts", function()
    for _, case in ipairs(cases.accepted) do
        it(case.name, function()
            local ok, fault = told_by(text_walk, case.text)
            assert.is_true(ok, fault)
            assert.is_true((told_by(plain_walk, case.text)))
        end)
    end
end)

describe("the walker refuses", function()
    for _, case in ipairs(cases.refused) do
        it(walking.show(case.name), function()
            local ok, fault = told_by(text_walk, case.text)
            assert.is_false(ok)
            assert.equal(case.fault, fault)
            ok, fault = told_by(plain_walk, case.text)
            assert.is_false(ok)
            assert.equal(case.fault, fault)
        end)
    end
end)

describe("the corpus", function()
    it("has at least 150 cases, each with a name of its own", function()
        local names = {}
        for _, list in pairs(cases) do
            for _, case in ipairs(list) do
                assert.is_nil(names[case.name], case.name)
                names[case.name] = true
            end
        end
        assert.is_true(#cases.accepted >= 75)
        assert.is_true(#cases.refused >= 75)
    end)

    it("is judged alike by the plain validator", function()
        for _, case in ipairs(cases.accepted) do
            assert.is_true(reference.accepts(case.text), case.name)
        end
        for _, case in ipairs(cases.refused) do
            assert.is_false(reference.accepts(case.text), case.name)
        end
    end)
end)
