local host = require("sluice.edge.host")

local function output_of(command)
    local pipe = assert(io.popen(command))
    local text = pipe:read("*l")
    pipe:close()
    return text
end

describe("host", function()
    it("has the machine's name", function() assert.equal(output_of("uname -n"), host.host_name()) end)

    it("says where a file really is", function()
        local folder = output_of("mktemp -d")
        os.execute(("mkdir %s/a && ln -s a %s/b"):format(folder, folder))
        assert.equal(output_of("realpath " .. folder) .. "/a", host.real_path(folder .. "/b/../b/"))
        assert.is_nil(host.real_path(folder .. "/none"))
        os.execute("rm -r " .. folder)
    end)

    it("waits at least as long as asked", function()
        local clock = require("sluice.edge.clock")
        local before = clock.monotonic()
        host.sleep(0.02)
        assert.is_true(clock.monotonic() - before >= 0.02)
    end)
end)
