local splice = require("sluice.wire.splice")
local walking = require("spec.unit.wire.walking")

-- Edits from triples of start, end and text.
local function edits(...)
    local made = splice.no_edits()
    for _, edit in ipairs({ ... }) do
        splice.replace(made, edit[1], edit[2], edit[3])
    end
    return made
end

-- What the document becomes, after making sure that every way to cut it in two, and pieces of every size, give the same.
local function applied(made, document)
    local whole = splice.apply(made, document, 0)
    for cut = 0, #document - 1 do
        assert.equal(whole, splice.apply(made, document:sub(1, cut), 0) .. splice.apply(made, document:sub(cut + 1), cut))
    end
    for size = 1, #document do
        local parts, offset = {}, 0
        for index, piece in ipairs(walking.chop(document, size)) do
            parts[index] = splice.apply(made, piece, offset)
            offset = offset + #piece
        end
        assert.equal(whole, table.concat(parts))
    end
    return whole
end

describe("splicing", function()
    local document = "0123456789"

    it("without edits gives the document itself", function() assert.equal(document, applied(edits(), document)) end)
    it("replaces a range", function() assert.equal("01ab56789", applied(edits({ 2, 5, "ab" }), document)) end)
    it("replaces by more", function() assert.equal("01abcdef3456789", applied(edits({ 2, 3, "abcdef" }), document)) end)
    it("removes a range", function() assert.equal("0156789", applied(edits({ 2, 5, "" }), document)) end)
    it("inserts", function() assert.equal("01ab23456789", applied(edits({ 2, 2, "ab" }), document)) end)
    it("inserts at the beginning", function() assert.equal("ab0123456789", applied(edits({ 0, 0, "ab" }), document)) end)
    it("inserts before the last byte", function() assert.equal("012345678ab9", applied(edits({ 9, 9, "ab" }), document)) end)
    it("replaces the first and the last byte", function()
        assert.equal("a12345678b", applied(edits({ 0, 1, "a" }, { 9, 10, "b" }), document))
    end)
    it("replaces all", function() assert.equal("ab", applied(edits({ 0, 10, "ab" }), document)) end)
    it("replaces ranges side by side", function()
        assert.equal("0<a><b>789", applied(edits({ 1, 4, "<a>" }, { 4, 7, "<b>" }), document))
    end)
    it("inserts right before and right after a replaced range", function()
        assert.equal("01<x><y><z>56789", applied(edits({ 2, 2, "<x>" }, { 2, 5, "<y>" }, { 5, 5, "<z>" }), document))
    end)
    it("keeps the order of two insertions at one place", function()
        assert.equal("01<a><b>23456789", applied(edits({ 2, 2, "<a>" }, { 2, 2, "<b>" }), document))
    end)
    it("takes edits in any order", function()
        local expected = "a12b45c789"
        for _, order in ipairs({ { 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 }, { 2, 3, 1 }, { 3, 1, 2 }, { 3, 2, 1 } }) do
            local all = { { 0, 1, "a" }, { 3, 4, "b" }, { 6, 7, "c" } }
            assert.equal(expected, applied(edits(all[order[1]], all[order[2]], all[order[3]]), document))
        end
    end)
    it("copies bytes of every value", function()
        local bytes = {}
        for code = 0, 255 do
            bytes[code + 1] = string.char(code)
        end
        local all = table.concat(bytes)
        assert.equal(all:sub(1, 100) .. "\0" .. all:sub(120), splice.apply(edits({ 100, 119, "\0" }), all, 0))
    end)
    it("gives nothing for a slice of no bytes", function()
        local made = edits({ 2, 2, "ab" }, { 4, 8, "cd" })
        for offset = 0, 10 do
            assert.equal("", splice.apply(made, "", offset))
        end
    end)
    it("gives an untouched slice back as it is", function()
        assert.equal("789", splice.apply(edits({ 2, 5, "ab" }), "789", 7))
    end)
end)

describe("Edits within a range", function()
    it("become one, and those around it stay", function()
        local text = "0123456789"
        for _, case in ipairs({
            { {}, "01<x>789" }, { { { 3, 4, "a" }, { 6, 7, "b" } }, "01<x>789" }, { { { 0, 2, "a" }, { 7, 8, "b" } }, "a<x>b89" },
            { { { 1, 1, "a" }, { 2, 3, "b" }, { 4, 4, "c" }, { 9, 9, "d" } }, "0a1<x>78d9" },
            { { { 2, 7, "a" } }, "01<x>789" },
        }) do
            assert.equal(case[2], splice.apply(splice.fold(edits(unpack(case[1])), 2, 7, "<x>"), text, 0))
        end
    end)
end)
