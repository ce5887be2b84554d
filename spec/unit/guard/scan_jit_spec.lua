-- The loops that scan have to run as compiled traces, on text in which nothing is found: see spec/unit/wire/jit_spec.lua, which says
-- what counts. The scans run in processes of their own, set up as nginx's master process sets itself up.

local SCRIPT = [==[
require("jit.opt").start("maxrecord=16000", "maxirconst=4000", "maxsnap=2000", "maxtrace=8000", "maxmcode=40960", "loopunroll=60", "maxside=1000")
local guarding = require("guarding")
local answer = require("sluice.wire.answer")
local prompt = require("sluice.guard.prompt")
local request = require("sluice.wire.request")
local stream = require("sluice.guard.stream")
local text = require("sluice.guard.text")
local util = require("jit.util")
local reasons = require("jit.vmdef").traceerr
require("sluice.wire.warm_up").warm_up()
require("sluice.guard.warm_up").warm_up_guards()

-- A few thousand words, with all the beginnings that make an automaton busy, none of them in the texts below.
math.randomseed(7)
local words = { "zebra", "quartz", "foxtrot", "browser", "jumping" }
local encode = require("sluice.wire.json").encode_utf8
for index = 1, 4000 do
    local word = {}
    for place = 1, math.random(2, 5) do
        word[place] = encode(0x4e00 + math.random(0, 1500))
    end
    words[#words + 1] = table.concat(word)
end
local LISTS = { { words = table.concat(words, "\n"), action = "mask" } }
local guards = {
    words = guarding.guard(LISTS),
    marks = guarding.guard({ LISTS[1], { words = "cặc\nđịt\nёлка\nсука\nกู\nガス\n한글\nकुत्ता", action = "mask" } }),
    numbers = guarding.guard(LISTS, { cn_mobile = "mask", cn_id_card = "mask", payment_card = "mask", us_ssn = "mask" }),
    all = guarding.guard(LISTS, { cn_mobile = "mask", cn_id_card = "mask", payment_card = "mask", us_ssn = "mask", email = "mask" }),
}

local chinese = {}
for index = 1, 1500 do
    -- Beyond the characters of the words there are those that no word has.
    chinese[index] = encode(0x4e00 + (index % 3 == 0 and math.random(0, 1500) or 3000 + math.random(0, 1500)))
    if index % 9 == 0 then chinese[index] = "\239\188\140" end
end
local TEXTS = {
    english = ("The quick brown fox, it jumps over lazy dogs. "):rep(200),
    chinese = table.concat(chinese),
    mixed = ("abc \230\149\143\230\141\183, \195\169t\195\169 \240\159\152\128 (fox) \208\188\208\184\209\128 "):rep(200),
    escaped = ("\\u654f\\n\\\"x\\ud83d\\ude00 and "):rep(300),
    vietnamese = ("Các b\225\186\161n c\195\179 kh\225\187\143e kh\195\180ng? \204\129 Tôi ca\204\163c i\204\129t. "):rep(150),
    thai = ("ภาษาไทยง่ายมาก กาแฟ ดื่มน้ำ कुछ लोग "):rep(150),
    russian = ("Ещё раз: суп и ёлочка, елей, су́к. "):rep(150),
    korean = ("ㅎㅏㄱㅛ 한국어 ㅋㅋ 한국어 ガラスかき カ\227\130\153 "):rep(150),
    digits = ("123,456;7.8,2024-01-01T00:00:00Z deadbeef-0123-4567-89ab 12 34 1 2 3-4 5678 9012 3456 1234567890123456789012345\\n"):rep(100),
    switching = ("1\195\1692\239\188\1453\\u0034-\226\128\1395a@\230\149\1436.\\n"):rep(200),
    figures = ("In 2024 there were 12 of them, 3.5 of which at 14:30. "):rep(150),
}

local function range(source, from, to) return source:sub(from + 1, to) end

local function round(name, guard)
    if name == "events" then
        local reader = answer.take_answer("chat", true)
        local guarded = stream.guard_stream(reader, guard)
        for index = 1, 200 do
            local piece = index % 3 == 0 and chinese[index] or " fox"
            stream.read_guarded(guarded,
                'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"' .. piece .. '"},"finish_reason":null}]}\n\n', index)
        end
        stream.end_guarded(guarded, 201)
        text.unguard_text(reader.text)
        answer.return_answer(reader)
        return
    end
    local document = '{"model":"m","messages":[{"role":"user","content":"' .. TEXTS[name] .. '"}]}'
    local reader = request.take("chat", true)
    prompt.watch_prompt(reader.text, guard)
    assert(request.read(reader, document))
    assert(request.conclude(reader, range, document))
    assert(prompt.judge_prompt(reader.text, guard) == nil)
    request.release(reader)
end

local guard = guards[arg[1]]
local NAMES = { arg[2] }
if arg[2] == "all" then
    NAMES = { "english", "chinese", "mixed", "escaped", "figures", "digits", "switching", "events" }
elseif arg[2] == "scripts" then
    NAMES = { "vietnamese", "thai", "russian", "korean", "english", "chinese", "events" }
end
for _ = 1, 60 do
    for _, name in ipairs(NAMES) do
        round(name, guard)
    end
end

local harmless = {
    ["inner loop in root trace"] = true, ["leaving loop in root trace"] = true, ["loop unroll limit reached"] = true,
    ["retry recording"] = true,
}
local aborts = 0
local function note(what, _, func, pc, code, info)
    if what == "abort" and not harmless[reasons[code]] then
        local place = util.funcinfo(func, pc)
        aborts = aborts + 1
        io.write("given up at ", tostring(place.loc), ", ", reasons[code]:format(info), "\n")
    end
end
jit.attach(note, "trace")
for _ = 1, 40 do
    for _, name in ipairs(NAMES) do
        round(name, guard)
    end
end
jit.attach(note)
io.write("given up ", aborts, "\n")
]==]

describe("the scan, warmed up as a worker is, has no loop that is interpreted", function()
    local function run(patterns, name)
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write(SCRIPT)
        file:close()
        local pipe = assert(io.popen(("LUA_PATH='%s;spec/unit/guard/?.lua' luajit %s %s %s 2>&1"):format(package.path, path, patterns, name)))
        local said = pipe:read("*a")
        pipe:close()
        os.remove(path)
        return said
    end

    local texts = { "english", "chinese", "mixed", "escaped", "figures", "digits", "switching", "events", "all" }
    local scripts = { "vietnamese", "thai", "russian", "korean", "english", "scripts" }
    for patterns, names in pairs({ words = texts, numbers = texts, all = texts, marks = scripts }) do
        for _, name in ipairs(names) do
            it("for " .. patterns .. ", over " .. name, function()
                for _ = 1, name == "all" and 2 or 1 do
                    assert.equal("given up 0\n", run(patterns, name))
                end
            end)
        end
    end
end)
