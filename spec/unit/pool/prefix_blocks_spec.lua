local prefix_blocks = require("sluice.pool.prefix_blocks")
local walking = require("spec.unit.wire.walking")

local BLOCK, MOST = prefix_blocks.BLOCK_BYTES, prefix_blocks.MOST_BLOCKS

local function random_text(length)
    local characters = {}
    for index = 1, length do characters[index] = string.char(math.random(0, 255)) end
    return table.concat(characters)
end

-- The blocks of parts, of which the last one grows, read in pieces of so many blocks.
local function blocks_of(parts, piece_blocks, pool, model)
    local blocks = prefix_blocks.new_blocks()
    prefix_blocks.begin_blocks(blocks, pool or "gpu", model or "m")
    for index, part in ipairs(parts) do
        local size = (piece_blocks or 100000) * BLOCK
        for from = 1, #part, size do
            -- What stands before and behind in the text is none of its business.
            local piece = part:sub(from, from + size - 1)
            local text, to = "xyz" .. piece .. "more", 3 + #piece
            local rest = prefix_blocks.add_blocks(blocks, text, 3, to)
            if from + size > #part then
                if index == #parts then
                    prefix_blocks.end_blocks(blocks, text, rest, to)
                else
                    prefix_blocks.add_rest(blocks, text, rest, to)
                end
            end
        end
    end
    return blocks
end

local function hash_at(blocks, block)
    return blocks.halves[block * 2] .. "/" .. blocks.halves[block * 2 + 1]
end

local function hashes(blocks)
    local list = {}
    for block = 1, blocks.count do list[block] = hash_at(blocks, block) end
    return list
end

describe("a conversation's blocks", function()
    before_each(function() walking.seed("blocks") end)

    it("are its whole ones, and the rest is the tail", function()
        for length, count in pairs({ [0] = 0, [1] = 0, [63] = 0, [64] = 1, [65] = 1, [127] = 1, [128] = 2, [6400] = 100 }) do
            local blocks = blocks_of({ ("a"):rep(length) })
            assert.equal(count, blocks.count)
            assert.equal(length % 64 ~= 0, blocks.tail ~= 0, length)
        end
    end)

    it("are the same as far as two texts are alike, and others from there on", function()
        for _ = 1, 300 do
            local shared = random_text(math.random(0, 400))
            local one, two = shared .. "a" .. random_text(math.random(0, 300)), shared .. "b" .. random_text(math.random(0, 300))
            local first, second = blocks_of({ one }), blocks_of({ two })
            for block = 1, math.min(first.count, second.count) do
                assert.equal(block * BLOCK <= #shared, hash_at(first, block) == hash_at(second, block))
            end
            if first.count == second.count and first.count * BLOCK <= #shared then
                assert.are_not.equal(first.tail, second.tail)
            end
        end
    end)

    it("depend on each bit of the text", function()
        local text = random_text(192)
        local seen = { [hash_at(blocks_of({ text }), 3)] = true }
        for byte = 1, #text do
            for bit = 0, 7 do
                local changed = text:sub(1, byte - 1) .. string.char(require("bit").bxor(text:byte(byte), 2 ^ bit)) .. text:sub(byte + 1)
                local hash = hash_at(blocks_of({ changed }), 3)
                assert.is_nil(seen[hash])
                seen[hash] = true
            end
        end
    end)

    it("differ in both halves for texts that differ little", function()
        local lower, upper = {}, {}
        for number = 1, 5000 do
            local blocks = blocks_of({ ("%064d"):format(number) })
            lower[blocks.halves[2] % 65536] = true
            upper[blocks.halves[3]] = true
        end
        local lines, tags = 0, 0
        for _ in pairs(lower) do lines = lines + 1 end
        for _ in pairs(upper) do tags = tags + 1 end
        -- Of 65,536 lines 5,000 random numbers meet 4,815 on average, with a deviation of 13.
        assert.is_true(lines > 4735 and tags > 4995, lines .. " lines, " .. tags .. " tags")
    end)

    it("are the same in whatever pieces they come", function()
        for _ = 1, 50 do
            local text = random_text(math.random(1, 2000))
            local whole = blocks_of({ "tools", text })
            for _, size in ipairs({ 1, 2, 7 }) do
                local pieces = blocks_of({ "tools", text }, size)
                assert.same(hashes(whole), hashes(pieces))
                assert.equal(whole.tail, pieces.tail)
            end
        end
    end)

    it("are others for another pool, model or part before", function()
        local text = ("a"):rep(640)
        local seen = {}
        for _, blocks in ipairs({
            blocks_of({ text }), blocks_of({ text }, nil, "other"), blocks_of({ text }, nil, nil, "other"), blocks_of({ text }, nil, "m", "gpu"),
            blocks_of({ "x", text }), blocks_of({ "y", text }), blocks_of({ "x\0", text }), blocks_of({ "x", "", text }), blocks_of({ text, text }),
        }) do
            local hash = hash_at(blocks, blocks.count)
            seen[hash] = (seen[hash] or 0) + 1
        end
        local count = 0
        for _ in pairs(seen) do count = count + 1 end
        -- An empty part is none.
        assert.equal(8, count)
    end)

    it("are no more than of a mebibyte", function()
        local long = ("0123456789abcdef"):rep(70000)
        local blocks = blocks_of({ ("t"):rep(100), long })
        assert.equal(MOST, blocks.count)
        assert.is_true(prefix_blocks.is_full(blocks))
        assert.equal(0, blocks.tail)
        local more = blocks_of({ ("t"):rep(100), long .. "and more" }, 4096)
        assert.same(hash_at(blocks, MOST), hash_at(more, MOST))
        assert.equal(0, more.tail)
    end)
end)
