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

    --- All lines from a place on, and where it ended.
    local function all(inode, offset, since)
        local lines, slices = {}, 0
        local place = { file = inode, offset = offset }
        while place.found ~= "log_end" do
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

    local function slice(file, offset, since)
        local lines = {}
        local found, reason = read_slice(path, file, offset, since or 0, function(line) lines[#lines + 1] = line end)
        return found, reason, lines
    end

    local function inode_of(name)
        local pipe = assert(io.popen("stat -c %i " .. folder .. "/" .. name))
        local inode = pipe:read("*n")
        pipe:close()
        return inode
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

    it("tells a file that is gone, or cut, from one that is at its end, and what is compressed", function()
        write("usage.jsonl.1", "b1\n")
        write("usage.jsonl", "c1\n")
        local old, now = inode_of("usage.jsonl.1"), inode_of("usage.jsonl")
        assert.same({ found = "file_end", file = now, offset = 0, compressed = 0 }, (slice(old, 3)))
        assert.same({ found = "log_end", file = now, offset = 3, compressed = 0 }, (slice(now, 3)))
        assert.same({ found = "gone", file = old, offset = 0, compressed = 0 }, (slice(now, 4)))
        shell("gzip -k " .. path .. ".1 && mv " .. path .. ".1.gz " .. path .. ".2.gz && gzip " .. path .. ".1")
        assert.same({ found = "gone", file = now, offset = 0, compressed = 2 }, (slice(old, 0)))
        -- Nothing was written since.
        assert.same({ found = "gone", file = now, offset = 3, compressed = 0 }, (slice(old, 0, os.time() + 3600)))
    end)

    it("takes nothing for read that can't be, or can't be looked at", function()
        write("usage.jsonl", "c1\n")
        local now = inode_of("usage.jsonl")
        -- A link to itself can't be followed, by root neither.
        shell("ln -s usage.jsonl.1 " .. path .. ".1")
        local found, _, lines = slice(now, 0)
        assert.same({ "lines", { "c1" } }, { found.found, lines })
        for _, place in ipairs({ { now, 3 }, { 1, 0 } }) do
            local none, reason = slice(place[1], place[2])
            assert.is_nil(none)
            assert.truthy(reason:find("usage.jsonl.1: can't be read: Too many levels of symbolic links", 1, true))
        end
        shell("rm " .. path .. ".1")
        assert.equal("log_end", (slice(now, 3)).found)
        shell("mv " .. folder .. " " .. folder .. ".away && touch " .. folder)
        local none, reason = slice(now, 0)
        assert.is_nil(none)
        assert.truthy(reason:find("can't be read: Not a directory", 1, true))
        shell("rm " .. folder .. " && mv " .. folder .. ".away " .. folder)
    end)

    it("takes nothing for read when it has no file descriptor left", function()
        write("usage.jsonl", "c1\n")
        local now, held = inode_of("usage.jsonl"), {}
        local ffi = require("ffi")
        ffi.cdef("typedef struct { uint64_t now, most; } spec_limit; int getrlimit(int what, spec_limit *limit);"
            .. "int setrlimit(int what, const spec_limit *limit); int dup(int descriptor); int close(int descriptor);")
        local limit = ffi.new("spec_limit")
        ffi.C.getrlimit(7, limit)
        local before = limit.now
        limit.now = 64
        ffi.C.setrlimit(7, limit)
        repeat held[#held + 1] = ffi.C.dup(1) until held[#held] < 0
        local found, reason = slice(now, 0)
        ffi.C.close(held[1])
        -- One is enough for the folder; the file is read after it.
        local again, no_reason, lines = slice(now, 0)
        for place = 2, #held - 1 do ffi.C.close(held[place]) end
        limit.now = before
        ffi.C.setrlimit(7, limit)
        assert.is_nil(found)
        assert.truthy(reason:find("Too many open files", 1, true))
        assert.is_nil(no_reason)
        assert.same({ "lines", { "c1" } }, { again.found, lines })
    end)

    it("reads a file that gets another name just then", function()
        write("usage.jsonl", "c1\nc2\n")
        local files = require("sluice.edge.rotated_files")
        local file = files.list_log(path).plain[1]
        shell("mv " .. path .. " " .. path .. ".1")
        write("usage.jsonl", "d1\n")
        local buffer = require("ffi").new("uint8_t[?]", 100)
        assert.equal(-1, (files.read_log(file, buffer, 100, 0)))
        assert.equal(6, (files.read_log_file(path, file, buffer, 100, 0)))
        shell("rm " .. path .. ".1")
        local bytes, reason = files.read_log_file(path, file, buffer, 100, 0)
        assert.is_nil(bytes)
        assert.truthy(reason:find("usage.jsonl.1: is gone", 1, true))
    end)

    it("finds nothing where there is no log", function()
        local lines, place = all(0, 0)
        assert.same({}, lines)
        assert.same({ 0, 0 }, { place.file, place.offset })
    end)
end)
