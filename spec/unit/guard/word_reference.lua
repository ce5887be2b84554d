-- What a guard has to find, as a definition: a word matches where its characters stand, in the folded text, one after the other.
-- Ignored characters are not there. Between the characters of a loose word there may be up to eight separators; an exact
-- word must have some where it was written with some, and none elsewhere. A whole word has no word character beside it.
-- Written to be read and not to be fast: of the guard it knows no more than what characters fold to.

local fold = require("sluice.guard.fold")

local reference = {}

local BLOCK = 0x2588
local IGNORED, SEPARATOR, FIRST_EXPANSION = -1, -2, -3
local MOST_SEPARATORS = 8
-- No word of the specs and what may stand between its characters is longer.
local WINDOW = 120

-- words: each { "word", action = "mask", whole = true, loose = true }. Returns them with their characters and gaps.
function reference.words(words)
    local made = {}
    for index, word in ipairs(words) do
        local characters, gaps, gap = {}, {}, false
        for _, value in ipairs(fold.fold_text(word[1])) do
            if value == SEPARATOR then
                gap = true
            else
                if gap and #characters > 0 then
                    gaps[#characters] = true
                end
                gap = false
                characters[#characters + 1] = value
            end
        end
        made[index] = {
            characters = characters, gaps = gaps, action = word.action, whole = word.whole, loose = word.loose, text = word[1],
        }
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

-- What no word goes across.
local END = -1000000000

local function parts_of(code_point)
    local value = fold.fold(code_point)
    if value == IGNORED then
        return {}
    end
    return value <= FIRST_EXPANSION and fold.expansion(value) or { value }
end

function reference.is_separator(code_point)
    return fold.fold(code_point) == SEPARATOR
end

function reference.is_ignored(code_point)
    return fold.fold(code_point) == IGNORED
end

-- units: each { code_point, first, last }: a character, and where it is written. Appends what they fold to to `items`. `masked`:
-- a full block stands for a character that was masked, and keeps apart what that kept apart.
function reference.append(items, units, from, masked)
    for index = from or 1, #units do
        local unit = units[index]
        for _, value in ipairs(unit.ends and { END } or parts_of(unit[1])) do
            items[#items + 1] = {
                value = value,
                word = value >= 0 and ((masked and value == BLOCK) or fold.is_word(value)),
                first = unit[2], last = unit[3],
            }
        end
    end
    return items
end

-- How far the word gets from the item on: the last item of the word, or nil; whether the items end first; and the place of the last item.
-- `roughly`: separators may stand between any of its characters.
local function follow(items, word, from, roughly)
    local at = from
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
        at = at + 1
    end
    return at - 1, false
end

local function begins(items, word, from)
    return items[from].value ~= SEPARATOR and not (word.whole and from > 1 and items[from - 1].word)
end

-- All matches, as { word, first item, last item }. `settled`: by number of items, whether the text may have ended behind so many.
function reference.matches(items, words, settled)
    local found = {}
    for from = 1, #items do
        for _, word in ipairs(words) do
            if items[from].value == word.characters[1] and begins(items, word, from) then
                local last = follow(items, word, from)
                local ended = last and (not word.whole or not items[last + 1] or not items[last + 1].word or (settled and settled[last]))
                if ended then
                    found[#found + 1] = { word = word, first = from, last = last }
                end
            end
        end
    end
    return found
end

-- The first item from which on something may still become a match that has to be kept from the client, or nil. `roughly`: as
-- far as can be told without looking at separators. `settled`: as for matches.
function reference.live(items, words, settled, roughly)
    for from = math.max(1, #items - WINDOW), #items do
        for _, word in ipairs(words) do
            if word.action ~= "flag" and items[from].value == word.characters[1] and begins(items, word, from) then
                local last, open = follow(items, word, from, roughly)
                if open or (last == #items and word.whole and not settled[last]) then
                    return from
                end
            end
        end
    end
end

-- Words that would be matches, were it not for the character behind them: the word's last item, and that behind it.
function reference.refuted(items, words, settled)
    local found = {}
    for from = math.max(1, #items - WINDOW), #items do
        for _, word in ipairs(words) do
            if word.whole and word.action ~= "flag" and items[from].value == word.characters[1] and begins(items, word, from) then
                local last = follow(items, word, from)
                if last and items[last + 1] and items[last + 1].word and not settled[last] then
                    found[#found + 1] = { last, last + 1 }
                end
            end
        end
    end
    return found
end

-- Of matches that overlap those that are masked: the one that begins first, the longest.
function reference.chosen(items, matches)
    local sorted = {}
    for _, match in ipairs(matches) do
        if match.word.action == "mask" then
            sorted[#sorted + 1] = match
        end
    end
    table.sort(sorted, function(a, b)
        local first_a, first_b = items[a.first].first, items[b.first].first
        return first_a < first_b or (first_a == first_b and items[a.last].last > items[b.last].last)
    end)
    local chosen, till = {}, 0
    for _, match in ipairs(sorted) do
        if items[match.first].first > till then
            till = items[match.last].last
            chosen[#chosen + 1] = match
        end
    end
    return chosen
end

-- The units with what was chosen masked, as code points.
function reference.masked(units, code_points, items, chosen)
    local made, next_match = {}, 1
    for _, unit in ipairs(units) do
        while chosen[next_match] and items[chosen[next_match].last].last < unit[2] do
            next_match = next_match + 1
        end
        local match = chosen[next_match]
        if match and unit[2] >= items[match.first].first then
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
