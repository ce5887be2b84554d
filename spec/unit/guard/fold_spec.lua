local bit = require("bit")
local fold = require("sluice.guard.fold")
local data = require("sluice.guard.fold_data")
local traits = require("sluice.guard.traits")

local LAST = 0x10FFFF
local MASK = 0x2588

--- The code points of a UTF-8 text.
local function points(text)
    local found = {}
    for character in text:gmatch("[%z\1-\127\194-\244][\128-\191]*") do
        local lead = character:byte()
        local value = lead
        if lead >= 240 then value = lead - 240 elseif lead >= 224 then value = lead - 224 elseif lead >= 192 then value = lead - 192 end
        for index = 2, #character do value = value * 64 + character:byte(index) - 128 end
        found[#found + 1] = value
    end
    return found
end

--- What a text folds to, for people: representatives as they are, `_` for separators.
local function shown(text)
    local parts = {}
    for index, value in ipairs(fold.fold_text(text)) do
        if value == -2 then
            parts[index] = "_"
        elseif value < 128 then
            parts[index] = string.char(value)
        else
            parts[index] = ("<%x>"):format(value)
        end
    end
    return table.concat(parts)
end

local function same(...)
    local first = shown((...))
    for _, text in ipairs({ ... }) do
        assert.equal(first, shown(text), text)
    end
end

local function one(text) return fold.fold(points(text)[1]) end

describe("the fold of every code point", function()
    it("is a representative that folds to itself, ignored, a separator, or an expansion of such and of marks", function()
        local wrong = {}
        for code_point = 0, LAST do
            local folded = fold.fold(code_point)
            if folded >= 0 then
                if folded > LAST or fold.fold(folded) ~= folded then wrong[#wrong + 1] = code_point end
            elseif folded <= -3 then
                local parts = fold.expansion(folded)
                if #parts < 2 or #parts > 18 then wrong[#wrong + 1] = code_point end
                for index, part in ipairs(parts) do
                    local mark = index > 1 and part >= 0 and bit.band(traits.trait_of(part), 0x80000) ~= 0
                    if part ~= -2 and not mark and (part < 0 or fold.fold(part) ~= part) or part == -2 and parts[index - 1] == -2 then
                        wrong[#wrong + 1] = code_point
                    end
                end
            elseif folded ~= -1 and folded ~= -2 then
                wrong[#wrong + 1] = code_point
            end
        end
        assert.same({}, wrong)
    end)

    it("is the same for whatever is asked before", function()
        assert.equal(97, fold.fold(65))
        assert.equal(-2, fold.fold(32))
        assert.equal(97, fold.fold(65))
    end)

    it("of numbers that are no code points is a separator", function()
        for _, value in ipairs({ -1, -2 ^ 31, LAST + 1, 2 ^ 31, 2 ^ 32 + 65 }) do
            assert.equal(-2, fold.fold(value))
            assert.is_false(fold.is_word(value))
        end
    end)

    it("of surrogates is a separator", function()
        for code_point = 0xD800, 0xDFFF do
            assert.equal(-2, fold.fold(code_point))
        end
    end)

    it("of unassigned and private code points is the code point itself", function()
        for _, code_point in ipairs({ 0x0378, 0xE000, 0xF8FF, 0xFFFE, 0xFFFF, 0x50000, 0xDFFFF, 0xF0000, 0x10FFFD, LAST }) do
            assert.equal(code_point, fold.fold(code_point))
            assert.is_false(fold.is_word(code_point))
        end
    end)
end)

describe("ignored", function()
    for name, ranges in pairs({
        ["zero width"] = { { 0x200B, 0x200F }, { 0x2060, 0x2064 }, { 0xFEFF, 0xFEFF } },
        ["embeddings of direction"] = { { 0x202A, 0x202E }, { 0x2066, 0x206F } },
        ["soft hyphens"] = { { 0xAD, 0xAD } },
        ["variation selectors"] = { { 0xFE00, 0xFE0F }, { 0xE0100, 0xE01EF }, { 0x180B, 0x180D } },
        ["tags"] = { { 0xE0000, 0xE0FFF } },
        ["Hangul fillers"] = { { 0x115F, 0x1160 }, { 0x3164, 0x3164 }, { 0xFFA0, 0xFFA0 } },
        ["combining marks"] = { { 0x300, 0x36F }, { 0x483, 0x489 }, { 0x591, 0x5BD }, { 0x64B, 0x65F }, { 0x20D0, 0x20F0 }, { 0x3099, 0x309A } },
        ["half-width voicing marks"] = { { 0xFF9E, 0xFF9F } },
        ["control characters"] = { { 0, 8 }, { 0x0E, 0x1F }, { 0x7F, 0x84 }, { 0x86, 0x9F } },
        ["stretches of Arabic words"] = { { 0x640, 0x640 } },
    }) do
        it("are " .. name, function()
            for _, range in ipairs(ranges) do
                for code_point = range[1], range[2] do
                    assert.equal(-1, fold.fold(code_point), ("U+%04X"):format(code_point))
                end
            end
        end)
    end
end)

describe("separators", function()
    it("are white space of every kind", function()
        for _, code_point in ipairs({ 9, 10, 11, 12, 13, 32, 0x85, 0xA0, 0x1680, 0x2000, 0x200A, 0x2028, 0x2029,
            0x202F, 0x205F, 0x3000, 0x2800 }) do
            assert.equal(-2, fold.fold(code_point), ("U+%04X"):format(code_point))
        end
    end)

    it("are all punctuation and symbols of ASCII, the underscore among them", function()
        for code_point = 33, 126 do
            local expected = string.char(code_point):match("%p") and -2 or string.char(code_point):lower():byte()
            assert.equal(expected, fold.fold(code_point))
        end
    end)

    it("are punctuation and symbols beyond it", function()
        for _, text in ipairs({ "。", "，", "、", "「", "・", "～", "！", "·", "…", "—", "＿", "€", "￥", "♥", "★",
            "→", "😀", "▌", "░", "\239\191\189", "´",
            "⿰" }) do
            assert.equal(-2, one(text), text)
        end
    end)

    it("are not the block that masks", function()
        assert.equal(MASK, fold.fold(MASK))
        assert.is_false(fold.is_word(MASK))
        for code_point = 0, LAST do
            if fold.fold(code_point) == MASK and code_point ~= MASK then error(("U+%04X folds to it"):format(code_point)) end
        end
    end)
end)

describe("united are", function()
    it("cases", function()
        same("abcxyz", "ABCXYZ", "aBcXyZ")
        same("σας", "ΣΑΣ", "σασ")
        same("привет", "ПРИВЕТ")
        same("ǆ", "Ǆ", "ǅ")
        same("ა", "Ა")
        same("ꭰ", "Ꭰ")
        same("𐐨", "𐐀")
    end)

    it("widths", function()
        same("abc123", "ａｂｃ１２３", "ＡＢＣ１２３")
        same("カタカナー", "ｶﾀｶﾅｰ")
        same("ᄀ", "ﾡ", "ㄱ")
    end)

    it("letters and digits of every style", function()
        same("fuck", "ⓕⓤⓒⓚ", "ＦＵＣＫ", "𝐟𝐮𝐜𝐤", "𝒇𝓊𝒸𝓀", "𝔣𝔲𝔠𝔨", "𝕗𝕦𝕔𝕜",
            "𝖿𝗎𝖼𝗄", "𝚏𝚞𝚌𝚔", "🅕🅤🅒🅚", "🅵🆄🅲🅺", "🄵🅄🄲🄺", "🇫🇺🇨🇰",
            "ꜰᴜᴄᴋ", "ᶠᵘᶜᵏ", "f\204\128u\204\182c\205\143k",
            "f\226\128\139u\194\173c\239\184\143k", "fu\243\160\132\128ck")
        same("10", "１０", "⑩", "❿", "➉", "➓", "⓾", "¹⁰", "₁₀", "𝟏𝟎", "𝟷𝟶", "١٠", "۱۰", "१०",
            "๑๐", "1️⃣0️⃣")
        same("iv", "Ⅳ", "ⅳ")
        same("l", "ℓ", "Ⅼ")
        same("k", "\226\132\170")
        same("æ", "ae", "Æ", "ӕ")
    end)

    it("letters with and without accents", function()
        same("aeiou", "áèîöű", "ÀÉÏÔŪ", "a\204\129e\204\128i\204\130o\204\136u\204\139")
        same("nguyen tieng viet", "Nguyễn tiếng Việt")
        same("lodz smorgas dem", "łódź smørgås đem", "Łódź Smørgås Đem")
        same("istanbul", "İstanbul", "ıstanbul", "ISTANBUL")
        same("елка", "ёлка", "Ёлка")
        same("ا", "أ", "إ", "آ", "ﺍ", "ﺎ")
    end)

    it("look-alikes", function()
        same("aeopcyxijshdqwkmtbvu", "аеорсухіјѕһԁԛԝкмтвѵս", "АЕОРСУХІЈЅҺԀԚԜКМТВѴՍ")
        same("hello", "неllо", "Ηεllο")
        same("abezhikmnoptyx", "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "αβεζηικμνορτυχ")
        same("ag", "ɑɡ")
    end)

    it("forms of Chinese characters", function()
        same("发", "發", "髮", "発")
        same("台", "臺", "檯", "颱")
        same("国", "國")
        same("干", "幹", "乾", "榦")
        same("敏感", "敏感", "敏\226\128\139感", "敏\239\184\128感")
        same("龙", "龍", "竜", "龍", "⿓", "⻰")
        same("一二民", "⼀⼆⺠")
        same("门", "門", "⾨", "⻔")
        same("为", "為", "爲")
        same("里", "裡", "裏")
        same("峰", "峯")
        same("了解藉口", "瞭解借口")
        assert.equal(points("敏")[1], one("敏"))
    end)

    it("what over a thousand simplified characters are in traditional writing", function()
        local pairs_of = points((require("spec.unit.guard.chinese_pairs"):gsub("%s", "")))
        local wrong, seen, count = {}, {}, 0
        assert.equal(0, #pairs_of % 2)
        for index = 1, #pairs_of, 2 do
            local simplified, traditional = pairs_of[index], pairs_of[index + 1]
            if fold.fold(simplified) ~= fold.fold(traditional) then wrong[#wrong + 1] = ("U+%04X U+%04X"):format(simplified, traditional) end
            if not seen[simplified] then count = count + 1 end
            seen[simplified] = true
        end
        assert.same({}, wrong)
        assert.is_true(count > 1000, count .. " pairs")
    end)

    it("never many Chinese characters", function()
        local members = {}
        for code_point = 0x3400, 0x3FFFF do
            local folded = fold.fold(code_point)
            if folded >= 0 and (code_point < 0xA000 or code_point >= 0x20000) and not (code_point >= 0x2F800 and code_point < 0x2FA20) then
                members[folded] = (members[folded] or 0) + 1
                assert.is_true(members[folded] <= 7, ("U+%04X"):format(folded))
            end
        end
    end)
end)

describe("apart stay", function()
    it("letters that differ", function()
        local seen = {}
        for text in ("a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9"):gmatch("%S") do
            assert.equal(text:byte(), fold.fold(text:byte()))
        end
        for _, text in ipairs({ "б", "д", "ж", "и", "я", "γ", "δ", "λ", "σ", "ω", "ש", "ا", "ক", "か", "カ", "は", "한",
            "글", "ㄅ",
            "一", "二", "人", "入",
            "土", "士", "未", "末", "予", "豫", "弁", "辨", "缶", "罐", "糸", "絲", "欠", "缺", "沪", "滤", "〇", "零" }) do
            local folded = one(text)
            assert.is_true(folded >= 0, text)
            assert.is_nil(seen[folded], text)
            seen[folded] = text
        end
    end)

    it("Hangul syllables, whole", function()
        for code_point = 0xAC00, 0xD7A3 do
            assert.equal(code_point, fold.fold(code_point))
        end
    end)
end)

describe("marks", function()
    local function trait(text) return traits.trait_of(points(text)[1]) end
    local function has(text) return bit.band(trait(text), 0xFF) end

    it("that make letters of kana and in Cyrillic are told apart, though they fold alike", function()
        for _, pair in ipairs({ { "か", "が" }, { "は", "ば" }, { "は", "ぱ" }, { "カ", "ガ" }, { "ﾜ", "ヷ" }, { "и", "й" },
            { "е", "ё" }, { "і", "ї" }, { "у", "ў" },
            { "н", "һ" }, { "у", "ү" }, { "г", "ѓ" } }) do
            local plain, marked = pair[1], pair[2]
            same(plain, marked)
            assert.equal(0, has(plain), plain)
            assert.is_true(has(marked) > 0, marked)
            assert.equal(has(marked), bit.band(has(marked), traits.takes_of(trait(plain))), plain)
        end
        assert.are_not.equal(has("ば"), has("ぱ"))
        assert.equal(has("が"), has("\239\190\158"))
        assert.equal(has("が"), has("\227\130\153"))
    end)

    it("have sums that are the same however they are written, and no other's", function()
        local seen = {}
        for _, text in ipairs({ "á", "à", "ả", "ã", "ạ", "ă", "ắ", "ằ", "ẳ", "ẵ", "ặ", "â", "ấ", "ầ", "ẩ", "ẫ",
            "ậ", "đ", "ơ", "ớ", "ợ", "ç", "å", "ı", "ő", "ö" }) do
            local sum = traits.sum_of(trait(text))
            assert.is_true(sum ~= 0, text)
            assert.is_nil(seen[sum], text)
            seen[sum] = text
        end
        local function sum(...)
            local total = 0
            for _, text in ipairs({ ... }) do total = bit.tobit(total + traits.sum_of(trait(text))) end
            return total
        end
        assert.equal(sum("ặ"), sum("a", "\204\163", "\204\134"))
        assert.equal(sum("ặ"), sum("ă", "\204\163"))
        assert.equal(sum("Ế"), sum("ế"))
        for _, text in ipairs({ "a", "i", "İ", "ａ", "𝐚", "ⓐ", "а", "ο", "5", "中" }) do assert.equal(0, sum(text), text) end
    end)

    it("of scripts where they are letters stay, behind such letters", function()
        assert.equal("<e01><e39><e49>", shown("กู้"))
        assert.equal("<915><941>", shown("कु"))
        assert.equal("<915><93c>", shown("क़"))
        assert.equal("<915><93c>", shown("क\224\164\188"))
        assert.equal("<e19><e49><e4d><e32>", shown("น้ำ"))
        assert.equal("bad", shown("b\224\184\185a\224\165\129d"))
        assert.equal("_a", shown("-\224\184\185a"))
        assert.equal("<e01>", shown("ก\204\129"))
    end)
end)

describe("an expansion", function()
    for text, expected in pairs({
        ["ﬁ"] = "fi", ["ﬄ"] = "ffl", ["ß"] = "ss", ["ẞ"] = "ss", ["½"] = "1_2", ["™"] = "tm", ["℃"] = "_c", ["№"] = "no",
            ["㎏"] = "kg", ["⑴"] = "_1_",
        ["⒈"] = "1_", ["Ⅷ"] = "viii", ["㍿"] = "<682a><5f0f><4f1a><793e>", ["œ"] = "oe", ["⑳"] = "20", ["⓴"] = "20",
            ["℅"] = "c_o", ["㏂"] = "a_m_",
    }) do
        it("is what " .. text .. " stands for", function() assert.equal(expected, shown(text)) end)
    end

    it("has at most 18 parts", function()
        assert.equal(18, #fold.expansion(one("ﷺ")))
    end)

    it("of a number that is none is empty", function()
        assert.same({}, fold.expansion(-3 - data.expansion_count))
        assert.same({}, fold.expansion(-2))
        assert.same({}, fold.expansion(97))
        assert.is_true(#fold.expansion(-2 - data.expansion_count) >= 2)
    end)

    it("can be changed by whoever asked for it", function()
        local folded = one("ﬁ")
        fold.expansion(folded)[1] = 1
        assert.same({ 102, 105 }, fold.expansion(folded))
    end)
end)

describe("a character of words", function()
    it("is a letter or digit of a script with spaces", function()
        for _, text in ipairs({ "a", "z", "0", "9", "д", "ж", "σ", "ω", "ש", "ا", "ক", "ա", "ა", "አ", "þ", "क", "ा" }) do
            assert.is_true(fold.is_word(one(text)), text)
        end
    end)

    it("is none of a script without, of Hangul, nor anything else", function()
        for _, text in ipairs({ "中", "國", "𠮷", "々", "〇", "あ", "ア", "ー", "ㄅ", "한", "ᄀ", "ก", "ລ", "ក", "က",
            "ཀ", "ꀀ" }) do
            assert.is_true(one(text) >= 0, text)
            assert.is_false(fold.is_word(one(text)), text)
        end
        for _, code_point in ipairs({ 95, 45, 32, 10, 0x200B, 0x300, 0x3002, 0x1F600, 0 }) do
            assert.is_false(fold.is_word(code_point))
        end
        for _, folded in ipairs({ -1, -2, -3 }) do
            assert.is_false(fold.is_word(folded))
        end
    end)
end)

describe("the fold of a text", function()
    it("leaves ignored characters out and keeps each separator", function()
        assert.same({ 97, 98, -2, -2, 99 }, fold.fold_text("A\226\128\139b, C"))
        assert.same({}, fold.fold_text(""))
        assert.same({}, fold.fold_text("\239\187\191\0"))
    end)

    it("takes bytes that are not UTF-8 for separators", function()
        assert.equal("a_b", shown("a\255b"))
        assert.equal("a__", shown("a\228\184"))
        assert.equal("__a", shown("\192\128a"))
        assert.equal("___", shown("\237\160\128"))
    end)

    it("is in sight of its version", function()
        assert.equal(data.version, fold.FOLD_VERSION)
        assert.is_truthy(fold.FOLD_VERSION:match("^Unicode [%d.]+, opencc%-js [%d.]+, %x+$"))
    end)
end)
