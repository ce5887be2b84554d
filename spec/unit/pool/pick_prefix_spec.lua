local conversation_module = require("sluice.pool.conversation")
local fields = require("spec.unit.pool.fields")
local least_load = require("sluice.pool.pick_least_load")
local memory_module = require("sluice.pool.prefix_memory")
local pick_prefix = require("sluice.pool.pick_prefix")
local prefix_blocks = require("sluice.pool.prefix_blocks")
local schedule = require("sluice.pool.schedule")
local walking = require("spec.unit.wire.walking")

local SEED = 5
local OWN, SHARED, SESSION = 2, 3, 4

local function affinity_of(field, memory)
    local ids, index_of = {}, {}
    for index = 0, field.count - 1 do
        ids[index + 1] = index * 7919 - 1000000
        index_of[ids[index + 1]] = index
    end
    return pick_prefix.new_affinity(memory or memory_module.own_memory(4096), SEED, fields.integers(ids), index_of, field.count)
end

-- A conversation that the endpoint with this index has met, if not told otherwise.
local function met(affinity, index, more)
    local conversation = conversation_module.new_conversation()
    conversation.match, conversation.seed, conversation.holder = OWN, SEED, affinity.ids[index]
    conversation.length, conversation.matched = 20, 15
    for name, value in pairs(more or {}) do conversation[name] = value end
    return conversation
end

local function pick(endpoints, more, stamp)
    local field = fields.field(endpoints)
    local affinity = affinity_of(field)
    return pick_prefix.pick_prefix(field, affinity, met(affinity, 1, more), stamp or 1, 0)
end

local IDLE = { running = 0 }

describe("a conversation's endpoint", function()
    it("is the one that met it", function()
        assert.equal(1, pick({ IDLE, IDLE, IDLE }))
        assert.equal(1, pick({ IDLE, { running = 0, weight = 1 }, { running = 0, weight = 100 } }))
    end)

    it("is none that fails, is full, or was tried", function()
        for _, bad in ipairs({ { usable = false }, { most = 2, running = 2 }, { tried = 1 } }) do
            assert.equal(-1, pick({ { running = 9 }, bad, { running = 9 } }))
            assert.equal(-1, pick({ { running = 9 }, bad, { running = 9 } }, { match = SESSION }))
        end
        assert.equal(1, pick({ IDLE, { tried = 2 } }))
    end)

    it("is none that the pool doesn't have, or that was looked up for another pool", function()
        assert.equal(-1, pick({ IDLE, IDLE }, { holder = 4711 }))
        assert.equal(-1, pick({ IDLE, IDLE }, { seed = 6 }))
        assert.equal(-1, pick({ IDLE, IDLE }, { seed = 6, match = SESSION }))
        for match = 0, 1 do assert.equal(-1, pick({ IDLE, IDLE }, { match = match })) end
    end)

    it("has no more under way than a quarter above the mean, and one", function()
        -- Its own count, the others', and whether it is taken: below 1.25 times the mean, plus one.
        for _, case in ipairs({
            { 0, 0, true }, { 1, 0, true }, { 2, 0, false }, { 2, 1, true }, { 3, 1, true }, { 4, 1, false }, { 5, 4, true },
            { 8, 4, false }, { 13, 10, true }, { 17, 10, false }, { 130, 100, true }, { 150, 100, false },
        }) do
            local running, others, taken = unpack(case)
            assert.equal(taken and 1 or -1, pick({ { running = others }, { running = running }, { running = others } }), running .. " and " .. others)
        end
        -- By weight, without those that can't be used.
        assert.equal(1, pick({ { running = 10 }, { running = 40, weight = 4 }, { usable = false }, { usable = false } }))
        assert.equal(-1, pick({ { running = 10, weight = 4 }, { running = 8 } }))
        -- A session stays.
        assert.equal(1, pick({ IDLE, { running = 100 }, IDLE }, { match = SESSION }))
    end)

    it("has no queue, and room in its cache, by what it says itself", function()
        assert.equal(1, pick({ IDLE, { waiting = 4, cache = 0.95 } }))
        assert.equal(-1, pick({ IDLE, { waiting = 5 } }))
        assert.equal(-1, pick({ IDLE, { cache = 0.96 } }))
        assert.equal(1, pick({ IDLE, { waiting = 5, cache = 1 } }, { match = SESSION }))
    end)

    it("met enough of it: a quarter or 16 KB, and half and 16 KB if it was another one that began alike", function()
        local three = { IDLE, IDLE, IDLE }
        assert.equal(1, pick(three, { length = 40, matched = 10 }))
        assert.equal(-1, pick(three, { length = 40, matched = 9 }))
        assert.equal(1, pick(three, { length = 4000, matched = 256 }))
        assert.equal(-1, pick(three, { length = 260, matched = 255, match = SHARED }))
        assert.equal(1, pick(three, { length = 512, matched = 256, match = SHARED }))
        assert.equal(-1, pick(three, { length = 513, matched = 256, match = SHARED }))
    end)

    it("is one that a request may have, whatever the field, and asks few", function()
        walking.seed("pick prefix")
        for _ = 1, 3000 do
            local field = fields.random(20)
            local affinity = affinity_of(field)
            local holder, stamp = math.random(0, field.count - 1), math.random(3)
            local match = math.random(0, 4)
            local conversation = met(affinity, holder, { match = match, length = math.random(600), matched = math.random(600) })
            local total, weight = 0, 0
            for _, each in ipairs(field.endpoints) do
                if each.usable then total, weight = total + each.running, weight + each.weight end
            end
            local each = field.endpoints[holder + 1]
            local can = fields.kind(field, holder, stamp) == "untried"
            local part = conversation.matched / conversation.length
            local worth = match == OWN and (part >= 1 / 4 or conversation.matched >= 256)
                or match == SHARED and part >= 1 / 2 and conversation.matched >= 256
            local room = each.running < 1.25 * total / weight * each.weight + 1 and each.waiting <= 4 and each.cache <= 0.95
            local expected = can and (match == SESSION or worth and room) and holder or -1
            assert.equal(expected, pick_prefix.pick_prefix(field, affinity, conversation, stamp, 0))
        end
    end)

    it("is found without asking a thousand", function()
        local endpoints = {}
        for index = 1, 1000 do endpoints[index] = { running = 1 } end
        local field = fields.field(endpoints)
        local affinity = affinity_of(field)
        local conversation = met(affinity, 500)
        pick_prefix.pick_prefix(field, affinity, conversation, 1, 0)
        fields.forget_questions(field)
        for _ = 1, 100 do assert.equal(500, pick_prefix.pick_prefix(field, affinity, conversation, 1, 0.5)) end
        assert.is_true(field.questions <= 300, field.questions)
    end)
end)

-- So many conversations of some turns each, with the same instructions; each waits for its answer and then a while. Returns how many of
-- the turns but the first went where the one before went, how many times the mean of all requests the busiest endpoint got, and how far
-- one that was followed was above one and a half times the mean, in requests. The mean is known nearly, all endpoints being asked once a
-- second: it is the highest of the last second here.
local function simulate(count, conversations, turns, follow)
    local endpoints = {}
    for index = 1, count do endpoints[index] = { running = 0 } end
    local field = fields.field(endpoints)
    local affinity = affinity_of(field, memory_module.own_memory(memory_module.MEMORY_BYTES))
    local turns_of = schedule.build_schedule(field.weights, field.count)
    local blocks, conversation = prefix_blocks.new_blocks(), conversation_module.new_conversation()
    local system = ("the same for all "):rep(120)
    local function words(length)
        local text = {}
        while #text < length / 8 do text[#text + 1] = ("%8d"):format(math.random(99999999)) end
        return table.concat(text)
    end
    local events, callers, got = {}, {}, {}
    for index = 0, count - 1 do got[index] = 0 end
    for number = 1, conversations do
        callers[number] = { text = system .. words(math.random(20, 400)), turn = 0 }
        events[number] = { at = math.random() * 8, caller = callers[number] }
    end
    local hits, worst = 0, 0
    local totals = {}
    local function highest(now, total)
        totals[#totals + 1] = { at = now, total = total }
        while totals[1].at < now - 1 do table.remove(totals, 1) end
        local most = 0
        for _, each in ipairs(totals) do most = math.max(most, each.total) end
        return most
    end
    while #events > 0 do
        local first = 1
        for number = 2, #events do if events[number].at < events[first].at then first = number end end
        local event = table.remove(events, first)
        local caller = event.caller
        local now = event.at
        if event.ends then
            endpoints[caller.place + 1].running = endpoints[caller.place + 1].running - 1
            caller.text = caller.text .. words(math.random(50, 3000))
            if caller.turn < turns then events[#events + 1] = { at = now + math.random() * 2, caller = caller } end
        else
            local place = -1
            if follow then
                prefix_blocks.begin_blocks(blocks, "gpu", "m")
                local rest = prefix_blocks.add_blocks(blocks, caller.text, 0, #caller.text)
                prefix_blocks.end_blocks(blocks, caller.text, rest, #caller.text)
                conversation_module.look_up(conversation, blocks, affinity.memory, SEED)
                place = pick_prefix.pick_prefix(field, affinity, conversation, 1, now)
            end
            local followed = place >= 0
            if place < 0 then place = least_load.pick_least_load(field, turns_of, 1, math.random(), math.random()) end
            if follow then conversation_module.remember(conversation, affinity.memory, affinity.ids[place]) end
            if caller.place == place then hits = hits + 1 end
            caller.place, caller.turn = place, caller.turn + 1
            got[place] = got[place] + 1
            endpoints[place + 1].running = endpoints[place + 1].running + 1
            events[#events + 1] = { at = now + 1 + math.random() * 3, caller = caller, ends = true }
            local total = 0
            for _, each in ipairs(endpoints) do total = total + each.running end
            local mean = highest(now, total) / count
            if followed then worst = math.max(worst, endpoints[place + 1].running - 1.5 * mean) end
        end
    end
    local most = 0
    for index = 0, count - 1 do most = math.max(most, got[index]) end
    return hits / (conversations * (turns - 1)), most / (conversations * turns / count), worst
end

describe("fifty conversations with the same instructions", function()
    before_each(function() walking.seed("simulation") end)

    for count = 3, 8 do
        it("stay where they are and spread over endpoints, " .. count, function()
            local hits, share, worst = 0, 0, 0
            for _ = 1, 5 do
                local each_hits, each_share, each_worst = simulate(count, 50, 10, true)
                hits, share, worst = hits + each_hits / 5, math.max(share, each_share), math.max(worst, each_worst)
            end
            io.write(("%d endpoints: %.3f stay, at most %.2f of the mean, %.2f above\n"):format(count, hits, share, worst))
            assert.is_true(hits > 0.9, hits)
            assert.is_true(share <= 1.5, share)
            assert.is_true(worst <= 2, worst)
            assert.is_true(simulate(count, 50, 10, false) < 0.6)
        end)
    end
end)
