local bit = require("bit")
local fold = require("sluice.guard.fold")
local word_list = require("sluice.guard.word_list")

local WHOLE, LOOSE = 0x400, 0x800
local ACTIONS = { [0] = nil, [1] = "flag", [2] = "mask", [3] = "block" }
local DEFAULTS = { whole = "ascii", separators = "auto" }

local function no_pause() end

local function text_of(code_points)
    local parts = {}
    for index, value in ipairs(code_points) do
        if value < 0x80 then
            parts[index] = string.char(value)
        elseif value < 0x800 then
            parts[index] = string.char(0xC0 + math.floor(value / 64), 0x80 + value % 64)
        elseif value < 0x10000 then
            parts[index] = string.char(0xE0 + math.floor(value / 4096), 0x80 + math.floor(value / 64) % 64, 0x80 + value % 64)
        else
            parts[index] = string.char(0xF0 + math.floor(value / 262144), 0x80 + math.floor(value / 4096) % 64,
                0x80 + math.floor(value / 64) % 64, 0x80 + value % 64)
        end
    end
    return table.concat(parts)
end

--- The words as tables, in order. The arrays have to lie as the automaton reads them.
local function unpack_words(list)
    local words = list.words
    local found, place = {}, 0
    for word = 1, words.count do
        local bits = words.bits[word]
        local length = bit.rshift(bits, 16)
        assert.equal(place, words.starts[word])
        local characters, gaps = {}, {}
        for index = 1, length do characters[index] = words.characters[place + index - 1] end
        place = place + length
        if words.gaps[word] ~= 0 then
            local at = words.gaps[word]
            while words.extras[at] ~= 0 do
                gaps[#gaps + 1] = words.extras[at]
                at = at + 1
                assert.is_true(at < words.extras_size)
            end
            assert.is_true(#gaps > 0)
        end
        assert.equal(0, bit.band(bits, 0xFF))
        found[word] = {
            text = text_of(characters), gaps = table.concat(gaps, " "), line = list.lines[word],
            whole = bit.band(bits, WHOLE) ~= 0, loose = bit.band(bits, LOOSE) ~= 0,
            action = ACTIONS[bit.band(bit.rshift(bits, 8), 3)],
        }
    end
    assert.equal(place, words.starts[words.count + 1])
    assert.equal(place, list.characters_size)
    return found
end

local function read(text, options)
    local list, reason = word_list.read_word_list(text, options or DEFAULTS, no_pause)
    assert.is_nil(reason)
    return unpack_words(list), list
end

--- The words with their lines: `word@1 other@2`.
local function shown(text, options)
    local parts = {}
    for index, word in ipairs((read(text, options))) do parts[index] = word.text .. "@" .. word.line end
    return table.concat(parts, " ")
end

local function notes(list)
    local parts = {}
    for index, note in ipairs(list) do parts[index] = note.line .. " " .. note.reason end
    return parts
end

describe("the lines of a word list", function()
    it("are one word each", function()
        assert.equal("ab@1 cd@2", shown("ab\ncd"))
        assert.equal("ab@1 cd@2", shown("ab\ncd\n"))
        assert.equal("", shown(""))
        assert.equal("", shown("\n\n"))
    end)

    it("end in LF, CRLF or CR", function()
        assert.equal("ab@1 cd@2 ef@4", shown("ab\r\ncd\r\n\r\nef\r\n"))
        assert.equal("ab@1 cd@2 ef@4", shown("ab\rcd\r\ref\r"))
        assert.equal("ab@1 cd@2 ef@4 gh@5", shown("ab\rcd\n\ref\r\ngh"))
        assert.equal("ab@1", shown("ab\r"))
    end)

    it("may be blank or comments, also behind white space", function()
        assert.equal("ab@7", shown("# one\n//two\n \t \n  # three\n\227\128\128// four\n\194\160\n ab \n#"))
    end)

    it("are no comments if only one slash begins them, or the sign comes later", function()
        assert.equal("ab@1 cd@2 ef@3", shown("/ab\nc#d\ne // f"))
    end)

    it("may begin with a byte order mark", function()
        assert.equal("ab@1 cd@2", shown("\239\187\191ab\ncd"))
        assert.equal("ab@2", shown("\239\187\191# comment\nab"))
        assert.equal("", shown("\239\187\191"))
    end)

    it("lose the white space around them", function()
        local words = read("\227\128\128 \t\194\160\226\128\131敏感国\194\160\227\128\128 \t \r\n")
        assert.equal(1, #words)
        assert.equal("敏感国", words[1].text)
        assert.equal("", words[1].gaps)
        assert.is_nil(words[1].action)
    end)
end)

describe("a word", function()
    it("is folded, with expansions and without what is ignored", function()
        assert.equal("buro@1 office@2 strasse@3 国@4", shown("BÜRO\noﬃce\nStra\194\173ße\n國"))
    end)

    it("has gaps where separators are between its characters, of whatever kind and number", function()
        local words, list = read("f.u..c - k\nbad word\n½x", { whole = "ascii", separators = "exact" })
        assert.equal("fuck", words[1].text)
        assert.equal("1 2 3", words[1].gaps)
        assert.equal("3", words[2].gaps)
        assert.equal("12x", words[3].text)
        assert.equal("1", words[3].gaps)
        assert.equal(0, list.dropped_count)
    end)

    it("has none before the first and behind the last character", function()
        local words = read("!?word!!\n⑴\n《敏》", { whole = "ascii", separators = "exact" })
        assert.same({ "word", "1", "敏" }, { words[1].text, words[2].text, words[3].text })
        for _, word in ipairs(words) do assert.equal("", word.gaps) end
    end)

    it("has none if it is loose", function()
        local words = read("敏 感 词\nbad word\tloose")
        assert.equal("", words[1].gaps)
        assert.equal("", words[2].gaps)
        assert.is_true(words[1].loose and words[2].loose)
    end)

    it("may be of one character, or of 128, also if it stands for more bytes", function()
        assert.equal("x@1 敏@2", shown("x\n敏"))
        local long = ("a1"):rep(64)
        assert.equal(long .. "@1", shown(long))
        assert.equal(("敏"):rep(128) .. "@1", shown((("敏\226\128\139 "):rep(128))))
    end)
end)

describe("by default", function()
    it("words of ASCII letters and digits are whole words with separators as written, others are not", function()
        for text, ascii in pairs({
            ["abc"] = true, ["bad word"] = true, ["a1"] = true, ["x"] = true, ["ＡＢ"] = true, ["42"] = true, ["café"] = true,
            ["敏感"] = false, ["敏"] = false, ["abc敏"] = false, ["дом"] = false, ["ñandú"] = true, ["þa"] = false, ["█a"] = false,
        }) do
            local word = read(text)[1]
            assert.equal(ascii, word.whole, text)
            assert.equal(not ascii, word.loose, text)
        end
    end)

    it("the list's options count", function()
        local function both(options)
            local words = read("ab\n敏感", options)
            return { words[1].whole, words[2].whole, words[1].loose, words[2].loose }
        end
        assert.same({ true, false, false, true }, both({ whole = "ascii", separators = "auto" }))
        assert.same({ true, true, true, true }, both({ whole = "always", separators = "ignore" }))
        assert.same({ false, false, false, false }, both({ whole = "never", separators = "exact" }))
        assert.same({ true, false, true, true }, both({ whole = "ascii", separators = "ignore" }))
        assert.same({ false, false, false, true }, both({ whole = "never", separators = "auto" }))
    end)
end)

describe("options behind a TAB", function()
    it("name the word's action", function()
        local words = read("aa\tblock\nbb\tmask\ncc\tflag\ndd")
        assert.same({ "block", "mask", "flag" }, { words[1].action, words[2].action, words[3].action })
        assert.is_nil(words[4].action)
    end)

    it("say how it matches, whatever the list says", function()
        for _, options in ipairs({ DEFAULTS, { whole = "always", separators = "ignore" }, { whole = "never", separators = "exact" } }) do
            local words = read("ab\twhole\ncd\tpart\nef\tloose\nghi\texact\n敏\twhole\n感\tpart\n词\tloose\n国 家\texact", options)
            assert.is_true(words[1].whole)
            assert.is_false(words[2].whole)
            assert.is_true(words[3].loose)
            assert.is_false(words[4].loose)
            assert.is_true(words[5].whole)
            assert.is_false(words[6].whole)
            assert.is_true(words[7].loose)
            assert.is_false(words[8].loose)
            assert.equal("1", words[8].gaps)
        end
    end)

    it("are apart by blanks, commas and TABs, in either case", function()
        local words, list = read("aa\tmask,part\nbb \t Flag ,\tLOOSE\ncc\t\ndd\t, ,\n")
        assert.equal("mask", words[1].action)
        assert.is_false(words[1].whole)
        assert.equal("flag", words[2].action)
        assert.is_true(words[2].loose)
        assert.equal(4, #words)
        assert.equal(0, list.ignored_count)
    end)

    it("may contradict each other: the latter counts", function()
        local words = read("aa\tblock flag\nbb\tpart whole")
        assert.equal("flag", words[1].action)
        assert.is_true(words[2].whole)
    end)

    it("are reported if they are not known, and the word is kept", function()
        local words, list = read("aa\t12345\nbb\tpolitics mask other\ncc\t" .. ("x"):rep(41) .. "\ndd\t\1敏")
        assert.equal(4, #words)
        assert.equal("mask", words[2].action)
        assert.same({ "1 option 12345 is not known", "2 option politics is not known", "3 an option of 41 bytes is not known",
            "4 option ?敏 is not known" }, notes(list.ignored))
        assert.equal(4, list.ignored_count)
        assert.equal(0, list.dropped_count)
    end)

    it("are reported for the first hundred lines, and counted for all", function()
        local lines = {}
        for index = 1, 250 do lines[index] = ("word%d\t%d"):format(index, index) end
        local words, list = read(table.concat(lines, "\n"))
        assert.equal(250, #words)
        assert.equal(100, #list.ignored)
        assert.equal(250, list.ignored_count)
    end)
end)

describe("counted is", function()
    it("a word of one character that is found inside others", function()
        local _, list = read("法\nx\n日\n内部价\n人\twhole\ng\tpart\n法\né\nй")
        assert.same({ 4, 1 }, { list.single, list.single_line })
    end)

    it("a word with symbols that may stand for letters", function()
        local _, list = read("ab\nf*ck\nセ○クス\n傻×\nc++\nsh!t\nf*ck")
        assert.same({ 2, 2 }, { list.masked, list.masked_line })
    end)

    it("no word of a usual list", function()
        local _, list = read("# a, b, c\nbad word\n敏感\n内部价\tmask,part\nDr. No\n")
        assert.same({ 0, 0 }, { list.single, list.masked })
        assert.is_nil(list.separator)
    end)
end)

describe("a file looks like no list", function()
    for name, case in pairs({
        ["a table with a header"] = { "text,category,severity\nfoo,sexual,1.2\nbar,sexual,1.4\n", ",", 3, 3 },
        ["words on one line"] = { ("词|"):rep(300), "|", 1, 1 },
        ["a short line of words"] = { "a、b、c、d", "、", 1, 1 },
        ["a table with some words alone"] = { "// x\na;1\nb;2\nc\n\n d;3\r\n", ";", 3, 4 },
    }) do
        it("with " .. name, function()
            local _, list = read(case[1])
            assert.same({ separator = case[2], having = case[3], entries = case[4] }, list.separator)
        end)
    end

    it("not with a comma now and then, or behind a TAB", function()
        for _, text in ipairs({ "", "a, b\nc\n", "a\tmask,part\nb\tmask,part\nc\tmask,part\n", "a,b", "a,b,c,d\ne\nf\n", "#a,b,c,d,e" }) do
            local _, list = read(text)
            assert.is_nil(list.separator, text)
        end
    end)
end)

describe("dropped is an entry that", function()
    it("is not UTF-8, in its word or its options", function()
        local words, list = read("好\nab\228\184\n坏\ncd\t\255\n人\n话\n\237\160\128\n些\n这")
        assert.equal(6, #words)
        assert.same({ "2 is not UTF-8", "4 is not UTF-8", "7 is not UTF-8" }, notes(list.dropped))
        assert.equal(3, list.not_utf8)
        assert.equal(3, list.dropped_count)
    end)

    it("has nothing left", function()
        local _, list = read("---\n\194\173\n\204\129\n★\t mask\nab")
        assert.same({ "1 has nothing left after folding", "2 has nothing left after folding", "3 has nothing left after folding",
            "4 has nothing left after folding" }, notes(list.dropped))
        assert.equal(4, list.empty)
    end)

    it("is too long, after folding", function()
        local words, list = read(("a"):rep(129) .. "\n" .. ("敏 "):rep(129) .. "\n" .. ("ﬃ"):rep(43) .. "\n" .. ("ﬃ"):rep(42))
        assert.equal(1, #words)
        assert.same({ "1 is longer than 128 characters", "2 is longer than 128 characters", "3 is longer than 128 characters" }, notes(list.dropped))
        assert.equal(3, list.too_long)
    end)

    it("has one character beside symbols that may stand for others", function()
        local words, list = read("イ○\nイ●\n×敏\nf*\t mask\n★敏★\nセ○クス\n敏\n法。\n敏 *\n〇人")
        assert.equal(4, #words)
        local reason = " has one character beside symbols that may stand for others"
        assert.same({ "1" .. reason, "2" .. reason, "3" .. reason, "4" .. reason, "5" .. reason, "9" .. reason }, notes(list.dropped))
        assert.equal(6, list.one_left)
        assert.equal(1, list.masked)
        assert.equal(6, list.masked_line)
    end)

    it("was there before", function()
        local words, list = read("敏感\nbad\n敏 感\nＢＡＤ\n敏感詞\nbad\n敏感词")
        assert.equal(3, #words)
        assert.same({ "3 is the same as line 1",
            "4 is the same as line 2", "6 is the same as line 2", "7 is the same as line 5" }, notes(list.dropped))
        assert.equal(4, list.repeated)
    end)

    it("is told of up to a hundred times, and always counted", function()
        local _, list = read(("ab\n"):rep(301) .. "--\n")
        assert.equal(100, #list.dropped)
        assert.equal(301, list.dropped_count)
        assert.equal(300, list.repeated)
        assert.equal(1, list.empty)
    end)
end)

describe("no repetition is a word with other", function()
    it("gaps", function()
        assert.equal(4, #(read("abcd\nab cd\na bcd\nab c d\nab-cd")))
    end)

    it("options", function()
        local words = read("ab\nab\tblock\nab\tpart\nab\tloose\nab\tloose block\nab\twhole")
        assert.equal(5, #words)
    end)
end)

describe("a list is refused that", function()
    local function refusal(text)
        local list, reason = word_list.read_word_list(text, DEFAULTS, no_pause)
        assert.is_nil(list)
        return reason
    end

    it("is UTF-16 or UTF-32", function()
        assert.equal("is UTF-16; expected UTF-8", refusal("\255\254a\0\n\0"))
        assert.equal("is UTF-16; expected UTF-8", refusal("\254\255\0a\0\n"))
        assert.equal("is UTF-16; expected UTF-8", refusal("\255\254"))
        assert.equal("is UTF-32; expected UTF-8", refusal("\255\254\0\0a\0\0\0"))
        assert.equal("is UTF-32; expected UTF-8", refusal("\0\0\254\255\0\0\0a"))
    end)

    it("has NUL bytes", function()
        assert.is_truthy(refusal("a\0b\0\n\0"):find("probably UTF-16", 1, true))
        assert.is_truthy(refusal("word\n\0"):find("NUL", 1, true))
    end)

    it("ends in the midst of a character", function()
        local cut = "ends in the midst of a character: it has been cut off, or is still being written"
        for _, last in ipairs({ "词", "é", "𠮷" }) do
            for length = 1, #last - 1 do
                assert.equal(cut, refusal("好的\n坏的\n旧的" .. last:sub(1, length)))
            end
            assert.is_table((word_list.read_word_list("好的\n坏的\n旧的" .. last, DEFAULTS, no_pause)))
        end
    end)

    it("is mostly not UTF-8, with the encoding that it probably is in", function()
        -- Words for bad, sensitive, weather and a few more.
        local gbk = "\195\244\184\208\nabc\n\204\236\198\248\r\n\187\181\200\203\n\214\208\185\250\n\196\227\186\195\n"
        local big5 = "\177\211\183\80\n\164\209\174\240\n\195\97\164\72\n\164\164\176\234\n\167\65\166\110\n\165\120\198\87\n"
        local latin = "caf\233\nna\239ve\nabc\nM\252ller\nse\241or\n"
        assert.equal("is not UTF-8, but probably GBK (GB 18030); expected UTF-8", refusal(gbk))
        assert.equal("is not UTF-8, but probably Big5; expected UTF-8", refusal(big5))
        assert.equal("is not UTF-8, but probably Latin-1 (Windows-1252); expected UTF-8", refusal(latin))
        assert.is_truthy(refusal("# \195\244\184\208\nabc\n"):find("GBK", 1, true))
    end)

    it("and not one of which at most half of the lines beyond ASCII are wrong", function()
        assert.equal("好@1", shown("好\n\255\n"))
        assert.is_truthy(refusal("好\n\255\n\254\n"))
        assert.equal("好@1", shown("好\n# \255\n"))
    end)
end)

describe("reading", function()
    it("pauses now and then, by lines and by bytes", function()
        local function pauses(text)
            local count = 0
            assert(word_list.read_word_list(text, DEFAULTS, function() count = count + 1 end))
            return count
        end
        assert.equal(0, pauses(("ab\n"):rep(1999)))
        assert.equal(1, pauses(("ab\n"):rep(2000)))
        assert.equal(5, pauses(("ab\n"):rep(10000)))
        assert.equal(4, pauses((("#"):rep(262144) .. "\n"):rep(4)))
    end)

    it("ends well with any bytes at all", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time()
        io.write("seed ", seed, "\n")
        math.randomseed(seed)
        local pieces = { "\n", "\r", "\t", " ", "#", "/", "a", "敏", "\194", "\160", "\226\128", "\227", "\239\187", "\240", "\255", ",", "mask", "ﷺ" }
        for _ = 1, 3000 do
            local parts = {}
            for index = 1, math.random(0, 30) do
                parts[index] = math.random(8) == 1 and string.char(math.random(0, 255)) or pieces[math.random(#pieces)]
            end
            local list, reason = word_list.read_word_list(table.concat(parts), DEFAULTS, no_pause)
            if list then
                unpack_words(list)
                assert.equal(list.dropped_count, list.not_utf8 + list.empty + list.too_long + list.repeated + list.one_left)
            else
                assert.is_string(reason)
            end
        end
    end)

    it("keeps every word of a large list, as a plain reader of it would", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time()
        io.write("seed ", seed, "\n")
        math.randomseed(seed)
        local alphabet = { "a", "B", "c", "é", "ﬁ", "敏", "感", "國", "国", "ж", " ", "-", "\226\128\139", "1", "½", "𠮷" }
        local lines, expected, known = {}, {}, {}
        for number = 1, 30000 do
            local parts = {}
            for index = 1, math.random(0, 9) do parts[index] = alphabet[math.random(#alphabet)] end
            local line = table.concat(parts)
            lines[number] = line
            local characters, gaps, gap, ascii = {}, {}, false, true
            for _, value in ipairs(fold.fold_text(line)) do
                if value == -2 then
                    gap = #characters > 0
                else
                    if gap then gaps[#gaps + 1] = #characters end
                    gap = false
                    characters[#characters + 1] = value
                    ascii = ascii and value < 128
                end
            end
            local text = text_of(characters)
            local written = ascii and table.concat(gaps, " ") or ""
            if #characters > 0 and not known[text .. "/" .. written] then
                known[text .. "/" .. written] = true
                expected[#expected + 1] = { text = text, gaps = written, line = number, whole = ascii, loose = not ascii }
            end
        end
        local words = read(table.concat(lines, "\n"))
        assert.equal(#expected, #words)
        for index, word in ipairs(words) do assert.same(expected[index], word) end
    end)
end)
