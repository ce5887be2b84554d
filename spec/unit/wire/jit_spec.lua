-- The loops that touch every byte have to run as compiled traces. A loop that the compiler has given up for good
-- ("blacklisted") runs in the interpreter, many times slower, until the worker ends. The walks run in processes of their own, so
-- that the other specs' traces don't count; several, as the compiler's choices differ from process to process.
--
-- A trace of an outer loop that is not begun because an inner loop is to have one of its own is no loss, and not counted.

local SCRIPT = [==[
local json = require("sluice.wire.json")
local answer = require("sluice.wire.answer")
local request = require("sluice.wire.request")
local shape = require("sluice.wire.shape")
local util = require("jit.util")
local reasons = require("jit.vmdef").traceerr

local everything = { text = true, key_text = true }
everything.items, everything.others = everything, everything
local sum = 0
local sink = {
    begin = function() end,
    character = function(_, code_point) sum = sum + code_point end,
    finish = function() end,
}
local walk = json.walker(shape.compile(everything), sink, nil)
local plain = json.walker(shape.compile({}), json.NO_SINK, nil)

local english = '{"model":"m","messages":[{"role":"user","content":"' .. ("The quick brown fox, it jumps. "):rep(400) .. '"}]}'
local chinese = '{"model":"m","messages":[{"role":"user","content":"'
    .. ("\230\149\143\230\141\183\231\154\132\231\139\144\239\188\140"):rep(800) .. '"}]}'
local mixed = '{"model":"m","messages":[{"role":"user","content":"' .. ("abc \230\149\143\230\141\183 \195\169\240\159\152\128 "):rep(400) .. '"}]}'
local escaped = '{"model":"m","messages":[{"role":"user","content":"' .. ("\\u654f\\n\\\"x\\ud83d\\ude00"):rep(600) .. '"}]}'
local members = {}
for index = 1, 400 do
    members[index] = ('{"name":"n%d","n":%d.5,"on":true,"off":null,"list":[1,-2,3e4]}'):format(index, index)
end
local small = '{"model":"m","x":[' .. table.concat(members, ",") .. "]}"
local event = 'data: {"id":"c1","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'

local function round(name)
    if name == "events" then
        local reader = answer.new_answer("chat", true)
        for _ = 1, 300 do
            answer.read_stream(reader, event)
        end
        return
    end
    local document = ({ english = english, chinese = chinese, mixed = mixed, escaped = escaped, small = small })[name]
    assert(json.check(walk, document) == nil)
    assert(json.check(plain, document) == nil)
    local reader = request.take("chat", false)
    for at = 1, #document, 4096 do
        assert(request.read(reader, document:sub(at, at + 4095)))
    end
    assert(request.conclude(reader, function(source, from, to) return source:sub(from + 1, to) end, document))
    request.release(reader)
end

require("sluice.wire.warm_up").warm_up()
local NAMES = { "english", "chinese", "mixed", "escaped", "small", "events" }
if #arg > 0 then
    NAMES = arg
end
for _ = 1, 60 do
    for _, name in ipairs(NAMES) do
        round(name)
    end
end

local harmless = {
    ["inner loop in root trace"] = true, ["leaving loop in root trace"] = true, ["loop unroll limit reached"] = true,
    ["retry recording"] = true,
}
local aborts = 0
local counting
local function note(what, _, func, pc, code, info)
    if what == "abort" and not harmless[reasons[code]] then
        local place = util.funcinfo(func, pc)
        if place.loc and place.loc:find("wire/", 1, true) or tostring(place.source):find("wire/", 1, true) then
            aborts = aborts + 1
            io.write(counting, ": given up at ", tostring(place.loc), ", ", reasons[code]:format(info), "\n")
        end
    end
end
jit.attach(note, "trace")
for _, name in ipairs(NAMES) do
    counting = name
    for _ = 1, 40 do
        round(name)
    end
end
jit.attach(note)
io.write("given up ", aborts, "\n")
]==]

describe("the walk, warmed up as a worker is, has no loop that is interpreted", function()
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

    for _, name in ipairs({ "english", "chinese", "mixed", "escaped", "small", "events" }) do
        it("over " .. name, function()
            for _ = 1, 4 do
                assert.equal("given up 0\n", run(name))
            end
        end)
    end

    it("over all of them in turn", function() assert.equal("given up 0\n", run("")) end)
end)
