local folder_module = require("sluice.edge.folder")
local mapped_file = require("sluice.edge.mapped_file")
local ffi = require("ffi")

local map_file, write_private = mapped_file.map_file, mapped_file.write_private

local function output_of(line)
    local output = assert(io.popen(line))
    local text = output:read("*a")
    output:close()
    return (text:gsub("\n$", ""))
end

--- Runs a Lua program in a process of its own, which finds the same modules. Returns what it wrote.
local function run(shell_before, program)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(("package.path = %q\nlocal m, f = require('sluice.edge.mapped_file'), require('sluice.edge.folder')\n"):format(package.path),
        program)
    file:close()
    os.execute("chmod 644 " .. path)
    local text = output_of(("bash -c '%s luajit %s' 2>&1"):format(shell_before, path))
    os.remove(path)
    return text
end

local IS_ROOT = output_of("id -u") == "0"

describe("A mapped file", function()
    local folder

    before_each(function() folder = output_of("mktemp -d") end)
    after_each(function() os.execute("rm -rf '" .. folder .. "'") end)

    local function text_of(mapped) return ffi.string(mapped.pointer, mapped.bytes) end

    local function names() return table.concat(folder_module.list_folder(folder .. "/kept"), " ") end

    it("has the bytes that were written, in a folder and file that nobody else may read", function()
        local data = ffi.new("uint8_t[5000]")
        for index = 0, 4999 do data[index] = index % 251 end
        assert.is_nil(write_private(folder .. "/kept", "a", data, 5000))
        local mapped = assert(map_file(folder .. "/kept/a"))
        assert.equals(5000, mapped.bytes)
        assert.equals(ffi.string(data, 5000), text_of(mapped))
        assert.equals("700 600", output_of(("stat -c %%a '%s/kept' '%s/kept/a' | paste -sd' '"):format(folder, folder)))
        assert.equals("a", names())
        assert.is_nil(write_private(folder .. "/kept", "text", "hello", 5))
        assert.equals("hello", text_of(map_file(folder .. "/kept/text")))
    end)

    it("stays as it was when it is replaced or removed", function()
        write_private(folder, "a", ("one"):rep(5000), 15000)
        local first = map_file(folder .. "/a")
        write_private(folder, "a", "two", 3)
        local second = map_file(folder .. "/a")
        folder_module.remove_file(folder .. "/a")
        collectgarbage()
        assert.equals(("one"):rep(5000), text_of(first))
        assert.equals("two", text_of(second))
        assert.is_nil((map_file(folder .. "/a")))
    end)

    it("is let go when nothing refers to it", function()
        write_private(folder, "a", ("x"):rep(100000), 100000)
        local pid = io.open("/proc/self/stat"):read("*l"):match("^%d+")
        local function mappings() return tonumber(output_of("grep -c '" .. folder .. "/a' /proc/" .. pid .. "/maps")) end
        local mapped = { map_file(folder .. "/a"), map_file(folder .. "/a") }
        assert.equals(2, mappings())
        mapped[1] = nil
        collectgarbage()
        collectgarbage()
        assert.equals(1, mappings())
        assert.equals(100000, mapped[2].bytes)
    end)

    it("can't be written to", function()
        write_private(folder, "a", "hello", 5)
        local pid = io.open("/proc/self/stat"):read("*l"):match("^%d+")
        local mapped = map_file(folder .. "/a")
        assert.is_truthy(output_of("grep '" .. folder .. "/a' /proc/" .. pid .. "/maps"):find(" r%-%-s "))
        assert.equals("hello", text_of(mapped))
    end)

    it("is refused unless it is a regular file of our own, with the reason", function()
        write_private(folder, "a", "hello", 5)
        write_private(folder, "empty", "", 0)
        os.execute(("cd '%s' && ln -s a link && mkfifo pipe && mkdir below"):format(folder))
        for name, expected in pairs({
            link = "it is a symbolic link", pipe = "it is not a regular file", below = "it is not a regular file", empty = "it is empty",
        }) do
            local path = folder .. "/" .. name
            assert.same({ n = 2, nil, path .. ": " .. expected }, { n = 2, map_file(path) })
        end
        for _, none in ipairs({ "/none", "/none/a", "/a/b" }) do
            assert.same({ n = 2, nil, nil }, { n = 2, map_file(folder .. none) })
        end
    end)

    if IS_ROOT then
        it("is refused if it is another user's, unless root has given that user the folder", function()
            write_private(folder, "a", "hello", 5)
            os.execute(("chown 12345:12345 '%s/a'"):format(folder))
            assert.same({ n = 2, nil, folder .. "/a: it belongs to another user" }, { n = 2, map_file(folder .. "/a") })
            os.execute(("chown 12345:12345 '%s'"):format(folder))
            assert.equals("hello", text_of(map_file(folder .. "/a")))
            os.execute(("chown 12346 '%s/a'"):format(folder))
            assert.is_nil((map_file(folder .. "/a")))
        end)

        it("that root writes belongs to whom the folder belongs to, who can map it and write others", function()
            os.execute(("chmod 755 '%s' && mkdir '%s/kept' && chown 12345:12346 '%s/kept'"):format(folder, folder, folder))
            assert.is_nil(write_private(folder .. "/kept", "a", "hello", 5))
            assert.equals("12345 12346 600", output_of(("stat -c '%%u %%g %%a' '%s/kept/a'"):format(folder)))
            local told = run("setpriv --reuid=12345 --regid=12346 --clear-groups --", ([[
                local mapped, reason = m.map_file("%s/kept/a")
                print(mapped and mapped.bytes, reason, m.write_private("%s/kept", "a", "again!", 6))
            ]]):format(folder, folder))
            assert.equals("5\tnil\tnil", told)
            assert.equals("again!", text_of(map_file(folder .. "/kept/a")))
            told = run("setpriv --reuid=12347 --regid=12346 --clear-groups --", ([[
                print((select(2, m.map_file("%s/kept/a"))), m.write_private("%s/kept", "b", "x", 1))
            ]]):format(folder, folder))
            assert.equals(("%s/kept/a: Permission denied\t%s/kept/b: Permission denied"):format(folder, folder), told)
        end)
    end

    it("that can't be written whole is not there at all, and the one before it stays", function()
        write_private(folder .. "/kept", "a", "before", 6)
        local told = run("trap \"\" XFSZ; ulimit -S -f 1;", ([[
            print(m.write_private("%s/kept", "a", ("x"):rep(3000), 3000))
            print(m.write_private("%s/kept", "b", ("x"):rep(3000), 3000))
        ]]):format(folder, folder))
        assert.equals(("%s/kept/a: File too large, with 1024 of 3000 bytes written\n%s/kept/b: File too large, with 1024 of 3000 bytes written")
            :format(folder, folder), told)
        assert.equals("a", names())
        assert.equals("before", text_of(map_file(folder .. "/kept/a")))
    end)

    it("can't be written where there can be no folder or file, with the reason", function()
        assert.equals(folder .. "/none/below: No such file or directory", write_private(folder .. "/none/below", "a", "x", 1))
        write_private(folder, "file", "x", 1)
        assert.equals(folder .. "/file/a: Not a directory", write_private(folder .. "/file", "a", "x", 1))
        os.execute("mkdir '" .. folder .. "/b'")
        assert.equals(folder .. "/b: Is a directory", write_private(folder, "b", "x", 1))
        assert.equals("b file", table.concat(folder_module.list_folder(folder), " "))
    end)

    it("is not written through a link that someone else has put there", function()
        local pid = io.open("/proc/self/stat"):read("*l"):match("^%d+")
        write_private(folder, "victim", "safe", 4)
        os.execute(("cd '%s' && ln -s victim a && ln -s victim a.%s.new"):format(folder, pid))
        assert.is_nil(write_private(folder, "a", "new", 3))
        assert.equals("new", text_of(map_file(folder .. "/a")))
        assert.equals("safe", text_of(map_file(folder .. "/victim")))
    end)
end)

describe("A folder", function()
    local folder

    before_each(function() folder = output_of("mktemp -d") end)
    after_each(function() os.execute("rm -rf '" .. folder .. "'") end)

    it("lists its names, hidden ones too", function()
        assert.same({}, folder_module.list_folder(folder))
        assert.same({}, folder_module.list_folder(folder .. "/none"))
        os.execute(("cd '%s' && touch b a .c 敏感.txt && mkdir d"):format(folder))
        assert.same({ ".c", "a", "b", "d", "敏感.txt" }, folder_module.list_folder(folder))
    end)

    it("has locks that one process at a time can have, and that end with it", function()
        local lock = folder_module.lock_file(folder, "l")
        assert.is_true(lock >= 0)
        local try = ("local l = f.lock_file('%s', 'l') print(l and l >= 0)"):format(folder)
        assert.equals("nil", run("", try))
        assert.is_nil(folder_module.lock_file(folder, "l"))
        folder_module.unlock_file(folder, "l", lock)
        assert.same({}, folder_module.list_folder(folder))
        assert.equals("true", run("", try))
        -- That process has ended without giving it back.
        lock = folder_module.lock_file(folder, "l")
        assert.is_true(lock >= 0)
        folder_module.unlock_file(folder, "l", lock)
        assert.equals(-1, folder_module.lock_file(folder .. "/none/below", "l"))
        folder_module.unlock_file(folder .. "/none/below", "l", -1)
    end)

    it("knows which processes are running", function()
        assert.is_true(folder_module.is_running(1))
        assert.is_true(folder_module.is_running(tonumber(io.open("/proc/self/stat"):read("*l"):match("^%d+"))))
        assert.is_false(folder_module.is_running(4194305))
    end)
end)
