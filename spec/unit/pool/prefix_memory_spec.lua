local ffi = require("ffi")
local memory_module = require("sluice.pool.prefix_memory")
local walking = require("spec.unit.wire.walking")

local function read(memory, lower, upper)
    local place = memory_module.find_entry(memory, lower, upper)
    if place < 0 then return nil end
    return memory.words[place + 1], memory.words[place + 2], memory.words[place + 3]
end

local function random_half() return math.random(-2147483648, 2147483647) end

describe("the memory of prefixes", function()
    before_each(function() walking.seed("prefix memory") end)

    it("gives what was written last, as a table that forgets does", function()
        local memory = memory_module.own_memory(64 * 16)
        local reference = {}
        for _ = 1, 20000 do
            -- Few, so that they meet again; an odd tag, as the lowest bit is not kept.
            local lower, upper = math.random(-40, 40), math.random(0, 3) * 2 + 1
            local line = reference[lower % 16] or {}
            reference[lower % 16] = line
            local place
            for index, entry in ipairs(line) do
                if entry.upper == upper then place = index end
            end
            if math.random() < 0.5 then
                local endpoint, leaf, check = random_half(), math.random(-1, 100), random_half()
                memory_module.write_entry(memory, lower, upper, endpoint, leaf, check)
                if place then
                    line[place] = { upper = upper, endpoint = endpoint, leaf = leaf, check = check }
                else
                    table.insert(line, 1, { upper = upper, endpoint = endpoint, leaf = leaf, check = check })
                    line[5] = nil
                end
            else
                local entry = place and line[place]
                local endpoint, leaf, check = read(memory, lower, upper)
                if entry then
                    assert.same({ entry.endpoint, entry.leaf, entry.check }, { endpoint, leaf, check })
                else
                    assert.is_nil(endpoint)
                end
            end
        end
    end)

    it("forgets the oldest of five in a line, and nothing of the next line", function()
        local memory = memory_module.own_memory(64 * 4)
        memory_module.write_entry(memory, 2, 7, 70, 0, 0)
        for number = 1, 5 do memory_module.write_entry(memory, 1, number * 2 + 1, number, 0, 0) end
        assert.is_nil(read(memory, 1, 3))
        for number = 2, 5 do assert.equal(number, (read(memory, 1, number * 2 + 1))) end
        assert.equal(70, (read(memory, 2, 7)))
    end)

    it("knows nothing of zeros, and stays within its bytes whatever the hash", function()
        local bytes = 64 * 8
        local words = ffi.new("int32_t[?]", bytes / 4 + 64)
        for word = bytes / 4, bytes / 4 + 63 do words[word] = 4711 end
        local memory = memory_module.memory_at(words, bytes)
        assert.is_nil(read(memory, 0, 0))
        for _ = 1, 10000 do memory_module.write_entry(memory, random_half(), random_half(), random_half(), random_half(), random_half()) end
        for word = bytes / 4, bytes / 4 + 63 do assert.equal(4711, words[word]) end
    end)

    it("finds nothing wrong with whatever lies in it", function()
        local memory = memory_module.own_memory(64 * 4)
        for word = 0, 63 do memory.words[word] = random_half() end
        for _ = 1, 1000 do
            local lower, upper = random_half(), random_half()
            memory_module.find_entry(memory, lower, upper)
            memory_module.write_entry(memory, lower, upper, 5, 0, 0)
            assert.equal(5, (read(memory, lower, upper)))
        end
    end)
end)
