-- Text has to pass the patterns as compiled traces: a place that the compiler has given up runs in the interpreter, many times
-- slower, until the worker ends. As in jit_spec of the room wire, each text is read in processes of its own, and the recording of an
-- outer loop that stops because an inner loop is to have a trace of its own is not counted.

local SCRIPT = [==[
require("jit.opt").start("maxrecord=16000", "maxirconst=4000", "maxsnap=2000", "maxtrace=8000", "maxmcode=40960", "loopunroll=60", "maxside=1000")
local ffi = require("ffi")
local pattern = require("sluice.guard.pattern")
local pattern_queue = require("sluice.guard.pattern_queue")
local reference = require("spec.unit.guard.pattern_reference")
local util = require("jit.util")
local reasons = require("jit.vmdef").traceerr

local classes = ffi.new("uint8_t[256]")
for code = 0, 127 do
    classes[code] = reference.class(string.char(code))
end

local TEXTS = {
    english = ("The quick brown fox, it jumps over the lazy dog. Don't wait; it won't come back! "):rep(60),
    chinese = ("\230\149\143\230\141\183\231\154\132\231\139\144"):rep(300),
    figures = ("In 2024, 35 of 1,200 (2.9 %) came on 2024-03-05 at 10:15; 1 2 3 4 went to 127.0.0.1:8080. "):rep(50),
    code = ("for (let i = 0; i < n_items; i += 1) { sum += a[i] * 0x1f; } @Override // 1234567890 "):rep(50),
    groups = ("123-456-7890-12 34 56 78 90 1 2 3 4 5 6 7 8 9 0 1-2-3 4111 1111 1111 1112 110105 19491231 0029 1234567890123456789012 "):rep(40),
    stamps = ("2024-01-01T00:00:00.000Z,deadbeef-0123-4567-89ab-00112233445566,a.b@c.d,x@y,1e9;"):rep(50),
    mixed = ("Call 138 or 12-34 now, mail a@b or c.d@e. 1234 5678 9012 3456 78 9, x86_64 v1.2.3 "):rep(50),
}

local state = pattern.new_pattern_state()
local queue = pattern_queue.new_queue()

local function read(machine)
    local at = 0
    while at < queue.length do
        at = machine(state, 31, queue, at)
        assert(state.hits == 0)
    end
end

local function fill(bytes, from, to)
    for at = from, to do
        pattern_queue.enqueue(queue, classes[bytes[at]], at, at + 1, at)
    end
end

local function round(name)
    local text = TEXTS[name]
    local bytes = ffi.cast("const uint8_t *", text)
    pattern.pattern_reset(state, 31)
    for from = 0, #text - 1, 60 do
        fill(bytes, from, math.min(from + 59, #text - 1))
        read(pattern.numbers_in)
        read(pattern.addresses_in)
        pattern.queue_is_read(state, 31, queue)
    end
    assert(pattern.pattern_end(state, 31) == 0)
end

local NAMES = #arg > 0 and arg or { "english", "chinese", "figures", "code", "groups", "stamps", "mixed" }
local function rounds(count)
    for _ = 1, count do
        for _, name in ipairs(NAMES) do
            round(name)
        end
    end
end

rounds(60)
local harmless = {
    ["inner loop in root trace"] = true, ["leaving loop in root trace"] = true, ["loop unroll limit reached"] = true,
    ["retry recording"] = true,
}
local aborts = 0
jit.attach(function(what, _, func, pc, code, info)
    if what == "abort" and not harmless[reasons[code]] then
        aborts = aborts + 1
        io.write("given up at ", tostring(util.funcinfo(func, pc).loc), ", ", reasons[code]:format(info), "\n")
    end
end, "trace")
rounds(40)
io.write("given up ", aborts, "\n")
]==]

describe("the patterns have no place that is interpreted", function()
    local function run(name)
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write(SCRIPT)
        file:close()
        local pipe = assert(io.popen(("LUA_PATH='%s' luajit %s %s 2>&1"):format(package.path, path, name)))
        local said = pipe:read("*a")
        pipe:close()
        os.remove(path)
        return said
    end

    for _, name in ipairs({ "english", "chinese", "figures", "code", "groups", "stamps", "mixed" }) do
        it("over " .. name, function()
            for _ = 1, 2 do
                assert.equal("given up 0\n", run(name))
            end
        end)
    end

    it("over all of them in turn", function() assert.equal("given up 0\n", run("")) end)
end)
