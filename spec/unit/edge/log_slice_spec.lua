local read_slice = require("sluice.edge.log_slice").read_slice

describe("a log in slices", function()
    local folder, path

    local function write(name, text, mode)
        local file = assert(io.open(folder .. "/" .. name, mode or "wb"))
        file:write(text)
        file:close()
    end

    local function shell(command) assert(os.execute(command)) end

    before_each(function()
        folder = os.tmpname()
        os.remove(folder)
        shell("mkdir " .. folder)
        path = folder .. "/usage.jsonl"
    end)

    after_each(function() shell("rm -rf " .. folder) end)

    --- All lines from a place on, with how many slices it took; and where it ended.
    local function all(inode, offset, since)
        local lines, slices = {}, 0
        local place = { file = inode, offset = offset, ended = false }
        while not place.ended do
            local reason
            place, reason = read_slice(path, place.file, place.offset, since or 0, function(line, file, line_end)
                lines[#lines + 1] = line
                assert.is_true(file > 0 and line_end > 0)
            end)
            assert.is_nil(reason)
            slices = slices + 1
            assert.is_true(slices < 100)
        end
        return lines, place
    end

    it("goes on where the last slice ended, through rotated files", function()
        write("usage.jsonl.2", "a1\na2\n")
        shell("touch -d '2020-01-01' " .. path .. ".2")
        write("usage.jsonl.1", "b1\nb2\n")
        shell("touch -d '2021-01-01' " .. path .. ".1")
        write("usage.jsonl", "c1\nc2\nhalf a li")
        local lines, place = all(0, 0)
        assert.same({ "a1", "a2", "b1", "b2", "c1", "c2" }, lines)
        assert.equal(6, place.offset)
        write("usage.jsonl", "ne\nc4\n", "ab")
        lines, place = all(place.file, place.offset)
        assert.same({ "half a line", "c4" }, lines)
        assert.same({}, (all(place.file, place.offset)))
    end)

    it("begins behind what was done when the file is gone", function()
        write("usage.jsonl.1", "b1\n")
        shell("touch -d '2021-01-01T00:00:00Z' " .. path .. ".1")
        write("usage.jsonl", "c1\n")
        assert.same({ "c1" }, (all(1, 500, 1609459201)))
        assert.same({ "b1", "c1" }, (all(1, 500, 1609459199)))
    end)

    it("reads what is larger than a slice, and passes over a line that is", function()
        local expected = {}
        for number = 1, 30000 do expected[number] = ("line %d of many"):format(number) end
        write("usage.jsonl", table.concat(expected, "\n") .. "\n")
        assert.same(expected, (all(0, 0)))
        write("usage.jsonl", "first\n" .. ("x"):rep(600000) .. "\nlast\n")
        local lines = all(0, 0)
        assert.equal("first", lines[1])
        assert.equal("last", lines[#lines])
    end)

    it("finds nothing where there is no log", function()
        local lines, place = all(0, 0)
        assert.same({}, lines)
        assert.same({ 0, 0 }, { place.file, place.offset })
    end)
end)
