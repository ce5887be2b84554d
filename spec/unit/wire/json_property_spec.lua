-- Random documents. Set SLUICE_SPEC_SEED to the number printed to see the same ones again.

local json = require("sluice.wire.json")
local random_json = require("spec.unit.wire.random_json")
local reference = require("spec.unit.wire.reference_json")
local shape = require("sluice.wire.shape")
local splice = require("sluice.wire.splice")
local walking = require("spec.unit.wire.walking")

local DOCUMENTS = 1500
local MUTATIONS = 20000
local EDITED = 1500

local random = math.random

-- Pieces of random size; some of no bytes.
local function random_pieces(text, most)
    local pieces, at = {}, 1
    while at <= #text do
        local size = random(0, most)
        pieces[#pieces + 1] = text:sub(at, at + size - 1)
        at = at + size
    end
    return pieces
end

describe("random JSON", function()
    local seed = walking.seed("random JSON")
    local text_walk = walking.recording_walk(walking.text_shape())
    local plain_walk = walking.recording_walk(walking.plain_shape())
    local function because(text)
        return ("SLUICE_SPEC_SEED=%d: %s"):format(seed, walking.show(text))
    end

    it("walks clean, whole and in slices", function()
        for _ = 1, DOCUMENTS do
            local text = random_json.document(random(0, 6))
            assert(reference.accepts(text), because(text))
            for _, walk in ipairs({ text_walk, plain_walk }) do
                local told, ok, fault = walking.observe(walk, { text })
                assert(ok, fault or because(text))
                assert(told == walking.observe(walk, random_pieces(text, 16)), because(text))
            end
        end
    end)

    it("hands exactly the characters that were written to the sink", function()
        local seen
        local everything = { text = true, key_text = true }
        everything.items, everything.others = everything, everything
        local walk = json.walker(shape.compile(everything), {
            begin = function() end,
            character = function(_, code_point) seen[#seen + 1] = code_point end,
            finish = function() seen[#seen + 1] = -1 end,
        })
        for _ = 1, DOCUMENTS do
            local text, record = random_json.document(random(0, 6))
            seen = {}
            assert(json.check(walk, text) == nil, because(text))
            assert(table.concat(seen, " ") == table.concat(record, " "), because(text))
        end
    end)

    it("gives the range of a wanted member", function()
        local compiled = shape.compile({ members = { wanted = { slot = "wanted" } } })
        local walk = json.walker(compiled, json.NO_SINK, nil)
        for _ = 1, DOCUMENTS do
            local text, wanted = random_json.object_with_wanted(random(0, 4))
            json.restart(walk)
            local rest = walking.feed_pieces(walk, random_pieces(text, 9))
            assert(json.finish(walk, 0, #rest), because(text))
            local slot = compiled.slot_of.wanted
            assert(text:sub(walk.state.starts[slot] + 1, walk.state.ends[slot]) == wanted, because(text))
        end
    end)

    it("gives the same bytes back when nothing is spliced", function()
        local nothing = splice.no_edits()
        for _ = 1, 300 do
            local text = random_json.document(random(0, 6))
            local parts, offset = {}, 0
            for _, piece in ipairs(random_pieces(text, 20)) do
                parts[#parts + 1] = splice.apply(nothing, piece, offset)
                offset = offset + #piece
            end
            assert(table.concat(parts) == text, because(text))
            assert(splice.apply(nothing, text, 0) == text, because(text))
        end
    end)

    it("is edited by range as a plain reference would, whole and slice by slice", function()
        for _ = 1, EDITED do
            local text = random_json.document(random(1, 5)) .. ("."):rep(random(0, 3)) .. " "
            -- Ranges that do not overlap, in ascending order; some of no length.
            local ranges, at = {}, 0
            while at < #text - 1 and #ranges < 6 do
                local start = at + random(0, math.ceil(#text / 4))
                local to = start + random(0, 6)
                if start >= #text or to > #text then
                    break
                end
                ranges[#ranges + 1] = { start, to, ("<%d>"):format(#ranges):rep(random(0, 2)) }
                at = to + 1
            end
            local expected = text
            for index = #ranges, 1, -1 do
                local range = ranges[index]
                expected = expected:sub(1, range[1]) .. range[3] .. expected:sub(range[2] + 1)
            end
            local edits = splice.no_edits()
            local order = {}
            for index = 1, #ranges do
                table.insert(order, random(#order + 1), index)
            end
            for _, index in ipairs(order) do
                splice.replace(edits, ranges[index][1], ranges[index][2], ranges[index][3])
            end
            assert(splice.apply(edits, text, 0) == expected, because(text))
            local parts, offset = {}, 0
            for _, piece in ipairs(random_pieces(text, random(1, 12))) do
                parts[#parts + 1] = splice.apply(edits, piece, offset)
                offset = offset + #piece
            end
            assert(table.concat(parts) == expected, because(text))
        end
    end)

    it("is judged, when mutated, as the plain validator judges it", function()
        local right, wrong = 0, 0
        for index = 1, MUTATIONS do
            local text = random_json.mutate((random_json.document(random(0, 3))))
            local walk = index % 2 == 0 and text_walk or plain_walk
            local told, ok = walking.observe(walk, { text })
            assert(ok == reference.accepts(text), because(text))
            assert(told == walking.observe(walk, random_pieces(text, 5)), because(text))
            right, wrong = right + (ok and 1 or 0), wrong + (ok and 0 or 1)
        end
        -- Both verdicts were put to the test.
        assert.is_true(right > MUTATIONS / 20 and wrong > MUTATIONS / 5, right .. " right, " .. wrong .. " wrong")
    end)
end)
