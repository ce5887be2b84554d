local slots_module = require("sluice.pool.slots")

local assign, COUNT = slots_module.assign_slot, slots_module.TLS_SLOTS

-- Assigns so many names; returns the slots and the blocks by name.
local function filled(count, now)
    local slots, blocks = slots_module.new_slots(), {}
    for index = 1, count do
        blocks[index] = assign(slots, "https", "host" .. index, now)
    end
    return slots, blocks
end

describe("an upstream slot", function()
    it("is one and the same for all plain HTTP", function()
        local slots = slots_module.new_slots()
        for index = 1, 100 do
            assert.equal("sluice_http", assign(slots, "http", "host" .. index, 0))
        end
        assert.equal("sluice_tls_0", assign(slots, "https", "host1", 0))
    end)

    it("is another for each TLS name", function()
        local _, blocks = filled(COUNT, 0)
        local seen = {}
        for index = 1, COUNT do
            assert.equal("sluice_tls_" .. index - 1, blocks[index])
            assert.is_nil(seen[blocks[index]])
            seen[blocks[index]] = true
        end
    end)

    it("stays with its name", function()
        local slots, blocks = filled(COUNT, 0)
        for _, now in ipairs({ 0, 1, 3599, 3600, 3601, 1000000 }) do
            for index = COUNT, 1, -1 do
                assert.equal(blocks[index], assign(slots, "https", "host" .. index, now))
            end
        end
    end)

    it("is not there for one name too many", function()
        local slots = filled(COUNT, 0)
        assert.is_nil(assign(slots, "https", "late", 0))
        assert.is_nil(assign(slots, "https", "late", 3600))
        assert.equal("sluice_tls_3", assign(slots, "https", "host4", 3600))
        assert.equal("sluice_http", assign(slots, "http", "late", 0))
    end)

    it("is given away when its name has not been used for an hour", function()
        local slots, blocks = filled(COUNT, 0)
        for index = 1, COUNT do
            if index ~= 5 then
                assign(slots, "https", "host" .. index, 3000)
            end
        end
        assert.is_nil(assign(slots, "https", "late", 3600))
        assert.equal(blocks[5], assign(slots, "https", "late", 3601))
        assert.is_nil(assign(slots, "https", "host5", 3602))
    end)

    it("of a name that came back is kept", function()
        local slots, blocks = filled(COUNT, 0)
        assert.equal(blocks[1], assign(slots, "https", "host1", 3600))
        for index = 2, COUNT do
            assign(slots, "https", "host" .. index, 7000)
        end
        assert.is_nil(assign(slots, "https", "late", 7200))
    end)
end)
