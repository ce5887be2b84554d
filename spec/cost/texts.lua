-- Texts for which the gateway's cost is looked for. A text repeats a recipe: a list of atoms, each the name of a class of characters (or of
-- something larger) from which another one is drawn every time. What an atom gives is as it stands in a JSON string.

local encode = require("sluice.wire.json").encode_utf8

local texts = {}

-- A source of random numbers of our own: the same seed gives the same texts everywhere. `random(n)`: 1 to n.
function texts.random_source(seed)
    local state = seed % 2147483647
    if state < 1 then
        state = state + 2147483646
    end
    return function(count)
        state = state * 16807 % 2147483647
        return state % count + 1
    end
end

-- Words of the guards' larger list: beginnings in common, inside of each other, and of both writings.
function texts.words()
    local random = texts.random_source(7)
    local words = { "zebra", "quartz", "foxtrot", "browser", "jumping", "12345 6789", "9876", "\228\187\163\232\180\173", "caf\195\169" }
    for _ = 1, 3000 do
        local word = {}
        for place = 1, random(4) + 1 do
            word[place] = encode(0x4e00 + random(600))
        end
        words[#words + 1] = table.concat(word)
    end
    for _ = 1, 1000 do
        local word = {}
        for place = 1, random(6) + 2 do
            word[place] = string.char(96 + random(6))
        end
        words[#words + 1] = table.concat(word) .. (random(3) == 1 and "\tloose, part" or "")
    end
    return words
end

local function from(first, last)
    return function(random) return encode(first + random(last - first + 1) - 1) end
end

local function one_of(list) return function(random) return list[random(#list)] end end

local function digits(random, count)
    local made = {}
    for index = 1, count do
        made[index] = random(10) - 1
    end
    return table.concat(made)
end

local WORDS = texts.words()

texts.ATOMS = {
    digit = from(48, 57), one = one_of({ "1" }), group = function(random) return digits(random, 4) end,
    many_digits = function(random) return digits(random, 40) end,
    hex = one_of({ "a", "b", "c", "d", "e", "f" }), x = one_of({ "x", "X" }),
    letter = from(97, 122), capital = from(65, 90), listed_letter = from(97, 102),
    word = one_of({ "the ", "quick ", "brown ", "fox, ", "jumps ", "over ", "lazy ", "dogs. " }),
    blank = one_of({ " " }), tab = one_of({ "\\t" }), newline = one_of({ "\\n" }), hyphen = one_of({ "-" }), dot = one_of({ "." }),
    comma = one_of({ "," }), semicolon = one_of({ ";" }), colon = one_of({ ":" }), slash = one_of({ "/" }), sign = one_of({ "_", "%", "+" }),
    at = one_of({ "@" }), mark = one_of({ "!", "?", "#", "&", "(", ")", "=", "*" }), bracket = one_of({ "[", "]", "{", "}" }),
    quote = one_of({ '\\"' }), backslash = one_of({ "\\\\" }), separators = one_of({ "--------", "        ", "-.-.-.-.-" }),
    wide_digit = from(0xff10, 0xff19), circled = from(0x2460, 0x2473), other_digit = from(0x660, 0x669), mathematical = from(0x1d7ce, 0x1d7ff),
    wide_letter = from(0xff41, 0xff5a), dash = from(0x2010, 0x2015), wide_mark = from(0xff01, 0xff0f), wide_blank = one_of({ "\227\128\128" }),
    ideograph = from(0x4e00, 0x5058), rare_ideograph = from(0x6000, 0x8000), kana = from(0x3042, 0x3093), hangul = from(0xac00, 0xac80),
    thai = from(0xe01, 0xe30), vowel_sign = from(0xe34, 0xe3a), devanagari = from(0x905, 0x939),
    cyrillic = from(0x430, 0x44f), greek = from(0x3b1, 0x3c9), accented = from(0xe0, 0xf6), arabic = from(0x627, 0x64a),
    combining = from(0x300, 0x30f), zero_width = one_of({ "\226\128\139", "\226\128\141", "\239\184\143" }), soft_hyphen = one_of({ "\194\173" }),
    emoji = from(0x1f600, 0x1f64f), expanding = one_of({ "\195\159", "\226\146\136", "\194\189", "\227\142\161", "\226\128\166", "\239\172\131" }),
    escaped_digit = function(random) return ("\\u%04x"):format(47 + random(10)) end,
    escaped_letter = function(random) return ("\\u%04x"):format(96 + random(26)) end,
    escaped_ideograph = function(random) return ("\\u%04x"):format(0x4dff + random(600)) end,
    escaped_pair = function(random) return ("\\ud83d\\ude%02x"):format(random(64) - 1) end,
    inner_escape = one_of({ "\\\\n", '\\\\\\"', "\\\\u0031", "\\\\u4ee3" }),
    listed = function(random) return (WORDS[random(#WORDS)]:gsub("\t.*", "")) end,
    nearly_listed = function(random)
        local word = WORDS[random(#WORDS)]:gsub("\t.*", "")
        return word:match("^(.*)[%z\1-\127\194-\244][\128-\191]*$")
    end,
    mobile = function(random) return "13" .. digits(random, 9) end,
    card = one_of({ "4111111111111111", "4111 1111 1111 1111", "4111111111111112" }),
    identity = one_of({ "11010519491231002X", "110105194912310021" }), ssn = one_of({ "078-05-1120", "078-05-112" }),
    address = one_of({ "a@b.co", "some.one@mail.example.org", "a@b", "a.b@c." }),
    base64 = one_of({ "QUJD", "Z2g=", "a+b/", "x9Y8" }), stamp = one_of({ "2024-01-01T00:00:00Z", "2023-12-31 23:59:59" }),
    uuid = one_of({ "550e8400-e29b-41d4-a716-446655440000" }),
}

texts.NAMES = {}
for name in pairs(texts.ATOMS) do
    texts.NAMES[#texts.NAMES + 1] = name
end
table.sort(texts.NAMES)

local MOST_ATOMS = 12

function texts.random_atom(random) return texts.NAMES[random(#texts.NAMES)] end

function texts.random_recipe(random)
    local recipe = {}
    for index = 1, random(4) do
        recipe[index] = texts.random_atom(random)
    end
    return recipe
end

-- Another recipe that is like this one: an atom more, less, twice or another; or with a part of a second recipe.
function texts.mutated(recipe, random, other)
    local made = { unpack(recipe) }
    local way = random(5)
    local at = random(#made)
    if way == 1 and #made < MOST_ATOMS then
        table.insert(made, at, texts.random_atom(random))
    elseif way == 2 and #made > 1 then
        table.remove(made, at)
    elseif way == 3 and #made < MOST_ATOMS then
        table.insert(made, at, made[random(#made)])
    elseif way == 4 and other then
        for index = random(#other), #other do
            if #made < MOST_ATOMS then
                made[#made + 1] = other[index]
            end
        end
    else
        made[at] = texts.random_atom(random)
    end
    return made
end

-- Pieces of the text of that recipe, one for each time it is repeated, of at least `bytes` bytes together.
function texts.pieces(recipe, bytes)
    local random = texts.random_source(#recipe * 1000 + bytes)
    local pieces, size = {}, 0
    while size < bytes do
        local piece = {}
        for index, name in ipairs(recipe) do
            piece[index] = texts.ATOMS[name](random)
        end
        pieces[#pieces + 1] = table.concat(piece)
        size = size + #pieces[#pieces]
    end
    return pieces
end

return texts
