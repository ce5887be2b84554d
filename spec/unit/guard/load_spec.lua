local compile = require("sluice.guard.compile")
local crypto = require("sluice.edge.crypto")
local file = require("sluice.edge.file")
local file_store = require("sluice.guard.file_store").file_store
local folder_module = require("sluice.edge.folder")
local list_module = require("sluice.guard.list")
local load = require("sluice.guard.load")
local mapped_file = require("sluice.edge.mapped_file")
local matches_in = require("sluice.cli.lexicon_test").matches_in
local memory_store = require("sluice.guard.store").memory_store
local ffi = require("ffi")

local BLOCK, MASK, FLAG = 3, 2, 1

local function nothing() end

--- A list compiled as `sluice lexicon build` does it.
local function compiled(words)
    local list = assert(list_module.read_list(words, { name = "list" }, nothing))
    local image, bytes = compile.compile_lexicon({ list.source }, true, nothing)
    return ffi.string(image, bytes)
end

--- What building takes, with `files` by path in place of the real ones.
local function tools_for(files, store)
    return {
        read_file = function(path)
            if files[path] then return files[path] end
            return nil, "No such file or directory"
        end,
        sha256_hex = crypto.sha256_hex,
        store = store or memory_store(),
        pause = nothing,
        now = os.clock,
    }
end

local function guard_of(lexicons, patterns)
    for index, lexicon in ipairs(lexicons) do
        lexicon.name = lexicon.name or ("list" .. index)
        lexicon.action = lexicon.action or "block"
    end
    return { name = "g", on = { "prompt", "completion" }, lexicons = lexicons, patterns = patterns }
end

local function build(files, configurations, store)
    return load.build_guards(configurations, true, tools_for(files, store))
end

--- The matches in a text, each as `list action text`.
local function found(guard, text)
    local told = {}
    for index, hit in ipairs(matches_in(guard.lexicon, text)) do
        told[index] = ("%s %d %s"):format(guard.lists[hit.source + 1], hit.action, text:sub(hit.start + 1, hit["end"]))
    end
    return told
end

local function problems_of(files, configurations)
    local told = {}
    for index, problem in ipairs(build(files, configurations).problems) do
        told[index] = problem.path .. ": " .. problem.message
    end
    return told
end

describe("Guards", function()
    it("find the words of their lists, each with its list and what is done about it", function()
        local built = build({
            a = "badword\n脏话\tflag\n", b = "other word\nthird\tblock\n", c = compiled("compiled\nmild\tflag\n"),
        }, { guard_of({ { file = "a" }, { file = "b", action = "mask" }, { file = "c", action = "mask", name = "c.lex" } }) })
        assert.same({}, built.problems)
        local guard = built.guards.g
        assert.same({ "list1", "list2", "c.lex" }, guard.lists)
        assert.same({ "list1", "list2", "c.lex" }, guard.lexicon.names)
        assert.same({ "list1 3 BadWord", "list1 1 脏话", "list2 2 other word", "list2 3 third", "c.lex 2 compiled", "c.lex 1 mild" },
            found(guard, "BadWord 脏话 other word third compiled mild badwords"))
        assert.is_true(guard.on_prompt and guard.on_completion)
        assert.same({ 0, 0 }, { guard.patterns, guard.held_patterns })
    end)

    it("take the options of their lists", function()
        local files = { a = "bad\n脏话\n" }
        local function with(options)
            options.file = "a"
            return found(build(files, { guard_of({ options }) }).guards.g, "bad badly b-a-d 脏 话")
        end
        assert.same({ "list1 3 bad", "list1 3 脏 话" }, with({}))
        assert.same({ "list1 3 bad", "list1 3 bad", "list1 3 脏 话" }, with({ whole_words = "never" }))
        assert.same({ "list1 3 bad" }, with({ separators = "exact" }))
        assert.same({ "list1 3 bad", "list1 3 b-a-d", "list1 3 脏 话" }, with({ separators = "ignore" }))
    end)

    it("may look for patterns alone, and in one place alone", function()
        local built = load.build_guards({
            { name = "p", on = { "completion" }, patterns = { cn_mobile = "mask", cn_id_card = "block", email = "flag", us_ssn = "off" } },
        }, true, tools_for({}))
        assert.same({}, built.problems)
        assert.same({}, built.notices)
        local guard = built.guards.p
        assert.is_false(guard.on_prompt)
        assert.is_true(guard.on_completion)
        assert.same({ 1 + 2 + 16, 1 + 2 }, { guard.patterns, guard.held_patterns })
        assert.same({ [1] = MASK, [2] = BLOCK, [16] = FLAG }, guard.pattern_actions)
        assert.equals(0, guard.lexicon.words)
        assert.same({}, found(guard, "nothing to be found here"))
    end)

    it("tell how many words each list has, and what was dropped", function()
        local lines = {}
        for index = 1, 1234 do lines[index] = "word" .. index end
        local long = ("x"):rep(129)
        local built = build({
            a = table.concat(lines, "\n") .. "\nword1\nWORD2\n...\n" .. long .. "\nok\255\n脏话\tnone\n",
            b = "one\n", c = compiled("one\ntwo\n"),
        }, { guard_of({ { file = "a", name = "words.txt" }, { file = "b" }, { file = "c" } }) })
        assert.same({}, built.problems)
        assert.same({
            { path = "guards[0].lexicons[0].file", serious = false, message = "words.txt: 1,235 words; 5 dropped: 2 repeated, 1 empty, " ..
                "1 too long, 1 not UTF-8 (line 1235 is the same as line 1); " ..
                "1 with an option that is not known (line 1240 option none is not known)" },
            { path = "guards[0].lexicons[1].file", serious = false, message = "list2: 1 word" },
            { path = "guards[0].lexicons[2].file", serious = false, message = "list3: 2 words, compiled" },
        }, built.notices)
    end)

    it("tell everything that is wrong with their lists at once", function()
        local image = compiled("one\ntwo\n")
        local flipped = image:sub(1, 5000) .. string.char(bit.bxor(image:byte(5001), 16)) .. image:sub(5002)
        local other_fold = image:sub(1, 16) .. "another" .. image:sub(24)
        local files = {
            empty = "", comments = "# one\n// two\n\n", dropped = "...\n\226\128\139\n",
            gbk = "\212\224\187\176\n\196\227\186\195\202\192\189\231\n",
            utf16 = "\255\254b\0a\0d\0\n\0", cut = image:sub(1, 4000), stub = image:sub(1, 20), flipped = flipped, longer = image .. "x",
            format = image:sub(1, 4) .. "\99" .. image:sub(6), lex = image, good = "fine\n", other_fold = other_fold,
        }
        local lexicons = {}
        for _, name in ipairs({ "missing", "empty", "comments", "dropped", "gbk", "utf16", "cut", "stub", "flipped", "longer", "format", "good" }) do
            lexicons[#lexicons + 1] = { file = name, name = name }
        end
        lexicons[#lexicons + 1] = { file = "lex", whole_words = "never", separators = "auto" }
        local told = problems_of(files, { guard_of(lexicons), guard_of({ { file = "missing too" } }) })
        table.sort(told)
        local function at(index, message) return ("guards[0].lexicons[%d].file: %s"):format(index, message) end
        local unusable = "expected a compiled list that can be used: "
        local expected = {
            at(0, "expected a file that can be read: No such file or directory"),
            at(1, "expected words, one a line, found none"),
            at(2, "expected words, one a line, found none"),
            at(3, "expected words, one a line, found none; 1 dropped: 1 empty (line 1 has nothing left after folding)"),
            at(4, "the file is not UTF-8, but probably GBK (GB 18030); expected UTF-8"),
            at(5, "the file is UTF-16; expected UTF-8"),
            at(6, unusable .. ("it is incomplete: it has 4000 of %d bytes"):format(#image)),
            at(7, unusable .. "it is not a compiled lexicon"),
            at(8, unusable .. "it is damaged: its checksum does not fit"),
            at(9, unusable .. ("it is incomplete: it has %d of %d bytes"):format(#image + 1, #image)),
            at(10, unusable .. "it was compiled by another version of Sluice; compile it again"),
            "guards[0].lexicons[12].separators: the list is compiled: its words have their options already",
            "guards[0].lexicons[12].whole_words: the list is compiled: its words have their options already",
            "guards[1].lexicons[0].file: expected a file that can be read: No such file or directory",
        }
        table.sort(expected)
        assert.same(expected, told)
        assert.is_truthy(problems_of(files, { guard_of({ { file = "other_fold" } }) })[1]:find(unusable, 1, true))
    end)

    it("tell of real files that can't be read", function()
        local tools = tools_for({})
        tools.read_file = file.read_file
        local built = load.build_guards({ guard_of({ { file = "/" }, { file = "/dev/null" } }) }, true, tools)
        assert.same({ "expected a file that can be read: it is a folder", "expected a file that can be read: it is not a regular file" },
            { built.problems[1].message, built.problems[2].message })
    end)

    it("take any bytes for a list without failing", function()
        local seed = os.time()
        math.randomseed(seed)
        for round = 1, 300 do
            local parts = { round % 3 == 0 and "SLEX" or "" }
            for index = 2, math.random(0, 600) do parts[index] = string.char(math.random(0, 255)) end
            local done, reason = pcall(build, { a = table.concat(parts) }, { guard_of({ { file = "a" } }) })
            assert.is_true(done, ("seed %d, round %d: %s"):format(seed, round, tostring(reason)))
        end
    end)
end)

describe("A compiled lexicon", function()
    local function keys(changed)
        local configuration = { file = "a", name = "n", action = "block" }
        for name, value in pairs(changed.configuration or {}) do configuration[name] = value end
        return build({ a = changed.words or "one\n" }, { guard_of({ configuration }) }).keys[1]
    end

    it("is told by all that it depends on", function()
        local seen = {}
        for _, changed in ipairs({
            {}, { words = "one\n\n" }, { configuration = { name = "m" } }, { configuration = { action = "mask" } },
            { configuration = { whole_words = "always" } }, { configuration = { separators = "exact" } },
        }) do
            local key = keys(changed)
            assert.is_truthy(key:find("^%x+$"))
            assert.equals(64, #key)
            assert.is_nil(seen[key])
            seen[key] = true
        end
        assert.is_true(seen[keys({})])
    end)

    it("is made once for lists that are the same, and tells the same when it is found again", function()
        local store = memory_store()
        local kept = 0
        local keep = store.keep
        store.keep = function(...)
            kept = kept + 1
            return keep(...)
        end
        local files = { a = "one\ntwo\none\n" }
        local first = build(files, { guard_of({ { file = "a" } }) }, store)
        local second = build(files, { guard_of({ { file = "a" } }) }, store)
        assert.equals(1, kept)
        assert.equals(first.guards.g.lexicon, second.guards.g.lexicon)
        assert.same(first.notices, second.notices)
        assert.equals("list1: 2 words; 1 dropped: 1 repeated (line 3 is the same as line 1)", second.notices[1].message)
    end)

    it("is waited for while another process makes it, and then not made again", function()
        local store = memory_store()
        local files = { a = "one\n" }
        local tools = tools_for(files, store)
        local waits = 0
        store.acquire = function() return false end
        tools.wait = function()
            waits = waits + 1
            if waits == 3 then
                -- The other process is ready.
                store.acquire = function() return true end
                build(files, { guard_of({ { file = "a" } }) }, store)
                store.keep = function() error("made twice") end
            end
        end
        local built = load.build_guards({ guard_of({ { file = "a" } }) }, true, tools)
        assert.equals(3, waits)
        assert.same({}, built.problems)
        assert.same({ "list1 3 one" }, found(built.guards.g, "one"))
    end)

    it("is made after all when the other process takes too long, or nothing can wait", function()
        local store = memory_store()
        store.acquire = function() return false end
        local tools = tools_for({ a = "one\n" }, store)
        local now = 0
        tools.now = function() return now end
        tools.wait = function() now = now + 1 end
        assert.is_not_nil(load.build_guards({ guard_of({ { file = "a" } }) }, true, tools).guards.g)
        assert.is_true(now >= 29 and now <= 31, tostring(now))

        assert.is_not_nil(build({ a = "two\n" }, { guard_of({ { file = "a" } }) }, store).guards.g)
    end)

    it("gives the right to make it back, also if a list turns out to be wrong", function()
        local store = memory_store()
        local held = 0
        store.acquire = function()
            held = held + 1
            return true
        end
        store.release = function() held = held - 1 end
        build({ a = "one\n" }, { guard_of({ { file = "a" } }) }, store)
        build({ a = "" }, { guard_of({ { file = "a" } }) }, store)
        assert.equals(0, held)
    end)
end)

describe("Lexicons in files", function()
    local folder

    before_each(function()
        local output = assert(io.popen("mktemp -d"))
        folder = output:read("*l") .. "/lexicons"
        output:close()
    end)

    after_each(function() os.execute("rm -rf '" .. folder:gsub("/lexicons$", "") .. "'") end)

    local function open_store(changed)
        local files = {}
        for _, part in ipairs({ mapped_file, folder_module, file }) do
            for name, each in pairs(part) do files[name] = each end
        end
        for name, each in pairs(changed or {}) do files[name] = each end
        return file_store(folder, files)
    end

    local function write(path, text)
        local handle = assert(io.open(path, "wb"))
        handle:write(text)
        handle:close()
    end

    local function read(path)
        local handle = assert(io.open(path, "rb"))
        local text = handle:read("*a")
        handle:close()
        return text
    end

    local FILES = { a = "one\ntwo\none\n", b = "other\n" }

    it("are found by the next start, and by another process, with what was told of them", function()
        local first = build(FILES, { guard_of({ { file = "a" } }) }, open_store())
        assert.same({}, first.problems)
        local key = first.keys[1]
        assert.same({ key .. ".lex", key .. ".txt" }, folder_module.list_folder(folder))
        local store = open_store()
        store.keep = function() error("compiled again") end
        local second = build(FILES, { guard_of({ { file = "a" } }) }, store)
        assert.same(first.notices, second.notices)
        assert.same({ "list1 3 one" }, found(second.guards.g, "one"))
        local mapped = assert(io.popen("grep -c '" .. key .. ".lex' /proc/self/maps /proc/" ..
            io.open("/proc/self/stat"):read("*l"):match("^%d+") .. "/maps | tail -1"))
        assert.is_truthy(mapped:read("*l"):find(":[1-9]"))
        mapped:close()
    end)

    it("are opened once as long as they are in use", function()
        local store = open_store()
        local first = build(FILES, { guard_of({ { file = "a" } }) }, store)
        assert.equals(first.guards.g.lexicon, build(FILES, { guard_of({ { file = "a" } }) }, store).guards.g.lexicon)
    end)

    it("are compiled anew when the file is damaged, cut short or not ours, and that is told", function()
        local key = build(FILES, { guard_of({ { file = "a" } }) }, open_store()).keys[1]
        local path = folder .. "/" .. key .. ".lex"
        local image = read(path)
        for _, damaged in ipairs({
            image:sub(1, 3000), "", "nonsense", image:sub(1, 5000) .. string.char(bit.bxor(image:byte(5001), 1)) .. image:sub(5002),
        }) do
            write(path, damaged)
            local built = build(FILES, { guard_of({ { file = "a" } }) }, open_store())
            assert.same({}, built.problems)
            assert.same({ "list1 3 one" }, found(built.guards.g, "one"))
            assert.equals(image, read(path))
            assert.is_true(built.notices[1].serious)
            assert.is_truthy(built.notices[1].message:find("a compiled lexicon can't be used, so it is compiled anew: " .. path, 1, true))
            assert.equals(2, #built.notices)
        end
    end)

    it("are used without having been kept, if they can't be, and that is told", function()
        write(folder, "a file in place of the folder")
        local built = build(FILES, { guard_of({ { file = "a" } }) }, open_store())
        assert.same({}, built.problems)
        assert.same({ "list1 3 one" }, found(built.guards.g, "one"))
        assert.is_true(built.notices[2].serious)
        assert.is_truthy(built.notices[2].message:find("each process has its own: " .. folder .. "/", 1, true), built.notices[2].message)
    end)

    it("stay as they are when the operator's list is cut short or replaced while they are in use", function()
        local words = {}
        for index = 1, 20000 do words[index] = "word" .. index end
        os.execute("mkdir -p '" .. folder .. "'")
        local path = folder .. "/../words.txt"
        write(path, table.concat(words, "\n"))
        local lex = folder .. "/../words.lex"
        write(lex, compiled("compiled\n"))
        local store = open_store()
        local tools = tools_for({}, store)
        tools.read_file = file.read_file
        local configurations = { guard_of({ { file = path }, { file = lex, action = "mask" } }) }
        local guard = load.build_guards(configurations, true, tools).guards.g
        write(path, "")
        write(lex, "")
        collectgarbage()
        assert.same({ "list1 3 word1", "list1 3 word19999", "list2 2 compiled" }, found(guard, "word1 word19999 word20001 compiled"))
        local built = load.build_guards(configurations, true, tools)
        assert.equals(2, #built.problems)
        assert.is_nil(built.guards.g)

        write(path, "another\n")
        write(lex, compiled("again\n"))
        local other = load.build_guards(configurations, true, tools).guards.g
        collectgarbage()
        assert.same({ "list1 3 another", "list2 2 again" }, found(other, "word1 another again"))
        assert.same({ "list1 3 word1" }, found(guard, "word1 another again"))

        -- What is kept may go, too.
        store.tidy({})
        assert.same({}, folder_module.list_folder(folder))
        assert.same({ "list1 3 word1", "list1 3 word19999" }, found(guard, "word1 word19999"))
    end)

    it("go at the next start if no guard needs them, with what dead processes left, but nothing else", function()
        local store = open_store()
        local kept = build(FILES, { guard_of({ { file = "a" } }) }, store).keys[1]
        local gone = build(FILES, { guard_of({ { file = "b" } }) }, store).keys[1]
        local own = io.open("/proc/self/stat"):read("*l"):match("^%d+")
        write(folder .. "/" .. gone .. ".lex.4194305.new", "")
        write(folder .. "/" .. gone .. ".lex." .. own .. ".new", "")
        write(folder .. "/" .. gone .. ".lock", "")
        write(folder .. "/" .. kept .. ".lock", "")
        write(folder .. "/readme.md", "")
        local lock = folder_module.lock_file(folder, kept .. ".lock")
        open_store().tidy({ kept })
        local names = { kept .. ".lex", kept .. ".lock", kept .. ".txt", gone .. ".lex." .. own .. ".new", "readme.md" }
        table.sort(names)
        assert.same(names, folder_module.list_folder(folder))
        folder_module.unlock_file(folder, kept .. ".lock", lock)
    end)

    it("are made by one process at a time", function()
        local store, other = open_store(), open_store()
        assert.is_true(store.acquire("abc"))
        assert.is_false(other.acquire("abc"))
        assert.is_true(other.acquire("def"))
        store.release("abc")
        assert.is_true(other.acquire("abc"))
        other.release("abc")
        other.release("abc")
        assert.same({ "def.lock" }, folder_module.list_folder(folder))
    end)

    it("are made without a lock where there can be none", function()
        write(folder, "a file in place of the folder")
        local store = open_store()
        assert.is_true(store.acquire("abc"))
        store.release("abc")
    end)
end)
