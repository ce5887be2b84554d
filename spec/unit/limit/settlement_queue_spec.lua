local dictionary = require("spec.unit.limit.dictionary_model").new
local drainer = require("sluice.limit.drainer")
local queue_module = require("sluice.limit.settlement_queue")
local settled_file = require("sluice.limit.settled_file")
local settlement = require("sluice.limit.settlement")

local function queue(shared, process, dead)
    return { dictionary = shared, process = process or 1, is_alive = function(other) return other ~= dead end }
end

describe("the list of settlements", function()
    local shared, here

    before_each(function()
        shared = dictionary(1000)
        assert.is_true(queue_module.create_queue(shared))
        here = queue(shared)
    end)

    it("gives settlements in their order until they are confirmed", function()
        for number = 1, 5 do assert.is_true(queue_module.add_settlement(here, "s" .. number, 7, number * 100)) end
        assert.same({ { "s1", "s2", "s3" }, 1 }, { queue_module.first_settlements(here, 3) })
        assert.same({ { "s1", "s2", "s3" }, 1 }, { queue_module.first_settlements(here, 3) })
        queue_module.confirm_settlements(here, 1, 2, 7, 200)
        assert.same({ { "s3", "s4", "s5" }, 3 }, { queue_module.first_settlements(here, 10) })
        assert.equal(3, queue_module.waiting(here))
        assert.same({ { file = 7, offset = 200 }, 0 }, { queue_module.settled_place(here) })
        queue_module.confirm_settlements(here, 3, 3, 7, 500)
        assert.same({}, (queue_module.first_settlements(here, 10)))
        assert.equal(0, queue_module.waiting(here))
        assert.is_nil(shared.get("3"))
    end)

    it("loses nothing to two workers that take the same to the store", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("the list of settlements: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        local sent, under_way, added = {}, {}, 0
        for _ = 1, 2000 do
            local worker = math.random(3)
            local batch = under_way[worker]
            if math.random(3) == 1 then
                added = added + 1
                assert.is_true(queue_module.add_settlement(here, "s" .. added, 7, added * 100))
            elseif batch == nil then
                local texts, first = queue_module.first_settlements(here, 10)
                under_way[worker] = { texts = texts, first = first }
            else
                local count = math.random(0, #batch.texts)
                for place = 1, count do sent[batch.texts[place]] = true end
                queue_module.confirm_settlements(here, batch.first, count, count > 0 and 7 or 0, (batch.first + count - 1) * 100)
                under_way[worker] = nil
            end
            local waiting = queue_module.waiting(here)
            assert.is_true(waiting >= 0 and waiting <= added)
            -- What is not on the list any more has been sent, and the place of what is settled is that of the last of them.
            for number = math.max(1, added - waiting - 20), added - waiting do assert.is_true(sent["s" .. number]) end
            assert.equal((added - waiting) * 100, (queue_module.settled_place(here)).offset)
            for number = added - waiting + 1, added do assert.equal("s" .. number, shared.get(tostring(number))) end
        end
    end)

    it("is made once, and kept over a reload", function()
        queue_module.add_settlement(here, "s1", 7, 100)
        assert.is_false(queue_module.create_queue(shared))
        assert.equal(1, queue_module.waiting(here))
    end)

    it("has what found no room read from the journal, from the first place on", function()
        shared = dictionary(18)
        queue_module.create_queue(shared)
        here = queue(shared)
        assert.is_true(queue_module.add_settlement(here, "s1", 7, 100))
        assert.is_true(queue_module.add_settlement(here, "s2", 7, 200))
        assert.is_false(queue_module.add_settlement(here, "s3", 7, 300))
        assert.is_false(queue_module.add_settlement(here, "s4", 8, 50))
        assert.same({ file = 7, offset = 200, since = 0, misses = 2 }, queue_module.missed_place(here))
        assert.equal(2, queue_module.take_dropped(here))
        assert.equal(0, queue_module.take_dropped(here))
        queue_module.confirm_settlements(here, 1, 2, 7, 200)
        -- There is room again, and what comes then waits; but nothing behind the place is taken for settled.
        assert.is_true(queue_module.add_settlement(here, "s5", 8, 100))
        queue_module.confirm_settlements(here, 3, 1, 8, 100)
        assert.same({ file = 7, offset = 200 }, (queue_module.settled_place(here)))
        queue_module.move_missed(here, queue_module.missed_place(here), 8, 50, 0)
        assert.same({ file = 8, offset = 50 }, (queue_module.settled_place(here)))
        queue_module.end_missed(here, queue_module.missed_place(here))
        assert.is_nil(queue_module.missed_place(here))
        assert.same({ file = 8, offset = 100 }, (queue_module.settled_place(here)))
    end)

    it("passes over what a killed worker had removed already", function()
        for number = 1, 3 do queue_module.add_settlement(here, "s" .. number, 7, number * 100) end
        shared.remove("1")
        assert.same({ "", "s2", "s3" }, (queue_module.first_settlements(here, 10)))
    end)

    it("does not forget what is missed while the journal is read for something else", function()
        queue_module.note_missed(here, 7, 100)
        local before = queue_module.missed_place(here)
        queue_module.note_missed(here, 7, 900)
        queue_module.end_missed(here, before)
        assert.same({ file = 7, offset = 100, since = 0, misses = 2 }, queue_module.missed_place(here))
        queue_module.end_missed(here, queue_module.missed_place(here))
        assert.is_false(queue_module.is_missed(here))
        -- Missed anew: from there on, whatever was missed before.
        queue_module.note_missed(here, 7, 1200)
        assert.same({ file = 7, offset = 1200, since = 0, misses = 3 }, queue_module.missed_place(here))
    end)

    it("lets a worker that was slow neither move nor end what another one has moved", function()
        queue_module.note_missed(here, 7, 100)
        local slow = queue_module.missed_place(here)
        queue_module.move_missed(here, slow, 7, 5000, 0)
        queue_module.move_missed(here, slow, 7, 300, 0)
        assert.equal(5000, queue_module.missed_place(here).offset)
        queue_module.end_missed(here, slow)
        assert.is_true(queue_module.is_missed(here))
        queue_module.end_missed(here, queue_module.missed_place(here))
        queue_module.move_missed(here, slow, 7, 300, 0)
        assert.is_false(queue_module.is_missed(here))
    end)

    it("tells no place over a restart while it reads from another one than what was missed", function()
        queue_module.note_all_settled(here, 7, 50, 1700000000)
        queue_module.note_missed(here, 7, 100)
        queue_module.move_missed(here, queue_module.missed_place(here), 8, 0, 1699999940)
        assert.same({ { file = 0, offset = 0 }, 1700000000 }, { queue_module.settled_place(here) })
        assert.equal(1699999940, queue_module.missed_place(here).since)
    end)

    it("takes what is settled for listed: nothing before it is read again", function()
        queue_module.note_all_settled(here, 7, 5000, 1700000000)
        assert.same({ file = 7, offset = 5000 }, queue_module.added_place(here))
    end)

    it("says once that the journal can't be read, and once that it can be again", function()
        assert.is_false(queue_module.note_readable(here, true))
        assert.is_true(queue_module.note_readable(here, false))
        assert.is_false(queue_module.note_readable(here, false))
        assert.is_true(queue_module.note_readable(here, true))
    end)

    it("is drained by one worker at a time, and by another when that one is dead or silent", function()
        local second, third = queue(shared, 2), queue(shared, 3, 1)
        assert.is_true(drainer.begin_drain(here, 100))
        assert.is_false(drainer.begin_drain(here, 100))
        assert.is_false(drainer.begin_drain(second, 129))
        assert.is_true(drainer.begin_drain(third, 100))
        -- Who comes back from the dead has nothing to say.
        assert.is_false(drainer.keep_draining(here, 101))
        drainer.end_drain(here)
        assert.is_false(drainer.begin_drain(second, 101))
        assert.is_true(drainer.keep_draining(third, 120))
        assert.is_false(drainer.begin_drain(second, 149))
        assert.is_true(drainer.begin_drain(second, 151))
        assert.is_false(drainer.keep_draining(third, 152))
        drainer.end_drain(second)
        assert.is_true(drainer.begin_drain(third, 153))
        assert.is_nil(shared.get("lock:settlements"))
    end)

    it("is drained by one of two that take over at once", function()
        local second, third = queue(shared, 2, 1), queue(shared, 3, 1)
        assert.is_true(drainer.begin_drain(here, 100))
        local add, third_began = shared.add, nil
        shared.add = function(...)
            if third_began == nil then
                third_began = false
                third_began = drainer.begin_drain(third, 100)
            end
            return add(...)
        end
        assert.is_false(drainer.begin_drain(second, 100))
        assert.is_true(third_began)
        assert.is_true(drainer.keep_draining(third, 100))
    end)

    it("knows its place over a restart", function()
        local text = settled_file.place_text({ file = 123456789012, offset = 9876543210 }, 1700000000.5)
        local place, time = settled_file.read_place(text)
        assert.same({ { file = 123456789012, offset = 9876543210 }, 1700000000.5 }, { place, time })
        queue_module.note_all_settled(here, place.file, place.offset, time)
        assert.same({ place, time }, { queue_module.settled_place(here) })
        assert.same(place, queue_module.added_place(here))
        queue_module.note_all_settled(here, 5, 6, 1700000001)
        assert.same({ { file = 5, offset = 6 }, 1700000001 }, { queue_module.settled_place(here) })
        for _, broken in ipairs({ "", text:sub(1, -2), "x" .. text, text .. text, "sluice settled 2 1 2 3.0\n" }) do
            assert.is_nil((settled_file.read_place(broken)))
        end
    end)
end)

describe("a settlement", function()
    local LINE = '{"id":"0af3","time":"2026-11-21T18:00:01.250Z","tenant":"acme","key":"web","model":"chat","pool":"gpu",'
        .. '"endpoint":"e","attempts":1,"status":200,"ending":"finished","input_tokens":10,"cached_input_tokens":4,"output_tokens":20,'
        .. '"usage_from":"upstream","reserved_tokens":110,"cost_nano_usd":48000,"free_units":7,'
        .. '"first_token_ms":null,"duration_ms":2000.5,"held_ms":0,"guard":null}'

    it("is read from the journal's line as it was written down", function()
        local read = settlement.settlement_of_line(LINE, 0, 7, 400)
        assert.same({ "0af3", "unknown", "acme", "tenant:acme", "key:acme/web", "free:acme/chat" },
            { read.id, read.known, read.owner, read.tenant, read.key, read.allowance })
        assert.same({ "1795284001.250000|110|30|48000|7", 7, 400 }, { read.amounts, read.file, read.offset })
        assert.equal(1795284001250, read.arrived)
        assert.is_nil(settlement.settlement_of_line(LINE:gsub("110", "null"), 0, 7, 400))
        assert.is_nil(settlement.settlement_of_line("broken" .. LINE, 0, 7, 400))
    end)

    it("gives back what a refused request may hold, and counts nothing", function()
        assert.equal("cancelled", settlement.settlement_of_line(LINE:gsub("finished", "refused"), 0, 7, 400).known)
    end)

    it("is passed over if its request had ended before", function()
        assert.truthy(settlement.settlement_of_line(LINE, 1795284003, 7, 400))
        assert.is_nil(settlement.settlement_of_line(LINE, 1795284003.3, 7, 400))
    end)

    it("survives being written down", function()
        local made = require("sluice.limit.reservation").take_reservation(
            require("sluice.limit.scope").make_scope("tenant:acme", "tenant acme", "acme", { requests_per_day = 1 }), nil, nil, 1795284001.2504)
        made.id, made.tokens, made.admitted = "0af3", 110, 1795284001.251234
        made.used_tokens, made.cost_nano_usd, made.free_used = 30, 123456789012345, 12
        local read = settlement.read_settlement(settlement.settlement_text(made, 7, 400))
        assert.same({
            id = "0af3", known = "unknown", owner = "acme", tenant = "tenant:acme", key = "-", allowance = "-", arrived = 1795284001250,
            amounts = "1795284001.251234|110|30|123456789012345|12", file = 7, offset = 400,
        }, read)
        made.admitted_elsewhere = true
        assert.equal("admitted", settlement.read_settlement(settlement.settlement_text(made, 7, 400)).known)
        made.cancelled = true
        assert.equal("cancelled", settlement.read_settlement(settlement.settlement_text(made, 7, 400)).known)
        for _, broken in ipairs({ "", "a", "a b c d e f", (settlement.settlement_text(made, 1, 1):gsub("|12 ", " ")) }) do
            assert.is_nil(settlement.read_settlement(broken))
        end
    end)

    it("tells what Redis answered", function()
        assert.same({ 2, 48000, 17 }, { settlement.read_settled("2 48000 17") })
        assert.same({ nil, 0, 0 }, { settlement.read_settled("something else") })
    end)
end)
