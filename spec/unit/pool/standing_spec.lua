local standing = require("sluice.pool.standing")

local ALWAYS, COLD, DOWN = standing.ALWAYS, standing.COLD, standing.DOWN

local function rules(healthy, unhealthy, needs_warmth)
    return { healthy = healthy, unhealthy = unhealthy, needs_warmth = needs_warmth or false }
end

describe("an endpoint that is asked whether it is well", function()
    it("is taken away by bad answers in a row, and comes back by good ones in a row", function()
        local asked = rules(2, 3)
        local one = standing.new_standing(nil, asked)
        assert.equal(ALWAYS, one.place)
        for now, answer in ipairs({ "bad", "bad", "good", "bad", "bad" }) do
            assert.is_false(standing.note_answer(one, asked, answer == "good", now))
            assert.equal(ALWAYS, one.place)
        end
        assert.is_true(standing.note_answer(one, asked, false, 6))
        assert.equal(DOWN, one.place)
        assert.is_false(standing.takes_requests(one.place, asked))
        for now, answer in ipairs({ "bad", "good", "bad", "good" }) do
            assert.is_false(standing.note_answer(one, asked, answer == "good", 10 + now))
        end
        assert.is_true(standing.note_answer(one, asked, true, 20))
        assert.equal(20, one.place)
        assert.is_true(standing.takes_requests(one.place, asked))
    end)

    it("goes on from what is known of it", function()
        local asked = rules(1, 1, true)
        for _, place in ipairs({ ALWAYS, 17, DOWN, COLD }) do
            assert.equal(place, standing.new_standing(place, asked).place)
        end
        assert.equal(COLD, standing.new_standing(nil, asked).place)
    end)
end)

describe("an endpoint that is warmed up", function()
    it("takes no requests before that, nor after it has been down", function()
        local both = rules(1, 1, true)
        local one = standing.new_standing(nil, both)
        assert.is_false(standing.takes_requests(one.place, both))
        assert.is_true(standing.note_warm(one, one.round, 5))
        assert.equal(5, one.place)
        assert.is_true(standing.note_answer(one, both, false, 6))
        assert.is_true(standing.note_answer(one, both, true, 7))
        assert.equal(COLD, one.place)
        assert.is_true(standing.note_warm(one, one.round, 8))
        assert.equal(8, one.place)
    end)

    it("is not warm by what began before it was down, nor while it is", function()
        local both = rules(1, 1, true)
        local one = standing.new_standing(nil, both)
        local round = one.round
        standing.note_answer(one, both, false, 1)
        assert.is_false(standing.note_warm(one, one.round, 2))
        assert.equal(DOWN, one.place)
        standing.note_answer(one, both, true, 3)
        assert.is_false(standing.note_warm(one, round, 4))
        assert.equal(COLD, one.place)
        assert.is_true(standing.note_warm(one, one.round, 5))
        assert.is_false(standing.note_warm(one, one.round, 6))
        assert.equal(5, one.place)
    end)

    it("may go down while it is cold", function()
        local both = rules(2, 2, true)
        local one = standing.new_standing(nil, both)
        assert.is_false(standing.note_answer(one, both, false, 1))
        assert.is_true(standing.note_answer(one, both, false, 2))
        assert.equal(DOWN, one.place)
    end)
end)

describe("other rules", function()
    -- What was known, whether there are checks, whether there is a warm-up: where it stands then, at 9 o'clock.
    for _, case in ipairs({
        { DOWN, true, true, DOWN }, { DOWN, true, false, DOWN }, { DOWN, false, true, COLD }, { DOWN, false, false, 9 },
        { COLD, true, true, COLD }, { COLD, true, false, 9 }, { COLD, false, true, COLD }, { COLD, false, false, 9 },
        { 3, true, true, 3 }, { 3, false, false, 3 }, { ALWAYS, false, true, ALWAYS },
    }) do
        it(("put %d, checked %s, warmed %s, to %d"):format(case[1], tostring(case[2]), tostring(case[3]), case[4]), function()
            local given = rules(2, case[2] and 2 or 0, case[3])
            local one = standing.new_standing(case[1], given)
            assert.equal(case[4] ~= case[1], standing.settle(one, given, 9))
            assert.equal(case[4], one.place)
            -- Workers that read the place before it was settled agree.
            assert.equal(case[4] >= 0, standing.takes_requests(case[1], given))
        end)
    end
end)

describe("any answers", function()
    it("leave an endpoint where a plain reading of them does", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("standing: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        for _ = 1, 300 do
            local given = rules(math.random(4), math.random(4), math.random() < 0.5)
            local one = standing.new_standing(nil, given)
            -- The reference keeps all answers, and looks at the last ones.
            local state, answers = given.needs_warmth and "cold" or "up", {}
            local function last_are(answer, count)
                if #answers < count then return false end
                for index = #answers - count + 1, #answers do
                    if answers[index] ~= answer then return false end
                end
                return true
            end
            for now = 1, 60 do
                if state == "cold" and math.random() < 0.3 then
                    standing.note_warm(one, one.round, now)
                    state, answers = "up", {}
                else
                    local good = math.random() < 0.5
                    answers[#answers + 1] = good
                    standing.note_answer(one, given, good, now)
                    if state ~= "down" and last_are(false, given.unhealthy) then
                        state, answers = "down", {}
                    elseif state == "down" and last_are(true, given.healthy) then
                        state, answers = given.needs_warmth and "cold" or "up", {}
                    end
                end
                local place = one.place == DOWN and "down" or one.place == COLD and "cold" or "up"
                assert.equal(state, place)
            end
        end
    end)
end)
