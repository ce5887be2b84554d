-- What a guard has to find, as a definition: a word matches where its characters stand, in the folded text, one after the other.
-- Ignored characters are not there. Between the characters of a loose word there may be up to eight separators; an exact
-- word must have some where it was written with some, and none elsewhere. A whole word has no word character beside it.
--
-- A character has its marks with it, but in scripts where marks are characters. A word in Latin letters that has marks anywhere wants the marks
-- of all its letters as they are; one in Cyrillic, and kana, those that could make other letters of its own. A word of
-- Greek or Cyrillic letters that all look Latin wants one of its script. Letters of Hangul that make a syllable are one character.
-- Written to be read and not to be fast: of the guard it knows no more than what characters fold to, and their traits.

local bit = require("bit")
local fold = require("sluice.guard.fold")
local traits = require("sluice.guard.traits")

local reference = {}

local BLOCK = 0x2588
local IGNORED, SEPARATOR, FIRST_EXPANSION = -1, -2, -3
local MOST_SEPARATORS = 8
-- No word of the specs and what may stand between its characters is longer.
local WINDOW = 120

local LATIN, GREEK, CYRILLIC, KANA = 1, 2, 3, 4
local ALIKE = { [LATIN] = true, [GREEK] = true, [CYRILLIC] = true }
local DOT = 0x307

local function traits_of(code_point)
    local trait = traits.trait_of(code_point)
    return {
        has = bit.band(trait, 0xFF), takes = traits.takes_of(trait), script = traits.script_of(trait), sum = traits.sum_of(trait),
        mark = bit.band(trait, 0x80000) ~= 0, counts = bit.band(trait, 0x100000) ~= 0,
    }
end

-- What no word goes across.
local END = -1000000000

-- The letters of Hangul: which consonants and vowels they are, from 0, as the Unicode Standard counts them (3.12).
local TRAILING = {}
for index, trailing in ipairs({ 1, 2, 4, 7, 0, 8, 16, 17, 0, 19, 20, 21, 22, 0, 23, 24, 25, 26, 27 }) do
    TRAILING[index - 1] = trailing > 0 and trailing or nil
end

local function leading(code_point)
    local folded = fold.fold(code_point)
    return folded >= 0x1100 and folded <= 0x1112 and folded - 0x1100 or nil
end

local function vowel(code_point)
    local folded = fold.fold(code_point)
    return folded >= 0x1161 and folded <= 0x1175 and folded - 0x1161 or nil
end

-- The trailing consonant, and whether it may be the next syllable's first as well: one that a keyboard wrote.
local function trailing(code_point)
    local folded = fold.fold(code_point)
    if folded >= 0x11A8 and folded <= 0x11C2 then
        return folded - 0x11A7, false
    end
    local index = leading(code_point)
    if index and folded ~= code_point then
        return TRAILING[index], true
    end
end

function reference.is_separator(code_point)
    return fold.fold(code_point) == SEPARATOR
end

function reference.is_ignored(code_point)
    local trait, folded = traits_of(code_point), fold.fold(code_point)
    return folded == IGNORED or (folded > FIRST_EXPANSION and trait.mark and trait.counts)
end

-- The next unit behind `at` that is not ignored, nor a mark.
local function next_of(units, at)
    repeat
        at = at + 1
    until not units[at] or units[at].ends or fold.fold(units[at][1]) ~= IGNORED
    return units[at] and not units[at].ends and at or nil, units[at] == nil
end

-- The units with syllables in place of their letters. Those that may still grow are `held`.
local function composed(units)
    local made, at = {}, 1
    while units[at] do
        local unit = units[at]
        local first = not unit.ends and leading(unit[1])
        local second, open = next_of(units, at)
        local sound = first and second and vowel(units[second][1])
        if sound then
            local third, ends = next_of(units, second)
            local last, moves
            if third then last, moves = trailing(units[third][1]) end
            local fourth, over = nil, false
            if last and moves then fourth, over = next_of(units, third) end
            local changes = { { unit[3], units[second][2] }, last and { units[second][3], units[third][2] } or nil }
            if last and moves and fourth and vowel(units[fourth][1]) then last = nil end
            local till = last and third or second
            made[#made + 1] = {
                0xAC00 + (first * 21 + sound) * 28 + (last or 0), unit[2], units[till][3], held = (not last and ends) or (last and moves and over),
                changes = changes,
            }
            at = till + 1
        else
            made[#made + 1] = first and { unit[1], unit[2], unit[3], held = open } or unit
            at = at + 1
        end
    end
    return made
end

local function add_item(items, value, unit, masked, trait)
    items[#items + 1] = {
        value = value, word = value >= 0 and ((masked and value == BLOCK) or fold.is_word(value)), first = unit[2], last = unit[3],
        held = unit.held, changes = unit.changes, trait = trait, sum = trait.sum, has = trait.has, marks = {},
    }
end

local NOTHING = { sum = 0, has = 0, script = 0, takes = 0 }

local function add_mark(items, code_point, unit, masked, trait)
    local before = items[#items]
    if not before or before.value < 0 or before.held then
        return
    end
    if trait.counts and traits_of(before.value).counts and fold.is_word(before.value) == fold.is_word(code_point) then
        add_item(items, code_point, unit, masked, NOTHING)
    else
        -- The dot of i and j is none.
        local sum = code_point == DOT and (before.value == 105 or before.value == 106) and 0 or trait.sum
        before.sum = bit.tobit(before.sum + sum)
        before.has = bit.bor(before.has, trait.has)
        before.marks[#before.marks + 1] = unit
    end
end

local function add_character(items, code_point, unit, masked)
    local trait, value = traits_of(code_point), fold.fold(code_point)
    if value <= FIRST_EXPANSION then
        for _, part in ipairs(fold.expansion(value)) do
            if part == SEPARATOR then
                add_item(items, part, unit, masked, NOTHING)
            else
                add_character(items, part, unit, masked)
            end
        end
    elseif trait.mark then
        add_mark(items, code_point, unit, masked, trait)
    elseif value ~= IGNORED then
        add_item(items, value, unit, masked, trait)
    end
end

-- units: each { code_point, first, last }: a character, and where it is written. Returns what they fold to, and whether the last of it may
-- still grow. `masked`: a full block stands for a character that was masked, and keeps apart what that kept apart.
function reference.items(units, masked)
    local items = {}
    for _, unit in ipairs(composed(units)) do
        if unit.ends then
            add_item(items, END, unit, masked, NOTHING)
        else
            add_character(items, unit[1], unit, masked)
        end
    end
    return items
end

local function script_of_word(characters)
    local seen = {}
    for _, item in ipairs(characters) do
        seen[item.trait.script] = true
    end
    return not seen[LATIN] and ((seen[GREEK] and not seen[CYRILLIC] and GREEK) or (seen[CYRILLIC] and not seen[GREEK] and CYRILLIC)) or LATIN
end

-- Says of each of the word's characters what it must be beyond what it folds to.
local function add_letters(word, characters)
    local script = script_of_word(characters)
    local marked, shown = false, false
    for _, item in ipairs(characters) do
        marked = marked or (ALIKE[item.trait.script] and item.sum ~= 0)
        shown = shown or traits_of(item.value).script == script
    end
    word.script = script ~= LATIN and not shown and script or nil
    for place, item in ipairs(characters) do
        if script == LATIN and marked and ALIKE[item.trait.script] then
            word.letters[place] = { sum = item.sum }
        elseif item.trait.takes ~= 0 and (item.trait.script == KANA or (script == CYRILLIC and item.trait.script == CYRILLIC)) then
            word.letters[place] = { takes = item.trait.takes, has = bit.band(item.has, item.trait.takes) }
        end
    end
    word.open = word.letters[#characters] ~= nil
end

-- words: each { "word", action = "mask", whole = true, loose = true }. Returns them with their characters and gaps.
function reference.words(words)
    local made = {}
    for index, word in ipairs(words) do
        local units, at = {}, 0
        for _, code_point in ipairs(reference.decoded(word[1])) do
            at = at + 1
            units[at] = { code_point, at, at }
        end
        local characters, kept, gaps, gap = {}, {}, {}, false
        for _, item in ipairs(reference.items(units)) do
            if item.value == SEPARATOR then
                gap = true
            else
                if gap and #characters > 0 then
                    gaps[#characters] = true
                end
                gap = false
                characters[#characters + 1] = item.value
                kept[#kept + 1] = item
            end
        end
        local one = {
            characters = characters, gaps = gaps, action = word.action, whole = word.whole, loose = word.loose, text = word[1], letters = {},
        }
        add_letters(one, kept)
        made[index] = one
    end
    return made
end

function reference.decoded(text)
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

-- The same words as the text of a list.
function reference.list(words)
    local lines = {}
    for index, word in ipairs(words) do
        lines[index] = ("%s\t%s %s %s"):format(word[1], word.action, word.whole and "whole" or "part", word.loose and "loose" or "exact")
    end
    return table.concat(lines, "\n")
end

-- How far the word gets from the item on: the last item of the word, or nil; whether the items end first; and the items of its
-- characters. `roughly`: separators may stand between any of its characters.
local function follow(items, word, from, roughly)
    local at, places = from, {}
    for place, character in ipairs(word.characters) do
        local separators = 0
        while place > 1 and items[at] and items[at].value == SEPARATOR do
            separators = separators + 1
            at = at + 1
        end
        local wrong = separators > MOST_SEPARATORS
        if place > 1 and not word.loose and not roughly then
            wrong = wrong or (separators > 0 and not word.gaps[place - 1])
            wrong = wrong or (separators == 0 and word.gaps[place - 1] and items[at] ~= nil)
        end
        if wrong or (items[at] and items[at].value ~= character) then
            return nil, false
        elseif not items[at] then
            return nil, true
        end
        places[place] = at
        at = at + 1
    end
    return at - 1, false, places
end

local function begins(items, word, from)
    return items[from].value == word.characters[1] and not (word.whole and from > 1 and items[from - 1].word)
end

-- Whether the letters are the word's beyond what they fold to.
local function fits(items, word, places)
    local shown = not word.script
    for place, at in ipairs(places) do
        local letter, item = word.letters[place], items[at]
        shown = shown or item.trait.script == word.script
        if letter and letter.sum and letter.sum ~= item.sum then
            return false
        elseif letter and letter.takes and letter.has ~= bit.band(item.has, letter.takes) then
            return false
        end
    end
    return shown
end

local function is_hangul(value)
    return (value >= 0xAC00 and value <= 0xD7A3) or (value >= 0x1100 and value <= 0x11FF)
end

-- All matches, as { word, first item, last item, and where they are written }. `settled`: by number of items, whether the text may have
-- ended behind so many.
function reference.matches(items, words, settled)
    local found = {}
    for from = 1, #items do
        for _, word in ipairs(words) do
            if begins(items, word, from) then
                local last, _, places = follow(items, word, from)
                local behind = last and items[last + 1]
                local ended = last and (not word.whole or not behind or not behind.word or (settled and settled[last]))
                -- Where log probabilities were taken out, marks of the word's last letter may have been, or more of its syllable.
                local grows = word.open or is_hangul(word.characters[#word.characters])
                ended = ended and not (grows and behind and behind.value == BLOCK and behind.word)
                if ended and fits(items, word, places) then
                    local marks = word.open and items[last].marks or {}
                    local till = marks[#marks] and marks[#marks][3] or items[last].last
                    found[#found + 1] = { word = word, first = from, last = last, from = items[from].first, till = till }
                end
            end
        end
    end
    return found
end

-- The first item from which on something may still become a match that has to be kept from the client, or nil. `roughly`: as
-- far as can be told without looking at separators. `settled`: as for matches. What marks a letter has is known at the end only.
function reference.live(all, words, settled, roughly)
    local items, held = all, nil
    if #all > 0 and all[#all].held and not settled[#all] then
        items, held = { unpack(all, 1, #all - 1) }, #all
    end
    for from = math.max(1, #items - WINDOW), #items do
        for _, word in ipairs(words) do
            if word.action ~= "flag" and begins(items, word, from) then
                local last, open = follow(items, word, from, roughly)
                if open or (last == #items and (word.whole or word.open) and not settled[last]) then
                    return from
                end
            end
        end
    end
    for _, word in ipairs(words) do
        if held and word.action ~= "flag" and is_hangul(word.characters[1]) then
            return held
        end
    end
end

-- Words that would be matches, were it not for the character, the mark or the part of a syllable behind them: where the word ends, and
-- where that is. All parts of a syllable are told, whether a word ends with them or not.
function reference.refuted(items, words, settled)
    local found = {}
    for from = math.max(1, #items - WINDOW), #items do
        for _, change in ipairs(items[from].changes or {}) do
            found[#found + 1] = change
        end
    end
    for from = math.max(1, #items - WINDOW), #items do
        for _, word in ipairs(words) do
            if (word.whole or word.open) and word.action ~= "flag" and begins(items, word, from) then
                local last = follow(items, word, from)
                if last and items[last + 1] and items[last + 1].word and not settled[last] then
                    found[#found + 1] = { items[last].last, items[last + 1].first }
                end
                for _, mark in ipairs(last and word.open and items[last].marks or {}) do
                    found[#found + 1] = { items[last].last, mark[2] }
                end
            end
        end
    end
    return found
end

-- Of matches that overlap those that are masked: the one that begins first, the longest.
function reference.chosen(matches)
    local sorted = {}
    for _, match in ipairs(matches) do
        if match.word.action == "mask" then
            sorted[#sorted + 1] = match
        end
    end
    table.sort(sorted, function(a, b)
        return a.from < b.from or (a.from == b.from and a.till > b.till)
    end)
    local chosen, till = {}, 0
    for _, match in ipairs(sorted) do
        if match.from > till then
            till = match.till
            chosen[#chosen + 1] = match
        end
    end
    return chosen
end

-- The units with what was chosen masked, as code points.
function reference.masked(units, code_points, chosen)
    local made, next_match = {}, 1
    for _, unit in ipairs(units) do
        while chosen[next_match] and chosen[next_match].till < unit[2] do
            next_match = next_match + 1
        end
        local match = chosen[next_match]
        if match and unit[2] >= match.from then
            if unit[3] > unit[2] then
                made[#made + 1] = BLOCK
            elseif reference.is_separator(unit[1]) then
                made[#made + 1] = unit[1]
            elseif not reference.is_ignored(unit[1]) then
                made[#made + 1] = BLOCK
            end
        else
            for at = unit[2], unit[3] do
                made[#made + 1] = code_points[at]
            end
        end
    end
    return made
end

local SIMPLE = { [0x62] = 8, [0x66] = 12, [0x6E] = 10, [0x72] = 13, [0x74] = 9 }

-- One unit for each character.
function reference.plain_units(code_points)
    local units = {}
    for index, code_point in ipairs(code_points) do
        units[index] = { code_point, index, index }
    end
    return units
end

local function hex(code_points, from)
    local value = 0
    for at = from, from + 3 do
        local digit = code_points[at]
        if not digit then
            return nil
        end
        local number = digit < 128 and tonumber(string.char(digit), 16)
        if not number then
            return -1
        end
        value = value * 16 + number
    end
    return value
end

-- [ ] { } , :
local STRUCTURAL = { [0x5B] = true, [0x5D] = true, [0x7B] = true, [0x7D] = true, [0x2C] = true, [0x3A] = true }

-- The same of JSON inside a string, its escapes decoded. Returns also where an escape begins that has not ended yet.
function reference.nested_units(code_points)
    local units, at, quoted = {}, 1, false
    while at <= #code_points do
        local code_point, last = code_points[at], at
        if code_point == 92 then
            local letter = code_points[at + 1]
            if not letter then
                return units, at
            elseif letter ~= 117 then
                code_point, last = SIMPLE[letter] or letter, at + 1
            else
                code_point, last = hex(code_points, at + 2), at + 5
                if code_point and code_point >= 0xD800 and code_point < 0xDC00 then
                    local low = hex(code_points, at + 8)
                    code_point, last = low and 0x10000 + (code_point - 0xD800) * 1024 + low - 0xDC00, at + 11
                end
                if not code_point then
                    return units, at
                elseif code_point < 0 then
                    -- No escape at all: the characters that stand there.
                    code_point, last = 92, at
                end
            end
        end
        -- Each value of the inner JSON is a text of its own.
        local quote = code_point == 34 and last == at
        units[#units + 1] = { code_point, at, last, ends = quote or (not quoted and STRUCTURAL[code_point]) }
        quoted = quoted ~= quote
        at = last + 1
    end
    return units
end

return reference
