local cjson = require("cjson")
local tally = require("sluice.guard.tally")

local FLAG, MASK, BLOCK = 1, 2, 3
local GUARD = { lists = { "first", 'sec"ond' } }

local function hit(action, start, finish, more)
    local made = { field = 1, kind = 1, start = start, ["end"] = finish, action = action, source = 0, bare = false, tokens = false, repeated = false }
    for name, value in pairs(more or {}) do
        made[name] = value
    end
    return made
end

-- Finds as "start-end", those of other texts than 1 with the text's number before.
local function told(hits)
    local parts = {}
    for index, each in ipairs(hits) do
        parts[index] = (each.field == 1 and "" or each.field .. ":") .. each.start .. "-" .. each["end"]
    end
    return table.concat(parts, " ")
end

local function choose(pairs_, limit, till)
    local masks = {}
    for index, each in ipairs(pairs_) do
        masks[index] = hit(MASK, each[1], each[2], { field = each[3] })
    end
    local chosen, rest = tally.choose(masks, limit or math.huge, till or {})
    return told(chosen) .. " / " .. told(rest)
end

describe("finds", function()
    it("are sorted by what becomes of them", function()
        local made, masks = tally.new_tally(), {}
        local first, second = hit(MASK, 1, 2), hit(MASK, 1, 2, { repeated = true })
        local blocking = tally.sort_hits(made, GUARD, { hit(FLAG, 1, 2), first, hit(FLAG, 3, 4), second }, masks, false)
        assert.is_nil(blocking)
        assert.equal(2, #masks)
        assert.equal(first, masks[1])
        assert.equal(second, masks[2])
        assert.same({ flagged = 2, masked = 0, blocked = 0 }, made)
        assert.is_nil(tally.sort_hits(made, GUARD, {}, masks, false))
        assert.same({ flagged = 2, masked = 0, blocked = 0 }, made)
    end)

    it("block where the first of them begins, and name its list", function()
        local made = tally.new_tally()
        local hits = {
            hit(BLOCK, 9, 10), hit(MASK, 1, 2), hit(BLOCK, 5, 8, { source = 1 }), hit(BLOCK, 5, 6), hit(BLOCK, 7, 9), hit(FLAG, 2, 3),
        }
        local masks = {}
        assert.equal(hits[3], tally.sort_hits(made, GUARD, hits, masks, false))
        assert.same({ flagged = 1, masked = 0, blocked = 1, blocked_by = 'sec"ond' }, made)
        assert.equal(1, #masks)
        tally.sort_hits(made, GUARD, { hit(BLOCK, 1, 2) }, masks, false)
        assert.same({ flagged = 1, masked = 0, blocked = 2, blocked_by = "first" }, made)
        tally.sort_hits(made, GUARD, { hit(FLAG, 1, 2) }, masks, false)
        assert.equal("first", made.blocked_by)
    end)

    it("are counted again in a repetition only if nothing was there before", function()
        local hits = { hit(FLAG, 1, 2, { repeated = true }), hit(FLAG, 1, 2) }
        local made = tally.new_tally()
        tally.sort_hits(made, GUARD, hits, {}, false)
        assert.equal(1, made.flagged)
        tally.sort_hits(made, GUARD, hits, {}, true)
        assert.equal(3, made.flagged)
        assert.is_table(tally.sort_hits(made, GUARD, { hit(BLOCK, 1, 2, { repeated = true }) }, {}, false))
    end)

    it("come from a list or from a pattern", function()
        assert.equal("first", tally.source_name(GUARD, 0))
        assert.equal('sec"ond', tally.source_name(GUARD, 1))
        assert.equal("", tally.source_name(GUARD, 2))
        for index, name in ipairs({ "cn_mobile", "cn_id_card", "payment_card", "us_ssn", "email" }) do
            assert.equal(name, tally.source_name(GUARD, -(2 ^ (index - 1))))
        end
        assert.equal("", tally.source_name(GUARD, -32))
    end)
end)

describe("of finds that are to be masked", function()
    it("the one that begins first stands, the longest of those", function()
        assert.equal("1-5 / ", choose({ { 2, 9 }, { 1, 3 }, { 1, 5 }, { 4, 6 } }))
        assert.equal("1-3 3-4 6-9 / ", choose({ { 6, 9 }, { 3, 4 }, { 1, 3 }, { 2, 7 }, { 8, 20 } }))
        assert.equal("0-1 / ", choose({ { 0, 1 }, { 0, 1 } }))
        assert.equal(" / ", choose({}))
    end)

    it("those of different texts don't meet", function()
        assert.equal("1-5 2:0-3 2:3-9 3:2-4 / ", choose({ { 2, 4, 3 }, { 0, 3, 2 }, { 1, 5 }, { 3, 9, 2 }, { 1, 2, 2 }, { 4, 6 } }))
    end)

    it("those that begin later wait", function()
        assert.equal("1-3 / 5-9", choose({ { 5, 9 }, { 1, 3 } }, 5))
        assert.equal("1-3 5-9 / ", choose({ { 5, 9 }, { 1, 3 } }, 6))
        assert.equal("1-9 / 2:4-5 4:4-5", choose({ { 4, 5, 4 }, { 4, 5, 2 }, { 1, 9 }, { 2, 3 } }, 4))
    end)

    it("it is remembered how far each text is masked", function()
        local till = {}
        assert.equal("1-6 / 7-8", choose({ { 1, 6 }, { 7, 8 } }, 5, till))
        assert.equal("7-8 / ", choose({ { 7, 8 }, { 5, 9 } }, 100, till))
        assert.equal("2:5-9 / ", choose({ { 5, 9, 2 } }, 100, till))
        assert.equal("8-9 / ", choose({ { 8, 9 }, { 7, 9 } }, 100, till))
    end)
end)

describe("what was found, for the journal", function()
    local NOTHING = tally.new_tally()

    it("is nothing if nothing was", function()
        assert.is_nil(tally.summary("strict", nil, nil))
        assert.is_nil(tally.summary("strict", NOTHING, nil))
        assert.is_nil(tally.summary("strict", NOTHING, NOTHING))
        assert.is_nil(tally.summary("strict", nil, NOTHING))
    end)

    it("says how much of what, and what blocked", function()
        local some = { flagged = 1, masked = 2, blocked = 0 }
        local blocked = { flagged = 0, masked = 0, blocked = 1, blocked_by = 'a "list"\n' }
        assert.same(
            { name = "strict", blocked_by = cjson.null, prompt = some, completion = cjson.null },
            cjson.decode(tally.summary("strict", some, nil)))
        assert.same(
            { name = 'na"me', blocked_by = cjson.null, prompt = { flagged = 0, masked = 0, blocked = 0 }, completion = some },
            cjson.decode(tally.summary('na"me', NOTHING, some)))
        assert.equal('a "list"\n', cjson.decode(tally.summary("strict", some, blocked)).blocked_by)
        assert.same({ flagged = 0, masked = 0, blocked = 1 }, cjson.decode(tally.summary("strict", some, blocked)).completion)
        local other = { flagged = 0, masked = 0, blocked = 1, blocked_by = "other" }
        assert.equal("other", cjson.decode(tally.summary("strict", other, blocked)).blocked_by)
        for _, name in ipairs({ "flagged", "masked", "blocked" }) do
            local one = tally.new_tally()
            one[name] = 1
            assert.equal(1, cjson.decode(tally.summary("strict", one, nil)).prompt[name])
            assert.equal(1, cjson.decode(tally.summary("strict", nil, one)).completion[name])
        end
    end)
end)
