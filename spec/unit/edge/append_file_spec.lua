local append_file = require("sluice.edge.append_file")
local descriptors = require("spec.unit.descriptors")

local append, check, close = append_file.append, append_file.check_append_file, append_file.close_append_file
local open, take_lost = append_file.open_append_file, append_file.take_lost

local function read(path)
    local file = io.open(path, "rb")
    if not file then return nil end
    local text = file:read("*a")
    file:close()
    return text
end

-- Runs a Lua program in a process of its own, which finds the same modules. Returns what it wrote.
local function run(shell_before, program, ...)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(("package.path = %q\nlocal a = require('sluice.edge.append_file')\n"):format(package.path), program)
    file:close()
    local pipe = assert(io.popen(("bash -c '%s exec luajit %s %s' 2>&1"):format(shell_before, path, table.concat({ ... }, " "))))
    local text = pipe:read("*a")
    pipe:close()
    os.remove(path)
    return text
end

describe("append file", function()
    local folder, path

    before_each(function()
        local pipe = assert(io.popen("mktemp -d"))
        folder = pipe:read("*l")
        pipe:close()
        path = folder .. "/lines.jsonl"
    end)

    after_each(function() os.execute("rm -rf " .. folder) end)

    it("makes the file, readable by owner and group only, and adds to what is there", function()
        local file, reason = open(path)
        assert.is_nil(reason)
        assert.is_true(append(file, { "one\n" }))
        close(file)
        file = open(path)
        assert.is_true(append(file, { "two\n" }))
        close(file)
        assert.equal("one\ntwo\n", read(path))
        local pipe = io.popen("stat -c %a " .. path)
        assert.equal("640", pipe:read("*l"))
        pipe:close()
        assert.equal(0, take_lost(file))
    end)

    it("counts a line as lost when the disk is full", function()
        local file, reason = open("/dev/full")
        assert.is_nil(reason)
        assert.is_false(append(file, { "one\n" }))
        assert.is_false(append(file, { "two\n" }))
        assert.equal(2, take_lost(file))
        assert.equal(0, take_lost(file))
        close(file)
    end)

    it("says why a file can't be opened, counts lines as lost, and recovers", function()
        local file, reason = open(folder .. "/none/lines.jsonl")
        assert.equal(folder .. "/none/lines.jsonl: No such file or directory", reason)
        assert.is_false(append(file, { "one\n" }))
        assert.equal(reason, check(file, 10))
        os.execute("mkdir " .. folder .. "/none")
        assert.is_nil(check(file, 11))
        assert.is_true(append(file, { "two\n" }))
        assert.equal("two\n", read(folder .. "/none/lines.jsonl"))
        assert.equal(1, take_lost(file))
        close(file)
    end)

    it("keeps the next line whole after one that the disk took only in part", function()
        -- A limit of 1 KiB on the file's size makes the kernel write a part, then nothing, as a full disk does.
        local text = run('trap "" XFSZ; ulimit -S -f 1;', [[
            local ffi = require("ffi")
            ffi.cdef([=[
                struct limit { unsigned long soft, hard; };
                int setrlimit(int what, const struct limit *limit);
                int getrlimit(int what, struct limit *limit);
            ]=])
            local file = a.open_append_file(arg[1])
            local long = ("x"):rep(599) .. "\n"
            print(a.append(file, { long }), a.append(file, { long }), a.append(file, { "lost\n" }), a.take_lost(file))
            local limit = ffi.new("struct limit")
            ffi.C.getrlimit(1, limit)
            limit.soft = limit.hard
            assert(ffi.C.setrlimit(1, limit) == 0)
            print(a.append(file, { "next\n" }), a.append(file, { "last\n" }), a.take_lost(file))
        ]], path)
        assert.equal("true\tfalse\tfalse\t2\ntrue\ttrue\t0\n", text)
        assert.equal(("x"):rep(599) .. "\n" .. ("x"):rep(424) .. "\nnext\nlast\n", read(path))
    end)

    it("opens a new file when the old one was renamed", function()
        local file = open(path)
        append(file, { "one\n" })
        assert.is_nil(check(file, 10))
        os.rename(path, path .. ".1")
        append(file, { "two\n" })
        assert.is_nil(check(file, 11))
        append(file, { "three\n" })
        assert.equal("one\ntwo\n", read(path .. ".1"))
        assert.equal("three\n", read(path))
        close(file)
    end)

    it("opens a new file when the old one was removed, or another was put in its place", function()
        local file = open(path)
        os.remove(path)
        check(file, 10)
        append(file, { "one\n" })
        assert.equal("one\n", read(path))
        local other = assert(io.open(path .. ".new", "w"))
        other:write("other\n")
        other:close()
        os.rename(path .. ".new", path)
        check(file, 11)
        append(file, { "two\n" })
        assert.equal("other\ntwo\n", read(path))
        close(file)
    end)

    it("goes on at the start when the file was emptied", function()
        local file = open(path)
        append(file, { "one\n" })
        assert(io.open(path, "w")):close()
        append(file, { "two\n" })
        assert.equal("two\n", read(path))
        close(file)
    end)

    it("looks at the path once a second at most, also when the clock was set back", function()
        local file = open(path)
        check(file, 100)
        os.remove(path)
        check(file, 100.5)
        assert.is_nil(read(path))
        check(file, 101)
        assert.equal("", read(path))
        os.remove(path)
        check(file, 50)
        assert.equal("", read(path))
        close(file)
    end)

    it("keeps the old file when no new one can be made", function()
        os.execute("mkdir " .. folder .. "/logs")
        local file = open(folder .. "/logs/lines.jsonl")
        os.execute(("mv %s/logs %s/old"):format(folder, folder))
        assert.truthy(check(file, 10):find("No such file or directory", 1, true))
        assert.is_true(append(file, { "one\n" }))
        assert.equal("one\n", read(folder .. "/old/lines.jsonl"))
        close(file)
    end)

    it("leaves no descriptor open behind it", function()
        local before = descriptors()
        local file = open(path)
        for second = 1, 50 do
            os.remove(path)
            check(file, second)
        end
        close(file)
        close(file)
        assert.equal(before, descriptors())
    end)

    it("doesn't hand its descriptor to programs that are started", function()
        local file = open(path)
        assert.is_true(os.execute(("ls -l /proc/self/fd | grep -q %s"):format(path)) ~= 0)
        close(file)
    end)

    it("mixes no lines of several processes", function()
        run("", [[
            local children = {}
            for _, letter in ipairs({ "a", "b", "c", "d" }) do
                children[#children + 1] = io.popen(("luajit -e 'package.path = [=[%s]=] local a = require(\"sluice.edge.append_file\")"
                    .. " local file = a.open_append_file(\"%s\") local line = (\"%s\"):rep(700) .. \"\\n\""
                    .. " for _ = 1, 1000 do assert(a.append(file, { line })) end'"):format(package.path, arg[1], letter))
            end
            for _, child in ipairs(children) do child:read("*a") child:close() end
        ]], path)
        local counts = {}
        for line in read(path):gmatch("([^\n]*)\n") do
            assert(line == line:sub(1, 1):rep(700), line)
            counts[line:sub(1, 1)] = (counts[line:sub(1, 1)] or 0) + 1
        end
        assert.same({ a = 1000, b = 1000, c = 1000, d = 1000 }, counts)
    end)

    it("has every line when the process is killed right after", function()
        run("", [[
            local file = a.open_append_file(arg[1])
            for index = 1, 500 do a.append(file, { index .. "\n" }) end
            local ffi = require("ffi")
            ffi.cdef("int getpid(void); int kill(int process, int signal);")
            ffi.C.kill(ffi.C.getpid(), 9)
        ]], path)
        local lines = {}
        for index = 1, 500 do lines[index] = index .. "\n" end
        assert.equal(table.concat(lines), read(path))
    end)
end)
