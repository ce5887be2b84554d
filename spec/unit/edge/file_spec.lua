local file = require("sluice.edge.file")

describe("Reading a file", function()
    local folder

    setup(function()
        local output = assert(io.popen("mktemp -d"))
        folder = output:read("*l")
        output:close()
    end)

    teardown(function() os.execute("rm -rf '" .. folder .. "'") end)

    local function write(name, text)
        local handle = assert(io.open(folder .. "/" .. name, "wb"))
        handle:write(text)
        handle:close()
        return folder .. "/" .. name
    end

    it("gives every byte of it", function()
        local bytes = {}
        for code = 0, 255 do
            bytes[#bytes + 1] = string.char(code)
        end
        local text = table.concat(bytes):rep(1000)
        assert.equals(text, (file.read_file(write("bytes", text))))
        assert.equals("", (file.read_file(write("empty", ""))))
    end)

    it("tells why it can't, without the path", function()
        os.execute("mkfifo '" .. folder .. "/pipe'")
        os.execute("truncate -s 67108865 '" .. folder .. "/large'")
        for path, reason in pairs({
            [folder .. "/missing"] = "No such file or directory",
            [folder .. "/bytes/below"] = "Not a directory",
            [folder] = "it is a folder",
            ["/dev/null"] = "it is not a regular file",
            [folder .. "/pipe"] = "it is not a regular file",
            [folder .. "/large"] = "it is larger than 64 MiB",
        }) do
            local text, told = file.read_file(path)
            assert.is_nil(text)
            assert.equals(reason, told)
        end
    end)

    it("stamps a file anew when it changes, and only then", function()
        local path = write("stamped", "one")
        local first = file.stamp(path)
        assert.equals(first, file.stamp(path))
        assert.is_truthy(first:find(":3:", 1, true))

        write("stamped", "longer")
        local longer = file.stamp(path)
        assert.not_equals(first, longer)

        write("other", "longer")
        os.execute("touch -r '" .. path .. "' '" .. folder .. "/other' && mv '" .. folder .. "/other' '" .. path .. "'")
        assert.not_equals(longer, file.stamp(path))

        os.remove(path)
        assert.is_nil(file.stamp(path))
    end)

    it("follows a link to what it names now", function()
        write("target1", "a")
        write("target2", "a")
        os.execute("ln -s target1 '" .. folder .. "/link'")
        local first = file.stamp(folder .. "/link")
        os.execute("ln -sfn target2 '" .. folder .. "/link'")
        assert.not_equals(first, file.stamp(folder .. "/link"))
    end)
end)
