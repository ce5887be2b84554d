-- No text may cost much more a byte than prose does. What it costs is counted in instructions of the interpreter, which are the same on every
-- machine: spec/cost/fuzz.lua says more. Here are the worst texts that its searches have found, and shapes that once were slow.

local function run(arguments)
    local pipe = assert(io.popen("luajit spec/cost/fuzz.lua " .. arguments .. " 2>&1; echo status $?"))
    local said = pipe:read("*a")
    pipe:close()
    return said
end

describe("what a text costs", function()
    it("stays within its limits, and in proportion to the length, for the worst texts that were found", function()
        local said = run("--instructions --seed 1 --seconds 0")
        assert.truthy(said:find("times prose", 1, true), said)
        assert.truthy(said:find("status 0\n", 1, true), said)
    end)

    it("is judged: a guard that took far longer would be noticed", function()
        local said = run("--instructions --seed 1 --seconds 0 --most 1")
        assert.truthy(said:find("status 1\n", 1, true), said)
    end)
end)
