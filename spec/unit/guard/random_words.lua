-- Hostile words and texts: words that overlap, begin and end alike, in disguises.

local json = require("sluice.wire.json")

local random_words = {}

local random = math.random

local SETS = {
    {
        { "敏感词", loose = true }, { "敏感", loose = true }, { "感词语", loose = true }, { "词语录", loose = true },
        { "语录敏感词", loose = true },
        { "bad", whole = true }, { "badge", whole = true }, { "adge", whole = true }, { "bad ge", whole = true }, { "a-d", whole = true },
        { "群qq", loose = true }, { "qq群", loose = true }, { "1989", whole = true },
    },
    {
        { "词", loose = true }, { "感感", loose = true }, { "感感词录", loose = true }, { "感感感语" }, { "词 语" }, { "录-语-感" },
        { "aa", whole = true }, { "aaab", loose = true }, { "aab a", whole = true, loose = true }, { "ba" },
        { "b a b", whole = true }, { "ab9", whole = true },
    },
    {
        { "录语", whole = true, loose = true }, { "语词敏", loose = true }, { "词敏感语" }, { "敏感语词", whole = true },
        { "office", whole = true },
        { "fic", loose = true }, { "ss", whole = true }, { "strasse", whole = true }, { "qss9", loose = true },
        { "s s q", whole = true }, { "敏q", loose = true },
    },
}

-- Words whose marks count, each set with the letters and marks of its texts. One text of a choice at a time: what a mark or a part of a
-- syllable belongs to is not known once another text of the choice has begun.
local MARKED = {
    {
        -- Vietnamese, and words without marks.
        { "cặc", whole = true }, { "các", whole = true }, { "cac", whole = true }, { "ặc", loose = true }, { "đi", loose = true },
        { "di", whole = true },
        { "ca\204\163c", loose = true }, { "ứ", whole = true }, { "a c", whole = true }, { "ế敏", loose = true },
        letters = "cacaaiđêươuệặáứ敏ſc", marks = { 0x301, 0x323, 0x306, 0x302, 0x31B, 0x307, 0x20DD, 0xE31 },
    },
    {
        -- Russian and Greek, beside Latin words of the same look.
        { "сука", loose = true }, { "ёлка", loose = true }, { "елка", loose = true }, { "йо", loose = true }, { "ио",
        loose = true }, { "cop", whole = true },
        { "сор", loose = true }, { "ор" }, { "νοτε", loose = true }, { "note", whole = true }, { "ту", whole = true }, { "тү",
        loose = true }, { "pec", loose = true },
        letters = "сукаёлейиорcopуүнοτενnotЁЙЎў", marks = { 0x301, 0x306, 0x308, 0x304 },
    },
    {
        -- Thai and Hindi, with words that none of their marks may touch.
        { "กู", loose = true }, { "กูก", loose = true }, { "หี" }, { "น้ำ", loose = true }, { "कु", loose = true },
        { "कुक", whole = true }, { "क़", loose = true },
        { "bad", whole = true }, { "敏感", loose = true }, { "aก", loose = true },
        letters = "กกูหนาำคकककखbada敏感क़", marks = { 0xE39, 0xE35, 0xE49, 0xE4D, 0x941, 0x93C, 0x94D, 0x301, 0xF73 },
    },
    {
        -- Kana and Hangul, whole and in parts.
        { "ガス", loose = true }, { "カス", loose = true }, { "がか", loose = true }, { "か", whole = true }, { "ば敏" },
        { "한글", loose = true }, { "하", loose = true },
        { "시발", loose = true }, { "ㅅㅂ", loose = true }, { "가각", loose = true }, { "qq", whole = true },
        letters = "ガカスがかバパは敏한글하시발ㅅㅂㅏㄹㅎㄴㅣㄱ각가ᄀᄒ사ᅵᆨᆫｶｽqq㌀",
            marks = { 0x3099, 0x309A, 0xFF9E, 0x301 },
    },
}

local function decoded(text)
    local made = {}
    for character in text:gmatch("[%z\1-\127\194-\244][\128-\191]*") do
        local lead = character:byte()
        local value = lead < 128 and lead or lead % (lead < 224 and 32 or lead < 240 and 16 or 8)
        for at = 2, #character do
            value = value * 64 + character:byte(at) % 64
        end
        made[#made + 1] = value
    end
    return made
end
random_words.decoded = decoded

function random_words.encoded(code_points, from, to)
    local parts = {}
    for at = from or 1, to or #code_points do
        parts[#parts + 1] = json.encode_utf8(code_points[at])
    end
    return table.concat(parts)
end

local TRADITIONAL = { [0x8BCD] = 0x8A5E, [0x8BED] = 0x8A9E, [0x5F55] = 0x9304 }
local LETTERS = decoded("敏感词语录群abdegqs19fico")
local SEPARATORS = decoded(" *。-\"\\/\n，_.😀\t'")
local IGNORED = { 0x200B, 0x301, 0xFEFF, 0xAD, 0xFE0F, 0x200D }
-- Ligatures and letters that stand for several, letters of other planes, a Hangul syllable, the full block.
local OTHERS = decoded("ﬁﬀﬃßÄ𝐛𝐚𝐝①한█好x🀄ab")

local function any(list)
    return list[random(#list)]
end

-- What some letters may be written as: with their marks apart, syllables in their letters.
local function spellings()
    local made = {}
    for composed, parts in pairs({
        ["ặ"] = "a\204\163\204\134", ["á"] = "a\204\129", ["ê"] = "e\204\130", ["ệ"] = "e\204\163\204\130", ["ế"] = "ê\204\129",
            ["ứ"] = "u\204\155\204\129",
        ["ё"] = "е\204\136", ["й"] = "и\204\134", ["ガ"] = "カ\227\130\153", ["が"] = "か\227\130\153",
            ["ば"] = "は\227\130\153", ["カ"] = "ｶ", ["ス"] = "ｽ",
        ["한"] = "한", ["글"] = "ㄱㅡㄹ", ["하"] = "하", ["시"] = "ㅅㅣ", ["발"] = "ㅂㅏㄹ", ["가"] = "가",
            ["각"] = "ㄱㅏㄱ", ["ำ"] = "ํา",
        ["с"] = "c", ["у"] = "y", ["о"] = "ο", ["e"] = "е", ["क़"] = "क\224\164\188",
    }) do
        made[decoded(composed)[1]] = decoded(parts)
    end
    return made
end
local SPELLINGS = spellings()

-- One of the sets of words. Its words have the actions in turn.
function random_words.set(actions)
    local made, turn = {}, random(#actions)
    local set = any(random(2) == 1 and SETS or MARKED)
    if set.letters then
        made.letters, made.marks = decoded(set.letters), set.marks
    end
    for index, word in ipairs(set) do
        made[index] = { word[1], whole = word.whole, loose = word.loose, action = actions[(index + turn) % #actions + 1] }
    end
    return made
end

local function disguised(code_point)
    if random(4) > 1 then
        return code_point
    end
    if code_point > 32 and code_point < 127 and random(2) == 1 then
        return code_point + 0xFEE0
    end
    if code_point >= 97 and code_point <= 122 then
        return code_point - 32
    end
    return TRADITIONAL[code_point] or code_point
end

-- Appends a character of a word whose marks count, perhaps in its parts, perhaps with a mark more.
local function add_spelled(made, code_point, words)
    local parts = random(3) == 1 and SPELLINGS[code_point] or { code_point }
    for _, part in ipairs(parts) do
        made[#made + 1] = part
    end
    if random(8) == 1 then
        made[#made + 1] = any(words.marks)
    end
end

local function add_word(made, word, words)
    local calm = random(3) == 1
    local from, to = 1, #word
    if random(3) == 1 then
        from = random(#word)
        to = random(from, #word)
    end
    for at = from, to do
        if words.letters then
            add_spelled(made, word[at], words)
        else
            made[#made + 1] = calm and word[at] or disguised(word[at])
        end
        if not calm and random(4) == 1 then
            for _ = 1, random(5) == 1 and random(7, 10) or random(2) do
                made[#made + 1] = any(SEPARATORS)
            end
        end
        if not calm and random(5) == 1 then
            made[#made + 1] = any(IGNORED)
        end
    end
end

-- A text as code points.
function random_words.text(words, most)
    local made = {}
    local dense = random(3)
    for _ = 1, random(0, most) do
        local choice = random(10)
        if choice <= dense * 2 then
            add_word(made, decoded(any(words)[1]), words)
        elseif words.letters and choice <= 8 then
            add_spelled(made, any(words.letters), words)
        elseif choice <= 8 then
            made[#made + 1] = disguised(any(LETTERS))
        elseif choice == 9 then
            made[#made + 1] = any(random(2) == 1 and SEPARATORS or IGNORED)
        else
            made[#made + 1] = any(OTHERS)
        end
    end
    return made
end

local SHORT = { [34] = '\\"', [92] = "\\\\", [8] = "\\b", [12] = "\\f", [10] = "\\n", [13] = "\\r", [9] = "\\t" }

local function unit(value)
    return ((random(2) == 1 and "\\u%04x" or "\\u%04X"):format(value))
end

-- The inside of a JSON string; one in `rarity` characters is escaped without need.
function random_words.escaped(code_points, from, to, rarity)
    local parts = {}
    for at = from, to do
        local code_point = code_points[at]
        local part
        if random(rarity) > 1 then
            part = SHORT[code_point] or (code_point >= 32 and json.encode_utf8(code_point))
        elseif code_point == 47 then
            part = "\\/"
        end
        if not part and code_point >= 0x10000 then
            part = unit(0xD800 + math.floor((code_point - 0x10000) / 1024)) .. unit(0xDC00 + code_point % 1024)
        end
        parts[#parts + 1] = part or unit(code_point)
    end
    return table.concat(parts)
end

-- JSON with the text in it, as code points: the arguments of a tool call.
function random_words.arguments(code_points)
    local rarity = random(1, 6)
    local cut = random(0, #code_points)
    local first = random_words.escaped(code_points, 1, cut, rarity)
    local second = random_words.escaped(code_points, cut + 1, #code_points, rarity)
    return decoded(("{\"k\":\"%s\",\"x%s\":[true, -0.5e1,\"y\"]}"):format(first, second))
end

return random_words
