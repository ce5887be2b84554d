local command = require("spec.unit.cli.command")

local WORDS = "badword\n脏话\nBadWord\n...\n# comment\nfoo bar\tmask\nqux\tnoopt\nx\tblock whole\n"

describe("sluice lexicon", function()
    local folder

    before_each(function()
        folder = command.folder()
        command.write(folder .. "/words.txt", WORDS)
    end)
    after_each(function() command.remove(folder) end)

    local function run(arguments, before) return command.run(folder, "lexicon " .. arguments, before) end

    local function contents(name)
        local file = io.open(folder .. "/" .. name, "rb")
        if not file then return nil end
        local text = file:read("*a")
        file:close()
        return text
    end

    it("builds a list, and says what became of it", function()
        local status, output, errors = run("build words.txt")
        assert.same({ 0, "" }, { status, errors })
        local image = contents("words.lex")
        assert.equals("SLEX", image:sub(1, 4))
        local size, rest = output:match("^words.lex: 5 words, %d+ states, ([%d,]+) bytes, in %d+%.%d%d s\n(.*)$")
        assert.equals(#image, tonumber((size:gsub(",", ""))))
        assert.equals("2 dropped: 1 repeated, 1 empty\n  line 3 is the same as line 1\n  line 4 has nothing left after folding\n" ..
            "1 with an option that is not known\n  line 7 option noopt is not known\n", rest)
        assert.is_nil(contents("words.lex.new"))
    end)

    it("shows the first hundred dropped lines and counts the rest", function()
        local lines = {}
        for index = 1, 1202 do lines[index] = "word" end
        command.write(folder .. "/many", table.concat(lines, "\n"))
        local status, output = run("build many -o here.lex")
        assert.equals(0, status)
        assert.is_truthy(output:find("\n1,201 dropped: 1,201 repeated\n  line 2 is the same as line 1\n", 1, true), output)
        assert.is_truthy(output:find("\n  line 101 is the same as line 1\n  and 1,101 more\n$"), output)
        assert.is_not_nil(contents("here.lex"))
    end)

    it("says what is odd about a list", function()
        command.write(folder .. "/odd", "法\n日\nf*ck\nイ○\n")
        local status, output = run("build odd")
        assert.equals(0, status)
        assert.equals("1 dropped: 1 with one character beside symbols\n" ..
            "  line 4 has one character beside symbols that may stand for others\n" ..
            "2 of one character (line 1), found in ordinary words too\n" ..
            "1 with symbols that may stand for letters (line 3), but are passed over\n", output:match("\n(.*)$"))
        assert.equals(0, (run("test odd イタリアへ行く")))
        command.write(folder .. "/table", "text,category\nfoo,sexual\nbar,racial\n")
        status, output = run("build table")
        assert.equals(0, status)
        assert.is_truthy(output:find("\n3 of 3 entries have the separator , in them: expected one word a line, " ..
            "and nothing behind it but options after a TAB\n$"), output)
        command.write(folder .. "/line", ("词|"):rep(200))
        local _, _, errors = run("build line")
        assert.equals("line: expected words, one a line, found none; 1 dropped: 1 too long (line 1 is longer than 128 characters); " ..
            "1 of 1 entries has the separator | in them: expected one word a line, and nothing behind it but options after a TAB\n", errors)
    end)

    it("builds the same from the same, and replaces what it has built", function()
        run("build words.txt")
        local first = contents("words.lex")
        assert.equals(0, (run("build words.txt")))
        assert.equals(first, contents("words.lex"))
        assert.equals(0, (run("build words.txt --name other")))
        assert.not_equals(first, contents("words.lex"))
    end)

    it("doesn't replace what is no compiled list, unless told to", function()
        command.write(folder .. "/words.lex", "precious")
        local status, output, errors = run("build words.txt")
        assert.same({ 1, "", "words.lex: is no compiled list; --force replaces it all the same\n" }, { status, output, errors })
        assert.equals("precious", contents("words.lex"))
        assert.equals(0, (run("build words.txt --force")))
        assert.equals("SLEX", contents("words.lex"):sub(1, 4))

        status, output, errors = run("build words.txt -o words.txt --force")
        assert.same({ 1, "", "words.txt: is the list itself\n" }, { status, output, errors })
        assert.equals(WORDS, contents("words.txt"))
        status, output, errors = run("build words.txt -o bin --force")
        assert.same({ 1, "", "bin: can't be replaced: it is a folder\n" }, { status, output, errors })
    end)

    it("builds nothing from what is no list", function()
        run("build words.txt")
        command.write(folder .. "/gbk", "\212\224\187\176\n\196\227\186\195\202\192\189\231\n")
        command.write(folder .. "/empty", "# nothing\n")
        for name, expected in pairs({
            ["missing"] = "missing: can't be read: No such file or directory",
            ["."] = ".: can't be read: it is a folder",
            ["words.lex"] = "words.lex: is compiled already",
            ["gbk"] = "gbk: the file is not UTF-8, but probably GBK (GB 18030); expected UTF-8",
            ["empty"] = "empty: expected words, one a line, found none",
        }) do
            local status, output, errors = run("build " .. name .. " -o made.lex")
            assert.same({ 1, "", expected .. "\n" }, { status, output, errors })
            assert.is_nil(contents("made.lex"))
        end
    end)

    it("says why the compiled list can't be written, and leaves nothing behind", function()
        local status, output, errors = run("build words.txt -o none/words.lex")
        assert.same({ 1, "", "none/words.lex: can't be written: No such file or directory\n" }, { status, output, errors })
        local out = command.output_of(("cd '%s' && (trap '' XFSZ; ulimit -S -f 4; ./bin/sluice lexicon build words.txt 2>&1; echo $?)")
            :format(folder))
        assert.equals("words.lex: can't be written: File too large\n1\n", out)
        assert.is_nil(contents("words.lex"))
        assert.is_nil(contents("words.lex.new"))
    end)

    it("tests a text against a list, compiled or not", function()
        run("build words.txt")
        for _, name in ipairs({ "words.txt", "words.lex" }) do
            local status, output, errors = run("test " .. name .. " 'my BADWORD 脏 话话 foo-bar x xx'")
            assert.same({ 1, "" }, { status, errors })
            assert.equals("bytes 3 to 10: words.txt, the list's action: BADWORD\n" ..
                "bytes 11 to 18: words.txt, the list's action: 脏 话\n" ..
                "bytes 22 to 29: words.txt, mask: foo-bar\n" ..
                "bytes 30 to 31: words.txt, block: x\n" ..
                "\nmy [BADWORD] [脏 话]话 [foo-bar] [x] xx\n", output)
            status, output, errors = run("test " .. name .. " 'nothing bad'")
            assert.same({ 0, "nothing found\n", "" }, { status, output, errors })
        end
    end)

    it("marks matches that overlap as one, and those that touch each for itself", function()
        command.write(folder .. "/overlap", "甲乙\n乙丙\n丁\n甲乙丙\n戊\tflag\n")
        local status, output = run("test overlap 甲乙丙丁戊戊已")
        assert.equals(1, status)
        assert.is_truthy(output:find("\n\n[甲乙丙][丁][戊][戊]已\n$") or output:find("[甲乙丙][丁][戊][戊]已\n", 1, true), output)
        assert.is_truthy(output:find("bytes 12 to 15: overlap, flag: 戊\n", 1, true), output)
    end)

    it("reads the text from standard input, whatever its bytes are", function()
        local status, output = command.run(folder, "lexicon test words.txt - <words.txt")
        assert.equals(1, status)
        assert.is_truthy(output:find("bytes 0 to 7: words.txt, the list's action: badword\n", 1, true))
        command.write(folder .. "/odd", "\255badword\0\240\159 脏话\228\189")
        status, output = command.run(folder, "lexicon test words.txt - <odd")
        assert.equals(1, status)
        assert.is_truthy(output:find("bytes 1 to 8: ", 1, true), output)
        assert.is_truthy(output:find("bytes 12 to 18: ", 1, true), output)
        command.write(folder .. "/none", "")
        assert.equals(0, (command.run(folder, "lexicon test words.txt - <none")))
    end)

    it("takes options for a list, and a name", function()
        assert.equals(0, (run("test words.txt badwords")))
        assert.equals(1, (run("test words.txt badwords --whole-words never")))
        assert.equals(0, (run("test words.txt b-adword")))
        assert.equals(1, (run("test words.txt b-adword --separators ignore")))
        run("build words.txt --whole-words never --separators ignore --name mine")
        local status, output = run("test words.lex 'b-adwords'")
        assert.equals(1, status)
        assert.is_truthy(output:find(": mine, ", 1, true))
    end)

    it("ends with 2 when a list can't be used, so that this is no match", function()
        run("build words.txt")
        command.write(folder .. "/cut.lex", contents("words.lex"):sub(1, 3000))
        for arguments, expected in pairs({
            ["missing x"] = "missing: can't be read: No such file or directory",
            ["cut.lex x"] = "cut.lex: it is incomplete: it has 3000 of " .. #contents("words.lex") .. " bytes",
            ["words.lex x --whole-words never"] = "words.lex is compiled: its words have their options already",
        }) do
            local status, output, errors = run("test " .. arguments)
            assert.same({ 2, "", "sluice: " .. expected .. "\n" }, { status, output, errors })
        end
    end)

    it("has what it built taken by a configuration, whose check says so", function()
        run("build words.txt")
        command.write(folder .. "/good.yaml", "tenants: [{id: acme, guard: strict}]\nmodels: [{name: a, pool: b}]\n" ..
            "pools: [{name: b, endpoints: [{url: \"http://c\"}]}]\n" ..
            "guards: [{name: strict, lexicons: [{file: words.lex}, {file: words.txt, action: flag}]}]\n")
        local status, output, errors = command.run(folder, "check good.yaml")
        assert.same({ 0, "" }, { status, errors })
        assert.is_truthy(output:find("good.yaml: guards[0].lexicons[0].file: words.lex: 5 words, compiled\n" ..
            "good.yaml: guards[0].lexicons[1].file: words.txt: 5 words; 2 dropped: 1 repeated, 1 empty (line 3 is the same as line 1); " ..
            "1 with an option that is not known (line 7 option noopt is not known)\n" ..
            "good.yaml: ok (1 tenant, 1 model, 1 pool, 1 guard; version ", 1, true), output)
        command.write(folder .. "/words.lex", contents("words.lex"):sub(1, -2))
        status, output, errors = command.run(folder, "check good.yaml")
        assert.same({ 1, "" }, { status, output })
        assert.is_truthy(errors:find("^good.yaml: guards%[0%].lexicons%[0%].file: expected a compiled list that can be used: it is incomplete"))
    end)
end)
