-- Whether a request finds the turn before it, against a plain table of all that is remembered, by its text.

local conversation_module = require("sluice.pool.conversation")
local memory_module = require("sluice.pool.prefix_memory")
local prefix_blocks = require("sluice.pool.prefix_blocks")
local walking = require("spec.unit.wire.walking")

local BLOCK, SEED = prefix_blocks.BLOCK_BYTES, 11
local MATCHES = { [0] = "unknown", "none", "own", "shared", "session" }

local function random_text(length)
    local parts = {}
    for index = 1, length / 8 + 1 do parts[index] = ("%08d"):format(math.random(0, 99999999)) end
    return table.concat(parts):sub(1, length)
end

-- With so much memory that hardly anything is forgotten.
local function world(bytes)
    local each = {
        memory = memory_module.own_memory(bytes or 65536), blocks = prefix_blocks.new_blocks(),
        conversation = conversation_module.new_conversation(),
    }
    function each.look(text)
        prefix_blocks.begin_blocks(each.blocks, "gpu", "m")
        local rest = prefix_blocks.add_blocks(each.blocks, text, 0, #text)
        prefix_blocks.end_blocks(each.blocks, text, rest, #text)
        conversation_module.look_up(each.conversation, each.blocks, each.memory, SEED)
        local found = each.conversation
        return MATCHES[found.match], found.holder, found.matched, found.length
    end
    function each.remember(text, endpoint)
        each.look(text)
        conversation_module.remember(each.conversation, each.memory, endpoint)
    end
    return each
end

-- The blocks at which a turn of so many is to be remembered.
local function marks(count)
    local at = { [count] = true }
    local step = 16
    while step <= count do
        at[math.floor(count / step) * step] = true
        step = step * 2
    end
    return at
end

-- What is remembered, by the text up to each mark.
local function reference()
    local entries = {}
    local self = { entries = entries }
    function self.remember(text, endpoint)
        local count, tail = math.floor(#text / BLOCK), text:sub(math.floor(#text / BLOCK) * BLOCK + 1)
        if count == 0 then return end
        for block in pairs(marks(count)) do
            local key = text:sub(1, block * BLOCK)
            local old = entries[key]
            local several = old and old.several
            if block == count and old and old.leaf == count and old.tail ~= "" and tail ~= "" and old.tail ~= tail then several = true end
            entries[key] = {
                endpoint = endpoint, leaf = count, several = several, tail = block == count and tail or "", text = text:sub(1, count * BLOCK),
            }
        end
    end
    -- What is to be said of a text by the entry for its first so many blocks.
    function self.judge(text, block)
        local entry = entries[text:sub(1, block * BLOCK)]
        if not entry then return nil end
        local count, tail = math.floor(#text / BLOCK), text:sub(math.floor(#text / BLOCK) * BLOCK + 1)
        local own = false
        if entry.several then
            own = false
        elseif entry.leaf == block then
            own = count > block or entry.tail == "" or tail == "" or entry.tail == tail
        elseif entry.leaf <= count then
            own = text:sub(1, #entry.text) == entry.text
        end
        return own and "own" or "shared", entry.endpoint
    end
    return self
end

describe("a conversation that was met before", function()
    local seed
    before_each(function() seed = seed or walking.seed("conversations") end)

    it("is found at its last turn's exact end, whatever that was, if a turn of less than 4 KB was added", function()
        for _ = 1, 300 do
            local each = world()
            local text = random_text(math.random(BLOCK, 20000))
            each.remember(text, 7)
            local more = text .. random_text(math.random(BLOCK, 4000))
            local match, holder, matched = each.look(more)
            assert.same({ "own", 7, math.floor(#text / BLOCK) }, { match, holder, matched })
        end
    end)

    it("is found but for less than half of what was added, if that is more", function()
        for _ = 1, 300 do
            local each = world()
            local text = random_text(math.random(3000, 40000))
            each.remember(text, 7)
            local added = math.random(BLOCK, #text * 1.5)
            local match, holder, matched = each.look(text .. random_text(added))
            local missing = #text - matched * BLOCK
            assert.is_true(missing < math.max(BLOCK, added / 2 + 2 * BLOCK), ("%d of %d, %d were added"):format(missing, #text, added))
            if matched > 0 then assert.same({ "own", 7 }, { match, holder }) end
        end
    end)

    it("is another one's if only the instructions are the same, be they long or short, and what follows too", function()
        for _ = 1, 300 do
            local each = world()
            local system = random_text(math.random(0, 6000))
            each.remember(system .. "one" .. random_text(math.random(70, 3000)), 1)
            local match = each.look(system .. "two" .. random_text(math.random(70, 3000)))
            assert.is_true(match == "none" or match == "shared", match)
        end
    end)

    it("is nobody's if several end alike in all but the last bytes, but goes on from where it then was", function()
        local each = world()
        local system = random_text(640)
        each.remember(system .. "how are you", 1)
        assert.equal("own", (each.look(system .. "how are you")))
        assert.equal("shared", (each.look(system .. "who are you")))
        each.remember(system .. "who are you", 2)
        local next_turn = system .. "how are you" .. random_text(200)
        assert.equal("shared", (each.look(next_turn)))
        each.remember(next_turn, 3)
        local match, holder = each.look(next_turn .. random_text(200))
        assert.same({ "own", 3 }, { match, holder })
    end)

    it("goes with the endpoint that met it last", function()
        local each = world()
        local text = random_text(5000)
        for endpoint = 1, 5 do
            each.remember(text, endpoint)
            assert.equal(endpoint, (select(2, each.look(text))))
            text = text .. random_text(math.random(0, 1500))
        end
    end)

    it("without a whole block is none", function()
        local each = world()
        each.remember(random_text(63), 7)
        assert.equal("unknown", (each.look("")))
        assert.equal("unknown", (each.look(random_text(63))))
        for word = 0, 1000 do assert.equal(0, each.memory.words[word]) end
    end)

    it("is what a plain table says, over trees of conversations", function()
        for _ = 1, 40 do
            local each, plain = world(memory_module.MEMORY_BYTES), reference()
            local texts = { random_text(math.random(0, 3000)), random_text(math.random(0, 300)) }
            for turn = 1, 150 do
                -- Goes on from anywhere in another one, mostly from its end.
                local from = texts[math.random(#texts)]
                local kept = math.random() < 0.7 and #from or math.random(0, #from)
                local text = from:sub(1, kept) .. random_text(math.random(0, math.random() < 0.1 and 9000 or 300))
                texts[#texts + 1] = text
                local match, holder, matched, count = each.look(text)
                for block = count, math.max(1, count - 63), -1 do
                    local expected, endpoint = plain.judge(text, block)
                    if expected then
                        assert.same({ expected, endpoint, block }, { match, holder, matched })
                        break
                    end
                    assert.is_true(matched ~= block)
                end
                if matched > 0 then
                    local expected, endpoint = plain.judge(text, matched)
                    assert.same({ expected, endpoint }, { match, holder })
                end
                conversation_module.remember(each.conversation, each.memory, turn)
                plain.remember(text, turn)
            end
        end
    end)
end)

describe("a session", function()
    it("is a pool's, a model's, a tenant's and its name's", function()
        local each = world()
        local found = each.conversation
        local function look(...)
            conversation_module.look_up_session(found, each.memory, ...)
            return MATCHES[found.match], found.holder
        end
        assert.equal("none", (look("gpu", 3, "m", "acme", "s")))
        conversation_module.remember(found, each.memory, 9)
        assert.same({ "session", 9 }, { look("gpu", 3, "m", "acme", "s") })
        assert.equal("none", (look("cpu", 3, "m", "acme", "s")))
        assert.equal("none", (look("gpu", 3, "n", "acme", "s")))
        assert.equal("none", (look("gpu", 3, "m", "other", "s")))
        assert.equal("none", (look("gpu", 3, "m", "acme", "t")))
        assert.equal(3, found.seed)
    end)
end)
