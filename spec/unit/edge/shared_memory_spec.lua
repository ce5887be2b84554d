local ffi = require("ffi")
local shared_memory = require("sluice.edge.shared_memory")

pcall(ffi.cdef, "int fork(void); int waitpid(int process, int *status, int options); void _exit(int status);")

describe("shared memory", function()
    it("begins with zeros, and is that of all processes that were forked since", function()
        local words = assert(shared_memory.share_memory(8192))
        for word = 0, 2047 do assert.equal(0, words[word]) end
        for number = 1, 3 do
            local process = ffi.C.fork()
            if process == 0 then
                words[number] = words[0] + number
                words[2047] = number
                ffi.C._exit(0)
            end
            ffi.C.waitpid(process, nil, 0)
            assert.equal(number == 1 and 1 or words[0] + number, words[number])
            assert.equal(number, words[2047])
            words[0] = words[0] + 10
        end
        assert.equal(23, words[3])
    end)

    it("is none where the system has none", function()
        assert.is_nil(shared_memory.share_memory(2 ^ 60))
    end)

    it("is given back with its last pointer", function()
        local function mappings()
            collectgarbage()
            collectgarbage()
            local count = 0
            for line in io.lines("/proc/self/maps") do
                if line:find(" /dev/zero ", 1, true) then count = count + 1 end
            end
            return count
        end
        local before = mappings()
        local kept = assert(shared_memory.share_memory(8192))
        for _ = 1, 20 do assert(shared_memory.share_memory(8192)) end
        assert.equal(before + 1, mappings())
        assert.equal(0, kept[0])
    end)
end)
